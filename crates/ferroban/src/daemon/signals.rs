//! The thread that waits for signals.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::message::Message;
use crate::sys;

/// Turns the first SIGTERM, SIGINT or SIGHUP (the terminal is gone) into an
/// orderly stop; a second one, while the stop hangs, ends the process at once.
pub(super) fn start(inbox: SyncSender<Message>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new()
        .name("f2b/signals".into())
        .spawn(move || {
            sys::set_thread_name("f2b/signals");
            let mut stopping = false;
            for signal in signals.forever() {
                if std::mem::replace(&mut stopping, true) {
                    drop(signal_hook::low_level::emulate_default_handler(signal));
                } else if inbox.send(Message::Stop).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}
