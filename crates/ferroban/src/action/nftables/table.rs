//! Table, chains and rules of all jails, as one ruleset that several jails
//! (and several threads, each with a socket of its own) build together.
//!
//! ```text
//! table inet ferroban {
//!     chain input      { type filter hook input priority filter - 1; jump jail-sshd … }
//!     chain forward    { type filter hook forward priority filter - 1; jump jail-sshd … }
//!     chain jail-sshd  { which packets are its concern; jump block-sshd }
//!     chain block-sshd { who is banned: set addr4-sshd, addr6-sshd, net4-sshd, net6-sshd }
//! }
//! ```
//! Jails of another priority have base chains of their own, `input/-200` and `forward/-200`.
//!
//! Each change first reads what is there and is then bound to that state: if
//! anything changed in between, the kernel refuses it and it starts afresh. Where
//! others never rest (each of their bans is a change), it is at last made without
//! that bond, in a way that cannot hurt them.

use std::collections::BTreeMap;

use rustix::io::Errno;
use rustix::thread::{MembarrierCommand, membarrier};

use super::message::{Attributes, Batch, CREATE};
use super::rule::{self, RULE_CHAIN, RULE_HANDLE, RULE_TABLE, RULE_USERDATA, Rules, Scope};
use super::set::{FLAG_ANONYMOUS, SET_FLAGS, SET_NAME, SETS};
use super::socket::{BatchError, Socket};
use super::{Guard, KeptOut};

/// The name of our table.
pub(super) const TABLE: &str = "ferroban";

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAINS: u16 = 4;
const DELETE_CHAIN: u16 = 5;
const GET_RULES: u16 = 7;
const DELETE_RULES: u16 = 8;
const GET_SETS: u16 = 10;
const DELETE_SET: u16 = 11;

/// The table is the first attribute and the name the second or third.
const NAME_OF_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;

/// Base chains and the numbers of their hooks. Host and containers are both guarded.
const BASES: [(&str, u32); 2] = [("input", 1), ("forward", 2)];
const ACCEPT: u32 = 1;

/// How often a change is tried again because others changed the ruleset.
const ATTEMPTS: u32 = 256;

/// The base chains of a priority, with the numbers of their hooks.
fn bases(priority: i32) -> [(String, u32); 2] {
    BASES.map(|(hook, number)| {
        let name = match priority {
            Guard::PRIORITY => hook.to_owned(),
            other => format!("{hook}/{other}"),
        };
        (name, number)
    })
}

/// Whether a chain is a base chain of ours, of whatever priority.
pub(super) fn is_base(name: &str) -> bool {
    let (hook, priority) = match name.split_once('/') {
        Some((hook, priority)) => (hook, priority.parse()),
        None => (name, Ok(Guard::PRIORITY)),
    };
    let is_hook = BASES.iter().any(|(known, _)| *known == hook);
    is_hook && priority.is_ok_and(|priority| bases(priority).iter().any(|(base, _)| base == name))
}

/// The chain of a jail. The prefix keeps it apart from base chains and keywords.
pub(super) fn chain(jail: &str) -> String {
    format!("jail-{jail}")
}

/// The chain its chain sends packets to that are its concern.
pub(super) fn block_chain(jail: &str) -> String {
    format!("block-{jail}")
}

/// Creates what a jail lacks and replaces its rules if they are for another
/// scope. Sets keep their elements, unchanged rules their counters.
///
/// A packet under way stays with the rules it began with, but looks into their
/// anonymous sets as they are *now*: those of rules just deleted are empty by
/// then, and those of rules just added are, on some kernels, not filled yet. So
/// new rules are added behind the old ones, and the old ones go when every
/// packet that is under way knows both.
pub(super) fn start(socket: &mut Socket, jail: &str, scope: &Scope) -> Result<(), Errno> {
    let (picking, blocking) = (scope.picking(jail), scope.blocking(jail));
    let mut outdated = false;
    change(socket, |socket, generation| {
        let present = Present::read(socket)?;
        let mut batch = socket.batch(generation);
        batch.push(NEW_TABLE, CREATE, |table| table.text(NAME_OF_TABLE, TABLE));
        for (name, hook) in bases(scope.priority) {
            let place = (hook, scope.priority);
            batch.push(NEW_CHAIN, CREATE, |chain| base_chain(chain, &name, place));
        }
        for name in [&picking.chain, &blocking.chain] {
            batch.push(NEW_CHAIN, CREATE, |chain| in_table(chain, CHAIN_NAME, name));
        }
        for (id, set) in (1..).zip(SETS) {
            set.declare(&mut batch, jail, id);
        }
        if !present.has(&blocking) {
            // They use no anonymous sets and can be exchanged at once.
            delete_rules(&mut batch, &blocking.chain, None);
            scope.write_blocking(&mut batch, jail);
        }
        if !present.has(&picking) {
            outdated = present.rules(&picking.chain).next().is_some();
            scope.write_picking(&mut batch, jail);
        }
        link(&mut batch, &present, jail, scope.priority);
        if generation.is_some() {
            present.clear(&mut batch, jail, Some(scope.priority));
        }
        Ok(batch)
    })?;
    if outdated {
        sweep(socket, &picking)
    } else {
        Ok(())
    }
}

/// What the rules of each jail have kept out, by the names that jails have here.
pub(super) fn kept_out(socket: &mut Socket) -> Result<BTreeMap<String, KeptOut>, Errno> {
    let mut all: BTreeMap<String, KeptOut> = BTreeMap::new();
    let ours = |question: &mut Attributes| question.text(NAME_OF_TABLE, TABLE);
    let before = block_chain("");
    absent(socket.dump(GET_RULES, ours, |message| {
        let rule = message.attributes();
        let chain = rule.text(RULE_CHAIN).unwrap_or_default();
        let jail = chain.strip_prefix(&before);
        if let (Some(TABLE), Some(jail)) = (rule.text(RULE_TABLE), jail) {
            let (packets, bytes) = rule::counted(rule);
            let sum = all.entry(jail.to_owned()).or_default();
            sum.packets = sum.packets.saturating_add(packets);
            sum.bytes = sum.bytes.saturating_add(bytes);
        }
    }))?;
    Ok(all)
}

/// Whether a jail has all that a start would make.
pub(super) fn is_whole(socket: &mut Socket, jail: &str, scope: &Scope) -> Result<bool, Errno> {
    let present = Present::read(socket)?;
    let userdata = rule::comment(&comment(jail));
    let mut bases = bases(scope.priority).into_iter();
    let linked = bases.all(|(base, _)| present.jumps(&base, &userdata).next().is_some());
    let sets = SETS.map(|set| set.name(jail));
    Ok(linked
        && sets.iter().all(|set| present.sets.contains(set))
        && present.has(&scope.picking(jail))
        && present.has(&scope.blocking(jail)))
}

/// Removes what stands before (or behind) the rules that were added last.
fn sweep(socket: &mut Socket, rules: &Rules) -> Result<(), Errno> {
    // Waits in the kernel until whatever ran when it was called has ended. Where
    // that is not to be had, the chance of meeting such a packet is small enough.
    let _unavailable = membarrier(MembarrierCommand::Global);
    change(socket, |socket, generation| {
        let present = Present::read(socket)?;
        let ours = present
            .rules(&rules.chain)
            .filter(|rule| rule.userdata == rules.userdata);
        let ours: Vec<_> = ours.map(|rule| rule.handle).collect();
        let (_, keep) = ours.split_at(ours.len().saturating_sub(rules.count));
        let mut batch = socket.batch(generation);
        for old in present
            .rules(&rules.chain)
            .filter(|rule| !keep.contains(&rule.handle))
        {
            delete_rules(&mut batch, &rules.chain, Some(old.handle));
        }
        Ok(batch)
    })
}

/// Sees to it that each base chain of a priority has one jump to the jail's chain, and no other
/// base chain has one.
fn link(batch: &mut Batch, present: &Present, jail: &str, priority: i32) {
    let userdata = rule::comment(&comment(jail));
    let bases = bases(priority).map(|(base, _)| base);
    for base in &bases {
        let mut jumps = present.jumps(base, &userdata);
        if jumps.next().is_none() {
            rule::jump(batch, base, jail, &userdata);
        }
        for surplus in jumps {
            delete_rules(batch, base, Some(surplus.handle));
        }
    }
    present.unlink(batch, &userdata, |base| {
        !bases.iter().any(|own| own == base)
    });
}

/// Removes everything of a jail, and the table with the last one.
pub(super) fn stop(socket: &mut Socket, jail: &str) -> Result<(), Errno> {
    change(socket, |socket, generation| {
        let present = Present::read(socket)?;
        let mut batch = socket.batch(generation);
        // Unbound, the table might be the home of a new jail by then.
        if generation.is_some() && present.only(jail) {
            batch.push(DELETE_TABLE, 0, |table| table.text(NAME_OF_TABLE, TABLE));
            return Ok(batch);
        }
        let userdata = rule::comment(&comment(jail));
        present.unlink(&mut batch, &userdata, |_| true);
        // Unbound, another jail might need them by then. Those that the last jail leaves in a
        // table with things of others show that the table is ours.
        if generation.is_some() && present.has_jails_beside(jail) {
            present.clear(&mut batch, jail, None);
        }
        for chain in [chain(jail), block_chain(jail)] {
            if present.chains.contains(&chain) {
                delete_rules(&mut batch, &chain, None);
                batch.push(DELETE_CHAIN, 0, |attributes| {
                    in_table(attributes, CHAIN_NAME, &chain);
                });
            }
        }
        for name in SETS.map(|set| set.name(jail)) {
            if present.sets.contains(&name) {
                batch.push(DELETE_SET, 0, |attributes| {
                    in_table(attributes, SET_NAME, &name);
                });
            }
        }
        Ok(batch)
    })
}

/// Builds a batch from what is there and carries it out, as often as it takes
/// for nobody to interfere; in the end with the generation `None`, unbound.
fn change(
    socket: &mut Socket,
    mut build: impl FnMut(&mut Socket, Option<u32>) -> Result<Batch, Errno>,
) -> Result<(), Errno> {
    for _ in 0..ATTEMPTS {
        let generation = socket.generation()?;
        let batch = build(socket, Some(generation))?;
        match socket.transaction(batch) {
            Err(BatchError::Whole(Errno::RESTART)) => {}
            outcome => return outcome.map_err(|error| error.errno()),
        }
    }
    let batch = build(socket, None)?;
    socket.transaction(batch).map_err(|error| error.errno())
}

/// The comment by which a jump is recognised.
fn comment(jail: &str) -> String {
    format!("ferroban: {jail}")
}

fn base_chain(chain: &mut Attributes, name: &str, (hook, priority): (u32, i32)) {
    in_table(chain, CHAIN_NAME, name);
    chain.nested(4, |place| {
        place.number(1, hook);
        place.bytes(2, &priority.to_be_bytes());
    });
    chain.number(5, ACCEPT);
    chain.text(7, "filter");
}

fn in_table(attributes: &mut Attributes, kind: u16, name: &str) {
    attributes.text(NAME_OF_TABLE, TABLE);
    attributes.text(kind, name);
}

/// One rule of a chain, or without a handle all of them.
fn delete_rules(batch: &mut Batch, chain: &str, handle: Option<u64>) {
    batch.push(DELETE_RULES, 0, |rule| {
        in_table(rule, RULE_CHAIN, chain);
        if let Some(handle) = handle {
            rule.long(RULE_HANDLE, handle);
        }
    });
}

/// What the table holds.
#[derive(Debug, Default)]
struct Present {
    rules: Vec<Rule>,
    chains: Vec<String>,
    sets: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    chain: String,
    handle: u64,
    userdata: Vec<u8>,
}

impl Present {
    fn read(socket: &mut Socket) -> Result<Self, Errno> {
        let mut present = Self::default();
        let ours = |question: &mut Attributes| question.text(NAME_OF_TABLE, TABLE);
        // Older kernels ignore the wish for one table and give all.
        absent(socket.dump(GET_RULES, ours, |message| {
            let rule = message.attributes();
            if rule.text(RULE_TABLE) == Some(TABLE) {
                present.rules.push(Rule {
                    chain: rule.text(RULE_CHAIN).unwrap_or_default().to_owned(),
                    handle: rule.long(RULE_HANDLE).unwrap_or_default(),
                    userdata: rule.find(RULE_USERDATA).unwrap_or_default().to_vec(),
                });
            }
        }))?;
        absent(socket.dump(GET_CHAINS, ours, |message| {
            let chain = message.attributes();
            if chain.text(NAME_OF_TABLE) == Some(TABLE) {
                present
                    .chains
                    .extend(chain.text(CHAIN_NAME).map(str::to_owned));
            }
        }))?;
        absent(socket.dump(GET_SETS, ours, |message| {
            let set = message.attributes();
            let anonymous = set.number(SET_FLAGS).unwrap_or(0) & FLAG_ANONYMOUS != 0;
            if set.text(NAME_OF_TABLE) == Some(TABLE) && !anonymous {
                present.sets.extend(set.text(SET_NAME).map(str::to_owned));
            }
        }))?;
        Ok(present)
    }

    /// The rules of a chain, in order.
    fn rules(&self, chain: &str) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.chain == chain)
    }

    /// Whether a chain holds these rules and no others.
    fn has(&self, rules: &Rules) -> bool {
        self.rules(&rules.chain).count() == rules.count
            && self
                .rules(&rules.chain)
                .all(|rule| rule.userdata == rules.userdata)
    }

    fn jumps(&self, base: &str, userdata: &[u8]) -> impl Iterator<Item = &Rule> {
        self.rules(base)
            .filter(move |rule| rule.userdata == userdata)
    }

    /// Deletes the jumps of a jail in these base chains.
    fn unlink(&self, batch: &mut Batch, userdata: &[u8], which: impl Fn(&str) -> bool) {
        let jumps = self.rules.iter().filter(|rule| rule.userdata == userdata);
        for jump in jumps.filter(|jump| is_base(&jump.chain) && which(&jump.chain)) {
            delete_rules(batch, &jump.chain, Some(jump.handle));
        }
    }

    /// Deletes the base chains that hold nothing but jumps of a jail, which are deleted before. Those
    /// of the priority that it has stay.
    fn clear(&self, batch: &mut Batch, jail: &str, priority: Option<i32>) {
        let own = rule::comment(&comment(jail));
        let kept = priority.map(bases);
        let is_kept = |name: &str| kept.iter().flatten().any(|(base, _)| base == name);
        for name in self
            .chains
            .iter()
            .filter(|name| is_base(name) && !is_kept(name))
        {
            if self.rules(name).all(|rule| rule.userdata == own) {
                batch.push(DELETE_CHAIN, 0, |attributes| {
                    in_table(attributes, CHAIN_NAME, name);
                });
            }
        }
    }

    fn has_jails_beside(&self, jail: &str) -> bool {
        let (prefix, own) = (chain(""), chain(jail));
        let mut chains = self.chains.iter();
        chains.any(|name| name.starts_with(&prefix) && *name != own)
    }

    /// Whether the table is there and nothing in it belongs to anybody else.
    fn only(&self, jail: &str) -> bool {
        let chains = [chain(jail), block_chain(jail)];
        let comment = rule::comment(&comment(jail));
        let sets = SETS.map(|set| set.name(jail));
        self.chains.iter().any(|name| is_base(name))
            && self
                .chains
                .iter()
                .all(|name| is_base(name) || chains.contains(name))
            && self.sets.iter().all(|name| sets.contains(name))
            && self
                .rules
                .iter()
                .all(|rule| chains.contains(&rule.chain) || rule.userdata == comment)
    }
}

/// Nothing to read where there is no table is an answer, not an error.
fn absent(outcome: Result<(), Errno>) -> Result<(), Errno> {
    outcome.or_else(|errno| {
        if errno == Errno::NOENT {
            Ok(())
        } else {
            Err(errno)
        }
    })
}
