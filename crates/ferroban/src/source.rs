//! Where lines come from: files and the journal.
//!
//! A [`LogSource`] hands out complete lines, each once and in the order of its
//! log, in [`Batch`]es of bounded size. It says what happened to the log as
//! [`Note`]s and how far it came as a [`Position`].
//!
//! Nothing here looks into a line: dates, filters and what is worth a log
//! message belong to the caller. Nothing here reads a clock either; a source
//! waits as long as it is told to, or until its [`Waker`] is pulled.

mod batch;
pub mod encoding;
mod error;
mod file;
mod journal;
mod logfile;
mod rotation;
mod waker;
mod watch;

use std::time::Duration;

pub use batch::{Batch, Change, Line, Lines, Note, Position};
pub use encoding::Encoding;
pub use error::Error;
pub use file::{FileTail, Start};
pub use journal::{Journal, Place, Query};
pub use waker::Waker;

/// The longest line, in bytes, that is handed out whole. Of a longer one this
/// much is kept, and a [`Note::TooLong`] says so: the attacker writes the log,
/// and no line of his decides how much memory we need.
pub const LINE_CAP: usize = 1 << 20;

/// What recognises a log file: the SHA-1 of its first line in hexadecimal. None if it
/// has no whole line yet, or cannot be read.
pub(crate) fn mark(path: &std::path::Path) -> Option<String> {
    // Opening anything else, a pipe for example, could wait for ever.
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    let file = is_file.then(|| std::fs::File::open(path).ok())??;
    logfile::first_line_hash(&file).ok().flatten()
}

/// A log that can be followed.
pub trait LogSource {
    /// Fills `batch` with what is next in the log, waiting for it as `wait` says.
    ///
    /// What `batch` held before is forgotten. A call may come back early with
    /// [`Turn::Idle`]; callers that mean a deadline look at their own clock.
    ///
    /// # Errors
    ///
    /// Only for what another call will not cure. What can be waited out (a log
    /// that is missing or may not be read) is a [`Note`].
    fn next(&mut self, batch: &mut Batch, wait: Wait) -> Result<Turn, Error>;
}

/// How long [`LogSource::next`] may wait if there is nothing to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most this long.
    AtMost(Duration),
    /// Until something happens.
    Forever,
}

impl Wait {
    /// The shorter of this wait and `limit`.
    fn capped(self, limit: Duration) -> Duration {
        match self {
            Self::No => Duration::ZERO,
            Self::AtMost(time) => time.min(limit),
            Self::Forever => limit,
        }
    }
}

/// What [`LogSource::next`] came back with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// The batch holds lines or notes. There may be more at once.
    Ready,
    /// Nothing new.
    Idle,
    /// The waker was pulled; the batch is empty.
    Woken,
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod journal_tests;
