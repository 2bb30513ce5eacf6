//! Files that are written, rotated, cut, removed and replaced, and what comes out.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    Batch, Change, FileTail, LINE_CAP, LogSource, Note, Position, Start, Turn, Wait, Waker,
};

/// A log in a directory of its own, and what follows it.
struct Log {
    dir: TempDir,
    path: PathBuf,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            path: dir.path().join("log"),
            dir,
        }
    }

    fn with(text: &str) -> Self {
        let log = Self::new();
        append(&log.path, text);
        log
    }

    fn tail(&self, start: Start) -> FileTail {
        FileTail::open(&self.path, start, Waker::new().unwrap()).unwrap()
    }

    fn other(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn only_a_file_has_a_mark_and_nobody_waits_for_whoever_writes_to_a_pipe() {
    let pipe = Log::new();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe.path, kind, mode, 0).unwrap();
    let (sender, mark) = std::sync::mpsc::channel();
    let path = pipe.path.clone();
    let asks = std::thread::Builder::new();
    let asks = asks
        .spawn(move || drop(sender.send(super::mark(&path))))
        .unwrap();
    let mark = mark.recv_timeout(Duration::from_secs(5));
    // Whoever waits all the same is let go.
    let both_ends = OpenOptions::new().read(true).write(true).open(&pipe.path);
    asks.join().unwrap();
    drop(both_ends);
    assert_eq!(mark, Ok(None));
    assert!(super::mark(&Log::with("first\n").path).is_some());
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_ref()).unwrap();
}

/// Everything there is to read now.
#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    /// The lines that were read as new ones.
    live: Vec<String>,
    notes: Vec<Note>,
    position: Option<Position>,
}

fn drain(tail: &mut FileTail) -> Seen {
    let (mut seen, mut batch) = (Seen::default(), Batch::new());
    let mut idle = 0;
    // A turn that reads much and finishes nothing is idle too.
    while idle < 2 {
        match tail.next(&mut batch, Wait::No).unwrap() {
            Turn::Ready => idle = 0,
            Turn::Idle => idle += 1,
            Turn::Woken => panic!("nobody pulled the waker"),
        }
        let lines: Vec<String> = batch.lines().map(|line| line.text.to_owned()).collect();
        if batch.live {
            seen.live.extend(lines.clone());
        }
        seen.lines.extend(lines);
        seen.notes.append(&mut batch.notes);
        seen.position = batch.position.take().or(seen.position);
    }
    seen
}

fn lines(tail: &mut FileTail) -> Vec<String> {
    drain(tail).lines
}

fn names(notes: &[Note]) -> Vec<&'static str> {
    notes
        .iter()
        .map(|note| match note {
            Note::Opened { .. } => "opened",
            Note::Missing => "missing",
            Note::Appeared => "appeared",
            Note::Vanished => "vanished",
            Note::Rotated {
                change: Change::Replaced,
                ..
            } => "replaced",
            Note::Rotated {
                change: Change::Truncated,
                ..
            } => "truncated",
            Note::Missed { .. } => "missed",
            Note::Unreadable(_) => "unreadable",
            Note::Unwatched(_) => "unwatched",
            Note::Undecodable { .. } => "undecodable",
            Note::TooLong { .. } => "too long",
            Note::Reopened(_) => "reopened",
            Note::CaughtUp => "caught up",
        })
        .collect()
}

#[test]
fn what_is_there_at_start_is_not_live_and_what_follows_is() {
    let log = Log::with("a\nb\n");
    let mut tail = log.tail(Start::Beginning);
    let seen = drain(&mut tail);
    assert_eq!(
        (seen.lines, seen.live),
        (vec!["a".into(), "b".into()], vec![])
    );
    assert_eq!(names(&seen.notes), ["opened", "caught up"]);
    append(&log.path, "c\n");
    assert_eq!(drain(&mut tail).live, ["c"]);
}

#[test]
fn an_incomplete_line_waits_for_its_end() {
    let log = Log::with("a\nb");
    let mut tail = log.tail(Start::Beginning);
    let seen = drain(&mut tail);
    assert_eq!(seen.lines, ["a"]);
    assert_eq!(seen.position.unwrap().offset, 2);
    append(&log.path, "b");
    assert!(lines(&mut tail).is_empty());
    append(&log.path, "b\nc\n");
    assert_eq!(lines(&mut tail), ["bbb", "c"]);
}

#[test]
fn reading_goes_on_where_the_stored_position_says_if_it_is_the_same_file() {
    let hash = "0000000000000000000000000000000000000000";
    let log = Log::with("first\nsecond\nthird\n");
    let real = drain(&mut log.tail(Start::Beginning)).position.unwrap();
    assert_eq!(real.path, log.path.to_str().unwrap());
    assert_eq!((real.hash.len(), real.offset), (40, 19));
    let cases = [
        // hash, offset, first line read
        (real.hash.as_str(), 6, Some("second")),
        (real.hash.as_str(), 19, None),
        (real.hash.as_str(), 0, Some("first")),
        (real.hash.as_str(), 20, Some("first")),
        (real.hash.as_str(), 8, Some("first")),
        (real.hash.as_str(), -1, Some("first")),
        (real.hash.as_str(), i64::MAX, Some("first")),
        (hash, 6, Some("first")),
        ("", 6, Some("first")),
    ];
    for (hash, offset, expected) in cases {
        let stored = Position {
            hash: hash.into(),
            offset,
            ..real.clone()
        };
        for start in [Start::After(stored.clone()), Start::On(stored)] {
            let seen = lines(&mut log.tail(start));
            let first = seen.first().map(String::as_str);
            assert_eq!(first, expected, "{hash} {offset}");
        }
    }
}

#[test]
fn the_hash_is_sha_1_of_the_first_line_and_its_newline() {
    let log = Log::with("abc\ndef\n");
    let position = drain(&mut log.tail(Start::Beginning)).position.unwrap();
    assert_eq!(position.hash, "03cfd743661f07975fa2f1220c5194cbaff48451");
}

#[test]
fn a_file_written_anew_before_it_was_read_has_the_hash_of_its_new_first_line() {
    let log = Log::with("abc\n");
    let fresh = drain(&mut log.tail(Start::Beginning)).position;
    fs::write(&log.path, "old\n").unwrap();
    let mut tail = log.tail(Start::Beginning);
    fs::write(&log.path, "abc\n").unwrap();
    assert_eq!(drain(&mut tail).position, fresh);
}

#[test]
fn tail_starts_behind_the_last_complete_line() {
    let log = Log::with("a\nb\nhalf");
    let mut tail = log.tail(Start::End);
    assert!(lines(&mut tail).is_empty());
    append(&log.path, " line\n");
    assert_eq!(drain(&mut tail).live, ["half line"]);
    fs::remove_file(&log.path).unwrap();
    let mut tail = log.tail(Start::End);
    append(&log.path, "new\n");
    assert_eq!(drain(&mut tail).live, ["new"]);
}

#[test]
fn old_lines_are_passed_over_and_no_newer_one_is() {
    let text: String = (0..40_000)
        .map(|n| format!("{n} {}\n", "x".repeat(n % 90)))
        .collect();
    for limit in [0, 1, 777, 20_000, 39_998, 40_000] {
        let log = Log::with(&text);
        let mut tail = log.tail(Start::Beginning);
        let asked = Cell::new(0);
        let mut is_old = |line: &str| {
            asked.set(asked.get() + 1);
            let number: usize = line.split(' ').next()?.parse().ok()?;
            // Every third line has no date.
            (!number.is_multiple_of(3)).then_some(number < limit)
        };
        tail.skip_old(u64::MAX, &mut is_old).unwrap();
        let seen = lines(&mut tail);
        let first: usize = seen[0].split(' ').next().unwrap().parse().unwrap();
        assert!(first <= limit && first + 3 >= limit, "{first} for {limit}");
        assert_eq!(seen.len(), 40_000 - first);
        assert!(asked.get() < 6000, "{} questions", asked.get());
    }
}

#[test]
fn of_a_short_log_just_the_old_lines_at_its_beginning_are_passed_over() {
    let cases = [
        // text: o is old, n is new, u has no date; lines read, and how many of them are live
        ("", "", ""),
        ("o\n", "", ""),
        ("o\no\no\n", "", ""),
        ("o\nu\no\nu\nn\nu\n", "unu", ""),
        ("u\nu\n", "uu", ""),
        ("u\no\nn\n", "n", ""),
        ("o\no\nn\no\no\no\no\n", "noooo", ""),
        ("n\no\n", "no", ""),
        ("o\r\no", "", "o"),
    ];
    for (text, expected, rest) in cases {
        let log = Log::with(text);
        let mut tail = log.tail(Start::Beginning);
        let mut is_old = |line: &str| (line != "u").then_some(line == "o");
        tail.skip_old(u64::MAX, &mut is_old).unwrap();
        let seen = drain(&mut tail);
        assert_eq!(seen.lines.concat(), expected, "{text:?}");
        assert!(seen.live.is_empty(), "{text:?}");
        assert_eq!(names(&seen.notes).contains(&"caught up"), !text.is_empty());
        append(&log.path, "\n");
        let live = if text.is_empty() {
            None
        } else {
            Some(rest.to_owned())
        };
        assert_eq!(drain(&mut tail).live, Vec::from_iter(live), "{text:?}");
    }
}

/// What is done to a log, by name.
fn meddle(log: &Log, what: &str) {
    match what {
        "nothing" => {}
        "replaced" => {
            fs::rename(&log.path, log.other("log.1")).unwrap();
            append(&log.path, "");
        }
        "removed" => fs::remove_file(&log.path).unwrap(),
        "cut" => drop(File::create(&log.path).unwrap()),
        text => append(&log.path, text),
    }
}

#[test]
fn until_something_was_read_what_comes_may_be_old() {
    let cases = [
        // at first, where to start, what happens then, and whether a line is live after that
        ("", "beginning", "nothing", false),
        ("", "beginning", "replaced", false),
        ("", "beginning", "removed", false),
        ("", "beginning", "part", true),
        ("", "beginning", "line\n", true),
        ("", "end", "nothing", true),
        ("", "end", "removed", true),
        ("a\n", "beginning", "nothing", true),
        ("a\n", "beginning", "replaced", true),
        ("a\n", "beginning", "removed", true),
        ("a\n", "end", "replaced", true),
        ("a\n", "after", "nothing", false),
        ("a\n", "after", "replaced", false),
        ("a\n", "after", "cut", false),
        ("a\n", "after", "line\n", true),
        ("a\n", "on", "nothing", true),
        ("a\n", "on", "replaced", true),
    ];
    for (text, start, what, live) in cases {
        let log = Log::with(text);
        let position = drain(&mut log.tail(Start::Beginning)).position;
        let mut tail = log.tail(match (start, position) {
            ("after", Some(position)) => Start::After(position),
            ("on", Some(position)) => Start::On(position),
            ("end", _) => Start::End,
            _ => Start::Beginning,
        });
        drain(&mut tail);
        meddle(&log, what);
        drain(&mut tail);
        append(&log.path, "b\n");
        let seen = drain(&mut tail);
        let case = format!("{text:?}, from {start}, {what:?}");
        assert_eq!(seen.lines.len(), 1, "{case}");
        assert_eq!(!seen.live.is_empty(), live, "{case}");
        append(&log.path, "c\n");
        assert_eq!(drain(&mut tail).live, ["c"], "{case}");
    }
}

#[test]
fn no_old_line_is_passed_over_that_came_after_the_start() {
    let cases = [
        (0, 3),
        (1, 3),
        (2, 2),
        (3, 2),
        (4, 1),
        (5, 1),
        (6, 0),
        (7, 0),
    ];
    for (end, expected) in cases {
        let log = Log::with("o\no\no\n");
        let mut tail = log.tail(Start::Beginning);
        tail.skip_old(end, &mut |_| Some(true)).unwrap();
        assert_eq!(lines(&mut tail).len(), expected, "{end}");
    }
}

#[test]
fn a_log_without_dates_is_read_from_its_start() {
    let log = Log::with(&"no date\n".repeat(100_000));
    let mut tail = log.tail(Start::Beginning);
    tail.skip_old(u64::MAX, &mut |_| None).unwrap();
    assert_eq!(lines(&mut tail).len(), 100_000);
}

#[test]
fn rotation_reads_the_rest_of_the_old_file_first_and_its_late_lines_too() {
    let log = Log::with("a\n");
    let mut tail = log.tail(Start::Beginning);
    drain(&mut tail);
    append(&log.path, "b\n");
    fs::rename(&log.path, log.other("log.1")).unwrap();
    append(&log.other("log.1"), "c\n");
    append(&log.path, "d\n");
    let seen = drain(&mut tail);
    assert_eq!(seen.live, ["b", "c", "d"]);
    assert_eq!(names(&seen.notes), ["replaced"]);
    append(&log.other("log.1"), "late\n");
    append(&log.path, "e\n");
    assert_eq!(drain(&mut tail).live, ["late", "e"]);
}

#[test]
fn a_file_rotated_away_before_it_was_ever_open_is_found() {
    let log = Log::with("a\n");
    let mut tail = log.tail(Start::Beginning);
    drain(&mut tail);
    for text in ["b\n", "c\n", "d\n"] {
        fs::rename(log.other("log.1"), log.other("log.2")).ok();
        fs::rename(&log.path, log.other("log.1")).unwrap();
        append(&log.path, text);
    }
    // "a" was log.2 and is overwritten; it had been read.
    assert_eq!(drain(&mut tail).live, ["b", "c", "d"]);
}

#[test]
fn a_file_written_anew_in_place_is_read_from_its_start() {
    let cases = [
        "",
        "x\n",
        "new\nbbb\n",
        "one much longer than before\nand more\n",
    ];
    for text in cases {
        let log = Log::with("a\nbbb\nccc");
        let mut tail = log.tail(Start::Beginning);
        drain(&mut tail);
        File::create(&log.path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let seen = drain(&mut tail);
        assert_eq!(seen.lines, text.lines().collect::<Vec<_>>(), "{text:?}");
        assert_eq!(names(&seen.notes), ["truncated"], "{text:?}");
    }
}

#[test]
fn the_hole_that_cutting_a_file_under_its_writer_leaves_is_not_a_line() {
    let log = Log::new();
    let mut writer = File::create(&log.path).unwrap();
    writer
        .write_all(&[b"before\n".repeat(1 << 18).as_slice()].concat())
        .unwrap();
    let mut tail = log.tail(Start::End);
    drain(&mut tail);
    File::create(&log.path).unwrap();
    let at = writer.stream_position().unwrap() / 4096 * 4096;
    writer.seek(SeekFrom::Start(at)).unwrap();
    writer.write_all(b"after\n").unwrap();
    assert_eq!(lines(&mut tail), ["after"]);
}

#[test]
fn an_edited_copy_in_its_place_is_not_read_again() {
    let log = Log::with("a\nb\nc");
    let mut tail = log.tail(Start::Beginning);
    drain(&mut tail);
    fs::write(log.other("copy"), "a\nb\ncc\nd\n").unwrap();
    fs::rename(log.other("copy"), &log.path).unwrap();
    assert_eq!(lines(&mut tail), ["cc", "d"]);
}

#[test]
fn a_missing_file_is_waited_for_even_if_its_directories_are_missing_too() {
    let log = Log::new();
    let path = log.other("x/y/z/log");
    let mut tail = FileTail::open(&path, Start::Beginning, Waker::new().unwrap()).unwrap();
    assert_eq!(names(&drain(&mut tail).notes), ["missing"]);
    fs::create_dir(log.other("x")).unwrap();
    assert!(drain(&mut tail).notes.is_empty());
    fs::create_dir_all(log.other("x/y/z")).unwrap();
    assert!(drain(&mut tail).notes.is_empty());
    append(&path, "a\n");
    let seen = drain(&mut tail);
    assert_eq!(seen.lines, ["a"]);
    assert_eq!(names(&seen.notes), ["appeared", "opened", "caught up"]);
}

#[test]
fn a_directory_may_be_removed_moved_and_made_again() {
    let log = Log::new();
    let (dir, path) = (log.other("d"), log.other("d/log"));
    fs::create_dir(&dir).unwrap();
    append(&path, "a\n");
    // A writer that keeps the removed file open.
    let _writer = OpenOptions::new().append(true).open(&path).unwrap();
    let mut tail = FileTail::open(&path, Start::Beginning, Waker::new().unwrap()).unwrap();
    drain(&mut tail);
    fs::remove_file(&path).unwrap();
    assert_eq!(names(&drain(&mut tail).notes), ["vanished"]);
    fs::remove_dir(&dir).unwrap();
    drain(&mut tail);
    fs::create_dir(&dir).unwrap();
    append(&path, "b\n");
    assert_eq!(lines(&mut tail), ["b"]);

    fs::rename(&dir, log.other("e")).unwrap();
    append(&log.other("e/log"), "c\n");
    fs::create_dir(&dir).unwrap();
    append(&path, "d\n");
    assert_eq!(lines(&mut tail), ["c", "d"]);
}

#[test]
fn a_directory_above_may_be_moved() {
    let log = Log::new();
    fs::create_dir_all(log.other("a/b/c")).unwrap();
    append(&log.other("a/b/c/log"), "old\n");
    let path = log.other("a/b/c/log");
    let mut tail = FileTail::open(&path, Start::End, Waker::new().unwrap()).unwrap();
    drain(&mut tail);
    fs::rename(log.other("a"), log.other("z")).unwrap();
    fs::create_dir_all(log.other("a/b/c")).unwrap();
    append(&path, "new\n");
    assert_eq!(lines(&mut tail), ["new"]);
}

#[test]
fn symbolic_links_are_followed_wherever_they_lead() {
    let log = Log::new();
    fs::create_dir_all(log.other("real")).unwrap();
    append(&log.other("real/one"), "1\n");
    append(&log.other("real/two"), "2\n");
    symlink("real", log.other("dir")).unwrap();
    symlink(log.other("dir/one"), &log.path).unwrap();
    let mut tail = log.tail(Start::Beginning);
    assert_eq!(lines(&mut tail), ["1"]);

    // The link leads to another file.
    symlink(log.other("dir/two"), log.other("new")).unwrap();
    fs::rename(log.other("new"), &log.path).unwrap();
    assert_eq!(lines(&mut tail), ["2"]);

    // What it leads to is rotated where it is.
    fs::rename(log.other("real/two"), log.other("real/two.1")).unwrap();
    drain(&mut tail);
    append(&log.other("real/two"), "3\n");
    assert_eq!(lines(&mut tail), ["3"]);

    // A directory on the way is a link, and leads elsewhere.
    fs::create_dir_all(log.other("other")).unwrap();
    append(&log.other("other/two"), "4\n");
    symlink("other", log.other("newdir")).unwrap();
    fs::rename(log.other("newdir"), log.other("dir")).unwrap();
    assert_eq!(lines(&mut tail), ["4"]);
}

#[test]
fn what_is_no_file_is_told_once_and_tried_again() {
    let log = Log::new();
    fs::create_dir(&log.path).unwrap();
    let mut tail = log.tail(Start::Beginning);
    assert_eq!(names(&drain(&mut tail).notes), ["unreadable"]);
    append(&log.path.join("inside"), "x\n");
    fs::set_permissions(&log.path, fs::metadata(&log.path).unwrap().permissions()).unwrap();
    assert!(drain(&mut tail).notes.is_empty());
    fs::remove_dir_all(&log.path).unwrap();
    append(&log.path, "a\n");
    assert_eq!(lines(&mut tail), ["a"]);
    fs::remove_file(&log.path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &log.path,
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert_eq!(names(&drain(&mut tail).notes), ["unreadable"]);
}

#[test]
fn a_full_queue_of_events_loses_no_line() {
    let log = Log::with("a\n");
    let mut tail = log.tail(Start::Beginning);
    drain(&mut tail);
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    for n in 0..limit.trim().parse().unwrap_or(16_384) / 2 + 10 {
        let path = log.other(if n % 2 == 0 { "even" } else { "odd" });
        File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
    }
    append(&log.path, "b\n");
    fs::rename(&log.path, log.other("log.1")).unwrap();
    append(&log.path, "c\n");
    assert_eq!(lines(&mut tail), ["b", "c"]);
}

#[test]
fn a_line_beyond_the_cap_is_cut_and_told_and_the_next_one_is_whole() {
    for over in [0, 1, 3 * LINE_CAP] {
        let log = Log::with("first\n");
        let long = "x".repeat(LINE_CAP + over);
        append(&log.path, format!("{long}\nnext\n"));
        let seen = drain(&mut log.tail(Start::Beginning));
        assert_eq!(seen.lines.len(), 3);
        assert_eq!(
            (seen.lines[1].len(), seen.lines[2].as_str()),
            (LINE_CAP, "next")
        );
        let told: Vec<u64> = seen
            .notes
            .iter()
            .filter_map(|note| match note {
                Note::TooLong { bytes } => Some(*bytes),
                _ => None,
            })
            .collect();
        let expected: &[u64] = if over == 0 {
            &[]
        } else {
            &[u64::try_from(long.len()).unwrap()]
        };
        assert_eq!(told, expected);
        assert_eq!(
            seen.position.unwrap().offset,
            i64::try_from(long.len() + 12).unwrap()
        );
    }
}

#[test]
fn no_file_is_held_open_that_nobody_can_reach_or_writes() {
    let log = Log::with("a\n");
    let open = || {
        let dir = log.dir.path();
        let fds = fs::read_dir("/proc/self/fd").unwrap();
        fds.flatten()
            .filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(dir)))
            .count()
    };
    let mut tail = log.tail(Start::Beginning);
    for n in 0..10 {
        drain(&mut tail);
        append(&log.path, "x\n");
        fs::rename(&log.path, log.other(&format!("log.{n}"))).unwrap();
        append(&log.path, "y\n");
    }
    drain(&mut tail);
    assert!(open() <= 4, "{}", open());
    // As when rotated logs are compressed.
    for n in 0..10 {
        fs::remove_file(log.other(&format!("log.{n}"))).unwrap();
    }
    drain(&mut tail);
    assert_eq!(open(), 1);
    fs::remove_file(&log.path).unwrap();
    drain(&mut tail);
    assert_eq!(open(), 0);
}

#[test]
fn a_removed_file_is_read_on_while_its_writer_has_it_open() {
    let log = Log::with("a\n");
    let mut tail = log.tail(Start::Beginning);
    drain(&mut tail);
    let mut writer = OpenOptions::new().append(true).open(&log.path).unwrap();
    writer.write_all(b"b\n").unwrap();
    fs::remove_file(&log.path).unwrap();
    assert_eq!(lines(&mut tail), ["b"]);
    writer.write_all(b"c\n").unwrap();
    assert_eq!(lines(&mut tail), ["c"]);
    append(&log.path, "d\n");
    writer.write_all(b"late\n").unwrap();
    drop(writer);
    assert_eq!(lines(&mut tail), ["late", "d"]);
}

#[test]
fn waiting_ends_with_a_line_a_pull_or_the_deadline() {
    let log = Log::with("");
    let waker = Waker::new().unwrap();
    let mut tail = FileTail::open(&log.path, Start::End, waker.clone()).unwrap();
    let mut batch = Batch::new();
    while tail.next(&mut batch, Wait::No).unwrap() == Turn::Ready {}
    let short = Wait::AtMost(Duration::from_millis(1));
    assert_eq!(tail.next(&mut batch, short).unwrap(), Turn::Idle);
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        scope.spawn(move || {
            loop {
                let turn = tail.next(&mut batch, Wait::Forever).unwrap();
                if turn != Turn::Idle {
                    send.send((turn, batch.text().to_owned())).unwrap();
                }
                if turn == Turn::Woken {
                    break;
                }
            }
        });
        append(&log.path, "a\n");
        assert_eq!(receive.recv().unwrap(), (Turn::Ready, "a\n".into()));
        waker.wake();
        assert_eq!(receive.recv().unwrap(), (Turn::Woken, String::new()));
    });
}

#[test]
fn a_busy_writer_that_rotates_its_log_all_the_time_loses_no_line() {
    const FILES: usize = 300;
    const LINES: usize = 50;
    // So many files we may lie behind: more than that are not followed.
    const BEHIND: usize = 8;
    // If lines are lost, the writer's patience ends too, and the test fails.
    const PATIENCE: Duration = Duration::from_secs(20);
    let (count, more) = (Mutex::new(0), Condvar::new());
    let log = Log::with("");
    let waker = Waker::new().unwrap();
    let mut tail = FileTail::open(&log.path, Start::Beginning, waker.clone()).unwrap();
    let (mut batch, mut seen) = (Batch::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..FILES {
                let behind = |count: &mut usize| *count + BEHIND * LINES < number * LINES;
                let count = count.lock().unwrap();
                let waited = more.wait_timeout_while(count, PATIENCE, behind).unwrap();
                assert!(!waited.1.timed_out(), "lines are lost");
                drop(waited);
                let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
                for line in 0..LINES {
                    if line == LINES - 5 {
                        // The writer is told of it a little later.
                        let old = log.other(&format!("log.{number}"));
                        fs::rename(&log.path, old).unwrap();
                        File::create(&log.path).unwrap();
                    }
                    writeln!(file, "{}", number * LINES + line).unwrap();
                }
            }
            waker.wake();
        });
        loop {
            let turn = tail.next(&mut batch, Wait::Forever).unwrap();
            seen.extend(batch.lines().map(|line| line.text.to_owned()));
            *count.lock().unwrap() = seen.len();
            more.notify_one();
            if turn == Turn::Woken {
                break;
            }
        }
    });
    seen.extend(lines(&mut tail));
    let mut numbers: Vec<usize> = seen.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(0..FILES * LINES),
        "{} lines",
        numbers.len()
    );
}

/// What can happen to a log.
#[derive(Clone, Debug)]
enum Op {
    /// So many more bytes of the writer's text.
    Write(usize),
    /// A line into the file that was rotated away last.
    Late,
    /// Renamed away, the older ones further, the oldest overwritten.
    Rotate {
        create: bool,
    },
    /// Cut to nothing in place.
    Truncate,
    Delete,
    /// Replaced by a copy.
    Copy,
    /// The whole directory is moved away, and made again.
    MoveDir,
    /// The tail reads all there is.
    Read,
    /// The tail is dropped, and another one goes on at its last position.
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (1usize..40).prop_map(Op::Write),
        1 => (1usize..3000).prop_map(Op::Write),
        2 => Just(Op::Late),
        2 => any::<bool>().prop_map(|create| Op::Rotate { create }),
        1 => Just(Op::Truncate),
        1 => Just(Op::Delete),
        1 => Just(Op::Copy),
        1 => Just(Op::MoveDir),
        6 => Just(Op::Read),
        1 => Just(Op::Restart),
    ]
}

/// One file that was once at the log's path.
#[derive(Debug, Default)]
struct Generation {
    content: Vec<u8>,
    /// Bytes up to the last line that came out.
    out: usize,
    /// The tail has it open, or can still find it.
    known: bool,
    /// Where it is now.
    path: Option<PathBuf>,
    /// All of it stands in the next one too.
    copied: bool,
    /// The tail that came after a restart does not know it.
    lost: bool,
}

impl Generation {
    fn lines(&mut self) -> Vec<String> {
        let fresh = &self.content[self.out..];
        let end = fresh
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        self.out += end;
        String::from_utf8_lossy(&fresh[..end])
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// The log as it should be understood.
struct Model {
    root: TempDir,
    files: Vec<Generation>,
    /// The writer's text so far; each word in it is unique.
    words: usize,
    text: Vec<u8>,
}

impl Model {
    const KEPT: usize = 3;

    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        Self {
            root,
            files: Vec::new(),
            words: 0,
            text: Vec::new(),
        }
    }

    fn path(&self, number: usize) -> PathBuf {
        let name = if number == 0 {
            "log".to_owned()
        } else {
            format!("log.{number}")
        };
        self.root.path().join("d").join(name)
    }

    fn at(&mut self, path: &Path) -> Option<&mut Generation> {
        self.files
            .iter_mut()
            .find(|file| file.path.as_deref() == Some(path))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) {
        append(path, bytes);
        if self.at(path).is_none() {
            let path = Some(path.to_owned());
            self.files.push(Generation {
                path,
                ..Generation::default()
            });
        }
        self.at(path).unwrap().content.extend_from_slice(bytes);
    }

    fn words(&mut self, count: usize) -> Vec<u8> {
        while self.text.len() < count {
            self.words += 1;
            let end = if self.words.is_multiple_of(3) {
                '\n'
            } else {
                ' '
            };
            self.text
                .extend(format!("{}{end}", self.words).into_bytes());
        }
        self.text.drain(..count).collect()
    }

    /// No name leads there any more. What was never open is lost.
    fn unlink(&mut self, path: &Path) {
        if let Some(file) = self.at(path) {
            file.path = None;
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        if fs::rename(from, to).is_ok() {
            self.unlink(to);
            if let Some(file) = self.at(from) {
                file.path = Some(to.to_owned());
            }
        }
    }

    fn rotate(&mut self, create: bool) {
        if !self.path(0).exists() {
            return;
        }
        for number in (0..Self::KEPT).rev() {
            self.rename(&self.path(number), &self.path(number + 1));
        }
        if create {
            self.write(&self.path(0), b"");
        }
    }

    fn copy(&mut self) {
        let path = self.path(0);
        let Some(file) = self.at(&path) else { return };
        let (content, out, known) = (file.content.clone(), file.out, file.known);
        file.copied = true;
        file.path = None;
        fs::write(self.root.path().join("copy"), &content).unwrap();
        fs::rename(self.root.path().join("copy"), &path).unwrap();
        let out = if known { out } else { 0 };
        self.files.push(Generation {
            content,
            out,
            path: Some(path),
            ..Generation::default()
        });
    }

    /// What must come out now.
    fn read(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut copied = 0;
        for file in &mut self.files {
            file.known |= file.path.is_some();
            file.out = file.out.max(copied);
            if file.known && !file.lost {
                lines.extend(file.lines());
            }
            copied = if file.copied { file.out } else { 0 };
        }
        lines
    }

    fn apply(&mut self, op: &Op) {
        let path = self.path(0);
        match op {
            Op::Write(count) => {
                if self.at(&path).is_none_or(|file| file.content.is_empty()) {
                    // Or else two files could begin with the same end of a line.
                    self.text.clear();
                }
                let words = self.words(*count);
                self.write(&path, &words);
            }
            Op::Late => {
                if self.path(1).exists() {
                    self.words += 1;
                    let line = format!("late {}\n", self.words);
                    self.write(&self.path(1), line.as_bytes());
                }
            }
            Op::Rotate { create } => self.rotate(*create),
            Op::Truncate => {
                let at = self
                    .files
                    .iter()
                    .position(|file| file.path.as_ref() == Some(&path));
                if let Some(index) = at {
                    let file = &mut self.files[index];
                    (file.content, file.out) = (Vec::new(), 0);
                    File::create(&path).unwrap();
                    if let Some(before) = index.checked_sub(1) {
                        self.files[before].copied = false;
                    }
                }
            }
            Op::Delete => {
                fs::remove_file(&path).ok();
                self.unlink(&path);
            }
            Op::Copy => self.copy(),
            Op::MoveDir => {
                let dir = self.root.path().join("d");
                self.words += 1;
                fs::rename(&dir, self.root.path().join(format!("d{}", self.words))).unwrap();
                fs::create_dir(&dir).unwrap();
                self.files.iter_mut().for_each(|file| file.path = None);
            }
            Op::Restart => self.files.iter_mut().for_each(|file| {
                file.known = file.path.as_ref() == Some(&path);
                file.lost |= !file.known;
            }),
            Op::Read => {}
        }
    }
}

fn open_model(model: &Model, start: Start, polling: bool) -> FileTail {
    let mut tail = FileTail::open(&model.path(0), start, Waker::new().unwrap()).unwrap();
    if polling {
        tail.poll();
    }
    tail
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_a_log_each_line_comes_out_once_and_in_order(
        ops in prop::collection::vec(op(), 1..60),
        polling in any::<bool>(),
    ) {
        let mut model = Model::new();
        let mut tail = open_model(&model, Start::Beginning, polling);
        let mut position = None;
        for op in &ops {
            model.apply(op);
            match op {
                // What happens in the new directory before we look is not told to us.
                Op::Read | Op::MoveDir => {
                    let seen = drain(&mut tail);
                    prop_assert_eq!(seen.lines, model.read());
                    position = seen.position.or(position);
                }
                Op::Restart => {
                    let start = position.clone().map_or(Start::Beginning, Start::After);
                    tail = open_model(&model, start, polling);
                }
                _ => {}
            }
        }
        prop_assert_eq!(lines(&mut tail), model.read());
    }
}
