//! What a jail and its filter are told to do, with every oddity of the
//! configuration already resolved.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ban::BanTime;
use crate::failures::Limits;
use crate::id::{FailId, JailName};
use crate::inquiry::IgnoreCache;

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
    /// A command that says whether a failure is to be ignored, with its tags.
    pub ignorecommand: Option<String>,
    /// How long it is remembered who is to be ignored.
    pub ignorecache: Option<IgnoreCache>,
    /// The name of its backend, for `status`.
    pub backend: String,
    /// Whether it pauses: nobody is unbanned meanwhile.
    pub idle: bool,
    /// What it reads, for `status`.
    pub watches: Watches,
    /// Whether its bans are put back at once whoever took them out of the firewall, and why.
    pub heal: bool,
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
            ignorecommand: None,
            ignorecache: None,
            backend: String::new(),
            idle: false,
            watches: Watches::Files(Vec::new()),
            heal: false,
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
    /// How many lines a pattern may span. With more than one, `^` and `$` are those of
    /// each line.
    pub maxlines: usize,
    /// What becomes of names.
    pub usedns: UseDns,
    /// How dates look; the default patterns if there are none.
    pub datepattern: Vec<String>,
    /// The zone of dates that name none, other than this host's.
    pub logtimezone: Option<String>,
    /// The jail's window in seconds: older lines are skipped while catching up.
    pub findtime: u32,
}

/// What becomes of a host that is named rather than given by its address.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseDns {
    /// Its addresses have failed.
    Yes,
    /// The same, and which they are is told.
    #[default]
    Warn,
    /// Nobody has.
    No,
    /// The name itself has.
    Raw,
}

/// As the option is written.
impl fmt::Display for UseDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::Warn => "warn",
            Self::No => "no",
            Self::Raw => "raw",
        })
    }
}

impl FromStr for UseDns {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "yes" => Ok(Self::Yes),
            "warn" => Ok(Self::Warn),
            "no" => Ok(Self::No),
            "raw" => Ok(Self::Raw),
            _ => Err(()),
        }
    }
}
