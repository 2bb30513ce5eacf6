//! The thread that carries out one jail's jobs, in order.
//!
//! Jobs that wait together are done together: a thousand bans are one
//! transaction of the firewall.
//!
//! A stop that waits in the queue makes bans before it pointless: those that have not
//! begun are left out, and so is lifting them.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferroban_engine::{Ban, Done, FailId, JailName, Job, JobId, Outcome, Reason, Task};

use super::message::{Answer, Message, Question};
use super::{status, words};
use crate::action::shell::call::CallError;
use crate::action::{Actions, Failed, Part, Row};
use crate::wire::Value;
use crate::{clock, sys};

/// The most jobs that are done in one go, so that the first of a flood is not
/// held up by the last.
pub(super) const BATCH: usize = 20_000;

/// For how long outcomes are gathered before they are told: each message wakes the main
/// thread, and what is run may take its time.
const GATHERED: Duration = Duration::from_millis(2);

/// How often somebody looks for what others did to a firewall that tells nothing.
const LOOK: Duration = Duration::from_secs(30);

/// What an actor is told.
pub(super) enum Order {
    /// Do these, in their order.
    Jobs(Vec<Job>),
    /// A start, behind the one of the jail before.
    Start {
        job: Job,
        after: Option<Gate>,
        done: Gate,
    },
    /// Go on with other actions.
    Configure(Change),
    /// Call a method of an action.
    Call(Call),
    /// Find out of each action whether it bans.
    Prove(SyncSender<Answer>),
}

/// A client calls a method of an action.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) method: String,
    /// Its arguments by name, as an object in JSON; empty: none.
    pub(super) arguments: String,
    pub(super) reply: SyncSender<Answer>,
}

/// Other actions for a jail.
pub(super) struct Change {
    /// All of them, in their order.
    pub(super) parts: Vec<(String, Part)>,
    /// What those that are left out must lift before they end.
    pub(super) held: Vec<Ban>,
    /// Those that are left out just go: what they did stays.
    pub(super) forgotten: bool,
}

/// The way to an actor. Dropping it closes its queue.
pub(super) struct Queue {
    orders: Sender<Order>,
    /// How many stops have been ordered, also of those that still wait.
    stops: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn send(&self, order: Order) {
        if let Order::Jobs(jobs) = &order {
            let stops = jobs.iter().filter(|job| matches!(job.task, Task::Stop(_)));
            for _ in stops {
                self.stops.fetch_add(1, Ordering::Release);
            }
        }
        // The actor ends only when this is dropped.
        drop(self.orders.send(order));
    }
}

/// Starts the actor of a jail. It ends when its queue is closed.
pub(super) fn start(
    jail: &JailName,
    actions: Actions,
    inbox: SyncSender<Message>,
) -> io::Result<(Queue, JoinHandle<()>)> {
    let (queue, orders) = queue();
    let name = format!("f2b/a.{jail}");
    let mut actor = Actor::new(actions, inbox, Arc::clone(&queue.stops));
    let thread = thread::Builder::new().name(name.clone()).spawn(move || {
        sys::set_thread_name(&name);
        actor.run(&orders);
    })?;
    Ok((queue, thread))
}

fn queue() -> (Queue, Receiver<Order>) {
    let (orders, receiver) = channel();
    let stops = Arc::default();
    (Queue { orders, stops }, receiver)
}

/// For how long the start of a jail waits for the one before it: jails start in their
/// order, unless one is slow.
const START_PATIENCE: Duration = Duration::from_millis(250);

/// Something to wait for that happens once.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        let (is_open, opened) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let (is_open, opened) = &*self.0;
        let is_open = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(opened.wait_timeout_while(is_open, limit, |is_open| !*is_open));
    }
}

/// Who carries out the jobs of a jail.
struct Actor {
    actions: Actions,
    inbox: SyncSender<Message>,
    stops: Arc<AtomicU64>,
    /// How many of them it has come to.
    stopped: u64,
    /// Bans that were left out because a stop waits.
    left_out: HashSet<FailId>,
    /// Outcomes that are not told yet, and when the first of them came.
    untold: Vec<Done>,
    gathered: Instant,
    /// When the next look is due, if there must be one.
    look: Instant,
}

impl Actor {
    fn new(actions: Actions, inbox: SyncSender<Message>, stops: Arc<AtomicU64>) -> Self {
        Self {
            actions,
            inbox,
            stops,
            stopped: 0,
            left_out: HashSet::new(),
            untold: Vec::new(),
            gathered: clock::tick(),
            look: clock::tick() + LOOK,
        }
    }

    /// Whether a stop comes after what is at hand.
    fn is_ending(&self) -> bool {
        self.stops.load(Ordering::Acquire) > self.stopped
    }

    /// Waits for the next order, and looks after the firewall in between.
    fn next(&mut self, orders: &Receiver<Order>) -> Option<Order> {
        while self.actions.must_look() {
            let wait = self.look.saturating_duration_since(clock::tick());
            if wait.is_zero() {
                self.look();
                continue;
            }
            match orders.recv_timeout(wait) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        orders.recv().ok()
    }

    /// Looks for what others did to the firewall, and tells it.
    fn look(&mut self) {
        self.look = clock::tick() + LOOK;
        let (jail, seen) = self.actions.look(clock::now());
        if !seen.is_empty() {
            // At the end nobody listens any more.
            drop(self.inbox.send(Message::Tampered(jail.clone(), seen)));
        }
        self.tell_fates();
    }

    fn run(&mut self, orders: &Receiver<Order>) {
        while let Some(first) = self.next(orders) {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Jobs(jobs) => batch.extend(jobs),
                    Order::Start { job, after, done } => {
                        self.carry_out(std::mem::take(&mut batch));
                        if let Some(after) = after {
                            after.wait(START_PATIENCE);
                        }
                        self.carry_out(vec![job]);
                        done.open();
                    }
                    Order::Configure(mut change) => {
                        self.carry_out(std::mem::take(&mut batch));
                        self.keep_done(&mut change.held);
                        let Change {
                            parts,
                            held,
                            forgotten,
                        } = change;
                        self.actions.configure(parts, &held, forgotten);
                        self.tell_fates();
                    }
                    Order::Prove(reply) => {
                        self.carry_out(std::mem::take(&mut batch));
                        self.look();
                        let proofs = status::proofs(self.actions.prove());
                        self.tell_fates();
                        Question::answer(&reply, Ok(proofs.as_str().into()));
                    }
                    Order::Call(call) => {
                        self.carry_out(std::mem::take(&mut batch));
                        let arguments =
                            Some(call.arguments.as_str()).filter(|text| !text.is_empty());
                        let result = self.actions.call(&call.action, &call.method, arguments);
                        Question::answer(&call.reply, answer_of(result));
                    }
                }
                if batch.len() < BATCH {
                    next = orders.try_recv().ok();
                }
            }
            self.carry_out(batch);
            self.actions.rest();
        }
    }

    /// Does the jobs in their order, and tells how each went.
    fn carry_out(&mut self, jobs: Vec<Job>) {
        for run in runs(jobs) {
            match run {
                Run::Bans { bans, reason } => self.ban(bans, reason),
                Run::Unbans(lifted) => self.unban(lifted),
                Run::Start(job, held) => {
                    let (stops, stopped) = (&self.stops, self.stopped);
                    let go_on = || stops.load(Ordering::Acquire) == stopped;
                    let (outcome, rest) = self.actions.start(&held, clock::now(), &go_on);
                    self.left_out.extend(rest);
                    self.report(job, outcome);
                }
                Run::Flush(job, mut held) => {
                    self.keep_done(&mut held);
                    let result = self.actions.flush(&held);
                    self.tell(job, result);
                }
                Run::Reload(job) => {
                    self.actions.reload();
                    self.tell(job, Ok(()));
                }
                Run::Stop(job, mut held) => {
                    self.keep_done(&mut held);
                    self.left_out.clear();
                    self.stopped += 1;
                    let result = self.actions.stop(&held);
                    self.tell(job, result);
                }
            }
            self.tell_untold();
            self.tell_fates();
        }
    }

    /// Tells how actions that are run fare, and what of them is done in process.
    fn tell_fates(&mut self) {
        let (jail, fates) = self.actions.take_fates();
        if !fates.is_empty() {
            // At the end nobody listens any more.
            drop(self.inbox.send(Message::Fates(jail.clone(), fates)));
        }
        if let Some((jail, lifted)) = self.actions.take_lifted() {
            drop(self.inbox.send(Message::Lifted(jail.clone(), lifted)));
        }
    }

    fn ban(&mut self, all: Vec<(JobId, Ban)>, reason: Reason) {
        let (jobs, bans): (Vec<JobId>, Vec<Ban>) = all.into_iter().unzip();
        let results = if self.is_ending() {
            bans.iter().map(|_| Ok(())).collect()
        } else {
            self.actions.ban(&bans, clock::now())
        };
        if reason != Reason::Hold && !self.is_ending() {
            self.actions.cut(&bans);
        }
        let mut row = Row::new(&bans);
        for ((job, ban), result) in jobs.into_iter().zip(&bans).zip(results) {
            match (reason, self.is_ending()) {
                (Reason::New, false) => self.actions.ban_next(&mut row),
                (Reason::FailsOn, false) => self.actions.check(ban, clock::now()),
                (Reason::New, true) if row.skip() => {}
                // The stop removes all that our own action holds.
                (Reason::New, true) => drop(self.left_out.insert(ban.id.clone())),
                (Reason::FailsOn, true) | (Reason::Hold, _) => {}
            }
            self.tell(job, result);
        }
    }

    fn unban(&mut self, lifted: Vec<(JobId, Lifted)>) {
        let ids: Vec<FailId> = lifted.iter().map(|(_, (id, _))| id.clone()).collect();
        let results = self.actions.unban(&ids);
        let known = |(_, (id, ban)): &(JobId, Lifted)| {
            let is_done = !self.left_out.remove(id);
            ban.clone().filter(|_| is_done)
        };
        let bans: Vec<Option<Ban>> = lifted.iter().map(known).collect();
        let mut row = Row::new(bans.iter().flatten());
        for (((job, _), ban), result) in lifted.into_iter().zip(&bans).zip(results) {
            if ban.is_some() {
                self.actions.unban_next(&mut row);
            }
            self.tell(job, result);
        }
    }

    /// Leaves only bans that were carried out.
    fn keep_done(&self, held: &mut Vec<Ban>) {
        held.retain(|ban| !self.left_out.contains(&ban.id));
    }

    fn tell(&mut self, job: JobId, result: Result<(), Failed>) {
        let outcome = match result {
            Ok(()) => Outcome::Ok,
            Err(Failed::Because(error)) => Outcome::Failed(error),
            Err(Failed::Lost(error)) => Outcome::Lost(error),
        };
        self.report(job, outcome);
    }

    fn report(&mut self, job: JobId, outcome: Outcome) {
        if self.untold.is_empty() {
            self.gathered = clock::tick();
        }
        self.untold.push(Done { job, outcome });
        if self.gathered.elapsed() >= GATHERED {
            self.tell_untold();
        }
    }

    fn tell_untold(&mut self) {
        let done = std::mem::take(&mut self.untold);
        if !done.is_empty() {
            // At the end nobody listens any more, and what is queued is done all the same.
            drop(self.inbox.send(Message::Done(done)));
        }
    }
}

/// What a call came to, as the client is told.
fn answer_of(result: Result<serde_json::Value, CallError>) -> Answer {
    match result {
        Ok(value) => Ok(words::of_json(&value)),
        Err(error) => Err(Value::exception(error.class, &error.text)),
    }
}

/// Who is lifted, and what is known of his ban.
type Lifted = (FailId, Option<Ban>);

/// Consecutive jobs of one kind.
enum Run {
    Bans {
        bans: Vec<(JobId, Ban)>,
        reason: Reason,
    },
    Unbans(Vec<(JobId, Lifted)>),
    Start(JobId, Vec<Ban>),
    Flush(JobId, Vec<Ban>),
    Reload(JobId),
    Stop(JobId, Vec<Ban>),
}

fn runs(jobs: Vec<Job>) -> Vec<Run> {
    let mut runs = Vec::new();
    for Job { id: job, task, .. } in jobs {
        match (task, runs.last_mut()) {
            (Task::Ban { ban, reason }, Some(Run::Bans { bans, reason: same }))
                if reason == *same =>
            {
                bans.push((job, ban));
            }
            (Task::Unban { id, ban }, Some(Run::Unbans(lifted))) => lifted.push((job, (id, ban))),
            (Task::Ban { ban, reason }, _) => runs.push(Run::Bans {
                bans: vec![(job, ban)],
                reason,
            }),
            (Task::Unban { id, ban }, _) => runs.push(Run::Unbans(vec![(job, (id, ban))])),
            (Task::Start(held), _) => runs.push(Run::Start(job, held)),
            (Task::Flush(held), _) => runs.push(Run::Flush(job, held)),
            (Task::Reload, _) => runs.push(Run::Reload(job)),
            (Task::Stop(held), _) => runs.push(Run::Stop(job, held)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use ferroban_engine::event::Step;
    use ferroban_engine::{BanTime, Ticket, Timestamp};

    use super::super::facts::Board;
    use crate::log::{Level, Log, Target};

    /// A jail `sshd` whose action writes down what it is told, and refuses `192.0.2.66`.
    fn actions(folder: &Path) -> Actions {
        let log = Log::open(&Target::File(folder.join("log")), Level::Info).unwrap();
        let mut actions = Actions::new("sshd".parse().unwrap(), log, Arc::new(Board::default()));
        let rec = folder.join("rec").display().to_string();
        let property =
            |name: &str, words: &str| (name.to_owned(), format!("echo {words} >> {rec}"));
        let mut properties = BTreeMap::from([
            property("actionstart", "start"),
            property("actionban", "ban '<ip>'"),
            property("actionunban", "unban '<ip>'"),
            property("actionstop", "stop"),
            property("actionreload", "reload"),
        ]);
        if let Some(command) = properties.get_mut("actionban") {
            command.push_str("; test '<ip>' != 192.0.2.66");
        }
        actions.configure(
            vec![("rec".to_owned(), Part::Commands(properties))],
            &[],
            true,
        );
        actions
    }

    fn ban_of(text: &str) -> Ban {
        Ban {
            id: FailId::parse(text),
            time: Timestamp::from_secs(0),
            bantime: BanTime::Forever,
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        }
    }

    fn ban(text: &str, reason: Reason) -> Task {
        Task::Ban {
            ban: ban_of(text),
            reason,
        }
    }

    fn job(id: u64, task: Task) -> Job {
        Job {
            id: JobId(id),
            jail: "sshd".parse().unwrap(),
            task,
        }
    }

    #[test]
    fn jobs_are_done_in_order_and_commands_once_for_each_ban() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = [
            Task::Start(vec![]),
            ban("192.0.2.1", Reason::New),
            ban("192.0.2.66", Reason::New),
            ban("192.0.2.1", Reason::FailsOn),
            unban("192.0.2.1"),
            ban("192.0.2.2", Reason::New),
            Task::Reload,
            Task::Stop(vec![ban_of("192.0.2.2"), ban_of("192.0.2.66")]),
        ];
        let jobs: Vec<Job> = (0..).zip(tasks).map(|(id, task)| job(id, task)).collect();
        let (inbox, messages) = std::sync::mpsc::sync_channel(16);
        // The stop is told late: nothing is left out.
        Actor::new(actions(folder.path()), inbox, Arc::default()).carry_out(jobs);
        let (mut done, mut fates) = (Vec::new(), Vec::new());
        for message in messages.try_iter() {
            match message {
                Message::Done(all) => {
                    let told = all.into_iter();
                    done.extend(told.map(|done| (done.job.0, done.outcome == Outcome::Ok)));
                }
                Message::Fates(_, told) => fates.extend(told.into_iter().map(|fate| {
                    let failure = fate.failure.map(|failure| (failure.during, failure.error));
                    (fate.action, failure)
                })),
                other => panic!("{other:?}"),
            }
        }
        let failure = (Step::Ban, "Error banning 192.0.2.66".to_owned());
        let told = [Some(failure), None].map(|failure| ("rec".to_owned(), failure));
        assert_eq!(fates, told, "that it works is told when it did not");
        let all: Vec<(u64, bool)> = (0..8).map(|id| (id, true)).collect();
        assert_eq!(
            done, all,
            "commands that fail are no business of the engine"
        );
        let rec = fs::read_to_string(folder.path().join("rec")).unwrap();
        let lines: Vec<&str> = rec.lines().collect();
        assert_eq!(
            lines,
            [
                "start",
                "ban 192.0.2.1",
                "ban 192.0.2.66",
                "ban 192.0.2.66",
                "unban 192.0.2.1",
                "ban 192.0.2.2",
                "reload",
                "unban 192.0.2.2",
                "unban 192.0.2.66",
                "stop",
            ],
            "what fails is tried twice, what is repeated is not run again"
        );
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(
            log.contains("Failed to execute ban jail 'sshd' action 'rec' info "),
            "{log}"
        );
    }

    #[test]
    fn who_is_banned_until_another_end_is_no_reason_to_run_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let mut actions = actions(folder.path());
        let rec = folder.path().join("rec").display().to_string();
        let property = |name: &str, word: &str| (name.to_owned(), format!("echo {word} >> {rec}"));
        let properties = BTreeMap::from([
            property("actioncheck", "check"),
            property("actionban", "ban"),
        ]);
        let part = Part::Commands(properties);
        actions.configure(vec![("rec".to_owned(), part)], &[], true);
        let (inbox, _messages) = std::sync::mpsc::sync_channel(16);
        let mut actor = Actor::new(actions, inbox, Arc::default());
        let lines = || {
            let text = fs::read_to_string(folder.path().join("rec"));
            text.unwrap_or_default().lines().count()
        };
        let task = |reason| vec![job(1, ban("192.0.2.1", reason))];
        actor.carry_out(task(Reason::New));
        let before = lines();
        assert!(before > 0);
        actor.carry_out(task(Reason::Hold));
        assert_eq!(lines(), before);
        actor.carry_out(task(Reason::FailsOn));
        assert!(lines() > before);
    }

    #[test]
    fn what_is_queued_is_done_even_if_nobody_listens_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (queue, orders) = queue();
        let forget = |id| Order::Jobs(vec![job(id, ban("192.0.2.1", Reason::FailsOn))]);
        let most = u64::try_from(BATCH).unwrap();
        let orders_sent = (0..=most).map(forget);
        let stop = Order::Jobs(vec![job(most + 1, Task::Stop(vec![]))]);
        for order in orders_sent.chain([stop]) {
            queue.send(order);
        }
        let stops = Arc::clone(&queue.stops);
        drop(queue);
        let (inbox, listener) = std::sync::mpsc::sync_channel(1);
        drop(listener);
        let mut actions = actions(folder.path());
        drop(actions.start(&[], Timestamp::from_secs(0), &|| true));
        Actor::new(actions, inbox, stops).run(&orders);
        let rec = fs::read_to_string(folder.path().join("rec")).unwrap();
        assert_eq!(rec.lines().last(), Some("stop"));
    }

    /// What was told of jobs.
    fn outcomes(messages: &Receiver<Message>) -> impl Iterator<Item = Outcome> {
        messages.try_iter().flat_map(|message| match message {
            Message::Done(done) => done.into_iter().map(|done| done.outcome).collect(),
            _ => Vec::new(),
        })
    }

    fn unban(text: &str) -> Task {
        Task::Unban {
            id: FailId::parse(text),
            ban: Some(ban_of(text)),
        }
    }

    /// What the action of a jail did for jobs of which some were done before the others
    /// were sent, which then waited together.
    fn done_for(before: Vec<Task>, waiting: Vec<Task>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (queue, orders) = queue();
        let (inbox, messages) = std::sync::mpsc::sync_channel(64);
        let stops = Arc::clone(&queue.stops);
        let mut actor = Actor::new(actions(folder.path()), inbox, stops);
        let count = before.len() + waiting.len();
        let before: Vec<Job> = before.into_iter().map(|task| job(0, task)).collect();
        actor.carry_out(before);
        for task in waiting {
            queue.send(Order::Jobs(vec![job(1, task)]));
        }
        drop(queue);
        actor.run(&orders);
        let good = outcomes(&messages).filter(|outcome| *outcome == Outcome::Ok);
        assert_eq!(good.count(), count, "each job is answered");
        let rec = fs::read_to_string(folder.path().join("rec")).unwrap();
        rec.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_stop_leaves_out_bans_that_have_not_begun_and_lifts_those_that_have() {
        let (one, two, three) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
        let did = done_for(
            vec![
                Task::Start(vec![]),
                ban(one, Reason::New),
                ban(two, Reason::New),
                ban(three, Reason::New),
            ],
            vec![
                ban("192.0.2.4", Reason::New),
                ban("192.0.2.5", Reason::New),
                unban("192.0.2.4"),
                unban(one),
                ban(one, Reason::New),
                unban(two),
                ban(three, Reason::FailsOn),
                Task::Stop(vec![ban_of("192.0.2.5"), ban_of(one), ban_of(three)]),
                Task::Start(vec![ban_of(two)]),
                ban(three, Reason::New),
            ],
        );
        let all = [
            "start",
            "ban 192.0.2.1",
            "ban 192.0.2.2",
            "ban 192.0.2.3",
            "unban 192.0.2.1",
            "unban 192.0.2.2",
            "unban 192.0.2.3",
            "stop",
            "start",
            "ban 192.0.2.2",
            "ban 192.0.2.3",
        ];
        assert_eq!(did, all, "what comes after the stop is done");
    }

    #[test]
    fn a_stop_leaves_out_the_bans_of_a_start_and_a_start_is_no_stop() {
        let held = || vec![ban_of("192.0.2.1"), ban_of("192.0.2.2")];
        let did = done_for(vec![], vec![Task::Start(held()), Task::Stop(held())]);
        assert_eq!(did, ["start", "stop"]);
        let did = done_for(
            vec![Task::Start(held())],
            vec![Task::Start(held()), Task::Stop(held())],
        );
        let all = [
            "start",
            "ban 192.0.2.1",
            "ban 192.0.2.2",
            "unban 192.0.2.1",
            "unban 192.0.2.2",
            "stop",
        ];
        assert_eq!(did, all, "what holds them already lifts them");
        let did = done_for(
            vec![],
            vec![
                ban("192.0.2.1", Reason::New),
                Task::Start(vec![]),
                Task::Reload,
            ],
        );
        assert_eq!(did, ["ban 192.0.2.1", "start", "reload"]);
    }

    /// A stop that is ordered in the middle of a row of bans.
    #[test]
    fn a_stop_takes_effect_between_two_bans() {
        let folder = tempfile::tempdir().unwrap();
        let (rec, go) = (folder.path().join("rec"), folder.path().join("go"));
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let (rec_path, go_path) = (rec.display(), go.display());
        let properties = BTreeMap::from([
            (
                "actionban".to_owned(),
                format!("echo ban '<ip>' >> {rec_path}; read x < {go_path}"),
            ),
            (
                "actionunban".to_owned(),
                format!("echo unban '<ip>' >> {rec_path}"),
            ),
        ]);
        let mut actions = actions(folder.path());
        actions.configure(
            vec![("waits".to_owned(), Part::Commands(properties))],
            &[],
            true,
        );
        let (inbox, messages) = std::sync::mpsc::sync_channel(64);
        let (queue, thread) = start(&"sshd".parse().unwrap(), actions, inbox).unwrap();
        let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        for text in all {
            queue.send(Order::Jobs(vec![job(0, ban(text, Reason::New))]));
        }
        // Opens when the first ban is under way.
        let mut gate = fs::OpenOptions::new().write(true).open(&go).unwrap();
        let held = all.map(ban_of).to_vec();
        queue.send(Order::Jobs(vec![job(1, Task::Stop(held))]));
        io::Write::write_all(&mut gate, b"\n").unwrap();
        drop(queue);
        // A second ban would find the gate open, and its end would hold nobody.
        let _open = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&go)
            .unwrap();
        io::Write::write_all(&mut gate, b"\n\n").unwrap();
        drop(gate);
        thread.join().unwrap();
        assert_eq!(outcomes(&messages).count(), 4);
        let did = fs::read_to_string(&rec).unwrap();
        assert_eq!(did, "ban 192.0.2.1\nunban 192.0.2.1\n");
    }

    #[test]
    fn an_action_that_is_left_out_ends_and_one_that_stays_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut actions = actions(folder.path());
        drop(actions.start(&[], Timestamp::from_secs(0), &|| true));
        let held = [ban_of("192.0.2.1")];
        actions.run_ban(&held[0]);
        let rec = folder.path().join("rec").display().to_string();
        let other = BTreeMap::from([(
            "actionban".to_owned(),
            format!("echo other '<ip>' >> {rec}"),
        )]);
        let part = |map: &BTreeMap<String, String>| Part::Commands(map.clone());
        actions.configure(vec![("other".to_owned(), part(&other))], &held, false);
        actions.run_ban(&ban_of("192.0.2.2"));
        let lines = fs::read_to_string(folder.path().join("rec")).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        let all = [
            "start",
            "ban 192.0.2.1",
            "unban 192.0.2.1",
            "stop",
            "other 192.0.2.2",
        ];
        assert_eq!(lines, all);
    }
}
