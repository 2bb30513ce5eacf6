//! The database as the main thread knows it: a queue to its recorder, if there is one.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ferroban_engine::{BanTime, JailName, Save};

use super::facts::History;
use super::message::Message;
use super::recorder::{self, Limits, Record, Started, Stored};
use crate::log::Log;
use crate::store::Store;
use crate::{clock, report};

/// How long jails that begin wait for what is stored about them: nothing else is done
/// meanwhile. Bans that come later are taken over when they come.
const PATIENCE: Duration = Duration::from_millis(50);

/// How much longer all of them together may wait. At the start of the server nothing is
/// held up, and without its stored position a log is read from its beginning.
const MORE_PATIENCE: Duration = Duration::from_secs(1);

/// The database, or none.
pub(super) struct Database {
    inbox: SyncSender<Message>,
    log: Log,
    recorder: Option<Recorder>,
    transactions: u64,
    limits: Limits,
    history: History,
    /// Answers that nobody waits for any more.
    late: Vec<Receiver<Vec<Stored>>>,
    /// What is left of [`MORE_PATIENCE`].
    patience: Duration,
    /// Recorders that write the last of what they were told, and their files.
    ending: Vec<(PathBuf, JoinHandle<()>)>,
}

struct Recorder {
    path: PathBuf,
    at_work: Started,
}

impl Database {
    /// No database yet.
    pub(super) fn new(inbox: SyncSender<Message>, log: Log) -> Self {
        Self {
            inbox,
            log,
            recorder: None,
            transactions: 0,
            limits: Limits::default(),
            history: History::default(),
            late: Vec::new(),
            patience: MORE_PATIENCE,
            ending: Vec::new(),
        }
    }

    /// The same, for actions that look up earlier bans too.
    pub(super) fn with_readers(mut self, history: &History) -> Self {
        self.history = history.clone();
        self
    }

    /// Where it is.
    pub(super) fn path(&self) -> Option<&Path> {
        self.recorder
            .as_ref()
            .map(|recorder| recorder.path.as_path())
    }

    /// Begins with another file, or with none. One that cannot be used must not leave
    /// the host without a guard: it is told, and opened as soon as it can be.
    pub(super) fn open(&mut self, path: Option<&Path>) -> std::io::Result<()> {
        self.let_go();
        self.history.note(path, self.limits.max_matches);
        let Some(path) = path else { return Ok(()) };
        let before = self.ending_with(path);
        let store = if before.is_empty() {
            self.try_open(path)
        } else {
            None // it is opened when they have ended
        };
        let (inbox, log) = (self.inbox.clone(), self.log.clone());
        let at_work = recorder::start(path.to_owned(), store, before, inbox, log)?;
        self.recorder = Some(Recorder {
            path: path.to_owned(),
            at_work,
        });
        self.limit(self.limits);
        Ok(())
    }

    fn try_open(&self, path: &Path) -> Option<Store> {
        let log = &self.log;
        match Store::open_quickly(path, clock::now()) {
            Ok((store, opened)) => {
                recorder::tell_connected(path, log);
                recorder::tell_opened(&opened, path, log);
                if let Err(error) = store.disable_all_jails() {
                    log.error("database", &format!("{}: {error}", path.display()));
                }
                Some(store)
            }
            Err(error) => {
                let text = format!(
                    "{}; bans are kept in memory and written as soon as it can be opened",
                    report::chain(&error)
                );
                log.error("database", &text);
                None
            }
        }
    }

    /// Keeps this much from now on.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.history.note(self.path(), limits.max_matches);
        if let Some(recorder) = &self.recorder {
            // It ends only when this queue is closed.
            drop(recorder.at_work.queue.send(Record::Limits(limits)));
        }
    }

    /// How much is kept.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Hands over a transaction; `false` if nobody will write it.
    pub(super) fn write(&mut self, mut saves: Vec<Save>) -> bool {
        self.transactions += 1;
        let Some(recorder) = &self.recorder else {
            return false;
        };
        if recorder.at_work.load.enter(&mut saves) {
            let text = format!(
                "{}: too much waits to be written; until it is, bans are kept without their matched lines",
                recorder.path.display()
            );
            self.log.warning("ferroban.database", &text);
        }
        let record = Record::Write(self.transactions, saves);
        recorder.at_work.queue.send(record).is_ok()
    }

    /// The number of the last transaction.
    pub(super) fn transaction(&self) -> u64 {
        self.transactions
    }

    /// What is stored about jails that begin, behind everything written so far.
    pub(super) fn read(&mut self, jails: Vec<(JailName, BanTime)>) -> Vec<Stored> {
        let (reply, answer) = channel();
        let asked = self.recorder.as_ref().filter(|_| !jails.is_empty());
        let sent = asked.map(|recorder| recorder.at_work.queue.send(Record::Read(jails, reply)));
        if !matches!(sent, Some(Ok(()))) {
            return Vec::new();
        }
        let begun = clock::tick();
        let stored = answer.recv_timeout(PATIENCE + self.patience);
        self.patience = self.patience.saturating_sub(begun.elapsed());
        stored.unwrap_or_else(|_| {
            self.late.push(answer);
            Vec::new()
        })
    }

    /// What was asked for and came too late.
    pub(super) fn late(&mut self) -> Vec<Stored> {
        let mut stored = Vec::new();
        self.late.retain(|answer| match answer.try_recv() {
            Ok(more) => {
                stored.extend(more);
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        });
        stored
    }

    /// Lets the recorder write everything and close the file by itself. To wait for it
    /// here could be to wait for ever: it may wait for room in our inbox.
    fn let_go(&mut self) -> bool {
        let recorder = self.recorder.take();
        let there_was = recorder.is_some();
        // With the rest of it the queue is closed, which is what ends it.
        self.ending
            .extend(recorder.map(|recorder| (recorder.path, recorder.at_work.thread)));
        there_was
    }

    /// Those that still write to the file at this path.
    fn ending_with(&mut self, path: &Path) -> Vec<JoinHandle<()>> {
        self.ending.retain(|(_, thread)| !thread.is_finished());
        let wanted = file_at(path);
        let same = self
            .ending
            .extract_if(.., |(path, _)| file_at(path) == wanted);
        same.map(|(_, thread)| thread).collect()
    }

    /// Writes everything and closes the file. Whether there was one. Only for the end,
    /// when the inbox is gone: else the recorder may wait for room in it.
    pub(super) fn close(&mut self) -> bool {
        let there_was = self.let_go();
        for (_, thread) in self.ending.drain(..) {
            // A panic aborts the process, so there is no other outcome than its end.
            drop(thread.join());
        }
        there_was
    }
}

/// The file that a path leads to.
fn file_at(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
