//! Everything that a filter sees in one line, for those who want to understand it.

use std::ops::Range;

use ferroban_date::{Timestamp, Unusable};

use super::Failure;
use crate::capture::Capture;
use crate::id::FailId;
use crate::name::Name;

/// Groups by name, in their order, also those that took no part.
pub type Groups = Vec<(Name, Option<Capture>)>;

/// How much is told of a failure. Who only counts them is spared what they were.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Depth {
    /// That there is one. Whose it is only where a name stands for addresses.
    Count,
    /// Whose it is.
    #[default]
    Who,
    /// What is kept for actions as well: the lines, and what they mean by it.
    Kept,
    /// All groups as they are, and whose failure it would be, if it is none.
    Groups,
}

/// How closely [`Filter::examine`](super::Filter::examine) looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Detail {
    /// Whether every failregex is tried, rather than all up to the first that matches.
    pub all: bool,
    /// How much is told of each failure.
    pub depth: Depth,
}

/// What [`Filter::examine`](super::Filter::examine) saw in a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Its date.
    pub date: DateSight,
    /// What prefregex captured, if it matched and groups are wanted; none if it did not
    /// match, or there is no prefregex.
    pub prefix: Option<Groups>,
    /// The failregexes that matched, in the order in which they were tried.
    pub hits: Vec<Hit>,
    /// The ignoreregex that matches this line, whether or not a failregex does.
    pub ignored: Option<usize>,
}

/// The date of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DateSight {
    /// There is none.
    #[default]
    None,
    /// The source told the time; it does not stand in the line.
    Given(Timestamp),
    /// A date pattern took an empty text for a date.
    Empty,
    /// What looks like a date is none.
    Unusable {
        /// Where it stands, in bytes of the line.
        span: Range<usize>,
        /// What is wrong with it.
        why: Unusable,
    },
    /// A date.
    Found {
        /// Where it stands, in bytes of the line.
        span: Range<usize>,
        /// When that is.
        time: Timestamp,
    },
}

/// A failregex that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which, from 0.
    pub regex: usize,
    /// What it amounts to.
    pub outcome: Outcome,
    /// The lines before this one that took part, as how far back they stand.
    pub back: Vec<u64>,
}

/// What a match amounts to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing: this ignoreregex matches too.
    Ignored(usize),
    /// No failure by itself; the session remembers it. Whose it would be, if that is
    /// known and the groups are wanted.
    Harmless(Option<FailId>),
    /// A failure, but nobody knows yet whose.
    Pending,
    /// A failure of somebody, where [`Depth::Count`] is enough.
    Counted {
        /// As [`Found::no_failure`].
        no_failure: bool,
    },
    /// A failure.
    Failure(Box<Found>),
}

/// A failure that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The failure.
    pub failure: Failure,
    /// Whether its time stands in the log; else it is that of the moment.
    pub has_time: bool,
    /// Whether `<F-NOFAIL>` says that it is none. That is heeded within a session only.
    pub no_failure: bool,
    /// All groups in order, also those that took no part, if they are wanted.
    pub fields: Groups,
}
