//! From the fields of a stamp to an instant: which year, which zone, and no
//! thirtieth of February.
//!
//! Where the fields stand in the line is left to [`builtin`](crate::builtin).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use crate::zone::to_jiff;
use crate::{Timestamp, Zone};

const DAY: i64 = 86_400;

/// What a date in a line says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    /// Seconds since the epoch, in whatever spelling.
    Instant(Timestamp),
    /// A calendar's fields.
    Fields(Fields),
}

/// A stamp in a calendar's terms. The numbers are as written: they need not be a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields {
    pub(crate) year: Option<i16>,
    /// Month and day; none in a stamp that has only the time of day.
    pub(crate) day: Option<(i8, i8)>,
    pub(crate) hour: i8,
    pub(crate) minute: i8,
    pub(crate) second: i8,
    pub(crate) zone: ZoneField,
}

/// What a stamp says about its zone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ZoneField {
    /// Nothing.
    #[default]
    Absent,
    /// So many seconds ahead of UTC.
    Ahead(i64),
    /// A name that is none of a zone.
    Unknown,
}

impl Value {
    /// The instant, if there is such a one.
    pub(crate) fn instant(&self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Instant(time) => Some(*time),
            Self::Fields(fields) => fields.instant(zone, now),
        }
    }
}

impl Fields {
    fn instant(&self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        let date = self.date(zone, now)?;
        match self.zone {
            ZoneField::Absent => zone.instant(date, now),
            ZoneField::Ahead(ahead) => Some(Timestamp::from_secs(reading(date)? - ahead)),
            ZoneField::Unknown => None,
        }
    }

    /// Date and time as written, with what the stamp leaves out taken from `now`.
    ///
    /// A day left out is the last one on which it has been so late; a year left
    /// out is this one unless that lies more than a day ahead, then the last.
    /// As in the original, what lies ahead is judged by the clock on the wall,
    /// even of a stamp that names another zone: it is taken to UTC, `now` is not.
    fn date(&self, zone: &Zone, now: Timestamp) -> Option<DateTime> {
        let time = Time::new(self.hour, self.minute, self.second, 0).ok()?;
        if let (Some(year), Some((month, day))) = (self.year, self.day) {
            return Some(Date::new(year, month, day).ok()?.to_datetime(time));
        }
        let wall = now.secs().saturating_add(zone.ahead(now));
        let today = calendar(wall);
        let year = self.year.unwrap_or(today.year());
        let (month, day) = self.day.unwrap_or((today.month(), today.day()));
        let date = Date::new(year, month, day).ok()?.to_datetime(time);
        let ahead = if let ZoneField::Ahead(ahead) = self.zone {
            ahead
        } else {
            0
        };
        let early_by = (reading(date)? - ahead).saturating_sub(wall);
        if self.day.is_none() && early_by > 0 {
            return Some(date.date().yesterday().ok()?.to_datetime(time));
        }
        if self.day.is_some() && early_by > DAY {
            return Some(Date::new(year - 1, month, day).ok()?.to_datetime(time));
        }
        Some(date)
    }
}

/// The last year that `%ExY` takes: the end of the decade in which the third year
/// from now lies. Never before 2029: a machine that wakes up in 1970 can still
/// read its logs.
pub(crate) fn last_year(now: Timestamp) -> i16 {
    let year = calendar(now.secs()).year();
    ((year + 3).div_euclid(10) * 10 + 9).clamp(2029, 9999)
}

/// Seconds from 1970 to `date`, as if there were no zones.
fn reading(date: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(date).ok()?.as_second())
}

/// The inverse of [`reading`].
fn calendar(reading: i64) -> Date {
    Offset::UTC
        .to_datetime(to_jiff(Timestamp::from_secs(reading)))
        .date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detector, local_text};

    /// 2026-06-15 12:00:00 UTC.
    const NOON: i64 = 1_781_524_800;

    fn time(line: &str, zone: &str, now: Timestamp) -> String {
        let found = Detector::new(Zone::named(zone).unwrap()).find(line, now);
        found.map_or("none".into(), |found| local_text(found.time, &Zone::utc()))
    }

    #[test]
    fn a_missing_year_is_this_one_unless_that_is_more_than_a_day_ahead() {
        let new_year = 1_798_761_600; // 2027-01-01 00:00:00 UTC
        let cases = [
            // line, zone, now, expected
            ("Jun 16 12:00:00 x", "UTC", NOON, "2026-06-16 12:00:00"),
            ("Jun 16 12:00:01 x", "UTC", NOON, "2025-06-16 12:00:01"),
            ("Jan  1 00:00:00 x", "UTC", NOON, "2026-01-01 00:00:00"),
            ("Dec 31 23:59:59 x", "UTC", new_year, "2026-12-31 23:59:59"),
            (
                "Jan  1 00:00:00 x",
                "UTC",
                new_year - 1,
                "2026-01-01 00:00:00",
            ),
            ("Jan  1 00:00:00 x", "UTC", new_year, "2027-01-01 00:00:00"),
            // It is the new year in Berlin, and still the old one in New York.
            (
                "Jan  1 00:30:00 x",
                "Europe/Berlin",
                new_year - 1800,
                "2026-12-31 23:30:00",
            ),
            (
                "Dec 31 19:00:00 x",
                "America/New_York",
                new_year,
                "2027-01-01 00:00:00",
            ),
        ];
        for (line, zone, now, expected) in cases {
            assert_eq!(
                time(line, zone, Timestamp::from_secs(now)),
                expected,
                "{line} at {now} in {zone}"
            );
        }
    }

    #[test]
    fn part_of_a_second_does_not_make_it_a_day() {
        let now = Timestamp::from_micros(NOON * 1_000_000 + 999_999);
        assert_eq!(time("Jun 16 12:00:00 x", "UTC", now), "2026-06-16 12:00:00");
        assert_eq!(time("Jun 16 12:00:01 x", "UTC", now), "2025-06-16 12:00:01");
        assert_eq!(time("12:00:00 x", "UTC", now), "2026-06-15 12:00:00");
        assert_eq!(time("12:00:01 x", "UTC", now), "2026-06-14 12:00:01");
    }

    #[test]
    fn a_leap_day_needs_a_leap_year() {
        let cases = [
            // line, now, expected
            ("2024-02-29 10:00:00 x", NOON, "2024-02-29 10:00:00"),
            ("2000-02-29 10:00:00 x", NOON, "2000-02-29 10:00:00"),
            ("2025-02-29 10:00:00 x", NOON, "none"),
            ("Feb 29 10:00:00 x", NOON, "none"), // 2026
            ("Feb 29 10:00:00 x", 1_835_445_600, "2028-02-29 10:00:00"), // 2028-02-29 10:00
            ("Feb 29 10:00:00 x", 1_835_272_800, "none"), // 2028-02-27: so it was 2027
            ("Feb 29 10:00:00 x", 1_866_000_000, "none"), // 2029
        ];
        for (line, now, expected) in cases {
            assert_eq!(
                time(line, "UTC", Timestamp::from_secs(now)),
                expected,
                "{line} at {now}"
            );
        }
    }

    #[test]
    fn what_lies_ahead_is_judged_by_the_clock_on_the_wall() {
        let now = Timestamp::from_secs(NOON); // 21:00 in Tokyo
        let cases = [
            ("UTC Jun 16 21:00:00 x", "2026-06-16 21:00:00"),
            ("UTC Jun 16 21:00:01 x", "2025-06-16 21:00:01"),
            ("+09:00 Jun 17 06:00:00 x", "2026-06-16 21:00:00"),
            ("+09:00 Jun 17 06:00:01 x", "2025-06-16 21:00:01"),
            ("Jun 16 21:00:00 x", "2026-06-16 12:00:00"),
            ("Jun 16 21:00:01 x", "2025-06-16 12:00:01"),
        ];
        for (line, expected) in cases {
            assert_eq!(time(line, "Asia/Tokyo", now), expected, "{line}");
        }
    }

    #[test]
    fn a_year_back_keeps_the_day_that_the_zone_moves() {
        // The original arrives at the seventeenth.
        let now = Timestamp::from_secs(NOON);
        assert_eq!(
            time("PDT Jun 17 21:00:00 x", "UTC", now),
            "2025-06-18 04:00:00"
        );
    }

    #[test]
    fn years_are_taken_to_the_end_of_a_decade() {
        let cases = [
            // now, expected
            ("2026-12-31 23:59:59 x", 2029),
            ("2027-01-01 00:00:00 x", 2039),
            ("2029-06-15 00:00:00 x", 2039),
        ];
        let anyway = Timestamp::from_secs(NOON);
        for (line, expected) in cases {
            let now = Detector::new(Zone::utc()).find(line, anyway).unwrap().time;
            assert_eq!(last_year(now), expected, "{line}");
        }
        for now in [Timestamp::default(), Timestamp::from_micros(i64::MIN)] {
            assert_eq!(last_year(now), 2029, "{now}");
        }
        assert_eq!(last_year(Timestamp::MAX), 9999);
    }
}
