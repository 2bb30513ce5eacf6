//! SIGTERM and SIGINT end a client with a line that says so.
//!
//! A server in this process takes care of signals itself; then this is not asked for.

use std::io;
use std::process;
use std::thread;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Options;
use super::lines::{Level, Lines};
use crate::cli::out;
use crate::sys;

/// From now on a signal is told before it ends this process.
pub(super) fn catch(options: &Options) {
    let lines = options.lines;
    // Without this a signal ends us all the same, and says nothing.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    // A prompt changes how the terminal works.
    let terminal = tcgetattr(io::stdin()).ok();
    let wait = move || {
        sys::set_thread_name("f2b/signals");
        let Some(signal) = signals.forever().next() else {
            return;
        };
        if let Some(terminal) = &terminal {
            tcsetattr(io::stdin(), OptionalActions::Now, terminal).ok();
        }
        out::line("");
        tell(lines, signal);
        exit(lines);
    };
    let builder = thread::Builder::new().name("f2b/signals".into());
    drop(builder.spawn(wait));
}

pub(super) fn tell(lines: Lines, signal: i32) {
    let text = format!("Caught signal {signal}. Exiting");
    lines.say(Level::Warning, "fail2ban", &text);
}

#[expect(
    clippy::exit,
    reason = "the main thread waits for a reply, or for somebody who types"
)]
fn exit(lines: Lines) -> ! {
    lines.say(Level::Debug, "fail2ban", "Exit with code 255");
    process::exit(255)
}
