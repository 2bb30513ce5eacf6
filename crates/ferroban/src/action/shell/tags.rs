//! Tags `<name>` that the options of an action fill: the first of two passes.
//!
//! What an option says may have tags itself, and a tag may be built from another
//! (`<a-<b>>`). Tags that no option knows stay, for the second pass or for the shell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use ferroban_config::quoted;

/// The options of an action.
pub(crate) type Properties = BTreeMap<String, String>;

/// How often one tag may be replaced in one option, or tags in one command.
const MOST_ROUNDS: usize = 25;
/// The longest text, in bytes. No command of that length could be run.
const MOST_TEXT: usize = 1 << 20;

/// Tags whose text comes from log lines. An option of that name is not trusted either.
const MATCHES: [&str; 3] = ["matches", "ipmatches", "ipjailmatches"];

/// Why the tags of a command cannot be filled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TagError {
    /// An option leads back to itself.
    SelfReference {
        /// The option.
        option: String,
        /// The tag that was found once too often.
        tag: String,
        /// How often each tag was replaced.
        repeats: Vec<(String, usize)>,
        /// What the option says by then.
        value: String,
    },
    /// A command gets longer and longer, or changes for ever.
    Endless(String),
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfReference {
                option,
                tag,
                repeats,
                value,
            } => {
                let count = |(tag, count): &(String, usize)| format!("{}: {count}", quoted(tag));
                let repeats: Vec<String> = repeats.iter().map(count).collect();
                let (repeats, value) = (repeats.join(", "), start(value));
                write!(
                    f,
                    "properties contain self referencing definitions and cannot be resolved, \
                     fail tag: {option}, found: {tag} in {{{repeats}}}, value: {value}"
                )
            }
            Self::Endless(text) => write!(
                f,
                "unexpected too long replacement interpolation, possible self referencing \
                 definitions in query: {}",
                start(text)
            ),
        }
    }
}

impl std::error::Error for TagError {}

/// As much of a text as a message needs.
fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(1000)).unwrap_or(text)
}

/// The options as they count under one condition, with their tags filled.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    options: Properties,
    condition: String,
}

impl Resolved {
    /// `condition` is `family=inet6` or the like, or empty.
    pub(super) fn new(properties: &Properties, condition: &str) -> Result<Self, TagError> {
        let mut options = properties.clone();
        for (name, value) in &mut options {
            if value.contains('<') && !MATCHES.contains(&name.as_str()) {
                *value = resolve(name, value, properties, condition)?;
            }
        }
        Ok(Self {
            options,
            condition: condition.to_owned(),
        })
    }

    /// Fills the tags of a command. `constant` knows those that are no options.
    pub(super) fn fill(
        &self,
        text: &str,
        constant: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, TagError> {
        let value = |tag: &str| match lookup(&self.options, tag, &self.condition) {
            Some(value) if MATCHES.contains(&tag) => Some(escaped(value)),
            Some(value) => Some(value.clone()),
            None => constant(tag),
        };
        let mut text = text.to_owned();
        for _ in 0..=MOST_ROUNDS {
            let mut room = MOST_TEXT.checked_sub(text.len());
            let filled = replace(&text, |tag| {
                let value = value(tag)?;
                room = room.and_then(|room| room.checked_sub(value.len()));
                room.map(|_| value)
            });
            let filled = match filled {
                Cow::Owned(filled) if filled != text => filled,
                _ if room.is_some() => return Ok(text),
                _ => break,
            };
            text = filled;
        }
        Err(TagError::Endless(text))
    }
}

/// What an option says, with the tags in it filled.
fn resolve(
    option: &str,
    value: &str,
    properties: &Properties,
    condition: &str,
) -> Result<String, TagError> {
    let mut value = value.to_owned();
    let mut repeats: Vec<(String, usize)> = Vec::new();
    let mut from = 0;
    while let Some(found) = next(&value, from) {
        let tag = found.name;
        let count = repeats.iter().find(|(known, _)| known == tag);
        if tag == option || count.is_some_and(|(_, count)| *count > MOST_ROUNDS) {
            let tag = tag.to_owned();
            return Err(TagError::SelfReference {
                option: option.to_owned(),
                tag,
                repeats,
                value,
            });
        }
        let known = lookup(properties, tag, condition).filter(|_| !MATCHES.contains(&tag));
        let Some(inner) = known else {
            from = found.end;
            continue;
        };
        match repeats.iter_mut().find(|(known, _)| known == tag) {
            Some((_, count)) => *count += 1,
            None => repeats.push((tag.to_owned(), 1)),
        }
        let tag = format!("<{tag}>");
        if value.len() + value.matches(&tag).count() * inner.len() > MOST_TEXT {
            return Err(TagError::Endless(value));
        }
        value = value.replace(&tag, inner);
        // The text may have become part of a longer tag.
        from = 0;
    }
    Ok(value)
}

/// An option under a condition goes before the one for all.
fn lookup<'a>(properties: &'a Properties, tag: &str, condition: &str) -> Option<&'a String> {
    if !condition.is_empty()
        && let Some(value) = properties.get(&format!("{tag}?{condition}"))
    {
        return Some(value);
    }
    properties.get(tag)
}

/// A tag in a text.
struct Found<'a> {
    start: usize,
    end: usize,
    name: &'a str,
}

/// The next tag from a place on; the inner one if there is one in another.
fn next(text: &str, from: usize) -> Option<Found<'_>> {
    let mut open = None;
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match (byte, open) {
            (b'<', _) => open = Some(at),
            (b' ', _) => open = None,
            (b'>', Some(start)) if start + 1 < at => {
                return Some(Found {
                    start,
                    end: at + 1,
                    name: text.get(start + 1..at)?,
                });
            }
            (b'>', _) => open = None,
            _ => {}
        }
    }
    None
}

/// Replaces each tag that `value` knows, once.
pub(super) fn replace(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> Cow<'_, str> {
    replace_behind(text, |_, tag| value(tag))
}

/// The same for a `value` that wants to know what stands before the tag.
pub(super) fn replace_behind(
    text: &str,
    mut value: impl FnMut(&str, &str) -> Option<String>,
) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(found) = next(text, from) {
        from = found.end;
        let before = text.get(..found.start).unwrap_or_default();
        if let Some(value) = value(before, found.name) {
            out.push_str(text.get(done..found.start).unwrap_or_default());
            out.push_str(&value);
            done = found.end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether a character means something to a shell.
pub(super) fn is_special(c: char) -> bool {
    "\\#&;`|*?~<>^()[]{}$'\"\n\r".contains(c)
}

/// A text with a backslash before all that means something to a shell.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if is_special(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
