use super::*;
use crate::capture::Capture;
use proptest::prelude::*;
use smol_str::SmolStr;

const NOW: i64 = 1_781_524_800; // 2026-06-15 12:00:00 UTC

fn settings(failregex: &[&str], ignoreregex: &[&str]) -> FilterSettings {
    let texts = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
    FilterSettings {
        prefregex: None,
        failregex: texts(failregex),
        ignoreregex: texts(ignoreregex),
        findtime: 600,
        ..FilterSettings::default()
    }
}

fn filter(settings: &FilterSettings) -> Filter {
    Filter::new(settings, Zone::utc(), Timestamp::from_secs(NOW)).unwrap()
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
    let mut filter = filter(&settings(&[r"^(a+)(a+)\1x\2b <ADDR>"], &[]));
    let (before, after) = ("a".repeat(4096), "a".repeat(5000));
    let line = format!("{before}x{after}b 192.0.2.7");
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
    let accepted = |pattern: &str| {
        Filter::new(
            &settings(&[pattern], &[]),
            Zone::utc(),
            Timestamp::from_secs(NOW),
        )
        .is_ok()
    };
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
        [("ip4", "192.0.2.7"), ("user", "bob")].map(|(n, v)| (Name::from(n), Capture::from(v)));
    assert_eq!(failure.ticket.captures, captures);
    let found = Match {
        before: SmolStr::default(),
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
            usedns: UseDns::Raw,
            ..settings(&[pattern], &[])
        };
        let (failures, _) = feed(&mut filter(&settings), line, true);
        let id = failures.first().map(|failure| failure.id.to_string());
        assert_eq!(id.as_deref(), expected, "{pattern} on {line}");
    }
}

#[test]
fn names_are_to_be_looked_up_as_usedns_says() {
    let cases = [
        // usedns, the failure's lookup
        (UseDns::Yes, Some(Lookup::Addresses)),
        (UseDns::Warn, Some(Lookup::Told)),
        (UseDns::No, None),
        (UseDns::Raw, Some(Lookup::None)),
    ];
    for (usedns, lookup) in cases {
        for pattern in ["^ bad <HOST>$", "^ bad <DNS>$"] {
            let settings = FilterSettings {
                usedns,
                ..settings(&[pattern], &[])
            };
            let mut filter = filter(&settings);
            let (named, notes) = feed(&mut filter, " bad some.name", true);
            let told = named.first().map(|failure| failure.lookup);
            assert_eq!(told, lookup, "{usedns:?} {pattern}");
            assert!(
                !notes
                    .iter()
                    .any(|note| !matches!(note, FilterNote::NoTime { .. }))
            );
            let (known, _) = feed(&mut filter, " bad 192.0.2.7", true);
            let by_address = known.first().map(|failure| failure.lookup);
            assert_eq!(by_address, Some(Lookup::None), "{usedns:?} {pattern}");
        }
    }
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
    let length = |f: &Failure| {
        f.ticket
            .captures
            .iter()
            .map(|(_, value)| value.text_len())
            .max()
    };
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
        let error = Filter::new(
            &settings(&[pattern], &[]),
            Zone::utc(),
            Timestamp::from_secs(NOW),
        )
        .unwrap_err();
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
                prop_assert!(value.text().is_none_or(|value| text.contains(value)));
            }
        }
    }
}

/// A failregex of any of the kinds there are.
fn any_pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "bad <HOST>",
        r"^<F-MLFID>\S+</F-MLFID> (?:<F-NOFAIL>x</F-NOFAIL>)?.*?(?:<ADDR>)?$",
        r"<F-MLFID>\w</F-MLFID><F-MLFFORGET>bye</F-MLFFORGET>",
        r"a<SKIPLINES>.*b <F-ID>\S*</F-ID>",
        r"<F-USER>\w*</F-USER><F-ALT_USER>.*</F-ALT_USER> <SUBNET>",
        r"(\w+) \1 <F-TUPLE_ID>.</F-TUPLE_ID><DNS>",
        "^\\s*<HOST>?<F-ID>.</F-ID>$",
    ])
    .prop_map(str::to_owned)
}

fn any_settings() -> impl Strategy<Value = FilterSettings> {
    let prefix = prop::option::of(prop::sample::select(vec![
        "^<F-CONTENT>.+</F-CONTENT>$",
        r"^\s*(?:<F-MLFID>\S+</F-MLFID> )?<F-CONTENT>.*</F-CONTENT>",
        "<HOST>",
    ]));
    let dates = prop::collection::vec(
        prop::sample::select(vec![
            "%Y",
            "{^LN-BEG}",
            "{DATE}",
            "{NONE}",
            "(?:%H:%M)?",
            "{EPOCH}",
        ]),
        0..3,
    );
    let patterns = prop::collection::vec(any_pattern(), 1..6);
    (prefix, patterns, dates, 1..4_usize, any::<bool>()).prop_map(
        |(prefix, failregex, dates, maxlines, ignores)| FilterSettings {
            prefregex: prefix.map(str::to_owned),
            failregex,
            ignoreregex: ignores.then(|| "noise".to_owned()).into_iter().collect(),
            datepattern: dates.into_iter().map(str::to_owned).collect(),
            maxlines,
            findtime: 600,
            ..FilterSettings::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_filter_and_no_lines_make_a_panic_or_a_date_that_is_not_in_the_line(
        settings in any_settings(),
        lines in prop::collection::vec("(2026-06-15 1[12]:59:5[0-9])?[ abx]{0,4}(bad |bye|noise|a|b )?([0-9.:a-f]{1,12}|\\PC{0,20})", 0..12),
        live: bool,
        all: bool,
        depths: (u8, u8),
    ) {
        let [Ok(mut filter), Ok(mut closely)] = [(); 2].map(|()| Filter::new(&settings, Zone::utc(), Timestamp::from_secs(NOW))) else {
            // Two date patterns of one name, or a pattern of nobody.
            return Ok(());
        };
        for text in &lines {
            let (failures, _) = feed(&mut filter, text, live);
            prop_assert!(failures.len() <= 1);
            feed(&mut closely, text, live);
            let line = LogLine { text, time: None, live };
            let sight = filter.examine(Timestamp::from_secs(NOW), line, Detail { all, depth: depth(depths.0) }, &mut Vec::new()).clone();
            if let DateSight::Found { span, .. } | DateSight::Unusable { span, .. } = &sight.date {
                prop_assert!(text.get(span.clone()).is_some());
            }
            prop_assert!(sight.hits.iter().all(|hit| hit.regex < settings.failregex.len()));
            let detail = Detail { all, depth: depth(depths.1) };
            let other = closely.examine(Timestamp::from_secs(NOW), line, detail, &mut Vec::new()).clone();
            let whose = depths.0 % 4 > 0 && depths.1 % 4 > 0;
            prop_assert_eq!(came_to(&sight, whose), came_to(&other, whose), "how closely it is looked at changes nothing");
            let whole = filter.shown(text, &sight).joined();
            prop_assert!(whole.ends_with(text.get(text.floor_char_boundary(text.len() / 2)..).unwrap_or_default()));
        }
    }
}

fn depth(number: u8) -> Depth {
    match number % 4 {
        0 => Depth::Count,
        1 => Depth::Who,
        2 => Depth::Kept,
        _ => Depth::Groups,
    }
}

/// What each hit of a line came to, without what is said of it only if it is asked for.
fn came_to(sight: &Sight, whose: bool) -> Vec<(usize, String)> {
    let hits = sight.hits.iter().map(|hit| {
        let outcome = match &hit.outcome {
            Outcome::Counted { no_failure } => format!("failure {no_failure}"),
            Outcome::Failure(found) if !whose && found.failure.lookup == Lookup::None => {
                format!("failure {}", found.no_failure)
            }
            Outcome::Failure(found) => {
                let failure = &found.failure;
                let counts = failure.ticket.failures;
                format!(
                    "{counts} of {:?} {:?} {:?}",
                    failure.id, failure.lookup, failure.time
                )
            }
            Outcome::Harmless(_) => "harmless".to_owned(),
            other => format!("{other:?}"),
        };
        (hit.regex, outcome)
    });
    hits.collect()
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

/// What a session of lines comes to: for each line, who failed and how many lines are
/// shown.
fn run(filter: &mut Filter, lines: &[&str]) -> Vec<Vec<(String, usize)>> {
    let failed = |line: &&str| {
        let (failures, _) = feed(filter, line, true);
        let shown = |f: &Failure| (f.id.to_string(), f.ticket.matches.len());
        failures.iter().map(shown).collect()
    };
    lines.iter().map(failed).collect()
}

fn capture(failure: &Failure, name: &str) -> Option<Capture> {
    let mut captures = failure.ticket.captures.iter();
    let (_, value) = captures.find(|(known, _)| **known == *name)?;
    Some(value.clone())
}

#[test]
fn a_pattern_may_span_lines_and_those_it_took_are_gone() {
    let settings = FilterSettings {
        maxlines: 3,
        ..settings(
            &[
                r"a <F-USER>\w+</F-USER><SKIPLINES>.* b fail <HOST>$",
                "c <HOST>$",
            ],
            &[],
        )
    };
    let lines = [
        ("2026-06-15 12:00:00 h a joe", 0),
        ("2026-06-15 12:00:00 h noise", 0),
        ("2026-06-15 12:00:00 h b fail 1.2.3.4", 2),
        ("2026-06-15 12:00:00 h b fail 1.2.3.5", 0),
        ("2026-06-15 12:00:00 h a x", 0),
        ("2026-06-15 12:00:00 h c 1.2.3.4", 1),
        ("2026-06-15 12:00:00 h b fail 1.2.3.6", 2),
    ];
    let mut filter = filter(&settings);
    for (line, expected) in lines {
        let got = run(&mut filter, &[line]);
        let shown: usize = got.iter().flatten().map(|(_, lines)| lines).sum();
        assert_eq!(shown, expected, "{line}");
    }
}

#[test]
fn what_is_ignored_takes_its_lines_with_it() {
    let settings = FilterSettings {
        maxlines: 3,
        ..settings(&[r"a \w+<SKIPLINES>.*fail <HOST>$"], &["joe"])
    };
    let mut filter = filter(&settings);
    let lines = ["h a joe", "h noise", "h fail 1.2.3.4", "h fail 1.2.3.5"];
    assert_eq!(run(&mut filter, &lines), vec![vec![]; 4]);
    let lines = ["h a ann", "h fail 1.2.3.4"];
    assert_eq!(run(&mut filter, &lines).last().unwrap().len(), 1);
}

/// The value of a field of the one failure in a line, and whose it is.
fn field_of(pattern: &str, line: &str, field: &str) -> (Option<Capture>, String) {
    let mut filter = filter(&settings(&[&format!("^{pattern}$")], &[]));
    let (failures, _) = feed(&mut filter, line, true);
    let [failure] = failures.as_slice() else {
        panic!("{pattern} on {line}: {failures:?}")
    };
    (capture(failure, field), failure.id.to_string())
}

#[test]
fn alternatives_stand_in_for_what_is_missing_or_empty() {
    let users = "<F-USER>a?</F-USER>,<F-ALT_USER>b?</F-ALT_USER>,<F-ALT_USER_1>c</F-ALT_USER_1>";
    let numbers = "<F-ALT_USER1>b</F-ALT_USER1>,<F-ALT_USER_12>d</F-ALT_USER_12>";
    let cases = [
        (users, "a,b,c", "user", "a"),
        (users, ",b,c", "user", "b"),
        (users, ",,c", "user", "c"),
        (numbers, "b,d", "user1", "b"),
        (numbers, "b,d", "user", "d"),
    ];
    for (pattern, line, field, expected) in cases {
        let (pattern, line) = (format!("{pattern} <HOST>"), format!("{line} 1.2.3.4"));
        let (value, _) = field_of(&pattern, &line, field);
        assert_eq!(value, Some(Capture::from(expected)), "{pattern}: {field}");
    }
}

#[test]
fn tuples_are_made_and_may_be_who_failed() {
    let tuple = |parts: &[Option<&str>]| {
        let parts = parts.iter().map(|part| part.map(str::to_owned));
        Some(Capture::Tuple(parts.collect()))
    };
    let text = |text: &str| Some(Capture::from(text));
    let two = "<F-ID>a</F-ID> <F-TUPLE_ID>b</F-TUPLE_ID>";
    let three = "<HOST> <F-TUPLE_ID_1>c</F-TUPLE_ID_1> <F-TUPLE_ID>b</F-TUPLE_ID>";
    let user = "<F-TUPLE_USER>b</F-TUPLE_USER>(?:<F-TUPLE_USER_2>d</F-TUPLE_USER_2>)?,<F-ALT_USER>q</F-ALT_USER> <HOST>";
    let beside = r"<F-ID>\S+</F-ID> <HOST>";
    let cases = [
        (two, "a b", "tuple_id", text("b"), "('a', 'b')"),
        (
            three,
            "1.2.3.4 c b",
            "fid",
            tuple(&[None, Some("b"), Some("c")]),
            "(None, 'b', 'c')",
        ),
        (
            three,
            "1.2.3.4 c b",
            "ip",
            text("1.2.3.4"),
            "(None, 'b', 'c')",
        ),
        (
            user,
            "b,q 1.2.3.4",
            "user",
            tuple(&[Some("q"), Some("b"), None]),
            "1.2.3.4",
        ),
        (beside, "1.2.3.4 1.2.3.5", "ip", text("1.2.3.5"), "1.2.3.4"),
        (beside, "1.2.3.4 1.2.3.4", "ip", None, "1.2.3.4"),
    ];
    for (pattern, line, field, expected, id) in cases {
        let found = field_of(pattern, line, field);
        assert_eq!(found, (expected, id.to_owned()), "{pattern}: {field}");
    }
}

#[test]
fn a_session_knows_its_users_and_forgets_what_steered_it() {
    let mut settings = settings(
        &[
            r"^bad(?: user <F-USER>\S+</F-USER>)?$",
            "^<F-NOFAIL>connect</F-NOFAIL> <HOST>$",
            r"^<F-MLFFORGET><F-MLFGAINED>ok</F-MLFGAINED></F-MLFFORGET> <F-USER>\S+</F-USER>$",
        ],
        &[],
    );
    settings.prefregex = Some(r"^<F-MLFID>\S+</F-MLFID> <F-CONTENT>.+</F-CONTENT>$".into());
    let mut filter = filter(&settings);
    run(&mut filter, &["c1 connect 1.2.3.4", "c1 bad user joe"]);
    let (failures, _) = feed(&mut filter, "c1 ok ann", true);
    let [failure] = failures.as_slice() else {
        panic!("two users: {failures:?}")
    };
    let names: Vec<&str> = failure
        .ticket
        .captures
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(names, ["mlfid", "ip4", "users", "user"]);
    let users = ["joe", "ann"].map(SmolStr::from).into();
    assert_eq!(capture(failure, "users"), Some(Capture::Set(users)));
}

#[test]
fn a_line_without_a_date_belongs_to_the_one_before() {
    let mut filter = filter(&settings(&["fail <ADDR>$"], &[]));
    let cases = [
        // line, seconds before now, as it is shown
        (
            "2026-06-15 11:59:58 h fail 192.0.2.1",
            Some(2),
            "2026-06-15 11:59:58 h fail 192.0.2.1",
        ),
        (
            "h fail 192.0.2.2",
            Some(2),
            "2026-06-15 11:59:58h fail 192.0.2.2",
        ),
        (
            "Feb 30 10:00:00 h fail 192.0.2.3",
            Some(2),
            "2026-06-15 11:59:58Feb 30 10:00:00 h fail 192.0.2.3",
        ),
        (
            "2026-06-15 11:58:00 h fail 192.0.2.1",
            Some(120),
            "2026-06-15 11:58:00 h fail 192.0.2.1",
        ),
        ("h fail 192.0.2.2", None, ""),
        ("Feb 30 10:00:00 h fail 192.0.2.3", None, ""),
    ];
    for (line, ago, shown) in cases {
        let (failures, _) = feed(&mut filter, line, false);
        let got = failures.first().map(|f| NOW - f.time.secs());
        assert_eq!(got, ago, "{line}");
        let match_shown = failures.first().and_then(|f| f.ticket.matches.first());
        let match_shown = match_shown.map(Match::joined).unwrap_or_default();
        assert_eq!(match_shown, shown);
    }
}

#[test]
fn a_match_without_a_date_of_its_own_is_told_once_a_day() {
    let mut filter = filter(&settings(&["fail <ADDR>$"], &[]));
    let (_, notes) = feed(&mut filter, "h fail 192.0.2.2", true);
    assert!(
        matches!(notes.as_slice(), [FilterNote::NoTime { date, .. }] if date.is_empty()),
        "{notes:?}"
    );
    let (_, notes) = feed(&mut filter, "Feb 30 10:00:00 h fail 192.0.2.2", true);
    assert!(
        matches!(notes.as_slice(), [FilterNote::Unreadable { date }] if date == "Feb 30 10:00:00"),
        "{notes:?}"
    );
}

#[test]
fn everything_seen_in_a_line_can_be_told() {
    let mut settings = settings(
        &["^bad <ADDR>$", "^bad (?P<x>q)?<F-ID>\\S+</F-ID>$", "^good"],
        &["192\\.0\\.2\\.9"],
    );
    settings.failregex.pop();
    settings.prefregex = Some("^ host <F-CONTENT>.+</F-CONTENT>$".into());
    let mut filter = filter(&settings);
    let mut examine = |text: &str| {
        let now = Timestamp::from_secs(NOW);
        let line = LogLine {
            text,
            time: None,
            live: false,
        };
        let detail = Detail {
            all: true,
            depth: Depth::Groups,
        };
        let sight = filter.examine(now, line, detail, &mut Vec::new()).clone();
        let content = filter.content().map(str::to_owned);
        (sight, filter.subject().to_owned(), content)
    };
    let (sight, ..) = examine("1999-01-01 00:00:00 x");
    assert_eq!((sight.date, sight.prefix), (DateSight::None, None));
    let (sight, subject, content) = examine("2026-06-15 01:00:00 host bad 192.0.2.7");
    assert!(matches!(&sight.date, DateSight::Found { span, .. } if *span == (0..19)));
    assert_eq!(subject, " host bad 192.0.2.7\n");
    assert_eq!(content.as_deref(), Some("bad 192.0.2.7\n"));
    let outcomes: Vec<(usize, bool)> = sight
        .hits
        .iter()
        .map(|hit| (hit.regex, matches!(hit.outcome, Outcome::Failure(_))))
        .collect();
    assert_eq!(outcomes, [(0, true), (1, true)]);
    let (sight, ..) = examine(" host bad 192.0.2.9");
    assert_eq!(sight.ignored, Some(0));
    assert!(matches!(
        sight.hits.first().unwrap().outcome,
        Outcome::Ignored(0)
    ));
    let Some(Outcome::Failure(found)) =
        examine(" host bad bob").0.hits.pop().map(|hit| hit.outcome)
    else {
        panic!("an id is no address")
    };
    assert!(!found.has_time, "the line before is too long ago");
    let names: Vec<&str> = found.fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        ["fid"],
        "groups that took no part do not hide the prefix's"
    );
}

#[test]
fn failregexes_see_the_content_alone_where_more_stands_behind_it() {
    let mut settings = settings(&["^bad <ADDR>$"], &[]);
    settings.prefregex = Some("^ host <F-CONTENT>.+</F-CONTENT> end$".into());
    let mut filter = filter(&settings);
    let (failures, _) = feed(
        &mut filter,
        "2026-06-15 01:00:00 host bad 192.0.2.7 end",
        true,
    );
    assert_eq!(failures.len(), 1);
    assert_eq!(filter.content(), Some("bad 192.0.2.7\n"));
}
