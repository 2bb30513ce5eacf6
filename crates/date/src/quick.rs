//! The default templates read by hand, which is many times as fast as their
//! regular expressions.
//!
//! Each is a function that reads one template where its [`Reader`] stands, called
//! after its place in [`builtin`](crate::builtin)'s list. It reads what the
//! expression would match there, on lines that [`Line::is_plain`] tells; a test
//! compares the two. A [`Quick`] says where in the line the function is tried.

use crate::fields::{Reading, Stamp};
use crate::kept::Kept;
use crate::line::{BLANK, COLON, DIGIT, Line, T};
use crate::reader::{Reader, is_word};
use crate::{Timestamp, Unusable};

/// Reads a template: where it ends, and what it says.
type Read = for<'a> fn(Reader<'a>) -> Option<(usize, Value<'a>)>;

/// A template read by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    read: Read,
    starts: Starts,
    clock: Clock,
}

/// Whether a template has hours, minutes and seconds with colons between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Clock {
    /// Perhaps.
    Loose,
    /// Always, and inside a line with one of these before the hour ([`Line::before_clocks`]).
    Day(u8),
    /// The same, and twice the hours of half a day.
    Half(u8),
}

/// Where a template is tried.
#[derive(Clone, Copy, Debug)]
enum Starts {
    /// At the beginning of the line, after at most two characters of no word.
    Begin,
    /// With the first character of the line.
    First,
    /// With such a byte, near a clock, if that does not stand inside a word.
    Near(fn(u8) -> bool),
    /// With this byte, if that does not stand inside a word.
    With(u8),
    /// After `audit(`, and at the beginning.
    Epoch,
}

/// What a date says that was read by hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value<'a> {
    /// Seconds since the epoch.
    Instant(Timestamp),
    /// A calendar's fields.
    Stamp(Stamp<'a>),
}

impl Value<'_> {
    /// The instant, if there is such a one.
    pub(crate) fn instant(
        self,
        reading: Reading<'_>,
        kept: &mut Kept,
    ) -> Result<Timestamp, Unusable> {
        match self {
            Self::Instant(time) => Ok(time),
            Self::Stamp(stamp) => kept.instant(stamp, reading),
        }
    }
}

/// A date that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen<'a> {
    /// Where the match begins: before the date, at the beginning of a line.
    pub(crate) start: usize,
    /// The date.
    pub(crate) cut: (usize, usize),
    pub(crate) value: Value<'a>,
}

impl Quick {
    /// Whether it needs a [`Line::clock`].
    pub(crate) const fn has_clock(&self) -> bool {
        !matches!(self.clock, Clock::Loose)
    }

    /// Whether a clock of the usual form is one of 24 hours.
    pub(crate) const fn has_day_clock(&self) -> bool {
        !matches!(self.clock, Clock::Half(_))
    }

    /// Whether it needs a clock where this line has none.
    #[inline]
    pub(crate) fn is_ruled_out(&self, line: &Line<'_>) -> bool {
        let (Clock::Day(before) | Clock::Half(before)) = self.clock else {
            return false;
        };
        match self.starts {
            Starts::Begin | Starts::First => !line.may_begin_with_clock(),
            Starts::Near(_) | Starts::With(_) | Starts::Epoch => line.before_clocks() & before == 0,
        }
    }

    /// The same template at the beginning of the line.
    pub(crate) fn anchored(self) -> Self {
        let read = match self.starts {
            Starts::Epoch => epoch,
            _ => self.read,
        };
        let starts = Starts::Begin;
        Self {
            read,
            starts,
            ..self
        }
    }

    /// The date of this template at the beginning of the line, if it is bound to that.
    pub(crate) fn find_at_edge<'a>(&self, line: &Line<'a>) -> Option<Seen<'a>> {
        let start = Reader::new(line.text(), line.last_year());
        match self.starts {
            Starts::Begin => self.find_at_begin(start),
            Starts::First => self.seen(start, 0),
            Starts::Near(_) | Starts::With(_) | Starts::Epoch => None,
        }
    }

    /// The first date of this template in `line` that begins at `from` or later and
    /// ends at `to` or earlier, as if the line ended there.
    pub(crate) fn find<'a>(&self, line: &Line<'a>, from: usize, to: usize) -> Option<Seen<'a>> {
        let start = Reader::new(line.text().get(..to)?, line.last_year());
        let try_at = |at| {
            let place = start.moved(at);
            let glued = place
                .peek()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
                && !place.begins_word();
            if glued { None } else { self.seen(place, at) }
        };
        match self.starts {
            Starts::Begin | Starts::First if from > 0 => None,
            Starts::Begin | Starts::First if self.has_clock() && !line.may_begin_with_clock() => {
                None
            }
            Starts::Begin => self.find_at_begin(start),
            Starts::First => self.seen(start, 0),
            Starts::Near(_) if from == 0 && self.is_ruled_out(line) => None,
            // The last winner, in the place that it had.
            Starts::Near(_) if from > 0 => (from..to).find_map(try_at),
            Starts::Near(starts) => {
                let places = line.starts().iter().filter(|place| starts(place.byte));
                places.map(|place| place.at).find_map(try_at)
            }
            Starts::With(byte) => {
                let places = start.line().bytes().enumerate().skip(from);
                let mut places = places.filter(|(_, found)| *found == byte);
                places.find_map(|(at, _)| try_at(at))
            }
            Starts::Epoch => self.find_epoch(start, from),
        }
    }

    fn find_at_begin<'a>(&self, start: Reader<'a>) -> Option<Seen<'a>> {
        let after_marks = skip_mark(start).and_then(|second| {
            let third = skip_mark(second).and_then(|third| self.seen(third, 0));
            third.or_else(|| self.seen(second, 0))
        });
        after_marks.or_else(|| self.seen(start, 0))
    }

    fn find_epoch<'a>(&self, start: Reader<'a>, from: usize) -> Option<Seen<'a>> {
        let audits = start.line().match_indices('(').map(|(at, _)| at + 1);
        let begin = [0, 1].into_iter();
        let mut places = begin.chain(audits).filter(|at| *at >= from);
        places.find_map(|at| self.seen(start.moved(at), at))
    }

    fn seen<'a>(&self, place: Reader<'a>, start: usize) -> Option<Seen<'a>> {
        let (end, value) = (self.read)(place)?;
        Some(Seen {
            start,
            cut: (place.at(), end),
            value,
        })
    }
}

#[inline]
fn skip_mark(place: Reader<'_>) -> Option<Reader<'_>> {
    let mark = place.next_char().filter(|c| !is_word(*c))?;
    Some(place.moved(place.at() + mark.len_utf8()))
}

const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

const fn is_digit_or_blank(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' '
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

const fn is_letter_or_sign(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-')
}

const fn is_two(byte: u8) -> bool {
    byte == b'2'
}

const fn quick(read: Read, starts: Starts, clock: Clock) -> Quick {
    Quick {
        read,
        starts,
        clock,
    }
}

/// The default templates, `D01` first.
pub(crate) const QUICK: [Quick; 17] = [
    quick(iso, Starts::Near(is_two), Clock::Day(T | BLANK)),
    quick(syslog, Starts::Near(is_letter), Clock::Day(BLANK)),
    quick(syslog_year, Starts::Near(is_letter), Clock::Day(BLANK)),
    quick(
        day_month,
        Starts::Near(is_digit_or_blank),
        Clock::Day(BLANK),
    ),
    quick(
        day_month_name,
        Starts::Near(is_digit_or_blank),
        Clock::Day(BLANK | COLON | DIGIT),
    ),
    quick(month_day, Starts::Near(is_digit), Clock::Day(COLON)),
    quick(month_day_dashed, Starts::Near(is_digit), Clock::Day(BLANK)),
    quick(epoch_or_audit, Starts::Epoch, Clock::Loose),
    quick(time_only, Starts::Begin, Clock::Day(0)),
    quick(angled, Starts::First, Clock::Day(0)),
    quick(six_digits, Starts::Near(is_digit), Clock::Day(BLANK)),
    quick(half_day, Starts::Near(is_letter), Clock::Half(BLANK)),
    quick(short_month_name, Starts::First, Clock::Day(BLANK)),
    quick(eight_digits, Starts::With(b'2'), Clock::Loose),
    quick(zone_name_syslog, Starts::Near(is_letter), Clock::Day(BLANK)),
    quick(
        offset_syslog,
        Starts::Near(is_letter_or_sign),
        Clock::Day(BLANK),
    ),
    quick(tai64n, Starts::With(b'@'), Clock::Loose),
];

/// D01 `%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?`
fn iso(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let year = r.year()?;
    let separator = r.one_of(b"-/.")?;
    let month = r.month()?;
    r.byte(separator)?;
    let day = r.day()?;
    r.byte(b'T').or_else(|| r.blanks())?;
    let time = r.time(Reader::hour)?;
    let (end, zone) = r.tail(b".,", Reader::spaced_zone)?;
    let stamp = date(year, (month, day), time);
    Some((end, zoned(stamp, zone)))
}

/// D02 `(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`
fn syslog(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month_after_weekday()?;
    r.byte(b' ')?;
    let day = r.day()?;
    r.byte(b' ')?;
    let time = r.time(Reader::blank_hour)?;
    let (end, year) = r.tail(b".", |r| {
        r.byte(b' ')?;
        r.year()
    })?;
    Some((
        end,
        Value::Stamp(Stamp {
            year,
            day: Some((month, day)),
            time,
            zone: None,
        }),
    ))
}

/// D03 `(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?`
fn syslog_year(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month_after_weekday()?;
    r.byte(b' ')?;
    let day = r.day()?;
    r.byte(b' ')?;
    let year = r.year()?;
    r.byte(b' ')?;
    let time = r.time(Reader::blank_hour)?;
    Some((r.plain_tail(b".")?, date(year, (month, day), time)))
}

/// D04 `%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S`
fn day_month(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let day = r.day()?;
    let separator = r.one_of(b"-/")?;
    let month = r.month()?;
    r.byte(separator)?;
    let mut long = r;
    let year = match long.year() {
        Some(year) => {
            r = long;
            year
        }
        None => r.short_year()?,
    };
    r.byte(b' ')?;
    let time = r.time(Reader::blank_hour)?;
    Some((r.plain_tail(b"")?, date(year, (month, day), time)))
}

/// D05 `%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?`
fn day_month_name(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let day = r.day()?;
    let separator = r.one_of(b"-/")?;
    let month = r.month_name()?;
    r.byte(separator)?;
    let year = r.year()?;
    r.one_of(b" :").or(Some(0))?;
    let time = r.time(Reader::hour)?;
    let (end, zone) = r.tail(b".", |r| {
        r.byte(b' ')?;
        r.zone(true)
    })?;
    let stamp = date(year, (month, day), time);
    Some((end, zoned(stamp, zone)))
}

/// D06 `%m/%d/%ExY:%H:%M:%S`
fn month_day(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month()?;
    r.byte(b'/')?;
    let day = r.day()?;
    r.byte(b'/')?;
    let year = r.year()?;
    r.byte(b':')?;
    let time = r.time(Reader::hour)?;
    Some((r.plain_tail(b"")?, date(year, (month, day), time)))
}

/// D07 `%m-%d-%ExY %k:%M:%S(?:\.%f)?`
fn month_day_dashed(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month()?;
    r.byte(b'-')?;
    let day = r.day()?;
    r.byte(b'-')?;
    let year = r.year()?;
    r.byte(b' ')?;
    let time = r.time(Reader::blank_hour)?;
    Some((r.plain_tail(b".")?, date(year, (month, day), time)))
}

/// D08: `\d{10,11}` and perhaps `.` with 3 to 6 digits. A bracket opened before it
/// as the first character must close after it.
fn epoch(r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let (end, value) = seconds(r)?;
    let bracketed = r.at() == 1 && r.line().starts_with('[');
    (!bracketed || r.moved(end).peek() == Some(b']')).then_some((end, value))
}

/// D08 at the beginning, perhaps in brackets, or after `audit(`.
fn epoch_or_audit(r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let before = r.line().get(..r.at())?;
    if matches!(before, "" | "[") {
        return epoch(r);
    }
    let before = before.strip_suffix("audit(")?;
    let glued = before.chars().next_back().is_some_and(is_word);
    if glued { None } else { seconds(r) }
}

fn seconds(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let (whole, digits) = r.decimal(11);
    if digits < 10 || !r.ends() {
        return None;
    }
    let mut longer = r;
    let fraction = longer.byte(b'.').map(|()| longer.decimal(6));
    let (end, micros) = match fraction {
        Some((part, digits @ 3..=6)) if longer.ends() => {
            (longer, part * [1000, 100, 10, 1][digits - 3])
        }
        _ => (r, 0),
    };
    Some((
        end.at(),
        Value::Instant(Timestamp::from_micros(whole * 1_000_000 + micros)),
    ))
}

/// D09 `{^LN-BEG}%H:%M:%S`
fn time_only(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let time = r.time(Reader::hour)?;
    Some((
        r.plain_tail(b"")?,
        Value::Stamp(Stamp {
            year: None,
            day: None,
            time,
            zone: None,
        }),
    ))
}

/// D10 `^<%m/%d/%Exy@%H:%M:%S>`
fn angled(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    r.byte(b'<')?;
    let month = r.month()?;
    r.byte(b'/')?;
    let day = r.day()?;
    r.byte(b'/')?;
    let year = r.short_year()?;
    r.byte(b'@')?;
    let time = r.time(Reader::hour)?;
    r.byte(b'>')?;
    Some((r.at(), date(year, (month, day), time)))
}

/// D11 `%Exy%Exm%Exd  ?%H:%M:%S`
fn six_digits(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let year = r.short_year()?;
    let month = r.two_digit_month()?;
    let day = r.two_digit_day()?;
    r.blanks()?;
    let time = r.time(Reader::hour)?;
    Some((r.plain_tail(b"")?, date(year, (month, day), time)))
}

/// D12 `%b %d, %ExY %I:%M:%S %p`
fn half_day(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month_name()?;
    r.byte(b' ')?;
    let day = r.day()?;
    r.text(", ")?;
    let year = r.year()?;
    r.byte(b' ')?;
    let hour = r.half_day_hour()?;
    let (minute, second) = r.minute_second()?;
    r.byte(b' ')?;
    let hour = hour % 12 + r.half_day()?;
    Some((
        r.plain_tail(b"")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D13 `^%b-%d-%Exy %k:%M:%S`
fn short_month_name(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let month = r.month_name()?;
    r.byte(b'-')?;
    let day = r.day()?;
    r.byte(b'-')?;
    let year = r.short_year()?;
    r.byte(b' ')?;
    let time = r.time(Reader::blank_hour)?;
    Some((r.plain_tail(b"")?, date(year, (month, day), time)))
}

/// D14 `%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?`
fn eight_digits(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let year = r.year()?;
    let month = r.two_digit_month()?;
    let day = r.two_digit_day()?;
    r.one_of(b"-T").map(|_| ()).or_else(|| r.blanks())?;
    let hour = r.two_digit_hour()?;
    let (minute, second) = r.two_digit_minute_second()?;
    let (end, zone) = r.tail(b".,", Reader::spaced_zone)?;
    let stamp = date(year, (month, day), (hour, minute, second));
    Some((end, zoned(stamp, zone)))
}

/// D15 `(?:%Z )?` before D02. What could be a weekday is a zone here.
fn zone_name_syslog(r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let mut zoned_stamp = r;
    let with_zone = zoned_stamp.zone_name().and_then(|name| {
        let (end, stamp) = syslog(zoned_stamp)?;
        Some((end, zoned(stamp, Some(name))))
    });
    with_zone.or_else(|| syslog(r))
}

/// D16 `(?:%z )?` before D02
fn offset_syslog(r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    let mut zoned_stamp = r;
    let with_zone = zoned_stamp.zone(true).and_then(|zone| {
        zoned_stamp.byte(b' ')?;
        let (end, stamp) = syslog(zoned_stamp)?;
        Some((end, zoned(stamp, Some(zone))))
    });
    with_zone.or_else(|| syslog(r))
}

/// D17 `@` and 24 hexadecimal digits: a label of the seconds since 1970, a 4 before
/// them, and of nanoseconds. The leap seconds in it are not taken out again.
pub(crate) fn tai64n(mut r: Reader<'_>) -> Option<(usize, Value<'_>)> {
    r.byte(b'@')?;
    r.hex(1)?;
    let seconds = r.hex(15)?;
    r.hex(8)?;
    Some((
        r.plain_tail(b"")?,
        Value::Instant(Timestamp::from_secs(seconds)),
    ))
}

fn zoned<'a>(value: Value<'a>, zone: Option<&'a str>) -> Value<'a> {
    match value {
        Value::Stamp(stamp) => Value::Stamp(Stamp { zone, ..stamp }),
        Value::Instant(_) => value,
    }
}

/// A stamp without a zone.
fn date<'a>(year: i16, day: (i8, i8), time: (i8, i8, i8)) -> Value<'a> {
    Value::Stamp(Stamp {
        year: Some(year),
        day: Some(day),
        time,
        zone: None,
    })
}
