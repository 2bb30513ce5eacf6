//! The daemon: threads that wait, around one engine that decides.
//!
//! | thread | owns | waits for |
//! |---|---|---|
//! | main | the engine | the inbox, at most until the engine wants to be woken |
//! | recorder | the database | its queue |
//! | watcher, one a source | the source and the filters that read it | new lines |
//! | actor, one a jail | its actions | its queue |
//! | asker, a few | nothing | names, files and commands that a jail asks about |
//! | control, one a socket | its connections | clients |
//! | lookout | nothing | what others do to the firewall |
//! | signals | nothing | signals |
//! | log | the log's file | its queue; when it is full, lines are lost and counted |
//!
//! They send plain messages; what they share are a few counters. The main thread never waits for
//! anybody's queue, so no circle of full queues can form.

mod action_change;
mod actor;
mod asker;
mod commands;
mod control;
mod crew;
mod database;
mod facts;
mod inquiries;
mod lookout;
mod main_loop;
mod message;
mod monitor;
mod notes;
mod notify;
mod office;
mod place;
mod protect;
mod recorder;
mod reload;
mod request;
mod signals;
mod status;
#[cfg(test)]
mod stock_actions_tests;
mod truth;
mod watcher;
pub(crate) mod words;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};

use ferroban_engine::{Engine, Protection};

use crate::load::{Settings, Setup};
use crate::log::{Level, Log};
use crate::names::Resolver;
use crate::sys;
use crate::wire::UNCONFIGURED;
use crew::Crew;
use database::Database;
use facts::Facts;
use inquiries::Inquiries;
use main_loop::MainLoop;
use message::Message;
pub use office::{Asked, understand};
use place::{Claim, Manner};
pub(crate) use place::{PlaceError, is_left_behind};
use reload::Checks;

/// How many messages may wait for the engine. When it is full, watchers wait and
/// nothing is dropped.
const INBOX: usize = 1024;

/// How the daemon goes about its work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conduct {
    /// Decide and tell, but leave the firewall alone.
    dry: bool,
    /// An action without any command is a mistake rather than one that does nothing.
    needs_commands: bool,
    /// How loud lines are that fail2ban does not log.
    own: Level,
}

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

impl Loader {
    /// Reads none: whoever has a configuration tells it over the socket.
    fn none() -> Self {
        Self(Arc::new(|| Err(vec![UNCONFIGURED.to_owned()])))
    }
}

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
    /// Who wants to know when it listens.
    pub(crate) listening: Option<Sender<()>>,
}

/// Runs a server without jails until it is told to stop.
pub(crate) fn serve(bare: &Bare) -> Result<(), StartError> {
    let log = log_of(bare);
    let server = Server {
        conduct: Conduct {
            dry: false,
            needs_commands: false,
            own: Level::Msg,
        },
        by_hand: None,
        load: Loader::none(),
        background: bare.background,
        listening: bare.listening.clone(),
    };
    let (socket, pidfile) = (&bare.socket, &bare.pidfile);
    greet(&log, bare.background);
    let claim = Claim::take(socket, pidfile, Manner::Server { force: bare.force }, &log)
        .map_err(StartError::Place)?;
    server.run(claim, &log, |_| Ok(()))
}

/// The log as the command line or `fail2ban.conf` wants it. What cannot be had is told
/// when the configuration comes, which says the same.
fn log_of(bare: &Bare) -> Log {
    let log = Log::nowhere(Level::Info);
    log.set_verbosity(bare.verbosity);
    drop(log.set_syslogsocket(&bare.syslogsocket));
    drop(log.set_level(&bare.loglevel));
    drop(log.start(&bare.logtarget));
    log
}

/// Runs until it is told to stop. Log lines tell everything else.
pub(crate) fn run(plan: Plan, log: &Log) -> Result<(), StartError> {
    let Plan {
        settings,
        socket,
        pidfile,
        database,
        watch,
        dry,
        load,
    } = plan;
    let server = Server {
        conduct: Conduct {
            dry,
            needs_commands: true,
            own: Level::Info,
        },
        by_hand: watch,
        load,
        background: false,
        listening: None,
    };
    greet(log, false);
    let claim = Claim::take(&socket, &pidfile, Manner::Guard, log).map_err(StartError::Place)?;
    server.run(claim, log, |main_loop| {
        main_loop.begin_with(settings, &database)?;
        main_loop.notify.ready();
        Ok(())
    })
}

fn greet(log: &Log, background: bool) {
    sys::set_umask(0o077);
    if background {
        // Nobody's folder is held busy.
        std::env::set_current_dir("/").ok();
    }
    log.info("server", &"-".repeat(50));
    let text = format!("Starting Fail2ban v{}", crate::COMPATIBLE);
    log.info("server", &text);
    if background {
        log.info("server", "Daemon started");
    }
    // fail2ban's observer is part of our engine; who waits for its line finds it.
    log.info("observer", "Observer start...");
}

/// What makes one server different from another.
struct Server {
    conduct: Conduct,
    by_hand: Option<Watch>,
    load: Loader,
    background: bool,
    listening: Option<Sender<()>>,
}

impl Server {
    /// Begins with what `first` does, and works until told to stop.
    fn run(
        self,
        claim: Claim,
        log: &Log,
        first: impl FnOnce(&mut MainLoop) -> Result<(), StartError>,
    ) -> Result<(), StartError> {
        let (inbox, messages) = sync_channel(INBOX);
        // Before the database: a stop that comes while it is waited for is not missed.
        signals::start(inbox.clone(), self.background, claim.traces())
            .map_err(StartError::Signals)?;
        let mut main_loop = self.main_loop(&inbox, log);
        let office = office::Office::new(inbox, log.clone(), self.load);
        let respond: control::Respond =
            Arc::new(move |request, caller| office.respond(request, caller));
        main_loop.monitor.offer(Arc::clone(&respond));
        first(&mut main_loop)?;
        let door = control::Door {
            listener: claim.listener(),
            access: office::Access::Everything,
        };
        let control =
            control::Control::start(&[door], log, &respond).map_err(StartError::Thread)?;
        if let Some(listening) = self.listening {
            // Who wanted to know may have lost patience.
            listening.send(()).ok();
        }
        finish(main_loop, messages, log);
        control.stop();
        drop(claim);
        log.info("server", "Exiting Fail2ban");
        log.flush();
        Ok(())
    }

    fn main_loop(&self, inbox: &SyncSender<Message>, log: &Log) -> MainLoop {
        let mut engine = Engine::new();
        let protected = protect::find(&[]);
        tell_protected(&protected, self.conduct.own, log);
        engine.protect(protected);
        let facts = Facts::new(Resolver::system());
        let crew = Crew::new(
            inbox.clone(),
            log.clone(),
            self.conduct,
            self.by_hand.clone(),
            facts.clone(),
        );
        let database = Database::new(inbox.clone(), log.clone()).with_readers(facts.history());
        let inquiries = Inquiries::new(inbox.clone(), facts, log.clone());
        MainLoop::new(engine, crew, database, inquiries, log.clone())
    }
}

/// Works until told to stop, then ends every thread in order.
fn finish(mut main_loop: MainLoop, messages: Receiver<Message>, log: &Log) {
    main_loop.run(&messages);
    main_loop.notify.stopping();
    log.info("server", "Shutdown in progress...");
    log.info("observer", "Observer stop ... try to end queue 5 seconds");
    log.info("observer", "Observer stopped, 0 events remaining.");
    log.info("server", "Stopping all jails");
    main_loop.tell_logs_left();
    main_loop.stop_watching(&messages);
    main_loop.stop_jails(&messages);
    // Nobody reads the inbox any more: whoever waits for room in it may go.
    drop(messages);
    let (asked, stored) = main_loop.close();
    if stored {
        log.info("database", "Connection to database closed.");
    }
    asked.answer();
}

impl MainLoop {
    /// Begins with a configuration that the daemon has read by itself. A jail that is
    /// wrong keeps no other from starting.
    fn begin_with(&mut self, settings: Settings, database: &Path) -> Result<(), StartError> {
        let Settings { setup, problems } = settings;
        for problem in &problems {
            self.log.warning("ferroban.guard", problem);
        }
        self.database
            .open(Some(database))
            .map_err(StartError::Thread)?;
        let (mut next, checks) = self.usable(setup);
        if next.plans().next().is_none() {
            return Err(StartError::NoJail);
        }
        next.server.dbfile = Some(database.display().to_string());
        self.setup.server.dbfile.clone_from(&next.server.dbfile);
        self.share(&next);
        let mut effects = Vec::new();
        self.adopt(next, &reload::Restart::default(), checks, &mut effects);
        self.dispatch(effects);
        Ok(())
    }

    /// What of a configuration can be used; the rest is told.
    fn usable(&self, mut setup: Setup) -> (Setup, Checks) {
        let mut wrong = Vec::new();
        let mut checks = Checks::default();
        for plan in setup.plans() {
            match self.crew.check(&plan) {
                Ok(parts) => checks.begun.push((plan, parts)),
                Err(problem) => {
                    let name = &plan.jail.name;
                    let text = format!("[{name}] {problem}. Jail skipped");
                    self.log.error("ferroban.guard", &text);
                    wrong.push(name.clone());
                }
            }
        }
        setup.retain(|jail| !wrong.contains(&jail.name));
        (setup, checks)
    }
}

fn tell_protected(protected: &[ferroban_engine::Protected], level: Level, log: &Log) {
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
    log.line(level, "ferroban.guard", &text);
}
