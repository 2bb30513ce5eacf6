//! The thread that carries out one jail's jobs, in order.
//!
//! Jobs that wait together are done together: a thousand bans are one
//! transaction of the firewall.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};

use ferroban_engine::{Ban, Done, FailId, JailName, Job, JobId, Outcome, Reason, Task};

use super::message::{Answer, Message, Question};
use super::words;
use crate::action::shell::call::CallError;
use crate::action::{Actions, Failed, Part};
use crate::wire::Value;
use crate::{clock, sys};

/// The most jobs that are done in one go, so that the first of a flood is not
/// held up by the last.
const BATCH: usize = 20_000;

/// What an actor is told.
pub(super) enum Order {
    /// Do this.
    Job(Job),
    /// Go on with other actions.
    Configure(Change),
    /// Call a method of an action.
    Call(Call),
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

/// Starts the actor of a jail. It ends when its queue is closed.
pub(super) fn start(
    jail: &JailName,
    mut actions: Actions,
    inbox: SyncSender<Message>,
) -> io::Result<(Sender<Order>, JoinHandle<()>)> {
    let (queue, orders) = channel();
    let name = format!("f2b/a.{jail}");
    let thread = thread::Builder::new().name(name.clone()).spawn(move || {
        sys::set_thread_name(&name);
        run(&mut actions, &orders, &inbox);
    })?;
    Ok((queue, thread))
}

fn run(actions: &mut Actions, orders: &Receiver<Order>, inbox: &SyncSender<Message>) {
    while let Ok(first) = orders.recv() {
        let mut batch = Vec::new();
        for order in std::iter::once(first).chain(orders.try_iter().take(BATCH)) {
            match order {
                Order::Job(job) => batch.push(job),
                Order::Configure(change) => {
                    carry_out(actions, std::mem::take(&mut batch), inbox);
                    actions.configure(change.parts, &change.held, change.forgotten);
                }
                Order::Call(call) => {
                    carry_out(actions, std::mem::take(&mut batch), inbox);
                    let arguments = Some(call.arguments.as_str()).filter(|text| !text.is_empty());
                    let result = actions.call(&call.action, &call.method, arguments);
                    Question::answer(&call.reply, answer_of(result));
                }
            }
        }
        carry_out(actions, batch, inbox);
    }
}

/// What a call came to, as the client is told.
fn answer_of(result: Result<serde_json::Value, CallError>) -> Answer {
    match result {
        Ok(value) => Ok(words::of_json(&value)),
        Err(error) => Err(Value::exception(error.class, &error.text)),
    }
}

/// Consecutive jobs of one kind.
enum Run {
    Bans {
        bans: Vec<(JobId, Ban)>,
        reason: Reason,
    },
    Unbans(Vec<(JobId, (FailId, Option<Ban>))>),
    Start(JobId, Vec<Ban>),
    Flush(JobId, Vec<Ban>),
    Reload(JobId),
    Stop(JobId, Vec<Ban>),
}

/// Does the jobs in their order, and tells how each went.
fn carry_out(actions: &mut Actions, jobs: Vec<Job>, inbox: &SyncSender<Message>) {
    let tell = |job, result| {
        let outcome = match result {
            Ok(()) => Outcome::Ok,
            Err(Failed::Because(error)) => Outcome::Failed(error),
            Err(Failed::Lost(error)) => Outcome::Lost(error),
        };
        // At the end nobody listens any more, and what is queued is done all the same.
        drop(inbox.send(Message::Done(Done { job, outcome })));
    };
    for run in runs(jobs) {
        match run {
            Run::Bans { bans, reason } => {
                let (jobs, bans): (Vec<JobId>, Vec<Ban>) = bans.into_iter().unzip();
                let results = actions.ban(&bans, clock::now());
                for ((job, ban), result) in jobs.into_iter().zip(&bans).zip(results) {
                    match reason {
                        Reason::New => actions.run_ban(ban),
                        Reason::FailsOn => actions.check(ban, clock::now()),
                        Reason::Hold => {}
                    }
                    tell(job, result);
                }
            }
            Run::Unbans(lifted) => {
                let ids: Vec<FailId> = lifted.iter().map(|(_, (id, _))| id.clone()).collect();
                let results = actions.unban(&ids);
                for ((job, (_, ban)), result) in lifted.into_iter().zip(results) {
                    if let Some(ban) = ban {
                        actions.run_unban(&ban);
                    }
                    tell(job, result);
                }
            }
            Run::Start(job, held) => {
                let outcome = actions.start(&held, clock::now());
                drop(inbox.send(Message::Done(Done { job, outcome })));
            }
            Run::Flush(job, held) => tell(job, actions.flush(&held)),
            Run::Reload(job) => {
                actions.reload();
                tell(job, Ok(()));
            }
            Run::Stop(job, held) => tell(job, actions.stop(&held)),
        }
    }
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
    use std::sync::Arc;

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
        let unban = |text: &str| Task::Unban {
            id: FailId::parse(text),
            ban: Some(ban_of(text)),
        };
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
        carry_out(&mut actions(folder.path()), jobs, &inbox);
        let done: Vec<(u64, bool)> = messages
            .try_iter()
            .map(|message| match message {
                Message::Done(done) => (done.job.0, done.outcome == Outcome::Ok),
                other => panic!("{other:?}"),
            })
            .collect();
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
        let lines = || {
            let text = fs::read_to_string(folder.path().join("rec"));
            text.unwrap_or_default().lines().count()
        };
        let task = |reason| vec![job(1, ban("192.0.2.1", reason))];
        carry_out(&mut actions, task(Reason::New), &inbox);
        let before = lines();
        assert!(before > 0);
        carry_out(&mut actions, task(Reason::Hold), &inbox);
        assert_eq!(lines(), before);
        carry_out(&mut actions, task(Reason::FailsOn), &inbox);
        assert!(lines() > before);
    }

    #[test]
    fn what_is_queued_is_done_even_if_nobody_listens_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (queue, orders) = channel();
        let forget = |id| Order::Job(job(id, ban("192.0.2.1", Reason::FailsOn)));
        let most = u64::try_from(BATCH).unwrap();
        let orders_sent = (0..=most).map(forget);
        let stop = Order::Job(job(most + 1, Task::Stop(vec![])));
        for order in orders_sent.chain([stop]) {
            queue.send(order).unwrap();
        }
        drop(queue);
        let (inbox, listener) = std::sync::mpsc::sync_channel(1);
        drop(listener);
        let mut actions = actions(folder.path());
        drop(actions.start(&[], Timestamp::from_secs(0)));
        run(&mut actions, &orders, &inbox);
        let rec = fs::read_to_string(folder.path().join("rec")).unwrap();
        assert_eq!(rec.lines().last(), Some("stop"));
    }

    #[test]
    fn an_action_that_is_left_out_ends_and_one_that_stays_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut actions = actions(folder.path());
        drop(actions.start(&[], Timestamp::from_secs(0)));
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
