//! What the log says of a command.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferroban_config::quoted;

use super::{MOST_LEFT, Output, Run, Script};
use crate::clock;
use crate::log::{Level, Log};

const LOGGER: &str = "utils";

/// How many lines of each output are told.
const MOST_LINES: usize = 100;

/// How often it is told that something in the background was given up.
const GIVEN_UP_EVERY: Duration = Duration::from_secs(60);

/// Whose command it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) jail: &'a str,
    pub(crate) action: &'a str,
}

/// Tells how a command went. One that did as it was told is for who looks for details.
pub(crate) fn tell(log: &Log, whose: Whose<'_>, script: &Script, ran: &io::Result<Run>) {
    if ran.as_ref().is_ok_and(|run| run.given_up) {
        static LAST: Mutex<Option<Instant>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        tell_given_up(log, whose, &mut last);
    }
    tell_run(log, script, ran);
}

/// Tells of something in the background that was given up; of the next ones only after
/// a while.
fn tell_given_up(log: &Log, whose: Whose<'_>, last: &mut Option<Instant>) {
    let now = clock::tick();
    if last.is_some_and(|last| now.saturating_duration_since(last) < GIVEN_UP_EVERY) {
        return;
    }
    *last = Some(now);
    let Whose { jail, action } = whose;
    let text = format!(
        "[{jail}] action '{action}': its command goes on in the background, as {MOST_LEFT} others \
         do already; nobody reads its output, and it may end when it writes. Have it write to \
         /dev/null"
    );
    log.warning(LOGGER, &text);
}

fn tell_run(log: &Log, script: &Script, ran: &io::Result<Run>) {
    let is_success = ran.as_ref().is_ok_and(Run::is_success);
    let level = if is_success {
        Level::Debug
    } else {
        Level::Error
    };
    // Of a success, what was run interests fewer people than what came of it.
    let exec = if is_success { Level::Other(9) } else { level };
    if !log.wants(level) {
        return;
    }
    let id = id(script);
    let line = |text: &str| log.line(level, LOGGER, &format!("{id} -- {text}"));
    if log.wants(exec) {
        let text = format!("{id} -- exec: {}", script.shown());
        log.block(exec, LOGGER, &text);
    }
    let run = match ran {
        Ok(run) => run,
        Err(error) => {
            let text = format!("{} -- failed with {}", script.shown(), python(error));
            return log.block(level, LOGGER, &text);
        }
    };
    if let Some(limit) = run.timed_out {
        line(&format!("timed out after {} seconds.", limit.as_secs_f64()));
    }
    output("stdout", &run.stdout, &line);
    output("stderr", &run.stderr, &line);
    match run.code() {
        Some(0) => line("returned successfully 0"),
        Some(code @ (..0 | 129..)) => line(&format!(
            "killed with {} (return code: {code})",
            signal(if code < 0 { -code } else { code - 128 })
        )),
        Some(code) => line(&format!("returned {code}")),
        None => line(&format!("unable to kill PID {}", run.pid)),
    }
    if run.code() == Some(127) {
        log.line(Level::Info, LOGGER, &hint(script));
    }
}

/// Marks the lines that belong to one command.
fn id(script: &Script) -> String {
    let mut hasher = DefaultHasher::new();
    (&script.text, &script.args).hash(&mut hasher);
    format!("{:012x}", hasher.finish() >> 16)
}

fn output(name: &str, output: &Output, line: &dyn Fn(&str)) {
    let text = String::from_utf8_lossy(&output.bytes);
    let text = text.replace("\r\n", "\n");
    let text = text.strip_suffix(['\n', '\r']).unwrap_or(&text);
    if output.bytes.is_empty() {
        return;
    }
    let mut lines = text.split(['\n', '\r']);
    for text in lines.by_ref().take(MOST_LINES) {
        line(&format!("{name}: {}", quoted(text)));
    }
    let more = lines.count();
    if more > 0 || output.lost > 0 {
        let lost = output.lost;
        line(&format!(
            "{name}: … {more} more line(s), {lost} more byte(s)"
        ));
    }
}

fn hint(script: &Script) -> String {
    format!(
        "HINT on 127: \"Command not found\".  Make sure that all commands in {} are in the PATH of \
         fail2ban-server process (grep -a PATH= /proc/`pidof -x fail2ban-server`/environ). You may \
         want to start \"fail2ban-server -f\" separately, initiate it with \"fail2ban-client reload\" \
         in another shell session and observe if additional informative error messages appear in the \
         terminals.",
        script.quoted()
    )
}

/// An error of the system as Python writes it.
fn python(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let text = text.split(" (os error").next().unwrap_or_default();
            format!("[Errno {number}] {text}: '/bin/sh'")
        }
        None => text,
    }
}

fn signal(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR", "SYS",
    ];
    let known = usize::try_from(number)
        .ok()
        .and_then(|number| NAMES.get(number.checked_sub(1)?));
    match (known, number) {
        (Some(name), _) => format!("SIG{name}"),
        (None, 34) => "SIGRTMIN".to_owned(),
        (None, 64) => "SIGRTMAX".to_owned(),
        (None, number) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::time::Duration;

    use super::super::run;
    use crate::log::Target;

    /// The log after a command, without times and ids.
    fn told(script: &Script, limit: Duration) -> Vec<String> {
        told_of(script, &run(script, limit, ()))
    }

    fn told_of(script: &Script, ran: &io::Result<Run>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(&Target::File(path.clone()), Level::Trace).unwrap();
        let (jail, action) = ("sshd", "mail");
        tell(&log, Whose { jail, action }, script, ran);
        log.flush();
        let text = fs::read_to_string(&path).unwrap();
        let id = format!("{} -- ", id(script));
        text.lines()
            .map(|line| {
                let (_, line) = line.split_once("]: ").unwrap();
                line.replace(&id, "")
            })
            .collect()
    }

    #[test]
    fn a_command_is_told_in_the_originals_words() {
        let second = Duration::from_secs(60);
        let cases: [(Script, &[&str]); 4] = [
            (
                "echo out; echo 'err\"x' >&2".into(),
                &[
                    "#09-Lev. exec: echo out; echo 'err\"x' >&2",
                    "DEBUG   stdout: 'out'",
                    "DEBUG   stderr: 'err\"x'",
                    "DEBUG   returned successfully 0",
                ],
            ),
            (
                "printf 'a\\n\\nb\\rc\\r\\n\\033[31m\\377'; exit 3".into(),
                &[
                    "ERROR   exec: printf 'a\\n\\nb\\rc\\r\\n\\033[31m\\377'; exit 3",
                    "ERROR   stdout: 'a'",
                    "ERROR   stdout: ''",
                    "ERROR   stdout: 'b'",
                    "ERROR   stdout: 'c'",
                    "ERROR   stdout: '\\x1b[31m\u{fffd}'",
                    "ERROR   returned 3",
                ],
            ),
            (
                Script {
                    text: "a=$0 \nexit 1".into(),
                    args: vec!["it's".into()],
                },
                &[
                    "ERROR   exec: ['a=$0 \\nexit 1', \"it's\"]",
                    "ERROR   returned 1",
                ],
            ),
            (
                "".into(),
                &["#09-Lev. exec: ", "DEBUG   returned successfully 0"],
            ),
        ];
        for (script, expected) in cases {
            assert_eq!(told(&script, second), expected, "{script:?}");
        }
    }

    #[test]
    fn an_end_by_a_signal_is_told_by_its_name() {
        let cases: [(&str, &str); 5] = [
            ("exit 128", "returned 128"),
            ("exit 137", "killed with SIGKILL (return code: 137)"),
            ("exit 200", "killed with signal 72 (return code: 200)"),
            ("kill -KILL $$", "killed with SIGKILL (return code: -9)"),
            ("kill -34 $$", "killed with SIGRTMIN (return code: -34)"),
        ];
        for (text, expected) in cases {
            let told = told(&text.into(), Duration::from_secs(60));
            let expected = [
                format!("ERROR   exec: {text}"),
                format!("ERROR   {expected}"),
            ];
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_command_that_nobody_knows_comes_with_a_hint() {
        let told = told(&"nosuchcommand".into(), Duration::from_secs(60));
        assert_eq!(
            told[1],
            "ERROR   stderr: '/bin/sh: 1: nosuchcommand: not found'"
        );
        assert_eq!(told[2], "ERROR   returned 127");
        let hint = "INFO    HINT on 127: \"Command not found\".  Make sure that all commands in \
                    'nosuchcommand' are in the PATH of fail2ban-server process (grep -a PATH= ";
        assert!(told[3].starts_with(hint), "{}", told[3]);
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn a_limit_that_was_reached_is_told() {
        let told = told(&"sleep 60".into(), Duration::from_millis(50));
        assert_eq!(
            told,
            [
                "ERROR   exec: sleep 60",
                "ERROR   timed out after 0.05 seconds.",
                "ERROR   killed with SIGTERM (return code: -15)",
            ]
        );
    }

    #[test]
    fn what_could_not_be_started_or_killed_is_told() {
        let long = Script::from("x".repeat(200_000).as_str());
        let told = told(&long, Duration::from_secs(1));
        let end = "x -- failed with [Errno 7] Argument list too long: '/bin/sh'";
        assert!(told[1].ends_with(end), "{}", told[1]);

        let run = Run {
            pid: 42,
            timed_out: Some(Duration::from_secs(60)),
            ..Run::default()
        };
        assert_eq!(
            told_of(&"x".into(), &Ok(run)),
            [
                "ERROR   exec: x",
                "ERROR   timed out after 60 seconds.",
                "ERROR   unable to kill PID 42",
            ]
        );
    }

    #[test]
    fn long_values_are_told_by_their_beginning() {
        let long = |text: &str| Script {
            text: "exit 1".into(),
            args: vec!["short".into(), text.repeat(8000)],
        };
        for (text, shown, times) in [
            ("a", "a", 2000),
            ("\u{1b}", "\\x1b", 500),
            ("é", "é", 1000),
            ("\\", r"\\", 1000),
        ] {
            let told = told(&long(text), Duration::from_secs(60));
            let expected = format!(
                "ERROR   exec: ['exit 1', 'short', '{}'…]",
                shown.repeat(times)
            );
            assert_eq!(told[0], expected);
        }
    }

    #[test]
    fn what_is_given_up_in_the_background_is_told_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(&Target::File(path.clone()), Level::Info).unwrap();
        let mut last = None;
        for action in ["first", "second", "third"] {
            let jail = "sshd";
            tell_given_up(&log, Whose { jail, action }, &mut last);
            if action == "second" {
                last = last.and_then(|last| last.checked_sub(GIVEN_UP_EVERY));
            }
        }
        log.flush();
        let text = fs::read_to_string(&path).unwrap();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 2, "{text}");
        assert!(
            told[0].contains("WARNING [sshd] action 'first': its command goes on")
                && told[1].contains("action 'third'"),
            "{text}"
        );
    }

    #[test]
    fn much_output_does_not_fill_the_log() {
        let told = told(
            &"yes | head -c 100000; exit 1".into(),
            Duration::from_secs(60),
        );
        assert_eq!(told.len(), MOST_LINES + 3);
        assert_eq!(
            told[MOST_LINES + 1],
            "ERROR   stdout: … 32668 more line(s), 34464 more byte(s)"
        );
    }
}
