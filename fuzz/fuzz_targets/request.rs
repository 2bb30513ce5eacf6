//! Any bytes as a request: it is understood or refused, and whoever may only look changes
//! nothing.
#![no_main]

use ferroban::doors::understand;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(asked) = understand(bytes) {
        assert!(!(asked.changes && asked.harmless));
    }
});
