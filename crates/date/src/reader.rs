//! The directives of a date pattern, read by hand: what `%H` accepts, what `%b` means.
//!
//! A [`Reader`] stands somewhere in a line; each method steps over one directive
//! and gives its value, or `None` if it does not stand there. The methods are
//! greedy. That equals the original's regular expressions, which may go back,
//! because after each field of varying width stands something that cannot be part
//! of it; the one place where going back matters is the end of a date, and
//! [`Reader::tail`] does it.
//!
//! Which directives make a template is left to [`quick`](crate::quick), and what
//! the values mean to [`fields`](crate::fields). Only ASCII digits and letters are
//! read; lines with others are left to the regular expressions
//! ([`Line::is_plain`](crate::line::Line::is_plain)).

use std::sync::LazyLock;

use ferroban_regex::{Flags, Regex};

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    line: &'a str,
    at: usize,
    last_year: i16,
}

impl<'a> Reader<'a> {
    /// The beginning of a line. `last_year` is the last that `%ExY` takes.
    pub(crate) const fn new(line: &'a str, last_year: i16) -> Self {
        Self {
            line,
            at: 0,
            last_year,
        }
    }

    /// The same line at another place.
    pub(crate) const fn moved(self, at: usize) -> Self {
        Self { at, ..self }
    }

    pub(crate) const fn at(self) -> usize {
        self.at
    }

    /// All of the line.
    pub(crate) const fn line(self) -> &'a str {
        self.line
    }

    pub(crate) fn peek(self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn bytes<const N: usize>(self) -> Option<[u8; N]> {
        self.line.as_bytes().get(self.at..)?.first_chunk().copied()
    }

    #[inline]
    pub(crate) fn next_char(self) -> Option<char> {
        match self.peek()? {
            byte if byte.is_ascii() => Some(char::from(byte)),
            _ => self.next_beyond_ascii(),
        }
    }

    #[cold]
    fn next_beyond_ascii(self) -> Option<char> {
        self.line.get(self.at..)?.chars().next()
    }

    #[inline]
    fn is_after_word(self) -> bool {
        let Some(before) = self.at.checked_sub(1) else {
            return false;
        };
        match self.line.as_bytes().get(before) {
            Some(byte) if byte.is_ascii() => is_word(char::from(*byte)),
            _ => self.is_after_word_beyond_ascii(),
        }
    }

    #[cold]
    fn is_after_word_beyond_ascii(self) -> bool {
        let before = self.line.get(..self.at);
        let before = before.and_then(|before| before.chars().next_back());
        before.is_some_and(is_word)
    }

    /// Whether a word may begin here: right of no other word character.
    pub(crate) fn begins_word(self) -> bool {
        !self.is_after_word()
    }

    /// Whether a date may end here: it must not be glued to word characters.
    #[inline]
    pub(crate) fn ends(self) -> bool {
        !self.next_char().is_some_and(is_word) || !self.is_after_word()
    }

    // Plain text.

    pub(crate) fn byte(&mut self, wanted: u8) -> Option<()> {
        self.one_of(&[wanted]).map(|_| ())
    }

    pub(crate) fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let found = self.peek().filter(|byte| wanted.contains(byte))?;
        self.at += 1;
        Some(found)
    }

    pub(crate) fn text(&mut self, wanted: &str) -> Option<()> {
        self.line
            .as_bytes()
            .get(self.at..)?
            .starts_with(wanted.as_bytes())
            .then(|| self.at += wanted.len())
    }

    /// One blank or two.
    pub(crate) fn blanks(&mut self) -> Option<()> {
        self.byte(b' ')?;
        self.byte(b' ').or(Some(()))
    }

    /// `\s*`
    fn white(&mut self) {
        while let Some(c) = self
            .next_char()
            .filter(|c| c.is_whitespace() || ('\x1c'..='\x1f').contains(c))
        {
            self.at += c.len_utf8();
        }
    }

    // Numbers.

    fn digit(&mut self) -> Option<i8> {
        let found = self.peek().filter(u8::is_ascii_digit)?;
        self.at += 1;
        i8::try_from(found - b'0').ok()
    }

    fn two_digits(&mut self) -> Option<i8> {
        let found = two(self.bytes()?)?;
        self.at += 2;
        Some(found)
    }

    fn up_to_two_digits(&mut self) -> Option<i8> {
        let first = self.digit()?;
        Some(self.digit().map_or(first, |second| first * 10 + second))
    }

    fn hex_digit(&mut self) -> Option<i64> {
        let value = match self.peek()? {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ b'a'..=b'f' => letter - b'a' + 10,
            _ => return None,
        };
        self.at += 1;
        Some(i64::from(value))
    }

    /// So many lower-case hexadecimal digits, at most 15.
    pub(crate) fn hex(&mut self, count: usize) -> Option<i64> {
        (0..count).try_fold(0, |sum, _| Some(sum * 16 + self.hex_digit()?))
    }

    /// A decimal number of as many digits as there are, at most `most`, and how many.
    pub(crate) fn decimal(&mut self, most: usize) -> (i64, usize) {
        let start = self.at;
        let mut sum = 0;
        while self.at - start < most
            && let Some(digit) = self.digit()
        {
            sum = sum * 10 + i64::from(digit);
        }
        (sum, self.at - start)
    }

    // Dates.

    /// `%ExY`: a year from 2000 to the last that [`Reader::new`] was told.
    pub(crate) fn year(&mut self) -> Option<i16> {
        let year = i16::from(self.two_digits()?) * 100 + i16::from(self.two_digits()?);
        (2000..=self.last_year).contains(&year).then_some(year)
    }

    /// `%Exy`
    pub(crate) fn short_year(&mut self) -> Option<i16> {
        Some(2000 + i16::from(self.two_digits()?))
    }

    /// `%m`
    pub(crate) fn month(&mut self) -> Option<i8> {
        self.up_to_two_digits()
            .filter(|month| (1..=12).contains(month))
    }

    /// `%Exm`
    pub(crate) fn two_digit_month(&mut self) -> Option<i8> {
        self.two_digits().filter(|month| (1..=12).contains(month))
    }

    /// `%d`: instead of a leading zero there may be a blank.
    pub(crate) fn day(&mut self) -> Option<i8> {
        let day = match self.byte(b' ') {
            Some(()) => self.digit(),
            None => self.up_to_two_digits(),
        };
        day.filter(|day| (1..=31).contains(day))
    }

    /// `%Exd`
    pub(crate) fn two_digit_day(&mut self) -> Option<i8> {
        self.two_digits().filter(|day| (1..=31).contains(day))
    }

    /// Three letters in small ones. Other bytes become no letters.
    fn three_letters(&mut self) -> Option<[u8; 3]> {
        let name = self.bytes()?.map(|byte: u8| byte | 0x20);
        self.at += 3;
        Some(name)
    }

    /// `%b`
    #[inline]
    pub(crate) fn month_name(&mut self) -> Option<i8> {
        Some(match &self.three_letters()? {
            b"jan" => 1,
            b"feb" => 2,
            b"mar" => 3,
            b"apr" => 4,
            b"may" => 5,
            b"jun" => 6,
            b"jul" => 7,
            b"aug" => 8,
            b"sep" => 9,
            b"oct" => 10,
            b"nov" => 11,
            b"dec" => 12,
            _ => return None,
        })
    }

    /// `(?:%a )?%b`: nobody asks whether the weekday is right.
    pub(crate) fn month_after_weekday(&mut self) -> Option<i8> {
        let mut month = *self;
        // No weekday has the name of a month.
        if let Some(found) = month.month_name() {
            *self = month;
            return Some(found);
        }
        let is_day = matches!(
            &self.three_letters()?,
            b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun"
        );
        if !is_day {
            return None;
        }
        self.byte(b' ')?;
        self.month_name()
    }

    // Times of day.

    /// What `hour` reads, and `:%M:%S`.
    pub(crate) fn time(&mut self, hour: fn(&mut Self) -> Option<i8>) -> Option<(i8, i8, i8)> {
        if let Some(time) = self.bytes().and_then(usual_time) {
            self.at += 8;
            return Some(time);
        }
        let hour = hour(self)?;
        let (minute, second) = self.minute_second()?;
        Some((hour, minute, second))
    }

    /// `%H`
    pub(crate) fn hour(&mut self) -> Option<i8> {
        self.up_to_two_digits().filter(|hour| *hour <= 23)
    }

    /// `%k`: takes 24 to 29 too, which are no time.
    pub(crate) fn blank_hour(&mut self) -> Option<i8> {
        self.byte(b' ').or(Some(()))?;
        self.up_to_two_digits().filter(|hour| *hour <= 29)
    }

    /// `%ExH`
    pub(crate) fn two_digit_hour(&mut self) -> Option<i8> {
        self.two_digits().filter(|hour| *hour <= 23)
    }

    /// `%I`
    pub(crate) fn half_day_hour(&mut self) -> Option<i8> {
        self.up_to_two_digits()
            .filter(|hour| (1..=12).contains(hour))
    }

    /// `:%M:%S`: takes the seconds 60 and 61 too, which are no time.
    pub(crate) fn minute_second(&mut self) -> Option<(i8, i8)> {
        self.byte(b':')?;
        let minute = self.up_to_two_digits().filter(|minute| *minute <= 59)?;
        self.byte(b':')?;
        let second = self.up_to_two_digits().filter(|second| *second <= 61)?;
        Some((minute, second))
    }

    /// `:?%ExM:?%ExS`
    pub(crate) fn two_digit_minute_second(&mut self) -> Option<(i8, i8)> {
        self.byte(b':').or(Some(()))?;
        let minute = self.two_digits().filter(|minute| *minute <= 59)?;
        self.byte(b':').or(Some(()))?;
        let second = self.two_digits().filter(|second| *second <= 61)?;
        Some((minute, second))
    }

    /// `%p`, as the hours to add
    pub(crate) fn half_day(&mut self) -> Option<i8> {
        let [half, m] = self.bytes()?.map(|byte: u8| byte.to_ascii_lowercase());
        self.at += 2;
        match (half, m) {
            (b'a', b'm') => Some(0),
            (b'p', b'm') => Some(12),
            _ => None,
        }
    }

    // Zones.

    /// `%z` where a date may end after it. `folded`: letters count in any case.
    pub(crate) fn zone(&mut self, folded: bool) -> Option<&'a str> {
        if matches!(self.peek()?, b'+' | b'-') {
            return self.offset();
        }
        ["Z", "UTC", "GMT"].into_iter().find_map(|name| {
            let end = self.at + name.len();
            let word = self.line.get(self.at..end)?;
            let same = word == name || (folded && word.eq_ignore_ascii_case(name));
            (same && self.moved(end).ends()).then(|| {
                self.at = end;
                word
            })
        })
    }

    /// `[+-][01]\d(?::?\d{2})?`
    fn offset(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.one_of(b"+-")?;
        self.two_digits().filter(|hours| *hours <= 19)?;
        let mut long = *self;
        let colon = long.byte(b':').or(Some(()));
        let minutes = colon.and_then(|()| long.two_digits());
        if minutes.is_some() && long.ends() {
            *self = long;
        } else if !self.ends() {
            return None;
        }
        self.line.get(start..self.at)
    }

    /// `%Z` and a blank: any word of 3 to 5 letters, or `Z`.
    pub(crate) fn zone_name(&mut self) -> Option<&'a str> {
        let rest = self.line.get(self.at..)?;
        let length = rest
            .bytes()
            .take(6)
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let name = rest.get(..length)?;
        if !(name.eq_ignore_ascii_case("z") || (3..=5).contains(&length)) {
            return None;
        }
        self.at += length;
        self.byte(b' ')?;
        Some(name)
    }

    /// `\s*%z`
    pub(crate) fn spaced_zone(&mut self) -> Option<&'a str> {
        self.white();
        self.zone(false)
    }

    // The end.

    /// `(?:[marks]%f)?`, and after it what `last` reads, if that is there: the
    /// longest of the ways to end here that is not glued to a word.
    pub(crate) fn tail<T>(
        self,
        marks: &[u8],
        last: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<(usize, Option<T>)> {
        let mut start = self.fraction(marks).unwrap_or(self);
        loop {
            let mut longer = start;
            let value = last(&mut longer).filter(|_| longer.ends());
            let end = if value.is_some() { longer } else { start };
            if end.ends() {
                return Some((end.at, value));
            }
            if start.at == self.at {
                return None;
            }
            // The date ends before what looked like its fraction.
            start = self;
        }
    }

    /// As [`tail`](Self::tail), with nothing after the fraction.
    pub(crate) fn plain_tail(self, marks: &[u8]) -> Option<usize> {
        Some(self.tail(marks, |_| None::<()>)?.0)
    }

    fn fraction(mut self, marks: &[u8]) -> Option<Self> {
        self.one_of(marks)?;
        let rest = self.line.as_bytes().get(self.at..)?.iter().take(6);
        let digits = rest.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(self)
    }
}

/// The value of two digits.
fn two(digits: [u8; 2]) -> Option<i8> {
    let [tens, ones] = digits.map(|byte| byte.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 {
        return None;
    }
    i8::try_from(tens * 10 + ones).ok()
}

/// `HH:MM:SS`, as nearly all write it, all eight bytes at once.
pub(crate) fn usual_time(text: [u8; 8]) -> Option<(i8, i8, i8)> {
    // Leaves the value of a digit, and 0 of a colon.
    let values = u64::from_be_bytes(text) ^ u64::from_be_bytes(*b"00:00:00");
    // Takes a digit above 9 to the high bit of its byte, and what was no colon.
    let above = values.wrapping_add(0x7676_7f76_767f_7676);
    if (values | above) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // Each byte and ten times the one before: less than 100, so none overflows.
    let [_, hour, _, _, minute, _, _, second] = (values + (values >> 8) * 10).to_be_bytes();
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
    ))
}

/// A character of a word: not one that a date may touch.
#[inline]
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        c == '_' || c.is_ascii_alphanumeric()
    } else {
        is_word_beyond_ascii(c)
    }
}

/// Which characters those are is written down in the tables of the expressions.
#[cold]
fn is_word_beyond_ascii(c: char) -> bool {
    static WORD: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\w", Flags::default()).ok());
    let word = WORD.as_ref();
    word.is_some_and(|word| matches!(word.search(c.encode_utf8(&mut [0; 4])), Ok(Some(_))))
}
