//! The lines the client writes to standard error, in fail2ban's log format.

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
}

impl Lines {
    pub(super) fn error(self, text: &str) {
        self.say(Level::Error, "fail2ban", text);
    }

    pub(super) fn say(self, level: Level, logger: &str, text: &str) {
        if self.shows(level) {
            let stamp = clock::log_stamp();
            out::error(&self.line(&stamp, level, logger, text));
        }
    }

    fn shows(self, level: Level) -> bool {
        self.verbosity >= level.needs()
    }

    fn line(self, stamp: &str, level: Level, logger: &str, text: &str) -> String {
        let (pid, level) = (std::process::id(), level.name());
        if self.verbosity < 3 {
            return format!("{stamp} {logger:<24}[{pid}]: {level:<7} {text}");
        }
        // Fail2ban shows the address of its thread here, which tells nobody anything.
        format!(" {stamp} {pid:012X} {level:<5.5} {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_log_format() {
        let pid = std::process::id();
        let stamp = "2026-11-23 02:18:43,337";
        let rows = [
            (
                1,
                Level::Error,
                "fail2ban",
                format!("{stamp} fail2ban                [{pid}]: ERROR   x"),
            ),
            (
                2,
                Level::Info,
                "fail2ban.beautifier",
                format!("{stamp} fail2ban.beautifier     [{pid}]: INFO    x"),
            ),
            (
                3,
                Level::Warning,
                "fail2ban",
                format!(" {stamp} {pid:012X} WARNI x"),
            ),
        ];
        for (verbosity, level, logger, expected) in rows {
            let lines = Lines { verbosity };
            assert_eq!(lines.line(stamp, level, logger, "x"), expected);
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
            let shown = |verbosity| Lines { verbosity }.shows(level);
            assert!(shown(least) && shown(least + 1), "{level:?}");
            assert_eq!(shown(least - 1), level == Level::Error, "{level:?}");
        }
    }
}
