//! The failures of one line, as `-o` prints them; with `-i`, the lines without any.

use ferroban_config::quoted;
use ferroban_date::Timestamp;
use ferroban_engine::{DateSight, Filter, Found, HitOutcome, Sight};

use super::output::Printer;
use super::pick::{NeedsJail, Pick, Row};
use super::python;
use super::tally::{Class, Judged, id_repr};

/// Prints the failures of each line.
#[derive(Debug)]
pub(super) struct Rows {
    invert: bool,
    /// The last time that a line told.
    last: Option<String>,
}

/// A line that was looked at.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) sight: &'a Sight,
    pub(super) judged: &'a Judged,
    pub(super) now: Timestamp,
    /// The whole line.
    pub(super) line: &'a str,
    /// What looked at it.
    pub(super) filter: &'a Filter,
    pub(super) in_zone: bool,
}

impl Rows {
    pub(super) fn new(invert: bool) -> Self {
        Self { invert, last: None }
    }

    /// Prints what `pick` wants of a line.
    pub(super) fn print(
        &mut self,
        seen: &Seen<'_>,
        printer: &mut Printer,
        pick: &Pick,
    ) -> Result<(), NeedsJail> {
        if self.invert
            && let DateSight::Found { time, .. } | DateSight::Given(time) = seen.sight.date
        {
            self.last = Some(python::seconds(time, seen.is_whole()));
        }
        let matched = seen.judged.class == Class::Matched;
        let failures = seen.judged.failures.iter().filter(|_| matched);
        let mut failures = failures.filter_map(|(place, id)| {
            let outcome = &seen.sight.hits.get(*place)?.outcome;
            match outcome {
                HitOutcome::Failure(found) => Some((found.as_ref(), id)),
                _ => None,
            }
        });
        if self.invert {
            let failed = failures.next().is_some();
            return if failed {
                Ok(())
            } else {
                self.other(seen, printer, pick)
            };
        }
        for (found, id) in failures {
            if let Some(text) = pick.text(&row(found, id, seen))? {
                printer.line(&text);
            }
        }
        Ok(())
    }

    /// A line that is no failure, as a failure of nobody.
    fn other(&self, seen: &Seen<'_>, printer: &mut Printer, pick: &Pick) -> Result<(), NeedsJail> {
        let now = || python::seconds(seen.now, false);
        let line = seen.filter.shown(seen.line, seen.sight);
        let row = Row {
            id: String::new(),
            id_repr: quoted(""),
            time: self.last.clone(),
            counted: self.last.clone().unwrap_or_else(now),
            fields: &[],
            matches: std::slice::from_ref(&line),
        };
        if let Some(text) = pick.text(&row)? {
            printer.line(&text);
        }
        Ok(())
    }
}

fn row<'a>(found: &'a Found, id: &str, seen: &Seen<'_>) -> Row<'a> {
    let time = python::seconds(found.failure.time, seen.is_whole());
    let now = || python::seconds(seen.now, false);
    Row {
        id: id.to_owned(),
        id_repr: id_repr(found, id),
        counted: if found.has_time { time.clone() } else { now() },
        time: found.has_time.then_some(time),
        fields: &found.fields,
        matches: &found.failure.ticket.matches,
    }
}

impl Seen<'_> {
    /// Whether Python has the time of the line as an integer: where a zone came into it,
    /// in the line or by `--timezone`, and for labels of TAI64N.
    fn is_whole(&self) -> bool {
        let DateSight::Found { span, .. } = &self.sight.date else {
            return false;
        };
        let templates = self.filter.dates().templates();
        let template = self
            .filter
            .dates()
            .last()
            .and_then(|place| templates.get(place));
        let name = template.map(|template| template.name).unwrap_or_default();
        if name.to_uppercase().contains("EPOCH") {
            return false;
        }
        let text = self.line.get(span.clone()).unwrap_or_default();
        self.in_zone || name.ends_with("TAI64N") || (name.contains("Zone") && has_zone(text))
    }
}

/// Whether a date has its zone before or behind it.
fn has_zone(date: &str) -> bool {
    let first = date.split(' ').next().unwrap_or_default();
    let letters = first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let words = date.split(' ').filter(|word| !word.is_empty()).count();
    let weekday = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let before = letters
        && words > 3
        && !weekday.contains(&first.to_lowercase().as_str())
        && date
            .split(' ')
            .nth(1)
            .is_some_and(|word| word.starts_with(|c: char| c.is_alphabetic()));
    let signed = first.starts_with(['+', '-']);
    before || signed || ["Z", "UTC", "GMT"].iter().any(|zone| date.ends_with(zone)) || offset(date)
}

/// Whether a date ends with `+hh`, `+hhmm` or `+hh:mm`.
fn offset(date: &str) -> bool {
    let Some((_, end)) = date.rsplit_once(['+', '-']) else {
        return false;
    };
    let digits = end.replacen(':', "", 1);
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let width = [2, 4].contains(&digits.len()) && [2, 4, 5].contains(&end.len());
    // The day of `2026-06-15` has no time behind it.
    number && width && date.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_seen_before_and_behind_a_date() {
        let rows = [
            ("2026-06-15 11:58:01", false),
            ("2026-06-15T11:58:01Z", true),
            ("2026-06-15 11:58:01+02:00", true),
            ("2026-06-15 11:58:01 -0330", true),
            ("2026-06-15 11:58:01,123+02", true),
            ("15/Jun/2026:11:58:01 +0000", true),
            ("Jun 15 11:58:01", false),
            ("Mon Jun 15 11:58:01 2026", false),
            ("PDT Jun 15 11:58:01", true),
            ("+00:00 Jun 15 11:58:01.011 2026", true),
            ("20260615-115801", false),
        ];
        for (date, expected) in rows {
            assert_eq!(has_zone(date), expected, "{date}");
        }
    }
}
