//! Values as Python shows them: what `-o row` and the like print.

use ferroban_config::quoted;
use ferroban_date::{Timestamp, Zone, local_text};
use ferroban_engine::{Capture, Match};

use crate::wire::text::float;

/// The `repr` of a captured value.
pub(super) fn repr(value: Option<&Capture>) -> String {
    value.map_or_else(|| "None".to_owned(), Capture::repr)
}

/// The `str` of a captured value.
pub(super) fn display(value: Option<&Capture>) -> String {
    value.map_or_else(|| "None".to_owned(), Capture::to_string)
}

/// The `repr` of a dictionary of texts.
pub(super) fn dict<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pair = |(name, value)| format!("{}: {value}", quoted(name));
    let pairs: Vec<String> = pairs.into_iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The `repr` of lines, each split where its date was.
pub(super) fn matches(lines: &[Match]) -> String {
    let line = |line: &Match| {
        let parts = [&line.before, &line.date, &line.after].map(|part| quoted(part));
        format!("({})", parts.join(", "))
    };
    let lines: Vec<String> = lines.iter().map(line).collect();
    format!("[{}]", lines.join(", "))
}

/// Seconds: whole ones as an integer if `whole`, else a float.
pub(super) fn seconds(time: Timestamp, whole: bool) -> String {
    if whole {
        return time.secs().to_string();
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a float is what Python has there; it holds microseconds for centuries"
    )]
    let seconds = time.micros() as f64 / 1e6;
    float(seconds)
}

/// A time as C's `ctime` writes it, but for the day, which has two digits.
pub(super) fn date(time: Timestamp, zone: &Zone) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = local_text(time, zone);
    let number = |range: std::ops::Range<usize>| -> Option<usize> { text.get(range)?.parse().ok() };
    let shown = || {
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let clock = text.get(11..)?;
        // The day of the week, by Sakamoto's table.
        let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4].get(month.checked_sub(1)?)?;
        let base = if month < 3 {
            year.checked_sub(1)?
        } else {
            year
        };
        let weekday = (base + base / 4 + base / 400 + shift + day).checked_sub(base / 100)? % 7;
        let (weekday, month) = (DAYS.get(weekday)?, MONTHS.get(month.checked_sub(1)?)?);
        Some(format!("{weekday} {month} {day:02} {clock} {year:04}"))
    };
    shown().unwrap_or(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_in_python() {
        let text = |text: &str| text.to_owned();
        let value = Capture::from("it's");
        assert_eq!(repr(Some(&value)), "\"it's\"");
        assert_eq!(display(Some(&value)), "it's");
        assert_eq!((repr(None), display(None)), (text("None"), text("None")));
        assert_eq!(
            dict([("a", text("None")), ("b'", text("1"))]),
            "{'a': None, \"b'\": 1}"
        );
        let line = Match::new("", "x", " y");
        assert_eq!(
            matches(&[line.clone(), line]),
            "[('', 'x', ' y'), ('', 'x', ' y')]"
        );
    }

    #[test]
    fn times_look_as_in_python() {
        let rows = [
            (
                1_781_524_681_000_000,
                "Mon Jun 15 11:58:01 2026",
                "1781524681.0",
            ),
            (
                1_780_621_323_123_000,
                "Fri Jun 05 01:02:03 2026",
                "1780621323.123",
            ),
            (
                951_782_400_000_000,
                "Tue Feb 29 00:00:00 2000",
                "951782400.0",
            ),
            (0, "Thu Jan 01 00:00:00 1970", "0.0"),
        ];
        for (micros, shown, number) in rows {
            let time = Timestamp::from_micros(micros);
            assert_eq!(date(time, &Zone::utc()), shown);
            assert_eq!(seconds(time, false), number);
            assert_eq!(seconds(time, true), (micros / 1_000_000).to_string());
        }
    }
}
