use std::hint::black_box;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// 2026-06-15 12:00:00 UTC.
const NOON: Timestamp = Timestamp::from_secs(1_781_524_800);

/// The text that is cut, or "" if nothing is.
fn cut(line: &str) -> &str {
    match Detector::new(Zone::utc()).search(line, NOON) {
        Search::Nothing | Search::Empty => "",
        Search::Unusable { span, .. } | Search::Found(Found { span, .. }) => {
            line.get(span).unwrap()
        }
    }
}

#[test]
fn of_several_dates_the_lines_own_is_taken() {
    let cases = [
        // line, expected
        (
            "Jun 15 11:58:02 host app: at 2026-06-14 10:00:00 x",
            "Jun 15 11:58:02",
        ),
        ("host app: at 2026-06-14 10:00:00 x", "2026-06-14 10:00:00"),
        // The leftmost, although another format stands before it in the list.
        (
            "192.0.2.7 - - [15/Jun/2026:11:58:01 +0000] \"GET /?d=2026-06-14 10:00:00\"",
            "15/Jun/2026:11:58:01 +0000",
        ),
        (
            "192.0.2.7 - 2026-06-14 10:00:00 [15/Jun/2026:11:58:02 +0000] \"GET /\"",
            "2026-06-14 10:00:00",
        ),
        // At the beginning is after two marks, not after three.
        (
            "[[2026-06-15 11:58:01] Jun 15 11:58:02",
            "2026-06-15 11:58:01",
        ),
        ("[[[Jun 15 11:58:01] 2026-06-15 11:58:02", "Jun 15 11:58:01"),
        // An impossible one at the beginning hides the others.
        (
            "Feb 30 11:58:01 host 2026-06-15 11:58:02",
            "Feb 30 11:58:01",
        ),
        // The original believes a label of the end rather than what is inside.
        (
            "host a 2026-06-15 11:58:01 @400000006a2fe90d1234abcd",
            "@400000006a2fe90d1234abcd",
        ),
        (
            "2026-06-15 11:58:01 @400000006a2fe90d1234abcd",
            "2026-06-15 11:58:01",
        ),
        (
            "é+02:00 Jun 15 11:58:01 @400000006a2fe90d1234abcd",
            "+02:00 Jun 15 11:58:01",
        ),
        (
            "a @400000006a2fe90d1234abcd @400000006a2fe90e1234abcd",
            "@400000006a2fe90d1234abcd",
        ),
        // The time of day alone is a date at the beginning only.
        ("11:58:01 at 2026-06-15 11:58:02", "11:58:01"),
        ("at 11:58:01 on 2026-06-15 11:58:02", "2026-06-15 11:58:02"),
    ];
    for (line, expected) in cases {
        assert_eq!(cut(line), expected, "{line}");
    }
}

#[test]
fn a_date_is_not_glued_to_a_word() {
    let cases = [
        ("Jun 15 11:58:01é", ""),
        ("éJun 15 11:58:01", ""),
        ("_2026-06-15 11:58:01", ""),
        ("\u{201c}2026-06-15 11:58:01\u{201d}", "2026-06-15 11:58:01"),
        ("2026-06-15 11:58:01_", ""),
        ("2026-06-15 11:58:01.5Zx", "2026-06-15 11:58:01"),
        ("2026-06-15 11:58:01 Zx", "2026-06-15 11:58:01"),
        (
            "2026-06-15 11:58:01\t\u{a0}+02 x",
            "2026-06-15 11:58:01\t\u{a0}+02",
        ),
        ("2026-06-15 11:58:01\x1c+02 x", "2026-06-15 11:58:01\x1c+02"),
        ("2026-06-15 11:58:01 +020 x", "2026-06-15 11:58:01"),
        ("Jun 15 11:58:01 2026x", "Jun 15 11:58:01"),
        // A day with a blank for the zero brings its own space.
        ("xx 5/06/2026 11:58:01 y", " 5/06/2026 11:58:01"),
    ];
    for (line, expected) in cases {
        assert_eq!(cut(line), expected, "{line}");
    }
}

#[test]
fn seconds_since_the_epoch_close_the_bracket_that_they_open() {
    let cases = [
        ("[1781524681] x", "1781524681"),
        ("[1781524681 x", ""),
        ("<1781524681 x", "1781524681"),
        ("[[1781524681] x", "1781524681"),
        ("12345678901.123 x", "12345678901.123"),
        ("123456789012 x", ""),
        ("msg=audit(1781524681.372:1002): x", "1781524681.372"),
        ("msg=xaudit(1781524681.372:1002): x", ""),
        ("at [1781524681] x", ""),
    ];
    for (line, expected) in cases {
        assert_eq!(cut(line), expected, "{line}");
    }
}

#[test]
fn only_the_seconds_since_the_epoch_keep_their_fraction() {
    let mut detector = Detector::new(Zone::utc());
    let cases = [
        ("1781524681.5 x", 0),
        ("1781524681.372 x", 372_000),
        ("1781524681.3721 x", 372_100),
        ("1781524681.000001 x", 1),
        ("2026-06-15T11:58:01.372Z x", 0),
    ];
    for (line, micros) in cases {
        let expected = Timestamp::from_micros(1_781_524_681_000_000 + micros);
        assert_eq!(detector.find(line, NOON).unwrap().time, expected, "{line}");
    }
}

#[test]
fn an_impossible_date_is_cut_and_not_found() {
    let mut detector = Detector::new(Zone::utc());
    for line in [
        "Feb 30 11:58:01 x",
        "Jun 15 24:58:01 x",
        "Jun 15 11:58:60 x",
        "utc Jun 15 11:58:01 x",
    ] {
        let end = line.len() - 2;
        assert_eq!(
            detector.search(line, NOON),
            Search::Unusable {
                span: 0..end,
                why: Unusable::NotATime
            },
            "{line}"
        );
        assert_eq!(detector.find(line, NOON), None, "{line}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whether time is linear shows on a clock only"
)]
fn a_hostile_line_costs_linear_time() {
    let units = [
        "1",
        " ",
        "é",
        "Jun ",
        "utc ",
        "utc Mon Jun 15 11:58:",
        "+02:00 ",
        "audit(",
        "1781524681 ",
        "@400000006a2fe90d1234abc",
        "2026-06-15 11:58:0x",
        "15/Jun/2026:11:58:x",
        "\u{a0}",
        " 5/06/",
        ":",
        "1:",
        "1:1:1 ",
    ];
    let custom =
        |pattern: &str| Detector::with_patterns(&[pattern.to_owned()], Zone::utc(), NOON).unwrap();
    let mut detectors = [
        Detector::new(Zone::utc()),
        custom(r"^[^\[]*\[({DATE})"),
        custom("{DATE}"),
        custom("%Y-%m-%d %H:%M:%S"),
    ];
    for unit in units {
        // The last is a line that is left to the regular expressions.
        let ends = [
            ["", ""],
            ["x 1:1:1", ""],
            ["x 2026-06-15 11:58:01", "@"],
            ["\u{b2} 1:1:1", ""],
        ];
        for (ends, detector) in ends
            .iter()
            .flat_map(|ends| [(ends, 0), (ends, 1), (ends, 2), (ends, 3)])
        {
            let detector = &mut detectors[detector];
            let line = [ends[0], &unit.repeat((1 << 17) / unit.len()), ends[1]].concat();
            let start = Instant::now();
            black_box(detector.search(&line, NOON));
            // Time that grows with the square would be minutes here.
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{unit:?} between {ends:?}"
            );
        }
    }
}

/// Text of which dates are made, and what stands between them.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,4}",
        "[ \\t:./,@<>\\[\\]_+-]{1,2}",
        proptest::sample::select(vec![
            "Jun",
            "feb",
            "Mon ",
            "29",
            "T",
            "Z",
            "UTC",
            "CEST ",
            "2026-06-15",
            "11:58:01",
            "24:00:61",
            "Jun 15 ",
            "@400000006a2fe90d1234abcd",
            "@4fffffffffffffffffffffff",
            "1781524681",
            "audit(",
            "+02:00",
            "é",
            "\u{a0}",
            "15/Jun/2026:",
            "260615 ",
            "20260615",
            "AM",
            "2026",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_line_at_any_time_is_cut_between_characters(line in line(), now: i64, berlin: bool) {
        let zone = if berlin { Zone::named("Europe/Berlin").unwrap() } else { Zone::utc() };
        let mut detector = Detector::new(zone);
        let now = Timestamp::from_micros(now);
        let answer = detector.search(&line, now);
        let found = detector.find(&line, now);
        match answer {
            Search::Nothing | Search::Empty => prop_assert_eq!(found, None),
            Search::Unusable { span, .. } => {
                prop_assert_eq!(found, None);
                prop_assert!(line.get(span).is_some_and(|text| !text.is_empty()));
            }
            Search::Found(answer) => {
                prop_assert!(line.get(answer.span.clone()).is_some_and(|text| !text.is_empty()));
                prop_assert_eq!(found, Some(answer));
            }
        }
    }

    #[test]
    fn any_text_at_all_is_cut_between_characters(line: String) {
        prop_assert!(line.contains(cut(&line)));
    }

    #[test]
    fn any_patterns_read_any_line_or_are_refused(
        patterns in proptest::collection::vec(pattern(), 1..4),
        lines in proptest::collection::vec(line(), 1..4),
    ) {
        let Ok(mut detector) = Detector::with_patterns(&patterns, Zone::utc(), NOON) else {
            return Ok(());
        };
        if let ([pattern], [template]) = (patterns.as_slice(), detector.templates().as_slice()) {
            prop_assert_eq!(template.name, crate::display_name(pattern.trim()));
        }
        for line in lines {
            if let Search::Found(Found { span, .. }) | Search::Unusable { span, .. } =
                detector.search(&line, NOON)
            {
                prop_assert!(line.get(span).is_some_and(|text| !text.is_empty()));
            }
            let templates = detector.templates().len();
            prop_assert!(detector.last().is_none_or(|last| last < templates));
        }
    }
}

/// Text of which patterns are made.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "%[aAbBcdHIjklmMpSUVwWxXyYzZGuf%]",
        2 => "%Ex[YymdHMSkzZl]",
        1 => "[0-9 :./,-]{1,3}",
        1 => proptest::sample::select(vec![
            "^", "$", "**", "{UNB}", "{^LN-BEG}", "(", ")", "(?:", ")?", "{DATE}", "{EPOCH}",
            "EPOCH", "TAI64N", "{NONE}", "{DEFAULT}", "\\", "\\b", "(?i)", "|", "[", "]", "*",
            "(?P<Y>", "\\d+", "%", "%(", "é", "\u{3000}",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn patterns_that_are_none_are_refused_in_the_words_of_the_original() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["%Q"],
            "Failed to set datepattern '%Q' (may be an invalid format or unescaped percent char): unsupported format character 'Q' (0x51) at index 1",
        ),
        (
            &["(%Y"],
            "Failed to set datepattern '(%Y' (may be an invalid format or unescaped percent char): missing ), unterminated subpattern at position 11",
        ),
        (
            &["%Y", "", " %Y "],
            "There is already a template with name Year",
        ),
    ];
    for (patterns, expected) in cases {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.into()).collect();
        let detector = Detector::with_patterns(&patterns, Zone::utc(), NOON);
        let error = detector.and_then(|it| it.check()).unwrap_err();
        assert_eq!(error.to_string(), *expected);
    }
}

#[test]
fn a_broken_expression_finds_nothing_and_leaves_the_other_patterns_alone() {
    let patterns = ["(%Y", "%Y-%m-%d"].map(str::to_owned);
    let mut detector = Detector::with_patterns(&patterns, Zone::utc(), NOON).unwrap();
    assert!(detector.find("2026-06-15 x", NOON).is_some());
    assert!(detector.find("(2026 x", NOON).is_none());
    assert!(detector.check().is_err());
}

#[test]
fn the_name_is_that_of_the_first_of_at_most_two() {
    let cases: [(&[&str], _); 9] = [
        (&[], (None, "Default Detectors")),
        (&["{DEFAULT}"], (None, "Default Detectors")),
        (&["{^LN-BEG}"], (None, "Default Detectors")),
        (&["%Y"], (Some("%Y"), "Year")),
        (&["%Y", "%m"], (Some("%Y"), "Year")),
        (&["%Y", "%m", "%d"], (None, "Default Detectors")),
        (&["epoch"], (None, "Epoch")),
        (&["{NONE}"], (Some("{UNB}^"), "^")),
        (&["{UNB}%Y"], (Some("{UNB}%Y"), "Year")),
    ];
    for (patterns, expected) in cases {
        let owned: Vec<String> = patterns.iter().map(|&pattern| pattern.into()).collect();
        let detector = Detector::with_patterns(&owned, Zone::utc(), NOON).unwrap();
        assert_eq!(detector.name(), expected, "{patterns:?}");
    }
}

#[test]
fn years_follow_the_clock_and_what_was_learned_stays() {
    let mut detector = Detector::new(Zone::utc());
    let line = "2031-06-15 11:58:01 x";
    assert_eq!(detector.search(line, NOON), Search::Nothing);
    assert!(detector.find("Jun 15 11:58:01 x", NOON).is_some());
    let later = Timestamp::from_secs(1_860_000_000); // 2028-12-09
    assert!(detector.find(line, later).is_some());
    let hits = |detector: &Detector| -> u64 {
        let templates = detector.templates();
        templates.iter().map(|template| template.hits).sum()
    };
    assert_eq!(hits(&detector), 2);
    assert_eq!(detector.search(line, NOON), Search::Nothing);
    assert_eq!(hits(&detector), 2);
}

#[test]
fn digits_of_any_script_are_read() {
    let mut detector =
        Detector::with_patterns(&["%Y-%m-%d %H:%M".to_owned()], Zone::utc(), NOON).unwrap();
    let found = detector.find("٢٠٢٦-06-15 1٢:00 x", NOON).unwrap();
    assert_eq!(found.time, NOON);
}

/// What dates are written as, with the clock, and what may stand before and after them.
const FORMS: [&str; 21] = [
    "Nov 25 {}",
    "Nov  5 {}",
    "Wed Nov 25 {}",
    "Nov 25 {} 2026",
    "Nov 25 2026 {}",
    "2026-11-25T{}",
    "2026-11-25 {}.123456+01:00",
    "2026-11-25T{}.654321+01:00",
    "2026/11/25 {},5Z",
    "25/Nov/2026:{} +0100",
    "25/Nov/2023:{}",
    "25/Nov/2022:{}",
    "11/25/2026:{}",
    "Nov 25, 2026 {} AM",
    "20261125T{}Z",
    "261125 {}",
    "CET Nov 25 {}",
    "+02:00 Nov 25 {}",
    "<11/25/26@{}>",
    "Nov-25-26 {}",
    "{}",
];

const BEFORE: [&str; 7] = ["", "[", " ", "[ ", "\u{201c}", "[[[", "192.0.2.7 - - ["];

const AFTER: [&str; 37] = [
    " web1",
    " db2",
    " ubuntu",
    " gate",
    " zeus",
    " U",
    " UTC",
    " UTCx",
    " UTC\u{e9}",
    " +01:00",
    " +01:00x",
    " +01:0",
    " +01:00\u{e9}",
    " +01:00\u{2014}",
    " 2026",
    " 2026x",
    " 2031",
    ".123456",
    ".123457",
    ".1234_6",
    ".5",
    ".123456UTC",
    ".123456UTCx",
    ",7",
    "  web1",
    "\t+0100",
    "]",
    "] x",
    ":",
    "\u{e9}",
    "_",
    " \u{b2}",
    "\u{a0}Z",
    " +0100",
    " +0100x",
    " +0100\u{2071}",
    " +0100\u{207a}",
];

/// A line with a date, or anything.
fn dated() -> impl Strategy<Value = String> {
    let clock = prop_oneof![
        3 => (0..60_u8).prop_map(|second| format!("11:58:{second:02}")),
        2 => (0..26_u8, 0..62_u8, 0..63_u8)
            .prop_map(|(hour, minute, second)| format!("{hour:02}:{minute:02}:{second:02}")),
        1 => (0..26_u8, 0..62_u8, 0..63_u8)
            .prop_map(|(hour, minute, second)| format!("{hour}:{minute}:{second}")),
        1 => Just("23:23:23".to_owned()),
    ];
    let rest = proptest::sample::select(vec![
        " sshd[7]: Failed password for root from 192.0.2.7 port 22 ssh2",
        " x\u{b2} sshd[7]: Failed password for root from 192.0.2.7 port 22 ssh2",
        " at 2026-11-25 11:58:01 and so on and so forth",
        "",
    ]);
    (
        proptest::sample::select(&FORMS[..]),
        proptest::sample::select(&BEFORE[..]),
        clock,
        proptest::sample::select(&AFTER[..]),
        rest,
    )
        .prop_map(|(form, before, clock, after, rest)| {
            let date = form.replace("{}", &clock);
            [before, &date, after, rest].concat()
        })
}

/// Lines as a log has them: most are of the form of the one before.
fn log() -> impl Strategy<Value = Vec<(String, i64)>> {
    let now = prop_oneof![
        4 => Just(1_795_608_000), // 2026-11-25 12:00:00
        1 => Just(1_795_694_400),
        1 => Just(1_798_761_600), // 2027-01-01: other years are read
        1 => 1_790_000_000..1_830_000_000_i64,
    ];
    let alike = (
        dated(),
        proptest::collection::vec((0..60_u8, 0..4_u8, now.clone()), 1..6),
    );
    let alike = alike.prop_map(|(line, others)| {
        let other = |(second, change, now): (u8, u8, i64)| {
            let clock = format!("11:58:{second:02}");
            let other = match change {
                0 => line.clone(),
                1 => line.replace("11:58:01", &clock),
                2 => line.replace("123456", &format!("1234{second:02}")),
                _ => line.replace("11:58", &format!("{:02}:58", second % 25)),
            };
            (other, now)
        };
        others.into_iter().map(other).collect::<Vec<_>>()
    });
    let single = (prop_oneof![dated(), line()], now).prop_map(|single| vec![single]);
    let logs = proptest::collection::vec(prop_oneof![3 => alike, 2 => single], 1..8);
    logs.prop_map(|logs| logs.concat())
}

/// Searches and tells what is wrong if that is not what a detector says that keeps
/// nothing but which formats it has met.
fn check(
    detector: &mut Detector,
    forgetful: &mut Detector,
    (line, now): (&str, Timestamp),
) -> Result<(), String> {
    let answer = detector.search(line, now);
    forgetful.prepare(now);
    forgetful.kept = Kept::new();
    let expected = forgetful.search_all(&Line::new(line, forgetful.last_year), now);
    let same = answer == expected
        && detector.last() == forgetful.last()
        && detector.templates() == forgetful.templates();
    let wrong = || format!("{line} at {now}: {answer:?} instead of {expected:?}");
    same.then_some(()).ok_or_else(wrong)
}

#[test]
fn a_line_is_read_as_ever_whatever_the_last_one_was() {
    let line = |before: &str, form: &str, clock: &str, after: &str| {
        let date = form.replace("{}", clock);
        [before, &date, after, " sshd[7]: Failed password for root"].concat()
    };
    let mut fresh = Detector::new(Zone::utc());
    fresh.prepare(NOON);
    let check_pair = |first: &str, second: &str| {
        let (mut detector, mut forgetful) = (fresh.clone(), fresh.clone());
        // The first of a detector tells it the format, the next the form.
        for line in [first, first, second, first] {
            let told = check(&mut detector, &mut forgetful, (line, NOON));
            assert_eq!(told, Ok(()), "after {first}");
        }
    };
    for form in FORMS {
        for other in FORMS {
            let first = line("[", form, "23:23:23", "] x");
            check_pair(&first, &line("[", other, "23:23:23", "] x"));
        }
        for (first, second) in AFTER.iter().flat_map(|a| AFTER.iter().map(move |b| (a, b))) {
            let first = line("", form, "11:58:01", first);
            check_pair(&first, &line("", form, "11:58:02", second));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn lines_like_the_last_are_read_as_any_other(lines in log(), begin: bool) {
        let patterns: &[String] = if begin { &["{^LN-BEG}".to_owned()] } else { &[] };
        let zone = Zone::named("Europe/Berlin").unwrap();
        let mut detector = Detector::with_patterns(patterns, zone, NOON).unwrap();
        let mut forgetful = detector.clone();
        for (line, now) in lines {
            let told = check(&mut detector, &mut forgetful, (&line, Timestamp::from_secs(now)));
            prop_assert_eq!(told, Ok(()));
        }
    }
}
