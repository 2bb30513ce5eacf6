//! What the tags of a ticket stand for.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt::Write as _;
use std::net::IpAddr;

use ferroban_config::quoted;
use ferroban_engine::{Ban, FailId, Match, Timestamp};

use super::bind::Values;
use super::family::Family;
use super::{Merged, World};

/// The most text of an info, in bytes.
const MOST_INFO: usize = 2000;

/// What an info tells besides who it is: tags, in the order of the original, and whether
/// their values are texts there.
const TOLD: [(&str, bool); 19] = [
    ("ip-rev", true),
    ("ip-host", true),
    ("fid", true),
    ("failures", false),
    ("time", false),
    ("bantime", false),
    ("bancount", false),
    ("matches", true),
    ("restored", false),
    ("F-*", false),
    ("ipmatches", true),
    ("ipjailmatches", true),
    ("ipfailures", false),
    ("ipjailfailures", false),
    ("raw-ticket", true),
    ("jail.banned", false),
    ("jail.banned_total", false),
    ("jail.found", false),
    ("jail.found_total", false),
];

/// What the original tells of two tags that no command has asked for: the place in memory
/// of what would find them. Ours has none, but programs read such lines.
const UNASKED: &str = "<function Actions.ActionInfo.<lambda> at 0x7f0000000000>";

/// The tags of [`TOLD`] that a command has asked for: a bit for each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Asked(u32);

impl Asked {
    fn with(self, tag: &str) -> Self {
        let place = TOLD.iter().position(|(known, _)| *known == tag);
        Self(self.0 | place.map_or(0, |place| 1 << place))
    }

    fn has(self, tag: &str) -> bool {
        self.with(tag) == self
    }
}

/// A ban.
pub(in crate::action) struct OfBan<'a> {
    ban: &'a Ban,
    world: &'a World,
    /// The address behind the ban: what is banned may be a name.
    address: Cow<'a, FailId>,
    /// What all bans of the id come to, in all jails and in this one.
    merged: [OnceCell<Option<Merged>>; 2],
    asked: Cell<Asked>,
}

impl<'a> OfBan<'a> {
    pub(in crate::action) fn new(ban: &'a Ban, world: &'a World) -> Self {
        Self {
            ban,
            world,
            address: address(ban),
            merged: Default::default(),
            asked: Cell::default(),
        }
    }

    /// The tags that were asked for.
    pub(super) fn asked(&self) -> Asked {
        self.asked.get()
    }

    pub(super) fn family(&self) -> Family {
        Family::of(&self.address)
    }

    /// Who it is, in error messages.
    pub(super) fn ip(&self) -> String {
        self.address.to_string()
    }

    /// What the line about a failed ban tells of it.
    pub(in crate::action) fn info(&self) -> String {
        self.told(self.asked())
    }

    /// The same, if the command asked for these tags.
    pub(super) fn told(&self, asked: Asked) -> String {
        let family = match self.family() {
            Family::None => "None".to_owned(),
            family => quoted(&family.to_string()),
        };
        let mut rest = String::new();
        for (tag, is_text) in TOLD {
            let value = match (asked.has(tag), tag) {
                (true, "ip-host") => self
                    .host()
                    .map_or_else(|| "None".to_owned(), |n| quoted(&n)),
                (true, _) if is_text => quoted(&self.find(tag).unwrap_or_default()),
                (true, _) => self.find(tag).unwrap_or_default().into_owned(),
                (false, "fid" | "raw-ticket") => UNASKED.to_owned(),
                (false, _) => continue,
            };
            // Writing to a string cannot fail.
            write!(rest, ", {}: {value}", quoted(tag)).ok();
        }
        let kept = rest.floor_char_boundary(MOST_INFO);
        let cut = if kept < rest.len() { "…" } else { "" };
        rest.truncate(kept);
        let ip = quoted(&self.ip());
        format!("ActionInfo({{'ip': {ip}, 'family': {family}{rest}{cut}}})")
    }

    fn host(&self) -> Option<String> {
        match *self.address {
            FailId::Address(address) => self.world.facts.host(address),
            _ => None,
        }
    }

    fn merged(&self, everywhere: bool) -> Option<&Merged> {
        let cell = &self.merged[usize::from(everywhere)];
        cell.get_or_init(|| self.world.facts.merged(&self.ban.id, everywhere))
            .as_ref()
    }

    fn merged_matches(&self, everywhere: bool) -> Cow<'_, str> {
        match self.merged(everywhere) {
            Some(merged) => Cow::Borrowed(&merged.matches),
            None => lines(&self.ban.ticket.matches).into(),
        }
    }

    fn merged_failures(&self, everywhere: bool) -> String {
        let merged = self.merged(everywhere).map(|merged| merged.failures);
        merged
            .unwrap_or(u64::from(self.ban.ticket.failures))
            .to_string()
    }

    fn bantime(&self) -> String {
        self.ban.bantime.secs().to_string()
    }

    /// Everything that the filter captured, as Python shows it.
    fn data(&self) -> String {
        let ticket = &self.ban.ticket;
        let mut text = format!(
            "{{'matches': {}, 'failures': {}",
            list(&ticket.matches),
            ticket.failures
        );
        for (name, value) in &ticket.captures {
            // Writing to a string cannot fail.
            write!(text, ", {}: {}", quoted(name), value.repr()).ok();
        }
        text.push('}');
        text
    }

    fn raw(&self) -> String {
        let bantime = if self.ban.bantime == self.world.facts.bantime() {
            "None".to_owned()
        } else {
            self.bantime()
        };
        let ticket = &self.ban.ticket;
        format!(
            "BanTicket: ip={} time={} bantime={bantime} bancount={} #attempts={} matches={}",
            self.ban.id,
            self.time(),
            self.ban.count,
            ticket.failures,
            list(&ticket.matches)
        )
    }

    /// What a tag stands for.
    fn find(&self, tag: &str) -> Option<Cow<'_, str>> {
        let ban = self.ban;
        let text = match tag {
            "ip" => self.ip(),
            "family" => self.family().to_string(),
            "ip-rev" => reversed(&self.address),
            "ip-host" => self.host().unwrap_or_else(|| "None".to_owned()),
            "fid" => ban.id.to_string(),
            "failures" => ban.ticket.failures.to_string(),
            "time" => self.time(),
            "bantime" => self.bantime(),
            "bancount" => ban.count.to_string(),
            "restored" => u8::from(ban.restored).to_string(),
            "matches" => lines(&ban.ticket.matches),
            "ipmatches" => return Some(self.merged_matches(true)),
            "ipjailmatches" => return Some(self.merged_matches(false)),
            "ipfailures" => self.merged_failures(true),
            "ipjailfailures" => self.merged_failures(false),
            "raw-ticket" => self.raw(),
            "F-*" => self.data(),
            tag => return of_jail(self.world, tag).map(Cow::Owned),
        };
        Some(text.into())
    }

    /// The database keeps whole seconds, and they look like it.
    fn time(&self) -> String {
        if self.ban.restored {
            self.ban.time.secs().to_string()
        } else {
            float(self.ban.time)
        }
    }
}

impl Values for OfBan<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        self.asked.set(self.asked().with(tag));
        self.find(tag)
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        self.asked.set(self.asked().with("F-*"));
        let ticket = &self.ban.ticket;
        let captured = ticket.captures.iter().find(|(known, _)| **known == *name);
        if let Some((_, value)) = captured {
            return Some(match value.text() {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Owned(value.to_string()),
            });
        }
        match name {
            "matches" => Some(list(&ticket.matches).into()),
            "failures" => Some(ticket.failures.to_string().into()),
            "ip" if matches!(self.address, Cow::Owned(_)) => Some(self.ip().into()),
            _ => None,
        }
    }
}

/// No ban: what concerns the whole action.
pub(super) struct OfNobody<'a> {
    pub(super) family: String,
    pub(super) world: &'a World,
    pub(super) now: Timestamp,
}

impl Values for OfNobody<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        let text = match tag {
            "ip" | "ip-rev" | "fid" | "matches" | "ipmatches" | "ipjailmatches" => "",
            "failures" | "ipfailures" | "ipjailfailures" | "bancount" | "restored" => "0",
            "ip-host" => "None",
            "F-*" => "{'matches': [], 'failures': 0}",
            "family" => &self.family,
            "time" => return Some(float(self.now).into()),
            "bantime" => return Some(self.world.facts.bantime().secs().to_string().into()),
            "raw-ticket" => {
                let time = float(self.now);
                return Some(
                    format!(
                        "BanTicket: ip= time={time} bantime=None bancount=0 #attempts=0 matches=[]"
                    )
                    .into(),
                );
            }
            tag => return of_jail(self.world, tag).map(Cow::Owned),
        };
        Some(text.into())
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "matches" => Some("[]".into()),
            "failures" => Some("0".into()),
            _ => None,
        }
    }
}

/// A family alone: what checks and repairs may know.
pub(super) struct OfFamily<'a>(pub(super) &'a str);

impl Values for OfFamily<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        (tag == "family").then_some(self.0.into())
    }

    fn capture(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// What `<ip>` is: where the filter captured something else as the id, the address
/// that it captured too.
fn address(ban: &Ban) -> Cow<'_, FailId> {
    let captured = |wanted: &str| {
        let mut captures = ban.ticket.captures.iter();
        captures.find(|(name, value)| **name == *wanted && !value.is_empty())
    };
    let is_text = matches!(ban.id, FailId::Text(_));
    let beside = ["ip4", "ip6", "dns"].into_iter().find_map(captured);
    let beside = beside.filter(|_| is_text && captured("fid").is_some());
    match captured("ip").or(beside) {
        Some((_, value)) => Cow::Owned(FailId::parse(&value.to_string())),
        None => Cow::Borrowed(&ban.id),
    }
}

fn of_jail(world: &World, tag: &str) -> Option<String> {
    let counters = || world.facts.counters();
    Some(match tag {
        "jail.name" => world.jail.to_string(),
        "jail.banned" => counters().banned.to_string(),
        "jail.banned_total" => counters().banned_total.to_string(),
        "jail.found" => counters().found.to_string(),
        "jail.found_total" => counters().found_total.to_string(),
        _ => return None,
    })
}

/// `1.2.0.192.` or the nibbles of an IPv6 address, as DNS wants them.
fn reversed(id: &FailId) -> String {
    let address = match id {
        FailId::Address(address) => *address,
        FailId::Network(network) => network.address(),
        FailId::Text(_) => return String::new(),
    };
    match address {
        IpAddr::V4(_) => {
            let text = id.to_string();
            text.rsplit('.').map(|part| format!("{part}.")).collect()
        }
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", address.to_bits());
            digits
                .chars()
                .rev()
                .flat_map(|digit| [digit, '.'])
                .collect()
        }
    }
}

/// Seconds as Python writes a float.
fn float(time: Timestamp) -> String {
    let text = format!("{}.{:06}", time.secs(), time.subsec_micros());
    let short = text.trim_end_matches('0');
    match short.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => short.to_owned(),
    }
}

fn lines(matches: &[Match]) -> String {
    let lines: Vec<String> = matches.iter().map(Match::joined).collect();
    lines.join("\n")
}

/// Matches as Python shows them, those of the first failure split where their dates are.
fn list(matches: &[Match]) -> String {
    let shown = matches.iter().map(|line| {
        if line.date.is_empty() {
            return quoted(&line.joined());
        }
        let parts = [&line.before, &line.date, &line.after];
        let parts: Vec<String> = parts.into_iter().map(|part| quoted(part)).collect();
        format!("({})", parts.join(", "))
    });
    let shown: Vec<String> = shown.collect();
    format!("[{}]", shown.join(", "))
}

#[cfg(test)]
mod tests;
