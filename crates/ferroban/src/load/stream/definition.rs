//! What filters and actions have in common: some options have a meaning of their own and
//! come first, and the jail or `[Init]` may give them too.

use ferroban_config::{Definition, Layers, Value};

use super::super::LoadError;
use super::super::folder::{CONFIG_READER, Folder};
use super::typed::Kind;
use crate::log::Level;

/// An option with a meaning, and how it is read.
pub(super) type Standard = (&'static str, Kind);

/// The kind of an option, if it has a meaning.
pub(super) fn kind(standard: &[Standard], name: &str) -> Option<Kind> {
    let found = standard.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind)
}

/// The standard options that are set, tags replaced except those to `keep`: those of
/// `[Definition]` that are `wanted` and not passed, in the order of the table, then those
/// that are passed or in `[Init]`.
pub(super) fn combined(
    definition: &Definition<'_>,
    standard: &[Standard],
    wanted: impl Fn(&str) -> bool,
    keep: &[&str],
) -> Result<Vec<(String, Value)>, LoadError> {
    let properties = definition.properties();
    let mut all: Vec<(String, Value)> = Vec::new();
    for (name, _) in standard.iter().filter(|(name, _)| wanted(name)) {
        if let Some(value) = definition.option(name).map_err(option)? {
            let value = properties.get(name).unwrap_or(&value).clone();
            all.push(((*name).to_owned(), value));
        }
    }
    for (name, value) in properties.iter() {
        let known = all.iter().any(|(known, _)| known == name);
        if !known && kind(standard, name).is_some() {
            all.push((name.to_owned(), value.clone()));
        }
    }
    for (name, value) in &mut all {
        *value = definition.resolve(name, value, keep).map_err(option)?;
    }
    Ok(all)
}

pub(super) fn option(error: ferroban_config::Error) -> LoadError {
    LoadError::Option(Box::new(error))
}

/// Tells if there is no `[Definition]`, once for each option that was looked for in it.
pub(super) fn check(folder: &mut Folder<'_>, layers: &Layers, standard: &[Standard]) -> bool {
    let there = layers.has_section("Definition");
    if !there {
        for _ in standard {
            let text = "No section: 'Definition'".to_owned();
            folder.tell(Level::Error, CONFIG_READER, text);
        }
    }
    there
}
