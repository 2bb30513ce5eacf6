//! What is banned, and the arithmetic of address ranges.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ferroban_engine::Network;

/// One entry of a jail's sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element {
    /// Who is banned.
    pub network: Network,
    /// How long from now; `None` is for ever.
    pub timeout: Option<Duration>,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of a network's addresses.
    pub(super) fn of(network: Network) -> Self {
        if network.address().is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// Bits of an address.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The highest address.
    pub(super) fn last(self) -> u128 {
        match self {
            Self::V4 => u128::from(u32::MAX),
            Self::V6 => u128::MAX,
        }
    }

    fn value(self, addr: IpAddr) -> u128 {
        match addr {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        }
    }

    fn addr(self, value: u128) -> IpAddr {
        match self {
            Self::V4 => {
                Ipv4Addr::from(u32::try_from(value & self.last()).unwrap_or(u32::MAX)).into()
            }
            Self::V6 => Ipv6Addr::from(value).into(),
        }
    }

    /// A value of this family as the kernel writes it in a set.
    pub(super) fn key(self, value: u128) -> Vec<u8> {
        let bytes = value.to_be_bytes();
        match self {
            Self::V4 => bytes[12..].to_vec(),
            Self::V6 => bytes.to_vec(),
        }
    }

    /// The reverse; `None` if the length is not that of the family.
    pub(super) fn read(self, key: &[u8]) -> Option<u128> {
        match self {
            Self::V4 => Some(u128::from(u32::from_be_bytes(key.try_into().ok()?))),
            Self::V6 => Some(u128::from_be_bytes(key.try_into().ok()?)),
        }
    }
}

/// The addresses from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Span {
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Span {
    /// The first and last address of a network.
    pub(super) fn of(network: Network) -> Self {
        let family = Family::of(network);
        let free = u32::from(family.bits().saturating_sub(network.prefix()));
        let hosts = family.last() & !u128::MAX.checked_shl(free).unwrap_or(0);
        let first = family.value(network.address()) & !hosts;
        Self {
            first,
            last: first | hosts,
        }
    }

    fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The fewest networks that together are this span.
    pub(super) fn networks(self, family: Family) -> Vec<Network> {
        let mut found = Vec::new();
        let mut next = Some(self.first);
        while let Some(first) = next.filter(|first| *first <= self.last) {
            // As wide as its alignment allows and as the span is long.
            let aligned = first.trailing_zeros().min(u32::from(family.bits()));
            let room = (self.last - first).checked_add(1).map_or(128, u128::ilog2);
            let free = aligned.min(room);
            let prefix = family
                .bits()
                .saturating_sub(u8::try_from(free).unwrap_or(u8::MAX));
            let network = Network::new(family.addr(first), prefix);
            next = Self::of(network).last.checked_add(1);
            found.push(network);
        }
        found
    }
}

/// Who put a span into a [`Cover`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    /// It is in the kernel already.
    Kernel,
    /// The job with that index wants it there.
    Job(usize),
}

/// What became of a span that was placed in a [`Cover`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Placed {
    /// A wider one holds it already.
    Held,
    /// It is in; the kernel has to give up these spans for it.
    In(Vec<Span>),
    /// It cuts into a span that is neither wider nor narrower.
    Cut(Span),
}

/// The spans of an interval set, which must not overlap: the kernel refuses it.
#[derive(Debug, Default)]
pub(super) struct Cover(BTreeMap<u128, (u128, Owner)>);

impl Cover {
    /// What the kernel holds.
    pub(super) fn new(spans: impl IntoIterator<Item = Span>) -> Self {
        Self(
            spans
                .into_iter()
                .map(|span| (span.first, (span.last, Owner::Kernel)))
                .collect(),
        )
    }

    /// Whether one span holds all of `span`.
    pub(super) fn holds(&self, span: Span) -> bool {
        self.before(span.first)
            .is_some_and(|(held, _)| held.contains(span))
    }

    /// Makes room for `span` and puts it in. The same span again takes the
    /// place of the former one.
    pub(super) fn place(&mut self, span: Span, job: usize) -> Placed {
        if let Some((held, _)) = self.before(span.first) {
            if held != span && held.contains(span) {
                return Placed::Held;
            }
            if held.first < span.first && held.last >= span.first {
                return Placed::Cut(held);
            }
        }
        let inner = self.0.range(span.first..=span.last);
        let inner: Vec<_> = inner
            .map(|(first, (last, owner))| {
                (
                    Span {
                        first: *first,
                        last: *last,
                    },
                    *owner,
                )
            })
            .collect();
        if let Some((cut, _)) = inner.iter().find(|(held, _)| held.last > span.last) {
            return Placed::Cut(*cut);
        }
        let mut given_up = Vec::new();
        for (held, owner) in inner {
            self.0.remove(&held.first);
            if owner == Owner::Kernel {
                given_up.push(held);
            }
        }
        self.0.insert(span.first, (span.last, Owner::Job(job)));
        Placed::In(given_up)
    }

    /// The jobs whose span is still in.
    pub(super) fn jobs(&self) -> impl Iterator<Item = usize> {
        self.0.values().filter_map(|(_, owner)| match owner {
            Owner::Job(job) => Some(*job),
            Owner::Kernel => None,
        })
    }

    fn before(&self, first: u128) -> Option<(Span, Owner)> {
        let (first, (last, owner)) = self.0.range(..=first).next_back()?;
        Some((
            Span {
                first: *first,
                last: *last,
            },
            *owner,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        let (addr, prefix) = text.split_once('/').unwrap();
        Network::new(addr.parse().unwrap(), prefix.parse().unwrap())
    }

    #[test]
    fn ranges_become_the_fewest_networks() {
        let cases: [(Family, u128, u128, &[&str]); 5] = [
            (
                Family::V4,
                0x0a00_0005,
                0x0a00_0009,
                &["10.0.0.5", "10.0.0.6/31", "10.0.0.8/31"],
            ),
            (Family::V4, 0, u128::from(u32::MAX), &["0.0.0.0/0"]),
            (Family::V4, 0xffff_ffff, 0xffff_ffff, &["255.255.255.255"]),
            (Family::V6, 0, u128::MAX, &["::/0"]),
            (Family::V6, 1, 2, &["::1", "::2"]),
        ];
        for (family, first, last, expected) in cases {
            let networks: Vec<_> = Span { first, last }
                .networks(family)
                .iter()
                .map(Network::to_string)
                .collect();
            assert_eq!(networks, expected, "{first:x}-{last:x}");
        }
    }

    #[test]
    fn wider_networks_replace_narrower_ones_and_hold_later_ones() {
        let span = |text: &str| Span::of(network(text));
        let mut cover = Cover::new([
            span("10.0.0.0/25"),
            span("10.0.1.0/24"),
            span("10.9.0.0/16"),
        ]);
        assert_eq!(cover.place(span("10.9.3.0/24"), 0), Placed::Held);
        assert_eq!(cover.place(span("10.0.0.192/26"), 1), Placed::In(vec![]));
        let given_up = vec![span("10.0.0.0/25"), span("10.0.1.0/24")];
        assert_eq!(
            cover.place(span("10.0.0.0/23"), 2),
            Placed::In(given_up),
            "the job's own is not the kernel's"
        );
        assert_eq!(cover.place(span("10.0.1.0/24"), 3), Placed::Held);
        assert_eq!(
            cover.place(span("10.9.0.0/16"), 4),
            Placed::In(vec![span("10.9.0.0/16")])
        );
        assert_eq!(cover.jobs().collect::<Vec<_>>(), [2, 4]);
        assert!(cover.holds(span("10.0.1.7/32")) && !cover.holds(span("10.0.2.0/32")));
    }

    #[test]
    fn a_foreign_range_that_is_cut_is_left_alone() {
        let odd = Span {
            first: 0x0a00_0020,
            last: 0x0a00_0120,
        };
        let mut cover = Cover::new([odd]);
        assert_eq!(
            cover.place(Span::of(network("10.0.0.0/24")), 0),
            Placed::Cut(odd)
        );
        assert_eq!(
            cover.place(Span::of(network("10.0.1.0/24")), 0),
            Placed::Cut(odd)
        );
        assert_eq!(
            cover.place(Span::of(network("10.0.0.64/26")), 0),
            Placed::Held
        );
        assert_eq!(
            cover.place(Span::of(network("10.0.0.0/16")), 0),
            Placed::In(vec![odd])
        );
    }

    fn any_network() -> impl Strategy<Value = Network> {
        let v4 = (any::<u32>(), 0..=32_u8)
            .prop_map(|(a, prefix)| Network::new(Ipv4Addr::from(a).into(), prefix));
        let v6 = (any::<u128>(), 0..=128_u8)
            .prop_map(|(a, prefix)| Network::new(Ipv6Addr::from(a).into(), prefix));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_network_is_its_own_span(network in any_network()) {
            prop_assert_eq!(Span::of(network).networks(Family::of(network)), [network]);
            let family = Family::of(network);
            let key = family.key(Span::of(network).last);
            prop_assert_eq!(family.read(&key), Some(Span::of(network).last));
        }

        #[test]
        fn the_networks_of_a_span_are_the_span(a: u32, b: u32) {
            let span = Span { first: u128::from(a.min(b)), last: u128::from(a.max(b)) };
            let mut next = span.first;
            for network in span.networks(Family::V4) {
                prop_assert_eq!(Span::of(network).first, next);
                next = Span::of(network).last + 1;
            }
            prop_assert_eq!(next, span.last + 1);
        }

        /// Against a plain bitmap of a small world.
        #[test]
        fn a_cover_never_overlaps_and_loses_nothing(places in prop::collection::vec((any::<u8>(), 24..=32_u8), 1..20)) {
            let mut cover = Cover::default();
            let mut banned = [false; 256];
            for (job, (host, prefix)) in places.into_iter().enumerate() {
                let span = Span::of(Network::new(Ipv4Addr::from([10, 0, 0, host]).into(), prefix));
                let held = banned.iter().enumerate().filter(|(at, _)| (span.first..=span.last).contains(&(0x0a00_0000 + *at as u128))).all(|(_, b)| *b);
                let placed = cover.place(span, job);
                prop_assert!(!matches!(placed, Placed::Cut(_)));
                prop_assert!(placed != Placed::Held || held);
                for (at, banned) in banned.iter_mut().enumerate() {
                    *banned |= (span.first..=span.last).contains(&(0x0a00_0000 + at as u128));
                }
                let mut now = [0_u8; 256];
                for (first, (last, _)) in &cover.0 {
                    for at in *first..=*last { now[(at & 0xff) as usize] += 1; }
                }
                prop_assert!(now.iter().zip(banned).all(|(count, banned)| *count == u8::from(banned)));
            }
        }
    }
}
