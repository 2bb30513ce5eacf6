//! The stock patterns of an installed fail2ban find in its sample lines what they find in CPython.

#[cfg(test)]
mod answer;
#[cfg(test)]
mod stock;

#[cfg(test)]
mod tests {
    use crate::answer::{GIVEN_UP, answer};
    use crate::stock::{ask, corpus, pattern, unhex};
    use ferroban_regex::{Flags, Regex};
    use std::collections::HashMap;

    /// What one part of the patterns came to.
    #[derive(Default)]
    struct Part {
        patterns: usize,
        searches: usize,
        matches: usize,
        /// Searches that took Python, or us with a back-reference, too long to say.
        skipped: usize,
        differences: Vec<String>,
    }

    fn compare(part: &str, parts: &str) -> Option<Part> {
        let answers = ask(&["answers", &corpus(), part, parts])?;
        let mut texts = Vec::new();
        let mut regex = None;
        let mut result = Part::default();
        for line in answers.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("T", text) => texts.push(unhex(text)),
                ("P", rest) => {
                    let pattern = pattern(rest);
                    let flags = Flags {
                        multi_line: pattern.multi_line,
                        ..Flags::default()
                    };
                    regex = Some(Regex::new(&pattern.text, flags).unwrap());
                }
                ("A", items) => {
                    compare_one(regex.as_ref().unwrap(), &texts, items, &mut result);
                }
                other => panic!("unknown answer {other:?}"),
            }
        }
        Some(result)
    }

    fn compare_one(regex: &Regex, texts: &[String], items: &str, result: &mut Part) {
        let theirs: HashMap<usize, &str> = items
            .split_whitespace()
            .map(|item| {
                let (index, spans) = item.split_once('=').unwrap();
                (index.parse().unwrap(), spans)
            })
            .collect();
        result.patterns += 1;
        for (index, text) in texts.iter().enumerate() {
            let expected = theirs.get(&index).copied().unwrap_or("N");
            let found = answer(regex, text);
            if expected == GIVEN_UP {
                assert_ne!(found, GIVEN_UP, "{} on {text:?}", regex.as_str());
                result.skipped += 1;
                continue;
            }
            if found == GIVEN_UP && !regex.is_linear() {
                result.skipped += 1;
                continue;
            }
            result.searches += 1;
            result.matches += usize::from(expected != "N");
            if found != expected {
                let pattern = regex.as_str();
                result.differences.push(format!(
                    "{pattern:?} on {text:?}: {found}; Python {expected}"
                ));
            }
        }
    }

    fn assert_same(part: &str) {
        let Some(part) = compare(part, "2") else {
            return;
        };
        let Part {
            patterns,
            searches,
            matches,
            skipped,
            differences,
        } = part;
        println!("{patterns} patterns, {searches} searches, {matches} matches, {skipped} skipped");
        let count = differences.len();
        let shown = differences.get(..count.min(20)).unwrap_or(&differences);
        assert!(count == 0, "{count} differences:\n{}", shown.join("\n"));
        assert!(patterns > 150 && searches > 500_000 && matches > 1000);
        assert!(skipped < searches / 1000, "{skipped} searches skipped");
    }

    // Two tests, for two processors.
    #[test]
    fn stock_patterns_find_what_they_find_in_cpython() {
        assert_same("0");
    }

    #[test]
    fn stock_patterns_find_what_they_find_in_cpython_second_half() {
        assert_same("1");
    }
}
