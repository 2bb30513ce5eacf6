//! Waking a source that waits for its log.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::Error;

/// Ends the wait of the source it was given to, from any thread.
///
/// One pull ends one wait: the one going on, or else the next. Pulls that
/// nobody waited for in between count as one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker for one source.
    ///
    /// # Errors
    ///
    /// If no file descriptor is left.
    pub fn new() -> Result<Self, Error> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let fd = eventfd(0, flags).map_err(|error| Error::Waker(error.into()))?;
        Ok(Self(Arc::new(fd)))
    }

    /// Wakes the source.
    pub fn wake(&self) {
        // It can only fail because the count is full: then it is pulled already.
        rustix::io::write(&*self.0, &1u64.to_ne_bytes()).ok();
    }

    /// Waits for a pull, at most this long; whether there was one.
    #[must_use]
    pub fn pulled_within(&self, limit: Duration) -> bool {
        // Interrupted or not able to wait: then the limit was shorter this time.
        self.wait(None, Some(limit)).is_ok() && self.pulled()
    }

    /// Whether it was pulled since it was last asked.
    pub(crate) fn pulled(&self) -> bool {
        rustix::io::read(&*self.0, &mut [0; 8]).is_ok()
    }

    /// Waits until `other` can be read, the waker is pulled, or `limit` has passed.
    pub(crate) fn wait(
        &self,
        other: Option<BorrowedFd<'_>>,
        limit: Option<Duration>,
    ) -> Result<(), Error> {
        let mut fds = Vec::with_capacity(2);
        fds.push(PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN));
        fds.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // A limit beyond what the kernel can count is none.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Error::Wait(io::Error::from(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pull_ends_one_wait_and_is_then_forgotten() {
        let waker = Waker::new().unwrap();
        assert!(!waker.pulled());
        waker.clone().wake();
        waker.wake();
        waker.wait(None, None).unwrap();
        assert!(waker.pulled());
        assert!(!waker.pulled());
    }
}
