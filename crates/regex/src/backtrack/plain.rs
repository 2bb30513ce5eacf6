//! The loop that does one instruction after the other where there is no memo: the compact form of
//! the program, as far as there is one.

use super::text::begins;
use super::{Entry, Halt, Machine, NONE, Next, State, small};
use crate::code::{Choice, Code, Hint, Led, Members, Op, Span};
use crate::program::Inst;

impl<'p> Machine<'p, '_, '_> {
    /// A match that begins at `start`; if need be, where the outlook is sure of each choice.
    ///
    /// Steps are counted, and the fuel for them is spent where the way goes back: between two such
    /// places there are only so many instructions.
    pub(super) fn run_compact<const SURE: bool>(&mut self, code: &'p Code, start: usize) -> Halt {
        let bytes = self.bytes;
        let mut at = self.behind_head(code, start);
        let mut steps = 0;
        loop {
            let State { pc, pos } = at;
            steps += 1;
            let after = |pos: Option<usize>| pos.map(|pos| State { pc: pc + 1, pos });
            let on = |next: u32, pos: Option<usize>| pos.and_then(|pos| go(next, pos));
            let to = |pc: u32| go(pc, pos);
            let next = match code.ops.get(pc) {
                Some(Op::Byte { byte, next }) => {
                    on(*next, (bytes.get(pos) == Some(byte)).then_some(pos + 1))
                }
                Some(Op::Word { length, next, word }) => on(*next, self.word(pos, *length, *word)),
                Some(Op::Text { number, next }) => on(*next, self.long(code, *number, pos)),
                Some(Op::One { members, next }) => on(*next, self.member(code, *members, at)),
                Some(Op::Save { slot, next }) => go(*next, self.save(*slot as usize, pos)),
                Some(Op::Jump(target)) => to(*target),
                Some(Op::Choice(choice)) => self.choose_way::<SURE>(code, choice, at),
                Some(Op::Span(number)) => self.past_span::<SURE>(code, *number, at, &mut steps),
                Some(Op::Enter(reg)) => after(Some(self.enter(*reg as usize, pos))),
                Some(Op::Progress { reg, .. }) if self.has_moved(*reg as usize, pos) => {
                    after(Some(pos))
                }
                Some(Op::Progress { exit, .. }) => to(*exit),
                Some(Op::Assert(assertion)) => after(self.holds(*assertion, pos).then_some(pos)),
                Some(Op::Need(number)) => after(self.comes(*number as usize, pos).then_some(pos)),
                Some(Op::IfGroup { group, otherwise }) => match self.span(*group as usize) {
                    Some(_) => after(Some(pos)),
                    None => to(*otherwise),
                },
                Some(Op::Accept) if self.frame == NONE => {
                    self.spend(steps);
                    return Halt::Match(start, pos);
                }
                Some(Op::Accept | Op::Other) => match self.rare(at) {
                    Next::To(state) => Some(state),
                    Next::Fail => None,
                    Next::Matched(end) => return Halt::Match(start, end),
                    Next::Exhausted => return Halt::Exhausted,
                },
                None => None,
            };
            if let Some(state) = next
                && state.pc > pc
            {
                at = state;
                continue;
            }
            self.spend(std::mem::take(&mut steps));
            if self.fuel == 0 {
                return Halt::Exhausted;
            }
            at = match next.map_or_else(|| self.go_back(), Next::To) {
                Next::To(state) => state,
                Next::Fail => return Halt::NoMatch,
                Next::Matched(end) => return Halt::Match(start, end),
                Next::Exhausted => return Halt::Exhausted,
            };
        }
    }

    /// Where the prefix of the pattern, which stands there, leaves off.
    #[inline(always)]
    fn behind_head(&mut self, code: &Code, start: usize) -> State {
        let head = &code.head;
        for (slot, pos) in &head.slots {
            if let Some(value) = self.scratch.slots.get_mut(slot + 2) {
                *value = *pos;
            }
        }
        State {
            pc: head.pc,
            pos: start + head.pos,
        }
    }

    /// The position after a text of at most eight bytes.
    #[inline(always)]
    fn word(&self, pos: usize, length: u8, word: u64) -> Option<usize> {
        let rest = self.bytes.get(pos..)?;
        let same = match rest.first_chunk() {
            Some(next) => {
                let unused = 64 - 8 * u32::from(length);
                (u64::from_le_bytes(*next) ^ word) << unused == 0
            }
            None => {
                let word = word.to_le_bytes();
                let word = word.get(..usize::from(length));
                word.is_some_and(|word| rest.starts_with(word))
            }
        };
        same.then_some(pos + usize::from(length))
    }

    /// The position after a longer text.
    fn long(&self, code: &Code, number: u32, pos: usize) -> Option<usize> {
        let (text, rest) = (code.texts.get(number as usize)?, self.bytes.get(pos..)?);
        begins(rest, text).then_some(pos + text.len())
    }

    /// The position after one character of a set.
    #[inline(always)]
    fn member(&self, code: &Code, members: Members, at: State) -> Option<usize> {
        match self.bytes.get(at.pos)? {
            byte if members.has(code.classes.of(*byte)) => Some(at.pos + 1),
            byte if byte.is_ascii() => None,
            _ => self.wide(at),
        }
    }

    /// The position after one character beyond ASCII.
    #[cold]
    fn wide(&self, at: State) -> Option<usize> {
        match self.program.insts.get(at.pc) {
            Some(Inst::One(set)) => self.one(self.program.sets.get(*set), at.pos),
            _ => None,
        }
    }

    /// Where a choice leads.
    #[inline(always)]
    fn choose_way<const SURE: bool>(
        &mut self,
        code: &Code,
        choice: &Choice,
        at: State,
    ) -> Option<State> {
        match code.led(choice.lead, self.bytes.get(at.pos)) {
            Led::Nowhere => None,
            Led::To(pc) if pc != at.pc => Some(State { pc, ..at }),
            Led::To(_) if SURE => self.go_surely(choice, at.pos),
            Led::To(_) => self.divide(code, choice, at),
        }
    }

    /// The way that leads to a match. (In a look-around none may.)
    fn go_surely(&self, choice: &Choice, pos: usize) -> Option<State> {
        let (prefer, other) = (choice.prefer as usize, choice.other as usize);
        if self.hopes(prefer, pos) {
            return Some(State { pc: prefer, pos });
        }
        (self.frame == NONE || self.hopes(other, pos)).then_some(State { pc: other, pos })
    }

    /// Where a choice leads that the next byte does not make.
    #[inline(always)]
    fn divide(&mut self, code: &Code, choice: &Choice, at: State) -> Option<State> {
        let [mut prefer, mut other] = [true, true];
        if let Some(number) = choice.guess
            && let Some(guess) = code.guesses.get(usize::from(number.get()) - 1)
        {
            prefer = self.hinted(code, guess.prefer, at.pos);
            other = self.hinted(code, guess.other, at.pos);
        }
        if !prefer {
            let pc = usize::from(choice.other);
            return other.then_some(State { pc, ..at });
        }
        if other {
            self.push_way(usize::from(choice.other), at.pos);
        }
        Some(State {
            pc: usize::from(choice.prefer),
            ..at
        })
    }

    /// Whether what comes here is what a way needs.
    #[inline(always)]
    fn hinted(&self, code: &Code, hint: Hint, pos: usize) -> bool {
        match hint {
            Hint::Open => true,
            Hint::Word { length, word } => self.word(pos, length, word).is_some(),
            Hint::Second(members) => {
                let first = self.bytes.get(pos);
                first.is_some_and(|byte| !byte.is_ascii())
                    || members.has(code.classes.next(self.bytes.get(pos + 1)))
            }
        }
    }

    /// An instruction that has no compact form.
    #[inline(never)]
    fn rare(&mut self, at: State) -> Next {
        match self.program.insts.get(at.pc) {
            Some(inst) => self.choose(inst, at, true),
            None => Next::Fail,
        }
    }

    /// Where a span leads; the steps that it takes beyond one are added.
    #[inline(always)]
    fn past_span<const SURE: bool>(
        &mut self,
        code: &Code,
        number: u32,
        at: State,
        steps: &mut usize,
    ) -> Option<State> {
        let span = code.spans.get(number as usize)?;
        match span.lead.map(|lead| code.led(lead, self.bytes.get(at.pos))) {
            Some(Led::Nowhere) => None,
            Some(Led::To(pc)) if pc != at.pc => Some(State { pc, ..at }),
            _ => {
                let pos = self.after_span::<SURE>(code, span, at, steps)?;
                match span.then {
                    None => go(span.to, pos),
                    Some(byte) if self.bytes.get(pos) == Some(&byte) => go(span.to, pos + 1),
                    Some(_) => None,
                }
            }
        }
    }

    /// The position after a span.
    #[inline(always)]
    fn after_span<const SURE: bool>(
        &mut self,
        code: &Code,
        span: &Span,
        at: State,
        steps: &mut usize,
    ) -> Option<usize> {
        let State { pc, pos } = at;
        let rest = self.bytes.get(pos..)?;
        if span.line {
            return self.line_of::<SURE>(code, span, at, rest);
        }
        let most = rest.get(..span.most as usize).unwrap_or(rest);
        let takes = |byte: &u8| span.members.has(code.classes.of(*byte));
        let length = most.iter().position(|byte| !takes(byte));
        let length = length.unwrap_or(most.len());
        // The next character may be one of them all the same.
        if most.get(length).is_some_and(|byte| !byte.is_ascii()) {
            return self.wide_span(at);
        }
        let least = span.least as usize;
        if length < least {
            return None;
        }
        *steps += length / 4;
        let (low, high) = (pos + least, pos + length);
        if span.keeps {
            return Some(high);
        }
        if SURE {
            return self.span_down(at, low, high);
        }
        let mut top = high;
        while !span.next.has(code.classes.next(self.bytes.get(top)))
            || !(span.sure || self.may_follow(at, top))
        {
            if top == low {
                *steps += (high - low) / 4;
                return None;
            }
            top -= 1;
        }
        if top > low {
            let (pc, low, high) = (small(pc), small(low), small(top));
            self.scratch.stack.push(Entry::Give { pc, low, high });
        }
        *steps += (high - top) / 4;
        Some(top)
    }

    /// The position after a span of all that is left of the line.
    fn line_of<const SURE: bool>(
        &mut self,
        code: &Code,
        span: &Span,
        at: State,
        rest: &[u8],
    ) -> Option<usize> {
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        if span.least > 0 && length == 0 {
            return None;
        }
        self.spend(length / 16);
        let high = at.pos + length;
        if span.keeps {
            return Some(high);
        }
        let low = match span.least {
            0 => at.pos,
            _ => self.after(at.pos),
        };
        let next = code.classes.next(self.bytes.get(high));
        if !SURE && span.sure && span.next.has(next) {
            return Some(self.give(State { pos: low, ..at }, (high, high)));
        }
        self.span_down(at, low, high)
    }

    /// Whether what follows a span may come at a position.
    #[inline(never)]
    fn may_follow(&self, at: State, pos: usize) -> bool {
        match self.program.insts.get(at.pc) {
            Some(Inst::Run(run)) => self.may_come(run.next, self.state(run.next), pos),
            _ => false,
        }
    }

    /// The highest position at which a span can end, so that what follows may come.
    fn span_down(&mut self, at: State, low: usize, high: usize) -> Option<usize> {
        let Some(Inst::Run(run)) = self.program.insts.get(at.pc) else {
            return None;
        };
        match self.lower(run, State { pos: low, ..at }, high) {
            Some(pos) => Some(self.give(State { pos: low, ..at }, (pos, high))),
            None => {
                self.spend((high - low) / 4);
                None
            }
        }
    }

    /// A span that meets characters beyond ASCII.
    #[cold]
    fn wide_span(&mut self, at: State) -> Option<usize> {
        match self.program.insts.get(at.pc) {
            Some(Inst::Run(run)) => self.run_plainly(run, at),
            _ => None,
        }
    }
}

#[inline(always)]
fn go(pc: u32, pos: usize) -> Option<State> {
    let pc = pc as usize;
    Some(State { pc, pos })
}
