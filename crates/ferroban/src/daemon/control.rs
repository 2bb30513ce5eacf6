//! The control socket: fail2ban's protocol for its client and all others that
//! speak it.
//!
//! Whoever may open the socket may order bans, so its mode is 0700. A second socket can
//! be opened for those who only look; each is a [`Door`] with a hall of its own behind
//! it, so that a crowd at one is not felt at the other.
//!
//! One thread a hall waits for all its clients together ([`hall`]), receives their
//! requests in any portions and sends the replies as they are taken. A request that has
//! arrived whole goes to one of a few threads ([`pool`]), because what it orders may
//! take its time; those end when there is nothing to do.
//!
//! A thread for each client would be shorter. But the stack that a request needs (a
//! configuration is read, patterns are compiled) is not small, and five hundred silent
//! clients would take five hundred of them, of the limits on threads and of the memory.
//! Here a silent client costs a descriptor and some hundred bytes, and one bound holds
//! for all requests, replies and threads of a door together ([`limits`]).
//!
//! Nobody is turned away. When all places are taken, whoever has been there longest
//! without a request that is being carried out makes room, and until then the kernel
//! keeps the others waiting.

mod client;
mod hall;
mod limits;
mod pool;
mod stream;
#[cfg(test)]
mod tests;
pub(super) mod throttle;

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::office::{Access, Caller, Response};
use crate::log::Log;
use crate::sys;
use hall::Hall;
use limits::Limits;
use pool::Bell;

/// Carries out one request, which may take its time.
pub(super) type Respond = Arc<dyn Fn(&[u8], &Caller) -> Response + Send + Sync>;

/// A socket by which clients come in, and what they may have.
#[derive(Debug)]
pub(super) struct Door<'a> {
    pub(super) listener: &'a UnixListener,
    pub(super) access: Access,
}

/// The threads that serve clients.
#[derive(Debug)]
pub(super) struct Control {
    halls: Vec<Open>,
}

/// A hall that is open.
#[derive(Debug)]
struct Open {
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Opens the doors.
    pub(super) fn start(doors: &[Door<'_>], log: &Log, respond: &Respond) -> io::Result<Self> {
        let mut control = Self { halls: Vec::new() };
        for door in doors {
            let limits = Limits::of(door.access, sys::descriptors());
            let opened = open(door, limits, log.clone(), respond);
            match opened {
                Ok(hall) => control.halls.push(hall),
                Err(error) => {
                    control.stop();
                    return Err(error);
                }
            }
        }
        Ok(control)
    }

    /// Lets nobody in any more, and lets the answers out that are under way, for a
    /// limited time. The sockets stay as they are.
    pub(super) fn stop(self) {
        for hall in &self.halls {
            hall.stop.store(true, Ordering::Relaxed);
            hall.bell.ring();
        }
        for hall in self.halls {
            drop(hall.thread.join());
        }
    }
}

fn open(door: &Door<'_>, limits: Limits, log: Log, respond: &Respond) -> io::Result<Open> {
    let listener = door.listener.try_clone()?;
    // A client that has gone away again must not hold up those that wait.
    listener.set_nonblocking(true)?;
    let (stop, bell) = (Arc::<AtomicBool>::default(), Arc::new(Bell::new()?));
    let (stopped, heard) = (Arc::clone(&stop), Arc::clone(&bell));
    let name = match door.access {
        Access::Everything => "f2b/control",
        Access::Harmless => "f2b/monitor",
    };
    let hall = Hall::new((listener, door.access), limits, log, (respond, heard));
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        sys::set_thread_name(name);
        hall.run(&stopped);
    })?;
    Ok(Open { stop, bell, thread })
}
