//! What the daemon must do, as plain messages.
//!
//! Every message here can be written down and sent elsewhere: reading, deciding
//! and acting may one day live in different processes.

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ban::Ban;
use crate::event::Event;
use crate::id::{FailId, JailName};
use crate::inquiry::Inquiry;

/// One consequence of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Write this down. Comes before the job it belongs to: after a crash we
    /// must know what the firewall may hold.
    Save(Save),
    /// Do this, and say afterwards how it went.
    Act(Job),
    /// Find this out, and bring the answer to [`Engine::found_out`](crate::Engine::found_out).
    Inquire(Inquiry),
    /// Tell people.
    Report(Event),
}

/// A change of the stored state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum Save {
    /// The jail exists, at work or not.
    Jail { jail: JailName, enabled: bool },
    /// A new ban: history and current state.
    Ban { jail: JailName, ban: Ban },
    /// A ban lasts longer than was written; no new ban for the history.
    Prolong { jail: JailName, ban: Ban },
    /// Everything about this id in this jail is to be forgotten.
    Forget { jail: JailName, id: FailId },
    /// Everything about every id in this jail is to be forgotten.
    ForgetAll { jail: JailName },
    /// A log has been read up to here.
    Position {
        jail: JailName,
        position: LogPosition,
    },
}

/// How far a log has been read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The file's path, or `systemd-journal`.
    pub log: String,
    /// What recognises the file: SHA-1 of its first line in hexadecimal; for the
    /// journal the time of the last entry in ISO form.
    pub mark: String,
    /// Bytes; for the journal seconds since the epoch.
    pub offset: i64,
}

/// Names one job among those under way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One thing to do now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name, for the answer.
    pub id: JobId,
    /// Whose actions are to do it.
    pub jail: JailName,
    /// What.
    pub task: Task,
}

/// What an action can be asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Prepare the firewall and make it hold exactly these bans of ours.
    Start(Vec<Ban>),
    /// Ban, or see to it that a ban holds.
    Ban {
        /// Whom, and until when.
        ban: Ban,
        /// Why this is asked.
        reason: Reason,
    },
    /// Unban. The id may be gone already: that is success.
    Unban {
        /// Whom.
        id: FailId,
        /// What is known of the ban; nothing where this is only to make sure that the
        /// firewall does not hold it.
        ban: Option<Ban>,
    },
    /// Lift all these bans, which are all of the jail.
    Flush(Vec<Ban>),
    /// The configuration of the jail was read again.
    Reload,
    /// Take everything of this jail out of the firewall; these are its bans.
    Stop(Vec<Ban>),
}

/// Why an action is told of a ban. What cannot be repeated without harm, a mail for
/// example, is for new bans alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// It is new.
    New,
    /// It was carried out before, and the banned fails on: perhaps it does not hold.
    FailsOn,
    /// It was carried out before, and is to hold as it is now, perhaps until another end.
    Hold,
}

/// How a job went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub job: JobId,
    /// How.
    pub outcome: Outcome,
}

/// How a job went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see Event::Adopted")]
pub enum Outcome {
    /// As asked.
    Ok,
    /// A start: what was found, and the bans that could not be applied.
    Started {
        kept: usize,
        added: usize,
        corrected: usize,
        foreign: usize,
        failed: Vec<(FailId, String)>,
    },
    /// Not at all, and why.
    Failed(String),
    /// Not at all: what the start prepared is gone, as after somebody emptied the
    /// firewall. That may have been meant, so nothing is put back without order.
    Lost(String),
}

/// The end of a ban in the form the firewall needs: whole time left at `now`.
#[must_use]
pub fn time_left(ban: &Ban, now: Timestamp) -> Option<std::time::Duration> {
    let end = ban.end();
    (end < Timestamp::MAX).then(|| {
        let micros = u64::try_from(end.micros_since(now)).unwrap_or(0);
        std::time::Duration::from_micros(micros)
    })
}
