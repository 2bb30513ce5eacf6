//! Any bytes as a message of the control socket; what was read can be written and read again.
#![no_main]

use ferroban::wire::{dumps, loads};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = loads(bytes) {
        let again = dumps(&value);
        // Bytes, not values: NaN is not equal to itself.
        assert!(loads(&again).is_ok_and(|value| dumps(&value) == again));
    }
});
