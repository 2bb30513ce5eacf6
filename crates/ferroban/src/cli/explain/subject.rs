//! What the first word means: a jail, a filter, the file of one, or a failregex.
//!
//! A failregex says whose failure it is, so it has a `<` in it; a word without one that
//! nothing has is a slip of the pen, and is told rather than tried.

use std::fs;
use std::path::{Path, PathBuf};

use ferroban_config::{Disk, Invocation, Layers, Ordered, nearest};
use ferroban_engine::filter::expand;
use ferroban_engine::{FilterSettings, JailSettings, UseDns};

use crate::cli::named::{self, Found};
use crate::cli::own::server::FOLDER;
use crate::load::{self, Folder, JailPlan, LoadError, Rules, Settings};
use crate::log::Level;
use crate::report;

/// The window of a filter that belongs to no jail: fail2ban's.
const FINDTIME: u32 = 600;

/// What a failregex is called that belongs to no filter.
const LITERAL: &str = "failregex";

/// What lines are shown to.
#[derive(Debug)]
pub(super) struct Subject {
    /// What it is and where it comes from.
    pub(super) name: String,
    pub(super) settings: FilterSettings,
    /// If it is a jail: its limits, and whom it ignores.
    pub(super) jail: Option<JailSettings>,
    /// What is to be told before anything else.
    pub(super) notes: Vec<String>,
}

impl Subject {
    /// Looks for `text` in a configuration; without one, in that of this host, or inside the
    /// program.
    pub(super) fn find(text: &str, config: Option<&Path>) -> Result<Self, String> {
        if !named::is_name(text) {
            return Ok(Self::literal(text));
        }
        let called = Invocation::parse(text)
            .map_err(|why| format!("{text}: {why}; write it as name[option=value]"))?;
        let base = config.unwrap_or(Path::new(FOLDER));
        let has_folder = config.is_some() || base.join("jail.conf").exists();
        let found = if has_folder || called.name.contains('/') {
            read(base, &called)?
        } else {
            inside(&called)?
        };
        match found {
            Some(subject) => Ok(subject),
            None if text.contains('<') => Ok(Self::literal(text)),
            None => Err(unknown(&called.name, config)),
        }
    }

    /// Whether it is a failregex that was given as it is.
    pub(super) fn is_literal(&self) -> bool {
        self.name == LITERAL
    }

    fn literal(text: &str) -> Self {
        let settings = FilterSettings {
            failregex: lines(text),
            ..bare()
        };
        Self {
            name: LITERAL.to_owned(),
            settings,
            jail: None,
            notes: Vec::new(),
        }
    }
}

/// Lines that are not blank.
pub(super) fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn bare() -> FilterSettings {
    FilterSettings {
        maxlines: 1,
        findtime: FINDTIME,
        ..FilterSettings::default()
    }
}

fn unknown(name: &str, config: Option<&Path>) -> String {
    let base = config.unwrap_or(Path::new(FOLDER));
    if name.contains('/') {
        return format!("{name}: there is no such file; name a filter's");
    }
    let place = if config.is_none() && !base.join("jail.conf").exists() {
        format!("inside the program, and {FOLDER} is not there")
    } else if base.is_dir() {
        format!("in {}", base.display())
    } else {
        format!("in {}, which is no folder", base.display())
    };
    let (layers, _) = Layers::read_partly(&Disk, base, "jail");
    let filters = filters_of(base);
    let known = layers.sections().chain(filters.iter().map(String::as_str));
    let meant = nearest(name, known).map(|near| format!("did you mean '{near}'? "));
    format!(
        "{name}: no jail and no filter of this name {place}; {}\
         a failregex would have <HOST> in it",
        meant.unwrap_or_default()
    )
}

/// The names in `filter.d`.
fn filters_of(base: &Path) -> Vec<String> {
    let entries = fs::read_dir(base.join("filter.d"));
    let files = entries.into_iter().flatten().flatten();
    let name = |path: PathBuf| {
        let is_filter = path
            .extension()
            .is_some_and(|end| end == "conf" || end == "local");
        let name = path.file_stem().filter(|_| is_filter)?;
        Some(name.to_string_lossy().into_owned())
    };
    files.filter_map(|entry| name(entry.path())).collect()
}

/// A jail or filter of a folder, or a file.
fn read(base: &Path, called: &Invocation) -> Result<Option<Subject>, String> {
    let mut folder = Folder::new(&Disk, base);
    let Some(found) = named::look_for(&called.name, &mut folder, base) else {
        return Ok(None);
    };
    let subject = match found {
        Found::Jail(_) => jail(base, folder, called),
        Found::Filter { base, name } => {
            let mut folder = Folder::new(&Disk, &base);
            let rules = folder.filter_named(&name, &called.options, false);
            let rules = had(rules, &mut folder, &name)?;
            of_rules(format!("filter {name} of {}", base.display()), rules)
        }
        Found::File(path) => match Folder::filter_in_file(&path, &called.options, false) {
            Ok(Some(rules)) => of_rules(format!("filter {}", path.display()), rules),
            Ok(None) => Err(format!("{}: this file cannot be read", path.display())),
            Err(error) => Err(report::chain(&error)),
        },
    };
    subject.map(Some)
}

/// A jail inside the program.
fn inside(called: &Invocation) -> Result<Option<Subject>, String> {
    let name = &called.name;
    let has = |settings: &Settings| settings.setup.jail(name).is_ok();
    let stock = load::embedded(&[]).map_err(|error| report::chain(&error))?;
    if !has(&stock) {
        return Ok(None);
    }
    let settings = if is_bare(&called.options) {
        stock
    } else {
        let options: Vec<String> = called
            .options
            .iter()
            .map(|(option, value)| {
                let value = ferroban_config::quoted(value).replace('%', "%%");
                format!("{option}={value}")
            })
            .collect();
        let filter = format!("{name}.filter={name}[{}]", options.join(", "));
        load::embedded(&[filter]).map_err(|error| report::chain(&error))?
    };
    let plan = settings.setup.jail(name).map(|jail| jail.plan());
    let plan = plan.map_err(|why| format!("{name}: {why}"))?;
    let text = format!("jail {name} inside the program");
    Ok(Some(Subject {
        name: text,
        settings: as_written(plan.filter, &bare()),
        jail: Some(plan.jail),
        notes: Vec::new(),
    }))
}

fn is_bare(options: &Ordered<String>) -> bool {
    options.iter().next().is_none()
}

/// A jail of a folder, as the daemon would run it. What was given in brackets goes to its
/// filter.
fn jail(base: &Path, mut folder: Folder<'_>, called: &Invocation) -> Result<Subject, String> {
    let name = &called.name;
    let text = format!("jail {name} of {}", base.display());
    let (plan, notes) = planned(base, name);
    folder.messages();
    let rules = folder.jail_named(name, &called.options, false);
    let rules = had(rules, &mut folder, name)?;
    let mut subject = of_rules(text, rules)?;
    if let Some(plan) = plan {
        let own = std::mem::take(&mut subject.settings);
        subject.settings = if is_bare(&called.options) {
            as_written(plan.filter, &own)
        } else {
            FilterSettings {
                usedns: plan.filter.usedns,
                logtimezone: plan.filter.logtimezone,
                findtime: plan.filter.findtime,
                ..own
            }
        };
        subject.jail = Some(plan.jail);
    }
    subject.notes = notes;
    Ok(subject)
}

/// The same settings, with patterns as somebody wrote them rather than as they are compiled.
fn as_written(plan: FilterSettings, own: &FilterSettings) -> FilterSettings {
    let names = plan.usedns != UseDns::No;
    let list = |compiled: Vec<String>, written: &[String]| -> Vec<String> {
        let all = compiled.into_iter().enumerate();
        let pick = |(index, compiled): (usize, String)| match written.get(index) {
            Some(written) if expand(written, names) == compiled => written.clone(),
            _ => with_tags(compiled),
        };
        all.map(pick).collect()
    };
    let prefix = list(Vec::from_iter(plan.prefregex), own.prefregex.as_slice());
    FilterSettings {
        prefregex: prefix.into_iter().next(),
        failregex: list(plan.failregex, &own.failregex),
        ignoreregex: list(plan.ignoreregex, &own.ignoreregex),
        ..plan
    }
}

/// A pattern with the tags that are longest when they are expanded.
fn with_tags(compiled: String) -> String {
    ["<HOST>", "<SUBNET>", "<ADDR>"]
        .iter()
        .fold(compiled, |text, tag| text.replace(&expand(tag, true), tag))
}

/// A jail as if it were switched on; none, and why, if it cannot be. Its filter may be fit to
/// be looked at all the same.
fn planned(base: &Path, name: &str) -> (Option<JailPlan>, Vec<String>) {
    let on = format!("{name}.enabled=true");
    let its = format!("jail '{name}': ");
    let why: Vec<String> = match load::folder(base, &[on]) {
        Ok((settings, problems)) => {
            if let Ok(jail) = settings.setup.jail(name) {
                return (Some(jail.plan()), Vec::new());
            }
            let told = problems.iter().map(|problem| report::chain(problem));
            told.filter_map(|text| text.strip_prefix(&its).map(str::to_owned))
                .collect()
        }
        Err(error) => vec![report::chain(&error)],
    };
    let told = why.iter().map(|why| {
        let why = why.strip_prefix(&its).unwrap_or(why);
        format!("jail '{name}' would not start, so its limits are not known: {why}")
    });
    (None, told.collect())
}

/// Rules that could be read.
fn had(
    rules: Result<Option<Rules>, LoadError>,
    folder: &mut Folder<'_>,
    name: &str,
) -> Result<Rules, String> {
    match rules {
        Ok(Some(rules)) => Ok(rules),
        Ok(None) => {
            let messages = folder.messages().into_iter();
            let wrong = messages.filter(|message| message.level == Level::Error);
            let told: Vec<String> = wrong.map(|message| message.text).collect();
            Err(format!("{name}: cannot be read\n{}", told.join("\n")))
        }
        Err(error) => Err(report::chain(&error)),
    }
}

fn of_rules(name: String, rules: Rules) -> Result<Subject, String> {
    let maxlines = match rules.maxlines {
        None => 1,
        Some(number) => usize::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| {
                format!("{name}: maxlines = {number}: not a number of lines; give 1 or more")
            })?,
    };
    let settings = FilterSettings {
        prefregex: rules.prefregex,
        failregex: rules.failregex,
        ignoreregex: rules.ignoreregex,
        datepattern: lines(rules.datepattern.as_deref().unwrap_or_default()),
        maxlines,
        ..bare()
    };
    Ok(Subject {
        name,
        settings,
        jail: None,
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_shown_as_it_was_written_if_it_is_the_same() {
        let plan = FilterSettings {
            failregex: ["^a <HOST>", "^b <ADDR>", "^c <F-USER>x</F-USER>"]
                .map(|text| expand(text, true))
                .into(),
            ..bare()
        };
        let own = FilterSettings {
            failregex: vec!["^x".into(), "^y".into(), "^c <F-USER>x</F-USER>".into()],
            ..bare()
        };
        let written = as_written(plan, &own).failregex;
        assert_eq!(written, ["^a <HOST>", "^b <ADDR>", "^c <F-USER>x</F-USER>"]);
    }

    #[test]
    fn without_a_folder_there_is_the_jail_inside_the_program() {
        let called = |text: &str| inside(&Invocation::parse(text).unwrap()).unwrap();
        let plain = called("sshd").unwrap();
        let more = called("sshd[mode=aggressive]").unwrap();
        assert!(plain.jail.is_some());
        assert!(more.settings.failregex.len() > plain.settings.failregex.len());
        assert!(called("sshdd").is_none());
    }
}
