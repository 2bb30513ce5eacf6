//! What the lines of a whole log come to.

use std::collections::{HashMap, VecDeque};

use ferroban_engine::{DateSight, HitOutcome, Sight};
use serde::Serialize;

use super::look::{Examined, Examiner, patterns_saw};
use super::sample::{Candidates, Sample};
use super::view::Pattern;

/// So many ids are named.
const TOP: usize = 10;
/// So many ids are told apart. Whoever writes the log can make up more.
const IDS: usize = 100_000;

/// What is counted on the way.
#[derive(Debug)]
pub(super) struct Tally {
    told: Told,
    ids: HashMap<String, u64>,
    dates: HashMap<String, u64>,
    candidates: Candidates,
    /// The last lines, latest first, as far as a pattern of several lines may come back to
    /// them: whether they are missed.
    recent: VecDeque<bool>,
    maxlines: usize,
}

/// What is told in the end: the fields that `--json` prints.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    /// What was tested, on what.
    pub(super) filter: String,
    pub(super) log: String,
    pub(super) lines: u64,
    /// Lines with a date.
    pub(super) dated: u64,
    /// The times of the first and the last of them that has one, in their order.
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) dates: Vec<Template>,
    /// Lines that prefregex matches. None if there is no prefregex.
    pub(super) prefixed: Option<u64>,
    /// Lines that are failures.
    pub(super) failures: u64,
    pub(super) ignored: u64,
    pub(super) harmless: u64,
    pub(super) pending: u64,
    /// Lines that are a part of what a later one ended.
    pub(super) parts: u64,
    /// All other lines.
    pub(super) missed: u64,
    /// Those of them that prefregex matches.
    pub(super) nearly: Option<u64>,
    /// How many have failed, as far as they are told apart.
    pub(super) id_count: usize,
    /// Failures of others than those.
    pub(super) others: u64,
    /// Who has failed most.
    pub(super) ids: Vec<Id>,
    pub(super) failregex: Vec<Hits>,
    pub(super) ignoreregex: Vec<Hits>,
    /// Patterns that gave up on a line.
    pub(super) gave_up: Vec<String>,
    pub(super) samples: Vec<Sample>,
}

/// A date pattern, and how many lines had one like it.
#[derive(Debug, Serialize)]
pub(super) struct Template {
    pub(super) pattern: String,
    pub(super) lines: u64,
}

/// Somebody, and how often he failed.
#[derive(Debug, Serialize)]
pub(super) struct Id {
    pub(super) id: String,
    pub(super) failures: u64,
}

/// A pattern, and how many lines it took.
#[derive(Debug, Serialize)]
pub(super) struct Hits {
    #[serde(flatten)]
    pub(super) pattern: Pattern,
    pub(super) hits: u64,
}

impl Tally {
    /// For a filter; so many samples are wanted.
    pub(super) fn new(examiner: &Examiner, show: usize) -> Self {
        let settings = &examiner.subject.settings;
        let hits = |patterns: &[String]| {
            let all = patterns.iter().enumerate();
            let hits = |(index, pattern): (usize, &String)| Hits {
                pattern: Pattern {
                    number: index + 1,
                    pattern: pattern.clone(),
                },
                hits: 0,
            };
            all.map(hits).collect()
        };
        let counts = settings.prefregex.is_some().then_some(0);
        Self {
            told: Told {
                filter: examiner.subject.name.clone(),
                prefixed: counts,
                nearly: counts,
                failregex: hits(&settings.failregex),
                ignoreregex: hits(&settings.ignoreregex),
                ..Told::default()
            },
            ids: HashMap::new(),
            dates: HashMap::new(),
            candidates: Candidates::new(show),
            recent: VecDeque::new(),
            maxlines: settings.maxlines,
        }
    }

    /// Counts a line.
    pub(super) fn take(&mut self, examiner: &Examiner, line: &str, examined: &Examined) {
        let sight = &examined.sight;
        self.told.lines += 1;
        self.date(examiner, sight);
        for pattern in &examined.gave_up {
            if !self.told.gave_up.contains(pattern) {
                self.told.gave_up.push(pattern.clone());
            }
        }
        if let (Some(prefixed), Some(_)) = (&mut self.told.prefixed, &sight.prefix) {
            *prefixed += 1;
        }
        let early = examiner.is_ignored_early(sight);
        let missed = sight.hits.is_empty() && !early;
        match sight.hits.first() {
            Some(hit) => {
                self.take_back(&hit.back);
                count(&mut self.told.failregex, hit.regex);
                match &hit.outcome {
                    HitOutcome::Ignored(index) => {
                        count(&mut self.told.ignoreregex, *index);
                        self.told.ignored += 1;
                    }
                    HitOutcome::Harmless(_) => self.told.harmless += 1,
                    HitOutcome::Pending => self.told.pending += 1,
                    HitOutcome::Counted { .. } => self.told.failures += 1,
                    HitOutcome::Failure(found) => {
                        self.told.failures += 1;
                        let failures = u64::from(found.failure.ticket.failures);
                        self.failed(found.failure.id.to_string(), failures);
                    }
                }
            }
            None if early => {
                if let Some(index) = sight.ignored {
                    count(&mut self.told.ignoreregex, index);
                }
                self.told.ignored += 1;
            }
            None => self.missed(examiner, line, sight),
        }
        if self.maxlines > 1 {
            self.recent.push_front(missed);
            self.recent.truncate(self.maxlines);
        }
    }

    fn failed(&mut self, id: String, failures: u64) {
        let room = self.ids.len() < IDS;
        match self.ids.get_mut(&id) {
            Some(own) => *own += failures,
            None if room => drop(self.ids.insert(id, failures)),
            None => self.told.others += failures,
        }
    }

    /// Lines before this one that take part in its match are not missed after all. How far
    /// back they stand counts from this line.
    fn take_back(&mut self, back: &[u64]) {
        for back in back.iter().filter(|back| **back > 0) {
            let place = usize::try_from(back - 1).unwrap_or(usize::MAX);
            if let Some(missed) = self.recent.get_mut(place).filter(|missed| **missed) {
                *missed = false;
                self.told.missed = self.told.missed.saturating_sub(1);
                self.told.parts += 1;
                let number = self.told.lines.saturating_sub(*back);
                self.candidates.forget(number);
            }
        }
    }

    fn date(&mut self, examiner: &Examiner, sight: &Sight) {
        let DateSight::Found { time, .. } = &sight.date else {
            return;
        };
        self.told.dated += 1;
        self.told.from.get_or_insert(time.secs());
        self.told.to = Some(time.secs());
        if let Some(pattern) = examiner.pattern_of_date() {
            *self.dates.entry(pattern).or_default() += 1;
        }
    }

    fn missed(&mut self, examiner: &Examiner, line: &str, sight: &Sight) {
        self.told.missed += 1;
        if let Some(nearly) = &mut self.told.nearly {
            if sight.prefix.is_none() {
                return;
            }
            *nearly += 1;
        }
        let (number, text) = (self.told.lines, patterns_saw(&examiner.filter));
        self.candidates.take(number, line, text);
    }

    /// What it all comes to.
    pub(super) fn told(mut self, examiner: &Examiner, log: &str) -> Told {
        let concerned = self.told.nearly.is_some();
        self.told.samples = self.candidates.samples(examiner, concerned);
        self.told.log = log.to_owned();
        self.told.id_count = self.ids.len();
        let mut ids: Vec<(String, u64)> = self.ids.into_iter().collect();
        most_first(&mut ids);
        ids.truncate(TOP);
        let id = |(id, failures)| Id { id, failures };
        self.told.ids = ids.into_iter().map(id).collect();
        let mut dates: Vec<(String, u64)> = self.dates.into_iter().collect();
        most_first(&mut dates);
        let template = |(pattern, lines)| Template { pattern, lines };
        self.told.dates = dates.into_iter().map(template).collect();
        self.told
    }
}

fn count(hits: &mut [Hits], index: usize) {
    if let Some(own) = hits.get_mut(index) {
        own.hits += 1;
    }
}

fn most_first(counts: &mut [(String, u64)]) {
    counts.sort_by(|(a, one), (b, two)| two.cmp(one).then_with(|| a.cmp(b)));
}
