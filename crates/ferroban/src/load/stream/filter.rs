//! The filter of a jail.
//!
//! Its options are needed twice: the jail may refer to them as `%(known/…)s`, and they
//! become commands where the jail does not set them itself.

mod named;

use std::rc::Rc;

use ferroban_config::{Definition, Invocation, Layers, Options, Place, Value};

use super::super::LoadError;
use super::super::folder::Folder;
use super::super::word::{Command, Word, set};
use super::definition::{
    DEFINITION, Standard, check, combined, first_mistake, kind, option, resolved,
};
use super::typed::{Kind, Typed};
use super::words;
pub(crate) use named::Rules;

const STANDARD: &[Standard] = &[
    ("usedns", Kind::Text),
    ("prefregex", Kind::Text),
    ("ignoreregex", Kind::Text),
    ("failregex", Kind::Text),
    ("maxlines", Kind::Int),
    ("datepattern", Kind::Text),
    ("journalmatch", Kind::Text),
];

/// The filter of a jail.
pub(super) struct Filter {
    layers: Rc<Layers>,
    /// What the jail passes to it.
    given: Options,
    /// What of the jail was known when the filter was read.
    early: Options,
    /// What it says with all of the jail known; tags are still in it.
    raw: Vec<(String, Value)>,
}

impl Filter {
    /// Reads the filter that `text` calls for. What is wrong is the jail's mistake.
    pub(super) fn read(
        folder: &mut Folder<'_>,
        jail: &str,
        text: &str,
        early: &Typed,
    ) -> Result<Result<Self, LoadError>, LoadError> {
        let invocation = match Invocation::parse(text) {
            Ok(invocation) => invocation,
            Err(source) => {
                return Ok(Err(LoadError::Invocation {
                    jail: jail.to_owned(),
                    option: "filter",
                    text: text.to_owned(),
                    source,
                }));
            }
        };
        let Some(layers) = folder.filter(&invocation.name)? else {
            return Ok(Err(LoadError::NoFilter {
                jail: jail.to_owned(),
                filter: invocation.name,
            }));
        };
        let place = Place::named(jail);
        let mut given = invocation.options_at(&place);
        let is_set = |name: &str| layers.names(DEFINITION).any(|own| own == name);
        if given.get("logtype").is_none() && !is_set("logtype") {
            let journal = early.text("backend").starts_with("systemd");
            let kind = if journal { "journal" } else { "file" };
            let value = Value::new(kind, place.clone());
            given.insert("logtype", value);
        }
        let early = early.as_options(&place);
        check(folder, &layers, STANDARD);
        Ok(Ok(Self {
            layers,
            given,
            early,
            raw: Vec::new(),
        }))
    }

    /// Everything the filter sets and was passed, for `%(known/…)s` in the jail.
    pub(super) fn known(&self, folder: &mut Folder<'_>) -> Result<Options, LoadError> {
        let definition = Definition::new(&self.layers, &self.given, &self.early);
        let given = [&self.given, &self.early];
        let definition =
            definition.map_err(|errors| first_mistake(errors, &self.layers, STANDARD, given))?;
        let wanted = |name: &str| self.given.get(name).is_none();
        let mut all: Options = combined(&definition, STANDARD, wanted)?
            .into_iter()
            .collect();
        // What the files say must make sense, even where the jail passes something else.
        for name in self.layers.names(DEFINITION) {
            let read = kind(STANDARD, name).is_some() && wanted(name);
            let value = if read {
                None
            } else {
                self.layers.option(DEFINITION, name).map_err(option)?
            };
            if let Some(value) = value.filter(|_| all.get(name).is_none()) {
                all.insert(name, value);
            }
        }
        let mut all = resolved(&definition, all.into_iter().collect(), &[])?;
        definition.check(&[]).map_err(option)?;
        let passed = definition.properties().into_iter();
        let passed = passed.filter(|(name, _)| !name.contains('?'));
        let passed = passed.map(|(name, value)| (name.to_owned(), value.clone()));
        all.extend(resolved(&definition, passed.collect(), &[])?);
        for (name, value) in &all {
            if kind(STANDARD, name) == Some(Kind::Int) {
                folder.convert(Kind::Int, name, value.text());
            }
        }
        Ok(all.into_iter().collect())
    }

    /// Reads the filter again, now that the jail is known.
    pub(super) fn read_again(&mut self, jail: &Typed, seen: &Options) -> Result<(), LoadError> {
        let definition = Definition::of_filter(&self.layers, &self.given, &self.early, seen);
        let definition = definition.map_err(LoadError::Config)?;
        // What the jail sets is not read here. That which is passed to the filter, or in its
        // [Init], is sent all the same, behind the rest.
        let wanted = |name: &str| jail.get(name).is_none() && definition.property(name).is_none();
        self.raw = combined(&definition, STANDARD, wanted)?;
        Ok(())
    }

    /// The commands for what the jail does not set itself.
    pub(super) fn commands(
        self,
        folder: &mut Folder<'_>,
        jail: &str,
        options: &Options,
    ) -> Result<Vec<Command>, LoadError> {
        let definition = Definition::of_filter(&self.layers, &self.given, &self.early, options);
        let definition = definition.map_err(LoadError::Config)?;
        let words: Vec<(String, Word)> = resolved(&definition, self.raw, &[])?
            .into_iter()
            .map(|(name, value)| {
                let kind = kind(STANDARD, &name).unwrap_or(Kind::Text);
                let word = folder.convert(kind, &name, value.text());
                (name, word)
            })
            .collect();
        let mut commands = Vec::new();
        let words = words.iter().map(|(name, word)| (name.as_str(), word));
        fill(&mut commands, jail, words)?;
        Ok(commands)
    }
}

/// Adds the commands for options of a filter, whoever sets them. Those that change how
/// regexes are read come before all others.
pub(super) fn fill<'n, 'w>(
    commands: &mut Vec<Command>,
    jail: &str,
    options: impl Iterator<Item = (&'n str, &'w Word)>,
) -> Result<(), LoadError> {
    let mut front: Vec<Command> = Vec::new();
    for (name, word) in options.filter(|(_, word)| **word != Word::None) {
        match name {
            "usedns" => front.insert(0, set(jail, name, word.clone())),
            "prefregex" | "maxlines" => front.push(set(jail, name, word.clone())),
            "failregex" | "ignoreregex" => commands.extend(patterns(jail, name, word)),
            "datepattern" => commands.push(set(jail, name, word.clone())),
            "journalmatch" => {
                for line in lines(word) {
                    let words = words::split(line).map_err(|source| LoadError::Words {
                        jail: jail.to_owned(),
                        text: line.to_owned(),
                        source,
                    })?;
                    let mut command: Command =
                        ["set", jail, "addjournalmatch"].map(Word::from).into();
                    command.extend(words.into_iter().map(Word::from));
                    commands.push(command);
                }
            }
            _ => {}
        }
    }
    front.append(commands);
    *commands = front;
    Ok(())
}

/// The lines of a list that are not empty.
fn lines(word: &Word) -> impl Iterator<Item = &str> {
    let text = word.as_str().unwrap_or_default();
    text.split('\n').filter(|line| !line.is_empty())
}

fn patterns(jail: &str, name: &str, word: &Word) -> Option<Command> {
    let option = format!("add{name}");
    let mut patterns: Vec<Word> = lines(word).map(Word::from).collect();
    match patterns.len() {
        0 => None,
        1 => Some(set(jail, &option, patterns.remove(0))),
        _ => {
            let mut command = set(jail, &option, Word::List(patterns));
            command[0] = "multi-set".into();
            Some(command)
        }
    }
}
