//! Whether bans are more than words: decided, applied, verified.
//!
//! The engine decides, and actions say that they applied. Whether a ban really is in the
//! kernel is looked up when somebody asks, and only then: what was seen at the time of a
//! ban says nothing of now, and looking costs bans nothing this way. A thread of its own
//! reads the sets of our own action; the main thread never waits for it.
//!
//! Meanwhile bans come and go. What was applied when the look began and is applied when it
//! has ended, and is not in the kernel, is missing; of what was applied since nobody knows.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread;

use ferroban_engine::{Ban, Effect, JailName, Network};

use super::main_loop::MainLoop;
use super::message::{Answer, Message, Question};
use super::request::Own;
use crate::action::Native;
use crate::log::Level;
use crate::{clock, sys};

/// Who ends within so many seconds may be out of the kernel before we say so.
const ENDING: i64 = 2;

/// What was seen of all jails that were looked for.
pub(super) type Looks = BTreeMap<JailName, Look>;

/// What was seen of the bans of a jail.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Who was looked for.
    wanted: HashSet<Network>,
    /// Who of them is not there.
    missing: HashSet<Network>,
    /// Why nobody could look, or why what is there does not ban.
    pub(super) problem: Option<String>,
}

impl Look {
    /// Whether a ban is in the kernel; none if that is not known.
    pub(super) fn verified(&self, ban: &Ban) -> Option<bool> {
        let network = ban.id.network()?;
        let is_known = self.wanted.contains(&network);
        is_known.then(|| !self.missing.contains(&network))
    }
}

/// What is to be looked for, and who wants to know.
#[derive(Debug)]
struct Order {
    jails: Vec<(JailName, Native, Vec<Network>)>,
    asked: Own,
    reply: SyncSender<Answer>,
}

/// A look that has ended.
#[derive(Debug)]
pub(super) struct Looked {
    looks: Looks,
    asked: Own,
    reply: SyncSender<Answer>,
}

/// Who looks. It ends once this is dropped, and is not waited for: it changes nothing.
#[derive(Debug)]
pub(super) struct Looker(Sender<Order>);

impl Looker {
    fn start(inbox: SyncSender<Message>) -> io::Result<Self> {
        let (orders, waiting) = channel();
        let name = "f2b/truth";
        let thread = thread::Builder::new().name(name.into());
        thread.spawn(move || {
            sys::set_thread_name(name);
            look(&waiting, &inbox);
        })?;
        Ok(Self(orders))
    }
}

/// Looks until nobody can ask any more.
fn look(orders: &Receiver<Order>, inbox: &SyncSender<Message>) {
    for order in orders {
        let looks = order.jails.into_iter().map(|(jail, mut native, wanted)| {
            let look = match native.missing(&wanted) {
                Ok((missing, problem)) => Look {
                    wanted: wanted.into_iter().collect(),
                    missing: missing.into_iter().collect(),
                    problem,
                },
                Err(error) => Look {
                    problem: Some(error.into_text()),
                    ..Look::default()
                },
            };
            (jail, look)
        });
        let looked = Looked {
            looks: looks.collect(),
            asked: order.asked,
            reply: order.reply,
        };
        if inbox.send(Message::Looked(Box::new(looked))).is_err() {
            return;
        }
    }
}

impl MainLoop {
    /// Answers what is asked about bans once somebody has looked into the kernel; at once
    /// where there is nothing to look for.
    pub(super) fn find_out(&mut self, asked: Own, reply: SyncSender<Answer>, effects: &[Effect]) {
        let jails = self.to_look_for(&asked);
        if jails.is_empty() {
            return self.tell_truth(&asked, &Looks::new(), &reply, effects);
        }
        let order = Order {
            jails,
            asked,
            reply,
        };
        let refused = match self.looker() {
            Some(looker) => looker.0.send(order).err().map(|refused| refused.0),
            None => Some(order),
        };
        // Without a thread nothing is verified, and that is what is told.
        if let Some(Order { asked, reply, .. }) = refused {
            self.tell_truth(&asked, &Looks::new(), &reply, effects);
        }
    }

    fn looker(&mut self) -> Option<&Looker> {
        if self.looker.is_none() {
            self.looker = Looker::start(self.crew.inbox()).ok();
        }
        self.looker.as_ref()
    }

    /// What our own action has taken of the jails that are asked about. What comes to its
    /// end is left out.
    fn to_look_for(&self, asked: &Own) -> Vec<(JailName, Native, Vec<Network>)> {
        if self.crew.is_dry() {
            return Vec::new();
        }
        let wanted = |jail: &JailName| match asked {
            Own::Bans {
                jail: Some(name), ..
            } => jail == name.as_str(),
            _ => true,
        };
        let natives = self.crew.natives().into_iter();
        let natives = natives.filter(|(jail, _)| wanted(jail) && self.engine.is_started(jail));
        let late = clock::now().secs() + ENDING;
        let lasts = |ban: &&Ban| ban.bantime.secs() < 0 || ban.end().secs() > late;
        natives
            .map(|(jail, native)| {
                let bans = self.engine.applied(&jail).filter(lasts);
                let networks = bans.filter_map(|ban| ban.id.network()).collect();
                (jail, native, networks)
            })
            .filter(|(_, _, networks): &(_, _, Vec<Network>)| !networks.is_empty())
            .collect()
    }

    /// A look has ended.
    pub(super) fn looked(&mut self, looked: &Looked, effects: &[Effect]) {
        if self.log.wants(Level::Debug) {
            for (jail, look) in &looked.looks {
                let (all, missing) = (look.wanted.len(), look.missing.len());
                let mut text = format!(
                    "[{jail}] {all} ban(s) looked for in the kernel, {} found",
                    all - missing
                );
                if let Some(problem) = &look.problem {
                    text.push_str(": ");
                    text.push_str(problem);
                }
                self.log.line(Level::Debug, "ferroban.actions", &text);
            }
        }
        self.tell_truth(&looked.asked, &looked.looks, &looked.reply, effects);
    }

    fn tell_truth(
        &mut self,
        asked: &Own,
        looks: &Looks,
        reply: &SyncSender<Answer>,
        effects: &[Effect],
    ) {
        self.trouble.note_all(effects, clock::now());
        let answer = self.own(asked, looks);
        Question::answer(reply, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ferroban_engine::{BanTime, FailId, Ticket, Timestamp};

    #[test]
    fn a_ban_is_verified_missing_or_not_looked_for() {
        let network = |text: &str| FailId::parse(text).network().unwrap();
        let look = Look {
            wanted: ["192.0.2.1", "192.0.2.2"].map(network).into(),
            missing: [network("192.0.2.2")].into(),
            problem: None,
        };
        let cases = [
            ("192.0.2.1", Some(true)),
            ("192.0.2.2", Some(false)),
            ("192.0.2.3", None),
            ("bob", None),
        ];
        for (id, expected) in cases {
            let ban = Ban {
                id: FailId::parse(id),
                time: Timestamp::from_secs(0),
                bantime: BanTime::Forever,
                count: 1,
                ticket: Ticket::default(),
                restored: false,
            };
            assert_eq!(look.verified(&ban), expected, "{id}");
        }
    }
}
