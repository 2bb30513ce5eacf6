//! What can go wrong with sets of ipset.

use std::{error, fmt, io};

use ferroban_engine::Network;
use rustix::io::Errno;

use super::{Change, Edit, Family, Kind, LONGEST_NAME, LONGEST_TIMEOUT, message};

/// What was being done when the kernel refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// Reading what a set is like, or its entries.
    Read,
    /// Making a set.
    Create,
    /// Emptying a set.
    Flush,
    /// Removing a set.
    Destroy,
    /// Adding an entry.
    Add(Network),
    /// Deleting an entry.
    Delete(Network),
}

/// Why a set is not as it should be.
#[derive(Debug)]
pub enum Error {
    /// We lack the right to change sets.
    NotAllowed {
        /// `EPERM`.
        source: io::Error,
    },
    /// The kernel has no ipset.
    Unsupported {
        /// What it said.
        source: io::Error,
    },
    /// The kernel's ipset speaks another language.
    Protocol {
        /// The oldest version that it speaks.
        from: u8,
        /// The newest.
        to: u8,
    },
    /// The socket could not be opened.
    Socket {
        /// What the kernel said.
        source: io::Error,
    },
    /// There can be no set of this name.
    Name {
        /// The name.
        set: String,
    },
    /// There is no set of this name.
    Missing {
        /// Its name.
        set: String,
    },
    /// There is a set of this name already.
    Exists {
        /// Its name.
        set: String,
    },
    /// Rules or other sets refer to the set.
    InUse {
        /// Its name.
        set: String,
    },
    /// The kernel has no such type of sets.
    Type {
        /// The type.
        kind: Kind,
        /// Its family.
        family: Family,
    },
    /// The set holds too much to be read.
    TooLarge {
        /// Its name.
        set: String,
    },
    /// The entry was to be new and is there already.
    AlreadyThere {
        /// The name of the set.
        set: String,
        /// The entry.
        network: Network,
    },
    /// The entry was to be deleted and is not there.
    NotThere {
        /// The name of the set.
        set: String,
        /// The entry.
        network: Network,
    },
    /// The set holds as many entries as it can.
    Full {
        /// Its name.
        set: String,
        /// What found no room.
        network: Network,
    },
    /// Entries of this set cannot have a time.
    NoTimeouts {
        /// Its name.
        set: String,
        /// What should have had one.
        network: Network,
    },
    /// The kernel cannot count so far.
    TooLong {
        /// The name of the set.
        set: String,
        /// How many seconds were wanted.
        secs: u32,
    },
    /// The set holds addresses of the other family.
    Family {
        /// Its name.
        set: String,
        /// What was to be changed.
        network: Network,
    },
    /// Entries of the set have more than an address, such as a port, and cannot be without.
    Malformed {
        /// Its name.
        set: String,
        /// What was to be changed.
        network: Network,
    },
    /// The set cannot hold such a network.
    Unfit {
        /// Its name.
        set: String,
        /// What was to be changed.
        network: Network,
    },
    /// Somebody has made an exception of the entry: packets of it do not match.
    Excepted {
        /// The name of the set.
        set: String,
        /// The entry.
        network: Network,
    },
    /// The set is not one for bans.
    Unsuitable {
        /// Its name.
        set: String,
        /// Its type.
        kind: String,
        /// The family it should be of.
        family: Family,
    },
    /// What the kernel said it had done it has not done.
    Unproven {
        /// The name of the set.
        set: String,
        /// Whom it was tried with.
        network: Network,
        /// Whether it was a ban; else it was an unban.
        banned: bool,
    },
    /// The kernel refused.
    Refused {
        /// The name of the set.
        set: String,
        /// What was being done.
        attempt: Attempt,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// The fitting variant for a number from the kernel.
    pub(super) fn new(set: &str, attempt: Attempt, code: i32) -> Self {
        let set = set.to_owned();
        let source = cause(code);
        match errno(code) {
            Some(Errno::PERM | Errno::ACCESS) => return Self::NotAllowed { source },
            Some(Errno::NOENT) if attempt != Attempt::Create => return Self::Missing { set },
            Some(Errno::EXIST) if attempt == Attempt::Create => return Self::Exists { set },
            _ => {}
        }
        match code {
            message::BUSY if attempt == Attempt::Destroy => Self::InUse { set },
            _ => Self::Refused {
                set,
                attempt,
                source,
            },
        }
    }

    /// The same for an edit.
    pub(super) fn of_edit(edit: &Edit<'_>, code: i32) -> Self {
        let network = edit.network;
        let attempt = match edit.change {
            Change::Add { .. } => Attempt::Add(network),
            Change::Delete => Attempt::Delete(network),
        };
        Self::of_network(edit.set, network, attempt, code)
    }

    /// The same for something that is about a network.
    pub(super) fn of_network(name: &str, network: Network, attempt: Attempt, code: i32) -> Self {
        let set = name.to_owned();
        match code {
            message::EXIST if matches!(attempt, Attempt::Delete(_)) => {
                Self::NotThere { set, network }
            }
            message::EXIST => Self::AlreadyThere { set, network },
            message::FULL => Self::Full { set, network },
            message::NO_TIMEOUTS => Self::NoTimeouts { set, network },
            message::NOT_V4 | message::NOT_V6 => Self::Family { set, network },
            message::MALFORMED | message::MISSING_PROTO => Self::Malformed { set, network },
            message::INVALID_CIDR | message::NULL | message::RANGE | message::RANGE_UNSUPPORTED => {
                Self::Unfit { set, network }
            }
            _ => Self::new(name, attempt, code),
        }
    }

    /// The same while the socket is opened and nothing is asked of any set.
    pub(super) fn opening(code: i32) -> Self {
        let source = cause(code);
        match errno(code) {
            Some(Errno::PERM | Errno::ACCESS) => Self::NotAllowed { source },
            // INVAL: netfilter is there, but nobody who answers for ipset.
            Some(
                Errno::INVAL
                | Errno::NOENT
                | Errno::CONNREFUSED
                | Errno::OPNOTSUPP
                | Errno::AFNOSUPPORT
                | Errno::PROTONOSUPPORT,
            ) => Self::Unsupported { source },
            _ => Self::Socket { source },
        }
    }
}

/// A number that all of the kernel has; `Errno` panics on others.
fn errno(code: i32) -> Option<Errno> {
    (1..4096)
        .contains(&code)
        .then(|| Errno::from_raw_os_error(code))
}

fn cause(code: i32) -> io::Error {
    match errno(code) {
        Some(errno) => errno.into(),
        None => io::Error::other(format!("ipset's error {code}")),
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "inet",
            Self::V6 => "inet6",
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read it"),
            Self::Create => f.write_str("create it"),
            Self::Flush => f.write_str("empty it"),
            Self::Destroy => f.write_str("destroy it"),
            Self::Add(network) => write!(f, "add {network}"),
            Self::Delete(network) => write!(f, "delete {network}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { .. } => f.write_str(
                "ipset: not allowed to change sets; run as root or with CAP_NET_ADMIN",
            ),
            Self::Unsupported { .. } => f.write_str(
                "ipset: this kernel lacks ipset; load the module ip_set or choose another banaction",
            ),
            Self::Protocol { from, to } => write!(
                f,
                "ipset: the kernel speaks versions {from} to {to} of its protocol, we 6 and 7; choose another banaction"
            ),
            Self::Socket { .. } => f.write_str(
                "ipset: cannot speak with the kernel; see whether the limits on files or sockets are too low",
            ),
            Self::Type { kind, family } => write!(
                f,
                "ipset: this kernel has no sets of type {} for {family}; load the module ip_set_{} or choose another banaction",
                kind.name(),
                kind.name().replace(':', "_"),
            ),
            other => other.about_a_set(f),
        }
    }
}

impl Error {
    /// The messages that begin with the set's name.
    fn about_a_set(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.set().unwrap_or_default().escape_debug();
        write!(f, "ipset '{set}': ")?;
        match self {
            Self::Name { .. } => write!(
                f,
                "no name for a set; take one of 1 to {LONGEST_NAME} bytes"
            ),
            Self::Missing { .. } => write!(
                f,
                "no such set; to create it: ipset create {set} hash:net timeout 0"
            ),
            Self::Exists { .. } => f.write_str("there is such a set already; choose another name"),
            Self::InUse { .. } => {
                f.write_str("rules or other sets refer to it; remove those first")
            }
            Self::TooLarge { .. } => {
                f.write_str("it holds too many entries to be read; choose another set")
            }
            Self::Refused { attempt, .. } => {
                write!(
                    f,
                    "cannot {attempt}: the kernel refused; compare 'ipset list {set}'"
                )
            }
            other => other.about_an_entry(f, &set),
        }
    }

    /// Those of them that are about an entry.
    fn about_an_entry(&self, f: &mut fmt::Formatter<'_>, set: &dyn fmt::Display) -> fmt::Result {
        match self {
            Self::AlreadyThere { network, .. } => write!(f, "{network} is there already"),
            Self::NotThere { network, .. } => write!(f, "{network} is not there"),
            Self::Full { network, .. } => write!(
                f,
                "no room for {network}; create the set anew with a larger maxelem"
            ),
            Self::NoTimeouts { network, .. } => write!(
                f,
                "{network} cannot have a time in it; create the set anew with the option timeout"
            ),
            Self::TooLong { secs, .. } => write!(
                f,
                "{secs} seconds are too long for a timeout; take at most {LONGEST_TIMEOUT}, or 0 for ever"
            ),
            Self::Family { network, .. } => write!(
                f,
                "{network} is of the other family; choose a set of family {}",
                Family::of(*network)
            ),
            Self::Malformed { network, .. } => write!(
                f,
                "{network} is not all that an entry of it needs; choose a set of type hash:ip or hash:net"
            ),
            Self::Unfit { network, .. } => write!(
                f,
                "it cannot hold {network}; choose a set of type hash:net for networks, and none for those of a whole family"
            ),
            Self::Unsuitable { kind, family, .. } => write!(
                f,
                "a set of type {kind} that cannot hold bans of {family}; choose one of type hash:net or hash:ip, of family {family} and without a netmask, or a name that is free"
            ),
            Self::Excepted { network, .. } => write!(
                f,
                "{network} is an exception in it (nomatch), which somebody made; to ban it all the same: ipset del {set} {network}"
            ),
            Self::Unproven {
                network,
                banned: true,
                ..
            } => write!(
                f,
                "the kernel took the ban of {network} and does not have it; compare 'ipset list {set}'"
            ),
            Self::Unproven {
                network,
                banned: false,
                ..
            } => write!(
                f,
                "the kernel lifted the ban of {network} and still has it; compare 'ipset list {set}'"
            ),
            // All others are written above.
            _ => Ok(()),
        }
    }

    /// The set that it is about.
    fn set(&self) -> Option<&str> {
        match self {
            Self::NotAllowed { .. }
            | Self::Unsupported { .. }
            | Self::Protocol { .. }
            | Self::Socket { .. }
            | Self::Type { .. } => None,
            Self::Name { set }
            | Self::Missing { set }
            | Self::Exists { set }
            | Self::InUse { set }
            | Self::TooLarge { set }
            | Self::AlreadyThere { set, .. }
            | Self::NotThere { set, .. }
            | Self::Full { set, .. }
            | Self::NoTimeouts { set, .. }
            | Self::TooLong { set, .. }
            | Self::Family { set, .. }
            | Self::Malformed { set, .. }
            | Self::Unfit { set, .. }
            | Self::Excepted { set, .. }
            | Self::Unsuitable { set, .. }
            | Self::Unproven { set, .. }
            | Self::Refused { set, .. } => Some(set),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NotAllowed { source }
            | Self::Unsupported { source }
            | Self::Socket { source }
            | Self::Refused { source, .. } => Some(source),
            _ => None,
        }
    }
}
