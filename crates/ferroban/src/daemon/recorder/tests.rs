use super::*;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::sync::mpsc::sync_channel;

use ferroban_engine::{Ban, Engine, FailId, JailSettings, LogPosition, Match, Ticket, Timestamp};
use rusqlite::Connection;

use super::super::Conduct;
use super::super::crew::Crew;
use super::super::database::Database;
use super::super::facts::Facts;
use super::super::inquiries::Inquiries;
use super::super::main_loop::MainLoop;
use crate::log::{Level, Target};

/// A recorder in a folder of its own.
struct Desk {
    folder: tempfile::TempDir,
    recorder: Recorder,
    inbox: Receiver<Message>,
}

impl Desk {
    /// Nothing is open yet.
    fn closed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, inbox) = sync_channel(16);
        let path = folder.path().join("made/f2b.sqlite3");
        let recorder = Recorder::new(path, None, sender, log(folder.path()));
        Self {
            folder,
            recorder,
            inbox,
        }
    }

    /// The file is open and holds the jail and one ban.
    fn open() -> Self {
        let mut desk = Self::closed();
        desk.write(vec![enabled(), ban("192.0.2.1")]);
        assert_eq!(desk.stored(), ["192.0.2.1"]);
        desk
    }

    fn write(&mut self, saves: Vec<Save>) {
        self.recorder.take(saves);
        self.recorder.write();
    }

    fn path(&self) -> PathBuf {
        self.recorder.path.clone()
    }

    fn log(&self) -> String {
        self.recorder.log.flush();
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What a program that looks into the file at the path finds: no ban counts
    /// whose jail is not there and at work.
    fn stored(&self) -> Vec<String> {
        Connection::open(self.path())
            .unwrap()
            .prepare("SELECT ip FROM bips, jails WHERE jail = name AND enabled = 1 ORDER BY ip")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Another program at the file.
    fn other(&self, sql: &str) -> Connection {
        let other = Connection::open(self.path()).unwrap();
        other.execute_batch(sql).unwrap();
        other
    }

    fn aside(&self) -> usize {
        fs::read_dir(self.folder.path().join("made"))
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with("f2b.sqlite3.")
            })
            .count()
    }
}

fn log(folder: &Path) -> Log {
    Log::open(&Target::File(folder.join("log")), Level::Info).unwrap()
}

fn jail() -> JailName {
    "sshd".parse().unwrap()
}

fn enabled() -> Save {
    Save::Jail {
        jail: jail(),
        enabled: true,
    }
}

fn new_ban(id: &str) -> Ban {
    Ban {
        id: FailId::parse(id),
        time: clock::now(),
        bantime: BanTime::For(600),
        count: 1,
        ticket: Ticket::default(),
        restored: false,
    }
}

fn ban(id: &str) -> Save {
    Save::Ban {
        jail: jail(),
        ban: new_ban(id),
    }
}

#[test]
fn a_file_that_was_deleted_or_moved_is_made_anew() {
    for moved in [false, true] {
        let mut desk = Desk::open();
        if moved {
            fs::rename(desk.path(), desk.folder.path().join("elsewhere")).unwrap();
        } else {
            fs::remove_file(desk.path()).unwrap();
        }
        desk.write(vec![ban("192.0.2.2")]);
        assert_eq!(desk.stored(), ["192.0.2.2"], "{}", desk.log());
        assert!(desk.log().contains("ERROR"), "{}", desk.log());
    }
}

#[test]
fn a_file_put_in_its_place_is_written_with_the_jails_at_work_alone() {
    let mut desk = Desk::open();
    let mut backup = Desk::open();
    backup.other("INSERT INTO jails VALUES('gone', 1)");
    backup.recorder.store = None;
    fs::rename(backup.path(), desk.path()).unwrap();
    desk.write(vec![ban("192.0.2.2")]);
    assert_eq!(desk.stored(), ["192.0.2.1", "192.0.2.2"]);
    let gone = "SELECT enabled FROM jails WHERE name = 'gone'";
    let gone: i64 = desk
        .other("")
        .query_row(gone, [], |row| row.get(0))
        .unwrap();
    assert_eq!(gone, 0);
}

#[test]
fn a_file_that_is_damaged_while_it_is_open_is_set_aside() {
    let mut desk = Desk::open();
    let size = fs::metadata(desk.path()).unwrap().len();
    fs::write(desk.path(), "#".repeat(usize::try_from(size).unwrap())).unwrap();
    desk.write(vec![ban("192.0.2.2")]);
    assert_eq!(desk.stored(), ["192.0.2.2"], "{}", desk.log());
    assert_eq!(desk.aside(), 1);
    let outcome = "what was stored before may be missing";
    assert!(desk.log().contains(outcome), "{}", desk.log());
}

#[test]
fn a_file_that_opens_and_is_damaged_inside_is_set_aside() {
    for table in ["bips", "bans", "jails"] {
        let mut desk = Desk::open();
        let (root, page): (u64, u64) = {
            let other = desk.other("");
            let root = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?1";
            let number = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0).map(i64::unsigned_abs);
            (
                other.query_row(root, [table], number).unwrap(),
                other.query_row("PRAGMA page_size", [], number).unwrap(),
            )
        };
        // As a bad disk would: the file is closed, and opened again damaged.
        desk.recorder.store = None;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(desk.path())
            .unwrap();
        file.seek(SeekFrom::Start((root - 1) * page)).unwrap();
        file.write_all(&vec![0xff; usize::try_from(page).unwrap()])
            .unwrap();
        desk.write(vec![ban("192.0.2.2")]);
        assert_eq!(desk.stored(), ["192.0.2.2"], "{table}: {}", desk.log());
        assert_eq!(desk.aside(), 1, "{table}");
    }
}

#[test]
fn rows_that_others_deleted_or_refuse_do_not_stop_the_rest() {
    let mut desk = Desk::open();
    desk.other(
        "PRAGMA foreign_keys = OFF; DELETE FROM jails; \
         CREATE TRIGGER no BEFORE INSERT ON bips WHEN NEW.ip = '192.0.2.2' \
         BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    desk.write(["192.0.2.2", "192.0.2.3"].map(ban).to_vec());
    assert_eq!(desk.stored(), ["192.0.2.1", "192.0.2.3"], "{}", desk.log());
    assert!(desk.recorder.backlog.is_empty());
    let log = desk.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    let [one] = told[..] else { panic!("{log}") };
    assert!(one.contains("the ban of 192.0.2.2 in jail 'sshd' is refused (not this one)"));
}

#[test]
fn what_is_lost_at_the_end_is_told() {
    let mut desk = Desk::closed();
    fs::write(desk.folder.path().join("made"), "a file, not a folder").unwrap();
    let (queue, records) = channel();
    queue
        .send(Record::Write(1, vec![enabled(), ban("192.0.2.1")]))
        .unwrap();
    drop(queue);
    desk.recorder.run(&records);
    let log = desk.log();
    assert_eq!(log.matches("2 change(s) are lost").count(), 1, "{log}");

    let mut desk = Desk::open();
    desk.recorder.finish();
    assert!(!desk.log().contains("lost;"), "{}", desk.log());
}

#[test]
fn when_too_many_wait_the_oldest_go_but_no_jail() {
    let mut desk = Desk::closed();
    let position = |offset| Save::Position {
        jail: jail(),
        position: LogPosition {
            log: String::new(),
            mark: String::new(),
            offset,
        },
    };
    let surplus = 5;
    let count = i64::try_from(BACKLOG).unwrap() + surplus - 1;
    let saves = std::iter::once(enabled()).chain((0..count).map(position));
    desk.recorder.take(saves.collect());
    desk.recorder.bound();
    let backlog = &desk.recorder.backlog;
    assert_eq!(backlog.len(), BACKLOG);
    assert_eq!(backlog[0], enabled());
    assert_eq!(backlog[1], position(surplus));
    // Told at the first and at each doubling.
    for offset in 0..5 {
        desk.recorder.take(vec![position(offset)]);
        desk.recorder.bound();
    }
    let log = desk.log();
    assert_eq!(log.matches("change(s) given up").count(), 2, "{log}");
}

#[test]
fn what_is_queued_is_written_even_when_nobody_is_left_to_tell() {
    let mut desk = Desk::open();
    // Nobody takes a message, so the recorder stands where it tells of the first
    // record when the second is queued.
    let (sender, inbox) = sync_channel(0);
    desk.recorder.inbox = sender;
    let (queue, records) = channel();
    queue
        .send(Record::Write(1, vec![ban("192.0.2.2")]))
        .unwrap();
    let mut recorder = std::mem::replace(&mut desk.recorder, Desk::closed().recorder);
    desk.recorder.path.clone_from(&recorder.path);
    thread::scope(|scope| {
        scope.spawn(move || recorder.run(&records));
        while desk.stored().len() < 2 {
            thread::yield_now();
        }
        queue
            .send(Record::Write(2, vec![ban("192.0.2.3")]))
            .unwrap();
        drop(inbox);
        drop(queue);
    });
    assert_eq!(desk.stored(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
}

#[test]
fn bans_that_could_not_be_read_at_the_start_are_sent_later_without_those_lifted() {
    let earlier = {
        let mut desk = Desk::open();
        desk.write(vec![ban("192.0.2.2")]);
        desk
    };
    let mut desk = Desk::closed();
    desk.recorder.path = earlier.path();
    desk.recorder.unread = vec![(jail(), BanTime::For(600))];
    drop(earlier.recorder);
    let (queue, records) = channel();
    let lifted = Save::Forget {
        jail: jail(),
        id: FailId::parse("192.0.2.1"),
    };
    queue
        .send(Record::Write(7, vec![enabled(), lifted]))
        .unwrap();
    drop(queue);
    desk.recorder.run(&records);
    assert!(matches!(desk.inbox.try_recv(), Ok(Message::Committed(7))));
    let Ok(Message::Stored(jails)) = desk.inbox.try_recv() else {
        panic!("{}", desk.log())
    };
    let ids: Vec<String> = jails
        .iter()
        .flat_map(|(_, bans)| bans)
        .map(|ban| ban.id.to_string())
        .collect();
    assert_eq!(
        (jails[0].0.clone(), ids),
        (jail(), vec!["192.0.2.2".into()])
    );
    assert!(desk.inbox.try_recv().is_err());
    drop(earlier.folder);
}

#[test]
fn bans_read_late_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, messages) = sync_channel(16);
    let conduct = Conduct {
        dry: true,
        needs_commands: true,
        own: Level::Info,
    };
    let (facts, log) = (Facts::default(), log(folder.path()));
    let crew = Crew::new(inbox.clone(), log.clone(), conduct, None, facts.clone());
    let database = Database::new(inbox.clone(), log.clone());
    let inquiries = Inquiries::new(inbox.clone(), facts, log.clone());
    let mut engine = Engine::new();
    let now: Timestamp = clock::now();
    engine.add_jail(now, JailSettings::new(jail()), &mut Vec::new());
    let mut main_loop = MainLoop::new(engine, crew, database, inquiries, log);
    let bans = vec![new_ban("192.0.2.1"), new_ban("192.0.2.2")];
    inbox.send(Message::Stored(vec![(jail(), bans)])).unwrap();
    inbox.send(Message::Stop).unwrap();
    main_loop.run(&messages);
    assert_eq!(main_loop.engine.ban_count(&jail()), 2);
}

#[test]
fn when_too_much_text_waits_bans_are_kept_without_their_lines() {
    let mut desk = Desk::closed();
    let line = Match::new("", "", &"x".repeat(8 << 10));
    let long = |number: usize| {
        let mut ban = new_ban(&format!("10.0.{}.{}", number >> 8, number & 255));
        ban.ticket.matches = vec![line.clone()];
        Save::Ban { jail: jail(), ban }
    };
    let most = load::MAX_TEXT / line.after.len();
    let first = (0..most + 3)
        .map(|number| {
            let mut saves = vec![long(number)];
            let first = desk.recorder.load.enter(&mut saves);
            desk.recorder.take(saves);
            first
        })
        .filter(|first| *first)
        .count();
    assert_eq!(first, 1);
    let with_lines = |desk: &Desk| {
        let lines =
            |save: &&Save| matches!(save, Save::Ban { ban, .. } if !ban.ticket.matches.is_empty());
        desk.recorder.backlog.iter().filter(lines).count()
    };
    assert_eq!(with_lines(&desk), most);
    desk.recorder.take(vec![enabled()]);
    desk.recorder.write();
    assert_eq!(desk.stored().len(), most + 3);
    let told = "3 change(s) are written without their matched lines";
    assert_eq!(desk.log().matches(told).count(), 1);
    let mut saves = vec![long(0)];
    assert!(!desk.recorder.load.enter(&mut saves), "there is room again");
    desk.recorder.take(saves);
    assert_eq!(with_lines(&desk), 1);
}

#[test]
fn another_file_is_begun_while_the_recorder_of_the_first_waits_for_room() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody takes a message, and there is room for none.
    let (inbox, messages) = sync_channel(0);
    let mut database = Database::new(inbox, log(folder.path()));
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    database.open(Some(&paths[0])).unwrap();
    assert!(database.write(vec![enabled(), ban("192.0.2.1")]));
    database.open(Some(&paths[1])).unwrap();
    assert!(database.write(vec![enabled(), ban("192.0.2.2")]));
    // Back to the first, whose recorder is still at work.
    database.open(Some(&paths[0])).unwrap();
    assert!(database.write(vec![enabled(), ban("192.0.2.3")]));
    drop(messages);
    assert!(database.close());
    let stored = |path: &Path| -> Vec<String> {
        let db = Connection::open(path).unwrap();
        let mut rows = db.prepare("SELECT ip FROM bips ORDER BY ip").unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(stored(&paths[0]), ["192.0.2.1", "192.0.2.3"]);
    assert_eq!(stored(&paths[1]), ["192.0.2.2"]);
}
