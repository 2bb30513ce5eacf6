//! Everything that can be wrong with a configuration.

use std::{fmt, io, path::PathBuf};

use crate::{MAX_BYTES, MAX_FILE, MAX_FILES, MAX_INCLUDE_DEPTH, MAX_VALUE, Place};

/// One mistake: where it is, what it is, and what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// None of the files that make up a configuration exists.
    NoFiles {
        /// What was asked for, such as `filter.d/sshd`.
        name: String,
        /// The directory it was looked for in.
        base: PathBuf,
        /// A name that exists and looks alike.
        nearest: Option<String>,
    },
    /// The file is there but cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The line that includes it, if one does.
        asked: Option<Place>,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than [`MAX_FILE`].
    FileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// More than [`MAX_FILES`] files or [`MAX_BYTES`] bytes belong to this configuration.
    TooManyFiles {
        /// The first file that was too much.
        path: PathBuf,
    },
    /// `[INCLUDES]` nests deeper than [`MAX_INCLUDE_DEPTH`].
    TooManyIncludes {
        /// The line that goes too deep.
        at: Place,
    },
    /// Not UTF-8.
    Undecodable {
        /// The line with the byte.
        at: Place,
        /// How many good bytes come before it.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// Text before the first `[section]`.
    NoHeader {
        /// Where it stands.
        at: Place,
        /// The line as written.
        line: String,
    },
    /// Neither section, option, comment nor continuation.
    BadLine {
        /// Where it stands.
        at: Place,
        /// The line as written.
        line: String,
        /// There is a `=` or `:`, but nothing before it.
        nameless: bool,
    },
    /// A section begins twice in one file.
    DuplicateSection {
        /// The second time.
        at: Place,
        /// Its name.
        section: String,
        /// The first time.
        first: Place,
    },
    /// An option is set twice in one section of one file.
    DuplicateOption {
        /// The second time.
        at: Place,
        /// The section.
        section: String,
        /// The option.
        option: String,
        /// The first time.
        first: Place,
    },
    /// An option of a section that does not exist was asked for.
    NoSection {
        /// The section.
        section: String,
        /// A section that exists and looks alike.
        nearest: Option<String>,
    },
    /// `%(name)s` names an option nobody set.
    UnknownOption {
        /// The line with the reference.
        at: Place,
        /// The name, in lower case.
        name: String,
        /// An option that exists and looks alike.
        nearest: Option<String>,
        /// The option that was being put together.
        wanted: Box<Wanted>,
    },
    /// A `%` that is followed by neither `%` nor `(`.
    BadPercent {
        /// The line with it.
        at: Place,
        /// The text from the `%` on.
        found: String,
    },
    /// A `%(` that does not go on as `name)s`.
    BadReference {
        /// The line with it.
        at: Place,
        /// The text from the `%` on.
        found: String,
    },
    /// `%(name)s` leads to ten further ones, or back to itself.
    TooDeep {
        /// The line where it was given up.
        at: Place,
        /// The option that was being put together.
        wanted: Box<Wanted>,
    },
    /// A text grows beyond [`MAX_VALUE`], or takes more steps than any honest one.
    ValueTooLong {
        /// The line where it was given up.
        at: Place,
        /// The option that was being put together.
        option: String,
    },
    /// `<name>` leads back to itself.
    SelfReference {
        /// Where the option that was being put together begins.
        at: Place,
        /// That option.
        option: String,
        /// The tag that came up again.
        tag: String,
        /// How often each tag had been replaced.
        repeats: Box<[(String, usize)]>,
        /// The text so far.
        value: String,
    },
}

/// The option whose text was being put together when something went wrong in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its section.
    pub section: String,
    /// Its name.
    pub option: String,
    /// Its text before any substitution.
    pub raw: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.about_files(f)
    }
}

impl Error {
    /// The line to look at, if the mistake is in one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::NoFiles { .. }
            | Self::FileTooLarge { .. }
            | Self::TooManyFiles { .. }
            | Self::NoSection { .. } => None,
            Self::Read { asked, .. } => asked.as_ref(),
            Self::TooManyIncludes { at }
            | Self::Undecodable { at, .. }
            | Self::NoHeader { at, .. }
            | Self::BadLine { at, .. }
            | Self::DuplicateSection { at, .. }
            | Self::DuplicateOption { at, .. }
            | Self::UnknownOption { at, .. }
            | Self::BadPercent { at, .. }
            | Self::BadReference { at, .. }
            | Self::TooDeep { at, .. }
            | Self::ValueTooLong { at, .. }
            | Self::SelfReference { at, .. } => Some(at),
        }
    }
}

/// Each method knows some of the mistakes and hands the others on.
impl Error {
    fn about_files(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFiles {
                name,
                base,
                nearest,
            } => {
                let base = base.display();
                match nearest {
                    Some(nearest) => write!(
                        f,
                        "{base}: there is no {name}.conf and no {name}.local; did you mean '{nearest}'?"
                    ),
                    None => write!(
                        f,
                        "{base}: there is no {name}.conf and no {name}.local; create one"
                    ),
                }
            }
            Self::Read {
                path,
                asked: None,
                source,
            } => {
                write!(f, "{}: cannot be read{}", path.display(), advice(source))
            }
            Self::Read {
                path,
                asked: Some(at),
                source,
            } => {
                write!(
                    f,
                    "{at}: included file {} cannot be read{}",
                    path.display(),
                    advice(source)
                )
            }
            Self::FileTooLarge { path } => {
                write!(
                    f,
                    "{}: larger than {MAX_FILE} bytes; split it into several files",
                    path.display()
                )
            }
            Self::TooManyFiles { path } => {
                write!(
                    f,
                    "{}: more than {MAX_FILES} files or {MAX_BYTES} bytes make up this configuration; include fewer",
                    path.display()
                )
            }
            Self::TooManyIncludes { at } => {
                write!(
                    f,
                    "{at}: files include each other more than {MAX_INCLUDE_DEPTH} deep; include fewer"
                )
            }
            _ => self.about_lines(f),
        }
    }

    fn about_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable { at, byte, .. } => {
                write!(
                    f,
                    "{at}: byte {byte:#04x} is not UTF-8; save the file as UTF-8"
                )
            }
            Self::NoHeader { at, line } if line.starts_with('\u{feff}') => {
                write!(
                    f,
                    "{at}: the file begins with a byte order mark; save it as UTF-8 without one"
                )
            }
            Self::NoHeader { at, line } => {
                write!(
                    f,
                    "{at}: '{}' stands before the first section; begin with a line like [DEFAULT]",
                    brief(line)
                )
            }
            Self::BadLine {
                at,
                line,
                nameless: true,
            } => {
                write!(f, "{at}: '{}' has no name; write name = value", brief(line))
            }
            Self::BadLine { at, line, .. } => write!(
                f,
                "{at}: '{}' is no option; write name = value, or indent it to continue the value above",
                brief(line)
            ),
            Self::DuplicateSection { at, section, first } => {
                write!(
                    f,
                    "{at}: section [{section}] already begins in line {}; keep one of them",
                    first.line
                )
            }
            Self::DuplicateOption {
                at,
                section,
                option,
                first,
            } => {
                write!(
                    f,
                    "{at}: option '{option}' of [{section}] is already set in line {}; keep one of them",
                    first.line
                )
            }
            _ => self.about_values(f),
        }
    }

    fn about_values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSection {
                section,
                nearest: Some(nearest),
            } => {
                write!(
                    f,
                    "there is no section [{section}]; did you mean [{nearest}]?"
                )
            }
            Self::NoSection {
                section,
                nearest: None,
            } => {
                write!(f, "there is no section [{section}]; add it")
            }
            Self::UnknownOption {
                at,
                name,
                nearest: Some(nearest),
                ..
            } => {
                write!(f, "{at}: no option '{name}'; did you mean '{nearest}'?")
            }
            Self::UnknownOption {
                at,
                name,
                nearest: None,
                ..
            } => {
                write!(
                    f,
                    "{at}: no option '{name}'; set it, or write %% for a percent sign"
                )
            }
            _ => self.about_substitution(f),
        }
    }

    fn about_substitution(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPercent { at, found } => {
                write!(
                    f,
                    "{at}: a lone percent sign in '{}'; write %%",
                    brief(found)
                )
            }
            Self::BadReference { at, found } => {
                write!(
                    f,
                    "{at}: '{}' is no reference; write %(name)s",
                    brief(found)
                )
            }
            Self::TooDeep { at, wanted } => write!(
                f,
                "{at}: option '{}' leads to itself, or through more than ten others; break the chain",
                wanted.option
            ),
            Self::ValueTooLong { at, option } => {
                write!(
                    f,
                    "{at}: option '{option}' grows beyond {MAX_VALUE} bytes; shorten what it refers to"
                )
            }
            Self::SelfReference {
                at, option, tag, ..
            } => {
                write!(
                    f,
                    "{at}: tag <{tag}> in option '{option}' leads to itself; break the chain"
                )
            }
            _ => Ok(()),
        }
    }
}

/// What to do about a file that cannot be read.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::IsADirectory => "; a file is wanted, not a directory",
        io::ErrorKind::PermissionDenied => "; check its owner and mode",
        _ => "",
    }
}

/// As much of a line as fits into a message.
fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut brief: String = line.chars().take(60).collect();
    if brief.len() < line.len() {
        brief.push('…');
    }
    brief
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// All mistakes found in one go: at least one.
#[derive(Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// `Ok(good)` without errors.
    pub(crate) fn unless_empty<T>(errors: Vec<Error>, good: T) -> Result<T, Self> {
        if errors.is_empty() {
            Ok(good)
        } else {
            Err(Self(errors))
        }
    }

    /// The mistakes, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
