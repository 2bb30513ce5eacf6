//! Cuts the stream on the control socket into messages.
//!
//! A message is its bytes and then [`END`]; there is no length in front. The message
//! [`CLOSE`] asks the other side to hang up. Bytes may arrive in any portions, and many
//! messages in one portion. What a message says is left to [`pickle`](super::pickle).
//!
//! A marker inside a message cuts it in two, whoever wrote it: the stream does not tell
//! the two apart. So nothing with a marker inside is ever written.
//!
//! A peer that never sends the marker costs at most the limit given to [`Frames::new`].

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};

use memchr::memmem;

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
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
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
        let found = memmem::find(unseen, END);
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
        let message = self.cut(end);
        Ok(Some(if message == CLOSE {
            Frame::Close
        } else {
            Frame::Message(message)
        }))
    }

    /// Takes the message that ends here, and its marker, out of the buffer. A long one
    /// is handed over as it lies: only what follows it is copied.
    fn cut(&mut self, end: usize) -> Vec<u8> {
        let after = end + END.len();
        let left = self.buffer.len() - after;
        let message = if self.start == 0 && left < end {
            let rest = self.buffer.split_off(after);
            self.buffer.truncate(end);
            self.searched = 0;
            std::mem::replace(&mut self.buffer, rest)
        } else {
            let message = self.buffer.get(self.start..end).unwrap_or_default();
            let message = message.to_vec();
            self.start = after;
            self.searched = after;
            message
        };
        if self.start == self.buffer.len() {
            // Whoever says nothing more costs nothing.
            *self = Self::new(self.limit);
        }
        message
    }

    /// Whether bytes wait for the rest of their message.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// How many bytes wait: those of messages not yet given out, and the first part of one.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.start
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
    refuse_marker(message)?;
    target.write_all(message)?;
    target.write_all(END)?;
    target.flush()?;
    Ok(())
}

/// The bytes of a message as they go over the wire.
///
/// # Errors
/// The message holds the marker and would be cut by the reader.
pub fn marked(mut message: Vec<u8>) -> Result<Vec<u8>, FrameError> {
    refuse_marker(&message)?;
    message.extend_from_slice(END);
    Ok(message)
}

fn refuse_marker(message: &[u8]) -> Result<(), FrameError> {
    match memmem::find(message, END) {
        Some(_) => Err(FrameError::MarkerInside),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(frames: &mut Frames) -> Vec<Frame> {
        std::iter::from_fn(|| frames.next().unwrap()).collect()
    }

    fn marked(message: &[u8]) -> Vec<u8> {
        super::marked(message.into()).unwrap()
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
        assert!(super::marked(b"a<F2B_END_COMMAND>b".into()).is_err());
    }

    #[test]
    fn a_marker_inside_a_message_makes_two_of_it() {
        let mut frames = Frames::default();
        frames.push(b"a<F2B_END_COMMAND>b<F2B_END_COMMAND>");
        let expected = [Frame::Message(b"a".into()), Frame::Message(b"b".into())];
        assert_eq!(all(&mut frames), expected);
    }

    #[test]
    fn what_was_given_out_costs_nothing_any_more() {
        let mut frames = Frames::default();
        for size in [10, 1 << 20] {
            frames.push(&marked(&vec![b'x'; size]));
            assert_eq!(all(&mut frames), [Frame::Message(vec![b'x'; size])]);
            assert_eq!((frames.buffer.capacity(), frames.waiting()), (0, 0));
        }
        frames.push(&[&marked(b"one")[..], b"tw"].concat());
        assert_eq!(frames.waiting(), 22);
        assert_eq!(all(&mut frames).len(), 1);
        assert_eq!(frames.waiting(), 2);
    }

    /// What a stream must come to, by the shortest way there is.
    fn expected(stream: &[u8], limit: usize) -> (Vec<Frame>, bool) {
        let mut found = Vec::new();
        let mut rest = stream;
        while let Some(end) = rest.windows(END.len()).position(|bytes| bytes == END) {
            if end > limit {
                return (found, true);
            }
            found.push(if &rest[..end] == CLOSE {
                Frame::Close
            } else {
                Frame::Message(rest[..end].into())
            });
            rest = &rest[end + END.len()..];
        }
        // The last bytes may be the beginning of a marker.
        (found, (rest.len() + 1).saturating_sub(END.len()) > limit)
    }

    proptest! {
        #[test]
        fn any_split_gives_what_was_written(
            parts in prop::collection::vec(
                prop_oneof![
                    "[<>F2B_ENDCOMAL]{0,40}",
                    "<F2B_END_COMMAN.{0,3}",
                    Just("<F2B_END_COMMAND>".to_owned()),
                    Just("<F2B_CLOSE_COMMAND>".to_owned()),
                ],
                0..12,
            ),
            portions in prop::collection::vec(1..40_usize, 1..30),
            limit in 0..60_usize,
        ) {
            let stream = parts.concat().into_bytes();
            let (messages, refused) = expected(&stream, limit);
            let mut frames = Frames::new(limit);
            let mut got = Vec::new();
            let mut rest = &stream[..];
            let mut error = false;
            for size in portions.iter().cycle() {
                if rest.is_empty() || error {
                    break;
                }
                let (now, later) = rest.split_at(rest.len().min(*size));
                frames.push(now);
                error = loop {
                    match frames.next() {
                        Ok(Some(frame)) => got.push(frame),
                        Ok(None) => break false,
                        Err(_) => break true,
                    }
                };
                prop_assert!(error || frames.waiting() < limit + END.len());
                rest = later;
            }
            prop_assert_eq!(got, messages);
            prop_assert_eq!(error, refused);
            prop_assert!(!error || frames.next().is_err(), "stays an error");
        }

        #[test]
        fn what_is_written_is_read(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        ) {
            let mut stream = Vec::new();
            for message in &messages {
                write(&mut stream, message).unwrap();
            }
            let mut frames = Frames::default();
            frames.push(&stream);
            let whole = messages.into_iter().map(Frame::Message).collect::<Vec<_>>();
            prop_assert_eq!(all(&mut frames), whole);
            prop_assert!(!frames.is_partial());
        }
    }
}
