//! The log: fail2ban's levels, targets and line format.
//!
//! Other programs parse these lines, the `recidive` jail among them, so they are
//! interface. The wording of what happened is in [`events`].
//!
//! | module | its idea |
//! |---|---|
//! | `level` | how much a line matters |
//! | `target` | `TARGET[option=value, …]`: where lines go, and how they look there |
//! | `record` | one thing told, and its JSON |
//! | `layout` | `%(asctime)s %(message)s`: Python's layout of a line |
//! | `format` | a record as bytes: lines, syslog's datagrams, the journal's |
//! | `sink` | files, streams and sockets that bytes go to |
//! | `queue` | the thread that writes, so that nobody else waits |

pub(crate) mod events;
mod format;
mod layout;
mod level;
mod queue;
mod record;
mod sink;
mod target;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use ferroban_config::{InvocationError, quoted};
use ferroban_engine::Event;

use crate::{COMPATIBLE, clock};
pub(crate) use level::Level;
use queue::{Losses, Queue, Shared};
use record::Record;
pub(crate) use record::escape;
use sink::Sink;
pub(crate) use target::Target;
use target::{Kind, Wanted};

/// Takes log lines; cheap to clone, one for every thread. Nobody who has something to
/// tell waits until it is written. What one clone changes, all see.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The least number of a level that is wanted.
    threshold: AtomicU32,
    /// `None` writes nowhere.
    queue: RwLock<Option<Queue>>,
    losses: Arc<Losses>,
    /// Held by whoever changes the log, never by who only tells a line.
    settings: Mutex<Settings>,
}

#[derive(Debug)]
struct Settings {
    level: String,
    /// The target as it was named, without options; `None` before the first.
    target: Option<String>,
    /// Where lines go, whatever the name: `INHERITED` changes the name only.
    wanted: Option<Wanted>,
    syslogsocket: String,
    verbosity: i32,
    /// Queues to former targets that may still be writing.
    retired: Vec<Arc<Shared>>,
    /// Where the journal listens.
    journal: PathBuf,
}

/// Why the log could not be changed. Shown in fail2ban's words.
#[derive(Debug)]
pub(crate) enum Error {
    /// No such level; the text says so already.
    Level(String),
    /// The target is not written `TARGET[option=value, …]`.
    Options(InvocationError),
    /// A `format` that is no layout of Python's logging.
    Format(String),
    /// The target cannot be opened. The log says why.
    Target(io::Error),
    /// The target SYSLOG cannot be opened at the new socket. The log says why.
    Socket(io::Error),
    /// The log's file cannot be opened again.
    Reopen { path: PathBuf, source: io::Error },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(text) => f.write_str(text),
            Self::Options(error) => error.fmt(f),
            Self::Format(text) => write!(f, "Invalid format {} for '%' style", quoted(text)),
            Self::Target(_) => f.write_str("Failed to change log target"),
            Self::Socket(_) => f.write_str("Failed to change syslog socket"),
            Self::Reopen { path, source } => {
                let text = source.to_string();
                let (what, number) = text.split_once(" (os error ").unwrap_or((&text, ""));
                let number = number.trim_end_matches(')');
                let path = quoted(&path.display().to_string());
                write!(f, "[Errno {number}] {what}: {path}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(source) | Self::Socket(source) => Some(source),
            _ => None,
        }
    }
}

/// How long [`Log::flush`] waits for a log that nobody reads.
const PATIENCE: Duration = Duration::from_secs(1);
/// `syslogsocket` where nobody says otherwise, and what it means on Linux.
const AUTO: (&str, &str) = ("auto", "/dev/log");
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The logger of what the original says about its log.
const SERVER: &str = "server";

impl Log {
    /// A log that writes nowhere until it gets a target.
    pub(crate) fn nowhere(level: Level) -> Self {
        // What is told later is timed from here.
        record::started();
        Self(Arc::new(Inner {
            threshold: level.threshold().into(),
            queue: RwLock::default(),
            losses: Arc::default(),
            settings: Mutex::new(Settings {
                level: level.setting(),
                target: None,
                wanted: None,
                syslogsocket: AUTO.0.to_owned(),
                verbosity: 1,
                retired: Vec::new(),
                journal: JOURNAL.into(),
            }),
        }))
    }

    /// Opens a target. A file is appended to and, if new, readable by us alone.
    pub(crate) fn open(target: &Target, level: Level) -> io::Result<Self> {
        let log = Self::nowhere(level);
        let wanted = Wanted::new(target).map_err(io::Error::other)?;
        log.switch(&mut log.settings(), wanted)
            .map_err(|error| match error {
                Error::Target(source) => source,
                other => io::Error::other(other),
            })?;
        Ok(log)
    }

    /// Gives the log of a server that starts its target; nothing is told of it.
    pub(crate) fn start(&self, target: &str) -> Result<(), Error> {
        self.set_target(&mut self.settings(), target).map(drop)
    }

    /// Changes the target, unless it has that name already, and says so to the new one.
    /// The new one opens first: if it cannot be opened, the old one stays.
    pub(crate) fn change_target(&self, target: &str) -> Result<(), Error> {
        let mut settings = self.settings();
        if self.set_target(&mut settings, target)? {
            self.introduce(&settings);
        }
        Ok(())
    }

    /// The target as it was named, without options; `None` if it never had one.
    pub(crate) fn target(&self) -> Option<String> {
        self.settings().target.clone()
    }

    /// Changes the least level that is told, for all clones at once.
    pub(crate) fn set_level(&self, text: &str) -> Result<(), Error> {
        let level: Level = text.parse().map_err(Error::Level)?;
        let mut settings = self.settings();
        settings.level = text.to_uppercase();
        let threshold = &self.0.threshold;
        threshold.store(level.threshold(), Ordering::Relaxed);
        Ok(())
    }

    /// The level as it was set, in capitals.
    pub(crate) fn level(&self) -> String {
        self.settings().level.clone()
    }

    /// How many `-v` the server was started with, counted from 1; targets opened from
    /// now on look accordingly.
    pub(crate) fn set_verbosity(&self, verbosity: i32) {
        self.settings().verbosity = verbosity;
    }

    /// Changes where syslog listens. A log that goes there is opened anew.
    pub(crate) fn set_syslogsocket(&self, text: &str) -> Result<(), Error> {
        let mut settings = self.settings();
        let wanted = settings.wanted.clone();
        let wanted = wanted.filter(|wanted| wanted.kind == Kind::Syslog);
        let meant = if text == AUTO.0 { AUTO.1 } else { text };
        if wanted.is_some() && settings.syslogsocket == meant {
            return Ok(());
        }
        text.clone_into(&mut settings.syslogsocket);
        if let Some(wanted) = wanted {
            let opened = self.switch(&mut settings, wanted);
            opened.map_err(|error| match error {
                Error::Target(source) => Error::Socket(source),
                other => other,
            })?;
            self.introduce(&settings);
        }
        Ok(())
    }

    /// Where syslog listens: a path, or `auto` until it was needed.
    pub(crate) fn syslogsocket(&self) -> String {
        self.settings().syslogsocket.clone()
    }

    /// Opens the log's file anew, by its name, after somebody moved it away; of other
    /// targets nothing is held back anyway. Returns what fail2ban answers.
    pub(crate) fn flushlogs(&self) -> Result<&'static str, Error> {
        let settings = self.settings();
        let name = settings.target.as_deref().unwrap_or("None");
        let text = match settings.wanted.as_ref().map(|wanted| &wanted.kind) {
            Some(Kind::File(path)) => {
                let sink = Sink::file(path).map_err(|source| Error::Reopen {
                    path: path.clone(),
                    source,
                })?;
                if let Some(queue) = &*self.queue() {
                    queue.turn(sink);
                }
                format!("rollover performed on {name}")
            }
            _ => format!("flush performed on {name}"),
        };
        self.info(SERVER, &text);
        // In other letters, the original takes these for files when it answers.
        Ok(match name {
            "STDERR" | "STDOUT" | "SYSLOG" | "SYSTEMD-JOURNAL" => "flushed",
            _ => "rolled over",
        })
    }

    /// Whether lines of this level are told. Spares whoever would have to make them.
    pub(crate) fn wants(&self, level: Level) -> bool {
        level.number() >= self.0.threshold.load(Ordering::Relaxed)
    }

    /// Tells one line if `level` is wanted. `logger` is the part after
    /// `fail2ban.`, except for our own lines, which begin with `ferroban`.
    pub(crate) fn line(&self, level: Level, logger: &str, message: &str) {
        self.tell(level, || Record::new(level, logger, message));
    }

    /// Tells a text of several lines, as an administrator's command may have. Only for
    /// what no attacker wrote: its line ends stay.
    pub(crate) fn block(&self, level: Level, logger: &str, text: &str) {
        self.tell(level, || Record::new(level, logger, text).with_lines());
    }

    /// Tells an event, worded as `message`.
    pub(crate) fn event(&self, level: Level, logger: &str, message: &str, event: &Event) {
        self.tell(level, || {
            Record::new(level, logger, message).with_event(event)
        });
    }

    /// Waits until what was told is written, though not for ever. Whoever ends the
    /// process does this first.
    pub(crate) fn flush(&self) {
        let end = clock::tick() + PATIENCE;
        let current = self.queue().as_ref().map(Queue::shared);
        let retired = self.settings().retired.clone();
        for queue in current.iter().chain(&retired) {
            queue.flush(end);
        }
    }

    pub(crate) fn info(&self, logger: &str, message: &str) {
        self.line(Level::Info, logger, message);
    }

    pub(crate) fn warning(&self, logger: &str, message: &str) {
        self.line(Level::Warning, logger, message);
    }

    pub(crate) fn error(&self, logger: &str, message: &str) {
        self.line(Level::Error, logger, message);
    }

    fn tell<'a>(&self, level: Level, record: impl FnOnce() -> Record<'a>) {
        if !self.wants(level) {
            return;
        }
        if let Some(queue) = &*self.queue() {
            queue.push(&record());
        }
    }

    /// Whether the target is another one now.
    fn set_target(&self, settings: &mut Settings, text: &str) -> Result<bool, Error> {
        let wanted = Wanted::parse(text)?;
        if settings.target.as_ref() == Some(&wanted.name) {
            return Ok(false);
        }
        if wanted.kind == Kind::Inherited {
            settings.target = Some(wanted.name);
            return Ok(false);
        }
        self.switch(settings, wanted)?;
        Ok(true)
    }

    /// Opens what is wanted and tells everything there from now on.
    fn switch(&self, settings: &mut Settings, wanted: Wanted) -> Result<(), Error> {
        let (format, unknown) = wanted.format(settings.verbosity);
        if let Some(unknown) = unknown {
            self.error(SERVER, &unknown);
        }
        let losses = Arc::clone(&self.0.losses);
        let queue = self
            .sink(settings, &wanted)
            .and_then(|sink| Queue::start(sink, format, losses))
            .map_err(Error::Target)?;
        let mut current = self.0.queue.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.replace(queue);
        drop(current);
        settings.retired.retain(|queue| !queue.is_over());
        settings.retired.extend(old.as_ref().map(Queue::shared));
        settings.target = Some(wanted.name.clone());
        settings.wanted = Some(wanted);
        Ok(())
    }

    /// Opens what is wanted, or says why it cannot be.
    fn sink(&self, settings: &mut Settings, wanted: &Wanted) -> io::Result<Sink> {
        let opened = match &wanted.kind {
            Kind::Syslog => return self.syslog(settings),
            Kind::Journal => Ok(self.socket(&settings.journal)),
            Kind::Stdout => standard(io::stdout().as_fd()),
            Kind::Stderr => standard(io::stderr().as_fd()),
            Kind::File(path) => Sink::file(path),
            Kind::Inherited => Err(io::ErrorKind::Unsupported.into()),
        };
        opened.inspect_err(|_| {
            let text = format!("Unable to log to {}", quoted(&wanted.name));
            self.error(SERVER, &text);
            if let Some(target) = &settings.target {
                let text = format!("Logging to previous target {}", quoted(target));
                self.info(SERVER, &text);
            }
        })
    }

    fn syslog(&self, settings: &mut Settings) -> io::Result<Sink> {
        if settings.syslogsocket == AUTO.0 {
            AUTO.1.clone_into(&mut settings.syslogsocket);
        }
        let path = Path::new(&settings.syslogsocket);
        if sink::is_socket(path) {
            return Ok(self.socket(path));
        }
        let text = format!(
            "Syslog socket file: {} does not exists or is not a socket",
            path.display()
        );
        self.error(SERVER, &text);
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }

    /// A socket to which lines go. Whoever reads them may begin after us.
    fn socket(&self, path: &Path) -> Sink {
        let sink = Sink::socket(path);
        if !sink.is_heard() {
            let text = format!(
                "{}: nobody listens there yet; until then, log lines are lost",
                path.display()
            );
            self.warning("ferroban.log", &text);
        }
        sink
    }

    /// Says to a new target who we are.
    fn introduce(&self, settings: &Settings) {
        let name = settings.target.as_deref().unwrap_or_default();
        let place = if name == "SYSLOG" {
            format!(" ({})", settings.syslogsocket)
        } else {
            String::new()
        };
        self.info(SERVER, &format!("Start Fail2ban v{COMPATIBLE}"));
        let text = format!("Changed logging target to {name}{place} for Fail2ban v{COMPATIBLE}");
        self.info(SERVER, &text);
    }

    fn queue(&self) -> RwLockReadGuard<'_, Option<Queue>> {
        self.0.queue.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.0
            .settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output or error, which others may close.
fn standard(stream: BorrowedFd<'_>) -> io::Result<Sink> {
    Sink::stream(File::from(stream.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests;
