//! Files that were open before we were.

use std::fs;
use std::os::fd::BorrowedFd;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Lets no child have more of our files than the standard ones.
///
/// Whoever started us may have left files open, a lock or a pipe. A daemon that went on
/// with them would hold the lock for ever. Ours are marked already: everything in Rust
/// opens files this way.
pub fn keep_files_from_children() {
    // Without /proc nobody knows the numbers; the child works as well.
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    for number in names.filter_map(|name| name.to_str()?.parse().ok()) {
        if number > 2 {
            mark(number);
        }
    }
}

fn mark(number: i32) {
    // SAFETY: the number was a file a moment ago. If another thread has closed it since,
    // the calls fail, or mark its successor, which is to be marked as well. Nothing is
    // read, written or closed.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    if let Ok(flags) = fcntl_getfd(file) {
        fcntl_setfd(file, flags | FdFlags::CLOEXEC).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_file_that_children_would_get_is_marked() {
        let file = File::open("/dev/null").unwrap();
        let inherits = || {
            !fcntl_getfd(file.as_fd())
                .unwrap()
                .contains(FdFlags::CLOEXEC)
        };
        fcntl_setfd(file.as_fd(), FdFlags::empty()).unwrap();
        assert!(inherits());
        keep_files_from_children();
        assert!(!inherits());
    }
}
