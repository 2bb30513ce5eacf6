//! The thread that waits for signals.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Weak;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::message::Message;
use crate::process::script;
use crate::sys;

/// Turns the first SIGTERM or SIGINT into an orderly stop; a second one, while the stop
/// hangs, ends the process at once, and with it the commands that run and the `traces`
/// that are still there. SIGUSR1 opens the log again. SIGHUP, the end of a terminal, is
/// a stop too in the foreground and means nothing in the background.
pub(super) fn start(
    inbox: SyncSender<Message>,
    background: bool,
    traces: Vec<Weak<Path>>,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let mut course = Course {
        inbox,
        background,
        stopping: false,
    };
    thread::Builder::new()
        .name("f2b/signals".into())
        .spawn(move || {
            sys::set_thread_name("f2b/signals");
            // As long as the process lives: nobody else listens to its signals.
            for signal in signals.forever() {
                if !course.go_on(signal) {
                    end(signal, &traces);
                }
            }
        })?;
    Ok(())
}

/// What signals have led to so far.
struct Course {
    inbox: SyncSender<Message>,
    background: bool,
    stopping: bool,
}

impl Course {
    /// Does what a signal asks for. False if the process is to end at once.
    fn go_on(&mut self, signal: i32) -> bool {
        let message = match signal {
            SIGHUP if self.background => return true,
            SIGUSR1 => Message::FlushLogs,
            _ if std::mem::replace(&mut self.stopping, true) => return false,
            _ => Message::Stop,
        };
        // Nobody takes it: a stop is under way, and the next signal ends it.
        self.stopping |= self.inbox.send(message).is_err();
        true
    }
}

/// Ends the process as the signal would without us, and leaves nothing of ours behind.
fn end(signal: i32, traces: &[Weak<Path>]) {
    let _nothing_starts = script::end_all();
    for trace in traces {
        // One that was given back may be somebody else's by now.
        if let Some(path) = trace.upgrade() {
            drop(fs::remove_file(path));
        }
    }
    drop(signal_hook::low_level::emulate_default_handler(signal));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn the_first_signal_stops_and_the_second_ends() {
        for (background, second, goes_on) in [
            (false, SIGINT, false),
            (false, SIGHUP, false),
            (true, SIGHUP, true),
            (true, SIGUSR1, true),
        ] {
            let (inbox, messages) = sync_channel(2);
            let stopping = false;
            let mut course = Course {
                inbox,
                background,
                stopping,
            };
            assert!(course.go_on(SIGUSR1) && course.go_on(SIGTERM));
            let told: Vec<Message> = messages.try_iter().collect();
            assert!(
                matches!(told[..], [Message::FlushLogs, Message::Stop]),
                "{told:?}"
            );
            assert_eq!(course.go_on(second), goes_on, "{second}");
        }
    }

    #[test]
    fn a_stop_that_nobody_hears_is_under_way_and_the_next_one_ends() {
        for first in [SIGTERM, SIGUSR1] {
            let (inbox, messages) = sync_channel(1);
            drop(messages);
            let (background, stopping) = (false, false);
            let mut course = Course {
                inbox,
                background,
                stopping,
            };
            assert!(course.go_on(first) && course.go_on(SIGUSR1));
            assert!(!course.go_on(SIGTERM));
        }
    }
}
