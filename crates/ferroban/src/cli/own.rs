//! `ferroban status`, `jails`, `bans`, `check`, `events`, `ban`, `unban`: what the daemon does, in
//! words of our own.
//!
//! The faces named `fail2ban-*` print what the original prints; these commands print what
//! an operator wants to know, first of all whether bans hold. With `--json` they print the
//! fields that `docs/json.md` describes.
//!
//! | module | its idea |
//! |---|---|
//! | `server` | the daemon at the other end: where it is, asking it, what it refuses |
//! | `status` | the server and its jails, for people |
//! | `bans` | who is banned, for people |
//! | `check` | whether bans reach the firewall |
//! | `events` | what happens, as it happens |
//! | `order` | banning and lifting |
//! | `table` | columns below each other, and colour |
//! | `text` | what may be shown: nothing from a log moves a terminal's cursor |

mod bans;
mod check;
mod events;
mod order;
pub(super) mod server;
mod status;
mod table;
pub(super) mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::out;
use server::{Server, no_jail};
use table::Paint;

/// It was refused; or it was done, and is not as it should be.
const REFUSED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// No Ferroban answers.
const UNREACHABLE: u8 = 255;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell how the server and its jails are, first of all whether bans hold
    Status {
        /// The jail; without it, all of them in a table
        jail: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// List the names of the jails
    Jails {
        #[command(flatten)]
        how: How,
    },
    /// List who is banned, until when, and whether it holds
    Bans {
        /// The jail; without it, all of them
        jail: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Prove that bans reach the firewall: ban an address that nobody has, find it in the kernel, and
    /// take it out again
    Check {
        /// The jail; without it, all of them
        jail: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Tell what happens from now on. JSON if the output is no terminal
    Events {
        #[command(flatten)]
        how: How,
    },
    /// Ban addresses, networks or other ids in a jail
    Ban {
        /// The jail
        jail: String,
        /// Whom to ban
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Ban protected addresses too
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        how: How,
    },
    /// Lift bans, in one jail or in all
    #[command(override_usage = "ferroban unban [OPTIONS] [JAIL] <ID>...\n       \
                                ferroban unban [OPTIONS] [JAIL] --all")]
    Unban {
        /// The jail, and whose bans to lift. The first word is a jail if there is one of
        /// that name
        #[arg(value_name = "JAIL|ID", required_unless_present = "all")]
        words: Vec<String>,
        /// Lift every ban
        #[arg(long)]
        all: bool,
        /// Fail if one of them is not banned
        #[arg(long, conflicts_with = "all")]
        report_absent: bool,
        #[command(flatten)]
        how: How,
    },
}

/// What all of them have in common.
#[derive(Args, Debug)]
pub(super) struct How {
    /// The control socket of the server
    #[arg(short, long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

impl How {
    fn open(&self) -> Result<Server, Problem> {
        Server::open(&server::place(self.socket.as_deref())?)
    }
}

/// Why a command has failed.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Problem {
    text: String,
    code: u8,
}

impl Problem {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(text, REFUSED)
    }

    fn usage(text: impl Into<String>) -> Self {
        Self::new(text, USAGE)
    }

    fn unreachable(text: impl Into<String>) -> Self {
        Self::new(text, UNREACHABLE)
    }

    fn new(text: impl Into<String>, code: u8) -> Self {
        let text = text.into();
        Self { text, code }
    }
}

pub(super) fn run(command: Command) -> ExitCode {
    finish(act(command))
}

/// Tells what went wrong, if anything did. The exit code.
pub(super) fn finish(done: Result<(), Problem>) -> ExitCode {
    match done {
        Ok(()) if out::failed() => ExitCode::from(REFUSED),
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            for line in problem.text.lines() {
                out::error(&format!("ferroban: {}", text::shown(line)));
            }
            ExitCode::from(problem.code)
        }
    }
}

fn act(command: Command) -> Result<(), Problem> {
    match command {
        Command::Status { jail, how } => show_status(jail.as_deref(), &how),
        Command::Jails { how } => show_jails(&how),
        Command::Bans { jail, how } => show_bans(jail.as_deref(), &how),
        Command::Check { jail, how } => check::run(&how, jail.as_deref()),
        Command::Events { how } => events::run(how.open()?, how.json || !out::is_terminal()),
        Command::Ban {
            jail,
            ids,
            force,
            how,
        } => order::ban(&how, &order::Ban { jail, ids, force }),
        Command::Unban {
            words,
            all,
            report_absent,
            how,
        } => {
            let unban = order::Unban {
                words,
                all,
                report_absent,
            };
            order::unban(&how, &unban)
        }
    }
}

fn show_status(jail: Option<&str>, how: &How) -> Result<(), Problem> {
    let view = how.open()?.status()?;
    let paint = Paint::of_output();
    let shown = match jail {
        None if how.json => text::json(&view),
        None => status::all(&view, paint),
        Some(name) => {
            let found = view.jails.iter().find(|jail| jail.name == name);
            let jail = found.ok_or_else(|| no_jail(name, &view))?;
            if how.json {
                text::json(jail)
            } else {
                status::one(jail, view.dry_run, paint)
            }
        }
    };
    out::line(&shown);
    Ok(())
}

fn show_jails(how: &How) -> Result<(), Problem> {
    let view = how.open()?.status()?;
    let names: Vec<&str> = view.jails.iter().map(|jail| &*jail.name).collect();
    if how.json {
        out::line(&text::json(&names));
        return Ok(());
    }
    for name in names {
        out::line(&text::shown(name));
    }
    Ok(())
}

fn show_bans(jail: Option<&str>, how: &How) -> Result<(), Problem> {
    let bans = how.open()?.bans(jail, &[])?;
    out::line(&if how.json {
        text::json(&bans)
    } else {
        bans::all(&bans, crate::clock::now(), Paint::of_output())
    });
    Ok(())
}
