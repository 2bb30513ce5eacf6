//! Values of commands, read by Python's rules.

use ferroban_config::{Seconds, SecondsError, quoted};

use super::super::Refusal;
use super::super::word::{Word, whole_number};

/// The first word, which must be there.
pub(super) fn first(words: &[Word]) -> Result<&Word, Refusal> {
    words.first().ok_or(Refusal::TooFew)
}

/// A word as text.
pub(super) fn shown(word: &Word) -> String {
    word.shown().unwrap_or_else(|| match word {
        Word::None => "None".to_owned(),
        _ => String::new(),
    })
}

/// The first word as text.
pub(super) fn text(words: &[Word]) -> Result<String, Refusal> {
    first(words).map(shown)
}

/// What Python's `int()` makes of a word.
pub(super) fn integer(word: &Word) -> Result<i64, Refusal> {
    let invalid = |text: &str| {
        Refusal::value(format!(
            "invalid literal for int() with base 10: {}",
            quoted(text)
        ))
    };
    match word {
        Word::Int(number) => Ok(*number),
        Word::Bool(yes) => Ok(i64::from(*yes)),
        Word::Float(number) => Ok(Seconds::Fraction(*number).whole()),
        Word::Text(text) => whole_number(text).ok_or_else(|| invalid(text)),
        Word::None | Word::List(_) | Word::Tuple(_) | Word::Dict(_) => {
            let text = "int() argument must be a string, a bytes-like object or a real number";
            Err(Refusal::Error("TypeError", text.to_owned()))
        }
    }
}

/// A time such as `10m` as a number of seconds, whole or not as fail2ban has it.
pub(super) fn seconds(word: &Word) -> Result<Word, Refusal> {
    match word {
        Word::Int(_) | Word::Float(_) => Ok(word.clone()),
        Word::Bool(yes) => Ok(Word::Int(i64::from(*yes))),
        Word::Text(text) => match text.parse() {
            Ok(Seconds::Whole(number)) => Ok(Word::Int(number)),
            Ok(Seconds::Fraction(number)) => Ok(Word::Float(number)),
            Err(error) => Err(Refusal::Error(class(&error), error.original())),
        },
        Word::None | Word::List(_) | Word::Tuple(_) | Word::Dict(_) => {
            let text = "expected string or bytes-like object";
            Err(Refusal::Error("TypeError", text.to_owned()))
        }
    }
}

/// The exception that Python raises for a time that is none.
fn class(error: &SecondsError) -> &'static str {
    match error {
        SecondsError::Word(_) => "NameError",
        SecondsError::DivisionByZero => "ZeroDivisionError",
        _ => "SyntaxError",
    }
}

/// A number cut to a whole one.
pub(crate) fn whole(word: &Word) -> i64 {
    match word {
        Word::Int(number) => *number,
        Word::Float(number) => Seconds::Fraction(*number).whole(),
        _ => 0,
    }
}
