//! Children that never outlive their owner, and what they said.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{SOON, eventually};

/// A program that has not been started yet.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests start the real programs that the daemon meets"
)]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// A started program; dropping it kills and reaps it.
pub(crate) struct Running {
    name: String,
    child: Child,
    output: File,
    errors: File,
}

/// What a program that has ended said.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All of its standard output.
    pub(crate) stdout: String,
    /// All of its standard error.
    pub(crate) stderr: String,
}

impl Done {
    /// Whether it ended well and printed exactly `text`.
    pub(crate) fn succeeded(&self, text: &str) -> bool {
        self.code == Some(0) && self.stdout == text
    }
}

impl Running {
    /// Starts `command`. Its output goes to unnamed files, so that no pipe fills up.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_on(command, Stdio::null())
    }

    /// The same with a standard input.
    pub(crate) fn start_on(command: &mut Command, input: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let unnamed = || tempfile::tempfile().expect("the folder for temporary files is writable");
        let (output, errors) = (unnamed(), unnamed());
        let share = |file: &File| Stdio::from(file.try_clone().expect("descriptors are left"));
        let child = command
            .stdin(input)
            .stdout(share(&output))
            .stderr(share(&errors))
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name,
            child,
            output,
            errors,
        }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Waits for its end and returns what it said.
    pub(crate) fn finish(mut self, limit: Duration) -> Done {
        let what = format!("the end of {}", self.name);
        let status = eventually(limit, &what, || self.ended());
        Done {
            code: status.code(),
            stdout: text(&self.output),
            stderr: text(&self.errors),
        }
    }

    /// What it has said so far, standard output first.
    pub(crate) fn said(&self) -> String {
        text(&self.output) + &text(&self.errors)
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and been reaped already.
        self.child.kill().ok();
        self.child.wait().ok();
        let said = self.said();
        if thread::panicking() && !said.is_empty() {
            eprint!(
                "---- {} said:\n{}",
                self.name,
                said.get(..4000).unwrap_or(&said)
            );
        }
    }
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Done {
    Running::start(command).finish(SOON)
}

/// Runs `command` to its end and insists that it succeeds.
pub(crate) fn must(command: &mut Command) -> String {
    let done = run(command);
    assert_eq!(
        done.code,
        Some(0),
        "{command:?}: {}{}",
        done.stdout,
        done.stderr
    );
    done.stdout
}

/// The text of a file from its start. The position belongs to the child that writes.
fn text(file: &File) -> String {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("(cannot read it: {error})"),
    }
}
