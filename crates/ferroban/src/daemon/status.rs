//! The server and its jails as our own commands show them: JSON.
//!
//! What the fields are, [`view`](crate::wire::view) says; here they are filled in.

use std::collections::{BTreeMap, HashSet};

use ferroban_engine::settings::Watches;
use ferroban_engine::{Ban, Effect, Event, FailId, JailName, JailStatus, Timestamp, event::Step};
use serde::Serialize;

use super::main_loop::MainLoop;
use super::truth::{Look, Looks};
use super::watcher;
use crate::action::nftables::{self, KeptOut};
use crate::action::{Fate, Proven};
use crate::clock;
use crate::load::{ActionPlan, JailSetup, Refusal};
use crate::wire::view::{
    BanView, FailureView, JailView, Keeper, KeptOutView, LiftView, Medium, ProofView, ServerView,
    WatchView,
};
use crate::wire::{Value, dumps};

/// What failed last in each jail.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<JailName, Trouble>);

/// What failed in a jail.
#[derive(Debug, Default)]
struct Trouble {
    /// No ban holds until the action is told to work again.
    standing: Option<FailureView>,
    /// The last ban that did not get into the firewall.
    ban: Option<FailureView>,
    /// Actions that are run and have failed last.
    run: BTreeMap<String, FailureView>,
    /// Whom each of them could not ban.
    unmade: BTreeMap<String, HashSet<FailId>>,
    last: Option<FailureView>,
}

impl Troubles {
    /// Learns from an event, which happened now. To hear of it twice does no harm.
    pub(super) fn note(&mut self, event: &Event, now: Timestamp) {
        let (jail, during, id, error) = match event {
            Event::ActionFailed {
                jail,
                during,
                id,
                error,
                ..
            } => (jail, Some(*during), id.as_ref(), error),
            Event::Unprotected { jail, error, .. } => (jail, None, None, error),
            Event::Missing { jail, error } => return self.stand(jail, error.clone(), now),
            Event::Quarrel { jail, by, .. } => {
                let error = format!("{by} takes its rules away again and again");
                return self.stand(jail, error, now);
            }
            Event::ActionRecovered { jail, .. } => {
                if let Some(trouble) = self.0.get_mut(jail) {
                    trouble.standing = None;
                }
                return;
            }
            Event::JailStopped { jail } => return self.forget(jail),
            Event::Unbanned { jail, id } => return self.lifted(jail, id),
            _ => return,
        };
        let view = FailureView {
            time: now.secs(),
            during: step(during).to_owned(),
            id: id.map(written),
            error: error.clone(),
        };
        let trouble = self.0.entry(jail.clone()).or_default();
        match during {
            None | Some(Step::Start) => trouble.standing = Some(view.clone()),
            Some(Step::Ban) => trouble.ban = Some(view.clone()),
            Some(Step::Unban | Step::Stop) => {}
        }
        trouble.last = Some(view);
    }

    /// Learns how actions fare that are run.
    pub(super) fn note_fates(&mut self, jail: &JailName, fates: Vec<Fate>, now: Timestamp) {
        for Fate {
            action,
            failure,
            made,
        } in fates
        {
            let Some(failure) = failure else {
                if let Some(trouble) = self.0.get_mut(jail) {
                    trouble.run.remove(&action);
                    let unmade = trouble.unmade.entry(action).or_default();
                    unmade.retain(|id| !made.contains(id));
                }
                continue;
            };
            let view = FailureView {
                time: now.secs(),
                during: step(Some(failure.during)).to_owned(),
                id: failure.id.as_ref().map(written),
                error: format!("action '{action}': {}", failure.error),
            };
            let trouble = self.0.entry(jail.clone()).or_default();
            if let (Step::Ban, Some(id)) = (failure.during, failure.id) {
                trouble.unmade.entry(action.clone()).or_default().insert(id);
            }
            if failure.during != Step::Unban {
                trouble.run.insert(action, view.clone());
            }
            trouble.last = Some(view);
        }
    }

    /// No ban of a jail holds, and nothing of ours failed.
    fn stand(&mut self, jail: &JailName, error: String, now: Timestamp) {
        let view = FailureView {
            time: now.secs(),
            during: step(None).to_owned(),
            id: None,
            error,
        };
        let trouble = self.0.entry(jail.clone()).or_default();
        trouble.standing = Some(view.clone());
        trouble.last = Some(view);
    }

    /// The same from what is decided and not yet told.
    pub(super) fn note_all(&mut self, effects: &[Effect], now: Timestamp) {
        for effect in effects {
            if let Effect::Report(event) = effect {
                self.note(event, now);
            }
        }
    }

    /// A ban is over: that it was not made does not matter any more.
    fn lifted(&mut self, jail: &JailName, id: &FailId) {
        if let Some(trouble) = self.0.get_mut(jail) {
            for unmade in trouble.unmade.values_mut() {
                unmade.remove(id);
            }
        }
    }

    /// Forgets whom actions could not ban that a jail has no more.
    fn keep_actions(&mut self, jail: &JailName, actions: &[ActionPlan]) {
        if let Some(trouble) = self.0.get_mut(jail) {
            let has = |name: &String| actions.iter().any(|action| action.name == *name);
            trouble.unmade.retain(|name, _| has(name));
        }
    }

    /// Whether an action that is run could not ban somebody when it last tried.
    fn is_unmade(&self, jail: &JailName, id: &FailId) -> bool {
        let trouble = self.0.get(jail);
        trouble.is_some_and(|trouble| trouble.unmade.values().any(|unmade| unmade.contains(id)))
    }

    /// Begins anew for a jail.
    pub(super) fn forget(&mut self, jail: &JailName) {
        self.0.remove(jail);
    }

    /// Why bans of a jail do not hold, or would not; `missing` says that some do not.
    fn now(&self, jail: &JailName, missing: bool) -> Option<String> {
        let trouble = self.0.get(jail)?;
        let ban = trouble.ban.as_ref().filter(|_| missing);
        let run = trouble.run.values().next();
        let failure = trouble.standing.as_ref().or(ban).or(run)?;
        Some(failure.error.clone())
    }

    fn last(&self, jail: &JailName) -> Option<FailureView> {
        self.0.get(jail)?.last.clone()
    }
}

/// What was being done; nothing, if somebody emptied the firewall.
fn step(during: Option<Step>) -> &'static str {
    match during {
        Some(Step::Start) => "start",
        Some(Step::Ban) => "ban",
        Some(Step::Unban) => "unban",
        Some(Step::Stop) => "stop",
        None => "lost",
    }
}

/// The server and all its jails, in the order in which they were added.
pub(super) fn server(main: &mut MainLoop, looks: &Looks) -> String {
    let setup = main.setup.clone();
    let kept_out = main.crew.kept_out();
    let jails = setup
        .jails()
        .filter_map(|setup| jail(main, setup, (&kept_out, looks)))
        .collect();
    text(&ServerView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        compatible: crate::COMPATIBLE.to_owned(),
        pid: std::process::id(),
        dry_run: main.crew.is_dry(),
        database: main.database.path().map(|path| path.display().to_string()),
        loglevel: main.log.level(),
        logtarget: main.log.target(),
        jails,
    })
}

fn jail(
    main: &mut MainLoop,
    setup: &JailSetup,
    (kept_out, looks): (&BTreeMap<String, KeptOut>, &Looks),
) -> Option<JailView> {
    let name = &setup.name;
    let status = main.numbers(name).ok()?;
    let plan = setup.plan();
    let kept_by = main.crew.keeper(&plan.actions);
    main.trouble.keep_actions(name, &plan.actions);
    let truth = truth(main, name, kept_by, looks.get(name));
    let banned = status.banned.len();
    let kept_out = kept_out.get(&nftables::identifier(name.as_str()));
    let missing = truth.holding.is_some_and(|holding| holding < banned);
    Some(JailView {
        name: name.to_string(),
        started: main.engine.is_started(name),
        idle: setup.idle,
        watches: watches(main, name, &status),
        backend: status.backend,
        actions: plan.actions.into_iter().map(|action| action.name).collect(),
        kept_by,
        failing: status.failing,
        failures: status.failures,
        banned,
        applied: Some(truth.applied),
        verified: truth.verified,
        unverified: truth.problem,
        holding: truth.holding,
        bans: status.bans,
        maxretry: plan.jail.maxretry,
        findtime: plan.jail.findtime,
        bantime: plan.jail.bantime.secs(),
        trouble: main.trouble.now(name, missing).or(truth.trouble),
        last_failure: main.trouble.last(name),
        without_effect: plan.without_effect,
        lifted: lifted(main, name),
        kept_out: kept_out.map(|sum| KeptOutView {
            packets: sum.packets,
            bytes: sum.bytes,
        }),
    })
}

/// How far the bans of a jail are more than words.
#[derive(Debug, Default)]
struct Truth {
    /// Every action said that it did it.
    applied: usize,
    /// Found in the kernel just now.
    verified: Option<usize>,
    /// Why nobody could look, or why what is there does not ban.
    problem: Option<String>,
    /// Known to be kept out, as far as anybody knows.
    holding: Option<usize>,
    /// What is to be told of bans that are not where they should be.
    trouble: Option<String>,
}

fn truth(main: &MainLoop, jail: &JailName, kept_by: Keeper, look: Option<&Look>) -> Truth {
    let mut truth = Truth {
        verified: (kept_by == Keeper::Kernel).then_some(0),
        problem: look.and_then(|look| look.problem.clone()),
        ..Truth::default()
    };
    let (mut in_kernel, mut missing, mut unknown) = (0, 0, 0);
    let mut example = None;
    for ban in main.engine.applied(jail) {
        in_kernel += 1;
        truth.applied += usize::from(!main.trouble.is_unmade(jail, &ban.id));
        match look.and_then(|look| look.verified(ban)) {
            Some(true) => truth.verified = truth.verified.map(|count| count + 1),
            Some(false) => {
                missing += 1;
                example.get_or_insert(&ban.id);
            }
            None => unknown += 1,
        }
    }
    // Nobody looked, or could.
    if unknown == in_kernel && in_kernel > 0 {
        truth.verified = None;
    }
    if kept_by == Keeper::Nobody {
        truth.applied = 0;
    }
    truth.holding = holding(kept_by, in_kernel - missing);
    truth.trouble = example.map(|id| {
        let why = truth.problem.as_deref().unwrap_or(
            "somebody took it out without a word; 'ferroban unban' and 'ferroban ban' put it back",
        );
        format!("{} for one, which the kernel had taken: {why}", written(id))
    });
    truth
}

/// What of a jail's actions is done in process.
fn lifted(main: &MainLoop, jail: &JailName) -> Vec<LiftView> {
    let actions = main.lifted.get(jail).into_iter().flatten();
    let view = |(action, commands): (&String, &Vec<String>)| LiftView {
        action: action.clone(),
        commands: commands.clone(),
    };
    actions.map(view).collect()
}

/// Whether the actions of a jail ban.
pub(super) fn proofs(proven: Vec<(String, Proven)>) -> String {
    let proof = |(action, proven)| {
        let (kept_by, proven, problem) = match proven {
            Proven::Kernel(result) => (Keeper::Kernel, Some(result), None),
            Proven::Commands(problem) => (Keeper::Commands, None, problem),
            Proven::Nobody => (Keeper::Nobody, None, None),
        };
        let tried = proven.iter().flatten().flatten();
        ProofView {
            action,
            kept_by,
            tried: tried.map(ToString::to_string).collect(),
            problem: problem.or_else(|| proven.clone()?.err()),
            proven: proven.map(|result| result.is_ok()),
        }
    };
    let all: Vec<ProofView> = proven.into_iter().map(proof).collect();
    text(&all)
}

/// What a jail reads, or what it will read when it is started.
fn watches(main: &MainLoop, jail: &JailName, status: &JailStatus) -> Vec<WatchView> {
    let sources = main.crew.sources(jail);
    if !sources.is_empty() {
        return sources.iter().map(watcher::view).collect();
    }
    let (kind, names) = match &status.watches {
        Watches::Files(paths) => (Medium::File, paths),
        Watches::Journal(matches) => (Medium::Journal, matches),
    };
    let view = |name: &String| WatchView {
        kind,
        name: name.clone(),
        problem: None,
    };
    names.iter().map(view).collect()
}

/// How many of the bans that an action has taken are known to hold.
fn holding(kept_by: Keeper, applied: usize) -> Option<usize> {
    match kept_by {
        Keeper::Kernel => Some(applied),
        Keeper::Commands => None,
        Keeper::Nobody => Some(0),
    }
}

/// Every ban, of one jail or of all, or those of `ids` alone; within a jail the one that
/// ends first at the front.
pub(super) fn bans(
    main: &MainLoop,
    looks: &Looks,
    jail: Option<&str>,
    ids: &[FailId],
) -> Result<String, Refusal> {
    if let Some(name) = jail {
        main.setup.jail(name)?;
    }
    let setups = main.setup.jails();
    let setups = setups.filter(|setup| jail.is_none_or(|wanted| setup.name == *wanted));
    let wanted: HashSet<&FailId> = ids.iter().collect();
    let mut all = Vec::new();
    for setup in setups {
        let name = &setup.name;
        let kept_by = main.crew.keeper(&setup.plan().actions);
        let look = looks.get(name);
        let bans = main.engine.bans_and_state(name).into_iter();
        let bans = bans.filter(|(ban, _)| wanted.is_empty() || wanted.contains(&ban.id));
        all.extend(bans.map(|(ban, is_done)| {
            let verified = look.and_then(|look| look.verified(&ban));
            let verified = verified.filter(|_| is_done);
            let is_applied = is_done && !main.trouble.is_unmade(name, &ban.id);
            let mut view = view(
                name,
                &ban,
                holds(kept_by, is_done && verified != Some(false)),
            );
            view.applied = is_applied && kept_by != Keeper::Nobody;
            view.verified = verified;
            view
        }));
    }
    Ok(text(&all))
}

fn holds(kept_by: Keeper, applied: bool) -> Option<bool> {
    holding(kept_by, usize::from(applied)).map(|holding| holding > 0)
}

fn view(jail: &JailName, ban: &Ban, holds: Option<bool>) -> BanView {
    BanView {
        jail: jail.to_string(),
        id: written(&ban.id),
        time: ban.time.secs(),
        ends: (ban.bantime.secs() >= 0).then(|| ban.end().secs()),
        bantime: ban.bantime.secs(),
        failures: ban.ticket.failures,
        count: ban.count,
        restored: ban.restored,
        holds,
        ..BanView::default()
    }
}

/// An id with all its bits: fail2ban shows the network of everybody as an address.
fn written(id: &FailId) -> String {
    match id {
        FailId::Network(network) => network.to_string(),
        id => id.to_string(),
    }
}

/// An event as a reply: its own fields, and when it happened.
pub(super) fn event_line(event: &Event, now: Timestamp) -> Vec<u8> {
    let mut fields = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        let at = ferroban_date::rfc3339_millis(now, clock::zone());
        fields.insert("at".to_owned(), at.into());
    }
    let value = Value::from(fields.to_string().as_str());
    dumps(&Value::Tuple(vec![0.into(), value]))
}

fn text(view: &impl Serialize) -> String {
    // Plain data with text for keys always has a form.
    serde_json::to_string(view).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Failure;

    fn jail() -> JailName {
        "sshd".parse().unwrap()
    }

    fn failed(during: Step, error: &str) -> Event {
        Event::ActionFailed {
            jail: jail(),
            during,
            id: Some(FailId::parse("192.0.2.7")),
            error: error.to_owned(),
            attempt: 1,
        }
    }

    #[test]
    fn an_action_that_is_run_is_trouble_until_it_works_again() {
        let fate = |action: &str, during: Option<Step>| Fate {
            action: action.to_owned(),
            failure: during.map(|during| Failure {
                during,
                id: Some(FailId::parse("192.0.2.7")),
                error: "no".to_owned(),
            }),
            made: Vec::new(),
        };
        let mut troubles = Troubles::default();
        let first = "action 'a': no";
        for (fate, trouble, last) in [
            (fate("a", None), None, None),
            (fate("a", Some(Step::Unban)), None, Some("unban")),
            (
                fate("b", Some(Step::Ban)),
                Some("action 'b': no"),
                Some("ban"),
            ),
            (fate("a", Some(Step::Start)), Some(first), Some("start")),
            (fate("b", None), Some(first), Some("start")),
            (fate("a", None), None, Some("start")),
        ] {
            troubles.note_fates(&jail(), vec![fate.clone()], Timestamp::from_secs(9));
            assert_eq!(troubles.now(&jail(), false).as_deref(), trouble, "{fate:?}");
            let during = troubles.last(&jail()).map(|view| view.during);
            assert_eq!(during.as_deref(), last, "{fate:?}");
        }
    }

    #[test]
    fn who_could_not_be_banned_is_known_until_he_is_or_it_is_over() {
        let fate = |failed: bool, made: &[&str]| Fate {
            action: "a".to_owned(),
            failure: failed.then(|| Failure {
                during: Step::Ban,
                id: Some(FailId::parse("192.0.2.7")),
                error: "no".to_owned(),
            }),
            made: made.iter().map(|id| FailId::parse(id)).collect(),
        };
        let plan = |name: &str| ActionPlan {
            name: name.to_owned(),
            ..ActionPlan::default()
        };
        let id = FailId::parse("192.0.2.7");
        let unbanned = Event::Unbanned {
            jail: jail(),
            id: id.clone(),
        };
        let begun = || {
            let mut troubles = Troubles::default();
            troubles.note_fates(&jail(), vec![fate(true, &[])], Timestamp::from_secs(9));
            assert!(troubles.is_unmade(&jail(), &id));
            troubles.note_fates(&jail(), vec![fate(false, &[])], Timestamp::from_secs(9));
            troubles.keep_actions(&jail(), &[plan("a")]);
            assert!(troubles.is_unmade(&jail(), &id), "others were banned");
            troubles
        };
        let mut troubles = begun();
        troubles.note_fates(
            &jail(),
            vec![fate(false, &["192.0.2.7"])],
            Timestamp::from_secs(9),
        );
        assert!(!troubles.is_unmade(&jail(), &id));
        let mut troubles = begun();
        troubles.note(&unbanned, Timestamp::from_secs(9));
        assert!(!troubles.is_unmade(&jail(), &id));
        let mut troubles = begun();
        troubles.keep_actions(&jail(), &[plan("b")]);
        assert!(!troubles.is_unmade(&jail(), &id));
    }

    #[test]
    fn trouble_lasts_as_long_as_bans_do_not_hold_and_is_remembered() {
        let (start, ban) = (failed(Step::Start, "no"), failed(Step::Ban, "full"));
        let unban = failed(Step::Unban, "busy");
        let lost = Event::Unprotected {
            jail: jail(),
            bans: 3,
            error: "gone".to_owned(),
        };
        let well = Event::ActionRecovered {
            jail: jail(),
            held: 3,
        };
        let stopped = Event::JailStopped { jail: jail() };
        // events, whether bans are missing, trouble, last failure
        type Row<'a> = (&'a [&'a Event], bool, Option<&'a str>, Option<&'a str>);
        let rows: [Row<'_>; 11] = [
            (&[], true, None, None),
            (&[&start], false, Some("no"), Some("start")),
            (&[&start, &ban, &unban], true, Some("no"), Some("unban")),
            (&[&lost, &ban, &well], true, Some("full"), Some("ban")),
            (&[&start, &well], true, None, Some("start")),
            (&[&start, &well, &ban], true, Some("full"), Some("ban")),
            (&[&ban], false, None, Some("ban")),
            (&[&unban], true, None, Some("unban")),
            (&[&ban, &lost], false, Some("gone"), Some("lost")),
            (&[&start, &stopped], true, None, None),
            (&[&lost, &well, &unban], true, None, Some("unban")),
        ];
        for (events, missing, trouble, last) in rows {
            let mut troubles = Troubles::default();
            for event in events {
                troubles.note(event, Timestamp::from_secs(9));
            }
            assert_eq!(
                troubles.now(&jail(), missing).as_deref(),
                trouble,
                "{events:?}"
            );
            let during = troubles.last(&jail()).map(|view| view.during);
            assert_eq!(during.as_deref(), last, "{events:?}");
        }
    }

    #[test]
    fn only_the_kernel_is_known_to_hold_a_ban() {
        assert_eq!(holds(Keeper::Kernel, true), Some(true));
        assert_eq!(holds(Keeper::Kernel, false), Some(false));
        assert_eq!(holds(Keeper::Commands, true), None);
        assert_eq!(holds(Keeper::Nobody, true), Some(false));
    }
}
