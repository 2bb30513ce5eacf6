//! Against the real kernel and the program `ipset`, in a network namespace of its own.

use std::collections::BTreeSet;

use ferroban_engine::{BanTime, FailId, Ticket};

use super::super::namespace::{self, ipset, run};
use super::*;

fn in_namespace<F: FnOnce()>(body: F) {
    namespace::inside("ipset list", body);
}

/// What is remembered of the sets `f2b` and `f2b6`, as by one life of the daemon.
struct Life {
    roll: Roll,
    now: Timestamp,
}

impl Life {
    fn new() -> Self {
        Self {
            roll: Roll::new("f2b", "f2b6"),
            now: Timestamp::from_secs(1_000_000),
        }
    }

    fn ban_of(&self, text: &str, secs: i64) -> Ban {
        Ban {
            id: FailId::parse(text),
            time: self.now,
            bantime: BanTime::from_secs(secs),
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        }
    }

    fn bans_of(&self, bans: &[(&str, i64)]) -> Vec<Ban> {
        let bans = bans.iter().map(|(text, secs)| self.ban_of(text, *secs));
        bans.collect()
    }

    /// How many were kept, added, corrected, are foreign, and failed.
    fn start(&mut self, jail: &str, held: &[(&str, i64)]) -> [usize; 5] {
        let held = self.bans_of(held);
        let at = (jail, self.now);
        match self.roll.act(at, |roll, at| roll.start(&held, at)).unwrap() {
            Outcome::Started {
                kept,
                added,
                corrected,
                foreign,
                failed,
            } => [kept, added, corrected, foreign, failed.len()],
            other => panic!("{other:?}"),
        }
    }

    fn try_ban(&mut self, jail: &str, bans: &[(&str, i64)]) -> Vec<Result<(), Failed>> {
        let bans = self.bans_of(bans);
        let at = (jail, self.now);
        self.roll
            .act(at, |roll, at| Ok(roll.ban(&bans, at)))
            .unwrap()
    }

    fn ban(&mut self, jail: &str, bans: &[(&str, i64)]) {
        let results = self.try_ban(jail, bans);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    fn unban(&mut self, jail: &str, ids: &[&str]) {
        let ids: Vec<_> = ids.iter().map(|id| FailId::parse(id).network()).collect();
        let at = (jail, self.now);
        let results = self.roll.act(at, |roll, at| Ok(roll.unban(&ids, at)));
        let results = results.unwrap();
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    fn stop(&mut self, jail: &str) {
        self.roll.act((jail, self.now), Roll::stop).unwrap();
    }

    /// What a look shows: `gone`, `emptied`, or who was lifted.
    fn look(&mut self, jail: &str) -> Vec<String> {
        let seen = self.roll.act((jail, self.now), Roll::look).unwrap();
        let mut all = Vec::new();
        for what in seen {
            match what {
                Tampering::Emptied { what, .. } => all.push(what),
                Tampering::Lifted { ids, .. } => all.extend(ids.iter().map(FailId::to_string)),
                other => panic!("{other:?}"),
            }
        }
        all.sort();
        all
    }
}

/// The entries of a set as the program shows them, with times rounded up to tens.
fn entries(set: &str) -> BTreeSet<String> {
    let text = ipset(&format!("save {set}")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("add "));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').skip(2).collect();
            match words.as_slice() {
                [network, "timeout", secs] => {
                    let secs: u32 = secs.parse().unwrap();
                    format!("{network} {}", secs.next_multiple_of(10))
                }
                _ => words.join(" "),
            }
        })
        .collect()
}

fn set<const N: usize>(rows: [&str; N]) -> BTreeSet<String> {
    rows.into_iter().map(str::to_owned).collect()
}

fn header(set: &str) -> String {
    let text = ipset(&format!("save {set}")).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn bans_are_kept_in_two_sets_that_come_and_go_with_the_jail() {
    in_namespace(|| {
        let mut life = Life::new();
        assert_eq!(life.start("sshd", &[("192.0.2.1", 600)]), [0, 1, 0, 0, 0]);
        assert!(header("f2b").starts_with("create f2b hash:net family inet hashsize"));
        assert!(header("f2b6").contains("family inet6 ") && header("f2b6").contains(" timeout 0"));
        life.ban(
            "sshd",
            &[
                ("192.0.2.2", -1),
                ("198.51.100.0/24", 86_400),
                ("2001:db8::1", 600),
                ("2001:db8:1::/48", 3600),
                ("192.0.2.3", 60),
                ("192.0.2.3", 1200),
                ("192.0.2.1", 3000),
            ],
        );
        let four = [
            "192.0.2.1 3000",
            "192.0.2.2 0",
            "192.0.2.3 1200",
            "198.51.100.0/24 86400",
        ];
        assert_eq!(entries("f2b"), set(four));
        let six = ["2001:db8::1 600", "2001:db8:1::/48 3600"];
        assert_eq!(entries("f2b6"), set(six));
        let text = life.try_ban("sshd", &[("root", 600), ("192.0.2.9", 600)]);
        assert!(matches!(text[..], [Err(Failed::Because(_)), Ok(())]));
        life.unban("sshd", &["192.0.2.2", "192.0.2.77", "2001:db8:1::/48"]);
        assert_eq!(entries("f2b").len(), 4);
        assert_eq!(entries("f2b6"), set(["2001:db8::1 600"]));
        assert_eq!(life.look("sshd"), [""; 0]);
        life.stop("sshd");
        assert_eq!(ipset("list -n").unwrap(), "");
    });
}

#[test]
fn a_restart_changes_only_what_differs() {
    in_namespace(|| {
        let mut before = Life::new();
        let known = [("192.0.2.1", 600), ("192.0.2.2", -1), ("2001:db8::1", 600)];
        before.start("sshd", &known);
        before.ban("sshd", &[("192.0.2.3", 600)]);
        ipset("add f2b 203.0.113.0/24").unwrap();
        // The daemon is killed, and is told another time for one of them.
        let mut after = Life::new();
        let mut wanted = known.to_vec();
        wanted[0].1 = 9000;
        wanted.push(("192.0.2.4", 600));
        assert_eq!(after.start("sshd", &wanted), [2, 1, 1, 2, 0]);
        let four = [
            "192.0.2.1 9000",
            "192.0.2.2 0",
            "192.0.2.3 600",
            "192.0.2.4 600",
            "203.0.113.0/24 0",
        ];
        assert_eq!(entries("f2b"), set(four));
        assert_eq!(after.look("sshd"), [""; 0]);
        assert_eq!(after.start("sshd", &wanted), [4, 0, 0, 2, 0]);
        // Only what is ours goes, and a set that was there before stays.
        after.stop("sshd");
        let foreign = ["192.0.2.3 600", "203.0.113.0/24 0"];
        assert_eq!(entries("f2b"), set(foreign));
    });
}

#[test]
fn sets_of_others_are_used_as_they_are_and_stay() {
    in_namespace(|| {
        ipset("create f2b hash:ip").unwrap();
        ipset("create f2b6 hash:net family inet6 timeout 60 maxelem 2").unwrap();
        ipset("add f2b 203.0.113.7").unwrap();
        let mut life = Life::new();
        assert_eq!(life.start("sshd", &[("192.0.2.1", 600)]), [0, 1, 0, 1, 0]);
        let results = life.try_ban(
            "sshd",
            &[
                ("192.0.2.2", 600),
                ("192.0.2.0/24", 600),
                ("2001:db8::1", 600),
                ("2001:db8::2", -1),
                ("2001:db8::3", 600),
                ("203.0.113.7", 600),
            ],
        );
        let good: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, true, true, false, true], "{results:?}");
        let four = ["192.0.2.1", "192.0.2.2", "203.0.113.7"];
        assert_eq!(entries("f2b"), set(four), "no times where there are none");
        let six = ["2001:db8::1 600", "2001:db8::2 0"];
        assert_eq!(entries("f2b6"), set(six));
        assert_eq!(life.look("sshd"), [""; 0]);
        // Long after their times, what has none is there until it is lifted.
        life.now = life.now.plus_secs(700);
        life.unban("sshd", &["192.0.2.1", "203.0.113.7"]);
        let four = ["192.0.2.2", "203.0.113.7"];
        assert_eq!(entries("f2b"), set(four), "what was there before stays");
        life.stop("sshd");
        assert_eq!(entries("f2b"), set(["203.0.113.7"]));
        assert_eq!(entries("f2b6"), set([]));
    });
}

#[test]
fn an_entry_of_somebody_else_is_left_or_made_to_last() {
    in_namespace(|| {
        let mut life = Life::new();
        life.start("sshd", &[]);
        ipset("add f2b 192.0.2.1").unwrap();
        ipset("add f2b 192.0.2.2 timeout 60").unwrap();
        ipset("add f2b 192.0.2.3 timeout 600").unwrap();
        let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        life.ban("sshd", &all.map(|text| (text, 600)));
        let expected = ["192.0.2.1 0", "192.0.2.2 600", "192.0.2.3 600"];
        assert_eq!(entries("f2b"), set(expected));
        // Banned for longer, what is there for ever still is none of ours.
        life.ban("sshd", &[("192.0.2.1", 1200)]);
        life.unban("sshd", &all);
        assert_eq!(entries("f2b"), set(["192.0.2.1 0"]));
        life.stop("sshd");
        assert_eq!(entries("f2b"), set(["192.0.2.1 0"]), "it is not empty");
    });
}

#[test]
fn an_exception_that_somebody_made_is_no_ban() {
    in_namespace(|| {
        let mut life = Life::new();
        life.start("sshd", &[]);
        ipset("add f2b 192.0.2.1 nomatch").unwrap();
        let results = life.try_ban("sshd", &[("192.0.2.1", 600), ("192.0.2.0/24", 600)]);
        assert!(matches!(results[..], [Err(Failed::Because(_)), Ok(())]));
        assert_eq!(life.look("sshd"), [""; 0]);
        assert_eq!(life.start("sshd", &[("192.0.2.1", 600)]), [0, 0, 0, 1, 1]);
        life.stop("sshd");
        assert_eq!(entries("f2b"), set(["192.0.2.1 timeout 0 nomatch"]));
    });
}

#[test]
fn a_jail_that_bans_otherwise_from_now_on_leaves_its_sets() {
    use super::super::shell::Facts;
    use super::super::{Actions, Native, Part};
    use crate::log::{Level, Log, Target};
    struct Nothing;
    impl Facts for Nothing {}
    in_namespace(|| {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Notice).unwrap();
        let mut actions = Actions::new("j".parse().unwrap(), log, Arc::new(Nothing));
        let life = Life::new();
        let held = life.bans_of(&[("192.0.2.1", 600)]);
        let nft = || {
            let output = run("nft", &["list", "ruleset"]).unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let mut go_on = |options: &[(&str, &str)]| {
            let options = options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let native = Native::new("j", &options.collect(), "").unwrap();
            let parts = vec![("ferroban".to_owned(), Part::Native(native))];
            actions.configure(parts, &held, false);
            drop(actions.start(&held, life.now, &|| true));
        };
        go_on(&[("ipset", "a")]);
        assert_eq!(entries("a"), set(["192.0.2.1 600"]));
        go_on(&[("ipset", "a"), ("cut", "yes")]);
        assert_eq!(entries("a"), set(["192.0.2.1 600"]));
        go_on(&[("ipset", "b")]);
        assert_eq!(ipset("list -n").unwrap(), "b\nb6\n");
        assert!(nft().is_empty());
        go_on(&[("priority", "raw")]);
        assert_eq!(ipset("list -n").unwrap(), "");
        assert!(nft().contains("192.0.2.1"));
        go_on(&[("ipset", "a")]);
        assert_eq!(entries("a"), set(["192.0.2.1 600"]));
        assert!(nft().is_empty());
    });
}

#[test]
fn several_jails_share_sets_and_an_entry_stays_until_the_last_lifts_it() {
    in_namespace(|| {
        let mut life = Life::new();
        life.start("sshd", &[("192.0.2.1", 600)]);
        life.start("web", &[("192.0.2.1", 3000), ("192.0.2.2", 600)]);
        assert_eq!(entries("f2b"), set(["192.0.2.1 3000", "192.0.2.2 600"]));
        // The shorter ban does not shorten the longer one.
        life.ban("sshd", &[("192.0.2.1", 900), ("192.0.2.2", 60)]);
        assert_eq!(entries("f2b"), set(["192.0.2.1 3000", "192.0.2.2 600"]));
        life.unban("web", &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(entries("f2b"), set(["192.0.2.1 900", "192.0.2.2 60"]));
        life.ban("web", &[("192.0.2.2", 600), ("192.0.2.3", 600)]);
        life.stop("sshd");
        assert_eq!(entries("f2b"), set(["192.0.2.2 600", "192.0.2.3 600"]));
        life.stop("web");
        assert_eq!(ipset("list -n").unwrap(), "");
    });
}

#[test]
fn a_look_shows_what_others_did() {
    in_namespace(|| {
        let mut life = Life::new();
        let three = [("192.0.2.1", 600), ("192.0.2.2", 600), ("192.0.2.3", 600)];
        life.start("sshd", &three);
        life.start("web", &[("192.0.2.9", 600), ("2001:db8::1", 600)]);
        let nothing = [""; 0];
        assert_eq!(life.look("sshd"), nothing);
        // Others may have there what they like.
        ipset("add f2b 203.0.113.1").unwrap();
        ipset("add f2b 203.0.113.2 timeout 1").unwrap();
        assert_eq!(life.look("sshd"), nothing);
        ipset("del f2b 192.0.2.2").unwrap();
        ipset("del f2b 192.0.2.9").unwrap();
        assert_eq!(life.look("sshd"), ["192.0.2.2"]);
        assert_eq!(life.look("web"), ["192.0.2.9"]);
        life.unban("sshd", &["192.0.2.2"]);
        life.unban("web", &["192.0.2.9"]);
        assert_eq!((life.look("sshd"), life.look("web")), (vec![], vec![]));
        ipset("flush f2b").unwrap();
        assert_eq!(life.look("sshd"), ["its set 'f2b' was emptied"]);
        assert_eq!(life.look("sshd"), nothing, "told once");
        life.ban("web", &[("2001:db8::2", 600)]);
        assert_eq!(life.look("web"), nothing);
        ipset("destroy f2b6").unwrap();
        assert_eq!(life.look("web"), ["its set 'f2b6' is gone"]);
        let lost = life.try_ban("web", &[("2001:db8::3", 600)]);
        assert!(matches!(lost[..], [Err(Failed::Lost(_))]), "{lost:?}");
        life.unban("web", &["2001:db8::1"]);
        // So is a set that took its place and cannot hold bans.
        life.start("web", &[("192.0.2.9", 600)]);
        ipset("destroy f2b").unwrap();
        ipset("create f2b hash:ip,port").unwrap();
        let seen = life.look("web");
        assert!(
            matches!(seen.as_slice(), [what] if what.contains("hash:ip,port")),
            "{seen:?}"
        );
        ipset("destroy f2b").unwrap();
        // The next start puts everything back.
        life.start("sshd", &three);
        life.start("web", &[("2001:db8::2", 600)]);
        assert_eq!((entries("f2b").len(), entries("f2b6").len()), (3, 1));
        assert_eq!((life.look("sshd"), life.look("web")), (vec![], vec![]));
        // The kernel takes out by itself whose time is up.
        life.now = life.now.plus_secs(601);
        assert_eq!(life.look("sshd"), nothing);
    });
}

#[test]
fn a_ban_that_is_longer_than_the_kernel_can_count_gets_more_time_later() {
    in_namespace(|| {
        let day = 86_400;
        let mut life = Life::new();
        life.start("sshd", &[("192.0.2.1", 30 * day)]);
        let capped = "192.0.2.1 2147490";
        assert_eq!(entries("f2b"), set([capped]));
        life.now = life.now.plus_secs(10 * day);
        assert_eq!(life.look("sshd"), [""; 0]);
        assert_eq!(entries("f2b"), set([capped]));
        life.now = life.now.plus_secs(5 * day);
        assert_eq!(life.look("sshd"), [""; 0]);
        assert_eq!(entries("f2b"), set(["192.0.2.1 1296000"]), "15 days");
    });
}

#[test]
fn a_set_that_cannot_hold_bans_is_refused() {
    in_namespace(|| {
        let sets = [
            "f2b hash:ip,port",
            "f2b hash:net family inet6",
            "f2b hash:ip netmask 24",
            "f2b list:set",
            "f2b6 hash:net family inet",
        ];
        for words in sets {
            ipset(&format!("create {words}")).unwrap();
            let mut life = Life::new();
            let at = ("sshd", life.now);
            let refused = life.roll.act(at, |roll, at| roll.start(&[], at));
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("hash:net or hash:ip"), "{words}: {error}");
            ipset("flush").unwrap();
            ipset("destroy").unwrap();
        }
    });
}

#[test]
fn bans_are_proven_and_so_is_that_a_rule_refers_to_the_sets() {
    in_namespace(|| {
        let now = Timestamp::from_secs(0);
        let mut sets = Sets::new("sshd", "f2b");
        assert!(matches!(sets.start(&[], now), Outcome::Started { .. }));
        let rule = "-I INPUT -m set --match-set f2b src -j DROP";
        let Some(News::WithoutEffect(why)) = sets.news() else {
            panic!("no rule refers to it");
        };
        assert!(
            why.ends_with(&format!("; to add one: iptables {rule}")),
            "{why}"
        );
        assert_eq!(sets.prove(now), Err(Failed::Because(why)));
        assert_eq!(sets.news(), None, "told once");
        let words: Vec<&str> = rule.split(' ').collect();
        let output = run("iptables", &words).unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(sets.look(now), []);
        assert_eq!(sets.news(), Some(News::FineAgain));
        let proven = sets.prove(now).unwrap();
        let proven: Vec<String> = proven.iter().map(Network::to_string).collect();
        assert_eq!(proven, ["192.0.2.254", "2001:db8::fffe"]);
        assert_eq!(entries("f2b"), set([]), "nothing stays");
        // Somebody has that address already, alone or with others.
        ipset("add f2b 192.0.2.254").unwrap();
        ipset("add f2b6 2001:db8::ff00/121").unwrap();
        let proven = sets.prove(now).unwrap();
        assert_eq!(proven.len(), 2);
        assert_eq!(proven[0].to_string(), "192.0.2.253");
        assert_eq!(proven[1].to_string(), "2001:db8::fffe");
        ipset("create full hash:net maxelem 1 hashsize 64").unwrap();
        ipset("add full 203.0.113.1").unwrap();
        ipset("swap full f2b").unwrap();
        let full = sets.prove(now);
        assert!(matches!(full, Err(Failed::Because(_))), "{full:?}");
        // What a rule needs stays.
        ipset("flush").unwrap();
        sets.stop(now).unwrap();
        assert_eq!(ipset("list -n f2b").unwrap(), "f2b\n");
        assert!(ipset("list -n f2b6").is_err());
    });
}

#[test]
fn what_no_rule_refers_to_is_named_with_the_commands() {
    let four = "iptables -I INPUT -m set --match-set f2b src -j DROP";
    let six = "ip6tables -I INPUT -m set --match-set f2b6 src -j DROP";
    let both = format!("{four} && {six}");
    let cases = [
        ([false, false], true, None),
        (
            [true, false],
            true,
            Some(("the set f2b, so bans of IPv4", four)),
        ),
        (
            [false, true],
            true,
            Some(("the set f2b6, so bans of IPv6", six)),
        ),
        (
            [true, true],
            true,
            Some(("the sets f2b and f2b6, so bans have", &*both)),
        ),
        ([false, true], false, None),
        (
            [true, true],
            false,
            Some(("the set f2b, so bans of IPv4", four)),
        ),
    ];
    for (unused, has_v6, expected) in cases {
        let text = Unused::new(unused, has_v6).map(|unused| unused.of("f2b"));
        match (text, expected) {
            (None, None) => {}
            (Some(text), Some((what, command))) => {
                assert!(
                    text.contains(what) && text.ends_with(&format!(": {command}")),
                    "{text}"
                );
            }
            other => panic!("{unused:?} {has_v6}: {other:?}"),
        }
    }
}

#[test]
fn names_are_those_of_sets_that_need_no_quotes() {
    let long = "x".repeat(30);
    let cases = [
        ("f2b", true),
        ("Black.List_2:a@b+c-d", true),
        (&long, true),
        (&format!("{long}x"), false),
        ("", false),
        ("-n", false),
        ("a b", false),
        ("a;b", false),
        ("ä", false),
    ];
    for (name, expected) in cases {
        assert_eq!(is_name(name), expected, "{name}");
    }
}
