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
