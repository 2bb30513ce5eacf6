//! `ferroban reload`: lets the running daemon read its configuration again.
//!
//! With `--plan` it only tells what that would change. A configuration that is
//! not right changes nothing in either case.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ferroban_engine::JailChange;

use super::client::transport::{Patience, ask};
use super::guard;
use super::out;
use crate::wire::pickle::Exception;
use crate::wire::{Reconfigure, Value, changes_of, text};

/// The code of a refusal, and of a daemon that does not answer.
const FAILED: u8 = 255;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The control socket of the daemon
    #[arg(short, long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Tell what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match changes(arguments) {
        Ok(changes) => {
            show(&changes, arguments);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            for line in problem.lines() {
                out::error(&format!("ferroban: {line}"));
            }
            ExitCode::from(FAILED)
        }
    }
}

fn changes(arguments: &Arguments) -> Result<Vec<JailChange>, String> {
    let wish = if arguments.plan {
        Reconfigure::Plan
    } else {
        Reconfigure::Reload
    };
    let socket = arguments
        .socket
        .clone()
        .unwrap_or_else(guard::default_socket);
    let reply =
        ask(&socket, &wish.request(), Patience::Endless).map_err(|error| error.to_string())?;
    let no_reply = || format!("{}: whoever answers there is no Ferroban", socket.display());
    match reply.elements() {
        Some([Value::Int(0), value]) => changes_of(value).ok_or_else(no_reply),
        Some([Value::Int(1), Value::Exception(error)]) => {
            Err(refusal(error).unwrap_or_else(no_reply))
        }
        _ => Err(no_reply()),
    }
}

/// What our own daemon says; another one does not know the question.
fn refusal(error: &Exception) -> Option<String> {
    (error.class == "ValueError")
        .then(|| format!("not reloaded, nothing changed:\n{}", text::message(error)))
}

fn show(changes: &[JailChange], arguments: &Arguments) {
    for change in changes {
        let line = if arguments.json {
            serde_json::to_string(change).unwrap_or_default()
        } else {
            change.to_string()
        };
        out::line(&line);
    }
    if changes.is_empty() && !arguments.json {
        out::line("nothing changes");
    }
}
