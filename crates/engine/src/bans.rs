//! Who is banned in one jail, and until when.
//!
//! A ban enters once and leaves once: when its time is up, or when somebody lifts
//! it. [`Bans`] answers the two questions its jail asks, *is this id banned?* and
//! *whose time is up?*, and reads no clock to do so: the caller passes `now`.
//!
//! Nothing here touches the firewall. The jail turns what leaves this module into
//! [`Effect`](crate::Effect)s, and the daemon carries those out.

use std::collections::{BTreeMap, HashMap};

use ferroban_date::Timestamp;

use crate::ban::{Ban, BanTime};
use crate::id::FailId;

/// The bans of one jail, in the order they were made.
#[derive(Debug, Default)]
pub struct Bans {
    by_id: HashMap<FailId, u64>,
    by_order: BTreeMap<u64, Held>,
    by_end: BTreeMap<(Timestamp, u64), ()>,
    next: u64,
    /// Bytes of text in all tickets.
    text: usize,
}

/// A ban and whether the firewall is known to hold it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The ban.
    pub ban: Ban,
    /// Whether its time is its own, rather than the jail's.
    pub own_time: bool,
    /// Whether the action reported success.
    pub applied: bool,
    /// How many times in a row the action has failed.
    pub failed: u32,
    /// When it is tried again.
    pub retry: Option<Timestamp>,
}

/// The most text of matched lines that the bans of one jail keep, in bytes; what is
/// beyond it is in the database alone. As for failures, the attacker writes it.
pub const MAX_TEXT: usize = crate::failures::MAX_TEXT;

impl Bans {
    /// Adds a ban. An id that is banned already keeps its place; see [`extend`](Self::extend).
    /// Whether there was too much text to keep all of its ticket is the answer.
    pub fn add(&mut self, mut ban: Ban) -> bool {
        if self.by_id.contains_key(&ban.id) {
            return false;
        }
        let shortened = ban.ticket.fit(self.text, MAX_TEXT);
        self.text += ban.ticket.text_len();
        let order = self.next;
        self.next += 1;
        self.by_id.insert(ban.id.clone(), order);
        self.by_end.insert((ban.end(), order), ());
        self.by_order.insert(
            order,
            Held {
                own_time: ban.restored,
                ban,
                applied: false,
                failed: 0,
                retry: None,
            },
        );
        shortened
    }

    /// The ban of this very id.
    #[must_use]
    pub fn get(&self, id: &FailId) -> Option<&Held> {
        self.by_order.get(self.by_id.get(id)?)
    }

    /// The ban of this very id, to note how its action went.
    pub fn get_mut(&mut self, id: &FailId) -> Option<&mut Held> {
        self.by_order.get_mut(self.by_id.get(id)?)
    }

    /// Lets a ban last until `bantime` after `time` if that is later than now
    /// planned; its start stays. Whether anything changed is the answer.
    pub fn extend(&mut self, id: &FailId, time: Timestamp, bantime: BanTime) -> bool {
        let Some(&order) = self.by_id.get(id) else {
            return false;
        };
        let Some(held) = self.by_order.get_mut(&order) else {
            return false;
        };
        let old = held.ban.end();
        let longer = match bantime {
            BanTime::Forever => BanTime::Forever,
            BanTime::For(secs) => {
                BanTime::from_secs((i64::from(secs) + time.secs() - held.ban.time.secs()).max(0))
            }
        };
        if longer.end(held.ban.time) <= old {
            return false;
        }
        held.ban.bantime = longer;
        held.own_time = true;
        self.by_end.remove(&(old, order));
        self.by_end.insert((held.ban.end(), order), ());
        true
    }

    /// The jail bans for another time now, and so do those of its bans that have no time
    /// of their own. Returns them.
    pub fn follow(&mut self, bantime: BanTime) -> Vec<FailId> {
        let mut changed = Vec::new();
        for (order, held) in &mut self.by_order {
            if held.own_time || held.ban.bantime == bantime {
                continue;
            }
            self.by_end.remove(&(held.ban.end(), *order));
            held.ban.bantime = bantime;
            self.by_end.insert((held.ban.end(), *order), ());
            changed.push(held.ban.id.clone());
        }
        changed
    }

    /// Takes a ban out.
    pub fn remove(&mut self, id: &FailId) -> Option<Ban> {
        let order = self.by_id.remove(id)?;
        let held = self.by_order.remove(&order)?;
        self.by_end.remove(&(held.ban.end(), order));
        self.text -= held.ban.ticket.text_len();
        Some(held.ban)
    }

    /// Takes out every ban whose end lies before `now`, in the order they were made.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Ban> {
        let mut due: Vec<u64> = self
            .by_end
            .range(..(now, 0))
            .map(|((_, order), ())| *order)
            .collect();
        due.sort_unstable();
        due.iter()
            .filter_map(|order| self.by_order.get(order).map(|held| held.ban.id.clone()))
            .collect::<Vec<_>>()
            .iter()
            .filter_map(|id| self.remove(id))
            .collect()
    }

    /// The first instant at which [`take_due`](Self::take_due) gives something: a
    /// microsecond past the earliest end. A ban for ever is never waited for.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let ((end, _), ()) = self.by_end.first_key_value()?;
        (*end < Timestamp::MAX).then(|| Timestamp::from_micros(end.micros() + 1))
    }

    /// All bans in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.by_order.values()
    }

    /// All bans, the one that ends first at the front.
    pub fn by_end(&self) -> impl Iterator<Item = &Held> {
        self.by_end
            .keys()
            .filter_map(|(_, order)| self.by_order.get(order))
    }

    /// The banned ids that `id` is or contains, in the order they were made.
    #[must_use]
    pub fn covered_by(&self, id: &FailId) -> Vec<FailId> {
        if self.by_id.contains_key(id) {
            return vec![id.clone()];
        }
        match id {
            FailId::Network(_) => self
                .iter()
                .map(|held| &held.ban.id)
                .filter(|own| id.covers(own))
                .cloned()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// How many ids are banned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_order.len()
    }

    /// Whether nobody is banned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::{Match, Ticket};

    fn ban(text: &str, time: i64, bantime: BanTime) -> Ban {
        Ban {
            id: FailId::parse(text),
            time: Timestamp::from_secs(time),
            bantime,
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        }
    }

    fn ids(bans: &[Ban]) -> Vec<String> {
        bans.iter().map(|ban| ban.id.to_string()).collect()
    }

    #[test]
    fn bans_leave_strictly_after_their_end_in_the_order_they_were_made() {
        let mut bans = Bans::default();
        bans.add(ban("192.0.2.1", 0, BanTime::For(100)));
        bans.add(ban("192.0.2.2", 0, BanTime::For(50)));
        bans.add(ban("192.0.2.3", 0, BanTime::Forever));
        assert_eq!(bans.next_due(), Some(Timestamp::from_micros(50_000_001)));
        assert!(bans.take_due(Timestamp::from_secs(50)).is_empty());
        assert_eq!(
            ids(&bans.take_due(Timestamp::from_secs(101))),
            ["192.0.2.1", "192.0.2.2"]
        );
        assert_eq!(bans.next_due(), None);
        assert_eq!(bans.len(), 1);
    }

    #[test]
    fn extending_moves_the_end_and_keeps_the_start() {
        let mut bans = Bans::default();
        bans.add(ban("192.0.2.1", 0, BanTime::For(100)));
        let id = FailId::parse("192.0.2.1");
        assert!(!bans.extend(&id, Timestamp::from_secs(0), BanTime::For(90)));
        assert!(bans.extend(&id, Timestamp::from_secs(30), BanTime::For(100)));
        assert_eq!(bans.get(&id).unwrap().ban.bantime, BanTime::For(130));
        assert!(bans.take_due(Timestamp::from_secs(101)).is_empty());
        assert!(bans.extend(&id, Timestamp::from_secs(30), BanTime::Forever));
        assert_eq!(bans.next_due(), None);
    }

    #[test]
    fn bans_without_a_time_of_their_own_follow_the_jail() {
        let mut bans = Bans::default();
        bans.add(ban("192.0.2.1", 0, BanTime::Forever));
        bans.add(Ban {
            restored: true,
            ..ban("192.0.2.2", 0, BanTime::Forever)
        });
        let first = FailId::parse("192.0.2.1");
        assert_eq!(bans.follow(BanTime::For(600)), [first]);
        assert_eq!(bans.follow(BanTime::For(600)), []);
        assert_eq!(bans.next_due(), Some(Timestamp::from_micros(600_000_001)));
    }

    #[test]
    fn what_falls_into_the_same_second_is_no_longer_ban() {
        let mut bans = Bans::default();
        bans.add(ban("192.0.2.1", 0, BanTime::For(100)));
        let id = FailId::parse("192.0.2.1");
        let later = Timestamp::from_micros(900_000);
        assert!(!bans.extend(&id, later, BanTime::For(100)));
        assert!(bans.extend(&id, Timestamp::from_secs(1), BanTime::For(100)));
    }

    #[test]
    fn the_text_of_all_bans_together_is_bounded() {
        let mut bans = Bans::default();
        let line = Match::new("", "", &"x".repeat(8 << 10));
        let all = MAX_TEXT / line.after.len();
        let long = |number: usize| Ban {
            ticket: Ticket {
                failures: 5,
                matches: vec![line.clone()],
                captures: Vec::new(),
            },
            ..ban(
                &format!("10.0.{}.{}", number >> 8, number & 255),
                0,
                BanTime::For(9),
            )
        };
        for number in 0..=all {
            bans.add(long(number));
        }
        let lines = |bans: &Bans, number: usize| {
            let ticket = &bans.get(&long(number).id).unwrap().ban.ticket;
            (ticket.failures, ticket.matches.len())
        };
        assert_eq!((lines(&bans, 0), lines(&bans, all)), ((5, 1), (5, 0)));
        bans.remove(&long(0).id);
        bans.add(long(all + 1));
        assert_eq!(lines(&bans, all + 1), (5, 1), "there is room again");
    }

    #[test]
    fn a_network_names_the_bans_inside_it() {
        let mut bans = Bans::default();
        for text in ["192.0.2.9", "198.51.100.1", "192.0.2.1"] {
            bans.add(ban(text, 0, BanTime::For(1)));
        }
        let inside = bans.covered_by(&FailId::parse("192.0.2.0/24"));
        assert_eq!(
            inside,
            [FailId::parse("192.0.2.9"), FailId::parse("192.0.2.1")]
        );
        assert!(bans.covered_by(&FailId::parse("203.0.113.1")).is_empty());
    }
}
