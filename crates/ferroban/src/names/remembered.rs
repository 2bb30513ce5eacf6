//! What was found out, for a while.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values by their keys, so many of them and not for ever. The oldest leaves first.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    values: HashMap<K, (V, u64)>,
    /// The keys in the order in which their values came, oldest first, each with the
    /// number of that value: a key whose value came again stands here twice.
    order: VecDeque<(K, u64, Instant)>,
    most: usize,
    keep: Duration,
    next: u64,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    /// Remembers `most` values for the time `keep`.
    pub(crate) fn new(most: usize, keep: Duration) -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
            most,
            keep,
            next: 0,
        }
    }

    /// What is remembered of a key.
    pub(crate) fn get<Q>(&mut self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.leave(now);
        self.values.get(key).map(|(value, _)| value)
    }

    /// Remembers a value from now on.
    pub(crate) fn put(&mut self, key: K, value: V, now: Instant) {
        self.leave(now);
        if self.most == 0 {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.values.insert(key.clone(), (value, number));
        self.order.push_back((key, number, now));
        while self.order.len() > self.most {
            self.leave_first();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.order.clear();
    }

    /// Forgets what is too old.
    fn leave(&mut self, now: Instant) {
        while let Some((_, _, since)) = self.order.front()
            && now.saturating_duration_since(*since) >= self.keep
        {
            self.leave_first();
        }
    }

    fn leave_first(&mut self) {
        if let Some((key, number, _)) = self.order.pop_front()
            && self
                .values
                .get(&key)
                .is_some_and(|(_, last)| *last == number)
        {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::clock;

    fn second(start: Instant, number: u64) -> Instant {
        start + Duration::from_secs(number)
    }

    #[test]
    fn a_value_is_remembered_for_its_time_and_no_longer() {
        let start = clock::tick();
        let mut known = Remembered::new(10, Duration::from_secs(300));
        known.put("a", 1, start);
        for (at, expected) in [(0, Some(1)), (299, Some(1)), (300, None)] {
            let found = known.get("a", second(start, at)).copied();
            assert_eq!(found, expected, "after {at} s");
        }
        assert!(known.values.is_empty() && known.order.is_empty());
    }

    #[test]
    fn the_oldest_leaves_first() {
        let start = clock::tick();
        let mut known = Remembered::new(3, Duration::from_secs(300));
        for (at, key) in (0..).zip(["a", "b", "c", "d"]) {
            known.put(key, at, second(start, at));
        }
        let now = second(start, 4);
        let found = ["a", "b", "c", "d"].map(|key| known.get(key, now).copied());
        assert_eq!(found, [None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_value_that_came_again_is_young() {
        let start = clock::tick();
        let mut known = Remembered::new(10, Duration::from_secs(300));
        known.put("a", 1, start);
        known.put("a", 2, second(start, 200));
        assert_eq!(known.get("a", second(start, 400)), Some(&2));
        assert_eq!(known.get("a", second(start, 500)), None);
    }

    #[test]
    fn however_often_one_value_comes_the_memory_is_bounded() {
        let start = clock::tick();
        let mut known = Remembered::new(3, Duration::from_secs(300));
        for number in 0..100 {
            known.put("a", number, start);
        }
        assert_eq!(known.get("a", start), Some(&99));
        assert!(known.order.len() <= 3);
        let mut none = Remembered::new(0, Duration::from_secs(300));
        none.put("a", 1, start);
        assert_eq!(none.get("a", start), None);
    }
}
