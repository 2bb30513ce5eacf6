//! An action that is run: once for each ban, in the order of bans.
//!
//! [`Actions`](super::Actions) knows no more of commands and of programs in Python than
//! [`Run`] says. Another way to run something needs this trait and a [`Part`].

use std::error::Error;

use ferroban_engine::Ban;
use serde_json::Value;

use super::Part;
use crate::action::libwrap;
use crate::action::python::Python;
use crate::action::shell::call::CallError;
use crate::action::shell::{Occasion, Shell};
use crate::action::smtp::Smtp;

/// How something went that was run: what went wrong is for the log.
pub(super) type Ran<T = ()> = Result<T, Box<dyn Error>>;

/// An action that is run.
pub(super) trait Run: Send {
    /// Goes on as what is wanted now; gives it back if it cannot.
    fn go_on_as(&mut self, wanted: Part) -> Option<Part>;

    /// Prepares for bans.
    fn start(&mut self) -> Ran;

    /// Takes back what the start did.
    fn stop(&mut self) -> Ran;

    /// Bans.
    fn ban(&mut self, ban: &Ban) -> Ran;

    /// Bans again, after a repair.
    fn reban(&mut self, ban: &Ban) -> Ran {
        self.ban(ban)
    }

    /// Lifts a ban.
    fn unban(&mut self, ban: &Ban) -> Ran;

    /// Bans at once whomever it can, in this order, and tells for each whether it did; the
    /// others are banned one by one. Nothing if it never can.
    fn ban_many(&mut self, _bans: &[&Ban]) -> Option<Vec<bool>> {
        None
    }

    /// The same for unbans.
    fn unban_many(&mut self, _bans: &[&Ban]) -> Option<Vec<bool>> {
        None
    }

    /// Which of its commands are done in process, if there is news since that was last asked.
    fn take_lifted(&mut self) -> Option<Vec<String>> {
        None
    }

    /// Whether it can remove all bans at once.
    fn has_flush(&self) -> bool {
        false
    }

    /// Removes all bans at once. False if it did not: then each is to be lifted.
    fn flush(&mut self) -> Ran<bool> {
        Ok(false)
    }

    /// Looks whether everything is as it was left, and repairs it.
    fn check(&mut self, _occasion: Occasion) -> Ran {
        Ok(())
    }

    /// Hears that the configuration was read again.
    fn reload(&mut self) -> Ran {
        Ok(())
    }

    /// Hears that nothing waits for now: what is kept ready for more can go.
    fn rest(&mut self) {}

    /// How often it had to be repaired.
    fn epoch(&self) -> u64 {
        0
    }

    /// Whether it was repaired since this ban was made, so that it may be missing.
    fn may_lack(&self, _ban: &Ban) -> bool {
        false
    }

    /// What the line about a failed ban or unban tells of it: right after the failure.
    fn info(&self, ban: &Ban) -> String;

    /// Calls a method for a client, with arguments by name as an object in JSON.
    fn call(&mut self, method: &str, arguments: Option<&str>) -> Result<Value, CallError>;

    /// Why it bans nobody, if that is known.
    fn without_effect(&self) -> Option<String> {
        None
    }
}

impl Run for Shell {
    fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        let Part::Commands(properties) = wanted else {
            return Some(wanted);
        };
        self.configure(properties);
        None
    }

    fn start(&mut self) -> Ran {
        Ok(self.start()?)
    }

    fn stop(&mut self) -> Ran {
        Ok(self.stop()?)
    }

    fn ban(&mut self, ban: &Ban) -> Ran {
        Ok(self.ban(ban)?)
    }

    fn reban(&mut self, ban: &Ban) -> Ran {
        Ok(self.reban(ban)?)
    }

    fn unban(&mut self, ban: &Ban) -> Ran {
        Ok(self.unban(ban)?)
    }

    fn ban_many(&mut self, bans: &[&Ban]) -> Option<Vec<bool>> {
        Some(self.ban_many(bans))
    }

    fn unban_many(&mut self, bans: &[&Ban]) -> Option<Vec<bool>> {
        Some(self.unban_many(bans))
    }

    fn take_lifted(&mut self) -> Option<Vec<String>> {
        self.take_lifted()
    }

    fn has_flush(&self) -> bool {
        self.has_flush()
    }

    fn flush(&mut self) -> Ran<bool> {
        self.flush()?;
        Ok(true)
    }

    fn check(&mut self, occasion: Occasion) -> Ran {
        self.consistency_check(occasion)?;
        Ok(())
    }

    fn reload(&mut self) -> Ran {
        Ok(self.reload()?)
    }

    fn epoch(&self) -> u64 {
        self.epoch()
    }

    fn may_lack(&self, ban: &Ban) -> bool {
        self.may_lack(ban)
    }

    fn info(&self, ban: &Ban) -> String {
        self.info(ban)
    }

    fn call(&mut self, method: &str, arguments: Option<&str>) -> Result<Value, CallError> {
        self.call(method, arguments)
    }

    fn without_effect(&self) -> Option<String> {
        libwrap::without_effect(self.properties())
    }
}

impl Run for Python {
    fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        match &wanted {
            Part::Python(python) if self.can_go_on_as(python) => self.go_on_as(python),
            _ => return Some(wanted),
        }
        None
    }

    fn start(&mut self) -> Ran {
        Ok(self.start()?)
    }

    fn stop(&mut self) -> Ran {
        Ok(self.stop()?)
    }

    fn ban(&mut self, ban: &Ban) -> Ran {
        Ok(self.ban(ban)?)
    }

    fn unban(&mut self, ban: &Ban) -> Ran {
        Ok(self.unban(ban)?)
    }

    fn has_flush(&self) -> bool {
        self.has_flush()
    }

    fn flush(&mut self) -> Ran<bool> {
        Ok(self.flush()?)
    }

    fn check(&mut self, _occasion: Occasion) -> Ran {
        Ok(self.check()?)
    }

    fn reload(&mut self) -> Ran {
        Ok(self.reload()?)
    }

    fn info(&self, ban: &Ban) -> String {
        self.info(ban)
    }

    fn call(&mut self, method: &str, arguments: Option<&str>) -> Result<Value, CallError> {
        self.call(method, arguments)
    }
}

impl Run for Smtp {
    fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        let Part::Smtp(smtp) = wanted else {
            return Some(wanted);
        };
        self.go_on_as(&smtp);
        None
    }

    fn start(&mut self) -> Ran {
        Ok(self.start()?)
    }

    fn stop(&mut self) -> Ran {
        Ok(self.stop()?)
    }

    fn ban(&mut self, ban: &Ban) -> Ran {
        Ok(self.ban(ban)?)
    }

    /// Nobody is written to again because something else was repaired.
    fn reban(&mut self, _: &Ban) -> Ran {
        Ok(())
    }

    fn unban(&mut self, _: &Ban) -> Ran {
        Ok(())
    }

    fn rest(&mut self) {
        self.rest();
    }

    fn info(&self, ban: &Ban) -> String {
        self.info(ban)
    }

    fn call(&mut self, method: &str, _: Option<&str>) -> Result<Value, CallError> {
        Err(CallError {
            class: "NotImplementedError",
            text: format!("{method}: this action has no methods; it mails by itself"),
        })
    }
}
