//! Turns log lines into failures. Counts nothing, reads no file.
//!
//! The steps for one line are fail2ban's: find the date and cut it out, decide
//! whether the line is recent enough to count, match `prefregex`, then the
//! failregexes in order, then `ignoreregex`, then what the session of the line
//! knows, and last who it was. [`Filter::feed`] is this path as the daemon takes it;
//! [`Filter::examine`] takes the same one and tells what it saw at each step.

mod candidates;
mod failregex;
mod fields;
mod lines;
mod marks;
mod note;
mod session;
mod sight;
mod tags;
mod when;

use std::borrow::Cow;
use std::ops::Range;

use ferroban_date::{Detector, LogZone, Timestamp, Zone};
use ferroban_regex::{Regex, Slots};
use serde::{Deserialize, Serialize};

use crate::ban::{Match, Ticket};
use crate::capture::Capture;
use crate::id::FailId;
use crate::name::Name;
use crate::settings::{FilterSettings, UseDns};
use candidates::Candidates;
pub use failregex::FilterError;
use failregex::{FailRegex, check_identifies};
use fields::Fields;
use lines::{Lines, Taken};
use marks::Marks;
pub use note::FilterNote;
use note::{Complaint, Told, cut};
use session::{Sessions, Verdict};
pub use sight::{DateSight, Depth, Detail, Found, Groups, Hit, Outcome, Sight};
use when::{Cut, Times};

/// What a pattern reads with its tags `<HOST>`, `<F-USER>` … expanded. Where `names` is
/// false, `<HOST>` is an address and no name: what `usedns = no` makes of it.
#[must_use]
pub fn expand(pattern: &str, names: bool) -> String {
    tags::expand(pattern, names)
}

/// Makes sure that a pattern compiles.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), FilterError> {
    FailRegex::new(pattern, false).map(drop)
}

/// Makes sure that a failregex compiles, and says whose failure it finds, by itself or
/// through the filter's prefix.
///
/// # Errors
/// What is wrong with it.
pub fn check_failregex(prefix: Option<&str>, pattern: &str) -> Result<(), FilterError> {
    let failure = [FailRegex::new(pattern, false)?];
    // Only a pattern that does not say who failed needs to know what stands before it.
    check_identifies(None, &failure).or_else(|error| match prefix {
        Some(prefix) => check_identifies(Some(&FailRegex::new(prefix, false)?), &failure),
        None => Err(error),
    })
}

/// One line as a source hands it over.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// The text without its line end.
    pub text: &'a str,
    /// When it was written, if the source knows; else the date is looked for in
    /// the text.
    pub time: Option<Timestamp>,
    /// Whether the line was written while we watched, rather than before.
    pub live: bool,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose.
    pub id: FailId,
    /// Whether the id is a name whose addresses have failed, rather than itself.
    pub lookup: Lookup,
    /// When.
    pub time: Timestamp,
    /// How many it stands for, and what is known about it.
    pub ticket: Ticket,
}

impl Failure {
    /// A single failure of which nothing else is known.
    #[must_use]
    pub fn new(id: FailId, time: Timestamp) -> Self {
        Self {
            id,
            lookup: Lookup::None,
            time,
            ticket: Ticket {
                failures: 1,
                ..Ticket::default()
            },
        }
    }
}

/// Whether an id is a name whose addresses are meant, by `usedns`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Lookup {
    /// It is the id itself.
    #[default]
    None,
    /// Its addresses are meant.
    Addresses,
    /// The same, and what they are is told: `usedns = warn`.
    Told,
}

/// Turns lines into failures, for one jail and one log.
#[derive(Debug)]
pub struct Filter {
    prefix: Option<FailRegex>,
    failures: Vec<FailRegex>,
    candidates: Candidates,
    ignored: Vec<FailRegex>,
    /// The last lines, where patterns span several.
    lines: Option<Lines>,
    times: Times,
    sessions: Sessions,
    usedns: UseDns,
    told: Told,
    texts: Texts,
    /// What was seen in the last line. Kept for the same reason.
    sight: Sight,
    /// What the last match captured.
    fields: Fields,
    /// Where the groups of the last match stand, and of the last match of the prefix.
    slots: Slots,
    prefix_slots: Slots,
}

/// What the patterns see of the last line. Kept, so that a line needs no memory of its own.
#[derive(Debug, Default)]
struct Texts {
    subject: String,
    /// What is behind the prefix, if that is what the others see.
    content: Content,
    /// That text, where it does not end the subject.
    own: String,
}

/// Where what is behind the prefix stands.
#[derive(Clone, Copy, Debug, Default)]
enum Content {
    /// There is no prefix, or it has no content.
    #[default]
    None,
    /// From here on in the subject.
    Tail(usize),
    /// In a text of its own.
    Own,
}

impl Texts {
    /// What failregexes see.
    fn inner(&self) -> &str {
        self.content().unwrap_or(&self.subject)
    }

    /// What is behind the prefix, with a line end.
    fn content(&self) -> Option<&str> {
        match self.content {
            Content::None => None,
            Content::Tail(start) => self.subject.get(start..),
            Content::Own => Some(&self.own),
        }
    }

    /// Takes over what the prefix captured as content.
    fn set_content(&mut self, span: Range<usize>) {
        let is_tail = self.subject.get(span.end..) == Some("\n");
        if is_tail {
            self.content = Content::Tail(span.start);
            return;
        }
        self.content = Content::Own;
        self.own.clear();
        self.own.shrink_to(KEEP);
        self.own
            .extend([self.subject.get(span).unwrap_or_default(), "\n"]);
    }
}

/// A line on its way through the patterns.
struct Look<'a, 'l> {
    now: Timestamp,
    line: &'a Cut<'l>,
    /// When a failure would have happened; none if nobody knows.
    time: Option<Timestamp>,
    /// What somebody wants to see.
    detail: Detail,
}

impl Look<'_, '_> {
    /// Whether lines, and captures that decide nothing, are kept.
    fn keeps(&self) -> bool {
        self.detail.depth >= Depth::Kept
    }
}

impl Filter {
    /// Compiles the patterns of a filter. Dates without a zone are in `zone`, unless the
    /// settings say otherwise; `now` says which years are read.
    ///
    /// # Errors
    /// The first pattern that does not compile or identifies nobody.
    pub fn new(settings: &FilterSettings, zone: Zone, now: Timestamp) -> Result<Self, FilterError> {
        let names = settings.usedns != UseDns::No;
        let multi_line = settings.maxlines > 1;
        let compile =
            |pattern: &String, multi_line: bool| FailRegex::with_names(pattern, multi_line, names);
        let all = |patterns: &[String], multi_line: bool| -> Result<Vec<_>, FilterError> {
            let compiled = patterns.iter().map(|pattern| compile(pattern, multi_line));
            compiled.collect()
        };
        let prefix = settings.prefregex.as_ref();
        let prefix = prefix.map(|pattern| compile(pattern, false)).transpose()?;
        let failures = all(&settings.failregex, multi_line)?;
        check_identifies(prefix.as_ref(), &failures)?;
        Ok(Self {
            prefix,
            candidates: Candidates::new(&failures),
            failures,
            ignored: all(&settings.ignoreregex, false)?,
            lines: multi_line.then(|| Lines::new(settings.maxlines)),
            times: Times::new(detector(settings, &zone, now)?, zone, settings.findtime),
            sessions: Sessions::default(),
            usedns: settings.usedns,
            told: Told::default(),
            texts: Texts::default(),
            sight: Sight::default(),
            fields: Fields::default(),
            slots: Slots::default(),
            prefix_slots: Slots::default(),
        })
    }

    /// Looks at one line and appends what it means.
    pub fn feed(
        &mut self,
        now: Timestamp,
        line: LogLine<'_>,
        failures: &mut Vec<Failure>,
        notes: &mut Vec<FilterNote>,
    ) {
        let cut_line = self.cut_date(now, line, notes);
        let parts = (line, &cut_line);
        let Some(time) = self.times.admit(now, parts, &mut self.told, notes) else {
            return;
        };
        let look = Look {
            now,
            line: &cut_line,
            time,
            detail: Detail {
                depth: Depth::Kept,
                ..Detail::default()
            },
        };
        self.look(&look, notes);
        for hit in self.sight.hits.drain(..) {
            if let Outcome::Failure(found) = hit.outcome {
                failures.push(found.failure);
            }
        }
    }

    /// Looks at one line without asking whether it is recent, and tells what it saw, in as
    /// much detail as is wanted.
    pub fn examine(
        &mut self,
        now: Timestamp,
        line: LogLine<'_>,
        detail: Detail,
        notes: &mut Vec<FilterNote>,
    ) -> &Sight {
        let cut_line = self.cut_date(now, line, notes);
        let time = cut_line.time;
        self.sight.ignored = if self.ignored.is_empty() {
            None
        } else {
            let alone = [cut_line.before, cut_line.after, "\n"].concat();
            self.ignored_by(&alone, notes)
        };
        let look = Look {
            now,
            line: &cut_line,
            time: Some(time.unwrap_or(now)),
            detail,
        };
        self.look(&look, notes);
        for hit in &mut self.sight.hits {
            if let Outcome::Failure(found) = &mut hit.outcome {
                found.has_time = time.is_some();
            }
        }
        self.sight.date = cut_line.date;
        &self.sight
    }

    /// What [`examine`](Self::examine) saw in the last line.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// What the patterns looked at in the last line: the line without its date, or with
    /// `maxlines` the last lines; each with a line end.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.texts.subject
    }

    /// What failregexes looked at in the last line behind prefregex, where that is not the
    /// subject.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.texts.content()
    }

    /// A line as it is shown, split where its date is; the last one that was looked at.
    #[must_use]
    pub fn shown(&self, text: &str, sight: &Sight) -> Match {
        self.times.shown_as(text, &sight.date)
    }

    /// Whether the time of this line, read from its own date, lies before the
    /// window that counts: `None` if the line has no date. For a source that
    /// wants to skip the old part of a log.
    #[must_use]
    pub fn is_old(&mut self, now: Timestamp, text: &str) -> Option<bool> {
        self.times.is_old(now, text)
    }

    /// The window that counts, in seconds.
    #[must_use]
    pub fn findtime(&self) -> i64 {
        self.times.findtime()
    }

    /// How dates are found.
    #[must_use]
    pub fn dates(&self) -> &Detector {
        self.times.detector()
    }

    /// The pattern that is tried before the others.
    #[must_use]
    pub fn prefregex(&self) -> Option<&Regex> {
        self.prefix.as_ref().map(FailRegex::regex)
    }

    /// The patterns of failures.
    pub fn failregex(&self) -> impl Iterator<Item = &Regex> {
        self.failures.iter().map(FailRegex::regex)
    }

    /// The patterns of what is no failure after all.
    pub fn ignoreregex(&self) -> impl Iterator<Item = &Regex> {
        self.ignored.iter().map(FailRegex::regex)
    }

    fn cut_date<'l>(
        &mut self,
        now: Timestamp,
        line: LogLine<'l>,
        notes: &mut Vec<FilterNote>,
    ) -> Cut<'l> {
        let cut_line = self.times.cut(now, line);
        if let Some(date) = when::unreadable(line.text, &cut_line.date)
            && self.told.is_due(Complaint::Unreadable, now)
        {
            notes.push(FilterNote::Unreadable { date: cut(date) });
        }
        cut_line
    }

    /// Takes a line through the patterns. What they made of it is in the sight.
    fn look(&mut self, look: &Look<'_, '_>, notes: &mut Vec<FilterNote>) {
        let mut texts = std::mem::take(&mut self.texts);
        self.fill(&mut texts, look.line);
        let told = notes.len();
        self.sight.prefix = None;
        self.sight.hits.clear();
        self.try_patterns(look, &mut texts, notes);
        self.texts = texts;
        self.spare_gave_up(look.now, told, notes);
    }

    /// Whoever writes lines that patterns give up on must not fill our log with them.
    fn spare_gave_up(&mut self, now: Timestamp, from: usize, notes: &mut Vec<FilterNote>) {
        let gave_up = |note: &FilterNote| matches!(note, FilterNote::GaveUp { .. });
        let Some(first) = notes.iter().skip(from).position(gave_up) else {
            return;
        };
        let mut shown = self.told.is_due(Complaint::GaveUp, now);
        let mut at = 0;
        notes.retain(|note| {
            at += 1;
            at <= from + first || !gave_up(note) || std::mem::take(&mut shown)
        });
    }

    /// What the patterns see of a line, with those before it where they span several.
    fn fill(&mut self, texts: &mut Texts, line: &Cut<'_>) {
        texts.content = Content::None;
        texts.subject.clear();
        texts.subject.shrink_to(KEEP);
        if let Some(lines) = &mut self.lines {
            lines.push(self.times.shown(line), [line.before, line.after].concat());
            lines.subject_into(&mut texts.subject);
        } else {
            texts.subject.extend([line.before, line.after, "\n"]);
        }
    }

    fn try_patterns(
        &mut self,
        look: &Look<'_, '_>,
        texts: &mut Texts,
        notes: &mut Vec<FilterNote>,
    ) {
        // With many failregexes fail2ban also tries ignoreregex on the whole
        // line first, which is visible: there the prefix has not been cut.
        if self.failures.len() > self.ignored.len() + 2
            && self.ignored_by(&texts.subject, notes).is_some()
        {
            return;
        }
        if self.prefix.is_some() {
            self.sight.prefix = self.try_prefix(look, texts, notes);
            if self.sight.prefix.is_none() {
                return;
            }
        }
        let (mut left, mut place) = (None, 0);
        // Of several lines, a match takes some out.
        let fixed = Some(texts.inner()).filter(|_| self.lines.is_none());
        while let Some((regex, next)) = self.candidates.next(fixed, place) {
            place = next;
            let text = left.as_deref().unwrap_or_else(|| texts.inner());
            let Some((marks, taken)) = self.try_one(regex, (texts, text), look, notes) else {
                continue;
            };
            let Taken {
                lines,
                back,
                text: own,
            } = taken;
            let seen = own.as_deref().unwrap_or(text);
            let outcome = match self.ignored_by(seen, notes) {
                Some(ignored) => Outcome::Ignored(ignored),
                None => match self.judge(&marks, lines, look, notes) {
                    Some(outcome) => outcome,
                    None => break,
                },
            };
            self.sight.hits.push(Hit {
                regex,
                outcome,
                back,
            });
            if !look.detail.all {
                break;
            }
            if let Some(lines) = &self.lines {
                left = Some(lines.subject());
            }
        }
    }

    /// Tries prefregex: what it captured, if it matches and that is wanted.
    fn try_prefix(
        &mut self,
        look: &Look<'_, '_>,
        texts: &mut Texts,
        notes: &mut Vec<FilterNote>,
    ) -> Option<Groups> {
        let slots = &mut self.prefix_slots;
        let hit = search(self.prefix.as_ref()?, &texts.subject, slots, notes)?;
        let groups = match look.detail.depth {
            Depth::Groups => hit.fields().into_groups(),
            _ => Vec::new(),
        };
        if let (Some(content), Some(lines)) = (hit.content(), &mut self.lines) {
            // What is behind the prefix is all that is left of the lines.
            lines.clear();
            lines.push(Match::new("", "", content), content.to_owned());
        }
        if let Some(span) = hit.content_span() {
            texts.set_content(span);
        }
        Some(groups)
    }

    /// Tries one failregex: what it and the prefix say about the session, and which lines it took.
    /// What they captured is in the fields.
    fn try_one<'t>(
        &mut self,
        regex: usize,
        (texts, text): (&'t Texts, &'t str),
        look: &Look<'_, '_>,
        notes: &mut Vec<FilterNote>,
    ) -> Option<(Marks<'t>, Taken)> {
        let hit = search(self.failures.get(regex)?, text, &mut self.slots, notes)?;
        let taken = match &mut self.lines {
            Some(lines) => lines.take(&hit.span(), &hit.skipped()),
            None => Taken {
                lines: match look.keeps() {
                    true => vec![self.times.shown(look.line)],
                    false => Vec::new(),
                },
                back: Vec::new(),
                text: None,
            },
        };
        let fields = &mut self.fields;
        let marks = match &self.prefix {
            Some(prefix) => {
                let prefix = prefix.found(&texts.subject, &self.prefix_slots);
                hit.read_behind(&prefix, look.keeps(), fields)
            }
            None => hit.read(look.keeps(), fields),
        };
        Some((marks, taken))
    }

    /// What a match amounts to. `None`: nobody knows when it was, so it cannot count.
    fn judge(
        &mut self,
        marks: &Marks<'_>,
        lines: Vec<Match>,
        look: &Look<'_, '_>,
        notes: &mut Vec<FilterNote>,
    ) -> Option<Outcome> {
        let dated = matches!(
            look.line.date,
            DateSight::Found { .. } | DateSight::Given(_) | DateSight::Empty
        );
        if !dated && self.told.is_due(Complaint::NoTime, look.now) {
            let shown = self.times.shown(look.line);
            notes.push(FilterNote::NoTime {
                line: cut(&shown.joined()),
                date: shown.date.to_string(),
            });
        }
        let time = look.time?;
        let (usedns, depth) = (self.usedns, look.detail.depth);
        let no_failure = marks.no_failure && marks.session.is_none();
        let line = (marks, &mut self.fields, lines);
        let verdict = self.sessions.judge(look.now, line, depth);
        Some(match verdict {
            Verdict::Harmless(id) => Outcome::Harmless(id),
            Verdict::Pending => Outcome::Pending,
            Verdict::Failure { fields, .. } if depth == Depth::Count && fields.name().is_none() => {
                Outcome::Counted { no_failure }
            }
            Verdict::Failure { fields, matches } => {
                match found(fields, matches, (usedns, time, no_failure), depth) {
                    Some(found) => Outcome::Failure(Box::new(found)),
                    None => Outcome::Pending,
                }
            }
        })
    }

    /// The ignoreregex that matches a text.
    #[inline]
    fn ignored_by(&mut self, text: &str, notes: &mut Vec<FilterNote>) -> Option<usize> {
        let slots = &mut self.slots;
        let matches = |regex: &FailRegex| search(regex, text, slots, notes).is_some();
        self.ignored.iter().position(matches)
    }
}

/// Who failed, by the fixed order of precedence: `fid`, `ip4`, `ip6`, `dns`. With the `groups`
/// if they are wanted, and in the ticket what else is kept, if it is.
fn found(
    fields: Cow<'_, Fields>,
    matches: Vec<Match>,
    (usedns, time, no_failure): (UseDns, Timestamp, bool),
    depth: Depth,
) -> Option<Found> {
    let id = fields.identity()?;
    let lookup = match (&id, fields.name(), usedns) {
        (FailId::Text(_), Some(_), UseDns::Yes) => Lookup::Addresses,
        (FailId::Text(_), Some(_), UseDns::Warn) => Lookup::Told,
        (FailId::Text(_), Some(_), UseDns::No) => return None,
        _ => Lookup::None,
    };
    let failures = fields.repeat().clamp(1, MAX_REPEAT);
    let seen = match depth {
        Depth::Groups => fields.clone().into_owned().into_groups(),
        _ => Vec::new(),
    };
    let captures = if depth >= Depth::Kept {
        let address = fields.address().map(Capture::from);
        let mut captures = fields.into_owned().into_kept();
        captures.extend(address.map(|address| (Name::IP, address)));
        captures
    } else {
        Vec::new()
    };
    let ticket = Ticket {
        failures,
        matches,
        captures,
    };
    Some(Found {
        failure: Failure {
            id,
            lookup,
            time,
            ticket,
        },
        has_time: true,
        no_failure,
        fields: seen,
    })
}

/// The first match of a pattern. One that gives up is told, and counts as no match.
#[inline(always)]
fn search<'a, 't>(
    regex: &'a FailRegex,
    text: &'t str,
    slots: &'a mut Slots,
    notes: &mut Vec<FilterNote>,
) -> Option<failregex::Hit<'a, 't>> {
    regex.search(text, slots).unwrap_or_else(|_| {
        notes.push(FilterNote::GaveUp {
            pattern: regex.as_str().into(),
            line: cut(text),
        });
        None
    })
}

fn detector(
    settings: &FilterSettings,
    zone: &Zone,
    now: Timestamp,
) -> Result<Detector, FilterError> {
    let detector = Detector::with_patterns(&settings.datepattern, zone.clone(), now)
        .map_err(FilterError::DatePattern)?;
    match &settings.logtimezone {
        Some(zone) => {
            let zone = LogZone::parse(zone).map_err(FilterError::LogZone)?;
            Ok(detector.in_log_zone(zone))
        }
        None => Ok(detector),
    }
}

/// Room for the text of a line that is kept for the next.
const KEEP: usize = 4 << 10;

/// What one line may stand for at most (`message repeated N times`).
const MAX_REPEAT: u32 = 1000;

#[cfg(test)]
mod tests;
