//! Sets of addresses as `ipset` has them, spoken to directly over netlink.
//!
//! No program is started. [`Ipset`] does what it is told and remembers nothing: the truth is in
//! the kernel and is read from there. Whose sets these are and which entries should be in
//! them is up to the caller. One value serves one thread.
//!
//! Nothing here is a transaction: of many [edits](Edit) some can fail, and those after them are
//! carried out all the same. The kernel sends no word of what others do to a set; who wants to
//! know must look.
//!
//! ```no_run
//! use ferroban::action::ipset::{Change, Edit, Ipset};
//! use ferroban_engine::Network;
//!
//! // ipset -exist add f2b-sshd 192.0.2.1 timeout 600
//! let edit = Edit {
//!     set: "f2b-sshd",
//!     network: Network::single("192.0.2.1".parse()?),
//!     change: Change::Add { timeout: Some(600) },
//!     exist: true,
//! };
//! for result in Ipset::open()?.change(&[edit]) {
//!     result?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ferroban_engine::Network;
use rustix::net::netlink;

pub use error::{Attempt, Error};
use message::{Answer, Question};

use super::netlink::{Socket, messages};

/// The longest name of a set, in bytes.
pub const LONGEST_NAME: usize = 31;
/// The longest time that an entry can have, in seconds.
pub const LONGEST_TIMEOUT: u32 = 2_147_483;
/// How many entries of one set are read at most.
const MOST_ENTRIES: usize = 4 << 20;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// `inet`.
    V4,
    /// `inet6`.
    V6,
}

impl Family {
    /// The family of a network's addresses.
    #[must_use]
    pub fn of(network: Network) -> Self {
        if network.address().is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// The types of sets that we make.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// `hash:ip`: addresses. A network of IPv4 is kept as all of its addresses.
    Ip,
    /// `hash:net`: addresses and networks.
    Net,
}

impl Kind {
    /// As `ipset` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "hash:ip",
            Self::Net => "hash:net",
        }
    }
}

/// What a new set is to be like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spec {
    /// Its type.
    pub kind: Kind,
    /// Of what addresses.
    pub family: Family,
    /// What time entries get that come without one, in seconds, 0 being for ever. `None`:
    /// entries of this set cannot have a time.
    pub timeout: Option<u32>,
    /// How many entries it can hold; `None` is what the kernel likes, 65536.
    pub maxelem: Option<u32>,
}

/// What a set is like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// Its type: `hash:ip`, `hash:net`, `hash:ip,port`, `list:set`, …
    pub kind: String,
    /// The revision of the type.
    pub revision: u8,
    /// Of what addresses; `None` if it has none of either kind only, as a list of sets.
    pub family: Option<Family>,
    /// What time entries get that come without one, in seconds, 0 being for ever. `None`:
    /// entries of this set cannot have a time.
    pub timeout: Option<u32>,
    /// How many entries it can hold.
    pub maxelem: Option<u32>,
    /// Every entry is cut to a network of this size.
    pub netmask: Option<u8>,
    /// How many rules and other sets refer to it.
    pub references: u32,
    /// How many entries it holds now; some kernels do not say.
    pub entries: Option<u32>,
    /// Whether its entries count packets.
    pub counters: bool,
    /// Whether they have comments.
    pub comment: bool,
    /// Whether they have marks for packets.
    pub skbinfo: bool,
    /// Whether a full set throws out a random entry to take a new one.
    pub forceadd: bool,
}

/// An entry of a set. What else it says (ports, comments, counters) is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// An address or a network.
    pub network: Network,
    /// How many seconds it stays; `None` is for ever.
    pub timeout: Option<u32>,
    /// It is an exception: packets of it do *not* match, as if the set did not hold them.
    pub nomatch: bool,
}

/// What is done with an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It comes into the set.
    Add {
        /// For so many seconds, at most [`LONGEST_TIMEOUT`]; 0 is for ever. `None`: what the
        /// set gives to entries without a time.
        timeout: Option<u32>,
    },
    /// It leaves the set.
    Delete,
}

/// One change of one set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edit<'a> {
    /// The name of the set.
    pub set: &'a str,
    /// An address or a network.
    pub network: Network,
    /// What is done with it.
    pub change: Change,
    /// As `-exist`: adding what is there gives it the new time, deleting what is not there is
    /// fine. Without, either is refused.
    pub exist: bool,
}

/// Our way to the sets in the kernel.
#[derive(Debug)]
pub struct Ipset {
    socket: Socket,
    protocol: u8,
}

impl Ipset {
    /// Opens the conversation and asks a first question, so that a lack of rights or of ipset
    /// in the kernel shows now.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::Unsupported`] or [`Error::Socket`].
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(netlink::NETFILTER);
        let socket = socket.map_err(|errno| Error::opening(errno.raw_os_error()))?;
        let mut ipset = Self {
            socket,
            protocol: message::PROTOCOLS.1,
        };
        let mut versions = None;
        let asked = ipset.ask(&Question::Protocol, |answer| {
            versions = Some(message::protocols(answer));
        });
        asked.map_err(Error::opening)?;
        // What both understand, as high as may be.
        let (from, to) = versions.unwrap_or_default();
        let (lowest, highest) = message::PROTOCOLS;
        if from > highest || to < lowest {
            return Err(Error::Protocol { from, to });
        }
        ipset.protocol = to.min(highest);
        Ok(ipset)
    }

    /// The version of the protocol that is spoken.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Which revisions of a type the kernel has; `None` if it does not have it at all.
    ///
    /// # Errors
    /// If the kernel refuses to tell.
    pub fn revisions(
        &mut self,
        kind: Kind,
        family: Family,
    ) -> Result<Option<RangeInclusive<u8>>, Error> {
        let mut found = None;
        let question = Question::Type { kind, family };
        let asked = self.ask(&question, |answer| {
            found = Some(message::revisions(answer));
        });
        match asked {
            Ok(()) => Ok(found.map(|(from, to)| from..=to)),
            Err(message::FIND_TYPE) => Ok(None),
            Err(code) => Err(Error::new("", Attempt::Read, code)),
        }
    }

    /// What a set is like; `None` if there is none of this name. Cheap, but the kernel counts
    /// the entries.
    ///
    /// # Errors
    /// If there can be no set of such a name, or if the kernel refuses to tell.
    pub fn header(&mut self, name: &str) -> Result<Option<Header>, Error> {
        named(name)?;
        let mut header = None;
        let asked = self.ask(&Question::Header(name), |answer| {
            header = header.take().or_else(|| message::header(answer));
        });
        match asked {
            Ok(()) => Ok(header),
            Err(message::NO_SET) => Ok(None),
            Err(code) => Err(Error::new(name, Attempt::Read, code)),
        }
    }

    /// All entries of a set that have an address, in no order. While others change it, what
    /// comes or goes just then may be missing.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::TooLarge`], or if the kernel refuses to tell.
    pub fn list(&mut self, name: &str) -> Result<Vec<Entry>, Error> {
        named(name)?;
        let mut entries = Vec::new();
        let asked = self.ask(&Question::List(name), |answer| {
            if entries.len() <= MOST_ENTRIES {
                entries.extend(message::entries(answer));
            }
        });
        asked.map_err(|code| Error::new(name, Attempt::Read, code))?;
        if entries.len() > MOST_ENTRIES {
            let set = name.to_owned();
            return Err(Error::TooLarge { set });
        }
        Ok(entries)
    }

    /// Whether a set matches packets of an address or network: holds it or, in a set of networks,
    /// one around an address.
    ///
    /// # Errors
    /// As for an edit.
    pub fn has(&mut self, set: &str, network: Network) -> Result<bool, Error> {
        named(set)?;
        match self.ask(&Question::Has(set, network), |_| ()) {
            Ok(()) => Ok(true),
            Err(message::EXIST) => Ok(false),
            Err(code) => Err(Error::of_network(set, network, Attempt::Read, code)),
        }
    }

    /// Carries out all edits in their order, with an answer for each. One that is refused does
    /// not keep those after it from being carried out. (A network in a set of addresses is
    /// many entries; refused, some of them may have been changed.)
    pub fn change(&mut self, edits: &[Edit<'_>]) -> Vec<Result<(), Error>> {
        let mut results = Vec::with_capacity(edits.len());
        let mut families = BTreeMap::new();
        // After a refusal it is likely that there are more: each costs what was sent behind it.
        let mut most = usize::MAX;
        while let Some(rest) = edits.get(results.len()..)
            && let Some(edit) = rest.first()
        {
            if let Err(error) = possible(edit) {
                results.push(Err(error));
                continue;
            }
            let together = rest
                .iter()
                .take(most)
                .take_while(|other| message::goes_with(edit, other) && possible(other).is_ok());
            let together = rest.get(..together.count()).unwrap_or_default();
            let sent = self.send_edits(together, &mut results);
            if let Some(Err(Error::Malformed { .. })) = results.last() {
                self.find_fault(edits, &mut results, &mut families);
            }
            most = match sent {
                Ok(()) => most.saturating_mul(2),
                Err(sent) => (sent / 2).max(1),
            };
        }
        results
    }

    /// Carries out as many of these edits as fit one message, up to the first that is refused.
    /// If there is one, how many were sent.
    fn send_edits(
        &mut self,
        edits: &[Edit<'_>],
        results: &mut Vec<Result<(), Error>>,
    ) -> Result<(), usize> {
        let seq = self.socket.next();
        let (written, count) = message::edits(self.protocol, seq, edits);
        let sent = edits.get(..count).unwrap_or_default();
        let answer = match written.written() {
            Ok(bytes) => self.converse(seq, bytes, |_| ()),
            Err(errno) => Err(Answer::whole(errno.raw_os_error())),
        };
        let Err(Answer { code, line }) = answer else {
            results.extend(sent.iter().map(|_| Ok(())));
            return Ok(());
        };
        let error = |edit: &Edit<'_>| Err(Error::of_edit(edit, code));
        match line.and_then(|line| line.checked_sub(1)) {
            Some(place) if place < sent.len() => {
                let (fine, refused) = sent.split_at(place);
                results.extend(fine.iter().map(|_| Ok(())));
                results.extend(refused.iter().take(1).map(error));
            }
            // Nothing of the message was to the kernel's liking.
            _ => results.extend(sent.iter().map(error)),
        }
        Err(count)
    }

    /// The kernel only says that it does not understand the last edit that has an answer: why?
    fn find_fault<'a>(
        &mut self,
        edits: &[Edit<'a>],
        results: &mut [Result<(), Error>],
        families: &mut BTreeMap<&'a str, Option<Family>>,
    ) {
        let edit = results
            .len()
            .checked_sub(1)
            .and_then(|last| edits.get(last));
        let (Some(edit), Some(last)) = (edit, results.last_mut()) else {
            return;
        };
        let family = *families.entry(edit.set).or_insert_with(|| {
            let header = self.header(edit.set).ok().flatten();
            header.and_then(|header| header.family)
        });
        if family.is_some_and(|family| family != Family::of(edit.network)) {
            let (set, network) = (edit.set.to_owned(), edit.network);
            *last = Err(Error::Family { set, network });
        }
    }

    /// Makes a set.
    ///
    /// # Errors
    /// [`Error::Exists`], even if that is of the same kind; [`Error::Type`] if the kernel has no
    /// such type; or what else the kernel says.
    pub fn create(&mut self, name: &str, spec: &Spec) -> Result<(), Error> {
        named(name)?;
        if let Some(secs) = spec.timeout.filter(|secs| *secs > LONGEST_TIMEOUT) {
            let set = name.to_owned();
            return Err(Error::TooLong { set, secs });
        }
        let (kind, family) = (spec.kind, spec.family);
        let revisions = self.revisions(kind, family)?;
        let revisions = revisions.ok_or(Error::Type { kind, family })?;
        let revision = message::revision(kind, &revisions);
        let question = Question::Create {
            name,
            spec,
            revision,
        };
        self.ask(&question, |_| ())
            .map_err(|code| Error::new(name, Attempt::Create, code))
    }

    /// Takes all entries out of a set.
    ///
    /// # Errors
    /// [`Error::Missing`], or what else the kernel says.
    pub fn flush(&mut self, name: &str) -> Result<(), Error> {
        named(name)?;
        self.ask(&Question::Flush(name), |_| ())
            .map_err(|code| Error::new(name, Attempt::Flush, code))
    }

    /// Removes a set with its entries.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::InUse`], or what else the kernel says.
    pub fn destroy(&mut self, name: &str) -> Result<(), Error> {
        named(name)?;
        self.ask(&Question::Destroy(name), |_| ())
            .map_err(|code| Error::new(name, Attempt::Destroy, code))
    }

    /// Asks a question, and hands each message of the answer to `each`.
    fn ask(
        &mut self,
        question: &Question<'_>,
        each: impl FnMut(super::netlink::Message<'_>),
    ) -> Result<(), i32> {
        let seq = self.socket.next();
        let bytes = question.bytes(self.protocol, seq);
        let answer = self.converse(seq, &bytes, each);
        answer.map_err(|answer| answer.code)
    }

    fn converse(
        &mut self,
        seq: u32,
        bytes: &[u8],
        mut each: impl FnMut(super::netlink::Message<'_>),
    ) -> Result<(), Answer> {
        let silence = |errno: rustix::io::Errno| Answer::whole(errno.raw_os_error());
        self.socket.send(bytes).map_err(silence)?;
        loop {
            let told = self.socket.wait().map_err(silence)?;
            for message in messages(told).filter(|message| message.seq == seq) {
                match Answer::of(message) {
                    Some(Answer { code: 0, .. }) => return Ok(()),
                    Some(refusal) => return Err(refusal),
                    None => each(message),
                }
            }
        }
    }
}

/// Whether there can be a set of this name.
///
/// # Errors
/// [`Error::Name`].
pub fn named(name: &str) -> Result<(), Error> {
    if (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('\0') {
        return Ok(());
    }
    let set = name.to_owned();
    Err(Error::Name { set })
}

/// Whether the kernel need be asked about an edit.
fn possible(edit: &Edit<'_>) -> Result<(), Error> {
    named(edit.set)?;
    match edit.change {
        Change::Add {
            timeout: Some(secs),
        } if secs > LONGEST_TIMEOUT => Err(Error::TooLong {
            set: edit.set.to_owned(),
            secs,
        }),
        _ => Ok(()),
    }
}
