//! One compiled pattern, and what it captures.

use std::fmt;
use std::ops::Range;

use ferroban_regex::{Exhausted, Flags, Regex, Slots};

use super::fields::{Fields, IDENTITY};
use super::marks::{MarkGroups, Marks};
use super::tags;
use crate::capture::Capture;
use crate::name::Name;

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterError {
    /// An empty pattern.
    Empty,
    /// A pattern that does not compile; tags are already expanded.
    Broken {
        /// The pattern as compiled.
        pattern: String,
        /// Where and why.
        source: ferroban_regex::Error,
    },
    /// A failregex that captures nobody.
    NoIdentity {
        /// The pattern as compiled.
        pattern: String,
    },
    /// A date pattern that is none.
    DatePattern(ferroban_date::PatternError),
    /// A time zone that is none.
    LogZone(ferroban_date::LogZoneError),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Cannot add empty regex"),
            Self::Broken { pattern, .. } => {
                write!(f, "Unable to compile regular expression '{pattern}'")
            }
            Self::NoIdentity { pattern } => write!(f, "No failure-id group in '{pattern}'"),
            Self::DatePattern(error) => error.fmt(f),
            Self::LogZone(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source),
            Self::Empty | Self::NoIdentity { .. } | Self::DatePattern(_) | Self::LogZone(_) => None,
        }
    }
}

/// The group of `<F-CONTENT>`.
const CONTENT: &str = "content";

/// The longest captured value that is kept, in bytes; the rest is cut. Sessions,
/// tickets and the database hold many of them, and the attacker chooses how long.
const VALUE_LIMIT: usize = 4 * 1024;

/// A pattern with `<HOST>` and `<F-…>` tags, compiled.
#[derive(Clone, Debug)]
pub(super) struct FailRegex {
    regex: Regex,
    /// Group names with their numbers, in the order of the groups, but for the content.
    names: Vec<(Name, usize)>,
    /// Those of them that say who failed, and how often.
    deciding: Vec<(Name, usize)>,
    /// Those that say what the line means for its session.
    marks: MarkGroups,
    /// `<F-CONTENT>`: what the others see, and no field.
    content: Option<usize>,
    /// `alt_NAME` groups, by the name that they stand in for.
    alternatives: Vec<Derived>,
    /// `tuple_NAME` groups, by the name that they make a tuple of.
    tuples: Vec<Derived>,
    /// The groups of `<SKIPLINES>`.
    skipped: Vec<usize>,
}

/// A field that is made of others.
#[derive(Clone, Debug)]
struct Derived {
    name: Name,
    /// The groups it is made of, in order.
    from: Vec<Name>,
}

/// A match.
pub(super) struct Hit<'a, 't> {
    regex: &'a FailRegex,
    text: &'t str,
    slots: &'a Slots,
}

impl FailRegex {
    /// Compiles a pattern; with `multi_line`, `^` and `$` are those of each line.
    pub(super) fn new(pattern: &str, multi_line: bool) -> Result<Self, FilterError> {
        Self::with_names(pattern, multi_line, true)
    }

    /// The same; where `names` is false, `<HOST>` is an address and no name.
    pub(super) fn with_names(
        pattern: &str,
        multi_line: bool,
        names: bool,
    ) -> Result<Self, FilterError> {
        if pattern.is_empty() {
            return Err(FilterError::Empty);
        }
        let expanded = tags::expand(pattern, names);
        let flags = Flags {
            multi_line,
            ..Flags::default()
        };
        let regex = Regex::new(&expanded, flags).map_err(|source| FilterError::Broken {
            pattern: expanded,
            source,
        })?;
        let names: Vec<(Name, usize)> = regex
            .group_names()
            .filter(|(name, _)| *name != CONTENT)
            .map(|(name, index)| (Name::from(name), index))
            .collect();
        let skipped = names.iter().filter(|(name, _)| is_skipped(name));
        let deciding = names.iter().filter(|(name, _)| name.decides());
        let alternatives = derived(&names, "alt_");
        let of_user = alternatives.iter().find(|it| it.name == Name::USER);
        let users = of_user.map_or(&[] as &[Name], |it| &it.from);
        Ok(Self {
            marks: MarkGroups::new(&names, users),
            deciding: deciding.cloned().collect(),
            skipped: skipped.map(|(_, index)| *index).collect(),
            alternatives,
            tuples: derived(&names, "tuple_"),
            content: regex.group(CONTENT),
            regex,
            names,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The match that was found in a text and whose places are noted in `slots`.
    pub(super) fn found<'a, 't>(&'a self, text: &'t str, slots: &'a Slots) -> Hit<'a, 't> {
        Hit {
            regex: self,
            text,
            slots,
        }
    }

    /// The first match in a text, whose places are noted in `slots`.
    #[inline(always)]
    pub(super) fn search<'a, 't>(
        &'a self,
        text: &'t str,
        slots: &'a mut Slots,
    ) -> Result<Option<Hit<'a, 't>>, Exhausted> {
        let found = self.regex.search_into(text, 0, slots)?;
        Ok(found.then(|| self.found(text, slots)))
    }

    /// Whether nothing is made of its groups; of `all`, or of those that say who failed.
    fn is_plain(&self, all: bool) -> bool {
        let mut made = self.alternatives.iter();
        // Another user is found by the marks.
        let made = made.any(|it| all || it.name != Name::USER);
        !made && self.tuples.is_empty()
    }

    fn identifies(&self) -> bool {
        self.names
            .iter()
            .any(|(name, _)| *name == Name::MLFID || IDENTITY.contains(name))
    }
}

impl<'a, 't> Hit<'a, 't> {
    fn group(&self, index: usize) -> Option<&'t str> {
        self.text.get(self.slots.span(index)?)
    }

    /// `<F-CONTENT>`, if it captured anything.
    pub(super) fn content(&self) -> Option<&'t str> {
        self.text.get(self.content_span()?)
    }

    /// Where that stands, in bytes.
    pub(super) fn content_span(&self) -> Option<Range<usize>> {
        let span = self.slots.span(self.regex.content?);
        span.filter(|span| !span.is_empty())
    }

    /// Where it matched, in bytes.
    pub(super) fn span(&self) -> Range<usize> {
        self.slots.span(0).unwrap_or_default()
    }

    /// The lines between those that matched, in bytes.
    pub(super) fn skipped(&self) -> Vec<Range<usize>> {
        let spans = self.regex.skipped.iter();
        spans.filter_map(|index| self.slots.span(*index)).collect()
    }

    /// What the line says about its session. Into `fields` comes what the groups captured, with
    /// what is made of them; `all` of it, or what says who failed, and how often.
    pub(super) fn read(&self, all: bool, fields: &mut Fields) -> Marks<'t> {
        self.fill(all, fields);
        match self.regex.is_plain(all) {
            true => self.marks(),
            false => Marks::of(fields),
        }
    }

    /// The same with what a prefix captured: of one name this wins, unless its group took
    /// no part.
    pub(super) fn read_behind(
        &self,
        prefix: &Hit<'_, 't>,
        all: bool,
        fields: &mut Fields,
    ) -> Marks<'t> {
        if !prefix.regex.is_plain(all) || !self.regex.is_plain(all) {
            prefix.fill(true, fields);
            fields.merge(&mut self.fields());
            return Marks::of(fields);
        }
        let (before, own) = (prefix.names(all), self.names(all));
        fields.clear(before.len() + own.len());
        for (name, value) in prefix.values(before) {
            fields.push(name, value);
        }
        for (name, value) in self.values(own) {
            if let Some(value) = value {
                fields.set_text(name, value);
            }
        }
        self.marks().behind(prefix.marks())
    }

    fn marks(&self) -> Marks<'t> {
        self.regex.marks.read(|index| self.value(index))
    }

    /// What all groups captured, and what is made of them.
    pub(super) fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        self.fill(true, &mut fields);
        fields
    }

    fn fill(&self, all: bool, fields: &mut Fields) {
        let regex = self.regex;
        let names = self.names(all);
        fields.clear(names.len());
        for (name, value) in self.values(names) {
            fields.push(name, value);
        }
        for alternative in &regex.alternatives {
            if fields.text(&alternative.name).is_none_or(str::is_empty) {
                let mut texts = alternative.from.iter().filter_map(|name| fields.text(name));
                if let Some(text) = texts.find(|text| !text.is_empty()) {
                    let text = text.to_owned();
                    fields.set(&alternative.name, text.into());
                }
            }
        }
        for tuple in &regex.tuples {
            let parts = std::iter::once(&tuple.name).chain(&tuple.from);
            let parts = parts.map(|name| fields.text(name).map(str::to_owned));
            let parts = Capture::Tuple(parts.collect());
            fields.set(&tuple.name, parts);
        }
    }

    /// All groups, or those that decide; what is made of others needs all.
    fn names(&self, all: bool) -> &'a [(Name, usize)] {
        match all || !self.regex.is_plain(all) {
            true => &self.regex.names,
            false => &self.regex.deciding,
        }
    }

    /// What groups captured.
    fn values<'n>(
        &self,
        names: &'n [(Name, usize)],
    ) -> impl Iterator<Item = (&'n Name, Option<&'t str>)> {
        let names = names.iter();
        names.map(move |(name, index)| (name, self.value(*index)))
    }

    /// What a group captured, as far as that is kept.
    #[inline]
    fn value(&self, index: usize) -> Option<&'t str> {
        let text = self.group(index)?;
        text.get(..text.floor_char_boundary(VALUE_LIMIT))
    }
}

fn is_skipped(name: &str) -> bool {
    let number = name.strip_prefix("skiplines");
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The fields that groups with this prefix make: `alt_user` and `alt_user_2` belong to
/// `user`, `tuple_id` to the failure's id.
fn derived(names: &[(Name, usize)], prefix: &str) -> Vec<Derived> {
    let mut all: Vec<Derived> = Vec::new();
    for (name, _) in names {
        let Some(rest) = name.strip_prefix(prefix) else {
            continue;
        };
        let base = match rest.rsplit_once('_') {
            Some((base, number))
                if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() =>
            {
                base
            }
            _ => rest,
        };
        let base = match base {
            "id" => "fid",
            "port" => "fport",
            base => base,
        };
        match all.iter_mut().find(|derived| *derived.name == *base) {
            Some(derived) => derived.from.push(name.clone()),
            None => all.push(Derived {
                name: Name::from(base),
                from: vec![name.clone()],
            }),
        }
    }
    for derived in &mut all {
        derived.from.sort_by(|a, b| a.cmp(b));
    }
    all
}

/// Every failregex must be able to say whose failure it is, by itself or through
/// the prefix.
pub(super) fn check_identifies(
    prefix: Option<&FailRegex>,
    failures: &[FailRegex],
) -> Result<(), FilterError> {
    if prefix.is_some_and(FailRegex::identifies) {
        return Ok(());
    }
    match failures.iter().find(|regex| !regex.identifies()) {
        Some(regex) => Err(FilterError::NoIdentity {
            pattern: regex.as_str().to_owned(),
        }),
        None => Ok(()),
    }
}
