//! From the start to the end: in the background, in the foreground, by signals, by force.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::home::{Home, STOPPED, lines, told};
use crate::support::child::Done;
use crate::support::wait::{SOON, until};

/// What every server logs at its end, once its jails have ended.
const EXIT: &str = "fail2ban.server INFO Exiting Fail2ban";

#[test]
fn a_life_in_the_background_from_the_start_to_the_stop() {
    let home = Home::new();
    let server = home.start();
    assert_eq!(server.proc("comm"), "fail2ban-server");
    let folder = fs::read_link(format!("/proc/{}/cwd", server.pid)).unwrap();
    assert_eq!(folder, Path::new("/"), "it holds nobody's folder");
    assert_eq!(home.read("pid"), format!("{}\n", server.pid));
    until(SOON, "the action starts", || home.path("acts").exists());
    let modes = ["pid", "sock", "server.log", "db", "acts"].map(|name| home.mode(name));
    assert_eq!(modes, [0o600, 0o700, 0o600, 0o600, 0o600]);
    home.must_act(&["j1: start"]);

    let time = home.fail(&["192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.9"]);
    home.must_act(&["j1: ban 192.0.2.7 0"]);
    let status = "Status for the jail: j1\n\
         |- Filter\n|  |- Currently failed:\t1\n|  |- Total failed:\t4\n\
         |  `- File list:\t@/test.log\n\
         `- Actions\n   |- Currently banned:\t1\n   |- Total banned:\t1\n   \
         `- Banned IP list:\t192.0.2.7";
    let mut found = String::new();
    until(SOON, "the last line is read", || {
        found = home.ask(&["status", "j1"]);
        found.contains("Total failed:\t4")
    });
    assert_eq!(found, home.filled(status));
    assert_eq!(home.ask(&["unban", "192.0.2.7"]), "1");
    home.must_act(&["j1: unban 192.0.2.7"]);
    assert_eq!(
        home.ask(&["set", "j1", "banip", "2001:db8::8", "198.51.100.8"]),
        "2"
    );
    home.must_act(&["j1: ban 2001:db8::8 0", "j1: ban 198.51.100.8 0"]);
    assert_eq!(home.ask(&["unban", "--all"]), "2");
    home.must_act(&["j1: unban 2001:db8::8", "j1: unban 198.51.100.8"]);
    assert_eq!(home.ask(&["set", "j1", "banip", "192.0.2.10"]), "1");
    assert_eq!(home.ask(&["stop"]), STOPPED);
    server.must_end();
    home.must_act(&["j1: ban 192.0.2.10 0", "j1: unban 192.0.2.10", "j1: stop"]);
    assert!(!home.path("sock").exists() && !home.path("pid").exists());
    assert_eq!(told(&home.read("server.log")), whole_life(&home, &time));
}

/// The log of that life.
fn whole_life(home: &Home, time: &str) -> Vec<String> {
    let found = |ip: &str| format!("fail2ban.filter INFO [j1] Found {ip} - {time}\n");
    let found = [found("192.0.2.7").repeat(3), found("192.0.2.9")];
    let log = [
        "fail2ban.server INFO --------------------------------------------------\n\
         fail2ban.server INFO Starting Fail2ban v1.1.1\n\
         fail2ban.server INFO Daemon started\n\
         fail2ban.observer INFO Observer start...\n\
         fail2ban.database INFO Connected to fail2ban persistent database '@/db'\n\
         fail2ban.database WARNING New database created. Version '4'\n\
         fail2ban.jail INFO Creating new jail 'j1'\n\
         fail2ban.jail INFO Jail 'j1' uses poller {}\n\
         fail2ban.jail INFO Initiated 'polling' backend\n\
         fail2ban.filter INFO   maxRetry: 3\n\
         fail2ban.filter INFO   findtime: 600\n\
         fail2ban.actions INFO   banTime: 600\n\
         fail2ban.filter INFO Added logfile: '@/test.log' (pos = 0, hash = )\n\
         fail2ban.jail INFO Jail 'j1' started\n\
         fail2ban.datedetector INFO   default date pattern: 31 template(s)\n",
        &found[0],
        "fail2ban.actions NOTICE [j1] Ban 192.0.2.7\n",
        &found[1],
        "fail2ban.actions NOTICE [j1] Unban 192.0.2.7\n\
         fail2ban.actions NOTICE [j1] Ban 2001:db8::8\n\
         fail2ban.actions NOTICE [j1] Ban 198.51.100.8\n\
         fail2ban.actions NOTICE [j1] Unban 2001:db8::8\n\
         fail2ban.actions NOTICE [j1] Unban 198.51.100.8\n\
         fail2ban.actions NOTICE [j1] Ban 192.0.2.10\n\
         fail2ban.server INFO Shutdown in progress...\n\
         fail2ban.observer INFO Observer stop ... try to end queue 5 seconds\n\
         fail2ban.observer INFO Observer stopped, 0 events remaining.\n\
         fail2ban.server INFO Stopping all jails\n\
         fail2ban.filter INFO Removed logfile: '@/test.log'\n\
         fail2ban.actions NOTICE [j1] Repeal Ban 192.0.2.10\n\
         fail2ban.jail INFO Jail 'j1' stopped\n\
         fail2ban.database INFO Connection to database closed.\n",
        EXIT,
    ];
    lines(&home.filled(&log.concat()))
}

/// `actionflush` lifts all bans of a family at once, at the stop too.
#[test]
fn an_action_that_can_lift_all_bans_at_once_does() {
    let home = Home::new();
    home.write("conf/jail.local", "[j1]\naction = other\n");
    let server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8", "2001:db8::8"]);
    home.must_act(&[
        "j1: other start",
        "j1: other ban 192.0.2.8 0",
        "j1: other ban 2001:db8::8 0",
    ]);
    assert_eq!(home.ask(&["unban", "--all"]), "2");
    home.must_act(&["j1: other flush"]);
    home.ask(&["set", "j1", "banip", "192.0.2.9"]);
    assert_eq!(home.ask(&["stop"]), STOPPED);
    server.must_end();
    home.must_act(&[
        "j1: other ban 192.0.2.9 0",
        "j1: other flush",
        "j1: other stop",
    ]);
    let flushed = "fail2ban.actions NOTICE [j1] Flush ticket(s) with other".to_owned();
    let count = home.log().iter().filter(|line| **line == flushed).count();
    assert_eq!(count, 2, "{:#?}", home.log());
}

#[test]
fn signals_end_a_server_in_the_foreground_in_order() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let server = home.foreground(&[]);
        assert_eq!(home.read("pid"), format!("{}\n", server.id()));
        let name = fs::read_to_string(format!("/proc/{}/comm", server.id())).unwrap();
        assert_eq!(name, "fail2ban-server\n");
        home.must_act(&["j1: start"]);
        server.signal(signal);
        let Done {
            code,
            stdout,
            stderr,
        } = server.finish(SOON);
        let said = (code, stdout.as_str(), stderr.as_str());
        assert_eq!(said, (Some(0), "Server ready\n", ""), "{signal:?}");
        home.must_act(&["j1: stop"]);
        assert!(!home.path("sock").exists() && !home.path("pid").exists());
        assert_eq!(
            home.log().last().map(String::as_str),
            Some(EXIT),
            "{signal:?}"
        );
    }
    let daemon = "fail2ban.server INFO Daemon started".to_owned();
    assert!(
        !home.log().contains(&daemon),
        "it is none in the foreground"
    );
}

#[test]
fn a_signal_opens_the_log_again_and_the_end_of_a_terminal_means_nothing_behind() {
    let home = Home::new();
    let server = home.start();
    fs::rename(home.path("server.log"), home.path("server.log.1")).unwrap();
    // Signals are taken in the order of their numbers.
    server.signal(Signal::HUP);
    server.signal(Signal::USR1);
    home.must_tell("fail2ban.server INFO rollover performed on @/server.log");
    assert_eq!(home.ask(&["ping"]), "Server replied: pong");
    assert_eq!(home.mode("server.log"), 0o600);
    assert_eq!(home.log().len(), 1, "{:#?}", home.log());
    server.signal(Signal::TERM);
    server.must_end();
    assert!(!home.path("sock").exists() && !home.path("pid").exists());
}

#[test]
fn a_server_that_was_killed_is_taken_over_and_its_bans_are_kept() {
    for force in [false, true] {
        taken_over(force);
    }
}

/// `-x` is what the original wants for this, and told as there.
fn taken_over(force: bool) {
    let home = Home::new();
    let server = home.start();
    home.ask(&["set", "j1", "banip", "192.0.2.8"]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 0"]);
    server.signal(Signal::KILL);
    server.must_end();
    assert!(home.path("sock").exists() && home.path("pid").exists());
    home.must_refuse(
        &["status"],
        "",
        "fail2ban ERROR [[Errno 111] Connection refused] Unable to contact server. Is it running?",
    );
    let words: &[&str] = if force { &["-x", "start"] } else { &["start"] };
    assert_eq!(home.ask(words), "Server ready");
    home.must_act(&["j1: start", "j1: ban 192.0.2.8 1"]);
    let told: &[&str] = if force {
        &[
            "fail2ban.asyncserver ERROR Fail2ban seems to be already running",
            "fail2ban.asyncserver WARNING Forcing execution of the server",
        ]
    } else {
        &["ferroban.guard WARNING @/sock: socket left behind by a server that died; removed"]
    };
    for line in told {
        home.must_tell(line);
    }
    home.must_tell("fail2ban.actions NOTICE [j1] Restore Ban 192.0.2.8");
    assert_eq!(home.ask(&["get", "j1", "banip"]), "192.0.2.8");
}

#[test]
fn a_second_server_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let server = home.start();
    let running = "fail2ban ERROR Server already running";
    for words in [&["start"][..], &["-x", "start"], &["-f", "start"]] {
        home.must_refuse(words, "", running);
    }
    let failed = "fail2ban ERROR Async configuration of server failed";
    for words in [&[][..], &["-x"], &["-xf", "start"]] {
        let done = home.server(words);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (Some(255), ""),
            "{words:?}"
        );
        assert_eq!(lines(&done.stderr), [running, failed], "{words:?}");
    }
    assert_eq!(home.background().pid, server.pid);
    assert_eq!(home.ask(&["ping"]), "Server replied: pong");
}

#[test]
fn a_server_is_called_what_it_is_told() {
    let home = Home::new();
    let done = home.server(&["--pname", "guardian", "start"]);
    assert!(done.succeeded("Server ready\n"), "{done:?}");
    assert_eq!(home.background().proc("comm"), "guardian");
    assert_eq!(home.ask(&["stop"]), STOPPED);
    let server = home.foreground(&["--pname", "guardian-of-the-gate"]);
    let name = fs::read_to_string(format!("/proc/{}/comm", server.id())).unwrap();
    assert_eq!(name, "guardian-of-the\n", "as much as the kernel keeps");
}

#[test]
fn a_start_that_is_told_nonsense_leaves_a_server_without_jails() {
    let home = Home::new();
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nlogtarget = /nonexistent/log\n",
    );
    let refused = ["fail2ban ERROR NOK: ('Failed to change log target',)"];
    let done = home.client(&["start"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(255), "Server ready\n")
    );
    assert_eq!(lines(&done.stderr), refused);
    assert_eq!(
        home.ask(&["status"]),
        "Status\n|- Number of jail:\t0\n`- Jail list:\t"
    );
    assert_eq!(home.acts(), [""; 0]);
    assert_eq!(home.ask(&["get", "dbfile"]), "Database currently disabled");
    // The same configuration put right is enough.
    home.remove("conf/fail2ban.local");
    assert_eq!(home.ask(&["reload"]), "OK");
    home.must_act(&["j1: start"]);
    assert_eq!(home.ask(&["stop"]), STOPPED);
    home.must_act(&["j1: stop"]);

    // In the foreground nobody is left to put it right.
    home.write(
        "conf/fail2ban.local",
        "[Definition]\nlogtarget = /nonexistent/log\n",
    );
    let done = home.server(&["-f", "start"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(255), "Server ready\n")
    );
    assert_eq!(lines(&done.stderr), refused);
    assert!(!home.path("sock").exists() && !home.path("pid").exists());
}

#[test]
fn bans_outlive_a_restart_through_the_database() {
    let home = Home::new();
    let first = home.start();
    home.fail(&["192.0.2.7"; 3]);
    home.must_act(&["j1: start", "j1: ban 192.0.2.7 0"]);
    assert_eq!(home.ask(&["restart"]), format!("{STOPPED}\nServer ready"));
    assert_ne!(home.background().pid, first.pid);
    home.must_act(&[
        "j1: unban 192.0.2.7",
        "j1: stop",
        "j1: start",
        "j1: ban 192.0.2.7 1",
    ]);
    home.must_tell("fail2ban.actions NOTICE [j1] Restore Ban 192.0.2.7");
    assert_eq!(home.ask(&["get", "j1", "banip"]), "192.0.2.7");
    // What was read before is not read again.
    home.fail(&["192.0.2.6"; 3]);
    home.must_act(&["j1: ban 192.0.2.6 0"]);
    let status = home.ask(&["status", "j1"]);
    assert!(status.contains("Total failed:\t3\n"), "{status}");
}
