//! Threads that find out what the engine asks for.
//!
//! A question may hang for a minute: a name server that does not answer, a command that
//! waits. So there is a small pool of threads, and nobody waits to put something into
//! their queues. How much can be in them is the engine's to say, which tells of each
//! question how long it waits for the answer; what is overdue is not looked into any more.
//!
//! Who is slow must not keep others waiting. Names come from strangers, who may own the
//! servers that are slow about them: they have a queue of their own, and one thread is
//! kept free of them. Each jail has a queue of its own too and only one thread at a time,
//! and the jails take turns; one thread is kept free of them, for the names.

mod files;
mod ignored;
mod list;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ferroban_engine::{Ask, Finding, Inquiry, InquiryId, JailName, Timestamp};

use super::facts::Facts;
use crate::log::Log;
use crate::names::Resolver;
use crate::process::script;
use crate::{clock, sys};
use ignored::Ignored;

/// How many questions are looked into at once.
const THREADS: usize = 4;
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
}

#[derive(Default)]
struct Work {
    /// Names whose addresses are wanted.
    names: VecDeque<Inquiry>,
    /// Failures that may have to be ignored, of each jail.
    suspects: HashMap<JailName, VecDeque<Inquiry>>,
    /// The jails that have some and are not busy, in the order of their turns.
    turns: VecDeque<JailName>,
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

/// What a thread looks into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Takes {
    Suspects,
    Names,
    /// What there is, suspects first.
    Both,
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
        Self::start_with(means, LIMIT, answer)
    }

    /// The same with so much time for a command.
    fn start_with<A>(means: Means, limit: Duration, answer: A) -> io::Result<Self>
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
        }));
        for number in 1..=THREADS {
            let (shared, answer) = (Arc::clone(&asker.0), answer.clone());
            shared.work().threads += 1;
            let name = format!("f2b/ask.{number}");
            let thread = thread::Builder::new().name(name.clone());
            let spawned = thread.spawn(move || {
                sys::set_thread_name(&name);
                let takes = match number {
                    1 => Takes::Suspects,
                    2 => Takes::Names,
                    _ => Takes::Both,
                };
                shared.run(takes, &answer);
            });
            if let Err(error) = spawned {
                asker.0.work().threads -= 1;
                return Err(error);
            }
        }
        Ok(asker)
    }

    /// Has something found out. Never waits.
    pub(super) fn ask(&self, inquiry: Inquiry) {
        self.0.work().put(inquiry, clock::now());
        // Not every thread takes every question.
        self.0.more.notify_all();
    }

    /// Has the addresses found out that this host's names have.
    pub(super) fn own_names(&self) {
        self.0.work().own_names = true;
        self.0.more.notify_all();
    }

    /// Forgets what is remembered for a jail: it ignores others now.
    pub(super) fn forget(&self, jail: &JailName) {
        self.0.ignored.forget(jail);
    }

    /// Drops what a jail still asks: it has ended.
    pub(super) fn withdraw(&self, jail: &JailName) {
        self.0.work().withdraw(jail);
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
    fn put(&mut self, inquiry: Inquiry, now: Timestamp) {
        if self.closed {
            return;
        }
        let queue = match inquiry.ask {
            Ask::Addresses(_) => &mut self.names,
            Ask::Ignored(_) => match self.suspects.entry(inquiry.jail.clone()) {
                Entry::Occupied(queue) => queue.into_mut(),
                Entry::Vacant(queue) => {
                    if !self.busy.contains(&inquiry.jail) {
                        self.turns.push_back(inquiry.jail.clone());
                    }
                    queue.insert(VecDeque::new())
                }
            },
        };
        drop_overdue(queue, now);
        queue.push_back(inquiry);
    }

    /// What is to be done next, of what may be taken.
    fn take(&mut self, takes: Takes, now: Timestamp) -> Option<Task> {
        let suspect = (takes != Takes::Names).then(|| self.take_suspect(now));
        if let Some(Some(suspect)) = suspect {
            return Some(Task::Inquiry(suspect));
        }
        if takes == Takes::Suspects {
            return None;
        }
        if std::mem::take(&mut self.own_names) {
            return Some(Task::OwnNames);
        }
        drop_overdue(&mut self.names, now);
        self.names.pop_front().map(Task::Inquiry)
    }

    fn take_suspect(&mut self, now: Timestamp) -> Option<Inquiry> {
        loop {
            let jail = self.turns.pop_front()?;
            let Entry::Occupied(mut queue) = self.suspects.entry(jail) else {
                continue;
            };
            drop_overdue(queue.get_mut(), now);
            let first = queue.get_mut().pop_front();
            if queue.get().is_empty() {
                queue.remove();
            }
            if let Some(first) = first {
                self.busy.insert(first.jail.clone());
                return Some(first);
            }
        }
    }

    /// A jail's question was looked into.
    fn looked_into(&mut self, jail: JailName) {
        self.busy.remove(&jail);
        if self.suspects.contains_key(&jail) {
            self.turns.push_back(jail);
        }
    }

    fn withdraw(&mut self, jail: &JailName) {
        self.names.retain(|inquiry| inquiry.jail != *jail);
        self.suspects.remove(jail);
        self.turns.retain(|other| other != jail);
    }
}

/// Drops those at the front that nobody waits for any more.
fn drop_overdue(queue: &mut VecDeque<Inquiry>, now: Timestamp) {
    while queue.pop_front_if(|first| first.until <= now).is_some() {}
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
        work.turns.clear();
        drop(work);
        self.more.notify_all();
    }

    /// Looks into one question after the other, until the end.
    fn run(&self, takes: Takes, answer: &dyn Fn(Told)) {
        while let Some(task) = self.next(takes) {
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
                self.work().looked_into(jail);
                self.more.notify_all();
            }
        }
        self.work().threads -= 1;
        self.ended.notify_all();
    }

    /// The next question that a thread may take.
    fn next(&self, takes: Takes) -> Option<Task> {
        let mut work = self.work();
        loop {
            if work.closed {
                return None;
            }
            if let Some(task) = work.take(takes, clock::now()) {
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
