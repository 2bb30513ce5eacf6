//! Any line at any time: the date found in it lies between two characters.
#![no_main]

use ferroban_date::{Detector, Timestamp, Zone};

libfuzzer_sys::fuzz_target!(|input: (i64, &str)| {
    let (now, line) = input;
    let detector = Detector::new(Zone::utc());
    if let Some(found) = detector.find(line, Timestamp::from_secs(now)) {
        assert!(line.get(found.span).is_some());
    }
});
