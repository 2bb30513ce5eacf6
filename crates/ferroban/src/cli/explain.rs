//! `ferroban explain` and `ferroban test-filter`: what a filter makes of a line or of a whole
//! log, for people.
//!
//! `fail2ban-regex` says the same in the original's words and counts; these say at which step
//! a line stopped, and why. Both take the daemon's own path, `Filter::examine`, and change
//! nothing.
//!
//! | module | its idea |
//! |---|---|
//! | `subject` | what the first word means: a jail, a filter, a file, a failregex |
//! | `view` | what is told of a line, which is what `--json` prints |
//! | `look` | from what the engine saw to what is told |
//! | `near` | the failregex that came closest |
//! | `written` | the place in a pattern as it was written |
//! | `words` | the same for people |
//! | `excerpt` | the part of a line that matters, and the caret below it |
//! | `tally`, `report` | a whole log |
//! | `sample` | the lines of it that nearly matched |
//! | `paint` | colour |

mod excerpt;
mod look;
mod near;
mod paint;
mod report;
mod sample;
mod subject;
mod tally;
#[cfg(test)]
mod tests;
mod view;
mod words;
mod written;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ColorChoice};

use super::out;
use super::own::text;
use crate::clock;
use crate::source::encoding::{Encoding, Lines};
use look::Examiner;
use paint::Paint;
use subject::Subject;
use tally::Tally;

/// A log without a failure.
const NOTHING: u8 = 1;
/// It could not be looked at.
const TROUBLE: u8 = 2;

#[derive(Args, Debug)]
#[command(
    override_usage = "ferroban explain [OPTIONS] <JAIL|FILTER|REGEX> [LINE]...",
    after_help = "Exit codes: 0 explained, 2 it could not be"
)]
pub(super) struct Explain {
    /// A jail, a filter (sshd.conf where a jail has the same name; options as in
    /// 'sshd[mode=ddos]'), the file of one, or a failregex
    #[arg(value_name = "JAIL|FILTER|REGEX")]
    what: String,
    /// Lines of a log; without one, or with '-', those on standard input. Several go through
    /// the same filter one after the other, so that sessions work
    #[arg(value_name = "LINE")]
    lines: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "ferroban test-filter [OPTIONS] <JAIL|FILTER|REGEX> <FILE>",
    after_help = "Exit codes: 0 there are failures, 1 there are none, 2 the log could not be tested"
)]
pub(super) struct TestFilter {
    /// A jail, a filter (sshd.conf where a jail has the same name; options as in
    /// 'sshd[mode=ddos]'), the file of one, or a failregex
    #[arg(value_name = "JAIL|FILTER|REGEX")]
    what: String,
    /// The log; '-' is standard input
    #[arg(value_name = "FILE")]
    log: PathBuf,
    /// So many lines are shown that nearly matched
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    show: usize,
    #[command(flatten)]
    how: How,
}

/// What the two have in common.
#[derive(Args, Debug)]
struct How {
    /// The folder with jail.conf and filter.d [default: /etc/fail2ban; where there is none,
    /// the configuration inside the program]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// How dates look, instead of what the filter says; one pattern a line
    #[arg(short, long, value_name = "PATTERN")]
    datepattern: Option<String>,
    /// The zone of dates that name none, as UTC+0200, instead of this host's
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

impl How {
    fn examiner(&self, what: &str) -> Result<Examiner, String> {
        let mut subject = Subject::find(what, self.config.as_deref())?;
        for note in subject.notes.drain(..) {
            complain(&note);
        }
        if let Some(pattern) = &self.datepattern {
            subject.settings.datepattern = subject::lines(pattern);
        }
        if let Some(zone) = &self.timezone {
            subject.settings.logtimezone = Some(zone.clone());
        }
        Examiner::new(subject, clock::now())
    }
}

pub(super) fn explain(arguments: &Explain) -> ExitCode {
    finish(try_explain(arguments).map(|()| true))
}

pub(super) fn test_filter(arguments: &TestFilter) -> ExitCode {
    finish(try_test(arguments))
}

/// The exit code; what went wrong is told.
fn finish(done: Result<bool, String>) -> ExitCode {
    match done {
        Ok(_) if out::failed() => ExitCode::from(TROUBLE),
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOTHING),
        Err(why) => {
            complain(&why);
            ExitCode::from(TROUBLE)
        }
    }
}

fn complain(why: &str) {
    for line in why.lines() {
        out::error(&format!("ferroban: {}", text::shown(line)));
    }
}

fn try_explain(arguments: &Explain) -> Result<(), String> {
    let how = &arguments.how;
    let mut examiner = how.examiner(&arguments.what)?;
    let paint = Paint::of(how.color);
    if !how.json {
        out::line(&words::head(&examiner, paint));
    }
    let mut tell = |line: &str| {
        let seen = examiner.look(line, clock::now());
        out::line(&if how.json {
            text::json(&seen)
        } else {
            format!("\n{}", words::line(&seen, paint))
        });
        out::is_heard()
    };
    let given = arguments.lines.iter().map(String::as_str);
    match arguments.lines.as_slice() {
        [] => each_line(Path::new("-"), &mut tell)?,
        [only] if only == "-" => each_line(Path::new("-"), &mut tell)?,
        _ => {
            let lines = given.flat_map(str::lines).filter(|line| !line.is_empty());
            // Whoever listens no more wants no more.
            lines.take_while(|line| tell(line)).for_each(drop);
        }
    }
    if let (false, Some(jail)) = (how.json, &examiner.subject.jail) {
        out::line(&format!("\n{}", words::limits(jail)));
    }
    Ok(())
}

fn try_test(arguments: &TestFilter) -> Result<bool, String> {
    let how = &arguments.how;
    let mut examiner = how.examiner(&arguments.what)?;
    let mut tally = Tally::new(&examiner, arguments.show);
    each_line(&arguments.log, &mut |line| {
        let sight = examiner.examine(line, clock::now());
        tally.take(&examiner, line, &sight);
        true
    })?;
    let log = arguments.log.display().to_string();
    let told = tally.told(&examiner, &log);
    out::line(&if how.json {
        text::json(&told)
    } else {
        report::text(&told, &examiner, Paint::of(how.color))
    });
    Ok(told.failures > 0)
}

/// Hands out each line of a file that is not empty, until `take` says that it is enough.
fn each_line(log: &Path, take: &mut dyn FnMut(&str) -> bool) -> Result<(), String> {
    let broken = |error: io::Error| format!("{}: {error}", log.display());
    if log == Path::new("-") {
        if io::stdin().is_terminal() {
            complain("reading lines from standard input; Ctrl-D ends it");
        }
        return each_of(BufReader::new(io::stdin()), take).map_err(broken);
    }
    let file = File::open(log).map_err(broken)?;
    if file.metadata().is_ok_and(|known| known.is_dir()) {
        return Err(format!("{}: a folder; name the log in it", log.display()));
    }
    each_of(BufReader::with_capacity(256 << 10, file), take).map_err(broken)
}

fn each_of(input: impl BufRead, take: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
    // Somebody may have pasted a last line without its end.
    let mut lines = Lines::new(input.chain(&b"\n"[..]), Encoding::of_locale().1);
    while let Some(line) = lines.next_line()? {
        let line = line.text.trim_end_matches(['\r', '\n']);
        if !line.is_empty() && !take(line) {
            break;
        }
    }
    Ok(())
}
