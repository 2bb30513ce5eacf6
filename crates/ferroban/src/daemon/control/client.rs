//! One client: what it has sent, what it is owed, and since when.
//!
//! Its requests are taken one after the other, and nothing more is received while one
//! is being answered, so whoever sends many at once makes only itself wait.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::limits::Limits;
use crate::daemon::office::Caller;
use crate::wire::frame::{self, Frame, FrameError, Frames};
use crate::wire::{Value, dumps};

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    pub(super) caller: Caller,
    frames: Frames,
    state: State,
    turn: Turn,
    /// When it last began to be waited for, or to wait.
    begun: Instant,
    /// When bytes last moved.
    moved: Instant,
    /// It sends nothing any more.
    hung_up: bool,
    /// It takes nothing any more. What it has ordered is carried out all the same.
    deaf: bool,
}

#[derive(Debug)]
enum State {
    /// Its request arrives.
    Receiving,
    /// Its request waits to be carried out.
    Queued(Vec<u8>),
    /// Its request is being carried out.
    Asked,
    /// Its reply waits until then.
    Resting(Vec<u8>, Instant),
    /// It takes its reply: these bytes, and how many are sent.
    Replying(Vec<u8>, usize),
}

/// How much a client may send before it has to wait.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Turn {
    /// A small request, as everybody.
    Small,
    /// One that is not small, until it is answered.
    Medium,
    /// As much as is allowed at all.
    Long,
}

impl Turn {
    fn bytes(self, limits: &Limits) -> usize {
        match self {
            Self::Small => limits.small,
            Self::Medium => limits.medium,
            // Nobody waits for more: that is refused.
            Self::Long => usize::MAX,
        }
    }
}

/// What a client has to say.
#[derive(Debug)]
pub(super) enum Next {
    /// A request, now queued.
    Request,
    /// Not enough yet.
    Nothing,
    /// Goodbye.
    Over,
    /// More than it may.
    TooLong(FrameError),
}

/// How far a reply has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    All,
    Some,
}

impl Client {
    pub(super) fn new(stream: UnixStream, caller: Caller, limits: &Limits, now: Instant) -> Self {
        Self {
            stream,
            caller,
            frames: Frames::new(limits.longest),
            state: State::Receiving,
            turn: Turn::Small,
            begun: now,
            moved: now,
            hung_up: false,
            deaf: false,
        }
    }

    /// What to wait for; nothing while it waits for us.
    pub(super) fn interest(&self, limits: &Limits) -> Option<PollFlags> {
        match self.state {
            State::Receiving if self.hung_up || self.waits_for(limits).is_some() => None,
            State::Receiving => Some(PollFlags::IN),
            State::Replying(..) => Some(PollFlags::OUT),
            State::Queued(_) | State::Asked | State::Resting(..) => None,
        }
    }

    pub(super) fn is_receiving(&self) -> bool {
        matches!(self.state, State::Receiving)
    }

    /// Whether a request of its is being answered.
    pub(super) fn is_owed(&self) -> bool {
        !matches!(self.state, State::Receiving | State::Resting(..))
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn
    }

    /// Which turn it waits for; nothing is received from it until it has it.
    pub(super) fn waits_for(&self, limits: &Limits) -> Option<Turn> {
        if !self.is_receiving() || self.frames.waiting() < self.turn.bytes(limits) {
            return None;
        }
        match self.turn {
            Turn::Small => Some(Turn::Medium),
            Turn::Medium => Some(Turn::Long),
            Turn::Long => None,
        }
    }

    /// Since when nothing moves.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// How many bytes of its reply it has not taken.
    pub(super) fn unsent(&self) -> usize {
        match &self.state {
            State::Replying(bytes, sent) => bytes.len() - sent,
            _ => 0,
        }
    }

    /// Whether it has sent a part of a request.
    pub(super) fn is_partial(&self) -> bool {
        self.frames.is_partial()
    }

    /// Receives one portion.
    pub(super) fn receive(&mut self, portion: &mut [u8], limits: &Limits, now: Instant) {
        let room = self
            .turn
            .bytes(limits)
            .saturating_sub(self.frames.waiting());
        let room = room.min(portion.len());
        let portion = portion.get_mut(..room).unwrap_or_default();
        match recv(&self.stream, &mut *portion, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.hung_up = true,
            Ok((count, _)) => {
                if !self.frames.is_partial() {
                    self.begun = now;
                }
                self.moved = now;
                self.frames.push(portion.get(..count).unwrap_or_default());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.hung_up = true,
        }
    }

    /// Looks at what has been received.
    pub(super) fn next(&mut self) -> Next {
        match self.frames.next() {
            Ok(Some(Frame::Message(request))) => {
                self.state = State::Queued(request);
                Next::Request
            }
            Ok(Some(Frame::Close)) => Next::Over,
            Ok(None) if self.hung_up => Next::Over,
            Ok(None) => Next::Nothing,
            Err(error) => Next::TooLong(error),
        }
    }

    pub(super) fn give(&mut self, turn: Turn, now: Instant) {
        self.turn = turn;
        self.begun = now;
        self.moved = now;
    }

    /// Its request, to be carried out.
    pub(super) fn take_request(&mut self) -> Option<Vec<u8>> {
        let State::Queued(request) = &mut self.state else {
            return None;
        };
        let request = std::mem::take(request);
        self.state = State::Asked;
        Some(request)
    }

    /// Owes it a reply, and sends it later.
    pub(super) fn rest(&mut self, reply: Vec<u8>, until: Instant, now: Instant) {
        self.turn = Turn::Small;
        self.begun = now;
        self.state = State::Resting(reply, until);
    }

    /// The reply that was to wait until now.
    pub(super) fn rested(&mut self, now: Instant) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Resting(reply, until) if *until <= now => Some(std::mem::take(reply)),
            _ => None,
        }
    }

    /// Owes it a reply; `send` sends it.
    pub(super) fn reply(&mut self, reply: Vec<u8>, now: Instant) {
        let bytes = frame::marked(reply).unwrap_or_else(|error| complaint(&error.to_string()));
        self.turn = Turn::Small;
        self.begun = now;
        self.moved = now;
        self.state = State::Replying(bytes, 0);
    }

    /// Tells it why it has to go, if it has room to hear it.
    pub(super) fn dismiss(mut self, text: &str, now: Instant) {
        self.state = State::Replying(complaint(text), 0);
        self.send(now);
    }

    /// Sends as much of the reply as it takes.
    pub(super) fn send(&mut self, now: Instant) -> Sent {
        let State::Replying(bytes, sent) = &mut self.state else {
            return Sent::All;
        };
        while !self.deaf && *sent < bytes.len() {
            let rest = bytes.get(*sent..).unwrap_or_default();
            match send(
                &self.stream,
                rest,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(count) => {
                    *sent += count;
                    self.moved = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Sent::Some,
                Err(_) => self.deaf = true,
            }
        }
        self.state = State::Receiving;
        self.begun = now;
        self.moved = now;
        Sent::All
    }

    /// When our patience with it ends. `wanted`: others wait for what it holds.
    pub(super) fn due(&self, limits: &Limits, wanted: Wanted) -> Option<Instant> {
        let patience = &limits.patience;
        match self.state {
            State::Receiving if self.waits_for(limits).is_some() => None,
            State::Receiving if self.turn > Turn::Small && wanted.turns => {
                Some((self.moved + patience.pause).min(self.begun + patience.turn))
            }
            State::Receiving if self.is_partial() => Some(self.begun + patience.arrival),
            State::Receiving => Some(self.begun + patience.silence),
            State::Queued(_) | State::Asked => None,
            State::Resting(_, until) => Some(until),
            State::Replying(..) if wanted.room => Some(self.moved + patience.pause),
            State::Replying(..) => {
                Some((self.moved + patience.stuck).min(self.begun + patience.delivery))
            }
        }
    }

    /// Since when it may be asked to make room; never while its request is at work.
    /// Who waits for a turn through no fault of its own does so after all others.
    pub(super) fn in_the_way(&self, limits: &Limits) -> Option<(bool, Instant)> {
        match self.state {
            State::Receiving | State::Resting(..) | State::Replying(..) => {
                Some((self.waits_for(limits).is_some(), self.begun))
            }
            State::Queued(_) | State::Asked => None,
        }
    }

    /// The connection, for a stream of replies.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// What others wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// A turn.
    pub(super) turns: bool,
    /// Room for replies.
    pub(super) room: bool,
}

/// What the original says when it cannot understand a request.
fn complaint(text: &str) -> Vec<u8> {
    let reply = dumps(&Value::from(format!("ERROR: {text}")));
    frame::marked(reply).unwrap_or_default()
}
