//! Names and addresses: what DNS and `/etc/hosts` say, remembered for a while.
//!
//! The system is asked by its own functions, `getaddrinfo` and `getnameinfo`, which may
//! wait for many seconds: only threads that have nothing else to do come here. The names
//! are those of log lines, so an attacker chooses what we ask, and may own the server
//! that answers. How much is remembered is bounded, and answers are as little trusted as
//! the line.
//!
//! Nothing is logged here; the words for it are ([`unresolved`], [`determined`]).

pub(crate) mod remembered;
mod system;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferroban_config::quoted;

use crate::clock;
use remembered::Remembered;

/// The logger of what is told about names.
pub(crate) const LOGGER: &str = "ipdns";

/// How many answers are remembered, of names and of addresses.
const MOST: usize = 1000;
/// How long an answer is remembered; that there is none as well.
const KEEP: Duration = Duration::from_secs(300);
/// The longest name that DNS can have, in bytes.
const LONGEST: usize = 253;
/// The longest part of a name between dots, in bytes.
const LONGEST_LABEL: usize = 63;
/// How much of a name is shown, in bytes.
const SHOWN: usize = 300;

/// Who knows names and addresses: the system, or a test.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a name, as they come, or why there are none, in Python's words.
    fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, String>;

    /// The name of an address.
    fn host(&self, address: IpAddr) -> Option<String>;

    /// Whether the kernel has IPv6.
    fn ipv6(&self) -> bool;

    /// What this host is called.
    fn own_name(&self) -> String;
}

/// `allowipv6`: whether IPv6 addresses of names are wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Ipv6 {
    /// If the kernel has IPv6.
    #[default]
    Auto,
    Yes,
    No,
}

/// As a configuration has it: `yes`, `no` or `auto`.
impl FromStr for Ipv6 {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "yes" | "on" | "true" | "1" => Self::Yes,
            "no" | "off" | "false" | "0" => Self::No,
            _ => return Err(()),
        })
    }
}

/// A name that has no address, or none that we could learn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unresolved {
    pub(crate) name: String,
    /// What the system said, as Python writes it.
    pub(crate) why: String,
    /// Whether it was found out earlier, and told then.
    pub(crate) remembered: bool,
}

/// In the original's words.
impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unresolved(&self.name, &self.why))
    }
}

impl std::error::Error for Unresolved {}

/// What is told of a name without addresses. A WARNING, once for each time the system
/// was asked.
pub(crate) fn unresolved(name: &str, why: &str) -> String {
    format!(
        "Unable to find a corresponding IP address for {}: {why}",
        shown(name)
    )
}

/// What is told of the addresses of a name with `usedns = warn`. A WARNING, every time.
pub(crate) fn determined(name: &str, addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses
        .iter()
        .map(|address| quoted(&address.to_string()))
        .collect();
    // As Python shows a set.
    let set = match addresses.as_slice() {
        [] => "set()".to_owned(),
        addresses => format!("{{{}}}", addresses.join(", ")),
    };
    format!("Determined IP using DNS Lookup: {} = {set}", shown(name))
}

/// As much of a name as a log line needs.
fn shown(name: &str) -> String {
    match name.get(..name.floor_char_boundary(SHOWN)) {
        Some(start) if start.len() < name.len() => format!("{start}…"),
        _ => name.to_owned(),
    }
}

/// Asks the system, and remembers. Cheap to clone; what one clone has learned, all know.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Inner>);

struct Inner {
    lookup: Box<dyn Lookup>,
    ipv6: AtomicU8,
    addresses: Mutex<Remembered<String, Result<Vec<IpAddr>, String>>>,
    hosts: Mutex<Remembered<IpAddr, Option<String>>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// Asks the system.
    pub(crate) fn system() -> Self {
        Self::new(system::System)
    }

    /// Asks whom one likes.
    pub(crate) fn new(lookup: impl Lookup + 'static) -> Self {
        Self(Arc::new(Inner {
            lookup: Box::new(lookup),
            ipv6: AtomicU8::new(Ipv6::Auto as u8),
            addresses: Mutex::new(Remembered::new(MOST, KEEP)),
            hosts: Mutex::new(Remembered::new(MOST, KEEP)),
        }))
    }

    /// Changes whether IPv6 addresses are wanted. What was learned before is forgotten.
    pub(crate) fn allow_ipv6(&self, allow: Ipv6) {
        if self.0.ipv6.swap(allow as u8, Ordering::Relaxed) != allow as u8 {
            lock(&self.0.addresses).clear();
        }
    }

    /// Whether IPv6 addresses are wanted.
    pub(crate) fn ipv6(&self) -> bool {
        match self.0.ipv6.load(Ordering::Relaxed) {
            yes if yes == Ipv6::Yes as u8 => true,
            no if no == Ipv6::No as u8 => false,
            _ => self.0.lookup.ipv6(),
        }
    }

    /// The addresses of a name: each once, IPv4 first, in order. May wait for them.
    pub(crate) fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        self.addresses_at(name, clock::tick())
    }

    /// The same at a given time.
    pub(crate) fn addresses_at(&self, name: &str, now: Instant) -> Result<Vec<IpAddr>, Unresolved> {
        let answer = |found: Result<Vec<IpAddr>, String>, remembered| {
            found.map_err(|why| Unresolved {
                name: name.to_owned(),
                why,
                remembered,
            })
        };
        // What is cut is no name in any case.
        let key = shown(name);
        if let Some(found) = lock(&self.0.addresses).get(&key, now) {
            return answer(found.clone(), true);
        }
        let found = match wrong(name) {
            Some(why) => Err(why.to_owned()),
            None => self.ask(name),
        };
        let mut known = lock(&self.0.addresses);
        // Somebody else may have asked meanwhile, and told of it.
        let told = known.get(&key, now).is_some();
        known.put(key, found.clone(), now);
        drop(known);
        answer(found, told)
    }

    fn ask(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let ipv6 = self.ipv6();
        let found = self.0.lookup.addresses(name, ipv6)?;
        Ok(in_order(found, ipv6))
    }

    /// The name of an address, if it has one. May wait for it.
    pub(crate) fn host(&self, address: IpAddr) -> Option<String> {
        self.host_at(address, clock::tick())
    }

    /// The same at a given time.
    pub(crate) fn host_at(&self, address: IpAddr, now: Instant) -> Option<String> {
        if let Some(found) = lock(&self.0.hosts).get(&address, now) {
            return found.clone();
        }
        let found = self.0.lookup.host(address);
        lock(&self.0.hosts).put(address, found.clone(), now);
        found
    }

    /// What this host is called, with its domain if it has one, and `localhost`; each
    /// with its addresses. For `ignoreself`. May wait for them.
    pub(crate) fn own_names(&self) -> Vec<(String, Result<Vec<IpAddr>, Unresolved>)> {
        self.own_names_at(clock::tick())
    }

    /// The same at a given time.
    pub(crate) fn own_names_at(
        &self,
        now: Instant,
    ) -> Vec<(String, Result<Vec<IpAddr>, Unresolved>)> {
        let host = self.0.lookup.own_name();
        let of_host = self.addresses_at(&host, now);
        let first = of_host.as_ref().ok().and_then(|found| found.first());
        let full = first
            .filter(|_| !host.contains('.'))
            .and_then(|address| self.host_at(*address, now))
            .filter(|name| name.contains('.') && *name != host);
        let mut names = vec![(host, of_host)];
        for name in full.into_iter().chain(["localhost".to_owned()]) {
            if names.iter().all(|(known, _)| *known != name) {
                let found = self.addresses_at(&name, now);
                names.push((name, found));
            }
        }
        names
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why it makes no sense to ask for a name, in the words of Python where it has some.
fn wrong(name: &str) -> Option<&'static str> {
    const UNKNOWN: &str = "[Errno -2] Name or service not known";
    if !name.is_ascii() {
        return Some("its letters are not ASCII; write it as DNS has it (xn--…)");
    }
    if name.is_empty() || name.contains('\0') {
        return Some(UNKNOWN);
    }
    let (before, last) = name.rsplit_once('.').unwrap_or(("a", name));
    if before
        .split('.')
        .any(|label| label.is_empty() || label.len() > LONGEST_LABEL)
    {
        return Some("encoding with 'idna' codec failed (UnicodeError: label empty or too long)");
    }
    if last.len() > LONGEST_LABEL {
        return Some("encoding with 'idna' codec failed (UnicodeError: label too long)");
    }
    (name.trim_end_matches('.').len() > LONGEST).then_some(UNKNOWN)
}

/// Each address once, IPv4 before IPv6 and dressed as nothing else.
fn in_order(mut found: Vec<IpAddr>, ipv6: bool) -> Vec<IpAddr> {
    for address in &mut found {
        *address = address.to_canonical();
    }
    found.retain(|address| ipv6 || address.is_ipv4());
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
