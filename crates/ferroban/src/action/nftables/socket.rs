//! The conversation with the kernel: one netlink socket, transactions and dumps.
//!
//! The kernel works a batch off inside the call that sends it, so afterwards all
//! answers lie ready and are read without waiting. The last message of a batch
//! asks for an acknowledgement: silence is never taken for success.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{self, netlink, sockopt};

use super::super::netlink as link;
use super::message::{
    self, Attributes, Batch, DONE, DUMP, ERROR, INET, INTERRUPTED, Message, Reader,
};

/// Room for a large batch and for the answers to it; the kernel takes it only
/// while it is in use.
const ROOM: usize = 32 << 20;
/// How often a dump is repeated because the ruleset changed meanwhile.
const DUMP_ATTEMPTS: u32 = 6;

const GET_GENERATION: u16 = 16;
const GENERATION_ID: u16 = 1;

/// Why a batch was rolled back.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum BatchError {
    /// The batch as a whole.
    Whole(Errno),
    /// Some of its messages: index and reason, all that were found.
    Messages(Vec<(u32, Errno)>),
}

impl BatchError {
    /// One reason, for those who sent few messages.
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Whole(errno) => *errno,
            Self::Messages(refused) => refused.first().map_or(Errno::IO, |(_, errno)| *errno),
        }
    }
}

/// A socket that speaks with netfilter and with nobody else.
#[derive(Debug)]
pub(super) struct Socket {
    link: link::Socket,
}

/// The addresses of all sockets that this process has had. The kernel tells of each change by
/// which of them it was made, also when that is closed already.
static OURS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Whether the change that a message tells was made by this process.
pub(super) fn is_ours(port: u32) -> bool {
    let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.contains(&port)
}

impl Socket {
    /// Opens and binds it. Needs no right yet: the first question does.
    pub(super) fn open() -> Result<Self, Errno> {
        let link = link::Socket::open(netlink::NETFILTER)?;
        let port = net::getsockname(&link.fd)?;
        if let Ok(own) = netlink::SocketAddrNetlink::try_from(port) {
            let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
            ours.insert(own.pid());
        }
        if sockopt::set_socket_send_buffer_size_force(&link.fd, ROOM).is_err() {
            sockopt::set_socket_send_buffer_size(&link.fd, ROOM)?;
        }
        if sockopt::set_socket_recv_buffer_size_force(&link.fd, ROOM).is_err() {
            sockopt::set_socket_recv_buffer_size(&link.fd, ROOM)?;
        }
        Ok(Self { link })
    }

    /// How many bytes one batch may have. Half of what the kernel says, which
    /// counts its own bookkeeping too.
    pub(super) fn capacity(&self) -> usize {
        sockopt::socket_send_buffer_size(&self.link.fd).unwrap_or(0) / 2
    }

    /// The descriptor, for tests that make it small.
    #[cfg(test)]
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.link.fd
    }

    /// An empty batch, to be sent before the next question is asked. With a
    /// `generation` it is refused with [`Errno::RESTART`] once the ruleset is no
    /// longer that one.
    pub(super) fn batch(&mut self, generation: Option<u32>) -> Batch {
        Batch::new(self.link.next(), generation)
    }

    /// Carries out a batch: all of it or nothing.
    pub(super) fn transaction(&mut self, mut batch: Batch) -> Result<(), BatchError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.link.go_on_after(batch.last_seq().wrapping_add(1));
        let bytes = batch.finish().map_err(BatchError::Whole)?;
        self.link.send(bytes).map_err(BatchError::Whole)?;
        let mut answers = Answers::default();
        while let Some(told) = self.link.poll().map_err(BatchError::Whole)? {
            answers.take(&batch, told);
        }
        answers.verdict()
    }

    /// Asks for everything of a kind and hands each message to `each`, once the
    /// whole answer is there. The ruleset may change meanwhile; then the dump is
    /// repeated, and after a few attempts the last one counts, which can lack or
    /// repeat what was changing.
    pub(super) fn dump(
        &mut self,
        kind: u16,
        fill: impl FnMut(&mut Attributes),
        each: impl FnMut(Message<'_>),
    ) -> Result<(), Errno> {
        self.dump_in((INET, kind), usize::MAX, fill, each)
    }

    /// The same about a table of any family. If there is more than `most` bytes, the rest is not
    /// waited for: that is [`Errno::TOOBIG`].
    pub(super) fn dump_in(
        &mut self,
        (family, kind): (u8, u16),
        most: usize,
        mut fill: impl FnMut(&mut Attributes),
        mut each: impl FnMut(Message<'_>),
    ) -> Result<(), Errno> {
        let mut parts = Vec::new();
        for _ in 0..DUMP_ATTEMPTS {
            parts.clear();
            if self.dump_once((family, kind), most, &mut fill, &mut parts)? {
                break;
            }
        }
        for part in &parts {
            message::messages(part)
                .filter(|message| !message.is_control())
                .for_each(&mut each);
        }
        Ok(())
    }

    /// Asks several questions, each of which has one answer, in one go, and hands what is told to
    /// `each`. Nobody is asked to wait for a dump, and a *no* costs nothing.
    pub(super) fn ask<T>(
        &mut self,
        kind: u16,
        questions: &[T],
        fill: impl Fn(&T, &mut Attributes),
        mut each: impl FnMut(Message<'_>),
    ) -> Result<Vec<Result<(), Errno>>, Errno> {
        let mut first = None;
        let mut bytes = Vec::new();
        for question in questions {
            let seq = self.link.next();
            first = first.or(Some(seq));
            bytes.extend(message::request(kind, 0, seq, |out| fill(question, out)));
        }
        self.link.send(&bytes)?;
        let mut answers = vec![Err(Errno::NOMSG); questions.len()];
        while let Some(told) = self.link.poll()? {
            for answer in message::messages(told) {
                let place = answer.seq.wrapping_sub(first.unwrap_or(answer.seq));
                let place = usize::try_from(place).ok();
                if let Some(place) = place.and_then(|place| answers.get_mut(place)) {
                    *place = if answer.is_control() {
                        answer.outcome()
                    } else {
                        each(answer);
                        Ok(())
                    };
                }
            }
        }
        Ok(answers)
    }

    /// The number of the ruleset's present state. The first question of all, it
    /// also tells whether we may ask and whether anybody answers.
    pub(super) fn generation(&mut self) -> Result<u32, Errno> {
        let number = |answer: Reader<'_>| answer.number(GENERATION_ID);
        let number = self.question((0, GET_GENERATION), |_| (), number)?;
        number.ok_or(Errno::PROTO)
    }

    /// Asks about one thing, in a table of any family, and reads the answer.
    pub(super) fn question<T>(
        &mut self,
        (family, kind): (u8, u16),
        fill: impl FnOnce(&mut Attributes),
        read: impl FnOnce(Reader<'_>) -> T,
    ) -> Result<T, Errno> {
        let seq = self.link.next();
        let question = message::request_in(family, (kind, 0), seq, fill);
        self.link.send(&question)?;
        loop {
            for answer in message::messages(self.link.wait()?) {
                if answer.seq != seq {
                    continue;
                }
                if !answer.is_control() {
                    return Ok(read(answer.attributes()));
                }
                answer.outcome()?;
            }
        }
    }

    /// One dump; whether nothing changed while it ran.
    fn dump_once(
        &mut self,
        (family, kind): (u8, u16),
        most: usize,
        fill: &mut impl FnMut(&mut Attributes),
        parts: &mut Vec<Vec<u8>>,
    ) -> Result<bool, Errno> {
        let mut read = 0;
        let seq = self.link.next();
        let question = message::request_in(family, (kind, DUMP), seq, fill);
        self.link.send(&question)?;
        let mut steady = true;
        loop {
            let part = self.link.wait()?;
            let mut done = false;
            for answer in message::messages(part).filter(|answer| answer.seq == seq) {
                steady &= answer.flags & INTERRUPTED == 0;
                if answer.is_control() && matches!(answer.kind, DONE | ERROR) {
                    match answer.outcome() {
                        Err(Errno::INTR | Errno::AGAIN) => steady = false,
                        other => other?,
                    }
                    done = true;
                }
            }
            if message::messages(part)
                .next()
                .is_some_and(|answer| answer.seq == seq)
            {
                read += part.len();
                parts.push(part.to_vec());
            }
            if done {
                return Ok(steady);
            }
            if read > most {
                // The kernel would go on with it before it answers anything else.
                *self = Self::open()?;
                return Err(Errno::TOOBIG);
            }
        }
    }
}

/// A netfilter socket that hears these groups.
pub(super) fn bound(groups: u32) -> Result<OwnedFd, Errno> {
    link::bound(netlink::NETFILTER, groups)
}

/// What the kernel had to say about a batch.
#[derive(Debug, Default)]
struct Answers {
    refused: Vec<(u32, Errno)>,
    whole: Option<Errno>,
    proven: bool,
}

impl Answers {
    fn take(&mut self, batch: &Batch, bytes: &[u8]) {
        for answer in message::messages(bytes) {
            if !answer.is_control() || answer.kind != ERROR || !batch.owns(answer.seq) {
                continue;
            }
            match (batch.index(answer.seq), answer.outcome()) {
                (_, Ok(())) => self.proven |= answer.seq == batch.last_seq(),
                (Some(index), Err(errno)) => self.refused.push((index, errno)),
                (None, Err(errno)) => self.whole = Some(errno),
            }
        }
    }

    fn verdict(self) -> Result<(), BatchError> {
        match self.whole {
            Some(errno) => Err(BatchError::Whole(errno)),
            None if !self.refused.is_empty() => Err(BatchError::Messages(self.refused)),
            None if self.proven => Ok(()),
            None => Err(BatchError::Whole(Errno::NOMSG)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, seq: u32, code: i32) -> Vec<u8> {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(code.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_the_acknowledgement_of_the_last_message_is_success() {
        let mut batch = Batch::new(10, None);
        batch.push(12, 0, |_| ());
        batch.push(12, 0, |_| ());
        let (exist, perm) = (-Errno::EXIST.raw_os_error(), -Errno::PERM.raw_os_error());
        let refused = |index| Err(BatchError::Messages(vec![(index, Errno::EXIST)]));
        let silence = || Err(BatchError::Whole(Errno::NOMSG));
        let cases = [
            // kind, number and code of each answer; the verdict
            (vec![], silence()),
            (vec![(ERROR, 12, 0)], Ok(())),
            (vec![(ERROR, 11, 0)], silence()),
            (vec![(ERROR, 9, 0), (ERROR, 14, 0)], silence()),
            (vec![(DONE, 12, 0)], silence()),
            (vec![(ERROR, 11, exist), (ERROR, 12, 0)], refused(0)),
            (vec![(ERROR, 12, 0), (ERROR, 12, exist)], refused(1)),
            (vec![(ERROR, 12, 0), (ERROR, 9, exist)], Ok(())),
            (vec![(ERROR, 10, perm)], Err(BatchError::Whole(Errno::PERM))),
        ];
        for (index, (said, expected)) in cases.into_iter().enumerate() {
            let mut answers = Answers::default();
            let said = said
                .into_iter()
                .flat_map(|(kind, seq, code)| answer(kind, seq, code));
            answers.take(&batch, &said.collect::<Vec<_>>());
            assert_eq!(answers.verdict(), expected, "case {index}");
        }
    }
}
