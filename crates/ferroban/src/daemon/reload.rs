//! Another configuration for a daemon at work.
//!
//! It is checked whole before anything changes. Then only the differences are
//! carried out: bans and counts of a jail that stays are kept, and a watcher or
//! an actor that nothing changes for notices nothing. Bans that somebody took out
//! of the firewall are put back: this is the order that it takes.

use ferroban_engine::{Effect, JailChange, JailName, JailSettings};

use super::main_loop::MainLoop;
use super::message::Reload;
use super::watcher::{Begin, WatchPlan};
use crate::action::Action;
use crate::clock;
use crate::load::{JailPlan, Settings};

/// A jail as it is to be, and the action made for it.
type Checked = (JailPlan, Box<dyn Action>);

impl MainLoop {
    /// Takes a configuration over, or only tells what that would change.
    pub(super) fn reload(&mut self, request: Reload, effects: &mut Vec<Effect>) {
        let Reload {
            settings,
            plan,
            reply,
        } = request;
        for problem in &settings.problems {
            self.log.warning("ferroban.guard", problem);
        }
        let answer = self.check(settings).map(|checked| {
            let changes = self.changes(&checked);
            if !plan {
                self.log.info("server", "Reload all jails");
                self.take_over(checked, &changes, effects);
                self.engine.rearm(clock::now(), effects);
                self.log.info("server", "Reload finished.");
            }
            changes
        });
        if let Err(problems) = &answer {
            for problem in problems {
                self.log.error(
                    "ferroban.guard",
                    &format!("not reloaded, nothing changed: {problem}"),
                );
            }
        }
        // A client that has gone away is not missed.
        drop(reply.try_send(answer));
    }

    fn check(&self, settings: Settings) -> Result<Vec<Checked>, Vec<String>> {
        let (mut checked, mut problems) = (Vec::new(), Vec::new());
        for plan in settings.jails {
            match self.crew.check(&plan) {
                Ok(action) => checked.push((plan, action)),
                Err(problem) => problems.push(format!("jail '{}': {problem}", plan.jail.name)),
            }
        }
        if problems.is_empty() {
            Ok(checked)
        } else {
            Err(problems)
        }
    }

    /// What differs, the engine's options and the daemon's.
    fn changes(&self, wanted: &[Checked]) -> Vec<JailChange> {
        let settings: Vec<JailSettings> =
            wanted.iter().map(|(plan, _)| plan.jail.clone()).collect();
        let mut changes = self.engine.changes(&settings);
        for (plan, _) in wanted {
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

    fn take_over(
        &mut self,
        wanted: Vec<Checked>,
        changes: &[JailChange],
        effects: &mut Vec<Effect>,
    ) {
        for change in changes {
            if let JailChange::Removed { jail, .. } = change {
                self.crew.dismiss(jail);
                self.engine.remove_jail(clock::now(), jail, effects);
            }
        }
        let is = |name: &JailName, change: &JailChange| match change {
            JailChange::Added { jail } | JailChange::Changed { jail, .. } => jail == name,
            JailChange::Removed { .. } => false,
        };
        for (plan, action) in wanted {
            let name = plan.jail.name.clone();
            match changes.iter().find(|change| is(&name, change)) {
                Some(JailChange::Added { .. }) => self.add(plan, action, effects),
                Some(_) => self.change(plan, action, effects),
                None => {}
            }
        }
        let added = |name: &JailName| {
            changes
                .iter()
                .any(|change| matches!(change, JailChange::Added { jail } if jail == name))
        };
        // A jail that has counted what its old log says must not count it again.
        let from = |plan: &WatchPlan| {
            let fresh = plan.readers.iter().all(|(jail, _)| added(jail));
            if fresh { Begin::Beginning } else { Begin::End }
        };
        if let Err(error) = self.crew.watch(from) {
            self.log.error("ferroban.guard", &error.to_string());
        }
    }

    fn add(&mut self, plan: JailPlan, action: Box<dyn Action>, effects: &mut Vec<Effect>) {
        let name = plan.jail.name.clone();
        match self.crew.hire(plan, action) {
            Ok(settings) => {
                self.crew.introduce(&name);
                self.engine.add_jail(clock::now(), settings, effects);
            }
            Err(error) => self.log.error(
                "ferroban.guard",
                &format!("[{name}] cannot be started: {error}"),
            ),
        }
    }

    fn change(&mut self, plan: JailPlan, action: Box<dyn Action>, effects: &mut Vec<Effect>) {
        let name = plan.jail.name.clone();
        self.log.info("server", &format!("Reload jail '{name}'"));
        if self.crew.needs_new_actor(&plan) {
            match self.crew.hire(plan, action) {
                Ok(settings) => {
                    self.engine.change_jail(settings);
                    self.engine.restart_actions(clock::now(), &name, effects);
                }
                Err(error) => {
                    self.log.error(
                        "ferroban.guard",
                        &format!("[{name}] cannot be changed: {error}"),
                    );
                }
            }
        } else {
            let settings = self.crew.change(plan);
            self.engine.change_jail(settings);
        }
        self.log.info("server", &format!("Jail '{name}' reloaded"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc::{channel, sync_channel};

    use ferroban_engine::{Engine, FilterSettings};

    use super::super::crew::Crew;
    use crate::load::{ActionPlan, Backend};
    use crate::log::{Level, Log, Target};

    fn plan(jail: &str, failregex: &str, action: &str) -> JailPlan {
        JailPlan {
            jail: JailSettings::new(jail.parse().unwrap()),
            filter: FilterSettings {
                failregex: vec![failregex.to_owned()],
                ..FilterSettings::default()
            },
            backend: Backend::Files,
            logpaths: Vec::new(),
            journal: Vec::new(),
            actions: vec![ActionPlan {
                name: action.to_owned(),
                ..ActionPlan::default()
            }],
            without_effect: Vec::new(),
        }
    }

    /// What a reload answers, and how many effects it has.
    fn ask(
        main_loop: &mut MainLoop,
        jails: Vec<JailPlan>,
        plan: bool,
    ) -> (Result<Vec<String>, Vec<String>>, usize) {
        let (reply, answer) = sync_channel(1);
        let settings = Settings {
            jails,
            problems: vec!["/x: cannot be read".to_owned()],
        };
        let request = Reload {
            settings,
            plan,
            reply,
        };
        let mut effects = Vec::new();
        main_loop.reload(request, &mut effects);
        let answer = answer.recv().unwrap();
        let shown = answer.map(|changes| changes.iter().map(ToString::to_string).collect());
        (shown, effects.len())
    }

    #[test]
    fn a_configuration_that_is_not_right_changes_nothing_and_says_everything() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Info).unwrap();
        let (inbox, _messages) = sync_channel(16);
        let (records, _recorded) = channel();
        let crew = Crew::new(inbox, log.clone(), true, None);
        let mut main_loop = MainLoop::new(Engine::new(), crew, records, log.clone());
        let mut ask = |jails, plan| ask(&mut main_loop, jails, plan);
        let good = || plan("a", "x <ADDR>", "ferroban");
        let broken = vec![
            good(),
            plan("b", "(", "ferroban"),
            plan("c", "x <ADDR>", "nosuch"),
        ];
        let (answer, effects) = ask(broken, false);
        let problems = answer.unwrap_err();
        assert_eq!((problems.len(), effects), (2, 0));
        assert!(
            problems[0].starts_with("jail 'b': Unable to compile"),
            "{problems:?}"
        );
        assert!(
            problems[1].starts_with("jail 'c': action 'nosuch' is unknown"),
            "{problems:?}"
        );

        let starts = Ok(vec!["+ jail 'a' starts".to_owned()]);
        assert_eq!(
            ask(vec![good()], true),
            (starts.clone(), 0),
            "a plan changes nothing"
        );
        let (answer, effects) = ask(vec![good()], false);
        assert_eq!(answer, starts);
        assert!(effects > 0);
        assert_eq!(ask(vec![good()], false).0, Ok(vec![]));
        let mut named = good();
        named.filter.raw_names = true;
        let changed = "~ jail 'a' changes; 0 ban(s) stay\n    usedns: not raw -> raw";
        assert_eq!(ask(vec![named], true).0, Ok(vec![changed.to_owned()]));
        let other = plan("a", "y <ADDR>", "ferroban");
        let changed =
            "~ jail 'a' changes; 0 ban(s) stay\n    filter: 1 pattern(s) -> 1 pattern(s), changed";
        assert_eq!(ask(vec![other], true).0, Ok(vec![changed.to_owned()]));

        log.flush();
        let told = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(told.matches("WARNING /x: cannot").count(), 6, "{told}");
    }
}
