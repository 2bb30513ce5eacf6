//! Who is never counted, and who is never banned without force.
//!
//! `ignoreip` is what the administrator asked for. Protection is what the host
//! itself needs: banning the own address, the default gateway or the address the
//! administrator is logged in from would lock everybody out.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{FailId, Network};

/// The addresses and networks of `ignoreip`.
#[derive(Clone, Debug, Default)]
pub struct IgnoreList {
    exact: HashSet<FailId>,
    networks: Vec<Network>,
}

impl IgnoreList {
    /// A list from the entries of `ignoreip`.
    #[must_use]
    pub fn new(entries: &[FailId]) -> Self {
        let mut list = Self::default();
        for entry in entries {
            match entry {
                FailId::Network(network) => list.networks.push(*network),
                FailId::Address(_) | FailId::Text(_) => {
                    list.exact.insert(entry.clone());
                }
            }
        }
        list
    }

    /// Why `id` is ignored, if it is.
    #[must_use]
    pub fn reason(&self, id: &FailId) -> Option<IgnoreReason> {
        let listed = self.exact.contains(id)
            || id
                .network()
                .is_some_and(|inner| self.networks.iter().any(|network| network.contains(inner)));
        listed.then_some(IgnoreReason::Ip)
    }
}

/// Why a failure was not counted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum IgnoreReason {
    /// `ignoreself`: the address is this host's own.
    OwnAddress,
    /// An address or network of `ignoreip`.
    Ip,
    /// A name of `ignoreip` has this address.
    Name,
    /// A file of `ignoreip` lists it: `file:/` and the path.
    File(String),
    /// The `ignorecommand` said so.
    Command,
    /// It is protected.
    Protected(Protection),
}

/// Why an address is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Protection {
    /// One of this host's own addresses.
    OwnAddress,
    /// The router that packets for the world go to.
    Gateway,
    /// A name server this host asks.
    Resolver,
    /// An administrator is logged in from there.
    Session,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnAddress => "own address",
            Self::Gateway => "default gateway",
            Self::Resolver => "name server",
            Self::Session => "administrator's session",
        })
    }
}

/// An address that is not banned without force.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Protected {
    /// The address.
    pub address: std::net::IpAddr,
    /// Why.
    pub why: Protection,
}

/// The protection that a ban of `id` would break, if any: a network is refused
/// when a protected address lies inside.
#[must_use]
pub fn protection(list: &[Protected], id: &FailId) -> Option<Protected> {
    list.iter()
        .find(|entry| id.covers(&FailId::from(entry.address)))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_are_the_listed_and_what_lies_inside_listed_networks() {
        let list = IgnoreList::new(&["127.0.0.0/8", "192.0.2.1", "::1"].map(FailId::parse));
        let cases = [
            ("127.1.2.3", true),
            ("127.0.0.0/9", true),
            ("126.0.0.0/7", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::1", true),
            ("bob", false),
        ];
        for (text, expected) in cases {
            assert_eq!(
                list.reason(&FailId::parse(text)).is_some(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_network_with_a_protected_address_inside_is_protected() {
        let gateway = Protected {
            address: "192.0.2.1".parse().unwrap(),
            why: Protection::Gateway,
        };
        for (text, expected) in [
            ("192.0.2.0/24", true),
            ("192.0.2.1", true),
            ("192.0.3.0/24", false),
        ] {
            assert_eq!(
                protection(&[gateway], &FailId::parse(text)).is_some(),
                expected,
                "{text}"
            );
        }
    }
}
