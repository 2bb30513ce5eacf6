//! The daemon: threads that wait, around one engine that decides.
//!
//! | thread | owns | waits for |
//! |---|---|---|
//! | main | the engine | the inbox, at most until the engine wants to be woken |
//! | recorder | the database | its queue |
//! | watcher, one a source | the source and the filters that read it | new lines |
//! | actor, one a jail | its action | its queue |
//! | control, one a socket, and those it has carry requests out | the socket | clients |
//! | signals | nothing | signals |
//! | log | the log's file | its queue; when it is full, lines are lost and counted |
//!
//! They send plain messages and share no state. The main thread never waits for
//! anybody's queue, so no circle of full queues can form.

mod actor;
mod control;
mod crew;
mod main_loop;
mod message;
mod notes;
mod office;
mod place;
mod protect;
mod recorder;
mod reload;
mod signals;
mod watcher;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ferroban_engine::{Ban, Engine, JailSettings, Protection};

use crate::load::Settings;
use crate::log::Log;
use crate::store::Store;
use crate::{clock, report, sys};
use crew::Crew;
use main_loop::MainLoop;
use message::Message;
pub(crate) use place::PlaceError;
use place::{Claim, Manner};

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
    /// Reads the configuration again, for a reload.
    pub(crate) load: Loader,
}

/// What reading a configuration gives: settings, and what is wrong with the jails
/// that are left out; or only what is wrong with all of it.
type Loaded = Result<(Settings, Vec<String>), Vec<String>>;

/// Reads a configuration.
#[derive(Clone)]
pub(crate) struct Loader(pub(crate) Arc<dyn Fn() -> Loaded + Send + Sync>);

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loader")
    }
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

/// A server without jails, as `fail2ban-server --async` starts it: it is told over its
/// socket what to do.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    pub(crate) socket: PathBuf,
    pub(crate) pidfile: PathBuf,
    /// As given on the command line or in `fail2ban.conf`.
    pub(crate) loglevel: String,
    /// The same, with its options in brackets.
    pub(crate) logtarget: String,
    pub(crate) syslogsocket: String,
    /// Take over a socket file that lies there.
    pub(crate) force: bool,
    /// What `-v` and `-q` come to; 1 is usual.
    pub(crate) verbosity: i32,
    /// Whether it was sent to the background: the log says so.
    pub(crate) background: bool,
}

/// Runs a server without jails until it is told to stop.
pub(crate) fn serve(bare: Bare) -> Result<(), StartError> {
    drop(bare);
    Err(StartError::NoJail)
}

/// Runs until it is told to stop. Log lines tell everything else.
pub(crate) fn run(plan: Plan, log: &Log) -> Result<(), StartError> {
    sys::set_umask(0o077);
    log.info("server", &"-".repeat(50));
    log.info(
        "server",
        &format!("Starting Fail2ban v{}", crate::COMPATIBLE),
    );
    let claim =
        Claim::take(&plan.socket, &plan.pidfile, Manner::Guard, log).map_err(StartError::Place)?;
    let (inbox, messages) = sync_channel(INBOX);
    // Before the database: a stop that comes while it is waited for is not missed.
    signals::start(inbox.clone()).map_err(StartError::Signals)?;
    let store = open_store(&plan, log);
    let load = plan.load.clone();
    let started = Daemon::start(plan, store, &inbox, log)?;
    let office = office::Office::new(inbox, log.clone(), load);
    let respond: control::Respond =
        Arc::new(move |request, caller| office.respond(request, caller));
    let door = control::Door {
        listener: claim.listener(),
        access: office::Access::Everything,
    };
    let control = control::Control::start(&[door], log, &respond).map_err(StartError::Thread)?;
    started.finish(messages, log);
    control.stop();
    drop(claim);
    log.info("server", "Exiting Fail2ban");
    log.flush();
    Ok(())
}

/// A database that cannot be used must not leave the host without a guard.
fn open_store(plan: &Plan, log: &Log) -> Option<Store> {
    let shown = plan.database.display();
    match Store::open_quickly(&plan.database, clock::now()) {
        Ok((store, opened)) => {
            log.info(
                "database",
                &format!("Connected to fail2ban persistent database '{shown}'"),
            );
            recorder::tell_opened(&opened, &plan.database, log);
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
                    report::chain(&error)
                ),
            );
            None
        }
    }
}

/// The threads at work.
struct Daemon {
    main_loop: MainLoop,
    recorder: JoinHandle<()>,
}

impl Daemon {
    fn start(
        plan: Plan,
        store: Option<Store>,
        inbox: &SyncSender<Message>,
        log: &Log,
    ) -> Result<Self, StartError> {
        let mut engine = Engine::new();
        let protected = protect::find();
        tell_protected(&protected, log);
        engine.protect(protected);
        let mut crew = Crew::new(inbox.clone(), log.clone(), plan.dry, plan.watch);
        let (mut effects, mut unread) = (Vec::new(), Vec::new());
        for problem in &plan.settings.problems {
            log.warning("ferroban.guard", problem);
        }
        for jail in plan.settings.jails {
            let name = jail.jail.name.clone();
            match crew.check(&jail) {
                Ok(action) => {
                    let settings = crew.hire(jail, action).map_err(StartError::Thread)?;
                    crew.introduce(&name);
                    let bans = stored_bans(store.as_ref(), &settings, log).unwrap_or_else(|| {
                        unread.push((name, settings.bantime));
                        Vec::new()
                    });
                    engine.restore_jail(clock::now(), settings, bans, &mut effects);
                }
                Err(problem) => {
                    log.error(
                        "ferroban.guard",
                        &format!("[{name}] {problem}. Jail skipped"),
                    );
                }
            }
        }
        if crew.is_empty() {
            return Err(StartError::NoJail);
        }
        crew.watch(|plan| {
            let name = plan.source.name();
            let position = |jail| store.as_ref()?.position(jail, &name).ok().flatten();
            watcher::Begin::of(watcher::common(
                plan.readers.iter().map(|(jail, _)| position(jail)),
            ))
        })
        .map_err(StartError::Thread)?;
        let (recorder, records) =
            recorder::start(plan.database, store, unread, inbox.clone(), log.clone())
                .map_err(StartError::Thread)?;
        let mut main_loop = MainLoop::new(engine, crew, records, log.clone());
        main_loop.dispatch(effects);
        Ok(Self {
            main_loop,
            recorder,
        })
    }

    /// Works until told to stop, then ends every thread in order.
    fn finish(mut self, messages: Receiver<Message>, log: &Log) {
        self.main_loop.run(&messages);
        log.info("server", "Shutdown in progress...");
        log.info("server", "Stopping all jails");
        self.main_loop.stop_watching(&messages);
        self.main_loop.stop_jails(&messages);
        // Nobody reads the inbox any more: whoever waits for room in it may go.
        drop(messages);
        let asked = self.main_loop.close();
        drop(self.recorder.join());
        log.info("database", "Connection to database closed.");
        asked.answer();
    }
}

fn tell_protected(protected: &[ferroban_engine::Protected], log: &Log) {
    let is_own = |entry: &&ferroban_engine::Protected| entry.why == Protection::OwnAddress;
    let own = protected.iter().filter(is_own).count();
    let others: Vec<String> = protected
        .iter()
        .filter(|entry| !is_own(entry))
        .map(|entry| format!(", {} ({})", entry.address, entry.why))
        .collect();
    let text = format!(
        "never banned without force: {own} own address(es){}",
        others.concat()
    );
    log.info("ferroban.guard", &text);
}

/// The bans that an earlier life left; `None` while they cannot be read.
fn stored_bans(store: Option<&Store>, jail: &JailSettings, log: &Log) -> Option<Vec<Ban>> {
    let store = store?;
    let stored = store.bans(&jail.name, jail.bantime, clock::now());
    let stored = stored.inspect_err(|error| {
        let path = store.path().display();
        log.error(
            "database",
            &format!(
                "{path}: bans of jail '{}' cannot be read: {error}; this is tried again",
                jail.name
            ),
        );
    });
    let stored = stored.ok()?;
    if let Some(text) = stored.complaint(store.path(), &jail.name) {
        log.warning("ferroban.database", &text);
    }
    Some(stored.bans)
}
