//! `start` and `restart`: a daemon in the background, made what the configuration says.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::exchange::{self, Show};
use super::lines::Level;
use super::transport::{self, Patience};
use super::wait;
use super::{Failed, NAME, Options, configuration, is_running, server, socket_path};
use crate::cli::out;
use crate::daemon::is_left_behind;
use crate::load::Stream;
use crate::process::detached::Detached;
use crate::wire::pickle::Value;
use crate::wire::text::repr;

pub(super) fn start(options: &Options) -> Result<(), Failed> {
    let stream = prepare(options)?;
    run(options, &stream)
}

/// As [`start`], whatever runs now. That nothing runs is told, and does not matter.
pub(super) fn restart(options: &Options) -> Result<(), Failed> {
    progress(options, "stop");
    let words = ["stop"];
    drop(exchange::send(options, &words, &words.map(Into::into)));
    if !wait::until(options, rest, || !answers(options)) {
        options.lines.error("Could not stop server");
        return Err(Failed);
    }
    progress(options, "load configuration");
    let stream = prepare(options)?;
    progress(options, "start");
    run(options, &stream)
}

/// What is going on, told only behind a prompt.
pub(super) fn progress(options: &Options, what: &str) {
    if options.interactive {
        out::line(&format!("  ## {what} ... "));
    }
}

/// Finds out whether a server can be started, and what it is to be told.
pub(super) fn prepare(options: &Options) -> Result<Stream, Failed> {
    if answers(options) {
        options.lines.error("Server already running");
        return Err(Failed);
    }
    let stream = configuration::stream(options, None)?;
    let socket = socket_path(options);
    // What a server that crashed has left, the next one removes.
    if !options.server.force && socket.exists() && !is_left_behind(socket) {
        options
            .lines
            .error("Fail2ban seems to be in unexpected state (not running but the socket exists)");
        return Err(Failed);
    }
    Ok(stream)
}

fn run(options: &Options, stream: &Stream) -> Result<(), Failed> {
    if options.in_foreground() {
        return server::in_foreground(options, stream);
    }
    let child = launch(options).map_err(|error| not_started(options, &error))?;
    configure_child(options, stream, child)
}

/// Tells that the program of the server cannot be started.
pub(super) fn not_started(options: &Options, error: &io::Error) -> Failed {
    let lines = options.lines;
    lines.error("Exception while starting server background");
    lines.error(&transport::python_text(error));
    too_long(options)
}

/// Starts the server's program: the one beside this, or whichever is found.
fn launch(options: &Options) -> io::Result<Detached> {
    let args = server::arguments(options);
    let beside = env::current_exe().ok().map(|own| own.with_file_name(NAME));
    let Some(beside) = beside else {
        return Detached::program(Path::new(NAME), &args);
    };
    tell_launch(options, &beside, &args);
    Detached::program(&beside, &args).or_else(|error| {
        let error = transport::python_text(&error);
        let text =
            format!("Initial start attempt failed ({error}). Starting '{NAME}' with the same args");
        options.lines.say(Level::Warning, "fail2ban", &text);
        Detached::program(Path::new(NAME), &args)
    })
}

fn tell_launch(options: &Options, program: &Path, args: &[OsString]) {
    let args = args.iter().map(|arg| arg.to_string_lossy());
    let args: Vec<String> = std::iter::once(NAME.into())
        .chain(args)
        .map(Into::into)
        .collect();
    let text = format!(
        "Starting {} with args {}",
        repr(&program.to_string_lossy().as_ref().into()),
        repr(&Value::strings(args.iter().map(String::as_str)))
    );
    options.lines.say(Level::Debug, "fail2ban", &text);
}

/// Waits for a server that was started as `child`, and tells it what it is to be.
pub(super) fn configure_child(
    options: &Options,
    stream: &Stream,
    child: Detached,
) -> Result<(), Failed> {
    if comes_up(options, child) {
        configure(options, stream)
    } else {
        Err(too_long(options))
    }
}

/// Waits for a server that was started as `child`.
pub(super) fn comes_up(options: &Options, mut child: Detached) -> bool {
    let rest = |step| rest(step) && !child.has_failed();
    wait::until(options, rest, || answers(options))
}

/// Tells a server what it is to be.
pub(super) fn configure(options: &Options, stream: &Stream) -> Result<(), Failed> {
    let request = Value::List(vec![
        "server-stream".into(),
        configuration::commands(stream),
    ]);
    let mut connection = exchange::open(options, Patience::Endless, &["server-stream"])?;
    let lines = options.lines;
    let configured = exchange::exchange(lines, &mut connection, &request, Show::Errors);
    // It is asked for even so: a server that was told nonsense is there all the same.
    let status = Value::strings(["server-status"]);
    exchange::exchange(lines, &mut connection, &status, Show::All)?;
    configured
}

/// Tells that no server has come up.
pub(super) fn too_long(options: &Options) -> Failed {
    options.lines.error(&format!(
        "Could not start server. Maybe an old socket file is still present. \
         Try to remove {}. If you used fail2ban-client to start the server, \
         adding the -x option will do it",
        socket_path(options).display()
    ));
    Failed
}

/// Whether there is a server already, or still.
pub(super) fn answers(options: &Options) -> bool {
    is_running(
        options,
        &Value::List(vec!["ping".into(), Value::Float(0.1)]),
    )
}

fn rest(step: Duration) -> bool {
    thread::sleep(step);
    true
}
