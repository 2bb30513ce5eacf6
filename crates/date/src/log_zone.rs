//! Zones as text: `CET`, `+02:00`, `UTC-0330`; and the zone of a log whose stamps
//! name none.
//!
//! The names have fixed offsets, without daylight saving: `PDT` in January is still
//! UTC-7. Zones with rules are in [`zone`](crate::zone).

use std::fmt;

use crate::Unusable;
use crate::decimal::digit;
use crate::zone::abbreviation;

/// The zone of a log's stamps that name none (`logtimezone`): a fixed distance
/// from UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogZone {
    ahead: i64,
}

impl LogZone {
    /// A zone by its text: the abbreviation of a zone, an offset as `+0200`, `+02`
    /// or `+02:00`, or both, which are added. No text at all is UTC.
    ///
    /// ```
    /// use ferroban_date::LogZone;
    ///
    /// assert_eq!(LogZone::parse("UTC+0200")?, LogZone::parse("CEST")?);
    /// let error = LogZone::parse("Europe/Berlin").unwrap_err();
    /// assert_eq!(error.to_string(), "Unknown or unsupported time zone: 'Europe/Berlin'");
    /// # Ok::<(), ferroban_date::LogZoneError>(())
    /// ```
    ///
    /// # Errors
    /// [`LogZoneError`] if the text is no such zone.
    pub fn parse(text: &str) -> Result<Self, LogZoneError> {
        let ahead = offset(text).map_err(|wrong| match wrong {
            NoOffset::Unsupported => LogZoneError::Unsupported(text.to_owned()),
            NoOffset::Unknown(name) => LogZoneError::Unknown(name.to_owned()),
        })?;
        Ok(Self { ahead })
    }

    /// How many seconds it is ahead of UTC.
    pub(crate) const fn ahead(self) -> i64 {
        self.ahead
    }
}

/// Why a text is no zone of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogZoneError {
    /// It does not look like one.
    Unsupported(String),
    /// It looks like the abbreviation of a zone, but there is no such one.
    Unknown(String),
}

/// The original's words.
impl fmt::Display for LogZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) => {
                write!(f, "Unknown or unsupported time zone: {}", quoted(text))
            }
            Self::Unknown(name) => write!(f, "{}", quoted(name)),
        }
    }
}

impl std::error::Error for LogZoneError {}

/// The text as Python shows it.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', r"\\");
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"\'"))
    }
}

/// Why a text is no zone.
#[derive(Debug)]
pub(crate) enum NoOffset<'a> {
    /// It does not look like one.
    Unsupported,
    /// There is no zone of this abbreviation.
    Unknown(&'a str),
}

impl NoOffset<'_> {
    /// What that makes of the date it stands in.
    pub(crate) fn unusable(self) -> Unusable {
        match self {
            Self::Unsupported => Unusable::NotATime,
            Self::Unknown(name) => Unusable::UnknownZone(name.to_owned()),
        }
    }
}

/// How many seconds the zone of a text is ahead of UTC.
pub(crate) fn offset(text: &str) -> Result<i64, NoOffset<'_>> {
    let sign = text.find(['+', '-']).unwrap_or(text.len());
    let (name, numbers) = text.split_at_checked(sign).unwrap_or((text, ""));
    let is_name =
        matches!(name.len(), 0 | 1 | 3..=5) && name.bytes().all(|b| b.is_ascii_uppercase());
    let numbers = match numbers {
        "" => Some(0),
        numbers => hours_minutes(numbers),
    };
    let numbers = numbers.filter(|_| is_name).ok_or(NoOffset::Unsupported)?;
    match name {
        "" => Ok(numbers),
        name => {
            let named = abbreviation(name).ok_or(NoOffset::Unknown(name))?;
            Ok(named + numbers)
        }
    }
}

/// `[+-][01]\d(?::?\d{2})?`
fn hours_minutes(text: &str) -> Option<i64> {
    let mut chars = text.chars();
    let sign = if chars.next()? == '-' { -1 } else { 1 };
    let tens = chars.next().filter(|c| matches!(c, '0' | '1'))?;
    let hours = two(tens, chars.next()?)?;
    let rest = chars.as_str();
    let mut minutes = rest.strip_prefix(':').unwrap_or(rest).chars();
    let minutes = match (minutes.next(), minutes.next(), minutes.next()) {
        (None, ..) if rest.is_empty() => 0,
        (Some(tens), Some(ones), None) => two(tens, ones)?,
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

fn two(tens: char, ones: char) -> Option<i64> {
    Some(i64::from(digit(tens)?) * 10 + i64::from(digit(ones)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_name_an_offset_or_both() {
        let cases = [
            ("", Some(0)),
            ("UTC", Some(0)),
            ("GMT-0100", Some(-3600)),
            ("UTC+02:00", Some(7200)),
            ("+0200", Some(7200)),
            ("-03:30", Some(-12600)),
            ("+19", Some(68400)),
            ("CET+0100", Some(7200)),
            ("B", Some(7200)),
            ("UTC+2", None),
            ("+20", None),
            ("+02:", None),
            ("+02000", None),
            ("Europe/Berlin", None),
            ("utc", None),
            ("ET", None),
            ("ABC", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                LogZone::parse(text).ok().map(LogZone::ahead),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn errors_are_in_the_words_of_the_original() {
        let cases = [
            ("UTC+2", "Unknown or unsupported time zone: 'UTC+2'"),
            ("it's", "Unknown or unsupported time zone: \"it's\""),
            ("ABC", "'ABC'"),
        ];
        for (text, expected) in cases {
            assert_eq!(LogZone::parse(text).unwrap_err().to_string(), expected);
        }
    }
}
