//! `ferroban status`, `jails`, `bans`, `events`, `ban`, `unban` and `reload` as programs,
//! against real servers: ours by `ferroban guard`, ours by `fail2ban-server`, and Debian's.
//!
//! All but one need no rights: what is decided in a dry run is told like anything else.

#[cfg(test)]
#[expect(dead_code, reason = "most of it is for the end-to-end tests")]
mod support;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use rustix::process::Signal;
    use serde_json::Value;
    use tempfile::TempDir;

    use crate::support::child::{Done, Running, command, must, run};
    use crate::support::guard::{FERROBAN, SOCKET, Setup};
    use crate::support::logging::empty_log;
    use crate::support::wait::{SOON, until};
    use crate::support::world::{in_world, skip};

    const OUR_SERVER: &str = env!("CARGO_BIN_EXE_fail2ban-server");
    const DEBIANS_SERVER: &str = "/usr/bin/fail2ban-server";
    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

    /// A folder with a configuration, a log, and everything that a server makes.
    struct Place(TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for folder in ["conf/filter.d", "conf/action.d"] {
                fs::create_dir_all(place.path(folder)).unwrap();
            }
            place.write("auth.log", "");
            place.write(
                "conf/fail2ban.conf",
                "[Definition]\nloglevel = INFO\nlogtarget = @/log\nsyslogsocket = auto\n\
                 socket = @/sock\npidfile = @/pid\ndbfile = None\ndbpurgeage = 1d\n\
                 dbmaxmatches = 10\nallowipv6 = auto\n[Thread]\nstacksize = 0\n",
            );
            place.write(
                "conf/filter.d/wrong.conf",
                "[Definition]\nfailregex = from <HOST>$\n",
            );
            place.write(
                "conf/action.d/record.conf",
                "[Definition]\nactionban = echo ban '<ip>' >>@/acts\nactionunban = true\n",
            );
            place.jails("record", "");
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).display().to_string()
        }

        /// Writes a file; `@` is this folder.
        fn write(&self, name: &str, content: &str) {
            let folder = self.0.path().display().to_string();
            fs::write(self.path(name), content.replace('@', &folder)).unwrap();
        }

        /// Two jails with this action, and more.
        fn jails(&self, action: &str, more: &str) {
            let text = format!(
                "[DEFAULT]\nenabled = true\nbackend = polling\nusedns = no\nmaxretry = 3\n\
                 filter = wrong\naction = {action}\nlogpath = @/auth.log\n[one]\n[two]\n{more}"
            );
            self.write("conf/jail.conf", &text);
        }

        /// A dry run of `ferroban guard`.
        fn guard(&self, more: &[&str]) -> Running {
            let files = [
                "--socket",
                &self.text("sock"),
                "--pidfile",
                &self.text("pid"),
                "--database",
                &self.text("db"),
                "--logtarget",
                &self.text("log"),
            ];
            let mut command = command(FERROBAN);
            self.start(command.arg("guard").args(files).arg("--dry-run").args(more))
        }

        fn server(&self, program: &str) -> Running {
            let conf = self.text("conf");
            self.start(command(program).args(["-f", "-c", &conf, "start"]))
        }

        fn start(&self, command: &mut std::process::Command) -> Running {
            let mut running = Running::start(command);
            until(SOON, "the server has started a jail", || {
                assert!(running.runs(), "it ended: {}", running.said());
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                log.contains("started") && self.path("sock").exists()
            });
            running
        }

        fn own(&self, words: &str) -> Done {
            let words = words.split(' ').filter(|word| !word.is_empty());
            run(self.command().args(words))
        }

        /// `ferroban`, which finds this server only.
        fn command(&self) -> std::process::Command {
            let mut command = command(FERROBAN);
            command.env("NO_COLOR", "").env("TERM", "xterm");
            command
        }

        /// A command on the socket of this folder.
        fn ask(&self, words: &str) -> Done {
            self.own(&format!("{words} -s {}", self.text("sock")))
        }

        /// The same, which must go well. What it printed.
        fn must(&self, words: &str) -> String {
            let done = self.ask(words);
            assert_eq!(
                (done.code, &*done.stderr),
                (Some(0), ""),
                "{words}: {done:?}"
            );
            done.stdout
        }

        fn json(&self, words: &str) -> Value {
            let text = self.must(&format!("{words} --json"));
            assert_eq!(text.lines().count(), 1, "{text}");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        }

        /// Words, code, and what standard output and standard error contain.
        fn check(&self, rows: &[(&str, i32, &str, &str)]) {
            for (words, code, stdout, stderr) in rows {
                let done = self.ask(words);
                assert_eq!(done.code, Some(*code), "{words}: {done:?}");
                let printed = at_once(&done.stdout);
                for (said, part) in [(&printed, stdout), (&done.stderr, stderr)] {
                    let fits = said.contains(part) && (part.is_empty() == said.is_empty());
                    assert!(fits, "{words}: not {part:?}: {done:?}");
                }
            }
        }
    }

    /// What would have been printed if no second had begun since the ban: times are whole
    /// seconds, and what is left of ten minutes is told right after.
    fn at_once(printed: &str) -> String {
        printed.replace("ends in 9 min 59 s", "ends in 10 min")
    }

    #[test]
    fn a_guard_tells_how_it_is_who_is_banned_and_obeys() {
        let place = Place::new();
        let log = place.text("auth.log");
        let _guard = place.guard(&["--watch", &log, "--loglevel", "MSG"]);
        let status = place.must("status");
        let row = format!("dry run  sshd  {log}        0  0 banned  10 min   ferroban");
        for part in ["dry run: nobody is banned", &row] {
            assert!(status.contains(part), "{status}");
        }
        assert!(!status.contains('\u{1b}'), "no terminal, no colour");
        assert_eq!(place.must("jails"), "sshd\n");
        assert_eq!(place.must("bans"), "nobody is banned\n");

        place.check(&[
            (
                "ban sshd 192.0.2.7 bob",
                0,
                "bob is banned in sshd, ends in 10 min, nobody keeps it out\n",
                "",
            ),
            ("bans sshd", 0, "192.0.2.7", ""),
            (
                "ban sshd 127.0.0.1",
                1,
                "",
                "own address); to ban it all the same, use --force",
            ),
            (
                "ban sshd 127.0.0.1 192.0.2.8",
                1,
                "192.0.2.8 is banned",
                "protected",
            ),
            ("ban sshd --force 127.0.0.1", 0, "127.0.0.1 is banned", ""),
            ("unban sshd bob", 0, "bob: lifted\n", ""),
            ("unban 192.0.2.99", 0, "192.0.2.99: was not banned\n", ""),
            (
                "unban --report-absent 192.0.2.7 192.0.2.99",
                1,
                "192.0.2.7: lifted\n",
                "ferroban: not banned: 192.0.2.99\n",
            ),
            ("unban sshd --all", 0, "2 bans lifted\n", ""),
            ("unban --all", 0, "0 bans lifted\n", ""),
            ("reload --plan", 0, "nothing changes\n", ""),
        ]);
        assert_eq!(place.must("bans"), "nobody is banned\n");
        let reloads = || {
            let log = fs::read_to_string(place.path("log")).unwrap();
            log.lines()
                .filter(|line| line.contains("ferroban.control") && line.contains("reload"))
                .count()
        };
        assert_eq!(reloads(), 0, "a plan changes nothing");
        place.check(&[("reload", 0, "nothing changes\n", "")]);
        until(SOON, "who reloaded is logged", || reloads() == 1);
    }

    #[test]
    fn what_is_wrong_is_told_by_words_and_by_code() {
        let place = Place::new();
        let log = place.text("auth.log");
        let guard = place.guard(&["--watch", &log]);
        let near = "ferroban: no jail 'sshx'; did you mean 'sshd'?\n";
        place.check(&[
            ("status sshx", 1, "", near),
            ("bans sshx", 1, "", near),
            ("ban sshx 192.0.2.7", 1, "", near),
            ("unban sshx 192.0.2.7", 1, "", near),
            ("unban sshx --all", 1, "", near),
            ("ban sshd", 2, "", "<ID>"),
            ("unban", 2, "", "JAIL"),
            ("unban sshd", 2, "", "whom to lift in sshd?"),
            ("unban --all --report-absent", 2, "", "cannot be used with"),
            (
                "reload -c /etc/fail2ban",
                1,
                "",
                "a configuration of its own",
            ),
        ]);
        let socket = place.text("sock");
        for words in [
            ["unban", "-s", &socket, "--", "--all"],
            ["ban", "-s", &socket, "sshd", "--"],
        ] {
            let done = run(place.command().args(words).arg("--report-absent"));
            assert_eq!(done.code, Some(2), "{done:?}");
        }
        guard.signal(Signal::TERM);
        assert_eq!(guard.finish(SOON).code, Some(0));
        for words in [
            "status",
            "bans",
            "events",
            "ban sshd 192.0.2.7",
            "unban --all",
            "reload",
        ] {
            place.check(&[(words, 255, "", "sock: no server is there")]);
        }
        drop(std::os::unix::net::UnixListener::bind(place.path("sock")).unwrap());
        place.check(&[("status", 255, "", "sock: nobody listens there any more")]);
    }

    #[test]
    fn a_server_from_a_folder_is_reloaded_from_it() {
        let place = Place::new();
        let _server = place.server(OUR_SERVER);
        place.check(&[
            ("status", 0, "ok      one", ""),
            (
                "status two",
                0,
                "rule     3 failures within 10 min: banned for 10 min\n",
                "",
            ),
            (
                "ban one 192.0.2.7",
                0,
                "ends in 10 min, told to record\n",
                "",
            ),
            ("bans", 0, "applied\n", ""),
            ("reload --plan", 1, "", "'ferroban config check'"),
        ]);
        assert_eq!(
            fs::read_to_string(place.path("acts")).unwrap(),
            "ban 192.0.2.7\n"
        );

        // Without a socket on the command line the folder says where the server is.
        let conf = place.text("conf");
        place.jails("record", "maxretry = 9\n[three]\n");
        let done = place.own(&format!("reload -c {conf}"));
        assert!(
            done.succeeded(&format!(
                "reloaded with {conf}; the log of the server tells what changed\n"
            )),
            "{done:?}"
        );
        assert_eq!(place.must("jails"), "one\ntwo\nthree\n");
        assert_eq!(place.json("status two")["maxretry"], 9);
        assert_eq!(place.json("bans one")[0]["id"], "192.0.2.7", "bans stay");

        place.jails("record", "[four]\nfilter = nosuch\n");
        let done = place.own(&format!("reload -c {conf} --json"));
        assert_eq!(done.code, Some(0));
        assert!(
            done.stderr.contains("nosuch"),
            "one jail is left out: {done:?}"
        );
        place.write("conf/jail.conf", "[one\n");
        let done = place.own(&format!("reload -c {conf}"));
        assert_eq!((done.code, &*done.stdout), (Some(1), ""));
        assert!(
            done.stderr.contains("not reloaded, nothing changed"),
            "{done:?}"
        );
        assert_eq!(place.must("jails"), "one\ntwo\n");
    }

    #[test]
    fn events_are_told_as_they_happen_and_until_the_server_ends() {
        let place = Place::new();
        let log = place.text("auth.log");
        let guard = place.guard(&["--watch", &log]);
        let socket = place.text("sock");
        let events = Running::start(place.command().args(["events", "-s", &socket]));
        // It is heard from some moment on.
        let banned = |running: &Running| running.said().contains("\"event\":\"banned\"");
        ban_until(&place, || banned(&events));
        let line: Value = serde_json::from_str(events.said().lines().next().unwrap()).unwrap();
        assert_eq!(
            (&line["jail"], &line["event"]),
            (&"sshd".into(), &"banned".into())
        );
        let at = line["at"].as_str().unwrap();
        assert!(at.contains('T') && at.len() == 29, "{at}");

        guard.signal(Signal::TERM);
        assert_eq!(guard.finish(SOON).code, Some(0));
        let done = events.finish(SOON);
        assert_eq!(done.code, Some(255));
        assert!(
            done.stderr.starts_with("ferroban: no more events"),
            "{done:?}"
        );
        assert!(
            done.stdout
                .ends_with("\"event\":\"jail_stopped\",\"jail\":\"sshd\"}\n"),
            "{done:?}"
        );
    }

    #[test]
    fn events_end_when_their_reader_goes_away() {
        let place = Place::new();
        let log = place.text("auth.log");
        let _guard = place.guard(&["--watch", &log]);
        let pipe = format!("{FERROBAN} events -s {} | head -n 1", place.text("sock"));
        let mut reader = Running::start(command("/bin/sh").args(["-c", &pipe]));
        ban_until(&place, || !reader.runs());
        let done = reader.finish(SOON);
        assert_eq!((done.code, &*done.stderr), (Some(0), ""));
        assert_eq!(done.stdout.lines().count(), 1);
    }

    /// Bans one after the other until it is enough.
    fn ban_until(place: &Place, mut enough: impl FnMut() -> bool) {
        let mut last = 0;
        until(SOON, "enough bans were told", || {
            last += 1;
            place.must(&format!("ban sshd 203.0.113.{}", last % 250 + 1));
            if last % 250 == 0 {
                place.must("unban --all");
            }
            enough()
        });
    }

    /// The names of all fields in a value.
    fn fields(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    found.insert(name.clone());
                    fields(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_field_that_occurs_is_described() {
        let place = Place::new();
        place.jails("ferroban[port=22]", "");
        let _guard = place.guard(&["--config", &place.text("conf")]);
        let socket = place.text("sock");
        let events = Running::start(place.command().args(["events", "-s", &socket]));
        let mut found = BTreeSet::new();
        for words in [
            "status",
            "status one",
            "jails",
            "ban one 192.0.2.7",
            "bans",
            "unban one 192.0.2.7",
            "unban --all",
        ] {
            fields(&place.json(words), &mut found);
        }
        place.jails("ferroban[port=22]", "maxretry = 9\n[three]\n");
        for line in place.must("reload --plan --json").lines() {
            fields(&serde_json::from_str(line).unwrap(), &mut found);
        }
        let mut last = 0;
        until(SOON, "an event is told", || {
            last += 1;
            place.must(&format!("ban one 203.0.113.{}", last % 250 + 1));
            !events.said().is_empty()
        });
        let said = events.said();
        fields(
            &serde_json::from_str(said.lines().next().unwrap()).unwrap(),
            &mut found,
        );

        assert!(found.len() > 40, "{found:?}");
        let text = fs::read_to_string(Path::new(DOCS).join("json.md")).unwrap();
        let missing: Vec<&String> = found
            .iter()
            .filter(|name| !text.contains(&format!("`{name}`")))
            .collect();
        assert!(missing.is_empty(), "not in docs/json.md: {missing:?}");
    }

    #[test]
    fn fail2bans_own_server_is_not_taken_for_ours() {
        if !Path::new(DEBIANS_SERVER).exists() {
            return skip("/usr/bin/fail2ban-server is missing; install fail2ban");
        }
        let place = Place::new();
        let _server = place.server(DEBIANS_SERVER);
        for words in [
            "status",
            "status one",
            "jails",
            "bans one",
            "events",
            "ban one 192.0.2.7",
            "unban --all",
            "unban one 192.0.2.7",
            "reload",
            "reload --plan",
        ] {
            place.check(&[(words, 255, "", "the server there is no Ferroban")]);
        }
        assert!(!place.path("acts").exists(), "nothing was done");
    }

    #[test]
    fn a_second_signal_ends_a_stop_that_hangs_and_leaves_nothing_behind() {
        let place = Place::new();
        place.write(
            "conf/action.d/hang.conf",
            "[Definition]\nactionstart = trap '' TERM; sleep 300 & echo $! >>@/child; wait\n",
        );
        place.jails("hang", "");
        let server = place.server(OUR_SERVER);
        let children = || fs::read_to_string(place.path("child")).unwrap_or_default();
        until(SOON, "a command runs", || children().ends_with('\n'));
        server.signal(Signal::TERM);
        until(SOON, "the stop begins", || {
            let log = fs::read_to_string(place.path("log")).unwrap();
            log.contains("Shutdown in progress")
        });
        assert!(place.path("sock").exists() && place.path("pid").exists());
        server.signal(Signal::TERM);
        assert_eq!(server.finish(SOON).code, None, "a signal ended it");
        assert!(!place.path("sock").exists() && !place.path("pid").exists());
        let children = children();
        assert_eq!(children.lines().count(), 1, "the other jail had no turn");
        until(SOON, "what the command started ends", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", children.trim()));
            // Who reaps it may be slow.
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
    }

    #[test]
    fn whether_bans_hold_is_what_the_kernel_says() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            let _guard = setup.start(world);
            let own = |words: &[&str]| run(command(FERROBAN).args(words).args(["-s", SOCKET]));
            let done = own(&["ban", "sshd", "198.51.100.1"]);
            let expected = "198.51.100.1 is banned in sshd, ends in 10 min, holds\n";
            assert_eq!(at_once(&done.stdout), expected, "{done:?}");
            assert_eq!(done.code, Some(0), "{done:?}");
            assert!(
                own(&["status"])
                    .stdout
                    .contains("1 banned: applied 1, verified 1")
            );
            let view = own(&["status", "sshd", "--json"]).stdout;
            let view: Value = serde_json::from_str(&view).unwrap();
            assert_eq!(view["kept_out"]["packets"], 0, "{view}");
            let shown = own(&["status", "sshd"]).stdout;
            assert!(
                shown.contains("0 packets (0 bytes) since its rules were made"),
                "{shown}"
            );

            must(command("nft").args(["flush", "ruleset"]));
            let done = own(&["ban", "sshd", "198.51.100.2"]);
            assert_eq!(done.code, Some(1));
            assert!(done.stdout.contains("NOT IN THE FIREWALL"), "{done:?}");
            // Either the kernel has told who did it, or only that the sets are missing.
            assert!(done.stderr.contains("nft"), "{done:?}");
            let status = own(&["status"]).stdout;
            assert!(
                status.contains("TROUBLE") && status.contains("2 banned: applied 0, verified 0"),
                "{status}"
            );

            assert_eq!(own(&["reload"]).code, Some(0));
            until(SOON, "all hold again", || {
                own(&["status"])
                    .stdout
                    .contains("2 banned: applied 2, verified 2")
            });
            assert!(
                own(&["status"]).stdout.contains("ok "),
                "the trouble is over"
            );
            let bans = own(&["bans", "--json"]).stdout;
            let bans: Value = serde_json::from_str(&bans).unwrap();
            for field in ["applied", "verified", "holds"] {
                assert_eq!(bans[1][field], true, "{field}");
            }
        });
    }

    #[test]
    fn what_a_command_could_not_ban_is_decided_and_not_applied() {
        let place = Place::new();
        place.write(
            "conf/action.d/record.conf",
            "[Definition]\nactionban = test '<ip>' != 192.0.2.66\nactionunban = true\n",
        );
        let _server = place.server(OUR_SERVER);
        place.must("ban one 192.0.2.66 192.0.2.7");
        let view = place.json("status one");
        for (field, expected) in [
            ("banned", Value::from(2)),
            ("applied", 1.into()),
            ("verified", Value::Null),
        ] {
            assert_eq!(view[field], expected, "{field}: {view}");
        }
        let shown = place.must("status one");
        assert!(
            shown.contains("2 banned: applied 1, not verified"),
            "{shown}"
        );
        let expected = ["192.0.2.66 false null null", "192.0.2.7 true null null"];
        assert_eq!(
            states(&place.json("bans one")),
            expected.map(str::to_owned).into()
        );
        place.must("unban one 192.0.2.66");
        assert_eq!(place.json("status one")["applied"], 1);
    }

    /// Each ban with whether it is applied, verified, and holds.
    fn states(bans: &Value) -> BTreeSet<String> {
        let bans = bans.as_array().unwrap().iter();
        let state = |ban: &Value| {
            let id = ban["id"].as_str().unwrap();
            format!(
                "{id} {} {} {}",
                ban["applied"], ban["verified"], ban["holds"]
            )
        };
        bans.map(state).collect()
    }

    /// Somebody shortens its time: that it is over then, the kernel tells nobody.
    #[test]
    fn a_ban_that_is_taken_out_unseen_is_applied_and_not_verified() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            let _guard = setup.start(world);
            let own = |words: &[&str]| run(command(FERROBAN).args(words).args(["-s", SOCKET]));
            let [gone, stays] = ["198.51.100.1", "198.51.100.2"];
            let done = own(&["ban", "sshd", gone, stays]);
            assert_eq!(done.code, Some(0), "{done:?}");

            let element = format!("element inet ferroban addr4-sshd {{ {gone}");
            let text = format!("delete {element} }}\nadd {element} timeout 100ms }}\n");
            must(
                command("nft")
                    .arg("-f")
                    .arg(world.write("short.nft", &text)),
            );
            until(SOON, "it is missed", || {
                own(&["status"]).stdout.contains("verified 1")
            });
            let status = own(&["status"]).stdout;
            assert!(
                status.contains("TROUBLE")
                    && status.contains("2 banned: applied 2, verified 1")
                    && status.contains("1 ban not in the firewall: 198.51.100.1 for one"),
                "{status}"
            );
            let view: Value =
                serde_json::from_str(&own(&["status", "sshd", "--json"]).stdout).unwrap();
            for (field, expected) in [
                ("banned", 2),
                ("applied", 2),
                ("verified", 1),
                ("holding", 1),
            ] {
                assert_eq!(view[field], expected, "{field} {view}");
            }
            let bans = serde_json::from_str(&own(&["bans", "--json"]).stdout).unwrap();
            let expected = [(gone, false), (stays, true)];
            let expected = expected.map(|(id, is)| format!("{id} true {is} {is}"));
            assert_eq!(states(&bans), expected.into());
            assert!(own(&["bans"]).stdout.contains("missing"));

            own(&["unban", "sshd", gone]);
            own(&["ban", "sshd", gone]);
            assert!(
                own(&["status"])
                    .stdout
                    .contains("2 banned: applied 2, verified 2")
            );
        });
    }
}
