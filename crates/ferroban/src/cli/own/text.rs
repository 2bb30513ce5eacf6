//! What is shown of a text, a time or a length.
//!
//! An id may be any text that a filter captured, so an attacker may have written it.

use ferroban_date::Timestamp;
use serde::Serialize;

use crate::clock;

/// The longest text in a column.
const LONGEST: usize = 64;

/// The text, without anything that a terminal would obey or that turns it round.
pub(in crate::cli) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same, cut so that it fits into a column.
pub(super) fn brief(text: &str) -> String {
    let shown = shown(text);
    if shown.chars().count() <= LONGEST {
        return shown;
    }
    shown.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// One line of JSON, in which no such character stands as it is.
pub(in crate::cli) fn json(value: &impl Serialize) -> String {
    // Plain data with text for keys always has a form.
    json_line(&serde_json::to_string(value).unwrap_or_default())
}

/// The same for what is JSON already. Outside its texts JSON has none of them.
pub(super) fn json_line(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            // All of them are in the first plane, so one number will do.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, and those that change the direction of what follows.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// `2026-11-25 13:52:36`, here.
pub(super) fn moment(secs: i64) -> String {
    ferroban_date::local_text(Timestamp::from_secs(secs), clock::zone())
}

/// How long, in the two largest units: `9 min 12 s`, `7 d`. Less than nothing is for ever.
pub(super) fn length(secs: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    if secs < 0 {
        return "for ever".to_owned();
    }
    let first = UNITS
        .iter()
        .position(|(unit, _)| secs >= *unit)
        .unwrap_or(3);
    let mut rest = secs;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        if rest >= *unit || parts.is_empty() {
            parts.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    parts.join(" ")
}

/// `1 ban`, `2 bans`.
pub(super) fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_log_moves_the_cursor() {
        let rows = [
            ("192.0.2.1", "192.0.2.1"),
            ("é 字", "é 字"),
            ("a\u{1b}[2Jb\r\n", r"a\u{1b}[2Jb\r\n"),
            ("\u{7f}\u{9b}31m", r"\u{7f}\u{9b}31m"),
            ("\u{202e}moc", r"\u{202e}moc"),
            ("a\u{2028}b", r"a\u{2028}b"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), expected);
            let line = json(&text);
            assert!(!line.chars().any(is_unsafe), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn what_is_too_long_for_a_column_is_cut() {
        let long = "ab".repeat(40);
        assert_eq!(brief(&long).chars().count(), LONGEST);
        assert!(brief(&long).ends_with("ba…"));
        assert_eq!(brief("short"), "short");
    }

    #[test]
    fn lengths_have_two_units() {
        let rows = [
            (-1, "for ever"),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (552, "9 min 12 s"),
            (3600, "1 h"),
            (3601, "1 h"),
            (5400, "1 h 30 min"),
            (86_400, "1 d"),
            (612_000, "7 d 2 h"),
            (86_400 + 61, "1 d"),
            (i64::MAX, "106751991167300 d 15 h"),
        ];
        for (secs, expected) in rows {
            assert_eq!(length(secs), expected, "{secs}");
        }
    }
}
