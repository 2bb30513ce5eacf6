//! Which of many patterns can match a text at all, by what it begins with.
//!
//! Most failregexes begin with `^` and a word. A filter may have dozens, and a line is a
//! match of one or two: the others need not be asked.

use super::failregex::FailRegex;

/// For each first byte of a text, the patterns that are to be tried, in their order.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The list of each byte.
    by_byte: Vec<u16>,
    lists: Vec<Vec<Candidate>>,
    count: usize,
}

/// A pattern, and the first bytes of what it matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Candidate {
    pattern: usize,
    word: u128,
    /// Those of the word that are known.
    mask: u128,
}

impl Candidates {
    pub(super) fn new(patterns: &[FailRegex]) -> Self {
        let all: Vec<_> = (0..).zip(patterns).map(candidate).collect();
        let (mut by_byte, mut lists) = (Vec::with_capacity(256), Vec::new());
        for byte in 0..256 {
            let fits = |first: Option<[bool; 256]>| {
                first.is_none_or(|bytes| bytes.get(byte).copied().unwrap_or(true))
            };
            let list: Vec<Candidate> = all
                .iter()
                .filter(|(_, first)| fits(*first))
                .map(|(candidate, _)| *candidate)
                .collect();
            let known = lists.iter().position(|known| *known == list);
            let index = known.unwrap_or_else(|| {
                lists.push(list);
                lists.len() - 1
            });
            by_byte.push(u16::try_from(index).unwrap_or(0));
        }
        Self {
            by_byte,
            lists,
            count: patterns.len(),
        }
    }

    /// The first pattern to try on a text, of those from this place on, and the place after it; of
    /// a text that changes between the tries nothing is known.
    pub(super) fn next(&self, text: Option<&str>, from: usize) -> Option<(usize, usize)> {
        let bytes = text.unwrap_or_default().as_bytes();
        let Some(byte) = bytes.first() else {
            return (from < self.count).then_some((from, from + 1));
        };
        let list = self.by_byte.get(usize::from(*byte))?;
        let list = self.lists.get(usize::from(*list))?.get(from..)?;
        let start = bytes.first_chunk().map(|start| u128::from_le_bytes(*start));
        let fits = |candidate: &Candidate| {
            start.is_none_or(|start| (start ^ candidate.word) & candidate.mask == 0)
        };
        let place = list.iter().position(fits)?;
        Some((list.get(place)?.pattern, from + place + 1))
    }
}

/// A pattern, and the bytes it can begin with, if it matches at the start of a text only.
fn candidate((pattern, regex): (usize, &FailRegex)) -> (Candidate, Option<[bool; 256]>) {
    let regex = regex.regex();
    let first = regex.first_bytes();
    let prefix = regex.prefix().as_bytes();
    let (mut word, mut mask) = ([0; 16], [0; 16]);
    if first.is_some() {
        let known = word.iter_mut().zip(&mut mask);
        for ((byte, known), wanted) in known.zip(prefix) {
            (*byte, *known) = (*wanted, u8::MAX);
        }
    }
    let candidate = Candidate {
        pattern,
        word: u128::from_le_bytes(word),
        mask: u128::from_le_bytes(mask),
    };
    (candidate, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_match_is_tried_and_in_order() {
        let patterns = [
            "^a <ADDR>",
            "b <ADDR>",
            "^[ac]<ADDR>",
            r"^\s*<ADDR>",
            "^<F-ID>.?</F-ID>",
        ];
        let patterns = patterns.map(|pattern| FailRegex::new(pattern, false).unwrap());
        let candidates = Candidates::new(&patterns);
        let tried = |text: Option<&str>| -> Vec<usize> {
            let mut from = 0;
            let next = || {
                let (pattern, place) = candidates.next(text, from)?;
                from = place;
                Some(pattern)
            };
            std::iter::from_fn(next).collect()
        };
        let cases: [(Option<&str>, &[usize]); 8] = [
            (Some("a 1.2.3.4"), &[0, 1, 2, 3, 4]),
            (Some("ab"), &[0, 1, 2, 3, 4]),
            (Some("ab, and much more text"), &[1, 2, 3, 4]),
            (Some("c"), &[1, 2, 3, 4]),
            (Some("x"), &[1, 4]),
            (Some(" "), &[1, 3, 4]),
            (Some(""), &[0, 1, 2, 3, 4]),
            (None, &[0, 1, 2, 3, 4]),
        ];
        for (first, expected) in cases {
            assert_eq!(tried(first), expected, "{first:?}");
        }
    }
}
