//! What the service manager is told (`sd_notify`): that we are ready, that we stop, and,
//! where it wants to know, that we are alive.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::clock;

/// The line to the service manager, if there is one.
#[derive(Debug)]
pub(super) struct Notify {
    /// How often it wants a sign of life.
    every: Option<Duration>,
    last: Instant,
}

impl Notify {
    /// What the environment asks for.
    pub(super) fn from_environment() -> Self {
        // Twice as often as it is missed.
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self {
            every,
            last: clock::tick(),
        }
    }

    /// The server is ready.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// What the server is doing, for people.
    pub(super) fn status(&self, text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    /// The server stops.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// How long until a sign of life is due.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let due = self.last + self.every?;
        Some(due.saturating_duration_since(now))
    }

    /// Gives a sign of life, if it is due. Only the main thread does: when it hangs, the
    /// service manager is to know.
    pub(super) fn keep(&mut self, now: Instant) {
        if self.due(now).is_some_and(|left| left.is_zero()) {
            self.last = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Without a service manager nobody is told, and that is right.
fn tell(states: &[NotifyState<'_>]) {
    sd_notify::notify(states).ok();
}
