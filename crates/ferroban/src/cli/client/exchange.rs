//! A request, its reply, and what is printed of it.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::lines::{Level, Lines};
use super::table::Charset;
use super::transport::{Connection, ContactError, Patience};
use super::{Failed, Options, beautify, socket_path};
use crate::cli::out;
use crate::wire::pickle::{Str, Value};
use crate::wire::text::{display, repr};

const BEAUTIFIER: &str = "fail2ban.beautifier";

/// What is printed of a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Show {
    All,
    /// Only what is wrong.
    Errors,
}

/// Sends the words as they are and prints the reply.
pub(super) fn send(options: &Options, words: &[&str], raw: &[Str]) -> Result<(), Failed> {
    let request = Value::List(raw.iter().cloned().map(Value::Str).collect());
    let patience = match words {
        ["ping", seconds, ..] => patience(seconds).map_err(|error| {
            options.lines.error(&error);
            Failed
        })?,
        _ => Patience::Endless,
    };
    let mut connection = open(options, patience, words)?;
    exchange(options.lines, &mut connection, &request, Show::All)
}

/// Connects, to send a command of these words.
pub(super) fn open(
    options: &Options,
    patience: Patience,
    words: &[&str],
) -> Result<Connection, Failed> {
    Connection::open(socket_path(options), patience)
        .map_err(|error| no_contact(options.lines, &error, words))
}

/// Sends a request and prints the reply.
pub(super) fn exchange(
    lines: Lines,
    connection: &mut Connection,
    request: &Value,
    show: Show,
) -> Result<(), Failed> {
    let words = words(request);
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    tell_request(lines, request);
    let reply = connection
        .ask(request)
        .map_err(|error| no_contact(lines, &error, &words))?;
    match reply.elements() {
        Some([Value::Int(0), value]) => {
            tell_reply(lines, value);
            if show == Show::All {
                print(lines, &words, request, value);
            }
            Ok(())
        }
        Some([_, Value::Exception(error)]) => {
            let args = repr(&Value::Tuple(error.shown_args().to_vec()));
            lines.error(&format!("NOK: {args}"));
            if show == Show::All {
                let shown = repr(&Value::Exception(error.clone()));
                let text = format!("Beautify (error) {shown} with {}", repr(request));
                lines.say(Level::Debug, BEAUTIFIER, &text);
                out::line(&beautify::beautify_error(error));
            }
            Err(Failed)
        }
        // A text, if the daemon could not even read the request.
        _ => {
            lines.error(&display(&reply));
            Err(Failed)
        }
    }
}

pub(super) fn tell_request(lines: Lines, request: &Value) {
    lines.say(Level::Heavy, "fail2ban", &format!("CMD: {}", repr(request)));
}

pub(super) fn tell_reply(lines: Lines, value: &Value) {
    lines.say(Level::Heavy, "fail2ban", &format!("OK : {}", repr(value)));
}

/// The words that a request begins with.
fn words(request: &Value) -> Vec<Cow<'_, str>> {
    let texts = request.elements().unwrap_or_default().iter();
    texts
        .map_while(|value| match value {
            Value::Str(text) => Some(text.to_lossy()),
            _ => None,
        })
        .collect()
}

fn no_contact(lines: Lines, error: &ContactError, words: &[&str]) -> Failed {
    lines.error(&contact_text(error, words));
    Failed
}

fn print(lines: Lines, words: &[&str], request: &Value, reply: &Value) {
    let text = format!("Beautify {} with {}", repr(reply), repr(request));
    lines.say(Level::Heavy, BEAUTIFIER, &text);
    match beautify::beautify(words, reply, charset()) {
        Ok(text) => out::line(&text),
        Err(beautify::Unprintable(partial)) => {
            let text = "Beautifier error. Please report the error";
            lines.say(Level::Warning, BEAUTIFIER, text);
            let (request, reply) = (repr(request), repr(reply));
            let text = format!("Beautify {reply} with {request} failed");
            lines.say(Level::Error, BEAUTIFIER, &text);
            out::line(&format!("{}{reply}", repr(&partial)));
        }
    }
}

/// Why there is no reply. A daemon that does not answer is told with more words, unless
/// the question was just that.
fn contact_text(error: &ContactError, words: &[&str]) -> String {
    match error {
        ContactError::Io(_) if words.first() != Some(&"ping") => {
            format!("[{error}] Unable to contact server. Is it running?")
        }
        _ => error.to_string(),
    }
}

/// The time in `ping SEC`, by the rules of Python's `float` and of its sockets.
fn patience(text: &str) -> Result<Patience, String> {
    let digits = text.trim();
    let underscored = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let number = match digits.replace('_', "").parse::<f64>() {
        Ok(number) if !underscored => number,
        _ => {
            let text = repr(&text.into());
            return Err(format!("could not convert string to float: {text}"));
        }
    };
    if number.is_nan() {
        Err("Invalid value NaN (not a number)".into())
    } else if number < 0.0 {
        Ok(Patience::Endless)
    } else if number == 0.0 {
        Ok(Patience::Zero)
    } else {
        Duration::try_from_secs_f64(number)
            .ok()
            .filter(|time| time.as_secs() < 1 << 33)
            .map(|time| Patience::Limited(time.max(Duration::from_micros(1))))
            .ok_or("timestamp too large to convert to C _PyTime_t".into())
    }
}

/// Whether the terminal's locale can show line-drawing characters.
fn charset() -> Charset {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    charset_of(locale.as_deref())
}

/// Python takes the locale `C`, and none, for UTF-8.
fn charset_of(locale: Option<&OsStr>) -> Charset {
    let Some(locale) = locale.filter(|name| !matches!(name.as_bytes(), b"C" | b"POSIX")) else {
        return Charset::Unicode;
    };
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Charset::Unicode
    } else {
        Charset::Ascii
    }
}

#[cfg(test)]
mod tests;
