//! Bans that are carried out one after the other, and what can be done for many of them at
//! once.

use std::collections::BTreeMap;

use ferroban_engine::{Ban, FailId};

/// Bans in their order, for all actions of a jail or for some.
pub(crate) struct Row<'a> {
    bans: Vec<&'a Ban>,
    /// The actions, by their places; nothing is all.
    places: Option<Vec<usize>>,
    /// Whose turn it is.
    next: usize,
    /// How many turns had something left to do.
    single: usize,
    /// For which bans an action has done its part before their turn.
    ahead: BTreeMap<usize, Vec<bool>>,
}

impl<'a> Row<'a> {
    /// A row for all actions.
    pub(crate) fn new(bans: impl IntoIterator<Item = &'a Ban>) -> Self {
        Self {
            bans: bans.into_iter().collect(),
            places: None,
            next: 0,
            single: 0,
            ahead: BTreeMap::new(),
        }
    }

    /// A row for the actions at these places alone.
    pub(super) fn among(bans: &'a [Ban], places: Vec<usize>) -> Self {
        let mut row = Self::new(bans);
        row.places = Some(places);
        row
    }

    /// Leaves out the ban whose turn it is. Tells whether an action has done it already.
    pub(crate) fn skip(&mut self) -> bool {
        let has_begun = self.ahead.keys().any(|place| self.is_done(*place));
        self.next += 1;
        has_begun
    }

    /// The ban whose turn it is.
    pub(super) fn ban(&self) -> Option<&'a Ban> {
        self.bans.get(self.next).copied()
    }

    /// The places of the actions, of which there are `count` in all.
    pub(super) fn places(&self, count: usize) -> Vec<usize> {
        self.places.clone().unwrap_or_else(|| (0..count).collect())
    }

    /// Whether an action has done the ban already whose turn it is.
    pub(super) fn is_done(&self, place: usize) -> bool {
        self.has_done(place, self.next)
    }

    fn has_done(&self, place: usize, number: usize) -> bool {
        let done = self.ahead.get(&place);
        done.is_some_and(|done| done.get(number) == Some(&true))
    }

    /// Goes on to the next ban; `single` says that something was left to do for this one. Tells
    /// whether now is the time to look ahead: behind the first one, which prepares what others
    /// need, and again behind the second, the fourth and so on, as what one of them needs may
    /// have been prepared by another.
    pub(super) fn go_on(&mut self, single: bool) -> bool {
        self.next += 1;
        self.single += usize::from(single);
        single && self.single.is_power_of_two() && self.next < self.bans.len()
    }

    /// The numbers of the bans whose turn has not come.
    pub(super) fn rest(&self) -> Vec<usize> {
        (self.next..self.bans.len()).collect()
    }

    /// Who the bans of some numbers are about.
    pub(super) fn ids<'b>(&'b self, numbers: &'b [usize]) -> impl Iterator<Item = &'a FailId> + 'b {
        let bans = numbers.iter().filter_map(|number| self.bans.get(*number));
        bans.map(|ban| &ban.id)
    }

    /// Has an action do its part for those of some bans for which it has not; `many` tells for
    /// which it did, or that it never can. Keeps of the bans those for which it is done.
    pub(super) fn do_ahead(
        &mut self,
        place: usize,
        numbers: &mut Vec<usize>,
        many: impl FnOnce(&[&'a Ban]) -> Option<Vec<bool>>,
    ) {
        let open = numbers.iter().copied();
        let open: Vec<usize> = open
            .filter(|number| !self.has_done(place, *number))
            .collect();
        let bans = open.iter().filter_map(|number| self.bans.get(*number));
        let bans: Vec<&Ban> = bans.copied().collect();
        if !bans.is_empty()
            && let Some(results) = many(&bans)
        {
            let count = self.bans.len();
            let done = self
                .ahead
                .entry(place)
                .or_insert_with(|| vec![false; count]);
            for (number, result) in open.into_iter().zip(results) {
                if let Some(done) = done.get_mut(number) {
                    *done = result;
                }
            }
        }
        numbers.retain(|number| self.has_done(place, *number));
    }
}
