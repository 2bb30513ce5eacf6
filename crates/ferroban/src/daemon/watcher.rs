//! The threads that read logs: one for each source, for all jails on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;

use ferroban_engine::{
    Failure, Filter, FilterNote, JailName, LogLine, LogPosition, Timestamp, settings::Watches,
};

use super::Watch;
use super::message::{Message, Reading};
use super::notes::{self, Wording};
use crate::load::{Backend, JailPlan};
use crate::log::{Level, Log, events};
use crate::source::{
    Batch, FileTail, Journal, LogSource, Note, Place, Position, Query, Start, Turn, Wait, Waker,
};
use crate::store::Store;
use crate::{clock, report, sys};

/// What can be read, once, for several jails.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Source {
    File(PathBuf),
    Journal {
        folder: Option<PathBuf>,
        matches: Vec<Vec<String>>,
    },
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Journal { .. } => Position::JOURNAL.to_owned(),
        }
    }
}

/// A jail that reads a source.
struct Reader {
    jail: JailName,
    filter: Filter,
}

/// A source and everybody who reads it.
struct Plan {
    source: Source,
    readers: Vec<Reader>,
    after: Option<LogPosition>,
}

/// Collects what the jails want to read.
pub(super) struct Watching {
    by_hand: Option<Watch>,
    plans: Vec<Plan>,
}

/// A watcher at work.
pub(super) struct Handle(Waker);

impl Handle {
    /// Tells it to end.
    pub(super) fn wake(&self) {
        self.0.wake();
    }
}

impl Watching {
    pub(super) fn new(by_hand: Option<Watch>) -> Self {
        Self {
            by_hand,
            plans: Vec::new(),
        }
    }

    /// Finds the sources of a jail, and tells what it watches or waits for. A
    /// jail whose filter cannot be used is left out: the answer is then `false`.
    pub(super) fn add(&mut self, plan: &mut JailPlan, store: Option<&Store>, log: &Log) -> bool {
        let jail = plan.jail.name.clone();
        let sources = self.sources(plan);
        tell_backend(&jail, &sources, log);
        plan.jail.watches = watches(&sources);
        for source in sources {
            let filter = match Filter::new(&plan.filter, clock::zone().clone()) {
                Ok(filter) => filter,
                Err(error) => {
                    log.error(
                        "ferroban.guard",
                        &format!("[{jail}] {}. Jail skipped", report::chain(&error)),
                    );
                    return false;
                }
            };
            let after =
                store.and_then(|store| store.position(&jail, &source.name()).ok().flatten());
            self.join(
                source,
                Reader {
                    jail: jail.clone(),
                    filter,
                },
                after,
            );
        }
        true
    }

    fn join(&mut self, source: Source, reader: Reader, after: Option<LogPosition>) {
        match self.plans.iter_mut().find(|plan| plan.source == source) {
            Some(plan) => {
                // A jail that has read less than the others must miss nothing.
                plan.after = earlier(plan.after.take(), after);
                plan.readers.push(reader);
            }
            None => self.plans.push(Plan {
                source,
                readers: vec![reader],
                after,
            }),
        }
    }

    fn sources(&self, plan: &JailPlan) -> Vec<Source> {
        let journal = |folder: Option<PathBuf>| {
            vec![Source::Journal {
                folder,
                matches: plan.journal.clone(),
            }]
        };
        let file =
            |path: &Path| Source::File(std::path::absolute(path).unwrap_or_else(|_| path.into()));
        let files = |paths: &[String]| paths.iter().map(|path| file(path.as_ref())).collect();
        match (&self.by_hand, plan.backend) {
            (Some(Watch::File(path)), _) => vec![file(path)],
            (Some(Watch::Journal(folder)), _) => journal(folder.clone()),
            (None, Backend::Journal) => journal(None),
            (None, Backend::Files) => files(&plan.logpaths),
            (None, Backend::Auto) if !plan.journal.is_empty() && journal_lives() => journal(None),
            (None, Backend::Auto) => {
                // Where none exists yet, each is waited for.
                match plan
                    .logpaths
                    .iter()
                    .position(|path| Path::new(path).exists())
                {
                    Some(first) => files(plan.logpaths.get(first..=first).unwrap_or_default()),
                    None => files(&plan.logpaths),
                }
            }
        }
    }

    /// Starts a thread for each source.
    pub(super) fn start(self, inbox: &SyncSender<Message>, log: &Log) -> io::Result<Vec<Handle>> {
        let mut handles = Vec::new();
        for plan in self.plans {
            let waker = Waker::new().map_err(io::Error::other)?;
            let first = plan
                .readers
                .first()
                .map(|reader| reader.jail.to_string())
                .unwrap_or_default();
            let name = format!("f2b/f.{first}");
            let (inbox, log, pulled) = (inbox.clone(), log.clone(), waker.clone());
            thread::Builder::new().name(name.clone()).spawn(move || {
                sys::set_thread_name(&name);
                watch(plan, pulled, &inbox, &log);
                // If the main thread is gone, nobody waits for this.
                drop(inbox.send(Message::WatcherEnded));
            })?;
            handles.push(Handle(waker));
        }
        Ok(handles)
    }
}

/// Whether there is a journal and somebody writes it: files that a dead journald
/// left behind would be watched in vain.
fn journal_lives() -> bool {
    Journal::available() && Path::new("/run/systemd/journal/socket").exists()
}

fn earlier(one: Option<LogPosition>, other: Option<LogPosition>) -> Option<LogPosition> {
    match (one, other) {
        (Some(one), Some(other)) if one.mark == other.mark => Some(if one.offset <= other.offset {
            one
        } else {
            other
        }),
        _ => None,
    }
}

fn watches(sources: &[Source]) -> Watches {
    match sources.first() {
        Some(Source::Journal { matches, .. }) => {
            let groups: Vec<String> = matches.iter().map(|group| group.join(" ")).collect();
            Watches::Journal(vec![groups.join(" + ")])
        }
        _ => Watches::Files(sources.iter().map(Source::name).collect()),
    }
}

fn tell_backend(jail: &JailName, sources: &[Source], log: &Log) {
    let (uses, backend) = match sources.first() {
        Some(Source::Journal { .. }) => ("systemd", "systemd"),
        _ => ("pyinotify", "pyinotify"),
    };
    log.info("jail", &format!("Creating new jail '{jail}'"));
    log.info("jail", &format!("Jail '{jail}' uses {uses} {{}}"));
    log.info("jail", &format!("Initiated '{backend}' backend"));
    let what = match sources {
        [] => {
            "has nothing to watch: set logpath, or journalmatch where there is a journal".to_owned()
        }
        [Source::Journal { folder: None, .. }] => "watches the systemd journal".to_owned(),
        [
            Source::Journal {
                folder: Some(folder),
                ..
            },
        ] => format!("watches the journal in {}", folder.display()),
        sources => {
            let names: Vec<String> = sources.iter().map(Source::name).collect();
            if sources
                .iter()
                .any(|source| matches!(source, Source::File(path) if path.exists()))
            {
                format!("watches {}", names.join(", "))
            } else {
                format!(
                    "waits for {}: no such file yet; it starts when the file appears",
                    names.join(" or ")
                )
            }
        }
    };
    log.info("ferroban.guard", &format!("[{jail}] {what}"));
}

/// Reads a source until the waker is pulled.
fn watch(mut plan: Plan, waker: Waker, inbox: &SyncSender<Message>, log: &Log) {
    let mut source = match open(&mut plan, waker, log) {
        Ok(source) => source,
        Err(error) => {
            tell(
                &plan,
                log,
                Level::Error,
                &format!("{}: {error}; this log is not watched", plan.source.name()),
            );
            return;
        }
    };
    let mut batch = Batch::new();
    loop {
        match source.next(&mut batch, Wait::Forever) {
            Ok(Turn::Ready) => {
                let reading = read(&mut plan, &batch, log);
                if inbox.send(Message::Read(reading)).is_err() {
                    return;
                }
            }
            Ok(Turn::Idle) => {}
            Ok(Turn::Woken) => return,
            Err(error) => {
                tell(
                    &plan,
                    log,
                    Level::Error,
                    &format!(
                        "{}: {error}; this log is no longer watched",
                        plan.source.name()
                    ),
                );
                return;
            }
        }
    }
}

fn open(
    plan: &mut Plan,
    waker: Waker,
    log: &Log,
) -> Result<Box<dyn LogSource>, crate::source::Error> {
    let after = plan.after.take();
    match &plan.source {
        Source::File(path) => {
            let start = after.map_or(Start::Beginning, |position| Start::After(stored(position)));
            let mut tail = FileTail::open(path, start, waker)?;
            if let Some(reader) = plan.readers.first() {
                let now = clock::now();
                let skipped = tail.skip_old(&mut |line| reader.filter.is_old(now, line));
                if let Err(error) = skipped {
                    log.warning(
                        "ferroban.guard",
                        &format!("{}: old lines cannot be skipped: {error}", path.display()),
                    );
                }
            }
            Ok(Box::new(tail))
        }
        Source::Journal { folder, matches } => {
            for reader in &plan.readers {
                let groups: Vec<String> = matches.iter().map(|group| group.join(" ")).collect();
                log.info(
                    "filtersystemd",
                    &format!(
                        "[{}] Added journal match for: '{}'",
                        reader.jail,
                        groups.join(" + ")
                    ),
                );
            }
            // Local entries of system services; a folder is taken as it is.
            let (place, flags) = match folder {
                Some(folder) => (Place::Directory(folder.clone()), 0),
                None => (Place::Local, 1 | 4),
            };
            let window = plan
                .readers
                .iter()
                .map(|reader| reader.filter.findtime())
                .max()
                .unwrap_or(0);
            let from = clock::now().plus_secs(-window);
            let read = after.map(|position| Timestamp::from_secs(position.offset));
            let query = Query {
                place,
                flags,
                matches: matches.clone(),
                since: read.map_or(from, |read| read.max(from)),
                after: None,
                stamp: iso,
            };
            Ok(Box::new(Journal::open(query, waker)?))
        }
    }
}

/// A time as fail2ban stores it for the journal.
fn iso(time: Timestamp) -> String {
    ferroban_date::local_text(time, clock::zone()).replace(' ', "T")
}

fn read(plan: &mut Plan, batch: &Batch, log: &Log) -> Reading {
    for note in &batch.notes {
        tell_note(plan, note, log);
    }
    let now = clock::now();
    let mut failures: Vec<(JailName, Failure)> = Vec::new();
    let (mut found, mut notes): (Vec<Failure>, Vec<FilterNote>) = (Vec::new(), Vec::new());
    for line in batch.lines() {
        let line = LogLine {
            text: line.text,
            time: line.time,
            live: batch.live,
        };
        for reader in &mut plan.readers {
            reader.filter.feed(now, line, &mut found, &mut notes);
            failures.extend(
                found
                    .drain(..)
                    .map(|failure| (reader.jail.clone(), failure)),
            );
            for note in notes.drain(..) {
                events::note(log, &reader.jail, &note);
            }
        }
    }
    let jails = plan
        .readers
        .iter()
        .map(|reader| reader.jail.clone())
        .collect();
    Reading {
        failures,
        position: batch.position.clone().map(to_store),
        jails,
    }
}

fn stored(position: LogPosition) -> Position {
    Position {
        path: position.log,
        hash: position.mark,
        offset: position.offset,
    }
}

fn to_store(position: Position) -> LogPosition {
    LogPosition {
        log: position.path,
        mark: position.hash,
        offset: position.offset,
    }
}

/// Says the same for every jail on the source.
fn tell(plan: &Plan, log: &Log, level: Level, text: &str) {
    for reader in &plan.readers {
        log.line(
            level,
            "ferroban.guard",
            &format!("[{}] {text}", reader.jail),
        );
    }
}

fn tell_note(plan: &Plan, note: &Note, log: &Log) {
    if let (Note::CaughtUp, Source::Journal { .. }) = (note, &plan.source) {
        for reader in &plan.readers {
            let text = format!(
                "[{}] Jail is in operation now (process new journal entries)",
                reader.jail
            );
            log.info("filtersystemd", &text);
        }
    }
    match notes::wording(&plan.source.name(), note) {
        Some(Wording {
            level,
            logger: Some(logger),
            text,
        }) => log.line(level, logger, &text),
        Some(Wording {
            level,
            logger: None,
            text,
        }) => tell(plan, log, level, &text),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc::{Receiver, sync_channel};

    use ferroban_engine::{FilterSettings, JailSettings};

    use crate::log::Target;

    fn plan(jail: &str, failregex: &str, logpaths: &[&Path]) -> JailPlan {
        let text = |path: &&Path| path.display().to_string();
        JailPlan {
            jail: JailSettings::new(jail.parse().unwrap()),
            filter: FilterSettings {
                failregex: vec![failregex.to_owned()],
                findtime: 600,
                ..FilterSettings::default()
            },
            backend: Backend::Files,
            logpaths: logpaths.iter().map(text).collect(),
            journal: Vec::new(),
            action: String::new(),
            action_options: std::collections::BTreeMap::new(),
        }
    }

    /// Reads until a message with failures comes.
    fn failures(messages: &Receiver<Message>) -> Vec<(String, String)> {
        loop {
            if let Message::Read(reading) = messages.recv().unwrap()
                && !reading.failures.is_empty()
            {
                let shown = |(jail, failure): &(JailName, Failure)| {
                    (jail.to_string(), failure.id.to_string())
                };
                return reading.failures.iter().map(shown).collect();
            }
        }
    }

    #[test]
    fn a_log_is_read_once_for_all_its_jails_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, other) = (
            folder.path().join("shared.log"),
            folder.path().join("other.log"),
        );
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let mut watching = Watching::new(None);
        assert!(watching.add(&mut plan("a", "a <ADDR>", &[&shared]), None, &log));
        assert!(watching.add(
            &mut plan("b", "[ab] <ADDR>", &[&shared, &other]),
            None,
            &log
        ));
        let readers: Vec<usize> = watching
            .plans
            .iter()
            .map(|plan| plan.readers.len())
            .collect();
        assert_eq!(
            readers,
            [2, 1],
            "one source for two jails, one for the second alone"
        );

        let now = ferroban_date::local_text(clock::now(), clock::zone());
        fs::write(&shared, format!("{now} a 192.0.2.1\n{now} b 192.0.2.2\n")).unwrap();
        let shared_plan = watching.plans.remove(0);
        let (inbox, messages) = sync_channel(16);
        let waker = Waker::new().unwrap();
        std::thread::scope(|scope| {
            let pulled = waker.clone();
            scope.spawn(|| watch(shared_plan, pulled, &inbox, &log));
            let pairs = [("a", "192.0.2.1"), ("b", "192.0.2.1"), ("b", "192.0.2.2")];
            assert_eq!(
                failures(&messages),
                pairs.map(|(j, id)| (j.to_owned(), id.to_owned()))
            );
            waker.wake();
        });
    }

    #[test]
    fn jails_on_one_log_go_on_where_the_slowest_of_them_was() {
        let at = |mark: &str, offset| {
            Some(LogPosition {
                log: "x".into(),
                mark: mark.into(),
                offset,
            })
        };
        let cases = [
            (at("m", 5), at("m", 7), at("m", 5)),
            (at("m", 9), at("m", 7), at("m", 7)),
            (at("m", 5), at("n", 7), None),
            (at("m", 5), None, None),
        ];
        for (one, other, expected) in cases {
            assert_eq!(
                earlier(one.clone(), other.clone()),
                expected,
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn a_filter_that_cannot_work_is_told_and_its_jail_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("log");
        let log = Log::open(&Target::File(told.clone()), Level::Info).unwrap();
        let mut watching = Watching::new(None);
        assert!(!watching.add(&mut plan("a", "(", &[&folder.path().join("x")]), None, &log));
        let told = fs::read_to_string(told).unwrap();
        assert!(
            told.contains("[a] Unable to compile regular expression '('"),
            "{told}"
        );
    }
}
