use super::*;
use ferroban_engine::Ticket;

fn jail() -> JailName {
    "sshd".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn ban(text: &str, time: i64, bantime: BanTime) -> Ban {
    Ban {
        id: FailId::parse(text),
        time: at(time),
        bantime,
        count: 1,
        ticket: Ticket::default(),
        restored: false,
    }
}

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, opened) = Store::open(&folder.path().join("made/f2b.sqlite3"), at(0)).unwrap();
    assert_eq!(opened, Opened::Created);
    store
        .commit(&[Save::Jail {
            jail: jail(),
            enabled: true,
        }])
        .unwrap();
    (folder, store)
}

fn save(text: &str, time: i64, bantime: BanTime) -> Save {
    Save::Ban {
        jail: jail(),
        ban: ban(text, time, bantime),
    }
}

fn running(store: &Store, bantime: BanTime, now: i64) -> Vec<(String, i64)> {
    let bans = store.bans(&jail(), bantime, at(now)).unwrap().bans;
    bans.iter()
        .map(|ban| (ban.id.to_string(), ban.bantime.secs()))
        .collect()
}

#[test]
fn bans_come_back_after_reopening() {
    let (_folder, mut store) = open();
    store
        .commit(&[
            save("192.0.2.1", 100, BanTime::For(600)),
            save("2001:db8::1", 100, BanTime::For(600)),
        ])
        .unwrap();
    let path = store.path().to_owned();
    drop(store);
    let (store, opened) = Store::open(&path, at(0)).unwrap();
    assert_eq!(opened, Opened::Existing);
    let all = [
        ("192.0.2.1".to_owned(), 600),
        ("2001:db8::1".to_owned(), 600),
    ];
    assert_eq!(running(&store, BanTime::For(600), 699), all);
    assert_eq!(running(&store, BanTime::For(600), 700), []);
}

#[test]
fn a_row_that_is_no_ban_keeps_no_other_from_coming_back() {
    let (_folder, mut store) = open();
    store
        .commit(&[
            save("192.0.2.1", 100, BanTime::For(600)),
            save("192.0.2.2", 100, BanTime::For(600)),
        ])
        .unwrap();
    let odd = "UPDATE bips SET ip = x'00' WHERE ip = '192.0.2.1'";
    store.connection.execute(odd, []).unwrap();
    let stored = store.bans(&jail(), BanTime::For(600), at(200)).unwrap();
    let ids: Vec<String> = stored.bans.iter().map(|ban| ban.id.to_string()).collect();
    assert_eq!(ids, ["192.0.2.2"]);
    let told = stored.complaint(store.path(), &jail()).unwrap();
    assert!(told.contains(": 1 row(s) of jail 'sshd'"), "{told}");
}

#[test]
fn stored_ban_times_meet_the_jails_present_one_as_in_the_original() {
    // stored ban time, age in seconds, jail's ban time, restored with
    let cases = [
        (3600, 600, 3600, Some(3600)),
        (86_400, 600, 3600, Some(3600)),
        (86_400, 4000, 3600, None),
        (-1, 600, 3600, Some(3600)),
        (-2, 600, 3600, Some(3600)),
        (300, 600, 3600, None),
        (600, -600, 3600, Some(600)),
        (-1, 100_000, 3600, None),
        (86_400, 4000, -1, Some(86_400)),
        (-1, 100_000, -1, Some(-1)),
        (-2, 600, -1, Some(-1)),
    ];
    for (stored, age, jail_bantime, expected) in cases {
        let (_folder, store) = open();
        store
            .connection
            .execute(
                "INSERT INTO bips(ip, jail, timeofban, bantime, data) VALUES('192.0.2.1', 'sshd', ?1, ?2, '{}')",
                params![1_000_000 - age, stored],
            )
            .unwrap();
        let found = running(&store, BanTime::from_secs(jail_bantime), 1_000_000);
        assert_eq!(
            found.first().map(|(_, secs)| *secs),
            expected,
            "{stored} {age} {jail_bantime}"
        );
    }
}

#[test]
fn forgetting_removes_history_too() {
    let (_folder, mut store) = open();
    store
        .commit(&[
            save("192.0.2.1", 0, BanTime::Forever),
            save("192.0.2.2", 0, BanTime::Forever),
        ])
        .unwrap();
    store
        .commit(&[Save::Forget {
            jail: jail(),
            id: FailId::parse("192.0.2.1"),
        }])
        .unwrap();
    let count = |store: &Store| -> i64 {
        store
            .connection
            .query_row(
                "SELECT (SELECT count(*) FROM bans) * 10 + (SELECT count(*) FROM bips)",
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!(count(&store), 11);
    store.commit(&[Save::ForgetAll { jail: jail() }]).unwrap();
    assert_eq!(count(&store), 0);
}

#[test]
fn the_history_grows_and_the_current_state_is_replaced() {
    let (_folder, mut store) = open();
    for time in [0, 1000] {
        store
            .commit(&[save("192.0.2.1", time, BanTime::For(600))])
            .unwrap();
    }
    let times: Vec<i64> = {
        let mut statement = store
            .connection
            .prepare("SELECT timeofban FROM bans UNION ALL SELECT timeofban FROM bips")
            .unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(times, [0, 1000, 1000]);
}

#[test]
fn positions_are_kept_per_jail_and_log() {
    let (_folder, mut store) = open();
    let position = LogPosition {
        log: "/var/log/auth.log".into(),
        mark: "ab".into(),
        offset: 7,
    };
    for offset in [7, 9] {
        let position = LogPosition {
            offset,
            ..position.clone()
        };
        store
            .commit(&[Save::Position {
                jail: jail(),
                position,
            }])
            .unwrap();
    }
    let found = store.position(&jail(), "/var/log/auth.log").unwrap();
    assert_eq!(
        found,
        Some(LogPosition {
            offset: 9,
            ..position
        })
    );
    assert_eq!(store.position(&jail(), "/other").unwrap(), None);
}

#[test]
fn a_failed_commit_writes_nothing() {
    let (_folder, mut store) = open();
    refuse(&store, "192.0.2.2");
    let saves = ["192.0.2.1", "192.0.2.2"].map(|ip| save(ip, 0, BanTime::Forever));
    let error = store.commit(&saves).unwrap_err();
    assert_eq!(trouble(&error), Trouble::Row);
    assert_eq!(running(&store, BanTime::Forever, 1), []);
}

/// Makes the file refuse one id, and only after its history was written.
fn refuse(store: &Store, id: &str) {
    let sql = format!(
        "CREATE TRIGGER no BEFORE INSERT ON bips WHEN NEW.ip = '{id}' \
         BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    );
    store.connection.execute(&sql, []).unwrap();
}

#[test]
fn a_refused_row_leaves_nothing_behind_and_the_others_are_written() {
    let (_folder, mut store) = open();
    refuse(&store, "192.0.2.2");
    let saves = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|ip| save(ip, 0, BanTime::Forever));
    let refused = store.commit_each(&saves).unwrap();
    let [(one, error)] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!((*one, trouble(error)), (&saves[1], Trouble::Row));
    let forever = |ip: &str| (ip.to_owned(), -1);
    let written = running(&store, BanTime::Forever, 1);
    assert_eq!(written, [forever("192.0.2.1"), forever("192.0.2.3")]);
    let history: i64 = store
        .connection
        .query_row("SELECT count(*) FROM bans", [], |row| row.get(0))
        .unwrap();
    assert_eq!(history, 2);
}

#[test]
fn a_jail_whose_row_somebody_deleted_gets_it_back() {
    let position = Save::Position {
        jail: jail(),
        position: LogPosition {
            log: "/var/log/auth.log".into(),
            mark: String::new(),
            offset: 7,
        },
    };
    for save in [save("192.0.2.1", 0, BanTime::Forever), position] {
        let (_folder, mut store) = open();
        store.connection.execute("DELETE FROM jails", []).unwrap();
        store.commit(&[save]).unwrap();
        let enabled: i64 = store
            .connection
            .query_row("SELECT enabled FROM jails WHERE name = 'sshd'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(enabled, 1);
    }
}

#[test]
fn a_file_that_was_moved_or_deleted_is_noticed_and_its_successor_left_alone() {
    let (folder, store) = open();
    assert!(store.is_in_place());
    fs::rename(store.path(), folder.path().join("moved")).unwrap();
    assert!(!store.is_in_place());
    let path = store.path().to_owned();
    let (other, _) = Store::open(&path, at(0)).unwrap();
    assert!(other.is_in_place() && !store.is_in_place());
    let mut journal = path.into_os_string();
    journal.push("-journal");
    assert!(Path::new(&journal).exists());
    drop(store);
    assert!(Path::new(&journal).exists());
}

#[test]
fn a_start_and_an_end_hardly_wait_for_a_file_that_another_program_holds() {
    let (_folder, store) = open();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = crate::clock::tick();
    let error = Store::open_quickly(store.path(), at(0)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(4));
    let StoreError::Sqlite { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(trouble(&source), Trouble::Passing);
    let begun = crate::clock::tick();
    drop(store);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f2b.sqlite3");
    fs::write(&path, "no database at all, by no means, as long as a header at least ............................").unwrap();
    let (store, opened) = Store::open(&path, at(0)).unwrap();
    let Opened::Replaced(aside) = opened else {
        panic!("{opened:?}")
    };
    assert!(
        aside
            .to_string_lossy()
            .ends_with("f2b.sqlite3.19700101-000000")
    );
    assert!(
        fs::read_to_string(aside)
            .unwrap()
            .starts_with("no database")
    );
    assert_eq!(running(&store, BanTime::Forever, 0), []);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let (_folder, store) = open();
    store
        .connection
        .execute("UPDATE fail2banDb SET version = 5", [])
        .unwrap();
    let path = store.path().to_owned();
    drop(store);
    assert!(matches!(
        Store::open(&path, at(0)),
        Err(StoreError::FromTheFuture { version: 5, .. })
    ));
}

#[test]
fn a_file_of_an_older_version_is_copied_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f2b.sqlite3");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(2);
         CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
         INSERT INTO jails VALUES('sshd', 1);
         CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, data JSON);
         CREATE INDEX bans_ip ON bans(ip);
         INSERT INTO bans VALUES('sshd', '192.0.2.1', 100, '{}');
         INSERT INTO bans VALUES('sshd', '192.0.2.1', 200, '{}');",
    )
    .unwrap();
    drop(old);
    let (mut store, opened) = Store::open(&path, at(0)).unwrap();
    let Opened::Upgraded { version: 2, backup } = opened else {
        panic!("{opened:?}")
    };
    assert_eq!(
        schema::version(&Connection::open(backup).unwrap()).unwrap(),
        Some(2)
    );
    // The length is unknown, so the jail's own is taken; the later ban counts.
    assert_eq!(
        running(&store, BanTime::For(600), 250),
        [("192.0.2.1".to_owned(), 600)]
    );
    store
        .commit(&[save("192.0.2.2", 300, BanTime::For(600))])
        .unwrap();
    drop(store);
    assert_eq!(Store::open(&path, at(0)).unwrap().1, Opened::Existing);
}

#[test]
fn what_is_old_is_purged_and_what_still_holds_is_not() {
    let (_folder, mut store) = open();
    let gone: JailName = "gone".parse().unwrap();
    store
        .commit(&[Save::Jail {
            jail: gone,
            enabled: false,
        }])
        .unwrap();
    let saves = [
        save("192.0.2.1", 0, BanTime::For(600)),
        save("192.0.2.2", 0, BanTime::Forever),
        save("192.0.2.3", 0, BanTime::For(100_000)),
        save("192.0.2.4", 190_000, BanTime::For(600)),
    ];
    store.commit(&saves).unwrap();
    store.purge(at(200_000), 86_400).unwrap();
    let column = |sql: &str| -> Vec<String> {
        let mut statement = store.connection.prepare(sql).unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(column("SELECT ip FROM bans"), ["192.0.2.4"]);
    assert_eq!(
        column("SELECT ip FROM bips ORDER BY ip"),
        ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    );
    assert_eq!(column("SELECT name FROM jails"), ["sshd"]);
}

#[test]
fn a_prolonged_ban_lasts_longer_and_makes_no_history() {
    let (_folder, mut store) = open();
    store
        .commit(&[save("192.0.2.1", 100, BanTime::For(600))])
        .unwrap();
    let longer = ban("192.0.2.1", 100, BanTime::For(900));
    store
        .commit(&[Save::Prolong {
            jail: jail(),
            ban: longer,
        }])
        .unwrap();
    assert_eq!(
        running(&store, BanTime::For(3600), 800),
        [("192.0.2.1".to_owned(), 900)]
    );
    let rows: i64 = store
        .connection
        .query_row("SELECT count(*) FROM bans", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}
