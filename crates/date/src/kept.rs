//! What was found out about the last stamp, for the next one, which is nearly always
//! of the same hour.
//!
//! How far ahead of UTC a zone is that stamps name, which year it is, and where an
//! hour of the calendar begins: each is kept with the question that it answers and
//! given to the same question only. So [`Kept::instant`] says what [`Fields`] would
//! say; whatever is not an everyday stamp is left to that: one that is no time, one
//! without a day, one of an hour in which the zone moves.

use crate::fields::{DAY, Fields, Reading, Stamp, calendar, date, seconds, time};
use crate::log_zone::{LogZone, offset};
use crate::{Timestamp, Unusable, Zone};

const HOUR: i64 = 3600;

/// What is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// A zone as stamps name it, and how many seconds it is ahead of UTC.
    named: Option<(String, i64)>,
    today: Option<Today>,
    /// Of the year that a stamp without one is tried in first, and of the year before.
    hours: [Option<Hour>; 2],
}

/// An hour of `now` through which the machine's zone keeps its distance from UTC, and
/// the clock on the wall the year.
#[derive(Clone, Copy, Debug)]
struct Today {
    begin: Timestamp,
    end: Timestamp,
    ahead: i64,
    year: i16,
}

/// An hour of the calendar through which the machine's zone keeps its distance from UTC.
#[derive(Clone, Copy, Debug)]
struct Hour {
    year: i16,
    day: (i8, i8),
    hour: i8,
    /// Seconds from 1970 to its beginning, as if there were no zones.
    begin: i64,
    ahead: i64,
}

impl Kept {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            named: None,
            today: None,
            hours: [None; 2],
        }
    }

    /// The instant of a stamp, if there is such a one.
    #[inline]
    pub(crate) fn instant(
        &mut self,
        stamp: Stamp<'_>,
        reading: Reading<'_>,
    ) -> Result<Timestamp, Unusable> {
        match self.known(stamp, reading) {
            Some(secs) => Ok(Timestamp::from_secs(secs)),
            None => unusual(stamp, reading),
        }
    }

    /// The seconds since 1970 of an everyday stamp.
    #[inline]
    fn known(&mut self, stamp: Stamp<'_>, reading: Reading<'_>) -> Option<i64> {
        let (hour, minute, second) = stamp.time;
        if !(0..=59).contains(&minute) || !(0..=59).contains(&second) {
            return None;
        }
        let past = i64::from(minute) * 60 + i64::from(second);
        let day = stamp.day?;
        let ahead = match stamp.zone {
            None => reading.log_zone.map(LogZone::ahead),
            Some(name) => Some(self.named(name)?),
        };
        let [this, before] = &mut self.hours;
        if let Some(year) = stamp.year {
            let hour = Hour::kept(this, (year, day, hour), reading.zone)?;
            return Some(hour.begin + past - ahead.unwrap_or(hour.ahead));
        }
        let today = Today::kept(&mut self.today, reading)?;
        let mut found = Hour::kept(this, (today.year, day, hour), reading.zone)?;
        let day_before = found.begin + past - ahead.unwrap_or(0) - today.ahead - DAY;
        if reading.now < Timestamp::from_secs(day_before) {
            found = Hour::kept(before, (today.year - 1, day, hour), reading.zone)?;
        }
        Some(found.begin + past - ahead.unwrap_or(found.ahead))
    }

    fn named(&mut self, name: &str) -> Option<i64> {
        match &self.named {
            Some((kept, ahead)) if kept == name => Some(*ahead),
            _ => {
                let ahead = offset(name).ok()?;
                self.named = Some((name.to_owned(), ahead));
                Some(ahead)
            }
        }
    }
}

#[cold]
fn unusual(stamp: Stamp<'_>, reading: Reading<'_>) -> Result<Timestamp, Unusable> {
    Fields::from(stamp).instant(reading)
}

impl Today {
    #[inline]
    fn kept(kept: &mut Option<Self>, reading: Reading<'_>) -> Option<Self> {
        match kept {
            Some(kept) if kept.begin <= reading.now && reading.now < kept.end => Some(*kept),
            _ => {
                *kept = Self::new(reading);
                *kept
            }
        }
    }

    /// If distance and year are the same at both ends of the hour, they are so all
    /// through it: no zone moves there and back within an hour.
    #[cold]
    fn new(reading: Reading<'_>) -> Option<Self> {
        let begin = reading.now.secs().div_euclid(HOUR) * HOUR;
        let at = |secs: i64| {
            let ahead = reading.zone.ahead(Timestamp::from_secs(secs));
            (ahead, calendar(secs + ahead).year())
        };
        let (ahead, year) = at(begin);
        (at(begin + HOUR - 1) == (ahead, year)).then_some(Self {
            begin: Timestamp::from_secs(begin),
            end: Timestamp::from_secs(begin + HOUR),
            ahead,
            year,
        })
    }
}

impl Hour {
    #[inline]
    fn kept(
        kept: &mut Option<Self>,
        (year, day, hour): (i16, (i8, i8), i8),
        zone: &Zone,
    ) -> Option<Self> {
        match kept {
            Some(kept) if (kept.year, kept.day, kept.hour) == (year, day, hour) => Some(*kept),
            _ => {
                let new = Self::new(year, day, hour, zone)?;
                *kept = Some(new);
                Some(new)
            }
        }
    }

    /// If the clock shows both ends of the hour once only, at the same distance from
    /// UTC, that is so all through it.
    #[cold]
    fn new(year: i16, day: (i8, i8), hour: i8, zone: &Zone) -> Option<Self> {
        let date = date(year.into(), day.0.into(), day.1.into()).ok()?;
        let at = |minute, second| {
            let civil = date.to_datetime(time(hour.into(), minute, second).ok()?);
            Some((seconds(civil)?, zone.ahead_on(civil)?))
        };
        let ((begin, ahead), (_, ahead_at_end)) = (at(0, 0)?, at(59, 59)?);
        (ahead == ahead_at_end).then_some(Self {
            year,
            day,
            hour,
            begin,
            ahead,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Instants near which a zone moves, a year ends or a day is missing.
    const EDGES: [i64; 8] = [
        1_774_746_000,   // 2026-03-29 01:00 UTC: summer in Berlin
        1_792_890_000,   // 2026-10-25 01:00 UTC: winter in Berlin
        1_775_314_800,   // 2026-04-04 15:00 UTC: half an hour back on Lord Howe
        1_791_041_400,   // 2026-10-03 15:30 UTC: half an hour forward on Lord Howe
        1_798_761_600,   // 2027-01-01 00:00 UTC
        1_835_395_200,   // 2028-02-29 00:00 UTC
        1_325_239_200,   // 2011-12-30 10:00 UTC: a day is left out in Apia
        253_402_207_200, // 9999-12-30 22:00 UTC: nothing is later
    ];

    /// The last moves by half an hour in the middle of an hour, which no zone of our days does.
    const ZONES: [&str; 7] = [
        "UTC",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/St_Johns",
        "Asia/Kathmandu",
        "AAA0BBB-0:30,M3.5.0/1:15,M10.5.0/1:15",
    ];

    fn zone(name: &str) -> Zone {
        Zone::named(name).or_else(|_| Zone::posix(name)).unwrap()
    }

    /// A stamp of the time that is so many seconds from an edge, and when it is read.
    fn read(edge: i64) -> impl Strategy<Value = (Stamp<'static>, i64)> {
        let step = prop_oneof![-3..3_i64, -8000..8000_i64, -90_000..90_000_i64];
        let zone = prop_oneof![
            3 => Just(None),
            1 => proptest::sample::select(vec![
                Some("UTC"), Some("CET"), Some("+0530"), Some("-0900"), Some("utc"), Some("XYZ"),
            ]),
        ];
        let odd = proptest::option::weighted(0.05, (0..13_i8, 0..33_i8, 0..62_i8));
        let now = prop_oneof![
            -3..3_i64,
            -90_000..90_000_i64,
            Just(-31_536_000),
            Just(31_536_000),
            Just(i64::MIN),
            Just(i64::MAX),
        ];
        (step, zone, any::<bool>(), 0..10_u8, odd, now).prop_map(
            move |(step, zone, with_year, with_day, odd, now)| {
                let moved = Timestamp::from_secs(edge + step);
                let civil = crate::zone::to_jiff(moved);
                let civil = jiff::tz::Offset::UTC.to_datetime(civil);
                let mut day = (civil.month(), civil.day());
                let mut time = (civil.hour(), civil.minute(), civil.second());
                if let Some((month, on, number)) = odd {
                    day = (month, on);
                    time = (time.0, number, number);
                }
                let stamp = Stamp {
                    year: with_year.then_some(civil.year()),
                    day: (with_day > 0).then_some(day),
                    time,
                    zone,
                };
                (stamp, edge.saturating_add(now))
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn what_is_kept_says_what_would_be_found_out(
            (zone, log_zone) in (0..ZONES.len(), 0..4_usize),
            reads in (0..EDGES.len()).prop_flat_map(|edge| {
                proptest::collection::vec(read(EDGES[edge]), 1..20)
            }),
        ) {
            let zone = self::zone(ZONES[zone]);
            let log_zone = (log_zone == 0).then(|| LogZone::parse("-0330").unwrap());
            let mut kept = Kept::new();
            for (stamp, now) in reads {
                let now = Timestamp::from_secs(now);
                let reading = Reading { zone: &zone, log_zone, now };
                let expected = Fields::from(stamp).instant(reading);
                prop_assert_eq!(kept.instant(stamp, reading), expected, "{:?} at {}", stamp, now);
            }
        }
    }

    #[test]
    fn the_second_of_the_same_hour_is_known() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let now = Timestamp::from_secs(EDGES[4]);
        let reading = Reading {
            zone: &zone,
            log_zone: None,
            now,
        };
        let stamp = |hour, zone| Stamp {
            year: None,
            day: Some((12, 31)),
            time: (hour, 30, 0),
            zone,
        };
        let mut kept = Kept::new();
        // Of the last year, and so known in both.
        let secs = kept.known(stamp(12, None), reading);
        assert_eq!(secs, Some(1_798_716_600));
        assert_eq!(
            kept.hours.map(|hour| hour.map(|hour| hour.year)),
            [Some(2027), Some(2026)]
        );
        assert_eq!(
            kept.known(stamp(12, Some("UTC")), reading),
            Some(1_798_720_200)
        );
        assert_eq!(kept.named, Some(("UTC".to_owned(), 0)));
        assert_eq!(kept.known(stamp(24, None), reading), None);
    }
}
