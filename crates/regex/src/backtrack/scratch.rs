//! The lists a search works with, kept from one search to the next.

use super::NONE;
use crate::program::Program;
use std::cell::Cell;

thread_local! {
    /// The lists of the last search, so that the next one need not allocate them.
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::NEW) };
}

/// The most stack entries kept for the next search, a MiB.
const MAX_KEPT: usize = 64 << 10;

/// What a search works with, empty between searches.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) stack: Vec<Entry>,
    pub(super) slots: Vec<u32>,
    pub(super) regs: Vec<u32>,
}

impl Scratch {
    const NEW: Self = Self {
        stack: Vec::new(),
        slots: Vec::new(),
        regs: Vec::new(),
    };

    /// The lists of the last search in this thread.
    pub(super) fn take() -> Self {
        SCRATCH.take()
    }

    /// Keeps the lists for the next search, unless they have grown too large for that.
    pub(super) fn keep(self) {
        if self.stack.capacity() <= MAX_KEPT {
            SCRATCH.set(self);
        }
    }

    /// Forgets everything and makes room for a program.
    pub(super) fn reset(&mut self, program: &Program) {
        self.stack.clear();
        for (list, length) in [
            (&mut self.slots, program.slots),
            (&mut self.regs, program.regs),
        ] {
            list.clear();
            list.resize(length, NONE);
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
