//! The place a daemon takes: its socket and its pid file.
//!
//! Two daemons at one place would undo each other's bans, so the place is
//! claimed with a lock that the kernel gives back when its holder dies, however
//! it dies. A server that answers is never displaced, whatever is ordered.
//!
//! What a dead daemon left behind is recognised and removed. How that is told is a matter
//! of [`Manner`].
//! [`shared`] makes a second socket, for those who only look.

mod error;
pub(super) mod shared;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::log::Log;
use crate::sys;
pub(crate) use error::PlaceError;
use error::python;

/// The name under which systemd may leave us a socket.
const NAME: &str = "fail2ban";

/// How a place is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// As `ferroban guard` does: folders are made, what a dead daemon left is removed
    /// with a line for each, and whatever stands in the way is an error.
    Guard,
    /// As `fail2ban-server` does: one folder is made, and a pid file that cannot be
    /// written is only told. A socket that a dead daemon left is removed too; `force` is
    /// what the original needs for that, and is told as there.
    Server { force: bool },
}

/// The place, taken. Dropping it gives it back and leaves nothing of ours behind.
#[derive(Debug)]
pub(super) struct Claim {
    listener: UnixListener,
    /// Where the socket is, unless it is not ours.
    socket: Option<Trace>,
    pid: Option<PidFile>,
}

/// A file that goes with its owner.
#[derive(Debug)]
struct Trace(Arc<Path>);

impl Drop for Trace {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// The pid file, locked. It vanishes before its lock is given back; one that a dead
/// daemon wrote stays until we have written it anew.
#[derive(Debug)]
struct PidFile {
    trace: Option<Trace>,
    file: File,
}

impl Claim {
    /// Takes a place. A socket that systemd leaves to us comes before `socket`.
    pub(super) fn take(
        socket: &Path,
        pidfile: &Path,
        manner: Manner,
        log: &Log,
    ) -> Result<Self, PlaceError> {
        let inherited = sys::inherited::take_listener(NAME).map_err(PlaceError::Inherited)?;
        let lock = manner.lock(socket, pidfile, log)?;
        if inherited.is_none() {
            manner.make_folder(socket)?;
            manner.clear(socket, log)?;
        }
        // Before the socket: whoever finds that may look for this.
        let pid = match lock {
            Some(lock) => Some(manner.write_pid(pidfile, lock, log)?),
            None => None,
        };
        if let Some(listener) = inherited {
            let shown = address(&listener);
            let text = format!("Using socket activation, inherited socket '{shown}'");
            log.info("asyncserver", &text);
            return Ok(Self {
                listener,
                socket: None,
                pid,
            });
        }
        let listener = UnixListener::bind(socket).map_err(|source| match manner {
            Manner::Guard => PlaceError::socket(socket, source),
            Manner::Server { .. } => {
                // The error has the original's words, and they leave out why.
                let text = format!("{}: {source}", socket.display());
                log.error("asyncserver", &text);
                PlaceError::Bind(socket.into())
            }
        })?;
        Ok(Self {
            listener,
            socket: Some(Trace(socket.into())),
            pid,
        })
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// What is to be removed if the process ends without dropping this.
    pub(super) fn traces(&self) -> Vec<Weak<Path>> {
        let pid = self.pid.as_ref().and_then(|pid| pid.trace.as_ref());
        let traces = self.socket.iter().chain(pid);
        traces.map(|trace| Arc::downgrade(&trace.0)).collect()
    }
}

fn address(listener: &UnixListener) -> String {
    let address = listener.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map_or_else(|| "unnamed".to_owned(), |path| path.display().to_string())
}

impl Manner {
    /// Opens the pid file and locks it. `None`: it cannot be had, and we go without.
    fn lock(self, socket: &Path, pidfile: &Path, log: &Log) -> Result<Option<PidFile>, PlaceError> {
        let opened = match self {
            Self::Guard => {
                self.make_folder(socket)?;
                self.make_folder(pidfile)?;
                Some(open(pidfile).map_err(|source| PlaceError::pidfile(pidfile, source))?)
            }
            Self::Server { .. } => make_last(pidfile)
                .and_then(|()| open(pidfile).map_err(|source| (source, pidfile.into())))
                .inspect_err(|(error, path)| tell_no_pidfile(error, path, log))
                .ok(),
        };
        let Some(mut file) = opened else {
            return Ok(None);
        };
        let old = content(&mut file);
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            if self == Self::Guard && !old.is_empty() {
                let path = pidfile.display();
                let text =
                    format!("{path}: left behind by a server that died (pid {old}); taken over");
                log.warning("ferroban.guard", &text);
            }
            let trace = old.is_empty().then(|| Trace(pidfile.into()));
            return Ok(Some(PidFile { trace, file }));
        }
        Err(match self {
            Self::Guard => PlaceError::Taken {
                socket: socket.into(),
                pid: Some(old),
            },
            Self::Server { .. } => running(log),
        })
    }

    /// Makes room for the socket, if what lies there may be removed.
    fn clear(self, socket: &Path, log: &Log) -> Result<(), PlaceError> {
        let wrap = |source| PlaceError::socket(socket, source);
        let is_socket = match fs::symlink_metadata(socket) {
            Ok(found) => found.file_type().is_socket(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(wrap(source)),
        };
        let force = self == Self::Server { force: true };
        // fail2ban itself takes no lock, so only an answer tells whether it lives.
        let dead = is_left_behind(socket);
        // As the original tells it, which removes a socket only when it is forced.
        let taken = (self != Self::Guard && (force || !dead)).then(|| running(log));
        if !dead && (is_socket || (taken.is_some() && !force)) {
            return Err(taken.unwrap_or_else(|| PlaceError::Taken {
                socket: socket.into(),
                pid: None,
            }));
        }
        if !is_socket {
            return Err(PlaceError::NotASocket(socket.into()));
        }
        if force {
            log.warning("asyncserver", "Forcing execution of the server");
        } else {
            let path = socket.display();
            let text = format!("{path}: socket left behind by a server that died; removed");
            log.warning("ferroban.guard", &text);
        }
        fs::remove_file(socket).map_err(wrap)
    }

    fn write_pid(self, path: &Path, mut pid: PidFile, log: &Log) -> Result<PidFile, PlaceError> {
        let file = &mut pid.file;
        let written = file
            .set_len(0)
            .and_then(|()| io::Seek::rewind(file))
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        pid.trace.get_or_insert_with(|| Trace(path.into()));
        match written {
            Ok(()) => Ok(pid),
            Err(source) if self == Self::Guard => Err(PlaceError::pidfile(path, source)),
            Err(error) => {
                tell_no_pidfile(&error, path, log);
                Ok(pid)
            }
        }
    }

    fn make_folder(self, path: &Path) -> Result<(), PlaceError> {
        match self {
            Self::Guard => {
                let Some(folder) = folder(path) else {
                    return Ok(());
                };
                let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|source| PlaceError::Folder {
                    path: folder.into(),
                    source,
                })
            }
            Self::Server { .. } => {
                make_last(path).map_err(|(source, path)| PlaceError::Python { path, source })
            }
        }
    }
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

/// Makes the folder of a file in a folder that is there, as the original does; where
/// that cannot be done, what could not be made.
fn make_last(path: &Path) -> Result<(), (io::Error, PathBuf)> {
    let Some(folder) = folder(path).filter(|folder| folder.is_absolute()) else {
        return Ok(());
    };
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err((error, folder.into())),
        _ => Ok(()),
    }
}

fn open(pidfile: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(pidfile)
}

/// What a daemon before us wrote.
fn content(pidfile: &mut File) -> String {
    let mut old = String::new();
    // What is no text was not written by a daemon; it is overwritten all the same.
    drop(Read::by_ref(pidfile).take(32).read_to_string(&mut old));
    old.trim().to_owned()
}

fn tell_no_pidfile(error: &io::Error, path: &Path, log: &Log) {
    let text = format!("Unable to create PID file: {}", python(error, path));
    log.error("server", &text);
}

/// Tells as the original does that somebody was here first.
fn running(log: &Log) -> PlaceError {
    log.error("asyncserver", "Fail2ban seems to be already running");
    PlaceError::Running
}

/// Whether a server that died has left this socket.
pub(crate) fn is_left_behind(socket: &Path) -> bool {
    let found = fs::symlink_metadata(socket);
    found.is_ok_and(|found| found.file_type().is_socket()) && is_dead(socket)
}

/// Whether nobody listens on a socket any more. Does not wait for somebody who listens
/// and does not answer.
fn is_dead(socket: &Path) -> bool {
    let kind = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let connected = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, kind, None)
        .and_then(|own| rustix::net::connect(own, &SocketAddrUnix::new(socket)?));
    connected == Err(Errno::CONNREFUSED)
}
