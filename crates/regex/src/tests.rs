//! The whole crate, pattern to groups, without Python at hand.

#[path = "../tests/grammar/mod.rs"]
mod grammar;
mod hostile;
mod measure;
mod sets;
#[path = "../tests/stock/mod.rs"]
mod stock;

use crate::backtrack::{self, Care, Found, Scratch};
use crate::error::ErrorKind;
use crate::outlook::Outlook;
use crate::{Exhausted, Flags, Regex, Slots};
use grammar::{Grammar, Random};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// A search that is never plain, with the memo alone.
const MEMO: Care = Care {
    plain: 0,
    outlook: false,
};

/// The positions of all groups, and what the search came to.
fn search(regex: &Regex, text: &str, care: Care) -> (Option<Vec<u32>>, Found) {
    let program = &regex.inner.program;
    if !backtrack::may_match(program, text, 0) {
        let nothing = Found {
            matched: false,
            exhausted: false,
            steps: 0,
        };
        return (None, nothing);
    }
    let mut scratch = Scratch::default();
    let found = backtrack::search_with(program, (text, 0), care, &mut scratch);
    (found.matched.then_some(scratch.slots), found)
}

/// The whole match and all groups, `-` for one that took no part.
fn found(pattern: &str, text: &str) -> Option<Vec<String>> {
    let regex = regex(pattern);
    let captures = regex.search(text).unwrap();
    for care in [MEMO, Care::ALL] {
        let (slots, _) = search(&regex, text, care);
        let same = captures.as_ref().map(|captures| captures.positions.clone()) == slots;
        assert!(same, "{pattern} on {text:?} with {care:?}: {slots:?}");
    }
    let captures = captures?;
    let groups = (0..=regex.groups()).map(|group| captures.get(group).unwrap_or("-").to_owned());
    Some(groups.collect())
}

/// Pattern, text, and the whole match and its groups.
const MATCHES: &[(&str, &str, Option<&[&str]>)] = &[
    ("a|ab", "ab", Some(&["a"])),
    ("(a|ab)(c|bcd)", "abcd", Some(&["abcd", "a", "bcd"])),
    ("b", "aab", Some(&["b"])),
    // What a text begins with is read over, also where a loop comes back to it.
    (
        "^(ab(cd))+e",
        "abcdabcde",
        Some(&["abcdabcde", "abcd", "cd"]),
    ),
    (
        "^(()abcdefghij(k))l",
        "abcdefghijkl",
        Some(&["abcdefghijkl", "abcdefghijk", "", "k"]),
    ),
    ("^(a)b(?:(x)|c)(?(1)d)", "abcd", Some(&["abcd", "a", "-"])),
    ("(^(ab))(?<=b)c?", "abd", Some(&["ab", "ab", "ab"])),
    ("", "x", Some(&[""])),
    ("x*", "aaa", Some(&[""])),
    ("a$", "a\n", Some(&["a"])),
    ("a$", "a\n\n", None),
    (r"a\Z", "a\n", None),
    ("(?m)^b$", "a\nb\nc", Some(&["b"])),
    ("^b", "a\nb", None),
    (r"\s*$", " \n", Some(&[" \n"])),
    ("a{,2}b", "aaab", Some(&["aab"])),
    ("a{,}b", "aaab", Some(&["aaab"])),
    ("a{b", "a{b", Some(&["a{b"])),
    ("a{}", "a{}", Some(&["a{}"])),
    ("a{1,b", "a{1,b", Some(&["a{1,b"])),
    ("(?:(a)|b)*", "ab", Some(&["ab", "a"])),
    ("(a|)*b", "aab", Some(&["aab", ""])),
    ("(a*)*", "aa", Some(&["aa", ""])),
    ("(a*)+?b", "aab", Some(&["aab", "aa"])),
    ("(?:(x)??){2,}y", "xy", Some(&["xy", "x"])),
    ("a.*?b", "aXbXb", Some(&["aXb"])),
    ("a.*b", "aXbXb", Some(&["aXbXb"])),
    ("a++a", "aaa", None),
    ("(?>a|ab)c", "abc", None),
    ("(?:a|ab){2}+", "aba", None),
    ("(?=(a+))a*b", "aab", Some(&["aab", "aa"])),
    ("(?!.*c)ab", "ab", Some(&["ab"])),
    ("(?<=é.)b", "éab", Some(&["b"])),
    ("(?<!a)b", "abb", Some(&["b"])),
    (
        r"(?P<q>['\x22])(.*?)(?P=q)",
        "'a\"b' c",
        Some(&["'a\"b'", "'", "a\"b"]),
    ),
    (r"(?i)(k)\1", "K\u{212a}", Some(&["K\u{212a}", "K"])),
    (r"(<)?a(?(1)>|$)", "<a>", Some(&["<a>", "<"])),
    (r"(<)?a(?(1)>|$)", "a>", None),
    (r"^(<)?a(?(1)>)", "a>", Some(&["a", "-"])),
    (r"\b\w+\b", "-é²_-", Some(&["é²_"])),
    (r"\B", "", None),
    (r"[\w.:-]+", "(a-b.c:1)", Some(&["a-b.c:1"])),
    ("[]a]+", "x]a]", Some(&["]a]"])),
    ("(?i)STRASSE|ſ", "s", Some(&["s"])),
    ("(?i:A)b", "ab", Some(&["ab"])),
    ("(?:(?=(a)).b|a)", "ac", Some(&["a", "-"])),
    ("(?:(?>(a)b)c|a)", "abd", Some(&["a", "-"])),
    ("(?:(a)|a)b*c?(?(1)x|y)", "abcy", Some(&["abcy", "-"])),
    ("(?:|)(?>(?:(a)|b)*)(?(1)x|y)", "ay", Some(&["y", "-"])),
    (
        "(?:|)(?=(?:(a)|b)*(c))(?(2).b|x)",
        "abc",
        Some(&["ab", "a", "c"]),
    ),
    ("(?:a??)*?b|(?>(?:a|b??)*)c", "aac", Some(&["aac"])),
    ("(?x) a b # c\n d", "abd", Some(&["abd"])),
];

#[test]
fn matches_are_those_of_python() {
    for &(pattern, text, expected) in MATCHES {
        let expected = expected.map(|groups| groups.iter().map(ToString::to_string).collect());
        assert_eq!(found(pattern, text), expected, "{pattern} on {text:?}");
    }
}

#[test]
fn a_text_that_begins_with_none_of_the_first_bytes_does_not_match() {
    let cases: &[(&str, Option<&str>)] = &[
        ("^abc", Some("a")),
        ("^[iI]nvalid|^(?:x|yz)", Some("iIxy")),
        // More than can come, since it is not known here whether the group matches.
        (r"^(?P<a>p)?(?(a)q|r)s", Some("pqr")),
        (r"^\d+", Some("0123456789\u{660}")),
        ("^(?=b)[a-c]", Some("abc")),
        ("abc", None),
        ("(?m)^abc", None),
        ("^abc|d", None),
        ("^a?", None),
        ("^$", None),
    ];
    for (pattern, expected) in cases {
        let Some(bytes) = regex(pattern).first_bytes() else {
            assert!(expected.is_none(), "{pattern}");
            continue;
        };
        let expected = expected.unwrap_or_else(|| panic!("{pattern} has first bytes"));
        for byte in 0..128u8 {
            let allowed = bytes[usize::from(byte)];
            let may = expected.contains(char::from(byte));
            assert_eq!(allowed, may, "{pattern} {byte}");
        }
        for byte in expected.bytes().filter(|byte| *byte >= 0xc0) {
            assert!(bytes[usize::from(byte)], "{pattern} {byte}");
        }
    }
}

#[test]
fn groups_are_known_by_number_name_and_place() {
    let regex = regex("(?P<user>é+) (x)?(?P<host>y)");
    assert_eq!(regex.groups(), 3);
    assert_eq!(
        regex.group_names().collect::<Vec<_>>(),
        [("user", 1), ("host", 3)]
    );
    assert_eq!((regex.group("host"), regex.group("port")), (Some(3), None));
    let found = regex.search("-éé y").unwrap().unwrap();
    assert_eq!(
        (found.span(0), found.span(1), found.span(2)),
        (Some(1..7), Some(1..5), None)
    );
    assert_eq!(
        (found.name("host"), found.name("port"), found.get(9)),
        (Some("y"), None, None)
    );
}

#[test]
fn a_search_from_further_on_still_sees_what_is_before() {
    let cases = [
        // pattern, text, start, begin of the match
        ("a", "aba", 1, Some(2)),
        ("^a", "aba", 2, None),
        ("(?m)^a", "b\na", 2, Some(2)),
        ("(?<=b)a", "aba", 2, Some(2)),
        (r"\ba", "aba", 2, None),
        ("a", "éa", 1, Some(2)),
        ("", "ab", 2, Some(2)),
        ("", "ab", 3, None),
    ];
    for (pattern, text, start, expected) in cases {
        let found = regex(pattern).search_from(text, start).unwrap();
        let begin = found.and_then(|found| found.span(0)).map(|span| span.start);
        assert_eq!(begin, expected, "{pattern} on {text:?} from {start}");
    }
}

#[test]
fn with_care_everything_matches_as_without() {
    let mut grammar = Grammar::new(0x1234_5678_9abc_def1);
    let mut compared = 0;
    for _ in 0..40_000 {
        let pattern = grammar.pattern();
        let Ok(regex) = Regex::new(&pattern, Flags::default()) else {
            continue;
        };
        for _ in 0..4 {
            let mut text = grammar.text();
            text.push_str(&grammar.text());
            let plain = Care {
                plain: 10_000,
                outlook: false,
            };
            let (plain, found) = search(&regex, &text, plain);
            for care in [MEMO, Care::ALL] {
                let (careful, _) = search(&regex, &text, care);
                assert_eq!(plain, careful, "{pattern:?} on {text:?} with {care:?}");
            }
            compared += usize::from(found.matched);
        }
    }
    assert!(compared > 50_000, "only {compared} matches were compared");
}

#[test]
fn the_outlook_changes_no_answer_on_long_texts() {
    let mut grammar = Grammar::new(0x0417_1007_0417_1007);
    let (mut compared, mut matched) = (0, 0);
    for _ in 0..6000 {
        let Ok(regex) = Regex::new(&grammar.pattern(), Flags::default()) else {
            continue;
        };
        for _ in 0..3 {
            let mut text = grammar.text();
            text = text.repeat(1 + grammar.random.below(40));
            text.push_str(&grammar.text());
            let (memo, found) = search(&regex, &text, MEMO);
            let (wary, wary_found) = search(&regex, &text, Care::ALL);
            if !found.exhausted && !wary_found.exhausted {
                assert_eq!(memo, wary, "{:?} on {text:?}", regex.as_str());
                compared += 1;
                matched += usize::from(found.matched);
            }
        }
    }
    assert!(compared > 10_000 && matched > 5000, "{compared}, {matched}");
}

#[test]
fn what_the_outlook_knows_exactly_is_not_tried() {
    let cases = [
        // pattern, the unit that is repeated, tail
        ("^(a|b)*c$", "ab", "d"),
        ("^(?:(?! from ).)*?$", "a ", " from x"),
        (r"^(x)?(?:a|a)*(?(1)y|z)", "a", "y"),
        (r"^(?:\S+ )*(?<=:)x", "a: ", "y"),
        (r"^.*\bfoo\b.*\bbar\b", "foo ", "bara"),
        (r"^(?:a?)*b{3}$", "a", "bb"),
        (r"(?m)^(?:\w+ )+\d{1,3}$", "é a\n", "é 1234"),
        (r"^\w+²\Z", "²", "²\n"),
    ];
    for (pattern, unit, tail) in cases {
        let text = unit.repeat(1000) + tail;
        let regex = regex(pattern);
        let (_, first) = search(&regex, &text, Care::ALL);
        let (_, found) = search(&regex, &text, Care::ALL);
        assert!(!first.matched && !found.matched, "{pattern}");
        let steps = found.steps;
        assert!(steps <= text.len() as u64, "{pattern}: {steps} steps");
    }
}

#[test]
fn whoever_makes_the_outlook_learn_for_ever_gets_no_more_of_it() {
    let mut random = Random::new(0x5eed_5eed_5eed_5eed);
    let regex = regex("(?:a|b)*a(?:a|b){12}c");
    for length in [100, 1000, 100_000, 100, 100] {
        let text: String = (0..length).map(|_| random.pick(&["a", "b"])).collect();
        let (_, found) = search(&regex, &text, Care::ALL);
        let (_, memo) = search(&regex, &text, MEMO);
        assert!(!found.matched && !found.exhausted);
        let limit = memo.steps + Outlook::step_limit(length);
        assert!(found.steps <= limit, "{} of {limit}", found.steps);
    }
    // What was saved up is gone.
    let text: String = (0..1000).map(|_| random.pick(&["a", "b"])).collect();
    let (_, found) = search(&regex, &text, Care::ALL);
    let (_, memo) = search(&regex, &text, MEMO);
    assert!(found.steps <= memo.steps + 4 * 1000, "{}", found.steps);
}

/// Patterns that take other matchers for ever, and what to repeat for that.
const HOSTILE: [(&str, &str, &str); 22] = [
    ("^(a+)+$", "a", "b"),
    ("(a+)+b", "a", ""),
    ("(a*)*b", "a", ""),
    ("((a*)*)*b", "a", ""),
    ("(?:a|a)*b", "a", "c"),
    ("(?:a|ab|b)*c", "ab", "d"),
    ("(?:a?){30}a{30}b", "a", ""),
    (".*.*.*.*=x", "= ", ""),
    (r#"(?:[^\]"]*|"[^"]*")*\]"#, "\"", "x"),
    (r"\s+\s+\s+$", " ", "x"),
    (r"(?:\S+ )*\S+:$", "a ", "-"),
    ("(?=(?:a+)+b)c|x", "a", ""),
    ("(?!(?:a|a)*b)c", "a", "d"),
    ("(?!.*foo)bar", "a", "foo"),
    ("(?=.*foo)bar", "a", "foo"),
    ("(?:(?=.*x).)*y", "a", "x"),
    ("(?<!a)(?:(?>a|b)*)*c", "ab", "d"),
    ("(?>(?:a|b)*)c", "ab", ""),
    ("a*+b", "a", "c"),
    ("(?:a++b?)*+c", "a", "b"),
    ("(x)?(?:a|a)*(?(1)y|z)", "a", ""),
    (".{0,50}?.{1,50}é{2}x", "é", "a"),
];

#[test]
fn hostile_lines_take_steps_in_proportion_to_their_length() {
    for (pattern, unit, tail) in HOSTILE {
        let mut counts = Vec::new();
        for length in [8 << 10, 32 << 10] {
            let text = unit.repeat(length / unit.len()) + tail;
            let (_, found) = search(&regex(pattern), &text, Care::USUAL);
            assert!(!found.exhausted, "{pattern} was given up");
            counts.push(found.steps);
        }
        let [short, long] = counts[..] else {
            unreachable!()
        };
        assert!(long <= 5 * short, "{pattern}: {short} steps, then {long}");
        assert!(long <= 400 * (32 << 10), "{pattern}: {long} steps");
    }
}

#[test]
fn a_line_of_a_mebibyte_is_searched() {
    let cases = [
        ("^(a+)+$", "a", "b"),
        ("((a*)*)*b", "a", ""),
        ("(?!.*foo)bar", "a", "foo"),
    ];
    for (pattern, unit, tail) in cases {
        let text = unit.repeat(1 << 20) + tail;
        assert!(
            regex(pattern).search(&text).is_ok(),
            "{pattern} was given up"
        );
    }
    let text = "ab".repeat(1 << 19);
    let found = regex("^((a)|(b))*$").search(&text).unwrap().unwrap();
    assert_eq!(found.span(0), Some(0..1 << 20));
    assert_eq!(found.span(2), Some((1 << 20) - 2..(1 << 20) - 1));
}

#[test]
fn what_no_memo_bounds_is_given_up_and_said_so() {
    let text = "a".repeat(4 << 10) + "x" + &"a".repeat(5000) + "b";
    let regex = regex(r"^(a+)(a+)\1x\2b");
    let Exhausted { steps } = regex.search(&text).unwrap_err();
    let limit = regex.step_limit(text.len());
    let least = 6 * text.len() as u64;
    assert!((least..=limit).contains(&steps), "{steps} of {limit}");
    assert!(limit < (1 << 18) + 50 * text.len() as u64);
    assert!(!regex.is_linear());
}

#[test]
fn what_would_grow_too_large_or_deep_is_refused() {
    let deep = |depth: usize| "(?:".repeat(depth) + "a" + &")".repeat(depth);
    let cases = [
        (deep(100), None),
        ("(a|b".repeat(128) + &")*".repeat(128), None),
        ("(?=(?>a|b".repeat(64) + &")+)".repeat(64), None),
        (deep(200), Some(ErrorKind::TooDeep)),
        (deep(100_000), Some(ErrorKind::TooDeep)),
        ("(?(1)".repeat(1000) + "()", Some(ErrorKind::TooDeep)),
        ("(?:ab|c){1,1000}".to_owned(), None),
        (
            "(?:(?:(?:ab|c){1,1000}){1,1000}){1,1000}".to_owned(),
            Some(ErrorKind::TooLarge),
        ),
        (
            "(?:(?:){60000}){60000}".to_owned(),
            Some(ErrorKind::TooLarge),
        ),
        ("a{1,100000}".to_owned(), None),
        ("a{4294967295}".to_owned(), Some(ErrorKind::CountTooLarge)),
    ];
    for (pattern, expected) in cases {
        let error = Regex::new(&pattern, Flags::default())
            .err()
            .map(|e| e.kind().clone());
        let short: String = pattern.chars().take(40).collect();
        assert_eq!(error, expected, "{short}");
    }
}

#[test]
fn random_patterns_keep_to_their_budget_on_pumped_texts() {
    let mut grammar = Grammar::new(0x0dd5_eed5_0dd5_eed5);
    let (mut linear, mut steps) = (0, 0);
    for _ in 0..8000 {
        let Ok(regex) = Regex::new(&grammar.pattern(), Flags::default()) else {
            continue;
        };
        let mut text = grammar.text();
        text = text.repeat(1 + grammar.random.below(200));
        text.push_str(&grammar.text());
        assert_budget(&regex, &text);
        linear += usize::from(regex.is_linear());
        steps += search(&regex, &text, Care::USUAL).1.steps;
    }
    assert!(linear > 4000 && steps > 500_000, "{linear}, {steps}");
}

/// What every search promises about its steps, and what every question for the reason promises.
fn assert_budget(regex: &Regex, text: &str) {
    let mut slots = Slots::default();
    let found = regex.search_into(text, 0, &mut slots);
    let (pattern, limit) = (regex.as_str(), regex.step_limit(text.len()));
    assert!(slots.steps() <= limit, "{pattern:?} on {text:?}: {limit}");
    assert!(
        found.is_ok() || !regex.is_linear(),
        "{pattern:?} on {text:?}"
    );
    let closest = regex.closest(text);
    assert!(pattern.is_char_boundary(closest.pattern_at), "{pattern:?}");
    let consumed = text.get(closest.text_from..closest.text_to);
    assert!(consumed.is_some(), "{closest:?} {pattern:?} on {text:?}");
    if found == Ok(true) && closest.pattern_at == pattern.len() {
        let whole = slots.span(0).unwrap();
        assert_eq!(
            (closest.text_from, closest.text_to),
            (whole.start, whole.end)
        );
    }
}

#[test]
fn a_run_counted_in_thousands_has_a_budget_too() {
    let text = "a".repeat(1 << 20);
    // Of what stands before, the outlook asks only for the last character.
    let regex = regex("a{1,100000}(?<=ba)c");
    assert!(!regex.is_linear());
    let mut slots = Slots::default();
    let found = regex.search_into(&(text.clone() + "bc"), 0, &mut slots);
    assert_eq!(found, Ok(false));
    let found = regex.search_into(&(text + "ac"), 0, &mut slots);
    assert_eq!(found.map_err(|error| error.steps), Err(slots.steps()));
    assert!(slots.steps() <= regex.step_limit((1 << 20) + 2));
}

#[test]
fn a_caret_stands_below_the_mistake() {
    let long = format!("{}({}", "é".repeat(60), "b".repeat(40));
    let cut = format!(
        "…{}({}…\n{}^",
        "é".repeat(50),
        "b".repeat(24),
        " ".repeat(51)
    );
    let cases = [
        ("a(b", "a(b\n ^"),
        ("a)", "a)\n ^"),
        ("[a", "[a\n^"),
        ("a\n\tb(c\nd", "\u{fffd}b(c\n  ^"),
        ("x\\", "x\\\n ^"),
        ("(?<=a+)b", ""),
        (&long, &cut),
    ];
    for (pattern, expected) in cases {
        let error = Regex::new(pattern, Flags::default()).unwrap_err();
        assert_eq!(error.caret(pattern).to_string(), expected, "{pattern}");
        // Another text than the one with the mistake is shown as well as it can be.
        assert!(!error.caret("").to_string().contains('a'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pattern_and_no_text_makes_it_panic(
        pattern in prop::string::string_regex(r"([a-c(){}\[\]|*+?^$.\\,:=!<>#0-9PimsxwdsbAZ\-]|\(\?|é|\n| ){0,24}").unwrap(),
        text in any::<String>(),
        start in 0_usize..20,
    ) {
        if let Ok(regex) = Regex::new(&pattern, Flags::default()) {
            assert_budget(&regex, &text);
            let found = regex.search_from(&text, start);
            if let Ok(Some(found)) = found {
                for group in 0..=regex.groups() {
                    assert_eq!(found.get(group).is_some(), found.span(group).is_some());
                }
            }
        }
    }

    #[test]
    fn no_text_at_all_makes_the_parser_panic(pattern in any::<String>()) {
        if let Err(error) = Regex::new(&pattern, Flags::default()) {
            let position = error.position().unwrap_or(0);
            assert!(position <= pattern.chars().count(), "{error}");
            let caret = error.caret(&pattern).to_string();
            assert!(caret.is_empty() || caret.ends_with('^'));
        }
    }
}
