//! The thread that waits for signals.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::message::Message;
use crate::sys;

/// Turns the first SIGTERM or SIGINT into an orderly stop; a second one, while the stop
/// hangs, ends the process at once. SIGUSR1 opens the log again. SIGHUP, the end of a
/// terminal, is a stop too in the foreground and means nothing in the background.
pub(super) fn start(inbox: SyncSender<Message>, background: bool) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    thread::Builder::new()
        .name("f2b/signals".into())
        .spawn(move || {
            sys::set_thread_name("f2b/signals");
            let mut stopping = false;
            for signal in signals.forever() {
                let message = match signal {
                    SIGHUP if background => continue,
                    SIGUSR1 => Message::FlushLogs,
                    _ if std::mem::replace(&mut stopping, true) => {
                        drop(signal_hook::low_level::emulate_default_handler(signal));
                        continue;
                    }
                    _ => Message::Stop,
                };
                if inbox.send(message).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}
