//! What the client does with the configuration folder: find the daemon by it, print it
//! (`-d`, `--dp`) and test it (`-t`).

use std::ffi::OsString;
use std::path::Path;

use ferroban_config::Disk;

use super::{Face, Failed, INIT_FAILED, Options, pretty};
use crate::cli::out;
use crate::daemon::words::value;
use crate::load::{Command, Folder, How, Logs, Places, Stream};
use crate::wire::pickle::Value;
use crate::wire::text::repr;

/// How a configuration is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dump {
    /// One command a line.
    Plain,
    /// Broken into lines and indented.
    Pretty,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Done,
    GoOn,
}

/// Takes from `fail2ban.conf` what the command line leaves open.
pub(super) fn complete(options: &mut Options) -> Result<(), String> {
    let given = options.socket.is_some() && options.pid_file.is_some();
    let logging = [
        &options.log_level,
        &options.log_target,
        &options.syslog_socket,
    ];
    if given && logging.iter().all(|option| option.is_some()) {
        return Ok(());
    }
    // A machine without any configuration has a daemon too: 'ferroban guard'.
    let places = if options.conf.is_none() && !is_configured(options.folder()) {
        Places::default()
    } else {
        let mut folder = Folder::new(&Disk, options.folder());
        let places = folder.places();
        tell(options, &mut folder);
        options.completed = true;
        places.map_err(|error| error.original())?
    };
    options.socket.get_or_insert(places.socket.into());
    options.pid_file.get_or_insert(places.pidfile.into());
    options.log_level.get_or_insert(places.loglevel.into());
    options.log_target.get_or_insert(places.logtarget.into());
    options
        .syslog_socket
        .get_or_insert(places.syslogsocket.into());
    Ok(())
}

/// Whether there is a `fail2ban.conf`, or what may stand in its place.
pub(in crate::cli) fn is_configured(folder: &Path) -> bool {
    let names = ["fail2ban.conf", "fail2ban.local", "fail2ban.d"];
    names.iter().any(|name| folder.join(name).exists())
}

/// Prints the configuration and tests it, as far as that is asked for.
pub(super) fn inspect(options: &Options) -> Result<Next, Failed> {
    if options.dump.is_none() && !options.test {
        return Ok(Next::GoOn);
    }
    let how = How {
        logs: if options.dump.is_some() {
            Logs::Wished
        } else {
            Logs::Needed
        },
        strict: options.test,
    };
    let mut folder = folder(options);
    let outcome = folder.stream(&places(options), how, None);
    tell(options, &mut folder);
    if let Some(dump) = options.dump {
        match &outcome.stream {
            Some(stream) => print(stream, dump),
            None => {
                out::line("ERROR: The configuration stream failed because of the invalid syntax.");
            }
        }
        if !options.test {
            return if outcome.good {
                Ok(Next::Done)
            } else {
                if options.face == Face::Client {
                    options.lines.error(INIT_FAILED);
                }
                Err(Failed)
            };
        }
    }
    tested(options, outcome.good)
}

fn tested(options: &Options, good: bool) -> Result<Next, Failed> {
    let failed = "ERROR: test configuration failed";
    match (good, options.words.is_empty()) {
        (true, true) => {
            out::line("OK: configuration test is successful");
            Ok(Next::Done)
        }
        (true, false) => Ok(Next::GoOn),
        (false, true) => {
            out::line(failed);
            Err(Failed)
        }
        (false, false) => {
            options.lines.error(failed);
            Err(Failed)
        }
    }
}

/// The folder as far as it was read; what there was to tell about that, was told.
fn folder(options: &Options) -> Folder<'static> {
    let mut folder = Folder::new(&Disk, options.folder());
    if options.completed {
        drop((folder.places(), folder.messages()));
    }
    folder
}

/// The commands that make a daemon what the configuration says, or one jail of it.
pub(super) fn stream(options: &Options, only: Option<&str>) -> Result<Stream, Failed> {
    let how = How {
        logs: Logs::Needed,
        strict: options.test,
    };
    let mut folder = folder(options);
    let outcome = folder.stream(&places(options), how, only);
    tell(options, &mut folder);
    outcome.stream.filter(|_| outcome.good).ok_or(Failed)
}

/// The same as a daemon reads it.
pub(in crate::cli) fn commands(stream: &[Command]) -> Value {
    let command = |command: &Command| Value::List(command.iter().map(value).collect());
    Value::List(stream.iter().map(command).collect())
}

/// What the daemon is to be told about itself, whether a file or the command line says it.
fn places(options: &Options) -> Places {
    let text = |option: &Option<OsString>| {
        let text = option.as_ref().map(|text| text.to_string_lossy());
        text.unwrap_or_default().into_owned()
    };
    Places {
        loglevel: text(&options.log_level),
        logtarget: text(&options.log_target),
        syslogsocket: text(&options.syslog_socket),
        ..Places::default()
    }
}

/// Prints what reading the folder had to tell.
fn tell(options: &Options, folder: &mut Folder<'_>) {
    for message in folder.messages() {
        let level = message.level.into();
        options.lines.say(level, message.logger, &message.text);
    }
}

fn print(stream: &[Command], dump: Dump) {
    let line = |command: &Command| {
        let value = Value::List(command.iter().map(value).collect());
        match dump {
            Dump::Plain => repr(&value),
            Dump::Pretty => pretty::pretty(&value),
        }
    };
    let lines: Vec<String> = stream.iter().map(line).collect();
    if !lines.is_empty() {
        out::line(&lines.join("\n"));
    }
}
