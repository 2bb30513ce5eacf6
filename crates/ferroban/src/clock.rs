//! The only place that asks what time it is.
//!
//! Everything else takes `now` as an argument, so that tests need not wait.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ferroban_date::{Timestamp, Zone};

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    Timestamp::from_micros(micros)
}

/// A time that only goes forward, for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn tick() -> Instant {
    Instant::now()
}

/// This host's time zone, read once.
pub(crate) fn zone() -> &'static Zone {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    ZONE.get_or_init(Zone::local)
}

/// Now, as log lines begin: `2026-11-23 02:21:22,320`.
pub(crate) fn log_stamp() -> String {
    ferroban_date::local_text_millis(now(), zone())
}
