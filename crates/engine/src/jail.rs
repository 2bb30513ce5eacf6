//! One rule at work: counts failures and holds bans.
//!
//! How its bans get into the firewall, and what happens when they do not, is in
//! `applying`.

mod applying;
pub(crate) mod tamper;

use std::collections::{HashMap, VecDeque};

use applying::{Actions, Purpose, Retries};
use ferroban_date::Timestamp;
use tamper::Heals;

use crate::ban::{Ban, Ticket};
use crate::bans::{Bans, Held};
use crate::command::{Counts, JailStatus};
use crate::effect::{Effect, Job, JobId, Reason, Save, Task};
use crate::event::Event;
use crate::failures::Failures;
use crate::filter::{Failure, Lookup};
use crate::id::{FailId, JailName};
use crate::ignore::{IgnoreList, IgnoreReason, Listed, Protected, Protection, protection};
use crate::inquiry::{Ask, Suspect};
use crate::settings::JailSettings;

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

/// What became of an order to ban.
#[derive(Default)]
struct Banned {
    /// Whether it was not banned before.
    new: bool,
    /// The job that applies the ban, if the actions are in a state to try.
    job: Option<JobId>,
}

#[derive(Debug)]
pub(crate) struct Jail {
    settings: JailSettings,
    ignored: IgnoreList,
    failures: Failures,
    bans: Bans,
    actions: Actions,
    retries: Retries,
    heals: Heals,
    under_way: HashMap<JobId, Purpose>,
    /// Bytes of text in the bans under way.
    text_under_way: usize,
    total_failures: u64,
    total_bans: u64,
    told_forgotten: u64,
    told_shortened: bool,
    /// Who was restored and may have to be ignored now.
    restored: VecDeque<FailId>,
}

/// What is known about a failure before it counts.
pub(crate) enum Weighed {
    /// It counts.
    Count(Failure),
    /// It is ignored.
    Ignore(Failure, IgnoreReason),
    /// That has to be found out.
    Ask(Failure, Ask),
    /// The jail has ended.
    Drop,
}

impl Jail {
    /// A jail that does not work yet. Who is banned in it by order is banned.
    pub(crate) fn add(settings: JailSettings, turn: &mut Turn<'_>) -> Self {
        let jail = Self {
            ignored: IgnoreList::new(&settings.ignoreip),
            settings,
            failures: Failures::default(),
            bans: Bans::default(),
            actions: Actions::Added,
            retries: Retries::default(),
            heals: Heals::default(),
            under_way: HashMap::new(),
            text_under_way: 0,
            total_failures: 0,
            total_bans: 0,
            told_forgotten: 0,
            told_shortened: false,
            restored: VecDeque::new(),
        };
        turn.save(Save::Jail {
            jail: jail.name(),
            enabled: true,
        });
        jail
    }

    /// Begins to work: takes over `restored` bans and starts its actions with all of them.
    pub(crate) fn begin(&mut self, restored: Vec<Ban>, turn: &mut Turn<'_>) {
        turn.report(Event::JailStarted { jail: self.name() });
        // The actions know of these already.
        let early = self.banned();
        let refused: Vec<FailId> = restored
            .into_iter()
            .filter_map(|ban| self.restore(ban, turn))
            .collect();
        let fresh = self
            .bans
            .iter()
            .map(|held| held.ban.clone())
            .skip(early.len())
            .collect();
        self.start_actions_with(fresh, 1, turn);
        for id in early {
            self.apply(&id, Reason::Hold, turn);
        }
        // After a crash the firewall may still hold who is to be ignored now.
        for id in refused {
            self.unapply(id, None, 1, turn);
        }
    }

    /// Whether it works.
    pub(crate) fn is_started(&self) -> bool {
        self.actions != Actions::Added
    }

    pub(crate) fn name(&self) -> JailName {
        self.settings.name.clone()
    }

    /// What is known about a failure before it counts.
    pub(crate) fn weigh(&self, mut failure: Failure, turn: &Turn<'_>) -> Weighed {
        if matches!(self.actions, Actions::Stopped) {
            return Weighed::Drop;
        }
        failure.time = failure.time.min(turn.now);
        if failure.lookup != Lookup::None {
            let name = failure.id.to_string();
            return Weighed::Ask(failure, Ask::Addresses(name));
        }
        let guarded = protection(turn.protected, &failure.id);
        let own = guarded.filter(|entry| entry.why == Protection::OwnAddress);
        let listed = self.ignored.look(&failure.id);
        let decided = match own {
            Some(_) if self.settings.ignoreself => Some(IgnoreReason::OwnAddress),
            _ => listed.exactly.then_some(IgnoreReason::Ip),
        };
        let within = listed.within.then_some(IgnoreReason::Ip);
        let otherwise = within.or(guarded.map(|entry| IgnoreReason::Protected(entry.why)));
        let settings = &self.settings;
        if settings.ignorecache.is_none() {
            // What needs no asking is decided at once.
            match (decided, otherwise) {
                (Some(why), _) => return Weighed::Ignore(failure, why),
                (None, Some(why)) if listed.elsewhere.is_empty() => {
                    return Weighed::Ignore(failure, why);
                }
                (None, None) if listed.elsewhere.is_empty() && settings.ignorecommand.is_none() => {
                    return Weighed::Count(failure);
                }
                (None, otherwise) => {
                    let suspect = self.suspect(&failure, (None, listed, otherwise));
                    return Weighed::Ask(failure, suspect);
                }
            }
        }
        let suspect = self.suspect(&failure, (decided, listed, otherwise));
        Weighed::Ask(failure, suspect)
    }

    fn suspect(
        &self,
        failure: &Failure,
        (decided, listed, otherwise): (Option<IgnoreReason>, Listed, Option<IgnoreReason>),
    ) -> Ask {
        Ask::Ignored(Box::new(Suspect {
            failure: failure.clone(),
            cache: self.settings.ignorecache.clone(),
            decided,
            entries: listed.elsewhere,
            otherwise,
            command: self.settings.ignorecommand.clone(),
        }))
    }

    /// Counts a failure, and bans when it was one too many.
    pub(crate) fn count(&mut self, failure: Failure, turn: &mut Turn<'_>) {
        if matches!(self.actions, Actions::Added | Actions::Stopped) {
            return;
        }
        let Failure {
            id, time, ticket, ..
        } = failure;
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

    /// Whether a failure counts that a client reports.
    pub(crate) fn counts_attempts(&self) -> bool {
        self.actions != Actions::Stopped
    }

    /// Counts a failure that a client reported.
    pub(crate) fn count_attempt(&mut self, failure: Failure, turn: &mut Turn<'_>) {
        let Failure {
            id, time, ticket, ..
        } = failure;
        turn.report(Event::Attempted {
            jail: self.name(),
            id: id.clone(),
            time,
        });
        self.total_failures += 1;
        let limits = self.settings.limits();
        if let Some((ticket, time)) = self.failures.add(&id, time, ticket, limits) {
            self.ban(id, time, ticket, turn);
        }
    }

    /// The next restored ban of which has to be asked whether it is to be ignored now;
    /// each is asked about once.
    pub(crate) fn restored(&mut self) -> Option<Failure> {
        let asks = self.settings.ignorecommand.is_some() || self.ignored.asks();
        if !asks {
            self.restored.clear();
        }
        loop {
            let id = self.restored.pop_front()?;
            if let Some(held) = self.bans.get(&id) {
                return Some(Failure {
                    id,
                    lookup: Lookup::None,
                    time: held.ban.time,
                    ticket: held.ban.ticket.clone(),
                });
            }
        }
    }

    /// Lifts a restored ban that is to be ignored. What is stored about it stays.
    pub(crate) fn give_back(&mut self, id: &FailId, turn: &mut Turn<'_>) {
        if let Some(ban) = self.bans.remove(id) {
            self.lift(ban, turn);
        }
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
                    let banned = self.ban(id, turn.now, Ticket::default(), turn);
                    count += usize::from(banned.new);
                    jobs.extend(banned.job);
                }
            }
        }
        (count, jobs, refused)
    }

    /// Lifts the ban of `id`, or of every banned id inside it, and forgets what is
    /// stored about them. Returns how many bans were lifted, and the jobs.
    ///
    /// The firewall is told even if `id` is not banned: after a crash it may hold
    /// what nobody remembers.
    pub(crate) fn unban_by_order(
        &mut self,
        id: &FailId,
        turn: &mut Turn<'_>,
    ) -> (usize, Vec<JobId>) {
        let found = self.bans.covered_by(id);
        let mut jobs = Vec::new();
        if !found.contains(id) {
            turn.save(Save::Forget {
                jail: self.name(),
                id: id.clone(),
            });
            jobs.extend(self.unapply(id.clone(), None, 1, turn));
        }
        let count = found.len();
        for id in found {
            turn.save(Save::Forget {
                jail: self.name(),
                id: id.clone(),
            });
            if let Some(ban) = self.bans.remove(&id) {
                jobs.extend(self.lift(ban, turn));
            }
        }
        (count, jobs)
    }

    /// Lifts every ban and forgets the jail's history. Returns how many bans were
    /// lifted, and the jobs.
    pub(crate) fn unban_all(&mut self, turn: &mut Turn<'_>) -> (usize, Vec<JobId>) {
        turn.save(Save::ForgetAll { jail: self.name() });
        if self.actions == Actions::Stopped {
            return (0, Vec::new());
        }
        let all = std::mem::take(&mut self.bans);
        let bans: Vec<Ban> = all.iter().map(|held| held.ban.clone()).collect();
        let ids = bans.iter().map(|ban| ban.id.clone()).collect();
        let job = turn.act(&self.settings.name, Task::Flush(bans));
        self.under_way.insert(job, Purpose::Flush(ids));
        (all.len(), vec![job])
    }

    /// Takes over bans that were stored and could not be read before.
    pub(crate) fn take_over(&mut self, bans: Vec<Ban>, turn: &mut Turn<'_>) {
        for ban in bans {
            let id = ban.id.clone();
            if self.bans.get(&id).is_some() || self.actions == Actions::Stopped {
                continue;
            }
            match self.restore(ban, turn) {
                Some(refused) => drop(self.unapply(refused, None, 1, turn)),
                None => drop(self.apply(&id, Reason::New, turn)),
            }
        }
    }

    /// Takes everything out of the firewall. The stored bans stay: the next start
    /// puts them back.
    pub(crate) fn stop(&mut self, turn: &mut Turn<'_>) -> JobId {
        let bans = self.bans.iter().map(|held| held.ban.clone()).collect();
        let job = turn.act(&self.settings.name, Task::Stop(bans));
        self.under_way.insert(job, Purpose::Stop);
        self.actions = Actions::Stopped;
        turn.save(Save::Jail {
            jail: self.name(),
            enabled: false,
        });
        job
    }

    /// The configuration was read again.
    pub(crate) fn reloaded(&mut self, turn: &mut Turn<'_>) -> Option<JobId> {
        if self.actions == Actions::Stopped {
            return None;
        }
        let job = turn.act(&self.settings.name, Task::Reload);
        self.under_way.insert(job, Purpose::Reload);
        Some(job)
    }

    /// Whether `id` is banned.
    pub(crate) fn is_banned(&self, id: &FailId) -> bool {
        self.bans.get(id).is_some()
    }

    /// When [`wake`](Self::wake) has something to do.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        if self.rests() {
            return None;
        }
        [self.bans.next_due(), self.next_retry()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing is done by itself.
    fn rests(&self) -> bool {
        self.settings.idle || matches!(self.actions, Actions::Added | Actions::Stopped)
    }

    /// Lifts bans whose time is up, and tries again what failed.
    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        if self.rests() {
            return;
        }
        for ban in self.bans.take_due(turn.now) {
            self.lift(ban, turn);
        }
        self.retry(turn);
    }

    pub(crate) fn settings(&self) -> &JailSettings {
        &self.settings
    }

    pub(crate) fn ban_count(&self) -> usize {
        self.bans.len()
    }

    /// Goes on with other settings; bans and counts stay. Another ban time holds for the
    /// bans too that have none of their own.
    pub(crate) fn change(&mut self, settings: JailSettings, turn: &mut Turn<'_>) {
        self.ignored = IgnoreList::new(&settings.ignoreip);
        self.settings = settings;
        for id in self.bans.follow(self.settings.bantime) {
            self.apply(&id, Reason::Hold, turn);
        }
    }

    pub(crate) fn status(&mut self, now: Timestamp) -> JailStatus {
        self.failures.sweep(now, self.settings.findtime);
        JailStatus {
            watches: self.settings.watches.clone(),
            backend: self.settings.backend.clone(),
            failing: self.failures.len(),
            failures: self.total_failures,
            bans: self.total_bans,
            banned: self.banned(),
            applied: self.bans.iter().filter(|held| held.applied).count(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Counts {
            banned: count(self.bans.len()),
            banned_total: self.total_bans,
            found: count(self.failures.len()),
            found_total: self.total_failures,
        }
    }

    pub(crate) fn banned(&self) -> Vec<FailId> {
        self.bans.iter().map(|held| held.ban.id.clone()).collect()
    }

    pub(crate) fn bans_by_end(&self) -> Vec<Ban> {
        self.bans.by_end().map(|held| held.ban.clone()).collect()
    }

    pub(crate) fn applied(&self) -> impl Iterator<Item = &Ban> {
        let applied = self.bans.iter().filter(|held| held.applied);
        applied.map(|held| &held.ban)
    }

    pub(crate) fn bans_and_state(&self) -> Vec<(Ban, bool)> {
        let both = |held: &Held| (held.ban.clone(), held.applied);
        self.bans.by_end().map(both).collect()
    }

    /// Bans, unless it is pointless or done already.
    fn ban(&mut self, id: FailId, time: Timestamp, ticket: Ticket, turn: &mut Turn<'_>) -> Banned {
        let jail = self.name();
        let bantime = self.settings.bantime;
        if bantime.end(time) < turn.now {
            turn.report(Event::Expired { jail, id });
            return Banned::default();
        }
        if let Some(held) = self.bans.get(&id) {
            let after = time.secs() - held.ban.time.secs();
            return self.ban_again(id, time, after, turn);
        }
        let ban = Ban {
            id: id.clone(),
            time,
            bantime,
            count: 1,
            ticket,
            restored: false,
        };
        self.keep(ban.clone(), turn);
        turn.save(Save::Ban {
            jail: jail.clone(),
            ban: ban.clone(),
        });
        turn.report(Event::Banned { jail, id });
        Banned {
            new: true,
            // The whole ban: of what is kept, lines may be missing.
            job: self.apply_ban(ban, Reason::New, turn),
        }
    }

    /// Counts a ban and keeps it, or as much of it as there is room for.
    fn keep(&mut self, ban: Ban, turn: &mut Turn<'_>) {
        self.total_bans += 1;
        if self.bans.add(ban) && !std::mem::replace(&mut self.told_shortened, true) {
            turn.report(Event::Shortened { jail: self.name() });
        }
    }

    /// Who fails on while banned is banned for longer. The firewall is told in any
    /// case: perhaps it does not hold him, because the clock was put back or
    /// because somebody took him out.
    fn ban_again(
        &mut self,
        id: FailId,
        time: Timestamp,
        after: i64,
        turn: &mut Turn<'_>,
    ) -> Banned {
        let longer = self.bans.extend(&id, time, self.settings.bantime);
        if let Some(held) = self.bans.get(&id).filter(|_| longer) {
            turn.save(Save::Prolong {
                jail: self.name(),
                ban: held.ban.clone(),
            });
        }
        let job = self.apply(&id, Reason::FailsOn, turn);
        turn.report(Event::AlreadyBanned {
            jail: self.name(),
            id,
            after,
        });
        Banned { new: false, job }
    }

    /// Takes a stored ban over, unless it is held; one that must not be is given back.
    fn restore(&mut self, mut ban: Ban, turn: &mut Turn<'_>) -> Option<FailId> {
        if self.is_banned(&ban.id) {
            return None;
        }
        if let Some(why) = self.ignore_reason(&ban.id, turn.protected) {
            turn.report(Event::Ignored {
                jail: self.name(),
                id: ban.id.clone(),
                why,
            });
            return Some(ban.id);
        }
        if ban.end() < turn.now {
            return None;
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
        self.restored.push_back(ban.id.clone());
        self.keep(ban, turn);
        None
    }

    /// Lets the firewall know that a ban is over, which is out of `bans` already.
    /// A network may have stood for narrower bans, whose time is not up.
    fn lift(&mut self, ban: Ban, turn: &mut Turn<'_>) -> Option<JobId> {
        let id = ban.id.clone();
        turn.report(Event::Unbanned {
            jail: self.name(),
            id: id.clone(),
        });
        let job = self.unapply(id.clone(), Some(ban), 1, turn);
        if matches!(id, FailId::Network(_)) {
            for inside in self.bans.covered_by(&id) {
                self.apply(&inside, Reason::Hold, turn);
            }
        }
        job
    }

    /// Why an id is ignored, as far as the jail knows by itself.
    pub(crate) fn ignore_reason(
        &self,
        id: &FailId,
        protected: &[Protected],
    ) -> Option<IgnoreReason> {
        let own = |entry: &Protected| entry.why == Protection::OwnAddress;
        match protection(protected, id) {
            Some(entry) if own(&entry) && self.settings.ignoreself => {
                Some(IgnoreReason::OwnAddress)
            }
            guarded => {
                let listed = self.ignored.look(id);
                let is_listed = listed.exactly || listed.within;
                let listed = is_listed.then_some(IgnoreReason::Ip);
                listed.or(guarded.map(|entry| IgnoreReason::Protected(entry.why)))
            }
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
