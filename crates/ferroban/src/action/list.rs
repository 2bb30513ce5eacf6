//! The actions of a jail, in their order.
//!
//! Each may be of our own kind, which is told of many bans at once and may be repeated,
//! or one that is [run](run::Run): carried out once for each ban in the order of bans and,
//! within a ban, of the actions. What goes wrong with one of those is logged here and
//! is no business of the engine: fail2ban counts its ban as made, and repeating it could
//! send a mail twice.

mod look;
mod member;
mod row;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use ferroban_engine::event::Step;
use ferroban_engine::{Ban, FailId, JailName, Network, Outcome, Timestamp};

use super::python::Python;
use super::shell::call::CallError;
use super::shell::{Facts, Occasion, Shell};
use super::smtp::Smtp;
use super::{Failed, Native, Options};
use crate::log::{Level, Log};
use member::{Kind, Member};

#[cfg(test)]
pub(crate) use member::Failure;
pub(crate) use member::Fate;
pub(crate) use row::Row;

/// One action of a jail, made from its plan.
pub(crate) enum Part {
    /// Our own.
    Native(Native),
    /// Nothing: a dry run.
    Dry,
    /// Commands of `action.d`, with their properties.
    Commands(Options),
    /// A program in Python.
    Python(Box<Python>),
    /// Our own mails.
    Smtp(Box<Smtp>),
}

/// How long a ban is given to take effect before a failure of the banned is a reason to
/// look, and how long a look holds, in seconds.
const SETTLING: i64 = 3;

/// What is done with a ban.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deed {
    Ban,
    Reban,
    Unban,
}

impl Deed {
    /// As in `Failed to execute ban jail …`.
    fn word(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Reban => "reban",
            Self::Unban => "unban",
        }
    }

    fn step(self) -> Step {
        match self {
            Self::Ban | Self::Reban => Step::Ban,
            Self::Unban => Step::Unban,
        }
    }
}

/// Whether an action bans.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Proven {
    /// The kernel was asked: the addresses with which it was tried, or what went wrong.
    Kernel(Result<Vec<Network>, String>),
    /// It is run, and nobody looks whether it did it; perhaps it is known to be without effect.
    Commands(Option<String>),
    /// It is a dry run.
    Nobody,
}

/// The actions of a jail.
pub(crate) struct Actions {
    jail: JailName,
    log: Log,
    facts: Arc<dyn Facts>,
    members: Vec<Member>,
    /// When the firewall was last looked after.
    checked: Option<Timestamp>,
    /// What nobody has asked for yet.
    fates: Vec<Fate>,
    lifted: Lifted,
}

/// The commands that are done in process, by the action.
pub(crate) type Lifted = BTreeMap<String, Vec<String>>;

impl Actions {
    /// A jail without actions.
    pub(crate) fn new(jail: JailName, log: Log, facts: Arc<dyn Facts>) -> Self {
        Self {
            jail,
            log,
            facts,
            members: Vec::new(),
            checked: None,
            fates: Vec::new(),
            lifted: Lifted::new(),
        }
    }

    /// Goes on with these actions. What is run and stays keeps what it has started;
    /// actions that are left out end, and lift `held` before, unless they are to
    /// be `forgotten`. So do those that cannot go on as what is wanted.
    pub(crate) fn configure(&mut self, parts: Vec<(String, Part)>, held: &[Ban], forgotten: bool) {
        let mut old = std::mem::take(&mut self.members);
        for (name, part) in parts {
            let known = old.iter().position(|member| member.name == name);
            let mut known = known.map(|place| old.remove(place));
            self.fates.extend(known.as_ref().and_then(Member::excused));
            let part = match &mut known {
                Some(member) => member.go_on_as(part),
                None => Some(part),
            };
            match part {
                None => self.members.extend(known),
                Some(part) => {
                    old.extend(known);
                    let member = self.member(name, part);
                    self.members.push(member);
                }
            }
        }
        self.fates.extend(old.iter().filter_map(Member::excused));
        if !forgotten && !old.is_empty() {
            let facts = Arc::clone(&self.facts);
            let mut gone = Self::new(self.jail.clone(), self.log.clone(), facts);
            gone.members = old;
            // That it does not work is logged; nobody else waits for it.
            drop(gone.stop(held));
        }
    }

    /// An action that has done nothing yet.
    fn member(&self, name: String, part: Part) -> Member {
        let kind = Kind::new(part, |properties| {
            let (jail, log) = (self.jail.clone(), self.log.clone());
            let facts = Arc::clone(&self.facts);
            Box::new(Shell::new(jail, name.clone(), properties, log, facts))
        });
        Member::new(name, kind)
    }

    /// Prepares every action that is not prepared, and has it hold what is `held`. Commands
    /// are run as long as somebody says `go_on`. Returns also the bans for which none was.
    pub(crate) fn start(
        &mut self,
        held: &[Ban],
        now: Timestamp,
        go_on: &dyn Fn() -> bool,
    ) -> (Outcome, Vec<FailId>) {
        let mut outcome = Outcome::Ok;
        let mut fresh = Vec::new();
        let mut others = false;
        for place in 0..self.members.len() {
            let Some(member) = self.members.get_mut(place) else {
                break;
            };
            match &mut member.kind {
                Kind::Native { native, started } => {
                    *started = true;
                    outcome = worse(outcome, native.start(held, now));
                }
                Kind::Dry => {}
                Kind::Run { run, started } => {
                    if std::mem::replace(started, true) {
                        others = true;
                        continue;
                    }
                    fresh.push(place);
                    if let Err(error) = run.start() {
                        failed_to(&self.log, ("start", ""), &self.jail, &member.name, &error);
                        self.fates.push(member.failed(Step::Start, None, &error));
                    }
                }
            }
        }
        let mut row = Row::among(held, fresh);
        while row.ban().is_some() && go_on() {
            self.next(&mut row, Deed::Ban);
        }
        self.tell_effect();
        let mut rest = Vec::new();
        while let Some(ban) = row.ban() {
            // Those that were started before hold all of them.
            if !row.skip() && !others {
                rest.push(ban.id.clone());
            }
        }
        (outcome, rest)
    }

    /// Has our own actions ban, with an answer for each.
    pub(crate) fn ban(&mut self, bans: &[Ban], now: Timestamp) -> Vec<Result<(), Failed>> {
        let mut results: Vec<Result<(), Failed>> = bans.iter().map(|_| Ok(())).collect();
        for native in self.natives() {
            merge(&mut results, native.ban(bans, now));
        }
        results
    }

    /// Has our own actions end the connections of who is banned.
    pub(crate) fn cut(&mut self, bans: &[Ban]) {
        let (jail, log) = (self.jail.clone(), self.log.clone());
        for native in self.natives() {
            match native.cut(bans) {
                Ok(0) => {}
                Ok(count) => {
                    let text = format!("[{jail}] {count} connection(s) of the banned ended");
                    log.info("ferroban.actions", &text);
                }
                Err(error) => {
                    let text = format!(
                        "[{jail}] connections of the banned cannot be ended: {error}; the kernel needs CONFIG_INET_DIAG_DESTROY, and we root's rights"
                    );
                    log.warning("ferroban.actions", &text);
                }
            }
        }
    }

    /// Has the actions that are run carry out the next ban of a row.
    pub(crate) fn ban_next(&mut self, row: &mut Row<'_>) {
        self.next(row, Deed::Ban);
    }

    /// Has them lift the next ban of a row.
    pub(crate) fn unban_next(&mut self, row: &mut Row<'_>) {
        self.next(row, Deed::Unban);
    }

    fn next(&mut self, row: &mut Row<'_>, deed: Deed) {
        let Some(ban) = row.ban() else {
            return;
        };
        let mut single = false;
        for place in row.places(self.members.len()) {
            if !row.is_done(place) {
                single |= self.carry_out(place, deed, ban);
            }
        }
        if row.go_on(single) {
            self.look_ahead(row, deed);
        }
    }

    /// Has actions do for the rest of a row what they can do for many at once: the first ones
    /// in their order, each only for bans for which those before it have done their part. So
    /// every ban has its actions in their order, and nobody stays in because a mail to others
    /// takes long.
    fn look_ahead(&mut self, row: &mut Row<'_>, deed: Deed) {
        let mut numbers = row.rest();
        for place in row.places(self.members.len()) {
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            let Kind::Run { run, .. } = &mut member.kind else {
                continue;
            };
            row.do_ahead(place, &mut numbers, |bans| match deed {
                Deed::Ban => run.ban_many(bans),
                Deed::Unban => run.unban_many(bans),
                Deed::Reban => None,
            });
            if numbers.is_empty() {
                break;
            }
            let ids = row.ids(&numbers);
            self.fates.extend(member.worked(deed.step(), ids));
        }
    }

    /// Somebody who is banned fails on: looks whether the firewall is as the commands left
    /// it, and repairs it. Not when the ban is quite new, and not all the time.
    pub(crate) fn check(&mut self, ban: &Ban, now: Timestamp) {
        // Somebody else's ban had it repaired: this one may be missing there.
        let lacks = |member: &Member| match &member.kind {
            Kind::Run { run, .. } => run.may_lack(ban),
            Kind::Native { .. } | Kind::Dry => false,
        };
        let members = self.members.iter().enumerate();
        let behind = members.filter(|(_, member)| lacks(member));
        let behind: Vec<usize> = behind.map(|(place, _)| place).collect();
        if !behind.is_empty() {
            return self.reban(&behind, ban);
        }
        let long_since = |time: Timestamp| now.secs() - time.secs() > SETTLING;
        if !long_since(ban.time) || !self.checked.is_none_or(long_since) {
            return;
        }
        self.checked = Some(now);
        let mut repaired = Vec::new();
        for (place, Member { name, kind, .. }) in self.members.iter_mut().enumerate() {
            let Kind::Run { run, .. } = kind else {
                continue;
            };
            let before = run.epoch();
            if let Err(error) = run.check(Occasion::Ban) {
                failed_to(&self.log, ("check", ""), &self.jail, name, &error);
            }
            if run.epoch() != before {
                repaired.push(place);
            }
        }
        if !repaired.is_empty() {
            self.reban(&repaired, ban);
        }
    }

    fn reban(&mut self, places: &[usize], ban: &Ban) {
        let mut text = format!("[{}] Reban {}", self.jail, ban.id);
        if let [place] = places
            && let Some(Member { name, .. }) = self.members.get(*place)
        {
            text.push_str(", action '");
            text.push_str(name);
            text.push('\'');
        }
        self.log.line(Level::Notice, "actions", &text);
        for place in places {
            self.carry_out(*place, Deed::Reban, ban);
        }
    }

    /// Has an action do something about a ban, and tells if that went wrong. False if it is
    /// none that is run.
    fn carry_out(&mut self, place: usize, deed: Deed, ban: &Ban) -> bool {
        let Some(member) = self.members.get_mut(place) else {
            return false;
        };
        let Kind::Run { run, .. } = &mut member.kind else {
            return false;
        };
        let result = match deed {
            Deed::Ban => run.ban(ban),
            Deed::Reban => run.reban(ban),
            Deed::Unban => run.unban(ban),
        };
        let Err(error) = result else {
            let id = std::iter::once(&ban.id);
            self.fates.extend(member.worked(deed.step(), id));
            return true;
        };
        let info = run.info(ban);
        if deed == Deed::Unban {
            member.forget(&ban.id);
        }
        let fate = member.failed(deed.step(), Some(&ban.id), &error);
        self.fates.push(fate);
        let (jail, name, what) = (&self.jail, &member.name, deed.word());
        let text = format!(
            "Failed to execute {what} jail '{jail}' action '{name}' info '{info}': {error}"
        );
        self.log.error("actions", &text);
        true
    }

    /// How the actions that are run fare since that was last asked.
    pub(crate) fn take_fates(&mut self) -> (&JailName, Vec<Fate>) {
        (&self.jail, std::mem::take(&mut self.fates))
    }

    /// Which commands are done in process, if there is news since that was last asked.
    pub(crate) fn take_lifted(&mut self) -> Option<(&JailName, Lifted)> {
        let mut lifted = Lifted::new();
        for Member { name, kind, .. } in &mut self.members {
            let Kind::Run { run, .. } = kind else {
                continue;
            };
            let known = || self.lifted.get(name).cloned();
            let commands = run.take_lifted().or_else(known);
            if let Some(commands) = commands.filter(|commands| !commands.is_empty()) {
                lifted.insert(name.clone(), commands);
            }
        }
        let has_news = lifted != self.lifted;
        self.lifted = lifted;
        has_news.then(|| (&self.jail, self.lifted.clone()))
    }

    /// Calls a method of an action.
    pub(crate) fn call(
        &mut self,
        action: &str,
        method: &str,
        arguments: Option<&str>,
    ) -> Result<serde_json::Value, CallError> {
        let member = self.members.iter_mut().find(|member| member.name == action);
        match member.map(|member| &mut member.kind) {
            Some(Kind::Run { run, .. }) => run.call(method, arguments),
            Some(Kind::Native { .. } | Kind::Dry) => Err(CallError {
                class: "NotImplementedError",
                text: format!("{method}: the action {action} is no command action"),
            }),
            None => Err(CallError {
                class: "KeyError",
                text: format!("Invalid Action name: {action}"),
            }),
        }
    }

    /// Has our own actions unban, with an answer for each. Who is not banned is unbanned
    /// already.
    pub(crate) fn unban(&mut self, ids: &[FailId]) -> Vec<Result<(), Failed>> {
        let mut results: Vec<Result<(), Failed>> = ids.iter().map(|_| Ok(())).collect();
        for native in self.natives() {
            merge(&mut results, native.unban(ids));
        }
        results
    }

    /// Lifts all these bans: at once where an action can, else one after the other.
    pub(crate) fn flush(&mut self, held: &[Ban]) -> Result<(), Failed> {
        self.flush_for(held, Occasion::Ban)
    }

    /// What cannot be flushed is checked, and repaired unless it is to end anyway.
    fn flush_for(&mut self, held: &[Ban], occasion: Occasion) -> Result<(), Failed> {
        let mut result = Ok(());
        let mut singly = Vec::new();
        for (place, Member { name, kind, .. }) in self.members.iter_mut().enumerate() {
            let jail = &self.jail;
            let told = format!("[{jail}] Flush ticket(s) with {name}");
            match kind {
                // Its end takes all of them along.
                Kind::Native { started: true, .. } if occasion == Occasion::Flush => {
                    self.log.line(Level::Notice, "actions", &told);
                }
                Kind::Native { native, .. } => {
                    self.log.line(Level::Notice, "actions", &told);
                    let ids: Vec<FailId> = held.iter().map(|ban| ban.id.clone()).collect();
                    let failed = native.unban(&ids).into_iter().find(Result::is_err);
                    result = failed.unwrap_or(result);
                }
                Kind::Dry => {}
                Kind::Run { run, .. } if run.has_flush() => {
                    self.log.line(Level::Notice, "actions", &told);
                    match run.flush() {
                        Ok(true) => {}
                        Ok(false) => singly.push(place),
                        Err(error) => {
                            failed_to(&self.log, FLUSH, jail, name, &error);
                            self.log.info("actions", NO_FLUSH);
                            if let Err(error) = run.check(occasion) {
                                failed_to(&self.log, ("check", ""), jail, name, &error);
                            }
                        }
                    }
                }
                Kind::Run { .. } => singly.push(place),
            }
        }
        let mut row = Row::among(held, singly);
        while row.ban().is_some() {
            self.next(&mut row, Deed::Unban);
        }
        self.members.iter_mut().for_each(Member::forget_all);
        result
    }

    /// Tells every action that the configuration was read again.
    pub(crate) fn reload(&mut self) {
        for Member { name, kind, .. } in &mut self.members {
            if let Kind::Run { run, .. } = kind
                && let Err(error) = run.reload()
            {
                failed_to(&self.log, ("reload", ""), &self.jail, name, &error);
            }
        }
    }

    /// Tells those that are run that nothing waits for now.
    pub(crate) fn rest(&mut self) {
        for member in &mut self.members {
            if let Kind::Run { run, .. } = &mut member.kind {
                run.rest();
            }
        }
    }

    /// Lifts `held` and removes everything, the last action first.
    pub(crate) fn stop(&mut self, held: &[Ban]) -> Result<(), Failed> {
        let mut result = self.flush_for(held, Occasion::Flush);
        for Member { name, kind, .. } in self.members.iter_mut().rev() {
            match kind {
                Kind::Native { native, started } => {
                    if std::mem::take(started) {
                        result = native.stop(held).and(result);
                    }
                }
                Kind::Dry => {}
                Kind::Run { run, started } => {
                    *started = false;
                    if let Err(error) = run.stop() {
                        failed_to(&self.log, ("stop", ""), &self.jail, name, &error);
                    }
                }
            }
        }
        result
    }

    /// Finds out of each action, by its name, whether it bans.
    pub(crate) fn prove(&mut self) -> Vec<(String, Proven)> {
        let prove = |Member { name, kind, .. }: &mut Member| {
            let proven = match kind {
                Kind::Native {
                    native,
                    started: true,
                } => Proven::Kernel(native.prove().map_err(Failed::into_text)),
                Kind::Native { .. } => Proven::Kernel(Err("the jail is not started".to_owned())),
                Kind::Dry => Proven::Nobody,
                Kind::Run { run, .. } => Proven::Commands(run.without_effect()),
            };
            (name.clone(), proven)
        };
        let proven = self.members.iter_mut().map(prove).collect();
        self.tell_effect();
        proven
    }

    fn natives(&mut self) -> impl Iterator<Item = &mut Native> {
        self.members
            .iter_mut()
            .filter_map(|member| match &mut member.kind {
                Kind::Native { native, .. } => Some(&mut **native),
                Kind::Dry | Kind::Run { .. } => None,
            })
    }
}

/// As in `Failed to flush bans in jail …`.
const FLUSH: (&str, &str) = ("flush", " bans in");
const NO_FLUSH: &str = "No flush occurred, do consistency check";

/// Tells what went wrong with a whole action.
fn failed_to(
    log: &Log,
    (what, of): (&str, &str),
    jail: &JailName,
    action: &str,
    error: &dyn std::fmt::Display,
) {
    let text = format!("Failed to {what}{of} jail '{jail}' action '{action}': {error}");
    log.error("actions", &text);
}

/// Of two outcomes the one that needs more attention.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (&one, &other) {
        (Outcome::Failed(_) | Outcome::Lost(_), _) | (_, Outcome::Ok) => one,
        _ => other,
    }
}

/// Adds the failures of another action.
fn merge(results: &mut [Result<(), Failed>], more: Vec<Result<(), Failed>>) {
    for (result, other) in results.iter_mut().zip(more) {
        if result.is_ok() {
            *result = other;
        }
    }
}

#[cfg(test)]
impl Actions {
    /// Carries out one ban.
    pub(crate) fn run_ban(&mut self, ban: &Ban) {
        self.ban_next(&mut Row::new([ban]));
    }

    /// Lifts one ban.
    pub(crate) fn run_unban(&mut self, ban: &Ban) {
        self.unban_next(&mut Row::new([ban]));
    }
}

#[cfg(test)]
mod tests;
