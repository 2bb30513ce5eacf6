//! `ferroban explain` and `ferroban test-filter` as people use them: the real program, on a
//! configuration and logs of its own.

#[cfg(test)]
#[expect(dead_code, reason = "most of it is for the end-to-end tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{self, File};
    use std::path::Path;
    use std::process::Stdio;

    use serde_json::Value;
    use tempfile::TempDir;

    use crate::support::child::{Done, Running, command};
    use crate::support::guard::FERROBAN;
    use crate::support::wait::SOON;

    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

    /// A configuration; `app` is a jail and a filter, `other` only a filter.
    const FILES: [(&str, &str); 4] = [
        (
            "conf/jail.conf",
            "[DEFAULT]\nbackend = polling\nmaxretry = 3\nfindtime = 10m\nbantime = 1h\n\
             ignoreip = 198.51.100.0/24 friend.example\nlogpath = /nowhere/app.log\n\
             [app]\nfilter = app\n[wrong]\nfilter = wrong\n",
        ),
        (
            "conf/filter.d/app.conf",
            "[Definition]\nprefregex = ^\\s*app\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-CONTENT>.+</F-CONTENT>$\n\
             failregex = ^login of <F-USER>\\S+</F-USER> from <ADDR> (?:failed|denied)$\n\
             \x20           ^<F-NOFAIL>client</F-NOFAIL> <ADDR>$\n\
             \x20           ^wrong password$\n\
             ignoreregex = ^login of monitor\ndatepattern = ^EPOCH\n",
        ),
        (
            "conf/filter.d/other.conf",
            "[Definition]\nfailregex = ^bad from <HOST>$\n            ^<word> from <HOST>$\n\
             [Init]\nword = odd\n",
        ),
        (
            "conf/filter.d/wrong.conf",
            "[Definition]\nfailregex = ^a(<HOST>\n",
        ),
    ];

    const LOG: &str = "\
1700000000 app[1]: login of root from 192.0.2.7 failed
1700000001 app[2]: login of monitor from 192.0.2.8 failed
1700000002 app[3]: client 192.0.2.9
1700000003 app[3]: wrong password
1700000004 app[4]: wrong password
1700000005 app[5]: login of root from 192.0.2.7 succeeded
1700000006 app[6]: login of ann from 192.0.2.6 succeeded
1700000007 app[7]: the weather is fine
1700000008 other: hello
no date
1700000010 app[1]: login of root from 192.0.2.7 denied";

    const EXPLAINED: &str = r#"jail app of conf: prefregex, 3 failregexes, 1 ignoreregex

1700000000 app[1]: login of root from 192.0.2.7 failed
  date       2023-11-14 22:13:20 +00:00, AGO
             read as {^LN-BEG}Epoch
             older than findtime (10 min): a jail that starts passes over it
  prefregex  matches, and leaves: login of root from 192.0.2.7 failed
             mlfid=1
  failregex  1 matches: ^login of <F-USER>\S+</F-USER> from <ADDR> (?:failed|denied)$
             user=root  ip4=192.0.2.7
  session    1
  asks first ignoreip friend.example
  verdict    failure of 192.0.2.7 (user root)

3 such failures within 10 min ban for 1 h
"#;

    const STOPPED: &str = r#"filter app of conf: prefregex, 3 failregexes, 1 ignoreregex

1700000005 app[5]: login of root from 192.0.2.7 succeeded
  date       2023-11-14 22:13:25 +00:00, AGO
             read as {^LN-BEG}Epoch
  prefregex  matches, and leaves: login of root from 192.0.2.7 succeeded
             mlfid=5
  failregex  none matches; 1 comes closest: ^login of <F-USER>\S+</F-USER> from <ADDR> (?:failed|denied)$
             login of root from 192.0.2.7 succeeded
                                          ^
             wanted here: (?:failed|denied)$
  verdict    no failure: no failregex matches

1700000008 axp[5]: hello
  date       2023-11-14 22:13:28 +00:00, AGO
             read as {^LN-BEG}Epoch
  prefregex  does not match; it comes as far as this:
              axp[5]: hello
              ^
             wanted here: app\[<F-MLFID>\d+</F-MLFID>\]: <F-CONTENT>.+</F-CONTENT>$
  verdict    no failure: prefregex does not match
"#;

    const TESTED: &str = r#"jail app of conf: prefregex, 3 failregexes, 1 ignoreregex, on app.log

lines              11
with a date        10  from 2023-11-14 22:13:20 to 2023-11-14 22:13:30
prefregex matches   9
failures            3  of 2 different ids
ignored             1  an ignoreregex matches
harmless            1  only remembered for their session
pending             1  failures, but not known whose
missed              5  of which prefregex matches 3

dates
    10  {^LN-BEG}Epoch

who failed
    2  192.0.2.7
    1  192.0.2.9

failregex
    3  1: ^login of <F-USER>\S+</F-USER> from <ADDR> (?:failed|denied)$
    2  3: ^wrong password$
    1  2: ^<F-NOFAIL>client</F-NOFAIL> <ADDR>$

ignoreregex
    1  1: ^login of monitor

nearly: prefregex matches and no failregex does (2 of 3 shown)
    line 6: 1700000005 app[5]: login of root from 192.0.2.7 succeeded
        failregex 1 comes closest: ^login of <F-USER>\S+</F-USER> from <ADDR> (?:failed|denied)$
        login of root from 192.0.2.7 succeeded
                                     ^
        wanted here: (?:failed|denied)$
    line 7: 1700000006 app[6]: login of ann from 192.0.2.6 succeeded
        failregex 1 comes closest: ^login of <F-USER>\S+</F-USER> from <ADDR> (?:failed|denied)$
        login of ann from 192.0.2.6 succeeded
                                    ^
        wanted here: (?:failed|denied)$

prefregex matches, and no failregex comes close
    line 8: 1700000007 app[7]: the weather is fine

3 such failures within 10 min ban for 1 h
"#;

    struct Place(TempDir);

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("conf/filter.d")).unwrap();
            for (name, content) in FILES {
                fs::write(folder.path().join(name), content).unwrap();
            }
            fs::write(folder.path().join("app.log"), LOG).unwrap();
            Self(folder)
        }

        fn run(&self, words: &[&str]) -> Done {
            self.run_on(words, "")
        }

        /// With this text on standard input.
        fn run_on(&self, words: &[&str], input: &str) -> Done {
            let path = self.0.path().join("input");
            fs::write(&path, input).unwrap();
            let mut command = command(FERROBAN);
            command
                .args(words)
                .args(["--config", "conf"])
                .current_dir(self.0.path())
                .env("TZ", "UTC")
                .env("LC_ALL", "C.UTF-8");
            let input = Stdio::from(File::open(path).unwrap());
            Running::start_on(&mut command, input).finish(SOON)
        }

        /// What it prints if all goes well, with the distance from now left out.
        fn told(&self, words: &[&str]) -> String {
            let done = self.run(words);
            assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{words:?}");
            done.stdout.lines().map(timeless).collect()
        }

        fn json(&self, words: &[&str]) -> Vec<Value> {
            let words = [words, &["--json"]].concat();
            let done = self.run(&words);
            let parse = |line: &str| serde_json::from_str(line).unwrap();
            done.stdout.lines().map(parse).collect()
        }
    }

    /// A line without how long ago something was.
    fn timeless(line: &str) -> String {
        match line.split_once(" +00:00, ") {
            Some((time, ago)) if ago.ends_with(" ago") => format!("{time} +00:00, AGO\n"),
            _ => format!("{line}\n"),
        }
    }

    #[test]
    fn a_failure_is_told_step_by_step() {
        let place = Place::new();
        let told = place.told(&[
            "explain",
            "app",
            "1700000000 app[1]: login of root from 192.0.2.7 failed",
        ]);
        assert_eq!(told, EXPLAINED);
    }

    #[test]
    fn a_line_that_nearly_matches_is_told_with_the_place_where_it_does_not() {
        let place = Place::new();
        let told = place.told(&[
            "explain",
            "app.conf",
            "1700000005 app[5]: login of root from 192.0.2.7 succeeded",
            "1700000008 axp[5]: hello",
        ]);
        assert_eq!(told, STOPPED);
    }

    #[test]
    fn a_blank_that_keeps_a_pattern_from_matching_is_told() {
        let place = Place::new();
        let line = "Nov 25 20:00:00 bad from 192.0.2.7";
        let told = place.run(&["explain", "^bad from <HOST>$", line]).stdout;
        let expected = "  failregex  none comes close\n\
             \x20            sees: ' bad from 192.0.2.7'\n\
             \x20            1 matches without the blank at the start; begin it with ^\\s*\n";
        assert!(told.contains(expected), "{told}");
        let rows = [
            ("^bad from <HOST>$", 1.into(), " bad from 192.0.2.7".into()),
            ("^x <HOST>$", Value::Null, " bad from 192.0.2.7".into()),
            ("bad from <HOST>$", Value::Null, Value::Null),
        ];
        for (pattern, number, sees) in rows {
            let seen = &place.json(&["explain", pattern, line])[0];
            assert_eq!(seen["blank"]["number"], number, "{pattern}");
            assert_eq!(seen["sees"], sees, "{pattern}");
        }
    }

    #[test]
    fn of_a_typo_in_the_first_word_the_pattern_that_agrees_most_is_shown() {
        let place = Place::new();
        let line = "1700000005 app[5]: logim of root from 192.0.2.7 failed";
        let seen = &place.json(&["explain", "app", line])[0];
        assert_eq!(seen["closest"]["number"], 1, "{seen}");
        assert_eq!(seen["closest"]["span"], Value::from([0, 0]), "{seen}");
    }

    #[test]
    fn a_log_is_told_with_counts_and_what_nearly_matched() {
        let place = Place::new();
        let told = place.told(&["test-filter", "app", "app.log", "--show", "3"]);
        assert_eq!(told, TESTED);
    }

    #[test]
    fn the_line_that_nearly_matched_is_found_behind_many_that_did_not() {
        let place = Place::new();
        let noise = (0..300).map(|n| {
            let word = char::from(b'a' + u8::try_from(n % 20).unwrap());
            format!("17000{n:05} cron[{n}]: (root) CMD ({word})\n17000{n:05} app[{n}]: {word}\n")
        });
        let near = "1700000400 app[5]: login of root from 192.0.2.7 succeeded\n";
        let log: String = noise.chain([near.to_owned()]).collect();
        let pattern = r"^\s*app\[\d+\]: login of \S+ from <HOST> failed$";
        for what in ["app", pattern] {
            let words = ["test-filter", what, "-", "--json"];
            let done = place.run_on(&words, &log);
            let told: Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(told["samples"][0]["number"], 601, "{what}: {told}");
            assert_ne!(told["samples"][0]["closest"], Value::Null, "{what}");
        }
    }

    #[test]
    fn ids_beyond_many_are_counted_together() {
        let place = Place::new();
        let lines =
            (0..100_003).map(|n| format!("odd from 10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255));
        let log: String = lines.collect();
        let words = ["test-filter", "^odd from <HOST>$", "-"];
        let told = place.run_on(&words, &log).stdout;
        for piece in [
            "failures           100003  of more than 100000 different ids\n",
            "who failed most of the first 100000; 99990 more of them did\n",
            "    3  others, which are not told apart\n",
        ] {
            assert!(told.contains(piece), "{piece}: {told}");
        }
    }

    #[test]
    fn lines_are_arguments_or_standard_input() {
        let place = Place::new();
        let lines = [
            "1700000002 app[3]: client 192.0.2.9",
            "1700000003 app[3]: wrong password",
        ];
        let words = ["explain", "app", "--json"];
        let given = place.run(&[&words, lines.as_slice()].concat());
        assert!(
            given.stdout.contains("earlier line of the session"),
            "{given:?}"
        );
        let text = lines.join("\r\n");
        for (more, input) in [
            (vec![], text.as_str()),
            (vec!["-"], &text),
            (vec![&*text], ""),
        ] {
            let words = [words.as_slice(), &more].concat();
            let done = place.run_on(&words, input);
            let (told, expected) = (ageless(&done.stdout), ageless(&given.stdout));
            assert_eq!(told, expected, "{more:?}");
        }
        let log = place.run_on(&["test-filter", "app", "-"], LOG);
        let file = place.run(&["test-filter", "app", "app.log"]);
        assert_eq!(log.stdout.replace("on -", "on app.log"), file.stdout);
    }

    /// Objects without the text that says how long ago something was.
    fn ageless(text: &str) -> Vec<Value> {
        let parse = |line: &str| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["date"]["local"].take();
            value
        };
        text.lines().map(parse).collect()
    }

    /// Words, the exit code, and what standard error contains.
    const CODES: &[(&[&str], i32, &str)] = &[
        (&["explain", "app", "x"], 0, ""),
        (&["explain", "^bad from <HOST>$", "x"], 0, ""),
        (&["explain", "conf/filter.d/other.conf", "x"], 0, ""),
        (&["explain"], 2, "Usage: ferroban explain"),
        (
            &["explain", "ap", "x"],
            2,
            "ferroban: ap: no jail and no filter of this name in conf; did you mean 'app'?",
        ),
        (
            &["explain", "wrong", "x"],
            2,
            "ferroban: jail 'wrong' would not start, so",
        ),
        (
            &["explain", "from nobody$", "x"],
            2,
            "put <HOST> where the address stands",
        ),
        (
            &["explain", "app[x", "x"],
            2,
            "unterminated character set at position 3; correct it",
        ),
        (
            &["explain", "app[x]", "x"],
            2,
            "write it as name[option=value]",
        ),
        (
            &["explain", "gone/app.conf", "x"],
            2,
            "gone/app.conf: there is no such file",
        ),
        (&["explain", "app", "x", "--datepattern", "%Y %Q"], 2, "%Q"),
        (
            &["explain", "app", "x", "--datepattern", "(%Y"],
            2,
            "missing )",
        ),
        (&["explain", "app", "x", "--timezone", "Mars"], 2, "Mars"),
        (&["test-filter", "app", "app.log"], 0, ""),
        (&["test-filter", "other", "app.log"], 1, ""),
        (
            &["test-filter", "app", "gone.log"],
            2,
            "ferroban: gone.log: No such file",
        ),
        (
            &["test-filter", "app", "conf"],
            2,
            "ferroban: conf: a folder; name the log in it",
        ),
        (&["test-filter", "app"], 2, "Usage: ferroban test-filter"),
    ];

    #[test]
    fn the_exit_code_says_whether_there_were_failures_and_whether_it_could_be_told() {
        let place = Place::new();
        for (words, code, said) in CODES {
            let done = place.run(words);
            assert_eq!(done.code, Some(*code), "{words:?}: {done:?}");
            assert!(done.stderr.contains(said), "{words:?}: {done:?}");
            assert_eq!(
                said.is_empty(),
                done.stderr.is_empty(),
                "{words:?}: {done:?}"
            );
        }
    }

    #[test]
    fn options_in_brackets_go_to_the_filter() {
        let place = Place::new();
        for (what, verdict) in [("other", "failure"), ("other[word=even]", "no_match")] {
            let [seen] = &place.json(&["explain", what, "odd from 192.0.2.7"])[..] else {
                panic!("one line, one object");
            };
            assert_eq!(seen["verdict"]["what"], verdict, "{what}");
        }
    }

    #[test]
    fn a_jail_says_whom_it_ignores_and_whom_it_would_ask_about() {
        let place = Place::new();
        let line = |id: &str| format!("1700000000 app[1]: login of root from {id} failed");
        let rows = [
            ("192.0.2.7", Value::Null, vec!["ignoreip friend.example"]),
            ("198.51.100.9", "ignoreip".into(), vec![]),
            ("127.0.0.1", "ignoreself".into(), vec![]),
        ];
        for (id, ignored_by, asks) in rows {
            let verdict = &place.json(&["explain", "app", &line(id)])[0]["verdict"];
            assert_eq!(verdict["ignored_by"], ignored_by, "{id}");
            assert_eq!(verdict["asks"], Value::from(asks), "{id}");
        }
    }

    #[test]
    fn dates_are_read_with_the_pattern_and_in_the_zone_that_is_asked_for() {
        let place = Place::new();
        let line = "2026-01-02 03:04:05 bad from 192.0.2.7";
        let time = |more: &[&str]| {
            let words = [&["explain", "other", line], more].concat();
            place.json(&words)[0]["date"]["time"].clone()
        };
        assert_eq!(time(&[]), 1_767_323_045);
        assert_eq!(time(&["--timezone", "UTC+0200"]), 1_767_323_045 - 7200);
        assert_eq!(time(&["--datepattern", "^EPOCH"]), Value::Null);
    }

    #[test]
    fn there_is_colour_only_where_it_is_asked_for() {
        let place = Place::new();
        for (more, has) in [("auto", false), ("never", false), ("always", true)] {
            for words in [
                ["explain", "app", "1700000000 x"],
                ["test-filter", "app", "app.log"],
            ] {
                let words = [words.as_slice(), &["--color", more]].concat();
                let done = place.run(&words);
                assert_eq!(done.stdout.contains('\u{1b}'), has, "{words:?}");
            }
        }
    }

    #[test]
    fn nothing_of_a_line_moves_the_cursor_and_of_a_long_one_a_part_is_shown() {
        let place = Place::new();
        let long = "x".repeat(100_000);
        let hostile = format!(
            "1700000005 app[5]: login of \u{1b}[2J\u{202e}{long} from 192.0.2.7 \u{7}{long}"
        );
        for words in [
            ["explain", "app.conf", "-"],
            ["test-filter", "app.conf", "-"],
        ] {
            for more in [&[][..], &["--json"]] {
                let words = [&words, more].concat();
                let done = place.run_on(&words, &hostile);
                let tame = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
                assert!(done.stdout.chars().all(tame), "{words:?}");
                assert!(!more.is_empty() || done.stdout.len() < 4000, "{words:?}");
                assert!(done.stdout.contains("login of"), "{words:?}");
            }
        }
    }

    /// The names of all fields, but for those that a filter makes.
    fn fields(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    found.insert(name.clone());
                    if name != "captures" {
                        fields(value, found);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_field_that_occurs_is_described() {
        let place = Place::new();
        let mut found = BTreeSet::new();
        let lines: Vec<&str> = LOG.lines().collect();
        for value in place.json(&[&["explain", "app"], lines.as_slice()].concat()) {
            fields(&value, &mut found);
        }
        for value in place.json(&["test-filter", "app", "app.log"]) {
            fields(&value, &mut found);
        }
        assert!(found.len() > 40, "{found:?}");
        let text = fs::read_to_string(Path::new(DOCS).join("json.md")).unwrap();
        let (_, text) = text.split_once("## `ferroban explain`").unwrap();
        let missing: Vec<&String> = found
            .iter()
            .filter(|name| !text.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "not in docs/json.md: {missing:?}");
    }
}
