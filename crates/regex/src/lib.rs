#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod ast;
mod backtrack;
mod closest;
mod code;
mod compile;
mod error;
mod first;
mod memo;
mod outlook;
mod parse;
mod program;
mod set;
mod unicode;

#[cfg(test)]
mod tests;

pub use closest::Closest;
pub use error::{Caret, Error, ErrorKind, Exhausted};

use backtrack::Scratch;
use program::Program;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// Flags for a whole pattern; none by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// `^` and `$` match at every line (`re.MULTILINE`).
    pub multi_line: bool,
    /// Letters match in either case (`re.IGNORECASE`).
    pub ignore_case: bool,
    /// `.` matches a newline too (`re.DOTALL`).
    pub dot_all: bool,
    /// Blanks and comments in the pattern are skipped (`re.VERBOSE`).
    pub verbose: bool,
    /// `\w`, `\d`, `\s`, `\b` and letter case know ASCII only (`re.ASCII`).
    pub ascii: bool,
}

/// A compiled pattern. Copies share it.
#[derive(Clone, Debug)]
pub struct Regex {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pattern: String,
    flags: Flags,
    program: Program,
    names: Arc<Names>,
}

/// The named groups, in the order of their numbers.
type Names = Vec<(String, usize)>;

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, Error> {
        let mut parsed = parse::parse(pattern, flags)?;
        let program = compile::compile(&parsed)?;
        let names = Arc::new(std::mem::take(&mut parsed.names));
        let pattern = pattern.to_owned();
        Ok(Self {
            inner: Arc::new(Inner {
                pattern,
                flags,
                program,
                names,
            }),
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.inner.pattern
    }

    /// How many groups capture text, the whole match not counted.
    pub fn groups(&self) -> usize {
        self.inner.program.slots / 2
    }

    /// The named groups and their numbers, in the order of the numbers.
    pub fn group_names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.inner
            .names
            .iter()
            .map(|(name, group)| (name.as_str(), *group))
    }

    /// The number of a named group.
    pub fn group(&self, name: &str) -> Option<usize> {
        number(&self.inner.names, name)
    }

    /// The first match in the text, as `re.search` finds it.
    pub fn search<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, Exhausted> {
        self.search_from(text, 0)
    }

    /// The first match that begins at the byte `start` or later.
    ///
    /// What stands before `start` is still seen: `^` does not match there, and a look-behind may
    /// look at it.
    pub fn search_from<'t>(
        &self,
        text: &'t str,
        start: usize,
    ) -> Result<Option<Captures<'t>>, Exhausted> {
        if !self.may_match(text, start) {
            return Ok(None);
        }
        let mut slots = SLOTS.take();
        let found = self.search_possible(text, start, &mut slots);
        let captures = found.map(|found| {
            found.then(|| Captures {
                text,
                positions: slots.scratch.slots.clone(),
                names: Arc::clone(&self.inner.names),
            })
        });
        SLOTS.set(slots);
        captures
    }

    /// As [`search`](Self::search), but taking all the care from the start that is else taken only for
    /// lines that take long. For tests: nothing but the time may differ.
    #[doc(hidden)]
    pub fn search_warily<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, Exhausted> {
        if !self.may_match(text, 0) {
            return Ok(None);
        }
        let mut scratch = Scratch::default();
        let found = backtrack::search_with(
            &self.inner.program,
            (text, 0),
            backtrack::Care::ALL,
            &mut scratch,
        );
        if found.exhausted {
            return Err(Exhausted { steps: found.steps });
        }
        Ok(found.matched.then(|| Captures {
            text,
            positions: scratch.slots,
            names: Arc::clone(&self.inner.names),
        }))
    }

    /// Whether the pattern matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> Result<bool, Exhausted> {
        if !self.may_match(text, 0) {
            return Ok(false);
        }
        let mut slots = SLOTS.take();
        let found = self.search_possible(text, 0, &mut slots);
        SLOTS.set(slots);
        found
    }

    /// What spares most searches the rest of them.
    #[inline]
    fn may_match(&self, text: &str, start: usize) -> bool {
        start <= text.len()
            && backtrack::may_match(&self.inner.program, text, text.ceil_char_boundary(start))
    }

    /// As [`search_from`](Self::search_from), with the positions of the groups put in `slots`:
    /// nothing is allocated for a search that fails, nor for one that uses the same slots again.
    ///
    /// ```
    /// use ferroban_regex::{Flags, Regex, Slots};
    ///
    /// let regex = Regex::new(r"port (\d+)", Flags::default())?;
    /// let mut slots = Slots::default();
    /// for (text, port) in [("a port 22", Some(7..9)), ("no port", None)] {
    ///     regex.search_into(text, 0, &mut slots)?;
    ///     assert_eq!(slots.span(1), port);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn search_into(
        &self,
        text: &str,
        start: usize,
        slots: &mut Slots,
    ) -> Result<bool, Exhausted> {
        if !self.may_match(text, start) {
            slots.scratch.slots.clear();
            slots.steps = 0;
            return Ok(false);
        }
        self.search_possible(text, start, slots)
    }

    /// The same for a text that [may match](Self::may_match).
    fn search_possible(
        &self,
        text: &str,
        start: usize,
        slots: &mut Slots,
    ) -> Result<bool, Exhausted> {
        let start = text.ceil_char_boundary(start);
        let found = backtrack::search(&self.inner.program, text, start, &mut slots.scratch);
        slots.steps = found.steps;
        if found.exhausted {
            return Err(Exhausted { steps: found.steps });
        }
        Ok(found.matched)
    }

    /// Which bytes a match can begin with (perhaps more, never fewer), for a pattern that matches
    /// only at the start of a text and never an empty one; none for any other.
    ///
    /// A text that begins with another byte does not match, so that of many patterns only a few need
    /// be asked.
    ///
    /// ```
    /// use ferroban_regex::{Flags, Regex};
    ///
    /// let first = |pattern| Regex::new(pattern, Flags::default()).map(|regex| regex.first_bytes());
    /// let bytes = first("^[iI]nvalid user|^Failed")?.ok_or("no bytes")?;
    /// assert!(bytes[usize::from(b'i')] && bytes[usize::from(b'F')] && !bytes[usize::from(b'x')]);
    /// assert_eq!(first("Failed")?, None);
    /// assert_eq!(first("^x?")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn first_bytes(&self) -> Option<[bool; 256]> {
        let program = &self.inner.program;
        let first = program.firsts.get(program.first)?;
        if !matches!(program.begin, program::Begin::Text) || first.allows(None) {
            return None;
        }
        Some(std::array::from_fn(|byte| {
            u8::try_from(byte).is_ok_and(|byte| first.allows(Some(&byte)))
        }))
    }

    /// A text that every match begins with; empty if none is known. Of a pattern that matches only
    /// at the start of a text ([`first_bytes`](Self::first_bytes)) it says more than the first byte.
    ///
    /// ```
    /// use ferroban_regex::{Flags, Regex};
    ///
    /// let regex = Regex::new(r"^Failed (?:password|publickey)", Flags::default())?;
    /// assert_eq!(regex.prefix(), "Failed ");
    /// # Ok::<(), ferroban_regex::Error>(())
    /// ```
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.inner.program.prefix
    }

    /// The most steps that a search in a text of this many bytes can take.
    ///
    /// It is in proportion to the length. Where the memo bounds the time (see
    /// [`is_linear`](Self::is_linear)) it is what the pattern could cost at worst, far more than what is
    /// seen; elsewhere it is where a search is given up.
    pub fn step_limit(&self, length: usize) -> u64 {
        backtrack::step_limit(&self.inner.program, length)
    }

    /// Whether every search ends with an answer, in time in proportion to the length of the text,
    /// as long as the notes about it fit in the memory they may take. Searches for other patterns are
    /// given up after so many steps for each byte.
    pub fn is_linear(&self) -> bool {
        self.inner.program.linear
    }
}

/// Where the groups of a match stand, and the memory that the search for it needs.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    scratch: Scratch,
    steps: u64,
}

thread_local! {
    /// Those of the last search in this thread that brought none.
    static SLOTS: Cell<Slots> = Cell::default();
}

impl Slots {
    /// Where a group matched, in bytes; none if it took no part, or nothing matched.
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        span(&self.scratch.slots, group)
    }

    /// How many steps the last search took, and 0 if it was over before the first.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// Where a group matched, by the starts and ends of all.
fn span(positions: &[u32], group: usize) -> Option<Range<usize>> {
    let slot = group.checked_mul(2)?;
    let (start, end) = (*positions.get(slot)?, *positions.get(slot + 1)?);
    (start <= end && end != backtrack::NONE).then_some(start as usize..end as usize)
}

fn number(names: &Names, name: &str) -> Option<usize> {
    names
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, group)| *group)
}

/// A match: the text of its groups. Group 0 is the whole match.
#[derive(Clone, Debug)]
pub struct Captures<'t> {
    text: &'t str,
    positions: Vec<u32>,
    names: Arc<Names>,
}

impl<'t> Captures<'t> {
    /// The text of a group; none if it took no part in the match.
    pub fn get(&self, group: usize) -> Option<&'t str> {
        self.text.get(self.span(group)?)
    }

    /// Where a group matched, in bytes.
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        span(&self.positions, group)
    }

    /// The text of a named group.
    pub fn name(&self, name: &str) -> Option<&'t str> {
        self.get(number(&self.names, name)?)
    }
}
