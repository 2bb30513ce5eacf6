//! What `--str2sec` prints: the seconds in a duration such as `1d 12h`.
//!
//! Numbers with and without units are added up; `+ - * /` and brackets work. Whole
//! numbers stay whole, months and years are fractions. The text is short, and yet
//! nothing in it makes this recurse deeply.

use crate::wire::text::float;

/// How deep brackets and signs may be nested.
const DEPTH: usize = 50;

/// The seconds as Python prints them, or its words for why there are none.
pub(super) fn seconds(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("invalid syntax (<string>, line 0)".into());
    }
    let mut rest = Text {
        rest: text,
        depth: 0,
    };
    let sum = rest.sum()?;
    match rest.peek() {
        None => Ok(match sum {
            Number::Whole(number) => number.to_string(),
            Number::Fraction(number) => float(number),
        }),
        Some(_) => Err(SYNTAX.into()),
    }
}

const SYNTAX: &str = "invalid syntax (<string>, line 1)";
const LITERAL: &str = "invalid decimal literal (<string>, line 1)";
const TOO_LARGE: &str = "number is too large";

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "Python rounds in the same way where whole numbers meet fractions"
    )]
    fn fraction(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    fn with(self, operator: char, other: Self) -> Result<Self, String> {
        if let (Self::Whole(a), Self::Whole(b)) = (self, other) {
            let whole = match operator {
                '+' => Some(a.checked_add(b)),
                '-' => Some(a.checked_sub(b)),
                '*' => Some(a.checked_mul(b)),
                _ => None,
            };
            if let Some(whole) = whole {
                return whole.map(Self::Whole).ok_or(TOO_LARGE.into());
            }
        }
        let (a, b) = (self.fraction(), other.fraction());
        match operator {
            '+' => Ok(Self::Fraction(a + b)),
            '-' => Ok(Self::Fraction(a - b)),
            '*' => Ok(Self::Fraction(a * b)),
            _ if b == 0.0 => Err(match other {
                Self::Whole(_) if matches!(self, Self::Whole(_)) => "division by zero".into(),
                _ => "float division by zero".into(),
            }),
            _ => Ok(Self::Fraction(a / b)),
        }
    }
}

struct Text<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Text<'a> {
    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    /// As much as fits, from the present place.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn sum(&mut self) -> Result<Number, String> {
        let mut sum = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(sign @ ('+' | '-')) => {
                    self.skip();
                    sign
                }
                // What stands side by side is added.
                Some('0'..='9' | '.') => '+',
                _ => return Ok(sum),
            };
            sum = sum.with(operator, self.product()?)?;
        }
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut product = self.factor()?;
        while let Some(operator @ ('*' | '/')) = self.peek() {
            self.skip();
            product = product.with(operator, self.factor()?)?;
        }
        Ok(product)
    }

    fn factor(&mut self) -> Result<Number, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("too many nested parentheses".into());
        }
        let number = match self.peek() {
            Some('-') => {
                self.skip();
                Number::Whole(0).with('-', self.factor()?)?
            }
            Some('+') => {
                self.skip();
                self.factor()?
            }
            Some('(') => {
                self.skip();
                let sum = self.sum()?;
                if self.peek() != Some(')') {
                    return Err(SYNTAX.into());
                }
                self.skip();
                sum
            }
            Some('0'..='9' | '.') => self.number()?,
            Some(letter) if letter.is_alphabetic() || letter == '_' => {
                let name = self.run(|c| c.is_alphanumeric() || c == '_');
                return Err(match self.peek() {
                    Some(letter) if letter.is_alphanumeric() => SYNTAX.into(),
                    _ => format!("name '{name}' is not defined"),
                });
            }
            _ => return Err(SYNTAX.into()),
        };
        self.depth -= 1;
        Ok(number)
    }

    fn number(&mut self) -> Result<Number, String> {
        let digits = self.run(|c| c.is_ascii_digit() || c == '.' || c == '_');
        let number = parse(digits)?;
        let glued = self.rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let behind = self.rest;
        self.peek();
        let unit = self.run(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
        match (unit.as_str(), unit_seconds(&unit)) {
            ("", _) => {
                self.rest = behind;
                Ok(number)
            }
            (_, Some(seconds)) => number.with('*', seconds),
            (_, None) if glued => Err(LITERAL.into()),
            (_, None) => Err(SYNTAX.into()),
        }
    }
}

/// A number as Python writes it.
fn parse(digits: &str) -> Result<Number, String> {
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if misplaced || digits.contains("._") || digits.contains("_.") {
        return Err(LITERAL.into());
    }
    let digits = digits.replace('_', "");
    if digits.contains('.') {
        let fraction = digits.parse().map(Number::Fraction);
        return fraction.map_err(|_| SYNTAX.into());
    }
    if digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
        return Err(
            "leading zeros in decimal integer literals are not permitted; \
                    use an 0o prefix for octal integers (<string>, line 1)"
                .into(),
        );
    }
    let whole = digits.parse().map(Number::Whole);
    whole.map_err(|_| TOO_LARGE.into())
}

fn unit_seconds(unit: &str) -> Option<Number> {
    Some(match unit {
        "s" | "ss" | "sec" | "second" | "seconds" => Number::Whole(1),
        "m" | "mm" | "min" | "minute" | "minutes" => Number::Whole(60),
        "h" | "hh" | "hour" | "hours" => Number::Whole(3600),
        "d" | "dd" | "da" | "day" | "days" => Number::Whole(86_400),
        "w" | "ww" | "wee" | "week" | "weeks" => Number::Whole(604_800),
        "mo" | "mon" | "month" | "months" => Number::Fraction(2_629_800.0),
        "y" | "yy" | "yea" | "year" | "years" => Number::Fraction(31_557_600.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_what_fail2ban_makes_of_them() {
        let rows = [
            ("600", "600"),
            ("1d2h", "93600"),
            ("5w 3d", "3283200"),
            ("1.5h", "5400.0"),
            ("2mo", "5259600.0"),
            ("1y6mo", "47336400.0"),
            ("1h30", "3630"),
            ("5m 30", "330"),
            ("-1", "-1"),
            ("--1", "1"),
            ("1d-2h", "79200"),
            ("1year-6mo", "15778800.0"),
            ("60*5", "300"),
            ("1h*2", "7200"),
            ("1/2", "0.5"),
            ("(1)", "1"),
            ("1 2", "3"),
            ("1 d 2 h", "93600"),
            ("2 weeks 3 days", "1468800"),
            ("1M", "60"),
            (" 5m ", "300"),
            ("1_000", "1000"),
            (".5h", "1800.0"),
            ("1d1.5h", "91800.0"),
            ("00", "0"),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_as_python_does() {
        let syntax = "invalid syntax (<string>, line 1)";
        let literal = "invalid decimal literal (<string>, line 1)";
        let rows = [
            ("", "invalid syntax (<string>, line 0)"),
            ("x", "name 'x' is not defined"),
            ("bogus", "name 'bogus' is not defined"),
            ("a b", syntax),
            ("5 x", syntax),
            ("1x", literal),
            ("1hr", literal),
            ("1e3", literal),
            ("(1", syntax),
            ("1/0", "division by zero"),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text), Err(expected.to_owned()), "{text}");
        }
        assert!(seconds("007").unwrap_err().starts_with("leading zeros"));
        assert!(seconds(&"(".repeat(10_000)).is_err());
        assert!(seconds(&"-".repeat(10_000)).is_err());
        assert!(seconds(&"9".repeat(60)).is_err());
    }
}
