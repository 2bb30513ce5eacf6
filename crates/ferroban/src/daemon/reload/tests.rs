//! Tests of configurations taken over, without threads.

use super::*;
use std::fs;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use ferroban_engine::{
    Engine, FailId, Failure, Finding, InquiryId, JailName, JailSettings, LogPosition,
};

use crate::daemon::Conduct;
use crate::daemon::crew::Crew;
use crate::daemon::database::Database;
use crate::daemon::facts::Facts;
use crate::daemon::inquiries::Inquiries;
use crate::daemon::message::{Message, Reading};
use crate::daemon::office::{Caller, Response};
use crate::log::{Log, Target};

/// A daemon without threads of its own, and what it logs.
struct Desk {
    main_loop: MainLoop,
    folder: tempfile::TempDir,
    log: Log,
    _messages: Receiver<Message>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("log"));
        let log = Log::open(&target, Level::Info).unwrap();
        let (inbox, messages) = sync_channel(64);
        let conduct = Conduct {
            dry: true,
            needs_commands: true,
            own: Level::Info,
        };
        let facts = Facts::default();
        let crew = Crew::new(inbox.clone(), log.clone(), conduct, None, facts.clone());
        let database = Database::new(inbox.clone(), log.clone());
        let inquiries = Inquiries::new(inbox, facts, log.clone());
        Self {
            main_loop: MainLoop::new(Engine::new(), crew, database, inquiries, log.clone()),
            folder,
            log,
            _messages: messages,
        }
    }

    fn told(&self) -> String {
        self.log.flush();
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What a configuration of jails `(name, failregex, action)` is answered, and how
    /// many effects it has.
    fn reread(
        &mut self,
        jails: &[(&str, &str, &str)],
        plan: bool,
    ) -> (Result<Vec<String>, Vec<String>>, usize) {
        let mut setup = Setup::waiting();
        for (name, failregex, action) in jails {
            tell(&mut setup, &["add", name, "polling"]);
            tell(&mut setup, &["set", name, "addfailregex", failregex]);
            tell(&mut setup, &["set", name, "addaction", action]);
            tell(&mut setup, &["start", name]);
        }
        let (reply, answer) = sync_channel(1);
        let request = Reread {
            settings: Settings {
                setup,
                problems: vec!["/x: cannot be read".to_owned()],
            },
            plan,
            reply,
        };
        let mut effects = Vec::new();
        self.main_loop.reread(request, &mut effects);
        let answer = answer.recv().unwrap();
        let shown = answer.map(|changes| changes.iter().map(ToString::to_string).collect());
        (shown, effects.len())
    }

    /// What a request of these words is answered, as Python shows it.
    fn ask(&mut self, words: &[Word]) -> String {
        let request = Request::read(words).map_err(refused);
        let outcome =
            request.and_then(|request| self.main_loop.carry_out(request, &mut Vec::new()));
        match outcome {
            Ok((value, _)) => crate::wire::text::repr(&value),
            Err(exception) => crate::wire::text::repr(&exception),
        }
    }

    fn say(&mut self, words: &str) -> String {
        self.ask(&words.split('|').map(Word::from).collect::<Vec<_>>())
    }
}

fn tell(setup: &mut Setup, words: &[&str]) {
    let words: Vec<Word> = words.iter().map(|word| (*word).into()).collect();
    setup.command(&words, &mut Vec::new()).unwrap();
}

/// Commands of words between `|`, one a line.
fn stream(text: &str) -> Word {
    let command = |line: &str| Word::texts(line.split('|'));
    Word::List(text.lines().map(command).collect())
}

#[test]
fn a_configuration_that_is_not_right_changes_nothing_and_says_everything() {
    let mut desk = Desk::new();
    let good = ("a", "x <ADDR>", "ferroban");
    let broken = [
        good,
        ("b", "y <ADDR>", "nosuch"),
        ("c", "z <ADDR>", "other"),
    ];
    let (answer, effects) = desk.reread(&broken, false);
    let problems = answer.unwrap_err();
    assert_eq!((problems.len(), effects), (2, 0));
    assert!(
        problems[0].starts_with("jail 'b': action 'nosuch' is unknown"),
        "{problems:?}"
    );

    let starts = Ok(vec!["+ jail 'a' starts".to_owned()]);
    assert_eq!(
        desk.reread(&[good], true),
        (starts.clone(), 0),
        "a plan changes nothing"
    );
    let (answer, effects) = desk.reread(&[good], false);
    assert_eq!(answer, starts);
    assert!(effects > 0);
    assert_eq!(desk.reread(&[good], false).0, Ok(vec![]));
    let other = [("a", "y <ADDR>", "ferroban")];
    let changed =
        "~ jail 'a' changes; 0 ban(s) stay\n    filter: 1 pattern(s) -> 1 pattern(s), changed";
    assert_eq!(desk.reread(&other, true).0, Ok(vec![changed.to_owned()]));
    let told = desk.told();
    assert_eq!(told.matches("WARNING /x: cannot").count(), 5, "{told}");
}

#[test]
fn a_stream_that_fails_halfway_changes_nothing() {
    let mut desk = Desk::new();
    let good = "add|a|polling\nset|a|addfailregex|x <HOST>\nstart|a";
    let broken = format!("{good}\nadd|b|polling\nset|b|addfailregex|(");
    let refused = desk.ask(&["server-stream".into(), stream(&broken)]);
    assert!(refused.starts_with("RegexException("), "{refused}");
    let none = "[('Number of jail', 0), ('Jail list', '')]";
    assert_eq!(desk.say("status"), none);
    assert_eq!(desk.ask(&["server-stream".into(), stream(good)]), "None");
    let one = "[('Number of jail', 1), ('Jail list', 'a')]";
    assert_eq!(desk.say("status"), one);
    let reload = |text: &str| {
        let options = Word::List(vec![]);
        ["reload".into(), "--all".into(), options, stream(text)]
    };
    assert_eq!(desk.ask(&reload("bogus")), "Exception('Invalid command')");
    assert_eq!(desk.say("status"), one, "the original would have lost it");
    assert_eq!(desk.ask(&reload("add|a|polling")), "'OK'");
    assert_eq!(desk.say("status"), none, "what is not started again ends");
}

#[test]
fn what_is_refused_is_not_told_as_done() {
    let mut desk = Desk::new();
    let text =
        "set|loglevel|NOTICE\nset|syslogsocket|/x\nset|logtarget|/no/such/folder/x\nadd|b|polling";
    let refused = desk.ask(&["server-stream".into(), stream(text)]);
    assert_eq!(refused, "Exception('Failed to change log target')");
    assert_eq!(desk.say("get|loglevel"), "'INFO'");
    assert_eq!(desk.say("get|syslogsocket"), "'auto'");
    assert_eq!(
        desk.ask(&["server-stream".into(), stream("stop")]),
        "Exception('Invalid command')"
    );
    let call = "add|c|polling\nset|c|addaction|x\nset|c|action|x|ban|{}";
    let refused = desk.ask(&["server-stream".into(), stream(call)]);
    assert_eq!(refused, "Exception('Invalid command')");
    assert_eq!(
        desk.say("status"),
        "[('Number of jail', 0), ('Jail list', '')]"
    );
    let told = desk.told();
    assert!(!told.contains("Creating new jail"), "{told}");
}

#[test]
fn another_monitors_socket_that_cannot_be_leaves_the_one_there_is() {
    let mut desk = Desk::new();
    let respond = |_: &[u8], _: &Caller| Response::One(Vec::new());
    desk.main_loop.monitor.offer(Arc::new(respond));
    let (good, bad) = (desk.folder.path().join("m"), desk.folder.path().join("log"));
    let set = |path: &Path| {
        let socket = ("socket".to_owned(), path.display().to_string().into());
        ["set".into(), "monitor".into(), Word::Dict(vec![socket])]
    };
    let is_open = |path: &Path| UnixStream::connect(path).is_ok();
    let shown = desk.ask(&set(&good));
    assert!(is_open(&good), "{shown}");
    let refused = desk.ask(&set(&bad));
    assert!(refused.starts_with("OSError("), "{refused}");
    assert!(is_open(&good));
    assert_eq!(desk.say("get|monitor"), shown);
    desk.main_loop.monitor.close();
}

#[test]
fn what_fails_behind_a_configuration_keeps_back_nothing_else() {
    let mut desk = Desk::new();
    let text = "add|d|polling\nset|d|addfailregex|x <HOST>\nstart|d\nstop|nosuch\nstop|d";
    let answer = desk.ask(&["server-stream".into(), stream(text)]);
    assert_eq!(answer, "UnknownJailException('nosuch')");
    assert_eq!(
        desk.say("status"),
        "[('Number of jail', 0), ('Jail list', '')]"
    );
}

#[test]
fn a_reload_keeps_the_order_of_jails_and_the_database() {
    let mut desk = Desk::new();
    let jail =
        |name: &str| format!("add|{name}|polling\nset|{name}|addfailregex|x <HOST>\nstart|{name}");
    let both = format!("{}\n{}", jail("b"), jail("a"));
    assert_eq!(desk.ask(&["server-stream".into(), stream(&both)]), "None");
    let reload = |name: &str, text: &str| {
        [
            "reload".into(),
            name.into(),
            Word::List(vec![]),
            stream(text),
        ]
    };
    assert_eq!(desk.ask(&reload("b", &jail("b"))), "'OK'");
    let order = "[('Number of jail', 2), ('Jail list', 'a, b')]";
    assert_eq!(desk.say("status"), order, "by name");
    assert_eq!(desk.say("banned"), "[{'b': []}, {'a': []}]");
    let elsewhere = format!(
        "set|dbfile|{}\n{both}",
        desk.folder.path().join("db").display()
    );
    let refused = "RuntimeError('Cannot change database when there are jails present')";
    assert_eq!(desk.ask(&reload("--all", &elsewhere)), refused);
    assert_eq!(desk.say("status"), order);
}

#[test]
fn a_jail_that_ends_twice_stays_until_its_second_end() {
    let mut desk = Desk::new();
    let text = "add|a|polling\nset|a|addfailregex|x <HOST>\nstart|a";
    assert_eq!(desk.ask(&["server-stream".into(), stream(text)]), "None");
    let plan = desk.main_loop.setup.plans().next().unwrap();
    let name = plan.jail.name.clone();
    let crew = &mut desk.main_loop.crew;
    let is_there = |crew: &Crew| crew.actions_differ(&plan) == (false, false);
    crew.dismiss(&name, false);
    crew.hire(plan.clone(), Vec::new(), true).unwrap();
    crew.dismiss(&name, false);
    crew.gone(&name);
    assert!(is_there(crew));
    crew.gone(&name);
    assert!(!is_there(crew));
}

#[test]
fn a_reload_keeps_what_it_does_not_tell_and_forgets_lists() {
    let mut desk = Desk::new();
    let first = "add|a|polling\nset|a|addfailregex|x <HOST>\nset|a|addignoreip|::1\nset|a|maxretry|7\nstart|a";
    assert_eq!(desk.ask(&["server-stream".into(), stream(first)]), "None");
    let again = "add|a|polling\nset|a|addfailregex|y <HOST>\nstart|a";
    let options = Word::List(vec![]);
    let reload = ["reload".into(), "a".into(), options, stream(again)];
    assert_eq!(desk.ask(&reload), "'OK'");
    assert_eq!(desk.say("get|a|maxretry"), "7");
    assert_eq!(desk.say("get|a|ignoreip"), "[]");
    assert!(desk.say("get|a|failregex").starts_with("['y "));
    let told = desk.told();
    let lines = [
        "Reload jail a",
        "Reload jail 'a'",
        "Jail 'a' reloaded",
        "Reload finished.",
    ];
    for line in lines {
        assert!(
            told.contains(&format!("INFO    {line}\n")),
            "{line}: {told}"
        );
    }
    assert_eq!(
        told.matches("Jail 'a' started").count(),
        0,
        "nothing is dispatched here"
    );
}

#[test]
fn refusals_say_what_the_original_says() {
    let mut desk = Desk::new();
    desk.say("add|a|polling");
    let cases = [
        (
            "get|nosuch|x",
            "Exception('Invalid command (no get action or not yet implemented)')",
        ),
        ("get|nosuch|maxretry", "UnknownJailException('nosuch')"),
        ("get|a", "IndexError('list index out of range')"),
        ("set|a", "IndexError('list index out of range')"),
        (
            "set|nosuch|1",
            "Exception(\"Invalid command '1' (no set action or not yet implemented)\")",
        ),
        (
            "set|a|maxretry|x",
            "ValueError(\"invalid literal for int() with base 10: 'x'\")",
        ),
        ("set|a|findtime|x", "NameError(\"name 'x' is not defined\")"),
        (
            "set|a|maxlines|0",
            "ValueError('maxlines must be integer greater than zero')",
        ),
        (
            "set|a|delignoreip|9.9.9.9",
            "ValueError('list.remove(x): x not in list')",
        ),
        (
            "set|a|addlogpath|/nosuch",
            "FileNotFoundError(2, 'No such file or directory')",
        ),
        (
            "set|a|idle|maybe",
            "Exception(\"Invalid idle option, must be 'on' or 'off'\")",
        ),
        (
            "set|a|logencoding|nope",
            "LookupError('unknown encoding: nope')",
        ),
        ("set|a|delaction|x", "KeyError('Invalid Action name: x')"),
        ("add|a|polling", "DuplicateJailException('a')"),
        ("add|--all", "Exception(\"Reserved name '--all'\")"),
        ("status|a|b|c", "Exception('Invalid command (no status)')"),
        ("start|nosuch", "UnknownJailException('nosuch')"),
        ("stop|nosuch", "UnknownJailException('nosuch')"),
        ("unban", "Exception('Invalid command')"),
        ("set|a|unbanip", "IndexError('list index out of range')"),
    ];
    for (words, expected) in cases {
        assert_eq!(desk.say(words), expected, "{words}");
    }
}

#[test]
fn a_read_position_is_written_when_the_fate_of_what_was_read_is_known() {
    let mut desk = Desk::new();
    let jail: JailName = "j".parse().unwrap();
    let mut settings = JailSettings::new(jail.clone());
    settings.ignorecommand = Some("exit 1".into());
    let engine = &mut desk.main_loop.engine;
    engine.add_jail(clock::now(), settings, &mut Vec::new());
    let read = |main_loop: &mut MainLoop, offset: i64, id: Option<&str>| {
        let failure = |id: &str| (jail.clone(), Failure::new(FailId::parse(id), clock::now()));
        let position = LogPosition {
            log: "/log".into(),
            mark: String::new(),
            offset,
        };
        let reading = Reading {
            jails: vec![jail.clone()],
            failures: id.into_iter().map(failure).collect(),
            position: Some(position),
        };
        main_loop.reading(reading, &mut Vec::new());
        main_loop.engine.last_inquiry()
    };
    let answer = |main_loop: &mut MainLoop, id: InquiryId| {
        let finding = Finding::Ignored {
            why: None,
            remembered: false,
        };
        let engine = &mut main_loop.engine;
        engine.found_out(clock::now(), id, finding, &mut Vec::new());
    };
    let written = |main_loop: &mut MainLoop| {
        main_loop.settle();
        let mut positions = main_loop.positions.drain();
        positions.next().map(|(_, position)| position.offset)
    };
    let main_loop = &mut desk.main_loop;
    read(main_loop, 1, None);
    assert_eq!(written(main_loop), Some(1));
    let first = read(main_loop, 2, Some("192.0.2.1"));
    read(main_loop, 3, None);
    assert_eq!(written(main_loop), None);
    let second = read(main_loop, 4, Some("192.0.2.2"));
    answer(main_loop, first);
    assert_eq!(written(main_loop), Some(2), "no later one: it may hang");
    assert_eq!(written(main_loop), None);
    main_loop.unsettle(&"other".parse().unwrap(), false);
    answer(main_loop, second);
    assert_eq!(written(main_loop), Some(4));
    read(main_loop, 5, Some("192.0.2.3"));
    main_loop.unsettle(&jail, false);
    assert!(main_loop.unsettled.is_empty(), "its jail has ended");
}
