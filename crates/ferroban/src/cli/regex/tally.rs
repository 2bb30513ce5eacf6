//! What all lines came to: how often each regex hit, and which lines were what.

use std::collections::VecDeque;

use ferroban_date::Timestamp;
use ferroban_engine::{
    Capture, DateSight, FailId, Filter, Found, Hit, HitOutcome, Lookup, Name, Sight,
};

use super::lines::{Keep, Lines};
use super::options::Options;
use super::output::Printer;
use super::{python, told};
use crate::cli::named::without_end;
use crate::names::Resolver;

/// A list of so many lines is not shown, unless all of it is asked for; and of what
/// `prefregex` matched, so much.
const PRINTED: usize = 20;

/// What all lines came to.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) prefixes: Prefixes,
    pub(super) failregex: Vec<Regex>,
    pub(super) ignoreregex: Vec<Regex>,
    pub(super) lines: u64,
    pub(super) matched: Lines,
    pub(super) ignored: Lines,
    pub(super) missed: Lines,
    /// A list is shown if it has fewer lines.
    pub(super) printed: u64,
    keeps: Keeps,
    /// The last lines, as far as a multi-line regex may come back to them.
    recent: VecDeque<(String, Class)>,
    buffer: usize,
    names: Resolver,
}

/// What is worth remembering.
#[derive(Clone, Copy, Debug)]
struct Keeps {
    failures: bool,
    /// Whether anybody wants to know who failed, or only how many did.
    ids: bool,
    check_all: bool,
}

/// Lines that `prefregex` matched.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    pub(super) count: u64,
    /// The groups of the first.
    pub(super) shown: Vec<String>,
    most: usize,
}

/// A regex, and how often it hit.
#[derive(Debug, Default)]
pub(super) struct Regex {
    /// As it was given.
    pub(super) text: String,
    pub(super) hits: u64,
    pub(super) failures: Vec<Failure>,
}

/// A failure as `-v` shows it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) id: String,
    pub(super) time: Timestamp,
    /// Other regexes hit the same line.
    pub(super) among_others: bool,
}

/// What became of a line.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) class: Class,
    /// Who failed, with the place of the hit, where anybody wants to know.
    pub(super) failures: Vec<(usize, String)>,
}

/// What the failregexes of a line came to.
#[derive(Debug, Default)]
struct Hits {
    /// How often one hit.
    hits: usize,
    /// How many of those are failures.
    counted: usize,
    /// Who failed, with the place of the hit, where anybody wants to know.
    failures: Vec<(usize, String)>,
}

/// Who a hit says has failed.
enum Who<'a> {
    /// One, or nobody knows who.
    One(Option<&'a FailId>),
    /// The addresses of a name: several, or none.
    Addresses(Vec<String>),
}

impl Who<'_> {
    fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Addresses(all) => all.len(),
        }
    }

    /// Each as it is shown.
    fn shown(&self) -> impl Iterator<Item = String> {
        let (one, several) = match self {
            Self::One(id) => (Some(shown(*id)), [].as_slice()),
            Self::Addresses(all) => (None, all.as_slice()),
        };
        one.into_iter().chain(several.iter().cloned())
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Matched,
    Ignored,
    Missed,
}

impl Tally {
    /// For these regexes, and lines of a buffer of that length.
    pub(super) fn new(
        failregex: &[String],
        ignoreregex: &[String],
        buffer: usize,
        options: &Options,
    ) -> Self {
        let given = options.maxlines.filter(|lines| *lines > 0);
        let printed = given.map_or(PRINTED, |lines| usize::try_from(lines).unwrap_or(PRINTED));
        // A line may leave a list again as long as it is in the buffer.
        let short = Keep::Below(printed.saturating_add(buffer));
        let keep = |shown: super::options::Shown| match (shown.none, shown.all) {
            (true, _) => Keep::None,
            (_, true) => Keep::All,
            _ => short,
        };
        let regexes = |texts: &[String]| {
            let regex = |text: &String| Regex {
                text: text.clone(),
                ..Regex::default()
            };
            texts.iter().map(regex).collect()
        };
        Self {
            prefixes: Prefixes {
                most: printed,
                ..Prefixes::default()
            },
            failregex: regexes(failregex),
            ignoreregex: regexes(ignoreregex),
            lines: 0,
            matched: Lines::new(if options.all_matched {
                Keep::All
            } else {
                Keep::None
            }),
            ignored: Lines::new(keep(options.ignored)),
            missed: Lines::new(keep(options.missed)),
            printed: u64::try_from(printed).unwrap_or(u64::MAX),
            keeps: Keeps {
                failures: options.verbose != 0,
                ids: options.verbose != 0 || options.out.is_some(),
                check_all: options.check_all && options.out.is_none(),
            },
            recent: VecDeque::new(),
            buffer,
            names: Resolver::system(),
        }
    }

    /// Counts the line that the filter has examined and says what it is. `now` is shown for lines without a time.
    pub(super) fn take(
        &mut self,
        text: &str,
        (filter, printer): (&Filter, &mut Printer),
        now: Timestamp,
    ) -> Judged {
        let sight = filter.sight();
        self.lines = self.lines.saturating_add(1);
        self.take_prefix(sight, filter);
        let ignored = self.count_ignored(sight, filter);
        let Hits {
            hits,
            counted,
            failures,
        } = self.count_hits(sight, (filter, printer), now);
        let class = match (ignored, counted, hits) {
            (true, ..) => Class::Ignored,
            (false, 1.., _) => Class::Matched,
            (false, 0, 0) => Class::Missed,
            (false, 0, _) => Class::Ignored,
        };
        if self.buffer > 1 {
            self.take_back(&sight.hits, class);
            self.recent.push_front((text.to_owned(), class));
            self.recent.truncate(self.buffer);
        }
        self.list(class).push(text);
        Judged { class, failures }
    }

    fn list(&mut self, class: Class) -> &mut Lines {
        match class {
            Class::Matched => &mut self.matched,
            Class::Ignored => &mut self.ignored,
            Class::Missed => &mut self.missed,
        }
    }

    fn take_prefix(&mut self, sight: &Sight, filter: &Filter) {
        let Some(groups) = &sight.prefix else { return };
        self.prefixes.count = self.prefixes.count.saturating_add(1);
        if self.keeps.failures && self.prefixes.shown.len() < self.prefixes.most {
            let pairs = groups.iter();
            let mut pairs: Vec<(&str, String)> = pairs
                .map(|(name, value)| (&**name, python::repr(value.as_ref())))
                .collect();
            if let Some(content) = filter.content() {
                let content = ferroban_config::quoted(without_end(content));
                pairs.push(("content", content));
            }
            self.prefixes.shown.push(python::dict(pairs));
        }
    }

    /// Counts the ignoreregexes that have a say: where a failregex matched too, or before
    /// many of those are tried. Whether they had one.
    fn count_ignored(&mut self, sight: &Sight, filter: &Filter) -> bool {
        let spared = sight.hits.iter().filter_map(|hit| match hit.outcome {
            HitOutcome::Ignored(index) => Some(index),
            _ => None,
        });
        let early = self.failregex.len() > self.ignoreregex.len() + 2 && sight.hits.is_empty();
        let early = sight.ignored.filter(|_| early);
        let before = early.is_some();
        let mut any = false;
        for first in spared.chain(early) {
            any = true;
            let text = match filter.content() {
                Some(content) if !before => content,
                _ => filter.subject(),
            };
            for (index, (regex, own)) in filter.ignoreregex().zip(&mut self.ignoreregex).enumerate()
            {
                // Of several lines the engine alone knows which part it was.
                let hit = index == first
                    || (self.buffer < 2 && regex.search(text).is_ok_and(|found| found.is_some()));
                own.hits = own.hits.saturating_add(u64::from(hit));
            }
        }
        any
    }

    /// Counts the hits of failregexes.
    fn count_hits(
        &mut self,
        sight: &Sight,
        (filter, printer): (&Filter, &mut Printer),
        now: Timestamp,
    ) -> Hits {
        let own = match sight.date {
            DateSight::Found { time, .. } | DateSight::Given(time) => time,
            DateSight::None | DateSight::Empty | DateSight::Unusable { .. } => now,
        };
        let (mut all, keeps) = (Hits::default(), self.keeps);
        for (place, hit) in sight.hits.iter().enumerate() {
            let (who, time, counts) = match &hit.outcome {
                HitOutcome::Ignored(_) => continue,
                HitOutcome::Harmless(_) if !keeps.check_all => continue,
                HitOutcome::Harmless(whose) => (Who::One(whose.as_ref()), own, false),
                HitOutcome::Pending if !has_sessions(filter, hit.regex) => continue,
                HitOutcome::Pending => (Who::One(None), own, true),
                HitOutcome::Counted { no_failure } => (Who::One(None), own, !no_failure),
                HitOutcome::Failure(found) => {
                    let who = match self.addresses(found, printer) {
                        Some(addresses) => Who::Addresses(addresses),
                        None => Who::One(Some(&found.failure.id)),
                    };
                    let time = match found.has_time {
                        true => found.failure.time,
                        false => now,
                    };
                    (who, time, !found.no_failure)
                }
            };
            self.count(hit.regex, &who, time, all.hits);
            all.hits += who.count();
            if counts {
                all.counted += who.count();
                if keeps.ids {
                    all.failures.extend(who.shown().map(|id| (place, id)));
                }
            }
        }
        all
    }

    /// The addresses of a name, where they are meant: several, or none.
    fn addresses(&self, found: &Found, printer: &mut Printer) -> Option<Vec<String>> {
        let (FailId::Text(name), Lookup::Addresses | Lookup::Told) =
            (&found.failure.id, found.failure.lookup)
        else {
            return None;
        };
        let addresses = self.names.addresses(name);
        let told = found.failure.lookup == Lookup::Told;
        told::name(name, &addresses, told, printer);
        let addresses = addresses.unwrap_or_default();
        Some(addresses.iter().map(ToString::to_string).collect())
    }

    /// Counts a hit, after so many of the same line.
    fn count(&mut self, regex: usize, who: &Who<'_>, time: Timestamp, before: usize) {
        let keeps = self.keeps.failures;
        let Some(regex) = self.failregex.get_mut(regex) else {
            return;
        };
        let count = u64::try_from(who.count()).unwrap_or(u64::MAX);
        regex.hits = regex.hits.saturating_add(count);
        if keeps {
            let failures = who.shown().zip(before..).map(|(id, before)| Failure {
                id,
                time,
                // The original says so from the third on.
                among_others: before > 1,
            });
            regex.failures.extend(failures);
        }
    }

    /// Lines before this one that take part in its match are no longer missed.
    fn take_back(&mut self, hits: &[Hit], class: Class) {
        if class == Class::Missed {
            return;
        }
        let mut back: Vec<u64> = hits.iter().flat_map(|hit| hit.back.clone()).collect();
        back.sort_unstable();
        back.dedup();
        for place in back
            .into_iter()
            .rev()
            .filter_map(|back| back.checked_sub(1))
        {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let Some((text, was)) = self.recent.get_mut(place) else {
                continue;
            };
            if *was == Class::Missed {
                *was = Class::Matched;
                self.missed.take(text);
                self.matched.push(text);
            }
        }
    }
}

fn shown(id: Option<&FailId>) -> String {
    id.map_or_else(|| "None".to_owned(), ToString::to_string)
}

/// Whether a failure of this failregex may belong to a session, so that earlier or later
/// lines tell whose it is.
fn has_sessions(filter: &Filter, regex: usize) -> bool {
    let mut regexes = filter
        .failregex()
        .skip(regex)
        .take(1)
        .chain(filter.prefregex());
    regexes.any(|regex| regex.group("mlfid").is_some())
}

/// The id as Python would write it down.
pub(super) fn id_repr(found: &Found, id: &str) -> String {
    let mut fields = found.fields.iter();
    match fields.find(|(name, _)| *name == Name::FID) {
        Some((_, Some(tuple @ Capture::Tuple(_)))) => tuple.repr(),
        _ => ferroban_config::quoted(id),
    }
}
