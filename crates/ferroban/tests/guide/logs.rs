//! The log daemons of the guide, each with the files it writes there, and sshd's lines in
//! every one of them.

use std::fs;
use std::path::Path;

use crate::machine::{Daemon, Machine, RETURN, chain, log, on_machine, read, rejected};
use crate::support::child::command;
use crate::support::ssh::{login, must_be_denied, sshd_with};
use crate::support::wait::{SOON, until};
use crate::support::world::SERVER4;

pub(crate) const AUTH_LOG: &str = "/var/log/auth.log";

/// Debian's, as far as it matters here; mail goes where Gentoo has it.
const RSYSLOG: &str = r#"
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
auth,authpriv.* action(type="omfile" file="/var/log/auth.log" template="RSYSLOG_TraditionalFileFormat")
mail.* action(type="omfile" file="/var/log/maillog" template="RSYSLOG_TraditionalFileFormat")
"#;

/// metalog's layout. The program itself is in no Debian.
const METALOG: &str = r#"
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
template(name="metalog" type="string" string="%timestamp% [%programname%]%msg%\n")
if $programname startswith "sshd" then action(type="omfile" file="/var/log/sshd/current" template="metalog")
"#;

/// All into one file, and what is about logins into another, as the wiki adds it.
const SYSLOG_NG: &str = r#"
@version: current
options { chain_hostnames(off); stats_freq(0); };
source src { unix-dgram("/dev/log"); internal(); };
destination messages { file("/var/log/messages"); };
log { source(src); destination(messages); };
destination authlog { file("/var/log/auth.log"); };
filter f_auth { facility(auth, authpriv); };
log { source(src); filter(f_auth); destination(authlog); };
"#;

/// rsyslogd as in Debian.
pub(crate) fn rsyslog(machine: &Machine<'_>) -> Daemon {
    for log in [AUTH_LOG, "/var/log/maillog"] {
        fs::write(log, "").unwrap();
    }
    rsyslogd(machine, RSYSLOG)
}

fn metalog(machine: &Machine<'_>) -> Daemon {
    rsyslogd(machine, METALOG)
}

fn rsyslogd(machine: &Machine<'_>, configuration: &str) -> Daemon {
    let file = machine.world.write("rsyslog.conf", configuration);
    let mut daemon = command("rsyslogd");
    daemon.arg("-n").arg("-f").arg(file).args(["-i", "NONE"]);
    listening(Daemon::start(&mut daemon))
}

fn syslog_ng(machine: &Machine<'_>) -> Daemon {
    let file = machine.world.write("syslog-ng.conf", SYSLOG_NG);
    let own = |name: &str| machine.world.path(name);
    let mut daemon = command("/usr/sbin/syslog-ng");
    daemon.args(["--foreground", "--no-caps", "-f"]).arg(file);
    daemon.arg("-R").arg(own("ng.persist"));
    daemon.arg("-c").arg(own("ng.control"));
    daemon.arg("-p").arg(own("ng.pid"));
    listening(Daemon::start(&mut daemon))
}

/// Waits for its socket.
fn listening(mut daemon: Daemon) -> Daemon {
    until(SOON, "the log daemon listens", || {
        assert!(daemon.runs(), "it ended: {}", daemon.said());
        Path::new("/dev/log").exists()
    });
    daemon
}

/// What starts the log daemon, which file of it is read, and how its lines begin.
type Row = (fn(&Machine<'_>) -> Daemon, &'static str, &'static str);

const ROWS: [Row; 4] = [
    (rsyslog, AUTH_LOG, "sshd["),
    (syslog_ng, "/var/log/messages", "sshd["),
    (syslog_ng, AUTH_LOG, "sshd["),
    (metalog, "/var/log/sshd/current", "[sshd"),
];

#[test]
fn every_log_of_the_guide_is_read_right_by_the_stock_jail() {
    on_machine(|machine| {
        machine.take_stock();
        machine.install();
        machine.start();
        assert_eq!(
            machine.ask(&["status"]),
            "Status\n|- Number of jail:\t0\n`- Jail list:\t",
            "all jails are off after the installation"
        );
        machine.stop();
        machine.edit("ssh-iptables", "enabled = false", "enabled = true");
        every_log_is_read_right(machine);
    });
}

#[test]
fn every_log_of_the_guide_is_read_right_with_debians_filter() {
    on_machine(|machine| {
        machine.install();
        machine.write_jails(
            "[ssh-iptables]\nenabled = true\nfilter = sshd\n\
             action = iptables[name=SSH, port=ssh, protocol=tcp]\n\
             logpath = /var/log/auth.log\nmaxretry = 5\n",
        );
        every_log_is_read_right(machine);
    });
}

fn every_log_is_read_right(machine: &Machine<'_>) {
    let mut logpath = AUTH_LOG;
    // What sshd says late of an old attacker belongs to no later one.
    let mut attackers = (10..).map(|last| format!("192.0.2.{last}"));
    for (daemon, path, begin) in ROWS {
        for level in ["VERBOSE", "INFO"] {
            clear_logs();
            let daemon = daemon(machine);
            let settings = format!("LogLevel {level}\n");
            let sshd = sshd_with(machine.world, false, &settings);
            let (old, new) = [logpath, path]
                .map(|path| format!("logpath = {path}"))
                .into();
            machine.edit("ssh-iptables", &old, &new);
            logpath = path;
            let attacker = attackers.next().unwrap();
            the_log_is_read_right(machine, (path, begin), &attacker);
            drop((daemon, sshd));
        }
    }
}

fn clear_logs() {
    for log in [AUTH_LOG, "/var/log/messages", "/var/log/fail2ban.log"] {
        drop(fs::remove_file(log));
    }
    drop(fs::remove_dir_all("/var/log/sshd"));
    drop(fs::remove_file("/dev/log"));
}

/// Five wrong passwords are a ban, four are not.
fn the_log_is_read_right(machine: &Machine<'_>, (path, begin): (&str, &str), ip: &str) {
    until(SOON, "sshd's lines are written", || {
        Path::new(path).exists()
    });
    machine.start();
    // Four in one connection, so that it is the passwords that count and not their end.
    let attempts = |times| login(machine.world, b"root", ip, SERVER4, times);
    must_be_denied(vec![attempts(4)]);
    let failed = format!("Failed password for root from {ip} ");
    until(SOON, "four lines", || {
        read(path).matches(&failed).count() == 4
    });
    let found = format!("[ssh-iptables] Found {ip} - ");
    until(SOON, "four are found", || {
        log().matches(&found).count() == 4
    });
    assert!(!machine.has_banned("ssh-iptables", ip), "{path}");
    let last = attempts(1);
    machine.must_tell(&format!(" NOTICE  [ssh-iptables] Ban {ip}"));
    until(SOON, "the rule", || chain("f2b-SSH").len() == 2);
    assert_eq!(chain("f2b-SSH"), [rejected(ip).as_str(), RETURN]);
    assert_eq!(log().matches(&found).count(), 5, "{}", log());
    let text = read(path);
    let line = text.lines().find(|line| line.contains(&failed)).unwrap();
    assert!(line.contains(begin), "{line}");
    drop(last);
    // Bans are kept for the next start; here each start is the first.
    machine.ask(&["unban", "--all"]);
    machine.stop();
    fs::remove_file("/var/lib/fail2ban/fail2ban.sqlite3").unwrap();
}
