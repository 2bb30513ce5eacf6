//! The same mistakes in the words of fail2ban.
//!
//! The `fail2ban-*` programs print these, and other programs look for them.

use crate::{Error, Errors};

impl Error {
    /// What fail2ban says about this. Where fail2ban has no words for it, ours.
    #[must_use]
    pub fn original(&self) -> String {
        match self {
            Self::NoFiles { name, base, .. } => {
                format!(
                    "Found no accessible config files for {} under {}",
                    quoted(name),
                    base.display()
                )
            }
            Self::Undecodable { at, offset, byte } => format!(
                "Error decoding config file '{}': 'utf-8' codec can't decode byte {byte:#04x} in position {offset}: invalid start byte",
                at.file.display()
            ),
            Self::NoHeader { at, line } => format!(
                "File contains no section headers.\nfile: '{}', line: {}\n{}",
                at.file.display(),
                at.line,
                quoted(&format!("{line}\n"))
            ),
            Self::BadLine { at, line, .. } => format!(
                "Source contains parsing errors: '{}'{}",
                at.file.display(),
                bad_line(at.line, line)
            ),
            Self::DuplicateSection { at, section, .. } => format!(
                "While reading from '{}' [line {:2}]: section {} already exists",
                at.file.display(),
                at.line,
                quoted(section)
            ),
            Self::DuplicateOption {
                at,
                section,
                option,
                ..
            } => format!(
                "While reading from '{}' [line {:2}]: option {} in section {} already exists",
                at.file.display(),
                at.line,
                quoted(option),
                quoted(section)
            ),
            Self::NoSection { section, .. } => format!("No section: {}", quoted(section)),
            _ => self.original_about_values(),
        }
    }

    fn original_about_values(&self) -> String {
        match self {
            Self::UnknownOption { name, wanted, .. } => format!(
                "Bad value substitution: option {} in section {} contains an interpolation key {} which is not a valid option name. Raw value: {}",
                quoted(&wanted.option),
                quoted(&wanted.section),
                quoted(name),
                quoted(&wanted.raw)
            ),
            Self::BadPercent { found, .. } => {
                format!(
                    "'%' must be followed by '%' or '(', found: {}",
                    quoted(found)
                )
            }
            Self::BadReference { found, .. } => {
                format!("bad interpolation variable reference {}", quoted(found))
            }
            Self::TooDeep { wanted, .. } => format!(
                "Recursion limit exceeded in value substitution: option {} in section {} contains an interpolation key which cannot be substituted in 10 steps. Raw value: {}",
                quoted(&wanted.option),
                quoted(&wanted.section),
                quoted(&wanted.raw)
            ),
            Self::SelfReference {
                option,
                tag,
                repeats,
                value,
                ..
            } => {
                let count = |(tag, count): &(String, usize)| format!("{}: {count}", quoted(tag));
                let repeats: Vec<String> = repeats.iter().map(count).collect();
                format!(
                    "properties contain self referencing definitions and cannot be resolved, fail tag: {option}, found: {tag} in {{{}}}, value: {value}",
                    repeats.join(", ")
                )
            }
            other => other.to_string(),
        }
    }
}

impl Errors {
    /// What fail2ban says about them: it stops at the first, but shows all lines of that
    /// file that are no options.
    #[must_use]
    pub fn original(&self) -> String {
        let mut errors = self.iter();
        let Some(first) = errors.next() else {
            return String::new();
        };
        let mut text = first.original();
        if let Error::BadLine { at: first, .. } = first {
            for error in errors {
                match error {
                    Error::BadLine { at, line, .. } if at.file == first.file => {
                        text.push_str(&bad_line(at.line, line));
                    }
                    _ => {}
                }
            }
        }
        text
    }
}

fn bad_line(number: u32, line: &str) -> String {
    format!("\n\t[line {number:2}]: {}", quoted(&format!("{line}\n")))
}

/// A text as Python's `repr` shows it, for words in which fail2ban quotes one.
///
/// ```
/// assert_eq!(ferroban_config::quoted("it's\n"), r#""it's\n""#);
/// ```
#[must_use]
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c == quote || c == '\\' => out.extend(['\\', c]),
            c if !is_printable(c) => out.push_str(&escape(c)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Python and Rust agree on this, except for a combining mark without a letter before it.
fn is_printable(c: char) -> bool {
    let text = format!("a{c}");
    c == '"' || c == '\'' || text.escape_debug().eq(text.chars())
}

fn escape(c: char) -> String {
    match u32::from(c) {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

#[cfg(test)]
mod tests;
