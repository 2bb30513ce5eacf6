//! What can be wrong with a zone or a date pattern that somebody asked for.

use std::fmt;

/// Why there is no such zone.
#[derive(Debug)]
pub enum Error {
    /// The system's time zone database has no zone of this name.
    UnknownZone {
        /// The name asked for.
        name: String,
        /// What the database said.
        source: jiff::Error,
    },
    /// The text is no POSIX rule.
    BadZoneRule {
        /// The text given.
        rule: String,
        /// What is wrong with it.
        source: jiff::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownZone { name, .. } => write!(
                f,
                "zone '{name}': not in the time zone database; give a name like 'Europe/Berlin', or install tzdata"
            ),
            Self::BadZoneRule { rule, .. } => write!(
                f,
                "zone '{rule}': not a POSIX rule; give one like 'CET-01CEST-02,M3.5.0,M10.5.0'"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UnknownZone { source, .. } | Self::BadZoneRule { source, .. } => Some(source),
        }
    }
}

/// Why there is no such date pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PatternError {
    /// It has a directive that is none, or is no regular expression.
    Bad {
        /// The pattern.
        pattern: String,
        /// What is wrong with it, in Python's words.
        problem: String,
    },
    /// There is another of its name.
    Duplicate {
        /// The name, as [`display_name`](crate::display_name) gives it.
        name: String,
    },
}

impl PatternError {
    pub(crate) fn bad(pattern: &str, problem: impl Into<String>) -> Self {
        Self::Bad {
            pattern: pattern.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The original's words.
impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad { pattern, problem } => write!(
                f,
                "Failed to set datepattern '{pattern}' (may be an invalid format or unescaped percent char): {problem}"
            ),
            Self::Duplicate { name } => {
                write!(f, "There is already a template with name {name}")
            }
        }
    }
}

impl std::error::Error for PatternError {}
