//! What crosses the control socket, as bytes.
//!
//! Clients and the daemon exchange Python pickles, each followed by an end marker.
//! [`frame`] cuts a stream at the markers, [`pickle`] turns a message into a [`Value`]
//! and back, and [`text`] writes a value as Python would print it.
//!
//! [`answer`] says what a reply looks like as a value; what our own commands show is a
//! [`view`].

mod command;
pub mod frame;
mod own;
pub mod pickle;
pub mod text;
pub mod view;

#[cfg(test)]
mod oracle;

pub use command::{Shape, answer};
pub use own::{Reconfigure, UNCONFIGURED, changes_of, changes_value};
pub use pickle::{PickleError, Str, Value, dumps, loads};
