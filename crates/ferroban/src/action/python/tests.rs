use super::*;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;

use ferroban_engine::{BanTime, Capture, FailId, Match, Outcome, Ticket, Timestamp};
use tempfile::TempDir;

use crate::action::shell::Merged;
use crate::action::{Actions, Part};
use crate::log::{Level, Target};

/// Writes down what it is told, and does what its options say.
const RECORDER: &str = r#"
import json, os, sys, time
from fail2ban.server.actions import ActionBase, CallingMap
from fail2ban.helpers import formatExceptionInfo, getLogger, splitwords
from fail2ban.server.utils import Utils
from fail2ban.version import version

class Recorder(ActionBase):
    def __init__(self, jail, name, rec, mode="", flushes="no"):
        super().__init__(jail, name)
        self.rec = rec
        self.mode = mode
        self.flushes = flushes
        self.port = "22"
        self.norestored = mode == "norestored"
        self.tell("made", jail.name, name)

    def tell(self, *words):
        with open(self.rec, "a") as file:
            file.write(json.dumps(words) + "\n")

    def start(self):
        self.tell("start", self._jail.actions.getBanTime())

    def stop(self):
        self.tell("stop")

    def ban(self, aInfo):
        ip = aInfo["ip"]
        if self.mode == "all":
            known = {name: aInfo[name] for name in aInfo}
            known["raw-ticket"] = bool(known["raw-ticket"])
            self.tell(known)
        elif self.mode == "loud":
            print('{"id": 1, "ok": "no"}')
            print("first\nsecond", file=sys.stderr)
            os.write(1, b'{"id": 2, "ok": "no"}\n')
            sys.stdout.flush()
            self._logSys.notice("told %s", "a\nb")
            self.tell("input", sys.stdin.read())
        elif ip == "192.0.2.66":
            raise ValueError("boom")
        elif ip == "192.0.2.67" and not os.path.exists(self.rec + ".died"):
            open(self.rec + ".died", "w").close()
            os.kill(os.getpid(), 9)
        elif ip == "192.0.2.68":
            time.sleep(1000)
        elif ip == "192.0.2.69":
            sys.exit(3)
        self.tell("ban", ip)

    def unban(self, aInfo):
        self.tell("unban", aInfo["ip"])

    def flush(self):
        self.tell("flush")
        return self.flushes == "yes"

    def twice(self, text):
        return text * 2

Action = Recorder
"#;

/// Facts that never change.
#[derive(Default)]
struct Known {
    asked: Mutex<Vec<String>>,
}

impl Facts for Known {
    fn bantime(&self) -> BanTime {
        BanTime::For(600)
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        self.asked.lock().unwrap().push("ip-host".into());
        Some(format!("host-of-{address}"))
    }

    fn merged(&self, _: &FailId, everywhere: bool) -> Option<Merged> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("merged {everywhere}"));
        Some(Merged {
            failures: if everywhere { 7 } else { 5 },
            matches: "merged".into(),
        })
    }
}

/// Whether there is Python here. Where that is a duty, there must be.
fn has_python() -> bool {
    let has = Path::new("/usr/bin/python3").exists();
    if !has {
        assert!(std::env::var_os("CI").is_none(), "install python3");
        writeln!(io::stderr(), "skipped: python3 is not installed").unwrap();
    }
    has
}

fn ban_of(id: &str) -> Ban {
    Ban {
        id: FailId::parse(id),
        time: Timestamp::from_secs(1_795_624_453),
        bantime: BanTime::For(600),
        count: 1,
        ticket: Ticket::default(),
        restored: false,
    }
}

/// A folder with an action, what it wrote down, and the log.
struct Scene {
    folder: TempDir,
    log: Log,
    facts: Arc<Known>,
}

impl Scene {
    /// Nothing where there is no Python.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Info).unwrap();
        has_python().then(|| Self {
            folder,
            log,
            facts: Arc::default(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, text: &str, options: &Value) -> Source {
        let path = self.path("rec.py");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let path = path.to_str().unwrap();
        Source::read(path, object(options.clone()), BTreeMap::new()).unwrap()
    }

    /// The recorder with these options.
    fn recorder(&self, options: &[(&str, &str)]) -> Source {
        let mut all = Map::new();
        all.insert("rec".into(), self.path("rec").to_str().unwrap().into());
        for (name, value) in options {
            all.insert((*name).into(), (*value).into());
        }
        self.source(RECORDER, &Value::Object(all))
    }

    fn python(&self, source: Source) -> Python {
        let facts = Arc::clone(&self.facts);
        let jail = "j".parse().unwrap();
        Python::new(jail, "rec".into(), source, self.log.clone(), facts)
    }

    fn part(&self, source: Source) -> Part {
        Part::Python(Box::new(self.python(source)))
    }

    fn actions(&self, source: Source) -> Actions {
        let facts = Arc::clone(&self.facts);
        let mut actions = Actions::new("j".parse().unwrap(), self.log.clone(), facts);
        let parts = vec![
            ("rec".to_owned(), self.part(source)),
            ("next".to_owned(), Part::Commands(self.next())),
        ];
        actions.configure(parts, &[], true);
        actions
    }

    /// A command action that writes to the same file.
    fn next(&self) -> BTreeMap<String, String> {
        let rec = self.path("rec").display().to_string();
        let command = |name: &str, words: &str| (name.to_owned(), format!("echo {words} >> {rec}"));
        BTreeMap::from([
            command("actionban", "next ban '<ip>'"),
            command("actionunban", "next unban '<ip>'"),
        ])
    }

    fn recorded(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("rec")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The log without times, and without this folder's name.
    fn told(&self) -> Vec<String> {
        self.log.flush();
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let folder = self.folder.path().to_str().unwrap();
        text.lines()
            .map(|line| line.get(24..).unwrap_or_default().replace(folder, "DIR"))
            .collect()
    }
}

fn start(actions: &mut Actions, held: &[Ban]) {
    let (outcome, rest) = actions.start(held, Timestamp::from_secs(0), &|| true);
    assert_eq!((outcome, rest.len()), (Outcome::Ok, 0));
}

#[test]
fn it_is_told_of_everything_in_its_turn_and_the_next_action_too() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[("flushes", "yes")]));
    start(&mut actions, &[ban_of("192.0.2.9")]);
    actions.run_ban(&ban_of("192.0.2.1"));
    actions.run_unban(&ban_of("192.0.2.1"));
    actions.stop(&[ban_of("192.0.2.9")]).unwrap();
    assert_eq!(
        scene.recorded(),
        [
            r#"["made", "j", "rec"]"#,
            r#"["start", 600]"#,
            r#"["ban", "192.0.2.9"]"#,
            "next ban 192.0.2.9",
            r#"["ban", "192.0.2.1"]"#,
            "next ban 192.0.2.1",
            r#"["unban", "192.0.2.1"]"#,
            "next unban 192.0.2.1",
            r#"["flush"]"#,
            "next unban 192.0.2.9",
            r#"["stop"]"#,
        ]
    );
    let told = scene.told().join("\n");
    assert!(
        told.contains("NOTICE  [j] Flush ticket(s) with rec"),
        "{told}"
    );
    assert!(!told.contains("ERROR"), "{told}");
}

#[test]
fn a_flush_that_says_no_is_followed_by_single_unbans() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[]));
    start(&mut actions, &[]);
    actions.flush(&[ban_of("192.0.2.9")]).unwrap();
    let recorded = scene.recorded();
    let unbanned = [r#"["flush"]"#, r#"["unban", "192.0.2.9"]"#].map(str::to_owned);
    assert!(
        recorded.windows(2).any(|pair| pair == unbanned),
        "{recorded:?}"
    );
}

#[test]
fn an_exception_is_told_and_the_next_action_goes_on() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[]));
    start(&mut actions, &[]);
    actions.run_ban(&ban_of("192.0.2.66"));
    actions.run_ban(&ban_of("192.0.2.69"));
    let told = scene.told();
    let told = |end: &str| {
        let begin = "Failed to execute ban jail 'j' action 'rec' info 'ActionInfo({'ip': ";
        told.iter()
            .any(|line| line.contains(begin) && line.ends_with(end))
    };
    assert!(told("': boom") && told("': 3"), "{:?}", scene.told());
    let recorded = scene.recorded();
    let made = recorded.iter().filter(|line| line.contains("made")).count();
    assert_eq!(
        made, 1,
        "neither an exception nor exit() ends it: {recorded:?}"
    );
    assert!(
        recorded.contains(&"next ban 192.0.2.66".to_owned()),
        "{recorded:?}"
    );
}

/// What the recorder was told of a ban, in its mode `all`.
fn known_of(scene: &Scene, ban: &Ban) -> Value {
    let mut python = scene.python(scene.recorder(&[("mode", "all")]));
    python.start().unwrap();
    python.ban(ban).unwrap();
    let line = scene
        .recorded()
        .into_iter()
        .find(|line| line.starts_with("[{"));
    let known: Value = serde_json::from_str(&line.unwrap()).unwrap();
    known[0].clone()
}

#[test]
fn the_values_of_a_ticket_are_what_they_are_and_the_costly_ones_are_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let mut ban = ban_of("192.0.2.1");
    ban.ticket.failures = 3;
    ban.ticket.matches = vec![Match::new("a ", "date", " b"), Match::new("c", "", "")];
    ban.ticket.captures = vec![
        ("user".into(), Capture::Text("root".into())),
        (
            "users".into(),
            Capture::Set([" x".into(), "y".into()].into()),
        ),
        (
            "part".into(),
            Capture::Tuple([None, Some("42".into())].into()),
        ),
    ];
    let known = known_of(&scene, &ban);
    let expected = json!({
        "ip": "192.0.2.1",
        "family": "inet4",
        "ip-rev": "1.2.0.192.",
        "ip-host": "host-of-192.0.2.1",
        "fid": "192.0.2.1",
        "failures": 3,
        "time": 1_795_624_453.0,
        "bantime": 600,
        "bancount": 1,
        "restored": 0,
        "matches": "a date b\nc",
        "ipmatches": "merged",
        "ipjailmatches": "merged",
        "ipfailures": 7,
        "ipjailfailures": 5,
        "raw-ticket": true,
        "jail.name": "j",
        "jail.banned": 0,
        "jail.banned_total": 0,
        "jail.found": 0,
        "jail.found_total": 0,
        "F-*": {
            "matches": [["a ", "date", " b"], "c"],
            "failures": 3,
            "user": "root",
            "users": [" x", "y"],
            "part": [null, "42"],
        },
    });
    assert_eq!(known, expected);
    assert!(
        scene
            .facts
            .asked
            .lock()
            .unwrap()
            .contains(&"ip-host".to_owned())
    );
}

#[test]
fn values_that_nobody_looks_at_are_not_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let mut python = scene.python(scene.recorder(&[]));
    python.start().unwrap();
    python.ban(&ban_of("192.0.2.1")).unwrap();
    assert!(scene.facts.asked.lock().unwrap().is_empty());
}

#[test]
fn what_an_attacker_wrote_arrives_as_it_is() {
    let Some(scene) = Scene::new() else { return };
    let hostile = "'; \"\"\" \\ \n\r\u{0}\u{1b} %s {} $(x) é\u{1f600}\u{2028}\"}\n{\"id\": 1}";
    let long = "'\n\u{1f600}".repeat(10_000);
    let mut ban = ban_of("192.0.2.1");
    ban.ticket.captures = vec![
        ("user".into(), Capture::Text(hostile.into())),
        ("'\n\"".into(), Capture::Text(long.as_str().into())),
    ];
    let known = known_of(&scene, &ban);
    assert_eq!(known["F-*"]["user"], hostile);
    assert_eq!(known["F-*"]["'\n\""], long.as_str());
}

#[test]
fn what_it_prints_is_logged_and_does_not_disturb() {
    let Some(scene) = Scene::new() else { return };
    let mut python = scene.python(scene.recorder(&[("mode", "loud")]));
    python.start().unwrap();
    for ip in ["192.0.2.1", "192.0.2.2"] {
        python.ban(&ban_of(ip)).unwrap();
    }
    python.stop().unwrap();
    let expected = [
        "INFO    [j] action 'rec' wrote: '{\"id\": 1, \"ok\": \"no\"}'",
        "INFO    [j] action 'rec' wrote: '{\"id\": 2, \"ok\": \"no\"}'",
        "INFO    [j] action 'rec' wrote: 'first'",
        "INFO    [j] action 'rec' wrote: 'second'",
        "NOTICE  told a\\nb",
    ];
    let recorded = scene.recorded();
    let inputs = recorded
        .iter()
        .filter(|line| *line == r#"["input", ""]"#)
        .count();
    assert_eq!(inputs, 2, "it has nothing to read: {recorded:?}");
    // A thread passes it on, and nobody waits for that.
    let deadline = clock::tick() + Duration::from_secs(60);
    loop {
        let told = scene.told();
        let has = |text: &str| told.iter().any(|line| line.ends_with(text));
        if expected.iter().all(|text| has(text)) {
            break;
        }
        assert!(clock::tick() < deadline, "{told:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_dies_is_told_and_started_again_for_the_next_call() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[]));
    start(&mut actions, &[]);
    for ip in ["192.0.2.67", "192.0.2.1"] {
        actions.run_ban(&ban_of(ip));
    }
    actions.stop(&[]).unwrap();
    assert_eq!(
        scene.recorded(),
        [
            r#"["made", "j", "rec"]"#,
            r#"["start", 600]"#,
            "next ban 192.0.2.67",
            r#"["made", "j", "rec"]"#,
            r#"["start", 600]"#,
            r#"["ban", "192.0.2.1"]"#,
            "next ban 192.0.2.1",
            r#"["flush"]"#,
            r#"["stop"]"#,
        ]
    );
    let told = scene.told().join("\n");
    let why = "Failed to execute ban jail 'j' action 'rec' info 'ActionInfo({'ip': '192.0.2.67'";
    assert!(told.contains(why), "{told}");
    assert!(
        told.contains("gone in ban (it was ended by signal 9), and is started again"),
        "{told}"
    );
}

#[test]
fn a_program_that_hangs_is_killed_and_started_again() {
    let Some(scene) = Scene::new() else { return };
    let mut python = scene.python(scene.recorder(&[]));
    python.start().unwrap();
    python.limit = Duration::from_millis(50);
    let error = python.ban(&ban_of("192.0.2.68")).unwrap_err().to_string();
    assert!(
        error.starts_with("no answer in ban within 0.05 seconds"),
        "{error}"
    );
    assert!(python.partner.is_none());
    python.limit = LIMIT;
    python.ban(&ban_of("192.0.2.1")).unwrap();
    let recorded = scene.recorded();
    let again = [
        r#"["made", "j", "rec"]"#,
        r#"["start", 600]"#,
        r#"["ban", "192.0.2.1"]"#,
    ];
    assert_eq!(recorded[recorded.len() - 3..], again);
}

#[test]
fn one_that_breaks_down_all_the_time_is_left_alone_for_a_while() {
    let Some(scene) = Scene::new() else { return };
    let text = "import os\nos._exit(1)\n";
    let mut python = scene.python(scene.source(text, &json!({})));
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.push(python.ban(&ban_of("192.0.2.1")).unwrap_err().to_string());
    }
    assert!(
        errors[2].contains("it ended with exit code 1"),
        "{errors:?}"
    );
    assert!(
        errors[3].starts_with("not tried: its Python process broke down 3 times"),
        "{errors:?}"
    );
    let told = scene.told();
    let left = told
        .iter()
        .filter(|line| line.contains("left alone for 60 seconds"))
        .count();
    assert_eq!(left, 1, "{told:?}");
    assert!(
        python.unban(&ban_of("192.0.2.1")).is_ok(),
        "nothing was banned"
    );
}

#[test]
fn a_rest_is_taken_after_three_breakdowns_and_then_one_more_is_tried() {
    let now = clock::tick();
    let at = |seconds: u64| now + Duration::from_secs(seconds);
    let mut breakdowns = Breakdowns::default();
    assert!(!breakdowns.note(at(0)) && !breakdowns.note(at(10)));
    assert_eq!(breakdowns.rest(at(10)), None);
    assert!(breakdowns.note(at(20)));
    assert_eq!(breakdowns.rest(at(50)), Some(Duration::from_secs(30)));
    assert_eq!(breakdowns.rest(at(80)), None);
    assert!(breakdowns.note(at(81)), "it did not learn");
    assert!(!breakdowns.note(at(5000)), "that was long ago");
}

#[test]
fn what_is_no_action_is_refused_in_words() {
    let Some(scene) = Scene::new() else { return };
    let cases = [
        (
            "x = 1",
            "RuntimeError: DIR/rec.py module does not have 'Action' class; have the file",
        ),
        (
            "class Action:\n  def start(self): pass",
            "RuntimeError: DIR/rec.py 'Action' class does not implement required methods: stop, ban,",
        ),
        (
            "from fail2ban.server.actions import ActionBase as Action",
            "DIR/rec.py: TypeError: ActionBase.__init__() got an unexpected keyword argument 'x'; name",
        ),
        ("def x(:\n", "DIR/rec.py: SyntaxError: "),
        (
            "from fail2ban.server.filter import Filter",
            "DIR/rec.py: ModuleNotFoundError: No module named 'fail2ban.server.filter'",
        ),
    ];
    for (text, expected) in cases {
        let mut python = scene.python(scene.source(text, &json!({ "x": "1" })));
        let error = python.start().unwrap_err().to_string();
        let error = error.replace(scene.folder.path().to_str().unwrap(), "DIR");
        // Before Python 3.10 the class is not named.
        let plain = |text: &str| text.replace("ActionBase.__init__", "__init__");
        assert!(
            plain(&error).starts_with(&plain(expected)),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_takes_long_to_load_is_loaded_later() {
    let Some(scene) = Scene::new() else { return };
    let mut python = scene.python(scene.recorder(&[]));
    assert_eq!(python.try_load(Duration::ZERO), Ok(false));
    assert_eq!(python.try_load(LIMIT), Ok(true));
    python.start().unwrap();
    let made = scene
        .recorded()
        .iter()
        .filter(|line| line.contains("made"))
        .count();
    assert_eq!(made, 1, "what was loaded is used");
    let mut wrong = scene.python(scene.source("x = 1", &json!({})));
    let error = wrong.try_load(LIMIT).unwrap_err().to_string();
    assert!(error.contains("does not have 'Action' class"), "{error}");
}

#[test]
fn restored_bans_do_not_concern_who_says_so() {
    let Some(scene) = Scene::new() else { return };
    let mut ban = ban_of("192.0.2.1");
    ban.restored = true;
    for (mode, told) in [("norestored", false), ("", true)] {
        let mut python = scene.python(scene.recorder(&[("mode", mode)]));
        python.start().unwrap();
        python.ban(&ban).unwrap();
        let has = scene
            .recorded()
            .contains(&r#"["ban", "192.0.2.1"]"#.to_owned());
        assert_eq!(has, told, "{mode}");
    }
}

#[test]
fn clients_ask_for_properties_set_them_and_call_methods() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[]));
    start(&mut actions, &[]);
    let cases: [(&str, &str, Result<Value, &str>); 8] = [
        (GET, r#"{"name": "port"}"#, Ok(json!("22"))),
        (SET, r#"{"name": "port", "value": "80"}"#, Ok(json!("80"))),
        (GET, r#"{"name": "port"}"#, Ok(json!("80"))),
        (GET, r#"{"name": "nothing"}"#, Err("AttributeError")),
        (
            SET,
            r#"{"name": "twice", "value": "{\"text\": \"a\"}"}"#,
            Ok(json!("aa")),
        ),
        (
            NAMES,
            r#"{"callable": false}"#,
            Ok(json!(["flushes", "mode", "norestored", "port", "rec"])),
        ),
        ("ban", r#"{"aInfo": {"ip": "192.0.2.5"}}"#, Ok(Value::Null)),
        ("prolong", r"{}", Err("AttributeError")),
    ];
    let ask = |actions: &mut Actions, method: &str, json: &str| {
        actions
            .call("rec", method, Some(json))
            .map_err(|error| error.class)
    };
    for (method, json, expected) in cases {
        assert_eq!(ask(&mut actions, method, json), expected, "{method} {json}");
    }
    actions.run_ban(&ban_of("192.0.2.67"));
    let port = ask(&mut actions, GET, r#"{"name": "port"}"#);
    assert_eq!(port, Ok(json!("80")), "what was set is set again");
    assert!(
        scene
            .recorded()
            .contains(&r#"["ban", "192.0.2.5"]"#.to_owned())
    );
}

#[test]
fn a_reload_leaves_alone_what_did_not_change_and_makes_anew_what_did() {
    let Some(scene) = Scene::new() else { return };
    let mut actions = scene.actions(scene.recorder(&[]));
    start(&mut actions, &[]);
    let held = [ban_of("192.0.2.9")];
    let made = |scene: &Scene| {
        let recorded = scene.recorded();
        recorded.iter().filter(|line| line.contains("made")).count()
    };
    let part = |source| vec![("rec".to_owned(), scene.part(source))];
    actions.configure(part(scene.recorder(&[])), &held, false);
    actions.reload();
    actions.run_ban(&ban_of("192.0.2.1"));
    assert_eq!(made(&scene), 1);
    actions.configure(part(scene.recorder(&[("mode", "other")])), &held, false);
    let recorded = scene.recorded();
    let end = [r#"["unban", "192.0.2.9"]"#, r#"["stop"]"#];
    assert_eq!(recorded[recorded.len() - 2..], end, "the old one ends");
    start(&mut actions, &held);
    assert_eq!(made(&scene), 2);
}

#[test]
fn one_that_can_be_told_survives_other_options() {
    let Some(scene) = Scene::new() else { return };
    let text = r#"
class Action:
    def __init__(self, jail, name, x):
        self.x, self.cleared = x, False
    def start(self): pass
    def stop(self): pass
    def ban(self, aInfo): pass
    def unban(self, aInfo): pass
    def reban(self, aInfo): pass
    def clearAllParams(self): self.cleared = True
    def reload(self, x): self.x = x
"#;
    let source = |x: &str| scene.source(text, &json!({ "x": x }));
    let mut actions = scene.actions(source("1"));
    start(&mut actions, &[]);
    actions.configure(
        vec![("rec".to_owned(), scene.part(source("2")))],
        &[],
        false,
    );
    actions.reload();
    for (name, value) in [("x", json!("2")), ("cleared", json!(true))] {
        let asked = json!({ "name": name }).to_string();
        assert_eq!(actions.call("rec", GET, Some(&asked)), Ok(value), "{name}");
    }
    assert!(!scene.told().join("\n").contains("ERROR"));
}

#[test]
fn the_shim_offers_what_actions_use() {
    let Some(scene) = Scene::new() else { return };
    let text = r#"
from fail2ban.server.action import ActionBase, CallingMap
from fail2ban.server.utils import Utils
from fail2ban.helpers import formatExceptionInfo, getLogger, splitwords
import fail2ban.server.actions, fail2ban.version

class Action(ActionBase):
    def ban(self, aInfo):
        calls = []
        many = CallingMap(a=1, b=lambda: calls.append("b") or 2, c=lambda self: self["b"] + 1)
        assert (many["b"], many["c"], many["b"], calls) == (2, 3, 2, ["b"])
        many["a"], many["d"] = 5, 6
        del many["b"]
        assert sorted(many) == ["a", "c", "d"] and len(many) == 3 and "b" not in many
        assert "%(a)s %(c)i" % many.copy() == "5 3"
        many.reset()
        assert many["a"] == 1 and many["b"] == 2 and "d" not in many
        aInfo.update(CallingMap(x=lambda: 7))
        assert aInfo["x"] == 7 and aInfo.get("nothing") is None
        assert splitwords("a, b\nc  d") == ["a", "b", "c", "d"] and splitwords(None) == []
        try:
            raise ValueError("v")
        except ValueError:
            assert formatExceptionInfo() == ("ValueError", "v")
        assert Utils.executeCmd("exit 0") is True
        assert Utils.executeCmd("exit 3", success_codes=(0, 3)) is True
        assert Utils.executeCmd("echo o; exit 3", output=True) == (False, b"o\n", b"", 3)
        evil = "$(x)'\n"
        assert Utils.executeCmd('printf %s "$a"', output=True, varsDict={"a": evil})[1] == evil.encode()
        assert Utils.executeCmd("exec sleep 1000", timeout=0.01) is False
        assert repr(self._jail) == "Jail('j')" and self._name == "rec"
        getLogger("fail2ban.x.Mine").warning("warned %s", 1)
"#;
    let mut python = scene.python(scene.source(text, &json!({})));
    python.start().unwrap();
    let result = python.ban(&ban_of("192.0.2.1"));
    assert!(result.is_ok(), "{result:?} {:?}", scene.told());
    let told = scene.told().join("\n");
    assert!(
        told.contains("fail2ban.Mine") && told.contains("WARNING warned 1"),
        "{told}"
    );
    assert!(told.contains("-- timed out after 0.01 seconds."), "{told}");
}

/// A server that takes mails; gives those of `count` connections.
fn mail_server(count: usize) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || {
        let one = |_| {
            let (stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            let mut to = stream.try_clone().unwrap();
            let mut lines = BufReader::new(stream).lines();
            let mut mail = Vec::new();
            let mut say = |text: &str| write!(to, "{text}\r\n").unwrap();
            say("220 ready");
            while let Some(Ok(line)) = lines.next() {
                let is_end = line.eq_ignore_ascii_case("quit");
                if line.eq_ignore_ascii_case("data") {
                    say("354 go on");
                    mail.extend(
                        lines
                            .by_ref()
                            .map(Result::unwrap)
                            .take_while(|line| line != "."),
                    );
                }
                mail.push(line);
                say(if is_end { "221 bye" } else { "250 ok" });
                if is_end {
                    break;
                }
            }
            mail.join("\n")
        };
        (0..count).map(one).collect()
    };
    let thread = std::thread::Builder::new().name("mails".into());
    (address, thread.spawn(serve).unwrap())
}

#[test]
fn the_mailing_action_of_fail2ban_works_as_it_is() {
    let stock = Path::new("/etc/fail2ban/action.d/smtp.py");
    let Some(scene) = Scene::new() else { return };
    if !stock.exists() {
        assert!(std::env::var_os("CI").is_none(), "install fail2ban");
        writeln!(io::stderr(), "skipped: fail2ban is not installed").unwrap();
        return;
    }
    let (host, mails) = mail_server(3);
    let options = json!({
        "host": host,
        "sender": "guard@example.org",
        "dest": "root@example.org, it@example.org",
        "matches": "ipmatches",
    });
    let text = fs::read_to_string(stock).unwrap();
    let mut actions = scene.actions(scene.source(&text, &options));
    start(&mut actions, &[]);
    let mut ban = ban_of("192.0.2.1");
    ban.ticket.failures = 3;
    actions.run_ban(&ban);
    ban.restored = true;
    actions.run_ban(&ban);
    actions.stop(&[]).unwrap();
    let told = scene.told().join("\n");
    assert!(!told.contains("ERROR"), "{told}");
    let mails = mails.join().unwrap();
    assert!(mails[0].contains("j: started on"), "{}", mails[0]);
    for part in [
        "MAIL FROM:<guard@example.org>",
        "RCPT TO:<it@example.org>",
        "j: banned 192.0.2.1 from",
        "192.0.2.1 has just been banned for 600 seconds",
        "after 3 attempts against j",
        "merged",
    ] {
        // Long headers are folded.
        let mail = mails[1].replace("\n ", " ");
        let found = mail.to_lowercase().contains(&part.to_lowercase());
        assert!(found, "{part}: {mail}");
    }
    assert!(
        mails[2].contains("j: stopped on"),
        "a restored ban sends none: {}",
        mails[2]
    );
}
