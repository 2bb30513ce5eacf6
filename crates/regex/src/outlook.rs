//! Whether the rest of a text can still match: asked before a way is gone, on lines that take long.
//!
//! An automaton reads the text once, backwards, and notes for each position from which places of the
//! program the rest of the text can match. The matcher then goes no way that leads nowhere, and begins
//! no match that will not end. What it is told is never too little and seldom too much: look-aheads,
//! the end of the text, the character before and conditionals are known exactly, but atomic groups may
//! go back, a look-behind of more than a character always holds, the text of a group that comes again
//! is any it could have matched, and a count above 32 is any number.
//!
//! The automaton has a state for each set of places, made when it is first met, so that a character
//! soon takes a few nanoseconds. Since whoever writes the lines may see to it that new ones are
//! always met, the memory for them is limited, and so is the time: it must be saved up by reading. If
//! it is used up, the text before is unknown, and the matcher does without.

mod alphabet;
mod bits;
mod cache;
mod net;

use crate::program::{Pc, Program};
use alphabet::{Class, NOTHING};
use cache::{Cache, UNKNOWN};
use net::Net;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Steps that can be saved up for new states,
const MAX_SAVED: u64 = 1 << 17;

/// and how many a byte of text adds.
const SAVED_PER_BYTE: u64 = 2;

/// Bytes that are read in a step,
const BYTES_PER_STEP: u64 = 2;

/// and what else takes steps: a new character beyond ASCII,
const STEPS_PER_CHARACTER: u64 = 40;

/// a new move of the automaton,
const STEPS_PER_MOVE: usize = 40;

/// and the rules for it.
const RULES_PER_STEP: usize = 4;

/// The longest text that is read: two bytes are kept for each of its own.
pub(crate) const LONGEST: usize = 32 << 20;

/// The longest list kept for the next search.
const MAX_KEPT: usize = 64 << 10;

/// The outlook of a program, made when it is first needed, for one search at a time.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Shelved>);

#[derive(Debug, Default)]
enum Shelved {
    #[default]
    Unmade,
    /// In use, or too large to be made.
    Nothing,
    Here(Box<Outlook>),
}

impl Shelf {
    /// The outlook, unless another search has it.
    pub(crate) fn take(&self, program: &Program) -> Option<Box<Outlook>> {
        let mut shelved = self.0.try_lock().ok()?;
        match std::mem::replace(&mut *shelved, Shelved::Nothing) {
            Shelved::Here(outlook) => Some(outlook),
            Shelved::Unmade => Outlook::new(program).map(Box::new),
            Shelved::Nothing => None,
        }
    }

    /// Puts it back.
    pub(crate) fn put(&self, mut outlook: Box<Outlook>) {
        if outlook.closed.capacity() > MAX_KEPT {
            outlook.closed = Vec::new();
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Shelved::Here(outlook);
    }
}

/// What is known about a text.
#[derive(Debug)]
pub(crate) struct Outlook {
    net: Net,
    cache: Cache,
    /// Steps saved up for new states.
    saved: u64,
    /// The positions of which it is known
    known: Range<usize>,
    /// what can match from there, as the number of a closed set; from the position `start` on.
    closed: Vec<u16>,
    start: usize,
}

impl Outlook {
    fn new(program: &Program) -> Option<Self> {
        let net = Net::new(program)?;
        let cache = Cache::new(net.size(), net.alphabet.most());
        Some(Self {
            net,
            cache,
            saved: MAX_SAVED,
            known: 0..0,
            closed: Vec::new(),
            start: 0,
        })
    }

    /// The most steps that reading a text of this many bytes can take.
    pub(crate) fn step_limit(length: u64) -> u64 {
        // The last of them may cost more than is left.
        MAX_SAVED + (SAVED_PER_BYTE + 1) * length
    }

    /// How many conditions are told apart, and how many loops that may match nothing: of these, whether
    /// their turn has moved on.
    #[inline]
    pub(crate) fn told_apart(&self) -> (usize, usize) {
        self.net.told_apart()
    }

    /// Whether the rest of the text may match from an instruction and a position on, in a
    /// state: a bit for each condition, and above them one for each loop.
    #[inline]
    pub(crate) fn allows(&self, pc: Pc, state: usize, pos: usize) -> bool {
        if !self.known.contains(&pos) {
            return true;
        }
        let (Some((word, bit)), Some(number)) =
            (self.net.place(pc, state), self.closed.get(pos - self.start))
        else {
            return true;
        };
        self.cache.closed.word(*number, word) >> bit & 1 != 0
    }

    /// Whether what is allowed in the text that was read always leads to a match.
    pub(crate) fn is_sure(&self) -> bool {
        self.net.exact && self.known.start == self.start && self.known.len() == self.closed.len()
    }

    /// Reads a text from its end back to the position `start`. How many steps that took.
    pub(crate) fn read(&mut self, text: &str, start: usize) -> u64 {
        let length = text.len() - start;
        self.saved = self.saved.saturating_add(SAVED_PER_BYTE * length as u64);
        let saved = self.saved;
        self.start = start;
        self.known = text.len() + 1..text.len() + 1;
        self.closed.clear();
        self.closed.resize(length + 1, 0);
        let state = self.cache.state(&self.net.at_end());
        let mut at = Some((text.len(), state));
        while let Some((pos, state)) = at {
            let (pos, state) = self.read_ascii(text.as_bytes(), pos, state);
            at = self.read_one(text, pos, state);
        }
        let steps = length as u64 / BYTES_PER_STEP + (saved - self.saved);
        self.saved = self.saved.min(MAX_SAVED);
        steps
    }

    /// Reads on where only ASCII is and nothing new comes: to where and in which state.
    fn read_ascii(&mut self, bytes: &[u8], mut pos: usize, mut state: u16) -> (usize, u16) {
        let classes = self.net.alphabet.ascii();
        let text = bytes.get(self.start..pos).unwrap_or_default();
        let slots = self.closed.get_mut(1..).unwrap_or_default();
        // Each byte stands before the position of its slot.
        let slots = slots.iter_mut().take(text.len());
        for (slot, byte) in slots.zip(text).rev() {
            let Some(class) = classes.get(usize::from(*byte)) else {
                break;
            };
            let next = self.cache.next(state, *class);
            if next == UNKNOWN {
                break;
            }
            self.known.start = pos;
            (*slot, state) = halves(next);
            pos -= 1;
        }
        (pos, state)
    }

    /// What can match from a position on, and then the position of the character before it; none
    /// where that is the last one or the rest stays unknown.
    fn read_one(&mut self, text: &str, pos: usize, state: u16) -> Option<(usize, u16)> {
        let before = text.get(..pos)?.chars().next_back();
        let class = match before {
            None => NOTHING,
            Some(c) => self.class(c)?,
        };
        let next = match self.cache.next(state, class) {
            UNKNOWN => self.learn((state, class), pos)?,
            next => next,
        };
        let (closed, state) = halves(next);
        if let Some(slot) = self.closed.get_mut(pos - self.start) {
            *slot = closed;
        }
        self.known.start = pos;
        let pos = pos - before.map_or(0, char::len_utf8);
        (self.known.start > self.start).then_some((pos, state))
    }

    fn class(&mut self, c: char) -> Option<Class> {
        let known = self.net.alphabet.known(c);
        if known.is_some() || self.saved == 0 {
            return known;
        }
        self.saved = self.saved.saturating_sub(STEPS_PER_CHARACTER);
        self.net.alphabet.learn(c)
    }

    /// A move that is new.
    fn learn(&mut self, (mut state, class): (u16, Class), pos: usize) -> Option<u32> {
        if self.saved == 0 {
            return None;
        }
        let set = self.cache.states.set(state).to_vec();
        if self.cache.is_full() {
            self.cache.clear();
            state = self.cache.state(&set);
            self.known.end = pos + 1;
        }
        let mut closed = set;
        let rules = self.net.close(&mut closed, class);
        let before = self.net.step(&closed, class);
        let work = (rules + closed.len()) / RULES_PER_STEP + STEPS_PER_MOVE;
        self.saved = self.saved.saturating_sub(work as u64);
        Some(self.cache.add((state, class), &closed, &before))
    }
}

/// The closed set and the state before of a move.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "halves are wanted")]
fn halves(next: u32) -> (u16, u16) {
    (next as u16, (next >> 16) as u16)
}
