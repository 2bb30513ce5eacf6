//! What filters and actions have in common: some options have a meaning of their own and
//! come first, and the jail or `[Init]` may give them too.

use ferroban_config::{Definition, Errors, Layers, Options, Value};

use super::super::LoadError;
use super::super::folder::{CONFIG_READER, Folder};
use super::typed::Kind;
use crate::log::Level;

pub(super) const DEFINITION: &str = "Definition";

/// An option with a meaning, and how it is read.
pub(super) type Standard = (&'static str, Kind);

/// The kind of an option, if it has a meaning.
pub(super) fn kind(standard: &[Standard], name: &str) -> Option<Kind> {
    let found = standard.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind)
}

/// Tells if there is no `[Definition]`, once for each option that was looked for in it.
pub(super) fn check(folder: &mut Folder<'_>, layers: &Layers, standard: &[Standard]) -> bool {
    let there = layers.has_section(DEFINITION);
    if !there {
        for _ in standard {
            let text = format!("No section: '{DEFINITION}'");
            folder.tell(Level::Error, CONFIG_READER, text);
        }
    }
    there
}

/// The mistake that fail2ban would have told instead of those in `[Init]`: it reads the
/// standard options before. `given` comes first, that of the caller before that of the
/// jail.
pub(super) fn first_mistake(
    errors: Errors,
    layers: &Layers,
    standard: &[Standard],
    given: [&Options; 2],
) -> LoadError {
    let passed = |name: &str| given.iter().any(|given| given.get(name).is_some());
    let names = standard.iter().map(|(name, _)| *name);
    let earlier = names
        .filter(|name| !passed(name) && layers.has_section(DEFINITION))
        .find_map(|name| layers.option_with(DEFINITION, name, &given).err());
    earlier.map_or(LoadError::Config(errors), option)
}

/// The standard options that are set: those of `[Definition]` that are `wanted`, in the
/// order of the table, then those that are passed or in `[Init]`. Their tags are still in
/// them.
pub(super) fn combined(
    definition: &Definition<'_>,
    standard: &[Standard],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Value)>, LoadError> {
    let mut all: Vec<(String, Value)> = Vec::new();
    for (name, _) in standard.iter().filter(|(name, _)| wanted(name)) {
        if let Some(value) = definition.option(name).map_err(option)? {
            let value = definition.property(name).cloned().unwrap_or(value);
            all.push(((*name).to_owned(), value));
        }
    }
    for (name, value) in definition.properties() {
        let known = all.iter().any(|(known, _)| known == name);
        if !known && kind(standard, name).is_some() {
            all.push((name.to_owned(), value.clone()));
        }
    }
    Ok(all)
}

/// The same without tags, but for those to `keep`.
pub(super) fn resolved(
    definition: &Definition<'_>,
    options: Vec<(String, Value)>,
    keep: &[&str],
) -> Result<Vec<(String, Value)>, LoadError> {
    options
        .into_iter()
        .map(|(name, value)| {
            let value = definition.resolve(&name, &value, keep).map_err(option)?;
            Ok((name, value))
        })
        .collect()
}

pub(super) fn option(error: ferroban_config::Error) -> LoadError {
    LoadError::Option(Box::new(error))
}
