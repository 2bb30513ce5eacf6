//! Which template a line belongs to, and what is learned from it.
//!
//! A line may carry several dates: its own, and others in text that an attacker
//! wrote. What stands at the beginning is believed rather than anything inside, of
//! several inside the leftmost, and above all what the last line was written in.
//! This is the original's rule; its order of steps is kept exactly, because the
//! answer depends on it.
//!
//! One step asks whether the template after this one has ever matched. The original
//! asks that of all its jails together, so that one jail's log may change how
//! another's is read. Here each detector asks itself only.

use std::ops::Range;
use std::sync::Arc;

use crate::Timestamp;
use crate::line::Line;
use crate::quick::Seen;
use crate::reader::is_word;
use crate::shape::Shape;
use crate::template::{Hit, Template};

/// So many seconds after the last use of another, a template takes its place.
const UNUSED_SECS: i64 = 300;

/// A distance larger than any.
const FAR: usize = 0x7fff_ffff;

/// A template in a detector's list.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) template: Arc<Template>,
    /// How many lines were its own.
    pub(crate) hits: u64,
    /// Whether it ever matched, be it in a line of another's.
    matched: bool,
    last_used: Timestamp,
    /// Where its last match began.
    distance: usize,
}

impl Entry {
    pub(crate) fn new(template: Template) -> Self {
        Self {
            template: Arc::new(template),
            hits: 0,
            matched: false,
            last_used: Timestamp::default(),
            distance: FAR,
        }
    }

    fn is_anchored(&self) -> bool {
        self.template.is_anchored()
    }

    /// How much it counts: often used and near the beginning is much.
    #[expect(
        clippy::cast_precision_loss,
        reason = "weights are compared roughly, as in the original"
    )]
    pub(crate) fn weight(&self) -> f64 {
        self.hits as f64 * self.template.weight() / self.distance.max(1) as f64
    }
}

/// One end of the last date, in characters, and those on both sides of it.
#[derive(Clone, Copy, Debug)]
struct End {
    at: usize,
    before: Option<char>,
    after: Option<char>,
}

/// What a detector remembers of the lines before.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// The place of the last winner in the list.
    last: Option<usize>,
    start: End,
    end: End,
    /// The first place in the list whose template has not won yet.
    first_unused: usize,
    /// The form of the last date, if it may be that of the next.
    shape: Option<Shape>,
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self {
            last: None,
            start: End::unknown(1),
            end: End::unknown(FAR),
            first_unused: 0,
            shape: None,
        }
    }

    /// Notes what stands on both sides of the ends.
    #[inline(never)]
    fn note_surroundings(&mut self, line: &Line<'_>) {
        let Self { start, end, .. } = self;
        let before = |at: usize| at.checked_sub(1).and_then(|at| line.char_at(at));
        start.before = before(start.at);
        start.after = line.char_at(start.at);
        // Before the beginning, Python finds the last character.
        end.before = match end.at {
            0 => line.text().chars().next_back(),
            at => before(at),
        };
        end.after = line.char_at(end.at);
    }

    /// Whether the last date's surroundings are the same in this line, so that its
    /// date may stand in the same place.
    fn same_surroundings(&self, line: &Line<'_>) -> bool {
        let Self { start, end, .. } = self;
        let before = |at: usize| at.checked_sub(1).and_then(|at| line.char_at(at));
        let same_mark = |known: Option<char>, found: Option<char>| {
            found == known && !known.is_some_and(is_alphanumeric)
        };
        let same_left =
            before(start.at) == start.before || same_mark(start.after, line.char_at(start.at));
        same_left && (line.char_at(end.at) == end.after || same_mark(end.before, before(end.at)))
    }
}

impl End {
    const fn unknown(at: usize) -> Self {
        Self {
            at,
            before: None,
            after: None,
        }
    }
}

fn is_alphanumeric(c: char) -> bool {
    c != '_' && is_word(c)
}

/// A match of the template at `index`; places are in characters.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) index: usize,
    pub(crate) hit: Hit<'a>,
    start: usize,
    end: usize,
}

/// The date of a line in the format of the last one, if that is read by hand and
/// bound to the beginning; and the place of its template. It is what [`choose`] would
/// say, without asking much: a template so bound is believed where it matches. Most
/// lines are of this kind.
pub(crate) fn again<'a>(
    entries: &mut [Entry],
    memory: &mut Memory,
    line: &Line<'a>,
    now: Timestamp,
) -> Option<(usize, Seen<'a>)> {
    let index = memory.last?;
    let entry = entries.get_mut(index)?;
    let seen = entry.template.read_at_edge(line)?;
    entry.matched = true;
    memory.shape = entry.template.shape(line, &seen);
    note_hit(entries, memory, index, (seen.start, now));
    Some((index, seen))
}

/// The same of a line whose date has the form of the last one.
pub(crate) fn same<'a>(
    entries: &mut [Entry],
    memory: &mut Memory,
    (line, last_year): (&'a str, i16),
    now: Timestamp,
) -> Option<(usize, Seen<'a>)> {
    let seen = memory.shape.as_ref()?.read(line, last_year)?;
    let index = memory.last?;
    note_hit(entries, memory, index, (seen.start, now));
    Some((index, seen))
}

/// The match of the template that a line belongs to.
pub(crate) fn choose<'a>(
    entries: &mut Vec<Entry>,
    memory: &mut Memory,
    line: &Line<'a>,
    now: Timestamp,
) -> Option<Candidate<'a>> {
    memory.shape = None;
    let mut found = match try_last(entries, memory, line) {
        Tried::Accepted(found) => found,
        Tried::Reserve(reserve, skip) => try_all(entries, memory, line, (reserve, skip))?,
    };
    let place = (found.index, found.start, found.end);
    found.index = remember(entries, memory, line, place, now);
    Some(found)
}

/// What came of trying the last winner.
enum Tried<'a> {
    Accepted(Candidate<'a>),
    /// What may be taken if nothing better is found, and a place in the list that
    /// need not be tried again.
    Reserve(Option<Candidate<'a>>, Option<usize>),
}

fn try_last<'a>(entries: &mut [Entry], memory: &Memory, line: &Line<'a>) -> Tried<'a> {
    let count = entries.len();
    let Some((index, entry)) = memory
        .last
        .and_then(|last| Some((last, entries.get_mut(last)?)))
    else {
        return Tried::Reserve(None, None);
    };
    let anchored = entry.is_anchored();
    let in_part = !anchored && memory.same_surroundings(line);
    let found = if in_part {
        let (from, to) = (line.byte_of(memory.start.at), line.byte_of(memory.end.at));
        candidate(entry, index, line, from..to)
    } else {
        candidate(entry, index, line, 0..line.text().len())
    };
    let tried = (!in_part).then_some(index);
    match found {
        Some(found)
            if count == 1
                || anchored
                || (found.start, found.end) == (memory.start.at, memory.end.at) =>
        {
            Tried::Accepted(found)
        }
        reserve => Tried::Reserve(reserve, tried),
    }
}

fn candidate<'a>(
    entry: &mut Entry,
    index: usize,
    line: &Line<'a>,
    part: Range<usize>,
) -> Option<Candidate<'a>> {
    let hit = entry.template.search(line, part.start, part.end)?;
    entry.matched = true;
    Some(Candidate {
        index,
        start: line.chars_before(hit.whole.start),
        end: line.chars_before(hit.whole.end),
        hit,
    })
}

/// The first of the list that can be accepted, else the leftmost.
fn try_all<'a>(
    entries: &mut [Entry],
    memory: &Memory,
    line: &Line<'a>,
    (mut reserve, skip): (Option<Candidate<'a>>, Option<usize>),
) -> Option<Candidate<'a>> {
    if line.is_plain() {
        // Nearly all templates need it, and each is told in no time by it.
        line.clock();
    }
    for index in (0..entries.len()).filter(|index| Some(*index) != skip) {
        let entry = entries.get_mut(index)?;
        if entry.template.is_ruled_out(line) {
            continue;
        }
        let Some(found) = candidate(entry, index, line, 0..line.text().len()) else {
            continue;
        };
        let (anchored, distance) = (entry.is_anchored(), entry.distance);
        let (used, next) = (entry.hits > 0, entries.get(index + 1));
        let Some(next) = next else {
            return Some(found);
        };
        let at_start = found.start == 0 && used && !next.matched;
        let further = found.start > distance || found.start > memory.start.at;
        if anchored || at_start || !further {
            return Some(found);
        }
        if reserve
            .as_ref()
            .is_none_or(|reserve| found.start < reserve.start)
        {
            reserve = Some(found);
        }
    }
    reserve
}

/// Notes who won, from where to where, and where it now stands in the list.
#[inline]
fn remember(
    entries: &mut Vec<Entry>,
    memory: &mut Memory,
    line: &Line<'_>,
    (index, start, end): (usize, usize, usize),
    now: Timestamp,
) -> usize {
    note_hit(entries, memory, index, (start, now));
    memory.end.at = end;
    if !entries.get(index).is_some_and(Entry::is_anchored) {
        // Where an anchored template's dates stand need not be found again.
        memory.note_surroundings(line);
    }
    let place = if index != 0 && memory.last != Some(index) {
        move_up(entries, memory, index)
    } else {
        index
    };
    memory.last = Some(place);
    place
}

/// Notes a date of the template at `index`, where it begins and when it was read.
fn note_hit(
    entries: &mut [Entry],
    memory: &mut Memory,
    index: usize,
    (start, now): (usize, Timestamp),
) {
    if let Some(entry) = entries.get_mut(index) {
        entry.hits = entry.hits.saturating_add(1);
        entry.last_used = now;
        entry.distance = start;
    }
    if memory.first_unused == index {
        memory.first_unused += 1;
    }
    memory.start.at = start;
}

/// Moves a winner up the list if it has grown heavier than who stands there, or has
/// been used long after that one. Gives its place.
#[inline(never)]
fn move_up(entries: &mut Vec<Entry>, memory: &mut Memory, index: usize) -> usize {
    let far = if memory.first_unused < index {
        memory.first_unused
    } else {
        index / 2
    };
    let may_take = |place: usize| {
        let (Some(entry), Some(other)) = (entries.get(index), entries.get(place)) else {
            return false;
        };
        entry.weight() > other.weight() || entry.last_used.plus_secs(-UNUSED_SECS) > other.last_used
    };
    let Some(place) = [far, index - 1].into_iter().find(|place| may_take(*place)) else {
        return index;
    };
    let entry = entries.remove(index);
    entries.insert(place, entry);
    let is_used = |entry: &Entry| entry.hits > 0;
    let used = |place: usize| entries.get(place).is_some_and(is_used);
    while used(memory.first_unused) {
        memory.first_unused += 1;
    }
    place
}
