//! What `<LOG>` is: a file, the journal, or a text to test.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ferroban_config::{Invocation, quoted};
use ferroban_date::Timestamp;
use ferroban_engine::LogLine;

use super::options::Options;
use super::output::Printer;
use super::progress::Progress;
use super::{Ended, shortened};
use crate::load::split;
use crate::log::Level;
use crate::report::chain;
use crate::source::encoding::{Encoding, Lines};
use crate::source::{self, Batch, Journal, LogSource as _, Place, Query, Turn, Wait, Waker};
use crate::wire::pickle::Value;
use crate::wire::text::repr;

/// The first lines of a text that the report shows.
const SHOWN: usize = 5;

/// What is tested.
#[derive(Debug)]
pub(super) enum Subject {
    File {
        path: String,
        encoding: (String, Encoding),
        file: File,
    },
    Journal(Box<Journal>),
    Text(Vec<String>),
}

/// Whether the log is the journal.
pub(super) fn is_journal(text: &str) -> bool {
    !Path::new(text).is_file() && text.starts_with("systemd-journal")
}

impl Subject {
    /// Opens what `text` stands for. `many` says that a text is lines, even if it is one;
    /// `matches` is what of the journal is wanted.
    pub(super) fn open(
        text: &str,
        options: &Options,
        many: bool,
        matches: &[Vec<String>],
        printer: &mut Printer,
    ) -> Result<Self, Ended> {
        if Path::new(text).is_file() {
            return Self::file(text, options, printer);
        }
        if is_journal(text) {
            return Self::journal(text, options, matches, printer);
        }
        if !many && !text.contains('\n') {
            printer.report(&format!("Use      single line : {}", shortened(text)));
            return Ok(Self::Text(vec![text.to_owned()]));
        }
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        printer.report(&format!("Use      multi line : {} line(s)", lines.len()));
        for (index, line) in lines.iter().take(SHOWN).enumerate() {
            printer.report(&format!("| {:2}: {}", index + 1, shortened(line)));
        }
        if lines.len() > SHOWN {
            printer.report("| ...");
        }
        printer.report("`-");
        Ok(Self::Text(lines))
    }

    fn file(path: &str, options: &Options, printer: &mut Printer) -> Result<Self, Ended> {
        let file = File::open(path).map_err(|error| {
            let shown = quoted(path);
            let code = error.raw_os_error().unwrap_or(0);
            let text = error.to_string();
            let why = text.split(" (os error").next().unwrap_or_default();
            printer.line(&format!("[Errno {code}] {why}: {shown}"));
            Ended::Failed
        })?;
        let (name, encoding) = encoding(options)?;
        printer.report(&format!("Use         log file : {path}"));
        printer.report(&format!("Use         encoding : {name}"));
        Ok(Self::File {
            path: path.to_owned(),
            encoding: (name, encoding),
            file,
        })
    }

    fn journal(
        text: &str,
        options: &Options,
        matches: &[Vec<String>],
        printer: &mut Printer,
    ) -> Result<Self, Ended> {
        let asked = query(text, wanted(options, matches));
        let opened = asked
            .clone()
            .map(|query| Waker::new().and_then(|waker| Journal::open(query, waker)));
        if let Ok(Err(source::Error::NoJournal(_))) = &opened {
            printer.line("Error: systemd library not found. Exiting...");
            return Err(Ended::Failed);
        }
        printer.report("Use         systemd journal");
        printer.report(&format!("Use         encoding : {}", encoding(options)?.0));
        let groups = asked.map(|query| query.matches).unwrap_or_default();
        if !groups.is_empty() {
            let groups: Vec<String> = groups.iter().map(|group| group.join(" ")).collect();
            printer.report(&format!("Use    journal match : {}", groups.join(" + ")));
        }
        match opened {
            Ok(Ok(journal)) => Ok(Self::Journal(Box::new(journal))),
            Ok(Err(error)) => Err(Ended::Broken(chain(&error))),
            Err(why) => Err(Ended::Broken(why)),
        }
    }

    /// Hands out each line that is to be tested, until `take` says that it is enough.
    pub(super) fn each(
        self,
        printer: &mut Printer,
        mut take: impl FnMut(LogLine<'_>, &mut Printer) -> bool,
    ) -> Result<(), Ended> {
        match self {
            Self::Text(lines) => {
                for line in &lines {
                    if !handed(line, None, printer, &mut take) {
                        break;
                    }
                }
                Ok(())
            }
            Self::File {
                path,
                encoding,
                file,
            } => {
                let broken = |error: io::Error| Ended::Broken(format!("{path}: {error}"));
                of_file(file, (&path, &encoding), printer, &mut take).map_err(broken)
            }
            Self::Journal(mut journal) => {
                let broken = |error| Ended::Broken(chain(&error));
                let mut batch = Batch::new();
                while journal.next(&mut batch, Wait::No).map_err(broken)? == Turn::Ready {
                    for line in batch.lines() {
                        if !handed(line.text, line.time, printer, &mut take) {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

type Take<'a> = &'a mut dyn FnMut(LogLine<'_>, &mut Printer) -> bool;

/// Hands out a line, unless it is empty or a comment.
fn handed(text: &str, time: Option<Timestamp>, printer: &mut Printer, take: Take<'_>) -> bool {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.starts_with('#') {
        return true;
    }
    let live = false;
    take(LogLine { text, time, live }, printer)
}

fn of_file(
    file: File,
    (path, (name, encoding)): (&str, &(String, Encoding)),
    printer: &mut Printer,
    take: Take<'_>,
) -> io::Result<()> {
    let mut progress = Progress::new(file.metadata()?.len(), !printer.scrolls());
    let mut lines = Lines::new(BufReader::with_capacity(256 << 10, file), *encoding);
    let mut warned = false;
    loop {
        progress.show(lines.read());
        let Some(line) = lines.next_line()? else {
            break;
        };
        if !line.good && !warned && printer.tells(Level::Warning) {
            warned = true;
            let bytes = repr(&Value::Bytes(line.bytes.to_vec()));
            let told = [
                format!("Error decoding line from '{path}' with '{name}'."),
                format!(
                    "Consider setting logencoding to appropriate encoding for this jail. \
                     Continuing to process line ignoring invalid characters: {bytes}"
                ),
            ];
            for text in told {
                printer.tell(Level::Warning, "filter", &text);
            }
        }
        if !handed(&line.text, None, printer, take) {
            break;
        }
    }
    Ok(())
}

/// The encoding that is asked for, with its name.
fn encoding(options: &Options) -> Result<(String, Encoding), Ended> {
    match &options.encoding {
        None => Ok(Encoding::of_locale()),
        Some(name) => match Encoding::named(name) {
            Some(encoding) => Ok((name.clone(), encoding)),
            None => Err(Ended::Broken(format!(
                "unknown encoding: {name}; give one like utf-8 or latin1"
            ))),
        },
    }
}

/// The entries of the journal that are wanted: groups of fields that must all match. Of
/// several lines of a filter the last counts, as in the original.
fn wanted(options: &Options, matches: &[Vec<String>]) -> Vec<Vec<String>> {
    let given = options.journalmatch.as_deref();
    let given = given.map(|text| split(text).unwrap_or_default());
    let words = given.as_deref().or(matches.last().map(Vec::as_slice));
    let groups = words
        .into_iter()
        .flat_map(|words| words.split(|word| word == "+"));
    groups.map(<[String]>::to_vec).collect()
}

/// What of the journal is meant by `systemd-journal[…]`.
fn query(text: &str, matches: Vec<Vec<String>>) -> Result<Query, String> {
    let mut query = Query {
        place: Place::Local,
        flags: 1,
        matches,
        since: Timestamp::from_secs(0),
        after: None,
        stamp: |_| String::new(),
    };
    let Ok(called) = Invocation::parse(text) else {
        return Err(format!(
            "{text}: unexpected option syntax; write systemd-journal[name=value]"
        ));
    };
    for (name, value) in called.options.iter() {
        match name {
            "journalflags" => {
                let flags = value.trim().parse();
                query.flags = flags.map_err(|_| {
                    format!("journalflags={value}: no whole number; give one like 1")
                })?;
            }
            "journalpath" => {
                query.place = Place::Directory(PathBuf::from(value));
                query.flags = 0;
            }
            "journalfiles" => {
                let files = value.split([',', ' ']).filter(|file| !file.is_empty());
                query.place = Place::Files(files.map(PathBuf::from).collect());
                query.flags = 0;
            }
            "namespace" => query.place = Place::Namespace(value.clone()),
            // Ours reads rotated files of the journal, too.
            "rotated" => {}
            name => {
                return Err(format!(
                    "{text}: no option '{name}'; there are journalflags, journalpath, \
                     journalfiles, namespace and rotated"
                ));
            }
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_which_journal_is_meant() {
        let local = |flags| Some((Place::Local, flags));
        let rows = [
            ("systemd-journal", local(1)),
            ("systemd-journalx", local(1)),
            ("systemd-journal[journalflags=4, rotated=on]", local(4)),
            (
                "systemd-journal[journalpath=/j]",
                Some((Place::Directory(PathBuf::from("/j")), 0)),
            ),
            (
                "systemd-journal[journalfiles=\"/a, /b\"]",
                Some((Place::Files(vec!["/a".into(), "/b".into()]), 0)),
            ),
            (
                "systemd-journal[namespace=n]",
                Some((Place::Namespace("n".to_owned()), 1)),
            ),
            ("systemd-journal[journalflags=x]", None),
            ("systemd-journal[nope=1]", None),
            ("systemd-journal[", None),
        ];
        for (text, expected) in rows {
            let read = query(text, Vec::new()).ok();
            assert_eq!(
                read.map(|query| (query.place, query.flags)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_command_line_decides_which_entries_are_wanted_else_the_last_line_of_the_filter() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let filter = [words("A=1"), words("B=2 C=3 + D=4")];
        let given = Options {
            journalmatch: Some("X=1 Y='a b'".to_owned()),
            ..Options::default()
        };
        assert_eq!(
            wanted(&Options::default(), &filter),
            [words("B=2 C=3"), words("D=4")]
        );
        assert_eq!(
            wanted(&given, &filter),
            [vec!["X=1".to_owned(), "Y=a b".to_owned()]]
        );
        assert!(wanted(&Options::default(), &[]).is_empty());
    }
}
