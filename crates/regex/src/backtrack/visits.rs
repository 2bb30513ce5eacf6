//! What the matcher asks the memo at a choice, and what follows from the answer.

use super::{Machine, Next, State};
use crate::memo::Seen;
use crate::program::{Body, Pc, Point};

impl Machine<'_, '_, '_> {
    /// What the memo knows about a choice, `part` of its instruction, made with `above` more
    /// entries on the stack than there are.
    #[inline]
    pub(super) fn visit(&mut self, at: State, part: usize, above: usize) -> Seen {
        if self.memo.is_none() {
            return Seen::New;
        }
        self.visit_memo(at, part, above)
    }

    fn visit_memo(&mut self, at: State, part: usize, above: usize) -> Seen {
        let Some(Some(point)) = self.program.points.get(at.pc) else {
            return Seen::New;
        };
        let block = self.block();
        let simple = self.simple_row(point, part).map(|row| block + row);
        if let (Some(row), Body::Main) = (simple, point.body) {
            return self.mark(row, at.pos);
        }
        let row = simple.unwrap_or_else(|| block + self.row(at.pc, at.pos, part));
        let height = self.scratch.stack.len() + above;
        match &mut self.memo {
            Some(memo) => memo.visit(point.body, row, at.pos, height),
            None => Seen::New,
        }
    }

    /// Where the rows begin for the groups whose text must come again, as they are.
    #[inline]
    pub(super) fn block(&mut self) -> usize {
        let again = &self.program.again;
        match &mut self.memo {
            Some(memo) if !again.is_empty() => {
                let slots = &self.scratch.slots;
                let slots_of = |group: &usize| slots.get(2 * group..2 * group + 2);
                memo.block(again.iter().filter_map(slots_of).flatten().copied())
            }
            _ => 0,
        }
    }

    /// The row of a choice that depends on no loop.
    #[inline]
    pub(super) fn simple_row(&self, point: &Point, part: usize) -> Option<usize> {
        if point.base != point.depth {
            return None;
        }
        let conditions = &self.program.conditions;
        Some(match conditions.is_empty() {
            true => point.row + part,
            false => point.row + (part << conditions.len()) + self.conditions(),
        })
    }

    /// Marks a position as visited in a row of the pattern itself.
    #[inline]
    pub(super) fn mark(&mut self, row: usize, pos: usize) -> Seen {
        match &mut self.memo {
            Some(memo) => memo.mark(row, pos),
            None => Seen::New,
        }
    }

    /// The row of the memo for a choice, `part` of its instruction. It depends on which loops have
    /// matched nothing in this turn, and on the conditions. (At a position that no loop began at, all
    /// have matched something.)
    pub(super) fn row(&self, pc: Pc, pos: usize, part: usize) -> usize {
        let Some(Some(point)) = self.program.points.get(pc) else {
            return 0;
        };
        // A loop that has not moved holds inner loops that have not either: a count tells which.
        let loops = self.scratch.regs.get(point.base..point.depth);
        let mut context = loops
            .unwrap_or(&[])
            .iter()
            .take_while(|began| **began as usize != pos)
            .count();
        let mut contexts = point.depth - point.base + 1;
        for group in &self.program.conditions {
            context = 2 * context + usize::from(self.span(*group).is_some());
            contexts *= 2;
        }
        point.row + part * contexts + context
    }

    pub(super) fn follow(&mut self, seen: Seen) -> Next {
        match seen {
            Seen::New | Seen::Failed => Next::Fail,
            Seen::Matched(end) => self.accept(end),
            Seen::Full => Next::Exhausted,
        }
    }
}
