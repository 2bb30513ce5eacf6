use super::*;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use ferroban_engine::{Ticket, Timestamp};
use tempfile::TempDir;

use crate::log::{Level, Target};

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
        let new = new.filter(|line| !line.contains(" fail2ban.utils "));
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
