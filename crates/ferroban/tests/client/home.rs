//! A folder with a configuration and the programs, and running them there.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

pub(crate) const PROMPT: &str = "fail2ban> ";

const FILES: [(&str, &str); 4] = [
    (
        "conf/fail2ban.conf",
        "[Definition]\nloglevel = INFO\nlogtarget = @LOG@\nsyslogsocket = auto\n\
         socket = @SOCKET@\npidfile = @PID@\ndbfile = None\n",
    ),
    (
        "conf/jail.conf",
        "[DEFAULT]\nbackend = polling\nfilter = f\nlogpath = @CONF@/jail.conf\naction = a\n\
         [j1]\nenabled = true\n[off]\nenabled = false\n",
    ),
    (
        "conf/filter.d/f.conf",
        "[Definition]\nfailregex = from <HOST>$\n",
    ),
    ("conf/action.d/a.conf", "[Definition]\nactionban = true\n"),
];

/// A folder of its own for each test.
pub(crate) struct Home(TempDir);

/// What a program that has ended said.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    places: Vec<(&'static str, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for (name, content) in FILES {
            home.write(name, &home.filled(content));
        }
        let client = home.path("fail2ban-client");
        // The temporary folder may be on another file system.
        let own = env!("CARGO_BIN_EXE_fail2ban-client");
        if fs::hard_link(own, &client).is_err() {
            fs::copy(own, &client).unwrap();
        }
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("f2b.sock")
    }

    /// Where a played server waits to be started.
    pub(crate) fn hidden_socket(&self) -> PathBuf {
        self.path("hidden.sock")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn places(&self) -> Vec<(&'static str, String)> {
        let place = |mark, name| (mark, self.path(name).display().to_string());
        vec![
            place("@SOCKET@", "f2b.sock"),
            place("@PID@", "f2b.pid"),
            place("@LOG@", "f2b.log"),
            place("@CONF@", "conf"),
        ]
    }

    /// A text with the places of this home.
    pub(crate) fn filled(&self, text: &str) -> String {
        fill(&self.places(), text)
    }

    /// What the client starts: a shell script in place of a server.
    pub(crate) fn server_script(&self, script: &str) {
        let path = self.write("fail2ban-server", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What the client starts lets the played server appear.
    pub(crate) fn server_appears(&self) {
        let script = format!(
            "echo \"$@\" >{}\n/bin/mv {} {}",
            self.path("args").display(),
            self.hidden_socket().display(),
            self.socket().display()
        );
        self.server_script(&script);
    }

    /// How the server was started.
    pub(crate) fn server_args(&self) -> String {
        fs::read_to_string(self.path("args")).unwrap()
    }

    pub(crate) fn no_server(&self) {
        fs::remove_file(self.path("fail2ban-server")).unwrap();
    }

    pub(crate) fn client(&self, words: &str) -> Done {
        self.client_with(words, "")
    }

    pub(crate) fn client_with(&self, words: &str, input: &str) -> Done {
        self.run(&self.path("fail2ban-client"), words, input)
    }

    pub(crate) fn server(&self, words: &str) -> Done {
        self.server_with(words, "")
    }

    pub(crate) fn server_with(&self, words: &str, input: &str) -> Done {
        let own = Path::new(env!("CARGO_BIN_EXE_fail2ban-server"));
        self.run(own, words, input)
    }

    pub(crate) fn start_client(&self, words: &str) -> Running {
        self.start(&self.path("fail2ban-client"), words, Stdio::null())
    }

    fn run(&self, program: &Path, words: &str, input: &str) -> Done {
        let file = self.write("input", input);
        let input = File::open(file).unwrap();
        self.start(program, words, input.into()).finish()
    }

    fn start(&self, program: &Path, words: &str, input: Stdio) -> Running {
        let child = self
            .command(program, words)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            child: Some(child),
            places: self.places(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the tests start the real programs"
    )]
    fn command(&self, program: &Path, words: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.path("conf"));
        // Nobody else's server shall be found.
        command
            .args(words.split_whitespace())
            .env("PATH", "/nowhere");
        command
    }

    /// The client at a terminal.
    pub(crate) fn terminal(&self, words: &str) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let share = || Stdio::from(slave.try_clone().unwrap());
        let child = self
            .command(&self.path("fail2ban-client"), words)
            .env("TERM", "xterm")
            .stdin(share())
            .stdout(share())
            .stderr(share())
            .spawn()
            .unwrap();
        Terminal {
            master: master.into(),
            shown: String::new(),
            child,
        }
    }
}

/// A program that runs; dropping this kills it.
pub(crate) struct Running {
    child: Option<Child>,
    places: Vec<(&'static str, String)>,
}

impl Running {
    pub(crate) fn terminate(self) -> Done {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        self.finish()
    }

    fn finish(mut self) -> Done {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            places: self.places.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Done {
    /// Insists on everything it said. Lines of standard error are without time and
    /// process: `logger LEVEL text`.
    pub(crate) fn must_be(&self, code: i32, stdout: &str, stderr: &[&str]) {
        self.must_print(code, stdout);
        let told: Vec<String> = self.stderr.lines().map(plain).collect();
        let expected: Vec<String> = stderr.iter().map(|line| fill(&self.places, line)).collect();
        assert_eq!(told, expected, "{self:?}");
    }

    /// Insists on its code and its standard output.
    pub(crate) fn must_print(&self, code: i32, stdout: &str) {
        let expected = (Some(code), fill(&self.places, stdout));
        assert_eq!((self.code, self.stdout.clone()), expected, "{self:?}");
    }
}

fn fill(places: &[(&'static str, String)], text: &str) -> String {
    places.iter().fold(text.to_owned(), |text, (mark, path)| {
        text.replace(mark, path)
    })
}

/// `2026-11-23 02:18:43,337 fail2ban                [19456]: ERROR   text` without what
/// differs each time.
fn plain(line: &str) -> String {
    let parts = line.split_once('[').zip(line.split_once("]: "));
    let Some(((before, _), (_, after))) = parts else {
        return line.to_owned();
    };
    let logger = before.split_whitespace().nth(2).unwrap_or_default();
    let (level, text) = after.split_once(' ').unwrap_or_default();
    let spaces = 7_usize.saturating_sub(level.len());
    let text = text.get(spaces..).unwrap_or(text);
    format!("{logger} {level} {text}")
}

/// A line of `-vvv` without the time and the thread.
pub(crate) fn said(line: &str) -> &str {
    line.get(21..).unwrap_or(line)
}

fn contains_all(text: &str, parts: &[&str]) -> bool {
    let mut rest = Some(text);
    for part in parts {
        rest = rest
            .and_then(|rest| rest.split_once(part))
            .map(|(_, rest)| rest);
    }
    rest.is_some()
}

/// A program at a terminal; dropping this kills it.
pub(crate) struct Terminal {
    master: File,
    shown: String,
    child: Child,
}

impl Terminal {
    pub(crate) fn press(&mut self, keys: &str) {
        self.shown.clear();
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until these texts were shown in this order since the last key. A prompt
    /// alone may be one that is drawn again while a line is edited.
    pub(crate) fn wait_for(&mut self, texts: &[&str]) {
        while !contains_all(&self.shown, texts) {
            assert!(self.read(), "it has ended: {}", self.shown);
        }
    }

    /// Waits for the end; what was shown since the last key.
    pub(crate) fn end(mut self, code: i32) -> String {
        while self.read() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(code));
        std::mem::take(&mut self.shown)
    }

    /// Whether there is more to come. The end of a terminal is an error.
    fn read(&mut self) -> bool {
        let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let count = poll(&mut ready, Some(&limit)).unwrap();
        assert_eq!(count, 1, "nothing is shown behind: {}", self.shown);
        let mut portion = [0; 4096];
        match self.master.read(&mut portion) {
            Ok(count) if count > 0 => {
                self.shown += &String::from_utf8_lossy(&portion[..count]);
                true
            }
            _ => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
