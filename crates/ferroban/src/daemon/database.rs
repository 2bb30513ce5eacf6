//! The database as the main thread knows it: a queue to its recorder, if there is one.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ferroban_engine::{BanTime, JailName, Save};

use super::message::Message;
use super::recorder::{self, Limits, Record, Stored};
use crate::log::Log;
use crate::store::Store;
use crate::{clock, report};

/// How long the start of jails waits for what is stored about them. What comes later is
/// taken over when it comes.
const PATIENCE: Duration = Duration::from_secs(1);

/// The database, or none.
pub(super) struct Database {
    inbox: SyncSender<Message>,
    log: Log,
    recorder: Option<Recorder>,
    transactions: u64,
    limits: Limits,
    /// Answers that nobody waits for any more.
    late: Vec<Receiver<Vec<Stored>>>,
}

struct Recorder {
    path: PathBuf,
    queue: Sender<Record>,
    thread: JoinHandle<()>,
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
            late: Vec::new(),
        }
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
        self.close();
        let Some(path) = path else { return Ok(()) };
        let store = self.try_open(path);
        let (thread, queue) =
            recorder::start(path.to_owned(), store, self.inbox.clone(), self.log.clone())?;
        self.recorder = Some(Recorder {
            path: path.to_owned(),
            queue,
            thread,
        });
        self.limit(self.limits);
        Ok(())
    }

    fn try_open(&self, path: &Path) -> Option<Store> {
        let shown = path.display();
        let log = &self.log;
        match Store::open_quickly(path, clock::now()) {
            Ok((store, opened)) => {
                let text = format!("Connected to fail2ban persistent database '{shown}'");
                log.info("database", &text);
                recorder::tell_opened(&opened, path, log);
                if let Err(error) = store.disable_all_jails() {
                    log.error("database", &format!("{shown}: {error}"));
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
        if let Some(recorder) = &self.recorder {
            // It ends only when this queue is closed.
            drop(recorder.queue.send(Record::Limits(limits)));
        }
    }

    /// How much is kept.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Hands over a transaction; `false` if nobody will write it.
    pub(super) fn write(&mut self, saves: Vec<Save>) -> bool {
        self.transactions += 1;
        let record = Record::Write(self.transactions, saves);
        self.recorder
            .as_ref()
            .is_some_and(|recorder| recorder.queue.send(record).is_ok())
    }

    /// The number of the last transaction.
    pub(super) fn transaction(&self) -> u64 {
        self.transactions
    }

    /// What is stored about jails that begin, behind everything written so far.
    pub(super) fn read(&mut self, jails: Vec<(JailName, BanTime)>) -> Vec<Stored> {
        let (reply, answer) = channel();
        let asked = self.recorder.as_ref().filter(|_| !jails.is_empty());
        let sent = asked.map(|recorder| recorder.queue.send(Record::Read(jails, reply)));
        if !matches!(sent, Some(Ok(()))) {
            return Vec::new();
        }
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| {
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

    /// Writes everything and closes the file. Whether there was one.
    pub(super) fn close(&mut self) -> bool {
        let Some(recorder) = self.recorder.take() else {
            return false;
        };
        drop(recorder.queue);
        // A panic aborts the process, so there is no other outcome than its end.
        drop(recorder.thread.join());
        true
    }
}
