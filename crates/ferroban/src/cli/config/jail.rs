//! One jail: its options, its filter, its actions, and what is wrong with them.

use std::io;

use ferroban_config::{Invocation, Layers, Options, Place, Value};
use ferroban_date::{Detector, Zone};
use ferroban_engine::{Filter, FilterError, FilterSettings, JailName, Timestamp, options};

use super::names;
use super::part::PartFiles;
use super::problem::{Level, Part, What};
use super::reader::Reader;
use super::value::faults;
use crate::load::{NATIVE, SMTP};

/// From this length on, names of chains and sets made from a jail's do not fit.
const LONG_NAME: usize = 26;

/// What a jail comes to.
#[derive(Debug)]
pub(super) struct Jail {
    /// The options that somebody set, with all references replaced.
    pub(super) values: Options,
    /// The options of its filter.
    pub(super) filter: Options,
    /// Whether something is wrong that keeps it from starting.
    pub(super) broken: bool,
}

impl Jail {
    /// An option, the jail's own or its filter's.
    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.filter.get(name))
    }

    /// The lines of an option that are not empty.
    fn lines(&self, name: &str) -> Vec<(&str, &Place)> {
        let value = self.option(name).into_iter();
        value
            .flat_map(Value::lines)
            .map(|(line, at)| (line.trim(), at))
            .filter(|(line, _)| !line.is_empty())
            .collect()
    }
}

/// Reads the jail `name` and tells what is wrong with it.
pub(super) fn read(reader: &mut Reader<'_>, layers: &mut Layers, name: &str) -> Jail {
    let mut work = Work {
        reader,
        layers,
        name,
        has_filter: false,
        jail: Jail {
            values: Options::new(),
            filter: Options::new(),
            broken: false,
        },
    };
    work.check_name();
    let typed = work.typed();
    work.read_filter(&typed);
    work.read_values();
    work.check_sources();
    work.check_patterns();
    work.check_actions(&typed);
    work.jail
}

struct Work<'w, 'a> {
    reader: &'w mut Reader<'a>,
    layers: &'w mut Layers,
    name: &'w str,
    /// Its filter is there, and could be read without a mistake.
    has_filter: bool,
    jail: Jail,
}

impl Work<'_, '_> {
    fn tell(&mut self, at: Option<Place>, what: What) {
        let level = self.reader.tell(at, what);
        self.jail.broken |= level == Level::Error;
    }

    fn tell_config(&mut self, error: ferroban_config::Error) {
        let level = self.reader.tell_config(error);
        self.jail.broken |= level == Level::Error;
    }

    fn header(&self) -> Option<Place> {
        names::header(self.reader, self.layers, self.name)
    }

    /// Where an option is set, or the jail begins.
    fn place(&self, option: &str) -> Option<Place> {
        let value = self.layers.raw(self.name, option);
        let place = value.map(|value| value.place().clone());
        place.or_else(|| self.header())
    }

    fn check_name(&mut self) {
        if let Err(error) = self.name.parse::<JailName>() {
            self.tell(self.header(), What::JailName(error));
        } else if self.name.chars().count() >= LONG_NAME {
            self.tell(self.header(), What::LongName(self.name.to_owned()));
        }
    }

    /// What filters and actions see of the jail. What cannot be read now is told later.
    fn typed(&self) -> Options {
        let own = |name: &'static str| {
            let value = self.layers.option(self.name, name).ok().flatten();
            value.map(|value| (name, value))
        };
        let names = options::JAIL.iter().map(|row| row.name);
        names
            .filter(|name| !["filter", "action"].contains(name))
            .filter_map(own)
            .collect()
    }

    /// An option with all references replaced; what cannot be is told.
    fn option(&mut self, name: &str) -> Option<Value> {
        self.layers.option(self.name, name).unwrap_or_else(|error| {
            self.tell_config(error);
            None
        })
    }

    fn read_filter(&mut self, typed: &Options) {
        let Ok(value) = self.layers.option(self.name, "filter") else {
            return; // Told with the other options.
        };
        let items = value.as_ref().map(items).unwrap_or_default();
        let Some((text, at)) = items.first() else {
            self.tell(self.place("filter"), What::NoFilter);
            return;
        };
        if let Some((second, at)) = items.get(1) {
            self.tell(
                Some((*at).clone()),
                What::SecondFilter((*second).to_owned()),
            );
        }
        let Some(invocation) = self.parse(Part::Filter, text, at) else {
            return;
        };
        let files = self.reader.part(Part::Filter, &invocation.name);
        if let Some(nearest) = files.missing.clone() {
            self.tell_no_filter(invocation.name, nearest, at);
            return;
        }
        let mut given = invocation.options_at(at);
        let names = files.layers.names("Definition");
        if given.get("logtype").is_none() && !names.into_iter().any(|name| name == "logtype") {
            let backend = typed.get("backend").map(Value::text).unwrap_or_default();
            let kind = if backend.starts_with("systemd") {
                "journal"
            } else {
                "file"
            };
            given.insert("logtype", Value::new(kind, Place::named("backend")));
        }
        let filter = self.resolve(Part::Filter, &invocation, &files, (&given, typed));
        self.layers.publish_known(self.name, &filter);
        self.jail.filter = filter;
    }

    fn tell_no_filter(&mut self, filter: String, nearest: Option<String>, at: &Place) {
        let sections: Vec<&str> = self.layers.sections().collect();
        let sets_filter = self.layers.names(self.name).any(|name| name == "filter");
        if sets_filter || filter != self.name {
            let what = What::NoPart {
                part: Part::Filter,
                name: filter,
                nearest,
            };
            self.tell(Some(at.clone()), what);
            return;
        }
        let what = What::NoOwnFilter {
            jail: self.name.to_owned(),
            nearest: names::similar(self.name, &sections),
            filter,
        };
        self.tell(self.header(), what);
    }

    /// `name[…]`; what is none is told.
    fn parse(&mut self, part: Part, text: &str, at: &Place) -> Option<Invocation> {
        match Invocation::parse(text) {
            Ok(invocation) => Some(invocation),
            Err(source) => {
                let text = text.to_owned();
                self.tell(Some(at.clone()), What::Invocation { part, text, source });
                None
            }
        }
    }

    /// The options of a filter or an action that is there. `seen` is what it is given,
    /// and what it sees of the jail.
    fn resolve(
        &mut self,
        part: Part,
        invocation: &Invocation,
        files: &PartFiles,
        (given, typed): (&Options, &Options),
    ) -> Options {
        self.jail.broken |= files.broken;
        for option in invocation.options.names() {
            // The stock files pass these to every filter or action, used or not.
            if files.uses(option) || options::variable(option).is_some() {
                continue;
            }
            let at = given.get(option).map(|value| value.place().clone());
            let what = What::UnusedOption {
                part,
                name: invocation.name.clone(),
                option: option.to_owned(),
                nearest: files.nearest(option),
            };
            self.tell(at, what);
        }
        let (all, errors) = files.resolved(given, typed);
        if part == Part::Filter {
            self.has_filter = errors.is_empty() && !files.broken;
        }
        for error in errors {
            self.tell_config(error);
        }
        all
    }

    fn read_values(&mut self) {
        for row in options::JAIL {
            let Some(value) = self.option(row.name) else {
                continue;
            };
            for (at, what) in faults(row, &value) {
                self.tell(Some(at), what);
            }
            self.jail.values.insert(row.name, value);
        }
    }

    fn check_sources(&mut self) {
        let backend = self.jail.values.get("backend").map(Value::text);
        let backend = backend.unwrap_or("auto").trim().to_lowercase();
        let journal = backend.starts_with("systemd")
            || (backend == "auto" && self.jail.option("journalmatch").is_some());
        let set = self.layers.raw(self.name, "logpath").is_some();
        let told = set && self.jail.values.get("logpath").is_none();
        if !journal && !told && self.jail.lines("logpath").is_empty() {
            self.tell(self.place("logpath"), What::NoSource);
        }
    }

    fn check_patterns(&mut self) {
        if !self.has_filter {
            return;
        }
        if self.jail.lines("failregex").is_empty() {
            let filter = self.jail.values.get("filter").map(Value::text);
            let filter = filter.unwrap_or_default().trim().to_owned();
            self.tell(self.place("filter"), What::NoFailregex { filter });
        }
        for (at, what) in pattern_faults(&self.jail) {
            self.tell(Some(at), what);
        }
    }

    fn check_actions(&mut self, typed: &Options) {
        let Some(action) = self.jail.values.get("action").cloned() else {
            if self.layers.raw(self.name, "action").is_none() {
                self.tell(self.header(), What::NoAction);
            }
            return;
        };
        let items = items(&action);
        if items.is_empty() {
            self.tell(Some(action.place().clone()), What::NoAction);
        }
        let mut names: Vec<String> = Vec::new();
        for (text, at) in items {
            let Some(invocation) = self.parse(Part::Action, text, at) else {
                continue;
            };
            let name = self.action_name(&invocation);
            if names.contains(&name) {
                self.tell(Some(at.clone()), What::SameAction(name.clone()));
            }
            self.check_action(&invocation, &name, at, typed);
            names.push(name);
        }
    }

    /// The name under which an action runs: that of its file, or `actname`, and what
    /// `name` adds to the jail's.
    fn action_name(&self, invocation: &Invocation) -> String {
        if let Some(name) = invocation.options.get("actname") {
            return name.clone();
        }
        let file = &invocation.name;
        let file = file.strip_suffix(".py").unwrap_or(file);
        match invocation.options.get("name").map(String::as_str) {
            Some(name) if name != self.name => match name.strip_prefix(self.name) {
                Some(rest) => format!("{file}{rest}"),
                None => format!("{file}-{name}"),
            },
            _ => file.to_owned(),
        }
    }

    fn check_action(&mut self, invocation: &Invocation, name: &str, at: &Place, typed: &Options) {
        if invocation.name == SMTP {
            let options = invocation.options.iter();
            let options = options.map(|(name, text)| (name.to_owned(), text.clone()));
            if let Some(why) = crate::action::smtp::refusal(&options.collect()) {
                let (name, why) = (invocation.name.clone(), why.to_string());
                self.tell(Some(at.clone()), What::OwnAction { name, why });
            }
            return;
        }
        let missing = if invocation.name.ends_with(".py") {
            let path = self.reader.base.join("action.d").join(&invocation.name);
            let read = self.reader.files.read(&path, 1);
            let absent = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
            if let Some(why) = crate::action::python::refusal(&path) {
                let name = invocation.name.clone();
                self.tell(Some(at.clone()), What::Program { name, why });
            }
            read.is_err_and(absent).then_some(None)
        } else {
            let files = self.reader.part(Part::Action, &invocation.name);
            if files.missing.is_none() {
                let mut given = invocation.options_at(at);
                for (option, text) in [("actname", name), ("name", self.name)] {
                    if given.get(option).is_none() {
                        given.insert(option, Value::new(text, Place::named("jail")));
                    }
                }
                self.resolve(Part::Action, invocation, &files, (&given, typed));
            }
            files.missing.clone()
        };
        if let Some(nearest) = missing
            && invocation.name != NATIVE
        {
            let what = What::NoPart {
                part: Part::Action,
                name: invocation.name.clone(),
                nearest,
            };
            self.tell(Some(at.clone()), what);
        }
    }
}

/// The items of `filter` or `action`, each with the line in which it begins.
fn items(value: &Value) -> Vec<(&str, &Place)> {
    let places: Vec<&Place> = value.lines().map(|(_, at)| at).collect();
    let (mut rest, mut line) = (value.text(), 0);
    let mut all = Vec::new();
    for item in Invocation::split(value.text()) {
        let Some((before, after)) = rest.split_once(item) else {
            continue;
        };
        line += before.matches('\n').count();
        all.push((item, places.get(line).copied().unwrap_or(value.place())));
        line += item.matches('\n').count();
        rest = after;
    }
    all
}

/// The patterns that cannot be used. All are compiled together; only if that fails is
/// the culprit looked for.
fn pattern_faults(jail: &Jail) -> Vec<(Place, What)> {
    let texts = |option: &str| -> Vec<String> {
        let lines = jail.lines(option);
        lines.iter().map(|(line, _)| (*line).to_owned()).collect()
    };
    let prefix = jail.option("prefregex").map(Value::text);
    let prefix = prefix.filter(|text| !text.is_empty()).map(str::to_owned);
    let together = FilterSettings {
        prefregex: prefix.clone(),
        failregex: texts("failregex"),
        ignoreregex: texts("ignoreregex"),
        datepattern: texts("datepattern"),
        ..FilterSettings::default()
    };
    let fault =
        |settings: &FilterSettings| Filter::new(settings, Zone::utc(), Timestamp::default()).err();
    if fault(&together).is_none() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for option in ["prefregex", "failregex", "ignoreregex"] {
        for (text, at) in jail.lines(option) {
            // An ignoreregex need not say who failed: it only has to compile.
            let alone = FilterSettings {
                ignoreregex: vec![text.to_owned()],
                ..FilterSettings::default()
            };
            let identified = FilterSettings {
                prefregex: prefix.clone(),
                failregex: vec![text.to_owned()],
                ..FilterSettings::default()
            };
            let nobody = |error: &FilterError| matches!(error, FilterError::NoIdentity { .. });
            let source = fault(&alone).or_else(|| {
                let check = option == "failregex";
                check.then(|| fault(&identified).filter(nobody)).flatten()
            });
            if let Some(source) = source {
                let text = text.to_owned();
                all.push((
                    at.clone(),
                    What::Regex {
                        option,
                        text,
                        source,
                    },
                ));
            }
        }
    }
    all.extend(date_faults(jail));
    all
}

/// The date patterns that cannot be used.
fn date_faults(jail: &Jail) -> Vec<(Place, What)> {
    let fault = |(text, at): (&str, &Place)| {
        let text = text.to_owned();
        let patterns = std::slice::from_ref(&text);
        let found = Detector::with_patterns(patterns, Zone::utc(), Timestamp::default());
        let found = found.and_then(|detector| detector.check());
        let what = What::Regex {
            option: "datepattern",
            source: FilterError::DatePattern(found.err()?),
            text,
        };
        Some((at.clone(), what))
    };
    jail.lines("datepattern")
        .into_iter()
        .filter_map(fault)
        .collect()
}
