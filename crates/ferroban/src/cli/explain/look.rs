//! From what the engine saw in a line to what is told of it.

use std::ops::Range;

use ferroban_date::{Timestamp, Unusable};
use ferroban_engine::ignore::IgnoreList;
use ferroban_engine::{
    Capture, DateSight, Depth, Detail, FailId, Filter, FilterError, FilterNote, Found, Hit,
    HitOutcome, IgnoreEntry, LogLine, Lookup, Name, Sight,
};

use super::near;
use super::subject::Subject;
use super::view::{Captures, Date, Dated, Line, Matched, Pattern, Prefix, Session, Verdict, What};
use crate::cli::named::without_end;
use crate::clock;
use crate::report;

/// What is told is about the first failregex that matches, and what its groups are.
const GROUPS: Detail = Detail {
    all: false,
    depth: Depth::Groups,
};

/// So far, in seconds, may a time lie from now before it counts as now in a line that is
/// written while a jail runs.
const ODD: i64 = 60;

/// What becomes of a line without a date, where no line before it has one.
const AS_OF_NOW: &str =
    "it counts as of now, and not at all in what was written before the jail started";

/// Shows lines to a filter.
#[derive(Debug)]
pub(super) struct Examiner {
    pub(super) subject: Subject,
    pub(super) filter: Filter,
    ignored: IgnoreList,
}

/// What the engine saw, and the patterns that gave up on it.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) sight: Sight,
    pub(super) gave_up: Vec<String>,
}

impl Examiner {
    /// Compiles the filter.
    pub(super) fn new(subject: Subject, now: Timestamp) -> Result<Self, String> {
        let filter = Filter::new(&subject.settings, clock::zone().clone(), now);
        let filter = filter.map_err(|error| unusable(&subject.name, &error))?;
        let dates = filter.dates().check().map_err(FilterError::DatePattern);
        dates.map_err(|error| unusable(&subject.name, &error))?;
        if subject.settings.failregex.is_empty() {
            return Err(format!(
                "{}: it has no failregex, so it finds nothing; give it one",
                subject.name
            ));
        }
        let listed = subject.jail.as_ref().map(|jail| jail.ignoreip.as_slice());
        Ok(Self {
            ignored: IgnoreList::new(listed.unwrap_or_default()),
            filter,
            subject,
        })
    }

    /// Takes a line through the filter, as the daemon does.
    pub(super) fn examine(&mut self, line: &str, now: Timestamp) -> Examined {
        let line = LogLine {
            text: line,
            time: None,
            live: false,
        };
        let mut notes = Vec::new();
        let sight = self.filter.examine(now, line, GROUPS, &mut notes).clone();
        let gave_up = notes.into_iter().filter_map(|note| match note {
            FilterNote::GaveUp { pattern, .. } => Some(pattern),
            _ => None,
        });
        let gave_up = gave_up.map(|pattern| self.written(&pattern)).collect();
        Examined { sight, gave_up }
    }

    /// Takes a line through the filter and tells each step.
    pub(super) fn look(&mut self, line: &str, now: Timestamp) -> Line {
        let Examined { sight, gave_up } = self.examine(line, now);
        let early = self.is_ignored_early(&sight);
        let prefix = self.prefix(&sight).filter(|_| !early);
        let hit = sight.hits.first();
        let missed = hit.is_none() && !early && prefix.as_ref().is_none_or(|prefix| prefix.matches);
        let failregex = hit.and_then(|hit| self.matched(hit.regex, patterns_saw(&self.filter)));
        let ignored = match hit.map(|hit| &hit.outcome) {
            Some(HitOutcome::Ignored(index)) => Some(*index),
            Some(_) => None,
            None => sight.ignored.filter(|_| early),
        };
        let session = session(prefix.as_ref(), failregex.as_ref());
        let knows = [
            prefix.as_ref().map(|it| &it.captures),
            failregex.as_ref().map(|it| &it.captures),
        ];
        let named = knows.iter().flatten().any(|captures| identifies(captures));
        let mut verdict = self.verdict(hit, (early, missed), (&session, named));
        if !gave_up.is_empty() && hit.is_none() {
            verdict.text = "nobody knows: a pattern gave up on this line; it does not count".into();
        }
        Line {
            line: line.to_owned(),
            date: self.date(line, &sight, now),
            closest: missed.then(|| self.closest()).flatten(),
            sees: missed.then(|| without_end(patterns_saw(&self.filter)).to_owned()),
            blank: self.blank(missed, prefix.as_ref()),
            others: hit.map_or_else(Vec::new, |hit| self.others(hit, patterns_saw(&self.filter))),
            prefix,
            failregex,
            ignoreregex: ignored.and_then(|index| self.ignoreregex(index)),
            session,
            gave_up,
            verdict,
        }
    }

    /// With many failregexes, ignoreregex is asked before anything else.
    pub(super) fn is_ignored_early(&self, sight: &Sight) -> bool {
        let settings = &self.subject.settings;
        let many = settings.failregex.len() > settings.ignoreregex.len() + 2;
        many && sight.hits.is_empty() && sight.ignored.is_some()
    }

    /// The failregex that came closest.
    fn closest(&self) -> Option<super::view::Stop> {
        near::failregex(
            &self.filter,
            &self.subject.settings,
            patterns_saw(&self.filter),
        )
    }

    /// What would match if the text did not begin with a blank.
    fn blank(&self, missed: bool, prefix: Option<&Prefix>) -> Option<super::view::Blank> {
        let stopped = prefix.is_some_and(|prefix| !prefix.matches);
        let asked = missed || stopped;
        asked
            .then(|| near::blank(&self.filter, &self.subject.settings, stopped))
            .flatten()
    }

    /// The pattern as it was written.
    fn written(&self, compiled: &str) -> String {
        let settings = &self.subject.settings;
        let all = self.filter.failregex().zip(&settings.failregex);
        let all = all.chain(self.filter.ignoreregex().zip(&settings.ignoreregex));
        let mut all = all.chain(self.filter.prefregex().into_iter().zip(&settings.prefregex));
        let found = all.find(|(regex, _)| regex.as_str() == compiled);
        found.map_or_else(|| compiled.to_owned(), |(_, written)| written.clone())
    }

    fn date(&self, line: &str, sight: &Sight, now: Timestamp) -> Date {
        let pattern = self.pattern_of_date();
        let before = self.filter.shown(line, sight).date;
        let part = |span: &Range<usize>| line.get(span.clone()).map(str::to_owned);
        match &sight.date {
            DateSight::Found { span, time } => Date {
                text: part(span),
                span: Some(span.clone()),
                pattern,
                ..self.at(*time, now)
            },
            DateSight::Given(time) => self.at(*time, now),
            DateSight::Unusable { span, why } => Date {
                found: Dated::Unusable,
                text: part(span),
                span: Some(span.clone()),
                pattern,
                why: Some({
                    // Without a line before it is shown with what looks like its date.
                    let alone = before.is_empty() || part(span).is_some_and(|own| own == before);
                    format!("{}; {}", unusable_date(why), instead(alone))
                }),
                ..Date::default()
            },
            DateSight::Empty => Date {
                found: Dated::Empty,
                pattern,
                why: Some("the date pattern is content without a date; it counts as of now".into()),
                ..Date::default()
            },
            DateSight::None if !before.is_empty() => Date {
                found: Dated::Before,
                text: Some(before.to_string()),
                why: Some("none of its own; it belongs to the line before".into()),
                ..Date::default()
            },
            DateSight::None => Date {
                why: Some(format!("none found; {AS_OF_NOW}")),
                ..Date::default()
            },
        }
    }

    /// The date pattern that the last line belongs to.
    pub(super) fn pattern_of_date(&self) -> Option<String> {
        let dates = self.filter.dates();
        let templates = dates.templates();
        Some(templates.get(dates.last()?)?.name.to_owned())
    }

    fn at(&self, time: Timestamp, now: Timestamp) -> Date {
        let age = now.micros_since(time) / 1_000_000;
        let findtime = self.filter.findtime();
        let is_jail = self.subject.jail.is_some();
        let why = if age < -ODD {
            Some("it is still to come: a line that comes in now counts as of now; is the zone right?".to_owned())
        } else if is_jail && age > findtime {
            let window = super::words::length(findtime);
            Some(format!(
                "older than findtime ({window}): a jail that starts passes over it"
            ))
        } else {
            None
        };
        Date {
            found: Dated::Found,
            time: Some(time.secs()),
            local: Some(super::words::moment(time, age)),
            too_old: is_jail.then_some(age > findtime),
            why,
            ..Date::default()
        }
    }

    fn prefix(&self, sight: &Sight) -> Option<Prefix> {
        self.filter.prefregex()?;
        Some(match &sight.prefix {
            Some(fields) => {
                let pairs = fields.iter();
                let text = |(name, value): &(Name, Option<Capture>)| {
                    Some((name.to_string(), value.as_ref()?.to_string()))
                };
                Prefix {
                    matches: true,
                    captures: pairs.filter_map(text).collect(),
                    content: self.filter.content().map(without_end).map(str::to_owned),
                    stopped: None,
                }
            }
            None => Prefix {
                matches: false,
                captures: Vec::new(),
                content: None,
                stopped: near::prefregex(
                    &self.filter,
                    &self.subject.settings,
                    self.filter.subject(),
                ),
            },
        })
    }

    /// A failregex, and what its own groups capture.
    fn matched(&self, index: usize, text: &str) -> Option<Matched> {
        let regex = self.filter.failregex().nth(index)?;
        let found = regex.search(text).ok().flatten();
        let captures = found.map_or_else(Vec::new, |found| {
            let groups = regex.group_names();
            let groups = groups.filter_map(|(name, group)| Some((name, found.get(group)?)));
            let groups = groups.filter(|(name, _)| !name.starts_with("skiplines"));
            groups
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .collect()
        });
        Some(Matched {
            pattern: Pattern {
                number: index + 1,
                pattern: self.subject.settings.failregex.get(index)?.clone(),
            },
            captures,
        })
    }

    /// Other failregexes that match; what several lines come to depends on their order.
    fn others(&self, hit: &Hit, text: &str) -> Vec<usize> {
        if self.subject.settings.maxlines > 1 {
            return Vec::new();
        }
        let all = self.filter.failregex().enumerate().skip(hit.regex + 1);
        let matching = all.filter(|(_, regex)| regex.is_match(text).is_ok_and(|found| found));
        matching.map(|(index, _)| index + 1).collect()
    }

    fn ignoreregex(&self, index: usize) -> Option<Pattern> {
        Some(Pattern {
            number: index + 1,
            pattern: self.subject.settings.ignoreregex.get(index)?.clone(),
        })
    }

    fn verdict(
        &self,
        hit: Option<&Hit>,
        (early, missed): (bool, bool),
        (session, named): (&Option<Session>, bool),
    ) -> Verdict {
        let of = |what, text: &str| Verdict {
            what,
            text: text.to_owned(),
            ..Verdict::default()
        };
        match hit.map(|hit| &hit.outcome) {
            None if early => of(What::Ignored, "no failure: an ignoreregex matches"),
            None if missed => of(What::NoMatch, "no failure: no failregex matches"),
            None => of(What::NoPrefix, "no failure: prefregex does not match"),
            Some(HitOutcome::Ignored(_)) => of(
                What::Ignored,
                "no failure: a failregex matches, but an ignoreregex does, too",
            ),
            Some(HitOutcome::Harmless(id)) => {
                let whose = id.as_ref().map(|id| format!(" of {id}"));
                let whose = whose.unwrap_or_default();
                let ends = session.as_ref().is_some_and(|session| session.forgets);
                let does = if ends { "ends" } else { "remembers it" };
                let text = format!("no failure by itself: the session{whose} {does}");
                Verdict {
                    id: id.as_ref().map(ToString::to_string),
                    ..of(What::Harmless, &text)
                }
            }
            Some(HitOutcome::Pending) if session.is_some() => of(
                What::Pending,
                "a failure, but not known whose: it counts once a line of this session tells",
            ),
            Some(HitOutcome::Pending) => of(
                What::Pending,
                "a failure of nobody: the pattern captures no address, so it does not count",
            ),
            Some(HitOutcome::Counted { .. }) => of(What::Failure, "a failure"),
            Some(HitOutcome::Failure(found)) => self.failure(found, named),
        }
    }

    fn failure(&self, found: &Found, named: bool) -> Verdict {
        let failure = &found.failure;
        let user = found.fields.iter().find(|(name, _)| *name == Name::USER);
        let user = user.and_then(|(_, value)| value.as_ref()?.text().map(str::to_owned));
        let lookup = failure.lookup != Lookup::None;
        let id = failure.id.to_string();
        let count = failure.ticket.failures;
        let mut text = match (lookup, count) {
            (false, 1) => format!("failure of {id}"),
            (false, _) => format!("{count} failures of {id}"),
            (true, _) => format!(
                "failure of the name {id}: its addresses would be looked up (usedns = {})",
                self.subject.settings.usedns
            ),
        };
        if let Some(user) = user.as_ref().filter(|user| !user.is_empty()) {
            text += &format!(" (user {user})");
        }
        if !named {
            text += ", which an earlier line of the session told";
        }
        let (ignored_by, asks) = self.ignored(&failure.id, lookup);
        if let Some(option) = &ignored_by {
            text += &format!(", but this jail ignores it: {option}");
        }
        Verdict {
            what: What::Failure,
            id: Some(id),
            user,
            failures: count,
            lookup,
            ignored_by,
            asks,
            text,
        }
    }

    /// The option by which the jail ignores somebody, and what it would ask about him.
    fn ignored(&self, id: &FailId, lookup: bool) -> (Option<String>, Vec<String>) {
        let Some(jail) = &self.subject.jail else {
            return (None, Vec::new());
        };
        let own = ["127.0.0.1", "::1"].map(FailId::parse);
        if jail.ignoreself && own.contains(id) {
            return (Some("ignoreself".to_owned()), Vec::new());
        }
        let listed = self.ignored.look(id);
        if listed.exactly || (listed.within && listed.elsewhere.is_empty()) {
            return (Some("ignoreip".to_owned()), Vec::new());
        }
        let mut asks: Vec<String> = listed
            .elsewhere
            .iter()
            .map(|entry| match entry {
                IgnoreEntry::Name(name) => format!("ignoreip {name}"),
                IgnoreEntry::File(file) => format!("ignoreip file:{file}"),
            })
            .collect();
        if lookup {
            asks.insert(0, format!("addresses of {id}"));
        }
        if listed.within {
            return (Some("ignoreip".to_owned()), Vec::new());
        }
        asks.extend(
            jail.ignorecommand
                .iter()
                .map(|_| "ignorecommand".to_owned()),
        );
        (None, asks)
    }
}

/// What failregexes looked at.
pub(super) fn patterns_saw(filter: &Filter) -> &str {
    filter.content().unwrap_or_else(|| filter.subject())
}

fn value<'a>(captures: &'a Captures, wanted: &str) -> Option<&'a str> {
    let mut values = captures.iter().filter(|(name, _)| name == wanted);
    values.next().map(|(_, value)| value.as_str())
}

/// Whether captures say whose failure it is.
fn identifies(captures: &Captures) -> bool {
    let names = ["fid", "ip4", "ip6", "dns", "tuple_id"];
    captures.iter().any(|(name, value)| {
        let name = name.strip_prefix("alt_").unwrap_or(name);
        !value.is_empty() && names.iter().any(|known| name.starts_with(known))
    })
}

fn session(prefix: Option<&Prefix>, failregex: Option<&Matched>) -> Option<Session> {
    let own = failregex?;
    let all = [Some(&own.captures), prefix.map(|prefix| &prefix.captures)];
    let all = || all.iter().flatten();
    let id = all()
        .find_map(|captures| value(captures, "mlfid"))?
        .trim()
        .to_owned();
    let forgets =
        all().any(|captures| value(captures, "mlfforget").is_some_and(|it| !it.is_empty()));
    Some(Session { id, forgets })
}

/// What holds instead of a date that is none; `alone` if there is none before it.
fn instead(alone: bool) -> &'static str {
    if alone {
        AS_OF_NOW
    } else {
        "it counts by the line before"
    }
}

fn unusable_date(why: &Unusable) -> String {
    match why {
        Unusable::UnknownZone(zone) => {
            format!("looks like a date, but nobody knows its zone '{zone}'")
        }
        Unusable::NotATime => "looks like a date, but there is no such time".to_owned(),
        Unusable::Incomplete => "looks like a date, but a part is missing".to_owned(),
    }
}

fn unusable(name: &str, error: &FilterError) -> String {
    match error {
        // The pattern with its tags expanded is long; the piece in question will do.
        FilterError::Broken { pattern, source } => {
            format!("{name}: {source}; correct it\n{}", source.caret(pattern))
        }
        FilterError::NoIdentity { pattern } => format!(
            "{name}: '{}' does not say whose failure it is; put <HOST> where the address stands",
            super::excerpt::start(pattern)
        ),
        error => format!("{name}: {}", report::chain(error)),
    }
}
