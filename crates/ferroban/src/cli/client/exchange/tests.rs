//! Rules of a request and its reply that need no daemon.

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
