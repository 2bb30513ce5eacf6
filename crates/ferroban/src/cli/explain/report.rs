//! What a whole log comes to, for people.

use ferroban_date::Timestamp;

use super::excerpt::{self, start};
use super::look::Examiner;
use super::paint::{Paint, Tone};
use super::sample::Sample;
use super::tally::{Hits, Told};
use super::words;
use crate::cli::own::text::shown;
use crate::clock;

/// The report. The jail's limits are below it.
pub(super) fn text(told: &Told, examiner: &Examiner, paint: Paint) -> String {
    let mut out = vec![format!(
        "{}, on {}",
        words::head(examiner, paint),
        shown(&told.log)
    )];
    out.push(counts(told, paint));
    if !told.dates.is_empty() {
        let rows = told
            .dates
            .iter()
            .map(|date| (date.lines, start(&date.pattern)));
        out.push(section("dates", rows, paint));
    }
    if !told.ids.is_empty() {
        let rest = told.id_count.saturating_sub(told.ids.len());
        let title = match (rest, told.others) {
            (0, _) => "who failed".to_owned(),
            (rest, 0) => format!("who failed most; {rest} more did"),
            // Those that are not told apart may have failed most.
            (rest, _) => format!(
                "who failed most of the first {}; {rest} more of them did",
                told.id_count
            ),
        };
        let rows = told.ids.iter().map(|id| (id.failures, start(&id.id)));
        let others = (told.others, "others, which are not told apart".to_owned());
        let rows = rows.chain((told.others > 0).then_some(others));
        out.push(section(&title, rows, paint));
    }
    out.push(patterns("failregex", &told.failregex, paint));
    if !told.ignoreregex.is_empty() {
        out.push(patterns("ignoreregex", &told.ignoreregex, paint));
    }
    if !told.gave_up.is_empty() {
        let all = told
            .gave_up
            .iter()
            .map(|pattern| format!("    {}", start(pattern)));
        let all: Vec<String> = all.collect();
        out.push(format!(
            "gave up on a line, which did not count:\n{}",
            all.join("\n")
        ));
    }
    if !told.samples.is_empty() {
        out.push(samples(told, paint));
    }
    if let Some(jail) = &examiner.subject.jail {
        out.push(words::limits(jail));
    }
    out.join("\n\n")
}

fn counts(told: &Told, paint: Paint) -> String {
    let span = match (told.from, told.to) {
        (Some(from), Some(to)) => format!("from {} to {}", moment(from), moment(to)),
        _ => String::new(),
    };
    let ids = match told.id_count {
        0 => String::new(),
        number => {
            let more = if told.others > 0 { "more than " } else { "" };
            format!("of {more}{}", words::count(number, "id", "different ids"))
        }
    };
    let mut rows = vec![
        ("lines", told.lines, String::new()),
        ("with a date", told.dated, span),
    ];
    if let Some(prefixed) = told.prefixed {
        rows.push(("prefregex matches", prefixed, String::new()));
    }
    let nearly = match told.nearly {
        Some(nearly) if nearly > 0 => {
            format!("of which prefregex matches {nearly}")
        }
        _ => String::new(),
    };
    rows.extend([
        ("failures", told.failures, ids),
        ("ignored", told.ignored, "an ignoreregex matches".to_owned()),
        (
            "harmless",
            told.harmless,
            "only remembered for their session".to_owned(),
        ),
        (
            "pending",
            told.pending,
            "failures, but not known whose".to_owned(),
        ),
        ("missed", told.missed, nearly),
    ]);
    if told.parts > 0 {
        let ended = "of what a later line ended".to_owned();
        rows.insert(rows.len() - 1, ("parts", told.parts, ended));
    }
    let width = told.lines.to_string().len();
    let row = |(name, number, more): (&str, u64, String)| {
        let more = if number == 0 { String::new() } else { more };
        let name_shown = paint.text(Tone::Faint, &format!("{name:17}"));
        let number = format!("{number:>width$}");
        let number = if name == "failures" {
            paint.text(Tone::Found, &number)
        } else {
            number
        };
        let line = format!("{name_shown}  {number}  {more}");
        line.trim_end().to_owned()
    };
    rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
}

fn moment(seconds: i64) -> String {
    ferroban_date::local_text(Timestamp::from_secs(seconds), clock::zone())
}

/// Numbers with what they count.
fn section(title: &str, rows: impl Iterator<Item = (u64, String)>, paint: Paint) -> String {
    let rows: Vec<(u64, String)> = rows.collect();
    let widths = rows.iter().map(|(number, _)| number.to_string().len());
    let width = widths.max().unwrap_or(1);
    let lines = rows
        .iter()
        .map(|(number, text)| format!("    {number:>width$}  {text}"));
    let lines: Vec<String> = lines.collect();
    format!("{}\n{}", paint.text(Tone::Faint, title), lines.join("\n"))
}

/// Those that matched, most first, and the numbers of those that did not.
fn patterns(title: &str, hits: &[Hits], paint: Paint) -> String {
    let mut used: Vec<&Hits> = hits.iter().filter(|hits| hits.hits > 0).collect();
    used.sort_by_key(|hits| std::cmp::Reverse(hits.hits));
    let row = |hits: &&Hits| {
        let text = format!("{}: {}", hits.pattern.number, start(&hits.pattern.pattern));
        (hits.hits, text)
    };
    let mut out = if used.is_empty() {
        paint.text(Tone::Faint, title)
    } else {
        section(title, used.iter().map(row), paint)
    };
    let unused = hits.iter().filter(|hits| hits.hits == 0);
    let unused = ranges(unused.map(|hits| hits.pattern.number));
    if !unused.is_empty() {
        out += &format!("\n    never matched: {unused}");
    }
    out
}

/// `1, 3-5`.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let run = |(first, last): (usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(", ")
}

fn samples(told: &Told, paint: Paint) -> String {
    let (near, far): (Vec<&Sample>, Vec<&Sample>) = told
        .samples
        .iter()
        .partition(|sample| sample.closest.is_some());
    let mut out = Vec::new();
    if !near.is_empty() {
        let title = match told.nearly {
            Some(nearly) => format!(
                "nearly: prefregex matches and no failregex does ({} of {nearly} shown)",
                near.len()
            ),
            None => "nearly: a failregex begins to match".to_owned(),
        };
        out.push(listed(&title, &near, paint));
    }
    if !far.is_empty() {
        let title = "prefregex matches, and no failregex comes close";
        out.push(listed(title, &far, paint));
    }
    out.join("\n\n")
}

/// Lines, each with the place where the closest failregex stopped.
fn listed(title: &str, samples: &[&Sample], paint: Paint) -> String {
    let mut out = vec![paint.text(Tone::Faint, title)];
    for sample in samples {
        let line = excerpt::line(&sample.line);
        out.push(format!("    line {}: {line}", sample.number));
        if let Some(stop) = &sample.closest {
            let number = stop.number.unwrap_or_default();
            out.push(format!(
                "        failregex {number} comes closest: {}",
                start(&stop.pattern)
            ));
            out.push(words::stopped(stop, "        ", paint));
        }
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_a_range() {
        let rows: [(&[usize], &str); 4] = [
            (&[], ""),
            (&[2], "2"),
            (&[1, 2, 4], "1, 2, 4"),
            (&[1, 3, 4, 5, 9], "1, 3-5, 9"),
        ];
        for (numbers, expected) in rows {
            assert_eq!(ranges(numbers.iter().copied()), expected);
        }
    }
}
