//! `fail2ban-client`, and what `fail2ban-server` has in common with it.
//!
//! Reads the options, and does what the words behind them say. Most words go to the
//! daemon as one request, and the reply is printed (`exchange`). `start`, `restart` and
//! `reload` read the configuration first (`configuration`) and send what it says (`start`,
//! `reload`). `fail2ban-server` becomes the daemon, or starts one (`server`). Texts, exit
//! codes and the format of error lines are those of the original: programs read them.

mod beautify;
pub(super) mod configuration;
mod exchange;
mod help;
mod interactive;
mod lines;
mod options;
mod pretty;
mod reload;
mod server;
mod signals;
mod start;
mod table;
pub(super) mod transport;
mod tree;
mod wait;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::COMPATIBLE;
use crate::cli::out;
use crate::wire::pickle::{Str, Value};
use crate::wire::text::{float, repr};
use configuration::{Dump, Next};
use ferroban_config::Seconds;
use lines::{Level, Lines};
use options::Name;
use transport::{Connection, Patience};

/// The server: its program, and what its process is called unless it is told otherwise.
const NAME: &str = "fail2ban-server";
/// The client's last word on options it cannot follow; the server has none.
const INIT_FAILED: &str = "Init of command line failed";
/// How long a daemon may take to show that it is there.
const PING: Patience = Patience::Limited(Duration::from_millis(100));

/// Which of the two programs this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Face {
    /// `fail2ban-client`: without a command it shows its usage.
    Client,
    /// `fail2ban-server`: without a command it starts the daemon.
    Server,
}

/// Does what the command line says; `args` are without the program's name.
#[must_use]
pub fn run(args: &[OsString], face: Face) -> ExitCode {
    match options(args, face) {
        Ok(options) => {
            let lines = options.lines;
            let done = act(&options);
            let code = if done.is_ok() && !out::failed() {
                0
            } else {
                255
            };
            lines.say(Level::Debug, "fail2ban", &format!("Exit with code {code}"));
            ExitCode::from(code)
        }
        Err(code) => code,
    }
}

/// The command failed, and that was told.
#[derive(Debug)]
struct Failed;

/// What the options and words say.
#[derive(Debug)]
struct Options {
    face: Face,
    socket: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    conf: Option<PathBuf>,
    log_level: Option<OsString>,
    log_target: Option<OsString>,
    syslog_socket: Option<OsString>,
    lines: Lines,
    /// Print the configuration.
    dump: Option<Dump>,
    /// Test it.
    test: bool,
    interactive: bool,
    server: ServerOptions,
    /// Whether `fail2ban.conf` was read to complete them.
    completed: bool,
    words: Vec<Str>,
}

/// How a server is started.
#[derive(Debug)]
struct ServerOptions {
    /// What its process is called.
    name: OsString,
    /// Take over a socket that lies there.
    force: bool,
    foreground: bool,
    /// Without a configuration: somebody else sends it.
    bare: bool,
    /// It was started by itself, and has a process to itself.
    detached: bool,
    /// How long it may take to answer.
    patience: Duration,
}

/// Reads the options and acts on those that end the program; that is the exit code.
fn options(args: &[OsString], face: Face) -> Result<Options, ExitCode> {
    let failure = ExitCode::from(255);
    let Ok(line) = options::read(args) else {
        out::line(&help::usage(face));
        if face == Face::Client {
            out::error(INIT_FAILED);
        }
        return Err(failure);
    };
    let words = line.words.iter().map(|word| Str::from_os(word)).collect();
    let mut options = Options::new(face, words);
    for (name, value) in line.options {
        let told = match name {
            Name::Help => Ok(Some(help::usage(face))),
            Name::ShortVersion => Ok(Some(COMPATIBLE.into())),
            Name::Version => Ok(Some(format!("Fail2Ban v{COMPATIBLE}"))),
            Name::Seconds => seconds(&value.to_string_lossy()).map(Some),
            Name::Timeout => options.wait_for(&value.to_string_lossy()).map(|()| None),
            name => {
                options.apply(name, value);
                Ok(None)
            }
        };
        match told {
            Ok(None) => {}
            Ok(Some(text)) => {
                out::line(&text);
                return Err(ExitCode::SUCCESS);
            }
            Err(error) => {
                out::line(&format!("ERROR: {error}"));
                if face == Face::Client {
                    out::error(INIT_FAILED);
                }
                return Err(failure);
            }
        }
    }
    let checked = options
        .check_folder()
        .and_then(|()| configuration::complete(&mut options))
        .and_then(|()| options.check_level());
    if let Err(error) = checked {
        out::line(&format!("ERROR: {error}"));
        if face == Face::Client {
            options.lines.error(INIT_FAILED);
        }
        return Err(failure);
    }
    Ok(options)
}

impl Options {
    fn new(face: Face, words: Vec<Str>) -> Self {
        Self {
            face,
            socket: None,
            pid_file: None,
            conf: None,
            log_level: None,
            log_target: None,
            syslog_socket: None,
            lines: Lines::new(),
            dump: None,
            test: false,
            interactive: false,
            server: ServerOptions {
                name: NAME.into(),
                force: false,
                foreground: false,
                bare: false,
                detached: false,
                patience: Duration::from_secs(30),
            },
            completed: false,
            words,
        }
    }

    fn apply(&mut self, name: Name, value: OsString) {
        match name {
            Name::Conf => self.conf = Some(value.into()),
            Name::Socket => self.socket = Some(value.into()),
            Name::PidFile => self.pid_file = Some(value.into()),
            Name::LogLevel => self.log_level = Some(value),
            Name::LogTarget => self.log_target = Some(value),
            Name::Verbose => self.lines.verbosity += 1,
            Name::Quiet => self.lines.verbosity -= 1,
            Name::SyslogSocket => self.syslog_socket = Some(value),
            Name::Dump => self.dump = Some(Dump::Plain),
            Name::DumpPretty => self.dump = Some(Dump::Pretty),
            Name::Test => self.test = true,
            Name::Interactive => self.interactive = true,
            Name::Pname => self.server.name = value,
            Name::Force => self.server.force = true,
            Name::Background => self.server.foreground = false,
            Name::Foreground => self.server.foreground = true,
            Name::Async => self.server.bare = true,
            Name::Detached => self.server.detached = true,
            // These were acted on before.
            Name::Timeout | Name::Seconds | Name::Help | Name::ShortVersion | Name::Version => {}
        }
    }

    /// Takes the value of `--timeout`; less than nothing is nothing.
    fn wait_for(&mut self, text: &str) -> Result<(), String> {
        let seconds = match text.parse() {
            Ok(Seconds::Whole(number)) => Duration::from_secs(u64::try_from(number).unwrap_or(0)),
            Ok(Seconds::Fraction(number)) => {
                let none_or_all = |number: f64| {
                    if number > 0.0 {
                        Duration::MAX
                    } else {
                        Duration::ZERO
                    }
                };
                Duration::try_from_secs_f64(number).unwrap_or_else(|_| none_or_all(number))
            }
            Err(error) => return Err(error.original()),
        };
        self.server.patience = seconds;
        Ok(())
    }

    /// Whether all that is wanted is a server.
    fn only_start(&self) -> bool {
        let starts = |word: &Str| word.as_str() == Some("start");
        self.words.iter().all(starts) && self.words.len() < 2
    }

    /// Whether a server shall run in this process. It would be in the way of a prompt.
    fn in_foreground(&self) -> bool {
        self.server.foreground && !self.interactive
    }

    /// Whether this process becomes the server, which has its own idea of signals.
    fn becomes_server(&self) -> bool {
        let restarts = |word: &Str| word.as_str() == Some("restart");
        let starts = self.only_start() || (self.words.iter().all(restarts) && self.words.len() < 2);
        self.server.detached || (starts && self.in_foreground())
    }

    /// The folder of the configuration.
    fn folder(&self) -> &Path {
        self.conf.as_deref().unwrap_or(Path::new("/etc/fail2ban"))
    }

    /// Checked for every command, whether it needs the folder or not.
    fn check_folder(&self) -> Result<(), String> {
        match self.conf.as_deref().filter(|folder| !folder.exists()) {
            None => Ok(()),
            Some(folder) => Err(format!(
                "Base configuration directory {} does not exist ",
                folder.display()
            )),
        }
    }

    /// Checked for every command, too.
    fn check_level(&self) -> Result<(), String> {
        match &self.log_level {
            Some(level) if !is_log_level(level) => {
                let level = repr(&Value::Str(Str::from_os(level)));
                Err(format!("Invalid log level {level}"))
            }
            _ => Ok(()),
        }
    }
}

/// What `--str2sec` prints, or fail2ban's words for why there is nothing to print.
fn seconds(text: &str) -> Result<String, String> {
    match text.parse() {
        Ok(Seconds::Whole(number)) => Ok(number.to_string()),
        Ok(Seconds::Fraction(number)) => Ok(float(number)),
        Err(error) => Err(error.original()),
    }
}

fn is_log_level(level: &OsStr) -> bool {
    const LEVELS: [&str; 11] = [
        "CRITICAL",
        "FATAL",
        "ERROR",
        "WARNING",
        "WARN",
        "NOTICE",
        "INFO",
        "MSG",
        "DEBUG",
        "TRACEDEBUG",
        "HEAVYDEBUG",
    ];
    let level = level.to_string_lossy().to_uppercase();
    let is_number = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
    is_number || LEVELS.contains(&level.as_str())
}

/// Where the daemon listens.
fn socket_path(options: &Options) -> &Path {
    options.socket.as_deref().unwrap_or(Path::new(""))
}

/// Does what the command line says.
fn act(options: &Options) -> Result<(), Failed> {
    tell_paths(options);
    if configuration::inspect(options)? == Next::Done {
        return Ok(());
    }
    if !options.becomes_server() {
        signals::catch(options);
    }
    if options.face == Face::Server && options.only_start() && !options.interactive {
        return server::run(options);
    }
    if options.words.is_empty() && !options.interactive {
        out::line(&help::usage(options.face));
        return Err(Failed);
    }
    if !options.words.is_empty() {
        command(options, &options.words)?;
    }
    if options.interactive {
        return interactive::run(options);
    }
    Ok(())
}

/// Does what the words of one command say.
fn command(options: &Options, raw: &[Str]) -> Result<(), Failed> {
    let words: Vec<Cow<'_, str>> = raw.iter().map(Str::to_lossy).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["start"] => start::start(options),
        ["restart"] => start::restart(options),
        ["restart", rest @ ..] => reload::reload(options, &[&["--restart"], rest].concat()),
        ["reload", rest @ ..] => reload::reload(options, rest),
        words => exchange::send(options, words, raw),
    }
}

fn tell_paths(options: &Options) {
    let say = |text: &str| options.lines.say(Level::Info, "fail2ban", text);
    say(&format!(
        "Using socket file {}",
        socket_path(options).display()
    ));
    let text = |given: &Option<OsString>| given.clone().unwrap_or_default();
    say(&format!(
        "Using pid file {}, [{}] logging to {}",
        options
            .pid_file
            .as_deref()
            .unwrap_or(Path::new(""))
            .display(),
        text(&options.log_level).to_string_lossy(),
        text(&options.log_target).to_string_lossy(),
    ));
}

/// Whether a daemon answers; `request` asks it.
fn is_running(options: &Options, request: &Value) -> bool {
    let asked = Connection::open(socket_path(options), PING).and_then(|mut connection| {
        exchange::tell_request(options.lines, request);
        connection.ask(request)
    });
    if let Ok(reply) = &asked
        && let Some([_, value]) = reply.elements()
    {
        exchange::tell_reply(options.lines, value);
    }
    asked.is_ok()
}

#[cfg(test)]
mod tests;
