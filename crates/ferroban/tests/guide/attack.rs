//! Somebody on another host who does not know the password and does not give up.

use crate::logs::AUTH_LOG;
use crate::machine::{Daemon, Machine, read};
use crate::support::child::{command, must};
use crate::support::ssh::login;
use crate::support::wait::{SOON, until};
use crate::support::world::SERVER4;

pub(crate) const ATTACKER: &str = "192.0.2.2";
pub(crate) const NEIGHBOUR: &str = "192.0.2.3";

/// One connection with up to a hundred passwords, as long as anybody answers.
pub(crate) struct Trial {
    client: Daemon,
}

impl Trial {
    pub(crate) fn begin(machine: &Machine<'_>, from: &str) -> Self {
        let client = login(machine.world, b"blah", from, SERVER4, 100);
        Self { client }
    }

    /// The client still tries, its packets are turned away, and no password of it comes
    /// through any more.
    pub(crate) fn must_be_cut_off(mut self) {
        until(SOON, "its packets are turned away", || turned_away() > 0);
        let tried = || read(AUTH_LOG).matches("Failed password for").count();
        let (before, packets) = (tried(), turned_away());
        assert!((5..100).contains(&before), "{before} passwords");
        until(SOON, "it tries again", || turned_away() > packets + 1);
        assert_eq!(tried(), before, "a password came through");
        assert!(self.client.runs(), "it has not given up");
    }
}

/// How many packets the first rule of the chain has met.
fn turned_away() -> u64 {
    let text = must(command("/usr/sbin/iptables").args(["-nvxL", "f2b-SSH"]));
    let rule = text.lines().find(|line| line.contains("REJECT"));
    let count = rule.and_then(|line| line.split_whitespace().next());
    count.map_or(0, |count| count.parse().unwrap())
}
