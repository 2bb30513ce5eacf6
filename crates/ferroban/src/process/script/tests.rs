use super::*;

const PLENTY: Duration = Duration::from_secs(60);

fn sh(text: &str, limit: Duration) -> Run {
    run(&text.into(), limit, ()).unwrap()
}

/// How long something took.
fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = clock::tick();
    let result = what();
    (result, clock::tick() - start)
}

fn pid_in(run: &Run) -> Pid {
    let text = String::from_utf8(run.stdout.bytes.clone()).unwrap();
    let number = text.trim().parse().unwrap();
    Pid::from_raw(number).unwrap()
}

/// Waits for the end of a process, which need not be our child. Init may be slow to
/// reap it; a zombie has ended.
fn has_ended(pid: Pid, within: Duration) -> bool {
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let time = Timespec::try_from(within).unwrap();
    poll(&mut fds, Some(&time)).unwrap() > 0
}

#[test]
fn a_command_answers_with_its_code_and_both_outputs() {
    let cases = [
        ("true", Some(0), "", ""),
        ("exit 3", Some(3), "", ""),
        ("echo out; echo err >&2; false", Some(1), "out\n", "err\n"),
        ("kill -USR1 $$", Some(-10), "", ""),
        ("false\ntrue", Some(0), "", ""),
        ("cat; echo $#", Some(0), "0\n", ""),
        ("", Some(0), "", ""),
    ];
    for (text, code, stdout, stderr) in cases {
        let run = sh(text, PLENTY);
        assert_eq!(run.code(), code, "{text}");
        assert_eq!(run.is_success(), code == Some(0), "{text}");
        assert_eq!(run.stdout.bytes, stdout.as_bytes(), "{text}");
        assert_eq!(run.stderr.bytes, stderr.as_bytes(), "{text}");
        assert_eq!(run.timed_out, None, "{text}");
    }
}

#[test]
fn arguments_arrive_as_they_are() {
    let script = Script {
        text: r#"printf '%s|' "$0" "$1" "$2""#.into(),
        args: vec!["$(exit 9)".into(), "a'b\"c\n".into(), String::new()],
    };
    let run = run(&script, PLENTY, ()).unwrap();
    assert_eq!(run.stdout.bytes, b"$(exit 9)|a'b\"c\n||");
}

#[test]
fn a_command_has_a_group_of_its_own() {
    let run = sh("cut -d' ' -f5 /proc/$$/stat", PLENTY);
    assert_eq!(pid_in(&run).as_raw_nonzero().get().unsigned_abs(), run.pid);
}

#[test]
fn a_command_that_takes_too_long_is_told_to_end() {
    let limit = Duration::from_millis(100);
    let (run, took) = timed(|| sh("echo before; sleep 60", limit));
    assert_eq!(run.code(), Some(-15));
    assert_eq!(run.timed_out, Some(limit));
    assert_eq!(run.stdout.bytes, b"before\n");
    assert!(took >= limit && took < PLENTY, "{took:?}");
}

#[test]
fn a_command_that_will_not_end_is_killed_with_what_it_started() {
    let text = "trap '' TERM; (trap '' TERM; sleep 60) & echo $!; sleep 60";
    let limit = Duration::from_millis(100);
    let (run, took) = timed(|| sh(text, limit));
    assert_eq!(run.code(), Some(-9));
    assert!(took >= limit + POLITE && took < PLENTY, "{took:?}");
    assert!(has_ended(pid_in(&run), PLENTY));
}

#[test]
fn the_group_is_killed_even_if_the_shell_obeys() {
    // The shell ends at once, its child ignores the signal and holds the pipes.
    let text = "(trap '' TERM; sleep 60) & echo $!; wait";
    let (run, took) = timed(|| sh(text, Duration::from_millis(100)));
    assert_eq!(run.code(), Some(-15));
    assert!(took < PLENTY, "{took:?}");
    assert!(has_ended(pid_in(&run), PLENTY));
}

#[test]
fn no_time_at_all_is_a_limit_too() {
    let run = sh("sleep 60", Duration::ZERO);
    assert_eq!(run.timed_out, Some(Duration::ZERO));
    assert_eq!(run.code(), Some(-15));
    let run = sh("exit 4", Duration::MAX);
    assert_eq!(run.code(), Some(4));
}

#[test]
fn what_goes_on_in_the_background_is_not_waited_for_and_not_killed() {
    let (run, took) = timed(|| sh("sleep 60 & echo $!", PLENTY));
    assert_eq!(run.code(), Some(0));
    assert!(took < PLENTY, "{took:?}");
    let pid = pid_in(&run);
    assert!(!has_ended(pid, Duration::ZERO));
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    assert!(has_ended(pid, PLENTY));
}

#[test]
fn what_goes_on_in_the_background_may_write() {
    let folder = tempfile::tempdir().unwrap();
    let (go, done) = (folder.path().join("go"), folder.path().join("done"));
    for pipe in [&go, &done] {
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    // It writes more than a pipe holds, long after we have stopped waiting.
    let text = format!(
        "(read x < {0}; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; echo $? > {1}) &",
        go.display(),
        done.display()
    );
    assert!(sh(&text, PLENTY).is_success());
    std::fs::write(&go, "\n").unwrap();
    assert_eq!(std::fs::read_to_string(&done).unwrap(), "0\n");
}

#[test]
fn output_is_kept_up_to_a_bound_and_read_beyond_it() {
    let run = sh(
        "head -c 1000000 /dev/zero; head -c 70000 /dev/zero >&2",
        PLENTY,
    );
    assert!(run.is_success());
    assert_eq!(run.stdout.bytes.len(), KEPT);
    assert_eq!(run.stdout.lost, 1_000_000 - KEPT as u64);
    assert_eq!(run.stderr.bytes.len(), KEPT);
    assert_eq!(run.stderr.lost, 70_000 - KEPT as u64);
}

#[test]
fn who_wants_to_know_more_is_told_more() {
    let script = Script::from("head -c 300000 /dev/zero; head -c 70000 /dev/zero >&2");
    let run = read(&script, Duration::from_secs(20), 200_000).unwrap();
    assert_eq!(
        (run.stdout.bytes.len(), run.stdout.lost),
        (200_000, 100_000)
    );
    assert_eq!(run.stderr.bytes.len(), KEPT);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "children start here")]
fn the_end_of_a_child_can_be_waited_for_without_a_pidfd() {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "read x; exit 5"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let end = end_told(Pid::from_child(&child)).unwrap();
    let mut fds = [PollFd::new(&end, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec::default())).unwrap(), 0);
    drop(child.stdin.take());
    let time = Timespec::try_from(PLENTY).unwrap();
    assert_eq!(poll(&mut fds, Some(&time)).unwrap(), 1);
    assert_eq!(child.wait().unwrap().code(), Some(5), "not reaped before");
}

#[test]
fn what_cannot_be_started_is_an_error() {
    for text in ["a\0b".to_owned(), "x".repeat(200_000)] {
        assert!(run(&text.as_str().into(), PLENTY, ()).is_err());
    }
}

#[test]
fn what_systemd_tells_us_is_not_told_to_commands() {
    let command = command(&"env".into());
    let taken: Vec<&str> = command
        .get_envs()
        .filter(|(_, value)| value.is_none())
        .filter_map(|(name, _)| name.to_str())
        .collect();
    for name in [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
    ] {
        assert!(taken.contains(&name), "{name}");
    }
    let run = sh("env", PLENTY);
    let text = String::from_utf8(run.stdout.bytes).unwrap();
    assert!(text.contains("PATH="), "the others stay: {text}");
}

#[test]
fn whoever_ends_in_a_hurry_ends_what_runs_with_all_that_it_started() {
    static GROUPS: Groups = Groups::new();
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pids, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let text = format!(
        "trap '' TERM; sleep 60 & echo $! > {}; sleep 60",
        pids.display()
    );
    let work = move || run_among(&GROUPS, &text.as_str().into(), PLENTY, ());
    let thread = thread::Builder::new().name("f2b/test".into());
    let runs = thread.spawn(work).unwrap();
    let child = std::fs::read_to_string(&pids).unwrap();
    let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    drop(GROUPS.end_all());
    let (run, took) = timed(|| runs.join().unwrap().unwrap());
    assert_eq!((run.code(), run.timed_out), (Some(-9), None));
    assert!(took < PLENTY && has_ended(child, PLENTY), "{took:?}");
    assert!(GROUPS.list().is_empty(), "what has ended is not listed");
}

#[test]
fn the_turn_of_a_command_is_over_when_it_has_ended() {
    struct Turn(std::sync::mpsc::Sender<Instant>);
    impl Drop for Turn {
        fn drop(&mut self) {
            self.0.send(clock::tick()).unwrap();
        }
    }
    let (sender, over) = std::sync::mpsc::channel();
    let run = run(&"sleep 60 & echo $!".into(), PLENTY, Turn(sender)).unwrap();
    assert!(over.recv().unwrap() + GRACE <= clock::tick());
    rustix::process::kill_process(pid_in(&run), Signal::KILL).unwrap();
}
