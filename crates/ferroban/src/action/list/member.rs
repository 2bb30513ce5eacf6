//! One action of a jail at work, and how it fares.

use std::collections::HashSet;
use std::fmt;

use ferroban_engine::FailId;
use ferroban_engine::event::Step;

use super::run::Run;
use super::{Native, Options, Part};

/// An action at work.
pub(super) enum Kind {
    /// Our own, told of many bans at once, which may be repeated.
    Native { native: Box<Native>, started: bool },
    /// Nothing: a dry run.
    Dry,
    /// Something that is run.
    Run { run: Box<dyn Run>, started: bool },
}

impl Kind {
    /// What has done nothing yet. `shell` makes something of commands.
    pub(super) fn new(part: Part, shell: impl FnOnce(Options) -> Box<dyn Run>) -> Self {
        let run: Box<dyn Run> = match part {
            Part::Native(native) => {
                return Self::Native {
                    native: Box::new(native),
                    started: false,
                };
            }
            Part::Dry => return Self::Dry,
            Part::Commands(properties) => shell(properties),
            Part::Python(python) => python,
            Part::Smtp(smtp) => smtp,
        };
        Self::Run {
            run,
            started: false,
        }
    }

    /// Goes on as what is wanted now, started if it is started; gives it back if it cannot.
    fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        match (self, wanted) {
            (Self::Native { native, .. }, Part::Native(wanted)) if native.can_go_on_as(&wanted) => {
                **native = wanted;
            }
            (Self::Dry, Part::Dry) => {}
            (Self::Run { run, .. }, wanted) => return run.go_on_as(wanted),
            (_, wanted) => return Some(wanted),
        }
        None
    }
}

pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether the last ban or start failed, of an action that is run.
    fails: bool,
    /// Who is to be banned, and was not when that was last tried.
    unmade: HashSet<FailId>,
}

/// How an action fares that is run: it failed, or works again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fate {
    pub(crate) action: String,
    /// What went wrong; nothing if it works again.
    pub(crate) failure: Option<Failure>,
    /// Bans that had failed and are made now.
    pub(crate) made: Vec<FailId>,
}

/// What went wrong with an action that is run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) during: Step,
    pub(crate) id: Option<FailId>,
    pub(crate) error: String,
}

impl Member {
    pub(super) fn new(name: String, kind: Kind) -> Self {
        Self {
            name,
            kind,
            fails: false,
            unmade: HashSet::new(),
        }
    }

    /// Goes on as what is wanted now; gives it back if it cannot. Changed, it has not
    /// failed yet.
    pub(super) fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        self.fails = false;
        self.kind.go_on_as(wanted)
    }

    /// It failed. What is to be told of that.
    pub(super) fn failed(
        &mut self,
        during: Step,
        id: Option<&FailId>,
        error: &dyn fmt::Display,
    ) -> Fate {
        // Who cannot be unbanned is kept out all the same.
        self.fails |= during != Step::Unban;
        if let (Step::Ban, Some(id)) = (during, id) {
            self.unmade.insert(id.clone());
        }
        Fate {
            action: self.name.clone(),
            failure: Some(Failure {
                during,
                id: id.cloned(),
                error: error.to_string(),
            }),
            made: Vec::new(),
        }
    }

    /// It did what it should with these. What is to be told of that, if it is news.
    pub(super) fn worked<'a>(
        &mut self,
        during: Step,
        ids: impl Iterator<Item = &'a FailId>,
    ) -> Option<Fate> {
        let mut made = Vec::new();
        if !self.unmade.is_empty() {
            made.extend(ids.filter_map(|id| self.unmade.take(id)));
        }
        if during != Step::Ban {
            return None;
        }
        let is_news = std::mem::take(&mut self.fails) || !made.is_empty();
        is_news.then(|| Fate {
            action: self.name.clone(),
            failure: None,
            made,
        })
    }

    /// It is over with a ban, whatever came of that.
    pub(super) fn forget(&mut self, id: &FailId) {
        self.unmade.remove(id);
    }

    /// The same with all of them.
    pub(super) fn forget_all(&mut self) {
        self.unmade.clear();
    }

    /// What is to be told when that it failed no longer matters; nothing if it did not.
    pub(super) fn excused(&self) -> Option<Fate> {
        self.fails.then(|| Fate {
            action: self.name.clone(),
            failure: None,
            made: Vec::new(),
        })
    }
}
