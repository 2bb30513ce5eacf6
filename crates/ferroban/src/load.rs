//! From configuration to settings.
//!
//! There is one path: files become the stream of commands that fail2ban's client
//! would send ([`stream`]), and the stream is folded into one [`Settings`] value
//! ([`fold`]), which is complete and valid or not made at all.

mod embedded;
mod fold;
mod host;
mod stream;

use std::collections::BTreeMap;
use std::fmt;

use ferroban_engine::{FilterSettings, JailSettings};

/// Everything a configuration says about jails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The jails that are switched on, in order.
    pub(crate) jails: Vec<JailPlan>,
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
    /// Journal entries it may read: alternatives of fields that must all match.
    pub(crate) journal: Vec<Vec<String>>,
    /// The name of its action.
    pub(crate) action: String,
    /// The options of its action.
    pub(crate) action_options: BTreeMap<String, String>,
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
    Option(ferroban_config::Error),
    /// `--set` wants `jail.option=value`.
    Override(String),
    /// An option has a value that it cannot have.
    Value {
        jail: String,
        option: String,
        value: String,
        wanted: &'static str,
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
    /// A jail of this name does not exist.
    NoJail { jail: String },
    /// A filter has no failregex.
    NoPattern { jail: String, filter: String },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Option(error) => error.fmt(f),
            Self::Override(text) => {
                write!(
                    f,
                    "--set {text}: not understood; write it as jail.option=value"
                )
            }
            Self::Value {
                jail,
                option,
                value,
                wanted,
            } => {
                write!(f, "jail '{jail}': {option} = {value}: not {wanted}")
            }
            Self::Invocation {
                jail,
                option,
                text,
                source,
            } => {
                write!(f, "jail '{jail}': {option} = {text}: {source}")
            }
            Self::NoOption { jail, option } => {
                let known: Vec<&str> = ferroban_engine::options::JAIL
                    .iter()
                    .map(|row| row.name)
                    .collect();
                write!(
                    f,
                    "jail '{jail}': no option '{option}'; there are {}",
                    known.join(", ")
                )
            }
            Self::NoJail { jail } => write!(
                f,
                "no jail '{jail}'; there is 'sshd', and --set {jail}.enabled=true would make one"
            ),
            Self::NoPattern { jail, filter } => {
                write!(
                    f,
                    "jail '{jail}': filter '{filter}' has no failregex; it would find nothing"
                )
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The configuration inside the program, changed by `overrides` of the form
/// `jail.option=value`.
pub(crate) fn embedded(overrides: &[String]) -> Result<Settings, LoadError> {
    fold::settings(&stream::read(&embedded::files(overrides)?)?)
}

#[cfg(test)]
mod tests;
