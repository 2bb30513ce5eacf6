//! The date of a line, by the templates of one log.
//!
//! A [`Detector`] has a list of templates, the default ones or those of
//! `datepattern`, and learns from each line which of them its log uses
//! ([`choice`](crate::choice)). How a template finds a date is left to
//! [`template`](crate::template), what the date means to
//! [`fields`](crate::fields).

use std::ops::Range;
use std::sync::Arc;

use crate::builtin::{embedded, templates};
use crate::choice::{Candidate, Entry, Memory, again, choose, same};
use crate::directive::years;
use crate::fields::{DAY, Reading, last_year};
use crate::kept::Kept;
use crate::line::Line;
use crate::pattern::LINE_BEGIN;
use crate::quick::Seen;
use crate::template::{Template, key};
use crate::{LogZone, PatternError, Timestamp, Zone};

/// Finds the date of a line.
///
/// It remembers which formats it has met and where, so the lines of one log, or of
/// a few that are alike, should be shown to one detector.
#[derive(Clone, Debug)]
pub struct Detector {
    zone: Zone,
    log_zone: Option<LogZone>,
    entries: Vec<Entry>,
    memory: Memory,
    kept: Kept,
    /// The last year that `%ExY` of the templates takes; none yet in 0.
    last_year: i16,
    /// The day on which that was asked.
    today: Range<Timestamp>,
    last: Option<usize>,
}

/// The date of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The bytes that are cut from the line before a filter sees it; both ends
    /// are boundaries of characters.
    pub span: Range<usize>,
    /// The instant that they tell.
    pub time: Timestamp,
}

/// What a line says about its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Search {
    /// Nothing.
    Nothing,
    /// A template matched, but nothing is cut: there is no date in the line, and there
    /// need not be one (`{NONE}`, or a pattern all of which is optional).
    Empty,
    /// There is a date, and it is cut, but it is none.
    Unusable {
        /// The bytes that are cut.
        span: Range<usize>,
        /// What is wrong with it.
        why: Unusable,
    },
    /// When it was written.
    Found(Found),
}

/// Why a date tells no time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// It names a zone that nobody knows.
    UnknownZone(String),
    /// It is no time: the thirtieth of February, a leap second, a zone in small
    /// letters.
    NotATime,
    /// Something is missing that nothing can be put in place of: a day without a
    /// month, or a month without a day.
    Incomplete,
}

/// A template as `fail2ban-regex` reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemplateView<'a> {
    /// The pattern in words, as [`display_name`](crate::display_name) gives it.
    pub name: &'a str,
    /// The pattern; empty for one made of a word such as `EPOCH`, as in the original.
    pub pattern: &'a str,
    /// The regular expression that was made of it.
    pub regex: &'a str,
    /// How many lines were its own.
    pub hits: u64,
    /// How much it counts now.
    pub weight: f64,
    /// How much it counts by itself.
    pub template_weight: f64,
}

impl Detector {
    /// A detector of the default templates, for a log whose stamps are of that zone
    /// if they name none.
    #[must_use]
    pub const fn new(zone: Zone) -> Self {
        Self {
            zone,
            log_zone: None,
            entries: Vec::new(),
            memory: Memory::new(),
            kept: Kept::new(),
            last_year: 0,
            today: Timestamp::MAX..Timestamp::MAX,
            last: None,
        }
    }

    /// A detector of these patterns (`datepattern`), in this order; of the default
    /// templates if there are none. `now` decides which years are believed.
    ///
    /// # Errors
    /// [`PatternError`] if one is no pattern, or has the name of another. One that is
    /// no regular expression is taken, as in the original, and never matches;
    /// [`check`](Self::check) tells of it.
    pub fn with_patterns(
        patterns: &[String],
        zone: Zone,
        now: Timestamp,
    ) -> Result<Self, PatternError> {
        let mut detector = Self::new(zone);
        detector.last_year = last_year(now);
        let years = years(detector.last_year);
        for pattern in patterns {
            let pattern = pattern.trim();
            if !pattern.is_empty() {
                detector.add_pattern(pattern, &years)?;
            }
        }
        Ok(detector)
    }

    /// Whether every pattern is a regular expression.
    ///
    /// # Errors
    /// [`PatternError`] of the first that is none.
    pub fn check(&self) -> Result<(), PatternError> {
        let mut templates = self.entries.iter().map(|entry| &entry.template);
        templates.try_for_each(|template| template.check())
    }

    /// The same for a log with a zone of its own (`logtimezone`).
    #[must_use]
    pub fn in_log_zone(self, zone: LogZone) -> Self {
        let log_zone = Some(zone);
        Self { log_zone, ..self }
    }

    /// The date of a line, if it has one that is an instant. `now` decides the
    /// year of a stamp without one.
    pub fn find(&mut self, line: &str, now: Timestamp) -> Option<Found> {
        match self.search(line, now) {
            Search::Found(found) => Some(found),
            Search::Nothing | Search::Empty | Search::Unusable { .. } => None,
        }
    }

    /// As [`find`](Self::find), and tells a line without a date from one whose
    /// date is impossible.
    pub fn search(&mut self, line: &str, now: Timestamp) -> Search {
        self.prepare(now);
        let (entries, memory) = (&mut self.entries, &mut self.memory);
        if let Some((index, seen)) = same(entries, memory, (line, self.last_year), now) {
            return self.answer(index, seen, now);
        }
        let line = Line::new(line, self.last_year);
        if let Some((index, seen)) = again(entries, memory, &line, now) {
            return self.answer(index, seen, now);
        }
        self.search_all(&line, now)
    }

    #[inline]
    fn answer(&mut self, index: usize, seen: Seen<'_>, now: Timestamp) -> Search {
        self.last = Some(index);
        let reading = Reading {
            zone: &self.zone,
            log_zone: self.log_zone,
            now,
        };
        let time = seen.value.instant(reading, &mut self.kept);
        answer(seen.cut.0..seen.cut.1, time)
    }

    #[inline(never)]
    fn search_all(&mut self, line: &Line<'_>, now: Timestamp) -> Search {
        let chosen = choose(&mut self.entries, &mut self.memory, line, now);
        self.last = chosen.as_ref().map(|chosen| chosen.index);
        let Some(Candidate { index, hit, .. }) = &chosen else {
            return Search::Nothing;
        };
        let span = hit.cut.clone();
        let Some(entry) = self.entries.get(*index).filter(|_| !span.is_empty()) else {
            return Search::Empty;
        };
        let reading = Reading {
            zone: &self.zone,
            log_zone: self.log_zone,
            now,
        };
        answer(span, entry.template.instant(hit, reading, &mut self.kept))
    }

    /// The templates in their present order; none before the first line if they are
    /// the default ones.
    #[must_use]
    pub fn templates(&self) -> Vec<TemplateView<'_>> {
        self.entries.iter().map(Entry::view).collect()
    }

    /// The place in [`templates`](Self::templates) of the one that the last line
    /// searched belongs to, if it belongs to one.
    #[must_use]
    pub const fn last(&self) -> Option<usize> {
        self.last
    }

    /// What is shown as the date pattern: the pattern, unless it is a word such as
    /// `EPOCH`, and its name. Of more than two, they are the default ones to the
    /// original, and of two it shows one.
    #[must_use]
    pub fn name(&self) -> (Option<&str>, &str) {
        match self.entries.as_slice() {
            [first] | [first, _] => (first.template.pattern(), first.template.name()),
            _ => (None, "Default Detectors"),
        }
    }

    fn add_pattern(&mut self, pattern: &str, years: &str) -> Result<(), PatternError> {
        let key = key(pattern);
        let append = !self.entries.is_empty();
        if key == "{DEFAULT}" {
            // As in the original: what is left without a template has the default
            // ones, and what has one keeps it.
            return Ok(());
        }
        if key == LINE_BEGIN {
            let templates = templates(years);
            let mut anchored = templates.into_iter().filter(Template::is_anchored);
            return anchored.try_for_each(|template| self.add(template, append));
        }
        let make = |text: &str| {
            let template = Template::new(text, years);
            template.map_err(|problem| PatternError::bad(pattern, problem))
        };
        if key.contains("{DATE}") {
            return embedded(pattern).try_for_each(|text| self.add(make(&text)?, append));
        }
        self.add(make(pattern)?, false)
    }

    /// Adds a template. One of a name that is there already is an error, or is
    /// left out if `skip` says so.
    fn add(&mut self, template: Template, skip: bool) -> Result<(), PatternError> {
        let known = |entry: &Entry| entry.template.name() == template.name();
        if self.entries.iter().any(known) {
            return if skip {
                Ok(())
            } else {
                Err(PatternError::Duplicate {
                    name: template.name().to_owned(),
                })
            };
        }
        self.entries.push(Entry::new(template));
        Ok(())
    }

    /// Makes the templates of the years that `now` is in.
    #[inline]
    fn prepare(&mut self, now: Timestamp) {
        self.keep_years(now);
        if self.entries.is_empty() {
            let templates = templates(&years(self.last_year));
            self.entries.extend(templates.into_iter().map(Entry::new));
        }
    }

    /// Remakes the templates when the clock has come to years that they do not take.
    fn keep_years(&mut self, now: Timestamp) {
        if self.today.contains(&now) {
            return;
        }
        let today = now.secs().div_euclid(DAY) * DAY;
        self.today = Timestamp::from_secs(today)..Timestamp::from_secs(today + DAY);
        let last_year = last_year(now);
        if self.last_year == last_year {
            return;
        }
        self.last_year = last_year;
        let years = years(last_year);
        for entry in &mut self.entries {
            if let Ok(template) = entry.template.in_years(&years) {
                entry.template = Arc::new(template);
            }
        }
    }
}

fn answer(span: Range<usize>, time: Result<Timestamp, Unusable>) -> Search {
    match time {
        Ok(time) => Search::Found(Found { span, time }),
        Err(why) => Search::Unusable { span, why },
    }
}

impl Entry {
    fn view(&self) -> TemplateView<'_> {
        TemplateView {
            name: self.template.name(),
            pattern: self.template.pattern().unwrap_or(""),
            regex: self.template.regex(),
            hits: self.hits,
            weight: self.weight(),
            template_weight: self.template.weight(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
