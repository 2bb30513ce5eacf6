//! The files, read once, and the problems found so far.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ferroban_config::{Files, Layers, Place};

use super::part::PartFiles;
use super::problem::{Level, Part, Problem, What};
use super::source::Sources;
use crate::COMPATIBLE;
use crate::load::filter_today;

/// How many problems are told.
pub(super) const MAX_PROBLEMS: usize = 1000;

pub(super) struct Reader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) base: PathBuf,
    pub(super) sources: Sources<'a>,
    pub(super) problems: Vec<Problem>,
    /// What was told: many jails share a filter, an action, or `[DEFAULT]`.
    told: HashSet<String>,
    parts: HashMap<PathBuf, Rc<PartFiles>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(files: &'a dyn Files, base: &Path) -> Self {
        Self {
            files,
            base: base.to_owned(),
            sources: Sources::new(files),
            problems: Vec::new(),
            told: HashSet::new(),
            parts: HashMap::new(),
        }
    }

    /// Remembers a problem, if it is a new one, and says how bad it is.
    pub(super) fn tell(&mut self, at: Option<Place>, what: What) -> Level {
        let problem = Problem { at, what };
        let level = problem.level();
        if !self.is_full() && self.told.insert(problem.to_string()) {
            self.problems.push(problem);
        }
        level
    }

    /// Whether further problems would not be told.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    pub(super) fn tell_config(&mut self, error: ferroban_config::Error) -> Level {
        self.tell(error.place().cloned(), What::Config(error))
    }

    /// `jail` or `fail2ban` with what its files have in common.
    pub(super) fn layers(&mut self, name: &str) -> Layers {
        let (mut layers, errors) = Layers::read_partly(self.files, &self.base, name);
        for error in errors {
            self.tell_config(error);
        }
        layers.define("fail2ban_version", COMPATIBLE);
        layers.define("fail2ban_confpath", &self.base.to_string_lossy());
        layers
    }

    /// Whether a filter or an action has files, good or not.
    pub(super) fn exists(&self, part: Part, name: &str) -> bool {
        ["conf", "local"].into_iter().any(|extension| {
            let file = format!("{}.d/{name}.{extension}", part.word());
            let read = self.files.read(&self.base.join(file), 1);
            !read.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
    }

    /// The files of a filter or an action.
    pub(super) fn part(&mut self, part: Part, name: &str) -> Rc<PartFiles> {
        let today = match part {
            Part::Filter => filter_today(self.files, &self.base, name),
            Part::Action => None,
        };
        let path = Path::new(&format!("{}.d", part.word())).join(today.unwrap_or(name));
        if let Some(known) = self.parts.get(&path) {
            return Rc::clone(known);
        }
        let (files, errors) = PartFiles::read(self.files, &self.base, &path);
        for error in errors {
            self.tell_config(error);
        }
        let files = Rc::new(files);
        self.parts.insert(path, Rc::clone(&files));
        files
    }

    /// All problems, errors first, then by file and line.
    pub(super) fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<&Problem> = self.problems.iter().collect();
        all.sort_by_key(|problem| (problem.level(), problem.at.clone()));
        all
    }

    /// A problem with the line it is in.
    pub(super) fn shown(&self, problem: &Problem) -> String {
        let pointed = problem
            .at
            .as_ref()
            .and_then(|at| self.sources.pointed(at, &problem.what.mark()));
        match pointed {
            Some(lines) => format!("{problem}\n{lines}"),
            None => problem.to_string(),
        }
    }
}
