//! Sets of characters: what one step of a match may consume.
//!
//! ASCII is a table of answers. Beyond ASCII a set keeps its own ranges and points to the shared
//! Unicode tables, so that thousands of `\w` cost no memory of their own.

use crate::ast::{Case, Item};
use crate::first::ByteSet;
use crate::unicode::{self, Kind, within};

/// A set of characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Set {
    ascii: [bool; 128],
    /// The bytes its members can begin with.
    leads: ByteSet,
    /// Sorted, apart, all beyond ASCII.
    ranges: Vec<(u32, u32)>,
    /// Kinds the set has as a whole, or (true) the opposites of kinds.
    kinds: Vec<(Kind, bool)>,
    negated: bool,
    all_but_newline: bool,
}

impl Set {
    /// The set that a class of these items means.
    pub(crate) fn new(items: &[Item], negated: bool, case: Case) -> Self {
        let mut ranges = Vec::new();
        let mut kinds = Vec::new();
        for item in items {
            match *item {
                Item::Range(first, last) => add_range(&mut ranges, (first, last), case),
                Item::Kind {
                    kind,
                    negated,
                    ascii: false,
                } => kinds.push((kind, negated)),
                Item::Kind {
                    kind,
                    negated: false,
                    ascii: true,
                } => {
                    ranges.extend_from_slice(kind.ascii_ranges());
                }
                Item::Kind {
                    kind,
                    negated: true,
                    ascii: true,
                } => {
                    ranges.extend(gaps(kind.ascii_ranges()));
                }
            }
        }
        let ranges = merged(ranges);
        let mut set = Self {
            ascii: [false; 128],
            leads: ByteSet::NONE,
            ranges,
            kinds,
            negated,
            all_but_newline: false,
        };
        let mut ascii = [false; 128];
        for (code, answer) in (0..).zip(&mut ascii) {
            *answer = set.holds(code);
        }
        set.ascii = ascii;
        set.ranges.retain_mut(|range| {
            range.0 = range.0.max(128);
            range.0 <= range.1
        });
        set.find_leads();
        set.all_but_newline = set.lacks_only_newline();
        set
    }

    /// Whether the set holds this ASCII byte; false for any other byte.
    #[inline]
    pub(crate) fn has_ascii(&self, byte: u8) -> bool {
        self.ascii.get(usize::from(byte)).copied().unwrap_or(false)
    }

    /// Whether the set holds a character beyond ASCII.
    pub(crate) fn has_wide(&self, code: u32) -> bool {
        self.holds(code)
    }

    fn find_leads(&mut self) {
        let wide = self.negated || !self.ranges.is_empty() || !self.kinds.is_empty();
        for byte in 0..=u8::MAX {
            if self.has_ascii(byte) || (wide && byte >= 128) {
                self.leads.insert(byte);
            }
        }
    }

    /// The bytes a member can begin with; it may be too many.
    pub(crate) fn leads(&self) -> ByteSet {
        self.leads
    }

    /// Whether the set is everything but the newline.
    #[inline]
    pub(crate) fn is_all_but_newline(&self) -> bool {
        self.all_but_newline
    }

    fn lacks_only_newline(&self) -> bool {
        self.negated
            && self.ranges.is_empty()
            && self.kinds.is_empty()
            && (0..)
                .zip(&self.ascii)
                .all(|(code, has): (u8, &bool)| *has == (code != b'\n'))
    }

    fn holds(&self, code: u32) -> bool {
        let inside = within(&self.ranges, code)
            || self
                .kinds
                .iter()
                .any(|&(kind, opposite)| kind.has(code) != opposite);
        inside != self.negated
    }
}

/// Adds a range, and under IGNORECASE all variants of its members.
fn add_range(ranges: &mut Vec<(u32, u32)>, (first, last): (u32, u32), case: Case) {
    ranges.push((first, last));
    let variants = match case {
        Case::Exact => return,
        Case::Folded => unicode::variants,
        Case::FoldedAscii => unicode::variants_ascii,
    };
    let mut add = |code| ranges.extend(variants(code).into_iter().map(|other| (other, other)));
    if last - first < 1000 {
        (first..=last).for_each(add);
    } else {
        unicode::cased()
            .filter(|code| (first..=last).contains(code))
            .for_each(&mut add);
    }
}

/// What sorted ranges leave out.
fn gaps(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut next = 0;
    let mut gaps = Vec::with_capacity(ranges.len() + 1);
    for &(first, last) in ranges {
        if next < first {
            gaps.push((next, first - 1));
        }
        next = last + 1;
    }
    gaps.push((next, u32::from(char::MAX)));
    gaps
}

/// The same ranges sorted and joined where they touch.
fn merged(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(previous) if first <= previous.1.saturating_add(1) => {
                previous.1 = previous.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(set: &Set, c: char) -> bool {
        u8::try_from(c)
            .ok()
            .filter(u8::is_ascii)
            .map_or_else(|| set.has_wide(u32::from(c)), |byte| set.has_ascii(byte))
    }

    #[test]
    fn negation_and_kinds_hold_on_both_sides_of_ascii() {
        let word = Item::Kind {
            kind: Kind::Word,
            negated: false,
            ascii: false,
        };
        let cases = [
            // items, negated, member, not a member
            (vec![word], false, "aé_²", " \u{301}-"),
            (vec![word], true, " \u{301}-", "aé_"),
            (vec![Item::Range(0x61, 0x7a)], false, "az", "A{é"),
            (vec![Item::Range(0x61, 0x7a)], true, "A{é", "az"),
            (
                vec![Item::Kind {
                    kind: Kind::Word,
                    negated: true,
                    ascii: true,
                }],
                false,
                "é ",
                "a_",
            ),
        ];
        for (items, negated, inside, outside) in cases {
            let set = Set::new(&items, negated, Case::Exact);
            assert!(
                inside.chars().all(|c| has(&set, c)),
                "{items:?} {negated} holds {inside}"
            );
            assert!(
                !outside.chars().any(|c| has(&set, c)),
                "{items:?} {negated} lacks {outside}"
            );
        }
    }

    #[test]
    fn a_long_folded_range_gains_the_variants_of_its_members() {
        let set = Set::new(&[Item::Range(0x100, 0xffff)], false, Case::Folded);
        for (c, expected) in [
            ('k', true),
            ('s', true),
            ('i', true),
            ('b', false),
            ('Ω', true),
        ] {
            assert_eq!(has(&set, c), expected, "{c}");
        }
    }
}
