//! The log: fail2ban's levels, targets and line format.
//!
//! Other programs parse these lines, the `recidive` jail among them, so they are
//! interface. The wording of what happened is in [`events`].

pub(crate) mod events;
mod queue;

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::clock;
use queue::Queue;

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

/// Takes log lines; cheap to clone, one for every thread. Nobody who has something to
/// tell waits until it is written.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    level: Level,
    queue: Queue,
}

/// How long [`Log::flush`] waits for a log that nobody reads.
const PATIENCE: Duration = Duration::from_secs(1);

impl Log {
    /// Opens a target. A file is appended to and, if new, readable by us alone.
    pub(crate) fn open(target: &Target, level: Level) -> io::Result<Self> {
        let file = match target {
            Target::Stdout => io::stdout().as_fd().try_clone_to_owned()?.into(),
            Target::Stderr => io::stderr().as_fd().try_clone_to_owned()?.into(),
            Target::File(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?,
        };
        let queue = Queue::start(file)?;
        Ok(Self { level, queue })
    }

    /// Tells one line if `level` is wanted. `logger` is the part after
    /// `fail2ban.`, except for our own lines, which begin with `ferroban`.
    pub(crate) fn line(&self, level: Level, logger: &str, message: &str) {
        if level >= self.level {
            self.queue.push(line_now(level, logger, message));
        }
    }

    /// Waits until what was told is written, though not for ever. Whoever ends the
    /// process does this first.
    pub(crate) fn flush(&self) {
        self.queue.flush(PATIENCE);
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

/// Stand-ins until the real ones are merged.
impl Log {
    pub(crate) fn set_level(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    pub(crate) fn level(&self) -> String {
        "INFO".into()
    }
    pub(crate) fn change_target(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    pub(crate) fn target(&self) -> String {
        "STDOUT".into()
    }
    pub(crate) fn set_syslog_socket(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    pub(crate) fn syslog_socket(&self) -> String {
        "auto".into()
    }
    pub(crate) fn flush_files(&self) -> &'static str {
        "rolled over"
    }
}

fn line_now(level: Level, logger: &str, message: &str) -> String {
    let pid = std::process::id();
    format_line(&clock::log_stamp(), logger, pid, level, message)
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

    use std::fs;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::channel;
    use std::thread;

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
    fn what_was_told_is_written_after_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(&Target::File(path.clone()), Level::Notice).unwrap();
        for round in 1..=100 {
            log.info("server", "not wanted");
            log.warning("server", "wanted");
            log.flush();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), round, "{text}");
            assert!(!text.contains("not wanted"));
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up_and_tells_what_it_lost() {
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let log = Log::open(&Target::File(path.into()), Level::Info).unwrap();
        drop(writer);
        let (done, finished) = channel();
        let all = 3 * queue::MOST;
        // If it is held up, it ends when the reader is dropped.
        let teller = thread::Builder::new().spawn(move || {
            for number in 0..all {
                log.info("server", &format!("line {number}"));
            }
            log.flush();
            done.send(()).unwrap();
        });
        finished.recv_timeout(Duration::from_secs(30)).unwrap();
        teller.unwrap().join().unwrap();

        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let lost = |line: &str| -> Option<usize> {
            let (_, rest) = line.split_once(": WARNING ")?;
            let count = rest.strip_suffix(" log line(s) lost: nobody reads the log")?;
            Some(count.parse().unwrap())
        };
        let told: Vec<usize> = text.lines().filter_map(lost).collect();
        let kept = text.lines().count() - told.len();
        assert!(kept >= queue::MOST && !told.is_empty(), "{kept} {told:?}");
        assert_eq!(kept + told.iter().sum::<usize>(), all);
        assert!(text.contains(" ferroban.log "));
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
