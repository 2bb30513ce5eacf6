//! What waits for an answer from outside.
//!
//! A failure whose fate must be found out waits here. It is asked about at once, but what
//! comes of the answer waits until all earlier failures of the same id in the same jail
//! have theirs, so that each jail sees an id's failures in the order of the log.
//! Everything else goes on. How many wait is bounded, since whoever writes the log says how
//! many there are.

use std::collections::{BTreeSet, HashMap, VecDeque};

use ferroban_date::Timestamp;

use crate::filter::Failure;
use crate::id::{FailId, JailName};
use crate::inquiry::{Ask, Finding, Inquiry, InquiryId};

/// How many failures may wait.
const MAX_WAITING: usize = 10_000;

/// How long the addresses of a name are waited for, in seconds: what a resolver takes to
/// try three servers.
const LOOKUP_LIMIT: i64 = 20;

/// How long is waited to know whether a failure is to be ignored, in seconds: somewhat
/// longer than an `ignorecommand` may run.
const IGNORE_LIMIT: i64 = 75;

/// Whose failures keep their order.
type Key = (JailName, FailId);

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Asking {
    last: u64,
    open: HashMap<InquiryId, Open>,
    by_deadline: BTreeSet<(Timestamp, InquiryId)>,
    /// The inquiries about each id, in the order of the log.
    in_order: HashMap<Key, VecDeque<InquiryId>>,
}

/// An inquiry under way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) jail: JailName,
    pub(super) failure: Failure,
    pub(super) purpose: Purpose,
    pub(super) ask: Ask,
    deadline: Timestamp,
    answer: Option<Come>,
}

/// What came of an inquiry.
#[derive(Debug)]
pub(super) enum Come {
    /// The answer.
    Answer(Finding),
    /// None, in the time it may take.
    Nothing,
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
}

impl Asking {
    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < MAX_WAITING
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
        let key = (jail.clone(), failure.id.clone());
        self.in_order.entry(key).or_default().push_back(id);
        self.by_deadline.insert((deadline, id));
        let open = Open {
            jail: jail.clone(),
            failure,
            purpose,
            ask: ask.clone(),
            deadline,
            answer: None,
        };
        self.open.insert(id, open);
        Inquiry {
            id,
            jail: jail.clone(),
            ask,
        }
    }

    /// Notes what came of an inquiry. Returns everything that can be decided now, in order:
    /// that inquiry and answered ones that waited behind it.
    pub(super) fn come(&mut self, id: InquiryId, come: Come) -> Vec<(Open, Come)> {
        let Some(open) = self.open.get_mut(&id) else {
            return Vec::new();
        };
        self.by_deadline.remove(&(open.deadline, id));
        open.answer.get_or_insert(come);
        let key = (open.jail.clone(), open.failure.id.clone());
        let mut ready = Vec::new();
        let Some(queue) = self.in_order.get_mut(&key) else {
            return ready;
        };
        while let Some(first) = queue.front()
            && let Some(open) = self.open.get_mut(first)
            && let Some(come) = open.answer.take()
        {
            ready.extend(self.open.remove(first).map(|open| (open, come)));
            queue.pop_front();
        }
        if queue.is_empty() {
            self.in_order.remove(&key);
        }
        ready
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
