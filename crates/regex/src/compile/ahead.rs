//! What can come next at every choice, so that most ways that lead nowhere are never gone.

use super::{MAX_CONDITIONS, index_of};
use crate::ast::Greed;
use crate::first::{First, Known};
use crate::program::{Ahead, Inst, Pc, Program, Then, Way};

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
                Some(Inst::Place(_) | Inst::Need(_)) => pc += 1,
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
