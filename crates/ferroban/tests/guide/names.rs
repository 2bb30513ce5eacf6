//! Names instead of addresses in the log.

use std::fs;

use crate::attack::ATTACKER;
use crate::logs::rsyslog;
use crate::machine::{log, on_machine, read, say};
use crate::support::ssh::{login, must_be_denied, sshd_with};
use crate::support::wait::{SOON, until};
use crate::support::world::SERVER4;

const USE_DNS: &str = "UseDNS yes\n";

/// Gives the attacker a name, which is all that is known of names here.
fn name_the_attacker() {
    let hosts = format!("{}{ATTACKER} attacker.example\n", read("/etc/hosts"));
    fs::write("/etc/hosts", hosts).unwrap();
}

/// As an sshd of those days writes it.
fn fail_by_name() {
    for number in 1..=5 {
        let text = format!("Failed password for root from attacker.example port {number} ssh2");
        say("auth.info", &format!("sshd[{number}]"), &text);
    }
}

#[test]
fn names_in_the_log_are_resolved_where_the_filter_takes_them() {
    on_machine(|machine| {
        machine.install();
        machine.write_jails(
            "[ssh-iptables]\nenabled = true\nfilter = sshd\nlogpath = /var/log/auth.log\n\
             action = iptables[name=SSH, port=ssh, protocol=tcp]\n",
        );
        fs::write("/etc/ssh/sshd_config", USE_DNS).unwrap();
        name_the_attacker();
        let _log_daemon = rsyslog(machine);
        machine.start();
        fail_by_name();
        machine.must_tell(&format!(" NOTICE  [ssh-iptables] Ban {ATTACKER}"));
        let told = format!("Determined IP using DNS Lookup: attacker.example = {{'{ATTACKER}'}}");
        assert!(log().contains(&told), "{}", log());
        assert!(!log().contains("set UseDNS no"), "there is no need");
    });
}

#[test]
fn use_dns_no_is_advised_once_where_the_filter_takes_no_names() {
    on_machine(|machine| {
        machine.take_stock();
        machine.install();
        for jail in ["ssh-iptables", "ssh-tcpwrapper"] {
            machine.edit(jail, "enabled = false", "enabled = true");
        }
        fs::write("/etc/ssh/sshd_config", USE_DNS).unwrap();
        name_the_attacker();
        let _log_daemon = rsyslog(machine);
        let _sshd = sshd_with(machine.world, true, USE_DNS);
        machine.start();
        must_be_denied(
            (0..5)
                .map(|_| login(machine.world, b"root", ATTACKER, SERVER4, 1))
                .collect(),
        );
        let named = || read("/var/log/auth.log").contains("rhost=attacker.example");
        until(SOON, "sshd writes the name", named);
        // What has an address is counted all the same.
        machine.must_tell(&format!(" NOTICE  [ssh-iptables] Ban {ATTACKER}"));
        let advice = "WARNING [ssh-iptables] sshd may write names in place of addresses, which \
                      are not counted (UseDNS yes in /etc/ssh/sshd_config); set UseDNS no there";
        assert_eq!(log().matches(advice).count(), 1, "{}", log());
        assert_eq!(log().matches("set UseDNS no").count(), 1, "{}", log());
        machine.stop();
        fs::write("/etc/ssh/sshd_config", "UseDNS no\n").unwrap();
        fs::remove_file(crate::machine::LOG).unwrap();
        machine.start();
        assert!(!log().contains("set UseDNS no"), "{}", log());
    });
}
