//! What a filter wants people to know, and how often.

use std::fmt;

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};

/// What a filter wants people to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum FilterNote {
    /// A line's time is `seconds` before now (after, if negative), so it counts
    /// as happening now.
    OddTime { seconds: i64, line: String },
    /// A line is older than `findtime` and was skipped while catching up.
    TooOld { findtime: u32, line: String },
    /// A line matched but has no time of its own; `date` is what was taken for it.
    NoTime { date: String, line: String },
    /// What looks like a date is none.
    Unreadable { date: String },
    /// A pattern with back-references gave up on a line; it did not count.
    GaveUp { pattern: String, line: String },
}

impl fmt::Display for FilterNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OddTime { seconds, line } => write!(f, "time is {seconds} s off: {line}"),
            Self::TooOld { findtime, line } => write!(f, "older than {findtime} s: {line}"),
            Self::NoTime { line, .. } => write!(f, "match without a time: {line}"),
            Self::Unreadable { date } => write!(f, "not a date: {date}"),
            Self::GaveUp { pattern, line } => write!(f, "'{pattern}' gave up on: {line}"),
        }
    }
}

/// The kinds of notes that whoever writes the log could otherwise repeat at will.
#[derive(Clone, Copy, Debug)]
pub(super) enum Complaint {
    TooOld,
    OddTime,
    NoTime,
    Unreadable,
    GaveUp,
}

impl Complaint {
    /// How often it is repeated, in seconds.
    const fn every(self) -> i64 {
        match self {
            Self::TooOld | Self::OddTime | Self::NoTime => 24 * 60 * 60,
            Self::Unreadable | Self::GaveUp => 60,
        }
    }
}

/// When each kind was told last.
#[derive(Debug, Default)]
pub(super) struct Told([Option<Timestamp>; 5]);

impl Told {
    /// Whether it is time to tell this, which is then taken as told.
    pub(super) fn is_due(&mut self, what: Complaint, now: Timestamp) -> bool {
        let Some(told) = self.0.get_mut(what as usize) else {
            return false;
        };
        let due = |last: Timestamp| (now.secs() - last.secs()).abs() >= what.every();
        let is_due = told.is_none_or(due);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

/// Enough of a line to recognise it by.
pub(super) fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(400))
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}
