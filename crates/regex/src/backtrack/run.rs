//! The loop that does one instruction after the other.

use super::{Entry, Halt, MAX_STACK, Machine, NONE, Next, State, goto, small};
use crate::code::{Lead, Led};
use crate::memo::Seen;
use crate::program::{Inst, Pc, Split, Way};

impl<'p> Machine<'p, '_, '_> {
    /// A match that begins at `start`. The instructions that most lines need are done here, others
    /// by [`Self::choose`] and [`Self::step`].
    pub(super) fn run(&mut self, start: usize) -> Halt {
        let program = self.program;
        let plain = self.memo.is_none();
        let mut at = State { pc: 0, pos: start };
        loop {
            if self.fuel == 0 {
                return Halt::Exhausted;
            }
            self.fuel -= 1;
            let State { pc, pos } = at;
            // The position after an instruction that the next one follows.
            let after = match program.insts.get(pc) {
                Some(Inst::Byte(byte)) => (self.bytes.get(pos) == Some(byte)).then_some(pos + 1),
                Some(Inst::Bytes(bytes)) => self
                    .bytes
                    .get(pos..)
                    .is_some_and(|rest| rest.starts_with(bytes))
                    .then_some(pos + bytes.len()),
                Some(Inst::One(set)) => self.one(program.sets.get(*set), pos),
                Some(Inst::Save(slot)) => Some(self.save(*slot, pos)),
                Some(Inst::Run(run)) if plain && run.lead.is_none() => self.run_plainly(run, at),
                Some(inst) => match self.choose(inst, at, plain) {
                    Next::To(state) => {
                        at = state;
                        continue;
                    }
                    Next::Fail => None,
                    Next::Matched(end) => return Halt::Match(start, end),
                    Next::Exhausted => return Halt::Exhausted,
                },
                None => None,
            };
            if let Some(pos) = after {
                at = State { pc: pc + 1, pos };
                continue;
            }
            if self.watch.is_some() {
                self.note_failure(at);
            }
            match self.go_back() {
                Next::To(state) => at = state,
                Next::Fail => return Halt::NoMatch,
                Next::Matched(end) => return Halt::Match(start, end),
                Next::Exhausted => return Halt::Exhausted,
            }
        }
    }

    /// An instruction that goes on in more than one way.
    #[inline(always)]
    pub(super) fn choose(&mut self, inst: &'p Inst, at: State, plain: bool) -> Next {
        match inst {
            Inst::Split(split) => match self.led(split.lead, at) {
                Some(next) => next,
                None => self.split(split, at, plain),
            },
            Inst::Run(run) => match self.led(run.lead, at) {
                Some(next) => next,
                None if plain => match self.run_plainly(run, at) {
                    Some(pos) => goto(at.pc + 1, pos),
                    None => Next::Fail,
                },
                None => self.begin_run(run, at),
            },
            Inst::Jump(to) => goto(*to, at.pos),
            _ => self.step(inst, at),
        }
    }

    /// Back to the last choice that has another way; fails if there is none.
    pub(super) fn go_back(&mut self) -> Next {
        if self.scratch.stack.len() > MAX_STACK {
            return Next::Exhausted;
        }
        while let Some(entry) = self.scratch.stack.pop() {
            self.spend(1);
            // Most entries are these two.
            if let Entry::Slot { slot, old } = entry {
                if let Some(value) = self.scratch.slots.get_mut(slot as usize) {
                    *value = old;
                }
                continue;
            }
            if let Some(memo) = &mut self.memo {
                memo.shrink(self.scratch.stack.len());
            }
            if let Entry::Try { pc, pos } = entry {
                return goto(pc as usize, pos as usize);
            }
            match self.back(entry) {
                Next::Fail => {}
                next => return next,
            }
        }
        Next::Fail
    }

    /// One instruction of those that [`Self::run`] and [`Self::choose`] do not do.
    fn step(&mut self, inst: &Inst, at: State) -> Next {
        let State { pc, pos } = at;
        let here = |holds: bool| if holds { goto(pc + 1, pos) } else { Next::Fail };
        match inst {
            Inst::Byte(_) | Inst::Bytes(_) | Inst::One(_) | Inst::Save(_) => Next::Fail,
            Inst::Jump(_) | Inst::Split(_) | Inst::Run(_) => Next::Fail,
            Inst::Place(number) => {
                self.note_place(*number);
                goto(pc + 1, pos)
            }
            Inst::Need(number) => here(self.comes(*number, pos)),
            Inst::Enter(reg) => goto(pc + 1, self.enter(*reg, pos)),
            Inst::Progress { reg, .. } if self.has_moved(*reg, pos) => goto(pc + 1, pos),
            Inst::Progress { exit, .. } => goto(*exit, pos),
            Inst::Assert(assertion) => here(self.holds(*assertion, pos)),
            Inst::Look {
                negated,
                behind,
                next,
            } => match self.characters_back(pos, *behind) {
                Some(start) => self.enter_frame(at, start),
                None if *negated => goto(*next, pos),
                None => Next::Fail,
            },
            Inst::Peek {
                negated,
                behind,
                what,
            } => here(self.sees(what, pos, *behind) != *negated),
            Inst::Atomic { .. } => self.enter_frame(at, pos),
            Inst::Accept => self.accept(pos),
            Inst::BackRef { group, case } => match self.after_again(*group, *case, pos) {
                Some(after) => goto(pc + 1, after),
                None => Next::Fail,
            },
            Inst::IfGroup { group, .. } if self.span(*group).is_some() => goto(pc + 1, pos),
            Inst::IfGroup { otherwise, .. } => goto(*otherwise, pos),
        }
    }

    /// Where a choice and those after it lead by the next byte, if a table says so and it is not
    /// to the choice itself.
    #[inline(always)]
    fn led(&self, lead: Option<Lead>, at: State) -> Option<Next> {
        let code = self.program.code.as_ref()?;
        match code.led(lead?, self.bytes.get(at.pos)) {
            Led::Nowhere => Some(Next::Fail),
            Led::To(to) if to == at.pc => None,
            Led::To(to) => Some(goto(to, at.pos)),
        }
    }

    #[inline]
    pub(super) fn split(&mut self, split: &Split, at: State, plain: bool) -> Next {
        if self.outlook.is_some() {
            return self.split_with_outlook(split, at, plain);
        }
        let (prefer, other) = (split.prefer.ahead, split.other.ahead);
        let prefer = self.may_come(prefer, self.state(prefer), at.pos);
        let other = self.may_come(other, self.state(other), at.pos);
        self.go_either_way(split, (prefer, other), at, plain)
    }

    #[inline(never)]
    fn split_with_outlook(&mut self, split: &Split, at: State, plain: bool) -> Next {
        let may_go = |way: Way| {
            let state = self.state(way.ahead);
            self.may_come(way.ahead, state, at.pos) && self.hopes(way.pc, at.pos)
        };
        let prefer = may_go(split.prefer);
        if self.sure && prefer {
            return goto(split.prefer.pc, at.pos);
        }
        // In a look-around it may be that none leads on.
        let other = (self.sure && self.frame == NONE) || may_go(split.other);
        self.go_either_way(split, (prefer, other), at, plain)
    }

    #[inline(always)]
    fn go_either_way(
        &mut self,
        split: &Split,
        (prefer, other): (bool, bool),
        at: State,
        plain: bool,
    ) -> Next {
        // Where only one way is open nothing is chosen, and the memo need not know.
        if !plain && (prefer || other) && (split.endless || (prefer && other)) {
            match self.visit(at, 0, 0) {
                Seen::New => {}
                seen => return self.follow(seen),
            }
        }
        if !prefer {
            return match other {
                true => goto(split.other.pc, at.pos),
                false => Next::Fail,
            };
        }
        if other {
            self.push_way(split.other.pc, at.pos);
        }
        goto(split.prefer.pc, at.pos)
    }

    /// Notes a way not gone yet.
    #[inline(always)]
    pub(super) fn push_way(&mut self, pc: Pc, pos: usize) {
        if self.scratch.stack.len() > MAX_STACK {
            self.fuel = 0;
        }
        let (pc, pos) = (small(pc), small(pos));
        self.scratch.stack.push(Entry::Try { pc, pos });
    }
}
