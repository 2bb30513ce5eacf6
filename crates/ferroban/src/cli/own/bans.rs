//! Who is banned, for people.

use ferroban_date::Timestamp;

use super::table::{Cell, Paint, Tone, table};
use super::text::{brief, length, moment};
use crate::wire::view::BanView;

/// A table of bans; times are told as from `now`.
pub(super) fn all(bans: &[BanView], now: Timestamp, paint: Paint) -> String {
    if bans.is_empty() {
        return "nobody is banned".to_owned();
    }
    let head = ["ID", "JAIL", "SINCE", "ENDS IN", "FAILURES", "STATE"];
    let rows: Vec<Vec<Cell>> = bans.iter().map(|ban| row(ban, now)).collect();
    table(&head, &rows, paint)
}

fn row(ban: &BanView, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::plain(brief(&ban.id)),
        Cell::plain(brief(&ban.jail)),
        Cell::plain(moment(ban.time)),
        Cell::plain(left(ban, now)),
        Cell::number(&ban.failures),
        state(ban),
    ]
}

/// How far a ban has come: decided, applied by the actions, seen in the kernel.
fn state(ban: &BanView) -> Cell {
    match (ban.applied, ban.verified) {
        (_, Some(false)) => Cell::new(Tone::Bad, "missing"),
        (false, _) => Cell::new(Tone::Bad, "decided"),
        (true, Some(true)) => Cell::new(Tone::Good, "verified"),
        (true, None) => Cell::plain("applied"),
    }
}

/// How long a ban still lasts.
pub(super) fn left(ban: &BanView, now: Timestamp) -> String {
    match ban.ends {
        None => "never".to_owned(),
        Some(end) => length(end.saturating_sub(now.secs()).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_are_told_with_what_is_left_of_them() {
        let ban = |id: &str, ends: Option<i64>, applied: bool, verified: Option<bool>| BanView {
            jail: "sshd".to_owned(),
            id: id.to_owned(),
            time: 1000,
            ends,
            failures: 5,
            applied,
            verified,
            ..BanView::default()
        };
        let bans = [
            ban("192.0.2.1", Some(1600), true, Some(true)),
            ban("192.0.2.2", Some(1600), true, Some(false)),
            ban("a\tb", Some(1000), false, None),
            ban("2001:db8::1", None, true, None),
        ];
        let since = moment(1000);
        let expected = format!(
            r"ID           JAIL  SINCE                ENDS IN     FAILURES  STATE
192.0.2.1    sshd  {since}  9 min 59 s         5  verified
192.0.2.2    sshd  {since}  9 min 59 s         5  missing
a\tb         sshd  {since}  0 s                5  decided
2001:db8::1  sshd  {since}  never              5  applied"
        );
        let now = Timestamp::from_secs(1001);
        assert_eq!(all(&bans, now, Paint::NONE), expected);
        assert_eq!(all(&[], now, Paint::NONE), "nobody is banned");
    }
}
