//! One way to write a time: what finds it in a line, and what it says.
//!
//! A template is a regular expression, made of a pattern, and compiled when it is
//! first needed. A default template is also [read by hand](crate::quick) where that
//! gives the same. Which template a line belongs to is left to
//! [`choice`](crate::choice).

use std::ops::Range;
use std::sync::OnceLock;

use ferroban_regex::{Captures, Flags, Regex};

use crate::decimal::digit;
use crate::fields::{Fields, Reading};
use crate::kept::Kept;
use crate::line::Line;
use crate::pattern::{Expression, LINE_BEGIN, Left, bounded, expression, has_group};
use crate::quick::{Quick, Seen, Value};
use crate::shape::Shape;
use crate::{PatternError, Timestamp, Unusable};

/// One way to write a time.
#[derive(Debug)]
pub(crate) struct Template {
    expression: Expression,
    /// As it was given; none for a word that stands for a template.
    pattern: Option<String>,
    source: String,
    weight: f64,
    content: Content,
    quick: Option<Quick>,
    compiled: OnceLock<Result<Regex, String>>,
}

/// What the groups of an expression are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    /// Fields of a calendar, by their names.
    Fields,
    /// Seconds since the epoch in that group; `long`: perhaps milliseconds or
    /// microseconds.
    Epoch { group: usize, long: bool },
    /// A label of TAI64N.
    Tai64n,
}

/// A match in a line.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    /// All that matched.
    pub(crate) whole: Range<usize>,
    /// What is cut from the line.
    pub(crate) cut: Range<usize>,
    said: Said<'a>,
}

#[derive(Debug)]
enum Said<'a> {
    Read(Value<'a>),
    Matched(Captures<'a>),
}

const EPOCH: &str = r"\d{10,11}\b(?:\.\d{3,6})?";
const LONG_EPOCH: &str = r"\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?";
const TAI64N: &str = "@[0-9a-f]{24}";

/// The words that stand for a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    Epoch,
    LongEpoch,
    Tai64n,
}

/// The word that a pattern is, and whether it is bound to the beginning of the line.
fn word(pattern: &str) -> Option<(Word, bool)> {
    let upper = pattern.to_uppercase();
    let prefixes = [LINE_BEGIN, "^"];
    let bare = prefixes
        .into_iter()
        .find_map(|prefix| upper.strip_prefix(prefix));
    let word = match bare.unwrap_or(&upper) {
        "EPOCH" => Word::Epoch,
        "LEPOCH" => Word::LongEpoch,
        "TAI64N" => Word::Tai64n,
        _ => return None,
    };
    Some((word, bare.is_some()))
}

/// The name of a pattern that is a word, or whose name is its own text.
pub(crate) fn special_name(pattern: &str) -> Option<String> {
    if pattern.eq_ignore_ascii_case("{NONE}") {
        return Some("^".to_owned());
    }
    if has_epoch(pattern) {
        return Some(pattern.to_owned());
    }
    let (word, begin) = word(pattern)?;
    let name = word.name();
    Some(if begin {
        format!("{LINE_BEGIN}{name}")
    } else {
        name.to_owned()
    })
}

impl Word {
    const fn name(self) -> &'static str {
        match self {
            Self::Epoch => "Epoch",
            Self::LongEpoch => "LongEpoch",
            Self::Tai64n => "TAI64N",
        }
    }

    fn expression(self, begin: bool) -> Expression {
        let digits = match self {
            Self::Epoch => EPOCH,
            Self::LongEpoch => LONG_EPOCH,
            Self::Tai64n => {
                let left = if begin {
                    Left::LineBegin
                } else {
                    Left::Anything
                };
                return bounded(self.name().to_owned(), TAI64N, left, true);
            }
        };
        // A bracket that opens before the number as the first character must close
        // after it, or text of an attacker could pass for a stamp. The original
        // means that too, and fails to ask: its conditions are never both unmet.
        let close = r"(?(square)(?=\]))";
        let (regex, left) = if begin {
            (
                format!(r"((?P<square>(?<=^\[))?+{digits}){close}"),
                Left::LineBegin,
            )
        } else {
            let places = r"(?:^|(?P<square>(?<=^\[))|(?<=\baudit\())";
            (format!("({places}{digits}){close}"), Left::Anything)
        };
        bounded(self.name().to_owned(), &regex, left, true)
    }

    const fn content(self) -> Content {
        match self {
            Self::Epoch | Self::LongEpoch => Content::Epoch {
                group: 1,
                long: matches!(self, Self::LongEpoch),
            },
            Self::Tai64n => Content::Tai64n,
        }
    }
}

/// `{EPOCH}` or `{LEPOCH}` in a pattern, in any case, not escaped: the text before
/// and after.
fn epoch_in(pattern: &str) -> Option<(&str, &str)> {
    let mut places = pattern.match_indices('{').map(|(at, _)| at);
    places.find_map(|at| {
        let (before, rest) = pattern.split_at_checked(at)?;
        let words = ["{EPOCH}", "{LEPOCH}"];
        let after = words.into_iter().find_map(|word| {
            let (text, after) = rest.split_at_checked(word.len())?;
            text.eq_ignore_ascii_case(word).then_some(after)
        })?;
        (!before.ends_with('\\')).then_some((before, after))
    })
}

/// Whether a pattern is a plain expression with the seconds since the epoch in it.
/// One with a percent sign must say so in capitals.
fn has_epoch(pattern: &str) -> bool {
    key(pattern).contains("EPOCH") && epoch_in(pattern).is_some()
}

/// A pattern as its words are looked for: in capitals, unless it has directives.
pub(crate) fn key(pattern: &str) -> String {
    if pattern.contains('%') {
        pattern.to_owned()
    } else {
        pattern.to_uppercase()
    }
}

/// A pattern with `{EPOCH}` in it.
fn around_epoch(pattern: &str) -> (Expression, Content) {
    let long = key(pattern).contains("LEPOCH");
    let digits = if long { LONG_EPOCH } else { EPOCH };
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = epoch_in(rest) {
        text += before;
        text += &format!("({digits})");
        rest = after;
    }
    text += rest;
    // A group of the pattern's own is what is cut.
    if !has_group(pattern) {
        text = format!("({text})");
    }
    let expression = bounded(pattern.to_owned(), &text, Left::Edge, true);
    (expression, Content::Epoch { group: 2, long })
}

impl Template {
    /// The template of a pattern, with `years` for `%ExY`; what is wrong with it.
    pub(crate) fn new(pattern: &str, years: &str) -> Result<Self, String> {
        let (expression, content, shown) = if has_epoch(pattern) {
            let (expression, content) = around_epoch(pattern);
            (expression, content, None)
        } else if let Some((word, begin)) = word(pattern) {
            (word.expression(begin), word.content(), None)
        } else {
            let shown = if pattern.eq_ignore_ascii_case("{NONE}") {
                "{UNB}^"
            } else {
                pattern
            };
            (
                expression(shown, years)?,
                Content::Fields,
                Some(shown.to_owned()),
            )
        };
        Ok(Self {
            expression,
            pattern: shown,
            source: pattern.to_owned(),
            weight: 1.0,
            content,
            quick: None,
            compiled: OnceLock::new(),
        })
    }

    /// The same template in other years.
    pub(crate) fn in_years(&self, years: &str) -> Result<Self, String> {
        Ok(Self {
            weight: self.weight,
            quick: self.quick,
            ..Self::new(&self.source, years)?
        })
    }

    pub(crate) fn weighing(self, weight: f64) -> Self {
        Self { weight, ..self }
    }

    pub(crate) fn read_by(self, quick: Quick) -> Self {
        let quick = Some(quick);
        Self { quick, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.expression.name
    }

    pub(crate) fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    pub(crate) fn regex(&self) -> &str {
        &self.expression.regex
    }

    pub(crate) const fn weight(&self) -> f64 {
        self.weight
    }

    /// Whether it is bound to the beginning or the end of the line.
    pub(crate) const fn is_anchored(&self) -> bool {
        self.expression.anchored
    }

    /// The compiled expression; what is wrong with it.
    pub(crate) fn compiled(&self) -> Result<&Regex, &str> {
        let compile =
            || Regex::new(self.regex(), Flags::default()).map_err(|error| error.to_string());
        let compiled = self.compiled.get_or_init(compile);
        compiled.as_ref().map_err(String::as_str)
    }

    /// Whether the expression is one; a default template's is.
    pub(crate) fn check(&self) -> Result<(), PatternError> {
        if self.quick.is_some() {
            return Ok(());
        }
        let compiled = self.compiled().map(|_| ());
        compiled.map_err(|problem| PatternError::bad(&self.source, problem))
    }

    /// The date at the beginning of the line of a template that is bound to it and
    /// read by hand. None is no answer: [`search`](Self::search) may find one.
    pub(crate) fn read_at_edge<'a>(&self, line: &Line<'a>) -> Option<Seen<'a>> {
        let quick = self
            .quick
            .as_ref()
            .filter(|_| self.is_anchored() && line.is_plain())?;
        quick.find_at_edge(line)
    }

    /// Whether it needs a clock where this line has none.
    #[inline]
    pub(crate) fn is_ruled_out(&self, line: &Line<'_>) -> bool {
        let quick = self.quick.as_ref();
        quick.is_some_and(|quick| line.is_plain() && quick.is_ruled_out(line))
    }

    /// The form of a date of this template, if that tells how to read the next.
    pub(crate) fn shape(&self, line: &Line<'_>, seen: &Seen<'_>) -> Option<Shape> {
        let quick = self.quick.filter(Quick::has_day_clock);
        quick.and_then(|_| Shape::new(line, seen))
    }

    /// The first match that begins at `from` or later and ends at `to` or earlier,
    /// as if the line ended there.
    pub(crate) fn search<'a>(&self, line: &Line<'a>, from: usize, to: usize) -> Option<Hit<'a>> {
        let Some(quick) = self.quick else {
            return self.search_by_regex(line.text().get(..to)?, from);
        };
        if !line.is_plain() {
            if quick.has_clock() && !line.may_have_odd_clock() {
                return None;
            }
            return self.search_by_regex(line.text().get(..to)?, from);
        }
        let seen = quick.find(line, from, to)?;
        Some(Hit {
            whole: seen.start..seen.cut.1,
            cut: seen.cut.0..seen.cut.1,
            said: Said::Read(seen.value),
        })
    }

    /// As [`search`](Self::search), by the expression. A search that is given up
    /// because it takes too long has found nothing.
    fn search_by_regex<'a>(&self, text: &'a str, from: usize) -> Option<Hit<'a>> {
        let captures = self.compiled().ok()?.search_from(text, from).ok()??;
        let whole = captures.span(0)?;
        // A group that took no part cuts nothing.
        let cut = captures.span(1).unwrap_or(whole.start..whole.start);
        let said = Said::Matched(captures);
        Some(Hit { whole, cut, said })
    }

    /// The instant that a match tells.
    pub(crate) fn instant(
        &self,
        hit: &Hit<'_>,
        reading: Reading<'_>,
        kept: &mut Kept,
    ) -> Result<Timestamp, Unusable> {
        match &hit.said {
            Said::Read(value) => value.instant(reading, kept),
            Said::Matched(captures) => self.matched(captures, reading, kept),
        }
    }

    fn matched(
        &self,
        captures: &Captures<'_>,
        reading: Reading<'_>,
        kept: &mut Kept,
    ) -> Result<Timestamp, Unusable> {
        match self.content {
            Content::Fields => {
                let regex = self.compiled().map_err(|_| Unusable::NotATime)?;
                let fields = Fields::of(captures, regex.group_names())?;
                match fields.stamp() {
                    Some(stamp) => kept.instant(stamp, reading),
                    None => fields.instant(reading),
                }
            }
            Content::Epoch { group, long } => {
                let text = captures.get(group).ok_or(Unusable::Incomplete)?;
                let micros = epoch(text, long).ok_or(Unusable::NotATime)?;
                Ok(Timestamp::from_micros(micros))
            }
            Content::Tai64n => {
                let label = captures.get(1).ok_or(Unusable::Incomplete)?;
                let seconds = label
                    .get(2..17)
                    .and_then(|hex| i64::from_str_radix(hex, 16).ok());
                let seconds = seconds.ok_or(Unusable::NotATime)?;
                Ok(Timestamp::from_secs(seconds))
            }
        }
    }
}

/// The microseconds of a number of seconds; `long`: of 13 characters and more they
/// are milliseconds, of 16 digits and more microseconds.
fn epoch(text: &str, long: bool) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let length = text.chars().count();
    let scale: u32 = match length {
        16.. if long && fraction.is_empty() => 0,
        13.. if long => 3,
        _ => 6,
    };
    let (mut value, mut places) = (0_i64, 0);
    for c in whole.chars() {
        value = value.checked_mul(10)?.checked_add(digit(c)?.into())?;
    }
    let mut digits = fraction.chars();
    while places < scale {
        let digit = digits.next().map_or(Some(0), digit)?;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
        places += 1;
    }
    // The first digit too small to keep rounds.
    let up = digits
        .next()
        .is_some_and(|c| digit(c).is_some_and(|d| d >= 5));
    Some(value + i64::from(up))
}

#[cfg(test)]
mod tests;
