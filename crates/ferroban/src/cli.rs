//! The faces of the program, one file each.
//!
//! The name it is called by picks the face; `ferroban fail2ban-client …` shows
//! the same face without a link of that name.

pub mod client;
mod config;
mod explain;
mod guard;
mod named;
pub mod out;
mod own;
mod regex;
mod reload;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use client::Face;

/// Shows the face that the program's name, or its first word, asks for.
#[must_use]
pub fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = args.first().map(base_name).unwrap_or_default();
    let args: Vec<OsString> = args.drain(1..).collect();
    match called.as_str() {
        "ferroban" | "" => match args.split_first() {
            Some((word, rest)) if is_face(&base_name(word)) => face(&base_name(word), rest),
            _ => ferroban(&args),
        },
        name if is_face(name) => face(name, &args),
        _ => ferroban(&args),
    }
}

fn base_name(path: &OsString) -> String {
    Path::new(path)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn is_face(name: &str) -> bool {
    [
        "fail2ban",
        "fail2ban-server",
        "fail2ban-client",
        "fail2ban-regex",
    ]
    .contains(&name)
}

fn face(name: &str, args: &[OsString]) -> ExitCode {
    match name {
        "fail2ban-client" => client::run(args, Face::Client),
        "fail2ban-regex" => regex::run(args),
        _ => client::run(args, Face::Server),
    }
}

/// Watches logs and bans those who fail to log in too often. A drop-in fail2ban.
#[derive(Debug, Parser)]
#[command(
    name = "ferroban",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 refused or wrong, 2 not understood, 255 no server answers"
)]
struct Own {
    #[command(subcommand)]
    command: OwnCommand,
}

#[derive(Debug, Subcommand)]
enum OwnCommand {
    /// Guard this host's sshd, in the foreground, with the configuration inside
    /// the program. Not root: decide and tell, but ban nobody
    Guard(guard::Arguments),
    #[command(flatten)]
    Own(own::Command),
    /// Let the running daemon read its configuration again; --plan tells what
    /// would change
    Reload(reload::Arguments),
    /// Say what a configuration means, and what is wrong with it
    #[command(subcommand)]
    Config(config::Command),
    /// Say what a filter makes of a line, step by step, and where it stopped
    Explain(explain::Explain),
    /// Say what a filter makes of a whole log
    TestFilter(explain::TestFilter),
}

fn ferroban(args: &[OsString]) -> ExitCode {
    let name = OsString::from("ferroban");
    match Own::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(Own {
            command: OwnCommand::Guard(arguments),
        }) => guard::run(arguments),
        Ok(Own {
            command: OwnCommand::Own(command),
        }) => own::run(command),
        Ok(Own {
            command: OwnCommand::Reload(arguments),
        }) => reload::run(&arguments),
        Ok(Own {
            command: OwnCommand::Config(command),
        }) => config::run(command),
        Ok(Own {
            command: OwnCommand::Explain(arguments),
        }) => explain::explain(&arguments),
        Ok(Own {
            command: OwnCommand::TestFilter(arguments),
        }) => explain::test_filter(&arguments),
        Err(error) => {
            // Help and version are "errors" that belong on standard output.
            let text = error.render().to_string();
            if error.use_stderr() {
                out::error(text.trim_end());
                ExitCode::from(2)
            } else {
                out::line(text.trim_end());
                ExitCode::SUCCESS
            }
        }
    }
}
