//! Lines with dates, made from a seed: the same ones for ever.
//!
//! A [`Log`] is what one detector is shown: its patterns and zones, and some lines
//! that mostly fit them.

use std::fmt::Write as _;

/// What one detector is asked.
pub(crate) struct Log {
    pub(crate) zone: &'static str,
    pub(crate) log_zone: Option<&'static str>,
    pub(crate) patterns: Vec<String>,
    /// When each line is read, and the line.
    pub(crate) lines: Vec<(i64, String)>,
}

/// Logs with dates of the default templates, in every format and in a few.
pub(crate) fn default_logs(count: usize) -> Vec<Log> {
    let mut dice = Dice(20_261_125);
    (0..count)
        .map(|index| {
            let (zone, log_zone) = zones(&mut dice, index, count);
            let mut now = some_time(&mut dice);
            let lines = lines_of(&mut dice, &mut now, default_line);
            Log {
                zone,
                log_zone,
                patterns: Vec::new(),
                lines,
            }
        })
        .collect()
}

/// Logs that are read by patterns of their own.
pub(crate) fn custom_logs(count: usize) -> Vec<Log> {
    let mut dice = Dice(20_260_615);
    (0..count)
        .map(|index| {
            let (zone, log_zone) = zones(&mut dice, index, count);
            let mut now = some_time(&mut dice);
            let mut shapes = Vec::new();
            for _ in 0..dice.pick(&[1, 1, 1, 2, 3]) {
                shapes.push(shape(&mut dice));
            }
            let patterns = shapes.iter().map(|shape| shape.0.clone()).collect();
            let lines = lines_of(&mut dice, &mut now, |dice| {
                if dice.one_in(8) {
                    return default_line(dice);
                }
                let text = shapes[dice.index(shapes.len())].1.clone();
                let before = dice.pick(&["", "", "", "x", "[", "é ", "at "]);
                let after = dice.pick(&["", " x", " x", "] x", "1", " ", "x"]);
                format!("{before}{}{after}", filled(dice, &text))
            });
            Log {
                zone,
                log_zone,
                patterns,
                lines,
            }
        })
        .collect()
}

/// In blocks, because the original is slow to change its zone.
fn zones(dice: &mut Dice, index: usize, count: usize) -> (&'static str, Option<&'static str>) {
    let log_zone = dice.pick(&[
        None,
        None,
        None,
        None,
        Some("UTC"),
        Some("GMT-0330"),
        Some("CET+0100"),
        Some(""),
    ]);
    (ZONES[index * ZONES.len() / count], log_zone)
}

fn some_time(dice: &mut Dice) -> i64 {
    match dice.below(6) {
        0 => 1_767_225_600 + dice.between(-90_000, 90_000),
        1 => 1_772_323_200 + dice.between(-90_000, 90_000),
        2 => 1_709_208_000 + dice.between(-90_000, 90_000),
        _ => dice.between(1_750_000_000, 1_798_000_000),
    }
}

/// Some lines of one log. Between some of them passes more time than a template may
/// be unused.
fn lines_of(
    dice: &mut Dice,
    now: &mut i64,
    mut line: impl FnMut(&mut Dice) -> String,
) -> Vec<(i64, String)> {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for _ in 0..10 {
        *now += dice.pick(&[0, 1, 20, 299, 400]);
        // The same line again, perhaps with a longer beginning.
        let mut text = match lines.last() {
            Some((_, last)) if dice.one_in(3) => last.clone(),
            _ => line(dice),
        };
        if dice.one_in(10) {
            text = damaged(dice, &text);
        }
        lines.push((*now, text));
    }
    lines
}

fn default_line(dice: &mut Dice) -> String {
    let mut line = format!("{}{}", dice.pick(BEFORE), date(dice));
    line += dice.pick(AFTER);
    if dice.one_in(3) {
        let (before, more) = (dice.pick(BEFORE), date(dice));
        let after = dice.pick(AFTER);
        write!(line, " {before}{more}{after}").unwrap();
    }
    line
}

const DATES: &[&str] = &[
    "%Y-%m-%d",
    "%Y-%m-%d",
    "%d/%m/%y",
    "%b %d %Y",
    "%d %B %Y",
    "%A %d %b %Y",
    "%a, %d %b",
    "%m/%d",
    "%Y-%j",
    "%j",
    "%Y %W %w",
    "%Y %U %a",
    "%Y %V %u",
    "%W %A",
    "%ExY%Exm%Exd",
    "%ExY.%m.%Exd",
    "%Exy%Exm%Exd",
    "%x",
    "%d",
    "%m",
    "%Y",
    "",
];
const TIMES: &[&str] = &[
    "%H:%M:%S",
    "%H:%M:%S",
    "%k:%M:%S",
    "%ExH:%ExM:%ExS",
    "%ExH%ExM%ExS",
    "%I:%M:%S %p",
    "%l:%M:%S %p",
    "%Exl:%M %p",
    "%I:%M",
    "%Exk.%M",
    "%H:%M:%S\\.%f",
    "%X",
    "%X %p",
];
const NAMED_ZONES: &[&str] = &["", "", "", "%z", " %z", " %Z", " %Exz", " %ExZ"];

/// What is put around a pattern, and around the text that it is for.
const FRAMES: &[[&str; 4]] = &[
    ["", "", "", ""],
    ["", "", "", ""],
    ["^", "", "", ""],
    ["{^LN-BEG}", "", "", ""],
    ["{^LN-BEG}", "", "[<", ""],
    ["**", "", "x", ""],
    ["", "**", "", "1"],
    ["**", "**", "x", "1"],
    ["{UNB}", "", "x", "1"],
    ["{UNB}^", "", "", "1"],
    [r"\[", r"\]", "[", "]"],
    [r"^\[(", r")\]", "[", "]"],
    ["ts=", "", "ts=", ""],
    [r"ts=(", r")\s", "ts=", " "],
    ["(", ")", "", ""],
    ["((", "))", "", ""],
    ["(?i)x ", "", "X ", ""],
    ["", "$", "", ""],
    ["^", "$", "", ""],
    ["(?:^|x )", "", "x ", ""],
    ["(^|x )", "", "x ", ""],
    ["(?:^", ")", "", ""],
    ["(^", ")", "", ""],
    ["(**", "**)", "x", "1"],
    [r"", r"\b", "", ""],
    [r"", r"\s", "", " "],
    ["(?P<own>id=\\d+ )", "", "id=7 ", ""],
    ["(a)? ?", "", "a ", ""],
    ["100%% ", "", "100% ", ""],
    [r"\(", r"\)", "(", ")"],
    ["{^LN-BEG}**", "", "", ""],
    ["{^LN-BEG}^", "", "", ""],
    ["(?:x)?", "(?: \\(%Z\\))?", "", " (EST)"],
];

/// Patterns that are made of words, and odd ones.
const WORDS: &[&str] = &[
    "EPOCH",
    "Epoch",
    "{^LN-BEG}EPOCH",
    "^epoch",
    "LEPOCH",
    "{^LN-BEG}LEPOCH",
    "{EPOCH}",
    "ts={EPOCH}",
    "^{EPOCH}",
    "**{EPOCH}**",
    "id=x ts={epoch}",
    "{LEPOCH}",
    "ts={LEPOCH}",
    "TAI64N",
    "{^LN-BEG}TAI64N",
    "^tai64n",
    "{NONE}",
    "{DEFAULT}",
    "{^LN-BEG}",
    "{DATE}",
    "^{DATE}",
    "{^LN-BEG}{DATE}",
    "**{DATE}",
    "ts={date}",
    "ts=({DATE})",
    r"^[^\[]*\[({DATE})",
    "(?:%Y )?",
    "(?P<Y>\\d{4})-(?P<m>\\d+)-(?P<d>\\d+) (?P<H>\\d+):(?P<M>..)",
    "%Y %Y",
    "%Q",
    "%H:%M%",
    "(%Y",
    "ISO8601",
];

/// A pattern, and a text with directives for which it is meant.
fn shape(dice: &mut Dice) -> (String, String) {
    if dice.one_in(3) {
        let word = dice.pick(WORDS);
        let lead = dice.pick(&["", "", "ts=", "1.2.3.4 [", "id=x ts="]);
        let text = dice.pick(&["%default", "%default", "%epoch", "%label", "%Y-%m-%d %H:%M"]);
        return (word.to_owned(), format!("{lead}{text}"));
    }
    let (day, time) = (dice.pick(DATES), dice.pick(TIMES));
    let space = dice.pick(&[" ", " ", " ", "T"]);
    let zone = dice.pick(NAMED_ZONES);
    let inner = format!("{day}{space}{time}{zone}");
    let [before, after, text_before, text_after] = dice.pick(FRAMES);
    (
        // As they are when they come out of a file.
        format!("{before}{inner}{after}").trim().to_owned(),
        format!("{text_before}{inner}{text_after}").replace(r"\.%f", ".%f"),
    )
}

/// The text with a stamp in place of its directives.
fn filled(dice: &mut Dice, text: &str) -> String {
    let stamp = stamp(dice);
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        filled += before;
        let after = after.strip_prefix("Ex").unwrap_or(after);
        let words = ["default", "epoch", "label"];
        let word = words.into_iter().find(|word| after.starts_with(word));
        let directive = word.unwrap_or_else(|| after.get(..1).unwrap_or(""));
        filled += &directive_text(dice, &stamp, directive);
        rest = after.strip_prefix(directive).unwrap();
    }
    filled + rest
}

fn directive_text(dice: &mut Dice, stamp: &Stamp, directive: &str) -> String {
    let name = |names: &[&str], number: i64| {
        let name = usize::try_from(number - 1).ok().and_then(|n| names.get(n));
        (*name.unwrap_or(&"Foo")).to_owned()
    };
    let week = dice.between(1, 7);
    let two = |number: i64| format!("{number:02}");
    match directive {
        "Y" => format!("{:04}", stamp.year),
        "y" => two(stamp.year % 100),
        "m" => two(stamp.month),
        "d" if dice.one_in(4) => format!("{:>2}", stamp.day),
        "d" => two(stamp.day),
        "H" | "k" => two(stamp.hour),
        "I" | "l" => (stamp.hour % 13).to_string(),
        "M" => two(stamp.minute),
        "S" => two(stamp.second),
        "f" => dice.pick(&["1", "123", "123456"]).to_owned(),
        "b" => name(MONTHS, stamp.month),
        "B" => name(LONG_MONTHS, stamp.month),
        "a" => name(&["Mon", "tue", "WED", "Thu", "Fri", "Sat", "Sun"], week),
        "A" => name(
            &[
                "Monday",
                "tuesday",
                "Wednesday",
                "Thursday",
                "FRIDAY",
                "Saturday",
                "Sunday",
            ],
            week,
        ),
        "p" => dice.pick(&["AM", "pm", "Pm"]).to_owned(),
        "j" => dice.between(0, 367).to_string(),
        "U" | "W" | "V" => dice.between(0, 54).to_string(),
        "w" | "u" => dice.between(0, 7).to_string(),
        "z" | "Z" => dice
            .pick(&[
                "Z", "UTC", "GMT", "+0200", "-03:30", "+02", "CET", "CEST", "NST", "ABC", "cet",
                "CET+01", "UTC-0230", "B", "J", "ET",
            ])
            .to_owned(),
        "x" => format!(
            "{:02}/{:02}/{:02}",
            stamp.month,
            stamp.day,
            stamp.year % 100
        ),
        "X" => format!("{:02}:{:02}:{:02}", stamp.hour, stamp.minute, stamp.second),
        "%" => "%".to_owned(),
        "default" => date(dice),
        "epoch" => {
            let more = dice.pick(&[
                "", "", "372", "372123", ".3", ".372", "372.123", "37", "3721",
            ]);
            format!("{}{more}", 1_781_524_681 + dice.between(-9_999, 9_999))
        }
        "label" => format!("@40000000{:08x}1234abcd", 1_781_524_681),
        _ => String::new(),
    }
}

/// A small generator of our own (splitmix64), so that a seed means the same lines for ever.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(u64::try_from(high - low + 1).unwrap())).unwrap()
    }
}

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
];
const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const LONG_MONTHS: &[&str] = &[
    "January",
    "february",
    "March",
    "April",
    "May",
    "JUNE",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const BEFORE: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    "[",
    "<",
    " ",
    "[[",
    "<<<",
    "  ",
    "[<13>",
    "<38>1 ",
    "x",
    "x ",
    "host ",
    "hosts1 ",
    "é",
    "é ",
    "--- ",
    "web-01: ",
    "sshd[12]: ",
    "_",
    "\u{301}",
    "kernel: [12.345678] ",
    "utc ",
    "EST ",
    "a b c ",
    "type=USER_LOGIN msg=audit(",
    "12 ",
    "1.2.3.4 - - [",
    "@",
    "+02:00 ",
    "Mon ",
    "(",
    "\u{a0}",
];
const AFTER: &[&str] = &[
    "",
    " ",
    " host sshd[7]: Failed password for root from 192.0.2.7",
    "] x",
    "> x",
    "]",
    "x",
    "_x",
    "é",
    ".5 x",
    ",123 x",
    ".1234567 x",
    " +0200 x",
    "\t\u{a0}-03 x",
    "Z x",
    " Zulu",
    "+02:00:00",
    " 2026 host",
    " 2098 host",
    " 2026x",
    ":1002): x",
    "-x",
    " AM x",
    ". x",
    "0",
    " CEST x",
    "+2",
    " UTC+2",
];

/// Numbers that make a stamp, mostly a possible one.
struct Stamp {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

fn stamp(dice: &mut Dice) -> Stamp {
    let usual = !dice.one_in(12);
    let mut stamp = Stamp {
        year: dice.between(2024, 2027),
        month: dice.between(1, 12),
        day: dice.between(1, 28),
        hour: dice.between(0, 23),
        minute: dice.between(0, 59),
        second: dice.between(0, 59),
    };
    if !usual {
        match dice.below(6) {
            0 => stamp.day = dice.between(0, 33),
            1 => (stamp.month, stamp.day) = (2, 29),
            2 => stamp.hour = dice.between(20, 31),
            3 => stamp.second = dice.between(58, 63),
            4 => stamp.year = dice.pick(&[1999, 2000, 2019, 2029, 2098, 2099]),
            _ => (stamp.month, stamp.day) = (dice.between(0, 14), 31),
        }
    }
    // On and about the days when the clocks of Berlin and New York change.
    if dice.one_in(8) {
        (stamp.year, stamp.month, stamp.day) = dice.pick(&[
            (2026, 3, 29),
            (2026, 10, 25),
            (2025, 10, 26),
            (2026, 3, 8),
            (2026, 11, 1),
            (2026, 4, 5),
        ]);
        stamp.hour = dice.between(0, 4);
    }
    stamp
}

/// The words that dates are made of.
struct Words {
    stamp: Stamp,
    month: String,
    day: String,
    time: String,
    week: &'static str,
    fraction: &'static str,
    zone: &'static str,
}

fn words(dice: &mut Dice) -> Words {
    let stamp = stamp(dice);
    let Stamp {
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = stamp;
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|index| MONTHS.get(index))
        .unwrap_or(&"Foo");
    let month = match dice.below(8) {
        0 => name.to_lowercase(),
        1 => name.to_uppercase(),
        _ => (*name).to_owned(),
    };
    let day = match dice.below(3) {
        0 => format!("{day}"),
        1 => format!("{day:02}"),
        _ => format!("{day:>2}"),
    };
    let time = match dice.below(8) {
        0 => format!("{hour}:{minute}:{second}"),
        1 => format!("{hour:>2}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    let week = dice.pick(&["", "", "", "Mon ", "sun ", "Foo "]);
    let fraction = dice.pick(&["", "", "", ".123", ".123456", ",789", ".1", ".1234567"]);
    let zone = dice.pick(&[
        "", "", "Z", "+02:00", "-0330", " +0530", " -08", " UTC", " GMT", "z", " gmt", "  +01",
        "+1999",
    ]);
    Words {
        stamp,
        month,
        day,
        time,
        week,
        fraction,
        zone,
    }
}

/// A date in one of the formats.
fn date(dice: &mut Dice) -> String {
    let words = words(dice);
    if dice.one_in(2) {
        named(dice, &words)
    } else {
        numbered(dice, &words)
    }
}

/// One that says the month by name.
fn named(dice: &mut Dice, words: &Words) -> String {
    let Words {
        stamp,
        month,
        day,
        time,
        week,
        fraction,
        zone,
    } = words;
    let Stamp {
        year,
        hour,
        minute,
        second,
        ..
    } = stamp;
    match dice.below(12) {
        0..=4 => format!("{week}{month} {day} {time}{fraction}"),
        5 => format!("{week}{month} {day} {time}{fraction} {year}"),
        6 => format!("{week}{month} {day} {year} {time}{fraction}"),
        7 => {
            let mark = dice.pick(&[":", " ", ""]);
            format!("{day}/{month}/{year}{mark}{time}{fraction}{zone}")
        }
        8 => {
            let half = dice.pick(&["AM", "pm", "xm"]);
            format!(
                "{month} {day}, {year} {}:{minute:02}:{second:02} {half}",
                hour % 14
            )
        }
        9 => format!("{month}-{day}-{:02} {time}", year % 100),
        _ => {
            let first = dice.pick(&[
                "PDT", "CEST", "Z", "UTC", "utc", "ABC", "+02:00", "-07", "+0530", "NPT", "GMT",
                "nst",
            ]);
            let year = dice.pick(&["", " 2025", " 2026"]);
            format!("{first} {week}{month} {day} {time}{year}")
        }
    }
}

/// One that says everything in numbers.
fn numbered(dice: &mut Dice, words: &Words) -> String {
    let Words {
        stamp,
        day: day_text,
        time,
        fraction,
        zone,
        ..
    } = words;
    let Stamp {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = stamp;
    let short = year % 100;
    let instant = 1_781_524_681 + dice.between(-40_000_000, 40_000_000);
    match dice.below(14) {
        0..=3 => {
            let mark = dice.pick(&["-", "-", "-", "/", "."]);
            let t = dice.pick(&["T", "T", " ", " ", "  ", "t"]);
            format!("{year}{mark}{month:02}{mark}{day_text}{t}{time}{fraction}{zone}")
        }
        4 => format!("{year}-{month}-{day} {time}{zone}"),
        5 => format!("{day_text}/{month:02}/{year} {time}"),
        6 => format!("{day_text}-{month:02}-{short:02} {time}"),
        7 => format!("{month:02}/{day:02}/{year}:{time}"),
        8 => format!("{month:02}-{day:02}-{year} {time}{fraction}"),
        9 => {
            let more = dice.pick(&["", ".123", ".12", ".123456", ".1234567", "1", "12"]);
            format!("{instant}{more}")
        }
        10 => format!("@40000000{instant:08x}1234abcd"),
        11 if dice.one_in(2) => time.clone(),
        11 => format!("<{month:02}/{day:02}/{short:02}@{time}>"),
        12 => {
            let blank = dice.pick(&[" ", "  ", ""]);
            format!("{short:02}{month:02}{day:02}{blank}{time}")
        }
        _ => {
            let (t, c) = (
                dice.pick(&["T", " ", "  ", "-", ""]),
                dice.pick(&["", "", ":"]),
            );
            format!(
                "{year}{month:02}{day:02}{t}{hour:02}{c}{minute:02}{c}{second:02}{fraction}{zone}"
            )
        }
    }
}

/// The line with one character less, one more or another one.
fn damaged(dice: &mut Dice, line: &str) -> String {
    let at = usize::try_from(dice.below(line.chars().count().min(30) as u64 + 1)).unwrap();
    let extra = dice.pick(&[
        '0', '9', ' ', ':', '-', '.', 'T', 'x', '_', 'é', '/', '٢', 'ſ', '²',
    ]);
    let how = dice.below(3);
    let mut text: String = line.chars().take(at).collect();
    if how != 0 {
        text.push(extra);
    }
    text.extend(line.chars().skip(at + usize::from(how != 1)));
    text
}
