//! The log: fail2ban's levels, targets and line format.
//!
//! Other programs parse these lines, the `recidive` jail among them, so they are
//! interface. The wording of what happened is in [`events`].

pub(crate) mod events;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::clock;

/// How much a line matters. The order is fail2ban's, with its NOTICE and MSG.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Level {
    Debug,
    Msg,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
}

impl Level {
    const ALL: [Self; 7] = [
        Self::Debug,
        Self::Msg,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Msg => "MSG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        Self::ALL
            .into_iter()
            .find(|level| level.name() == upper)
            .ok_or_else(|| format!("Invalid log level '{upper}'"))
    }
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Stdout,
    Stderr,
    File(PathBuf),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "STDOUT" => Self::Stdout,
            "STDERR" => Self::Stderr,
            _ => Self::File(text.into()),
        }
    }
}

/// Writes log lines; cheap to clone, one for every thread.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    level: Level,
    out: Arc<Out>,
    pid: u32,
}

#[derive(Debug)]
enum Out {
    Stdout,
    Stderr,
    File(File),
}

impl Log {
    /// Opens a target. A file is appended to and, if new, readable by us alone.
    pub(crate) fn open(target: &Target, level: Level) -> io::Result<Self> {
        let out = match target {
            Target::Stdout => Out::Stdout,
            Target::Stderr => Out::Stderr,
            Target::File(path) => Out::File(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path)?,
            ),
        };
        Ok(Self {
            level,
            out: Arc::new(out),
            pid: std::process::id(),
        })
    }

    /// Writes one line if `level` is wanted. `logger` is the part after
    /// `fail2ban.`, except for our own lines, which begin with `ferroban`.
    pub(crate) fn line(&self, level: Level, logger: &str, message: &str) {
        if level < self.level {
            return;
        }
        let line = format_line(&clock::log_stamp(), logger, self.pid, level, message);
        // A log that cannot be written must not stop the bans: nothing to do.
        drop(match &*self.out {
            Out::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Out::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Out::File(file) => (&mut &*file).write_all(line.as_bytes()),
        });
    }

    pub(crate) fn info(&self, logger: &str, message: &str) {
        self.line(Level::Info, logger, message);
    }

    pub(crate) fn warning(&self, logger: &str, message: &str) {
        self.line(Level::Warning, logger, message);
    }

    pub(crate) fn error(&self, logger: &str, message: &str) {
        self.line(Level::Error, logger, message);
    }
}

fn format_line(stamp: &str, logger: &str, pid: u32, level: Level, message: &str) -> String {
    let logger = if logger.starts_with("ferroban") {
        logger.to_owned()
    } else {
        format!("fail2ban.{logger}")
    };
    format!(
        "{stamp} {logger:<24}[{pid}]: {:<7} {}\n",
        level.name(),
        escape(message)
    )
}

/// Log text may hold what an attacker wrote: control characters, with which a
/// terminal could be told things or a second line be forged, are spelled out.
fn escape(message: &str) -> String {
    if !message.chars().any(char::is_control) {
        return message.to_owned();
    }
    message
        .chars()
        .flat_map(|c| {
            let plain = !c.is_control();
            let spelled = if plain {
                None
            } else {
                Some(c.escape_default())
            };
            plain
                .then_some(c)
                .into_iter()
                .chain(spelled.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_originals_columns() {
        let line = format_line(
            "2026-11-23 02:21:22,320",
            "actions",
            23851,
            Level::Notice,
            "[inc] Ban 192.0.2.1",
        );
        assert_eq!(
            line,
            "2026-11-23 02:21:22,320 fail2ban.actions        [23851]: NOTICE  [inc] Ban 192.0.2.1\n"
        );
    }

    #[test]
    fn control_characters_cannot_forge_a_line_or_drive_a_terminal() {
        let line = format_line("t", "filter", 1, Level::Info, "a\n2026 b\u{1b}[31m\u{9b}é");
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.contains(r"a\n2026 b\u{1b}[31m\u{9b}é"), "{line}");
    }

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!("notice".parse(), Ok(Level::Notice));
        assert_eq!(
            "bogus".parse::<Level>(),
            Err("Invalid log level 'BOGUS'".to_owned())
        );
        assert!(Level::Msg < Level::Info && Level::Notice < Level::Warning);
    }
}
