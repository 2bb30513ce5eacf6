//! From a date pattern to the regular expression that finds whole dates only.
//!
//! A date must not be glued to a word: around what a pattern says, the expression
//! asks for the edge of a word, unless the pattern brings its own edges (`^`, `$`,
//! `**`, `{UNB}`) or stands at the beginning of the line (`{^LN-BEG}`). Its first
//! group is what is cut from the line; a pattern without one is cut as a whole.
//!
//! The texts are those of the original, letter by letter, because `fail2ban-regex`
//! shows them, and because a pattern may rely on how they are put together.

use crate::directive::{is_caseless, pieces, regex, words};

/// At the beginning of the line, after at most two characters of no word.
pub(crate) const LINE_BEGIN: &str = "{^LN-BEG}";

/// What stands left of a date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    Anything,
    Edge,
    LineBegin,
}

/// A pattern as the original makes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Expression {
    /// How it is shown.
    pub(crate) name: String,
    /// The expression.
    pub(crate) regex: String,
    /// Whether it is bound to the beginning or the end of the line.
    pub(crate) anchored: bool,
}

/// The expression of a pattern with directives; what is wrong with it.
pub(crate) fn expression(pattern: &str, years: &str) -> Result<Expression, String> {
    let (body, left, right) = prefix(pattern);
    let pieces = pieces(body);
    let flags = if is_caseless(body) { "(?iu)" } else { "" };
    let text = format!("{flags}{}", regex(&pieces, years)?);
    Ok(bounded(words(&pieces), &text, left, right))
}

/// The pattern without its prefix, and what the prefix says about its edges.
fn prefix(pattern: &str) -> (&str, Left, bool) {
    if let Some(body) = pattern.strip_prefix("{UNB}") {
        (body, Left::Anything, false)
    } else if let Some(body) = pattern.strip_prefix(LINE_BEGIN) {
        (body, Left::LineBegin, true)
    } else {
        (pattern, Left::Edge, true)
    }
}

/// The name under which fail2ban shows a date pattern.
///
/// ```
/// assert_eq!(ferroban_date::display_name("%Y-%m-%d"), "Year-Month-Day");
/// assert_eq!(ferroban_date::display_name("EPOCH"), "Epoch");
/// ```
///
/// What is wrong with a pattern does not matter here: an unknown directive is
/// shown as it is.
#[must_use]
pub fn display_name(pattern: &str) -> String {
    if let Some(name) = crate::template::special_name(pattern) {
        return name;
    }
    let (body, left, _) = prefix(pattern);
    let name = words(&pieces(body));
    if left == Left::LineBegin && !brings_left_edge(body) {
        return format!("{LINE_BEGIN}{name}");
    }
    name
}

/// Puts the edges around an expression, and a group around what is cut.
pub(crate) fn bounded(name: String, regex: &str, left: Left, right: bool) -> Expression {
    let (flags, body) = without_flags(regex.trim());
    let left = if brings_left_edge(&body) {
        Left::Anything
    } else {
        left
    };
    let right = right && !brings_right_edge(&body);
    let mut body = if has_group(&body) {
        body
    } else {
        grouped(&body)
    };
    let mut name = name;
    let mut anchored = false;
    match left {
        Left::Anything => {}
        Left::Edge => body.insert_str(0, r"(?=^|\b|\W)"),
        Left::LineBegin => {
            body.insert_str(0, r"^(?:\W{0,2})?");
            anchored = true;
            if !name.starts_with(LINE_BEGIN) {
                name.insert_str(0, LINE_BEGIN);
            }
        }
    }
    if right {
        body += r"(?=\b|\W|$)";
    }
    anchored |= begins_line(&body) || ends_line(&body);
    Expression {
        name,
        regex: flags + &without_stars(&body),
        anchored,
    }
}

/// A group of flags such as `(?iu)` is moved to the front: the first there is.
fn without_flags(regex: &str) -> (String, String) {
    let mut places = regex.match_indices("(?");
    let found = places.find_map(|(at, _)| {
        let length = flag_group(regex.get(at..)?, |c| c.is_ascii_lowercase())?;
        let (before, rest) = regex.split_at_checked(at)?;
        let (flags, after) = rest.split_at_checked(length)?;
        Some((flags.to_owned(), format!("{before}{after}")))
    });
    found.unwrap_or_else(|| (String::new(), regex.to_owned()))
}

/// The length of the `(?…)` that a text begins with, if only such characters are in it.
fn flag_group(text: &str, allowed: fn(char) -> bool) -> Option<usize> {
    let inside = text.strip_prefix("(?")?;
    let (flags, _) = inside.split_once(')')?;
    (!flags.is_empty() && flags.chars().all(allowed)).then_some(flags.len() + 3)
}

/// The text after a group of flags, if it begins with one.
fn after_flags(text: &str) -> Option<&str> {
    let length = flag_group(text, |c| c.is_alphanumeric() || c == '_')?;
    text.get(length..)
}

/// The text after any number of opening parentheses, and after one less: the last
/// may belong to what comes next.
fn after_parens(text: &str) -> [&str; 2] {
    let after = text.trim_start_matches('(');
    let before = (text.len() - after.len()).saturating_sub(1);
    [after, text.get(before..).unwrap_or(after)]
}

/// Whether an expression begins with an edge of its own: `^`, `**`, perhaps in
/// parentheses or after flags.
fn brings_left_edge(regex: &str) -> bool {
    let edge = |text: &str| {
        text.starts_with('^')
            || text.starts_with("(^")
            || text.starts_with("(?:^")
            || text.trim_start_matches('(').starts_with("**")
    };
    let places = after_parens(regex);
    let unflagged = places.into_iter().filter_map(after_flags);
    places.into_iter().chain(unflagged).any(edge)
}

/// Whether an expression ends with an edge of its own: `$`, `$)`, `\b`, `\s` or `**`.
fn brings_right_edge(regex: &str) -> bool {
    let stars = regex.trim_end_matches(')').strip_suffix("**");
    let others = ["$", "$)", r"\b", r"\s"];
    let mut before = others
        .into_iter()
        .filter_map(|edge| regex.strip_suffix(edge))
        .chain(stars);
    before.any(|before| !before.ends_with('\\'))
}

/// Whether there is a plain group: a parenthesis that is neither escaped nor
/// followed by `?`.
pub(crate) fn has_group(regex: &str) -> bool {
    regex.match_indices('(').any(|(at, _)| {
        let before = regex.get(..at).unwrap_or("");
        let after = regex.get(at + 1..).unwrap_or("");
        !before.ends_with('\\') && !before.ends_with("(?") && !after.starts_with('?')
    })
}

/// A group around all but flags, `^` and `$`.
fn grouped(regex: &str) -> String {
    let mut rest = after_flags(regex).unwrap_or(regex);
    rest = rest.strip_prefix('^').unwrap_or(rest);
    rest = after_flags(rest).unwrap_or(rest);
    let before = regex.strip_suffix(rest).unwrap_or("");
    let (body, end) = match rest.strip_suffix('$') {
        Some(body) => (body, "$"),
        None => (rest, ""),
    };
    format!("{before}({body}){end}")
}

fn begins_line(regex: &str) -> bool {
    let rest = after_flags(regex).unwrap_or(regex);
    let in_group = ["(^", "(?:^"];
    rest.starts_with('^')
        || in_group
            .into_iter()
            .filter_map(|edge| rest.strip_prefix(edge))
            .any(|after| !after.starts_with('|'))
}

fn ends_line(regex: &str) -> bool {
    let before = ["$", "$)"]
        .into_iter()
        .find_map(|edge| regex.strip_suffix(edge));
    before.is_some_and(|before| !before.ends_with(['\\', '|']))
}

/// The expression without the `**` at its ends.
fn without_stars(regex: &str) -> String {
    let mut body = regex.to_owned();
    for rest in after_parens(regex) {
        let rest = after_flags(rest).unwrap_or(rest);
        if let Some(after) = rest.trim_start_matches('(').strip_prefix("**") {
            let parens = regex.len() - after.len() - 2;
            body = format!("{}{after}", regex.get(..parens).unwrap_or(""));
            break;
        }
    }
    let unclosed = body.trim_end_matches(')');
    let parens = body.get(unclosed.len()..).unwrap_or("");
    match unclosed.strip_suffix("**") {
        Some(before) if !before.ends_with('\\') => format!("{before}{parens}"),
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_become_words() {
        let cases = [
            ("%Y-%m-%d %H:%M", "Year-Month-Day 24hour:Minute"),
            (
                "^%b %d %H:%M:%S %y %%",
                "^MON Day 24hour:Minute:Second Year2 %",
            ),
            (
                "{^LN-BEG}%ExY(?P<_sep>[-/.])%m",
                "{^LN-BEG}ExYear(?P<_sep>[-/.])Month",
            ),
            ("%Exk %k %c %", "%Exk %k %c %"),
            ("%q %Eq%Y", "%q %EqYear"),
            ("{UNB}^", "^"),
            ("{NONE}", "^"),
            ("{^LN-BEG}^%Y", "^Year"),
            ("{^LN-BEG}EPOCH", "{^LN-BEG}Epoch"),
            ("^epoch", "{^LN-BEG}Epoch"),
            ("lepoch", "LongEpoch"),
            ("TAI64N", "TAI64N"),
            ("{EPOCH} x", "{EPOCH} x"),
        ];
        for (pattern, name) in cases {
            assert_eq!(display_name(pattern), name, "{pattern}");
        }
    }
}
