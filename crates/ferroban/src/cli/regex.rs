//! `fail2ban-regex`: what a filter, or a single regex, makes of a log.
//!
//! Reads the options ([`options`]), finds out what the words mean ([`rules`], [`subject`]),
//! shows each line to the engine as the daemon does, and counts what it says ([`tally`]).
//! At the end it prints a report ([`report`]), or, with `-o`, each failure at once ([`pick`]).
//! Texts and exit codes are those of the original: programs and people read them.

mod debuggex;
mod help;
mod lines;
mod options;
mod output;
mod pick;
mod progress;
mod python;
mod report;
mod rows;
mod rules;
mod subject;
mod tally;
mod told;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use ferroban_config::quoted;
use ferroban_date::{Detector, LogZone, Timestamp, Zone};
use ferroban_engine::{Depth, Detail, Filter, FilterSettings, UseDns};

use crate::COMPATIBLE;
use crate::cli::out;
use crate::clock;
use crate::load::{Rules, split};
use crate::log::Level;
use options::{Asked, Options};
use output::Printer;
use pick::{NeedsJail, Pick};
use report::Report;
use rows::{Rows, Seen};
use subject::Subject;
use tally::Tally;

/// Why there is no report.
#[derive(Debug)]
enum Ended {
    /// It was told on standard output.
    Failed,
    /// Where the original ends with a traceback: in our words, for standard error.
    Broken(String),
}

/// Does what the command line says; `args` are without the program's name.
pub(super) fn run(args: &[OsString]) -> ExitCode {
    let done = answer(args);
    if out::failed() {
        // It has been told where it happened.
        return ExitCode::from(1);
    }
    done
}

fn answer(args: &[OsString]) -> ExitCode {
    let options = match options::read(args) {
        Ok(Asked::Test(options)) => options,
        Ok(Asked::Help) => {
            out::line(&help::text());
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Version) => {
            out::line(&format!("fail2ban-regex {COMPATIBLE}"));
            return ExitCode::SUCCESS;
        }
        Ok(Asked::ShortVersion) => {
            out::line(COMPATIBLE);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            out::error(&format!(
                "{}\nfail2ban-regex: error: {mistake}",
                help::usage()
            ));
            return ExitCode::from(2);
        }
    };
    if let Some(mistake) = options.mistake() {
        out::line(&help::text());
        out::error(&format!("\n{mistake}"));
        return ExitCode::from(255);
    }
    let begun = clock::tick();
    match test(&options, begun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::Failed) => ExitCode::from(255),
        Err(Ended::Broken(why)) => {
            out::error(&format!("fail2ban-regex: {why}"));
            ExitCode::from(1)
        }
    }
}

fn test(options: &Options, begun: Instant) -> Result<(), Ended> {
    let bare = options.out.as_deref().is_some_and(|out| !out.is_empty());
    let level = options.level();
    let mut printer = Printer::new(*level.as_ref().unwrap_or(&Level::Critical), bare);
    printer.report("\nRunning tests\n=============\n");
    level.map_err(Ended::Broken)?;
    let test = Test::prepare(options, &mut printer)?;
    let done = test.run(options, &mut printer, begun);
    printer.flush();
    done
}

/// A test that can begin.
#[derive(Debug)]
struct Test {
    rules: Rules,
    settings: FilterSettings,
    filter: Filter,
    subject: Subject,
    journal: bool,
}

impl Test {
    fn prepare(options: &Options, printer: &mut Printer) -> Result<Self, Ended> {
        let words = &options.words;
        let log = words.first().map(String::as_str).unwrap_or_default();
        let regex = words.get(1).map(String::as_str).unwrap_or_default();
        let journal = subject::is_journal(log);
        let mut settings = settings(options, printer)?;
        let mut rules = rules::find(regex, options, journal, printer)?;
        apply(&rules, options, &mut settings, printer)?;
        let own = std::mem::take(&mut settings.ignoreregex);
        let mut made = filter(&settings, printer)?;
        settings.ignoreregex = match words.get(2) {
            Some(text) => {
                printer.report(&format!("Use ignoreregex line : {}", shortened(text)));
                rules.ignoreregex = vec![text.clone()];
                // A blank is as good as nothing.
                if text.trim().is_empty() {
                    vec![String::new()]
                } else {
                    vec![text.clone()]
                }
            }
            None => own,
        };
        if !settings.ignoreregex.is_empty() {
            made = filter(&settings, printer)?;
        }
        let many = settings.maxlines > 1;
        let subject = Subject::open(log, options, many, &rules.journalmatch, printer)?;
        printer.report("");
        Ok(Self {
            rules,
            settings,
            filter: made,
            subject,
            journal,
        })
    }

    fn run(self, options: &Options, printer: &mut Printer, begun: Instant) -> Result<(), Ended> {
        let Self {
            rules,
            settings,
            mut filter,
            subject,
            journal,
        } = self;
        let multi_line = settings.maxlines > 1;
        let pick = options
            .out
            .as_deref()
            .filter(|out| !out.is_empty())
            .map(Pick::new);
        let (fail, ignore) = (&rules.failregex, &rules.ignoreregex);
        let mut tally = Tally::new(fail, ignore, settings.maxlines, options);
        let mut rows = Rows::new(options.invert);
        let (mut ended, mut notes) = (Ok(()), Vec::new());
        let detail = detail(options, pick.is_some());
        let mut moment = Moment::default();
        subject.each(printer, |line, printer| {
            let now = moment.now();
            filter.examine(now, line, detail, &mut notes);
            notes.drain(..).for_each(|note| told::note(&note, printer));
            let judged = tally.take(line.text, (&filter, printer), now);
            if let Some(pick) = &pick {
                let seen = Seen {
                    sight: filter.sight(),
                    judged: &judged,
                    now,
                    line: line.text,
                    filter: &filter,
                    in_zone: settings.logtimezone.is_some(),
                };
                if let Err(NeedsJail(tag)) = rows.print(&seen, printer, pick) {
                    ended = Err(Ended::Broken(format!(
                        "-o: <{tag}> is known to a running jail only; leave it out"
                    )));
                    return false;
                }
            }
            printer.is_heard()
        })?;
        ended?;
        if pick.is_none() {
            let seconds = (clock::tick() - begun).as_secs_f64();
            let report = Report {
                tally: &tally,
                filter: &filter,
                options,
                zone: clock::zone(),
                journal,
                multi_line,
                seconds,
            };
            report.print(printer);
        }
        Ok(())
    }
}

/// How closely each line is looked at.
fn detail(options: &Options, picks: bool) -> Detail {
    Detail {
        all: options.check_all && !picks,
        depth: match options.verbose != 0 || picks {
            true => Depth::Groups,
            false => Depth::Count,
        },
    }
}

/// The time, asked for once for many lines: that takes as long as much of the rest.
#[derive(Default)]
struct Moment {
    now: Timestamp,
    lines: u32,
}

impl Moment {
    fn now(&mut self) -> Timestamp {
        if self.lines == 0 {
            (self.now, self.lines) = (clock::now(), 64);
        }
        self.lines -= 1;
        self.now
    }
}

/// What the options alone say about looking at lines.
fn settings(options: &Options, printer: &mut Printer) -> Result<FilterSettings, Ended> {
    let refused = |text: String, printer: &mut Printer| {
        printer.line(&format!("ERROR: {text}"));
        Err(Ended::Failed)
    };
    let mut settings = FilterSettings {
        maxlines: 1,
        usedns: usedns(&options.usedns, printer),
        ..FilterSettings::default()
    };
    match options.maxlines {
        None | Some(0) => {}
        Some(lines) => match usize::try_from(lines) {
            Ok(lines) => {
                printer.report(&format!("Use         maxlines : {lines}"));
                settings.maxlines = lines;
            }
            Err(_) => return refused(NO_LINES.to_owned(), printer),
        },
    }
    if let Some(pattern) = given(options.datepattern.as_ref()) {
        date_pattern(pattern, &mut settings, printer)?;
    }
    if let Some(zone) = given(options.timezone.as_ref()) {
        if let Err(why) = LogZone::parse(zone) {
            return refused(why.to_string(), printer);
        }
        settings.logtimezone = Some(zone.to_owned());
    }
    if let Some(Err(why)) = options.journalmatch.as_deref().map(split) {
        return refused(why.to_string(), printer);
    }
    Ok(settings)
}

const NO_LINES: &str = "maxlines must be integer greater than zero";

/// An option that is not empty.
fn given(option: Option<&String>) -> Option<&str> {
    option.map(String::as_str).filter(|text| !text.is_empty())
}

fn usedns(text: &str, printer: &mut Printer) -> UseDns {
    let lower = text.to_lowercase();
    let known = lower.parse().ok();
    if known.is_none() {
        let text = format!("Incorrect value '{lower}' specified for usedns. Using safe 'no'");
        printer.tell(Level::Error, "filter", &text);
    }
    let lower = if known.is_some() {
        lower.as_str()
    } else {
        "no"
    };
    let told = format!("Setting usedns = {lower} for Filter(None)");
    printer.tell(Level::Debug, "filter", &told);
    printer.tell(Level::Debug, "filter", "Created Filter(None)");
    known.unwrap_or(UseDns::No)
}

/// Sets the date pattern, and tells what it is called.
fn date_pattern(
    text: &str,
    settings: &mut FilterSettings,
    printer: &mut Printer,
) -> Result<(), Ended> {
    let patterns = text
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty());
    settings.datepattern = patterns.map(str::to_owned).collect();
    let detector = Detector::with_patterns(&settings.datepattern, Zone::utc(), clock::now());
    match detector.and_then(|it| it.check().map(|()| it)) {
        Ok(detector) => {
            let name = detector.name().1;
            printer.report(&format!("Use      datepattern : {text} : {name}"));
            Ok(())
        }
        Err(why) => {
            printer.line(&format!("ERROR: {why}"));
            Err(Ended::Failed)
        }
    }
}

/// Takes over what the rules say, unless an option says otherwise.
fn apply(
    rules: &Rules,
    options: &Options,
    settings: &mut FilterSettings,
    printer: &mut Printer,
) -> Result<(), Ended> {
    if !rules.given.is_empty() && (options.verbose > 1 || printer.tells(Level::Debug)) {
        let pairs = rules
            .given
            .iter()
            .map(|(name, text)| (name.as_str(), quoted(text)));
        printer.report(&format!("Real  filter options : {}", python::dict(pairs)));
    }
    settings.prefregex.clone_from(&rules.prefregex);
    settings.failregex.clone_from(&rules.failregex);
    settings.ignoreregex.clone_from(&rules.ignoreregex);
    if let Some(lines) = rules
        .maxlines
        .filter(|_| options.maxlines.unwrap_or(0) == 0)
    {
        match usize::try_from(lines) {
            Ok(lines) if lines > 0 => {
                printer.report(&format!("Use         maxlines : {lines}"));
                settings.maxlines = lines;
            }
            _ => {
                let file = options.words.get(1).map(String::as_str).unwrap_or_default();
                printer.line(&format!(
                    "ERROR: Invalid value for maxlines ({lines}) read from {file}: {NO_LINES}"
                ));
                return Err(Ended::Failed);
            }
        }
    }
    if given(options.datepattern.as_ref()).is_none()
        && let Some(pattern) = rules
            .datepattern
            .as_deref()
            .filter(|text| !text.trim().is_empty())
    {
        date_pattern(pattern, settings, printer)?;
    }
    Ok(())
}

/// The pipeline for some settings.
fn filter(settings: &FilterSettings, printer: &mut Printer) -> Result<Filter, Ended> {
    Filter::new(settings, clock::zone().clone(), clock::now()).map_err(|error| {
        let mut text = format!("ERROR: {error}");
        if let Some(cause) = std::error::Error::source(&error) {
            text.push_str(&format!(":\n{cause}"));
        }
        printer.line(&text);
        Ended::Failed
    })
}

/// At most 53 characters of a text.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 53 {
        return text.to_owned();
    }
    let start: String = text.chars().take(50).collect();
    format!("{start}...")
}
