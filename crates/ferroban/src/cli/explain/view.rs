//! What is told of a line: the fields that `--json` prints and `docs/json.md` describes. What
//! people read is made of them, too.

use std::ops::Range;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A line, step by step.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) line: String,
    pub(super) date: Date,
    /// None if the filter has no prefregex, or it was not asked.
    pub(super) prefix: Option<Prefix>,
    /// The failregex that counts.
    pub(super) failregex: Option<Matched>,
    /// The numbers of others that would match, too.
    pub(super) others: Vec<usize>,
    /// If none matches: the one that got furthest, and where it stopped.
    pub(super) closest: Option<Stop>,
    /// If none matches: the text that failregexes looked at.
    pub(super) sees: Option<String>,
    /// What would match without the blanks at the start.
    pub(super) blank: Option<Blank>,
    /// The ignoreregex that has a say.
    pub(super) ignoreregex: Option<Pattern>,
    pub(super) session: Option<Session>,
    /// Patterns that gave up on the line.
    pub(super) gave_up: Vec<String>,
    pub(super) verdict: Verdict,
}

/// What was found out about the time.
#[derive(Debug, Default, Serialize)]
pub(super) struct Date {
    pub(super) found: Dated,
    /// What was taken for it, and where it stands in the line, in bytes.
    pub(super) text: Option<String>,
    #[serde(serialize_with = "as_pair")]
    pub(super) span: Option<Range<usize>>,
    /// In seconds.
    pub(super) time: Option<i64>,
    /// The same for people, with zone and distance from now.
    pub(super) local: Option<String>,
    /// The date pattern.
    pub(super) pattern: Option<String>,
    /// Whether a jail that starts would pass over the line. None if there is no jail.
    pub(super) too_old: Option<bool>,
    /// What there is to say about it.
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dated {
    #[default]
    None,
    /// It is that of the line before.
    Before,
    /// A pattern is content without one.
    Empty,
    Unusable,
    Found,
}

/// What prefregex did.
#[derive(Debug, Serialize)]
pub(super) struct Prefix {
    pub(super) matches: bool,
    #[serde(serialize_with = "as_object")]
    pub(super) captures: Captures,
    /// What is left for failregexes.
    pub(super) content: Option<String>,
    pub(super) stopped: Option<Stop>,
}

/// Names and what they captured.
pub(super) type Captures = Vec<(String, String)>;

/// A pattern that matched.
#[derive(Debug, Serialize)]
pub(super) struct Matched {
    #[serde(flatten)]
    pub(super) pattern: Pattern,
    #[serde(serialize_with = "as_object")]
    pub(super) captures: Captures,
}

/// A pattern of the filter.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Pattern {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) pattern: String,
}

/// Where a pattern stopped.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stop {
    /// None for prefregex.
    pub(super) number: Option<usize>,
    pub(super) pattern: String,
    /// What it looked at.
    pub(super) text: String,
    /// What of the text it took, in bytes.
    #[serde(serialize_with = "as_pair_of")]
    pub(super) span: Range<usize>,
    /// The piece of the pattern that does not fit there, and all that follows it.
    pub(super) wanted: String,
}

/// A pattern that only blanks at the start of the text keep from matching.
#[derive(Debug, Serialize)]
pub(super) struct Blank {
    /// None for prefregex.
    pub(super) number: Option<usize>,
    pub(super) pattern: String,
}

/// The session that the line belongs to.
#[derive(Debug, Serialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// Whether it ends with this line.
    pub(super) forgets: bool,
}

/// What all of it comes to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    pub(super) what: What,
    /// Whose failure.
    pub(super) id: Option<String>,
    pub(super) user: Option<String>,
    /// For how many it counts.
    pub(super) failures: u32,
    /// Whether the id is a name whose addresses would be looked for.
    pub(super) lookup: bool,
    /// The option by which the jail counts it for nothing.
    pub(super) ignored_by: Option<String>,
    /// What the jail would ask before it knows whether to count.
    pub(super) asks: Vec<String>,
    /// In words.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Failure,
    /// An ignoreregex matches.
    Ignored,
    /// No failure by itself; the session remembers it.
    Harmless,
    /// A failure of somebody who is not known yet.
    Pending,
    /// prefregex does not match.
    NoPrefix,
    /// No failregex matches.
    #[default]
    NoMatch,
}

fn as_object<S: Serializer>(captures: &Captures, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(captures.len()))?;
    for (name, value) in captures {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

fn as_pair<S: Serializer>(span: &Option<Range<usize>>, to: S) -> Result<S::Ok, S::Error> {
    let pair = span.as_ref().map(|span| [span.start, span.end]);
    pair.serialize(to)
}

fn as_pair_of<S: Serializer>(span: &Range<usize>, to: S) -> Result<S::Ok, S::Error> {
    [span.start, span.end].serialize(to)
}
