//! Which of many patterns can match a text at all, by the byte it begins with.
//!
//! Most failregexes begin with `^` and a word. A filter may have dozens, and a line is a
//! match of one or two: the others need not be asked.

use super::failregex::FailRegex;

/// For each first byte of a text, the patterns that are to be tried, in their order.
#[derive(Debug)]
pub(super) struct Candidates {
    by_byte: Vec<Vec<usize>>,
    count: usize,
}

impl Candidates {
    pub(super) fn new(patterns: &[FailRegex]) -> Self {
        let mut by_byte = vec![Vec::new(); 256];
        for (index, pattern) in patterns.iter().enumerate() {
            let first = pattern.regex().first_bytes();
            for (byte, list) in by_byte.iter_mut().enumerate() {
                let fits = first.is_none_or(|bytes| bytes.get(byte).copied().unwrap_or(true));
                if fits {
                    list.push(index);
                }
            }
        }
        Self {
            by_byte,
            count: patterns.len(),
        }
    }

    /// The so-manieth pattern to try on a text that begins with this byte; of an empty
    /// text, and of one that changes between the tries, nothing is known.
    pub(super) fn nth(&self, first: Option<u8>, place: usize) -> Option<usize> {
        match first {
            Some(byte) => self.by_byte.get(usize::from(byte))?.get(place).copied(),
            None => (place < self.count).then_some(place),
        }
    }
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
        let tried = |first: Option<u8>| -> Vec<usize> {
            (0..)
                .map_while(|place| candidates.nth(first, place))
                .collect()
        };
        let cases: [(Option<u8>, &[usize]); 5] = [
            (Some(b'a'), &[0, 1, 2, 3, 4]),
            (Some(b'c'), &[1, 2, 3, 4]),
            (Some(b'x'), &[1, 4]),
            (Some(b' '), &[1, 3, 4]),
            (None, &[0, 1, 2, 3, 4]),
        ];
        for (first, expected) in cases {
            assert_eq!(tried(first), expected, "{first:?}");
        }
    }
}
