//! From configuration to settings.
//!
//! There is one path: files ([`folder`]) become the stream of commands that fail2ban's
//! client would send ([`stream`]), and the stream is folded into one [`Settings`] value
//! ([`fold`]), which is complete and valid or not made at all.

mod embedded;
mod fold;
mod folder;
mod glob;
mod host;
mod message;
mod old;
mod refusal;
mod setup;
mod stream;
mod word;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ferroban_config::{Error, Files, Layers, quoted};
use ferroban_engine::{FilterSettings, JailSettings};

pub(crate) use folder::Folder;
pub(crate) use old::{filter_today, is_lost_action, lost_action};
pub(crate) use refusal::Refusal;
pub(crate) use setup::{
    JailSetup, LogPath, MonitorSetup, Note, Setup, is_asked_for, is_set_by, whole,
};
pub(crate) use stream::{How, Logs, Places, Rules, split};
pub(crate) use word::{Command, Stream, Word, is_on, whole_number};

/// Everything a configuration says about jails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The jails that are switched on.
    pub(crate) setup: Setup,
    /// What could not be found out, though it goes on without.
    pub(crate) problems: Vec<String>,
}

/// One jail, before its sources are looked for.
#[derive(Clone, Debug)]
pub(crate) struct JailPlan {
    /// How it counts and bans.
    pub(crate) jail: JailSettings,
    /// What it looks for.
    pub(crate) filter: FilterSettings,
    /// Where it may read.
    pub(crate) backend: Backend,
    /// Files it may read.
    pub(crate) logpaths: Vec<String>,
    /// Their encoding, by the name that Python has for it.
    pub(crate) encoding: String,
    /// Journal entries it may read: alternatives of fields that must all match.
    pub(crate) journal: Vec<Vec<String>>,
    /// How it bans, in the order in which that is done.
    pub(crate) actions: Vec<ActionPlan>,
    /// Options that are set and have no effect yet.
    pub(crate) without_effect: Vec<String>,
}

/// One action of a jail.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ActionPlan {
    /// What it is called in this jail.
    pub(crate) name: String,
    /// Its properties as text.
    pub(crate) options: BTreeMap<String, String>,
    /// What it is if it is a program in Python.
    pub(crate) python: Option<PythonPlan>,
}

/// An action that is a program in Python.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PythonPlan {
    /// Its file.
    pub(crate) file: String,
    /// What its class is given.
    pub(crate) options: serde_json::Map<String, serde_json::Value>,
    /// Differs once the file or its rights have changed; nothing if there is no file.
    pub(crate) stamp: Option<[i64; 4]>,
}

/// The action that bans by itself.
pub(crate) const NATIVE: &str = "ferroban";
/// The action that mails by itself.
pub(crate) const SMTP: &str = "ferroban-smtp";
/// The property that says which of our actions one is, whatever it is called in its jail.
pub(crate) const OWN: &str = "ferroban";
/// Its value for the one that mails.
pub(crate) const OWN_SMTP: &str = "smtp";

impl ActionPlan {
    /// Whether it is our own that bans: of that name, and without commands.
    pub(crate) fn is_native(&self) -> bool {
        self.name == NATIVE && !self.has_commands()
    }

    /// Whether it is our own that mails.
    pub(crate) fn is_smtp(&self) -> bool {
        let says = |value: &String| value == OWN_SMTP;
        !self.has_commands() && (self.name == SMTP || self.options.get(OWN).is_some_and(says))
    }

    /// Whether it has anything to run.
    pub(crate) fn has_commands(&self) -> bool {
        let command = |(name, text): (&String, &String)| {
            name.starts_with("action") && name != "actname" && !text.trim().is_empty()
        };
        self.python.is_some() || self.options.iter().any(command)
    }
}

/// Where lines come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Backend {
    /// The journal if there is one, else the first of the files that exists.
    Auto,
    /// All of the files.
    Files,
    /// The journal.
    Journal,
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// A file cannot be read or understood.
    Config(ferroban_config::Errors),
    /// An option cannot be read or understood.
    Option(Box<Error>),
    /// There is no `fail2ban.conf`, or it cannot be read.
    NoServer,
    /// There is no `jail.conf`, or it cannot be read.
    NoJails,
    /// The jail that is to be read has no section.
    NoSection(String),
    /// `--set` wants `jail.option=value`.
    Override(String),
    /// An option has a value that it cannot have.
    Value {
        jail: String,
        option: String,
        value: String,
        wanted: &'static str,
    },
    /// The daemon would refuse an option for this reason.
    Refused {
        jail: String,
        option: String,
        why: String,
    },
    /// A filter or action is not called in the right way.
    Invocation {
        jail: String,
        option: &'static str,
        text: String,
        source: ferroban_config::InvocationError,
    },
    /// An option of this name does not exist.
    NoOption { jail: String, option: String },
    /// A jail of this name does not exist; perhaps one of that name was meant.
    NoJail { jail: String, near: Option<String> },
    /// There is no such filter, or it cannot be read.
    NoFilter { jail: String, filter: String },
    /// There is no such action, or it cannot be read.
    NoAction { jail: String, action: String },
    /// Something is wrong in the files of an action.
    Action { text: String, source: Box<Self> },
    /// A filter has no failregex.
    NoPattern { jail: String },
    /// A line of `journalmatch` cannot be split into words.
    Words {
        jail: String,
        text: String,
        source: stream::WordsError,
    },
    /// None of the log files of a jail exists.
    NoLog { jail: String },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Option(error) => error.fmt(f),
            Self::Action { source, .. } => source.fmt(f),
            Self::NoServer => f.write_str("fail2ban.conf cannot be read; create it"),
            Self::NoJails => f.write_str("jail.conf cannot be read; create it"),
            Self::NoSection(name) => write!(f, "No section: {}", quoted(name)),
            Self::Override(text) => {
                write!(
                    f,
                    "--set {text}: not understood; write it as jail.option=value"
                )
            }
            Self::NoJail { jail, near } => {
                write!(f, "no jail '{jail}'; ")?;
                if let Some(near) = near {
                    write!(f, "did you mean '{near}'? ")?;
                }
                write!(f, "--set {jail}.enabled=true would make one")
            }
            Self::Value { jail, .. }
            | Self::Refused { jail, .. }
            | Self::Invocation { jail, .. }
            | Self::NoFilter { jail, .. }
            | Self::NoOption { jail, .. }
            | Self::NoAction { jail, .. }
            | Self::NoPattern { jail }
            | Self::Words { jail, .. }
            | Self::NoLog { jail } => {
                write!(f, "jail '{jail}': ")?;
                self.fmt_in_jail(f)
            }
        }
    }
}

impl LoadError {
    /// The jail whose option has a wrong value.
    fn jail(&self) -> Option<&str> {
        self.option().map(|(jail, _)| jail)
    }

    /// The option that has a wrong value, with its jail.
    fn option(&self) -> Option<(&str, &str)> {
        match self {
            Self::Value { jail, option, .. } | Self::Refused { jail, option, .. } => {
                Some((jail, option))
            }
            _ => None,
        }
    }

    /// What is wrong with a jail, without its name.
    fn fmt_in_jail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                option,
                value,
                wanted,
                ..
            } => write!(f, "{option} = {value}: not {wanted}"),
            Self::Refused { option, why, .. } => write!(f, "{option}: {why}"),
            Self::Invocation {
                option,
                text,
                source,
                ..
            } => write!(f, "{option} = {text}: {source}"),
            Self::NoFilter { filter, .. } => {
                write!(
                    f,
                    "there is no filter '{filter}'; name one that is in filter.d"
                )
            }
            Self::NoOption { option, .. } => {
                let rows = ferroban_engine::options::JAIL.iter();
                let known: Vec<&str> = rows.map(|row| row.name).collect();
                write!(f, "no option '{option}'; there are {}", known.join(", "))
            }
            Self::NoAction { action, .. } => {
                write!(
                    f,
                    "there is no action '{action}'; name one that is in action.d, or 'ferroban', or 'ferroban-smtp'"
                )
            }
            Self::NoPattern { .. } => {
                f.write_str("its filter has no failregex; it would find nothing")
            }
            Self::Words { text, source, .. } => {
                write!(f, "journalmatch = {text}: {source}; complete it")
            }
            Self::NoLog { .. } => f.write_str("none of its log files exists; correct logpath"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl LoadError {
    /// What fail2ban says about this. Where it says nothing, our words.
    pub(crate) fn original(&self) -> String {
        match self {
            Self::Config(errors) => errors.original(),
            Self::Option(error) => error.original(),
            Self::Action { text, source } => format!(
                "Error in action definition {}: {}",
                quoted(text),
                source.original()
            ),
            Self::NoServer => "Read fail2ban configuration failed.".to_owned(),
            Self::NoJails => "Read jails configuration failed.".to_owned(),
            Self::Invocation {
                option,
                text,
                source,
                ..
            } => format!("Invalid {option} definition {}: {source}", quoted(text)),
            Self::NoFilter { filter, .. } => {
                format!("Unable to read the filter {}", quoted(filter))
            }
            Self::NoAction { action, .. } => format!("Unable to read action {}", quoted(action)),
            Self::Words { source, .. } => source.to_string(),
            Self::NoLog { jail } => format!("Have not found any log file for '{jail}' jail."),
            Self::NoSection(_)
            | Self::Override(_)
            | Self::Refused { .. }
            | Self::NoOption { .. }
            | Self::NoJail { .. }
            | Self::Value { .. }
            | Self::NoPattern { .. } => self.to_string(),
        }
    }
}

impl std::error::Error for LoadError {}

/// What to do where sshd writes names into its log that a filter takes no notice of.
pub(crate) fn names_advice(filter: &FilterSettings) -> Option<String> {
    host::names_advice(host::SSH.as_ref(), filter)
}

/// The configuration inside the program, changed by `overrides` of the form
/// `jail.option=value`.
pub(crate) fn embedded(overrides: &[String]) -> Result<Settings, LoadError> {
    let (files, told) = embedded::files(overrides)?;
    let (mut settings, problems) = jails(&files, embedded::BASE.as_ref(), Logs::Listed)?;
    settings.problems.extend(told);
    match problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(settings),
    }
}

/// The jails of a folder on disk, changed by `overrides`, and what is wrong with
/// those that are left out.
///
/// A jail that is wrong keeps no other from starting, and a log that is missing is
/// waited for. With `compat = strict` in `fail2ban.local` either is an error that
/// ends everything, as it is in fail2ban.
pub(crate) fn folder(
    base: &Path,
    overrides: &[String],
) -> Result<(Settings, Vec<LoadError>), LoadError> {
    let files = embedded::Overlay::new(base, overrides)?;
    if !is_strict(&files, base)? {
        return jails(&files, base, Logs::Listed);
    }
    let (settings, problems) = jails(&files, base, Logs::Needed)?;
    match problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok((settings, Vec::new())),
    }
}

/// Whether `fail2ban.conf` and what belongs to it ask for `compat = strict`. Where they
/// cannot be understood nobody knows, so that is an error; where there are none, not.
fn is_strict(files: &dyn Files, base: &Path) -> Result<bool, LoadError> {
    let server = match Layers::read(files, base, "fail2ban") {
        Ok(server) => server,
        Err(errors) if errors.iter().all(|e| matches!(e, Error::NoFiles { .. })) => {
            return Ok(false);
        }
        Err(errors) => return Err(LoadError::Config(errors)),
    };
    let compat = server
        .option("Definition", "compat")
        .map_err(|error| LoadError::Option(Box::new(error)))?;
    Ok(compat.is_some_and(|value| value.text().trim() == "strict"))
}

fn jails(
    files: &dyn Files,
    base: &Path,
    logs: Logs,
) -> Result<(Settings, Vec<LoadError>), LoadError> {
    let mut folder = Folder::new(files, base);
    let how = How { logs, strict: true };
    let (mut stream, _) = folder.jails(how)?;
    let monitor = match folder.layers("fail2ban")? {
        Some(layers) => folder.monitor(&layers)?,
        None => None,
    };
    let advice = folder.advice();
    let mut problems = folder.problems();
    let mut settings = loop {
        match fold::setup(&stream) {
            Ok(setup) => {
                break Settings {
                    setup,
                    problems: advice,
                };
            }
            Err(error @ (LoadError::Value { .. } | LoadError::Refused { .. })) => {
                // Without the jail that is wrong, as often as there is one.
                let before = stream.len();
                stream.retain(|command| command.get(1).and_then(Word::as_str) != error.jail());
                if stream.len() == before {
                    return Err(error);
                }
                // One that cannot be read has lost its value on the way here.
                let told = |known: &LoadError| known.option() == error.option();
                if !problems.iter().any(told) {
                    problems.push(error);
                }
            }
            Err(error) => return Err(error),
        }
    };
    let monitor = monitor.as_ref().and_then(|command| command.last());
    if let Some(Err(refusal)) = monitor.map(|value| settings.setup.set_server("monitor", value)) {
        settings.problems.push(format!("fail2ban.conf: {refusal}"));
    }
    let blind = |jail: &&JailSetup| jail.is_blind();
    let without = settings.setup.jails().filter(blind);
    problems.extend(without.map(|jail| LoadError::NoPattern {
        jail: jail.name.to_string(),
    }));
    settings.setup.retain(|jail| !jail.is_blind());
    Ok((settings, problems))
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod tests;
