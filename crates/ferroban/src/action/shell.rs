//! Bans by running shell commands, as `action.d/*.conf` says.
//!
//! A [`Shell`] is one action of one jail. It fills the tags of its commands
//! ([`tags`] from its options, [`bind`] from the ticket), knows for which families of
//! addresses it was started, and checks and repairs the firewall when a command fails.
//! When it is asked to do what, and what follows from its failures, is left to the
//! daemon.
//!
//! Commands that touch the same program or file run one after the other, in all jails
//! together ([`turn`]): they were written for a daemon that has it so.

mod bind;
pub(crate) mod call;
mod error;
mod family;
mod filled;
pub(crate) mod free;
mod many;
mod running;
mod tags;
mod texts;
mod turn;
mod values;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ferroban_engine::{Ban, BanTime, FailId, JailName};

use super::lift::{Edit, Lift};
use crate::log::Log;
use crate::process::script::Script;
use bind::bind;
use family::{Families, Family, State};
use running::Sanity;
use texts::{Op, Texts};
use values::Asked;

pub(in crate::action) use bind::Values;
pub(crate) use error::Error;
pub use filled::{Filled, fill};
pub(crate) use tags::{Properties, TagError};
pub(in crate::action) use values::OfBan;

/// What only the daemon knows. Asked for tags that are there, and when they are needed.
pub(crate) trait Facts: Send + Sync {
    /// What the jail has counted.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// How long the jail bans.
    fn bantime(&self) -> BanTime {
        BanTime::For(600)
    }

    /// What all bans of an id come to, in all jails or in this one. If nobody knows, the
    /// ban at hand counts alone.
    fn merged(&self, _id: &FailId, _everywhere: bool) -> Option<Merged> {
        None
    }

    /// The name that DNS has for an address. May wait for it.
    fn host(&self, _address: IpAddr) -> Option<String> {
        None
    }

    /// The addresses of a host, or why nobody knows them. May wait for them.
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        match name {
            "localhost" => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            _ => Err("nobody can be asked".to_owned()),
        }
    }

    /// What this host is called, with its domain or without.
    fn own_name(&self, with_domain: bool) -> String {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy();
        let short = name.split('.').next().unwrap_or_default();
        if with_domain { &*name } else { short }.to_owned()
    }

    /// Whether IPv6 is in use.
    fn ipv6(&self) -> bool {
        true
    }
}

/// What a jail counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counters {
    pub(crate) banned: u64,
    pub(crate) banned_total: u64,
    pub(crate) found: u64,
    pub(crate) found_total: u64,
}

/// What several bans of one id come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Merged {
    pub(crate) failures: u64,
    /// Lines, with a newline between them.
    pub(crate) matches: String,
}

/// What a failed command was for. Decides what may be repaired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Occasion {
    /// A ban, or nothing in particular.
    Ban,
    /// An unban: what is not there need not be removed.
    Unban,
    /// All bans of the jail are removed because it ends.
    Flush,
}

/// Where an action is.
pub(in crate::action) struct World {
    pub(in crate::action) jail: JailName,
    pub(in crate::action) facts: Arc<dyn Facts>,
}

/// One action of one jail.
pub(crate) struct Shell {
    world: Arc<World>,
    name: String,
    texts: Texts,
    families: Families,
    log: Log,
    epoch: u64,
    /// Who was banned since the firewall had to be repaired: others may be missing there.
    /// `None` if it never had to be.
    since: Option<HashSet<FailId>>,
    /// What the last command for a ban asked for.
    asked: Asked,
    lift: Lift,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell")
            .field("jail", &self.world.jail)
            .field("name", &self.name)
            .field("texts", &self.texts)
            .field("families", &self.families)
            .finish_non_exhaustive()
    }
}

impl Shell {
    /// An action that has done nothing yet.
    pub(crate) fn new(
        jail: JailName,
        name: String,
        properties: Properties,
        log: Log,
        facts: Arc<dyn Facts>,
    ) -> Self {
        Self {
            world: Arc::new(World { jail, facts }),
            name,
            texts: Texts::new(properties),
            families: Families::default(),
            log,
            epoch: 0,
            since: None,
            asked: Asked::default(),
            lift: Lift::default(),
        }
    }

    /// Its options.
    pub(crate) fn properties(&self) -> &Properties {
        self.texts.properties()
    }

    /// Gives it options. What it was started for stays as it is; what of its commands is done in
    /// process is learnt anew if these differ.
    pub(crate) fn configure(&mut self, properties: Properties) {
        let texts = Texts::new(properties);
        if texts.properties() != self.texts.properties() {
            self.lift.forget();
        }
        self.texts = texts;
    }

    /// Whether it can remove all bans at once.
    pub(crate) fn has_flush(&self) -> bool {
        self.texts.has(Op::Flush)
    }

    /// Whether bans from the database do not concern it.
    pub(crate) fn norestored(&self) -> bool {
        self.texts.is_on("norestored")
    }

    /// How long one of its commands may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.texts.timeout()
    }

    /// How often the firewall had to be repaired. Bans of an earlier epoch may be gone.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the firewall was repaired since this ban was made, so that it may be missing.
    pub(crate) fn may_lack(&self, ban: &Ban) -> bool {
        let since = self.since.as_ref();
        since.is_some_and(|since| !since.contains(&ban.id))
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.since = Some(HashSet::new());
    }

    /// What the line about a failed ban or unban tells of it: right after the failure.
    pub(crate) fn info(&self, ban: &Ban) -> String {
        OfBan::new(ban, &self.world).told(self.asked)
    }

    /// Prepares the firewall, unless that waits for the first ban.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        if self.texts.starts_on_demand() {
            return Ok(());
        }
        let families = self.texts.families(&*self.world.facts);
        self.operate(Op::Start, &families)
    }

    /// Takes everything out of the firewall. Whatever fails, it is stopped afterwards.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        let families = self.families.from(State::Started);
        let result = self.operate(Op::Stop, &families);
        self.families.clear();
        if let Some(since) = &mut self.since {
            since.clear();
        }
        result
    }

    /// Removes all bans at once, if it can.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        let families = self.families.from(State::Bans);
        self.operate(Op::Flush, &families)
    }

    /// To be called when the configuration was read again.
    pub(crate) fn reload(&mut self) -> Result<(), Error> {
        let families = self.families.from(State::Started);
        self.operate(Op::Reload, &families)
    }

    /// Bans.
    pub(crate) fn ban(&mut self, ban: &Ban) -> Result<(), Error> {
        self.ban_with(Op::Ban, ban)
    }

    /// Bans again, after the firewall was repaired.
    pub(crate) fn reban(&mut self, ban: &Ban) -> Result<(), Error> {
        let has_own = self.texts.has(Op::Reban);
        self.ban_with(if has_own { Op::Reban } else { Op::Ban }, ban)
    }

    /// Lets a ban last as long as it says now.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "only bans that grow are prolonged, and none does yet"
        )
    )]
    pub(crate) fn prolong(&mut self, ban: &Ban) -> Result<(), Error> {
        if ban.restored && self.norestored() {
            return Ok(());
        }
        let world = Arc::clone(&self.world);
        let ticket = OfBan::new(ban, &world);
        let result = self.prolong_ticket(&ticket, &ticket.family(), &|| ticket.ip());
        self.asked = ticket.asked();
        result
    }

    /// Unbans, if it has bans of that family at all.
    pub(crate) fn unban(&mut self, ban: &Ban) -> Result<(), Error> {
        let world = Arc::clone(&self.world);
        let ticket = OfBan::new(ban, &world);
        if let Some(since) = &mut self.since {
            since.remove(&ban.id);
        }
        let result = self.unban_ticket(&ticket, &ticket.family(), &|| ticket.ip());
        self.asked = ticket.asked();
        result
    }

    /// Checks the firewall for every family that was started, and repairs it. False if
    /// that is not possible.
    pub(crate) fn consistency_check(&mut self, occasion: Occasion) -> Result<bool, Error> {
        let mut is_sane = true;
        if !self.texts.has(Op::Check) {
            return Ok(is_sane);
        }
        for family in self.families.from(State::Started) {
            let sanity = self.sanity(&family, occasion)?;
            is_sane &= sanity == Sanity::Sane;
            if sanity == Sanity::Lost {
                self.families.lose(&family, None);
            }
        }
        Ok(is_sane)
    }

    fn ban_with(&mut self, op: Op, ban: &Ban) -> Result<(), Error> {
        let result = self.try_ban_with(op, ban);
        // It counts as made, whatever came of it.
        if let Some(since) = &mut self.since {
            since.insert(ban.id.clone());
        }
        result
    }

    fn try_ban_with(&mut self, op: Op, ban: &Ban) -> Result<(), Error> {
        if ban.restored && self.norestored() {
            return Ok(());
        }
        let world = Arc::clone(&self.world);
        let ticket = OfBan::new(ban, &world);
        let family = ticket.family();
        self.asked = Asked::default();
        self.before_ban(&family)?;
        let script = bind(&self.texts.text(op, &family, &*world.facts)?, &ticket);
        self.asked = ticket.asked();
        self.ban_ticket(&script, &family, &|| ticket.ip())
    }

    /// Starts on demand. What has no family needs all of them.
    fn before_ban(&mut self, family: &Family) -> Result<(), Error> {
        if self.families.state(family) > State::No || !self.texts.starts_on_demand() {
            return Ok(());
        }
        let mut families = vec![family.clone()];
        if *family == Family::None {
            families = self.texts.families(&*self.world.facts);
            families.retain(|family| self.families.state(family) == State::No);
        }
        self.operate(Op::Start, &families)
    }

    fn ban_ticket(
        &mut self,
        script: &Script,
        family: &Family,
        ip: &dyn Fn() -> String,
    ) -> Result<(), Error> {
        if !self.execute(script, family, Occasion::Ban)? {
            return Err(failed(Op::Ban, ip));
        }
        self.families.set(family, State::Bans);
        Ok(())
    }

    fn prolong_ticket(
        &mut self,
        ticket: &dyn Values,
        family: &Family,
        ip: &dyn Fn() -> String,
    ) -> Result<(), Error> {
        let world = Arc::clone(&self.world);
        let text = self.texts.text(Op::Prolong, family, &*world.facts)?;
        if !self.execute(&bind(&text, ticket), family, Occasion::Ban)? {
            return Err(failed(Op::Prolong, ip));
        }
        Ok(())
    }

    fn unban_ticket(
        &mut self,
        ticket: &dyn Values,
        family: &Family,
        ip: &dyn Fn() -> String,
    ) -> Result<(), Error> {
        if self.families.state(family) != State::Bans {
            return Ok(());
        }
        let world = Arc::clone(&self.world);
        let text = self.texts.text(Op::Unban, family, &*world.facts)?;
        if !self.execute(&bind(&text, ticket), family, Occasion::Unban)? {
            return Err(failed(Op::Unban, ip));
        }
        Ok(())
    }
}

fn failed(op: Op, ip: &dyn Fn() -> String) -> Error {
    Error::Ticket {
        doing: op.doing(),
        ip: ip(),
    }
}

#[cfg(test)]
mod tests;
