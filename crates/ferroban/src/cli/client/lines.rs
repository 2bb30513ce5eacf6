//! The lines the client writes to standard error, in fail2ban's log format.

use std::time::Instant;

use crate::cli::out;
use crate::clock;
use crate::log;

/// How important a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    /// What is sent and received; fail2ban calls it HEAVYDEBUG.
    Heavy,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Heavy => "HEAVY",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Error => 40,
            Self::Warning => 30,
            Self::Notice => 25,
            Self::Info => 20,
            Self::Debug => 10,
            Self::Heavy => 5,
        }
    }

    /// The `-v` it takes to see such lines; nothing hides errors.
    fn needs(self) -> i32 {
        match self {
            Self::Error => i32::MIN,
            Self::Warning => 1,
            Self::Notice | Self::Info => 2,
            Self::Debug => 3,
            Self::Heavy => 4,
        }
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Critical | log::Level::Error => Self::Error,
            log::Level::Warning => Self::Warning,
            log::Level::Notice => Self::Notice,
            log::Level::Info => Self::Info,
            log::Level::Msg | log::Level::Debug => Self::Debug,
            log::Level::Trace | log::Level::Heavy | log::Level::Other(_) => Self::Heavy,
        }
    }
}

/// Writes lines as far as the user wants them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    /// 1, and more or less by each `-v` and `-q`.
    pub(super) verbosity: i32,
    /// When the program was started.
    pub(super) begin: Instant,
}

/// When a line is written.
struct Now {
    stamp: String,
    /// Milliseconds since the program was started.
    age: u128,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            verbosity: 1,
            begin: clock::tick(),
        }
    }

    pub(super) fn error(self, text: &str) {
        self.say(Level::Error, "fail2ban", text);
    }

    pub(super) fn say(self, level: Level, logger: &str, text: &str) {
        if self.shows(level) {
            let now = Now {
                stamp: clock::log_stamp(),
                age: (clock::tick() - self.begin).as_millis(),
            };
            out::error(&self.line(&now, level, logger, text));
        }
    }

    fn shows(self, level: Level) -> bool {
        self.verbosity >= level.needs()
    }

    fn line(self, Now { stamp, age }: &Now, level: Level, logger: &str, text: &str) -> String {
        let (pid, number, level) = (std::process::id(), level.number(), level.name());
        // Fail2ban shows the address of its thread where we show the process.
        match self.verbosity {
            ..=2 => format!("{stamp} {logger:<24}[{pid}]: {level:<7} {text}"),
            3 => format!(" {stamp} {pid:012X} {level:<5.5} {text}"),
            4 => format!(" +{age:>5} {pid:012X} {logger:<25.25} {level:<5.5} {text}"),
            // It also shows the place in its source; we have the part of the program.
            _ => {
                let part = logger.rsplit('.').next().unwrap_or_default();
                let part = format!("| {part:>15.15}-{number:<2}: {:20} |", "");
                format!(" +{age:>5} {pid:012X} {logger:<25.25} {level:<5.5} {part} {text}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(verbosity: i32) -> Lines {
        Lines {
            verbosity,
            ..Lines::new()
        }
    }

    #[test]
    fn lines_have_the_format_that_their_number_of_v_asks_for() {
        let pid = std::process::id();
        let now = Now {
            stamp: "2026-11-23 02:18:43,337".into(),
            age: 86,
        };
        let rows = [
            (
                1,
                Level::Error,
                "fail2ban",
                format!("2026-11-23 02:18:43,337 fail2ban                [{pid}]: ERROR   x"),
            ),
            (
                2,
                Level::Info,
                "fail2ban.beautifier",
                format!("2026-11-23 02:18:43,337 fail2ban.beautifier     [{pid}]: INFO    x"),
            ),
            (
                3,
                Level::Warning,
                "fail2ban",
                format!(" 2026-11-23 02:18:43,337 {pid:012X} WARNI x"),
            ),
            (
                4,
                Level::Info,
                "fail2ban.configparserinc",
                format!(" +   86 {pid:012X} fail2ban.configparserinc  INFO  x"),
            ),
            (
                5,
                Level::Heavy,
                "fail2ban.configreader",
                format!(
                    " +   86 {pid:012X} fail2ban.configreader     HEAVY \
                     |    configreader-5 :                      | x"
                ),
            ),
        ];
        for (verbosity, level, logger, expected) in rows {
            assert_eq!(lines(verbosity).line(&now, level, logger, "x"), expected);
        }
    }

    #[test]
    fn errors_are_never_hidden_and_the_rest_takes_v() {
        let levels = [
            (Level::Error, -9),
            (Level::Warning, 1),
            (Level::Notice, 2),
            (Level::Info, 2),
            (Level::Debug, 3),
            (Level::Heavy, 4),
        ];
        for (level, least) in levels {
            let shown = |verbosity| lines(verbosity).shows(level);
            assert!(shown(least) && shown(least + 1), "{level:?}");
            assert_eq!(shown(least - 1), level == Level::Error, "{level:?}");
        }
    }
}
