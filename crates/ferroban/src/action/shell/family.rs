//! The families of addresses that an action was started for.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ferroban_engine::FailId;

use crate::process::script::Script;

/// What an action is started for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Family {
    /// Everything at once: the action makes no difference between families.
    All,
    /// Whatever has no address.
    None,
    /// `inet4`, `inet6`, or what the option `families` names.
    Of(Cow<'static, str>),
}

pub(super) const INET4: Family = Family::Of(Cow::Borrowed("inet4"));
pub(super) const INET6: Family = Family::Of(Cow::Borrowed("inet6"));

impl Family {
    /// The family of what is banned.
    pub(super) fn of(id: &FailId) -> Self {
        match id {
            FailId::Address(address) => Self::of_address(*address),
            FailId::Network(network) => Self::of_address(network.address()),
            FailId::Text(_) => Self::None,
        }
    }

    fn of_address(address: IpAddr) -> Self {
        if address.is_ipv4() { INET4 } else { INET6 }
    }

    /// The condition under which options of this family count.
    pub(super) fn condition(&self) -> String {
        match self {
            Self::Of(name) => format!("family={name}"),
            Self::All | Self::None => String::new(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "",
            Self::None => "None",
            Self::Of(name) => name,
        })
    }
}

/// How far an action is with a family.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    /// Not started, or lost.
    No,
    /// Started.
    Started,
    /// Started, and at least one ban worked.
    Bans,
}

/// The families of an action, in the order in which they came up.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<Known>);

#[derive(Debug)]
struct Known {
    family: Family,
    state: State,
    /// The command that prepared it, whichever family it was run for.
    start: Option<Arc<Script>>,
}

impl Families {
    pub(super) fn state(&self, family: &Family) -> State {
        let known = self.0.iter().find(|known| known.family == *family);
        known.map_or(State::No, |known| known.state)
    }

    /// Those that are that far at least.
    pub(super) fn from(&self, state: State) -> Vec<Family> {
        let far = self.0.iter().filter(|known| known.state >= state);
        far.map(|known| known.family.clone()).collect()
    }

    pub(super) fn set(&mut self, family: &Family, state: State) {
        self.entry(family).state = state;
    }

    /// A command has prepared this family. Bans that it has, it keeps.
    pub(super) fn started(&mut self, family: &Family, command: Arc<Script>) {
        let known = self.entry(family);
        known.state = known.state.max(State::Started);
        known.start = Some(command);
    }

    /// Whether another family was prepared by the same command.
    pub(super) fn shares(&self, family: &Family, command: &Script) -> bool {
        let same = |known: &Known| known.start.as_deref() == Some(command);
        self.0
            .iter()
            .any(|known| known.family != *family && same(known))
    }

    /// A family is not started any more, and what prepared it is gone for all that rely
    /// on it: the command that was run, or else the one that would be.
    pub(super) fn lose(&mut self, family: &Family, command: Option<&Script>) {
        let mut known = self.0.iter_mut().filter(|known| known.family == *family);
        let own = known.next().and_then(|known| {
            known.state = State::No;
            known.start.take()
        });
        let Some(gone) = own.as_deref().or(command) else {
            return;
        };
        for known in &mut self.0 {
            known.start.take_if(|start| **start == *gone);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn entry(&mut self, family: &Family) -> &mut Known {
        let at = self.0.iter().position(|known| known.family == *family);
        let at = at.unwrap_or_else(|| {
            self.0.push(Known {
                family: family.clone(),
                state: State::No,
                start: None,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}
