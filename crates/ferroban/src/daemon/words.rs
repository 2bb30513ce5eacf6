//! Words of commands as Python's values, and back.

use crate::load::{Refusal, Word};
use crate::wire::Value;
use crate::wire::pickle::Exception;

/// A value as a word. What no command takes becomes nothing.
pub(super) fn word(value: &Value) -> Word {
    let words = |values: &[Value]| values.iter().map(word).collect();
    match value {
        Value::None | Value::Bytes(_) | Value::Exception(_) | Value::Opaque(_) => Word::None,
        Value::Bool(yes) => Word::Bool(*yes),
        Value::Int(number) => Word::Int(clamped(*number)),
        Value::Big(_) => Word::Int(i64::MAX),
        Value::Float(number) => Word::Float(*number),
        Value::Str(text) | Value::Id(text) => Word::Text(text.to_lossy().into_owned()),
        Value::List(values) | Value::Set(values) => Word::List(words(values)),
        Value::Tuple(values) => Word::Tuple(words(values)),
        Value::Dict(pairs) => {
            let pair = |(key, value): &(Value, Value)| {
                let name = key.as_str().unwrap_or_default();
                (name.to_owned(), word(value))
            };
            Word::Dict(pairs.iter().map(pair).collect())
        }
    }
}

fn clamped(number: i128) -> i64 {
    let most = if number < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(number).unwrap_or(most)
}

/// A word as a value.
pub(crate) fn value(word: &Word) -> Value {
    match word {
        Word::None => Value::None,
        Word::Bool(yes) => (*yes).into(),
        Word::Int(number) => (*number).into(),
        Word::Float(number) => Value::Float(*number),
        Word::Text(text) => text.as_str().into(),
        Word::List(words) => Value::List(words.iter().map(value).collect()),
        Word::Tuple(words) => Value::Tuple(words.iter().map(value).collect()),
        Word::Dict(pairs) => {
            let pair = |(name, word): &(String, Word)| (name.as_str().into(), value(word));
            Value::Dict(pairs.iter().map(pair).collect())
        }
    }
}

/// Who is ignored, as the ids that they are.
pub(super) fn ids(value: Value) -> Value {
    let Value::List(values) = value else {
        return value;
    };
    let id = |value| match value {
        Value::Str(text) => Value::Id(text),
        other => other,
    };
    Value::List(values.into_iter().map(id).collect())
}

/// What a method of an action returned.
pub(super) fn of_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::None,
        Json::Bool(yes) => (*yes).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(values) => Value::List(values.iter().map(of_json).collect()),
        Json::Object(pairs) => {
            let pair = |(name, value): (&String, &Json)| (name.as_str().into(), of_json(value));
            Value::Dict(pairs.iter().map(pair).collect())
        }
    }
}

/// A refusal as the exception that fail2ban would raise.
pub(super) fn exception(refusal: &Refusal) -> Value {
    let of = |module: &str, class: &str, args: Vec<Value>| {
        Value::Exception(Box::new(Exception {
            module: module.into(),
            class: class.into(),
            args,
        }))
    };
    let jails = "fail2ban.exceptions";
    match refusal {
        Refusal::TooFew => Value::exception("IndexError", "list index out of range"),
        Refusal::UnknownJail(name) => of(jails, "UnknownJailException", vec![name.as_str().into()]),
        Refusal::DuplicateJail(name) => {
            of(jails, "DuplicateJailException", vec![name.as_str().into()])
        }
        Refusal::NoFile(path) => {
            let args = vec![
                2.into(),
                "No such file or directory".into(),
                path.as_str().into(),
            ];
            of("builtins", "FileNotFoundError", args)
        }
        Refusal::Folder(path) => {
            let args = vec![21.into(), "Is a directory".into(), path.as_str().into()];
            of("builtins", "IsADirectoryError", args)
        }
        Refusal::Regex(text) => of(
            "fail2ban.server.failregex",
            "RegexException",
            vec![text.as_str().into()],
        ),
        Refusal::Error(class, text) => Value::exception(class, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::text::repr;

    #[test]
    fn words_survive_the_way_through_python() {
        let all = Word::List(vec![
            Word::None,
            Word::Bool(true),
            Word::Int(-5),
            Word::Float(1.5),
            "text".into(),
            Word::Tuple(vec![Word::List(vec![])]),
            Word::Dict(vec![("stacksize".to_owned(), Word::Int(0))]),
        ]);
        assert_eq!(word(&value(&all)), all);
        assert_eq!(word(&Value::Int(i128::MIN)), Word::Int(i64::MIN));
    }

    #[test]
    fn refusals_are_the_exceptions_of_the_original() {
        let cases = [
            (Refusal::TooFew, "IndexError('list index out of range')"),
            (
                Refusal::UnknownJail("x".into()),
                "UnknownJailException('x')",
            ),
            (
                Refusal::DuplicateJail("x".into()),
                "DuplicateJailException('x')",
            ),
            (
                Refusal::NoFile("/x".into()),
                "FileNotFoundError(2, 'No such file or directory')",
            ),
            (Refusal::Regex("no".into()), "RegexException('no')"),
            (
                Refusal::plain("Invalid command"),
                "Exception('Invalid command')",
            ),
        ];
        for (refusal, shown) in cases {
            assert_eq!(repr(&exception(&refusal)), shown);
        }
    }
}
