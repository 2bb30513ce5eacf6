//! Any filter on any lines of a log: prefix, patterns, sessions, several lines at once,
//! dates of any look. What it takes for a date lies in the line, and what it captures is
//! not longer than what it saw.
#![no_main]

use libfuzzer_sys::arbitrary;

use ferroban_engine::{DateSight, Depth, Detail, Filter, FilterSettings, LogLine, Timestamp};

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    prefregex: Option<String>,
    failregex: Vec<String>,
    ignoreregex: Vec<String>,
    datepattern: Vec<String>,
    maxlines: u8,
    live: bool,
    all: bool,
    depth: u8,
    lines: Vec<&'a str>,
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let now = Timestamp::from_secs(1_800_000_000);
    let settings = FilterSettings {
        prefregex: input.prefregex,
        failregex: input.failregex,
        ignoreregex: input.ignoreregex,
        datepattern: input.datepattern,
        maxlines: usize::from(input.maxlines),
        findtime: 600,
        ..FilterSettings::default()
    };
    let zone = ferroban_date::Zone::utc();
    let Ok(mut filter) = Filter::new(&settings, zone, now) else {
        return;
    };
    for text in input.lines {
        let (live, time) = (input.live, None);
        let line = LogLine { text, time, live };
        let (mut failures, mut notes) = (Vec::new(), Vec::new());
        filter.feed(now, line, &mut failures, &mut notes);
        assert!(failures.len() <= 1);
        let depth = match input.depth % 4 {
            0 => Depth::Count,
            1 => Depth::Who,
            2 => Depth::Kept,
            _ => Depth::Groups,
        };
        let detail = Detail { all: input.all, depth };
        let sight = filter.examine(now, line, detail, &mut notes).clone();
        if let DateSight::Found { span, .. } | DateSight::Unusable { span, .. } = sight.date {
            assert!(text.get(span).is_some());
        }
        assert!(sight.hits.iter().all(|hit| hit.regex < settings.failregex.len()));
    }
});
