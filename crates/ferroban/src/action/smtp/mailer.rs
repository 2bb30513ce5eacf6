//! The thread that sends the mails of one action.
//!
//! lettre has a limit of time for each read and none for a mail: a server that drips holds
//! up whoever waits for it. So nobody does: mails are sent by this thread, and who wants
//! one sent waits as long as a mail may take, and goes on. The thread then ends by itself,
//! once the server lets it, and until then there is no other.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{Step, What};
use super::session::{Session, Way};
use super::settings::Settings;
use crate::action::shell::World;
use crate::{clock, sys};

/// Who sends mails. It ends when this is dropped, and may take its time for that.
pub(super) struct Mailer {
    /// None once it gets no more of them.
    letters: Option<Sender<Vec<u8>>>,
    told: Receiver<Told>,
    /// How long a mail may take.
    limit: Duration,
    /// Whether it was given up over a mail, and is still at it.
    pub(super) is_late: bool,
}

/// What it tells of a mail.
enum Told {
    At(Step),
    Done(Result<(), What>),
}

impl Mailer {
    pub(super) fn start(settings: Settings, world: Arc<World>) -> io::Result<Self> {
        let limit = settings.limit;
        let (letters, wanted) = channel();
        let (tell, told) = channel();
        let name = format!("f2b/m.{}", world.jail);
        let work = {
            let name = name.clone();
            move || {
                sys::set_thread_name(&name);
                work(&settings, &world, &wanted, &tell);
            }
        };
        thread::Builder::new().name(name).spawn(work)?;
        Ok(Self {
            letters: Some(letters),
            told,
            limit,
            is_late: false,
        })
    }

    /// Has a letter sent, and waits for that at most until then.
    pub(super) fn send(&mut self, letter: Vec<u8>, deadline: Instant) -> Result<(), What> {
        if let Some(letters) = &self.letters {
            // Whether the thread is gone is seen below.
            letters.send(letter).ok();
        }
        let mut during = Step::Name;
        loop {
            let left = deadline.saturating_duration_since(clock::tick());
            match self.told.recv_timeout(left) {
                Ok(Told::At(step)) => during = step,
                Ok(Told::Done(result)) => return result,
                Err(RecvTimeoutError::Timeout) => {
                    self.let_go();
                    self.is_late = true;
                    let limit = self.limit;
                    return Err(What::Late { during, limit });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.let_go();
                    let why = "the thread that sends mails is gone".to_owned();
                    return Err(What::Broken { during, why });
                }
            }
        }
    }

    /// It gets no more letters: it says goodbye to the server, and ends.
    pub(super) fn let_go(&mut self) {
        self.letters = None;
    }

    /// Whether it takes letters.
    pub(super) fn is_ready(&self) -> bool {
        self.letters.is_some()
    }

    /// Whether it has ended, which takes a while if it is saying goodbye. One that was
    /// given up is not waited for.
    pub(super) fn ends_until(&mut self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(clock::tick());
            let left = if self.is_late { Duration::ZERO } else { left };
            match self.told.recv_timeout(left) {
                Ok(Told::At(_)) => {}
                Ok(Told::Done(_)) => self.is_late = false,
                Err(error) => return error == RecvTimeoutError::Disconnected,
            }
        }
    }
}

fn work(settings: &Settings, world: &World, letters: &Receiver<Vec<u8>>, tell: &Sender<Told>) {
    // Who gave up waiting may not listen.
    let at = |step| drop(tell.send(Told::At(step)));
    let way = Way {
        settings,
        world,
        at: &at,
    };
    let mut session = None;
    for letter in letters {
        let result = deliver(&mut session, &way, &letter);
        if result.is_err() {
            // Nobody knows in which state it is.
            session = None;
        }
        drop(tell.send(Told::Done(result)));
    }
    if let Some(session) = session {
        session.quit();
    }
}

fn deliver(session: &mut Option<Session>, way: &Way<'_>, letter: &[u8]) -> Result<(), What> {
    if let Some(open) = session {
        match open.send(way, letter) {
            // It hung up meanwhile: nothing was sent yet.
            Err(What::Broken {
                during: Step::Sender,
                ..
            }) => {}
            Err(What::Refused {
                during: Step::Sender,
                reply,
            }) if reply.code == 421 => {}
            result => return result,
        }
    }
    session.insert(Session::open(way)?).send(way, letter)
}
