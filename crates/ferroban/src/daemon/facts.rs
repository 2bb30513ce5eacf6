//! What only the daemon knows and an action may want to tell.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ferroban_engine::{BanTime, JailName};

use crate::action::shell::{self, Counters};

/// One board for each jail, on which the main thread notes its numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(Arc<Mutex<HashMap<JailName, Arc<Board>>>>);

/// The numbers of a jail, as its actions read them.
#[derive(Debug, Default)]
pub(super) struct Board {
    bantime: AtomicI64,
    banned: AtomicU64,
    banned_total: AtomicU64,
    found: AtomicU64,
    found_total: AtomicU64,
}

impl Facts {
    /// The board of a jail.
    pub(super) fn of(&self, jail: &JailName) -> Arc<Board> {
        let mut boards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(boards.entry(jail.clone()).or_default())
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

impl shell::Facts for Board {
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
