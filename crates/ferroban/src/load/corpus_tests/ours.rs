//! Asks our own engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ferroban_date::Zone;
use ferroban_engine::{Capture, Filter, FilterSettings, LogLine, Timestamp};

use super::Told;
use super::jails::Jails;
use super::original::Question;

/// 2005-08-14 12:00:00 in [`ZONE`], which is now.
const NOW: i64 = 1_124_013_600;
const ZONE: &str = "CET-01CEST-02,M3.5.0,M10.5.0";

/// What both sides carry beside the captures.
const INTERNAL: [&str; 4] = ["content", "nofail", "cidr", "ip"];

/// What we make of a line.
pub(super) struct Line {
    pub(super) told: Vec<Told>,
    /// What else there was to tell, to be shown where we differ.
    pub(super) notes: String,
}

/// Feeds all lines to a fresh filter; or why there is none.
pub(super) fn ask(jails: &Jails, question: &Question) -> Result<Vec<Line>, String> {
    let settings = jails.settings(&question.jail)?;
    let mut filter = filter(settings)?;
    let line = |line: &Vec<u8>| feed(&mut filter, line, question);
    Ok(question.lines.iter().map(line).collect())
}

fn filter(settings: &FilterSettings) -> Result<Filter, String> {
    let zone = Zone::posix(ZONE).unwrap();
    Filter::new(settings, zone, Timestamp::from_secs(NOW))
        .map_err(|error| crate::report::chain(&error))
}

/// A line as a source hands it over: decoded, and without its end.
fn feed(filter: &mut Filter, line: &[u8], question: &Question) -> Line {
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let text = String::from_utf8_lossy(line);
    let now = Timestamp::from_secs(NOW);
    let line = LogLine {
        text: text.trim_end_matches(['\r', '\n']),
        time: question.journal.then_some(now),
        live: question.live,
    };
    filter.feed(now, line, &mut failures, &mut notes);
    let told = |failure: ferroban_engine::Failure| {
        let own = failure.ticket.captures.into_iter();
        let mut captures: BTreeMap<String, Capture> =
            own.map(|(name, value)| (name.to_string(), value)).collect();
        let users = match captures.remove("users") {
            Some(Capture::Set(users)) => users.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        captures.retain(|name, _| !INTERNAL.contains(&name.as_str()));
        let text = |(name, value): (String, Capture)| (name, value.to_string());
        Told {
            id: failure.id.to_string(),
            micros: failure.time.micros(),
            captures: captures.into_iter().map(text).collect(),
            matches: failure.ticket.matches.iter().map(|m| m.joined()).collect(),
            users: users
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        }
    };
    let mut shown = String::new();
    for note in notes {
        write!(shown, "\n  note {note}").unwrap();
    }
    Line {
        told: failures.into_iter().map(told).collect(),
        notes: shown,
    }
}
