//! The `data` column: what is known of a ban's failures, as fail2ban's JSON.

use ferroban_engine::{Capture, Match, Name, Ticket};
use serde_json::{Map, Value, json};

/// The text fail2ban writes: `matches`, `failures`, then the captures; `", "`
/// and `": "` between; characters beyond ASCII as they are.
pub(super) fn text(ticket: &Ticket, max_matches: usize) -> String {
    let skip = ticket.matches.len().saturating_sub(max_matches);
    let matches: Vec<Value> = ticket.matches.iter().skip(skip).map(one_match).collect();
    let mut parts = vec![
        format!("\"matches\": {}", spaced(&Value::Array(matches))),
        format!("\"failures\": {}", ticket.failures),
    ];
    for (name, value) in &ticket.captures {
        parts.push(format!("{}: {}", json!(&**name), spaced(&json!(value))));
    }
    format!("{{{}}}", parts.join(", "))
}

/// A match that is split where its date is stays so: fail2ban's readers know both.
fn one_match(found: &Match) -> Value {
    if !found.date.is_empty() {
        json!([found.before, found.date, found.after])
    } else {
        json!(found.joined())
    }
}

/// JSON with a blank after each comma between values, as Python writes it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// Reads what this or fail2ban wrote; anything unreadable is left out.
pub(super) fn read(bytes: &[u8]) -> Ticket {
    let text = String::from_utf8_lossy(bytes);
    let Ok(Value::Object(mut map)) = serde_json::from_str(&text) else {
        return Ticket::default();
    };
    let matches = match map.remove("matches") {
        Some(Value::Array(items)) => items.iter().filter_map(read_match).collect(),
        _ => Vec::new(),
    };
    let failures = map.remove("failures").and_then(|n| n.as_u64()).unwrap_or(0);
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    Ticket {
        failures,
        matches,
        captures: captures(map),
    }
}

fn read_match(value: &Value) -> Option<Match> {
    match value {
        Value::String(text) => Some(Match::new("", "", text)),
        Value::Array(parts) => {
            let part = |index| parts.get(index).and_then(Value::as_str).unwrap_or_default();
            Some(Match::new(part(0), part(1), part(2)))
        }
        _ => None,
    }
}

fn captures(map: Map<String, Value>) -> Vec<(Name, Capture)> {
    let capture = |(name, value): (String, Value)| {
        let capture = match value {
            Value::String(text) => Capture::from(text),
            Value::Array(items) => {
                let mut parts = items.into_iter().map(|item| match item {
                    Value::Null => Some(None),
                    Value::String(text) => Some(Some(text)),
                    _ => None,
                });
                let parts = parts.by_ref().collect::<Option<Vec<_>>>()?;
                // A set and a tuple look the same here; only sessions make sets.
                if name == "users" {
                    Capture::Set(parts.into_iter().flatten().map(Into::into).collect())
                } else {
                    Capture::Tuple(parts.into())
                }
            }
            _ => return None,
        };
        Some((Name::from(&*name), capture))
    };
    map.into_iter().filter_map(capture).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            failures: 3,
            matches: vec![
                Match::new("", "2026-11-23 02:21:22", " bad 192.0.2.1 user=böb \"x\""),
                Match::new("", "", "2026-11-23 02:21:23 bad 192.0.2.1"),
            ],
            captures: vec![
                (
                    "fid".into(),
                    Capture::Tuple([None, Some("42".into())].into()),
                ),
                ("ip4".into(), "192.0.2.1".into()),
                ("user".into(), "böb".into()),
                (
                    "users".into(),
                    Capture::Set(["böb".into(), "x".into()].into()),
                ),
            ],
        }
    }

    #[test]
    fn the_text_is_what_the_original_writes() {
        let expected = r#"{"matches": [["", "2026-11-23 02:21:22", " bad 192.0.2.1 user=böb \"x\""], "2026-11-23 02:21:23 bad 192.0.2.1"], "failures": 3, "fid": [null, "42"], "ip4": "192.0.2.1", "user": "böb", "users": ["böb", "x"]}"#;
        assert_eq!(text(&ticket(), 10), expected);
        assert_eq!(
            text(&Ticket::default(), 10),
            r#"{"matches": [], "failures": 0}"#
        );
    }

    #[test]
    fn only_the_last_matches_are_stored() {
        assert!(text(&ticket(), 1).starts_with(r#"{"matches": ["2026-11-23 02:21:23 bad"#));
    }

    #[test]
    fn what_was_written_reads_back() {
        let back = read(text(&ticket(), 10).as_bytes());
        assert_eq!(back.failures, 3);
        assert_eq!(
            back.matches.iter().map(Match::joined).collect::<Vec<_>>(),
            ticket()
                .matches
                .iter()
                .map(Match::joined)
                .collect::<Vec<_>>()
        );
        assert_eq!(back.captures, ticket().captures);
    }

    #[test]
    fn damaged_data_reads_as_nothing() {
        for bytes in [
            &b""[..],
            b"{",
            b"[]",
            b"\xff\xfe",
            br#"{"matches": 5, "failures": -1}"#,
        ] {
            assert_eq!(read(bytes), Ticket::default(), "{bytes:?}");
        }
    }
}
