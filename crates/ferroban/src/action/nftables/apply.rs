//! Carrying out many additions and removals in as few transactions as possible.
//!
//! A transaction is all or nothing, but one bad element must not keep the others
//! out. The kernel names every *message* it refuses, so elements travel in large
//! messages first; those of a refused message travel alone the next time, and
//! each refusal then tells what to do with its element: delete it first, leave
//! it out, or report it. Two or three rounds settle almost everything.
//!
//! A transaction that is rolled back takes the kernel some 10 ms, one that is
//! carried out a few microseconds. So where few addresses are concerned, as in
//! daily life, the kernel is asked first which of them it holds.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ferroban_engine::Network;
use rustix::io::Errno;

use super::error::{Attempt, Error};
use super::message::Batch;
use super::network::{Cover, Placed, Span};
use super::set::{Entry, Kind, SETS, Set, Verb};
use super::socket::{BatchError, Socket};
use crate::clock;

/// How often a job may find the kernel other than it had read.
const PATIENCE: u8 = 4;
/// A transaction in large messages, one in small ones, and surprises in between.
const ROUNDS: u32 = 16;
/// Up to so many addresses are looked up first.
const FEW: usize = 64;
/// The most bytes one job can take in a batch: a deletion and an addition, both
/// as messages of their own with long names.
const BYTES_PER_JOB: usize = 640;

/// What a job wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// To be in the set, and it probably is not yet.
    Add,
    /// To be in the set with a new timeout.
    Replace,
    /// To be out of it.
    Remove,
}

/// One network to add or remove. A batch never has two jobs for one network.
#[derive(Debug)]
pub(super) struct Job {
    network: Network,
    set: Set,
    timeout: Option<Duration>,
    wish: Wish,
    alone: bool,
    surprises: u8,
    outcome: Option<Result<(), Outcome>>,
}

/// Why a job failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Errno(Errno),
    Overlap(Span),
}

impl Job {
    /// A job for one network.
    pub(super) fn new(network: Network, timeout: Option<Duration>, wish: Wish) -> Self {
        let set = Set::of(network);
        Self {
            network,
            set,
            timeout,
            wish,
            alone: false,
            surprises: 0,
            outcome: None,
        }
    }

    /// How it went, as the jail is told.
    pub(super) fn result(&self, jail: &str) -> Result<(), Error> {
        let attempt = match self.wish {
            Wish::Remove => Attempt::Remove(self.network),
            Wish::Add | Wish::Replace => Attempt::Add(self.network),
        };
        match &self.outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(Outcome::Errno(errno))) => Err(Error::new(jail, attempt, *errno)),
            Some(Err(Outcome::Overlap(span))) => Err(Error::Overlap {
                jail: jail.to_owned(),
                network: self.network,
                with: span.networks(self.set.family),
            }),
            None => Err(Error::Unsettled {
                jail: jail.to_owned(),
                attempt,
            }),
        }
    }

    fn entry(&self, job: usize) -> Entry {
        Entry {
            job,
            span: Span::of(self.network),
            timeout: self.timeout,
        }
    }

    /// Others came first; its end stays where it was.
    fn begin_late(&mut self, late: Duration) {
        self.timeout = self.timeout.map(|timeout| timeout.saturating_sub(late));
    }

    fn fail(&mut self, errno: Errno) {
        self.outcome = Some(Err(Outcome::Errno(errno)));
    }

    /// The kernel's view differs from ours; try once more with a new one.
    fn surprise(&mut self, errno: Errno) {
        self.surprises += 1;
        if self.surprises >= PATIENCE {
            self.fail(errno);
        }
    }

    /// The set could not be read.
    fn unread(&mut self, errno: Errno) {
        match (self.wish, errno) {
            (Wish::Remove, Errno::NOENT) => self.outcome = Some(Ok(())),
            _ => self.fail(errno),
        }
    }

    /// Draws the conclusion from the refusal of a message with this job alone.
    fn refused(&mut self, verb: Verb, errno: Errno) {
        match (self.set.kind, verb, errno) {
            // It came or went since the set was read; the next round reads anew.
            (Kind::Network, Verb::Delete, Errno::NOENT)
            | (Kind::Network, Verb::Add, Errno::EXIST | Errno::NOTEMPTY) => self.surprise(errno),
            (Kind::Address, Verb::Delete, Errno::NOENT) if self.wish == Wish::Remove => {
                self.outcome = Some(Ok(()));
            }
            (Kind::Address, Verb::Delete, Errno::NOENT) => {
                self.wish = Wish::Add;
                self.surprise(errno);
            }
            (Kind::Address, Verb::Add, Errno::EXIST) => {
                self.wish = Wish::Replace;
                self.surprise(errno);
            }
            _ => self.fail(errno),
        }
    }
}

/// Carries out all jobs; afterwards each has its outcome.
pub(super) fn apply(socket: &mut Socket, jail: &str, jobs: &mut [Job]) {
    peek(socket, jail, jobs);
    let window = (socket.capacity() / BYTES_PER_JOB).max(1);
    let begun = clock::tick();
    for jobs in jobs.chunks_mut(window) {
        let late = begun.elapsed();
        jobs.iter_mut().for_each(|job| job.begin_late(late));
        for _ in 0..ROUNDS {
            if jobs.iter().all(|job| job.outcome.is_some()) {
                break;
            }
            round(socket, jail, jobs);
        }
    }
}

/// Corrects expectations that would be refused: unbanning after the time is up
/// is the rule, not the exception.
fn peek(socket: &mut Socket, jail: &str, jobs: &mut [Job]) {
    let doubtful = |job: &&mut Job| job.set.kind == Kind::Address && job.wish != Wish::Replace;
    let mut doubtful: Vec<_> = jobs.iter_mut().filter(doubtful).collect();
    if doubtful.is_empty() || doubtful.len() > FEW {
        return;
    }
    let addresses: Vec<_> = doubtful
        .iter()
        .map(|job| (job.set, Span::of(job.network)))
        .collect();
    for (job, held) in doubtful.iter_mut().zip(Set::peek(socket, jail, &addresses)) {
        match (job.wish, held) {
            (Wish::Remove, Some(false)) => job.outcome = Some(Ok(())),
            (Wish::Add, Some(true)) => job.wish = Wish::Replace,
            _ => {}
        }
    }
}

/// One transaction with all jobs that are open.
fn round(socket: &mut Socket, jail: &str, jobs: &mut [Job]) {
    let mut work = Work::default();
    for set in SETS {
        let plan = match set.kind {
            Kind::Address => Plan::of_addresses(set, jobs),
            Kind::Network => Plan::of_networks(socket, jail, set, jobs),
        };
        work.plans.push((set, plan));
    }
    let mut batch = socket.batch(None);
    for (set, plan) in &work.plans {
        let entries = [(Verb::Delete, &plan.delete), (Verb::Add, &plan.add)];
        for (verb, entries) in entries {
            let (alone, together): (Vec<Entry>, Vec<Entry>) =
                entries.iter().partition(|entry| jobs[entry.job].alone);
            for entry in &alone {
                set.write(&mut batch, jail, verb, std::slice::from_ref(entry));
                work.sent.push((verb, vec![entry.job]));
            }
            write_together(*set, &mut batch, jail, (verb, &together), &mut work.sent);
        }
    }
    conclude(socket.transaction(batch), &work, jobs);
}

fn write_together(
    set: Set,
    batch: &mut Batch,
    jail: &str,
    (verb, mut entries): (Verb, &[Entry]),
    sent: &mut Vec<(Verb, Vec<usize>)>,
) {
    while !entries.is_empty() {
        let (done, rest) = entries.split_at(set.write(batch, jail, verb, entries));
        sent.push((verb, done.iter().map(|entry| entry.job).collect()));
        entries = rest;
    }
}

fn conclude(outcome: Result<(), BatchError>, work: &Work, jobs: &mut [Job]) {
    let refused = match outcome {
        Ok(()) => {
            for job in jobs.iter_mut().filter(|job| job.outcome.is_none()) {
                job.outcome = Some(Ok(()));
            }
            return;
        }
        Err(BatchError::Whole(errno)) => {
            for job in jobs.iter_mut().filter(|job| job.outcome.is_none()) {
                job.fail(errno);
            }
            return;
        }
        Err(BatchError::Messages(refused)) => refused,
    };
    for (index, errno) in refused {
        let message = usize::try_from(index)
            .ok()
            .and_then(|index| work.sent.get(index));
        let Some((verb, sent)) = message else {
            continue;
        };
        match sent[..] {
            [job] => jobs[job].refused(*verb, errno),
            _ => sent.iter().for_each(|job| jobs[*job].alone = true),
        }
    }
}

/// What one round sends.
#[derive(Debug, Default)]
struct Work {
    plans: Vec<(Set, Plan)>,
    /// For each message what it does and for which jobs.
    sent: Vec<(Verb, Vec<usize>)>,
}

/// What happens to one set: deletions first.
#[derive(Debug, Default)]
struct Plan {
    delete: Vec<Entry>,
    add: Vec<Entry>,
}

impl Plan {
    fn of_addresses(set: Set, jobs: &[Job]) -> Self {
        let mut plan = Self::default();
        for (index, job) in open(set, jobs) {
            if job.wish != Wish::Add {
                plan.delete.push(job.entry(index));
            }
            if job.wish != Wish::Remove {
                plan.add.push(job.entry(index));
            }
        }
        plan
    }

    /// A network is two keys to the kernel, which knows nothing of pairs: it
    /// would take the start of one and the end of another, and what is left
    /// would reach to the next key, wherever that is. So what is there decides
    /// what is sent, and a network is only ever deleted as it was read.
    fn of_networks(socket: &mut Socket, jail: &str, set: Set, jobs: &mut [Job]) -> Self {
        let mut plan = Self::default();
        let wishes: Vec<_> = open(set, jobs)
            .map(|(index, job)| (index, Span::of(job.network), job.wish == Wish::Remove))
            .collect();
        if wishes.is_empty() {
            return plan;
        }
        let held: HashSet<Span> = match set.read(socket, jail) {
            Ok(held) => held.iter().map(|held| held.span).collect(),
            Err(errno) => {
                wishes
                    .iter()
                    .for_each(|(index, ..)| jobs[*index].unread(errno));
                return plan;
            }
        };
        let mut delete = HashMap::new();
        let mut cover = Cover::new(held.iter().copied());
        for (index, span, removal) in wishes {
            if removal && held.contains(&span) {
                delete.insert(span, index);
            } else if removal {
                jobs[index].outcome = Some(Ok(()));
            } else {
                match cover.place(span, index) {
                    Placed::Held => {}
                    Placed::In(spans) => delete.extend(spans.into_iter().map(|span| (span, index))),
                    Placed::Cut(span) => jobs[index].outcome = Some(Err(Outcome::Overlap(span))),
                }
            }
        }
        let entry = |(span, job)| Entry {
            job,
            span,
            timeout: None,
        };
        plan.delete.extend(delete.into_iter().map(entry));
        plan.add
            .extend(cover.jobs().map(|index| jobs[index].entry(index)));
        plan
    }
}

fn open(set: Set, jobs: &[Job]) -> impl Iterator<Item = (usize, &Job)> {
    jobs.iter()
        .enumerate()
        .filter(move |(_, job)| job.outcome.is_none() && job.set == set)
}
