//! The commands of an action, with the tags filled that its options fill.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ferroban_config::Seconds;

use super::Facts;
use super::family::Family;
use super::tags::{Properties, Resolved, TagError};
use super::turn::Touched;

/// A command of an action.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Op {
    Start,
    Stop,
    Flush,
    Reload,
    Check,
    Repair,
    Ban,
    Reban,
    Prolong,
    Unban,
}

impl Op {
    const ALL: [Self; 10] = [
        Self::Start,
        Self::Stop,
        Self::Flush,
        Self::Reload,
        Self::Check,
        Self::Repair,
        Self::Ban,
        Self::Reban,
        Self::Prolong,
        Self::Unban,
    ];

    /// The option that has it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Start => "actionstart",
            Self::Stop => "actionstop",
            Self::Flush => "actionflush",
            Self::Reload => "actionreload",
            Self::Check => "actioncheck",
            Self::Repair => "actionrepair",
            Self::Ban => "actionban",
            Self::Reban => "actionreban",
            Self::Prolong => "actionprolong",
            Self::Unban => "actionunban",
        }
    }

    /// As in `Error banning …`.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Flush => "flushing",
            Self::Reload => "reloading",
            Self::Check => "checking",
            Self::Repair => "repairing",
            Self::Ban | Self::Reban => "banning",
            Self::Prolong => "prolonging",
            Self::Unban => "unbanning",
        }
    }
}

/// How long a command may take if nothing else is said.
const TIMEOUT: &str = "60";
/// How many filled commands are kept. There are ten for each of a handful of families,
/// and a client may name more.
const MOST_KEPT: usize = 1000;

/// The options of an action, and what became of them.
#[derive(Debug)]
pub(super) struct Texts {
    properties: Properties,
    resolved: HashMap<String, Result<Arc<Resolved>, TagError>>,
    filled: HashMap<(Op, Family), Result<Arc<str>, TagError>>,
    timeout: Duration,
    touched: Option<Touched>,
}

impl Texts {
    pub(super) fn new(mut properties: Properties) -> Self {
        // It would hide the ban time of the ticket.
        properties.remove("bantime");
        let timeout = properties.entry("timeout".into());
        let timeout = timeout.or_insert_with(|| TIMEOUT.into());
        Self {
            timeout: limit(timeout).unwrap_or(Duration::from_secs(60)),
            properties,
            resolved: HashMap::new(),
            filled: HashMap::new(),
            touched: None,
        }
    }

    pub(super) fn properties(&self) -> &Properties {
        &self.properties
    }

    /// How long a command may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether there is such a command at all.
    pub(super) fn has(&self, op: Op) -> bool {
        let text = self.properties.get(op.option());
        text.is_some_and(|text| !text.trim().is_empty())
    }

    /// Whether an option is there and on.
    pub(super) fn is_on(&self, option: &str) -> bool {
        self.properties.get(option).is_some_and(|text| is_on(text))
    }

    /// Whether an option says no.
    pub(super) fn is_off(&self, option: &str) -> bool {
        let text = self
            .properties
            .get(option)
            .map(|text| text.to_ascii_lowercase());
        text.is_some_and(|text| ["0", "off", "false", "no"].contains(&text.as_str()))
    }

    /// Whether the start waits for the first ban of a family. If nobody says so, it does
    /// where families differ: on many hosts only one of them is ever banned.
    pub(super) fn starts_on_demand(&self) -> bool {
        match self.properties.get("actionstart_on_demand") {
            Some(text) if !text.is_empty() => is_on(text),
            _ => self.is_conditional(),
        }
    }

    /// The families that a start is for.
    pub(super) fn families(&self, facts: &dyn Facts) -> Vec<Family> {
        let given = self.properties.get("families").map(String::as_str);
        let names = given.unwrap_or_default().split([' ', ',', '\n', '\t']);
        let names = names.filter(|name| !name.is_empty());
        let named: Vec<Family> = names
            .map(|name| Family::Of(name.to_owned().into()))
            .collect();
        match (named.is_empty(), self.is_conditional()) {
            (false, _) => named,
            (true, false) => vec![Family::All],
            (true, true) if facts.ipv6() => vec![super::family::INET4, super::family::INET6],
            (true, true) => vec![super::family::INET4],
        }
    }

    /// A command for a family.
    pub(super) fn text(
        &mut self,
        op: Op,
        family: &Family,
        facts: &dyn Facts,
    ) -> Result<Arc<str>, TagError> {
        if let Some(text) = self.filled.get(&(op, family.clone())) {
            return text.clone();
        }
        let raw = self.properties.get(op.option()).cloned();
        let text = self.fill(raw.as_deref().unwrap_or_default(), family, facts);
        if self.filled.len() >= MOST_KEPT {
            self.filled.clear();
        }
        self.filled.insert((op, family.clone()), text.clone());
        text
    }

    /// What its commands may touch, for any family.
    pub(super) fn touched(&mut self, facts: &dyn Facts) -> &Touched {
        if self.touched.is_none() {
            let mut families = vec![Family::None, super::family::INET4, super::family::INET6];
            families.extend(self.families(facts));
            let all = families
                .iter()
                .flat_map(|family| Op::ALL.map(|op| (op, family)));
            let all: Vec<(Op, &Family)> = all.collect();
            // What cannot be filled is not run.
            let texts = all
                .into_iter()
                .filter_map(|(op, family)| self.text(op, family, facts).ok());
            let texts: Vec<Arc<str>> = texts.collect();
            self.touched = Some(Touched::by(texts.iter().map(|text| &**text)));
        }
        self.touched.get_or_insert_default()
    }

    /// Any text for a family.
    pub(super) fn fill(
        &mut self,
        text: &str,
        family: &Family,
        facts: &dyn Facts,
    ) -> Result<Arc<str>, TagError> {
        if !text.contains('<') {
            return Ok(text.into());
        }
        let condition = family.condition();
        if self.resolved.len() >= MOST_KEPT {
            self.resolved.clear();
        }
        let properties = &self.properties;
        let resolved = self
            .resolved
            .entry(condition)
            .or_insert_with_key(|condition| Resolved::new(properties, condition).map(Arc::new));
        let resolved = Arc::clone(resolved.as_ref().map_err(TagError::clone)?);
        let text = resolved.fill(text, &|tag| constant(tag, facts))?;
        Ok(text.into())
    }

    fn is_conditional(&self) -> bool {
        let mut names = self.properties.keys();
        names.any(|name| name.contains("?family="))
    }
}

/// Tags that every action knows.
pub(super) fn constant(tag: &str, facts: &dyn Facts) -> Option<String> {
    Some(match tag {
        "br" => "\n".to_owned(),
        "sp" => " ".to_owned(),
        "fq-hostname" => facts.own_name(true),
        "sh-hostname" => facts.own_name(false),
        _ => return None,
    })
}

/// A limit of time, if it is one.
pub(super) fn limit(text: &str) -> Option<Duration> {
    let seconds: Seconds = text.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds.as_f64().max(0.0)).unwrap_or(Duration::MAX))
}

fn is_on(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["1", "on", "true", "yes"].contains(&lower.as_str())
}
