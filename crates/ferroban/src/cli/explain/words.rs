//! What is told of a line, for people.

use ferroban_date::Timestamp;
use ferroban_engine::{BanTime, JailSettings};

use super::excerpt::{self, marked, pointed, start};
use super::look::Examiner;
use super::paint::{Paint, Tone};
use super::view::{Blank, Captures, Date, Dated, Line, Matched, Prefix, Stop, What};
use crate::cli::own::text::shown;
use crate::clock;

/// Below a step's name.
const INDENT: &str = "             ";

/// What lines are shown to, in one line.
pub(super) fn head(examiner: &Examiner, paint: Paint) -> String {
    if examiner.subject.is_literal() {
        return paint.text(Tone::Strong, "a failregex, without a filter");
    }
    let settings = &examiner.subject.settings;
    let mut parts = vec![count(settings.failregex.len(), "failregex", "failregexes")];
    if settings.prefregex.is_some() {
        parts.insert(0, "prefregex".to_owned());
    }
    if !settings.ignoreregex.is_empty() {
        let number = settings.ignoreregex.len();
        parts.push(count(number, "ignoreregex", "ignoreregexes"));
    }
    if settings.maxlines > 1 {
        parts.push(format!("{} lines at a time", settings.maxlines));
    }
    let name = paint.text(Tone::Strong, &shown(&examiner.subject.name));
    format!("{name}: {}", parts.join(", "))
}

/// A line and its steps.
pub(super) fn line(line: &Line, paint: Paint) -> String {
    let mut out = vec![match &line.date.span {
        Some(span) => marked(&line.line, span, Tone::Date, paint),
        None => excerpt::line(&line.line),
    }];
    let mut steps = Steps {
        out: &mut out,
        paint,
    };
    steps.date(&line.date);
    if let Some(prefix) = &line.prefix {
        steps.prefix(prefix);
    }
    for pattern in &line.gave_up {
        steps.step("gave up", &start(pattern));
    }
    if let Some(matched) = &line.failregex {
        steps.matched(matched, &line.others);
    }
    if let Some(stop) = &line.closest {
        steps.closest(stop);
    } else if line.verdict.what == What::NoMatch {
        steps.step("failregex", "none comes close");
        let sees = start(line.sees.as_deref().unwrap_or_default());
        steps.more(&format!("sees: '{sees}'"));
    }
    if let Some(blank) = &line.blank {
        steps.blank(blank);
    }
    if let Some(ignored) = &line.ignoreregex {
        let text = format!("{} matches: {}", ignored.number, start(&ignored.pattern));
        steps.step("ignoreregex", &text);
    }
    if let Some(session) = &line.session {
        let end = if session.forgets {
            ", which ends here"
        } else {
            ""
        };
        steps.step("session", &format!("{}{end}", start(&session.id)));
    }
    if !line.verdict.asks.is_empty() {
        let asks: Vec<String> = line.verdict.asks.iter().map(|text| start(text)).collect();
        steps.step("asks first", &asks.join(", "));
    }
    let counts = line.verdict.what == What::Failure && line.verdict.ignored_by.is_none();
    let tone = if counts { Tone::Found } else { Tone::Strong };
    let verdict = paint.text(tone, &start(&line.verdict.text));
    steps.step("verdict", &verdict);
    out.join("\n")
}

/// What it takes to be banned.
pub(super) fn limits(jail: &JailSettings) -> String {
    let window = length(i64::from(jail.findtime));
    let ban = match jail.bantime {
        BanTime::For(seconds) => format!("for {}", length(i64::from(seconds))),
        BanTime::Forever => "for ever".to_owned(),
    };
    match jail.maxretry {
        1 => format!("one such failure bans {ban}"),
        number => format!("{number} such failures within {window} ban {ban}"),
    }
}

/// Where a pattern stopped, in three lines.
pub(super) fn stopped(stop: &Stop, indent: &str, paint: Paint) -> String {
    let place = pointed(&stop.text, &stop.span, indent, paint);
    let wanted = match stop.wanted.as_str() {
        "" | "$" => "the end of the line".to_owned(),
        wanted => start(wanted),
    };
    let end = if stop.span.end == stop.text.len() {
        "the line ends here; wanted"
    } else {
        "wanted here"
    };
    format!(
        "{place}\n{indent}{end}: {}",
        paint.text(Tone::Strong, &wanted)
    )
}

/// `26 s`, `9 min 12 s`, `7 d`.
pub(super) fn length(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit);
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first.unwrap_or(3)).take(2) {
        if rest >= *unit || parts.is_empty() {
            parts.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    parts.join(" ")
}

/// A time here, with its zone, and how long ago that is.
pub(super) fn moment(time: Timestamp, age: i64) -> String {
    let zone = clock::zone();
    let rfc = ferroban_date::rfc3339_millis(time, zone);
    let zone_at = rfc.len().saturating_sub("+00:00".len());
    let offset = rfc.get(zone_at..).unwrap_or_default();
    let local = ferroban_date::local_text(time, zone);
    let distance = match age {
        0 => "now".to_owned(),
        age if age < 0 => format!("in {}", length(age.saturating_neg())),
        age => format!("{} ago", length(age)),
    };
    format!("{local} {offset}, {distance}")
}

/// `1 failure`, `2 failures`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The steps of one line, below each other.
struct Steps<'a> {
    out: &'a mut Vec<String>,
    paint: Paint,
}

impl Steps<'_> {
    fn step(&mut self, name: &str, text: &str) {
        let name = self.paint.text(Tone::Faint, &format!("{name:11}"));
        self.out.push(format!("  {name}{text}"));
    }

    fn more(&mut self, text: &str) {
        self.out.push(format!("{INDENT}{text}"));
    }

    fn date(&mut self, date: &Date) {
        let why = date.why.as_deref().map(start).unwrap_or_default();
        let text = match (&date.local, date.found) {
            (Some(local), _) => self.paint.text(Tone::Date, local),
            (None, Dated::Unusable) => {
                let text = start(date.text.as_deref().unwrap_or_default());
                self.paint.text(Tone::Bad, &format!("'{text}' {why}"))
            }
            (None, _) => why.clone(),
        };
        self.step("date", &text);
        if let Some(pattern) = &date.pattern {
            let text = format!("read as {}", start(pattern));
            self.more(&self.paint.text(Tone::Faint, &text));
        }
        if date.local.is_some() && !why.is_empty() {
            self.more(&why);
        }
    }

    fn prefix(&mut self, prefix: &Prefix) {
        match &prefix.stopped {
            Some(stop) if !prefix.matches => {
                self.step("prefregex", "does not match; it comes as far as this:");
                self.out.push(stopped(stop, INDENT, self.paint));
            }
            _ => {
                let content = prefix.content.as_deref().map(excerpt::line);
                let text = match content {
                    Some(content) => format!("matches, and leaves: {content}"),
                    None => "matches".to_owned(),
                };
                self.step("prefregex", &text);
                self.captures(&prefix.captures);
            }
        }
    }

    fn matched(&mut self, matched: &Matched, others: &[usize]) {
        let pattern = &matched.pattern;
        let text = format!("{} matches: {}", pattern.number, start(&pattern.pattern));
        let text = self.paint.text(Tone::Good, &text);
        self.step("failregex", &text);
        self.captures(&matched.captures);
        if !others.is_empty() {
            let numbers: Vec<String> = others.iter().map(ToString::to_string).collect();
            let text = format!("so would {}; the first one counts", numbers.join(", "));
            self.more(&text);
        }
    }

    fn blank(&mut self, blank: &Blank) {
        let which = match blank.number {
            Some(number) => format!("{number} matches"),
            None => "it matches".to_owned(),
        };
        let start = r"^\s*";
        self.more(&format!(
            "{which} without the blank at the start; begin it with {start}"
        ));
    }

    fn captures(&mut self, captures: &Captures) {
        let pairs = captures.iter().map(|(name, value)| {
            let name = self.paint.text(Tone::Faint, &format!("{}=", shown(name)));
            format!("{name}{}", start(value))
        });
        let pairs: Vec<String> = pairs.collect();
        if !pairs.is_empty() {
            self.more(pairs.join("  ").trim_end());
        }
    }

    fn closest(&mut self, stop: &Stop) {
        let number = stop.number.map(|number| number.to_string());
        let text = format!(
            "none matches; {} comes closest: {}",
            number.unwrap_or_default(),
            start(&stop.pattern)
        );
        self.step("failregex", &text);
        self.out.push(stopped(stop, INDENT, self.paint));
    }
}
