//! How the notes of a source read: what happened to a log, for people.

use std::io;

use crate::log::Level;
use crate::source::{Change, Note};

/// One line about a log.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Wording {
    pub(super) level: Level,
    /// The logger of a line that is said once, as the original says it; `None`
    /// for a line of our own, said for every jail on the log.
    pub(super) logger: Option<&'static str>,
    pub(super) text: String,
}

/// The line of a note about the log `name`; a note that only the journal's
/// readers care about has none.
pub(super) fn wording(name: &str, note: &Note) -> Option<Wording> {
    let original = |level, text| {
        Some(Wording {
            level,
            logger: Some("filter"),
            text,
        })
    };
    let own = |level, text| {
        Some(Wording {
            level,
            logger: None,
            text,
        })
    };
    match note {
        Note::Opened { offset, hash } => {
            let hash = hash.as_deref().unwrap_or_default();
            original(
                Level::Msg,
                format!("Reading logfile: '{name}' (pos = {offset}, hash = {hash})"),
            )
        }
        Note::Rotated { change, offset } => {
            let how = match change {
                Change::Replaced => "another file is at its path",
                Change::Truncated => "it was cut off",
            };
            original(
                Level::Msg,
                format!("Log rotation detected for {name}, reason: {how} after {offset} byte(s)"),
            )
        }
        Note::Missing => own(Level::Debug, format!("{name}: not there (yet), waited for")),
        Note::Appeared => own(Level::Info, format!("{name}: is there now and is watched")),
        // These two the watcher words itself.
        Note::CaughtUp | Note::Undecodable { .. } => None,
        trouble => own(trouble_level(trouble), trouble_text(name, trouble)),
    }
}

fn trouble_level(note: &Note) -> Level {
    if matches!(note, Note::Unreadable(_)) {
        Level::Error
    } else {
        Level::Warning
    }
}

fn trouble_text(name: &str, note: &Note) -> String {
    match note {
        Note::Vanished => format!("{name}: is gone; it is watched again when it is back"),
        Note::Missed { files } => {
            format!(
                "{name}: rotated faster than it could be read; {files} file(s) in between are not to be found"
            )
        }
        Note::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!(
                "{name}: cannot be read ({error}); give the right to read it, the jail goes on by itself"
            )
        }
        Note::Unreadable(error) => {
            format!("{name}: cannot be read ({error}); put a log there, the jail goes on by itself")
        }
        Note::Unwatched(error) => {
            format!(
                "{name}: the kernel does not tell of changes ({error}); looked at every two seconds instead"
            )
        }
        Note::TooLong { bytes } => format!("{name}: a line of {bytes} bytes was cut"),
        Note::Reopened(error) => format!("{name}: had to be opened anew ({error})"),
        other => format!("{name}: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_say_what_happened_where_and_what_to_do() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let cases = [
            (
                Note::Opened {
                    offset: 7,
                    hash: None,
                },
                Level::Msg,
                "Reading logfile: 'x' (pos = 7, hash = )",
            ),
            (
                Note::Rotated {
                    change: Change::Truncated,
                    offset: 9,
                },
                Level::Msg,
                "Log rotation detected for x, reason: it was cut off after 9 byte(s)",
            ),
            (
                Note::Appeared,
                Level::Info,
                "x: is there now and is watched",
            ),
            (
                Note::Unreadable(denied()),
                Level::Error,
                "x: cannot be read (permission denied); give the right to read it, the jail goes on by itself",
            ),
            (
                Note::TooLong { bytes: 5 },
                Level::Warning,
                "x: a line of 5 bytes was cut",
            ),
        ];
        for (note, level, text) in cases {
            let said = wording("x", &note).unwrap();
            assert_eq!((said.level, said.text.as_str()), (level, text));
        }
        assert_eq!(wording("x", &Note::CaughtUp), None);
    }
}
