//! Options and sections that nobody knows.
//!
//! Any name may be set anywhere, so that other options can refer to it: old files
//! must load. A name that is neither known nor referred to is probably a slip.

use std::collections::HashSet;

use ferroban_config::{Layers, Place, nearest};
use ferroban_engine::options::{self, OptionRow};

use super::part::references;
use super::problem::{Part, What};
use super::reader::Reader;
use crate::load::is_lost_action;

const DEFAULT: &str = "DEFAULT";
const INCLUDES: &str = "INCLUDES";

/// Options that say what a jail looks for: who sets one means a jail of his own.
const OWN: &[&str] = &["filter", "failregex", "logpath", "journalmatch"];

/// Tells unknown options of `sections` and of `[DEFAULT]`.
pub(super) fn options(
    reader: &mut Reader<'_>,
    layers: &Layers,
    sections: &[String],
    known: &[&[OptionRow]],
) {
    let referred = referred(layers);
    let known: Vec<&str> = known.iter().flat_map(|table| names(table)).collect();
    let all = sections.iter().map(String::as_str).chain([DEFAULT]);
    for section in all {
        let unknown = layers
            .names(section)
            .filter(|name| !known.contains(name) && !referred.contains(*name));
        for name in unknown {
            let at = layers.raw(section, name).map(|value| value.place().clone());
            if reader.is_full() {
                return;
            }
            // What `define` predefines stands in no file.
            if at.as_ref().is_none_or(|at| at.line == 0) {
                continue;
            }
            let what = if is_lost_action(name) {
                What::LostAction(name.to_owned())
            } else {
                What::UnknownOption {
                    name: name.to_owned(),
                    nearest: nearest(name, known.iter().copied()),
                }
            };
            reader.tell(at, what);
        }
    }
}

fn names(table: &[OptionRow]) -> impl Iterator<Item = &'static str> {
    table.iter().map(|row| row.name)
}

/// Every name that some option refers to.
fn referred(layers: &Layers) -> HashSet<String> {
    let mut all = HashSet::new();
    for section in layers.sections().chain([DEFAULT, INCLUDES]) {
        for name in layers.names(section) {
            let value = layers.raw(section, name);
            all.extend(value.iter().flat_map(|value| references(value.text())));
        }
    }
    all
}

/// Tells sections of `jail.conf` that are probably misspelt. Those of `started` jails
/// are left to their filter, which will be missing.
pub(super) fn sections(reader: &mut Reader<'_>, layers: &Layers, started: &HashSet<String>) {
    let all: Vec<&str> = layers.sections().collect();
    for &name in &all {
        let special = [DEFAULT, INCLUDES]
            .into_iter()
            .find(|special| special.eq_ignore_ascii_case(name));
        let meant = match special {
            Some(special) => Some(special.to_owned()),
            None if started.contains(name) || sets_own(layers, name) => None,
            None => similar(name, &all).filter(|_| !reader.exists(Part::Filter, name)),
        };
        if let Some(nearest) = meant {
            let at = header(reader, layers, name);
            let name = name.to_owned();
            reader.tell(at, What::UnknownSection { name, nearest });
        }
    }
}

fn sets_own(layers: &Layers, section: &str) -> bool {
    layers.names(section).any(|name| OWN.contains(&name))
}

/// Another section that looks like this one.
pub(super) fn similar(name: &str, sections: &[&str]) -> Option<String> {
    let others = sections.iter().copied().filter(|other| *other != name);
    nearest(&name.to_lowercase(), others)
}

/// Where a section begins, or its first option, whichever is known.
pub(super) fn header(reader: &Reader<'_>, layers: &Layers, section: &str) -> Option<Place> {
    let first = layers.names(section).next()?;
    let at = layers.raw(section, first)?.place();
    match reader.sources.section(at) {
        Some((name, header)) if name == section => Some(header),
        _ => Some(at.clone()),
    }
}

/// The tables of names that may stand in a jail.
pub(super) const OF_JAILS: &[&[OptionRow]] = &[options::JAIL, options::VARIABLES];
