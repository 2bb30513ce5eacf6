//! `fail2ban-client`, and what `fail2ban-server` has in common with it.
//!
//! Reads the options, sends the words behind them to the daemon as one request, and
//! prints the reply. Texts, exit codes and the format of error lines are those of the
//! original: programs read them.
//!
//! What needs the configuration folder is in `configuration`. Commands that start a
//! daemon from it (`start`, `restart`, `reload`) are refused with one line.

mod beautify;
mod configuration;
mod help;
mod lines;
mod options;
mod pretty;
mod table;
pub(super) mod transport;
mod tree;

use std::borrow::Cow;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::COMPATIBLE;
use crate::cli::out;
use crate::wire::pickle::{Str, Value};
use crate::wire::text::{display, float, repr};
use configuration::{Dump, Next};
use ferroban_config::Seconds;
use lines::{Level, Lines};
use options::Name;
use table::Charset;
use transport::{ContactError, Patience};

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
            let done = command(&options);
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
    words: Vec<Str>,
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
            Name::Timeout => seconds(&value.to_string_lossy()).map(|_| None),
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
            lines: Lines { verbosity: 1 },
            dump: None,
            test: false,
            interactive: false,
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
            // These say how to start the daemon, or were acted on before.
            Name::Pname
            | Name::Force
            | Name::Background
            | Name::Foreground
            | Name::Async
            | Name::Timeout
            | Name::Seconds
            | Name::Help
            | Name::ShortVersion
            | Name::Version => {}
        }
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

/// Does what the words say.
fn command(options: &Options) -> Result<(), Failed> {
    let lines = options.lines;
    let lossy: Vec<Cow<'_, str>> = options.words.iter().map(Str::to_lossy).collect();
    let words: Vec<&str> = lossy.iter().map(AsRef::as_ref).collect();
    tell_paths(options);
    match configuration::inspect(options)? {
        Next::Done => return Ok(()),
        Next::GoOn => {}
    }
    if options.interactive {
        lines.error(
            "the interactive mode (-i) is not there yet; give the command behind the options",
        );
        return Err(Failed);
    }
    match words.as_slice() {
        [] if options.face == Face::Client => {
            out::line(&help::usage(options.face));
            Err(Failed)
        }
        [] | ["start"] => start(options),
        // Not even `stop` is sent: what could not be started again should stay up.
        ["restart"] => Err(no_configuration(options)),
        ["reload" | "restart", rest @ ..] => reload(options, rest),
        words => send(options, words),
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

/// Tells that a command needs what is not there yet.
fn no_configuration(options: &Options) -> Failed {
    options.lines.error(&format!(
        "{}: this version cannot start a server from a configuration folder yet; run 'ferroban guard' instead",
        options.folder().display()
    ));
    Failed
}

fn start(options: &Options) -> Result<(), Failed> {
    if is_running(options) {
        options.lines.error("Server already running");
        return Err(Failed);
    }
    Err(no_configuration(options))
}

fn reload(options: &Options, words: &[&str]) -> Result<(), Failed> {
    let is_option = |word: &&str| matches!(*word, "--restart" | "--unban" | "--if-exists");
    let named: Vec<&str> = words.iter().copied().skip_while(is_option).collect();
    if named.len() > 1 {
        let named = repr(&Value::strings(named));
        options
            .lines
            .error(&format!("Unexpected argument(s) for reload: {named}"));
        return Err(Failed);
    }
    if !is_running(options) {
        options.lines.error("Could not find server");
        return Err(Failed);
    }
    Err(no_configuration(options))
}

fn is_running(options: &Options) -> bool {
    transport::ask(socket_path(options), &Value::strings(["ping"]), PING).is_ok()
}

/// Sends the words as they are and prints the reply.
fn send(options: &Options, words: &[&str]) -> Result<(), Failed> {
    let lines = options.lines;
    let patience = match words {
        ["ping", seconds, ..] => patience(seconds).map_err(|error| {
            lines.error(&error);
            Failed
        })?,
        _ => Patience::Endless,
    };
    let request = Value::List(options.words.iter().cloned().map(Value::Str).collect());
    let heavy = |text: &str| lines.say(Level::Heavy, "fail2ban", text);
    heavy(&format!("CMD: {}", repr(&request)));
    let reply = transport::ask(socket_path(options), &request, patience).map_err(|error| {
        lines.error(&contact_text(&error, words));
        Failed
    })?;
    match reply.elements() {
        Some([Value::Int(0), value]) => {
            heavy(&format!("OK : {}", repr(value)));
            print(lines, words, &request, value);
            Ok(())
        }
        Some([_, Value::Exception(error)]) => {
            let args = repr(&Value::Tuple(error.shown_args().to_vec()));
            lines.error(&format!("NOK: {args}"));
            out::line(&beautify::beautify_error(error));
            Err(Failed)
        }
        // A text, if the daemon could not even read the request.
        _ => {
            lines.error(&display(&reply));
            Err(Failed)
        }
    }
}

fn print(lines: Lines, words: &[&str], request: &Value, reply: &Value) {
    match beautify::beautify(words, reply, charset()) {
        Ok(text) => out::line(&text),
        Err(beautify::Unprintable(partial)) => {
            let logger = "fail2ban.beautifier";
            let text = "Beautifier error. Please report the error";
            lines.say(Level::Warning, logger, text);
            let (request, reply) = (repr(request), repr(reply));
            let text = format!("Beautify {reply} with {request} failed");
            lines.say(Level::Error, logger, &text);
            out::line(&format!("{}{reply}", repr(&partial)));
        }
    }
}

/// Why there is no reply. A daemon that does not answer is told with more words, unless
/// the question was just that.
fn contact_text(error: &ContactError, words: &[&str]) -> String {
    match error {
        ContactError::Io(_) if words.first() != Some(&"ping") => {
            format!("[{error}] Unable to contact server. Is it running?")
        }
        _ => error.to_string(),
    }
}

/// The time in `ping SEC`, by the rules of Python's `float` and of its sockets.
fn patience(text: &str) -> Result<Patience, String> {
    let digits = text.trim();
    let underscored = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let number = match digits.replace('_', "").parse::<f64>() {
        Ok(number) if !underscored => number,
        _ => {
            let text = repr(&text.into());
            return Err(format!("could not convert string to float: {text}"));
        }
    };
    if number.is_nan() {
        Err("Invalid value NaN (not a number)".into())
    } else if number < 0.0 {
        Ok(Patience::Endless)
    } else if number == 0.0 {
        Ok(Patience::Zero)
    } else {
        Duration::try_from_secs_f64(number)
            .ok()
            .filter(|time| time.as_secs() < 1 << 33)
            .map(|time| Patience::Limited(time.max(Duration::from_micros(1))))
            .ok_or("timestamp too large to convert to C _PyTime_t".into())
    }
}

/// Whether the terminal's locale can show line-drawing characters.
fn charset() -> Charset {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    charset_of(locale.as_deref())
}

/// Python takes the locale `C`, and none, for UTF-8.
fn charset_of(locale: Option<&OsStr>) -> Charset {
    let Some(locale) = locale.filter(|name| !matches!(name.as_bytes(), b"C" | b"POSIX")) else {
        return Charset::Unicode;
    };
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Charset::Unicode
    } else {
        Charset::Ascii
    }
}

#[cfg(test)]
mod tests;
