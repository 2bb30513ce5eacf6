//! One thing told, and everything that may be said about it.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ferroban_date::{Timestamp, rfc3339_millis};
use ferroban_engine::Event;
use serde::Serialize;

use super::Level;
use crate::clock;

/// Something told by the thread that made it, which shows it before anybody else runs.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) level: Level,
    logger: &'a str,
    message: &'a str,
    /// Whether line ends in the message are ends of lines.
    lines: bool,
    event: Option<&'a Event>,
    pub(super) time: Timestamp,
    pub(super) since_start: Duration,
}

impl<'a> Record<'a> {
    /// A record of now.
    pub(super) fn new(level: Level, logger: &'a str, message: &'a str) -> Self {
        Self {
            level,
            logger,
            message,
            lines: false,
            event: None,
            time: clock::now(),
            since_start: clock::tick().saturating_duration_since(started()),
        }
    }

    pub(super) fn with_lines(self) -> Self {
        Self {
            lines: true,
            ..self
        }
    }

    pub(super) fn with_event(self, event: &'a Event) -> Self {
        let event = Some(event);
        Self { event, ..self }
    }

    /// The whole name of the logger.
    pub(super) fn logger(&self) -> Cow<'a, str> {
        if self.logger == "fail2ban" || self.logger.starts_with("ferroban") {
            self.logger.into()
        } else {
            format!("fail2ban.{}", self.logger).into()
        }
    }

    /// The last part of the logger's name.
    pub(super) fn module(&self) -> &'a str {
        self.logger.rsplit('.').next().unwrap_or_default()
    }

    /// The message as it may be shown to a terminal.
    pub(super) fn message(&self) -> Cow<'a, str> {
        escape(self.message, self.lines)
    }

    /// The event's own fields, if the record is about one.
    pub(super) fn fields(&self) -> Option<serde_json::Value> {
        serde_json::to_value(self.event?).ok()
    }

    /// The record as one JSON object in one line.
    pub(super) fn json(&self) -> String {
        let line = Line {
            time: rfc3339_millis(self.time, clock::zone()),
            level: self.level.name(),
            logger: self.logger(),
            pid: std::process::id(),
            message: self.message,
            event: self.event,
        };
        let text = serde_json::to_string(&line)
            .unwrap_or_else(|error| format!("{{\"message\":\"not JSON: {error}\"}}"));
        // JSON leaves some characters alone that drive a terminal or turn the text.
        let Cow::Owned(spelled) = spell(&text, |c| {
            is_unsafe(c).then(|| format!("\\u{:04x}", u32::from(c)))
        }) else {
            return text;
        };
        spelled
    }
}

/// What stands in a line of JSON. Others read it: `docs/log-json.md`.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: Cow<'a, str>,
    logger: Cow<'a, str>,
    pid: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a Event>,
}

/// When the first log of this process began.
pub(super) fn started() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(clock::tick)
}

/// Log text may hold what an attacker wrote: control characters, with which a
/// terminal could be told things or a second line be forged, are spelled out; so are
/// those that end lines or turn the direction of text for some who show or read it.
/// With `lines`, line ends stay.
pub(crate) fn escape(text: &str, lines: bool) -> Cow<'_, str> {
    spell(text, |c| {
        let plain = !is_unsafe(c) || lines && c == '\n';
        (!plain).then(|| c.escape_default().to_string())
    })
}

/// Whether a character could make a line look like another one.
fn is_unsafe(c: char) -> bool {
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || ends_line || turns
}

/// The text with some characters spelled otherwise.
fn spell(text: &str, other: impl Fn(char) -> Option<String>) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match other(c) {
            Some(spelled) => out.push_str(&spelled),
            None => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
impl<'a> Record<'a> {
    /// A record as one of the original's, told at `micros` since the epoch.
    pub(super) fn at(micros: i64, level: Level, logger: &'a str, message: &'a str) -> Self {
        Self {
            time: Timestamp::from_micros(micros),
            since_start: Duration::from_micros(52_345),
            ..Self::new(level, logger, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::{Value, json};

    #[test]
    fn control_characters_cannot_forge_a_line_or_drive_a_terminal() {
        let text = "a\n2026 b\u{1b}[31m\u{9b}\0é";
        assert_eq!(escape(text, false), r"a\n2026 b\u{1b}[31m\u{9b}\u{0}é");
        assert_eq!(escape(text, true), "a\n2026 b\\u{1b}[31m\\u{9b}\\u{0}é");
        assert!(matches!(escape("nothing", false), Cow::Borrowed(_)));
    }

    #[test]
    fn what_ends_a_line_or_turns_it_for_some_is_spelled_out() {
        for code in [0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069] {
            let text = format!("a{}b", char::from_u32(code).unwrap());
            assert_eq!(escape(&text, true), format!("a\\u{{{code:x}}}b"));
            let json = Record::new(Level::Info, "server", &text).json();
            assert!(json.contains(&format!("a\\u{code:04x}b")), "{json}");
            let read: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read.get("message"), Some(&Value::from(text)));
        }
        for code in [0x2027, 0x202f, 0x2065, 0x206a] {
            let text = char::from_u32(code).unwrap().to_string();
            assert_eq!(escape(&text, false), text);
        }
    }

    #[test]
    fn loggers_are_fail2bans_unless_they_are_ours() {
        let cases = [
            ("actions", "fail2ban.actions", "actions"),
            ("fail2ban", "fail2ban", "fail2ban"),
            ("ferroban.log", "ferroban.log", "log"),
        ];
        for (logger, name, module) in cases {
            let record = Record::new(Level::Info, logger, "");
            assert_eq!((&*record.logger(), record.module()), (name, module));
        }
    }

    #[test]
    fn a_line_of_json_holds_the_event_and_no_control_character() {
        let event = json!({"event": "banned", "jail": "sshd", "id": "192.0.2.7"});
        let banned: Event = serde_json::from_value(event.clone()).unwrap();
        let record = Record::at(0, Level::Notice, "actions", "a\nb\u{1b}\u{7f}\u{9b}\"é");
        let text = record.with_event(&banned).json();
        assert!(!text.contains(char::is_control), "{text:?}");
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "time": rfc3339_millis(Timestamp::default(), clock::zone()),
            "level": "NOTICE",
            "logger": "fail2ban.actions",
            "pid": std::process::id(),
            "message": "a\nb\u{1b}\u{7f}\u{9b}\"é",
            "event": event,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_event_has_none_in_json() {
        let text = Record::new(Level::Info, "server", "x").json();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.as_object().unwrap().len(), 5, "{text}");
    }
}
