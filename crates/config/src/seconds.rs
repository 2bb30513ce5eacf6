//! Time as people write it: `600`, `10m`, `1h 30m`, `1d12h`, `60*5`.
//!
//! The text is arithmetic. A number with a unit is a product, two terms side by side
//! are a sum, and `+ - * /` and parentheses mean what they always do.

use std::{fmt, str::FromStr};

use crate::line::{cut, is_space};

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 32;

/// A number of seconds, whole unless months, years, a fraction or a division came in.
///
/// ```
/// use ferroban_config::Seconds;
///
/// assert_eq!("1h 30m".parse(), Ok(Seconds::Whole(5400)));
/// assert_eq!("1mo".parse(), Ok(Seconds::Fraction(2_629_800.0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seconds {
    /// A whole number.
    Whole(i64),
    /// Any other, finite.
    Fraction(f64),
}

impl Seconds {
    /// The number, rounded towards zero and cut at the limits.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "cutting is what it is for")]
    pub fn whole(self) -> i64 {
        match self {
            Self::Whole(number) => number,
            Self::Fraction(number) => number as i64,
        }
    }

    /// The number as floating point.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    fn combine(
        self,
        other: Self,
        whole: fn(i64, i64) -> Option<i64>,
        fraction: fn(f64, f64) -> f64,
    ) -> Result<Self, SecondsError> {
        if let (Self::Whole(a), Self::Whole(b)) = (self, other) {
            return whole(a, b).map(Self::Whole).ok_or(SecondsError::TooLarge);
        }
        Self::finite(fraction(self.as_f64(), other.as_f64()))
    }

    fn finite(number: f64) -> Result<Self, SecondsError> {
        if number.is_finite() {
            Ok(Self::Fraction(number))
        } else {
            Err(SecondsError::TooLarge)
        }
    }

    fn plus(self, other: Self) -> Result<Self, SecondsError> {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    fn minus(self, other: Self) -> Result<Self, SecondsError> {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    fn times(self, other: Self) -> Result<Self, SecondsError> {
        self.combine(other, i64::checked_mul, |a, b| a * b)
    }

    fn over(self, other: Self) -> Result<Self, SecondsError> {
        if other.as_f64() == 0.0 {
            return Err(SecondsError::DivisionByZero);
        }
        Self::finite(self.as_f64() / other.as_f64())
    }
}

/// As Python prints it: `5400`, `2629800.0`.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Fraction(number) => write!(f, "{number:?}"),
        }
    }
}

/// Why a text is no time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SecondsError {
    /// Nothing at all.
    Empty,
    /// A word where a number should be.
    Word(String),
    /// A number is followed by a word that is no unit.
    Unit(String),
    /// A whole number begins with `0`, as in `010`.
    LeadingZero,
    /// An underscore that does not stand between two digits.
    Underscore,
    /// Something else that does not belong there; nothing if the text ends too early.
    Unexpected(Option<char>),
    /// A division by zero.
    DivisionByZero,
    /// Too large a number, or too deep parentheses.
    TooLarge,
}

impl fmt::Display for SecondsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no time given; write 600 or 10m"),
            Self::Word(word) => write!(f, "'{word}' is no number; write 600 or 10m"),
            Self::Unit(unit) => write!(f, "'{unit}' is no unit; use s, m, h, d, w, mo or y"),
            Self::LeadingZero => write!(f, "a number begins with 0; leave the 0 out"),
            Self::Underscore => write!(f, "misplaced underscore; leave it out"),
            Self::Unexpected(Some(c)) => {
                write!(
                    f,
                    "unexpected {c:?}; use numbers, units, + - * / and parentheses"
                )
            }
            Self::Unexpected(None) => write!(f, "the time ends too early; complete it"),
            Self::DivisionByZero => write!(f, "division by zero; divide by another number"),
            Self::TooLarge => write!(f, "too large; use -1 for a time without end"),
        }
    }
}

impl std::error::Error for SecondsError {}

impl SecondsError {
    /// What fail2ban says about this.
    #[must_use]
    pub fn original(&self) -> String {
        match self {
            Self::Empty => "invalid syntax (<string>, line 0)".to_owned(),
            Self::Word(word) => format!("name '{word}' is not defined"),
            Self::Unit(_) | Self::Underscore => "invalid decimal literal (<string>, line 1)".to_owned(),
            Self::LeadingZero => "leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers (<string>, line 1)".to_owned(),
            Self::DivisionByZero => "division by zero".to_owned(),
            Self::Unexpected(_) | Self::TooLarge => "invalid syntax (<string>, line 1)".to_owned(),
        }
    }
}

impl FromStr for Seconds {
    type Err = SecondsError;

    fn from_str(text: &str) -> Result<Self, SecondsError> {
        let mut parser = Parser {
            rest: text.trim_matches(is_space),
            depth: 0,
        };
        if parser.rest.is_empty() {
            return Err(SecondsError::Empty);
        }
        let sum = parser.sum()?;
        match parser.peek() {
            None => Ok(sum),
            Some(_) => Err(parser.unexpected()),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// The next character after white space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches(is_space);
        self.rest.chars().next()
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.rest = cut(self.rest, c.len_utf8()).1;
        }
        found
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = cut(self.rest, end);
        self.rest = rest;
        taken
    }

    fn unexpected(&mut self) -> SecondsError {
        match self.peek() {
            Some(c) if c.is_alphabetic() => {
                let word = self.take(|c| c.is_alphanumeric() || c == '_').to_owned();
                match self.peek() {
                    Some(next) if next.is_alphanumeric() => SecondsError::Unexpected(Some(c)),
                    _ => SecondsError::Word(word),
                }
            }
            other => SecondsError::Unexpected(other),
        }
    }

    fn sum(&mut self) -> Result<Seconds, SecondsError> {
        let mut sum = self.product()?;
        loop {
            sum = if self.accept('+') {
                sum.plus(self.product()?)?
            } else if self.accept('-') {
                sum.minus(self.product()?)?
            } else if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                sum.plus(self.product()?)?
            } else {
                return Ok(sum);
            };
        }
    }

    fn product(&mut self) -> Result<Seconds, SecondsError> {
        let mut product = self.factor(Seconds::Whole(1), Seconds::times)?;
        loop {
            product = if self.accept('*') {
                self.factor(product, Seconds::times)?
            } else if self.accept('/') {
                self.factor(product, Seconds::over)?
            } else {
                return Ok(product);
            };
        }
    }

    /// `product`, combined with the next factor, and with the unit after it: `1/2h` is
    /// `1 / 2 * 3600`.
    fn factor(
        &mut self,
        product: Seconds,
        combine: fn(Seconds, Seconds) -> Result<Seconds, SecondsError>,
    ) -> Result<Seconds, SecondsError> {
        let mut sign = 1;
        loop {
            if self.accept('-') {
                sign = -sign;
            } else if !self.accept('+') {
                break;
            }
        }
        let sign = Seconds::Whole(sign);
        if self.accept('(') {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(SecondsError::TooLarge);
            }
            let inner = self.sum()?;
            if !self.accept(')') {
                return Err(self.unexpected());
            }
            self.depth -= 1;
            return combine(product, sign.times(inner)?);
        }
        let number = sign.times(self.number()?)?;
        combine(product, number)?.times(self.unit()?)
    }

    fn number(&mut self) -> Result<Seconds, SecondsError> {
        if !self.peek().is_some_and(starts_number) {
            return Err(self.unexpected());
        }
        let text = self.take(|c| c.is_ascii_digit() || matches!(c, '_' | '.'));
        let well_placed = |part: &str| part.split('_').all(|digits| !digits.is_empty());
        let (whole, fraction) = text
            .split_once('.')
            .map_or((text, None), |(a, b)| (a, Some(b)));
        let parts = [whole, fraction.unwrap_or_default()];
        if text == "." || parts.iter().any(|part| part.contains('.')) {
            return Err(SecondsError::Unexpected(Some('.')));
        }
        if !parts
            .iter()
            .all(|part| part.is_empty() || well_placed(part))
        {
            return Err(SecondsError::Underscore);
        }
        let digits = text.replace('_', "");
        if fraction.is_some() {
            return Seconds::finite(digits.parse().map_err(|_| SecondsError::TooLarge)?);
        }
        if digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|c| c != b'0') {
            return Err(SecondsError::LeadingZero);
        }
        digits
            .parse()
            .map(Seconds::Whole)
            .map_err(|_| SecondsError::TooLarge)
    }

    /// What the unit after a number multiplies it with: 1 if there is none.
    fn unit(&mut self) -> Result<Seconds, SecondsError> {
        let glued = self.rest.starts_with(char::is_alphabetic);
        let Some(first) = self.peek().filter(|c| c.is_alphabetic()) else {
            return Ok(Seconds::Whole(1));
        };
        let unit = self.take(char::is_alphabetic);
        Ok(match unit.to_lowercase().as_str() {
            "s" | "ss" | "se" | "sec" | "second" | "seconds" => Seconds::Whole(1),
            "m" | "mm" | "mi" | "min" | "minute" | "minutes" => Seconds::Whole(60),
            "h" | "hh" | "ho" | "hou" | "hour" | "hours" => Seconds::Whole(3600),
            "d" | "dd" | "da" | "day" | "days" => Seconds::Whole(86400),
            "w" | "ww" | "we" | "wee" | "week" | "weeks" => Seconds::Whole(604_800),
            "mo" | "mon" | "month" | "months" => Seconds::Fraction(2_629_800.0),
            "y" | "yy" | "ye" | "yea" | "year" | "years" => Seconds::Fraction(31_557_600.0),
            _ if glued => return Err(SecondsError::Unit(unit.to_owned())),
            _ => return Err(SecondsError::Unexpected(Some(first))),
        })
    }
}

fn starts_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

#[cfg(test)]
mod tests;
