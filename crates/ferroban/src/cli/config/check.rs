//! `ferroban config check`: all problems at once, and what starts in spite of them.

use std::collections::HashSet;
use std::path::Path;

use ferroban_config::{Error, Files, Layers};
use ferroban_engine::options::{self, OptionRow};
use serde_json::json;

use super::Told;
use super::jail;
use super::names;
use super::problem::{Level, Problem, What};
use super::reader::{MAX_PROBLEMS, Reader};
use super::value::faults;
use crate::load::is_on;

/// What was found out.
pub(super) struct Report<'a> {
    reader: Reader<'a>,
    fine: Vec<String>,
    skipped: Vec<String>,
    /// How many errors belong to no jail that is switched on.
    elsewhere: usize,
}

pub(super) fn run(files: &dyn Files, base: &Path, as_json: bool) -> Told {
    let report = Report::of(files, base);
    Told {
        text: if as_json {
            report.json()
        } else {
            report.text()
        },
        good: report.skipped.is_empty() && report.elsewhere == 0,
    }
}

impl<'a> Report<'a> {
    fn of(files: &'a dyn Files, base: &Path) -> Self {
        let mut report = Self {
            reader: Reader::new(files, base),
            fine: Vec::new(),
            skipped: Vec::new(),
            elsewhere: 0,
        };
        if let Err(source) = files.list(base) {
            let dir = base.to_owned();
            report.reader.tell(None, What::Folder { dir, source });
            report.elsewhere = 1;
            return report;
        }
        report.check_server();
        report.check_jails();
        report
    }

    /// `fail2ban.conf`.
    fn check_server(&mut self) {
        let reader = &mut self.reader;
        let layers = reader.layers("fail2ban");
        for (section, table) in [("Definition", options::SERVER), ("Thread", options::THREAD)] {
            if !layers.has_section(section) {
                continue;
            }
            for row in table {
                match layers.option(section, row.name) {
                    Ok(Some(value)) => {
                        for (at, what) in faults(row, &value) {
                            reader.tell(Some(at), what);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => {
                        reader.tell_config(error);
                    }
                }
            }
        }
        let known: &[&[OptionRow]] = &[options::SERVER, options::THREAD];
        let sections = ["Definition".to_owned(), "Thread".to_owned()];
        names::options(reader, &layers, &sections, known);
        self.elsewhere = self.errors().count();
    }

    /// `jail.conf`, and the filters and actions of the jails that are switched on.
    fn check_jails(&mut self) {
        let before = self.reader.problems.len();
        let mut layers = self.reader.layers("jail");
        let sections: Vec<String> = layers.sections().map(str::to_owned).collect();
        let (damaged, others) = self.damaged(before);
        let started = self.started(&layers, &sections);
        for name in sections.iter().filter(|name| started.contains(*name)) {
            let jail = jail::read(&mut self.reader, &mut layers, name);
            let broken = jail.broken || damaged.contains(name);
            let list = if broken {
                &mut self.skipped
            } else {
                &mut self.fine
            };
            list.push(name.clone());
        }
        let off = damaged.iter().filter(|name| !started.contains(*name));
        self.elsewhere += others + off.count();
        names::sections(&mut self.reader, &layers, &started);
        names::options(&mut self.reader, &layers, &sections, names::OF_JAILS);
    }

    /// The sections with wrong lines, told as problems from the `first` on, and how many
    /// problems concern no section.
    fn damaged(&self, first: usize) -> (HashSet<String>, usize) {
        let (mut sections, mut others) = (HashSet::new(), 0);
        for problem in self.reader.problems.iter().skip(first) {
            // One byte that cannot be decoded costs the whole file.
            let is_file = matches!(&problem.what, What::Config(Error::Undecodable { .. }));
            let at = problem.at.as_ref().filter(|_| !is_file);
            match at.and_then(|at| self.reader.sources.section(at)) {
                Some((name, _)) => {
                    sections.insert(name);
                }
                None => others += 1,
            }
        }
        (sections, others)
    }

    /// The jails that are switched on.
    fn started(&mut self, layers: &Layers, sections: &[String]) -> HashSet<String> {
        let mut started = HashSet::new();
        for name in sections {
            match layers.option(name, "enabled") {
                Ok(Some(value)) if is_on(value.text()) => {
                    started.insert(name.clone());
                }
                Ok(Some(value)) => {
                    // A slip here leaves the jail off, without a word.
                    if let Some(row) = options::jail("enabled") {
                        for (at, what) in faults(row, &value) {
                            self.reader.tell(Some(at), what);
                        }
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.reader.tell_config(error);
                    self.skipped.push(name.clone());
                }
            }
        }
        started
    }

    fn errors(&self) -> impl Iterator<Item = &Problem> {
        let problems = self.reader.problems.iter();
        problems.filter(|problem| problem.level() == Level::Error)
    }

    fn text(&self) -> String {
        let problems = self.reader.sorted();
        let mut lines: Vec<String> = problems
            .into_iter()
            .map(|problem| self.reader.shown(problem))
            .collect();
        if self.reader.is_full() {
            lines.push(format!("only the first {MAX_PROBLEMS} problems are told"));
        }
        lines.push(self.summary());
        lines.join("\n")
    }

    /// `jail 'web' skipped, 11 fine`.
    fn summary(&self) -> String {
        let none = self.fine.is_empty() && self.skipped.is_empty();
        let place = if none { "" } else { " outside of these jails" };
        let elsewhere = match self.elsewhere {
            0 => String::new(),
            1 => format!("1 error{place}; "),
            many => format!("{many} errors{place}; "),
        };
        let fine = self.fine.len();
        let quoted: Vec<String> = self
            .skipped
            .iter()
            .map(|name| format!("'{name}'"))
            .collect();
        let jails = match (quoted.as_slice(), fine) {
            ([], 0) => "no jail is switched on".to_owned(),
            ([], 1) => "1 jail fine".to_owned(),
            ([], _) => format!("{fine} jails fine"),
            ([one], _) => format!("jail {one} skipped, {fine} fine"),
            (all, _) => format!("jails {} skipped, {fine} fine", all.join(", ")),
        };
        elsewhere + &jails
    }

    fn json(&self) -> String {
        let problem = |problem: &&Problem| {
            let at = problem.at.as_ref();
            json!({
                "level": match problem.level() {
                    Level::Error => "error",
                    Level::Warning => "warning",
                },
                "file": at.map(|at| at.file.display().to_string()),
                "line": at.map(|at| at.line).filter(|line| *line > 0),
                "message": problem.message(),
                "text": at.and_then(|at| self.reader.sources.line(at)),
            })
        };
        let problems: Vec<_> = self.reader.sorted().iter().map(problem).collect();
        let all = json!({
            "problems": problems,
            "fine": self.fine,
            "skipped": self.skipped,
        });
        format!("{all:#}")
    }
}
