//! End to end: a real sshd, real log daemons, a real ssh that fails, the kernel's firewall.
//!
//! Every test runs in a world of its own (`support/world.rs`): two network namespaces,
//! with `/run`, `/dev` and `/var/log` in memory. It needs root and Debian's packages;
//! without them it says so and passes, except where the variable `CI` is set.

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use crate::support::child::{Done, Running, command, must, run};
    use crate::support::guard::{
        DEBIANS, FERROBAN, OURS, PIDFILE, SOCKET, Setup, ask, banned_in_status, client, client_on,
        found, lines, log, logged,
    };
    use crate::support::kernel::{self, Monitor};
    use crate::support::logging::{self, AUTH_LOG, append, empty_log, wrong_password};
    use crate::support::original;
    use crate::support::ssh::{Door, knock, login, must_be_denied, sshd};
    use crate::support::wait::{SOON, now, until};
    use crate::support::world::{SERVER4, SERVER6, World, in_world};

    /// The attacker, and a neighbour who does nothing wrong.
    struct Ends {
        server: &'static str,
        attacker: &'static str,
        neighbour: &'static str,
        set: &'static str,
    }

    const IPV4: Ends = Ends {
        server: SERVER4,
        attacker: "192.0.2.2",
        neighbour: "192.0.2.3",
        set: "addr4-sshd",
    };
    const IPV6: Ends = Ends {
        server: SERVER6,
        attacker: "2001:db8::2",
        neighbour: "2001:db8::3",
        set: "addr6-sshd",
    };

    #[test]
    fn five_wrong_passwords_in_a_file_ban_until_bantime_has_passed() {
        in_world(|world| {
            let _log_daemon = logging::rsyslog(world);
            let _sshd = sshd(world, false);
            five_wrong_passwords_ban(world, AUTH_LOG, &IPV4);
        });
    }

    #[test]
    fn five_wrong_passwords_in_the_journal_ban_until_bantime_has_passed() {
        in_world(|world| {
            let _log_daemon = logging::journald();
            let _sshd = sshd(world, true);
            five_wrong_passwords_ban(world, "journal", &IPV6);
        });
    }

    /// A folder of journal files can be named, as other machines' logs have one.
    #[test]
    fn the_journal_of_a_folder_is_read_too() {
        in_world(|world| {
            let _log_daemon = logging::journald();
            let _sshd = sshd(world, false);
            let setup = Setup::new()
                .watch("journal:/run/log/journal")
                .set("sshd.maxretry=5");
            let mut guard = setup.start(world);
            must_be_denied(vec![login(world, b"root", "192.0.2.2", SERVER4, 5)]);
            guard.must_find("192.0.2.2", 5);
            until(SOON, "the kernel has it", || {
                kernel::holds("addr4-sshd", "192.0.2.2")
            });
        });
    }

    fn five_wrong_passwords_ban(world: &World, source: &str, ends: &Ends) {
        let setup = Setup::new()
            .watch(source)
            .set("sshd.maxretry=5")
            .set("sshd.findtime=10m");
        let mut guard = setup.set("sshd.bantime=8s").start(world);
        let attempt = |user: &str| login(world, user.as_bytes(), ends.attacker, ends.server, 1);

        // Side by side, because PAM takes its time for a wrong password.
        must_be_denied(["root", "nobody-1", "root", "nobody-2"].map(attempt).into());
        guard.must_find(ends.attacker, 4);
        assert_eq!(
            knock(ends.attacker, ends.server),
            Door::Open,
            "four are not five"
        );

        let last = attempt("root");
        until(SOON, "the ban", || logged("Ban", ends.attacker));
        let banned = now();
        until(SOON, "the kernel has it", || {
            kernel::holds(ends.set, ends.attacker)
        });
        assert_eq!(knock(ends.attacker, ends.server), Door::Refused);
        assert_eq!(
            knock(ends.neighbour, ends.server),
            Door::Open,
            "others may come in"
        );
        assert_eq!(
            kernel::listed("sshd"),
            BTreeSet::from([ends.attacker.to_owned()])
        );
        assert_eq!(banned_in_status(), [ends.attacker]);
        assert_eq!(
            client(DEBIANS, &["status", "sshd"]).stdout,
            client(OURS, &["status", "sshd"]).stdout
        );
        assert_eq!(found(ends.attacker), 5, "each attempt counts once");
        drop(last);

        until(SOON, "the door opens again", || {
            knock(ends.attacker, ends.server) == Door::Open
        });
        let length = banned.elapsed();
        assert!(length > Duration::from_secs(6), "lifted after {length:?}");
        until(SOON, "it is told", || logged("Unban", ends.attacker));
        assert!(!kernel::holds(ends.set, ends.attacker));
        assert_eq!(banned_in_status(), [""; 0]);
        assert_eq!(
            found(ends.attacker),
            5,
            "knocking and hanging up do not count"
        );
        assert_eq!(guard.terminate().code, Some(0));
    }

    /// rsyslog can write `message repeated 4 times: [ … ]`.
    #[test]
    fn repeated_messages_count_as_often_as_they_happened() {
        in_world(|world| {
            let _log_daemon = logging::reducing_rsyslog(world);
            let _sshd = sshd(world, false);
            let setup = Setup::new().watch(AUTH_LOG).set("sshd.maxretry=5");
            let _guard = setup.set("sshd.bantime=10m").start(world);

            must_be_denied(vec![login(world, b"root", "192.0.2.2", SERVER4, 5)]);
            until(SOON, "the ban", || logged("Ban", "192.0.2.2"));
            let auth_log = fs::read_to_string(AUTH_LOG).unwrap();
            assert!(auth_log.contains("message repeated 4 times"), "{auth_log}");
            until(SOON, "the kernel has it", || {
                kernel::holds("addr4-sshd", "192.0.2.2")
            });
        });
    }

    const MANY: usize = 1000;

    #[test]
    fn a_thousand_bans_outlive_a_killed_server() {
        in_world(|world| {
            let log_file = empty_log(world);
            let guard = Setup::new()
                .watch(&log_file)
                .set("sshd.bantime=1h")
                .start(world);
            let all = ban_many(MANY);
            let before = log();

            let monitor = Monitor::start();
            let (fewest, guard) = kernel::watch("addr4-sshd", |looks| {
                looks.a_few();
                let setup = guard.kill();
                looks.a_few();
                let guard = setup.start(world);
                until(SOON, "status has all", || {
                    BTreeSet::from_iter(banned_in_status()) == all
                });
                looks.a_few();
                guard
            });
            let events = monitor.finish();

            assert_eq!(fewest, MANY, "some were out of the kernel for a moment");
            assert_eq!(kernel::set("addr4-sshd").as_ref(), Some(&all));
            assert_eq!(kernel::listed("sshd"), all);
            assert_eq!(
                lines(&events, &["delete element", "ferroban"]),
                [""; 0],
                "nothing was taken out"
            );
            let after = log().split_off(before.len());
            assert_eq!(lines(&after, &["] Restore Ban "]).len(), MANY);
            assert_eq!(lines(&after, &["] Ban "]), [""; 0], "they are not new");
            assert_eq!(guard.terminate().code, Some(0));
        });
    }

    /// Bans so many addresses by hand and waits until the kernel has exactly these.
    fn ban_many(count: usize) -> BTreeSet<String> {
        let address = |n| format!("198.18.{}.{}", n / 250, n % 250 + 1);
        let all: BTreeSet<String> = (0..count).map(address).collect();
        let words = ["set", "sshd", "banip"].into_iter();
        let words: Vec<&str> = words.chain(all.iter().map(String::as_str)).collect();
        assert_eq!(ask(&words), count.to_string());
        until(SOON, "the kernel has them", || {
            kernel::set("addr4-sshd").as_ref() == Some(&all)
        });
        all
    }

    /// The third party that hostile names try to have banned.
    const VICTIM: &str = "198.51.100.1";

    /// User names that try to look like something else, as an attacker sends them.
    fn hostile_names() -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = [
            "root from 198.51.100.1 port 1 ssh2: x",
            "root from 198.51.100.1 port 1 ssh2",
            "from 198.51.100.1",
            "x 198.51.100.1 port 1 [preauth]",
            "root from 198.51.100.1 port 1 ssh2 [preauth]",
            "rhost=198.51.100.1  user=root",
            "a user=b rhost=198.51.100.1",
            "sshd[1]: Failed password for root from 198.51.100.1 port 1 ssh2",
            "message repeated 9 times: [ Failed password for root from 198.51.100.1 port 1 ssh2]",
            "'\"; touch canary; \"'",
            "$(touch canary)",
            "`touch canary`",
            "|| touch canary #",
            "\u{1b}[2J\u{1b}]0;owned\u{7}",
            "<HOST> <ip> %(known)s",
            "[] <F2B_END_COMMAND>",
            "\u{202e}toor",
        ]
        .map(|name| name.as_bytes().to_vec())
        .into();
        names.push(b"\xff\xfe\x80 from 198.51.100.1 port 1 ssh2".to_vec());
        let long = "root from 198.51.100.1 port 1 ssh2 ".repeat(60_000 / 35);
        names.push(long.into_bytes());
        names.push(vec![b'A'; 60_000]);
        names
    }

    #[test]
    fn hostile_user_names_harm_nobody_else() {
        in_world(|world| {
            let _log_daemon = logging::rsyslog(world);
            let _sshd = sshd(world, false);
            let setup = Setup::new().watch(AUTH_LOG).set("sshd.maxretry=2");
            let mut guard = setup.set("sshd.bantime=10m").start(world);

            // Through ssh, each name from an address of its own, so that one tells the other.
            let names = hostile_names();
            let attackers: Vec<String> = (4..)
                .take(names.len())
                .map(|n| format!("192.0.2.{n}"))
                .collect();
            for group in names.iter().zip(&attackers).collect::<Vec<_>>().chunks(5) {
                let start =
                    |(name, from): &(&Vec<u8>, &String)| login(world, name, from, SERVER4, 1);
                must_be_denied(group.iter().map(start).collect());
            }
            let raw: Vec<String> = (1..)
                .take(names.len())
                .map(|n| format!("203.0.113.{n}"))
                .collect();
            let known: Vec<&str> = attackers
                .iter()
                .chain(&raw)
                .map(String::as_str)
                .chain(["203.0.113.200"])
                .collect();
            until(SOON, "all attackers are found", || {
                only_found(&known);
                attackers.iter().all(|attacker| found(attacker) > 0)
            });

            // As they are, from a log daemon that escapes nothing.
            for (process, (name, ip)) in (1000..).step_by(2).zip(names.iter().zip(&raw)) {
                append(AUTH_LOG, raw_line(process, name, ip));
                append(AUTH_LOG, raw_line(process + 1, name, ip));
            }
            // An ordinary one after them shows that all were read.
            guard.must_be_well(AUTH_LOG, "203.0.113.200");
            until(SOON, "the ban", || logged("Ban", "203.0.113.200"));

            only_found(&known);
            for attacker in &attackers {
                assert_eq!(found(attacker), 1, "one login is one attempt: {attacker}");
            }
            let banned = banned_in_status();
            assert!(
                banned.iter().all(|ip| known.contains(&ip.as_str())),
                "banned {banned:?}"
            );
            assert!(
                banned.len() > names.len() / 2,
                "a name hides its owner: only {banned:?}"
            );
            assert!(!kernel::holds("addr4-sshd", VICTIM));
            assert!(
                !log().contains('\u{1b}'),
                "the log carries an escape sequence"
            );
            nothing_was_run(world);
            assert_eq!(guard.terminate().code, Some(0));
        });
    }

    /// Insists that the log names nobody else as found.
    fn only_found(known: &[&str]) {
        for (_, rest) in log()
            .lines()
            .filter_map(|line| line.split_once("[sshd] Found "))
        {
            let ip = rest.split(' ').next().unwrap();
            assert!(known.contains(&ip), "found {ip}");
        }
    }

    /// A line that carries `name` unescaped.
    fn raw_line(process: u32, name: &[u8], ip: &str) -> Vec<u8> {
        let line = wrong_password(process, "invalid user NAME", ip);
        let (start, end) = line.split_once("NAME").unwrap();
        [start.as_bytes(), name, end.as_bytes()].concat()
    }

    /// No shell has seen a hostile name: the file it would have made is nowhere.
    fn nothing_was_run(world: &World) {
        for folder in [world.path("cwd"), world.path(""), "/".into()] {
            assert!(
                !folder.join("canary").exists(),
                "{}/canary",
                folder.display()
            );
        }
    }

    #[test]
    fn a_missing_log_is_told_and_read_once_it_is_there() {
        in_world(|world| {
            let missing = "/var/log/later.log";
            let mut guard = Setup::new().watch(missing).start(world);
            guard.must_tell_once(&[missing, "no such file"]);
            ban_many(1);
            guard.must_be_well(missing, "203.0.113.1");
            guard.must_tell_once(&[missing, "no such file"]);
        });
    }

    #[test]
    fn an_unreadable_log_is_told_and_read_once_it_may_be() {
        in_world(|world| {
            let closed = empty_log(world);
            let mode = |bits| fs::set_permissions(&closed, fs::Permissions::from_mode(bits));
            mode(0o000).unwrap();
            // A root that must ask like anybody else.
            let setup = Setup::new()
                .watch(&closed)
                .without("-dac_override,-dac_read_search");
            let mut guard = setup.start(world);
            guard.must_tell_once(&[&closed, "permission denied"]);
            ban_many(1);
            mode(0o600).unwrap();
            guard.must_be_well(&closed, "203.0.113.1");
            guard.must_tell_once(&[&closed, "permission denied"]);
        });
    }

    #[test]
    fn a_second_server_on_the_same_socket_gives_way() {
        in_world(|world| {
            let log_file = empty_log(world);
            let setup = Setup::new().watch(&log_file);
            let mut first = setup.start(world);
            let second = setup
                .clone()
                .database(world.path("second.sqlite3"))
                .launch(world)
                .finish();
            assert_ne!(second.code, Some(0), "{second:?}");
            let told = lines(&(second.stdout + &second.stderr), &["already running"]);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(pid_in_file(), first.id());
            first.must_be_well(&log_file, "203.0.113.1");
        });
    }

    #[test]
    fn what_a_crash_left_behind_is_removed_and_told() {
        in_world(|world| {
            let log_file = empty_log(world);
            let setup = Setup::new().watch(&log_file).start(world).kill();
            assert!(
                Path::new(SOCKET).exists() && Path::new(PIDFILE).exists(),
                "a crash leaves them"
            );
            // By now another program may have its number: here, the first process of the world.
            fs::write(PIDFILE, "1\n").unwrap();
            let mut guard = setup.start(world);
            guard.must_tell_once(&[SOCKET, "left behind"]);
            guard.must_tell_once(&[PIDFILE, "left behind"]);
            assert_eq!(pid_in_file(), guard.id());
            guard.must_be_well(&log_file, "203.0.113.1");
            assert_eq!(guard.terminate().code, Some(0));
            assert!(
                !Path::new(SOCKET).exists() && !Path::new(PIDFILE).exists(),
                "an end does not"
            );
        });
    }

    fn pid_in_file() -> u32 {
        fs::read_to_string(PIDFILE)
            .unwrap()
            .trim_end()
            .parse()
            .unwrap()
    }

    #[test]
    fn without_the_right_to_the_firewall_it_still_counts() {
        in_world(|world| {
            let log_file = empty_log(world);
            let setup = Setup::new().watch(&log_file).set("sshd.maxretry=2");
            let mut guard = setup.without("-net_admin").start(world);
            guard.must_tell_once(&["CAP_NET_ADMIN"]);
            for last in 1..=5 {
                guard.must_be_well(&log_file, &format!("203.0.113.{last}"));
            }
            until(SOON, "the decision", || logged("Ban", "203.0.113.5"));
            guard.must_tell_once(&["CAP_NET_ADMIN"]);
            assert_eq!(kernel::ruleset(), "");
        });
    }

    #[test]
    fn a_disk_that_fills_up_is_told_and_bans_hold_all_the_same() {
        in_world(|world| {
            let disk = small_disk(world);
            let log_file = empty_log(world);
            let setup = Setup::new()
                .watch(&log_file)
                .database(disk.join("ferroban.sqlite3"));
            let mut guard = setup.start(world);
            fill(&disk);
            ban_many(250);
            guard.must_tell_once(&["disk is full"]);
            guard.must_be_well(&log_file, "203.0.113.1");
            guard.must_tell_once(&["disk is full"]);
        });
    }

    #[test]
    fn a_disk_full_from_the_start_is_told_and_bans_hold_all_the_same() {
        in_world(|world| {
            let disk = small_disk(world);
            fill(&disk);
            let log_file = empty_log(world);
            let setup = Setup::new()
                .watch(&log_file)
                .database(disk.join("ferroban.sqlite3"));
            let mut guard = setup.start(world);
            guard.must_tell_once(&["ferroban.sqlite3", "disk is full"]);
            ban_many(250);
            guard.must_be_well(&log_file, "203.0.113.1");
        });
    }

    /// A folder that holds no more than a megabyte.
    fn small_disk(world: &World) -> PathBuf {
        let disk = world.path("disk");
        fs::create_dir(&disk).unwrap();
        must(
            command("mount")
                .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
                .arg(&disk),
        );
        disk
    }

    /// Leaves no room, not for one page.
    fn fill(disk: &Path) {
        let mut file = fs::File::create(disk.join("ballast")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    #[test]
    fn a_dry_run_decides_and_leaves_the_kernel_alone() {
        in_world(|world| {
            let log_file = empty_log(world);
            let setup = Setup::new()
                .watch(&log_file)
                .set("sshd.maxretry=2")
                .dry_run();
            let mut guard = setup.start(world);
            guard.must_be_well(&log_file, "203.0.113.1");
            until(SOON, "the decision", || logged("Ban", "203.0.113.1"));
            assert_eq!(banned_in_status(), ["203.0.113.1"]);
            assert_eq!(kernel::ruleset(), "");
        });
    }

    #[test]
    fn without_root_it_runs_dry_in_the_users_own_folders() {
        in_world(|world| {
            // Where anybody may run it, unlike the folder it was built in.
            let program = world.path("ferroban");
            fs::copy(FERROBAN, &program).unwrap();
            let [runtime, state] = ["runtime", "state"].map(|name| {
                let folder = world.path(name);
                fs::create_dir(&folder).unwrap();
                std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
                folder
            });
            let log_file = empty_log(world);
            let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
            let mut guard = Running::start(
                command("setpriv")
                    .args(nobody)
                    .arg(program)
                    .args(["guard", "--logtarget", "STDOUT", "--watch", &log_file])
                    .args(["--set", "sshd.maxretry=2"])
                    .env("XDG_RUNTIME_DIR", &runtime)
                    .env("XDG_STATE_HOME", &state)
                    .current_dir(&state),
            );
            until(SOON, "the jail starts", || {
                assert!(guard.runs(), "it ended: {}", guard.said());
                guard.said().contains("Jail 'sshd' started")
            });
            assert_eq!(
                lines(&guard.said(), &["root", "dry"]).len(),
                1,
                "{}",
                guard.said()
            );
            for process in [1, 2] {
                append(&log_file, wrong_password(process, "root", "203.0.113.1"));
            }
            until(SOON, "the decision", || {
                guard.said().contains("[sshd] Ban 203.0.113.1")
            });

            let socket = must(command("find").arg(&runtime).args(["-type", "s"]));
            let status = client_on(OURS, socket.trim_end(), &["status", "sshd"]);
            assert!(status.stdout.contains("203.0.113.1"), "{status:?}");
            let database =
                must(
                    command("find")
                        .arg(&state)
                        .args(["-type", "f", "-name", "*.sqlite3"]),
                );
            assert_eq!(database.lines().count(), 1, "{database}");
            assert_eq!(kernel::ruleset(), "");
            guard.signal(rustix::process::Signal::TERM);
            assert_eq!(guard.finish(SOON).code, Some(0));
        });
    }

    /// A command, what a client prints, and its exit code. `~` stands for the version.
    type Step = (&'static [&'static str], &'static str, i32);

    /// Leaves the server as it was, so that both clients can go through it.
    const STEPS: [Step; 15] = [
        (&["ping"], "Server replied: pong\n", 0),
        (&["version"], "~\n", 0),
        (
            &["status"],
            "Status\n|- Number of jail:\t1\n`- Jail list:\tsshd\n",
            0,
        ),
        (&["set", "sshd", "banip", "203.0.113.1"], "1\n", 0),
        (&["set", "sshd", "banip", "203.0.113.1"], "0\n", 0),
        (&["get", "sshd", "banip"], "203.0.113.1\n", 0),
        (&["banned"], "[{'sshd': ['203.0.113.1']}]\n", 0),
        (&["set", "sshd", "unbanip", "203.0.113.1"], "1\n", 0),
        (&["get", "sshd", "banip"], "\n", 0),
        (
            &["set", "sshd", "banip", "203.0.113.2", "2001:db8::9:1"],
            "2\n",
            0,
        ),
        (&["unban", "2001:db8::9:1"], "1\n", 0),
        (&["unban", "--all"], "1\n", 0),
        (&["banned"], "[{'sshd': []}]\n", 0),
        (
            &["status", "nosuch"],
            "Sorry but the jail 'nosuch' does not exist\n",
            255,
        ),
        (&["nonsense"], "Invalid command\n", 255),
    ];

    /// Both clients get the same answers, and the answers that they should.
    fn both_clients_agree(socket: &str, version: &str) {
        for program in [DEBIANS, OURS] {
            for (words, expected, code) in STEPS {
                let Done {
                    code: got,
                    stdout,
                    stderr,
                } = client_on(program, socket, words);
                let expected = expected.replace('~', version);
                assert_eq!(
                    (stdout, got),
                    (expected, Some(code)),
                    "{program} {words:?}: {stderr}"
                );
            }
            let status = |program| client_on(program, socket, &["status", "sshd"]).stdout;
            assert_eq!(status(OURS), status(DEBIANS));
            assert!(status(OURS).starts_with("Status for the jail: sshd\n|- Filter\n"));
        }
    }

    #[test]
    fn debians_client_and_ours_talk_to_our_server() {
        in_world(|world| {
            let log_file = empty_log(world);
            let guard = Setup::new()
                .watch(&log_file)
                .set("sshd.bantime=600")
                .start(world);
            both_clients_agree(SOCKET, "1.1.1");
            let stop = client(DEBIANS, &["stop"]);
            assert!(stop.succeeded("Shutdown successful\n"), "{stop:?}");
            assert_eq!(guard.finish().code, Some(0));
            assert!(!Path::new(SOCKET).exists() && !Path::new(PIDFILE).exists());
        });
    }

    /// Again and again, because a server can end before its answer is out.
    #[test]
    fn a_stop_lifts_all_bans_and_is_answered() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            for program in [OURS, DEBIANS].repeat(5) {
                let guard = setup.start(world);
                ban_many(1);
                let stop = client(program, &["stop"]);
                assert!(
                    stop.succeeded("Shutdown successful\n"),
                    "{program}: {stop:?}"
                );
                assert_eq!(guard.finish().code, Some(0));
                assert!(!Path::new(SOCKET).exists() && !Path::new(PIDFILE).exists());
                assert_eq!(kernel::ruleset(), "", "a final stop cleans up");
                // Bans are kept for the next start; here each start is the first.
                fs::remove_file(setup.database_file()).unwrap();
            }
        });
    }

    #[test]
    fn bans_move_to_fail2ban_and_back_with_the_database() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            let guard = setup.start(world);
            let mut banned = ban_many(3);
            guard.kill();
            let theirs = original::server_on(world, setup.database_file());
            let status = || client_on(DEBIANS, original::SOCKET, &["get", "sshd", "banip", " "]);
            until(SOON, "fail2ban takes our bans over", || {
                let listed = status().stdout;
                listed
                    .split_whitespace()
                    .map(ToOwned::to_owned)
                    .collect::<BTreeSet<_>>()
                    == banned
            });
            let ban = ["set", "sshd", "banip", "203.0.113.5"];
            assert!(client_on(DEBIANS, original::SOCKET, &ban).succeeded("1\n"));
            client_on(DEBIANS, original::SOCKET, &["stop"]);
            theirs.finish(SOON);

            let _guard = setup.start(world);
            banned.insert("203.0.113.5".to_owned());
            until(SOON, "we take theirs over", || {
                kernel::set("addr4-sshd").as_ref() == Some(&banned)
            });
        });
    }

    fn reload(words: &[&str]) -> Done {
        run(command(FERROBAN)
            .args(["reload", "--socket", SOCKET])
            .args(words))
    }

    /// A configuration folder in which jail `sshd` reads `log` and is on; `own` is
    /// appended to its section. Returns its `jail.conf`.
    fn write_jails(world: &World, log: &str, own: &str) -> PathBuf {
        fs::create_dir_all(world.path("conf/filter.d")).unwrap();
        let filter = "[Definition]\nfailregex = Failed password for \\S+ from <HOST> port\n";
        world.write("conf/filter.d/wrong.conf", filter);
        let jails = format!(
            "[DEFAULT]\nfilter = wrong\nlogpath = {log}\nbackend = polling\n\
             action = ferroban[port=22]\nmaxretry = 5\n[sshd]\nenabled = true\n{own}"
        );
        world.write("conf/jail.conf", jails)
    }

    #[test]
    fn a_configuration_folder_is_read_and_taken_over_whole_or_not_at_all() {
        in_world(|world| {
            let log = empty_log(world);
            let write = |own: &str| write_jails(world, &log, own);
            let broken = "[broken]\nenabled = true\nfilter = nosuch\n";
            let config = write(broken);
            let mut guard = Setup::new().config(config.parent().unwrap()).start(world);
            guard.must_tell_once(&["jail 'broken'", "nosuch"]);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);

            // A mistake anywhere: nothing changes, and it is named.
            write(&format!("maxretry = 1\n{broken}"));
            let refused = reload(&[]);
            assert_eq!(refused.code, Some(1));
            assert!(
                refused.stderr.contains("nothing changed") && refused.stderr.contains("nosuch")
            );
            append(&log, wrong_password(1, "root", "203.0.113.1"));
            guard.must_find("203.0.113.1", 1);
            assert!(!logged("Ban", "203.0.113.1"), "maxretry is still 5");

            write("maxretry = 1\n[other]\nenabled = true\n");
            let plan = reload(&["--plan"]);
            let expected = [
                "~ jail 'sshd' changes; 1 ban(s) stay",
                "maxretry: 5 -> 1",
                "+ jail 'other' starts",
            ];
            assert!(
                expected.iter().all(|line| plan.stdout.contains(line)),
                "{plan:?}"
            );
            assert_eq!(
                ask(&["status"]).matches("other").count(),
                0,
                "a plan changes nothing"
            );
            assert_eq!(reload(&[]).stdout, plan.stdout, "what was planned is done");
            append(&log, wrong_password(2, "root", "203.0.113.2"));
            until(SOON, "one failure is enough now", || {
                logged("Ban", "203.0.113.2")
            });
            assert!(
                kernel::holds("addr4-sshd", "198.51.100.1"),
                "the old ban stays"
            );

            write("[other]\nenabled = false\n");
            assert_eq!(reload(&[]).code, Some(0));
            until(SOON, "the jail is gone", || {
                !kernel::ruleset().contains("other")
            });
        });
    }

    #[test]
    fn an_emptied_firewall_is_told_once_and_put_back_by_order() {
        in_world(|world| {
            let mut guard = Setup::new().watch(&empty_log(world)).start(world);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);
            must(command("nft").args(["flush", "ruleset"]));
            for ip in ["198.51.100.2", "198.51.100.3"] {
                ask(&["set", "sshd", "banip", ip]);
            }
            let told = guard.must_tell_once(&["UNPROTECTED"]);
            for part in [
                "nft (process ",
                "has taken its rules away",
                "ferroban reload",
            ] {
                assert!(told.contains(part), "{told}");
            }
            assert_eq!(kernel::ruleset(), "", "it may have been meant");

            let reload = run(command(FERROBAN).args(["reload", "--socket", SOCKET]));
            assert!(reload.succeeded("nothing changes\n"), "{reload:?}");
            until(SOON, "all bans are back", || {
                kernel::listed("sshd").len() == 3
            });
        });
    }

    #[test]
    fn an_emptied_firewall_is_told_though_nobody_is_banned_any_more() {
        in_world(|world| {
            let mut guard = Setup::new().watch(&empty_log(world)).start(world);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);
            must(command("nft").args(["delete", "table", "inet", "ferroban"]));
            guard.must_tell_once(&["UNPROTECTED", "1 ban(s) do not hold", "nft (process "]);
            assert_eq!(kernel::ruleset(), "", "it may have been meant");
        });
    }

    #[test]
    fn a_firewall_that_is_loaded_anew_gets_its_bans_back() {
        in_world(|world| {
            let mut guard = Setup::new().watch(&empty_log(world)).start(world);
            for ip in ["198.51.100.1", "2001:db8:9::1"] {
                ask(&["set", "sshd", "banip", ip]);
            }
            let rules = "flush ruleset\ntable inet filter {\n chain input {\n  type filter hook input priority 0;\n }\n}\n";
            let file = world.write("nftables.conf", rules);
            must(command("nft").arg("-f").arg(&file));
            let back = || {
                kernel::holds("addr4-sshd", "198.51.100.1")
                    && kernel::holds("addr6-sshd", "2001:db8:9::1")
            };
            until(SOON, "the bans are back", back);
            assert!(kernel::ruleset().contains("table inet filter"));
            guard.must_tell_once(&["nft (process ", "has loaded the firewall anew"]);
            guard.must_tell_once(&["works again and holds 2 ban(s)"]);
            assert_eq!(banned_in_status().len(), 2);

            // In two steps, as many scripts do it.
            must(command("nft").args(["flush", "ruleset"]));
            must(command("nft").args(["add", "table", "inet", "filter"]));
            until(SOON, "the bans are back again", back);
            assert!(guard.told(&["UNPROTECTED"]).is_empty());
        });
    }

    #[test]
    fn a_ban_that_another_program_takes_out_is_lifted() {
        in_world(|world| {
            let mut guard = Setup::new().watch(&empty_log(world)).start(world);
            for ip in ["198.51.100.1", "198.51.100.2", "203.0.113.0/24"] {
                ask(&["set", "sshd", "banip", ip]);
            }
            let delete = |set: &str, element: &str| {
                let element = format!("delete element inet ferroban {set} {{ {element} }}");
                must(command("nft").arg(element));
            };
            delete("addr4-sshd", "198.51.100.1");
            delete("net4-sshd", "203.0.113.0/24");
            for ip in ["198.51.100.1", "203.0.113.0/24"] {
                guard.must_tell_once(&[ip, "was taken out of the firewall by nft (process "]);
                guard.must_tell_once(&["NOTICE", &format!("[sshd] Unban {ip}")]);
            }
            assert_eq!(banned_in_status(), ["198.51.100.2"]);
            assert_eq!(kernel::listed("sshd").len(), 1);
        });
    }

    #[test]
    fn who_wants_to_be_guarded_always_is_until_it_becomes_a_quarrel() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            let mut guard = setup.set("sshd.heal=always").start(world);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);
            for _ in 0..5 {
                must(command("nft").args(["flush", "ruleset"]));
                until(SOON, "the ban is back", || {
                    kernel::holds("addr4-sshd", "198.51.100.1")
                });
            }
            must(command("nft").args(["flush", "ruleset"]));
            let told = guard.must_tell_once(&["UNPROTECTED", "5 times within a minute"]);
            assert!(told.contains("nft (process "), "{told}");
            assert_eq!(kernel::ruleset(), "");
        });
    }

    /// Our own command, about the daemon of this world.
    fn own(words: &[&str]) -> Done {
        run(command(FERROBAN).args(words).args(["--socket", SOCKET]))
    }

    fn ipset(words: &str) -> String {
        must(command("ipset").args(words.split(' ')))
    }

    /// Bans it, and waits until it is in the set `f2b`.
    fn ban_in_set(ip: &str) {
        ask(&["set", "sshd", "banip", ip]);
        let entry = format!("add f2b {ip} timeout ");
        until(SOON, "the set has it", || {
            ipset("save f2b").contains(&entry)
        });
    }

    #[test]
    fn bans_are_in_a_set_that_a_rule_of_the_administrator_refers_to() {
        in_world(|world| {
            let _sshd = sshd(world, false);
            let setup = Setup::new().watch(&empty_log(world));
            let mut guard = setup.set("sshd.action=ferroban[ipset=f2b]").start(world);
            guard.must_tell_once(&["bans with ipset, in the sets f2b and f2b6"]);
            ban_in_set("192.0.2.2");
            assert_eq!(
                knock("192.0.2.2", SERVER4),
                Door::Open,
                "no rule, no effect"
            );
            let told = guard.must_tell_once(&["WARNING", "[sshd] action 'ferroban': no rule"]);
            let status = own(&["status"]).stdout;
            assert!(
                status.contains("TROUBLE") && status.contains("no rule refers"),
                "{status}"
            );
            let done = own(&["check"]);
            assert!(
                done.stdout.contains("DOES NOT BAN: no rule refers"),
                "{done:?}"
            );

            // The commands that are told put it right.
            let (_, rules) = told.split_once("to add them: ").unwrap();
            must(command("sh").args(["-c", rules.trim()]));
            let done = own(&["check"]);
            let proven = "[sshd] ferroban: ok: banned 192.0.2.254 and 2001:db8::fffe, ";
            assert!(done.stdout.starts_with(proven), "{done:?}");
            guard.must_tell_once(&["NOTICE", "its bans have an effect now"]);
            until(SOON, "all is well", || {
                !own(&["status"]).stdout.contains("TROUBLE")
            });
            assert_eq!(knock("192.0.2.2", SERVER4), Door::Silent);

            // Rules refer to the sets: they stay, and are empty.
            ask(&["stop"]);
            until(SOON, "nobody is banned any more", || {
                !ipset("save").contains("add ")
            });
            assert_eq!(ipset("list -n"), "f2b\nf2b6\n");
        });
    }

    /// Each check looks at the sets, beside one look every half minute.
    #[test]
    fn what_others_do_to_a_set_is_seen_by_a_look() {
        in_world(|world| {
            let setup = Setup::new().watch(&empty_log(world));
            let mut guard = setup.set("sshd.action=ferroban[ipset=f2b]").start(world);
            for ip in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
                ban_in_set(ip);
            }
            ipset("del f2b 198.51.100.3");
            own(&["check"]);
            guard.must_tell_once(&["198.51.100.3 was taken out of the firewall by somebody"]);
            until(SOON, "it is no ban any more", || {
                banned_in_status().len() == 2
            });
            ipset("flush f2b");
            own(&["check"]);
            guard.must_tell_once(&["UNPROTECTED", "its set 'f2b' was emptied"]);
            assert!(
                !ipset("save f2b").contains("add "),
                "it may have been meant"
            );
            assert!(own(&["reload"]).succeeded("nothing changes\n"));
            until(SOON, "all bans are back", || {
                ipset("save f2b").matches("add f2b 198.51.100.").count() == 2
            });
            ask(&["stop"]);
            until(SOON, "the sets are gone", || ipset("list -n").is_empty());
        });
    }

    #[test]
    fn whether_bans_reach_the_firewall_can_be_proven() {
        in_world(|world| {
            let mut guard = Setup::new().watch(&empty_log(world)).start(world);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);
            let check = |more: &[&str]| {
                run(command(FERROBAN)
                    .args(["check", "--socket", SOCKET])
                    .args(more))
            };
            let proven = "[sshd] ferroban: ok: banned 192.0.2.254 and 2001:db8::fffe, found it in the kernel, and took it out again\n";
            for more in [&[][..], &["sshd"]] {
                let done = check(more);
                assert!(done.succeeded(proven), "{done:?}");
            }
            let done = check(&["--json"]);
            assert!(done.stdout.contains("\"proven\":true"), "{done:?}");
            let done = check(&["nosuch"]);
            assert_eq!(done.code, Some(1), "{done:?}");
            assert_eq!(banned_in_status(), ["198.51.100.1"]);
            assert_eq!(kernel::listed("sshd").len(), 1);
            assert!(guard.told(&["192.0.2.254"]).is_empty(), "it is no ban");

            must(command("nft").args(["flush", "chain", "inet", "ferroban", "block-sshd"]));
            guard.must_tell_once(&["UNPROTECTED"]);
            let done = check(&[]);
            assert_eq!(done.code, Some(1), "{done:?}");
            let told = "[sshd] ferroban: DOES NOT BAN: jail 'sshd': its rules or sets are not in the kernel";
            assert!(done.stdout.starts_with(told), "{done:?}");
        });
    }

    #[test]
    fn connections_of_the_banned_end_where_that_is_wanted() {
        in_world(|world| {
            use std::io::Read as _;
            use std::net::{TcpListener, TcpStream};
            let listen = |port: u16| TcpListener::bind(("127.0.0.1", port)).unwrap();
            let (guarded, other) = (listen(22), listen(2200));
            let connect = |listener: &TcpListener| {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                (client, listener.accept().unwrap().0)
            };
            for wanted in ["no", "yes"] {
                let ends = connect(&guarded);
                let stays = connect(&other);
                let setup = Setup::new().watch(&empty_log(world));
                let mut guard = setup.set(&format!("sshd.cut={wanted}")).start(world);
                ask(&["set", "sshd", "banip", "--force", "127.0.0.1"]);
                let is_open = |mut end: &TcpStream| {
                    end.set_nonblocking(true).unwrap();
                    let read = end.read(&mut [0]);
                    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
                };
                if wanted == "yes" {
                    guard.must_tell_once(&["connection(s) of the banned ended"]);
                }
                assert_eq!(is_open(&ends.1), wanted == "no", "the end of this host");
                assert!(is_open(&stays.0) && is_open(&stays.1), "another port");
                ask(&["unban", "--all"]);
                assert_eq!(guard.terminate().code, Some(0));
            }
        });
    }

    #[test]
    fn a_reload_is_told_beforehand_and_changes_only_what_differs() {
        in_world(|world| {
            let config = world.write("sshd_config", "Port 22\nInclude /run/loop\n");
            std::os::unix::fs::symlink("/run/loop", "/run/loop").unwrap();
            let bound = ["--bind", config.to_str().unwrap(), "/etc/ssh/sshd_config"];
            must(command("mount").args(bound));
            let log = empty_log(world);
            let mut guard = Setup::new().watch(&log).start(world);
            guard.must_tell_once(&["/run/loop: cannot be read"]);
            ask(&["set", "sshd", "banip", "198.51.100.1"]);
            assert!(reload(&["--plan"]).succeeded("nothing changes\n"));

            fs::write(&config, "Port 22\nPort 2222\n").unwrap();
            let plan = reload(&["--plan"]);
            assert!(
                plan.stdout
                    .starts_with("~ jail 'sshd' changes; 1 ban(s) stay\n"),
                "{plan:?}"
            );
            assert!(plan.stdout.contains("2222"), "{plan:?}");
            assert!(
                !kernel::ruleset().contains("2222"),
                "a plan changes nothing"
            );

            assert_eq!(reload(&["--json"]).code, Some(0));
            until(SOON, "the new port is guarded", || {
                kernel::ruleset().contains("2222")
            });
            assert!(kernel::holds("addr4-sshd", "198.51.100.1"), "the ban stays");
            assert_eq!(banned_in_status(), ["198.51.100.1"]);
            append(&log, wrong_password(1, "root", "203.0.113.1"));
            guard.must_find("203.0.113.1", 1);
        });
    }

    #[test]
    fn our_client_starts_reloads_and_stops_debians_server() {
        in_world(|world| {
            empty_log(world);
            let mixed = original::Mixed::new(world);
            let must = |words: &[&str], stdout: &str| {
                let done = mixed.client(words);
                assert!(done.succeeded(stdout), "{words:?}: {done:?}");
            };
            let jails = |names: &str| {
                let count = names.split_terminator(", ").count();
                let status =
                    format!("Status\n|- Number of jail:\t{count}\n`- Jail list:\t{names}\n");
                must(&["status"], &status);
            };
            must(&["start"], "Server ready\n");
            jails("sshd");
            must(&["set", "sshd", "banip", "198.51.100.1"], "1\n");
            let again = mixed.client(&["start"]);
            assert_eq!(again.code, Some(255));
            assert!(again.stderr.ends_with("ERROR   Server already running\n"));

            let other = "[other]\nenabled = true\nbackend = polling\nfilter = wrong\n\
                         logpath = /run/e2e/auth.log\naction = nothing\n";
            mixed.write("jail.local", other);
            must(&["reload"], "OK\n");
            jails("other, sshd");
            must(&["get", "sshd", "banip"], "198.51.100.1\n");
            mixed.write("jail.local", "[other]\nenabled = false\n");
            must(&["reload", "other"], "OK\n");
            jails("sshd");
            must(&["reload", "--unban", "sshd"], "OK\n");
            must(&["get", "sshd", "banip"], "\n");

            must(&["restart"], "Shutdown successful\nServer ready\n");
            mixed.write("jail.local", "[sshd]\nbantime = bogus\n");
            let refused = mixed.client(&["restart"]);
            assert_eq!(refused.code, Some(255));
            assert_eq!(refused.stdout, "Shutdown successful\nServer ready\n");
            assert!(
                refused
                    .stderr
                    .contains("NOK: (\"name 'bogus' is not defined\",)")
            );
            must(&["stop"], "Shutdown successful\n");
            until(SOON, "it cleans up", || {
                !Path::new(original::SOCKET).exists()
            });
        });
    }

    #[test]
    fn our_client_and_debians_talk_to_debians_server() {
        in_world(|world| {
            empty_log(world);
            let server = original::server(world);
            both_clients_agree(original::SOCKET, "1.0.2");
            let stop = client_on(OURS, original::SOCKET, &["stop"]);
            assert!(stop.succeeded("Shutdown successful\n"), "{stop:?}");
            assert_eq!(server.finish(SOON).code, Some(0));
        });
    }
}
