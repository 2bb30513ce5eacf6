//! The thread that hears what others do to the firewall.
//!
//! It tells the main thread what concerns our own action, and decides nothing. Where the kernel
//! does not let it listen, that is told once: a loss then shows with the next ban.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferroban_engine::{Effect, Tampering};

use super::crew::Crew;
use super::main_loop::MainLoop;
use super::message::Message;
use crate::action::nftables::{self, Error, Foreign, Guard, Told, Watch};
use crate::log::Log;
use crate::source::Waker;
use crate::{clock, report, sys};

/// How long after a loss it matters what others make: longer than the engine waits for it.
const REBUILD: Duration = Duration::from_secs(5);

/// What it tells.
#[derive(Debug)]
pub(super) enum News {
    /// A transaction of somebody else.
    Foreign(Foreign),
    /// More was done than could be listened to.
    Missed,
}

/// Who listens. It ends with [`Lookout::close`].
#[derive(Debug)]
pub(super) struct Lookout {
    waker: Waker,
    thread: JoinHandle<()>,
}

impl Lookout {
    /// Begins to listen; nothing where that cannot be, which is told.
    pub(super) fn start(inbox: SyncSender<Message>, log: &Log) -> Option<Self> {
        let watch = match Watch::open() {
            Ok(watch) => watch,
            // The action says so too, when it starts.
            Err(Error::NotAllowed { .. } | Error::Unsupported { .. }) => return None,
            Err(error) => return unwatched(log, &report::chain(&error)),
        };
        match Self::listening(watch, inbox, log.clone()) {
            Ok(lookout) => Some(lookout),
            Err(error) => unwatched(log, &error.to_string()),
        }
    }

    fn listening(watch: Watch, inbox: SyncSender<Message>, log: Log) -> io::Result<Self> {
        let waker = Waker::new().map_err(io::Error::other)?;
        let own = waker.clone();
        let name = "f2b/lookout";
        let thread = thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || {
            sys::set_thread_name(name);
            if let Err(error) = listen(watch, &own, &inbox) {
                let _nothing: Option<Self> = unwatched(&log, &error.to_string());
            }
        })?;
        Ok(Self { waker, thread })
    }

    /// Ends it.
    pub(super) fn close(self) {
        self.waker.wake();
        // A panic was told by the thread itself.
        drop(self.thread.join());
    }
}

/// Tells that nobody listens, and why.
fn unwatched<T>(log: &Log, why: &str) -> Option<T> {
    let text = format!(
        "the firewall is not watched: {why}. That somebody emptied it shows with the next ban"
    );
    log.warning("ferroban.actions", &text);
    None
}

/// Tells news until it is woken, or nobody hears it.
fn listen(mut watch: Watch, waker: &Waker, inbox: &SyncSender<Message>) -> io::Result<()> {
    let mut lost = None;
    loop {
        let waited = waker.wait(Some(watch.as_fd()), None);
        waited.map_err(io::Error::other)?;
        if waker.pulled() {
            return Ok(());
        }
        let news = match watch.read()? {
            Told::Foreign(all) => all.into_iter().map(News::Foreign).collect(),
            Told::Missed => vec![News::Missed],
        };
        for news in news.into_iter().filter(|news| matters(news, &mut lost)) {
            if inbox.send(Message::Firewall(news)).is_err() {
                return Ok(());
            }
        }
    }
}

/// Whether news concern us: some programs change the firewall many times a second. What others make
/// does so for a while after something of ours was `lost`.
fn matters(news: &News, lost: &mut Option<Instant>) -> bool {
    let now = clock::tick();
    match news {
        News::Foreign(foreign) if foreign.taken.is_nothing() => {
            let rebuilds = lost.is_some_and(|lost| now - lost < REBUILD);
            !foreign.lifted.is_empty() || (foreign.made && rebuilds)
        }
        News::Foreign(_) | News::Missed => {
            *lost = Some(now);
            true
        }
    }
}

impl MainLoop {
    /// Somebody else has changed the firewall.
    pub(super) fn firewall(&mut self, news: &News, effects: &mut Vec<Effect>) {
        let now = clock::now();
        for (jail, guard) in self.crew.guards() {
            for what in told(news, &guard, &mut self.crew) {
                self.engine.tampered(now, &jail, what, effects);
            }
        }
    }
}

/// What news mean for a jail.
fn told(news: &News, guard: &Guard, crew: &mut Crew) -> Vec<Tampering> {
    let mut all = Vec::new();
    let News::Foreign(foreign) = news else {
        let (by, anew) = ("somebody".to_owned(), false);
        all.extend((!crew.is_whole(guard)).then_some(Tampering::Taken { by, anew }));
        return all;
    };
    let name = nftables::identifier(&guard.name);
    let by = foreign.by.clone();
    if foreign.taken.all || foreign.taken.jails.contains(&name) {
        // Whoever takes back what was his alone has taken nothing of ours. Whoever loads what
        // he has saved of ours may have saved it without the bans.
        if foreign.made || !crew.is_whole(guard) {
            let anew = foreign.made;
            all.push(Tampering::Taken { by, anew });
        }
        return all;
    }
    if let Some(networks) = foreign.lifted.get(&name) {
        let ids = networks.iter().map(|network| (*network).into()).collect();
        all.push(Tampering::Lifted { ids, by });
    }
    if foreign.made {
        all.push(Tampering::Made);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_make_matters_only_after_a_loss() {
        let news = |all: bool, made: bool, lifted: bool| {
            let lifted = lifted.then(|| ("sshd".to_owned(), Vec::new()));
            News::Foreign(Foreign {
                taken: nftables::Taken {
                    all,
                    ..Default::default()
                },
                made,
                lifted: lifted.into_iter().collect(),
                ..Foreign::default()
            })
        };
        let mut lost = None;
        // In their order.
        for (news, expected) in [
            (news(false, true, false), false),
            (news(false, false, true), true),
            (news(false, true, false), false),
            (news(true, false, false), true),
            (news(false, true, false), true),
            (news(false, false, false), false),
            (News::Missed, true),
        ] {
            assert_eq!(matters(&news, &mut lost), expected, "{news:?}");
        }
        lost = lost.and_then(|lost| lost.checked_sub(REBUILD));
        assert!(!matters(&news(false, true, false), &mut lost));
    }
}
