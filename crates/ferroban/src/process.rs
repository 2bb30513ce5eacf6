//! The only place that starts other programs.

pub(crate) mod detached;
pub(crate) mod script;
pub(crate) mod talk;
