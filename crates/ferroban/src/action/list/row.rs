//! Bans that are carried out one after the other, and what can be done for many of them at
//! once.

use std::collections::BTreeMap;

use ferroban_engine::Ban;

/// Bans in their order, for all actions of a jail or for some.
pub(crate) struct Row<'a> {
    bans: Vec<&'a Ban>,
    /// The actions, by their places; nothing is all.
    places: Option<Vec<usize>>,
    /// Whose turn it is.
    next: usize,
    /// What was done before its turn, by action; the first ban has its turn before that.
    ahead: BTreeMap<usize, Vec<bool>>,
}

impl<'a> Row<'a> {
    /// A row for all actions.
    pub(crate) fn new(bans: impl IntoIterator<Item = &'a Ban>) -> Self {
        Self {
            bans: bans.into_iter().collect(),
            places: None,
            next: 0,
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

    /// The bans whose turn has not come.
    pub(super) fn rest(&self) -> &[&'a Ban] {
        self.bans.get(self.next..).unwrap_or_default()
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
        let done = self.ahead.get(&place);
        let number = self.next.checked_sub(1);
        number.is_some_and(|number| done.is_some_and(|done| done.get(number) == Some(&true)))
    }

    /// Goes on to the next ban. Tells whether now is the time to look ahead: behind the first
    /// one, which prepares what others need.
    pub(super) fn go_on(&mut self) -> bool {
        self.next += 1;
        self.next == 1 && !self.rest().is_empty()
    }

    /// An action has done those that follow, or not.
    pub(super) fn set_done(&mut self, place: usize, done: Vec<bool>) {
        self.ahead.insert(place, done);
    }
}
