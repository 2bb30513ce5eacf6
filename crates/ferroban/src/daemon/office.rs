//! What a client's request comes to: read, carried out, and answered.
//!
//! [`control`](super::control) carries the bytes to and fro and knows who is there;
//! here it is decided what whoever is there may have.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Loader;
use super::message::{Message, Reload, Request};
use crate::log::Log;
use crate::sys::Peer;
use crate::wire::{Ask, Reconfigure, Value, answer, changes_value, dumps, loads, text};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The process at the other end, if the kernel knows it.
    pub(super) peer: Option<Peer>,
    /// What it may have.
    pub(super) access: Access,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Every command.
    Everything,
    /// Questions that harm nobody.
    Harmless,
}

/// What a client gets.
pub(super) enum Response {
    /// One reply.
    One(Vec<u8>),
    /// One reply after the other, until either side has enough.
    Stream(Receiver<Vec<u8>>),
}

/// Answers requests; every client's thread has one.
#[derive(Clone)]
pub(super) struct Office {
    inbox: SyncSender<Message>,
    pub(super) log: Log,
    load: Loader,
}

impl Office {
    pub(super) fn new(inbox: SyncSender<Message>, log: Log, load: Loader) -> Self {
        Self { inbox, log, load }
    }

    /// The bytes of the reply to a request, both without their end marker.
    pub(super) fn respond(&self, message: &[u8], _caller: &Caller) -> Response {
        Response::One(dumps(&answer_to(message, self)))
    }
}

fn answer_to(message: &[u8], office: &Office) -> Value {
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
