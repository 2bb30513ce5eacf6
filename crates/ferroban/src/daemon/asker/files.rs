//! Files of `ignoreip`, as they are now.
//!
//! A file is read when somebody is looked up in it for the first time, and again when it
//! has changed; whether it has is looked at once a second at most. One that cannot be
//! read is told, and tried again after a minute; until then what it said last counts,
//! so that an accident does not ban those whom it protects.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferroban_config::quoted;
use ferroban_engine::FailId;
use rustix::fs::OFlags;

use super::list::List;
use crate::log::Log;
use crate::names;

/// How long a file is taken to be as it was.
const FRESH: Duration = Duration::from_secs(1);
/// After which time one that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(60);
/// After which time one that nobody asks about is forgotten.
const UNUSED: Duration = Duration::from_secs(3600);
/// The longest file, in bytes: more than a million addresses.
const MOST_BYTES: u64 = 64 << 20;
/// The most addresses and networks of one file.
const MOST_ENTRIES: usize = 2_000_000;

/// Why a file does not count.
#[derive(Debug)]
enum FileError {
    /// It cannot be read.
    Read(io::Error),
    /// It is a folder, a pipe or the like.
    NoFile,
    /// It has that many bytes at least.
    Large,
    /// It has more addresses than are kept.
    TooMany,
}

impl FileError {
    /// As Python writes an error of the system.
    fn shown(&self, path: &str) -> String {
        let most = MOST_BYTES >> 20;
        match self {
            Self::Read(error) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                let number = error.raw_os_error();
                let number = number.map(|number| format!("[Errno {number}] "));
                format!("{}{text}: {}", number.unwrap_or_default(), quoted(path))
            }
            Self::NoFile => "it is no regular file; name one with addresses".to_owned(),
            Self::Large => format!("it is longer than {most} MiB; list networks instead"),
            Self::TooMany => {
                format!("it has more than {MOST_ENTRIES} addresses; list networks instead")
            }
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// What changes with the content of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    time: (i64, i64),
    place: (u64, u64),
    size: u64,
}

impl Stamp {
    fn new(data: &Metadata) -> Self {
        Self {
            time: (data.mtime(), data.mtime_nsec()),
            place: (data.dev(), data.ino()),
            size: data.size(),
        }
    }
}

/// A file that is known.
#[derive(Debug, Default)]
struct Known {
    list: List,
    /// How it was when it was read; nothing if it never was, or has to be again.
    stamp: Option<Stamp>,
    /// When to look again.
    next: Option<Instant>,
}

/// All the files that are asked about.
#[derive(Debug)]
pub(super) struct Files {
    log: Log,
    known: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    file: Arc<Mutex<Known>>,
    asked: Instant,
}

impl Files {
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            known: Mutex::default(),
        }
    }

    /// Whether a file lists an id. Who asks while another reads the file waits for it.
    pub(super) fn list(&self, path: &str, id: &FailId, now: Instant) -> bool {
        let file = self.file(path, now);
        let mut file = lock(&file);
        if file.next.is_none_or(|next| next <= now) {
            self.look(path, &mut file, now);
        }
        file.list.contains(id)
    }

    fn file(&self, path: &str, now: Instant) -> Arc<Mutex<Known>> {
        let mut known = lock(&self.known);
        if let Some(entry) = known.get_mut(path) {
            entry.asked = now;
            return Arc::clone(&entry.file);
        }
        known.retain(|_, entry| now.saturating_duration_since(entry.asked) < UNUSED);
        let file = Arc::default();
        let entry = Entry {
            file: Arc::clone(&file),
            asked: now,
        };
        known.insert(path.to_owned(), entry);
        file
    }

    /// Reads the file if it is not as it was.
    fn look(&self, path: &str, file: &mut Known, now: Instant) {
        let read = fs::metadata(path)
            .map_err(FileError::from)
            .and_then(|data| {
                if file.stamp == Some(Stamp::new(&data)) {
                    return Ok(None);
                }
                read(path).map(Some)
            });
        let wait = match read {
            Ok(None) => FRESH,
            Ok(Some((stamp, list))) => {
                self.tell(path, &list);
                file.stamp = Some(stamp);
                file.list = list;
                FRESH
            }
            Err(error) => {
                let error = error.shown(path);
                let path = quoted(path);
                let text = format!("Retrieving IPs set from {path} failed: {error}");
                self.log.warning(names::LOGGER, &text);
                file.stamp = None;
                RETRY
            }
        };
        file.next = now.checked_add(wait);
    }

    /// Tells of words that say nothing.
    fn tell(&self, path: &str, list: &List) {
        if let Some(first) = &list.first {
            let (path, first, others) = (quoted(path), quoted(first), list.others);
            let text = format!(
                "IPs set from {path}: {others} word(s) are no addresses and left out, {first} first"
            );
            self.log.warning(names::LOGGER, &text);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a whole file, and how it was before that.
fn read(path: &str) -> Result<(Stamp, List), FileError> {
    // A pipe without a writer would be waited for.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(FileError::NoFile);
    }
    let list = read_from(&file, &data, MOST_BYTES)?;
    Ok((Stamp::new(&data), list))
}

fn read_from(file: &File, data: &Metadata, most: u64) -> Result<List, FileError> {
    if data.len() > most {
        return Err(FileError::Large);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(FileError::Large);
    }
    let text = String::from_utf8_lossy(&bytes);
    List::parse(&text, MOST_ENTRIES).map_err(|_| FileError::TooMany)
}

#[cfg(test)]
mod tests;
