//! The thread that has all clients of one door before it.
//!
//! It waits for whoever moves next, receives, sends, and hands whole requests to the
//! pool. It never waits for one client alone, and carries nothing out itself.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::Respond;
use super::client::{Client, Next, Sent, Turn, Wanted};
use super::limits::Limits;
use super::pool::{Bell, Finished, Pool, Task};
use super::stream::Listeners;
use super::throttle::{TOO_MANY, Tell, Throttle};
use crate::clock;
use crate::daemon::office::{Access, Caller, Response};
use crate::log::Log;
use crate::sys;

/// How much is received from one client before the next has its turn.
const PORTION: usize = 256 << 10;

/// How many clients are let in before those that are there have theirs.
const ENTRANCES: usize = 64;

/// How long the end waits for answers that are under way.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long nobody is let in after that failed. Out of descriptors, mostly: others
/// need time to end.
const REST: Duration = Duration::from_millis(100);

/// The clients of one door.
pub(super) struct Hall {
    listener: UnixListener,
    access: Access,
    pub(super) limits: Limits,
    log: Log,
    clients: BTreeMap<u64, Client>,
    /// The number of the next client.
    number: u64,
    /// Clients whose requests wait to be carried out, in order.
    queue: VecDeque<u64>,
    running: usize,
    large_running: bool,
    pool: Pool,
    finished: Receiver<Finished>,
    bell: Arc<Bell>,
    listeners: Listeners,
    refused: Throttle,
    dismissed: Throttle,
    /// Nobody is let in before.
    rest: Option<Instant>,
    portion: Vec<u8>,
}

/// What moved.
#[derive(Debug, Default)]
struct Moved {
    door: bool,
    clients: Vec<u64>,
}

impl Hall {
    pub(super) fn new(
        (listener, access): (UnixListener, Access),
        limits: Limits,
        log: Log,
        (respond, bell): (&Respond, Arc<Bell>),
    ) -> Self {
        let (sender, finished) = channel();
        Self {
            listener,
            access,
            limits,
            log,
            clients: BTreeMap::new(),
            number: 0,
            queue: VecDeque::new(),
            running: 0,
            large_running: false,
            pool: Pool::new(respond, sender, &bell),
            finished,
            listeners: Listeners::new(&bell, limits.patience.look),
            bell,
            refused: Throttle::default(),
            dismissed: Throttle::default(),
            rest: None,
            portion: vec![0; PORTION],
        }
    }

    /// Serves until told to stop, and then those who are owed an answer, for a moment.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let mut end = None;
        loop {
            let now = clock::tick();
            if stop.load(Ordering::Relaxed) {
                let end = *end.get_or_insert(now + FAREWELL);
                self.clients.retain(|_, client| client.is_owed());
                if now >= end || self.clients.is_empty() {
                    return;
                }
            }
            let wanted = self.wanted();
            self.keep_deadlines(wanted, now);
            self.give_turns(now);
            self.carry_out(now);
            let moved = self.wait(wanted, end, now);
            let now = clock::tick();
            self.take_finished(now);
            for client in moved.clients {
                self.serve(client, now);
            }
            if moved.door {
                self.let_in(now);
            }
        }
    }

    /// What somebody waits for that others hold.
    fn wanted(&self) -> Wanted {
        let waits = |client: &Client| client.waits_for(&self.limits).is_some();
        Wanted {
            turns: self.clients.values().any(waits),
            room: !self.queue.is_empty() && self.is_crammed(),
        }
    }

    /// Whether so many replies wait to be taken that no more are made.
    fn is_crammed(&self) -> bool {
        self.clients.values().map(Client::unsent).sum::<usize>() > self.limits.replies
    }

    /// Sends away whoever takes too long.
    fn keep_deadlines(&mut self, wanted: Wanted, now: Instant) {
        let limits = self.limits;
        let is_due = |client: &Client| {
            let due = client.due(&limits, wanted);
            due.is_some_and(|due| due <= now)
        };
        let late: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, client)| is_due(client))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            let rested = self.clients.get_mut(&number);
            if let Some(reply) = rested.and_then(|client| client.rested(now)) {
                self.reply(number, reply, now);
                continue;
            }
            let Some(client) = self.clients.remove(&number) else {
                continue;
            };
            if !client.is_receiving() {
                self.tell_dismissed(&client, "did not take its reply", now);
            } else if client.is_partial() {
                let text = "the rest of the request did not come in time";
                self.tell_dismissed(&client, text, now);
                client.dismiss(text, now);
            }
        }
    }

    /// Lets those who have waited longest send more. Whoever waits for the one long turn
    /// with a turn for which others wait is sent away.
    fn give_turns(&mut self, now: Instant) {
        if self.count(Turn::Long) == 0 {
            let first = self.first_waiting(Turn::Long);
            self.give(first, Turn::Long, now);
        }
        while let Some(first) = self.first_waiting(Turn::Medium) {
            if self.count(Turn::Medium) < self.limits.turns {
                self.give(Some(first), Turn::Medium, now);
            } else if let Some(holder) = self.first_waiting(Turn::Long) {
                let most = self.limits.medium;
                let text = format!("message is longer than {most} bytes, and others wait");
                self.dismiss(holder, &text, now);
            } else {
                return;
            }
        }
    }

    fn give(&mut self, number: Option<u64>, turn: Turn, now: Instant) {
        let client = number.and_then(|number| self.clients.get_mut(&number));
        if let Some(client) = client {
            client.give(turn, now);
        }
    }

    /// How many have this turn, or a longer one.
    fn count(&self, turn: Turn) -> usize {
        let clients = self.clients.values();
        clients.filter(|client| client.turn() >= turn).count()
    }

    fn first_waiting(&self, turn: Turn) -> Option<u64> {
        let waits = |client: &Client| client.waits_for(&self.limits) == Some(turn);
        let waiting = self.clients.iter().filter(|(_, client)| waits(client));
        let first = waiting.min_by_key(|(_, client)| client.moved());
        first.map(|(number, _)| *number)
    }

    /// Hands requests to the pool.
    fn carry_out(&mut self, now: Instant) {
        while self.running < self.limits.workers && !self.is_crammed() {
            let Some(task) = self.next_task() else {
                return;
            };
            let (number, large) = (task.client, task.large);
            match self.pool.carry_out(task) {
                Ok(()) => {
                    self.running += 1;
                    self.large_running |= large;
                }
                Err(error) => {
                    let text = format!("no thread can be started for the request: {error}");
                    self.dismiss(number, &text, now);
                }
            }
        }
    }

    /// The first request that may be carried out now.
    fn next_task(&mut self) -> Option<Task> {
        let is_large = |number: &u64| {
            let client = self.clients.get(number);
            client.is_some_and(|client| client.turn() > Turn::Small)
        };
        let may_go = |number: &u64| !(self.large_running && is_large(number));
        let place = self.queue.iter().position(may_go)?;
        let number = self.queue.remove(place)?;
        let large = is_large(&number);
        let client = self.clients.get_mut(&number)?;
        Some(Task {
            client: number,
            caller: client.caller,
            request: client.take_request()?,
            large,
        })
    }

    /// Waits until something moves or a deadline has come.
    fn wait(&mut self, wanted: Wanted, end: Option<Instant>, now: Instant) -> Moved {
        let opens = end.is_none().then(|| self.opens(now)).flatten();
        let due = |client: &Client| client.due(&self.limits, wanted);
        let deadlines = self.clients.values().filter_map(due);
        let until = deadlines.chain(end).chain(opens.filter(|at| *at > now));
        let wait = until
            .min()
            .map(|until| until.saturating_duration_since(now));
        let is_open = opens.is_some_and(|at| at <= now);

        let (mut waited, mut numbers) = (Vec::new(), Vec::new());
        waited.push(PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN));
        let door = if is_open {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        waited.push(PollFd::from_borrowed_fd(self.listener.as_fd(), door));
        for (number, client) in &self.clients {
            // In the end nobody is asked for more.
            let interest = client.interest(&self.limits);
            if let Some(interest) = interest.filter(|_| end.is_none() || client.is_owed()) {
                waited.push(PollFd::from_borrowed_fd(client.as_fd(), interest));
                numbers.push(*number);
            }
        }
        let polled = poll(&mut waited, timespec(wait).as_ref());
        let mut moved = Moved::default();
        let mut found = waited.iter().map(|waited| !waited.revents().is_empty());
        let rings = found.next() == Some(true);
        moved.door = found.next() == Some(true) && is_open;
        moved.clients = numbers
            .into_iter()
            .zip(found)
            .filter_map(|(number, moved)| moved.then_some(number))
            .collect();
        if rings {
            self.bell.silence();
        }
        match polled {
            Ok(_) | Err(Errno::INTR) => moved,
            Err(error) => {
                self.tell_refused(error, now);
                thread::park_timeout(REST);
                Moved::default()
            }
        }
    }

    /// From when on somebody may come in; `None` before something else happens.
    fn opens(&self, now: Instant) -> Option<Instant> {
        let rest = self.rest.filter(|rest| *rest > now);
        let place = if self.is_full() {
            let place = self.limits.patience.place;
            let clients = self.clients.values();
            let since = clients
                .filter_map(|client| client.in_the_way(&self.limits))
                .map(|(_, at)| at);
            Some(since.min()? + place)
        } else {
            None
        };
        Some(rest.max(place).unwrap_or(now))
    }

    fn is_full(&self) -> bool {
        self.clients.len() + self.listeners.count() >= self.limits.clients
    }

    /// Lets in those who wait at the door.
    fn let_in(&mut self, now: Instant) {
        for entrance in 0..ENTRANCES {
            // One client at a time makes room: of more we do not know whether they wait.
            if self.is_full() && (entrance > 0 || !self.make_room(now)) {
                return;
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match accept_with(&self.listener, flags) {
                Ok(client) => self.welcome(UnixStream::from(client), now),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    self.tell_refused(error, now);
                    if matches!(error, Errno::MFILE | Errno::NFILE) {
                        self.make_room(now);
                    }
                    self.rest = Some(now + REST);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream, now: Instant) {
        let caller = Caller {
            peer: sys::peer_credentials(&stream).ok(),
            access: self.access,
        };
        let client = Client::new(stream, caller, &self.limits, now);
        self.clients.insert(self.number, client);
        // Most have their request with them.
        self.serve(self.number, now);
        self.number += 1;
    }

    /// Sends away whoever has been there longest without a request at work.
    fn make_room(&mut self, now: Instant) -> bool {
        let place = self.limits.patience.place;
        let candidates = self.clients.iter().filter_map(|(number, client)| {
            let (waits, since) = client.in_the_way(&self.limits)?;
            (since + place <= now).then_some((waits, since, *number))
        });
        let Some((.., number)) = candidates.min() else {
            return false;
        };
        self.dismiss(number, "others wait for the place", now);
        true
    }

    /// Receives or sends, whichever comes next for this client.
    fn serve(&mut self, number: u64, now: Instant) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        if client.is_receiving() {
            client.receive(&mut self.portion, &self.limits, now);
        } else if client.send(now) == Sent::Some {
            return;
        }
        self.take_request(number, now);
    }

    /// Takes the next request of a client, if it has come.
    fn take_request(&mut self, number: u64, now: Instant) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        match client.next() {
            Next::Request => self.queue.push_back(number),
            Next::Nothing => {}
            Next::Over => drop(self.clients.remove(&number)),
            Next::TooLong(error) => self.dismiss(number, &error.to_string(), now),
        }
    }

    /// Passes on what the pool has done.
    fn take_finished(&mut self, now: Instant) {
        while let Ok(finished) = self.finished.try_recv() {
            self.running -= 1;
            self.large_running &= !finished.large;
            match finished.response {
                Response::One(reply) => self.reply(finished.client, reply, now),
                Response::Later(wait, reply) => {
                    if let Some(client) = self.clients.get_mut(&finished.client) {
                        client.rest(reply, now + wait, now);
                    }
                }
                Response::Stream(replies) => self.stream(finished.client, replies, now),
            }
        }
    }

    fn reply(&mut self, number: u64, reply: Vec<u8>, now: Instant) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.reply(reply, now);
            self.serve(number, now);
        }
    }

    fn stream(&mut self, number: u64, replies: Receiver<Vec<u8>>, now: Instant) {
        let most = self.limits.streams;
        if self.listeners.count() >= most {
            let text = format!("{most} clients listen already");
            return self.dismiss(number, &text, now);
        }
        if let Some(client) = self.clients.remove(&number) {
            let (caller, stream) = (client.caller, client.into_stream());
            if let Err(error) = self.listeners.add(stream, replies) {
                self.tell(caller, &format!("cannot be served: {error}"), now);
            }
        }
    }

    /// Sends a client away and tells why, to it and to the log.
    fn dismiss(&mut self, number: u64, text: &str, now: Instant) {
        if let Some(client) = self.clients.remove(&number) {
            self.tell_dismissed(&client, text, now);
            client.dismiss(text, now);
        }
    }

    fn tell_dismissed(&mut self, client: &Client, text: &str, now: Instant) {
        self.tell(client.caller, text, now);
    }

    fn tell(&mut self, caller: Caller, text: &str, now: Instant) {
        match self.dismissed.count(now) {
            Tell::This => {
                let who = caller.peer.map_or_else(
                    || "unknown process".to_owned(),
                    |peer| format!("process {} of user {}", peer.pid, peer.uid),
                );
                let text = format!("PROTO-error: connection of {who} closed: {text}");
                self.log.error("asyncserver", &text);
            }
            Tell::Enough => self.log.error("asyncserver", TOO_MANY),
            Tell::Nothing => {}
        }
    }

    /// The original's lines, but that it says goodbye after some more of them.
    fn tell_refused(&mut self, error: Errno, now: Instant) {
        match self.refused.count(now) {
            Tell::This => {
                let error = io::Error::from(error);
                let text = format!("Accept socket error: {error}; clients wait");
                self.log.warning("asyncserver", &text);
            }
            Tell::Enough => {
                let text = "Too many acceptor errors - stop logging errors";
                self.log.error("asyncserver", text);
            }
            Tell::Nothing => {}
        }
    }
}

fn timespec(wait: Option<Duration>) -> Option<Timespec> {
    // Rounded up, so that a deadline has come when the wait is over.
    let wait = wait? + Duration::from_millis(1);
    Timespec::try_from(wait).ok()
}
