//! Finds the time in a log line.
//!
//! Programs write the time in a dozen ways, and fail2ban knows seventeen of them
//! without being told. This crate finds the same one in the same place, says
//! which bytes to cut from the line, and turns what they say into an instant:
//!
//! ```
//! use ferroban_date::{Detector, Timestamp, Zone, local_text};
//!
//! let zone = Zone::posix("CET-01CEST-02,M3.5.0,M10.5.0")?;
//! let mut detector = Detector::new(zone.clone());
//! let now = Timestamp::from_secs(1_781_524_800); // 2026-06-15 12:00:00 UTC
//!
//! let line = "Jun 15 13:58:01 host sshd[7]: Failed password for root";
//! let found = detector.find(line, now).expect("the line begins with a date");
//! assert_eq!(found.span, 0..15);
//! assert_eq!(found.time.secs(), 1_781_524_681);
//! assert_eq!(local_text(found.time, &zone), "2026-06-15 13:58:01");
//! # Ok::<(), ferroban_date::Error>(())
//! ```
//!
//! It reads no clock: the caller passes `now`, which decides the year of a stamp
//! that has none. A log of another format has a pattern of its own:
//!
//! ```
//! use ferroban_date::{Detector, Search, Timestamp, Unusable, Zone};
//!
//! let now = Timestamp::from_secs(1_781_524_800);
//! let patterns = [r"^\[(%d\.%m\.%Y %H:%M)\]".to_owned()];
//! let mut detector = Detector::with_patterns(&patterns, Zone::utc(), now)?;
//! let found = detector.find("[15.06.2026 11:58] failed", now).expect("it fits");
//! assert_eq!(found.span, 1..17);
//! let answer = detector.search("[30.02.2026 11:58] failed", now);
//! assert_eq!(answer, Search::Unusable { span: 1..17, why: Unusable::NotATime });
//! # Ok::<(), ferroban_date::PatternError>(())
//! ```
#![forbid(unsafe_code)]

mod builtin;
mod choice;
mod decimal;
mod detector;
mod directive;
mod error;
mod fields;
mod kept;
mod line;
mod log_zone;
mod pattern;
mod quick;
mod reader;
mod shape;
mod template;
mod timestamp;
mod zone;

pub use detector::{Detector, Found, Search, TemplateView, Unusable};
pub use error::{Error, PatternError};
pub use log_zone::{LogZone, LogZoneError};
pub use pattern::display_name;
pub use timestamp::Timestamp;
pub use zone::{Zone, local_text, local_text_millis, rfc3339_millis};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
