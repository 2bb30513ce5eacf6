//! The threads that carry requests out, as many as are needed and no longer than that.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::Respond;
use crate::daemon::office::{Caller, Response};
use crate::sys;

/// How long a thread waits for another request.
const LINGER: Duration = Duration::from_secs(1);

/// Wakes the thread of a hall.
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    pub(super) fn ring(&self) {
        // Fails only when it rings already.
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).ok();
    }

    pub(super) fn silence(&self) {
        // Fails only when it does not ring.
        rustix::io::read(&self.0, &mut [0; 8]).ok();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A request to carry out.
#[derive(Debug)]
pub(super) struct Task {
    /// The client's number.
    pub(super) client: u64,
    pub(super) caller: Caller,
    pub(super) request: Vec<u8>,
    /// Whether it is one of those that are carried out one by one.
    pub(super) large: bool,
}

/// A request that was carried out.
pub(super) struct Finished {
    /// The client's number.
    pub(super) client: u64,
    pub(super) large: bool,
    pub(super) response: Response,
}

/// The near end; dropping it ends the threads, each after what it is at.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    work: Mutex<Work>,
    more: Condvar,
    respond: Respond,
    finished: Sender<Finished>,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Work {
    tasks: VecDeque<Task>,
    /// Threads that wait, less the tasks that lie there for them.
    free: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(respond: &Respond, finished: Sender<Finished>, bell: &Arc<Bell>) -> Self {
        Self {
            shared: Arc::new(Shared {
                work: Mutex::default(),
                more: Condvar::new(),
                respond: Arc::clone(respond),
                finished,
                bell: Arc::clone(bell),
            }),
        }
    }

    /// Has a request carried out at once, if need be by a new thread. Who calls bounds
    /// how many are under way, and thereby the threads.
    pub(super) fn carry_out(&self, task: Task) -> io::Result<()> {
        let mut work = self.shared.work();
        if work.free > 0 {
            work.free -= 1;
            work.tasks.push_back(task);
            self.shared.more.notify_one();
            return Ok(());
        }
        drop(work);
        let shared = Arc::clone(&self.shared);
        let name = "f2b/client";
        thread::Builder::new().name(name.into()).spawn(move || {
            sys::set_thread_name(name);
            shared.serve(task);
        })?;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.work().closed = true;
        self.shared.more.notify_all();
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, first: Task) {
        let mut next = Some(first);
        while let Some(task) = next {
            let finished = Finished {
                client: task.client,
                large: task.large,
                response: (self.respond)(&task.request, &task.caller),
            };
            drop(task);
            // First, so that whoever hears that we have finished has a thread for the next.
            self.work().free += 1;
            // Nobody is there any more at the end.
            drop(self.finished.send(finished));
            self.bell.ring();
            next = self.next_task();
        }
    }

    /// Waits for another request, though not for long.
    fn next_task(&self) -> Option<Task> {
        let work = self.work();
        let waits = |work: &mut Work| work.tasks.is_empty() && !work.closed;
        let (mut work, _) = self
            .more
            .wait_timeout_while(work, LINGER, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let task = work.tasks.pop_front();
        if task.is_none() {
            work.free = work.free.saturating_sub(1);
        }
        task
    }
}
