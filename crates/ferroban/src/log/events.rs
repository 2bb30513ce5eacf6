//! How events read: level, logger and text of every line, in one place.
//!
//! What fail2ban says too is worded exactly as it does; lines of our own carry a
//! logger that begins with `ferroban`.

use ferroban_config::quoted;
use ferroban_date::local_text;
use ferroban_engine::{Event, FilterNote, IgnoreReason, JailName, event::Step};

use super::{Level, Log};
use crate::{clock, names};

/// Writes the line of an event. `action` is the name of the jail's action.
pub(crate) fn write(log: &Log, event: &Event, action: &str) {
    let (level, logger, text) = wording(event, action);
    log.event(level, logger, &text, event);
}

fn wording(event: &Event, action: &str) -> (Level, &'static str, String) {
    match event {
        Event::JailStarted { jail } => (Level::Info, "jail", format!("Jail '{jail}' started")),
        Event::JailStopped { jail } => (Level::Info, "jail", format!("Jail '{jail}' stopped")),
        Event::Found { jail, id, time } => (
            Level::Info,
            "filter",
            format!("[{jail}] Found {id} - {}", local_text(*time, clock::zone())),
        ),
        Event::Attempted { jail, id, time } => (
            Level::Info,
            "filter",
            format!(
                "[{jail}] Attempt {id} - {}",
                local_text(*time, clock::zone())
            ),
        ),
        Event::Ignored { jail, id, why } => (
            Level::Info,
            "filter",
            format!("[{jail}] Ignore {id} by {}", reason(why)),
        ),
        Event::Resolved {
            name, addresses, ..
        } => (
            Level::Warning,
            names::LOGGER,
            names::determined(name, addresses),
        ),
        Event::Banned { jail, id } => (Level::Notice, "actions", format!("[{jail}] Ban {id}")),
        Event::Restored { jail, id } => (
            Level::Notice,
            "actions",
            format!("[{jail}] Restore Ban {id}"),
        ),
        Event::Unbanned { jail, id } => (Level::Notice, "actions", format!("[{jail}] Unban {id}")),
        Event::Repealed { jail, id } => (
            Level::Notice,
            "actions",
            format!("[{jail}] Repeal Ban {id}"),
        ),
        Event::NotBanned { id } => (Level::Msg, "actions", format!("{id} is not banned")),
        _ => trouble(event, action),
    }
}

/// What is not as it should be.
fn trouble(event: &Event, action: &str) -> (Level, &'static str, String) {
    match event {
        Event::AlreadyBanned { jail, id, after } => (
            already(*after),
            "actions",
            format!("[{jail}] {id} already banned"),
        ),
        Event::Expired { jail, id } => (
            Level::Info,
            "actions",
            format!("[{jail}] Ignore {id}, expired bantime"),
        ),
        Event::ActionFailed {
            jail,
            during,
            id,
            error,
            attempt,
        } => {
            let id = id.as_ref().map(ToString::to_string);
            let text = failed(jail, *during, id.as_deref(), error, action);
            (
                if *attempt > 1 {
                    Level::Debug
                } else {
                    Level::Error
                },
                "actions",
                text,
            )
        }
        _ => our_own(event, action),
    }
}

fn our_own(event: &Event, action: &str) -> (Level, &'static str, String) {
    const LOGGER: &str = "ferroban.actions";
    match event {
        Event::Refused { jail, id, why } => (
            Level::Warning,
            LOGGER,
            format!("[{jail}] {id} not banned: {why}; use 'banip --force' to ban it all the same"),
        ),
        Event::ActionRecovered { jail, held } => (
            Level::Notice,
            LOGGER,
            format!("[{jail}] action '{action}' works again and holds {held} ban(s)"),
        ),
        Event::Forgotten { jail, total } => (
            Level::Warning,
            LOGGER,
            format!(
                "[{jail}] more addresses fail than can be counted at once; {total} of the quietest forgotten"
            ),
        ),
        Event::Shortened { jail } => (
            Level::Warning,
            LOGGER,
            format!(
                "[{jail}] the matched lines of its bans fill the memory meant for them; those of further bans are in the database alone"
            ),
        ),
        Event::Adopted {
            jail,
            kept,
            added,
            corrected,
            foreign,
        } => {
            let text = format!(
                "[{jail}] firewall held {kept} ban(s) already ({corrected} corrected), {added} put back, {foreign} not ours and kept"
            );
            (Level::Info, LOGGER, text)
        }
        other => by_others(other),
    }
}

/// What others did to the firewall.
fn by_others(event: &Event) -> (Level, &'static str, String) {
    const LOGGER: &str = "ferroban.actions";
    match event {
        Event::Unprotected { jail, bans, error } => {
            let text = format!(
                "[{jail}] UNPROTECTED: {bans} ban(s) do not hold: {error}. Somebody emptied the firewall; to put them back: ferroban reload"
            );
            (Level::Error, LOGGER, text)
        }
        Event::Missing { jail, error } => (
            Level::Info,
            LOGGER,
            format!(
                "[{jail}] {error}. Whether the firewall is loaded anew or emptied, shows within 2 s"
            ),
        ),
        Event::Healing { jail, by } => (
            Level::Notice,
            LOGGER,
            format!("[{jail}] {by} has loaded the firewall anew; its bans are put back"),
        ),
        Event::Quarrel { jail, by, times } => {
            let text = format!(
                "[{jail}] UNPROTECTED: {by} has taken its rules away again, and {times} times within a minute they were put back; the next try is in a minute. Find out what {by} does: one of both must give way"
            );
            (Level::Error, LOGGER, text)
        }
        Event::TakenOut { jail, id, by } => (
            Level::Notice,
            LOGGER,
            format!(
                "[{jail}] {id} was taken out of the firewall by {by}, which counts as an unban"
            ),
        ),
        other => unanswered(other),
    }
}

/// What was decided without an answer.
fn unanswered(event: &Event) -> (Level, &'static str, String) {
    const FILTER: &str = "ferroban.filter";
    let fate = |counted: bool| if counted { "counted" } else { "not counted" };
    match event {
        Event::Unanswered {
            jail,
            id,
            seconds,
            counted,
            total,
        } => {
            let more = match total {
                ..=1 => String::new(),
                total => format!(" (it went so with {total} failures)"),
            };
            let text = format!(
                "[{jail}] {id}: what had to be asked about it was not answered within {seconds} s; {}{more}",
                fate(*counted)
            );
            (Level::Warning, FILTER, text)
        }
        Event::Unasked {
            jail,
            total,
            counted,
        } => {
            let text = format!(
                "[{jail}] more failures wait for answers than can; {total} decided without, this one {}",
                fate(*counted)
            );
            (Level::Warning, FILTER, text)
        }
        other => (Level::Debug, FILTER, format!("{other:?}")),
    }
}

fn reason(why: &IgnoreReason) -> String {
    match why {
        IgnoreReason::OwnAddress => "ignoreself rule".into(),
        IgnoreReason::Ip => "ip".into(),
        IgnoreReason::Name => "dns".into(),
        IgnoreReason::File(path) => path.clone(),
        IgnoreReason::Command => "command".into(),
        IgnoreReason::Protected(why) => format!("protection: {why}"),
    }
}

/// The longer a banned address goes on failing, the less its ban can be working.
fn already(after: i64) -> Level {
    match after {
        ..3 => Level::Debug,
        3..60 => Level::Notice,
        _ => Level::Warning,
    }
}

fn failed(jail: &JailName, during: Step, id: Option<&str>, error: &str, action: &str) -> String {
    let id = id.unwrap_or_default();
    match during {
        Step::Start => format!("Failed to start jail '{jail}' action '{action}': {error}"),
        Step::Stop => format!("Failed to stop jail '{jail}' action '{action}': {error}"),
        Step::Ban => {
            format!("Failed to execute ban jail '{jail}' action '{action}' info '{id}': {error}")
        }
        Step::Unban => {
            format!("Failed to execute unban jail '{jail}' action '{action}' info '{id}': {error}")
        }
    }
}

/// Writes what a filter noticed.
pub(crate) fn note(log: &Log, jail: &JailName, note: &FilterNote) {
    let (what, line) = match note {
        FilterNote::OddTime { seconds, line } => (odd_time(*seconds), line),
        FilterNote::TooOld { findtime, line } => (
            format!(
                "Ignoring all log entries older than {findtime}s; these are probably messages generated while fail2ban was not running."
            ),
            line,
        ),
        FilterNote::NoTime { date, line } => {
            let texts = [
                format!(
                    "Found a match but no valid date/time found for {}.",
                    quoted(date)
                ),
                format!("Match without a timestamp: {line}"),
                "Please try setting a custom date pattern (see man page jail.conf(5)).".to_owned(),
            ];
            for text in texts {
                log.warning("filter", &format!("[{jail}] {text}"));
            }
            return;
        }
        FilterNote::Unreadable { date } => {
            let text = format!("findFailure failed to parse timeText: {date}");
            log.error("filter", &text);
            return;
        }
        FilterNote::GaveUp { pattern, line } => {
            log.warning("ferroban.filter", &format!("[{jail}] gave up on a line that takes too long to match with '{pattern}': {line}"));
            return;
        }
    };
    log.warning("filter", &format!("[{jail}] {what}"));
    log.warning(
        "filter",
        &format!(
            "[{jail}] Please check a jail for a timing issue. Line with odd timestamp: {line}"
        ),
    );
}

fn odd_time(seconds: i64) -> String {
    let (side, cause) = match seconds {
        61..=3300 => ("before", "latency"),
        ..0 => ("after", "timezone"),
        _ => ("before", "timezone"),
    };
    format!(
        "Detected a log entry {} {side} the current time in operation mode. This looks like a {cause} problem. Treating such entries as if they just happened.",
        span(seconds.unsigned_abs())
    )
}

/// A span in at most three units, the smallest rounded, exactly as fail2ban
/// prints it: `59m 50s`, `1h`, `2d 7h 15m`.
fn span(seconds: u64) -> String {
    const WEEK: u64 = 7 * DAY;
    const DAY: u64 = 24 * HOUR;
    const HOUR: u64 = 60 * MINUTE;
    const MINUTE: u64 = 60;
    let (grain, units): (u64, &[(u64, &str)]) = match seconds {
        0 => return "0".into(),
        1..3595 => (1, &[(MINUTE, "m"), (1, "s")]),
        3595..DAY => (10, &[(HOUR, "h"), (MINUTE, "m")]),
        DAY..WEEK => (MINUTE, &[(DAY, "d"), (HOUR, "h"), (MINUTE, "m")]),
        WEEK..31_536_000 => (HOUR, &[(WEEK, "w"), (DAY, "d"), (HOUR, "h")]),
        _ => (DAY, &[(31_536_000, "y"), (WEEK, "w"), (DAY, "d")]),
    };
    let mut rest = (seconds + grain / 2) / grain * grain;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= *size {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of an event of jail `sshd` given as JSON without its jail.
    fn shown(event: &str) -> String {
        let event = format!("{{\"jail\": \"sshd\", {event}}}");
        let event: Event = serde_json::from_str(&event).unwrap();
        let (level, logger, text) = wording(&event, "ferroban");
        format!("{} {logger} {text}", level.name())
    }

    #[test]
    fn what_the_original_says_too_is_worded_as_it_does() {
        let cases = [
            (
                r#""event": "jail_started""#,
                "INFO jail Jail 'sshd' started",
            ),
            (
                r#""event": "jail_stopped""#,
                "INFO jail Jail 'sshd' stopped",
            ),
            (
                r#""event": "banned", "id": "192.0.2.7""#,
                "NOTICE actions [sshd] Ban 192.0.2.7",
            ),
            (
                r#""event": "restored", "id": "192.0.2.7""#,
                "NOTICE actions [sshd] Restore Ban 192.0.2.7",
            ),
            (
                r#""event": "unbanned", "id": "192.0.2.7""#,
                "NOTICE actions [sshd] Unban 192.0.2.7",
            ),
            (
                r#""event": "repealed", "id": "192.0.2.7""#,
                "NOTICE actions [sshd] Repeal Ban 192.0.2.7",
            ),
            (
                r#""event": "not_banned", "id": "192.0.2.7""#,
                "MSG actions 192.0.2.7 is not banned",
            ),
            (
                r#""event": "expired", "id": "::1""#,
                "INFO actions [sshd] Ignore ::1, expired bantime",
            ),
            (
                r#""event": "ignored", "id": "::1", "why": "Ip""#,
                "INFO filter [sshd] Ignore ::1 by ip",
            ),
            (
                r#""event": "ignored", "id": "::1", "why": "OwnAddress""#,
                "INFO filter [sshd] Ignore ::1 by ignoreself rule",
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(shown(event), expected);
        }
    }

    #[test]
    fn trouble_is_louder_the_longer_it_lasts_but_not_when_it_repeats() {
        let already = r#""event": "already_banned", "id": "192.0.2.7", "after": "#;
        for (after, level) in [(2, "DEBUG"), (3, "NOTICE"), (59, "NOTICE"), (60, "WARNING")] {
            let line = shown(&format!("{already}{after}"));
            assert_eq!(
                line,
                format!("{level} actions [sshd] 192.0.2.7 already banned")
            );
        }
        let failed = r#""event": "action_failed", "error": "no", "attempt": "#;
        let cases = [
            (
                r#"1, "during": "start", "id": null"#,
                "ERROR actions Failed to start jail 'sshd' action 'ferroban': no",
            ),
            (
                r#"2, "during": "ban", "id": "::1""#,
                "DEBUG actions Failed to execute ban jail 'sshd' action 'ferroban' info '::1': no",
            ),
            (
                r#"1, "during": "unban", "id": "::1""#,
                "ERROR actions Failed to execute unban jail 'sshd' action 'ferroban' info '::1': no",
            ),
        ];
        for (rest, expected) in cases {
            assert_eq!(shown(&format!("{failed}{rest}")), expected);
        }
        let refused = r#""event": "refused", "id": "::1", "why": "Gateway""#;
        assert_eq!(
            shown(refused),
            "WARNING ferroban.actions [sshd] ::1 not banned: default gateway; use 'banip --force' to ban it all the same"
        );
    }

    #[test]
    fn spans_read_as_the_original_prints_them() {
        let cases = [
            (0, "0"),
            (59, "59s"),
            (61, "1m 1s"),
            (3590, "59m 50s"),
            (3594, "59m 54s"),
            (3595, "1h"),
            (3661, "1h 1m"),
            (7000, "1h 56m"),
            (7199, "2h"),
            (86_369, "23h 59m"),
            (86_399, "24h"),
            (90_000, "1d 1h"),
            (198_900, "2d 7h 15m"),
            (604_000, "6d 23h 47m"),
            (604_799, "7d"),
            (1_000_000, "1w 4d 14h"),
            (31_535_999, "52w 1d"),
            (33_696_000, "1y 3w 4d"),
            (64_000_000, "2y 1w 4d"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }
}
