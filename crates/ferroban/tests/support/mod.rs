//! A small world for end-to-end tests: two network namespaces and real programs.
//!
//! Every test runs in a [`world`] of its own, so tests neither see one another nor
//! change anything of the machine. The modules here start and ask real programs;
//! what must hold is said by the tests alone.

pub(crate) mod child;
pub(crate) mod guard;
pub(crate) mod kernel;
pub(crate) mod logging;
pub(crate) mod original;
pub(crate) mod ssh;
pub(crate) mod wait;
pub(crate) mod world;
