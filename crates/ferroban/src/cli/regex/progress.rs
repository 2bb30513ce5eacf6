//! How far a long log has been read, for somebody who waits in front of a terminal.

use std::time::{Duration, Instant};

use crate::cli::out;
use crate::clock;

/// A shorter file is read before anybody wonders, in bytes.
const LONG: u64 = 32 << 20;
/// Lines between two looks at the clock.
const LOOK: u64 = 4096;
/// Time between two updates.
const PAUSE: Duration = Duration::from_millis(500);

/// How far it is. Nothing is shown unless somebody is there to read it.
#[derive(Debug)]
pub(super) struct Progress {
    size: u64,
    wanted: bool,
    lines: u64,
    begun: Instant,
    shown: Option<Instant>,
}

impl Progress {
    /// For a file of so many bytes; `alone` where nothing else is written meanwhile.
    pub(super) fn new(size: u64, alone: bool) -> Self {
        Self {
            size,
            wanted: alone && size >= LONG && out::has_watcher(),
            lines: 0,
            begun: clock::tick(),
            shown: None,
        }
    }

    /// One line more; `read` bytes in all.
    pub(super) fn show(&mut self, read: u64) {
        self.lines = self.lines.saturating_add(1);
        if !self.wanted || !self.lines.is_multiple_of(LOOK) {
            return;
        }
        let now = clock::tick();
        if now.duration_since(self.shown.unwrap_or(self.begun)) < PAUSE {
            return;
        }
        self.shown = Some(now);
        let millis = now.duration_since(self.begun).as_millis().max(1);
        let speed = u128::from(self.lines) * 1000 / millis;
        let part = u128::from(read.min(self.size)) * 100 / u128::from(self.size.max(1));
        out::status(&format!("{part:3} %  {speed} lines/s"));
    }
}

impl Drop for Progress {
    /// Takes away what was shown, however the reading ended.
    fn drop(&mut self) {
        if self.shown.is_some() {
            out::status("");
        }
    }
}
