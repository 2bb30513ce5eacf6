//! The part of a text that matters: long ones are cut around it, and nothing of a log moves
//! the terminal's cursor.

use std::ops::Range;

use super::paint::{Paint, Tone};
use crate::cli::own::text::shown;

/// How many characters of a text are shown where others stand beside it.
const WIDTH: usize = 110;
/// How many at least, and on a wide terminal at most, where a caret stands below: a line that
/// the terminal breaks would have it in the wrong place.
const POINTED: std::ops::RangeInclusive<usize> = 30..=110;
/// How many characters of a line are shown by itself.
const LINE: usize = 300;

/// The start of a text, in one line.
pub(super) fn start(text: &str) -> String {
    first(text, WIDTH)
}

/// The same of a line of a log, of which more is worth to be seen.
pub(super) fn line(text: &str) -> String {
    first(text, LINE)
}

fn first(text: &str, number: usize) -> String {
    let mut chars = text.chars();
    let mut out = shown(&chars.by_ref().take(number).collect::<String>());
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// The text around `span`, which has a colour.
pub(super) fn marked(text: &str, span: &Range<usize>, tone: Tone, paint: Paint) -> String {
    let parts = Parts::of(text, span, LINE);
    let hit = paint.text(tone, &parts.hit);
    [&parts.before, &hit, &parts.after]
        .map(String::as_str)
        .concat()
}

/// The text around the end of `span`, and the place below, each after `indent`.
pub(super) fn pointed(text: &str, span: &Range<usize>, indent: &str, paint: Paint) -> String {
    // Room for the sign that there is more, on both sides.
    let room = paint.columns.saturating_sub(indent.len() + 3);
    let parts = Parts::of(text, span, room.clamp(*POINTED.start(), *POINTED.end()));
    let column = parts.before.chars().count() + parts.hit.chars().count();
    let hit = paint.text(Tone::Good, &parts.hit);
    let after = paint.text(Tone::Bad, &parts.after);
    let caret = paint.text(Tone::Bad, "^");
    let before = &parts.before;
    format!(
        "{indent}{before}{hit}{after}\n{indent}{}{caret}",
        " ".repeat(column)
    )
}

/// A text in three parts, each fit to be shown.
#[derive(Debug, Eq, PartialEq)]
struct Parts {
    before: String,
    hit: String,
    after: String,
}

impl Parts {
    fn of(text: &str, span: &Range<usize>, width: usize) -> Self {
        let end = text.floor_char_boundary(span.end);
        let start = text.floor_char_boundary(span.start.min(end));
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let (lead, after) = (part(0..end), part(end..text.len()));
        // Most of it stands before the place of interest.
        let most = width / 3 * 2;
        let mut kept: Vec<(usize, char)> = lead.char_indices().rev().take(most + 1).collect();
        // One more was taken to see whether there is more.
        let cut = kept.len() > most;
        kept.truncate(most);
        let first = kept.last().map_or(end, |(at, _)| *at);
        let mut before = String::from(if cut { "…" } else { "" });
        before += &shown(part(first..start.max(first)));
        let hit = shown(part(start.max(first)..end));
        let mut chars = after.chars();
        let room = width.saturating_sub(kept.len());
        let mut after = shown(&chars.by_ref().take(room).collect::<String>());
        if chars.next().is_some() {
            after.push('…');
        }
        Self { before, hit, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint::plain(200);

    #[test]
    fn the_place_is_below_the_character_that_did_not_fit() {
        let rows = [
            ("one two", 0..4, "> one two\n>     ^"),
            ("one", 0..3, "> one\n>    ^"),
            ("", 0..0, "> \n> ^"),
            ("a\u{1b}b", 0..2, "> a\\u{1b}b\n>        ^"),
            ("é字x", 0..5, "> é字x\n>   ^"),
            // Whoever asks for the midst of a character gets its start.
            ("é字x", 0..4, "> é字x\n>  ^"),
            ("ab", 7..9, "> ab\n>   ^"),
        ];
        for (text, span, expected) in rows {
            assert_eq!(pointed(text, &span, "> ", PLAIN), expected, "{text:?}");
        }
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let line = format!("{}here{}", "x".repeat(5000), "y".repeat(5000));
        let told = pointed(&line, &(0..5000), "", PLAIN);
        let (text, caret) = told.split_once('\n').unwrap();
        assert!(text.starts_with("…xxx") && text.ends_with("yyy…"), "{text}");
        assert_eq!(text.chars().count(), WIDTH + 2);
        assert_eq!(
            text.chars().position(|c| c == 'h'),
            Some(caret.chars().count() - 1)
        );
        let narrow = pointed(&line, &(0..5000), "  ", Paint::plain(80));
        let widths = narrow.lines().map(|line| line.chars().count());
        assert!(widths.max() < Some(80), "{narrow}");
        assert_eq!(start(&line).chars().count(), WIDTH + 1);
    }

    #[test]
    fn what_fits_and_what_does_not_have_their_colours() {
        let told = pointed("ab", &(0..1), "", Paint::FULL);
        let expected = "\u{1b}[32ma\u{1b}[0m\u{1b}[31mb\u{1b}[0m\n \u{1b}[31m^\u{1b}[0m";
        assert_eq!(told, expected);
        let told = marked("abc", &(1..2), Tone::Date, Paint::FULL);
        assert_eq!(told, "a\u{1b}[36mb\u{1b}[0mc");
    }
}
