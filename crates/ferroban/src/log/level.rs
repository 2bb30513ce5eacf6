//! How much a line matters, in fail2ban's names and numbers.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr;

use ferroban_config::quoted;

/// How much a line matters: Python's levels, and fail2ban's own between and below them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// `HEAVYDEBUG` in a configuration.
    Heavy,
    /// `TRACEDEBUG` in a configuration.
    Trace,
    Debug,
    Msg,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    /// A number without a name.
    Other(u32),
}

/// A level, its number, what lines call it, and what a configuration may call it.
type Row = (Level, u32, &'static str, &'static [&'static str]);

const ROWS: [Row; 9] = [
    (Level::Heavy, 5, "HEAVY", &["HEAVYDEBUG"]),
    (Level::Trace, 7, "TRACE", &["TRACEDEBUG"]),
    (Level::Debug, 10, "DEBUG", &["DEBUG"]),
    (Level::Msg, 18, "MSG", &["MSG"]),
    (Level::Info, 20, "INFO", &["INFO"]),
    (Level::Notice, 25, "NOTICE", &["NOTICE"]),
    (Level::Warning, 30, "WARNING", &["WARNING", "WARN"]),
    (Level::Error, 40, "ERROR", &["ERROR"]),
    (Level::Critical, 50, "CRITICAL", &["CRITICAL", "FATAL"]),
];

impl Level {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Other(number) => number,
            named => named.row().map_or(0, |row| row.1),
        }
    }

    /// What lines call it.
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self.row() {
            Some(row) => row.2.into(),
            None => format!("#{:02}-Lev.", self.number()).into(),
        }
    }

    /// What a configuration calls it.
    pub(super) fn setting(self) -> String {
        let name = self.row().and_then(|row| row.3.first());
        name.map_or_else(|| self.number().to_string(), |name| (*name).to_owned())
    }

    /// The least number that a line needs if this level is wanted. Zero says nothing
    /// of its own: then Python's default counts, which is WARNING.
    pub(super) fn threshold(self) -> u32 {
        match self.number() {
            0 => Self::Warning.number(),
            number => number,
        }
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.0 == self)
    }
}

impl From<u32> for Level {
    fn from(number: u32) -> Self {
        let named = ROWS.iter().find(|row| row.1 == number);
        named.map_or(Self::Other(number), |row| row.0)
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_uppercase();
        if !upper.is_empty() && upper.bytes().all(|byte| byte.is_ascii_digit()) {
            // More than fits is more than any line has.
            return Ok(Self::from(upper.parse().unwrap_or(u32::MAX)));
        }
        if upper == "NOTSET" {
            return Ok(Self::Other(0));
        }
        ROWS.iter()
            .find(|row| row.3.contains(&upper.as_str()))
            .map(|row| row.0)
            .ok_or_else(|| format!("Invalid log level {}", quoted(&upper)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case_and_as_numbers() {
        let cases = [
            // text, number, printed name
            ("critical", 50, "CRITICAL"),
            ("FATAL", 50, "CRITICAL"),
            ("Error", 40, "ERROR"),
            ("warning", 30, "WARNING"),
            ("Warn", 30, "WARNING"),
            ("notice", 25, "NOTICE"),
            ("INFO", 20, "INFO"),
            ("msg", 18, "MSG"),
            ("debug", 10, "DEBUG"),
            ("TraceDebug", 7, "TRACE"),
            ("heavydebug", 5, "HEAVY"),
            ("20", 20, "INFO"),
            ("09", 9, "#09-Lev."),
            ("100", 100, "#100-Lev."),
            ("99999999999999999999", u32::MAX, "#4294967295-Lev."),
        ];
        for (text, number, name) in cases {
            let level: Level = text.parse().unwrap();
            assert_eq!((level.number(), &*level.name()), (number, name), "{text}");
            assert_eq!(Level::from(number), level, "{text}");
        }
        assert!(Level::Msg < Level::Info && Level::Notice < Level::Warning);
        assert!(Level::Other(9) < Level::Debug && Level::Trace < Level::Other(9));
    }

    #[test]
    fn what_is_no_level_is_told_in_the_originals_words() {
        for text in [
            "BOGUS", "", " 9", "+9", "-5", "9.5", "1_0", "HANDLER", "TRACE", "#09-LEV.",
        ] {
            let told = format!("Invalid log level '{text}'");
            assert_eq!(text.to_lowercase().parse::<Level>(), Err(told));
        }
        let told = Err(r#"Invalid log level "IT'S""#.to_owned());
        assert_eq!("it's".parse::<Level>(), told);
    }

    #[test]
    fn level_zero_is_the_default_of_python() {
        for text in ["0", "NotSet"] {
            let level: Level = text.parse().unwrap();
            assert_eq!(level.threshold(), Level::Warning.number(), "{text}");
        }
        assert_eq!(Level::Heavy.threshold(), 5);
    }
}
