//! Whether a failure is to be ignored: everything about it that takes time.
//!
//! The order is the original's: an answer that is remembered, what the jail decided by
//! itself, the names and files of `ignoreip` in their order, what the jail says if none
//! of them holds, and then its `ignorecommand`. Whatever cannot be found out ignores
//! nobody.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferroban_engine::{
    BanTime, FailId, Failure, Finding, IgnoreCache, IgnoreEntry, IgnoreReason, JailName, Suspect,
};

use super::files::Files;
use crate::action::shell::free::{fill_command, fill_key};
use crate::action::shell::{self, Counters};
use crate::daemon::facts::{Board, Facts};
use crate::log::{Level, Log};
use crate::names::remembered::Remembered;
use crate::names::{self, Resolver};
use crate::process::script::{self, Run, Whose};

/// The logger of what a filter does.
const LOGGER: &str = "filter";
/// How an `ignorecommand` is called where actions are.
const ACTION: &str = "ignorecommand";
/// The exit code that says: not to be ignored.
const NOT_IGNORED: i32 = 1;
/// The longest key that is remembered, in bytes. Strangers write into it.
const MOST_KEY: usize = 16 * 1024;

type Answers = Remembered<String, Option<IgnoreReason>>;

/// Under what an answer is remembered.
#[derive(Debug)]
struct Key {
    cache: IgnoreCache,
    text: String,
}

/// Finds out who is ignored.
#[derive(Debug)]
pub(super) struct Ignored {
    resolver: Resolver,
    facts: Facts,
    log: Log,
    files: Files,
    /// How long an `ignorecommand` may take.
    limit: Duration,
    /// What is remembered for each jail, under the `ignorecache` that wanted it.
    answers: Mutex<HashMap<JailName, (IgnoreCache, Answers)>>,
}

/// What the tags of a command may want to know.
struct Known {
    board: Arc<Board>,
    resolver: Resolver,
}

impl shell::Facts for Known {
    fn counters(&self) -> Counters {
        self.board.counters()
    }

    fn bantime(&self) -> BanTime {
        self.board.bantime()
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        self.resolver.host(address)
    }

    fn own_name(&self, with_domain: bool) -> String {
        self.board.own_name(with_domain)
    }

    fn ipv6(&self) -> bool {
        self.resolver.ipv6()
    }
}

impl Ignored {
    pub(super) fn new(resolver: Resolver, facts: Facts, log: Log, limit: Duration) -> Self {
        Self {
            resolver,
            facts,
            files: Files::new(log.clone()),
            log,
            limit,
            answers: Mutex::default(),
        }
    }

    /// Whether a failure in a jail is to be ignored, and why.
    pub(super) fn find(&self, jail: &JailName, suspect: &Suspect, now: Instant) -> Finding {
        let facts = self.known(jail);
        let key = self.key(jail, suspect, &facts);
        if let Some(key) = &key
            && let Some(why) = self.remembered(jail, key, now)
        {
            let remembered = true;
            return Finding::Ignored { why, remembered };
        }
        let why = self.decide(jail, suspect, &facts, now);
        if let Some(key) = key {
            self.remember(jail, key, why.clone(), now);
        }
        let remembered = false;
        Finding::Ignored { why, remembered }
    }

    /// The addresses that this host's names have.
    pub(super) fn own_addresses(&self) -> Vec<IpAddr> {
        let names = self.resolver.own_names().into_iter();
        let mut all: Vec<IpAddr> = names
            .filter_map(|(_, found)| found.ok())
            .flatten()
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The addresses of a name; that it has none is told when it was found out.
    pub(super) fn addresses(&self, name: &str, now: Instant) -> Result<Vec<IpAddr>, String> {
        self.resolver.addresses_at(name, now).map_err(|error| {
            let text = error.to_string();
            if !error.remembered {
                self.log.warning(names::LOGGER, &text);
            }
            text
        })
    }

    /// Forgets what is remembered for a jail.
    pub(super) fn forget(&self, jail: &JailName) {
        self.answers().remove(jail);
    }

    fn known(&self, jail: &JailName) -> Arc<dyn shell::Facts> {
        Arc::new(Known {
            board: self.facts.of(jail),
            resolver: self.resolver.clone(),
        })
    }

    /// Under which key the answer is remembered, if it is.
    fn key(
        &self,
        jail: &JailName,
        suspect: &Suspect,
        facts: &Arc<dyn shell::Facts>,
    ) -> Option<Key> {
        let cache = suspect.cache.clone()?;
        match fill_key(&cache.key, &suspect.failure, jail, facts) {
            Ok(text) => (text.len() <= MOST_KEY).then_some(Key { cache, text }),
            Err(error) => {
                let text = format!("[{jail}] ignorecache: {error}");
                self.log.error(LOGGER, &text);
                None
            }
        }
    }

    fn remembered(&self, jail: &JailName, key: &Key, now: Instant) -> Option<Option<IgnoreReason>> {
        let mut all = self.answers();
        let (cache, answers) = all.get_mut(jail)?;
        // Under another `ignorecache` it was another question.
        let is_same = *cache == key.cache;
        is_same.then(|| answers.get(&key.text, now).cloned())?
    }

    fn remember(&self, jail: &JailName, key: Key, why: Option<IgnoreReason>, now: Instant) {
        let Key { cache, text } = key;
        let anew = |cache: IgnoreCache| {
            let keep = Duration::from_secs(cache.seconds.into());
            let answers = Remembered::new(cache.count, keep);
            (cache, answers)
        };
        let mut all = self.answers();
        all.retain(|known, (old, _)| known != jail || *old == cache);
        let known = all.entry(jail.clone()).or_insert_with(|| anew(cache));
        known.1.put(text, why, now);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<JailName, (IgnoreCache, Answers)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(
        &self,
        jail: &JailName,
        suspect: &Suspect,
        facts: &Arc<dyn shell::Facts>,
        now: Instant,
    ) -> Option<IgnoreReason> {
        if suspect.decided.is_some() {
            return suspect.decided.clone();
        }
        let id = &suspect.failure.id;
        let entry = |entry: &IgnoreEntry| self.holds(entry, id, now);
        suspect
            .entries
            .iter()
            .find_map(entry)
            .or_else(|| suspect.otherwise.clone())
            .or_else(|| {
                let command = suspect.command.as_deref()?;
                self.command(jail, command, &suspect.failure, facts)
            })
    }

    /// Whether an entry of `ignoreip` has this id.
    fn holds(&self, entry: &IgnoreEntry, id: &FailId, now: Instant) -> Option<IgnoreReason> {
        match entry {
            IgnoreEntry::Name(name) => {
                // Also for an id that is no address: its failure is told at least.
                let found = self.addresses(name, now).unwrap_or_default();
                let is_one = matches!(id, FailId::Address(address) if found.contains(address));
                is_one.then_some(IgnoreReason::Name)
            }
            IgnoreEntry::File(path) => self
                .files
                .list(path, id, now)
                .then(|| IgnoreReason::File(format!("file:/{path}"))),
        }
    }

    /// What the `ignorecommand` says.
    fn command(
        &self,
        jail: &JailName,
        command: &str,
        failure: &Failure,
        facts: &Arc<dyn shell::Facts>,
    ) -> Option<IgnoreReason> {
        let script = match fill_command(command, failure, jail, facts) {
            Ok(script) => script,
            Err(error) => {
                self.log
                    .error(LOGGER, &format!("[{jail}] {ACTION}: {error}"));
                return None;
            }
        };
        if script.text.trim().is_empty() {
            return None;
        }
        let text = format!("ignore command: {}", script.shown());
        self.log.block(Level::Debug, LOGGER, &text);
        let ran = script::run(&script, self.limit, ());
        let said = code(&ran);
        if said == Some(NOT_IGNORED) {
            // An answer, not a failure.
            let text = format!("[{jail}] {ACTION} returned successfully {NOT_IGNORED}");
            self.log.line(Level::Debug, "utils", &text);
            return None;
        }
        let whose = Whose {
            jail: jail.as_str(),
            action: ACTION,
        };
        script::tell(&self.log, whose, &script, &ran);
        if said.is_none() && ran.is_ok_and(|run| run.is_success()) {
            // It is told as a success, and is none.
            let limit = self.limit.as_secs_f64();
            let text = format!(
                "[{jail}] {ACTION} timed out after {limit} seconds: the exit code 0 with which \
                 it ended then does not count"
            );
            self.log.error("utils", &text);
        }
        (said == Some(0)).then_some(IgnoreReason::Command)
    }
}

/// The exit code of a command that had the time to say something.
fn code(ran: &io::Result<Run>) -> Option<i32> {
    let run = ran.as_ref().ok()?;
    match run.timed_out {
        Some(_) => None,
        None => run.code(),
    }
}

#[cfg(test)]
mod tests;
