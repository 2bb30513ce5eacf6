//! `banaction = ferroban`: a jail's bans as nf_tables sets, or in [sets](Sets) of ipset.
//!
//! Reads the options of the action, and translates between bans, which have a
//! time and an end, and set elements, which have a timeout.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use ferroban_engine::{Ban, FailId, Network, Outcome, Tampering, Timestamp, effect::time_left};

use super::cut::cut;
use super::nftables::{Block, Element, Error, Guard, Nftables, Protocol};
use super::sets::{self, News, Sets};
use super::{Failed, NOT_AN_ADDRESS, Options};
use crate::{clock, report};

/// Why an option of the action cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SettingsError {
    /// Neither a number, nor a range, nor the name of a service.
    Port(String),
    /// No protocol we know.
    Protocol(String),
    /// Neither `reject`, `tcp-reset` nor `drop`.
    Block(String),
    /// Neither a number nor a name that nft has for one.
    Priority(String),
    /// Neither `rescue` nor `always`.
    Heal(String),
    /// Neither yes nor no.
    Cut(String),
    /// No name for a pair of sets.
    Set(String),
    /// An option of nftables' that means nothing for sets of ipset.
    NotForSets(String),
    /// No such option.
    Unknown(String),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(text) => {
                write!(
                    f,
                    "port '{text}' is unknown; give a number, a range such as 6000:6010, or a name of /etc/services"
                )
            }
            Self::Protocol(text) => {
                write!(
                    f,
                    "protocol '{text}' is unknown; give tcp, udp, udplite, sctp, dccp, icmp, all or a number"
                )
            }
            Self::Block(text) => {
                write!(
                    f,
                    "blocktype '{text}' is unknown; give reject, tcp-reset or drop"
                )
            }
            Self::Priority(text) => {
                write!(
                    f,
                    "priority '{text}' is unknown; give a number such as -200, or raw, mangle, dstnat, filter, security or srcnat, with as much to add or take away as you like (filter - 5)"
                )
            }
            Self::Heal(text) => {
                write!(f, "heal '{text}' is unknown; give rescue or always")
            }
            Self::Cut(text) => {
                write!(f, "cut '{text}' is unknown; give yes or no")
            }
            Self::Set(text) => write!(
                f,
                "ipset '{}' cannot be the name of a set; give up to {} letters, digits or any of '_.-+:@', no '-' at the front (with a 6 at its end it is the set for IPv6)",
                text.escape_debug(),
                sets::LONGEST
            ),
            Self::NotForSets(name) => write!(
                f,
                "option '{name}' has no effect with ipset: what becomes of the packets says the rule that refers to the set; leave it out"
            ),
            Self::Unknown(text) => {
                write!(
                    f,
                    "option '{text}' is unknown; this action has port, protocol, blocktype, priority, ipset, heal and cut"
                )
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// The action of one jail.
#[derive(Debug)]
pub(crate) struct Native {
    guard: Guard,
    firewall: Option<Nftables>,
    /// Sets of ipset that hold the bans, instead of a table.
    sets: Option<Sets>,
    /// Whether connections end with a ban.
    cuts: bool,
}

impl Native {
    /// Reads the options. `services` is the text of `/etc/services`.
    pub(crate) fn new(
        jail: &str,
        options: &Options,
        services: &str,
    ) -> Result<Self, SettingsError> {
        let mut guard = Guard {
            name: jail.to_owned(),
            protocols: vec![Protocol::Tcp],
            ports: Vec::new(),
            block: Block::Reject,
            priority: Guard::PRIORITY,
        };
        let (mut cuts, mut sets) = (false, None);
        for (name, value) in options {
            match name.as_str() {
                "ipset" if sets::is_name(value) => sets = Some(Sets::new(jail, value)),
                "ipset" => return Err(SettingsError::Set(value.clone())),
                // Stock jails pass ports and protocols to every action; nobody passes these.
                "blocktype" | "priority" if options.contains_key("ipset") => {
                    return Err(SettingsError::NotForSets(name.clone()));
                }
                "port" => guard.ports = ports(value, services)?,
                "protocol" => guard.protocols = protocols(value)?,
                "blocktype" => guard.block = block(value)?,
                "priority" => {
                    let wrong = || SettingsError::Priority(value.clone());
                    guard.priority = priority(value).ok_or_else(wrong)?;
                }
                "cut" => cuts = yes(value).ok_or_else(|| SettingsError::Cut(value.clone()))?,
                // What it says is the jail's business.
                "heal" if ["rescue", "always"].contains(&value.as_str()) => {}
                "heal" => return Err(SettingsError::Heal(value.clone())),
                // Stock jails pass them to every action. Ours has chains of its own,
                // and learns from each ban how long it lasts.
                "chain" | "bantime" | "name" | "actname" | "timeout" => {}
                // Every action has these, and they are empty where nobody sets them.
                command if command.starts_with("action") && value.is_empty() => {}
                _ => return Err(SettingsError::Unknown(name.clone())),
            }
        }
        Ok(Self {
            guard,
            firewall: None,
            sets,
            cuts,
        })
    }

    /// What it guards with nftables.
    pub(crate) fn guard(&self) -> Option<&Guard> {
        self.sets.is_none().then_some(&self.guard)
    }

    /// Whether it can take the place of another one that has started.
    pub(crate) fn can_go_on_as(&self, wanted: &Self) -> bool {
        match (&self.sets, &wanted.sets) {
            (None, None) => true,
            (Some(sets), Some(wanted)) => sets.are(wanted),
            _ => false,
        }
    }

    /// How it bans, for people: `with nftables, table inet ferroban, on tcp port 22, 2222`.
    pub(crate) fn describe(&self) -> String {
        if let Some(sets) = &self.sets {
            return sets.describe();
        }
        let protocols: Vec<String> = self
            .guard
            .protocols
            .iter()
            .map(|p| format!("{p:?}").to_lowercase())
            .collect();
        let protocols = if protocols.is_empty() {
            "all protocols".into()
        } else {
            protocols.join(", ")
        };
        let port = |range: &RangeInclusive<u16>| {
            if range.start() == range.end() {
                range.start().to_string()
            } else {
                format!("{}-{}", range.start(), range.end())
            }
        };
        let ports: Vec<String> = self.guard.ports.iter().map(port).collect();
        let ports = if ports.is_empty() {
            ", all ports".to_owned()
        } else {
            format!(" port {}", ports.join(", "))
        };
        let priority = match self.guard.priority {
            Guard::PRIORITY => String::new(),
            other => format!(", with priority {other}"),
        };
        format!("with nftables, table inet ferroban, on {protocols}{ports}{priority}")
    }

    fn firewall(&mut self) -> Result<&mut Nftables, Failed> {
        match &mut self.firewall {
            Some(firewall) => Ok(firewall),
            none => Ok(none.insert(Nftables::open().map_err(|error| chain(&error))?)),
        }
    }

    fn try_start(&mut self, held: &[Ban], now: Timestamp) -> Result<Outcome, Failed> {
        let guard = self.guard.clone();
        let firewall = self.firewall()?;
        firewall.start(&guard).map_err(|error| chain(&error))?;
        let (wanted, mut failed) = elements(held, now);
        let adoption = firewall
            .adopt(&guard.name, &wanted)
            .map_err(|error| chain(&error))?;
        failed.extend(
            adoption
                .failed
                .into_iter()
                .map(|(network, error)| (network.into(), chain(&error).into_text())),
        );
        Ok(Outcome::Started {
            kept: adoption.kept,
            added: adoption.added,
            corrected: adoption.corrected,
            foreign: adoption.foreign.len(),
            failed,
        })
    }

    /// Asks the firewall about those of `ids` that it can hold; the others get the
    /// answer that they cannot be held.
    fn ask(
        &mut self,
        networks: &[Option<Network>],
        ask: impl FnOnce(&mut Nftables, &str) -> Vec<Result<(), Error>>,
    ) -> Vec<Result<(), Failed>> {
        let name = self.guard.name.clone();
        let asked = networks.iter().flatten().count();
        let mut answers = match (asked > 0).then(|| self.firewall()) {
            None => Vec::new(),
            Some(Ok(firewall)) => ask(firewall, &name)
                .into_iter()
                .map(|answer| answer.map_err(|error| chain(&error)))
                .collect(),
            Some(Err(error)) => vec![Err(error); asked],
        }
        .into_iter();
        let lost = || Err(Failed::Because("the firewall gave no answer".to_owned()));
        networks
            .iter()
            .map(|network| match network {
                Some(_) => answers.next().unwrap_or_else(lost),
                None => Err(Failed::Because(NOT_AN_ADDRESS.to_owned())),
            })
            .collect()
    }
}

impl Native {
    /// Prepares the firewall and makes it hold exactly these bans of ours.
    pub(crate) fn start(&mut self, held: &[Ban], now: Timestamp) -> Outcome {
        if let Some(sets) = &self.sets {
            return sets.start(held, now);
        }
        self.try_start(held, now).unwrap_or_else(|error| {
            self.firewall = None;
            Outcome::Failed(error.into_text())
        })
    }

    /// Bans, with an answer for each.
    pub(crate) fn ban(&mut self, bans: &[Ban], now: Timestamp) -> Vec<Result<(), Failed>> {
        if let Some(sets) = &self.sets {
            return sets.ban(bans, now);
        }
        let networks: Vec<_> = bans.iter().map(|ban| ban.id.network()).collect();
        let (elements, _) = elements(bans, now);
        self.ask(&networks, |firewall, name| firewall.add(name, &elements))
    }

    /// Ends the connections of those who are banned, if that is wanted. How many.
    pub(crate) fn cut(&self, bans: &[Ban]) -> io::Result<usize> {
        let has_tcp =
            self.guard.protocols.is_empty() || self.guard.protocols.contains(&Protocol::Tcp);
        let networks: Vec<Network> = bans.iter().filter_map(|ban| ban.id.network()).collect();
        if !self.cuts || !has_tcp || networks.is_empty() {
            return Ok(0);
        }
        cut(&networks, &self.guard.ports)
    }

    /// Unbans, with an answer for each. Who is not banned is unbanned already.
    pub(crate) fn unban(&mut self, ids: &[FailId]) -> Vec<Result<(), Failed>> {
        let networks: Vec<_> = ids.iter().map(FailId::network).collect();
        if let Some(sets) = &self.sets {
            return sets.unban(&networks, clock::now());
        }
        let known: Vec<Network> = networks.iter().flatten().copied().collect();
        let mut answers = self.ask(&networks, |firewall, name| firewall.remove(name, &known));
        // What could never be banned, or is gone with its set, need not be unbanned.
        for (answer, network) in answers.iter_mut().zip(&networks) {
            if network.is_none() || matches!(answer, Err(Failed::Lost(_))) {
                *answer = Ok(());
            }
        }
        answers
    }

    /// Whether a ban reaches the kernel: the addresses with which that was tried.
    pub(crate) fn prove(&mut self) -> Result<Vec<Network>, Failed> {
        if let Some(sets) = &self.sets {
            return sets.prove(clock::now());
        }
        let guard = self.guard.clone();
        let proven = self.firewall()?.prove(&guard);
        proven.map_err(|error| chain(&error))
    }

    /// Which of these nothing in the kernel holds, and why those that it holds may be in vain.
    pub(crate) fn missing(
        &mut self,
        wanted: &[Network],
    ) -> Result<(Vec<Network>, Option<String>), Failed> {
        if let Some(sets) = &self.sets {
            return sets.missing(wanted);
        }
        let guard = self.guard.clone();
        let firewall = self.firewall()?;
        let missing = match firewall.missing(&guard.name, wanted) {
            // The sets are gone, and all that was in them.
            Err(Error::NotStarted { .. }) => wanted.to_vec(),
            result => result.map_err(|error| chain(&error))?,
        };
        if firewall.is_whole(&guard).map_err(|error| chain(&error))? {
            return Ok((missing, None));
        }
        // Elements without rules keep nobody out.
        let problem = "its rules in the firewall are not what they should be".to_owned();
        Ok((wanted.to_vec(), Some(problem)))
    }

    /// Whether somebody must look now and then for what others did, since nobody tells.
    pub(crate) fn must_look(&self) -> bool {
        self.sets.is_some()
    }

    /// Looks for it.
    pub(crate) fn look(&self, now: Timestamp) -> Vec<Tampering> {
        self.sets
            .as_ref()
            .map_or_else(Vec::new, |sets| sets.look(now))
    }

    /// What is to be told of whether bans have an effect.
    pub(crate) fn news(&mut self) -> Option<News> {
        self.sets.as_mut().and_then(Sets::news)
    }

    /// Removes everything.
    pub(crate) fn stop(&mut self, held: &[Ban]) -> Result<(), Failed> {
        if let Some(sets) = &self.sets {
            return sets.stop(clock::now());
        }
        let name = self.guard.name.clone();
        let stopped = self.firewall()?.stop(&name).map_err(|error| chain(&error));
        if stopped.is_err() {
            // A rule of somebody else may hold a set: it must not hold the bans too.
            let ids: Vec<FailId> = held.iter().map(|ban| ban.id.clone()).collect();
            drop(self.unban(&ids));
        }
        stopped
    }
}

/// The elements that hold `bans`, and the bans that no element can hold.
fn elements(bans: &[Ban], now: Timestamp) -> (Vec<Element>, Vec<(FailId, String)>) {
    let (mut elements, mut failed) = (Vec::new(), Vec::new());
    for ban in bans {
        match ban.id.network() {
            Some(network) => elements.push(Element {
                network,
                timeout: time_left(ban, now),
            }),
            None => failed.push((ban.id.clone(), NOT_AN_ADDRESS.to_owned())),
        }
    }
    (elements, failed)
}

fn chain(error: &Error) -> Failed {
    let text = report::chain(error);
    match error {
        Error::NotStarted { .. } => Failed::Lost(text),
        _ => Failed::Because(text),
    }
}

/// `22`, `6000:6010`, `http`, separated by commas; `0:65535` and `all` are every port.
fn ports(text: &str, services: &str) -> Result<Vec<RangeInclusive<u16>>, SettingsError> {
    let mut ranges = Vec::new();
    for part in text
        .split([',', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let unknown = || SettingsError::Port(part.to_owned());
        let one = |name: &str| service(name, services).ok_or_else(unknown);
        let range = match part
            .split_once([':', '-'])
            .filter(|(from, to)| number(from) && number(to))
        {
            Some((from, to)) => one(from)?..=one(to)?,
            None if part == "all" => 0..=u16::MAX,
            None => one(part)?..=one(part)?,
        };
        if range.is_empty() {
            return Err(unknown());
        }
        ranges.push(range);
    }
    let all = ranges
        .iter()
        .any(|range| *range.start() <= 1 && *range.end() == u16::MAX);
    Ok(if all { Vec::new() } else { ranges })
}

fn number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty()
}

/// The port of a number or of a name in `/etc/services`; `ssh` is known even
/// where that file is missing.
fn service(name: &str, services: &str) -> Option<u16> {
    if number(name) {
        return name.parse().ok();
    }
    let listed = services.lines().find_map(|line| {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let (first, port) = (words.next()?, words.next()?);
        let named = first == name || words.any(|alias| alias == name);
        named
            .then(|| port.split('/').next()?.parse().ok())
            .flatten()
    });
    listed.or((name == "ssh").then_some(22))
}

fn protocols(text: &str) -> Result<Vec<Protocol>, SettingsError> {
    let mut found = Vec::new();
    for part in text
        .split([',', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        found.push(match part.to_ascii_lowercase().as_str() {
            "all" => return Ok(Vec::new()),
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "udplite" => Protocol::Udplite,
            "sctp" => Protocol::Sctp,
            "dccp" => Protocol::Dccp,
            "icmp" => Protocol::Icmp,
            other => Protocol::Other(
                other
                    .parse()
                    .map_err(|_| SettingsError::Protocol(part.into()))?,
            ),
        });
    }
    Ok(found)
}

fn yes(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn block(text: &str) -> Result<Block, SettingsError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "reject" => Ok(Block::Reject),
        "tcp-reset" => Ok(Block::Reset),
        "drop" => Ok(Block::Drop),
        _ => Err(SettingsError::Block(text.to_owned())),
    }
}

/// `-200`, `mangle` or `filter - 5`, as nft has it.
fn priority(text: &str) -> Option<i32> {
    const NAMES: [(&str, i32); 6] = [
        ("raw", -300),
        ("mangle", -150),
        ("dstnat", -100),
        ("filter", 0),
        ("security", 50),
        ("srcnat", 100),
    ];
    let text: String = text.split_whitespace().collect();
    for (name, base) in NAMES {
        match text.strip_prefix(name) {
            Some("") => return Some(base),
            Some(more) if more.starts_with(['+', '-']) => {
                return base.checked_add(more.parse().ok()?);
            }
            _ => {}
        }
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroban_engine::{BanTime, Ticket};

    const SERVICES: &str = "ftp\t21/tcp # old\nssh 22/tcp\nhttp 80/tcp www # WorldWideWeb\n";

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn ports_are_numbers_ranges_and_names() {
        let cases = [
            ("22", Some(vec![22..=22])),
            ("ssh,2222", Some(vec![22..=22, 2222..=2222])),
            ("www, 6000:6010", Some(vec![80..=80, 6000..=6010])),
            ("0:65535", Some(vec![])),
            ("all", Some(vec![])),
            ("6010:6000", None),
            ("nosuch", None),
            ("70000", None),
            ("", Some(vec![])),
        ];
        for (text, expected) in cases {
            assert_eq!(ports(text, SERVICES).ok(), expected, "{text}");
        }
        assert_eq!(
            ports("ssh", "").ok(),
            Some(vec![22..=22]),
            "known without /etc/services"
        );
    }

    #[test]
    fn options_that_cannot_be_used_are_named() {
        let cases = [
            (("port", "x"), SettingsError::Port("x".into())),
            (("protocol", "quic"), SettingsError::Protocol("quic".into())),
            (
                ("blocktype", "tarpit"),
                SettingsError::Block("tarpit".into()),
            ),
            (("cut", "maybe"), SettingsError::Cut("maybe".into())),
            (("heal", "never"), SettingsError::Heal("never".into())),
            (("ports", "22"), SettingsError::Unknown("ports".into())),
        ];
        for (pair, expected) in cases {
            assert_eq!(
                Native::new("sshd", &options(&[pair]), SERVICES).unwrap_err(),
                expected
            );
        }
    }

    #[test]
    fn what_is_guarded_reads_well() {
        let stock = [
            ("port", "ssh"),
            ("protocol", "tcp"),
            ("chain", "INPUT"),
            ("bantime", "10m"),
        ];
        let with_ipset = [&[("ipset", "f2b")], &stock[..]].concat();
        let on = |what: &str| format!("with nftables, table inet ferroban, on {what}");
        let cases = [
            (
                vec![("port", "ssh,6000:6010")],
                on("tcp port 22, 6000-6010"),
            ),
            (vec![("protocol", "all")], on("all protocols, all ports")),
            (stock.to_vec(), on("tcp port 22")),
            (
                vec![("priority", "raw")],
                on("tcp, all ports, with priority -300"),
            ),
            (
                with_ipset,
                "with ipset, in the sets f2b and f2b6".to_owned(),
            ),
        ];
        for (pairs, expected) in cases {
            let native = Native::new("sshd", &options(&pairs), SERVICES).unwrap();
            assert_eq!(native.describe(), expected);
            assert_eq!(native.guard().is_some(), native.sets.is_none());
        }
    }

    #[test]
    fn priorities_are_numbers_and_what_nft_calls_them() {
        let cases = [
            ("-200", Some(-200)),
            ("+5", Some(5)),
            ("0", Some(0)),
            (" raw ", Some(-300)),
            ("mangle", Some(-150)),
            ("dstnat", Some(-100)),
            ("filter - 5", Some(-5)),
            ("filter-5", Some(-5)),
            ("security + 7", Some(57)),
            ("srcnat+-7", None),
            ("2147483647", Some(i32::MAX)),
            ("2147483648", None),
            ("security + 2147483647", None),
            ("filter5", None),
            ("out", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(priority(text), expected, "{text}");
        }
        let refused = Native::new("sshd", &options(&[("priority", "first")]), SERVICES);
        let wrong = SettingsError::Priority("first".into());
        assert_eq!(refused.unwrap_err(), wrong);
    }

    #[test]
    fn an_action_goes_on_only_where_its_bans_are() {
        let made = |pairs: &[(&str, &str)]| Native::new("sshd", &options(pairs), SERVICES).unwrap();
        let table = made(&[]);
        let (one, other) = (made(&[("ipset", "a")]), made(&[("ipset", "b")]));
        assert!(table.can_go_on_as(&made(&[("port", "ssh")])));
        assert!(one.can_go_on_as(&made(&[("ipset", "a"), ("cut", "yes")])));
        for (from, to) in [(&table, &one), (&one, &table), (&one, &other)] {
            assert!(!from.can_go_on_as(to));
        }
        let both = options(&[("ipset", "a"), ("blocktype", "drop")]);
        let refused = Native::new("sshd", &both, SERVICES).unwrap_err();
        assert_eq!(refused, SettingsError::NotForSets("blocktype".into()));
        let named = Native::new("sshd", &options(&[("ipset", "a b")]), SERVICES).unwrap_err();
        assert_eq!(named, SettingsError::Set("a b".into()));
    }

    #[test]
    fn text_is_no_address_to_ban_but_nothing_to_unban() {
        let mut native = Native::new("sshd", &Options::new(), SERVICES).unwrap();
        let bob = FailId::parse("bob");
        let ban = Ban {
            id: bob.clone(),
            time: Timestamp::from_secs(0),
            bantime: BanTime::Forever,
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        };
        let answers = native.ban(&[ban], Timestamp::from_secs(0));
        assert!(
            matches!(answers.as_slice(), [Err(Failed::Because(why))] if why == NOT_AN_ADDRESS),
            "{answers:?}"
        );
        assert!(matches!(native.unban(&[bob]).as_slice(), [Ok(())]));
        assert!(native.firewall.is_none(), "nobody was asked");
    }
}
