//! The default templates: the ways to write a time that nobody has to configure.
//!
//! Each is a function that reads one template where its [`Reader`] stands. They
//! are called `D01` to `D17` after their place in fail2ban's list; the pattern
//! above each function is what it reads. Two templates may fit the same text, so
//! the order of the lists below matters.
//!
//! Where in the line to look, and whom to believe when several fit, is left to
//! [`detector`](crate::detector).

use crate::Timestamp;
use crate::fields::{Fields, Value, ZoneField};
use crate::pattern::{Reader, is_word};
use crate::zone::abbreviation;

/// Reads a template: where it ends, and what it says.
pub(crate) type Template = fn(Reader<'_>) -> Option<(usize, Value)>;

/// Those looked for at the beginning of the line, in order.
pub(crate) const AT_BEGIN: &[Template] = &[
    iso,
    syslog,
    syslog_year,
    day_month,
    day_month_name,
    month_day,
    month_day_dashed,
    epoch,
    six_digits,
    half_day,
    eight_digits,
    zone_name_syslog,
    offset_syslog,
    tai64n,
    time_only,
];

/// Those that begin with the first character of the line or not at all, in order.
pub(crate) const AT_FIRST: &[Template] = &[angled, short_month_name];

/// Those that may begin with `byte` inside a line, in order, and whether `byte`
/// must not follow a word character. Without a [`clock`] in the line there are few.
pub(crate) const fn inside(byte: u8, clock: bool) -> (&'static [Template], bool) {
    match (byte, clock) {
        (b'0'..=b'9', true) => (DIGIT, true),
        (b'0'..=b'9', false) => (&[audit, eight_digits], true),
        (b'@', _) => (&[tai64n], false),
        (b'A'..=b'Z' | b'a'..=b'z', true) => (LETTER, true),
        (b'+' | b'-', true) => (&[offset_syslog], false),
        (b' ', true) => (&[day_month, day_month_name], false),
        _ => (&[], false),
    }
}

/// Whether a line has hours and minutes with a colon between them: a cheap
/// question that spares most lines without a date the dear ones.
pub(crate) fn clock(line: &str) -> bool {
    let is_clock = |bytes: &[u8]| matches!(bytes, [b'0'..=b'9', b':', b'0'..=b'9']);
    line.as_bytes().windows(3).any(is_clock)
}

const DIGIT: &[Template] = &[
    iso,
    day_month,
    day_month_name,
    month_day,
    month_day_dashed,
    audit,
    six_digits,
    eight_digits,
];
const LETTER: &[Template] = &[syslog, syslog_year, half_day, zone_name_syslog];

/// D01 `%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?`
fn iso(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let year = r.year()?;
    let separator = r.one_of(b"-/.")?;
    let month = r.month()?;
    r.byte(separator)?;
    let day = r.day()?;
    r.byte(b'T').or_else(|| r.blanks())?;
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    let (end, zone) = r.tail(b".,", Reader::spaced_zone)?;
    let stamp = date(year, (month, day), (hour, minute, second));
    zoned((end, stamp), zone.unwrap_or_default())
}

/// D02 `(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`
fn syslog(mut r: Reader<'_>) -> Option<(usize, Value)> {
    r.weekday();
    let month = r.month_name()?;
    r.byte(b' ')?;
    let day = r.day()?;
    r.byte(b' ')?;
    let hour = r.blank_hour()?;
    let (minute, second) = r.minute_second()?;
    let (end, year) = r.tail(b".", |r| {
        r.byte(b' ')?;
        r.year()
    })?;
    let zone = ZoneField::Absent;
    Some((
        end,
        Value::Fields(Fields {
            year,
            day: Some((month, day)),
            hour,
            minute,
            second,
            zone,
        }),
    ))
}

/// D03 `(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?`
fn syslog_year(mut r: Reader<'_>) -> Option<(usize, Value)> {
    r.weekday();
    let month = r.month_name()?;
    r.byte(b' ')?;
    let day = r.day()?;
    r.byte(b' ')?;
    let year = r.year()?;
    r.byte(b' ')?;
    let hour = r.blank_hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b".")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D04 `%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S`
fn day_month(mut r: Reader<'_>) -> Option<(usize, Value)> {
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
    let hour = r.blank_hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b"")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D05 `%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?`
fn day_month_name(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let day = r.day()?;
    let separator = r.one_of(b"-/")?;
    let month = r.month_name()?;
    r.byte(separator)?;
    let year = r.year()?;
    r.one_of(b" :").or(Some(0))?;
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    let (end, zone) = r.tail(b".", |r| {
        r.byte(b' ')?;
        r.zone(true)
    })?;
    let stamp = date(year, (month, day), (hour, minute, second));
    zoned((end, stamp), zone.unwrap_or_default())
}

/// D06 `%m/%d/%ExY:%H:%M:%S`
fn month_day(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let month = r.month()?;
    r.byte(b'/')?;
    let day = r.day()?;
    r.byte(b'/')?;
    let year = r.year()?;
    r.byte(b':')?;
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b"")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D07 `%m-%d-%ExY %k:%M:%S(?:\.%f)?`
fn month_day_dashed(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let month = r.month()?;
    r.byte(b'-')?;
    let day = r.day()?;
    r.byte(b'-')?;
    let year = r.year()?;
    r.byte(b' ')?;
    let hour = r.blank_hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b".")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D08 at line start: `\d{10,11}` and perhaps `.` with 3 to 6 digits. A bracket
/// opened before it as the first character must close after it.
fn epoch(r: Reader<'_>) -> Option<(usize, Value)> {
    let (end, value) = seconds(r)?;
    let bracketed = r.at() == 1 && r.line().starts_with('[');
    (!bracketed || r.moved(end).peek() == Some(b']')).then_some((end, value))
}

/// D08 elsewhere: after `audit(`
fn audit(r: Reader<'_>) -> Option<(usize, Value)> {
    let before = r.line().get(..r.at())?.strip_suffix("audit(")?;
    if before.chars().next_back().is_some_and(is_word) {
        None
    } else {
        seconds(r)
    }
}

fn seconds(mut r: Reader<'_>) -> Option<(usize, Value)> {
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
fn time_only(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b"")?,
        Value::Fields(Fields {
            hour,
            minute,
            second,
            ..Fields::default()
        }),
    ))
}

/// D10 `^<%m/%d/%Exy@%H:%M:%S>`
fn angled(mut r: Reader<'_>) -> Option<(usize, Value)> {
    r.byte(b'<')?;
    let month = r.month()?;
    r.byte(b'/')?;
    let day = r.day()?;
    r.byte(b'/')?;
    let year = r.short_year()?;
    r.byte(b'@')?;
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    r.byte(b'>')?;
    Some((r.at(), date(year, (month, day), (hour, minute, second))))
}

/// D11 `%Exy%Exm%Exd  ?%H:%M:%S`
fn six_digits(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let year = r.short_year()?;
    let month = r.two_digit_month()?;
    let day = r.two_digit_day()?;
    r.blanks()?;
    let hour = r.hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b"")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D12 `%b %d, %ExY %I:%M:%S %p`
fn half_day(mut r: Reader<'_>) -> Option<(usize, Value)> {
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
fn short_month_name(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let month = r.month_name()?;
    r.byte(b'-')?;
    let day = r.day()?;
    r.byte(b'-')?;
    let year = r.short_year()?;
    r.byte(b' ')?;
    let hour = r.blank_hour()?;
    let (minute, second) = r.minute_second()?;
    Some((
        r.plain_tail(b"")?,
        date(year, (month, day), (hour, minute, second)),
    ))
}

/// D14 `%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?`
fn eight_digits(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let year = r.year()?;
    let month = r.two_digit_month()?;
    let day = r.two_digit_day()?;
    r.one_of(b"-T").map(|_| ()).or_else(|| r.blanks())?;
    let hour = r.two_digit_hour()?;
    let (minute, second) = r.two_digit_minute_second()?;
    let (end, zone) = r.tail(b".,", Reader::spaced_zone)?;
    let stamp = date(year, (month, day), (hour, minute, second));
    zoned((end, stamp), zone.unwrap_or_default())
}

/// D15 `(?:%Z )?` before D02. Without a zone it is D02, which was tried before.
fn zone_name_syslog(mut r: Reader<'_>) -> Option<(usize, Value)> {
    let name = r.zone_name()?;
    let stamp = syslog(r)?;
    zoned(
        stamp,
        abbreviation(name).map_or(ZoneField::Unknown, ZoneField::Ahead),
    )
}

/// D16 `(?:%z )?` before D02. Without a zone it is D02, and with a name D15.
fn offset_syslog(mut r: Reader<'_>) -> Option<(usize, Value)> {
    if !matches!(r.peek()?, b'+' | b'-') {
        return None;
    }
    let zone = r.zone(true)?;
    r.byte(b' ')?;
    zoned(syslog(r)?, zone)
}

/// D17 `@` and 24 hexadecimal digits: a label of the seconds since 1970, a 4 before
/// them, and of nanoseconds. The leap seconds in it are not taken out again.
pub(crate) fn tai64n(mut r: Reader<'_>) -> Option<(usize, Value)> {
    r.byte(b'@')?;
    r.hex(1)?;
    let seconds = r.hex(15)?;
    r.hex(8)?;
    Some((
        r.plain_tail(b"")?,
        Value::Instant(Timestamp::from_secs(seconds)),
    ))
}

fn zoned((end, value): (usize, Value), zone: ZoneField) -> Option<(usize, Value)> {
    match value {
        Value::Fields(fields) => Some((end, Value::Fields(Fields { zone, ..fields }))),
        Value::Instant(_) => None,
    }
}

/// A stamp without a zone.
const fn date(year: i16, day: (i8, i8), (hour, minute, second): (i8, i8, i8)) -> Value {
    let zone = ZoneField::Absent;
    Value::Fields(Fields {
        year: Some(year),
        day: Some(day),
        hour,
        minute,
        second,
        zone,
    })
}
