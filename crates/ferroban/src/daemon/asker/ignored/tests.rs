use super::*;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferroban_engine::{Match, Timestamp};
use tempfile::TempDir;

use crate::clock;
use crate::log::Target;
use crate::names::Lookup;

/// Knows one name and counts how often it is asked.
#[derive(Clone, Default)]
struct Oracle(Arc<AtomicUsize>);

const UNKNOWN: &str = "[Errno -2] Name or service not known";

impl Lookup for Oracle {
    fn addresses(&self, name: &str, _: bool) -> Result<Vec<IpAddr>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match name {
            "good.example" => Ok(vec!["192.0.2.1".parse().unwrap(), "::1".parse().unwrap()]),
            _ => Err(UNKNOWN.into()),
        }
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        Some("host.example".into())
    }

    fn ipv6(&self) -> bool {
        true
    }

    fn own_name(&self) -> String {
        "box".into()
    }
}

struct Scene {
    folder: TempDir,
    ignored: Ignored,
    oracle: Oracle,
    start: Instant,
    read: usize,
}

impl Scene {
    fn new() -> Self {
        Self::within(Duration::from_secs(60))
    }

    fn within(limit: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        let oracle = Oracle::default();
        let resolver = Resolver::new(oracle.clone());
        Self {
            ignored: Ignored::new(resolver, Facts::default(), log, limit),
            folder,
            oracle,
            start: clock::tick(),
            read: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn find(&self, suspect: &Suspect, second: u64) -> Finding {
        let now = self.start + Duration::from_secs(second);
        self.ignored.find(&"sshd".parse().unwrap(), suspect, now)
    }

    /// Why it is ignored, if it is; asked and not remembered.
    fn why(&self, suspect: &Suspect) -> Option<IgnoreReason> {
        match self.find(suspect, 0) {
            Finding::Ignored {
                why,
                remembered: false,
            } => why,
            other => panic!("{other:?}"),
        }
    }

    /// The log since the last time: level and message, without ids of commands.
    fn told(&mut self) -> Vec<String> {
        self.ignored.log.flush();
        let text = fs::read_to_string(self.path("log")).unwrap();
        let new = text.get(self.read..).unwrap().to_owned();
        self.read = text.len();
        let message = |line: &str| {
            let (before, message) = line.split_once("]: ")?;
            let (_, logger) = before.split_once(" fail2ban.")?;
            let logger = logger.split(' ').next()?;
            let (level, message) = message.split_once(' ')?;
            let message = message.trim_start();
            let message = message.split_once(" -- ").map_or(message, |(_, rest)| rest);
            Some(format!("{level} {logger}: {message}"))
        };
        new.lines().filter_map(message).collect()
    }
}

fn suspect(id: &str) -> Suspect {
    Suspect {
        failure: Failure::new(FailId::parse(id), Timestamp::from_secs(1_700_000_000)),
        cache: None,
        decided: None,
        entries: Vec::new(),
        otherwise: None,
        command: None,
    }
}

fn name(text: &str) -> IgnoreEntry {
    IgnoreEntry::Name(text.into())
}

fn cache(key: &str) -> IgnoreCache {
    IgnoreCache {
        key: key.into(),
        count: 3,
        seconds: 300,
    }
}

#[test]
fn what_decides_first_decides_and_the_rest_is_not_looked_at() {
    let scene = Scene::new();
    let (list, canary) = (scene.path("list"), scene.path("canary"));
    fs::write(&list, "192.0.2.0/24").unwrap();
    let all = Suspect {
        decided: Some(IgnoreReason::OwnAddress),
        entries: vec![name("good.example"), IgnoreEntry::File(list.clone())],
        otherwise: Some(IgnoreReason::Ip),
        command: Some(format!("touch {canary}")),
        ..suspect("192.0.2.1")
    };
    let shown = IgnoreReason::File(format!("file:/{list}"));
    let mut rest = all;
    // Each step takes away what decided before.
    assert_eq!(scene.why(&rest), Some(IgnoreReason::OwnAddress));
    assert_eq!(scene.oracle.0.load(Ordering::Relaxed), 0);
    rest.decided = None;
    assert_eq!(scene.why(&rest), Some(IgnoreReason::Name));
    rest.entries.reverse();
    assert_eq!(scene.why(&rest), Some(shown));
    rest.entries.clear();
    assert_eq!(scene.why(&rest), Some(IgnoreReason::Ip));
    assert!(!fs::exists(&canary).unwrap());
    rest.otherwise = None;
    assert_eq!(scene.why(&rest), Some(IgnoreReason::Command));
    assert!(fs::exists(&canary).unwrap());
    rest.command = None;
    assert_eq!(scene.why(&rest), None);
}

#[test]
fn a_name_holds_for_its_addresses_alone() {
    let scene = Scene::new();
    let cases = [
        ("192.0.2.1", true),
        ("::ffff:192.0.2.1", true),
        ("::1", true),
        ("192.0.2.2", false),
        ("192.0.2.0/24", false),
        ("good.example", false),
    ];
    for (id, expected) in cases {
        let suspect = Suspect {
            entries: vec![name("good.example")],
            ..suspect(id)
        };
        let expected = expected.then_some(IgnoreReason::Name);
        assert_eq!(scene.why(&suspect), expected, "{id}");
    }
}

#[test]
fn a_name_without_addresses_is_told_when_it_is_found_out() {
    let mut scene = Scene::new();
    let suspect = Suspect {
        entries: vec![name("bad.example")],
        ..suspect("bob")
    };
    let line = format!(
        "WARNING ipdns: Unable to find a corresponding IP address for bad.example: {UNKNOWN}"
    );
    for (second, told) in [(0, 1), (299, 0), (300, 1)] {
        scene.find(&suspect, second);
        assert_eq!(scene.told(), vec![line.clone(); told], "after {second} s");
    }
    let now = scene.start + Duration::from_secs(300);
    let (why, told) = (scene.ignored.addresses("bad.example", now), scene.told());
    assert!(line.ends_with(&why.unwrap_err()), "the same words");
    assert_eq!(told, [""; 0], "for whoever asks");
}

#[test]
fn answers_are_remembered_for_their_key_and_their_time() {
    let scene = Scene::new();
    let rec = scene.path("rec");
    let of = |user: &str| {
        let mut suspect = Suspect {
            cache: Some(cache("<F-USER>@<ip-host>")),
            command: Some(format!("echo >> {rec}; test \"<F-USER>\" = bob")),
            ..suspect("192.0.2.1")
        };
        let captures = &mut suspect.failure.ticket.captures;
        captures.push(("user".into(), user.into()));
        suspect
    };
    let cases = [
        // user, second, remembered
        ("bob", 0, false),
        ("bob", 299, true),
        ("eve", 299, false),
        ("eve", 300, true),
        ("bob", 300, false),
        // Three are kept.
        ("a", 301, false),
        ("b", 302, false),
        ("eve", 303, false),
        ("bob", 303, false),
    ];
    for (user, second, remembered) in cases {
        let why = (user == "bob").then_some(IgnoreReason::Command);
        let expected = Finding::Ignored { why, remembered };
        let found = scene.find(&of(user), second);
        assert_eq!(found, expected, "{user} after {second} s");
    }
    let runs = fs::read_to_string(&rec).unwrap().len();
    let asked = cases.iter().filter(|(_, _, remembered)| !remembered);
    assert_eq!(runs, asked.count());
}

#[test]
fn what_was_remembered_under_another_cache_or_of_a_jail_that_ended_is_forgotten() {
    let scene = Scene::new();
    let with = |cache| Suspect {
        cache,
        decided: Some(IgnoreReason::Ip),
        ..suspect("192.0.2.1")
    };
    let is_remembered = |suspect: &Suspect| match scene.find(suspect, 0) {
        Finding::Ignored { remembered, .. } => remembered,
        other => panic!("{other:?}"),
    };
    let (one, another) = (with(Some(cache("<ip>"))), with(Some(cache("<fid>"))));
    assert!(!is_remembered(&one));
    assert!(is_remembered(&one));
    assert!(!is_remembered(&another));
    assert!(!is_remembered(&one));
    scene.ignored.forget(&"other".parse().unwrap());
    assert!(is_remembered(&one));
    scene.ignored.forget(&"sshd".parse().unwrap());
    assert!(!is_remembered(&one));
    assert!(!is_remembered(&with(None)));
}

#[test]
fn a_key_that_strangers_made_long_is_not_remembered() {
    let scene = Scene::new();
    let mut suspect = Suspect {
        cache: Some(cache("<F-USER>")),
        decided: Some(IgnoreReason::Ip),
        ..suspect("192.0.2.1")
    };
    let captures = &mut suspect.failure.ticket.captures;
    captures.push(("user".into(), "a".repeat(MOST_KEY).into()));
    assert_eq!(scene.why(&suspect), Some(IgnoreReason::Ip));
    assert_eq!(scene.why(&suspect), Some(IgnoreReason::Ip));
}

/// A command, whether it ignores, and the log.
type Row = (&'static str, bool, &'static [&'static str]);

const COMMANDS: [Row; 6] = [
    (
        "exit 0 # <ip>",
        true,
        &[
            "DEBUG filter: ignore command: exit 0 # 192.0.2.1",
            "DEBUG utils: returned successfully 0",
        ],
    ),
    (
        "echo out; exit 1",
        false,
        &[
            "DEBUG filter: ignore command: echo out; exit 1",
            "DEBUG utils: [sshd] ignorecommand returned successfully 1",
        ],
    ),
    (
        "echo out; exit 2",
        false,
        &[
            "DEBUG filter: ignore command: echo out; exit 2",
            "ERROR utils: exec: echo out; exit 2",
            "ERROR utils: stdout: 'out'",
            "ERROR utils: returned 2",
        ],
    ),
    (
        "kill -9 $$",
        false,
        &[
            "DEBUG filter: ignore command: kill -9 $$",
            "ERROR utils: exec: kill -9 $$",
            "ERROR utils: killed with SIGKILL (return code: -9)",
        ],
    ),
    (" ", false, &[]),
    (
        "nosuchcommand",
        false,
        &[
            "DEBUG filter: ignore command: nosuchcommand",
            "ERROR utils: exec: nosuchcommand",
            "ERROR utils: stderr: '/bin/sh: 1: nosuchcommand: not found'",
            "ERROR utils: returned 127",
        ],
    ),
];

#[test]
fn the_code_of_a_command_decides_and_the_log_tells_of_it_as_the_original_does() {
    let mut scene = Scene::new();
    for (command, ignores, lines) in COMMANDS {
        let suspect = Suspect {
            command: Some(command.into()),
            ..suspect("192.0.2.1")
        };
        let expected = ignores.then_some(IgnoreReason::Command);
        assert_eq!(scene.why(&suspect), expected, "{command}");
        let mut told = scene.told();
        if command == "nosuchcommand" {
            let hint = told.pop().unwrap();
            assert!(hint.starts_with("INFO utils: HINT on 127: "), "{hint}");
        }
        assert_eq!(told, lines, "{command}");
    }
}

#[test]
fn a_command_that_hangs_is_ended_and_ignores_nobody() {
    let cases = [
        // what it does when it is told to end, the line about it
        ("exit 1", "ERROR utils: timed out after 0.05 seconds."),
        (
            "exit 0",
            "ERROR utils: [sshd] ignorecommand timed out after 0.05 seconds: the exit code 0 \
             with which it ended then does not count",
        ),
    ];
    for (end, line) in cases {
        let mut scene = Scene::within(Duration::from_millis(50));
        let suspect = Suspect {
            command: Some(format!("trap '{end}' TERM; while :; do sleep 0.01; done")),
            ..suspect("192.0.2.1")
        };
        assert_eq!(scene.why(&suspect), None, "{end}");
        let told = scene.told();
        assert!(told.iter().any(|told| told == line), "{end}: {told:?}");
    }
}

#[test]
fn nothing_that_a_stranger_wrote_is_executed() {
    let scene = Scene::new();
    let (canary, rec) = (scene.path("canary"), scene.path("rec"));
    let evil = format!(
        "$(touch {canary})`touch {canary}`';touch {canary};\"; touch {canary} #\n touch {canary}"
    );
    let mut suspect = Suspect {
        cache: Some(cache("<F-USER>;$(touch CANARY)<matches>")),
        command: Some(format!(
            "printf '%s|%s|%s' \"<F-USER>\" \"<matches>\" \"<fid>\" > {rec}; false"
        )),
        ..suspect("192.0.2.1")
    };
    suspect.failure.id = FailId::Text(evil.clone());
    let ticket = &mut suspect.failure.ticket;
    ticket.captures.push(("user".into(), evil.clone().into()));
    ticket.matches.push(Match::new("", "", &evil));
    assert_eq!(scene.why(&suspect), None);
    let recorded = fs::read_to_string(&rec).unwrap();
    assert_eq!(recorded, [evil.as_str(); 3].join("|"));
    assert!(!fs::exists(&canary).unwrap());
}
