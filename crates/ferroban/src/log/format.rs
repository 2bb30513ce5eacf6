//! What a record looks like where it goes: its text, and the frame around it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::thread;

use super::layout::Layout;
use super::record::Record;

/// The longest text of a datagram, in bytes. The kernel's own bound is 200 KiB.
pub(super) const LONGEST: usize = 128 << 10;

/// How records are shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    pub(super) text: Text,
    pub(super) frame: Frame,
}

/// The text of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Layout(Layout),
    /// The message alone: the journal has fields for the rest.
    Message,
    /// One JSON object.
    Json,
}

/// What is around the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Frame {
    /// An end of line.
    Line,
    /// A datagram for syslog, with the number of a facility.
    Syslog(u32),
    /// A datagram in the journal's own protocol.
    Journal,
}

impl Format {
    /// The bytes to write.
    pub(super) fn show(&self, record: &Record<'_>) -> Vec<u8> {
        let text = match &self.text {
            Text::Layout(layout) => Cow::Owned(layout.fill(record)),
            Text::Message => record.message(),
            Text::Json => Cow::Owned(record.json()),
        };
        match self.frame {
            Frame::Line => format!("{text}\n").into_bytes(),
            Frame::Syslog(facility) => {
                let priority = facility * 8 + severity(record.level.number());
                format!("<{priority}>{}\0", short(&text)).into_bytes()
            }
            Frame::Journal => journal(&text, record),
        }
    }
}

/// The facilities that the original knows, by their numbers.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "NTP", "SECURITY", "CONSOLE", "SOLCRON", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3",
    "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
];

/// The number of syslog's DAEMON.
pub(super) const DAEMON: u32 = 3;

/// The number of a facility, named in any case.
pub(super) fn facility(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    let mut numbered = FACILITIES.iter().zip(0..);
    let (_, number) = numbered.find(|(facility, _)| **facility == name)?;
    Some(number)
}

/// Syslog's severity of a level. The original's table has no row for MSG and what is
/// below DEBUG, and calls them warnings.
fn severity(level: u32) -> u32 {
    match level {
        50 => 2,
        40 => 3,
        25 => 5,
        20 => 6,
        10 => 7,
        _ => 4,
    }
}

/// The journal's priority of a level. The library through which the original writes
/// knows Python's levels only, so that a NOTICE is a warning.
fn priority(level: u32) -> u32 {
    match level {
        0..=10 => 7,
        11..=20 => 6,
        21..=30 => 4,
        31..=40 => 3,
        41..=50 => 2,
        _ => 1,
    }
}

fn journal(text: &str, record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "MESSAGE", short(text));
    put(
        &mut out,
        "PRIORITY",
        &priority(record.level.number()).to_string(),
    );
    put(&mut out, "SYSLOG_IDENTIFIER", "fail2ban");
    put(&mut out, "SYSLOG_PID", &std::process::id().to_string());
    put(&mut out, "LOGGER", &record.logger());
    put(
        &mut out,
        "THREAD_NAME",
        thread::current().name().unwrap_or_default(),
    );
    let Some(fields) = record.fields() else {
        return out;
    };
    let rows = [
        ("event", "FERROBAN_EVENT"),
        ("jail", "FERROBAN_JAIL"),
        ("id", "FERROBAN_ID"),
    ];
    for (field, name) in rows {
        if let Some(value) = fields.get(field).and_then(|value| value.as_str()) {
            put(&mut out, name, value);
            if field == "id" && value.parse::<IpAddr>().is_ok() {
                put(&mut out, "FERROBAN_IP", value);
            }
        }
    }
    out
}

/// Adds a field, in the form with a length if the value has more than one line.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.bytes());
    if value.contains('\n') {
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        out.push(b'\n');
        out.extend(length.to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.bytes());
    out.push(b'\n');
}

/// As much of the text as a datagram holds.
fn short(text: &str) -> &str {
    let mut end = LONGEST.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.split_at(end).0
}

#[cfg(test)]
mod tests {
    use super::*;

    use ferroban_engine::Event;

    use crate::log::Level;

    fn layout(text: &str) -> Text {
        Text::Layout(Layout::parse(text).unwrap())
    }

    fn shown(frame: Frame, level: Level) -> String {
        let text = layout("%(name)s: %(levelname)s %(message)s");
        let record = Record::new(level, "actions", "x");
        String::from_utf8(Format { text, frame }.show(&record)).unwrap()
    }

    #[test]
    fn datagrams_for_syslog_are_those_of_the_original() {
        let cases = [
            (Level::Critical, "<26>fail2ban.actions: CRITICAL x\0"),
            (Level::Error, "<27>fail2ban.actions: ERROR x\0"),
            (Level::Warning, "<28>fail2ban.actions: WARNING x\0"),
            (Level::Notice, "<29>fail2ban.actions: NOTICE x\0"),
            (Level::Info, "<30>fail2ban.actions: INFO x\0"),
            (Level::Msg, "<28>fail2ban.actions: MSG x\0"),
            (Level::Debug, "<31>fail2ban.actions: DEBUG x\0"),
            (Level::Trace, "<28>fail2ban.actions: TRACE x\0"),
            (Level::Heavy, "<28>fail2ban.actions: HEAVY x\0"),
            (Level::Other(9), "<28>fail2ban.actions: #09-Lev. x\0"),
        ];
        for (level, expected) in cases {
            assert_eq!(shown(Frame::Syslog(DAEMON), level), expected);
        }
        let local5 = facility("local5").unwrap();
        assert_eq!(
            shown(Frame::Syslog(local5), Level::Info),
            "<174>fail2ban.actions: INFO x\0"
        );
    }

    #[test]
    fn facilities_have_the_numbers_the_original_sends() {
        let cases = [
            ("kern", Some(0)),
            ("USER", Some(1)),
            ("daemon", Some(DAEMON)),
            ("auth", Some(4)),
            ("AuthPriv", Some(10)),
            ("ntp", Some(12)),
            ("console", Some(14)),
            ("solcron", Some(15)),
            ("local0", Some(16)),
            ("local7", Some(23)),
            ("local8", None),
            ("solaris-cron", None),
            ("3", None),
            ("bogus", None),
        ];
        for (name, number) in cases {
            assert_eq!(facility(name), number, "{name}");
        }
    }

    #[test]
    fn the_journal_gets_fields() {
        let format = Format {
            text: Text::Message,
            frame: Frame::Journal,
        };
        let event: Event =
            serde_json::from_str(r#"{"event": "banned", "jail": "a\nb", "id": "192.0.2.7"}"#)
                .unwrap();
        let record = Record::new(Level::Notice, "actions", "one\ntwo").with_lines();
        let bytes = format.show(&record.with_event(&event));
        let thread = thread::current();
        let expected = format!(
            "MESSAGE\n\u{7}\0\0\0\0\0\0\0one\ntwo\nPRIORITY=4\nSYSLOG_IDENTIFIER=fail2ban\nSYSLOG_PID={}\nLOGGER=fail2ban.actions\nTHREAD_NAME={}\nFERROBAN_EVENT=banned\nFERROBAN_JAIL\n\u{3}\0\0\0\0\0\0\0a\nb\nFERROBAN_ID=192.0.2.7\nFERROBAN_IP=192.0.2.7\n",
            std::process::id(),
            thread.name().unwrap(),
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn priorities_in_the_journal_are_those_of_the_original() {
        let levels = [50, 40, 30, 25, 20, 18, 10, 7, 5];
        assert_eq!(levels.map(priority), [2, 3, 4, 4, 6, 6, 7, 7, 7]);
    }

    #[test]
    fn a_text_too_long_for_a_datagram_is_cut_between_characters() {
        let long = format!("a{}", "é".repeat(LONGEST));
        assert_eq!(short(&long).len(), LONGEST - 1);
        assert_eq!(short("short"), "short");
    }
}
