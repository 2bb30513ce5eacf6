//! Which known name was probably meant.

/// The name closest to `wanted`, if one is close enough to be a slip of the keyboard.
///
/// ```
/// let known = ["enabled", "maxretry"];
/// assert_eq!(ferroban_config::nearest("enable", known).as_deref(), Some("enabled"));
/// ```
#[must_use]
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted: Vec<char> = wanted.chars().take(LONGEST + 1).collect();
    if wanted.len() > LONGEST {
        return None;
    }
    let allowed = (wanted.len() / 3).max(1);
    known
        .into_iter()
        .filter(|name| name.len() <= 4 * LONGEST)
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name.to_owned())
}

const LONGEST: usize = 40;

/// How many letters must be changed, added or taken away (Levenshtein).
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (i, there) in to.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, here) in from.iter().enumerate() {
            let changed = diagonal + usize::from(*here != there);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_does_not() {
        let known = ["maxretry", "action_mwl", "findtime", "port"];
        let cases = [
            ("maxrety", Some("maxretry")),
            ("action_mwx", Some("action_mwl")),
            ("fnidtime", Some("findtime")),
            ("prt", Some("port")),
            ("bantime", None),
            ("", None),
        ];
        for (wanted, expected) in cases {
            assert_eq!(nearest(wanted, known).as_deref(), expected, "{wanted}");
        }
    }
}
