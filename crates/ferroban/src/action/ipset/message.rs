//! Ipset's messages, written and read.
//!
//! Pure: no socket. Reading never trusts what was sent: what is not understood is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ferroban_engine::Network;

use super::super::netlink::{
    ACK, Attributes, CREATE, DONE, DUMP, ERROR, EXCLUSIVE, Head, Message, NET_BYTEORDER, Reader,
};
use super::{Change, Edit, Entry, Family, Header, Kind, Spec};

/// Every message of ipset says which subsystem it is for.
const SUBSYSTEM: u16 = 6;

const PROTOCOL: u16 = 1;
const CREATE_SET: u16 = 2;
const DESTROY: u16 = 3;
const FLUSH: u16 = 4;
const LIST: u16 = 7;
const ADD: u16 = 9;
const DELETE: u16 = 10;
const TEST: u16 = 11;
const TYPE: u16 = 13;

/// Attributes of a command.
const OF_PROTOCOL: u16 = 1;
const SET_NAME: u16 = 2;
const TYPE_NAME: u16 = 3;
const REVISION: u16 = 4;
const FAMILY: u16 = 5;
const FLAGS: u16 = 6;
const DATA: u16 = 7;
const MANY: u16 = 8;
const LINE: u16 = 9;
/// The lowest version of the protocol, or revision of a type.
const LOWEST: u16 = 10;

/// Attributes of an entry, and of a set.
const IP: u16 = 1;
const CIDR: u16 = 3;
const TIMEOUT: u16 = 6;
const ENTRY_FLAGS: u16 = 8;
const MAXELEM: u16 = 19;
const NETMASK: u16 = 20;
const ELEMENTS: u16 = 24;
const REFERENCES: u16 = 25;

const V4: u16 = 1;
const V6: u16 = 2;

/// `IPSET_FLAG_LIST_HEADER`: what the set is like, without its entries.
const ONLY_HEADER: u32 = 1 << 2;
const NOMATCH: u32 = 1 << 2;
const WITH_COUNTERS: u32 = 1 << 3;
const WITH_COMMENT: u32 = 1 << 4;
const WITH_FORCEADD: u32 = 1 << 5;
const WITH_SKBINFO: u32 = 1 << 6;

/// `ENOENT`.
pub(super) const NO_SET: i32 = 2;
/// Refusals that only ipset has.
pub(super) const MALFORMED: i32 = 4097;
pub(super) const FIND_TYPE: i32 = 4098;
pub(super) const BUSY: i32 = 4100;
pub(super) const EXIST: i32 = 4103;
pub(super) const INVALID_CIDR: i32 = 4104;
pub(super) const NO_TIMEOUTS: i32 = 4107;
pub(super) const NOT_V4: i32 = 4109;
pub(super) const NOT_V6: i32 = 4110;
pub(super) const FULL: i32 = 4352;
pub(super) const NULL: i32 = 4353;
pub(super) const MISSING_PROTO: i32 = 4355;
pub(super) const RANGE_UNSUPPORTED: i32 = 4356;
pub(super) const RANGE: i32 = 4357;

/// The versions of the protocol that we speak.
pub(super) const PROTOCOLS: (u8, u8) = (6, 7);

/// How long a message with many edits gets: the length of an attribute has 16 bits.
const LONGEST: usize = 60_000;

/// A question to the kernel about a set.
#[derive(Debug)]
pub(super) enum Question<'a> {
    /// Which versions of the protocol it speaks.
    Protocol,
    /// Which revisions of a type it has.
    Type { kind: Kind, family: Family },
    /// What a set is like.
    Header(&'a str),
    /// That, and its entries.
    List(&'a str),
    /// Whether a set matches.
    Has(&'a str, Network),
    /// A set is to be made.
    Create {
        name: &'a str,
        spec: &'a Spec,
        revision: u8,
    },
    /// A set is to be emptied.
    Flush(&'a str),
    /// A set is to be removed.
    Destroy(&'a str),
}

impl Question<'_> {
    /// The message that asks.
    pub(super) fn bytes(&self, protocol: u8, seq: u32) -> Vec<u8> {
        let (kind, flags) = match self {
            // Their answer is what was asked for.
            Self::Protocol => (PROTOCOL, ACK),
            Self::Type { .. } => (TYPE, ACK),
            Self::Header(_) | Self::List(_) => (LIST, DUMP),
            Self::Has(..) => (TEST, ACK),
            Self::Create { .. } => (CREATE_SET, CREATE | EXCLUSIVE | ACK),
            Self::Flush(_) => (FLUSH, ACK),
            // Else newer kernels take it for done if there is no such set.
            Self::Destroy(_) => (DESTROY, EXCLUSIVE | ACK),
        };
        let mut out = Attributes::default();
        out.message(&head(kind, flags, seq), |out| {
            begin(out, protocol);
            match self {
                Self::Protocol => {}
                Self::Type { kind, family } => {
                    out.text(TYPE_NAME, kind.name());
                    out.byte(FAMILY, number(*family));
                }
                Self::Header(name) => {
                    out.text(SET_NAME, name);
                    out.number(FLAGS | NET_BYTEORDER, ONLY_HEADER);
                }
                Self::Has(name, network) => {
                    out.text(SET_NAME, name);
                    out.nested(DATA, |data| what(data, *network));
                }
                Self::Create {
                    name,
                    spec,
                    revision,
                } => create(out, name, spec, *revision),
                Self::List(name) | Self::Flush(name) | Self::Destroy(name) => {
                    out.text(SET_NAME, name);
                }
            }
        });
        out.into_bytes()
    }
}

fn create(out: &mut Attributes, name: &str, spec: &Spec, revision: u8) {
    out.text(SET_NAME, name);
    out.text(TYPE_NAME, spec.kind.name());
    out.byte(REVISION, revision);
    out.byte(FAMILY, number(spec.family));
    out.nested(DATA, |data| {
        if let Some(timeout) = spec.timeout {
            data.number(TIMEOUT | NET_BYTEORDER, timeout);
        }
        if let Some(maxelem) = spec.maxelem {
            data.number(MAXELEM | NET_BYTEORDER, maxelem);
        }
    });
}

/// Whether edits can stand in one message.
pub(super) fn goes_with(one: &Edit<'_>, other: &Edit<'_>) -> bool {
    one.set == other.set
        && one.exist == other.exist
        && (one.change == Change::Delete) == (other.change == Change::Delete)
}

/// The message that asks for as many of these edits as fit, which are all of one kind; and how
/// many those are. In a refusal each is known by its line, counted from 1.
pub(super) fn edits(protocol: u8, seq: u32, edits: &[Edit<'_>]) -> (Attributes, usize) {
    let (kind, exist, set) = match edits.first() {
        Some(edit) if edit.change == Change::Delete => (DELETE, edit.exist, edit.set),
        Some(edit) => (ADD, edit.exist, edit.set),
        None => (ADD, true, ""),
    };
    let flags = if exist { ACK } else { ACK | EXCLUSIVE };
    let mut count = 0;
    let mut out = Attributes::default();
    out.message(&head(kind, flags, seq), |out| {
        begin(out, protocol);
        out.text(SET_NAME, set);
        // In the refusal of an edit its line stands here.
        out.number(LINE, 0);
        out.nested(MANY, |many| {
            for (edit, line) in edits.iter().zip(1_u32..) {
                if many.len() > LONGEST {
                    break;
                }
                many.nested(DATA, |data| entry_of(data, edit, line));
                count += 1;
            }
        });
    });
    (out, count)
}

fn entry_of(data: &mut Attributes, edit: &Edit<'_>, line: u32) {
    what(data, edit.network);
    if let Change::Add {
        timeout: Some(secs),
    } = edit.change
    {
        data.number(TIMEOUT | NET_BYTEORDER, secs);
    }
    data.number(LINE, line);
}

fn what(data: &mut Attributes, network: Network) {
    data.nested(IP, |ip| match network.address() {
        IpAddr::V4(address) => ip.bytes(V4 | NET_BYTEORDER, &address.octets()),
        IpAddr::V6(address) => ip.bytes(V6 | NET_BYTEORDER, &address.octets()),
    });
    if !network.is_single() {
        data.byte(CIDR, network.prefix());
    }
}

/// The end of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// 0 if all is well.
    pub(super) code: i32,
    /// Which of many edits it is about.
    pub(super) line: Option<usize>,
}

impl Answer {
    /// About all that was asked.
    pub(super) fn whole(code: i32) -> Self {
        Self { code, line: None }
    }

    /// `None` if more is to come.
    pub(super) fn of(message: Message<'_>) -> Option<Self> {
        match message.kind {
            DONE => Some(Self::whole(message.code())),
            ERROR => {
                let quoted = message.quoted();
                let line = quoted.and_then(|quoted| quoted.attributes().number(LINE));
                Some(Self {
                    code: message.code(),
                    line: line.and_then(|line| usize::try_from(line).ok()),
                })
            }
            _ => None,
        }
    }
}

/// The versions of the protocol, from and to.
pub(super) fn protocols(message: Message<'_>) -> (u8, u8) {
    range(message, OF_PROTOCOL)
}

/// The revisions of a type, from and to.
pub(super) fn revisions(message: Message<'_>) -> (u8, u8) {
    range(message, REVISION)
}

fn range(message: Message<'_>, highest: u16) -> (u8, u8) {
    let attributes = message.attributes();
    let highest = attributes.byte(highest).unwrap_or(0);
    (attributes.byte(LOWEST).unwrap_or(highest), highest)
}

/// The revision to make a set with: one that older programs know too, if the kernel has it.
pub(super) fn revision(kind: Kind, known: &RangeInclusive<u8>) -> u8 {
    // Those that came with ipset 6.22, of 2014.
    let liked = match kind {
        Kind::Ip => 4,
        Kind::Net => 6,
    };
    liked.max(*known.start()).min(*known.end())
}

/// What a set is like; `None` if the message does not say.
pub(super) fn header(message: Message<'_>) -> Option<Header> {
    let set = message.attributes();
    let data = Reader::of(set.find(DATA)?);
    let flags = data.number(ENTRY_FLAGS).unwrap_or(0);
    Some(Header {
        kind: set.text(TYPE_NAME)?.to_owned(),
        revision: set.byte(REVISION).unwrap_or(0),
        family: set.byte(FAMILY).and_then(family),
        timeout: data.number(TIMEOUT),
        maxelem: data.number(MAXELEM),
        netmask: data.byte(NETMASK),
        references: data.number(REFERENCES).unwrap_or(0),
        entries: data.number(ELEMENTS),
        counters: flags & WITH_COUNTERS != 0,
        comment: flags & WITH_COMMENT != 0,
        skbinfo: flags & WITH_SKBINFO != 0,
        forceadd: flags & WITH_FORCEADD != 0,
    })
}

/// The entries in one message of a list.
pub(super) fn entries(message: Message<'_>) -> impl Iterator<Item = Entry> {
    let many = message.attributes().inside(MANY);
    many.filter(|(kind, _)| *kind == DATA)
        .filter_map(|(_, data)| entry(Reader::of(data)))
}

fn entry(data: Reader<'_>) -> Option<Entry> {
    let (kind, bytes) = data.inside(IP).next()?;
    let address: IpAddr = match kind {
        V4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        V6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    let network = match data.byte(CIDR) {
        Some(prefix) => Network::new(address, prefix),
        None => Network::single(address),
    };
    let flags = data.number(ENTRY_FLAGS).unwrap_or(0);
    Some(Entry {
        network,
        // Where entries have times, 0 is one that stays.
        timeout: data.number(TIMEOUT).filter(|secs| *secs > 0),
        nomatch: flags & NOMATCH != 0,
    })
}

fn head(kind: u16, flags: u16, seq: u32) -> Head {
    let kind = SUBSYSTEM << 8 | kind;
    Head { kind, flags, seq }
}

fn begin(out: &mut Attributes, protocol: u8) {
    out.netfilter(number(Family::V4), 0);
    out.byte(OF_PROTOCOL, protocol);
}

/// As netfilter counts families.
fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

fn family(number: u8) -> Option<Family> {
    match number {
        2 => Some(Family::V4),
        10 => Some(Family::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::netlink::messages;
    use super::*;
    use proptest::prelude::*;

    fn networks() -> impl Strategy<Value = Network> {
        let four = (any::<[u8; 4]>(), 1_u8..33).prop_map(|(a, p)| (IpAddr::from(a), p));
        let six = (any::<[u8; 16]>(), 1_u8..129).prop_map(|(a, p)| (IpAddr::from(a), p));
        prop_oneof![four, six].prop_map(|(address, prefix)| Network::new(address, prefix))
    }

    /// All that can be read of some bytes.
    fn devour(bytes: &[u8]) -> usize {
        let read = messages(bytes).map(|message| {
            let _facts = (Answer::of(message), header(message), protocols(message));
            entries(message).count()
        });
        read.sum()
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_what_a_list_would_say(
            wanted in prop::collection::vec((networks(), prop::option::of(1..u32::MAX)), 1..40),
            delete: bool, exist: bool, seq: u32,
        ) {
            let all: Vec<Edit<'_>> = wanted.iter().map(|(network, timeout)| Edit {
                set: "s",
                network: *network,
                change: if delete { Change::Delete } else { Change::Add { timeout: *timeout } },
                exist,
            }).collect();
            let (written, count) = edits(6, seq, &all);
            prop_assert_eq!(count, all.len());
            let bytes = written.into_bytes();
            let read: Vec<_> = messages(&bytes).collect();
            prop_assert_eq!(read.len(), 1);
            let (kind, exclusive) = (if delete { DELETE } else { ADD }, !exist);
            prop_assert_eq!((read[0].kind, read[0].seq), (6 << 8 | kind, seq));
            prop_assert_eq!(read[0].flags & EXCLUSIVE != 0, exclusive);
            prop_assert_eq!(read[0].attributes().text(SET_NAME), Some("s"));
            let found: Vec<_> = entries(read[0]).map(|entry| (entry.network, entry.timeout)).collect();
            let expected: Vec<_> = wanted.iter()
                .map(|(network, timeout)| (*network, timeout.filter(|_| !delete))).collect();
            prop_assert_eq!(found, expected);
            let lines: Vec<_> = read[0].attributes().inside(MANY)
                .map(|(_, data)| Reader::of(data).number(LINE).unwrap()).collect();
            prop_assert!(lines.into_iter().eq(1..=u32::try_from(count).unwrap()));
        }

        #[test]
        fn arbitrary_bytes_are_read_to_their_end(
            kind in prop_oneof![Just(ERROR), Just(DONE), 1536_u16..1552], body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(&body);
            prop_assert!(devour(&bytes) <= body.len());
            devour(&body);
        }

        #[test]
        fn a_broken_list_never_says_more_than_was_written(
            wanted in prop::collection::vec(networks(), 1..20), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let all: Vec<Edit<'_>> = wanted.iter().map(|network| Edit {
                set: "s", network: *network, change: Change::Delete, exist: true,
            }).collect();
            let mut bytes = edits(6, 1, &all).0.into_bytes();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            prop_assert!(devour(&bytes) <= bytes.len() / 8);
        }
    }

    #[test]
    fn a_message_holds_no_more_than_its_length_fields_can_say() {
        let address = |n: u32| Network::single(IpAddr::V6(Ipv6Addr::from_bits(u128::from(n))));
        let all: Vec<Edit<'_>> = (0..5000)
            .map(|n| Edit {
                set: "s",
                network: address(n),
                change: Change::Add { timeout: Some(n) },
                exist: false,
            })
            .collect();
        let (written, count) = edits(7, 1, &all);
        assert!((1000..2000).contains(&count), "{count}");
        let bytes = written.written().unwrap();
        assert!(bytes.len() < 65_536);
        let read = messages(bytes).next().unwrap();
        assert_eq!(entries(read).count(), count);
    }

    #[test]
    fn a_refusal_names_the_line_that_the_kernel_wrote_into_it() {
        let edit = Edit {
            set: "s",
            network: Network::single([192, 0, 2, 1].into()),
            change: Change::Delete,
            exist: false,
        };
        let mut out = Attributes::default();
        out.message(
            &Head {
                kind: ERROR,
                flags: 0,
                seq: 9,
            },
            |out| {
                out.raw(&(-EXIST).to_ne_bytes());
                out.message(&head(DELETE, 0, 9), |out| {
                    begin(out, 6);
                    out.text(SET_NAME, edit.set);
                    out.number(LINE, 3);
                });
            },
        );
        let bytes = out.into_bytes();
        let message = messages(&bytes).next().unwrap();
        let (code, line) = (EXIST, Some(3));
        assert_eq!(Answer::of(message), Some(Answer { code, line }));
    }

    #[test]
    fn a_set_is_made_with_a_revision_that_many_programs_know() {
        let cases = [
            (Kind::Ip, 0..=6, 4),
            (Kind::Ip, 0..=2, 2),
            (Kind::Net, 0..=7, 6),
            (Kind::Net, 7..=9, 7),
        ];
        for (kind, known, expected) in cases {
            assert_eq!(revision(kind, &known), expected, "{known:?}");
        }
    }
}
