//! The acceptance test of filters: Debian's own filters find in lines what they find
//! in the original.
//!
//! Both sides read the same configuration, whose filters are those that the package
//! `fail2ban` (1.0.2) installs, and are fed the same lines: first the labelled ones of
//! `../shared/corpus`, each in a filter of its own, then changed ones, and those of several
//! records through one filter. Who failed, when, what was captured and which lines are
//! shown with it must be the same, failure by failure.
//!
//! Lines are made from a fixed seed. Where there is no original or no corpus to compare
//! with, the tests say so and pass, but not in CI.

mod jails;
mod mutate;
mod original;
mod ours;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jails::Jails;
use mutate::Random;
use original::{Answer, Line, Question};
use ours::Line as Ours;

/// A failure, as either side tells it.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    id: String,
    micros: i64,
    captures: BTreeMap<String, String>,
    /// The lines that are shown with it.
    matches: Vec<String>,
    /// All users of its session.
    users: Vec<String>,
}

/// What both sides make of a question, line by line.
struct Pair<'a> {
    question: &'a Question,
    ours: Result<Vec<Ours>, String>,
    theirs: Answer,
}

/// Asks both sides at the same time. `None`, and told, where there is no original.
fn ask<'a>(jails: &Jails, questions: &'a [Question]) -> Option<Vec<Pair<'a>>> {
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| original::ask(jails.folder(), questions));
        let ours: Vec<_> = questions.iter().map(|q| ours::ask(jails, q)).collect();
        (ours, theirs.join().unwrap())
    });
    let pairs = questions.iter().zip(ours).zip(theirs?);
    let pairs = pairs.map(|((question, ours), theirs)| Pair {
        question,
        ours,
        theirs,
    });
    Some(pairs.collect())
}

/// Something that 1.0.2 does otherwise than 1.1, which is what we follow, or that we do
/// otherwise than both, as told in `docs/differences.md`.
struct Known {
    why: &'static str,
    /// Whether it explains what our and their answers to a line are.
    applies: fn(&[Told], &Line) -> bool,
}

/// No other difference is accepted.
const KNOWN: [Known; 1] = [Known {
    why: "1.0.2 knows no address `::`, and takes other parts of `2001:db8:::1` and `:192`",
    applies: |ours, theirs| {
        let both = ours.iter().chain(theirs.told());
        let mut addresses = both.filter_map(|told| told.captures.get("ip6"));
        addresses.any(|address| {
            let colon = address.starts_with(':') && !address.starts_with("::");
            colon || address == "::" || address.contains(":::")
        })
    },
}];

/// Differences, and how many of each known kind there were.
#[derive(Default)]
struct Differences {
    text: String,
    count: usize,
    known: BTreeMap<&'static str, usize>,
    lines: usize,
    failures: usize,
    slow: usize,
}

impl Differences {
    /// Compares a pair, up to the first line that differs: behind it the two filters know
    /// different things.
    fn compare(&mut self, jails: &Jails, pair: &Pair<'_>) {
        let (ours, theirs) = match (&pair.ours, &pair.theirs) {
            (Ok(ours), Answer::Lines(theirs)) => (ours, theirs),
            (Err(_), Answer::None { .. }) => return,
            (Ok(_), Answer::None { none }) => {
                let text = format!("theirs cannot be made: {none}\n");
                return self.add(jails, pair, &text);
            }
            (Err(why), Answer::Lines(_)) => {
                return self.add(jails, pair, &format!("ours cannot be made: {why}\n"));
            }
        };
        for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            if theirs.is_slow() {
                self.slow += 1;
                return;
            }
            self.lines += 1;
            self.failures += theirs.told().len();
            if theirs.is_told(&ours.told) {
                continue;
            }
            let explains = |known: &&Known| (known.applies)(&ours.told, theirs);
            if let Some(known) = KNOWN.iter().find(explains) {
                *self.known.entry(known.why).or_default() += 1;
                return;
            }
            let mut text = format!("{}\n", what_differs(&ours.told, theirs));
            for line in &pair.question.lines[..=place] {
                writeln!(text, "    {:?}", String::from_utf8_lossy(line)).unwrap();
            }
            let Ours { told, notes } = ours;
            writeln!(text, "  ours {told:?}{notes}\n  theirs {theirs:?}").unwrap();
            return self.add(jails, pair, &text);
        }
    }

    fn add(&mut self, jails: &Jails, pair: &Pair<'_>, text: &str) {
        self.count += 1;
        let Question { jail, live, .. } = pair.question;
        let call = jails.call(jail);
        writeln!(self.text, "{call}: {text}  {jail}, live: {live}\n").unwrap();
    }

    fn assert_none(&self) {
        let shown = self.text.get(..self.text.floor_char_boundary(40_000));
        assert!(
            self.count == 0,
            "{} differences\n{}",
            self.count,
            shown.unwrap()
        );
    }
}

/// What of a line's failures is not the same, in a few words.
fn what_differs(ours: &[Told], theirs: &Line) -> String {
    let theirs = match theirs {
        Line::Told(theirs) => theirs,
        Line::Word(word) => return word.clone(),
    };
    let (ours, theirs) = match (ours, theirs.as_slice()) {
        ([ours], [theirs]) => (ours, theirs),
        (ours, theirs) => return format!("{} failures and {}", ours.len(), theirs.len()),
    };
    let mut what = Vec::new();
    if ours.id != theirs.id {
        what.push("id".to_owned());
    }
    if ours.micros != theirs.micros {
        what.push("time".to_owned());
    }
    let names: BTreeSet<&String> = ours.captures.keys().chain(theirs.captures.keys()).collect();
    let differ = |name: &&&String| ours.captures.get(**name) != theirs.captures.get(**name);
    what.extend(names.iter().filter(differ).map(|name| format!("<{name}>")));
    if ours.matches != theirs.matches {
        what.push("matches".to_owned());
    }
    if ours.users != theirs.users {
        what.push("users".to_owned());
    }
    what.join(", ")
}

/// What Debian's filters do not cover: who has none, or none with these options, and how
/// many records that leaves out.
const UNCOVERED: [(&str, usize); 9] = [
    ("cowrie", 4),
    ("dante", 2),
    ("exim[mode=\"more\"]", 21),
    ("nginx-forbidden", 1),
    ("openvpn", 12),
    ("proxmox", 1),
    ("routeros-auth", 1),
    ("vaultwarden", 4),
    ("xrdp", 4),
];

/// Records for which the original, with Debian's filter, needs more than five seconds.
const SLOW: [&str; 1] = ["f2b-samples/domino-smtp:16"];

/// Records that are said to come out right in 1.0.2, but for something that only the
/// filter of 1.1 captures.
const BESIDE_THE_LABEL: [(&str, &str); 1] = [(
    "f2b-samples/domino-smtp:11",
    "user: the filter of 1.0.2 captures none",
)];

#[test]
fn every_record_that_debians_filters_cover_comes_out_as_in_the_original() {
    let Some(records) = records::read() else {
        return;
    };
    let jails = Jails::new(&records);
    let questions: Vec<Question> = records.iter().map(|r| jails.question(r)).collect();
    let Some(pairs) = ask(&jails, &questions) else {
        return;
    };
    let mut differences = Differences::default();
    let mut uncovered: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut slow, mut beside) = (BTreeSet::new(), Vec::new());
    let (mut compared, mut labelled) = (0, 0);
    for (record, pair) in records.iter().zip(&pairs) {
        differences.compare(&jails, pair);
        let theirs = match &pair.theirs {
            Answer::None { .. } => {
                *uncovered
                    .entry(jails.call(&pair.question.jail))
                    .or_default() += 1;
                continue;
            }
            Answer::Lines(lines) => lines,
        };
        let last = record.context.len();
        let Some(Line::Told(theirs)) = theirs.get(last) else {
            let ours = pair.ours.as_ref().unwrap();
            assert_eq!(record.wrong(&ours[last].told), None, "{}", record.source);
            slow.insert(record.source.as_str());
            continue;
        };
        compared += 1;
        if record.in_1_0_2 == Some(true) {
            labelled += 1;
            if let Some(what) = record.wrong(theirs) {
                beside.push((record.source.as_str(), what));
            }
        }
    }
    assert_eq!(Vec::from_iter(uncovered), UNCOVERED, "not covered");
    assert_eq!(Vec::from_iter(slow), SLOW, "too slow");
    let expected = BESIDE_THE_LABEL.map(|(source, why)| (source, why.split(':').next().unwrap()));
    assert_eq!(beside, expected, "the original beside the label");
    assert_eq!(
        (compared, labelled),
        (933, 867),
        "records compared, and with the label"
    );
    differences.assert_none();
}

#[test]
fn changed_lines_and_mixed_sessions_come_out_as_in_the_original() {
    let Some(records) = records::read() else {
        return;
    };
    let jails = Jails::new(&records);
    let mut random = Random::new(20_050_814);
    let mut questions = jails.sessions(&records, &mut random);
    for (record, live) in records.iter().flat_map(|r| [(r, false), (r, true)]) {
        let mut lines = record.lines();
        let line = lines[record.context.len()].clone();
        lines.extend((0..20).map(|_| mutate::line(&line, &mut random)));
        questions.push(Question {
            lines,
            ..jails.quick(record, live)
        });
    }
    let Some(pairs) = ask(&jails, &questions) else {
        return;
    };
    let mut differences = Differences::default();
    for pair in &pairs {
        differences.compare(&jails, pair);
    }
    let Differences {
        lines,
        failures,
        slow,
        known,
        ..
    } = &differences;
    println!("{lines} lines, {failures} failures, {slow} slow, known: {known:?}");
    differences.assert_none();
    // Lines that are too slow for the original are not always the same.
    let enough = *lines > 38_000 && *failures > 11_000 && *slow < 50;
    assert!(enough, "{lines} lines, {failures} failures, {slow} slow");
    assert_eq!(known.len(), KNOWN.len(), "each known difference is seen");
}
