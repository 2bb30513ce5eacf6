//! Any pattern at all: compiled, or refused with a place that can be shown.
#![no_main]

use ferroban_regex::{Flags, Regex};

libfuzzer_sys::fuzz_target!(|pattern: &str| match Regex::new(pattern, Flags::default()) {
    Ok(regex) => assert_eq!(regex.as_str(), pattern),
    Err(error) => {
        let position = error.position().unwrap_or(0);
        assert!(position <= pattern.chars().count());
        let caret = error.caret(pattern).to_string();
        assert!(caret.is_empty() || caret.ends_with('^'));
    }
});
