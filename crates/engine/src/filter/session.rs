//! What earlier lines of the same connection said.
//!
//! A daemon often names the address in one line and the failure in another. The
//! lines of one connection share the text captured by `<F-MLFID>`, mostly the
//! process id. The rules are fail2ban's, with one addition: a line matched by
//! `<F-ONCE>` counts only if its session has not counted a failure before.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ferroban_date::Timestamp;
use smol_str::SmolStr;

use super::fields::Fields;
use super::marks::Marks;
use super::sight::Depth;
use crate::ban::Match;
use crate::capture::Capture;
use crate::id::FailId;
use crate::name::Name;

/// How many sessions are remembered; the oldest leaves first.
const MAX_SESSIONS: usize = 100;

/// How long a session is remembered, in seconds from its first line.
const LIFETIME: i64 = 300;

/// How many lines one session keeps for a later failure.
const MAX_LINES: usize = 20;

/// How many users of one session are remembered.
const MAX_USERS: usize = 20;

/// What a matched line amounts to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict<'a> {
    /// A failure, with everything its session knows.
    Failure {
        fields: Cow<'a, Fields>,
        matches: Vec<Match>,
    },
    /// No failure, but whose it would be is perhaps known, and wanted.
    Harmless(Option<FailId>),
    /// A failure, but nobody knows yet whose.
    Pending,
}

impl Verdict<'_> {
    /// The same, without what its session keeps.
    fn into_owned(self) -> Verdict<'static> {
        match self {
            Verdict::Failure { fields, matches } => Verdict::Failure {
                fields: Cow::Owned(fields.into_owned()),
                matches,
            },
            Verdict::Harmless(id) => Verdict::Harmless(id),
            Verdict::Pending => Verdict::Pending,
        }
    }
}

/// The sessions of one filter.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// They are few, so keys that were made to be found in one place cost little.
    by_key: HashMap<SmolStr, Session, foldhash::fast::RandomState>,
    /// The keys of all, and when each began.
    oldest_first: VecDeque<(SmolStr, Timestamp)>,
}

#[derive(Debug, Default)]
struct Session {
    fields: Fields,
    users: Option<Arc<[SmolStr]>>,
    /// Lines that were no failures, to be shown with the next one.
    lines: Vec<Match>,
    /// A failure was seen whose address is not known yet.
    pending: bool,
    /// A failure has been counted.
    counted: bool,
}

/// Matched lines: what they say about their session, what they captured, and themselves.
pub(super) type Said<'m, 't> = (&'m Marks<'t>, &'m mut Fields, Vec<Match>);

impl Sessions {
    /// Decides about matched lines, and remembers what they say.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        (marks, fields, lines): Said<'_, '_>,
        depth: Depth,
    ) -> Verdict<'_> {
        let Some(key) = marks.session.as_deref() else {
            return if fields.identifies() {
                Verdict::Failure {
                    fields: Cow::Owned(std::mem::take(fields)),
                    matches: lines,
                }
            } else {
                Verdict::Pending
            };
        };
        self.expire(now);
        let said = (marks, fields, lines);
        if marks.forget {
            let known = self.by_key.remove(key);
            let fresh = known.is_none();
            if !fresh {
                // Its place is free, or connections that are over would push out open ones.
                self.oldest_first.retain(|(own, _)| own != key);
            }
            let mut session = known.unwrap_or_default();
            return session.take(said, fresh, depth).into_owned();
        }
        let fresh = !self.by_key.contains_key(key);
        if fresh {
            self.begin(key, now);
        }
        match self.by_key.get_mut(key) {
            Some(session) => session.take(said, fresh, depth),
            None => Verdict::Pending,
        }
    }

    fn begin(&mut self, key: &str, now: Timestamp) {
        self.make_room();
        let key = SmolStr::new(key);
        self.oldest_first.push_back((key.clone(), now));
        self.by_key.insert(key, Session::default());
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((_, began)) = self.oldest_first.front()
            && now.secs() - began.secs() >= LIFETIME
        {
            self.drop_oldest();
        }
    }

    fn make_room(&mut self) {
        while self.oldest_first.len() >= MAX_SESSIONS {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((key, _)) = self.oldest_first.pop_front() {
            self.by_key.remove(&key);
        }
    }
}

impl Session {
    fn take(
        &mut self,
        (marks, fields, lines): Said<'_, '_>,
        fresh: bool,
        depth: Depth,
    ) -> Verdict<'_> {
        let (forget, gained) = (marks.forget, marks.gained);
        let mut harmless = gained || marks.no_failure;
        for flag in [Name::MLFFORGET, Name::MLFGAINED] {
            fields.take(&flag);
        }
        for flag in [Name::NOFAIL, Name::ONCE, Name::REPEAT] {
            self.fields.take(&flag);
        }
        if gained && std::mem::take(&mut self.pending) {
            self.lines.clear();
        }
        // Of a session that ends as it begins, nobody is remembered.
        let user = marks.user.as_deref().filter(|_| !(fresh && forget));
        let met = user.and_then(|user| self.meet(user));
        let met = met.filter(|_| depth >= Depth::Kept);
        if fresh {
            std::mem::swap(&mut self.fields, fields);
            self.tell_users(met);
        } else {
            self.tell_users(met);
            self.fields.merge(fields);
        }
        if self.pending || self.users.as_ref().is_some_and(|users| users.len() > 1) {
            harmless = false;
            self.fields.take(&Name::NOFAIL);
        }
        if marks.once && self.counted {
            harmless = true;
        }
        if self.lines.is_empty() {
            self.lines = lines;
        } else {
            self.lines.extend(lines);
            let surplus = self.lines.len().saturating_sub(MAX_LINES);
            self.lines.drain(..surplus);
        }
        if harmless {
            let whose = || self.fields.identity();
            return Verdict::Harmless((depth == Depth::Groups).then(whose).flatten());
        }
        if !self.fields.identifies() {
            self.pending = true;
            return Verdict::Pending;
        }
        self.pending = false;
        self.counted = true;
        Verdict::Failure {
            fields: match forget {
                true => Cow::Owned(std::mem::take(&mut self.fields)),
                false => Cow::Borrowed(&self.fields),
            },
            matches: std::mem::take(&mut self.lines),
        }
    }

    /// Notes a user of the session. All of them, if that is a new one.
    fn meet(&mut self, user: &str) -> Option<Capture> {
        let known = self.users.as_deref().unwrap_or_default();
        let is_known = known.iter().any(|own| own == user);
        if user.is_empty() || is_known || known.len() >= MAX_USERS {
            return None;
        }
        let user = SmolStr::new(user);
        let all: Arc<[SmolStr]> = known.iter().cloned().chain([user]).collect();
        self.users = Some(Arc::clone(&all));
        Some(Capture::Set(all))
    }

    fn tell_users(&mut self, users: Option<Capture>) {
        if let Some(users) = users {
            self.fields.set(&Name::USERS, users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::failregex::FailRegex;

    /// `c1 <words>`: the words name flags, `u=` a user and an address the host.
    fn judge(sessions: &mut Sessions, now: Timestamp, text: &str) -> Verdict<'static> {
        let pattern = r"^<F-MLFID>\S+</F-MLFID>(?: <F-NOFAIL>nofail</F-NOFAIL>)?(?: <F-ONCE>once</F-ONCE>)?(?: <F-MLFGAINED>gained</F-MLFGAINED>)?(?: <F-MLFFORGET>forget</F-MLFFORGET>)?(?: u=<F-USER>\S+</F-USER>)?(?: <ADDR>)?$";
        let regex = FailRegex::new(pattern, false).unwrap();
        let mut slots = ferroban_regex::Slots::default();
        let hit = regex.search(text, &mut slots).unwrap().unwrap();
        let mut fields = Fields::default();
        let marks = hit.read(true, &mut fields);
        let said = (&marks, &mut fields, vec![Match::default()]);
        sessions.judge(now, said, Depth::Groups).into_owned()
    }

    /// Lines, and for each the address counted and how many lines were shown.
    type Case = (&'static [&'static str], Vec<Option<(String, usize)>>);

    /// For each line, the address counted and how many lines were shown with it.
    fn run(lines: &[&str]) -> Vec<Option<(String, usize)>> {
        let mut sessions = Sessions::default();
        let now = Timestamp::from_secs(0);
        lines
            .iter()
            .map(|text| match judge(&mut sessions, now, text) {
                Verdict::Failure { fields, matches } => {
                    Some((fields.identity().unwrap().to_string(), matches.len()))
                }
                _ => None,
            })
            .collect()
    }

    fn f(address: &str, lines: usize) -> Option<(String, usize)> {
        Some((address.into(), lines))
    }

    #[test]
    fn sessions_follow_the_originals_scenarios() {
        let a = "1.2.3.4";
        let cases: [Case; 10] = [
            (
                &["c1 nofail 1.2.3.4", "c1 u=joe", "c1", "c1 forget", "c1"],
                vec![None, f(a, 2), f(a, 1), f(a, 1), None],
            ),
            (&["c1 u=joe", "c1", "c1 1.2.3.4"], vec![None, None, f(a, 3)]),
            (
                &["c1 u=joe", "c1 nofail 1.2.3.4", "c1"],
                vec![None, f(a, 2), f(a, 1)],
            ),
            (
                &["c1 nofail 1.1.1.1", "c2 nofail 2.2.2.2", "c2", "c1"],
                vec![None, None, f("2.2.2.2", 2), f("1.1.1.1", 2)],
            ),
            (
                &["c1 nofail 1.2.3.4", "c1 u=joe", "c1 gained u=joe"],
                vec![None, f(a, 2), None],
            ),
            (
                &["c1 nofail 1.2.3.4", "c1 u=joe", "c1 gained u=ann"],
                vec![None, f(a, 2), f(a, 1)],
            ),
            (&["c1 u=joe", "c1 gained u=joe 1.2.3.4"], vec![None, None]),
            (
                &["c1 u=ann", "c1 gained u=joe 1.2.3.4"],
                vec![None, f(a, 1)],
            ),
            (&["c1 nofail forget", "c1"], vec![None, None]),
            (
                &["c1 u=joe", "c1 1.2.3.4", "c1 nofail"],
                vec![None, f(a, 2), None],
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(run(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn once_counts_only_where_nothing_was_counted() {
        let a = "1.2.3.4";
        let cases: [Case; 3] = [
            (
                &["c1 u=joe 1.2.3.4", "c1 once forget 1.2.3.4"],
                vec![f(a, 1), None],
            ),
            (
                &["c1 nofail 1.2.3.4", "c1 once forget 1.2.3.4"],
                vec![None, f(a, 2)],
            ),
            (
                &["c1 once 1.2.3.4", "c1 once 1.2.3.4", "c1 1.2.3.4"],
                vec![f(a, 1), None, f(a, 2)],
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(run(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn sessions_that_are_over_push_no_open_one_out() {
        let mut sessions = Sessions::default();
        let mut judge = |text: &str| {
            let verdict = judge(&mut sessions, Timestamp::from_secs(0), text);
            let failed = matches!(verdict, Verdict::Failure { .. });
            let kept = (sessions.by_key.len(), sessions.oldest_first.len());
            (failed, kept)
        };
        judge("c1 nofail 1.2.3.4");
        for other in 0..=MAX_SESSIONS {
            judge(&format!("x{other} nofail 1.2.3.5"));
            judge(&format!("x{other} nofail forget"));
        }
        assert_eq!(judge("c1"), (true, (1, 1)));
    }

    #[test]
    fn the_oldest_session_leaves_first_and_all_leave_in_time() {
        let mut sessions = Sessions::default();
        let start = Timestamp::from_secs(0);
        judge(&mut sessions, start, "c1 nofail 1.2.3.4");
        for other in 0..100 {
            judge(&mut sessions, start, &format!("x{other} nofail 1.2.3.4"));
        }
        assert_eq!(judge(&mut sessions, start, "c1"), Verdict::Pending);
        assert!(
            sessions.by_key.len() <= MAX_SESSIONS && sessions.oldest_first.len() <= MAX_SESSIONS
        );

        let later = Timestamp::from_secs(LIFETIME);
        assert_eq!(judge(&mut sessions, later, "x99"), Verdict::Pending);
        assert_eq!(sessions.by_key.len(), 1);
    }
}
