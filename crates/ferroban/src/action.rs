//! How a jail bans.
//!
//! An action does what it is told and says how it went. It belongs to one
//! actor thread, so nothing in it is shared, and it is given several bans at once
//! where several wait, so that a thousand cost one transaction.

mod breakdowns;
mod cut;
pub mod ipset;
pub(crate) mod libwrap;
mod lift;
mod list;
#[cfg(test)]
mod namespace;
mod native;
mod netlink;
pub mod nftables;
pub(crate) mod python;
mod sets;
pub(crate) mod shell;
pub(crate) mod smtp;

use std::collections::BTreeMap;

#[cfg(test)]
pub(crate) use list::Failure;
pub(crate) use list::{Actions, Fate, Lifted, Part, Proven, Row};
pub(crate) use native::Native;
pub use shell::{Filled, fill};

const NOT_AN_ADDRESS: &str =
    "not an address; the action 'ferroban' bans addresses and networks only";

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
