//! How a jail bans.
//!
//! An action does what it is told and says how it went. It belongs to one
//! actor thread, so nothing in it is shared, and it is given several bans at once
//! where several wait, so that a thousand cost one transaction.

mod native;
pub mod nftables;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the daemon does not use it yet")
)]
pub(crate) mod shell;

use std::collections::BTreeMap;

use ferroban_engine::{Ban, FailId, Outcome, Timestamp};

pub(crate) use native::Native;

/// The options in the brackets of `action = name[…]`.
pub(crate) type Options = BTreeMap<String, String>;

/// Why one ban did not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Failed {
    /// For this reason: the whole chain of causes in one text.
    Because(String),
    /// What the start prepared is gone: somebody emptied the firewall.
    Lost(String),
}

impl Failed {
    /// The reason alone.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Because(text) | Self::Lost(text) => text,
        }
    }
}

/// Bans and unbans.
pub(crate) trait Action: Send {
    /// Prepares, and makes the firewall hold what `held` says.
    fn start(&mut self, held: &[Ban], now: Timestamp) -> Outcome;

    /// Bans, with an answer for each.
    fn ban(&mut self, bans: &[Ban], now: Timestamp) -> Vec<Result<(), Failed>>;

    /// Unbans, with an answer for each. Who is not banned is unbanned already.
    fn unban(&mut self, ids: &[FailId]) -> Vec<Result<(), Failed>>;

    /// Removes everything.
    fn stop(&mut self) -> Result<(), Failed>;
}

/// Bans nobody. For trying a configuration without the right to use it.
#[derive(Debug)]
pub(crate) struct Dry;

impl Action for Dry {
    fn start(&mut self, _: &[Ban], _: Timestamp) -> Outcome {
        Outcome::Ok
    }

    fn ban(&mut self, bans: &[Ban], _: Timestamp) -> Vec<Result<(), Failed>> {
        bans.iter().map(|_| Ok(())).collect()
    }

    fn unban(&mut self, ids: &[FailId]) -> Vec<Result<(), Failed>> {
        ids.iter().map(|_| Ok(())).collect()
    }

    fn stop(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}
