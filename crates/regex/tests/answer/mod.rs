//! What we say of a text, in the words of the oracles.

use ferroban_regex::{Captures, Exhausted, Regex};

/// What is said where a search is given up.
pub(crate) const GIVEN_UP: &str = "T";

/// Where the match and its groups stand, `N` where there is none. To take all care from the start
/// must change nothing; only a pattern that is not linear may be given up.
pub(crate) fn answer(regex: &Regex, text: &str) -> String {
    let plain = words(regex, regex.search(text));
    let wary = words(regex, regex.search_warily(text));
    let given_up = plain == GIVEN_UP || wary == GIVEN_UP;
    let same = plain == wary || (given_up && !regex.is_linear());
    assert!(same, "{:?} on {text:?}: {plain}, {wary}", regex.as_str());
    plain
}

fn words(regex: &Regex, found: Result<Option<Captures<'_>>, Exhausted>) -> String {
    match found {
        Err(_) => GIVEN_UP.to_owned(),
        Ok(None) => "N".to_owned(),
        Ok(Some(found)) => {
            let spans = (0..=regex.groups()).map(|group| match found.span(group) {
                Some(span) => format!("{}:{}", span.start, span.end),
                None => "-".to_owned(),
            });
            spans.collect::<Vec<_>>().join(",")
        }
    }
}
