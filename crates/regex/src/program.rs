//! A compiled pattern: instructions for the matcher, and what is known about them.

use crate::ast::{Assertion, Case, Greed};
use crate::code::{Code, Lead};
use crate::first::First;
use crate::outlook::Shelf;
use crate::set::Set;
use memchr::memmem::Finder;

/// The index of an instruction.
pub(crate) type Pc = usize;

/// One instruction. Those that match go on with the next one.
#[derive(Clone, Debug)]
pub(crate) enum Inst {
    /// This byte.
    Byte(u8),
    /// These bytes.
    Bytes(Box<[u8]>),
    /// One character of a set.
    One(usize),
    /// Many characters of a set.
    Run(Run),
    /// Go on at one place; if that fails, at the other.
    Split(Split),
    /// Go on there.
    Jump(Pc),
    /// Note the position: the start (even) or end (odd) of a group.
    Save(usize),
    /// A turn of a loop whose body may match nothing begins: note where.
    Enter(usize),
    /// A turn ends. If it matched nothing, no further turn: go to `exit`.
    Progress { reg: usize, exit: Pc },
    /// A condition on the position.
    Assert(Assertion),
    /// The body follows and ends in `Accept`; then go on at `next`, where the body began.
    /// `behind` is how many characters before it that is.
    Look {
        negated: bool,
        behind: Option<usize>,
        next: Pc,
    },
    /// A look-around for a fixed text or a single character, done in one step.
    Peek {
        negated: bool,
        behind: Option<usize>,
        what: Sight,
    },
    /// The body follows and ends in `Accept`; then go on at `next`, and never back into it.
    Atomic { next: Pc },
    /// What must come here or later, by its number.
    Need(usize),
    /// The end of the pattern or of a body.
    Accept,
    /// The text of a group once more.
    BackRef { group: usize, case: Case },
    /// A piece of the pattern begins, for those who ask why it does not match.
    Place(usize),
    /// Go on here if the group has matched, else there.
    IfGroup { group: usize, otherwise: Pc },
}

/// What a look-around looks for.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// These bytes.
    Bytes(Box<[u8]>),
    /// One character of a set.
    One(usize),
}

/// `[a-z]{min,max}` and its like.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) set: usize,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    pub(crate) greed: Greed,
    /// A text it does not run into, as in `(?:(?! from ).)*`.
    pub(crate) guard: Option<Box<[u8]>>,
    /// What may come after it.
    pub(crate) next: Ahead,
    /// Where this and the choices after it lead, by what comes next.
    pub(crate) lead: Option<Lead>,
}

/// A choice, with what may come on either way.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// Whether it is where an endless loop comes back to, so that the memo must see each visit.
    pub(crate) endless: bool,
    pub(crate) prefer: Way,
    pub(crate) other: Way,
    /// Where this and the choices after it lead, by what comes next; none for the choice of an
    /// endless loop.
    pub(crate) lead: Option<Lead>,
}

/// One way out of a choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) pc: Pc,
    /// What may come on it.
    pub(crate) ahead: Ahead,
}

impl Way {
    pub(crate) fn to(pc: Pc) -> Self {
        Self {
            pc,
            ahead: Ahead::default(),
        }
    }
}

/// What may come from a place on: spares the matcher ways that soon end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    /// What it can begin with: the first of as many [`First`]s as the conditions have states.
    pub(crate) first: u32,
    pub(crate) then: Then,
    /// Whether it depends on the conditions.
    pub(crate) depends: bool,
}

/// What is known beyond the first byte.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Then {
    /// Nothing.
    #[default]
    Open,
    /// This text comes.
    Text(u32),
    /// One character comes, and after it what can begin with one of these.
    After(u32),
}

/// What the memo keeps about an instruction at which a choice is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Its first row in the memo.
    pub(crate) row: usize,
    /// The loop registers its future depends on: from here
    pub(crate) base: usize,
    /// to here.
    pub(crate) depth: usize,
    /// What it is a part of.
    pub(crate) body: Body,
}

/// What an instruction is a part of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// The pattern itself: whatever was tried before has failed.
    Main,
    /// An atomic group: what was tried may have matched, up to some position.
    Sub,
    /// A look-around: what was tried may have matched, and how far does not matter.
    Look,
    /// One whose groups are wanted: what matched before must be matched again for their sake.
    Capturing,
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) insts: Vec<Inst>,
    /// By instruction.
    pub(crate) points: Vec<Option<Point>>,
    pub(crate) sets: Vec<Set>,
    /// What can come first where, once for each state of the `known` conditions.
    pub(crate) firsts: Vec<First>,
    /// The compact form; none where bytes have too many classes.
    pub(crate) code: Option<Code>,
    /// What must come after certain alternatives.
    pub(crate) needs: Vec<Box<[u8]>>,
    /// The texts that can come.
    pub(crate) texts: Vec<Box<[u8]>>,
    /// How many conditions the firsts depend on: all, unless they are too many.
    pub(crate) known: usize,
    /// What a match can begin with.
    pub(crate) first: usize,
    /// The groups conditionals ask for.
    pub(crate) conditions: Vec<usize>,
    /// The groups whose text must come again.
    pub(crate) again: Vec<usize>,
    /// How many rows the memo needs at most.
    pub(crate) rows: usize,
    /// How many position slots: two for each group.
    pub(crate) slots: usize,
    /// How many loop registers.
    pub(crate) regs: usize,
    /// Whether the memo may be used: the future of a choice depends on the instruction, the position,
    /// and the loops, conditions and groups the memo knows of.
    pub(crate) memoizable: bool,
    /// Whether the time is bounded without a limit of steps.
    pub(crate) linear: bool,
    /// Where a match can begin.
    pub(crate) begin: Begin,
    /// A text every match begins with, empty if none is known.
    pub(crate) prefix: Box<str>,
    /// A text every match contains, if one is known that is more than the prefix.
    pub(crate) required: Option<Finder<'static>>,
    /// What tells for lines that take long where a match can still be.
    pub(crate) outlook: Shelf,
}

impl Program {
    /// Makes the matcher try what cannot succeed, so that one can watch it fail.
    pub(crate) fn spare_nothing(&mut self) {
        self.firsts.fill(First::ANY);
        for inst in &mut self.insts {
            match inst {
                Inst::Run(run) => {
                    run.next.then = Then::Open;
                    run.lead = None;
                }
                Inst::Split(split) => {
                    split.prefer.ahead.then = Then::Open;
                    split.other.ahead.then = Then::Open;
                    split.lead = None;
                }
                _ => {}
            }
        }
        self.code = None;
        self.needs.clear();
        self.required = None;
        self.prefix = "".into();
        if let Begin::Prefix(_) = self.begin {
            self.begin = Begin::Any;
        }
    }
}

/// Where a match can begin.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Where the text does.
    Text,
    /// Where a line does.
    Line,
    /// Where the prefix stands.
    Prefix(Box<Finder<'static>>),
    /// Anywhere.
    Any,
}
