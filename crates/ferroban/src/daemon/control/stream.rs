//! Replies without an end, to a client that listens.
//!
//! Such a client leaves the hall: it asks nothing any more, and a thread of its own
//! waits for what there is to tell.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::pool::Bell;
use crate::sys;
use crate::wire::frame;

/// How long a listener may take for one reply.
const SLOW: Duration = Duration::from_secs(10);

/// How many listeners a hall has.
#[derive(Clone)]
pub(super) struct Listeners {
    count: Arc<AtomicUsize>,
    /// Tells the hall that there is a place more.
    bell: Arc<Bell>,
    /// How often one is looked after while there is nothing to tell.
    look: Duration,
}

impl Listeners {
    pub(super) fn new(bell: &Arc<Bell>, look: Duration) -> Self {
        Self {
            count: Arc::default(),
            bell: Arc::clone(bell),
            look,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Sends `replies` until either side has enough.
    pub(super) fn add(&self, client: UnixStream, replies: Receiver<Vec<u8>>) -> io::Result<()> {
        client.set_write_timeout(Some(SLOW))?;
        self.count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self.clone());
        let name = "f2b/stream";
        thread::Builder::new().name(name.into()).spawn(move || {
            sys::set_thread_name(name);
            send(client, &replies, counted.0.look);
            drop(counted);
        })?;
        Ok(())
    }
}

/// One listener; gone when it is dropped, started or not.
struct Counted(Listeners);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.bell.ring();
    }
}

fn send(mut client: UnixStream, replies: &Receiver<Vec<u8>>, look: Duration) {
    loop {
        match replies.recv_timeout(look) {
            Ok(reply) if frame::write(&mut client, &reply).is_ok() => {}
            Err(RecvTimeoutError::Timeout) => {}
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if has_enough(&client) {
            return;
        }
    }
}

/// Whether the client has hung up, or says anything at all: there is nothing left for
/// it to say but that.
fn has_enough(client: &UnixStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let heard = recv(client, &mut [0_u8; 1], flags);
    !matches!(heard, Err(Errno::AGAIN | Errno::INTR))
}
