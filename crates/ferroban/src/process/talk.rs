//! A program that stays and is talked with, line by line.
//!
//! It has a process group of its own. A thread reads what it writes: lines of its
//! standard output that somebody waits for are kept for him, everything else is given to
//! whoever listens, at once. What we write never waits longer than it may.

use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use super::script::{POLITE, RUNNING, alone, end_of};
use crate::clock;

/// The longest line of its standard output, in bytes.
const MOST_LINE: usize = 4 << 20;
/// A longer line of its standard error comes in pieces.
const MOST_ERROR: usize = 8 << 10;
/// How many lines wait for whoever asked.
const MOST_WAITING: usize = 16;
/// How often is read what is left when it has ended.
const LAST_READS: usize = 64;

/// Where a line comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Stdout,
    Stderr,
}

/// Who listens to all lines, in a thread of its own. Says whether the line is dealt with;
/// a line of the standard output that is not is kept for whoever waits.
pub(crate) type Listener = Box<dyn FnMut(Side, &str) -> bool + Send>;

/// Why the talk is over.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It did not answer, or did not read, in time.
    TimedOut,
    /// It is gone.
    Ended,
    /// It writes a line without an end.
    TooLong,
    /// It cannot be written to.
    Io(io::Error),
}

enum Heard {
    Line(String),
    TooLong,
}

/// A program that is talked with. Dropping this ends it, with all that it started.
pub(crate) struct Talk {
    child: Child,
    group: Pid,
    /// Readable from its end on.
    end: OwnedFd,
    stdin: Option<File>,
    heard: Option<Receiver<Heard>>,
    /// Has the reader end when it is dropped.
    quit: Option<PipeWriter>,
    is_over: bool,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk")
            .field("child", &self.child.id())
            .finish_non_exhaustive()
    }
}

impl Talk {
    /// Starts a program. `name` is that of the thread that reads.
    pub(crate) fn start(
        program: &str,
        args: &[&str],
        name: String,
        listener: Listener,
    ) -> io::Result<Self> {
        let (quitting, quit) = io::pipe()?;
        let mut list = RUNNING.list();
        let mut child = alone(program).args(args).stdin(Stdio::piped()).spawn()?;
        let group = Pid::from_child(&child);
        let prepared = prepare(&mut child, group);
        let (stdin, end, [stdout, stderr]) = prepared.inspect_err(|_| {
            kill_process_group(group, Signal::KILL).ok();
            child.wait().ok();
        })?;
        list.push(group);
        drop(list);
        let (to, heard) = sync_channel(MOST_WAITING);
        let mut talk = Self {
            child,
            group,
            end,
            stdin: Some(stdin),
            heard: Some(heard),
            quit: Some(quit),
            is_over: false,
        };
        let reader = Reader {
            stdout: Lines::new(stdout),
            stderr: Lines::new(stderr),
            end: talk.end.try_clone()?,
            quit: quitting,
            to,
            listener,
        };
        let thread = thread::Builder::new().name(name);
        if let Err(error) = thread.spawn(move || reader.run()) {
            talk.kill();
            return Err(error);
        }
        Ok(talk)
    }

    /// Writes a line.
    pub(crate) fn say(&mut self, line: &str, deadline: Instant) -> Result<(), Broken> {
        let mut bytes = line.as_bytes().to_vec();
        bytes.push(b'\n');
        let mut rest = bytes.as_slice();
        let Some(stdin) = &mut self.stdin else {
            return Err(Broken::Ended);
        };
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::BrokenPipe => return Err(Broken::Ended),
                    io::ErrorKind::WouldBlock => {
                        let left = deadline.saturating_duration_since(clock::tick());
                        if left.is_zero() {
                            return Err(Broken::TimedOut);
                        }
                        wait_for(stdin.as_fd(), PollFlags::OUT, left);
                    }
                    _ => return Err(Broken::Io(error)),
                },
            }
        }
        Ok(())
    }

    /// Waits for a line that nobody else took.
    pub(crate) fn hear(&self, deadline: Instant) -> Result<String, Broken> {
        let left = deadline.saturating_duration_since(clock::tick());
        let heard = self.heard.as_ref().map(|heard| heard.recv_timeout(left));
        match heard {
            Some(Ok(Heard::Line(line))) => Ok(line),
            Some(Ok(Heard::TooLong)) => Err(Broken::TooLong),
            Some(Err(RecvTimeoutError::Timeout)) => Err(Broken::TimedOut),
            Some(Err(RecvTimeoutError::Disconnected)) | None => Err(Broken::Ended),
        }
    }

    /// Whether it has ended. What it said before and nobody waited for is dropped.
    pub(crate) fn has_ended(&self) -> bool {
        let Some(heard) = &self.heard else {
            return true;
        };
        loop {
            match heard.try_recv() {
                Ok(_) => {}
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// Has it end: it reads the end of its input, and is made to if it does not heed it.
    pub(crate) fn finish(mut self) {
        self.stdin = None;
        wait_for(self.end.as_fd(), PollFlags::IN, POLITE);
        self.kill();
    }

    /// Ends it with all that it started, politely first. Says how it ended, unless it
    /// could not be ended.
    pub(crate) fn kill(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        self.stdin = None;
        // The reader may wait for somebody to listen.
        self.heard = None;
        // A group without members is what we want.
        kill_process_group(self.group, Signal::TERM).ok();
        wait_for(self.end.as_fd(), PollFlags::IN, POLITE);
        kill_process_group(self.group, Signal::KILL).ok();
        let has_ended = wait_for(self.end.as_fd(), PollFlags::IN, POLITE);
        RUNNING.remove(self.group);
        self.quit = None;
        if !has_ended {
            return None;
        }
        self.child.wait().ok().map(how)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a program ended.
fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// The near ends of its pipes, and something that is readable from its end on.
fn prepare(child: &mut Child, group: Pid) -> io::Result<(File, OwnedFd, [File; 2])> {
    let missing = || io::Error::other("a pipe is missing");
    let stdin = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
    let stdout = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
    let stderr = OwnedFd::from(child.stderr.take().ok_or_else(missing)?);
    let flags = fcntl_getfl(&stdin)?;
    fcntl_setfl(&stdin, flags | OFlags::NONBLOCK)?;
    Ok((
        stdin.into(),
        end_of(group)?,
        [File::from(stdout), File::from(stderr)],
    ))
}

/// Waits until something can be done. False if it cannot after that time.
fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, time: Duration) -> bool {
    let deadline = clock::tick() + time;
    loop {
        let left = deadline.saturating_duration_since(clock::tick());
        let time = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], time.as_ref()) {
            Ok(count) => return count > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Reads what the program writes.
struct Reader {
    stdout: Lines,
    stderr: Lines,
    end: OwnedFd,
    quit: PipeReader,
    to: SyncSender<Heard>,
    listener: Listener,
}

impl Reader {
    fn run(mut self) {
        loop {
            match self.step(None) {
                Some(true) => {}
                // What was written before the end is in the pipes.
                Some(false) => {
                    for _ in 0..LAST_READS {
                        if self.step(Some(Timespec::default())).is_none() {
                            break;
                        }
                    }
                    break;
                }
                None => break,
            }
        }
        for piece in [self.stdout.rest(), self.stderr.rest()]
            .into_iter()
            .flatten()
        {
            (self.listener)(Side::Stderr, &piece);
        }
    }

    /// Waits for one thing to happen. Nothing if nothing can any more; false if the
    /// program has ended or is to be left alone.
    fn step(&mut self, time: Option<Timespec>) -> Option<bool> {
        let is_last = time.is_some();
        let fds: [Option<BorrowedFd<'_>>; 4] = [
            self.stdout.file.as_ref().map(AsFd::as_fd),
            self.stderr.file.as_ref().map(AsFd::as_fd),
            (!is_last).then_some(self.end.as_fd()),
            (!is_last).then_some(self.quit.as_fd()),
        ];
        let mut polled: Vec<PollFd<'_>> = fds
            .iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, time.as_ref()) {
            Ok(0) => return None,
            Err(Errno::INTR) => return Some(true),
            Err(_) => return None,
            Ok(_) => {}
        }
        let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
        let ready = fds.map(|fd| fd.is_some() && ready.next().unwrap_or(false));
        let mut goes_on = !ready[2] && !ready[3];
        if ready[0] {
            for line in self.stdout.read(MOST_LINE) {
                goes_on &= self.told(line);
            }
            if self.stdout.held.len() >= MOST_LINE {
                self.stdout.file = None;
                drop(self.to.send(Heard::TooLong));
                goes_on = false;
            }
        }
        if ready[1] {
            for line in self.stderr.read(MOST_ERROR) {
                (self.listener)(Side::Stderr, &line);
            }
            if self.stderr.held.len() >= MOST_ERROR
                && let Some(piece) = self.stderr.rest()
            {
                (self.listener)(Side::Stderr, &piece);
            }
        }
        Some(goes_on)
    }

    /// False if nobody waits any more.
    fn told(&mut self, line: String) -> bool {
        (self.listener)(Side::Stdout, &line) || self.to.send(Heard::Line(line)).is_ok()
    }
}

/// The lines of a pipe.
struct Lines {
    /// `None` when nobody writes any more.
    file: Option<File>,
    /// A line that has no end yet.
    held: Vec<u8>,
}

impl Lines {
    fn new(file: File) -> Self {
        Self {
            file: Some(file),
            held: Vec::new(),
        }
    }

    /// Takes what is there: the lines that are whole now. The one that is not is held
    /// and never longer than `most` and a little.
    fn read(&mut self, most: usize) -> Vec<String> {
        let Some(file) = &mut self.file else {
            return Vec::new();
        };
        let mut buffer = vec![0; most.min(64 << 10)];
        let count = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Ok(0) | Err(_) => {
                self.file = None;
                0
            }
            Ok(count) => count,
        };
        let mut lines = Vec::new();
        for piece in buffer
            .get(..count)
            .unwrap_or_default()
            .split_inclusive(|c| *c == b'\n')
        {
            self.held.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// What is held, without the end of its line.
    fn rest(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return None;
        }
        let text = held.strip_suffix(b"\n").unwrap_or(&held);
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::mpsc::channel;

    fn soon() -> Instant {
        clock::tick() + Duration::from_secs(60)
    }

    /// A shell that does what it reads, and what it wrote aside.
    fn shell(script: &str) -> (Talk, Receiver<String>) {
        let (to, aside) = channel();
        let listener = move |from: Side, line: &str| {
            let is_aside = from == Side::Stderr || line.starts_with("aside");
            if is_aside {
                drop(to.send(format!("{from:?} {line}")));
            }
            is_aside
        };
        let talk = Talk::start(
            "/bin/sh",
            &["-c", script],
            "test".into(),
            Box::new(listener),
        );
        (talk.unwrap(), aside)
    }

    #[test]
    fn lines_go_to_and_fro_and_what_is_not_for_us_goes_aside() {
        let script = "while read -r line; do echo 'aside 1'; echo \"got $line\"; echo e >&2; done";
        let (mut talk, aside) = shell(script);
        for word in ["one", "two"] {
            talk.say(word, soon()).unwrap();
            assert_eq!(talk.hear(soon()).unwrap(), format!("got {word}"));
        }
        assert!(!talk.has_ended());
        talk.finish();
        let mut told: Vec<String> = aside.iter().collect();
        told.sort_unstable();
        assert_eq!(
            told,
            ["Stderr e", "Stderr e", "Stdout aside 1", "Stdout aside 1"]
        );
    }

    #[test]
    fn an_end_is_noticed_with_what_was_said_before() {
        let (mut talk, aside) = shell("echo last; echo why >&2; exit 7");
        assert_eq!(talk.hear(soon()).unwrap(), "last");
        assert!(matches!(talk.hear(soon()), Err(Broken::Ended)));
        assert!(talk.has_ended());
        assert_eq!(talk.kill().unwrap(), "it ended with exit code 7");
        assert_eq!(aside.iter().collect::<Vec<_>>(), ["Stderr why"]);
    }

    #[test]
    fn who_does_not_answer_or_read_is_given_up_and_ends_with_all_it_started() {
        let (mut talk, aside) = shell("trap '' TERM; sleep 1000 & echo $! >&2; wait; sleep 1000");
        let sleeper = aside.recv().unwrap();
        let now = clock::tick();
        assert!(matches!(talk.hear(now), Err(Broken::TimedOut)));
        let long = "x".repeat(1 << 20);
        assert!(matches!(talk.say(&long, now), Err(Broken::TimedOut)));
        assert_eq!(talk.kill().unwrap(), "it was ended by signal 9");
        let pid: i32 = sleeper.strip_prefix("Stderr ").unwrap().parse().unwrap();
        let is_gone = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            state.map_or(true, |text| text.contains(") Z "))
        };
        // It was killed, and the kernel takes its time.
        let deadline = soon();
        while !is_gone() {
            assert!(
                clock::tick() < deadline,
                "the program in the background goes on"
            );
            thread::yield_now();
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let (talk, _aside) = shell("yes | tr -d '\\n'");
        assert!(matches!(talk.hear(soon()), Err(Broken::TooLong)));
        let (talk, aside) = shell("yes | tr -d '\\n' | head -c 20000 >&2");
        assert!(matches!(talk.hear(soon()), Err(Broken::Ended)));
        let lengths: Vec<usize> = aside.iter().map(|line| line.len()).collect();
        assert_eq!(lengths.iter().sum::<usize>() - lengths.len() * 7, 20_000);
        assert!(lengths.iter().all(|length| *length <= 2 * MOST_ERROR + 7));
    }

    #[test]
    fn a_program_that_is_not_there_cannot_be_started() {
        let listener: Listener = Box::new(|_, _| true);
        let error = Talk::start("/no/such", &[], "test".into(), listener).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
