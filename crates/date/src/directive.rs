//! The directives of a date pattern: the regular expression that `%Y` stands for,
//! and the word that it is shown as.
//!
//! What is put around a pattern to make it one that finds whole dates only is left
//! to [`pattern`](crate::pattern).

use std::fmt::Write as _;

/// A directive.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Directive {
    /// What stands after the percent sign.
    key: &'static str,
    /// What it matches. Empty: [`years`].
    regex: &'static str,
    /// What it is shown as. Empty: as it is written.
    word: &'static str,
}

/// A piece of a pattern.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece<'a> {
    /// Any other text.
    Text(&'a str),
    Directive(&'static Directive),
    /// A percent sign that begins no directive.
    Percent {
        /// The text after it.
        after: &'a str,
        /// Where it stands in the text that the original formats: `%(Y)s` for `%Y`.
        index: usize,
    },
}

impl Directive {
    fn of(key: &str) -> Option<&'static Self> {
        DIRECTIVES.iter().find(|directive| directive.key == key)
    }

    /// The one whose key stands at the beginning of a text.
    fn at_start(text: &str) -> Option<&'static Self> {
        let mut ends = [3, 1].into_iter().filter_map(|end| text.get(..end));
        ends.find_map(Self::of)
    }
}

/// The pieces of a pattern.
pub(crate) fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    let mut index = 0;
    while let Some((text, after)) = rest.split_once('%') {
        pieces.push(Piece::Text(text));
        index += text.chars().count();
        let directive = Directive::at_start(after)
            .map(|directive| (directive, directive.key.len()))
            .or_else(|| by_name(after));
        if let Some((directive, length)) = directive {
            pieces.push(Piece::Directive(directive));
            index += directive.key.len() + 4;
            rest = after.get(length..).unwrap_or_default();
        } else {
            pieces.push(Piece::Percent { after, index });
            index += 1;
            rest = after;
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// `%(Y)s`, which is `%Y` as Python writes it.
fn by_name(after: &str) -> Option<(&'static Directive, usize)> {
    let (key, rest) = after.strip_prefix('(')?.split_once(')')?;
    rest.strip_prefix('s')?;
    Some((Directive::of(key)?, key.len() + 3))
}

/// What Python says about the text after a percent sign at `index`.
fn complaint(after: &str, index: usize) -> String {
    if let Some(named) = after.strip_prefix('(') {
        return match named.split_once(')') {
            None => "incomplete format key".to_owned(),
            Some((key, _)) if Directive::of(key).is_none() => format!("'{key}'"),
            Some(_) => "a real number is required, not str".to_owned(),
        };
    }
    let modifiers = |c: char| "#0- +.123456789*hlL".contains(c);
    let skipped = after.chars().take_while(|c| modifiers(*c)).count();
    match after.chars().nth(skipped) {
        None => "incomplete format".to_owned(),
        Some(c @ ('d' | 'i' | 'u')) => {
            format!("%{c} format: a real number is required, not dict")
        }
        Some(c @ ('o' | 'x' | 'X')) => format!("%{c} format: an integer is required, not dict"),
        Some('c') => "%c requires int or char".to_owned(),
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G') => "must be real number, not dict".to_owned(),
        Some(c) => format!(
            "unsupported format character '{c}' (0x{:x}) at index {}",
            u32::from(c),
            index + 1 + skipped
        ),
    }
}

/// A pattern as a regular expression, with `years` for `%ExY`; what Python says
/// about the first percent sign that begins no directive.
pub(crate) fn regex(pieces: &[Piece<'_>], years: &str) -> Result<String, String> {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => Ok(*text),
        Piece::Directive(Directive { regex: "", .. }) => Ok(years),
        Piece::Directive(directive) => Ok(directive.regex),
        Piece::Percent { after, index } => Err(complaint(after, *index)),
    });
    texts.collect()
}

/// The pieces in the words that a pattern is shown with.
pub(crate) fn words(pieces: &[Piece<'_>]) -> String {
    let mut words = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => words += text,
            Piece::Directive(Directive { key, word: "", .. }) => {
                words.push('%');
                words += key;
            }
            Piece::Directive(directive) => words += directive.word,
            Piece::Percent { .. } => words.push('%'),
        }
    }
    words
}

/// Whether letters count in any case: a pattern with names of months or days.
pub(crate) fn is_caseless(pattern: &str) -> bool {
    let mut before = ' ';
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let named = matches!(chars.peek(), Some('a' | 'A' | 'b' | 'B' | 'p' | 'c'));
        if c == '%' && before != '%' && named {
            return true;
        }
        before = c;
    }
    false
}

/// The expression of `%ExY`: the decades from 2000 to that of `last_year`.
pub(crate) fn years(last_year: i16) -> String {
    let last = last_year / 10;
    if last < 210 {
        let decades: String = (200..=last).map(|d| digit(d % 10)).collect();
        return format!(r"(?P<Y>20[{decades}]\d)");
    }
    let mut text = "(?P<Y>(?:200".to_owned();
    for decade in 201..=last {
        // Writing to a string cannot fail.
        write!(text, "|{decade}").unwrap_or_default();
    }
    text + r")\d)"
}

fn digit(value: i16) -> char {
    u32::try_from(value)
        .ok()
        .and_then(|value| char::from_digit(value, 10))
        .unwrap_or('9')
}

const fn row(key: &'static str, regex: &'static str, word: &'static str) -> Directive {
    Directive { key, regex, word }
}

#[rustfmt::skip]
const DIRECTIVES: &[Directive] = &[
    row("%", "%", "%"),
    row("Y", r"(?P<Y>\d{4})", "Year"),
    row("ExY", "", "ExYear"),
    row("y", r"(?P<y>\d\d)", "Year2"),
    row("Exy", r"(?P<y>\d{2})", "ExYear2"),
    row("m", r"(?P<m>0?[1-9]|1[0-2])", "Month"),
    row("Exm", r"(?P<m>0[1-9]|1[0-2])", "ExMonth"),
    row("d", r"(?P<d>[1-2]\d|[0 ]?[1-9]|3[0-1])", "Day"),
    row("Exd", r"(?P<d>[1-2]\d|0[1-9]|3[0-1])", "ExDay"),
    row("H", r"(?P<H>[0-1]?\d|2[0-3])", "24hour"),
    row("ExH", r"(?P<H>[0-1]\d|2[0-3])", "Ex24hour"),
    row("k", r" ?(?P<H>[0-2]?\d)", ""),
    row("Exk", r" ?(?P<H>[0-1]?\d|2[0-3])", ""),
    row("I", r"(?P<I>1[0-2]|0[1-9]|[1-9])", "12hour"),
    row("l", r" ?(?P<I>1?\d)", ""),
    row("Exl", r" ?(?P<I>1[0-2]|\d)", ""),
    row("M", r"(?P<M>[0-5]?\d)", "Minute"),
    row("ExM", r"(?P<M>[0-5]\d)", "ExMinute"),
    row("S", r"(?P<S>[0-5]?\d|6[0-1])", "Second"),
    row("ExS", r"(?P<S>[0-5]\d|6[0-1])", "ExSecond"),
    row("f", r"(?P<f>[0-9]{1,6})", "Microseconds"),
    row("b", "(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", "MON"),
    row("B", "(?P<B>september|february|november|december|january|october|august|march|april|june|july|may)", "MONTH"),
    row("a", "(?P<a>mon|tue|wed|thu|fri|sat|sun)", "DAY"),
    row("A", "(?P<A>wednesday|thursday|saturday|tuesday|monday|friday|sunday)", "DAYNAME"),
    row("p", "(?P<p>am|pm)", "AMPM"),
    row("j", r"(?P<j>36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])", "Yearday"),
    row("U", r"(?P<U>5[0-3]|[0-4]\d|\d)", "Yearweek"),
    row("W", r"(?P<W>5[0-3]|[0-4]\d|\d)", "Yearweek"),
    row("w", "(?P<w>[0-6])", "Weekday"),
    row("u", "(?P<u>[1-7])", ""),
    row("G", r"(?P<G>\d\d\d\d)", ""),
    row("V", r"(?P<V>5[0-3]|0[1-9]|[1-4]\d|\d)", ""),
    row("z", r"(?P<z>Z|UTC|GMT|[+-][01]\d(?::?\d{2})?)", "Zone offset"),
    row("Z", "(?P<Z>Z|[A-Z]{3,5})", "Zone name"),
    row("Exz", r"(?P<z>(?:[A-Z](?:[A-Z]{2,4})?)?[+-][01]\d(?::?\d{2})?|[A-Z](?:[A-Z]{2,4})?)", "ExZone offset"),
    row("ExZ", "(?P<Z>[A-Z](?:[A-Z]{2,4})?)", "ExZone name"),
    row("c", r"(?P<a>mon|tue|wed|thu|fri|sat|sun)\s+(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\s+(?P<d>3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9])\s+(?P<H>2[0-3]|[0-1]\d|\d):(?P<M>[0-5]\d|\d):(?P<S>6[0-1]|[0-5]\d|\d)\s+(?P<Y>\d\d\d\d)", ""),
    row("x", r"(?P<m>1[0-2]|0[1-9]|[1-9])/(?P<d>3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9])/(?P<y>\d\d)", ""),
    row("X", r"(?P<H>2[0-3]|[0-1]\d|\d):(?P<M>[0-5]\d|\d):(?P<S>6[0-1]|[0-5]\d|\d)", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_decades() {
        assert_eq!(years(2029), r"(?P<Y>20[012]\d)");
        assert_eq!(years(2099), r"(?P<Y>20[0123456789]\d)");
        assert!(years(2119).ends_with(r"|210|211)\d)"));
    }

    #[test]
    fn what_is_no_directive_is_told_in_pythons_words() {
        let cases = [
            ("%Q", "unsupported format character 'Q' (0x51) at index 1"),
            (
                "é%Y-%q",
                "unsupported format character 'q' (0x71) at index 8",
            ),
            ("%%%ExY%Ex", "must be real number, not dict"),
            (
                "100% done",
                "%d format: a real number is required, not dict",
            ),
            ("%Y %", "incomplete format"),
            ("%(Y", "incomplete format key"),
            ("%(foo)s", "'foo'"),
        ];
        for (pattern, expected) in cases {
            let told = regex(&pieces(pattern), "").unwrap_err();
            assert_eq!(told, expected, "{pattern}");
        }
        assert_eq!(pieces("%(Y)s"), pieces("%Y"));
    }

    #[test]
    fn names_of_months_and_days_make_a_pattern_caseless() {
        for (pattern, expected) in [
            ("%b %d", true),
            ("%d %p", true),
            ("%Y-%m", false),
            ("%%b", false),
            ("a %c", true),
        ] {
            assert_eq!(is_caseless(pattern), expected, "{pattern}");
        }
    }
}
