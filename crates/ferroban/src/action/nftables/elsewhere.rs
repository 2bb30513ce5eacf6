//! Sets that others declared, in tables of any family: what the commands of an action put
//! into them and take out, done directly.

use std::time::Duration;

use rustix::io::Errno;

use super::message::CREATE;
use super::network::{Element, Family, Span};
use super::set::{
    DELETE_ELEMENTS, Entry, FLAG_INTERVAL, FLAG_TIMEOUT, Kind, LIST_SET, LIST_TABLE, NEW_ELEMENTS,
    SET_FLAGS, SET_KEY_LENGTH, SET_KEY_TYPE, SET_NAME, SET_TABLE, Set, Verb,
};
use super::socket::{BatchError, Socket};

const GET_SET: u16 = 10;
// NFTA_SET_*
const SET_DATA_TYPE: u16 = 6;
const SET_USERDATA: u16 = 13;
const SET_EXPRESSION: u16 = 17;
const SET_EXPRESSIONS: u16 = 18;
/// Elements may be added by rules.
const FLAG_DYNAMIC: u32 = 0x20;
/// Of what `nft` keeps for itself with a set: that it puts neighbours together.
const MERGES: u8 = 2;

/// Where a set is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::action) struct Place {
    /// `NFPROTO_*`, the family of the table.
    pub(in crate::action) family: u8,
    /// The table.
    pub(in crate::action) table: String,
    /// The set.
    pub(in crate::action) set: String,
}

/// What a set holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::action) struct Shape {
    set: Set,
    timeouts: bool,
}

/// What is held: first and last address, and what is left of the time.
pub(in crate::action) type Content = Vec<((u128, u128), Option<Duration>)>;

/// The way to such sets.
#[derive(Debug)]
pub(in crate::action) struct Elsewhere {
    socket: Socket,
}

impl Elsewhere {
    /// Opens the conversation.
    pub(in crate::action) fn open() -> Result<Self, Errno> {
        Ok(Self {
            socket: Socket::open()?,
        })
    }

    /// What a set holds. Nothing if it is there and of a kind that is not known through
    /// and through: a map, with counters, with neighbours put together.
    pub(in crate::action) fn shape(&mut self, place: &Place) -> Result<Option<Shape>, Errno> {
        let fill = |question: &mut super::message::Attributes| {
            question.text(SET_TABLE, &place.table);
            question.text(SET_NAME, &place.set);
        };
        self.socket.question((place.family, GET_SET), fill, |set| {
            let family = match (set.number(SET_KEY_TYPE), set.number(SET_KEY_LENGTH)) {
                (Some(7), Some(4)) => Family::V4,
                (Some(8), Some(16)) => Family::V6,
                _ => return None,
            };
            let flags = set.number(SET_FLAGS).unwrap_or(0);
            let known = FLAG_INTERVAL | FLAG_TIMEOUT | FLAG_DYNAMIC;
            let merges = merges(set.find(SET_USERDATA).unwrap_or_default());
            let more = [SET_DATA_TYPE, SET_EXPRESSION, SET_EXPRESSIONS];
            let has_more = more.iter().any(|kind| set.find(*kind).is_some());
            let kind = match flags & FLAG_INTERVAL {
                0 => Kind::Address,
                _ => Kind::Network,
            };
            (flags & !known == 0 && !merges && !has_more).then_some(Shape {
                set: Set { kind, family },
                timeouts: flags & FLAG_TIMEOUT != 0,
            })
        })
    }

    /// All that a set holds, in the order of addresses.
    pub(in crate::action) fn content(
        &mut self,
        place: &Place,
        shape: Shape,
    ) -> Result<Content, Errno> {
        let names = (place.table.as_str(), place.set.as_str());
        let held = shape.set.read_in(&mut self.socket, place.family, names)?;
        let mut content: Content = held
            .into_iter()
            .map(|held| ((held.span.first, held.span.last), held.timeout))
            .collect();
        content.sort_by_key(|(span, _)| *span);
        Ok(content)
    }

    /// Adds elements, or takes them out: all, or none if the kernel refuses one.
    pub(in crate::action) fn change(
        &mut self,
        place: &Place,
        shape: Shape,
        is_added: bool,
        elements: &[Element],
    ) -> Result<(), Errno> {
        let fits = |element: &Element| {
            Family::of(element.network) == shape.set.family
                && (shape.timeouts || element.timeout.is_none())
                && (element.network.is_single() || shape.set.kind == Kind::Network)
        };
        if !elements.iter().all(fits) {
            return Err(Errno::INVAL);
        }
        let entries: Vec<Entry> = elements
            .iter()
            .map(|element| Entry {
                job: 0,
                span: Span::of(element.network),
                timeout: element.timeout,
            })
            .collect();
        let (head, verb) = match is_added {
            true => ((NEW_ELEMENTS, CREATE), Verb::Add),
            false => ((DELETE_ELEMENTS, 0), Verb::Delete),
        };
        let mut rest = entries.as_slice();
        let mut batch = self.socket.batch(None);
        while !rest.is_empty() {
            let mut written = 0;
            batch.push_in(place.family, head, |message| {
                message.text(LIST_TABLE, &place.table);
                message.text(LIST_SET, &place.set);
                written = shape.set.write_entries(message, verb, rest);
            });
            rest = rest.get(written.max(1)..).unwrap_or_default();
        }
        let done = self.socket.transaction(batch);
        done.map_err(|error: BatchError| error.errno())
    }
}

/// The first and the last address of what a command names.
pub(in crate::action) fn span(element: &Element) -> (u128, u128) {
    let span = Span::of(element.network);
    (span.first, span.last)
}

/// Whether `nft` puts neighbours of a set together, by what it keeps with it: kind, length
/// and value of each thing.
fn merges(mut kept: &[u8]) -> bool {
    while let [kind, length, rest @ ..] = kept {
        let (value, behind) = rest
            .split_at_checked(usize::from(*length))
            .unwrap_or_default();
        if *kind == MERGES && value.iter().any(|byte| *byte != 0) {
            return true;
        }
        kept = behind;
    }
    false
}
