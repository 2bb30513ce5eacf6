//! Against the real kernel and the program `ipset`, in a network namespace of its own.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::namespace::{self, ipset};
use super::*;

fn in_namespace<F: FnOnce()>(body: F) {
    namespace::inside("ipset list", body);
}

/// What is in a set as the program shows it, under another name and with times that just
/// began rounded up.
fn saved(name: &str) -> BTreeSet<String> {
    let text = ipset(&format!("save {name}")).unwrap();
    text.lines()
        .map(|line| {
            let mut after_timeout = false;
            let words = line.split_whitespace().filter_map(|word| {
                // Every set is made with a seed of its own.
                if word == "initval" || word.starts_with("0x") {
                    return None;
                }
                let shown = match word.parse::<u32>() {
                    Ok(secs) if after_timeout => secs.next_multiple_of(10).to_string(),
                    _ if word == name => "NAME".to_owned(),
                    _ => word.to_owned(),
                };
                after_timeout = word == "timeout";
                Some(shown)
            });
            let words: Vec<String> = words.collect();
            // A newer revision says more of how it is kept.
            words.join(" ").replace(" bucketsize 12", "")
        })
        .collect()
}

fn network(text: &str) -> Network {
    match text.split_once('/') {
        Some((address, prefix)) => Network::new(address.parse().unwrap(), prefix.parse().unwrap()),
        None => Network::single(text.parse().unwrap()),
    }
}

/// An edit as `ipset` has it: `-exist add 192.0.2.1 timeout 600`.
fn edit<'a>(set: &'a str, words: &str) -> Edit<'a> {
    let exist = words.starts_with("-exist ");
    let words: Vec<&str> = words.trim_start_matches("-exist ").split(' ').collect();
    let timeout = words.get(3).map(|secs| secs.parse().unwrap());
    let change = match words[0] {
        "add" => Change::Add { timeout },
        _ => Change::Delete,
    };
    Edit {
        set,
        network: network(words[1]),
        change,
        exist,
    }
}

fn spec(kind: Kind, family: Family, timeout: Option<u32>) -> Spec {
    Spec {
        kind,
        family,
        timeout,
        maxelem: None,
    }
}

const V4: &[&str] = &[
    "add 192.0.2.1",
    "add 192.0.2.1",
    "-exist add 192.0.2.1",
    "add 198.51.100.7",
    "del 192.0.2.1",
    "del 192.0.2.1",
    "-exist del 192.0.2.1",
    "add 192.0.2.8/30",
    "add 203.0.113.0/24",
    "add 0.0.0.0",
    "add 0.0.0.0/0",
    "add 2001:db8::1",
    "del 2001:db8::1",
    "-exist del 192.0.2.0/24",
    "add 192.0.2.99",
    "add 192.0.2.50 timeout 600",
    "-exist add 192.0.2.50 timeout 1200",
    "add 192.0.2.51 timeout 0",
    "add 192.0.2.52 timeout 2147483",
    "add 192.0.2.53 timeout 2147484",
    "add 192.0.2.54 timeout 4294967295",
    "add 192.0.2.55",
];

const V6: &[&str] = &[
    "add 2001:db8::1",
    "add 2001:db8::1",
    "-exist add 2001:db8::1 timeout 600",
    "add 2001:db8:1::/48",
    "add 2001:db8:2::/64 timeout 300",
    "-exist del 2001:db8:1::/48",
    "del 2001:db8::2",
    "add ::",
    "add 192.0.2.1",
    "add 2001:db8::3 timeout 2147483",
    "add 2001:db8::4",
];

#[test]
fn every_set_is_left_as_the_program_leaves_it() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        assert_eq!(ours.protocol(), 7);
        let kinds = [Kind::Ip, Kind::Net];
        let families = [(Family::V4, V4), (Family::V6, V6)];
        for (kind, (family, edits)) in kinds.into_iter().flat_map(|k| families.map(|f| (k, f))) {
            for timeout in [None, Some(0), Some(900)] {
                let case = format!("{} {family} {timeout:?}", kind.name());
                ours.create("ours", &spec(kind, family, timeout)).unwrap();
                let time = timeout.map_or(String::new(), |secs| format!("timeout {secs}"));
                let words = format!("create theirs {} family {family} {time}", kind.name());
                ipset(&words).unwrap();
                assert_eq!(saved("ours"), saved("theirs"), "{case}");

                let wanted: Vec<Edit<'_>> = edits.iter().map(|text| edit("ours", text)).collect();
                let results = ours.change(&wanted);
                assert_eq!(results.len(), wanted.len());
                for (text, result) in edits.iter().zip(&results) {
                    let theirs = text.replace("add ", "add theirs ");
                    let theirs = ipset(&theirs.replace("del ", "del theirs "));
                    assert_eq!(
                        result.is_ok(),
                        theirs.is_ok(),
                        "{case}: {text}: {result:?} {theirs:?}"
                    );
                }
                assert_eq!(saved("ours"), saved("theirs"), "{case}");
                let count = saved("ours").len() - 1;
                assert!(count >= 2, "{case}");
                let header = ours.header("ours").unwrap().unwrap();
                assert_eq!(header.entries, u32::try_from(count).ok(), "{case}");

                // What we read of their set, written into ours, is the same again.
                let read = ours.list("theirs").unwrap();
                assert_eq!(read.len(), count, "{case}");
                ours.flush("ours").unwrap();
                assert_eq!(saved("ours").len(), 1, "{case}");
                let again = read.iter().map(|entry| Edit {
                    set: "ours",
                    network: entry.network,
                    change: Change::Add {
                        timeout: timeout.map(|_| entry.timeout.unwrap_or(0)),
                    },
                    exist: false,
                });
                let again: Vec<Edit<'_>> = again.collect();
                assert!(ours.change(&again).iter().all(Result::is_ok), "{case}");
                assert_eq!(saved("ours"), saved("theirs"), "{case}");
                ours.destroy("ours").unwrap();
                ours.destroy("theirs").unwrap();
                assert_eq!(ipset("list -n").unwrap(), "", "{case}");
            }
        }
    });
}

/// What went wrong, without its facts.
fn short(result: &Result<(), Error>) -> &'static str {
    match result {
        Ok(()) => "fine",
        Err(Error::Missing { .. }) => "missing",
        Err(Error::AlreadyThere { .. }) => "there",
        Err(Error::NotThere { .. }) => "not there",
        Err(Error::Full { .. }) => "full",
        Err(Error::NoTimeouts { .. }) => "no timeouts",
        Err(Error::TooLong { .. }) => "too long",
        Err(Error::Family { .. }) => "family",
        Err(Error::Malformed { .. }) => "malformed",
        Err(Error::Unfit { .. }) => "unfit",
        Err(Error::Name { .. }) => "name",
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn each_refusal_is_known_and_those_after_it_are_carried_out() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        ipset("create plain hash:ip").unwrap();
        ipset("create timed hash:net timeout 60").unwrap();
        ipset("create small hash:ip maxelem 2 hashsize 64").unwrap();
        ipset("create six hash:net family inet6").unwrap();
        ipset("create port hash:ip,port").unwrap();
        let long = "x".repeat(32);
        let cases = [
            ("plain", "add 192.0.2.1", "fine"),
            ("plain", "add 192.0.2.1", "there"),
            ("plain", "-exist add 192.0.2.1", "fine"),
            ("plain", "del 192.0.2.2", "not there"),
            ("plain", "-exist del 192.0.2.2", "fine"),
            ("plain", "add 192.0.2.3 timeout 60", "no timeouts"),
            ("plain", "add 2001:db8::1", "family"),
            ("nosuch", "add 192.0.2.1", "missing"),
            ("nosuch", "add 192.0.2.2", "missing"),
            ("plain", "add 0.0.0.0", "unfit"),
            ("plain", "add 192.0.2.4", "fine"),
            ("timed", "add 192.0.2.1 timeout 2147483", "fine"),
            ("timed", "add 192.0.2.2 timeout 2147484", "too long"),
            ("timed", "add 192.0.2.0/24 timeout 60", "fine"),
            ("timed", "add 0.0.0.0/0", "unfit"),
            ("small", "add 192.0.2.1", "fine"),
            ("small", "add 192.0.2.2", "fine"),
            ("small", "add 192.0.2.3", "full"),
            ("small", "del 192.0.2.1", "fine"),
            ("small", "add 192.0.2.3", "fine"),
            ("six", "add 192.0.2.1", "family"),
            ("port", "add 192.0.2.1", "malformed"),
            ("port", "add 2001:db8::1", "family"),
            ("six", "add 2001:db8::/32", "fine"),
            (&long, "add 192.0.2.1", "name"),
            ("", "add 192.0.2.1", "name"),
            ("a\0b", "add 192.0.2.1", "name"),
            ("six", "add 2001:db8:1::/48", "fine"),
        ];
        let edits: Vec<Edit<'_>> = cases.iter().map(|(set, text, _)| edit(set, text)).collect();
        let results = ours.change(&edits);
        assert_eq!(results.len(), cases.len());
        for ((set, text, expected), result) in cases.iter().zip(&results) {
            assert_eq!(short(result), *expected, "{set}: {text}");
        }
        let of = |name| saved(name).len() - 1;
        assert_eq!(
            (of("plain"), of("timed"), of("small"), of("six")),
            (2, 2, 2, 2)
        );
    });
}

#[test]
fn of_many_edits_exactly_those_fail_that_must() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        let timed = spec(Kind::Ip, Family::V4, Some(0));
        let room = Some(1 << 20);
        ours.create(
            "s",
            &Spec {
                maxelem: room,
                ..timed
            },
        )
        .unwrap();
        let address = |n: u32| Network::single(Ipv4Addr::from_bits(0x0a00_0000 + n).into());
        let add = |n: u32, exist: bool| Edit {
            set: "s",
            network: address(n),
            change: Change::Add {
                timeout: Some(1000),
            },
            exist,
        };
        let known = |n: u32| n % 7 == 3 || (5000..5400).contains(&n);
        let before: Vec<Edit<'_>> = (0..20_000)
            .filter(|n| known(*n))
            .map(|n| add(n, true))
            .collect();
        assert!(ours.change(&before).iter().all(Result::is_ok));
        let all: Vec<Edit<'_>> = (0..20_000).map(|n| add(n, false)).collect();
        let results = ours.change(&all);
        assert_eq!(results.len(), 20_000);
        for (n, result) in (0..).zip(&results) {
            let expected = if known(n) { "there" } else { "fine" };
            assert_eq!(short(result), expected, "{n}");
        }
        let entries = ours.header("s").unwrap().unwrap().entries;
        assert_eq!(entries, Some(20_000));
        // In order: what is deleted and added again stays, the other way round it goes.
        let delete = |n: u32| Edit {
            change: Change::Delete,
            ..add(n, false)
        };
        let turns: Vec<Edit<'_>> = (0..2000)
            .flat_map(|n| {
                let fresh = 30_000 + n;
                [delete(n), add(n, false), add(fresh, false), delete(fresh)]
            })
            .collect();
        assert!(ours.change(&turns).iter().all(Result::is_ok));
        assert_eq!(ours.list("s").unwrap().len(), 20_000);
    });
}

#[test]
fn large_sets_are_read_whole() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        let plain = spec(Kind::Net, Family::V6, Some(86_400));
        let room = Some(1 << 20);
        ours.create(
            "big",
            &Spec {
                maxelem: room,
                ..plain
            },
        )
        .unwrap();
        let base = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).to_bits();
        let all = (0..200_000_u128).map(|n| Edit {
            set: "big",
            network: Network::new(Ipv6Addr::from_bits(base + (n << 64)).into(), 64),
            change: Change::Add { timeout: None },
            exist: true,
        });
        let all: Vec<Edit<'_>> = all.collect();
        let begun = crate::clock::tick();
        assert!(ours.change(&all).iter().all(Result::is_ok));
        let added = begun.elapsed();
        let begun = crate::clock::tick();
        let read = ours.list("big").unwrap();
        let text = format!(
            "200,000 entries: added in {added:?}, read in {:?}\n",
            begun.elapsed()
        );
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        let read: BTreeSet<Network> = read.iter().map(|entry| entry.network).collect();
        assert!(read.into_iter().eq(all.iter().map(|edit| edit.network)));
    });
}

#[test]
fn a_header_says_what_the_set_is_like() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        assert_eq!(ours.header("nosuch").unwrap(), None);
        assert!(matches!(ours.list("nosuch"), Err(Error::Missing { .. })));
        assert!(matches!(ours.flush("nosuch"), Err(Error::Missing { .. })));
        assert!(matches!(ours.destroy("nosuch"), Err(Error::Missing { .. })));
        assert!(matches!(ours.header(""), Err(Error::Name { .. })));
        let net = Header {
            kind: "hash:net".into(),
            family: Some(Family::V4),
            maxelem: Some(65_536),
            entries: Some(0),
            ..Header::default()
        };
        let cases = [
            ("hash:net", net.clone()),
            (
                "hash:ip timeout 600 counters comment skbinfo forceadd netmask 24 maxelem 7",
                Header {
                    kind: "hash:ip".into(),
                    timeout: Some(600),
                    maxelem: Some(7),
                    netmask: Some(24),
                    counters: true,
                    comment: true,
                    skbinfo: true,
                    forceadd: true,
                    ..net.clone()
                },
            ),
            (
                "hash:ip,port family inet6 timeout 0",
                Header {
                    kind: "hash:ip,port".into(),
                    family: Some(Family::V6),
                    timeout: Some(0),
                    ..net.clone()
                },
            ),
        ];
        for (words, expected) in cases {
            ipset(&format!("create s {words}")).unwrap();
            let found = ours.header("s").unwrap().unwrap();
            let revision = found.revision;
            assert!(revision > 0, "{words}");
            assert_eq!(
                found,
                Header {
                    revision,
                    ..expected
                },
                "{words}"
            );
            ours.destroy("s").unwrap();
        }
    });
}

#[test]
fn sets_that_others_need_or_made_are_known() {
    in_namespace(|| {
        let mut ours = Ipset::open().unwrap();
        ours.create("s", &spec(Kind::Net, Family::V4, None))
            .unwrap();
        let again = ours.create("s", &spec(Kind::Net, Family::V4, None));
        assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
        ipset("create l list:set").unwrap();
        ipset("add l s").unwrap();
        assert_eq!(ours.header("s").unwrap().unwrap().references, 1);
        assert!(matches!(ours.destroy("s"), Err(Error::InUse { .. })));
        let list = ours.header("l").unwrap().unwrap();
        assert_eq!((list.kind.as_str(), list.references), ("list:set", 0));
        assert_eq!(ours.list("l").unwrap(), [], "its entries are no addresses");
        ipset("-exist add s 192.0.2.0/28 nomatch").unwrap();
        let nomatch = Entry {
            network: network("192.0.2.0/28"),
            timeout: None,
            nomatch: true,
        };
        assert_eq!(ours.list("s").unwrap(), [nomatch]);
        assert!(!ours.has("s", network("192.0.2.1")).unwrap());
        ipset("-exist add s 198.51.100.0/24").unwrap();
        assert!(ours.has("s", network("198.51.100.9")).unwrap());
        assert!(ours.has("s", network("198.51.100.0/24")).unwrap());
        let none = ours.has("nosuch", network("192.0.2.1"));
        assert!(matches!(none, Err(Error::Missing { .. })), "{none:?}");
        let range = ours.revisions(Kind::Net, Family::V6).unwrap().unwrap();
        assert!(*range.end() >= 6);
    });
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let set = || "f2b-sshd".to_owned();
    let network = || network("192.0.2.1");
    let cases = [
        (
            Error::new("f2b-sshd", Attempt::Read, 2),
            "ipset 'f2b-sshd': no such set; to create it: ipset create f2b-sshd hash:net timeout 0",
        ),
        (
            Error::Full {
                set: set(),
                network: network(),
            },
            "ipset 'f2b-sshd': no room for 192.0.2.1; create the set anew with a larger maxelem",
        ),
        (
            Error::Family {
                set: set(),
                network: network(),
            },
            "ipset 'f2b-sshd': 192.0.2.1 is of the other family; choose a set of family inet",
        ),
        (
            Error::TooLong {
                set: set(),
                secs: 2_147_484,
            },
            "ipset 'f2b-sshd': 2147484 seconds are too long for a timeout; take at most 2147483, or 0 for ever",
        ),
        (
            Error::Name {
                set: "a\nb".to_owned(),
            },
            "ipset 'a\\nb': no name for a set; take one of 1 to 31 bytes",
        ),
        (
            Error::new("f2b-sshd", Attempt::Add(network()), 4099),
            "ipset 'f2b-sshd': cannot add 192.0.2.1: the kernel refused; compare 'ipset list f2b-sshd'",
        ),
        (
            Error::new("", Attempt::Read, 1),
            "ipset: not allowed to change sets; run as root or with CAP_NET_ADMIN",
        ),
        (
            Error::opening(22),
            "ipset: this kernel lacks ipset; load the module ip_set or choose another banaction",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
    // No number is one too many for `Errno`.
    for code in [0, 4095, 4096, i32::MAX] {
        let error = Error::new("s", Attempt::Create, code);
        assert!(std::error::Error::source(&error).is_some(), "{code}");
    }
}

#[test]
fn whatever_is_wrong_with_an_entry_has_its_words() {
    let (set, network) = ("f2b-sshd".to_owned(), network("192.0.2.1"));
    let (kind, family, banned) = ("list:set".to_owned(), Family::V4, true);
    #[rustfmt::skip]
    let entries = [
        Error::AlreadyThere { set: set.clone(), network },
        Error::NotThere { set: set.clone(), network },
        Error::NoTimeouts { set: set.clone(), network },
        Error::Malformed { set: set.clone(), network },
        Error::Unfit { set: set.clone(), network },
        Error::Excepted { set: set.clone(), network },
        Error::Unproven { set: set.clone(), network, banned },
        Error::Unsuitable { set, kind, family },
    ];
    for error in entries {
        let text = error.to_string();
        let said = text.strip_prefix("ipset 'f2b-sshd': ").unwrap();
        assert!(!said.is_empty(), "{error:?}");
    }
}
