//! Values broken into lines that fit, as Python's `pprint` does with indent 2.
//!
//! A list that is too long for its line gets a line for each item; a text that is too
//! long is written in pieces, broken at its own line ends and between words.

use crate::wire::pickle::{Str, Value};
use crate::wire::text::repr;

/// The longest line, in characters.
const WIDTH: usize = 1000;
const INDENT: usize = 2;

/// The value in lines that fit where that is possible.
pub(super) fn pretty(value: &Value) -> String {
    within(WIDTH, value)
}

fn within(width: usize, value: &Value) -> String {
    let mut out = String::new();
    let place = Place {
        width,
        indent: 0,
        allowance: 0,
        level: 0,
    };
    put(&mut out, value, place);
    out
}

#[derive(Clone, Copy)]
struct Place {
    /// The longest line.
    width: usize,
    /// Where lines begin.
    indent: usize,
    /// How much must still fit behind the value in its last line.
    allowance: usize,
    /// In how many lists the value is.
    level: usize,
}

impl Place {
    fn room(self) -> usize {
        self.width.saturating_sub(self.indent + self.allowance)
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn put(out: &mut String, value: &Value, place: Place) {
    let text = repr(value);
    if length(&text) <= place.room() {
        out.push_str(&text);
        return;
    }
    let inner = Place {
        level: place.level + 1,
        ..place
    };
    match value {
        Value::List(items) => put_list(out, items, inner),
        Value::Str(long) => match long.as_str() {
            Some(long) => put_text(out, long, inner),
            None => out.push_str(&text),
        },
        _ => out.push_str(&text),
    }
}

fn put_list(out: &mut String, items: &[Value], place: Place) {
    out.push('[');
    out.push_str(&" ".repeat(INDENT - 1));
    let indent = place.indent + INDENT;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(",\n");
            out.push_str(&" ".repeat(indent));
        }
        let last = index + 1 == items.len();
        let allowance = if last { place.allowance + 1 } else { 1 };
        let place = Place {
            indent,
            allowance,
            ..place
        };
        put(out, item, place);
    }
    out.push(']');
}

fn put_text(out: &mut String, text: &str, mut place: Place) {
    if place.level == 1 {
        place.indent += 1;
        place.allowance += 1;
    }
    let chunks = chunks(text, place);
    let (open, close) = match chunks.len() {
        0 | 1 => ("", ""),
        _ if place.level == 1 => ("(", ")"),
        _ => ("", ""),
    };
    let separator = format!("\n{}", " ".repeat(place.indent));
    out.push_str(open);
    out.push_str(&chunks.join(&separator));
    out.push_str(close);
}

/// The pieces of a text, each in quotes.
fn chunks(text: &str, place: Place) -> Vec<String> {
    let quoted = |text: &str| repr(&Value::Str(Str::from(text)));
    let width = place.width.saturating_sub(place.indent);
    let lines = lines(text);
    let mut chunks = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let last = index + 1 == lines.len();
        let allowance = if last { place.allowance } else { 0 };
        let whole = quoted(line);
        if length(&whole) <= width.saturating_sub(allowance) {
            chunks.push(whole);
            continue;
        }
        let words = words(line);
        let mut current = String::new();
        for (at, word) in words.iter().enumerate() {
            let ends = at + 1 == words.len();
            let room = width.saturating_sub(if ends { allowance } else { 0 });
            let candidate = format!("{current}{word}");
            if length(&quoted(&candidate)) <= room {
                current = candidate;
                continue;
            }
            if !current.is_empty() {
                chunks.push(quoted(&current));
            }
            (*word).clone_into(&mut current);
        }
        if !current.is_empty() {
            chunks.push(quoted(&current));
        }
    }
    chunks
}

/// The lines with their ends, by Python's idea of a line.
fn lines(text: &str) -> Vec<&str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(ends).map_or(rest.len(), |at| {
            let tail = rest.get(at..).unwrap_or_default();
            let two = tail.starts_with("\r\n");
            at + if two {
                2
            } else {
                tail.chars().next().map_or(0, char::len_utf8)
            }
        });
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after;
    }
    lines
}

/// The words, each with the white space behind it.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let tail = rest.get(word..).unwrap_or_default();
        let blank = tail
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(tail.len());
        let (one, after) = rest.split_at(word + blank);
        words.push(one);
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Value {
        Value::List(texts.iter().map(|text| Value::from(*text)).collect())
    }

    #[test]
    fn what_fits_stays_on_its_line() {
        let short = list(&["set", "a", "maxretry"]);
        assert_eq!(pretty(&short), "['set', 'a', 'maxretry']");
        let long = "x".repeat(990);
        assert_eq!(
            pretty(&list(&["set", "a", &long])),
            format!("[ 'set',\n  'a',\n  '{long}']")
        );
    }

    #[test]
    fn lines_are_broken_where_python_breaks_them() {
        // What PrettyPrinter(width=20, indent=2) prints.
        let cases = [
            (
                list(&["set", "jail", "opt", "four"]),
                "[ 'set',\n  'jail',\n  'opt',\n  'four']",
            ),
            (
                Value::List(vec![
                    "multi-set".into(),
                    list(&["one two three four five", "x"]),
                    Value::None,
                ]),
                "[ 'multi-set',\n  [ 'one two three '\n    'four five',\n    'x'],\n  None]",
            ),
            (
                "some words that do not fit here".into(),
                "('some words that '\n 'do not fit here')",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(within(20, &value), expected);
        }
    }
}
