//! What can come next at every choice, so that most ways that lead nowhere are never gone.

use super::{MAX_CONDITIONS, index_of};
use crate::ast::Greed;
use crate::first::{First, Known};
use crate::program::{Ahead, Inst, Leap, Pc, Program, Run, Split, Then, Way};

/// Works out what can come next at every choice, and which runs need never give back.
pub(super) fn look_ahead(program: &mut Program) {
    if program.conditions.len() <= MAX_CONDITIONS {
        program.known = program.conditions.len();
    }
    let mut firsts = Firsts {
        program,
        known: vec![None; program.insts.len() + 1],
        firsts: Vec::new(),
        texts: Vec::new(),
    };
    let first = firsts.from(0);
    let found: Vec<Option<Found>> = (0..program.insts.len()).map(|pc| firsts.at(pc)).collect();
    let Firsts { firsts, texts, .. } = firsts;
    for (inst, found) in program.insts.iter_mut().zip(found) {
        match (inst, found) {
            (Inst::Split(split), Some(Found::Split(prefer, other))) => {
                (split.prefer, split.other) = (prefer, other);
            }
            (Inst::Run(run), Some(Found::Run { next, gives })) => {
                run.next = next;
                if !gives {
                    run.greed = Greed::Possessive;
                }
            }
            _ => {}
        }
    }
    program.firsts = firsts.concat();
    program.texts = texts;
    program.first = first as usize;
    find_leaps(program);
}

/// Makes the tables for the choices that lead straight to others.
fn find_leaps(program: &mut Program) {
    let mut leaps = Vec::new();
    // From the last to the first, so that those they lead to have theirs.
    for pc in (0..program.insts.len().min(usize::from(Leap::FAIL))).rev() {
        let leads_on = match program.insts.get(pc) {
            Some(Inst::Split(split)) => {
                let ways = [split.prefer.pc, split.other.pc];
                !split.endless && ways.iter().any(|to| *to > pc && is_choice(program, *to))
            }
            Some(Inst::Run(run)) => run.min == 0 && is_choice(program, pc + 1),
            _ => false,
        };
        if !leads_on {
            continue;
        }
        let table = Leap(Box::new(std::array::from_fn(|byte| {
            let byte = u8::try_from(byte).unwrap_or(0);
            target(program, &leaps, pc, byte)
        })));
        let index = u32::try_from(index_of(&mut leaps, table)).ok();
        match program.insts.get_mut(pc) {
            Some(Inst::Split(split)) => split.leap = index,
            Some(Inst::Run(run)) => run.leap = index,
            _ => {}
        }
    }
    program.leaps = leaps;
}

/// Whether a choice stands at `pc` that no loop comes back to.
fn is_choice(program: &Program, pc: Pc) -> bool {
    match program.insts.get(pc) {
        Some(Inst::Split(split)) => !split.endless,
        Some(Inst::Run(run)) => run.min == 0,
        _ => false,
    }
}

/// Where a choice leads if this byte comes next: to itself if something is chosen there.
fn target(program: &Program, leaps: &[Leap], start: Pc, byte: u8) -> u16 {
    let mut at = start;
    loop {
        let known = match program.insts.get(at) {
            Some(Inst::Split(Split { leap, .. }) | Inst::Run(Run { leap, .. })) => *leap,
            _ => None,
        };
        if let Some(leap) = known.and_then(|leap| leaps.get(leap as usize)) {
            return leap.of(byte);
        }
        at = match past(program, at, byte) {
            Past::Fail => return Leap::FAIL,
            Past::To(to) if to > at && to < usize::from(Leap::FAIL) => to,
            Past::Stay | Past::To(_) => return u16::try_from(at).unwrap_or(Leap::FAIL),
        };
    }
}

/// What an instruction comes to with a byte next.
enum Past {
    /// It must be done.
    Stay,
    Fail,
    To(Pc),
}

fn past(program: &Program, pc: Pc, byte: u8) -> Past {
    let states = 1 << program.known;
    let may_come = |ahead: Ahead| {
        let firsts = program.firsts.iter().skip(ahead.first as usize);
        firsts.take(states).any(|first| first.allows(Some(&byte)))
    };
    let leads = |set: usize| {
        program
            .sets
            .get(set)
            .is_none_or(|set| set.leads().has(byte))
    };
    let stays = match program.insts.get(pc) {
        Some(Inst::Split(split)) if !split.endless => {
            match (may_come(split.prefer.ahead), may_come(split.other.ahead)) {
                (true, true) => true,
                (true, false) => return Past::To(split.prefer.pc),
                (false, true) => return Past::To(split.other.pc),
                (false, false) => false,
            }
        }
        Some(Inst::Run(run)) if !leads(run.set) => {
            if run.min == 0 && may_come(run.next) {
                return Past::To(pc + 1);
            }
            false
        }
        Some(Inst::Byte(wanted)) => *wanted == byte,
        Some(Inst::Bytes(wanted)) => wanted.first() == Some(&byte),
        Some(Inst::One(set)) => leads(*set),
        Some(Inst::Jump(to)) => return Past::To(*to),
        _ => true,
    };
    if stays { Past::Stay } else { Past::Fail }
}

/// What is found out about an instruction.
enum Found {
    Split(Way, Way),
    /// What comes after a run, and whether it may have to give back for it.
    Run {
        next: Ahead,
        gives: bool,
    },
}

struct Firsts<'a> {
    program: &'a Program,
    /// What has been found out already, by instruction.
    known: Vec<Option<u32>>,
    /// For each place one for each state of the conditions.
    firsts: Vec<Vec<First>>,
    texts: Vec<Box<[u8]>>,
}

impl Firsts<'_> {
    fn at(&mut self, pc: Pc) -> Option<Found> {
        let program = self.program;
        match program.insts.get(pc)? {
            Inst::Split(split) => Some(Found::Split(
                self.way(split.prefer.pc),
                self.way(split.other.pc),
            )),
            Inst::Run(run) => {
                let next = self.ahead(pc + 1);
                let set = program.sets.get(run.set)?;
                let firsts = self.firsts.get(next.first as usize / self.states())?;
                let gives = !firsts.iter().all(|first| first.excludes(set));
                Some(Found::Run { next, gives })
            }
            _ => None,
        }
    }

    fn way(&mut self, pc: Pc) -> Way {
        Way {
            pc,
            ahead: self.ahead(pc),
        }
    }

    fn states(&self) -> usize {
        1 << self.program.known
    }

    fn ahead(&mut self, pc: Pc) -> Ahead {
        let (first, then) = (self.from(pc), self.then(pc));
        let after = match then {
            Then::After(first) => Some(first),
            Then::Open | Then::Text(_) => None,
        };
        Ahead {
            first,
            then,
            depends: [Some(first), after]
                .iter()
                .flatten()
                .any(|first| self.depends(*first)),
        }
    }

    /// Whether what can come first depends on the conditions.
    fn depends(&self, first: u32) -> bool {
        let firsts = self.firsts.get(first as usize / self.states());
        firsts.is_none_or(|firsts| firsts.iter().any(|other| firsts.first() != Some(other)))
    }

    /// The index of what can come first from an instruction on.
    fn from(&mut self, pc: Pc) -> u32 {
        if let Some(index) = self.known.get(pc).copied().flatten() {
            return index;
        }
        let program = self.program;
        let Program {
            insts,
            sets,
            conditions,
            ..
        } = program;
        let groups = conditions.get(..program.known).unwrap_or(&[]);
        let all = (0..self.states())
            .map(|state| First::of(pc, insts, sets, Known { groups, state }))
            .collect();
        let index = self.states() * index_of(&mut self.firsts, all);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some(known) = self.known.get_mut(pc) {
            *known = Some(index);
        }
        index
    }

    /// What is known beyond the first byte.
    fn then(&mut self, mut pc: Pc) -> Then {
        // Loops consume something, so few jumps lead to each other; but who knows.
        for _ in 0..20 {
            match self.program.insts.get(pc) {
                Some(Inst::Save(slot)) if !self.asked_for(slot / 2 + 1) => pc += 1,
                Some(Inst::Place(_)) => pc += 1,
                Some(Inst::Jump(to)) => pc = *to,
                Some(Inst::Byte(_) | Inst::One(_)) => return Then::After(self.from(pc + 1)),
                Some(Inst::Bytes(bytes)) => {
                    let index = index_of(&mut self.texts, bytes.clone());
                    return u32::try_from(index).map_or(Then::Open, Then::Text);
                }
                _ => break,
            }
        }
        Then::Open
    }

    /// Whether a conditional asks for the group.
    fn asked_for(&self, group: usize) -> bool {
        self.program.conditions.contains(&group)
    }
}
