//! The thread that writes the database.
//!
//! What waits together is one transaction. If the disk is full or another
//! program holds the file, nothing is lost: what could not be written is kept
//! and tried again, within a bound, and one line says so.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferroban_engine::Save;

use super::message::Message;
use crate::log::Log;
use crate::store::Store;
use crate::{clock, sys};

/// How often a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How many changes are kept while the database cannot be written.
const BACKLOG: usize = 200_000;

/// How often old rows are removed, as fail2ban does; the first time after so long.
const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How old rows may grow, in seconds (`dbpurgeage`).
const PURGE_AGE: i64 = 24 * 60 * 60;

/// One transaction and its number.
pub(super) type Record = (u64, Vec<Save>);

/// Starts the recorder. A database that could not be opened is tried again. It
/// ends, after writing everything, when its queue is closed.
pub(super) fn start(
    path: PathBuf,
    store: Option<Store>,
    inbox: SyncSender<Message>,
    log: Log,
) -> io::Result<(JoinHandle<()>, Sender<Record>)> {
    let (queue, records) = channel();
    let thread = thread::Builder::new()
        .name("f2b/database".into())
        .spawn(move || {
            sys::set_thread_name("f2b/database");
            let failing = store.is_none();
            Recorder {
                path,
                store,
                log,
                backlog: VecDeque::new(),
                failing,
                purged: clock::tick(),
            }
            .run(&records, &inbox);
        })?;
    Ok((thread, queue))
}

struct Recorder {
    path: PathBuf,
    store: Option<Store>,
    log: Log,
    backlog: VecDeque<Save>,
    failing: bool,
    purged: Instant,
}

impl Recorder {
    fn run(&mut self, records: &Receiver<Record>, inbox: &SyncSender<Message>) {
        loop {
            let first = if self.backlog.is_empty() {
                records.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                records.recv_timeout(RETRY)
            };
            match first {
                Ok(first) => {
                    let mut last = 0;
                    for (number, saves) in std::iter::once(first).chain(records.try_iter()) {
                        self.backlog.extend(saves);
                        last = number;
                    }
                    // Also when writing failed: the bans must go ahead.
                    self.write();
                    if inbox.send(Message::Committed(last)).is_err() {
                        return self.write();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => return self.write(),
            }
        }
    }

    fn write(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let Some(store) = self.store.as_mut() else {
            return self.open();
        };
        match store.commit(&self.backlog) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    self.log.info(
                        "ferroban.database",
                        &format!("{}: written again, nothing was lost", self.shown()),
                    );
                }
                self.backlog.clear();
                self.purge();
            }
            Err(error) => self.keep(&error),
        }
    }

    /// Removes old rows when it is time. Only writing makes them, so it is enough
    /// to look after writing, and an idle daemon is not woken for it.
    fn purge(&mut self) {
        let Some(store) = self.store.as_mut() else {
            return;
        };
        if self.purged.elapsed() < PURGE_EVERY {
            return;
        }
        self.purged = clock::tick();
        if let Err(error) = store.purge(clock::now(), PURGE_AGE) {
            let text = format!(
                "{}: old rows cannot be removed: {error}",
                self.path.display()
            );
            self.log.warning("ferroban.database", &text);
        }
    }

    /// Tries again to open what could not be opened at the start.
    fn open(&mut self) {
        match Store::open(&self.path, clock::now()) {
            Ok((store, _)) => {
                self.store = Some(store);
                self.write();
            }
            Err(_) => self.bound(),
        }
    }

    fn keep(&mut self, error: &rusqlite::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            self.log.error(
                "ferroban.database",
                &format!("{}: cannot be written ({error}); bans go on from memory and are written as soon as it can be: make room, or end the program that holds it", self.shown()),
            );
        }
        self.bound();
    }

    fn bound(&mut self) {
        if self.backlog.len() > BACKLOG {
            let surplus = self.backlog.len() - BACKLOG;
            self.backlog.drain(..surplus);
            self.log.error(
                "ferroban.database",
                &format!(
                    "{}: {surplus} change(s) given up, too many wait",
                    self.shown()
                ),
            );
        }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}
