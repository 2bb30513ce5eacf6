//! Netlink: the bytes of its messages, written and read, and a socket that speaks them.
//!
//! Knows no tables, sets or connections. What is written is what the caller says; what is
//! read is whatever somebody sent, so reading never trusts a length and never panics: a
//! broken piece ends the iteration.
//!
//! Headers are in the machine's byte order; all integers *inside* attributes that are read and
//! written here are big-endian.

mod socket;

use rustix::io::Errno;

pub(super) use socket::{Socket, bound};

/// `NLMSG_ERROR`: a refusal, or with number 0 an acknowledgement.
pub(super) const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(super) const DONE: u16 = 3;
/// Below this netlink itself speaks.
pub(super) const FIRST: u16 = 0x10;

const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: an answer is wanted also if all is well.
pub(super) const ACK: u16 = 0x4;
/// `NLM_F_DUMP`: everything, in as many parts as it takes.
pub(super) const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_INTR`: what is dumped changed while it was being read.
pub(super) const INTERRUPTED: u16 = 0x10;
/// `NLM_F_EXCL`: refuse what is there already.
pub(super) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`.
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: to the end, not to the beginning.
pub(super) const APPEND: u16 = 0x800;

const NESTED: u16 = 0x8000;
/// `NLA_F_NET_BYTEORDER`: goes with the kind of an attribute, where a part of the kernel wants to
/// be told.
pub(super) const NET_BYTEORDER: u16 = 0x4000;
const KIND_MASK: u16 = 0x3fff;
const HEADER: usize = 16;
const FLAGS: usize = 6;
/// What netfilter puts before the attributes of every message: a family and whom it is for.
const FAMILY_HEADER: usize = 4;

/// The part of a message that attributes are written to; messages one after the other too.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
    oversized: bool,
}

impl Attributes {
    /// How many bytes there are so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// An attribute of plain bytes.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// A text, with the zero byte the kernel expects.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// A number of one byte.
    pub(super) fn byte(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    /// A 32-bit number.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A 64-bit number.
    pub(super) fn long(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// An attribute that holds attributes.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.patch(start, &length.to_ne_bytes()),
            // The length field has 16 bits. Nothing is sent then: see `written`.
            Err(_) => self.oversized = true,
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn patch(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }

    /// A message, to which `fill` adds what follows its head.
    pub(super) fn message(&mut self, head: &Head, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&head.kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(head.flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&head.seq.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        fill(self);
        match u32::try_from(self.bytes.len() - start) {
            Ok(length) => self.patch(start, &length.to_ne_bytes()),
            Err(_) => self.oversized = true,
        }
    }

    /// Bytes as they are, outside of any attribute.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What netfilter puts before the attributes of a message.
    pub(super) fn netfilter(&mut self, family: u8, resource: u16) {
        self.raw(&[family, 0]);
        self.raw(&resource.to_be_bytes());
    }

    /// Has the message that begins at this place answered also if all is well.
    pub(super) fn acknowledge(&mut self, start: usize) {
        let place = start + FLAGS..start + FLAGS + 2;
        let flags = self.bytes.get(place).map_or(0, short);
        self.patch(start + FLAGS, &(flags | ACK).to_ne_bytes());
    }

    /// The bytes of a message that is known to be short.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// All that was written; refused if a piece of it was longer than its length field can say.
    pub(super) fn written(&self) -> Result<&[u8], Errno> {
        if self.oversized {
            return Err(Errno::MSGSIZE);
        }
        Ok(&self.bytes)
    }
}

/// How a message begins.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) kind: u16,
    /// `NLM_F_*`; that it is a request goes without saying.
    pub(super) flags: u16,
    /// The number that answers will have.
    pub(super) seq: u32,
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// What it is about; below [`FIRST`] netlink itself speaks.
    pub(super) kind: u16,
    /// `NLM_F_*`.
    pub(super) flags: u16,
    /// The number of the question it answers.
    pub(super) seq: u32,
    /// The address of the socket that asked; of the one whose change it tells.
    pub(super) port: u32,
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Whether netlink itself speaks, not the part of the kernel that was asked.
    pub(super) fn is_control(&self) -> bool {
        self.kind < FIRST
    }

    /// The number in an [`ERROR`] or [`DONE`] message; 0 is an acknowledgement. Some parts of
    /// the kernel have numbers of their own, above those of [`Errno`].
    pub(super) fn code(&self) -> i32 {
        let code = self
            .payload
            .first_chunk()
            .map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        code.saturating_neg().max(0)
    }

    /// What an [`ERROR`] or [`DONE`] message says: `Ok` is an acknowledgement.
    pub(super) fn outcome(&self) -> Result<(), Errno> {
        match self.code() {
            0 => Ok(()),
            // `Errno` panics on a number that is none.
            errno @ 1..=4095 => Err(Errno::from_raw_os_error(errno)),
            _ => Err(Errno::PROTO),
        }
    }

    /// The message that an [`ERROR`] refuses, as it quotes it.
    pub(super) fn quoted(&self) -> Option<Self> {
        messages(self.payload.get(4..)?).next()
    }

    /// What follows the head.
    pub(super) fn body(&self) -> &'a [u8] {
        self.payload
    }

    /// The family that a message of netfilter is about.
    pub(super) fn family(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The attributes of a message of netfilter.
    pub(super) fn attributes(&self) -> Reader<'a> {
        Reader(self.payload.get(FAMILY_HEADER..).unwrap_or_default())
    }
}

/// Takes apart what one read from the socket gave. A message that was cut off
/// is still handed out, shorter: a refusal quotes the refused message, and only
/// its head matters.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let length = header
            .first_chunk()
            .map(|bytes| u32::from_ne_bytes(*bytes))?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length >= HEADER)?;
        let message = Message {
            kind: short(&header[4..6]),
            flags: short(&header[6..8]),
            seq: header[8..]
                .first_chunk()
                .map(|bytes| u32::from_ne_bytes(*bytes))?,
            port: header[12..]
                .first_chunk()
                .map(|bytes| u32::from_ne_bytes(*bytes))?,
            payload: &bytes[HEADER..length.min(bytes.len())],
        };
        let next = length.checked_next_multiple_of(4).unwrap_or(usize::MAX);
        bytes = bytes.get(next..).unwrap_or_default();
        Some(message)
    })
}

/// Reads attributes, those inside an attribute too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The attributes inside the value of an attribute.
    pub(super) fn of(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The value of the first attribute of that kind.
    pub(super) fn find(self, kind: u16) -> Option<&'a [u8]> {
        let mut each = self;
        each.find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The same, as the attributes it holds.
    pub(super) fn inside(self, kind: u16) -> Self {
        Self(self.find(kind).unwrap_or_default())
    }

    /// The same, as a number of one byte.
    pub(super) fn byte(self, kind: u16) -> Option<u8> {
        self.find(kind)?.first().copied()
    }

    /// The same, as a 32-bit number.
    pub(super) fn number(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// The same, as a 64-bit number.
    pub(super) fn long(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    /// The same, as a text without its closing zero; `None` if it is not UTF-8.
    pub(super) fn text(self, kind: u16) -> Option<&'a str> {
        let value = self.find(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(short(self.0.get(..2)?));
        let kind = short(self.0.get(2..4)?) & KIND_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

fn short(bytes: &[u8]) -> u16 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a test writes and expects to read back.
    #[derive(Clone, Debug)]
    enum Tree {
        Leaf(u16, Vec<u8>),
        Node(u16, Vec<Self>),
    }

    fn write(tree: &Tree, out: &mut Attributes) {
        match tree {
            Tree::Leaf(kind, value) => out.bytes(*kind, value),
            Tree::Node(kind, inner) => {
                out.nested(*kind, |out| inner.iter().for_each(|tree| write(tree, out)));
            }
        }
    }

    fn request(kind: u16, flags: u16, seq: u32, fill: impl FnOnce(&mut Attributes)) -> Vec<u8> {
        let mut out = Attributes::default();
        out.message(&Head { kind, flags, seq }, |out| {
            out.netfilter(1, 0);
            fill(out);
        });
        out.into_bytes()
    }

    fn same(trees: &[Tree], read: Reader<'_>) -> bool {
        let read: Vec<_> = read.collect();
        read.len() == trees.len()
            && trees
                .iter()
                .zip(read)
                .all(|(tree, (kind, value))| match tree {
                    Tree::Leaf(wanted, bytes) => *wanted == kind && bytes == value,
                    Tree::Node(wanted, inner) => *wanted == kind && same(inner, Reader::of(value)),
                })
    }

    fn trees() -> impl Strategy<Value = Vec<Tree>> {
        let leaf = (0..100_u16, prop::collection::vec(any::<u8>(), 0..30))
            .prop_map(|(kind, value)| Tree::Leaf(kind, value));
        let tree = leaf.prop_recursive(4, 40, 6, |inner| {
            (0..100_u16, prop::collection::vec(inner, 0..6))
                .prop_map(|(kind, inner)| Tree::Node(kind, inner))
        });
        prop::collection::vec(tree, 0..6)
    }

    /// Reads everything there is to read, as deep as it goes.
    fn devour(reader: Reader<'_>, depth: u8) -> usize {
        let _numbers = (
            reader.number(1),
            reader.long(4),
            reader.text(1),
            reader.inside(2),
        );
        if depth == 0 {
            return 0;
        }
        reader
            .map(|(_, value)| 1 + devour(Reader::of(value), depth - 1))
            .sum()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trees in trees(), kind: u16, seq: u32) {
            let bytes = request(kind, DUMP, seq, |out| trees.iter().for_each(|tree| write(tree, out)));
            let read: Vec<_> = messages(&bytes).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!((read[0].kind, read[0].seq), (kind, seq));
            prop_assert_eq!(read[0].flags, DUMP | REQUEST);
            prop_assert!(same(&trees, read[0].attributes()));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_always_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for message in messages(&bytes) {
                let _facts = (message.kind, message.is_control(), message.outcome());
                devour(message.attributes(), 6);
            }
            devour(Reader::of(&bytes), 6);
        }

        #[test]
        fn broken_messages_never_panic(trees in trees(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = request(12, 0, 7, |out| trees.iter().for_each(|tree| write(tree, out)));
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            for message in messages(&bytes) {
                devour(message.attributes(), 6);
            }
        }
    }

    #[test]
    fn a_cut_off_refusal_still_tells_its_number() {
        let mut bytes = 60_000_u32.to_ne_bytes().to_vec();
        bytes.extend(ERROR.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(9_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend((-17_i32).to_ne_bytes());
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 1);
        assert!(read[0].is_control());
        assert_eq!(
            (read[0].kind, read[0].seq, read[0].outcome()),
            (ERROR, 9, Err(Errno::EXIST))
        );
    }
}
