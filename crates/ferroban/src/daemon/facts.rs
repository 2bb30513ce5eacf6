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
}
