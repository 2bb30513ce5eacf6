//! Repetitions of one set, `\w+` and its like, which make up most of a filter's work.
//!
//! Without the memo such a run takes all it can at once and keeps one entry on the stack for all
//! positions it could give back. With it, an endless run is a choice at each character, so that
//! another run over the same text stops where this one has been.

use super::{Entry, Machine, Next, State, goto, small};
use crate::ast::Greed;
use crate::memo::Seen;
use crate::program::{Inst, Pc, Run};
use crate::set::Set;

impl<'p> Machine<'p, '_> {
    pub(super) fn begin_run(&mut self, run: &Run, at: State) -> Next {
        let set = self.program.sets.get(run.set);
        let endless = run.max.is_none();
        if self.memo.is_some() && !endless {
            match self.visit(at, 0, 0) {
                Seen::New => {}
                seen => return self.follow(seen),
            }
        }
        let (low, count) = self.many(set, at.pos, run.min);
        if count < run.min {
            return Next::Fail;
        }
        if self.memo.is_some() && endless {
            return self.endless_run(run, State { pos: low, ..at });
        }
        let more = run.max.map_or(u32::MAX, |max| max - run.min);
        if run.greed == Greed::Lazy {
            return self.offer_up(run, State { pos: low, ..at }, more);
        }
        let (high, _) = self.many(set, low, more);
        if run.greed == Greed::Possessive {
            return goto(at.pc + 1, high);
        }
        self.offer_down(at.pc, low, high)
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

    /// Goes on after a greedy run at `high`, or at the next lower position where that may work.
    pub(super) fn offer_down(&mut self, pc: Pc, low: usize, high: usize) -> Next {
        let Some(Inst::Run(run)) = self.program.insts.get(pc) else {
            return Next::Fail;
        };
        let mut pos = high;
        loop {
            if self.may_begin(run.next, self.bytes.get(pos)) {
                let more = pos > low;
                match self.visit(State { pc, pos }, 1, usize::from(more)) {
                    Seen::New => {
                        if more {
                            let (pc, low, high) = (small(pc), small(low), small(pos));
                            self.scratch.stack.push(Entry::Give { pc, low, high });
                        }
                        self.spend(high - pos);
                        return goto(pc + 1, pos);
                    }
                    Seen::Failed => {}
                    seen => return self.follow(seen),
                }
            }
            if pos <= low {
                self.spend(high - pos);
                return Next::Fail;
            }
            pos = self.before(pos);
        }
    }

    /// Goes on after a lazy run, or after more of it, where that may work.
    fn offer_up(&mut self, run: &Run, at: State, mut left: u32) -> Next {
        let set = self.program.sets.get(run.set);
        let mut pos = at.pos;
        loop {
            if self.may_begin(run.next, self.bytes.get(pos)) {
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
            match self.one(set, pos) {
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
        match self.one(self.program.sets.get(run.set), at.pos) {
            Some(pos) if left > 0 => self.offer_up(run, State { pos, ..at }, left - 1),
            _ => Next::Fail,
        }
    }

    /// An endless run with the memo: each character is a choice between going on and taking more.
    pub(super) fn endless_run(&mut self, run: &Run, at: State) -> Next {
        let set = self.program.sets.get(run.set);
        let mut pos = at.pos;
        loop {
            self.spend(1);
            match self.visit(State { pos, ..at }, 0, 0) {
                Seen::New => {}
                seen => return self.follow(seen),
            }
            let after = self.one(set, pos);
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
                    if self.may_begin(run.next, self.bytes.get(pos)) {
                        self.scratch.stack.push(Entry::Try {
                            pc: small(at.pc + 1),
                            pos: small(pos),
                        });
                    }
                    pos = after;
                }
                (Greed::Possessive, Some(after)) => pos = after,
            }
        }
    }

    /// The position after as many characters of a set as there are, up to a limit, and how many.
    fn many(&mut self, set: Option<&Set>, start: usize, limit: u32) -> (usize, u32) {
        let Some(set) = set else { return (start, 0) };
        if limit == u32::MAX && set.is_all_but_newline() {
            let rest = self.text.get(start..).unwrap_or_default();
            let length = rest.find('\n').unwrap_or(rest.len());
            self.spend(length / 16);
            return (start + length, u32::MAX);
        }
        let mut pos = start;
        let mut count = 0;
        while count < limit
            && let Some(after) = self.one(Some(set), pos)
        {
            pos = after;
            count += 1;
        }
        self.spend((pos - start) / 4);
        (pos, count)
    }
}
