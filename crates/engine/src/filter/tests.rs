use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_781_524_800; // 2026-06-15 12:00:00 UTC

fn settings(failregex: &[&str], ignoreregex: &[&str]) -> FilterSettings {
    let texts = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
    FilterSettings {
        prefregex: None,
        failregex: texts(failregex),
        ignoreregex: texts(ignoreregex),
        raw_names: false,
        findtime: 600,
    }
}

fn filter(settings: &FilterSettings) -> Filter {
    Filter::new(settings, Zone::utc()).unwrap()
}

fn feed(filter: &mut Filter, text: &str, live: bool) -> (Vec<Failure>, Vec<FilterNote>) {
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let line = LogLine {
        text,
        time: None,
        live,
    };
    filter.feed(Timestamp::from_secs(NOW), line, &mut failures, &mut notes);
    (failures, notes)
}

#[test]
fn a_pattern_that_gives_up_is_told_once_a_minute_and_counts_nothing() {
    let mut filter = filter(&settings(&[r"(?:(a+)+\1)+b <ADDR>"], &[]));
    let line = format!("{} b 192.0.2.7x", "a".repeat(4000));
    let (failures, notes) = feed(&mut filter, &line, true);
    assert!(failures.is_empty());
    assert!(
        matches!(notes.as_slice(), [FilterNote::GaveUp { .. }]),
        "{notes:?}"
    );
    assert_eq!(feed(&mut filter, &line, true).1, []);
}

#[test]
fn a_pattern_that_names_nobody_is_refused_unless_a_session_may() {
    let accepted = |pattern: &str| Filter::new(&settings(&[pattern], &[]), Zone::utc()).is_ok();
    for (pattern, good) in [
        (r"x <F-USER>\S+</F-USER>", false),
        (r"x <F-MLFID>\S+</F-MLFID>", true),
        (r"x <F-ID>\S+</F-ID>", true),
    ] {
        assert_eq!(accepted(pattern), good, "{pattern}");
    }
}

#[test]
fn a_line_becomes_a_failure_with_everything_it_says() {
    let mut filter = filter(&settings(
        &["^ bad <HOST> user=<F-USER>\\S+</F-USER>$"],
        &[],
    ));
    let (failures, notes) = feed(
        &mut filter,
        "2026-06-15 11:59:58 bad ::ffff:192.0.2.7 user=bob",
        true,
    );
    assert_eq!(notes, []);
    let [failure] = failures.as_slice() else {
        panic!("{failures:?}")
    };
    assert_eq!(failure.id, FailId::parse("192.0.2.7"));
    assert_eq!(failure.time.secs(), NOW - 2);
    assert_eq!(failure.ticket.failures, 1);
    let captures =
        [("ip4", "192.0.2.7"), ("user", "bob")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(failure.ticket.captures, captures);
    let found = Match {
        before: String::new(),
        date: "2026-06-15 11:59:58".into(),
        after: " bad ::ffff:192.0.2.7 user=bob".into(),
    };
    assert_eq!(failure.ticket.matches, [found]);
}

#[test]
fn identities_follow_the_order_of_precedence() {
    let cases = [
        (
            "^ <F-ID>\\S+</F-ID> from <ADDR>$",
            " bob from 192.0.2.7",
            Some("bob"),
        ),
        ("^ <ADDR>$", " [2001:db8::1]", Some("2001:db8::1")),
        ("^ <SUBNET>$", " 198.51.100.7/24", Some("198.51.100.0/24")),
        ("^ <HOST>$", " some.name", Some("some.name")),
        ("^ <ADDR>$", " some.name", None),
        ("^ <HOST>$", " 999.1.1.1", Some("999.1.1.1")),
    ];
    for (pattern, line, expected) in cases {
        let settings = FilterSettings {
            raw_names: true,
            ..settings(&[pattern], &[])
        };
        let (failures, _) = feed(&mut filter(&settings), line, true);
        let id = failures.first().map(|failure| failure.id.to_string());
        assert_eq!(id.as_deref(), expected, "{pattern} on {line}");
    }
}

#[test]
fn names_are_told_and_not_counted_unless_they_are_wanted_raw() {
    let mut filter = filter(&settings(&["^ bad <HOST>$"], &[]));
    let (failures, notes) = feed(&mut filter, " bad some.name", true);
    assert_eq!(failures, []);
    assert!(matches!(notes.as_slice(), [FilterNote::Name { name, .. }] if name == "some.name"));
    assert_eq!(
        feed(&mut filter, " bad other.name", true),
        (vec![], vec![]),
        "once a day"
    );
    assert_eq!(feed(&mut filter, " bad 192.0.2.7", true).0.len(), 1);
}

#[test]
fn the_prefix_gates_and_its_content_is_what_the_others_see() {
    let mut settings = settings(&["^bad <ADDR>$"], &["192\\.0\\.2\\.9"]);
    settings.prefregex = Some("^ host (?:d: )?<F-CONTENT>.+</F-CONTENT>$".into());
    let mut filter = filter(&settings);
    let cases = [
        (" host d: bad 192.0.2.7", 1),
        (" host bad 192.0.2.7", 1),
        (" other d: bad 192.0.2.7", 0),
        (" host d: bad 192.0.2.9", 0),
    ];
    for (line, expected) in cases {
        assert_eq!(feed(&mut filter, line, true).0.len(), expected, "{line}");
    }
}

#[test]
fn with_many_failregexes_the_ignoreregex_also_sees_the_whole_line() {
    let patterns = ["^x <ADDR>$", "^y <ADDR>$", "^z <ADDR>$", "^w <ADDR>$"];
    for (count, expected) in [(1, 1), (4, 0)] {
        let mut settings = settings(patterns.get(..count).unwrap(), &["^ p: "]);
        settings.prefregex = Some("^ p: <F-CONTENT>.+</F-CONTENT>$".into());
        let mut filter = filter(&settings);
        assert_eq!(
            feed(&mut filter, " p: x 192.0.2.7", true).0.len(),
            expected,
            "{count} failregexes"
        );
    }
}

#[test]
fn a_line_may_stand_for_several_failures() {
    let mut filter = filter(&settings(
        &["^ (?:repeated <F-REPEAT>\\d+</F-REPEAT> times: )?bad <ADDR>$"],
        &[],
    ));
    let cases = [
        (" bad 192.0.2.7", 1),
        (" repeated 3 times: bad 192.0.2.7", 3),
        (" repeated 0 times: bad 192.0.2.7", 1),
        (" repeated 99999 times: bad 192.0.2.7", 1000),
        (" repeated 99999999999999999999 times: bad 192.0.2.7", 1),
    ];
    for (line, expected) in cases {
        assert_eq!(
            feed(&mut filter, line, true)
                .0
                .first()
                .map(|f| f.ticket.failures),
            Some(expected),
            "{line}"
        );
    }
}

#[test]
fn live_lines_with_odd_times_count_as_now_and_that_is_told_once() {
    let mut filter = filter(&settings(&["^ bad <ADDR>$"], &[]));
    let (failures, notes) = feed(&mut filter, "2026-06-15 11:00:00 bad 192.0.2.7", true);
    assert_eq!(failures.first().map(|f| f.time.secs()), Some(NOW));
    assert!(
        matches!(
            notes.as_slice(),
            [FilterNote::OddTime { seconds: 3600, .. }]
        ),
        "{notes:?}"
    );
    let (failures, notes) = feed(&mut filter, "2026-06-15 13:00:00 bad 192.0.2.7", true);
    assert_eq!((failures.len(), notes.len()), (1, 0));
}

#[test]
fn while_catching_up_old_lines_are_skipped_and_undated_ones_do_not_count() {
    let mut filter = filter(&settings(&["^ bad <ADDR>$"], &[]));
    let cases = [
        ("2026-06-15 11:49:59 bad 192.0.2.7", 0),
        ("2026-06-15 11:50:00 bad 192.0.2.7", 1),
        (" bad 192.0.2.7", 0),
        ("2026-06-15 12:30:00 bad 192.0.2.7", 1),
    ];
    for (line, expected) in cases {
        assert_eq!(feed(&mut filter, line, false).0.len(), expected, "{line}");
    }
    assert_eq!(
        filter.is_old(Timestamp::from_secs(NOW), "2026-06-15 11:49:59 x"),
        Some(true)
    );
    assert_eq!(filter.is_old(Timestamp::from_secs(NOW), "no date"), None);
}

#[test]
fn undated_live_lines_take_the_last_time_while_it_is_fresh() {
    let mut filter = filter(&settings(&["^ bad <ADDR>$"], &[]));
    feed(&mut filter, "2026-06-15 11:59:30 whatever", true);
    let (failures, _) = feed(&mut filter, " bad 192.0.2.7", true);
    assert_eq!(failures.first().map(|f| f.time.secs()), Some(NOW - 30));
}

#[test]
fn times_from_the_source_are_shown_before_the_text() {
    let mut filter = filter(&settings(&["^host bad <ADDR>$"], &[]));
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    let time = Timestamp::from_micros(NOW * 1_000_000 - 1_500_000);
    let line = LogLine {
        text: "host bad 192.0.2.7",
        time: Some(time),
        live: true,
    };
    filter.feed(Timestamp::from_secs(NOW), line, &mut failures, &mut notes);
    let shown = failures
        .first()
        .and_then(|f| f.ticket.matches.first())
        .map(Match::joined);
    assert_eq!(
        shown.as_deref(),
        Some("2026-06-15T11:59:58.500000 host bad 192.0.2.7")
    );
}

#[test]
fn captured_values_are_cut() {
    let mut filter = filter(&settings(&["^ bad <ADDR> user=<F-USER>.*</F-USER>$"], &[]));
    let line = format!(" bad 192.0.2.7 user={}", "é".repeat(100_000));
    let (failures, _) = feed(&mut filter, &line, true);
    let length = |f: &Failure| f.ticket.captures.iter().map(|(_, value)| value.len()).max();
    assert_eq!(failures.first().and_then(length), Some(4096));
}

#[test]
fn filters_that_cannot_work_say_why() {
    let cases = [
        ("", "Cannot add empty regex"),
        ("(", "Unable to compile regular expression '('"),
        ("no host", "No failure-id group in 'no host'"),
    ];
    for (pattern, expected) in cases {
        let error = Filter::new(&settings(&[pattern], &[]), Zone::utc()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_line_makes_a_filter_panic_or_captures_more_than_the_line(text in "\\PC{0,200}|.{0,80}bad [0-9a-f.:]{1,20}.{0,40}", live: bool) {
        let mut filter = filter(&settings(&["bad <HOST>", "^<F-MLFID>\\S+</F-MLFID> <F-ONCE>x</F-ONCE>"], &["ignore"]));
        let (failures, _) = feed(&mut filter, &text, live);
        prop_assert!(failures.len() <= 1);
        for failure in failures {
            for (_, value) in failure.ticket.captures {
                prop_assert!(text.contains(&value));
            }
        }
    }
}

#[test]
fn a_pattern_or_what_stands_before_it_says_who_failed() {
    assert_eq!(check_failregex(None, "from <HOST>"), Ok(()));
    assert_eq!(
        check_failregex(Some("^x <F-CONTENT>.+</F-CONTENT>$"), "from <HOST>"),
        Ok(())
    );
    assert_eq!(
        check_failregex(Some("^<HOST> <F-CONTENT>.+</F-CONTENT>$"), "no id"),
        Ok(())
    );
    for prefix in [None, Some("^x <F-CONTENT>.+</F-CONTENT>$")] {
        let checked = check_failregex(prefix, "no id");
        assert!(
            matches!(checked, Err(FilterError::NoIdentity { .. })),
            "{checked:?}"
        );
    }
}
