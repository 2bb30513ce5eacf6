//! Rules of the client that need no daemon.

use super::*;

#[test]
fn levels_have_a_name_or_a_number() {
    for level in ["INFO", "debug", "HeavyDebug", "9", "20", "FATAL", "msg"] {
        assert!(is_log_level(OsStr::new(level)), "{level}");
    }
    for level in ["", "BOGUS", "-1", "INFO ", "1.5"] {
        assert!(!is_log_level(OsStr::new(level)), "{level}");
    }
}

fn read(args: &[&str]) -> Options {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    options(&args, Face::Client).unwrap()
}

#[test]
fn options_are_kept_and_the_last_one_counts() {
    let read = read(&[
        "-vvq",
        "-s",
        "/a",
        "--socket=/b",
        "-p",
        "/p",
        "status",
        "-v",
    ]);
    assert_eq!(socket_path(&read), Path::new("/b"));
    assert_eq!(read.pid_file.as_deref(), Some(Path::new("/p")));
    assert_eq!(read.lines.verbosity, 2);
    assert_eq!(read.words, [Str::from("status"), Str::from("-v")]);
}

#[test]
fn the_socket_is_where_fail2ban_has_it() {
    let read = read(&["ping"]);
    let path = "/var/run/fail2ban/fail2ban.sock";
    assert_eq!(socket_path(&read), Path::new(path));
}

#[test]
fn what_every_command_checks_is_checked() {
    let args = |folder: &str, level: &str| {
        let mut options = read(&["ping"]);
        options.apply(Name::Conf, folder.into());
        options.apply(Name::LogLevel, level.into());
        options.check_folder().and_then(|()| options.check_level())
    };
    assert_eq!(args("/", "INFO"), Ok(()));
    assert_eq!(
        args("/no/such", "INFO"),
        Err("Base configuration directory /no/such does not exist ".into())
    );
    assert_eq!(args("/", "BOGUS"), Err("Invalid log level 'BOGUS'".into()));
}

/// A folder with that `fail2ban.conf`, and what `ping` makes of it.
fn of_folder(text: &str, args: &[&str]) -> Result<Options, ExitCode> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fail2ban.conf"), text).unwrap();
    let mut all: Vec<OsString> = vec!["-c".into(), folder.path().into()];
    all.extend(args.iter().chain(&["ping"]).map(OsString::from));
    options(&all, Face::Client)
}

#[test]
fn what_the_command_line_leaves_open_is_in_the_folder() {
    let text =
        "[Definition]\nsocket = /run/s\npidfile = /run/%(name)s\nname = p\nloglevel = debug\n";
    let shown = |options: Options| {
        let os = |text: Option<OsString>| text.unwrap().into_string().unwrap();
        let path = |path: Option<PathBuf>| path.unwrap().display().to_string();
        [
            path(options.socket),
            path(options.pid_file),
            os(options.log_level),
            os(options.log_target),
            os(options.syslog_socket),
        ]
        .join(" ")
    };
    let rows: [(&[&str], &str); 3] = [
        (&[], "/run/s /run/p debug /var/log/fail2ban.log auto"),
        (
            &["-s", "/a", "--loglevel", "INFO"],
            "/a /run/p INFO /var/log/fail2ban.log auto",
        ),
        (
            &["--logtarget=STDERR", "--syslogsocket", "/x", "-p", "/b"],
            "/run/s /b debug STDERR /x",
        ),
    ];
    for (args, expected) in rows {
        assert_eq!(shown(of_folder(text, args).unwrap()), expected, "{args:?}");
    }
}

#[test]
fn a_folder_that_is_broken_stops_every_command_that_needs_it() {
    let all = "-s /s -p /p --loglevel INFO --logtarget /l --syslogsocket auto";
    let all: Vec<&str> = all.split(' ').collect();
    for text in [
        "socket = /s\n",
        "[Definition]\nsocket = %(no)s\n",
        "[Definition]\nloglevel = BOGUS\n",
    ] {
        assert!(of_folder(text, &[]).is_err(), "{text}");
        assert!(of_folder(text, &all).is_ok(), "{text}: nobody asks it");
    }
}

#[test]
fn seconds_are_printed_as_python_prints_them() {
    let rows = [
        ("1d12h", Ok("129600")),
        ("1mo", Ok("2629800.0")),
        ("1y*1000000000000000", Ok("3.15576e+22")),
        ("bogus", Err("name 'bogus' is not defined")),
        ("", Err("invalid syntax (<string>, line 0)")),
    ];
    for (text, expected) in rows {
        let told = seconds(text);
        let told = told.as_deref().map_err(String::as_str);
        assert_eq!(told, expected, "{text}");
    }
}

/// Options whose places are all given, so that no folder is read.
fn server(args: &[&str]) -> Options {
    let places = "-s /s -p /p --loglevel INFO --logtarget /l --syslogsocket auto";
    let all: Vec<&str> = places.split(' ').chain(args.iter().copied()).collect();
    read(&all)
}

#[test]
fn a_server_is_started_as_fail2ban_starts_it() {
    let rest = "--loglevel INFO --logtarget /l --syslogsocket auto";
    let rows: [(&[&str], &str); 4] = [
        (&[], ""),
        (&["-x", "start"], "-x "),
        (&["-vvq", "-x", "--pname", "n", "--timeout", "5"], "-x -v "),
        (&["-q"], ""),
    ];
    for (args, between) in rows {
        let started = server::arguments(&server(args)).join(" ".as_ref());
        let expected = format!("--async -b -s /s -p /p {between}{rest}");
        assert_eq!(started, *expected, "{args:?}");
    }
    let here = std::env::current_dir().unwrap();
    let elsewhere = server::arguments(&server(&["-s", "run/x"]));
    assert!(elsewhere.contains(&here.join("run/x").into_os_string()));
}

#[test]
fn the_last_word_on_the_ground_counts_and_a_prompt_has_none() {
    let rows: [(&[&str], bool); 8] = [
        (&["start"], false),
        (&["-f", "start"], true),
        (&["-bf", "restart"], true),
        (&["-fb", "start"], false),
        (&["-f", "status"], false),
        (&["-f", "start", "j1"], false),
        (&["-if", "start"], false),
        (&["--detached"], true),
    ];
    for (args, expected) in rows {
        assert_eq!(server(args).becomes_server(), expected, "{args:?}");
    }
}

#[test]
fn the_time_for_a_server_is_an_expression() {
    let seconds = Duration::from_secs_f64;
    let rows: [(&[&str], Duration); 5] = [
        (&[], seconds(30.0)),
        (&["--timeout", "1m"], seconds(60.0)),
        (&["--timeout", "1m/40"], seconds(1.5)),
        (&["--timeout", "-5"], seconds(0.0)),
        (&["--timeout", "1y*1000000000000000"], Duration::MAX),
    ];
    for (args, expected) in rows {
        assert_eq!(server(args).server.patience, expected, "{args:?}");
    }
}
