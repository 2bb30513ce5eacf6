//! A line that is searched: what every template asks of it, found out once.
//!
//! The original counts characters, Rust counts bytes; a [`Line`] knows both.

use std::cell::OnceCell;
use std::ops::Range;

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    text: &'a str,
    last_year: i16,
    is_ascii: bool,
    is_plain: OnceCell<bool>,
    clocks: OnceCell<Option<Clocks>>,
    starts: OnceCell<Vec<Start>>,
}

/// The places that may be the first colon of `%H:%M:%S`.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    first: usize,
    last: usize,
    /// What stands before the hours of any.
    before: u8,
}

/// What may stand before the hour of a clock, each a bit: a blank.
pub(crate) const BLANK: u8 = 1;
/// A colon.
pub(crate) const COLON: u8 = 2;
/// A `T`.
pub(crate) const T: u8 = 4;
/// A digit.
pub(crate) const DIGIT: u8 = 8;

/// What stands before the hour that ends at a colon. Of one with a digit before it, it
/// may be that digit or what stands before that.
fn before_hour(text: &[u8], colon: usize) -> u8 {
    let bit = |byte: Option<&u8>| match byte {
        Some(b' ') => BLANK,
        Some(b':') => COLON,
        Some(b'T') => T,
        Some(b'0'..=b'9') => DIGIT,
        _ => 0,
    };
    let before = |count| colon.checked_sub(count).and_then(|at| text.get(at));
    match bit(before(2)) {
        DIGIT => DIGIT | bit(before(3)),
        other => other,
    }
}

/// A place where a date may begin, and the byte that stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Start {
    pub(crate) at: usize,
    pub(crate) byte: u8,
}

/// More bytes than stand between the beginning of a date and the first colon of its
/// clock.
const BEFORE_CLOCK: usize = 32;

impl<'a> Line<'a> {
    /// A line in whose dates the last year is `last_year`.
    pub(crate) fn new(text: &'a str, last_year: i16) -> Self {
        Self {
            text,
            last_year,
            is_ascii: is_ascii(text),
            is_plain: OnceCell::new(),
            clocks: OnceCell::new(),
            starts: OnceCell::new(),
        }
    }

    pub(crate) const fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) const fn last_year(&self) -> i16 {
        self.last_year
    }

    /// Whether only ASCII characters can be a digit of a date, or one of its letters.
    ///
    /// Python takes the digits of any script, and knows four letters that differ
    /// from an ASCII one in case only: dotted and dotless i, the long s and the sign
    /// of the kelvin.
    pub(crate) fn is_plain(&self) -> bool {
        let is_odd = |c: char| {
            !c.is_ascii() && (c.is_numeric() || matches!(c, 'İ' | 'ı' | 'ſ' | '\u{212a}'))
        };
        self.is_ascii || *self.is_plain.get_or_init(|| !self.text.chars().any(is_odd))
    }

    /// From the first to the last colon that may be the first of `%H:%M:%S`; none if
    /// the line has no clock. Nearly every template needs one, and most lines without
    /// a date have none.
    pub(crate) fn clock(&self) -> Option<Range<usize>> {
        self.clocks().map(|clocks| clocks.first..clocks.last)
    }

    /// What stands before the hours of the line's clocks.
    pub(crate) fn before_clocks(&self) -> u8 {
        self.clocks().map_or(0, |clocks| clocks.before)
    }

    fn clocks(&self) -> Option<&Clocks> {
        self.clocks.get_or_init(|| self.find_clocks()).as_ref()
    }

    fn find_clocks(&self) -> Option<Clocks> {
        let bytes = self.text.as_bytes();
        let digit = |at: Option<usize>| {
            let byte = at.and_then(|at| bytes.get(at));
            byte.is_some_and(u8::is_ascii_digit)
        };
        let colon = |at: usize| bytes.get(at) == Some(&b':');
        let places = self.text.match_indices(':').map(|(at, _)| at);
        let mut clocks = places.filter(|&at| {
            // The minutes have one digit or two.
            let seconds = if colon(at + 2) { at + 3 } else { at + 4 };
            digit(at.checked_sub(1))
                && digit(Some(at + 1))
                && colon(seconds - 1)
                && digit(Some(seconds))
        });
        let first = clocks.next()?;
        let found = Clocks {
            first,
            last: first,
            before: before_hour(bytes, first),
        };
        Some(clocks.fold(found, |found, last| Clocks {
            last,
            before: found.before | before_hour(bytes, last),
            ..found
        }))
    }

    /// Where near a clock words begin, and signs and blanks: nothing else begins a
    /// date with a clock.
    pub(crate) fn starts(&self) -> &[Start] {
        self.starts.get_or_init(|| self.find_starts())
    }

    fn find_starts(&self) -> Vec<Start> {
        let Some(clock) = self.clock() else {
            return Vec::new();
        };
        let near = clock.start.saturating_sub(BEFORE_CLOCK)..clock.end;
        let bytes = self.text.as_bytes();
        let mut before = near
            .start
            .checked_sub(1)
            .and_then(|at| bytes.get(at).copied());
        let mut starts = Vec::new();
        for (at, &byte) in near.clone().zip(bytes.get(near).unwrap_or(&[])) {
            let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if (byte.is_ascii_alphanumeric() && !in_word) || matches!(byte, b' ' | b'+' | b'-') {
                starts.push(Start { at, byte });
            }
            before = Some(byte);
        }
        starts
    }

    /// Whether the beginning of a date may stand at the beginning of the line, with
    /// a clock near enough. `true` if nobody has looked for the clock yet.
    pub(crate) fn may_begin_with_clock(&self) -> bool {
        match self.clocks.get() {
            None => true,
            Some(None) => false,
            // After two characters, which may be of four bytes each.
            Some(Some(clocks)) if self.is_ascii => clocks.first <= BEFORE_CLOCK - 8,
            Some(Some(clocks)) => clocks.first <= BEFORE_CLOCK,
        }
    }

    /// Whether a template with a clock might match in a line that is not plain, in
    /// whatever digits.
    pub(crate) fn may_have_odd_clock(&self) -> bool {
        let digit =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || !byte.is_ascii());
        let bytes = self.text.as_bytes();
        self.text.match_indices(':').any(|(at, _)| {
            digit(at.checked_sub(1).and_then(|at| bytes.get(at))) && digit(bytes.get(at + 1))
        })
    }

    /// How many characters stand before a byte.
    pub(crate) fn chars_before(&self, byte: usize) -> usize {
        if self.is_ascii {
            return byte;
        }
        self.text
            .get(..byte)
            .map_or(byte, |before| before.chars().count())
    }

    /// Where the character of a number begins; the end of the line if it has fewer.
    pub(crate) fn byte_of(&self, char: usize) -> usize {
        if self.is_ascii {
            return char.min(self.text.len());
        }
        let place = self.text.char_indices().nth(char);
        place.map_or(self.text.len(), |(byte, _)| byte)
    }

    /// The character of a number.
    pub(crate) fn char_at(&self, char: usize) -> Option<char> {
        if self.is_ascii {
            return self.text.as_bytes().get(char).copied().map(char::from);
        }
        self.text.get(self.byte_of(char)..)?.chars().next()
    }
}

/// As `str::is_ascii`, which looks at the last bytes one by one.
fn is_ascii(text: &str) -> bool {
    const SIZE: usize = 16;
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<SIZE>() else {
        return bytes.is_ascii();
    };
    let chunks = bytes.as_chunks::<SIZE>().0.iter();
    let all = chunks.fold(u128::from_ne_bytes(*last), |all, chunk| {
        all | u128::from_ne_bytes(*chunk)
    });
    all & u128::from_ne_bytes([0x80; SIZE]) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_three_numbers_with_colons_between() {
        let cases = [
            ("at 11:58:01 x 1:2:3", Some(5..15)),
            ("11:58:01", Some(2..2)),
            ("2001:db8::1:2 port 22", None),
            ("1:2", None),
            ("1:234:5", None),
            (":1:2", None),
            ("1::2:3", None),
            ("é1:2:3é", Some(3..3)),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Line::new(text, 2029).clock(), expected, "{text}");
        }
    }

    #[test]
    fn a_date_begins_with_a_word_a_sign_or_a_blank_before_its_clock() {
        let starts = |text| {
            let line = Line::new(text, 2029);
            let found = line.starts().iter();
            found
                .map(|start| char::from(start.byte))
                .collect::<String>()
        };
        assert_eq!(starts("xy_a +1 z 11:58:01 x y"), "x +1 z 1");
        assert_eq!(starts("é11:58 11:58:01"), "15 1");
        assert_eq!(starts("no clock"), "");
        let long = format!("{}11:58:01", "a ".repeat(50));
        assert_eq!(starts(&long).len(), 31);
    }

    #[test]
    fn letters_and_digits_of_dates_make_a_line_odd() {
        for (text, expected) in [
            ("é", true),
            ("٢", false),
            ("²", false),
            ("ſ", false),
            ("K", true),
            ("\u{212a}", false),
        ] {
            assert_eq!(Line::new(text, 2029).is_plain(), expected, "{text}");
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let line = Line::new("aé1", 2029);
        assert_eq!(
            (line.chars_before(3), line.byte_of(2), line.byte_of(9)),
            (2, 3, 4)
        );
        assert_eq!((line.char_at(1), line.char_at(3)), (Some('é'), None));
        let line = Line::new("ab", 2029);
        assert_eq!(
            (line.chars_before(2), line.byte_of(9), line.char_at(2)),
            (2, 2, None)
        );
    }
}
