//! What nobody tells of a firewall, and is looked for.

use ferroban_engine::event::Step;
use ferroban_engine::{JailName, Tampering, Timestamp};

use super::super::sets::News;
use super::Actions;
use super::member::{Failure, Fate, Kind, Member};
use crate::log::Level;

impl Actions {
    /// Whether somebody must look now and then for what others did to the firewall.
    pub(crate) fn must_look(&self) -> bool {
        let must = |member: &Member| match &member.kind {
            Kind::Native { native, started } => *started && native.must_look(),
            Kind::Dry | Kind::Run { .. } => false,
        };
        self.members.iter().any(must)
    }

    /// Looks for it, and whether bans have an effect.
    pub(crate) fn look(&mut self, now: Timestamp) -> (&JailName, Vec<Tampering>) {
        let seen = self.natives().flat_map(|native| native.look(now)).collect();
        self.tell_effect();
        (&self.jail, seen)
    }

    /// Tells whether bans of our own actions have an effect, where that is news.
    pub(super) fn tell_effect(&mut self) {
        let logger = "ferroban.actions";
        for Member { name, kind, .. } in &mut self.members {
            let Kind::Native { native, .. } = kind else {
                continue;
            };
            let (jail, log) = (&self.jail, &self.log);
            let failure = match native.news() {
                None => continue,
                Some(News::Fine) => None,
                Some(News::FineAgain) => {
                    let text = format!("[{jail}] action '{name}': its bans have an effect now");
                    log.line(Level::Notice, logger, &text);
                    None
                }
                Some(News::WithoutEffect(error)) => {
                    log.warning(logger, &format!("[{jail}] action '{name}': {error}"));
                    Some(Failure {
                        during: Step::Ban,
                        id: None,
                        error,
                    })
                }
            };
            let action = name.clone();
            let made = Vec::new();
            self.fates.push(Fate {
                action,
                failure,
                made,
            });
        }
    }
}
