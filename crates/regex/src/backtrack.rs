//! The matcher: tries alternatives in order, remembers where to come back to, and comes back.
//!
//! A search starts plainly, which is fastest for the lines nobody prepared. If that takes more than a few
//! steps for each byte, it begins anew at the same place with a [`Memo`] and then takes no step
//! twice. Nothing here recurses: look-arounds and atomic groups are frames on the one stack.

mod runs;
mod text;

use crate::memo::{Memo, Seen};
use crate::program::{Inst, Pc, Program, Split};
use std::cell::Cell;

/// Steps for each byte before the memo is used.
pub(crate) const PLAIN_STEPS: u64 = 32;

/// Steps for a search that no memo bounds.
const STEP_LIMIT: u64 = 5_000_000;

/// The most entries on the stack, some 128 MB.
const MAX_STACK: usize = 8 << 20;

/// No position, no frame.
const NONE: u32 = u32::MAX;

/// What a search came to, and in how many steps.
#[derive(Debug)]
pub(crate) struct Found {
    /// The positions of all groups, start and end; none if there was no match.
    pub(crate) slots: Option<Vec<u32>>,
    /// Whether the search was given up.
    pub(crate) exhausted: bool,
    /// How many steps it took.
    pub(crate) steps: u64,
}

/// Looks for the first match that begins at `start` or later.
pub(crate) fn search(program: &Program, text: &str, start: usize) -> Found {
    search_with(program, text, start, PLAIN_STEPS)
}

/// The same, with so many steps for each byte before the memo is used.
pub(crate) fn search_with(program: &Program, text: &str, start: usize, plain: u64) -> Found {
    if small(text.len()) >= NONE - 2 {
        return Found {
            slots: None,
            exhausted: true,
            steps: 0,
        };
    }
    if !may_match(program, text, start) {
        return Found {
            slots: None,
            exhausted: false,
            steps: 0,
        };
    }
    let mut machine = Machine::new(program, text, plain, SCRATCH.take());
    let halt = machine.search(start);
    let steps = machine.steps + (machine.allowed - machine.fuel);
    let slots = match halt {
        Halt::Match(start, end) => {
            let whole = [small(start), small(end)];
            Some(
                whole
                    .into_iter()
                    .chain(machine.scratch.slots.iter().copied())
                    .collect(),
            )
        }
        Halt::NoMatch | Halt::Exhausted => None,
    };
    if machine.scratch.stack.capacity() <= MAX_KEPT {
        SCRATCH.set(machine.scratch);
    }
    Found {
        slots,
        exhausted: matches!(halt, Halt::Exhausted),
        steps,
    }
}

/// Whether the text has what every match needs.
fn may_match(program: &Program, text: &str, start: usize) -> bool {
    if program.anchored {
        let first = program.firsts.get(program.first);
        return start == 0 && first.is_none_or(|first| first.allows(text.as_bytes().first()));
    }
    let required = program.required.as_str();
    required.is_empty()
        || text
            .get(start..)
            .is_some_and(|rest| rest.contains(required))
}

thread_local! {
    /// The lists of the last search, so that the next one need not allocate them.
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::NEW) };
}

/// The most stack entries kept for the next search.
const MAX_KEPT: usize = 4 << 10;

/// What a search works with, empty between searches.
#[derive(Default)]
struct Scratch {
    stack: Vec<Entry>,
    slots: Vec<u32>,
    regs: Vec<u32>,
}

impl Scratch {
    const NEW: Self = Self {
        stack: Vec::new(),
        slots: Vec::new(),
        regs: Vec::new(),
    };

    /// Forgets everything and makes room for a program.
    fn reset(&mut self, program: &Program) {
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

/// Positions and indices on the stack take half a word; texts that long are not searched.
#[inline]
fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

/// Where the matcher is.
#[derive(Clone, Copy, Debug)]
struct State {
    pc: Pc,
    pos: usize,
}

/// Why it stops.
#[derive(Clone, Copy, Debug)]
enum Halt {
    Match(usize, usize),
    NoMatch,
    Exhausted,
}

/// What a step leads to.
enum Next {
    To(State),
    Fail,
    Matched(usize),
    Exhausted,
}

/// What to do on the way back.
#[derive(Clone, Copy, Debug)]
enum Entry {
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

struct Machine<'p, 't> {
    program: &'p Program,
    text: &'t str,
    bytes: &'t [u8],
    scratch: Scratch,
    /// The innermost open frame, as an index of the stack.
    frame: u32,
    memo: Option<Memo>,
    fuel: u64,
    allowed: u64,
    /// Steps taken before the present allowance.
    steps: u64,
}

impl<'p, 't> Machine<'p, 't> {
    fn new(program: &'p Program, text: &'t str, plain: u64, mut scratch: Scratch) -> Self {
        scratch.reset(program);
        let plain = plain * (text.len() as u64 + 64);
        let fuel = if program.memoizable {
            plain
        } else {
            STEP_LIMIT
        };
        Self {
            program,
            text,
            bytes: text.as_bytes(),
            scratch,
            frame: NONE,
            memo: None,
            fuel,
            allowed: fuel,
            steps: 0,
        }
    }

    fn search(&mut self, start: usize) -> Halt {
        if self.program.anchored {
            return self.attempt(0);
        }
        let first = self.program.firsts.get(self.program.first);
        for pos in start..=self.bytes.len() {
            let byte = self.bytes.get(pos);
            if first.is_some_and(|first| !first.allows(byte)) || !self.text.is_char_boundary(pos) {
                continue;
            }
            match self.attempt(pos) {
                Halt::NoMatch => {}
                halt => return halt,
            }
        }
        Halt::NoMatch
    }

    /// A match that begins at `pos`, with the memo if need be.
    fn attempt(&mut self, pos: usize) -> Halt {
        let halt = self.run(pos);
        if !matches!(halt, Halt::Exhausted) || self.memo.is_some() || !self.program.memoizable {
            return halt;
        }
        self.scratch.reset(self.program);
        self.frame = NONE;
        self.memo = Some(Memo::new(self.program.rows, self.bytes.len()));
        self.steps += self.allowed - self.fuel;
        self.allowed = if self.program.linear {
            u64::MAX
        } else {
            STEP_LIMIT
        };
        self.fuel = self.allowed;
        self.run(pos)
    }

    fn run(&mut self, start: usize) -> Halt {
        let mut at = State { pc: 0, pos: start };
        loop {
            if self.fuel == 0 || self.scratch.stack.len() > MAX_STACK {
                return Halt::Exhausted;
            }
            self.fuel -= 1;
            let mut next = self.step(at);
            while let Next::Fail = next {
                match self.scratch.stack.pop() {
                    Some(entry) => next = self.back(entry),
                    None => return Halt::NoMatch,
                }
            }
            match next {
                Next::To(state) => at = state,
                Next::Matched(end) => return Halt::Match(start, end),
                Next::Fail | Next::Exhausted => return Halt::Exhausted,
            }
        }
    }

    #[inline]
    fn spend(&mut self, steps: usize) {
        self.fuel = self.fuel.saturating_sub(steps as u64);
    }

    #[inline]
    fn step(&mut self, at: State) -> Next {
        let program = self.program;
        let State { pc, pos } = at;
        let Some(inst) = program.insts.get(pc) else {
            return Next::Fail;
        };
        let here = |holds: bool| if holds { goto(pc + 1, pos) } else { Next::Fail };
        match inst {
            Inst::Byte(byte) => match self.bytes.get(pos) {
                Some(found) if found == byte => goto(pc + 1, pos + 1),
                _ => Next::Fail,
            },
            Inst::Bytes(bytes) => match self.bytes.get(pos..) {
                Some(rest) if rest.starts_with(bytes) => goto(pc + 1, pos + bytes.len()),
                _ => Next::Fail,
            },
            Inst::One(set) => match self.one(program.sets.get(*set), pos) {
                Some(after) => goto(pc + 1, after),
                None => Next::Fail,
            },
            Inst::Run(run) => self.begin_run(run, at),
            Inst::Split(split) => self.split(split, at),
            Inst::Jump(to) => goto(*to, pos),
            Inst::Save(slot) => self.save(*slot, at),
            Inst::Enter(reg) => self.enter(*reg, at),
            Inst::Progress { reg, exit } => match self.scratch.regs.get(*reg) {
                Some(began) if *began == small(pos) => goto(*exit, pos),
                _ => goto(pc + 1, pos),
            },
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

    /// Undoes an entry of the stack, or goes on from it.
    fn back(&mut self, entry: Entry) -> Next {
        if let Some(memo) = &mut self.memo {
            memo.shrink(self.scratch.stack.len());
        }
        self.spend(1);
        match entry {
            Entry::Try { pc, pos } => return goto(pc as usize, pos as usize),
            Entry::Slot { .. } | Entry::Reg { .. } => self.undo(entry),
            Entry::Frame { pc, pos, outer } => {
                self.frame = outer;
                if let Some(Inst::Look {
                    negated: true,
                    next,
                    ..
                }) = self.program.insts.get(pc as usize)
                {
                    return goto(*next, pos as usize);
                }
            }
            Entry::Give { pc, low, high } => {
                let lower = self.before(high as usize);
                return self.offer_down(pc as usize, low as usize, lower);
            }
            Entry::Take { pc, pos, left } => {
                let state = State {
                    pc: pc as usize,
                    pos: pos as usize,
                };
                return self.with_run(state, |machine, run| machine.take_one(run, state, left));
            }
            Entry::More { pc, pos } => {
                let state = State {
                    pc: pc as usize,
                    pos: pos as usize,
                };
                return self.with_run(state, |machine, run| {
                    match machine.one(machine.program.sets.get(run.set), state.pos) {
                        Some(pos) => machine.endless_run(run, State { pos, ..state }),
                        None => Next::Fail,
                    }
                });
            }
        }
        Next::Fail
    }

    fn undo(&mut self, entry: Entry) {
        let (list, index, old) = match entry {
            Entry::Slot { slot, old } => (&mut self.scratch.slots, slot, old),
            Entry::Reg { reg, old } => (&mut self.scratch.regs, reg, old),
            _ => return,
        };
        if let Some(value) = list.get_mut(index as usize) {
            *value = old;
        }
    }

    fn save(&mut self, slot: usize, at: State) -> Next {
        if let Some(value) = self.scratch.slots.get_mut(slot) {
            self.scratch.stack.push(Entry::Slot {
                slot: small(slot),
                old: *value,
            });
            *value = small(at.pos);
        }
        goto(at.pc + 1, at.pos)
    }

    fn enter(&mut self, reg: usize, at: State) -> Next {
        if let Some(value) = self.scratch.regs.get_mut(reg) {
            self.scratch.stack.push(Entry::Reg {
                reg: small(reg),
                old: *value,
            });
            *value = small(at.pos);
        }
        goto(at.pc + 1, at.pos)
    }

    fn split(&mut self, split: &Split, at: State) -> Next {
        let byte = self.bytes.get(at.pos);
        let prefer = self.may_begin(split.prefer_first, byte);
        let other = self.may_begin(split.other_first, byte);
        if !prefer && !other {
            return Next::Fail;
        }
        match self.visit(at, 0, 0) {
            Seen::New => {}
            seen => return self.follow(seen),
        }
        if !prefer {
            return goto(split.other, at.pos);
        }
        if other {
            self.scratch.stack.push(Entry::Try {
                pc: small(split.other),
                pos: small(at.pos),
            });
        }
        goto(split.prefer, at.pos)
    }

    #[inline]
    fn may_begin(&self, first: usize, byte: Option<&u8>) -> bool {
        self.program
            .firsts
            .get(first)
            .is_none_or(|first| first.allows(byte))
    }

    /// What the memo knows about a choice, `part` of its instruction, made with `above` more
    /// entries on the stack than there are.
    #[inline]
    fn visit(&mut self, at: State, part: usize, above: usize) -> Seen {
        if self.memo.is_none() {
            return Seen::New;
        }
        self.visit_memo(at, part, above)
    }

    fn visit_memo(&mut self, at: State, part: usize, above: usize) -> Seen {
        let program = self.program;
        let Some(Some(point)) = program.points.get(at.pc) else {
            return Seen::New;
        };
        // The future depends on which loops have matched nothing in this turn. A loop that has
        // not moved holds inner loops that have not either, so a count tells which.
        let loops = self
            .scratch
            .regs
            .get(point.base..point.depth)
            .unwrap_or(&[]);
        let mut context = loops
            .iter()
            .take_while(|began| **began != small(at.pos))
            .count();
        let mut contexts = point.depth - point.base + 1;
        for group in &program.conditions {
            context = 2 * context + usize::from(self.span(*group).is_some());
            contexts *= 2;
        }
        let row = point.row + part * contexts + context;
        let height = self.scratch.stack.len() + above;
        match &mut self.memo {
            Some(memo) => memo.visit(point.body, row, at.pos, height),
            None => Seen::New,
        }
    }

    fn follow(&mut self, seen: Seen) -> Next {
        match seen {
            Seen::New | Seen::Failed => Next::Fail,
            Seen::Matched(end) => self.accept(end),
            Seen::Full => Next::Exhausted,
        }
    }

    fn enter_frame(&mut self, at: State, start: usize) -> Next {
        let frame = small(self.scratch.stack.len());
        let (pc, pos, outer) = (small(at.pc), small(at.pos), self.frame);
        self.scratch.stack.push(Entry::Frame { pc, pos, outer });
        self.frame = frame;
        goto(at.pc + 1, start)
    }

    /// The pattern or the innermost body has matched up to `end`.
    fn accept(&mut self, end: usize) -> Next {
        let index = self.frame as usize;
        let Some(Entry::Frame { pc, pos, outer }) = self.scratch.stack.get(index).copied() else {
            return Next::Matched(end);
        };
        if let Some(memo) = &mut self.memo {
            memo.settle(index, end);
        }
        self.frame = outer;
        match self.program.insts.get(pc as usize) {
            Some(Inst::Look {
                negated: false,
                next,
                ..
            }) => {
                self.keep_captures(index);
                goto(*next, pos as usize)
            }
            Some(Inst::Atomic { next }) => {
                self.keep_captures(index);
                goto(*next, end)
            }
            _ => {
                while self.scratch.stack.len() > index {
                    self.scratch
                        .stack
                        .pop()
                        .into_iter()
                        .for_each(|entry| self.undo(entry));
                }
                Next::Fail
            }
        }
    }

    /// Drops a frame and the ways back into it, but not what undoes its captures.
    fn keep_captures(&mut self, frame: usize) {
        let mut kept = frame;
        for index in frame + 1..self.scratch.stack.len() {
            if matches!(self.scratch.stack.get(index), Some(Entry::Slot { .. })) {
                self.scratch.stack.swap(kept, index);
                kept += 1;
            }
        }
        self.scratch.stack.truncate(kept);
    }
}

#[inline]
fn goto(pc: Pc, pos: usize) -> Next {
    Next::To(State { pc, pos })
}
