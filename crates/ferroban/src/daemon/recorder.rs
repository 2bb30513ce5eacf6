//! The thread that writes the database.
//!
//! What waits together is one transaction. If the disk is full or another
//! program holds the file, nothing is lost: what could not be written is kept
//! and tried again, within a bound, and one line says so. If the file itself is
//! gone or damaged, it is opened again, which makes a new one where it must.

mod load;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferroban_engine::{Ban, BanTime, JailName, LogPosition, Save};

pub(super) use load::Load;

use super::message::{Message, Reading};
use crate::log::Log;
use crate::store::{Opened, Store, Trouble, trouble};
use crate::{clock, report, sys};

/// How often a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How many changes are kept while the database cannot be written.
const BACKLOG: usize = 200_000;

/// How often one write may open the file again: once because it failed, and once
/// more because what was opened is damaged too.
const REOPENINGS: usize = 2;

/// How many refused changes are named, one line each.
const NAMED: usize = 10;

/// How often old rows are removed, as fail2ban does; the first time after so long.
const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// What the recorder is told.
#[derive(Debug)]
pub(super) enum Record {
    /// Write one transaction; its number.
    Write(u64, Vec<Save>),
    /// Tell what is stored about jails that begin.
    Read(Vec<(JailName, BanTime)>, Sender<Vec<Stored>>),
    /// Keep this much.
    Limits(Limits),
}

/// What is stored about one jail.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) jail: JailName,
    /// None: they cannot be read now, and come later as a message.
    pub(super) bans: Option<Vec<Ban>>,
    pub(super) positions: Vec<LogPosition>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    /// How old rows may grow, in seconds (`dbpurgeage`).
    pub(super) purge_age: i64,
    /// How many matched lines are stored with a ban (`dbmaxmatches`).
    pub(super) max_matches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            purge_age: 24 * 60 * 60,
            max_matches: 10,
        }
    }
}

/// Starts the recorder. A database that could not be opened is tried again, and
/// then the bans of jails that asked in vain are sent to the main thread. It ends,
/// after writing everything, when its queue is closed.
///
/// `before` still write to the same file: it begins when they have ended, so that the
/// file never has two of them.
pub(super) fn start(
    path: PathBuf,
    store: Option<Store>,
    before: Vec<JoinHandle<()>>,
    inbox: SyncSender<Message>,
    log: Log,
) -> io::Result<Started> {
    let (queue, records) = channel();
    let mut recorder = Recorder::new(path, store, inbox, log);
    let load = Arc::clone(&recorder.load);
    let thread = thread::Builder::new()
        .name("f2b/database".into())
        .spawn(move || {
            sys::set_thread_name("f2b/database");
            recorder.follow(before);
            recorder.run(&records);
        })?;
    Ok(Started {
        thread,
        queue,
        load,
    })
}

/// A recorder at work.
pub(super) struct Started {
    pub(super) thread: JoinHandle<()>,
    pub(super) queue: Sender<Record>,
    /// Where what is handed over has to be counted.
    pub(super) load: Arc<Load>,
}

/// Tells that a database is open.
pub(super) fn tell_connected(path: &Path, log: &Log) {
    let shown = path.display();
    let text = format!("Connected to fail2ban persistent database '{shown}'");
    log.info("database", &text);
}

/// Tells how opening went, where the file is not simply the one from before.
pub(super) fn tell_opened(opened: &Opened, path: &Path, log: &Log) {
    if let Opened::Upgraded { version, backup } = opened {
        log.info(
            "database",
            &format!("  Database backup created: {}", backup.display()),
        );
        log.warning(
            "database",
            &format!("Database updated from '{version}' to '4'"),
        );
    }
    if let Opened::Replaced(aside) = opened {
        log.error(
            "database",
            &format!(
                "'{}' is damaged or no database: moved to '{}', a new one is begun",
                path.display(),
                aside.display()
            ),
        );
    }
    if let Opened::Created | Opened::Replaced(_) = opened {
        log.warning("database", "New database created. Version '4'");
    }
}

struct Recorder {
    path: PathBuf,
    store: Option<Store>,
    inbox: SyncSender<Message>,
    log: Log,
    backlog: VecDeque<Save>,
    load: Arc<Load>,
    /// The jails whose rows a new file must begin with.
    at_work: BTreeSet<JailName>,
    /// The jails whose stored bans nobody has read yet.
    unread: Vec<(JailName, BanTime)>,
    failing: bool,
    /// It was damaged, and nothing has been written since.
    damaged: bool,
    /// Another file was begun, and nothing has been written to it.
    anew: bool,
    /// How many changes were given up since writing began to fail, and told.
    lost: usize,
    told_lost: usize,
    purged: Instant,
    limits: Limits,
}

impl Recorder {
    fn new(path: PathBuf, store: Option<Store>, inbox: SyncSender<Message>, log: Log) -> Self {
        Self {
            path,
            failing: store.is_none(),
            store: store.filter(|store| store.wait_as_usual().is_ok()),
            inbox,
            log,
            backlog: VecDeque::new(),
            load: Arc::default(),
            at_work: BTreeSet::new(),
            unread: Vec::new(),
            damaged: false,
            anew: false,
            lost: 0,
            told_lost: 0,
            purged: clock::tick(),
            limits: Limits::default(),
        }
    }

    /// Begins where others have just ended with the same file.
    fn follow(&mut self, before: Vec<JoinHandle<()>>) {
        if before.is_empty() {
            return;
        }
        for thread in before {
            // A panic aborts the process, so there is no other outcome than its end.
            drop(thread.join());
        }
        self.failing = false;
        match self.open() {
            Ok(()) => tell_connected(&self.path, &self.log),
            Err(error) => self.failed(&error),
        }
    }

    fn run(&mut self, records: &Receiver<Record>) {
        loop {
            let first = if self.backlog.is_empty() && self.unread.is_empty() {
                records.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                records.recv_timeout(RETRY)
            };
            match first {
                Ok(first) => {
                    let mut last = None;
                    for record in std::iter::once(first).chain(records.try_iter()) {
                        match record {
                            Record::Write(number, saves) => {
                                self.take(saves);
                                last = Some(number);
                            }
                            Record::Read(jails, reply) => {
                                self.write();
                                drop(reply.send(self.stored(jails)));
                                // Who has not waited so long looks again.
                                drop(self.inbox.send(Message::Read(Reading::default())));
                            }
                            Record::Limits(limits) => self.limit(limits),
                        }
                    }
                    // Also when writing failed: the bans must go ahead.
                    self.write();
                    if let Some(last) = last {
                        // Where nobody is left to tell, there may still be more to write.
                        drop(self.inbox.send(Message::Committed(last)));
                    }
                    self.read();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.write();
                    self.read();
                }
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
        }
    }

    fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        if let Some(store) = &mut self.store {
            store.limit_matches(limits.max_matches);
        }
    }

    /// What is stored about jails that begin. What cannot be read now is read later.
    fn stored(&mut self, jails: Vec<(JailName, BanTime)>) -> Vec<Stored> {
        let mut all = Vec::new();
        for (jail, bantime) in jails {
            let store = self.store.as_ref().filter(|_| self.backlog.is_empty());
            let read = store.map(|store| {
                let bans = store.bans(&jail, bantime, clock::now())?;
                Ok::<_, rusqlite::Error>((bans, store.positions(&jail)?))
            });
            let (bans, positions) = match read {
                Some(Ok((stored, positions))) => {
                    if let Some(text) = stored.complaint(&self.path, &jail) {
                        self.log.warning("ferroban.database", &text);
                    }
                    (Some(stored.bans), positions)
                }
                other => {
                    if let Some(Err(error)) = other {
                        let text = format!(
                            "{}: bans of jail '{jail}' cannot be read: {error}; this is tried again",
                            self.shown()
                        );
                        self.log.error("database", &text);
                    }
                    self.unread.push((jail.clone(), bantime));
                    (None, Vec::new())
                }
            };
            all.push(Stored {
                jail,
                bans,
                positions,
            });
        }
        all
    }

    fn take(&mut self, saves: Vec<Save>) {
        for save in &saves {
            match save {
                Save::Jail {
                    jail,
                    enabled: true,
                } => drop(self.at_work.insert(jail.clone())),
                Save::Jail { jail, .. } => drop(self.at_work.remove(jail)),
                _ => {}
            }
        }
        self.backlog.extend(saves);
    }

    /// Writes what waits, and opens the file where that is needed for it.
    fn write(&mut self) {
        for _ in 0..=REOPENINGS {
            if self.backlog.is_empty() && (self.unread.is_empty() || self.store.is_some()) {
                return;
            }
            self.let_go_of_a_file_that_moved();
            if self.store.is_none()
                && let Err(error) = self.open()
            {
                self.failed(&error);
                break;
            }
            let Err(error) = self.commit() else {
                return self.written();
            };
            self.failed(&error.to_string());
            let trouble = trouble(&error);
            if let Trouble::Row | Trouble::Passing = trouble {
                break;
            }
            self.store = None;
            if trouble == Trouble::Damage
                && std::mem::replace(&mut self.damaged, true)
                && self.replace().is_err()
            {
                break;
            }
        }
        self.bound();
    }

    fn let_go_of_a_file_that_moved(&mut self) {
        if self
            .store
            .as_ref()
            .is_some_and(|store| !store.is_in_place())
        {
            self.store = None;
            self.anew = true;
            self.log.error(
                "ferroban.database",
                &format!("{}: was moved or deleted while it was in use; it is opened again, and bans stored before are there only if it was put back", self.shown()),
            );
        }
    }

    /// One transaction; where the file refuses a change, that one is given up.
    fn commit(&mut self) -> rusqlite::Result<()> {
        let Some(store) = self.store.as_mut() else {
            return Ok(());
        };
        let refused = match store.commit(&self.backlog) {
            Err(error) if trouble(&error) == Trouble::Row => store.commit_each(&self.backlog)?,
            other => return other,
        };
        for (save, error) in refused.iter().take(NAMED) {
            let text = format!(
                "{}: {} is refused ({error}) and given up; look for what others changed in its tables",
                self.path.display(),
                name(save)
            );
            self.log.error("ferroban.database", &text);
        }
        if let Some(more) = refused.len().checked_sub(NAMED + 1) {
            let text = format!("{}: so are {} more", self.path.display(), more + 1);
            self.log.error("ferroban.database", &text);
        }
        Ok(())
    }

    fn written(&mut self) {
        let shortened = self.load.written(self.backlog.iter());
        if shortened > 0 {
            let text = format!(
                "{}: {shortened} change(s) are written without their matched lines",
                self.shown()
            );
            self.log.warning("ferroban.database", &text);
        }
        self.backlog.clear();
        self.damaged = false;
        let anew = std::mem::take(&mut self.anew);
        if std::mem::take(&mut self.failing) {
            let outcome = match self.lost {
                0 if anew => "what was stored before may be missing".to_owned(),
                0 => "nothing was lost".to_owned(),
                lost => format!("{lost} change(s) were given up"),
            };
            self.log.info(
                "ferroban.database",
                &format!("{}: written again, {outcome}", self.shown()),
            );
        }
        (self.lost, self.told_lost) = (0, 0);
        self.purge();
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
        if let Err(error) = store.purge(clock::now(), self.limits.purge_age) {
            let text = format!(
                "{}: old rows cannot be removed: {error}",
                self.path.display()
            );
            self.log.warning("ferroban.database", &text);
        }
    }

    /// Opens what could not be opened at the start, or was let go since.
    fn open(&mut self) -> Result<(), String> {
        let (store, opened) =
            Store::open(&self.path, clock::now()).map_err(|error| report::chain(&error))?;
        match self.begin(store, &opened) {
            Err(error) if trouble(&error) == Trouble::Damage => self.replace(),
            other => other.map_err(|error| error.to_string()),
        }
    }

    /// Goes on in a new file instead of one that opens and is damaged inside.
    fn replace(&mut self) -> Result<(), String> {
        let (store, opened) =
            Store::replace(&self.path, clock::now()).map_err(|error| report::chain(&error))?;
        self.begin(store, &opened)
            .map_err(|error| error.to_string())
    }

    /// Takes a file into use: the jails at work are marked in it, as at the start.
    fn begin(&mut self, mut store: Store, opened: &Opened) -> rusqlite::Result<()> {
        tell_opened(opened, &self.path, &self.log);
        self.anew |= matches!(opened, Opened::Replaced(_));
        store.disable_all_jails()?;
        let jails: Vec<Save> = self
            .at_work
            .iter()
            .map(|jail| Save::Jail {
                jail: jail.clone(),
                enabled: true,
            })
            .collect();
        store.commit(&jails)?;
        store.limit_matches(self.limits.max_matches);
        self.store = Some(store);
        Ok(())
    }

    /// Reads the bans that could not be read at the start. What was lifted in the
    /// meantime must be written before.
    fn read(&mut self) {
        let Some(store) = self.store.as_ref() else {
            return;
        };
        if self.unread.is_empty() || !self.backlog.is_empty() {
            return;
        }
        let (mut known, mut later) = (Vec::new(), Vec::new());
        for (jail, bantime) in std::mem::take(&mut self.unread) {
            if !later.is_empty() {
                later.push((jail, bantime)); // whatever was in the way still is
                continue;
            }
            match store.bans(&jail, bantime, clock::now()) {
                Ok(stored) => {
                    if let Some(text) = stored.complaint(&self.path, &jail) {
                        self.log.warning("ferroban.database", &text);
                    }
                    known.push((jail, stored.bans));
                }
                Err(error) if trouble(&error) == Trouble::Passing => later.push((jail, bantime)),
                Err(error) => {
                    let text = format!(
                        "{}: bans of jail '{jail}' cannot be read: {error}",
                        self.path.display()
                    );
                    self.log.error("ferroban.database", &text);
                }
            }
        }
        self.unread = later;
        if !known.is_empty() {
            drop(self.inbox.send(Message::Stored(known)));
        }
    }

    fn failed(&mut self, error: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            self.log.error(
                "ferroban.database",
                &format!("{}: cannot be written ({error}); bans go on from memory and are written as soon as it can be: make room, or end the program that holds it", self.shown()),
            );
        }
    }

    /// Gives up the oldest changes when too many wait, but no jail: there are few,
    /// and the rest refers to them.
    fn bound(&mut self) {
        let mut surplus = self.backlog.len().saturating_sub(BACKLOG);
        let before = self.backlog.len();
        if surplus == 0 {
            return;
        }
        self.backlog.retain(|save| {
            let goes = surplus > 0 && !matches!(save, Save::Jail { .. });
            surplus -= usize::from(goes);
            if goes {
                self.load.leave(save);
            }
            !goes
        });
        self.lost += before - self.backlog.len();
        // At the first and then at every doubling: a flood must not fill the log.
        if self.lost > 0 && self.lost >= self.told_lost.saturating_mul(2) {
            self.told_lost = self.lost;
            self.log.error(
                "ferroban.database",
                &format!(
                    "{}: {} change(s) given up, too many wait",
                    self.shown(),
                    self.lost
                ),
            );
        }
    }

    /// Writes the last changes, or says how many are lost.
    fn finish(&mut self) {
        self.unread.clear();
        self.write();
        let lost = self.lost + self.backlog.len();
        if lost > 0 {
            self.log.error(
                "ferroban.database",
                &format!("{}: could not be written to the end, {lost} change(s) are lost; the next start knows nothing of them", self.shown()),
            );
        }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// A change, as people are told of it.
fn name(save: &Save) -> String {
    match save {
        Save::Jail { jail, .. } => format!("the state of jail '{jail}'"),
        Save::Ban { jail, ban } | Save::Prolong { jail, ban } => {
            format!("the ban of {} in jail '{jail}'", ban.id)
        }
        Save::Forget { jail, id } => format!("forgetting {id} in jail '{jail}'"),
        Save::ForgetAll { jail } => format!("forgetting the bans of jail '{jail}'"),
        Save::Position { jail, position } => {
            format!("how far jail '{jail}' has read {}", position.log)
        }
    }
}

#[cfg(test)]
mod tests;
