//! One rule at work: counts failures, holds bans, keeps its actions honest.

use std::collections::{BTreeSet, HashMap, HashSet};

use ferroban_date::Timestamp;

use crate::ban::{Ban, Ticket};
use crate::bans::Bans;
use crate::command::JailStatus;
use crate::effect::{Effect, Job, JobId, Outcome, Save, Task};
use crate::event::{Event, Step};
use crate::failures::Failures;
use crate::filter::Failure;
use crate::id::{FailId, JailName};
use crate::ignore::{IgnoreList, IgnoreReason, Protected, Protection, protection};
use crate::settings::JailSettings;

/// How long to wait before a failed action is tried again, in seconds: doubled
/// with each failure in a row, up to the limit.
const RETRY: (i64, i64) = (5, 300);

/// Hands out names for jobs.
#[derive(Debug, Default)]
pub(crate) struct JobIds(u64);

impl JobIds {
    fn next(&mut self) -> JobId {
        self.0 += 1;
        JobId(self.0)
    }
}

/// What every decision of a jail is given.
pub(crate) struct Turn<'a> {
    pub(crate) now: Timestamp,
    pub(crate) protected: &'a [Protected],
    pub(crate) jobs: &'a mut JobIds,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    fn save(&mut self, save: Save) {
        self.effects.push(Effect::Save(save));
    }

    fn report(&mut self, event: Event) {
        self.effects.push(Effect::Report(event));
    }

    fn act(&mut self, jail: &JailName, task: Task) -> JobId {
        let id = self.jobs.next();
        self.effects.push(Effect::Act(Job {
            id,
            jail: jail.clone(),
            task,
        }));
        id
    }
}

/// Whether the actions of a jail are ready.
#[derive(Debug, Eq, PartialEq)]
enum Actions {
    Starting {
        attempt: u32,
    },
    Up,
    Down {
        attempt: u32,
        retry: Timestamp,
    },
    /// Taken away by somebody; only an order brings them back.
    Lost,
}

/// What a job under way was for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Start,
    Ban(FailId),
    Unban(FailId),
    Stop,
}

impl Purpose {
    fn banning(&self) -> Option<&FailId> {
        if let Self::Ban(id) = self {
            Some(id)
        } else {
            None
        }
    }
}

/// A ban that was not there before, and the job that applies it, if the actions
/// are in a state to try.
struct NewBan {
    job: Option<JobId>,
}

#[derive(Debug)]
pub(crate) struct Jail {
    settings: JailSettings,
    ignored: IgnoreList,
    failures: Failures,
    bans: Bans,
    actions: Actions,
    retries: BTreeSet<(Timestamp, FailId)>,
    under_way: HashMap<JobId, Purpose>,
    total_failures: u64,
    total_bans: u64,
    told_forgotten: u64,
}

impl Jail {
    /// A jail that takes over `restored` bans and starts its actions with them.
    pub(crate) fn start(settings: JailSettings, restored: Vec<Ban>, turn: &mut Turn<'_>) -> Self {
        let mut jail = Self {
            ignored: IgnoreList::new(&settings.ignoreip),
            settings,
            failures: Failures::default(),
            bans: Bans::default(),
            actions: Actions::Starting { attempt: 1 },
            retries: BTreeSet::new(),
            under_way: HashMap::new(),
            total_failures: 0,
            total_bans: 0,
            told_forgotten: 0,
        };
        turn.save(Save::Jail {
            jail: jail.name(),
            enabled: true,
        });
        turn.report(Event::JailStarted { jail: jail.name() });
        for ban in restored {
            jail.restore(ban, turn);
        }
        jail.start_actions(1, turn);
        jail
    }

    pub(crate) fn name(&self) -> JailName {
        self.settings.name.clone()
    }

    /// Counts a failure, and bans when it was one too many.
    pub(crate) fn failure(&mut self, failure: Failure, turn: &mut Turn<'_>) {
        let Failure { id, time, ticket } = failure;
        let time = time.min(turn.now);
        if let Some(why) = self.ignore_reason(&id, turn.protected) {
            turn.report(Event::Ignored {
                jail: self.name(),
                id,
                why,
            });
            return;
        }
        self.failures.sweep(turn.now, self.settings.findtime);
        turn.report(Event::Found {
            jail: self.name(),
            id: id.clone(),
            time,
        });
        self.total_failures += u64::from(ticket.failures);
        if let Some((ticket, time)) = self.failures.add(&id, time, ticket, self.settings.limits()) {
            self.ban(id, time, ticket, turn);
        }
        self.tell_forgotten(turn);
    }

    /// Bans these ids by order. Returns how many were not banned before, the
    /// jobs that apply them, and the protected ones left out.
    pub(crate) fn ban_by_order(
        &mut self,
        ids: Vec<FailId>,
        force: bool,
        turn: &mut Turn<'_>,
    ) -> (usize, Vec<JobId>, Vec<Protected>) {
        let (mut count, mut jobs, mut refused) = (0, Vec::new(), Vec::new());
        for id in ids {
            match protection(turn.protected, &id) {
                Some(entry) if !force => {
                    turn.report(Event::Refused {
                        jail: self.name(),
                        id,
                        why: entry.why,
                    });
                    refused.push(entry);
                }
                _ => {
                    if let Some(new) = self.ban(id, turn.now, Ticket::default(), turn) {
                        count += 1;
                        jobs.extend(new.job);
                    }
                }
            }
        }
        (count, jobs, refused)
    }

    /// Lifts the bans of `id`, or of every banned id inside it, and forgets what
    /// is stored about them. Returns the jobs, one for each ban lifted.
    pub(crate) fn unban_by_order(&mut self, id: &FailId, turn: &mut Turn<'_>) -> Vec<JobId> {
        let found = self.bans.covered_by(id);
        if !found.contains(id) {
            turn.save(Save::Forget {
                jail: self.name(),
                id: id.clone(),
            });
        }
        let mut jobs = Vec::new();
        for id in found {
            turn.save(Save::Forget {
                jail: self.name(),
                id: id.clone(),
            });
            self.bans.remove(&id);
            jobs.push(self.lift(id, turn));
        }
        jobs
    }

    /// Lifts every ban and forgets the jail's history.
    pub(crate) fn unban_all(&mut self, turn: &mut Turn<'_>) -> Vec<JobId> {
        turn.save(Save::ForgetAll { jail: self.name() });
        let all = std::mem::take(&mut self.bans);
        all.iter()
            .map(|held| self.lift(held.ban.id.clone(), turn))
            .collect()
    }

    /// Takes everything out of the firewall. The stored bans stay: the next start
    /// puts them back.
    pub(crate) fn stop(&mut self, turn: &mut Turn<'_>) -> JobId {
        if !self.bans.is_empty() {
            turn.report(Event::Flushed { jail: self.name() });
        }
        for held in self.bans.iter() {
            turn.report(Event::Repealed {
                jail: self.name(),
                id: held.ban.id.clone(),
            });
        }
        let job = turn.act(&self.settings.name, Task::Stop);
        self.under_way.insert(job, Purpose::Stop);
        turn.save(Save::Jail {
            jail: self.name(),
            enabled: false,
        });
        job
    }

    /// Whether, after [`stop`](Self::stop), nothing is under way any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.under_way.is_empty()
    }

    /// When [`wake`](Self::wake) has something to do.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        let retry = match self.actions {
            Actions::Down { retry, .. } => Some(retry),
            Actions::Lost => None,
            Actions::Starting { .. } | Actions::Up => self.retries.first().map(|(at, _)| *at),
        };
        [self.bans.next_due(), retry].into_iter().flatten().min()
    }

    /// Lifts bans whose time is up, and tries again what failed.
    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        for ban in self.bans.take_due(turn.now) {
            self.lift(ban.id, turn);
        }
        match self.actions {
            Actions::Down { attempt, retry } if retry <= turn.now => {
                self.start_actions(attempt + 1, turn);
            }
            Actions::Up => self.retry_bans(turn),
            Actions::Down { .. } | Actions::Starting { .. } | Actions::Lost => {}
        }
    }

    /// Learns how a job went; `false` if it is none of this jail's.
    pub(crate) fn done(&mut self, job: JobId, outcome: &Outcome, turn: &mut Turn<'_>) -> bool {
        let Some(purpose) = self.under_way.remove(&job) else {
            return false;
        };
        match (purpose, outcome) {
            (Purpose::Start, outcome) => self.started(outcome, turn),
            (Purpose::Ban(id), Outcome::Failed(error)) => self.ban_failed(id, error, turn),
            (Purpose::Ban(_), Outcome::Lost(error)) => self.lost(error, turn),
            (Purpose::Ban(id), _) => self.ban_applied(&id),
            (Purpose::Unban(id), Outcome::Failed(error)) => {
                // That the actions are down was told already.
                let attempt = if self.actions == Actions::Up { 1 } else { 2 };
                turn.report(self.failed(Step::Unban, Some(id), error, attempt));
            }
            (Purpose::Stop, outcome) => self.stopped(outcome, turn),
            (Purpose::Unban(_), _) => {}
        }
        true
    }

    pub(crate) fn settings(&self) -> &JailSettings {
        &self.settings
    }

    pub(crate) fn ban_count(&self) -> usize {
        self.bans.len()
    }

    /// Goes on with other settings; bans and counts stay.
    pub(crate) fn change(&mut self, settings: JailSettings) {
        self.ignored = IgnoreList::new(&settings.ignoreip);
        self.settings = settings;
    }

    /// Puts the bans back where the actions do not hold them.
    pub(crate) fn rearm(&mut self, turn: &mut Turn<'_>) {
        if let Actions::Down { .. } | Actions::Lost = self.actions {
            self.start_actions(2, turn);
        }
    }

    /// Starts its actions anew, with all its bans: they have been replaced.
    pub(crate) fn restart_actions(&mut self, turn: &mut Turn<'_>) {
        self.start_actions(1, turn);
    }

    pub(crate) fn status(&mut self, now: Timestamp) -> JailStatus {
        self.failures.sweep(now, self.settings.findtime);
        JailStatus {
            watches: self.settings.watches.clone(),
            failing: self.failures.len(),
            failures: self.total_failures,
            bans: self.total_bans,
            banned: self.banned(),
            applied: self.bans.iter().filter(|held| held.applied).count(),
        }
    }

    pub(crate) fn banned(&self) -> Vec<FailId> {
        self.bans.iter().map(|held| held.ban.id.clone()).collect()
    }

    pub(crate) fn bans_by_end(&self) -> Vec<Ban> {
        self.bans.by_end().map(|held| held.ban.clone()).collect()
    }

    /// Bans, unless it is pointless or done already.
    fn ban(
        &mut self,
        id: FailId,
        time: Timestamp,
        ticket: Ticket,
        turn: &mut Turn<'_>,
    ) -> Option<NewBan> {
        let jail = self.name();
        let bantime = self.settings.bantime;
        if bantime.end(time) < turn.now {
            turn.report(Event::Expired { jail, id });
            return None;
        }
        if let Some(held) = self.bans.get(&id) {
            let after = time.secs() - held.ban.time.secs();
            self.bans.extend(&id, time, bantime);
            turn.report(Event::AlreadyBanned { jail, id, after });
            return None;
        }
        let ban = Ban {
            id: id.clone(),
            time,
            bantime,
            count: 1,
            ticket,
            restored: false,
        };
        self.bans.add(ban.clone());
        self.total_bans += 1;
        turn.save(Save::Ban {
            jail: jail.clone(),
            ban: ban.clone(),
        });
        turn.report(Event::Banned {
            jail: jail.clone(),
            id: id.clone(),
        });
        if let Actions::Down { .. } | Actions::Lost = self.actions {
            return Some(NewBan { job: None }); // the next start brings it along
        }
        let job = turn.act(&jail, Task::Ban(ban));
        self.under_way.insert(job, Purpose::Ban(id));
        Some(NewBan { job: Some(job) })
    }

    /// Restores bans that are not known yet, at work already.
    pub(crate) fn take_over(&mut self, bans: Vec<Ban>, turn: &mut Turn<'_>) {
        for ban in bans {
            let id = ban.id.clone();
            if self.bans.get(&id).is_some() {
                continue;
            }
            self.restore(ban, turn);
            let Some(ban) = self.bans.get(&id).map(|held| held.ban.clone()) else {
                continue;
            };
            if let Actions::Down { .. } | Actions::Lost = self.actions {
                continue; // the next start brings it along
            }
            let job = turn.act(&self.settings.name, Task::Ban(ban));
            self.under_way.insert(job, Purpose::Ban(id));
        }
    }

    fn restore(&mut self, mut ban: Ban, turn: &mut Turn<'_>) {
        if let Some(why) = self.ignore_reason(&ban.id, turn.protected) {
            turn.report(Event::Ignored {
                jail: self.name(),
                id: ban.id,
                why,
            });
            return;
        }
        if ban.end() < turn.now {
            return;
        }
        ban.count += 1;
        ban.restored = true;
        let surplus = ban
            .ticket
            .matches
            .len()
            .saturating_sub(self.settings.maxmatches);
        ban.ticket.matches.drain(..surplus);
        turn.report(Event::Restored {
            jail: self.name(),
            id: ban.id.clone(),
        });
        self.total_bans += 1;
        self.bans.add(ban);
    }

    fn lift(&mut self, id: FailId, turn: &mut Turn<'_>) -> JobId {
        turn.report(Event::Unbanned {
            jail: self.name(),
            id: id.clone(),
        });
        let job = turn.act(&self.settings.name, Task::Unban(id.clone()));
        self.under_way.insert(job, Purpose::Unban(id));
        job
    }

    fn start_actions(&mut self, attempt: u32, turn: &mut Turn<'_>) {
        let held: Vec<Ban> = self.bans.iter().map(|held| held.ban.clone()).collect();
        let job = turn.act(&self.settings.name, Task::Start(held));
        self.under_way.insert(job, Purpose::Start);
        self.retries.clear();
        self.actions = Actions::Starting { attempt };
    }

    fn started(&mut self, outcome: &Outcome, turn: &mut Turn<'_>) {
        let Actions::Starting { attempt } = self.actions else {
            return;
        };
        if let Outcome::Failed(error) = outcome {
            turn.report(self.failed(Step::Start, None, error, attempt));
            self.actions = Actions::Down {
                attempt,
                retry: turn.now.plus_secs(retry_after(attempt)),
            };
            return;
        }
        self.actions = Actions::Up;
        let none = Vec::new();
        let failed = if let Outcome::Started { failed, .. } = outcome {
            failed
        } else {
            &none
        };
        let waiting: HashSet<FailId> = self
            .under_way
            .values()
            .filter_map(Purpose::banning)
            .cloned()
            .collect();
        for id in self.banned().iter().filter(|id| !waiting.contains(*id)) {
            self.ban_applied(id);
        }
        for (id, error) in failed {
            self.ban_failed(id.clone(), error, turn);
        }
        if let Outcome::Started {
            kept,
            added,
            corrected,
            foreign,
            ..
        } = *outcome
            && kept + added + foreign > 0
        {
            turn.report(Event::Adopted {
                jail: self.name(),
                kept,
                added,
                corrected,
                foreign,
            });
        }
        if attempt > 1 {
            turn.report(Event::ActionRecovered {
                jail: self.name(),
                held: self.bans.len(),
            });
        }
    }

    fn stopped(&self, outcome: &Outcome, turn: &mut Turn<'_>) {
        if let Outcome::Failed(error) = outcome {
            turn.report(self.failed(Step::Stop, None, error, 1));
        }
        turn.report(Event::JailStopped { jail: self.name() });
    }

    fn lost(&mut self, error: &str, turn: &mut Turn<'_>) {
        if self.actions == Actions::Lost {
            return;
        }
        self.actions = Actions::Lost;
        self.retries.clear();
        for id in self.banned() {
            if let Some(held) = self.bans.get_mut(&id) {
                held.applied = false;
            }
        }
        let bans = self.bans.len();
        turn.report(Event::Unprotected {
            jail: self.name(),
            bans,
            error: error.to_owned(),
        });
    }

    fn ban_applied(&mut self, id: &FailId) {
        if let Some(held) = self.bans.get_mut(id) {
            held.applied = true;
            held.failed = 0;
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
        self.retries
            .insert((turn.now.plus_secs(retry_after(attempt)), id.clone()));
        turn.report(self.failed(Step::Ban, Some(id), error, attempt));
    }

    fn retry_bans(&mut self, turn: &mut Turn<'_>) {
        while let Some((at, _)) = self.retries.first()
            && *at <= turn.now
        {
            let Some((_, id)) = self.retries.pop_first() else {
                return;
            };
            let Some(ban) = self.bans.get(&id).map(|held| held.ban.clone()) else {
                continue;
            };
            let job = turn.act(&self.settings.name, Task::Ban(ban));
            self.under_way.insert(job, Purpose::Ban(id));
        }
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

    fn ignore_reason(&self, id: &FailId, protected: &[Protected]) -> Option<IgnoreReason> {
        let own = |entry: &Protected| entry.why == Protection::OwnAddress;
        match protection(protected, id) {
            Some(entry) if own(&entry) && self.settings.ignoreself => {
                Some(IgnoreReason::OwnAddress)
            }
            guarded => self
                .ignored
                .reason(id)
                .or(guarded.map(|entry| IgnoreReason::Protected(entry.why))),
        }
    }

    fn tell_forgotten(&mut self, turn: &mut Turn<'_>) {
        // At the first and then at every doubling: a flood must not fill the log.
        let total = self.failures.forgotten();
        if total > 0 && total >= self.told_forgotten.saturating_mul(2) {
            self.told_forgotten = total;
            turn.report(Event::Forgotten {
                jail: self.name(),
                total,
            });
        }
    }
}

fn retry_after(attempt: u32) -> i64 {
    RETRY
        .0
        .checked_shl(attempt.saturating_sub(1).min(16))
        .unwrap_or(RETRY.1)
        .min(RETRY.1)
}
