//! What can be banned, and what jails are called.
//!
//! A [`FailId`] is mostly an address. fail2ban also bans networks, and any text
//! that a filter captures with `<F-ID>`; all three travel as one type so that
//! counting and banning need not care.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address and how many of its leading bits count. Host bits are always zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// A network; host bits are cleared, a prefix longer than the family allows
    /// counts as a full one, and IPv4 dressed as IPv6 (`::ffff:192.0.2.1`) is IPv4.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        match address {
            IpAddr::V4(v4) => Self {
                address: Ipv4Addr::from_bits(v4.to_bits() & mask32(prefix)).into(),
                prefix,
            },
            IpAddr::V6(v6) => match (v6.to_ipv4_mapped(), prefix.checked_sub(96)) {
                (Some(v4), Some(prefix)) => Self::new(v4.into(), prefix),
                _ => Self {
                    address: Ipv6Addr::from_bits(v6.to_bits() & mask128(prefix)).into(),
                    prefix,
                },
            },
        }
    }

    /// The network that holds this one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        Self::new(address, width(address))
    }

    /// Whether it is one address only.
    #[must_use]
    pub fn is_single(self) -> bool {
        self.prefix == width(self.address)
    }

    /// The first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `other` lies wholly inside.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && Self::new(other.address, self.prefix).address == self.address
    }
}

/// An address alone, or `address/prefix`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

/// What is banned: an address, a network, or text captured by `<F-ID>`.
///
/// ```
/// use ferroban_engine::FailId;
/// assert_eq!(FailId::parse("::ffff:192.0.2.1").to_string(), "192.0.2.1");
/// assert_eq!(FailId::parse("198.51.100.7/24").to_string(), "198.51.100.0/24");
/// assert_eq!(FailId::parse("[2001:DB8::1]").to_string(), "2001:db8::1");
/// assert_eq!(FailId::parse("bob"), FailId::Text("bob".into()));
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FailId {
    /// One address.
    Address(IpAddr),
    /// All addresses of a network.
    Network(Network),
    /// Anything else, verbatim.
    Text(String),
}

impl FailId {
    /// Reads an id as fail2ban does: IPv4-mapped IPv6 becomes IPv4, brackets
    /// go, host bits are cleared, a netmask counts as its prefix length, and
    /// what is no address stays text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        parse_network(text).map_or_else(|| Self::Text(text.to_owned()), Self::from)
    }

    /// The network this id stands for, if it is one or an address.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        match self {
            Self::Address(address) => Some(Network::single(*address)),
            Self::Network(network) => Some(*network),
            Self::Text(_) => None,
        }
    }

    /// Whether `other` is this id or lies inside this network.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self.network(), other.network()) {
            (Some(own), Some(other)) => own.contains(other),
            _ => self == other,
        }
    }
}

impl From<Network> for FailId {
    fn from(network: Network) -> Self {
        if network.is_single() {
            Self::Address(network.address)
        } else {
            Self::Network(network)
        }
    }
}

impl From<IpAddr> for FailId {
    fn from(address: IpAddr) -> Self {
        Self::Address(unmap(address))
    }
}

/// Addresses as `inet_ntop` writes them; `/n` is shown where 0 < n < full.
impl fmt::Display for FailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => Ntop(*address).fmt(f),
            Self::Network(network) if network.prefix == 0 => Ntop(network.address).fmt(f),
            Self::Network(network) => write!(f, "{}/{}", Ntop(network.address), network.prefix),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for FailId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // A network of prefix 0 shows without it; the message must keep it.
            Self::Network(network) if network.prefix == 0 => {
                serializer.collect_str(&format_args!("{}/0", network.address))
            }
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for FailId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

/// An address as the C library writes it: of an IPv6 address with nothing in its first
/// 96 bits, the rest looks like IPv4.
struct Ntop(IpAddr);

impl fmt::Display for Ntop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let IpAddr::V6(v6) = self.0
            && let [0, 0, 0, 0, 0, 0, high, _] = v6.segments()
            && high > 0
            && let Some(v4) = v6.to_ipv4()
        {
            return write!(f, "::{v4}");
        }
        self.0.fmt(f)
    }
}

fn parse_network(text: &str) -> Option<Network> {
    // What it mostly is.
    if let Ok(address) = text.parse() {
        return Some(Network::single(IpAddr::V4(address)));
    }
    let (head, tail) = match text.split_once('/') {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let bare = head
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(head);
    let address: IpAddr = bare.parse().ok()?;
    let Some(tail) = tail else {
        return Some(Network::single(unmap(address)));
    };
    if address.is_ipv6() && unmap(address).is_ipv4() {
        return None; // `::ffff:192.0.2.0/120` is no address to fail2ban either
    }
    let prefix = match tail.parse::<u8>() {
        Ok(prefix) if tail.bytes().all(|byte| byte.is_ascii_digit()) => prefix,
        _ => prefix_of_mask(address, tail)?,
    };
    Some(Network::new(address, prefix))
}

/// The prefix length of a netmask without holes.
fn prefix_of_mask(address: IpAddr, mask: &str) -> Option<u8> {
    let mask: IpAddr = mask.parse().ok()?;
    let (ones, whole) = match (address, mask) {
        (IpAddr::V4(_), IpAddr::V4(mask)) => {
            (mask.to_bits().leading_ones(), mask.to_bits().count_ones())
        }
        (IpAddr::V6(_), IpAddr::V6(mask)) => {
            (mask.to_bits().leading_ones(), mask.to_bits().count_ones())
        }
        _ => return None,
    };
    (ones == whole).then(|| u8::try_from(ones).ok()).flatten()
}

fn unmap(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The name of a jail, as in `[sshd]`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailName(std::sync::Arc<str>);

/// Why a text names no jail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JailNameError {
    /// The empty name.
    Empty,
    /// `--all` means every jail, so none may be called that.
    Reserved,
}

impl fmt::Display for JailNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name of a jail is empty; give it one"),
            Self::Reserved => f.write_str("Reserved name '--all'"),
        }
    }
}

impl std::error::Error for JailNameError {}

impl JailName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JailName {
    type Err = JailNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(JailNameError::Empty),
            "--all" => Err(JailNameError::Reserved),
            _ => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for JailName {
    type Error = JailNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JailName> for String {
    fn from(name: JailName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for JailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names compare with text directly, so that a map of jails can be asked with `&str`.
impl std::borrow::Borrow<str> for JailName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for JailName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd<str> for JailName {
    fn partial_cmp(&self, other: &str) -> Option<Ordering> {
        self.as_str().partial_cmp(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_the_original_reads_them() {
        let cases = [
            ("192.0.2.129/25", "192.0.2.128/25"),
            ("192.0.2.1/255.255.255.0", "192.0.2.0/24"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("2001:db8::/ffff:ffff::", "2001:db8::/32"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[1.2.3.4]", "1.2.3.4"),
            ("10.0.0.0/33", "10.0.0.0"),
            ("10.0.0.0/0", "0.0.0.0"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1"),
            ("::ffff:c000", "::255.255.192.0"),
            ("::1:0", "::0.1.0.0"),
            ("::1", "::1"),
            ("::c000", "::c000"),
        ];
        for (text, expected) in cases {
            let id = FailId::parse(text);
            assert!(!matches!(id, FailId::Text(_)), "{text}");
            assert_eq!(id.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_stays_text() {
        let cases = [
            "1.2.3",
            "300.1.1.1",
            "1.2.3.4/",
            "1.2.3.4/24/8",
            "01.2.3.4",
            "fe80::1%eth0",
            "::ffff:192.0.2.0/120",
            "1.2.3.4/255.0.255.0",
            "",
            "1.2.3.4/+8",
        ];
        for text in cases {
            assert_eq!(FailId::parse(text), FailId::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        let cases = [
            ("10.1.2.3", 8, "10.0.0.0/8"),
            ("10.1.2.3", 32, "10.1.2.3"),
            ("10.1.2.3", 99, "10.1.2.3"),
            ("10.1.2.3", 0, "0.0.0.0/0"),
            ("2001:db8::ffff", 32, "2001:db8::/32"),
            ("::ffff:192.0.2.1", 128, "192.0.2.1"),
            ("::ffff:192.0.2.1", 120, "192.0.2.0/24"),
            ("::ffff:192.0.2.1", 64, "::/64"),
        ];
        for (address, prefix, expected) in cases {
            let network = Network::new(address.parse().unwrap(), prefix);
            assert_eq!(network.to_string(), expected, "{address}/{prefix}");
        }
    }

    #[test]
    fn a_network_covers_what_lies_inside() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("bob", "bob", true),
            ("bob", "10.0.0.1", false),
        ];
        for (wide, narrow, expected) in cases {
            assert_eq!(
                FailId::parse(wide).covers(&FailId::parse(narrow)),
                expected,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn an_id_survives_its_message() {
        for text in ["192.0.2.1", "10.0.0.0/0", "2001:db8::/32", "some$id"] {
            let id = FailId::parse(text);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<FailId>(&json).unwrap(), id, "{json}");
        }
    }
}
