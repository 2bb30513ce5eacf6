//! The service of OpenRC, run by OpenRC.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::logs::rsyslog;
use crate::machine::{Machine, log, on_machine};
use crate::support::child::{Done, command, must, run};

const SCRIPT: &str = include_str!("../../../../packaging/openrc/fail2ban.initd");
const OPTIONS: &str = include_str!("../../../../packaging/openrc/fail2ban.confd");

/// What OpenRC has in memory once a machine is up.
const FOLDERS: &str = "
cd /run && mkdir -p openrc && cd openrc
mkdir starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp
touch softlevel
";

fn service(word: &str) -> Done {
    run(command("/etc/init.d/fail2ban").arg(word))
}

fn must_succeed(word: &str) -> String {
    let done = service(word);
    assert_eq!(done.code, Some(0), "{word}: {done:?}");
    done.stdout + &done.stderr
}

fn installed(machine: &Machine<'_>) {
    machine.take_stock();
    machine.install();
    machine.edit("ssh-iptables", "enabled = false", "enabled = true");
    fs::write("/etc/init.d/fail2ban", SCRIPT).unwrap();
    fs::set_permissions("/etc/init.d/fail2ban", fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all("/etc/conf.d").unwrap();
    fs::write("/etc/conf.d/fail2ban", OPTIONS).unwrap();
    must(command("/bin/sh").args(["-eu", "-c", FOLDERS]));
}

/// The command line of the server.
fn arguments() -> String {
    let pid = fs::read_to_string("/run/fail2ban/fail2ban.pid").unwrap();
    let line = fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap();
    String::from_utf8(line).unwrap().replace('\0', " ")
}

#[test]
fn the_service_starts_reloads_tells_and_stops() {
    on_machine(|machine| {
        installed(machine);
        let _log_daemon = rsyslog(machine);
        must(command("/usr/sbin/rc-update").args(["add", "fail2ban", "default"]));
        assert!(Path::new("/etc/runlevels/default/fail2ban").exists());
        assert_eq!(service("status").code, Some(3), "stopped");

        must_succeed("start");
        assert!(
            arguments().contains(" -b ") && arguments().contains(" -v "),
            "{}",
            arguments()
        );
        assert!(!arguments().contains(" -x "), "{}", arguments());
        assert!(must_succeed("status").contains("Jail list:\tssh-iptables"));
        must_succeed("reload");
        assert!(log().contains("Reload finished."), "{}", log());

        // What is wrong is told, by a word of its own and by the reload, and nothing stops.
        machine.edit("ssh-iptables", "filter = sshd", "filter = nosuch");
        for word in ["configtest", "reload"] {
            let done = service(word);
            let said = done.stdout.clone() + &done.stderr;
            assert_ne!(done.code, Some(0), "{word}: {said}");
            assert!(
                said.contains("Unable to read the filter 'nosuch'"),
                "{word}: {said}"
            );
        }
        assert_eq!(machine.ask(&["ping"]), "Server replied: pong");
        machine.edit("ssh-iptables", "filter = nosuch", "filter = sshd");
        must_succeed("configtest");

        machine.crash();
        assert_eq!(service("status").code, Some(32), "crashed");
        must_succeed("zap");
        must_succeed("start");
        assert!(
            log().contains("socket left behind by a server that died"),
            "{}",
            log()
        );
        must_succeed("stop");
        assert_eq!(service("status").code, Some(3), "stopped");
        assert!(log().contains("Exiting Fail2ban"), "{}", log());
    });
}

#[test]
fn options_of_the_service_reach_the_server() {
    on_machine(|machine| {
        installed(machine);
        let _log_daemon = rsyslog(machine);
        fs::write("/etc/conf.d/fail2ban", "FAIL2BAN_OPTIONS=\"-x\"\n").unwrap();
        must_succeed("start");
        assert!(arguments().contains(" -x "), "{}", arguments());
        must_succeed("stop");
    });
}
