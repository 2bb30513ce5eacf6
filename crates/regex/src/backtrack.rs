//! The matcher: tries alternatives in order, remembers where to come back to, and comes back.
//!
//! A search starts plainly, which is fastest for the lines nobody prepared. If that takes more than a
//! few steps for each byte, it begins anew at the same place and takes care: it asks the [`Outlook`]
//! where a match can still be. Where that is not sure it keeps a [`Memo`] and then takes no step
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
use crate::outlook::{self, Outlook};
use crate::program::{Begin, Inst, Pc, Program, Sight};
use closest::Watch;
use scratch::Entry;
pub(crate) use scratch::Scratch;
use start::Starts;
pub(crate) use start::may_match;

/// Steps for each byte before care is taken: more than all but one in 600 searches for a stock
/// pattern in an ordinary line need,
const PLAIN_STEPS: u64 = 1;

/// for so many bytes. Longer lines get no more of them: few need more.
const PLAIN_BYTES: u64 = 512;

/// Steps for each byte of a search that no memo bounds (or none is kept for),
const STEPS_PER_BYTE: u64 = 6;

/// and those for a line of any length: a few lines that stock patterns match need 5,000.
const STEPS_PER_LINE: u64 = 1 << 13;

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

/// Looks for the first match that begins at `start` or later, in a text that [`may_match`], and
/// leaves the positions of the match and of all groups in `scratch`.
pub(crate) fn search(program: &Program, text: &str, start: usize, scratch: &mut Scratch) -> Found {
    search_with(program, (text, start), Care::USUAL, scratch)
}

/// When a search stops being plain, and what it may use then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    /// Steps for each byte before that.
    pub(crate) plain: u64,
    /// Whether it asks the outlook.
    pub(crate) outlook: bool,
}

impl Care {
    pub(crate) const USUAL: Self = Self {
        plain: PLAIN_STEPS,
        outlook: true,
    };
    /// From the start.
    pub(crate) const ALL: Self = Self {
        plain: 0,
        outlook: true,
    };
}

/// The same, taking care as it is said.
pub(crate) fn search_with(
    program: &Program,
    (text, start): (&str, usize),
    care: Care,
    scratch: &mut Scratch,
) -> Found {
    if small(text.len()) >= NONE - 2 {
        scratch.slots.clear();
        return Found {
            matched: false,
            exhausted: true,
            steps: 0,
        };
    }
    let mut machine = Machine::new(program, text, care, scratch);
    let halt = match program.begin {
        // There is only one place to begin at.
        Begin::Text => machine.attempt(start),
        _ => machine.search(Starts::new(program, text, start)),
    };
    if let Some(outlook) = machine.outlook.take() {
        program.outlook.put(outlook);
    }
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
    let plain = plain + Outlook::step_limit(length) + unbounded_limit(length);
    if !program.linear {
        return plain;
    }
    // If what the outlook is sure of takes too long after all, a memo is kept.
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
    care: Care,
    /// Whether the search is no longer plain.
    careful: bool,
    outlook: Option<Box<Outlook>>,
    /// Whether the outlook is so sure of itself that nothing need be gone back to.
    sure: bool,
    /// For those who ask why nothing matches.
    watch: Option<Box<Watch>>,
    fuel: u64,
    allowed: u64,
    /// Steps taken before the present allowance.
    steps: u64,
}

impl<'p, 't, 's> Machine<'p, 't, 's> {
    fn new(program: &'p Program, text: &'t str, care: Care, scratch: &'s mut Scratch) -> Self {
        scratch.reset(program);
        let fuel = plain_limit(text.len() as u64, care.plain);
        Self {
            program,
            text,
            bytes: text.as_bytes(),
            scratch,
            frame: NONE,
            memo: None,
            care,
            careful: false,
            outlook: None,
            sure: false,
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

    /// A match that begins at `pos`, with care if need be.
    fn attempt(&mut self, pos: usize) -> Halt {
        if !self.careful && self.fuel > 0 {
            let halt = match &self.program.code {
                Some(code) => self.run_compact::<false>(code, pos),
                None => self.run(pos),
            };
            if !matches!(halt, Halt::Exhausted) {
                return halt;
            }
        }
        if !self.careful {
            self.take_care(pos);
        }
        if !self.hopes(0, pos) {
            return Halt::NoMatch;
        }
        if self.memo.is_none() && self.program.memoizable {
            // What the outlook is sure of takes no turn back, so that nothing is tried twice.
            if self.sure {
                let halt = match &self.program.code {
                    Some(code) => self.run_compact::<true>(code, pos),
                    None => self.run(pos),
                };
                if !matches!(halt, Halt::Exhausted) {
                    return halt;
                }
                self.begin_anew();
                self.sure = false;
            }
            self.memo = Some(Memo::new(self.program.rows, self.bytes.len()));
            if self.program.linear {
                self.allow(u64::MAX);
            }
        }
        self.run(pos)
    }

    /// Begins anew at `pos`.
    fn take_care(&mut self, pos: usize) {
        self.careful = true;
        self.begin_anew();
        self.allow(unbounded_limit(self.bytes.len() as u64));
        // Python finds neither an edge nor its absence in an empty text; the outlook does.
        if self.care.outlook && (1..=outlook::LONGEST).contains(&self.text.len()) {
            self.outlook = self.program.outlook.take(self.program);
        }
        if let Some(outlook) = &mut self.outlook {
            self.steps += outlook.read(self.text, pos);
            self.sure = self.program.linear && outlook.is_sure();
        }
    }

    fn begin_anew(&mut self) {
        self.scratch.reset(self.program);
        self.frame = NONE;
    }

    /// From now on so many steps.
    fn allow(&mut self, steps: u64) {
        self.steps += self.allowed - self.fuel;
        (self.fuel, self.allowed) = (steps, steps);
    }

    /// Whether the rest may match from an instruction and a position on.
    #[inline(always)]
    fn hopes(&self, pc: Pc, pos: usize) -> bool {
        match &self.outlook {
            None => true,
            Some(outlook) => self.ask(outlook, pc, pos),
        }
    }

    #[inline]
    fn ask(&self, outlook: &Outlook, pc: Pc, pos: usize) -> bool {
        let (conditions, loops) = outlook.told_apart();
        let mut state = match conditions {
            0 => 0,
            _ => self.conditions(),
        };
        for (reg, began) in self.scratch.regs.iter().take(loops).enumerate() {
            if *began != small(pos) {
                state |= 1 << (conditions + reg);
            }
        }
        outlook.allows(pc, state, pos)
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
                .is_some_and(|rest| text::begins(rest, bytes)),
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

    #[inline]
    fn enter(&mut self, reg: usize, pos: usize) -> usize {
        if let Some(value) = self.scratch.regs.get_mut(reg) {
            self.scratch.stack.push(Entry::Reg {
                reg: small(reg),
                old: *value,
            });
            *value = small(pos);
        }
        pos
    }

    /// Whether the turn of a loop has matched something.
    #[inline]
    fn has_moved(&self, reg: usize, pos: usize) -> bool {
        self.scratch.regs.get(reg) != Some(&small(pos))
    }
}

#[inline]
fn goto(pc: Pc, pos: usize) -> Next {
    Next::To(State { pc, pos })
}
