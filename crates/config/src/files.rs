//! What reading a configuration needs from the outside.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    io::Read as _,
    os::unix::fs::FileTypeExt as _,
    path::{Component, Path, PathBuf},
};

/// Where configuration files come from.
pub trait Files {
    /// The first `limit` bytes of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file, which is often no mistake;
    /// anything else is told to the user.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// The names of what is in a directory, in any order.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
}

/// The files of this computer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let kind = fs::metadata(path)?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Opening a pipe waits until somebody writes to it.
        if kind.is_fifo() || kind.is_socket() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }
}

/// Files that exist only in memory: for tests, and for a configuration inside the program.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<PathBuf, Vec<u8>>);

impl<P: Into<PathBuf>, B: Into<Vec<u8>>> FromIterator<(P, B)> for Memory {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let pair = |(path, bytes): (P, B)| (path.into(), bytes.into());
        Self(files.into_iter().map(pair).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let path = normal(path);
        match self.0.get(&path) {
            Some(bytes) => Ok(bytes.get(..limit).unwrap_or(bytes).to_vec()),
            None if self.0.keys().any(|file| file.starts_with(&path)) => {
                Err(io::ErrorKind::IsADirectory.into())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let dir = normal(dir);
        let mut names: Vec<OsString> = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(&dir).ok()?.components().next())
            .map(|first| first.as_os_str().to_owned())
            .collect();
        names.dedup();
        if names.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(names)
    }
}

/// `path` without `.` and, where the text alone allows it, without `..`.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

/// Whether a failed read only means that there is no such file.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn memory_answers_like_a_disk() {
        let files: Memory = [("/e/a.conf", "abc"), ("/e/d/b.conf", ""), ("/e/d/c", "")]
            .into_iter()
            .collect();
        let read = |path: &str| files.read(Path::new(path), 2).map_err(|e| e.kind());
        assert_eq!(read("/e/d/../a.conf"), Ok(b"ab".to_vec()));
        assert_eq!(read("/e/d"), Err(io::ErrorKind::IsADirectory));
        assert_eq!(read("/e/x"), Err(io::ErrorKind::NotFound));
        let list = |path: &str| files.list(Path::new(path)).map_err(|e| e.kind());
        assert_eq!(list("/e"), Ok(vec!["a.conf".into(), "d".into()]));
        assert_eq!(list("/x"), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn disk_does_not_wait_for_a_directory_or_a_missing_file() {
        let read = |path: &str| Disk.read(Path::new(path), 9).map_err(|e| e.kind());
        assert_eq!(read("/"), Err(io::ErrorKind::IsADirectory));
        assert_eq!(read("/nonexistent/x"), Err(io::ErrorKind::NotFound));
        assert_eq!(read("/dev/null"), Ok(vec![]));
    }

    #[test]
    fn disk_does_not_wait_for_a_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        // Without a writer a read would end at once: the test fails, but does not hang.
        drop(writer);
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let error = Disk.read(Path::new(&path), 9).unwrap_err();
        assert_eq!(error.to_string(), "not a regular file");
    }

    #[test]
    fn dots_leave_a_path_where_text_allows() {
        let cases = [
            ("/a/./b/../c", "/a/c"),
            ("../x/../y", "../y"),
            ("a/../../b", "../b"),
        ];
        for (path, expected) in cases {
            assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
