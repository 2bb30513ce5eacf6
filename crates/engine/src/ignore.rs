//! Who is never counted, and who is never banned without force.
//!
//! `ignoreip` is what the administrator asked for. Protection is what the host
//! itself needs: banning the own address, the default gateway or the address the
//! administrator is logged in from would lock everybody out.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{FailId, Network};
use crate::inquiry::IgnoreEntry;

/// The entries of `ignoreip`.
#[derive(Clone, Debug, Default)]
pub struct IgnoreList {
    exact: HashSet<FailId>,
    /// Everything else, in the order in which it is looked at.
    rest: Vec<Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Network(Network),
    /// Somebody else has to look.
    Elsewhere(IgnoreEntry),
}

/// What the list says about an id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listed {
    /// It is on the list as it stands.
    pub exactly: bool,
    /// What has to be looked at elsewhere before the next holds.
    pub elsewhere: Vec<IgnoreEntry>,
    /// It lies in a network of the list.
    pub within: bool,
}

impl IgnoreList {
    /// A list from the entries of `ignoreip`.
    #[must_use]
    pub fn new(entries: &[FailId]) -> Self {
        let mut list = Self::default();
        for entry in entries {
            match entry {
                FailId::Network(network) => list.rest.push(Entry::Network(*network)),
                FailId::Address(_) => drop(list.exact.insert(entry.clone())),
                FailId::Text(text) => {
                    let entry = IgnoreEntry::parse(text);
                    list.rest.push(Entry::Elsewhere(entry));
                }
            }
        }
        list
    }

    /// Whether anything of it has to be looked at elsewhere.
    #[must_use]
    pub fn asks(&self) -> bool {
        let elsewhere = |entry: &Entry| matches!(entry, Entry::Elsewhere(_));
        self.rest.iter().any(elsewhere)
    }

    /// What it says about `id`.
    #[must_use]
    pub fn look(&self, id: &FailId) -> Listed {
        if self.exact.contains(id) {
            return Listed {
                exactly: true,
                ..Listed::default()
            };
        }
        let mut listed = Listed::default();
        let inner = id.network();
        for entry in &self.rest {
            match entry {
                Entry::Elsewhere(entry) => listed.elsewhere.push(entry.clone()),
                Entry::Network(network) => {
                    if inner.is_some_and(|inner| network.contains(inner)) {
                        listed.within = true;
                        break;
                    }
                }
            }
        }
        listed
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
            let listed = list.look(&FailId::parse(text));
            assert_eq!(listed.exactly || listed.within, expected, "{text}");
        }
    }

    #[test]
    fn names_and_files_are_looked_at_in_their_place() {
        let entries = ["a.example", "10.0.0.0/8", "file:/etc/friends", "bob"];
        let list = IgnoreList::new(&entries.map(FailId::parse));
        let (name, file) = (
            IgnoreEntry::Name("a.example".into()),
            IgnoreEntry::File("/etc/friends".into()),
        );
        let bob = IgnoreEntry::Name("bob".into());
        let cases = [
            ("10.1.1.1", vec![name.clone()], true),
            (
                "192.0.2.1",
                vec![name.clone(), file.clone(), bob.clone()],
                false,
            ),
            ("bob", vec![name, file, bob], false),
        ];
        for (text, elsewhere, within) in cases {
            let listed = list.look(&FailId::parse(text));
            assert!(!listed.exactly, "{text}");
            assert_eq!(
                (listed.elsewhere, listed.within),
                (elsewhere, within),
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
