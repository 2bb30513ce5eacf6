//! The control socket: fail2ban's protocol for its client and all others that
//! speak it.
//!
//! Whoever may open the socket may order bans, so its mode is 0700. A client is
//! given a thread of its own, up to a limit; a slow or silent one holds up nobody.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::office::{Access, Caller, Office, Response};
use crate::sys;
use crate::wire::frame::{self, Frame, Frames};

/// How many clients are served at once; the others wait for their turn.
const CLIENTS: usize = 64;

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// How long the end waits for answers that are being written.
const FAREWELL: Duration = Duration::from_secs(1);

/// The thread that accepts clients.
pub(super) struct Control {
    stop: Arc<AtomicBool>,
    listener: UnixListener,
    answering: Arc<Answering>,
}

/// How many clients wait for an answer that is not yet written.
#[derive(Default)]
struct Answering {
    count: Mutex<usize>,
    fewer: Condvar,
}

impl Answering {
    fn add(&self, change: isize) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_add_signed(change);
        self.fewer.notify_all();
    }

    /// Waits until there is none, for a limited time.
    fn wait_for_none(&self) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.fewer
                .wait_timeout_while(count, FAREWELL, |count| *count > 0),
        );
    }
}

impl Control {
    pub(super) fn start(listener: &UnixListener, office: Office) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let answering = Arc::<Answering>::default();
        let served = Arc::clone(&answering);
        let (own, stopped) = (listener.try_clone()?, Arc::clone(&stop));
        thread::Builder::new()
            .name("f2b/control".into())
            .spawn(move || {
                sys::set_thread_name("f2b/control");
                accept(&own, &stopped, &office, &served);
            })?;
        Ok(Self {
            stop,
            listener: listener.try_clone()?,
            answering,
        })
    }

    /// Accepts no more, and lets the answers out that are under way.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // A listening socket that is shut down ends the accept that waits on it.
        // If that fails the thread waits for one client more, and ends with the process.
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).ok();
        self.answering.wait_for_none();
    }
}

fn accept(
    listener: &UnixListener,
    stop: &AtomicBool,
    office: &Office,
    answering: &Arc<Answering>,
) {
    let log = &office.log;
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(_) if stop.load(Ordering::Relaxed) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log.error(
                    "asyncserver",
                    &format!("the control socket accepts no client: {error}"),
                );
                // Out of descriptors, mostly: give the others time to end.
                thread::park_timeout(Duration::from_millis(100));
                continue;
            }
        };
        if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS {
            clients.fetch_sub(1, Ordering::Relaxed);
            log.warning(
                "asyncserver",
                &format!("more than {CLIENTS} clients at once; one was turned away"),
            );
            continue;
        }
        let (office, answering) = (office.clone(), Arc::clone(answering));
        let counted = Arc::clone(&clients);
        let started = thread::Builder::new()
            .name("f2b/client".into())
            .spawn(move || {
                serve(client, &office, &answering);
                counted.fetch_sub(1, Ordering::Relaxed);
            });
        if let Err(error) = started {
            clients.fetch_sub(1, Ordering::Relaxed);
            log.error(
                "asyncserver",
                &format!("a client cannot be served: {error}"),
            );
        }
    }
}

/// Answers one client until it closes, hangs up, or breaks the rules.
fn serve(mut client: UnixStream, office: &Office, answering: &Answering) {
    let limits = client
        .set_read_timeout(Some(SILENCE))
        .and(client.set_write_timeout(Some(SILENCE)));
    let caller = Caller {
        peer: sys::peer_credentials(&client).ok(),
        access: Access::Everything,
    };
    let mut frames = Frames::default();
    while limits.is_ok() {
        let Ok(Some(Frame::Message(message))) = frames.read(&mut client) else {
            break;
        };
        answering.add(1);
        let written = match office.respond(&message, &caller) {
            Response::One(reply) => frame::write(&mut client, &reply),
            Response::Stream(replies) => replies
                .iter()
                .try_for_each(|reply| frame::write(&mut client, &reply)),
        };
        answering.add(-1);
        if written.is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
}
