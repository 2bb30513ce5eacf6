//! Finds the addresses that must not be banned by accident.
//!
//! This host's own, the routers its packets go to, the name servers it asks, and
//! those from which somebody is logged in over ssh to the session that started
//! us. All of it is read from `/proc` and `/etc`; no program is run.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferroban_engine::{FailId, Protected, Protection};

/// How far up the parents of this process are followed.
const MAX_PARENTS: usize = 32;

/// Everything that is protected now; `named` are the addresses that this host's names
/// have.
pub(super) fn find(named: &[IpAddr]) -> Vec<Protected> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let found = [
        (Protection::Session, sessions()),
        (
            Protection::OwnAddress,
            own_v4(&read("/proc/self/net/fib_trie")),
        ),
        (
            Protection::OwnAddress,
            own_v6(&read("/proc/self/net/if_inet6")),
        ),
        (Protection::OwnAddress, named.to_vec()),
        (
            Protection::Gateway,
            gateways_v4(&read("/proc/self/net/route")),
        ),
        (
            Protection::Gateway,
            gateways_v6(&read("/proc/self/net/ipv6_route")),
        ),
        (Protection::Resolver, resolvers(&read("/etc/resolv.conf"))),
    ];
    let mut first = BTreeMap::new();
    for (why, addresses) in found {
        for address in addresses {
            first.entry(address).or_insert(Protected { address, why });
        }
    }
    first.into_values().collect()
}

/// The local IPv4 addresses in the kernel's routing trie: `|-- ADDRESS`, then a
/// line that says `host LOCAL`.
fn own_v4(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.ends_with("host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The IPv6 addresses of all interfaces: the first word, 32 digits.
fn own_v6(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| v6(line.split_whitespace().next()?))
        .collect()
}

/// Where the default routes of IPv4 lead: destination and mask zero, the
/// gateway in the byte order of the host.
fn gateways_v4(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "00000000", gateway, _, _, _, _, "00000000", ..] = words.as_slice() else {
            return None;
        };
        let bits = u32::from_str_radix(gateway, 16)
            .ok()
            .filter(|bits| *bits != 0)?;
        Some(IpAddr::from(bits.to_ne_bytes()))
    };
    text.lines().filter_map(gateway).collect()
}

/// The same of IPv6, where a route without a next hop has zeros there.
fn gateways_v6(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, _, gateway, ..] = words.as_slice() else {
            return None;
        };
        let open = v6(destination)?.is_unspecified();
        v6(gateway).filter(|gateway| open && !gateway.is_unspecified())
    };
    text.lines().filter_map(gateway).collect()
}

fn v6(digits: &str) -> Option<IpAddr> {
    let whole = digits.len() == 32;
    let bits = u128::from_str_radix(digits, 16).ok().filter(|_| whole)?;
    Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// The name servers of `/etc/resolv.conf`.
fn resolvers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let keyword = words.next()?;
        (keyword == "nameserver")
            .then(|| words.next()?.split('%').next()?.parse().ok())
            .flatten()
    };
    text.lines().filter_map(server).collect()
}

/// The client addresses of the ssh sessions that this process descends from.
///
/// `sudo` and `su -` drop `SSH_CONNECTION` from the environment, so the parents'
/// environments are looked into as well.
fn sessions() -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut pid = std::process::id();
    for _ in 0..MAX_PARENTS {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        found.extend(session_address(&environment));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        match parent(&status) {
            Some(parent) if parent > 1 => pid = parent,
            _ => break,
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn parent(status: &str) -> Option<u32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// The client in `SSH_CONNECTION=client port server port`.
fn session_address(environment: &[u8]) -> Option<IpAddr> {
    let variable = |entry: &[u8]| -> Option<IpAddr> {
        let text = std::str::from_utf8(entry).ok()?;
        let value = text
            .strip_prefix("SSH_CONNECTION=")
            .or_else(|| text.strip_prefix("SSH_CLIENT="))?;
        // A link-local client is written with its interface: `fe80::1%eth0`.
        match FailId::parse(value.split([' ', '%']).next()?) {
            FailId::Address(address) => Some(address),
            _ => None,
        }
    };
    environment.split(|byte| *byte == 0).find_map(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn own_addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.0\n        /24 link UNICAST\nLocal:\n        |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.17\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 192.0.2.17\n        /32 host LOCAL\n";
        assert_eq!(text(&own_v4(trie)), ["127.0.0.1", "192.0.2.17"]);
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\n20010db8000000000000000000000007 02 40 00 80     eth0\nbroken\n";
        assert_eq!(text(&own_v6(v6)), ["::1", "2001:db8::7"]);
    }

    #[test]
    fn gateways_are_those_of_default_routes() {
        let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let routes = format!(
            "{head}eth0 00000000 {gateway:08X} 0003 0 0 0 00000000 0 0 0\neth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\neth0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"
        );
        assert_eq!(text(&gateways_v4(&routes)), ["192.0.2.1"]);
        let zero = "0".repeat(32);
        let routes = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 00000003 eth0\n{zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo\n"
        );
        assert_eq!(text(&gateways_v6(&routes)), ["fe80::1"]);
    }

    #[test]
    fn resolvers_and_sessions_are_found() {
        let conf = "# nameserver 192.0.2.9\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch example.org\n";
        assert_eq!(text(&resolvers(conf)), ["192.0.2.53", "fe80::1"]);
        let cases: [(&[u8], Option<&str>); 4] = [
            (
                b"A=1\0SSH_CONNECTION=198.51.100.7 50000 192.0.2.1 22\0",
                Some("198.51.100.7"),
            ),
            (
                b"SSH_CLIENT=::ffff:198.51.100.7 50000 22\0",
                Some("198.51.100.7"),
            ),
            (
                b"SSH_CONNECTION=fe80::2%eth0 1 fe80::1%eth0 22\0",
                Some("fe80::2"),
            ),
            (
                b"SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535\0X=\xff\0",
                None,
            ),
        ];
        for (environment, expected) in cases {
            assert_eq!(
                session_address(environment),
                expected.map(|text| text.parse().unwrap())
            );
        }
        assert_eq!(parent("Name:\tx\nPPid:\t42\n"), Some(42));
    }

    #[test]
    fn the_loopback_address_of_this_very_host_is_found() {
        assert!(find(&[]).iter().any(|entry| entry.address.is_loopback()));
    }
}
