//! A map that remembers in which order its names came.
//!
//! The order of jails and of action properties is the order of the files, and other
//! programs see it.

use std::collections::HashMap;

use crate::Value;

/// Option names and their values, in order.
pub type Options = Ordered<Value>;

/// Names and what they stand for, in the order in which the names came first.
///
/// ```
/// let mut ports = ferroban_config::Ordered::new();
/// ports.insert("ssh", 2222);
/// ports.insert("http", 80);
/// assert_eq!(ports.insert("ssh", 22), Some(2222));
/// assert_eq!(ports.iter().collect::<Vec<_>>(), [("ssh", &22), ("http", &80)]);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ordered<V> {
    entries: Vec<(String, V)>,
    /// Where each name is; empty as long as looking through the few names is quicker.
    index: HashMap<String, usize>,
}

/// How many names are looked through one by one.
const FEW: usize = 16;

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Ordered<V> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Sets `name` and gives back what it stood for. A known name keeps its turn.
    pub fn insert(&mut self, name: impl Into<String>, value: V) -> Option<V> {
        let name = name.into();
        if let Some(old) = self.get_mut(&name) {
            return Some(std::mem::replace(old, value));
        }
        self.push(name, value);
        None
    }

    /// Adds a name that is not there yet.
    fn push(&mut self, name: String, value: V) {
        let count = self.entries.len();
        if count == FEW {
            let names = self.entries.iter().map(|(name, _)| name.clone());
            self.index = names.zip(0..).collect();
        }
        if count >= FEW {
            self.index.insert(name.clone(), count);
        }
        self.entries.push((name, value));
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.entries.len() > FEW {
            return self.index.get(name).copied();
        }
        self.entries.iter().position(|(own, _)| own == name)
    }

    /// What `name` stands for. The name is taken as written: no lower-casing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        let (_, value) = self.entries.get(self.position(name)?)?;
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let at = self.position(name)?;
        let (_, value) = self.entries.get_mut(at)?;
        Some(value)
    }

    /// What `name` stands for, after making it the default if it was unknown.
    pub(crate) fn entry(&mut self, name: &str) -> &mut V
    where
        V: Default,
    {
        let at = self.position(name).unwrap_or_else(|| {
            self.push(name.to_owned(), V::default());
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &V)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<V> IntoIterator for Ordered<V> {
    type Item = (String, V);
    type IntoIter = std::vec::IntoIter<(String, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<N: Into<String>, V> FromIterator<(N, V)> for Ordered<V> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all = Self::new();
        for (name, value) in pairs {
            all.insert(name, value);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_and_many_are_found_alike() {
        let mut all = Ordered::new();
        for n in 0..3 * FEW {
            assert_eq!(all.insert(format!("n{n}"), n), None);
            *all.entry(&format!("n{}", n / 2)) += 100;
            assert_eq!(all.get(&format!("n{n}")).map(|own| own % 100), Some(n));
            assert_eq!(all.get("n999"), None);
        }
        assert_eq!(all.insert("n20", 7), Some(220));
        assert_eq!(all.names().nth(20), Some("n20"));
        assert_eq!(all.len(), 3 * FEW);
    }
}
