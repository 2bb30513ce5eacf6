//! What a client's request comes to: read, carried out, and answered.
//!
//! [`control`](super::control) carries the bytes to and fro and knows who is there;
//! here it is decided what whoever is there may have.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::control::throttle::{TOO_MANY, Tell, Throttle};
use super::message::{Message, Question, Reload};
use super::request::{Own, Request};
use super::{Loader, words};
use crate::clock;
use crate::load::{Refusal, Word};
use crate::log::{Level, Log};
use crate::sys::Peer;
use crate::wire::{Reconfigure, Value, changes_value, dumps, loads, text};

/// How many events may wait for a client; when there are more, it is let go.
const EVENTS: usize = 4096;

/// How much of a request is logged when it fails.
const SHOWN: usize = 16 * 1024;

/// The longest that a client may sleep, in seconds.
const SLEEP: f64 = 3600.0;

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
    /// One reply, after so long.
    Later(Duration, Vec<u8>),
    /// One reply after the other, until either side has enough.
    Stream(Receiver<Vec<u8>>),
}

/// Answers requests, those of all sockets.
pub(super) struct Office {
    inbox: SyncSender<Message>,
    pub(super) log: Log,
    load: Loader,
    /// What clients without rights to order do wrong, and what nobody can read.
    complaints: Mutex<Throttle>,
}

impl Office {
    pub(super) fn new(inbox: SyncSender<Message>, log: Log, load: Loader) -> Self {
        Self {
            inbox,
            log,
            load,
            complaints: Mutex::default(),
        }
    }

    /// The bytes of the reply to a request, both without their end marker.
    pub(super) fn respond(&self, message: &[u8], caller: &Caller) -> Response {
        let request = match loads(message) {
            Ok(request) => request,
            Err(error) => {
                let text = format!("PROTO-error: load message failed: {error}");
                self.complain("asyncserver", &text);
                let reply = format!("ERROR: {error}");
                return Response::One(dumps(&reply.as_str().into()));
            }
        };
        match self.answer(&request, caller) {
            Ok(Reply::Value(value)) => one(0, value),
            Ok(Reply::Raw(value)) => Response::One(dumps(&value)),
            // Only this client waits, and takes no thread from others.
            Ok(Reply::Later(wait)) => Response::Later(wait, pair(0, Value::None)),
            Ok(Reply::Events(events)) => Response::Stream(events),
            Err(exception) => {
                self.failed(&request, &exception, caller);
                one(1, exception)
            }
        }
    }

    fn failed(&self, request: &Value, exception: &Value, caller: &Caller) {
        let shown = text::repr(request);
        // A configuration that fails is not shown whole.
        let (shown, more) = match shown.get(..shown.floor_char_boundary(SHOWN)) {
            Some(start) if start.len() < shown.len() => (start, "…"),
            _ => (shown.as_str(), ""),
        };
        let text = format!(
            "Command {shown}{more} has failed. Received {}",
            text::repr(exception)
        );
        match caller.access {
            Access::Everything => self.log.error("transmitter", &text),
            Access::Harmless => self.complain("transmitter", &text),
        }
    }

    /// Logs what could be repeated without end, though not without end.
    fn complain(&self, logger: &str, text: &str) {
        let complaints = self.complaints.lock();
        let mut complaints = complaints.unwrap_or_else(PoisonError::into_inner);
        match complaints.count(clock::tick()) {
            Tell::This => self.log.error(logger, text),
            Tell::Enough => self.log.error("asyncserver", TOO_MANY),
            Tell::Nothing => {}
        }
    }

    fn answer(&self, request: &Value, caller: &Caller) -> Result<Reply, Value> {
        if let Some(wish) = Reconfigure::read(request)
            && caller.access == Access::Everything
        {
            if wish == Reconfigure::Reload {
                self.tell_who(&words_of(request)?, caller);
            }
            return self.reconfigure(wish).map(Reply::Value);
        }
        let words = words_of(request)?;
        let read = Request::read(&words).map_err(|refusal| words::exception(&refusal))?;
        let Some(read) = read.with(caller.access) else {
            let text = "Permission denied: this socket answers harmless questions only";
            return Err(Value::exception("PermissionError", text));
        };
        if read.changes() {
            self.tell_who(&words, caller);
        }
        match read {
            Request::Echo => Ok(Reply::Value(Value::List(
                request
                    .elements()
                    .unwrap_or_default()
                    .iter()
                    .skip(1)
                    .cloned()
                    .collect(),
            ))),
            Request::Sleep(seconds) => {
                let wait = Duration::from_secs_f64(seconds.min(SLEEP));
                Ok(Reply::Later(wait))
            }
            Request::Own(Own::Events) => {
                let (events, stream) = sync_channel(EVENTS);
                // If nobody is there any more, the stream is at its end.
                drop(self.inbox.send(Message::Listen(events)));
                Ok(Reply::Events(stream))
            }
            request => self.ask(request),
        }
    }

    /// Has the main thread answer.
    fn ask(&self, request: Request) -> Result<Reply, Value> {
        let (reply, answer) = sync_channel(1);
        let question = Question { request, reply };
        let sent = self.inbox.send(Message::Asked(question));
        match sent.ok().and_then(|()| answer.recv().ok()) {
            Some(answer) => answer.map(Reply::Value),
            // What the original answers while it shuts down.
            None => Ok(Reply::Raw(shutdown())),
        }
    }

    /// Logs who changes something. What root's own programs do is told more quietly than
    /// what a person does.
    fn tell_who(&self, words: &[Word], caller: &Caller) {
        let Some(peer) = caller.peer else { return };
        let person = peer.login();
        let level = if person.is_some() || peer.uid != 0 {
            Level::Info
        } else {
            Level::Msg
        };
        let who = match person {
            Some(person) if person != peer.uid => format!("uid {person} as uid {}", peer.uid),
            _ => format!("uid {}", peer.uid),
        };
        let shown: Vec<String> = words.iter().map(brief).collect();
        let text = format!("{who}, pid {}: {}", peer.pid, shown.join(" "));
        self.log.line(level, "ferroban.control", &text);
    }

    /// Reads the configuration again, and takes it over or tells what it changes.
    fn reconfigure(&self, wish: Reconfigure) -> Result<Value, Value> {
        let failed = |problems: &[String]| Value::exception("ValueError", &problems.join("\n"));
        let (settings, problems) = (self.load.0)().map_err(|problems| failed(&problems))?;
        if !problems.is_empty() {
            return Err(failed(&problems));
        }
        let (reply, answer) = sync_channel(1);
        let reload = Reload {
            settings,
            plan: wish == Reconfigure::Plan,
            reply,
        };
        if self.inbox.send(Message::Reload(Box::new(reload))).is_err() {
            return Ok(shutdown());
        }
        match answer.recv() {
            Ok(Ok(changes)) => Ok(changes_value(&changes)),
            Ok(Err(problems)) => Err(failed(&problems)),
            Err(_) => Ok(shutdown()),
        }
    }
}

/// What a request comes to.
enum Reply {
    Value(Value),
    /// Not even in the usual pair.
    Raw(Value),
    /// Nothing, after so long.
    Later(Duration),
    Events(Receiver<Vec<u8>>),
}

fn one(code: i64, value: Value) -> Response {
    Response::One(pair(code, value))
}

fn pair(code: i64, value: Value) -> Vec<u8> {
    dumps(&Value::Tuple(vec![code.into(), value]))
}

fn shutdown() -> Value {
    Value::strings(["SHUTDOWN"])
}

/// The words of a request, or what Python says to something that has none.
fn words_of(request: &Value) -> Result<Vec<Word>, Value> {
    if let Value::List(values) | Value::Tuple(values) = request {
        return Ok(values.iter().map(words::word).collect());
    }
    Err(match request {
        Value::Str(_) | Value::Bytes(_) => words::exception(&Refusal::plain("Invalid command")),
        Value::Dict(_) => Value::exception("KeyError", "0"),
        other => {
            let shown = format!("{} is not a list of words", text::repr(other));
            Value::exception("TypeError", &shown)
        }
    })
}

/// A word for the log: whole configurations are only counted.
fn brief(word: &Word) -> String {
    match word {
        Word::List(words) | Word::Tuple(words) => format!("[{} items]", words.len()),
        word => {
            let text = word.shown().unwrap_or_default();
            text.chars().take(200).collect()
        }
    }
}

/// What can be said of a request before anything is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// It changes something.
    pub changes: bool,
    /// Whoever may only look may ask it.
    pub harmless: bool,
}

/// Reads a request from its bytes, which anybody may have written; `None` if it is none.
#[must_use]
pub fn understand(message: &[u8]) -> Option<Asked> {
    let words = words_of(&loads(message).ok()?).ok()?;
    let request = Request::read(&words).ok()?;
    Some(Asked {
        changes: request.changes(),
        harmless: request.with(Access::Harmless).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    /// What requests are made of.
    const WORDS: [&str; 40] = [
        "ping",
        "status",
        "stats",
        "banned",
        "unban",
        "--all",
        "stop",
        "start",
        "add",
        "get",
        "set",
        "multi-set",
        "reload",
        "server-stream",
        "sleep",
        "echo",
        "ferroban",
        "events",
        "bans",
        "j1",
        "banip",
        "banned",
        "attempt",
        "unbanip",
        "--with-time",
        "--force",
        "short",
        "bantime",
        "bantime.increment",
        "maxretry",
        "logpath",
        "action",
        "actions",
        "addaction",
        "record",
        "actionban",
        "loglevel",
        "dbfile",
        "192.0.2.7",
        "[]",
    ];

    fn requests() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            8 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
            1 => any::<String>().prop_map(Value::from),
            1 => any::<i64>().prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::Float),
            1 => Just(Value::None),
        ];
        word.prop_recursive(3, 20, 5, |inner| {
            let many = prop::collection::vec(inner.clone(), 0..5);
            prop_oneof![
                4 => many.clone().prop_map(Value::List),
                1 => many.prop_map(Value::Tuple),
                1 => prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Dict),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn no_request_does_harm_and_none_that_changes_something_is_harmless(
            first in prop::sample::select(&WORDS[..]),
            rest in prop::collection::vec(requests(), 0..5),
        ) {
            let words = std::iter::once(Value::from(first)).chain(rest).collect();
            if let Some(asked) = understand(&dumps(&Value::List(words))) {
                prop_assert!(!(asked.changes && asked.harmless));
            }
        }

        #[test]
        fn no_bytes_do_harm_as_a_request(message in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(asked) = understand(&message) {
                prop_assert!(!(asked.changes && asked.harmless));
            }
        }
    }

    #[test]
    fn requests_are_told_apart_by_what_they_do() {
        let cases = [
            ("ping", false, true),
            ("get j1 maxretry", false, true),
            ("get j1 logpath", false, false),
            ("set j1 banip 192.0.2.7", true, false),
            ("stop", true, false),
            ("ferroban events", false, false),
        ];
        for (words, changes, harmless) in cases {
            let request = dumps(&Value::strings(words.split(' ')));
            let asked = Asked { changes, harmless };
            assert_eq!(understand(&request), Some(asked), "{words}");
        }
        assert_eq!(understand(&dumps(&Value::strings(["nosuch"]))), None);
        assert_eq!(understand(b"x"), None);
    }
}
