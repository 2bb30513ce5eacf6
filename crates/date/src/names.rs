//! What a date pattern is called: its directives as words.

/// The words of directives, without those that keep their form.
const WORDS: &[(char, &str)] = &[
    ('a', "DAY"),
    ('A', "DAYNAME"),
    ('b', "MON"),
    ('B', "MONTH"),
    ('d', "Day"),
    ('H', "24hour"),
    ('I', "12hour"),
    ('j', "Yearday"),
    ('m', "Month"),
    ('M', "Minute"),
    ('p', "AMPM"),
    ('S', "Second"),
    ('U', "Yearweek"),
    ('W', "Yearweek"),
    ('w', "Weekday"),
    ('y', "Year2"),
    ('Y', "Year"),
    ('f', "Microseconds"),
    ('z', "Zone offset"),
    ('Z', "Zone name"),
    ('%', "%"),
];

/// The name under which fail2ban shows a date pattern.
///
/// ```
/// assert_eq!(ferroban_date::display_name("%Y-%m-%d"), "Year-Month-Day");
/// assert_eq!(ferroban_date::display_name("EPOCH"), "Epoch");
/// ```
#[must_use]
pub fn display_name(pattern: &str) -> String {
    let (anchor, bare) = match pattern.strip_prefix("{^LN-BEG}") {
        Some(bare) => ("{^LN-BEG}", bare),
        None => ("", pattern),
    };
    let special = match bare.trim_start_matches('^').to_ascii_uppercase().as_str() {
        "EPOCH" => Some("Epoch"),
        "LEPOCH" => Some("LongEpoch"),
        "TAI64N" => Some("TAI64N"),
        _ => None,
    };
    if let Some(name) = special {
        return format!("{anchor}{name}");
    }
    let mut name = String::from(anchor);
    let mut rest = bare.strip_prefix("{UNB}").unwrap_or(bare).chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            name.push(c);
            continue;
        }
        match rest.next() {
            // `%Ex`: the exact form of a directive.
            Some('E') => {
                let extended: Vec<char> = rest.by_ref().take(2).collect();
                let word = extended.last().and_then(|&c| word(c));
                match (extended.as_slice(), word) {
                    ([kind, _], Some(word)) => {
                        name.extend(['E', *kind]);
                        name.push_str(word);
                    }
                    (extended, _) => {
                        name.push_str("%E");
                        name.extend(extended);
                    }
                }
            }
            Some(c) => match word(c) {
                Some(word) => name.push_str(word),
                None => name.extend(['%', c]),
            },
            None => name.push('%'),
        }
    }
    name
}

fn word(directive: char) -> Option<&'static str> {
    let row = WORDS.iter().find(|(c, _)| *c == directive);
    row.map(|(_, word)| *word)
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
            ("{UNB}^", "^"),
            ("{^LN-BEG}EPOCH", "{^LN-BEG}Epoch"),
            ("lepoch", "LongEpoch"),
            ("TAI64N", "TAI64N"),
            ("{EPOCH} x", "{EPOCH} x"),
        ];
        for (pattern, name) in cases {
            assert_eq!(display_name(pattern), name, "{pattern}");
        }
    }
}
