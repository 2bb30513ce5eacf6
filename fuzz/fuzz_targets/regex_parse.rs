//! Any pattern on any text: refused or searched, within its budget.
#![no_main]

use ferroban_regex::{Flags, Regex};

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    if let Ok(regex) = Regex::new(pattern, Flags::default()) {
        let _ = regex.search(text);
    }
});
