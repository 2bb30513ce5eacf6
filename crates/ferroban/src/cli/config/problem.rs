//! Everything that can be wrong with a configuration, in words.

use std::fmt;
use std::io;
use std::path::PathBuf;

use ferroban_config::{Error, InvocationError, Place, SecondsError};
use ferroban_engine::{FilterError, JailNameError};

use crate::load::lost_action;
use crate::report;

/// One thing that is wrong, and where.
#[derive(Debug)]
pub(super) struct Problem {
    /// The line to look at.
    pub(super) at: Option<Place>,
    pub(super) what: What,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Level {
    /// A jail, or more, cannot be started as written.
    Error,
    /// It starts, but probably not as it was meant.
    Warning,
}

/// A filter or an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Filter,
    Action,
}

impl Part {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Action => "action",
        }
    }
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum What {
    /// The library's own: files, lines, `%(name)s` and tags.
    Config(Error),
    /// The folder cannot be listed.
    Folder { dir: PathBuf, source: io::Error },
    /// No such jail was found to explain.
    NoJail {
        name: String,
        nearest: Option<String>,
    },
    /// The name cannot be that of a jail.
    JailName(JailNameError),
    /// The name is too long for the packet filter.
    LongName(String),
    /// A jail has no filter.
    NoFilter,
    /// A jail has no action.
    NoAction,
    /// A jail has neither files nor a journal to read.
    NoSource,
    /// A filter or an action has no file.
    NoPart {
        part: Part,
        name: String,
        nearest: Option<String>,
    },
    /// A program in Python that is not run, and why.
    Program { name: String, why: String },
    /// One of our own actions with options that it cannot use, and why.
    OwnAction { name: String, why: String },
    /// A jail called like no filter, though its filter is to be called like it.
    NoOwnFilter {
        jail: String,
        filter: String,
        nearest: Option<String>,
    },
    /// Not `name[option=value]`.
    Invocation {
        part: Part,
        text: String,
        source: InvocationError,
    },
    /// More than one filter.
    SecondFilter(String),
    /// A filter or an action was given an option that nothing in it uses.
    UnusedOption {
        part: Part,
        name: String,
        option: String,
        nearest: Option<String>,
    },
    /// Two actions of a jail have one name.
    SameAction(String),
    /// A pattern cannot be used.
    Regex {
        option: &'static str,
        text: String,
        source: FilterError,
    },
    /// A filter finds nothing.
    NoFailregex { filter: String },
    /// A value is not what its option wants.
    Value {
        option: String,
        text: String,
        wanted: String,
        source: Option<SecondsError>,
    },
    /// Neither yes nor no.
    NotBool { option: String, text: String },
    /// A word that is none of the known ones, for which another one is taken.
    Replaced {
        option: String,
        text: String,
        wanted: String,
        taken: &'static str,
    },
    /// An item of `ignoreip` that looks like an address and is none.
    NotAddress(String),
    /// A line of `logpath` with a blank in it.
    NotPath(String),
    /// An indented line became part of the value above.
    Swallowed {
        option: String,
        line: String,
        harmless: bool,
    },
    /// An option nobody knows and nothing refers to.
    UnknownOption {
        name: String,
        nearest: Option<String>,
    },
    /// A section that looks like another one.
    UnknownSection { name: String, nearest: String },
    /// A second action at the start of a line.
    LostAction(String),
}

impl What {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::LongName(_)
            | Self::NoFilter
            | Self::NoAction
            | Self::UnusedOption { .. }
            | Self::NoFailregex { .. }
            | Self::NotBool { .. }
            | Self::Replaced { .. }
            | Self::NotAddress(_)
            | Self::Swallowed { harmless: true, .. }
            | Self::UnknownOption { .. }
            | Self::UnknownSection { .. }
            | Self::LostAction(_) => Level::Warning,
            _ => Level::Error,
        }
    }

    /// What to point at in the line; the whole value, if it is not in there.
    pub(super) fn mark(&self) -> String {
        match self {
            Self::Config(error) => mark_of(error),
            Self::NoPart { name, .. }
            | Self::Program { name, .. }
            | Self::OwnAction { name, .. }
            | Self::SecondFilter(name)
            | Self::SameAction(name) => name.clone(),
            Self::NoOwnFilter { jail: name, .. }
            | Self::UnknownSection { name, .. }
            | Self::LongName(name) => format!("[{name}]"),
            Self::Invocation { text, source, .. } => match source {
                InvocationError::AfterOption { rest, .. }
                | InvocationError::NoOption { rest, .. } => first_line(rest),
                _ => first_line(text),
            },
            Self::UnusedOption { option, .. } => format!("{option}="),
            Self::UnknownOption { name: text, .. }
            | Self::LostAction(text)
            | Self::Regex { text, .. }
            | Self::Value { text, .. }
            | Self::NotBool { text, .. }
            | Self::Replaced { text, .. }
            | Self::NotAddress(text)
            | Self::NotPath(text)
            | Self::Swallowed { line: text, .. } => first_line(text),
            _ => String::new(),
        }
    }
}

fn mark_of(error: &Error) -> String {
    match error {
        Error::UnknownOption { name, .. } => format!("%({name})s"),
        Error::BadPercent { found, .. } | Error::BadReference { found, .. } => first_line(found),
        Error::DuplicateOption { option, .. } => option.clone(),
        Error::DuplicateSection { section, .. } => format!("[{section}]"),
        Error::SelfReference { tag, .. } => format!("<{tag}>"),
        Error::BadLine { line, .. } | Error::NoHeader { line, .. } => line.trim().to_owned(),
        Error::Undecodable { .. } => char::REPLACEMENT_CHARACTER.to_string(),
        _ => String::new(),
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.trim_end().to_owned()
}

impl Problem {
    pub(super) fn level(&self) -> Level {
        self.what.level()
    }

    /// What is wrong and what to do, without the place.
    pub(super) fn message(&self) -> String {
        let text = self.what.to_string();
        let place = self.at.as_ref().map(|at| format!("{at}: "));
        let bare = place.and_then(|place| text.strip_prefix(&place).map(str::to_owned));
        bare.unwrap_or(text)
    }
}

/// `place: what; what to do`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        if self.level() == Level::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message())
    }
}

/// Each method knows some of the problems and hands the others on.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => f.write_str(&report::chain(error)),
            Self::Folder { dir, source } => write!(
                f,
                "{}: cannot be listed; give the folder with jail.conf as --config: {source}",
                dir.display()
            ),
            Self::NoJail { name, nearest } => {
                write!(f, "no jail '{name}'{}", meant(nearest, "add it"))
            }
            Self::JailName(error) => error.fmt(f),
            Self::LongName(name) => write!(
                f,
                "'{name}' has more than 25 letters; shorten it, or some actions will fail"
            ),
            Self::NoSource => write!(
                f,
                "nothing to read; set logpath, or backend = systemd and journalmatch"
            ),
            _ => self.about_parts(f),
        }
    }
}

impl What {
    fn about_parts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFilter => write!(f, "no filter, so nothing is found; set filter"),
            Self::NoAction => write!(f, "no action, so nobody is banned; set action"),
            Self::Program { why, .. } => f.write_str(why),
            Self::OwnAction { name, why } => write!(f, "action '{name}': {why}"),
            Self::NoPart {
                part,
                name,
                nearest,
            } => {
                let part = part.word();
                let advice = meant(nearest, &format!("create {part}.d/{name}.conf"));
                write!(f, "no {part} '{name}'{advice}")
            }
            Self::NoOwnFilter {
                jail,
                filter,
                nearest: Some(nearest),
            } if nearest != filter => {
                write!(
                    f,
                    "jail [{jail}] has no filter: there is no '{filter}'; did you mean [{nearest}]?"
                )
            }
            Self::NoOwnFilter { jail, filter, .. } => write!(
                f,
                "jail [{jail}] has no filter: there is no '{filter}'; set filter, or create filter.d/{filter}.conf"
            ),
            Self::Invocation { part, text, source } => f.write_str(&advice(*part, text, source)),
            Self::SecondFilter(name) => write!(
                f,
                "a jail has one filter, and '{name}' is a second; give it a jail of its own"
            ),
            Self::UnusedOption {
                part,
                name,
                option,
                nearest,
            } => write!(
                f,
                "{} '{name}' does nothing with '{option}'{}",
                part.word(),
                meant(nearest, "leave it out")
            ),
            Self::SameAction(name) => write!(
                f,
                "a second action called '{name}'; give it another name with [actname=…]"
            ),
            _ => self.about_values(f),
        }
    }

    fn about_values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex { option, source, .. } => match source {
                FilterError::Broken { source, .. } => write!(
                    f,
                    "{option} does not compile: {source} of the pattern with its tags replaced; correct it"
                ),
                FilterError::NoIdentity { .. } => {
                    write!(f, "{option} does not say who failed; write <HOST> in it")
                }
                FilterError::Empty => write!(f, "{option} is empty; write a pattern"),
                FilterError::DatePattern(_) | FilterError::LogZone(_) => {
                    write!(f, "{option}: {source}")
                }
            },
            Self::NoFailregex { filter } => write!(
                f,
                "filter '{filter}' has no failregex, so nothing is found; give it one"
            ),
            Self::Value {
                option,
                text,
                wanted,
                source,
            } => {
                let cause = source.as_ref().map(ToString::to_string);
                let cause = cause.as_deref().and_then(|cause| cause.split(';').next());
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                write!(
                    f,
                    "{option} cannot be '{}'{cause}; write {wanted}",
                    brief(text)
                )
            }
            Self::NotBool { option, text } => write!(
                f,
                "{option} = {} counts as no; write yes or no",
                brief(text)
            ),
            Self::Replaced {
                option,
                text,
                wanted,
                taken,
            } => write!(
                f,
                "{option} cannot be '{}', so {taken} is taken; write {wanted}",
                brief(text)
            ),
            _ => self.about_slips(f),
        }
    }

    fn about_slips(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAddress(item) => write!(
                f,
                "'{}' is no address or network, so it is looked up as a name; correct it",
                brief(item)
            ),
            Self::NotPath(line) => write!(
                f,
                "'{}' is no path: only head or tail may follow a blank; write one path a line, without blanks",
                brief(line)
            ),
            Self::Swallowed { option, line, .. } => write!(
                f,
                "'{}' is indented, so it belongs to '{option}'; take the blanks before it away",
                brief(line)
            ),
            Self::UnknownOption { name, nearest } => write!(
                f,
                "no option '{}'{}",
                brief(name),
                meant(nearest, "nothing refers to it; leave it out")
            ),
            Self::UnknownSection { name, nearest } => {
                write!(f, "no jail [{}]; did you mean [{nearest}]?", brief(name))
            }
            Self::LostAction(name) => f.write_str(&lost_action(&brief(name))),
            _ => Ok(()),
        }
    }
}

/// What to do about a text that is no `name[option=value]`.
fn advice(part: Part, text: &str, source: &InvocationError) -> String {
    let part = part.word();
    match source {
        InvocationError::AfterOption { option, rest, .. } => format!(
            "{part}: unexpected '{}' after option '{option}'; put a comma between options, and quotes around a value with , or ]",
            brief(rest)
        ),
        InvocationError::NoOption { rest, .. } => format!(
            "{part}: no option at '{}'; write name=value, without blanks before the =",
            brief(rest)
        ),
        _ => format!(
            "{part} '{}' is not complete; write {part} = name[option=value, …]",
            brief(text)
        ),
    }
}

/// The end of a message: the name that was probably meant, or other advice.
fn meant(nearest: &Option<String>, otherwise: &str) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean '{nearest}'?"),
        None => format!("; {otherwise}"),
    }
}

/// As much of a text as fits into a message.
fn brief(text: &str) -> String {
    let line = first_line(text);
    let mut brief: String = line.chars().take(60).collect();
    if brief.len() < text.trim().len() {
        brief.push('…');
    }
    brief
}
