//! The thread that carries out one jail's jobs, in order.
//!
//! Jobs that wait together are done together: a thousand bans are one
//! transaction of the firewall.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};

use ferroban_engine::{Ban, Done, FailId, JailName, Job, JobId, Outcome, Task};

use super::message::Message;
use crate::action::{Actions, Failed, Part};
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
            }
        }
        carry_out(actions, batch, inbox);
    }
}

/// Consecutive jobs of one kind.
enum Run {
    Bans {
        bans: Vec<(JobId, Ban)>,
        again: bool,
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
            Run::Bans { bans, again } => {
                let (jobs, bans): (Vec<JobId>, Vec<Ban>) = bans.into_iter().unzip();
                let results = actions.ban(&bans, clock::now());
                for ((job, ban), result) in jobs.into_iter().zip(&bans).zip(results) {
                    if !again {
                        actions.run_ban(ban);
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
            (Task::Ban { ban, again }, Some(Run::Bans { bans, again: same })) if again == *same => {
                bans.push((job, ban));
            }
            (Task::Unban { id, ban }, Some(Run::Unbans(lifted))) => lifted.push((job, (id, ban))),
            (Task::Ban { ban, again }, _) => runs.push(Run::Bans {
                bans: vec![(job, ban)],
                again,
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
