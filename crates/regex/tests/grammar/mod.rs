//! Random patterns in the dialect, and texts they may match.

/// xorshift64*: the same questions on every machine.
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same seed, which is not 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the limit.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    pub(crate) fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

/// Writes random patterns.
pub(crate) struct Grammar {
    pub(crate) random: Random,
    /// Groups closed so far, and all of them.
    closed: Vec<usize>,
    groups: usize,
    /// In how many possessive repetitions we are. CPython 3.11 leaves groups of their last,
    /// failed turn set, so none are opened there.
    no_groups: usize,
}

impl Grammar {
    /// The same questions for the same seed, which is not 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            closed: Vec::new(),
            groups: 0,
            no_groups: 0,
        }
    }

    /// A pattern, which may be one that Python refuses.
    pub(crate) fn pattern(&mut self) -> String {
        self.closed.clear();
        self.groups = 0;
        let flags = if self.random.chance(12) {
            self.random.pick(&[
                "(?i)", "(?m)", "(?s)", "(?x)", "(?a)", "(?u)", "(?im)", "(?mx)", "(?sia)",
            ])
        } else {
            ""
        };
        let depth = 1 + self.random.below(4);
        format!("{flags}{}", self.alternation(depth))
    }

    fn alternation(&mut self, depth: usize) -> String {
        let mut text = self.sequence(depth);
        while self.random.chance(25) {
            text.push('|');
            text.push_str(&self.sequence(depth));
        }
        text
    }

    fn sequence(&mut self, depth: usize) -> String {
        let length = if self.random.chance(10) {
            0
        } else {
            1 + self.random.below(3)
        };
        (0..length).map(|_| self.item(depth)).collect()
    }

    fn item(&mut self, depth: usize) -> String {
        let possessive = self.random.chance(4);
        self.no_groups += usize::from(possessive);
        let mut item = if depth > 0 && self.random.chance(40) {
            self.group(depth - 1)
        } else if self.random.chance(12) {
            return self
                .random
                .pick(&["^", "$", r"\b", r"\B", r"\A", r"\Z"])
                .to_owned();
        } else {
            self.character()
        };
        self.no_groups -= usize::from(possessive);
        if item.is_empty() {
            return item;
        }
        if possessive {
            item.push_str(self.random.pick(&["*+", "++", "?+", "{1,2}+", "{2}+"]));
        } else if self.random.chance(35) {
            item.push_str(self.random.pick(&[
                "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{1,}?", "{0,3}?", "{2,}",
                "{0,2}", "{,}", "{0}", "{1}", "{,3}?", "{2,4}?", "{3}?",
            ]));
        }
        item
    }

    fn character(&mut self) -> String {
        let common = [
            "a", "b", "a", "b", "a", "b", "c", ".", ".", " ", "-", "1", "ab", "{", "a{", r"\n",
            r"\ ", r"\-", r"\x61", r"\u00e9", r"\142", r"\0", r"\t", "[ ]", "\n", "# a\n",
        ];
        let kinds = [r"\w", r"\d", r"\s", r"\W", r"\D", r"\S"];
        let classes = [
            "[ab]",
            "[^a]",
            "[a-c]",
            "[^a-c\\n]",
            r"[\w-]",
            r"[^\s]",
            "[]a]",
            "[^]a]",
            r"[\d1-3b]",
            r"[\W]",
            "[a-]",
            r"[\x61\142]",
            "[é-ü]",
            "[k-s]",
            "[^k]",
            r"[\w.:-]",
            r"[^\d\s]",
            r"[^\W\d]",
            r"[\S\n]",
            r"[\D_]",
            "[A-Z]",
            "[^\u{e0}-\u{ff}k]",
            r"[\b\]\-^]",
            "[+--]",
        ];
        let wide = [
            "é", "É", "k", "K", "ß", "ſ", "S", "\u{212a}", "²", "\u{3a3}", "ς", "İ", "ı",
        ];
        match self.random.below(20) {
            0..=10 => self.random.pick(&common),
            11..=13 => self.random.pick(&kinds),
            14..=16 => self.random.pick(&classes),
            17 => self.random.pick(&wide),
            _ if !self.closed.is_empty() => {
                return self.again();
            }
            _ => "b",
        }
        .to_owned()
    }

    fn group(&mut self, depth: usize) -> String {
        match self.random.below(24) {
            0..=8 if self.no_groups == 0 => {
                self.groups += 1;
                let number = self.groups;
                let body = self.alternation(depth);
                self.closed.push(number);
                // Every third has a number only.
                match number % 3 {
                    0 => format!("({body})"),
                    _ => format!("(?P<g{number}>{body})"),
                }
            }
            0..=12 => format!("(?:{})", self.alternation(depth)),
            13..=14 => format!("(?={})", self.alternation(depth)),
            15..=16 => format!("(?!{})", self.alternation(depth)),
            17 => {
                let width = 1 + self.random.below(3);
                let body: String = (0..width).map(|_| self.single()).collect();
                format!("(?{}{body})", self.random.pick(&["<=", "<!"]))
            }
            18 => format!("(?>{})", self.alternation(depth)),
            19 => {
                let flags = [
                    "i", "-i", "s", "m", "x", "im-s", "i-sm", "s-i", "-sx", "u", "x-i",
                ];
                // CPython errs about `(?a:` where a match begins, so it never stands there.
                let (before, flags) = if self.random.chance(15) {
                    ("(?:b|)", self.random.pick(&["a", "ai", "as-i"]))
                } else {
                    ("", self.random.pick(&flags))
                };
                format!("{before}(?{flags}:{})", self.alternation(depth))
            }
            20 => "(?#note)".to_owned(),
            _ if self.groups > 0 => {
                let group = 1 + self.random.below(self.groups);
                let name = if !group.is_multiple_of(3) && self.random.chance(50) {
                    format!("g{group}")
                } else {
                    group.to_string()
                };
                let (yes, no) = (self.sequence(depth), self.sequence(depth));
                if self.random.chance(25) {
                    format!("(?({name}){yes})")
                } else {
                    format!("(?({name}){yes}|{no})")
                }
            }
            _ => format!("(?:{})", self.alternation(depth)),
        }
    }

    /// The text of a closed group once more, by name or by number.
    fn again(&mut self) -> String {
        let group = self.closed[self.random.below(self.closed.len())];
        if !group.is_multiple_of(3) && self.random.chance(50) {
            format!("(?P=g{group})")
        } else {
            format!("\\{group}(?:)")
        }
    }

    /// Something of one width, for a look-behind.
    fn single(&mut self) -> &'static str {
        self.random.pick(&[
            "a",
            "b",
            ".",
            "[ab]",
            "[^a]",
            r"\w",
            r"\s",
            "é",
            "(?:a|b)",
            r"\b",
            "^",
            "$",
            "(?:ab|b.)",
            "a{2}",
            "(?=b)",
            "(?!b)",
            "(?<=a)",
            "(?i:k)",
        ])
    }

    /// A text.
    pub(crate) fn text(&mut self) -> String {
        let plain = [
            "a", "b", "a", "b", "a", "b", "c", "ab", "1", " ", "-", "\n", "k", "S", "aa", "{",
        ];
        let wide = [
            "é",
            "É",
            "ü",
            "ſ",
            "\u{212a}",
            "ß",
            "ẞ",
            "İ",
            "i",
            "ı",
            "²",
            "½",
            "٣",
            "\u{301}",
            "\u{1c}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "σ",
            "ς",
            "Σ",
            "\u{10400}",
            "K",
            "s",
            "{",
            "\r",
        ];
        let share = if self.random.chance(50) { 0 } else { 40 };
        let length = self.random.below(12);
        let mut text = String::new();
        for _ in 0..length {
            let wide_one = self.random.chance(share);
            text.push_str(if wide_one {
                self.random.pick(&wide)
            } else {
                self.random.pick(&plain)
            });
        }
        if self.random.chance(30) {
            text.push('\n');
        }
        text
    }
}
