//! A server in a folder of its own: its configuration, its log, and what its actions
//! wrote down.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use jiff::ZonedDateTime;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;

use crate::support::child::{Done, Running, command, run};
use crate::support::logging::append;
use crate::support::wait::{SOON, until};

const CLIENT: &str = env!("CARGO_BIN_EXE_fail2ban-client");
const SERVER: &str = env!("CARGO_BIN_EXE_fail2ban-server");

/// What the client says when a server has ended as it was told.
pub(crate) const STOPPED: &str = "Shutdown successful";

/// One jail on one file. Its action writes down what it is told; `@` is the folder.
const FILES: [(&str, &str); 6] = [
    (
        "conf/fail2ban.conf",
        "[Definition]\nloglevel = INFO\nlogtarget = @/server.log\nsyslogsocket = auto\n\
         socket = @/sock\npidfile = @/pid\ndbfile = @/db\ndbpurgeage = 1d\n\
         dbmaxmatches = 10\nallowipv6 = auto\n",
    ),
    (
        "conf/jail.conf",
        "[DEFAULT]\nbackend = polling\nusedns = no\nfindtime = 600\nbantime = 600\n\
         maxretry = 3\nignoreself = false\nfilter = wrong\naction = record\n\
         logpath = @/test.log\n[j1]\nenabled = true\n",
    ),
    (
        "conf/filter.d/wrong.conf",
        "[Definition]\nfailregex = ^\\s*host test: failed from <HOST>$\n",
    ),
    (
        "conf/action.d/record.conf",
        "[Definition]\nactionstart = echo '<name>: start' >>@/acts\n\
         actionstop = echo '<name>: stop' >>@/acts\n\
         actionban = echo '<name>: ban <ip> <restored>' >>@/acts\n\
         actionunban = echo '<name>: unban <ip>' >>@/acts\n[Init]\nname = default\n",
    ),
    (
        "conf/action.d/other.conf",
        "[Definition]\nactionstart = echo '<name>: other start' >>@/acts\n\
         actionstop = echo '<name>: other stop' >>@/acts\n\
         actionflush = echo '<name>: other flush' >>@/acts\n\
         actionban = echo '<name>: other ban <ip> <restored>' >>@/acts\n\
         actionunban = echo '<name>: other unban <ip>' >>@/acts\n[Init]\nname = default\n",
    ),
    ("test.log", ""),
];

/// A folder of its own for each test. Dropping it ends the server that still runs in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(TempDir::new().expect("the folder for temporary files is writable"));
        for (name, text) in FILES {
            home.write(name, text);
        }
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A text with this folder in place of `@`.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace('@', &self.0.path().display().to_string())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))
            .and_then(|()| fs::write(&path, self.filled(text)))
            .expect("the folder is ours");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file is there");
    }

    /// What a file has; nothing if it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Who may do what with a file.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        let found = fs::metadata(self.path(name)).expect("the file is there");
        found.permissions().mode() & 0o7777
    }

    /// The client with this folder's configuration.
    pub(crate) fn client_command(&self, words: &[&str]) -> Command {
        let mut client = command(CLIENT);
        client.arg("-c").arg(self.path("conf")).args(words);
        client
    }

    pub(crate) fn client(&self, words: &[&str]) -> Done {
        run(&mut self.client_command(words))
    }

    /// Runs the client and insists that it succeeds; what it printed, without the last
    /// newline.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let done = self.client(words);
        assert_eq!(
            (done.code, done.stderr.as_str()),
            (Some(0), ""),
            "{words:?}: {done:?}"
        );
        done.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs the client and insists that it is refused: what it prints, and what it says of
    /// the exception.
    pub(crate) fn must_refuse(&self, words: &[&str], printed: &str, told: &str) {
        let done = self.client(words);
        let [printed, told] = [printed, told].map(|text| self.filled(text));
        assert_eq!(done.code, Some(255), "{words:?}: {done:?}");
        assert_eq!(done.stdout.trim_end_matches('\n'), printed, "{words:?}");
        assert_eq!(lines(&done.stderr), [told], "{words:?}");
    }

    /// `fail2ban-server` with this folder's configuration. It ends with the thread that
    /// started it, however that ends.
    pub(crate) fn server_command(&self, words: &[&str]) -> Command {
        let mut server = command("setpriv");
        server.args(["--pdeathsig", "KILL", SERVER, "-c"]);
        server.arg(self.path("conf")).args(words);
        server
    }

    pub(crate) fn server(&self, words: &[&str]) -> Done {
        run(&mut self.server_command(words))
    }

    /// Starts a server in the background.
    pub(crate) fn start(&self) -> Background {
        assert_eq!(self.ask(&["start"]), "Server ready");
        self.background()
    }

    /// The server in the background.
    pub(crate) fn background(&self) -> Background {
        self.find().expect("a server of ours runs")
    }

    /// The same in the foreground, where `more` is options or nothing.
    pub(crate) fn foreground(&self, more: &[&str]) -> Running {
        self.await_ready(&mut self.server_command(&[&["-f"], more, &["start"]].concat()))
    }

    /// Starts a server in the foreground and returns when it has its configuration.
    pub(crate) fn await_ready(&self, command: &mut Command) -> Running {
        let mut server = Running::start(command);
        until(SOON, "the server is ready", || {
            assert!(server.runs(), "it has ended: {}", server.said());
            server.said().contains("Server ready\n")
        });
        server
    }

    /// The process that wrote the pid file, if it is a server that was started here.
    fn find(&self) -> Option<Background> {
        let pid: i32 = self.read("pid").trim().parse().ok()?;
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Looked at only now: from here on the number cannot become somebody else's.
        let started = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let started = String::from_utf8_lossy(&started).into_owned();
        started
            .contains(&*self.0.path().to_string_lossy())
            .then_some(Background { pid, process })
    }

    /// What the actions wrote down so far.
    pub(crate) fn acts(&self) -> Vec<String> {
        self.read("acts").lines().map(ToOwned::to_owned).collect()
    }

    /// Waits until the actions have written down exactly this since the last call.
    pub(crate) fn must_act(&self, expected: &[&str]) {
        until(SOON, &format!("the actions do {expected:?}"), || {
            let acts = self.acts();
            let begins = acts
                .iter()
                .zip(expected)
                .all(|(act, expected)| act == expected);
            assert!(
                begins && acts.len() <= expected.len(),
                "{acts:#?} and not {expected:#?}"
            );
            acts.len() == expected.len()
        });
        fs::remove_file(self.path("acts")).ok();
    }

    /// The log as `logger LEVEL text`.
    pub(crate) fn log(&self) -> Vec<String> {
        lines(&self.read("server.log"))
    }

    /// Waits for a line of the log, told as [`log`](Self::log) does.
    pub(crate) fn must_tell(&self, line: &str) {
        let line = self.filled(line);
        until(SOON, &format!("a line: {line}"), || {
            self.log().contains(&line)
        });
    }

    /// Lets addresses fail, one line each. The time of the lines, as the log tells it.
    pub(crate) fn fail(&self, addresses: &[&str]) -> String {
        let time = ZonedDateTime::now();
        let stamp = time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let line = |address| format!("{stamp} host test: failed from {address}\n");
        let text: String = addresses.iter().map(line).collect();
        append(self.path("test.log"), text);
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(server) = self.find() {
            // Fails only if it has just ended by itself.
            pidfd_send_signal(&server.process, Signal::KILL).ok();
            server.ends();
        }
        if std::thread::panicking() {
            let log = self.read("server.log");
            let lines: Vec<&str> = log.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(60)) {
                eprintln!("{}", line.chars().take(400).collect::<String>());
            }
        }
    }
}

/// A server that is nobody's child any more. It ends with its folder.
pub(crate) struct Background {
    pub(crate) pid: i32,
    process: OwnedFd,
}

impl Background {
    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.process, signal).expect("it runs and is ours");
    }

    /// Waits for its end.
    pub(crate) fn must_end(self) {
        assert!(self.ends(), "the server goes on: {}", self.pid);
    }

    /// A file of its folder in `/proc`.
    pub(crate) fn proc(&self, name: &str) -> String {
        let read = fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        read.expect("it runs").trim_end().to_owned()
    }

    fn ends(&self) -> bool {
        let mut ready = [PollFd::from_borrowed_fd(
            self.process.as_fd(),
            PollFlags::IN,
        )];
        let limit = Timespec::try_from(SOON).ok();
        poll(&mut ready, limit.as_ref()) == Ok(1)
    }
}

/// The same without who asked for what: how loud that is depends on who runs the tests.
pub(crate) fn told(text: &str) -> Vec<String> {
    let mut told = lines(text);
    told.retain(|line| !line.starts_with("ferroban.control "));
    told
}

/// Log lines without what differs each time: `logger LEVEL text`.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines().map(plain).collect()
}

/// `2026-11-23 02:18:43,337 fail2ban.jail           [19456]: INFO    text`
fn plain(line: &str) -> String {
    let parts = line.split_once('[').zip(line.split_once("]: "));
    let Some(((before, _), (_, after))) = parts else {
        return line.to_owned();
    };
    let logger = before.split_whitespace().nth(2).unwrap_or_default();
    let level = after.split(' ').next().unwrap_or_default();
    // One blank behind a level of seven letters, or what fills it up to that.
    let text = after.get(level.len().max(7) + 1..).unwrap_or_default();
    format!("{logger} {level} {text}")
}
