//! A jail for each filter and its options.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ferroban_engine::FilterSettings;
use tempfile::TempDir;

use super::mutate::{self, Random};
use super::original::Question;
use super::records::{FILTERS, Record};

/// What is the same for all jails. They read no log, and nothing is too old for them.
const JAILS: &str = "[DEFAULT]\nenabled = true\nbackend = polling\nlogpath = /nonexistent\n\
     findtime = 100y\nusedns = raw\naction =\n";
/// What the name of a jail ends with that takes no names for hosts, and is the same as
/// another otherwise.
const NAMELESS: &str = "-nameless";

/// A configuration with a jail for each call of a filter, and what we make of it.
pub(super) struct Jails {
    folder: TempDir,
    /// Which call of a filter a jail is for, by its name.
    calls: BTreeMap<String, String>,
    settings: BTreeMap<String, FilterSettings>,
    problems: String,
}

impl Jails {
    pub(super) fn new(records: &[Record]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut calls: Vec<String> = records.iter().map(Record::call).collect();
        calls.sort_unstable();
        calls.dedup();
        let calls: BTreeMap<String, String> = calls
            .into_iter()
            .enumerate()
            .map(|(number, call)| (format!("j{number}"), call))
            .collect();
        let mut text = JAILS.to_owned();
        for (name, call) in &calls {
            writeln!(text, "[{name}]\nfilter = {call}").unwrap();
            writeln!(text, "[{name}{NAMELESS}]\nfilter = {call}\nusedns = no").unwrap();
        }
        fs::write(folder.path().join("jail.conf"), text).unwrap();
        fs::write(folder.path().join("fail2ban.conf"), "[Definition]\n").unwrap();
        std::os::unix::fs::symlink(FILTERS, folder.path().join("filter.d")).unwrap();
        let (settings, problems) = super::super::folder(folder.path(), &[]).unwrap();
        let plans = settings.setup.plans();
        let settings = plans.map(|plan| (plan.jail.name.to_string(), plan.filter));
        Self {
            settings: settings.collect(),
            problems: problems
                .iter()
                .map(|problem| format!("{problem}\n"))
                .collect(),
            folder,
            calls,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The filter of a jail and its options.
    pub(super) fn call(&self, jail: &str) -> &str {
        &self.calls[jail.trim_end_matches(NAMELESS)]
    }

    /// What our filter of a jail is told to do.
    pub(super) fn settings(&self, jail: &str) -> Result<&FilterSettings, String> {
        self.settings.get(jail).ok_or_else(|| {
            let about = format!("jail '{jail}': ");
            let own = self
                .problems
                .lines()
                .filter(|line| line.starts_with(&about));
            own.collect()
        })
    }

    /// A record's lines for a filter of its own, which has enough time for them.
    pub(super) fn question(&self, record: &Record) -> Question {
        Question {
            learns: true,
            limit: 5.0,
            lines: record.lines(),
            ..self.quick(record, false)
        }
    }

    /// A question without lines for the filter of a record.
    pub(super) fn quick(&self, record: &Record, live: bool) -> Question {
        let call = record.call();
        let mut jails = self.calls.iter();
        let (jail, _) = jails.find(|(_, known)| **known == call).unwrap();
        Question {
            jail: jail.clone(),
            journal: record.is_journal(),
            live,
            learns: true,
            limit: 0.25,
            lines: Vec::new(),
        }
    }

    /// For each filter a few mixtures of the lines of its records, some of them changed.
    pub(super) fn sessions(&self, records: &[Record], random: &mut Random) -> Vec<Question> {
        let mut questions = Vec::new();
        for call in self.calls.values() {
            let own: Vec<&Record> = records.iter().filter(|r| r.call() == *call).collect();
            for _ in 0..own.len().min(12) {
                let chosen = (0..6).map(|_| own[random.below(own.len())].lines());
                let chosen = chosen.collect();
                let mut question = self.quick(own[0], random.below(2) == 0);
                question.jail.push_str(["", "", NAMELESS][random.below(3)]);
                question.lines = mutate::mixture(chosen, random);
                questions.push(question);
            }
        }
        questions
    }
}
