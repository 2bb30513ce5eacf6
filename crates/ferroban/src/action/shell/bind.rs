//! Tags `<name>` that a ticket fills: the second pass.
//!
//! What fills them was written by an attacker. A text with anything in it that means
//! something to a shell is never put into the script: there stands a variable, which a
//! line before the script sets from an argument of `sh`. Safe text stands in the script
//! itself, as with fail2ban, and as actions expect it; but not where it would be more than
//! the value of an assignment, see [`assigns`].

use std::borrow::Cow;

use super::tags::{is_special, replace, replace_behind};
use crate::process::script::Script;

/// The longest value that may stand in a script, in bytes. A script has a tag many
/// times and is one argument, for which the kernel has a limit.
const MOST_LITERAL: usize = 4096;
/// The longest value of a variable, in bytes: the kernel's limit is 128 KiB.
const MOST_VALUE: usize = 96 * 1024;
/// The longest all of them may be together.
const MOST_VALUES: usize = 1 << 20;

/// What a ticket knows. Asked only for tags that are there.
pub(in crate::action) trait Values {
    /// What a tag stands for; nothing if it is no tag of ours.
    fn value(&self, tag: &str) -> Option<Cow<'_, str>>;

    /// What the filter captured under this name.
    fn capture(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Fills the tags of a command.
pub(super) fn bind(text: &str, values: &dyn Values) -> Script {
    let mut bound = Bound::default();
    let text = replace_behind(text, |before, tag| {
        let value = values.value(tag)?;
        Some(bound.put(before, tag, &value))
    });
    let text = replace_behind(&text, |before, tag| {
        let name = capture_name(tag)?;
        let value = values.capture(&capture_of(&name)).unwrap_or_default();
        Some(bound.put(before, &format!("F_{name}"), &value))
    });
    bound.script(&text)
}

/// Fills the tags of a text that no shell reads, in one pass. A NUL, of which values have
/// none, ends each of them.
pub(super) fn write_out(text: &str, values: &dyn Values) -> String {
    let value = |tag: &str| {
        let captured = || {
            let name = capture_name(tag)?;
            Some(values.capture(&capture_of(&name)).unwrap_or_default())
        };
        let value = values.value(tag).or_else(captured)?;
        Some(value.replace('\0', "") + "\0")
    };
    replace(text, value).into_owned()
}

/// `user` of `F-USER`, if it is a tag of that kind.
fn capture_name(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("F-")?;
    let fits =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_ascii_lowercase())
}

/// Two tags go by another name in the filter.
fn capture_of(name: &str) -> Cow<'_, str> {
    match name {
        "id" => "fid".into(),
        "port" => "fport".into(),
        name => name.into(),
    }
}

/// Whether what comes next in a script is the value of an assignment, outside of quotes:
/// `IP=<ip>`. There, a blank would end the value, and the word behind it would be a command
/// that is run. Stock actions have such lines, and who is banned may be a text that a
/// stranger wrote.
fn assigns(before: &str) -> bool {
    let mut word = before;
    let mut quote = None;
    let mut chars = before.char_indices();
    while let Some((at, c)) = chars.next() {
        let rest = before.get(at + c.len_utf8()..).unwrap_or_default();
        match (quote, c) {
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, '\'' | '"') => quote = Some(c),
            // A comment, whose quotes mean nothing.
            (None, '#') if word.len() == rest.len() + 1 => {
                if chars.any(|(_, c)| c == '\n') {
                    word = chars.as_str();
                } else {
                    return false;
                }
            }
            (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '`') => word = rest,
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    quote.is_none() && !name.is_empty() && name.chars().all(fits)
}

/// The variables of a script.
#[derive(Debug, Default)]
pub(super) struct Bound {
    names: Vec<String>,
    values: Vec<String>,
}

impl Bound {
    /// What to write into the script for a value, with what stands before it.
    fn put(&mut self, before: &str, tag: &str, value: &str) -> String {
        // The kernel ends an argument there.
        let value = value.replace('\0', "");
        let is_short = value.len() <= MOST_LITERAL;
        let is_plain = |value: &str| !value.contains(is_special);
        let is_one = |value: &str| !value.contains(char::is_whitespace) || !assigns(before);
        if is_short && is_plain(&value) && is_one(&value) {
            return value;
        }
        format!("${}", self.set(tag, value))
    }

    /// Sets a variable, and says what it is called.
    pub(super) fn set(&mut self, tag: &str, value: String) -> String {
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut name = String::from("f2bV_");
        name.extend(tag.chars().map(word));
        self.assign(name.clone(), value);
        name
    }

    /// Sets a variable under its whole name.
    pub(super) fn assign(&mut self, name: String, mut value: String) {
        let used: usize = self.values.iter().map(String::len).sum();
        let room = MOST_VALUES.saturating_sub(used).min(MOST_VALUE);
        value.truncate(value.floor_char_boundary(room));
        match self.names.iter().position(|known| *known == name) {
            Some(at) => self.values[at] = value,
            None => {
                self.names.push(name);
                self.values.push(value);
            }
        }
    }

    /// The script with its variables set.
    pub(super) fn script(self, text: &str) -> Script {
        let mut whole = String::new();
        for (number, name) in self.names.iter().enumerate() {
            whole.push_str(name);
            // A shell takes `$10` for `$1` and a zero.
            whole.push_str(&match number {
                0..=9 => format!("=${number} "),
                _ => format!("=${{{number}}} "),
            });
        }
        if !self.names.is_empty() {
            whole.push('\n');
        }
        whole.push_str(text);
        Script {
            text: whole,
            args: self.values,
        }
    }
}

#[cfg(test)]
mod tests;
