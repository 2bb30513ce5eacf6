//! The main thread: takes messages, lets the engine decide, and sees to it that
//! the consequences happen in the right order.
//!
//! A ban is written down before it is acted on. The transaction goes to the
//! recorder, and the jobs that belong to it wait for its commit, but never longer
//! than [`PATIENCE`]: a slow disk must not let an attacker in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use ferroban_engine::{
    Answer, Command, Effect, Engine, Event, JailName, Job, JobId, LogPosition, Reply, Save,
    Timestamp,
};

use super::crew::Crew;
use super::message::{Message, Reading, Request};
use super::protect;
use super::recorder::Record;
use crate::clock;
use crate::log::{Log, events};

/// How long jobs wait for their transaction.
const PATIENCE: Duration = Duration::from_millis(50);

/// How many messages are taken in one turn.
const TURN: usize = 1024;

/// How often read positions are written when nothing else is.
const POSITIONS_EVERY: Duration = Duration::from_secs(10);

/// How often the protected addresses are looked up while failures come in.
const PROTECT_EVERY: Duration = Duration::from_secs(60);

/// How long a client waits for the jobs of its command, and a stop for the jails.
const JOBS_LIMIT: Duration = Duration::from_secs(30);

/// How long a stop waits for the watchers.
const WATCHERS_LIMIT: Duration = Duration::from_secs(3);

/// The engine and its connections.
pub(super) struct MainLoop {
    pub(super) engine: Engine,
    pub(super) crew: Crew,
    records: Sender<Record>,
    pub(super) log: Log,
    /// Transactions under way and the jobs that wait for them, oldest first.
    held: VecDeque<Held>,
    transactions: u64,
    asked: Vec<Waiting>,
    positions: HashMap<(JailName, String), LogPosition>,
    positions_written: Instant,
    protected: Instant,
    stopping: Option<Stopping>,
    told_late: bool,
}

struct Held {
    transaction: u64,
    deadline: Instant,
    jobs: Vec<Job>,
}

/// A client whose answer waits for jobs.
struct Waiting {
    jobs: HashSet<JobId>,
    deadline: Instant,
    reply: Reply,
    to: SyncSender<Reply>,
}

/// Clients that asked for the stop and get their answer at its end.
#[derive(Default)]
pub(super) struct Stopping(Vec<SyncSender<Reply>>);

impl Stopping {
    /// Tells them that it is done.
    pub(super) fn answer(self) {
        for client in self.0 {
            Request::answer(&client, Reply::Nothing);
        }
    }
}

impl MainLoop {
    pub(super) fn new(engine: Engine, crew: Crew, records: Sender<Record>, log: Log) -> Self {
        Self {
            engine,
            crew,
            records,
            log,
            held: VecDeque::new(),
            transactions: 0,
            asked: Vec::new(),
            positions: HashMap::new(),
            positions_written: clock::tick(),
            protected: clock::tick(),
            stopping: None,
            told_late: false,
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
        let limit = clock::tick() + JOBS_LIMIT;
        self.answer_after(
            Answer {
                reply: Reply::Nothing,
                after: jobs,
            },
            sender,
        );
        while receiver.try_recv().is_err() && clock::tick() < limit {
            if !self.turn(messages, Some(limit)) {
                return;
            }
        }
    }

    /// Lets the actors and the recorder end.
    pub(super) fn close(mut self) -> Stopping {
        self.release(|_| true);
        self.crew.close();
        self.stopping.take().unwrap_or_default()
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
        let asked = self.asked.iter().map(|waiting| waiting.deadline).min();
        let deadlines = [held, asked, limit]
            .into_iter()
            .flatten()
            .map(|at| at.saturating_duration_since(now));
        let engine = self
            .engine
            .next_wakeup()
            .map(|due| until(due, clock::now()));
        deadlines.chain(engine).min()
    }

    fn handle(&mut self, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Read(reading) => self.reading(reading, effects),
            Message::Done(done) => {
                self.engine.done(clock::now(), &done, effects);
                self.job_done(done.job);
            }
            Message::Committed(transaction) => {
                self.told_late = false;
                self.release(|held| held.transaction <= transaction);
            }
            Message::Stored(jails) => {
                let now = clock::now();
                for (jail, bans) in jails {
                    self.engine.take_over(now, &jail, bans, effects);
                }
            }
            // Too late for anything else: whoever asks learns that we are going.
            Message::Asked(Request { command, .. })
                if self.is_stopping() && command != Command::Stop => {}
            Message::Reload(_) if self.is_stopping() => {}
            Message::Asked(Request {
                command: Command::Stop,
                reply,
            }) => {
                self.stopping.get_or_insert_default().0.push(reply);
            }
            Message::Asked(Request { command, reply }) => {
                let answer = self.engine.command(clock::now(), command, effects);
                self.answer_after(answer, reply);
            }
            Message::WatcherEnded { number, next } => self.crew.watcher_ended(number, next),
            Message::Reload(request) => self.reload(request, effects),
            Message::Stop => drop(self.stopping.get_or_insert_default()),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    fn reading(&mut self, reading: Reading, effects: &mut Vec<Effect>) {
        if !reading.failures.is_empty() && self.protected.elapsed() >= PROTECT_EVERY {
            self.protected = clock::tick();
            self.engine.protect(protect::find());
        }
        let now = clock::now();
        for (jail, failure) in reading.failures {
            self.engine.failure(now, &jail, failure, effects);
        }
        if let Some(position) = reading.position {
            for jail in reading.jails {
                self.positions
                    .insert((jail, position.log.clone()), position.clone());
            }
        }
    }

    /// Carries out what was decided: hands the transaction to the recorder, holds
    /// the jobs until it is written, and tells. Telling comes last: a log that
    /// nobody drains must not hold up a ban.
    pub(super) fn dispatch(&mut self, effects: Vec<Effect>) {
        let (mut saves, mut jobs, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Report(event) => events.push(event),
                Effect::Save(save) => saves.push(save),
                Effect::Act(job) => jobs.push(job),
            }
        }
        if !saves.is_empty() || self.positions_written.elapsed() >= POSITIONS_EVERY {
            self.positions_written = clock::tick();
            let positions = self.positions.drain();
            saves.extend(positions.map(|((jail, _), position)| Save::Position { jail, position }));
        }
        let recorded = !saves.is_empty() && self.record(saves);
        if recorded || !self.held.is_empty() {
            let deadline = clock::tick() + PATIENCE;
            let transaction = self.transactions;
            self.held.push_back(Held {
                transaction,
                deadline,
                jobs,
            });
        } else {
            self.hand_out(jobs);
        }
        for event in &events {
            self.tell(event);
        }
    }

    fn record(&mut self, saves: Vec<Save>) -> bool {
        self.transactions += 1;
        let record = (self.transactions, saves);
        self.records.send(record).is_ok()
    }

    fn release(&mut self, due: impl Fn(&Held) -> bool) {
        while self.held.front().is_some_and(&due) {
            if let Some(held) = self.held.pop_front() {
                self.hand_out(held.jobs);
            }
        }
    }

    fn hand_out(&self, jobs: Vec<Job>) {
        for job in jobs {
            self.crew.hand_out(job);
        }
    }

    fn keep_deadlines(&mut self) {
        let now = clock::tick();
        if self.held.front().is_some_and(|held| held.deadline <= now) {
            if !std::mem::replace(&mut self.told_late, true) {
                let text = format!(
                    "the database takes longer than {} ms; bans go ahead without waiting for it",
                    PATIENCE.as_millis()
                );
                self.log.warning("ferroban.database", &text);
            }
            self.release(|held| held.deadline <= now);
        }
        for waiting in self.asked.extract_if(.., |waiting| waiting.deadline <= now) {
            Request::answer(&waiting.to, waiting.reply);
        }
    }

    fn answer_after(&mut self, answer: Answer, to: SyncSender<Reply>) {
        if answer.after.is_empty() {
            return Request::answer(&to, answer.reply);
        }
        let deadline = clock::tick() + JOBS_LIMIT;
        self.asked.push(Waiting {
            jobs: answer.after.into_iter().collect(),
            deadline,
            reply: answer.reply,
            to,
        });
    }

    fn job_done(&mut self, job: JobId) {
        for waiting in &mut self.asked {
            waiting.jobs.remove(&job);
        }
        for waiting in self.asked.extract_if(.., |waiting| waiting.jobs.is_empty()) {
            Request::answer(&waiting.to, waiting.reply);
        }
    }

    fn tell(&mut self, event: &Event) {
        let action = match event {
            Event::Flushed { jail }
            | Event::ActionFailed { jail, .. }
            | Event::ActionRecovered { jail, .. } => self.crew.action(jail),
            _ => "",
        };
        events::write(&self.log, event, action);
        if let Event::JailStopped { jail } = event {
            self.crew.gone(jail);
        }
    }
}

fn until(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due.micros_since(now)).unwrap_or(0))
}
