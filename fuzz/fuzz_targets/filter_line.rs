//! Any failregex on any line of a log.
#![no_main]

use ferroban_engine::{Filter, FilterSettings, LogLine, Timestamp};

libfuzzer_sys::fuzz_target!(|input: (String, &str, bool)| {
    let (pattern, text, live) = input;
    let (now, time) = (Timestamp::from_secs(1_800_000_000), None);
    let mut settings = FilterSettings::default();
    settings.failregex.push(pattern);
    if let Ok(mut filter) = Filter::new(&settings, ferroban_date::Zone::utc()) {
        let line = LogLine { text, time, live };
        filter.feed(now, line, &mut Vec::new(), &mut Vec::new());
    }
});
