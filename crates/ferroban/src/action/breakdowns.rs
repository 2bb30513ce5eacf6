//! When to leave alone what breaks down all the time.
//!
//! A program or a server that takes until its limit, each time it is asked, would hold up
//! the bans behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After so many breakdowns within a while it is left alone.
pub(super) const MOST_BREAKDOWNS: usize = 3;
/// For how long they count.
const WHILE: Duration = Duration::from_secs(600);
/// How long it is left alone.
pub(super) const REST: Duration = Duration::from_secs(60);

/// When it broke down.
#[derive(Debug, Default)]
pub(super) struct Breakdowns(VecDeque<Instant>);

impl Breakdowns {
    /// Notes one. Whether it is time for a rest.
    pub(super) fn note(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        while self.0.len() > MOST_BREAKDOWNS {
            self.0.pop_front();
        }
        self.rest(now).is_some()
    }

    /// How long it is still to be left alone.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let (first, last) = (*self.0.front()?, *self.0.back()?);
        let is_many = self.0.len() == MOST_BREAKDOWNS;
        let is_soon = last.saturating_duration_since(first) < WHILE;
        let passed = now.saturating_duration_since(last);
        let left = REST.saturating_sub(passed);
        (is_many && is_soon && !left.is_zero()).then_some(left)
    }
}
