//! When a line was written, and whether that counts.

use ferroban_date::{Detector, Search, Timestamp, Zone};
use smol_str::SmolStr;

use super::LogLine;
use super::note::{Complaint, FilterNote, Told, cut};
use super::sight::DateSight;
use crate::ban::Match;

/// How far a line's time may lie from now, in seconds, before it counts as wrong; and
/// how long the date of a line holds for those after it that have none.
const ODD: i64 = 60;

/// A line without its date.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    /// The date as written, or as the line before had it.
    pub(super) shown: Shown<'a>,
    /// When it was written, as far as that is known.
    pub(super) time: Option<Timestamp>,
    /// What was found in it.
    pub(super) date: DateSight,
}

/// The date that is shown with a line.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    /// What stands in it.
    Own(&'a str),
    /// What the source told.
    Given(String),
    /// That of an earlier line.
    Last,
}

/// Reads the times of one log's lines.
#[derive(Debug)]
pub(super) struct Times {
    detector: Detector,
    zone: Zone,
    findtime: i64,
    /// The last time that was known, and the date as it was written.
    last: Option<(Timestamp, String)>,
}

impl Times {
    pub(super) fn new(detector: Detector, zone: Zone, findtime: u32) -> Self {
        Self {
            detector,
            zone,
            findtime: i64::from(findtime),
            last: None,
        }
    }

    pub(super) fn detector(&self) -> &Detector {
        &self.detector
    }

    pub(super) fn findtime(&self) -> i64 {
        self.findtime
    }

    /// Whether the time of this line, read from its own date, lies before the window
    /// that counts.
    pub(super) fn is_old(&mut self, now: Timestamp, text: &str) -> Option<bool> {
        let found = self.detector.find(text, now)?;
        Some(found.time < now.plus_secs(-self.findtime))
    }

    /// Finds the date of a line and takes it out.
    pub(super) fn cut<'a>(&mut self, now: Timestamp, line: LogLine<'a>) -> Cut<'a> {
        let text = line.text;
        if let Some(time) = line.time {
            let shown = Shown::Given(iso(time, &self.zone));
            self.remember(time, "");
            return whole(text, shown, Some(time), DateSight::Given(time));
        }
        match self.detector.search(text, now) {
            Search::Nothing => self.undated(now, text, DateSight::None),
            Search::Empty => match self.recent(now) {
                Some(time) => whole(text, Shown::Last, Some(time), DateSight::Empty),
                None => whole(text, Shown::Own(""), Some(now), DateSight::Empty),
            },
            Search::Unusable { span, why } => {
                let date = DateSight::Unusable {
                    span: span.clone(),
                    why,
                };
                if self.recent(now).is_some() {
                    return self.undated(now, text, date);
                }
                parts(text, &span, (None, date))
            }
            Search::Found(found) => {
                let (span, time) = (found.span, found.time);
                self.remember(time, text.get(span.clone()).unwrap_or_default());
                let date = DateSight::Found {
                    span: span.clone(),
                    time,
                };
                parts(text, &span, (Some(time), date))
            }
        }
    }

    /// A line without a date of its own belongs to the line before, for a while.
    fn undated<'a>(&self, now: Timestamp, text: &'a str, date: DateSight) -> Cut<'a> {
        match self.recent(now) {
            Some(time) => whole(text, Shown::Last, Some(time), date),
            None => whole(text, Shown::Own(""), None, date),
        }
    }

    fn recent(&self, now: Timestamp) -> Option<Timestamp> {
        let (last, _) = self.last.as_ref()?;
        (*last > now.plus_secs(-ODD)).then_some(*last)
    }

    fn remember(&mut self, time: Timestamp, text: &str) {
        match &mut self.last {
            Some((last, date)) => {
                *last = time;
                date.clear();
                date.push_str(text);
            }
            None => self.last = Some((time, text.to_owned())),
        }
    }

    /// The line as people see it.
    pub(super) fn shown(&self, cut: &Cut<'_>) -> Match {
        let date = match &cut.shown {
            Shown::Own(date) => date,
            Shown::Given(date) => date.as_str(),
            Shown::Last => self.last.as_ref().map_or("", |(_, date)| date),
        };
        Match::new(cut.before, date, cut.after)
    }

    /// A line that was cut before, and the last of those, as people see it.
    pub(super) fn shown_as(&self, text: &str, date: &DateSight) -> Match {
        let last = || self.last.as_ref().map_or("", |(_, date)| date);
        match date {
            DateSight::Found { span, .. } => split(text, span),
            DateSight::Given(time) => Match::new("", &iso(*time, &self.zone), text),
            // Unless it belongs to the line before.
            DateSight::Unusable { span, .. } if last().is_empty() => split(text, span),
            DateSight::None | DateSight::Empty | DateSight::Unusable { .. } => {
                Match::new("", last(), text)
            }
        }
    }

    /// The time a line counts at. `None`: the line is skipped. `Some(None)`: a match would
    /// have no time.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        (line, cut_line): (LogLine<'_>, &Cut<'_>),
        told: &mut Told,
        notes: &mut Vec<FilterNote>,
    ) -> Option<Option<Timestamp>> {
        if !line.live {
            let Some(time) = cut_line.time else {
                return Some(None);
            };
            if time >= now.plus_secs(-self.findtime) {
                return Some(Some(time));
            }
            if told.is_due(Complaint::TooOld, now) {
                notes.push(FilterNote::TooOld {
                    findtime: u32::try_from(self.findtime).unwrap_or(u32::MAX),
                    line: cut(line.text),
                });
            }
            return None;
        }
        let Some(time) = cut_line.time else {
            return Some(Some(now));
        };
        let off = now.micros_since(time);
        if off.abs() <= ODD * 1_000_000 {
            return Some(Some(time));
        }
        if told.is_due(Complaint::OddTime, now) {
            notes.push(FilterNote::OddTime {
                seconds: off / 1_000_000,
                line: cut(line.text),
            });
        }
        if let Some((last, _)) = &mut self.last {
            *last = now;
        }
        Some(Some(now))
    }
}

/// Whether a line's date is one that could not be read, and how it is written.
pub(super) fn unreadable<'a>(text: &'a str, date: &DateSight) -> Option<&'a str> {
    match date {
        DateSight::Unusable { span, .. } => text.get(span.clone()),
        _ => None,
    }
}

fn whole<'a>(text: &'a str, shown: Shown<'a>, time: Option<Timestamp>, date: DateSight) -> Cut<'a> {
    Cut {
        before: "",
        after: text,
        shown,
        time,
        date,
    }
}

/// A line without the text of its date. The ends of the span are boundaries of
/// characters.
fn parts<'a>(
    text: &'a str,
    span: &std::ops::Range<usize>,
    (time, date): (Option<Timestamp>, DateSight),
) -> Cut<'a> {
    Cut {
        before: text.get(..span.start).unwrap_or_default(),
        after: text.get(span.end..).unwrap_or_default(),
        shown: Shown::Own(text.get(span.clone()).unwrap_or_default()),
        time,
        date,
    }
}

fn split(text: &str, span: &std::ops::Range<usize>) -> Match {
    let part = |part: Option<&'_ str>| SmolStr::from(part.unwrap_or_default());
    Match {
        before: part(text.get(..span.start)),
        date: part(text.get(span.clone())),
        after: part(text.get(span.end..)),
    }
}

/// How a time that does not stand in the line is shown: ISO, local, and a blank.
fn iso(time: Timestamp, zone: &Zone) -> String {
    let text = ferroban_date::local_text(time, zone).replace(' ', "T");
    format!("{text}.{:06} ", time.subsec_micros())
}
