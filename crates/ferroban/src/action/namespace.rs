//! Tests against the real kernel, in a network namespace of their own.
//!
//! Each test starts this test program again under `unshare --net`, with only
//! itself to run: the firewall of the host is never touched. Without the right
//! to do so a test says why it is skipped; in CI that is a failure.

use std::io::Write as _;
use std::process::{Command, Output};

const INSIDE: &str = "FERROBAN_TEST_NAMESPACE";

#[expect(clippy::disallowed_methods, reason = "a test may start programs")]
pub(super) fn run(program: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(arguments).output()
}

/// Runs the body of a test in a fresh network namespace, where it finds loopback
/// up and empty tables. There is nothing to be run where a program does not work.
pub(super) fn inside<F: FnOnce()>(program: &str, body: F) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    // The type of a closure is named after the function around it.
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    let script = format!("ip link set lo up && {program}");
    let probe = run("unshare", &["--net", "sh", "-c", &script]);
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        let reason = format!("{name}: needs root, unshare, ip and '{program}': {probe:?}\n");
        assert!(
            std::env::var_os("CI").is_none(),
            "not skipped in CI: {reason}"
        );
        std::io::stderr()
            .write_all(format!("skipped {reason}").as_bytes())
            .unwrap();
        return;
    }
    let ours = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec env \"$0=1\" \"$@\"";
    let mut arguments = vec!["--net", "sh", "-c", script, INSIDE, ours.to_str().unwrap()];
    arguments.extend(["--exact", name, "--nocapture"]);
    let output = run("unshare", &arguments).unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}{err}"
    );
    std::io::stderr().write_all(err.as_bytes()).unwrap();
}

/// What the program `ipset` says to this, refusing included.
pub(super) fn ipset(words: &str) -> Result<String, String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let output = run("ipset", &words).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}
