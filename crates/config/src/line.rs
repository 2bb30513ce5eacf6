//! Text that knows where it was written.
//!
//! A list of regexes is one option of many lines, put together from several files by
//! `%(known/failregex)s` and tags. When line 17 of it is wrong, an administrator wants
//! to hear the line of the file, so every line of a [`Value`] carries its [`Place`]
//! through all substitutions.

use std::{fmt, path::Path, sync::Arc};

/// A line of a file, or the name of a source without lines.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The file as it was opened, or a name such as `predefined`.
    pub file: Arc<Path>,
    /// Counted from 1; 0 if the source has no lines.
    pub line: u32,
}

impl Place {
    /// A source that is not a file.
    ///
    /// ```
    /// assert_eq!(ferroban_config::Place::named("command line").to_string(), "command line");
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            file: Arc::from(Path::new(name)),
            line: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// The text of an option and where each of its lines was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Value {
    text: String,
    /// One for each line of `text`, hence never empty.
    places: Vec<Place>,
}

impl Value {
    /// A text that was written at one place.
    #[must_use]
    pub fn new(text: impl Into<String>, place: Place) -> Self {
        let text = text.into();
        let lines = 1 + newlines(&text);
        Self {
            places: vec![place; lines],
            text,
        }
    }

    /// The whole text, lines separated by `\n`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the text begins.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.places[0]
    }

    /// Each line with its place; empty lines too.
    ///
    /// A line made by a substitution belongs to the place that asked for it. Only a
    /// substitute of several lines keeps its own places.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.text.split('\n').zip(&self.places)
    }

    /// The place of line `line`, counted from 0.
    pub(crate) fn place_of(&self, line: usize) -> &Place {
        self.places.get(line).unwrap_or_else(|| self.place())
    }

    /// Adds a continuation line.
    pub(crate) fn add_line(&mut self, line: &str, place: Place) {
        self.text.push('\n');
        self.text.push_str(line);
        self.places.push(place);
    }

    /// Takes white space and empty lines off the end.
    pub(crate) fn trim_end(&mut self) {
        self.text
            .truncate(self.text.trim_end_matches(is_space).len());
        self.places.truncate(1 + newlines(&self.text));
    }

    /// Adds `part`, a piece of `whole` that begins at its line `line`.
    pub(crate) fn push_part(&mut self, part: &str, whole: &Self, line: usize) {
        self.text.push_str(part);
        let further = (1..=newlines(part)).map(|n| whole.place_of(line + n).clone());
        self.places.extend(further);
    }

    /// Adds the text that stands for a name.
    pub(crate) fn push_substitute(&mut self, other: &Self) {
        let starts_line = self.text.is_empty() || self.text.ends_with('\n');
        if starts_line && other.places.len() > 1 {
            self.places.pop();
            self.places.push(other.place().clone());
        }
        self.push_part(&other.text, other, 0);
    }
}

pub(crate) fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// White space as Python's `str.isspace` sees it: Unicode's, and four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The text before and from `at`, which must be an offset that a search in `text` gave.
pub(crate) fn cut(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, file: &str, first: u32) -> Value {
        let place = |line| Place {
            file: Arc::from(Path::new(file)),
            line,
        };
        let mut lines = text.split('\n');
        let mut value = Value::new(lines.next().unwrap(), place(first));
        for (line, number) in lines.zip(first + 1..) {
            value.add_line(line, place(number));
        }
        value
    }

    fn shown(value: &Value) -> Vec<String> {
        value
            .lines()
            .map(|(line, place)| format!("{place} {line}"))
            .collect()
    }

    #[test]
    fn a_substitute_of_one_line_belongs_to_the_line_that_asked() {
        let mut out = value("", "a", 5);
        out.push_substitute(&value("x", "b", 9));
        out.push_part("y\nz", &value("y\nz", "a", 5), 0);
        assert_eq!(shown(&out), ["a:5 xy", "a:6 z"]);
    }

    #[test]
    fn a_substitute_of_several_lines_keeps_its_places() {
        let mut out = value("", "a", 5);
        out.push_substitute(&value("x\ny", "b", 9));
        out.push_part("\nz", &value("\nz", "a", 5), 0);
        assert_eq!(shown(&out), ["b:9 x", "b:10 y", "a:6 z"]);

        let mut out = value("^", "a", 5);
        out.push_substitute(&value("x\ny", "b", 9));
        assert_eq!(shown(&out), ["a:5 ^x", "b:10 y"]);
    }

    #[test]
    fn trimming_takes_the_places_along() {
        let mut out = value("x \n\n", "a", 5);
        out.trim_end();
        assert_eq!(shown(&out), ["a:5 x"]);
    }
}
