//! The lists a search works with, kept from one search to the next.

use super::{NONE, small};
use crate::program::Program;

/// The most stack entries kept for the next search, a MiB.
const MAX_KEPT: usize = 64 << 10;

/// What a search works with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(super) stack: Vec<Entry>,
    /// Start and end of the match and of each group; none where nothing matched.
    pub(crate) slots: Vec<u32>,
    pub(super) regs: Vec<u32>,
    /// Where each text that must come stands last, once that has been asked.
    pub(super) lasts: Vec<Option<Last>>,
}

/// Where a text stands last; none if nowhere.
pub(super) type Last = Option<usize>;

impl Scratch {
    /// Forgets everything and makes room for a program.
    pub(super) fn reset(&mut self, program: &Program) {
        self.stack.clear();
        for (list, length) in [
            (&mut self.slots, program.slots + 2),
            (&mut self.regs, program.regs),
        ] {
            // Filling nothing is slow on some processors: its address is invalid.
            if list.len() != length {
                list.clear();
                list.resize(length, NONE);
            } else if length > 0 {
                list.fill(NONE);
            }
        }
        self.lasts.clear();
        if !program.needs.is_empty() {
            self.lasts.resize(program.needs.len(), None);
        }
    }

    /// The search is over and nothing matched.
    pub(super) fn end(&mut self) {
        self.slots.clear();
        self.forget_ways();
    }

    /// The search is over, with this match.
    pub(super) fn end_at(&mut self, start: usize, end: usize) {
        self.forget_ways();
        if let Some([first, second]) = self.slots.first_chunk_mut() {
            (*first, *second) = (small(start), small(end));
        }
    }

    fn forget_ways(&mut self) {
        self.stack.clear();
        if self.stack.capacity() > MAX_KEPT {
            self.stack = Vec::new();
        }
    }
}

/// What to do on the way back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// Go on there.
    Try { pc: u32, pos: u32 },
    /// A group's position was another.
    Slot { slot: u32, old: u32 },
    /// A loop's position was another.
    Reg { reg: u32, old: u32 },
    /// A greedy run has gone on at `high` and can give back down to `low`.
    Give { pc: u32, low: u32, high: u32 },
    /// A lazy run has gone on at `pos` and can take so many more.
    Take { pc: u32, pos: u32, left: u32 },
    /// A lazy endless run has gone on at `pos` and can take one more (with memo).
    More { pc: u32, pos: u32 },
    /// A look-around or atomic group began at `pos`, inside another frame.
    Frame { pc: u32, pos: u32, outer: u32 },
}
