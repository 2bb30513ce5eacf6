//! A connection to a server, without a client between.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use ferroban::wire::frame::{Frame, Frames, marked};
use ferroban::wire::{Value, dumps, loads, text};

use crate::support::wait::SOON;

pub(crate) struct Raw {
    stream: UnixStream,
    frames: Frames,
}

impl Raw {
    pub(crate) fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the server listens");
        stream
            .set_read_timeout(Some(SOON))
            .expect("any time is a limit");
        Self {
            stream,
            frames: Frames::default(),
        }
    }

    /// Sends requests, all in one piece.
    pub(crate) fn send(&mut self, requests: &[&[&str]]) {
        let message = |words: &&[&str]| {
            let words = Value::strings(words.iter().copied());
            marked(dumps(&words)).expect("no test writes the marker")
        };
        let all: Vec<u8> = requests.iter().flat_map(message).collect();
        self.stream.write_all(&all).expect("the server reads");
    }

    /// The next reply, as Python shows it.
    pub(crate) fn reply(&mut self) -> String {
        match self.frames.read(&mut self.stream) {
            Ok(Some(Frame::Message(reply))) => text::repr(&loads(&reply).expect("it is a pickle")),
            other => panic!("no reply: {other:?}"),
        }
    }
}
