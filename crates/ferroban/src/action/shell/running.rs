//! Running the commands of an action: for which families, what is checked when one
//! fails, and how the firewall is repaired.

use std::sync::Arc;
use std::time::Duration;

use super::bind::bind;
use super::family::{Family, State};
use super::texts::Op;
use super::turn::Turns;
use super::values::{OfFamily, OfNobody};
use super::{Error, Occasion, Shell, TagError};
use crate::clock;
use crate::log::Level;
use crate::process::script::{self, Script, Whose};

/// Of all commands of actions.
static TURNS: Turns = Turns::new();

const LOGGER: &str = "CommandAction";

/// How the firewall is, after a check that may have repaired it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sanity {
    Sane,
    /// Broken, and not to be repaired now.
    Impossible,
    /// Broken for good.
    Lost,
}

impl Shell {
    /// Runs the command for a ticket. If it fails, the firewall is checked, and the
    /// command has a second chance.
    pub(super) fn execute(
        &mut self,
        script: &Script,
        family: &Family,
        occasion: Occasion,
    ) -> Result<bool, Error> {
        if self.run_or_lift(script) {
            return Ok(true);
        }
        if self.texts.has(Op::Check) && self.sanity(family, occasion)? != Sanity::Sane {
            return Ok(false);
        }
        Ok(self.run(script))
    }

    /// Runs a command of the whole action for some families, and goes on where it fails.
    pub(super) fn operate(&mut self, op: Op, families: &[Family]) -> Result<(), Error> {
        let mut done = Vec::new();
        let mut error = None;
        // What is for all is for those without a family too.
        let is_for_all = families.contains(&Family::All);
        for family in families {
            if is_for_all && *family == Family::None {
                continue;
            }
            match self.operate_for(op, family, &mut done) {
                Ok(true) => {}
                Ok(false) => {
                    error.get_or_insert(None);
                }
                Err(source) => error = Some(Some(Box::new(source))),
            }
        }
        match error {
            None => Ok(()),
            Some(source) => Err(Error::Operation {
                doing: op.doing(),
                jail: self.world.jail.to_string(),
                action: self.name.clone(),
                source,
            }),
        }
    }

    /// The same for one family. What was done for another one is not done again: their
    /// rules may be the same.
    fn operate_for(
        &mut self,
        op: Op,
        family: &Family,
        done: &mut Vec<Arc<Script>>,
    ) -> Result<bool, TagError> {
        let script = Arc::new(self.operation(op, family)?);
        let is_done = match op {
            Op::Start => self.families.shares(family, &script),
            _ => done.contains(&script),
        };
        if !is_done && !self.run(&script) {
            return Ok(false);
        }
        done.push(Arc::clone(&script));
        match op {
            Op::Start => self.families.started(family, script),
            Op::Flush if self.has_flush() => self.families.set(family, State::Started),
            _ => {}
        }
        Ok(true)
    }

    /// A command of the whole action.
    fn operation(&mut self, op: Op, family: &Family) -> Result<Script, TagError> {
        let world = Arc::clone(&self.world);
        let text = self.texts.text(op, family, &*world.facts)?;
        let nobody = OfNobody {
            family: family.to_string(),
            world: &world,
            now: clock::now(),
        };
        Ok(bind(&text, &nobody))
    }

    /// Checks the firewall, and repairs it if that is called for.
    pub(super) fn sanity(&mut self, family: &Family, occasion: Occasion) -> Result<Sanity, Error> {
        if self.check(Op::Check, family)? {
            return Ok(Sanity::Sane);
        }
        let tell = |level, text: &str| self.log.line(level, LOGGER, text);
        match occasion {
            Occasion::Unban if !self.texts.is_on("actionrepair_on_unban") => {
                tell(Level::Error, "Invariant check failed. Unban is impossible.");
                return Ok(Sanity::Impossible);
            }
            Occasion::Flush if !self.texts.is_on("actionrepair_on_unban") => {
                let text = "Invariant check failed. Flush is impossible.";
                self.log.line(Level::Error, "actions", text);
                return Ok(Sanity::Impossible);
            }
            _ => {}
        }
        tell(
            Level::Error,
            "Invariant check failed. Trying to restore a sane environment",
        );
        self.begin_epoch();
        if self.repair(family, occasion)? {
            return Ok(Sanity::Sane);
        }
        let text = "Unable to restore environment";
        self.log.line(Level::Critical, LOGGER, text);
        Ok(Sanity::Lost)
    }

    /// Repairs the firewall. False if that did not help.
    fn repair(&mut self, family: &Family, occasion: Occasion) -> Result<bool, Error> {
        if self.texts.has(Op::Repair) {
            if !self.check(Op::Repair, family)? {
                self.families.lose(family, None);
                return Ok(false);
            }
            // The bans are not in it any more.
            self.families.set(family, State::Started);
        } else {
            self.restart(family, occasion)?;
        }
        Ok(self.families.state(family) == State::No || self.check(Op::Check, family)?)
    }

    /// Stops and starts.
    fn restart(&mut self, family: &Family, occasion: Occasion) -> Result<(), Error> {
        let families = if *family == Family::None {
            // It has bans in all of them. What cannot be stopped may be gone, and that
            // is why we are here.
            self.stop().ok();
            self.texts.families(&*self.world.facts)
        } else {
            self.stop_family(family);
            vec![family.clone()]
        };
        if occasion == Occasion::Unban && self.texts.starts_on_demand() {
            // The next ban does it.
            return Ok(());
        }
        self.operate(Op::Start, &families)
    }

    /// Takes one family out of the firewall, before it is prepared anew.
    fn stop_family(&mut self, family: &Family) {
        let start = self.operation(Op::Start, family).ok();
        let shares = |script: &Script| self.families.shares(family, script);
        let is_started = self.families.state(family) > State::No;
        if is_started || start.as_ref().is_some_and(shares) {
            // See above.
            self.operate(Op::Stop, std::slice::from_ref(family)).ok();
        }
        self.families.lose(family, start.as_ref());
    }

    /// Runs a command that knows nothing but its family.
    fn check(&mut self, op: Op, family: &Family) -> Result<bool, Error> {
        let world = Arc::clone(&self.world);
        let text = self.texts.text(op, family, &*world.facts)?;
        let script = match family {
            Family::Of(name) => bind(&text, &OfFamily(name)),
            Family::All | Family::None => Script::from(&*text),
        };
        Ok(self.run(&script))
    }

    pub(super) fn run(&mut self, script: &Script) -> bool {
        self.run_within(script, self.timeout())
    }

    /// Runs one command, when it is its turn. Nothing to run is a success.
    pub(super) fn run_within(&mut self, script: &Script, limit: Duration) -> bool {
        if script.text.is_empty() {
            return true;
        }
        let turn = TURNS.take(self.texts.touched(&*self.world.facts));
        let ran = script::run(script, limit, turn);
        let whose = Whose {
            jail: self.world.jail.as_str(),
            action: &self.name,
        };
        script::tell(&self.log, whose, script, &ran);
        ran.is_ok_and(|run| run.is_success())
    }
}
