//! Any text as `filter = …` or `action = …`.
#![no_main]

use ferroban_config::Invocation;

libfuzzer_sys::fuzz_target!(|text: &str| {
    for item in Invocation::split(text) {
        let _ = Invocation::parse(item);
    }
    let _ = Invocation::parse(text);
});
