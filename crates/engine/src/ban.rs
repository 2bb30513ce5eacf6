//! One address's failures in one jail, and the ban they may lead to.

use std::fmt;
use std::str::FromStr;

use ferroban_date::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::capture::Capture;
use crate::id::FailId;
use crate::name::Name;

/// How long a ban lasts.
///
/// A configuration says `-1` for a ban without end. That convention stops at the
/// parser, so that no other code has to remember it.
///
/// ```
/// use ferroban_engine::BanTime;
/// assert_eq!("600".parse(), Ok(BanTime::For(600)));
/// assert_eq!("-1".parse(), Ok(BanTime::Forever));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum BanTime {
    /// So many seconds.
    For(u32),
    /// Until somebody lifts it.
    Forever,
}

/// Why a text is no ban time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BanTimeError(String);

impl fmt::Display for BanTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no ban time; give whole seconds, or -1 for ever",
            self.0
        )
    }
}

impl std::error::Error for BanTimeError {}

impl BanTime {
    /// From seconds where every negative number means without end.
    #[must_use]
    pub fn from_secs(secs: i64) -> Self {
        if secs < 0 {
            Self::Forever
        } else {
            Self::For(u32::try_from(secs).unwrap_or(u32::MAX))
        }
    }

    /// Seconds, with `-1` for ever: the form of the database and the socket.
    #[must_use]
    pub fn secs(self) -> i64 {
        match self {
            Self::For(secs) => i64::from(secs),
            Self::Forever => -1,
        }
    }

    /// When a ban that began at `start` ends.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Timestamp {
        match self {
            Self::For(secs) => start.plus_secs(i64::from(secs)),
            Self::Forever => Timestamp::MAX,
        }
    }
}

impl FromStr for BanTime {
    type Err = BanTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().parse::<i64>() {
            Ok(secs) if secs >= -1 => Ok(Self::from_secs(secs)),
            _ => Err(BanTimeError(text.to_owned())),
        }
    }
}

/// One log line that counted, split where its date was. Short parts need no memory of their
/// own, and copies share long ones.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// What stood before the date.
    pub before: SmolStr,
    /// The date as written.
    pub date: SmolStr,
    /// What stood after it.
    pub after: SmolStr,
}

/// The longest matched text that is kept, in bytes; the rest is cut. A flood of
/// long lines must not fill memory or the database.
pub const MATCH_LIMIT: usize = 8 * 1024;

impl Match {
    /// A match whose text is cut to [`MATCH_LIMIT`].
    #[must_use]
    pub fn new(before: &str, date: &str, after: &str) -> Self {
        let after = after
            .get(..after.floor_char_boundary(MATCH_LIMIT))
            .unwrap_or_default();
        let before = before
            .get(..before.floor_char_boundary(MATCH_LIMIT))
            .unwrap_or_default();
        Self {
            before: before.into(),
            date: date.into(),
            after: after.into(),
        }
    }

    /// The same line, no longer split where its date is.
    fn in_one_piece(self) -> Self {
        Self {
            after: self.joined().into(),
            ..Self::default()
        }
    }

    /// The line in one piece.
    #[must_use]
    pub fn joined(&self) -> String {
        [self.before.as_str(), &self.date, &self.after].concat()
    }
}

/// The captures that say who is banned, where the filter took something else as the
/// id. Without them an action would be told of the wrong one.
const IDENTITY: [Name; 5] = [Name::IP, Name::IP4, Name::IP6, Name::DNS, Name::FID];

/// What is known of one id's failures.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// How many failures there were.
    pub failures: u32,
    /// The last `maxmatches` lines.
    pub matches: Vec<Match>,
    /// Named captures of the filter (`user`, `ip4` …) from the first of the failures, in
    /// the order they appeared.
    pub captures: Vec<(Name, Capture)>,
}

impl Ticket {
    /// Bytes of text in its lines and captures.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let line = |found: &Match| found.before.len() + found.date.len() + found.after.len();
        let capture = |(name, value): &(Name, Capture)| name.len() + value.text_len();
        self.matches.iter().map(line).sum::<usize>()
            + self.captures.iter().map(capture).sum::<usize>()
    }

    /// Makes room where `kept` bytes of text are held already: past `limit` it goes
    /// without its lines, and past twice as much without the captures that do not say
    /// who it is. Whether anything was left out is the answer.
    pub fn fit(&mut self, kept: usize, limit: usize) -> bool {
        let before = self.text_len();
        if kept.saturating_add(before) <= limit {
            return false;
        }
        self.matches = Vec::new();
        if kept.saturating_add(self.text_len()) > limit.saturating_mul(2) {
            self.captures.retain(|(name, _)| IDENTITY.contains(name));
        }
        self.text_len() < before
    }

    /// Adds a later failure, keeping the last `maxmatches` lines. As in fail2ban, what the
    /// first failure captured stays, and the lines of later ones are in one piece.
    pub fn merge(&mut self, other: Self, maxmatches: usize) {
        if self.failures == 0 {
            *self = other;
        } else {
            self.failures = self.failures.saturating_add(other.failures);
            let lines = other.matches.into_iter().map(Match::in_one_piece);
            self.matches.extend(lines);
        }
        let surplus = self.matches.len().saturating_sub(maxmatches);
        self.matches.drain(..surplus);
    }
}

/// Who is banned, since when and for how long.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub id: FailId,
    /// The time of the last failure, from which the ban time runs.
    pub time: Timestamp,
    /// How long.
    pub bantime: BanTime,
    /// The how-manieth ban of this id in this jail it is, from 1.
    pub count: u32,
    /// The failures that led to it.
    pub ticket: Ticket,
    /// Whether it comes from the database rather than from a log.
    pub restored: bool,
}

impl Ban {
    /// When it ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.bantime.end(self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_times_read_seconds_and_for_ever() {
        let cases = [
            ("600", Ok(BanTime::For(600))),
            (" 0 ", Ok(BanTime::For(0))),
            ("-1", Ok(BanTime::Forever)),
            ("-2", Err(BanTimeError("-2".into()))),
            ("5x", Err(BanTimeError("5x".into()))),
            ("99999999999", Ok(BanTime::For(u32::MAX))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), expected, "bantime = {text}");
        }
    }

    #[test]
    fn a_ban_for_ever_never_ends() {
        assert_eq!(
            BanTime::Forever.end(Timestamp::from_secs(5)),
            Timestamp::MAX
        );
        assert_eq!(
            BanTime::For(60).end(Timestamp::from_secs(5)),
            Timestamp::from_secs(65)
        );
    }

    #[test]
    fn tickets_keep_the_last_matches_and_the_first_captures() {
        let one = |text: &str| Ticket {
            failures: 1,
            matches: vec![Match::new("", "", text)],
            captures: vec![("user".into(), text.into())],
        };
        let mut ticket = Ticket::default();
        for text in ["a", "b", "c"] {
            ticket.merge(one(text), 2);
        }
        assert_eq!(ticket.failures, 3);
        assert_eq!(
            ticket.matches.iter().map(Match::joined).collect::<Vec<_>>(),
            ["b", "c"]
        );
        assert_eq!(ticket.captures, [(Name::USER, "a".into())]);
    }

    #[test]
    fn where_room_is_short_a_ticket_keeps_who_it_is() {
        let capture = |name: &str| (Name::from(name), Capture::from("x".repeat(8)));
        let ticket = Ticket {
            failures: 2,
            matches: vec![Match::new("", "", "a line")],
            captures: ["user", "ip", "ip4", "ip6", "dns", "fid"]
                .map(capture)
                .to_vec(),
        };
        let fitted = |kept| {
            let mut fitted = ticket.clone();
            let shorter = fitted.fit(kept, 100);
            let (lines, captures) = (fitted.matches.len(), fitted.captures.len());
            (shorter, fitted.failures, lines, captures)
        };
        let all = 100 - ticket.text_len();
        assert_eq!(fitted(all), (false, 2, 1, 6));
        assert_eq!(fitted(all + 1), (true, 2, 0, 6));
        assert_eq!(fitted(200), (true, 2, 0, 5));
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let text = "é".repeat(MATCH_LIMIT);
        assert!(Match::new("", "", &text).after.len() <= MATCH_LIMIT);
    }
}
