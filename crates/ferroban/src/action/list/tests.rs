use super::*;

use std::collections::BTreeSet;
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

/// An action that writes down what it is told, and does what it can at once.
struct Scribe {
    name: &'static str,
    /// Whom it bans at once, once it has banned somebody of the same family by himself; nobody
    /// if it never does.
    at_once: Option<BTreeSet<bool>>,
    told: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Scribe {
    fn family(ban: &Ban) -> bool {
        ban.id.to_string().contains(':')
    }
}

impl run::Run for Scribe {
    fn go_on_as(&mut self, wanted: Part) -> Option<Part> {
        Some(wanted)
    }

    fn start(&mut self) -> run::Ran {
        Ok(())
    }

    fn stop(&mut self) -> run::Ran {
        Ok(())
    }

    fn ban(&mut self, ban: &Ban) -> run::Ran {
        let text = format!("{} {}", self.name, ban.id);
        self.told.lock().unwrap().push(text);
        if let Some(families) = &mut self.at_once {
            families.insert(Self::family(ban));
        }
        Ok(())
    }

    fn ban_many(&mut self, bans: &[&Ban]) -> Option<Vec<bool>> {
        let families = self.at_once.as_ref()?;
        let done: Vec<bool> = bans
            .iter()
            .map(|ban| families.contains(&Self::family(ban)))
            .collect();
        let count = done.iter().filter(|done| **done).count();
        if count > 0 {
            let text = format!("{} {count} at once", self.name);
            self.told.lock().unwrap().push(text);
        }
        Some(done)
    }

    fn unban(&mut self, _ban: &Ban) -> run::Ran {
        Ok(())
    }

    fn info(&self, _ban: &Ban) -> String {
        String::new()
    }

    fn call(&mut self, _: &str, _: Option<&str>) -> Result<serde_json::Value, CallError> {
        Ok(serde_json::Value::Null)
    }
}

/// A jail of such actions; a name in capitals does what it can at once.
fn scribes(names: &[&'static str]) -> (Actions, Arc<std::sync::Mutex<Vec<String>>>) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(&Target::File(folder.path().join("log")), Level::Notice).unwrap();
    let mut actions = Actions::new("j".parse().unwrap(), log, Arc::new(Nothing));
    let told = Arc::default();
    for name in names {
        let run: Box<dyn run::Run> = Box::new(Scribe {
            name,
            at_once: name.starts_with(char::is_uppercase).then(BTreeSet::new),
            told: Arc::clone(&told),
        });
        let started = false;
        let member = Member::new((*name).to_owned(), Kind::Run { run, started });
        actions.members.push(member);
    }
    (actions, told)
}

/// The actions of a jail, and what they do for five bans of two families.
const ORDERS: [(&[&str], &[&str]); 4] = [
    (
        &["A", "B"],
        &[
            "A 192.0.2.1",
            "B 192.0.2.1",
            "A 2 at once",
            "B 2 at once",
            "A 2001:db8::3",
            "B 2001:db8::3",
            "A 1 at once",
            "B 1 at once",
        ],
    ),
    (
        &["A", "mail"],
        &[
            "A 192.0.2.1",
            "mail 192.0.2.1",
            "A 2 at once",
            "mail 192.0.2.2",
            "A 2001:db8::3",
            "mail 2001:db8::3",
            "mail 192.0.2.4",
            "A 1 at once",
            "mail 2001:db8::5",
        ],
    ),
    (
        &["mail", "A"],
        &[
            "mail 192.0.2.1",
            "A 192.0.2.1",
            "mail 192.0.2.2",
            "A 192.0.2.2",
            "mail 2001:db8::3",
            "A 2001:db8::3",
            "mail 192.0.2.4",
            "A 192.0.2.4",
            "mail 2001:db8::5",
            "A 2001:db8::5",
        ],
    ),
    (&[], &[]),
];

#[test]
fn what_can_be_done_at_once_is_done_behind_the_first_ban_and_every_ban_has_its_order() {
    let all = [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::3",
        "192.0.2.4",
        "2001:db8::5",
    ];
    for (names, expected) in ORDERS {
        let (mut actions, told) = scribes(names);
        let bans = all.map(ban_of);
        let mut row = Row::new(&bans);
        while row.ban().is_some() {
            actions.ban_next(&mut row);
        }
        assert_eq!(*told.lock().unwrap(), expected, "{names:?}");
    }
}

#[test]
fn who_is_left_out_is_told_unless_an_action_has_begun_with_him() {
    let (mut actions, _told) = scribes(&["A", "mail"]);
    let bans = ["192.0.2.1", "2001:db8::2", "192.0.2.3"].map(ban_of);
    let mut row = Row::new(&bans);
    actions.ban_next(&mut row);
    assert_eq!([row.skip(), row.skip()], [false, true]);
    assert!(row.ban().is_none());
    // The same at the start of a jail.
    let (mut actions, told) = scribes(&["A", "mail"]);
    let turns = std::cell::Cell::new(0);
    let go_on = || turns.replace(turns.get() + 1) < 1;
    let (_, rest) = actions.start(&bans, Timestamp::from_secs(0), &go_on);
    let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
    assert_eq!(rest, ["2001:db8::2"]);
    assert_eq!(told.lock().unwrap().last().unwrap(), "A 1 at once");
}
