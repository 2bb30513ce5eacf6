//! What the client prints for a reply: fail2ban's texts, which many programs read.
//!
//! Most replies are shown as Python prints them. A reply that does not have the shape its
//! command promises is [`Unprintable`]; nothing panics whatever a daemon sends.

use std::borrow::Cow;

use super::table::{Charset, table};
use super::tree;
use crate::wire::pickle::{Exception, Value};
use crate::wire::text::{display, message, repr};

/// The reply does not fit the command. Holds what was made of it so far.
#[derive(Debug, PartialEq)]
pub(super) struct Unprintable(pub(super) Value);

/// The text for a reply to the command that these words make.
pub(super) fn beautify(
    words: &[&str],
    reply: &Value,
    charset: Charset,
) -> Result<String, Unprintable> {
    let text = match words {
        ["ping", ..] => format!("Server replied: {}", display(reply)),
        ["start", ..] => "Jail started".into(),
        ["stop"] => "Shutdown successful".into(),
        ["stop", ..] => "Jail stopped".into(),
        ["add", ..] => format!("Added jail {}", display(reply)),
        ["flushlogs", ..] => format!("logs: {}", display(reply)),
        ["echo", ..] => joined(reply, " ")?,
        ["status"] | ["status", "--all", ..] => tree::server(reply)?,
        ["status", jail, ..] => tree::jail(jail, reply)?,
        ["stats" | "statistics", ..] => {
            table(reply, charset).ok_or_else(|| Unprintable(reply.clone()))?
        }
        [
            "set" | "get",
            option @ ("loglevel" | "logtarget" | "syslogsocket" | "dbfile" | "dbpurgeage"),
            ..,
        ] => global(option, reply),
        ["get", _, "banip", rest @ ..] => banned(rest, reply)?,
        [
            "set" | "get",
            jail,
            what @ ("actionproperties" | "actionmethods"),
            action,
            ..,
        ] => {
            let what = what.trim_start_matches("action");
            let names = joined(reply, ", ")?;
            if names.is_empty() {
                format!("No {what} for jail {jail} action {action}")
            } else {
                format!("The jail {jail} action {action} has the following {what}:\n{names}")
            }
        }
        ["set" | "get", jail, option, ..] => of_jail(jail, option, reply)?,
        _ => display(reply),
    };
    Ok(text)
}

/// The text for an error the daemon replied.
pub(super) fn beautify_error(error: &Exception) -> String {
    let first = || error.args.first().map(display).unwrap_or_default();
    match error.class.as_str() {
        "UnknownJailException" => format!("Sorry but the jail '{}' does not exist", first()),
        "DuplicateJailException" => format!("The jail '{}' already exists", first()),
        "IndexError" => "Sorry but the command is invalid".into(),
        _ => message(error),
    }
}

/// Options of the daemon itself.
fn global(option: &str, reply: &Value) -> String {
    let shown = display(reply);
    match option {
        "loglevel" => format!("Current logging level is {}", repr(&level(reply))),
        "logtarget" => format!("Current logging target is:\n`- {shown}"),
        "syslogsocket" => format!("Current syslog socket is:\n`- {shown}"),
        "dbfile" | "dbpurgeage" if *reply == Value::None => "Database currently disabled".into(),
        "dbfile" => format!("Current database file is:\n`- {shown}"),
        "dbpurgeage" => {
            // Fail2ban drops the fraction.
            let whole = shown
                .split_once('.')
                .map_or(shown.as_str(), |(whole, _)| whole);
            format!("Current database purge age is:\n`- {whole}seconds")
        }
        _ => shown,
    }
}

/// The name of a level that came as its number.
fn level(reply: &Value) -> Value {
    let name = match reply {
        Value::Int(50) => "CRITICAL",
        Value::Int(40) => "ERROR",
        Value::Int(30) => "WARNING",
        Value::Int(25) => "NOTICE",
        Value::Int(20) => "INFO",
        Value::Int(18) => "MSG",
        Value::Int(10) => "DEBUG",
        Value::Int(7) => "TRACE",
        Value::Int(5) => "HEAVY",
        Value::Int(number) => return format!("#{number:02}-Lev.").into(),
        other => return other.clone(),
    };
    name.into()
}

/// Options of a jail.
fn of_jail(jail: &str, option: &str, reply: &Value) -> Result<String, Unprintable> {
    Ok(match option {
        "logpath" | "addlogpath" | "dellogpath" => listed(
            reply,
            "No file is currently monitored",
            "Current monitored log file(s):",
        )?,
        "ignoreip" | "addignoreip" | "delignoreip" => listed(
            reply,
            "No IP address/network is ignored",
            "These IP addresses/networks are ignored:",
        )?,
        "failregex" | "addfailregex" | "delfailregex" | "ignoreregex" | "addignoreregex"
        | "delignoreregex" => regexes(reply)?,
        "logencoding" => format!("Current log encoding is set to:\n{}", display(reply)),
        "journalmatch" | "addjournalmatch" | "deljournalmatch" => journal_match(reply)?,
        "datepattern" => date_pattern(reply)?,
        "actions" => {
            let names = joined(reply, ", ")?;
            if names.is_empty() {
                format!("No actions for jail {jail}")
            } else {
                format!("The jail {jail} has the following actions:\n{names}")
            }
        }
        _ => display(reply),
    })
}

/// What Python finds when it goes through a value: also the letters of a text.
fn elements(reply: &Value) -> Result<Cow<'_, [Value]>, Unprintable> {
    Ok(match reply {
        Value::List(elements) | Value::Tuple(elements) | Value::Set(elements) => {
            Cow::Borrowed(elements)
        }
        Value::Dict(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
        Value::Str(text) => {
            let text = text.to_lossy();
            text.chars().map(|c| Value::from(c.to_string())).collect()
        }
        _ => return Err(Unprintable(reply.clone())),
    })
}

fn joined(reply: &Value, separator: &str) -> Result<String, Unprintable> {
    let texts: Vec<String> = elements(reply)?.iter().map(display).collect();
    Ok(texts.join(separator))
}

/// A title and each element on a branch below it.
fn listed(reply: &Value, none: &str, title: &str) -> Result<String, Unprintable> {
    Ok(branches(elements(reply)?.iter().map(display), none, title))
}

fn regexes(reply: &Value) -> Result<String, Unprintable> {
    let regexes = elements(reply)?;
    let texts = regexes.iter().enumerate();
    Ok(branches(
        texts.map(|(place, regex)| format!("[{place}]: {}", display(regex))),
        "No regular expression is defined",
        "The following regular expression are defined:",
    ))
}

fn branches(texts: impl Iterator<Item = String>, none: &str, title: &str) -> String {
    let mut lines = vec![title.to_owned()];
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return none.into();
    }
    while let Some(text) = texts.next() {
        let branch = if texts.peek().is_some() { "|-" } else { "`-" };
        lines.push(format!("{branch} {text}"));
    }
    lines.join("\n")
}

fn journal_match(reply: &Value) -> Result<String, Unprintable> {
    let groups: Vec<String> = elements(reply)?
        .iter()
        .map(|group| joined(group, " "))
        .collect::<Result<_, _>>()?;
    Ok(if groups.is_empty() {
        "No journal match filter set".into()
    } else {
        format!("Current match filter:\n{}", groups.join(" + "))
    })
}

fn date_pattern(reply: &Value) -> Result<String, Unprintable> {
    let shown = match reply {
        Value::None => "Not set/required".into(),
        reply => match &*elements(reply)? {
            [Value::None, name] => display(name),
            [pattern, name] => format!("{} ({})", display(pattern), display(name)),
            _ => return Err(Unprintable(reply.clone())),
        },
    };
    Ok(format!("Current date pattern set to: {shown}"))
}

/// Addresses, joined by what the user wants between them.
fn banned(rest: &[&str], reply: &Value) -> Result<String, Unprintable> {
    let Value::List(_) = reply else {
        return Ok(display(reply));
    };
    joined(
        reply,
        match rest {
            [] => " ",
            ["--with-time", ..] => "\n",
            [separator, ..] => separator,
        },
    )
}

#[cfg(test)]
mod tests;
