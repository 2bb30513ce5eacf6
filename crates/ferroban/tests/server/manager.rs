//! What a service manager expects of a server: signs of life, and its socket.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::ear::{datagrams, ear, shown};
use crate::home::{Home, STOPPED};
use crate::raw::Raw;
use crate::support::child::{Done, Running, command, run};
use crate::support::wait::SOON;
use crate::support::world::skip;

/// A command that a shell becomes, so that its process id is known before.
fn becomes(script: &str, program: &Command) -> Command {
    let mut shell = command("/bin/sh");
    shell.args(["-c", &format!("{script}\nexec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).args(program.get_args());
    shell
}

#[test]
fn the_service_manager_is_told_of_each_turn() {
    let home = Home::new();
    let manager = ear(&home, "notify");
    let plain = home.server_command(&["-xf", "start"]);
    let script = "export WATCHDOG_PID=$$ WATCHDOG_USEC=200000";
    let mut command = becomes(script, &plain);
    let server = Running::start(command.env("NOTIFY_SOCKET", home.path("notify")));
    let all = shown(&datagrams(&manager, b"READY=1\n"));
    let expected = ["STATUS=1 jail(s) at work\n", "READY=1\n"];
    assert_eq!(all, expected, "it is not ready before");
    let status = home.ask(&["status"]);
    assert!(
        status.ends_with("Jail list:\tj1"),
        "it has its jails: {status}"
    );
    datagrams(&manager, b"WATCHDOG=1\n");
    datagrams(&manager, b"WATCHDOG=1\n");
    server.signal(Signal::TERM);
    datagrams(&manager, b"STOPPING=1\n");
    assert_eq!(server.finish(SOON).code, Some(0));
}

#[test]
fn a_server_that_cannot_start_is_never_ready() {
    let home = Home::new();
    let manager = ear(&home, "notify");
    let mut command = home.server_command(&["-xf", "--logtarget", "/nonexistent/log", "start"]);
    let done = run(command.env("NOTIFY_SOCKET", home.path("notify")));
    assert_eq!(done.code, Some(255));
    let all = shown(&datagrams(&manager, b"STOPPING=1\n"));
    assert!(!all.concat().contains("READY"), "{all:?}");
}

/// As a socket unit does: the socket is there before the server and stays behind it.
#[test]
fn a_socket_that_is_there_already_is_used_and_left() {
    let home = Home::new();
    let listener = UnixListener::bind(home.path("sock")).unwrap();
    fs::set_permissions(home.path("sock"), fs::Permissions::from_mode(0o700)).unwrap();
    // Who asks before the server is there waits.
    let mut early = Raw::open(&home.path("sock"));
    early.send(&[&["ping"]]);
    let script = "exec 3<&0 </dev/null\nexport LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=fail2ban";
    let mut command = becomes(script, &home.server_command(&["-xf", "start"]));
    let input = OwnedFd::from(listener.try_clone().unwrap());
    let server = Running::start_on(&mut command, input.into());
    assert_eq!(early.reply(), "(0, 'pong')");
    home.must_tell("fail2ban.asyncserver INFO Using socket activation, inherited socket '@/sock'");
    home.must_act(&["j1: start"]);
    assert_eq!(home.ask(&["ping"]), "Server replied: pong");
    assert_eq!(home.ask(&["stop"]), STOPPED);
    let done = server.finish(SOON);
    assert!(done.succeeded("Server ready\n"), "{done:?}");
    assert!(home.path("sock").exists() && !home.path("pid").exists());
    drop(listener);
}

/// What another server leaves open is not ours, whatever the variables say.
#[test]
fn a_socket_for_another_process_is_not_taken() {
    let home = Home::new();
    let mut command = home.server_command(&["-f", "start"]);
    command.envs([("LISTEN_PID", "1"), ("LISTEN_FDS", "1")]);
    let server = home.await_ready(&mut command);
    server.signal(Signal::TERM);
    assert_eq!(server.finish(SOON).code, Some(0));
    assert!(!home.path("sock").exists(), "it was its own");
}

const UNITS: [(&str, &str); 2] = [
    (
        "fail2ban.service",
        include_str!("../../../../packaging/systemd/fail2ban.service"),
    ),
    (
        "fail2ban.socket",
        include_str!("../../../../packaging/systemd/fail2ban.socket"),
    ),
];

/// What systemd has to say about the units of a folder.
fn verified(home: &Home, units: &[&str]) -> Done {
    let paths = units.iter().map(|name| home.path(name));
    run(command("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(paths))
}

#[test]
fn systemd_understands_the_units_and_the_stricter_one() {
    let home = Home::new();
    let plain = "[Service]\nExecStart=/bin/true\n";
    home.write("plain.service", plain);
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        return skip("/usr/bin/systemd-analyze is missing; install systemd");
    }
    let able = verified(&home, &["plain.service"]);
    if able.code != Some(0) {
        return skip(&format!("systemd-analyze does not work here: {able:?}"));
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_fail2ban-server"));
    let programs = programs.parent().unwrap().display().to_string();
    for (name, text) in UNITS {
        home.write(name, &text.replace("/usr/bin", &programs));
    }
    let names = UNITS.map(|(name, _)| name);
    let done = verified(&home, &names);
    assert!(done.code == Some(0) && done.stderr.is_empty(), "{done:?}");

    // The lines at the end of the service, as an admin copies them.
    let (_, strict) = UNITS[0].1.split_once("/strict.conf:\n").unwrap();
    let strict: Vec<&str> = strict
        .lines()
        .map_while(|line| line.strip_prefix("#   "))
        .collect();
    assert_eq!(strict.first(), Some(&"[Service]"));
    fs::create_dir(home.path("fail2ban.service.d")).unwrap();
    fs::write(
        home.path("fail2ban.service.d/strict.conf"),
        strict.join("\n"),
    )
    .unwrap();
    let done = verified(&home, &names);
    assert!(done.code == Some(0) && done.stderr.is_empty(), "{done:?}");
    // A line that is wrong would have been seen.
    home.write("plain.service", &format!("{plain}Tpye=notify\n"));
    let done = verified(&home, &["plain.service"]);
    assert!(done.stderr.contains("Tpye"), "{done:?}");
}
