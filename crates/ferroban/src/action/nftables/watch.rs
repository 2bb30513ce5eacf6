//! What others do to the firewall, as the kernel tells it.
//!
//! Every transaction comes as its changes and, last, who made it. Those of this process are passed
//! over. Of the others it matters what they take away of ours, whether they make anything of
//! their own, and which single bans they take out.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ferroban_engine::Network;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, RecvFlags, sockopt};

use super::error::Error;
use super::message::{self, INET, Message};
use super::set::{Set, Touched};
use super::socket::{self, is_ours};
use super::table::{TABLE, block_chain, chain, is_base};

/// `NFNLGRP_NFTABLES`, the seventh group.
const GROUP: u32 = 1 << 6;
/// A flush of a large set is told element by element.
const ROOM: usize = 32 << 20;
const BUFFER: usize = 128 << 10;
/// So that there is an end to it where others change the firewall all the time.
const MOST_READS: usize = 1000;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const DELETE_SET: u16 = 11;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;
const NEW_GENERATION: u16 = 15;
const GENERATION_PROCESS: u16 = 2;
const GENERATION_NAME: u16 = 3;

/// The table of what a message is about; the name of a table itself.
const OF_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const CHAIN_NAME: u16 = 3;
const SET_NAME: u16 = 2;

/// What a transaction of another process did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Foreign {
    /// Who made it, for people: `nft (process 4711)`.
    pub by: String,
    /// What it took away of ours.
    pub taken: Taken,
    /// Whether it made a table, chain, rule or set, in whatever table.
    pub made: bool,
    /// Bans that it took out one by one, by the names that jails have in the firewall.
    pub lifted: BTreeMap<String, Vec<Network>>,
}

/// Whose rules were taken away.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Those that all jails share.
    pub all: bool,
    /// Else those of jails, by the names that they have in the firewall.
    pub jails: BTreeSet<String>,
}

impl Taken {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.all && self.jails.is_empty()
    }
}

/// What the kernel had to tell.
#[derive(Debug, Eq, PartialEq)]
pub enum Told {
    /// Transactions of others, in their order.
    Foreign(Vec<Foreign>),
    /// There was more than could be listened to: whatever was done meanwhile is unknown.
    Missed,
}

/// Listens to changes of the firewall.
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
    buffer: Vec<u8>,
    /// The changes of the transaction that is being told.
    open: Open,
}

#[derive(Debug, Default)]
struct Open {
    taken: Taken,
    made: bool,
    lifted: Touched,
    restored: Touched,
}

impl Watch {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::Unsupported`] or [`Error::Socket`].
    pub fn open() -> Result<Self, Error> {
        let fd = socket::bound(GROUP).map_err(Error::opening)?;
        if sockopt::set_socket_recv_buffer_size_force(&fd, ROOM).is_err() {
            sockopt::set_socket_recv_buffer_size(&fd, ROOM).map_err(Error::opening)?;
        }
        Ok(Self {
            fd,
            buffer: vec![0; BUFFER],
            open: Open::default(),
        })
    }

    /// What has been told and not been read, or a good part of it; nothing is waited for.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn read(&mut self) -> Result<Told, Errno> {
        let mut all = Vec::new();
        for _ in 0..MOST_READS {
            let read =
                retry_on_intr(|| net::recv(&self.fd, &mut self.buffer[..], RecvFlags::DONTWAIT));
            match read {
                Ok((count, _)) => {
                    let told = self.buffer.get(..count).unwrap_or_default();
                    for message in message::messages(told) {
                        all.extend(self.open.take(message));
                    }
                }
                Err(Errno::AGAIN) => return Ok(Told::Foreign(all)),
                Err(Errno::NOBUFS) => {
                    self.open = Open::default();
                    return Ok(Told::Missed);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(Told::Foreign(all))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Open {
    /// Takes in a change; at the end of a transaction of somebody else, what it came to.
    fn take(&mut self, message: Message<'_>) -> Option<Foreign> {
        // The changes of one transaction come one after the other.
        if message.is_control() || is_ours(message.port) {
            return None;
        }
        match message::kind(message)? {
            NEW_GENERATION => return Some(std::mem::take(self).of(message)),
            NEW_TABLE | NEW_CHAIN | NEW_RULE | NEW_SET => self.made = true,
            DELETE_TABLE | DELETE_CHAIN | DELETE_RULE | DELETE_SET if is_in_our_table(message) => {
                self.lose(message);
            }
            DELETE_ELEMENTS if is_in_our_table(message) => self.lifted.take(message),
            NEW_ELEMENTS if is_in_our_table(message) => self.restored.take(message),
            _ => {}
        }
        None
    }

    fn lose(&mut self, message: Message<'_>) {
        let attributes = message.attributes();
        let name = match message::kind(message).unwrap_or_default() {
            DELETE_CHAIN => attributes.text(CHAIN_NAME),
            DELETE_RULE => attributes.text(RULE_CHAIN),
            DELETE_SET => attributes.text(SET_NAME),
            _ => None,
        };
        match name.and_then(jail_of) {
            Some(jail) => drop(self.taken.jails.insert(jail.to_owned())),
            None if name.is_none_or(is_base) => {
                self.taken.all = true;
            }
            // Somebody else's, in our table.
            None => {}
        }
    }

    /// The transaction, whose end a message tells.
    fn of(mut self, end: Message<'_>) -> Foreign {
        let attributes = end.attributes();
        let name = attributes.text(GENERATION_NAME).unwrap_or("a program");
        // A program may call itself what it likes.
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let by = match attributes.number(GENERATION_PROCESS) {
            Some(process) => format!("{name} (process {process})"),
            None => name,
        };
        self.lifted.remove(&self.restored);
        let mut taken = self.taken;
        if taken.all {
            taken.jails.clear();
        }
        let is_taken = |jail: &String| taken.all || taken.jails.contains(jail);
        let lifted = self.lifted.networks();
        Foreign {
            by,
            lifted: lifted
                .into_iter()
                .filter(|(jail, _)| !is_taken(jail))
                .collect(),
            taken,
            made: self.made,
        }
    }
}

fn is_in_our_table(message: Message<'_>) -> bool {
    message.family() == Some(INET) && message.attributes().text(OF_TABLE) == Some(TABLE)
}

/// The jail to which a chain or a set belongs.
fn jail_of(name: &str) -> Option<&str> {
    let mut chains = [chain(""), block_chain("")].into_iter();
    let of_chain = chains.find_map(|prefix| name.strip_prefix(&prefix));
    of_chain.or_else(|| Set::named(name).map(|(_, jail)| jail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_told_ends_no_program(
            told in prop::collection::vec(
                (0_u16..17, 0_u8..3, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        ) {
            let mut open = Open::default();
            for (kind, family, body) in told {
                let mut bytes = u32::try_from(20 + body.len()).unwrap().to_ne_bytes().to_vec();
                bytes.extend((10 << 8 | kind).to_ne_bytes());
                bytes.extend([0; 10]);
                bytes.extend([family, 0, 0, 0]);
                bytes.extend(body);
                for message in message::messages(&bytes) {
                    if let Some(foreign) = open.take(message) {
                        prop_assert!(foreign.by.is_empty() || !foreign.taken.all || foreign.taken.jails.is_empty());
                    }
                }
            }
        }
    }
}
