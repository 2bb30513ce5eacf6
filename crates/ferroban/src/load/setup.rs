//! What the daemon has been told: every option as clients set it and ask for it.
//!
//! A [`Setup`] is changed by commands, one after the other, and is complete at any
//! time. It does nothing: the daemon compares it with what is at work and carries out
//! the difference. Whoever changes it works on a copy, so that a stream of commands
//! that fails halfway changes nothing.

mod action;
mod option;
mod value;

use std::sync::Arc;

use ferroban_engine::{BanTime, FailId, FilterSettings, JailName, JailSettings};

use super::word::Word;
use super::{ActionPlan, Backend, JailPlan, Refusal};
use crate::log::Level;
use action::ActionSetup;
pub(crate) use option::{is_asked_for, is_set_by, row};
pub(crate) use value::whole;
use value::{integer, seconds, shown, text};

/// A line that fail2ban logs when it is told something.
pub(crate) type Note = (Level, &'static str, String);

/// Everything that was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// What concerns no single jail.
    pub(crate) server: ServerSetup,
    /// In the order in which they were added.
    jails: Vec<Arc<JailSetup>>,
    /// A log that is not there is waited for, rather than refused.
    waits: bool,
    /// What a reload has taken away, to be told again.
    before: Vec<Arc<JailSetup>>,
    /// What a reload has done so far.
    reloaded: Reloaded,
}

/// What becomes of the jails that a reload concerns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloaded {
    /// They go on, with what they hold.
    pub(crate) kept: Vec<JailName>,
    /// They end and begin anew.
    pub(crate) restarted: Vec<JailName>,
    /// All jails of before, in their order.
    order: Vec<JailName>,
}

/// What concerns no single jail; how it logs is the log's own business.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerSetup {
    /// `auto`, or whether IPv6 is used.
    pub(crate) allowipv6: String,
    /// The database; none if there is not to be one.
    pub(crate) dbfile: Option<String>,
    /// How many matched lines are stored with a ban.
    pub(crate) dbmaxmatches: Word,
    /// How long bans are remembered, in seconds.
    pub(crate) dbpurgeage: Word,
    /// The stack of a thread, in KiB.
    pub(crate) stacksize: Word,
    /// The socket for those who may look and not order; none unless it is asked for.
    pub(crate) monitor: Option<MonitorSetup>,
}

/// A socket on which only harmless questions are answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct MonitorSetup {
    pub(crate) socket: String,
    /// Who may ask besides root, by name or number.
    pub(crate) group: Option<String>,
    pub(crate) mode: u32,
}

impl MonitorSetup {
    /// Reads `{'socket': …, 'group': …, 'mode': '0660'}`; nothing switches it off.
    fn read(value: &Word) -> Result<Option<Self>, Refusal> {
        let Word::Dict(pairs) = value else {
            return match value {
                Word::None => Ok(None),
                _ => Err(Refusal::value(
                    "the monitor is told by socket, group and mode",
                )),
            };
        };
        let option = |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name == wanted);
            found
                .map(|(_, word)| shown(word))
                .filter(|text| !text.is_empty())
        };
        let Some(socket) = option("socket") else {
            return Ok(None);
        };
        let mode = option("mode").unwrap_or_else(|| "0660".to_owned());
        let mode = u32::from_str_radix(&mode, 8).map_err(|_| {
            Refusal::value(format!(
                "monitormode = {mode}: not an octal number such as 0660"
            ))
        })?;
        Ok(Some(Self {
            socket,
            group: option("group"),
            mode,
        }))
    }

    fn word(&self) -> Word {
        let text = |name: &str, text: &str| (name.to_owned(), Word::from(text));
        Word::Dict(vec![
            text("socket", &self.socket),
            text("group", self.group.as_deref().unwrap_or_default()),
            text("mode", &format!("{:04o}", self.mode)),
        ])
    }
}

impl ServerSetup {
    /// The monitor's socket as it was told.
    pub(crate) fn monitor(&self) -> Word {
        self.monitor.as_ref().map_or(Word::None, MonitorSetup::word)
    }
}

impl Default for ServerSetup {
    fn default() -> Self {
        Self {
            allowipv6: "auto".to_owned(),
            dbfile: None,
            dbmaxmatches: Word::Int(10),
            dbpurgeage: Word::Int(24 * 60 * 60),
            stacksize: Word::Int(0),
            monitor: None,
        }
    }
}

/// A log file of a jail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogPath {
    pub(crate) path: String,
    /// Only what is written from now on counts, unless it is known how far it was read.
    pub(crate) tail: bool,
}

/// One jail as clients see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JailSetup {
    pub(crate) name: JailName,
    /// As given: `polling`, `systemd[journalflags=1]`.
    pub(crate) backend: String,
    /// Whether it was started.
    pub(crate) started: bool,
    /// Whether it pauses.
    pub(crate) idle: bool,
    ignoreself: bool,
    ignoreip: Vec<FailId>,
    ignorecommand: Word,
    ignorecache: Word,
    pub(crate) logpaths: Vec<LogPath>,
    logencoding: String,
    pub(crate) journalmatch: Vec<Vec<String>>,
    prefregex: String,
    failregex: Vec<String>,
    ignoreregex: Vec<String>,
    usedns: String,
    findtime: Word,
    bantime: i64,
    /// `bantime.increment` and its kin, by the name behind the dot.
    increment: Vec<(String, Word)>,
    datepattern: Vec<String>,
    logtimezone: Word,
    maxmatches: i64,
    maxretry: i64,
    maxlines: i64,
    pub(crate) actions: Vec<ActionSetup>,
    /// A log that is not there is waited for, rather than refused.
    waits: bool,
}

impl Setup {
    /// Nothing, in which a log that is not there will be waited for.
    pub(crate) fn waiting() -> Self {
        Self {
            waits: true,
            ..Self::default()
        }
    }

    /// The jails, in the order in which they were added.
    pub(crate) fn jails(&self) -> impl Iterator<Item = &JailSetup> {
        self.jails.iter().map(AsRef::as_ref)
    }

    /// A jail.
    pub(crate) fn jail(&self, name: &str) -> Result<&JailSetup, Refusal> {
        let found = self.jails().find(|jail| jail.name == *name);
        found.ok_or_else(|| Refusal::UnknownJail(name.to_owned()))
    }

    /// A jail, to be changed.
    pub(crate) fn jail_mut(&mut self, name: &str) -> Result<&mut JailSetup, Refusal> {
        let found = self.jails.iter_mut().find(|jail| jail.name == *name);
        found
            .map(Arc::make_mut)
            .ok_or_else(|| Refusal::UnknownJail(name.to_owned()))
    }

    /// Adds a jail that is not started.
    pub(crate) fn add(
        &mut self,
        name: &str,
        backend: &str,
        notes: &mut Vec<Note>,
    ) -> Result<(), Refusal> {
        if name == "--all" {
            return Err(Refusal::plain("Reserved name '--all'"));
        }
        if self.jail(name).is_ok() {
            return Err(Refusal::DuplicateJail(name.to_owned()));
        }
        if let Some(old) = self.before.iter().find(|old| old.name == *name) {
            let (old, was) = (Arc::clone(old), old.backend.clone());
            if was == backend {
                notes.push((Level::Info, "server", format!("Reload jail '{name}'")));
                let mut jail = Arc::unwrap_or_clone(old);
                jail.forget();
                self.reloaded.kept.push(jail.name.clone());
                self.jails.push(Arc::new(jail));
                return Ok(());
            }
            let text = format!("Restart jail '{name}' (reason: '{was}' != '{backend}')");
            notes.push((Level::Info, "server", text));
            self.reloaded.restarted.push(old.name.clone());
        }
        let mut jail = JailSetup::new(name, backend, notes)?;
        jail.waits = self.waits;
        self.jails.push(Arc::new(jail));
        Ok(())
    }

    /// Sets an option of the server, other than how it logs. Returns what it then is.
    pub(crate) fn set_server(&mut self, option: &str, value: &Word) -> Result<Word, Refusal> {
        let server = &mut self.server;
        match option {
            "dbfile" => {
                let path = match value {
                    Word::Text(path) if !path.eq_ignore_ascii_case("none") => Some(path.clone()),
                    _ => None,
                };
                let has_jails = !self.jails.is_empty() || !self.before.is_empty();
                if path != server.dbfile && has_jails {
                    let text = "Cannot change database when there are jails present";
                    return Err(Refusal::Error("RuntimeError", text.to_owned()));
                }
                server.dbfile = path;
                Ok(server.dbfile.clone().map_or(Word::None, Word::from))
            }
            "dbmaxmatches" => {
                server.dbmaxmatches = Word::Int(integer(value)?);
                Ok(server.dbmaxmatches.clone())
            }
            "dbpurgeage" => {
                server.dbpurgeage = seconds(value)?;
                Ok(server.dbpurgeage.clone())
            }
            "thread" => {
                let Word::Dict(pairs) = value else {
                    let text = format!("'{}' object has no attribute 'items'", value.kind());
                    return Err(Refusal::Error("AttributeError", text));
                };
                for (name, size) in pairs {
                    if name != "stacksize" {
                        let text = format!("unknown option {}", ferroban_config::quoted(name));
                        return Err(Refusal::Error("KeyError", text));
                    }
                    let size = integer(size)?;
                    if size < 0 {
                        return Err(Refusal::value("size must be 0 or a positive value"));
                    }
                    if (1..32).contains(&size) {
                        let bytes = size * 1024;
                        return Err(Refusal::value(format!("size not valid: {bytes} bytes")));
                    }
                    server.stacksize = Word::Int(size);
                }
                Ok(Word::None)
            }
            "monitor" => {
                server.monitor = MonitorSetup::read(value)?;
                Ok(server.monitor())
            }
            "allowipv6" => {
                server.allowipv6 = shown(value);
                Ok(value.clone())
            }
            _ => Err(Refusal::plain("Invalid command")),
        }
    }

    /// Begins to tell jails anew of which `concerned` says so. With `restart` they are
    /// to end and begin anew.
    pub(crate) fn begin_reload(&mut self, concerned: impl Fn(&JailSetup) -> bool, restart: bool) {
        self.reloaded = Reloaded::default();
        self.reloaded.order = self.jails().map(|jail| jail.name.clone()).collect();
        let (before, jails) = std::mem::take(&mut self.jails)
            .into_iter()
            .partition(|jail| concerned(jail));
        self.jails = jails;
        self.before = before;
        if restart {
            let started = self.before.drain(..).filter(|jail| jail.started);
            self.reloaded.restarted = started.map(|jail| jail.name.clone()).collect();
        }
    }

    /// Ends the telling. What was concerned and is not started again is gone.
    pub(crate) fn end_reload(&mut self) -> Reloaded {
        let before = std::mem::take(&mut self.before);
        let concerned = |name: &JailName| before.iter().any(|jail| jail.name == *name);
        self.jails
            .retain(|jail| jail.started || !concerned(&jail.name));
        let mut reloaded = std::mem::take(&mut self.reloaded);
        for names in [&mut reloaded.kept, &mut reloaded.restarted] {
            names.retain(|name| self.jail(name.as_str()).is_ok());
        }
        // Who stays keeps its place; who begins comes behind.
        let Reloaded {
            order, restarted, ..
        } = &reloaded;
        self.jails.sort_by_key(|jail| {
            let stays = !restarted.contains(&jail.name);
            let place = order.iter().position(|name| *name == jail.name);
            place.filter(|_| stays).unwrap_or(order.len())
        });
        reloaded
    }

    /// Takes a jail away.
    pub(crate) fn remove(&mut self, name: &str) {
        self.jails.retain(|jail| jail.name != *name);
    }

    /// Keeps only the jails of which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(&JailSetup) -> bool) {
        self.jails.retain(|jail| keep(jail));
    }

    /// What the started jails are to do.
    pub(crate) fn plans(&self) -> impl Iterator<Item = JailPlan> {
        self.jails()
            .filter(|jail| jail.started)
            .map(JailSetup::plan)
    }

    /// Carries out a command that concerns one jail: `add`, `start`, `set` and
    /// `multi-set`. Returns its answer; what fail2ban logs at it comes in `notes`.
    pub(crate) fn command(
        &mut self,
        words: &[Word],
        notes: &mut Vec<Note>,
    ) -> Result<Word, Refusal> {
        let word = |place: usize| words.get(place).map(shown).ok_or(Refusal::TooFew);
        let name = word(1)?;
        match word(0)?.as_str() {
            "add" => {
                let backend = words.get(2).map_or_else(|| "auto".to_owned(), shown);
                self.add(&name, &backend, notes)?;
                Ok(name.into())
            }
            "start" => {
                let jail = self.jail_mut(&name)?;
                (jail.started, jail.idle) = (true, false);
                if self.reloaded.kept.iter().any(|kept| *kept == *name) {
                    notes.push((Level::Info, "server", format!("Jail '{name}' reloaded")));
                }
                Ok(Word::None)
            }
            "set" => {
                let (option, values) = (word(2)?, words.get(3..).unwrap_or_default());
                let jail = self.jail_mut(&name)?;
                jail.tell(&option, values, notes)?;
                jail.answer(&option, values)
            }
            "multi-set" => {
                let jail = self.jail_mut(&name)?;
                let (option, values) = (word(2)?, words.get(3..).unwrap_or_default());
                let (last, before) = values.split_last().ok_or(Refusal::TooFew)?;
                for item in items(last) {
                    jail.tell(&option, &[before, item].concat(), notes)?;
                }
                Ok(true.into())
            }
            _ => Err(Refusal::plain("Invalid command")),
        }
    }

    /// Whether both say the same about a jail.
    pub(crate) fn same(&self, other: &Self, name: &str) -> bool {
        let find = |setup: &Self| setup.jails.iter().find(|jail| jail.name == *name).cloned();
        match (find(self), find(other)) {
            (Some(one), Some(two)) => Arc::ptr_eq(&one, &two) || one == two,
            (None, None) => true,
            _ => false,
        }
    }
}

impl JailSetup {
    fn new(name: &str, backend: &str, notes: &mut Vec<Note>) -> Result<Self, Refusal> {
        let parsed: JailName = name
            .parse()
            .map_err(|_| Refusal::value(format!("Invalid jail name {name:?}")))?;
        kind(backend)?;
        if name.chars().count() >= 26 {
            let text = format!(
                "Jail name '{name}' might be too long and some commands might not function correctly. Please shorten"
            );
            notes.push((Level::Warning, "jail", text));
        }
        notes.push((Level::Info, "jail", format!("Creating new jail '{name}'")));
        let initiated = initiated(backend);
        let uses = if initiated == "polling" {
            "poller"
        } else {
            initiated
        };
        let options = backend_options(backend);
        let text = format!("Jail '{name}' uses {uses} {options}");
        notes.push((Level::Info, "jail", text));
        let text = format!("Initiated '{initiated}' backend");
        notes.push((Level::Info, "jail", text));
        Ok(Self {
            name: parsed,
            backend: backend.to_owned(),
            started: false,
            idle: false,
            ignoreself: true,
            ignoreip: Vec::new(),
            ignorecommand: false.into(),
            ignorecache: Word::None,
            logpaths: Vec::new(),
            logencoding: "UTF-8".to_owned(),
            journalmatch: Vec::new(),
            prefregex: String::new(),
            failregex: Vec::new(),
            ignoreregex: Vec::new(),
            usedns: "warn".to_owned(),
            findtime: Word::Int(600),
            bantime: 600,
            increment: Vec::new(),
            datepattern: Vec::new(),
            logtimezone: Word::None,
            maxmatches: 5,
            maxretry: 3,
            maxlines: 1,
            actions: Vec::new(),
            waits: false,
        })
    }

    /// What an option is that was just set by these words.
    fn answer(&self, option: &str, values: &[Word]) -> Result<Word, Refusal> {
        match option {
            "addaction" => Ok(text(values)?.into()),
            "delaction" => Ok(Word::None),
            "action" => {
                let property = values.get(1).map(shown).ok_or(Refusal::TooFew)?;
                self.action(&text(values)?)?.get(&property)
            }
            option => self.set_answer(option),
        }
    }

    /// Sets an option, or something about its actions.
    fn tell(
        &mut self,
        option: &str,
        values: &[Word],
        notes: &mut Vec<Note>,
    ) -> Result<(), Refusal> {
        match option {
            "addaction" => {
                let name = text(values)?;
                if self.actions.iter().any(|action| action.name == name) {
                    return Err(Refusal::value(format!("Action {name} already exists")));
                }
                self.actions.push(match values.get(1) {
                    Some(file) => ActionSetup::python(&name, file, values.get(2))?,
                    None => ActionSetup::new(&name),
                });
                Ok(())
            }
            "delaction" => {
                let place = self.place_of(&text(values)?)?;
                self.actions.remove(place);
                Ok(())
            }
            "action" => {
                let action = self.action_mut(&text(values)?)?;
                let property = values.get(1).map(shown).ok_or(Refusal::TooFew)?;
                action.set(&property, values.get(2..).unwrap_or_default())
            }
            option => self.set(option, values, notes),
        }
    }

    fn place_of(&self, action: &str) -> Result<usize, Refusal> {
        let place = self.actions.iter().position(|known| known.name == action);
        place.ok_or_else(|| Refusal::Error("KeyError", format!("Invalid Action name: {action}")))
    }

    /// One of its actions.
    pub(crate) fn action(&self, name: &str) -> Result<&ActionSetup, Refusal> {
        let place = self.place_of(name)?;
        self.actions.get(place).ok_or(Refusal::TooFew)
    }

    /// The same, to be changed.
    pub(crate) fn action_mut(&mut self, name: &str) -> Result<&mut ActionSetup, Refusal> {
        let place = self.place_of(name)?;
        self.actions.get_mut(place).ok_or(Refusal::TooFew)
    }

    /// Where its lines come from. fail2ban's client has chosen between files and the
    /// journal before it says `auto`; only who waits for logs is left to choose.
    pub(crate) fn kind(&self) -> Backend {
        match kind(&self.backend) {
            Ok(Backend::Auto) | Err(_) if !self.waits => Backend::Files,
            Ok(kind) => kind,
            Err(_) => Backend::Auto,
        }
    }

    /// Whether it has no pattern, and so finds nobody.
    pub(crate) fn is_blind(&self) -> bool {
        self.failregex.is_empty()
    }

    /// What a reload forgets, to be told again.
    fn forget(&mut self) {
        self.started = false;
        self.failregex.clear();
        self.ignoreregex.clear();
        self.ignoreip.clear();
        self.journalmatch.clear();
        self.logpaths.clear();
        self.actions.clear();
    }

    /// What it is to do.
    pub(crate) fn plan(&self) -> JailPlan {
        let number = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let findtime = number(whole(&self.findtime));
        let jail = JailSettings {
            maxretry: number(self.maxretry).max(1),
            findtime,
            bantime: BanTime::from_secs(self.bantime),
            maxmatches: usize::try_from(self.maxmatches).unwrap_or(0),
            ignoreip: self.ignoreip.clone(),
            ignoreself: self.ignoreself,
            ignorecommand: Some(shown(&self.ignorecommand))
                .filter(|command| !["", "False"].contains(&command.as_str())),
            ignorecache: option::cache(&self.ignorecache),
            idle: self.idle,
            backend: initiated(&self.backend).to_owned(),
            ..JailSettings::new(self.name.clone())
        };
        let filter = FilterSettings {
            prefregex: Some(self.prefregex.clone()).filter(|regex| !regex.is_empty()),
            failregex: self.failregex.clone(),
            ignoreregex: self.ignoreregex.clone(),
            maxlines: usize::try_from(self.maxlines).unwrap_or(1),
            usedns: self.usedns.parse().unwrap_or_default(),
            datepattern: self.datepattern.clone(),
            logtimezone: match &self.logtimezone {
                Word::None => None,
                zone => Some(shown(zone)),
            },
            findtime,
        };
        JailPlan {
            jail,
            filter,
            backend: self.kind(),
            logpaths: self.logpaths.iter().map(|log| log.path.clone()).collect(),
            encoding: self.logencoding.clone(),
            journal: self.journalmatch.clone(),
            actions: self
                .actions
                .iter()
                .map(ActionSetup::plan)
                .collect::<Vec<ActionPlan>>(),
            without_effect: self.without_effect(),
        }
    }

    /// Options that are set, ask for something, and have no effect yet.
    fn without_effect(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |option: &str, value: String| all.push(format!("{option} = {value}"));
        if self.backend.contains('[') {
            note("backend", self.backend.clone());
        }
        let increments =
            |(name, word): &&(String, Word)| name == "increment" && *word == Word::Bool(true);
        if self.increment.iter().any(|entry| increments(&entry)) {
            note("bantime.increment", "true".to_owned());
        }
        all
    }
}

/// The words of each item of a list.
fn items(list: &Word) -> impl Iterator<Item = &[Word]> {
    let items = match list {
        Word::List(items) | Word::Tuple(items) => items.as_slice(),
        _ => &[],
    };
    items.iter().map(|item| match item {
        Word::List(words) | Word::Tuple(words) => words.as_slice(),
        word => std::slice::from_ref(word),
    })
}

/// What fail2ban calls the backend that it takes for this one.
fn initiated(backend: &str) -> &'static str {
    match kind(backend) {
        Ok(Backend::Journal) => "systemd",
        _ if bare(backend).eq_ignore_ascii_case("polling") => "polling",
        _ => "pyinotify",
    }
}

/// A backend without its options.
fn bare(backend: &str) -> &str {
    backend.split('[').next().unwrap_or_default()
}

/// Where lines come from, by the name of a backend.
fn kind(backend: &str) -> Result<Backend, Refusal> {
    match bare(backend).to_ascii_lowercase().as_str() {
        "auto" => Ok(Backend::Auto),
        "pyinotify" | "polling" => Ok(Backend::Files),
        "systemd" => Ok(Backend::Journal),
        _ => {
            let text = format!(
                "Unknown backend {backend}. Must be among ['pyinotify', 'polling', 'systemd'] or 'auto'"
            );
            Err(Refusal::value(text))
        }
    }
}

/// The options behind a backend's name, as Python prints them.
fn backend_options(backend: &str) -> String {
    let options = ferroban_config::Invocation::parse(backend)
        .map(|call| call.options)
        .unwrap_or_default();
    let pairs: Vec<String> = options
        .iter()
        .map(|(name, value)| format!("'{name}': '{value}'"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests;
