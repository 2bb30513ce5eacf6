//! What a group of a filter's pattern captured.

use std::fmt;
use std::sync::Arc;

use ferroban_config::quoted;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A captured value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Capture {
    /// The text of a group. A session, its failures and what waits for answers all keep
    /// it: a short one, as most are, is copied and needs no memory of its own, a long one
    /// is shared.
    Text(SmolStr),
    /// All texts that a group had in the lines of one session, such as `users`.
    Set(Arc<[SmolStr]>),
    /// What `<F-TUPLE_…>` groups make together; parts that took no part are missing.
    Tuple(Box<[Option<String>]>),
}

impl Capture {
    /// The text of a single group.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Set(_) | Self::Tuple(_) => None,
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Set(texts) => texts.is_empty(),
            Self::Tuple(parts) => parts.is_empty(),
        }
    }

    /// Bytes of text in it.
    #[must_use]
    pub fn text_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Set(texts) => texts.iter().map(|text| text.len()).sum(),
            Self::Tuple(parts) => parts.iter().flatten().map(String::len).sum(),
        }
    }

    /// As Python's `repr` shows it.
    #[must_use]
    pub fn repr(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Set(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("{{{}}}", texts.join(", "))
            }
            Self::Tuple(parts) => {
                let part = |part: &Option<String>| {
                    part.as_ref()
                        .map_or_else(|| "None".to_owned(), |text| quoted(text))
                };
                let shown: Vec<String> = parts.iter().map(part).collect();
                let comma = if shown.len() == 1 { "," } else { "" };
                format!("({}{comma})", shown.join(", "))
            }
        }
    }
}

/// As Python's `str` shows it: a text without quotes.
impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => f.write_str(&other.repr()),
        }
    }
}

impl From<&str> for Capture {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Capture {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_shown_as_python_shows_them() {
        let text = |text: &str| Some(text.to_owned());
        let cases = [
            (Capture::from("it's"), "it's", "\"it's\""),
            (
                Capture::Set(["joe".into(), "ann".into()].into()),
                "{'joe', 'ann'}",
                "{'joe', 'ann'}",
            ),
            (
                Capture::Tuple([None, text("42")].into()),
                "(None, '42')",
                "(None, '42')",
            ),
            (Capture::Tuple([text("a")].into()), "('a',)", "('a',)"),
        ];
        for (capture, shown, repr) in cases {
            assert_eq!(
                (capture.to_string().as_str(), capture.repr().as_str()),
                (shown, repr)
            );
        }
    }
}
