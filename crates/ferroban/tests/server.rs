//! `fail2ban-server` from a configuration folder, from its start to its end.
//!
//! Real processes in a folder of their own: a server in the background or in the
//! foreground, clients, and shell actions that write down what they are told. What must
//! be printed, logged and run was recorded from fail2ban's own server, but for what
//! `docs/differences.md` lists. Root is needed only where a test says so.

#[cfg(test)]
#[path = "server/commands.rs"]
mod commands;
#[cfg(test)]
#[path = "server/ear.rs"]
mod ear;
#[cfg(test)]
#[path = "server/home.rs"]
mod home;
#[cfg(test)]
#[path = "server/life.rs"]
mod life;
#[cfg(test)]
#[path = "server/log.rs"]
mod log;
#[cfg(test)]
#[path = "server/manager.rs"]
mod manager;
#[cfg(test)]
#[path = "server/monitor.rs"]
mod monitor;
#[cfg(test)]
#[path = "server/python.rs"]
mod python;
#[cfg(test)]
#[path = "server/raw.rs"]
mod raw;
#[cfg(test)]
#[path = "server/reload.rs"]
mod reload;
#[cfg(test)]
#[expect(dead_code, reason = "what makes worlds is for the end-to-end tests")]
mod support;
