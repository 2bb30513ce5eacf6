//! What the kernel is asked to tell us about a path, and what it tells.
//!
//! We watch the directory a log is in for what comes and goes under its name,
//! the log itself for being written, and everything on the way there (each
//! directory above, each symbolic link) for being moved or removed. Nothing of
//! that wakes us as long as nothing happens to this log.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
use rustix::io::Errno;

use super::rotation::Moves;

/// Symbolic links followed, and rounds tried until a path holds still.
const HOPS: usize = 8;
/// Events taken at once: all that the kernel keeps for us, usually.
const EVENTS: usize = 32 << 10;

/// A directory or link being moved or removed.
const ITSELF: WatchFlags = WatchFlags::MOVE_SELF
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::DONT_FOLLOW);

/// The inotify watches on one path.
#[derive(Debug)]
pub(super) struct Watch {
    /// None if the kernel has no inotify left for us.
    fd: Option<OwnedFd>,
    /// The places on the way, by their watch.
    spots: HashMap<i32, Spot>,
}

/// A watched place: its path, and the names in it that matter to us.
#[derive(Debug, Default)]
struct Spot {
    path: PathBuf,
    names: Vec<OsString>,
}

/// What the kernel told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The path may lead elsewhere now.
    pub(super) path: bool,
    /// What happened to open files, by their watch.
    pub(super) files: Vec<(i32, ReadFlags)>,
}

impl Watch {
    /// A watch on nothing yet; the error says why it will stay so.
    pub(super) fn new() -> (Self, Option<io::Error>) {
        let (fd, error) = match init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(fd) => (Some(fd), None),
            Err(error) => (None, Some(error.into())),
        };
        (
            Self {
                fd,
                spots: HashMap::new(),
            },
            error,
        )
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Watches an open file for being written.
    pub(super) fn add_file(&self, file: &File) -> io::Result<i32> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF;
        let fd = self.fd.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        // Through /proc it is the very file that is open, wherever its name leads by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(add_watch(fd, path, flags)?)
    }

    /// Ends the watch on a file.
    pub(super) fn remove_file(&self, watch: Option<i32>) {
        if let (Some(fd), Some(watch)) = (&self.fd, watch) {
            // The kernel may have ended it already.
            remove_watch(fd, watch).ok();
        }
    }

    /// Watches the way to `path` as it is now; all of it, if `missing`, so that
    /// the path is found when it comes to be.
    pub(super) fn follow(&mut self, path: &Path, missing: bool) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        let mut spots = HashMap::new();
        let mut refused = None;
        for _ in 0..HOPS {
            let mut way = Way {
                fd,
                spots: &mut spots,
                refused: &mut refused,
            };
            let hops = hops(path);
            hops.iter().for_each(|hop| way.itself(hop));
            let gaps: Vec<PathBuf> = hops
                .iter()
                .filter_map(|hop| way.entries(hop, missing))
                .collect();
            // A directory made while we looked may already hold the log.
            if !gaps.iter().any(|gap| gap.exists()) {
                break;
            }
        }
        for (&watch, old) in &self.spots {
            let new = spots.get(&watch);
            let less = !old.names.is_empty() && new.is_some_and(|new| new.names.is_empty());
            if new.is_none() || less {
                remove_watch(fd, watch).ok();
            }
            if less {
                // A watch that is asked for less has to be made anew.
                spots.remove(&watch);
                if let Ok(watch) = add_watch(fd, &old.path, ITSELF) {
                    spots.entry(watch).or_default();
                }
            }
        }
        self.spots = spots;
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    /// What the kernel has told since last time.
    pub(super) fn seen(&self, moves: &mut Moves) -> Seen {
        let mut seen = Seen::default();
        let Some(fd) = &self.fd else { return seen };
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(fd, &mut room);
        for _ in 0..EVENTS {
            let Ok(event) = reader.next() else { break };
            let (flags, name) = (event.events(), event.file_name());
            match self.spots.get(&event.wd()) {
                Some(spot) => {
                    let name = name.map(|name| OsStr::from_bytes(name.to_bytes()));
                    seen.path |= spot.concerns(flags, name, event.cookie(), moves);
                }
                None if flags.contains(ReadFlags::QUEUE_OVERFLOW) => seen.path = true,
                None => seen.files.push((event.wd(), flags)),
            }
        }
        seen
    }
}

impl Spot {
    /// Whether an event here may change where our path leads.
    fn concerns(
        &self,
        flags: ReadFlags,
        name: Option<&OsStr>,
        cookie: u32,
        moves: &mut Moves,
    ) -> bool {
        let Some(name) = name else { return true };
        let ours = self.names.iter().any(|known| known == name);
        if flags.contains(ReadFlags::MOVED_FROM) {
            moves.from(&self.path, name, cookie, ours);
        } else if flags.contains(ReadFlags::MOVED_TO) {
            return moves.to(&self.path, &name.to_owned(), cookie) || ours;
        } else if flags.contains(ReadFlags::DELETE) {
            moves.gone(&self.path, name);
        }
        ours
    }
}

/// The watches being set up along a path.
struct Way<'a> {
    fd: &'a OwnedFd,
    spots: &'a mut HashMap<i32, Spot>,
    refused: &'a mut Option<Errno>,
}

impl Way<'_> {
    /// Watches each directory or link above `path` for being moved or removed.
    fn itself(&mut self, path: &Path) {
        for dir in path.ancestors().skip(1) {
            if let Some(watch) = self.watch(dir, ITSELF) {
                self.spots.entry(watch).or_default();
            }
        }
    }

    /// Watches what comes and goes under the name of `path` in its directory, or
    /// in the nearest one there is. Returns the topmost one that is not there.
    fn entries(&mut self, path: &Path, missing: bool) -> Option<PathBuf> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        // If the log is missing, the directory above too: one that is removed
        // says nothing itself while a file that was in it is open.
        let mut wanted = if missing { 2 } else { 1 };
        let mut gap = None;
        let mut below = path;
        for dir in path.ancestors().skip(1) {
            if wanted == 0 {
                break;
            }
            if let Some(watch) = self.watch(dir, flags) {
                let spot = self.spots.entry(watch).or_default();
                spot.path = dir.to_path_buf();
                spot.names.extend(below.file_name().map(OsStr::to_owned));
                wanted -= 1;
            } else {
                gap = Some(dir.to_path_buf());
            }
            below = dir;
        }
        gap
    }

    fn watch(&mut self, path: &Path, flags: WatchFlags) -> Option<i32> {
        match add_watch(self.fd, path, flags | WatchFlags::MASK_ADD) {
            Ok(watch) => Some(watch),
            Err(error) => {
                if matches!(error, Errno::NOSPC | Errno::NOMEM) {
                    *self.refused = Some(error);
                }
                None
            }
        }
    }
}

/// The path, and where it leads if it is a symbolic link.
fn hops(path: &Path) -> Vec<PathBuf> {
    let mut hops = vec![path.to_path_buf()];
    while let Some(last) = hops.last().filter(|_| hops.len() < HOPS) {
        let Ok(link) = fs::read_link(last) else { break };
        let Some(dir) = last.parent() else { break };
        hops.push(dir.join(link));
    }
    hops
}

/// Whether the kernel tells of everything that happens on this file system. On
/// others a file may be written from elsewhere, and inotify stays silent.
pub(super) fn tells(path: &Path) -> bool {
    /// File systems that only this machine writes, by their magic numbers:
    /// ext, xfs, btrfs, tmpfs, ramfs, f2fs, overlay, zfs, bcachefs, jfs,
    /// reiserfs, nilfs, erofs, squashfs, vfat, exfat, ntfs3, ubifs, jffs2, udf.
    const LOCAL: [i128; 20] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x8584_58f6,
        0xf2f5_2010,
        0x794c_7630,
        0x2fc1_2fc1,
        0xca45_1a4e,
        0x3153_464a,
        0x5265_4973,
        0x3434,
        0xe0f5_e1e2,
        0x7371_7368,
        0x4d44,
        0x2011_bab0,
        0x7366_746e,
        0x2405_1905,
        0x72b6,
        0x1501_3346,
    ];
    let nearest = path
        .ancestors()
        .find_map(|dir| rustix::fs::statfs(dir).ok());
    nearest.is_none_or(|stat| LOCAL.contains(&(i128::from(stat.f_type) & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_of_this_machine_are_trusted_to_tell() {
        assert!(tells(&std::env::temp_dir().join("none/such")));
        assert!(!tells(Path::new("/proc/self/status")));
    }

    #[test]
    fn a_directory_wakes_us_only_for_names_that_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/log");
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(&path, "").unwrap();
        let (mut watch, _) = Watch::new();
        let mut moves = Moves::default();
        watch.follow(&path, true).unwrap();
        // What was asked for while the log was missing is taken back.
        watch.follow(&path, false).unwrap();
        let told = |name: &str| {
            fs::write(dir.path().join(name), "").unwrap();
            watch.seen(&mut Moves::default())
        };
        assert!(!told("sub/other").path);
        assert!(!told("beside").path);
        fs::rename(&path, dir.path().join("sub/log.1")).unwrap();
        assert!(watch.seen(&mut moves).path);
        assert_eq!(moves.take().0, [Some(dir.path().join("sub/log.1"))]);
        assert!(told("sub/log").path);
    }
}
