//! `banaction = ferroban[ipset=NAME]`: a jail's bans as entries of sets that others' rules look up.
//!
//! For those whose own rules do so already. The bans are in the set `NAME`, those of IPv6 in
//! `NAME6`. Several jails can share them: an entry stays until the last of them lifts it. No rule
//! is made here; whether one refers to the sets is told.
//!
//! The kernel sends no word of what others do to a set. So it is [looked at](Sets::look) now and then.

mod roll;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferroban_engine::{Ban, Network, Outcome, Tampering, Timestamp};

use super::Failed;
use super::ipset::{Error, Ipset, LONGEST_NAME};
use crate::report;
use roll::{At, Roll};

/// What is appended to the name of the set for IPv6.
const V6: &str = "6";

/// The longest name that leaves room for it.
pub(super) const LONGEST: usize = LONGEST_NAME - V6.len();

/// The rolls of all sets that were ever named, by the names of the sets.
static ROLLS: Mutex<BTreeMap<String, Arc<Mutex<Roll>>>> = Mutex::new(BTreeMap::new());

/// The sets of one jail.
#[derive(Debug)]
pub(super) struct Sets {
    jail: String,
    name: String,
    /// What was told last of whether bans have an effect.
    told: Option<Option<String>>,
}

/// Whether a name can be that of a pair of sets, and that of commands told to people.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-+:@".contains(&byte);
    text.bytes().all(plain) && text.starts_with(|first: char| first != '-') && text.len() <= LONGEST
}

impl Sets {
    pub(super) fn new(jail: &str, name: &str) -> Self {
        Self {
            jail: jail.to_owned(),
            name: name.to_owned(),
            told: None,
        }
    }

    /// Whether both are about the same sets.
    pub(super) fn are(&self, other: &Self) -> bool {
        self.name == other.name
    }

    /// How it bans, for people.
    pub(super) fn describe(&self) -> String {
        format!("with ipset, in the sets {0} and {0}{V6}", self.name)
    }

    /// Makes the sets where they are missing, and has them hold these bans.
    pub(super) fn start(&self, held: &[Ban], now: Timestamp) -> Outcome {
        self.act(now, |roll, at| roll.start(held, at))
            .unwrap_or_else(|error| Outcome::Failed(report::chain(&error)))
    }

    /// Bans, with an answer for each.
    pub(super) fn ban(&self, bans: &[Ban], now: Timestamp) -> Vec<Result<(), Failed>> {
        let answers = self.act(now, |roll, at| Ok(roll.ban(bans, at)));
        answers.unwrap_or_else(|error| bans.iter().map(|_| Err(failed(&error))).collect())
    }

    /// Unbans, with an answer for each. Who is not banned is unbanned already.
    pub(super) fn unban(
        &self,
        networks: &[Option<Network>],
        now: Timestamp,
    ) -> Vec<Result<(), Failed>> {
        let answers = self.act(now, |roll, at| Ok(roll.unban(networks, at)));
        let none = |error: &Error| networks.iter().map(|_| Err(failed(error))).collect();
        answers.unwrap_or_else(|error| none(&error))
    }

    /// Lifts all its bans. With the last jail go the sets that we have made, unless somebody
    /// else needs them.
    pub(super) fn stop(&self, now: Timestamp) -> Result<(), Failed> {
        let stopped = self.act(now, Roll::stop);
        stopped.map_err(|error| failed(&error))
    }

    /// Whether bans reach the kernel and have an effect there: the addresses with which that was
    /// tried.
    pub(super) fn prove(&self, now: Timestamp) -> Result<Vec<Network>, Failed> {
        let proven = self.act(now, Roll::prove);
        let proven = proven.map_err(|error| failed(&error))?;
        match self.without_effect() {
            Some(why) => Err(Failed::Because(why)),
            None => Ok(proven),
        }
    }

    /// Which of these are in neither set, and why bans have no effect if that is so. Asks by
    /// itself: jails that ban do not wait for it.
    pub(super) fn missing(
        &self,
        wanted: &[Network],
    ) -> Result<(Vec<Network>, Option<String>), Failed> {
        let mut present = HashSet::new();
        let mut read = || -> Result<(), Error> {
            let mut ipset = Ipset::open()?;
            for name in [self.name.clone(), format!("{}{V6}", self.name)] {
                match ipset.list(&name) {
                    Ok(entries) => present.extend(entries.into_iter().map(|entry| entry.network)),
                    Err(Error::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        read().map_err(|error| failed(&error))?;
        let missing = wanted.iter().filter(|network| !present.contains(network));
        Ok((missing.copied().collect(), self.without_effect()))
    }

    /// Looks for what others did to the sets since the last look.
    pub(super) fn look(&self, now: Timestamp) -> Vec<Tampering> {
        // What is wrong shows with the next ban, and is told then.
        self.act(now, Roll::look).unwrap_or_default()
    }

    /// Why bans have no effect, if that is so and was not told; or that they have again.
    pub(super) fn news(&mut self) -> Option<News> {
        let now = self.without_effect();
        let before = self.told.replace(now.clone());
        match (now, before) {
            (now, Some(before)) if now == before => None,
            (Some(why), _) => Some(News::WithoutEffect(why)),
            (None, None) => Some(News::Fine),
            (None, Some(_)) => Some(News::FineAgain),
        }
    }

    fn without_effect(&self) -> Option<String> {
        let roll = roll_of(&self.name);
        let unused = Unused::new(lock(&roll).unused(), has_v6());
        unused.map(|unused| unused.of(&self.name))
    }

    fn act<T>(
        &self,
        now: Timestamp,
        what: impl FnOnce(&mut Roll, &mut At<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        lock(&roll_of(&self.name)).act((&self.jail, now), what)
    }
}

/// Whether bans have an effect.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// They have none, and why.
    WithoutEffect(String),
    /// They have.
    Fine,
    /// They had none, and have now.
    FineAgain,
}

/// Sets that no rule refers to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unused {
    V4,
    V6,
    Both,
}

impl Unused {
    /// What is missing of both families. Who has no IPv6 needs no rule for it.
    fn new(unused: [bool; 2], has_v6: bool) -> Option<Self> {
        match unused {
            [true, true] if has_v6 => Some(Self::Both),
            [true, _] => Some(Self::V4),
            [false, true] if has_v6 => Some(Self::V6),
            [false, _] => None,
        }
    }

    fn of(self, name: &str) -> String {
        let rule = |program: &str, name: &dyn fmt::Display| {
            format!("{program} -I INPUT -m set --match-set {name} src -j DROP")
        };
        let (four, six) = (name, format_args!("{name}{V6}"));
        let (of_four, of_six) = (rule("iptables", &four), rule("ip6tables", &six));
        match self {
            Self::V4 => format!(
                "no rule refers to the set {four}, so bans of IPv4 addresses have no effect; to add one: {of_four}"
            ),
            Self::V6 => format!(
                "no rule refers to the set {six}, so bans of IPv6 addresses have no effect; to add one: {of_six}"
            ),
            Self::Both => format!(
                "no rule refers to the sets {four} and {six}, so bans have no effect; to add them: {of_four} && {of_six}"
            ),
        }
    }
}

/// Whether this host has an address of IPv6 that others can reach.
fn has_v6() -> bool {
    let text = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines().any(|line| !line.ends_with(" lo"))
}

fn roll_of(name: &str) -> Arc<Mutex<Roll>> {
    let mut rolls = ROLLS.lock().unwrap_or_else(PoisonError::into_inner);
    let roll = rolls.entry(name.to_owned());
    let new = || Arc::new(Mutex::new(Roll::new(name, &format!("{name}{V6}"))));
    Arc::clone(roll.or_insert_with(new))
}

fn lock(roll: &Mutex<Roll>) -> MutexGuard<'_, Roll> {
    roll.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: &Error) -> Failed {
    let text = report::chain(error);
    match error {
        Error::Missing { .. } => Failed::Lost(text),
        _ => Failed::Because(text),
    }
}
