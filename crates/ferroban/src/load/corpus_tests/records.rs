//! The labelled lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use serde::Deserialize;
use serde_json::Value;

use super::Told;

const CORPUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/corpus/samples-open.jsonl"
);
/// Debian's filters.
pub(super) const FILTERS: &str = "/etc/fail2ban/filter.d";

/// A labelled line.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    service: String,
    line: String,
    time: Option<f64>,
    ip: Option<String>,
    #[serde(rename = "match")]
    matches: bool,
    user: Option<String>,
    host: Option<String>,
    options: BTreeMap<String, String>,
    pub(super) context: Vec<String>,
    #[serde(default)]
    captures: BTreeMap<String, Value>,
    #[serde(default)]
    prefix_line: String,
    pub(super) in_1_0_2: Option<bool>,
    pub(super) source: String,
}

impl Record {
    /// The filter and its options, as a jail calls for them.
    pub(super) fn call(&self) -> String {
        let mut call = self.service.clone();
        for (place, (name, value)) in self.options.iter().enumerate() {
            let open = if place == 0 { '[' } else { ',' };
            write!(call, "{open}{name}=\"{value}\"").unwrap();
        }
        if !self.options.is_empty() {
            call.push(']');
        }
        call
    }

    pub(super) fn is_journal(&self) -> bool {
        self.options
            .get("logtype")
            .is_some_and(|kind| kind == "journal")
    }

    /// Its lines, the last of which is the labelled one.
    pub(super) fn lines(&self) -> Vec<Vec<u8>> {
        let lines = self.context.iter().chain([&self.line]);
        lines
            .map(|line| [self.prefix_line.as_bytes(), line.as_bytes()].concat())
            .collect()
    }

    /// What of the label these failures do not fulfil.
    pub(super) fn wrong(&self, told: &[Told]) -> Option<&'static str> {
        let told = match told {
            [] => return self.matches.then_some("match"),
            [told] if self.matches => told,
            _ => return Some("match"),
        };
        let host = self.ip.as_ref().or(self.host.as_ref());
        if host.is_some_and(|host| told.id != *host) {
            return Some("host");
        }
        #[expect(clippy::cast_possible_truncation, reason = "a time of our days")]
        let micros = self.time.map(|time| (time * 1e6).round() as i64);
        if !self.is_journal() && micros.is_some_and(|micros| told.micros != micros) {
            return Some("time");
        }
        let capture = |name: &str| told.captures.get(name);
        if self.user.is_some() && capture("user") != self.user.as_ref() {
            return Some("user");
        }
        let fulfilled = |(name, value): (&String, &Value)| match name.as_str() {
            "attempts" => value.as_u64() == u64::try_from(told.matches.len()).ok(),
            "users" => {
                let users = value.as_array().into_iter().flatten();
                let mut users: Vec<&str> = users.filter_map(Value::as_str).collect();
                users.sort_unstable();
                told.users == users
            }
            name => capture(name).map(String::as_str) == value.as_str(),
        };
        (!self.captures.iter().all(fulfilled)).then_some("captures")
    }
}

/// All records; `None`, and told, where there are none or no filters for them.
pub(super) fn read() -> Option<Vec<Record>> {
    if !Path::new(FILTERS).exists() {
        skip("there is no /etc/fail2ban/filter.d; install Debian's fail2ban");
        return None;
    }
    let Ok(text) = fs::read_to_string(CORPUS) else {
        skip("there is no ../shared/corpus beside this clone");
        return None;
    };
    let records: Vec<Record> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 984, "the corpus is complete");
    Some(records)
}

/// Says why nothing is compared, which must not be in CI.
pub(super) fn skip(why: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "not skipped where CI is set: {why}"
    );
    // Not by a macro: the harness keeps what those say to itself.
    writeln!(io::stderr(), "skipped: {why}").unwrap();
}
