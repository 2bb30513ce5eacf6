//! Follows the systemd journal.
//!
//! journald tells of new entries only every half second, but they can be read as
//! soon as they are there. So we ask often while entries come, and seldom when
//! none do: at most four times a second.

use std::io;
use std::path::Path;
use std::time::Duration;

use ferroban_date::Timestamp;

use super::batch::{Batch, Note, Position};
use super::waker::Waker;
use super::{Error, LINE_CAP, LogSource, Turn, Wait};
pub use crate::sys::journal::Place;
use crate::sys::journal::{Handle, usable};

/// Asking again this soon, for [`ACTIVE`] after the last entry.
const QUICK: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(250);
const ACTIVE: Duration = Duration::from_secs(2);
/// A batch is full with so many entries, or so many bytes of them.
const ENTRIES: usize = 1000;
const BYTES: usize = 256 << 10;
/// Where journald keeps its files.
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// From which journal.
    pub place: Place,
    /// The flags of `sd_journal_open`: 1 for local files, 4 for the system's, 8
    /// for the user's own.
    pub flags: i32,
    /// `FIELD=value`: all of one group must hold (or one, of those for the same
    /// field), for at least one group. Without any, every entry will do.
    pub matches: Vec<Vec<String>>,
    /// Nothing older than this.
    pub since: Timestamp,
    /// Go on after the entry of this cursor, if it is there and not older than `since`.
    pub after: Option<String>,
    /// Writes a time as the database has it: local, ISO 8601.
    pub stamp: fn(Timestamp) -> String,
}

/// Follows the journal. To be opened by the thread that reads it: libsystemd
/// allows no other to touch it.
#[derive(Debug)]
pub struct Journal {
    handle: Handle,
    query: Query,
    waker: Waker,
    entry: Entry,
    live: bool,
    /// Nothing came since the last entry for so long.
    quiet: Duration,
    /// The journal was opened anew, and has given nothing since.
    broken: bool,
    notes: Vec<Note>,
}

impl Journal {
    /// Whether libsystemd is installed and journald keeps a journal here.
    #[must_use]
    pub fn available() -> bool {
        usable().is_ok()
            && FOLDERS
                .iter()
                .any(|folder| has_journal(Path::new(folder), 1))
    }

    /// Opens the journal.
    ///
    /// # Errors
    ///
    /// If libsystemd is missing, or it cannot open the journal, or a match is not
    /// of the form `FIELD=value`.
    pub fn open(query: Query, waker: Waker) -> Result<Self, Error> {
        usable().map_err(Error::NoJournal)?;
        Ok(Self {
            handle: open(&query)?,
            query,
            waker,
            entry: Entry::default(),
            live: false,
            quiet: Duration::ZERO,
            broken: false,
            notes: Vec::new(),
        })
    }

    fn fill(&mut self, batch: &mut Batch) -> io::Result<()> {
        self.handle.process()?;
        let mut last = None;
        for _ in 0..ENTRIES {
            if batch.len() >= BYTES {
                break;
            }
            if !self.handle.advance()? {
                if !self.live {
                    self.live = true;
                    self.notes.push(Note::CaughtUp);
                }
                break;
            }
            let time = self.entry.read(&mut self.handle)?;
            if self.entry.length > LINE_CAP {
                let bytes = u64::try_from(self.entry.length).unwrap_or(u64::MAX);
                batch.notes.push(Note::TooLong { bytes });
            }
            batch.push_line(&self.entry.line, time);
            last = Some(time);
        }
        if let Some(time) = last {
            self.broken = false;
            self.quiet = Duration::ZERO;
            if let Ok(cursor) = self.handle.cursor() {
                self.query.after = Some(cursor);
            }
            batch.cursor.clone_from(&self.query.after);
            batch.position = Some(Position {
                path: Position::JOURNAL.to_owned(),
                hash: (self.query.stamp)(time),
                offset: time.secs(),
            });
        }
        batch.notes.append(&mut self.notes);
        Ok(())
    }

    /// Opens the journal anew after `error`, to go on where we were.
    fn reopen(&mut self, error: io::Error) -> Result<(), Error> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::Journal {
                what: "read on",
                source: error,
            });
        }
        self.handle = open(&self.query)?;
        self.notes.push(Note::Reopened(error));
        Ok(())
    }
}

impl LogSource for Journal {
    fn next(&mut self, batch: &mut Batch, wait: Wait) -> Result<Turn, Error> {
        let mut waited = Duration::ZERO;
        loop {
            batch.reset(self.live);
            if self.waker.pulled() {
                return Ok(Turn::Woken);
            }
            if let Err(error) = self.fill(batch) {
                // What is in the batch comes again, from where the last one ended.
                batch.reset(self.live);
                self.reopen(error)?;
            }
            if !batch.is_empty() {
                return Ok(Turn::Ready);
            }
            let pause = if self.quiet < ACTIVE { QUICK } else { SLOW };
            let pause = wait
                .capped(waited.saturating_add(pause))
                .saturating_sub(waited);
            if pause.is_zero() {
                return Ok(Turn::Idle);
            }
            self.waker.wait(None, Some(pause))?;
            waited = waited.saturating_add(pause);
            self.quiet = self.quiet.saturating_add(pause);
        }
    }
}

/// Opens the journal and goes to where reading starts.
fn open(query: &Query) -> Result<Handle, Error> {
    let failed = |what| move |source| Error::Journal { what, source };
    let mut handle = Handle::open(&query.place, query.flags).map_err(failed("open the journal"))?;
    // One more than the cap, to see that something was cut.
    handle
        .set_threshold(LINE_CAP + "MESSAGE=".len() + 1)
        .map_err(failed("set a limit"))?;
    for (index, group) in query
        .matches
        .iter()
        .filter(|group| !group.is_empty())
        .enumerate()
    {
        if index > 0 {
            handle
                .add_disjunction()
                .map_err(failed("set the journalmatch"))?;
        }
        for field in group {
            handle
                .add_match(field)
                .map_err(failed("set the journalmatch"))?;
        }
    }
    let since = u64::try_from(query.since.micros()).unwrap_or(0);
    let found = query
        .after
        .as_ref()
        .is_some_and(|cursor| go_to(&mut handle, cursor, since).unwrap_or(false));
    if !found {
        handle
            .seek_realtime(since)
            .map_err(failed("go to the start time"))?;
    }
    Ok(handle)
}

/// Goes to the entry of `cursor`; false if there is none, or it is too old.
fn go_to(handle: &mut Handle, cursor: &str, since: u64) -> io::Result<bool> {
    handle.seek_cursor(cursor)?;
    Ok(handle.advance()? && handle.at_cursor(cursor)? && handle.realtime()? >= since)
}

/// Whether there is a journal file in `folder`, or so many levels below.
fn has_journal(folder: &Path, levels: usize) -> bool {
    let Ok(entries) = folder.read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        path.extension()
            .is_some_and(|extension| extension == "journal")
            || (levels > 0 && has_journal(&path, levels - 1))
    })
}

/// What of one entry makes its line.
#[derive(Debug, Default)]
struct Entry {
    host: Vec<u8>,
    ident: Vec<u8>,
    command: Vec<u8>,
    ident_pid: Vec<u8>,
    pid: Vec<u8>,
    message: Vec<u8>,
    /// There was a message, if only an empty one.
    told: bool,
    time: Option<i64>,
    uptime: Option<u64>,
    line: Vec<u8>,
    /// How long the message was before it was cut.
    length: usize,
}

impl Entry {
    /// Reads the entry under the reading head into `line`; returns its time.
    fn read(&mut self, handle: &mut Handle) -> io::Result<Timestamp> {
        self.clear();
        // A damaged field ends the entry; what came before it is worth reading.
        drop(handle.each_field(&mut |field| self.take(field)));
        let kernel = self.ident() == b"kernel" && self.pid().is_empty();
        if kernel && self.uptime.is_none() {
            self.uptime = handle.monotonic().ok();
        }
        self.write();
        match self.time {
            Some(micros) => Ok(Timestamp::from_micros(micros)),
            None => Ok(Timestamp::from_micros(
                i64::try_from(handle.realtime()?).unwrap_or(0),
            )),
        }
    }

    fn clear(&mut self) {
        for part in [
            &mut self.host,
            &mut self.ident,
            &mut self.command,
            &mut self.ident_pid,
            &mut self.pid,
            &mut self.message,
            &mut self.line,
        ] {
            part.clear();
            part.shrink_to(BYTES);
        }
        (self.told, self.time, self.uptime, self.length) = (false, None, None, 0);
    }

    /// Takes one `FIELD=value`. Of a field that is there twice the first counts,
    /// but messages are joined.
    fn take(&mut self, field: &[u8]) {
        let mut halves = field.splitn(2, |&byte| byte == b'=');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            return;
        };
        let part = match name {
            b"MESSAGE" => return self.add_message(value),
            b"_SOURCE_REALTIME_TIMESTAMP" => {
                self.time = self.time.or(number(value));
                return;
            }
            b"_SOURCE_MONOTONIC_TIMESTAMP" => {
                self.uptime = self.uptime.or(number(value));
                return;
            }
            b"_HOSTNAME" => &mut self.host,
            b"SYSLOG_IDENTIFIER" => &mut self.ident,
            b"_COMM" => &mut self.command,
            b"SYSLOG_PID" => &mut self.ident_pid,
            b"_PID" => &mut self.pid,
            _ => return,
        };
        if part.is_empty() {
            // A client chooses these names. None that is honest comes near this.
            part.extend_from_slice(value.get(..4096).unwrap_or(value));
        }
    }

    fn add_message(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.told, true) {
            self.message.push(b' ');
            self.length += 1;
        }
        let room = LINE_CAP.saturating_sub(self.message.len());
        self.message
            .extend_from_slice(value.get(..room).unwrap_or(value));
        self.length += value.len();
    }

    fn ident(&self) -> &[u8] {
        if self.ident.is_empty() {
            &self.command
        } else {
            &self.ident
        }
    }

    fn pid(&self) -> &[u8] {
        if self.ident_pid.is_empty() {
            &self.pid
        } else {
            &self.ident_pid
        }
    }

    /// Writes `HOST IDENT[PID]: MESSAGE`, without the parts that are missing. A
    /// newline becomes the two characters `\n`: an entry is one line.
    fn write(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let mut add = |bytes: &[u8]| {
            let mut pieces = bytes.split(|&byte| byte == b'\n');
            line.extend_from_slice(pieces.next().unwrap_or_default());
            for piece in pieces {
                line.extend_from_slice(b"\\n");
                line.extend_from_slice(piece);
            }
        };
        let (ident, pid) = (self.ident(), self.pid());
        if !self.host.is_empty() {
            add(&self.host);
            add(b" ");
        }
        if !ident.is_empty() {
            add(ident);
            if !pid.is_empty() {
                add(b"[");
                add(pid);
                add(b"]");
            }
            add(b": ");
        }
        if let Some(micros) = self.uptime.filter(|_| ident == b"kernel" && pid.is_empty()) {
            let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            add(format!("[{seconds:>12}] ").as_bytes());
        }
        add(&self.message);
        self.line = line;
    }
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers are the original's.
    #[test]
    fn an_entry_becomes_the_line_the_original_makes_of_it() {
        let cases = [
            // fields, separated by bars; line
            (
                "_HOSTNAME=h|SYSLOG_IDENTIFIER=sshd|_PID=12|MESSAGE=m",
                "h sshd[12]: m",
            ),
            ("_COMM=sshd|SYSLOG_PID=9|_PID=1", "sshd[9]: "),
            ("MESSAGE=m|_COMM=sshd|_HOSTNAME=h", "h sshd: m"),
            ("_HOSTNAME=h|_PID=12|MESSAGE=m", "h m"),
            ("MESSAGE=m", "m"),
            ("", ""),
            ("_HOSTNAME=h|SYSLOG_IDENTIFIER=sshd", "h sshd: "),
            (
                "SYSLOG_IDENTIFIER=kernel|MESSAGE=m|_SOURCE_MONOTONIC_TIMESTAMP=12000005",
                "kernel: [   12.000005] m",
            ),
            (
                "SYSLOG_IDENTIFIER=kernel|_PID=3|_SOURCE_MONOTONIC_TIMESTAMP=1",
                "kernel[3]: ",
            ),
            ("_COMM=a|MESSAGE=m|MESSAGE=n\no ", "a: m n\\no "),
            (
                "SYSLOG_IDENTIFIER=|_COMM=c|SYSLOG_PID=|_PID=4|MESSAGE=",
                "c[4]: ",
            ),
            ("_COMM=a|_COMM=b|MESSAGE=x=y=z", "a: x=y=z"),
            // No client can make two lines of one entry.
            (
                "SYSLOG_IDENTIFIER=a\nb|SYSLOG_PID=1\n2|MESSAGE=\n",
                "a\\nb[1\\n2]: \\n",
            ),
            ("NONE|=|MESSAGEX=1|XMESSAGE=1", ""),
        ];
        let mut entry = Entry::default();
        for (fields, expected) in cases {
            entry.clear();
            fields
                .split('|')
                .for_each(|field| entry.take(field.as_bytes()));
            entry.write();
            assert_eq!(String::from_utf8_lossy(&entry.line), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_journal_is_a_file_of_that_name_in_the_folder_or_one_below() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("0123456789abcdef");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("system.log"), "").unwrap();
        assert!(!has_journal(dir.path(), 1));
        std::fs::write(below.join("system.journal"), "").unwrap();
        assert!(has_journal(dir.path(), 1));
        assert!(!has_journal(&below.join("none"), 1));
    }

    #[test]
    fn messages_together_stay_below_the_cap() {
        let mut entry = Entry::default();
        for _ in 0..5 {
            entry.take(&[b"MESSAGE=", vec![b'x'; LINE_CAP / 2].as_slice()].concat());
        }
        entry.write();
        assert!(entry.line.len() <= LINE_CAP + 4, "{}", entry.line.len());
        assert_eq!(entry.length, LINE_CAP / 2 * 5 + 4);
    }
}
