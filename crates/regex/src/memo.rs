//! What a search has tried already, so that it tries nothing twice.
//!
//! What follows from an instruction at a position is always the same, as long as the groups whose text
//! must come again stand where they stood. The matcher tries alternatives in order and stops at the
//! first that works, so in the pattern itself whatever was tried before has failed: one bit says
//! so. Inside a look-around it may also have matched, and the search failed later: two bits.
//! Inside an atomic group a cell says up to where. Which of the choices made so far led to the
//! match is known from the *trail*: those that the matcher has not come back from.

use crate::program::Body;
use std::collections::HashMap;

/// The most memory for one search.
const MAX_BYTES: usize = 64 << 20;

/// A row that is not in use.
const UNUSED: u32 = u32::MAX;

const UNSEEN: u32 = 0;
const FAILED: u32 = 1;
/// A cell with at least this much has matched up to the position it exceeds this by.
const MATCHED: u32 = 2;

/// What is known about a choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// Nothing: try it. It counts as failed from now on.
    New,
    /// It fails.
    Failed,
    /// The look-around or atomic group matches from here, the latter up to this position.
    Matched(usize),
    /// There is no memory left to remember it.
    Full,
}

/// The memo of one search.
#[derive(Debug)]
pub(crate) struct Memo {
    /// The rows in use, in the order they came into it,
    used: Vec<Row>,
    /// their bits, as far as they are such,
    bits: Vec<u64>,
    /// and which of them a row is.
    rows: Vec<u32>,
    /// Where the rows begin for each state of the groups whose text must come again: so many each.
    blocks: HashMap<Box<[u32]>, usize>,
    block: usize,
    /// The last state asked for, and where its rows begin.
    last: (Vec<u32>, usize),
    /// Positions in a row.
    width: usize,
    bytes: usize,
    trail: Vec<Choice>,
}

/// What is known about one kind of choice at each position.
#[derive(Clone, Debug)]
enum Row {
    /// A bit for each, from here on.
    Bits(usize),
    /// For each position one bit for tried and one for matched.
    Pairs(Vec<[u32; 2]>),
    Cells(Vec<u32>),
}

/// A choice in a body, still open.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// How high the matcher's stack was; once it is lower, the choice has failed.
    height: usize,
    row: usize,
    pos: usize,
    body: Body,
}

impl Memo {
    /// A memo for a text of this many bytes.
    pub(crate) fn new(rows: usize, length: usize) -> Self {
        Self {
            used: Vec::new(),
            bits: Vec::new(),
            rows: vec![UNUSED; rows],
            blocks: HashMap::new(),
            block: rows,
            last: (Vec::new(), 0),
            width: length + 1,
            bytes: 0,
            trail: Vec::new(),
        }
    }

    /// Where the rows begin for a state of the groups whose text must come again.
    pub(crate) fn block(&mut self, state: impl Iterator<Item = u32> + Clone) -> usize {
        let (known, start) = &mut self.last;
        if known.iter().copied().eq(state.clone()) {
            return *start;
        }
        known.clear();
        known.extend(state);
        *start = match self.blocks.get(known.as_slice()) {
            Some(start) => *start,
            None => {
                let start = self.block * self.blocks.len();
                self.blocks.insert(known.as_slice().into(), start);
                self.bytes += self.block * size_of::<u32>();
                self.rows.resize(start + self.block, UNUSED);
                start
            }
        };
        *start
    }

    /// What is known about a choice. A new one is noted as made with the stack this high.
    pub(crate) fn visit(&mut self, body: Body, row: usize, pos: usize, height: usize) -> Seen {
        if matches!(self.rows.get(row), Some(&UNUSED)) && !self.open_row(body, row) {
            return Seen::Full;
        }
        match self.row(row) {
            Some(Row::Bits(start)) => {
                let start = *start;
                self.mark_bit(start, pos)
            }
            Some(Row::Pairs(pairs)) => {
                let Some([tried, matched]) = pairs.get_mut(pos / 32) else {
                    return Seen::Failed;
                };
                let bit = 1 << (pos % 32);
                if *matched & bit != 0 {
                    return Seen::Matched(pos);
                }
                if *tried & bit != 0 {
                    return Seen::Failed;
                }
                *tried |= bit;
                self.trail.push(Choice {
                    height,
                    row,
                    pos,
                    body,
                });
                Seen::New
            }
            Some(Row::Cells(cells)) => {
                let Some(cell) = cells.get_mut(pos) else {
                    return Seen::Failed;
                };
                match *cell {
                    UNSEEN => {
                        *cell = FAILED;
                        self.trail.push(Choice {
                            height,
                            row,
                            pos,
                            body,
                        });
                        Seen::New
                    }
                    FAILED => Seen::Failed,
                    matched => Seen::Matched((matched - MATCHED) as usize),
                }
            }
            _ => Seen::Failed,
        }
    }

    /// What is known about a choice of the pattern itself.
    #[inline]
    pub(crate) fn mark(&mut self, row: usize, pos: usize) -> Seen {
        match self.row(row) {
            Some(Row::Bits(start)) => {
                let start = *start;
                self.mark_bit(start, pos)
            }
            _ => self.visit(Body::Main, row, pos, 0),
        }
    }

    #[inline]
    fn mark_bit(&mut self, start: usize, pos: usize) -> Seen {
        let word = self.bits.get_mut(start + pos / 64);
        match word.map(|word| mark_bit(word, pos)) {
            Some(true) => Seen::New,
            _ => Seen::Failed,
        }
    }

    /// Marks the positions after `pos` in a row of the pattern itself that is in use, for as long
    /// as the bytes before them pass the test and they are new. The position this ends at, and
    /// whether the next one has been marked before.
    pub(crate) fn mark_while(
        &mut self,
        row: usize,
        (bytes, mut pos): (&[u8], usize),
        test: impl Fn(u8) -> bool,
    ) -> (usize, bool) {
        if let Some(&mut Row::Bits(start)) = self.row(row)
            && let Some(bits) = self.bits.get_mut(start..)
        {
            while bytes.get(pos).is_some_and(|byte| test(*byte))
                && let Some(word) = bits.get_mut((pos + 1) / 64)
            {
                if !mark_bit(word, pos + 1) {
                    return (pos, true);
                }
                pos += 1;
            }
        }
        (pos, false)
    }

    /// A row, if it is in use.
    #[inline]
    fn row(&mut self, row: usize) -> Option<&mut Row> {
        let index = *self.rows.get(row)?;
        self.used.get_mut(index as usize)
    }

    fn open_row(&mut self, body: Body, row: usize) -> bool {
        let (fresh, bytes) = match body {
            Body::Main => {
                let words = self.width.div_ceil(64);
                let start = self.bits.len();
                self.bits.resize(start + words, 0);
                (Row::Bits(start), 8 * words)
            }
            Body::Look => {
                let pairs = self.width.div_ceil(32);
                (Row::Pairs(vec![[0; 2]; pairs]), 8 * pairs)
            }
            Body::Sub | Body::Capturing => (Row::Cells(vec![UNSEEN; self.width]), 4 * self.width),
        };
        self.bytes += bytes;
        if let (Some(slot), Ok(index)) = (self.rows.get_mut(row), u32::try_from(self.used.len())) {
            *slot = index;
            self.used.push(fresh);
        }
        self.bytes <= MAX_BYTES
    }

    /// The matcher's stack has shrunk to this height: choices above have failed.
    #[inline]
    pub(crate) fn shrink(&mut self, height: usize) {
        while self
            .trail
            .last()
            .is_some_and(|choice| choice.height > height)
        {
            self.trail.pop();
        }
    }

    /// The body that began above this height has matched up to `end`, by the choices still open.
    pub(crate) fn settle(&mut self, height: usize, end: usize) {
        let matched = u32::try_from(end)
            .unwrap_or(u32::MAX)
            .saturating_add(MATCHED);
        while let Some(choice) = self.trail.last().copied()
            && choice.height > height
        {
            self.trail.pop();
            match self.row(choice.row) {
                Some(Row::Pairs(pairs)) => {
                    if let Some([_, matched]) = pairs.get_mut(choice.pos / 32) {
                        *matched |= 1 << (choice.pos % 32);
                    }
                }
                Some(Row::Cells(cells)) => {
                    if let Some(cell) = cells.get_mut(choice.pos) {
                        *cell = match choice.body {
                            Body::Capturing => UNSEEN,
                            _ => matched,
                        };
                    }
                }
                _ => {}
            }
        }
    }
}

/// Sets the bit of a position; false if it was set already.
#[inline]
fn mark_bit(word: &mut u64, pos: usize) -> bool {
    let bit = 1 << (pos % 64);
    let new = *word & bit == 0;
    *word |= bit;
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_in_the_pattern_is_new_once() {
        let mut memo = Memo::new(2, 100);
        assert_eq!(memo.visit(Body::Main, 1, 100, 0), Seen::New);
        assert_eq!(memo.visit(Body::Main, 1, 100, 0), Seen::Failed);
        assert_eq!(memo.visit(Body::Main, 1, 99, 0), Seen::New);
        assert_eq!(memo.visit(Body::Main, 0, 100, 0), Seen::New);
    }

    #[test]
    fn choices_come_back_from_have_failed_and_open_ones_have_matched() {
        let mut memo = Memo::new(1, 10);
        for (pos, height) in [(3, 5), (4, 6), (5, 7)] {
            assert_eq!(memo.visit(Body::Sub, 0, pos, height), Seen::New);
        }
        memo.shrink(6);
        memo.settle(4, 9);
        assert_eq!(memo.visit(Body::Sub, 0, 3, 5), Seen::Matched(9));
        assert_eq!(memo.visit(Body::Sub, 0, 4, 5), Seen::Matched(9));
        assert_eq!(memo.visit(Body::Sub, 0, 5, 5), Seen::Failed);
    }

    #[test]
    fn a_look_around_remembers_only_whether() {
        let mut memo = Memo::new(1, 100);
        for (pos, height) in [(63, 5), (64, 6)] {
            assert_eq!(memo.visit(Body::Look, 0, pos, height), Seen::New);
        }
        memo.shrink(5);
        memo.settle(4, 99);
        assert_eq!(memo.visit(Body::Look, 0, 63, 5), Seen::Matched(63));
        assert_eq!(memo.visit(Body::Look, 0, 64, 5), Seen::Failed);
    }

    #[test]
    fn a_body_whose_captures_are_wanted_is_matched_again() {
        let mut memo = Memo::new(1, 10);
        assert_eq!(memo.visit(Body::Capturing, 0, 3, 1), Seen::New);
        memo.settle(0, 9);
        assert_eq!(memo.visit(Body::Capturing, 0, 3, 1), Seen::New);
    }

    #[test]
    fn memory_is_bounded() {
        let mut memo = Memo::new(100, 1 << 20);
        let full = (0..100)
            .filter(|row| memo.visit(Body::Sub, *row, 0, 0) == Seen::Full)
            .count();
        assert!(full >= 84, "{full} of 100 rows were refused");
    }
}
