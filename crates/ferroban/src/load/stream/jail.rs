//! One jail: its options, its filter and its actions.
//!
//! A jail is read in two steps. First everything it says, in the order in which one part
//! may refer to another: what the filter is, the filter, all other options, the actions.
//! Then, when all jails have been read, its log files are looked for and it becomes
//! commands.

use ferroban_config::{Layers, Options, Place, addresses};

use super::super::LoadError;
use super::super::folder::{Folder, JAIL_READER};
use super::super::old;
use super::super::word::{Command, Stream, Word, set};
use super::action::{self, Action};
use super::filter::{self, Filter};
use super::logpath::{self, Logs};
use super::typed::{Kind, Row, Typed};
use crate::log::Level;

/// What is read before the filter.
pub(super) const FIRST: &[Row] = &[
    ("enabled", Kind::Bool, Some("false")),
    ("backend", Kind::Text, Some("auto")),
    ("filter", Kind::Text, Some("")),
];

/// Everything else, in the order in which it is read and sent; what may stand in a filter
/// too is sent before the rest.
pub(super) const REST: &[Row] = &[
    ("maxretry", Kind::Int, None),
    ("maxmatches", Kind::Int, None),
    ("findtime", Kind::Text, None),
    ("bantime", Kind::Text, None),
    ("bantime.increment", Kind::Bool, None),
    ("bantime.factor", Kind::Text, None),
    ("bantime.formula", Kind::Text, None),
    ("bantime.multipliers", Kind::Text, None),
    ("bantime.maxtime", Kind::Text, None),
    ("bantime.rndtime", Kind::Text, None),
    ("bantime.overalljails", Kind::Bool, None),
    ("ignorecommand", Kind::Text, None),
    ("ignoreself", Kind::Bool, None),
    ("ignoreip", Kind::Text, None),
    ("ignorecache", Kind::Text, None),
    ("logtimezone", Kind::Text, None),
    ("logencoding", Kind::Text, None),
    ("logpath", Kind::Text, None),
    ("skip_if_nologs", Kind::Bool, Some("false")),
    ("systemd_if_nologs", Kind::Bool, Some("true")),
    ("action", Kind::Text, Some("")),
    ("usedns", Kind::Text, None),
    ("prefregex", Kind::Text, None),
    ("ignoreregex", Kind::Text, None),
    ("failregex", Kind::Text, None),
    ("maxlines", Kind::Int, None),
    ("datepattern", Kind::Text, None),
    ("journalmatch", Kind::Text, None),
];

/// What was read of a jail.
pub(super) enum Read {
    /// It is switched off.
    Off,
    /// It is wrong, and this is what fail2ban says about it.
    Wrong(String),
    /// It can run.
    Good(Box<Jail>),
}

/// A jail that can run, as far as files other than its logs are concerned.
pub(super) struct Jail {
    name: String,
    options: Typed,
    /// The same as its filter and its actions see it.
    seen: Options,
    filter: Option<Filter>,
    actions: Vec<Action>,
}

/// What became of a jail.
pub(super) enum Made {
    /// Commands; it starts.
    Started(Stream),
    /// A note for the daemon instead.
    Skipped(Stream),
}

impl Folder<'_> {
    /// Reads the section of a jail.
    pub(super) fn jail(&mut self, layers: &mut Layers, name: &str) -> Result<Read, LoadError> {
        let mut options = self.typed(layers, name, FIRST)?;
        if !options.is_on("enabled") {
            return Ok(Read::Off);
        }
        for text in old::lost_actions(layers, name) {
            self.advise(text);
        }
        let text = options.text("filter").to_owned();
        let mut filter = if text.is_empty() {
            let text = format!("No filter set for jail {name}");
            self.tell(Level::Warning, JAIL_READER, text);
            None
        } else {
            match Filter::read(self, name, &text, &options)? {
                Ok(filter) => Some(filter),
                Err(problem) => return Ok(self.skip(problem)),
            }
        };
        if let Some(filter) = &filter {
            layers.publish_known(name, &filter.known(self)?);
        }
        options.extend(self.typed(layers, name, REST)?);
        let seen = options.as_options(&Place::named(name));
        if let Some(filter) = &mut filter {
            filter.read_again(&options, &seen)?;
        }
        let text = options.text("action").to_owned();
        let actions = match action::read(self, name, &text, &seen)? {
            Ok(actions) => actions,
            Err(problem) => return Ok(self.skip(problem)),
        };
        if actions.is_empty() {
            let text = format!("No actions were defined for {name}");
            self.tell(Level::Warning, JAIL_READER, text);
        }
        Ok(Read::Good(Box::new(Jail {
            name: name.to_owned(),
            options,
            seen,
            filter,
            actions,
        })))
    }

    fn skip(&mut self, problem: LoadError) -> Read {
        let why = problem.original();
        self.tell(Level::Error, JAIL_READER, why.clone());
        self.problem(problem);
        Read::Wrong(why)
    }

    /// Looks for the log files of a jail and makes its commands.
    pub(super) fn make(&mut self, jail: Jail, logs: Logs) -> Result<Made, LoadError> {
        let Jail {
            name,
            options,
            seen,
            filter,
            actions,
        } = jail;
        let mut commands = match filter {
            Some(filter) => filter.commands(self, &name, &seen)?,
            None => Vec::new(),
        };
        let mut backend = options.text("backend").to_owned();
        let mut files = Vec::new();
        let journal = backend.starts_with("systemd");
        if let Some(logpath) = options
            .get("logpath")
            .and_then(Word::as_str)
            .filter(|_| !journal)
        {
            files = logpath::commands(self, &name, logpath, logs);
            if files.is_empty() && logs != Logs::Listed {
                match self.without_logs(&name, &options, logs)? {
                    Without::Skipped(note) => return Ok(Made::Skipped(vec![note])),
                    Without::Journal => backend = "systemd".to_owned(),
                    Without::Nothing => {}
                }
            }
        }
        let words = options.iter().filter(|(name, _)| is_sent(name));
        filter::fill(&mut commands, &name, words.clone())?;
        for (option, word) in words {
            commands.extend(plain(&name, option, word));
        }
        let mut stream: Stream = vec![["add", &name, &backend].map(Word::from).into()];
        stream.append(&mut commands);
        stream.append(&mut files);
        for action in actions {
            stream.extend(action.commands(self, &name, &seen)?);
        }
        Ok(Made::Started(stream))
    }

    /// A jail none of whose log files exists: what now?
    fn without_logs(
        &mut self,
        jail: &str,
        options: &Typed,
        logs: Logs,
    ) -> Result<Without, LoadError> {
        let problem = LoadError::NoLog {
            jail: jail.to_owned(),
        };
        let why = problem.original();
        let warn = |folder: &mut Self, text: String| {
            folder.tell(Level::Warning, JAIL_READER, text);
        };
        let may_switch = options.text("backend").starts_with("auto")
            && options.is_on("systemd_if_nologs")
            && options.get("journalmatch").is_some();
        if may_switch {
            warn(self, format!("{why} Jail will monitor systemd journal."));
            return Ok(Without::Journal);
        }
        if options.is_on("skip_if_nologs") {
            let text = format!("Jail '{jail}' skipped, because of missing log files.");
            warn(self, why);
            warn(self, text.clone());
            return Ok(Without::Skipped(vec!["config-error".into(), text.into()]));
        }
        if logs == Logs::Needed {
            return Err(problem);
        }
        warn(self, why);
        Ok(Without::Nothing)
    }
}

enum Without {
    Skipped(Command),
    Journal,
    Nothing,
}

/// Whether an option becomes a command under its own name or as part of the filter.
fn is_sent(name: &str) -> bool {
    ![
        "enabled",
        "backend",
        "filter",
        "logpath",
        "skip_if_nologs",
        "systemd_if_nologs",
        "action",
    ]
    .contains(&name)
}

/// The command for an option that does not belong to the filter.
fn plain(jail: &str, option: &str, word: &Word) -> Option<Command> {
    match option {
        "usedns" | "prefregex" | "maxlines" | "ignoreregex" | "failregex" | "datepattern"
        | "journalmatch" => None,
        "ignoreip" => {
            let mut command: Command = ["set", jail, "addignoreip"].map(Word::from).into();
            let items = addresses(word.as_str().unwrap_or_default());
            command.extend(items.map(Word::from));
            Some(command)
        }
        _ => Some(set(jail, option, word.clone())),
    }
}
