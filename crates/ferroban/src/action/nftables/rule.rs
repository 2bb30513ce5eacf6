//! The rules of one jail: what a packet must be to be blocked.
//!
//! ```text
//! chain jail-NAME:   meta l4proto tcp th dport { 22, 8000-8010 } jump block-NAME
//! chain block-NAME:  ip saddr @addr4-NAME counter reject       one per set
//! ```
//! Packets the jail has no say in are through after one or two comparisons.
//! The first chain says *match*, never *return unless*: while its rules are
//! exchanged a packet may find an anonymous set empty (see [`table`]), and must
//! then come to the next rule instead of leaving.

use std::ops::RangeInclusive;

use sha1::{Digest, Sha1};

use super::message::{APPEND, Attributes, Batch, CREATE, Reader};
use super::network::Family;
use super::set::{ANONYMOUS_NAME, Anonymous, SETS, Set};
use super::table::{self, TABLE};
use super::{Block, Guard, Protocol};

const NEW_RULE: u16 = 6;

// NFTA_RULE_*
pub(super) const RULE_TABLE: u16 = 1;
pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
pub(super) const RULE_USERDATA: u16 = 7;

// NFTA_EXPR_*, NFTA_COUNTER_*
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

// Our piece of a rule's user data; 0 is nft's comment, and nft skips the rest.
const USERDATA_COMMENT: u8 = 0;
const USERDATA_MARK: u8 = 0x66;

const META_PROTOCOL_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const EQUAL: u32 = 0;
const VERDICT_DROP: i32 = 0;
const VERDICT_JUMP: i32 = -3;
const REJECT_RESET: u32 = 1;
const REJECT_ICMPX: u32 = 2;
const ICMPX_PORT_UNREACHABLE: u8 = 1;
const TCP: u8 = 6;

/// `nft`'s numbers for the types of anonymous sets' keys.
const TYPE_PROTOCOL: u32 = 12;
const TYPE_SERVICE: u32 = 13;

/// The numbers of the anonymous sets in a batch; the named ones have 1 to 4.
const PORTED_ID: u32 = 5;
const PLAIN_ID: u32 = 6;
const PORTS_ID: u32 = 7;

/// The traffic a jail has a say in and what it gets, in one canonical form.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Scope {
    /// Protocols of which only some ports matter.
    ported: Vec<u8>,
    /// Sorted ranges that do not touch; only with `ported`.
    ports: Vec<RangeInclusive<u16>>,
    /// Protocols that matter altogether. If there are neither, all do.
    plain: Vec<u8>,
    block: Block,
    /// That of the base chains.
    pub(super) priority: i32,
}

/// Some rules in a chain of their own, and how to know them again.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) chain: String,
    /// How many there are.
    pub(super) count: usize,
    /// What each carries, so that rules made for another guard (or by another
    /// version of this module) are told apart.
    pub(super) userdata: Vec<u8>,
}

impl Scope {
    /// `None` if ports are asked for, but none is in the ranges.
    pub(super) fn new(guard: &Guard) -> Option<Self> {
        let ports = merged(&guard.ports);
        if ports.is_empty() && !guard.ports.is_empty() {
            return None;
        }
        let numbers = guard
            .protocols
            .iter()
            .flat_map(|protocol| protocol.numbers());
        let mut numbers: Vec<u8> = numbers.copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let (block, priority) = (guard.block, guard.priority);
        if ports.is_empty() || ports == [0..=u16::MAX] {
            return Some(Self {
                ported: vec![],
                ports: vec![],
                plain: numbers,
                block,
                priority,
            });
        }
        if numbers.is_empty() {
            numbers = Protocol::PORTED.to_vec();
        }
        let has_ports = |number: &u8| Protocol::PORTED.contains(number);
        let (ported, plain): (Vec<u8>, Vec<u8>) = numbers.into_iter().partition(has_ports);
        let ports = if ported.is_empty() { vec![] } else { ports };
        Some(Self {
            ported,
            ports,
            plain,
            block,
            priority,
        })
    }

    /// The rules that pick the traffic.
    pub(super) fn picking(&self, jail: &str) -> Rules {
        let (ported, plain) = (!self.ported.is_empty(), !self.plain.is_empty());
        Rules {
            chain: table::chain(jail),
            count: (usize::from(ported) + usize::from(plain)).max(1),
            userdata: mark(&(&self.ported, &self.ports, &self.plain)),
        }
    }

    /// The rules that block those who are banned.
    pub(super) fn blocking(&self, jail: &str) -> Rules {
        Rules {
            chain: table::block_chain(jail),
            count: SETS.len() * self.answers().len(),
            userdata: mark(&self.answers()),
        }
    }

    /// Writes the rules that pick, and the anonymous sets they use.
    pub(super) fn write_picking(&self, batch: &mut Batch, jail: &str) {
        let Rules {
            chain, userdata, ..
        } = self.picking(jail);
        let block = table::block_chain(jail);
        if !self.ported.is_empty() {
            let protocols = Choice::new(PORTED_ID, TYPE_PROTOCOL, singles(&self.ported));
            let ports = self
                .ports
                .iter()
                .map(|range| (*range.start(), *range.end()));
            let ports = Choice::new(PORTS_ID, TYPE_SERVICE, ports.collect());
            protocols.declare(batch);
            ports.declare(batch);
            rule(batch, &chain, &userdata, |rule| {
                meta(rule, META_PROTOCOL);
                protocols.compare(rule);
                payload(rule, BASE_TRANSPORT, 2, 2);
                ports.compare(rule);
                verdict(rule, VERDICT_JUMP, Some(&block));
            });
        }
        if !self.plain.is_empty() || self.ported.is_empty() {
            let protocols = Choice::new(PLAIN_ID, TYPE_PROTOCOL, singles(&self.plain));
            protocols.declare(batch);
            rule(batch, &chain, &userdata, |rule| {
                if !self.plain.is_empty() {
                    meta(rule, META_PROTOCOL);
                    protocols.compare(rule);
                }
                verdict(rule, VERDICT_JUMP, Some(&block));
            });
        }
    }

    /// Writes the rules that block.
    pub(super) fn write_blocking(&self, batch: &mut Batch, jail: &str) {
        let Rules {
            chain, userdata, ..
        } = self.blocking(jail);
        for set in SETS {
            for answer in self.answers() {
                rule(batch, &chain, &userdata, |rule| {
                    answer.write(rule, set, jail);
                });
            }
        }
    }

    fn answers(&self) -> &'static [Answer] {
        let tcp_only = [&self.ported[..], &self.plain[..]].concat() == [TCP];
        match self.block {
            Block::Drop => &[Answer::Drop],
            Block::Reject => &[Answer::Unreachable],
            Block::Reset if tcp_only => &[Answer::Reset],
            Block::Reset => &[Answer::Reset, Answer::Unreachable],
        }
    }
}

/// The mark of rules made from these facts.
fn mark(facts: &impl std::fmt::Debug) -> Vec<u8> {
    userdata(
        USERDATA_MARK,
        &Sha1::digest(format!("1 {facts:?}").as_bytes()),
    )
}

impl Protocol {
    /// Those with a destination port in bytes 2 and 3: tcp, udp, dccp, sctp, udplite.
    const PORTED: [u8; 5] = [TCP, 17, 33, 132, 136];

    fn numbers(&self) -> &[u8] {
        match self {
            Self::Tcp => &[TCP],
            Self::Udp => &[17],
            Self::Udplite => &[136],
            Self::Sctp => &[132],
            Self::Dccp => &[33],
            Self::Icmp => &[1, 58],
            Self::Other(number) => std::slice::from_ref(number),
        }
    }
}

/// What a banned packet gets.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Drop,
    Unreachable,
    Reset,
}

impl Answer {
    fn write(self, rule: &mut Attributes, set: Set, jail: &str) {
        let (number, offset, length) = match set.family {
            Family::V4 => (2, 12, 4),
            Family::V6 => (10, 8, 16),
        };
        if matches!(self, Self::Reset) {
            meta(rule, META_PROTOCOL);
            compare(rule, &[TCP]);
        }
        meta(rule, META_PROTOCOL_FAMILY);
        compare(rule, &[number]);
        payload(rule, BASE_NETWORK, offset, length);
        lookup(rule, &set.name(jail), None);
        expression(rule, "counter", |_| ());
        match self {
            Self::Drop => verdict(rule, VERDICT_DROP, None),
            Self::Unreachable => expression(rule, "reject", |data| {
                data.number(1, REJECT_ICMPX);
                data.bytes(2, &[ICMPX_PORT_UNREACHABLE]);
            }),
            Self::Reset => expression(rule, "reject", |data| {
                data.number(1, REJECT_RESET);
                data.bytes(2, &[0]);
            }),
        }
    }
}

/// Numbers to compare with: one directly, more in an anonymous set.
struct Choice<T> {
    set: Anonymous,
    values: Vec<(T, T)>,
}

/// A number as its bytes in a packet.
trait Field: Copy + PartialEq {
    const LENGTH: u32;
    fn bytes(self) -> Vec<u8>;
    fn next(self) -> Option<Self>;
}

impl Field for u8 {
    const LENGTH: u32 = 1;
    fn bytes(self) -> Vec<u8> {
        vec![self]
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Field for u16 {
    const LENGTH: u32 = 2;
    fn bytes(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl<T: Field> Choice<T> {
    fn new(id: u32, key_type: u32, values: Vec<(T, T)>) -> Self {
        let interval = values.iter().any(|(first, last)| first != last);
        Self {
            set: Anonymous {
                id,
                key_type,
                length: T::LENGTH,
                interval,
            },
            values,
        }
    }

    fn single(&self) -> Option<T> {
        match self.values[..] {
            [(first, last)] if first == last => Some(first),
            _ => None,
        }
    }

    fn declare(&self, batch: &mut Batch) {
        if self.values.is_empty() || self.single().is_some() {
            return;
        }
        let end = |last: T| last.next().filter(|_| self.set.interval).map(Field::bytes);
        let values: Vec<_> = self
            .values
            .iter()
            .map(|(first, last)| (first.bytes(), end(*last)))
            .collect();
        self.set.write(batch, &values);
    }

    fn compare(&self, rule: &mut Attributes) {
        match self.single() {
            Some(value) => compare(rule, &value.bytes()),
            None => lookup(rule, ANONYMOUS_NAME, Some(self.set.id)),
        }
    }
}

fn singles(numbers: &[u8]) -> Vec<(u8, u8)> {
    numbers.iter().map(|number| (*number, *number)).collect()
}

/// Sorted, without empty ranges, joined where they overlap or touch.
fn merged(ports: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut sorted: Vec<_> = ports
        .iter()
        .filter(|range| !range.is_empty())
        .cloned()
        .collect();
    sorted.sort_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u16>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The user data that shows as a comment in `nft list`.
pub(super) fn comment(text: &str) -> Vec<u8> {
    userdata(USERDATA_COMMENT, &[text.as_bytes(), &[0]].concat())
}

fn userdata(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    [&[kind, length], &value[..usize::from(length)]].concat()
}

/// The packets and bytes that the counters of a rule have counted.
pub(super) fn counted(rule: Reader<'_>) -> (u64, u64) {
    let mut sum = (0_u64, 0_u64);
    for (_, expression) in rule.inside(RULE_EXPRESSIONS) {
        let expression = Reader::of(expression);
        if expression.text(EXPRESSION_NAME) == Some("counter") {
            let counter = expression.inside(EXPRESSION_DATA);
            let number = |kind: u16| counter.long(kind).unwrap_or(0);
            sum.0 = sum.0.saturating_add(number(COUNTER_PACKETS));
            sum.1 = sum.1.saturating_add(number(COUNTER_BYTES));
        }
    }
    sum
}

/// The rule that sends packets from a base chain to a jail's chain.
pub(super) fn jump(batch: &mut Batch, base: &str, jail: &str, userdata: &[u8]) {
    rule(batch, base, userdata, |rule| {
        verdict(rule, VERDICT_JUMP, Some(&table::chain(jail)));
    });
}

fn rule(batch: &mut Batch, chain: &str, userdata: &[u8], fill: impl FnOnce(&mut Attributes)) {
    batch.push(NEW_RULE, CREATE | APPEND, |rule| {
        rule.text(RULE_TABLE, TABLE);
        rule.text(RULE_CHAIN, chain);
        rule.nested(RULE_EXPRESSIONS, fill);
        rule.bytes(RULE_USERDATA, userdata);
    });
}

/// One step of a rule. All steps use the register 1.
fn expression(rule: &mut Attributes, name: &str, fill: impl FnOnce(&mut Attributes)) {
    rule.nested(1, |step| {
        step.text(EXPRESSION_NAME, name);
        step.nested(EXPRESSION_DATA, fill);
    });
}

fn meta(rule: &mut Attributes, key: u32) {
    expression(rule, "meta", |data| {
        data.number(2, key);
        data.number(1, 1);
    });
}

fn payload(rule: &mut Attributes, base: u32, offset: u32, length: u32) {
    expression(rule, "payload", |data| {
        data.number(1, 1);
        data.number(2, base);
        data.number(3, offset);
        data.number(4, length);
    });
}

fn compare(rule: &mut Attributes, value: &[u8]) {
    expression(rule, "cmp", |data| {
        data.number(1, 1);
        data.number(2, EQUAL);
        data.nested(3, |data| data.bytes(1, value));
    });
}

fn lookup(rule: &mut Attributes, set: &str, id: Option<u32>) {
    expression(rule, "lookup", |data| {
        data.text(1, set);
        data.number(2, 1);
        if let Some(id) = id {
            data.number(4, id);
        }
    });
}

fn verdict(rule: &mut Attributes, code: i32, chain: Option<&str>) {
    expression(rule, "immediate", |data| {
        data.number(1, 0);
        data.nested(2, |data| {
            data.nested(2, |verdict| {
                verdict.bytes(1, &code.to_be_bytes());
                if let Some(chain) = chain {
                    verdict.text(2, chain);
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Ports = &'static [RangeInclusive<u16>];
    type Case = (
        &'static [Protocol],
        Ports,
        &'static [u8],
        &'static [u8],
        Ports,
    );

    fn scope(protocols: &[Protocol], ports: &[RangeInclusive<u16>]) -> Option<Scope> {
        Scope::new(&Guard {
            name: "j".into(),
            protocols: protocols.to_vec(),
            ports: ports.to_vec(),
            block: Block::Reject,
            priority: Guard::PRIORITY,
        })
    }

    #[test]
    fn a_scope_is_canonical() {
        use Protocol::{Icmp, Other, Tcp, Udp};
        // protocols and ports; then the numbers with ports, without, and the ranges
        let cases: [Case; 9] = [
            (&[], &[], &[], &[], &[]),
            (&[Tcp], &[], &[], &[6], &[]),
            (&[Udp, Tcp, Udp], &[], &[], &[6, 17], &[]),
            (&[Tcp], &[0..=65535], &[], &[6], &[]),
            (&[Tcp], &[80..=80, 22..=22], &[6], &[], &[22..=22, 80..=80]),
            (&[Tcp], &[30..=40, 22..=29, 35..=36], &[6], &[], &[22..=40]),
            (&[], &[53..=53], &[6, 17, 33, 132, 136], &[], &[53..=53]),
            (&[Icmp, Tcp], &[22..=22], &[6], &[1, 58], &[22..=22]),
            (&[Other(47)], &[22..=22], &[], &[47], &[]),
        ];
        for (protocols, ports, ported, plain, ranges) in cases {
            let scope = scope(protocols, ports).unwrap();
            let found = (&scope.ported[..], &scope.plain[..], &scope.ports[..]);
            assert_eq!(found, (ported, plain, ranges), "{protocols:?} {ports:?}");
        }
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "the point of the test")]
    fn empty_ranges_do_not_mean_all_ports() {
        assert_eq!(scope(&[Protocol::Tcp], &[30..=20]), None);
        assert_eq!(
            scope(&[Protocol::Tcp], &[30..=20, 22..=22]).unwrap().ports,
            [22..=22]
        );
    }

    #[test]
    fn different_scopes_have_different_marks() {
        let of = |ports| {
            scope(&[Protocol::Tcp], ports)
                .unwrap()
                .picking("j")
                .userdata
        };
        assert_eq!(of(&[22..=22, 23..=23]), of(&[22..=23]));
        assert_ne!(of(&[22..=22]), of(&[22..=23]));
    }

    proptest! {
        #[test]
        fn merging_keeps_every_port(ports in prop::collection::vec((any::<u16>(), any::<u16>()), 0..20), probe: u16) {
            let ports: Vec<_> = ports.into_iter().map(|(a, b)| a..=b).collect();
            let joined = merged(&ports);
            prop_assert!(joined.windows(2).all(|pair| u32::from(*pair[0].end()) + 1 < u32::from(*pair[1].start())));
            for port in [probe, probe.wrapping_add(1), 0, u16::MAX] {
                prop_assert_eq!(ports.iter().any(|range| range.contains(&port)), joined.iter().any(|range| range.contains(&port)));
            }
        }
    }
}
