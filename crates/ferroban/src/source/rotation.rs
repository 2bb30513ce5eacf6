//! Where files went that were renamed away from our log's path.
//!
//! A log can be rotated twice before we look once. The file in between was
//! never open here, and its lines would be lost; but the kernel told where it went.
//!
//! It tells of a rename in two halves, and we may look between them. So the last
//! half is kept until the other comes, or another rename begins.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// More than this many are not followed.
const MOST: usize = 16;

/// The files that left our path since they were last asked for, in that order.
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
    /// It was handed over with the half that was known.
    asked: bool,
}

impl Moves {
    /// A file called `name` in `dir` is being renamed. `ours` if that was our log's name.
    pub(super) fn from(&mut self, dir: &Path, name: &OsStr, cookie: u32, ours: bool) {
        let was = dir.join(name);
        // The other half would have come by now.
        self.files.retain(|moved| !moved.asked);
        if let Some(moved) = self
            .files
            .iter_mut()
            .find(|moved| moved.now.as_ref() == Some(&was))
        {
            (moved.cookie, moved.now) = (cookie, None);
        } else if ours && self.files.len() < MOST {
            self.files.push(Moved {
                cookie,
                now: None,
                asked: false,
            });
        } else if ours {
            self.beyond += 1;
        }
    }

    /// The file being renamed under `cookie` is now `name` in `dir`. Whether it is one
    /// that was asked for before that was known.
    pub(super) fn to(&mut self, dir: &Path, name: &OsString, cookie: u32) -> bool {
        let is = dir.join(name);
        self.files.retain(|moved| moved.now.as_ref() != Some(&is));
        let half = |moved: &&mut Moved| moved.now.is_none() && moved.cookie == cookie;
        let Some(moved) = self.files.iter_mut().find(half) else {
            return false;
        };
        moved.now = Some(is);
        std::mem::take(&mut moved.asked)
    }

    /// `name` in `dir` was deleted.
    pub(super) fn gone(&mut self, dir: &Path, name: &OsStr) {
        let was = dir.join(name);
        self.files.retain(|moved| moved.now.as_ref() != Some(&was));
    }

    /// Hands over the paths they have now, none where that is not known, and how many
    /// were not followed, and forgets them, but for the last one if it may still be told.
    pub(super) fn take(&mut self) -> (Vec<Option<PathBuf>>, usize) {
        let Self { files, beyond } = std::mem::take(self);
        if let Some(&Moved {
            cookie, now: None, ..
        }) = files.last()
        {
            self.files.push(Moved {
                cookie,
                now: None,
                asked: true,
            });
        }
        let paths = files.into_iter().map(|moved| moved.now).collect();
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
        let known = [dir.join("log.2"), dir.join("log.1")].map(Some);
        assert_eq!(moves.take().0, [&known[..], &[None]].concat());
        moves.from(dir, &name("other"), 9, false);
        assert!(moves.take().0.is_empty());
    }

    #[test]
    fn half_a_rename_waits_for_its_other_half_and_no_longer_than_until_the_next() {
        let dir = Path::new("/l");
        let (log, old) = (OsString::from("log"), OsString::from("log.1"));
        let mut moves = Moves::default();
        moves.from(dir, &log, 1, true);
        assert_eq!(moves.take().0, [None]);
        assert!(moves.to(dir, &old, 1), "it was asked for");
        assert_eq!(moves.take().0, [Some(dir.join("log.1"))]);
        assert!(moves.take().0.is_empty());
        moves.from(dir, &log, 2, true);
        assert!(!moves.to(dir, &old, 2));
        moves.from(dir, &log, 3, true);
        assert_eq!(moves.take().0, [Some(dir.join("log.1")), None]);
        assert_eq!(moves.take().0, [None]);
        moves.from(dir, &log, 4, true);
        assert!(!moves.to(dir, &old, 3));
        assert_eq!(moves.take().0, [None], "of the next alone");
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
