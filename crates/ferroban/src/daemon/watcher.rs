//! The threads that read logs: one for each source, for all jails on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use ferroban_engine::{
    Failure, Filter, FilterNote, FilterSettings, JailName, LogLine, LogPosition, Timestamp,
    settings::Watches,
};

use super::Watch;
use super::message::{Message, Reading};
use super::notes::{self, Wording};
use crate::load::{Backend, JailPlan};
use crate::log::{Level, Log, events};
use crate::source::{
    self, Batch, Encoding, FileTail, Journal, LogSource, Note, Place, Position, Query, Turn, Wait,
    Waker,
};
use crate::wire::view::{Medium, WatchView};
use crate::{clock, report, sys, wire};

/// For how long a log may be gone, as it is while it is rotated, before that is told.
const GONE: Duration = Duration::from_secs(2);

/// How long to wait before a source that failed is opened again.
const RETRY: Duration = Duration::from_secs(30);

/// What can be read, once, for several jails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    File {
        path: PathBuf,
        /// The name of its encoding.
        encoding: String,
    },
    Journal {
        folder: Option<PathBuf>,
        matches: Vec<Vec<String>>,
    },
}

impl Source {
    /// Its name in the database and for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Journal { .. } => Position::JOURNAL.to_owned(),
        }
    }

    /// How its bytes become text.
    fn encoding(&self) -> Encoding {
        match self {
            Self::File { encoding, .. } => encoding_of(encoding).unwrap_or_default(),
            Self::Journal { .. } => Encoding::UTF8,
        }
    }

    /// What its encoding is called.
    fn encoding_name(&self) -> &str {
        match self {
            Self::File { encoding, .. } => encoding,
            Self::Journal { .. } => "UTF-8",
        }
    }

    /// How long it is now, if it is a file.
    fn size(&self) -> Option<u64> {
        match self {
            Self::File { path, .. } => path.metadata().ok().map(|found| found.len()),
            Self::Journal { .. } => None,
        }
    }
}

/// A source and every jail that reads it, with what it looks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct WatchPlan {
    pub(super) source: Source,
    pub(super) readers: Vec<(JailName, FilterSettings)>,
}

/// What a new watcher needs.
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) plan: WatchPlan,
    pub(super) from: Begin,
    pub(super) waker: Waker,
}

/// Where a watcher begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Begin {
    /// At what is young enough to count.
    Beginning,
    /// Behind what was read before.
    After(LogPosition),
    /// The same in a file that somebody had caught up with: all that follows is new.
    On(LogPosition),
    /// The same in a journal, to the entry.
    AfterEntry(LogPosition, String),
    /// At what the journal took in from this moment on.
    Since(Timestamp),
    /// At what is written from now on.
    End,
}

/// A jail that reads a source.
struct Reader {
    jail: JailName,
    filter: Filter,
    /// Whether it was told by which patterns dates are found.
    told_dates: bool,
}

/// The encoding of a log that can be followed, by its name.
pub(super) fn encoding_of(name: &str) -> Option<Encoding> {
    Encoding::named(name).filter(Encoding::has_plain_lines)
}

/// What to watch for all these jails: each source once.
pub(super) fn plans<'a>(
    jails: impl Iterator<Item = (&'a JailPlan, &'a [Source])>,
) -> Vec<WatchPlan> {
    let mut plans: Vec<WatchPlan> = Vec::new();
    for (jail, sources) in jails {
        for source in sources {
            let reader = (jail.jail.name.clone(), jail.filter.clone());
            match plans.iter_mut().find(|plan| plan.source == *source) {
                Some(plan) => plan.readers.push(reader),
                None => plans.push(WatchPlan {
                    source: source.clone(),
                    readers: vec![reader],
                }),
            }
        }
    }
    plans
}

/// What a jail reads on this host now.
pub(super) fn sources(plan: &JailPlan, by_hand: Option<&Watch>) -> Vec<Source> {
    let journal = |folder: Option<PathBuf>| {
        vec![Source::Journal {
            folder,
            matches: plan.journal.clone(),
        }]
    };
    let file = |path: &Path| Source::File {
        path: std::path::absolute(path).unwrap_or_else(|_| path.into()),
        encoding: plan.encoding.clone(),
    };
    let files = |paths: &[String]| paths.iter().map(|path| file(path.as_ref())).collect();
    match (by_hand, plan.backend) {
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

/// The names of sources, for people.
pub(super) fn names(sources: &[Source]) -> String {
    sources
        .iter()
        .map(Source::name)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Where several jails go on reading together: where the one was that has read
/// least, so that none misses anything.
pub(super) fn common(positions: impl Iterator<Item = Option<LogPosition>>) -> Option<LogPosition> {
    positions.reduce(earlier).flatten()
}

/// Starts the thread of a watcher. Its end is told by a message.
pub(super) fn start(start: Start, inbox: SyncSender<Message>, log: Log) -> io::Result<()> {
    let first = start
        .plan
        .readers
        .first()
        .map(|(jail, _)| jail.to_string())
        .unwrap_or_default();
    let name = format!("f2b/f.{first}");
    let there = start.plan.source.size();
    thread::Builder::new().name(name.clone()).spawn(move || {
        sys::set_thread_name(&name);
        let number = start.number;
        let mut watcher = Watcher::new(start, log);
        watcher.there = there;
        let (next, source) = watcher.watch(&inbox);
        // If the main thread is gone, nobody waits for this.
        drop(inbox.send(Message::WatcherEnded { number, next }));
        // The kernel takes 4 to 20 ms to end an inotify; nobody has to wait for that either.
        drop(source);
    })?;
    Ok(())
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

/// What a jail watches, for `status`.
pub(super) fn watches(sources: &[Source]) -> Watches {
    match sources.first() {
        Some(Source::Journal { matches, .. }) => Watches::Journal(vec![joined(matches)]),
        _ => Watches::Files(sources.iter().map(Source::name).collect()),
    }
}

/// Journal matches as people write them: `A=1 B=2 + C=3`.
pub(super) fn joined(matches: &[Vec<String>]) -> String {
    let groups: Vec<String> = matches.iter().map(|group| group.join(" ")).collect();
    groups.join(" + ")
}

/// A source as our own commands show it, and why there is nothing to read in it now.
pub(super) fn view(source: &Source) -> WatchView {
    let (kind, name) = match source {
        Source::File { .. } => (Medium::File, source.name()),
        Source::Journal { matches, .. } => (Medium::Journal, joined(matches)),
    };
    let unreadable = |path: &Path| match rustix::fs::access(path, rustix::fs::Access::READ_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::NOENT) => Some("no such file yet".to_owned()),
        Err(rustix::io::Errno::ACCESS) => Some("may not be read".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let problem = match source {
        Source::File { path, .. } => unreadable(path),
        Source::Journal {
            folder: Some(folder),
            ..
        } => unreadable(folder),
        Source::Journal { folder: None, .. } => {
            (!journal_lives()).then(|| "nobody writes a journal here".to_owned())
        }
    };
    WatchView {
        kind,
        name,
        problem,
    }
}

/// What a jail watches or waits for.
pub(super) fn watching(sources: &[Source]) -> String {
    let is_there = |source: &Source| matches!(source, Source::File { path, .. } if path.exists());
    match sources {
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
            if sources.iter().any(is_there) {
                format!("watches {}", names.join(", "))
            } else {
                format!(
                    "waits for {}: no such file yet; it starts when the file appears",
                    names.join(" or ")
                )
            }
        }
    }
}

/// A thread's source and everybody who reads it.
struct Watcher {
    source: Source,
    readers: Vec<Reader>,
    from: Begin,
    waker: Waker,
    log: Log,
    /// When a line that is not UTF-8 was last told loudly.
    told_undecodable: Option<Timestamp>,
    /// How much there was of a file when we were told to watch it: getting ready takes
    /// a moment, and what comes meanwhile is not passed over in silence.
    there: Option<u64>,
    /// Since when the file is gone, while that is not told yet.
    gone: Option<Instant>,
}

impl Watcher {
    fn new(start: Start, log: Log) -> Self {
        let Start {
            plan, from, waker, ..
        } = start;
        let mut readers = Vec::new();
        for (jail, settings) in plan.readers {
            match Filter::new(&settings, clock::zone().clone(), clock::now()) {
                Ok(filter) => readers.push(Reader {
                    jail,
                    filter,
                    told_dates: !settings.datepattern.is_empty(),
                }),
                Err(error) => log.error(
                    "ferroban.guard",
                    &format!("[{jail}] {}", report::chain(&error)),
                ),
            }
        }
        Self {
            source: plan.source,
            readers,
            from,
            waker,
            log,
            told_undecodable: None,
            gone: None,
            there: None,
        }
    }

    /// Reads the source until the waker is pulled, whatever happens to the source.
    /// Returns where to read on, and what is still open.
    fn watch(mut self, inbox: &SyncSender<Message>) -> (Begin, Option<Box<dyn LogSource>>) {
        let mut told = false;
        loop {
            let error = match self.read_on(inbox) {
                Ok(source) => return (self.from, Some(source)),
                Err(error) => error,
            };
            if !std::mem::replace(&mut told, true) {
                let text = format!(
                    "{}: {}; tried again every {} s",
                    self.source.name(),
                    report::chain(&error),
                    RETRY.as_secs()
                );
                self.tell(Level::Error, &text);
            }
            if self.waker.pulled_within(RETRY) {
                return (self.from, None);
            }
        }
    }

    /// Reads until the waker is pulled, or nobody listens any more.
    fn read_on(
        &mut self,
        inbox: &SyncSender<Message>,
    ) -> Result<Box<dyn LogSource>, source::Error> {
        let mut source = self.open()?;
        let mut batch = Batch::in_encoding(self.source.encoding());
        loop {
            self.tell_gone();
            match source.next(&mut batch, self.patience())? {
                Turn::Ready => {
                    let reading = self.read(&batch);
                    if let Some(position) = reading.position.clone() {
                        self.from = match (batch.cursor.take(), &self.from) {
                            (Some(cursor), _) => Begin::AfterEntry(position, cursor),
                            (None, Begin::On(_)) => Begin::On(position),
                            (None, _) => Begin::After(position),
                        };
                    }
                    self.catch_up(&batch);
                    if inbox.send(Message::Read(reading)).is_err() {
                        return Ok(source);
                    }
                }
                Turn::Idle => {}
                Turn::Woken => return Ok(source),
            }
        }
    }

    /// How long nothing need happen.
    fn patience(&self) -> Wait {
        match self.gone {
            Some(since) => Wait::AtMost(GONE.saturating_sub(since.elapsed())),
            None => Wait::Forever,
        }
    }

    /// Tells that the file is gone, if it is not only being rotated.
    fn tell_gone(&mut self) {
        if self.gone.is_some_and(|since| since.elapsed() >= GONE) {
            self.gone = None;
            self.tell_wording(&Note::Vanished);
        }
    }

    /// Whoever goes on after us reads new lines, and not those of before the start.
    fn catch_up(&mut self, batch: &Batch) {
        let is_file = matches!(self.source, Source::File { .. });
        let done = |note: &Note| matches!(note, Note::CaughtUp);
        if is_file
            && (batch.live || batch.notes.iter().any(done))
            && let Begin::After(position) = &self.from
        {
            self.from = Begin::On(position.clone());
        }
    }

    fn open(&mut self) -> Result<Box<dyn LogSource>, source::Error> {
        match self.source.clone() {
            Source::File { path, .. } => self.open_file(&path),
            Source::Journal { folder, matches } => self.open_journal(folder, matches),
        }
    }

    fn open_file(&mut self, path: &Path) -> Result<Box<dyn LogSource>, source::Error> {
        let start = match &self.from {
            Begin::Beginning => source::Start::Beginning,
            Begin::After(position) | Begin::AfterEntry(position, _) => {
                source::Start::After(stored(position.clone()))
            }
            Begin::On(position) => source::Start::On(stored(position.clone())),
            Begin::Since(_) | Begin::End => source::Start::End,
        };
        let mut tail = FileTail::open(path, start, self.waker.clone())?;
        if self.from == Begin::End
            && let Some(position) = tail.place()
        {
            // Whoever goes on after us begins where the end is now, not where it is then.
            self.from = Begin::On(to_store(position));
        }
        // What is old for the jail that looks back furthest is old for all.
        if let Some(reader) = self
            .readers
            .iter_mut()
            .max_by_key(|reader| reader.filter.findtime())
        {
            let now = clock::now();
            let end = self.there.take().unwrap_or(u64::MAX);
            let skipped = tail.skip_old(end, &mut |line| reader.filter.is_old(now, line));
            if let Err(error) = skipped {
                self.log.warning(
                    "ferroban.guard",
                    &format!("{}: old lines cannot be skipped: {error}", path.display()),
                );
            }
        }
        Ok(Box::new(tail))
    }

    fn open_journal(
        &mut self,
        folder: Option<PathBuf>,
        matches: Vec<Vec<String>>,
    ) -> Result<Box<dyn LogSource>, source::Error> {
        for reader in &self.readers {
            let text = format!(
                "[{}] Added journal match for: '{}'",
                reader.jail,
                joined(&matches)
            );
            self.log.info("filtersystemd", &text);
        }
        // Local entries of system services; a folder is taken as it is.
        let (place, flags) = match folder {
            Some(folder) => (Place::Directory(folder), 0),
            None => (Place::Local, 1 | 4),
        };
        let now = clock::now();
        let window = self
            .readers
            .iter()
            .map(|reader| reader.filter.findtime())
            .max()
            .unwrap_or(0);
        let young = now.plus_secs(-window);
        if self.from == Begin::End {
            self.from = Begin::Since(now);
        }
        let (since, after) = match &self.from {
            Begin::Beginning | Begin::End => (young, None),
            Begin::Since(moment) => (young.max(*moment), None),
            Begin::After(position) | Begin::On(position) => {
                (young.max(Timestamp::from_secs(position.offset)), None)
            }
            Begin::AfterEntry(position, cursor) => (
                young.max(Timestamp::from_secs(position.offset)),
                Some(cursor.clone()),
            ),
        };
        let query = Query {
            place,
            flags,
            matches,
            since,
            after,
            stamp: iso,
        };
        Ok(Box::new(Journal::open(query, self.waker.clone())?))
    }

    fn read(&mut self, batch: &Batch) -> Reading {
        for note in &batch.notes {
            self.tell_note(note);
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
            for reader in &mut self.readers {
                if !std::mem::replace(&mut reader.told_dates, true) {
                    // What fail2ban logs when it needs its patterns, in its number.
                    let text = "  default date pattern: 31 template(s)";
                    self.log.info("datedetector", text);
                }
                reader.filter.feed(now, line, &mut found, &mut notes);
                failures.extend(
                    found
                        .drain(..)
                        .map(|failure| (reader.jail.clone(), failure)),
                );
                for note in notes.drain(..) {
                    events::note(&self.log, &reader.jail, &note);
                }
            }
        }
        let jails = self
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

    /// Says the same for every jail on the source.
    fn tell(&self, level: Level, text: &str) {
        for reader in &self.readers {
            self.log.line(
                level,
                "ferroban.guard",
                &format!("[{}] {text}", reader.jail),
            );
        }
    }

    /// Loudly once a day, as the original does.
    fn tell_undecodable(&mut self, line: &[u8]) {
        let (now, name) = (clock::now(), self.source.name());
        let encoding = self.source.encoding_name();
        let due = |last: Timestamp| now.secs() - last.secs() >= 24 * 60 * 60;
        let level = if self.told_undecodable.is_none_or(due) {
            self.told_undecodable = Some(now);
            Level::Warning
        } else {
            Level::Debug
        };
        let shown = wire::text::repr(&wire::Value::Bytes(line.to_vec()));
        self.log.line(
            level,
            "filter",
            &format!("Error decoding line from '{name}' with '{encoding}'."),
        );
        let text = format!(
            "Consider setting logencoding to appropriate encoding for this jail. Continuing to process line ignoring invalid characters: {shown}"
        );
        self.log.line(level, "filter", &text);
    }

    fn tell_note(&mut self, note: &Note) {
        if let Note::Undecodable { line } = note {
            self.tell_undecodable(line);
        }
        if let (Note::CaughtUp, Source::Journal { .. }) = (note, &self.source) {
            for reader in &self.readers {
                let text = format!(
                    "[{}] Jail is in operation now (process new journal entries)",
                    reader.jail
                );
                self.log.info("filtersystemd", &text);
            }
        }
        match note {
            Note::Vanished => self.gone = Some(clock::tick()),
            // It was not gone for long.
            Note::Appeared if self.gone.take().is_some() => {}
            note => self.tell_wording(note),
        }
    }

    fn tell_wording(&self, note: &Note) {
        match notes::wording(&self.source.name(), note) {
            Some(Wording {
                level,
                logger: Some(logger),
                text,
            }) => self.log.line(level, logger, &text),
            Some(Wording {
                level,
                logger: None,
                text,
            }) => self.tell(level, &text),
            None => {}
        }
    }
}

/// A time as fail2ban stores it for the journal.
fn iso(time: Timestamp) -> String {
    ferroban_date::local_text(time, clock::zone()).replace(' ', "T")
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::{fs, iter};

    use ferroban_engine::{FilterSettings, JailSettings};

    use crate::log::Target;
    use crate::source::journal_tests;

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
            actions: Vec::new(),
            encoding: "UTF-8".to_owned(),
            without_effect: Vec::new(),
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
        let jails = [
            plan("a", "a <ADDR>", &[&shared]),
            plan("b", "[ab] <ADDR>", &[&shared, &other]),
        ];
        let found: Vec<_> = jails
            .iter()
            .map(|jail| (jail, sources(jail, None)))
            .collect();
        let mut plans = plans(found.iter().map(|(jail, sources)| (*jail, &**sources)));
        let readers: Vec<usize> = plans.iter().map(|plan| plan.readers.len()).collect();
        assert_eq!(
            readers,
            [2, 1],
            "one source for two jails, one for the second alone"
        );

        let now = ferroban_date::local_text(clock::now(), clock::zone());
        fs::write(&shared, format!("{now} a 192.0.2.1\n{now} b 192.0.2.2\n")).unwrap();
        let (inbox, messages) = sync_channel(16);
        let waker = Waker::new().unwrap();
        let start = Start {
            number: 1,
            plan: plans.remove(0),
            from: Begin::Beginning,
            waker: waker.clone(),
        };
        thread::scope(|scope| {
            let watcher = scope.spawn(|| Watcher::new(start, log).watch(&inbox).0);
            let pairs = [("a", "192.0.2.1"), ("b", "192.0.2.1"), ("b", "192.0.2.2")];
            assert_eq!(
                failures(&messages),
                pairs.map(|(j, id)| (j.to_owned(), id.to_owned()))
            );
            waker.wake();
            let (Begin::After(position) | Begin::On(position)) = watcher.join().unwrap() else {
                panic!("no position")
            };
            assert_eq!(
                position.offset,
                i64::try_from(fs::metadata(&shared).unwrap().len()).unwrap()
            );
        });
    }

    #[test]
    fn who_goes_on_after_a_watcher_that_read_nothing_sees_what_came_since() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.log");
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let jail = plan("a", "a <ADDR>", &[&path]);
        let now = ferroban_date::local_text(clock::now(), clock::zone());
        fs::write(&path, format!("{now} a 192.0.2.1\n")).unwrap();
        let found = sources(&jail, None);
        let (inbox, messages) = sync_channel(16);
        let (first, waker) = watcher((&jail, &found), Begin::End, &log);
        waker.wake();
        let (next, _) = first.watch(&inbox);
        assert!(matches!(next, Begin::On(_)), "{next:?}");

        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "{now} a 192.0.2.2").unwrap();
        let second = watcher((&jail, &found), next, &log);
        let (found, _) = read(second, &inbox, &messages);
        assert_eq!(found, ["192.0.2.2"], "neither the old one nor none");
    }

    #[test]
    fn who_goes_on_in_a_file_that_was_caught_up_with_reads_new_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.log");
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let jail = plan("a", "a <ADDR>", &[&path]);
        let found = sources(&jail, None);
        let position = LogPosition {
            log: path.display().to_string(),
            mark: String::new(),
            offset: 0,
        };
        let (after, on) = (Begin::After(position.clone()), Begin::On(position));
        let cases = [
            // where we were, what came, where somebody else begins
            (&after, vec![], false, &after),
            (&after, vec![Note::Vanished], false, &after),
            (&after, vec![Note::CaughtUp], false, &on),
            (&after, vec![], true, &on),
            (&on, vec![], true, &on),
            (
                &Begin::Beginning,
                vec![Note::CaughtUp],
                false,
                &Begin::Beginning,
            ),
        ];
        for (from, notes, live, expected) in cases {
            let (mut watcher, _) = watcher((&jail, &found), from.clone(), &log);
            let mut batch = Batch::new();
            (batch.notes, batch.live) = (notes, live);
            watcher.catch_up(&batch);
            assert_eq!(watcher.from, *expected, "{:?} {live}", batch.notes);
        }
    }

    #[test]
    fn who_goes_on_in_a_journal_begins_behind_the_last_entry_not_at_its_second() {
        if !journal_tests::can_make_journals() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let add = |message: &str| {
            let fields = [("_COMM", "sshd"), ("MESSAGE", message)];
            journal_tests::write(&folder.path().join("a.journal"), &[(1, &fields)]);
        };
        let mut jail = plan("a", "a <ADDR>$", &[]);
        jail.filter.findtime = u32::MAX;
        let found = [Source::Journal {
            folder: Some(folder.path().to_owned()),
            matches: Vec::new(),
        }];
        let (inbox, messages) = sync_channel(16);
        add("a 192.0.2.1");
        let first = watcher((&jail, &found), Begin::Beginning, &log);
        let (seen, next) = read(first, &inbox, &messages);
        assert_eq!(seen, ["192.0.2.1"]);
        add("a 192.0.2.2");
        let second = watcher((&jail, &found), next, &log);
        assert_eq!(read(second, &inbox, &messages).0, ["192.0.2.2"]);
    }

    /// A watcher of what this jail reads, and how to end it.
    fn watcher(jail: (&JailPlan, &[Source]), from: Begin, log: &Log) -> (Watcher, Waker) {
        let waker = Waker::new().unwrap();
        let start = Start {
            number: 1,
            plan: plans(iter::once(jail)).remove(0),
            from,
            waker: waker.clone(),
        };
        (Watcher::new(start, log.clone()), waker)
    }

    /// Who failed first, and where a successor begins.
    fn read(
        (watcher, waker): (Watcher, Waker),
        inbox: &SyncSender<Message>,
        messages: &Receiver<Message>,
    ) -> (Vec<String>, Begin) {
        thread::scope(|scope| {
            let ended = scope.spawn(|| watcher.watch(inbox).0);
            let found = failures(messages).into_iter().map(|(_, id)| id).collect();
            waker.wake();
            (found, ended.join().unwrap())
        })
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
                common([one.clone(), other.clone()].into_iter()),
                expected,
                "{one:?} {other:?}"
            );
        }
    }
}
