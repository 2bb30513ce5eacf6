//! The values of a ticket, as an action in Python gets them: numbers are numbers.

use ferroban_engine::{Ban, Capture, Match};
use serde_json::{Map, Value, json};

use super::super::shell::{OfBan, Values};

/// Sent with the call. All of them are at hand.
const AT_ONCE: [&str; 15] = [
    "ip",
    "family",
    "ip-rev",
    "fid",
    "failures",
    "time",
    "bantime",
    "bancount",
    "restored",
    "matches",
    "jail.name",
    "jail.banned",
    "jail.banned_total",
    "jail.found",
    "jail.found_total",
];

/// Asked for when the action looks at them: somebody else has to be asked.
const LATER: [&str; 6] = [
    "ip-host",
    "ipmatches",
    "ipjailmatches",
    "ipfailures",
    "ipjailfailures",
    "raw-ticket",
];

/// Those that are numbers.
const NUMBERS: [&str; 11] = [
    "failures",
    "time",
    "bantime",
    "bancount",
    "restored",
    "ipfailures",
    "ipjailfailures",
    "jail.banned",
    "jail.banned_total",
    "jail.found",
    "jail.found_total",
];

/// What goes with a call for a ban.
pub(super) fn info(ban: &Ban, values: &OfBan<'_>) -> Value {
    let mut all = Map::new();
    for name in AT_ONCE {
        all.insert(name.to_owned(), value(name, values));
    }
    all.insert("F-*".to_owned(), captures(ban));
    json!({ "values": all, "later": LATER })
}

/// One value. Names that nobody knows are nothing.
pub(super) fn value(name: &str, values: &OfBan<'_>) -> Value {
    let Some(text) = values.value(name) else {
        return Value::Null;
    };
    match name {
        "ip-host" if text == "None" => Value::Null,
        "family" if text.is_empty() || text == "None" => Value::Null,
        name if NUMBERS.contains(&name) => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.parse::<f64>().map_or(Value::Null, Value::from),
        },
        _ => text.into_owned().into(),
    }
}

/// Everything that the filter captured, with the lines and how many failures there were.
fn captures(ban: &Ban) -> Value {
    let ticket = &ban.ticket;
    let line = |line: &Match| -> Value {
        if line.date.is_empty() {
            return line.joined().into();
        }
        json!([
            line.before.as_str(),
            line.date.as_str(),
            line.after.as_str()
        ])
    };
    let mut all = Map::new();
    let lines: Vec<Value> = ticket.matches.iter().map(line).collect();
    all.insert("matches".to_owned(), lines.into());
    all.insert("failures".to_owned(), ticket.failures.into());
    for (name, capture) in &ticket.captures {
        let value: Value = match capture {
            Capture::Text(text) => text.as_str().into(),
            Capture::Set(texts) => texts
                .iter()
                .map(|text| Value::from(text.as_str()))
                .collect(),
            Capture::Tuple(parts) => parts.iter().cloned().map(Value::from).collect(),
        };
        all.insert(name.to_string(), value);
    }
    Value::Object(all)
}
