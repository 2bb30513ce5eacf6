//! The failregex that came closest to a match.

use std::ops::Range;

use ferroban_engine::{Filter, FilterSettings, UseDns};

use super::view::Stop;
use super::written;

/// One letter in common is chance.
const LEAST: usize = 2;

/// How far one pattern got.
#[derive(Debug)]
struct Reach {
    index: usize,
    pattern_at: usize,
    span: Range<usize>,
}

impl Reach {
    /// How much agrees. A `.*` takes a whole line and says little, and a pattern that begins
    /// with much that may be missing gets far on nothing: so it is the smaller of the two.
    /// Of those that agree alike the first is the best.
    fn agrees(&self) -> (usize, usize, std::cmp::Reverse<usize>) {
        let (pattern, text) = (self.pattern_at, self.span.len());
        (pattern.min(text), text, std::cmp::Reverse(self.index))
    }
}

/// The failregex that came closest, unless all disagree from the start.
pub(super) fn failregex(filter: &Filter, settings: &FilterSettings, text: &str) -> Option<Stop> {
    let reaches = filter.failregex().enumerate().map(|(index, regex)| {
        let closest = regex.closest(text);
        Reach {
            index,
            pattern_at: closest.pattern_at,
            span: closest.text_from..closest.text_to,
        }
    });
    let best = reaches.max_by_key(Reach::agrees)?;
    if best.agrees().0 < LEAST {
        return None;
    }
    let expanded = filter.failregex().nth(best.index)?.as_str();
    let written = settings.failregex.get(best.index)?;
    Some(stop(
        Some(best.index + 1),
        (written, expanded),
        (text, &best),
        settings,
    ))
}

/// Where prefregex stopped.
pub(super) fn prefregex(filter: &Filter, settings: &FilterSettings, text: &str) -> Option<Stop> {
    let regex = filter.prefregex()?;
    let closest = regex.closest(text);
    let reach = Reach {
        index: 0,
        pattern_at: closest.pattern_at,
        span: closest.text_from..closest.text_to,
    };
    let written = settings.prefregex.as_deref()?;
    Some(stop(
        None,
        (written, regex.as_str()),
        (text, &reach),
        settings,
    ))
}

fn stop(
    number: Option<usize>,
    (written, expanded): (&str, &str),
    (text, reach): (&str, &Reach),
    settings: &FilterSettings,
) -> Stop {
    let names = settings.usedns != UseDns::No;
    // The end that every line has is not shown, so nothing stops behind it.
    let text = text.strip_suffix('\n').unwrap_or(text);
    Stop {
        number,
        pattern: written.to_owned(),
        text: text.to_owned(),
        span: reach.span.start.min(text.len())..reach.span.end.min(text.len()),
        wanted: written::rest(written, expanded, reach.pattern_at, names),
    }
}
