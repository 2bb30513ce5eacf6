//! What `stock.py` says: the patterns of the installed fail2ban, asked for anew each time.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The sample lines; they stay outside of this repository.
pub(crate) const CORPUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/corpus/samples-open.jsonl"
);

/// One pattern as fail2ban compiles it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    pub(crate) multi_line: bool,
}

/// What the script writes with these arguments; none, after saying so, where there is no fail2ban
/// or no corpus. CI must have both.
#[expect(
    clippy::disallowed_methods,
    reason = "the oracle of these tests is another program"
)]
pub(crate) fn ask(arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stock.py");
    let run = |python: &str| {
        Command::new(python)
            .args(["-B", script])
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
    };
    let output = ["python3", "/usr/bin/python3"].into_iter().find_map(run);
    if output.is_none() {
        let message = "no python3 with fail2ban and its filters, or no sample lines";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        writeln!(std::io::stderr(), "skipped: {message}").unwrap();
    }
    Some(String::from_utf8(output?.stdout).unwrap())
}

/// The pattern on a line `P FLAGS PATTERN`, after the `P`.
pub(crate) fn pattern(rest: &str) -> Pattern {
    let (letters, text) = rest.split_once(' ').unwrap();
    Pattern {
        text: unhex(text),
        multi_line: letters == "m",
    }
}

pub(crate) fn unhex(hex: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = hex.as_bytes().chunks(2).filter_map(|pair| {
        let pair = (digit(*pair.first()?)?, digit(*pair.get(1)?)?);
        u8::try_from(16 * pair.0 + pair.1).ok()
    });
    String::from_utf8(bytes.collect()).unwrap()
}
