//! Counts failures per id in one jail.
//!
//! fail2ban's counter is a rate estimate, not a sliding window: when the first
//! failure is older than `findtime`, the count is scaled down to what would have
//! fallen into the window at the same rate (half rounds to even), and the window
//! moves on. Existing jails were tuned against that, so it stays.

use std::collections::{BTreeSet, HashMap};

use ferroban_date::Timestamp;

use crate::ban::Ticket;
use crate::id::FailId;

/// The limits that counting needs, from the jail's options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Failures that lead to a ban.
    pub maxretry: u32,
    /// The window, in seconds.
    pub findtime: u32,
    /// How many matched lines a ticket keeps.
    pub maxmatches: usize,
}

/// The most ids that are counted at once in one jail; past it the ones that have
/// been quiet for longest are forgotten. An attacker with an IPv6 network has
/// more addresses than we have memory.
pub const MAX_TRACKED: usize = 1_000_000;

/// The most text of matched lines that is kept for all ids of one jail, in bytes;
/// past it, too, the quietest ids are forgotten.
pub const MAX_TEXT: usize = 64 << 20;

/// How often outdated ids are swept out, in seconds.
const SWEEP_EVERY: i64 = 5;

/// The failures of one jail.
#[derive(Debug, Default)]
pub struct Failures {
    by_id: HashMap<FailId, Entry>,
    /// Every id with its last time, oldest first, to sweep without a search.
    by_age: BTreeSet<(Timestamp, FailId)>,
    swept: Option<Timestamp>,
    forgotten: u64,
    /// Bytes of matched lines in all tickets.
    text: usize,
    bounds: Bounds,
}

/// What may be kept at most.
#[derive(Debug)]
struct Bounds {
    ids: usize,
    text: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            ids: MAX_TRACKED,
            text: MAX_TEXT,
        }
    }
}

#[derive(Debug)]
struct Entry {
    first: Timestamp,
    last: Timestamp,
    retry: u32,
    ticket: Ticket,
}

impl Failures {
    /// Counts a failure of `id` at `time`. Returns the ticket and its time when
    /// `maxretry` is reached; counting of that id then starts anew.
    pub fn add(
        &mut self,
        id: &FailId,
        time: Timestamp,
        ticket: Ticket,
        limits: Limits,
    ) -> Option<(Ticket, Timestamp)> {
        let weight = ticket.failures;
        let entry = match self.by_id.get_mut(id) {
            Some(entry) => {
                if time > entry.last {
                    self.by_age.remove(&(entry.last, id.clone()));
                    entry.rescale(time, limits.findtime);
                    self.by_age.insert((entry.last, id.clone()));
                }
                entry
            }
            None => {
                self.by_age.insert((time, id.clone()));
                self.by_id
                    .entry(id.clone())
                    .or_insert_with(|| Entry::new(time))
            }
        };
        entry.retry = entry.retry.saturating_add(weight);
        self.text -= entry.ticket.text_len();
        entry.ticket.merge(ticket, limits.maxmatches);
        self.text += entry.ticket.text_len();
        if entry.retry >= limits.maxretry {
            return self.remove(id);
        }
        while self.by_id.len() > self.bounds.ids || self.text > self.bounds.text {
            self.forget_oldest();
        }
        None
    }

    /// Drops ids whose last failure is `findtime` seconds old or older, at most
    /// every five seconds as the original does.
    pub fn sweep(&mut self, now: Timestamp, findtime: u32) {
        let due = |swept: Timestamp| now.secs() - swept.secs() >= SWEEP_EVERY || swept > now;
        if !self.swept.is_none_or(due) {
            return;
        }
        self.swept = Some(now);
        let limit = now.plus_secs(-i64::from(findtime));
        while let Some((last, _)) = self.by_age.first()
            && *last <= limit
        {
            self.drop_oldest();
        }
    }

    /// How many ids have failures that count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no id has failures that count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many ids were forgotten because there were too many, since the start.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn remove(&mut self, id: &FailId) -> Option<(Ticket, Timestamp)> {
        let entry = self.by_id.remove(id)?;
        self.text -= entry.ticket.text_len();
        self.by_age.remove(&(entry.last, id.clone()));
        Some((entry.ticket, entry.last))
    }

    fn drop_oldest(&mut self) {
        if let Some((_, id)) = self.by_age.first().cloned() {
            self.remove(&id);
        }
    }

    fn forget_oldest(&mut self) {
        self.drop_oldest();
        self.forgotten += 1;
    }
}

impl Entry {
    fn new(time: Timestamp) -> Self {
        Self {
            first: time,
            last: time,
            retry: 0,
            ticket: Ticket::default(),
        }
    }

    fn rescale(&mut self, time: Timestamp, findtime: u32) {
        let window = time.plus_secs(-i64::from(findtime));
        if self.first < window {
            self.retry = scaled(self.retry, findtime, time.micros_since(self.first));
            self.first = window;
        }
        self.last = time;
    }
}

/// `retry` failures over `micros`, as many as `findtime` seconds would have
/// held, half to even.
fn scaled(retry: u32, findtime: u32, micros: i64) -> u32 {
    let whole = i128::from(retry) * i128::from(findtime) * 1_000_000;
    let span = i128::from(micros.max(1));
    let (quotient, rest) = (whole / span, whole % span);
    let up = rest * 2 > span || (rest * 2 == span && quotient % 2 == 1);
    u32::try_from(quotient + i128::from(up)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::Match;

    fn run(maxretry: u32, times: &[i64]) -> Option<(usize, Timestamp, u32)> {
        let limits = Limits {
            maxretry,
            findtime: 600,
            maxmatches: 5,
        };
        let mut failures = Failures::default();
        let id = FailId::parse("192.0.2.1");
        times.iter().enumerate().find_map(|(index, &second)| {
            let ticket = Ticket {
                failures: 1,
                ..Ticket::default()
            };
            failures
                .add(&id, Timestamp::from_secs(second), ticket, limits)
                .map(|(ticket, time)| (index, time, ticket.failures))
        })
    }

    #[test]
    fn the_counter_is_the_originals_rate_estimate() {
        /// `maxretry`, the seconds of failures, and which of them bans at what second.
        type Case = (u32, &'static [i64], Option<(usize, i64)>);
        let cases: [Case; 9] = [
            (3, &[0, 300, 600], Some((2, 600))),
            (3, &[0, 300, 601], Some((2, 601))),
            (3, &[0, 400, 800], Some((2, 800))),
            (3, &[0, 500, 1000, 1500, 2000], None),
            (5, &[0, 1, 2, 3, 900], None),
            (5, &[0, 1, 2, 3, 601], Some((4, 601))),
            (5, &[0, 1, 2, 3, 5000], None),
            (2, &[0, 700], Some((1, 700))),
            (3, &[1000, 0, 10], Some((2, 1000))),
        ];
        for (maxretry, times, expected) in cases {
            let ban = run(maxretry, times).map(|(index, time, _)| (index, time.secs()));
            assert_eq!(ban, expected, "maxretry {maxretry}, {times:?}");
        }
    }

    #[test]
    fn counting_starts_anew_after_a_ban() {
        assert_eq!(run(2, &[0, 1]).map(|(_, _, failures)| failures), Some(2));
        let limits = Limits {
            maxretry: 2,
            findtime: 600,
            maxmatches: 5,
        };
        let mut failures = Failures::default();
        let id = FailId::parse("192.0.2.1");
        let mut bans = 0;
        for second in 0..6 {
            let ticket = Ticket {
                failures: 1,
                ..Ticket::default()
            };
            bans += usize::from(
                failures
                    .add(&id, Timestamp::from_secs(second), ticket, limits)
                    .is_some(),
            );
        }
        assert_eq!(bans, 3);
        assert!(failures.is_empty() && failures.by_age.is_empty());
    }

    #[test]
    fn quiet_ids_are_swept_out() {
        let limits = Limits {
            maxretry: 5,
            findtime: 600,
            maxmatches: 5,
        };
        let mut failures = Failures::default();
        for (text, second) in [("192.0.2.1", 0), ("192.0.2.2", 100)] {
            let ticket = Ticket {
                failures: 1,
                ..Ticket::default()
            };
            failures.add(
                &FailId::parse(text),
                Timestamp::from_secs(second),
                ticket,
                limits,
            );
        }
        failures.sweep(Timestamp::from_secs(600), 600);
        assert_eq!(failures.len(), 1);
        failures.sweep(Timestamp::from_secs(604), 600);
        assert_eq!(failures.len(), 1, "not more often than every five seconds");
        failures.sweep(Timestamp::from_secs(700), 600);
        assert!(failures.is_empty());
    }

    #[test]
    fn past_either_bound_the_quietest_are_forgotten() {
        let limits = Limits {
            maxretry: 5,
            findtime: 600,
            maxmatches: 5,
        };
        let by_ids = Bounds {
            ids: 2,
            ..Bounds::default()
        };
        let by_text = Bounds {
            text: 20,
            ..Bounds::default()
        };
        for bounds in [by_ids, by_text] {
            let mut failures = Failures {
                bounds,
                ..Failures::default()
            };
            for second in 0..4 {
                let matches = vec![Match::new("", "", "ten bytes!")];
                let ticket = Ticket {
                    failures: 1,
                    matches,
                    ..Ticket::default()
                };
                let id = FailId::parse(&format!("192.0.2.{second}"));
                failures.add(&id, Timestamp::from_secs(second), ticket, limits);
            }
            assert_eq!(
                (failures.len(), failures.forgotten(), failures.text),
                (2, 2, 20)
            );
            let left: Vec<String> = failures
                .by_age
                .iter()
                .map(|(_, id)| id.to_string())
                .collect();
            assert_eq!(left, ["192.0.2.2", "192.0.2.3"]);
            failures.sweep(Timestamp::from_secs(10_000), 600);
            assert_eq!(failures.text, 0);
        }
    }

    #[test]
    fn halves_round_to_even() {
        let cases = [
            (2, 600, 800, 2),
            (4, 600, 900, 3),
            (1, 600, 1200, 0),
            (3, 600, 1200, 2),
            (5, 600, 1200, 2),
        ];
        for (retry, findtime, seconds, expected) in cases {
            assert_eq!(
                scaled(retry, findtime, seconds * 1_000_000),
                expected,
                "{retry} over {seconds}"
            );
        }
    }
}
