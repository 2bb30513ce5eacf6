//! The failregex that came closest to a match.

use std::ops::Range;

use ferroban_engine::{Filter, FilterSettings, UseDns};

use super::view::{Blank, Stop};
use super::written;
use crate::cli::named::without_end;

/// One letter in common is chance.
const LEAST: usize = 2;
/// So are two at the start of a first word that does not match as a whole.
const OF_A_WORD: usize = 3;

/// How far one pattern got.
#[derive(Debug)]
struct Reach {
    index: usize,
    pattern_at: usize,
    span: Range<usize>,
    /// How many letters of the word that stopped it agree: a typo late in a word is a smaller
    /// one.
    letters: usize,
}

impl Reach {
    /// With the place in a pattern, and what it took of a text.
    fn new(
        index: usize,
        (pattern, text): (&str, &str),
        (pattern_at, span): (usize, Range<usize>),
    ) -> Self {
        let wanted = pattern.get(pattern_at..).unwrap_or_default();
        let found = text.get(span.end..).unwrap_or_default();
        Self {
            index,
            pattern_at,
            letters: in_common(wanted, found),
            span,
        }
    }

    /// How much agrees. A `.*` takes a whole line and says little, and a pattern that begins
    /// with much that may be missing gets far on nothing: so it is the smaller of the two.
    /// Of those that agree alike the first is the best.
    fn agrees(&self) -> (usize, usize, std::cmp::Reverse<usize>) {
        let (pattern, text) = (self.pattern_at, self.span.len() + self.letters);
        let both = (pattern + self.letters).min(text);
        (both, text, std::cmp::Reverse(self.index))
    }

    fn is_near(&self) -> bool {
        self.pattern_at.min(self.span.len()) >= LEAST || self.letters >= OF_A_WORD
    }
}

/// How many bytes of a text are what a pattern begins with, as far as that is plain text.
fn in_common(pattern: &str, text: &str) -> usize {
    let mut pattern = pattern;
    while let Some(rest) = opened(pattern) {
        pattern = rest;
    }
    let mut wanted = pattern.chars();
    let same = text.chars().take_while(|found| match wanted.next() {
        Some('\\') => wanted.next() == Some(*found) && !found.is_alphanumeric(),
        Some(c) => c == *found && !r"^$.|?*+()[]{}".contains(c),
        None => false,
    });
    same.map(char::len_utf8).sum()
}

/// The rest of a pattern that begins with what takes no text.
fn opened(pattern: &str) -> Option<&str> {
    if let Some(named) = pattern.strip_prefix("(?P<") {
        return named.split_once('>').map(|(_, rest)| rest);
    }
    pattern
        .strip_prefix("(?:")
        .or_else(|| pattern.strip_prefix('^'))
}

/// The failregex that came closest, unless all disagree from the start.
pub(super) fn failregex(filter: &Filter, settings: &FilterSettings, text: &str) -> Option<Stop> {
    let all = filter.failregex().enumerate();
    let reaches = all.map(|(index, regex)| {
        let closest = regex.closest(text);
        let took = closest.text_from..closest.text_to;
        Reach::new(index, (regex.as_str(), text), (closest.pattern_at, took))
    });
    let best = reaches.max_by_key(Reach::agrees)?;
    if !best.is_near() {
        return None;
    }
    let expanded = filter.failregex().nth(best.index)?.as_str();
    let written = settings.failregex.get(best.index)?;
    Some(stop(
        Some(best.index + 1),
        (written, expanded),
        (text, &best),
        settings,
    ))
}

/// Where prefregex stopped.
pub(super) fn prefregex(filter: &Filter, settings: &FilterSettings, text: &str) -> Option<Stop> {
    let regex = filter.prefregex()?;
    let closest = regex.closest(text);
    let took = closest.text_from..closest.text_to;
    let reach = Reach::new(0, (regex.as_str(), text), (closest.pattern_at, took));
    let written = settings.prefregex.as_deref()?;
    Some(stop(
        None,
        (written, regex.as_str()),
        (text, &reach),
        settings,
    ))
}

/// The failregex, or if there is no number the prefregex, that would match without the blanks
/// that a date leaves at the start.
pub(super) fn blank(filter: &Filter, settings: &FilterSettings, prefix: bool) -> Option<Blank> {
    // Of several lines each has a start.
    if settings.maxlines > 1 {
        return None;
    }
    let text = if prefix {
        filter.subject()
    } else {
        super::look::patterns_saw(filter)
    };
    let bare = text.trim_start_matches([' ', '\t']);
    if bare.len() == text.len() {
        return None;
    }
    if prefix {
        let regex = filter.prefregex()?;
        let matches = regex.is_match(bare).is_ok_and(|found| found);
        let pattern = settings.prefregex.clone().filter(|_| matches)?;
        return Some(Blank {
            number: None,
            pattern,
        });
    }
    let mut all = filter.failregex();
    let index = all.position(|regex| regex.is_match(bare).is_ok_and(|found| found))?;
    Some(Blank {
        number: Some(index + 1),
        pattern: settings.failregex.get(index)?.clone(),
    })
}

fn stop(
    number: Option<usize>,
    (written, expanded): (&str, &str),
    (text, reach): (&str, &Reach),
    settings: &FilterSettings,
) -> Stop {
    let names = settings.usedns != UseDns::No;
    // The end that every line has is not shown, so nothing stops behind it.
    let text = without_end(text);
    Stop {
        number,
        pattern: written.to_owned(),
        text: text.to_owned(),
        span: reach.span.start.min(text.len())..reach.span.end.min(text.len()),
        wanted: written::rest(written, expanded, reach.pattern_at, names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_agree_as_far_as_a_pattern_is_plain_text() {
        let rows = [
            ("^Failed password", "Faild password", 4),
            ("^(?:Failed|x)", "Faild", 4),
            ("(?P<user>abc)", "abd", 2),
            (r"a\[b", "a[b", 3),
            (r"a\db", "adb", 1),
            ("a.b", "a.b", 1),
            ("é字", "é字x", 5),
            ("(?P<", "x", 0),
            ("", "x", 0),
            ("x", "", 0),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(in_common(pattern, text), expected, "{pattern} {text}");
        }
    }
}
