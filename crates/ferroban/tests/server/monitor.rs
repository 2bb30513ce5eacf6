//! The socket for those who may look and not order.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::home::{Home, STOPPED, lines};
use crate::support::child::{command, run};
use crate::support::wait::{SOON, until};
use crate::support::world::skip;

/// What may be asked on the monitor's socket, and what is answered.
const HARMLESS: [(&[&str], &str); 13] = [
    (&["ping"], "Server replied: pong"),
    (&["version"], "1.1.1"),
    (
        &["status"],
        "Status\n|- Number of jail:\t1\n`- Jail list:\tj1",
    ),
    (
        &["status", "j1"],
        "Status for the jail: j1\n\
         |- Filter\n|  |- Currently failed:\t0\n|  |- Total failed:\t0\n|  `- File list:\t\n\
         `- Actions\n   |- Currently banned:\t1\n   |- Total banned:\t1\n   \
         `- Banned IP list:\t192.0.2.8",
    ),
    (
        &["status", "--all"],
        "Status\n|- Number of jail:\t1\n|- Jail list:\tj1\n`- Status for the jails:\n   \
         `- Jail: j1\n      |- Filter\n      |  |- Currently failed:\t0\n      \
         |  |- Total failed:\t0\n      |  `- File list:\t\n      `- Actions\n         |- Currently banned:\t1\n         \
         |- Total banned:\t1\n         `- Banned IP list:\t192.0.2.8",
    ),
    (&["banned"], "[{'j1': ['192.0.2.8']}]"),
    (&["banned", "192.0.2.8"], "[['j1']]"),
    (&["get", "j1", "banip"], "192.0.2.8"),
    (&["get", "j1", "banned"], "['192.0.2.8']"),
    (&["get", "j1", "bantime"], "600"),
    (&["get", "j1", "findtime"], "600"),
    (&["get", "j1", "maxretry"], "3"),
    (&["get", "j1", "banned", "192.0.2.9"], "0"),
];

/// What may not.
const REFUSED: [&[&str]; 27] = [
    &["stop"],
    &["stop", "j1"],
    &["start", "j1"],
    &["add", "j2"],
    &["set", "j1", "banip", "192.0.2.9"],
    &["set", "j1", "unbanip", "192.0.2.8"],
    &["set", "j1", "attempt", "192.0.2.9"],
    &["set", "j1", "maxretry", "1"],
    &["set", "j1", "action", "record", "actionban", "true"],
    &["set", "j1", "action", "record", "start"],
    &["set", "loglevel", "DEBUG"],
    &["set", "logtarget", "STDOUT"],
    &["set", "dbfile", "none"],
    &["unban", "--all"],
    &["unban", "192.0.2.8"],
    &["flushlogs"],
    &["config-error", "x"],
    &["sleep", "1"],
    &["echo", "x"],
    &["server-status"],
    &["get", "loglevel"],
    &["get", "dbfile"],
    &["get", "j1", "logpath"],
    &["get", "j1", "failregex"],
    &["get", "j1", "ignoreip"],
    &["get", "j1", "action", "record", "actionban"],
    &["ferroban", "events"],
];

#[test]
fn the_monitors_socket_answers_harmless_questions_and_no_others() {
    let home = Home::new();
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nmonitorsocket = @/monitor\nmonitormode = 0600\n",
    );
    let server = home.start();
    assert_eq!(home.mode("monitor"), 0o600);
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    let monitor = home.filled("@/monitor");
    let ask = |words: &[&str]| home.client(&[&["-s", &monitor], words].concat());
    for (words, expected) in HARMLESS {
        let done = ask(words);
        assert_eq!(
            (done.code, done.stderr.as_str()),
            (Some(0), ""),
            "{words:?}"
        );
        assert_eq!(done.stdout.trim_end_matches('\n'), expected, "{words:?}");
    }
    let table = ask(&["stats"]);
    assert!(
        table
            .stdout
            .contains(" j1       ║ polling  ║   0 │   0 ║   1 │   1\n"),
        "{table:?}"
    );
    let denied = "Permission denied: this socket answers harmless questions only";
    for words in REFUSED {
        let done = ask(words);
        assert_eq!(
            (done.code, done.stdout.trim_end()),
            (Some(255), denied),
            "{words:?}"
        );
        let told = format!("fail2ban ERROR NOK: ('{denied}',)");
        assert_eq!(lines(&done.stderr), [told], "{words:?}");
    }
    // Whole configurations neither.
    let done = ask(&["reload"]);
    assert_eq!(
        (done.code, done.stdout.trim_end()),
        (Some(255), denied),
        "{done:?}"
    );
    assert_eq!(home.ask(&["get", "j1", "banip"]), "192.0.2.8");

    home.remove("conf/fail2ban.local");
    assert_eq!(home.ask(&["reload", "j1"]), "OK");
    assert!(
        !home.path("monitor").exists(),
        "it is closed when it is not wanted any more"
    );
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nmonitorsocket = @/monitor2\n",
    );
    assert_eq!(home.ask(&["reload"]), "OK");
    assert_eq!(home.mode("monitor2"), 0o660);
    assert_eq!(home.ask(&["stop"]), STOPPED);
    server.must_end();
    assert!(!home.path("monitor2").exists());
}

/// A group without an entry anywhere.
const GROUP: &str = "54321";

#[test]
fn the_monitors_socket_is_for_its_group_alone() {
    if !rustix::process::geteuid().is_root() {
        return skip("needs root, to become a user of a group");
    }
    let home = Home::new();
    // The group must be able to come this far, with a program of its own.
    let open = |name: &str, mode| {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = home.path("fail2ban-client");
    fs::copy(env!("CARGO_BIN_EXE_fail2ban-client"), &program).unwrap();
    for (name, mode) in [
        ("", 0o755),
        ("conf", 0o755),
        ("fail2ban-client", 0o755),
        ("conf/fail2ban.conf", 0o644),
    ] {
        open(name, mode);
    }
    let options = "[Definition]\nmonitorsocket = @/monitor\nmonitorgroup = 54321\n";
    home.write("conf/fail2ban.local", options);
    let _server = home.start();
    open("conf/fail2ban.local", 0o644);
    assert_eq!(home.mode("monitor"), 0o660);
    let found = fs::metadata(home.path("monitor")).unwrap();
    assert_eq!((found.uid(), found.gid().to_string().as_str()), (0, GROUP));
    let ask = |groups: &str, socket: &str| {
        let who = ["--reuid", "65534", "--regid", "65534", "--groups", groups];
        let mut command = command("setpriv");
        command
            .args(who)
            .arg(&program)
            .arg("-c")
            .arg(home.path("conf"));
        run(command.args(["-s", &home.filled(socket), "ping"]))
    };
    let done = ask(GROUP, "@/monitor");
    assert!(done.succeeded("Server replied: pong\n"), "{done:?}");
    for (groups, socket) in [("65534", "@/monitor"), (GROUP, "@/sock")] {
        let done = ask(groups, socket);
        let told = format!(
            "fail2ban ERROR Permission denied to socket: {}, (you must be root)",
            home.filled(socket)
        );
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (Some(255), ""),
            "{done:?}"
        );
        assert_eq!(lines(&done.stderr), [told]);
    }
}

#[test]
fn a_monitors_socket_that_cannot_be_is_told_and_keeps_nothing_from_starting() {
    let home = Home::new();
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nmonitorsocket = @/test.log\n",
    );
    let _server = home.start();
    home.must_act(&["j1: start"]);
    let what = "this is no socket and was not made by us";
    until(SOON, "it is told", || {
        let told =
            |line: &String| line.starts_with("ferroban.control ERROR ") && line.contains(what);
        home.log().iter().any(told)
    });
    assert_eq!(home.read("test.log"), "", "it is left alone");
}
