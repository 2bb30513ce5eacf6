//! Which byte can come first from an instruction on: a cheap look ahead that spares the matcher
//! most of its dead ends.

use crate::ast::Assertion;
use crate::program::{Inst, Pc};
use crate::set::Set;

/// Instructions looked at for one answer; with more, anything may come.
const MAX_LOOKED_AT: usize = 100;

/// What can come first. It may be too much, never too little.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct First {
    bytes: ByteSet,
    end: bool,
}

impl First {
    const NONE: Self = Self {
        bytes: ByteSet::NONE,
        end: false,
    };
    /// Anything.
    pub(crate) const ANY: Self = Self {
        bytes: ByteSet::ALL,
        end: true,
    };

    /// What can come first from `start` on, while the conditions are as they are said to be.
    pub(crate) fn of(start: Pc, insts: &[Inst], sets: &[Set], known: Known<'_>) -> Self {
        let mut first = Self::NONE;
        let mut seen: Vec<Pc> = Vec::new();
        let mut open = vec![start];
        while let Some(pc) = open.pop() {
            if seen.contains(&pc) {
                continue;
            }
            seen.push(pc);
            if seen.len() > MAX_LOOKED_AT {
                return Self::ANY;
            }
            if known.may_change(pc, insts) {
                return Self::of(start, insts, sets, Known::NOTHING);
            }
            if let Some(Inst::IfGroup { group, otherwise }) = insts.get(pc) {
                open.extend(known.ways(*group, pc + 1, *otherwise));
            } else if !first.add(pc, insts, sets, &mut open) {
                return Self::ANY;
            }
        }
        first
    }

    /// Adds one instruction, and to `open` those it leads to; false if anything may come.
    fn add(&mut self, pc: Pc, insts: &[Inst], sets: &[Set], open: &mut Vec<Pc>) -> bool {
        let Some(inst) = insts.get(pc) else {
            return false;
        };
        match inst {
            Inst::Byte(byte) => self.bytes.insert(*byte),
            Inst::Bytes(bytes) => bytes
                .first()
                .into_iter()
                .for_each(|byte| self.bytes.insert(*byte)),
            Inst::One(set) => self.bytes.extend(sets.get(*set)),
            Inst::Run(run) => {
                self.bytes.extend(sets.get(run.set));
                if run.min == 0 {
                    open.push(pc + 1);
                }
            }
            Inst::Split(split) => open.extend([split.other.pc, split.prefer.pc]),
            Inst::Jump(to) => open.push(*to),
            Inst::Assert(Assertion::End | Assertion::LineEnd) => {
                self.bytes.insert(b'\n');
                self.end = true;
            }
            Inst::Assert(Assertion::TextEnd) => self.end = true,
            Inst::Save(_)
            | Inst::Enter(_)
            | Inst::Assert(_)
            | Inst::Peek { .. }
            | Inst::Place(_)
            | Inst::Need(_)
            | Inst::Atomic { .. } => open.push(pc + 1),
            Inst::Progress { exit, .. } => open.extend([pc + 1, *exit]),
            Inst::Look { next, .. } => open.push(*next),
            Inst::Accept | Inst::BackRef { .. } | Inst::IfGroup { .. } => return false,
        }
        true
    }

    /// Whether a match can go on with this byte, or (none) at the end.
    #[inline]
    pub(crate) fn allows(&self, byte: Option<&u8>) -> bool {
        match byte {
            Some(byte) => self.bytes.has(*byte),
            None => self.end,
        }
    }

    /// Whether what comes first can never be one of the set.
    pub(crate) fn excludes(&self, set: &Set) -> bool {
        self.bytes.is_apart_from(set.leads())
    }
}

/// Which groups have matched, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// The groups of which it is known,
    pub(crate) groups: &'a [usize],
    /// and whether they have, the last one in the lowest bit.
    pub(crate) state: usize,
}

impl Known<'_> {
    const NOTHING: Self = Self {
        groups: &[],
        state: 0,
    };

    /// Where a conditional on a group can lead.
    fn ways(self, group: usize, yes: Pc, no: Pc) -> impl Iterator<Item = Pc> {
        let place = self.groups.iter().rev().position(|known| *known == group);
        let has = place.map(|place| self.state >> place & 1 != 0);
        let yes = (has != Some(false)).then_some(yes);
        yes.into_iter().chain((has != Some(true)).then_some(no))
    }

    /// Whether an instruction may change what is known.
    fn may_change(self, pc: Pc, insts: &[Inst]) -> bool {
        let saves = |inst: &Inst| match inst {
            Inst::Save(slot) => self.groups.contains(&(slot / 2 + 1)),
            _ => false,
        };
        if self.groups.is_empty() {
            return false;
        }
        match insts.get(pc) {
            Some(Inst::Look { next, .. }) => insts
                .get(pc..*next)
                .is_some_and(|body| body.iter().any(saves)),
            Some(inst) => saves(inst),
            None => false,
        }
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(crate) const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);

    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte / 64)) {
            *word |= 1 << (byte % 64);
        }
    }

    // By reference: a copy would be made on the stack for each question.
    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte / 64))
            .is_some_and(|word| word >> (byte % 64) & 1 != 0)
    }

    /// Adds what a character of the set can begin with.
    fn extend(&mut self, set: Option<&Set>) {
        let more = set.map_or(Self::ALL, Set::leads);
        self.0
            .iter_mut()
            .zip(more.0)
            .for_each(|(word, more)| *word |= more);
    }

    fn is_apart_from(self, other: Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .all(|(word, other)| word & other == 0)
    }
}
