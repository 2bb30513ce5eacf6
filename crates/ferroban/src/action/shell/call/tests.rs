use super::*;

use std::sync::Arc;

use super::super::{Facts, Properties};
use crate::log::{Level, Log, Target};

struct Nothing;

impl Facts for Nothing {}

fn shell(options: &[(&str, &str)]) -> Shell {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties: Properties = options.iter().map(owned).collect();
    let log = Log::open(&Target::File("/dev/null".into()), Level::Critical).unwrap();
    Shell::new(
        "j".parse().unwrap(),
        "a".into(),
        properties,
        log,
        Arc::new(Nothing),
    )
}

/// The reply or the exception, as a client of fail2ban 1.0.2 sees it.
fn called(shell: &mut Shell, method: &str, json: Option<&str>) -> String {
    match shell.call(method, json) {
        Ok(value) => value.to_string(),
        Err(error) => format!("{}: {error}", error.class),
    }
}

/// A method, its arguments, and what comes back.
type Row = (&'static str, Option<&'static str>, &'static str);

const ANSWERS: [Row; 26] = [
    ("start", None, "true"),
    ("start", Some("{}"), "true"),
    ("stop", Some("{}"), "true"),
    ("flush", None, "true"),
    ("reload", Some(r#"{"x":"y"}"#), "true"),
    ("consistencyCheck", None, "true"),
    ("consistencyCheck", Some(r#"{"beforeRepair":1}"#), "true"),
    ("clearAllParams", Some("{}"), "null"),
    ("invalidateBanEpoch", None, "null"),
    (
        "ban",
        Some(r#"{"aInfo":{"ip":"1.2.3.4","family":"inet4"}}"#),
        "null",
    ),
    ("ban", Some(r#"{"aInfo":{}}"#), "null"),
    (
        "ban",
        Some(r#"{"aInfo":{"ip":"1"},"cmd":"test <ip> = 1"}"#),
        "null",
    ),
    ("reban", Some(r#"{"aInfo":{"ip":"1.2.3.4"}}"#), "null"),
    ("prolong", Some(r#"{"aInfo":{"ip":"1.2.3.4"}}"#), "null"),
    ("unban", Some(r#"{"aInfo":{"ip":"1.2.3.4"}}"#), "null"),
    ("escapeTag", Some(r#"{"value":"a;b\n"}"#), r#""a\\;b\\n""#),
    ("executeCmd", Some(r#"{"realCmd":"exit 3"}"#), "false"),
    ("executeCmd", Some(r#"{"realCmd":""}"#), "true"),
    (
        "executeCmd",
        Some(r#"{"realCmd":"sleep 60","timeout":0.05}"#),
        "false",
    ),
    (
        "executeCmd",
        Some(r#"{"realCmd":["test $0 = xx","xx"]}"#),
        "true",
    ),
    (
        "executeCmd",
        Some(r#"{"realCmd":"test \"$a\" = 'b;'","varsDict":{"a":"b;"}}"#),
        "true",
    ),
    (
        "replaceTag",
        Some(r#"{"query":"x <a> <ip> <b> <matches> <br>|<sp>|","aInfo":{"a":"<b>;","b":"q"}}"#),
        r#""x q; <ip> q <matches> \n| |""#,
    ),
    (
        "replaceTag",
        Some(
            r#"{"query":"<a>","aInfo":{"a":"<b>","b":"q","b?family=inet6":"Q"},"conditional":"family=inet6"}"#,
        ),
        r#""Q""#,
    ),
    (
        "replaceTag",
        Some(r#"{"query":"<a> <b> <c>","aInfo":{"a":5,"b":null,"c":[1,"d",true]}}"#),
        r#""5 <b> [1, 'd', True]""#,
    ),
    (
        "replaceDynamicTags",
        Some(
            r#"{"realCmd":"x <a> <ip> <F-USER> <F-NO> <br>|","aInfo":{"a":"<b>;","F-*":{"user":"a b;"}}}"#,
        ),
        r#"["f2bV_a=$0 f2bV_F_user=$1 \nx $f2bV_a <ip> $f2bV_F_user  <br>|","<b>;","a b;"]"#,
    ),
    (
        "replaceDynamicTags",
        Some(r#"{"realCmd":"x <ip>","aInfo":{"ip":"q"}}"#),
        r#""x q""#,
    ),
];

#[test]
fn methods_answer_as_the_originals_do() {
    let mut shell = shell(&[("actionban", "true")]);
    for (method, json, expected) in ANSWERS {
        assert_eq!(
            called(&mut shell, method, json),
            expected,
            "{method} {json:?}"
        );
    }
}

const COMPLAINTS: [Row; 13] = [
    (
        "ban",
        None,
        "TypeError: CommandAction.ban() missing 1 required positional argument: 'aInfo'",
    ),
    (
        "ban",
        Some(r#"{"aInfo":{},"q":1}"#),
        "TypeError: CommandAction.ban() got an unexpected keyword argument 'q'",
    ),
    (
        "ban",
        Some(r#"{"aInfo":"x"}"#),
        "AttributeError: 'str' object has no attribute 'get'",
    ),
    (
        "flush",
        Some(r#"{"x":1}"#),
        "TypeError: CommandAction.flush() got an unexpected keyword argument 'x'",
    ),
    (
        "flush",
        Some("1"),
        "TypeError: fail2ban.server.action.CommandAction.flush() argument after ** must be a mapping, not int",
    ),
    (
        "start",
        Some("null"),
        "TypeError: fail2ban.server.action.CommandAction.start() argument after ** must be a mapping, not NoneType",
    ),
    (
        "start",
        Some("x"),
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    ),
    (
        "start",
        Some(""),
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    ),
    (
        "escapeTag",
        Some("{}"),
        "TypeError: CommandAction.escapeTag() missing 1 required positional argument: 'value'",
    ),
    (
        "escapeTag",
        Some(r#"{"value":5}"#),
        "TypeError: expected string or bytes-like object, got 'int'",
    ),
    (
        "replaceTag",
        Some("{}"),
        "TypeError: CommandAction.replaceTag() missing 2 required positional arguments: 'query' and 'aInfo'",
    ),
    (
        "replaceTag",
        Some(r#"{"query":"x <a>","aInfo":{"a":"<b>","b":"<a>"}}"#),
        "ValueError: properties contain self referencing definitions and cannot be resolved, fail tag: a, found: a in {'b': 1}, value: <a>",
    ),
    (
        "nosuch",
        None,
        "AttributeError: 'CommandAction' object has no attribute 'nosuch'",
    ),
];

#[test]
fn wrong_arguments_are_the_originals_exceptions() {
    let mut shell = shell(&[]);
    for (method, json, expected) in COMPLAINTS {
        assert_eq!(
            called(&mut shell, method, json),
            expected,
            "{method} {json:?}"
        );
    }
}

#[test]
fn failures_are_the_originals_exceptions() {
    let names = ["start", "stop", "ban", "unban", "prolong"];
    let options = names.map(|name| (format!("action{name}"), "false".to_owned()));
    let mut options: Vec<(&str, &str)> = options
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let mut shell_false = shell(&options);
    let ticket = r#"{"aInfo":{"ip":"1.2.3.4","family":"inet4"}}"#;
    let rows = [
        (
            "start",
            None,
            "RuntimeError: Error starting action Jail('j')/a: 'Script error'",
        ),
        ("stop", None, "true"),
        ("ban", Some(ticket), "RuntimeError: Error banning 1.2.3.4"),
        ("reban", Some(ticket), "RuntimeError: Error banning 1.2.3.4"),
        (
            "prolong",
            Some(ticket),
            "RuntimeError: Error prolonging 1.2.3.4",
        ),
        ("unban", Some(ticket), "null"),
    ];
    for (method, json, expected) in rows {
        assert_eq!(called(&mut shell_false, method, json), expected, "{method}");
    }
    // Once there is a ban, unbanning fails too.
    options.retain(|(name, _)| *name != "actionban" && *name != "actionstart");
    let mut shell = shell(&options);
    assert_eq!(called(&mut shell, "ban", Some(ticket)), "null");
    let error = "RuntimeError: Error unbanning 1.2.3.4";
    assert_eq!(called(&mut shell, "unban", Some(ticket)), error);
    let error = "RuntimeError: Error stopping action Jail('j')/a: 'Script error'";
    assert_eq!(called(&mut shell, "stop", None), error);
}

#[test]
fn every_method_that_is_listed_can_be_called() {
    let mut shell = shell(&[]);
    for method in ferroban_engine::options::ACTION_METHODS {
        let told = called(&mut shell, method, None);
        assert!(!told.starts_with("AttributeError"), "{method}: {told}");
    }
}
