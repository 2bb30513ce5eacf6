//! What a jail and its filter are told to do, with every oddity of the
//! configuration already resolved.

use serde::{Deserialize, Serialize};

use crate::ban::BanTime;
use crate::failures::Limits;
use crate::id::{FailId, JailName};

/// How a jail counts and bans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JailSettings {
    /// Its name.
    pub name: JailName,
    /// Failures that lead to a ban.
    pub maxretry: u32,
    /// The window in which they are counted, in seconds.
    pub findtime: u32,
    /// How long a ban lasts.
    pub bantime: BanTime,
    /// How many matched lines are kept per id.
    pub maxmatches: usize,
    /// Who is never counted.
    pub ignoreip: Vec<FailId>,
    /// Whether this host's own addresses are never counted.
    pub ignoreself: bool,
    /// The name of its backend, for `status`.
    pub backend: String,
    /// Whether it pauses: nobody is unbanned meanwhile.
    pub idle: bool,
    /// What it reads, for `status`.
    pub watches: Watches,
}

impl JailSettings {
    /// A jail with the values that fail2ban's engine starts from.
    #[must_use]
    pub fn new(name: JailName) -> Self {
        Self {
            name,
            maxretry: 3,
            findtime: 600,
            bantime: BanTime::For(600),
            maxmatches: 5,
            ignoreip: Vec::new(),
            ignoreself: true,
            backend: String::new(),
            idle: false,
            watches: Watches::Files(Vec::new()),
        }
    }

    /// What counting needs of it.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            maxretry: self.maxretry,
            findtime: self.findtime,
            maxmatches: self.maxmatches,
        }
    }
}

/// What a jail reads.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Watches {
    /// Files, by path.
    Files(Vec<String>),
    /// The journal, by match groups in the form `a + b`.
    Journal(Vec<String>),
}

/// What a filter looks for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct FilterSettings {
    /// Tried first; its `<F-CONTENT>` is what the others see.
    pub prefregex: Option<String>,
    /// The first that matches is a failure.
    pub failregex: Vec<String>,
    /// What is no failure after all.
    pub ignoreregex: Vec<String>,
    /// `usedns = raw`: a name is banned as it stands. Otherwise it would have to be
    /// resolved, which nobody does yet, so it is told and not counted.
    pub raw_names: bool,
    /// The jail's window in seconds: older lines are skipped while catching up.
    pub findtime: u32,
}
