//! What the core cannot know by itself and has to ask.
//!
//! Names have addresses, files list who is to be ignored, and an `ignorecommand` is a
//! program: each takes time and may hang. So the engine puts an [`Inquiry`] among its
//! effects, holds what waits for the answer, and goes on with everything else. The
//! daemon brings an [`Finding`] back; if none comes in time, the engine decides
//! without.

use std::net::IpAddr;

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
