//! The lines of one kind (matched, ignored or missed) that the report may show.
//!
//! A list is shown if it is short, or if all of it was asked for. A log may have any
//! number of lines, so a list keeps no more than may still be shown.

use std::collections::VecDeque;

/// Lines that came to the same.
#[derive(Debug, Default)]
pub(super) struct Lines {
    count: u64,
    kept: VecDeque<String>,
    keep: Keep,
}

/// How many lines are worth keeping.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Keep {
    /// None: the list is not wanted.
    #[default]
    None,
    /// As long as there are fewer than so many: then they are shown.
    Below(usize),
    /// Every one.
    All,
}

impl Lines {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            count: 0,
            kept: VecDeque::new(),
            keep,
        }
    }

    /// Adds a line.
    pub(super) fn push(&mut self, line: &str) {
        self.count = self.count.saturating_add(1);
        let keeps = match self.keep {
            Keep::None => false,
            Keep::Below(limit) => self.kept.len() < limit,
            Keep::All => true,
        };
        if keeps {
            self.kept.push_back(line.to_owned());
        }
    }

    /// Takes out a line that is something else after all: the last one like this.
    pub(super) fn take(&mut self, line: &str) {
        self.count = self.count.saturating_sub(1);
        if let Some(place) = self.kept.iter().rposition(|kept| kept == line) {
            self.kept.remove(place);
        }
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The lines, if all of them are here.
    pub(super) fn all(&self) -> Option<impl Iterator<Item = &str>> {
        let complete = u64::try_from(self.kept.len()) == Ok(self.count);
        complete.then(|| self.kept.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &Lines) -> Option<Vec<&str>> {
        lines.all().map(Iterator::collect)
    }

    #[test]
    fn no_more_is_kept_than_may_be_shown() {
        let rows = [
            (Keep::None, 0, Some(0)),
            (Keep::None, 3, None),
            (Keep::Below(3), 3, Some(3)),
            (Keep::Below(3), 4, None),
            (Keep::All, 100, Some(100)),
        ];
        for (keep, count, shown) in rows {
            let mut lines = Lines::new(keep);
            (0..count).for_each(|_| lines.push("x"));
            assert_eq!(lines.count(), count, "{keep:?}");
            assert_eq!(all(&lines).map(|all| all.len()), shown, "{keep:?} {count}");
        }
    }

    #[test]
    fn the_last_of_several_equal_lines_is_taken_out() {
        let mut lines = Lines::new(Keep::All);
        ["a", "b", "a", "c"]
            .iter()
            .for_each(|line| lines.push(line));
        lines.take("a");
        assert_eq!(all(&lines), Some(vec!["a", "b", "c"]));
        assert_eq!(lines.count(), 3);
    }
}
