//! Commands that are done in process, one at a time or many at once.

use std::sync::Arc;

use ferroban_engine::Ban;

use super::bind::bind;
use super::family::State;
use super::texts::Op;
use super::values::OfBan;
use super::{Edit, Lift, Shell};
use crate::log::Level;
use crate::process::script::Script;

/// Who says what is lifted.
const LOGGER: &str = "ferroban.actions";

impl Shell {
    /// Runs the command for a ticket, or does the same in process if it is known that this
    /// is the same.
    pub(super) fn run_or_lift(&mut self, script: &Script) -> bool {
        let Some(edit) = self.edit(script) else {
            return self.run(script);
        };
        if self.lift.is_proven(&edit) {
            // One rule by itself is as quickly made by its own command.
            let is_done = !edit.is_rule() && self.carry_out(&[edit]).contains(&true);
            return is_done || self.run(script);
        }
        let mut lift = std::mem::take(&mut self.lift);
        let (success, is_proven) = lift.learn(&edit, || self.run(script));
        self.lift = lift;
        if is_proven {
            let (jail, action, command) = (&self.world.jail, &self.name, script.shown());
            let what = match edit.is_rule() {
                true => "is a rule like others; from now on many of them are made by one program",
                false => {
                    "did what we would have done; from now on such commands are done in process"
                }
            };
            let command = command.trim();
            let text = format!("[{jail}] {action}: '{command}' {what}, lift=off has them run");
            self.log.line(Level::Info, LOGGER, &text);
        }
        success
    }

    /// What is lifted, if there is news since that was last asked.
    pub(crate) fn take_lifted(&mut self) -> Option<Vec<String>> {
        self.lift.take_news()
    }

    /// Bans at once whomever it can, and tells whom: the others are for their turn.
    pub(crate) fn ban_many(&mut self, bans: &[&Ban]) -> Vec<bool> {
        let banned = self.carry_out_many(Op::Ban, bans);
        for (ban, _) in bans.iter().zip(&banned).filter(|(_, is_done)| **is_done) {
            if let Some(since) = &mut self.since {
                since.insert(ban.id.clone());
            }
        }
        banned
    }

    /// Unbans at once whomever it can, and tells whom.
    pub(crate) fn unban_many(&mut self, bans: &[&Ban]) -> Vec<bool> {
        let unbanned = self.carry_out_many(Op::Unban, bans);
        for (ban, _) in bans.iter().zip(&unbanned).filter(|(_, is_done)| **is_done) {
            if let Some(since) = &mut self.since {
                since.remove(&ban.id);
            }
        }
        unbanned
    }

    fn carry_out_many(&mut self, op: Op, bans: &[&Ban]) -> Vec<bool> {
        let edits: Vec<Option<Edit>> = bans.iter().map(|ban| self.edit_for(op, ban)).collect();
        let places = edits.iter().enumerate();
        let (places, edits): (Vec<usize>, Vec<Edit>) = places
            .filter_map(|(place, edit)| Some((place, edit.clone()?)))
            .unzip();
        let results = self.carry_out(&edits);
        let mut done = vec![false; bans.len()];
        for (place, result) in places.into_iter().zip(results) {
            if let Some(done) = done.get_mut(place) {
                *done = result;
            }
        }
        done
    }

    fn carry_out(&mut self, edits: &[Edit]) -> Vec<bool> {
        let mut lift = std::mem::take(&mut self.lift);
        let done = lift.carry_out(edits, &mut |script| self.run(script));
        self.lift = lift;
        done
    }

    /// What the command for a ban changes, if nothing else has to be done for it: its
    /// family is at work, and the command is known.
    fn edit_for(&mut self, op: Op, ban: &Ban) -> Option<Edit> {
        let world = Arc::clone(&self.world);
        let ticket = OfBan::new(ban, &world);
        let family = ticket.family();
        let is_left_out = op == Op::Ban && ban.restored && self.norestored();
        if self.families.state(&family) != State::Bans || is_left_out {
            return None;
        }
        let text = self.texts.text(op, &family, &*world.facts).ok()?;
        if !Lift::may_be_plain(&text) {
            return None;
        }
        let edit = self.edit(&bind(&text, &ticket))?;
        self.lift.is_known(&edit).then_some(edit)
    }

    /// What a command changes, if it may be lifted.
    fn edit(&self, script: &Script) -> Option<Edit> {
        if self.texts.is_off("lift") {
            return None;
        }
        Lift::plain(script)
    }
}
