//! Why a place could not be taken.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the place could not be taken.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// A daemon is there.
    Taken {
        socket: PathBuf,
        pid: Option<String>,
    },
    /// The same, in the words of the original.
    Running,
    /// Something that is no socket lies where the socket should be.
    NotASocket(PathBuf),
    /// The folder cannot be made.
    Folder { path: PathBuf, source: io::Error },
    /// The pid file cannot be written.
    Pidfile { path: PathBuf, source: io::Error },
    /// The socket cannot be made.
    Socket { path: PathBuf, source: io::Error },
    /// The same, in the words of the original.
    Bind(PathBuf),
    /// What Python says when a folder cannot be made.
    Python { path: PathBuf, source: io::Error },
    /// What systemd left to us is not what we need.
    Inherited(io::Error),
    /// Nobody knows the group that is to look.
    NoGroup { path: PathBuf, name: String },
    /// The socket cannot be given to its group.
    Group { path: PathBuf, source: io::Error },
    /// Its group cannot get at the socket through this folder.
    ClosedFolder { path: PathBuf, group: String },
    /// Others could put something else in the place of the socket.
    OpenFolder(PathBuf),
}

impl PlaceError {
    pub(super) fn socket(path: &Path, source: io::Error) -> Self {
        Self::Socket {
            path: path.into(),
            source,
        }
    }

    pub(super) fn pidfile(path: &Path, source: io::Error) -> Self {
        Self::Pidfile {
            path: path.into(),
            source,
        }
    }
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |path: &Path, text: &str| format!("{}: {text}", path.display());
        let text = match self {
            Self::Taken { socket, pid } => {
                let pid = pid.as_ref().map(|pid| format!(" (pid {pid})"));
                let pid = pid.unwrap_or_default();
                told(
                    socket,
                    &format!(
                        "Server already running{pid}; stop it with 'fail2ban-client stop', or give another place with --socket and --pidfile"
                    ),
                )
            }
            Self::Running => "Server already running".into(),
            Self::NotASocket(path) => told(
                path,
                "this is no socket and was not made by us; remove it, or give another place with --socket",
            ),
            Self::Folder { path, .. } => told(
                path,
                "the folder cannot be made; make it, or give another place with --socket and --pidfile",
            ),
            Self::Pidfile { path, .. } => told(
                path,
                "the pid file cannot be written; give another place with --pidfile",
            ),
            Self::Socket { path, .. } => told(
                path,
                "the socket cannot be made; give another place with --socket",
            ),
            Self::Bind(path) => format!("Unable to bind socket {}", path.display()),
            Self::Python { path, source } => python(source, path),
            Self::Inherited(_) => {
                "the socket that systemd left to us cannot be used; look at the socket unit".into()
            }
            Self::NoGroup { path, name } => told(
                path,
                &format!(
                    "no group '{name}'; make it with 'groupadd --system {name}', or name another"
                ),
            ),
            Self::Group { path, .. } => told(
                path,
                "the socket cannot be given to its group; only root can do that",
            ),
            Self::OpenFolder(path) => told(
                path,
                "others may write to this folder and could replace the socket in it; give it to root with mode 0755, or put the socket elsewhere",
            ),
            Self::ClosedFolder { path, group } => told(
                path,
                &format!(
                    "group '{group}' may not enter this folder and would not reach the socket in it; open it with 'chmod o+x', or put the socket elsewhere"
                ),
            ),
        };
        f.write_str(&text)
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Taken { .. }
            | Self::Running
            | Self::NotASocket(_)
            | Self::Bind(_)
            | Self::Python { .. }
            | Self::NoGroup { .. }
            | Self::ClosedFolder { .. }
            | Self::OpenFolder(_) => None,
            Self::Folder { source, .. }
            | Self::Pidfile { source, .. }
            | Self::Socket { source, .. }
            | Self::Group { source, .. }
            | Self::Inherited(source) => Some(source),
        }
    }
}

/// The text Python has for an error of the system about a file.
pub(super) fn python(error: &io::Error, path: &Path) -> String {
    let path = path.display();
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let end = format!(" (os error {number})");
            let text = text.strip_suffix(&end).unwrap_or(&text);
            format!("[Errno {number}] {text}: '{path}'")
        }
        None => format!("{text}: '{path}'"),
    }
}
