//! Why a command is refused, in terms of what clients are told.

use std::fmt;

use ferroban_config::quoted;

/// Why a command is refused. The class of a Python exception and its text are part of
/// the interface: programs show them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// Words are missing.
    TooFew,
    /// No jail of that name.
    UnknownJail(String),
    /// A jail of that name is there already.
    DuplicateJail(String),
    /// A file is not there.
    NoFile(String),
    /// What should be a file is a folder.
    Folder(String),
    /// A regular expression cannot be used.
    Regex(String),
    /// Anything else: the exception's class and its text.
    Error(&'static str, String),
}

impl Refusal {
    /// A refusal for its own sake.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::Error("Exception", text.into())
    }

    /// A value that cannot be.
    pub(crate) fn value(text: impl Into<String>) -> Self {
        Self::Error("ValueError", text.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew => f.write_str("words are missing"),
            Self::UnknownJail(jail) => write!(f, "there is no jail {}", quoted(jail)),
            Self::DuplicateJail(jail) => write!(f, "there is a jail {} already", quoted(jail)),
            Self::NoFile(path) => write!(f, "there is no file {}", quoted(path)),
            Self::Folder(path) => write!(f, "{} is a folder", quoted(path)),
            Self::Regex(text) | Self::Error(_, text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Refusal {}
