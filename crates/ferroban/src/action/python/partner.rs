//! The program that runs an action in Python, and what is asked of it.
//!
//! Requests and answers are JSON objects, one a line. While it answers, it may ask for a
//! value of the ticket that is costly to know.

use std::time::{Duration, Instant};

use ferroban_engine::JailName;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::log::{Level, Log};
use crate::process::talk::{Broken, Listener, Side, Talk};

use super::source::Source;

/// What it finds where it looks for fail2ban, and its side of the talk.
const SHIM: &str = include_str!("shim.py");

/// The longest logger's name and error's text that are passed on, in bytes.
const MOST_NAME: usize = 100;

/// What an exception in the action says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Raised {
    pub(super) class: String,
    pub(super) text: String,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Fault {
    /// The action says no.
    Raised(Raised),
    /// The program is of no use any more.
    Broken(Broken),
    /// It answers something that is no answer.
    Nonsense(String),
}

/// The program at work.
#[derive(Debug)]
pub(super) struct Partner {
    talk: Talk,
    number: u64,
    log: Log,
}

/// Who it works for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    pub(super) jail: &'a JailName,
    pub(super) action: &'a str,
}

impl Partner {
    /// Starts it. It has not loaded the action yet.
    pub(super) fn start(source: &Source, whose: Whose<'_>, log: &Log) -> std::io::Result<Self> {
        let name = format!("f2b/p.{}", whose.jail);
        // Nothing of the environment, the folder or the user adds modules to it.
        let args = ["-I", "-c", SHIM];
        let talk = Talk::start(source.program, &args, name, listener(whose, log.clone()))?;
        Ok(Self {
            talk,
            number: 0,
            log: log.clone(),
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.talk.has_ended()
    }

    /// Has it do something, and waits for the answer. `asked` knows what it may ask.
    pub(super) fn request(
        &mut self,
        mut request: Map<String, Value>,
        limit: Duration,
        asked: &dyn Fn(&str) -> Value,
    ) -> Result<Value, Fault> {
        let now = clock::tick();
        // A limit past the end of the clock is a day.
        let deadline = now.checked_add(limit);
        let deadline = deadline.unwrap_or(now + Duration::from_secs(86_400));
        self.number += 1;
        request.insert("id".into(), self.number.into());
        self.say(&Value::Object(request), deadline)?;
        loop {
            let line = self.talk.hear(deadline).map_err(Fault::Broken)?;
            let answer: Value =
                serde_json::from_str(&line).map_err(|error| Fault::Nonsense(error.to_string()))?;
            if answer.get("id").and_then(Value::as_u64) != Some(self.number) {
                continue;
            }
            if let Some(name) = answer.get("ask").and_then(Value::as_str) {
                self.say(&json!({ "value": asked(name) }), deadline)?;
                continue;
            }
            if let Some(value) = answer.get("ok") {
                return Ok(value.clone());
            }
            let text = |name: &str| {
                let text = answer.get(name).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            self.log.line(Level::Debug, "actions", &text("trace"));
            return Err(Fault::Raised(Raised {
                class: text("class"),
                text: text("error"),
            }));
        }
    }

    fn say(&mut self, message: &Value, deadline: Instant) -> Result<(), Fault> {
        let said = self.talk.say(&message.to_string(), deadline);
        said.map_err(Fault::Broken)
    }

    /// Ends it in peace.
    pub(super) fn finish(self) {
        self.talk.finish();
    }

    /// Ends it. Says how that came, if it had ended by itself or could be ended.
    pub(super) fn kill(mut self) -> Option<String> {
        self.talk.kill()
    }
}

/// Passes on to the log what the action logs, and what it prints.
fn listener(whose: Whose<'_>, log: Log) -> Listener {
    let who = format!("[{}] action '{}'", whose.jail, whose.action);
    Box::new(move |side, line| {
        if side == Side::Stderr {
            if !line.is_empty() {
                let line = ferroban_config::quoted(line);
                log.info("actions", &format!("{who} wrote: {line}"));
            }
            return true;
        }
        let Some((level, logger, text)) = logged(line) else {
            return false;
        };
        log.line(level, &logger, &text);
        true
    })
}

/// What is to be logged, if the line is about that.
fn logged(line: &str) -> Option<(Level, String, String)> {
    if !line.starts_with("{\"log\": ") {
        return None;
    }
    let message: Value = serde_json::from_str(line).ok()?;
    let log = message.get("log")?;
    let level = u32::try_from(log.get(0)?.as_u64()?).ok()?;
    let name = log.get(1)?.as_str()?;
    let name = name.strip_prefix("fail2ban.").unwrap_or(name);
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let name: String = name.chars().filter(is_plain).take(MOST_NAME).collect();
    Some((level.into(), name, log.get(2)?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_has_a_level_and_a_plain_name() {
        let cases = [
            (
                r#"{"log": [25, "fail2ban.Mine", "a\nb"]}"#,
                Some((Level::Notice, "Mine", "a\nb")),
            ),
            (
                r#"{"log": [13, "x]: \n y", "t"]}"#,
                Some((Level::Other(13), "xy", "t")),
            ),
            (r#"{"log": [-1, "x", "t"]}"#, None),
            (r#"{"log": [30, "x"]}"#, None),
            (r#"{"id": 1, "ok": {"log": [30, "x", "t"]}}"#, None),
            ("{\"log\": ", None),
        ];
        for (line, expected) in cases {
            let expected =
                expected.map(|(level, name, text)| (level, name.to_owned(), text.to_owned()));
            assert_eq!(logged(line), expected, "{line}");
        }
    }
}
