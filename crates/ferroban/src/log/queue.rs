//! The thread that writes the log, so that nobody else waits for whoever reads it.
//!
//! A terminal that was stopped or a pipe that nobody reads holds up the writer of a
//! line for as long as it likes. Here that is a thread with nothing else to do, behind
//! a queue with an end: when it is full, lines are counted instead of kept.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Level;

/// How many lines may wait.
pub(super) const MOST: usize = 8192;

/// The near end of the queue; cheap to clone. When the last one is dropped, the thread
/// writes what is left and ends.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lines: SyncSender<String>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    queued: AtomicU64,
    lost: AtomicU64,
    written: Mutex<u64>,
    moved: Condvar,
}

impl Queue {
    pub(super) fn start(file: File) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MOST);
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        thread::Builder::new()
            .name("f2b/log".into())
            .spawn(move || shared.write(file, &waiting))?;
        Ok(Self { lines, progress })
    }

    /// Never waits.
    pub(super) fn push(&self, line: String) {
        // Counted first: who has pushed a line and flushes waits for no less than it.
        self.progress.queued.fetch_add(1, Ordering::Relaxed);
        if self.lines.try_send(line).is_err() {
            self.progress.queued.fetch_sub(1, Ordering::Relaxed);
            self.progress.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was pushed is written, but no longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let goal = self.progress.queued.load(Ordering::Relaxed);
        let written = self.progress.written();
        let moved = &self.progress.moved;
        drop(moved.wait_timeout_while(written, patience, |written| *written < goal));
    }
}

impl Progress {
    fn write(&self, mut file: File, lines: &Receiver<String>) {
        for line in lines {
            // A log that cannot be written must not stop the bans: nothing to do.
            drop(file.write_all(line.as_bytes()));
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let text = format!("{lost} log line(s) lost: nobody reads the log");
                let line = super::line_now(Level::Warning, "ferroban.log", &text);
                drop(file.write_all(line.as_bytes()));
            }
            *self.written() += 1;
            self.moved.notify_all();
        }
    }

    fn written(&self) -> MutexGuard<'_, u64> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
