//! From the fields of a stamp to an instant: which year, which zone, and no
//! thirtieth of February.
//!
//! Where the fields stand in the line is left to [`template`](crate::template).

use ferroban_regex::Captures;
use jiff::Span;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use crate::decimal::int;
use crate::log_zone::{LogZone, NoOffset, offset};
use crate::zone::to_jiff;
use crate::{Timestamp, Unusable, Zone};

pub(crate) const DAY: i64 = 86_400;

/// Where and when a line is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    /// The zone of the machine.
    pub(crate) zone: &'a Zone,
    /// That of the log's stamps that name none, if it is not the machine's.
    pub(crate) log_zone: Option<LogZone>,
    pub(crate) now: Timestamp,
}

/// A stamp as nearly all are: a day, if it is told, by its number in a month, and a
/// time of day. The numbers are as written: they need not be a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp<'a> {
    pub(crate) year: Option<i16>,
    /// Month and day.
    pub(crate) day: Option<(i8, i8)>,
    /// Hour, minute and second.
    pub(crate) time: (i8, i8, i8),
    /// A zone's name, an offset or both, as written.
    pub(crate) zone: Option<&'a str>,
}

/// Any stamp in a calendar's terms. The numbers are as written: they need not be a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields<'a> {
    pub(crate) year: Option<i64>,
    pub(crate) month: Option<i64>,
    pub(crate) day: Option<i64>,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 for Monday.
    pub(crate) weekday: Option<i64>,
    pub(crate) yearday: Option<i64>,
    /// The week of the year, and whether weeks begin on Sunday.
    pub(crate) week: Option<(i64, bool)>,
    /// A zone's name, an offset or both, as written.
    pub(crate) zone: Option<&'a str>,
}

impl<'a> From<Stamp<'a>> for Fields<'a> {
    fn from(stamp: Stamp<'a>) -> Self {
        let (month, day) = stamp.day.unzip();
        let (hour, minute, second) = stamp.time;
        Self {
            year: stamp.year.map(i64::from),
            month: month.map(i64::from),
            day: day.map(i64::from),
            hour: hour.into(),
            minute: minute.into(),
            second: second.into(),
            zone: stamp.zone,
            ..Self::default()
        }
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The place of a name, or of its first three letters if it is `short`.
fn place(names: &[&str], name: &str, short: bool) -> Option<i64> {
    let name = name.to_lowercase();
    let mut known = names.iter();
    let at = known.position(|known| {
        let known = if short { known.get(..3) } else { Some(*known) };
        known == Some(&*name)
    })?;
    i64::try_from(at).ok()
}

impl<'a> Fields<'a> {
    /// What the named groups of a match say, in the order of the groups.
    pub(crate) fn of<'n>(
        captures: &Captures<'a>,
        names: impl Iterator<Item = (&'n str, usize)>,
    ) -> Result<Self, Unusable> {
        let mut fields = Self::default();
        let mut half = None;
        for (name, group) in names {
            let Some(text) = captures.get(group) else {
                continue;
            };
            if name == "I" {
                half = Some(text);
            }
            fields.set(name, text)?;
        }
        if half.is_some() {
            let am_pm = captures.name("p").unwrap_or("").to_lowercase();
            fields.hour = match (am_pm.as_str(), fields.hour) {
                ("" | "am", 12) => 0,
                ("pm", 12) => 12,
                ("pm", hour) => hour.saturating_add(12),
                (_, hour) => hour,
            };
        }
        Ok(fields)
    }

    /// The same in short, if it tells the day by its number in a month: then whatever
    /// else tells the day is not asked.
    pub(crate) fn stamp(&self) -> Option<Stamp<'a>> {
        let year = match self.year {
            None => None,
            Some(year) => Some(i16::try_from(year).ok()?),
        };
        let small = |number: i64| i8::try_from(number).ok();
        let time = (small(self.hour)?, small(self.minute)?, small(self.second)?);
        Some(Stamp {
            year,
            day: Some((small(self.month?)?, small(self.day?)?)),
            time,
            zone: self.zone,
        })
    }

    fn set(&mut self, name: &str, text: &'a str) -> Result<(), Unusable> {
        let number = || int(text).ok_or(Unusable::NotATime);
        let named = |place: Option<i64>| place.ok_or(Unusable::NotATime);
        match name {
            "y" => self.year = Some(this_century(number()?)),
            "Y" => self.year = Some(number()?),
            "m" => self.month = Some(number()?),
            "b" => self.month = Some(named(place(&MONTHS, text, true))? + 1),
            "B" => self.month = Some(named(place(&MONTHS, text, false))? + 1),
            "d" => self.day = Some(number()?),
            "H" | "I" => self.hour = number()?,
            "M" => self.minute = number()?,
            "S" => self.second = number()?,
            "a" => self.weekday = Some(named(place(&WEEKDAYS, text, true))?),
            "A" => self.weekday = Some(named(place(&WEEKDAYS, text, false))?),
            "w" => self.weekday = Some(from_monday(number()?)),
            "j" => self.yearday = Some(number()?),
            "U" | "W" => self.week = Some((number()?, name == "U")),
            "z" | "Z" => {
                self.zone = Some(text);
                // A zone that is none is told before whatever else is wrong.
                offset(text).map_err(NoOffset::unusable)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The instant, if there is such a one.
    pub(crate) fn instant(&self, reading: Reading<'_>) -> Result<Timestamp, Unusable> {
        let ahead = match self.zone {
            None => reading.log_zone.map(LogZone::ahead),
            Some(name) => Some(offset(name).map_err(NoOffset::unusable)?),
        };
        let date = self.date(reading, ahead)?;
        let time = match ahead {
            None => reading.zone.instant(date, reading.now),
            Some(ahead) => seconds(date).map(|secs| Timestamp::from_secs(secs - ahead)),
        };
        time.ok_or(Unusable::NotATime)
    }

    /// Date and time as written, with what the stamp leaves out taken from `now`.
    ///
    /// A day left out is the last one on which it has been so late; a year left
    /// out is this one unless that lies more than a day ahead, then the last.
    /// As in the original, what lies ahead is judged by the clock on the wall,
    /// even of a stamp of another zone: it is taken to UTC, `now` is not.
    fn date(&self, reading: Reading<'_>, ahead: Option<i64>) -> Result<DateTime, Unusable> {
        let wall = reading
            .now
            .secs()
            .saturating_add(reading.zone.ahead(reading.now));
        let year = self.year.unwrap_or_else(|| calendar(wall).year().into());
        let (year, month, day) = self.day_of(year)?.unwrap_or_else(|| {
            let today = calendar(wall);
            (year, today.month().into(), today.day().into())
        });
        let time = time(self.hour, self.minute, self.second)?;
        let on = |year| Ok(date(year, month, day)?.to_datetime(time));
        let date = on(year)?;
        if self.year.is_some() && self.is_dated() {
            return Ok(date);
        }
        let early_by = seconds(date)
            .ok_or(Unusable::NotATime)?
            .saturating_sub(ahead.unwrap_or(0))
            .saturating_sub(wall);
        if !self.is_dated() && early_by > 0 {
            let before = date.date().yesterday().map_err(|_| Unusable::NotATime)?;
            return Ok(before.to_datetime(time));
        }
        if self.year.is_none() && early_by > DAY {
            return on(year - 1);
        }
        Ok(date)
    }

    /// Whether the stamp tells the day.
    fn is_dated(&self) -> bool {
        let week = self.week.is_some() && self.weekday.is_some();
        self.month.is_some() || self.day.is_some() || self.yearday.is_some() || week
    }

    /// Year, month and day of a stamp of that year, if it tells its day.
    fn day_of(&self, year: i64) -> Result<Option<(i64, i64, i64)>, Unusable> {
        if let (Some(month), Some(day)) = (self.month, self.day) {
            return Ok(Some((year, month, day)));
        }
        let yearday = match (self.yearday, self.week, self.weekday) {
            (None, Some(week), Some(weekday)) => Some(yearday(year, week, weekday)?),
            (yearday, ..) => yearday,
        };
        if let Some(yearday) = yearday {
            let first = date(year, 1, 1)?;
            let days = yearday.checked_sub(1).ok_or(Unusable::NotATime)?;
            let day = first
                .checked_add(Span::new().try_days(days).map_err(|_| Unusable::NotATime)?)
                .map_err(|_| Unusable::NotATime)?;
            return Ok(Some((
                day.year().into(),
                day.month().into(),
                day.day().into(),
            )));
        }
        if self.month.is_some() || self.day.is_some() {
            return Err(Unusable::Incomplete);
        }
        Ok(None)
    }
}

/// A day of the week counted from Sunday, counted from Monday.
const fn from_monday(day: i64) -> i64 {
    if day < 1 { 6 } else { day - 1 }
}

/// Two digits are a year of this century.
const fn this_century(year: i64) -> i64 {
    if year <= 2000 {
        year.saturating_add(2000)
    } else {
        year
    }
}

/// The day of the year, counted from 1, of a day of a week. The days before the
/// first whole week are week 0.
fn yearday(year: i64, (week, from_sunday): (i64, bool), weekday: i64) -> Result<i64, Unusable> {
    let first = date(year, 1, 1)?.weekday();
    let (first, weekday) = if from_sunday {
        (first.to_sunday_zero_offset(), (weekday + 1) % 7)
    } else {
        (first.to_monday_zero_offset(), weekday)
    };
    let first = i64::from(first);
    let weeks = week.checked_mul(7).ok_or(Unusable::NotATime)?;
    // Week 0 is the one of New Year, unless that is the first day of a week.
    let skipped = if first == 0 { 7 } else { 0 };
    let skipped = if week == 0 { 0 } else { skipped };
    weeks
        .checked_sub(skipped)
        .and_then(|days| days.checked_add(1 + weekday - first))
        .ok_or(Unusable::NotATime)
}

pub(crate) fn date(year: i64, month: i64, day: i64) -> Result<Date, Unusable> {
    let date = || {
        let year = i16::try_from(year).ok().filter(|year| *year > 0)?;
        Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
    };
    date().ok_or(Unusable::NotATime)
}

pub(crate) fn time(hour: i64, minute: i64, second: i64) -> Result<Time, Unusable> {
    let time = || {
        let (hour, minute) = (hour.try_into().ok()?, minute.try_into().ok()?);
        Time::new(hour, minute, second.try_into().ok()?, 0).ok()
    };
    time().ok_or(Unusable::NotATime)
}

/// The last year that `%ExY` takes: the end of the decade in which the third year
/// from now lies. Never before 2029: a machine that wakes up in 1970 can still
/// read its logs.
pub(crate) fn last_year(now: Timestamp) -> i16 {
    let year = calendar(now.secs()).year();
    ((year + 3).div_euclid(10) * 10 + 9).clamp(2029, 9999)
}

/// Seconds from 1970 to `date`, as if there were no zones.
pub(crate) fn seconds(date: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(date).ok()?.as_second())
}

/// The inverse of [`seconds`].
pub(crate) fn calendar(seconds: i64) -> Date {
    Offset::UTC
        .to_datetime(to_jiff(Timestamp::from_secs(seconds)))
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
    fn a_logs_own_zone_is_that_of_stamps_that_name_none() {
        let cases = [
            // line, zone of the log, expected
            ("13:30:00 x", "UTC", "2026-06-15 13:30:00"),
            ("Jun 16 20:00:00 x", "UTC", "2026-06-16 20:00:00"),
            ("Jun 15 12:00:00 x", "", "2026-06-15 12:00:00"),
            ("Jun 15 12:00:00 x", "CET+0100", "2026-06-15 10:00:00"),
            ("2026-06-15 12:00:00Z x", "CET", "2026-06-15 12:00:00"),
            ("1781524681 x", "CET", "2026-06-15 11:58:01"),
        ];
        let zone = Zone::named("Asia/Tokyo").unwrap();
        for (line, log_zone, expected) in cases {
            let log_zone = LogZone::parse(log_zone).unwrap();
            let mut detector = Detector::new(zone.clone()).in_log_zone(log_zone);
            let found = detector.find(line, Timestamp::from_secs(NOON)).unwrap();
            assert_eq!(local_text(found.time, &Zone::utc()), expected, "{line}");
        }
    }

    #[test]
    fn days_of_the_year_and_of_the_week_are_days() {
        let cases = [
            // pattern, line, expected
            ("%Y-%j %H:%M", "2024-366 10:00 x", "2024-12-31 10:00:00"),
            ("%Y-%j %H:%M", "2025-366 10:00 x", "2026-01-01 10:00:00"),
            ("%Y %W %w %H:%M", "2026 24 1 11:58 x", "2026-06-15 11:58:00"),
            ("%Y %W %w %H:%M", "2026 0 4 11:58 x", "2026-01-01 11:58:00"),
            (
                "%Y %U %a %H:%M",
                "2026 24 Sun 11:58 x",
                "2026-06-14 11:58:00",
            ),
            ("%Y %U %w %H:%M", "2023 1 0 11:58 x", "2023-01-01 11:58:00"),
            ("%j %H:%M", "300 11:58 x", "2025-10-27 11:58:00"),
        ];
        for (pattern, line, expected) in cases {
            let (patterns, now) = ([pattern.to_owned()], Timestamp::from_secs(NOON));
            let mut detector = Detector::with_patterns(&patterns, Zone::utc(), now).unwrap();
            let found = detector.find(line, now).unwrap();
            assert_eq!(local_text(found.time, &Zone::utc()), expected, "{line}");
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
