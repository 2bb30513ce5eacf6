//! What the groups of the patterns captured from one line, or from all lines of a
//! session.

use std::sync::Arc;

use super::sight::Groups;
use crate::capture::Capture;
use crate::id::{FailId, Network};

/// The groups that say who failed, in order of precedence.
pub(super) const IDENTITY: [&str; 4] = ["fid", "ip4", "ip6", "dns"];

/// Groups that steer the filter and mean nothing to an action.
const INTERNAL: [&str; 2] = ["once", "repeat"];

/// A field's name and its value, if its group took part.
type Field = (Arc<str>, Option<Capture>);

/// Named values, in the order in which they first appeared. Groups that took no part
/// are remembered too: fail2ban shows them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields(Vec<Field>);

impl FromIterator<Field> for Fields {
    fn from_iter<T: IntoIterator<Item = Field>>(fields: T) -> Self {
        let fields = fields.into_iter();
        // What a session adds finds room.
        let mut all = Vec::with_capacity(fields.size_hint().1.unwrap_or(0) + 2);
        all.extend(fields);
        Self(all)
    }
}

impl Fields {
    /// The value of a field.
    pub(super) fn capture(&self, name: &str) -> Option<&Capture> {
        let found = self.0.iter().find(|(own, _)| **own == *name);
        found.and_then(|(_, value)| value.as_ref())
    }

    /// The text of a field.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.capture(name).and_then(Capture::text)
    }

    /// Whether a field has a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.capture(name).is_some()
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Capture> {
        let index = self.0.iter().position(|(own, _)| **own == *name)?;
        self.0.remove(index).1
    }

    /// Sets a field, in its old place if it has one.
    pub(super) fn set(&mut self, name: &Arc<str>, value: Capture) {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = Some(value),
            None => self.0.push((Arc::clone(name), Some(value))),
        }
    }

    /// These with the values of `other`, which win.
    pub(super) fn merged(&self, other: Self) -> Self {
        let mut both = Vec::with_capacity(self.0.len() + other.0.len() + 2);
        both.extend(self.0.iter().cloned());
        let mut both = Self(both);
        both.merge(other);
        both
    }

    /// Takes over the values of `other`, which win; groups that took no part change
    /// nothing.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, value) in other.0 {
            if let Some(value) = value {
                self.set(&name, value);
            }
        }
    }

    /// Whether it is known who failed.
    pub(super) fn identifies(&self) -> bool {
        IDENTITY.into_iter().any(|name| self.has(name))
    }

    /// Who failed, if it is known.
    pub(super) fn identity(&self) -> Option<FailId> {
        let name = IDENTITY.into_iter().find(|name| self.has(name))?;
        let text = match self.capture(name)? {
            Capture::Text(text) => text,
            tuple => return Some(FailId::Text(tuple.to_string())),
        };
        let id = FailId::parse(text);
        let prefix = self.text("cidr").and_then(|prefix| prefix.parse().ok());
        Some(match (&id, prefix) {
            (FailId::Address(address), Some(prefix)) if name != "fid" => {
                Network::new(*address, prefix).into()
            }
            _ => id,
        })
    }

    /// The name, where nothing but a name says who failed.
    pub(super) fn name(&self) -> Option<&str> {
        match IDENTITY.into_iter().find(|name| self.has(name)) {
            Some("dns") => self.text("dns"),
            _ => None,
        }
    }

    /// The address beside an id that is something else, for the actions.
    pub(super) fn address(&self) -> Option<&str> {
        self.capture("fid")?;
        let found = ["ip4", "ip6", "dns"]
            .into_iter()
            .find_map(|name| self.text(name))?;
        (self.text("fid") != Some(found)).then_some(found)
    }

    /// How many failures it stands for.
    pub(super) fn repeat(&self) -> u32 {
        let repeat = self.text("repeat").and_then(|n| n.parse().ok());
        repeat.unwrap_or(1)
    }

    /// What is kept of it: everything that took part and means something to an action.
    pub(super) fn into_kept(self) -> Vec<(Arc<str>, Capture)> {
        let kept = |(name, value): Field| {
            let value = value.filter(|_| !INTERNAL.contains(&&*name))?;
            Some((name, value))
        };
        let mut all = Vec::with_capacity(self.0.len() + 1);
        all.extend(self.0.into_iter().filter_map(kept));
        all
    }

    /// All of it, with the groups that took no part.
    pub(super) fn into_groups(self) -> Groups {
        self.0
    }
}
