//! What others do to what the actions of a jail have made in the firewall.
//!
//! Its rules are gone: that is how a firewall is loaded anew, and how an administrator saves
//! himself who has locked himself out. Which of both it is shows soon: whoever loads a
//! firewall makes rules. Then the bans are put back; if nobody makes any, they stay away until
//! somebody orders otherwise. Two programs that each put their own back without end is what must
//! not be.

use std::collections::VecDeque;

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};

use super::applying::Actions;
use super::{Jail, Turn};
use crate::event::Event;
use crate::id::FailId;

/// What somebody else did to the firewall.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tampering {
    /// Rules of the jail are gone.
    Taken {
        /// Who did it, for people.
        by: String,
        /// Whether he made rules of his own in the same step: then the firewall is loaded anew,
        /// and all of it is there.
        anew: bool,
    },
    /// What holds the bans of the jail is gone or empty.
    Emptied {
        /// What it is, for people: `its set 'f2b' was emptied`.
        what: String,
        /// Who did it, for people.
        by: String,
    },
    /// Rules were made, whosever: perhaps the firewall is loaded anew.
    Made,
    /// Bans were taken out one by one.
    Lifted {
        /// Whose.
        ids: Vec<FailId>,
        /// Who did it, for people.
        by: String,
    },
}

/// How long somebody has to make new rules where he took away ours, in microseconds.
const REBUILD: i64 = 2_000_000;

/// How long nobody makes any before ours are put back: a firewall may be loaded in several steps.
const SETTLE: i64 = 300_000;

/// How long that is waited for.
const SETTLE_LIMIT: i64 = 800_000;

/// More often they are not put back within a minute.
const HEALS: usize = 5;

/// How many seconds that is.
const MINUTE: i64 = 60;

/// The rules of a jail are gone, and it is not known yet what that means.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Missing {
    error: String,
    by: Option<String>,
    /// When it counts as meant.
    verdict: Timestamp,
    /// When they are put back, and when at the latest.
    heal: Option<(Timestamp, Timestamp)>,
}

impl Missing {
    /// When something is to be done.
    pub(super) fn due(&self) -> Timestamp {
        self.heal.map_or(self.verdict, |(at, _)| at)
    }
}

/// When bans were put back, in the last minute.
#[derive(Debug, Default)]
pub(super) struct Heals(VecDeque<Timestamp>);

impl Heals {
    /// Notes one more. How many there were before, if they are too many.
    fn one_more(&mut self, now: Timestamp) -> Result<(), usize> {
        self.0.retain(|at| *at > now.plus_secs(-MINUTE));
        if self.0.len() >= HEALS {
            return Err(self.0.len());
        }
        self.0.push_back(now);
        Ok(())
    }
}

impl Jail {
    /// Learns what somebody else did to the firewall.
    pub(crate) fn tampered(&mut self, what: Tampering, turn: &mut Turn<'_>) {
        match what {
            Tampering::Taken { by, anew } => {
                let error = format!("{by} has taken its rules away");
                self.taken(error, by, turn);
                if let (true, Actions::Missing(missing)) = (anew, &mut self.actions) {
                    missing.heal = Some((turn.now, turn.now));
                }
            }
            Tampering::Emptied { what, by } => self.taken(what, by, turn),
            Tampering::Made => {
                if let Actions::Missing(Missing { heal, .. }) = &mut self.actions {
                    let latest = heal.map_or(after(turn.now, SETTLE_LIMIT), |(_, latest)| latest);
                    *heal = Some((after(turn.now, SETTLE).min(latest), latest));
                }
            }
            Tampering::Lifted { ids, by } => self.lifted(ids, &by, turn),
        }
    }

    fn taken(&mut self, error: String, by: String, turn: &mut Turn<'_>) {
        match &mut self.actions {
            Actions::Missing(missing) => {
                (missing.error, missing.by) = (error, Some(by));
            }
            Actions::Up | Actions::Starting { .. } => self.miss(error, Some(by), turn),
            _ => {}
        }
    }

    /// The rules are gone, as far as the actions can tell.
    pub(super) fn miss(&mut self, error: String, by: Option<String>, turn: &mut Turn<'_>) {
        let (jail, told) = (self.name(), error.clone());
        turn.report(Event::Missing { jail, error: told });
        let at_once = self.settings.heal.then_some((turn.now, turn.now));
        self.actions = Actions::Missing(Missing {
            error,
            by,
            verdict: after(turn.now, REBUILD),
            heal: at_once,
        });
        self.forget_retries();
        for id in self.banned() {
            if let Some(held) = self.bans.get_mut(&id) {
                held.applied = false;
            }
        }
    }

    /// Decides what became of missing rules, if that is due.
    pub(super) fn find_missing(&mut self, turn: &mut Turn<'_>) {
        let Actions::Missing(missing) = &mut self.actions else {
            return;
        };
        if missing.due() > turn.now {
            return;
        }
        let error = std::mem::take(&mut missing.error);
        let by = missing.by.take();
        if missing.heal.is_none() {
            self.actions = Actions::Lost;
            turn.report(Event::Unprotected {
                jail: self.name(),
                bans: self.bans.len(),
                error,
            });
            return;
        }
        let by = by.unwrap_or_else(|| "somebody".to_owned());
        let jail = self.name();
        match self.heals.one_more(turn.now) {
            Ok(()) => {
                turn.report(Event::Healing { jail, by });
                self.start_actions(2, turn);
            }
            Err(times) => {
                turn.report(Event::Quarrel { jail, by, times });
                let retry = turn.now.plus_secs(MINUTE);
                self.actions = Actions::Down { attempt: 2, retry };
            }
        }
    }

    /// Who is out of the firewall counts as unbanned.
    fn lifted(&mut self, ids: Vec<FailId>, by: &str, turn: &mut Turn<'_>) {
        for id in ids {
            // An order of ours may have come to it first.
            if self.bans.get(&id).is_none_or(|held| !held.applied) {
                continue;
            }
            turn.report(Event::TakenOut {
                jail: self.name(),
                id: id.clone(),
                by: by.to_owned(),
            });
            self.unban_by_order(&id, turn);
        }
    }
}

fn after(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(micros))
}
