//! Where an attempt to match can begin: what spares a line most of the patterns that are not for it.

use super::text::begins;
use crate::first::First;
use crate::program::{Begin, Program};

/// The positions to try, in order.
#[derive(Debug)]
pub(super) struct Starts<'p, 't> {
    text: &'t str,
    begin: &'p Begin,
    first: Option<&'p First>,
    /// The next position to look at; none when there is no other.
    next: Option<usize>,
}

/// Whether a text has what every match needs that begins at `start` or later.
#[inline]
pub(crate) fn may_match(program: &Program, text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    if matches!(program.begin, Begin::Text) {
        let first = program.firsts.get(program.first);
        let prefix = program.prefix.as_bytes();
        if start != 0
            || first.is_some_and(|first| !first.allows(bytes.first()))
            || !begins(bytes, prefix)
        {
            return false;
        }
    }
    let (required, rest) = (&program.required, bytes.get(start..).unwrap_or_default());
    required
        .as_ref()
        .is_none_or(|required| required.find(rest).is_some())
}

impl<'p, 't> Starts<'p, 't> {
    /// The positions from `start` on.
    pub(super) fn new(program: &'p Program, text: &'t str, start: usize) -> Self {
        Self {
            text,
            begin: &program.begin,
            first: program.firsts.get(program.first),
            next: Some(start),
        }
    }

    fn allows(&self, pos: usize) -> bool {
        self.first
            .is_none_or(|first| first.allows(self.text.as_bytes().get(pos)))
    }
}

impl Iterator for Starts<'_, '_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut pos = self.next?;
        match self.begin {
            Begin::Text => {
                self.next = None;
                return Some(pos);
            }
            Begin::Prefix(prefix) => {
                pos += prefix.find(bytes.get(pos..)?)?;
            }
            Begin::Line => loop {
                let begins = pos == 0 || bytes.get(pos - 1) == Some(&b'\n');
                if begins && self.allows(pos) {
                    break;
                }
                pos += memchr::memchr(b'\n', bytes.get(pos..)?)? + 1;
            },
            Begin::Any => loop {
                if self.allows(pos) && self.text.is_char_boundary(pos) {
                    break;
                }
                pos += 1;
                if pos > bytes.len() {
                    return None;
                }
            },
        }
        self.next = (pos < bytes.len()).then_some(pos + 1);
        Some(pos)
    }
}
