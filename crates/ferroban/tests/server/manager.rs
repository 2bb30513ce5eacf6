//! What a service manager expects of a server: signs of life, and its socket.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::Signal;

use crate::ear::{datagrams, ear, shown};
use crate::home::{Home, STOPPED};
use crate::raw::Raw;
use crate::support::child::{Running, run};
use crate::support::wait::SOON;

/// A command that a shell becomes, so that its process id is known before.
fn becomes(script: &str, command: &Command) -> Command {
    let mut shell = crate::support::child::command("/bin/sh");
    shell.args(["-c", &format!("{script}\nexec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
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
    let plain = home.server_command(&["--async", "-f"]);
    let mut command = becomes(script, &plain);
    let server = Running::start_on(
        &mut command,
        OwnedFd::from(listener.try_clone().unwrap()).into(),
    );
    assert_eq!(early.reply(), "(0, 'pong')");
    let line = "fail2ban.asyncserver INFO Using socket activation, inherited socket '@/sock'";
    home.must_tell(line);
    assert_eq!(home.ask(&["ping"]), "Server replied: pong");
    assert_eq!(home.ask(&["stop"]), STOPPED);
    assert_eq!(server.finish(SOON).code, Some(0));
    assert!(home.path("sock").exists() && !home.path("pid").exists());
    drop(listener);
}
