use super::*;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use ferroban_engine::{Ticket, Timestamp};
use tempfile::TempDir;

use crate::log::{Level, Target};
use crate::process::script;

/// Facts that never change.
#[derive(Default)]
struct Known {
    ipv6: bool,
}

impl Facts for Known {
    fn ipv6(&self) -> bool {
        self.ipv6
    }
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

/// An action in a folder of its own, whose commands may write to `DIR/rec`.
struct Scene {
    folder: TempDir,
    shell: Shell,
    log: Log,
    read: (usize, usize),
}

impl Scene {
    fn new(options: &[(&str, &str)], facts: Known) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let properties = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.replace("DIR", path)))
            .collect();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Info).unwrap();
        let shell = Shell::new(
            "j".parse().unwrap(),
            "a".to_owned(),
            properties,
            log.clone(),
            Arc::new(facts),
        );
        Self {
            folder,
            shell,
            log,
            read: (0, 0),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What the commands wrote since the last time.
    fn recorded(&mut self) -> Vec<String> {
        let text = fs::read_to_string(self.path().join("rec")).unwrap_or_default();
        let new = text.get(self.read.0..).unwrap().lines();
        let new = new.map(ToOwned::to_owned).collect();
        self.read.0 = text.len();
        new
    }

    /// What was told since the last time, besides the failures of commands.
    fn told(&mut self) -> Vec<String> {
        self.log.flush();
        let text = fs::read_to_string(self.path().join("log")).unwrap();
        let new = text.get(self.read.1..).unwrap().lines();
        // A command of several lines is told in as many.
        let new = new.filter(|line| line.contains("]: ") && !line.contains(" fail2ban.utils "));
        let new = new
            .map(|line| line.split_once("]: ").unwrap().1.get(8..).unwrap())
            .map(|message| message.trim_start().to_owned())
            .collect();
        self.read.1 = text.len();
        new
    }
}

/// Writes down that it was run, and fails as long as `fail-…` is there, or once if
/// `once-…` is.
fn recording(op: &str, with_family: bool) -> String {
    let family = if with_family { " [<family>]" } else { "" };
    format!(
        "echo '{op}{family} [<ip>]' >> DIR/rec\n\
         if test -e DIR/once-{op}; then rm DIR/once-{op}; exit 1; fi\n\
         test ! -e DIR/fail-{op}"
    )
}

/// The lines of a scenario: what there is, and then steps with what comes of them.
fn scene(lines: &mut VecDeque<&str>) -> Scene {
    let mut options: Vec<(String, String)> = Vec::new();
    let mut facts = Known::default();
    let mut files = Vec::new();
    while let Some(line) = lines.front().copied() {
        if let Some(commands) = line.strip_prefix("commands ") {
            let with_family = !commands.ends_with(" (no family)");
            let commands = commands.trim_end_matches(" (no family)").split(' ');
            options.extend(commands.map(|op| (format!("action{op}"), recording(op, with_family))));
        } else if let Some(option) = line.strip_prefix("option ") {
            let (name, value) = option.split_once(" = ").unwrap();
            options.push((name.to_owned(), value.to_owned()));
        } else if line == "ipv6" {
            facts.ipv6 = true;
        } else if let Some(file) = line.strip_prefix('+') {
            files.push(file);
        } else {
            break;
        }
        lines.pop_front();
    }
    let options: Vec<(&str, &str)> = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let scene = Scene::new(&options, facts);
    for file in files {
        fs::write(scene.path().join(file), "").unwrap();
    }
    scene
}

fn perform(shell: &mut Shell, step: &str) -> String {
    let (what, whom) = step.split_once(' ').unwrap_or((step, ""));
    let ban = ban_of(whom);
    let result = match what {
        "start" => shell.start(),
        "stop" => shell.stop(),
        "flush" => shell.flush(),
        "reload" => shell.reload(),
        "ban" => shell.ban(&ban),
        "reban" => shell.reban(&ban),
        "prolong" => shell.prolong(&ban),
        "unban" => shell.unban(&ban),
        "check" => match shell.consistency_check(Occasion::Ban) {
            Ok(true) => Ok(()),
            Ok(false) => return "False".to_owned(),
            Err(error) => Err(error),
        },
        "check-flush" => match shell.consistency_check(Occasion::Flush) {
            Ok(true) => Ok(()),
            Ok(false) => return "False".to_owned(),
            Err(error) => Err(error),
        },
        other => panic!("no step {other}"),
    };
    result.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

/// Plays a scenario, and writes it down as it went.
fn play(text: &str) -> String {
    let mut lines: VecDeque<&str> = text.lines().collect();
    let count = lines.len();
    let mut scene = scene(&mut lines);
    let head = count - lines.len();
    let mut out: Vec<String> = text.lines().take(head).map(ToOwned::to_owned).collect();
    for line in lines.iter().filter(|line| !line.starts_with("    ")) {
        if let Some(file) = line.strip_prefix('+') {
            fs::write(scene.path().join(file), "").unwrap();
            out.push((*line).to_owned());
        } else if let Some(file) = line.strip_prefix('-') {
            fs::remove_file(scene.path().join(file)).unwrap();
            out.push((*line).to_owned());
        } else {
            let (step, _) = line.split_once(" -> ").unwrap();
            let result = perform(&mut scene.shell, step);
            out.push(format!("{step} -> {result}"));
            out.extend(scene.recorded().iter().map(|line| format!("    {line}")));
            out.extend(scene.told().iter().map(|line| format!("    ! {line}")));
        }
    }
    out.join("\n")
}

fn play_all(file: &str) {
    let mut failed = Vec::new();
    let (about, scenarios) = file.split_once("\n= ").unwrap();
    assert!(about.starts_with('#'));
    for scenario in scenarios.split("\n= ") {
        let (name, text) = scenario.trim_end().split_once('\n').unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let text = &lines.collect::<Vec<_>>().join("\n");
        let played = play(text);
        if played != *text {
            failed.push(format!("= {name}\n{played}\n--- expected\n{text}"));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
}

#[test]
fn commands_are_run_when_and_for_whom_the_original_runs_them() {
    play_all(include_str!("tests/traces.txt"));
}

#[test]
fn where_the_original_would_leave_bans_behind_we_do_not() {
    play_all(include_str!("tests/ours.txt"));
}

/// An action whose commands write down what they are for.
fn scribe(options: &[(&str, &str)]) -> Scene {
    let mut all = vec![
        ("actionstart", "echo start >> DIR/rec"),
        ("actionban", "echo ban <ip> <restored> >> DIR/rec"),
        ("actionprolong", "echo prolong <ip> >> DIR/rec"),
        ("actionunban", "echo unban <ip> >> DIR/rec"),
    ];
    all.extend_from_slice(options);
    Scene::new(&all, Known::default())
}

#[test]
fn words_that_are_true_start_on_demand() {
    let cases = [
        ("1", true),
        ("on", true),
        ("YES", true),
        ("True", true),
        ("0", false),
        ("no", false),
        ("off", false),
        ("xx", false),
        ("", false),
    ];
    for (word, is_on) in cases {
        let mut scene = scribe(&[("actionstart_on_demand", word)]);
        scene.shell.start().unwrap();
        assert_eq!(scene.recorded().is_empty(), is_on, "{word}");
        scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
        assert_eq!(
            scene.recorded().first().unwrap() == "start",
            is_on,
            "{word}"
        );
    }
}

#[test]
fn restored_bans_can_be_left_out() {
    let mut restored = ban_of("192.0.2.1");
    restored.restored = true;
    for (word, expected) in [
        ("1", vec![]),
        ("0", vec!["ban 192.0.2.1 1", "prolong 192.0.2.1"]),
    ] {
        let mut scene = scribe(&[("norestored", word), ("actionstart", "")]);
        assert_eq!(scene.shell.norestored(), word == "1");
        scene.shell.ban(&restored).unwrap();
        scene.shell.prolong(&restored).unwrap();
        assert_eq!(scene.recorded(), expected, "{word}");
        // The family has a ban, and then the restored one is lifted like any other.
        scene.shell.ban(&ban_of("192.0.2.2")).unwrap();
        scene.shell.unban(&restored).unwrap();
        assert_eq!(scene.recorded(), ["ban 192.0.2.2 0", "unban 192.0.2.1"]);
    }
}

#[test]
fn options_are_read_with_their_defaults() {
    let cases = [
        (None, Duration::from_secs(60)),
        (Some("5"), Duration::from_secs(5)),
        (Some("1m 30"), Duration::from_secs(90)),
        (Some("0.5"), Duration::from_millis(500)),
        (Some("-1"), Duration::ZERO),
        (Some("x"), Duration::from_secs(60)),
    ];
    for (text, expected) in cases {
        let option = text.map(|text| ("timeout", text));
        let scene = scribe(option.as_slice());
        assert_eq!(scene.shell.timeout(), expected, "{text:?}");
    }
    let scene = scribe(&[("bantime", "5"), ("actionflush", " \n")]);
    assert!(!scene.shell.properties().contains_key("bantime"));
    assert!(!scene.shell.has_flush());
    assert!(scribe(&[("actionflush", "true")]).shell.has_flush());
}

#[test]
fn the_ban_time_of_a_ticket_is_not_hidden_by_an_option() {
    let mut scene = Scene::new(
        &[
            ("bantime", "5"),
            ("actionban", "echo <bantime> <timeout> <br> >> DIR/rec"),
        ],
        Known::default(),
    );
    scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
    assert_eq!(
        scene.recorded(),
        Vec::<String>::new(),
        "the second line has the file"
    );
    let mut scene = Scene::new(
        &[
            ("bantime", "5"),
            ("actionban", "echo <bantime> <timeout> >> DIR/rec"),
        ],
        Known::default(),
    );
    scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
    assert_eq!(scene.recorded(), ["600 60"]);
}

#[test]
fn new_options_count_at_once_and_what_was_started_stays_so() {
    let mut scene = scribe(&[("word", "one"), ("actionban", "echo <word> >> DIR/rec")]);
    scene.shell.start().unwrap();
    scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
    let mut properties = scene.shell.properties().clone();
    properties.insert("word".into(), "two".into());
    let unban = format!("echo two <ip> >> {}/rec", scene.path().display());
    properties.insert("actionunban".into(), unban);
    scene.shell.configure(properties);
    scene.shell.ban(&ban_of("192.0.2.2")).unwrap();
    scene.shell.unban(&ban_of("192.0.2.1")).unwrap();
    assert_eq!(scene.recorded(), ["start", "one", "two", "two 192.0.2.1"]);
}

#[test]
fn each_repair_begins_an_epoch() {
    let check = (
        "actioncheck",
        "test -e DIR/sane || { touch DIR/sane; false; }",
    );
    let fail = ("actionban", "test -e DIR/sane && echo ban >> DIR/rec");
    let mut scene = scribe(&[check, fail]);
    assert_eq!(scene.shell.epoch(), 0);
    scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
    assert_eq!(scene.shell.epoch(), 1);
    scene.shell.ban(&ban_of("192.0.2.2")).unwrap();
    assert_eq!(scene.shell.epoch(), 1);
}

#[test]
fn whom_a_repair_may_have_lost_is_known_until_he_is_banned_again() {
    let own = [
        ("actioncheck", "test -e DIR/sane"),
        ("actionstart", "touch DIR/sane"),
        ("actionban", "test -e DIR/sane"),
    ];
    let mut scene = scribe(&own);
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(ban_of);
    scene.shell.start().unwrap();
    scene.shell.ban(&old).unwrap();
    assert!(!scene.shell.may_lack(&old), "there was no repair");
    fs::remove_file(scene.path().join("sane")).unwrap();
    scene.shell.ban(&new).unwrap();
    assert!(scene.shell.may_lack(&old) && !scene.shell.may_lack(&new));
    scene.shell.reban(&old).unwrap();
    assert!(!scene.shell.may_lack(&old));
    scene.shell.unban(&new).unwrap();
    scene.shell.ban(&new).unwrap();
    assert!(!scene.shell.may_lack(&new));
}

#[test]
fn a_command_that_hangs_is_ended_twice_and_then_given_up() {
    let hang = ("actionban", "echo ban >> DIR/rec; trap '' TERM; sleep 60");
    let mut scene = scribe(&[hang, ("timeout", "0.05")]);
    let ban = ban_of("192.0.2.1");
    let error = scene.shell.ban(&ban).unwrap_err();
    let info = scene.shell.info(&ban);
    assert!(
        info.starts_with("ActionInfo({'ip': '192.0.2.1', "),
        "{info}"
    );
    assert_eq!(error.to_string(), "Error banning 192.0.2.1");
    assert_eq!(scene.recorded(), ["ban", "ban"]);
}

#[test]
fn commands_that_touch_the_same_run_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    // A command that finds another one at work leaves a mark.
    let ban = "mkdir DIR/busy || touch DIR/clash; for i in 1 2 3; do true; done; rmdir DIR/busy";
    let ban = ban.replace("DIR", path);
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let mut scene = scribe(&[("actionban", &ban)]);
            let work = move || {
                for _ in 0..10 {
                    scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
                }
            };
            let name = format!("f2b/test{number}");
            std::thread::Builder::new().name(name).spawn(work).unwrap()
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn an_action_may_move_to_its_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Shell>();
}

#[test]
fn hostile_captures_of_a_ban_are_only_data() {
    let mut scene = scribe(&[(
        "actionban",
        "printf '%s|%s\\n' \"<F-USER>\" \"<matches>\" >> DIR/rec; printf '%s\\n' <ip> >> DIR/rec",
    )]);
    let canary = scene.path().join("canary");
    let evil = format!("$(touch {0});`touch {0}`';touch {0};\"", canary.display());
    let mut ban = ban_of("x");
    ban.ticket
        .captures
        .push(("user".into(), evil.clone().into()));
    ban.ticket
        .matches
        .push(ferroban_engine::Match::new("", "", &evil));
    ban.id = FailId::Text(format!("$(touch {})", canary.display()));
    scene.shell.ban(&ban).unwrap();
    let expected = format!("{evil}|{evil}");
    assert_eq!(scene.recorded().first(), Some(&expected));
    assert!(!canary.exists());
}

#[test]
fn no_command_waits_for_one_that_touches_nothing_of_its_own() {
    let mut slow = Scene::new(&[("actionban", "read x < DIR/gate")], Known::default());
    let gate = slow.path().join("gate");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut quick = scribe(&[("actionban", "echo banned >> DIR/rec")]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| slow.shell.ban(&ban_of("192.0.2.1")));
        // Opens when the slow one is at work.
        let mut gate = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        quick.shell.ban(&ban_of("192.0.2.1")).unwrap();
        assert_eq!(quick.recorded(), ["banned"]);
        assert!(!slow.is_finished());
        std::io::Write::write_all(&mut gate, b"\n").unwrap();
        slow.join().unwrap().unwrap();
    });
}

/// In a set of its own, as `nftables.conf` has it.
fn nft_action(more: &[(&str, &str)]) -> Scene {
    let mut options = vec![
        (
            "actionstart",
            "nft add table inet t\nnft add set inet t s \\{ type ipv4_addr\\; \\}",
        ),
        ("actionban", "nft add element inet t s \\{ <ip> \\}"),
        ("actionunban", "nft delete element inet t s \\{ <ip> \\}"),
    ];
    options.extend_from_slice(more);
    let mut scene = Scene::new(&options, Known::default());
    scene.shell.start().unwrap();
    scene
}

#[test]
fn plain_commands_are_done_in_process_once_they_are_proven_and_many_at_once() {
    crate::action::namespace::inside("nft list ruleset", || {
        let bans: Vec<Ban> = (1..=9).map(|n| ban_of(&format!("192.0.2.{n}"))).collect();
        let (first, rest) = bans.split_first().unwrap();
        let rest: Vec<&Ban> = rest.iter().collect();
        let mut scene = nft_action(&[]);
        assert_eq!(
            scene.shell.ban_many(&rest),
            [false; 8],
            "it has no bans yet"
        );
        scene.shell.ban(first).unwrap();
        let told = scene.told();
        let [told] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert!(
            told.starts_with(
                "[j] a: 'nft add element inet t s \\{ 192.0.2.1 \\}' did what we would have done"
            ),
            "{told}"
        );
        assert_eq!(scene.shell.ban_many(&rest), [true; 8]);
        let text = ban_of("someone");
        assert_eq!(
            scene.shell.ban_many(&[&text]),
            [false],
            "that is no address"
        );
        assert_eq!(scene.shell.unban_many(&rest), [false; 8]);
        scene.shell.unban(first).unwrap();
        assert_eq!(scene.shell.unban_many(&rest), [true; 8]);
        // What is not there any more is refused in process, and by the program.
        scene.told();
        assert!(scene.shell.unban(first).is_err());
        // Somebody took the set away: the commands fail, and say so.
        let gone = script::run(
            &"nft delete table inet t".into(),
            Duration::from_secs(9),
            (),
        );
        assert!(gone.unwrap().is_success());
        assert_eq!(scene.shell.ban_many(&rest), [false; 8]);
        assert!(scene.shell.ban(first).is_err());
    });
}

#[test]
fn what_was_learnt_is_forgotten_with_the_options_it_was_learnt_from() {
    crate::action::namespace::inside("nft list ruleset", || {
        let mut scene = nft_action(&[]);
        scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
        assert_eq!(scene.shell.take_lifted().unwrap().len(), 1);
        // The same options, as after a reload.
        let mut options = scene.shell.properties().clone();
        scene.shell.configure(options.clone());
        assert_eq!(scene.shell.ban_many(&[&ban_of("192.0.2.2")]), [true]);
        assert_eq!(scene.shell.take_lifted(), None);
        options.insert("lift".into(), "off".into());
        scene.shell.configure(options);
        assert_eq!(scene.shell.ban_many(&[&ban_of("192.0.2.3")]), [false]);
        assert_eq!(scene.shell.take_lifted(), Some(vec![]));
    });
}

#[test]
fn a_lift_that_is_off_leaves_every_command_to_the_shell() {
    crate::action::namespace::inside("nft list ruleset", || {
        for (lift, expected) in [("off", false), ("No", false), ("on", true), ("", true)] {
            let mut scene = nft_action(&[("lift", lift)]);
            scene.shell.ban(&ban_of("192.0.2.1")).unwrap();
            let next = ban_of("192.0.2.2");
            assert_eq!(scene.shell.ban_many(&[&next]), [expected], "{lift}");
            scene.shell.ban(&next).unwrap();
            let gone = script::run(
                &"nft delete table inet t".into(),
                Duration::from_secs(9),
                (),
            );
            assert!(gone.unwrap().is_success());
        }
    });
}
