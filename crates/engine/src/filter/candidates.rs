//! Which of many patterns can match a text at all, by what it begins with.
//!
//! Most failregexes begin with `^` and a word. A filter may have dozens, and a line is a
//! match of one or two: the others need not be asked.

use super::failregex::FailRegex;

/// For each first byte of a text, the patterns that are to be tried, in their order.
#[derive(Debug)]
pub(super) struct Candidates {
    by_byte: Vec<Vec<usize>>,
    /// What a text must begin with, for each pattern that matches at its start only.
    prefixes: Vec<Box<str>>,
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
            prefixes: patterns.iter().map(prefix).collect(),
        }
    }

    /// The first pattern to try on a text, of those from this place on, and the place after it; of
    /// a text that changes between the tries nothing is known.
    pub(super) fn next(&self, text: Option<&str>, from: usize) -> Option<(usize, usize)> {
        let first = text.and_then(|text| text.bytes().next());
        let (Some(text), Some(byte)) = (text, first) else {
            return (from < self.prefixes.len()).then_some((from, from + 1));
        };
        let list = self.by_byte.get(usize::from(byte))?;
        let mut places = (from..).zip(list.get(from..)?);
        places.find_map(|(place, pattern)| {
            let prefix = self.prefixes.get(*pattern)?;
            // Comparing with nothing is slow on some processors.
            let fits = prefix.is_empty() || text.as_bytes().starts_with(prefix.as_bytes());
            fits.then_some((*pattern, place + 1))
        })
    }
}

/// What a text must begin with for a pattern that matches at its start only.
fn prefix(pattern: &FailRegex) -> Box<str> {
    let regex = pattern.regex();
    match regex.first_bytes() {
        Some(_) => regex.prefix().into(),
        None => "".into(),
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
        let tried = |text: Option<&str>| -> Vec<usize> {
            let mut from = 0;
            let next = || {
                let (pattern, place) = candidates.next(text, from)?;
                from = place;
                Some(pattern)
            };
            std::iter::from_fn(next).collect()
        };
        let cases: [(Option<&str>, &[usize]); 7] = [
            (Some("a 1.2.3.4"), &[0, 1, 2, 3, 4]),
            (Some("ab"), &[1, 2, 3, 4]),
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
