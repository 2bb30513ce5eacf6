//! A configuration folder being read.
//!
//! Remembers the filters and actions it has read, since many jails use the same ones, and
//! everything there is to tell: in fail2ban's words for its faces, in ours for our own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ferroban_config::{Error, Files, Layers, quoted};

use super::LoadError;
use super::message::{Message, Messages};
use super::old;
use crate::log::Level;

pub(super) const CONFIG_READER: &str = "fail2ban.configreader";
/// What we tell and fail2ban does not.
const OWN_READER: &str = "ferroban.config";
pub(super) const JAIL_READER: &str = "fail2ban.jailreader";

/// A configuration folder being read.
pub(crate) struct Folder<'a> {
    files: &'a dyn Files,
    base: PathBuf,
    cache: HashMap<String, Rc<Layers>>,
    messages: Messages,
    advice: Vec<String>,
    problems: Vec<LoadError>,
}

impl<'a> Folder<'a> {
    /// The folder `base` of `files`. Nothing is read yet.
    pub(crate) fn new(files: &'a dyn Files, base: &Path) -> Self {
        Self {
            files,
            base: base.to_owned(),
            cache: HashMap::new(),
            messages: Messages::default(),
            advice: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// What there is to tell since the last call.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.messages.take()
    }

    /// What fail2ban does not tell, though somebody should look at it.
    pub(super) fn advice(&mut self) -> Vec<String> {
        std::mem::take(&mut self.advice)
    }

    /// What is wrong and did not end the reading.
    pub(super) fn problems(self) -> Vec<LoadError> {
        self.problems
    }

    pub(super) fn tell(&mut self, level: Level, logger: &'static str, text: String) {
        self.messages.tell(level, logger, text);
    }

    /// Tells what fail2ban does not, among the messages too.
    pub(super) fn advise(&mut self, text: String) {
        if self.advice.len() < ferroban_config::MAX_ERRORS {
            self.advice.push(text.clone());
            self.tell(Level::Warning, OWN_READER, text);
        }
    }

    /// Keeps a problem that fail2ban has told in words of its own.
    pub(super) fn problem(&mut self, problem: LoadError) {
        if self.problems.len() < ferroban_config::MAX_ERRORS {
            self.problems.push(problem);
        }
    }

    /// The files of a filter. One that was renamed is found by its old name too.
    pub(super) fn filter(&mut self, name: &str) -> Result<Option<Rc<Layers>>, LoadError> {
        let today = old::filter_today(self.files, &self.base, name);
        let file = format!("filter.d/{}", today.unwrap_or(name));
        if let Some(today) = today
            && !self.cache.contains_key(&file)
        {
            let text = format!("filter '{name}' is called '{today}' today");
            self.tell(Level::Info, OWN_READER, text);
        }
        self.layers(&file)
    }

    /// The configuration `name`, such as `jail` or `filter.d/sshd`. `None`, and told, if
    /// it is not there, or not to be read; a mistake in its text ends everything.
    pub(super) fn layers(&mut self, name: &str) -> Result<Option<Rc<Layers>>, LoadError> {
        if let Some(layers) = self.cache.get(name) {
            return Ok(Some(Rc::clone(layers)));
        }
        let base = self.base.display();
        let text = format!("Loading configs for {name} under {base} ");
        self.tell(Level::Info, CONFIG_READER, text);
        match Layers::read(self.files, &self.base, name) {
            Ok(layers) => {
                let layers = Rc::new(layers);
                self.cache.insert(name.to_owned(), Rc::clone(&layers));
                Ok(Some(layers))
            }
            Err(errors) => {
                let absent = errors
                    .iter()
                    .next()
                    .and_then(|error| self.absent(name, error));
                let Some(lines) = absent else {
                    return Err(LoadError::Config(errors));
                };
                for (logger, text) in lines {
                    self.tell(Level::Error, logger, text);
                }
                // Who wanted a file that is not there knows better what to say.
                let missing = |error: &Error| matches!(error, Error::NoFiles { .. });
                if !errors.iter().all(missing) {
                    self.problem(LoadError::Config(errors));
                }
                Ok(None)
            }
        }
    }

    /// What fail2ban says where a file cannot be had; `None` where it can, and is wrong.
    fn absent(&self, name: &str, error: &Error) -> Option<Vec<(&'static str, String)>> {
        let missed = |path: &Path| {
            let text = format!("Could not read config files: {}", path.display());
            (CONFIG_READER, text)
        };
        let mut lines = match error {
            Error::NoFiles { .. } => return Some(vec![(CONFIG_READER, error.original())]),
            Error::Undecodable { at, .. } => vec![
                ("fail2ban.configparserinc", error.original()),
                missed(&at.file),
            ],
            Error::Read { path, .. } => vec![missed(path)],
            _ => return None,
        };
        // Of a filter or an action nothing else is left to read.
        if name.contains('/') {
            let (name, base) = (quoted(name), self.base.display());
            let text = format!("Found no accessible config files for {name} under {base}");
            lines.push((CONFIG_READER, text));
        }
        Some(lines)
    }
}
