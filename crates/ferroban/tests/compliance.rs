//! The ratchet: what the original shows in the scenarios of `../shared/conformance`,
//! we show too, or the scenario stands in `compliance/pending`.
//!
//! The build breaks when a scenario outside of that list fails, and also when one of
//! the list passes, so that nothing that once worked is lost. How to work with it is
//! told in `compliance/README.md`.
//!
//! The scenarios need root and Debian's packages; without them the test says so and
//! passes, except where the variable `CI` is set. They do not belong to this
//! repository: in a clone that stands alone the test says so and passes everywhere.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};
    use std::time::Instant;
    use std::{env, fs};

    use serde::Deserialize;
    use serde_json::Value;
    use tempfile::TempDir;

    /// Scenarios at a time. They mostly wait, so there may be more than cores; with 12
    /// on two cores it was hardly faster, and a count of seconds went wrong.
    const JOBS: &str = "8";
    /// The same for pending ones, that wait for what never happens.
    const JOBS_PENDING: &str = "16";
    /// Seconds for one side of one scenario. The slowest one takes the original 28 on
    /// two busy cores; more is only spent on waiting for what does not happen.
    const TIMEOUT: &str = "60";
    /// A scenario that failed is tried again, alone: other load can upset its timing.
    /// More than so many are no accident.
    const RETRIES: usize = 6;
    /// Made by the scenarios, as the place of their own file systems.
    const MOUNT_POINT: &str = "/tmp/f2bt";

    const PYTHON: &str = "/usr/bin/python3";
    /// What must be installed, each with the Debian package that has it.
    const PROGRAMS: [(&str, &str); 9] = [
        ("/usr/bin/fail2ban-client", "fail2ban"),
        ("/usr/bin/fail2ban-server", "fail2ban"),
        ("/usr/bin/fail2ban-regex", "fail2ban"),
        (PYTHON, "python3"),
        ("/usr/sbin/nft", "nftables"),
        ("/usr/sbin/iptables", "iptables"),
        ("/usr/sbin/ipset", "ipset"),
        ("/bin/ip", "iproute2"),
        ("/usr/bin/unshare", "util-linux"),
    ];

    /// The faces that are compared.
    const FACES: [(&str, &str); 3] = [
        ("fail2ban-client", env!("CARGO_BIN_EXE_fail2ban-client")),
        ("fail2ban-server", env!("CARGO_BIN_EXE_fail2ban-server")),
        ("fail2ban-regex", env!("CARGO_BIN_EXE_fail2ban-regex")),
    ];

    /// What a scenario ended with, one line of the comparing program.
    #[derive(Clone, Debug, Deserialize)]
    struct Outcome {
        name: String,
        pass: bool,
        failed_checks: Vec<String>,
        /// The checks that passed because `differences.json` wants them to differ.
        #[serde(default)]
        wanted_differences: BTreeSet<String>,
    }

    /// `differences.json`: by scenario and check.
    type Differences = BTreeMap<String, BTreeMap<String, Difference>>;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Difference {
        /// Read by the comparing program.
        #[serde(rename = "ours")]
        _ours: Value,
        why: String,
    }

    #[test]
    fn we_show_what_the_original_shows_or_the_scenario_is_pending() {
        let Some(folder) = conformance() else {
            return say("left out: there is no ../shared/conformance beside this clone");
        };
        if let Some(reason) = obstacle() {
            assert!(
                env::var_os("CI").is_none(),
                "not skipped where CI is set: {reason}"
            );
            return say(&format!("skipped: {reason}"));
        }
        let scenarios = scenarios(&folder);
        let pending = pending();
        let differences = differences();
        let faces = faces();

        let start = now();
        let (late, due): (Vec<&str>, Vec<&str>) = scenarios
            .iter()
            .map(String::as_str)
            .partition(|name| pending.iter().any(|late| late == name));
        let mut outcomes = Vec::new();
        for (names, jobs) in [(due, JOBS), (late, JOBS_PENDING)] {
            let printed = compare(&folder, &faces, &names, &["--jobs", jobs]);
            outcomes.extend(read(&printed));
        }
        let again = retry(&mut outcomes, &pending, |name| {
            compare(&folder, &faces, &[name], &["--diff"])
        });
        for note in &again.passed {
            say(note);
        }
        let passed = outcomes.iter().filter(|outcome| outcome.pass).count();
        say(&format!(
            "{} scenarios in {} s: {passed} passed, {} are pending",
            scenarios.len(),
            start.elapsed().as_secs(),
            pending.len(),
        ));

        let mut complaints = wrong_lists(&scenarios, &pending, &differences);
        complaints.extend(judge(&scenarios, &pending, &differences, &outcomes));
        // The list comes last, where it is seen first.
        let (told, list) = (again.told, complaints.join("\n"));
        assert!(complaints.is_empty(), "\n{told}\n{list}\n");
    }

    /// What came of a second try.
    #[derive(Debug, Default)]
    struct Again {
        /// One sentence for each that passed.
        passed: Vec<String>,
        /// What the comparing program told of those that failed again.
        told: String,
    }

    /// Runs the failed ones of `outcomes` again, one by one, and puts the new outcome
    /// in the place of the old.
    fn retry(outcomes: &mut [Outcome], pending: &[String], run: impl Fn(&str) -> String) -> Again {
        let mut failed: Vec<&mut Outcome> = outcomes
            .iter_mut()
            .filter(|outcome| !outcome.pass && !pending.contains(&outcome.name))
            .collect();
        let mut again = Again::default();
        if failed.len() > RETRIES {
            return again;
        }
        for first in &mut failed {
            let text = run(&first.name);
            let Some(second) = read(&text).pop() else {
                continue;
            };
            if second.pass {
                again.passed.push(format!(
                    "{} passed at the second try; at the first failed {:?}",
                    first.name, first.failed_checks
                ));
            } else {
                again.told.extend(text.lines().map(cut));
            }
            **first = second;
        }
        again
    }

    /// A line of a difference can be a whole configuration.
    fn cut(line: &str) -> String {
        line.chars().take(200).chain(['\n']).collect()
    }

    /// What is wrong with the two lists themselves.
    fn wrong_lists(
        scenarios: &BTreeSet<String>,
        pending: &[String],
        differences: &Differences,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut seen = BTreeSet::new();
        for name in pending {
            if !scenarios.contains(name) {
                complaints.push(format!(
                    "compliance/pending: '{name}' is no scenario; remove it"
                ));
            }
            if !seen.insert(name) {
                complaints.push(format!(
                    "compliance/pending: '{name}' is there twice; remove one"
                ));
            }
        }
        for (name, checks) in differences {
            if !scenarios.contains(name) {
                complaints.push(format!(
                    "compliance/differences.json: '{name}' is no scenario; remove it"
                ));
            }
            for (check, _) in checks
                .iter()
                .filter(|(_, difference)| difference.why.trim().is_empty())
            {
                complaints.push(format!(
                    "compliance/differences.json: {name} / {check}: say why"
                ));
            }
        }
        complaints
    }

    /// What breaks the build.
    fn judge(
        scenarios: &BTreeSet<String>,
        pending: &[String],
        differences: &Differences,
        outcomes: &[Outcome],
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        for name in scenarios {
            if outcomes
                .iter()
                .filter(|outcome| outcome.name == *name)
                .count()
                != 1
            {
                complaints.push(format!("{name}: has no outcome; the comparison broke off"));
            }
        }
        for Outcome {
            name,
            pass,
            failed_checks,
            wanted_differences,
        } in outcomes
        {
            match (pass, pending.contains(name)) {
                (false, false) => complaints.push(format!(
                    "{name}: failed, and is not pending: {failed_checks:?}"
                )),
                (true, true) => complaints.push(format!(
                    "{name}: passes now; remove it from compliance/pending"
                )),
                _ => {}
            }
            for check in differences.get(name).into_iter().flat_map(BTreeMap::keys) {
                if *pass && !wanted_differences.contains(check) {
                    complaints.push(format!(
                        "{name}: '{check}' does not differ any more; remove it from compliance/differences.json"
                    ));
                }
            }
        }
        complaints
    }

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    /// The folder of the scenarios, if there is one.
    fn conformance() -> Option<PathBuf> {
        if let Some(folder) = env::var_os("FERROBAN_CONFORMANCE") {
            let folder = PathBuf::from(folder);
            assert!(
                folder.join("f2bdiff.py").exists(),
                "FERROBAN_CONFORMANCE: no f2bdiff.py in {}",
                folder.display()
            );
            return Some(folder);
        }
        let folder = root().join("../shared/conformance");
        folder.join("f2bdiff.py").exists().then_some(folder)
    }

    /// Why the scenarios cannot run here.
    fn obstacle() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("needs root, to make namespaces".to_owned());
        }
        for (program, package) in PROGRAMS {
            if !Path::new(program).exists() {
                return Some(format!("{program} is missing; install {package}"));
            }
        }
        let done = output(command("unshare").args([
            "-n",
            "-m",
            "-u",
            "-i",
            "-p",
            "-f",
            "--mount-proc",
            "true",
        ]));
        (!done.status.success()).then(|| {
            format!(
                "no namespaces here: {}",
                String::from_utf8_lossy(&done.stderr)
            )
        })
    }

    /// A folder with the three commands, so that nobody replaces them half way.
    fn faces() -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, program) in FACES {
            fs::copy(program, folder.path().join(name)).unwrap();
        }
        folder
    }

    fn scenarios(folder: &Path) -> BTreeSet<String> {
        fs::read_dir(folder.join("scenarios"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "py"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    fn pending() -> Vec<String> {
        names(&fs::read_to_string(root().join("compliance/pending")).unwrap())
    }

    /// One name a line; `#` starts a comment.
    fn names(text: &str) -> Vec<String> {
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|name| !name.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    fn differences() -> Differences {
        let text = fs::read_to_string(root().join("compliance/differences.json")).unwrap();
        serde_json::from_str(&text).expect("compliance/differences.json is as its README says")
    }

    /// Runs scenarios on both sides and returns what the comparing program printed.
    fn compare(folder: &Path, faces: &TempDir, names: &[&str], options: &[&str]) -> String {
        if names.is_empty() {
            // It would take that for all.
            return String::new();
        }
        let made_before = Path::new(MOUNT_POINT).exists();
        let mut python = command(PYTHON);
        for variable in ["F2B_REF", "F2B_ALT", "F2B_CONF"] {
            python.env_remove(variable);
        }
        python
            .env("F2B_BIN", faces.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(folder.join("f2bdiff.py"))
            .arg("--differences")
            .arg(root().join("compliance/differences.json"))
            .args(["--timeout", TIMEOUT])
            .args(names.iter().flat_map(|name| ["--only", name]))
            .args(options);
        let done = output(&mut python);
        if !made_before {
            // Somebody else may be using it by now.
            fs::remove_dir(MOUNT_POINT).ok();
        }
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(
            matches!(done.status.code(), Some(0 | 1)),
            "f2bdiff.py: {}\n{told}",
            done.status
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn read(printed: &str) -> Vec<Outcome> {
        printed
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the original is another program")]
    fn command(program: &str) -> Command {
        Command::new(program)
    }

    fn output(command: &mut Command) -> Output {
        command
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long the comparison takes is told"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    /// Past the capture of the test harness, which hides what a passing test says.
    fn say(text: &str) {
        // A closed standard error takes nothing from the test.
        io::stderr()
            .write_all(format!("compliance: {text}\n").as_bytes())
            .ok();
    }

    fn outcome(name: &str, pass: bool) -> Outcome {
        let failed_checks = if pass {
            Vec::new()
        } else {
            vec!["log".to_owned()]
        };
        Outcome {
            name: name.to_owned(),
            pass,
            failed_checks,
            wanted_differences: BTreeSet::new(),
        }
    }

    fn all(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_regression_a_graduate_and_a_missing_outcome_break_the_build() {
        let cases: &[(&[&str], &[Outcome], &[&str])] = &[
            // pending, outcomes, complaints
            (&[], &[outcome("a", true), outcome("b", true)], &[]),
            (&["a"], &[outcome("a", false), outcome("b", true)], &[]),
            (
                &[],
                &[outcome("a", false), outcome("b", true)],
                &["a: failed, and is not pending: [\"log\"]"],
            ),
            (
                &["a"],
                &[outcome("a", true), outcome("b", true)],
                &["a: passes now; remove it from compliance/pending"],
            ),
            (
                &["a"],
                &[outcome("a", false)],
                &["b: has no outcome; the comparison broke off"],
            ),
        ];
        for (pending, outcomes, complaints) in cases {
            let pending = names(&pending.join("\n"));
            assert_eq!(
                judge(&all(&["a", "b"]), &pending, &Differences::new(), outcomes),
                *complaints,
                "{pending:?} {outcomes:?}"
            );
        }
    }

    #[test]
    fn a_wanted_difference_that_is_none_any_more_breaks_the_build() {
        let text =
            r#"{"a": {"log": {"ours": ["x"], "why": "one bad jail must not stop the others"}}}"#;
        let differences: Differences = serde_json::from_str(text).unwrap();
        let mut outcomes = [outcome("a", true)];
        let complaint =
            "a: 'log' does not differ any more; remove it from compliance/differences.json";
        assert_eq!(
            judge(&all(&["a"]), &[], &differences, &outcomes),
            [complaint]
        );
        outcomes[0].wanted_differences = all(&["log"]);
        assert_eq!(judge(&all(&["a"]), &[], &differences, &outcomes), [""; 0]);
    }

    #[test]
    fn the_lists_name_scenarios_once_and_give_reasons() {
        let pending = names("# not yet\na\na # again\n\ngone\n");
        let text = r#"{"lost": {}, "a": {"log": {"ours": 1, "why": " "}}}"#;
        let differences: Differences = serde_json::from_str(text).unwrap();
        assert_eq!(
            wrong_lists(&all(&["a"]), &pending, &differences),
            [
                "compliance/pending: 'a' is there twice; remove one",
                "compliance/pending: 'gone' is no scenario; remove it",
                "compliance/differences.json: a / log: say why",
                "compliance/differences.json: 'lost' is no scenario; remove it",
            ]
        );
        let unreasoned = serde_json::from_str::<Differences>(r#"{"a": {"log": {"ours": 1}}}"#);
        assert!(unreasoned.is_err(), "a difference needs a reason");
    }

    #[test]
    fn what_fails_once_is_tried_again_alone() {
        let line = |name: &str, pass: bool| {
            format!("{{\"name\": \"{name}\", \"pass\": {pass}, \"failed_checks\": []}}\n")
        };
        let second = |name: &str| match name {
            "shaky" => line("shaky", true),
            "broken" => line("broken", false) + "  --- broken / log\n",
            other => panic!("{other} is not to be tried again"),
        };
        let mut first =
            ["fine", "shaky", "broken", "pending"].map(|name| outcome(name, name == "fine"));
        let again = retry(&mut first, &names("pending"), second);
        let passes = first.map(|outcome| outcome.pass);
        assert_eq!(passes, [true, true, false, false]);
        let note = "shaky passed at the second try; at the first failed [\"log\"]";
        assert_eq!(again.passed, [note]);
        assert!(again.told.ends_with("--- broken / log\n"), "{again:?}");

        let mut many: Vec<Outcome> = (0..=RETRIES)
            .map(|n| outcome(&n.to_string(), false))
            .collect();
        let again = retry(&mut many, &[], |_| panic!("too many for an accident"));
        assert!(again.passed.is_empty() && again.told.is_empty());
    }
}
