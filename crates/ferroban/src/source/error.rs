//! What makes a source give up.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a source cannot go on.
#[derive(Debug)]
pub enum Error {
    /// A waker could not be made.
    Waker(io::Error),
    /// Waiting for the log failed.
    Wait(io::Error),
    /// The path of a log has no file name, or no absolute form.
    Path(PathBuf),
    /// `libsystemd` is not installed, or too old.
    NoJournal(String),
    /// The journal could not be used.
    Journal {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waker(_) => f.write_str("log source: no eventfd; raise the limit of open files"),
            Self::Wait(_) => f.write_str("log source: waiting for the log failed"),
            Self::Path(path) => {
                write!(
                    f,
                    "{}: not the path of a log file; name a file",
                    path.display()
                )
            }
            Self::NoJournal(why) => {
                write!(
                    f,
                    "journal: {why}; install libsystemd, or use logpath with backend = auto"
                )
            }
            Self::Journal { what, .. } => write!(f, "journal: cannot {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Waker(source) | Self::Wait(source) | Self::Journal { source, .. } => Some(source),
            Self::Path(_) | Self::NoJournal(_) => None,
        }
    }
}
