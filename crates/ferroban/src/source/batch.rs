//! What a source hands out: lines, notes, and how far it came.

use std::io;
use std::path::Path;

use ferroban_date::Timestamp;

use super::encoding::Encoding;

/// A batch keeps this much room for the next filling; what a burst took beyond
/// it is given back.
const KEEP: usize = 64 << 10;

/// Of a line that is not UTF-8, a [`Note::Undecodable`] shows at most this much.
const SHOWN: usize = 4 << 10;

/// A run of complete lines of one log, in order.
///
/// The lines lie one after the other in one text, so that a caller can search
/// all of them at once ([`Batch::text`]) and need not look at those without a
/// hit. A batch holds at most one line of [`LINE_CAP`](super::LINE_CAP) and
/// 256 KiB of others; bytes that are not UTF-8 take three times their room.
#[derive(Debug, Default)]
pub struct Batch {
    /// Every line ends in a newline.
    text: String,
    /// One for each line, or none at all.
    times: Vec<Timestamp>,
    /// What happened to the log, in order.
    pub notes: Vec<Note>,
    /// Where to go on after these lines; none if that has not changed, or
    /// cannot be said.
    pub position: Option<Position>,
    /// The same place to the entry, for a [`Query`](super::Query): a journal's
    /// position is only true to the second.
    pub cursor: Option<String>,
    /// Whether these lines are new. False while a source still reads what was
    /// there when it started; of a file with nothing to read yet, until that comes.
    pub live: bool,
    /// How bytes become text.
    encoding: Encoding,
}

impl Batch {
    /// An empty batch of UTF-8.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch of lines in an encoding, one that
    /// [has plain lines](Encoding::has_plain_lines).
    #[must_use]
    pub fn in_encoding(encoding: Encoding) -> Self {
        Self {
            encoding,
            ..Self::default()
        }
    }

    /// All lines, decoded, each with its newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines, without the newlines and carriage returns at their ends.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            rest: &self.text,
            times: &self.times,
        }
    }

    /// Whether there is neither a line nor a note.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.notes.is_empty()
    }

    /// Forgets everything but `live`.
    pub(super) fn reset(&mut self, live: bool) {
        if self.text.len() < KEEP {
            // Not in the midst of a burst, which would need it again at once.
            self.text.shrink_to(KEEP);
        }
        self.text.clear();
        self.times.clear();
        self.notes.clear();
        self.position = None;
        self.cursor = None;
        self.live = live;
    }

    /// Bytes of text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Adds `bytes`, whole lines that end in a newline.
    ///
    /// Decoding many lines at once gives what decoding each would give: a
    /// newline is never part of a longer UTF-8 sequence, not even of a broken one.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        if !self.encoding.is_utf8() {
            return bytes
                .split_inclusive(|byte| *byte == b'\n')
                .for_each(|line| self.push_encoded(line));
        }
        match str::from_utf8(bytes) {
            Ok(text) => self.text.push_str(text),
            Err(error) => {
                self.note_undecodable(line_around(bytes, error.valid_up_to()));
                self.text.push_str(&String::from_utf8_lossy(bytes));
            }
        }
    }

    /// Adds a line in another encoding.
    fn push_encoded(&mut self, line: &[u8]) {
        let (bare, end) = match line.strip_suffix(b"\n") {
            Some(bare) => (bare, "\n"),
            None => (line, ""),
        };
        let (text, good) = self.encoding.decode(bare);
        if !good {
            self.note_undecodable(line_around(bare, 0));
        }
        // No byte but the last is a line end.
        self.text.push_str(&text.replace('\n', "\u{fffd}"));
        self.text.push_str(end);
    }

    fn note_undecodable(&mut self, line: &[u8]) {
        let told = |note: &Note| matches!(note, Note::Undecodable { .. });
        if !self.notes.iter().any(told) {
            let line = line.to_vec();
            self.notes.push(Note::Undecodable { line });
        }
    }

    /// Adds one line that has a time of its own and holds no newline.
    pub(super) fn push_line(&mut self, line: &[u8], time: Timestamp) {
        self.push_bytes(line);
        self.text.push('\n');
        self.times.push(time);
    }
}

/// The line of `bytes` that `at` lies in, at most [`SHOWN`] bytes of it.
fn line_around(bytes: &[u8], at: usize) -> &[u8] {
    let (before, after) = bytes.split_at(at.min(bytes.len()));
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let end = newline(after).map_or(bytes.len(), |newline| before.len() + newline);
    let line = bytes.get(start..end).unwrap_or_default();
    // A long line is shown from shortly before the bytes in question.
    let from = (at - start)
        .saturating_sub(SHOWN / 2)
        .min(line.len().saturating_sub(SHOWN));
    let shown = line.get(from..).unwrap_or_default();
    shown.get(..SHOWN).unwrap_or(shown)
}

/// Where the first newline is.
pub(super) fn newline(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

/// One line of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// The text, decoded; bytes that are not UTF-8 became U+FFFD.
    pub text: &'a str,
    /// The time the log gave apart from the text: the journal does, a file does not.
    pub time: Option<Timestamp>,
}

/// The lines of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a str,
    times: &'a [Timestamp],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = newline(self.rest.as_bytes()).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let time = self.times.split_first().map(|(time, later)| {
            self.times = later;
            *time
        });
        Some(Line {
            text: line.trim_end_matches(['\r', '\n']),
            time,
        })
    }
}

/// Where to go on after a restart, as the `logs` table of the database has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// The path of the file, or `systemd-journal`.
    pub path: String,
    /// SHA-1 of the first line with its newline, in hex, to tell whether it is
    /// still the same file; for the journal, the time of the last entry as text.
    pub hash: String,
    /// Bytes up to the end of the last complete line; for the journal, seconds.
    pub offset: i64,
}

/// What happened to a log. Rendered elsewhere.
#[derive(Debug)]
pub enum Note {
    /// The log is there and is read from here on.
    Opened {
        /// Bytes that are left out because they were read before, or are old.
        offset: u64,
        /// SHA-1 of the first line, if there is a complete one.
        hash: Option<String>,
    },
    /// There is no such log (yet). It is waited for.
    Missing,
    /// The log that was missing is there.
    Appeared,
    /// The log is gone. What is left of it is still read.
    Vanished,
    /// The log starts anew, and reading with it; the old one was read to its end.
    Rotated {
        /// How that was noticed.
        change: Change,
        /// Bytes read of the old one.
        offset: u64,
    },
    /// The log was rotated again and again before we looked, and some of the
    /// files in between are not to be found.
    Missed {
        /// How many.
        files: usize,
    },
    /// The log may not or cannot be read. Tried again when something changes.
    Unreadable(io::Error),
    /// The kernel does not tell us about changes; the log is looked at every
    /// other second instead.
    Unwatched(io::Error),
    /// A line is not UTF-8. Told once for each batch.
    Undecodable {
        /// The line, or the part of it that matters.
        line: Vec<u8>,
    },
    /// A line was longer than [`LINE_CAP`](super::LINE_CAP) and was cut.
    TooLong {
        /// How long it was.
        bytes: u64,
    },
    /// The journal could not be read on and was opened anew.
    Reopened(io::Error),
    /// All that was there at start has been read; what follows is live. Of a file
    /// that held nothing new, told once something came.
    CaughtUp,
}

/// How a file starts anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Another file is at its path.
    Replaced,
    /// It was cut off, or written anew in place.
    Truncated,
}

impl Position {
    /// The name the journal has in the database.
    pub const JOURNAL: &'static str = "systemd-journal";

    pub(super) fn of_file(path: &Path, hash: &str, offset: u64) -> Self {
        Self {
            path: path.display().to_string(),
            hash: hash.to_owned(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_decoded_line_by_line_and_what_they_lack_is_told_once() {
        let cases: [(&str, &[u8], &str, bool); 5] = [
            ("latin-1", b"caf\xe9\nb\n", "café\nb\n", true),
            ("ascii", b"caf\xe9\nb\n", "caf\u{fffd}\nb\n", false),
            ("cp1252", b"\x80 5\n", "€ 5\n", true),
            ("koi8-r", b"\xc1\n\xc2\n", "а\nб\n", true),
            ("utf-8", b"caf\xe9\n", "caf\u{fffd}\n", false),
        ];
        for (name, bytes, expected, good) in cases {
            let mut batch = Batch::in_encoding(Encoding::named(name).unwrap());
            batch.push_bytes(bytes);
            assert_eq!(batch.text(), expected, "{name}");
            assert_eq!(batch.notes.is_empty(), good, "{name}");
        }
    }

    #[test]
    fn lines_end_at_newlines_alone_and_lose_their_ends() {
        let cases: [(&[u8], &[&str]); 7] = [
            (b"", &[]),
            (b"\n", &[""]),
            (b"a\nb\n", &["a", "b"]),
            (b"a\r\n\r\r\nb\n", &["a", "", "b"]),
            (
                b"a\rb\x0b\x0c\xc2\x85\xe2\x80\xa8c \t\n",
                &["a\rb\u{b}\u{c}\u{85}\u{2028}c \t"],
            ),
            (b"\xff\xe2\n\x82 x\n", &["\u{fffd}\u{fffd}", "\u{fffd} x"]),
            (b"\xef\xbb\xbfbom\0\n", &["\u{feff}bom\0"]),
        ];
        for (bytes, expected) in cases {
            let mut batch = Batch::new();
            batch.push_bytes(bytes);
            let lines: Vec<&str> = batch.lines().map(|line| line.text).collect();
            assert_eq!(lines, expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_first_undecodable_line_is_shown_and_no_more_of_it_than_needed() {
        let mut long = b"good\n".to_vec();
        long.extend(vec![b'x'; 10_000]);
        long.extend(b"\xff\nnext\xfe\n");
        let mut batch = Batch::new();
        batch.push_bytes(&long);
        batch.push_bytes(b"\xff\n");
        let [Note::Undecodable { line }] = batch.notes.as_slice() else {
            panic!("one note, not {:?}", batch.notes);
        };
        assert_eq!(line.len(), SHOWN);
        assert_eq!(line.last(), Some(&0xff));
    }

    #[test]
    fn each_line_keeps_its_own_time() {
        let mut batch = Batch::new();
        batch.push_line(b"a", Timestamp::from_secs(1));
        batch.push_line(b"", Timestamp::from_secs(2));
        let lines: Vec<Line<'_>> = batch.lines().collect();
        assert_eq!(
            lines,
            [
                Line {
                    text: "a",
                    time: Some(Timestamp::from_secs(1))
                },
                Line {
                    text: "",
                    time: Some(Timestamp::from_secs(2))
                }
            ]
        );
    }

    #[test]
    fn a_batch_gives_back_what_a_burst_took() {
        let mut batch = Batch::new();
        batch.push_bytes(&vec![b'\n'; 1 << 20]);
        batch.reset(true);
        batch.reset(true);
        assert!(batch.text.capacity() <= KEEP, "{}", batch.text.capacity());
    }
}
