//! The text of a group that must come again: its instructions once more, without what they ask about
//! the text around them.

use super::{Ask, Builder, always, counts, either, is_endless};
use crate::ast::Case;
use crate::program::{Inst, Pc};
use std::ops::Range;

/// The most places of a group whose text must come again.
const MAX_AGAIN: u32 = 500;

/// A group whose text must come again: its instructions, and the places for them.
struct Again {
    body: Range<Pc>,
    start: u32,
    exit: u32,
}

impl Builder<'_> {
    /// The text of a group once more: whatever the group can match, whatever stands around it; or any
    /// text, where that would be too much.
    pub(super) fn again(&mut self, pc: Pc, group: usize, case: Case) {
        let (place, next) = (self.place(pc), self.place(pc + 1));
        let Some(body) = self.group(group).filter(|_| case == Case::Exact) else {
            self.eat(place, Ask::Any, true);
            return self.rule(pc, place, always(next));
        };
        let start = self.next;
        let exit = start + self.place(body.end) - self.place(body.start);
        self.next = exit + 1;
        for inst in body.clone() {
            self.inst_again(
                pc,
                inst,
                &Again {
                    body: body.clone(),
                    start,
                    exit,
                },
            );
        }
        self.rule(pc, place, always(start));
        self.rule(pc, exit, always(next));
    }

    /// An instruction of a group whose text must come again at `pc`.
    fn inst_again(&mut self, pc: Pc, inst: Pc, again: &Again) {
        let program = self.program;
        let place_of = |builder: &Self, inst: Pc| match again.body.contains(&inst) {
            true => again.start + builder.place(inst) - builder.place(again.body.start),
            false => again.exit,
        };
        let (place, next) = (place_of(self, inst), place_of(self, inst + 1));
        let way = match program.insts.get(inst) {
            Some(Inst::Byte(byte)) => return self.eat(place, Ask::Char(char::from(*byte)), false),
            Some(Inst::Bytes(bytes)) => return self.eat_all(place, bytes),
            Some(Inst::One(set)) => return self.eat(place, self.set(*set), false),
            Some(Inst::Run(run)) => {
                let (min, more, _) = counts(run);
                for (number, place) in (0..min + more).zip(place..) {
                    self.eat(place, self.set(run.set), number >= min && is_endless(run));
                    if number >= min {
                        self.rule(pc, place, always(place + 1));
                    }
                }
                return;
            }
            Some(Inst::Split(split)) => {
                let (prefer, other) = (split.prefer.pc, split.other.pc);
                either(place_of(self, prefer), place_of(self, other))
            }
            Some(Inst::Jump(to)) => always(place_of(self, *to)),
            Some(Inst::Progress { exit: to, .. } | Inst::IfGroup { otherwise: to, .. }) => {
                either(next, place_of(self, *to))
            }
            Some(Inst::Look { next, .. }) => always(place_of(self, *next)),
            Some(Inst::Accept) => match self.owner(inst) {
                Some(next) => always(place_of(self, next)),
                None => return,
            },
            Some(Inst::BackRef { .. }) => {
                self.eat(place, Ask::Any, true);
                always(next)
            }
            _ => always(next),
        };
        self.rule(pc, place, way);
    }

    /// The instructions of a group, if they are few and stand in one place only.
    fn group(&self, group: usize) -> Option<Range<Pc>> {
        let only = |slot: usize| {
            let insts = &self.program.insts;
            let saves = |inst: &Inst| matches!(inst, Inst::Save(other) if *other == slot);
            let place = insts.iter().position(saves)?;
            let after = insts.get(place + 1..)?;
            (!after.iter().any(saves)).then_some(place)
        };
        let slot = 2 * group.checked_sub(1)?;
        let (begin, end) = (only(slot)?, only(slot + 1)?);
        let body = begin + 1..end;
        let places = self.place(body.end).checked_sub(self.place(body.start))?;
        (places <= MAX_AGAIN).then_some(body)
    }
}
