//! Letters, digits, blanks and letter case, as CPython's `re` sees them.
//!
//! The tables come from CPython, not from the Rust standard library: the two follow different
//! versions of Unicode, and Python's case folding has a few cases of its own.

mod tables;

use tables::{DIGIT, EXTRA, LOWER, SPACE, WORD};

/// What `\w`, `\d` or `\s` asks of a character.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A letter, a digit of any sort, or the underscore.
    Word,
    /// A decimal digit.
    Digit,
    /// White space.
    Space,
}

impl Kind {
    /// Whether the character is of this kind.
    pub(crate) fn has(self, code: u32) -> bool {
        within(self.ranges(), code)
    }

    /// Whether the byte is an ASCII character of this kind.
    pub(crate) fn has_ascii(self, byte: u8) -> bool {
        match self {
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Digit => byte.is_ascii_digit(),
            // Unicode counts the four separators 0x1c to 0x1f; (?a) does not, see `ascii_ranges`.
            Self::Space => matches!(byte, b'\t'..=b'\r' | 0x1c..=b' '),
        }
    }

    /// All characters of this kind.
    pub(crate) fn ranges(self) -> &'static [(u32, u32)] {
        match self {
            Self::Word => WORD,
            Self::Digit => DIGIT,
            Self::Space => SPACE,
        }
    }

    /// All characters of this kind under `(?a)`.
    pub(crate) fn ascii_ranges(self) -> &'static [(u32, u32)] {
        match self {
            Self::Word => &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)],
            Self::Digit => &[(0x30, 0x39)],
            Self::Space => &[(0x09, 0x0d), (0x20, 0x20)],
        }
    }
}

/// Whether sorted ranges hold `code`.
pub(crate) fn within(ranges: &[(u32, u32)], code: u32) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= code);
    after
        .checked_sub(1)
        .and_then(|i| ranges.get(i))
        .is_some_and(|&(_, last)| code <= last)
}

/// The lower case of one character, itself if it has none.
pub(crate) fn lower(code: u32) -> u32 {
    let after = LOWER.partition_point(|&(first, ..)| first <= code);
    match after.checked_sub(1).and_then(|i| LOWER.get(i)) {
        Some(&(first, last, step, distance))
            if code <= last && (code - first).is_multiple_of(step) =>
        {
            code.saturating_add_signed(distance)
        }
        _ => code,
    }
}

/// The lower case of an ASCII letter; everything else stays as it is.
pub(crate) fn lower_ascii(code: u32) -> u32 {
    if (0x41..=0x5a).contains(&code) {
        code + 32
    } else {
        code
    }
}

/// All characters IGNORECASE takes for `code`, itself among them.
pub(crate) fn variants(code: u32) -> Vec<u32> {
    let small = lower(code);
    let mut all = Vec::with_capacity(4);
    for target in std::iter::once(small).chain(extra(small).iter().copied()) {
        all.push(target);
        for &(first, last, step, distance) in LOWER {
            let source = target.saturating_add_signed(-distance);
            if (first..=last).contains(&source) && (source - first).is_multiple_of(step) {
                all.push(source);
            }
        }
    }
    all
}

/// All characters IGNORECASE takes for `code` under `(?a)`.
pub(crate) fn variants_ascii(code: u32) -> Vec<u32> {
    match code {
        0x41..=0x5a => vec![code, code + 32],
        0x61..=0x7a => vec![code, code - 32],
        _ => vec![code],
    }
}

fn extra(small: u32) -> &'static [u32] {
    match EXTRA.binary_search_by_key(&small, |&(code, _)| code) {
        Ok(i) => EXTRA.get(i).map_or(&[], |&(_, others)| others),
        Err(_) => &[],
    }
}

/// Every character that has a variant, in no order.
pub(crate) fn cased() -> impl Iterator<Item = u32> {
    let upper = LOWER
        .iter()
        .flat_map(|&(first, last, step, _)| (first..=last).step_by(step as usize));
    let small = LOWER.iter().flat_map(|&(first, last, step, distance)| {
        (first..=last)
            .step_by(step as usize)
            .map(move |code| code.saturating_add_signed(distance))
    });
    upper
        .chain(small)
        .chain(EXTRA.iter().map(|&(code, _)| code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_pairs_and_the_extra_cases_are_found_from_each_side() {
        let cases: [(char, &[char]); 7] = [
            ('k', &['K', 'k', '\u{212a}']),
            ('ſ', &['S', 's', 'ſ']),
            ('İ', &['I', 'i', 'İ', 'ı']),
            ('ß', &['ß', 'ẞ']),
            ('Σ', &['Σ', 'ς', 'σ']),
            ('1', &['1']),
            ('Ā', &['Ā', 'ā']),
        ];
        for (c, expected) in cases {
            let mut found: Vec<char> = variants(u32::from(c))
                .into_iter()
                .filter_map(char::from_u32)
                .collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, expected, "variants of {c}");
        }
    }

    #[test]
    fn kinds_follow_python_and_not_rust() {
        let cases = [
            // character, \w, \d, \s
            ('²', true, false, false),
            ('½', true, false, false),
            ('٣', true, true, false),
            ('\u{301}', false, false, false),
            ('\u{1c}', false, false, true),
            ('\u{85}', false, false, true),
            ('\u{a0}', false, false, true),
            ('\u{200b}', false, false, false),
            ('_', true, false, false),
        ];
        for (c, word, digit, space) in cases {
            let code = u32::from(c);
            let found = [Kind::Word, Kind::Digit, Kind::Space].map(|kind| kind.has(code));
            assert_eq!(found, [word, digit, space], "{c:?}");
        }
    }

    #[test]
    fn quick_ascii_answers_agree_with_the_tables() {
        for kind in [Kind::Word, Kind::Digit, Kind::Space] {
            for byte in 0..128 {
                assert_eq!(
                    kind.has_ascii(byte),
                    kind.has(u32::from(byte)),
                    "{kind:?} {byte}"
                );
            }
        }
    }
}
