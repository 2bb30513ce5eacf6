//! What the groups of the patterns captured from one line, or from all lines of a
//! session.

use super::sight::Groups;
use crate::capture::Capture;
use crate::id::{FailId, Network};
use crate::name::Name;

/// The groups that say who failed, in order of precedence.
pub(super) const IDENTITY: [Name; 4] = [Name::FID, Name::IP4, Name::IP6, Name::DNS];

/// Groups that steer the filter and mean nothing to an action.
const INTERNAL: [Name; 2] = [Name::ONCE, Name::REPEAT];

/// A field's name and its value, if its group took part.
type Field = (Name, Option<Capture>);

/// Named values, in the order in which they first appeared. Groups that took no part
/// are remembered too: fail2ban shows them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields {
    all: Vec<Field>,
    /// The bits of the usual names that are there,
    names: u32,
    /// and of those that have a value: most questions are about names that have none.
    values: u32,
}

impl Fields {
    /// Forgets all, and makes room for so many and what a session may add.
    pub(super) fn clear(&mut self, count: usize) {
        self.all.clear();
        self.all.reserve(count + 2);
        (self.names, self.values) = (0, 0);
    }

    /// Adds a field that is not there yet, with the text of its group if that took part.
    pub(super) fn push(&mut self, name: &Name, text: Option<&str>) {
        match text {
            Some(text) => self.push_value(name, text.into()),
            None => {
                self.names |= name.bit();
                self.all.push((name.clone(), None));
            }
        }
    }

    #[inline]
    fn push_value(&mut self, name: &Name, value: Capture) {
        self.names |= name.bit();
        self.values |= name.bit();
        self.all.push((name.clone(), Some(value)));
    }

    /// The value of a field.
    pub(super) fn capture(&self, name: &Name) -> Option<&Capture> {
        if !self.may_have(name) {
            return None;
        }
        let found = self.all.iter().find(|(own, _)| own == name);
        found.and_then(|(_, value)| value.as_ref())
    }

    #[inline]
    fn may_have(&self, name: &Name) -> bool {
        let bit = name.bit();
        bit == 0 || self.values & bit != 0
    }

    /// The text of a field.
    pub(super) fn text(&self, name: &Name) -> Option<&str> {
        self.capture(name).and_then(Capture::text)
    }

    /// Whether a field has a value.
    #[inline]
    pub(super) fn has(&self, name: &Name) -> bool {
        self.may_have(name) && (name.bit() != 0 || self.capture(name).is_some())
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &Name) -> Option<Capture> {
        let bit = name.bit();
        if bit != 0 && self.names & bit == 0 {
            return None;
        }
        let index = self.all.iter().position(|(own, _)| own == name)?;
        self.names &= !bit;
        self.values &= !bit;
        self.all.remove(index).1
    }

    /// Sets a field to a text, in its old place if it has one.
    #[inline]
    pub(super) fn set_text(&mut self, name: &Name, text: &str) {
        let bit = name.bit();
        match bit != 0 && self.names & bit == 0 {
            true => self.push_value(name, text.into()),
            false => self.set(name, text.into()),
        }
    }

    /// Sets a field, in its old place if it has one.
    pub(super) fn set(&mut self, name: &Name, value: Capture) {
        let bit = name.bit();
        if bit == 0 || self.names & bit != 0 {
            let mut all = self.all.iter_mut();
            if let Some((_, old)) = all.find(|(own, _)| own == name) {
                *old = Some(value);
                self.values |= bit;
                return;
            }
        }
        self.push_value(name, value);
    }

    /// Takes the values of `other`, which win; groups that took no part change nothing.
    pub(super) fn merge(&mut self, other: &mut Self) {
        (other.names, other.values) = (0, 0);
        for (name, value) in other.all.drain(..) {
            if let Some(value) = value {
                self.set(&name, value);
            }
        }
    }

    /// Whether it is known who failed.
    pub(super) fn identifies(&self) -> bool {
        IDENTITY.iter().any(|name| self.has(name))
    }

    /// Who failed, if it is known.
    pub(super) fn identity(&self) -> Option<FailId> {
        let name = IDENTITY.iter().find(|name| self.has(name))?;
        let text = match self.capture(name)? {
            Capture::Text(text) => text,
            tuple => return Some(FailId::Text(tuple.to_string())),
        };
        let id = FailId::parse(text);
        let prefix = self
            .text(&Name::CIDR)
            .and_then(|prefix| prefix.parse().ok());
        Some(match (&id, prefix) {
            (FailId::Address(address), Some(prefix)) if *name != Name::FID => {
                Network::new(*address, prefix).into()
            }
            _ => id,
        })
    }

    /// The name, where nothing but a name says who failed.
    pub(super) fn name(&self) -> Option<&str> {
        match IDENTITY.iter().find(|name| self.has(name)) {
            Some(&Name::DNS) => self.text(&Name::DNS),
            _ => None,
        }
    }

    /// The address beside an id that is something else, for the actions.
    pub(super) fn address(&self) -> Option<&str> {
        self.capture(&Name::FID)?;
        let found = [Name::IP4, Name::IP6, Name::DNS]
            .iter()
            .find_map(|name| self.text(name))?;
        (self.text(&Name::FID) != Some(found)).then_some(found)
    }

    /// How many failures it stands for.
    pub(super) fn repeat(&self) -> u32 {
        let repeat = self.text(&Name::REPEAT).and_then(|n| n.parse().ok());
        repeat.unwrap_or(1)
    }

    /// What is kept of it: everything that took part and means something to an action.
    pub(super) fn into_kept(self) -> Vec<(Name, Capture)> {
        let kept = |(name, value): Field| {
            let value = value.filter(|_| !INTERNAL.contains(&name))?;
            Some((name, value))
        };
        self.all.into_iter().filter_map(kept).collect()
    }

    /// All of it, with the groups that took no part.
    pub(super) fn into_groups(self) -> Groups {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is done with fields.
    #[derive(Clone, Debug)]
    enum Step {
        Set(&'static str, &'static str),
        Take(&'static str),
        Merge(Vec<(&'static str, Option<&'static str>)>),
    }

    fn name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "fid", "ip4", "user", "nofail", "mlfid", "conn", "other",
        ])
    }

    fn value() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["", "x", "192.0.2.7"])
    }

    fn step() -> impl Strategy<Value = Step> {
        let pairs = prop::collection::btree_map(name(), prop::option::of(value()), 0..4);
        prop_oneof![
            (name(), value()).prop_map(|(name, value)| Step::Set(name, value)),
            name().prop_map(Step::Take),
            pairs.prop_map(|pairs| Step::Merge(pairs.into_iter().collect())),
        ]
    }

    fn of(pairs: &[(&str, Option<&str>)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.push(&Name::from(*name), *value);
        }
        fields
    }

    proptest! {
        #[test]
        fn names_known_by_number_are_kept_as_others_are(
            first in prop::collection::btree_map(name(), prop::option::of(value()), 0..5),
            steps in prop::collection::vec(step(), 0..12),
        ) {
            let mut plain: Vec<(&str, Option<&str>)> = first.into_iter().collect();
            let mut fields = of(&plain);
            let set = |plain: &mut Vec<(&'static str, Option<&'static str>)>, name, value| {
                match plain.iter_mut().find(|(own, _)| *own == name) {
                    Some((_, old)) => *old = Some(value),
                    None => plain.push((name, Some(value))),
                }
            };
            let mut plain: Vec<(&'static str, Option<&'static str>)> = std::mem::take(&mut plain);
            for step in steps {
                match step {
                    Step::Set(name, value) => {
                        fields.set_text(&Name::from(name), value);
                        set(&mut plain, name, value);
                    }
                    Step::Take(name) => {
                        let place = plain.iter().position(|(own, _)| *own == name);
                        let taken = place.and_then(|place| plain.remove(place).1);
                        prop_assert_eq!(fields.take(&Name::from(name)), taken.map(Capture::from));
                    }
                    Step::Merge(pairs) => {
                        fields.merge(&mut of(&pairs));
                        for (name, value) in pairs {
                            if let Some(value) = value {
                                set(&mut plain, name, value);
                            }
                        }
                    }
                }
                for (name, value) in &plain {
                    let name = Name::from(*name);
                    prop_assert_eq!(fields.text(&name), *value);
                    prop_assert_eq!(fields.has(&name), value.is_some());
                }
                prop_assert_eq!(&fields, &of(&plain));
            }
        }
    }
}
