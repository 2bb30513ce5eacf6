//! What waits for an answer from outside.
//!
//! A failure whose fate must be found out waits here. It is asked about at once, but what
//! comes of the answer waits until all earlier failures of the same id in the same jail
//! have theirs, so that each jail sees an id's failures in the order of the log.
//! Everything else goes on. How many wait is bounded, since whoever writes the log says how
//! many there are.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use ferroban_date::Timestamp;

use crate::filter::Failure;
use crate::id::{FailId, JailName};
use crate::inquiry::{Ask, Finding, Inquiry, InquiryId};

/// How many failures may wait: what comes in a minute of a flood, when a name server takes
/// its time.
pub(super) const MAX_WAITING: usize = 100_000;

/// How much text of their lines may wait, in bytes.
pub(super) const MAX_TEXT: usize = crate::failures::MAX_TEXT;

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
    /// The inquiries of each jail about failures.
    of_jail: HashMap<JailName, BTreeSet<InquiryId>>,
    /// The jails that ask about a restored ban.
    keeping: HashSet<JailName>,
    /// Bytes of text in the failures.
    text: usize,
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
        self.open.len() < MAX_WAITING && self.text < MAX_TEXT
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The name of the inquiry that was opened last.
    pub(super) fn last(&self) -> InquiryId {
        InquiryId(self.last)
    }

    /// The oldest inquiry about a failure of a jail.
    pub(super) fn oldest(&self, jail: &JailName) -> Option<InquiryId> {
        self.of_jail.get(jail)?.first().copied()
    }

    /// Whether a jail asks about a restored ban.
    pub(super) fn keeps(&self, jail: &JailName) -> bool {
        self.keeping.contains(jail)
    }

    /// Opens an inquiry about a failure. About restored bans there is one for each jail.
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
        if purpose == Purpose::Keep {
            self.keeping.insert(jail.clone());
        } else {
            self.of_jail.entry(jail.clone()).or_default().insert(id);
        }
        self.text += failure.ticket.text_len();
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
            until: deadline,
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
        while let Some(first) = self.in_order.get(&key).and_then(VecDeque::front).copied()
            && let Some(open) = self.open.get_mut(&first)
            && let Some(come) = open.answer.take()
        {
            ready.extend(self.close(first).map(|open| (open, come)));
        }
        ready
    }

    /// Withdraws the inquiries about the failures of a jail, and returns those in the order
    /// of the log.
    pub(super) fn withdraw(&mut self, jail: &JailName) -> Vec<(Purpose, Failure)> {
        let of_jail = |open: &&InquiryId| self.open.get(*open).is_some_and(|it| it.jail == *jail);
        let mut ids: Vec<InquiryId> = self.open.keys().filter(of_jail).copied().collect();
        ids.sort_unstable();
        let closed = ids.into_iter().filter_map(|id| self.close(id));
        let counted = closed.filter(|open| open.purpose != Purpose::Keep);
        counted.map(|open| (open.purpose, open.failure)).collect()
    }

    /// Takes one out, wherever it is noted.
    fn close(&mut self, id: InquiryId) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.by_deadline.remove(&(open.deadline, id));
        self.text -= open.failure.ticket.text_len();
        let key = (open.jail.clone(), open.failure.id.clone());
        if let Entry::Occupied(mut queue) = self.in_order.entry(key) {
            // Whoever closes closes the first.
            queue.get_mut().pop_front();
            if queue.get().is_empty() {
                queue.remove();
            }
        }
        if open.purpose == Purpose::Keep {
            self.keeping.remove(&open.jail);
        }
        if let Entry::Occupied(mut ids) = self.of_jail.entry(open.jail.clone()) {
            ids.get_mut().remove(&id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
        Some(open)
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
