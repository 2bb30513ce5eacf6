//! `name[option=value, …]`: how a jail names its filter and its actions.

use std::fmt;

use crate::{
    Options, Ordered, Place, Value,
    line::{cut, is_space},
};

/// A filter or an action with the options passed to it.
///
/// ```
/// use ferroban_config::Invocation;
///
/// let filter = Invocation::parse("sshd[mode=aggressive, port=\"22,80\"][mode=ddos]")?;
/// assert_eq!(filter.name, "sshd");
/// assert_eq!(filter.options.get("mode").map(String::as_str), Some("ddos"));
/// assert_eq!(filter.options.get("port").map(String::as_str), Some("22,80"));
/// # Ok::<(), ferroban_config::InvocationError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Invocation {
    /// What stands before the `[`, blanks included: `act [x=1]` asks for a file `act .conf`.
    pub name: String,
    /// The options in order; the last of several with one key counts. Keys keep their case.
    pub options: Ordered<String>,
}

/// Why a text is no `name[option=value, …]`. Shown in fail2ban's words.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvocationError {
    /// No name, or no `]` at the end.
    Syntax,
    /// Something other than a comma or the end follows a value.
    AfterOption {
        /// How many characters of the options come before it.
        at: usize,
        /// The option with that value.
        option: String,
        /// The text from there on.
        rest: String,
    },
    /// No `key=` where one should be.
    NoOption {
        /// How many characters of the options come before it.
        at: usize,
        /// The text from there on.
        rest: String,
    },
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brief = |text: &str| text.chars().take(25).collect::<String>();
        match self {
            Self::Syntax => write!(f, "unexpected option syntax"),
            Self::AfterOption { at, option, rest } => {
                write!(
                    f,
                    "unexpected syntax at {at} after option '{option}': {}",
                    brief(rest)
                )
            }
            Self::NoOption { at, rest } => {
                write!(f, "expected option, wrong syntax at {at}: {}", brief(rest))
            }
        }
    }
}

impl std::error::Error for InvocationError {}

impl Invocation {
    /// Reads one `name[…]`, several `[…]` allowed.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, InvocationError> {
        let (name, options) = cut(text, text.find('[').unwrap_or(text.len()));
        if name.is_empty() {
            return Err(InvocationError::Syntax);
        }
        let mut new = Self {
            name: name.to_owned(),
            options: Ordered::new(),
        };
        if let Some(options) = options.strip_prefix('[') {
            let inside = options.trim_end_matches(is_space).strip_suffix(']');
            new.parse_options(inside.ok_or(InvocationError::Syntax)?)?;
        }
        Ok(new)
    }

    /// Reads what stands between the first `[` and the last `]`.
    fn parse_options(&mut self, inside: &str) -> Result<(), InvocationError> {
        let offset = |rest: &str| cut(inside, inside.len() - rest.len()).0.chars().count();
        let mut rest = inside;
        loop {
            let item = rest.trim_start_matches(is_space);
            // An empty item is harmless before a `]`, and only there.
            let last = item
                .strip_prefix(',')
                .unwrap_or(item)
                .trim_start_matches(is_space);
            if last.is_empty() {
                return Ok(());
            }
            if let Some(after) = next_group(last) {
                rest = after;
                continue;
            }
            let Some((key, after)) = key(item) else {
                let (at, rest) = (offset(rest), rest.to_owned());
                return Err(InvocationError::NoOption { at, rest });
            };
            let (value, after) = value(after);
            self.options.insert(key, value.to_owned());
            let next = after.trim_start_matches(is_space);
            let comma = next.strip_prefix(',');
            rest = match comma.or_else(|| next_group(next)) {
                Some(rest) => rest,
                None if next.is_empty() => next,
                None => {
                    return Err(InvocationError::AfterOption {
                        at: offset(after),
                        option: key.to_owned(),
                        rest: after.to_owned(),
                    });
                }
            };
        }
    }

    /// The items of `action =`: separated by white space outside `[…]`.
    ///
    /// ```
    /// use ferroban_config::Invocation;
    ///
    /// let text = "nftables[port=\"22, 80\"]\n  mail[dest = me]";
    /// assert_eq!(Invocation::split(text), ["nftables[port=\"22, 80\"]", "mail[dest = me]"]);
    /// ```
    #[must_use]
    pub fn split(text: &str) -> Vec<&str> {
        let mut items = Vec::new();
        let mut rest = text.trim_start_matches(is_space);
        while !rest.is_empty() {
            let (item, after) = cut(rest, item_end(rest));
            items.push(item);
            rest = after.trim_start_matches(is_space);
        }
        items
    }

    /// The options as those of a [`Definition`](crate::Definition), written at `place`.
    /// White space around a value does not count, be it in quotes.
    #[must_use]
    pub fn options_at(&self, place: &Place) -> Options {
        let value = |text: &String| Value::new(text.trim_matches(is_space), place.clone());
        self.options
            .iter()
            .map(|(key, text)| (key, value(text)))
            .collect()
    }
}

/// The text after the `[` that follows a `]`.
fn next_group(text: &str) -> Option<&str> {
    let after = text.strip_prefix(']')?.trim_start_matches(is_space);
    after.strip_prefix('[')
}

/// `key` or `key?name=value`, and the text after the `=` that follows it.
fn key(text: &str) -> Option<(&str, &str)> {
    let plain = word(text)?;
    let mut length = plain.len();
    if let Some(condition) = cut(text, length).1.strip_prefix('?') {
        let name = word(condition)?;
        let value = word(cut(condition, name.len()).1.strip_prefix('=')?)?;
        length += 1 + name.len() + 1 + value.len();
    }
    let (key, after) = cut(text, length);
    Some((key, after.strip_prefix('=')?))
}

/// The letters, digits, `_`, `.` and `-` at the start.
fn word(text: &str) -> Option<&str> {
    let part = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    let (word, _) = cut(text, text.find(|c| !part(c)).unwrap_or(text.len()));
    (!word.is_empty()).then_some(word)
}

/// The value at the start, without its quotes, and the text after it.
fn value(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(is_space);
    quoted(text).unwrap_or_else(|| {
        let (value, after) = cut(text, text.find([',', ']']).unwrap_or(text.len()));
        (value.trim_end_matches(is_space), after)
    })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let double = text.strip_prefix('"').and_then(|text| text.split_once('"'));
    double.or_else(|| text.strip_prefix('\'')?.split_once('\''))
}

/// Where the item at the start of a list ends.
fn item_end(text: &str) -> usize {
    let mut end = 0;
    loop {
        let rest = cut(text, end).1;
        let plain = rest.find(|c| c == '[' || is_space(c)).unwrap_or(rest.len());
        let options = cut(rest, plain).1.trim_start_matches(is_space);
        let Some(group) = group_length(options) else {
            let Some(open) = cut(rest, plain).1.strip_prefix('[') else {
                return end + plain;
            };
            // A `[` that nothing closes is a letter like any other.
            end = text.len() - open.len();
            continue;
        };
        end = text.len() - options.len() + group;
    }
}

/// How long the `[…]` at the start is, if there is one.
fn group_length(text: &str) -> Option<usize> {
    let mut rest = text.strip_prefix('[')?;
    loop {
        let (_, found) = cut(rest, rest.find(['=', ']'])?);
        if let Some(after) = found.strip_prefix(']') {
            return Some(text.len() - after.len());
        }
        let after = found.strip_prefix('=')?.trim_start_matches(is_space);
        rest = quoted(after).map_or(after, |(_, after)| after);
    }
}

#[cfg(test)]
mod tests;
