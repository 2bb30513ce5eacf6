//! How the bans of a jail get into the firewall, and what happens when they do not.
//!
//! A ban is decided first and applied later, by a job. What fails is told once and
//! tried again, ever more slowly, until it holds or the ban is over. If the actions
//! themselves do not start, single bans are not tried: the next start brings all of
//! them. What somebody else takes away is the business of [`tamper`](super::tamper).

use std::collections::{BTreeSet, HashSet};

use ferroban_date::Timestamp;

use super::tamper::Missing;
use super::{Jail, Turn};
use crate::ban::Ban;
use crate::bans::MAX_TEXT;
use crate::effect::{JobId, Outcome, Reason, Task};
use crate::event::{Event, Step};
use crate::id::FailId;

/// How long to wait before what failed is tried again, in seconds: doubled with
/// each failure in a row, up to the limit.
const RETRY: (i64, i64) = (5, 300);

/// Whether the actions of a jail are ready.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Actions {
    /// This job starts them. Of several under way only the last counts.
    Starting {
        attempt: u32,
        job: JobId,
    },
    Up,
    Down {
        attempt: u32,
        retry: Timestamp,
    },
    /// Taken away by somebody, who is perhaps about to load the firewall anew.
    Missing(Missing),
    /// Taken away by somebody; only an order brings them back.
    Lost,
    /// The jail does not work yet.
    Added,
    /// The jail works no more.
    Stopped,
}

/// What a job under way is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    Start,
    /// With so many bytes of text.
    Ban {
        id: FailId,
        text: usize,
    },
    Unban {
        id: FailId,
        attempt: u32,
    },
    Flush(Vec<FailId>),
    Reload,
    Stop,
}

impl Purpose {
    fn banning(&self) -> Option<&FailId> {
        if let Self::Ban { id, .. } = self {
            Some(id)
        } else {
            None
        }
    }
}

/// What is to be tried again, and when.
#[derive(Debug, Default)]
pub(super) struct Retries {
    bans: BTreeSet<(Timestamp, FailId)>,
    unbans: BTreeSet<(Timestamp, FailId, u32)>,
}

impl Jail {
    /// Has the firewall hold a ban, or hold it for as long as it lasts now. No job:
    /// the actions are not in a state to try.
    pub(super) fn apply(
        &mut self,
        id: &FailId,
        reason: Reason,
        turn: &mut Turn<'_>,
    ) -> Option<JobId> {
        let ban = self.bans.get(id)?.ban.clone();
        self.apply_ban(ban, reason, turn)
    }

    /// The same for a ban that may know more than what is kept of it.
    pub(super) fn apply_ban(
        &mut self,
        mut ban: Ban,
        reason: Reason,
        turn: &mut Turn<'_>,
    ) -> Option<JobId> {
        if let Actions::Down { .. } | Actions::Missing(_) | Actions::Lost | Actions::Stopped =
            self.actions
        {
            return None; // the next start brings it along
        }
        // Actions may be slower than the attackers.
        ban.ticket.fit(self.text_under_way, MAX_TEXT);
        let (id, text) = (ban.id.clone(), ban.ticket.text_len());
        self.text_under_way += text;
        let job = turn.act(&self.settings.name, Task::Ban { ban, reason });
        self.under_way.insert(job, Purpose::Ban { id, text });
        Some(job)
    }

    /// Has the firewall hold it no more.
    /// `ban` is what is known of it.
    pub(super) fn unapply(
        &mut self,
        id: FailId,
        ban: Option<Ban>,
        attempt: u32,
        turn: &mut Turn<'_>,
    ) -> Option<JobId> {
        if self.actions == Actions::Stopped {
            return None;
        }
        let task = Task::Unban {
            id: id.clone(),
            ban,
        };
        let job = turn.act(&self.settings.name, task);
        self.under_way.insert(job, Purpose::Unban { id, attempt });
        Some(job)
    }

    pub(super) fn start_actions(&mut self, attempt: u32, turn: &mut Turn<'_>) {
        let held = self.bans.iter().map(|held| held.ban.clone()).collect();
        self.start_actions_with(held, attempt, turn);
    }

    /// Begins with these bans; others were handed to the actions before, and are seen to
    /// by `apply`.
    pub(super) fn start_actions_with(&mut self, held: Vec<Ban>, attempt: u32, turn: &mut Turn<'_>) {
        let job = turn.act(&self.settings.name, Task::Start(held));
        self.under_way.insert(job, Purpose::Start);
        self.forget_retries();
        self.actions = Actions::Starting { attempt, job };
    }

    /// Puts the bans back where the actions do not hold them.
    pub(crate) fn rearm(&mut self, turn: &mut Turn<'_>) {
        if let Actions::Down { .. } | Actions::Missing(_) | Actions::Lost = self.actions {
            self.start_actions(2, turn);
        }
    }

    /// Starts its actions anew, with all its bans: they have been replaced.
    pub(crate) fn restart_actions(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.actions, Actions::Added | Actions::Stopped) {
            self.start_actions(1, turn);
        }
    }

    /// The next start sees to what was to be tried again.
    pub(super) fn forget_retries(&mut self) {
        self.retries.bans.clear();
    }

    /// Whether, after a stop, nothing is under way any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Learns how a job went; `false` if it is none of this jail's.
    pub(crate) fn done(&mut self, job: JobId, outcome: &Outcome, turn: &mut Turn<'_>) -> bool {
        let Some(purpose) = self.under_way.remove(&job) else {
            return false;
        };
        if let Purpose::Ban { text, .. } = purpose {
            self.text_under_way -= text;
        }
        match (purpose, outcome) {
            (Purpose::Start, outcome) => self.started(job, outcome, turn),
            (Purpose::Ban { id, .. }, Outcome::Failed(error)) => self.ban_failed(id, error, turn),
            (Purpose::Ban { .. }, Outcome::Lost(error)) => self.lost(error, turn),
            (Purpose::Ban { id, .. }, _) => self.ban_applied(&id),
            (Purpose::Unban { id, attempt }, Outcome::Failed(error)) => {
                self.unban_failed(id, attempt, error, turn);
            }
            (Purpose::Flush(ids), outcome) => self.flushed(ids, outcome, turn),
            (Purpose::Stop, outcome) => self.stopped(outcome, turn),
            (Purpose::Unban { .. } | Purpose::Reload, _) => {}
        }
        true
    }

    /// When something that failed is to be tried again.
    pub(super) fn next_retry(&self) -> Option<Timestamp> {
        match &self.actions {
            Actions::Down { retry, .. } => Some(*retry),
            Actions::Missing(missing) => Some(missing.due()),
            Actions::Added | Actions::Lost | Actions::Stopped | Actions::Starting { .. } => None,
            Actions::Up => {
                let ban = self.retries.bans.first().map(|(at, _)| *at);
                let unban = self.retries.unbans.first().map(|(at, ..)| *at);
                [ban, unban].into_iter().flatten().min()
            }
        }
    }

    /// Tries again what is due.
    pub(super) fn retry(&mut self, turn: &mut Turn<'_>) {
        match self.actions {
            Actions::Down { attempt, retry } if retry <= turn.now => {
                self.start_actions(attempt + 1, turn);
            }
            Actions::Missing(_) => self.find_missing(turn),
            Actions::Up => {
                self.retry_bans(turn);
                self.retry_unbans(turn);
            }
            _ => {}
        }
    }

    fn retry_bans(&mut self, turn: &mut Turn<'_>) {
        while let Some((at, id)) = pop_due(&mut self.retries.bans, |(at, _)| *at <= turn.now) {
            // Else it has failed again since, was applied, or is another ban.
            if let Some(held) = self.bans.get_mut(&id)
                && held.retry == Some(at)
            {
                held.retry = None;
                self.apply(&id, Reason::Hold, turn);
            }
        }
    }

    fn retry_unbans(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, id, attempt)) =
            pop_due(&mut self.retries.unbans, |(at, ..)| *at <= turn.now)
        {
            // Banned again in the meantime: that ban is not to be taken away.
            if self.bans.get(&id).is_none() {
                self.unapply(id, None, attempt, turn);
            }
        }
    }

    fn started(&mut self, job: JobId, outcome: &Outcome, turn: &mut Turn<'_>) {
        let Actions::Starting { attempt, job: last } = self.actions else {
            return;
        };
        if job != last {
            return;
        }
        if let Outcome::Failed(error) | Outcome::Lost(error) = outcome {
            turn.report(self.failed(Step::Start, None, error, attempt));
            let retry = turn.now.plus_secs(retry_after(attempt));
            self.actions = Actions::Down { attempt, retry };
            return;
        }
        self.actions = Actions::Up;
        let waiting: HashSet<FailId> = self
            .under_way
            .values()
            .filter_map(Purpose::banning)
            .cloned()
            .collect();
        for id in self.banned().iter().filter(|id| !waiting.contains(*id)) {
            self.ban_applied(id);
        }
        if let Outcome::Started { failed, .. } = outcome {
            for (id, error) in failed {
                self.ban_failed(id.clone(), error, turn);
            }
        }
        self.tell_start(attempt, outcome, turn);
    }

    fn tell_start(&self, attempt: u32, outcome: &Outcome, turn: &mut Turn<'_>) {
        let jail = self.name();
        if let Outcome::Started {
            kept,
            added,
            corrected,
            foreign,
            ..
        } = *outcome
            && kept + added + corrected + foreign > 0
        {
            turn.report(Event::Adopted {
                jail: jail.clone(),
                kept,
                added,
                corrected,
                foreign,
            });
        }
        if attempt > 1 {
            turn.report(Event::ActionRecovered {
                jail,
                held: self.bans.len(),
            });
        }
    }

    /// All bans were lifted at once; where that did not work, each is tried alone.
    fn flushed(&mut self, ids: Vec<FailId>, outcome: &Outcome, turn: &mut Turn<'_>) {
        for id in ids {
            turn.report(Event::Unbanned {
                jail: self.name(),
                id: id.clone(),
            });
            if let Outcome::Failed(_) = outcome {
                let at = turn.now.plus_secs(retry_after(1));
                self.retries.unbans.insert((at, id, 2));
            }
        }
        if let Outcome::Failed(error) = outcome {
            turn.report(self.failed(Step::Unban, None, error, 1));
        }
    }

    fn stopped(&mut self, outcome: &Outcome, turn: &mut Turn<'_>) {
        for held in std::mem::take(&mut self.bans).iter() {
            turn.report(Event::Repealed {
                jail: self.name(),
                id: held.ban.id.clone(),
            });
        }
        if let Outcome::Failed(error) = outcome {
            turn.report(self.failed(Step::Stop, None, error, 1));
        }
        turn.report(Event::JailStopped { jail: self.name() });
    }

    fn lost(&mut self, error: &str, turn: &mut Turn<'_>) {
        // While a start is under way its outcome tells what holds.
        if self.actions != Actions::Up {
            return;
        }
        self.miss(error.to_owned(), None, turn);
    }

    fn ban_applied(&mut self, id: &FailId) {
        if let Some(held) = self.bans.get_mut(id) {
            held.applied = true;
            held.failed = 0;
            held.retry = None;
        }
    }

    fn ban_failed(&mut self, id: FailId, error: &str, turn: &mut Turn<'_>) {
        let Some(held) = self.bans.get_mut(&id) else {
            return;
        };
        held.applied = false;
        if self.actions != Actions::Up {
            return; // that they are down was told, and the next start brings it along
        }
        held.failed += 1;
        let attempt = held.failed;
        let at = turn.now.plus_secs(retry_after(attempt));
        held.retry = Some(at);
        self.retries.bans.insert((at, id.clone()));
        turn.report(self.failed(Step::Ban, Some(id), error, attempt));
    }

    fn unban_failed(&mut self, id: FailId, attempt: u32, error: &str, turn: &mut Turn<'_>) {
        // That the actions are down was told already.
        let shown = if self.actions == Actions::Up {
            attempt
        } else {
            attempt.max(2)
        };
        let at = turn.now.plus_secs(retry_after(attempt));
        self.retries.unbans.insert((at, id.clone(), attempt + 1));
        turn.report(self.failed(Step::Unban, Some(id), error, shown));
    }

    fn failed(&self, during: Step, id: Option<FailId>, error: &str, attempt: u32) -> Event {
        Event::ActionFailed {
            jail: self.name(),
            during,
            id,
            error: error.to_owned(),
            attempt,
        }
    }
}

/// The first entry, if it is due.
fn pop_due<T: Ord>(set: &mut BTreeSet<T>, is_due: impl Fn(&T) -> bool) -> Option<T> {
    set.first()
        .is_some_and(is_due)
        .then(|| set.pop_first())
        .flatten()
}

fn retry_after(attempt: u32) -> i64 {
    let (first, limit) = RETRY;
    first
        .checked_shl(attempt.saturating_sub(1).min(16))
        .unwrap_or(limit)
        .min(limit)
}
