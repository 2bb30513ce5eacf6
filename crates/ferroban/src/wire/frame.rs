//! Cuts the stream on the control socket into messages.
//!
//! A message is its bytes and then [`END`]; there is no length in front. The message
//! [`CLOSE`] asks the other side to hang up. Bytes may arrive in any portions, and many
//! messages in one portion. What a message says is left to [`pickle`](super::pickle).
//!
//! A peer that never sends the marker costs at most the limit given to [`Frames::new`].

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};

/// Ends every message, in both directions.
pub const END: &[u8] = b"<F2B_END_COMMAND>";
/// The message that asks the daemon to close the connection; it is not answered.
pub const CLOSE: &[u8] = b"<F2B_CLOSE_COMMAND>";
/// The longest message taken from a client.
pub const LIMIT: usize = 16 << 20;

/// How much is read at once.
const PORTION: usize = 32 << 10;

/// One message, without its end marker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// A request or a reply.
    Message(Vec<u8>),
    /// The other side wants to hang up.
    Close,
}

/// Why a stream yields no further message.
#[derive(Debug)]
pub enum FrameError {
    /// More bytes than allowed came without an end marker.
    TooLong {
        /// The number of bytes a message may have.
        limit: usize,
    },
    /// The other side hung up in the middle of a message.
    Cut,
    /// The message to be written has the end marker within.
    MarkerInside,
    /// Reading or writing failed.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "message is longer than {limit} bytes"),
            Self::Cut => write!(f, "connection ended within a message"),
            Self::MarkerInside => write!(f, "message contains the end marker"),
            Self::Io(_) => write!(f, "control socket failed"),
        }
    }
}

impl Error for FrameError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Bytes that arrived and are not yet given out as messages.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Bytes before this place were given out.
    start: usize,
    /// No marker begins between `start` and this place.
    searched: usize,
    limit: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl Frames {
    /// Nothing received so far; messages may have up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            limit,
        }
    }

    /// Takes bytes as they came. Ask [`next`](Self::next) until it has no more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], for ever after: the place where the next message would
    /// begin is lost.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` means not yet, an iterator's would mean never again"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        let found = unseen.windows(END.len()).position(|bytes| bytes == END);
        let end = match found {
            Some(offset) => self.searched + offset,
            // A marker may have begun in the last bytes.
            None => (self.buffer.len() + 1)
                .saturating_sub(END.len())
                .max(self.searched),
        };
        self.searched = end;
        if end - self.start > self.limit {
            return Err(FrameError::TooLong { limit: self.limit });
        }
        if found.is_none() {
            return Ok(None);
        }
        let message = self.buffer.get(self.start..end).unwrap_or_default();
        let frame = if message == CLOSE {
            Frame::Close
        } else {
            Frame::Message(message.to_vec())
        };
        self.start = end + END.len();
        self.searched = self.start;
        Ok(Some(frame))
    }

    /// Whether bytes wait for the rest of their message.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// Reads until a message is complete; `None` if the other side hung up between two.
    ///
    /// # Errors
    /// Reading failed, the message is too long, or the stream ended within it.
    pub fn read(&mut self, source: &mut impl Read) -> Result<Option<Frame>, FrameError> {
        let mut portion = vec![0; PORTION];
        loop {
            if let Some(frame) = self.next()? {
                return Ok(Some(frame));
            }
            match source.read(&mut portion) {
                Ok(0) if self.is_partial() => return Err(FrameError::Cut),
                Ok(0) => return Ok(None),
                Ok(count) => self.push(portion.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes one message and its end marker.
///
/// # Errors
/// Writing failed, or the message holds the marker and would be cut by the reader; then
/// nothing is written.
pub fn write(target: &mut impl Write, message: &[u8]) -> Result<(), FrameError> {
    if message.windows(END.len()).any(|bytes| bytes == END) {
        return Err(FrameError::MarkerInside);
    }
    target.write_all(message)?;
    target.write_all(END)?;
    target.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(frames: &mut Frames) -> Vec<Frame> {
        std::iter::from_fn(|| frames.next().unwrap()).collect()
    }

    fn marked(message: &[u8]) -> Vec<u8> {
        [message, END].concat()
    }

    #[test]
    fn a_byte_at_a_time_gives_the_same_messages() {
        let stream = [marked(b"one"), marked(b""), marked(CLOSE)].concat();
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for byte in &stream {
            frames.push(&[*byte]);
            got.extend(all(&mut frames));
        }
        let expected = [
            Frame::Message(b"one".into()),
            Frame::Message(b"".into()),
            Frame::Close,
        ];
        assert_eq!(got, expected);
        assert!(!frames.is_partial());
    }

    #[test]
    fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
        let mut frames = Frames::new(5);
        frames.push(&marked(b"12345"));
        assert_eq!(all(&mut frames), [Frame::Message(b"12345".into())]);
        frames.push(&marked(b"123456"));
        assert!(matches!(
            frames.next(),
            Err(FrameError::TooLong { limit: 5 })
        ));
        assert!(frames.next().is_err(), "stays an error");
    }

    #[test]
    fn a_stream_without_a_marker_is_refused_before_it_is_long() {
        let mut frames = Frames::new(100);
        let refused = (0..200).find(|_| {
            frames.push(b"x");
            frames.next().is_err()
        });
        assert_eq!(refused, Some(100 + END.len() - 1));
    }

    #[test]
    fn read_tells_a_hang_up_between_messages_from_one_within() {
        let stream = [&marked(b"one")[..], b"tw"].concat();
        let mut source = &stream[..];
        let mut frames = Frames::default();
        let first = frames.read(&mut source).unwrap();
        assert_eq!(first, Some(Frame::Message(b"one".into())));
        assert!(matches!(frames.read(&mut source), Err(FrameError::Cut)));
        let whole = marked(b"one");
        let mut source = &whole[..];
        let mut frames = Frames::default();
        assert!(frames.read(&mut source).unwrap().is_some());
        assert!(frames.read(&mut source).unwrap().is_none());
    }

    #[test]
    fn a_message_with_the_marker_within_is_not_written() {
        let mut target = Vec::new();
        let error = write(&mut target, b"a<F2B_END_COMMAND>b").unwrap_err();
        assert!(matches!(error, FrameError::MarkerInside));
        assert_eq!(target, b"");
    }

    proptest! {
        #[test]
        fn any_split_gives_what_was_written(
            messages in prop::collection::vec("[<>F2B_ENDCOMAL]{0,40}|<F2B_END_COMMAN.{0,3}", 0..6),
            portions in prop::collection::vec(1..40_usize, 1..30),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for message in &messages {
                if write(&mut stream, message.as_bytes()).is_ok() {
                    expected.push(Frame::Message(message.as_bytes().to_vec()));
                }
            }
            let mut frames = Frames::default();
            let mut got = Vec::new();
            let mut rest = &stream[..];
            for size in portions.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(rest.len().min(*size));
                frames.push(now);
                got.extend(all(&mut frames));
                rest = later;
            }
            prop_assert_eq!(got, expected);
            prop_assert!(!frames.is_partial());
        }
    }
}
