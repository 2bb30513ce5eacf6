//! The control socket: fail2ban's protocol for its client and all others that
//! speak it.
//!
//! Whoever may open the socket may order bans, so its mode is 0700. A client is
//! given a thread of its own, up to a limit; a slow or silent one holds up nobody.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Loader;
use super::message::{Message, Reload, Request};
use crate::log::Log;
use crate::sys;
use crate::wire::frame::{self, Frame, Frames};
use crate::wire::{Ask, Reconfigure, Value, answer, changes_value, dumps, loads, text};

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
        let answering = Arc::clone(&office.answering);
        let (own, stopped) = (listener.try_clone()?, Arc::clone(&stop));
        thread::Builder::new()
            .name("f2b/control".into())
            .spawn(move || {
                sys::set_thread_name("f2b/control");
                accept(&own, &stopped, &office);
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

/// What every client's thread needs.
#[derive(Clone)]
pub(super) struct Office {
    inbox: SyncSender<Message>,
    log: Log,
    load: Loader,
    answering: Arc<Answering>,
}

impl Office {
    pub(super) fn new(inbox: SyncSender<Message>, log: Log, load: Loader) -> Self {
        Self {
            inbox,
            log,
            load,
            answering: Arc::default(),
        }
    }
}

fn accept(listener: &UnixListener, stop: &AtomicBool, office: &Office) {
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
        let (office, counted) = (office.clone(), Arc::clone(&clients));
        let started = thread::Builder::new()
            .name("f2b/client".into())
            .spawn(move || {
                serve(client, &office);
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
fn serve(mut client: UnixStream, office: &Office) {
    let limits = client
        .set_read_timeout(Some(SILENCE))
        .and(client.set_write_timeout(Some(SILENCE)));
    let mut frames = Frames::default();
    while limits.is_ok() {
        let Ok(Some(Frame::Message(message))) = frames.read(&mut client) else {
            break;
        };
        office.answering.add(1);
        let reply = respond(&message, office);
        let written = frame::write(&mut client, &dumps(&reply));
        office.answering.add(-1);
        if written.is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
}

fn respond(message: &[u8], office: &Office) -> Value {
    let log = &office.log;
    let request = match loads(message) {
        Ok(request) => request,
        Err(error) => {
            log.error(
                "asyncserver",
                &format!("PROTO-error: load message failed: {error}"),
            );
            return format!("ERROR: {error}").as_str().into();
        }
    };
    let result = match Reconfigure::read(&request) {
        Some(wish) => reconfigure(wish, office),
        None => Ask::read(&request).and_then(|ask| match ask_engine(&ask, &office.inbox) {
            Some(reply) => answer(&ask, reply),
            None => Ok(shutdown()),
        }),
    };
    match result {
        Ok(value) => Value::Tuple(vec![Value::Int(0), value]),
        Err(exception) => {
            let shown = text::repr(&exception);
            log.error(
                "transmitter",
                &format!(
                    "Command {} has failed. Received {shown}",
                    text::repr(&request)
                ),
            );
            Value::Tuple(vec![Value::Int(1), exception])
        }
    }
}

fn ask_engine(ask: &Ask, inbox: &SyncSender<Message>) -> Option<ferroban_engine::Reply> {
    let (reply, answer) = sync_channel(1);
    inbox
        .send(Message::Asked(Request {
            command: ask.command.clone(),
            reply,
        }))
        .ok()?;
    answer.recv().ok()
}

/// What the original answers while it shuts down.
fn shutdown() -> Value {
    Value::strings(["SHUTDOWN"])
}

/// Reads the configuration again, and takes it over or tells what it changes.
fn reconfigure(wish: Reconfigure, office: &Office) -> Result<Value, Value> {
    let failed = |problems: &[String]| Value::exception("ValueError", &problems.join("\n"));
    let (settings, problems) = (office.load.0)().map_err(|problems| failed(&problems))?;
    if !problems.is_empty() {
        return Err(failed(&problems));
    }
    let (reply, answer) = sync_channel(1);
    let reload = Reload {
        settings,
        plan: wish == Reconfigure::Plan,
        reply,
    };
    if office.inbox.send(Message::Reload(reload)).is_err() {
        return Ok(shutdown());
    }
    match answer.recv() {
        Ok(Ok(changes)) => Ok(changes_value(&changes)),
        Ok(Err(problems)) => Err(failed(&problems)),
        Err(_) => Ok(shutdown()),
    }
}
