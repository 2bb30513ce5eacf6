//! The wiki's text as it was pasted, the server that crashed, and what the original makes
//! of the same.

use std::fs;
use std::path::Path;

use crate::attack::ATTACKER;
use crate::jails::guide;
use crate::logs::rsyslog;
use crate::machine::{Machine, SOCKET, listed, log, on_machine};
use crate::support::child::{Done, command, must, run};
use crate::support::guard::{DEBIANS, Setup};
use crate::support::wait::{SOON, until};

const INDENTED: &str = "         mail-whois[name=courierpop3";

#[test]
fn a_second_action_without_its_indentation_is_told_and_all_else_is_as_with_the_original() {
    let Some(jails) = guide() else { return };
    on_machine(|machine| {
        assert_eq!(jails.matches(INDENTED).count(), 1);
        machine.write_jails(&jails.replace(INDENTED, INDENTED.trim_start()));
        // The original knows today's name alone.
        let filter = |name: &str| format!("/etc/fail2ban/filter.d/{name}.conf");
        fs::copy(filter("courier-auth"), filter("courierlogin")).unwrap();
        let _log_daemon = rsyslog(machine);
        let theirs = run(command(DEBIANS).arg("-d"));
        assert!(!theirs.stderr.contains("indentation"), "{theirs:?}");
        fs::remove_file(filter("courierlogin")).unwrap();
        machine.install();
        let ours = machine.client(&["-d"]);
        assert_eq!(ours.code, Some(0));
        assert_eq!(ours.stdout, theirs.stdout, "we load the same");
        assert!(!ours.stdout.contains("'mail-whois-courierpop3'"));
        assert!(ours.stdout.contains("'mail-whois-courierimap'"));

        let line = jails.lines().position(|line| line.starts_with(INDENTED));
        let told = format!(
            "/etc/fail2ban/jail.conf:{}: a second action 'mail-whois' seems to have lost its \
             indentation, so it never runs; indent it to continue 'action' above",
            line.unwrap() + 1
        );
        let started = machine.start();
        assert_eq!(started.stderr.matches(&told).count(), 1, "{started:?}");
        let actions = |jail: &str| machine.ask(&["get", jail, "actions"]);
        let pop3 = "iptables-courierpop3";
        assert!(actions("courierpop3-iptables").ends_with(&format!("\n{pop3}")));
        assert!(actions("courierimap-iptables").contains("mail-whois-courierimap"));
        let checked = run(command("/usr/bin/ferroban").args(["config", "check"]));
        let place = told.replacen(": a second", ": warning: a second", 1);
        assert!(checked.stdout.contains(&place), "{checked:?}");
    });
}

#[test]
fn iptables_lists_the_same_as_with_the_original() {
    let Some(jails) = guide() else { return };
    on_machine(|machine| {
        machine.write_jails(&jails);
        let filter = |name: &str| format!("/etc/fail2ban/filter.d/{name}.conf");
        fs::copy(filter("courier-auth"), filter("courierlogin")).unwrap();
        let _log_daemon = rsyslog(machine);
        let theirs = run(command("/usr/bin/fail2ban-client").args(["-b", "-v", "start"]));
        let theirs = list_after_bans(machine, &theirs);
        fs::remove_file(filter("courierlogin")).unwrap();
        machine.install();
        let debians = list_after_bans(machine, &machine.start());
        assert_eq!(debians, theirs, "on Debian's actions");
        machine.take_stock();
        machine.write_jails(&jails);
        let ours = list_after_bans(machine, &machine.start());
        assert_eq!(ours, theirs, "on our own");
    });
}

/// `iptables --list` with somebody banned in each jail; the server is stopped behind it.
fn list_after_bans(machine: &Machine<'_>, started: &Done) -> String {
    assert!(started.succeeded("Server ready\n"), "{started:?}");
    let jails = [
        "ssh-iptables",
        "courierpop3-iptables",
        "courierimap-iptables",
    ];
    for jail in jails {
        machine.ask(&["set", jail, "banip", ATTACKER]);
        // One after the other, as the order of rules is that of bans.
        let name = jail.trim_end_matches("-iptables").replace("ssh", "SSH");
        let own = format!("Chain f2b-{name} (1 references)");
        until(SOON, &own, || {
            let list = listed();
            let chain = list.split_once(&own).map(|(_, rest)| rest.to_owned());
            chain.is_some_and(|chain| chain.split("Chain").next().unwrap().contains(ATTACKER))
        });
    }
    let list = listed();
    machine.stop();
    assert!(!listed().contains("f2b-"), "{}", listed());
    fs::remove_file("/var/lib/fail2ban/fail2ban.sqlite3").unwrap();
    list
}

#[test]
fn a_socket_that_a_crash_left_is_removed_by_the_next_start() {
    on_machine(|machine| {
        machine.take_stock();
        machine.install();
        machine.edit("ssh-iptables", "enabled = false", "enabled = true");
        let _log_daemon = rsyslog(machine);
        machine.start();
        machine.ask(&["set", "ssh-iptables", "banip", "203.0.113.7"]);
        machine.must_tell("[ssh-iptables] Ban 203.0.113.7");
        machine.crash();
        let refused = machine.client(&["ping"]);
        assert_eq!(refused.code, Some(255), "{refused:?}");
        machine.start();
        machine.must_tell(&format!(
            "WARNING /var{SOCKET}: socket left behind by a server that died; removed"
        ));
        machine.must_tell("[ssh-iptables] Restore Ban 203.0.113.7");

        machine.crash();
        let forced = run(command("/usr/bin/fail2ban").args(["-b", "-v", "-x"]));
        assert!(forced.succeeded("Server ready\n"), "{forced:?}");
        assert!(machine.has_banned("ssh-iptables", "203.0.113.7"));
        // `-x` is for what is dead.
        let again = run(command("/usr/bin/fail2ban").args(["-b", "-v", "-x"]));
        assert_eq!(again.code, Some(255), "{again:?}");
        assert!(again.stderr.contains("Server already running"), "{again:?}");
        assert_eq!(machine.ask(&["ping"]), "Server replied: pong");
        machine.stop();
        assert!(!Path::new(SOCKET).exists());
        assert_eq!(log().matches("Forcing execution of the server").count(), 1);
    });
}

/// The configuration inside the program has the jail too.
#[test]
fn the_jail_of_the_guide_is_in_the_program_and_off_unless_it_is_switched_on() {
    on_machine(|machine| {
        let _log_daemon = rsyslog(machine);
        let plain = Setup::new().watch("/var/log/auth.log");
        let guard = plain.start(machine.world);
        let jails = || crate::support::guard::ask(&["status"]);
        assert!(jails().ends_with("Jail list:\tsshd"), "{}", jails());
        assert_eq!(guard.terminate().code, Some(0));
        let _guard = plain.set("ssh-iptables.enabled=true").start(machine.world);
        assert!(
            jails().ends_with("Jail list:\tssh-iptables, sshd"),
            "{}",
            jails()
        );
        crate::support::guard::ask(&["set", "ssh-iptables", "banip", "203.0.113.7"]);
        until(SOON, "the rule", || {
            must(command("/usr/sbin/iptables").arg("-S")).contains("-A f2b-SSH -s 203.0.113.7/32")
        });
    });
}
