//! The actions of a jail, in their order.
//!
//! Each may be of our own kind, which is told of many bans at once and may be repeated,
//! or a command action or one in Python, which is carried out once for each ban in the order of bans and,
//! within a ban, of the actions. What goes wrong with one of those is logged here and
//! is no business of the engine: fail2ban counts its ban as made, and repeating it could
//! send a mail twice.

use std::sync::Arc;

use ferroban_engine::event::Step;
use ferroban_engine::{Ban, FailId, JailName, Network, Outcome, Timestamp};

use super::python::Python;
use super::shell::call::CallError;
use super::shell::{Facts, Occasion, Shell};
use super::{Failed, Native, libwrap};
use crate::log::Log;

/// One action of a jail, made from its plan.
pub(crate) enum Part {
    /// Our own.
    Native(Native),
    /// Nothing: a dry run.
    Dry,
    /// Commands of `action.d`, with their properties.
    Commands(super::Options),
    /// A program in Python.
    Python(Box<Python>),
}

/// An action at work.
enum Kind {
    Native { native: Box<Native>, started: bool },
    Dry,
    Shell { shell: Box<Shell>, started: bool },
    Python { python: Box<Python>, started: bool },
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

struct Member {
    name: String,
    kind: Kind,
    /// Whether the last ban or start failed, of an action that is run.
    fails: bool,
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

/// How an action fares that is run: it failed, or works again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fate {
    pub(crate) action: String,
    /// What went wrong; nothing if it works again.
    pub(crate) failure: Option<Failure>,
}

/// What went wrong with an action that is run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) during: Step,
    pub(crate) id: Option<FailId>,
    pub(crate) error: String,
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
}

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
        }
    }

    /// Goes on with these actions. Of those that stay, commands keep what they have
    /// started; those that are left out end, and lift `held` before, unless they are to
    /// be `forgotten`.
    pub(crate) fn configure(&mut self, parts: Vec<(String, Part)>, held: &[Ban], forgotten: bool) {
        let mut old = std::mem::take(&mut self.members);
        for (name, part) in parts {
            let known = old.iter().position(|member| member.name == name);
            let known = known.map(|place| old.remove(place));
            // Changed, it has not failed yet.
            self.fates.extend(known.as_ref().and_then(Member::excused));
            let known = known.map(|member| member.kind);
            let known = Self::going_on(known, &part, &mut old, &name);
            let kind = match (part, known) {
                (Part::Native(native), known) => Kind::Native {
                    native: Box::new(native),
                    started: matches!(known, Some(Kind::Native { started: true, .. })),
                },
                (Part::Dry, _) => Kind::Dry,
                (Part::Commands(properties), Some(Kind::Shell { mut shell, started })) => {
                    shell.configure(properties);
                    Kind::Shell { shell, started }
                }
                (Part::Commands(properties), _) => {
                    let facts = Arc::clone(&self.facts);
                    let (jail, log) = (self.jail.clone(), self.log.clone());
                    let shell = Shell::new(jail, name.clone(), properties, log, facts);
                    Kind::Shell {
                        shell: Box::new(shell),
                        started: false,
                    }
                }
                (
                    Part::Python(wanted),
                    Some(Kind::Python {
                        mut python,
                        started,
                    }),
                ) => {
                    python.go_on_as(&wanted);
                    Kind::Python { python, started }
                }
                (Part::Python(python), _) => Kind::Python {
                    python,
                    started: false,
                },
            };
            let fails = false;
            self.members.push(Member { name, kind, fails });
        }
        self.fates.extend(old.iter().filter_map(Member::excused));
        if !forgotten && !old.is_empty() {
            let mut gone = Self {
                jail: self.jail.clone(),
                log: self.log.clone(),
                facts: Arc::clone(&self.facts),
                members: old,
                checked: None,
                fates: Vec::new(),
            };
            // That it does not work is logged; nobody else waits for it.
            drop(gone.stop(held));
        }
    }

    /// What of an action stays for the one that is wanted. A program in Python that cannot
    /// go on as that one ends with those that are left out.
    fn going_on(
        known: Option<Kind>,
        part: &Part,
        old: &mut Vec<Member>,
        name: &str,
    ) -> Option<Kind> {
        match (known, part) {
            (Some(Kind::Python { python, started }), part) if !matches!(part, Part::Python(wanted) if python.can_go_on_as(wanted)) =>
            {
                old.push(Member {
                    name: name.to_owned(),
                    kind: Kind::Python { python, started },
                    fails: false,
                });
                None
            }
            (known, _) => known,
        }
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
                Kind::Shell { shell, started } => {
                    if std::mem::replace(started, true) {
                        others = true;
                        continue;
                    }
                    fresh.push(place);
                    if let Err(error) = shell.start() {
                        failed_to(&self.log, ("start", ""), &self.jail, &member.name, &error);
                        self.fates.extend(member.failed(Step::Start, None, &error));
                    }
                }
                Kind::Python { python, started } => {
                    if std::mem::replace(started, true) {
                        others = true;
                        continue;
                    }
                    fresh.push(place);
                    if let Err(error) = python.start() {
                        failed_to(&self.log, ("start", ""), &self.jail, &member.name, &error);
                        self.fates.extend(member.failed(Step::Start, None, &error));
                    }
                }
            }
        }
        let mut rest = held;
        while let [ban, more @ ..] = rest
            && go_on()
        {
            for place in &fresh {
                self.ban_with(*place, ban);
            }
            rest = more;
        }
        // Those that were started before hold all of them.
        let rest = if others { &[] } else { rest };
        (outcome, rest.iter().map(|ban| ban.id.clone()).collect())
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

    /// Runs the commands for a ban.
    pub(crate) fn run_ban(&mut self, ban: &Ban) {
        for place in 0..self.members.len() {
            self.ban_with(place, ban);
        }
    }

    /// Somebody who is banned fails on: looks whether the firewall is as the commands left
    /// it, and repairs it. Not when the ban is quite new, and not all the time.
    pub(crate) fn check(&mut self, ban: &Ban, now: Timestamp) {
        // Somebody else's ban had it repaired: this one may be missing there.
        let lacks = |member: &Member| match &member.kind {
            Kind::Shell { shell, .. } => shell.may_lack(ban),
            _ => false,
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
            let shell = match kind {
                Kind::Shell { shell, .. } => shell,
                Kind::Python { python, .. } => {
                    if let Err(error) = python.check() {
                        failed_to(&self.log, ("check", ""), &self.jail, name, &error);
                    }
                    continue;
                }
                Kind::Native { .. } | Kind::Dry => continue,
            };
            let before = shell.epoch();
            if let Err(error) = shell.consistency_check(Occasion::Ban) {
                failed_to(&self.log, ("check", ""), &self.jail, name, &error);
            }
            if shell.epoch() != before {
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
        let level = crate::log::Level::Notice;
        self.log.line(level, "actions", &text);
        for place in places {
            self.carry_out(*place, Deed::Reban, ban);
        }
    }

    /// Has an action do something about a ban, and tells if that went wrong.
    fn carry_out(&mut self, place: usize, deed: Deed, ban: &Ban) {
        let Some(member) = self.members.get_mut(place) else {
            return;
        };
        let result = match &mut member.kind {
            Kind::Native { .. } | Kind::Dry => return,
            Kind::Shell { shell, .. } => {
                let result = match deed {
                    Deed::Ban => shell.ban(ban),
                    Deed::Reban => shell.reban(ban),
                    Deed::Unban => shell.unban(ban),
                };
                result.map_err(|error| (error.to_string(), shell.info(ban)))
            }
            Kind::Python { python, .. } => {
                let result = match deed {
                    Deed::Ban | Deed::Reban => python.ban(ban),
                    Deed::Unban => python.unban(ban),
                };
                result.map_err(|error| (error.to_string(), python.info(ban)))
            }
        };
        let during = match deed {
            Deed::Ban | Deed::Reban => Step::Ban,
            Deed::Unban => Step::Unban,
        };
        let Err((error, info)) = result else {
            self.fates.extend(member.worked(during));
            return;
        };
        let fate = member.failed(during, Some(&ban.id), &error);
        self.fates.extend(fate);
        let name = &member.name;
        let jail = &self.jail;
        let what = match deed {
            Deed::Ban => "ban",
            Deed::Reban => "reban",
            Deed::Unban => "unban",
        };
        let text = format!(
            "Failed to execute {what} jail '{jail}' action '{name}' info '{info}': {error}"
        );
        self.log.error("actions", &text);
    }

    /// How the actions that are run fare since that was last asked.
    pub(crate) fn take_fates(&mut self) -> (&JailName, Vec<Fate>) {
        (&self.jail, std::mem::take(&mut self.fates))
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
            Some(Kind::Shell { shell, .. }) => shell.call(method, arguments),
            Some(Kind::Python { python, .. }) => python.call(method, arguments),
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

    fn ban_with(&mut self, place: usize, ban: &Ban) {
        self.carry_out(place, Deed::Ban, ban);
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

    /// Runs the commands that lift a ban.
    pub(crate) fn run_unban(&mut self, ban: &Ban) {
        for place in 0..self.members.len() {
            self.unban_with(place, ban);
        }
    }

    fn unban_with(&mut self, place: usize, ban: &Ban) {
        self.carry_out(place, Deed::Unban, ban);
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
                Kind::Native { native, .. } => {
                    self.log.line(crate::log::Level::Notice, "actions", &told);
                    let ids: Vec<FailId> = held.iter().map(|ban| ban.id.clone()).collect();
                    let failed = native.unban(&ids).into_iter().find(Result::is_err);
                    result = failed.unwrap_or(result);
                }
                Kind::Dry => {}
                Kind::Shell { shell, .. } if shell.has_flush() => {
                    self.log.line(crate::log::Level::Notice, "actions", &told);
                    if let Err(error) = shell.flush() {
                        failed_to(&self.log, FLUSH, jail, name, &error);
                        self.log.info("actions", NO_FLUSH);
                        if let Err(error) = shell.consistency_check(occasion) {
                            failed_to(&self.log, ("check", ""), jail, name, &error);
                        }
                    }
                }
                Kind::Python { python, .. } if python.has_flush() => {
                    self.log.line(crate::log::Level::Notice, "actions", &told);
                    match python.flush() {
                        Ok(true) => {}
                        Ok(false) => singly.push(place),
                        Err(error) => {
                            failed_to(&self.log, FLUSH, jail, name, &error);
                            self.log.info("actions", NO_FLUSH);
                            if let Err(error) = python.check() {
                                failed_to(&self.log, ("check", ""), jail, name, &error);
                            }
                        }
                    }
                }
                Kind::Python { .. } => singly.push(place),
                Kind::Shell { .. } => singly.push(place),
            }
        }
        for ban in held {
            for place in &singly {
                self.unban_with(*place, ban);
            }
        }
        result
    }

    /// Tells every action that the configuration was read again.
    pub(crate) fn reload(&mut self) {
        for Member { name, kind, .. } in &mut self.members {
            let error = match kind {
                Kind::Native { .. } | Kind::Dry => None,
                Kind::Shell { shell, .. } => shell.reload().err().map(|error| error.to_string()),
                Kind::Python { python, .. } => python.reload().err().map(|error| error.to_string()),
            };
            if let Some(error) = error {
                failed_to(&self.log, ("reload", ""), &self.jail, name, &error);
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
                        result = native.stop().and(result);
                    }
                }
                Kind::Dry => {}
                Kind::Shell { shell, started } => {
                    *started = false;
                    if let Err(error) = shell.stop() {
                        failed_to(&self.log, ("stop", ""), &self.jail, name, &error);
                    }
                }
                Kind::Python { python, started } => {
                    *started = false;
                    if let Err(error) = python.stop() {
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
                Kind::Python { .. } => Proven::Commands(None),
                Kind::Shell { shell, .. } => {
                    Proven::Commands(libwrap::without_effect(shell.properties()))
                }
            };
            (name.clone(), proven)
        };
        self.members.iter_mut().map(prove).collect()
    }

    fn natives(&mut self) -> impl Iterator<Item = &mut Native> {
        self.members
            .iter_mut()
            .filter_map(|member| match &mut member.kind {
                Kind::Native { native, .. } => Some(&mut **native),
                _ => None,
            })
    }
}

impl Member {
    /// It failed. What is to be told of that.
    fn failed(
        &mut self,
        during: Step,
        id: Option<&FailId>,
        error: &dyn std::fmt::Display,
    ) -> Option<Fate> {
        // Who cannot be unbanned is kept out all the same.
        self.fails |= during != Step::Unban;
        Some(Fate {
            action: self.name.clone(),
            failure: Some(Failure {
                during,
                id: id.cloned(),
                error: error.to_string(),
            }),
        })
    }

    /// It did what it should. What is to be told of that, if it is news.
    fn worked(&mut self, during: Step) -> Option<Fate> {
        let news = self.excused().filter(|_| during == Step::Ban);
        self.fails &= news.is_none();
        news
    }

    /// What is to be told when that it failed no longer matters; nothing if it did not.
    fn excused(&self) -> Option<Fate> {
        self.fails.then(|| Fate {
            action: self.name.clone(),
            failure: None,
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
mod tests {
    use super::*;

    use std::fs;

    use ferroban_engine::{BanTime, Ticket};

    use crate::log::{Level, Target};

    struct Nothing;

    impl Facts for Nothing {}

    fn ban_of(id: &str) -> Ban {
        Ban {
            id: FailId::parse(id),
            time: Timestamp::from_secs(1000),
            bantime: BanTime::For(600),
            count: 1,
            ticket: Ticket::default(),
            restored: false,
        }
    }

    /// As the original tells it, with the same actions.
    #[test]
    fn who_was_banned_before_a_repair_is_banned_again_by_what_was_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        let log = Log::open(&Target::File(folder.path().join("log")), Level::Notice).unwrap();
        let mut actions = Actions::new("j".parse().unwrap(), log.clone(), Arc::new(Nothing));
        let part = |name: &str| {
            let options = [
                ("actionstart", "touch DIR/NAME"),
                ("actionstop", "rm -f DIR/NAME"),
                ("actioncheck", "test -e DIR/NAME"),
                (
                    "actionban",
                    "test -e DIR/NAME && echo NAME ban <ip> >> DIR/rec",
                ),
                ("actionreban", "echo NAME reban <ip> >> DIR/rec"),
            ];
            let filled = |text: &str| text.replace("DIR", &dir).replace("NAME", name);
            let options = options.map(|(option, text)| (option.to_owned(), filled(text)));
            (name.to_owned(), Part::Commands(options.into()))
        };
        actions.configure(vec![part("a"), part("b")], &[], true);
        drop(actions.start(&[], Timestamp::from_secs(0), &|| true));
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(ban_of);
        actions.run_ban(&one);
        fs::remove_file(folder.path().join("a")).unwrap();
        actions.run_ban(&two);
        // At once, and once only.
        let now = Timestamp::from_secs(1001);
        for ban in [&two, &one, &one] {
            actions.check(ban, now);
        }
        for name in ["a", "b"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        actions.check(&one, Timestamp::from_secs(2000));
        let recorded = fs::read_to_string(folder.path().join("rec")).unwrap();
        let expected = [
            "a ban 192.0.2.1",
            "b ban 192.0.2.1",
            "a ban 192.0.2.2",
            "b ban 192.0.2.2",
            "a reban 192.0.2.1",
            "a reban 192.0.2.1",
            "b reban 192.0.2.1",
        ];
        assert_eq!(recorded.lines().collect::<Vec<_>>(), expected);
        log.flush();
        let told = fs::read_to_string(folder.path().join("log")).unwrap();
        let told = told.lines().filter_map(|line| line.split_once("[j] "));
        let told: Vec<&str> = told.map(|(_, text)| text).collect();
        assert_eq!(told, ["Reban 192.0.2.1, action 'a'", "Reban 192.0.2.1"]);
    }
}
