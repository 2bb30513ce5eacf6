//! `ferroban config`: what a configuration says, and what is wrong with it.
//!
//! `check` tells all problems at once, with the line and what to do; `explain` tells
//! each option of a jail with the place that sets it. Both only read. The faces named
//! `fail2ban-*` keep the original's texts; these are ours.
//!
//! | module | its idea |
//! |---|---|
//! | `problem` | everything that can be wrong, in words |
//! | `source` | the line in question, and the caret below it |
//! | `reader` | the files, read once, and the problems found so far |
//! | `jail` | one jail: its options, its filter, its actions |
//! | `part` | a filter or an action |
//! | `value` | whether a text is what its option wants |
//! | `names` | options and sections that nobody knows |
//! | `check`, `explain` | the two commands |

mod check;
mod explain;
mod jail;
mod names;
mod part;
mod problem;
mod reader;
mod source;
mod value;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use ferroban_config::Disk;

use crate::cli::out;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell everything that is wrong with the configuration
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Tell each option of a jail, and the file and line that set it
    Explain {
        /// The jail; without it, every jail that is switched on
        jail: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args, Debug)]
pub(super) struct Place {
    /// The folder with jail.conf
    #[arg(
        short = 'c',
        long = "config",
        value_name = "DIR",
        default_value = "/etc/fail2ban"
    )]
    dir: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What a command has to say.
#[derive(Debug)]
struct Told {
    text: String,
    good: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    let told = match command {
        Command::Check { place } => check::run(&Disk, &place.dir, place.json),
        Command::Explain { jail, place } => {
            explain::run(&Disk, &place.dir, jail.as_deref(), place.json)
        }
    };
    out::line(&told.text);
    if told.good && !out::failed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests;
