//! Ends the connections of those who are banned.
//!
//! The firewall keeps out their packets, but whom they talked to waits for more, perhaps for
//! hours, and holds what the connection holds. The kernel ends a connection of this host on demand
//! (`ss -K` does it the same way). Only TCP is looked at, since nothing else knows connections.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ferroban_engine::Network;
use rustix::io::Errno;
use rustix::net::{AddressFamily, netlink};

use super::netlink::{self as link, ACK, Attributes, DONE, DUMP, ERROR, Head, messages};

const DIAG_BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;

const TCP: u8 = 6;
/// All states but those of a socket that listens (10) or is as good as gone (6, 7).
const STATES: u32 = 0xfff & !(1 << 6 | 1 << 7 | 1 << 10);

/// Of a message about a socket: family, state and two more bytes, then what names the socket.
const SOCKET: usize = 4;
const NAME: usize = 48;

/// Ends all TCP connections of these networks to these local ports (none: to all). How many.
///
/// # Errors
/// The kernel does not tell of connections, or cannot end them.
pub(crate) fn cut(networks: &[Network], ports: &[RangeInclusive<u16>]) -> io::Result<usize> {
    let banned = Banned::new(networks);
    let mut socket = Socket::open()?;
    let mut count = 0;
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let family = u8::try_from(family.as_raw()).unwrap_or(0);
        for connection in socket.connections(family)? {
            let ours =
                ports.is_empty() || ports.iter().any(|range| range.contains(&connection.port));
            if ours && banned.has(connection.peer) && socket.end(family, &connection)? {
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Whose connections end.
struct Banned {
    addresses: HashSet<IpAddr>,
    networks: Vec<Network>,
}

impl Banned {
    fn new(networks: &[Network]) -> Self {
        let (singles, networks): (Vec<Network>, Vec<Network>) =
            networks.iter().partition(|network| network.is_single());
        let addresses = singles.iter().map(|network| network.address()).collect();
        Self {
            addresses,
            networks,
        }
    }

    fn has(&self, peer: IpAddr) -> bool {
        let single = Network::single(peer);
        self.addresses.contains(&peer) || self.networks.iter().any(|net| net.contains(single))
    }
}

/// A connection as the kernel names it.
#[derive(Debug, Eq, PartialEq)]
struct Connection {
    port: u16,
    peer: IpAddr,
    name: [u8; NAME],
}

impl Connection {
    /// Reads what follows the header of a message.
    fn read(body: &[u8]) -> Option<Self> {
        let name: &[u8; NAME] = body.get(SOCKET..)?.first_chunk()?;
        let (local, rest) = name.split_first_chunk::<2>()?;
        let (_, rest) = rest.split_first_chunk::<2>()?;
        let (_, rest) = rest.split_first_chunk::<16>()?;
        let peer = rest.first_chunk::<16>()?;
        let peer: IpAddr = if body.first() == Some(&2) {
            Ipv4Addr::from(*peer.first_chunk::<4>()?).into()
        } else {
            Ipv6Addr::from(*peer).to_canonical()
        };
        Some(Self {
            port: u16::from_be_bytes(*local),
            peer,
            name: *name,
        })
    }
}

struct Socket {
    link: link::Socket,
    seq: u32,
}

impl Socket {
    fn open() -> io::Result<Self> {
        let link = link::Socket::open(netlink::SOCK_DIAG)?;
        Ok(Self { link, seq: 0 })
    }

    /// All connections of a family.
    fn connections(&mut self, family: u8) -> io::Result<Vec<Connection>> {
        self.ask(DIAG_BY_FAMILY, DUMP, family, &[0; NAME])?;
        let mut all = Vec::new();
        while !self.receive(|kind, body| {
            if kind == DIAG_BY_FAMILY {
                all.extend(Connection::read(body));
            }
        })? {}
        Ok(all)
    }

    /// Ends a connection; whether it was there still.
    fn end(&mut self, family: u8, connection: &Connection) -> io::Result<bool> {
        self.ask(DESTROY, ACK, family, &connection.name)?;
        match self.receive(|_, _| ()) {
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(false),
            other => other.map(|_| true),
        }
    }

    fn ask(&mut self, kind: u16, flags: u16, family: u8, name: &[u8; NAME]) -> io::Result<()> {
        self.seq = self.link.next();
        let mut out = Attributes::default();
        let seq = self.seq;
        out.message(&Head { kind, flags, seq }, |out| {
            out.raw(&[family, TCP, 0, 0]);
            out.raw(&STATES.to_ne_bytes());
            out.raw(name);
        });
        self.link.send(&out.into_bytes())?;
        Ok(())
    }

    /// Takes one reading of answers to the last question. Whether they were the last.
    fn receive(&mut self, mut each: impl FnMut(u16, &[u8])) -> io::Result<bool> {
        let mut last = false;
        for message in messages(self.link.wait()?).filter(|message| message.seq == self.seq) {
            match message.kind {
                DONE => last = true,
                ERROR => {
                    message.outcome()?;
                    last = true;
                }
                kind => each(kind, message.body()),
            }
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connection_is_known_by_its_port_and_its_peer() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
        let four = [192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        for (family, peer, expected) in [
            (2, four, "192.0.2.7"),
            (10, mapped, "192.0.2.7"),
            (10, six, "2001:db8::7"),
        ] {
            let mut body = vec![family, 1, 0, 0, 0, 22, 0x80, 0];
            body.extend([9; 16]);
            body.extend(peer);
            body.extend([1; 12]);
            let connection = Connection::read(&body).unwrap();
            assert_eq!(connection.port, 22);
            assert_eq!(connection.peer, expected.parse::<IpAddr>().unwrap());
            let networks = ["192.0.2.0/24", "2001:db8::7"].map(|text| match text.split_once('/') {
                Some((address, bits)) => {
                    Network::new(address.parse().unwrap(), bits.parse().unwrap())
                }
                None => Network::single(text.parse().unwrap()),
            });
            assert!(Banned::new(&networks).has(connection.peer));
            assert!(!Banned::new(&networks[..0]).has(connection.peer));
            body.truncate(40);
            assert_eq!(Connection::read(&body), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_message_holds_is_read(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let connection = Connection::read(&body);
            prop_assert_eq!(connection.is_some(), body.len() >= SOCKET + NAME);
        }
    }
}
