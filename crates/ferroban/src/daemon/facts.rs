//! What only the daemon knows and an action may want to tell.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferroban_engine::{BanTime, FailId, JailName, Match};

use crate::action::shell::{self, Counters, Merged};
use crate::names::Resolver;
use crate::store;

/// One board for each jail, on which the main thread notes its numbers, and whom its
/// actions may ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    boards: Arc<Mutex<HashMap<JailName, Arc<Board>>>>,
    resolver: Option<Resolver>,
    history: History,
}

/// The numbers of a jail, as its actions read them.
#[derive(Debug, Default)]
pub(super) struct Board {
    bantime: AtomicI64,
    banned: AtomicU64,
    banned_total: AtomicU64,
    found: AtomicU64,
    found_total: AtomicU64,
    jail: Option<JailName>,
    resolver: Option<Resolver>,
    history: History,
}

/// Where earlier bans are kept, and how many of their lines.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Arc<Mutex<Option<(PathBuf, usize)>>>);

impl History {
    /// From now on they are in this database, or nowhere.
    pub(super) fn note(&self, path: Option<&Path>, max_matches: usize) {
        *lock(&self.0) = path.map(|path| (path.to_owned(), max_matches));
    }

    /// What all bans of an id come to. Without a database, or where it has none or cannot
    /// be read, nobody knows.
    fn merged(&self, id: &FailId, jail: Option<&JailName>) -> Option<Merged> {
        let (path, most) = lock(&self.0).clone()?;
        let past = store::past(&path, id, jail, most).ok()??;
        let lines: Vec<String> = past.matches.iter().map(Match::joined).collect();
        Some(Merged {
            failures: past.failures,
            matches: lines.join("\n"),
        })
    }
}

impl Facts {
    /// Of a daemon that can ask for names.
    pub(super) fn new(resolver: Resolver) -> Self {
        Self {
            resolver: Some(resolver),
            ..Self::default()
        }
    }

    /// Whom it asks.
    pub(super) fn resolver(&self) -> Option<&Resolver> {
        self.resolver.as_ref()
    }

    /// Where earlier bans are looked up.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The board of a jail.
    pub(super) fn of(&self, jail: &JailName) -> Arc<Board> {
        let mut boards = lock(&self.boards);
        let board = boards.entry(jail.clone()).or_insert_with(|| {
            Arc::new(Board {
                jail: Some(jail.clone()),
                resolver: self.resolver.clone(),
                history: self.history.clone(),
                ..Board::default()
            })
        });
        Arc::clone(board)
    }

    /// Notes what a jail has counted.
    pub(super) fn note(&self, jail: &JailName, counters: Counters, bantime: BanTime) {
        let board = self.of(jail);
        board.bantime.store(bantime.secs(), Ordering::Relaxed);
        board.banned.store(counters.banned, Ordering::Relaxed);
        let total = counters.banned_total;
        board.banned_total.store(total, Ordering::Relaxed);
        board.found.store(counters.found, Ordering::Relaxed);
        let total = counters.found_total;
        board.found_total.store(total, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl shell::Facts for Board {
    fn merged(&self, id: &FailId, everywhere: bool) -> Option<Merged> {
        let jail = match (everywhere, &self.jail) {
            (true, _) => None,
            (false, Some(jail)) => Some(jail),
            (false, None) => return None,
        };
        self.history.merged(id, jail)
    }

    fn host(&self, address: IpAddr) -> Option<String> {
        self.resolver.as_ref()?.host(address)
    }

    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let Some(resolver) = &self.resolver else {
            return Err("this daemon asks nobody for names".to_owned());
        };
        resolver.addresses(name).map_err(|error| error.why)
    }

    fn ipv6(&self) -> bool {
        self.resolver.as_ref().is_none_or(Resolver::ipv6)
    }

    fn counters(&self) -> Counters {
        Counters {
            banned: self.banned.load(Ordering::Relaxed),
            banned_total: self.banned_total.load(Ordering::Relaxed),
            found: self.found.load(Ordering::Relaxed),
            found_total: self.found_total.load(Ordering::Relaxed),
        }
    }

    fn bantime(&self) -> BanTime {
        BanTime::from_secs(self.bantime.load(Ordering::Relaxed))
    }

    fn own_name(&self, with_domain: bool) -> String {
        let system = rustix::system::uname();
        let name = system.nodename().to_string_lossy();
        if !with_domain {
            let short = name.split('.').next().unwrap_or_default();
            return short.to_owned();
        }
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        full_name(&name, &hosts)
    }
}

/// The name of this host with its domain, as Python finds it with a hosts file: of all
/// names that stand beside ours the first with a dot, else the first.
fn full_name(name: &str, hosts: &str) -> String {
    let names = |line: &str| -> Vec<String> {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let beside = hosts
        .lines()
        .map(names)
        .find(|names| names.iter().any(|other| other == name));
    let beside = beside.unwrap_or_default();
    let full = beside.iter().find(|other| other.contains('.'));
    let found = full.or(beside.first());
    found.map_or_else(|| name.to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    use ferroban_engine::{Ban, Match, Save, Ticket, Timestamp};

    use crate::action::shell::Facts as _;
    use crate::names::Lookup;
    use crate::store::Store;

    struct Oracle;

    impl Lookup for Oracle {
        fn addresses(&self, _: &str, _: bool) -> Result<Vec<IpAddr>, String> {
            Err("no".to_owned())
        }
        fn host(&self, address: IpAddr) -> Option<String> {
            Some(format!("host-of-{address}"))
        }
        fn ipv6(&self) -> bool {
            false
        }
        fn own_name(&self) -> String {
            "box".to_owned()
        }
    }

    #[test]
    fn an_action_learns_names_from_the_daemons_resolver() {
        let jail = "j".parse().unwrap();
        let board = Facts::new(Resolver::new(Oracle)).of(&jail);
        let host = board.host("192.0.2.1".parse().unwrap());
        assert_eq!(host.as_deref(), Some("host-of-192.0.2.1"));
        assert!(!board.ipv6());
        let nobody = Facts::default().of(&jail);
        assert_eq!(nobody.host("192.0.2.1".parse().unwrap()), None);
    }

    /// The original, with the same bans, tells the same.
    #[test]
    fn an_action_learns_of_the_bans_of_all_jails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let (mut store, _) = Store::open(&path, Timestamp::from_secs(1)).unwrap();
        let mut saves = Vec::new();
        for (time, jail, letter) in [(2000, "j2", 'b'), (1000, "j1", 'a')] {
            let jail: JailName = jail.parse().unwrap();
            let lines = (1..=7).map(|n| Match::new("", "", &format!("{letter}{n}")));
            saves.push(Save::Jail {
                jail: jail.clone(),
                enabled: true,
            });
            saves.push(Save::Ban {
                jail,
                ban: Ban {
                    id: FailId::parse("192.0.2.7"),
                    time: Timestamp::from_secs(time),
                    bantime: BanTime::For(600),
                    count: 1,
                    ticket: Ticket {
                        failures: 7,
                        matches: lines.collect(),
                        captures: Vec::new(),
                    },
                    restored: false,
                },
            });
        }
        store.commit(&saves).unwrap();
        let facts = Facts::default();
        let board = facts.of(&"j1".parse().unwrap());
        let id = FailId::parse("192.0.2.7");
        assert_eq!(board.merged(&id, true), None, "no database yet");
        facts.history().note(Some(&path), 10);
        let told = |merged: Option<Merged>| {
            merged.map(|merged| (merged.failures, merged.matches.replace('\n', " ")))
        };
        assert_eq!(
            told(board.merged(&id, true)),
            Some((14, "a5 a6 a7 b1 b2 b3 b4 b5 b6 b7".to_owned()))
        );
        assert_eq!(
            told(board.merged(&id, false)),
            Some((7, "a1 a2 a3 a4 a5 a6 a7".to_owned()))
        );
        assert_eq!(board.merged(&FailId::parse("192.0.2.8"), true), None);
        facts.history().note(Some(&folder.path().join("none")), 10);
        assert_eq!(board.merged(&id, true), None);
        assert!(!folder.path().join("none").exists(), "asking makes no file");
    }

    #[test]
    fn the_full_name_is_the_one_with_a_dot_beside_ours() {
        let cases = [
            ("127.0.1.1 box.example.org box", "box.example.org"),
            (
                "127.0.1.1 box box.example.org # no.comment",
                "box.example.org",
            ),
            ("127.0.0.1 localhost box", "localhost"),
            ("127.0.0.1 localhost", "box"),
            ("", "box"),
        ];
        for (hosts, full) in cases {
            assert_eq!(full_name("box", hosts), full, "{hosts}");
        }
    }
}
