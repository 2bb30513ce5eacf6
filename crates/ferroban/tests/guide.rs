//! The old guide, step by step: a how-to of 2007 whose configuration is still in use.
//!
//! Everything in it is real: sshd and a client that does not know the password, rsyslog
//! and syslog-ng, iptables, a mailbox, a whois server, OpenRC. Each test runs in a world
//! of its own (`support/world.rs`), in which `/etc`, `/usr` and `/var` can be changed like
//! on a machine that is set up (`guide/machine.rs`).
//!
//! The jails are those of `../shared/guide/jail-2007.conf`, word for word. They do not
//! belong to this repository: in a clone that stands alone the tests that need them say so
//! and pass. Without root or the programs, all say so and pass, except where the variable
//! `CI` is set.

#[cfg(test)]
#[path = "guide/attack.rs"]
mod attack;
#[cfg(test)]
#[path = "guide/jails.rs"]
mod jails;
#[cfg(test)]
#[path = "guide/logs.rs"]
mod logs;
#[cfg(test)]
#[path = "guide/machine.rs"]
mod machine;
#[cfg(test)]
#[path = "guide/mail.rs"]
mod mail;
#[cfg(test)]
#[path = "guide/names.rs"]
mod names;
#[cfg(test)]
#[path = "guide/openrc.rs"]
mod openrc;
#[cfg(test)]
#[path = "guide/pasted.rs"]
mod pasted;
#[cfg(test)]
#[expect(dead_code, reason = "much of it is for other end-to-end tests")]
mod support;
