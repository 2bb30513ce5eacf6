//! Telling what goes wrong again and again, and ceasing to.
//!
//! The original tells the first nineteen errors of its listener, says with the
//! twentieth that it stops telling, and soon after stops listening: a thousand clients
//! end it. Here the listening never stops, and after a quiet minute errors are told
//! again.

use std::time::{Duration, Instant};

/// The original's number.
const MOST: u32 = 20;

/// After so long without an error, the next one is news.
const QUIET: Duration = Duration::from_mins(1);

/// Said in place of the twentieth error of a client.
pub(in crate::daemon) const TOO_MANY: &str = "Too many errors - stop logging connection errors";

/// Counts errors of one kind.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Throttle {
    count: u32,
    last: Option<Instant>,
}

/// What to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::daemon) enum Tell {
    /// The error.
    This,
    /// That no more are told.
    Enough,
    Nothing,
}

impl Throttle {
    /// Counts an error.
    pub(in crate::daemon) fn count(&mut self, now: Instant) -> Tell {
        let is_old = |last: Instant| now.saturating_duration_since(last) >= QUIET;
        if self.last.replace(now).is_some_and(is_old) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        match self.count {
            ..MOST => Tell::This,
            MOST => Tell::Enough,
            _ => Tell::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn nineteen_are_told_and_more_after_a_quiet_minute() {
        let mut throttle = Throttle::default();
        let start = clock::tick();
        let mut told = |second| throttle.count(start + Duration::from_secs(second));
        assert!((0..19).all(|_| told(0) == Tell::This));
        assert_eq!(told(0), Tell::Enough);
        assert_eq!([told(1), told(60), told(119)], [Tell::Nothing; 3]);
        assert_eq!(told(179), Tell::This);
    }
}
