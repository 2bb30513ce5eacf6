//! What waits for an answer from outside.
//!
//! A failure whose fate must be found out waits here, and behind it every later failure
//! of the same id in the same jail, so that each jail sees an id's failures in the order
//! of the log. Everything else goes on. How many wait is bounded, since whoever writes
//! the log says how many there are.

use std::collections::{BTreeSet, HashMap, VecDeque};

use ferroban_date::Timestamp;

use crate::filter::Failure;
use crate::id::{FailId, JailName};
use crate::inquiry::{Ask, Inquiry, InquiryId};

/// How many failures may wait.
const MAX_WAITING: usize = 10_000;

/// How long the addresses of a name are waited for, in seconds: what a resolver takes to
/// try three servers.
const LOOKUP_LIMIT: i64 = 20;

/// How long is waited to know whether a failure is to be ignored, in seconds: somewhat
/// longer than an `ignorecommand` may run.
const IGNORE_LIMIT: i64 = 75;

/// Whose failures wait behind one another.
type Key = (JailName, FailId);

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Asking {
    last: u64,
    open: HashMap<InquiryId, Open>,
    by_deadline: BTreeSet<(Timestamp, InquiryId)>,
    behind: HashMap<Key, VecDeque<(Failure, Purpose)>>,
    waiting: usize,
}

/// An inquiry under way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) jail: JailName,
    pub(super) failure: Failure,
    pub(super) purpose: Purpose,
    pub(super) ask: Ask,
    deadline: Timestamp,
}

/// What becomes of a failure that is not to be ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// It is counted.
    Count,
    /// It is counted as a client reported it.
    Attempt,
    /// Its ban, which was stored, stays.
    Keep,
}

impl Open {
    /// How long it was waited for, in seconds, if no answer came.
    pub(super) fn limit(&self) -> i64 {
        limit(&self.ask)
    }

    fn key(&self) -> Key {
        (self.jail.clone(), self.failure.id.clone())
    }
}

impl Asking {
    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < MAX_WAITING
    }

    /// Lets a failure wait behind an earlier one of its id. It is given back if there is
    /// none.
    pub(super) fn wait_behind(
        &mut self,
        jail: &JailName,
        failure: Failure,
        purpose: Purpose,
    ) -> Option<Failure> {
        if self.behind.is_empty() {
            return Some(failure);
        }
        let key = (jail.clone(), failure.id.clone());
        let Some(queue) = self.behind.get_mut(&key) else {
            return Some(failure);
        };
        queue.push_back((failure, purpose));
        self.waiting += 1;
        None
    }

    /// Opens an inquiry about a failure.
    pub(super) fn open(
        &mut self,
        now: Timestamp,
        (jail, purpose): (&JailName, Purpose),
        (failure, ask): (Failure, Ask),
    ) -> Inquiry {
        self.last += 1;
        let id = InquiryId(self.last);
        let deadline = now.plus_secs(limit(&ask));
        let open = Open {
            jail: jail.clone(),
            failure,
            purpose,
            ask: ask.clone(),
            deadline,
        };
        self.behind.entry(open.key()).or_default();
        self.by_deadline.insert((deadline, id));
        self.open.insert(id, open);
        self.waiting += 1;
        Inquiry {
            id,
            jail: jail.clone(),
            ask,
        }
    }

    /// Ends an inquiry, if it is open.
    pub(super) fn close(&mut self, id: InquiryId) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.by_deadline.remove(&(open.deadline, id));
        self.waiting -= 1;
        Some(open)
    }

    /// The next failure that waited behind one whose inquiry was closed.
    pub(super) fn next_behind(
        &mut self,
        jail: &JailName,
        id: &FailId,
    ) -> Option<(Failure, Purpose)> {
        let key = (jail.clone(), id.clone());
        let next = self.behind.get_mut(&key)?.pop_front();
        match next {
            Some(_) => self.waiting -= 1,
            None => drop(self.behind.remove(&key)),
        }
        next
    }

    /// When an answer is overdue.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// An inquiry whose answer is overdue.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<InquiryId> {
        let (deadline, id) = self.by_deadline.first()?;
        (*deadline <= now).then_some(*id)
    }
}

fn limit(ask: &Ask) -> i64 {
    match ask {
        Ask::Addresses(_) => LOOKUP_LIMIT,
        Ask::Ignored(_) => IGNORE_LIMIT,
    }
}
