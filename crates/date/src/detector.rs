//! Which date in a line is the line's own.
//!
//! A line may carry several: its own, and others in text that an attacker wrote.
//! fail2ban prefers what stands at the beginning, whatever its format, to anything
//! inside; of several inside it takes the leftmost. A [`Detector`] chooses as
//! fail2ban does on the first line of a log, and learns nothing from one line for
//! the next: an answer never depends on what else was in the log.
//!
//! How dates look is left to [`builtin`](crate::builtin), what they mean to
//! [`fields`](crate::fields).

use std::ops::Range;

use crate::builtin::{AT_BEGIN, AT_FIRST, Template, clock, inside, tai64n};
use crate::fields::{Value, last_year};
use crate::pattern::{Reader, is_word};
use crate::{Timestamp, Zone};

/// Finds the date of a line.
#[derive(Clone, Debug)]
pub struct Detector {
    zone: Zone,
}

/// The date of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The bytes that are cut from the line before a filter sees it; both ends
    /// are boundaries of characters.
    pub span: Range<usize>,
    /// The instant that they tell.
    pub time: Timestamp,
}

/// What a line says about its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Search {
    /// Nothing.
    Nothing,
    /// There is a date, and it is cut, but it is none: the thirtieth of February,
    /// a leap second, an unknown zone.
    Unusable {
        /// The bytes that are cut.
        span: Range<usize>,
    },
    /// When it was written.
    Found(Found),
}

struct Hit {
    span: Range<usize>,
    value: Value,
}

impl Detector {
    /// A detector for a log whose stamps are of that zone if they name none.
    #[must_use]
    pub const fn new(zone: Zone) -> Self {
        Self { zone }
    }

    /// The date of a line, if it has one that is an instant. `now` decides the
    /// year of a stamp without one.
    #[must_use]
    pub fn find(&self, line: &str, now: Timestamp) -> Option<Found> {
        match self.search(line, now) {
            Search::Found(found) => Some(found),
            Search::Nothing | Search::Unusable { .. } => None,
        }
    }

    /// As [`find`](Self::find), and tells a line without a date from one whose
    /// date is impossible.
    #[must_use]
    pub fn search(&self, line: &str, now: Timestamp) -> Search {
        let start = Reader::new(line, last_year(now));
        let Some(Hit { span, value }) = at_begin(start).or_else(|| anywhere(start)) else {
            return Search::Nothing;
        };
        match value.instant(&self.zone, now) {
            Some(time) => Search::Found(Found { span, time }),
            None => Search::Unusable { span },
        }
    }
}

/// The first template of the list that stands at the beginning, after at most two
/// characters that belong to no word.
fn at_begin(start: Reader<'_>) -> Option<Hit> {
    let second = skip_mark(start);
    let third = second.and_then(skip_mark);
    let places = [third, second, Some(start)];
    let hit = AT_BEGIN.iter().find_map(|template| {
        let mut places = places.into_iter().flatten();
        places.find_map(|place| read(*template, place))
    });
    hit.or_else(|| AT_FIRST.iter().find_map(|template| read(*template, start)))
}

fn skip_mark(place: Reader<'_>) -> Option<Reader<'_>> {
    let mark = place.next_char().filter(|c| !is_word(*c))?;
    Some(place.moved(place.at() + mark.len_utf8()))
}

/// The leftmost date, and of several that begin there the first of the list.
///
/// A TAI64N label is the last of fail2ban's list, and what fits last is taken
/// although another date stands further left, unless at the second character.
fn anywhere(start: Reader<'_>) -> Option<Hit> {
    let hit = leftmost(start)?;
    let place = start.moved(hit.span.start);
    let is_label = place.peek() == Some(b'@');
    let is_second = start.line().get(..place.at())?.chars().nth(1).is_none();
    let rival = if is_label || is_second {
        None
    } else {
        label(start.moved(hit.span.end))
    };
    Some(rival.unwrap_or(hit))
}

fn leftmost(start: Reader<'_>) -> Option<Hit> {
    let clock = clock(start.line());
    start.line().bytes().enumerate().find_map(|(at, byte)| {
        let (templates, word) = inside(byte, clock);
        let place = start.moved(at);
        if templates.is_empty() || (word && !place.begins_word()) {
            return None;
        }
        templates.iter().find_map(|template| read(*template, place))
    })
}

fn label(start: Reader<'_>) -> Option<Hit> {
    let rest = start.line().get(start.at()..)?;
    let mut places = rest
        .match_indices('@')
        .map(|(at, _)| start.moved(start.at() + at));
    places.find_map(|place| read(tai64n, place))
}

fn read(template: Template, place: Reader<'_>) -> Option<Hit> {
    let (end, value) = template(place)?;
    Some(Hit {
        span: place.at()..end,
        value,
    })
}

#[cfg(test)]
mod tests;
