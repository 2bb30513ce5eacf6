//! The characters as a program tells them apart: those that all its instructions treat alike are
//! one class.

use crate::program::Program;
use crate::set::Set;
use std::collections::HashMap;

/// A class of characters, by number.
pub(super) type Class = u8;

/// What stands before the first character, which nothing asks for.
pub(super) const NOTHING: Class = 0;

/// The most classes that characters beyond ASCII may add.
const MAX_MORE: usize = 12;

/// The most pages of 256 characters that are remembered.
const MAX_PAGES: usize = 256;

/// What an instruction asks of a character.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// To be there.
    Any,
    /// To be this one.
    Char(char),
    /// To be a member.
    In(Box<Set>),
}

impl Ask {
    /// The question for a member of a set of the program.
    pub(super) fn set(program: &Program, set: usize) -> Self {
        program
            .sets
            .get(set)
            .map_or(Self::Any, |set| Self::In(Box::new(set.clone())))
    }

    fn holds(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::Char(wanted) => c == *wanted,
            Self::In(set) => match u8::try_from(c) {
                Ok(byte) if byte.is_ascii() => set.has_ascii(byte),
                _ => set.has_wide(u32::from(c)),
            },
        }
    }
}

/// The classes of a program's questions.
#[derive(Debug)]
pub(super) struct Alphabet {
    asks: Vec<Ask>,
    ascii: [Class; 128],
    /// By the answers to all questions.
    known: HashMap<Vec<bool>, Class>,
    /// The answers, by class.
    answers: Vec<Vec<bool>>,
    /// What is known of characters beyond ASCII, in pages of 256; 0 for those not asked for yet.
    pages: HashMap<u32, Box<[Class; 256]>>,
    most: usize,
}

impl Alphabet {
    /// None if there are too many classes.
    pub(super) fn new(asks: Vec<Ask>) -> Option<Self> {
        let mut alphabet = Self {
            ascii: [NOTHING; 128],
            known: HashMap::new(),
            answers: vec![vec![false; asks.len()]],
            pages: HashMap::new(),
            most: usize::from(Class::MAX),
            asks,
        };
        for byte in 0..128u8 {
            let class = alphabet.classify(char::from(byte))?;
            if let Some(slot) = alphabet.ascii.get_mut(usize::from(byte)) {
                *slot = class;
            }
        }
        alphabet.most = (alphabet.answers.len() + MAX_MORE).min(usize::from(Class::MAX));
        Some(alphabet)
    }

    /// How many classes there can be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether the characters of a class are what is asked for.
    pub(super) fn holds(&self, class: Class, ask: usize) -> bool {
        self.answers
            .get(usize::from(class))
            .and_then(|answers| answers.get(ask))
            .is_some_and(|answer| *answer)
    }

    #[inline]
    pub(super) fn ascii(&self) -> &[Class; 128] {
        &self.ascii
    }

    /// The class of a character, if that is known.
    pub(super) fn known(&self, c: char) -> Option<Class> {
        let class = match self.ascii.get(c as usize) {
            Some(class) => *class,
            None => {
                let (page, place) = place(c);
                *self.pages.get(&page)?.get(place)?
            }
        };
        (class != NOTHING).then_some(class)
    }

    /// The class of a character beyond ASCII; none if there are too many classes.
    pub(super) fn learn(&mut self, c: char) -> Option<Class> {
        let class = self.classify(c)?;
        if self.pages.len() >= MAX_PAGES {
            self.pages.clear();
        }
        let (page, place) = place(c);
        let page = self.pages.entry(page).or_insert(Box::new([NOTHING; 256]));
        if let Some(slot) = page.get_mut(place) {
            *slot = class;
        }
        Some(class)
    }

    fn classify(&mut self, c: char) -> Option<Class> {
        let answers: Vec<bool> = self.asks.iter().map(|ask| ask.holds(c)).collect();
        if let Some(class) = self.known.get(&answers) {
            return Some(*class);
        }
        if self.answers.len() >= self.most {
            return None;
        }
        let class = Class::try_from(self.answers.len()).ok()?;
        self.answers.push(answers.clone());
        self.known.insert(answers, class);
        Some(class)
    }
}

/// The page of a character, and the place in it.
fn place(c: char) -> (u32, usize) {
    (u32::from(c) >> 8, u32::from(c) as usize & 0xff)
}
