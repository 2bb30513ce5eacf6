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

#[test]
fn what_becomes_something_else_ends_as_what_is_left_out_does() {
    let folder = tempfile::tempdir().unwrap();
    let rec = folder.path().join("rec");
    let log = Log::open(&Target::File(folder.path().join("log")), Level::Notice).unwrap();
    let mut actions = Actions::new("j".parse().unwrap(), log, Arc::new(Nothing));
    let option = |name: &str| {
        let text = format!("echo {name} >> {}", rec.display());
        (name.to_owned(), text)
    };
    let options = ["actionban", "actionunban", "actionstop"].map(option);
    let commands = || Part::Commands(options.clone().into());
    actions.configure(vec![("a".to_owned(), commands())], &[], true);
    drop(actions.start(&[], Timestamp::from_secs(0), &|| true));
    let held = [ban_of("192.0.2.1")];
    actions.run_ban(&held[0]);
    actions.configure(vec![("a".to_owned(), commands())], &held, false);
    actions.configure(vec![("a".to_owned(), Part::Dry)], &held, false);
    let recorded = fs::read_to_string(rec).unwrap();
    let recorded: Vec<&str> = recorded.lines().collect();
    assert_eq!(recorded, ["actionban", "actionunban", "actionstop"]);
}

#[test]
fn who_could_not_be_banned_is_told_once_he_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&Target::File(folder.path().join("log")), Level::Notice).unwrap();
    let mut actions = Actions::new("j".parse().unwrap(), log, Arc::new(Nothing));
    let command = format!("test -e {}/<ip>", folder.path().display());
    let options = [("actionban", command), ("actionunban", "true".to_owned())];
    let options = options.map(|(name, text)| (name.to_owned(), text));
    let part = Part::Commands(options.into());
    actions.configure(vec![("a".to_owned(), part)], &[], true);
    let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(ban_of);
    for works in ["192.0.2.2", "192.0.2.3"] {
        fs::write(folder.path().join(works), "").unwrap();
    }
    let mut fates = |work: &mut dyn FnMut(&mut Actions)| -> Vec<(bool, Vec<String>)> {
        work(&mut actions);
        let (_, fates) = actions.take_fates();
        let told = |fate: Fate| {
            let made = fate.made.iter().map(ToString::to_string).collect();
            (fate.failure.is_some(), made)
        };
        fates.into_iter().map(told).collect()
    };
    let (failed, works) = ((true, vec![]), (false, vec![]));
    assert_eq!(fates(&mut |actions| actions.run_ban(&one)), [failed]);
    assert_eq!(fates(&mut |actions| actions.run_ban(&two)), [works]);
    assert_eq!(fates(&mut |actions| actions.run_ban(&three)), []);
    fs::write(folder.path().join("192.0.2.1"), "").unwrap();
    let made = (false, vec!["192.0.2.1".to_owned()]);
    assert_eq!(fates(&mut |actions| actions.run_ban(&one)), [made]);
    assert_eq!(fates(&mut |actions| actions.run_ban(&one)), []);
    fs::remove_file(folder.path().join("192.0.2.1")).unwrap();
    fates(&mut |actions| {
        actions.run_ban(&one);
        actions.run_unban(&one);
    });
    fs::write(folder.path().join("192.0.2.1"), "").unwrap();
    let works = (false, vec![]);
    assert_eq!(fates(&mut |actions| actions.run_ban(&one)), [works]);
}
