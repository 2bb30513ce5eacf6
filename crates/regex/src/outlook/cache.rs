//! The states of the automaton met so far, and what leads from one to the next.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// The most memory for one program.
const MAX_BYTES: usize = 512 << 10;

/// What an entry takes besides its bits.
const OVERHEAD: usize = 32;

/// The most states that there are numbers for.
const MAX_STATES: usize = u16::MAX as usize;

/// What is not known yet.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Sets of places with numbers.
#[derive(Debug)]
pub(super) struct Numbered {
    /// One after the other,
    sets: Vec<u64>,
    /// each of so many words.
    words: usize,
    /// Their numbers, by their hashes.
    numbers: HashMap<u64, u16>,
    hasher: RandomState,
}

impl Numbered {
    fn new(words: usize) -> Self {
        Self {
            sets: Vec::new(),
            words,
            numbers: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// A word of a set.
    #[inline]
    pub(super) fn word(&self, number: u16, word: usize) -> u64 {
        let index = usize::from(number) * self.words + word;
        self.sets.get(index).copied().unwrap_or(0)
    }

    pub(super) fn set(&self, number: u16) -> &[u64] {
        let start = usize::from(number) * self.words;
        self.sets.get(start..start + self.words).unwrap_or_default()
    }

    fn number(&mut self, set: &[u64]) -> u16 {
        let hash = self.hasher.hash_one(set);
        if let Some(number) = self.numbers.get(&hash)
            && self.set(*number) == set
        {
            return *number;
        }
        let number = u16::try_from(self.len()).unwrap_or(u16::MAX);
        self.sets.extend_from_slice(set);
        self.numbers.insert(hash, number);
        number
    }

    fn len(&self) -> usize {
        self.sets.len() / self.words.max(1)
    }

    fn bytes(&self) -> usize {
        self.len() * (8 * self.words + OVERHEAD)
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.numbers.clear();
    }
}

/// All that is remembered.
#[derive(Debug)]
pub(super) struct Cache {
    /// What can match from a position on, as far as the text after it says,
    pub(super) states: Numbered,
    /// and with what stands before it.
    pub(super) closed: Numbered,
    /// By state and class of the character before: the closed set, and (in the upper half) the state
    /// before that character.
    moves: Vec<u32>,
    classes: usize,
}

impl Cache {
    /// For sets of so many words, and so many classes.
    pub(super) fn new(words: usize, classes: usize) -> Self {
        Self {
            states: Numbered::new(words),
            closed: Numbered::new(words),
            moves: Vec::new(),
            classes,
        }
    }

    #[inline]
    pub(super) fn next(&self, state: u16, class: u8) -> u32 {
        let index = usize::from(state) * self.classes + usize::from(class);
        self.moves.get(index).copied().unwrap_or(UNKNOWN)
    }

    /// The number of a state.
    pub(super) fn state(&mut self, set: &[u64]) -> u16 {
        let number = self.states.number(set);
        self.moves.resize(self.states.len() * self.classes, UNKNOWN);
        number
    }

    /// Remembers a move.
    pub(super) fn add(&mut self, (state, class): (u16, u8), closed: &[u64], before: &[u64]) -> u32 {
        let (closed, before) = (self.closed.number(closed), self.state(before));
        let next = u32::from(before) << 16 | u32::from(closed);
        let index = usize::from(state) * self.classes + usize::from(class);
        if let Some(slot) = self.moves.get_mut(index) {
            *slot = next;
        }
        next
    }

    /// Whether there may be no room for another move.
    pub(super) fn is_full(&self) -> bool {
        let moves = 4 * self.moves.len();
        self.states.bytes() + self.closed.bytes() + moves > MAX_BYTES
            || self.states.len().max(self.closed.len()) + 2 > MAX_STATES
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.states.clear();
        self.closed.clear();
        self.moves.clear();
    }
}
