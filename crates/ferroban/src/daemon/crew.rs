//! The jails at work: their plans, their actors, and the watchers of their logs.
//!
//! A new configuration is taken over by its differences: an actor or a watcher
//! that nothing changes for goes on undisturbed.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Sender, SyncSender};
use std::thread::JoinHandle;

use ferroban_engine::{Filter, JailName, JailSettings, Job, OptionChange};

use super::message::Message;
use super::watcher::{self, Begin, Source, WatchPlan};
use super::{Watch, actor};
use crate::action::{Action, Dry, Native};
use crate::load::{ActionPlan, JailPlan};
use crate::log::Log;
use crate::source::Waker;
use crate::{clock, report};

/// Who does the work.
pub(super) struct Crew {
    inbox: SyncSender<Message>,
    log: Log,
    dry: bool,
    by_hand: Option<Watch>,
    members: BTreeMap<JailName, Member>,
    watchers: Vec<Watcher>,
    threads: Vec<JoinHandle<()>>,
    numbers: u64,
}

/// A jail's plan and the queue of its actor.
struct Member {
    plan: JailPlan,
    /// What it reads, as found when it started or was last reloaded.
    sources: Vec<Source>,
    queue: Sender<Job>,
    /// Its last job is under way.
    leaving: bool,
}

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
        dry: bool,
        by_hand: Option<Watch>,
    ) -> Self {
        Self {
            inbox,
            log,
            dry,
            by_hand,
            members: BTreeMap::new(),
            watchers: Vec::new(),
            threads: Vec::new(),
            numbers: 0,
        }
    }

    /// Makes the action of a jail, and makes sure that its filter works.
    pub(super) fn check(&self, plan: &JailPlan) -> Result<Box<dyn Action>, String> {
        Filter::new(&plan.filter, clock::zone().clone()).map_err(|error| report::chain(&error))?;
        let native = native(plan)?;
        Ok(if self.dry {
            Box::new(Dry)
        } else {
            Box::new(native)
        })
    }

    /// Takes a jail in: starts its actor. One of the same name is replaced.
    pub(super) fn hire(
        &mut self,
        mut plan: JailPlan,
        action: Box<dyn Action>,
    ) -> io::Result<JailSettings> {
        let name = plan.jail.name.clone();
        let sources = watcher::sources(&plan, self.by_hand.as_ref());
        plan.jail.watches = watcher::watches(&sources);
        let settings = plan.jail.clone();
        let (queue, thread) = actor::start(&name, action, self.inbox.clone())?;
        // Those of jails that left earlier need no waiting for.
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(thread);
        self.members.insert(
            name,
            Member {
                plan,
                sources,
                queue,
                leaving: false,
            },
        );
        Ok(settings)
    }

    /// Goes on with another plan for a jail whose actor stays.
    pub(super) fn change(&mut self, mut plan: JailPlan) -> JailSettings {
        let sources = watcher::sources(&plan, self.by_hand.as_ref());
        plan.jail.watches = watcher::watches(&sources);
        let settings = plan.jail.clone();
        if let Some(member) = self.members.get_mut(&plan.jail.name) {
            member.plan = plan;
            member.sources = sources;
        }
        settings
    }

    /// A jail ends: nothing is read for it any more, and its actor goes after the
    /// jobs that are still to come.
    pub(super) fn dismiss(&mut self, jail: &JailName) {
        if let Some(member) = self.members.get_mut(jail) {
            member.leaving = true;
        }
    }

    /// The last job of a jail is done.
    pub(super) fn gone(&mut self, jail: &JailName) {
        if self.members.get(jail).is_some_and(|member| member.leaving) {
            self.members.remove(jail);
        }
    }

    /// Tells what a jail does, as it starts.
    pub(super) fn introduce(&self, jail: &JailName) {
        let Some(Member { plan, sources, .. }) = self.members.get(jail) else {
            return;
        };
        let log = &self.log;
        watcher::tell_backend(jail, sources, log);
        if let Ok(native) = native(plan) {
            let how = if self.dry {
                "dry run: would ban"
            } else {
                "bans"
            };
            let what = native.describe();
            let text = format!("[{jail}] {how} with nftables, table inet ferroban, on {what}");
            log.info("ferroban.guard", &text);
        }
        if !plan.without_effect.is_empty() {
            let options = plan.without_effect.join(", ");
            log.warning(
                "ferroban.guard",
                &format!("[{jail}] without effect in this version: {options}"),
            );
        }
        let settings = &plan.jail;
        log.info("filter", &format!("  maxRetry: {}", settings.maxretry));
        log.info("filter", &format!("  findtime: {}", settings.findtime));
        log.info(
            "actions",
            &format!("  banTime: {}", settings.bantime.secs()),
        );
        log.info("filter", "  encoding: UTF-8");
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
        let journal = |plan: &JailPlan| {
            plan.journal
                .iter()
                .map(|group| group.join(" "))
                .collect::<Vec<_>>()
                .join(" + ")
        };
        let filter = |plan: &JailPlan| {
            let count = plan.filter.failregex.len() + plan.filter.ignoreregex.len();
            format!("{count} pattern(s)")
        };
        let action = |plan: &JailPlan| {
            let shown = |action: &ActionPlan| format!("{}{:?}", action.name, action.options);
            lines(&plan.actions.iter().map(shown).collect::<Vec<_>>())
        };
        let mut all = vec![
            OptionChange::between(
                "backend",
                format!("{:?}", old.backend),
                format!("{:?}", new.backend),
            ),
            OptionChange::between("logpath", lines(&old.logpaths), lines(&new.logpaths)),
            OptionChange::between("journalmatch", journal(old), journal(new)),
            OptionChange::between("action", action(old), action(new)),
        ];
        let found = watcher::sources(new, self.by_hand.as_ref());
        all.push(OptionChange::between(
            "watched",
            watcher::names(sources),
            watcher::names(&found),
        ));
        let names = |plan: &JailPlan| {
            let raw = plan.filter.raw_names;
            String::from(if raw { "raw" } else { "not raw" })
        };
        all.push(OptionChange::between("usedns", names(old), names(new)));
        if patterns(old) != patterns(new) {
            let to = format!("{}, changed", filter(new));
            all.push(OptionChange::between("filter", filter(old), to));
        }
        all.into_iter().flatten().collect()
    }

    /// Whether the actor of a jail must be replaced for a new plan.
    pub(super) fn needs_new_actor(&self, new: &JailPlan) -> bool {
        self.members
            .get(&new.jail.name)
            .is_none_or(|member| member.leaving || member.plan.actions != new.actions)
    }

    /// Watches what the jails of now want watched: what is watched already in
    /// just that way goes on. `from` says where a new watcher begins.
    pub(super) fn watch(&mut self, from: impl Fn(&WatchPlan) -> Begin) -> io::Result<()> {
        let members = self.members.values().filter(|member| !member.leaving);
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

    /// Whether there is no jail.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The name of a jail's action.
    pub(super) fn action(&self, jail: &JailName) -> &str {
        let actions = self.members.get(jail).map(|member| &member.plan.actions);
        actions
            .and_then(|actions| actions.first())
            .map_or("", |action| &action.name)
    }

    /// Gives a job to the actor of its jail.
    pub(super) fn hand_out(&self, job: Job) {
        if let Some(member) = self.members.get(&job.jail) {
            // An actor ends only when its queue is closed, which is here.
            drop(member.queue.send(job));
        }
    }

    /// Closes all queues and waits until the actors have done what was in them.
    pub(super) fn close(self) {
        drop(self.members);
        for thread in self.threads {
            // A panic aborts the process, so there is no other outcome than its end.
            drop(thread.join());
        }
    }
}

/// The patterns of a jail, without the time they are used with.
fn patterns(plan: &JailPlan) -> (&Option<String>, &[String], &[String]) {
    (
        &plan.filter.prefregex,
        &plan.filter.failregex,
        &plan.filter.ignoreregex,
    )
}

fn native(plan: &JailPlan) -> Result<Native, String> {
    let names: Vec<&str> = plan.actions.iter().map(|action| &*action.name).collect();
    let (["ferroban"], Some(action)) = (names.as_slice(), plan.actions.first()) else {
        return Err(format!(
            "action '{}' is unknown; there is 'ferroban'",
            names.join("', '")
        ));
    };
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    Native::new(plan.jail.name.as_str(), &action.options, &services)
        .map_err(|error| format!("action '{}': {error}", action.name))
}
