//! What the kernel really holds, read back over netlink: by `nft`, and by ourselves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use ferroban::action::nftables::Nftables;
use serde_json::Value;

use super::child::{Running, command, must, run};
use super::wait::{SOON, until};

/// The addresses in a set of table `inet ferroban`; none when there is no such set.
pub(crate) fn set(name: &str) -> Option<BTreeSet<String>> {
    let done = run(command("nft").args(["-j", "list", "set", "inet", "ferroban", name]));
    if done.code != Some(0) {
        let absent = done.stderr.contains("No such file or directory");
        assert!(absent, "nft: {}", done.stderr);
        return None;
    }
    let json: Value = serde_json::from_str(&done.stdout).expect("nft -j writes JSON");
    let set = json
        .pointer("/nftables/1/set")
        .expect("after the line about nft comes the set");
    let elements = set
        .get("elem")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    Some(elements.iter().map(address).collect())
}

/// An element is its address, or has it as its value beside a timeout.
fn address(element: &Value) -> String {
    let value = element.pointer("/elem/val").unwrap_or(element);
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The addresses that our own reader finds in all sets of a jail.
pub(crate) fn listed(jail: &str) -> BTreeSet<String> {
    let found = Nftables::open().and_then(|mut nftables| nftables.list(jail));
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    found
        .into_iter()
        .map(|element| element.network.address().to_string())
        .collect()
}

/// Whether a set holds `ip`.
pub(crate) fn holds(set_name: &str, ip: &str) -> bool {
    set(set_name).is_some_and(|set| set.contains(ip))
}

/// Everything in the kernel's firewall, as text.
pub(crate) fn ruleset() -> String {
    must(command("nft").args(["list", "ruleset"]))
}

/// What happens to the ruleset from now on.
pub(crate) struct Monitor(Running);

impl Monitor {
    /// Starts to listen, and returns when it does.
    pub(crate) fn start() -> Self {
        let monitor = Self(Running::start(command("nft").arg("monitor")));
        // Only what it tells shows that it listens: so something happens, again and again.
        until(SOON, "nft monitor listens", || monitor.sees("mark-first"));
        monitor
    }

    /// Everything told until now.
    pub(crate) fn finish(self) -> String {
        until(SOON, "nft monitor has caught up", || self.sees("mark-last"));
        self.0.said()
    }

    fn sees(&self, table: &str) -> bool {
        must(command("nft").arg(format!("add table ip {table}; delete table ip {table}")));
        self.0.said().contains(table)
    }
}

/// Counts the elements of a set, over and over, while `body` runs. Returns the fewest
/// it saw, and what `body` returned. `body` can wait for looks of a certain moment.
pub(crate) fn watch<T>(set_name: &str, body: impl FnOnce(&Looks) -> T) -> (usize, T) {
    let looks = Looks {
        count: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut fewest = usize::MAX;
            while !looks.over.load(Ordering::Relaxed) {
                fewest = fewest.min(set(set_name).map_or(0, |set| set.len()));
                looks.count.fetch_add(1, Ordering::Relaxed);
            }
            fewest
        });
        let ending = Ending(&looks);
        let result = body(&looks);
        drop(ending);
        (watcher.join().expect("the watcher does not panic"), result)
    })
}

/// The looks that a watcher has taken.
pub(crate) struct Looks {
    count: AtomicUsize,
    over: AtomicBool,
}

impl Looks {
    /// Waits until the watcher has begun and ended a few looks from now on.
    pub(crate) fn a_few(&self) {
        let enough = self.count.load(Ordering::Relaxed) + 4;
        until(SOON, "the watcher looks", || {
            self.count.load(Ordering::Relaxed) >= enough
        });
    }
}

/// Ends the watcher, also when the body panics: a scope waits for its threads.
struct Ending<'a>(&'a Looks);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
