//! Any bytes on the control socket, in any portions: the same messages come out as of one
//! portion, and no more waits than a message may have.
#![no_main]

use ferroban::wire::frame::{END, Frame, Frames};

/// All messages there are by now; `false` if no more will come.
fn take(frames: &mut Frames, all: &mut Vec<Frame>) -> bool {
    loop {
        match frames.next() {
            Ok(Some(frame)) => all.push(frame),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (limit, sizes, bytes) = input;
    let limit = usize::from(limit);
    let (mut whole, mut expected) = (Frames::new(limit), Vec::new());
    whole.push(&bytes);
    let goes_on = take(&mut whole, &mut expected);

    let (mut parts, mut found) = (Frames::new(limit), Vec::new());
    let mut rest = bytes.as_slice();
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let mut open = take(&mut parts, &mut found);
    while open && !rest.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX);
        let (now, later) = rest.split_at(size.min(rest.len()));
        parts.push(now);
        open = take(&mut parts, &mut found);
        assert!(!open || parts.waiting() < limit + END.len());
        rest = later;
    }
    assert_eq!((found, open), (expected, goes_on));
});
