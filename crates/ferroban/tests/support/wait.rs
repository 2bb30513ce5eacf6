//! Waiting for something to become true: the only place where a test stands still.

use std::thread;
use std::time::{Duration, Instant};

/// How long a thing may take that normally takes well under a second. Generous,
/// because all tests run at once and machines that test are busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `probe` finds something, and panics when `limit` has passed.
pub(crate) fn eventually<T>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let start = now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::park_timeout(PAUSE);
    }
}

/// As [`eventually`], for a condition.
pub(crate) fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually(limit, what, || holds().then_some(()));
}

/// The time, for deadlines.
#[expect(
    clippy::disallowed_methods,
    reason = "real programs take real time; a test of them needs a clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
