use super::*;

fn words(text: &str) -> Vec<Word> {
    text.split('|').map(Word::from).collect()
}

/// A setup with a jail `a`, after these commands, words between `|`.
fn told(commands: &[&str]) -> Setup {
    let mut setup = Setup::default();
    setup.add("a", "polling", &mut Vec::new()).unwrap();
    for command in commands {
        setup.command(&words(command), &mut Vec::new()).unwrap();
    }
    setup
}

#[test]
fn an_option_is_what_it_was_set_to() {
    let cases = [
        ("maxretry| 7 ", Word::Int(7)),
        ("maxretry|1_000", Word::Int(1000)),
        ("findtime|1.5m", Word::Float(90.0)),
        ("findtime|1h 30m", Word::Int(5400)),
        ("bantime|1.5m", Word::Int(90)),
        ("bantime|-1", Word::Int(-1)),
        ("bantime.increment|", false.into()),
        ("bantime.maxtime|1w", Word::Int(604_800)),
        ("bantime.factor|3", "3".into()),
        ("bantime.factor|", Word::None),
        ("bantime.multipliers|1 2 3", "1 2 3".into()),
        ("usedns|YES", "yes".into()),
        ("usedns|bogus", "no".into()),
        ("ignoreself|bogus", false.into()),
        ("logencoding|auto", "UTF-8".into()),
        ("logencoding|latin-1", "latin-1".into()),
        ("logtimezone|UTC+02:00", "UTC+02:00".into()),
        ("idle|on", true.into()),
    ];
    for (command, expected) in cases {
        let mut setup = told(&[]);
        let command = words(&format!("set|a|{command}"));
        let answer = setup.command(&command, &mut Vec::new());
        assert_eq!(answer, Ok(expected), "{command:?}");
    }
}

#[test]
fn a_refused_value_leaves_the_option_alone() {
    let cases = [
        "bantime.multipliers|1,2",
        "bantime.multipliers|1 2  4",
        "bantime.rndtime|x",
        "logtimezone|UTC+2",
        "logtimezone|UTC+9900",
        "logtimezone|Europe/Berlin",
        "datepattern|%Q",
        "ignorecache|max-count=5",
        "addfailregex|nohost",
        "addlogpath|/nosuch",
        "addlogpath|/",
        "addlogpath|/dev/null|bogus",
    ];
    for command in cases {
        let mut setup = told(&[]);
        let before = setup.jail("a").unwrap().clone();
        let refused = setup.command(&words(&format!("set|a|{command}")), &mut Vec::new());
        assert!(refused.is_err(), "{command}");
        assert_eq!(*setup.jail("a").unwrap(), before, "{command}");
    }
}

#[test]
fn date_patterns_have_the_names_of_the_original() {
    let cases = [
        ("%Y-%m-%d", Some("%Y-%m-%d"), "Year-Month-Day"),
        ("EPOCH", None, "Epoch"),
        ("{^LN-BEG}EPOCH", None, "{^LN-BEG}Epoch"),
        ("{EPOCH}", None, "{EPOCH}"),
        ("{NONE}", Some("{UNB}^"), "^"),
        ("", None, "Default Detectors"),
        ("{DATE}", None, "Default Detectors"),
        ("%Y\n%d", Some("%Y"), "Year"),
    ];
    for (pattern, shown, name) in cases {
        let mut setup = told(&[]);
        let command = ["set", "a", "datepattern", pattern].map(Word::from);
        let answer = setup.command(&command, &mut Vec::new());
        let shown = shown.map_or(Word::None, Word::from);
        assert_eq!(
            answer,
            Ok(Word::Tuple(vec![shown, name.into()])),
            "{pattern:?}"
        );
    }
}

#[test]
fn what_is_told_of_date_patterns_is_what_the_original_tells() {
    let cases = [
        ("%Y-%m-%d", "  date pattern `'%Y-%m-%d'`: `Year-Month-Day`"),
        (
            "{^LN-BEG}",
            "  default filtered date pattern: 17 template(s)",
        ),
    ];
    for (pattern, expected) in cases {
        let (mut setup, mut notes) = (told(&[]), Vec::new());
        let command = ["set", "a", "datepattern", pattern].map(Word::from);
        setup.command(&command, &mut notes).unwrap();
        let texts: Vec<&str> = notes.iter().map(|(.., text)| text.as_str()).collect();
        assert_eq!(texts, [expected]);
    }
}

#[test]
fn a_date_pattern_that_is_no_expression_is_taken_and_told() {
    let (mut setup, mut notes) = (told(&[]), Vec::new());
    let answer = setup.command(&words("set|a|datepattern|(%Y"), &mut notes);
    let shown = Word::Tuple(words("(%Y|(Year"));
    assert_eq!(answer, Ok(shown));
    let errors: Vec<&str> = notes
        .iter()
        .filter(|(level, ..)| *level == Level::Error)
        .map(|(.., text)| text.as_str())
        .collect();
    let expected = "[a] Failed to set datepattern '(%Y' (may be an invalid format or unescaped percent char): missing ), unterminated subpattern at position 11; it finds no date in any line";
    assert_eq!(errors, [expected]);
}

#[test]
fn patterns_are_kept_expanded_and_by_what_names_are_worth() {
    let setup = told(&[
        "set|a|addfailregex|x <HOST>",
        "set|a|usedns|no",
        "set|a|addfailregex|y <HOST>",
    ]);
    let plan = setup.jail("a").unwrap().plan();
    let [named, bare] = plan.filter.failregex.as_slice() else {
        panic!("two patterns")
    };
    assert!(named.contains("(?P<dns>") && !bare.contains("(?P<dns>"));
    let setup = told(&[
        "set|a|addfailregex|x <HOST>",
        "set|a|delfailregex|-1",
        "set|a|delfailregex|9",
    ]);
    assert!(setup.jail("a").unwrap().is_blind());
}

#[test]
fn a_multi_set_is_as_many_sets_and_actions_have_their_properties() {
    let mut setup = told(&["set|a|addaction|act"]);
    let pairs = [
        ["actionban", "echo <ip>"],
        ["timeout", "5m"],
        ["bantime", "7"],
    ];
    let list = Word::List(pairs.iter().map(Word::texts).collect());
    let command = [words("multi-set|a|action|act"), vec![list]].concat();
    assert_eq!(setup.command(&command, &mut Vec::new()), Ok(true.into()));
    // A ban time of its own no action has.
    let single = setup.command(&words("set|a|action|act|bantime|7"), &mut Vec::new());
    assert!(single.is_err());
    let action = setup.jail("a").unwrap().action("act").unwrap();
    assert_eq!(action.get("timeout"), Ok(Word::Int(300)));
    assert_eq!(action.get("actionban"), Ok("echo <ip>".into()));
    let names = action.names();
    assert!(names.first() == Some(&"ESCAPE_CRE") && names.contains(&"actionreban"));
    let twice = setup.command(&words("set|a|addaction|act"), &mut Vec::new());
    assert_eq!(twice, Err(Refusal::value("Action act already exists")));
}

#[test]
fn an_action_in_python_is_another_once_its_options_or_its_file_differ() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.py");
    let path = file.to_str().unwrap().to_owned();
    let added = |options: &str| {
        let mut setup = told(&[]);
        let command = [
            words("set|a|addaction|x"),
            vec![path.as_str().into(), options.into()],
        ];
        let added = setup.command(&command.concat(), &mut Vec::new());
        added.map(|_| setup.jail("a").unwrap().plan().actions)
    };
    let missing = added("{}").unwrap();
    std::fs::write(&file, "x = 1\n").unwrap();
    let there = added("{}").unwrap();
    assert_ne!(missing, there);
    assert_eq!(added("{}").unwrap(), there);
    assert_eq!(added("").unwrap(), there, "no options are none");
    assert_ne!(added("{\"x\": \"1\"}").unwrap(), there);
    std::fs::write(&file, "x = 12\n").unwrap();
    assert_ne!(added("{}").unwrap(), there);
    assert!(there[0].has_commands(), "it bans");
    for (options, class) in [("[]", "TypeError"), ("{", "JSONDecodeError")] {
        let refusal = added(options).unwrap_err();
        let Refusal::Error(found, text) = refusal else {
            panic!("{refusal:?}");
        };
        assert!(found == class && text.starts_with(&path), "{found} {text}");
    }
}

#[test]
fn journal_matches_belong_to_journals() {
    let mut setup = told(&["set|a|addjournalmatch|_COMM=x"]);
    assert!(setup.jail("a").unwrap().journalmatch.is_empty());
    setup.add("j", "systemd", &mut Vec::new()).unwrap();
    let mut notes = Vec::new();
    let mut say = |text: &str| setup.command(&words(text), &mut notes);
    say("set|j|addjournalmatch|_COMM=p|+|_COMM=q|_UID=0").unwrap();
    assert!(say("set|j|addjournalmatch|bogus").is_err());
    assert!(say("set|j|deljournalmatch|_COMM=nosuch").is_err());
    let left = say("set|j|deljournalmatch|_COMM=p").unwrap();
    assert_eq!(left, Word::List(vec![Word::texts(["_COMM=q", "_UID=0"])]));
    let told: Vec<&str> = notes.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(
        told,
        [
            "[j] Added journal match for: '_COMM=p + _COMM=q _UID=0'",
            "Error adding journal match for: 'bogus'",
            "[j] Removed journal match for: ['_COMM=p']",
        ]
    );
}

#[test]
fn what_is_not_started_again_by_a_reload_is_gone_and_another_backend_restarts() {
    let start = ["set|a|addfailregex|x <HOST>", "start|a"];
    let mut setup = told(&start);
    setup.begin_reload(|_| true, false);
    setup
        .command(&words("add|a|polling"), &mut Vec::new())
        .unwrap();
    assert!(setup.end_reload().kept.is_empty());
    assert!(setup.jail("a").is_err());

    let mut setup = told(&start);
    let mut notes = Vec::new();
    setup.begin_reload(|_| true, false);
    for command in ["add|a|pyinotify", "start|a"] {
        setup.command(&words(command), &mut notes).unwrap();
    }
    let reloaded = setup.end_reload();
    assert_eq!((reloaded.kept.len(), reloaded.restarted.len()), (0, 1));
    assert!(
        notes
            .iter()
            .any(|(_, _, text)| { text == "Restart jail 'a' (reason: 'polling' != 'pyinotify')" })
    );
}

#[test]
fn the_database_stays_while_there_are_jails() {
    let mut setup = Setup::default();
    assert_eq!(setup.set_server("dbfile", &"/x".into()), Ok("/x".into()));
    setup.add("a", "polling", &mut Vec::new()).unwrap();
    assert_eq!(setup.set_server("dbfile", &"/x".into()), Ok("/x".into()));
    assert!(setup.set_server("dbfile", &"None".into()).is_err());
    let size = |name: &str, size: i64| Word::Dict(vec![(name.to_owned(), Word::Int(size))]);
    assert_eq!(
        setup.set_server("thread", &size("stacksize", 33)),
        Ok(Word::None)
    );
    for wrong in [
        size("stacksize", 31),
        size("stacksize", -1),
        size("x", 1),
        "32".into(),
    ] {
        assert!(setup.set_server("thread", &wrong).is_err(), "{wrong:?}");
    }
}
