//! The thread that carries out one jail's jobs, in order.
//!
//! Jobs that wait together are done together: a thousand bans are one
//! transaction of the firewall.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};

use ferroban_engine::{Ban, Done, FailId, JailName, Job, JobId, Outcome, Task};

use super::message::Message;
use crate::action::{Action, Failed};
use crate::{clock, sys};

/// The most jobs that are done in one go, so that the first of a flood is not
/// held up by the last.
const BATCH: usize = 20_000;

/// Starts the actor of a jail. It ends when its queue is closed.
pub(super) fn start(
    jail: &JailName,
    mut action: Box<dyn Action>,
    inbox: SyncSender<Message>,
) -> io::Result<(Sender<Job>, JoinHandle<()>)> {
    let (queue, jobs) = channel();
    let name = format!("f2b/a.{jail}");
    let thread = thread::Builder::new().name(name.clone()).spawn(move || {
        sys::set_thread_name(&name);
        run(&mut *action, &jobs, &inbox);
    })?;
    Ok((queue, thread))
}

fn run(action: &mut dyn Action, jobs: &Receiver<Job>, inbox: &SyncSender<Message>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(BATCH));
        for done in carry_out(action, batch) {
            // At the end nobody listens any more, and what is queued is done all the same.
            drop(inbox.send(Message::Done(done)));
        }
    }
}

/// Consecutive jobs of one kind.
enum Run {
    Bans(Vec<(JobId, Ban)>),
    Unbans(Vec<(JobId, FailId)>),
    Start(JobId, Vec<Ban>),
    Stop(JobId),
}

/// Does the jobs in their order.
fn carry_out(action: &mut dyn Action, jobs: Vec<Job>) -> Vec<Done> {
    runs(jobs)
        .into_iter()
        .flat_map(|run| perform(action, run))
        .collect()
}

fn runs(jobs: Vec<Job>) -> Vec<Run> {
    let mut runs = Vec::new();
    for Job { id, task, .. } in jobs {
        match (task, runs.last_mut()) {
            (Task::Ban(ban), Some(Run::Bans(bans))) => bans.push((id, ban)),
            (Task::Unban(who), Some(Run::Unbans(ids))) => ids.push((id, who)),
            (Task::Ban(ban), _) => runs.push(Run::Bans(vec![(id, ban)])),
            (Task::Unban(who), _) => runs.push(Run::Unbans(vec![(id, who)])),
            (Task::Start(held), _) => runs.push(Run::Start(id, held)),
            (Task::Stop, _) => runs.push(Run::Stop(id)),
        }
    }
    runs
}

fn perform(action: &mut dyn Action, run: Run) -> Vec<Done> {
    match run {
        Run::Bans(bans) => {
            let (ids, bans): (Vec<JobId>, Vec<Ban>) = bans.into_iter().unzip();
            answers(ids, action.ban(&bans, clock::now()))
        }
        Run::Unbans(unbans) => {
            let (ids, who): (Vec<JobId>, Vec<FailId>) = unbans.into_iter().unzip();
            answers(ids, action.unban(&who))
        }
        Run::Start(job, held) => vec![Done {
            job,
            outcome: action.start(&held, clock::now()),
        }],
        Run::Stop(job) => answers(vec![job], vec![action.stop()]),
    }
}

fn answers(jobs: Vec<JobId>, results: Vec<Result<(), Failed>>) -> Vec<Done> {
    let outcome = |result| match result {
        Ok(()) => Outcome::Ok,
        Err(Failed::Because(error)) => Outcome::Failed(error),
        Err(Failed::Lost(error)) => Outcome::Lost(error),
    };
    jobs.into_iter()
        .zip(results)
        .map(|(job, result)| Done {
            job,
            outcome: outcome(result),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroban_engine::{BanTime, Ticket, Timestamp};

    /// Writes down what it is told and refuses to ban `192.0.2.66`.
    #[derive(Default)]
    struct Scribe(Vec<String>);

    impl Action for Scribe {
        fn start(&mut self, held: &[Ban], _: Timestamp) -> Outcome {
            self.0.push(format!("start with {}", held.len()));
            Outcome::Ok
        }
        fn ban(&mut self, bans: &[Ban], _: Timestamp) -> Vec<Result<(), Failed>> {
            let ids: Vec<String> = bans.iter().map(|ban| ban.id.to_string()).collect();
            self.0.push(format!("ban {}", ids.join(" ")));
            ids.iter()
                .map(|id| {
                    if id == "192.0.2.66" {
                        Err(Failed::Because("no".into()))
                    } else {
                        Ok(())
                    }
                })
                .collect()
        }
        fn unban(&mut self, ids: &[FailId]) -> Vec<Result<(), Failed>> {
            self.0.push(format!("unban {}", ids.len()));
            ids.iter().map(|_| Ok(())).collect()
        }
        fn stop(&mut self) -> Result<(), Failed> {
            self.0.push("stop".into());
            Ok(())
        }
    }

    fn ban(text: &str) -> Task {
        Task::Ban(Ban {
            id: FailId::parse(text),
            time: Timestamp::from_secs(0),
            bantime: BanTime::Forever,
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        })
    }

    #[test]
    fn waiting_jobs_of_a_kind_are_done_together_and_in_order() {
        let unban = Task::Unban(FailId::parse("192.0.2.1"));
        let tasks = [
            Task::Start(vec![]),
            ban("192.0.2.1"),
            ban("192.0.2.66"),
            ban("192.0.2.2"),
            unban,
            ban("192.0.2.1"),
            Task::Stop,
        ];
        let jobs = (0..).zip(tasks).map(|(id, task)| Job {
            id: JobId(id),
            jail: "sshd".parse().unwrap(),
            task,
        });
        let mut action = Scribe::default();
        let done = carry_out(&mut action, jobs.collect());
        assert_eq!(
            action.0,
            [
                "start with 0",
                "ban 192.0.2.1 192.0.2.66 192.0.2.2",
                "unban 1",
                "ban 192.0.2.1",
                "stop"
            ]
        );
        let failed: Vec<u64> = done
            .iter()
            .filter(|d| d.outcome != Outcome::Ok)
            .map(|d| d.job.0)
            .collect();
        assert_eq!((done.len(), failed), (7, vec![2]));
    }

    #[test]
    fn what_is_queued_is_done_even_if_nobody_listens_any_more() {
        let (queue, jobs) = channel();
        let unbans = (0..=BATCH).map(|_| Task::Unban(FailId::parse("192.0.2.1")));
        for (id, task) in (0..).zip(unbans.chain([Task::Stop])) {
            queue
                .send(Job {
                    id: JobId(id),
                    jail: "sshd".parse().unwrap(),
                    task,
                })
                .unwrap();
        }
        drop(queue);
        let (inbox, listener) = std::sync::mpsc::sync_channel(1);
        drop(listener);
        let mut action = Scribe::default();
        run(&mut action, &jobs, &inbox);
        assert_eq!(action.0.last().map(String::as_str), Some("stop"));
    }
}
