//! Commands that take their time, and several at once.

use std::fs;
use std::io::Write;

use crate::home::Home;
use crate::raw::Raw;
use crate::support::child::{Running, command, must};
use crate::support::wait::{SOON, until};

#[test]
fn methods_of_an_action_can_be_called() {
    let home = Home::new();
    let _server = home.start();
    home.must_act(&["j1: start"]);
    let call = |words: &[&str]| home.ask(&[&["set", "j1", "action", "record"], words].concat());
    let ticket = r#"{"aInfo": {"ip": "192.0.2.77", "restored": 0}}"#;
    assert_eq!(call(&["ban", ticket]), "None");
    assert_eq!(call(&["unban", ticket]), "None");
    home.must_act(&["j1: ban 192.0.2.77 0", "j1: unban 192.0.2.77"]);
    assert_eq!(
        home.ask(&["get", "j1", "banip"]),
        "",
        "the jail knows nothing of it"
    );
    let run = |script: &str| call(&["executeCmd", &format!(r#"{{"realCmd": "{script}"}}"#)]);
    assert_eq!(
        (run("true"), run("exit 3")),
        ("True".into(), "False".into())
    );
    until(SOON, "the failure is told", || {
        let told = |line: &String| {
            line.starts_with("fail2ban.utils ERROR ") && line.ends_with(" -- returned 3")
        };
        home.log().iter().any(told)
    });
    assert_eq!(
        call(&["actionban", "echo other <ip> >>/dev/null"]),
        "echo other <ip> >>/dev/null"
    );
    assert_eq!(call(&["stop"]), "True");
    home.must_act(&["j1: stop"]);
    let rows = [
        (
            &["set", "j1", "action", "nosuch", "ban", "{}"],
            "'Invalid Action name: nosuch'",
        ),
        (
            &["set", "j1", "action", "record", "ban", r#"{"aInfo": 1}"#],
            "'int' object has no attribute 'get'",
        ),
        (
            &["set", "j1", "action", "record", "ban", "x"],
            "Expecting value: line 1 column 1 (char 0)",
        ),
    ];
    for (words, printed) in rows {
        let done = home.client(words);
        assert_eq!(
            (done.code, done.stdout.trim_end()),
            (Some(255), printed),
            "{done:?}"
        );
    }
}

#[test]
fn commands_sent_together_are_answered_one_after_the_other() {
    let home = Home::new();
    let _server = home.start();
    let mut client = Raw::open(&home.path("sock"));
    client.send(&[
        &["set", "j1", "banip", "192.0.2.8"],
        &["get", "j1", "banip"],
        &["status", "nosuch"],
        &["set", "j1", "unbanip", "192.0.2.8"],
        &["get", "j1", "banip"],
        &["ping"],
    ]);
    let replies: Vec<String> = (0..6).map(|_| client.reply()).collect();
    let expected = [
        "(0, 1)",
        "(0, ['192.0.2.8'])",
        "(1, UnknownJailException('nosuch'))",
        "(0, 1)",
        "(0, [])",
        "(0, 'pong')",
    ];
    assert_eq!(replies, expected);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0", "j1: unban 192.0.2.8"]);
}

#[test]
fn a_client_that_sleeps_holds_up_nobody() {
    let home = Home::new();
    let _server = home.start();
    let mut sleeper = Raw::open(&home.path("sock"));
    sleeper.send(&[&["ping"], &["sleep", "3600"], &["ping"]]);
    assert_eq!(sleeper.reply(), "(0, 'pong')");
    // If the sleep took what all share, one of these would not be answered.
    for _ in 0..20 {
        let mut other = Raw::open(&home.path("sock"));
        other.send(&[&["ping"], &["sleep", "0.01"], &["status"]]);
        assert_eq!(
            (other.reply(), other.reply()),
            ("(0, 'pong')".into(), "(0, None)".into())
        );
        assert!(other.reply().starts_with("(0, [('Number of jail', 1)"));
    }
}

#[test]
fn a_slow_action_holds_up_whoever_asked_for_it_and_nobody_else() {
    let home = Home::new();
    let fifo = home.path("gate");
    must(command("mkfifo").arg(&fifo));
    home.write(
        "conf/action.d/record.local",
        "[Definition]\nactionban = echo '<name>: asked <ip>' >>@/acts\n \
         read answer <@/gate\n echo \"<name>: ban <ip> $answer\" >>@/acts\n",
    );
    home.write("conf/jail.local", "[j2]\nenabled = true\n");
    let _server = home.start();
    let mut slow = Running::start(&mut home.client_command(&["set", "j1", "banip", "192.0.2.8"]));
    until(SOON, "the action waits", || {
        home.acts().contains(&"j1: asked 192.0.2.8".to_owned())
    });
    assert_eq!(home.ask(&["ping"]), "Server replied: pong");
    for jail in ["j1", "j2"] {
        let status = home.ask(&["status", jail]);
        assert!(status.starts_with("Status for the jail"), "{status}");
    }
    assert_eq!(
        home.ask(&["get", "j1", "banip"]),
        "192.0.2.8",
        "it is decided"
    );
    assert_eq!(home.ask(&["set", "j2", "maxretry", "7"]), "7");
    assert!(slow.runs(), "the reply waits for the action");
    let mut gate = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    gate.write_all(b"go\n").unwrap();
    drop(gate);
    assert!(slow.finish(SOON).succeeded("1\n"));
    let acts = home.acts();
    assert_eq!(
        acts.last().map(String::as_str),
        Some("j1: ban 192.0.2.8 go")
    );
}
