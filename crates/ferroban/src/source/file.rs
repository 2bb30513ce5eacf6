//! Follows a log file by its path, through every rotation.
//!
//! The original opens its log for each read and forgets it. We keep it open:
//! lines written to the old file between the rename and the moment its writer
//! turns to the new one are read too, and an inode in use cannot be given to
//! another file. Three things can happen, and all are found by comparing what
//! is open with what the path leads to now:
//!
//! - another file is there: what is left of the old one comes first, then the
//!   new one from its start; the old one stays open for late writers,
//! - the file no longer holds what we read of it: it is read from its start,
//! - nothing is there: we wait until something is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::ReadFlags;

use super::batch::{Batch, Change, Note, Position};
use super::logfile::{Buffer, Id, LogFile, Step};
use super::rotation::Moves;
use super::waker::Waker;
use super::watch::{Watch, tells};
use super::{Error, LogSource, Turn, Wait};

/// How often a file is looked at where the kernel does not tell of changes.
const LOOK: Duration = Duration::from_secs(2);
/// Files kept open at once: the one at the path and some before it.
const OPEN: usize = 4;
/// Looks in a row at a path that comes and goes.
const LOOKS: usize = 4;
/// Reads in one call that complete no line, before the caller gets a say.
const READS: usize = 64;

/// Where in a file to begin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Start {
    /// At the first line.
    Beginning,
    /// Where this says, if it is still the same file, else at the first line.
    After(Position),
    /// The same, by who was in operation there: all that follows is new.
    On(Position),
    /// Behind the last line there is: the option `tail`.
    End,
}

/// Follows a log file.
#[derive(Debug)]
pub struct FileTail {
    path: PathBuf,
    start: Start,
    waker: Waker,
    watch: Watch,
    moves: Moves,
    /// In the order they were written; the last is at the path if `present`.
    files: Vec<LogFile>,
    present: bool,
    /// Why the path could not be opened last time.
    trouble: Option<io::ErrorKind>,
    /// Reading failed, and has not succeeded since.
    broken: bool,
    /// The kernel does not tell us; we have to look.
    looking: bool,
    /// Something was read, or passed over, since the start.
    begun: bool,
    live: bool,
    buffer: Buffer,
    /// To be handed out with the next batch.
    notes: Vec<Note>,
}

impl FileTail {
    /// Follows the file at `path`, which need not exist yet.
    ///
    /// # Errors
    ///
    /// If `path` cannot be that of a file.
    pub fn open(path: &Path, start: Start, waker: Waker) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|_| Error::Path(path.to_owned()))?;
        if path.file_name().is_none() {
            return Err(Error::Path(path));
        }
        let (watch, error) = Watch::new();
        let mut tail = Self {
            looking: error.is_some() || !tells(&path),
            begun: false,
            live: matches!(start, Start::End | Start::On(_)),
            path,
            start,
            waker,
            watch,
            moves: Moves::default(),
            files: Vec::new(),
            present: false,
            trouble: None,
            broken: false,
            buffer: Buffer::new(),
            notes: error.map(Note::Unwatched).into_iter().collect(),
        };
        tail.look();
        Ok(tail)
    }

    /// The path as it is watched.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Before the first [`next`](LogSource::next): passes over most of the lines
    /// that `is_old` calls old, in a few dozen reads. What lies beyond `end` came
    /// after the start, and is read.
    ///
    /// Asked for a line, `is_old` says whether it is old, or nothing if it has no
    /// date. What it is never asked about may still turn out to be old.
    ///
    /// # Errors
    ///
    /// If the file cannot be read; it is then read from where it would have been.
    pub fn skip_old(
        &mut self,
        end: u64,
        is_old: &mut dyn FnMut(&str) -> Option<bool>,
    ) -> io::Result<()> {
        if let Some(file) = self.files.last_mut().filter(|_| !self.live) {
            self.begun |= file.skip_old(end, is_old)?;
        }
        Ok(())
    }

    /// Where the next line begins; none if there is no file, or no whole line in it.
    pub fn place(&mut self) -> Option<Position> {
        let last = self.files.len().checked_sub(1)?;
        self.position(last)
    }

    /// Looks every other second, even if the kernel would tell: `backend = polling`.
    pub fn poll(&mut self) {
        self.looking = true;
    }

    /// Reads on; false if there may be more.
    fn read(&mut self, batch: &mut Batch) -> bool {
        batch.notes.append(&mut self.notes);
        let mut index = 0;
        for _ in 0..READS {
            let Some(file) = self.files.get_mut(index) else {
                self.settle(batch);
                return true;
            };
            let step = file.read(&mut self.buffer, batch);
            self.begun |= matches!(step, Ok(Step::Read));
            match step {
                Ok(Step::Read) if !batch.text().is_empty() => {
                    self.broken = false;
                    batch.position = self.position(index);
                    return false;
                }
                Ok(Step::Read) => {}
                Ok(Step::End) => {
                    self.hand_over(index);
                    index += 1;
                }
                Ok(Step::Rewritten) => {
                    let (change, offset) = (Change::Truncated, file.kept());
                    batch.notes.push(Note::Rotated { change, offset });
                    file.restart();
                }
                Err(error) => self.lose(index, error, batch),
            }
        }
        false
    }

    /// A file was read to its end. If it is gone and the next one is a copy of it,
    /// as an editor leaves it, then that goes on where we are.
    fn hand_over(&mut self, index: usize) {
        if let Ok([old, new]) = self.files.get_disjoint_mut([index, index + 1])
            && new.kept() == 0
            && old.unlinked()
        {
            // Where that cannot be told, reading will fail too, and say so.
            new.carries_on(old).ok();
        }
    }

    /// All there is has been read: lets go of files that nobody writes any more.
    ///
    /// As in the original, a log that had nothing to read yet is not caught up with:
    /// what is put into it first may be old.
    fn settle(&mut self, batch: &mut Batch) {
        self.buffer.rest();
        self.broken &= !self.present;
        if !self.live && self.present && self.begun {
            self.live = true;
            batch.notes.push(Note::CaughtUp);
        }
        let taken_over = self.files.last().is_some_and(|last| last.kept() > 0);
        let last = self.files.len().saturating_sub(usize::from(self.present));
        let mut excess = self.files.len().saturating_sub(OPEN);
        let mut index = 0;
        let (watch, present) = (&self.watch, self.present);
        self.files.retain(|file| {
            index += 1;
            let written = !file.closed && (!present || !taken_over);
            let keep = index > last || (excess == 0 && (written || !file.unlinked()));
            if !keep {
                excess = excess.saturating_sub(1);
                watch.remove_file(file.watch);
            }
            keep
        });
    }

    /// Where to go on: known only for the file that is at the path.
    fn position(&mut self, index: usize) -> Option<Position> {
        let last = index + 1 == self.files.len() && self.present;
        let file = self.files.get_mut(index).filter(|_| last)?;
        let hash = file.hash().ok()??;
        Some(Position::of_file(&self.path, &hash, file.kept()))
    }

    /// Gives up a file that cannot be read, to try it again where we were.
    fn lose(&mut self, index: usize, error: io::Error, batch: &mut Batch) {
        if let Some(position) = self.position(index) {
            self.start = Start::After(position);
        }
        self.present &= index + 1 != self.files.len();
        let file = self.files.remove(index);
        self.watch.remove_file(file.watch);
        if !std::mem::replace(&mut self.broken, true) {
            batch.notes.push(Note::Unreadable(error));
        }
    }

    /// Compares what is open with what the path leads to.
    fn look(&mut self) {
        for _ in 0..LOOKS {
            let was = self.present;
            if let Err(error) = self.watch.follow(&self.path, !was) {
                self.unwatched(error);
            }
            match LogFile::open(&self.path) {
                Ok(file) => self.found(file),
                Err(error) => self.missed(error),
            }
            // Other places matter now; and before they were watched, it may
            // have changed again.
            if self.present == was {
                break;
            }
        }
    }

    fn unwatched(&mut self, error: io::Error) {
        if !self.looking {
            self.looking = true;
            self.notes.push(Note::Unwatched(error));
        }
    }

    /// The path leads to a file that can be opened.
    fn found(&mut self, file: LogFile) {
        let missed = self.trouble == Some(io::ErrorKind::NotFound);
        if missed && !self.present {
            self.notes.push(Note::Appeared);
        }
        let first = self.files.is_empty() && !missed && !self.broken;
        self.find_between(first, Some(file.id));
        if self.make_last(Some(file.id)) {
            // It is still there, or there again.
        } else if let Some(last) = self.files.last() {
            let (change, offset) = (Change::Replaced, last.kept());
            self.notes.push(Note::Rotated { change, offset });
            self.push(file);
        } else {
            self.begin(file);
        }
        (self.present, self.trouble, self.start) = (true, None, Start::Beginning);
    }

    /// The first file we see.
    fn begin(&mut self, mut file: LogFile) {
        let start = self.start.clone();
        let hash = file.hash().ok().flatten();
        // Where that fails, reading will fail too, and say so.
        let placed = match &start {
            Start::Beginning => Ok(()),
            Start::End => file.seek_end(),
            Start::After(position) | Start::On(position)
                if hash.as_deref() == Some(&position.hash) =>
            {
                file.seek(u64::try_from(position.offset).unwrap_or(0))
                    .map(drop)
            }
            Start::After(_) | Start::On(_) => Ok(()),
        };
        if placed.is_ok() || start != Start::End {
            self.notes.push(Note::Opened {
                offset: file.kept(),
                hash,
            });
        }
        self.push(file);
    }

    /// Opens the files that were at the path and left it before we looked; at the
    /// `first` look they are none of our business. `here` is what is there now.
    ///
    /// We look later than the kernel tells. So some of them may have come after the one
    /// we found at the path last time, and some before; they are put in that order.
    fn find_between(&mut self, first: bool, here: Option<Id>) {
        let (paths, mut missed) = self.moves.take();
        if first {
            return;
        }
        let mut left = Vec::new();
        for path in paths {
            let file = path.as_deref().map(LogFile::open);
            missed += usize::from(matches!(file, Some(Err(_))));
            left.push(file.and_then(Result::ok));
        }
        let mut untold = self.left_untold(&left, here);
        for file in left {
            match file {
                Some(file) if here == Some(file.id) => {}
                Some(file) => self.found_between(file),
                // Most likely that is the one whose leaving we miss.
                None => drop(self.make_last(untold.take())),
            }
        }
        self.make_last(untold);
        if missed > 0 {
            self.notes.push(Note::Missed { files: missed });
        }
    }

    fn found_between(&mut self, file: LogFile) {
        if self.files.is_empty() {
            // Perhaps the one that could not be read any more.
            self.begin(file);
        } else if !self.make_last(Some(file.id)) {
            self.push(file);
        }
    }

    /// The file that was at the path last time, if it is no longer, is not among those
    /// that `left` as far as we are told, and was not removed.
    fn left_untold(&self, left: &[Option<LogFile>], here: Option<Id>) -> Option<Id> {
        let last = self.files.last().filter(|_| self.present)?;
        let told = left.iter().flatten().any(|file| file.id == last.id);
        (!told && here != Some(last.id) && !last.unlinked()).then_some(last.id)
    }

    /// Puts a file behind all others; false if it is not open.
    fn make_last(&mut self, id: Option<Id>) -> bool {
        let known = self.files.iter().position(|known| Some(known.id) == id);
        if let Some(index) = known {
            let known = self.files.remove(index);
            self.files.push(known);
        }
        known.is_some()
    }

    fn push(&mut self, mut file: LogFile) {
        match self.watch.add_file(file.file()) {
            Ok(watch) => file.watch = Some(watch),
            Err(error) => self.unwatched(error),
        }
        self.files.push(file);
    }

    /// The path leads to nothing that can be opened.
    fn missed(&mut self, error: io::Error) {
        let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind());
        let kind = if gone {
            io::ErrorKind::NotFound
        } else {
            error.kind()
        };
        let first = self.files.is_empty() && self.trouble.is_none() && !self.broken;
        self.find_between(first, None);
        let known = self.trouble.replace(kind) == Some(kind);
        let was = std::mem::replace(&mut self.present, false);
        if gone && self.start == Start::End {
            // All that will be there is new.
            self.start = Start::Beginning;
        }
        match (known, gone, was) {
            (true, ..) => {}
            (false, true, true) => self.notes.push(Note::Vanished),
            (false, true, false) => self.notes.push(Note::Missing),
            (false, false, _) => self.notes.push(Note::Unreadable(error)),
        }
    }

    /// Waits, and takes in what the kernel has to tell.
    fn wait(&mut self, wait: Wait) -> Result<(), Error> {
        let looking = self.must_look();
        let limit = match wait {
            Wait::Forever if !looking => None,
            _ if looking => Some(wait.capped(LOOK)),
            _ => Some(wait.capped(Duration::MAX)),
        };
        self.waker.wait(self.watch.fd(), limit)?;
        let mut seen = self.watch.seen(&mut self.moves);
        for (watch, flags) in seen.files {
            let Some(file) = self.files.iter_mut().find(|file| file.watch == Some(watch)) else {
                continue;
            };
            if flags.contains(ReadFlags::MODIFY) {
                file.closed = false;
            } else if flags.contains(ReadFlags::CLOSE_WRITE) {
                file.closed = true;
            } else {
                seen.path = true;
            }
        }
        if seen.path || looking {
            self.look();
        }
        Ok(())
    }

    /// Whether the kernel will not tell when there is something to do: it does not
    /// at all, or what is in the way is no change of a folder.
    fn must_look(&self) -> bool {
        let gone = |kind| kind == io::ErrorKind::NotFound;
        self.looking || self.broken || self.trouble.is_some_and(|kind| !gone(kind))
    }
}

impl LogSource for FileTail {
    fn next(&mut self, batch: &mut Batch, wait: Wait) -> Result<Turn, Error> {
        batch.reset(self.live);
        if self.waker.pulled() {
            return Ok(Turn::Woken);
        }
        let drained = self.read(batch);
        if drained && batch.is_empty() {
            self.wait(wait)?;
            if self.waker.pulled() {
                return Ok(Turn::Woken);
            }
            batch.live = self.live;
            self.read(batch);
        }
        Ok(if batch.is_empty() {
            Turn::Idle
        } else {
            Turn::Ready
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// What is read until there is no more, with time for a look or two.
    fn lines(tail: &mut FileTail) -> Vec<String> {
        let (mut lines, mut batch) = (Vec::new(), Batch::new());
        while tail.next(&mut batch, Wait::AtMost(2 * LOOK)).unwrap() == Turn::Ready {
            lines.extend(batch.lines().map(|line| line.text.to_owned()));
        }
        lines
    }

    /// What is read until there is no more now.
    fn lines_now(tail: &mut FileTail) -> Vec<String> {
        let (mut lines, mut batch) = (Vec::new(), Batch::new());
        while tail.next(&mut batch, Wait::No).unwrap() == Turn::Ready {
            lines.extend(batch.lines().map(|line| line.text.to_owned()));
        }
        lines
    }

    /// The log goes to a name of its own, and another takes its place.
    fn rotate(path: &Path, number: usize) {
        fs::rename(path, path.with_extension(number.to_string())).unwrap();
        append(path, &format!("{number}\n"));
    }

    #[test]
    fn what_is_found_before_the_kernel_tells_how_it_came_there_is_read_once_and_to_its_end() {
        // Rotations before a look, and after it until the kernel is listened to, and then
        // until the next look.
        for (ahead, told, untold) in [
            (1, 0, 1),
            (8, 0, 1),
            (8, 0, 6),
            (8, 1, 0),
            (8, 5, 6),
            (2, 6, 0),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            append(&path, "start\n");
            let mut tail = FileTail::open(&path, Start::Beginning, Waker::new().unwrap()).unwrap();
            assert_eq!(lines_now(&mut tail), ["start"]);
            (0..ahead).for_each(|number| rotate(&path, number));
            tail.look();
            let (told, end) = (ahead + told, ahead + told + untold);
            (ahead..told).for_each(|number| rotate(&path, number));
            assert!(tail.watch.seen(&mut tail.moves).path);
            (told..end).for_each(|number| rotate(&path, number));
            tail.look();
            let seen = lines_now(&mut tail);
            // Its writer is told of the last rotation a little later.
            append(&path.with_extension((end - 1).to_string()), "late\n");
            assert_eq!(lines_now(&mut tail), ["late"]);
            let mut numbers: Vec<usize> = seen.iter().map(|line| line.parse().unwrap()).collect();
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(0..end), "{numbers:?}");
        }
    }

    #[test]
    fn a_file_that_could_not_be_read_is_tried_again_even_if_nothing_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "a\nb\n");
        let mut tail = FileTail::open(&path, Start::Beginning, Waker::new().unwrap()).unwrap();
        assert_eq!(lines(&mut tail), ["a", "b"]);
        let mut batch = Batch::new();
        tail.lose(0, io::ErrorKind::Other.into(), &mut batch);
        assert!(tail.must_look());
        append(&path, "c\n");
        assert_eq!(lines(&mut tail), ["c"]);
        assert!(!tail.must_look(), "the kernel tells again");
    }

    #[test]
    fn what_was_left_in_a_file_that_could_not_be_read_is_read_after_its_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        append(&path, "a\nb\n");
        let mut tail = FileTail::open(&path, Start::Beginning, Waker::new().unwrap()).unwrap();
        assert_eq!(lines(&mut tail), ["a", "b"]);
        tail.lose(0, io::ErrorKind::Other.into(), &mut Batch::new());
        append(&path, "c\n");
        fs::rename(&path, &old).unwrap();
        append(&path, "d\n");
        assert_eq!(lines(&mut tail), ["c", "d"]);
    }
}
