//! Any lines at any time, by the default templates and by any patterns: a date found
//! in one lies between two characters, and neither pattern nor line makes us panic.
#![no_main]

use ferroban_date::{Detector, LogZone, Search, Timestamp, Zone, display_name};

libfuzzer_sys::fuzz_target!(|input: (i64, Vec<String>, &str, Vec<&str>)| {
    let (now, patterns, zone, lines) = input;
    let mut now = Timestamp::from_secs(now);
    let mut detectors = vec![Detector::new(Zone::utc())];
    for pattern in &patterns {
        drop(display_name(pattern));
    }
    detectors.extend(Detector::with_patterns(&patterns, Zone::utc(), now));
    if let (Ok(zone), Some(detector)) = (LogZone::parse(zone), detectors.pop()) {
        detectors.push(detector.in_log_zone(zone));
    }
    for detector in &mut detectors {
        for line in &lines {
            if let Search::Found(ferroban_date::Found { span, .. })
            | Search::Unusable { span, .. } = detector.search(line, now)
            {
                assert!(line.get(span).is_some_and(|date| !date.is_empty()));
            }
            assert!(
                detector
                    .last()
                    .is_none_or(|last| last < detector.templates().len())
            );
            now = now.plus_secs(200);
        }
    }
});
