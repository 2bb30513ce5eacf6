//! The report: what all lines came to, as it is printed at the end.

use ferroban_date::{TemplateView, Zone};
use ferroban_engine::Filter;

use super::debuggex;
use super::lines::Lines;
use super::options::{Options, Shown};
use super::output::Printer;
use super::python;
use super::tally::{Regex, Tally};

/// Everything that the report is made of.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) tally: &'a Tally,
    pub(super) filter: &'a Filter,
    pub(super) options: &'a Options,
    pub(super) zone: &'a Zone,
    /// The journal has times of its own; then no template found any.
    pub(super) journal: bool,
    pub(super) multi_line: bool,
    pub(super) seconds: f64,
}

impl Report<'_> {
    pub(super) fn print(&self, printer: &mut Printer) {
        let tally = self.tally;
        printer.line("\nResults\n=======");
        if let Some(regex) = self.filter.prefregex() {
            self.prefixes(regex.as_str(), printer);
        }
        self.regexes("Failregex", &tally.failregex, printer);
        self.regexes("Ignoreregex", &tally.ignoreregex, printer);
        if !self.journal {
            self.templates(printer);
        }
        let (ignored, matched, missed) = (
            tally.ignored.count(),
            tally.matched.count(),
            tally.missed.count(),
        );
        printer.line(&format!(
            "\nLines: {} lines, {ignored} ignored, {matched} matched, {missed} missed\n\
             [processed in {:.2} sec]\n",
            tally.lines, self.seconds
        ));
        let all = |all| Shown { none: false, all };
        if self.options.all_matched {
            self.lines("Matched", "matched", (&tally.matched, all(true)), printer);
        }
        self.lines(
            "Ignored",
            "ignored",
            (&tally.ignored, self.options.ignored),
            printer,
        );
        self.lines(
            "Missed",
            "missed",
            (&tally.missed, self.options.missed),
            printer,
        );
    }

    fn verbose(&self) -> bool {
        self.options.verbose != 0
    }

    fn prefixes(&self, regex: &str, printer: &mut Printer) {
        let prefixes = &self.tally.prefixes;
        printer.line(&format!("\nPrefregex: {} total", prefixes.count));
        let mut items = vec![regex.to_owned()];
        items.extend(prefixes.shown.iter().map(|groups| format!("    {groups}")));
        let more = u64::try_from(prefixes.shown.len()).is_ok_and(|shown| shown < prefixes.count);
        if self.verbose() && more {
            items.push("    ...".to_owned());
        }
        list(None, items.into_iter(), printer);
    }

    fn regexes(&self, title: &str, regexes: &[Regex], printer: &mut Printer) {
        let total: u64 = regexes.iter().map(|regex| regex.hits).sum();
        printer.line(&format!("\n{title}: {total} total"));
        let wanted = |(_, regex): &(usize, &Regex)| regex.hits > 0 || self.verbose();
        let items = regexes.iter().enumerate().filter(wanted);
        let items = items.flat_map(|(index, regex)| {
            let first = format!("{:2}) [{}] {}", index + 1, regex.hits, regex.text);
            let failures = regex.failures.iter().map(|failure| {
                let date = python::date(failure.time, self.zone);
                let others = if failure.among_others {
                    " (multiple regex matched)"
                } else {
                    ""
                };
                format!("    {}  {date}{others}", failure.id)
            });
            std::iter::once(first).chain(failures)
        });
        list(Some(" #) [# of hits] regular expression"), items, printer);
    }

    fn templates(&self, printer: &mut Printer) {
        printer.line("\nDate template hits:");
        let templates = self.filter.dates().templates();
        let wanted = |template: &&TemplateView<'_>| template.hits > 0 || self.verbose();
        let items = templates.iter().filter(wanted).flat_map(|template| {
            let mut items = vec![format!("[{}] {}", template.hits, template.name)];
            if self.options.verbose_date {
                items.push(format!(
                    "    # weight: {:.3} ({:.3}), pattern: {}",
                    template.weight, template.template_weight, template.pattern
                ));
                items.push(format!("    # regex:   {}", template.regex));
            }
            items
        });
        list(Some("[# of hits] date format"), items, printer);
    }

    fn lines(
        &self,
        title: &str,
        name: &str,
        (lines, shown): (&Lines, Shown),
        printer: &mut Printer,
    ) {
        if shown.none || lines.count() == 0 {
            return;
        }
        let short = shown.all || lines.count() < self.tally.printed;
        let Some(all) = lines.all().filter(|_| short) else {
            printer.line(&format!(
                "{title} line(s): too many to print.  Use --print-all-{name} to print all {} lines",
                lines.count()
            ));
            return;
        };
        let header = format!("{title} line(s):");
        if !self.options.debuggex {
            list(
                Some(&header),
                all.map(|line| line.trim_end().to_owned()),
                printer,
            );
            return;
        }
        let ignored = name == "ignored";
        let regexes: Vec<(&str, &str)> = if ignored {
            let given = self
                .tally
                .ignoreregex
                .iter()
                .map(|regex| regex.text.as_str());
            given
                .zip(self.filter.ignoreregex().map(|regex| regex.as_str()))
                .collect()
        } else {
            let given = self.tally.failregex.iter().map(|regex| regex.text.as_str());
            given
                .zip(self.filter.failregex().map(|regex| regex.as_str()))
                .collect()
        };
        let items = all.flat_map(|line| {
            regexes.iter().map(move |(given, expanded)| {
                let link = debuggex::link(expanded, line, self.multi_line);
                format!("{line} | {given} |  {link}")
            })
        });
        list(Some(&header), items, printer);
    }
}

/// A box of items under a header; nothing if there are none.
fn list(header: Option<&str>, items: impl Iterator<Item = String>, printer: &mut Printer) {
    let mut header = header;
    let mut any = false;
    for item in items {
        if let Some(header) = header.take() {
            printer.line(&format!("|- {header}"));
        }
        printer.line(&format!("|  {item}"));
        any = true;
    }
    if any {
        printer.line("`-");
    }
}
