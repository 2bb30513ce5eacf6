//! Why a text does not match: which piece of the pattern could not, and after what.

use crate::backtrack::{Furthest, furthest};
use crate::parse::{Parsed, Place, parse_with_places};
use crate::{Flags, Regex, compile};

/// How far the best attempt at a match got.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Closest {
    /// Where the first piece of the pattern begins that could not match, in bytes.
    pub pattern_at: usize,
    /// Where in the text the attempt began, in bytes,
    pub text_from: usize,
    /// and where the text it consumed ends.
    pub text_to: usize,
}

impl Regex {
    /// How far the best attempt at a match got in a text that does not match.
    ///
    /// The best attempt is the one that got furthest along the pattern, and of those the one that
    /// got furthest along the text. A word that matches in part counts as one that does not.
    /// This compiles the pattern anew and tries everything, within a limit of steps: it is made for
    /// a person who asks, not for each line of a log. If the text matches after all, the answer is the
    /// end of the pattern and the whole match.
    ///
    /// ```
    /// use ferroban_regex::{Flags, Regex};
    ///
    /// let regex = Regex::new(r"^Failed \w+ for (\S+) from \d+", Flags::default())?;
    /// let closest = regex.closest("Failed password for root frm 192.0.2.7");
    /// assert_eq!(regex.as_str().split_at(closest.pattern_at).1, r" from \d+");
    /// assert_eq!((closest.text_from, closest.text_to), (0, "Failed password for root".len()));
    /// # Ok::<(), ferroban_regex::Error>(())
    /// ```
    #[must_use]
    pub fn closest(&self, text: &str) -> Closest {
        search(self.as_str(), self.inner.flags, text).unwrap_or_default()
    }
}

fn search(pattern: &str, flags: Flags, text: &str) -> Option<Closest> {
    let (parsed, places) = parse_with_places(pattern, flags).ok()?;
    let best = furthest_of(&parsed, &places, text)?;
    let Some(place) = best.place else {
        return Some(Closest {
            pattern_at: pattern.len(),
            text_from: best.from,
            text_to: best.to,
        });
    };
    let (place, text_to) = back_to_blank(&places, place, text, best.to);
    let position = places.get(place)?.position;
    let pattern_at = pattern.char_indices().nth(position).map(|(at, _)| at);
    Some(Closest {
        pattern_at: pattern_at.unwrap_or(pattern.len()),
        text_from: best.from,
        text_to: text_to.max(best.from),
    })
}

fn furthest_of(parsed: &Parsed, places: &[Place], text: &str) -> Option<Furthest> {
    let mut program = compile::compile(parsed).ok()?;
    program.spare_nothing();
    let mut outer: Vec<usize> = places
        .iter()
        .filter(|place| place.outermost)
        .map(|place| place.position)
        .collect();
    outer.sort_unstable();
    let rank = |place: &Place| {
        let outer = outer.partition_point(|position| *position <= place.position);
        (outer, place.position)
    };
    let ranks = places.iter().map(rank).collect();
    Some(furthest(&program, text, ranks))
}

/// From the middle of a word back to where it begins, or to the blank before it.
fn back_to_blank(places: &[Place], mut place: usize, text: &str, mut to: usize) -> (usize, usize) {
    while let Some(here) = places.get(place)
        && here.literal.is_some_and(|c| !c.is_whitespace())
        && here.follows_literal
        && let Some(c) = text.get(..to).and_then(|before| before.chars().next_back())
    {
        place -= 1;
        to -= c.len_utf8();
    }
    (place, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_agree_with_what_did_not_match() {
        let ip = r"(?:(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>[0-9a-f:]+:[0-9a-f]+))";
        let cases = [
            // pattern, text, the rest of the pattern, the consumed text
            (
                r"^Failed \w+ for (?P<u>\S+) from <ip>",
                "Failed password for root frm 1.2.3.4",
                " from <ip>",
                "Failed password for root",
            ),
            (
                "^Failed password for",
                "Failed login for x",
                " password for",
                "Failed",
            ),
            ("^Failed password", "Fauled password", "Failed password", ""),
            ("^abc$", "abcd", "$", "abc"),
            (r"^\[\d+\] ok", "[12a] ok", r"\] ok", "[12"),
            (r"user \d+ gone", "xx user seven gone", r"\d+ gone", "user "),
            ("^(?:cat|dog) food", "dog toy", " food", "dog"),
            ("^(?:cat|dog) food", "cow food", "cat|dog) food", ""),
            (r"^(?!root)\w+ in", "root in", r"(?!root)\w+ in", ""),
            (
                r"^(?:(?! from ).)* at \d",
                "a b from c at 1",
                " at \\d",
                "a b",
            ),
            (r"^.*: denied \(", "x: y: denied [", r" \(", "x: y: denied"),
            (
                r"^(?:.*: )?Failed (\w+) for",
                "Failed login from",
                " for",
                "Failed login",
            ),
            (r"^(['\x22])\w+\1 =", "'abc\" =", r"\1 =", "'abc"),
            ("(?x) ^ ab # one\n cd $", "abce", "cd $", "ab"),
            (r"(?m)^b: \d", "a: 1\nb: x", r"\d", "b: "),
            ("^é+ß", "ééx", "ß", "éé"),
            (r"^a{3}b", "aaab", "", "aaab"),
        ];
        for (pattern, text, rest, consumed) in cases {
            let written = pattern.replace("<ip>", ip);
            let regex = Regex::new(&written, Flags::default()).unwrap();
            let closest = regex.closest(text);
            let found = (
                written.get(closest.pattern_at..).unwrap(),
                text.get(closest.text_from..closest.text_to).unwrap(),
            );
            let rest = rest.replace("<ip>", ip);
            assert_eq!(found, (rest.as_str(), consumed), "{pattern} on {text}");
        }
    }

    #[test]
    fn a_text_that_takes_for_ever_has_an_answer_too() {
        let regex = Regex::new("^(?:a|a)*b", Flags::default()).unwrap();
        let closest = regex.closest(&"a".repeat(5000));
        assert_eq!(closest.text_to, 5000);
    }
}
