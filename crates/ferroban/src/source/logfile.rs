//! One open log file: reads it once from front to back, a line at a time.
//!
//! Which file that is, and when another takes its place, is `file`'s business.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom};
use sha1::{Digest, Sha1};

use super::LINE_CAP;
use super::batch::{Batch, Note, newline};

/// A first look, enough for what trickles in.
const SIP: usize = 16 << 10;
/// Bytes read at once as long as there is plenty.
const GULP: usize = 256 << 10;
/// Bytes before our place that are compared at each read, to see whether the
/// file was written anew in place.
const SAMPLE: usize = 128;
/// Bytes looked at to find a dated line, and lines tried.
const PROBE: usize = 64 << 10;
const PROBED_LINES: usize = 5;

/// What a file is known by as long as it is open: device and inode.
pub(super) type Id = (u64, u64);

/// What one read came to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Something was read, though perhaps no whole line yet.
    Read,
    /// Nothing more is there for now.
    End,
    /// What we read before is no longer in the file.
    Rewritten,
}

/// Memory to read into, lent to the file that is read.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(vec![0; SIP])
    }

    /// Gives back what a long read took.
    pub(super) fn rest(&mut self) {
        if self.0.len() > SIP {
            *self = Self::new();
        }
    }
}

/// An open log file and our place in it.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    /// Device and inode.
    pub(super) id: Id,
    /// The next byte to read.
    at: u64,
    /// The first byte after the last complete line.
    kept: u64,
    /// The line that is not complete yet, up to [`LINE_CAP`] bytes of it.
    partial: Vec<u8>,
    /// Bytes of that line beyond the cap.
    dropped: u64,
    /// The bytes before `at`.
    sample: Vec<u8>,
    /// SHA-1 of the first line; inside, none if that line is too long.
    hash: Option<Option<String>>,
    /// The inotify watch on this file.
    pub(super) watch: Option<i32>,
    /// No writer is known to have it open.
    pub(super) closed: bool,
}

impl LogFile {
    /// Opens the file for reading from its first byte.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Opening a named pipe would otherwise wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(Self {
            file,
            id: (meta.dev(), meta.ino()),
            at: 0,
            kept: 0,
            partial: Vec::new(),
            dropped: 0,
            sample: Vec::new(),
            hash: None,
            watch: None,
            closed: true,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The end of the last complete line.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether no name leads to this file any more.
    pub(super) fn unlinked(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Reads once, and adds the lines that became complete to `batch`.
    pub(super) fn read(&mut self, buffer: &mut Buffer, batch: &mut Batch) -> io::Result<Step> {
        if self.at == 0 {
            self.skip_hole();
        }
        let overlap = self.sample.len();
        let count = self
            .file
            .read_at(&mut buffer.0, self.at.saturating_sub(as_u64(overlap)))?;
        let read = buffer.0.get(..count).unwrap_or_default();
        let fresh = match read.split_at_checked(overlap) {
            Some((before, fresh)) if before == self.sample => fresh,
            _ => return Ok(Step::Rewritten),
        };
        if fresh.is_empty() {
            let cut = overlap == 0 && self.at > 0 && self.file.metadata()?.len() < self.at;
            return Ok(if cut { Step::Rewritten } else { Step::End });
        }
        self.at += as_u64(fresh.len());
        remember(&mut self.sample, fresh);
        self.feed(fresh, batch);
        if count == buffer.0.len() {
            buffer.0.resize(GULP, 0);
        }
        Ok(Step::Read)
    }

    /// Goes back to the first byte, as after the file was cut off.
    pub(super) fn restart(&mut self) {
        (self.at, self.kept, self.dropped) = (0, 0, 0);
        self.partial = Vec::new();
        self.sample.clear();
        self.hash = None;
    }

    /// Goes to `offset` if a line can begin there.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<bool> {
        let sample = self.before(offset)?;
        let fits = offset == 0 || sample.last() == Some(&b'\n');
        if fits {
            self.restart();
            (self.at, self.kept, self.sample) = (offset, offset, sample);
        }
        Ok(fits)
    }

    /// Goes behind the last complete line.
    pub(super) fn seek_end(&mut self) -> io::Result<()> {
        let size = self.file.metadata()?.len();
        let from = size.saturating_sub(as_u64(LINE_CAP));
        let mut tail = vec![0; usize::try_from(size - from).unwrap_or(LINE_CAP)];
        let count = self.file.read_at(&mut tail, from)?;
        let newline = tail
            .get(..count)
            .unwrap_or_default()
            .iter()
            .rposition(|&byte| byte == b'\n');
        let offset = newline.map_or(from, |newline| from + as_u64(newline) + 1);
        if !self.seek(offset)? {
            // In the midst of a line beyond the cap: the end of it will look like one.
            self.restart();
            (self.at, self.kept, self.sample) = (offset, offset, self.before(offset)?);
        }
        Ok(())
    }

    /// Whether this file holds what was read of `other` and goes on from there,
    /// as an edited or restored copy does.
    pub(super) fn carries_on(&mut self, other: &Self) -> io::Result<bool> {
        let same = !other.sample.is_empty() && self.before(other.at)? == other.sample;
        if same {
            self.restart();
            (self.at, self.kept, self.dropped) = (other.at, other.kept, other.dropped);
            (self.partial, self.sample) = (other.partial.clone(), other.sample.clone());
        }
        Ok(same)
    }

    /// SHA-1 of the first line with its newline, in hex, if it is complete.
    pub(super) fn hash(&mut self) -> io::Result<Option<String>> {
        if let Some(hash) = &self.hash {
            return Ok(hash.clone());
        }
        let hash = first_line_hash(&self.file)?;
        // Before anything was read, we would not notice that the file was cut off.
        if self.kept > 0 {
            self.hash = Some(hash.clone());
        }
        Ok(hash)
    }

    /// Goes behind the last of the old lines at the beginning: by bisection until they
    /// are few, then one by one, and not beyond `end`. Whether that took us anywhere.
    ///
    /// `is_old` says of a line whether it is old, or nothing if the line has no
    /// date. No line is left out that stands behind the last line known to be old.
    pub(super) fn skip_old(
        &mut self,
        end: u64,
        is_old: &mut dyn FnMut(&str) -> Option<bool>,
    ) -> io::Result<bool> {
        let end = end.min(self.file.metadata()?.len());
        let (mut old, mut new) = (self.kept, end);
        let mut chunk = vec![0; PROBE];
        while new.saturating_sub(old) > 2 * as_u64(PROBE) {
            let middle = old + (new - old) / 2;
            let count = self.file.read_at(&mut chunk, middle)?;
            match probe(chunk.get(..count).unwrap_or_default(), is_old) {
                Some((start, true)) => old = middle + as_u64(start),
                Some((_, false)) | None => new = middle,
            }
        }
        let left = usize::try_from(end.saturating_sub(old)).unwrap_or(usize::MAX);
        chunk.resize(left.min(2 * PROBE), 0);
        let count = self.file.read_at(&mut chunk, old)?;
        old += as_u64(old_lines(chunk.get(..count).unwrap_or_default(), is_old));
        Ok(old > self.kept && self.seek(old)?)
    }

    /// The last bytes before `offset`.
    fn before(&self, offset: u64) -> io::Result<Vec<u8>> {
        let length = offset.min(as_u64(SAMPLE));
        let mut sample = vec![0; usize::try_from(length).unwrap_or(SAMPLE)];
        let count = self.file.read_at(&mut sample, offset - length)?;
        // A file that ends earlier has nothing there.
        Ok(if count == sample.len() {
            sample
        } else {
            Vec::new()
        })
    }

    /// A log that was cut off while its writer goes on where it was begins with
    /// a hole, which reads as zeros: gigabytes of them, if the log was large.
    fn skip_hole(&mut self) {
        if let Ok(data) = rustix::fs::seek(&self.file, SeekFrom::Data(0)) {
            (self.at, self.kept) = (data, data);
        }
    }

    /// Takes in what was read: whole lines go to `batch`, the rest waits.
    fn feed(&mut self, fresh: &[u8], batch: &mut Batch) {
        let Some(first) = newline(fresh) else {
            self.hold(fresh);
            return;
        };
        let mut lines = fresh;
        if !self.partial.is_empty() {
            let (end, rest) = fresh.split_at(first + 1);
            self.hold(end);
            self.finish_partial(batch);
            lines = rest;
        }
        let end = lines
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let (whole, rest) = lines.split_at(end);
        batch.push_bytes(whole);
        self.kept = self.at - as_u64(rest.len());
        self.hold(rest);
    }

    /// Adds to the incomplete line, up to the cap.
    fn hold(&mut self, part: &[u8]) {
        let room = LINE_CAP.saturating_sub(self.partial.len());
        let (fits, beyond) = part.split_at(room.min(part.len()));
        self.partial.extend_from_slice(fits);
        self.dropped += as_u64(beyond.len());
    }

    fn finish_partial(&mut self, batch: &mut Batch) {
        if self.dropped > 0 {
            // One of the bytes dropped is the newline.
            let bytes = as_u64(self.partial.len()) + self.dropped - 1;
            if self.dropped > 1 {
                batch.notes.push(Note::TooLong { bytes });
            }
            self.partial.push(b'\n');
        }
        batch.push_bytes(&self.partial);
        // A long line's memory is given back at once.
        self.partial = Vec::new();
        self.dropped = 0;
    }
}

/// Keeps the last bytes of what was read.
fn remember(sample: &mut Vec<u8>, fresh: &[u8]) {
    let from = fresh.len().saturating_sub(SAMPLE);
    sample.extend_from_slice(fresh.get(from..).unwrap_or_default());
    sample.drain(..sample.len().saturating_sub(SAMPLE));
}

/// The first line after the first newline that `is_old` can tell the age of:
/// where it starts, and whether it is old.
fn probe(chunk: &[u8], is_old: &mut dyn FnMut(&str) -> Option<bool>) -> Option<(usize, bool)> {
    let mut start = newline(chunk)? + 1;
    for _ in 0..PROBED_LINES {
        let rest = chunk.get(start..)?;
        let line = rest.get(..newline(rest)?)?;
        let text = String::from_utf8_lossy(line);
        if let Some(old) = is_old(text.trim_end_matches('\r')) {
            return Some((start, old));
        }
        start += line.len() + 1;
    }
    None
}

/// How many bytes the old lines take that stand before the first one that is not old.
fn old_lines(chunk: &[u8], is_old: &mut dyn FnMut(&str) -> Option<bool>) -> usize {
    let (mut old, mut at) = (0, 0);
    while let Some(rest) = chunk.get(at..)
        && let Some(line) = newline(rest).and_then(|end| rest.get(..end))
    {
        let text = String::from_utf8_lossy(line);
        let age = is_old(text.trim_end_matches('\r'));
        at += line.len() + 1;
        match age {
            Some(true) => old = at,
            Some(false) => break,
            None => {}
        }
    }
    old
}

pub(super) fn first_line_hash(file: &File) -> io::Result<Option<String>> {
    let mut hasher = Sha1::new();
    let mut chunk = vec![0; 4096];
    let mut at = 0;
    while at < as_u64(LINE_CAP) {
        let count = file.read_at(&mut chunk, at)?;
        let read = chunk.get(..count).unwrap_or_default();
        if let Some(end) = newline(read) {
            hasher.update(read.get(..=end).unwrap_or_default());
            let hex = hasher
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            return Ok(Some(hex));
        }
        if read.is_empty() {
            break;
        }
        hasher.update(read);
        at += as_u64(count);
    }
    Ok(None)
}

/// A length as the file system counts.
fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
