//! A server that is played by a thread: it hears requests and gives ready-made replies.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ferroban::wire::frame::{self, Frame, Frames};
use ferroban::wire::text::repr;
use ferroban::wire::{Value, dumps, loads};

use crate::home::Home;

/// What a server answers; nothing if it does not.
type Manner = fn(&Value) -> Option<Value>;

/// Finds everything right, and never comes back from `sleep`.
pub(crate) const FRIENDLY: Manner = |request| {
    let words: Vec<&str> = request
        .elements()?
        .iter()
        .map_while(Value::as_str)
        .collect();
    let value = match words.as_slice() {
        ["ping"] => "pong".into(),
        ["server-status"] => "Server ready".into(),
        ["reload", ..] => "OK".into(),
        ["echo", words @ ..] => Value::strings(words.iter().copied()),
        ["sleep", ..] => return None,
        _ => Value::None,
    };
    Some(Value::Tuple(vec![0.into(), value]))
};

/// Finds every configuration wrong.
pub(crate) const BROKEN: Manner = |request| match request.elements()?.first()?.as_str()? {
    "server-stream" => {
        let error = Value::exception("NameError", "name 'bogus' is not defined");
        Some(Value::Tuple(vec![1.into(), error]))
    }
    _ => FRIENDLY(request),
};

/// The played server. It is there until this is dropped; `stop` only hides it.
pub(crate) struct Played {
    requests: Receiver<String>,
    places: [PathBuf; 2],
    thread: Option<JoinHandle<()>>,
}

/// What ends the play.
const CURTAIN: &str = "curtain";

impl Played {
    pub(crate) fn visible(home: &Home, manner: Manner) -> Self {
        let played = Self::hidden(home, manner);
        fs::rename(home.hidden_socket(), home.socket()).unwrap();
        played
    }

    /// One that nobody finds before it is started.
    pub(crate) fn hidden(home: &Home, manner: Manner) -> Self {
        let places = [home.hidden_socket(), home.socket()];
        let listener = UnixListener::bind(&places[0]).unwrap();
        let (sender, requests) = channel();
        let own = places.clone();
        let play = move || while serve(&listener, &own, manner, &sender) {};
        let thread = thread::Builder::new()
            .name("played".into())
            .spawn(play)
            .unwrap();
        Self {
            requests,
            places,
            thread: Some(thread),
        }
    }

    /// What it has heard since the last time.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }

    /// The next thing it hears.
    pub(crate) fn next(&self) -> String {
        self.requests
            .recv_timeout(Duration::from_secs(20))
            .expect("it is asked something")
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let stream = self
            .places
            .iter()
            .find_map(|path| UnixStream::connect(path).ok());
        if let Some(mut stream) = stream {
            frame::write(&mut stream, &dumps(&CURTAIN.into())).ok();
        }
        // It may have panicked; then the test has failed already.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Serves one client. False if it was the last.
fn serve(
    listener: &UnixListener,
    [hidden, visible]: &[PathBuf; 2],
    manner: Manner,
    heard: &Sender<String>,
) -> bool {
    let Ok((mut stream, _)) = listener.accept() else {
        return false;
    };
    let mut frames = Frames::default();
    while let Ok(Some(Frame::Message(message))) = frames.read(&mut stream) {
        let request = loads(&message).unwrap();
        if request == CURTAIN.into() {
            return false;
        }
        if request == Value::strings(["stop"]) {
            fs::rename(visible, hidden).unwrap();
        }
        heard.send(repr(&request)).ok();
        let written: io::Result<()> = match manner(&request) {
            Some(reply) => frame::write(&mut stream, &dumps(&reply)).map_err(io::Error::other),
            None => Ok(()),
        };
        if written.is_err() {
            break;
        }
    }
    true
}
