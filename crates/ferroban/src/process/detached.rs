//! Starting a daemon: a child that goes on without us.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A child that was started. Dropping this lets it go on.
#[derive(Debug)]
pub(crate) struct Detached(Child);

impl Detached {
    /// Starts a program that detaches itself. Until then it may write where we write. A
    /// path without a slash is looked for in `PATH`.
    pub(crate) fn program(path: &Path, args: &[OsString]) -> io::Result<Self> {
        let child = command(path).args(args).stdin(Stdio::null()).spawn()?;
        Ok(Self(child))
    }

    /// Starts this very program once more, called `name`, with nothing to read and nobody
    /// to write to. A session of its own it has to make itself.
    pub(crate) fn itself(name: &str, args: &[OsString]) -> io::Result<Self> {
        let child = command(&env::current_exe()?)
            .arg0(name)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Whether it has ended in failure. Also clears away what is left of one that ended.
    pub(crate) fn has_failed(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(status)) if !status.success())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only this room starts other programs"
)]
fn command(path: &Path) -> Command {
    Command::new(path)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn ended_in_failure(mut child: Detached) -> bool {
        let failed = !child.0.wait().unwrap().success();
        assert_eq!(child.has_failed(), failed, "both see the same end");
        failed
    }

    #[test]
    fn a_child_that_fails_is_told_from_one_that_does_not() {
        let shell = |script: &str| {
            let args = ["-c", script].map(OsString::from);
            Detached::program(Path::new("sh"), &args).unwrap()
        };
        assert!(ended_in_failure(shell("exit 3")));
        assert!(!ended_in_failure(shell("exit 0")));
        let missing = Detached::program(Path::new("/no/such"), &[]).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    /// The harness is what this program is here; it lists its tests, and says so to nobody.
    #[test]
    fn the_program_starts_itself() {
        let args = [OsString::from("--list")];
        assert!(!ended_in_failure(Detached::itself("x", &args).unwrap()));
        let args = [OsStr::new("--no-such-option").to_owned()];
        assert!(ended_in_failure(Detached::itself("x", &args).unwrap()));
    }
}
