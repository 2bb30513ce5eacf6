//! The lines of a log that nearly matched.
//!
//! A log has the same line a thousand times with other numbers in it, and a thousand lines of
//! other programs before the one that matters. So one line of each shape is kept, and only in
//! the end, when there are few, is each looked at closely.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde::Serialize;

use super::look::Examiner;
use super::near;
use super::view::Stop;
use crate::clock;

/// So many lines are kept.
const KEPT: usize = 400;
/// Nobody waits longer until they have been looked at, whatever the patterns are.
const PATIENCE: Duration = Duration::from_secs(5);
/// A line that agrees with less of a failregex is not shown, where no prefix says that it
/// concerns the filter.
const AGREES: usize = 8;

/// Lines of which some may be shown, by their shape.
#[derive(Debug)]
pub(super) struct Candidates {
    show: usize,
    by_shape: HashMap<u64, Candidate>,
}

/// A line that did not match, and what failregexes saw of it.
#[derive(Debug)]
struct Candidate {
    number: u64,
    line: String,
    text: String,
}

/// A line that nearly matched.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) number: u64,
    pub(super) line: String,
    pub(super) closest: Option<Stop>,
}

impl Sample {
    /// How much of the line agrees.
    fn agrees(&self) -> usize {
        self.closest.as_ref().map_or(0, |stop| stop.span.len())
    }
}

impl Candidates {
    /// So many will be shown.
    pub(super) fn new(show: usize) -> Self {
        Self {
            show,
            by_shape: HashMap::new(),
        }
    }

    /// Keeps a line, unless it is like one before, or there are enough.
    pub(super) fn take(&mut self, number: u64, line: &str, text: &str) {
        if self.show == 0 || self.by_shape.len() >= KEPT {
            return;
        }
        // Of several lines the last one is new.
        let own = text.lines().next_back().unwrap_or_default();
        self.by_shape
            .entry(shape(own))
            .or_insert_with(|| Candidate {
                number,
                line: line.to_owned(),
                text: text.to_owned(),
            });
    }

    /// Lets go of a line that belongs to a match after all.
    pub(super) fn forget(&mut self, number: u64) {
        self.by_shape
            .retain(|_, candidate| candidate.number != number);
    }

    /// Those that agree most with a failregex first, one for each place where one stopped;
    /// then others. Where a prefix says that all `concerned` the filter, those that no
    /// failregex comes close to are the last.
    pub(super) fn samples(&mut self, examiner: &Examiner, concerned: bool) -> Vec<Sample> {
        let settings = &examiner.subject.settings;
        let mut all: Vec<Candidate> = self.by_shape.drain().map(|(_, it)| it).collect();
        all.sort_by_key(|candidate| candidate.number);
        let begun = clock::tick();
        let in_time = all
            .into_iter()
            .take_while(|_| clock::tick().duration_since(begun) < PATIENCE);
        let sample = |candidate: Candidate| Sample {
            closest: near::failregex(&examiner.filter, settings, &candidate.text),
            number: candidate.number,
            line: candidate.line,
        };
        let is_near = |sample: &Sample| concerned || sample.agrees() >= AGREES;
        let mut samples: Vec<Sample> = in_time.map(sample).filter(is_near).collect();
        samples.sort_by_key(|sample| {
            let far = sample.closest.is_none();
            (far, std::cmp::Reverse(sample.agrees()), sample.number)
        });
        let (mut places, mut first, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples {
            let stop = sample.closest.as_ref();
            let place = stop.map(|stop| (stop.number, stop.wanted.clone()));
            if place.is_none() || places.contains(&place) {
                others.push(sample);
            } else {
                places.push(place);
                first.push(sample);
            }
        }
        first.extend(others);
        first.truncate(self.show);
        first
    }
}

/// What a line has in common with those that differ only in numbers and addresses: a word
/// with a digit in it is as good as any other.
fn shape(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let is_of_word = |c: char| c.is_alphanumeric() || ".:-_".contains(c);
    for piece in text.split_inclusive(|c| !is_of_word(c)) {
        let word = piece.trim_end_matches(|c| !is_of_word(c));
        if word.contains(|c: char| c.is_ascii_digit()) {
            '0'.hash(&mut hasher);
        } else {
            word.hash(&mut hasher);
        }
        piece.get(word.len()..).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_make_no_other_shape() {
        let rows = [
            (
                "a[1]: from 192.0.2.7 port 22",
                "a[27]: from ::1 port 9",
                true,
            ),
            ("session 5fa2", "session 1", true),
            ("a 1", "b 1", false),
            ("a 1", "a(1", false),
            ("a 1", "a 1 1", false),
            ("", "", true),
        ];
        for (one, two, alike) in rows {
            assert_eq!(shape(one) == shape(two), alike, "{one} {two}");
        }
    }
}
