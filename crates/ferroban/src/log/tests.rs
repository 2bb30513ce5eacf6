use super::*;

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::channel;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for logs, and one that goes to its file `log`.
struct Place {
    folder: TempDir,
    log: Log,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("log"));
        let log = Log::open(&target, Level::Info).unwrap();
        Self { folder, log }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The lines of a file from their level on.
    fn lines(&self, name: &str) -> Vec<String> {
        self.log.flush();
        let text = fs::read_to_string(self.path(name)).unwrap();
        let from_logger = |line: &str| line.split_once(' ')?.1.split_once(' ').map(|p| p.1.into());
        let pid = format!("[{}]: ", std::process::id());
        let short = |line: &str| {
            let line: String = from_logger(line).unwrap_or_else(|| line.to_owned());
            let Some((logger, rest)) = line.split_once(&pid) else {
                return line;
            };
            let (level, rest) = rest.split_at(7);
            format!(
                "{} {} {}",
                logger.trim_end(),
                level.trim_end(),
                rest.trim_start()
            )
        };
        text.lines().map(short).collect()
    }
}

/// What a listener has got so far, without the pid.
fn heard(listener: &UnixDatagram) -> Vec<String> {
    listener.set_nonblocking(true).unwrap();
    let pid = format!("[{}]", std::process::id());
    let mut heard = Vec::new();
    let mut bytes = [0; 1000];
    while let Ok(length) = listener.recv(&mut bytes) {
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        heard.push(text.replace(&pid, "[PID]"));
    }
    heard
}

fn hello(target: &str) -> [String; 2] {
    [
        format!("fail2ban.server INFO Start Fail2ban v{COMPATIBLE}"),
        format!(
            "fail2ban.server INFO Changed logging target to {target} for Fail2ban v{COMPATIBLE}"
        ),
    ]
}

#[test]
fn what_was_told_is_written_after_a_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::open(&Target::File(path.clone()), Level::Notice).unwrap();
    for round in 1..=100 {
        log.info("server", "not wanted");
        log.warning("server", "wanted");
        log.flush();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), round, "{text}");
        assert!(!text.contains("not wanted"));
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up_and_tells_what_it_lost() {
    let (mut reader, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let log = Log::open(&Target::File(path.into()), Level::Info).unwrap();
    drop(writer);
    let (done, finished) = channel();
    // Each is longer than this.
    let room = queue::MOST_BYTES / 50;
    let all = room + 1000;
    // If it is held up, it ends when the reader is dropped.
    let teller = thread::Builder::new().spawn(move || {
        for number in 0..all {
            log.info("server", &format!("line {number}"));
        }
        log.flush();
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(30)).unwrap();
    teller.unwrap().join().unwrap();

    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let lost = |line: &str| -> Option<usize> {
        let (_, rest) = line.split_once(": WARNING ")?;
        let count = rest.strip_suffix(" log line(s) lost: nobody reads the log")?;
        Some(count.parse().unwrap())
    };
    let told: Vec<usize> = text.lines().filter_map(lost).collect();
    let kept = text.lines().count() - told.len();
    assert!(kept > room / 3 && !told.is_empty(), "{kept} {told:?}");
    assert_eq!(kept + told.iter().sum::<usize>(), all);
    assert!(text.contains(" ferroban.log "));
}

#[test]
fn a_level_changes_for_all_clones_at_once() {
    let place = Place::new();
    let clone = place.log.clone();
    assert_eq!(clone.level(), "INFO");
    let levels = [
        // set, got, whether MSG, INFO and WARNING are told
        ("msg", "MSG", [true, true, true]),
        ("19", "19", [false, true, true]),
        ("Warn", "WARN", [false, false, true]),
        ("0", "0", [false, false, true]),
        ("fatal", "FATAL", [false, false, false]),
        ("heavydebug", "HEAVYDEBUG", [true, true, true]),
    ];
    for (set, got, told) in levels {
        place.log.set_level(set).unwrap();
        assert_eq!(clone.level(), got);
        let before = place.lines("log").len();
        for level in [Level::Msg, Level::Info, Level::Warning] {
            clone.line(level, "server", &level.name());
        }
        let lines = place.lines("log").split_off(before);
        let names = ["MSG", "INFO", "WARNING"]
            .map(|name| lines.contains(&format!("fail2ban.server {name} {name}")));
        assert_eq!(names, told, "{set}: {lines:?}");
    }
    let error = place.log.set_level("bogus").unwrap_err();
    assert_eq!(error.to_string(), "Invalid log level 'BOGUS'");
    assert_eq!(clone.level(), "HEAVYDEBUG");
}

#[test]
fn a_new_target_is_told_who_speaks_and_the_old_one_nothing() {
    let place = Place::new();
    let (old, new) = (place.path("log"), place.path("new"));
    place.log.info("server", "before");
    place
        .log
        .change_target(&format!("{new}[padding=off]"))
        .unwrap();
    place.log.info("server", "after");
    assert_eq!(place.log.target(), Some(new.clone()));
    assert_eq!(place.lines("log"), ["fail2ban.server INFO before"]);
    let text = fs::read_to_string(&new).unwrap();
    let pid = std::process::id();
    assert!(
        text.lines()
            .all(|line| line.contains(&format!(" fail2ban.server[{pid}]: INFO ")))
    );
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(&format!(
        "Changed logging target to {new} for Fail2ban v{COMPATIBLE}\n"
    )));

    // The same name, whatever the options: nothing happens.
    place.log.change_target(&format!("{new}[json=on]")).unwrap();
    assert_eq!(fs::read_to_string(&new).unwrap(), text);

    place.log.change_target(&old).unwrap();
    let [start, changed] = hello(&old);
    assert_eq!(
        place.lines("log"),
        ["fail2ban.server INFO before".into(), start, changed]
    );
}

#[test]
fn a_target_that_cannot_be_opened_leaves_the_old_one() {
    let place = Place::new();
    let old = place.path("log");
    let error = place.log.change_target("/nowhere/it's").unwrap_err();
    assert_eq!(error.to_string(), "Failed to change log target");
    assert!(matches!(error, Error::Target(_)));
    let error = place.log.change_target("/a[b").unwrap_err();
    assert_eq!(error.to_string(), "unexpected option syntax");
    let error = place.log.change_target("STDERR[format=x]").unwrap_err();
    assert_eq!(error.to_string(), "Invalid format 'x' for '%' style");
    assert_eq!(place.log.target(), Some(old.clone()));
    let told = [
        "fail2ban.server ERROR Unable to log to \"/nowhere/it's\"".to_owned(),
        format!("fail2ban.server INFO Logging to previous target '{old}'"),
    ];
    assert_eq!(place.lines("log"), told);
}

#[test]
fn inherited_is_a_name_only() {
    let place = Place::new();
    place.log.change_target("INHERITED").unwrap();
    assert_eq!(place.log.target().as_deref(), Some("INHERITED"));
    place.log.info("server", "goes on");
    assert_eq!(place.log.flushlogs().unwrap(), "rolled over");
    let told = [
        "fail2ban.server INFO goes on",
        "fail2ban.server INFO rollover performed on INHERITED",
    ];
    assert_eq!(place.lines("log"), told);
}

#[test]
fn a_server_that_starts_says_nothing_of_its_target_and_one_without_goes_on() {
    let place = Place::new();
    let new = place.path("new");
    let log = Log::nowhere(Level::Info);
    log.error("server", "nobody hears this");
    log.flush();
    assert_eq!(
        log.start("/nowhere/x").unwrap_err().to_string(),
        "Failed to change log target"
    );
    assert_eq!(log.target(), None);
    assert_eq!(log.flushlogs().unwrap(), "rolled over");

    log.set_verbosity(4);
    log.start(&new).unwrap();
    log.info("server", "first");
    log.flush();
    let text = fs::read_to_string(&new).unwrap();
    assert!(
        text.starts_with(" +") && text.ends_with(" fail2ban.server           INFO  first\n"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    // Without a target, but running: a new one is told who speaks.
    let log = Log::nowhere(Level::Info);
    log.change_target(&place.path("third")).unwrap();
    log.flush();
    assert_eq!(place.lines("third"), hello(&place.path("third")));
}

#[test]
fn syslog_gets_the_originals_datagrams() {
    let place = Place::new();
    let (one, two) = (place.path("one"), place.path("two"));
    let listener = UnixDatagram::bind(&one).unwrap();
    place.log.set_syslogsocket(&one).unwrap();
    place.log.change_target("SYSLOG").unwrap();
    assert_eq!(place.log.syslogsocket(), one);
    place
        .log
        .line(Level::Notice, "actions", "[norm] Ban 192.0.2.2");
    assert_eq!(place.log.flushlogs().unwrap(), "flushed");
    place.log.flush();
    let hello = |socket: &str| {
        [
            format!("<30>fail2ban.server[PID]: INFO Start Fail2ban v{COMPATIBLE}\0"),
            format!(
                "<30>fail2ban.server[PID]: INFO Changed logging target to SYSLOG ({socket}) for Fail2ban v{COMPATIBLE}\0"
            ),
        ]
    };
    let [start, changed] = hello(&one);
    let expected = [
        start,
        changed,
        "<29>fail2ban.actions[PID]: NOTICE [norm] Ban 192.0.2.2\0".into(),
        "<30>fail2ban.server[PID]: INFO flush performed on SYSLOG\0".into(),
    ];
    assert_eq!(heard(&listener), expected);

    let error = place.log.set_syslogsocket("/nowhere/x").unwrap_err();
    assert_eq!(error.to_string(), "Failed to change syslog socket");
    place.log.flush();
    assert_eq!(
        heard(&listener),
        [
            "<27>fail2ban.server[PID]: ERROR Syslog socket file: /nowhere/x does not exists or is not a socket\0"
        ]
    );

    let second = UnixDatagram::bind(&two).unwrap();
    place.log.set_syslogsocket(&two).unwrap();
    place.log.flush();
    assert_eq!(heard(&second), hello(&two));
    // What is so already needs no opening.
    place.log.set_syslogsocket(&two).unwrap();
    place.log.flush();
    assert!(heard(&second).is_empty());
    assert!(heard(&listener).is_empty());
}

#[test]
fn a_syslog_that_is_no_socket_is_no_target() {
    let place = Place::new();
    let log = place.path("log");
    place.log.set_syslogsocket(&log).unwrap();
    let error = place.log.change_target("SYSLOG").unwrap_err();
    assert_eq!(error.to_string(), "Failed to change log target");
    let told = format!(
        "fail2ban.server ERROR Syslog socket file: {log} does not exists or is not a socket"
    );
    assert_eq!(place.lines("log"), [told]);
    assert_eq!(place.log.target(), Some(log));

    // What is meant by `auto` shows once it was needed, whether it is there or not.
    let log = Log::nowhere(Level::Info);
    assert_eq!(log.syslogsocket(), "auto");
    drop(log.start("SYSLOG"));
    assert_eq!(log.syslogsocket(), "/dev/log");
}

#[test]
fn in_small_letters_syslog_counts_as_a_file_when_flushed() {
    let place = Place::new();
    let socket = place.path("socket");
    let listener = UnixDatagram::bind(&socket).unwrap();
    place.log.set_syslogsocket(&socket).unwrap();
    place.log.change_target("syslog[facility=LOCAL5]").unwrap();
    assert_eq!(place.log.flushlogs().unwrap(), "rolled over");
    place.log.flush();
    let heard = heard(&listener);
    let last = "<174>fail2ban.server[PID]: INFO flush performed on syslog\0";
    assert_eq!(heard.last().map(String::as_str), Some(last));
    let changed = format!("Changed logging target to syslog for Fail2ban v{COMPATIBLE}\0");
    assert!(heard.iter().any(|line| line.ends_with(&changed)));
}

#[test]
fn a_journal_that_comes_later_is_told_what_it_missed() {
    let place = Place::new();
    let socket = place.path("journal");
    place.log.settings().journal = socket.clone().into();
    place.log.change_target("SYSTEMD-JOURNAL").unwrap();
    let told = format!(
        "ferroban.log WARNING {socket}: nobody listens there yet; until then, log lines are lost"
    );
    // What was lost so far may be told already.
    assert_eq!(place.lines("log").first(), Some(&told));

    let listener = UnixDatagram::bind(&socket).unwrap();
    let event: Event =
        serde_json::from_value(json!({"event": "banned", "jail": "sshd", "id": "::1"})).unwrap();
    events::write(&place.log, &event, "nftables");
    place.log.flush();
    let heard = heard(&listener);
    let start = "MESSAGE=[sshd] Ban ::1\nPRIORITY=4\nSYSLOG_IDENTIFIER=fail2ban\n";
    assert!(heard[0].starts_with(start), "{heard:?}");
    assert!(
        heard[0].contains("\nFERROBAN_JAIL=sshd\n") && heard[0].ends_with("\nFERROBAN_IP=::1\n")
    );
    let lost = |line: &String| -> Option<usize> {
        let (before, _) = line.split_once(" log line(s) lost: ")?;
        before.rsplit([' ', '=']).next()?.parse().ok()
    };
    // Some or all of it may have been told before, where the log was.
    let before: usize = place.lines("log").iter().filter_map(lost).sum();
    let now = heard.get(1).and_then(lost).unwrap_or(0);
    assert_eq!(before + now, 2, "{before} told before: {heard:?}");
}

#[test]
fn flushlogs_opens_a_moved_file_anew() {
    let place = Place::new();
    let log = place.path("log");
    place.log.info("server", "one");
    place.log.flush();
    fs::rename(&log, place.path("old")).unwrap();
    place.log.info("server", "two");
    assert_eq!(place.log.flushlogs().unwrap(), "rolled over");
    place.log.info("server", "three");
    assert_eq!(
        place.lines("log"),
        [
            format!("fail2ban.server INFO rollover performed on {log}"),
            "fail2ban.server INFO three".to_owned(),
        ]
    );
    assert_eq!(
        place.lines("old"),
        ["fail2ban.server INFO one", "fail2ban.server INFO two"]
    );

    // One that was put there before keeps what it is.
    fs::write(place.path("log"), "kept\n").unwrap();
    place.log.flushlogs().unwrap();
    assert_eq!(place.lines("log").len(), 2);
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_told_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    fs::create_dir(&a).unwrap();
    let path = a.join("log");
    let log = Log::open(&Target::File(path.clone()), Level::Info).unwrap();
    fs::rename(&a, &b).unwrap();
    let error = log.flushlogs().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("[Errno 2] No such file or directory: '{}'", path.display())
    );
    log.info("server", "still here");
    log.flush();
    let text = fs::read_to_string(b.join("log")).unwrap();
    assert!(text.ends_with("still here\n"));
}

#[test]
fn only_a_block_keeps_its_line_ends() {
    let place = Place::new();
    place.log.line(Level::Info, "server", "a\nb\t");
    place.log.block(Level::Error, "transmitter", "a\nb\t\u{1b}");
    assert_eq!(
        place.lines("log"),
        [
            r"fail2ban.server INFO a\nb\t",
            "fail2ban.transmitter ERROR a",
            r"b\t\u{1b}"
        ]
    );
}

#[test]
fn lines_of_json_hold_events() {
    let place = Place::new();
    let new = place.path("new");
    place.log.change_target(&format!("{new}[json=on]")).unwrap();
    let event = json!({"event": "found", "jail": "sshd", "id": "192.0.2.7", "time": 1_000_000});
    events::write(
        &place.log,
        &serde_json::from_value(event.clone()).unwrap(),
        "x",
    );
    place.log.flush();
    let text = fs::read_to_string(&new).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0]["message"], format!("Start Fail2ban v{COMPATIBLE}"));
    assert_eq!(
        (&lines[2]["event"], &lines[2]["logger"]),
        (&event, &json!("fail2ban.filter"))
    );
}

#[test]
fn a_target_that_nobody_reads_holds_up_no_change() {
    let (_reader, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let place = Place::new();
    place.log.change_target(&path).unwrap();
    for _ in 0..100_000 {
        place.log.info("server", "nobody reads this");
    }
    let log = place.path("log");
    place.log.change_target(&log).unwrap();
    place
        .log
        .queue()
        .as_ref()
        .unwrap()
        .shared()
        .flush(clock::tick() + Duration::from_secs(30));
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("Changed logging target to "), "{text}");
}

#[test]
fn targets_on_the_command_line_take_options_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log").display().to_string();
    let log = Log::open(
        &Target::from(format!("{path}[datetime=off]").as_str()),
        Level::Info,
    )
    .unwrap();
    log.info("server", "x");
    log.flush();
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("fail2ban.server ")
    );
    assert_eq!(log.target(), Some(path));
    let error = Log::open(&Target::from("/a[b"), Level::Info).unwrap_err();
    assert_eq!(error.to_string(), "unexpected option syntax");
    let error = Log::open(&Target::from("/nowhere/x"), Level::Info).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
