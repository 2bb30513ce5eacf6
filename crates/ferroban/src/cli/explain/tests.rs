use ferroban_date::Timestamp;
use ferroban_engine::{FilterSettings, JailName, JailSettings};
use proptest::prelude::*;

use super::look::Examiner;
use super::paint::Paint;
use super::subject::Subject;
use super::tally::Tally;
use super::view::What;
use super::{report, words};
use crate::cli::own::text;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn examiner(settings: FilterSettings, jail: bool) -> Result<Examiner, String> {
    let jail = jail.then(|| JailSettings {
        ignoreip: vec![ferroban_engine::FailId::parse("198.51.100.0/24")],
        ..JailSettings::new("test".parse::<JailName>().unwrap())
    });
    let subject = Subject {
        name: "test".to_owned(),
        settings,
        jail,
        notes: Vec::new(),
    };
    Examiner::new(subject, NOW)
}

fn of_patterns(prefix: Option<&str>, failregex: &[&str], ignoreregex: &[&str]) -> FilterSettings {
    let texts = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
    FilterSettings {
        prefregex: prefix.map(str::to_owned),
        failregex: texts(failregex),
        ignoreregex: texts(ignoreregex),
        maxlines: 1,
        findtime: 600,
        ..FilterSettings::default()
    }
}

/// Lines of one log, and what becomes of them.
const VERDICTS: &[(&str, What, &str)] = &[
    (
        "p1: bad root from 192.0.2.7",
        What::Failure,
        "failure of 192.0.2.7 (user root)",
    ),
    (
        "p2: bad root from 127.0.0.1",
        What::Failure,
        "failure of 127.0.0.1 (user root), but this jail ignores it: ignoreself",
    ),
    (
        "p3: bad root from 198.51.100.4",
        What::Failure,
        "failure of 198.51.100.4 (user root), but this jail ignores it: ignoreip",
    ),
    (
        "p4: bad root from a.example",
        What::Failure,
        "failure of the name a.example: its addresses would be looked up (usedns = warn) \
         (user root)",
    ),
    (
        "p5: hello 192.0.2.8",
        What::Harmless,
        "no failure by itself: the session of 192.0.2.8 remembers it",
    ),
    (
        "p5: odd",
        What::Failure,
        "failure of 192.0.2.8, which an earlier line of the session told",
    ),
    (
        "p6: odd",
        What::Pending,
        "a failure, but not known whose: it counts once a line of this session tells",
    ),
    (
        "p7: bad x from 203.0.113.9",
        What::Ignored,
        "no failure: an ignoreregex matches",
    ),
    (
        "p7: bad x",
        What::NoMatch,
        "no failure: no failregex matches",
    ),
    (
        "q7: bad x",
        What::NoPrefix,
        "no failure: prefregex does not match",
    ),
];

#[test]
fn each_outcome_has_its_verdict() {
    let settings = of_patterns(
        Some(r"^<F-MLFID>p\d+</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$"),
        &[
            "^bad <F-USER>\\S+</F-USER> from <HOST>$",
            "^<F-NOFAIL>hello</F-NOFAIL> <ADDR>$",
            "^<F-MLFFORGET>bye</F-MLFFORGET>$",
            "^odd$",
        ],
        &["from 203.0.113.9"],
    );
    let mut examiner = examiner(settings, true).unwrap();
    for (line, what, text) in VERDICTS {
        let seen = examiner.look(line, NOW);
        assert_eq!(
            (seen.verdict.what, seen.verdict.text.as_str()),
            (*what, *text),
            "{line}"
        );
    }
    let end = examiner.look("p5: bye", NOW);
    assert!(
        end.session
            .is_some_and(|session| session.forgets && session.id == "p5")
    );
}

#[test]
fn the_closest_is_the_one_that_agrees_with_most_and_not_one_that_takes_anything() {
    let settings = of_patterns(
        None,
        &[
            "^.*: refused <HOST>$",
            "^(?:some long text that may be missing)? ?<HOST> gone$",
            "^Failed password for <F-USER>\\S+</F-USER> from <HOST> port",
        ],
        &[],
    );
    let mut examiner = examiner(settings, false).unwrap();
    let seen = examiner.look("Failed password for root frm 192.0.2.7 port 22", NOW);
    let stop = seen.closest.unwrap();
    assert_eq!(stop.number, Some(3));
    assert_eq!(stop.wanted, " from <HOST> port");
    assert_eq!(stop.text.get(stop.span), Some("Failed password for root"));
    assert!(examiner.look("zzz", NOW).verdict.what == What::NoMatch);
}

#[test]
fn ignored_before_anything_else_is_ignored_and_not_missed() {
    let settings = of_patterns(
        Some("^x <F-CONTENT>.+</F-CONTENT>$"),
        &["a <HOST>"; 4],
        &["quiet"],
    );
    let mut examiner = examiner(settings, false).unwrap();
    let seen = examiner.look("y quiet", NOW);
    assert_eq!(seen.verdict.what, What::Ignored);
    assert_eq!(seen.ignoreregex.map(|pattern| pattern.number), Some(1));
    assert!(seen.prefix.is_none() && seen.closest.is_none());
}

#[test]
fn lines_that_a_later_one_completes_are_its_parts_and_not_missed() {
    let settings = FilterSettings {
        maxlines: 3,
        ..of_patterns(None, &["^start <HOST><SKIPLINES>^failed$"], &[])
    };
    let mut examiner = examiner(settings, false).unwrap();
    let mut tally = Tally::new(&examiner, 9);
    for line in [
        "start 192.0.2.1",
        "noise",
        "failed",
        "start 192.0.2.2",
        "good",
    ] {
        let examined = examiner.examine(line, NOW);
        tally.take(&examiner, line, &examined);
    }
    let told = tally.told(&examiner, "log");
    assert_eq!((told.failures, told.parts, told.missed), (1, 1, 3));
    let mut samples: Vec<u64> = told.samples.iter().map(|sample| sample.number).collect();
    samples.sort_unstable();
    assert_eq!(samples, [2, 4, 5]);
}

#[test]
fn a_time_is_told_with_its_distance_and_what_that_means() {
    let settings = of_patterns(None, &["bad <HOST>"], &[]);
    let mut examiner = examiner(settings, true).unwrap();
    let rows = [
        (0, "now", ""),
        (59, "59 s ago", ""),
        (-10, "in 10 s", ""),
        (
            601,
            "10 min 1 s ago",
            "older than findtime (10 min): a jail that starts passes over it",
        ),
        (
            -3600,
            "in 1 h",
            "it is still to come: a line that comes in now counts as of now; is the zone right?",
        ),
    ];
    for (age, distance, why) in rows {
        let line = format!("{} bad 192.0.2.7", NOW.secs() - age);
        let date = examiner.look(&line, NOW).date;
        let local = date.local.unwrap();
        assert!(local.ends_with(&format!(", {distance}")), "{local}");
        assert_eq!(date.why.unwrap_or_default(), why, "{age}");
    }
}

#[test]
fn a_date_that_is_none_is_told_with_what_holds_instead() {
    let settings = of_patterns(None, &["bad <HOST>"], &[]);
    let why = |lines: &[&str]| {
        let mut examiner = examiner(settings.clone(), true).unwrap();
        let seen = lines.iter().map(|line| examiner.look(line, NOW));
        seen.last().unwrap().date.why.unwrap_or_default()
    };
    let (odd, good) = ("Nov 31 10:00:00 bad 192.0.2.7", "1790000000 good");
    let alone = "it counts as of now, and not at all in what was written before the jail started";
    let rows: [(&[&str], String); 4] = [
        (
            &[odd],
            format!("looks like a date, but there is no such time; {alone}"),
        ),
        (&["bad 192.0.2.7"], format!("none found; {alone}")),
        (
            &[good, odd],
            "looks like a date, but there is no such time; it counts by the line before".into(),
        ),
        (
            &[good, "bad 192.0.2.7"],
            "none of its own; it belongs to the line before".into(),
        ),
    ];
    for (lines, expected) in rows {
        assert_eq!(why(lines), expected, "{lines:?}");
    }
}

/// Texts made of these, and now and then of something else.
fn pieces(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        19 => prop::sample::select(words).prop_map(str::to_owned),
        1 => any::<char>().prop_map(|c| c.to_string()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Most fit together, so that patterns compile.
const IN_PATTERNS: &[&str] = &[
    "<ADDR>",
    "<F-USER>\\S+</F-USER>",
    "<F-MLFID>\\d+</F-MLFID>",
    "<F-ID>a|é</F-ID>",
    "<SKIPLINES>",
    "<F-NOFAIL>a</F-NOFAIL>",
    "^",
    "$",
    ".*",
    "(?:a|é )",
    "(?:x(?:y|z)?)*",
    "a",
    "é",
    " ",
    "\\d+",
    "(?=a)",
    "[^ ]+",
    "[]|)]",
    "(?P<n>a)",
    "\\(",
    "a?",
    "|",
    ")",
    "*",
];
const IN_LINES: &[&str] = &[
    "192.0.2.7",
    "::1",
    "a",
    "é",
    " ",
    "\u{1b}[2J",
    "Nov 25 10:00:00 ",
    "2026-11-25 30:00:00 ",
    "1790000000",
    "\t",
    "字",
];

proptest! {
    #[test]
    fn no_line_and_no_pattern_does_harm(
        prefix in prop::option::of(pieces(IN_PATTERNS)),
        patterns in prop::collection::vec(pieces(IN_PATTERNS), 1..4),
        ignored in prop::collection::vec(pieces(IN_PATTERNS), 0..2),
        lines in prop::collection::vec(pieces(IN_LINES), 1..5),
        maxlines in 1..4_usize,
    ) {
        let patterns: Vec<String> = patterns.into_iter().map(|text| text + "<HOST>?").collect();
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
        let settings = FilterSettings {
            maxlines,
            ..of_patterns(prefix.as_deref(), &texts, &ignored)
        };
        if let Ok(mut examiner) = examiner(settings, true) {
            let mut tally = Tally::new(&examiner, 3);
            for line in &lines {
                let seen = examiner.look(line, NOW);
                let told = words::line(&seen, Paint::plain(80));
                let is_tame = |c: char| c == '\n' || !c.is_control();
                prop_assert!(told.chars().all(is_tame), "{told:?}");
                prop_assert!(!text::json(&seen).chars().any(char::is_control));
                let examined = examiner.examine(line, NOW);
                tally.take(&examiner, line, &examined);
            }
            let told = tally.told(&examiner, "log");
            let found = told.failures + told.ignored + told.harmless + told.pending;
            let sum = found + told.parts + told.missed;
            prop_assert_eq!(sum, told.lines);
            report::text(&told, &examiner, Paint::FULL);
        }
    }
}
