//! What the engine wants to know, on its way to those who find it out.
//!
//! The threads are started when there is something to ask for the first time.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use ferroban_engine::{Inquiry, JailName};

use super::asker::{Asker, Means, Told};
use super::facts::Facts;
use super::message::Message;
use crate::clock;
use crate::log::Log;
use crate::names::{Ipv6, Resolver};

/// How often it is asked under which addresses this host is known by its names.
const NAMES_EVERY: Duration = Duration::from_secs(300);

/// Inquiries under way.
#[derive(Debug)]
pub(super) struct Inquiries {
    means: Means,
    inbox: SyncSender<Message>,
    asker: Option<Asker>,
    named: Option<Instant>,
    /// Whether it was told that nobody can be asked.
    told: bool,
}

impl Inquiries {
    pub(super) fn new(inbox: SyncSender<Message>, facts: Facts, log: Log) -> Self {
        let resolver = facts.resolver().cloned();
        let resolver = resolver.unwrap_or_else(Resolver::system);
        Self {
            means: Means {
                resolver,
                facts,
                log,
            },
            inbox,
            asker: None,
            named: None,
            told: false,
        }
    }

    /// Has something found out. If nobody can be asked, the engine decides without an
    /// answer when its time is up.
    pub(super) fn put(&mut self, inquiry: Inquiry) {
        if let Some(asker) = self.asker() {
            asker.ask(inquiry);
        }
    }

    /// Asks under which addresses this host's names are known, if that was long ago.
    pub(super) fn own_names(&mut self) {
        let now = clock::tick();
        let due = |named: Instant| now.saturating_duration_since(named) >= NAMES_EVERY;
        if !self.named.is_none_or(due) {
            return;
        }
        self.named = Some(now);
        if let Some(asker) = self.asker() {
            asker.own_names();
        }
    }

    /// Whether names are asked for IPv6 addresses too: yes, no or auto.
    pub(super) fn allow_ipv6(&self, told: &str) {
        let allow = told.to_ascii_lowercase().parse().unwrap_or(Ipv6::Auto);
        self.means.resolver.allow_ipv6(allow);
    }

    /// A jail ignores others now.
    pub(super) fn forget(&self, jail: &JailName) {
        if let Some(asker) = &self.asker {
            asker.forget(jail);
        }
    }

    /// A jail has ended, and its questions are nobody's.
    pub(super) fn withdraw(&self, jail: &JailName) {
        if let Some(asker) = &self.asker {
            asker.withdraw(jail);
            asker.forget(jail);
        }
    }

    /// Ends the threads, and every command of this process.
    pub(super) fn close(self) {
        if let Some(asker) = self.asker {
            asker.close();
        }
    }

    /// The threads, started if there are none.
    fn asker(&mut self) -> Option<&Asker> {
        if self.asker.is_none() {
            let inbox = self.inbox.clone();
            // If the main thread is gone, nobody waits for this.
            let answer = move |told: Told| drop(inbox.send(Message::FoundOut(told)));
            match Asker::start(self.means.clone(), answer) {
                Ok(asker) => self.asker = Some(asker),
                Err(error) if !std::mem::replace(&mut self.told, true) => {
                    let text = format!(
                        "nobody can be asked for names and whom to ignore: {error}; look at the limit of processes (ulimit -u)"
                    );
                    self.means.log.error("ferroban.guard", &text);
                }
                Err(_) => {}
            }
        }
        self.asker.as_ref()
    }
}
