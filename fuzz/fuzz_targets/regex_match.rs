//! Any pattern on any text: the matcher keeps to its budget, and gives an answer where it promises one.
#![no_main]

use ferroban_regex::{Flags, Regex, Slots};

libfuzzer_sys::fuzz_target!(|input: (&str, &str, u8, u16)| {
    let (pattern, unit, letters, turns) = input;
    let flags = Flags {
        multi_line: letters & 1 != 0,
        ignore_case: letters & 2 != 0,
        dot_all: letters & 4 != 0,
        verbose: letters & 8 != 0,
        ascii: letters & 16 != 0,
    };
    let Ok(regex) = Regex::new(pattern, flags) else {
        return;
    };
    let text = unit.repeat(usize::from(turns % 256) + 1);
    let mut slots = Slots::default();
    let found = regex.search_into(&text, 0, &mut slots);
    assert!(slots.steps() <= regex.step_limit(text.len()));
    // On a text this short the notes of no pattern fill the memory.
    if regex.is_linear() && text.len() < 256 {
        assert!(found.is_ok());
    }
    if found == Ok(true) {
        let whole = slots.span(0).unwrap();
        assert!(text.get(whole).is_some());
    }
    if let (Ok(found), Ok(wary)) = (found, regex.search_warily(&text)) {
        assert_eq!(found, wary.is_some());
        for group in 0..=regex.groups() {
            let wary = wary.as_ref().and_then(|wary| wary.span(group));
            assert_eq!(slots.span(group), wary);
        }
    }
    let closest = regex.closest(&text);
    assert!(pattern.is_char_boundary(closest.pattern_at));
    assert!(text.get(closest.text_from..closest.text_to).is_some());
});
