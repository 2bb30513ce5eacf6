//! Against the real kernel, in a network namespace of its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ferroban_engine::{Ban, BanTime, FailId, Ticket, Timestamp};
use rustix::io::Errno;

use super::super::Native;
use super::super::namespace::{self, run};
use super::network::Span;
use super::*;

fn in_namespace<F: FnOnce()>(body: F) {
    namespace::inside("nft list ruleset", body);
}

fn nft(arguments: &[&str]) -> String {
    let output = run("nft", arguments).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nft {arguments:?}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

/// The ruleset as `nft` shows it, without what changes by itself.
fn ruleset() -> String {
    let text = nft(&["list", "ruleset"]);
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn guard(name: &str, protocols: &[Protocol], ports: &[RangeInclusive<u16>]) -> Guard {
    Guard {
        name: name.into(),
        protocols: protocols.to_vec(),
        ports: ports.to_vec(),
        block: Block::Reject,
        priority: Guard::PRIORITY,
    }
}

fn network(text: &str) -> Network {
    match text.split_once('/') {
        Some((addr, prefix)) => Network::new(addr.parse().unwrap(), prefix.parse().unwrap()),
        None => Network::single(text.parse().unwrap()),
    }
}

fn element(text: &str, secs: u64) -> Element {
    let timeout = (secs > 0).then(|| Duration::from_secs(secs));
    Element {
        network: network(text),
        timeout,
    }
}

fn add(nftables: &mut Nftables, name: &str, text: &str, secs: u64) {
    let results = nftables.add(name, &[element(text, secs)]);
    assert!(matches!(results[..], [Ok(())]), "{text}: {results:?}");
}

/// Who is banned and for how many seconds; a started second counts.
fn banned(nftables: &mut Nftables, name: &str) -> BTreeSet<(String, Option<u64>)> {
    let list = nftables.list(name).unwrap();
    list.iter()
        .map(|e| {
            (
                e.network.to_string(),
                e.timeout
                    .map(|t| t.as_secs() + u64::from(t.subsec_millis() > 0)),
            )
        })
        .collect()
}

fn set<const N: usize>(rows: [(&str, u64); N]) -> BTreeSet<(String, Option<u64>)> {
    rows.into_iter()
        .map(|(text, secs)| (text.to_owned(), (secs > 0).then_some(secs)))
        .collect()
}

/// The lines of one chain as `nft` shows it, with handles if asked.
fn chain(name: &str, options: &[&str]) -> Vec<String> {
    let text = nft(&[options, &["list", "chain", "inet", "ferroban", name]].concat());
    let rules = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.ends_with('{') && !line.starts_with('}'));
    rules
        .filter(|line| !line.starts_with("type "))
        .map(str::to_owned)
        .collect()
}

fn started(guards: &[Guard]) -> Nftables {
    let mut nftables = Nftables::open().unwrap();
    for guard in guards {
        nftables.start(guard).unwrap();
    }
    nftables
}

/// The base chains and who has a jump in each, as `nft` shows them.
fn base_chains() -> Vec<String> {
    let (mut all, mut chain) = (Vec::new(), String::new());
    for line in ruleset().lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ") {
            name.trim_end_matches(" {").clone_into(&mut chain);
        } else if let Some((_, priority)) = line.split_once(" priority ") {
            let priority = priority.trim_end_matches("; policy accept;");
            all.push(format!("{chain} ({priority}):"));
        } else if let Some(rule) = line.strip_prefix("jump jail-")
            && let Some(last) = all.last_mut()
        {
            last.push(' ');
            last.push_str(rule.split(' ').next().unwrap_or_default());
        }
    }
    all
}

#[test]
fn each_priority_has_base_chains_that_come_and_go_with_its_jails() {
    in_namespace(|| {
        let mut nftables = started(&[]);
        let mut start = |name: &str, priority: i32| {
            let guard = Guard {
                priority,
                ..guard(name, &[Protocol::Tcp], &[22..=22])
            };
            nftables.start(&guard).unwrap();
            assert!(nftables.is_whole(&guard).unwrap(), "{name}");
            let other = Guard {
                priority: 77,
                ..guard
            };
            assert!(!nftables.is_whole(&other).unwrap(), "{name}");
        };
        start("a", Guard::PRIORITY);
        start("b", -200);
        start("c", -200);
        let expected = [
            "input (filter - 1): a",
            "forward (filter - 1): a",
            "input/-200 (-200): b c",
            "forward/-200 (-200): b c",
        ];
        assert_eq!(base_chains(), expected);
        // From one to the other, in one step; nothing stays that nobody needs.
        start("a", 50);
        start("b", Guard::PRIORITY);
        let expected = [
            "input/-200 (-200): c",
            "forward/-200 (-200): c",
            "input/50 (security): a",
            "forward/50 (security): a",
            "input (filter - 1): b",
            "forward (filter - 1): b",
        ];
        assert_eq!(base_chains(), expected);
        // What somebody else put there keeps the chain.
        nft(&["add rule inet ferroban input/-200 counter"]);
        let mut nftables = started(&[]);
        nftables.stop("c").unwrap();
        nftables.stop("b").unwrap();
        let expected = [
            "input/-200 (-200):",
            "input/50 (security): a",
            "forward/50 (security): a",
        ];
        assert_eq!(base_chains(), expected);
        nft(&["flush chain inet ferroban input/-200"]);
        nftables.stop("a").unwrap();
        assert_eq!(ruleset(), "");
    });
}

/// Protocols and ports, and the rules that come of them.
type Head = (
    &'static [Protocol],
    &'static [RangeInclusive<u16>],
    &'static [&'static str],
);

const SSHD: &str = r#"table inet ferroban {
	set addr4-sshd {
		type ipv4_addr
		flags timeout
	}
	set addr6-sshd {
		type ipv6_addr
		flags timeout
	}
	set net4-sshd {
		type ipv4_addr
		flags interval,timeout
	}
	set net6-sshd {
		type ipv6_addr
		flags interval,timeout
	}
	chain input {
		type filter hook input priority filter - 1; policy accept;
		jump jail-sshd comment "ferroban: sshd"
	}
	chain forward {
		type filter hook forward priority filter - 1; policy accept;
		jump jail-sshd comment "ferroban: sshd"
	}
	chain jail-sshd {
		tcp dport 22 jump block-sshd
	}
	chain block-sshd {
		ip saddr @addr4-sshd counter packets 0 bytes 0 reject
		ip6 saddr @addr6-sshd counter packets 0 bytes 0 reject
		ip saddr @net4-sshd counter packets 0 bytes 0 reject
		ip6 saddr @net6-sshd counter packets 0 bytes 0 reject
	}
}"#;

#[test]
fn a_started_jail_is_what_nft_shows() {
    in_namespace(|| {
        let mut nftables = started(&[guard("sshd", &[Protocol::Tcp], &[22..=22])]);
        assert_eq!(ruleset(), SSHD);
        nftables
            .start(&guard("sshd", &[Protocol::Tcp], &[22..=22]))
            .unwrap();
        assert_eq!(ruleset(), SSHD, "once more changes nothing");
        nftables.stop("sshd").unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn rules_say_what_the_guard_says() {
    use Protocol::{Icmp, Other, Tcp, Udp};
    let heads: [Head; 8] = [
        (&[], &[], &["jump block-j"]),
        (&[Other(47)], &[], &["meta l4proto gre jump block-j"]),
        (&[Other(47)], &[22..=22], &["meta l4proto gre jump block-j"]),
        (
            &[Tcp, Udp],
            &[],
            &["meta l4proto { tcp, udp } jump block-j"],
        ),
        (&[Tcp], &[1..=9], &["tcp dport { 1-9 } jump block-j"]),
        (
            &[Tcp, Udp],
            &[22..=22, 8000..=8010, 65000..=65535],
            &["meta l4proto { tcp, udp } th dport { 22, 8000-8010, 65000-65535 } jump block-j"],
        ),
        (
            &[Tcp, Icmp],
            &[22..=22, 80..=80],
            &[
                "tcp dport { 22, 80 } jump block-j",
                "meta l4proto { icmp, ipv6-icmp } jump block-j",
            ],
        ),
        (
            &[],
            &[53..=53],
            &["meta l4proto { tcp, udp, dccp, sctp, udplite } th dport 53 jump block-j"],
        ),
    ];
    in_namespace(move || {
        let mut nftables = started(&[]);
        for (protocols, ports, head) in heads {
            nftables.start(&guard("j", protocols, ports)).unwrap();
            assert_eq!(chain("jail-j", &["-s"]), *head, "{protocols:?} {ports:?}");
            assert_eq!(chain("block-j", &["-s"]).len(), 4);
        }
        let mut guard = guard("j", &[], &[]);
        guard.block = Block::Reset;
        nftables.start(&guard).unwrap();
        let rules = chain("block-j", &["-s"]);
        assert_eq!(rules.len(), 8);
        assert_eq!(
            rules[0],
            "meta l4proto tcp ip saddr @addr4-j counter reject with tcp reset"
        );
        assert_eq!(rules[1], "ip saddr @addr4-j counter reject");
        guard.protocols = vec![Tcp];
        nftables.start(&guard).unwrap();
        assert_eq!(chain("block-j", &["-s"]).len(), 4);
        guard.block = Block::Drop;
        nftables.start(&guard).unwrap();
        assert_eq!(
            chain("block-j", &["-s"])[2],
            "ip saddr @net4-j counter drop"
        );
    });
}

#[test]
fn all_65536_ports_one_by_one_fit() {
    in_namespace(|| {
        let mut nftables = started(&[]);
        let odd: Vec<_> = (0..32_768)
            .map(|port| port * 2 + 1)
            .map(|port| port..=port)
            .collect();
        nftables
            .start(&guard("odd", &[Protocol::Tcp], &odd))
            .unwrap();
        let rules = chain("jail-odd", &[]).join(" ");
        let rules = rules
            .split_once("tcp dport {")
            .unwrap()
            .1
            .split_once('}')
            .unwrap()
            .0;
        assert_eq!(rules.split(',').count(), 32_768);
    });
}

#[test]
fn other_ports_replace_the_rules_and_keep_the_bans() {
    in_namespace(|| {
        let mut nftables = started(&[guard("sshd", &[Protocol::Tcp], &[22..=22])]);
        add(&mut nftables, "sshd", "192.0.2.1", 0);
        add(&mut nftables, "sshd", "198.51.100.0/24", 0);
        let handles = || [chain("jail-sshd", &["-a"]), chain("block-sshd", &["-a"])];
        let before = handles();
        nftables
            .start(&guard("sshd", &[Protocol::Tcp], &[22..=22, 22..=22]))
            .unwrap();
        assert_eq!(
            handles(),
            before,
            "the same rules stay, with their counters"
        );
        nftables
            .start(&guard("sshd", &[Protocol::Tcp], &[2222..=2222]))
            .unwrap();
        assert_eq!(chain("jail-sshd", &[]), ["tcp dport 2222 jump block-sshd"]);
        assert_eq!(handles()[1], before[1]);
        assert_eq!(
            banned(&mut nftables, "sshd"),
            set([("192.0.2.1", 0), ("198.51.100.0/24", 0)])
        );
    });
}

#[test]
fn start_mends_what_others_broke() {
    in_namespace(|| {
        let guard = guard("sshd", &[Protocol::Tcp], &[22..=22]);
        let mut nftables = started(std::slice::from_ref(&guard));
        nft(&[
            "add",
            "rule",
            "inet",
            "ferroban",
            "input",
            "jump",
            "jail-sshd",
            "comment",
            "\"ferroban: sshd\"",
        ]);
        nft(&["flush", "chain", "inet", "ferroban", "forward"]);
        nft(&["add", "rule", "inet", "ferroban", "jail-sshd", "accept"]);
        nftables.start(&guard).unwrap();
        assert_eq!(ruleset(), SSHD);
        nft(&["delete", "table", "inet", "ferroban"]);
        nftables.start(&guard).unwrap();
        assert_eq!(ruleset(), SSHD);
    });
}

#[test]
fn a_saved_ruleset_is_recognised_when_it_is_loaded() {
    in_namespace(|| {
        let odd = "web, \"odd\" {}\n".repeat(9);
        let guards = [
            guard("sshd", &[Protocol::Tcp], &[22..=22]),
            guard("a b", &[], &[]),
            guard(&odd, &[], &[80..=90, 443..=443]),
        ];
        let mut nftables = started(&guards);
        let before = ruleset();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saved.nft");
        std::fs::write(&file, format!("flush ruleset\n{before}\n")).unwrap();
        nft(&["-f", file.to_str().unwrap()]);
        for guard in &guards {
            nftables.start(guard).unwrap();
        }
        assert_eq!(ruleset(), before);
        for guard in &guards {
            nftables.stop(&guard.name).unwrap();
        }
        assert_eq!(ruleset(), "");
    });
}

/// What others have done since the last look.
fn done_by_others(watch: &mut Watch) -> Vec<Foreign> {
    match watch.read().unwrap() {
        Told::Foreign(all) => all,
        Told::Missed => panic!("it was not much"),
    }
}

/// What `nft` is told; whose rules that takes away (`*` are those of all), whether it makes any, and
/// which bans of `sshd` it takes out.
const BY_OTHERS: &[(&str, &[&str], bool, &[&str])] = &[
    ("flush ruleset", &["*"], false, &[]),
    ("delete table inet ferroban", &["*"], false, &[]),
    ("flush ruleset; add table inet filter", &["*"], true, &[]),
    ("flush chain inet ferroban input", &["*"], false, &[]),
    ("flush chain inet ferroban jail-sshd", &["sshd"], false, &[]),
    (
        "flush chain inet ferroban block-a/20b",
        &["a/20b"],
        false,
        &[],
    ),
    (
        "flush set inet ferroban addr4-sshd",
        &[],
        false,
        &["192.0.2.1", "192.0.2.2"],
    ),
    (
        "delete element inet ferroban addr6-sshd { 2001:db8::1 }",
        &[],
        false,
        &["2001:db8::1"],
    ),
    (
        "delete element inet ferroban net4-sshd { 198.51.100.0/24 }",
        &[],
        false,
        &["198.51.100.0/24"],
    ),
    (
        "add element inet ferroban addr4-sshd { 192.0.2.9 }",
        &[],
        false,
        &[],
    ),
    ("add table ip other", &[], true, &[]),
    (
        "add chain inet ferroban own; delete chain inet ferroban own",
        &[],
        true,
        &[],
    ),
    (
        "delete element inet ferroban addr4-sshd { 192.0.2.1 }; \
         add element inet ferroban addr4-sshd { 192.0.2.1 timeout 9s }",
        &[],
        false,
        &[],
    ),
];

#[test]
fn what_others_do_is_told_and_what_we_do_is_not() {
    in_namespace(|| {
        let guards = [
            guard("sshd", &[Protocol::Tcp], &[22..=22]),
            guard("a b", &[], &[]),
        ];
        let mut watch = Watch::open().unwrap();
        let mut nftables = Nftables::open().unwrap();
        for (command, taken, made, lifted) in BY_OTHERS {
            nft(&["flush", "ruleset"]);
            done_by_others(&mut watch);
            for guard in &guards {
                nftables.start(guard).unwrap();
            }
            for ban in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "198.51.100.0/24"] {
                add(&mut nftables, "sshd", ban, 100);
            }
            assert_eq!(done_by_others(&mut watch), [], "we did that");
            assert!(nftables.is_whole(&guards[0]).unwrap());

            nft(&[command]);
            let told = done_by_others(&mut watch);
            let [foreign] = told.as_slice() else {
                panic!("{command}: {told:?}")
            };
            assert!(foreign.by.starts_with("nft (process "), "{foreign:?}");
            let shared = foreign.taken.all.then(|| "*".to_owned());
            let jails = shared.iter().chain(&foreign.taken.jails);
            assert!(jails.eq(taken.iter()), "{command}: {foreign:?}");
            assert_eq!(foreign.made, *made, "{command}");
            // A hash has an order of its own.
            let found = foreign.lifted.get("sshd").into_iter().flatten();
            let found: BTreeSet<String> = found.map(ToString::to_string).collect();
            let lifted = lifted.iter().map(ToString::to_string).collect();
            assert_eq!(found, lifted, "{command}");
            let lost = taken.iter().any(|jail| ["*", "sshd"].contains(jail));
            assert_eq!(nftables.is_whole(&guards[0]).unwrap(), !lost, "{command}");
        }
    });
}

#[test]
fn bans_are_proven_with_addresses_that_nobody_has_and_nothing_stays() {
    in_namespace(|| {
        let guard = guard("sshd", &[Protocol::Tcp], &[22..=22]);
        let mut nftables = started(std::slice::from_ref(&guard));
        let proven = |nftables: &mut Nftables| -> Vec<String> {
            let tried = nftables.prove(&guard).unwrap();
            tried.iter().map(ToString::to_string).collect()
        };
        assert_eq!(proven(&mut nftables), ["192.0.2.254", "2001:db8::fffe"]);
        assert_eq!(ruleset(), SSHD);
        for ban in ["192.0.2.254", "2001:db8::fffe", "2001:db8::/32"] {
            add(&mut nftables, "sshd", ban, 0);
        }
        let before = banned(&mut nftables, "sshd");
        assert_eq!(proven(&mut nftables), ["192.0.2.253", "2001:db8::fffd"]);
        assert_eq!(banned(&mut nftables, "sshd"), before);
        for broken in ["block-sshd", "jail-sshd", "input", "forward"] {
            nft(&["flush", "chain", "inet", "ferroban", broken]);
            let result = nftables.prove(&guard);
            assert!(
                matches!(result, Err(Error::Broken { .. })),
                "{broken}: {result:?}"
            );
            nftables.start(&guard).unwrap();
            assert_eq!(proven(&mut nftables).len(), 2, "{broken}");
        }
        nft(&["flush", "ruleset"]);
        assert!(matches!(nftables.prove(&guard), Err(Error::Broken { .. })));
    });
}

#[test]
fn banning_again_sets_the_new_time() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        for text in [
            "192.0.2.1",
            "2001:db8::1",
            "192.0.2.0/25",
            "2001:db8::/64",
            "255.0.0.0/8",
            "0.0.0.0/1",
            "::/1",
        ] {
            for secs in [100, 900, 900, 50, 0, 0, 70] {
                add(&mut nftables, "j", text, secs);
                assert_eq!(
                    banned(&mut nftables, "j"),
                    set([(text, secs)]),
                    "{text} {secs}"
                );
            }
            assert!(nftables.remove("j", &[network(text)])[0].is_ok());
            assert_eq!(banned(&mut nftables, "j"), set([]), "{text}");
        }
    });
}

#[test]
fn one_form_for_each_network() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        add(&mut nftables, "j", "::ffff:192.0.2.1", 0);
        add(&mut nftables, "j", "198.51.100.77/24", 0);
        add(&mut nftables, "j", "203.0.113.9/32", 0);
        let all = nftables.add("j", &[element("10.0.0.1", 5), element("10.0.0.1", 900)]);
        assert!(all.iter().all(Result::is_ok));
        let expected = set([
            ("192.0.2.1", 0),
            ("198.51.100.0/24", 0),
            ("203.0.113.9", 0),
            ("10.0.0.1", 900),
        ]);
        assert_eq!(banned(&mut nftables, "j"), expected);
        assert!(nftables.remove("j", &[network("198.51.100.1/24")])[0].is_ok());
        assert_eq!(banned(&mut nftables, "j").len(), 3);
    });
}

#[test]
fn networks_inside_networks_are_no_error() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        add(&mut nftables, "j", "10.0.0.0/24", 100);
        add(&mut nftables, "j", "10.0.0.128/25", 900);
        add(&mut nftables, "j", "10.0.0.5", 900);
        assert_eq!(
            banned(&mut nftables, "j"),
            set([("10.0.0.0/24", 100), ("10.0.0.5", 900)])
        );
        add(&mut nftables, "j", "10.0.1.0/24", 100);
        add(&mut nftables, "j", "10.0.0.0/16", 300);
        assert_eq!(
            banned(&mut nftables, "j"),
            set([("10.0.0.0/16", 300), ("10.0.0.5", 900)])
        );
        add(&mut nftables, "j", "0.0.0.0/0", 300);
        assert_eq!(
            banned(&mut nftables, "j"),
            set([("0.0.0.0/0", 300), ("10.0.0.5", 900)])
        );
        let all = nftables.add(
            "j",
            &["2001:db8::/48", "2001:db8::/32", "2001:db8:1::/48"].map(|text| element(text, 60)),
        );
        assert!(all.iter().all(Result::is_ok));
        assert!(banned(&mut nftables, "j").contains(&("2001:db8::/32".to_owned(), Some(60))));
        assert!(nftables.remove("j", &[network("2001:db8:1::/48")])[0].is_ok());
    });
}

#[test]
fn a_bad_element_does_not_keep_the_others_out() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        nft(&[
            "add",
            "element",
            "inet",
            "ferroban",
            "net4-j",
            "{ 10.0.0.200-10.0.1.50 }",
        ]);
        let elements = ["10.0.0.0/24", "10.0.2.0/24", "192.0.2.1", "2001:db8::1"]
            .map(|text| element(text, 60));
        let results = nftables.add("j", &elements);
        assert!(
            matches!(&results[0], Err(Error::Overlap { with, .. }) if with[0].to_string() == "10.0.0.200/29")
        );
        assert!(results[1..].iter().all(Result::is_ok), "{results:?}");
        let held = banned(&mut nftables, "j");
        assert!(
            set([("10.0.2.0/24", 60), ("192.0.2.1", 60), ("2001:db8::1", 60)]).is_subset(&held),
            "{held:?}"
        );
    });
}

#[test]
fn the_kernel_refuses_one_and_takes_the_rest() {
    in_namespace(|| {
        nft(&["add", "table", "inet", "ferroban"]);
        for (name, rest) in [
            ("addr4-j", "type ipv4_addr; size 2;"),
            ("addr6-j", "type ipv6_addr;"),
            ("net4-j", "type ipv4_addr; flags interval;"),
            ("net6-j", "type ipv6_addr; flags interval;"),
        ] {
            let flags = if rest.contains("interval") {
                ""
            } else {
                "flags timeout;"
            };
            nft(&[
                "add",
                "set",
                "inet",
                "ferroban",
                name,
                &format!("{{ {rest} {flags} }}"),
            ]);
        }
        let mut nftables = Nftables::open().unwrap();
        let elements = [
            "10.0.0.1",
            "10.0.0.2",
            "10.0.0.3",
            "2001:db8::1",
            "10.1.0.0/16",
            "10.2.0.0/16",
        ]
        .map(|text| element(text, if text == "10.1.0.0/16" { 60 } else { 0 }));
        let results = nftables.add("j", &elements);
        let refused: Vec<_> = results
            .iter()
            .map(|result| match result {
                Err(Error::Refused { source, .. }) => source.raw_os_error().unwrap(),
                Err(other) => panic!("{other}"),
                Ok(()) => 0,
            })
            .collect();
        // The set is full; a set without timeouts takes no timeout.
        assert_eq!(
            refused,
            [
                0,
                0,
                Errno::NFILE.raw_os_error(),
                0,
                Errno::INVAL.raw_os_error(),
                0
            ]
        );
        let expected = set([
            ("10.0.0.1", 0),
            ("10.0.0.2", 0),
            ("2001:db8::1", 0),
            ("10.2.0.0/16", 0),
        ]);
        assert_eq!(banned(&mut nftables, "j"), expected);
    });
}

#[test]
fn many_with_some_known_already() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        let address =
            |number: u32| Network::single(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        let known: Vec<_> = (0..5000)
            .step_by(7)
            .map(|n| Element {
                network: address(n),
                timeout: None,
            })
            .collect();
        assert!(nftables.add("j", &known).iter().all(Result::is_ok));
        let timeout = Some(Duration::from_secs(500));
        let all: Vec<_> = (0..5000)
            .map(|n| Element {
                network: address(n),
                timeout,
            })
            .collect();
        assert!(nftables.add("j", &all).iter().all(Result::is_ok));
        let held = nftables.list("j").unwrap();
        assert_eq!(held.len(), 5000);
        assert!(
            held.iter()
                .all(|element| same(element.timeout, timeout, Duration::ZERO))
        );
        let every_third: Vec<_> = (0..15_000).step_by(3).map(address).collect();
        assert!(nftables.remove("j", &every_third).iter().all(Result::is_ok));
        assert_eq!(nftables.list("j").unwrap().len(), 5000 - 1667);
    });
}

#[test]
fn more_than_one_batch_holds() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        // What an ordinary kernel allows those who may not force more.
        use rustix::net::sockopt;
        sockopt::set_socket_send_buffer_size_force(nftables.socket.fd(), 212_992).unwrap();
        sockopt::set_socket_recv_buffer_size_force(nftables.socket.fd(), 212_992).unwrap();
        let elements: Vec<_> = (0..2000_u128)
            .map(|n| Element {
                network: Network::single(n.to_be_bytes().into()),
                timeout: None,
            })
            .collect();
        let even: Vec<_> = elements.iter().copied().step_by(2).collect();
        for elements in [even, elements] {
            assert!(nftables.add("j", &elements).iter().all(Result::is_ok));
            assert_eq!(nftables.list("j").unwrap().len(), elements.len());
        }
    });
}

/// What the sets should hold, kept in the simplest way.
#[derive(Debug, Default)]
struct Model(Vec<Network>);

impl Model {
    fn add(&mut self, network: Network) {
        let inside = |a: &Network, b: &Network| {
            let same_set = a.is_single() == b.is_single();
            same_set
                && Span::of(*a).first >= Span::of(*b).first
                && Span::of(*a).last <= Span::of(*b).last
        };
        if !self.0.iter().any(|held| inside(&network, held)) {
            self.0.retain(|held| !inside(held, &network));
            self.0.push(network);
            self.0.sort();
        }
    }

    fn remove(&mut self, network: Network) {
        self.0.retain(|held| *held != network);
    }
}

#[test]
fn sets_are_what_a_simple_model_says() {
    use proptest::prelude::*;
    let check = |turns: Vec<(bool, Vec<(u8, u8)>)>| {
        let mut nftables = Nftables::open().unwrap();
        nftables.stop("j").unwrap();
        nftables.start(&guard("j", &[], &[])).unwrap();
        let mut model = Model::default();
        for (adding, hosts) in turns {
            let network = |(host, prefix)| {
                // The upper half reaches the end of all addresses.
                let addr = IpAddr::from([255, 255, 255, host]);
                Network::new(addr, prefix)
            };
            let networks: Vec<_> = hosts.into_iter().map(network).collect();
            let results = if adding {
                networks.iter().for_each(|network| model.add(*network));
                let element = |network: &Network| Element {
                    network: *network,
                    timeout: None,
                };
                let elements: Vec<_> = networks.iter().map(element).collect();
                nftables.add("j", &elements)
            } else {
                networks.iter().for_each(|network| model.remove(*network));
                nftables.remove("j", &networks)
            };
            prop_assert!(results.iter().all(Result::is_ok));
            let held = nftables.list("j").unwrap();
            let mut held: Vec<_> = held.iter().map(|element| element.network).collect();
            held.sort();
            prop_assert_eq!(&held, &model.0);
        }
        let shown = nft(&["list", "set", "inet", "ferroban", "net4-j"]);
        let shown = shown
            .split(['{', '}'])
            .nth(3)
            .unwrap_or_default()
            .split(',');
        let mut shown: Vec<_> = shown
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(network)
            .collect();
        shown.sort();
        model.0.retain(|network| !network.is_single());
        prop_assert_eq!(&shown, &model.0);
        Ok(())
    };
    in_namespace(|| {
        let hosts = prop::collection::vec((any::<u8>(), 24..=32_u8), 1..6);
        let turns = prop::collection::vec((any::<bool>(), hosts), 1..6);
        let config = ProptestConfig {
            cases: 80,
            failure_persistence: None,
            ..Default::default()
        };
        proptest::test_runner::TestRunner::new(config)
            .run(&turns, check)
            .unwrap();
    });
}

#[test]
fn absence_is_fine_where_it_is_wanted() {
    in_namespace(|| {
        let mut nftables = Nftables::open().unwrap();
        let networks = ["192.0.2.1", "10.0.0.0/8", "2001:db8::1"].map(network);
        assert!(
            nftables.remove("j", &networks).iter().all(Result::is_ok),
            "no table"
        );
        nftables.stop("j").unwrap();
        assert!(matches!(nftables.list("j"), Err(Error::NotStarted { .. })));
        assert!(matches!(
            nftables.adopt("j", &[]),
            Err(Error::NotStarted { .. })
        ));
        let results = nftables.add(
            "j",
            &networks.map(|network| Element {
                network,
                timeout: None,
            }),
        );
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(Error::NotStarted { .. }))),
            "{results:?}"
        );
        nftables.start(&guard("j", &[], &[])).unwrap();
        assert!(
            nftables.remove("j", &networks).iter().all(Result::is_ok),
            "empty sets"
        );
        assert!(nftables.add("j", &[]).is_empty());
    });
}

#[test]
fn adopting_changes_only_the_difference() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        for (text, secs) in [
            ("192.0.2.1", 500),
            ("192.0.2.2", 500),
            ("192.0.2.3", 0),
            ("192.0.2.4", 0),
            ("192.0.2.5", 500),
            ("10.0.0.0/16", 500),
            ("10.7.0.0/24", 500),
            ("10.9.0.0/24", 500),
        ] {
            add(&mut nftables, "j", text, secs);
        }
        let wanted = [
            ("192.0.2.1", 501),
            ("192.0.2.2", 600),
            ("192.0.2.3", 0),
            ("192.0.2.4", 60),
            ("10.0.0.0/16", 0),
            ("10.0.3.0/24", 60),
            ("10.7.0.0/16", 60),
            ("2001:db8::1", 60),
        ];
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(text, secs)| element(text, secs))
            .collect();
        let adoption = nftables.adopt("j", &wanted).unwrap();
        assert_eq!(
            (adoption.kept, adoption.added, adoption.corrected),
            (3, 2, 3),
            "{adoption:?}"
        );
        let foreign: Vec<_> = adoption
            .foreign
            .iter()
            .map(|element| element.network.to_string())
            .collect();
        assert_eq!(foreign, ["10.9.0.0/24", "192.0.2.5"]);
        assert!(adoption.failed.is_empty());
        let expected = set([
            ("192.0.2.1", 500),
            ("192.0.2.2", 600),
            ("192.0.2.3", 0),
            ("192.0.2.4", 60),
            ("192.0.2.5", 500),
            ("10.0.0.0/16", 0),
            ("10.7.0.0/16", 60),
            ("10.9.0.0/24", 500),
            ("2001:db8::1", 60),
        ]);
        assert_eq!(banned(&mut nftables, "j"), expected);
        let again = nftables.adopt("j", &wanted).unwrap();
        assert_eq!(
            (again.kept, again.added, again.corrected),
            (8, 0, 0),
            "{again:?}"
        );
    });
}

#[test]
fn addresses_that_are_asked_for_one_by_one_are_those_of_the_whole_set() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        let wanted: Vec<Element> = (0..2500_u64)
            .map(|number| {
                let family = if number % 5 == 0 {
                    "2001:db8::"
                } else {
                    "10.0"
                };
                let text = match number % 5 {
                    0 => format!("{family}{number:x}"),
                    _ => format!("{family}.{}.{}", number >> 8, number & 255),
                };
                element(&text, (number % 3) * 1000)
            })
            .collect();
        let (some, others) = wanted.split_at(2300);
        assert!(nftables.add("j", some).iter().all(Result::is_ok));
        for set in SETS.into_iter().filter(|set| set.kind == Kind::Address) {
            let of_set = |elements: &[Element]| -> Vec<Span> {
                let networks = elements.iter().map(|element| element.network);
                let of_set = networks.filter(|network| set::Set::of(*network) == set);
                of_set.map(Span::of).collect()
            };
            let asked = [of_set(some), of_set(others)].concat();
            let known = |held: Vec<Held>| -> BTreeSet<(Span, Option<u64>)> {
                let rough = |left: Duration| left.as_secs().next_multiple_of(100);
                let all = held.into_iter();
                all.map(|held| (held.span, held.timeout.map(rough)))
                    .collect()
            };
            let looked_up = set.look_up(&mut nftables.socket, "j", &asked).unwrap();
            let read = set.read(&mut nftables.socket, "j").unwrap();
            for (most, expected) in [(usize::MAX, Some(read.len())), (1000, None)] {
                let held = set.read_unless(&mut nftables.socket, "j", most);
                assert_eq!(held.unwrap().map(|held| held.len()), expected);
            }
            // What was not read is not taken for an answer to what comes next.
            assert!(nftables.is_whole(&guard("j", &[], &[])).unwrap());
            assert_eq!(looked_up.len(), of_set(some).len());
            assert_eq!(known(looked_up), known(read));
        }
    });
}

#[test]
fn stopping_leaves_others_alone() {
    in_namespace(|| {
        nft(&["add", "table", "inet", "f2b-table"]);
        let others = ruleset();
        let mut nftables = started(&[guard("a", &[], &[]), guard("a-b", &[], &[80..=81])]);
        add(&mut nftables, "a", "192.0.2.1", 60);
        add(&mut nftables, "a-b", "192.0.2.1", 0);
        nftables.stop("a").unwrap();
        assert!(
            !ruleset().contains("addr4-a ")
                && !ruleset().contains("jail-a ")
                && !ruleset().contains("block-a "),
            "{}",
            ruleset()
        );
        assert_eq!(
            chain("input", &[]),
            ["jump jail-a-b comment \"ferroban: a-b\""]
        );
        assert_eq!(banned(&mut nftables, "a-b"), set([("192.0.2.1", 0)]));
        nft(&[
            "add",
            "set",
            "inet",
            "ferroban",
            "mine",
            "{ type ipv4_addr; }",
        ]);
        nftables.stop("a-b").unwrap();
        assert!(
            ruleset().contains("set mine") && !ruleset().contains("a-b"),
            "{}",
            ruleset()
        );
        nft(&["delete", "set", "inet", "ferroban", "mine"]);
        nftables.stop("a-b").unwrap();
        assert_eq!(ruleset(), others);
        nftables.stop("a-b").unwrap();
    });
}

#[test]
fn a_set_that_a_rule_of_somebody_else_holds_is_left_empty() {
    in_namespace(|| {
        let now = Timestamp::from_secs(1_000_000_000);
        let bans = ["192.0.2.1", "10.0.0.0/8"].map(|text| Ban {
            id: FailId::parse(text),
            time: now,
            bantime: BanTime::Forever,
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        });
        let mut native = Native::new("j", &BTreeMap::new(), "").unwrap();
        native.start(&bans, now);
        nft(&["add", "chain", "inet", "ferroban", "mine"]);
        let rule = ["add", "rule", "inet", "ferroban", "mine", "ip", "saddr"];
        nft(&[&rule[..], &["@addr4-j", "accept"]].concat());
        assert!(native.stop(&bans).is_err());
        let left = ruleset();
        let banned = left.contains("192.0.2.1") || left.contains("10.0.0.0");
        assert!(left.contains("set addr4-j") && !banned, "{left}");
        nft(&["flush", "chain", "inet", "ferroban", "mine"]);
        assert!(native.stop(&bans).is_ok());
        assert!(!ruleset().contains("addr4-j"));
    });
}

#[test]
fn banned_packets_are_stopped_and_others_pass() {
    in_namespace(|| {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|addr| TcpListener::bind(addr).unwrap());
        let open = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = free.local_addr().unwrap();
        let ports: Vec<_> = open.iter().map(|addr| addr.port()..=addr.port()).collect();
        for block in [Block::Reject, Block::Reset] {
            let mut guard = guard("j", &[Protocol::Tcp], &ports);
            guard.block = block;
            let mut nftables = started(&[guard]);
            for (addr, networks) in open
                .iter()
                .zip([["127.0.0.1", "127.0.0.0/8"], ["::1", "::/64"]])
            {
                for text in networks {
                    assert!(reachable(*addr), "{text}");
                    add(&mut nftables, "j", text, 60);
                    assert!(!reachable(*addr), "{text} {block:?}");
                    assert!(reachable(free), "another port");
                    assert!(nftables.remove("j", &[network(text)])[0].is_ok());
                }
                assert!(reachable(*addr));
            }
            let counted = chain("block-j", &[])
                .iter()
                .filter(|rule| rule.contains("counter") && !rule.contains("packets 0"))
                .count();
            assert_eq!(counted, 4, "{:?}", chain("block-j", &[]));
            let kept_out = nftables.kept_out().unwrap();
            let sum = kept_out.get("j").copied().unwrap_or_default();
            assert_eq!(kept_out.len(), 1);
            assert!(sum.packets >= 4 && sum.bytes >= 40 * sum.packets, "{sum:?}");
        }
    });
}

#[test]
fn other_ports_open_no_gap() {
    in_namespace(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let guards = [addr.port()..=addr.port(), 0..=addr.port()]
            .map(|range| guard("j", &[Protocol::Tcp], &[range]));
        let mut nftables = started(&guards[..1]);
        add(&mut nftables, "j", "127.0.0.1", 60);
        let (done, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for guard in guards.iter().cycle() {
                    nftables.start(guard).unwrap();
                    changes.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let mut tries = 0;
            let mut gap = false;
            while !gap && (tries < 500 || changes.load(Ordering::Relaxed) < 100) {
                gap = reachable(addr);
                tries += 1;
            }
            done.store(true, Ordering::Relaxed);
            assert!(!gap, "after {tries} tries");
        });
    });
}

#[test]
fn jails_start_and_stop_at_the_same_time() {
    in_namespace(|| {
        std::thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                scope.spawn(move || {
                    let mut nftables = Nftables::open().unwrap();
                    for _ in 0..60 {
                        nftables.start(&guard(name, &[], &[])).unwrap();
                        add(&mut nftables, name, "192.0.2.1", 60);
                        assert_eq!(banned(&mut nftables, name).len(), 1);
                        nftables.stop(name).unwrap();
                    }
                });
            }
        });
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_storm_of_bans_keeps_nobody_from_starting_or_stopping() {
    in_namespace(|| {
        let done = AtomicBool::new(false);
        let mut nftables = started(&[guard("storm", &[], &[])]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut bits = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    bits = bits.wrapping_add(1);
                    let network = Network::single(bits.to_be_bytes().into());
                    let timeout = Some(Duration::from_secs(60));
                    assert!(nftables.add("storm", &[Element { network, timeout }])[0].is_ok());
                }
            });
            let mut other = Nftables::open().unwrap();
            let outcome = (0..50).try_for_each(|_| {
                other.start(&guard("j", &[], &[]))?;
                other.stop("j")
            });
            done.store(true, Ordering::Relaxed);
            outcome.unwrap();
        });
        assert_eq!(
            chain("input", &[]),
            ["jump jail-storm comment \"ferroban: storm\""]
        );
    });
}

#[test]
fn a_ban_that_is_over_can_be_given_again() {
    in_namespace(|| {
        let mut nftables = started(&[guard("j", &[], &[])]);
        let short =
            ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "255.0.0.0/8"].map(|text| Element {
                network: network(text),
                timeout: Some(Duration::ZERO),
            });
        for _ in 0..3 {
            assert!(nftables.add("j", &short).iter().all(Result::is_ok));
            assert_eq!(
                nftables.list("j").unwrap().len(),
                4,
                "the shortest ban is one"
            );
            wait_for(|| nftables.list("j").unwrap().is_empty());
        }
        assert!(
            nftables
                .remove("j", &short.map(|element| element.network))
                .iter()
                .all(Result::is_ok)
        );
    });
}

#[test]
fn without_the_right_the_reason_is_told() {
    in_namespace(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        sets.permitted.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).unwrap();
        let error = Nftables::open().unwrap_err();
        assert!(matches!(error, Error::NotAllowed { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "nftables: not allowed to change the firewall; run as root or with CAP_NET_ADMIN"
        );
    });
}

fn reachable(addr: SocketAddr) -> bool {
    TcpStream::connect_timeout(&addr, Duration::from_secs(2)).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "a test may ask the clock")]
fn wait_for(mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "never happened");
        std::thread::yield_now();
    }
}
