//! Ferroban: the daemon and its command line.
//!
//! One program with five names. [`cli::main`] looks at the name it was called by
//! and shows that face; everything else is in the rooms below it, and uses point
//! down only:
//!
//! ```text
//! cli -> daemon -> load, source, action, store, wire -> log, clock, names, report, process, sys
//! ```

pub mod action;
pub mod cli;
mod clock;
mod daemon;
mod load;
mod log;
mod names;
mod process;
mod report;
pub mod source;
mod store;
pub mod sys;
pub mod wire;

/// What the fuzz targets come in by: they are a package of their own and see only what is
/// public. No interface for anybody else.
#[doc(hidden)]
pub mod doors {
    pub use crate::action::{Filled, fill};
    pub use crate::daemon::{Asked, understand};
}

/// The fail2ban whose files, commands and texts are ours too. The `fail2ban-*`
/// faces, the log and the `version` command say this; `ferroban --version` says
/// our own.
pub const COMPATIBLE: &str = "1.1.1";
