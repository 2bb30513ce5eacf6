//! The daemon under test, and both clients that talk to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::child::{Done, Running, command, run};
use super::wait::{SOON, until};
use super::world::{DIR, World};

/// The program under test.
pub(crate) const FERROBAN: &str = env!("CARGO_BIN_EXE_ferroban");
/// Its client.
pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_fail2ban-client");
/// The original's client, in Python.
pub(crate) const DEBIANS: &str = "/usr/bin/fail2ban-client";

/// How a daemon is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    wrapper: Vec<String>,
    arguments: Vec<String>,
    database: PathBuf,
}

/// A running daemon; dropping it kills it.
pub(crate) struct Guard {
    running: Running,
    setup: Setup,
}

impl Setup {
    /// The daemon on its usual files in the world's folder.
    pub(crate) fn new() -> Self {
        let database = PathBuf::from(format!("{DIR}/ferroban.sqlite3"));
        Self {
            wrapper: Vec::new(),
            arguments: Vec::new(),
            database,
        }
    }

    /// Reads `source`: a file, or `journal`.
    pub(crate) fn watch(self, source: &str) -> Self {
        self.with(["--watch", source])
    }

    /// Sets an option of a jail, as `sshd.bantime=8s`.
    pub(crate) fn set(self, option: &str) -> Self {
        self.with(["--set", option])
    }

    /// Reads a configuration folder.
    pub(crate) fn config(self, folder: &Path) -> Self {
        let folder = folder.display().to_string();
        self.with(["--config", &folder])
    }

    /// Decides, and leaves the kernel alone.
    pub(crate) fn dry_run(self) -> Self {
        self.with(["--dry-run"])
    }

    /// Keeps its database elsewhere.
    pub(crate) fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = path.into();
        self
    }

    /// The file of its database.
    pub(crate) fn database_file(&self) -> &Path {
        &self.database
    }

    /// Takes the capabilities from the daemon, as `-net_admin`. Its user stays root.
    pub(crate) fn without(mut self, capabilities: &str) -> Self {
        let words = [
            "setpriv",
            "--inh-caps",
            capabilities,
            "--bounding-set",
            capabilities,
        ];
        self.wrapper = words.map(ToOwned::to_owned).to_vec();
        self
    }

    fn with<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.arguments.extend(words.map(ToOwned::to_owned));
        self
    }

    /// Starts the daemon and returns at once.
    pub(crate) fn launch(&self, world: &World) -> Guard {
        fs::create_dir_all(world.path("cwd")).expect("the world's folder is writable");
        let running = Running::start(self.command().current_dir(world.path("cwd")));
        Guard {
            running,
            setup: self.clone(),
        }
    }

    /// Starts the daemon and returns when its jail is at work.
    pub(crate) fn start(&self, world: &World) -> Guard {
        let before = log().matches(STARTED).count();
        let mut guard = self.launch(world);
        until(SOON, "the jail starts", || {
            assert!(guard.runs(), "the daemon ended: {}", guard.running.said());
            log().matches(STARTED).count() > before
        });
        guard
    }

    fn command(&self) -> Command {
        let mut words = self.wrapper.iter().map(String::as_str).chain([FERROBAN]);
        let mut command = command(words.next().unwrap_or(FERROBAN));
        command.args(words).arg("guard");
        command
            .arg("--socket")
            .arg(SOCKET)
            .arg("--pidfile")
            .arg(PIDFILE);
        command
            .arg("--database")
            .arg(&self.database)
            .arg("--logtarget")
            .arg(LOG);
        command.args(["--loglevel", "INFO"]).args(&self.arguments);
        command
    }
}

/// Where all daemons of a world have their files.
pub(crate) const SOCKET: &str = "/run/e2e/ferroban.sock";
pub(crate) const PIDFILE: &str = "/run/e2e/ferroban.pid";
pub(crate) const LOG: &str = "/run/e2e/ferroban.log";

/// The line that says the jail is at work.
const STARTED: &str = "Jail 'sshd' started";

impl Guard {
    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.running.runs()
    }

    /// Kills it without a chance to clean up. Returns how to start it again.
    pub(crate) fn kill(self) -> Setup {
        let Self { running, setup } = self;
        running.signal(Signal::KILL);
        setup
    }

    /// Asks it to end, as systemd does.
    pub(crate) fn terminate(self) -> Done {
        self.running.signal(Signal::TERM);
        self.finish()
    }

    /// Waits for it to end.
    pub(crate) fn finish(self) -> Done {
        self.running.finish(SOON)
    }

    /// Insists that it runs, answers and still counts: `ip` fails twice in the log at
    /// `path` and is found twice.
    pub(crate) fn must_be_well(&mut self, path: &str, ip: &str) {
        for process in [9001, 9002] {
            super::logging::append(path, super::logging::wrong_password(process, "root", ip));
        }
        self.must_find(ip, 2);
        assert!(self.runs(), "the daemon ended: {}", self.running.said());
        assert_eq!(client(OURS, &["ping"]).stdout, "Server replied: pong\n");
    }

    /// Waits until `ip` was found so many times, and insists on no more.
    pub(crate) fn must_find(&mut self, ip: &str, times: usize) {
        until(SOON, &format!("{ip} is found {times} times"), || {
            assert!(self.runs(), "the daemon ended: {}", self.running.said());
            found(ip) >= times
        });
        assert_eq!(found(ip), times, "counted too often: {ip}");
    }

    /// The lines it wrote, to its log or elsewhere, that contain all of `words`.
    pub(crate) fn told(&self, words: &[&str]) -> Vec<String> {
        lines(&(log() + &self.running.said()), words)
    }

    /// Waits for a line that contains all of `words`, and insists that it is alone.
    pub(crate) fn must_tell_once(&mut self, words: &[&str]) -> String {
        until(SOON, &format!("a line with {words:?}"), || {
            assert!(self.runs(), "the daemon ended: {}", self.running.said());
            !self.told(words).is_empty()
        });
        let told = self.told(words);
        assert_eq!(
            told.len(),
            1,
            "more than one line with {words:?}: {told:#?}"
        );
        told.concat()
    }
}

/// Runs a client against the daemon.
pub(crate) fn client(program: &str, words: &[&str]) -> Done {
    client_on(program, SOCKET, words)
}

/// Runs a client against the server on `socket`.
pub(crate) fn client_on(program: &str, socket: &str, words: &[&str]) -> Done {
    run(command(program).args(["-s", socket]).args(words))
}

/// Runs our client and insists that it succeeds; what it printed, without the last newline.
pub(crate) fn ask(words: &[&str]) -> String {
    let done = client(OURS, words);
    assert_eq!(done.code, Some(0), "{words:?}: {done:?}");
    done.stdout.trim_end_matches('\n').to_owned()
}

/// The addresses in the last line of `status sshd`.
pub(crate) fn banned_in_status() -> Vec<String> {
    let status = ask(&["status", "sshd"]);
    let line = status
        .lines()
        .find_map(|line| line.split_once("Banned IP list:\t"));
    let (_label, list) = line.unwrap_or_else(|| panic!("no list of banned addresses: {status}"));
    list.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The whole log; empty when there is none yet.
pub(crate) fn log() -> String {
    fs::read(LOG)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// How often the log says that `ip` was found.
pub(crate) fn found(ip: &str) -> usize {
    log().matches(&format!("[sshd] Found {ip} - ")).count()
}

/// Whether the log says that `ip` was `verb`ed: `Ban`, `Unban`, `Restore Ban`.
pub(crate) fn logged(verb: &str, ip: &str) -> bool {
    let end = format!("[sshd] {verb} {ip}");
    log().lines().any(|line| line.ends_with(&end))
}

/// The lines of `text` that contain all of `words`, whatever their case.
pub(crate) fn lines(text: &str, words: &[&str]) -> Vec<String> {
    let has = |line: &str| {
        let line = line.to_lowercase();
        words.iter().all(|word| line.contains(&word.to_lowercase()))
    };
    text.lines()
        .filter(|line| has(line))
        .map(ToOwned::to_owned)
        .collect()
}
