//! What the core cannot know by itself and has to ask.
//!
//! Names have addresses, files list who is to be ignored, and an `ignorecommand` is a
//! program: each takes time and may hang. So the engine puts an [`Inquiry`] among its
//! effects, holds what waits for the answer, and goes on with everything else. The
//! daemon brings an [`Finding`] back; if none comes in time, the engine decides
//! without.

use std::fmt;
use std::net::IpAddr;

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};

use crate::filter::Failure;
use crate::id::JailName;
use crate::ignore::IgnoreReason;

/// Names one question among those under way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct InquiryId(pub u64);

/// Something to find out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inquiry {
    /// Its name, for the answer.
    pub id: InquiryId,
    /// The jail that wants to know.
    pub jail: JailName,
    /// What.
    pub ask: Ask,
    /// From when on nobody waits for the answer any more.
    pub until: Timestamp,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Which addresses does this name have?
    Addresses(String),
    /// Is this failure to be ignored?
    Ignored(Box<Suspect>),
}

/// A failure that may have to be ignored, and what decides it, in the order in which
/// it decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Who failed, when, and what the filter captured.
    pub failure: Failure,
    /// The jail's `ignorecache`: a remembered answer counts for the same key and
    /// nothing else is looked at.
    pub cache: Option<IgnoreCache>,
    /// What the jail says of its own knowledge, before anything below.
    pub decided: Option<IgnoreReason>,
    /// Names and files of `ignoreip`, in its order.
    pub entries: Vec<IgnoreEntry>,
    /// What the jail says if none of the entries holds.
    pub otherwise: Option<IgnoreReason>,
    /// The jail's `ignorecommand`, with its tags.
    pub command: Option<String>,
}

/// An entry of `ignoreip` that is no address and no network.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum IgnoreEntry {
    /// A name: whoever has one of its addresses is ignored.
    Name(String),
    /// `file:PATH`: whoever is listed there is ignored. The path as it is to be opened.
    File(String),
}

/// `ignorecache`: how long answers are remembered, and what for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct IgnoreCache {
    /// A text with tags, such as `<F-USER>@<ip>`.
    pub key: String,
    /// How many answers are remembered.
    pub count: usize,
    /// For how many seconds.
    pub seconds: u32,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// The addresses of a name, in the order in which they are to be counted.
    Addresses(Vec<IpAddr>),
    /// A name could not be resolved, and why. (It was told when it was found out; a
    /// remembered failure is not told again.)
    NoAddress(String),
    /// Whether the failure is to be ignored.
    Ignored {
        /// Why, if it is.
        why: Option<IgnoreReason>,
        /// Whether the answer was remembered; then nothing is logged about it.
        remembered: bool,
    },
}

/// As the option is written.
impl fmt::Display for IgnoreCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            count,
            seconds,
        } = self;
        write!(f, "key=\"{key}\", max-count={count}, max-time={seconds}")
    }
}

impl IgnoreEntry {
    /// What an item of `ignoreip` means that is no address and no network.
    ///
    /// `file:/p`, `file://p` and `file:///p` are all `/p`; `file:p`, `file:./p` and
    /// `file://./p` are relative to where the daemon runs.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let Some(path) = text.strip_prefix("file:") else {
            return Self::Name(text.to_owned());
        };
        let bare = path.trim_start_matches('/');
        let relative = !path.starts_with('/') || bare.starts_with("./");
        Self::File(if relative {
            bare.to_owned()
        } else {
            format!("/{bare}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_name_or_a_file() {
        let file = |path: &str| IgnoreEntry::File(path.to_owned());
        let cases = [
            ("host.example", IgnoreEntry::Name("host.example".into())),
            ("file:/p", file("/p")),
            ("file://p", file("/p")),
            ("file:///p/q", file("/p/q")),
            ("file:rel", file("rel")),
            ("file:./rel", file("./rel")),
            ("file://./rel", file("./rel")),
        ];
        for (text, expected) in cases {
            assert_eq!(IgnoreEntry::parse(text), expected, "{text}");
        }
    }
}
