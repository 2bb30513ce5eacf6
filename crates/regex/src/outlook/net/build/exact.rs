//! Which parts of a program the net follows exactly.

use super::{MAX_LOOPS, counts};
use crate::ast::Greed;
use crate::program::{Inst, Pc, Program, Sight};
use std::ops::Range;

/// Whether the group of this slot, where it begins, has never begun before.
pub(super) fn begins_once(program: &Program, slot: usize) -> bool {
    let saves = |inst: &Inst| matches!(inst, Inst::Save(other) if *other == slot);
    let mut begins = (0..).zip(&program.insts).filter(|(_, inst)| saves(inst));
    let (Some((begin, _)), None) = (begins.next(), begins.next()) else {
        return false;
    };
    let after = program.insts.get(begin..).unwrap_or_default();
    !after.iter().any(|inst| match inst {
        Inst::Jump(to) | Inst::Progress { exit: to, .. } => *to <= begin,
        Inst::Split(split) => split.prefer.pc.min(split.other.pc) <= begin,
        _ => false,
    })
}

/// Whether the net has no more ways through these instructions than there are, so that what it does not
/// find is not there and what it finds is.
pub(super) fn is_exact(program: &Program, told_apart: &[usize], range: Range<Pc>) -> bool {
    let insts = program.insts.get(range).unwrap_or_default();
    insts.iter().all(|inst| match inst {
        Inst::Byte(_)
        | Inst::Bytes(_)
        | Inst::One(_)
        | Inst::Split(_)
        | Inst::Jump(_)
        | Inst::Assert(_)
        | Inst::Place(_)
        | Inst::Need(_)
        | Inst::Accept => true,
        Inst::Save(slot) => {
            let asked_for = program.conditions.contains(&(slot / 2 + 1));
            !asked_for || slot % 2 == 1 || begins_once(program, *slot)
        }
        Inst::Run(run) => {
            let possessive = run.greed == Greed::Possessive;
            counts(run).2 && !(possessive && run.guard.is_some())
        }
        Inst::Peek { behind, what, .. } => match (behind, what) {
            (None | Some(0 | 1), _) | (_, Sight::One(_)) => true,
            (Some(_), Sight::Bytes(_)) => false,
        },
        // Whatever stands in them is asked for here too.
        Inst::Look { behind, .. } => matches!(behind, None | Some(0)),
        Inst::Enter(reg) | Inst::Progress { reg, .. } => *reg < MAX_LOOPS,
        Inst::IfGroup { group, .. } => told_apart.contains(group),
        Inst::Atomic { .. } | Inst::BackRef { .. } => false,
    })
}
