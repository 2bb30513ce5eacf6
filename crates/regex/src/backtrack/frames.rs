//! Look-arounds and atomic groups: frames on the matcher's stack, open until their body has matched
//! or cannot.

use super::{Entry, Machine, Next, State, goto, small};
use crate::program::Inst;

impl Machine<'_, '_, '_> {
    pub(super) fn enter_frame(&mut self, at: State, start: usize) -> Next {
        let frame = small(self.scratch.stack.len());
        let (pc, pos, outer) = (small(at.pc), small(at.pos), self.frame);
        self.scratch.stack.push(Entry::Frame { pc, pos, outer });
        self.frame = frame;
        goto(at.pc + 1, start)
    }

    /// The pattern or the innermost body has matched up to `end`.
    pub(super) fn accept(&mut self, end: usize) -> Next {
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
                if self.watch.is_some() {
                    self.note_look(pc as usize, pos as usize);
                }
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
