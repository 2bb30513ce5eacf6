//! What a client may ask, and what it gets.
//!
//! Text and bytes are none of this module's business: `wire` turns both into the
//! socket's format.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ban::Ban;
use crate::effect::JobId;
use crate::id::{FailId, JailName};
use crate::ignore::Protected;
use crate::settings::Watches;

/// A question or an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum Command {
    /// `ping`
    Ping,
    /// `version`
    Version,
    /// `banned <id> …`
    WhereBanned { ids: Vec<FailId> },
    /// `get <jail> banned <id> …`
    AreBanned { jail: JailName, ids: Vec<FailId> },
    /// `get <jail> banip`, the one that ends first at the front
    BanIps { jail: JailName },
    /// `get <jail> banned`
    BannedIds { jail: JailName },
    /// `set <jail> attempt <id> <line> …`
    Attempt {
        jail: JailName,
        id: FailId,
        lines: Vec<String>,
    },
    /// `set <jail> banip`
    Ban {
        jail: JailName,
        ids: Vec<FailId>,
        force: bool,
    },
    /// `set <jail> unbanip`
    Unban {
        jail: JailName,
        ids: Vec<FailId>,
        report_absent: bool,
    },
    /// `unban <id> …`
    UnbanEverywhere { ids: Vec<FailId> },
    /// `unban --all`
    UnbanAll,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To `ping`.
    Pong,
    /// To `version`; the version itself is the daemon's.
    Version,
    /// To `status`: the jails by name.
    Jails(Vec<JailName>),
    /// To `status <jail>`.
    Jail(JailStatus),
    /// To `banned`: jails in the order they were made, ids in ban order.
    BannedByJail(Vec<(JailName, Vec<FailId>)>),
    /// To `get <jail> banip`.
    Bans(Vec<Ban>),
    /// To `get <jail> banned`.
    Ids(Vec<FailId>),
    /// To `banned <id> …`: for each the jails that ban it, in the order they were made.
    Places(Vec<Vec<JailName>>),
    /// To `get <jail> banned <id> …`: whether each is banned.
    Flags(Vec<bool>),
    /// How many were newly banned or unbanned.
    Count(usize),
    /// Done, and nothing to say.
    Nothing,
    /// It cannot be done.
    Error(CommandError),
}

/// What a jail has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Who is banned now.
    pub banned: u64,
    /// Bans since the start.
    pub banned_total: u64,
    /// Ids with failures that count now, as far as that is known without counting again.
    pub found: u64,
    /// Failures since the start.
    pub found_total: u64,
}

/// The numbers of one jail.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct JailStatus {
    /// What it reads.
    pub watches: Watches,
    /// The name of its backend.
    pub backend: String,
    /// Ids with failures that count now.
    pub failing: usize,
    /// Failures since the start.
    pub failures: u64,
    /// Bans since the start, restored ones included.
    pub bans: u64,
    /// Who is banned, in ban order.
    pub banned: Vec<FailId>,
    /// How many of them the firewall is known to hold.
    pub applied: usize,
}

/// Why a command was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum CommandError {
    /// No jail of that name.
    UnknownJail(String),
    /// These ids were to be unbanned and are not banned.
    NotBanned(Vec<FailId>),
    /// These ids are protected; everything else was banned.
    Protected(Vec<Protected>),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownJail(name) => write!(f, "Sorry but the jail '{name}' does not exist"),
            Self::NotBanned(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
                write!(f, "not banned: [{}]", ids.join(", "))
            }
            Self::Protected(entries) => {
                let all: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{} ({})", entry.address, entry.why))
                    .collect();
                write!(
                    f,
                    "not banned, protected: {}; to ban it all the same, use 'banip --force'",
                    all.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for CommandError {}

/// A reply, and the jobs that must be done before it is given: `banip` answers
/// when the firewall holds the ban.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// What it waits for.
    pub after: Vec<JobId>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            after: Vec::new(),
        }
    }
}
