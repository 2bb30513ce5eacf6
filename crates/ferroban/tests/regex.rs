//! `fail2ban-regex`: Debian's program and ours on the same inputs, over a table of
//! invocations. Both print the same and exit alike, but for what the table says.
//!
//! `regex/table.jsonl` has one invocation in each line: a list of words, or, where the two
//! are to differ, an object with the words, the reason, and what ours shows. `regex/world`
//! is the folder in which both are run. Debian's is 1.0.2 and ours is 1.1, so a few texts
//! are brought to one form before they are compared.
//!
//! Without Debian's fail2ban there is nothing to compare with: the test says so and passes,
//! except where the variable `CI` is set.

#[cfg(test)]
#[expect(dead_code, reason = "what makes worlds is for the end-to-end tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde::Deserialize;
    use tempfile::TempDir;

    use crate::support::child::{Done, command, run};
    use crate::support::world::skip;

    const DEBIANS: &str = "/usr/bin/fail2ban-regex";
    const OURS: &str = env!("CARGO_BIN_EXE_fail2ban-regex");
    const TABLE: &str = include_str!("regex/table.jsonl");
    const WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regex/world");

    /// One line of the table.
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Row {
        Same(Vec<String>),
        Differs(Difference),
    }

    /// Where ours is to be different.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Difference {
        args: Vec<String>,
        /// The reason.
        why: String,
        code: i32,
        out: String,
        err: String,
    }

    /// What a program showed, in a form that the two have in common.
    #[derive(Debug, Eq, PartialEq)]
    struct Shown {
        code: Option<i32>,
        out: String,
        err: String,
    }

    impl Shown {
        fn of(done: &Done) -> Self {
            // Where the original shows where it was in its source, ours says what is wrong.
            let broken = ["Traceback", "fail2ban-regex: "];
            let is_broken = |line: &str| {
                let usage = line.starts_with("fail2ban-regex: error: ");
                broken.iter().any(|start| line.starts_with(start)) && !usage
            };
            let err = if done.stderr.lines().any(is_broken) {
                "(told)".to_owned()
            } else {
                common(&done.stderr)
            };
            Self {
                code: done.code,
                out: common(&done.stdout),
                err,
            }
        }
    }

    /// A copy of the folder in which everything is run.
    fn world() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new(WORLD), folder.path());
        folder
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    fn shown(program: &str, world: &Path, args: &[String]) -> Shown {
        let mut command = command(program);
        command
            .args(args)
            .current_dir(world)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("PYTHONHASHSEED", "0");
        Shown::of(&run(&mut command))
    }

    /// A text as both versions would write it.
    fn common(text: &str) -> String {
        let mut text = text
            .replace(DEBIANS, "PROGRAM")
            .replace(OURS, "PROGRAM")
            .replace("fail2ban-regex 1.0.2", "fail2ban-regex VERSION")
            .replace("fail2ban-regex 1.1.1", "fail2ban-regex VERSION")
            // 1.1 calls a filter what 1.0.2 called a failregex.
            .replace("Use   failregex filter file :", "Use      filter file :")
            .replace("Use   failregex file :", "Use      filter file :")
            // 1.1 takes fewer texts for an IPv6 address.
            .replace("::?|::){1,7}", "::?|:){1,7}")
            .replace("%3A%3A%3F%7C%3A%3A%29", "%3A%3A%3F%7C%3A%29")
            // 1.1 reads more dates without blanks.
            .replace(
                "ExDay(?:T|  ?)Ex24hourExMinuteExSecond",
                "ExDay(?:-|T|  ?)Ex24hour:?ExMinute:?ExSecond",
            )
            // What the usage has more in 1.1.
            .replace("name of jail or filter,", "name of filter,")
            .replace(
                "  -i, --invert          Invert the sense of matching, to output non-matching\n\
                 \x20                       lines.\n",
                "",
            );
        if matches!(text.as_str(), "1.0.2\n" | "1.1.1\n") {
            text = "VERSION\n".to_owned();
        }
        let lines = text.split('\n').map(line);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A line without the time it was written at.
    fn line(line: &str) -> String {
        if line.starts_with("[processed in ") {
            return "[processed in SOME sec]".to_owned();
        }
        let logged = line
            .split_once("]: ")
            .filter(|(head, _)| head.contains(" fail2ban."));
        let Some((head, rest)) = logged else {
            return line.to_owned();
        };
        let logger = head.split(' ').find(|word| word.starts_with("fail2ban."));
        let message = rest.split_once(": ").map_or(rest, |(_, message)| message);
        format!("LOG {} {message}", logger.unwrap_or_default())
    }

    fn problem(world: &Path, row: &Row) -> Option<String> {
        let (args, wanted) = match row {
            Row::Same(args) => (args, None),
            Row::Differs(difference) => (&difference.args, Some(difference)),
        };
        let (original, ours) = (shown(DEBIANS, world, args), shown(OURS, world, args));
        match wanted {
            // A second may have ended between the two, and some rows show the time.
            None if ours == original || ours == shown(DEBIANS, world, args) => None,
            None => Some(format!(
                "{args:?}:\n--- original\n{}\n--- ours\n{}",
                written(&original),
                written(&ours)
            )),
            Some(difference) if ours == original => Some(format!(
                "{args:?}: is the same, but is to differ: {}",
                difference.why
            )),
            Some(difference) => {
                let listed = Shown {
                    code: Some(difference.code),
                    out: difference.out.clone(),
                    err: difference.err.clone(),
                };
                (ours != listed).then(|| {
                    format!(
                        "{args:?}:\n--- listed\n{}\n--- ours\n{}",
                        written(&listed),
                        written(&ours)
                    )
                })
            }
        }
    }

    fn written(shown: &Shown) -> String {
        let Shown { code, out, err } = shown;
        format!("{out}\n{err}\n[{code:?}]")
    }

    #[test]
    fn what_cannot_be_written_is_a_failure() {
        let rows: [&[&str]; 3] = [
            &["bad from 192.0.2.7", "^ ?bad from <HOST>$"],
            &["-o", "ip", "bad from 192.0.2.7", "^ ?bad from <HOST>$"],
            &["--help"],
        ];
        for words in rows {
            let mut told = command("/bin/sh");
            told.args(["-c", "exec \"$@\" >/dev/full", "sh", OURS])
                .args(words);
            let done = run(&mut told);
            assert_eq!(done.code, Some(1), "{words:?}: {done:?}");
            let begins = done.stderr.starts_with("standard output: ");
            assert!(begins, "{words:?}: {done:?}");
            assert_eq!(done.stderr.lines().count(), 1, "{words:?}: {done:?}");
        }
    }

    #[test]
    fn both_programs_show_the_same_over_the_whole_table() {
        if !Path::new(DEBIANS).exists() {
            return skip("Debian's fail2ban is not installed");
        }
        let rows: Vec<Row> = TABLE
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
            })
            .collect();
        let world = world();
        let problems: Vec<String> = rows
            .iter()
            .filter_map(|row| problem(world.path(), row))
            .collect();
        assert!(
            problems.is_empty(),
            "{} of {} rows:\n{}",
            problems.len(),
            rows.len(),
            problems.join("\n")
        );
    }
}
