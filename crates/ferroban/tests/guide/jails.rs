//! The guide's jails as they stand, on Debian's filters and actions and on ours.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::attack::{ATTACKER, NEIGHBOUR, Trial};
use crate::logs::rsyslog;
use crate::machine::{self, Machine, RETURN, chain, log, on_machine, read, rejected, say};
use crate::mail::{Mailbox, whois_server};
use crate::support::child::{command, must};
use crate::support::ssh::{Door, knock, sshd_with};
use crate::support::wait::{SOON, until};
use crate::support::world::SERVER4;

const VERBOSE: &str = "LogLevel VERBOSE\nMaxAuthTries 100\n";
const HOSTS_DENY: &str = "/etc/hosts.deny";

/// The guide's jails; none in a clone that stands alone.
pub(crate) fn guide() -> Option<String> {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = clone.join("../shared/guide/jail-2007.conf");
    let text = fs::read_to_string(path).ok();
    if text.is_none() {
        let line = "left out: there is no ../shared/guide beside this clone\n";
        io::stderr().write_all(line.as_bytes()).ok();
    }
    text
}

#[test]
fn the_jails_of_2007_work_as_they_stand_on_the_stock_configuration() {
    let Some(jails) = guide() else { return };
    on_machine(|machine| {
        machine.take_stock();
        the_jails_work(machine, &jails);
    });
}

#[test]
fn the_jails_of_2007_work_as_they_stand_on_debians_configuration() {
    let Some(jails) = guide() else { return };
    on_machine(|machine| the_jails_work(machine, &jails));
}

fn the_jails_work(machine: &Machine<'_>, jails: &str) {
    machine.install();
    machine.write_jails(jails);
    let _log_daemon = rsyslog(machine);
    let _sshd = sshd_with(machine.world, false, VERBOSE);
    let _whois = whois_server();
    machine.start();
    let status = machine.ask(&["status"]);
    assert!(
        status.ends_with(
            "Jail list:\tcourierimap-iptables, courierpop3-iptables, ssh-iptables, ssh-tcpwrapper"
        ),
        "{status}"
    );
    sshd_is_guarded(machine);
    let mailbox = Mailbox::of_root();
    mailbox.must_have("SSH", ATTACKER);
    hosts_deny_is_read(machine);
    courier_is_guarded(machine, &mailbox);
    fs::remove_file("/usr/bin/whois").unwrap();
    machine.ask(&["set", "courierpop3-iptables", "banip", "192.0.2.21"]);
    mailbox.must_miss_whois("courierpop3", "192.0.2.21");
    machine.stop();
    let left = machine::listed();
    assert!(!left.contains("f2b-"), "{left}");
    assert!(!read(HOSTS_DENY).contains("192.0.2."), "a stop lifts bans");
}

/// The chain, the rule with the address and the return at its end; the client that is
/// cut off; what the log says.
fn sshd_is_guarded(machine: &Machine<'_>) {
    let trial = Trial::begin(machine, ATTACKER);
    machine.must_tell(&format!(" NOTICE  [ssh-iptables] Ban {ATTACKER}"));
    until(SOON, "the rule", || chain("f2b-SSH").len() == 2);
    assert_eq!(chain("f2b-SSH"), [rejected(ATTACKER).as_str(), RETURN]);
    let jump = "f2b-SSH tcp -- anywhere anywhere tcp dpt:ssh";
    assert!(chain("INPUT").contains(&jump.to_owned()));
    trial.must_be_cut_off();
    assert_eq!(knock(ATTACKER, SERVER4), Door::Refused);
    assert_eq!(knock(NEIGHBOUR, SERVER4), Door::Open);
    five_failures_are_a_ban();
}

fn five_failures_are_a_ban() {
    let log = log();
    let all: Vec<&str> = log.lines().collect();
    let place = |end: &str| {
        let found = all.iter().position(|line| line.contains(end));
        found.unwrap_or_else(|| panic!("no line with {end}:\n{log}"))
    };
    let ban = place(&format!("NOTICE  [ssh-iptables] Ban {ATTACKER}"));
    let found = format!("INFO    [ssh-iptables] Found {ATTACKER} - ");
    let before = all[..ban].iter().filter(|line| line.contains(&found));
    assert_eq!(before.count(), 5, "{log}");
    let runs = place("fail2ban.server         [");
    assert!(all[runs..].join("\n").contains("Starting Fail2ban v"));
    for line in [
        "INFO      maxRetry: 5",
        "INFO      findtime: 600",
        "INFO      banTime: 600",
        "INFO    Added logfile: '/var/log/auth.log' (pos = ",
        "INFO    Jail 'ssh-iptables' started",
    ] {
        assert!(place(line) < ban, "{line} comes first");
    }
}

/// `hosts.deny` alone keeps him out, and the line goes away when his time is over.
fn hosts_deny_is_read(machine: &Machine<'_>) {
    let line = format!("ALL: {ATTACKER}");
    let has = |line: &str| read(HOSTS_DENY).lines().any(|own| own == line);
    until(SOON, "the line", || has(&line));
    let refused = || read("/var/log/auth.log").contains("refused connect from");
    assert!(!refused(), "the firewall came first");
    // What his old connection had under way comes through when he may speak again.
    for jail in ["ssh-iptables", "ssh-tcpwrapper"] {
        machine.ask(&["set", jail, "maxretry", "1000"]);
    }
    machine.ask(&["set", "ssh-iptables", "unbanip", ATTACKER]);
    assert_eq!(chain("f2b-SSH"), [RETURN]);
    assert_eq!(
        knock(ATTACKER, SERVER4),
        Door::Silent,
        "let in and sent away"
    );
    until(SOON, "sshd tells it", refused);
    assert_eq!(knock(NEIGHBOUR, SERVER4), Door::Open);
    machine.ask(&["set", "ssh-tcpwrapper", "unbanip", ATTACKER]);
    assert!(!has(&line), "the line is gone");
    assert_eq!(knock(ATTACKER, SERVER4), Door::Open);

    machine.ask(&["set", "ssh-tcpwrapper", "bantime", "1"]);
    machine.ask(&["set", "ssh-tcpwrapper", "banip", "192.0.2.9"]);
    until(SOON, "the line is there", || has("ALL: 192.0.2.9"));
    machine.must_tell("NOTICE  [ssh-tcpwrapper] Unban 192.0.2.9");
    until(SOON, "and gone", || !has("ALL: 192.0.2.9"));
}

/// Five failures at Courier's POP3 server: both jails see them, both ban, both send mail.
fn courier_is_guarded(machine: &Machine<'_>, mailbox: &Mailbox) {
    let ip = "192.0.2.20";
    let text = format!("LOGIN FAILED, user=ann@example.org, ip=[::ffff:{ip}]");
    for jail in ["courierpop3-iptables", "courierimap-iptables"] {
        assert!(!machine.has_banned(jail, ip));
    }
    for daemon in [
        "pop3d",
        "imapd",
        "pop3d-ssl",
        "imapd-ssl",
        "courierpop3login",
    ] {
        say("mail.info", daemon, &text);
    }
    let jails = [("courierpop3", "pop3"), ("courierimap", "imap2")];
    for (name, port) in jails {
        machine.must_tell(&format!(" NOTICE  [{name}-iptables] Ban {ip}"));
        let own = format!("f2b-{name}");
        until(SOON, "the rule", || chain(&own).len() == 2);
        assert_eq!(chain(&own), [rejected(ip).as_str(), RETURN]);
        let jump = format!("{own} tcp -- anywhere anywhere tcp dpt:{port}");
        assert!(chain("INPUT").contains(&jump), "{:?}", chain("INPUT"));
        mailbox.must_have(name, ip);
    }
    let numbers = must(command("/usr/sbin/iptables").args(["-S", "INPUT"]));
    for port in ["--dport 22 ", "--dport 110 ", "--dport 143 "] {
        assert!(numbers.contains(port), "{numbers}");
    }
}
