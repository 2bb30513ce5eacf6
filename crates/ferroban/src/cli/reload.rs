//! `ferroban reload`: lets the running daemon read its configuration again.
//!
//! With `--plan` it only tells what that would change. A configuration that is not right
//! changes nothing in either case.
//!
//! A server that was started by `fail2ban-server` reads nothing by itself: it is told. For
//! such a one the folder is read here and sent, as `fail2ban-client reload` does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use ferroban_config::Disk;
use ferroban_engine::JailChange;
use serde_json::json;

use super::client::configuration::commands;
use super::client::transport::Patience;
use super::out;
use super::own::server::{self, FOLDER, Refused, Server};
use super::own::{self, Problem, text};
use crate::load::{Folder, How, Logs};
use crate::log::Level;
use crate::report;
use crate::wire::{Reconfigure, UNCONFIGURED, Value, changes_of};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The control socket of the daemon
    #[arg(short, long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The configuration folder for a server that was started by fail2ban-server
    /// [default: /etc/fail2ban]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Tell what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    own::finish(reload(arguments))
}

fn reload(arguments: &Arguments) -> Result<(), Problem> {
    let folder = arguments.config.as_deref().unwrap_or(Path::new(FOLDER));
    let socket = server::place_in(folder, arguments.socket.as_deref())?;
    let mut server = Server::open_for(&socket, Patience::Endless)?;
    // A folder is of no use to a server that has its own; it is found out without harm.
    let wish = if arguments.plan || arguments.config.is_some() {
        Reconfigure::Plan
    } else {
        Reconfigure::Reload
    };
    match server.ask(&wish.request()) {
        Ok(_) if arguments.config.is_some() => Err(Problem::refused(
            "this server has a configuration of its own, --config is not for it; leave it out",
        )),
        Ok(value) => {
            let changes = changes_of(&value).ok_or_else(|| server.stranger())?;
            show(&changes, arguments.json);
            Ok(())
        }
        Err(Refused::Because(why)) if why == UNCONFIGURED && arguments.plan => {
            Err(Problem::refused(
                "this server is told its configuration and cannot tell what another would change; 'ferroban config check' says what is wrong with a folder, 'fail2ban-client -d' what it comes to",
            ))
        }
        Err(Refused::Because(why)) if why == UNCONFIGURED => {
            send(&mut server, folder, arguments.json)
        }
        Err(Refused::Because(why)) => Err(unchanged(&why)),
        Err(refused) => Err(refused.into()),
    }
}

fn unchanged(why: &str) -> Problem {
    Problem::refused(format!("not reloaded, nothing changed:\n{why}"))
}

/// Reads the folder and sends it. A jail that is wrong is told and left out.
fn send(server: &mut Server, folder: &Path, as_json: bool) -> Result<(), Problem> {
    let mut reader = Folder::new(&Disk, folder);
    let places = reader
        .places()
        .map_err(|error| unchanged(&report::chain(&error)))?;
    let how = How {
        logs: Logs::Needed,
        strict: false,
    };
    let outcome = reader.stream(&places, how, None);
    for message in reader.messages() {
        if matches!(
            message.level,
            Level::Critical | Level::Error | Level::Warning
        ) {
            out::error(&format!("ferroban: {}", text::shown(&message.text)));
        }
    }
    let Some(stream) = outcome.stream.filter(|_| outcome.good) else {
        let why = format!(
            "{}: this configuration cannot be used; 'ferroban config check -c {0}' tells more",
            folder.display()
        );
        return Err(unchanged(&why));
    };
    let nothing = Value::List(Vec::new());
    let words = ["reload".into(), "--all".into(), nothing, commands(&stream)];
    match server.ask(&Value::List(words.into())) {
        Ok(_) => {
            let shown = folder.display().to_string();
            out::line(&if as_json {
                text::json(&json!({ "change": "sent", "config": shown }))
            } else {
                format!(
                    "reloaded with {}; the log of the server tells what changed",
                    text::shown(&shown)
                )
            });
            Ok(())
        }
        Err(refused) => Err(refused.into()),
    }
}

fn show(changes: &[JailChange], as_json: bool) {
    for change in changes {
        out::line(&if as_json {
            text::json(change)
        } else {
            let shown = change.to_string();
            let lines: Vec<String> = shown.lines().map(text::shown).collect();
            lines.join("\n")
        });
    }
    if changes.is_empty() && !as_json {
        out::line("nothing changes");
    }
}
