//! Whether bans of a jail really reach the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::network::{Element, Span};
use super::set::Set;
use super::{Error, Guard, Network, Nftables, name};

/// Should we end in the midst of it, nothing stays.
const SHORT: Duration = Duration::from_secs(10);

/// So many addresses of a documentation network are looked at for one that is free.
const TRIED: u8 = 64;

impl Nftables {
    /// Bans an address of each IP version that is kept for documentation and that nobody has,
    /// finds it in the kernel, and takes it out again. The addresses.
    ///
    /// # Errors
    /// The first step that does not do what it should.
    pub fn prove(&mut self, guard: &Guard) -> Result<Vec<Network>, Error> {
        let jail = &guard.name;
        if !self.is_whole(guard)? {
            return Err(Error::Broken { jail: jail.clone() });
        }
        let mut proven = Vec::new();
        for spare in [spare_v4, spare_v6] {
            if let Some(network) = self.unbanned(jail, spare)? {
                self.prove_with(jail, network)?;
                proven.push(network);
            }
        }
        Ok(proven)
    }

    fn prove_with(&mut self, jail: &str, network: Network) -> Result<(), Error> {
        let element = Element {
            network,
            timeout: Some(SHORT),
        };
        for result in self.add(jail, &[element]) {
            result?;
        }
        let found = self.holds(jail, network);
        for result in self.remove(jail, &[network]) {
            result?;
        }
        let wrong = |banned: bool| Error::Unproven {
            jail: jail.to_owned(),
            network,
            banned,
        };
        if !found? {
            return Err(wrong(true));
        }
        match self.holds(jail, network)? {
            true => Err(wrong(false)),
            false => Ok(()),
        }
    }

    /// The first address that is not banned by itself.
    fn unbanned(&mut self, jail: &str, spare: fn(u8) -> IpAddr) -> Result<Option<Network>, Error> {
        for number in 0..TRIED {
            let network = Network::single(spare(number));
            if !self.holds(jail, network)? {
                return Ok(Some(network));
            }
        }
        Ok(None)
    }

    /// Whether the kernel has an address in a jail's set of addresses.
    fn holds(&mut self, jail: &str, network: Network) -> Result<bool, Error> {
        let asked = [(Set::of(network), Span::of(network))];
        let name = name::identifier(jail);
        if let [Some(holds)] = Set::peek(&mut self.socket, &name, &asked).as_slice() {
            return Ok(*holds);
        }
        let listed = self.list(jail)?;
        Ok(listed.iter().any(|element| element.network == network))
    }
}

/// `TEST-NET-1`, from its end.
fn spare_v4(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 254 - number.min(TRIED)).into()
}

/// `2001:db8::/32`, likewise.
fn spare_v6(number: u8) -> IpAddr {
    let last = u16::MAX - 1 - u16::from(number);
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
}
