//! Failures that wait for an answer.

use super::*;
use crate::inquiry::{IgnoreCache, IgnoreEntry, Inquiry};
use crate::settings::JailSettings;

const NOW: Timestamp = Timestamp::from_secs(1_781_524_800);

/// An engine with one jail that bans at the second failure.
fn engine(change: impl FnOnce(&mut JailSettings)) -> Engine {
    let mut engine = Engine::new();
    let mut settings = JailSettings::new("j".parse().unwrap());
    settings.maxretry = 2;
    change(&mut settings);
    engine.add_jail(NOW, settings, &mut Vec::new());
    engine
}

fn jail() -> JailName {
    "j".parse().unwrap()
}

/// What came of something: inquiries, and events in short.
fn came(effects: Vec<Effect>) -> (Vec<Inquiry>, Vec<String>) {
    let (mut inquiries, mut events) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Inquire(inquiry) => inquiries.push(inquiry),
            Effect::Report(Event::Found { id, .. }) => events.push(format!("found {id}")),
            Effect::Report(Event::Banned { id, .. }) => events.push(format!("ban {id}")),
            Effect::Report(Event::Unbanned { id, .. }) => events.push(format!("unban {id}")),
            Effect::Report(Event::Ignored { id, why, .. }) => {
                events.push(format!("ignore {id} {why:?}"));
            }
            Effect::Report(Event::Resolved { name, .. }) => events.push(format!("is {name}")),
            Effect::Report(Event::Unanswered { id, counted, .. }) => {
                events.push(format!("unanswered {id} {counted}"));
            }
            Effect::Report(Event::Unasked { total, counted, .. }) => {
                events.push(format!("unasked {total} {counted}"));
            }
            _ => {}
        }
    }
    (inquiries, events)
}

fn fail(engine: &mut Engine, id: &str) -> (Vec<Inquiry>, Vec<String>) {
    let mut effects = Vec::new();
    let failure = Failure::new(FailId::parse(id), NOW);
    engine.failure(NOW, &jail(), failure, &mut effects);
    came(effects)
}

fn fail_by_name(engine: &mut Engine, name: &str, lookup: Lookup) -> (Vec<Inquiry>, Vec<String>) {
    let mut effects = Vec::new();
    let failure = Failure {
        lookup,
        ..Failure::new(FailId::parse(name), NOW)
    };
    engine.failure(NOW, &jail(), failure, &mut effects);
    came(effects)
}

fn answer(engine: &mut Engine, inquiry: &Inquiry, finding: Finding) -> (Vec<Inquiry>, Vec<String>) {
    let mut effects = Vec::new();
    engine.found_out(NOW, inquiry.id, finding, &mut effects);
    came(effects)
}

fn ignored(why: Option<IgnoreReason>) -> Finding {
    Finding::Ignored {
        why,
        remembered: false,
    }
}

#[test]
fn a_name_counts_for_each_of_its_addresses() {
    let mut engine = engine(|_| {});
    let (asked, events) = fail_by_name(&mut engine, "a.example", Lookup::Told);
    let [inquiry] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(inquiry.ask, Ask::Addresses("a.example".into()));
    assert_eq!(events, [] as [&str; 0]);
    let addresses = ["192.0.2.1", "2001:db8::1"].map(|a| a.parse().unwrap());
    let (_, events) = answer(&mut engine, inquiry, Finding::Addresses(addresses.into()));
    assert_eq!(
        events,
        ["is a.example", "found 192.0.2.1", "found 2001:db8::1"]
    );

    let (asked, _) = fail_by_name(&mut engine, "a.example", Lookup::Addresses);
    let finding = Finding::NoAddress("nobody knows".into());
    let (_, events) = answer(&mut engine, asked.first().unwrap(), finding);
    assert_eq!(events, [] as [&str; 0]);
}

#[test]
fn failures_of_one_id_keep_their_order_and_others_go_on() {
    let mut engine = engine(|jail| jail.ignoreip = vec![FailId::parse("friend.example")]);
    let asked: Vec<Inquiry> = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
        .iter()
        .flat_map(|id| fail(&mut engine, id).0)
        .collect();
    let [first, second, other] = asked.as_slice() else {
        panic!("each is asked about at once: {asked:?}")
    };
    let (_, events) = answer(&mut engine, other, ignored(None));
    assert_eq!(events, ["found 192.0.2.2"]);
    let why = Some(IgnoreReason::Command);
    let (_, events) = answer(&mut engine, second, ignored(why));
    assert_eq!(events, [] as [&str; 0], "the first has no answer yet");
    let (_, events) = answer(&mut engine, first, ignored(None));
    assert_eq!(events, ["found 192.0.2.1", "ignore 192.0.2.1 Command"]);
    assert_eq!(engine.next_wakeup(), None, "nothing is waited for");
}

#[test]
fn what_the_jail_knows_is_not_asked() {
    let mut engine = engine(|jail| {
        jail.ignoreip = ["192.0.2.1", "10.0.0.0/8", "friend.example", "172.16.0.0/12"]
            .map(FailId::parse)
            .to_vec();
    });
    let ip = ["ignore 192.0.2.1 Ip"];
    assert_eq!(
        fail(&mut engine, "192.0.2.1"),
        (vec![], ip.map(str::to_owned).to_vec())
    );
    let ip = ["ignore 10.1.1.1 Ip"];
    assert_eq!(
        fail(&mut engine, "10.1.1.1"),
        (vec![], ip.map(str::to_owned).to_vec())
    );
    // A name stands before the network that holds this one.
    let (asked, events) = fail(&mut engine, "172.16.1.1");
    assert_eq!(events, [] as [&str; 0]);
    let Some(Ask::Ignored(suspect)) = asked.into_iter().next().map(|inquiry| inquiry.ask) else {
        panic!("not asked")
    };
    assert_eq!(
        suspect.entries,
        [IgnoreEntry::Name("friend.example".into())]
    );
    assert_eq!(suspect.otherwise, Some(IgnoreReason::Ip));
}

#[test]
fn a_cache_is_asked_first_and_says_nothing() {
    let mut engine = engine(|jail| {
        jail.ignoreip = vec![FailId::parse("192.0.2.1")];
        jail.ignorecache = Some(IgnoreCache {
            key: "<ip>".into(),
            count: 10,
            seconds: 300,
        });
    });
    let (asked, events) = fail(&mut engine, "192.0.2.1");
    assert_eq!(events, [] as [&str; 0]);
    let inquiry = asked.first().unwrap();
    let Ask::Ignored(suspect) = &inquiry.ask else {
        panic!("{inquiry:?}")
    };
    assert_eq!(suspect.decided, Some(IgnoreReason::Ip));
    let remembered = Finding::Ignored {
        why: Some(IgnoreReason::Ip),
        remembered: true,
    };
    assert_eq!(answer(&mut engine, inquiry, remembered).1, [] as [&str; 0]);
}

#[test]
fn without_an_answer_in_time_a_failure_counts_and_a_name_does_not() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let (asked, _) = fail(&mut engine, "192.0.2.1");
    fail(&mut engine, "192.0.2.1");
    fail_by_name(&mut engine, "a.example", Lookup::Told);
    let mut wake = |seconds: i64| {
        let mut effects = Vec::new();
        engine.wake(NOW.plus_secs(seconds), &mut effects);
        came(effects)
    };
    assert_eq!(wake(20).1, ["unanswered a.example false"]);
    let expected = [
        "unanswered 192.0.2.1 true",
        "found 192.0.2.1",
        "found 192.0.2.1",
        "ban 192.0.2.1",
    ];
    assert_eq!(wake(75).1, expected);
    // The late answer is to nobody's question.
    let late = ignored(Some(IgnoreReason::Command));
    assert_eq!(
        answer(&mut engine, asked.first().unwrap(), late).1,
        [] as [&str; 0]
    );
}

#[test]
fn too_many_that_wait_are_decided_without_and_that_is_told_at_doublings() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    for number in 0..u32::try_from(asking::MAX_WAITING).unwrap() {
        let id = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
        assert_eq!(fail(&mut engine, &id).0.len(), 1);
    }
    let over = fail(&mut engine, "192.0.2.1");
    let told = ["found 192.0.2.1", "unasked 1 true"];
    assert_eq!(over, (vec![], told.map(str::to_owned).to_vec()));
    let named = fail_by_name(&mut engine, "a.example", Lookup::Told);
    assert_eq!(named, (vec![], vec!["unasked 2 false".to_owned()]));
    assert_eq!(fail(&mut engine, "192.0.2.2").1, ["found 192.0.2.2"]);
}

#[test]
fn a_restored_ban_is_given_back_when_it_turns_out_to_be_ignored() {
    let mut engine = Engine::new();
    let mut settings = JailSettings::new(jail());
    settings.ignoreip = vec![FailId::parse("friend.example")];
    let ban = |id: &str| Ban {
        id: FailId::parse(id),
        time: NOW,
        bantime: crate::BanTime::For(600),
        count: 1,
        ticket: crate::Ticket::default(),
        restored: false,
    };
    let mut effects = Vec::new();
    let bans = vec![ban("192.0.2.1"), ban("192.0.2.2")];
    engine.restore_jail(NOW, settings, bans, &mut effects);
    let (asked, _) = came(effects);
    let [first] = asked.as_slice() else {
        panic!("one at a time: {asked:?}")
    };
    let (asked, events) = answer(&mut engine, first, ignored(Some(IgnoreReason::Name)));
    assert_eq!(events, ["ignore 192.0.2.1 Name", "unban 192.0.2.1"]);
    let [second] = asked.as_slice() else {
        panic!("the next: {asked:?}")
    };
    let (asked, events) = answer(&mut engine, second, ignored(None));
    assert_eq!(events, [] as [&str; 0], "no failure, and it stays");
    assert_eq!(asked, []);
    assert_eq!(engine.oldest_inquiry(&jail()), None, "no line waited");
    assert_eq!(engine.banned(&jail()), [FailId::parse("192.0.2.2")]);
}

#[test]
fn what_a_client_reports_may_be_ignored_too() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let mut effects = Vec::new();
    let command = Command::Attempt {
        jail: jail(),
        id: FailId::parse("192.0.2.1"),
        lines: vec!["x".into()],
    };
    engine.command(NOW, command, &mut effects);
    let (asked, _) = came(effects);
    let why = Some(IgnoreReason::Command);
    let (_, events) = answer(&mut engine, asked.first().unwrap(), ignored(why));
    assert_eq!(events, ["ignore 192.0.2.1 Command"]);
}

#[test]
fn what_waits_has_a_bound_in_text_too() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let line = "x".repeat(crate::ban::MATCH_LIMIT);
    let mut asked = 0;
    let over = (0_u32..).find_map(|number| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        let mut failure = Failure::new(FailId::parse(&address.to_string()), NOW);
        failure.ticket.matches = vec![Match::new("", "", &line)];
        let mut effects = Vec::new();
        engine.failure(NOW, &jail(), failure, &mut effects);
        let (inquiries, events) = came(effects);
        asked += inquiries.len();
        inquiries.is_empty().then_some(events)
    });
    assert_eq!(asked, asking::MAX_TEXT / crate::ban::MATCH_LIMIT);
    let over = over.unwrap_or_default();
    assert_eq!(over.last().unwrap(), "unasked 1 true");
}

#[test]
fn a_jail_that_begins_anew_asks_again() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let (old, _) = fail(&mut engine, "192.0.2.1");
    let mut effects = Vec::new();
    engine.remove_jail(NOW, &jail(), &mut effects);
    assert_eq!(engine.next_wakeup(), None, "nobody waits");
    let oldest = engine.oldest_inquiry(&jail());
    assert_eq!(oldest, Some(InquiryId(0)), "a failure is undecided");
    let mut settings = JailSettings::new(jail());
    settings.ignorecommand = Some("other <ip>".into());
    let mut effects = Vec::new();
    engine.add_jail(NOW, settings, &mut effects);
    let (asked, _) = came(effects);
    let [new] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    let old = old.first().unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!(engine.oldest_inquiry(&jail()), Some(new.id));
    assert_eq!(answer(&mut engine, old, ignored(None)).1, [] as [&str; 0]);
    let (_, events) = answer(&mut engine, new, ignored(None));
    assert_eq!(events, ["found 192.0.2.1"]);
    assert_eq!(engine.oldest_inquiry(&jail()), None);
}

#[test]
fn what_a_jail_learns_while_it_waits_holds() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let (asked, _) = fail(&mut engine, "192.0.2.1");
    let mut settings = JailSettings::new(jail());
    settings.ignoreip = vec![FailId::parse("192.0.2.0/24")];
    engine.change_jail(NOW, settings, &mut Vec::new());
    let (_, events) = answer(&mut engine, asked.first().unwrap(), ignored(None));
    assert_eq!(events, ["ignore 192.0.2.1 Ip"]);
}

#[test]
fn failures_without_an_answer_are_told_at_doublings_until_nothing_waits() {
    let mut engine = engine(|jail| jail.ignorecommand = Some("ask <ip>".into()));
    let mut round = |at: i64| {
        let now = NOW.plus_secs(at);
        for number in 1..=5 {
            let failure = Failure::new(FailId::parse(&format!("192.0.2.{number}")), now);
            engine.failure(now, &jail(), failure, &mut Vec::new());
        }
        let mut effects = Vec::new();
        engine.wake(now.plus_secs(75), &mut effects);
        let told = came(effects).1.into_iter();
        told.filter(|event| event.starts_with("un"))
            .collect::<Vec<_>>()
    };
    let expected = ["1", "2", "4"].map(|n| format!("unanswered 192.0.2.{n} true"));
    assert_eq!(round(0), expected);
    assert_eq!(round(100), expected);
}
