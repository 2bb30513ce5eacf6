//! The daemon: threads that wait, around one engine that decides.
//!
//! | thread | owns | waits for |
//! |---|---|---|
//! | main | the engine | the inbox, at most until the engine wants to be woken |
//! | recorder | the database | its queue |
//! | watcher, one a source | the source and the filters that read it | new lines |
//! | actor, one a jail | its action | its queue |
//! | control | the socket | clients |
//! | signals | nothing | signals |
//!
//! They send plain messages and share no state. The main thread never waits for
//! anybody's queue, so no circle of full queues can form.

mod actor;
mod control;
mod main_loop;
mod message;
mod notes;
mod place;
mod protect;
mod recorder;
mod signals;
mod watcher;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ferroban_engine::{Engine, JailName, Protection};

use crate::action::{Action, Dry, Native};
use crate::clock;
use crate::load::{JailPlan, Settings};
use crate::log::Log;
use crate::store::{Opened, Store};
use crate::sys;
use main_loop::MainLoop;
use message::Message;
use place::Claim;
pub(crate) use place::PlaceError;
use watcher::Watching;

/// How many messages may wait for the engine. When it is full, watchers wait and
/// nothing is dropped.
const INBOX: usize = 1024;

/// What the daemon is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) socket: PathBuf,
    pub(crate) pidfile: PathBuf,
    pub(crate) database: PathBuf,
    /// Instead of the sources that the configuration names.
    pub(crate) watch: Option<Watch>,
    /// Decide and tell, but leave the firewall alone.
    pub(crate) dry: bool,
}

/// A source given by hand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    File(PathBuf),
    /// The journal, of this host or in a folder.
    Journal(Option<PathBuf>),
}

/// Why the daemon did not start.
#[derive(Debug)]
pub(crate) enum StartError {
    Place(PlaceError),
    Thread(io::Error),
    Signals(io::Error),
    /// Not one jail could be started.
    NoJail,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Thread(_) => f.write_str(
                "a thread cannot be started; look at the limit of processes (ulimit -u)",
            ),
            Self::Signals(_) => f.write_str("signals cannot be received"),
            Self::NoJail => f.write_str("no jail is left that can work; the lines above say why"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Place(error) => error.source(),
            Self::Thread(error) | Self::Signals(error) => Some(error),
            Self::NoJail => None,
        }
    }
}

/// Runs until it is told to stop. Log lines tell everything else.
pub(crate) fn run(plan: Plan, log: &Log) -> Result<(), StartError> {
    sys::set_umask(0o077);
    log.info("server", &"-".repeat(50));
    log.info(
        "server",
        &format!("Starting Fail2ban v{}", crate::COMPATIBLE),
    );
    let claim = Claim::take(&plan.socket, &plan.pidfile, log).map_err(StartError::Place)?;
    let store = open_store(&plan, log);
    let (inbox, messages) = sync_channel(INBOX);
    signals::start(inbox.clone()).map_err(StartError::Signals)?;
    let started = Daemon::start(plan, store, inbox, log)?;
    let control = control::Control::start(claim.listener(), started.inbox.clone(), log.clone())
        .map_err(StartError::Thread)?;
    started.finish(&messages, log);
    // From here on a client that asks learns that we are gone.
    drop(messages);
    control.stop();
    drop(claim);
    log.info("server", "Exiting Fail2ban");
    Ok(())
}

/// A database that cannot be used must not leave the host without a guard.
fn open_store(plan: &Plan, log: &Log) -> Option<Store> {
    let shown = plan.database.display();
    match Store::open(&plan.database, clock::now()) {
        Ok((store, opened)) => {
            if let Opened::Replaced(aside) = &opened {
                log.error(
                    "database",
                    &format!(
                        "'{shown}' is damaged or no database: moved to '{}', a new one is begun",
                        aside.display()
                    ),
                );
            }
            log.info(
                "database",
                &format!("Connected to fail2ban persistent database '{shown}'"),
            );
            if opened != Opened::Existing {
                log.warning("database", "New database created. Version '4'");
            }
            if let Err(error) = store.disable_all_jails() {
                log.error("database", &format!("{shown}: {error}"));
            }
            Some(store)
        }
        Err(error) => {
            log.error(
                "database",
                &format!(
                    "{}; bans are kept in memory and written as soon as it can be opened",
                    crate::report::chain(&error)
                ),
            );
            None
        }
    }
}

/// The threads at work.
struct Daemon {
    inbox: SyncSender<Message>,
    main_loop: MainLoop,
    watchers: Vec<watcher::Handle>,
    actors: Vec<JoinHandle<()>>,
    recorder: JoinHandle<()>,
}

impl Daemon {
    fn start(
        plan: Plan,
        store: Option<Store>,
        inbox: SyncSender<Message>,
        log: &Log,
    ) -> Result<Self, StartError> {
        let mut engine = Engine::new();
        let protected = protect::find();
        tell_protected(&protected, log);
        engine.protect(protected);
        let mut effects = Vec::new();
        let mut actors = BTreeMap::new();
        let mut threads = Vec::new();
        let mut watching = Watching::new(plan.watch.clone());
        for mut jail in plan.settings.jails {
            let Some(action) = action(&jail, plan.dry, log) else {
                continue;
            };
            if !watching.add(&mut jail, store.as_ref(), log) {
                continue;
            }
            let name = jail.jail.name.clone();
            tell_options(&jail, log);
            let (queue, thread) =
                actor::start(&name, action, inbox.clone()).map_err(StartError::Thread)?;
            let called = jail.actions.first().map(|action| action.name.clone());
            actors.insert(name, (called.unwrap_or_default(), queue));
            threads.push(thread);
            let bans = stored_bans(store.as_ref(), &jail, log);
            engine.restore_jail(clock::now(), jail.jail, bans, &mut effects);
        }
        if actors.is_empty() {
            return Err(StartError::NoJail);
        }
        let (recorder, records) = recorder::start(plan.database, store, inbox.clone(), log.clone())
            .map_err(StartError::Thread)?;
        let mut main_loop = MainLoop::new(engine, actors, records, log.clone());
        main_loop.dispatch(effects);
        let watchers = watching.start(&inbox, log).map_err(StartError::Thread)?;
        Ok(Self {
            inbox,
            main_loop,
            watchers,
            actors: threads,
            recorder,
        })
    }

    /// Works until told to stop, then ends every thread in order.
    fn finish(mut self, messages: &Receiver<Message>, log: &Log) {
        drop(self.inbox);
        self.main_loop.run(messages);
        log.info("server", "Shutdown in progress...");
        log.info("server", "Stopping all jails");
        for watcher in &self.watchers {
            watcher.wake();
        }
        self.main_loop
            .wait_for_watchers(messages, self.watchers.len());
        self.main_loop.stop_jails(messages);
        let asked = self.main_loop.close();
        for actor in self.actors {
            // A panic aborts the process, so there is no other outcome than its end.
            drop(actor.join());
        }
        drop(self.recorder.join());
        log.info("database", "Connection to database closed.");
        asked.answer();
    }
}

fn action(plan: &JailPlan, dry: bool, log: &Log) -> Option<Box<dyn Action>> {
    let jail = &plan.jail.name;
    let names: Vec<&str> = plan.actions.iter().map(|action| &*action.name).collect();
    let (["ferroban"], Some(action)) = (names.as_slice(), plan.actions.first()) else {
        let names = names.join("', '");
        log.error(
            "ferroban.guard",
            &format!("[{jail}] action '{names}' is unknown; there is 'ferroban'. Jail skipped"),
        );
        return None;
    };
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    match Native::new(jail.as_str(), &action.options, &services) {
        Ok(native) if dry => {
            log.info(
                "ferroban.guard",
                &format!(
                    "[{jail}] dry run: would ban with nftables on {}",
                    native.describe()
                ),
            );
            Some(Box::new(Dry))
        }
        Ok(native) => {
            log.info(
                "ferroban.guard",
                &format!(
                    "[{jail}] bans with nftables, table inet ferroban, on {}",
                    native.describe()
                ),
            );
            Some(Box::new(native))
        }
        Err(error) => {
            log.error(
                "ferroban.guard",
                &format!("[{jail}] action '{}': {error}. Jail skipped", action.name),
            );
            None
        }
    }
}

fn tell_options(plan: &JailPlan, log: &Log) {
    let jail = &plan.jail;
    log.info("filter", &format!("  maxRetry: {}", jail.maxretry));
    log.info("filter", &format!("  findtime: {}", jail.findtime));
    log.info("actions", &format!("  banTime: {}", jail.bantime.secs()));
    log.info("filter", "  encoding: UTF-8");
}

fn tell_protected(protected: &[ferroban_engine::Protected], log: &Log) {
    let own = protected
        .iter()
        .filter(|entry| entry.why == Protection::OwnAddress)
        .count();
    let others: Vec<String> = protected
        .iter()
        .filter(|entry| entry.why != Protection::OwnAddress)
        .map(|entry| format!(", {} ({})", entry.address, entry.why))
        .collect();
    log.info(
        "ferroban.guard",
        &format!(
            "never banned without force: {own} own address(es){}",
            others.concat()
        ),
    );
}

fn stored_bans(store: Option<&Store>, plan: &JailPlan, log: &Log) -> Vec<ferroban_engine::Ban> {
    let Some(store) = store else {
        return Vec::new();
    };
    let name: &JailName = &plan.jail.name;
    store
        .bans(name, plan.jail.bantime, clock::now())
        .unwrap_or_else(|error| {
            log.error(
                "database",
                &format!(
                    "{}: bans of jail '{name}' cannot be read: {error}",
                    store.path().display()
                ),
            );
            Vec::new()
        })
}
