//! The four sets of a jail: how they are declared, filled and read.
//!
//! Addresses and networks are kept apart, because an interval set refuses an
//! address inside one of its networks, and because a hash is quicker.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use ferroban_engine::Network;
use rustix::io::Errno;

use super::message::{Attributes, Batch, CREATE, EXCLUSIVE, INET, Message, Reader};
use super::network::{Family, Span};
use super::socket::Socket;
use super::table::TABLE;

const NEW_SET: u16 = 9;
pub(super) const NEW_ELEMENTS: u16 = 12;
const GET_ELEMENTS: u16 = 13;
pub(super) const DELETE_ELEMENTS: u16 = 14;

// NFTA_SET_*
pub(super) const SET_TABLE: u16 = 1;
pub(super) const SET_NAME: u16 = 2;
pub(super) const SET_FLAGS: u16 = 3;
pub(super) const SET_KEY_TYPE: u16 = 4;
pub(super) const SET_KEY_LENGTH: u16 = 5;
const SET_ID: u16 = 10;
pub(super) const FLAG_INTERVAL: u32 = 0x4;
pub(super) const FLAG_TIMEOUT: u32 = 0x10;

// NFTA_SET_ELEM_LIST_*
pub(super) const LIST_TABLE: u16 = 1;
pub(super) const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ITEM: u16 = 1;

// NFTA_SET_ELEM_*
const ELEMENT_KEY: u16 = 1;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_TIMEOUT: u16 = 4;
const ELEMENT_EXPIRATION: u16 = 5;
const INTERVAL_END: u32 = 1;
const DATA_VALUE: u16 = 1;

/// How many addresses are asked for in one go. Each answer takes some 5 KB until it is read.
const AT_ONCE: usize = 2000;

/// All elements of one message must fit in one attribute of 65,535 bytes.
const FULL: usize = 60_000;

/// Below one tick of the slowest kernel clock a timeout would become 0, which
/// newer kernels read as *for ever*.
const SHORTEST: Duration = Duration::from_millis(100);
/// 584 years; the kernel refuses more.
const LONGEST: Duration = Duration::from_millis(u64::MAX / 1_000_000 - 1);

/// What a set holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Address,
    Network,
}

/// One of the four sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Set {
    pub(super) kind: Kind,
    pub(super) family: Family,
}

/// The four, in the order in which rules look them up.
pub(super) const SETS: [Set; 4] = [
    Set {
        kind: Kind::Address,
        family: Family::V4,
    },
    Set {
        kind: Kind::Address,
        family: Family::V6,
    },
    Set {
        kind: Kind::Network,
        family: Family::V4,
    },
    Set {
        kind: Kind::Network,
        family: Family::V6,
    },
];

/// What is done to elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Add,
    Delete,
}

/// One element to add or delete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The job that wants it.
    pub(super) job: usize,
    pub(super) span: Span,
    pub(super) timeout: Option<Duration>,
}

/// An element the kernel holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) span: Span,
    /// What is left of its time.
    pub(super) timeout: Option<Duration>,
}

/// A timeout as the kernel can hold it.
pub(super) fn bounded(timeout: Option<Duration>) -> Option<Duration> {
    timeout.map(|timeout| timeout.clamp(SHORTEST, LONGEST))
}

impl Set {
    /// The set a network belongs to.
    pub(super) fn of(network: Network) -> Self {
        let kind = if network.is_single() {
            Kind::Address
        } else {
            Kind::Network
        };
        Self {
            kind,
            family: Family::of(network),
        }
    }

    /// Its name in the table, for instance `addr4-sshd`.
    pub(super) fn name(self, jail: &str) -> String {
        let kind = match self.kind {
            Kind::Address => "addr",
            Kind::Network => "net",
        };
        let family = match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        format!("{kind}{family}-{jail}")
    }

    /// The set that has a name, and its jail.
    pub(super) fn named(name: &str) -> Option<(Self, &str)> {
        let mut all = SETS.into_iter();
        all.find_map(|set| Some((set, name.strip_prefix(&set.name(""))?)))
    }

    /// Creates it, or does nothing if it is there.
    pub(super) fn declare(self, batch: &mut Batch, jail: &str, id: u32) {
        let (key_type, length) = match self.family {
            Family::V4 => (7, 4),
            Family::V6 => (8, 16),
        };
        let interval = if self.kind == Kind::Network {
            FLAG_INTERVAL
        } else {
            0
        };
        batch.push(NEW_SET, CREATE, |set| {
            set.text(SET_TABLE, TABLE);
            set.text(SET_NAME, &self.name(jail));
            set.number(SET_FLAGS, FLAG_TIMEOUT | interval);
            set.number(SET_KEY_TYPE, key_type);
            set.number(SET_KEY_LENGTH, length);
            set.number(SET_ID, id);
        });
    }

    /// Writes one message with as many entries as fit and tells how many.
    pub(super) fn write(
        self,
        batch: &mut Batch,
        jail: &str,
        verb: Verb,
        entries: &[Entry],
    ) -> usize {
        let (kind, flags) = match (verb, self.kind) {
            (Verb::Delete, _) => (DELETE_ELEMENTS, 0),
            // Kernels before 6.12 silently keep the old timeout of an element
            // that is there already, so its presence must be an error.
            (Verb::Add, Kind::Address) => (NEW_ELEMENTS, CREATE | EXCLUSIVE),
            // The end of a network that has just expired may still be there.
            (Verb::Add, Kind::Network) => (NEW_ELEMENTS, CREATE),
        };
        let mut written = 0;
        batch.push(kind, flags, |message| {
            message.text(LIST_TABLE, TABLE);
            message.text(LIST_SET, &self.name(jail));
            written = self.write_entries(message, verb, entries);
        });
        written
    }

    /// As many entries as fit into one message; how many.
    pub(super) fn write_entries(
        self,
        message: &mut Attributes,
        verb: Verb,
        entries: &[Entry],
    ) -> usize {
        let mut written = 0;
        message.nested(LIST_ELEMENTS, |list| {
            let start = list.len();
            for entry in entries {
                if list.len() - start > FULL {
                    break;
                }
                self.write_entry(list, verb, entry);
                written += 1;
            }
        });
        written
    }

    fn write_entry(self, list: &mut Attributes, verb: Verb, entry: &Entry) {
        list.nested(LIST_ITEM, |element| {
            write_key(element, &self.family.key(entry.span.first));
            if let (Verb::Add, Some(timeout)) = (verb, bounded(entry.timeout)) {
                let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                element.long(ELEMENT_TIMEOUT, millis);
            }
        });
        if self.kind == Kind::Network {
            write_end(list, self.family, entry.span.last);
        }
    }

    /// Asks which of some addresses are banned, without reading whole sets.
    /// `None` where the kernel does not say.
    pub(super) fn peek(
        socket: &mut Socket,
        jail: &str,
        addresses: &[(Self, Span)],
    ) -> Vec<Option<bool>> {
        let fill = |(set, span): &(Self, Span), question: &mut Attributes| {
            set.ask_for(&set.name(jail), *span, question);
        };
        let answers = socket.ask(GET_ELEMENTS, addresses, fill, |_| ());
        let answers = answers
            .unwrap_or_default()
            .into_iter()
            .map(|answer| match answer {
                Ok(()) => Some(true),
                Err(Errno::NOENT) => Some(false),
                Err(_) => None,
            });
        answers
            .chain(std::iter::repeat(None))
            .take(addresses.len())
            .collect()
    }

    /// What the kernel holds of some addresses. Who reads a whole set pays for each part with
    /// a walk over all parts before it; with many elements it is quicker to ask for each.
    pub(super) fn look_up(
        self,
        socket: &mut Socket,
        jail: &str,
        addresses: &[Span],
    ) -> Result<Vec<Held>, Errno> {
        let name = self.name(jail);
        let mut raw = Raw::default();
        for addresses in addresses.chunks(AT_ONCE) {
            let fill = |span: &Span, question: &mut Attributes| {
                self.ask_for(&name, *span, question);
            };
            let each = |message: Message<'_>| raw.take(self.family, message);
            let answers = socket.ask(GET_ELEMENTS, addresses, fill, each)?;
            let errors = answers.into_iter().filter_map(Result::err);
            if let Some(error) = errors.into_iter().find(|error| *error != Errno::NOENT) {
                return Err(error);
            }
        }
        Ok(raw.addresses())
    }

    fn ask_for(self, name: &str, span: Span, question: &mut Attributes) {
        question.text(LIST_TABLE, TABLE);
        question.text(LIST_SET, name);
        question.nested(LIST_ELEMENTS, |list| {
            list.nested(LIST_ITEM, |element| {
                write_key(element, &self.family.key(span.first));
            });
        });
    }

    /// Everything the kernel holds in this set.
    pub(super) fn read(self, socket: &mut Socket, jail: &str) -> Result<Vec<Held>, Errno> {
        self.read_in(socket, INET, (TABLE, &self.name(jail)))
    }

    /// The same, unless it takes more than `most` bytes to tell it.
    pub(super) fn read_unless(
        self,
        socket: &mut Socket,
        jail: &str,
        most: usize,
    ) -> Result<Option<Vec<Held>>, Errno> {
        let read = self.read_most(socket, most, (INET, TABLE, &self.name(jail)));
        match read {
            Err(Errno::TOOBIG) => Ok(None),
            read => read.map(Some),
        }
    }

    /// The same of a set of that kind in any table, by the names of both.
    pub(super) fn read_in(
        self,
        socket: &mut Socket,
        family: u8,
        (table, set): (&str, &str),
    ) -> Result<Vec<Held>, Errno> {
        self.read_most(socket, usize::MAX, (family, table, set))
    }

    fn read_most(
        self,
        socket: &mut Socket,
        most: usize,
        (family, table, set): (u8, &str, &str),
    ) -> Result<Vec<Held>, Errno> {
        let mut raw = Raw::default();
        let fill = |question: &mut Attributes| {
            question.text(LIST_TABLE, table);
            question.text(LIST_SET, set);
        };
        let take = |message: Message<'_>| raw.take(self.family, message);
        socket.dump_in((family, GET_ELEMENTS), most, fill, take)?;
        Ok(match self.kind {
            Kind::Address => raw.addresses(),
            Kind::Network => raw.ranges(self.family),
        })
    }
}

fn write_key(element: &mut Attributes, key: &[u8]) {
    element.nested(ELEMENT_KEY, |data| data.bytes(DATA_VALUE, key));
}

/// The first value *behind* an interval. The interval that ends with the last
/// value there is has none and stays open.
fn write_end(list: &mut Attributes, family: Family, last: u128) {
    if last < family.last() {
        write_interval_end(list, &family.key(last + 1));
    }
}

/// The element that closes an interval before `key`.
pub(super) fn write_interval_end(list: &mut Attributes, key: &[u8]) {
    list.nested(LIST_ITEM, |element| {
        element.number(ELEMENT_FLAGS, INTERVAL_END);
        write_key(element, key);
    });
}

/// A set without name that lives as long as the rule that looks it up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anonymous {
    /// Its number in the batch; the kernel finds a name.
    pub(super) id: u32,
    /// What `nft` calls the type of its keys.
    pub(super) key_type: u32,
    /// Bytes of a key.
    pub(super) length: u32,
    /// Whether it holds ranges.
    pub(super) interval: bool,
}

/// The name the kernel replaces by one that is free.
pub(super) const ANONYMOUS_NAME: &str = "__set%d";
pub(super) const FLAG_ANONYMOUS: u32 = 0x1;
const FLAG_CONSTANT: u32 = 0x2;
const SET_DESCRIPTION: u16 = 9;
const DESCRIPTION_SIZE: u16 = 1;
const LIST_SET_ID: u16 = 4;

impl Anonymous {
    /// Creates and fills it. A value is a first key and, in a set of ranges,
    /// the key behind the last one, if there is one.
    pub(super) fn write(self, batch: &mut Batch, values: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let interval = if self.interval { FLAG_INTERVAL } else { 0 };
        let size = values
            .iter()
            .map(|(_, end)| if end.is_some() { 2 } else { 1 })
            .sum();
        batch.push(NEW_SET, CREATE, |set| {
            set.text(SET_TABLE, TABLE);
            set.text(SET_NAME, ANONYMOUS_NAME);
            set.number(SET_FLAGS, FLAG_ANONYMOUS | FLAG_CONSTANT | interval);
            set.number(SET_KEY_TYPE, self.key_type);
            set.number(SET_KEY_LENGTH, self.length);
            set.nested(SET_DESCRIPTION, |description| {
                description.number(DESCRIPTION_SIZE, size);
            });
            set.number(SET_ID, self.id);
        });
        // 1,000 ranges take 40,000 bytes.
        for part in values.chunks(1000) {
            batch.push(NEW_ELEMENTS, CREATE, |message| {
                message.text(LIST_TABLE, TABLE);
                message.text(LIST_SET, ANONYMOUS_NAME);
                message.number(LIST_SET_ID, self.id);
                message.nested(LIST_ELEMENTS, |list| {
                    for (key, end) in part {
                        list.nested(LIST_ITEM, |element| write_key(element, key));
                        if let Some(end) = end {
                            write_interval_end(list, end);
                        }
                    }
                });
            });
        }
    }
}

/// The elements of a dump, before ends are matched with starts.
#[derive(Debug, Default)]
struct Raw {
    starts: Vec<(u128, Option<Duration>)>,
    ends: Vec<u128>,
}

impl Raw {
    fn take(&mut self, family: Family, message: Message<'_>) {
        for (_, element) in message.attributes().inside(LIST_ELEMENTS) {
            let element = Reader::of(element);
            let key = element.inside(ELEMENT_KEY).find(DATA_VALUE);
            let Some(value) = key.and_then(|key| family.read(key)) else {
                continue;
            };
            if element.number(ELEMENT_FLAGS).unwrap_or(0) & INTERVAL_END == 0 {
                self.starts.push((value, remaining(element)));
            } else {
                self.ends.push(value);
            }
        }
    }

    fn addresses(self) -> Vec<Held> {
        let held = |(value, timeout)| Held {
            span: Span {
                first: value,
                last: value,
            },
            timeout,
        };
        self.starts.into_iter().map(held).collect()
    }

    /// The kernel lists starts and ends in an order of its own, and the end of
    /// a network whose time is up may outlive its start. As networks do not
    /// overlap, each ends at the nearest end behind its start.
    fn ranges(mut self, family: Family) -> Vec<Held> {
        self.starts.sort_by_key(|(first, _)| *first);
        self.starts.dedup_by_key(|(first, _)| *first);
        self.ends.sort_unstable();
        let next_start = self
            .starts
            .iter()
            .skip(1)
            .map(|(first, _)| Some(*first))
            .chain([None]);
        let ranges = self
            .starts
            .iter()
            .zip(next_start)
            .map(|((first, timeout), next)| {
                let end = self
                    .ends
                    .get(self.ends.partition_point(|end| end <= first))
                    .copied();
                let behind = end.into_iter().chain(next).min();
                let last = behind.map_or(family.last(), |behind| behind.saturating_sub(1));
                Held {
                    span: Span {
                        first: *first,
                        last,
                    },
                    timeout: *timeout,
                }
            });
        ranges.collect()
    }
}

/// The elements of jails' sets that the changes of one transaction name, by the set.
#[derive(Debug, Default)]
pub(super) struct Touched(BTreeMap<String, Raw>);

impl Touched {
    /// Takes in a change of elements.
    pub(super) fn take(&mut self, message: Message<'_>) {
        let name = message.attributes().text(LIST_SET).unwrap_or_default();
        if let Some((set, _)) = Set::named(name) {
            let raw = self.0.entry(name.to_owned()).or_default();
            raw.take(set.family, message);
        }
    }

    /// Leaves out what others name too.
    pub(super) fn remove(&mut self, others: &Self) {
        for (name, raw) in &mut self.0 {
            if let Some(other) = others.0.get(name) {
                let named: HashSet<u128> = other.starts.iter().map(|(first, _)| *first).collect();
                raw.starts.retain(|(first, _)| !named.contains(first));
            }
        }
    }

    /// The networks, by the jail.
    pub(super) fn networks(self) -> BTreeMap<String, Vec<Network>> {
        let mut all: BTreeMap<String, Vec<Network>> = BTreeMap::new();
        for (name, raw) in self.0 {
            let Some((set, jail)) = Set::named(&name) else {
                continue;
            };
            let held = match set.kind {
                Kind::Address => raw.addresses(),
                Kind::Network => raw.ranges(set.family),
            };
            let networks = held.iter().flat_map(|held| held.span.networks(set.family));
            all.entry(jail.to_owned()).or_default().extend(networks);
        }
        all.retain(|_, networks| !networks.is_empty());
        all
    }
}

/// What is left of an element's time. Kernels since 6.12 give an element
/// without end the timeout 0, older ones none.
fn remaining(element: Reader<'_>) -> Option<Duration> {
    let timeout = element.long(ELEMENT_TIMEOUT).filter(|millis| *millis > 0);
    element
        .long(ELEMENT_EXPIRATION)
        .or(timeout)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::super::message::{messages, request};
    use super::*;
    use proptest::prelude::*;

    fn ranges(starts: &[u128], ends: &[u128]) -> Vec<(u128, u128)> {
        let raw = Raw {
            starts: starts.iter().map(|start| (*start, None)).collect(),
            ends: ends.to_vec(),
        };
        raw.ranges(Family::V4)
            .iter()
            .map(|held| (held.span.first, held.span.last))
            .collect()
    }

    #[test]
    fn starts_find_their_ends_in_any_order() {
        let last = Family::V4.last();
        assert_eq!(ranges(&[], &[0]), []);
        assert_eq!(ranges(&[10, 30], &[20, 40]), [(10, 19), (30, 39)]);
        assert_eq!(ranges(&[30, 10], &[40, 20]), [(10, 19), (30, 39)]);
        assert_eq!(
            ranges(&[10, 20], &[20, 30]),
            [(10, 19), (20, 29)],
            "adjacent"
        );
        assert_eq!(
            ranges(&[10], &[0, 20, 25]),
            [(10, 19)],
            "ends without a start"
        );
        assert_eq!(
            ranges(&[10, 200], &[20]),
            [(10, 19), (200, last)],
            "open at the top"
        );
        assert_eq!(
            ranges(&[10, 20], &[30]),
            [(10, 19), (20, 29)],
            "an end is missing"
        );
    }

    #[test]
    fn what_is_left_counts_and_0_is_for_ever() {
        let cases = [
            // timeout and expiration in milliseconds; what is left
            (None, None, None),
            (Some(0), None, None),
            (Some(9000), Some(4000), Some(4000)),
            (Some(9000), Some(0), Some(0)),
            (Some(9000), None, Some(9000)),
        ];
        for (timeout, expiration, expected) in cases {
            let bytes = request(NEW_ELEMENTS, 0, 1, |element| {
                timeout
                    .into_iter()
                    .for_each(|millis| element.long(ELEMENT_TIMEOUT, millis));
                expiration
                    .into_iter()
                    .for_each(|millis| element.long(ELEMENT_EXPIRATION, millis));
            });
            let element = messages(&bytes).next().unwrap().attributes();
            let expected = expected.map(Duration::from_millis);
            assert_eq!(remaining(element), expected, "{timeout:?} {expiration:?}");
        }
    }

    #[test]
    fn timeouts_never_become_for_ever() {
        assert_eq!(bounded(None), None);
        assert_eq!(bounded(Some(Duration::ZERO)), Some(SHORTEST));
        assert_eq!(
            bounded(Some(Duration::from_secs(9))),
            Some(Duration::from_secs(9))
        );
        assert_eq!(bounded(Some(Duration::MAX)), Some(LONGEST));
    }

    proptest! {
        #[test]
        fn what_a_message_holds_is_read_back(bans in prop::collection::btree_map(any::<u128>(), prop::option::of(1..1_000_000_u64), 1..50)) {
            let set = Set { kind: Kind::Network, family: Family::V6 };
            let bytes = request(NEW_ELEMENTS, 0, 1, |message| message.nested(LIST_ELEMENTS, |list| {
                for (first, secs) in &bans {
                    let timeout = secs.map(Duration::from_secs);
                    let span = Span { first: *first, last: *first };
                    set.write_entry(list, Verb::Add, &Entry { job: 0, span, timeout });
                }
            }));
            let mut raw = Raw::default();
            messages(&bytes).for_each(|message| raw.take(set.family, message));
            let read: Vec<_> = raw.ranges(set.family);
            let wanted: Vec<_> = bans.iter().map(|(first, secs)| Held { span: Span { first: *first, last: *first }, timeout: secs.map(Duration::from_secs) }).collect();
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn arbitrary_dumps_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for family in [Family::V4, Family::V6] {
                let mut raw = Raw::default();
                messages(&bytes).for_each(|message| raw.take(family, message));
                for held in raw.ranges(family) {
                    prop_assert!(held.span.first <= held.span.last);
                }
            }
        }
    }
}
