//! `logtarget`: where lines go, and the options behind it.

use std::path::PathBuf;

use ferroban_config::{Invocation, quoted};

use super::Error;
use super::format::{DAEMON, Format, Frame, Text, facility};
use super::layout::Layout;

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// The file of that name, whatever is in it.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "tests open files whose names may look like options"
        )
    )]
    File(PathBuf),
    /// As `logtarget` says it: `TARGET[option=value, …]`.
    Text(String),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A target with its options.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// The target as it was written, without options.
    pub(super) name: String,
    pub(super) kind: Kind,
    facility: Option<String>,
    padding: Option<bool>,
    datetime: Option<bool>,
    layout: Option<Layout>,
    json: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Stdout,
    Stderr,
    Syslog,
    Journal,
    /// What was before goes on.
    Inherited,
    File(PathBuf),
}

impl From<&str> for Kind {
    fn from(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "STDOUT" | "SYSOUT" => Self::Stdout,
            "STDERR" => Self::Stderr,
            "SYSLOG" => Self::Syslog,
            "SYSTEMD-JOURNAL" => Self::Journal,
            "INHERITED" => Self::Inherited,
            _ => Self::File(name.into()),
        }
    }
}

impl Wanted {
    pub(super) fn new(target: &Target) -> Result<Self, Error> {
        match target {
            Target::File(path) => {
                let name = path.display().to_string();
                Ok(Self::plain(&name, Kind::File(path.clone())))
            }
            Target::Text(text) => Self::parse(text),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let read = Invocation::parse(text).map_err(Error::Options)?;
        let option = |name: &str| {
            let value = read.options.get(name)?;
            (!value.is_empty()).then_some(value.as_str())
        };
        let format = |text: &str| {
            let layout = Layout::parse(text);
            layout.ok_or_else(|| Error::Format(text.to_owned()))
        };
        Ok(Self {
            facility: option("facility").map(str::to_owned),
            padding: option("padding").map(is_on),
            datetime: option("datetime").map(is_on),
            layout: option("format").map(format).transpose()?,
            json: option("json").is_some_and(is_on),
            ..Self::plain(&read.name, Kind::from(read.name.as_str()))
        })
    }

    fn plain(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            facility: None,
            padding: None,
            datetime: None,
            layout: None,
            json: false,
        }
    }

    /// How records look there; and what is told if the facility is unknown.
    pub(super) fn format(&self, verbosity: i32) -> (Format, Option<String>) {
        let (number, unknown) = match &self.facility {
            None => (DAEMON, None),
            Some(name) => match facility(name) {
                Some(number) => (number, None),
                None => {
                    let text = format!("Unable to set facility {}, using 'DAEMON'", quoted(name));
                    (DAEMON, Some(text))
                }
            },
        };
        let text = self.text(verbosity);
        let (frame, told) = match self.kind {
            Kind::Syslog => (Frame::Syslog(number), unknown),
            Kind::Journal => (Frame::Journal, None),
            _ => (Frame::Line, None),
        };
        (Format { text, frame }, told)
    }

    fn text(&self, verbosity: i32) -> Text {
        if self.json {
            return Text::Json;
        }
        // In other letters it gets the whole line, as with the original.
        if self.kind == Kind::Journal && self.name == "SYSTEMD-JOURNAL" {
            return Text::Message;
        }
        let layout = self.layout.clone();
        let usual = || {
            let bare = self.kind == Kind::Syslog;
            let datetime = !bare && !self.name.eq_ignore_ascii_case("SYSOUT");
            let (padding, datetime) = (
                self.padding.unwrap_or(!bare),
                self.datetime.unwrap_or(datetime),
            );
            Layout::parse(&usual(verbosity, padding, datetime))
        };
        layout.or_else(usual).map_or(Text::Message, Text::Layout)
    }
}

/// Everything else is off.
fn is_on(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["1", "on", "true", "yes"].contains(&text.as_str())
}

/// The original's layout for so many `-v` at the start of the server, counted from 1.
fn usual(verbosity: i32, padding: bool, datetime: bool) -> String {
    let date = if datetime { "%(asctime)s " } else { "" };
    let (level, name) = if padding {
        ("%(levelname)-5.5s", "%(name)-25.25s")
    } else {
        ("%(levelname)s", "%(name)s")
    };
    // The original shows the address of its thread in as many digits.
    let thread = "%(thread)012X";
    let place = match (verbosity, padding) {
        (..5, _) => "",
        (_, true) => " | %(module)15.15s-%(levelno)-2d: %(funcName)-20.20s |",
        (_, false) => " | %(module)s-%(levelno)d: %(funcName)s |",
    };
    match (verbosity, padding) {
        (..3, true) => {
            format!("{date}%(name)-24s[%(process)d]: %(levelname)-7s %(message)s")
        }
        (..3, false) => format!("{date}%(name)s[%(process)d]: %(levelname)s %(message)s"),
        (3, _) => format!(" {date}{thread} {level} %(message)s"),
        _ => format!(" +%(relativeCreated)5d {thread} {name} {level}{place} %(message)s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::log::Level;
    use crate::log::record::Record;

    /// 2026-11-23 02:21:22.320 UTC, of which tests see the milliseconds only.
    const TIME: i64 = 1_795_400_482_320_000;

    /// The line for a target, with the numbers that differ from run to run named.
    fn line(target: &str, verbosity: i32) -> String {
        let wanted = Wanted::parse(target).unwrap();
        let record = Record::at(TIME, Level::Notice, "actions", "[inc] Ban 192.0.2.1");
        let bytes = wanted.format(verbosity).0.show(&record);
        let (pid, thread) = (
            std::process::id(),
            rustix::thread::gettid().as_raw_nonzero(),
        );
        let time = ferroban_date::local_text_millis(record.time, crate::clock::zone());
        String::from_utf8(bytes)
            .unwrap()
            .replace(&time, "TIME")
            .replace(&format!("[{pid}]"), "[PID]")
            .replace(&format!("{thread:012X}"), "THREAD")
    }

    #[test]
    fn lines_have_the_originals_columns() {
        let default = "TIME fail2ban.actions        [PID]: NOTICE  [inc] Ban 192.0.2.1\n";
        let short = "fail2ban.actions[PID]: NOTICE [inc] Ban 192.0.2.1";
        let cases = [
            ("/var/log/f", default.to_owned()),
            ("STDOUT", default.to_owned()),
            ("stderr", default.to_owned()),
            ("STDOUT[facility=x, bogus=1]", default.to_owned()),
            ("STDOUT[format=\"\"]", default.to_owned()),
            ("STDOUT[datetime=off]", default.replace("TIME ", "")),
            ("SYSOUT", default.replace("TIME ", "")),
            ("sysout[datetime=on]", default.to_owned()),
            ("/f[padding=off]", format!("TIME {short}\n")),
            ("/f[padding=enable, datetime=y]", format!("{short}\n")),
            ("SYSLOG", format!("<29>{short}\0")),
            ("syslog[datetime=TRUE]", format!("<29>TIME {short}\0")),
            (
                "SYSLOG[facility=local5,padding=YES,datetime=1]",
                format!("<173>{}\0", default.trim_end()),
            ),
            (
                "SYSLOG[facility=bogus, format=\"X %(message)s\"]",
                "<29>X [inc] Ban 192.0.2.1\0".to_owned(),
            ),
            (
                "STDOUT[format='%(relativeCreated)5d %(levelname)s: %(message)s', padding=off]",
                "   52 NOTICE: [inc] Ban 192.0.2.1\n".to_owned(),
            ),
        ];
        for (target, expected) in cases {
            assert_eq!(line(target, 1), expected, "{target}");
        }
    }

    #[test]
    fn a_server_started_with_v_has_the_originals_other_columns() {
        let ban = "[inc] Ban 192.0.2.1";
        let three = " +   52 THREAD fail2ban.actions          NOTIC";
        let cases = [
            (
                2,
                "STDOUT",
                format!("TIME fail2ban.actions        [PID]: NOTICE  {ban}\n"),
            ),
            (3, "STDOUT", format!(" TIME THREAD NOTIC {ban}\n")),
            (3, "STDOUT[datetime=off]", format!(" THREAD NOTIC {ban}\n")),
            (
                3,
                "STDOUT[padding=off]",
                format!(" TIME THREAD NOTICE {ban}\n"),
            ),
            (3, "SYSLOG", format!("<29> THREAD NOTICE {ban}\0")),
            (4, "STDOUT", format!("{three} {ban}\n")),
            (4, "STDOUT[datetime=off]", format!("{three} {ban}\n")),
            (
                4,
                "STDOUT[padding=off]",
                format!(" +   52 THREAD fail2ban.actions NOTICE {ban}\n"),
            ),
            (
                5,
                "STDOUT",
                format!("{three} |         actions-25: (unknown function)   | {ban}\n"),
            ),
            (
                9,
                "SYSLOG",
                format!(
                    "<29> +   52 THREAD fail2ban.actions NOTICE | actions-25: (unknown function) | {ban}\0"
                ),
            ),
        ];
        for (verbosity, target, expected) in cases {
            assert_eq!(line(target, verbosity), expected, "{verbosity} {target}");
        }
    }

    #[test]
    fn the_journal_gets_the_message_alone_if_named_in_capitals() {
        let message = "MESSAGE=[inc] Ban 192.0.2.1\n";
        let row = "MESSAGE=TIME fail2ban.actions        [PID]: NOTICE  [inc] Ban 192.0.2.1\n";
        let cases = [
            ("SYSTEMD-JOURNAL", message),
            ("SYSTEMD-JOURNAL[format=\"X %(message)s\"]", message),
            ("systemd-journal", row),
        ];
        for (target, expected) in cases {
            let line = line(target, 1);
            assert!(line.starts_with(expected), "{target}: {line}");
        }
    }

    #[test]
    fn json_wins_over_every_layout() {
        for target in [
            "/f[json=on]",
            "SYSTEMD-JOURNAL[json=1, format='%(name)s']",
            "SYSLOG[json=yes, padding=on]",
        ] {
            let format = Wanted::parse(target).unwrap().format(4).0;
            assert_eq!(format.text, Text::Json, "{target}");
        }
        assert_ne!(line("/f[json=off]", 1), line("/f[json=on]", 1));
    }

    #[test]
    fn an_unknown_facility_is_told() {
        let told = |target: &str| Wanted::parse(target).unwrap().format(1).1;
        assert_eq!(
            told("SYSLOG[facility=bogus]").as_deref(),
            Some("Unable to set facility 'bogus', using 'DAEMON'")
        );
        assert_eq!(told("SYSLOG[facility=Local3]"), None);
        assert_eq!(told("STDOUT[facility=bogus]"), None);
    }

    #[test]
    fn names_are_read_in_any_case_and_all_others_are_files() {
        let cases = [
            ("StdOut", Kind::Stdout),
            ("sysout", Kind::Stdout),
            ("STDERR", Kind::Stderr),
            ("syslog", Kind::Syslog),
            ("systemd-journal", Kind::Journal),
            ("inherited", Kind::Inherited),
            (" STDERR", Kind::File(" STDERR".into())),
            ("rel.log", Kind::File("rel.log".into())),
        ];
        for (name, kind) in cases {
            let wanted = Wanted::new(&Target::from(name)).unwrap();
            assert_eq!((wanted.name.as_str(), wanted.kind), (name, kind));
        }
        let odd = Wanted::new(&Target::File("/a[1]".into())).unwrap();
        assert_eq!(odd.kind, Kind::File("/a[1]".into()));
    }

    #[test]
    fn mistakes_are_told_in_the_originals_words() {
        let syntax = "unexpected option syntax";
        let cases = [
            ("", syntax),
            ("[padding=off]", syntax),
            ("/a[1].log", syntax),
            ("/a[padding=off", syntax),
            ("/a[padding=off]x", syntax),
            ("/a[x]", "expected option, wrong syntax at 0: x"),
            (
                "/a[format=\"no fields\"]",
                "Invalid format 'no fields' for '%' style",
            ),
            (
                "/a[format=\"%(bogus)s it's\"]",
                "Invalid format \"%(bogus)s it's\" for '%' style",
            ),
        ];
        for (target, expected) in cases {
            let error = Wanted::parse(target).unwrap_err();
            assert_eq!(error.to_string(), expected, "{target}");
        }
    }
}
