//! The form of the last line's date: where its clock stands, and what else it says.
//!
//! Lines of a log follow each other with the same date but for the time of day, and
//! perhaps a fraction of the second, which tells nothing. If all other bytes that were
//! looked at are the same, so is what they say, and only the clock is read.

use crate::fields::Stamp;
use crate::line::Line;
use crate::quick::{Seen, Value};
use crate::reader::usual_time;

/// More bytes than most dates have, and are looked at after them.
const SIZE: usize = 48;

/// So many bytes past the end of a date are looked at, at most, if neither many blanks
/// stand there nor what might be a fraction: a blank, `+hh:mm`, and what would be glued
/// to that.
const LOOKED_AT: usize = 8;

/// The form of a date at the beginning of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    line: [u8; SIZE],
    /// All bits of the bytes that must be the same.
    same: [u8; SIZE],
    last_year: i16,
    clock: usize,
    /// Where the first digit of the fraction stands, and where the last ended.
    fraction: (usize, usize),
    zone: Option<(usize, usize)>,
    /// Whether a blank follows and nothing after that need be the same, if it is
    /// [`idle`].
    free: bool,
    start: usize,
    cut: (usize, usize),
    stamp: Stamp<'static>,
}

impl Shape {
    /// The form of a date that was read in a line, if it has a clock of the usual form,
    /// with the hours of a whole day.
    pub(crate) fn new(line: &Line<'_>, seen: &Seen<'_>) -> Option<Self> {
        let Value::Stamp(stamp) = seen.value else {
            return None;
        };
        let bytes: &[u8; SIZE] = line.text().as_bytes().first_chunk()?;
        let (begin, end) = seen.cut;
        let free = matches!(bytes.get(end..)?, [b' ', next, ..] if idle(*next));
        let reach = if free {
            end + 1
        } else {
            looked_at(bytes, end)?
        };
        let date = bytes.get(begin..end)?;
        // The last, because an hour before it may look like the end of a year.
        let mut clocks = date.windows(8).enumerate().rev();
        let is_clock = |text: &[u8]| text.first_chunk().and_then(|text| usual_time(*text));
        let clock = clocks
            .find(|(_, text)| is_clock(text) == Some(stamp.time))?
            .0
            + begin;
        let fraction = fraction(bytes.get(clock + 8..end)?);
        let fraction = (clock + 9, clock + 9 + fraction);
        let mut same = [0; SIZE];
        same.get_mut(..reach)?.fill(0xff);
        same.get_mut(clock..clock + 8)?.fill(0);
        same.get_mut(fraction.0..fraction.1)?.fill(0);
        Some(Self {
            line: *bytes,
            same,
            last_year: line.last_year(),
            clock,
            fraction,
            zone: match stamp.zone {
                None => None,
                Some(zone) => Some(place(date, zone.as_bytes(), begin)?),
            },
            free,
            start: seen.start,
            cut: seen.cut,
            stamp: Stamp {
                zone: None,
                ..stamp
            },
        })
    }

    /// The date of a line of the same form.
    pub(crate) fn read<'a>(&self, line: &'a str, last_year: i16) -> Option<Seen<'a>> {
        let bytes: &[u8; SIZE] = line.as_bytes().first_chunk()?;
        let both = bytes.iter().zip(&self.line).zip(&self.same);
        let different = both.fold(0, |all, ((new, old), same)| all | (new ^ old) & same);
        if different != 0 || last_year != self.last_year {
            return None;
        }
        let digits = bytes.get(self.fraction.0..self.fraction.1)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        if self.free && !bytes.get(self.cut.1 + 1).copied().is_some_and(idle) {
            return None;
        }
        let time = usual_time(*bytes.get(self.clock..)?.first_chunk()?)?;
        let zone = match self.zone {
            None => None,
            Some((from, to)) => Some(line.get(from..to)?),
        };
        Some(Seen {
            start: self.start,
            cut: self.cut,
            value: Value::Stamp(Stamp {
                time,
                zone,
                ..self.stamp
            }),
        })
    }
}

/// Whether a date has ended if this stands after it and a blank: it begins neither a
/// year nor a zone, and is no blank.
fn idle(byte: u8) -> bool {
    let begins = matches!(byte, b'+' | b'-' | b'Z' | b'z' | b'U' | b'u' | b'G' | b'g');
    byte.is_ascii_graphic() && !byte.is_ascii_digit() && !begins
}

/// How far a line was looked at to find that a date ends there; none if it cannot be
/// told.
fn looked_at(line: &[u8], end: usize) -> Option<usize> {
    let after = line.get(end..end + LOOKED_AT)?;
    let next = match after {
        [b'.' | b',', ..] => return None,
        [b' ', next, ..] | [next, ..] => next,
        [] => return None,
    };
    // The last may be of a word, or not: of another character its bytes tell too little.
    (next.is_ascii_graphic() && after.is_ascii()).then_some(end + LOOKED_AT)
}

/// How many digits a fraction has at the beginning of a text.
fn fraction(text: &[u8]) -> usize {
    match text {
        [b'.' | b',', digits @ ..] => {
            let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
            digits.count()
        }
        _ => 0,
    }
}

/// Where in a date that begins at `begin` a zone stands: at an end of it.
fn place(date: &[u8], zone: &[u8], begin: usize) -> Option<(usize, usize)> {
    let end = begin + date.len();
    if date.ends_with(zone) {
        Some((end - zone.len(), end))
    } else {
        date.starts_with(zone)
            .then_some((begin, begin + zone.len()))
    }
}
