//! A second socket, for a group that may look and not order.
//!
//! It lies beside the control socket or elsewhere, belongs to root and a group, and is
//! gone at the end. What may be asked on it is said by whoever serves it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group};
use rustix::fs::{FileType, Mode, OFlags};

use super::{Trace, error::PlaceError, folder, is_dead};

/// Where the socket is and who may open it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sharing {
    pub(crate) path: PathBuf,
    /// By name or number; without one, root's own.
    pub(crate) group: Option<String>,
    /// Usually `0o660`.
    pub(crate) mode: u32,
}

/// The socket. Dropping it removes it.
#[derive(Debug)]
pub(in crate::daemon) struct Shared {
    listener: UnixListener,
    _trace: Trace,
}

impl Shared {
    /// Makes the socket. The claim is taken already, so what a dead daemon left at its
    /// path is removed; what lives is not.
    pub(in crate::daemon) fn open(sharing: &Sharing) -> Result<Self, PlaceError> {
        let path = sharing.path.as_path();
        let group = sharing.group.as_deref();
        let number = group.map(|name| group_number(name, path)).transpose()?;
        make_folder(path)?;
        must_be_ours(path)?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(|error| PlaceError::socket(path, error))?;
        let trace = Trace(path.into());
        // For nobody but us until it has its group.
        restrict(path, 0o600)?;
        if let Some(number) = number {
            lchown(path, Some(0), Some(number)).map_err(|source| PlaceError::Group {
                path: path.into(),
                source,
            })?;
            must_be_reachable(path, (group.unwrap_or_default(), number))?;
        }
        restrict(path, sharing.mode & 0o777)?;
        Ok(Self {
            listener,
            _trace: trace,
        })
    }

    pub(in crate::daemon) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

/// The number of a group. A number needs no entry anywhere.
fn group_number(name: &str, path: &Path) -> Result<u32, PlaceError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let unknown = || PlaceError::NoGroup {
        path: path.into(),
        name: name.into(),
    };
    let found = Group::from_name(name).map_err(|error| PlaceError::Group {
        path: path.into(),
        source: error.into(),
    })?;
    found
        .map(|group| Gid::as_raw(group.gid))
        .ok_or_else(unknown)
}

/// Makes the folder, if it is missing, so that others can pass.
fn make_folder(path: &Path) -> Result<(), PlaceError> {
    let Some(folder) = folder(path).filter(|folder| !folder.exists()) else {
        return Ok(());
    };
    let made = DirBuilder::new().mode(0o755).create(folder);
    // The mode of a new folder is subject to the umask.
    made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
        .map_err(|source| PlaceError::Folder {
            path: folder.into(),
            source,
        })
}

fn clear(path: &Path) -> Result<(), PlaceError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(PlaceError::NotASocket(path.into()));
    }
    if !is_dead(path) {
        return Err(PlaceError::Taken {
            socket: path.into(),
            pid: None,
        });
    }
    fs::remove_file(path).map_err(|error| PlaceError::socket(path, error))
}

/// Sets the mode of the socket, and of nothing that a link leads to.
fn restrict(path: &Path, mode: u32) -> Result<(), PlaceError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let set = || {
        let found = rustix::fs::open(path, flags, Mode::empty())?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        if kind != FileType::Socket {
            return Err(io::Error::other("it was replaced by something else"));
        }
        // The kernel has no way to change the mode of what is only pointed at, but this.
        let link = format!("/proc/self/fd/{}", found.as_raw_fd());
        fs::set_permissions(link, Permissions::from_mode(mode))
    };
    set().map_err(|error| PlaceError::socket(path, error))
}

/// Whether nobody but root and us can take the socket out of its folder and put
/// something else there. In a sticky folder others cannot, unless it is theirs.
fn must_be_ours(path: &Path) -> Result<(), PlaceError> {
    let folder = folder(path).unwrap_or(Path::new("."));
    let found = folder.metadata().map_err(|source| PlaceError::Folder {
        path: folder.into(),
        source,
    })?;
    let own = rustix::process::geteuid().as_raw();
    let is_ours = [0, own].contains(&found.uid());
    let is_open = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
    if is_ours && !is_open {
        Ok(())
    } else {
        Err(PlaceError::OpenFolder(folder.into()))
    }
}

/// Whether a group may pass through all folders on the way: fail2ban's own, with its
/// mode 0700, is closed, and a socket in it would be shared with nobody.
fn must_be_reachable(path: &Path, (name, number): (&str, u32)) -> Result<(), PlaceError> {
    let folder = folder(path).unwrap_or(Path::new("."));
    let Ok(folder) = folder.canonicalize() else {
        return Ok(());
    };
    for folder in folder.ancestors() {
        let Ok(found) = folder.metadata() else {
            continue;
        };
        let of_group = found.gid() == number && found.mode() & 0o010 != 0;
        if !of_group && found.mode() & 0o001 == 0 {
            return Err(PlaceError::ClosedFolder {
                path: folder.into(),
                group: name.into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharing(path: PathBuf, group: &str, mode: u32) -> Sharing {
        Sharing {
            path,
            group: (!group.is_empty()).then(|| group.to_owned()),
            mode,
        }
    }

    /// A folder that others may pass.
    fn open_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn groups_have_names_and_numbers() {
        let path = Path::new("/s");
        assert_eq!(group_number("0", path).unwrap(), 0);
        assert_eq!(group_number("54321", path).unwrap(), 54321);
        assert_eq!(group_number("root", path).unwrap(), 0);
        let error = group_number("no-such-group", path).unwrap_err().to_string();
        assert_eq!(
            error,
            "/s: no group 'no-such-group'; make it with 'groupadd --system no-such-group', or name another"
        );
    }

    #[test]
    fn the_socket_has_its_mode_and_is_gone_at_the_end() {
        let folder = open_folder();
        let path = folder.path().join("run/monitor");
        for _ in 0..2 {
            let shared = Shared::open(&sharing(path.clone(), "", 0o666)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o666);
            let taken = Shared::open(&sharing(path.clone(), "", 0o666)).unwrap_err();
            assert!(matches!(taken, PlaceError::Taken { .. }), "{taken}");
            assert!(shared.listener().local_addr().is_ok());
            drop(shared);
            assert!(!path.exists());
        }
        assert_eq!(
            path.parent().unwrap().metadata().unwrap().mode() & 0o777,
            0o755
        );
        drop(UnixListener::bind(&path).unwrap());
        drop(Shared::open(&sharing(path.clone(), "", 0o660)).unwrap());
        fs::write(&path, "precious").unwrap();
        let error = Shared::open(&sharing(path.clone(), "", 0o660)).unwrap_err();
        assert!(matches!(error, PlaceError::NotASocket(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn the_mode_is_that_of_the_socket_and_of_nothing_behind_a_link() {
        let folder = open_folder();
        let (precious, link) = (folder.path().join("precious"), folder.path().join("link"));
        fs::write(&precious, "").unwrap();
        fs::set_permissions(&precious, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        for path in [&precious, &link] {
            assert!(matches!(
                restrict(path, 0o666),
                Err(PlaceError::Socket { .. })
            ));
        }
        assert_eq!(fs::metadata(&precious).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_folder_where_others_could_replace_the_socket_is_refused() {
        let folder = open_folder();
        let path = folder.path().join("monitor");
        let open = || Shared::open(&sharing(path.clone(), "", 0o660));
        for (mode, is_good) in [
            (0o755, true),
            (0o775, false),
            (0o757, false),
            (0o1777, true),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(open().is_ok(), is_good, "{mode:o}");
        }
        if crate::sys::is_root() {
            lchown(folder.path(), Some(54321), None).unwrap();
            let error = open().unwrap_err().to_string();
            let expected = format!(
                "{}: others may write to this folder and could replace the socket in it; give it \
                 to root with mode 0755, or put the socket elsewhere",
                folder.path().display()
            );
            assert_eq!(error, expected);
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_group_gets_the_socket_if_it_can_reach_it() {
        if !crate::sys::is_root() {
            return;
        }
        let folder = open_folder();
        let path = folder.path().join("monitor");
        let shared = Shared::open(&sharing(path.clone(), "54321", 0o660)).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!(
            (found.uid(), found.gid(), found.mode() & 0o7777),
            (0, 54321, 0o660)
        );
        drop(shared);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let error = Shared::open(&sharing(path.clone(), "54321", 0o660)).unwrap_err();
        assert!(matches!(error, PlaceError::ClosedFolder { .. }), "{error}");
        assert!(!path.exists(), "nothing is left of it");
    }
}
