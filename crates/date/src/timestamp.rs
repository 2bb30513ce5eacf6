//! Instants, as the whole house counts them.

use std::fmt;

use serde::{Deserialize, Serialize};

const MICROS: i64 = 1_000_000;

/// An instant: whole microseconds since 1970-01-01 00:00:00 UTC.
///
/// fail2ban keeps floating-point seconds; microseconds hold the same instants
/// exactly, compare exactly and serialise exactly. All arithmetic saturates, so
/// a date of the year 300000 in a log line cannot overflow.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant that can be said. Bans without end stop here.
    pub const MAX: Self = Self(i64::MAX);

    /// An instant from whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS))
    }

    /// An instant from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Whole seconds since the epoch, rounded to the nearest, half to even,
    /// which is how fail2ban stores a ban's time in its database.
    #[must_use]
    pub const fn secs_rounded(self) -> i64 {
        let (whole, rest) = (self.secs(), self.0.rem_euclid(MICROS));
        let up = rest * 2 > MICROS || (rest * 2 == MICROS && whole % 2 != 0);
        if up { whole.saturating_add(1) } else { whole }
    }

    /// The microseconds past the whole second, 0 to 999,999.
    #[must_use]
    pub const fn subsec_micros(self) -> i64 {
        self.0.rem_euclid(MICROS)
    }

    /// The instant so many seconds later (earlier if negative).
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(MICROS)))
    }

    /// Microseconds from `earlier` to `self`; negative if `self` is earlier.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Seconds since the epoch with six decimals, for debugging and JSON lines.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.secs(), self.subsec_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_half_to_even_as_the_database_expects() {
        let cases = [
            (0, 0),
            (499_999, 0),
            (500_000, 0),
            (500_001, 1),
            (1_500_000, 2),
            (2_500_000, 2),
            (-500_000, 0),
            (-1_500_000, -2),
        ];
        for (micros, expected) in cases {
            assert_eq!(
                Timestamp::from_micros(micros).secs_rounded(),
                expected,
                "{micros}"
            );
        }
    }

    #[test]
    fn far_dates_saturate() {
        assert_eq!(Timestamp::from_secs(i64::MAX).plus_secs(5), Timestamp::MAX);
        assert_eq!(
            Timestamp::from_secs(10).micros_since(Timestamp::from_secs(12)),
            -2_000_000
        );
    }
}
