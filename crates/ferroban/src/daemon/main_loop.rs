//! The main thread: takes messages, lets the engine decide, and sees to it that
//! the consequences happen in the right order.
//!
//! A ban is written down before it is acted on. The transaction goes to the
//! recorder, and the jobs that belong to it wait for its commit, but never longer
//! than [`PATIENCE`]: a slow disk must not let an attacker in.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ferroban_engine::{
    Effect, Engine, Event, InquiryId, JailName, Job, JobId, LogPosition, Save, Timestamp,
};

use super::actor::Call;
use super::asker::Told;
use super::crew::Crew;
use super::database::Database;
use super::inquiries::Inquiries;
use super::message::{Answer, Message, Question, Reading};
use super::monitor::Monitor;
use super::notify::Notify;
use super::protect;
use super::request::{Own, Request};
use super::status::Troubles;
use super::truth::Looker;
use crate::action::Lifted;
use crate::action::shell::Counters;
use crate::clock;
use crate::load::Setup;
use crate::log::{Log, events};
use crate::wire::Value;

/// How long jobs wait for their transaction.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a transaction may take before it is told that it does.
const TOLD_LATE: Duration = Duration::from_secs(1);

/// How many messages are taken in one turn.
const TURN: usize = 1024;

/// How often read positions are written when nothing else is.
const POSITIONS_EVERY: Duration = Duration::from_secs(10);

/// How often the protected addresses are looked up while failures come in.
const PROTECT_EVERY: Duration = Duration::from_secs(60);

/// How long a stop waits for the jails.
const JAILS_LIMIT: Duration = Duration::from_secs(30);

/// How long a stop waits for the watchers.
const WATCHERS_LIMIT: Duration = Duration::from_secs(3);

/// The engine and its connections.
pub(super) struct MainLoop {
    pub(super) engine: Engine,
    pub(super) crew: Crew,
    /// What it was told.
    pub(super) setup: Setup,
    pub(super) database: Database,
    pub(super) inquiries: Inquiries,
    /// The addresses that this host's names have.
    own_names: Vec<IpAddr>,
    pub(super) log: Log,
    /// Transactions under way and the jobs that wait for them, oldest first.
    held: VecDeque<Held>,
    asked: Vec<Waiting>,
    /// Clients that want to know what happens.
    listeners: Vec<SyncSender<Vec<u8>>>,
    /// What failed last in each jail.
    pub(super) trouble: Troubles,
    /// The commands of jails that are done in process.
    pub(super) lifted: BTreeMap<JailName, Lifted>,
    pub(super) notify: Notify,
    pub(super) monitor: Monitor,
    /// Read positions that are not written yet.
    pub(super) positions: HashMap<(JailName, String), LogPosition>,
    /// Read positions behind failures whose fate is being found out. Were they written and
    /// the daemon ended, nobody would read those lines again.
    pub(super) unsettled: HashMap<(JailName, String), Unsettled>,
    /// Where each jail has read on to, written or not.
    pub(super) read: HashMap<(JailName, String), LogPosition>,
    positions_written: Instant,
    protected: Instant,
    stopping: Option<Stopping>,
    /// Who looks into the kernel for bans, once somebody asked.
    pub(super) looker: Option<Looker>,
    /// A transaction that is late, since when, and whether that was told.
    late: Option<(u64, Instant, bool)>,
}

/// A read position that waits for answers.
pub(super) struct Unsettled {
    position: LogPosition,
    /// The last question when it was noted: once this and all before it are answered, it
    /// is settled.
    last: InquiryId,
    /// What was read after it.
    newest: Option<LogPosition>,
}

struct Held {
    transaction: u64,
    deadline: Instant,
    jobs: Vec<Job>,
}

/// A client whose answer waits for jobs.
struct Waiting {
    jobs: HashSet<JobId>,
    answer: Answer,
    to: SyncSender<Answer>,
}

/// Clients that asked for the stop and get their answer at its end.
#[derive(Default)]
pub(super) struct Stopping(Vec<SyncSender<Answer>>);

impl Stopping {
    /// Tells them that it is done.
    pub(super) fn answer(self) {
        for client in self.0 {
            Question::answer(&client, Ok(Value::None));
        }
    }
}

impl MainLoop {
    pub(super) fn new(
        engine: Engine,
        crew: Crew,
        database: Database,
        inquiries: Inquiries,
        log: Log,
    ) -> Self {
        Self {
            engine,
            crew,
            setup: Setup::default(),
            database,
            inquiries,
            own_names: Vec::new(),
            held: VecDeque::new(),
            asked: Vec::new(),
            listeners: Vec::new(),
            trouble: Troubles::default(),
            lifted: BTreeMap::new(),
            notify: Notify::from_environment(),
            monitor: Monitor::new(log.clone()),
            positions: HashMap::new(),
            unsettled: HashMap::new(),
            read: HashMap::new(),
            log,
            positions_written: clock::tick(),
            protected: clock::tick(),
            stopping: None,
            looker: None,
            late: None,
        }
    }

    /// Works until somebody says stop.
    pub(super) fn run(&mut self, messages: &Receiver<Message>) {
        while self.stopping.is_none() {
            if !self.turn(messages, None) {
                return;
            }
        }
    }

    /// Ends the watchers, and works on until they have ended, so that no failure
    /// they found is lost.
    pub(super) fn stop_watching(&mut self, messages: &Receiver<Message>) {
        self.crew.stop_watching();
        let limit = clock::tick() + WATCHERS_LIMIT;
        while self.crew.is_watching() && clock::tick() < limit {
            if !self.turn(messages, Some(limit)) {
                return;
            }
        }
    }

    /// Ends the jails and waits until the firewall is clean.
    pub(super) fn stop_jails(&mut self, messages: &Receiver<Message>) {
        let mut effects = Vec::new();
        let jobs = self.engine.stop(clock::now(), &mut effects);
        self.positions_written = clock::tick() - POSITIONS_EVERY;
        self.dispatch(effects);
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let limit = clock::tick() + JAILS_LIMIT;
        self.answer_after(Ok(Value::None), jobs, sender);
        while receiver.try_recv().is_err() && clock::tick() < limit {
            if !self.turn(messages, Some(limit)) {
                return;
            }
        }
    }

    /// Lets the actors and the recorder end. Whether there was a database.
    pub(super) fn close(mut self) -> (Stopping, bool) {
        self.hand_out_held();
        self.monitor.close();
        self.crew.close();
        self.inquiries.close();
        let stored = self.database.close();
        (self.stopping.take().unwrap_or_default(), stored)
    }

    /// Waits for messages and handles what is there. `false`: nobody is left who
    /// could send one.
    fn turn(&mut self, messages: &Receiver<Message>, limit: Option<Instant>) -> bool {
        let first = match self.wait(limit) {
            Some(wait) => messages.recv_timeout(wait),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut effects = Vec::new();
        match first {
            Ok(message) => {
                self.handle(message, &mut effects);
                for message in messages.try_iter().take(TURN) {
                    self.handle(message, &mut effects);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        let now = clock::now();
        if self.engine.next_wakeup().is_some_and(|due| due <= now) {
            self.engine.wake(now, &mut effects);
        }
        self.dispatch(effects);
        self.keep_deadlines();
        true
    }

    /// How long to wait at most; `None` until a message comes.
    fn wait(&self, limit: Option<Instant>) -> Option<Duration> {
        let now = clock::tick();
        let held = self.held.front().map(|held| held.deadline);
        let late = self.late.filter(|(.., told)| !told);
        let late = late.map(|(_, since, _)| since + TOLD_LATE);
        let deadlines = [held, late, limit]
            .into_iter()
            .flatten()
            .map(|at| at.saturating_duration_since(now));
        let engine = self
            .engine
            .next_wakeup()
            .map(|due| until(due, clock::now()));
        deadlines.chain(engine).chain(self.notify.due(now)).min()
    }

    fn handle(&mut self, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Read(reading) => self.reading(reading, effects),
            Message::Done(all) => {
                let now = clock::now();
                for done in all {
                    self.engine.done(now, &done, effects);
                    self.job_done(done.job);
                }
            }
            Message::FoundOut(told) => self.found_out(told, effects),
            Message::Firewall(news) => self.firewall(&news, effects),
            Message::Tampered(jail, all) => {
                for what in all {
                    self.engine.tampered(clock::now(), &jail, what, effects);
                }
            }
            Message::Fates(jail, fates) => self.trouble.note_fates(&jail, fates, clock::now()),
            Message::Lifted(jail, lifted) => drop(self.lifted.insert(jail, lifted)),
            Message::Committed(transaction) => {
                self.late = self.late.filter(|(late, ..)| *late > transaction);
                self.release(|held| held.transaction <= transaction);
            }
            Message::Stored(jails) => {
                let now = clock::now();
                for (jail, bans) in jails {
                    self.engine.take_over(now, &jail, bans, effects);
                }
            }
            Message::Asked(question) => self.asked(question, effects),
            Message::Reload(_) | Message::Listen(_) | Message::Looked(_) if self.is_stopping() => {}
            Message::Looked(looked) => self.looked(&looked, effects),
            Message::Listen(listener) => self.listeners.push(listener),
            Message::FlushLogs => {
                if let Err(error) = self.log.flushlogs() {
                    self.log.error("server", &error.to_string());
                }
            }
            Message::WatcherEnded { number, next } => self.crew.watcher_ended(number, next),
            Message::Reload(request) => self.reread(*request, effects),
            Message::Stop => drop(self.stopping.get_or_insert_default()),
        }
    }

    fn asked(&mut self, question: Question, effects: &mut Vec<Effect>) {
        let Question { request, reply } = question;
        match request {
            Request::Stop => self.stopping.get_or_insert_default().0.push(reply),
            // Too late for anything else: whoever asks learns that we are going.
            _ if self.is_stopping() => {}
            Request::Call {
                jail,
                action,
                method,
                arguments,
            } => {
                let call = Call {
                    action,
                    method,
                    arguments,
                    reply,
                };
                self.call(&jail, call);
            }
            Request::Own(Own::Check { jail }) => self.prove(&jail, reply),
            Request::Own(own @ (Own::Status | Own::Bans { .. })) => {
                self.find_out(own, reply, effects);
            }
            request => self.serve(request, reply, effects),
        }
    }

    fn found_out(&mut self, told: Told, effects: &mut Vec<Effect>) {
        match told {
            Told::Found(id, finding) => {
                self.engine.found_out(clock::now(), id, finding, effects);
            }
            Told::OwnNames(addresses) => {
                self.own_names = addresses;
                self.protect();
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub(super) fn reading(&mut self, reading: Reading, effects: &mut Vec<Effect>) {
        if !reading.failures.is_empty() && self.protected.elapsed() >= PROTECT_EVERY {
            self.protect();
            self.inquiries.own_names();
        }
        let now = clock::now();
        for stored in self.database.late() {
            let bans = stored.bans.unwrap_or_default();
            self.engine.take_over(now, &stored.jail, bans, effects);
        }
        for (jail, failure) in reading.failures {
            self.engine.failure(now, &jail, failure, effects);
        }
        if let Some(position) = reading.position {
            for jail in reading.jails {
                let key = (jail, position.log.clone());
                self.read.insert(key.clone(), position.clone());
                self.note_position(key, position.clone());
            }
        }
    }

    /// Has a read position written, as soon as the fate of what was read before it is known.
    fn note_position(&mut self, key: (JailName, String), position: LogPosition) {
        if self.engine.oldest_inquiry(&key.0).is_none() {
            self.unsettled.remove(&key);
            self.positions.insert(key, position);
            return;
        }
        match self.unsettled.entry(key) {
            Entry::Occupied(mut earlier) => earlier.get_mut().newest = Some(position),
            Entry::Vacant(free) => {
                let last = self.engine.last_inquiry();
                free.insert(Unsettled {
                    position,
                    last,
                    newest: None,
                });
            }
        }
    }

    /// A jail ends. If it returns, it asks again about what it waited to know.
    pub(super) fn unsettle(&mut self, jail: &JailName, returns: bool) {
        self.unsettled.retain(|(of, _), unsettled| {
            if *of == *jail {
                unsettled.last = InquiryId(u64::MAX);
            }
            *of != *jail || returns
        });
    }

    /// Lets those read positions be written whose questions are answered.
    pub(super) fn settle(&mut self) {
        let (engine, positions) = (&self.engine, &mut self.positions);
        self.unsettled.retain(|key, unsettled| {
            match engine.oldest_inquiry(&key.0) {
                None => {
                    let newest = unsettled.newest.take();
                    let position = newest.unwrap_or_else(|| unsettled.position.clone());
                    positions.insert(key.clone(), position);
                    return false;
                }
                Some(oldest) if oldest > unsettled.last => {
                    positions.insert(key.clone(), unsettled.position.clone());
                    let Some(newest) = unsettled.newest.take() else {
                        return false;
                    };
                    unsettled.position = newest;
                    unsettled.last = engine.last_inquiry();
                }
                Some(_) => {}
            }
            true
        });
    }

    /// Looks up who is not to be banned without force.
    fn protect(&mut self) {
        self.protected = clock::tick();
        self.engine.protect(protect::find(&self.own_names));
    }

    /// Carries out what was decided: hands the transaction to the recorder, holds
    /// the jobs until it is written, and tells. Telling comes last: a log that
    /// nobody drains must not hold up a ban.
    pub(super) fn dispatch(&mut self, effects: Vec<Effect>) {
        let (mut saves, mut jobs, mut events) = (Vec::new(), Vec::new(), Vec::new());
        self.note(&effects);
        for effect in effects {
            match effect {
                Effect::Report(event) => events.push(event),
                Effect::Save(save) => saves.push(save),
                Effect::Act(job) => jobs.push(job),
                Effect::Inquire(inquiry) => self.inquiries.put(inquiry),
            }
        }
        if !saves.is_empty() || self.positions_written.elapsed() >= POSITIONS_EVERY {
            self.positions_written = clock::tick();
            self.settle();
            let positions = self.positions.drain();
            saves.extend(positions.map(|((jail, _), position)| Save::Position { jail, position }));
        }
        let recorded = !saves.is_empty() && self.database.write(saves);
        if recorded || !self.held.is_empty() {
            let deadline = clock::tick() + PATIENCE;
            let transaction = self.database.transaction();
            self.held.push_back(Held {
                transaction,
                deadline,
                jobs,
            });
        } else {
            self.crew.hand_out(jobs);
        }
        for event in &events {
            self.tell(event);
        }
    }

    /// Notes what jails have counted, before their actions ask.
    fn note(&self, effects: &[Effect]) {
        let mut noted: Vec<&JailName> = Vec::new();
        for effect in effects {
            if let Effect::Act(job) = effect
                && !noted.contains(&&job.jail)
            {
                noted.push(&job.jail);
                if let Some(counts) = self.engine.counts(&job.jail) {
                    let counters = Counters {
                        banned: counts.banned,
                        banned_total: counts.banned_total,
                        found: counts.found,
                        found_total: counts.found_total,
                    };
                    self.crew.note(&job.jail, counters);
                }
            }
        }
    }

    /// Hands out all jobs at once, whether or not their transactions are written: what
    /// comes next must come after them.
    pub(super) fn hand_out_held(&mut self) {
        self.release(|_| true);
    }

    fn release(&mut self, due: impl Fn(&Held) -> bool) {
        while self.held.front().is_some_and(&due) {
            if let Some(held) = self.held.pop_front() {
                self.crew.hand_out(held.jobs);
            }
        }
    }

    fn keep_deadlines(&mut self) {
        let now = clock::tick();
        if self.held.front().is_some_and(|held| held.deadline <= now) {
            let transaction = self.held.front().map_or(0, |held| held.transaction);
            self.late.get_or_insert((transaction, now, false));
            self.release(|held| held.deadline <= now);
        }
        if let Some((_, since, told @ false)) = &mut self.late
            && now - *since >= TOLD_LATE
        {
            *told = true;
            let text = format!(
                "the database takes longer than {} s; bans go ahead without waiting for it",
                TOLD_LATE.as_secs()
            );
            self.log.warning("ferroban.database", &text);
        }
        self.notify.keep(now);
    }

    /// Answers once these jobs are done.
    pub(super) fn answer_after(
        &mut self,
        answer: Answer,
        after: Vec<JobId>,
        to: SyncSender<Answer>,
    ) {
        if after.is_empty() {
            return Question::answer(&to, answer);
        }
        self.asked.push(Waiting {
            jobs: after.into_iter().collect(),
            answer,
            to,
        });
    }

    fn job_done(&mut self, job: JobId) {
        for waiting in &mut self.asked {
            waiting.jobs.remove(&job);
        }
        for waiting in self.asked.extract_if(.., |waiting| waiting.jobs.is_empty()) {
            Question::answer(&waiting.to, waiting.answer);
        }
    }

    fn tell(&mut self, event: &Event) {
        let action = match event {
            Event::ActionFailed { jail, .. } | Event::ActionRecovered { jail, .. } => {
                self.crew.action(jail)
            }
            _ => "",
        };
        events::write(&self.log, event, action);
        if let Event::JailStopped { jail } = event {
            self.crew.gone(jail);
        }
        self.trouble.note(event, clock::now());
        self.spread(event);
    }

    /// Tells an event to every client that wants to know. One that does not keep up is
    /// let go, so that it neither holds us up nor misses something without knowing.
    fn spread(&mut self, event: &Event) {
        if self.listeners.is_empty() {
            return;
        }
        let line = super::status::event_line(event, clock::now());
        self.listeners
            .retain(|listener| listener.try_send(line.clone()).is_ok());
    }
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due.micros_since(now)).unwrap_or(0))
}
