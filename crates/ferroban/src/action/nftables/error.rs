//! What can go wrong between a jail and the firewall.

use std::{error, fmt, io};

use ferroban_engine::Network;
use rustix::io::Errno;

/// What was being done when the kernel refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// Creating a jail's chain, rules and sets.
    Start,
    /// Removing them.
    Stop,
    /// Banning a network.
    Add(Network),
    /// Lifting the ban of a network.
    Remove(Network),
    /// Reading who is banned.
    List,
}

/// Why the firewall does not do what a jail wants.
#[derive(Debug)]
pub enum Error {
    /// We lack the right to change the firewall.
    NotAllowed {
        /// `EPERM`.
        source: io::Error,
    },
    /// The kernel has no nf_tables, or lacks the `inet` family or an expression.
    Unsupported {
        /// What it said.
        source: io::Error,
    },
    /// The socket could not be opened.
    Socket {
        /// What the kernel said.
        source: io::Error,
    },
    /// The jail's sets are not in the kernel: never started, or removed by somebody.
    NotStarted {
        /// The jail.
        jail: String,
    },
    /// Ports were given, but all ranges are empty.
    NoPort {
        /// The jail.
        jail: String,
    },
    /// A range that is not ours begins inside the network and ends outside of it.
    Overlap {
        /// The jail.
        jail: String,
        /// What was to be banned.
        network: Network,
        /// The networks that make up the range.
        with: Vec<Network>,
    },
    /// Rules or sets of the jail are not as they were made.
    Broken {
        /// The jail.
        jail: String,
    },
    /// What the kernel said it had done it has not done.
    Unproven {
        /// The jail.
        jail: String,
        /// Whom it was tried with.
        network: Network,
        /// Whether it was a ban; else it was an unban.
        banned: bool,
    },
    /// Others change the ruleset so often that we never see it at rest.
    Unsettled {
        /// The jail.
        jail: String,
        /// What was being done.
        attempt: Attempt,
    },
    /// The kernel refused.
    Refused {
        /// The jail.
        jail: String,
        /// What was being done.
        attempt: Attempt,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// The fitting variant for a number from the kernel.
    pub(super) fn new(jail: &str, attempt: Attempt, errno: Errno) -> Self {
        let jail = jail.to_owned();
        match errno {
            Errno::PERM | Errno::ACCESS => Self::NotAllowed {
                source: errno.into(),
            },
            Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => Self::Unsupported {
                source: errno.into(),
            },
            Errno::RESTART => Self::Unsettled { jail, attempt },
            // One of the expressions our rules consist of is not there.
            Errno::NOENT if attempt == Attempt::Start => Self::Unsupported {
                source: errno.into(),
            },
            Errno::NOENT => Self::NotStarted { jail },
            _ => Self::Refused {
                jail,
                attempt,
                source: errno.into(),
            },
        }
    }

    /// The same while the socket is opened and nothing is asked of any jail.
    pub(super) fn opening(errno: Errno) -> Self {
        let source = errno.into();
        match errno {
            Errno::PERM | Errno::ACCESS => Self::NotAllowed { source },
            // INVAL: netfilter is there, but nobody who answers for nf_tables.
            Errno::INVAL
            | Errno::NOENT
            | Errno::CONNREFUSED
            | Errno::OPNOTSUPP
            | Errno::AFNOSUPPORT
            | Errno::PROTONOSUPPORT => Self::Unsupported { source },
            _ => Self::Socket { source },
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("create its rules"),
            Self::Stop => f.write_str("remove its rules"),
            Self::Add(network) => write!(f, "ban {network}"),
            Self::Remove(network) => write!(f, "unban {network}"),
            Self::List => f.write_str("read its bans"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { .. } => f.write_str(
                "nftables: not allowed to change the firewall; run as root or with CAP_NET_ADMIN",
            ),
            Self::Unsupported { .. } => f.write_str(
                "nftables: this kernel lacks nf_tables or a part of it; load the modules nf_tables and nft_reject_inet or choose another banaction",
            ),
            Self::Socket { .. } => {
                f.write_str("nftables: cannot speak with the kernel; see whether the limits on files or sockets are too low")
            }
            Self::NotStarted { jail } => write!(
                f,
                "jail '{}': its nftables sets are not in the kernel; reload the jail to create them",
                jail.escape_debug()
            ),
            Self::Broken { jail } => write!(
                f,
                "jail '{}': its rules or sets are not in the kernel as they were made; to make them anew: fail2ban-client restart {0}",
                jail.escape_debug()
            ),
            Self::Unproven { jail, network, banned: true } => write!(
                f,
                "jail '{}': the kernel took the ban of {network} and does not have it; compare 'nft list table inet ferroban'",
                jail.escape_debug()
            ),
            Self::Unproven { jail, network, banned: false } => write!(
                f,
                "jail '{}': the kernel lifted the ban of {network} and still has it; compare 'nft list table inet ferroban'",
                jail.escape_debug()
            ),
            Self::NoPort { jail } => write!(
                f,
                "jail '{}': the ranges of ports are empty; write the lower port first, or name no port to block all",
                jail.escape_debug()
            ),
            Self::Overlap { jail, network, with } => {
                write!(f, "jail '{}': cannot ban {network}: a foreign range cuts into it (", jail.escape_debug())?;
                for (index, part) in with.iter().enumerate() {
                    write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("); remove that range from the set")
            }
            Self::Unsettled { jail, attempt } => write!(
                f,
                "jail '{}': cannot {attempt}: other programs keep changing the firewall; try again when they rest",
                jail.escape_debug()
            ),
            Self::Refused { jail, attempt, .. } => write!(
                f,
                "jail '{}': cannot {attempt}: the kernel refused; compare 'nft list table inet ferroban'",
                jail.escape_debug()
            ),
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
