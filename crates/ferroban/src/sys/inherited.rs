//! The socket that systemd opened before it started us (socket activation).
//!
//! systemd says in variables which descriptors it leaves to whom; see sd_listen_fds(3).

use std::env;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// The first descriptor that is left to us.
const FIRST: RawFd = 3;
/// More are not looked at.
const MOST: RawFd = 1024;

/// Takes the socket that is left to this process under `name`, or the first if none has
/// that name. There is one only for whoever asks first.
///
/// # Errors
/// What is left to us is no socket on which clients can come in.
pub fn take_listener(name: &str) -> io::Result<Option<UnixListener>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let left = Left {
        pid: variable("LISTEN_PID"),
        count: variable("LISTEN_FDS"),
        names: variable("LISTEN_FDNAMES"),
    };
    let Some(count) = left.count(std::process::id()) else {
        return Ok(None);
    };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let wanted = FIRST + left.place(name, count);
    for number in FIRST..FIRST + count {
        // SAFETY: it is only asked about, and closed by nobody in the meantime: nothing
        // in this process owns a number below `FIRST + count` but what is taken below.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        // Programs that we start are to have none of them.
        rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
        if number == wanted {
            check(descriptor)?;
        }
    }
    // SAFETY: the number is open, as the loop found, and a listening socket, which no
    // part of this process makes before it has asked here; so it was left to us. Only
    // the first caller gets here, so nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(wanted) };
    Ok(Some(socket.into()))
}

/// Refuses all but a socket on which clients can come in.
fn check(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let fits = sockopt::socket_domain(descriptor)? == AddressFamily::UNIX
        && sockopt::socket_type(descriptor)? == SocketType::STREAM
        && sockopt::socket_acceptconn(descriptor)?;
    if fits {
        Ok(())
    } else {
        Err(io::Error::other(
            "it is no listening Unix stream socket; the socket unit needs ListenStream= with a path",
        ))
    }
}

/// What the variables say.
struct Left {
    pid: String,
    count: String,
    names: String,
}

impl Left {
    /// How many are left to process `own`, if any.
    fn count(&self, own: u32) -> Option<RawFd> {
        let for_us = self.pid.parse() == Ok(own);
        let count = self.count.parse().ok().filter(|count| *count > 0)?;
        for_us.then_some(RawFd::min(count, MOST))
    }

    /// Where among `count` the one with a name is.
    fn place(&self, name: &str, count: RawFd) -> RawFd {
        let place = self.names.split(':').position(|other| other == name);
        let place = place.and_then(|place| RawFd::try_from(place).ok());
        place.unwrap_or(0).min(count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_say_how_many_and_which() {
        let cases = [
            // pid, count, names, expected
            ("7", "1", "", Some((1, 0))),
            ("7", "1", "fail2ban", Some((1, 0))),
            ("7", "3", "a:fail2ban:b", Some((3, 1))),
            ("7", "1", "a:b:fail2ban", Some((1, 0))),
            ("7", "2", "a:b", Some((2, 0))),
            ("7", "99999", "", Some((MOST, 0))),
            ("8", "1", "", None),
            ("", "1", "", None),
            ("7", "0", "", None),
            ("7", "-1", "", None),
            ("7", "x", "", None),
            ("7", "", "", None),
        ];
        for (pid, count, names, expected) in cases {
            let left = Left {
                pid: pid.into(),
                count: count.into(),
                names: names.into(),
            };
            let found = left
                .count(7)
                .map(|count| (count, left.place("fail2ban", count)));
            assert_eq!(found, expected, "{pid} {count} {names}");
        }
    }

    #[test]
    fn only_a_listening_stream_socket_will_do() {
        use std::os::fd::AsFd;
        use std::os::unix::net::{UnixDatagram, UnixStream};

        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let (stream, _) = UnixStream::pair().unwrap();
        let (datagram, _) = UnixDatagram::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(check(listener.as_fd()).is_ok());
        for other in [stream.as_fd(), datagram.as_fd(), file.as_fd(), tcp.as_fd()] {
            assert!(check(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_process_that_systemd_did_not_start_has_none() {
        assert!(take_listener("fail2ban").unwrap().is_none());
    }
}
