//! Talks to `oracle.py`, the installed fail2ban behind a pipe.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// The lines of one answer, each a kind and its words.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) Vec<Vec<String>>);

impl Answer {
    /// The message if the request failed as a whole.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self.0.first()?.as_slice() {
            [kind, message] if kind == "failed" => Some(message),
            _ => None,
        }
    }
}

/// Collects requests; all of them are answered in one go.
pub(crate) struct Oracle {
    python: &'static str,
    requests: String,
}

impl Oracle {
    /// `None`, after saying so, where there is no fail2ban to ask. CI must have one.
    pub(crate) fn start() -> Option<Self> {
        let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
            let import = "import fail2ban.client.configparserinc";
            let mut check = python_command(python);
            let run = check.args(["-c", import]).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        });
        if python.is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs python3 with fail2ban"
            );
            let message = "skipped: no python3 with fail2ban to compare with";
            writeln!(std::io::stderr(), "{message}").unwrap();
        }
        let requests = String::new();
        Some(Self {
            python: python?,
            requests,
        })
    }

    pub(crate) fn ask(&mut self, kind: &str, words: &[&str]) {
        self.requests.push_str(kind);
        for word in words {
            self.requests.push(' ');
            self.requests.push_str(&hex(word));
        }
        self.requests.push('\n');
    }

    /// The answers to all requests, in order.
    pub(crate) fn answers(self) -> Vec<Answer> {
        let mut child = python_command(self.python)
            .args(["-W", "ignore", "-c", include_str!("oracle.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(self.requests.as_bytes()).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "oracle.py failed");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut answers = vec![Answer(Vec::new())];
        for line in text.lines() {
            if line == "end" {
                answers.push(Answer(Vec::new()));
                continue;
            }
            let mut words = line.split(' ');
            let kind = words.next().unwrap().to_owned();
            let words = words.map(unhex);
            answers
                .last_mut()
                .unwrap()
                .0
                .push(std::iter::once(kind).chain(words).collect());
        }
        answers.pop();
        answers
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts the program it compares with"
)]
fn python_command(python: &str) -> Command {
    Command::new(python)
}

/// An empty word would be lost among blanks.
fn hex(word: &str) -> String {
    if word.is_empty() {
        return "-".to_owned();
    }
    word.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(word: &str) -> String {
    if word == "-" {
        return String::new();
    }
    let bytes = (0..word.len())
        .step_by(2)
        .map(|at| word.get(at..at + 2).unwrap());
    let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}
