//! Standard output of `fail2ban-regex`: the report, the failures, and what the engine logs.
//!
//! They go to one place in one order, so one [`Printer`] writes them. It gathers lines and
//! writes many at once: a log of millions of lines has as many failures.

use crate::cli::out;
use crate::clock;
use crate::log::Level;

/// So much is gathered before it is written, in bytes.
const GATHERED: usize = 32 << 10;

/// Gathers lines and writes them.
#[derive(Debug)]
pub(super) struct Printer {
    text: String,
    level: Level,
    /// Only failures are wanted, no report.
    bare: bool,
    /// It is a terminal: somebody sits in front of it and reads along.
    watched: bool,
}

impl Printer {
    /// `level` is the least that log lines need; `bare` leaves the report out.
    pub(super) fn new(level: Level, bare: bool) -> Self {
        Self {
            text: String::new(),
            level,
            bare,
            watched: out::is_terminal(),
        }
    }

    /// A line of the report.
    pub(super) fn report(&mut self, line: &str) {
        if !self.bare {
            self.line(line);
        }
    }

    /// A line that is wanted in any case.
    pub(super) fn line(&mut self, line: &str) {
        if self.watched {
            self.text.extend(line.chars().map(harmless));
        } else {
            self.text.push_str(line);
        }
        self.text.push('\n');
        if self.watched || self.text.len() >= GATHERED {
            self.flush();
        }
    }

    /// Whether log lines of this level are wanted.
    pub(super) fn tells(&self, level: Level) -> bool {
        let least = match self.level.number() {
            // Python's logging takes nothing as its default.
            0 => Level::Warning.number(),
            number => number,
        };
        level.number() >= least
    }

    /// A log line, in the format of the original.
    pub(super) fn tell(&mut self, level: Level, module: &str, text: &str) {
        if !self.tells(level) {
            return;
        }
        let (stamp, pid, name) = (clock::log_stamp(), std::process::id(), level.name());
        let letter: String = name.chars().take(1).collect();
        let logger = format!("fail2ban.{module}");
        self.line(&format!(
            "{stamp} {logger:<24}[{pid}]: {name:<7} {letter}: {text}"
        ));
    }

    /// Whether failures go over a terminal while the log is read.
    pub(super) fn scrolls(&self) -> bool {
        self.bare && self.watched
    }

    /// Whether there is still somebody to write for.
    pub(super) fn is_heard(&self) -> bool {
        out::is_heard()
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self) {
        if !self.text.is_empty() {
            out::part(&self.text);
            self.text.clear();
        }
    }
}

/// What is shown of a character on a terminal, which log lines must not drive.
fn harmless(c: char) -> char {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns || (c.is_control() && !matches!(c, '\n' | '\t')) {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_do_not_drive_a_terminal() {
        let shown: String = "a\tb\x1b[2Jc\u{202e}\u{85}é\n"
            .chars()
            .map(harmless)
            .collect();
        assert_eq!(shown, "a\tb\u{fffd}[2Jc\u{fffd}\u{fffd}é\n");
    }

    #[test]
    fn log_lines_are_told_from_their_level_on() {
        let rows = [
            (Level::Critical, Level::Error, false),
            (Level::Warning, Level::Warning, true),
            (Level::Debug, Level::Info, true),
            (Level::Other(0), Level::Info, false),
            (Level::Other(0), Level::Warning, true),
        ];
        for (wanted, level, expected) in rows {
            assert_eq!(Printer::new(wanted, true).tells(level), expected);
        }
    }
}
