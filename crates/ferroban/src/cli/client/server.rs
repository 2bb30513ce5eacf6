//! Becoming the daemon, in the foreground or, as a child of its own, in the background.
//!
//! A server starts bare: it knows where to listen and how to log, and no jail. Whoever
//! starts it sends it the configuration over its socket, as the original's client does.
//! In the foreground that is a thread of the same process.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::lines::Level;
use super::{Failed, NAME, Options, start, wait};
use crate::daemon::{self, Bare};
use crate::load::Stream;
use crate::process::detached::Detached;
use crate::{report, sys};

/// `fail2ban-server`, and `fail2ban-server start`.
pub(super) fn run(options: &Options) -> Result<(), Failed> {
    let server = &options.server;
    if server.detached {
        sys::leave_session();
        return serve(options, true);
    }
    if server.bare {
        if options.in_foreground() {
            return serve(options, false);
        }
        let child = detach(options)?;
        return start::comes_up(options, child).then_some(()).ok_or(Failed);
    }
    let stream = start::prepare(options).inspect_err(|_| {
        options.lines.error("Async configuration of server failed");
    })?;
    if options.in_foreground() {
        return in_foreground(options, &stream);
    }
    let child = detach(options)?;
    start::configure_child(options, &stream, child)
}

/// The command line of a server in the background.
pub(super) fn arguments(options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--async".into(), "-b".into()];
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default().into();
    let text = |text: &Option<OsString>| text.clone().unwrap_or_default();
    args.extend(["-s".into(), path(&options.socket)]);
    args.extend(["-p".into(), path(&options.pid_file)]);
    if options.server.force {
        args.push("-x".into());
    }
    if let Ok(more @ 1..) = usize::try_from(options.lines.verbosity - 1) {
        args.push(format!("-{}", "v".repeat(more)).into());
    }
    args.extend(["--loglevel".into(), text(&options.log_level)]);
    args.extend(["--logtarget".into(), text(&options.log_target)]);
    args.extend(["--syslogsocket".into(), text(&options.syslog_socket)]);
    args
}

/// Starts the server as a child that goes on without us.
fn detach(options: &Options) -> Result<Detached, Failed> {
    let text = "Starting in daemon mode";
    options.lines.say(Level::Info, "fail2ban.server", text);
    let mut args = arguments(options);
    args.extend(["--pname".into(), options.server.name.clone()]);
    args.push("--detached".into());
    Detached::itself("fail2ban-server", &args).map_err(|error| start::not_started(options, &error))
}

/// Runs the server in this process, while a thread of it tells it what it is to be.
pub(super) fn in_foreground(options: &Options, stream: &Stream) -> Result<(), Failed> {
    thread::scope(|scope| {
        let (running, ended) = channel::<Infallible>();
        let client = thread::Builder::new()
            .name("f2b/client".into())
            .spawn_scoped(scope, move || tell(options, stream, &ended))
            .map_err(|error| start::not_started(options, &error))?;
        let served = serve(options, false);
        // Nobody is left to be told anything.
        drop(running);
        // A thread that panicked has told nobody what the server is to be.
        let told = client.join().unwrap_or(Err(Failed));
        served.and(told)
    })
}

/// The client's part of a server in the foreground. A server that cannot be told what it
/// is to be ends.
fn tell(options: &Options, stream: &Stream, ended: &Receiver<Infallible>) -> Result<(), Failed> {
    sys::set_thread_name("f2b/client");
    let runs = |step| matches!(ended.recv_timeout(step), Err(RecvTimeoutError::Timeout));
    let configured = if wait::until(options, runs, || start::answers(options)) {
        start::configure(options, stream)
    } else if runs(Duration::ZERO) {
        Err(start::too_long(options))
    } else {
        // Why it has ended is told already.
        return Err(Failed);
    };
    if configured.is_err() && runs(Duration::ZERO) {
        // One that does not even answer hears this.
        kill_process(getpid(), Signal::TERM).ok();
    }
    configured
}

fn serve(options: &Options, background: bool) -> Result<(), Failed> {
    sys::set_thread_name(&options.server.name.to_string_lossy());
    daemon::serve(&bare(options, background)).map_err(|error| {
        let text = format!("Could not start server: {}", report::chain(&error));
        options.lines.error(&text);
        Failed
    })
}

fn bare(options: &Options, background: bool) -> Bare {
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let text = |text: &Option<OsString>| {
        let text = text.clone().unwrap_or_default();
        text.to_string_lossy().into_owned()
    };
    Bare {
        socket: path(&options.socket),
        pidfile: path(&options.pid_file),
        loglevel: text(&options.log_level),
        logtarget: text(&options.log_target),
        syslogsocket: text(&options.syslog_socket),
        force: options.server.force,
        verbosity: options.lines.verbosity,
        background,
    }
}
