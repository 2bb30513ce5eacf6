//! The thread that writes the log, so that nobody else waits for whoever reads it.
//!
//! A terminal that was stopped or a pipe that nobody reads holds up the writer of a
//! line for as long as it likes. Here that is a thread with nothing else to do, behind
//! a queue with an end: when it is full, lines are counted instead of kept. Lines that
//! could not be written, on a full disk for one, are counted too. The next line that is
//! written is followed by one that says how many are missing.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Level;
use super::format::Format;
use super::record::Record;
use super::sink::Sink;
use crate::clock;

/// How many bytes may wait, with what it takes to know where each line ends.
pub(super) const MOST_BYTES: usize = 16 << 20;
const END: usize = size_of::<usize>();

/// How many bytes of lines are written in one go, where the target takes them so.
const TOGETHER: usize = 64 << 10;

/// How long a closed queue goes on trying to write what is left.
const GRACE: Duration = Duration::from_secs(5);

/// The near end of a queue to one target. When it is dropped, the thread writes what is
/// left and ends.
#[derive(Debug)]
pub(super) struct Queue(Arc<Shared>);

/// What both ends of a queue see.
#[derive(Debug)]
pub(super) struct Shared {
    format: Format,
    losses: Arc<Losses>,
    state: Mutex<State>,
    /// Something waits, or the queue was closed.
    filled: Condvar,
    /// Something was written.
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Item>,
    /// What is not written yet, in the writer's hands or before.
    lines: usize,
    bytes: usize,
    /// How many lines and turns were ever taken into the queue.
    queued: u64,
    /// How many of them were done with.
    done: u64,
    /// Whether the writer has nothing to do. Only then it has to be woken, which is not cheap.
    idle: bool,
    /// How many wait until something is done.
    watchers: usize,
    closed: Option<Instant>,
}

#[derive(Debug)]
enum Item {
    Lines(Lines),
    /// Everything after this goes there.
    Turn(Sink),
}

/// Lines, one behind the other.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Lines that are missing in the log, and were not told of.
#[derive(Debug, Default)]
pub(super) struct Losses {
    unread: AtomicU64,
    failed: Mutex<Failed>,
}

#[derive(Clone, Debug, Default)]
struct Failed {
    lines: u64,
    why: String,
}

impl Queue {
    pub(super) fn start(sink: Sink, format: Format, losses: Arc<Losses>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            format,
            losses,
            state: Mutex::default(),
            filled: Condvar::new(),
            moved: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("f2b/log".into())
            .spawn(move || writer.run(sink))?;
        Ok(Self(shared))
    }

    /// Never waits for the writer.
    pub(super) fn push(&self, record: &Record<'_>) {
        let line = self.0.format.show(record);
        let mut state = self.0.state();
        if state.bytes.saturating_add(line.len() + END) > MOST_BYTES {
            self.0.losses.unread.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.add(&line);
        self.0.wake(state);
    }

    /// What is pushed from now on is written there.
    pub(super) fn turn(&self, sink: Sink) {
        let mut state = self.0.state();
        state.queued += 1;
        state.waiting.push_back(Item::Turn(sink));
        self.0.wake(state);
    }

    /// The queue for those who wait for its end.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.0)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.state().closed = Some(clock::tick());
        self.0.filled.notify_one();
    }
}

impl State {
    fn add(&mut self, line: &[u8]) {
        self.queued += 1;
        self.lines += 1;
        self.bytes += line.len() + END;
        if !matches!(self.waiting.back(), Some(Item::Lines(_))) {
            self.waiting.push_back(Item::Lines(Lines::default()));
        }
        if let Some(Item::Lines(lines)) = self.waiting.back_mut() {
            lines.bytes.extend_from_slice(line);
            lines.ends.push(lines.bytes.len());
        }
    }
}

impl Lines {
    /// The lines from `first` on, which begins at `start`, that are written in one go.
    fn together(&self, first: usize, start: usize) -> &[u8] {
        let count = self.until(first, start + TOGETHER).max(1);
        let end = self.ends.get(first + count - 1).copied();
        self.bytes
            .get(start..end.unwrap_or(start))
            .unwrap_or_default()
    }

    /// How many lines from `first` on end at a place or before.
    fn until(&self, first: usize, place: usize) -> usize {
        let rest = self.ends.get(first..).unwrap_or_default();
        rest.partition_point(|end| *end <= place)
    }
}

impl Shared {
    /// Waits until what was pushed is written, but not past `end`.
    pub(super) fn flush(&self, end: Instant) {
        let mut state = self.state();
        let goal = state.queued;
        let patience = end.saturating_duration_since(clock::tick());
        let unwritten = |state: &mut State| state.done < goal;
        state.watchers += 1;
        let waited = self
            .moved
            .wait_timeout_while(state, patience, unwritten)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = waited;
        state.watchers -= 1;
    }

    /// Whether it was closed and has written everything.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.closed.is_some() && state.done == state.queued
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writer if it waits for something to do.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.filled.notify_one();
        }
    }

    fn run(&self, mut sink: Sink) {
        while let Some(item) = self.next() {
            match item {
                Item::Lines(lines) => self.write_all(&mut sink, &lines),
                Item::Turn(new) => {
                    sink = new;
                    let mut state = self.state();
                    state.done += 1;
                    self.tell_watchers(&state);
                }
            }
        }
    }

    fn next(&self) -> Option<Item> {
        let mut state = self.state();
        while state.waiting.is_empty() && state.closed.is_none() {
            state.idle = true;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        state.waiting.pop_front()
    }

    fn write_all(&self, sink: &mut Sink, lines: &Lines) {
        let (mut first, mut start) = (0, 0);
        while let Some(&end) = lines.ends.get(first) {
            let taken = match lines.together(first, start) {
                // What is missing is told behind the next line.
                bytes if self.losses.is_none() => sink.write_together(bytes),
                _ => 0,
            };
            let mut written = lines.until(first, start + taken);
            if written == 0 {
                let line = lines.bytes.get(start..end).unwrap_or_default();
                if !self.write(sink, line) {
                    return self.give_up();
                }
                written = 1;
            }
            let behind = lines.ends.get(first + written - 1).copied();
            let behind = behind.unwrap_or(end);
            self.settle(written, behind - start);
            (first, start) = (first + written, behind);
        }
    }

    /// So many lines are done with.
    fn settle(&self, lines: usize, bytes: usize) {
        let mut state = self.state();
        state.lines -= lines;
        state.bytes -= bytes + lines * END;
        state.done += u64::try_from(lines).unwrap_or(u64::MAX);
        self.tell_watchers(&state);
    }

    fn tell_watchers(&self, state: &State) {
        if state.watchers > 0 {
            self.moved.notify_all();
        }
    }

    /// Whether it is worth to go on.
    fn write(&self, sink: &mut Sink, line: &[u8]) -> bool {
        let wait = || {
            let closed = self.state().closed;
            closed.is_none_or(|since| clock::tick() < since + GRACE)
        };
        match sink.write(line, &wait) {
            Ok(()) => self.losses.tell(|text| {
                let record = Record::new(Level::Warning, "ferroban.log", text);
                sink.write(&self.format.show(&record), &wait)
            }),
            Err(error) if error.kind() == ErrorKind::TimedOut => return false,
            Err(error) => self.losses.add(&error),
        }
        true
    }

    /// Counts what is left as lost.
    fn give_up(&self) {
        let mut state = self.state();
        let lines = u64::try_from(state.lines).unwrap_or(u64::MAX);
        self.losses.unread.fetch_add(lines, Ordering::Relaxed);
        state.done = state.queued;
        (state.lines, state.bytes) = (0, 0);
        state.waiting.clear();
        self.tell_watchers(&state);
    }
}

impl Losses {
    fn is_none(&self) -> bool {
        self.unread.load(Ordering::Relaxed) == 0 && self.failed().lines == 0
    }

    fn add(&self, error: &io::Error) {
        let mut failed = self.failed();
        failed.lines += 1;
        failed.why = error.to_string();
    }

    /// Tells what is missing; what cannot be told now, later.
    fn tell(&self, tell: impl FnMut(&str) -> io::Result<()>) {
        let mut tell = tell;
        let unread = self.unread.swap(0, Ordering::Relaxed);
        if unread > 0 {
            let text = format!("{unread} log line(s) lost: nobody reads the log");
            if tell(&text).is_err() {
                self.unread.fetch_add(unread, Ordering::Relaxed);
            }
        }
        let failed = std::mem::take(&mut *self.failed());
        if failed.lines > 0 {
            let text = format!("{} log line(s) lost: {}", failed.lines, failed.why);
            if tell(&text).is_err() {
                let mut now = self.failed();
                now.lines += failed.lines;
                now.why = failed.why;
            }
        }
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::fs::File;
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;

    use crate::log::format::{Frame, Text};

    const FORMAT: Format = Format {
        text: Text::Message,
        frame: Frame::Line,
    };

    fn on_pipe(losses: &Arc<Losses>) -> (PipeReader, Queue) {
        let (reader, writer) = io::pipe().unwrap();
        let sink = Sink::stream(File::from(OwnedFd::from(writer))).unwrap();
        let queue = Queue::start(sink, FORMAT, Arc::clone(losses)).unwrap();
        (reader, queue)
    }

    fn push(queue: &Queue, text: &str) {
        queue.push(&Record::new(Level::Info, "server", text));
    }

    fn soon() -> Instant {
        clock::tick() + Duration::from_secs(30)
    }

    #[test]
    fn the_queue_has_an_end_in_bytes_too() {
        let losses = Arc::default();
        let (mut reader, queue) = on_pipe(&losses);
        let long = "x".repeat((1 << 20) - 1);
        for _ in 0..40 {
            push(&queue, &long);
        }
        push(&queue, &"y".repeat(MOST_BYTES));
        let lost = losses.unread.load(Ordering::Relaxed);
        assert_eq!(lost, 26, "15 and their ends fit in");
        let done = queue.shared();
        drop(queue);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(done.is_over());
        let told = format!("{lost} log line(s) lost: nobody reads the log");
        assert_eq!(text.lines().filter(|line| *line == told).count(), 1);
        assert_eq!(text.matches(&long).count() as u64, 41 - lost);
    }

    #[test]
    fn a_closed_queue_gives_up_on_a_reader_that_never_reads_and_the_next_tells() {
        let losses = Arc::default();
        let (_reader, queue) = on_pipe(&losses);
        for _ in 0..3 {
            push(&queue, &"x".repeat(1 << 18));
        }
        let left = queue.shared();
        drop(queue);
        // As if the time had passed.
        left.state().closed = clock::tick().checked_sub(GRACE);
        left.flush(soon());
        assert!(left.is_over());

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Sink::file(&path).unwrap();
        let queue = Queue::start(sink, FORMAT, losses).unwrap();
        push(&queue, "next");
        queue.shared().flush(soon());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "next\n3 log line(s) lost: nobody reads the log\n"
        );
    }

    #[test]
    fn lines_that_wait_are_written_together_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let queue = Queue::start(Sink::file(&first).unwrap(), FORMAT, Arc::default()).unwrap();
        // More than is written in one go, and lines that are longer.
        let long = "x".repeat(TOGETHER + 1);
        let text = |number: usize| match number {
            20_000 => long.clone(),
            number => format!("line {number}"),
        };
        let lines = |all: std::ops::Range<usize>| -> String {
            all.map(|number| text(number) + "\n").collect()
        };
        (0..30_000).for_each(|number| push(&queue, &text(number)));
        queue.turn(Sink::file(&second).unwrap());
        (30_000..30_010).for_each(|number| push(&queue, &text(number)));
        let shared = queue.shared();
        shared.flush(soon());
        assert_eq!(fs::read_to_string(&first).unwrap(), lines(0..30_000));
        assert_eq!(fs::read_to_string(&second).unwrap(), lines(30_000..30_010));
        let state = shared.state();
        assert_eq!((state.lines, state.bytes, state.done), (0, 0, state.queued));
    }

    #[test]
    fn lines_that_could_not_be_written_are_told_once_it_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let full = Sink::file("/dev/full".as_ref()).unwrap();
        let queue = Queue::start(full, FORMAT, Arc::default()).unwrap();
        push(&queue, "one");
        push(&queue, "two");
        queue.turn(Sink::file(&path).unwrap());
        push(&queue, "three");
        push(&queue, "four");
        queue.shared().flush(soon());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "three\n2 log line(s) lost: No space left on device (os error 28)\nfour\n"
        );
    }

    #[test]
    fn what_cannot_be_told_now_is_told_later() {
        let losses = Losses::default();
        let full = || io::Error::from(ErrorKind::StorageFull);
        losses.unread.store(3, Ordering::Relaxed);
        losses.add(&full());
        losses.tell(|_| Err(full()));
        losses.add(&full());
        let mut told = Vec::new();
        losses.tell(|text| {
            told.push(text.to_owned());
            Ok(())
        });
        losses.tell(|_| unreachable!("told once"));
        assert_eq!(
            told,
            [
                "3 log line(s) lost: nobody reads the log".to_owned(),
                format!("2 log line(s) lost: {}", full()),
            ]
        );
    }
}
