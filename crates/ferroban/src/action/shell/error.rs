//! What can go wrong with an action.

use std::fmt;

use ferroban_config::quoted;

use super::tags::TagError;

/// Why an action did not do as it was told. The log has more of it already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The command for one ban failed, or the firewall is in no state for it.
    Ticket {
        /// `banning` and the like.
        doing: &'static str,
        /// Whom.
        ip: String,
    },
    /// The command for the whole action failed.
    Operation {
        /// `starting` and the like.
        doing: &'static str,
        jail: String,
        action: String,
        /// If there was no command to run.
        source: Option<Box<TagError>>,
    },
    /// There is no command to run.
    Tags(TagError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket { doing, ip } => write!(f, "Error {doing} {ip}"),
            Self::Operation {
                doing,
                jail,
                action,
                source,
            } => {
                write!(f, "Error {doing} action Jail({})/{action}: ", quoted(jail))?;
                match source {
                    Some(error) => write!(f, "ValueError({})", quoted(&error.to_string())),
                    None => f.write_str("'Script error'"),
                }
            }
            Self::Tags(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        Self::Tags(error)
    }
}
