//! Standard output and standard error: the only place that writes to them.
//!
//! A reader may go away at any time (`fail2ban-client status | head -1`). What it no
//! longer wants is dropped without a word. Any other failure, such as a full disk, is told
//! once and remembered for the exit code; nothing here panics.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static FAILED: AtomicBool = AtomicBool::new(false);
/// Nobody reads standard output any more.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard output.
pub fn line(text: &str) {
    part(&format!("{text}\n"));
}

/// Writes to standard output, without the end of a line.
pub fn part(text: &str) {
    match put(&mut io::stdout().lock(), text) {
        Ok(Reader::There) => {}
        Ok(Reader::Gone) => GONE.store(true, Ordering::Relaxed),
        Err(cause) => {
            if !FAILED.swap(true, Ordering::Relaxed) {
                error(&format!(
                    "standard output: {cause}; the output is not complete"
                ));
            }
        }
    }
}

/// Writes one line to standard error.
pub fn error(text: &str) {
    if put(&mut io::stderr().lock(), &format!("{text}\n")).is_err() {
        FAILED.store(true, Ordering::Relaxed);
    }
}

/// Shows how far something is, in a line of its own on standard error that the next call
/// replaces; an empty text takes it away. For those who know that [`has_watcher`].
pub fn status(text: &str) {
    // Who cannot be told how far it is misses nothing else.
    put(&mut io::stderr().lock(), &format!("\r\x1b[K{text}")).ok();
}

/// Whether somebody may read standard error on a terminal that can do more than print.
#[must_use]
pub fn has_watcher() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    io::stderr().is_terminal() && !dumb
}

/// Whether something could not be written that somebody was there to read.
#[must_use]
pub fn failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// Whether there is somebody to go on for: a reader, and room for what it is to read.
#[must_use]
pub fn is_heard() -> bool {
    !GONE.load(Ordering::Relaxed) && !failed()
}

/// Whether standard output shows colour, and that is wanted (<https://no-color.org>).
#[must_use]
pub fn has_colour() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_terminal() && !set("NO_COLOR") && !dumb
}

/// Whether standard output is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Who reads what is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reader {
    There,
    Gone,
}

/// One call for a line and its end, so that lines of several programs do not mix.
fn put(target: &mut impl Write, text: &str) -> io::Result<Reader> {
    let written = target
        .write_all(text.as_bytes())
        .and_then(|()| target.flush());
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn text_is_written_as_it_is() {
        let mut target = Vec::new();
        put(&mut target, "one\ntwo").unwrap();
        assert_eq!(target, b"one\ntwo");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is() {
        let written = |kind| put(&mut Broken(kind), "text").map_err(|error| error.kind());
        assert_eq!(written(ErrorKind::BrokenPipe), Ok(Reader::Gone));
        let full = ErrorKind::StorageFull;
        assert_eq!(written(full), Err(full));
    }
}
