//! The server, its jails and their bans, as our own commands show them.
//!
//! They cross the socket as JSON, and `--json` prints them. The fields are interface and
//! described in `docs/json.md`. Who reads them takes a field that is not there for empty,
//! so that a client and a server of neighbouring versions get on.

use serde::{Deserialize, Serialize};

/// The server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerView {
    /// Our own version.
    pub version: String,
    /// The version of fail2ban whose interface this is.
    pub compatible: String,
    /// Its process.
    pub pid: u32,
    /// Everything is decided, and nobody is kept out.
    pub dry_run: bool,
    /// The file of its database; none if it has none.
    pub database: Option<String>,
    /// The least that it logs.
    pub loglevel: String,
    /// Where it logs.
    pub logtarget: Option<String>,
    /// In the order in which they were added.
    pub jails: Vec<JailView>,
}

/// A jail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JailView {
    /// Its name.
    pub name: String,
    /// Whether it was started.
    pub started: bool,
    /// Whether it was told to rest.
    pub idle: bool,
    /// The backend as fail2ban calls it.
    pub backend: String,
    /// What it reads.
    pub watches: Vec<WatchView>,
    /// The names of its actions.
    pub actions: Vec<String>,
    /// Who keeps the banned out.
    pub kept_by: Keeper,
    /// Ids with failures that count now.
    pub failing: usize,
    /// Failures since the start.
    pub failures: u64,
    /// Who is banned now.
    pub banned: usize,
    /// For how many of them every action said that it did it.
    pub applied: Option<usize>,
    /// How many of them were found in the kernel just now; none if nobody can look.
    pub verified: Option<usize>,
    /// Why nobody could look, or why what is in the kernel does not ban.
    pub unverified: Option<String>,
    /// How many of them are known to be kept out; none if nobody looks.
    pub holding: Option<usize>,
    /// Bans since the start.
    pub bans: u64,
    /// How many failures lead to a ban.
    pub maxretry: u32,
    /// Within how many seconds.
    pub findtime: u32,
    /// How many seconds a ban lasts; -1 for ever.
    pub bantime: i64,
    /// Why bans do not hold, or would not.
    pub trouble: Option<String>,
    /// What went wrong last with its actions, over or not.
    pub last_failure: Option<FailureView>,
    /// Options that are set and have no effect in this version.
    pub without_effect: Vec<String>,
    /// What our own action has kept out since its rules were made; none where nobody counts.
    pub kept_out: Option<KeptOutView>,
    /// Commands of its actions that are done in process.
    pub lifted: Vec<LiftView>,
}

/// What of an action is done in process: what its commands did was seen to be the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiftView {
    /// The action.
    pub action: String,
    /// The commands, without the address.
    pub commands: Vec<String>,
}

/// What the firewall has kept out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptOutView {
    /// Packets of those who are banned.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether an action of a jail bans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProofView {
    /// Its name.
    pub action: String,
    /// Who keeps the banned out.
    pub kept_by: Keeper,
    /// Whether a ban was found in the kernel; none if nobody can look.
    pub proven: Option<bool>,
    /// The addresses with which that was tried.
    pub tried: Vec<String>,
    /// Why it does not ban, or why nobody cares.
    pub problem: Option<String>,
}

/// Who keeps the banned out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// The kernel, told by our own action, which knows what it holds.
    Kernel,
    /// Commands of `action.d`, which are run; whether they did it, nobody looks.
    Commands,
    /// Nobody: a dry run, or no action.
    #[default]
    Nobody,
}

/// Something that a jail reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchView {
    /// What it is.
    pub kind: Medium,
    /// The path of a file; what is read of a journal.
    pub name: String,
    /// Why there is nothing to read now.
    pub problem: Option<String>,
}

/// Where lines come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// A file.
    #[default]
    File,
    /// The journal of systemd.
    Journal,
}

/// An action that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureView {
    /// When, in seconds since the epoch.
    pub time: i64,
    /// What was being done: `start`, `ban`, `unban` or `stop`; `lost` where somebody
    /// emptied the firewall.
    pub during: String,
    /// With whom.
    pub id: Option<String>,
    /// What went wrong.
    pub error: String,
}

/// A ban.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BanView {
    /// The jail.
    pub jail: String,
    /// Who is banned.
    pub id: String,
    /// When it was decided, in seconds since the epoch.
    pub time: i64,
    /// When it ends; none if it does not.
    pub ends: Option<i64>,
    /// How many seconds it lasts; -1 for ever.
    pub bantime: i64,
    /// How many failures led to it.
    pub failures: u32,
    /// The how-manieth ban of this id it is.
    pub count: u32,
    /// Whether it was taken over from the database.
    pub restored: bool,
    /// Whether every action said that it did it.
    pub applied: bool,
    /// Whether it was found in the kernel just now; none if nobody can look.
    pub verified: Option<bool>,
    /// Whether the firewall is known to hold it; none if nobody looks.
    pub holds: Option<bool>,
}
