//! Asks Debian's fail2ban, which is behind a script.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::Told;

const SCRIPT: &str = include_str!("../../../tests/oracle/filters.py");

/// Lines for one filter, which knows of no others.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Question {
    pub(super) jail: String,
    /// They come from the journal, which says when.
    pub(super) journal: bool,
    /// They are read as they are written, rather than up to the end of a log.
    pub(super) live: bool,
    /// Whether the original's choice among dates depends on the lines before.
    pub(super) learns: bool,
    /// Seconds for a line.
    pub(super) limit: f64,
    #[serde(serialize_with = "latin1")]
    pub(super) lines: Vec<Vec<u8>>,
}

/// Any bytes fit into a JSON string this way.
fn latin1<S: Serializer>(lines: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    let text = |line: &Vec<u8>| line.iter().copied().map(char::from).collect::<String>();
    serializer.collect_seq(lines.iter().map(text))
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer {
    /// The jail cannot be made.
    None {
        none: String,
    },
    Lines(Vec<Line>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Told(Vec<Told>),
    /// `slow`, or an exception.
    Word(String),
}

impl Line {
    pub(super) fn told(&self) -> &[Told] {
        match self {
            Self::Told(told) => told,
            Self::Word(_) => &[],
        }
    }

    /// Whether this is what it tells.
    pub(super) fn is_told(&self, told: &[Told]) -> bool {
        matches!(self, Self::Told(own) if own == told)
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Word(word) if word == "slow")
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Failure {
            id: String,
            micros: i64,
            captures: BTreeMap<String, Value>,
            users: Vec<String>,
            matches: Vec<String>,
        }
        let failure = Failure::deserialize(deserializer)?;
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let captures = failure.captures.into_iter();
        Ok(Self {
            id: failure.id,
            micros: failure.micros,
            captures: captures.map(|(name, value)| (name, text(value))).collect(),
            users: failure.users,
            matches: failure.matches,
        })
    }
}

/// The answers to all questions; `None`, and told, where there is nobody to ask.
#[expect(
    clippy::disallowed_methods,
    reason = "the original is a Python program"
)]
pub(super) fn ask(folder: &Path, questions: &[Question]) -> Option<Vec<Answer>> {
    let mut input = String::new();
    for question in questions {
        input.push_str(&serde_json::to_string(question).unwrap());
        input.push('\n');
    }
    // Debian's own Python first: another one does not see Debian's packages.
    let answers = ["/usr/bin/python3", "python3"].iter().find_map(|python| {
        let mut child = Command::new(python)
            .args(["-W", "ignore", "-c", SCRIPT])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        // It answers when it has read everything, so that neither waits for the other;
        // one without the package leaves at once.
        let sent = child.stdin.take()?.write_all(input.as_bytes());
        let output = child.wait_with_output().ok()?;
        if output.status.code() == Some(77) || (sent.is_err() && !output.status.success()) {
            return None;
        }
        assert!(output.status.success(), "the original: {}", output.status);
        Some(String::from_utf8(output.stdout).unwrap())
    });
    let Some(answers) = answers else {
        super::records::skip("there is no python3 with fail2ban; install Debian's package");
        return None;
    };
    let answers: Vec<Answer> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(answers.len(), questions.len(), "each question is answered");
    Some(answers)
}
