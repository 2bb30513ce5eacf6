//! The stock patterns of an installed fail2ban, filter by filter.

use super::stock::{Pattern, ask, pattern};
use crate::{Flags, Regex};

/// The patterns of one filter with certain options, its prefregex first.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) filter: String,
    /// As JSON.
    pub(super) options: String,
    pub(super) patterns: Vec<Pattern>,
}

/// All sets of stock patterns.
pub(super) fn sets() -> Option<Vec<Set>> {
    let mut sets: Vec<Set> = Vec::new();
    for line in ask(&["patterns"])?.lines() {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        match (words.next()?.as_str(), sets.last_mut()) {
            ("S", _) => sets.push(Set {
                filter: words.next()?,
                options: words.next()?,
                patterns: Vec::new(),
            }),
            (_, Some(set)) => set.patterns.push(pattern(line.get(2..)?)),
            _ => return None,
        }
    }
    Some(sets)
}

/// A stock pattern, compiled.
pub(super) fn regex(pattern: &Pattern) -> Regex {
    let flags = Flags {
        multi_line: pattern.multi_line,
        ..Flags::default()
    };
    Regex::new(&pattern.text, flags).unwrap()
}

/// All stock patterns, each once.
pub(super) fn different() -> Vec<Pattern> {
    let mut different: Vec<Pattern> = Vec::new();
    for pattern in sets()
        .unwrap_or_default()
        .into_iter()
        .flat_map(|set| set.patterns)
    {
        if !different.contains(&pattern) {
            different.push(pattern);
        }
    }
    different
}
