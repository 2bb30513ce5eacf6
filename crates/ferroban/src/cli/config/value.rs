//! Whether a text is what its option wants.

use std::net::IpAddr;

use ferroban_config::{Place, Seconds, Value, addresses};
use ferroban_date::LogZone;
use ferroban_engine::options::{Kind, OptionRow};

use super::problem::What;
use crate::load::{is_on, whole_number};

/// What is wrong with a value, and where.
pub(super) fn faults(row: &OptionRow, value: &Value) -> Vec<(Place, What)> {
    match row.kind {
        Kind::Text | Kind::Regex | Kind::Regexes => Vec::new(),
        Kind::Lines if row.name == "logpath" => each(value, not_path),
        Kind::List if row.name == "ignoreip" => each(value, not_address),
        Kind::Lines | Kind::List => Vec::new(),
        _ => word(row, value),
    }
}

fn each(value: &Value, fault: fn(&str) -> Option<What>) -> Vec<(Place, What)> {
    let told = |(line, at): (&str, &Place)| Some((at.clone(), fault(line.trim())?));
    value.lines().filter_map(told).collect()
}

/// Of options that are a single word or number.
fn word(row: &OptionRow, value: &Value) -> Vec<(Place, What)> {
    let further: Vec<(&str, &Place)> = value
        .lines()
        .skip(1)
        .filter(|(line, _)| !line.trim().is_empty())
        .collect();
    if let Some((line, at)) = further.first()
        && line.contains(['=', ':'])
    {
        let what = What::Swallowed {
            option: row.name.to_owned(),
            line: (*line).to_owned(),
            harmless: row.kind == Kind::Bool,
        };
        return vec![((*at).clone(), what)];
    }
    let text = value.text().trim();
    let (option, text) = (row.name.to_owned(), text.to_owned());
    let seconds: Result<Seconds, _> = text.parse();
    let is_good = match row.kind {
        Kind::Bool => is_bool(&text),
        Kind::Count => whole_number(&text).is_some_and(|number| number >= 0),
        Kind::Positive => whole_number(&text).is_some_and(|number| number >= 1),
        Kind::Counts => text
            .split_whitespace()
            .all(|word| whole_number(word).is_some()),
        Kind::Duration => seconds.as_ref().is_ok_and(|time| time.whole() >= 0),
        Kind::BanTime => seconds.is_ok(),
        Kind::Choice(words) => is_one_of(words, &text),
        Kind::Level(words) => {
            is_one_of(words, &text)
                || is_one_of(OTHER_LEVELS, &text)
                || whole_number(&text).is_some()
        }
        Kind::Zone => LogZone::parse(&text).is_ok(),
        _ => true,
    };
    if is_good {
        return Vec::new();
    }
    let wanted = row.kind.wanted();
    let what = match (row.kind, row.name) {
        (Kind::Bool, _) => What::NotBool { option, text },
        (_, "usedns") => What::Replaced {
            option,
            text,
            wanted,
            taken: "no",
        },
        (kind, _) => What::Value {
            option,
            text,
            wanted,
            source: match kind {
                Kind::Duration | Kind::BanTime => seconds.err(),
                _ => None,
            },
        },
    };
    vec![(value.place().clone(), what)]
}

/// Levels that nobody needs to be told of.
const OTHER_LEVELS: &[&str] = &["MSG", "TRACEDEBUG", "HEAVYDEBUG"];

fn is_bool(text: &str) -> bool {
    let no = ["0", "off", "false", "no"];
    is_on(text) || no.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether the text, without `[…]` behind it, is one of the words in any case.
fn is_one_of(words: &[&str], text: &str) -> bool {
    let text = text.split('[').next().unwrap_or_default();
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The first item of a line that was to be an address.
fn not_address(line: &str) -> Option<What> {
    let looks_like_one = |item: &str| {
        let digits = |c: char| c.is_ascii_digit() || ['.', '/'].contains(&c);
        item.starts_with(|c: char| c.is_ascii_digit()) && item.chars().all(digits)
    };
    addresses(line)
        .find(|item| looks_like_one(item) && !is_address(item))
        .map(|item| What::NotAddress(item.to_owned()))
}

fn is_address(item: &str) -> bool {
    let (address, prefix) = item.split_once('/').unwrap_or((item, "32"));
    let is_mask = |text: &str| text.parse::<IpAddr>().is_ok();
    let is_prefix = prefix.parse::<u8>().is_ok_and(|bits| bits <= 32) || is_mask(prefix);
    address.parse::<IpAddr>().is_ok() && is_prefix
}

/// A line whose last word is no mode although a blank stands before it.
fn not_path(line: &str) -> Option<What> {
    let (path, mode) = line.rsplit_once(char::is_whitespace)?;
    let good = ["head", "tail"].contains(&mode) && !path.trim().contains(char::is_whitespace);
    (!good).then(|| What::NotPath(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroban_engine::options;

    /// Option, text, and what is told.
    const CASES: &[(&str, &str, &str)] = &[
        ("bantime", "1h 30m", ""),
        ("bantime", "-1", ""),
        (
            "bantime",
            "soon",
            "bantime cannot be 'soon': 'soon' is no number; write a time such as 600, 10m or 1d 12h, or -1 for ever",
        ),
        (
            "findtime",
            "-5",
            "findtime cannot be '-5'; write a time such as 600, 10m or 1d 12h",
        ),
        (
            "findtime",
            "5 bananas",
            "findtime cannot be '5 bananas': unexpected 'b'; write a time such as 600, 10m or 1d 12h",
        ),
        ("maxretry", "5", ""),
        ("maxretry", "1_000", ""),
        (
            "maxretry",
            "many",
            "maxretry cannot be 'many'; write a whole number from 1 on",
        ),
        ("maxmatches", "0", ""),
        ("backend", "systemd[journalflags=1]", ""),
        ("backend", "Auto", ""),
        (
            "backend",
            "gamin",
            "backend cannot be 'gamin'; write auto, polling, pyinotify or systemd",
        ),
        ("enabled", "YES", ""),
        (
            "enabled",
            "maybe",
            "enabled = maybe counts as no; write yes or no",
        ),
        (
            "enabled",
            "yes[x]",
            "enabled = yes[x] counts as no; write yes or no",
        ),
        (
            "usedns",
            "never",
            "usedns cannot be 'never', so no is taken; write yes, warn, no or raw",
        ),
        ("bantime.multipliers", "1 2 4", ""),
        (
            "bantime.multipliers",
            "1 2x",
            "bantime.multipliers cannot be '1 2x'; write whole numbers such as 1 2 4 8",
        ),
        ("logtimezone", "", ""),
        ("logtimezone", "UTC+02:00", ""),
        (
            "logtimezone",
            "Utc",
            "logtimezone cannot be 'Utc'; write a time zone such as UTC, CET or +0200",
        ),
        (
            "logtimezone",
            "Europe/Berlin",
            "logtimezone cannot be 'Europe/Berlin'; write a time zone such as UTC, CET or +0200",
        ),
        ("ignoreip", "127.0.0.1/8 ::1 10.0.0.0/255.0.0.0 host", ""),
        (
            "ignoreip",
            "::1, 300.1.1.1",
            "'300.1.1.1' is no address or network, so it is looked up as a name; correct it",
        ),
        ("logpath", "/var/log/a tail", ""),
        (
            "logpath",
            "/var/log/a b",
            "'/var/log/a b' is no path: only head or tail may follow a blank; write one path a line, without blanks",
        ),
    ];

    #[test]
    fn values_are_judged_by_their_kind() {
        for (option, text, expected) in CASES {
            let row = options::jail(option).unwrap();
            let value = Value::new(*text, Place::named("test"));
            let found: Vec<String> = faults(row, &value)
                .iter()
                .map(|(_, what)| what.to_string())
                .collect();
            assert_eq!(found.join("\n"), *expected, "{option} = {text}");
        }
    }
}
