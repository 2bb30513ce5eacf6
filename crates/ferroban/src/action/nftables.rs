//! The native action: bans in nf_tables, spoken to directly over netlink.
//!
//! No program is started. Each jail has two chains and four sets in the table
//! `inet ferroban`: a set of addresses and one of networks for each IP version.
//! The kernel counts the time of each ban, so bans end even if nobody is left to
//! lift them. Names like `f2b-*` belong to the actions from files and
//! are never touched.
//!
//! [`Nftables`] does what it is told and remembers nothing: the truth is in the
//! kernel and is read from there. Which bans there should be, when to ask and
//! what to tell is up to the caller. One value serves one thread; several at a
//! time, in this or other processes, do not disturb each other.

mod apply;
pub(in crate::action) mod elsewhere;
mod error;
mod message;
mod name;
mod network;
mod proof;
mod rule;
mod set;
mod socket;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use apply::{Job, Wish};
pub use error::{Attempt, Error};
use ferroban_engine::Network;
pub use network::Element;
use network::{Cover, Family, Span};
use rule::Scope;
use rustix::io::Errno;
use set::{Held, Kind, SETS};
use socket::Socket;
pub use watch::{Foreign, Taken, Told, Watch};

use crate::clock;

/// Timeouts that differ by less are the same: reading and writing takes time.
const TOLERANCE: Duration = Duration::from_secs(2);

/// From so many addresses on the kernel is asked for each that is wanted: the time to read a set
/// grows with the square of its size, and here both ways take half a second.
const MANY: usize = 100_000;

/// As many bytes as the kernel tells of so many elements.
const MANY_BYTES: usize = MANY * 48;

/// A protocol a jail guards.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite.
    Udplite,
    /// SCTP.
    Sctp,
    /// DCCP.
    Dccp,
    /// ICMP, for IPv6 ICMPv6.
    Icmp,
    /// Any other, by its number. If it has ports, we do not know where.
    Other(u8),
}

/// What banned packets get.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Block {
    /// An ICMP answer: port unreachable.
    #[default]
    Reject,
    /// A reset for TCP, port unreachable for the rest.
    Reset,
    /// No answer.
    Drop,
}

/// What a jail guards, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Guard {
    /// The jail.
    pub name: String,
    /// Empty is all; if ports are given, all that have ports.
    pub protocols: Vec<Protocol>,
    /// Destination ports; empty is all. A forwarded packet is judged by the port
    /// it arrives at, behind a redirection. They do not narrow protocols without ports.
    pub ports: Vec<RangeInclusive<u16>>,
    /// What banned packets get.
    pub block: Block,
    /// When the rules have their turn, among others of the same hook: those with a smaller
    /// number come before.
    pub priority: i32,
}

impl Guard {
    /// Before the usual filter chains (0), whose `accept` would not stop ours anyway.
    pub const PRIORITY: i32 = -1;
}

/// What [`Nftables::adopt`] found and did.
#[derive(Debug, Default)]
pub struct Adoption {
    /// Held as wanted.
    pub kept: usize,
    /// Were missing and are there now.
    pub added: usize,
    /// Had another timeout.
    pub corrected: usize,
    /// In the kernel but not wanted; they are left alone. Where very many are wanted, addresses
    /// are not looked for.
    pub foreign: Vec<Element>,
    /// Wanted, but not to be had.
    pub failed: Vec<(Network, Error)>,
}

/// What the rules of a jail have kept out since they were made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeptOut {
    /// Packets of those who are banned.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The name that a jail has in the firewall: in those of its chains and sets.
#[must_use]
pub fn identifier(jail: &str) -> String {
    name::identifier(jail)
}

/// Our side of the firewall.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
}

impl Nftables {
    /// Opens the conversation and asks a first question, so that a lack of
    /// rights or of nf_tables shows now.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::Unsupported`] or [`Error::Socket`].
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::open().map_err(Error::opening)?;
        socket.generation().map_err(Error::opening)?;
        Ok(Self { socket })
    }

    /// Makes table, chains, rules and sets what the guard says, in one step:
    /// there is no moment in which a banned address gets through. (The rules of
    /// a former guard go in a second step, when no packet is left that may need
    /// them.) Elements survive; rules that are right already are not touched.
    ///
    /// # Errors
    /// If the ports are empty ranges or the kernel refuses.
    pub fn start(&mut self, guard: &Guard) -> Result<(), Error> {
        let scope = Scope::new(guard).ok_or_else(|| Error::NoPort {
            jail: guard.name.clone(),
        })?;
        table::start(&mut self.socket, &name::identifier(&guard.name), &scope)
            .map_err(|errno| Error::new(&guard.name, Attempt::Start, errno))
    }

    /// Whether the kernel has all that [`start`](Self::start) makes.
    ///
    /// # Errors
    /// If the ports are empty ranges or the kernel refuses to tell.
    pub fn is_whole(&mut self, guard: &Guard) -> Result<bool, Error> {
        let scope = Scope::new(guard).ok_or_else(|| Error::NoPort {
            jail: guard.name.clone(),
        })?;
        table::is_whole(&mut self.socket, &name::identifier(&guard.name), &scope)
            .map_err(|errno| Error::new(&guard.name, Attempt::List, errno))
    }

    /// What each jail has kept out since its rules were made, by the [name](identifier) that it has
    /// in the firewall.
    ///
    /// # Errors
    /// If the kernel refuses to tell.
    pub fn kept_out(&mut self) -> Result<BTreeMap<String, KeptOut>, Error> {
        table::kept_out(&mut self.socket).map_err(|errno| Error::new("", Attempt::List, errno))
    }

    /// Bans all elements, in one transaction; an answer for each, in order. An
    /// element that is there gets the new timeout.
    ///
    /// A network inside a banned one counts as banned, whatever their times; a
    /// wider network takes the place of those inside it. Of one network given
    /// twice, the last time counts.
    pub fn add(&mut self, name: &str, elements: &[Element]) -> Vec<Result<(), Error>> {
        self.carry_out(name, elements.iter().map(|element| (*element, Wish::Add)))
    }

    /// Lifts the bans of all networks, in one transaction; an answer for each,
    /// in order. One that is not banned (any more) is fine; one inside a wider
    /// banned network stays banned with it.
    pub fn remove(&mut self, name: &str, networks: &[Network]) -> Vec<Result<(), Error>> {
        let element = |network: &Network| Element {
            network: *network,
            timeout: None,
        };
        self.carry_out(
            name,
            networks
                .iter()
                .map(|network| (element(network), Wish::Remove)),
        )
    }

    /// Everybody banned, with the time that is left. Ranges made by others are
    /// told as the networks they consist of. While others change the firewall,
    /// an element that comes or goes just then may be missing or told twice.
    ///
    /// # Errors
    /// [`Error::NotStarted`] if the sets are not there, or if the kernel refuses.
    pub fn list(&mut self, name: &str) -> Result<Vec<Element>, Error> {
        let mut found = Vec::new();
        for (family, held) in self
            .held(name)?
            .into_iter()
            .flat_map(|(set, held)| held.into_iter().map(move |held| (set.family, held)))
        {
            let networks = held.span.networks(family).into_iter();
            found.extend(networks.map(|network| Element {
                network,
                timeout: held.timeout,
            }));
        }
        Ok(found)
    }

    /// Which of these networks nothing in the kernel holds.
    ///
    /// # Errors
    /// [`Error::NotStarted`] if the sets are not there, or if the kernel refuses.
    pub fn missing(&mut self, name: &str, wanted: &[Network]) -> Result<Vec<Network>, Error> {
        let (mut present, mut covers) = (HashSet::new(), Vec::new());
        for (set, held) in self.held(name)? {
            if set.kind == Kind::Network {
                covers.push((set.family, Cover::new(held.iter().map(|held| held.span))));
            }
            present.extend(held.iter().flat_map(|held| held.span.networks(set.family)));
        }
        let is_held = |network: &Network| present.contains(network) || holds(&covers, *network);
        let missing = wanted.iter().copied();
        Ok(missing.filter(|network| !is_held(network)).collect())
    }

    /// Makes the kernel hold what is wanted by changing only what differs.
    ///
    /// # Errors
    /// [`Error::NotStarted`] if the sets are not there, or if the kernel refuses; what happens to single elements is in [`Adoption::failed`].
    pub fn adopt(&mut self, name: &str, wanted: &[Element]) -> Result<Adoption, Error> {
        let begun = clock::tick();
        let (mut present, mut covers) = (HashMap::new(), Vec::new());
        for (set, held) in self.held_of(name, wanted)? {
            if set.kind == Kind::Network {
                covers.push((set.family, Cover::new(held.iter().map(|held| held.span))));
            }
            for held in held {
                let networks = held.span.networks(set.family).into_iter();
                present.extend(networks.map(|network| (network, held.timeout)));
            }
        }
        let late = begun.elapsed();
        let covered = |network: Network| !network.is_single() && holds(&covers, network);
        let (mut adoption, mut jobs) = (Adoption::default(), Vec::new());
        for Element { network, timeout } in wanted.iter().copied() {
            let timeout = timeout.map(|timeout| timeout.saturating_sub(late));
            let element = Element { network, timeout };
            match (present.get(&network), covered(network)) {
                (Some(held), _) if same(*held, timeout, late) => adoption.kept += 1,
                (Some(_), _) => jobs.push((element, Wish::Replace)),
                (None, true) => adoption.kept += 1,
                (None, false) => jobs.push((element, Wish::Add)),
            }
        }
        let results = self.carry_out(name, jobs.iter().copied());
        for ((element, wish), result) in jobs.iter().zip(results) {
            match (result, wish) {
                (Err(error), _) => adoption.failed.push((element.network, error)),
                (Ok(()), Wish::Add) => adoption.added += 1,
                (Ok(()), _) => adoption.corrected += 1,
            }
        }
        adoption.foreign = foreign(present, wanted);
        Ok(adoption)
    }

    /// Removes the jail's rules and sets, and the table with the last jail. It
    /// is fine if they are gone. What others put into our table stays.
    ///
    /// # Errors
    /// If the kernel refuses, for instance because a rule of somebody else uses a set.
    pub fn stop(&mut self, name: &str) -> Result<(), Error> {
        table::stop(&mut self.socket, &name::identifier(name))
            .map_err(|errno| Error::new(name, Attempt::Stop, errno))
    }

    fn held(&mut self, name: &str) -> Result<Vec<(set::Set, Vec<Held>)>, Error> {
        let jail = name::identifier(name);
        let mut found = Vec::new();
        for set in SETS {
            let held = set.read(&mut self.socket, &jail);
            found.push((
                set,
                held.map_err(|errno| Error::new(name, Attempt::List, errno))?,
            ));
        }
        Ok(found)
    }

    /// The same as far as it matters for some elements, if there are very many.
    fn held_of(
        &mut self,
        name: &str,
        wanted: &[Element],
    ) -> Result<Vec<(set::Set, Vec<Held>)>, Error> {
        let jail = name::identifier(name);
        let mut found = Vec::new();
        for set in SETS {
            let held = self.held_in(set, &jail, wanted);
            let held = held.map_err(|errno| Error::new(name, Attempt::List, errno))?;
            found.push((set, held));
        }
        Ok(found)
    }

    fn held_in(
        &mut self,
        set: set::Set,
        jail: &str,
        wanted: &[Element],
    ) -> Result<Vec<Held>, Errno> {
        if set.kind == Kind::Network {
            return set.read(&mut self.socket, jail);
        }
        let networks = wanted.iter().map(|element| element.network);
        let of_set = networks.filter(|network| set::Set::of(*network) == set);
        let spans: Vec<Span> = of_set.map(Span::of).collect();
        if spans.len() < MANY
            && let Some(held) = set.read_unless(&mut self.socket, jail, MANY_BYTES)?
        {
            return Ok(held);
        }
        set.look_up(&mut self.socket, jail, &spans)
    }

    /// One job for each network, and one answer for each wish.
    fn carry_out(
        &mut self,
        name: &str,
        wishes: impl Iterator<Item = (Element, Wish)>,
    ) -> Vec<Result<(), Error>> {
        let (mut jobs, mut places, mut known) = (Vec::new(), Vec::new(), HashMap::new());
        for (Element { network, timeout }, wish) in wishes {
            let job = Job::new(network, timeout, wish);
            let place = *known.entry(network).or_insert(jobs.len());
            match jobs.get_mut(place) {
                Some(former) => *former = job,
                None => jobs.push(job),
            }
            places.push(place);
        }
        apply::apply(&mut self.socket, &name::identifier(name), &mut jobs);
        places
            .into_iter()
            .filter_map(|place| Some(jobs.get(place)?.result(name)))
            .collect()
    }
}

/// What nobody wants: neither it nor a network around it.
fn foreign(present: HashMap<Network, Option<Duration>>, wanted: &[Element]) -> Vec<Element> {
    let wanted: HashSet<Network> = wanted.iter().map(|element| element.network).collect();
    let covers = [Family::V4, Family::V6].map(|family| {
        let networks = wanted
            .iter()
            .filter(|network| Family::of(**network) == family);
        let mut cover = Cover::default();
        networks
            .filter(|network| !network.is_single())
            .for_each(|network| {
                cover.place(Span::of(*network), 0);
            });
        (family, cover)
    });
    let mut foreign: Vec<_> = present
        .into_iter()
        .filter(|(network, _)| !wanted.contains(network))
        .filter(|(network, _)| network.is_single() || !holds(&covers, *network))
        .map(|(network, timeout)| Element { network, timeout })
        .collect();
    foreign.sort_by_key(|element| element.network);
    foreign
}

fn holds(covers: &[(Family, Cover)], network: Network) -> bool {
    covers
        .iter()
        .any(|(family, cover)| *family == Family::of(network) && cover.holds(Span::of(network)))
}

/// Whether a timeout is the one that is wanted now; it was read up to so long ago.
fn same(present: Option<Duration>, wanted: Option<Duration>, ago: Duration) -> bool {
    match (set::bounded(present), set::bounded(wanted)) {
        (None, None) => true,
        (Some(present), Some(wanted)) => present.abs_diff(wanted) <= TOLERANCE + ago,
        _ => false,
    }
}
