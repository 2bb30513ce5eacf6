//! Reads the command line by the rules of Python's `getopt`.
//!
//! Options end at the first word that is none, long ones may be shortened as long as
//! they stay unique, and the whole line is read before anything of it takes effect.
//! What the options lead to is left to [`run`](super::run).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What an option is for. Whoever reads a line of a fail2ban guide finds them all here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Name {
    Conf,
    Socket,
    PidFile,
    Pname,
    LogLevel,
    LogTarget,
    SyslogSocket,
    Dump,
    DumpPretty,
    Test,
    Interactive,
    Verbose,
    Quiet,
    Force,
    Background,
    Foreground,
    Async,
    Detached,
    Timeout,
    Seconds,
    Help,
    ShortVersion,
    Version,
}

/// Short form, long form, whether a value follows.
const TABLE: [(Name, Option<u8>, Option<&str>, bool); 23] = [
    (Name::Conf, Some(b'c'), Some("conf"), true),
    (Name::Socket, Some(b's'), Some("socket"), true),
    (Name::PidFile, Some(b'p'), Some("pidfile"), true),
    (Name::Pname, None, Some("pname"), true),
    (Name::LogLevel, None, Some("loglevel"), true),
    (Name::LogTarget, None, Some("logtarget"), true),
    (Name::SyslogSocket, None, Some("syslogsocket"), true),
    (Name::Dump, Some(b'd'), None, false),
    (Name::DumpPretty, None, Some("dp"), false),
    (Name::DumpPretty, None, Some("dump-pretty"), false),
    (Name::Test, Some(b't'), Some("test"), false),
    (Name::Interactive, Some(b'i'), None, false),
    (Name::Verbose, Some(b'v'), None, false),
    (Name::Quiet, Some(b'q'), None, false),
    (Name::Force, Some(b'x'), None, false),
    (Name::Background, Some(b'b'), None, false),
    (Name::Foreground, Some(b'f'), None, false),
    (Name::Async, None, Some("async"), false),
    // Ours: the server starts itself with it, in the background.
    (Name::Detached, None, Some("detached"), false),
    (Name::Timeout, None, Some("timeout"), true),
    (Name::Seconds, None, Some("str2sec"), true),
    (Name::Help, Some(b'h'), Some("help"), false),
    (Name::Version, None, Some("version"), false),
];

/// The command line does not follow the rules; the answer is the usage text.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct BadLine;

/// Options in their order, and the words behind them.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) options: Vec<(Name, OsString)>,
    pub(super) words: Vec<OsString>,
}

/// Splits a command line, without the program's name.
pub(super) fn read(args: &[OsString]) -> Result<Line, BadLine> {
    let mut line = Line::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_bytes() {
            b"--" => break,
            [b'-', b'-', long @ ..] => read_long(long, &mut args, &mut line)?,
            [b'-', short @ ..] if !short.is_empty() => read_short(short, &mut args, &mut line)?,
            _ => {
                line.words.push(arg.clone());
                break;
            }
        }
    }
    line.words.extend(args.cloned());
    Ok(line)
}

fn read_long<'a>(
    text: &[u8],
    args: &mut impl Iterator<Item = &'a OsString>,
    line: &mut Line,
) -> Result<(), BadLine> {
    let equals = text.iter().position(|byte| *byte == b'=');
    let (given, value) = match equals.and_then(|at| text.split_at_checked(at)) {
        Some((given, value)) => (given, value.get(1..)),
        None => (text, None),
    };
    let (name, takes_value) = find_long(given).ok_or(BadLine)?;
    let value = match (takes_value, value) {
        (false, None) => OsString::new(),
        (false, Some(_)) => return Err(BadLine),
        (true, Some(value)) => OsString::from_vec(value.to_vec()),
        (true, None) => args.next().ok_or(BadLine)?.clone(),
    };
    line.options.push((name, value));
    Ok(())
}

/// The only option whose name begins so. None has a name that another's begins with. What
/// the original does not have takes its whole name.
fn find_long(given: &[u8]) -> Option<(Name, bool)> {
    let mut begins = TABLE.iter().filter_map(|(name, _, long, takes_value)| {
        let long = long.as_ref()?.as_bytes();
        let fits = long.starts_with(given) && (*name != Name::Detached || long == given);
        fits.then_some((*name, *takes_value))
    });
    let found = begins.next()?;
    begins.next().is_none().then_some(found)
}

fn read_short<'a>(
    cluster: &[u8],
    args: &mut impl Iterator<Item = &'a OsString>,
    line: &mut Line,
) -> Result<(), BadLine> {
    let mut rest = cluster;
    while let Some((letter, later)) = rest.split_first() {
        rest = later;
        // `-V` has no long form of its own: `--version` prints another text.
        if *letter == b'V' {
            line.options.push((Name::ShortVersion, OsString::new()));
            continue;
        }
        let row = TABLE.iter().find(|row| row.1 == Some(*letter));
        let (name, _, _, takes_value) = *row.ok_or(BadLine)?;
        let value = if !takes_value {
            OsString::new()
        } else if rest.is_empty() {
            args.next().ok_or(BadLine)?.clone()
        } else {
            OsStr::from_bytes(std::mem::take(&mut rest)).to_owned()
        };
        line.options.push((name, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &str) -> Result<(Vec<(Name, String)>, String), BadLine> {
        let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
        let line = read(&args)?;
        let text = |text: OsString| text.into_string().unwrap();
        let words: Vec<String> = line.words.into_iter().map(text).collect();
        let options = line.options.into_iter();
        Ok((
            options.map(|(name, value)| (name, text(value))).collect(),
            words.join(" "),
        ))
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        type Row = (&'static str, &'static [(Name, &'static str)], &'static str);
        let rows: [Row; 18] = [
            ("status -v", &[], "status -v"),
            ("-v status", &[(Name::Verbose, "")], "status"),
            ("-s /s ping", &[(Name::Socket, "/s")], "ping"),
            ("-s/s ping", &[(Name::Socket, "/s")], "ping"),
            ("-s=/s", &[(Name::Socket, "=/s")], ""),
            (
                "-vqx -",
                &[(Name::Verbose, ""), (Name::Quiet, ""), (Name::Force, "")],
                "-",
            ),
            ("-xs /s", &[(Name::Force, ""), (Name::Socket, "/s")], ""),
            ("-s -v", &[(Name::Socket, "-v")], ""),
            ("--socket=/a=b", &[(Name::Socket, "/a=b")], ""),
            ("--soc /s", &[(Name::Socket, "/s")], ""),
            ("--socket=", &[(Name::Socket, "")], ""),
            ("--v", &[(Name::Version, "")], ""),
            ("--dump", &[(Name::DumpPretty, "")], ""),
            ("--dp", &[(Name::DumpPretty, "")], ""),
            (
                "-VVh",
                &[
                    (Name::ShortVersion, ""),
                    (Name::ShortVersion, ""),
                    (Name::Help, ""),
                ],
                "",
            ),
            ("-v -- -v", &[(Name::Verbose, "")], "-v"),
            ("--str2sec -1", &[(Name::Seconds, "-1")], ""),
            ("--detached", &[(Name::Detached, "")], ""),
        ];
        for (args, options, words) in rows {
            let expected: Vec<_> = options.iter().map(|(n, v)| (*n, v.to_string())).collect();
            assert_eq!(of(args), Ok((expected, words.to_owned())), "{args}");
        }
    }

    #[test]
    fn what_getopt_refuses_is_refused() {
        for args in [
            "--nosuch",
            "-Z",
            "-c",
            "--s x",
            "--log x",
            "--d",
            "--de",
            "--help=x",
            "-d5",
            "--socket",
            "--=x",
            "-v --nosuch",
            "---v",
        ] {
            assert_eq!(of(args), Err(BadLine), "{args}");
        }
    }
}
