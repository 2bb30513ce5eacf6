//! Repetitions of one set, `\w+` and its like, which make up most of a filter's work.
//!
//! Such a run takes all it can at once and keeps one entry on the stack for all positions it could
//! give back. With the memo an endless run marks each character, so that another run over the same text
//! stops where this one has been; inside look-arounds and atomic groups, where not all that was
//! tried has failed, each character is a choice of its own.

use super::text::begins;
use super::{Entry, Machine, Next, State, goto, small};
use crate::ast::Greed;
use crate::memo::Seen;
use crate::program::{Body, Inst, Run};
use crate::set::Set;

impl<'p> Machine<'p, '_, '_> {
    /// A run where there is no memo.
    pub(super) fn run_plainly(&mut self, run: &Run, at: State) -> Option<usize> {
        if run.min > 1 || run.greed == Greed::Lazy {
            return match self.begin_run(run, at) {
                Next::To(at) => Some(at.pos),
                _ => None,
            };
        }
        let (high, _) = self.many(run, at.pos, run.max.unwrap_or(u32::MAX));
        if high == at.pos && run.min > 0 {
            return None;
        }
        if run.greed == Greed::Possessive {
            return Some(high);
        }
        let low = match run.min {
            0 => at.pos,
            _ => self.after(at.pos),
        };
        match self.lower(run, State { pos: low, ..at }, high) {
            Some(pos) => Some(self.give(State { pos: low, ..at }, (pos, high))),
            None => {
                self.spend((high - low) / 4);
                None
            }
        }
    }

    pub(super) fn begin_run(&mut self, run: &Run, at: State) -> Next {
        let endless = run.max.is_none();
        if self.memo.is_some() && !endless {
            match self.visit(at, 0, 0) {
                Seen::New => {}
                seen => return self.follow(seen),
            }
        }
        let low = match run.min {
            0 => Some(at.pos),
            1 => self.unit(run, self.set(run), at.pos),
            min => {
                let (low, count) = self.many(run, at.pos, min);
                (count >= min).then_some(low)
            }
        };
        let Some(low) = low else {
            return Next::Fail;
        };
        if self.memo.is_some() && endless {
            return self.begin_endless_run(run, State { pos: low, ..at });
        }
        let more = run.max.map_or(u32::MAX, |max| max - run.min);
        if run.greed == Greed::Lazy {
            return self.offer_up(run, State { pos: low, ..at }, more);
        }
        let (high, _) = self.many(run, low, more);
        if run.greed == Greed::Possessive {
            return goto(at.pc + 1, high);
        }
        self.offer_down(run, State { pos: low, ..at }, high)
    }

    /// The position after one more character of a run.
    #[inline]
    fn unit(&self, run: &Run, set: Option<&Set>, pos: usize) -> Option<usize> {
        if let Some(guard) = &run.guard
            && begins(self.bytes.get(pos..)?, guard)
        {
            return None;
        }
        self.one(set, pos)
    }

    fn set(&self, run: &Run) -> Option<&'p Set> {
        self.program.sets.get(run.set)
    }

    pub(super) fn with_run(
        &mut self,
        at: State,
        go: impl FnOnce(&mut Self, &'p Run) -> Next,
    ) -> Next {
        match self.program.insts.get(at.pc) {
            Some(Inst::Run(run)) => go(self, run),
            _ => Next::Fail,
        }
    }

    /// Goes on after a greedy run at `high`, or at the next lower position where that may work;
    /// it began at `at`.
    pub(super) fn offer_down(&mut self, run: &Run, at: State, high: usize) -> Next {
        let State { pc, pos: low } = at;
        let mut top = high;
        // Each position of an endless run has been visited on the way up.
        let visits = self.memo.is_some() && run.max.is_some();
        while let Some(pos) = self.lower(run, at, top) {
            let more = pos > low;
            let seen = if visits {
                self.visit(State { pc, pos }, 1, usize::from(more))
            } else {
                Seen::New
            };
            match seen {
                Seen::New => return goto(pc + 1, self.give(at, (pos, high))),
                Seen::Failed if more => top = self.before(pos),
                seen => return self.follow(seen),
            }
        }
        self.spend((high - low) / 4);
        Next::Fail
    }

    /// The highest position not above `high` where what comes after a run may come.
    #[inline]
    pub(super) fn lower(&self, run: &Run, at: State, high: usize) -> Option<usize> {
        let state = self.state(run.next);
        let mut pos = high;
        while !(self.may_come(run.next, state, pos) && self.hopes(at.pc + 1, pos)) {
            if pos <= at.pos {
                return None;
            }
            pos = self.before(pos);
        }
        Some(pos)
    }

    /// Notes that a run gives back, having come down to a position.
    #[inline]
    pub(super) fn give(&mut self, at: State, (pos, high): (usize, usize)) -> usize {
        if pos > at.pos {
            let (pc, low, high) = (small(at.pc), small(at.pos), small(pos));
            self.scratch.stack.push(Entry::Give { pc, low, high });
        }
        self.spend((high - pos) / 4);
        pos
    }

    /// Goes on after a lazy run, or after more of it, where that may work.
    fn offer_up(&mut self, run: &Run, at: State, mut left: u32) -> Next {
        let (set, state) = (self.set(run), self.state(run.next));
        let mut pos = at.pos;
        loop {
            if self.may_come(run.next, state, pos) && self.hopes(at.pc + 1, pos) {
                match self.visit(State { pos, ..at }, 1, 1) {
                    Seen::New => {
                        self.scratch.stack.push(Entry::Take {
                            pc: small(at.pc),
                            pos: small(pos),
                            left,
                        });
                        self.spend(pos - at.pos);
                        return goto(at.pc + 1, pos);
                    }
                    Seen::Failed => {}
                    seen => return self.follow(seen),
                }
            }
            match self.unit(run, set, pos) {
                Some(after) if left > 0 => pos = after,
                _ => {
                    self.spend(pos - at.pos);
                    return Next::Fail;
                }
            }
            left -= 1;
        }
    }

    pub(super) fn take_one(&mut self, run: &Run, at: State, left: u32) -> Next {
        match self.unit(run, self.set(run), at.pos) {
            Some(pos) if left > 0 => self.offer_up(run, State { pos, ..at }, left - 1),
            _ => Next::Fail,
        }
    }

    fn begin_endless_run(&mut self, run: &Run, at: State) -> Next {
        let point = match self.program.points.get(at.pc) {
            Some(Some(point)) if point.body == Body::Main => point,
            _ => return self.endless_run(run, at),
        };
        let block = self.block();
        // The row for this position, and for those the run gets to.
        let (row, rows) = match self.simple_row(point, 0) {
            Some(row) => (row, row),
            None => (self.row(at.pc, at.pos, 0), self.row(at.pc, usize::MAX, 0)),
        };
        let (row, rows) = (block + row, block + rows);
        match self.mark(row, at.pos) {
            Seen::New if run.greed == Greed::Lazy => self.offer_up_endless(run, at, rows),
            Seen::New => self.run_up(run, at, rows),
            seen => self.follow(seen),
        }
    }

    /// A greedy endless run of the pattern itself, with the memo: as far as nobody has been.
    fn run_up(&mut self, run: &Run, at: State, row: usize) -> Next {
        let set = self.set(run);
        let mut high = at.pos;
        let mut seen = Seen::New;
        if let (Some(set), None, Some(memo)) = (set, &run.guard, &mut self.memo) {
            let (end, met) = memo.mark_while(row, (self.bytes, high), |byte| set.has_ascii(byte));
            high = end;
            if met {
                seen = Seen::Failed;
            }
        }
        while seen == Seen::New
            && let Some(after) = self.unit(run, set, high)
        {
            seen = self.mark(row, after);
            if seen == Seen::New {
                high = after;
            }
        }
        // To note where it has been takes longer than to look.
        self.spend((high - at.pos) / 2);
        match (seen, run.greed) {
            (Seen::Full, _) => Next::Exhausted,
            (Seen::New, Greed::Possessive) => goto(at.pc + 1, high),
            (_, Greed::Possessive) => Next::Fail,
            _ => self.offer_down(run, at, high),
        }
    }

    /// A lazy endless run of the pattern itself, with the memo, at a position that is new.
    fn offer_up_endless(&mut self, run: &Run, at: State, row: usize) -> Next {
        let set = self.set(run);
        let state = self.state(run.next);
        let mut pos = at.pos;
        loop {
            if self.may_come(run.next, state, pos) && self.hopes(at.pc + 1, pos) {
                self.scratch.stack.push(Entry::More {
                    pc: small(at.pc),
                    pos: small(pos),
                });
                self.spend((pos - at.pos) / 4);
                return goto(at.pc + 1, pos);
            }
            let seen = match self.unit(run, set, pos) {
                Some(after) => {
                    pos = after;
                    self.mark(row, pos)
                }
                None => Seen::Failed,
            };
            if seen != Seen::New {
                self.spend((pos - at.pos) / 4);
                return self.follow(seen);
            }
        }
    }

    /// One more character of a lazy endless run, with the memo.
    pub(super) fn more(&mut self, run: &Run, at: State) -> Next {
        match self.unit(run, self.set(run), at.pos) {
            Some(pos) => self.begin_endless_run(run, State { pos, ..at }),
            None => Next::Fail,
        }
    }

    /// An endless run in a look-around or atomic group, with the memo: each character is a choice
    /// between going on and taking more.
    fn endless_run(&mut self, run: &Run, at: State) -> Next {
        let (set, state) = (self.set(run), self.state(run.next));
        let mut pos = at.pos;
        loop {
            self.spend(1);
            match self.visit(State { pos, ..at }, 0, 0) {
                Seen::New => {}
                seen => return self.follow(seen),
            }
            let after = self.unit(run, set, pos);
            match (run.greed, after) {
                (_, None) => return goto(at.pc + 1, pos),
                (Greed::Lazy, Some(_)) => {
                    self.scratch.stack.push(Entry::More {
                        pc: small(at.pc),
                        pos: small(pos),
                    });
                    return goto(at.pc + 1, pos);
                }
                (Greed::Greedy, Some(after)) => {
                    if self.may_come(run.next, state, pos) && self.hopes(at.pc + 1, pos) {
                        self.push_way(at.pc + 1, pos);
                    }
                    pos = after;
                }
                (Greed::Possessive, Some(after)) => pos = after,
            }
        }
    }

    /// The position after as many characters of a run as there are, up to a limit, and how many.
    #[inline]
    fn many(&mut self, run: &Run, start: usize, limit: u32) -> (usize, u32) {
        let set = self.set(run);
        if limit == u32::MAX && set.is_some_and(Set::is_all_but_newline) {
            let rest = self.bytes.get(start..).unwrap_or_default();
            let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let length = match &run.guard {
                Some(guard) => find_before(rest, guard, line),
                None => line,
            };
            self.spend(length / 16);
            return (start + length, u32::MAX);
        }
        let (mut pos, mut count) = (start, 0);
        if let (Some(set), None) = (set, &run.guard) {
            let rest = self.bytes.get(start..).unwrap_or_default();
            let rest = rest.get(..limit as usize).unwrap_or(rest);
            let length = rest.iter().position(|byte| !set.has_ascii(*byte));
            let length = length.unwrap_or(rest.len());
            (pos, count) = (start + length, u32::try_from(length).unwrap_or(limit));
            if rest.get(length).is_none_or(u8::is_ascii) {
                self.spend(length / 4);
                return (pos, count);
            }
        }
        while count < limit
            && let Some(after) = self.unit(run, set, pos)
        {
            pos = after;
            count += 1;
        }
        self.spend((pos - start) / 4);
        (pos, count)
    }
}

/// Where a text first stands before the position `end`, or else `end`.
fn find_before(text: &[u8], wanted: &[u8], end: usize) -> usize {
    let Some(first) = wanted.first() else {
        return 0;
    };
    let places = memchr::memchr_iter(*first, text.get(..end).unwrap_or(text));
    places
        .take_while(|place| *place < end)
        .find(|place| {
            text.get(*place..)
                .is_some_and(|rest| rest.starts_with(wanted))
        })
        .unwrap_or(end)
}
