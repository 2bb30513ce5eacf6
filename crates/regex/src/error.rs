//! Why a pattern cannot be used, or a search not be finished.
//!
//! A pattern that Python refuses is refused with Python's own words and at the same place, because
//! people look those words up. The last three kinds are ours: limits that Python does not have.

use std::fmt;

/// Why a pattern was refused, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    kind: ErrorKind,
    place: Option<Place>,
}

/// A place in a pattern, counted in characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Place {
    position: usize,
    line: usize,
    column: usize,
    lines: usize,
}

impl Error {
    /// An error at the character `position` of `pattern`.
    pub(crate) fn at(kind: ErrorKind, pattern: &[char], position: usize) -> Self {
        let before = pattern.iter().take(position);
        let line_start = before
            .clone()
            .rposition(|c| *c == '\n')
            .map_or(0, |i| i + 1);
        let place = Place {
            position,
            line: 1 + before.filter(|c| **c == '\n').count(),
            column: 1 + position - line_start,
            lines: 1 + pattern.iter().filter(|c| **c == '\n').count(),
        };
        Self {
            kind,
            place: Some(place),
        }
    }

    /// An error of the whole pattern.
    pub(crate) fn of_whole(kind: ErrorKind) -> Self {
        Self { kind, place: None }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Where a caret should point: how many characters of the pattern stand before it. None if
    /// the error belongs to no single place.
    pub fn position(&self) -> Option<usize> {
        self.place.map(|place| place.position)
    }

    /// The line of the pattern with the mistake, and below it a caret that points there; nothing if
    /// the error belongs to no single place. A long line is cut.
    ///
    /// ```
    /// use ferroban_regex::{Flags, Regex};
    ///
    /// let pattern = r"user (\w+";
    /// let error = Regex::new(pattern, Flags::default()).unwrap_err();
    /// assert_eq!(error.caret(pattern).to_string(), "user (\\w+\n     ^");
    /// ```
    pub fn caret<'p>(&self, pattern: &'p str) -> Caret<'p> {
        Caret {
            pattern,
            place: self.place,
        }
    }

    /// The same place as line and column, both counted from 1.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        self.place.map(|place| (place.line, place.column))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        let Some(place) = self.place else {
            return Ok(());
        };
        write!(f, " at position {}", place.position)?;
        if place.lines > 1 {
            write!(f, " (line {}, column {})", place.line, place.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A line of a pattern and a caret below it; see [`Error::caret`].
#[derive(Clone, Copy, Debug)]
pub struct Caret<'p> {
    pattern: &'p str,
    place: Option<Place>,
}

impl Caret<'_> {
    /// How many characters are shown before the caret and after it.
    const BEFORE: usize = 50;
    const AFTER: usize = 25;
}

impl fmt::Display for Caret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = self.place else {
            return Ok(());
        };
        let line: Vec<char> = self
            .pattern
            .split('\n')
            .nth(place.line - 1)
            .unwrap_or_default()
            .chars()
            // Each takes one column.
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        let at = place.column - 1;
        let from = at.saturating_sub(Self::BEFORE);
        let to = line.len().min(at + Self::AFTER);
        let shown: String = line.iter().take(to).skip(from).collect();
        let before = if from > 0 { "…" } else { "" };
        let after = if to < line.len() { "…" } else { "" };
        writeln!(f, "{before}{shown}{after}")?;
        let width = before.chars().count() + at - from;
        write!(f, "{:width$}^", "")
    }
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The pattern ends in a single backslash.
    LoneBackslash,
    /// A backslash before a letter or digit that means nothing there.
    BadEscape(String),
    /// `\x`, `\u` or `\U` with too few digits.
    IncompleteEscape(String),
    /// An octal escape above `\377`.
    OctalTooLarge(String),
    /// A back-reference to a group that is not closed yet.
    OpenGroup,
    /// A look-behind refers to a group of its own.
    LookbehindGroup,
    /// There is no group of this number.
    UnknownGroup(usize),
    /// There is no group of this name.
    UnknownName(String),
    /// A group name that is no identifier.
    BadName(String),
    /// `(?(0)...)`.
    GroupZero,
    /// A group name of no characters.
    EmptyName,
    /// A group name without this character at its end.
    UnterminatedName(char),
    /// A second group of the same name.
    DuplicateName {
        /// The name.
        name: String,
        /// The number the second group would have.
        group: usize,
        /// The number of the first one.
        first: usize,
    },
    /// `[` without `]`.
    UnterminatedClass,
    /// A range in a character class whose ends are no characters, or in the wrong order.
    BadRange(String, String),
    /// `{5,2}`.
    MinAboveMax,
    /// A quantifier at the start, or after `^` and its like.
    NothingToRepeat,
    /// A quantifier after a quantifier.
    MultipleRepeat,
    /// A count in braces that even Python cannot hold.
    CountTooLarge,
    /// The pattern ends inside `(?`.
    UnexpectedEnd,
    /// `(?` followed by something unknown.
    UnknownExtension(String),
    /// `(?#` without `)`.
    UnterminatedComment,
    /// `(` without `)`.
    UnterminatedGroup,
    /// `)` without `(`.
    UnbalancedParenthesis,
    /// `(?(1)a|b|c)`.
    TooManyBranches,
    /// `(?i)` and the like anywhere but at the start.
    LateFlags,
    /// `(?L)`, which is for bytes only.
    LocaleFlag,
    /// `(?au)`.
    ClashingFlags,
    /// `(?-a:...)`.
    CannotTurnOff,
    /// `(?i-i:...)`.
    FlagOnAndOff,
    /// A letter that is no flag.
    UnknownFlag,
    /// `(?-` without a letter after it.
    MissingFlag,
    /// `(?-i` without `:`.
    MissingColon,
    /// `(?i` without one of the three characters that may follow.
    MissingFlagsEnd,
    /// A look-behind that can match texts of different lengths.
    VariableLookbehind,
    /// `\N{...}`.
    NamedCharacter,
    /// More groups inside each other than we follow.
    TooDeep,
    /// More steps than we keep once all counted repetitions are written out.
    TooLarge,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadEscape(text) => write!(f, "bad escape {text}"),
            Self::IncompleteEscape(text) => write!(f, "incomplete escape {text}"),
            Self::OctalTooLarge(text) => {
                write!(f, "octal escape value {text} outside of range 0-0o377")
            }
            Self::UnknownGroup(group) => write!(f, "invalid group reference {group}"),
            Self::UnknownName(name) => write!(f, "unknown group name {}", Quoted(name)),
            Self::BadName(name) => write!(f, "bad character in group name {}", Quoted(name)),
            Self::UnterminatedName(end) => write!(f, "missing {end}, unterminated name"),
            Self::DuplicateName { name, group, first } => write!(
                f,
                "redefinition of group name {} as group {group}; was group {first}",
                Quoted(name)
            ),
            Self::BadRange(low, high) => write!(f, "bad character range {low}-{high}"),
            Self::UnknownExtension(text) => write!(f, "unknown extension ?{text}"),
            plain => f.write_str(plain.words()),
        }
    }
}

impl ErrorKind {
    /// The message of a kind that holds no facts.
    fn words(&self) -> &'static str {
        match self {
            Self::LoneBackslash => "bad escape (end of pattern)",
            Self::OpenGroup => "cannot refer to an open group",
            Self::LookbehindGroup => {
                "cannot refer to group defined in the same lookbehind subpattern"
            }
            Self::GroupZero => "bad group number",
            Self::EmptyName => "missing group name",
            Self::UnterminatedClass => "unterminated character set",
            Self::MinAboveMax => "min repeat greater than max repeat",
            Self::NothingToRepeat => "nothing to repeat",
            Self::MultipleRepeat => "multiple repeat",
            Self::CountTooLarge => "the repetition number is too large",
            Self::UnexpectedEnd => "unexpected end of pattern",
            Self::UnterminatedComment => "missing ), unterminated comment",
            Self::UnterminatedGroup => "missing ), unterminated subpattern",
            Self::UnbalancedParenthesis => "unbalanced parenthesis",
            Self::TooManyBranches => "conditional backref with more than two branches",
            Self::LateFlags => "global flags not at the start of the expression",
            Self::LocaleFlag => "bad inline flags: cannot use 'L' flag with a str pattern",
            Self::ClashingFlags => "bad inline flags: flags 'a', 'u' and 'L' are incompatible",
            Self::CannotTurnOff => "bad inline flags: cannot turn off flags 'a', 'u' and 'L'",
            Self::FlagOnAndOff => "bad inline flags: flag turned on and off",
            Self::UnknownFlag => "unknown flag",
            Self::MissingFlag => "missing flag",
            Self::MissingColon => "missing :",
            Self::MissingFlagsEnd => "missing -, : or )",
            Self::VariableLookbehind => "look-behind requires fixed-width pattern",
            Self::NamedCharacter => "\\N{...} is not supported; write \\uXXXX",
            Self::TooDeep => "groups nested too deeply; simplify the pattern",
            Self::TooLarge => "repetitions make the pattern too large; lower the counts",
            // These hold facts and are written by `Display`.
            _ => "",
        }
    }
}

/// A name as Python's `repr` writes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') {
            '"'
        } else {
            '\''
        };
        write!(f, "{quote}")?;
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\\' => f.write_str("\\\\")?,
                c if c == quote => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        write!(f, "{quote}")
    }
}

/// A search was given up before it could say yes or no.
///
/// Only patterns with back-references, with captures inside a look-around, with a conditional on
/// many groups or with a repetition counted in thousands have a limit of steps; any pattern stops at a line so long that the notes about it
/// would fill the memory. The answer is then *unknown*, never *no*: tell it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted {
    /// How many steps were taken.
    pub steps: u64,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "search given up after {} steps; simplify the pattern",
            self.steps
        )
    }
}

impl std::error::Error for Exhausted {}
