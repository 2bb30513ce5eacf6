//! What the standard library does not offer of the system, behind safe names.
//!
//! The only module with `unsafe` code: all that [`journal`] does, and a line or two in
//! `handed` and [`inherited`].

#[expect(
    unsafe_code,
    reason = "the number of a file that is not ours is borrowed to mark it"
)]
mod handed;
#[expect(
    unsafe_code,
    reason = "libsystemd is loaded at run time and called through pointers"
)]
pub mod journal;

#[expect(
    unsafe_code,
    reason = "a descriptor that systemd leaves to us is only a number until it is taken"
)]
pub mod inherited;

use std::ffi::CString;
use std::io;
use std::os::unix::net::UnixStream;

use rustix::fs::Mode;

pub use handed::keep_files_from_children;

/// Whether we may do everything.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets which permissions files made from now on do not get; `0o077` leaves
/// them to their owner. Returns what it was.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Names the thread that calls, as `ps -L` and `top -H` show it. The kernel
/// keeps the first 15 bytes.
pub fn set_thread_name(name: &str) {
    let name: Vec<u8> = name.bytes().filter(|&byte| byte != 0).collect();
    if let Ok(name) = CString::new(name) {
        // A thread without a name works as well.
        rustix::thread::set_name(&name).ok();
    }
}

/// Leaves the session, and with it the terminal, of whoever started us.
pub fn leave_session() {
    // Fails for the first of a group; a child that was just started is never that.
    rustix::process::setsid().ok();
}

/// How many descriptors this process may have open; `None` for any number.
#[must_use]
pub fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Process id, 0 if the process is not in our pid namespace.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Peer {
    /// Who logged in before the process came to run as [`uid`](Self::uid), if the
    /// kernel keeps account of that and somebody did.
    #[must_use]
    pub fn login(&self) -> Option<u32> {
        let text = std::fs::read_to_string(format!("/proc/{}/loginuid", self.pid)).ok()?;
        text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
    }
}

/// Who connected, as the kernel saw it at that time.
///
/// # Errors
///
/// If the socket is not connected.
pub fn peer_credentials(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Peer {
        pid: rustix::process::Pid::as_raw(Some(credentials.pid)),
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_our_own_socket_are_us() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = peer_credentials(&one).unwrap();
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(peer.uid == 0, is_root());
    }

    #[test]
    fn the_thread_gets_its_name_cut_to_what_fits() {
        set_thread_name("watch\0er-of-everything");
        let name = rustix::thread::name().unwrap();
        assert_eq!(name.to_bytes(), b"watcher-of-ever");
    }
}
