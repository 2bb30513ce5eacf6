//! The compact form of a program, for searches without a memo.
//!
//! Most lines are decided in some dozen steps, and these take most of their time to fetch
//! instructions. Here an instruction takes 16 bytes, with the same index as in the program, and
//! what may come next is asked of the [class](Classes) of a byte: bytes that no part of
//! the pattern tells apart. What is rare is not here but in the program.

use crate::ast::Assertion;
use crate::program::Pc;
use std::num::NonZeroU16;

/// An instruction. What takes something or notes something says where to go on: that is not always
/// the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// This byte.
    Byte {
        byte: u8,
        next: u32,
    },
    /// A text of so many bytes, up to eight.
    Word {
        length: u8,
        next: u32,
        word: u64,
    },
    /// A longer text, by its number.
    Text {
        number: u32,
        next: u32,
    },
    /// One character of these classes.
    One {
        members: Members,
        next: u32,
    },
    /// Note the position, the start (even) or end (odd) of a group.
    Save {
        slot: u32,
        next: u32,
    },
    /// Go on there.
    Jump(u32),
    /// A choice.
    Choice(Choice),
    /// Many characters of a set: the number of the [`Span`].
    Span(u32),
    /// A turn of a loop whose body may match nothing begins, or ends.
    Enter(u32),
    Progress {
        reg: u32,
        exit: u32,
    },
    /// A condition on the position.
    Assert(Assertion),
    /// What must come here or later, by its number.
    Need(u32),
    /// Go on here if the group has matched, else there.
    IfGroup {
        group: u32,
        otherwise: u32,
    },
    /// The end of the pattern or of a body.
    Accept,
    /// It is done as the program has it.
    Other,
}

/// A choice, which mostly the next byte makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// By this table.
    pub(crate) lead: Lead,
    /// Else this place is tried
    pub(crate) prefer: u16,
    /// before that,
    pub(crate) other: u16,
    /// as far as what comes does not rule out either: the number of the [`Guess`], if more is
    /// known of that than the next byte.
    pub(crate) guess: Option<NonZeroU16>,
}

/// What is known about the two ways of a choice beyond the next byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    pub(crate) prefer: Hint,
    pub(crate) other: Hint,
}

/// What comes on a way, if the next byte is one that may come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hint {
    /// Who knows.
    Open,
    /// One of these comes second.
    Second(Members),
    /// A text comes, whose first bytes, up to eight, are these.
    Word { length: u8, word: u64 },
}

/// A run as most are: not lazy, and of any characters of a set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The characters that it takes, as far as they are ASCII;
    pub(crate) members: Members,
    /// or all there are in the line.
    pub(crate) line: bool,
    /// How many it takes at least,
    pub(crate) least: u32,
    /// and at most.
    pub(crate) most: u32,
    /// Whether it never gives any back.
    pub(crate) keeps: bool,
    /// What may come after it,
    pub(crate) next: Members,
    /// if that is all that is known.
    pub(crate) sure: bool,
    /// The byte that must come after one that gives none back; it is taken, too.
    pub(crate) then: Option<u8>,
    /// Where to go on.
    pub(crate) to: u32,
    /// Where this and the choices after it lead.
    pub(crate) lead: Option<Lead>,
}

/// Classes of bytes, and perhaps the end of the text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Members(u64);

impl Members {
    /// Adds a class.
    pub(crate) fn insert(&mut self, class: u8) {
        self.0 |= 1 << (class % 64);
    }

    #[inline(always)]
    pub(crate) fn has(self, class: u8) -> bool {
        self.0 >> (class % 64) & 1 != 0
    }
}

/// Where a chain of choices leads, by the class of what comes next: the index of the first entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lead(pub(crate) u32);

/// Which bytes are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Classes {
    of: [u8; 256],
    /// How many there are; this is also the one of the end of the text.
    count: u8,
}

impl Classes {
    /// The most classes, so that with the end of the text they are the bits of a word.
    const MOST: u8 = 63;

    /// The classes that these questions about bytes make; none if they are too many.
    pub(crate) fn new(questions: impl Iterator<Item = [bool; 256]>) -> Option<Self> {
        // A class has ASCII or others.
        let mut of: [u8; 256] = std::array::from_fn(|byte| u8::from(byte >= 128));
        let mut count = 2;
        for answers in questions {
            // For each class, the one that those get that answer otherwise than its first byte.
            let mut first: [Option<bool>; 64] = [None; 64];
            let mut split: [Option<u8>; 64] = [None; 64];
            for (class, answer) in of.iter_mut().zip(answers) {
                let index = usize::from(*class);
                let usual = first.get_mut(index)?.get_or_insert(answer);
                if *usual == answer {
                    continue;
                }
                let other = split.get_mut(index)?.get_or_insert_with(|| {
                    count += 1;
                    count - 1
                });
                *class = *other;
            }
            if count > Self::MOST {
                return None;
            }
        }
        Some(Self { of, count })
    }

    /// The class of a byte.
    #[inline(always)]
    pub(crate) fn of(&self, byte: u8) -> u8 {
        self.of.get(usize::from(byte)).copied().unwrap_or(0)
    }

    /// The class of a byte, or (none) of the end of the text.
    #[inline(always)]
    pub(crate) fn next(&self, byte: Option<&u8>) -> u8 {
        byte.map_or(self.count, |byte| self.of(*byte))
    }

    /// One byte of each class in their order, and nothing for the end of the text.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Option<u8>> {
        let sample = |class| self.of.iter().zip(0..).find(|(own, _)| **own == class);
        let bytes = (0..self.count).map(move |class| sample(class).map(|(_, byte)| byte));
        bytes.chain([None])
    }
}

/// The compact form.
#[derive(Debug)]
pub(crate) struct Code {
    /// As many as there are instructions.
    pub(crate) ops: Vec<Op>,
    pub(crate) head: Head,
    pub(crate) spans: Vec<Span>,
    /// The first has the number 1.
    pub(crate) guesses: Vec<Guess>,
    /// Texts of more than eight bytes.
    pub(crate) texts: Vec<Box<[u8]>>,
    pub(crate) classes: Classes,
    /// The tables of all choices, one after the other.
    pub(crate) leads: Vec<u16>,
}

/// The first instructions of a pattern that is tried at the start of the text only, as far as a text
/// that has the pattern's prefix leaves nothing open.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The instruction that comes next,
    pub(crate) pc: Pc,
    /// and where.
    pub(crate) pos: usize,
    /// The slots that they set, with the positions.
    pub(crate) slots: Vec<(usize, u32)>,
}

/// Where a choice leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Led {
    /// Nowhere.
    Nowhere,
    /// There, which may be the choice itself: then there is something to choose.
    To(Pc),
}

impl Code {
    /// An entry of a table that leads nowhere.
    pub(crate) const NOWHERE: u16 = u16::MAX;

    /// Where a choice leads if this comes next.
    #[inline(always)]
    pub(crate) fn led(&self, lead: Lead, next: Option<&u8>) -> Led {
        let index = lead.0 as usize + usize::from(self.classes.next(next));
        match self.leads.get(index) {
            Some(&Self::NOWHERE) | None => Led::Nowhere,
            Some(to) => Led::To(usize::from(*to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_answer_all_questions_alike_are_one_class() {
        let is = |test: fn(u8) -> bool| {
            std::array::from_fn(|byte| test(u8::try_from(byte).unwrap_or(0)))
        };
        let questions = [
            is(|byte| byte.is_ascii_digit()),
            is(|byte| byte.is_ascii_alphanumeric()),
            is(|byte| byte == b'5'),
            is(|byte| byte >= 0xc0),
        ];
        let classes = Classes::new(questions.into_iter()).unwrap();
        // Other ASCII, digits, 5, letters, other bytes, leads.
        assert_eq!(classes.samples().count(), 6 + 1);
        for (a, b, same) in [
            (b'1', b'9', true),
            (b'5', b'9', false),
            (b'a', b'Z', true),
            (b'a', b'1', false),
            (0x80, 0xbf, true),
            (0x80, 0xc3, false),
            (b' ', 0x80, false),
        ] {
            assert_eq!(classes.of(a) == classes.of(b), same, "{a:#x} {b:#x}");
        }
        for (class, sample) in classes.samples().enumerate() {
            assert_eq!(usize::from(classes.next(sample.as_ref())), class);
        }
    }

    #[test]
    fn an_instruction_takes_16_bytes() {
        assert_eq!(size_of::<Op>(), 16);
    }

    #[test]
    fn too_many_classes_are_none() {
        let one = |wanted: usize| std::array::from_fn(|byte| byte == wanted);
        assert!(Classes::new((0..61).map(one)).is_some());
        assert!(Classes::new((0..62).map(one)).is_none());
    }
}
