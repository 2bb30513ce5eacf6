//! What happens, as it happens.
//!
//! On a terminal it is told in words; for programs each event is an object of JSON in a
//! line of its own, as the daemon sends it.

use ferroban_engine::event::Step;
use ferroban_engine::{Event, FailId, IgnoreReason, JailName};
use serde::Deserialize;

use super::Problem;
use super::server::{Refused, Server};
use super::table::{Paint, Tone};
use super::text::{json_line, shown};
use crate::cli::out;
use crate::wire::Value;

/// An event and when it happened.
#[derive(Debug, Deserialize)]
struct Told {
    at: String,
    #[serde(flatten)]
    event: Event,
}

/// Tells events until the server ends, or nobody reads them any more.
pub(super) fn run(mut server: Server, as_json: bool) -> Result<(), Problem> {
    let paint = Paint::of_output();
    let first = Value::strings(["ferroban", "events"]);
    let mut reply = server.ask(&first);
    loop {
        let value = reply.map_err(ended)?;
        let text = value.as_str().ok_or_else(|| server.stranger())?;
        out::line(&if as_json {
            json_line(text)
        } else {
            line(text, paint)
        });
        if !out::is_heard() {
            return Ok(());
        }
        reply = server.further();
    }
}

fn ended(refused: Refused) -> Problem {
    match refused {
        Refused::HungUp(_) => Problem::unreachable(
            "no more events: the server has stopped, or they came faster than they were read",
        ),
        refused => refused.into(),
    }
}

/// An event in words; one that this version does not know stays JSON.
fn line(text: &str, paint: Paint) -> String {
    let Ok(Told { at, event }) = serde_json::from_str(text) else {
        return json_line(text);
    };
    let (tone, jail, what) = words(&event);
    let jail = jail.map(|jail| format!("[{jail}] ")).unwrap_or_default();
    // `2026-11-25T13:52:36.123+01:00`, without what nobody looks at.
    let at: String = at.chars().take(19).collect();
    let at = paint.text(Tone::Faint, &shown(&at.replace('T', " ")));
    format!("{at}  {}", paint.text(tone, &shown(&(jail + &what))))
}

fn words(event: &Event) -> (Tone, Option<&JailName>, String) {
    let plain = |jail, text: String| (Tone::Plain, Some(jail), text);
    let good = |jail, text: String| (Tone::Good, Some(jail), text);
    let odd = |jail, text: String| (Tone::Odd, Some(jail), text);
    match event {
        Event::JailStarted { jail } => plain(jail, "started".to_owned()),
        Event::JailStopped { jail } => plain(jail, "stopped".to_owned()),
        Event::Found { jail, id, .. } => plain(jail, format!("{id} failed")),
        Event::Attempted { jail, id, .. } => plain(jail, format!("{id} failed, says a client")),
        Event::Ignored { jail, id, why } => {
            plain(jail, format!("{id} failed, not counted: {}", reason(why)))
        }
        Event::Resolved {
            jail,
            name,
            addresses,
        } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            plain(jail, format!("{name} is {}", addresses.join(", ")))
        }
        Event::Unanswered {
            jail,
            id,
            seconds,
            counted,
            total,
        } => odd(
            jail,
            format!(
                "{id}: no answer within {seconds} s, {}, failure {total} of that kind",
                counting(*counted)
            ),
        ),
        Event::Unasked {
            jail,
            total,
            counted,
        } => odd(
            jail,
            format!(
                "too many failures wait for answers: {total} decided without, this one {}",
                counting(*counted)
            ),
        ),
        Event::Banned { jail, id } => odd(jail, format!("{id} banned")),
        Event::Restored { jail, id } => odd(jail, format!("{id} banned, from the database")),
        Event::AlreadyBanned { jail, id, after } => odd(
            jail,
            format!("{id} goes on failing, {after} s after it was banned"),
        ),
        Event::Expired { jail, id } => plain(jail, format!("{id} not banned: too long ago")),
        Event::Unbanned { jail, id } => good(jail, format!("{id} lifted")),
        Event::Repealed { jail, id } => plain(jail, format!("{id} lifted, for the jail ends")),
        Event::NotBanned { id } => (Tone::Plain, None, format!("{id} is not banned")),
        Event::Refused { jail, id, why } => odd(jail, format!("{id} not banned: {why}")),
        _ => firewall(event),
    }
}

fn counting(counted: bool) -> &'static str {
    if counted { "counted" } else { "not counted" }
}

/// What concerns the firewall.
fn firewall(event: &Event) -> (Tone, Option<&JailName>, String) {
    match event {
        Event::ActionFailed {
            jail,
            during,
            id,
            error,
            attempt,
        } => {
            let what = doing(*during, id.as_ref());
            let again = match attempt {
                ..=1 => String::new(),
                more => format!(" ({more} times now)"),
            };
            (
                Tone::Bad,
                Some(jail),
                format!("{what} failed{again}: {error}"),
            )
        }
        Event::ActionRecovered { jail, held } => {
            let text = format!("works again, {held} ban(s) hold");
            (Tone::Good, Some(jail), text)
        }
        Event::Forgotten { jail, total } => {
            let text = format!("{total} id(s) forgotten: more fail than can be counted");
            (Tone::Odd, Some(jail), text)
        }
        Event::Shortened { jail } => {
            let text = "the lines of further bans are in the database alone: there are many";
            (Tone::Odd, Some(jail), text.to_owned())
        }
        Event::Adopted {
            jail,
            kept,
            added,
            corrected,
            foreign,
        } => {
            let text = format!(
                "the firewall held {kept} ban(s) already, {corrected} corrected, {added} put back, {foreign} not ours"
            );
            (Tone::Plain, Some(jail), text)
        }
        other => by_others(other),
    }
}

/// What others did to the firewall.
fn by_others(event: &Event) -> (Tone, Option<&JailName>, String) {
    match event {
        Event::Unprotected { jail, bans, error } => {
            let text = format!("UNPROTECTED, {bans} ban(s) do not hold: {error}");
            (Tone::Bad, Some(jail), text)
        }
        Event::Missing { jail, error } => (Tone::Odd, Some(jail), error.clone()),
        Event::Healing { jail, by } => {
            let text = format!("{by} has loaded the firewall anew; its bans are put back");
            (Tone::Odd, Some(jail), text)
        }
        Event::Quarrel { jail, by, times } => {
            let text = format!(
                "UNPROTECTED for a minute: {by} has taken its rules away again, {times} times within a minute they were put back"
            );
            (Tone::Bad, Some(jail), text)
        }
        Event::TakenOut { jail, id, by } => {
            let text = format!("{id} was taken out of the firewall by {by}");
            (Tone::Odd, Some(jail), text)
        }
        // Every other one was told before.
        other => (Tone::Plain, None, format!("{other:?}")),
    }
}

fn doing(during: Step, id: Option<&FailId>) -> String {
    let what = match during {
        Step::Start => "starting the action",
        Step::Ban => "banning",
        Step::Unban => "lifting",
        Step::Stop => "ending the action",
    };
    match id {
        Some(id) => format!("{what} {id}"),
        None => what.to_owned(),
    }
}

fn reason(why: &IgnoreReason) -> String {
    match why {
        IgnoreReason::OwnAddress => "an own address".to_owned(),
        IgnoreReason::Ip => "in ignoreip".to_owned(),
        IgnoreReason::Name => "a name in ignoreip".to_owned(),
        IgnoreReason::File(path) => format!("in {path}"),
        IgnoreReason::Command => "by ignorecommand".to_owned(),
        IgnoreReason::Protected(why) => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AT: &str = "2026-11-25T13:52:36.123+01:00";

    #[test]
    fn events_are_told_in_words() {
        let rows = [
            (
                json!({ "event": "banned", "jail": "sshd", "id": "192.0.2.7" }),
                "[sshd] 192.0.2.7 banned",
            ),
            (
                json!({ "event": "found", "jail": "sshd", "id": "a\u{1b}b", "time": 5 }),
                r"[sshd] a\u{1b}b failed",
            ),
            (
                json!({ "event": "ignored", "jail": "sshd", "id": "a", "why": { "Protected": "Gateway" } }),
                "[sshd] a failed, not counted: default gateway",
            ),
            (
                json!({ "event": "not_banned", "id": "a" }),
                "a is not banned",
            ),
            (
                json!({ "event": "action_failed", "jail": "sshd", "during": "ban", "id": "a",
                        "error": "no", "attempt": 2 }),
                "[sshd] banning a failed (2 times now): no",
            ),
            (
                json!({ "event": "action_failed", "jail": "sshd", "during": "start", "id": null,
                        "error": "no", "attempt": 1 }),
                "[sshd] starting the action failed: no",
            ),
        ];
        for (mut event, expected) in rows {
            event["at"] = AT.into();
            let expected = format!("2026-11-25 13:52:36  {expected}");
            assert_eq!(line(&event.to_string(), Paint::NONE), expected);
        }
    }

    #[test]
    fn what_is_not_known_stays_as_it_came() {
        let text = "{\"event\":\"new\",\"id\":\"\u{9b}\"}";
        assert_eq!(line(text, Paint::NONE), r#"{"event":"new","id":"\u009b"}"#);
    }

    #[test]
    fn every_event_has_words_of_its_own() {
        let jail: JailName = "j".parse().unwrap();
        let id = FailId::parse("192.0.2.1");
        let all = [
            Event::JailStarted { jail: jail.clone() },
            Event::Restored {
                jail: jail.clone(),
                id: id.clone(),
            },
            Event::ActionRecovered {
                jail: jail.clone(),
                held: 1,
            },
            Event::Forgotten {
                jail: jail.clone(),
                total: 3,
            },
            Event::Adopted {
                jail,
                kept: 1,
                added: 2,
                corrected: 3,
                foreign: 4,
            },
        ];
        for event in all {
            let (_, jail, text) = words(&event);
            assert!(jail.is_some() && !text.contains('{'), "{text}");
        }
    }
}
