//! The line in question, and the caret below it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ferroban_config::{Files, MAX_FILE, Place};

/// How many characters of a line are shown.
const WIDTH: usize = 120;
/// How many of them may stand before what is pointed at.
const BEFORE: usize = 60;

/// Files once more, as lines.
pub(super) struct Sources<'a> {
    files: &'a dyn Files,
    read: RefCell<HashMap<Arc<Path>, Rc<[String]>>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            read: RefCell::default(),
        }
    }

    fn lines(&self, file: &Arc<Path>) -> Rc<[String]> {
        let mut read = self.read.borrow_mut();
        let lines = read.entry(Arc::clone(file)).or_insert_with(|| {
            let bytes = self.files.read(file, MAX_FILE).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            text.split(['\n', '\r']).map(str::to_owned).collect()
        });
        Rc::clone(lines)
    }

    /// The line of a place, if it has one.
    pub(super) fn line(&self, at: &Place) -> Option<String> {
        let index = index_of(at)?;
        self.lines(&at.file).get(index).cloned()
    }

    /// The `[section]` that a line belongs to, and where it begins.
    pub(super) fn section(&self, at: &Place) -> Option<(String, Place)> {
        let lines = self.lines(&at.file);
        let above = lines.get(..=index_of(at)?)?;
        let (index, name) = above.iter().enumerate().rev().find_map(|(index, line)| {
            let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
            Some((index, name.to_owned()))
        })?;
        let place = Place {
            file: Arc::clone(&at.file),
            line: u32::try_from(index + 1).ok()?,
        };
        Some((name, place))
    }

    /// The line with `mark` underlined in it, in two indented lines.
    pub(super) fn pointed(&self, at: &Place, mark: &str) -> Option<String> {
        let line = self.line(at)?;
        let continues = line.starts_with(char::is_whitespace);
        let line: Vec<char> = line.trim().chars().map(visible).collect();
        if line.is_empty() {
            return None;
        }
        let mark: Vec<char> = mark.chars().take(WIDTH).map(visible).collect();
        let (start, length) = find(&line, &mark).unwrap_or_else(|| whole_value(&line, continues));
        Some(underlined(&line, start, length))
    }
}

/// The index of the line, counted from 0.
fn index_of(at: &Place) -> Option<usize> {
    usize::try_from(at.line).ok()?.checked_sub(1)
}

/// A character that takes one column and does nothing to the terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Where `mark` stands, whatever its case: as a word rather than inside one.
fn find(line: &[char], mark: &[char]) -> Option<(usize, usize)> {
    if mark.is_empty() {
        return None;
    }
    let same = |a: &char, b: &char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let fits = |part: &[char]| part.iter().zip(mark).all(|(a, b)| same(a, b));
    let found = || {
        (0..)
            .zip(line.windows(mark.len()))
            .filter(|(_, part)| fits(part))
    };
    let ends = |at: &usize| {
        let word = |at: Option<usize>| {
            at.and_then(|at| line.get(at))
                .is_some_and(|c| c.is_alphanumeric() || *c == '_')
        };
        !word(at.checked_sub(1)) && !word(Some(at + mark.len()))
    };
    let starts = || found().map(|(at, _)| at);
    let start = starts().find(ends).or_else(|| starts().next())?;
    Some((start, mark.len()))
}

/// What stands after the `=` or `:`; the whole line, if there is none or if it
/// continues a value.
fn whole_value(line: &[char], continues: bool) -> (usize, usize) {
    let equals = line.iter().position(|c| ['=', ':'].contains(c));
    let equals = equals.filter(|_| !continues);
    let after = equals.map_or(0, |at| at + 1);
    let blanks = line.iter().skip(after).take_while(|c| c.is_whitespace());
    let start = after + blanks.count();
    if start < line.len() {
        (start, line.len() - start)
    } else {
        (0, line.len())
    }
}

fn underlined(line: &[char], start: usize, length: usize) -> String {
    let skipped = if line.len() <= WIDTH {
        0
    } else {
        start.saturating_sub(BEFORE)
    };
    let mut shown: String = line.iter().skip(skipped).take(WIDTH).collect();
    if skipped + WIDTH < line.len() {
        shown.push('…');
    }
    let lead = if skipped > 0 { "…" } else { "" };
    let blanks = " ".repeat(start - skipped + lead.chars().count());
    let carets = "^".repeat(length.min(WIDTH - (start - skipped)));
    format!("    {lead}{shown}\n    {blanks}{carets}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed(line: &str, mark: &str) -> String {
        let file = ("/f", line.to_owned());
        let files: ferroban_config::Memory = [file].into_iter().collect();
        let at = Place {
            file: Path::new("/f").into(),
            line: 1,
        };
        Sources::new(&files).pointed(&at, mark).unwrap_or_default()
    }

    #[test]
    fn the_mark_is_underlined() {
        let cases = [
            ("a = soon", "soon", "    a = soon\n        ^^^^"),
            ("  a = %(B)s", "%(b)s", "    a = %(B)s\n        ^^^^^"),
            ("enabled = e", "e", "    enabled = e\n              ^"),
            ("a = b c", "gone", "    a = b c\n        ^^^"),
            ("  b: c", "gone", "    b: c\n    ^^^^"),
            ("a =", "", "    a =\n    ^^^"),
            ("ä = \u{1b}x", "x", "    ä = \u{fffd}x\n         ^"),
            ("", "x", ""),
        ];
        for (line, mark, expected) in cases {
            assert_eq!(pointed(line, mark), expected, "{line:?} {mark:?}");
        }
    }

    #[test]
    fn of_a_long_line_the_part_around_the_mark_is_shown() {
        let line = format!("a = {}here{}", "x ".repeat(200), " y".repeat(200));
        let shown = pointed(&line, "here");
        let (text, carets) = shown.split_once('\n').unwrap();
        assert!(text.chars().count() <= 4 + WIDTH + 2, "{text}");
        let column = text.chars().position(|c| c == 'h');
        assert_eq!(carets.chars().position(|c| c == '^'), column, "{shown}");
        assert!(carets.ends_with(" ^^^^"), "{shown}");
    }
}
