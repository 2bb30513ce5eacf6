//! Threads that find out what the engine asks for.
//!
//! A question may hang for a minute: a name server that does not answer, a command that
//! waits. So there is a small pool of threads, and nobody waits to put something into
//! their queues: a full one hands the question back, and the engine decides without an
//! answer. Names come from strangers, who may own the servers that are slow about them;
//! they have a queue of their own, and one thread is kept free of them, so that they
//! cannot keep a jail from learning who is to be ignored.

mod files;
mod ignored;
mod list;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ferroban_engine::{Ask, Finding, Inquiry, InquiryId, JailName};

use super::facts::Facts;
use crate::log::Log;
use crate::names::Resolver;
use crate::process::script;
use crate::{clock, sys};
use ignored::Ignored;

/// How many questions are looked into at once.
const THREADS: usize = 4;
/// How many of each kind may wait. One has the lines of its failure.
const QUEUE: usize = 1024;
/// How long an `ignorecommand` may take, as the original has it.
const LIMIT: Duration = Duration::from_secs(60);
/// How long the end waits for the threads, after their commands were ended.
const MOMENT: Duration = Duration::from_millis(200);

/// What the threads tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// The answer to an inquiry.
    Found(InquiryId, Finding),
    /// The addresses that this host's names have.
    OwnNames(Vec<IpAddr>),
}

/// The pool. Dropping it ends the threads, each after what it is at.
pub(super) struct Asker(Arc<Shared>);

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

/// What the threads find things out with, and where they tell of it.
#[derive(Clone, Debug)]
pub(super) struct Means {
    pub(super) resolver: Resolver,
    pub(super) facts: Facts,
    pub(super) log: Log,
}

struct Shared {
    work: Mutex<Work>,
    /// There is more to do, or the end has come.
    more: Condvar,
    /// A thread has ended.
    ended: Condvar,
    ignored: Ignored,
    most: usize,
}

#[derive(Default)]
struct Work {
    /// Names whose addresses are wanted.
    names: VecDeque<Inquiry>,
    /// Failures that may have to be ignored.
    suspects: VecDeque<Inquiry>,
    /// The jails one of whose failures is being looked into: a jail's `ignorecommand` runs
    /// once at a time and in the order of the log, as in fail2ban, where nobody has written
    /// one for anything else.
    busy: HashSet<JailName>,
    /// Whether the addresses of this host's names are wanted.
    own_names: bool,
    /// Threads at work.
    threads: usize,
    closed: bool,
}

/// One thing for a thread to do.
enum Task {
    Inquiry(Inquiry),
    OwnNames,
}

impl Asker {
    /// Starts the threads. Each answer is given to `answer`, which may wait.
    pub(super) fn start<A>(means: Means, answer: A) -> io::Result<Self>
    where
        A: Fn(Told) + Clone + Send + 'static,
    {
        Self::start_with(means, (QUEUE, LIMIT), answer)
    }

    /// The same with so many that may wait, and so much time for a command.
    fn start_with<A>(means: Means, (most, limit): (usize, Duration), answer: A) -> io::Result<Self>
    where
        A: Fn(Told) + Clone + Send + 'static,
    {
        let Means {
            resolver,
            facts,
            log,
        } = means;
        let asker = Self(Arc::new(Shared {
            work: Mutex::default(),
            more: Condvar::new(),
            ended: Condvar::new(),
            ignored: Ignored::new(resolver, facts, log, limit),
            most,
        }));
        for number in 1..=THREADS {
            let (shared, answer) = (Arc::clone(&asker.0), answer.clone());
            shared.work().threads += 1;
            let name = format!("f2b/ask.{number}");
            let thread = thread::Builder::new().name(name.clone());
            let spawned = thread.spawn(move || {
                sys::set_thread_name(&name);
                shared.run(number > 1, &answer);
            });
            if let Err(error) = spawned {
                asker.0.work().threads -= 1;
                return Err(error);
            }
        }
        Ok(asker)
    }

    /// Has something found out. Never waits; a question for which there is no room comes
    /// back.
    pub(super) fn ask(&self, inquiry: Inquiry) -> Result<(), Inquiry> {
        let mut work = self.0.work();
        let is_closed = work.closed;
        let queue = match inquiry.ask {
            Ask::Addresses(_) => &mut work.names,
            Ask::Ignored(_) => &mut work.suspects,
        };
        if is_closed || queue.len() >= self.0.most {
            return Err(inquiry);
        }
        queue.push_back(inquiry);
        drop(work);
        // Not every thread takes every question.
        self.0.more.notify_all();
        Ok(())
    }

    /// Has the addresses found out that this host's names have.
    pub(super) fn own_names(&self) {
        self.0.work().own_names = true;
        self.0.more.notify_all();
    }

    /// Forgets what is remembered for a jail, and what it still asks: it has ended, or
    /// it ignores others now.
    pub(super) fn forget(&self, jail: &JailName) {
        let mut work = self.0.work();
        work.names.retain(|inquiry| inquiry.jail != *jail);
        work.suspects.retain(|inquiry| inquiry.jail != *jail);
        drop(work);
        self.0.ignored.forget(jail);
    }

    /// Ends the threads and the commands that they run, and gives up what hangs after a
    /// moment. It ends every command of this process: to be called when no action runs
    /// any more.
    pub(super) fn close(self) {
        self.close_within(MOMENT, script::end_all);
    }

    /// The same with so much patience, and `end` to end the commands. False if a thread
    /// was given up.
    fn close_within<T>(self, moment: Duration, end: impl FnOnce() -> T) -> bool {
        self.0.close();
        // While it lives, no other command starts.
        let nothing_starts = end();
        let work = self.0.work();
        let (work, _) = self
            .0
            .ended
            .wait_timeout_while(work, moment, |work| work.threads > 0)
            .unwrap_or_else(PoisonError::into_inner);
        drop(nothing_starts);
        work.threads == 0
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Work {
    /// The question that was asked first, of those that may be taken.
    fn take(&mut self, takes_names: bool) -> Option<Task> {
        if takes_names && std::mem::take(&mut self.own_names) {
            return Some(Task::OwnNames);
        }
        let free = |inquiry: &Inquiry| !self.busy.contains(&inquiry.jail);
        let place = self.suspects.iter().position(free);
        let suspect = place.and_then(|place| self.suspects.get(place));
        let name = self.names.front().filter(|_| takes_names);
        let is_name = name.is_some_and(|name| suspect.is_none_or(|suspect| name.id < suspect.id));
        if is_name {
            return self.names.pop_front().map(Task::Inquiry);
        }
        let suspect = self.suspects.remove(place?)?;
        self.busy.insert(suspect.jail.clone());
        Some(Task::Inquiry(suspect))
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut work = self.work();
        work.closed = true;
        work.names.clear();
        work.suspects.clear();
        drop(work);
        self.more.notify_all();
    }

    /// Looks into one question after the other, until the end.
    fn run(&self, takes_names: bool, answer: &dyn Fn(Told)) {
        while let Some(task) = self.next(takes_names) {
            let mut busy = None;
            let told = match task {
                Task::Inquiry(inquiry) => {
                    if let Ask::Ignored(_) = inquiry.ask {
                        busy = Some(inquiry.jail.clone());
                    }
                    Told::Found(inquiry.id, self.find(inquiry))
                }
                Task::OwnNames => Told::OwnNames(self.ignored.own_addresses()),
            };
            if self.work().closed {
                break;
            }
            answer(told);
            if let Some(jail) = busy {
                self.work().busy.remove(&jail);
                self.more.notify_all();
            }
        }
        self.work().threads -= 1;
        self.ended.notify_all();
    }

    /// The next question that a thread may take.
    fn next(&self, takes_names: bool) -> Option<Task> {
        let mut work = self.work();
        loop {
            if work.closed {
                return None;
            }
            if let Some(task) = work.take(takes_names) {
                return Some(task);
            }
            work = self.more.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn find(&self, inquiry: Inquiry) -> Finding {
        let now = clock::tick();
        match inquiry.ask {
            Ask::Addresses(name) => match self.ignored.addresses(&name, now) {
                Ok(found) => Finding::Addresses(found),
                Err(why) => Finding::NoAddress(why),
            },
            Ask::Ignored(suspect) => self.ignored.find(&inquiry.jail, &suspect, now),
        }
    }
}

#[cfg(test)]
mod tests;
