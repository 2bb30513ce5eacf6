//! Asks Python what it makes of our bytes, for tests.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a script with `python3` and gives what it prints. The script must read all of
/// its input before it writes.
///
/// `None` where there is no Python, which is told; in CI it has to be there.
pub(super) fn python(script: &str, input: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon starts children in one place; this is a test"
    )]
    let mut command = Command::new("python3");
    let child = command
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "python3: {error}");
            writeln!(std::io::stderr(), "skipped, no python3: {error}").unwrap();
            return None;
        }
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    Some(String::from_utf8(output.stdout).unwrap())
}
