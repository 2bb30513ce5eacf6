//! One compiled pattern, and what it captures.

use std::fmt;

use ferroban_regex::{Exhausted, Flags, Regex};

use super::tags;
use crate::id::{FailId, Network};

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterError {
    /// An empty pattern.
    Empty,
    /// A pattern that does not compile; tags are already expanded.
    Broken {
        /// The pattern as compiled.
        pattern: String,
        /// Where and why.
        source: ferroban_regex::Error,
    },
    /// A failregex that captures nobody.
    NoIdentity {
        /// The pattern as compiled.
        pattern: String,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Cannot add empty regex"),
            Self::Broken { pattern, .. } => {
                write!(f, "Unable to compile regular expression '{pattern}'")
            }
            Self::NoIdentity { pattern } => write!(f, "No failure-id group in '{pattern}'"),
        }
    }
}

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source),
            Self::Empty | Self::NoIdentity { .. } => None,
        }
    }
}

/// The groups that say who failed, in order of precedence.
const IDENTITY: [&str; 4] = ["fid", "ip4", "ip6", "dns"];

/// Groups that steer the filter and mean nothing to an action.
const INTERNAL: [&str; 5] = ["content", "once", "repeat", "nofail", "cidr"];

/// The longest captured value that is kept, in bytes; the rest is cut. Sessions,
/// tickets and the database hold many of them, and the attacker chooses how long.
const VALUE_LIMIT: usize = 4 * 1024;

/// A pattern with `<HOST>` and `<F-…>` tags, compiled.
#[derive(Clone, Debug)]
pub(super) struct FailRegex {
    regex: Regex,
    /// Group names with their numbers, in the order of the groups.
    names: Vec<(String, usize)>,
}

impl FailRegex {
    pub(super) fn new(pattern: &str) -> Result<Self, FilterError> {
        if pattern.is_empty() {
            return Err(FilterError::Empty);
        }
        let expanded = tags::expand(pattern, true);
        let regex =
            Regex::new(&expanded, Flags::default()).map_err(|source| FilterError::Broken {
                pattern: expanded,
                source,
            })?;
        let names = regex
            .group_names()
            .map(|(name, index)| (name.to_owned(), index))
            .collect();
        Ok(Self { regex, names })
    }

    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    pub(super) fn search(&self, text: &str) -> Result<Option<Fields>, Exhausted> {
        let Some(captures) = self.regex.search(text)? else {
            return Ok(None);
        };
        let named = |(name, index): &(String, usize)| {
            let value = captures.get(*index)?;
            // The content is what the other patterns see; it must be whole.
            let limit = if name == "content" {
                value.len()
            } else {
                VALUE_LIMIT
            };
            let kept = value.get(..value.floor_char_boundary(limit))?;
            Some((name.clone(), kept.to_owned()))
        };
        Ok(Some(Fields(self.names.iter().filter_map(named).collect())))
    }

    fn identifies(&self) -> bool {
        self.names
            .iter()
            .any(|(name, _)| name == "mlfid" || IDENTITY.contains(&name.as_str()))
    }
}

/// Every failregex must be able to say whose failure it is, by itself or through
/// the prefix.
pub(super) fn check_identifies(
    prefix: Option<&FailRegex>,
    failures: &[FailRegex],
) -> Result<(), FilterError> {
    if prefix.is_some_and(FailRegex::identifies) {
        return Ok(());
    }
    match failures.iter().find(|regex| !regex.identifies()) {
        Some(regex) => Err(FilterError::NoIdentity {
            pattern: regex.as_str().to_owned(),
        }),
        None => Ok(()),
    }
}

/// Named captures, in the order they appeared.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(index).1)
    }

    /// Takes over all of `other`, whose values win.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, value) in other.0 {
            match self.0.iter_mut().find(|(own, _)| *own == name) {
                Some((_, old)) => *old = value,
                None => self.0.push((name, value)),
            }
        }
    }

    /// Who failed, if it is known.
    pub(super) fn identity(&self) -> Option<FailId> {
        let text = IDENTITY.iter().find_map(|name| self.get(name))?;
        let id = FailId::parse(text);
        let prefix = self.get("cidr").and_then(|prefix| prefix.parse().ok());
        Some(match (&id, prefix) {
            (FailId::Address(address), Some(prefix)) if !self.has("fid") => {
                Network::new(*address, prefix).into()
            }
            _ => id,
        })
    }

    pub(super) fn drop_internal(&mut self) {
        self.0
            .retain(|(name, _)| !INTERNAL.contains(&name.as_str()));
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}
