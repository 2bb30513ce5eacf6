//! A connection with a mail server, and the time it has.
//!
//! Every wait counts against one deadline, however slowly the other side drips, and what
//! it says is bounded.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use memchr::memchr;

use super::error::{Reply, Step, What};
use crate::clock;

/// The longest line of a reply, in bytes: four times what is allowed.
const MOST_LINE: usize = 2048;
/// The most lines of a reply.
const MOST_LINES: usize = 100;

/// A socket whose every wait ends at a deadline.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) socket: TcpStream,
    pub(super) deadline: Instant,
}

impl Timed {
    fn within<T>(
        &mut self,
        mut work: impl FnMut(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let left = self.deadline.saturating_duration_since(clock::tick());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            self.socket.set_write_timeout(Some(left))?;
            match work(&mut self.socket) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                result => return result,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.within(|socket| socket.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.within(|socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[derive(Debug)]
enum Stream {
    Plain(Timed),
    #[cfg(feature = "tls")]
    Tls(Box<super::tls::Stream>),
}

/// Lines to and fro.
#[derive(Debug)]
pub(super) struct Link {
    /// Nothing once it broke while it changed.
    stream: Option<Stream>,
    /// What was read and is in no line yet.
    input: Vec<u8>,
}

impl Link {
    /// Connects to the first of the addresses that takes it.
    pub(super) fn open(addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<Self, What> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let left = deadline.saturating_duration_since(clock::tick());
            if left.is_zero() {
                last = io::ErrorKind::TimedOut.into();
                break;
            }
            match TcpStream::connect_timeout(&SocketAddr::new(*address, port), left) {
                Ok(socket) => {
                    // Commands are short, and each waits for its answer.
                    socket.set_nodelay(true).ok();
                    return Ok(Self {
                        stream: Some(Stream::Plain(Timed { socket, deadline })),
                        input: Vec::new(),
                    });
                }
                Err(error) => last = error,
            }
        }
        let during = Step::Connect;
        Err(What::Broken {
            during,
            source: last,
        })
    }

    /// From now on it has until then.
    pub(super) fn extend(&mut self, deadline: Instant) {
        match &mut self.stream {
            Some(Stream::Plain(timed)) => timed.deadline = deadline,
            #[cfg(feature = "tls")]
            Some(Stream::Tls(stream)) => stream.sock.deadline = deadline,
            None => {}
        }
    }

    /// The address that we have for the server.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        let socket = match &self.stream {
            Some(Stream::Plain(timed)) => &timed.socket,
            #[cfg(feature = "tls")]
            Some(Stream::Tls(stream)) => &stream.sock.socket,
            None => return None,
        };
        Some(socket.local_addr().ok()?.ip())
    }

    /// Nobody else reads or writes from here on. What somebody put between before that is
    /// not taken for what the server said.
    #[cfg(feature = "tls")]
    pub(super) fn encrypt(&mut self, trust: &super::tls::Trust, host: &str) -> Result<(), What> {
        if !self.input.is_empty() {
            return Err(What::Nonsense(Step::Tls));
        }
        let Some(Stream::Plain(timed)) = self.stream.take() else {
            return Err(What::Nonsense(Step::Tls));
        };
        let stream = trust.encrypt(timed, host)?;
        self.stream = Some(Stream::Tls(Box::new(stream)));
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], during: Step) -> Result<(), What> {
        let stream: &mut dyn Write = match &mut self.stream {
            Some(Stream::Plain(timed)) => timed,
            #[cfg(feature = "tls")]
            Some(Stream::Tls(stream)) => stream,
            None => return Err(closed(during)),
        };
        let result = stream.write_all(bytes).and_then(|()| stream.flush());
        result.map_err(|source| What::Broken { during, source })
    }

    /// Reads a reply to its last line.
    pub(super) fn reply(&mut self, during: Step) -> Result<Reply, What> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(during)?;
            let (code, is_last, text) = parsed(&line).ok_or(What::Nonsense(during))?;
            lines.push(text.to_owned());
            if is_last {
                return Ok(Reply { code, lines });
            }
            if lines.len() == MOST_LINES {
                return Err(What::Nonsense(during));
            }
        }
    }

    fn line(&mut self, during: Step) -> Result<String, What> {
        loop {
            if let Some(end) = memchr(b'\n', &self.input) {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.input.len() > MOST_LINE {
                return Err(What::Nonsense(during));
            }
            let mut buffer = [0; 1024];
            let stream: &mut dyn Read = match &mut self.stream {
                Some(Stream::Plain(timed)) => timed,
                #[cfg(feature = "tls")]
                Some(Stream::Tls(stream)) => stream,
                None => return Err(closed(during)),
            };
            let count = stream.read(&mut buffer);
            match count.map_err(|source| What::Broken { during, source })? {
                0 => return Err(closed(during)),
                count => self.input.extend(buffer.iter().take(count)),
            }
        }
    }
}

/// The server hung up.
fn closed(during: Step) -> What {
    What::Broken {
        during,
        source: io::ErrorKind::UnexpectedEof.into(),
    }
}

/// The code of a line of a reply, whether it is the last, and its text.
fn parsed(line: &str) -> Option<(u16, bool, &str)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_code = digits.bytes().all(|byte| byte.is_ascii_digit());
    let code = digits.parse().ok().filter(|_| is_code)?;
    if !(200..600).contains(&code) {
        return None;
    }
    match rest.chars().next() {
        None => Some((code, true, "")),
        Some(' ') => Some((code, true, rest.get(1..)?)),
        Some('-') => Some((code, false, rest.get(1..)?)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_a_reply_has_a_code_and_says_whether_more_follows() {
        let cases = [
            ("250 fine", Some((250, true, "fine"))),
            ("250-one", Some((250, false, "one"))),
            ("354", Some((354, true, ""))),
            ("250 ", Some((250, true, ""))),
            ("25", None),
            ("+50 x", None),
            ("199 x", None),
            ("600 x", None),
            ("250x", None),
            ("HTTP/1.1 400 Bad Request", None),
            ("", None),
            ("25ü x", None),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_a_reply_or_none(line in "\\PC{0,20}|[2-5][0-9]{2}[ -]\\PC{0,20}") {
            if let Some((code, _, text)) = parsed(&line) {
                prop_assert!((200..600).contains(&code));
                prop_assert!(line.ends_with(text));
            }
        }
    }
}
