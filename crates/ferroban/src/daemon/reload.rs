//! Another configuration for a daemon at work.
//!
//! Whatever tells the daemon something comes here: a single command, a stream of
//! commands, a reload, or a configuration that the daemon has read by itself. Each is
//! worked into a copy of what was told before, and checked whole before anything
//! changes. Then only the differences are carried out: bans and counts of a jail that
//! stays are kept, and a watcher or an actor that nothing changes for notices nothing.

use std::path::Path;

use ferroban_engine::{Effect, JailChange, JailName, JailSettings, JobId, LogPosition};

use super::commands::{Outcome, refused};
use super::crew::Parts;
use super::main_loop::MainLoop;
use super::message::Reload as Reread;
use super::recorder::Stored;
use super::request::{Reload, Request, ServerOption};
use super::watcher::{self, Begin, WatchPlan};
use crate::load::{JailPlan, JailSetup, LogPath, Note, Refusal, Settings, Setup, Word};
use crate::log::Level;
use crate::wire::Value;
use crate::{clock, source};

/// A jail as it is to be, and the actions made for it.
type Checked = (JailPlan, Parts);

/// What is to happen to jails besides going on with what they are told.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// They end and begin anew.
    pub(super) jails: Vec<JailName>,
    /// Their configuration was read again.
    pub(super) kept: Vec<JailName>,
    /// All their bans are lifted before.
    pub(super) flushed: Vec<JailName>,
    /// Actions that are left out just go, and what they did stays.
    pub(super) forgets: bool,
}

/// What is to be done about jails.
#[derive(Default)]
pub(super) struct Checks {
    /// They begin to work.
    pub(super) begun: Vec<Checked>,
    /// They are there from now on, and do not work.
    added: Vec<Checked>,
    /// They go on in another way.
    changed: Vec<Checked>,
}

/// A stream of commands worked into a copy of what was told before.
struct Draft {
    next: Setup,
    notes: Vec<Note>,
    /// How the log is to be kept, in the order in which it was told.
    log: Vec<(ServerOption, Word)>,
    /// What is no configuration, to be carried out behind it.
    later: Vec<Request>,
}

impl Draft {
    fn new(next: Setup) -> Self {
        Self {
            next,
            notes: Vec::new(),
            log: Vec::new(),
            later: Vec::new(),
        }
    }

    fn take(&mut self, commands: &[Vec<Word>]) -> Result<(), Refusal> {
        commands
            .iter()
            .try_for_each(|command| self.take_one(command))
    }

    fn take_one(&mut self, command: &[Word]) -> Result<(), Refusal> {
        match Request::read(command)? {
            Request::Tell(words) => self.next.command(&words, &mut self.notes).map(drop),
            Request::Set {
                option:
                    option @ (ServerOption::LogLevel
                    | ServerOption::LogTarget
                    | ServerOption::SyslogSocket),
                value,
            } => {
                self.log.push((option, value));
                Ok(())
            }
            Request::Set { option, value } => self.next.set_server(option.name(), &value).map(drop),
            Request::ConfigError(text) => {
                self.notes.push((Level::Error, "transmitter", text));
                Ok(())
            }
            Request::Stream(commands) => self.take(&commands),
            // Questions in a stream have nobody to answer to.
            request if !request.changes() => Ok(()),
            Request::Stop | Request::Reload(_) | Request::Call { .. } => {
                Err(Refusal::plain("Invalid command"))
            }
            request => {
                self.later.push(request);
                Ok(())
            }
        }
    }
}

impl MainLoop {
    /// Carries out a stream of commands, or refuses it and changes nothing.
    pub(super) fn stream(
        &mut self,
        commands: &[Vec<Word>],
        effects: &mut Vec<Effect>,
    ) -> Result<Value, Value> {
        let mut draft = Draft::new(self.setup.clone());
        let taken = draft.take(commands);
        self.finish(draft, taken, &Restart::default(), effects)?;
        Ok(Value::None)
    }

    /// Reads jails again, by a stream of commands that is whole for them.
    pub(super) fn reload_jails(&mut self, reload: &Reload, effects: &mut Vec<Effect>) -> Outcome {
        let name = reload.jail.as_deref();
        let text = match name {
            Some(name) => format!("Reload jail {name}"),
            None => "Reload all jails".to_owned(),
        };
        self.log.info("server", &text);
        let outcome = self.try_reload(reload, effects);
        self.log.info("server", "Reload finished.");
        outcome.map(|jobs| ("OK".into(), jobs))
    }

    fn try_reload(
        &mut self,
        reload: &Reload,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<JobId>, Value> {
        if let Some(name) = &reload.jail
            && !reload.if_exists
        {
            self.setup.jail(name).map_err(refused)?;
        }
        let concerned =
            |jail: &JailSetup| reload.jail.as_ref().is_none_or(|name| jail.name == **name);
        let all = self.setup.jails();
        let flushed = all
            .filter(|jail| reload.unban && concerned(jail))
            .map(|jail| jail.name.clone())
            .collect();
        if reload.restart && reload.jail.is_none() {
            self.log.info("server", "Stopping all jails");
        }
        let mut draft = Draft::new(self.setup.clone());
        draft.next.begin_reload(concerned, reload.restart);
        // What the server itself is told comes with every reload, but for what is off.
        let general =
            |command: &Vec<Word>| command.get(1).and_then(Word::as_str) == Some("loglevel");
        if reload.stream.iter().any(general) {
            draft.next.server.monitor = None;
        }
        let taken = draft.take(&reload.stream);
        let reloaded = draft.next.end_reload();
        let restart = Restart {
            jails: reloaded.restarted,
            kept: reloaded.kept,
            flushed,
            forgets: false,
        };
        self.finish(draft, taken, &restart, effects)
    }

    /// Takes over a draft, if everything of it was understood.
    fn finish(
        &mut self,
        draft: Draft,
        taken: Result<(), Refusal>,
        restart: &Restart,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<JobId>, Value> {
        let Draft {
            next,
            mut notes,
            log,
            later,
        } = draft;
        // Before anything changes.
        let checks = taken.and_then(|()| {
            let checks = self.check(&next, restart)?;
            self.set_all_log(&log)?;
            Ok(checks)
        });
        let checks = match checks {
            Ok(checks) => checks,
            Err(refusal) => {
                // Only what is wrong has come true.
                notes.retain(|(level, ..)| matches!(level, Level::Warning | Level::Error));
                self.tell_notes(notes);
                return Err(refused(refusal));
            }
        };
        self.adopt_server(&next).map_err(refused)?;
        self.share(&next);
        self.tell_notes(notes);
        let mut jobs = self.adopt(next, restart, checks, effects);
        self.notify.ready();
        // The configuration is in force, so one of these that fails keeps back no other.
        let mut failed = None;
        for request in later {
            match self.carry_out(request, effects) {
                Ok((_, more)) => jobs.extend(more),
                Err(exception) => {
                    failed.get_or_insert(exception);
                }
            }
        }
        failed.map_or(Ok(jobs), Err)
    }

    /// Goes on with what `next` says, which was checked. Returns the jobs of what ended
    /// for it.
    pub(super) fn adopt(
        &mut self,
        next: Setup,
        restart: &Restart,
        checks: Checks,
        effects: &mut Vec<Effect>,
    ) -> Vec<JobId> {
        let Checks {
            begun,
            added,
            changed,
        } = checks;
        let mut jobs = Vec::new();
        let now = clock::now();
        for name in &restart.flushed {
            jobs.extend(self.engine.flush_jail(now, name, effects).1);
        }
        for name in self.ending(&next, restart) {
            let returns = restart.jails.contains(&name);
            self.crew.dismiss(&name, returns);
            if !returns {
                self.read.retain(|(jail, _), _| *jail != name);
            }
            self.trouble.forget(&name);
            self.lifted.remove(&name);
            self.inquiries.withdraw(&name);
            self.unsettle(&name, returns);
            jobs.extend(self.engine.remove_jail(now, &name, effects));
        }
        // What is stored about those that begin must hold what was just decided.
        self.dispatch(std::mem::take(effects));
        if !begun.is_empty() {
            self.hand_out_held();
        }
        let wanted = begun
            .iter()
            .map(|(plan, _)| (plan.jail.name.clone(), plan.jail.bantime));
        let stored = self.database.read(wanted.collect());
        self.tell_logs(&next, restart, &stored);
        for (plan, parts) in added {
            self.make(plan, parts, false, effects);
        }
        for (plan, parts) in begun {
            self.begin(plan, parts, &stored, effects);
        }
        for (plan, parts) in changed {
            self.change(plan, parts, restart, effects);
        }
        for name in &restart.kept {
            self.inquiries.forget(name);
            jobs.extend(self.engine.jail_reloaded(now, name, effects));
        }
        self.setup = next;
        self.watch(&stored);
        let working = self.setup.jails().filter(|jail| jail.started).count();
        self.notify.status(&format!("{working} jail(s) at work"));
        jobs
    }

    /// What begins, what is only added, and what goes on in another way, if everything can.
    pub(super) fn check(&self, next: &Setup, restart: &Restart) -> Result<Checks, Refusal> {
        let mut checks = Checks::default();
        for jail in next.jails() {
            let name = &jail.name;
            let anew = restart.jails.contains(name) || !self.engine.has_jail(name);
            let starts = jail.started && (anew || !self.engine.is_started(name));
            if !anew && !starts && self.setup.same(next, name.as_str()) {
                continue;
            }
            let plan = jail.plan();
            let parts = self.crew.check(&plan).map_err(Refusal::plain)?;
            let list = match (starts, anew) {
                (true, _) => &mut checks.begun,
                (false, true) => &mut checks.added,
                (false, false) => &mut checks.changed,
            };
            list.push((plan, parts));
        }
        Ok(checks)
    }

    /// The jails at work that end, in the order in which they were added.
    fn ending(&self, next: &Setup, restart: &Restart) -> Vec<JailName> {
        let stays = |jail: &JailSetup| {
            next.jail(jail.name.as_str()).is_ok() && !restart.jails.contains(&jail.name)
        };
        let at_work = |jail: &&JailSetup| self.engine.has_jail(&jail.name) && !stays(jail);
        let ending = self.setup.jails().filter(at_work);
        ending.map(|jail| jail.name.clone()).collect()
    }

    /// Takes a jail in. Whether that was possible.
    fn make(
        &mut self,
        plan: JailPlan,
        parts: Parts,
        starts: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let name = plan.jail.name.clone();
        match self.crew.hire(plan, parts, starts) {
            Ok(settings) if self.engine.has_jail(&name) => {
                self.engine.change_jail(clock::now(), settings, effects);
                true
            }
            Ok(settings) => {
                self.engine.make_jail(clock::now(), settings, effects);
                true
            }
            Err(error) => {
                let text = format!(
                    "[{name}] cannot be started: {error}; look at the limit of processes (ulimit -u)"
                );
                self.log.error("ferroban.guard", &text);
                false
            }
        }
    }

    /// Starts a jail, with the bans of its earlier life.
    fn begin(
        &mut self,
        plan: JailPlan,
        parts: Parts,
        stored: &[Stored],
        effects: &mut Vec<Effect>,
    ) {
        let name = plan.jail.name.clone();
        if self.make(plan, parts, true, effects) {
            self.crew.introduce(&name);
            let of = stored.iter().find(|stored| stored.jail == name);
            let bans = of.and_then(|stored| stored.bans.clone());
            let bans = bans.unwrap_or_default();
            self.inquiries.own_names();
            self.engine.start_jail(clock::now(), &name, bans, effects);
        }
    }

    fn change(
        &mut self,
        plan: JailPlan,
        parts: Parts,
        restart: &Restart,
        effects: &mut Vec<Effect>,
    ) {
        let name = plan.jail.name.clone();
        let (differ, native) = self.crew.actions_differ(&plan);
        let settings = self.crew.change(plan);
        if differ {
            // What was decided before is for the actions of before.
            self.dispatch(std::mem::take(effects));
            self.hand_out_held();
            let held = self.engine.bans(&name);
            self.crew.configure(&name, parts, held, restart.forgets);
        }
        self.inquiries.forget(&name);
        self.engine.change_jail(clock::now(), settings, effects);
        if native || (differ && restart.kept.contains(&name)) {
            self.trouble.forget(&name);
            self.engine.restart_actions(clock::now(), &name, effects);
        }
    }

    /// Watches what is to be watched now. A jail that begins reads on where its earlier
    /// life has read to; one that is at work, where it has read to itself.
    fn watch(&mut self, stored: &[Stored]) {
        let read = &self.read;
        let position = |jail: &JailName, log: &str| -> Option<LogPosition> {
            let earlier = stored.iter().find(|stored| stored.jail == *jail);
            let earlier = earlier.and_then(|stored| {
                let known = stored.positions.iter().find(|known| known.log == log);
                known.cloned()
            });
            earlier.or_else(|| read.get(&(jail.clone(), log.to_owned())).cloned())
        };
        let tails = |jail: &JailName, log: &str| {
            let setup = self.setup.jail(jail.as_str());
            setup.is_ok_and(|jail| {
                jail.logpaths
                    .iter()
                    .any(|path| path.tail && path.path == log)
            })
        };
        let from = |plan: &WatchPlan| {
            let log = plan.source.name();
            let jails = plan.readers.iter().map(|(jail, _)| jail);
            let positions = jails.clone().map(|jail| position(jail, &log));
            match watcher::common(positions) {
                Some(position) => Begin::After(position),
                None if jails.clone().all(|jail| tails(jail, &log)) => Begin::End,
                None => Begin::Beginning,
            }
        };
        if let Err(error) = self.crew.watch(from) {
            self.log.error("ferroban.guard", &error.to_string());
        }
    }

    /// Logs which files jails begin to read and which they leave.
    fn tell_logs(&self, next: &Setup, restart: &Restart, stored: &[Stored]) {
        let of = |setup: &Setup, name: &JailName| -> Vec<LogPath> {
            let jail = setup.jail(name.as_str());
            jail.map(|jail| jail.logpaths.clone()).unwrap_or_default()
        };
        let has = |paths: &[LogPath], path: &LogPath| paths.iter().any(|it| it.path == path.path);
        let anew = |name: &JailName| restart.jails.contains(name);
        for jail in self.setup.jails() {
            let stay = of(next, &jail.name);
            let goes = |path: &&LogPath| anew(&jail.name) || !has(&stay, path);
            for path in jail.logpaths.iter().filter(goes) {
                self.log
                    .info("filter", &format!("Removed logfile: '{}'", path.path));
            }
        }
        for jail in next.jails() {
            let known = of(&self.setup, &jail.name);
            let comes = |path: &&LogPath| anew(&jail.name) || !has(&known, path);
            for path in jail.logpaths.iter().filter(comes) {
                let text = added(&jail.name, path, stored);
                self.log.info("filter", &text);
            }
        }
    }

    /// Logs that no file is read any more.
    pub(super) fn tell_logs_left(&self) {
        self.tell_logs(&Setup::default(), &Restart::default(), &[]);
    }

    /// Takes a configuration over that the daemon has read by itself, or only tells what
    /// that would change.
    pub(super) fn reread(&mut self, request: Reread, effects: &mut Vec<Effect>) {
        let Reread {
            settings,
            plan,
            reply,
        } = request;
        for problem in &settings.problems {
            self.log.warning("ferroban.guard", problem);
        }
        let answer = self.take_over(settings, plan, effects);
        if let Err(problems) = &answer {
            for problem in problems {
                let text = format!("not reloaded, nothing changed: {problem}");
                self.log.error("ferroban.guard", &text);
            }
        }
        // A client that has gone away is not missed.
        drop(reply.try_send(answer));
    }

    fn take_over(
        &mut self,
        settings: Settings,
        plan: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<JailChange>, Vec<String>> {
        let mut next = settings.setup;
        let monitor = next.server.monitor.take();
        next.server = self.setup.server.clone();
        next.server.monitor = monitor;
        let plans: Vec<JailPlan> = next.plans().collect();
        let checks = self
            .check(&next, &Restart::default())
            .map_err(|refusal| self.problems(&plans, &refusal))?;
        let changes = self.changes(&plans);
        if plan {
            return Ok(changes);
        }
        self.share(&next);
        self.log.info("server", "Reload all jails");
        let kept: Vec<JailName> = changes
            .iter()
            .filter_map(|change| match change {
                JailChange::Changed { jail, .. } => Some(jail.clone()),
                _ => None,
            })
            .collect();
        for name in &kept {
            self.log.info("server", &format!("Reload jail '{name}'"));
        }
        let restart = Restart {
            kept: kept.clone(),
            ..Restart::default()
        };
        self.adopt(next, &restart, checks, effects);
        for name in &kept {
            self.log.info("server", &format!("Jail '{name}' reloaded"));
        }
        self.engine.rearm(clock::now(), effects);
        self.log.info("server", "Reload finished.");
        Ok(changes)
    }

    /// Everything that is wrong with jails of which one was refused.
    fn problems(&self, plans: &[JailPlan], refusal: &Refusal) -> Vec<String> {
        let problem = |plan: &JailPlan| {
            let problem = self.crew.check(plan).err()?;
            Some(format!("jail '{}': {problem}", plan.jail.name))
        };
        let all: Vec<String> = plans.iter().filter_map(problem).collect();
        if all.is_empty() {
            return vec![refusal.to_string()];
        }
        all
    }

    /// What differs, the engine's options and the daemon's.
    fn changes(&self, wanted: &[JailPlan]) -> Vec<JailChange> {
        let settings: Vec<JailSettings> = wanted.iter().map(|plan| plan.jail.clone()).collect();
        let mut changes = self.engine.changes(&settings);
        for plan in wanted {
            let more = self.crew.differences(plan);
            if more.is_empty() {
                continue;
            }
            let name = &plan.jail.name;
            let known = changes.iter_mut().find_map(|change| match change {
                JailChange::Changed { jail, options, .. } if jail == name => Some(options),
                _ => None,
            });
            match known {
                Some(options) => options.extend(more),
                None => changes.push(JailChange::Changed {
                    jail: name.clone(),
                    bans: self.engine.ban_count(name),
                    options: more,
                }),
            }
        }
        changes
    }
}

/// What is logged of a file that a jail begins to read.
fn added(jail: &JailName, log: &LogPath, stored: &[Stored]) -> String {
    let path = Path::new(&log.path);
    let of = stored.iter().find(|stored| stored.jail == *jail);
    let known = of.and_then(|stored| stored.positions.iter().find(|it| it.log == log.path));
    let mark = source::mark(path).unwrap_or_default();
    let position = match known {
        Some(position) if position.mark == mark => position.offset,
        _ if log.tail => path
            .metadata()
            .map_or(0, |found| i64::try_from(found.len()).unwrap_or(i64::MAX)),
        _ => 0,
    };
    format!(
        "Added logfile: '{}' (pos = {position}, hash = {mark})",
        log.path
    )
}

#[cfg(test)]
mod tests;
