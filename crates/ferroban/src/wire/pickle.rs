//! Python pickles, read without ever constructing anything.
//!
//! A pickle is a little program that names functions to call. Python runs it, which
//! makes whoever may write to the socket root. Here the program only builds a [`Value`]:
//! the few calls that stand for plain data (`str`, `set`, `bytes`) are folded into that
//! data, exceptions become [`Value::Exception`], and anything else is [`Value::Opaque`],
//! a name without effect. Nothing is looked up and nothing is called.
//!
//! All protocols from 0 to 5 are read. What a message may cost is bounded by [`Limits`],
//! also when it refers to one list a million times or to itself.
//!
//! Which values make a request or a reply is left to those who ask and answer.

mod big;
mod read;
mod string;
#[cfg(test)]
mod tests;
mod write;

use std::error::Error;
use std::fmt;

pub use big::Big;
pub use read::{Limits, loads, loads_within};
pub use string::{Piece, Str};
pub use write::dumps;

/// A Python object made of plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits.
    Int(i128),
    /// An integer that does not.
    Big(Big),
    /// A float.
    Float(f64),
    /// A string; Python allows half of a surrogate pair in it, so it is not a `String`.
    Str(Str),
    /// An address or another id that the daemon holds. Python gets a string, made by a
    /// call as fail2ban's own are; we read such a call as [`Str`](Self::Str).
    Id(Str),
    /// `bytes` or `bytearray`.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A tuple.
    Tuple(Vec<Self>),
    /// Keys and values in their order. Keys are not compared: one may stand here twice,
    /// and then the last counts.
    Dict(Vec<(Self, Self)>),
    /// `set` or `frozenset`, in the order it came.
    Set(Vec<Self>),
    /// An exception, not raised.
    Exception(Box<Exception>),
    /// An object we know nothing about but its class, `module.name`.
    Opaque(String),
}

/// An exception as one program tells it to the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// Where its class is defined, such as `builtins`.
    pub module: String,
    /// Its class, such as `ValueError`.
    pub class: String,
    /// What it was made with; mostly one text.
    pub args: Vec<Value>,
}

impl Value {
    /// The text, if this is a string without lone surrogates.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => text.as_str(),
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    #[must_use]
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) | Self::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// A list of strings, as most requests are.
    pub fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::from).collect())
    }

    /// An exception of Python's own, with one text.
    #[must_use]
    pub fn exception(class: &str, text: &str) -> Self {
        Self::Exception(Box::new(Exception {
            module: "builtins".into(),
            class: class.into(),
            args: vec![text.into()],
        }))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// The exceptions that every Python 3 has.
#[rustfmt::skip]
const BUILTIN: [&str; 51] = [
    "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError", "BrokenPipeError",
    "BufferError", "ChildProcessError", "ConnectionAbortedError", "ConnectionError", "ConnectionRefusedError",
    "ConnectionResetError", "EOFError", "EnvironmentError", "Exception", "FileExistsError",
    "FileNotFoundError", "FloatingPointError", "IOError", "ImportError", "IndentationError",
    "IndexError", "InterruptedError", "IsADirectoryError", "KeyError", "LookupError",
    "MemoryError", "ModuleNotFoundError", "NameError", "NotADirectoryError", "NotImplementedError",
    "OSError", "OverflowError", "PermissionError", "ProcessLookupError", "RecursionError",
    "ReferenceError", "RuntimeError", "StopAsyncIteration", "StopIteration", "SyntaxError",
    "SystemError", "TabError", "TimeoutError", "TypeError", "UnboundLocalError",
    "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnicodeTranslateError", "ValueError",
    "ZeroDivisionError",
];

impl Exception {
    /// Whether a class is an exception, going by its name.
    fn is_named_so(class: &str) -> bool {
        let ends = ["Error", "error", "Exception", "Warning"];
        ends.iter().any(|end| class.ends_with(end))
            && class.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// Whether every client has the class. Only such are written, so that no function's
    /// name (`builtins.exec`) can pass for one: the Python client calls what a reply names.
    fn is_known(module: &str, class: &str) -> bool {
        match module {
            "builtins" => BUILTIN.contains(&class),
            "fail2ban.exceptions" => Self::is_named_so(class),
            _ => false,
        }
    }

    /// Whether this is an `OSError` with a number and a text, which has a form of its own.
    #[must_use]
    pub fn is_os_error(&self) -> bool {
        const OS_ERRORS: [&str; 17] = [
            "OSError",
            "IOError",
            "EnvironmentError",
            "BlockingIOError",
            "ChildProcessError",
            "ConnectionError",
            "BrokenPipeError",
            "ConnectionAbortedError",
            "ConnectionRefusedError",
            "ConnectionResetError",
            "FileExistsError",
            "FileNotFoundError",
            "InterruptedError",
            "IsADirectoryError",
            "NotADirectoryError",
            "PermissionError",
            "TimeoutError",
        ];
        self.module == "builtins"
            && OS_ERRORS.contains(&self.class.as_str())
            && (2..=5).contains(&self.args.len())
    }

    /// The `args` Python shows: an `OSError` keeps the file name elsewhere.
    #[must_use]
    pub fn shown_args(&self) -> &[Value] {
        match self.args.get(..2) {
            Some(two) if self.is_os_error() => two,
            _ => &self.args,
        }
    }
}

/// Why bytes are not a pickle we take. Where Python has a text for it, so have we: the
/// daemon answers `ERROR:` and the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PickleError {
    /// The bytes ended where an opcode was expected.
    NoMore,
    /// The bytes ended within an opcode.
    Truncated,
    /// An opcode takes more from the stack than is there.
    Underflow,
    /// An opcode collects up to a mark, and there is none.
    NoMark,
    /// A mark where an object is expected.
    MarkFound,
    /// An opcode that does not exist, or that we refuse.
    Opcode(u8),
    /// A protocol later than 5.
    Protocol(u8),
    /// A reference to something never remembered.
    Memo(u64),
    /// Keys and values do not pair up.
    OddItems(&'static str),
    /// An opcode fills a container, and the object is none.
    Target {
        /// The type of the object.
        kind: &'static str,
        /// What cannot be done with it.
        cannot: &'static str,
    },
    /// Not a number, where one is written in decimal.
    Number(&'static str),
    /// An integer with a negative length or too many digits.
    LongNumber,
    /// Bytes that are no text.
    Utf8 {
        /// Where.
        position: usize,
    },
    /// A broken `\` sequence.
    Escape,
    /// A container holds itself.
    ContainsItself,
    /// Containers in containers, deeper than allowed.
    TooDeep {
        /// How deep they may be.
        limit: usize,
    },
    /// More objects than allowed.
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// Shared texts would need more memory than allowed.
    TooLarge {
        /// How many bytes they may have.
        limit: usize,
    },
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMore => write!(f, "Ran out of input"),
            Self::Truncated => write!(f, "pickle data was truncated"),
            Self::Underflow => write!(f, "unpickling stack underflow"),
            Self::NoMark => write!(f, "could not find MARK"),
            Self::MarkFound => write!(f, "unexpected MARK found"),
            Self::Opcode(byte @ (b'\'' | b'\\' | 0..=0x1f | 0x7f..)) => {
                write!(f, "invalid load key, '\\x{byte:02x}'.")
            }
            Self::Opcode(byte) => write!(f, "invalid load key, '{}'.", char::from(*byte)),
            Self::Protocol(number) => write!(f, "unsupported pickle protocol: {number}"),
            Self::Memo(index) => write!(f, "Memo value not found at index {index}"),
            Self::OddItems(opcode) => write!(f, "odd number of items for {opcode}"),
            Self::Target { kind, cannot } => write!(f, "'{kind}' object {cannot}"),
            Self::Number(kind) => write!(f, "could not convert string to {kind}"),
            Self::LongNumber => write!(f, "integer is too long"),
            Self::Utf8 { position } => {
                write!(f, "'utf-8' codec can't decode byte in position {position}")
            }
            Self::Escape => write!(f, "truncated or impossible \\ escape in string"),
            Self::ContainsItself => write!(f, "object contains itself"),
            Self::TooDeep { limit } => write!(f, "objects are nested deeper than {limit}"),
            Self::TooMany { limit } => write!(f, "more than {limit} objects"),
            Self::TooLarge { limit } => write!(f, "objects need more than {limit} bytes"),
        }
    }
}

impl Error for PickleError {}
