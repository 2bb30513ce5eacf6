//! Rules of the client that need no daemon.

use super::*;

#[test]
fn the_time_of_ping_follows_pythons_float() {
    let limited = |time| Ok(Patience::Limited(Duration::from_secs_f64(time)));
    let no_float = |text: &str| Err(format!("could not convert string to float: {text}"));
    let rows = [
        ("0.5", limited(0.5)),
        (" 1 ", limited(1.0)),
        ("1e-1", limited(0.1)),
        ("1_0", limited(10.0)),
        ("-1", Ok(Patience::Endless)),
        ("0", Ok(Patience::Zero)),
        ("nan", Err("Invalid value NaN (not a number)".into())),
        (
            "inf",
            Err("timestamp too large to convert to C _PyTime_t".into()),
        ),
        (
            "1e300",
            Err("timestamp too large to convert to C _PyTime_t".into()),
        ),
        ("abc", no_float("'abc'")),
        ("", no_float("''")),
        ("1__0", no_float("'1__0'")),
        ("_1", no_float("'_1'")),
    ];
    for (text, expected) in rows {
        assert_eq!(patience(text), expected, "{text}");
    }
}

#[test]
fn levels_have_a_name_or_a_number() {
    for level in ["INFO", "debug", "HeavyDebug", "9", "20", "FATAL", "msg"] {
        assert!(is_log_level(OsStr::new(level)), "{level}");
    }
    for level in ["", "BOGUS", "-1", "INFO ", "1.5"] {
        assert!(!is_log_level(OsStr::new(level)), "{level}");
    }
}

#[test]
fn the_locale_decides_how_tables_are_drawn() {
    let rows = [
        (None, Charset::Unicode),
        (Some("C"), Charset::Unicode),
        (Some("C.UTF-8"), Charset::Unicode),
        (Some("de_DE.utf8"), Charset::Unicode),
        (Some("de_DE.ISO-8859-1"), Charset::Ascii),
        (Some("de_DE"), Charset::Ascii),
    ];
    for (locale, expected) in rows {
        assert_eq!(charset_of(locale.map(OsStr::new)), expected, "{locale:?}");
    }
}

#[test]
fn only_ping_tells_the_bare_error() {
    let refused = || ContactError::from(rustix::io::Errno::CONNREFUSED);
    assert_eq!(
        contact_text(&refused(), &["ping"]),
        "[Errno 111] Connection refused"
    );
    assert_eq!(
        contact_text(&refused(), &["status"]),
        "[[Errno 111] Connection refused] Unable to contact server. Is it running?"
    );
    let missing = ContactError::Missing("/s".into());
    assert_eq!(
        contact_text(&missing, &["status"]),
        "Failed to access socket path: /s. Is fail2ban running?"
    );
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
