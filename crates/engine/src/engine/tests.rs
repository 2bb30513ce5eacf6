use super::*;
use crate::ban::{BanTime, Ticket};
use crate::effect::{Job, Outcome, Reason, Save, Task};
use crate::event::Step;
use crate::ignore::{IgnoreReason, Protection};

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn name(text: &str) -> JailName {
    text.parse().unwrap()
}

fn id(text: &str) -> FailId {
    FailId::parse(text)
}

fn settings(jail: &str) -> JailSettings {
    JailSettings {
        maxretry: 3,
        findtime: 600,
        bantime: BanTime::For(3600),
        ..JailSettings::new(name(jail))
    }
}

/// An engine with one jail, `sshd`, whose actions are up.
fn sshd() -> Engine {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.add_jail(at(0), settings("sshd"), &mut effects);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    engine
}

/// Tells the engine that every job among `effects` went like `outcome`.
fn finish(engine: &mut Engine, second: i64, effects: &[Effect], outcome: &Outcome) -> Vec<Effect> {
    let mut after = Vec::new();
    for job in jobs(effects) {
        let done = Done {
            job: job.id,
            outcome: outcome.clone(),
        };
        engine.done(at(second), &done, &mut after);
    }
    after
}

fn jobs(effects: &[Effect]) -> Vec<Job> {
    let job = |effect: &Effect| {
        if let Effect::Act(job) = effect {
            Some(job.clone())
        } else {
            None
        }
    };
    effects.iter().filter_map(job).collect()
}

fn events(effects: &[Effect]) -> Vec<Event> {
    let event = |e: &Effect| {
        if let Effect::Report(event) = e {
            Some(event.clone())
        } else {
            None
        }
    };
    effects.iter().filter_map(event).collect()
}

fn fail(engine: &mut Engine, jail: &str, text: &str, second: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    let failure = Failure::new(id(text), at(second));
    engine.failure(at(second), &name(jail), failure, &mut effects);
    effects
}

/// A ban as the database keeps it.
fn stored(text: &str, time: i64, bantime: BanTime) -> Ban {
    let ticket = Ticket::default();
    Ban {
        id: id(text),
        time: at(time),
        bantime,
        count: 1,
        ticket,
        restored: false,
    }
}

fn ask(engine: &mut Engine, second: i64, command: Command) -> (Answer, Vec<Effect>) {
    let mut effects = Vec::new();
    let answer = engine.command(at(second), command, &mut effects);
    (answer, effects)
}

fn ban(engine: &mut Engine, second: i64, ids: &[&str]) -> (Answer, Vec<Effect>) {
    let ids = ids.iter().map(|text| id(text)).collect();
    ask(
        engine,
        second,
        Command::Ban {
            jail: name("sshd"),
            ids,
            force: false,
        },
    )
}

#[test]
fn the_third_failure_bans_and_the_ban_time_lifts() {
    let mut engine = sshd();
    for second in [0, 10] {
        let found = fail(&mut engine, "sshd", "192.0.2.7", second);
        assert_eq!(events(&found).len(), 1);
        assert!(jobs(&found).is_empty());
    }
    let effects = fail(&mut engine, "sshd", "192.0.2.7", 20);
    // The ban is saved before it is acted on, so that a crash in between loses nothing.
    let kinds: Vec<&str> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Save(Save::Ban { .. }) => "save",
            Effect::Act(Job {
                task:
                    Task::Ban {
                        reason: Reason::New,
                        ..
                    },
                ..
            }) => "act",
            Effect::Report(Event::Found { .. }) => "found",
            Effect::Report(Event::Banned { .. }) => "banned",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["found", "save", "banned", "act"]);
    assert_eq!(engine.next_wakeup().map(Timestamp::secs), Some(3620));

    let mut lifted = Vec::new();
    engine.wake(at(3620), &mut lifted);
    assert_eq!(lifted, [], "a ban ends strictly after its end");
    engine.wake(at(3621), &mut lifted);
    assert_eq!(
        events(&lifted),
        [Event::Unbanned {
            jail: name("sshd"),
            id: id("192.0.2.7")
        }]
    );
    assert!(matches!(
        jobs(&lifted).first(),
        Some(Job {
            task: Task::Unban { ban: Some(_), .. },
            ..
        })
    ));
    assert_eq!(engine.next_wakeup(), None);
}

#[test]
fn failures_from_the_future_count_as_now() {
    let mut engine = sshd();
    let mut effects = Vec::new();
    engine.failure(
        at(5),
        &name("sshd"),
        Failure::new(id("192.0.2.7"), at(900)),
        &mut effects,
    );
    let time = Event::Found {
        jail: name("sshd"),
        id: id("192.0.2.7"),
        time: at(5),
    };
    assert_eq!(events(&effects), [time]);
}

#[test]
fn ignored_and_protected_addresses_are_never_counted() {
    let mut engine = Engine::new();
    let own = Protected {
        address: "192.0.2.1".parse().unwrap(),
        why: Protection::OwnAddress,
    };
    let session = Protected {
        address: "198.51.100.9".parse().unwrap(),
        why: Protection::Session,
    };
    engine.protect(vec![own, session]);
    let jail = JailSettings {
        ignoreip: vec![id("127.0.0.0/8")],
        maxretry: 1,
        ..settings("sshd")
    };
    engine.add_jail(at(0), jail, &mut Vec::new());
    let cases = [
        ("127.0.0.1", Some(IgnoreReason::Ip)),
        ("192.0.2.1", Some(IgnoreReason::OwnAddress)),
        (
            "198.51.100.9",
            Some(IgnoreReason::Protected(Protection::Session)),
        ),
        ("203.0.113.9", None),
    ];
    for (text, why) in cases {
        let effects = fail(&mut engine, "sshd", text, 1);
        match why {
            Some(why) => {
                assert_eq!(
                    events(&effects),
                    [Event::Ignored {
                        jail: name("sshd"),
                        id: id(text),
                        why
                    }]
                );
            }
            None => assert_eq!(jobs(&effects).len(), 1, "{text}"),
        }
    }
}

#[test]
fn an_order_to_ban_a_protected_address_needs_force() {
    let mut engine = sshd();
    let gateway = Protected {
        address: "192.0.2.1".parse().unwrap(),
        why: Protection::Gateway,
    };
    engine.protect(vec![gateway]);
    let (answer, effects) = ban(&mut engine, 1, &["192.0.2.0/24", "198.51.100.1"]);
    assert_eq!(
        answer.reply,
        Reply::Error(CommandError::Protected(vec![gateway]))
    );
    assert_eq!(
        answer.after.len(),
        1,
        "the other one is banned all the same"
    );
    assert_eq!(jobs(&effects).len(), 1);

    let ids = vec![id("192.0.2.0/24")];
    let (answer, _) = ask(
        &mut engine,
        1,
        Command::Ban {
            jail: name("sshd"),
            ids,
            force: true,
        },
    );
    assert_eq!(answer.reply, Reply::Count(1));
}

#[test]
fn banning_twice_counts_once_and_prolongs() {
    let mut engine = sshd();
    assert_eq!(
        ban(&mut engine, 0, &["192.0.2.7", "192.0.2.7"]).0.reply,
        Reply::Count(1)
    );
    let (answer, effects) = ban(&mut engine, 100, &["192.0.2.7"]);
    assert_eq!(answer.reply, Reply::Count(0));
    let again = Event::AlreadyBanned {
        jail: name("sshd"),
        id: id("192.0.2.7"),
        after: 100,
    };
    assert_eq!(events(&effects), [again]);
    assert_eq!(engine.next_wakeup().map(Timestamp::secs), Some(3700));
    // The firewall and the database learn the new end as well.
    let all = jobs(&effects);
    let [
        Job {
            task:
                Task::Ban {
                    ban: longer,
                    reason: Reason::FailsOn,
                },
            ..
        },
    ] = all.as_slice()
    else {
        panic!("{all:?}")
    };
    assert_eq!(longer.end(), at(3700));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Save(Save::Prolong { .. })))
    );

    let (_, effects) = ban(&mut engine, 100, &["192.0.2.7"]);
    assert_eq!(jobs(&effects).len(), 1, "told again: it may not hold him");
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Save(_))),
        "nothing new to write"
    );
}

#[test]
fn unbanning_a_network_lifts_what_is_inside_and_forgets_it() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7", "192.0.2.8", "198.51.100.1"]);
    let ids = vec![id("192.0.2.0/24")];
    let (answer, effects) = ask(&mut engine, 1, Command::UnbanEverywhere { ids });
    assert_eq!(answer.reply, Reply::Count(2));
    let forgotten = effects
        .iter()
        .filter(|e| matches!(e, Effect::Save(Save::Forget { .. })))
        .count();
    assert_eq!(forgotten, 3, "the two inside and the network itself");
    let (left, _) = ask(&mut engine, 1, Command::BannedIds { jail: name("sshd") });
    assert_eq!(left.reply, Reply::Ids(vec![id("198.51.100.1")]));
}

#[test]
fn absent_ids_are_reported_after_the_present_ones_are_lifted() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7"]);
    let ids = vec![id("192.0.2.99"), id("192.0.2.7")];
    let order = Command::Unban {
        jail: name("sshd"),
        ids,
        report_absent: true,
    };
    let (answer, effects) = ask(&mut engine, 1, order);
    assert_eq!(
        answer.reply,
        Reply::Error(CommandError::NotBanned(vec![id("192.0.2.99")]))
    );
    // The firewall is told of both: it may hold what nobody remembers.
    assert_eq!(jobs(&effects).len(), 2);
}

#[test]
fn a_restart_takes_bans_over_and_starts_the_firewall_with_them() {
    let ban = |text: &str, time| stored(text, time, BanTime::For(600));
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let jail = JailSettings {
        ignoreip: vec![id("192.0.2.3")],
        ..settings("sshd")
    };
    let old = vec![
        ban("192.0.2.1", 900),
        ban("192.0.2.2", 0),
        ban("192.0.2.3", 900),
    ];
    engine.restore_jail(at(1000), jail, old, &mut effects);
    let restored: Vec<Event> = events(&effects)
        .into_iter()
        .filter(|e| matches!(e, Event::Restored { .. }))
        .collect();
    assert_eq!(
        restored,
        [Event::Restored {
            jail: name("sshd"),
            id: id("192.0.2.1")
        }]
    );
    let saved = effects
        .iter()
        .any(|effect| matches!(effect, Effect::Save(Save::Ban { .. })));
    assert!(!saved, "restored bans are not written again");
    let all = jobs(&effects);
    let [
        Job {
            task: Task::Start(held),
            ..
        },
        Job {
            task:
                Task::Unban {
                    id: ignored,
                    ban: None,
                },
            ..
        },
    ] = all.as_slice()
    else {
        panic!("{all:?}")
    };
    assert_eq!(*ignored, id("192.0.2.3"), "the firewall may still hold it");
    assert_eq!(
        held.iter()
            .map(|ban| (ban.id.clone(), ban.count))
            .collect::<Vec<_>>(),
        [(id("192.0.2.1"), 2)]
    );
}

#[test]
fn a_failed_ban_is_told_and_tried_again_until_it_holds() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7"]);
    let failed = finish(&mut engine, 0, &effects, &Outcome::Failed("no".into()));
    assert!(matches!(
        events(&failed).as_slice(),
        [Event::ActionFailed {
            during: Step::Ban,
            attempt: 1,
            ..
        }]
    ));
    assert_eq!(engine.next_wakeup(), Some(at(5)));
    let status = |engine: &mut Engine| {
        let status = engine.status(at(5), &name("sshd")).unwrap();
        (status.banned.len(), status.applied)
    };
    assert_eq!(status(&mut engine), (1, 0), "decided, not applied");

    let mut retried = Vec::new();
    engine.wake(at(5), &mut retried);
    assert_eq!(jobs(&retried).len(), 1);
    finish(&mut engine, 5, &retried, &Outcome::Ok);
    assert_eq!(status(&mut engine), (1, 1));
    assert_eq!(engine.next_wakeup().map(Timestamp::secs), Some(3600));
}

#[test]
fn each_jail_learns_how_its_own_jobs_went() {
    let mut engine = Engine::new();
    for jail in ["a", "b"] {
        let mut effects = Vec::new();
        engine.add_jail(at(0), settings(jail), &mut effects);
        finish(&mut engine, 0, &effects, &Outcome::Ok);
    }
    for jail in ["a", "b"] {
        let ids = vec![id("192.0.2.7")];
        let order = Command::Ban {
            jail: name(jail),
            ids,
            force: false,
        };
        let (_, effects) = ask(&mut engine, 1, order);
        let told = finish(&mut engine, 1, &effects, &Outcome::Failed("no".into()));
        let told = events(&told);
        assert!(
            matches!(told.as_slice(), [Event::ActionFailed { jail: own, .. }] if *own == *jail),
            "{told:?}"
        );
    }
}

#[test]
fn an_unban_that_fails_is_tried_again_ever_more_slowly() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7"]);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    let ids = vec![id("192.0.2.7")];
    let (_, mut effects) = ask(&mut engine, 1, Command::UnbanEverywhere { ids });
    let mut now = 1;
    for (round, wait) in (1..).zip([5, 10, 20]) {
        let told = finish(&mut engine, now, &effects, &Outcome::Failed("no".into()));
        let told = events(&told);
        assert!(
            matches!(told.as_slice(), [Event::ActionFailed { attempt, .. }] if *attempt == round),
            "{told:?}"
        );
        now += wait;
        assert_eq!(engine.next_wakeup(), Some(at(now)));
        effects.clear();
        engine.wake(at(now), &mut effects);
        assert_eq!(jobs(&effects).len(), 1);
    }
}

#[test]
fn a_ban_that_failed_twice_before_the_next_try_is_tried_once() {
    let mut engine = sshd();
    for second in 0..2 {
        let (_, effects) = ban(&mut engine, second, &["192.0.2.7"]);
        finish(&mut engine, second, &effects, &Outcome::Failed("no".into()));
    }
    let mut woken = Vec::new();
    engine.wake(at(5), &mut woken);
    assert_eq!(jobs(&woken), [], "it has failed again since");
    engine.wake(at(11), &mut woken);
    assert_eq!(jobs(&woken).len(), 1);
    finish(&mut engine, 11, &woken, &Outcome::Ok);
    assert_eq!(engine.next_wakeup().map(Timestamp::secs), Some(3601));
}

#[test]
fn actions_that_do_not_start_are_started_again_with_all_bans() {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.add_jail(at(0), settings("sshd"), &mut effects);
    let down = finish(
        &mut engine,
        0,
        &effects,
        &Outcome::Failed("no right".into()),
    );
    assert!(matches!(
        events(&down).as_slice(),
        [Event::ActionFailed {
            during: Step::Start,
            attempt: 1,
            ..
        }]
    ));
    let (answer, effects) = ban(&mut engine, 1, &["192.0.2.7"]);
    assert_eq!((answer.reply, jobs(&effects)), (Reply::Count(1), vec![]));
    finish(
        &mut engine,
        1,
        &effects,
        &Outcome::Failed("no right".into()),
    );

    let mut again = Vec::new();
    engine.wake(at(5), &mut again);
    let all = jobs(&again);
    let [
        Job {
            task: Task::Start(held),
            ..
        },
    ] = all.as_slice()
    else {
        panic!("one start")
    };
    assert_eq!(held.len(), 1);
    let up = finish(&mut engine, 5, &again, &Outcome::Ok);
    assert_eq!(
        events(&up),
        [Event::ActionRecovered {
            jail: name("sshd"),
            held: 1
        }]
    );
}

#[test]
fn stopping_repeals_bans_but_keeps_them_stored() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7"]);
    let mut effects = Vec::new();
    assert_eq!(engine.stop(at(1), &mut effects).len(), 1);
    assert_eq!(events(&effects), [], "it is told when it is done");
    let jail = name("sshd");
    let told = [
        Event::Repealed {
            jail: jail.clone(),
            id: id("192.0.2.7"),
        },
        Event::JailStopped { jail },
    ];
    let after = finish(&mut engine, 1, &effects, &Outcome::Ok);
    assert_eq!(events(&after), told);
    assert!(!effects.iter().any(|e| matches!(
        e,
        Effect::Save(Save::Forget { .. } | Save::ForgetAll { .. })
    )));
}

#[test]
fn jails_count_apart() {
    let mut engine = sshd();
    engine.add_jail(at(0), settings("web"), &mut Vec::new());
    for _ in 0..2 {
        assert!(jobs(&fail(&mut engine, "sshd", "192.0.2.7", 1)).is_empty());
        assert!(jobs(&fail(&mut engine, "web", "192.0.2.7", 1)).is_empty());
    }
    assert_eq!(jobs(&fail(&mut engine, "web", "192.0.2.7", 1)).len(), 1);
    assert_eq!(engine.ban_count(&name("web")), 1);
}

#[test]
fn an_unknown_jail_is_named_in_the_error() {
    let mut engine = sshd();
    let (answer, _) = ask(
        &mut engine,
        0,
        Command::BanIps {
            jail: name("nosuch"),
        },
    );
    assert_eq!(
        answer.reply,
        Reply::Error(CommandError::UnknownJail("nosuch".into()))
    );
}

#[test]
fn effects_survive_being_written_down() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7", "198.51.100.0/24", "bob"]);
    let json = serde_json::to_string(&effects).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Effect>>(&json).unwrap(), effects);
}

#[test]
fn a_new_configuration_changes_only_what_differs_and_says_so_before() {
    let mut engine = sshd();
    engine.add_jail(at(0), settings("old"), &mut Vec::new());
    ban(&mut engine, 0, &["192.0.2.7"]);
    let changed = JailSettings {
        maxretry: 1,
        ignoreip: vec![id("10.0.0.0/8")],
        ..settings("sshd")
    };
    let wanted = [changed.clone(), settings("new")];
    let shown: Vec<String> = engine
        .changes(&wanted)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "- jail 'old' stops; 0 ban(s) leave the firewall",
            "~ jail 'sshd' changes; 1 ban(s) stay\n    maxretry: 3 -> 1\n    ignoreip: (nothing) -> 10.0.0.0/8",
            "+ jail 'new' starts",
        ]
    );
    assert_eq!(engine.changes(&[settings("sshd"), settings("old")]), []);

    engine.change_jail(at(1), changed, &mut Vec::new());
    assert!(
        events(&fail(&mut engine, "sshd", "10.0.0.1", 1))
            .iter()
            .all(|e| matches!(e, Event::Ignored { .. }))
    );
    assert_eq!(
        jobs(&fail(&mut engine, "sshd", "192.0.2.9", 1)).len(),
        1,
        "maxretry is 1 now"
    );
    let (left, _) = ask(&mut engine, 1, Command::BannedIds { jail: name("sshd") });
    assert_eq!(
        left.reply,
        Reply::Ids(vec![id("192.0.2.7"), id("192.0.2.9")])
    );
}

#[test]
fn a_removed_jail_cleans_the_firewall_and_is_forgotten_when_that_is_done() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7"]);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    let mut effects = Vec::new();
    engine.remove_jail(at(1), &name("sshd"), &mut effects);
    assert!(matches!(
        jobs(&effects).as_slice(),
        [Job {
            task: Task::Stop(_),
            ..
        }]
    ));
    assert!(!engine.has_jail(&name("sshd")));
    let after = finish(&mut engine, 1, &effects, &Outcome::Ok);
    let jail = name("sshd");
    let repealed = Event::Repealed {
        jail: jail.clone(),
        id: id("192.0.2.7"),
    };
    assert_eq!(events(&after), [repealed, Event::JailStopped { jail }]);
    assert!(engine.ending.is_empty());
}

#[test]
fn a_jail_that_begins_anew_is_told_behind_its_end() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7"]);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    let held = engine.bans(&name("sshd"));
    let mut effects = Vec::new();
    engine.remove_jail(at(1), &name("sshd"), &mut effects);
    engine.restore_jail(at(1), settings("sshd"), held, &mut effects);
    assert_eq!(events(&effects), [], "nothing before the end");
    assert_eq!(jobs(&effects).len(), 2, "what is to be done does not wait");
    let after = finish(&mut engine, 1, &effects, &Outcome::Ok);
    let (jail, id) = (name("sshd"), id("192.0.2.7"));
    let told = [
        Event::Repealed {
            jail: jail.clone(),
            id: id.clone(),
        },
        Event::JailStopped { jail: jail.clone() },
        Event::JailStarted { jail: jail.clone() },
        Event::Restored { jail, id },
    ];
    assert_eq!(events(&after), told);
    let more = fail(&mut engine, "sshd", "192.0.2.8", 1);
    assert!(matches!(events(&more).as_slice(), [Event::Found { .. }]));
}

#[test]
fn replaced_actions_start_with_all_bans() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7", "192.0.2.8"]);
    let mut effects = Vec::new();
    engine.restart_actions(at(1), &name("sshd"), &mut effects);
    let all = jobs(&effects);
    let [
        Job {
            task: Task::Start(held),
            ..
        },
    ] = all.as_slice()
    else {
        panic!("one start")
    };
    assert_eq!(held.len(), 2);
}

#[test]
fn an_emptied_firewall_is_told_once_and_left_empty_until_somebody_orders_otherwise() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7"]);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    let (_, effects) = ban(&mut engine, 1, &["192.0.2.8", "192.0.2.9"]);
    let told = finish(&mut engine, 1, &effects, &Outcome::Lost("gone".into()));
    let missing = Event::Missing {
        jail: name("sshd"),
        error: "gone".into(),
    };
    assert_eq!(events(&told), [missing], "perhaps it comes back at once");
    let unprotected = Event::Unprotected {
        jail: name("sshd"),
        bans: 3,
        error: "gone".into(),
    };
    assert_eq!(engine.next_wakeup(), Some(at(3)));
    assert_eq!(
        events(&woken(&mut engine, 3)),
        [unprotected],
        "once, not for each ban"
    );
    let (_, effects) = ban(&mut engine, 4, &["192.0.2.10"]);
    assert_eq!(jobs(&effects), [], "not put back behind somebody's back");
    assert_eq!(jobs(&woken(&mut engine, 1000)), []);

    let mut effects = Vec::new();
    engine.rearm(at(1000), &mut effects);
    let all = jobs(&effects);
    let [
        Job {
            task: Task::Start(held),
            ..
        },
    ] = all.as_slice()
    else {
        panic!("one start")
    };
    assert_eq!(held.len(), 4);
    let up = finish(&mut engine, 1000, &effects, &Outcome::Ok);
    assert_eq!(
        events(&up),
        [Event::ActionRecovered {
            jail: name("sshd"),
            held: 4
        }]
    );
    let mut again = Vec::new();
    engine.rearm(at(1001), &mut again);
    assert_eq!(again, [], "what holds is not started again");
}

fn woken(engine: &mut Engine, second: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.wake(at(second), &mut effects);
    effects
}

/// Somebody else does this to the firewall of `sshd`.
fn tamper(engine: &mut Engine, second: i64, what: Tampering) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.tampered(at(second), &name("sshd"), what, &mut effects);
    effects
}

fn taken() -> Tampering {
    let by = "nft (process 7)".into();
    Tampering::Taken { by, anew: false }
}

/// How many bans the starts among some effects are to hold.
fn started(effects: &[Effect]) -> Vec<usize> {
    let held = |job: &Job| match &job.task {
        Task::Start(held) => Some(held.len()),
        _ => None,
    };
    jobs(effects).iter().filter_map(held).collect()
}

/// `sshd` with two bans in the firewall.
fn guarded(heal: bool) -> Engine {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let settings = JailSettings {
        heal,
        ..settings("sshd")
    };
    engine.add_jail(at(0), settings, &mut effects);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    let (_, effects) = ban(&mut engine, 0, &["192.0.2.7", "192.0.2.8"]);
    finish(&mut engine, 0, &effects, &Outcome::Ok);
    engine
}

#[test]
fn what_holds_bans_and_was_emptied_is_put_back_where_that_is_wanted_always() {
    let (what, by) = (
        "its set 'f2b' was emptied".to_owned(),
        "somebody".to_owned(),
    );
    let (jail, error) = (name("sshd"), what.clone());
    let bans = 2;
    let unprotected = Event::Unprotected { jail, bans, error };
    let jail = name("sshd");
    let healing = Event::Healing {
        jail,
        by: by.clone(),
    };
    for (heal, expected) in [(false, unprotected), (true, healing)] {
        let mut engine = guarded(heal);
        let emptied = Tampering::Emptied {
            what: what.clone(),
            by: by.clone(),
        };
        let mut effects = tamper(&mut engine, 10, emptied);
        effects.extend(woken(&mut engine, 12));
        assert_eq!(events(&effects).last(), Some(&expected));
        assert_eq!(started(&effects).is_empty(), !heal);
    }
}

#[test]
fn a_firewall_that_is_loaded_anew_is_healed_and_one_that_is_emptied_is_not() {
    let unprotected = Event::Unprotected {
        jail: name("sshd"),
        bans: 2,
        error: "nft (process 7) has taken its rules away".into(),
    };
    let healing = Event::Healing {
        jail: name("sshd"),
        by: "nft (process 7)".into(),
    };
    // Whether healing is wanted always, when rules are made, when somebody looks, and what comes
    // of it.
    let cases = [
        (false, Some(10), 11, Some(&healing)),
        (false, Some(11), 12, Some(&healing)),
        (false, None, 11, None),
        (false, None, 12, Some(&unprotected)),
        (false, Some(13), 14, Some(&unprotected)),
        (true, None, 10, Some(&healing)),
    ];
    for (heal, made, looked, expected) in cases {
        let mut engine = guarded(heal);
        let mut effects = tamper(&mut engine, 10, taken());
        let (_, lost) = ban(&mut engine, 10, &["192.0.2.9"]);
        assert_eq!(jobs(&lost), [], "the start brings it along");
        engine.command(
            at(10),
            Command::UnbanEverywhere {
                ids: vec![id("192.0.2.9")],
            },
            &mut Vec::new(),
        );
        for second in 10..=looked {
            if made == Some(second) {
                effects.extend(tamper(&mut engine, second, Tampering::Made));
            }
            effects.extend(woken(&mut engine, second));
        }
        let what = (heal, made, looked);
        let missing = Event::Missing {
            jail: name("sshd"),
            error: "nft (process 7) has taken its rules away".into(),
        };
        let told: Vec<Event> = [Some(&missing), expected]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        assert_eq!(events(&effects), told, "{what:?}");
        let starts = usize::from(expected == Some(&healing));
        assert_eq!(started(&effects), vec![2; starts], "{what:?}");
    }
}

#[test]
fn what_is_loaded_in_one_step_is_healed_at_once() {
    let anew = || Tampering::Taken {
        by: "nft (process 7)".into(),
        anew: true,
    };
    let mut engine = guarded(false);
    tamper(&mut engine, 10, anew());
    assert_eq!(engine.next_wakeup(), Some(at(10)));
    let healed = woken(&mut engine, 10);
    assert_eq!(started(&healed), [2]);
    finish(&mut engine, 10, &healed, &Outcome::Ok);
    // Emptied, and loaded by somebody else before it is known why.
    tamper(&mut engine, 11, taken());
    tamper(&mut engine, 12, anew());
    assert_eq!(started(&woken(&mut engine, 12)), [2]);
}

#[test]
fn rules_are_put_back_when_nobody_makes_any_more_and_soon_all_the_same() {
    let mut engine = guarded(false);
    tamper(&mut engine, 10, taken());
    let millis = |millis: i64| Timestamp::from_micros(10_000_000 + millis * 1000);
    let make = |engine: &mut Engine, moment: i64| {
        engine.tampered(
            millis(moment),
            &name("sshd"),
            Tampering::Made,
            &mut Vec::new(),
        );
        engine.next_wakeup()
    };
    let cases = [(100, 400), (350, 650), (600, 900), (850, 900)];
    for (moment, due) in cases {
        assert_eq!(make(&mut engine, moment), Some(millis(due)), "{moment}");
    }
}

#[test]
fn a_quarrel_about_the_firewall_is_told_and_rests_for_a_minute() {
    let mut engine = guarded(true);
    for round in 0..5 {
        tamper(&mut engine, round, taken());
        let healed = woken(&mut engine, round);
        assert_eq!(started(&healed), [2]);
        finish(&mut engine, round, &healed, &Outcome::Ok);
    }
    tamper(&mut engine, 5, taken());
    let quarrel = Event::Quarrel {
        jail: name("sshd"),
        by: "nft (process 7)".into(),
        times: 5,
    };
    let told = woken(&mut engine, 5);
    assert_eq!((events(&told), jobs(&told)), (vec![quarrel], vec![]));
    assert_eq!(engine.next_wakeup(), Some(at(65)));
    let healed = woken(&mut engine, 65);
    assert_eq!(started(&healed), [2]);
    finish(&mut engine, 65, &healed, &Outcome::Ok);
    tamper(&mut engine, 66, taken());
    assert_eq!(started(&woken(&mut engine, 66)), [2], "the minute is over");
}

#[test]
fn who_is_taken_out_of_the_firewall_is_unbanned_by_whoever_did_it() {
    let mut engine = guarded(false);
    let (_, waiting) = ban(&mut engine, 1, &["192.0.2.9"]);
    let ids = ["192.0.2.7", "192.0.2.9", "192.0.2.10"].map(id).to_vec();
    let by = "nft (process 7)".to_owned();
    let lifted = Tampering::Lifted {
        ids,
        by: by.clone(),
    };
    let effects = tamper(&mut engine, 2, lifted);
    let (jail, id) = (name("sshd"), id("192.0.2.7"));
    let told = [
        Event::TakenOut {
            jail: jail.clone(),
            id: id.clone(),
            by,
        },
        Event::Unbanned { jail, id },
    ];
    assert_eq!(
        events(&effects),
        told,
        "of the others one is under way and one unknown"
    );
    finish(&mut engine, 2, &waiting, &Outcome::Ok);
    assert_eq!(engine.ban_count(&name("sshd")), 2);
}

#[test]
fn of_several_starts_only_the_last_counts() {
    let mut engine = sshd();
    let (_, effects) = ban(&mut engine, 1, &["192.0.2.1"]);
    let mut start = Vec::new();
    engine.restart_actions(at(1), &name("sshd"), &mut start);
    finish(&mut engine, 2, &effects, &Outcome::Lost("gone".into()));
    finish(&mut engine, 2, &start, &Outcome::Ok);
    let (_, effects) = ban(&mut engine, 3, &["192.0.2.2"]);
    assert_eq!(
        jobs(&effects).len(),
        1,
        "what the replaced action lost does not matter"
    );

    let (mut first, mut second) = (Vec::new(), Vec::new());
    engine.restart_actions(at(4), &name("sshd"), &mut first);
    engine.restart_actions(at(4), &name("sshd"), &mut second);
    finish(&mut engine, 5, &first, &Outcome::Ok);
    let told = finish(&mut engine, 5, &second, &Outcome::Failed("no".into()));
    assert!(matches!(
        events(&told).as_slice(),
        [Event::ActionFailed {
            during: Step::Start,
            ..
        }]
    ));
    assert_eq!(engine.next_wakeup(), Some(at(10)), "tried again");
}

#[test]
fn a_stopped_jail_does_nothing_any_more() {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.add_jail(at(0), settings("sshd"), &mut effects);
    finish(&mut engine, 0, &effects, &Outcome::Failed("no".into()));
    engine.stop(at(1), &mut Vec::new());
    let mut effects = Vec::new();
    engine.rearm(at(1), &mut effects);
    engine.wake(at(6), &mut effects);
    effects.extend(fail(&mut engine, "sshd", "192.0.2.7", 7));
    assert_eq!(effects, []);
    assert_eq!(engine.next_wakeup(), None);
}

#[test]
fn what_stood_in_a_networks_shadow_is_applied_when_the_network_goes() {
    let mut engine = sshd();
    ban(
        &mut engine,
        0,
        &["192.0.2.16/28", "192.0.2.7", "198.51.100.1", "192.0.2.0/24"],
    );
    let ids = vec![id("192.0.2.0/24")];
    let order = Command::Unban {
        jail: name("sshd"),
        ids,
        report_absent: false,
    };
    let (answer, effects) = ask(&mut engine, 1, order);
    assert_eq!(answer.reply, Reply::Count(1));
    let applied: Vec<String> = jobs(&effects)
        .iter()
        .filter_map(|job| {
            if let Task::Ban {
                ban,
                reason: Reason::Hold,
            } = &job.task
            {
                Some(ban.id.to_string())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(applied, ["192.0.2.16/28", "192.0.2.7"]);
}

#[test]
fn the_firewall_forgets_who_is_ignored_now_and_whoever_is_unbanned() {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let jail = JailSettings {
        ignoreip: vec![id("192.0.2.3")],
        ..settings("sshd")
    };
    let stored = stored("192.0.2.3", 0, BanTime::Forever);
    engine.restore_jail(at(1), jail, vec![stored], &mut effects);
    let tasks: Vec<Task> = jobs(&effects).into_iter().map(|job| job.task).collect();
    let unban = Task::Unban {
        id: id("192.0.2.3"),
        ban: None,
    };
    assert_eq!(tasks, [Task::Start(vec![]), unban]);

    let order = Command::UnbanEverywhere {
        ids: vec![id("203.0.113.1")],
    };
    let (answer, effects) = ask(&mut engine, 2, order);
    assert_eq!(answer.reply, Reply::Count(0), "nobody remembers it");
    assert_eq!(jobs(&effects).len(), 1, "but the firewall may hold it");
}

#[test]
fn an_unban_that_fails_is_tried_again() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7"]);
    let ids = vec![id("192.0.2.7")];
    let (_, effects) = ask(&mut engine, 1, Command::UnbanEverywhere { ids });
    let told = finish(&mut engine, 1, &effects, &Outcome::Failed("busy".into()));
    assert!(matches!(
        events(&told).as_slice(),
        [Event::ActionFailed {
            during: Step::Unban,
            attempt: 1,
            ..
        }]
    ));
    let mut again = Vec::new();
    engine.wake(at(6), &mut again);
    assert_eq!(jobs(&again).len(), 1);
    finish(&mut engine, 6, &again, &Outcome::Ok);
    assert_eq!(engine.next_wakeup(), None);
}

#[test]
fn bans_that_could_not_be_read_at_the_start_are_taken_over_later() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7"]);
    let stored = |text: &str| stored(text, 0, BanTime::For(3600));
    let mut effects = Vec::new();
    let bans = vec![stored("192.0.2.7"), stored("192.0.2.8")];
    engine.take_over(at(1), &name("sshd"), bans, &mut effects);
    assert_eq!(
        events(&effects),
        [Event::Restored {
            jail: name("sshd"),
            id: id("192.0.2.8")
        }]
    );
    assert_eq!(jobs(&effects).len(), 1);
}

#[test]
fn who_was_banned_before_the_jail_began_is_not_banned_once_more() {
    let mut engine = Engine::new();
    engine.make_jail(at(0), settings("sshd"), &mut Vec::new());
    let (_, early) = ban(&mut engine, 0, &["192.0.2.7", "192.0.2.8"]);
    assert_eq!(jobs(&early).len(), 2);
    let stored =
        ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|text| stored(text, 0, BanTime::For(3600)));
    let mut effects = Vec::new();
    engine.start_jail(at(1), &name("sshd"), stored.to_vec(), &mut effects);
    let told = [
        Event::JailStarted { jail: name("sshd") },
        Event::Restored {
            jail: name("sshd"),
            id: id("192.0.2.9"),
        },
    ];
    assert_eq!(events(&effects), told);
    let tasks: Vec<String> = jobs(&effects).iter().map(shown).collect();
    let all = [
        "start [192.0.2.9]",
        "ban Hold 192.0.2.7",
        "ban Hold 192.0.2.8",
    ];
    assert_eq!(tasks, all);
    let counts = engine.counts(&name("sshd")).unwrap();
    assert_eq!((counts.banned, counts.banned_total), (3, 3));
}

fn shown(job: &Job) -> String {
    match &job.task {
        Task::Ban { ban, reason } => format!("ban {reason:?} {}", ban.id),
        Task::Start(held) => {
            let ids: Vec<String> = held.iter().map(|ban| ban.id.to_string()).collect();
            format!("start [{}]", ids.join(" "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn another_ban_time_only_has_the_bans_hold_until_another_end() {
    let mut engine = sshd();
    ban(&mut engine, 0, &["192.0.2.7"]);
    let longer = JailSettings {
        bantime: BanTime::For(7200),
        ..settings("sshd")
    };
    let mut effects = Vec::new();
    engine.change_jail(at(1), longer, &mut effects);
    let tasks: Vec<String> = jobs(&effects).iter().map(shown).collect();
    assert_eq!(tasks, ["ban Hold 192.0.2.7"]);
}

/// A failure that bans at once, with a long line, and with an address beside the id.
fn long_failure(number: usize) -> Failure {
    let capture = |name: &str, value: String| (name.into(), value.into());
    Failure {
        ticket: Ticket {
            failures: 3,
            matches: vec![Match::new("", "", &"x".repeat(8 << 10))],
            captures: vec![
                capture("fid", format!("session-{number}")),
                capture("ip4", format!("10.0.{}.{}", number >> 8, number & 255)),
            ],
        },
        ..Failure::new(id(&format!("session-{number}")), at(0))
    }
}

#[test]
fn actions_and_the_database_get_the_whole_ban_when_no_more_text_can_be_kept() {
    let mut engine = sshd();
    let number = crate::failures::MAX_TEXT / (8 << 10);
    let mut told = 0;
    for number in 0..=number {
        let failure = long_failure(number);
        let whole = failure.ticket.clone();
        let mut effects = Vec::new();
        engine.failure(at(0), &name("sshd"), failure, &mut effects);
        let [
            Job {
                task: Task::Ban { ban, .. },
                ..
            },
        ] = &jobs(&effects)[..]
        else {
            panic!("{effects:?}")
        };
        assert_eq!(ban.ticket, whole, "{number}");
        let saved = |effect: &Effect| matches!(effect, Effect::Save(Save::Ban { ban, .. }) if ban.ticket == whole);
        assert!(effects.iter().any(saved), "{number}");
        let is_told = |event: &Event| matches!(event, Event::Shortened { .. });
        told += events(&effects)
            .iter()
            .filter(|event| is_told(event))
            .count();
        finish(&mut engine, 0, &effects, &Outcome::Ok);
    }
    assert_eq!(told, 1);
    let mut effects = Vec::new();
    engine.wake(at(3601), &mut effects);
    let all = jobs(&effects);
    let Some(Task::Unban {
        ban: Some(last), ..
    }) = all.last().map(|job| &job.task)
    else {
        panic!("{}", all.len())
    };
    assert_eq!(last.ticket.matches, []);
    assert_eq!(last.ticket.captures, long_failure(number).ticket.captures);
}

#[test]
fn what_waits_for_slow_actions_is_bounded_and_still_says_who_it_is() {
    let mut engine = sshd();
    let number = crate::failures::MAX_TEXT / (8 << 10);
    let mut last = Vec::new();
    for number in 0..=number {
        last.clear();
        engine.failure(at(0), &name("sshd"), long_failure(number), &mut last);
    }
    let all = jobs(&last);
    let [
        Job {
            task: Task::Ban { ban, .. },
            ..
        },
    ] = &all[..]
    else {
        panic!("{all:?}")
    };
    assert_eq!(ban.ticket.matches, []);
    assert_eq!(ban.ticket.captures, long_failure(number).ticket.captures);
}
