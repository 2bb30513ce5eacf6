//! Running a shell command with a limit of time.
//!
//! The command gets a process group of its own, so that it can be ended with all that
//! it started. What it writes is kept up to a bound and read beyond it, so that it
//! never waits for us. A program that it leaves behind in the background goes on, and
//! we do not wait for it.
//!
//! A session of its own, as the original has, would need code that runs between `fork`
//! and `exec`, which is not safe in a program with threads. The group does the same
//! for signals, and the command's standard input is `/dev/null` in any case.

mod groups;
mod tell;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ferroban_config::quoted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::clock;
use groups::Groups;

pub(crate) use tell::{Whose, tell};

/// How much of each output is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// How long a command that is told to end may take before it is made to.
pub(super) const POLITE: Duration = Duration::from_millis(200);
/// How long output is still read after the command itself has ended. What it wrote is
/// in the pipes already; only what it left in the background can add to it.
const GRACE: Duration = Duration::from_millis(50);
/// How many commands that go on in the background have their output read. What is
/// beyond loses its readers, as at the end of a terminal, and the log says so.
const MOST_LEFT: usize = 64;
/// What systemd tells us and nobody else: a command that believed it was meant could
/// report that we are ready, or keep our watchdog quiet.
const OURS_ALONE: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];
/// How much of an argument is shown, in bytes.
const SHOWN: usize = 2000;

/// The commands that run now.
pub(super) static RUNNING: Groups = Groups::new();

/// What `sh -c` is given: a text, and the arguments that it calls `$0`, `$1`, and so on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) args: Vec<String>,
}

impl Script {
    /// As log lines show it.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        if self.args.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let args = self.args.iter().map(|arg| cut(arg));
        let words: Vec<String> = std::iter::once(quoted(&self.text)).chain(args).collect();
        format!("[{}]", words.join(", ")).into()
    }

    /// The same where it stands in a sentence.
    fn quoted(&self) -> Cow<'_, str> {
        if self.args.is_empty() {
            quoted(&self.text).into()
        } else {
            self.shown()
        }
    }
}

/// A text in quotes, with its beginning alone if it would be long. What strangers wrote
/// grows to four times its length there.
fn cut(text: &str) -> String {
    let mut room = SHOWN;
    let end = text.char_indices().find(|(_, c)| {
        let length = quoted(c.encode_utf8(&mut [0; 4])).len() - 2;
        let fits = length <= room;
        room = room.saturating_sub(length);
        !fits
    });
    match end.and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => format!("{}…", quoted(beginning)),
        None => quoted(text),
    }
}

impl From<&str> for Script {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            args: Vec::new(),
        }
    }
}

/// How a command went.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Run {
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    /// The limit, if it was reached.
    pub(crate) timed_out: Option<Duration>,
    /// The process id of the shell.
    pub(crate) pid: u32,
    /// It left something in the background whose output nobody will read.
    pub(crate) given_up: bool,
    /// Nothing if it could not even be killed.
    status: Option<ExitStatus>,
}

impl Run {
    /// The exit code, or a signal as a negative number; nothing if it goes on.
    pub(crate) fn code(&self) -> Option<i32> {
        let status = self.status?;
        let signal = || status.signal().map(|signal| -signal);
        status.code().or_else(signal)
    }

    /// Exit code 0, and nothing else.
    pub(crate) fn is_success(&self) -> bool {
        self.code() == Some(0)
    }
}

/// What a command wrote.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes were not kept.
    pub(crate) lost: u64,
}

/// Runs a command. An error means that it could not be started. Its `turn` is over when
/// it has ended, though its last output is still read.
pub(crate) fn run<T>(script: &Script, limit: Duration, turn: T) -> io::Result<Run> {
    run_among(&RUNNING, script, limit, turn)
}

/// The same for somebody who wants to know what it writes: of its standard output so many
/// bytes are kept.
pub(crate) fn read(script: &Script, limit: Duration, most: usize) -> io::Result<Run> {
    let mut watch = Watch::start(&RUNNING, script)?;
    watch.pipes[0].keep = most;
    watch.run(limit, ())
}

fn run_among<T>(
    groups: &'static Groups,
    script: &Script,
    limit: Duration,
    turn: T,
) -> io::Result<Run> {
    Watch::start(groups, script)?.run(limit, turn)
}
/// Ends whatever runs, with all that it started, without asking. As long as what is
/// returned lives, no other command starts: for whoever ends the process.
#[must_use]
pub(crate) fn end_all() -> impl Drop {
    RUNNING.end_all()
}

fn after(time: Duration) -> Option<Instant> {
    clock::tick().checked_add(time)
}

fn command(script: &Script) -> Command {
    let mut command = alone("/bin/sh");
    command
        .arg("-c")
        .arg(&script.text)
        .args(&script.args)
        .stdin(Stdio::null());
    command
}

/// A program in a group of its own, which is listened to and learns nothing that is ours
/// alone.
#[expect(clippy::disallowed_methods, reason = "children start here")]
pub(super) fn alone(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
}

/// A command that is under way.
struct Watch {
    child: Child,
    group: Pid,
    /// Where the group is listed until it has been signalled for the last time.
    groups: &'static Groups,
    /// Readable from the end of the shell on; `None` when that was seen. The shell is
    /// not reaped before its group was signalled for the last time, so that the number
    /// of the group is not given to somebody else.
    end: Option<OwnedFd>,
    /// Its standard output and error.
    pipes: [Pipe; 2],
}

/// The near end of an output.
struct Pipe {
    /// `None` when nobody writes any more.
    file: Option<File>,
    output: Output,
    keep: usize,
}

impl Watch {
    fn start(groups: &'static Groups, script: &Script) -> io::Result<Self> {
        let mut list = groups.list();
        let mut child = command(script).spawn()?;
        let group = Pid::from_child(&child);
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        let end = end_of(group).inspect_err(|_| {
            // Without it the command could not be stopped: not at all, rather.
            kill_process_group(group, Signal::KILL).ok();
            child.wait().ok();
        })?;
        list.push(group);
        drop(list);
        Ok(Self {
            child,
            group,
            groups,
            end: Some(end),
            pipes: [Pipe::new(stdout), Pipe::new(stderr)],
        })
    }

    /// Sees it through.
    fn run<T>(mut self, limit: Duration, turn: T) -> io::Result<Run> {
        // A limit past the end of the clock is none.
        let deadline = clock::tick().checked_add(limit);
        let in_time = self.until(deadline, Self::has_ended);
        if !in_time {
            self.kill();
        }
        drop(turn);
        if self.has_ended() {
            self.until(after(GRACE), Self::is_silent);
        }
        let mut run = self.finish()?;
        run.timed_out = (!in_time).then_some(limit);
        Ok(run)
    }

    fn has_ended(&self) -> bool {
        self.end.is_none()
    }

    /// Whether nobody is left who could write.
    fn is_silent(&self) -> bool {
        self.pipes.iter().all(|pipe| pipe.file.is_none())
    }

    /// Reads until something is so. False if it is not by the deadline.
    fn until(&mut self, deadline: Option<Instant>, so: impl Fn(&Self) -> bool) -> bool {
        while !so(self) {
            let left = deadline.map(|at| at.saturating_duration_since(clock::tick()));
            // What is there already is taken even when there is no time left.
            if !self.step(left) || left == Some(Duration::ZERO) {
                return so(self);
            }
        }
        true
    }

    /// Waits for one thing to happen, and takes note of it. False if nothing did.
    fn step(&mut self, time: Option<Duration>) -> bool {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let fds: [Option<BorrowedFd<'_>>; 3] = [
            self.end.as_ref().map(AsFd::as_fd),
            self.pipes[0].file.as_ref().map(AsFd::as_fd),
            self.pipes[1].file.as_ref().map(AsFd::as_fd),
        ];
        let open = fds.into_iter().flatten();
        let mut polled: Vec<PollFd<'_>> = open
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, time.as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => return true,
            // Nothing can be learned from it any more.
            Err(_) => return false,
            Ok(_) => {}
        }
        let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
        let ready = fds.map(|fd| fd.is_some() && ready.next().unwrap_or(false));
        if ready[0] {
            self.end = None;
        }
        for (pipe, _) in self.pipes.iter_mut().zip(&ready[1..]).filter(|(_, r)| **r) {
            pipe.read();
        }
        true
    }

    /// Ends the command and what it started.
    fn kill(&mut self) {
        // A group without members is what we want.
        kill_process_group(self.group, Signal::TERM).ok();
        self.until(after(POLITE), |watch| {
            watch.has_ended() && watch.is_silent()
        });
        kill_process_group(self.group, Signal::KILL).ok();
        self.until(after(POLITE), Self::has_ended);
    }

    fn finish(mut self) -> io::Result<Run> {
        self.groups.remove(self.group);
        let status = match self.end {
            None => Some(self.child.wait()?),
            Some(_) => None,
        };
        let [stdout, stderr] = self
            .pipes
            .each_mut()
            .map(|pipe| std::mem::take(&mut pipe.output));
        let mut run = Run {
            stdout,
            stderr,
            pid: self.child.id(),
            status,
            ..Run::default()
        };
        if status.is_none() || !self.is_silent() {
            run.given_up = !self.leave();
        }
        Ok(run)
    }

    /// Goes on reading what nobody wants to know, so that programs in the background
    /// neither block nor are killed for writing; and reaps the shell one day. False if
    /// there are too many of them.
    fn leave(mut self) -> bool {
        static LEFT: AtomicUsize = AtomicUsize::new(0);
        if LEFT.fetch_add(1, Ordering::Relaxed) < MOST_LEFT {
            for pipe in &mut self.pipes {
                pipe.keep = 0;
            }
            let go_on = move || {
                self.until(None, |watch| watch.has_ended() && watch.is_silent());
                // Only its entry in the table of processes is waited for.
                self.child.wait().ok();
                LEFT.fetch_sub(1, Ordering::Relaxed);
            };
            let thread = thread::Builder::new().name("f2b/leftover".into());
            if thread.spawn(go_on).is_ok() {
                return true;
            }
        }
        LEFT.fetch_sub(1, Ordering::Relaxed);
        false
    }
}

impl Pipe {
    fn new(fd: Option<OwnedFd>) -> Self {
        Self {
            file: fd.map(File::from),
            output: Output::default(),
            keep: KEPT,
        }
    }

    /// Takes what is there.
    fn read(&mut self) {
        let Some(file) = &mut self.file else { return };
        let mut buffer = [0; 16 * 1024];
        match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.file = None,
            Ok(count) => {
                let read = buffer.get(..count).unwrap_or_default();
                let room = self.keep.saturating_sub(self.output.bytes.len());
                let (kept, lost) = read.split_at(room.min(count));
                self.output.bytes.extend_from_slice(kept);
                self.output.lost += lost.len() as u64;
            }
        }
    }
}

/// Something that can be polled for the end of our child.
pub(super) fn end_of(child: Pid) -> io::Result<OwnedFd> {
    // Linux before 5.3 has none, and a sandbox may forbid it.
    pidfd_open(child, PidfdFlags::empty()).or_else(|_| end_told(child))
}

/// The same with a thread that waits.
fn end_told(child: Pid) -> io::Result<OwnedFd> {
    let (reader, writer) = io::pipe()?;
    let wait = move || {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(child), ended), Err(Errno::INTR)) {}
        drop(writer);
    };
    thread::Builder::new().name("f2b/wait".into()).spawn(wait)?;
    Ok(reader.into())
}

#[cfg(test)]
mod tests;
