//! The place a daemon takes: its socket and its pid file.
//!
//! Two daemons at one place would undo each other's bans, so the place is
//! claimed with a lock that the kernel gives back when its holder dies, however
//! it dies. What a dead daemon left behind is recognised and removed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::log::Log;

/// Why the place could not be taken.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// A daemon is there.
    Taken {
        socket: PathBuf,
        pid: Option<String>,
    },
    /// Something that is no socket lies where the socket should be.
    NotASocket(PathBuf),
    /// The folder cannot be made.
    Folder { path: PathBuf, source: io::Error },
    /// The pid file cannot be written.
    Pidfile { path: PathBuf, source: io::Error },
    /// The socket cannot be made.
    Socket { path: PathBuf, source: io::Error },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { socket, pid } => {
                let pid = pid
                    .as_ref()
                    .map(|pid| format!(" (pid {pid})"))
                    .unwrap_or_default();
                write!(
                    f,
                    "{}: Server already running{pid}; stop it with 'fail2ban-client stop', or give another place with --socket and --pidfile",
                    socket.display()
                )
            }
            Self::NotASocket(path) => {
                write!(
                    f,
                    "{}: this is no socket and was not made by us; remove it, or give another place with --socket",
                    path.display()
                )
            }
            Self::Folder { path, .. } => {
                write!(
                    f,
                    "{}: the folder cannot be made; make it, or give another place with --socket and --pidfile",
                    path.display()
                )
            }
            Self::Pidfile { path, .. } => {
                write!(
                    f,
                    "{}: the pid file cannot be written; give another place with --pidfile",
                    path.display()
                )
            }
            Self::Socket { path, .. } => {
                write!(
                    f,
                    "{}: the socket cannot be made; give another place with --socket",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Taken { .. } | Self::NotASocket(_) => None,
            Self::Folder { source, .. }
            | Self::Pidfile { source, .. }
            | Self::Socket { source, .. } => Some(source),
        }
    }
}

/// The place, taken. Dropping it gives it back and leaves nothing behind.
#[derive(Debug)]
pub(super) struct Claim {
    listener: UnixListener,
    socket: PathBuf,
    pidfile: PathBuf,
    /// Holds the lock.
    _pid: File,
}

impl Claim {
    pub(super) fn take(socket: &Path, pidfile: &Path, log: &Log) -> Result<Self, PlaceError> {
        for path in [socket, pidfile] {
            make_folder(path)?;
        }
        let pid = lock(socket, pidfile, log)?;
        clear_socket(socket, log)?;
        let wrap = |source| PlaceError::Socket {
            path: socket.into(),
            source,
        };
        let listener = UnixListener::bind(socket).map_err(wrap)?;
        Ok(Self {
            listener,
            socket: socket.into(),
            pidfile: pidfile.into(),
            _pid: pid,
        })
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        for path in [&self.socket, &self.pidfile] {
            drop(fs::remove_file(path));
        }
    }
}

fn make_folder(path: &Path) -> Result<(), PlaceError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| PlaceError::Folder {
            path: folder.into(),
            source,
        })
}

/// Locks the pid file and writes our number into it.
fn lock(socket: &Path, pidfile: &Path, log: &Log) -> Result<File, PlaceError> {
    let wrap = |source: io::Error| PlaceError::Pidfile {
        path: pidfile.into(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(pidfile)
        .map_err(wrap)?;
    let mut old = String::new();
    // What is no text was not written by a daemon; it is overwritten all the same.
    drop(Read::by_ref(&mut file).take(32).read_to_string(&mut old));
    let old = old.trim();
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(PlaceError::Taken {
            socket: socket.into(),
            pid: Some(old.to_owned()),
        });
    }
    if !old.is_empty() {
        log.warning(
            "ferroban.guard",
            &format!(
                "{}: left behind by a server that died (pid {old}); taken over",
                pidfile.display()
            ),
        );
    }
    file.set_len(0).map_err(wrap)?;
    io::Seek::rewind(&mut file).map_err(wrap)?;
    writeln!(file, "{}", std::process::id()).map_err(wrap)?;
    Ok(file)
}

/// Removes a socket that nobody listens on any more.
fn clear_socket(socket: &Path, log: &Log) -> Result<(), PlaceError> {
    let kind = match fs::symlink_metadata(socket) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(PlaceError::Socket {
                path: socket.into(),
                source,
            });
        }
    };
    if !kind.is_socket() {
        return Err(PlaceError::NotASocket(socket.into()));
    }
    // fail2ban itself takes no lock, so only an answer tells whether it lives.
    if UnixStream::connect(socket).is_ok() {
        return Err(PlaceError::Taken {
            socket: socket.into(),
            pid: None,
        });
    }
    log.warning(
        "ferroban.guard",
        &format!(
            "{}: socket left behind by a server that died; removed",
            socket.display()
        ),
    );
    fs::remove_file(socket).map_err(|source| PlaceError::Socket {
        path: socket.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Target};

    fn log(folder: &Path) -> Log {
        Log::open(&Target::File(folder.join("log")), Level::Debug).unwrap()
    }

    #[test]
    fn a_place_is_taken_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, pidfile) = (folder.path().join("run/s"), folder.path().join("run/p"));
        let claim = Claim::take(&socket, &pidfile, &log(folder.path())).unwrap();
        assert_eq!(
            fs::read_to_string(&pidfile).unwrap(),
            format!("{}\n", std::process::id())
        );
        let second = Claim::take(&socket, &pidfile, &log(folder.path()));
        assert!(
            matches!(second, Err(PlaceError::Taken { pid: Some(_), .. })),
            "{second:?}"
        );
        let elsewhere = Claim::take(&socket, &folder.path().join("other"), &log(folder.path()));
        assert!(
            matches!(elsewhere, Err(PlaceError::Taken { pid: None, .. })),
            "{elsewhere:?}"
        );
        drop(claim);
        assert!(!socket.exists() && !pidfile.exists());
    }

    #[test]
    fn what_a_dead_server_left_is_removed_with_a_line_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, pidfile) = (folder.path().join("s"), folder.path().join("p"));
        drop(UnixListener::bind(&socket).unwrap());
        fs::write(&pidfile, "999999\n").unwrap();
        let log = log(folder.path());
        let claim = Claim::take(&socket, &pidfile, &log).unwrap();
        log.flush();
        let told = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(
            told.lines()
                .filter(|line| line.contains("left behind"))
                .count(),
            2,
            "{told}"
        );
        drop(claim);
    }

    #[test]
    fn what_is_no_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, pidfile) = (folder.path().join("s"), folder.path().join("p"));
        fs::write(&socket, "precious").unwrap();
        let claim = Claim::take(&socket, &pidfile, &log(folder.path()));
        assert!(matches!(claim, Err(PlaceError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
    }
}
