//! How far a match got that failed: a slow search that watches the matcher, for people who ask why.
//!
//! It runs a program with a [`Inst::Place`] before every piece of the pattern and with nothing
//! that spares it a dead end, and notes where each attempt fails.

use super::{Care, Entry, Halt, Machine, NONE, Scratch, Starts, State, may_match, small};
use crate::program::{Inst, Pc, Program};

/// Steps for each byte, and for a text of any length; then the best so far has to do.
const STEPS: (u64, u64) = (64, 1 << 20);

/// The attempt that got furthest.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Furthest {
    /// The number of the piece that did not match; none if all did.
    pub(crate) place: Option<usize>,
    /// Where the attempt began,
    pub(crate) from: usize,
    /// and how far it got.
    pub(crate) to: usize,
}

/// The attempt that got furthest: in the pattern, by the rank of its pieces (among the outermost
/// ones, and in characters), or else in the text.
pub(crate) fn furthest(program: &Program, text: &str, ranks: Vec<(usize, usize)>) -> Furthest {
    if !may_match(program, text, 0) || small(text.len()) >= NONE - 2 {
        return Furthest::default();
    }
    let mut scratch = Scratch::default();
    let mut machine = Machine::new(program, text, Care::USUAL, &mut scratch);
    machine.fuel = STEPS.0 * text.len() as u64 + STEPS.1;
    machine.watch = Some(Box::new(Watch {
        ranks,
        ..Watch::default()
    }));
    for start in Starts::new(program, text, 0) {
        if let Some(watch) = &mut machine.watch {
            watch.start = start;
        }
        match machine.run(start) {
            Halt::NoMatch => {}
            Halt::Match(from, to) => {
                return Furthest {
                    place: None,
                    from,
                    to,
                };
            }
            Halt::Exhausted => break,
        }
    }
    machine
        .watch
        .map(|watch| watch.furthest)
        .unwrap_or_default()
}

/// What is noted of a search.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// How far in the pattern each piece is.
    ranks: Vec<(usize, usize)>,
    /// Where the present attempt began, and the piece it is at.
    start: usize,
    place: usize,
    key: Option<(usize, usize, usize)>,
    furthest: Furthest,
}

impl Watch {
    fn note(&mut self, place: usize, to: usize) {
        // A look-behind looks at what an attempt has not consumed.
        let to = to.max(self.start);
        let (rank, position) = self.ranks.get(place).copied().unwrap_or_default();
        let key = Some((rank, to, position));
        if key > self.key {
            self.key = key;
            self.furthest = Furthest {
                place: Some(place),
                from: self.start,
                to,
            };
        }
    }
}

impl Machine<'_, '_, '_> {
    #[cold]
    pub(super) fn note_place(&mut self, place: usize) {
        if let Some(watch) = &mut self.watch {
            watch.place = place;
        }
    }

    /// Notes that an instruction has failed, unless it stands in a look-around that is to fail.
    #[cold]
    pub(super) fn note_failure(&mut self, at: State) {
        // A look-around that should not have matched is noted by itself.
        let ends = matches!(self.program.insts.get(at.pc), Some(Inst::Accept));
        if ends || self.is_to_fail(self.frame) {
            return;
        }
        if let Some(watch) = &mut self.watch {
            watch.note(watch.place, at.pos);
        }
    }

    /// Notes that the look-around at `pc` has matched and should not have.
    #[cold]
    pub(super) fn note_look(&mut self, pc: Pc, pos: usize) {
        let before = pc.checked_sub(1).and_then(|pc| self.program.insts.get(pc));
        let &Some(Inst::Place(place)) = &before else {
            return;
        };
        if !self.is_to_fail(self.frame)
            && let Some(watch) = &mut self.watch
        {
            watch.note(*place, pos);
        }
    }

    /// Whether a frame, or one around it, is a look-around that is to fail.
    fn is_to_fail(&self, mut frame: u32) -> bool {
        while let Some(Entry::Frame { pc, outer, .. }) = self.scratch.stack.get(frame as usize) {
            let look = self.program.insts.get(*pc as usize);
            if matches!(look, Some(Inst::Look { negated: true, .. })) {
                return true;
            }
            frame = *outer;
        }
        false
    }
}
