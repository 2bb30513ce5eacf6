use super::*;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use crate::process::script::run;

/// Tags, and captures under `F-…`.
struct Made<'a>(BTreeMap<&'a str, &'a str>);

impl Values for Made<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        self.0.get(tag).map(|value| Cow::Borrowed(*value))
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0
            .get(format!("F-{name}").as_str())
            .map(|value| Cow::Borrowed(*value))
    }
}

fn bound(text: &str, values: &[(&str, &str)]) -> Vec<String> {
    let script = bind(text, &Made(values.iter().copied().collect()));
    [vec![script.text], script.args].concat()
}

/// A command, what the tags stand for, and script and arguments of fail2ban 1.0.2.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

const ROWS: [Row<'_>; 13] = [
    (
        "<a>",
        &[("a", "<b>"), ("b", "1")],
        &["f2bV_a=$0 \n$f2bV_a", "<b>"],
    ),
    (
        "<a> <a<b>> <b>",
        &[("a", "1"), ("b", "x"), ("ax", "y")],
        &["1 <ax> x"],
    ),
    ("<<b>>", &[("b", "x"), ("x", "1")], &["<x>"]),
    (
        "<F-A> <F-A-B> <F-A_B> <F-A1> <F-aB> <F-> <F-É>",
        &[("F-a", "1"), ("F-a-b", "2"), ("F-a_b", "3"), ("F-a1", "4")],
        &["1 2 3 4 <F-aB> <F-> <F-É>"],
    ),
    (
        "<F-ID> <F-PORT> <F-FID> <F-FPORT> <F-HOST> <F-ADDR>.",
        &[("F-fid", "i"), ("F-fport", "22"), ("F-host", "h")],
        &["i 22 i 22 h ."],
    ),
    (
        "<a;b> <a.b> <c> <a/b>",
        &[("a;b", ";"), ("a.b", ";"), ("c", ";"), ("a/b", "|")],
        &[
            "f2bV_a_b=$0 f2bV_c=$1 \n$f2bV_a_b $f2bV_a_b $f2bV_c $f2bV_a_b",
            "|",
            ";",
        ],
    ),
    (
        "<F-A_B> <F_a_b>",
        &[("F-a_b", ";1"), ("F_a_b", ";2")],
        &["f2bV_F_a_b=$0 \n$f2bV_F_a_b $f2bV_F_a_b", ";1"],
    ),
    (
        "<x> <F-A> <raw-ticket> <x>",
        &[("x", "x;"), ("F-a", "a;"), ("raw-ticket", "r;")],
        &[
            "f2bV_x=$0 f2bV_raw_ticket=$1 f2bV_F_a=$2 \n$f2bV_x $f2bV_F_a $f2bV_raw_ticket $f2bV_x",
            "x;",
            "r;",
            "a;",
        ],
    ),
    ("<a", &[("a", "1")], &["<a"]),
    ("<a b> <a\tb>", &[("a b", "1"), ("a\tb", "2")], &["<a b> 2"]),
    ("", &[("a", "1")], &[""]),
    (
        "<ip>:<m>",
        &[("ip", "2001:db8::1"), ("m", "%-=!/ @,+\t")],
        &["2001:db8::1:%-=!/ @,+\t"],
    ),
    (
        "<m>",
        &[("m", "a\nb\r")],
        &["f2bV_m=$0 \n$f2bV_m", "a\nb\r"],
    ),
];

#[test]
fn values_are_bound_as_the_original_binds_them() {
    for (text, values, expected) in ROWS {
        assert_eq!(bound(text, values), expected, "{text}");
    }
}

#[test]
fn each_dangerous_character_alone_makes_a_variable() {
    for c in "\\#&;`|*?~<>^()[]{}$'\"\n\r".chars() {
        let value = format!("a{c}");
        let expected = ["f2bV_v=$0 \n$f2bV_v", &value];
        assert_eq!(bound("<v>", &[("v", &value)]), expected);
    }
}

/// Where a text with a blank would stand, and whether it stands there.
#[test]
fn a_value_with_a_blank_is_no_command_behind_an_assignment() {
    let cases = [
        ("IP=<v>", false),
        ("true; IP=<v> true", false),
        ("A=1\n\tB_2=x<v>", false),
        ("x=`A=<v>`", false),
        ("(A=<v>)", false),
        ("# don't\nA=<v>", false),
        ("A=\\'<v>", false),
        ("A='x'<v>", false),
        ("A=\"<v>\"", true),
        ("A='<v>'", true),
        ("# A=<v>", true),
        ("x --a=<v>", true),
        ("x <v>", true),
        ("x '' <v>", true),
        ("awk '{ a=<v> }'", true),
        ("=<v>", true),
        ("<v>", true),
    ];
    for (text, literal) in cases {
        for value in ["x canary", "x\tcanary"] {
            let script = bound(text, &[("v", value)]);
            assert_eq!(script.len() == 1, literal, "{text}: {script:?}");
        }
        assert_eq!(bound(text, &[("v", "x,y")]), [text.replace("<v>", "x,y")]);
    }
    // What was meant is what comes of it.
    let values = Made([("ip", "x exit"), ("F-user", "y exit")].into());
    let script = bind(
        "IP=<ip>\nU=<F-USER> V=\"<F-USER>\"; echo $IP,$U,$V",
        &values,
    );
    let run = run(&script, Duration::from_secs(60), ()).unwrap();
    assert_eq!(run.stdout.bytes, b"x exit,y exit,y exit\n");
}

#[test]
fn past_ten_variables_a_shell_still_reads_the_right_ones() {
    let names: Vec<String> = (0..13).map(|n| format!("v{n}")).collect();
    let values: Vec<String> = (0..13).map(|n| format!("{n};x")).collect();
    let pairs: BTreeMap<&str, &str> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let tags: Vec<String> = names.iter().map(|name| format!("\"<{name}>\"")).collect();
    let script = bind(&format!("printf '%s|' {}", tags.join(" ")), &Made(pairs));
    assert!(script.text.starts_with("f2bV_v0=$0 f2bV_v1=$1 "));
    assert!(
        script
            .text
            .contains(" f2bV_v9=$9 f2bV_v10=${10} f2bV_v11=${11} ")
    );
    let run = run(&script, Duration::from_secs(60), ()).unwrap();
    let expected = format!("{}|", values.join("|"));
    assert_eq!(String::from_utf8(run.stdout.bytes).unwrap(), expected);
}

#[test]
fn long_values_and_zeros_do_not_keep_a_command_from_running() {
    let plain = "x".repeat(MOST_LITERAL);
    assert_eq!(bound("<v>", &[("v", &plain)]).concat(), plain);
    let longer = format!("{plain}x");
    assert_eq!(
        bound("<v>", &[("v", &longer)]),
        ["f2bV_v=$0 \n$f2bV_v", &longer]
    );
    assert_eq!(bound("<v>", &[("v", "a\0b")]), ["ab"]);
    assert_eq!(bound("<v>", &[("v", "\0;")])[1], ";");

    // As long as lines may be, in as many tags as one likes.
    let huge = "é;".repeat(1 << 20);
    let names: Vec<String> = (0..30).map(|n| format!("v{n}")).collect();
    let pairs = names.iter().map(|name| (name.as_str(), huge.as_str()));
    let text: String = names.iter().map(|name| format!("<{name}>")).collect();
    let script = bind(&format!(": \"{text}\""), &Made(pairs.collect()));
    assert!(script.args.iter().all(|value| value.len() <= MOST_VALUE));
    let run = run(&script, Duration::from_secs(60), ()).unwrap();
    assert!(run.is_success(), "{run:?}");
}

/// Text as an attacker would write it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("$(touch canary)".to_owned()),
        Just("`touch canary`".to_owned()),
        Just("; touch canary".to_owned()),
        Just("\ntouch canary\n".to_owned()),
        Just("' ; touch canary ; '".to_owned()),
        Just("\" ; touch canary ; \"".to_owned()),
        Just("<F-USER>".to_owned()),
        Just("<ip>".to_owned()),
        Just("$f2bV_matches".to_owned()),
        Just("${10}".to_owned()),
        Just("\\".to_owned()),
        Just("\0".to_owned()),
        "[ -~]{1,8}",
        "\\PC{1,8}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn however_many_values_there_are_each_arrives_as_it_is(
        values in prop::collection::vec(hostile(), 1..24),
    ) {
        let names: Vec<String> = (0..values.len()).map(|n| format!("F-v{n}")).collect();
        let pairs = names.iter().zip(&values);
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        let tags: String = names.iter().map(|n| format!(" \"<{}>\"", n.to_uppercase())).collect();
        let script = bind(&format!("printf '%s\\0'{tags}"), &Made(pairs.collect()));
        let run = run(&script, Duration::from_secs(60), ()).unwrap();
        let expected: String = values.iter().map(|v| v.replace('\0', "") + "\0").collect();
        prop_assert_eq!(String::from_utf8(run.stdout.bytes).unwrap(), expected);
    }

    #[test]
    fn no_value_ever_changes_what_a_shell_makes_of_a_script(
        matches in hostile(), user in hostile(), ip in hostile(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let values = Made([("matches", &*matches), ("F-user", &*user), ("ip", &*ip)].into());
        // In double quotes every value arrives as it is; without them it is split, but
        // no less data.
        let text = "printf '%s\\0' \"<matches>\" \"<F-USER>\" \"<ip>\"; : x<F-USER> x<matches> x<ip>";
        let script = bind(text, &values);
        let whole = Script { text: format!("cd {path} || exit 9\n{}", script.text), args: script.args };
        let run = run(&whole, Duration::from_secs(60), ()).unwrap();
        prop_assert!(run.is_success(), "{:?}", run);
        let out = String::from_utf8(run.stdout.bytes).unwrap();
        let expected: String = [&matches, &user, &ip]
            .map(|value| format!("{}\0", value.replace('\0', "")))
            .concat();
        prop_assert_eq!(out, expected);
        prop_assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }
}
