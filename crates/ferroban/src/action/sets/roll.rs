//! Whose bans are in a pair of sets, and what else is.
//!
//! The kernel does not say who added an entry. So what we have added is written down here, and
//! nothing else is ever deleted.

mod half;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferroban_engine::{Ban, FailId, Network, Outcome, Tampering, Timestamp};

use super::super::ipset::{Change, Edit, Entry, Error, Family, Ipset, LONGEST_TIMEOUT};
use super::super::{Failed, NOT_AN_ADDRESS};
use super::failed;
use crate::report;
use half::{Half, is_there};

/// An entry whose ban lasts longer than the kernel can count gets more time when no more seconds
/// are left than these.
const REFRESH: u32 = LONGEST_TIMEOUT / 2;
/// So many addresses of a documentation network are looked at for one that is free.
const TRIED: u8 = 64;

/// What is known of a pair of sets.
#[derive(Debug)]
pub(super) struct Roll {
    ipset: Option<Ipset>,
    /// That of IPv4, that of IPv6.
    halves: [Half; 2],
    /// The jails at work.
    shares: BTreeMap<String, Share>,
    /// What is in the kernel for them.
    facts: HashMap<Network, Fact>,
}

/// On whose behalf something is done, when, and with what.
pub(super) struct At<'a> {
    ipset: &'a mut Ipset,
    jail: &'a str,
    now: Timestamp,
}

/// The bans of one jail.
#[derive(Debug, Default)]
struct Share {
    /// When each of them ends.
    ends: HashMap<Network, Timestamp>,
    /// They were taken away, and are put back by the next start.
    lost: bool,
}

/// What we know of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fact {
    /// When the kernel takes it out by itself.
    until: Timestamp,
    /// It was there before, for ever: it is not ours, and serves as well.
    borrowed: bool,
}

/// A ban that is to be in a set.
#[derive(Clone, Copy, Debug)]
struct Wish {
    network: Network,
    end: Timestamp,
    /// Whether it may be there already.
    exist: bool,
}

/// What is to be done with an entry, if anything.
type Plan = Option<(Network, Change, bool)>;

/// Who is in a set.
type Present = HashMap<Network, Entry>;

/// What should be in a set.
#[derive(Debug, Default)]
struct Live {
    surely: Vec<Network>,
    /// How many are about to leave.
    perhaps: usize,
}

impl Roll {
    /// Nothing is known yet.
    pub(super) fn new(name: &str, name6: &str) -> Self {
        Self {
            ipset: None,
            halves: [Half::new(Family::V4, name), Half::new(Family::V6, name6)],
            shares: BTreeMap::new(),
            facts: HashMap::new(),
        }
    }

    /// Does something on behalf of a jail. After a failure, or when no jail is left, the kernel
    /// is spoken to anew.
    pub(super) fn act<T>(
        &mut self,
        (jail, now): (&str, Timestamp),
        what: impl FnOnce(&mut Self, &mut At<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut ipset = match self.ipset.take() {
            Some(ipset) => ipset,
            None => Ipset::open()?,
        };
        let mut at = At {
            ipset: &mut ipset,
            jail,
            now,
        };
        let result = what(self, &mut at);
        self.ipset = (result.is_ok() && !self.shares.is_empty()).then_some(ipset);
        result
    }

    /// Which sets no rule refers to, as of the last look.
    pub(super) fn unused(&self) -> [bool; 2] {
        self.halves.each_ref().map(|half| half.unused)
    }

    /// Makes the sets where they are missing, and has them hold the bans of a jail.
    pub(super) fn start(&mut self, held: &[Ban], at: &mut At<'_>) -> Result<Outcome, Error> {
        let mut present = Present::new();
        for half in &mut self.halves {
            half.prepare(at.ipset)?;
            present.extend(half.present(at.ipset)?);
        }
        let (mut wanted, mut failures) = (HashMap::new(), Vec::new());
        for ban in held {
            match ban.id.network() {
                Some(network) => drop(wanted.insert(network, ban.end())),
                None => failures.push((ban.id.clone(), NOT_AN_ADDRESS.to_owned())),
            }
        }
        let before = self.shares.insert(at.jail.to_owned(), Share::default());
        let before = before.unwrap_or_default().ends.into_keys();
        let left: Vec<Network> = before.filter(|net| !wanted.contains_key(net)).collect();
        for (network, result) in left.iter().zip(self.let_go(&left, at)) {
            result?;
            present.remove(network);
        }
        let (mut kept, mut added, mut corrected, mut wishes) = (0, 0, 0, Vec::new());
        for (network, end) in wanted {
            let exist = true;
            let wish = Wish {
                network,
                end,
                exist,
            };
            match self.serves(wish, present.get(&network), true, at) {
                Ok(Some(fact)) => {
                    kept += 1;
                    self.note(wish, fact, at);
                }
                Ok(None) => wishes.push(wish),
                Err(error) => failures.push((network.into(), report::chain(&error))),
            }
        }
        for (wish, result) in wishes.iter().zip(self.put(&wishes, at)) {
            match result {
                Ok(()) if present.contains_key(&wish.network) => corrected += 1,
                Ok(()) => added += 1,
                Err(error) => failures.push((wish.network.into(), report::chain(&error))),
            }
        }
        let foreign = self.count_foreign(present.keys());
        Ok(Outcome::Started {
            kept,
            added,
            corrected,
            foreign,
            failed: failures,
        })
    }

    /// What is to be known of an entry that is there, if it needs no change for a ban. `ours` says
    /// that we have put it there, as far as we know.
    fn serves(
        &self,
        wish: Wish,
        there: Option<&Entry>,
        ours: bool,
        at: &At<'_>,
    ) -> Result<Option<Fact>, Error> {
        let half = self.half(wish.network);
        let (Some(there), Some(form)) = (there, half.form) else {
            return Ok(None);
        };
        if there.nomatch {
            let (set, network) = (half.name.clone(), wish.network);
            return Err(Error::Excepted { set, network });
        }
        let left = there.timeout;
        let end = self.latest(wish, at);
        let (timeout, until) = form.timeout(end, at.now);
        // Whoever has it for ever does not want it to end with our ban.
        let borrowed = match self.facts.get(&wish.network) {
            Some(fact) => fact.borrowed,
            None if ours => form.timed && left.is_none() && end < Timestamp::MAX,
            None => left.is_none(),
        };
        if borrowed {
            let until = Timestamp::MAX;
            return Ok(Some(Fact { until, borrowed }));
        }
        let fact = Fact { until, borrowed };
        Ok(form.is_right(left, timeout).then_some(fact))
    }

    /// Bans, with an answer for each.
    pub(super) fn ban(&mut self, bans: &[Ban], at: &mut At<'_>) -> Vec<Result<(), Failed>> {
        let (mut seen, mut wishes) = (HashSet::new(), Vec::new());
        for ban in bans {
            if let Some(network) = ban.id.network() {
                let end = ban.end();
                // What we have not put there is somebody else's.
                let exist = self.facts.contains_key(&network) || !seen.insert(network);
                wishes.push(Wish {
                    network,
                    end,
                    exist,
                });
            }
        }
        let results = self.put(&wishes, at);
        let mut results = self.settle(&wishes, results, at).into_iter();
        let each = bans.iter().map(|ban| match ban.id.network() {
            None => Err(Failed::Because(NOT_AN_ADDRESS.to_owned())),
            Some(_) => match results.next() {
                Some(result) => result.map_err(|error| failed(&error)),
                None => Err(Failed::Because("ipset gave no answer".to_owned())),
            },
        });
        each.collect()
    }

    /// Where an entry is there that is not ours: leaves it if it is there for ever, and takes it
    /// over if it might end before the ban.
    fn settle(
        &mut self,
        wishes: &[Wish],
        mut results: Vec<Result<(), Error>>,
        at: &mut At<'_>,
    ) -> Vec<Result<(), Error>> {
        let there = |result: &Result<(), Error>| matches!(result, Err(Error::AlreadyThere { .. }));
        if !results.iter().any(there) {
            return results;
        }
        let mut present = Present::new();
        for half in &self.halves {
            // What cannot be read is taken over.
            present.extend(half.present(at.ipset).unwrap_or_default());
        }
        let (mut places, mut again) = (Vec::new(), Vec::new());
        for (place, (wish, result)) in wishes.iter().zip(&mut results).enumerate() {
            if !there(result) {
                continue;
            }
            match self.serves(*wish, present.get(&wish.network), false, at) {
                Ok(Some(fact)) => {
                    self.note(*wish, fact, at);
                    *result = Ok(());
                }
                Ok(None) => {
                    places.push(place);
                    let exist = true;
                    again.push(Wish { exist, ..*wish });
                }
                Err(error) => *result = Err(error),
            }
        }
        for (place, answer) in places.into_iter().zip(self.put(&again, at)) {
            if let Some(result) = results.get_mut(place) {
                *result = answer;
            }
        }
        results
    }

    /// Has entries for these bans in the kernel, and writes down those that are.
    fn put(&mut self, wishes: &[Wish], at: &mut At<'_>) -> Vec<Result<(), Error>> {
        let planned: Vec<Result<(Plan, Fact), Error>> =
            wishes.iter().map(|wish| self.plan(*wish, at)).collect();
        let plans = planned.iter().map(|planned| match planned {
            Ok((plan, _)) => *plan,
            Err(_) => None,
        });
        let results = self.change(&plans.collect::<Vec<Plan>>(), at);
        let mut all = Vec::with_capacity(wishes.len());
        for ((wish, planned), result) in wishes.iter().zip(planned).zip(results) {
            let result = planned.and_then(|(_, fact)| result.map(|()| fact));
            if let Err(Error::NoTimeouts { .. } | Error::Missing { .. }) = result {
                // It is another set by now.
                self.half_mut(wish.network).form = None;
            }
            all.push(result.map(|fact| self.note(*wish, fact, at)));
        }
        all
    }

    /// What is to be done for a ban, and what is to be known once it is.
    fn plan(&mut self, wish: Wish, at: &mut At<'_>) -> Result<(Plan, Fact), Error> {
        let network = wish.network;
        let half = self.half_mut(network);
        let form = match half.form {
            Some(form) => form,
            None => half.learn(at.ipset)?,
        };
        half.can_hold(form, network)?;
        match self.facts.get(&network) {
            Some(fact) if fact.borrowed => Ok((None, *fact)),
            _ => {
                let (timeout, until) = form.timeout(self.latest(wish, at), at.now);
                let plan = Some((network, Change::Add { timeout }, wish.exist));
                let borrowed = false;
                Ok((plan, Fact { until, borrowed }))
            }
        }
    }

    /// Carries out plans, with an answer for each.
    fn change(&self, plans: &[Plan], at: &mut At<'_>) -> Vec<Result<(), Error>> {
        let planned = plans.iter().flatten();
        let edits: Vec<Edit<'_>> = planned
            .map(|(network, change, exist)| Edit {
                set: &self.half(*network).name,
                network: *network,
                change: *change,
                exist: *exist,
            })
            .collect();
        let mut results = at.ipset.change(&edits).into_iter();
        let answer = |plan: &Plan| match plan {
            None => Ok(()),
            // There is an answer for each.
            Some(_) => results.next().unwrap_or(Ok(())),
        };
        plans.iter().map(answer).collect()
    }

    /// Unbans, with an answer for each.
    pub(super) fn unban(
        &mut self,
        networks: &[Option<Network>],
        at: &mut At<'_>,
    ) -> Vec<Result<(), Failed>> {
        let Some(share) = self.shares.get_mut(at.jail) else {
            return networks.iter().map(|_| Ok(())).collect();
        };
        let held = networks.iter().flatten();
        let held: Vec<(Network, Timestamp)> = held
            .filter_map(|network| share.ends.remove_entry(network))
            .collect();
        let lifted: Vec<Network> = held.iter().map(|(network, _)| *network).collect();
        let results = self.let_go(&lifted, at);
        let mut wrong = HashMap::new();
        for ((network, end), result) in held.into_iter().zip(results) {
            if let Err(error) = result {
                wrong.insert(network, failed(&error));
                let share = self.shares.entry(at.jail.to_owned()).or_default();
                share.ends.insert(network, end);
            }
        }
        let answer = |network: &Option<Network>| {
            let error = network.and_then(|network| wrong.remove(&network));
            error.map_or(Ok(()), Err)
        };
        networks.iter().map(answer).collect()
    }

    /// Takes entries out that a jail no longer wants, or leaves them as long as others do.
    fn let_go(&mut self, networks: &[Network], at: &mut At<'_>) -> Vec<Result<(), Error>> {
        let release = |network: &Network| self.release(*network, at.now);
        let (plans, facts): (Vec<Plan>, Vec<Option<Fact>>) = networks.iter().map(release).unzip();
        let results = self.change(&plans, at);
        let mut all = Vec::with_capacity(networks.len());
        for ((network, fact), result) in networks.iter().zip(facts).zip(results) {
            let result = match result {
                // What is gone with its set need not be taken out.
                Err(Error::Missing { .. }) => Ok(()),
                other => other,
            };
            if result.is_ok() {
                match fact {
                    Some(fact) => drop(self.facts.insert(*network, fact)),
                    None => drop(self.facts.remove(network)),
                }
            }
            all.push(result);
        }
        all
    }

    /// What is to be done with an entry that a jail no longer wants, and what is known of it then.
    fn release(&self, network: Network, now: Timestamp) -> (Plan, Option<Fact>) {
        let others = self.shares.values();
        let others = others.filter_map(|share| share.ends.get(&network)).max();
        let Some(fact) = self.facts.get(&network).copied() else {
            return (None, None);
        };
        match (others, self.half(network).form) {
            (None, _) if fact.borrowed => (None, None),
            (None, _) => (Some((network, Change::Delete, true)), None),
            (Some(end), Some(form)) if !fact.borrowed => {
                let (timeout, until) = form.timeout(*end, now);
                let plan = Some((network, Change::Add { timeout }, true));
                (plan, Some(Fact { until, ..fact }))
            }
            (Some(_), _) => (None, Some(fact)),
        }
    }

    /// Lifts all bans of a jail, and removes what we have made if it was the last jail.
    pub(super) fn stop(&mut self, at: &mut At<'_>) -> Result<(), Error> {
        let Some(share) = self.shares.remove(at.jail) else {
            return Ok(());
        };
        let networks: Vec<Network> = share.ends.into_keys().collect();
        let lifted = self.let_go(&networks, at).into_iter();
        let mut result: Result<(), Error> = lifted.collect();
        if self.shares.is_empty() {
            for half in &mut self.halves {
                result = half.clean(at.ipset).and(result);
            }
            self.facts.clear();
        }
        result
    }

    /// Bans an address of each family that is kept for documentation and that no set matches,
    /// finds it in the kernel, and takes it out again. The addresses.
    pub(super) fn prove(&mut self, at: &mut At<'_>) -> Result<Vec<Network>, Error> {
        let mut proven = Vec::new();
        let spares: [fn(u8) -> Network; 2] = [spare_v4, spare_v6];
        for (half, spare) in self.halves.iter_mut().zip(spares) {
            let form = half.learn(at.ipset)?;
            for network in (0..TRIED).map(spare) {
                if !at.ipset.has(&half.name, network)? {
                    half.prove(at.ipset, form, network)?;
                    proven.push(network);
                    break;
                }
            }
        }
        Ok(proven)
    }

    /// What others did to the bans of a jail, as far as it shows.
    pub(super) fn look(&mut self, at: &mut At<'_>) -> Result<Vec<Tampering>, Error> {
        if self.shares.get(at.jail).is_none_or(|share| share.lost) {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for place in 0..self.halves.len() {
            let what = self.look_at(place, at)?;
            let lost = matches!(what, Some(Tampering::Emptied { .. }));
            all.extend(what);
            if lost && let Some(share) = self.shares.get_mut(at.jail) {
                share.lost = true;
                return Ok(all);
            }
        }
        self.refresh(at);
        Ok(all)
    }

    fn look_at(&mut self, place: usize, at: &mut At<'_>) -> Result<Option<Tampering>, Error> {
        let live = self.live(place, at.now);
        let Some(half) = self.halves.get_mut(place) else {
            return Ok(None);
        };
        let by = "somebody".to_owned();
        let Some(header) = at.ipset.header(&half.name)? else {
            half.form = None;
            let what = format!("its set '{}' is gone", half.name);
            return Ok(Some(Tampering::Emptied { what, by }));
        };
        if let Err(error) = half.take_in(&header) {
            // It is another set by now.
            let what = error.to_string();
            return Ok(Some(Tampering::Emptied { what, by }));
        }
        let least = live.surely.len() + half.foreign;
        let entries = header.entries.and_then(|count| usize::try_from(count).ok());
        if entries.is_some_and(|count| (least..=least + live.perhaps).contains(&count)) {
            return Ok(None);
        }
        let present = half.present(at.ipset)?;
        let is_foreign = |network: &&Network| !self.facts.contains_key(*network);
        half.foreign = present.keys().filter(is_foreign).count();
        let is_missing = |network: &&Network| !present.contains_key(*network);
        let missing: Vec<&Network> = live.surely.iter().filter(is_missing).collect();
        let share = self.shares.get(at.jail);
        let is_own = |net: &&&Network| share.is_some_and(|share| share.ends.contains_key(**net));
        let own = missing.iter().filter(is_own);
        let ids: Vec<FailId> = own.map(|network| (**network).into()).collect();
        if !ids.is_empty() && missing.len() > 1 && missing.len() == live.surely.len() {
            let what = format!("its set '{}' was emptied", half.name);
            return Ok(Some(Tampering::Emptied { what, by }));
        }
        Ok((!ids.is_empty()).then_some(Tampering::Lifted { ids, by }))
    }

    /// What should be in a set now.
    fn live(&self, place: usize, now: Timestamp) -> Live {
        let mut live = Live::default();
        let family = self.halves.get(place).map(|half| half.family);
        for (network, fact) in &self.facts {
            if Some(Family::of(*network)) != family {
                continue;
            }
            match is_there(fact.until, now) {
                Some(true) => live.surely.push(*network),
                Some(false) => {}
                None => live.perhaps += 1,
            }
        }
        live
    }

    /// Gives more time to entries whose bans last longer than the kernel can count.
    fn refresh(&mut self, at: &mut At<'_>) {
        let Some(share) = self.shares.get(at.jail) else {
            return;
        };
        let soon = at.now.plus_secs(i64::from(REFRESH));
        let exist = true;
        let wishes = share.ends.iter().filter_map(|(network, end)| {
            let fact = self.facts.get(network)?;
            let (network, end) = (*network, *end);
            let wish = Wish {
                network,
                end,
                exist,
            };
            // Rounded up it is always a little after the end.
            (fact.until < end && fact.until < soon).then_some(wish)
        });
        let wishes: Vec<Wish> = wishes.collect();
        // What fails is tried again with the next look.
        drop(self.put(&wishes, at));
    }

    /// Counts the entries of both sets that we know nothing of.
    fn count_foreign<'a>(&mut self, present: impl Iterator<Item = &'a Network>) -> usize {
        for half in &mut self.halves {
            half.foreign = 0;
        }
        let mut count = 0;
        for network in present {
            if !self.facts.contains_key(network) {
                self.half_mut(*network).foreign += 1;
                count += 1;
            }
        }
        count
    }

    fn note(&mut self, wish: Wish, fact: Fact, at: &At<'_>) {
        self.facts.insert(wish.network, fact);
        let share = self.shares.entry(at.jail.to_owned()).or_default();
        share.ends.insert(wish.network, wish.end);
    }

    /// When the last jail wants an entry gone, this one included.
    fn latest(&self, wish: Wish, at: &At<'_>) -> Timestamp {
        let others = self.shares.iter().filter(|(jail, _)| *jail != at.jail);
        let ends = others.filter_map(|(_, share)| share.ends.get(&wish.network));
        ends.copied().fold(wish.end, Timestamp::max)
    }

    fn half(&self, network: Network) -> &Half {
        let [four, six] = &self.halves;
        match Family::of(network) {
            Family::V4 => four,
            Family::V6 => six,
        }
    }

    fn half_mut(&mut self, network: Network) -> &mut Half {
        let [four, six] = &mut self.halves;
        match Family::of(network) {
            Family::V4 => four,
            Family::V6 => six,
        }
    }
}

/// `TEST-NET-1`, from its end.
fn spare_v4(number: u8) -> Network {
    let address = Ipv4Addr::new(192, 0, 2, 254 - number.min(TRIED));
    Network::single(IpAddr::V4(address))
}

/// `2001:db8::/32`, likewise.
fn spare_v6(number: u8) -> Network {
    let last = u16::MAX - 1 - u16::from(number);
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    Network::single(IpAddr::V6(address))
}
