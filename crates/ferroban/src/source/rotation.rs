//! Where files went that were renamed away from our log's path.
//!
//! A log can be rotated twice before we look once. The file in between was
//! never open here, and its lines would be lost; but the kernel told where it went.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// More than this many are not followed.
const MOST: usize = 16;

/// The files that left our path since they were last asked for, oldest first.
#[derive(Debug, Default)]
pub(super) struct Moves {
    files: Vec<Moved>,
    /// Files that were not followed because there were too many.
    beyond: usize,
}

#[derive(Debug)]
struct Moved {
    cookie: u32,
    /// None between the two halves of a rename, and outside what we watch.
    now: Option<PathBuf>,
}

impl Moves {
    /// A file called `name` in `dir` is being renamed. `ours` if that was our log's name.
    pub(super) fn from(&mut self, dir: &Path, name: &OsStr, cookie: u32, ours: bool) {
        let was = dir.join(name);
        if let Some(moved) = self
            .files
            .iter_mut()
            .find(|moved| moved.now.as_ref() == Some(&was))
        {
            (moved.cookie, moved.now) = (cookie, None);
        } else if ours && self.files.len() < MOST {
            self.files.push(Moved { cookie, now: None });
        } else if ours {
            self.beyond += 1;
        }
    }

    /// The file being renamed under `cookie` is now `name` in `dir`.
    pub(super) fn to(&mut self, dir: &Path, name: &OsString, cookie: u32) {
        let is = dir.join(name);
        self.files.retain(|moved| moved.now.as_ref() != Some(&is));
        if let Some(moved) = self
            .files
            .iter_mut()
            .find(|moved| moved.now.is_none() && moved.cookie == cookie)
        {
            moved.now = Some(is);
        }
    }

    /// `name` in `dir` was deleted.
    pub(super) fn gone(&mut self, dir: &Path, name: &OsStr) {
        let was = dir.join(name);
        self.files.retain(|moved| moved.now.as_ref() != Some(&was));
    }

    /// Hands over the paths they have now and how many were not followed, and
    /// forgets them.
    pub(super) fn take(&mut self) -> (Vec<PathBuf>, usize) {
        let Self { files, beyond } = std::mem::take(self);
        let paths = files.into_iter().filter_map(|moved| moved.now).collect();
        (paths, beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_followed_through_renames_until_they_are_deleted_or_overwritten() {
        let dir = Path::new("/l");
        let name = |text: &str| OsString::from(text);
        let mut moves = Moves::default();
        let mut rename = |from: &str, to: &str, cookie: u32| {
            moves.from(dir, &name(from), cookie, from == "log");
            moves.to(dir, &name(to), cookie);
        };
        rename("other", "else", 1);
        rename("log", "log.1", 2);
        rename("log.1", "log.2", 3);
        rename("log", "log.1", 4);
        rename("log", "lost", 5);
        rename("else", "lost", 6);
        rename("log", "deleted", 7);
        moves.gone(dir, &name("deleted"));
        moves.from(dir, &name("log"), 8, true);
        assert_eq!(moves.take().0, [dir.join("log.2"), dir.join("log.1")]);
        assert!(moves.take().0.is_empty());
    }

    #[test]
    fn of_endless_renames_most_are_only_counted() {
        let mut moves = Moves::default();
        for cookie in 0..1000 {
            moves.from(Path::new("/l"), OsStr::new("log"), cookie, true);
        }
        assert_eq!(moves.files.len(), MOST);
        assert_eq!(moves.take().1, 1000 - MOST);
    }
}
