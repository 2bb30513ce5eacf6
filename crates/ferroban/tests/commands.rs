//! The whole table of commands: the original's client and ours, on the original's
//! server and on ours. All four show the same, but for what `differences.json` lists.
//!
//! `commands/table.txt` has the command lines, in an order that makes sense to a server.
//! `commands/drive.py` gives them to a client, or speaks to the socket itself and shows
//! the replies with their types. `commands/strict.py` reads as narrowly as the exporters
//! do that people run. Each run has a server of its own, in a folder of its own.
//!
//! Without Debian's fail2ban there is nothing to compare with: the tests say so and
//! pass, except where the variable `CI` is set.

#[cfg(test)]
#[expect(dead_code, reason = "what makes worlds is for the end-to-end tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;
    use std::time::Duration;

    use serde::{Deserialize, Serialize};
    use tempfile::TempDir;

    use crate::support::child::{Done, Running, command};
    use crate::support::guard::{DEBIANS, OURS, client_on};
    use crate::support::wait::{SOON, until};
    use crate::support::world::skip;

    /// Debian's Python, which has the original's modules.
    const PYTHON: &str = "/usr/bin/python3";
    const DEBIANS_SERVER: &str = "/usr/bin/fail2ban-server";
    const OUR_SERVER: &str = env!("CARGO_BIN_EXE_fail2ban-server");
    const TABLE: &str = include_str!("commands/table.txt");
    const DIFFERENCES: &str = include_str!("commands/differences.json");
    const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands");
    /// For all lines of the table. The original's client takes 15 seconds where nothing
    /// else runs.
    const LIMIT: Duration = Duration::from_secs(180);

    /// So much of an answer is shown when it is not the right one.
    const SHOWN: usize = 1500;

    /// The configuration that every server gets; `@` is its folder.
    const FILES: [(&str, &str); 4] = [
        (
            "conf/fail2ban.conf",
            "[Definition]\nloglevel = INFO\nlogtarget = @/server.log\nsyslogsocket = auto\n\
             socket = @/sock\npidfile = @/pid\ndbfile = @/server.db\ndbpurgeage = 1d\n\
             dbmaxmatches = 10\nallowipv6 = auto\n[Thread]\nstacksize = 0\n",
        ),
        (
            "conf/jail.conf",
            "[DEFAULT]\nbackend = polling\nusedns = no\nfindtime = 600\nbantime = 600\n\
             maxretry = 3\nmaxmatches = %(maxretry)s\nlogencoding = auto\nignoreself = true\n\
             filter = wrong\naction = record\n[j1]\nenabled = true\nlogpath = @/test.log\n",
        ),
        (
            "conf/filter.d/wrong.conf",
            "[Definition]\nfailregex = ^\\s*\\S+ test: failed from <HOST>\\s*$\n\
             ignoreregex = from 198\\.51\\.100\\.77\n",
        ),
        (
            "conf/action.d/record.conf",
            "[Definition]\nactionstart = echo '<name>: start' >>@/acts\n\
             actionstop = echo '<name>: stop' >>@/acts\n\
             actionban = echo '<name>: ban <ip>' >>@/acts\n\
             actionunban = echo '<name>: unban <ip>' >>@/acts\n[Init]\nname = default\n",
        ),
    ];
    const LOGS: [&str; 3] = ["test.log", "a.log", "b.log"];

    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Whose {
        Original,
        Ours,
    }
    use Whose::{Original, Ours};

    /// Who speaks to a server.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Speaker {
        Client(Whose),
        /// The script itself, which shows the replies and not what a client makes of them.
        Wire,
    }

    /// What one line was answered. What a client shows, or the replies.
    #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Answer {
        line: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        out: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        err: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Vec<String>>,
    }

    impl Answer {
        /// Whether the server, or the client, called the request wrong.
        fn is_error(&self) -> bool {
            let told = |text: &String| text.contains("NOK: (");
            match &self.reply {
                Some(reply) => reply.iter().any(|reply| reply.starts_with("(1, ")),
                None => self.code == Some(255) && self.err.as_ref().is_some_and(told),
            }
        }
    }

    /// The list of what we want to be, or still are, different.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Differences {
        /// Texts of the original, wherever they occur, and ours.
        rewrites: Vec<Rewrite>,
        /// Answers, and why they are not the original's.
        rows: Vec<Row>,
        /// What is not there yet.
        pending: Vec<Pending>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rewrite {
        of: Part,
        from: String,
        to: String,
        why: String,
    }

    /// What is not said is as in the original.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        of: Part,
        lines: BTreeSet<String>,
        why: String,
        code: Option<i32>,
        out: Option<String>,
        err: Option<String>,
        reply: Option<Vec<String>>,
        /// An error, with whatever words.
        #[serde(default)]
        any_error: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pending {
        of: Part,
        lines: BTreeSet<String>,
        why: String,
    }

    /// Which part of ours makes a difference.
    #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Part {
        Client,
        Server,
        /// The server's reply, as the original's client shows it.
        Foreign,
    }

    impl Part {
        fn plays(self, speaker: Speaker, server: Whose) -> bool {
            match self {
                Self::Client => speaker == Speaker::Client(Ours),
                Self::Server => server == Ours,
                Self::Foreign => server == Ours && speaker == Speaker::Client(Original),
            }
        }
    }

    impl Row {
        fn apply(&self, original: &Answer) -> Answer {
            let mut answer = original.clone();
            if original.reply.is_some() {
                answer.reply = self.reply.clone().or(answer.reply);
            } else {
                answer.code = self.code.or(answer.code);
                answer.out = self.out.clone().or(answer.out);
                answer.err = self.err.clone().or(answer.err);
            }
            answer
        }
    }

    /// A server at work; dropping it kills it, and then takes its folder away.
    struct Server {
        running: Running,
        folder: TempDir,
    }

    impl Server {
        /// Starts it in a folder of its own and returns when its jail answers.
        fn start(whose: Whose) -> Self {
            let folder = TempDir::new().expect("the folder for temporary files is writable");
            let root = folder.path().display().to_string();
            let logs = LOGS.map(|name| (name, ""));
            for (name, text) in FILES.into_iter().chain(logs) {
                let file = folder.path().join(name);
                fs::create_dir_all(file.parent().unwrap_or(&file))
                    .and_then(|()| fs::write(&file, text.replace('@', &root)))
                    .expect("the folder is ours");
            }
            let program = match whose {
                Original => DEBIANS_SERVER,
                Ours => OUR_SERVER,
            };
            let options = options(folder.path());
            // The server ends with the thread that started it, however that ends.
            let mut running = Running::start(
                command("setpriv")
                    .args(["--pdeathsig", "KILL", program, "-f"])
                    .args(&options)
                    .arg("start")
                    .env("LC_ALL", "C.UTF-8")
                    .env("PYTHONHASHSEED", "0"),
            );
            let socket = format!("{root}/sock");
            until(SOON, "the jail answers", || {
                assert!(running.runs(), "the server ended: {}", running.said());
                client_on(OURS, &socket, &["status", "j1"]).code == Some(0)
            });
            Self { running, folder }
        }

        fn socket(&self) -> String {
            self.folder.path().join("sock").display().to_string()
        }

        /// Runs one of the scripts beside this file, in Debian's Python.
        fn script(&self, name: &str, arguments: &[String]) -> Done {
            let running = Running::start(
                command(PYTHON)
                    .arg("-B")
                    .arg(Path::new(SCRIPTS).join(name))
                    .args(arguments)
                    .env("LC_ALL", "C.UTF-8"),
            );
            running.finish(LIMIT)
        }
    }

    fn options(folder: &Path) -> Vec<String> {
        let path = |name: &str| folder.join(name).display().to_string();
        ["-c", &path("conf"), "-s", &path("sock"), "-p", &path("pid")]
            .map(ToOwned::to_owned)
            .to_vec()
    }

    /// Runs the table on a new server, to its end: the last line stops it.
    fn answers(speaker: Speaker, whose: Whose) -> Vec<Answer> {
        let server = Server::start(whose);
        let folder = server.folder.path();
        let table: PathBuf = Path::new(SCRIPTS).join("table.txt");
        let mut arguments: Vec<String> = [&table, folder]
            .map(|path| path.display().to_string())
            .to_vec();
        arguments.push(server.socket());
        match speaker {
            Speaker::Wire => arguments.push("wire".to_owned()),
            Speaker::Client(whose) => {
                let program = if whose == Ours { OURS } else { DEBIANS };
                arguments.extend(["client", program].map(ToOwned::to_owned));
                arguments.extend(options(folder));
            }
        }
        let done = server.script("drive.py", &arguments);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let ended = server.running.finish(SOON);
        assert_eq!(
            ended.code,
            Some(0),
            "the end of the server: {}",
            ended.stderr
        );
        let mut answers: Vec<Answer> =
            serde_json::from_str(&done.stdout).expect("the script writes what it was asked for");
        number(&mut answers);
        answers
    }

    /// Makes every line another, so that it can be named: `$ status`, `$ status #2`.
    fn number(answers: &mut [Answer]) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for answer in answers {
            let times = seen.entry(answer.line.clone()).or_default();
            *times += 1;
            if *times > 1 {
                write!(answer.line, " #{times}").expect("a string takes everything");
            }
        }
    }

    fn differences() -> Differences {
        serde_json::from_str(DIFFERENCES).expect("differences.json has the form that is told here")
    }

    /// What must be, and what is, one object of JSON each: what is can be put into the list.
    fn told(problems: &mut Vec<String>, what: &str, wanted: &Answer, is: &Answer) {
        let text = |answer| {
            let text = serde_json::to_string(answer).expect("strings become JSON");
            text.chars().take(SHOWN).collect::<String>()
        };
        problems.push(format!(
            "{what}\n  want {}\n  is   {}",
            text(wanted),
            text(is)
        ));
    }

    /// What differs and may not, or does not differ and is listed.
    fn compare(
        list: &Differences,
        (speaker, server): (Speaker, Whose),
        original: &[Answer],
        ours: &[Answer],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let names = |answers: &[Answer]| -> Vec<String> {
            answers.iter().map(|answer| answer.line.clone()).collect()
        };
        assert_eq!(
            names(original),
            names(ours),
            "the table was not run to its end"
        );
        for (original, is) in original.iter().zip(ours) {
            let base = rewritten(list, (speaker, server), original);
            let row =
                list.rows.iter().rev().find(|row| {
                    row.of.plays(speaker, server) && row.lines.contains(&original.line)
                });
            let pending = list.pending.iter().any(|pending| {
                pending.of.plays(speaker, server) && pending.lines.contains(&original.line)
            });
            let wanted = row.map_or_else(|| base.clone(), |row| row.apply(&base));
            let fits = match row {
                Some(row) if row.any_error => is.is_error(),
                _ => *is == wanted,
            };
            match (fits, pending) {
                (true, true) => told(&mut problems, "no longer pending", &wanted, is),
                (false, false) => told(&mut problems, "differs", &wanted, is),
                _ => {}
            }
        }
        problems
    }

    /// The original's answer in the words of the version that ours is.
    fn rewritten(
        list: &Differences,
        (speaker, server): (Speaker, Whose),
        original: &Answer,
    ) -> Answer {
        let mut answer = original.clone();
        for rewrite in &list.rewrites {
            if rewrite.of.plays(speaker, server) {
                let change = |text: &mut String| *text = text.replace(&rewrite.from, &rewrite.to);
                answer.out.iter_mut().for_each(change);
                answer.err.iter_mut().for_each(change);
                answer.reply.iter_mut().flatten().for_each(change);
            }
        }
        answer
    }

    static CLIENT: LazyLock<Vec<Answer>> =
        LazyLock::new(|| answers(Speaker::Client(Original), Original));

    fn must_be_the_same(speaker: Speaker, server: Whose) {
        if let Some(reason) = obstacle() {
            return skip(&reason);
        }
        let ours = answers(speaker, server);
        let problems = match speaker {
            Speaker::Client(_) => compare(&differences(), (speaker, server), &CLIENT, &ours),
            Speaker::Wire => {
                let original = answers(Speaker::Wire, Original);
                compare(&differences(), (speaker, server), &original, &ours)
            }
        };
        assert!(
            problems.is_empty(),
            "{} of {} lines:\n{}",
            problems.len(),
            ours.len(),
            problems.join("\n")
        );
    }

    /// Why nothing can be compared here.
    fn obstacle() -> Option<String> {
        let needs = [
            (PYTHON, "python3"),
            (DEBIANS, "fail2ban"),
            (DEBIANS_SERVER, "fail2ban"),
            ("/usr/bin/setpriv", "util-linux"),
        ];
        needs
            .iter()
            .find(|(program, _)| !Path::new(program).exists())
            .map(|(program, package)| format!("{program} is missing; install {package}"))
    }

    #[test]
    fn our_client_shows_what_the_originals_shows_of_its_server() {
        must_be_the_same(Speaker::Client(Ours), Original);
    }

    #[test]
    fn the_originals_client_shows_the_same_of_our_server() {
        must_be_the_same(Speaker::Client(Original), Ours);
    }

    #[test]
    fn our_client_shows_the_same_of_our_server() {
        must_be_the_same(Speaker::Client(Ours), Ours);
    }

    #[test]
    fn our_server_replies_with_the_originals_types() {
        must_be_the_same(Speaker::Wire, Ours);
    }

    const BANNED: [&str; 3] = ["192.0.2.7", "2001:db8::7", "198.51.100.0/24"];

    fn must_suit_exporters(server: &Server) {
        let ban = [&["set", "j1", "banip"], &BANNED[..]].concat();
        let done = client_on(OURS, &server.socket(), &ban);
        assert!(done.succeeded("3\n"), "{done:?}");
        let mut arguments = vec![server.socket(), "j1".to_owned()];
        arguments.extend(BANNED.map(ToOwned::to_owned));
        let done = server.script("strict.py", &arguments);
        assert!(done.succeeded(""), "{}{}", done.stdout, done.stderr);
    }

    #[test]
    fn the_reader_of_exporters_takes_the_original() {
        match obstacle() {
            Some(reason) => skip(&reason),
            None => must_suit_exporters(&Server::start(Original)),
        }
    }

    #[test]
    fn exporters_can_read_our_server() {
        match obstacle() {
            Some(reason) => skip(&reason),
            None => must_suit_exporters(&Server::start(Ours)),
        }
    }

    /// A reply that the list allows passes, and a list that allows too much does not.
    #[test]
    fn the_list_of_differences_is_held_to_what_it_says() {
        let answer = |line: &str, reply: &str| Answer {
            line: line.to_owned(),
            code: None,
            out: None,
            err: None,
            reply: Some(vec![reply.to_owned()]),
        };
        let list: Differences = serde_json::from_str(
            r#"{
                "rewrites": [{"of": "server", "from": "1.0", "to": "1.1", "why": "x"}],
                "rows": [
                    {"of": "server", "lines": ["b"], "why": "x", "reply": ["(0, 2)"]},
                    {"of": "server", "lines": ["c"], "why": "x", "any_error": true}
                ],
                "pending": [{"of": "server", "lines": ["d"], "why": "x"}]
            }"#,
        )
        .unwrap();
        let cases = [
            // line, the original's reply, ours, what is said of it
            ("a", "(0, 1)", "(0, 1)", None),
            ("a", "(0, 1)", "(0, 2)", Some("differs")),
            ("a", "(0, (1,))", "(0, [1])", Some("differs")),
            ("a", "(0, '1.0')", "(0, '1.1')", None),
            ("a", "(0, '1.0')", "(0, '1.0')", Some("differs")),
            ("b", "(0, 1)", "(0, 2)", None),
            ("b", "(0, 1)", "(0, 1)", Some("differs")),
            ("c", "(1, TypeError('x'))", "(1, ValueError('y'))", None),
            ("c", "(1, TypeError('x'))", "(0, 1)", Some("differs")),
            ("d", "(0, 1)", "(0, 2)", None),
            ("d", "(0, 1)", "(0, 1)", Some("no longer pending")),
        ];
        for (line, original, ours, said) in cases {
            let [original, ours] = [original, ours].map(|reply| [answer(line, reply)]);
            let problems = compare(&list, (Speaker::Wire, Ours), &original, &ours);
            let first = problems.first().and_then(|text| text.lines().next());
            assert_eq!(first, said, "{line}: {original:?} {ours:?}");
        }
    }

    #[test]
    fn the_list_of_differences_names_lines_of_the_table() {
        let mut answers: Vec<Answer> = TABLE
            .lines()
            .filter(|line| line.starts_with(['$', '%', '>', '*']))
            .map(|line| Answer {
                line: line.to_owned(),
                code: None,
                out: None,
                err: None,
                reply: None,
            })
            .collect();
        number(&mut answers);
        let known: BTreeSet<&String> = answers.iter().map(|answer| &answer.line).collect();
        let list = differences();
        let rows = list.rows.iter().map(|row| (&row.lines, &row.why));
        let pending = list.pending.iter().map(|row| (&row.lines, &row.why));
        for (lines, why) in rows.chain(pending) {
            assert!(!why.is_empty(), "no reason: {lines:?}");
            for line in lines {
                assert!(known.contains(line), "not in the table: {line}");
            }
        }
        for rewrite in list.rewrites {
            assert!(!rewrite.why.is_empty(), "no reason: {}", rewrite.from);
        }
    }
}
