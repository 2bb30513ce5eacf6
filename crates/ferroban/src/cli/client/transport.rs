//! One connection to the daemon: requests, their replies, and goodbye.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::wire::frame::{self, Frame, FrameError, Frames};
use crate::wire::pickle::{self, Limits, PickleError, Value};

/// The longest reply taken: some million addresses.
const LONGEST_REPLY: usize = 256 << 20;

/// How long the daemon may take for each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) enum Patience {
    /// A command may run actions for minutes.
    Endless,
    /// Not even a moment: fails unless the answer is there already.
    Zero,
    /// So long.
    Limited(Duration),
}

/// Why there is no reply.
#[derive(Debug)]
pub(in crate::cli) enum ContactError {
    /// No such socket, as far as we may see.
    Missing(PathBuf),
    /// The socket is not for us.
    Denied(PathBuf),
    /// The daemon did not answer in time.
    TimedOut,
    /// Connecting, sending or receiving failed.
    Io(io::Error),
    /// More came than a reply may have.
    Frame(FrameError),
    /// What came is no reply.
    Pickle(PickleError),
}

impl fmt::Display for ContactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                let path = path.display();
                write!(
                    f,
                    "Failed to access socket path: {path}. Is fail2ban running?"
                )
            }
            Self::Denied(path) => {
                let path = path.display();
                write!(f, "Permission denied to socket: {path}, (you must be root)")
            }
            Self::TimedOut => write!(f, "timed out"),
            Self::Io(error) => f.write_str(&python_text(error)),
            Self::Frame(error) => write!(f, "{error}"),
            Self::Pickle(error) => write!(f, "{error}"),
        }
    }
}

/// The text Python has for an error of the system.
pub(super) fn python_text(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let end = format!(" (os error {number})");
            let text = text.strip_suffix(&end).unwrap_or(&text);
            format!("[Errno {number}] {text}")
        }
        None => text,
    }
}

impl From<io::Error> for ContactError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for ContactError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// A connection for any number of requests. Dropping it says goodbye.
#[derive(Debug)]
pub(in crate::cli) struct Connection {
    stream: UnixStream,
    frames: Frames,
}

impl Connection {
    pub(in crate::cli) fn open(path: &Path, patience: Patience) -> Result<Self, ContactError> {
        let stream = connect(path, patience)?;
        if patience == Patience::Zero {
            return Err(Errno::AGAIN.into());
        }
        Ok(Self {
            stream,
            frames: Frames::new(LONGEST_REPLY),
        })
    }

    /// Sends a request and waits for its reply.
    pub(in crate::cli) fn ask(&mut self, request: &Value) -> Result<Value, ContactError> {
        send(&mut self.stream, &pickle::dumps(request))?;
        self.further()
    }

    /// Waits for a further reply to the same request.
    pub(in crate::cli) fn further(&mut self) -> Result<Value, ContactError> {
        let reply = self.receive()?;
        pickle::loads_within(&reply, &Limits::reply()).map_err(ContactError::Pickle)
    }

    fn receive(&mut self) -> Result<Vec<u8>, ContactError> {
        match self.frames.read(&mut self.stream) {
            Ok(Some(Frame::Message(message))) => Ok(message),
            Ok(Some(Frame::Close) | None) => Err(Errno::CONNRESET.into()),
            Err(error) => Err(contact_error(error)),
        }
    }
}

impl Drop for Connection {
    /// Whether the daemon hears the goodbye does not matter.
    fn drop(&mut self) {
        drop(send(&mut self.stream, frame::CLOSE));
        drop(self.stream.shutdown(std::net::Shutdown::Both));
    }
}

fn connect(path: &Path, patience: Patience) -> Result<UnixStream, ContactError> {
    if !path.exists() {
        return Err(ContactError::Missing(path.to_owned()));
    }
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    if let Patience::Limited(time) = patience {
        // Set before connecting: a daemon that accepts nobody would hold us for ever.
        for way in [sockopt::Timeout::Send, sockopt::Timeout::Recv] {
            sockopt::set_socket_timeout(&socket, way, Some(time))?;
        }
    }
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(Errno::ACCESS | Errno::PERM) => Err(ContactError::Denied(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

fn send(stream: &mut UnixStream, message: &[u8]) -> Result<(), ContactError> {
    frame::write(stream, message).map_err(contact_error)
}

fn contact_error(error: FrameError) -> ContactError {
    match error {
        FrameError::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ContactError::TimedOut
        }
        FrameError::Io(error) => ContactError::Io(error),
        FrameError::Cut => Errno::CONNRESET.into(),
        error => ContactError::Frame(error),
    }
}

#[cfg(test)]
mod tests;
