//! What the date of a line costs, by format; run by hand:
//! `cargo test --release -p ferroban-date --test measure -- --ignored --nocapture`.
//!
//! `ONLY=syslog` measures the formats whose names begin so. For exact figures, count
//! the instructions of `Detector::search` under callgrind and divide them by the
//! lines.

#![cfg(test)]

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ferroban_date::{Detector, Timestamp, Zone};

/// 2026-11-25 12:00:00 UTC.
const NOON: i64 = 1_795_608_000;

const REST: &str =
    "web1 sshd[123]: Failed password for invalid user admin from 192.0.2.7 port 52722 ssh2";

/// A name, and a line at so many seconds past noon.
type Format = (&'static str, fn(usize) -> String);

const FORMATS: [Format; 11] = [
    ("syslog", |at| format!("Nov 25 {} {REST}", clock(at))),
    ("syslog, one second", |_| format!("Nov 25 12:00:01 {REST}")),
    // What begins as a zone does is looked at.
    ("syslog, two hosts in turn", |at| {
        let host = if at % 2 == 0 { "gate" } else { "ubuntu" };
        format!("Nov 25 {} {host} {REST}", clock(at))
    }),
    ("ISO 8601 with zone", |at| {
        format!("2026-11-25T{}.123456+01:00 {REST}", clock(at))
    }),
    ("ISO 8601, one second", |at| {
        format!("2026-11-25T12:00:01.{at:06}+01:00 {REST}")
    }),
    ("ISO 8601 without zone", |at| {
        format!("2026-11-25 {},123 {REST}", clock(at))
    }),
    ("access log, one address", |at| access("192.0.2.17", at)),
    ("access log, many addresses", |at| {
        access(&format!("192.0.2.{}", at * 37 % 256), at)
    }),
    ("epoch", |at| format!("{}.123 {REST}", 1_795_608_000 + at)),
    ("no date", |_| REST.to_owned()),
    ("no date, with a clock", |at| {
        format!("web1 at {} {REST}", clock(at))
    }),
];

fn clock(at: usize) -> String {
    format!("12:{:02}:{:02}", at / 60 % 60, at % 60)
}

fn access(address: &str, at: usize) -> String {
    let clock = clock(at);
    format!(
        "{address} - - [25/Nov/2026:{clock} +0000] \"GET /index.html HTTP/1.1\" 404 153 \"-\" \"curl/8.14\""
    )
}

#[test]
#[ignore = "a measurement"]
fn the_date_of_an_ordinary_line() {
    let only = env::var("ONLY").unwrap_or_default();
    let rounds = env::var("ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(300);
    for patterns in [&[][..], &["{^LN-BEG}".to_owned()]] {
        let shown = patterns.first().map_or("default", String::as_str);
        for (name, line) in FORMATS {
            if format!("{name} {shown}").starts_with(&only) {
                let lines: Vec<String> = (0..1000).map(line).collect();
                let time = shortest(patterns, &lines, rounds);
                println!("{shown:10} {name:28} {time:?}");
            }
        }
    }
}

/// The shortest time of a line in several rounds, which is the one least disturbed.
#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn shortest(patterns: &[String], lines: &[String], rounds: u32) -> Duration {
    let now = Timestamp::from_secs(NOON + 1000);
    let zone = Zone::named("Europe/Berlin").unwrap();
    let mut detector = Detector::with_patterns(patterns, zone, now).unwrap();
    let round = |_| {
        let start = Instant::now();
        for line in lines {
            black_box(detector.search(line, now));
        }
        start.elapsed() / u32::try_from(lines.len()).unwrap()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}
