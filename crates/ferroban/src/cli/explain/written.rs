//! The place in a pattern as it was written.
//!
//! A place in the regular expression that was made of it helps nobody: `<HOST>` becomes two
//! hundred characters there.

use ferroban_engine::filter::expand;

/// A longer pattern is shown as it was compiled: looking for the place costs its square.
const LONGEST: usize = 4096;

/// What of a pattern, as it was written, begins at the byte `at` of what it became. In the
/// midst of a tag that is the whole tag, and at the start of one of several alternatives all
/// of them.
pub(super) fn rest(written: &str, expanded: &str, at: usize, names: bool) -> String {
    let as_compiled = || expanded.get(at..).unwrap_or_default().to_owned();
    if written.len() > LONGEST {
        return as_compiled();
    }
    let is_before = |end: usize| {
        let start = written.get(..end).map(|start| expand(start, names));
        start.is_some_and(|start| start.len() <= at && expanded.starts_with(&start))
    };
    let places = (0..=written.len()).rev();
    match places
        .filter(|end| written.is_char_boundary(*end))
        .find(|end| is_before(*end))
    {
        Some(end) => {
            let start = start_of_group(written, end);
            written.get(start..).unwrap_or_default().to_owned()
        }
        None => as_compiled(),
    }
}

/// A group that is open: where it begins, and what is in it.
struct Open {
    at: usize,
    inside: usize,
}

/// Where the group begins at whose start, or at the start of one of whose alternatives, `at`
/// stands; `at` itself for all others.
fn start_of_group(written: &str, at: usize) -> usize {
    let mut open: Vec<Open> = Vec::new();
    let mut alternative = false;
    let mut place = 0;
    while let Some(rest) = written
        .get(place..)
        .filter(|rest| place < at && !rest.is_empty())
    {
        let length = token(rest);
        let piece = rest.get(..length).unwrap_or(rest);
        alternative = piece == "|";
        if opens(piece) {
            open.push(Open {
                at: place,
                inside: place + length,
            });
        } else if piece == ")" || piece.starts_with("</F-") {
            open.pop();
        }
        place += length;
    }
    let mut start = at;
    if alternative && place == at {
        start = open.last().map_or(0, |group| group.inside);
    }
    while let Some(group) = open.pop().filter(|group| group.inside == start) {
        start = group.at;
    }
    start
}

fn opens(piece: &str) -> bool {
    piece.starts_with('(') || (piece.starts_with("<F-") && !piece.ends_with("/>"))
}

/// How long the first piece is: what opens a group, a tag, a class, or a character.
fn token(text: &str) -> usize {
    let upto = |end: char| text.find(end).map(|at| at + end.len_utf8());
    let whole = |length: Option<usize>| length.unwrap_or(text.len());
    let mut chars = text.chars();
    match chars.next() {
        Some('\\') => 1 + chars.next().map_or(0, char::len_utf8),
        Some('[') => {
            // A bracket right at the start belongs to the class.
            let inner = text.trim_start_matches('[').trim_start_matches('^');
            let skipped = text.len() - inner.len() + usize::from(inner.starts_with(']'));
            let mut at = skipped;
            while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
                if rest.starts_with(']') {
                    return at + 1;
                }
                at += if rest.starts_with('\\') {
                    token(rest)
                } else {
                    first(rest)
                };
            }
            text.len()
        }
        Some('(') if text.starts_with("(?P<") || text.starts_with("(?P=") => {
            whole(upto(if text.starts_with("(?P<") { '>' } else { '=' }))
        }
        Some('(') => ["(?:", "(?=", "(?!", "(?<=", "(?<!"]
            .iter()
            .find(|opener| text.starts_with(**opener))
            .map_or(1, |opener| opener.len()),
        Some('<') if text.starts_with("<F-") || text.starts_with("</F-") => whole(upto('>')),
        Some(c) => c.len_utf8(),
        None => 0,
    }
}

fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_in_the_text_with_tags() {
        let rows = [
            ("^a <HOST> b$", "", ""),
            ("^a <HOST> b$", " b$", " b$"),
            ("^a <HOST> b$", "(?P<dns>", "<HOST> b$"),
            ("^a <HOST> b$", "(?:", "<HOST> b$"),
            ("^a <HOST> b$", "a ", "a <HOST> b$"),
            ("<F-USER>x y</F-USER> z", " y", " y</F-USER> z"),
            ("<F-USER>x y</F-USER> z", ") z", "</F-USER> z"),
            ("<[^.]+> é <ADDR>", "é ", "é <ADDR>"),
            ("(?P<host>x) y", " y", " y"),
        ];
        for (written, piece, expected) in rows {
            let expanded = expand(written, true);
            let at = if piece.is_empty() {
                expanded.len()
            } else {
                expanded.find(piece).unwrap()
            };
            assert_eq!(
                rest(written, &expanded, at, true),
                expected,
                "{written} {piece}"
            );
        }
    }

    #[test]
    fn of_several_alternatives_all_are_wanted() {
        let rows = [
            ("^a (?:b|c)$", "c)", "(?:b|c)$"),
            ("^a (?:b|c)$", "b|", "(?:b|c)$"),
            ("^a (?:b|cd)$", "d)", "d)$"),
            ("^a (?:[|)]\\)|c) d", "c)", "(?:[|)]\\)|c) d"),
            ("^a (?:[]|)]x|c) d", "c)", "(?:[]|)]x|c) d"),
            ("(?:a|(?:b|c)) d", "c)", "(?:b|c)) d"),
            ("x <F-USER>a|b</F-USER> z", "b<", "<F-USER>a|b</F-USER> z"),
            ("x (?P<n>a|b) z", "b)", "(?P<n>a|b) z"),
            ("x (a)(?P=a)b|c", "b|", "b|c"),
            ("(?:(?:é|x) y)", "x)", "(?:(?:é|x) y)"),
            ("a|b", "b", "a|b"),
            ("(?:a)b|c", "c", "(?:a)b|c"),
        ];
        for (written, piece, expected) in rows {
            let at = written.rfind(piece).unwrap();
            let start = start_of_group(written, at);
            assert_eq!(written.get(start..), Some(expected), "{written} {piece}");
        }
    }

    #[test]
    fn a_long_pattern_is_shown_as_it_was_compiled() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(rest(&long, &long, LONGEST, true), "x");
    }
}
