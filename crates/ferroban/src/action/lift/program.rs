//! Whether a word of a command runs the program that we know.

use std::env;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::plain::Tool;

/// Where a system keeps its programs. What stands elsewhere is somebody's own.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Write access for the group or for all.
const OTHERS_WRITE: u32 = 0o022;

/// Whether a shell would run the system's own program for this word: one that only root may
/// change, and no script.
pub(super) fn is_the_systems(word: &str, tool: Tool) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    is_the_systems_among(word, tool, &folders, &FOLDERS)
}

/// Whether this is the system's own `iptables`, and its `…-restore` belongs to it: there may be
/// two kinds, which do not see each other's rules.
pub(super) fn has_restore(word: &str, tool: Tool) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let real = |word: &str| found(word, &folders)?.canonicalize().ok();
    let restore = real(&format!("{word}-restore"));
    is_the_systems(word, tool) && restore.is_some() && restore == real(word)
}

fn is_the_systems_among(word: &str, tool: Tool, folders: &[PathBuf], systems: &[&str]) -> bool {
    let is_named = |path: &PathBuf| path.file_name() == Some(tool.name().as_ref());
    let Some(found) = found(word, folders).filter(is_named) else {
        return false;
    };
    let Ok(real) = found.canonicalize() else {
        return false;
    };
    let systems = systems
        .iter()
        .filter_map(|folder| Path::new(folder).canonicalize().ok());
    let is_at_home = |path: &Path| {
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        folder.is_some_and(|folder| systems.clone().any(|systems| systems == folder))
    };
    is_at_home(&found) && is_at_home(&real) && is_roots(&real) && is_binary(&real)
}

/// What a shell runs for a word.
fn found(word: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    if word.starts_with('/') {
        return Some(PathBuf::from(word));
    }
    let mut places = folders.iter().map(|folder| folder.join(word));
    places.find(|path| path.exists())
}

/// Whether nobody but root can change a file, or put another one in its place.
fn is_roots(path: &Path) -> bool {
    let is_roots = |data: Metadata| data.uid() == 0 && data.mode() & OTHERS_WRITE == 0;
    path.ancestors()
        .all(|path| fs::metadata(path).is_ok_and(is_roots))
}

fn is_binary(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A folder that stands for the system's, and one before it in the path.
    #[test]
    fn only_the_program_that_root_installed_is_known() {
        // Below a folder that others may write, as that of other tests is, nothing counts.
        let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir_in(home.ancestors().nth(2).unwrap()).unwrap();
        let (system, own) = (folder.path().join("system"), folder.path().join("own"));
        for folder in [&system, &own] {
            fs::create_dir(folder).unwrap();
        }
        let put = |path: &Path, bytes: &[u8], mode| {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let systems = [system.to_str().unwrap()];
        let known = |word: &str| {
            let folders = [own.clone(), system.clone()];
            is_the_systems_among(word, Tool::Nft, &folders, &systems)
        };
        let nft = system.join("nft");
        let whole = nft.to_str().unwrap();
        assert!(!known("nft"), "there is none");
        put(&nft, b"\x7fELF and more", 0o755);
        // Where this test is not root's, no file is.
        let is_root = is_roots(&nft);
        assert_eq!([known("nft"), known(whole)], [is_root; 2]);
        put(&nft, b"\x7fELF and more", 0o775);
        assert!(!known("nft"), "others may change it");
        put(&nft, b"#!/bin/sh\nexit 0\n", 0o755);
        assert!(!known("nft"), "a script may do anything");
        put(&nft, b"\x7fELF and more", 0o755);
        put(&system.join("other"), b"\x7fELF and more", 0o755);
        assert!(!known("other"));
        symlink(&nft, own.join("nft")).unwrap();
        assert!(!known("nft"), "somebody's own comes first");
        assert_eq!(known(whole), is_root);
        fs::remove_file(own.join("nft")).unwrap();
        fs::set_permissions(&system, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!known("nft"), "anybody can replace it");
    }

    #[test]
    fn the_systems_own_programs_are_known() {
        for (word, tool) in [("nft", Tool::Nft), ("/usr/sbin/ipset", Tool::Ipset)] {
            let is_there = Path::new("/usr/sbin").join(tool.name()).exists();
            assert_eq!(is_the_systems(word, tool), is_there, "{word}");
        }
        assert!(!is_the_systems("nft", Tool::Ipset));
        assert!(!is_the_systems("sbin/nft", Tool::Nft));
    }
}
