//! Options with a type and a default, read from one section.

use ferroban_config::{Layers, Options, Place, Value, quoted};

use super::super::LoadError;
use super::super::folder::{CONFIG_READER, Folder};
use super::super::word::{Word, is_on, whole_number};
use crate::log::Level;

/// How an option's text is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Bool,
    Int,
    Text,
}

/// An option: its name, how it is read, and what it is where nobody sets it.
pub(super) type Row = (&'static str, Kind, Option<&'static str>);

/// Options that were read, in the order of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed(Vec<(&'static str, Word)>);

impl Typed {
    /// What the options are where nobody sets any.
    pub(super) fn defaults(rows: &[Row]) -> Self {
        let word = |kind, default: Option<&str>| default.and_then(|text| word(kind, text));
        let pair =
            |(name, kind, default): &Row| (*name, word(*kind, *default).unwrap_or(Word::None));
        Self(rows.iter().map(pair).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Word> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, word)| word)
    }

    /// The text of an option; empty if it has none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Word::as_str).unwrap_or_default()
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some(&Word::Bool(true))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Word)> + Clone {
        self.0.iter().map(|(name, word)| (*name, word))
    }

    pub(super) fn set(&mut self, name: &str, word: Word) {
        if let Some(entry) = self.0.iter_mut().find(|(known, _)| *known == name) {
            entry.1 = word;
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| *known != name);
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// As filters and actions may refer to them.
    pub(super) fn as_options(&self, place: &Place) -> Options {
        self.iter()
            .filter_map(|(name, word)| Some((name, Value::new(word.shown()?, place.clone()))))
            .collect()
    }
}

impl Folder<'_> {
    /// Reads the options of a table from a section that exists.
    pub(super) fn typed(
        &mut self,
        layers: &Layers,
        section: &str,
        rows: &[Row],
    ) -> Result<Typed, LoadError> {
        let mut typed = Typed::default();
        for (name, kind, default) in rows {
            let value = layers
                .option(section, name)
                .map_err(|error| LoadError::Option(Box::new(error)))?;
            let word = match (value, default) {
                (Some(value), _) => match word(*kind, value.text()) {
                    Some(word) => word,
                    None => self.wrong(section, name, value.text()),
                },
                (None, Some(default)) => self.missing(section, name, word(*kind, default)),
                (None, None) => continue,
            };
            typed.0.push((name, word));
        }
        Ok(typed)
    }

    fn missing(&mut self, section: &str, name: &str, default: Option<Word>) -> Word {
        let word = default.unwrap_or(Word::None);
        let shown = match &word {
            Word::Text(text) => quoted(text),
            other => other.shown().unwrap_or_default(),
        };
        let text = format!("'{name}' not defined in '{section}'. Using default one: {shown}");
        self.tell(Level::Debug, CONFIG_READER, text);
        word
    }

    fn wrong(&mut self, section: &str, name: &str, text: &str) -> Word {
        // The jail starts all the same without it.
        if name != "maxlines" {
            self.problem(LoadError::Value {
                jail: section.to_owned(),
                option: name.to_owned(),
                value: text.to_owned(),
                wanted: "a whole number",
            });
        }
        let text = format!("Wrong value for '{name}' in '{section}'. Using default one: 'None'");
        self.tell(Level::Warning, CONFIG_READER, text);
        Word::None
    }

    /// The same for an option of a filter or an action, whose text may be the jail's.
    pub(super) fn convert(&mut self, kind: Kind, name: &str, text: &str) -> Word {
        word(kind, text).unwrap_or_else(|| {
            let value = quoted(text);
            let text = format!("Wrong int value {value} for '{name}'. Using default one: None");
            self.tell(Level::Warning, CONFIG_READER, text);
            Word::None
        })
    }
}

fn word(kind: Kind, text: &str) -> Option<Word> {
    match kind {
        Kind::Bool => Some(Word::Bool(is_on(text))),
        Kind::Int => whole_number(text).map(Word::Int),
        Kind::Text => Some(text.into()),
    }
}
