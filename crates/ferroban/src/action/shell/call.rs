//! The methods that a client may call: `set <jail> action <action> <method> [json]`.
//!
//! They are fail2ban's, with its names of arguments and its complaints about them. The
//! daemon itself does not come this way.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferroban_config::quoted;
use ferroban_engine::FailId;
use serde_json::{Map, Value};

use super::bind::{Bound, Values, bind};
use super::family::Family;
use super::tags::{Properties, Resolved, TagError, escaped};
use super::texts::{Op, constant, limit};
use super::{Error, Occasion, Shell};
use crate::process::script::Script;

/// Names of the arguments that a method needs, and of those that it takes too.
type Signature = (&'static [&'static str], &'static [&'static str]);

/// Nothing if it takes any.
fn signature(method: &str) -> Option<Signature> {
    Some(match method {
        "ban" => (&["aInfo"], &["cmd"]),
        "prolong" | "reban" | "unban" => (&["aInfo"], &[]),
        "consistencyCheck" => (&[], &["beforeRepair"]),
        "escapeTag" => (&["value"], &[]),
        "executeCmd" => (&["realCmd"], &["timeout", "varsDict"]),
        "replaceDynamicTags" => (&["realCmd", "aInfo"], &[]),
        "replaceTag" => (&["query", "aInfo"], &["conditional"]),
        "reload" => return None,
        _ => (&[], &[]),
    })
}

/// Why a call did not work, as the exception that fail2ban would raise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallError {
    /// Its class.
    pub(crate) class: &'static str,
    /// What it says.
    pub(crate) text: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CallError {}

impl CallError {
    fn type_error(text: String) -> Self {
        Self {
            class: "TypeError",
            text,
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        let class = match error {
            Error::Tags(_) => "ValueError",
            Error::Ticket { .. } | Error::Operation { .. } => "RuntimeError",
        };
        Self {
            class,
            text: error.to_string(),
        }
    }
}

impl From<TagError> for CallError {
    fn from(error: TagError) -> Self {
        Error::from(error).into()
    }
}

impl Shell {
    /// Calls one of [`ACTION_METHODS`](ferroban_engine::options::ACTION_METHODS) with arguments by name, as an object in JSON.
    pub(crate) fn call(&mut self, method: &str, json: Option<&str>) -> Result<Value, CallError> {
        let given = arguments(method, json)?;
        let given = &given;
        let done = |()| Value::Bool(true);
        let nothing = |()| Value::Null;
        Ok(match method {
            "start" => self.start().map(done)?,
            "stop" => self.stop().map(done)?,
            "flush" => self.flush().map(done)?,
            "reload" => self.reload().map(done)?,
            "consistencyCheck" => self.consistency_check(Occasion::Ban)?.into(),
            "ban" => self.call_ban(Op::Ban, given).map(nothing)?,
            "reban" => self.call_ban(Op::Reban, given).map(nothing)?,
            "prolong" => {
                let ticket = ticket(given)?;
                let ip = ticket.ip();
                self.prolong_ticket(&ticket, &ticket.family(), &|| ip.clone())
                    .map(nothing)?
            }
            "unban" => {
                let ticket = ticket(given)?;
                let ip = ticket.ip();
                self.unban_ticket(&ticket, &ticket.family(), &|| ip.clone())
                    .map(nothing)?
            }
            "escapeTag" => escaped(text(given, "value")?).into(),
            "executeCmd" => self.call_execute(given)?.into(),
            "replaceTag" => self.call_replace(given)?.into(),
            "replaceDynamicTags" => {
                let ticket = ticket(given)?;
                value_of(bind(text(given, "realCmd")?, &ticket))
            }
            "invalidateBanEpoch" => {
                self.begin_epoch();
                Value::Null
            }
            "clearAllParams" => Value::Null,
            _ => {
                return Err(CallError {
                    class: "AttributeError",
                    text: format!("'CommandAction' object has no attribute {}", quoted(method)),
                });
            }
        })
    }

    fn call_ban(&mut self, op: Op, given: &Map<String, Value>) -> Result<(), CallError> {
        let ticket = ticket(given)?;
        let family = ticket.family();
        self.before_ban(&family)?;
        let facts = Arc::clone(&self.world.facts);
        let text = match given.get("cmd") {
            Some(_) => self.texts.fill(text(given, "cmd")?, &family, &*facts)?,
            None if op == Op::Reban && !self.texts.has(op) => {
                self.texts.text(Op::Ban, &family, &*facts)?
            }
            None => self.texts.text(op, &family, &*facts)?,
        };
        let ip = ticket.ip();
        Ok(self.ban_ticket(&bind(&text, &ticket), &family, &|| ip.clone())?)
    }

    fn call_execute(&mut self, given: &Map<String, Value>) -> Result<bool, CallError> {
        let mut script = match given.get("realCmd") {
            Some(Value::Array(words)) => {
                let mut words = words.iter().map(display);
                Script {
                    text: words.next().unwrap_or_default(),
                    args: words.collect(),
                }
            }
            _ => text(given, "realCmd")?.into(),
        };
        if let Some(Value::Object(variables)) = given.get("varsDict") {
            let mut bound = Bound::default();
            for (name, value) in variables {
                bound.assign(name.clone(), display(value));
            }
            script = bound.script(&script.text);
        }
        let timeout = match given.get("timeout") {
            None | Some(Value::Null) => Some(Duration::from_secs(60)),
            Some(value) => limit(&display(value)),
        };
        let timeout = timeout.ok_or_else(|| CallError {
            class: "ValueError",
            text: "timeout is no time; give seconds".to_owned(),
        })?;
        Ok(self.run_within(&script, timeout))
    }

    fn call_replace(&self, given: &Map<String, Value>) -> Result<String, CallError> {
        let condition = given.get("conditional").and_then(Value::as_str);
        let query = text(given, "query")?;
        if !query.contains('<') {
            return Ok(query.to_owned());
        }
        let known = object(given)?;
        let known = known.iter().filter(|(_, value)| !value.is_null());
        let known: Properties = known
            .map(|(name, value)| (name.clone(), display(value)))
            .collect();
        let resolved = Resolved::new(&known, condition.unwrap_or_default())?;
        Ok(resolved.fill(query, &|tag| constant(tag, &*self.world.facts))?)
    }
}

/// The arguments, if they are those that the method takes.
fn arguments(method: &str, json: Option<&str>) -> Result<Map<String, Value>, CallError> {
    let given = match json {
        None => Map::new(),
        Some(json) => match serde_json::from_str(json).map_err(|error| broken(&error))? {
            Value::Object(given) => given,
            other => {
                return Err(CallError::type_error(format!(
                    "fail2ban.server.action.CommandAction.{method}() argument after ** must be a \
                     mapping, not {}",
                    type_of(&other)
                )));
            }
        },
    };
    let Some((needed, taken)) = signature(method) else {
        return Ok(given);
    };
    let is_known = |name: &str| needed.contains(&name) || taken.contains(&name);
    if let Some(name) = given.keys().find(|name| !is_known(name)) {
        return Err(CallError::type_error(format!(
            "CommandAction.{method}() got an unexpected keyword argument {}",
            quoted(name)
        )));
    }
    let missing = needed.iter().filter(|name| !given.contains_key(**name));
    let missing: Vec<String> = missing.map(|name| quoted(name)).collect();
    if missing.is_empty() {
        return Ok(given);
    }
    let plural = if missing.len() == 1 { "" } else { "s" };
    Err(CallError::type_error(format!(
        "CommandAction.{method}() missing {} required positional argument{plural}: {}",
        missing.len(),
        missing.join(" and ")
    )))
}

fn broken(error: &serde_json::Error) -> CallError {
    let column = error.column().max(1);
    CallError {
        class: "JSONDecodeError",
        text: format!(
            "Expecting value: line {} column {column} (char {})",
            error.line().max(1),
            column - 1
        ),
    }
}

fn text<'a>(given: &'a Map<String, Value>, name: &str) -> Result<&'a str, CallError> {
    let value = given.get(name).unwrap_or(&Value::Null);
    value.as_str().ok_or_else(|| {
        let found = type_of(value);
        CallError::type_error(format!(
            "expected string or bytes-like object, got '{found}'"
        ))
    })
}

fn object(given: &Map<String, Value>) -> Result<&Map<String, Value>, CallError> {
    let value = given.get("aInfo").unwrap_or(&Value::Null);
    value.as_object().ok_or_else(|| {
        let found = type_of(value);
        CallError {
            class: "AttributeError",
            text: format!("'{found}' object has no attribute 'get'"),
        }
    })
}

fn ticket(given: &Map<String, Value>) -> Result<Given<'_>, CallError> {
    object(given).map(Given)
}

/// A ticket that a client made up.
struct Given<'a>(&'a Map<String, Value>);

impl Given<'_> {
    fn family(&self) -> Family {
        match self.0.get("family") {
            Some(Value::String(name)) => Family::Of(name.clone().into()),
            Some(_) => Family::None,
            // More than the original does: it has the address, after all.
            None => Family::of(&FailId::parse(&self.ip())),
        }
    }

    fn ip(&self) -> String {
        self.0.get("ip").map(display).unwrap_or_default()
    }
}

impl Values for Given<'_> {
    fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        self.0.get(tag).map(|value| display(value).into())
    }

    fn capture(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.0.get("F-*")?.get(name)?;
        Some(display(value).into())
    }
}

/// A script as a client sees it.
fn value_of(script: Script) -> Value {
    if script.args.is_empty() {
        return script.text.into();
    }
    std::iter::once(script.text)
        .chain(script.args)
        .map(Value::from)
        .collect()
}

/// A value as Python shows it in a text.
fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(pairs) => {
            let pair =
                |(name, value): (&String, &Value)| format!("{}: {}", quoted(name), repr(value));
            let pairs: Vec<String> = pairs.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests;
