//! The last lines of a log, for patterns that span several (`maxlines`).

use std::collections::VecDeque;
use std::ops::Range;

use crate::ban::Match;

/// The most text that is kept of all lines, in bytes. The oldest leave first.
const MOST_TEXT: usize = 1 << 20;

/// The last lines, without their dates as the patterns see them and with them as
/// people do.
#[derive(Debug)]
pub(super) struct Lines {
    most: usize,
    kept: VecDeque<Line>,
    text: usize,
    /// How many lines there have been.
    count: u64,
}

#[derive(Debug)]
struct Line {
    /// The how-manieth of all lines.
    number: u64,
    shown: Match,
    /// What the patterns see, without a line end.
    text: String,
}

/// What of the lines a match took.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Taken {
    /// The lines that matched, without those that were skipped.
    pub(super) lines: Vec<Match>,
    /// How far back each of them stands that is not the last line.
    pub(super) back: Vec<u64>,
    /// What the patterns saw of them, each with its line end, if that is not all they saw.
    pub(super) text: Option<String>,
}

impl Lines {
    /// A memory of so many lines.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: VecDeque::new(),
            text: 0,
            count: 0,
        }
    }

    /// Adds a line.
    pub(super) fn push(&mut self, shown: Match, text: String) {
        self.count += 1;
        self.text += text.len();
        self.kept.push_back(Line {
            number: self.count,
            shown,
            text,
        });
        while self.kept.len() > self.most || (self.text > MOST_TEXT && self.kept.len() > 1) {
            if let Some(line) = self.kept.pop_front() {
                self.text -= line.text.len();
            }
        }
    }

    /// All of it, each line with its end.
    pub(super) fn subject(&self) -> String {
        let mut subject = String::with_capacity(self.text + self.kept.len());
        self.subject_into(&mut subject);
        subject
    }

    /// The same, behind what is in `subject` already.
    pub(super) fn subject_into(&self, subject: &mut String) {
        for line in &self.kept {
            subject.push_str(&line.text);
            subject.push('\n');
        }
    }

    /// Takes the lines out that a match at `span` touches, but for those in `skipped`.
    pub(super) fn take(&mut self, span: &Range<usize>, skipped: &[Range<usize>]) -> Taken {
        let subject = self.subject();
        // What only begins behind a line's end does not touch that line, nor does what
        // ends with one touch the next.
        let before = subject.get(..subject.len().min(span.start + 1));
        let first = before
            .and_then(|text| text.rfind('\n'))
            .map_or(0, |at| at + 1);
        let last = span.end.saturating_sub(1).max(first);
        let rest = subject.get(last..).and_then(|text| text.find('\n'));
        let end = rest.map_or(subject.len(), |at| last + at + 1);
        let is_skipped = |at: usize| skipped.iter().any(|skip| skip.start <= at && at < skip.end);
        let (mut taken, mut text, mut at) = (Taken::default(), String::new(), 0);
        let count = self.count;
        self.kept.retain(|line| {
            let start = at;
            at += line.text.len() + 1;
            if start < first || start >= end || is_skipped(start) {
                return true;
            }
            taken.lines.push(line.shown.clone());
            taken
                .back
                .extend(Some(count - line.number).filter(|back| *back > 0));
            text.push_str(&line.text);
            text.push('\n');
            false
        });
        taken.text = Some(text);
        self.text = self.kept.iter().map(|line| line.text.len()).sum();
        taken
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.text = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Lines {
        let mut lines = Lines::new(4);
        for text in texts {
            lines.push(Match::new("", "", text), (*text).to_owned());
        }
        lines
    }

    #[test]
    fn only_the_last_lines_are_seen() {
        let lines = lines(&["a", "b", "c", "d", "e"]);
        assert_eq!(lines.subject(), "b\nc\nd\ne\n");
    }

    #[test]
    fn a_match_takes_the_lines_it_touches_and_leaves_those_it_skips() {
        // A match in "pre\nstart\nnoise\nend\n", what it skips, what it takes, what is left.
        type Case = (
            Range<usize>,
            Option<Range<usize>>,
            &'static [u64],
            &'static str,
        );
        let cases: [Case; 6] = [
            (4..19, Some(10..16), &[2], "pre\nnoise\n"),
            (5..7, None, &[2], "pre\nnoise\nend\n"),
            (3..9, None, &[2], "pre\nnoise\nend\n"),
            (4..10, None, &[2], "pre\nnoise\nend\n"),
            (4..11, None, &[2, 1], "pre\nend\n"),
            (0..20, None, &[3, 2, 1], ""),
        ];
        for (span, skipped, back, left) in cases {
            let mut lines = lines(&["pre", "start", "noise", "end"]);
            let taken = lines.take(&span, skipped.as_slice());
            assert_eq!(taken.back, back, "{span:?}");
            assert_eq!(lines.subject(), left, "{span:?}");
        }
    }

    #[test]
    fn text_is_bounded_whatever_the_lines_are() {
        let mut lines = Lines::new(1000);
        for _ in 0..100 {
            lines.push(Match::default(), "x".repeat(100_000));
        }
        assert!(lines.subject().len() <= MOST_TEXT + 100_000);
    }
}
