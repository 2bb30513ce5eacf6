use super::*;

use std::path::Path;

use tempfile::TempDir;

use crate::clock;
use crate::log::{Level, Target};

struct Scene {
    folder: TempDir,
    files: Files,
    start: Instant,
    read: usize,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Debug).unwrap();
        Self {
            files: Files::new(log),
            folder,
            start: clock::tick(),
            read: 0,
        }
    }

    fn path(&self) -> String {
        self.folder.path().join("list").display().to_string()
    }

    /// Puts another file in its place, so that no clock has to go on for it to differ.
    fn write(&self, text: &str) {
        let next = self.folder.path().join("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.path()).unwrap();
    }

    fn lists(&self, id: &str, milliseconds: u64) -> bool {
        let now = self.start + Duration::from_millis(milliseconds);
        self.files.list(&self.path(), &FailId::parse(id), now)
    }

    /// What was told since the last time, without times.
    fn told(&mut self) -> Vec<String> {
        self.files.log.flush();
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap();
        let new = text.get(self.read..).unwrap().lines();
        let new = new
            .map(|line| {
                line.split_once("fail2ban.")
                    .unwrap()
                    .1
                    .replace(&self.path(), "PATH")
            })
            .map(|line| {
                let (logger, rest) = line.split_once(' ').unwrap();
                format!("{logger} {}", rest.split_once("]: ").unwrap().1)
            })
            .collect();
        self.read = text.len();
        new
    }
}

const GONE: &str = "ipdns WARNING Retrieving IPs set from 'PATH' failed: [Errno 2] No such file or directory: 'PATH'";

#[test]
fn a_change_is_seen_after_a_second_and_not_looked_for_before() {
    let scene = Scene::new();
    scene.write("192.0.2.1");
    assert!(scene.lists("192.0.2.1", 0));
    scene.write("192.0.2.2");
    let cases = [
        ("192.0.2.1", 0, true),
        ("192.0.2.1", 999, true),
        ("192.0.2.1", 1000, false),
        ("192.0.2.2", 1001, true),
    ];
    for (id, at, expected) in cases {
        assert_eq!(scene.lists(id, at), expected, "{id} after {at} ms");
    }
}

#[test]
fn a_file_that_goes_is_told_once_a_minute_and_what_it_said_counts_on() {
    let mut scene = Scene::new();
    scene.write("192.0.2.1");
    assert!(scene.lists("192.0.2.1", 0));
    fs::remove_file(scene.path()).unwrap();
    assert_eq!(scene.told(), [""; 0]);
    for (at, told) in [(1000, 1), (1001, 0), (60_999, 0), (61_000, 1)] {
        assert!(scene.lists("192.0.2.1", at), "after {at} ms");
        assert_eq!(scene.told(), vec![GONE; told], "after {at} ms");
    }
    scene.write("192.0.2.2");
    assert!(!scene.lists("192.0.2.2", 120_999));
    assert!(scene.lists("192.0.2.2", 121_000));
    assert!(!scene.lists("192.0.2.1", 121_000));
}

#[test]
fn a_file_that_is_not_there_lists_nobody_until_it_comes() {
    let mut scene = Scene::new();
    assert!(!scene.lists("192.0.2.1", 0));
    assert_eq!(scene.told(), [GONE]);
    scene.write("192.0.2.1");
    assert!(!scene.lists("192.0.2.1", 59_999));
    assert!(scene.lists("192.0.2.1", 60_000));
}

#[test]
fn what_is_no_list_is_refused_with_a_word_why() {
    type Make = fn(&Path);
    let cases: [(&str, Make, &str); 3] = [
        (
            "a folder",
            |path| fs::create_dir(path).unwrap(),
            "it is no regular file; name one with addresses",
        ),
        (
            "a pipe without a writer",
            |path| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
            },
            "it is no regular file; name one with addresses",
        ),
        (
            "a gigabyte",
            |path| File::create(path).unwrap().set_len(1 << 30).unwrap(),
            "it is longer than 64 MiB; list networks instead",
        ),
    ];
    for (what, make, why) in cases {
        let mut scene = Scene::new();
        make(Path::new(&scene.path()));
        assert!(!scene.lists("192.0.2.1", 0), "{what}");
        let expected = format!("ipdns WARNING Retrieving IPs set from 'PATH' failed: {why}");
        assert_eq!(scene.told(), [expected], "{what}");
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused_too() {
    let scene = Scene::new();
    scene.write("192.0.2.1 192.0.2.2");
    let file = File::open(scene.path()).unwrap();
    let data = File::open("/dev/null").unwrap().metadata().unwrap();
    assert!(matches!(read_from(&file, &data, 10), Err(FileError::Large)));
}

#[test]
fn words_that_say_nothing_are_told_with_the_first_of_them() {
    let mut scene = Scene::new();
    fs::write(scene.path(), b"192.0.2.1 bob \xff\xfe 192.0.2.2").unwrap();
    assert!(scene.lists("192.0.2.2", 0));
    assert_eq!(
        scene.told(),
        ["ipdns WARNING IPs set from 'PATH': 2 word(s) are no addresses and left out, 'bob' first"]
    );
}

#[test]
fn a_hundred_thousand_addresses_are_read_once() {
    let mut scene = Scene::new();
    let lines: String = (0..100_000_u32)
        .map(|number| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)))
        .collect();
    scene.write(&lines);
    assert!(scene.lists("10.1.134.159", 0));
    assert!(!scene.lists("10.1.134.160", 1000));
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn files_that_nobody_asks_about_are_forgotten() {
    let scene = Scene::new();
    let now = |second| scene.start + Duration::from_secs(second);
    let id = FailId::parse("192.0.2.1");
    scene.files.list("/nonexistent/a", &id, now(0));
    scene.files.list("/nonexistent/b", &id, now(3599));
    scene.files.list("/nonexistent/c", &id, now(3600));
    let mut known: Vec<String> = lock(&scene.files.known).keys().cloned().collect();
    known.sort();
    assert_eq!(known, ["/nonexistent/b", "/nonexistent/c"]);
}
