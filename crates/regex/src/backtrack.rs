//! The matcher: tries alternatives in order, remembers where to come back to, and comes back.
//!
//! A search starts plainly, which is fastest for the lines nobody prepared. If that takes more than a few
//! steps for each byte, it begins anew at the same place with a [`Memo`] and then takes no step
//! twice. Nothing here recurses: look-arounds and atomic groups are frames on the one stack.

mod ahead;
mod closest;
mod frames;
mod plain;
mod run;
mod runs;
mod scratch;
mod start;
mod text;
mod visits;

pub(crate) use closest::{Furthest, furthest};

use crate::memo::Memo;
use crate::program::{Begin, Inst, Pc, Program, Sight};
use closest::Watch;
use scratch::Entry;
pub(crate) use scratch::Scratch;
use start::{Starts, may_match};

/// Steps for each byte before the memo is used,
pub(crate) const PLAIN_STEPS: u64 = 8;

/// for so many bytes. Longer lines get no more of them: few need more.
const PLAIN_BYTES: u64 = 512;

/// Steps for each byte of a search that no memo bounds,
const STEPS_PER_BYTE: u64 = 8;

/// and those for a line of any length.
const STEPS_PER_LINE: u64 = 1 << 17;

/// The most entries on the stack, some 128 MB.
const MAX_STACK: usize = 8 << 20;

/// No position, no frame.
pub(crate) const NONE: u32 = u32::MAX;

/// What a search came to, and in how many steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) matched: bool,
    /// Whether the search was given up.
    pub(crate) exhausted: bool,
    /// How many steps it took.
    pub(crate) steps: u64,
}

impl Found {
    const NOTHING: Self = Self {
        matched: false,
        exhausted: false,
        steps: 0,
    };
}

/// Looks for the first match that begins at `start` or later, and leaves the positions of the match
/// and of all groups in `scratch`.
pub(crate) fn search(program: &Program, text: &str, start: usize, scratch: &mut Scratch) -> Found {
    search_with(program, (text, start), PLAIN_STEPS, scratch)
}

/// The same, with so many steps for each byte before the memo is used.
pub(crate) fn search_with(
    program: &Program,
    (text, start): (&str, usize),
    plain: u64,
    scratch: &mut Scratch,
) -> Found {
    if small(text.len()) >= NONE - 2 {
        scratch.slots.clear();
        return Found {
            exhausted: true,
            ..Found::NOTHING
        };
    }
    if !may_match(program, text, start) {
        scratch.slots.clear();
        return Found::NOTHING;
    }
    let mut machine = Machine::new(program, text, plain, scratch);
    let halt = match program.begin {
        // There is only one place to begin at.
        Begin::Text => machine.attempt(start),
        _ => machine.search(Starts::new(program, text, start)),
    };
    let steps = machine.steps + (machine.allowed - machine.fuel);
    match halt {
        Halt::Match(start, end) => scratch.end_at(start, end),
        Halt::NoMatch | Halt::Exhausted => scratch.end(),
    }
    Found {
        matched: matches!(halt, Halt::Match(..)),
        exhausted: matches!(halt, Halt::Exhausted),
        steps,
    }
}

/// The most steps a search in a text of this many bytes can take.
pub(crate) fn step_limit(program: &Program, length: usize) -> u64 {
    let length = length as u64;
    let plain = plain_limit(length, PLAIN_STEPS);
    if !program.linear {
        return plain + unbounded_limit(length);
    }
    // From each choice the memo lets pass, two ways lead to the next choices, and no instruction
    // comes twice on either.
    let longest: u64 = program.insts.iter().map(cost).sum();
    let choices = (program.rows as u64 + 1) * (length + 1);
    plain + choices.saturating_mul(2 * longest)
}

/// The most steps of an instruction that is reached once.
fn cost(inst: &Inst) -> u64 {
    match inst {
        Inst::Run(run) => 4 + 2 * u64::from(run.max.unwrap_or(run.min)),
        _ => 2,
    }
}

fn plain_limit(length: u64, steps: u64) -> u64 {
    steps * PLAIN_BYTES.min(length + 64)
}

fn unbounded_limit(length: u64) -> u64 {
    STEPS_PER_LINE + STEPS_PER_BYTE * length
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

struct Machine<'p, 't, 's> {
    program: &'p Program,
    text: &'t str,
    bytes: &'t [u8],
    scratch: &'s mut Scratch,
    /// The innermost open frame, as an index of the stack.
    frame: u32,
    memo: Option<Memo>,
    /// For those who ask why nothing matches.
    watch: Option<Box<Watch>>,
    fuel: u64,
    allowed: u64,
    /// Steps taken before the present allowance.
    steps: u64,
}

impl<'p, 't, 's> Machine<'p, 't, 's> {
    fn new(program: &'p Program, text: &'t str, plain: u64, scratch: &'s mut Scratch) -> Self {
        scratch.reset(program);
        let length = text.len() as u64;
        let fuel = if program.memoizable {
            plain_limit(length, plain)
        } else {
            unbounded_limit(length)
        };
        Self {
            program,
            text,
            bytes: text.as_bytes(),
            scratch,
            frame: NONE,
            memo: None,
            watch: None,
            fuel,
            allowed: fuel,
            steps: 0,
        }
    }

    fn search(&mut self, starts: Starts<'p, 't>) -> Halt {
        for pos in starts {
            match self.attempt(pos) {
                Halt::NoMatch => {}
                halt => return halt,
            }
        }
        Halt::NoMatch
    }

    /// A match that begins at `pos`, with the memo if need be.
    fn attempt(&mut self, pos: usize) -> Halt {
        let halt = match &self.program.code {
            Some(code) if self.memo.is_none() => self.run_compact(code, pos),
            _ => self.run(pos),
        };
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
            unbounded_limit(self.bytes.len() as u64)
        };
        self.fuel = self.allowed;
        self.run(pos)
    }

    #[inline]
    fn spend(&mut self, steps: usize) {
        self.fuel = self.fuel.saturating_sub(steps as u64);
    }

    /// Whether a text or character stands here, or this many characters before.
    #[inline(never)]
    fn sees(&self, what: &Sight, pos: usize, behind: Option<usize>) -> bool {
        let Some(start) = self.characters_back(pos, behind) else {
            return false;
        };
        match what {
            Sight::Bytes(bytes) => self
                .bytes
                .get(start..)
                .is_some_and(|rest| rest.starts_with(bytes)),
            Sight::One(set) => self.one(self.program.sets.get(*set), start).is_some(),
        }
    }

    /// Undoes an entry of the stack, or goes on from it.
    #[inline]
    fn back(&mut self, entry: Entry) -> Next {
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
                let (pc, low) = (pc as usize, low as usize);
                let lower = self.before(high as usize);
                let at = State { pc, pos: low };
                return self.with_run(at, |machine, run| machine.offer_down(run, at, lower));
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
                return self.with_run(state, |machine, run| machine.more(run, state));
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

    #[inline]
    fn save(&mut self, slot: usize, pos: usize) -> usize {
        let slot = slot + 2;
        if let Some(value) = self.scratch.slots.get_mut(slot) {
            self.scratch.stack.push(Entry::Slot {
                slot: small(slot),
                old: *value,
            });
            *value = small(pos);
        }
        pos
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
}

#[inline]
fn goto(pc: Pc, pos: usize) -> Next {
    Next::To(State { pc, pos })
}
