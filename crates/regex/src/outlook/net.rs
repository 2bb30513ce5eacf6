//! The places of a program between which a match moves, and how it gets from one to the other.
//!
//! Each instruction becomes one or more places; a run counted to three becomes three. From a place
//! that *eats*, a match gets to the one after it with a character of the right kind (or stays there,
//! in an endless run). From others it gets on at once, by a [`Rule`]. What is asked about the text at
//! a position (a look-ahead, the end) has places of its own, behind those of the program.

mod build;

use super::alphabet::{Alphabet, Class, NOTHING};
use super::bits;
use crate::program::{Pc, Program};

/// Where no place is, or none that one may ask for.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A way on from a place without a character, to either of two others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    at: u32,
    to: [u32; 2],
    test: Test,
}

/// What must be true for it.
#[derive(Clone, Copy, Debug)]
enum Test {
    Always,
    /// What begins at either place stands here.
    Has([u32; 2]),
    /// It does not.
    Lacks(u32),
    /// The text begins here.
    Start,
    /// The character before is one of these, or is not; or a line begins here.
    Before {
        ask: usize,
        holds: bool,
    },
    LineStart {
        newline: usize,
    },
    /// The character before is one of these and the one after is not, or the other way round.
    Edge {
        ask: usize,
        after: u32,
        negated: bool,
    },
}

/// What eats at a place.
#[derive(Clone, Copy, Debug)]
struct Eater {
    place: u32,
    ask: usize,
    /// Whether the match stays where it is.
    stays: bool,
}

/// The places that can eat a character of one class.
#[derive(Clone, Debug)]
struct Mask {
    moving: Box<[u64]>,
    staying: Box<[u64]>,
}

/// The places of a program, once for each state of the conditions and loops.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) alphabet: Alphabet,
    /// Whether it has no more ways than the program.
    pub(super) exact: bool,
    /// Where each instruction begins.
    entries: Vec<u32>,
    /// How many words the places take, and how many times there are as many.
    words: usize,
    copies: usize,
    /// How many conditions are told apart, and how many loops that may match nothing: of these it is
    /// known whether their turn has moved on, a bit each above those of the conditions.
    conditions: usize,
    loops: usize,
    eaters: Vec<Eater>,
    /// Places that eat only where what begins at another does not stand.
    guarded: Vec<(u32, u32)>,
    /// What is true everywhere,
    always: Box<[u64]>,
    /// and at the end of the text.
    end: u32,
    /// In groups, of which one needs only those before; and whether it must be gone through again
    /// until nothing changes.
    rules: Vec<(bool, Vec<Rule>)>,
    masks: Vec<Option<Mask>>,
}

impl Net {
    /// The net of a program; none if that would be too large.
    pub(super) fn new(program: &Program) -> Option<Self> {
        build::net(program)
    }

    /// How many words a set of places takes.
    pub(super) fn size(&self) -> usize {
        self.words * self.copies
    }

    /// How many conditions and loops are told apart.
    #[inline]
    pub(super) fn told_apart(&self) -> (usize, usize) {
        (self.conditions, self.loops)
    }

    /// The word and the bit that say in a set whether a match can go on from an instruction in a
    /// state; none if one may not ask for it.
    #[inline]
    pub(super) fn place(&self, pc: Pc, state: usize) -> Option<(usize, u32)> {
        let place = self.entries.get(pc).copied()?;
        (place != NOWHERE).then_some((self.words * state + place as usize / 64, place % 64))
    }

    /// The places that eat nothing and match at the end of the text.
    pub(super) fn at_end(&self) -> Vec<u64> {
        let mut set = vec![0; self.size()];
        self.add_always(&mut set);
        for copy in set.chunks_mut(self.words) {
            bits::add(copy, self.end);
        }
        set
    }

    fn add_always(&self, set: &mut [u64]) {
        for copy in set.chunks_mut(self.words) {
            for (word, always) in copy.iter_mut().zip(&self.always) {
                *word |= always;
            }
        }
    }

    /// The places from which a character of this class leads to one of the set.
    pub(super) fn step(&mut self, set: &[u64], class: Class) -> Vec<u64> {
        self.make_mask(class);
        let mut before = vec![0; self.size()];
        // Whoever eats has moved on, in all loops.
        let moved = self.copies - (1 << self.conditions);
        if let Some(Some(mask)) = self.masks.get(usize::from(class)) {
            for (state, before) in before.chunks_mut(self.words).enumerate() {
                let after = set
                    .chunks(self.words)
                    .nth(state | moved)
                    .unwrap_or_default();
                let next = after.iter().skip(1).chain(&[0]);
                let masks = mask.moving.iter().zip(&mask.staying);
                for (((before, after), next), (moving, staying)) in
                    before.iter_mut().zip(after).zip(next).zip(masks)
                {
                    *before = (after >> 1 | next << 63) & moving | after & staying;
                }
            }
        }
        self.add_always(&mut before);
        for (place, guard) in &self.guarded {
            if bits::has(&before, *guard) {
                bits::remove(&mut before, *place);
            }
        }
        before
    }

    fn make_mask(&mut self, class: Class) {
        let index = usize::from(class);
        if self.masks.len() <= index {
            self.masks.resize(index + 1, None);
        }
        let empty = || vec![0; self.words].into_boxed_slice();
        if let Some(slot) = self.masks.get_mut(index)
            && slot.is_none()
        {
            let (mut moving, mut staying) = (empty(), empty());
            for eater in &self.eaters {
                if self.alphabet.holds(class, eater.ask) {
                    let mask = if eater.stays {
                        &mut staying
                    } else {
                        &mut moving
                    };
                    bits::add(mask, eater.place);
                }
            }
            *slot = Some(Mask { moving, staying });
        }
    }

    /// Adds the places that get to one of the set without a character, where one of this class stands
    /// before. How many rules that took.
    pub(super) fn close(&self, set: &mut [u64], before: Class) -> usize {
        let mut applied = 0;
        for (again, rules) in &self.rules {
            loop {
                let mut changed = false;
                for rule in rules {
                    if !bits::has(set, rule.at)
                        && rule.to.iter().any(|to| bits::has(set, *to))
                        && self.holds(rule.test, set, before)
                    {
                        bits::add(set, rule.at);
                        changed = true;
                    }
                }
                applied += rules.len();
                if !(changed && *again) {
                    break;
                }
            }
        }
        applied
    }

    fn holds(&self, test: Test, set: &[u64], before: Class) -> bool {
        match test {
            Test::Always => true,
            Test::Has(places) => places.iter().any(|place| bits::has(set, *place)),
            Test::Lacks(place) => !bits::has(set, place),
            Test::Start => before == NOTHING,
            Test::LineStart { newline } => {
                before == NOTHING || self.alphabet.holds(before, newline)
            }
            Test::Before { ask, holds } => self.alphabet.holds(before, ask) == holds,
            Test::Edge {
                ask,
                after,
                negated,
            } => (self.alphabet.holds(before, ask) != bits::has(set, after)) != negated,
        }
    }
}
