//! The words of a command.
//!
//! fail2ban's client makes its commands of Python's values, and its server and `-d`
//! show which: `5` is not `'5'`. How a word is sent or printed is for those who do.

/// One word of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// An option without a value, or with one that cannot be read.
    None,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Anything else that an option says.
    Text(String),
    /// Several texts, or several properties.
    List(Vec<Self>),
    /// Things that belong together.
    Tuple(Vec<Self>),
    /// Names and values.
    Dict(Vec<(String, Self)>),
}

/// One command.
pub(crate) type Command = Vec<Word>;

/// Commands in the order in which they are to be carried out.
pub(crate) type Stream = Vec<Command>;

impl Word {
    /// What Python calls its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How the word reads where another option refers to it.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(number) => Some(format!("{number:?}")),
            Self::Text(text) => Some(text.clone()),
            Self::None | Self::List(_) | Self::Tuple(_) | Self::Dict(_) => None,
        }
    }
}

impl Word {
    /// Texts as a list.
    pub(crate) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let word = |text: T| text.as_ref().into();
        Self::List(texts.into_iter().map(word).collect())
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Word {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<i64> for Word {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// `set <jail> <option> <value>`.
pub(super) fn set(jail: &str, option: &str, value: Word) -> Command {
    vec!["set".into(), jail.into(), option.into(), value]
}

/// fail2ban's idea of yes. Everything else is no.
pub(crate) fn is_on(text: &str) -> bool {
    ["1", "on", "true", "yes"].contains(&text.to_ascii_lowercase().as_str())
}

/// A whole number as Python reads it: with a sign, and with underscores between digits.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    if !digits.split('_').all(is_digits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_those_of_python() {
        let cases = [
            ("5", Some(5)),
            (" -5\n", Some(-5)),
            ("+5", Some(5)),
            ("1_000", Some(1000)),
            ("007", Some(7)),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("", None),
            ("-", None),
            ("--5", None),
            ("5.0", None),
            ("5 # five", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(whole_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn yes_has_four_names() {
        for text in ["1", "on", "TRUE", "Yes"] {
            assert!(is_on(text), "{text}");
        }
        for text in ["", "0", "off", "maybe", "yes # really"] {
            assert!(!is_on(text), "{text}");
        }
    }
}
