#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod ast;
mod backtrack;
mod compile;
mod error;
mod first;
mod memo;
mod parse;
mod program;
mod set;
mod unicode;

#[cfg(test)]
mod tests;

pub use error::{Error, ErrorKind, Exhausted};

use program::Program;
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
        if start > text.len() {
            return Ok(None);
        }
        let start = text.ceil_char_boundary(start);
        let found = backtrack::search(&self.inner.program, text, start);
        if found.exhausted {
            return Err(Exhausted { steps: found.steps });
        }
        let names = &self.inner.names;
        Ok(found.slots.map(|slots| Captures {
            text,
            slots,
            names: Arc::clone(names),
        }))
    }
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
    slots: Vec<u32>,
    names: Arc<Names>,
}

impl<'t> Captures<'t> {
    /// The text of a group; none if it took no part in the match.
    pub fn get(&self, group: usize) -> Option<&'t str> {
        self.text.get(self.span(group)?)
    }

    /// Where a group matched, in bytes.
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        let slot = group.checked_mul(2)?;
        let (start, end) = (*self.slots.get(slot)?, *self.slots.get(slot + 1)?);
        (start <= end && end != u32::MAX).then_some(start as usize..end as usize)
    }

    /// The text of a named group.
    pub fn name(&self, name: &str) -> Option<&'t str> {
        self.get(number(&self.names, name)?)
    }
}
