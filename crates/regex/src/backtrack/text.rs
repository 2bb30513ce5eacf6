//! What the matcher asks the text: conditions on a position, steps back, text again.

use super::{Machine, NONE};
use crate::ast::{Assertion, Case};
use crate::set::Set;
use crate::unicode::{self, Kind};

impl Machine<'_, '_, '_> {
    /// The position after one character of a set.
    #[inline(always)]
    pub(super) fn one(&self, set: Option<&Set>, pos: usize) -> Option<usize> {
        let byte = *self.bytes.get(pos)?;
        if byte < 128 {
            return set?.has_ascii(byte).then_some(pos + 1);
        }
        self.one_wide(set, pos)
    }

    #[cold]
    fn one_wide(&self, set: Option<&Set>, pos: usize) -> Option<usize> {
        let c = self.text.get(pos..)?.chars().next()?;
        set?.has_wide(u32::from(c)).then_some(pos + c.len_utf8())
    }

    /// The position one character after.
    #[inline]
    pub(super) fn after(&self, pos: usize) -> usize {
        let mut pos = pos + 1;
        while !self.text.is_char_boundary(pos) && pos < self.bytes.len() {
            pos += 1;
        }
        pos
    }

    /// The position one character before.
    #[inline]
    pub(super) fn before(&self, pos: usize) -> usize {
        let mut pos = pos.saturating_sub(1);
        while !self.text.is_char_boundary(pos) {
            pos -= 1;
        }
        pos
    }

    /// The position so many characters before, if there are that many.
    pub(super) fn characters_back(&self, mut pos: usize, count: Option<usize>) -> Option<usize> {
        let count = count.unwrap_or(0);
        if count > pos {
            return None;
        }
        for _ in 0..count {
            if pos == 0 {
                return None;
            }
            pos = self.before(pos);
        }
        Some(pos)
    }

    pub(super) fn holds(&self, assertion: Assertion, pos: usize) -> bool {
        let next = self.bytes.get(pos).copied();
        let end = self.bytes.len();
        match assertion {
            Assertion::Start => pos == 0,
            Assertion::LineStart => pos == 0 || self.bytes.get(pos - 1) == Some(&b'\n'),
            Assertion::End => pos == end || (pos + 1 == end && next == Some(b'\n')),
            Assertion::LineEnd => pos == end || next == Some(b'\n'),
            Assertion::TextEnd => pos == end,
            // Python finds neither an edge nor its absence in an empty text.
            Assertion::WordEdge { .. } if end == 0 => false,
            Assertion::WordEdge { negated, ascii } => {
                let before = pos > 0 && self.is_word(self.before(pos), ascii);
                (before != self.is_word(pos, ascii)) != negated
            }
        }
    }

    /// Whether a text that must come does so, here or later. It is looked for once.
    pub(super) fn comes(&mut self, number: usize, pos: usize) -> bool {
        let (program, bytes) = (self.program, self.bytes);
        let (Some(text), Some(last)) = (
            program.needs.get(number),
            self.scratch.lasts.get_mut(number),
        ) else {
            return true;
        };
        let last = last.get_or_insert_with(|| find_last(bytes, text));
        last.is_some_and(|last| pos <= last)
    }

    fn is_word(&self, pos: usize, ascii: bool) -> bool {
        match self.bytes.get(pos) {
            None => false,
            Some(byte) if *byte < 128 => Kind::Word.has_ascii(*byte),
            Some(_) if ascii => false,
            Some(_) => {
                let c = self.text.get(pos..).and_then(|rest| rest.chars().next());
                c.is_some_and(|c| Kind::Word.has(u32::from(c)))
            }
        }
    }

    /// Where a group matched, if it has.
    pub(super) fn span(&self, group: usize) -> Option<(usize, usize)> {
        let slot = 2 * group;
        let (start, end) = (
            *self.scratch.slots.get(slot)?,
            *self.scratch.slots.get(slot + 1)?,
        );
        (start != NONE && end != NONE && start <= end).then_some((start as usize, end as usize))
    }

    /// The position after the text of a group once more.
    pub(super) fn after_again(&mut self, group: usize, case: Case, pos: usize) -> Option<usize> {
        let (start, end) = self.span(group)?;
        self.spend((end - start) / 16);
        let (wanted, rest) = (self.text.get(start..end)?, self.text.get(pos..)?);
        let lower = match case {
            Case::Exact => return rest.starts_with(wanted).then_some(pos + wanted.len()),
            Case::Folded => unicode::lower,
            Case::FoldedAscii => unicode::lower_ascii,
        };
        let mut found = rest.chars();
        for c in wanted.chars() {
            if lower(u32::from(c)) != lower(u32::from(found.next()?)) {
                return None;
            }
        }
        Some(self.text.len() - found.as_str().len())
    }
}

/// Whether bytes begin with a text. The texts of patterns are short: for these the library's way
/// takes longer.
#[inline]
pub(super) fn begins(bytes: &[u8], text: &[u8]) -> bool {
    let Some(own) = bytes.get(..text.len()) else {
        return false;
    };
    match (own.last_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(last), Some(wanted)) => {
            let mut words = own.as_chunks::<8>().0.iter().zip(text.as_chunks::<8>().0);
            last == wanted && words.all(|(word, wanted)| word == wanted)
        }
        _ => own.iter().eq(text),
    }
}

/// Where a text stands last.
fn find_last(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let mut places = memchr::memrchr_iter(*text.first()?, bytes);
    places.find(|place| {
        bytes
            .get(*place..)
            .is_some_and(|rest| rest.starts_with(text))
    })
}

#[cfg(test)]
mod tests {
    use super::begins;
    use proptest::prelude::{prop, proptest};

    proptest! {
        #[test]
        fn bytes_begin_with_a_text_as_the_library_says(
            text in prop::collection::vec(0_u8..2, 0..20),
            changed in 0_usize..40,
            length in 0_usize..30,
        ) {
            let mut bytes = text.clone();
            if let Some(byte) = bytes.get_mut(changed) {
                *byte ^= 1;
            }
            bytes.resize(length, 0);
            assert_eq!(begins(&bytes, &text), bytes.starts_with(&text));
        }
    }
}
