//! What can be wrong with a zone that somebody asked for.

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
