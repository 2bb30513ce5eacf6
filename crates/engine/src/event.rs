//! What people want to know.
//!
//! An event holds facts; its wording is the business of whoever shows it, a log
//! line or a JSON line.

use std::net::IpAddr;

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{FailId, JailName};
use crate::ignore::{IgnoreReason, Protection};

/// Something that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the fields `jail`, `id` and `time` say what they are"
)]
pub enum Event {
    /// A jail is at work.
    JailStarted { jail: JailName },
    /// A jail has ended.
    JailStopped { jail: JailName },
    /// A failure was counted; `time` is the log line's.
    Found {
        jail: JailName,
        id: FailId,
        time: Timestamp,
    },
    /// A client reported a failure.
    Attempted {
        jail: JailName,
        id: FailId,
        time: Timestamp,
    },
    /// A failure was not counted.
    Ignored {
        jail: JailName,
        id: FailId,
        why: IgnoreReason,
    },
    /// A log named `name`, whose addresses are counted (`usedns = warn`).
    Resolved {
        jail: JailName,
        name: String,
        addresses: Vec<IpAddr>,
    },
    /// What had to be found out about a failure took longer than `seconds`. It counts all
    /// the same, unless it is the name of somebody whose address nobody knows. So it went
    /// `total` times since nothing waited last; not every one is told.
    Unanswered {
        jail: JailName,
        id: FailId,
        seconds: i64,
        counted: bool,
        total: u64,
    },
    /// So many failures wait for answers that `total` were decided without; `counted` says
    /// how this one was.
    Unasked {
        jail: JailName,
        total: u64,
        counted: bool,
    },
    /// Decided: `id` is banned from now on.
    Banned { jail: JailName, id: FailId },
    /// A ban was taken over from the database.
    Restored { jail: JailName, id: FailId },
    /// `id` reached the limit again while banned. `after` is the time in seconds
    /// since the ban: the longer, the less the ban can be working.
    AlreadyBanned {
        jail: JailName,
        id: FailId,
        after: i64,
    },
    /// The failures are so old that their ban would already be over.
    Expired { jail: JailName, id: FailId },
    /// The ban is over, by time or by command.
    Unbanned { jail: JailName, id: FailId },
    /// The ban was taken out of the firewall because the jail ends.
    Repealed { jail: JailName, id: FailId },
    /// Somebody asked to unban an id that is not banned.
    NotBanned { id: FailId },
    /// Somebody asked to ban a protected id.
    Refused {
        jail: JailName,
        id: FailId,
        why: Protection,
    },
    /// An action failed; `attempt` counts from 1 and repeats until it holds.
    ActionFailed {
        jail: JailName,
        during: Step,
        id: Option<FailId>,
        error: String,
        attempt: u32,
    },
    /// Somebody took everything of a jail out of the firewall: none of its bans
    /// holds until somebody orders them back.
    Unprotected {
        jail: JailName,
        bans: usize,
        error: String,
    },
    /// Somebody took everything of a jail out of the firewall. Why, shows soon: what follows is
    /// [`Healing`](Self::Healing) or [`Unprotected`](Self::Unprotected).
    Missing { jail: JailName, error: String },
    /// Somebody took everything of a jail out of the firewall and made rules of his own: its
    /// bans are put back.
    Healing { jail: JailName, by: String },
    /// That has happened so often within a minute that the next try waits for one.
    Quarrel {
        jail: JailName,
        by: String,
        times: usize,
    },
    /// Somebody took a single ban out of the firewall. It counts as lifted by him.
    TakenOut {
        jail: JailName,
        id: FailId,
        by: String,
    },
    /// An action that had failed works again; `held` bans are in the firewall.
    ActionRecovered { jail: JailName, held: usize },
    /// Ids were forgotten because more than can be tracked failed at once.
    Forgotten { jail: JailName, total: u64 },
    /// The bans of a jail hold so much text that the lines of further ones are kept in
    /// the database alone.
    Shortened { jail: JailName },
    /// After a start: what the firewall already held (`kept`, of which
    /// `corrected` had another end), what was put back, and what is in our sets
    /// without being ours.
    Adopted {
        jail: JailName,
        kept: usize,
        added: usize,
        corrected: usize,
        foreign: usize,
    },
}

/// Which part of an action failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Preparing the firewall.
    Start,
    /// Banning.
    Ban,
    /// Unbanning.
    Unban,
    /// Cleaning up at the end.
    Stop,
}
