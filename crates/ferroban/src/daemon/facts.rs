//! What only the daemon knows and an action may want to tell.

use crate::action::shell;

/// What actions are told on request.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts;

impl shell::Facts for Facts {}
