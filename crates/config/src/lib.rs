#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | module | its idea |
//! |---|---|
//! | `line` | [`Value`]: text that knows the [`Place`] of each of its lines |
//! | `files` | [`Files`]: what reading needs, with [`Disk`] or [`Memory`] behind it |
//! | `file` | one file: sections, options, comments, continuation lines |
//! | `layers` | [`Layers`]: `.conf`, `.d/*.conf`, `.local`, `.d/*.local`, `[INCLUDES]` and what they make together |
//! | `interpolate` | `%(name)s` |
//! | `tags` | [`Definition`]: the options of a filter or an action, and `<name>` in them |
//! | `invocation` | [`Invocation`]: `name[option=value, …]` |
//! | `seconds` | [`Seconds`]: `1h 30m` |
//! | `addresses` | the items of `ignoreip` |
//! | `nearest` | [`nearest()`]: which known name was probably meant |
//! | `error`, `original` | [`Error`] in our words, and in fail2ban's |
#![forbid(unsafe_code)]

mod addresses;
mod error;
mod file;
mod files;
mod interpolate;
mod invocation;
mod layers;
mod line;
mod nearest;
mod ordered;
mod original;
mod seconds;
mod tags;

pub use addresses::addresses;
pub use error::{Error, Errors, Wanted};
pub use files::{Disk, Files, Memory};
pub use invocation::{Invocation, InvocationError};
pub use layers::Layers;
pub use line::{Place, Value};
pub use nearest::nearest;
pub use ordered::{Options, Ordered};
pub use original::quoted;
pub use seconds::{Seconds, SecondsError};
pub use tags::Definition;

/// The largest file that is read, in bytes. The largest stock file has 25 thousand.
pub const MAX_FILE: usize = 1 << 20;
/// The longest text that `%(name)s` and `<name>` may grow to, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// How many files one configuration may ask for, those that do not exist included.
pub const MAX_FILES: usize = 1000;
/// How many bytes all of them may have together.
pub const MAX_BYTES: usize = 16 << 20;
/// How deep `[INCLUDES]` may nest.
pub const MAX_INCLUDE_DEPTH: usize = 20;
/// How many mistakes of one configuration are told.
pub const MAX_ERRORS: usize = 100;
