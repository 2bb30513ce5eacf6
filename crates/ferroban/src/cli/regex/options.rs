//! Reads the command line by the rules of Python's `optparse`.
//!
//! Options and words may stand in any order, long options may be shortened as long as
//! they stay unique, and each takes effect as it is met: `-h` ends the program before a
//! later mistake is seen. What is wrong is told in the words of `optparse`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::log::Level;

/// What the command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// The help text.
    Help,
    /// The name and the version.
    Version,
    /// The version alone.
    ShortVersion,
    /// To test something.
    Test(Box<Options>),
}

/// Everything that can be chosen.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options {
    pub(super) config: PathBuf,
    pub(super) datepattern: Option<String>,
    pub(super) timezone: Option<String>,
    /// Of the log file; that of the locale where nobody says one.
    pub(super) encoding: Option<String>,
    pub(super) usedns: String,
    /// Lines of the multi-line buffer; none or zero leaves it to the filter.
    pub(super) maxlines: Option<i64>,
    pub(super) journalmatch: Option<String>,
    pub(super) log_level: String,
    pub(super) verbose: i64,
    pub(super) verbose_date: bool,
    pub(super) debuggex: bool,
    /// Try all failregexes, also after one that matches.
    pub(super) check_all: bool,
    pub(super) out: Option<String>,
    pub(super) invert: bool,
    pub(super) missed: Shown,
    pub(super) ignored: Shown,
    pub(super) all_matched: bool,
    /// Log, regex, and perhaps ignoreregex.
    pub(super) words: Vec<String>,
}

/// How much of a list of lines is wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Shown {
    pub(super) none: bool,
    pub(super) all: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: PathBuf::from("/etc/fail2ban"),
            datepattern: None,
            timezone: None,
            encoding: None,
            usedns: "warn".to_owned(),
            maxlines: None,
            journalmatch: None,
            log_level: "critical".to_owned(),
            verbose: 0,
            verbose_date: false,
            debuggex: false,
            check_all: true,
            out: None,
            invert: false,
            missed: Shown::default(),
            ignored: Shown::default(),
            all_matched: false,
            words: Vec::new(),
        }
    }
}

impl Options {
    /// The log level, or why there is none of that name.
    pub(super) fn level(&self) -> Result<Level, String> {
        self.log_level.parse()
    }

    /// What contradicts itself, or is missing; the original shows its help before it.
    pub(super) fn mistake(&self) -> Option<String> {
        let both = |name: &str, shown: Shown| {
            (shown.none && shown.all).then(|| {
                format!("ERROR: --print-no-{name} and --print-all-{name} are mutually exclusive.")
            })
        };
        let words = (!(2..=3).contains(&self.words.len()))
            .then(|| "ERROR: provide both <LOG> and <REGEX>.".to_owned());
        let told = [
            both("missed", self.missed),
            both("ignored", self.ignored),
            words,
        ];
        told.into_iter().flatten().next()
    }
}

/// What an option is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Version,
    Help,
    Config,
    DatePattern,
    TimeZone,
    Encoding,
    Raw,
    UseDns,
    MaxLines,
    JournalMatch,
    LogLevel,
    ShortVersion,
    Verbose,
    Verbosity,
    VerboseDate,
    Debuggex,
    NoCheckAll,
    Out,
    Invert,
    NoMissed,
    NoIgnored,
    AllMatched,
    AllMissed,
    AllIgnored,
    Traceback,
}

/// Short form, long form, whether a value follows. An option may have several rows.
const TABLE: [(Name, Option<u8>, Option<&str>, bool); 28] = [
    (Name::Version, None, Some("--version"), false),
    (Name::Help, Some(b'h'), Some("--help"), false),
    (Name::Config, Some(b'c'), Some("--config"), true),
    (Name::DatePattern, Some(b'd'), Some("--datepattern"), true),
    (Name::TimeZone, None, Some("--timezone"), true),
    (Name::TimeZone, None, Some("--TZ"), true),
    (Name::Encoding, Some(b'e'), Some("--encoding"), true),
    (Name::Raw, Some(b'r'), Some("--raw"), false),
    (Name::UseDns, None, Some("--usedns"), true),
    (Name::MaxLines, Some(b'L'), Some("--maxlines"), true),
    (Name::JournalMatch, Some(b'm'), Some("--journalmatch"), true),
    (Name::LogLevel, Some(b'l'), Some("--log-level"), true),
    (Name::ShortVersion, Some(b'V'), None, false),
    (Name::Verbose, Some(b'v'), Some("--verbose"), false),
    (Name::Verbosity, None, Some("--verbosity"), true),
    (Name::VerboseDate, None, Some("--verbose-date"), false),
    (Name::VerboseDate, None, Some("--VD"), false),
    (Name::Debuggex, Some(b'D'), Some("--debuggex"), false),
    (Name::NoCheckAll, None, Some("--no-check-all"), false),
    (Name::Out, Some(b'o'), Some("--out"), true),
    (Name::Invert, Some(b'i'), Some("--invert"), false),
    (Name::NoMissed, None, Some("--print-no-missed"), false),
    (Name::NoIgnored, None, Some("--print-no-ignored"), false),
    (Name::AllMatched, None, Some("--print-all-matched"), false),
    (Name::AllMissed, None, Some("--print-all-missed"), false),
    (Name::AllIgnored, None, Some("--print-all-ignored"), false),
    (Name::Traceback, Some(b't'), Some("--log-traceback"), false),
    (Name::Traceback, None, Some("--full-traceback"), false),
];

/// An option as it was written, for messages.
type Written = String;

/// Reads a command line without the program's name. The error has the words behind
/// `fail2ban-regex: error: `.
pub(super) fn read(args: &[OsString]) -> Result<Asked, String> {
    let mut reader = Reader {
        options: Options::default(),
        args: args.iter(),
    };
    while let Some(arg) = reader.args.next() {
        let ended = match arg.as_bytes() {
            b"--" => {
                let rest = reader.args.by_ref().map(text);
                reader.options.words.extend(rest);
                None
            }
            [b'-', b'-', ..] => reader.long(arg)?,
            [b'-', short @ ..] if !short.is_empty() => reader.short(short)?,
            _ => {
                reader.options.words.push(text(arg));
                None
            }
        };
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
    Ok(Asked::Test(Box::new(reader.options)))
}

fn text(arg: &OsString) -> String {
    arg.to_string_lossy().into_owned()
}

struct Reader<'a> {
    options: Options,
    args: std::slice::Iter<'a, OsString>,
}

impl Reader<'_> {
    fn long(&mut self, arg: &OsString) -> Result<Option<Asked>, String> {
        let arg = text(arg);
        let (given, value) = match arg.split_once('=') {
            Some((given, value)) => (given.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let (name, written, takes_value) = find_long(&given)?;
        let value = match (takes_value, value) {
            (true, Some(value)) => value,
            (true, None) => self.value(written)?,
            (false, None) => String::new(),
            (false, Some(_)) => return Err(format!("{written} option does not take a value")),
        };
        self.apply(name, written, value)
    }

    fn short(&mut self, cluster: &[u8]) -> Result<Option<Asked>, String> {
        let mut rest = cluster;
        while let Some((letter, later)) = rest.split_first() {
            rest = later;
            let written = format!("-{}", char::from(*letter));
            let row = TABLE.iter().find(|row| row.1 == Some(*letter));
            let Some((name, _, _, takes_value)) = row else {
                return Err(format!("no such option: {}", unknown(cluster, later)));
            };
            let value = if !takes_value {
                String::new()
            } else if rest.is_empty() {
                self.value(&written)?
            } else {
                let rest = std::mem::take(&mut rest);
                text(&OsString::from_vec(rest.to_vec()))
            };
            if let Some(ended) = self.apply(*name, &written, value)? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// The argument after the option.
    fn value(&mut self, written: &str) -> Result<String, String> {
        let next = self.args.next();
        next.map(text)
            .ok_or_else(|| format!("{written} option requires 1 argument"))
    }

    fn apply(&mut self, name: Name, written: &str, value: String) -> Result<Option<Asked>, String> {
        let options = &mut self.options;
        match name {
            Name::Version => return Ok(Some(Asked::Version)),
            Name::Help => return Ok(Some(Asked::Help)),
            Name::ShortVersion => return Ok(Some(Asked::ShortVersion)),
            Name::Config => options.config = PathBuf::from(value),
            Name::DatePattern => options.datepattern = Some(value),
            Name::TimeZone => options.timezone = Some(value),
            Name::Encoding => options.encoding = Some(value),
            Name::Raw => options.usedns = "raw".to_owned(),
            Name::UseDns => options.usedns = value,
            Name::MaxLines => options.maxlines = Some(integer(written, &value)?),
            Name::JournalMatch => options.journalmatch = Some(value),
            Name::LogLevel => options.log_level = value,
            Name::Verbose => options.verbose = options.verbose.saturating_add(1),
            Name::Verbosity => options.verbose = integer(written, &value)?,
            Name::VerboseDate => options.verbose_date = true,
            Name::Debuggex => options.debuggex = true,
            Name::NoCheckAll => options.check_all = false,
            Name::Out => options.out = Some(value),
            Name::Invert => options.invert = true,
            Name::NoMissed => options.missed.none = true,
            Name::NoIgnored => options.ignored.none = true,
            Name::AllMatched => options.all_matched = true,
            Name::AllMissed => options.missed.all = true,
            Name::AllIgnored => options.ignored.all = true,
            // Ours has no tracebacks.
            Name::Traceback => {}
        }
        Ok(None)
    }
}

/// The first unknown letter of a cluster as `optparse` shows it; a letter of several
/// bytes is shown whole.
fn unknown(cluster: &[u8], later: &[u8]) -> Written {
    let at = cluster.len() - later.len() - 1;
    let rest = cluster.get(at..).unwrap_or_default();
    let letter = String::from_utf8_lossy(rest).chars().next();
    letter
        .map(|letter| format!("-{letter}"))
        .unwrap_or_default()
}

/// The option of that name, or the only one whose name begins so.
fn find_long(given: &str) -> Result<(Name, &'static str, bool), String> {
    let rows = || {
        TABLE.iter().filter_map(|(name, _, long, takes_value)| {
            let long = (*long)?;
            long.starts_with(given)
                .then_some((*name, long, *takes_value))
        })
    };
    if let Some(exact) = rows().find(|(_, long, _)| *long == given) {
        return Ok(exact);
    }
    let mut found: Vec<_> = rows().collect();
    match found.len() {
        0 => Err(format!("no such option: {given}")),
        1 => Ok(found.remove(0)),
        _ => {
            let mut names: Vec<&str> = found.iter().map(|(_, long, _)| *long).collect();
            names.sort_unstable();
            Err(format!("ambiguous option: {given} ({}?)", names.join(", ")))
        }
    }
}

/// A whole number as `optparse` reads it: `0x`, `0b` and a leading zero tell its base.
fn integer(written: &str, text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "option {written}: invalid integer value: {}",
            ferroban_config::quoted(text)
        )
    };
    let prefix = text.get(..2).map(str::to_lowercase);
    let (digits, radix) = match prefix.as_deref() {
        Some("0x") => (text, 16),
        Some("0b") => (text, 2),
        _ if text.starts_with('0') => (text, 8),
        _ => (text, 10),
    };
    let digits = if matches!(radix, 2 | 16) {
        digits.get(2..).unwrap_or_default()
    } else {
        digits
    };
    let digits = digits.trim();
    let (sign, bare) = match digits.strip_prefix('-') {
        Some(bare) => ("-", bare),
        None => ("", digits.strip_prefix('+').unwrap_or(digits)),
    };
    let parts: Vec<&str> = bare.split('_').collect();
    let digit = |c: char| c.is_digit(radix);
    if parts
        .iter()
        .any(|part| part.is_empty() || !part.chars().all(digit))
    {
        return Err(wrong());
    }
    let joined = format!("{sign}{}", parts.concat());
    let limit = if sign.is_empty() { i64::MAX } else { i64::MIN };
    Ok(i64::from_str_radix(&joined, radix).unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &[&str]) -> Result<Asked, String> {
        let args: Vec<OsString> = line.iter().map(OsString::from).collect();
        read(&args)
    }

    fn options(line: &[&str]) -> Options {
        match read_line(line) {
            Ok(Asked::Test(options)) => *options,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn options_and_words_stand_in_any_order() {
        let read = options(&["a", "-vv", "b", "-L3", "--out=id", "--", "-x"]);
        assert_eq!(read.words, ["a", "b", "-x"]);
        assert_eq!((read.verbose, read.maxlines), (2, Some(3)));
        assert_eq!(read.out.as_deref(), Some("id"));
        let read = options(&["-vo", "id", "-", "--verbosity=0"]);
        assert_eq!(read.words, ["-"]);
        assert_eq!((read.verbose, read.out.as_deref()), (0, Some("id")));
        assert_eq!(options(&["-r", "--usedns", "no"]).usedns, "no");
        assert_eq!(options(&["--usedns", "no", "--raw"]).usedns, "raw");
    }

    #[test]
    fn the_first_option_that_ends_everything_wins() {
        let rows = [
            (&["-V", "--version"][..], Asked::ShortVersion),
            (&["x", "--help", "--bogus"], Asked::Help),
            (&["-hL", "x"], Asked::Help),
            (&["--version"], Asked::Version),
        ];
        for (line, expected) in rows {
            assert_eq!(read_line(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn wrong_lines_are_told_in_the_words_of_optparse() {
        let rows: [(&[&str], &str); 14] = [
            (&["--bogus"], "no such option: --bogus"),
            (&["--bogus=1"], "no such option: --bogus"),
            (&["-Z"], "no such option: -Z"),
            (&["-vZ"], "no such option: -Z"),
            (&["-é"], "no such option: -é"),
            (&["-c"], "-c option requires 1 argument"),
            (&["--conf"], "--config option requires 1 argument"),
            (&["--raw=1"], "--raw option does not take a value"),
            (
                &["--print-all-m"],
                "ambiguous option: --print-all-m (--print-all-matched, --print-all-missed?)",
            ),
            (
                &["--verb"],
                "ambiguous option: --verb (--verbose, --verbose-date, --verbosity?)",
            ),
            (&["-L", "x"], "option -L: invalid integer value: 'x'"),
            (&["-L", "08"], "option -L: invalid integer value: '08'"),
            (&["-L", "1__0"], "option -L: invalid integer value: '1__0'"),
            (
                &["--verbosi=1.5"],
                "option --verbosity: invalid integer value: '1.5'",
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(read_line(line), Err(expected.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn numbers_may_have_a_base() {
        let rows = [
            ("0x10", 16),
            ("0b11", 3),
            (" 3 ", 3),
            ("010", 8),
            ("1_0", 10),
            ("-1", -1),
            ("+7", 7),
            ("0", 0),
            ("99999999999999999999", i64::MAX),
        ];
        for (text, expected) in rows {
            assert_eq!(options(&["-L", text]).maxlines, Some(expected), "{text}");
        }
    }

    #[test]
    fn contradictions_are_mistakes() {
        let rows: [(&[&str], Option<&str>); 4] = [
            (&["a", "b"], None),
            (&["a"], Some("ERROR: provide both <LOG> and <REGEX>.")),
            (
                &["--print-no-missed", "--print-all-missed"],
                Some("ERROR: --print-no-missed and --print-all-missed are mutually exclusive."),
            ),
            (
                &["a", "b", "--print-no-i", "--print-all-i"],
                Some("ERROR: --print-no-ignored and --print-all-ignored are mutually exclusive."),
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(options(line).mistake().as_deref(), expected, "{line:?}");
        }
    }
}
