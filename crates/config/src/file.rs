//! One file: its sections and their options, before any substitution.
//!
//! The dialect is that of Python's `ConfigParser` as fail2ban sets it up. Its less
//! obvious habits: keys are lower-cased and section names are not; a line indented
//! deeper than its key continues the value, whatever it looks like; `;` after white
//! space starts a comment anywhere, `#` only at the start of a line.
//!
//! A mistake does not end the reading: the remaining ones are found too.

use std::{collections::HashMap, path::Path, sync::Arc};

use crate::{
    Error, MAX_ERRORS, Options, Ordered,
    line::{Place, Value, cut, is_space},
};

/// Section whose options every section has.
pub(crate) const DEFAULT: &str = "DEFAULT";

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// The sections in their order, `[DEFAULT]` apart.
    pub(crate) sections: Ordered<Options>,
    pub(crate) defaults: Options,
}

impl File {
    /// Reads the bytes of the file at `path`.
    pub(crate) fn parse(path: &Arc<Path>, bytes: &[u8]) -> (Self, Vec<Error>) {
        let mut reader = Reader::new(path);
        match decode(path, bytes) {
            Ok(text) => lines(text).for_each(|line| reader.line(line)),
            Err(error) => reader.errors.push(error),
        }
        reader.finish()
    }
}

fn decode<'a>(path: &Arc<Path>, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = lines(std::str::from_utf8(good).unwrap_or_default()).count();
        let starts_line = good.last().is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
        Error::Undecodable {
            at: place(path, before + usize::from(starts_line)),
            offset: good.len(),
            byte: bytes.get(good.len()).copied().unwrap_or_default(),
        }
    })
}

/// The lines of a text, however they end: `\n`, `\r\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, end) = cut(rest, rest.find(['\n', '\r']).unwrap_or(rest.len()));
        rest = end.strip_prefix("\r\n").unwrap_or_else(|| {
            let mut end = end.chars();
            end.next();
            end.as_str()
        });
        Some(line)
    })
}

fn place(file: &Arc<Path>, line: usize) -> Place {
    Place {
        file: Arc::clone(file),
        line: u32::try_from(line).unwrap_or(u32::MAX),
    }
}

struct Reader<'a> {
    path: &'a Arc<Path>,
    file: File,
    errors: Vec<Error>,
    /// Lines so far.
    count: usize,
    /// The section being read.
    section: Option<String>,
    /// The option that a deeper line continues.
    option: Option<String>,
    /// How deep the last header or key was indented.
    indent: usize,
    /// Where each section began.
    headers: HashMap<String, Place>,
    /// A text without any header is one mistake, not one in each line.
    told_no_header: bool,
}

impl<'a> Reader<'a> {
    fn new(path: &'a Arc<Path>) -> Self {
        Self {
            path,
            file: File::default(),
            errors: Vec::new(),
            count: 0,
            section: None,
            option: None,
            indent: 0,
            headers: HashMap::new(),
            told_no_header: false,
        }
    }

    fn here(&self) -> Place {
        place(self.path, self.count)
    }

    fn tell(&mut self, error: Error) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn line(&mut self, line: &str) {
        self.count += 1;
        let comment = comment_start(line);
        let text = cut(line, comment.unwrap_or(line.len()))
            .0
            .trim_matches(is_space);
        if text.is_empty() {
            if comment.is_none() {
                self.continue_value("");
            }
            return;
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if indent > self.indent && self.continue_value(text) {
            return;
        }
        self.indent = indent;
        if let Some(name) = header(text) {
            self.start_section(name);
        } else if self.section.is_some() {
            self.start_option(line, text);
        } else if !self.told_no_header {
            self.told_no_header = true;
            self.tell(Error::NoHeader {
                at: self.here(),
                line: line.to_owned(),
            });
        }
    }

    /// Adds a line to the value being read; false if there is none.
    fn continue_value(&mut self, text: &str) -> bool {
        let here = self.here();
        let Some(option) = &self.option else {
            return false;
        };
        let value = match self.section.as_deref() {
            Some(DEFAULT) | None => self.file.defaults.get_mut(option),
            Some(section) => self.file.sections.entry(section).get_mut(option),
        };
        if let Some(value) = value {
            value.add_line(text, here);
        }
        true
    }

    fn start_section(&mut self, name: &str) {
        self.section = Some(name.to_owned());
        self.option = None;
        if name == DEFAULT {
            return;
        }
        let here = self.here();
        if let Some(first) = self.headers.get(name).cloned() {
            self.tell(Error::DuplicateSection {
                at: here,
                section: name.to_owned(),
                first,
            });
        } else {
            self.headers.insert(name.to_owned(), here);
            self.file.sections.entry(name);
        }
    }

    fn start_option(&mut self, line: &str, text: &str) {
        self.option = None;
        let here = self.here();
        let parts = text.split_once(['=', ':']);
        let Some((name, value)) = parts.filter(|(name, _)| !name.is_empty()) else {
            self.tell(Error::BadLine {
                at: here,
                line: line.to_owned(),
                nameless: parts.is_some(),
            });
            return;
        };
        let name = name.trim_end_matches(is_space).to_lowercase();
        let section = self.section.clone().unwrap_or_default();
        let options = match section.as_str() {
            DEFAULT => &mut self.file.defaults,
            _ => self.file.sections.entry(&section),
        };
        if let Some(first) = options.get(&name) {
            let first = first.place().clone();
            self.tell(Error::DuplicateOption {
                at: here,
                section,
                option: name,
                first,
            });
            return;
        }
        options.insert(&name, Value::new(value.trim_start_matches(is_space), here));
        self.option = Some(name);
    }

    fn finish(mut self) -> (File, Vec<Error>) {
        let sections = self.file.sections.values_mut();
        for value in sections
            .flat_map(Options::values_mut)
            .chain(self.file.defaults.values_mut())
        {
            value.trim_end();
        }
        (self.file, self.errors)
    }
}

/// Where the comment of a line begins: at its first character that is not white space
/// if that is `#` or `;`, else at the first `;` after white space.
fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with(['#', ';']) {
        return Some(0);
    }
    let after_space = |(at, _): &(usize, &str)| cut(line, *at).0.ends_with(is_space);
    line.match_indices(';').find(after_space).map(|(at, _)| at)
}

/// The name in `[name]`; a `]` inside it is part of it.
fn header(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('[')?.rsplit_once(']')?;
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
