//! Journals made with `systemd-journal-remote`, and what is read of them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ferroban_date::Timestamp;
use tempfile::TempDir;

use super::{
    Batch, Error, Journal, LINE_CAP, LogSource, Note, Place, Position, Query, Turn, Wait, Waker,
};

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";
/// The first second of the journals made here.
pub(crate) const START: i64 = 1_700_000_000;

/// Whether journals can be made here. Where that is a duty, it must be possible.
pub(crate) fn can_make_journals() -> bool {
    let can = Path::new(REMOTE).exists() && crate::sys::journal::usable().is_ok();
    if !can {
        assert!(
            std::env::var_os("CI").is_none(),
            "install systemd-journal-remote"
        );
        writeln!(std::io::stderr(), "skipped: {REMOTE} is not installed").unwrap();
    }
    can
}

/// Adds an entry to `journal` at each of `fields`' seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "only systemd's own program can write a journal"
)]
pub(crate) fn write(journal: &Path, entries: &[(i64, &[(&str, &str)])]) {
    let mut export = Vec::new();
    for (second, fields) in entries {
        let micros = second * 1_000_000;
        writeln!(
            export,
            "__REALTIME_TIMESTAMP={}",
            START * 1_000_000 + micros
        )
        .unwrap();
        writeln!(export, "__MONOTONIC_TIMESTAMP={micros}").unwrap();
        writeln!(export, "_BOOT_ID=0123456789abcdef0123456789abcdef").unwrap();
        for (name, value) in *fields {
            // The form for values that may hold a newline.
            writeln!(export, "{name}").unwrap();
            export.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
            export.extend(value.bytes());
            export.push(b'\n');
        }
        export.push(b'\n');
    }
    let input = journal.with_extension("export");
    fs::write(&input, export).unwrap();
    let output = Command::new(REMOTE)
        .arg("-o")
        .arg(journal)
        .arg(&input)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_file(&input).unwrap();
}

fn query(dir: &TempDir) -> Query {
    Query {
        place: Place::Directory(dir.path().to_owned()),
        flags: 0,
        matches: Vec::new(),
        since: Timestamp::from_secs(0),
        after: None,
        stamp: |time| format!("at {time}"),
    }
}

fn open(query: Query) -> Journal {
    Journal::open(query, Waker::new().unwrap()).unwrap()
}

fn lines(journal: &mut Journal) -> Vec<String> {
    let (mut lines, mut batch) = (Vec::new(), Batch::new());
    while journal.next(&mut batch, Wait::No).unwrap() == Turn::Ready {
        lines.extend(batch.lines().map(|line| line.text.to_owned()));
    }
    lines
}

/// Reads to the end, and says where that is to the entry.
fn last_cursor(journal: &mut Journal) -> String {
    let (mut last, mut batch) = (None, Batch::new());
    while journal.next(&mut batch, Wait::No).unwrap() == Turn::Ready {
        last = batch.cursor.take().or(last);
    }
    last.unwrap()
}

/// A journal with one entry of `sshd` at each of these seconds.
fn sample(name: &str, seconds: &[i64]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    add(&dir, name, seconds);
    dir
}

fn add(dir: &TempDir, name: &str, seconds: &[i64]) {
    let texts: Vec<String> = seconds.iter().map(|second| format!("m{second}")).collect();
    let fields: Vec<[(&str, &str); 2]> = texts
        .iter()
        .map(|text| [("_COMM", "sshd"), ("MESSAGE", text.as_str())])
        .collect();
    let entries: Vec<(i64, &[(&str, &str)])> = seconds
        .iter()
        .zip(&fields)
        .map(|(second, fields)| (*second, fields.as_slice()))
        .collect();
    write(&dir.path().join(name), &entries);
}

#[test]
fn entries_come_as_lines_with_their_times() {
    if !can_make_journals() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sshd = [
        ("_HOSTNAME", "srv"),
        ("_COMM", "sshd"),
        ("_PID", "7"),
        ("MESSAGE", "a\nb"),
    ];
    let dated = [
        ("_SOURCE_REALTIME_TIMESTAMP", "1699999999123456"),
        ("MESSAGE", "two"),
    ];
    let kernel = [("SYSLOG_IDENTIFIER", "kernel"), ("MESSAGE", "x")];
    let entries: [(i64, &[(&str, &str)]); 3] = [(1, &sshd), (2, &dated), (3, &kernel)];
    write(&dir.path().join("a.journal"), &entries);
    let mut batch = Batch::new();
    open(query(&dir)).next(&mut batch, Wait::No).unwrap();
    let read: Vec<(&str, i64)> = batch
        .lines()
        .map(|line| (line.text, line.time.unwrap().micros() - START * 1_000_000))
        .collect();
    let expected = [
        ("srv sshd[7]: a\\nb", 1_000_000),
        ("two", -876_544),
        ("kernel: [    3.000000] x", 3_000_000),
    ];
    assert_eq!(read, expected);
}

#[test]
fn what_is_there_at_start_is_not_live_and_what_follows_is() {
    if !can_make_journals() {
        return;
    }
    let dir = sample("a.journal", &[1]);
    let mut journal = open(query(&dir));
    let mut batch = Batch::new();
    let turn = journal.next(&mut batch, Wait::Forever).unwrap();
    assert_eq!((turn, batch.live), (Turn::Ready, false));
    assert!(matches!(batch.notes.as_slice(), [Note::CaughtUp]));
    let position = Position {
        path: "systemd-journal".to_owned(),
        hash: format!("at {}.000000", START + 1),
        offset: START + 1,
    };
    assert_eq!(batch.position, Some(position));

    add(&dir, "a.journal", &[2]);
    let turn = journal.next(&mut batch, Wait::Forever).unwrap();
    assert_eq!((turn, batch.live), (Turn::Ready, true));
    assert_eq!(batch.text(), "sshd: m2\n");
}

#[test]
fn matches_are_anded_in_a_group_and_ored_between() {
    if !can_make_journals() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let entry = |unit, comm, message| {
        [
            ("_SYSTEMD_UNIT", unit),
            ("_COMM", comm),
            ("MESSAGE", message),
        ]
    };
    write(
        &dir.path().join("a.journal"),
        &[
            (1, &entry("u1", "c1", "11")),
            (2, &entry("u1", "c2", "12")),
            (3, &entry("u2", "c1", "21")),
            (4, &entry("u2", "c2", "22")),
        ],
    );
    let cases: [(&[&[&str]], &[&str]); 6] = [
        (&[], &["11", "12", "21", "22"]),
        (&[&["_SYSTEMD_UNIT=u1"]], &["11", "12"]),
        (&[&["_SYSTEMD_UNIT=u1", "_COMM=c2"]], &["12"]),
        (
            &[&["_COMM=c1", "_COMM=c2", "_SYSTEMD_UNIT=u2"]],
            &["21", "22"],
        ),
        (
            &[&["_SYSTEMD_UNIT=u1", "_COMM=c2"], &[], &["_COMM=c1"]],
            &["11", "12", "21"],
        ),
        (&[&["_COMM=none"]], &[]),
    ];
    for (matches, expected) in cases {
        let matches = matches
            .iter()
            .map(|group| group.iter().map(|&field| field.to_owned()).collect())
            .collect();
        let read = lines(&mut open(Query {
            matches,
            ..query(&dir)
        }));
        let messages: Vec<&str> = read
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(messages, expected);
    }
    for field in ["", "nonsense", "=x", "lower=x"] {
        let matches = vec![vec![field.to_owned()]];
        let result = Journal::open(
            Query {
                matches,
                ..query(&dir)
            },
            Waker::new().unwrap(),
        );
        assert!(matches!(result, Err(Error::Journal { .. })), "{field}");
    }
}

#[test]
fn reading_starts_at_a_time_or_after_a_cursor_that_is_not_older() {
    if !can_make_journals() {
        return;
    }
    let dir = sample("a.journal", &[1, 2]);
    let since = |second| Timestamp::from_secs(START + second);
    let mut journal = open(query(&dir));
    let second = last_cursor(&mut journal);
    add(&dir, "a.journal", &[3, 4]);
    let last = last_cursor(&mut journal);
    let unknown = last.replace("i=4", "i=2");
    let cases = [
        (since(0), None, 1),
        (since(3), None, 3),
        (since(5), None, 5),
        (since(0), Some(last.clone()), 5),
        (since(4), Some(last.clone()), 5),
        (since(5), Some(last), 5),
        (since(0), Some(second.clone()), 3),
        (since(4), Some(second), 4),
        (since(0), Some(unknown), 1),
        (since(3), Some("garbage".to_owned()), 3),
        (since(3), Some("a\0b".to_owned()), 3),
    ];
    for (since, after, first) in cases {
        let read = lines(&mut open(Query {
            since,
            after: after.clone(),
            ..query(&dir)
        }));
        let expected: Vec<String> = (first..=4)
            .map(|second| format!("sshd: m{second}"))
            .collect();
        assert_eq!(read, expected, "{since} {after:?}");
    }
}

#[test]
fn new_files_are_found_and_removed_ones_forgotten() {
    if !can_make_journals() {
        return;
    }
    let dir = sample("a.journal", &[1]);
    let mut journal = open(query(&dir));
    assert_eq!(lines(&mut journal), ["sshd: m1"]);
    // Rotated: the file gets another name, and a new one is begun.
    fs::rename(
        dir.path().join("a.journal"),
        dir.path().join("a@1-2-3.journal"),
    )
    .unwrap();
    add(&dir, "a.journal", &[2]);
    assert_eq!(lines(&mut journal), ["sshd: m2"]);
    // Vacuumed.
    fs::remove_file(dir.path().join("a@1-2-3.journal")).unwrap();
    assert!(lines(&mut journal).is_empty());
    add(&dir, "a.journal", &[3]);
    add(&dir, "b.journal", &[4]);
    assert_eq!(lines(&mut journal), ["sshd: m3", "sshd: m4"]);
}

#[test]
fn a_message_beyond_the_cap_is_cut_and_told() {
    if !can_make_journals() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let long = "long ".repeat(LINE_CAP / 5 + 10);
    let short = "s".repeat(LINE_CAP);
    write(
        &dir.path().join("a.journal"),
        &[
            (1, &[("MESSAGE", &long)]),
            (2, &[("MESSAGE", &short)]),
            (3, &[("MESSAGE", "next")]),
        ],
    );
    let mut journal = open(query(&dir));
    let (mut lengths, mut told, mut batch) = (Vec::new(), 0, Batch::new());
    while journal.next(&mut batch, Wait::No).unwrap() == Turn::Ready {
        lengths.extend(batch.lines().map(|line| line.text.len()));
        told += batch
            .notes
            .iter()
            .filter(|note| matches!(note, Note::TooLong { .. }))
            .count();
    }
    assert_eq!((lengths, told), (vec![LINE_CAP, LINE_CAP, 4], 1));
}

#[test]
fn a_batch_is_bounded() {
    if !can_make_journals() {
        return;
    }
    let seconds: Vec<i64> = (0..2500).collect();
    let dir = sample("a.journal", &seconds);
    let mut journal = open(query(&dir));
    let (mut counts, mut batch) = (Vec::new(), Batch::new());
    while journal.next(&mut batch, Wait::No).unwrap() == Turn::Ready {
        counts.push(batch.lines().count());
    }
    assert_eq!(counts, [1000, 1000, 500]);
}

#[test]
fn a_damaged_file_neither_stops_nor_hangs_us() {
    if !can_make_journals() {
        return;
    }
    let dir = sample("a.journal", &[1, 2]);
    let path = dir.path().join("a.journal");
    let whole = fs::read(&path).unwrap();
    fs::write(dir.path().join("b.journal"), b"LPKSHHRH and no more").unwrap();
    fs::write(dir.path().join("c.journal"), b"").unwrap();
    assert_eq!(lines(&mut open(query(&dir))), ["sshd: m1", "sshd: m2"]);
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The head of the file, and the entries.
    for at in (0..300).step_by(7).chain((used - 1500..used).step_by(7)) {
        let offset = u64::try_from(at).unwrap();
        file.write_at(&[whole[at] ^ 0x55], offset).unwrap();
        let mut journal = open(query(&dir));
        let (mut batch, mut turns) = (Batch::new(), 0);
        while journal
            .next(&mut batch, Wait::No)
            .is_ok_and(|turn| turn == Turn::Ready)
        {
            turns += 1;
            assert!(turns < 10, "no end with byte {at} damaged");
        }
        drop(journal);
        file.write_at(&[whole[at]], offset).unwrap();
    }
}

#[test]
fn a_journal_that_is_not_there_is_an_error() {
    if !can_make_journals() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = Place::Directory(dir.path().join("none"));
    let result = Journal::open(
        Query {
            place,
            ..query(&dir)
        },
        Waker::new().unwrap(),
    );
    assert_eq!(
        result.unwrap_err().to_string(),
        "journal: cannot open the journal"
    );
}

#[test]
fn waiting_ends_at_the_deadline_or_with_a_pull() {
    if !can_make_journals() {
        return;
    }
    let dir = sample("a.journal", &[]);
    let waker = Waker::new().unwrap();
    let mut journal = Journal::open(query(&dir), waker.clone()).unwrap();
    let mut batch = Batch::new();
    while journal.next(&mut batch, Wait::No).unwrap() == Turn::Ready {}
    let short = Wait::AtMost(Duration::from_millis(12));
    assert_eq!(journal.next(&mut batch, short).unwrap(), Turn::Idle);
    waker.wake();
    assert_eq!(
        journal.next(&mut batch, Wait::Forever).unwrap(),
        Turn::Woken
    );
}
