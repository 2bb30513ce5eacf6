//! All jails, and the doors through which the daemon talks to them.
//!
//! Every door takes `now` and leaves its consequences in `effects`, in the order
//! in which they must be carried out.

mod asking;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ferroban_date::Timestamp;

use crate::ban::{Ban, Match};
use crate::command::{Answer, Command, CommandError, Counts, JailStatus, Reply};
use crate::effect::{Done, Effect, JobId};
use crate::event::Event;
use crate::filter::{Failure, Lookup};
use crate::id::{FailId, JailName};
use crate::ignore::{IgnoreReason, Protected};
use crate::inquiry::{Ask, Finding, InquiryId};
use crate::jail::tamper::Tampering;
use crate::jail::{Jail, JobIds, Turn, Weighed};
use crate::plan::{self, JailChange};
use crate::settings::JailSettings;
use asking::{Asking, Come, Open, Purpose};

/// Decides who is banned.
#[derive(Debug, Default)]
pub struct Engine {
    jails: BTreeMap<JailName, Jail>,
    /// Jail names in the order they were made, which `banned` and `stop` follow.
    order: Vec<JailName>,
    protected: Vec<Protected>,
    jobs: JobIds,
    /// Jails that were removed and whose last job is under way.
    ending: Vec<Jail>,
    /// What is told of a jail that began anew, once its earlier life has ended.
    waiting: Vec<(JailName, Event)>,
    /// Failures whose fate is being found out.
    asking: Asking,
    /// Failures of a jail that ended while they waited; its next life asks again.
    parted: HashMap<JailName, Vec<(Purpose, Failure)>>,
    /// Failures that came while too many waited.
    unasked: Doubling,
    /// Inquiries without an answer, since nothing waited last.
    unanswered: Doubling,
}

/// How often something happened, told at the first time and then at every doubling: a
/// flood must not fill the log.
#[derive(Debug, Default)]
struct Doubling {
    total: u64,
    told: u64,
}

impl Doubling {
    /// Counts once more. How often it was, if that is to be told.
    fn tell(&mut self) -> Option<u64> {
        self.total += 1;
        let due = self.total >= self.told.saturating_mul(2);
        due.then(|| {
            self.told = self.total;
            self.total
        })
    }
}

impl Engine {
    /// An engine without jails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the addresses that are not banned without force.
    pub fn protect(&mut self, protected: Vec<Protected>) {
        self.protected = protected;
    }

    /// Adds a jail without history. A jail of that name must not exist.
    pub fn add_jail(&mut self, now: Timestamp, settings: JailSettings, effects: &mut Vec<Effect>) {
        self.restore_jail(now, settings, Vec::new(), effects);
    }

    /// Adds a jail that takes over the bans of an earlier life.
    pub fn restore_jail(
        &mut self,
        now: Timestamp,
        settings: JailSettings,
        bans: Vec<Ban>,
        effects: &mut Vec<Effect>,
    ) {
        let name = settings.name.clone();
        self.make_jail(now, settings, effects);
        self.start_jail(now, &name, bans, effects);
    }

    /// Adds a jail that does not work yet. Who is banned in it by order is banned.
    pub fn make_jail(&mut self, now: Timestamp, settings: JailSettings, effects: &mut Vec<Effect>) {
        let name = settings.name.clone();
        let jobs = &mut self.jobs;
        let mut turn = Turn {
            now,
            protected: &self.protected,
            jobs,
            effects,
        };
        let jail = Jail::add(settings, &mut turn);
        if self.jails.insert(name.clone(), jail).is_none() {
            self.order.push(name);
        }
    }

    /// Lets a jail work that was added, with the bans of an earlier life.
    pub fn start_jail(
        &mut self,
        now: Timestamp,
        name: &JailName,
        bans: Vec<Ban>,
        effects: &mut Vec<Effect>,
    ) {
        let before = effects.len();
        self.on(name, now, effects, |jail, turn| jail.begin(bans, turn));
        if self.is_ending(name) {
            self.tell_later(name, before, effects);
        }
        for (purpose, failure) in self.parted.remove(name).unwrap_or_default() {
            self.suspect(now, (name, purpose), failure, effects);
        }
        self.ask_about_restored(now, name, effects);
    }

    /// Whether there is such a jail and it works.
    #[must_use]
    pub fn is_started(&self, name: &JailName) -> bool {
        self.jails.get(name).is_some_and(Jail::is_started)
    }

    /// What `wanted` would change, in the order of the jails.
    #[must_use]
    pub fn changes(&self, wanted: &[JailSettings]) -> Vec<JailChange> {
        let gone = self
            .order
            .iter()
            .filter(|name| !wanted.iter().any(|new| new.name == **name));
        let removed = gone.filter_map(|name| {
            Some(JailChange::Removed {
                jail: name.clone(),
                bans: self.jails.get(name)?.ban_count(),
            })
        });
        let rest = wanted.iter().filter_map(|new| {
            let jail = new.name.clone();
            let Some(old) = self.jails.get(&jail) else {
                return Some(JailChange::Added { jail });
            };
            let options = plan::differences(old.settings(), new);
            let bans = old.ban_count();
            (!options.is_empty()).then_some(JailChange::Changed {
                jail,
                bans,
                options,
            })
        });
        removed.chain(rest).collect()
    }

    /// How many are banned in a jail.
    #[must_use]
    pub fn ban_count(&self, jail: &JailName) -> usize {
        self.jails.get(jail).map_or(0, Jail::ban_count)
    }

    /// Goes on with other settings for a jail that is at work; its bans and counts stay.
    pub fn change_jail(
        &mut self,
        now: Timestamp,
        settings: JailSettings,
        effects: &mut Vec<Effect>,
    ) {
        let name = settings.name.clone();
        self.on(&name, now, effects, |jail, turn| {
            jail.change(settings, turn);
        });
    }

    /// Ends a jail. Its bans leave the firewall and stay stored. Returns the job that
    /// cleans the firewall. What it waited to know is asked again if it begins anew.
    pub fn remove_jail(
        &mut self,
        now: Timestamp,
        name: &JailName,
        effects: &mut Vec<Effect>,
    ) -> Option<JobId> {
        let mut jail = self.jails.remove(name)?;
        self.order.retain(|other| other != name);
        let waited = self.asking.withdraw(name);
        if !waited.is_empty() {
            self.parted.entry(name.clone()).or_default().extend(waited);
        }
        let jobs = &mut self.jobs;
        let job = jail.stop(&mut Turn {
            now,
            protected: &self.protected,
            jobs,
            effects,
        });
        self.ending.push(jail);
        Some(job)
    }

    /// Lifts every ban of a jail and forgets its history. Returns how many there were,
    /// and the jobs.
    pub fn flush_jail(
        &mut self,
        now: Timestamp,
        name: &JailName,
        effects: &mut Vec<Effect>,
    ) -> (usize, Vec<JobId>) {
        self.on(name, now, effects, Jail::unban_all)
            .unwrap_or_default()
    }

    /// Tells the actions of a jail that its configuration was read again. Returns the job,
    /// which comes behind all that the new configuration made of its actions.
    pub fn jail_reloaded(
        &mut self,
        now: Timestamp,
        name: &JailName,
        effects: &mut Vec<Effect>,
    ) -> Option<JobId> {
        self.on(name, now, effects, Jail::reloaded).flatten()
    }

    /// The numbers of a jail.
    pub fn status(&mut self, now: Timestamp, jail: &JailName) -> Option<JailStatus> {
        self.jails.get_mut(jail).map(|jail| jail.status(now))
    }

    /// What a jail has counted.
    #[must_use]
    pub fn counts(&self, jail: &JailName) -> Option<Counts> {
        self.jails.get(jail).map(Jail::counts)
    }

    /// Who is banned in a jail, in ban order.
    #[must_use]
    pub fn banned(&self, jail: &JailName) -> Vec<FailId> {
        self.jails.get(jail).map(Jail::banned).unwrap_or_default()
    }

    /// The bans of a jail, the one that ends first at the front.
    #[must_use]
    pub fn bans(&self, jail: &JailName) -> Vec<Ban> {
        self.jails
            .get(jail)
            .map(Jail::bans_by_end)
            .unwrap_or_default()
    }

    /// The same, and whether the firewall is known to hold each.
    #[must_use]
    pub fn bans_and_state(&self, jail: &JailName) -> Vec<(Ban, bool)> {
        self.jails
            .get(jail)
            .map(Jail::bans_and_state)
            .unwrap_or_default()
    }

    /// The bans of a jail that its actions have taken.
    pub fn applied(&self, jail: &JailName) -> impl Iterator<Item = &Ban> {
        self.jails.get(jail).into_iter().flat_map(Jail::applied)
    }

    /// Whether there is such a jail.
    #[must_use]
    pub fn has_jail(&self, name: &JailName) -> bool {
        self.jails.contains_key(name)
    }

    /// Puts bans back wherever the actions of a jail are down or were taken away.
    pub fn rearm(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.each(now, effects, |jail, turn| {
            jail.rearm(turn);
            Vec::new()
        });
    }

    /// The actions of a jail were replaced: they must start, with all its bans.
    pub fn restart_actions(&mut self, now: Timestamp, name: &JailName, effects: &mut Vec<Effect>) {
        self.on(name, now, effects, Jail::restart_actions);
    }

    /// Learns what somebody else did to the firewall of a jail.
    pub fn tampered(
        &mut self,
        now: Timestamp,
        jail: &JailName,
        what: Tampering,
        effects: &mut Vec<Effect>,
    ) {
        self.on(jail, now, effects, |jail, turn| jail.tampered(what, turn));
    }

    /// A filter found a failure. One for a jail that has ended is dropped.
    pub fn failure(
        &mut self,
        now: Timestamp,
        jail: &JailName,
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        self.suspect(now, (jail, Purpose::Count), failure, effects);
    }

    /// Learns the answer to an inquiry. One that comes too late changes nothing.
    pub fn found_out(
        &mut self,
        now: Timestamp,
        id: InquiryId,
        finding: Finding,
        effects: &mut Vec<Effect>,
    ) {
        self.come(now, id, Come::Answer(finding), effects);
    }

    /// The name of the last inquiry so far.
    #[must_use]
    pub fn last_inquiry(&self) -> InquiryId {
        self.asking.last()
    }

    /// The oldest inquiry about a failure of a jail that has no answer yet. What was read
    /// before it is decided.
    #[must_use]
    pub fn oldest_inquiry(&self, jail: &JailName) -> Option<InquiryId> {
        let parted = self.parted.get(jail).map(|_| InquiryId(0));
        parted.or_else(|| self.asking.oldest(jail))
    }

    /// When [`wake`](Self::wake) next has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let jails = self.jails.values().filter_map(Jail::next_wakeup);
        jails.chain(self.asking.deadline()).min()
    }

    /// Lifts the bans whose time is up, tries failed actions again, and decides about
    /// failures for which no answer came.
    pub fn wake(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(id) = self.asking.overdue(now) {
            self.come(now, id, Come::Nothing, effects);
        }
        self.each(now, effects, |jail, turn| {
            jail.wake(turn);
            Vec::new()
        });
    }

    /// Decides about a failure as far as that is possible; else asks.
    fn suspect(
        &mut self,
        now: Timestamp,
        (jail, purpose): (&JailName, Purpose),
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        let weigh = |jail: &mut Jail, turn: &mut Turn<'_>| jail.weigh(failure, turn);
        match self.on(jail, now, effects, weigh) {
            Some(Weighed::Count(failure)) => self.count(now, (jail, purpose), failure, effects),
            Some(Weighed::Ignore(failure, why)) => {
                self.ignore(now, (jail, purpose), (failure.id, Some(why)), effects);
            }
            Some(Weighed::Ask(failure, ask))
                if purpose == Purpose::Keep || self.asking.has_room() =>
            {
                let inquiry = self.asking.open(now, (jail, purpose), (failure, ask));
                effects.push(Effect::Inquire(inquiry));
            }
            Some(Weighed::Ask(failure, ask)) => {
                self.unasked(now, (jail, purpose), (failure, ask), effects);
            }
            Some(Weighed::Drop) | None => {}
        }
    }

    /// Does what came of an inquiry, and of those that waited behind it.
    fn come(&mut self, now: Timestamp, id: InquiryId, come: Come, effects: &mut Vec<Effect>) {
        for (open, come) in self.asking.come(id, come) {
            let restored = (open.purpose == Purpose::Keep).then(|| open.jail.clone());
            match come {
                Come::Answer(Finding::Addresses(addresses)) => {
                    self.resolved(now, open, addresses, effects);
                }
                Come::Answer(Finding::NoAddress(_)) => {}
                Come::Answer(Finding::Ignored { why, remembered }) => {
                    self.weighed(now, open, (why, remembered), effects);
                }
                Come::Nothing => self.overdue(now, open, effects),
            }
            if let Some(jail) = restored {
                self.ask_about_restored(now, &jail, effects);
            }
        }
        if self.asking.is_empty() {
            self.unanswered = Doubling::default();
        }
    }

    fn count(
        &mut self,
        now: Timestamp,
        (jail, purpose): (&JailName, Purpose),
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        self.on(jail, now, effects, |jail, turn| match purpose {
            Purpose::Count => jail.count(failure, turn),
            Purpose::Attempt => jail.count_attempt(failure, turn),
            Purpose::Keep => {}
        });
    }

    /// Tells why a failure is ignored, unless that was remembered.
    fn ignore(
        &mut self,
        now: Timestamp,
        (jail, purpose): (&JailName, Purpose),
        (id, why): (FailId, Option<IgnoreReason>),
        effects: &mut Vec<Effect>,
    ) {
        if let Some(why) = why {
            let (jail, id) = (jail.clone(), id.clone());
            effects.push(Effect::Report(Event::Ignored { jail, id, why }));
        }
        if purpose == Purpose::Keep {
            self.on(jail, now, effects, |jail, turn| jail.give_back(&id, turn));
        }
    }

    /// Counts a failure of a name for each of its addresses.
    fn resolved(
        &mut self,
        now: Timestamp,
        open: Open,
        addresses: Vec<IpAddr>,
        effects: &mut Vec<Effect>,
    ) {
        let (jail, failure) = (open.jail, open.failure);
        if failure.lookup == Lookup::Told && !addresses.is_empty() {
            effects.push(Effect::Report(Event::Resolved {
                jail: jail.clone(),
                name: failure.id.to_string(),
                addresses: addresses.clone(),
            }));
        }
        for address in addresses {
            let failure = Failure {
                id: address.into(),
                lookup: Lookup::None,
                ..failure.clone()
            };
            self.suspect(now, (&jail, open.purpose), failure, effects);
        }
    }

    /// Does what was found out about a failure that may have to be ignored.
    fn weighed(
        &mut self,
        now: Timestamp,
        open: Open,
        (why, remembered): (Option<IgnoreReason>, bool),
        effects: &mut Vec<Effect>,
    ) {
        let to = (&open.jail, open.purpose);
        // Since the question was asked, the jail may have learnt whom to ignore.
        let learnt = |jail: &mut Jail, turn: &mut Turn<'_>| {
            jail.ignore_reason(&open.failure.id, turn.protected)
        };
        let why = match why {
            None if !remembered => self.on(to.0, now, effects, learnt).flatten(),
            why => why,
        };
        match why {
            Some(why) => {
                let told = (!remembered).then_some(why);
                self.ignore(now, to, (open.failure.id, told), effects);
            }
            None => self.count(now, to, open.failure, effects),
        }
    }

    /// Decides without an answer: whom nobody knows is not counted; who may have to be
    /// ignored is judged by what the jail knows itself.
    fn overdue(&mut self, now: Timestamp, open: Open, effects: &mut Vec<Effect>) {
        // A ban that was restored just stays.
        if open.purpose != Purpose::Keep
            && let Some(total) = self.unanswered.tell()
        {
            effects.push(Effect::Report(Event::Unanswered {
                jail: open.jail.clone(),
                id: open.failure.id.clone(),
                seconds: open.limit(),
                counted: matches!(open.ask, Ask::Ignored(_)),
                total,
            }));
        }
        if let Ask::Ignored(suspect) = &open.ask {
            let why = suspect.decided.clone().or(suspect.otherwise.clone());
            self.weighed(now, open, (why, false), effects);
        }
    }

    /// Decides about a failure without asking, because too many wait already.
    fn unasked(
        &mut self,
        now: Timestamp,
        (jail, purpose): (&JailName, Purpose),
        (failure, ask): (Failure, Ask),
        effects: &mut Vec<Effect>,
    ) {
        let counted = match ask {
            Ask::Ignored(suspect) => {
                match suspect.decided.or(suspect.otherwise) {
                    Some(why) => {
                        self.ignore(now, (jail, purpose), (failure.id, Some(why)), effects);
                    }
                    None => self.count(now, (jail, purpose), failure, effects),
                }
                true
            }
            Ask::Addresses(_) => false,
        };
        if let Some(total) = self.unasked.tell() {
            effects.push(Effect::Report(Event::Unasked {
                jail: jail.clone(),
                total,
                counted,
            }));
        }
    }

    /// Learns how a job went.
    pub fn done(&mut self, now: Timestamp, done: &Done, effects: &mut Vec<Effect>) {
        for jail in self.jails.values_mut() {
            let jobs = &mut self.jobs;
            let mut turn = Turn {
                now,
                protected: &self.protected,
                jobs,
                effects,
            };
            if jail.done(done.job, &done.outcome, &mut turn) {
                return;
            }
        }
        let jobs = &mut self.jobs;
        let mut turn = Turn {
            now,
            protected: &self.protected,
            jobs,
            effects,
        };
        self.ending.retain_mut(|jail| {
            !(jail.done(done.job, &done.outcome, &mut turn) && jail.has_ended())
        });
        let mut parted = std::mem::take(&mut self.parted);
        parted.retain(|name, _| self.has_jail(name) || self.is_ending(name));
        self.parted = parted;
        for (name, event) in std::mem::take(&mut self.waiting) {
            if self.is_ending(&name) {
                self.waiting.push((name, event));
            } else {
                effects.push(Effect::Report(event));
            }
        }
    }

    /// Whether an earlier life of a jail is at its last job.
    fn is_ending(&self, name: &JailName) -> bool {
        self.ending.iter().any(|jail| jail.name() == *name)
    }

    /// Keeps what is told of a jail from `before` on until its earlier life has ended:
    /// whoever reads that it stopped would think that it does not run.
    fn tell_later(&mut self, name: &JailName, before: usize, effects: &mut Vec<Effect>) {
        let is_told = |effect: &mut Effect| matches!(effect, Effect::Report(_));
        let told = effects.extract_if(before.., is_told);
        self.waiting.extend(told.filter_map(|effect| match effect {
            Effect::Report(event) => Some((name.clone(), event)),
            _ => None,
        }));
    }

    /// Answers a client.
    pub fn command(
        &mut self,
        now: Timestamp,
        command: Command,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        match command {
            Command::Ping => Reply::Pong.into(),
            Command::Version => Reply::Version.into(),
            Command::WhereBanned { ids } => {
                let places = ids.iter().map(|id| self.jails_banning(id)).collect();
                Reply::Places(places).into()
            }
            Command::AreBanned { jail, ids } => self.with(&jail, now, effects, |jail, _| {
                Reply::Flags(ids.iter().map(|id| jail.is_banned(id)).collect()).into()
            }),
            Command::Attempt { jail, id, lines } => self.attempt(now, &jail, (id, &lines), effects),
            Command::BanIps { jail } => self.with(&jail, now, effects, |jail, _| {
                Reply::Bans(jail.bans_by_end()).into()
            }),
            Command::BannedIds { jail } => self.with(&jail, now, effects, |jail, _| {
                Reply::Ids(jail.banned()).into()
            }),
            Command::Ban { jail, ids, force } => self.with(&jail, now, effects, |jail, turn| {
                ban(jail, ids, force, turn)
            }),
            Command::Unban {
                jail,
                ids,
                report_absent,
            } => self.with(&jail, now, effects, |jail, turn| {
                unban(jail, &ids, report_absent, turn)
            }),
            Command::UnbanEverywhere { ids } => self.count_each(now, effects, |jail, turn| {
                let lifted = ids.iter().map(|id| jail.unban_by_order(id, turn));
                lifted.fold((0, Vec::new()), add)
            }),
            Command::UnbanAll => self.count_each(now, effects, Jail::unban_all),
        }
    }

    /// Counts a failure that a client reports, by one however many lines there are: that
    /// is how fail2ban counts here.
    fn attempt(
        &mut self,
        now: Timestamp,
        jail: &JailName,
        (id, lines): (FailId, &[String]),
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let Some(at_work) = self.on(jail, now, effects, |jail, _| jail.counts_attempts()) else {
            return Reply::Error(CommandError::UnknownJail(jail.to_string())).into();
        };
        if !at_work {
            return Reply::Count(0).into();
        }
        let before = effects.len();
        let mut failure = Failure::new(id, now);
        failure.ticket.failures = u32::try_from(lines.len()).unwrap_or(u32::MAX).max(1);
        failure.ticket.matches = lines.iter().map(|line| Match::new("", "", line)).collect();
        self.suspect(now, (jail, Purpose::Attempt), failure, effects);
        let ignored = |effect: &Effect| matches!(effect, Effect::Report(Event::Ignored { .. }));
        let ignored = effects.iter().skip(before).any(ignored);
        Reply::Count(usize::from(!ignored)).into()
    }

    /// Ends every jail, in the order they were made. Returns the jobs that clean
    /// the firewall.
    pub fn stop(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> Vec<JobId> {
        self.each(now, effects, |jail, turn| vec![jail.stop(turn)])
    }

    /// Takes over bans that were stored and could not be read at the start.
    pub fn take_over(
        &mut self,
        now: Timestamp,
        jail: &JailName,
        bans: Vec<Ban>,
        effects: &mut Vec<Effect>,
    ) {
        self.on(jail, now, effects, |jail, turn| jail.take_over(bans, turn));
        self.ask_about_restored(now, jail, effects);
    }

    /// Restored bans hold until it is found out that one is to be ignored now. One of a
    /// jail is asked about at a time, so that they do not keep new failures waiting.
    fn ask_about_restored(&mut self, now: Timestamp, name: &JailName, effects: &mut Vec<Effect>) {
        let keep = (name, Purpose::Keep);
        while !self.asking.keeps(name)
            && let Some(Some(failure)) = self.on(name, now, effects, |jail, _| jail.restored())
        {
            self.suspect(now, keep, failure, effects);
        }
    }

    /// Asks every jail, and answers with the sum once all jobs are done.
    fn count_each(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        mut order: impl FnMut(&mut Jail, &mut Turn<'_>) -> (usize, Vec<JobId>),
    ) -> Answer {
        let mut count = 0;
        let after = self.each(now, effects, |jail, turn| {
            let (lifted, jobs) = order(jail, turn);
            count += lifted;
            jobs
        });
        Answer {
            reply: Reply::Count(count),
            after,
        }
    }

    fn jails_banning(&self, id: &FailId) -> Vec<JailName> {
        let bans = |name: &&JailName| self.jails.get(*name).is_some_and(|jail| jail.is_banned(id));
        self.order.iter().filter(bans).cloned().collect()
    }

    /// Lets one jail decide, if there is one of that name.
    fn on<R>(
        &mut self,
        name: &JailName,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        decide: impl FnOnce(&mut Jail, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let jail = self.jails.get_mut(name)?;
        let (protected, jobs) = (&self.protected, &mut self.jobs);
        Some(decide(
            jail,
            &mut Turn {
                now,
                protected,
                jobs,
                effects,
            },
        ))
    }

    fn with(
        &mut self,
        name: &JailName,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        ask: impl FnOnce(&mut Jail, &mut Turn<'_>) -> Answer,
    ) -> Answer {
        self.on(name, now, effects, ask)
            .unwrap_or_else(|| Reply::Error(CommandError::UnknownJail(name.to_string())).into())
    }

    fn each(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        mut order: impl FnMut(&mut Jail, &mut Turn<'_>) -> Vec<JobId>,
    ) -> Vec<JobId> {
        let mut jobs = Vec::new();
        for name in &self.order {
            if let Some(jail) = self.jails.get_mut(name) {
                let protected = &self.protected;
                jobs.extend(order(
                    jail,
                    &mut Turn {
                        now,
                        protected,
                        jobs: &mut self.jobs,
                        effects,
                    },
                ));
            }
        }
        jobs
    }
}

fn ban(jail: &mut Jail, ids: Vec<FailId>, force: bool, turn: &mut Turn<'_>) -> Answer {
    let (count, after, refused) = jail.ban_by_order(ids, force, turn);
    let reply = if refused.is_empty() {
        Reply::Count(count)
    } else {
        Reply::Error(CommandError::Protected(refused))
    };
    Answer { reply, after }
}

fn unban(jail: &mut Jail, ids: &[FailId], report_absent: bool, turn: &mut Turn<'_>) -> Answer {
    let (mut count, mut after, mut absent) = (0, Vec::new(), Vec::new());
    for id in ids {
        let (lifted, jobs) = jail.unban_by_order(id, turn);
        if lifted == 0 {
            turn.effects
                .push(Effect::Report(Event::NotBanned { id: id.clone() }));
            absent.push(id.clone());
        }
        count += lifted;
        after.extend(jobs);
    }
    let reply = if report_absent && !absent.is_empty() {
        Reply::Error(CommandError::NotBanned(absent))
    } else {
        Reply::Count(count)
    };
    Answer { reply, after }
}

fn add(one: (usize, Vec<JobId>), other: (usize, Vec<JobId>)) -> (usize, Vec<JobId>) {
    let (count, mut jobs) = one;
    jobs.extend(other.1);
    (count + other.0, jobs)
}

#[cfg(test)]
mod asking_tests;
#[cfg(test)]
mod tests;
