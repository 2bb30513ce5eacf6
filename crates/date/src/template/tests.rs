use proptest::prelude::*;

use super::*;
use crate::builtin::templates;
use crate::detector::tests::line;
use crate::directive::years;
use crate::{Timestamp, Zone};

/// 2026-06-15 12:00:00 UTC.
const NOON: Timestamp = Timestamp::from_secs(1_781_524_800);

/// Dates of all default templates, and some that are almost such.
const DATES: &[&str] = &[
    "2026-06-15 11:58:01",
    "2026/06/5  1:58:01,789 +0530",
    "2026-6-15T11:58:01.123456+02:00",
    "2026.06.15 11:58:01   GMT",
    "2026-06-15 11:58:01Z",
    "Jun 15 11:58:01",
    "Mon Jun  5  1:58:01.25 2026",
    "jun 05 11:58:61 2026",
    "sun FEB 29 2026 24:58:01.1",
    "15/06/2026 11:58:01",
    " 5-06-26  1:58:01",
    "15/Jun/2026:11:58:01 +0200",
    "15-Jun-202611:58:01.252 gmt",
    "06/15/2026:11:58:01",
    "06-15-2026 11:58:01.252",
    "1781524681",
    "12345678901.123456",
    "audit(1781524681.372:1002)",
    "11:58:01",
    "<06/15/26@11:58:01>",
    "260615 11:58:01",
    "260615  1:58:01",
    "Jun 15, 2026 12:58:01 AM",
    "jun 5, 2026 1:02:03 pm",
    "Jun-15-26 11:58:01",
    "20260615T115801Z",
    "20260615-11:58:01.5 +0200",
    "20260615  115801",
    "PDT Jun 15 04:58:01",
    "Mon Mon Jun 15 04:58:01",
    "cest Mon Jun 15 13:58:01 2026",
    "+02:00 Jun 15 13:58:01 2026",
    "-07 Mon Jun 15 04:58:01",
    "utc Jun 15 04:58:01",
    "@400000006a2fe90d1234abcd",
];

/// Lines with dates in them, perhaps with a character more, less or changed.
fn dated() -> impl Strategy<Value = String> {
    let edge = prop_oneof![
        "",
        "[\\[< x_é(@-]{0,3}",
        "\\PC{0,2}",
        " [a-z]{1,4} ",
        line()
    ];
    let date = proptest::sample::select(DATES);
    let edit = (0..40_usize, "[0-9 :./,+_xZé-]?", 0..2_usize);
    let edited = (date, proptest::option::weighted(0.6, edit)).prop_map(|(date, edit)| {
        let Some((at, more, less)) = edit else {
            return date.to_owned();
        };
        let chars = || date.chars();
        let before: String = chars().take(at).collect();
        let after: String = chars().skip(at + less).collect();
        before + &more + &after
    });
    (
        edge.clone(),
        edited.clone(),
        edge.clone(),
        proptest::option::of(edited),
        edge,
    )
        .prop_map(|(a, first, b, second, c)| [a, first, b, second.unwrap_or_default(), c].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_read_by_hand_is_what_the_expression_matches(
        text in dated(),
        cut in proptest::option::of((0..20_usize, 0..60_usize)),
    ) {
        let line = Line::new(&text, 2029);
        let (from, to) = cut.map_or((0, text.len()), |(from, length)| {
            (line.byte_of(from), line.byte_of(from + length))
        });
        let zone = Zone::utc();
        let reading = Reading { zone: &zone, log_zone: None, now: NOON };
        let part = text.get(..to).unwrap();
        for template in ALL.iter() {
            // Those are never asked for a part of a line.
            if from > 0 && template.is_anchored() {
                continue;
            }
            let told = |hit: Option<Hit<'_>>| {
                hit.map(|hit| (hit.whole.clone(), hit.cut.clone(), template.instant(&hit, reading, &mut Kept::new())))
            };
            let read = told(template.search(&line, from, to));
            let matched = told(template.search_by_regex(part, from));
            prop_assert_eq!(read, matched, "{} in {:?} from {} to {}", template.name(), text, from, to);
        }
    }
}

static ALL: std::sync::LazyLock<Vec<Template>> =
    std::sync::LazyLock::new(|| templates(&years(2029)));

#[test]
fn every_default_template_reads_its_dates() {
    for template in ALL.iter() {
        let reads = |date: &&&str| {
            let line = Line::new(date, 2029);
            template.search(&line, 0, date.len()).is_some()
        };
        assert!(DATES.iter().find(reads).is_some(), "{}", template.name());
    }
}

#[test]
fn the_length_of_a_long_epoch_says_its_unit() {
    let cases = [
        ("1781524681", true, 1_781_524_681_000_000),
        ("17815246811", true, 17_815_246_811_000_000),
        ("1781524681372", true, 1_781_524_681_372_000),
        ("1781524681372.5", true, 1_781_524_681_372_500),
        ("1781524681372.1239", true, 1_781_524_681_372_124),
        ("1781524681372123", true, 1_781_524_681_372_123),
        ("17815246811372123", true, 17_815_246_811_372_123),
        ("1781524681.372", false, 1_781_524_681_372_000),
        ("1781524681.000001", false, 1_781_524_681_000_001),
    ];
    for (text, long, expected) in cases {
        assert_eq!(epoch(text, long), Some(expected), "{text}");
    }
    for wrong in ["am", "", "99999999999999999999"] {
        assert_eq!(
            epoch(wrong, false).filter(|micros| *micros != 0),
            None,
            "{wrong}"
        );
    }
}
