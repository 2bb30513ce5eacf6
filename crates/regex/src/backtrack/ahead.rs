//! Whether a way can lead anywhere, from the next byte or few.

use super::Machine;
use super::text::begins;
use crate::program::{Ahead, Then};

impl Machine<'_, '_, '_> {
    /// The state of the conditions, as far as what may come ahead depends on it.
    #[inline]
    pub(super) fn state(&self, ahead: Ahead) -> usize {
        match ahead.depends {
            false => 0,
            true => self.conditions(),
        }
    }

    /// The state of the conditions.
    pub(super) fn conditions(&self) -> usize {
        let groups = self.program.conditions.iter();
        groups.fold(0, |state, group| {
            2 * state + usize::from(self.span(*group).is_some())
        })
    }

    /// Whether what may come ahead can come here, with the conditions in this state.
    #[inline(always)]
    pub(super) fn may_come(&self, ahead: Ahead, state: usize, pos: usize) -> bool {
        let byte = self.bytes.get(pos);
        self.is_first(ahead.first, state, byte)
            && match ahead.then {
                Then::Open => true,
                Then::Text(index) => self.stands(index, pos),
                Then::After(first) => {
                    byte.is_some_and(|byte| !byte.is_ascii())
                        || self.is_first(first, state, self.bytes.get(pos + 1))
                }
            }
    }

    #[inline]
    fn is_first(&self, first: u32, state: usize, byte: Option<&u8>) -> bool {
        self.program
            .firsts
            .get(first as usize + state)
            .is_none_or(|first| first.allows(byte))
    }

    fn stands(&self, text: u32, pos: usize) -> bool {
        let text = self.program.texts.get(text as usize);
        let rest = self.bytes.get(pos..).unwrap_or_default();
        text.is_none_or(|text| begins(rest, text))
    }
}
