//! Where the log goes, how it looks there, and who is named in it.

use std::fs;

use rustix::process::Signal;

use crate::ear::{datagrams, ear, shown};
use crate::home::{Home, told};
use crate::support::child::Running;
use crate::support::wait::{SOON, until};

#[test]
fn the_log_moves_to_where_it_is_told() {
    let home = Home::new();
    let _server = home.start();
    let moved = home.ask(&["set", "logtarget", &home.filled("@/other.log")]);
    assert_eq!(
        moved,
        home.filled("Current logging target is:\n`- @/other.log")
    );
    let expected = [
        "fail2ban.server INFO Start Fail2ban v1.1.1",
        "fail2ban.server INFO Changed logging target to @/other.log for Fail2ban v1.1.1",
    ];
    let must_be = |expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|line| home.filled(line)).collect();
        let other = || told(&home.read("other.log"));
        until(SOON, "all is told", || other().len() >= expected.len());
        assert_eq!(other(), expected);
    };
    must_be(&expected);
    fs::rename(home.path("other.log"), home.path("other.log.1")).unwrap();
    assert_eq!(home.ask(&["flushlogs"]), "logs: rolled over");
    let rollover = "fail2ban.server INFO rollover performed on @/other.log";
    must_be(&[rollover]);

    home.must_refuse(
        &["set", "logtarget", "/nonexistent/log"],
        "Failed to change log target",
        "fail2ban ERROR NOK: ('Failed to change log target',)",
    );
    must_be(&[
        rollover,
        "fail2ban.server ERROR Unable to log to '/nonexistent/log'",
        "fail2ban.server INFO Logging to previous target '@/other.log'",
        "fail2ban.transmitter ERROR Command ['set', 'logtarget', '/nonexistent/log'] \
         has failed. Received Exception('Failed to change log target')",
    ]);
    let target = home.ask(&["get", "logtarget"]);
    assert_eq!(
        target,
        home.filled("Current logging target is:\n`- @/other.log")
    );
}

#[test]
fn the_log_of_a_server_in_the_foreground_can_be_its_standard_output() {
    let home = Home::new();
    let cases = [
        // Target, what flushing it is answered, what a line has before its text. The
        // original takes this name for that of a file, too.
        (
            "STDOUT",
            "flushed",
            "fail2ban.server         [PID]: INFO    ",
        ),
        (
            "SYSOUT",
            "rolled over",
            "fail2ban.server         [PID]: INFO    ",
        ),
        (
            "STDERR[padding=off, datetime=off]",
            "flushed",
            "fail2ban.server[PID]: INFO ",
        ),
    ];
    for (target, flushed, before) in cases {
        let name = target.split('[').next().unwrap_or_default();
        let server = home.foreground(&["--logtarget", target]);
        let pid = server.id();
        assert_eq!(home.ask(&["flushlogs"]), format!("logs: {flushed}"));
        server.signal(Signal::TERM);
        let done = server.finish(SOON);
        let said = if name == "STDERR" {
            &done.stderr
        } else {
            &done.stdout
        };
        let text = format!("{before}flush performed on {name}").replace("PID", &pid.to_string());
        let line = said.lines().find(|line| line.ends_with(&text));
        let line = line.unwrap_or_else(|| panic!("{target}: {done:?}"));
        let date = if name == "STDOUT" { 24 } else { 0 };
        assert_eq!(line.len() - text.len(), date, "{line}");
    }
}

#[test]
fn syslog_gets_each_line_as_a_datagram_that_ends_with_a_zero() {
    let home = Home::new();
    let syslog = ear(&home, "log.sock");
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nlogtarget = SYSLOG\nsyslogsocket = @/log.sock\n",
    );
    let server = home.start();
    let pid = server.pid;
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    let ban = format!("<29>fail2ban.actions[{pid}]: NOTICE [j1] Ban 192.0.2.8\0");
    let all = shown(&datagrams(&syslog, ban.as_bytes()));
    let expected = [
        format!("<30>fail2ban.server[{pid}]: INFO {}\0", "-".repeat(50)),
        format!("<30>fail2ban.server[{pid}]: INFO Starting Fail2ban v1.1.1\0"),
        format!("<30>fail2ban.server[{pid}]: INFO Daemon started\0"),
    ];
    assert_eq!(all.get(..3), Some(&expected[..]));
    let warning =
        format!("<28>fail2ban.database[{pid}]: WARNING New database created. Version '4'\0");
    assert!(all.contains(&warning), "{all:#?}");
    home.client(&["status", "nosuch"]);
    let refused = format!(
        "<27>fail2ban.transmitter[{pid}]: ERROR Command ['status', 'nosuch'] has failed. \
         Received UnknownJailException('nosuch')\0"
    );
    datagrams(&syslog, refused.as_bytes());
    assert_eq!(home.ask(&["flushlogs"]), "logs: flushed");
    let flushed = format!("<30>fail2ban.server[{pid}]: INFO flush performed on SYSLOG\0");
    datagrams(&syslog, flushed.as_bytes());

    home.ask(&["set", "logtarget", &home.filled("@/server.log")]);
    home.ask(&["set", "logtarget", "SYSLOG[facility=local5, padding=on]"]);
    let changed = format!(
        "<174>fail2ban.server         [{pid}]: INFO    Changed logging target to SYSLOG \
         ({}) for Fail2ban v1.1.1\0",
        home.filled("@/log.sock")
    );
    let all = shown(&datagrams(&syslog, changed.as_bytes()));
    let start = format!("<174>fail2ban.server         [{pid}]: INFO    Start Fail2ban v1.1.1\0");
    assert!(all.contains(&start), "{all:#?}");
}

#[test]
fn a_log_of_json_has_an_object_a_line() {
    let home = Home::new();
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nlogtarget = @/server.log[json=on]\n",
    );
    let server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.ask(&["stop"]);
    server.must_end();
    let log = home.read("server.log");
    let object = |line: &str| -> serde_json::Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let objects: Vec<serde_json::Value> = log.lines().map(object).collect();
    let ban = objects
        .iter()
        .find(|object| object["event"]["event"] == "banned");
    let ban = ban.unwrap_or_else(|| panic!("no ban: {log}"));
    assert_eq!(ban["event"]["jail"], "j1");
    assert_eq!(ban["message"], "[j1] Ban 192.0.2.8");
    assert_eq!(ban["level"], "NOTICE");
    assert_eq!(objects.last().unwrap()["message"], "Exiting Fail2ban");
}

#[test]
fn who_changes_something_is_logged() {
    let home = Home::new();
    home.write("conf/fail2ban.local", "[Definition]\nloglevel = MSG\n");
    let _server = home.start();
    let uid = rustix::process::geteuid().as_raw();
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let login = login
        .trim()
        .parse()
        .ok()
        .filter(|login: &u32| *login != u32::MAX);
    // Root's own programs are told more quietly than people and others.
    let level = if login.is_some() || uid != 0 {
        "INFO"
    } else {
        "MSG"
    };
    let who = match login {
        Some(login) if login != uid => format!("uid {login} as uid {uid}"),
        _ => format!("uid {uid}"),
    };
    let client = Running::start(&mut home.client_command(&["set", "j1", "banip", "192.0.2.8"]));
    let pid = client.id();
    assert!(client.finish(SOON).succeeded("1\n"));
    home.must_tell(&format!(
        "ferroban.control {level} {who}, pid {pid}: set j1 banip 192.0.2.8"
    ));
    home.ask(&["status"]);
    home.ask(&["get", "j1", "banip"]);
    let log = home.log();
    let changes = log
        .iter()
        .filter(|line| line.starts_with("ferroban.control "));
    let words: Vec<&str> = changes
        .filter_map(|line| line.rsplit_once(": ").map(|(_, words)| words))
        .collect();
    assert!(words[0].starts_with("server-stream ["), "{words:?}");
    assert_eq!(
        words.get(1..),
        Some(&["set j1 banip 192.0.2.8"][..]),
        "questions change nothing"
    );
}
