//! Bans by programs in Python, as `action.d/*.py` are.
//!
//! A [`Python`] is one action of one jail. Its class lives in a `python3` of its own,
//! started when it is needed, which finds a small `fail2ban` of ours ([`partner`] says
//! how we talk, `python/shim.py` is the other side). A program that ends or hangs is told,
//! and started again for the next call, so that nothing else notices; one that does so
//! all the time is left alone for a while.

mod partner;
mod source;
mod ticket;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ferroban_engine::{Ban, JailName};
use serde_json::{Map, Value, json};

use super::breakdowns::{Breakdowns, MOST_BREAKDOWNS, REST};
use super::shell::call::CallError;
use super::shell::{Facts, OfBan, World};
use crate::clock;
use crate::log::Log;
use crate::process::talk::Broken;
use partner::{Fault, Partner, Raised, Whose};

pub(crate) use source::{Source, refusal};

/// How long a call may take, as that of a command.
const LIMIT: Duration = Duration::from_secs(60);

/// How many properties that a client set are kept for the next start.
const MOST_SET: usize = 100;

/// Methods by which a client asks for more than a method of the action. No method can
/// have such a name.
pub(crate) const GET: &str = "get property";
/// Sets a property, or calls what is callable.
pub(crate) const SET: &str = "set property";
/// Lists properties, or with `callable` methods.
pub(crate) const NAMES: &str = "names";

/// Why a call did not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Error {
    /// The class of the exception, if the action raised one.
    class: Option<String>,
    text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.class, self.text.as_str()) {
            // An exception may have nothing to say but its name.
            (Some(class), "") => f.write_str(class),
            (_, text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        const KNOWN: [&str; 12] = [
            "AttributeError",
            "Exception",
            "FileNotFoundError",
            "IndexError",
            "JSONDecodeError",
            "KeyError",
            "NameError",
            "NotImplementedError",
            "OSError",
            "RuntimeError",
            "TypeError",
            "ValueError",
        ];
        let name = error.class.as_deref().unwrap_or("RuntimeError");
        match KNOWN.iter().find(|known| **known == name) {
            Some(class) => Self {
                class,
                text: error.text,
            },
            None => Self {
                class: "RuntimeError",
                text: format!("{name}: {}", error.text),
            },
        }
    }
}

/// What the class of an action has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Traits {
    flush: bool,
    check: bool,
    reload: bool,
    clear: bool,
}

impl From<&Value> for Traits {
    fn from(answer: &Value) -> Self {
        let has = |name: &str| answer.get(name) == Some(&Value::Bool(true));
        Self {
            flush: has("flush"),
            check: has("check"),
            reload: has("reload"),
            clear: has("clear"),
        }
    }
}

/// One action of one jail.
pub(crate) struct Python {
    world: Arc<World>,
    name: String,
    source: Source,
    log: Log,
    limit: Duration,
    partner: Option<Partner>,
    /// What it is known to have; nothing if it was never loaded.
    traits: Option<Traits>,
    /// Whether its `start` was called and its `stop` was not.
    started: bool,
    /// Whether the last that went wrong was that it took too long.
    was_late: bool,
    /// What clients set.
    properties: BTreeMap<String, String>,
    breakdowns: Breakdowns,
}

impl Python {
    /// An action that has done nothing yet. Nothing is started.
    pub(crate) fn new(
        jail: JailName,
        name: String,
        source: Source,
        log: Log,
        facts: Arc<dyn Facts>,
    ) -> Self {
        Self {
            world: Arc::new(World { jail, facts }),
            name,
            source,
            log,
            limit: LIMIT,
            partner: None,
            traits: None,
            started: false,
            was_late: false,
            properties: BTreeMap::new(),
            breakdowns: Breakdowns::default(),
        }
    }

    /// Whether it can go on as the action that is wanted now: nothing has changed, or its
    /// class says that it can be told other options.
    pub(crate) fn can_go_on_as(&self, wanted: &Self) -> bool {
        let source = &wanted.source;
        let can_change = self
            .traits
            .is_some_and(|traits| traits.reload && traits.clear);
        self.source == *source
            || (can_change && self.source.path == source.path && self.source.text == source.text)
    }

    /// Goes on with the options that are wanted now. It is told so when the reload is over.
    pub(crate) fn go_on_as(&mut self, wanted: &Self) {
        self.source = wanted.source.clone();
    }

    /// Loads the class now, to learn whether it can be. False if that takes longer than
    /// `patience`: then it is loaded when it is needed.
    pub(crate) fn try_load(&mut self, patience: Duration) -> Result<bool, Error> {
        let limit = std::mem::replace(&mut self.limit, patience);
        let result = self.ready();
        self.limit = limit;
        let was_late = std::mem::take(&mut self.was_late);
        match result {
            Err(_) if was_late => {
                self.breakdowns = Breakdowns::default();
                Ok(false)
            }
            result => result.map(|()| true),
        }
    }

    /// Whether it can remove all bans at once.
    pub(crate) fn has_flush(&self) -> bool {
        self.traits.is_some_and(|traits| traits.flush)
    }

    /// What the line about a failed ban or unban tells of it.
    pub(crate) fn info(&self, ban: &Ban) -> String {
        OfBan::new(ban, &self.world).info()
    }

    /// Loads the class, and calls its `start`.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        self.started = false;
        self.ready()?;
        // Whatever it says, bans are tried all the same.
        self.started = true;
        self.plain("start").map(drop)
    }

    /// Calls its `stop`, and ends the program.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        let is_known = self.traits.is_some();
        let result = if is_known {
            self.plain("stop").map(drop)
        } else {
            Ok(())
        };
        self.started = false;
        self.traits = None;
        if let Some(partner) = self.partner.take() {
            partner.finish();
        }
        result
    }

    pub(crate) fn ban(&mut self, ban: &Ban) -> Result<(), Error> {
        self.with_ticket("ban", ban)
    }

    /// Who never could ban has nothing to lift.
    pub(crate) fn unban(&mut self, ban: &Ban) -> Result<(), Error> {
        if self.traits.is_none() {
            return Ok(());
        }
        self.with_ticket("unban", ban)
    }

    /// Removes all bans at once. False if it did not: then each is to be lifted.
    pub(crate) fn flush(&mut self) -> Result<bool, Error> {
        self.plain("flush").map(|done| done == Value::Bool(true))
    }

    /// Has it look whether everything is as it left it, if it can.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if !self.traits.is_some_and(|traits| traits.check) {
            return Ok(());
        }
        self.plain("check").map(drop)
    }

    /// Tells it that the configuration was read again, if it wants to know.
    pub(crate) fn reload(&mut self) -> Result<(), Error> {
        let Some(traits) = self.traits.filter(|traits| traits.reload) else {
            return Ok(());
        };
        if traits.clear {
            self.plain("clear")?;
        }
        let options = Value::Object(self.source.options.clone());
        self.call_for(object(json!({ "do": "reload", "options": options })), None)
            .map(drop)
    }

    /// Calls a method for a client, or asks for properties.
    pub(crate) fn call(&mut self, method: &str, json: Option<&str>) -> Result<Value, CallError> {
        let given = match json.map(serde_json::from_str) {
            None => Map::new(),
            Some(Ok(Value::Object(given))) => given,
            Some(Ok(_)) => {
                return Err(CallError {
                    class: "TypeError",
                    text: format!("{method}: the argument after ** must be a mapping"),
                });
            }
            Some(Err(error)) => {
                return Err(CallError {
                    class: "JSONDecodeError",
                    text: format!("{method}: {error}; give an object in JSON"),
                });
            }
        };
        let mut request = match method {
            GET | SET | NAMES => given,
            _ => object(json!({ "arguments": given, "name": method })),
        };
        let word = match method {
            GET => "get",
            SET => "set",
            NAMES => "names",
            _ => "call",
        };
        let set = (method == SET).then(|| {
            let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
            text("name").zip(text("value"))
        });
        request.insert("do".into(), word.into());
        let value = self.call_for(request, None)?;
        if let Some((name, text)) = set.flatten()
            && self.properties.len() < MOST_SET
            // A method that was called returned what it likes.
            && value == text.as_str()
        {
            self.properties.insert(name, text);
        }
        Ok(value)
    }

    fn plain(&mut self, what: &str) -> Result<Value, Error> {
        self.call_for(object(json!({ "do": what })), None)
    }

    fn with_ticket(&mut self, what: &str, ban: &Ban) -> Result<(), Error> {
        self.call_for(object(json!({ "do": what })), Some(ban))
            .map(drop)
    }

    /// Asks something of the class. It is loaded first if it is not.
    fn call_for(&mut self, request: Map<String, Value>, ban: Option<&Ban>) -> Result<Value, Error> {
        self.ready()?;
        self.ask(request, ban)
    }

    /// Has a program at work that has loaded the class, and what was started is started.
    fn ready(&mut self) -> Result<(), Error> {
        if let Some(partner) = self.partner.take_if(|partner| partner.has_ended()) {
            let error = self.broken(partner, "between two calls", &Broken::Ended);
            self.tell(&error.text);
        }
        if self.partner.is_some() {
            return Ok(());
        }
        if let Some(left) = self.breakdowns.rest(clock::tick()) {
            return Err(plainly(format!(
                "not tried: its Python process broke down {MOST_BREAKDOWNS} times, and is started \
                 again in {} second(s); the log says why",
                left.as_secs().saturating_add(1)
            )));
        }
        let whose = Whose {
            jail: &self.world.jail,
            action: &self.name,
        };
        let started = Partner::start(&self.source, whose, &self.log);
        self.partner = Some(started.map_err(|error| self.not_started(&error))?);
        self.load()?;
        if self.started
            && let Err(error) = self.ask(object(json!({ "do": "start" })), None)
        {
            self.tell(&format!(
                "its start failed after it was begun again: {error}"
            ));
            if self.partner.is_none() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), Error> {
        let request = json!({
            "do": "load",
            "path": self.source.path,
            "source": self.source.text,
            "jail": self.world.jail.as_str(),
            "name": self.name,
            "options": self.source.options,
        });
        match self.ask(object(request), None) {
            Ok(answer) => self.traits = Some(Traits::from(&answer)),
            Err(mut error) => {
                if let Some(partner) = self.partner.take() {
                    partner.kill();
                    self.broke_down();
                }
                let path = &self.source.path;
                error.text = match error.class.as_deref() {
                    Some("Refused") => format!("RuntimeError: {path} {}", error.text),
                    Some("TypeError") => format!(
                        "{path}: TypeError: {}; name only options that its class takes",
                        error.text
                    ),
                    Some(class) => format!("{path}: {class}: {}", error.text),
                    None => format!("{path}: {}", error.text),
                };
                return Err(error);
            }
        }
        let configured = self.source.properties.clone();
        for (name, value) in configured.into_iter().chain(self.properties.clone()) {
            let request = json!({ "do": "set", "name": name, "value": value });
            if let Err(error) = self.ask(object(request), None) {
                self.tell(&format!("property {name} is not set again: {error}"));
            }
        }
        Ok(())
    }

    /// Asks something of the program as it is.
    fn ask(&mut self, mut request: Map<String, Value>, ban: Option<&Ban>) -> Result<Value, Error> {
        let Some(mut partner) = self.partner.take() else {
            return Err(plainly("its Python process is not at work".to_owned()));
        };
        let world = Arc::clone(&self.world);
        request.insert("bantime".into(), world.facts.bantime().secs().into());
        let what = request
            .get("do")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let values = ban.map(|ban| OfBan::new(ban, &world));
        if let (Some(ban), Some(values)) = (ban, &values) {
            request.insert("restored".into(), ban.restored.into());
            request.insert("info".into(), ticket::info(ban, values));
        }
        let asked = |name: &str| {
            let values = values.as_ref();
            values.map_or(Value::Null, |values| ticket::value(name, values))
        };
        match partner.request(request, self.limit, &asked) {
            Ok(value) => {
                self.partner = Some(partner);
                Ok(value)
            }
            Err(Fault::Raised(Raised { class, text })) => {
                self.partner = Some(partner);
                Err(Error {
                    class: Some(class),
                    text,
                })
            }
            Err(Fault::Broken(broken)) => Err(self.broken(partner, &format!("in {what}"), &broken)),
            Err(Fault::Nonsense(text)) => {
                let broken = Broken::Io(io::Error::other(text));
                Err(self.broken(partner, &format!("in {what}"), &broken))
            }
        }
    }

    /// A program is of no use any more: ends it.
    fn broken(&mut self, partner: Partner, when: &str, broken: &Broken) -> Error {
        let ended = partner.kill();
        self.was_late = matches!(broken, Broken::TimedOut);
        let text = match broken {
            Broken::TimedOut => format!(
                "no answer {when} within {} seconds: its Python process was killed, and is started \
                 again for the next call. Have the action give up in time what takes long",
                self.limit.as_secs_f64()
            ),
            Broken::Ended => format!(
                "its Python process is gone {when} ({}), and is started again for the next call. \
                 Have the action end neither itself nor its group",
                ended.as_deref().unwrap_or("nobody knows how")
            ),
            Broken::TooLong | Broken::Io(_) => {
                let detail = match broken {
                    Broken::Io(error) => error.to_string(),
                    _ => "a line without an end".to_owned(),
                };
                format!(
                    "its Python process could not be talked with {when} ({detail}): it was killed, \
                     and is started again for the next call. Have the action leave the descriptors \
                     alone that it did not open"
                )
            }
        };
        self.broke_down();
        plainly(text)
    }

    fn broke_down(&mut self) {
        if self.breakdowns.note(clock::tick()) {
            self.tell(&format!(
                "its Python process broke down {MOST_BREAKDOWNS} times; it is left alone for {} \
                 seconds now",
                REST.as_secs()
            ));
        }
    }

    fn not_started(&mut self, error: &io::Error) -> Error {
        self.broke_down();
        let program = self.source.program;
        plainly(format!(
            "{program} cannot be started: {error}; install python3, or see to the limits of this \
             process"
        ))
    }

    fn tell(&self, text: &str) {
        let (jail, action) = (&self.world.jail, &self.name);
        let text = format!("[{jail}] action '{action}': {text}");
        self.log.error("actions", &text);
    }
}

fn plainly(text: String) -> Error {
    Error { class: None, text }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
