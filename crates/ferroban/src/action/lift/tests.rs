use super::*;

use std::collections::BTreeSet;

use crate::action::namespace::{inside, run};

fn in_namespace<F: FnOnce()>(body: F) {
    inside("nft list ruleset && ipset list", body);
}

fn sh(text: &str) -> bool {
    let output = run("sh", &["-c", text]).unwrap();
    output.status.success()
}

fn must(text: &str) -> String {
    let output = run("sh", &["-c", text]).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

fn edit(text: &str) -> Edit {
    Lift::plain(&text.into()).unwrap()
}

fn carry_out(lift: &mut Lift, edits: &[Edit]) -> Vec<bool> {
    lift.carry_out(edits, &mut |script| sh(&script.text))
}

/// Runs a command as an action would the first time. Whether it is proven.
fn learn(lift: &mut Lift, text: &str) -> bool {
    let (success, is_proven) = lift.learn(&edit(text), || sh(text));
    assert!(success, "{text}");
    assert_eq!(lift.is_proven(&edit(text)), is_proven);
    is_proven
}

/// What a set holds, without what is left of each time.
fn elements(list: &str) -> BTreeSet<String> {
    let listed = must(list).replace(['\n', '\t'], " ");
    let listed = listed.split_once("elements = {");
    let parts = listed
        .map_or("", |(_, elements)| elements)
        .split([',', '}']);
    let parts = parts.map(|part| part.split(" expires ").next().unwrap_or_default().trim());
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Addresses of a family, twelve beside each other.
fn addresses(is_v4: bool) -> Vec<String> {
    let of = |number| match is_v4 {
        true => format!("192.0.2.{number}"),
        false => format!("2001:db8::{number:x}"),
    };
    (1..=12).map(of).collect()
}

#[test]
fn nft_elements_are_changed_as_the_program_does_it() {
    in_namespace(|| {
        let rows = [
            // the set, of which family, what is said behind an address
            ("type ipv4_addr;", true, ""),
            ("type ipv6_addr;", false, ""),
            ("type ipv4_addr; flags interval;", true, ""),
            ("type ipv6_addr; flags interval;", false, ""),
            ("type ipv4_addr; flags timeout;", true, " timeout 1h"),
            (
                "type ipv4_addr; flags interval,timeout;",
                true,
                " timeout 2d3h",
            ),
            ("type ipv4_addr; size 20;", true, ""),
            ("typeof ip saddr; comment \"x\";", true, ""),
        ];
        for (number, row) in rows.into_iter().enumerate() {
            nft_as_the_program(number, row);
        }
    });
}

/// One set that we change and one that the program changes, at each step the same.
fn nft_as_the_program(number: usize, (kind, is_v4, behind): (&str, bool, &str)) {
    let family = if number.is_multiple_of(2) {
        "inet"
    } else {
        "ip6"
    };
    let (ours, theirs) = (format!("ours{number}"), format!("theirs{number}"));
    must(&format!("nft add table {family} t"));
    for set in [&ours, &theirs] {
        must(&format!("nft 'add set {family} t {set} {{ {kind} }}'"));
    }
    let mut lift = Lift::default();
    let (add, delete) = ("add", "delete");
    let command = |verb: &str, set: &str, address: &str| {
        let behind = if verb == add { behind } else { "" };
        format!("nft {verb} element {family} t {set} \\{{ {address}{behind} \\}}")
    };
    let all = addresses(is_v4);
    let (first, rest) = all.split_first().unwrap();
    let fresh = edit(&command(add, &ours, first));
    assert_eq!(
        carry_out(&mut lift, &[fresh]),
        [false],
        "nothing is known yet"
    );
    assert!(learn(&mut lift, &command(add, &ours, first)), "{kind}");
    let edits_to = |verb| {
        let edits = rest
            .iter()
            .map(|address| edit(&command(verb, &ours, address)));
        edits.collect::<Vec<Edit>>()
    };
    assert_eq!(carry_out(&mut lift, &edits_to(add)), [true; 11], "{kind}");
    all.iter()
        .for_each(|address| drop(must(&command(add, &theirs, address))));
    let held = |set: &str| elements(&format!("nft list set {family} t {set}"));
    assert_eq!(held(&ours), held(&theirs), "{kind}");
    assert_eq!(held(&ours).len(), 12, "{kind}");
    // What the first command proves is adding; taking out is another matter.
    assert_eq!(
        carry_out(&mut lift, &edits_to(delete)),
        [false; 11],
        "{kind}"
    );
    assert!(learn(&mut lift, &command(delete, &ours, first)), "{kind}");
    assert_eq!(
        carry_out(&mut lift, &edits_to(delete)),
        [true; 11],
        "{kind}"
    );
    assert_eq!(held(&ours), BTreeSet::new(), "{kind}");
    // As the program, it refuses to take out what is not there.
    assert_eq!(
        carry_out(&mut lift, &edits_to(delete)),
        [false; 11],
        "{kind}"
    );
}

#[test]
fn entries_of_ipset_are_changed_as_the_program_does_it() {
    in_namespace(|| {
        let rows = [
            ("hash:ip", true, "", ""),
            ("hash:ip family inet6", false, "", ""),
            ("hash:ip timeout 600", true, "", ""),
            ("hash:ip timeout 0", true, "-exist ", " timeout 3600"),
            ("hash:net family inet6 timeout 0", false, "", " timeout 0"),
            ("hash:net counters comment", true, "-exist ", ""),
        ];
        for (number, (kind, is_v4, before, behind)) in rows.into_iter().enumerate() {
            let (ours, theirs) = (format!("ours{number}"), format!("theirs{number}"));
            for set in [&ours, &theirs] {
                must(&format!("ipset create {set} {kind}"));
            }
            let mut lift = Lift::default();
            let command = |verb: &str, set: &str, address: &str| {
                let behind = if verb == "add" { behind } else { "" };
                format!("ipset {before}{verb} {set} {address}{behind}")
            };
            let all = addresses(is_v4);
            let (first, rest) = all.split_first().unwrap();
            let edits_to = |verb| {
                let edits = rest
                    .iter()
                    .map(|address| edit(&command(verb, &ours, address)));
                edits.collect::<Vec<Edit>>()
            };
            assert_eq!(carry_out(&mut lift, &edits_to("add")), [false; 11]);
            assert!(learn(&mut lift, &command("add", &ours, first)), "{kind}");
            assert_eq!(carry_out(&mut lift, &edits_to("add")), [true; 11], "{kind}");
            all.iter()
                .for_each(|address| drop(must(&command("add", &theirs, address))));
            let held = |set: &str| {
                let saved = must(&format!("ipset save {set}"));
                let lines = saved.lines().filter(|line| line.starts_with("add "));
                let lines = lines.map(|line| line.replace(set, "set"));
                // The clock goes on: 599 and 3599 are as good.
                let near = |line: String| {
                    let rounded = line.replace(" 599", " 600").replace(" 3599", " 3600");
                    rounded.replace(" 598", " 600").replace(" 3598", " 3600")
                };
                lines.map(near).collect::<BTreeSet<String>>()
            };
            assert_eq!(held(&ours), held(&theirs), "{kind}");
            assert_eq!(held(&ours).len(), 12, "{kind}");
            assert!(learn(&mut lift, &command("del", &ours, first)), "{kind}");
            assert_eq!(carry_out(&mut lift, &edits_to("del")), [true; 11], "{kind}");
            assert_eq!(held(&ours), BTreeSet::new(), "{kind}");
            let again = carry_out(&mut lift, &edits_to("del"));
            assert_eq!(
                again,
                [!before.is_empty(); 11],
                "{kind}: without -exist it fails"
            );
        }
    });
}

#[test]
fn what_proves_nothing_is_looked_at_a_few_times_only() {
    in_namespace(|| {
        must("nft add table inet t");
        let sets = [
            "merges { type ipv4_addr; flags interval; auto-merge; }",
            "counts { type ipv4_addr; counter; }",
            "verdicts { type ipv4_addr : verdict; }",
            "pairs { type ipv4_addr . inet_service; }",
        ];
        for set in sets {
            let verb = if set.starts_with("verdicts") {
                "map"
            } else {
                "set"
            };
            must(&format!("nft 'add {verb} inet t {set}'"));
        }
        let mut lift = Lift::default();
        for set in ["merges", "counts"] {
            for number in 1..10 {
                let text = format!("nft add element inet t {set} {{ 192.0.2.{number} }}");
                assert!(!learn(&mut lift, &text), "{set}");
            }
        }
        // What was there before proves nothing either.
        must("nft 'add set inet t s { type ipv4_addr; }'");
        let text = "nft add element inet t s { 192.0.2.1 }";
        must(text);
        assert!(!learn(&mut lift, text));
        // Nor what does more, or fails.
        let twice = || {
            sh(&format!(
                "nft add element inet t s {{ 192.0.2.99 }} && {text}"
            ))
        };
        let other = "nft add element inet t s { 192.0.2.2 }";
        assert_eq!(lift.learn(&edit(other), twice), (true, false));
        assert_eq!(lift.learn(&edit(other), || false), (false, false));
        for _ in 0..2 {
            assert!(!learn(&mut lift, text));
        }
        let another = "nft add element inet t s { 192.0.2.3 }";
        assert!(!learn(&mut lift, another), "it was looked at often enough");
        let missing = edit("nft add element inet t s { 192.0.2.4 }");
        assert_eq!(carry_out(&mut lift, &[missing]), [false]);
    });
}

#[test]
fn a_set_that_became_another_one_is_left_to_the_shell() {
    in_namespace(|| {
        let add = "nft add element inet t s { 192.0.2.1 }";
        let other = "nft add element inet t s { 192.0.2.2 }";
        must("nft add table inet t; nft 'add set inet t s { type ipv4_addr; }'");
        let mut lift = Lift::default();
        assert!(learn(&mut lift, add));
        must("nft delete set inet t s");
        assert_eq!(carry_out(&mut lift, &[edit(other)]), [false], "it is gone");
        must("nft 'add set inet t s { type ipv4_addr; flags interval; auto-merge; }'");
        assert_eq!(carry_out(&mut lift, &[edit(other)]), [false]);
        must("nft delete set inet t s; nft 'add set inet t s { type ipv4_addr; }'");
        assert_eq!(
            carry_out(&mut lift, &[edit(other)]),
            [true],
            "it is what it was"
        );
        // One that does not fit takes the others along: each is tried by itself then.
        must("nft delete set inet t s; nft 'add set inet t s { type ipv4_addr; size 3; }'");
        let all: Vec<Edit> = addresses(true)
            .iter()
            .map(|address| edit(&format!("nft add element inet t s {{ {address} }}")))
            .collect();
        assert_eq!(carry_out(&mut lift, &all), [false; 12]);
        assert_eq!(elements("nft list set inet t s").len(), 0);
        let singly: Vec<bool> = all
            .iter()
            .flat_map(|edit| carry_out(&mut lift, std::slice::from_ref(edit)))
            .collect();
        let count = singly.iter().filter(|done| **done).count();
        assert_eq!(count, elements("nft list set inet t s").len());
        assert!((1..12).contains(&count), "{count}");
    });
}

#[test]
fn many_rules_are_made_as_single_commands_make_them() {
    in_namespace(|| {
        let rows = [
            (
                "iptables",
                true,
                "-I ours 1 -s ADDRESS -j REJECT --reject-with icmp-port-unreachable",
            ),
            (
                "ip6tables",
                false,
                "-I ours 1 -s ADDRESS -j REJECT --reject-with icmp6-port-unreachable",
            ),
            ("iptables -w", true, "-A ours -p tcp -s ADDRESS -j DROP"),
            ("iptables -w 3 -t raw", true, "-I ours 2 -s ADDRESS -j DROP"),
        ];
        for row in rows {
            rules_as_the_program(row);
        }
    });
}

/// One chain in which many rules are made at once, and one in which each is made by itself.
fn rules_as_the_program((program, is_v4, rule): (&str, bool, &str)) {
    for chain in ["ours", "theirs"] {
        must(&format!(
            "{program} -N {chain} && {program} -A {chain} -j RETURN"
        ));
    }
    let mut lift = Lift::default();
    let all = addresses(is_v4);
    let commands = |rule: &str| {
        let commands = all
            .iter()
            .map(|address| format!("{program} {}", rule.replace("ADDRESS", address)));
        commands.collect::<Vec<String>>()
    };
    let held = |chain: &str| must(&format!("{program} -S {chain}")).replace(chain, "chain");
    let adds = commands(rule);
    let edits: Vec<Edit> = adds.iter().map(|add| edit(add)).collect();
    let (_, rest) = edits.split_first().unwrap();
    assert_eq!(
        carry_out(&mut lift, &edits),
        [false; 12],
        "nothing is known yet"
    );
    assert!(learn(&mut lift, &adds[0]), "{rule}");
    assert_eq!(carry_out(&mut lift, &edits[..1]), [false], "one is no gain");
    assert_eq!(carry_out(&mut lift, rest), [true; 11], "{rule}");
    for add in &adds {
        must(&add.replace("ours", "theirs"));
    }
    assert_eq!(held("ours"), held("theirs"), "{rule}");
    let place = rule
        .replace("-I ours 1", "-D ours")
        .replace("-I ours 2", "-D ours");
    let deletes = commands(&place.replace("-A ours", "-D ours"));
    let edits: Vec<Edit> = deletes.iter().map(|delete| edit(delete)).collect();
    let (_, rest) = edits.split_first().unwrap();
    assert!(learn(&mut lift, &deletes[0]), "{rule}");
    // One of them is not there: nothing happens, and each is left to the shell.
    must(&deletes[11]);
    let rest_done = carry_out(&mut lift, rest);
    assert_eq!(
        rest_done,
        [[true].as_slice(), &[false; 10]].concat(),
        "{rule}"
    );
    assert_eq!(carry_out(&mut lift, &rest[1..10]), [true; 9], "{rule}");
    assert_eq!(held("ours").lines().count(), 2, "{rule}");
    assert!(!lift.take_news().unwrap().is_empty());
    for chain in ["ours", "theirs"] {
        must(&format!("{program} -F {chain} && {program} -X {chain}"));
    }
}

/// What a command of a chain shows is looked at, not only that it works.
#[test]
fn rules_that_come_out_otherwise_are_left_to_the_shell() {
    in_namespace(|| {
        must("iptables -N c");
        let all: Vec<Edit> = addresses(true)
            .iter()
            .map(|address| edit(&format!("iptables -I c 1 -s {address} -j DROP")))
            .collect();
        let mut lift = Lift::default();
        assert!(learn(&mut lift, "iptables -I c 1 -s 192.0.2.1 -j DROP"));
        let mut scripts = 0;
        let done = lift.carry_out(&all[1..], &mut |script| {
            scripts += 1;
            sh(&script.text.replace("DROP", "ACCEPT"))
        });
        assert_eq!(
            (done, scripts),
            ([[true].as_slice(), &[false; 10]].concat(), 1)
        );
        assert!(!lift.is_proven(&all[2]));
    });
}

/// As after a crash, when the sets still hold what is put back.
#[test]
fn what_is_there_already_needs_no_command_once_one_has_changed_nothing() {
    in_namespace(|| {
        must("nft add table inet t; nft 'add set inet t s { type ipv4_addr; }'");
        must("ipset create s hash:ip timeout 0");
        let rows = [
            (
                "nft add element inet t s { ADDRESS }",
                "nft list set inet t s",
            ),
            ("ipset -exist add s ADDRESS timeout 0", "ipset save s"),
        ];
        for (command, list) in rows {
            let all: Vec<String> = addresses(true)
                .iter()
                .map(|address| command.replace("ADDRESS", address))
                .collect();
            let edits: Vec<Edit> = all.iter().map(|command| edit(command)).collect();
            // All but the last one.
            for command in &all[..11] {
                must(command);
            }
            let before = must(list);
            let mut lift = Lift::default();
            assert!(!learn(&mut lift, &all[0]), "it proves little");
            assert!(!lift.is_proven(&edits[0]) && lift.is_known(&edits[0]));
            let expected = [[true; 10].as_slice(), &[false]].concat();
            assert_eq!(carry_out(&mut lift, &edits[1..]), expected, "{command}");
            assert_eq!(must(list), before, "{command}");
            // The one that was missing is the proof.
            assert!(learn(&mut lift, &all[11]));
            assert_eq!(carry_out(&mut lift, &edits), [true; 12]);
        }
        // What has a time may get another one: that is no matter of course.
        must("nft 'add set inet t timed { type ipv4_addr; flags timeout; }'");
        let timed = "nft add element inet t timed { 192.0.2.1 timeout 1h }";
        must(timed);
        let mut lift = Lift::default();
        assert!(!learn(&mut lift, timed) && !lift.is_known(&edit(timed)));
    });
}

/// A rule that was made is not made again because nobody could see it.
#[test]
fn a_rule_that_was_made_and_cannot_be_seen_is_done() {
    in_namespace(|| {
        must("iptables -N c");
        let all: Vec<Edit> = addresses(true)
            .iter()
            .map(|address| edit(&format!("iptables -I c 1 -s {address} -j DROP")))
            .collect();
        let mut lift = Lift::default();
        assert!(learn(&mut lift, "iptables -I c 1 -s 192.0.2.1 -j DROP"));
        let done = lift.carry_out(&all[1..4], &mut |script| {
            sh(&script.text) && sh("iptables -E c hidden")
        });
        assert_eq!(done, [true, false, false]);
        assert_eq!(
            must("iptables -S hidden").matches("192.0.2.2/32").count(),
            1
        );
    });
}
