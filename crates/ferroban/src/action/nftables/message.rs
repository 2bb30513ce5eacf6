//! Batches of nf_tables' messages, and questions outside of them.
//!
//! Pure: no socket and no knowledge of tables or sets.

use rustix::io::Errno;

use super::super::netlink::Head;
pub(super) use super::super::netlink::{
    APPEND, Attributes, CREATE, DONE, DUMP, ERROR, EXCLUSIVE, INTERRUPTED, Message, Reader,
    messages,
};

/// Every message of nf_tables says which subsystem it is for.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const BATCH_GENERATION: u16 = 1;

/// The family of tables that see IPv4 and IPv6.
pub(super) const INET: u8 = 1;

/// The kind of an nf_tables message, without the subsystem.
pub(super) fn kind(message: Message<'_>) -> Option<u16> {
    (message.kind >> 8 == SUBSYSTEM).then_some(message.kind & 0xff)
}

/// One question outside a batch, for instance a dump.
pub(super) fn request(
    kind: u16,
    flags: u16,
    seq: u32,
    fill: impl FnOnce(&mut Attributes),
) -> Vec<u8> {
    request_in(INET, (kind, flags), seq, fill)
}

/// The same about a table of any family.
pub(super) fn request_in(
    family: u8,
    (kind, flags): (u16, u16),
    seq: u32,
    fill: impl FnOnce(&mut Attributes),
) -> Vec<u8> {
    let mut out = Attributes::default();
    let kind = SUBSYSTEM << 8 | kind;
    out.message(&Head { kind, flags, seq }, |out| {
        out.netfilter(family, 0);
        fill(out);
    });
    out.into_bytes()
}

/// Messages that take effect together or not at all.
///
/// Each message has an index, counted from 0; the kernel's refusals name it.
#[derive(Debug)]
pub(super) struct Batch {
    out: Attributes,
    first: u32,
    count: u32,
    last: usize,
}

impl Batch {
    /// A batch whose opening message has the number `first`. With a
    /// `generation` the kernel refuses it if the ruleset is no longer that one.
    pub(super) fn new(first: u32, generation: Option<u32>) -> Self {
        let mut out = Attributes::default();
        out.message(&frame(BATCH_BEGIN, first), |attributes| {
            attributes.netfilter(0, SUBSYSTEM);
            if let Some(generation) = generation {
                attributes.number(BATCH_GENERATION, generation);
            }
        });
        Self {
            out,
            first,
            count: 0,
            last: 0,
        }
    }

    /// Adds a message and tells its index.
    pub(super) fn push(
        &mut self,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(&mut Attributes),
    ) -> u32 {
        self.push_in(INET, (kind, flags), fill)
    }

    /// The same about a table of any family.
    pub(super) fn push_in(
        &mut self,
        family: u8,
        (kind, flags): (u16, u16),
        fill: impl FnOnce(&mut Attributes),
    ) -> u32 {
        let index = self.count;
        self.count = index.wrapping_add(1);
        self.last = self.out.len();
        let seq = self.seq(self.count);
        let kind = SUBSYSTEM << 8 | kind;
        self.out.message(&Head { kind, flags, seq }, |out| {
            out.netfilter(family, 0);
            fill(out);
        });
        index
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The index of the message with that number; `None` for the batch itself.
    pub(super) fn index(&self, seq: u32) -> Option<u32> {
        seq.wrapping_sub(self.first)
            .checked_sub(1)
            .filter(|index| *index < self.count)
    }

    /// Whether an answer with that number belongs to this batch.
    pub(super) fn owns(&self, seq: u32) -> bool {
        seq.wrapping_sub(self.first) <= self.count.saturating_add(1)
    }

    /// The number of the last message, whose acknowledgement proves the commit.
    pub(super) fn last_seq(&self) -> u32 {
        self.seq(self.count)
    }

    /// The whole batch as bytes, and the number to go on with; refused if a
    /// piece of it was longer than its length field can say.
    pub(super) fn finish(&mut self) -> Result<&[u8], Errno> {
        self.out.acknowledge(self.last);
        let end = frame(BATCH_END, self.seq(self.count.wrapping_add(1)));
        self.out.message(&end, |out| out.netfilter(0, SUBSYSTEM));
        self.out.written()
    }

    fn seq(&self, offset: u32) -> u32 {
        self.first.wrapping_add(offset)
    }
}

fn frame(kind: u16, seq: u32) -> Head {
    let flags = 0;
    Head { kind, flags, seq }
}

#[cfg(test)]
mod tests {
    use super::super::super::netlink::ACK;
    use super::*;

    #[test]
    fn a_batch_is_framed_numbered_and_asks_for_one_answer() {
        let mut batch = Batch::new(u32::MAX, Some(77));
        assert!(batch.is_empty());
        assert_eq!(batch.push(0, CREATE, |out| out.text(1, "t")), 0);
        assert_eq!(batch.push(9, CREATE, |out| out.number(3, 0x10)), 1);
        let bytes = batch.finish().unwrap().to_vec();
        let read: Vec<_> = messages(&bytes).collect();
        let facts: Vec<_> = read
            .iter()
            .map(|m| (m.kind, m.seq, m.flags & ACK != 0))
            .collect();
        let expected = [
            (BATCH_BEGIN, u32::MAX, false),
            (10 << 8, 0, false),
            (10 << 8 | 9, 1, true),
            (BATCH_END, 2, false),
        ];
        assert_eq!(facts, expected);
        assert_eq!(read[0].body()[2..4], [0, 10], "the subsystem, big-endian");
        assert_eq!(read[0].attributes().number(BATCH_GENERATION), Some(77));
        assert_eq!(read[1].attributes().text(1), Some("t"));
        assert_eq!(batch.last_seq(), 1);
        let indices: Vec<_> = [u32::MAX, 0, 1, 2, 3].map(|seq| batch.index(seq)).into();
        assert_eq!(indices, [None, Some(0), Some(1), None, None]);
        assert_eq!(
            [u32::MAX - 1, u32::MAX, 2, 3].map(|seq| batch.owns(seq)),
            [false, true, true, false]
        );
    }

    #[test]
    fn an_attribute_too_long_for_its_length_field_is_never_sent() {
        let mut batch = Batch::new(1, None);
        batch.push(12, 0, |out| out.nested(3, |out| out.bytes(1, &[0; 65_528])));
        assert_eq!(batch.finish().unwrap_err(), Errno::MSGSIZE);
        let mut batch = Batch::new(1, None);
        batch.push(12, 0, |out| out.nested(3, |out| out.bytes(1, &[0; 65_520])));
        assert!(batch.finish().is_ok());
    }
}
