//! The socket for those who may look and not order.

use std::path::PathBuf;

use super::control::{Control, Door, Respond};
use super::office::Access;
use super::place::shared::{Shared, Sharing};
use crate::load::{MonitorSetup, Refusal};
use crate::log::Log;
use crate::report;

/// The socket, if it is wanted.
pub(super) struct Monitor {
    log: Log,
    respond: Option<Respond>,
    wanted: Option<MonitorSetup>,
    open: Option<(Control, Shared)>,
}

impl Monitor {
    /// None yet.
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            respond: None,
            wanted: None,
            open: None,
        }
    }

    /// Who answers what is asked on it.
    pub(super) fn offer(&mut self, respond: Respond) {
        self.respond = Some(respond);
    }

    /// Opens the socket that is wanted now, in place of the one before.
    pub(super) fn want(&mut self, wanted: Option<&MonitorSetup>) -> Result<(), Refusal> {
        if self.wanted.as_ref() == wanted {
            return Ok(());
        }
        self.close();
        let (Some(setup), Some(respond)) = (wanted, &self.respond) else {
            return Ok(());
        };
        let failed = |text: String| Refusal::Error("OSError", text);
        let sharing = Sharing {
            path: PathBuf::from(&setup.socket),
            group: setup.group.clone(),
            mode: setup.mode,
        };
        let shared = Shared::open(&sharing).map_err(|error| failed(report::chain(&error)))?;
        let door = Door {
            listener: shared.listener(),
            access: Access::Harmless,
        };
        let control = Control::start(&[door], &self.log, respond)
            .map_err(|error| failed(format!("{}: {error}", setup.socket)))?;
        let group = setup.group.as_deref().unwrap_or("root");
        let text = format!(
            "{}: harmless questions are answered here, for group {group} (mode {:o})",
            setup.socket, setup.mode
        );
        self.log.info("ferroban.control", &text);
        self.open = Some((control, shared));
        self.wanted = wanted.cloned();
        Ok(())
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.wanted = None;
        if let Some((control, _shared)) = self.open.take() {
            control.stop();
        }
    }
}
