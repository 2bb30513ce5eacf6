//! Turns log lines into failures. Counts nothing, reads no file.
//!
//! The steps for one line are fail2ban's: find the date and cut it out, decide
//! whether the line is recent enough to count, match `prefregex`, then the
//! failregexes in order, then `ignoreregex`, then what the session of the line
//! knows, and last who it was.

mod failregex;
mod session;
mod tags;

use std::fmt;

use ferroban_date::{Detector, Search, Timestamp, Zone};
use serde::{Deserialize, Serialize};

use crate::ban::{Match, Ticket};
use crate::id::FailId;
use crate::settings::FilterSettings;
pub use failregex::FilterError;
use failregex::{FailRegex, Fields, check_identifies};
use session::{Sessions, Verdict};

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
    FailRegex::new(pattern).map(drop)
}

/// Makes sure that a failregex compiles, and says whose failure it finds, by itself or
/// through the filter's prefix.
///
/// # Errors
/// What is wrong with it.
pub fn check_failregex(prefix: Option<&str>, pattern: &str) -> Result<(), FilterError> {
    let failure = [FailRegex::new(pattern)?];
    // Only a pattern that does not say who failed needs to know what stands before it.
    check_identifies(None, &failure).or_else(|error| match prefix {
        Some(prefix) => check_identifies(Some(&FailRegex::new(prefix)?), &failure),
        None => Err(error),
    })
}

/// How far a line's time may lie from now, in seconds, before it counts as wrong.
const ODD: i64 = 60;

/// How often the same kind of complaint is repeated, in seconds: about old lines, odd
/// times and names once a day, about patterns that give up once a minute.
const COMPLAIN_EVERY: [i64; 4] = [24 * 60 * 60, 24 * 60 * 60, 24 * 60 * 60, 60];

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

/// What a filter wants people to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum FilterNote {
    /// A line's time is `seconds` before now (after, if negative), so it counts
    /// as happening now.
    OddTime { seconds: i64, line: String },
    /// A line is older than `findtime` and was skipped while catching up.
    TooOld { findtime: u32, line: String },
    /// A line matched but has no time, while catching up, so it cannot count.
    NoTime { line: String },
    /// A line names its host instead of giving an address.
    Name { name: String, line: String },
    /// A pattern with back-references gave up on a line; it did not count.
    GaveUp { pattern: String, line: String },
}

/// Turns lines into failures, for one jail and one log.
#[derive(Debug)]
pub struct Filter {
    prefix: Option<FailRegex>,
    failures: Vec<FailRegex>,
    ignored: Vec<FailRegex>,
    findtime: i64,
    dates: Detector,
    zone: Zone,
    sessions: Sessions,
    last_time: Option<Timestamp>,
    raw_names: bool,
    told: [Option<Timestamp>; 4],
}

/// The part of a line that the patterns see, and what was cut out of it.
struct Subject<'a> {
    before: &'a str,
    date: &'a str,
    after: &'a str,
    time: Option<Timestamp>,
}

impl Filter {
    /// Compiles the patterns of a filter. Dates without a zone are in `zone`.
    ///
    /// # Errors
    /// The first pattern that does not compile or identifies nobody.
    pub fn new(settings: &FilterSettings, zone: Zone) -> Result<Self, FilterError> {
        let prefix = settings
            .prefregex
            .as_deref()
            .map(FailRegex::new)
            .transpose()?;
        let compile = |patterns: &[String]| -> Result<Vec<FailRegex>, FilterError> {
            patterns
                .iter()
                .map(|pattern| FailRegex::new(pattern))
                .collect()
        };
        let failures = compile(&settings.failregex)?;
        check_identifies(prefix.as_ref(), &failures)?;
        Ok(Self {
            prefix,
            failures,
            ignored: compile(&settings.ignoreregex)?,
            findtime: i64::from(settings.findtime),
            dates: Detector::new(zone.clone()),
            zone,
            sessions: Sessions::default(),
            last_time: None,
            raw_names: settings.raw_names,
            told: [None; 4],
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
        let subject = self.cut_date(now, line);
        let Some(admitted) = self.admit(now, line, subject.time, notes) else {
            return;
        };
        let mut text = String::with_capacity(subject.before.len() + subject.after.len() + 1);
        text.extend([subject.before, subject.after, "\n"]);
        let told = notes.len();
        let fields = self.fields(&text, notes);
        if notes.len() > told {
            // Given up; whoever writes such lines must not fill our log with them.
            let shown = usize::from(self.may_complain(3, now));
            notes.truncate(told + shown);
        }
        let Some(fields) = fields else {
            return;
        };
        let Some(time) = admitted else {
            notes.push(FilterNote::NoTime {
                line: cut(line.text),
            });
            return;
        };
        let shown = line.time.map(|time| self.iso(time));
        let date = shown.as_deref().unwrap_or(subject.date);
        let found = Match::new(subject.before, date, subject.after);
        let Verdict::Failure { fields, matches } = self.sessions.judge(now, fields, found) else {
            return;
        };
        let is_dns = fields.get("dns").map(str::to_owned);
        match failure(fields, matches, time) {
            Some(Failure {
                id: FailId::Text(name),
                ..
            }) if !self.raw_names && is_dns.as_deref() == Some(&*name) => {
                if self.may_complain(2, now) {
                    notes.push(FilterNote::Name {
                        name,
                        line: cut(line.text),
                    });
                }
            }
            failure => failures.extend(failure),
        }
    }

    /// Whether the time of this line, read from its own date, lies before the
    /// window that counts: `None` if the line has no date. For a source that
    /// wants to skip the old part of a log.
    #[must_use]
    pub fn is_old(&self, now: Timestamp, text: &str) -> Option<bool> {
        let found = self.dates.find(text, now)?;
        Some(found.time < now.plus_secs(-self.findtime))
    }

    /// The window that counts, in seconds.
    #[must_use]
    pub fn findtime(&self) -> i64 {
        self.findtime
    }

    fn cut_date<'a>(&self, now: Timestamp, line: LogLine<'a>) -> Subject<'a> {
        if line.time.is_some() {
            return Subject {
                before: "",
                date: "",
                after: line.text,
                time: line.time,
            };
        }
        let whole = Subject {
            before: "",
            date: "",
            after: line.text,
            time: None,
        };
        let (span, time) = match self.dates.search(line.text, now) {
            Search::Nothing => return whole,
            // A date such as February 30 is cut out as well, but tells no time.
            Search::Unusable { span } => (span, None),
            Search::Found(found) => (found.span, Some(found.time)),
        };
        let parts = (
            line.text.get(..span.start),
            line.text.get(span.clone()),
            line.text.get(span.end..),
        );
        match parts {
            (Some(before), Some(date), Some(after)) => Subject {
                before,
                date,
                after,
                time,
            },
            _ => whole,
        }
    }

    /// How a time that does not stand in the line is shown: ISO, local, and a blank.
    fn iso(&self, time: Timestamp) -> String {
        let text = ferroban_date::local_text(time, &self.zone).replace(' ', "T");
        format!("{text}.{:06} ", time.subsec_micros())
    }

    /// The time a line counts at. `None`: the line is skipped. `Some(None)`: a
    /// match would have no time.
    fn admit(
        &mut self,
        now: Timestamp,
        line: LogLine<'_>,
        time: Option<Timestamp>,
        notes: &mut Vec<FilterNote>,
    ) -> Option<Option<Timestamp>> {
        if !line.live {
            let Some(time) = time else { return Some(None) };
            self.last_time = Some(time);
            if time >= now.plus_secs(-self.findtime) {
                return Some(Some(time));
            }
            if self.may_complain(0, now) {
                let findtime = u32::try_from(self.findtime).unwrap_or(u32::MAX);
                notes.push(FilterNote::TooOld {
                    findtime,
                    line: cut(line.text),
                });
            }
            return None;
        }
        let near = |time: Timestamp| now.micros_since(time).abs() <= ODD * 1_000_000;
        let Some(time) = time else {
            return Some(Some(
                self.last_time.filter(|last| near(*last)).unwrap_or(now),
            ));
        };
        self.last_time = Some(time);
        if near(time) {
            return Some(Some(time));
        }
        if self.may_complain(1, now) {
            let seconds = now.micros_since(time) / 1_000_000;
            notes.push(FilterNote::OddTime {
                seconds,
                line: cut(line.text),
            });
        }
        self.last_time = Some(now);
        Some(Some(now))
    }

    fn may_complain(&mut self, kind: usize, now: Timestamp) -> bool {
        let (Some(told), Some(every)) = (self.told.get_mut(kind), COMPLAIN_EVERY.get(kind)) else {
            return false;
        };
        let due = told.is_none_or(|last| (now.secs() - last.secs()).abs() >= *every);
        if due {
            *told = Some(now);
        }
        due
    }

    /// What the patterns capture from a failure, or `None` if it is none.
    fn fields(&self, text: &str, notes: &mut Vec<FilterNote>) -> Option<Fields> {
        // With many failregexes fail2ban also tries ignoreregex on the whole
        // line first, which is visible: there the prefix has not been cut.
        if self.failures.len() > self.ignored.len() + 2 && self.is_ignored(text, notes) {
            return None;
        }
        let Some(prefix) = &self.prefix else {
            return self.first_match(text, notes);
        };
        let mut fields = search(prefix, text, notes)?;
        let content = fields.take("content").filter(|content| !content.is_empty());
        let inner = match content {
            Some(mut content) => {
                content.push('\n');
                self.first_match(&content, notes)?
            }
            None => self.first_match(text, notes)?,
        };
        fields.merge(inner);
        Some(fields)
    }

    fn first_match(&self, text: &str, notes: &mut Vec<FilterNote>) -> Option<Fields> {
        let fields = self
            .failures
            .iter()
            .find_map(|regex| search(regex, text, notes))?;
        (!self.is_ignored(text, notes)).then_some(fields)
    }

    fn is_ignored(&self, text: &str, notes: &mut Vec<FilterNote>) -> bool {
        self.ignored
            .iter()
            .any(|regex| search(regex, text, notes).is_some())
    }
}

fn search(regex: &FailRegex, text: &str, notes: &mut Vec<FilterNote>) -> Option<Fields> {
    regex.search(text).unwrap_or_else(|_| {
        notes.push(FilterNote::GaveUp {
            pattern: regex.as_str().into(),
            line: cut(text),
        });
        None
    })
}

/// Who failed, by the fixed order of precedence: `fid`, `ip4`, `ip6`, `dns`.
fn failure(mut fields: Fields, matches: Vec<Match>, time: Timestamp) -> Option<Failure> {
    let failures = fields
        .take("repeat")
        .and_then(|n| n.parse().ok())
        .unwrap_or(1u32);
    let id = fields.identity()?;
    fields.drop_internal();
    let ticket = Ticket {
        failures: failures.clamp(1, MAX_REPEAT),
        matches,
        captures: fields.into_pairs(),
    };
    Some(Failure {
        id,
        lookup: Lookup::None,
        time,
        ticket,
    })
}

/// What one line may stand for at most (`message repeated N times`).
const MAX_REPEAT: u32 = 1000;

/// Enough of a line to recognise it by.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(400))
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

impl fmt::Display for FilterNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OddTime { seconds, line } => write!(f, "time is {seconds} s off: {line}"),
            Self::TooOld { findtime, line } => write!(f, "older than {findtime} s: {line}"),
            Self::NoTime { line } => write!(f, "match without a time: {line}"),
            Self::Name { name, line } => write!(f, "'{name}' is a name: {line}"),
            Self::GaveUp { pattern, line } => write!(f, "'{pattern}' gave up on: {line}"),
        }
    }
}

#[cfg(test)]
mod tests;
