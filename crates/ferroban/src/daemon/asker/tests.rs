use super::*;

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use ferroban_engine::{FailId, Failure, IgnoreReason, Suspect, Timestamp};
use tempfile::TempDir;

use crate::log::{Level, Target};
use crate::names::Lookup;

/// Tells of each name that it is asked for, and answers when it may.
struct Slow {
    asked: Sender<String>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Lookup for Slow {
    fn addresses(&self, name: &str, _: bool) -> Result<Vec<IpAddr>, String> {
        self.asked.send(name.to_owned()).ok();
        // Nobody lets it go on any more when the test is over.
        let go_on = self.go_on.lock().unwrap();
        go_on.recv().map_err(|_| "the end".to_owned())?;
        Ok(vec!["192.0.2.1".parse().unwrap()])
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn ipv6(&self) -> bool {
        false
    }

    fn own_name(&self) -> String {
        "box".into()
    }
}

struct Scene {
    _folder: TempDir,
    asker: Asker,
    found: Receiver<(InquiryId, Finding)>,
    /// The names that a thread is at.
    asked: Receiver<String>,
    go_on: Sender<()>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Info).unwrap();
        let (asks, asked) = channel();
        let (go_on, goes_on) = channel();
        let resolver = Resolver::new(Slow {
            asked: asks,
            go_on: Arc::new(Mutex::new(goes_on)),
        });
        let means = Means {
            resolver,
            facts: Facts::default(),
            log,
        };
        let (answers, found) = channel();
        let answer = move |told| {
            if let Told::Found(id, finding) = told {
                drop(answers.send((id, finding)));
            }
        };
        let limit = Duration::from_secs(60);
        Self {
            _folder: folder,
            asker: Asker::start_with(means, limit, answer).unwrap(),
            found,
            asked,
            go_on,
        }
    }

    fn ask(&self, id: u64, ask: Ask) {
        self.asker.ask(inquiry(id, "sshd", ask));
    }

    fn found(&self) -> (u64, Finding) {
        let (id, finding) = self.found.recv().unwrap();
        (id.0, finding)
    }

    /// Keeps all threads busy that look for names.
    fn occupy(&self) {
        for id in 0..THREADS - 1 {
            self.ask(id as u64, name(&format!("slow{id}")));
            self.asked.recv().unwrap();
        }
    }
}

fn inquiry(id: u64, jail: &str, ask: Ask) -> Inquiry {
    Inquiry {
        id: InquiryId(id),
        jail: jail.parse().unwrap(),
        ask,
        until: clock::now().plus_secs(3600),
    }
}

fn name(text: &str) -> Ask {
    Ask::Addresses(text.into())
}

fn suspect(command: &str) -> Ask {
    let id = FailId::parse("192.0.2.1");
    Ask::Ignored(Box::new(Suspect {
        failure: Failure::new(id, Timestamp::from_secs(0)),
        cache: None,
        decided: None,
        entries: Vec::new(),
        otherwise: None,
        command: Some(command.into()),
    }))
}

const IGNORED: Finding = Finding::Ignored {
    why: Some(IgnoreReason::Command),
    remembered: false,
};

#[test]
fn each_question_is_answered_under_its_name() {
    let scene = Scene::new();
    scene.go_on.send(()).unwrap();
    scene.ask(7, name("a.example"));
    let addresses = vec!["192.0.2.1".parse().unwrap()];
    assert_eq!(scene.found(), (7, Finding::Addresses(addresses)));
    scene.ask(8, name("a\0b"));
    let (id, finding) = scene.found();
    assert!(matches!((id, finding), (8, Finding::NoAddress(_))));
    scene.ask(9, suspect("exit 0"));
    assert_eq!(scene.found(), (9, IGNORED));
}

/// The questions in the order in which threads take them.
fn taken(work: &mut Work, takes: &[Takes]) -> Vec<Option<u64>> {
    let mut take = |takes: &Takes| match work.take(*takes, clock::now())? {
        Task::Inquiry(inquiry) => Some(inquiry.id.0),
        Task::OwnNames => Some(0),
    };
    takes.iter().map(&mut take).collect()
}

#[test]
fn a_jail_is_asked_for_one_at_a_time_and_jails_take_turns() {
    let mut work = Work::default();
    for (id, jail) in [(1, "sshd"), (2, "sshd"), (3, "other"), (4, "other")] {
        work.put(inquiry(id, jail, suspect("")), clock::now());
    }
    work.put(inquiry(5, "sshd", name("a")), clock::now());
    let takes = [Takes::Suspects, Takes::Both, Takes::Both, Takes::Suspects];
    let expected = [Some(1), Some(3), Some(5), None];
    assert_eq!(taken(&mut work, &takes), expected);
    work.put(inquiry(6, "third", suspect("")), clock::now());
    work.looked_into("other".parse().unwrap());
    work.looked_into("sshd".parse().unwrap());
    let takes = [Takes::Suspects; 4];
    let expected = [Some(6), Some(4), Some(2), None];
    assert_eq!(taken(&mut work, &takes), expected);
    work.looked_into("sshd".parse().unwrap());
    assert_eq!(taken(&mut work, &takes[..1]), [None], "it has no more");
    work.put(inquiry(7, "sshd", suspect("")), clock::now());
    assert_eq!(taken(&mut work, &takes[..1]), [Some(7)]);
}

#[test]
fn what_nobody_waits_for_any_more_is_dropped() {
    let mut work = Work::default();
    let late = clock::now().plus_secs(7200);
    for id in 1..=3 {
        work.put(inquiry(id, "sshd", suspect("")), clock::now());
        work.put(inquiry(id, "sshd", name("a")), clock::now());
    }
    let mut inquiry = inquiry(4, "sshd", suspect(""));
    inquiry.until = late.plus_secs(1);
    work.put(inquiry, late);
    assert_eq!(work.suspects.values().map(VecDeque::len).sum::<usize>(), 1);
    assert!(work.take(Takes::Names, late).is_none());
    assert!(work.names.is_empty());
    let task = work.take(Takes::Suspects, late);
    assert!(matches!(task, Some(Task::Inquiry(Inquiry { id, .. })) if id.0 == 4));
}

#[test]
fn names_that_hang_keep_no_jail_from_learning_who_is_ignored() {
    let scene = Scene::new();
    scene.occupy();
    scene.ask(10, name("one.more"));
    scene.ask(11, suspect("exit 0"));
    assert_eq!(scene.found(), (11, IGNORED));
}

#[test]
fn suspects_of_jails_that_hang_keep_no_name_waiting() {
    let mut work = Work::default();
    for id in 0..THREADS as u64 {
        let jail = format!("hangs{id}");
        work.put(inquiry(id, &jail, suspect("")), clock::now());
    }
    work.put(inquiry(9, "sshd", name("a")), clock::now());
    let takes = [Takes::Suspects, Takes::Both, Takes::Both, Takes::Names];
    let expected = [Some(0), Some(1), Some(2), Some(9)];
    assert_eq!(taken(&mut work, &takes), expected);
}

#[test]
fn what_a_jail_asked_ends_with_it() {
    let mut work = Work::default();
    for (id, jail) in [(1, "sshd"), (2, "other")] {
        work.put(inquiry(id, jail, suspect("")), clock::now());
        work.put(inquiry(id + 2, jail, name("a")), clock::now());
    }
    work.withdraw(&"sshd".parse().unwrap());
    let takes = [Takes::Both; 3];
    assert_eq!(taken(&mut work, &takes), [Some(2), Some(4), None]);
}

/// More than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_end_does_not_wait_for_what_hangs_and_nothing_is_answered_after_it() {
    let scene = Scene::new();
    scene.occupy();
    scene.ask(10, name("waits"));
    let ended = scene.asker.close_within(Duration::ZERO, || ());
    assert!(!ended, "threads hang");
    drop(scene.go_on);
    // All threads end, and with them their ways to answer.
    assert!(scene.found.recv().is_err());
}

#[test]
fn the_end_waits_for_those_that_go() {
    let scene = Scene::new();
    assert!(scene.asker.close_within(LONG, || ()));
    assert!(scene.found.recv().is_err());
}

#[test]
fn commands_that_run_at_the_end_are_ended() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let shown = pipe.display();
    let command = format!("echo $$ > {shown}; exec sleep 1000");
    scene.ask(1, suspect(&command));
    let pid: i32 = std::fs::read_to_string(&pipe)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // The commands of other tests are not ours to end.
    let end = || rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    assert!(scene.asker.close_within(LONG, end));
    assert!(scene.found.recv().is_err(), "it is no answer");
}

#[test]
fn what_is_dropped_ends_too() {
    let scene = Scene::new();
    let shared = Arc::clone(&scene.asker.0);
    drop(scene.asker);
    assert!(scene.found.recv().is_err());
    assert!(shared.work().closed);
}
