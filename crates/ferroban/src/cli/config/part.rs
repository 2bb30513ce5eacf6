//! A filter or an action: its files, and what it makes of the options it is given.

use std::collections::HashSet;
use std::path::Path;

use ferroban_config::{Definition, Error, Files, Layers, Options, nearest};

/// Tags that an action keeps until it runs.
const LATER: &[&str] = &[
    "matches",
    "ipmatches",
    "ipjailmatches",
    "timeout",
    "bantime",
];

/// What every filter or action understands, whether its files say so or not.
const ALWAYS: &[&str] = &[
    "name",
    "actname",
    "bantime",
    "timeout",
    "families",
    "norestored",
    "logtype",
    "usedns",
    "prefregex",
    "failregex",
    "ignoreregex",
    "maxlines",
    "datepattern",
    "journalmatch",
];

/// What the files of a filter or an action say.
pub(super) struct PartFiles {
    pub(super) layers: Layers,
    /// A part that exists and looks alike; set if there is no such part.
    pub(super) missing: Option<Option<String>>,
    /// Something in the files is wrong.
    pub(super) broken: bool,
    /// Lower-cased names that the files set or refer to.
    used: HashSet<String>,
}

impl PartFiles {
    /// `path` is `filter.d/NAME` or `action.d/NAME`, or absolute.
    pub(super) fn read(files: &dyn Files, base: &Path, path: &Path) -> (Self, Vec<Error>) {
        let (layers, errors) = Layers::read_partly(files, base, &path.to_string_lossy());
        let mut new = Self {
            used: used(&layers),
            layers,
            missing: None,
            broken: false,
        };
        let mut told = Vec::new();
        for error in errors {
            if let Error::NoFiles { nearest, .. } = error {
                new.missing = Some(nearest);
            } else {
                new.broken = true;
                told.push(error);
            }
        }
        (new, told)
    }

    /// Its options with all references and tags replaced, and what is wrong in them.
    pub(super) fn resolved(&self, given: &Options, jail: &Options) -> (Options, Vec<Error>) {
        let definition = match Definition::new(&self.layers, given, jail) {
            Ok(definition) => definition,
            Err(errors) => return (Options::new(), errors.into_iter().collect()),
        };
        let (mut all, mut errors) = (Options::new(), Vec::new());
        let names = self.layers.names("Definition").chain(given.names());
        for name in names {
            match definition.resolved(name, LATER) {
                Ok(Some(value)) => {
                    all.insert(name, value);
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        (all, errors)
    }

    /// Whether an option that a jail gives does anything.
    pub(super) fn uses(&self, option: &str) -> bool {
        let option = plain(option);
        ALWAYS.contains(&option.as_str())
            || option.starts_with("action")
            || self.used.contains(&option)
    }

    /// The option that was probably meant.
    pub(super) fn nearest(&self, option: &str) -> Option<String> {
        let mut known: Vec<&str> = self.used.iter().map(String::as_str).collect();
        known.sort_unstable();
        nearest(&plain(option), known)
    }
}

/// `blocktype` of `BlockType?family=inet6`.
fn plain(option: &str) -> String {
    let name = option.split('?').next().unwrap_or_default();
    name.to_lowercase()
}

fn used(layers: &Layers) -> HashSet<String> {
    let mut used = HashSet::new();
    for section in layers.sections().chain(["DEFAULT"]) {
        for name in layers.names(section) {
            used.insert(plain(name));
            if let Some(value) = layers.raw(section, name) {
                used.extend(references(value.text()));
                used.extend(tags(value.text()));
            }
        }
    }
    used
}

/// The names in `%(name)s` and `%(section/name)s`, lower-cased.
pub(super) fn references(text: &str) -> impl Iterator<Item = String> {
    text.split("%(").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once(')')?;
        name.rsplit('/').next().map(str::to_lowercase)
    })
}

/// The names in `<name>` and `<section/name>`, lower-cased.
fn tags(text: &str) -> impl Iterator<Item = String> {
    text.split('<').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('>')?;
        let name = name.rsplit('/').next()?;
        (!name.contains(char::is_whitespace)).then(|| name.to_lowercase())
    })
}
