//! The process groups of the commands that run now, for whoever has to end in a hurry.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// A list of process groups. A shell whose group is in it was not reaped, so no number
/// in it can be somebody else's.
#[derive(Debug)]
pub(in crate::process) struct Groups(Mutex<Vec<Pid>>);

impl Groups {
    pub(in crate::process) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The list itself. Held while a command starts, so that none is missed.
    pub(in crate::process) fn list(&self) -> MutexGuard<'_, Vec<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before the shell is reaped.
    pub(in crate::process) fn remove(&self, group: Pid) {
        self.list().retain(|known| *known != group);
    }

    /// Kills all of them. None is added as long as what is returned lives.
    pub(in crate::process) fn end_all(&self) -> MutexGuard<'_, Vec<Pid>> {
        let list = self.list();
        for group in &*list {
            // A group without members is what we want.
            kill_process_group(*group, Signal::KILL).ok();
        }
        list
    }
}
