//! The jails at work: their plans, their actors, and the watchers of their logs.
//!
//! A new configuration is taken over by its differences: an actor or a watcher
//! that nothing changes for goes on undisturbed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use ferroban_engine::{
    Ban, Filter, FilterSettings, JailName, JailSettings, Job, OptionChange, Task,
};

use super::action_change;
use super::actor::{self, BATCH, Call, Change, Gate, Order, Queue};
use super::facts::Facts;
use super::lookout::Lookout;
use super::message::{Answer, Message};
use super::watcher::{self, Begin, Source, WatchPlan};
use super::{Conduct, Watch};
use crate::action::nftables::{self, Guard, KeptOut, Nftables};
use crate::action::python::{Python, Source as Program};
use crate::action::shell::Counters;
use crate::action::smtp::Smtp;
use crate::action::{Actions, Native, Part, libwrap};
use crate::load::{self, ActionPlan, JailPlan, PythonPlan};
use crate::log::Log;
use crate::source::Waker;
use crate::wire::view::Keeper;
use crate::{clock, report};

/// How long everything may wait for an action in Python to be loaded for the first time.
const LOADING: Duration = Duration::from_secs(2);
/// How many of those that could be loaded are remembered.
const MOST_LOADED: usize = 1000;

/// Who does the work.
pub(super) struct Crew {
    inbox: SyncSender<Message>,
    log: Log,
    conduct: Conduct,
    by_hand: Option<Watch>,
    facts: Facts,
    /// The start that was handed out last.
    last_start: Option<Gate>,
    members: BTreeMap<JailName, Member>,
    watchers: Vec<Watcher>,
    threads: Vec<JoinHandle<()>>,
    /// Who listens to what others do to the firewall, once that matters.
    lookout: Option<Option<Lookout>>,
    /// For questions about what the kernel has.
    kernel: Option<Nftables>,
    numbers: u64,
    /// Marks of the actions in Python that could be loaded.
    loaded: RefCell<HashSet<u64>>,
    /// Whether it was told that sshd writes names that nobody takes.
    advised: Cell<bool>,
}

/// A jail's plan and the queue of its actor.
struct Member {
    plan: JailPlan,
    /// What it reads, as found when it started or was last reloaded.
    sources: Vec<Source>,
    queue: Queue,
    /// The actions with which it begins anew, once the old ones have ended.
    next: Option<Parts>,
    /// It goes once all its ends have come.
    leaving: bool,
    /// How often it was ended, and its last job is still under way.
    ends: usize,
    /// Whether it works; only then is anything read for it.
    started: bool,
}

/// Actions made from their plans, with their names.
pub(super) type Parts = Vec<(String, Part)>;

/// A thread that watches a source.
struct Watcher {
    number: u64,
    plan: WatchPlan,
    waker: Waker,
    /// It was told to end, to go on with this or with nothing.
    ending: Option<Option<WatchPlan>>,
}

impl Crew {
    pub(super) fn new(
        inbox: SyncSender<Message>,
        log: Log,
        conduct: Conduct,
        by_hand: Option<Watch>,
        facts: Facts,
    ) -> Self {
        Self {
            inbox,
            log,
            conduct,
            by_hand,
            facts,
            last_start: None,
            members: BTreeMap::new(),
            watchers: Vec::new(),
            threads: Vec::new(),
            lookout: None,
            kernel: None,
            numbers: 0,
            loaded: RefCell::default(),
            advised: Cell::default(),
        }
    }

    /// Makes the actions of a jail, and makes sure that its filter works.
    pub(super) fn check(&self, plan: &JailPlan) -> Result<Parts, String> {
        Filter::new(&plan.filter, clock::zone().clone(), clock::now())
            .map_err(|error| report::chain(&error))?;
        plan.actions
            .iter()
            .map(|action| Ok((action.name.clone(), self.part(plan, action)?)))
            .collect()
    }

    fn part(&self, plan: &JailPlan, action: &ActionPlan) -> Result<Part, String> {
        // Also in a dry run, so that it tells what would be wrong.
        let part = if is_native(action) {
            Part::Native(native(plan, action)?)
        } else if let Some(python) = &action.python {
            let program = self.python(plan, action, python);
            let program = program.map_err(|error| format!("action '{}': {error}", action.name));
            Part::Python(Box::new(program?))
        } else if action.is_smtp() {
            Part::Smtp(Box::new(self.smtp(plan, action)?))
        } else if self.conduct.needs_commands && !action.has_commands() {
            return Err(format!(
                "action '{}' is unknown; there is 'ferroban', 'ferroban-smtp', and those of action.d",
                action.name
            ));
        } else {
            Part::Commands(action.options.clone())
        };
        Ok(if self.conduct.dry { Part::Dry } else { part })
    }

    fn smtp(&self, plan: &JailPlan, action: &ActionPlan) -> Result<Smtp, String> {
        let (jail, name) = (plan.jail.name.clone(), action.name.clone());
        let (log, facts) = (self.log.clone(), self.facts.of(&jail));
        Smtp::new(jail, name, &action.options, log, facts)
            .map_err(|error| format!("action '{}': {error}", action.name))
    }

    /// An action in Python. One that was never seen before is loaded, so that whoever adds
    /// it learns what is wrong with it.
    fn python(
        &self,
        plan: &JailPlan,
        action: &ActionPlan,
        python: &PythonPlan,
    ) -> Result<Python, String> {
        let options = (python.options.clone(), action.options.clone());
        let source = Program::read(&python.file, options.0, options.1);
        let source = source.map_err(|error| error.to_string())?;
        let mark = source.mark();
        let (jail, name) = (plan.jail.name.clone(), action.name.clone());
        let (log, facts) = (self.log.clone(), self.facts.of(&jail));
        let mut program = Python::new(jail.clone(), name, source, log, facts);
        let mut loaded = self.loaded.borrow_mut();
        if self.conduct.dry || loaded.contains(&mark) {
            return Ok(program);
        }
        let is_loaded = program.try_load(LOADING);
        if !is_loaded.map_err(|error| error.to_string())? {
            let text = format!(
                "[{jail}] action '{}': {} takes long to load; it is loaded when it is needed",
                action.name, python.file
            );
            self.log.warning("ferroban.guard", &text);
        }
        if loaded.len() >= MOST_LOADED {
            loaded.clear();
        }
        loaded.insert(mark);
        Ok(program)
    }

    /// Takes a jail in: starts its actor. If one of that name is about to end, the new
    /// one begins when it has.
    pub(super) fn hire(
        &mut self,
        mut plan: JailPlan,
        parts: Parts,
        started: bool,
    ) -> io::Result<JailSettings> {
        let name = plan.jail.name.clone();
        let sources = watcher::sources(&plan, self.by_hand.as_ref());
        plan.jail.watches = watcher::watches(&sources);
        plan.jail.heal = heals(&plan);
        self.look_out(&plan);
        let settings = plan.jail.clone();
        if let Some(member) = self.members.get_mut(&name) {
            member.plan = plan;
            member.sources = sources;
            member.next = Some(parts);
            member.leaving = false;
            member.started = started;
            return Ok(settings);
        }
        let facts = self.facts.of(&name);
        let actions = Actions::new(name.clone(), self.log.clone(), facts);
        let (queue, thread) = actor::start(&name, actions, self.inbox.clone())?;
        // Those of jails that left earlier need no waiting for.
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(thread);
        let member = Member {
            plan,
            sources,
            queue,
            next: None,
            leaving: false,
            ends: 0,
            started,
        };
        self.members.insert(name.clone(), member);
        self.configure(&name, parts, Vec::new(), true);
        Ok(settings)
    }

    /// Listens to the firewall from the first jail on whose bans are in our table.
    fn look_out(&mut self, plan: &JailPlan) {
        let hears =
            |action: &ActionPlan| is_native(action) && !action.options.contains_key("ipset");
        if self.lookout.is_none() && !self.conduct.dry && plan.actions.iter().any(hears) {
            self.lookout = Some(Lookout::start(self.inbox.clone(), &self.log));
        }
    }

    /// What the kernel answers; nothing if it does not, as where nobody may ask.
    fn ask_kernel<T>(
        &mut self,
        ask: impl FnOnce(&mut Nftables) -> Result<T, nftables::Error>,
    ) -> Option<T> {
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => Nftables::open().ok()?,
        };
        let kernel = self.kernel.insert(kernel);
        let answer = ask(kernel);
        if answer.is_err() {
            self.kernel = None;
        }
        answer.ok()
    }

    /// Whether the kernel has all that a guard needs; if it does not tell, so it seems.
    pub(super) fn is_whole(&mut self, guard: &Guard) -> bool {
        self.ask_kernel(|kernel| kernel.is_whole(guard))
            .unwrap_or(true)
    }

    /// What the jails with our own action have kept out, by their names in the firewall.
    pub(super) fn kept_out(&mut self) -> BTreeMap<String, KeptOut> {
        let asks = !self.conduct.dry && self.lookout.is_some();
        let kept_out = asks.then(|| self.ask_kernel(Nftables::kept_out)).flatten();
        kept_out.unwrap_or_default()
    }

    /// The jails that have our own action, each with one that has done nothing yet.
    pub(super) fn natives(&self) -> Vec<(JailName, Native)> {
        let mut all = Vec::new();
        for (name, Member { plan, .. }) in &self.members {
            let natives = plan.actions.iter().filter(|action| is_native(action));
            let made = natives.filter_map(|action| native(plan, action).ok());
            all.extend(made.map(|native| (name.clone(), native)));
        }
        all
    }

    /// The jails whose bans are in our table, and what it guards for them.
    pub(super) fn guards(&self) -> Vec<(JailName, Guard)> {
        let natives = self.natives().into_iter();
        let guards = natives.filter_map(|(name, native)| Some((name, native.guard()?.clone())));
        guards.collect()
    }

    /// Has a jail go on with other actions. Those that are left out lift `held` and end,
    /// unless they are to be forgotten.
    pub(super) fn configure(&self, jail: &JailName, parts: Parts, held: Vec<Ban>, forgotten: bool) {
        if let Some(member) = self.members.get(jail) {
            let change = Change {
                parts,
                held,
                forgotten,
            };
            member.queue.send(Order::Configure(change));
        }
    }

    /// Goes on with another plan for a jail whose actor stays.
    pub(super) fn change(&mut self, mut plan: JailPlan) -> JailSettings {
        let sources = watcher::sources(&plan, self.by_hand.as_ref());
        plan.jail.watches = watcher::watches(&sources);
        plan.jail.heal = heals(&plan);
        self.look_out(&plan);
        let settings = plan.jail.clone();
        if let Some(member) = self.members.get_mut(&plan.jail.name) {
            member.plan = plan;
            member.sources = sources;
        }
        settings
    }

    /// A jail ends: nothing is read for it any more, and its actor goes after the
    /// jobs that are still to come. With `returns` it stays for the jail's next life.
    pub(super) fn dismiss(&mut self, jail: &JailName, returns: bool) {
        if let Some(member) = self.members.get_mut(jail) {
            member.leaving = !returns;
            member.ends += 1;
        }
    }

    /// The last job of a jail is done. It may have been ended again since.
    pub(super) fn gone(&mut self, jail: &JailName) {
        if let Some(member) = self.members.get_mut(jail) {
            member.ends = member.ends.saturating_sub(1);
            if member.leaving && member.ends == 0 {
                self.members.remove(jail);
            }
        }
    }

    /// Tells what a jail does, as it starts.
    pub(super) fn introduce(&self, jail: &JailName) {
        let Some(Member { plan, sources, .. }) = self.members.get(jail) else {
            return;
        };
        let log = &self.log;
        let own = self.conduct.own;
        let text = format!("[{jail}] {}", watcher::watching(sources));
        log.line(own, "ferroban.guard", &text);
        for action in plan.actions.iter().filter(|action| is_native(action)) {
            let how = if self.conduct.dry {
                "dry run: would ban"
            } else {
                "bans"
            };
            if let Ok(native) = native(plan, action) {
                let text = format!("[{jail}] {how} {}", native.describe());
                log.line(own, "ferroban.guard", &text);
            }
        }
        for action in &plan.actions {
            if let Some(why) = libwrap::without_effect(&action.options) {
                let text = format!("[{jail}] action '{}': {why}", action.name);
                log.warning("ferroban.guard", &text);
            }
        }
        if watcher::encoding_of(&plan.encoding).is_none() {
            let text = format!(
                "[{jail}] logencoding = {}: logs in this encoding cannot be followed in this version; they are read as UTF-8",
                plan.encoding
            );
            log.warning("ferroban.guard", &text);
        }
        self.advise(jail, plan);
        if !plan.without_effect.is_empty() {
            let options = plan.without_effect.join(", ");
            log.warning(
                "ferroban.guard",
                &format!("[{jail}] without effect in this version: {options}"),
            );
        }
    }

    /// Tells once that sshd writes names that nobody takes.
    fn advise(&self, jail: &JailName, plan: &JailPlan) {
        if self.advised.get() {
            return;
        }
        if let Some(advice) = load::names_advice(&plan.filter) {
            self.advised.set(true);
            let text = format!("[{jail}] {advice}");
            self.log.warning("ferroban.guard", &text);
        }
    }

    /// Which options differ that are none of the engine's.
    pub(super) fn differences(&self, new: &JailPlan) -> Vec<OptionChange> {
        let Some(Member {
            plan: old,
            sources,
            leaving: false,
            ..
        }) = self.members.get(&new.jail.name)
        else {
            return Vec::new();
        };
        let lines = |texts: &[String]| texts.join("\n");
        let filter = |plan: &JailPlan| {
            let count = plan.filter.failregex.len() + plan.filter.ignoreregex.len();
            format!("{count} pattern(s)")
        };
        let mut all = vec![
            OptionChange::between(
                "backend",
                format!("{:?}", old.backend),
                format!("{:?}", new.backend),
            ),
            OptionChange::between("logpath", lines(&old.logpaths), lines(&new.logpaths)),
            OptionChange::between("logencoding", old.encoding.clone(), new.encoding.clone()),
            OptionChange::between(
                "journalmatch",
                watcher::joined(&old.journal),
                watcher::joined(&new.journal),
            ),
            action_change::between(&old.actions, &new.actions),
        ];
        let found = watcher::sources(new, self.by_hand.as_ref());
        all.push(OptionChange::between(
            "watched",
            watcher::names(sources),
            watcher::names(&found),
        ));
        let between = |option: &str, text: fn(&FilterSettings) -> String| {
            OptionChange::between(option, text(&old.filter), text(&new.filter))
        };
        all.extend([
            between("usedns", |filter| filter.usedns.to_string()),
            between("maxlines", |filter| filter.maxlines.to_string()),
            between("datepattern", |filter| filter.datepattern.join("\n")),
            between("logtimezone", |filter| {
                filter.logtimezone.clone().unwrap_or_default()
            }),
        ]);
        if patterns(old) != patterns(new) {
            let to = format!("{}, changed", filter(new));
            all.push(OptionChange::between("filter", filter(old), to));
        }
        all.into_iter().flatten().collect()
    }

    /// What became of the actions of a jail: whether any differs, and whether one of our
    /// own does.
    pub(super) fn actions_differ(&self, new: &JailPlan) -> (bool, bool) {
        let Some(Member { plan: old, .. }) = self.members.get(&new.jail.name) else {
            return (true, true);
        };
        let natives = |plan: &JailPlan| -> Vec<ActionPlan> {
            let native = |action: &&ActionPlan| is_native(action);
            plan.actions.iter().filter(native).cloned().collect()
        };
        (old.actions != new.actions, natives(old) != natives(new))
    }

    /// Watches what the jails of now want watched: what is watched already in
    /// just that way goes on. `from` says where a new watcher begins.
    pub(super) fn watch(&mut self, from: impl Fn(&WatchPlan) -> Begin) -> io::Result<()> {
        let at_work =
            |member: &&Member| member.started && !member.leaving && !member.plan.jail.idle;
        let members = self.members.values().filter(at_work);
        let mut wanted = watcher::plans(members.map(|member| (&member.plan, &*member.sources)));
        for watcher in &mut self.watchers {
            let same = wanted
                .iter()
                .position(|plan| plan.source == watcher.plan.source);
            let next = same.map(|index| wanted.remove(index));
            if next.as_ref() != Some(&watcher.plan) || watcher.ending.is_some() {
                watcher.ending = Some(next);
                watcher.waker.wake();
            }
        }
        // What can be watched is, whatever becomes of the others.
        let mut all = Ok(());
        for plan in wanted {
            let from = from(&plan);
            let started = self.start_watcher(plan, from);
            all = all.and(started);
        }
        all
    }

    fn start_watcher(&mut self, plan: WatchPlan, from: Begin) -> io::Result<()> {
        let name = plan.source.name();
        self.try_watcher(plan, from)
            .map_err(|error| io::Error::other(format!("{name} is not watched: {error}")))
    }

    fn try_watcher(&mut self, plan: WatchPlan, from: Begin) -> io::Result<()> {
        self.numbers += 1;
        let waker = Waker::new().map_err(io::Error::other)?;
        let start = watcher::Start {
            number: self.numbers,
            plan: plan.clone(),
            from,
            waker: waker.clone(),
        };
        watcher::start(start, self.inbox.clone(), self.log.clone())?;
        self.watchers.push(Watcher {
            number: self.numbers,
            plan,
            waker,
            ending: None,
        });
        Ok(())
    }

    /// A watcher has ended; its successor, if it has one, begins at `next`.
    pub(super) fn watcher_ended(&mut self, number: u64, next: Begin) {
        let Some(index) = self
            .watchers
            .iter()
            .position(|watcher| watcher.number == number)
        else {
            return;
        };
        let watcher = self.watchers.swap_remove(index);
        if let Some(Some(plan)) = watcher.ending
            && let Err(error) = self.start_watcher(plan, next)
        {
            self.log.error("ferroban.guard", &error.to_string());
        }
    }

    /// Tells all watchers to end, without successors.
    pub(super) fn stop_watching(&mut self) {
        for watcher in &mut self.watchers {
            watcher.ending = Some(None);
            watcher.waker.wake();
        }
    }

    /// Whether a watcher is still at work.
    pub(super) fn is_watching(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// Notes what a jail has counted, for its actions.
    pub(super) fn note(&self, jail: &JailName, counters: Counters) {
        if let Some(member) = self.members.get(jail) {
            self.facts.note(jail, counters, member.plan.jail.bantime);
        }
    }

    /// Has an action of a jail called by a client, who is answered when it is done.
    pub(super) fn call(&self, jail: &JailName, call: Call) {
        if let Some(member) = self.members.get(jail) {
            member.queue.send(Order::Call(call));
        }
    }

    /// Has the actions of a jail prove that they ban; whoever asks is answered by its actor.
    pub(super) fn prove(&self, jail: &JailName, reply: SyncSender<Answer>) {
        if let Some(member) = self.members.get(jail) {
            member.queue.send(Order::Prove(reply));
        }
    }

    /// What a jail reads; nothing if it has no place here.
    pub(super) fn sources(&self, jail: &JailName) -> &[Source] {
        let member = self.members.get(jail);
        member.map_or(&[], |member| &member.sources)
    }

    /// The way to the main thread.
    pub(super) fn inbox(&self) -> SyncSender<Message> {
        self.inbox.clone()
    }

    /// Whether the firewall is left alone.
    pub(super) fn is_dry(&self) -> bool {
        self.conduct.dry
    }

    /// Who keeps out whom a jail with these actions bans.
    pub(super) fn keeper(&self, actions: &[ActionPlan]) -> Keeper {
        if self.is_dry() {
            Keeper::Nobody
        } else if actions.iter().any(is_native) {
            Keeper::Kernel
        } else if actions.iter().any(ActionPlan::has_commands) {
            Keeper::Commands
        } else {
            Keeper::Nobody
        }
    }

    /// The name of the action of ours that a jail has.
    pub(super) fn action(&self, jail: &JailName) -> &str {
        let plan = self.members.get(jail).map(|member| &member.plan);
        let actions = plan.map_or(&[][..], |plan| &plan.actions);
        let native = actions.iter().find(|action| is_native(action));
        native.map_or("", |action| &action.name)
    }

    /// Gives jobs to the actors of their jails.
    pub(super) fn hand_out(&mut self, jobs: Vec<Job>) {
        for jobs in together(jobs) {
            match <[Job; 1]>::try_from(jobs) {
                Ok([job]) if is_start(&job) => self.hand_out_start(job),
                Ok(job) => self.send(job.into()),
                Err(jobs) => self.send(jobs),
            }
        }
    }

    fn send(&self, jobs: Vec<Job>) {
        let member = jobs.first().and_then(|job| self.members.get(&job.jail));
        if let Some(member) = member {
            member.queue.send(Order::Jobs(jobs));
        }
    }

    fn hand_out_start(&mut self, job: Job) {
        let Some(member) = self.members.get_mut(&job.jail) else {
            return;
        };
        if let Some(parts) = member.next.take() {
            member.queue.send(Order::Configure(Change {
                parts,
                held: Vec::new(),
                forgotten: true,
            }));
        }
        let done = Gate::default();
        let after = self.last_start.replace(done.clone());
        member.queue.send(Order::Start { job, after, done });
    }

    /// Closes all queues and waits until the actors have done what was in them.
    pub(super) fn close(self) {
        if let Some(Some(lookout)) = self.lookout {
            lookout.close();
        }
        drop(self.members);
        for thread in self.threads {
            // A panic aborts the process, so there is no other outcome than its end.
            drop(thread.join());
        }
    }
}

fn is_start(job: &Job) -> bool {
    matches!(job.task, Task::Start(_))
}

/// Jobs that come one after the other for the same jail stay together, since its actor makes one
/// step of them. A start is alone.
fn together(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut all: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        let goes_along = |last: &Job| last.jail == job.jail && !is_start(last) && !is_start(&job);
        let has_room = |jobs: &&mut Vec<Job>| jobs.len() < BATCH;
        let bundle = all.last_mut().filter(has_room);
        match bundle.filter(|jobs| jobs.last().is_some_and(goes_along)) {
            Some(jobs) => jobs.push(job),
            None => all.push(vec![job]),
        }
    }
    all
}

/// The patterns of a jail, without the time they are used with.
fn patterns(plan: &JailPlan) -> (&Option<String>, &[String], &[String]) {
    (
        &plan.filter.prefregex,
        &plan.filter.failregex,
        &plan.filter.ignoreregex,
    )
}

/// Whether an action is our own that bans.
pub(super) fn is_native(action: &ActionPlan) -> bool {
    action.is_native()
}

/// Whether bans are put back whoever took them away.
fn heals(plan: &JailPlan) -> bool {
    let mut natives = plan.actions.iter().filter(|action| is_native(action));
    natives.any(|action| {
        action
            .options
            .get("heal")
            .is_some_and(|heal| heal == "always")
    })
}

fn native(plan: &JailPlan, action: &ActionPlan) -> Result<Native, String> {
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    Native::new(plan.jail.name.as_str(), &action.options, &services)
        .map_err(|error| format!("action '{}': {error}", action.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroban_engine::JobId;

    #[test]
    fn jobs_of_one_jail_stay_together_and_starts_are_alone() {
        let start = || Task::Start(Vec::new());
        let stop = || Task::Stop(Vec::new());
        let row = [
            ("a", Task::Reload),
            ("a", stop()),
            ("b", Task::Reload),
            ("a", start()),
            ("a", stop()),
            ("a", Task::Reload),
            ("a", start()),
            ("a", start()),
        ];
        let jobs = (0..).zip(row).map(|(id, (jail, task))| Job {
            id: JobId(id),
            jail: jail.parse().unwrap(),
            task,
        });
        let ids = |jobs: &Vec<Job>| jobs.iter().map(|job| job.id.0).collect();
        let bundles: Vec<Vec<u64>> = together(jobs.collect()).iter().map(ids).collect();
        let expected: [&[u64]; 6] = [&[0, 1], &[2], &[3], &[4, 5], &[6], &[7]];
        assert_eq!(bundles, expected);

        let many = (0..).take(BATCH + 1).map(|id| Job {
            id: JobId(id),
            jail: "a".parse().unwrap(),
            task: Task::Reload,
        });
        let sizes: Vec<usize> = together(many.collect()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [BATCH, 1]);
    }
}
