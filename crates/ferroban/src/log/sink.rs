//! The far end: a file, a stream or a socket, written by the thread that waits.
//!
//! Nothing here waits for ever: while whoever reads is slow, the writer asks now and
//! then whether waiting is still worth it.

use std::fs;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

/// So much fits into a pipe that takes anything at all (`PIPE_BUF`).
const CHUNK: usize = 4096;
/// How long a slow reader is waited for before asking whether to go on, in
/// milliseconds.
const GLANCE: i64 = 100;

/// Where bytes go.
#[derive(Debug)]
pub(super) enum Sink {
    Stream(Stream),
    Socket(Socket),
}

impl Sink {
    /// A file to append to; readable by us alone if it is new.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        // A pipe that nobody reads, or a terminal, must neither hold us up nor adopt us.
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK
            | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        Self::stream(file.into())
    }

    pub(super) fn stream(file: File) -> io::Result<Self> {
        let is_file = file.metadata()?.is_file();
        Ok(Self::Stream(Stream {
            file,
            is_file,
            torn: false,
        }))
    }

    /// A socket that takes datagrams, now or once somebody listens there.
    pub(super) fn socket(path: &Path) -> Self {
        let socket = connect(path).ok();
        Self::Socket(Socket {
            path: path.to_owned(),
            socket,
        })
    }

    /// Whether somebody is there to read, as far as we can know.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self, Self::Socket(Socket { socket: None, .. }))
    }

    /// Writes as much of some lines as a file takes at once. How many bytes that were: none where
    /// lines must go one by one, or fail to; the one in which it stopped has to be written again.
    pub(super) fn write_together(&mut self, lines: &[u8]) -> usize {
        match self {
            Self::Stream(stream) if stream.is_file && !stream.torn => {
                let written = stream.file.write(lines).unwrap_or(0);
                let written = lines.get(..written).unwrap_or_default();
                stream.torn = written.last().is_some_and(|last| *last != b'\n');
                written.len()
            }
            _ => 0,
        }
    }

    /// Writes one line or datagram. While its reader is slow, `wait` is asked whether
    /// to go on; if not, the error is [`ErrorKind::TimedOut`].
    pub(super) fn write(&mut self, bytes: &[u8], wait: &dyn Fn() -> bool) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.write(bytes, wait),
            Self::Socket(socket) => socket.write(bytes, wait),
        }
    }
}

/// Whether a socket is at that place.
pub(super) fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    is_file: bool,
    /// Whether a line stands there in part, so that the next must begin a new one.
    torn: bool,
}

impl Stream {
    fn write(&mut self, bytes: &[u8], wait: &dyn Fn() -> bool) -> io::Result<()> {
        if self.torn {
            self.write_all(b"\n", wait).map_err(|(_, error)| error)?;
            self.torn = false;
        }
        self.write_all(bytes, wait).map_err(|(some, error)| {
            self.torn = some;
            error
        })
    }

    /// On failure, says also whether some bytes were written.
    fn write_all(
        &mut self,
        bytes: &[u8],
        wait: &dyn Fn() -> bool,
    ) -> Result<(), (bool, io::Error)> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let some = rest.len() < bytes.len();
            if !self.is_file {
                wait_writable(self.file.as_fd(), wait).map_err(|error| (some, error))?;
            }
            let chunk = if self.is_file { rest.len() } else { CHUNK };
            match self.file.write(rest.get(..chunk).unwrap_or(rest)) {
                Ok(0) => return Err((some, ErrorKind::WriteZero.into())),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err((some, error)),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Socket {
    fn write(&mut self, bytes: &[u8], wait: &dyn Fn() -> bool) -> io::Result<()> {
        let open = self.socket.is_some();
        let first = self.send(bytes, wait);
        match first {
            // Whoever listened may have begun anew, at the same place.
            Err(error) if open && error.kind() != ErrorKind::TimedOut => {
                self.socket = None;
                self.send(bytes, wait)
            }
            first => first,
        }
    }

    fn send(&mut self, bytes: &[u8], wait: &dyn Fn() -> bool) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let socket = self.socket.insert(socket);
        loop {
            match socket.send(bytes) {
                Ok(_) => return Ok(()),
                Err(error) if is_passing(&error) => wait_writable(socket.as_fd(), wait)?,
                Err(error) => return Err(error),
            }
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Waits until `fd` takes something or has an error to tell.
fn wait_writable(fd: BorrowedFd<'_>, wait: &dyn Fn() -> bool) -> io::Result<()> {
    let glance = Timespec {
        tv_sec: 0,
        tv_nsec: GLANCE * 1_000_000,
    };
    loop {
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&glance)) {
            Ok(0) if !wait() => return Err(ErrorKind::TimedOut.into()),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    const PATIENT: fn() -> bool = || true;
    const HASTY: fn() -> bool = || false;

    #[test]
    fn files_are_appended_to_and_new_ones_are_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        Sink::file(&path).unwrap().write(b"one\n", &HASTY).unwrap();
        Sink::file(&path).unwrap().write(b"two\n", &HASTY).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Sink::file(folder.path()).is_err());
    }

    #[test]
    fn a_file_takes_many_lines_at_once_and_what_may_be_slow_takes_them_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut sink = Sink::file(&path).unwrap();
        assert_eq!(sink.write_together(b"one\ntwo\n"), 8);
        // As after a disk that was full in the middle of a line.
        assert_eq!(sink.write_together(b"thr"), 3);
        assert_eq!(sink.write_together(b"three\n"), 0);
        sink.write(b"three\n", &HASTY).unwrap();
        assert_eq!(sink.write_together(b"four\n"), 5);
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthr\nthree\nfour\n");

        let full = Sink::file(Path::new("/dev/full"))
            .unwrap()
            .write_together(b"one\n");
        let (_reader, writer) = io::pipe().unwrap();
        let mut pipe = Sink::stream(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        assert_eq!((full, pipe.write_together(b"one\n")), (0, 0));
        assert_eq!(Sink::socket(&path).write_together(b"one\n"), 0);
    }

    #[test]
    fn a_named_pipe_without_a_reader_is_an_error_and_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(Sink::file(&path).is_err());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut sink = Sink::file(Path::new("/dev/full")).unwrap();
        let error = sink.write(b"x\n", &PATIENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_full_pipe_is_waited_for_as_long_as_it_is_worth_and_a_torn_line_is_ended() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::stream(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        let long = vec![b'x'; 1 << 20];
        let error = sink.write(&long, &HASTY).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let mut taken = vec![0; CHUNK * 2];
        reader.read_exact(&mut taken).unwrap();
        sink.write(b"next\n", &HASTY).unwrap();
        drop(sink);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("x\nnext\n"));
    }

    #[test]
    fn a_socket_is_found_again_after_its_listener_began_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut sink = Sink::socket(&path);
        assert!(!sink.is_heard() && !is_socket(&path));
        assert!(sink.write(b"nobody", &HASTY).is_err());
        for round in 0..3 {
            let listener = UnixDatagram::bind(&path).unwrap();
            assert!(is_socket(&path));
            sink.write(b"heard", &HASTY).unwrap();
            let mut heard = [0; 9];
            assert_eq!(listener.recv(&mut heard).unwrap(), 5, "{round}");
            fs::remove_file(&path).unwrap();
        }
        assert!(sink.write(b"nobody", &HASTY).is_err());
        assert!(!sink.is_heard());
    }

    #[test]
    fn a_listener_that_does_not_read_is_waited_for_as_long_as_it_is_worth() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let listener = UnixDatagram::bind(&path).unwrap();
        let mut sink = Sink::socket(&path);
        let mut sent = 0;
        let error = loop {
            match sink.write(b"x", &HASTY) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        for _ in 0..sent {
            listener.recv(&mut [0; 2]).unwrap();
        }
        sink.write(b"again", &HASTY).unwrap();
    }
}
