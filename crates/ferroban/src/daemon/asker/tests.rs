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
    fn new(most: usize) -> Self {
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
            asker: Asker::start_with(means, (most, limit), answer).unwrap(),
            found,
            asked,
            go_on,
        }
    }

    fn ask(&self, id: u64, ask: Ask) -> Result<(), u64> {
        let inquiry = Inquiry {
            id: InquiryId(id),
            jail: "sshd".parse().unwrap(),
            ask,
        };
        self.asker.ask(inquiry).map_err(|inquiry| inquiry.id.0)
    }

    fn found(&self) -> (u64, Finding) {
        let (id, finding) = self.found.recv().unwrap();
        (id.0, finding)
    }

    /// Keeps all threads busy that look for names.
    fn occupy(&self) {
        for id in 0..THREADS - 1 {
            self.ask(id as u64, name(&format!("slow{id}"))).unwrap();
            self.asked.recv().unwrap();
        }
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
    let scene = Scene::new(8);
    scene.go_on.send(()).unwrap();
    scene.ask(7, name("a.example")).unwrap();
    let addresses = vec!["192.0.2.1".parse().unwrap()];
    assert_eq!(scene.found(), (7, Finding::Addresses(addresses)));
    scene.ask(8, name("a\0b")).unwrap();
    let (id, finding) = scene.found();
    assert!(matches!((id, finding), (8, Finding::NoAddress(_))));
    scene.ask(9, suspect("exit 0")).unwrap();
    assert_eq!(scene.found(), (9, IGNORED));
}

#[test]
fn what_has_no_room_comes_back_at_once_and_names_leave_room_for_the_rest() {
    let scene = Scene::new(2);
    scene.occupy();
    assert_eq!(scene.ask(10, name("a")), Ok(()));
    assert_eq!(scene.ask(11, name("b")), Ok(()));
    assert_eq!(scene.ask(12, name("c")), Err(12));
    assert_eq!(scene.ask(13, suspect("exit 0")), Ok(()));
    assert_eq!(scene.found(), (13, IGNORED));
}

#[test]
fn suspects_have_a_bound_too_and_what_was_asked_first_is_taken_first() {
    let inquiry = |id, jail: &str, ask| Inquiry {
        id: InquiryId(id),
        jail: jail.parse().unwrap(),
        ask,
    };
    let mut work = Work::default();
    work.suspects.push_back(inquiry(1, "sshd", suspect("")));
    work.suspects.push_back(inquiry(2, "sshd", suspect("")));
    work.names.push_back(inquiry(3, "sshd", name("a")));
    work.names.push_back(inquiry(4, "sshd", name("b")));
    work.suspects.push_back(inquiry(5, "other", suspect("")));
    let mut taken = |takes_names| {
        work.take(takes_names).map(|task| match task {
            Task::Inquiry(inquiry) => inquiry.id.0,
            Task::OwnNames => 0,
        })
    };
    let order = [true, true, false, false, true, true].map(&mut taken);
    let expected = [Some(1), Some(3), Some(5), None, Some(4), None];
    assert_eq!(order, expected, "of each jail one at a time");
    work.busy.clear();
    let Some(Task::Inquiry(second)) = work.take(false) else {
        panic!("its turn has come")
    };
    assert_eq!(second.id, InquiryId(2));

    let scene = Scene::new(0);
    assert_eq!(scene.ask(1, suspect("")), Err(1));
}

#[test]
fn names_that_hang_keep_no_jail_from_learning_who_is_ignored() {
    let scene = Scene::new(8);
    scene.occupy();
    scene.ask(10, name("one.more")).unwrap();
    scene.ask(11, suspect("exit 0")).unwrap();
    assert_eq!(scene.found(), (11, IGNORED));
}

#[test]
fn what_a_jail_asked_is_forgotten_with_it() {
    let scene = Scene::new(1);
    scene.occupy();
    scene.ask(10, name("a")).unwrap();
    scene.asker.forget(&"other".parse().unwrap());
    assert_eq!(scene.ask(11, name("b")), Err(11));
    scene.asker.forget(&"sshd".parse().unwrap());
    assert_eq!(scene.ask(11, name("b")), Ok(()));
}

/// More than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_end_does_not_wait_for_what_hangs_and_nothing_is_answered_after_it() {
    let scene = Scene::new(8);
    scene.occupy();
    scene.ask(10, name("waits")).unwrap();
    let ended = scene.asker.close_within(Duration::ZERO, || ());
    assert!(!ended, "threads hang");
    drop(scene.go_on);
    // All threads end, and with them their ways to answer.
    assert!(scene.found.recv().is_err());
}

#[test]
fn the_end_waits_for_those_that_go() {
    let scene = Scene::new(8);
    assert!(scene.asker.close_within(LONG, || ()));
    assert!(scene.found.recv().is_err());
}

#[test]
fn commands_that_run_at_the_end_are_ended() {
    let scene = Scene::new(8);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let shown = pipe.display();
    let command = format!("echo $$ > {shown}; exec sleep 1000");
    scene.ask(1, suspect(&command)).unwrap();
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
    let scene = Scene::new(8);
    let shared = Arc::clone(&scene.asker.0);
    drop(scene.asker);
    assert!(scene.found.recv().is_err());
    assert!(shared.work().closed);
}
