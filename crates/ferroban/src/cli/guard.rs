//! `ferroban guard`: the whole job on a bare machine.
//!
//! Chooses the places of files, which depend on who we are, and runs the daemon
//! in the foreground on the configuration inside the program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::cli::out;
use crate::daemon::{self, Loader, Plan, Watch};
use crate::log::{Level, Log, Target};
use crate::{load, report, sys};

/// What is wrong is told as `ferroban: …`, with this code.
const FAILED: u8 = 255;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The control socket
    #[arg(short, long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The pid file
    #[arg(short, long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// The database of bans, fail2ban's own SQLite file
    #[arg(short, long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// Where the log goes: STDOUT, STDERR or a file
    #[arg(long, value_name = "TARGET", default_value = "STDOUT")]
    logtarget: String,
    /// The least that is logged: DEBUG, INFO, NOTICE, WARNING, ERROR
    #[arg(long, value_name = "LEVEL", default_value = "INFO")]
    loglevel: String,
    /// Read this instead of what is found: a file, `journal`, or `journal:FOLDER`
    #[arg(short, long, value_name = "SOURCE")]
    watch: Option<String>,
    /// Change an option of a jail, as in --set sshd.bantime=1h
    #[arg(long = "set", value_name = "JAIL.OPTION=VALUE")]
    overrides: Vec<String>,
    /// Read this configuration folder of fail2ban instead of the one inside the
    /// program
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Decide and tell, but leave the firewall alone
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    match try_run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            out::error(&format!("ferroban: {text}"));
            ExitCode::from(FAILED)
        }
    }
}

fn try_run(arguments: Arguments) -> Result<(), String> {
    let level: Level = arguments.loglevel.parse()?;
    let target = Target::from(arguments.logtarget.as_str());
    let log = Log::open(&target, level).map_err(|error| {
        format!(
            "{}: the log cannot be opened; give another place with --logtarget: {error}",
            arguments.logtarget
        )
    })?;
    let load = loader(arguments.config.clone(), arguments.overrides);
    let (settings, problems) = (load.0)().map_err(|problems| problems.join("\n"))?;
    let places = Places::of_this_user();
    let dry = arguments.dry_run || !sys::is_root();
    let plan = Plan {
        settings,
        socket: arguments.socket.unwrap_or_else(|| places.socket()),
        pidfile: arguments
            .pidfile
            .unwrap_or_else(|| places.run.join("fail2ban.pid")),
        database: arguments
            .database
            .unwrap_or_else(|| places.state.join("fail2ban.sqlite3")),
        watch: arguments.watch.as_deref().map(watch),
        dry,
        load,
    };
    introduce(&plan, arguments.config.as_deref(), &log);
    for problem in problems {
        log.error("ferroban.guard", &format!("{problem}. Jail skipped"));
    }
    daemon::run(plan, &log).map_err(|error| {
        log.flush();
        report::chain(&error)
    })
}

/// How to read the configuration, now and at every reload. A reload wants all of
/// it to be right: then nothing is lost by a mistake.
fn loader(folder: Option<PathBuf>, overrides: Vec<String>) -> Loader {
    let told = |error: load::LoadError| vec![report::chain(&error)];
    Loader(Arc::new(move || match &folder {
        None => load::embedded(&overrides)
            .map(|settings| (settings, Vec::new()))
            .map_err(told),
        Some(folder) => {
            let (settings, problems) = load::folder(folder, &overrides).map_err(told)?;
            Ok((
                settings,
                problems
                    .iter()
                    .map(|problem| report::chain(problem))
                    .collect(),
            ))
        }
    }))
}

fn introduce(plan: &Plan, folder: Option<&Path>, log: &Log) {
    let say = |text: &str| log.info("ferroban.guard", text);
    say(&format!("Ferroban {}", env!("CARGO_PKG_VERSION")));
    match folder {
        Some(folder) => say(&format!("configuration: {}", folder.display())),
        None if Path::new("/etc/fail2ban/jail.conf").exists() => {
            say("configuration: embedded; /etc/fail2ban is there: --config /etc/fail2ban reads it");
        }
        None => say("configuration: embedded"),
    }
    let program = env::current_exe().unwrap_or_else(|_| "ferroban".into());
    if plan.dry && sys::is_root() {
        say("dry run: nobody is banned");
    } else if plan.dry {
        let text = format!(
            "dry run: nobody is banned, for want of root's rights; for real: sudo {} guard",
            program.display()
        );
        say(&text);
    }
    say(&format!(
        "ask it with: {} -s {} status sshd",
        client(&program).display(),
        plan.socket.display()
    ));
}

/// Our client beside this program, or the name of whichever is installed.
fn client(program: &Path) -> PathBuf {
    let beside = program.with_file_name("fail2ban-client");
    if beside.exists() {
        beside
    } else {
        "fail2ban-client".into()
    }
}

/// Where the daemon of this user listens unless told otherwise.
pub(super) fn default_socket() -> PathBuf {
    Places::of_this_user().socket()
}

/// The folders of our files.
#[derive(Debug, Eq, PartialEq)]
struct Places {
    run: PathBuf,
    state: PathBuf,
}

impl Places {
    fn of_this_user() -> Self {
        Self::new(sys::is_root(), |name| env::var_os(name).map(PathBuf::from))
    }

    fn socket(&self) -> PathBuf {
        self.run.join("fail2ban.sock")
    }

    /// fail2ban's own for root; for everybody else those that the XDG base
    /// directory specification names.
    fn new(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if root {
            return Self {
                run: "/var/run/fail2ban".into(),
                state: "/var/lib/fail2ban".into(),
            };
        }
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = absolute("HOME").unwrap_or_else(|| env::temp_dir().join("ferroban-home"));
        let state = absolute("XDG_STATE_HOME")
            .unwrap_or_else(|| home.join(".local/state"))
            .join("ferroban");
        let run = absolute("XDG_RUNTIME_DIR")
            .map_or_else(|| state.join("run"), |run| run.join("ferroban"));
        Self { run, state }
    }
}

fn watch(text: &str) -> Watch {
    match text.split_once(':') {
        _ if text == "journal" => Watch::Journal(None),
        Some(("journal", folder)) => Watch::Journal(Some(folder.into())),
        _ => Watch::File(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_uses_fail2bans_places_and_others_their_own() {
        let set = |name: &str| match name {
            "HOME" => Some("/home/ann".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/1000".into()),
            _ => None,
        };
        let root = Places {
            run: "/var/run/fail2ban".into(),
            state: "/var/lib/fail2ban".into(),
        };
        assert_eq!(Places::new(true, set), root);
        let ann = Places {
            run: "/run/user/1000/ferroban".into(),
            state: "/home/ann/.local/state/ferroban".into(),
        };
        assert_eq!(Places::new(false, set), ann);
        let bare = Places::new(false, |name| (name == "HOME").then(|| "/home/ann".into()));
        assert_eq!(
            bare.run,
            PathBuf::from("/home/ann/.local/state/ferroban/run")
        );
    }

    #[test]
    fn sources_by_hand_are_files_or_the_journal() {
        assert_eq!(watch("/var/log/a:b"), Watch::File("/var/log/a:b".into()));
        assert_eq!(watch("journal"), Watch::Journal(None));
        assert_eq!(watch("journal:/x"), Watch::Journal(Some("/x".into())));
    }
}
