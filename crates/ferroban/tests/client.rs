//! `fail2ban-client` and `fail2ban-server` as programs, against a server that is played.
//!
//! What must be printed, sent and returned was recorded from fail2ban's own client. Nothing
//! here needs fail2ban, rights or a network.

#[cfg(test)]
#[path = "client/home.rs"]
mod home;
#[cfg(test)]
#[path = "client/played.rs"]
mod played;

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::home::{Done, Home, PROMPT, said};
    use crate::played::{BROKEN, FRIENDLY, Played};

    const COULD_NOT_START: &str = "fail2ban ERROR Could not start server. Maybe an old socket \
         file is still present. Try to remove @SOCKET@. If you used fail2ban-client to start \
         the server, adding the -x option will do it";
    const MISSING: &str =
        "fail2ban ERROR Failed to access socket path: @SOCKET@. Is fail2ban running?";
    const STALE: &str = "fail2ban ERROR Fail2ban seems to be in unexpected state \
         (not running but the socket exists)";
    const NO_FILTER: [&str; 2] = [
        "fail2ban.configreader ERROR Found no accessible config files for 'filter.d/nosuch' \
         under @CONF@",
        "fail2ban.jailreader ERROR Unable to read the filter 'nosuch'",
    ];

    /// Words, and what is expected: code, standard output, lines of standard error.
    type Row<'a> = (&'a str, i32, &'a str, &'a [&'a str]);

    fn check(home: &Home, rows: &[Row<'_>]) {
        for (words, code, stdout, stderr) in rows {
            home.client(words).must_be(*code, stdout, stderr);
        }
    }

    #[test]
    fn without_a_server_commands_say_so() {
        let home = Home::new();
        check(
            &home,
            &[
                ("ping", 255, "", &[MISSING]),
                ("status", 255, "", &[MISSING]),
                ("-q stop", 255, "", &[MISSING]),
                ("reload", 255, "", &["fail2ban ERROR Could not find server"]),
                (
                    "restart j1",
                    255,
                    "",
                    &["fail2ban ERROR Could not find server"],
                ),
                (
                    "reload a b",
                    255,
                    "",
                    &["fail2ban ERROR Unexpected argument(s) for reload: ['a', 'b']"],
                ),
            ],
        );
    }

    #[test]
    fn what_lies_where_the_socket_should_be_is_an_obstacle_to_a_start() {
        let home = Home::new();
        fs::write(home.socket(), "precious").unwrap();
        let dead = "fail2ban ERROR [[Errno 111] Connection refused] \
                    Unable to contact server. Is it running?";
        check(
            &home,
            &[
                (
                    "ping",
                    255,
                    "",
                    &["fail2ban ERROR [Errno 111] Connection refused"],
                ),
                ("status", 255, "", &[dead]),
                ("start", 255, "", &[STALE]),
                ("restart", 255, "", &[dead, STALE]),
                ("-f start", 255, "", &[STALE]),
            ],
        );
        let failed = "fail2ban ERROR Async configuration of server failed";
        for words in ["start", "-b", "-f start"] {
            home.server(words).must_be(255, "", &[STALE, failed]);
        }
    }

    #[test]
    fn start_starts_the_program_beside_it_and_tells_it_everything() {
        let home = Home::new();
        let played = Played::hidden(&home, FRIENDLY);
        home.server_appears();
        home.client("-vv -x --loglevel DEBUG start")
            .must_print(0, "Server ready\n");
        let args = "--async -b -s @SOCKET@ -p @PID@ -x -vv --loglevel DEBUG \
                    --logtarget @LOG@ --syslogsocket auto\n";
        assert_eq!(home.server_args(), home.filled(args));

        let heard = played.heard();
        let [ping, stream, status] = heard.as_slice() else {
            panic!("{heard:#?}")
        };
        assert_eq!(ping, "['ping', 0.1]");
        let begin = "['server-stream', [['set', 'syslogsocket', 'auto'], \
                     ['set', 'loglevel', 'DEBUG'], ['set', 'logtarget', '@LOG@'], ";
        assert!(stream.starts_with(&home.filled(begin)), "{stream}");
        assert!(stream.ends_with(", ['start', 'j1']]]"), "{stream}");
        assert_eq!(status, "['server-status']");
    }

    #[test]
    fn a_server_that_was_told_nonsense_is_ready_and_the_start_failed() {
        let home = Home::new();
        let _played = Played::hidden(&home, BROKEN);
        home.server_appears();
        let told = "fail2ban ERROR NOK: (\"name 'bogus' is not defined\",)";
        home.client("start").must_be(255, "Server ready\n", &[told]);
    }

    #[test]
    fn a_server_that_runs_is_not_started_again() {
        let home = Home::new();
        let _played = Played::visible(&home, FRIENDLY);
        let running = "fail2ban ERROR Server already running";
        for words in ["start", "-x start", "-f start"] {
            home.client(words).must_be(255, "", &[running]);
        }
        let failed = "fail2ban ERROR Async configuration of server failed";
        home.server("-x").must_be(255, "", &[running, failed]);
    }

    #[test]
    fn a_server_that_does_not_come_up_is_told() {
        let home = Home::new();
        for script in ["exit 3", "exit 0"] {
            home.server_script(script);
            home.client("--timeout 0 start")
                .must_be(255, "", &[COULD_NOT_START]);
        }
        // This one is not waited for.
        home.server_script("exit 3");
        home.client("--timeout 1d start")
            .must_be(255, "", &[COULD_NOT_START]);
        home.no_server();
        let attempt = "fail2ban WARNING Initial start attempt failed ([Errno 2] No such file \
                       or directory). Starting 'fail2ban-server' with the same args";
        let expected = [
            attempt,
            "fail2ban ERROR Exception while starting server background",
            "fail2ban ERROR [Errno 2] No such file or directory",
            COULD_NOT_START,
        ];
        home.client("start").must_be(255, "", &expected);
    }

    #[test]
    fn restart_stops_waits_and_starts() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        home.server_appears();
        home.client("restart")
            .must_be(0, "Shutdown successful\nServer ready\n", &[]);
        let heard = played.heard();
        let words: Vec<&str> = heard
            .iter()
            .filter_map(|request| request.split('\'').nth(1))
            .collect();
        assert_eq!(words, ["stop", "ping", "server-stream", "server-status"]);
        home.client("stop").must_be(0, "Shutdown successful\n", &[]);
        home.client("restart")
            .must_be(0, "Server ready\n", &[MISSING]);
    }

    #[test]
    fn reload_sends_one_request() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        let rows = [
            ("reload", "['reload', '--all', [], [['set', 'syslogsocket'"),
            ("reload --all", "['reload', '--all', [], [["),
            (
                "reload --restart --unban j1",
                "['reload', 'j1', ['--restart', '--unban'], [[",
            ),
            (
                "restart --if-exists j1",
                "['reload', 'j1', ['--restart', '--if-exists'], [[",
            ),
            (
                "restart --unban",
                "['reload', '--all', ['--restart', '--unban'], [[",
            ),
        ];
        for (words, expected) in rows {
            home.client(words).must_be(0, "OK\n", &[]);
            let heard = played.heard();
            assert_eq!(heard.len(), 2, "{heard:#?}");
            assert_eq!(heard[0], "['ping']");
            assert!(heard[1].starts_with(expected), "{}", heard[1]);
            assert!(heard[1].ends_with(", ['start', 'j1']]]"), "{}", heard[1]);
        }
        // Another jail is switched off: nothing in the request starts it.
        home.client("reload off").must_be(0, "OK\n", &[]);
        let heard = played.heard();
        assert!(
            heard[1].starts_with("['reload', 'off', [], [["),
            "{heard:?}"
        );
        assert!(!heard[1].contains("'start'"), "{heard:?}");
    }

    #[test]
    fn what_cannot_be_reloaded_is_not_sent() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        home.write(
            "conf/jail.local",
            "[broken]\nenabled = true\nfilter = nosuch\n",
        );
        let skipped = "fail2ban.jailsreader ERROR Errors in jail 'broken'. Skipping...";
        let [found, unable] = NO_FILTER;
        check(
            &home,
            &[
                (
                    "reload nosuch",
                    255,
                    "",
                    &["fail2ban ERROR Failed during configuration: No section: 'nosuch'"],
                ),
                (
                    "reload --bogus",
                    255,
                    "",
                    &["fail2ban ERROR Failed during configuration: No section: '--bogus'"],
                ),
                (
                    "reload j1 --restart",
                    255,
                    "",
                    &["fail2ban ERROR Unexpected argument(s) for reload: ['j1', '--restart']"],
                ),
                ("reload broken", 255, "", &[found, unable, skipped]),
            ],
        );
        assert!(played.heard().iter().all(|request| request == "['ping']"));
        // As long as one jail is good, all of them may be reloaded.
        home.client("reload")
            .must_be(0, "OK\n", &[found, unable, skipped]);
        home.client("reload j1").must_be(0, "OK\n", &[]);
    }

    #[test]
    fn a_test_is_stricter_than_a_start() {
        let home = Home::new();
        let _played = Played::hidden(&home, FRIENDLY);
        home.server_appears();
        home.client("-t")
            .must_be(0, "OK: configuration test is successful\n", &[]);
        home.server("--test")
            .must_be(0, "OK: configuration test is successful\n", &[]);
        home.write(
            "conf/jail.local",
            "[broken]\nenabled = true\nfilter = nosuch\n",
        );
        let [found, unable] = NO_FILTER;
        let errors = "fail2ban.jailsreader ERROR Errors in jail 'broken'.";
        let failed = "ERROR: test configuration failed";
        let told = format!("fail2ban ERROR {failed}");
        let printed = format!("{failed}\n");
        check(
            &home,
            &[
                ("-t", 255, &printed, &[found, unable, errors]),
                ("-t start", 255, "", &[found, unable, errors, &told]),
                ("-t status", 255, "", &[found, unable, errors, &told]),
            ],
        );
        let skipped = format!("{errors} Skipping...");
        home.client("start")
            .must_be(0, "Server ready\n", &[found, unable, &skipped]);
    }

    #[test]
    fn a_prompt_takes_commands_from_a_pipe() {
        let home = Home::new();
        let banner = "Fail2Ban v1.1.1 reads log file that contains password failure report\n\
                      and bans the corresponding IP addresses using firewall rules.\n\n";
        type Row<'a> = (&'a str, &'a str, i32, String, &'a [&'a str]);
        let prompts = |count: usize| PROMPT.repeat(count);
        let eof = "fail2ban ERROR EOF when reading a line";
        let rows: [Row<'_>; 6] = [
            ("-i", "", 255, format!("{banner}{PROMPT}\n"), &[eof]),
            (
                "-i",
                "ping",
                255,
                format!("{banner}{}\n", prompts(2)),
                &[MISSING, eof],
            ),
            (
                "-i",
                "\n \t\nstatus '\nstatus\\\nquit\nping\n",
                0,
                format!("{banner}{}", prompts(5)),
                &[
                    "fail2ban ERROR No closing quotation",
                    "fail2ban ERROR No escaped character",
                ],
            ),
            (
                "-i",
                "exit x\nexit\n",
                0,
                format!("{banner}{}", prompts(2)),
                &[MISSING],
            ),
            ("-i ping", "exit\n", 255, String::new(), &[MISSING]),
            (
                "-i -t",
                "x\n",
                0,
                "OK: configuration test is successful\n".into(),
                &[],
            ),
        ];
        for (words, input, code, stdout, stderr) in &rows {
            home.client_with(words, input)
                .must_be(*code, stdout, stderr);
        }
        home.server_with("-i", "exit\n")
            .must_be(0, &format!("{banner}{PROMPT}"), &[]);
    }

    #[test]
    fn a_prompt_tells_what_it_is_about() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        home.server_appears();
        let input = "echo 'a  b' c\nreload\nrestart\nstop\nstart\nexit\n";
        let done = home.client_with("-i ping", input);
        let expected = [
            "Server replied: pong",
            "Fail2Ban v1.1.1 reads log file that contains password failure report",
            "and bans the corresponding IP addresses using firewall rules.",
            "",
            "> a  b c",
            ">   ## reload ... ",
            "OK",
            ">   ## stop ... ",
            "Shutdown successful",
            "  ## load configuration ... ",
            "  ## start ... ",
            "Server ready",
            "> Shutdown successful",
            "> Server ready",
            "> ",
        ];
        let expected = expected.join("\n").replace("> ", PROMPT);
        done.must_be(0, &expected, &[]);
        assert!(played.heard().contains(&"['echo', 'a  b', 'c']".into()));
    }

    #[test]
    fn a_terminal_edits_and_remembers_lines() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        let mut terminal = home.terminal("-i");
        terminal.wait_for(&[PROMPT]);
        terminal.press("ecko\x7f\x7fho on\r");
        assert_eq!(played.next(), "['echo', 'on']");
        terminal.wait_for(&["\r\non\r\n", PROMPT]);
        terminal.press("\x1b[A\x7f\x7ftwo\r");
        assert_eq!(played.next(), "['echo', 'two']");
        terminal.wait_for(&["\r\ntwo\r\n", PROMPT]);
        terminal.press("\x04");
        let shown = terminal.end(255);
        assert!(shown.contains("EOF when reading a line"), "{shown}");

        let mut terminal = home.terminal("-i");
        terminal.wait_for(&[PROMPT]);
        terminal.press("x\x03");
        let shown = terminal.end(255);
        assert!(
            shown.contains("WARNING Caught signal 2. Exiting"),
            "{shown}"
        );
    }

    #[test]
    fn a_signal_is_told_unless_nobody_wants_to_know() {
        let home = Home::new();
        let played = Played::visible(&home, FRIENDLY);
        let told = "fail2ban WARNING Caught signal 15. Exiting";
        for (words, stderr) in [("sleep 9", &[told][..]), ("-q sleep 9", &[])] {
            let running = home.start_client(words);
            assert_eq!(played.next(), "['sleep', '9']", "it waits for the reply");
            running.terminate().must_be(255, "\n", stderr);
        }
    }

    #[test]
    fn verbose_lines_say_what_is_sent() {
        let home = Home::new();
        let _played = Played::visible(&home, FRIENDLY);
        let stderr = home.client("-vvv ping").stderr;
        let texts: Vec<&str> = stderr.lines().map(said).collect();
        let expected = [
            "fail2ban                  HEAVY CMD: ['ping']",
            "fail2ban                  HEAVY OK : 'pong'",
            "fail2ban.beautifier       HEAVY Beautify 'pong' with ['ping']",
            "fail2ban                  DEBUG Exit with code 0",
        ];
        assert!(texts.ends_with(&expected), "{texts:#?}");
    }

    /// With the waiting shown after a second.
    #[test]
    fn a_long_wait_is_shown_to_who_wants_to_know() {
        let home = Home::new();
        home.server_script("exit 0");
        let bar = "\nINFO   [#          ] Waiting on the server...\r\x1b[8C# \x1b[2D \
                   \r                                             \r";
        let done: Done = home.client("-v --timeout 1.1 start");
        assert_eq!(done.stdout, bar.replace("D \r", "D\r"));
        assert_eq!(done.code, Some(255));
    }

    #[test]
    fn the_folder_and_level_are_checked_for_every_command() {
        let home = Home::new();
        let failed = "fail2ban ERROR Init of command line failed";
        check(
            &home,
            &[
                (
                    "-c /no/such ping",
                    255,
                    "ERROR: Base configuration directory /no/such does not exist \n",
                    &[failed],
                ),
                (
                    "--loglevel FOO ping",
                    255,
                    "ERROR: Invalid log level 'FOO'\n",
                    &[failed],
                ),
                (
                    "--timeout x ping",
                    255,
                    "ERROR: name 'x' is not defined\n",
                    &["Init of command line failed"],
                ),
            ],
        );
        let path = home.write("conf/fail2ban.local", "x\n");
        let printed = format!(
            "ERROR: File contains no section headers.\nfile: '{}', line: 1\n'x\\n'\n",
            path.display()
        );
        home.client("ping").must_be(255, &printed, &[failed]);
        fs::remove_file(path).unwrap();
    }
}
