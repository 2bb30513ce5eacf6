//! The default templates: the ways to write a time that nobody has to configure.
//!
//! There are seventeen, called `D01` to `D17` after their place in the list. All
//! that may stand anywhere in a line are looked for at its beginning first, by a
//! copy of a hundred times the weight: thirty-one in all.

use crate::pattern::LINE_BEGIN;
use crate::quick::QUICK;
use crate::template::Template;

/// The weight of a copy that stands at the beginning of the line.
const ANCHORED_WEIGHT: f64 = 100.0;

/// The patterns of the default templates.
pub(crate) const PATTERNS: [&str; 17] = [
    r"%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    r"%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S",
    r"%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    "%m/%d/%ExY:%H:%M:%S",
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "EPOCH",
    "{^LN-BEG}%H:%M:%S",
    "^<%m/%d/%Exy@%H:%M:%S>",
    "%Exy%Exm%Exd  ?%H:%M:%S",
    "%b %d, %ExY %I:%M:%S %p",
    "^%b-%d-%Exy %k:%M:%S",
    r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    "TAI64N",
];

/// The thirty-one, in the order in which a new detector tries them.
pub(crate) fn templates(years: &str) -> Vec<Template> {
    let (mut copies, mut bases) = (Vec::new(), Vec::new());
    for (pattern, quick) in PATTERNS.into_iter().zip(QUICK) {
        // None of these patterns is wrong.
        let Ok(base) = Template::new(pattern, years) else {
            continue;
        };
        if !base.is_anchored() {
            let copy = Template::new(&format!("{LINE_BEGIN}{pattern}"), years);
            copies
                .extend(copy.map(|copy| copy.weighing(ANCHORED_WEIGHT).read_by(quick.anchored())));
        }
        bases.push(base.read_by(quick));
    }
    copies.append(&mut bases);
    copies
}

/// `{DATE}` in a pattern, in any case, not escaped: the text before, and after.
fn placeholder(pattern: &str) -> Option<(&str, &str)> {
    let mut places = pattern.match_indices('{').map(|(at, _)| at);
    places.find_map(|at| {
        let (before, rest) = pattern.split_at_checked(at)?;
        let (word, after) = rest.split_at_checked("{DATE}".len())?;
        (word.eq_ignore_ascii_case("{DATE}") && !before.ends_with('\\')).then_some((before, after))
    })
}

/// The default templates each in place of `{DATE}` in a pattern.
pub(crate) fn embedded(pattern: &str) -> impl Iterator<Item = String> {
    PATTERNS.into_iter().map(move |base| {
        // Shown in this case, which matters only where the words are plain text.
        let base = if base == "EPOCH" { "Epoch" } else { base };
        let base = base.strip_prefix(LINE_BEGIN).unwrap_or(base);
        let mut text = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = placeholder(rest) {
            text += before;
            text += base;
            rest = after;
        }
        text + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::years;

    #[test]
    fn there_are_seventeen_and_fourteen_copies_at_the_beginning() {
        let all = templates(&years(2029));
        assert_eq!(all.len(), 31);
        assert!(all.iter().take(14).all(|template| template.is_anchored()));
        assert_eq!(
            all.iter().filter(|template| template.is_anchored()).count(),
            17
        );
        assert!(all.iter().all(|template| template.compiled().is_ok()));
    }

    #[test]
    fn a_default_template_stands_where_the_pattern_says() {
        let first = |pattern| embedded(pattern).nth(10).unwrap();
        assert_eq!(first("ts={date}"), "ts=%Exy%Exm%Exd  ?%H:%M:%S");
        assert_eq!(first(r"\{DATE}é{"), r"\{DATE}é{");
        assert_eq!(embedded("^{DATE}").nth(8).unwrap(), "^%H:%M:%S");
    }
}
