//! What the threads tell the main one.

use std::sync::mpsc::SyncSender;

use ferroban_engine::{Ban, Done, Failure, JailChange, JailName, LogPosition, Tampering};

use super::asker::Told;
use super::lookout::News;
use super::request::Request;
use super::truth::Looked;
use super::watcher::Begin;
use crate::action::{Fate, Lifted};
use crate::load::Settings;
use crate::wire::Value;

/// One entry of the inbox.
#[derive(Debug)]
pub(super) enum Message {
    /// A watcher has read on.
    Read(Reading),
    /// A watcher has ended; a successor begins here.
    WatcherEnded { number: u64, next: Begin },
    /// An asker has found something out.
    FoundOut(Told),
    /// An actor has done jobs.
    Done(Vec<Done>),
    /// Somebody else has changed the firewall.
    Firewall(News),
    /// What others did to the bans of a jail, as its actor saw.
    Tampered(JailName, Vec<Tampering>),
    /// Somebody has looked into the kernel for bans.
    Looked(Box<Looked>),
    /// How actions of a jail fare that are run.
    Fates(JailName, Vec<Fate>),
    /// Which commands of a jail are done in process now.
    Lifted(JailName, Lifted),
    /// The recorder has written transactions up to this one.
    Committed(u64),
    /// The recorder has read bans that could not be read at the start.
    Stored(Vec<(JailName, Vec<Ban>)>),
    /// A client asks.
    Asked(Question),
    /// A client wants to know what happens.
    Listen(SyncSender<Vec<u8>>),
    /// A client wants another configuration, or to know what it would change.
    Reload(Box<Reload>),
    /// A signal says stop.
    Stop,
    /// A signal says that the log is to be opened again.
    FlushLogs,
}

/// What a watcher found in some lines of one log. Plain data: the watcher may
/// one day live in another process.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Reading {
    /// In the order of the log.
    pub(super) failures: Vec<(JailName, Failure)>,
    /// Where to read on after a restart.
    pub(super) position: Option<LogPosition>,
    /// The jails that read this log.
    pub(super) jails: Vec<JailName>,
}

/// A new configuration, and where to tell what it changes.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) settings: Settings,
    /// Only tell.
    pub(super) plan: bool,
    /// What it changes; or everything that is wrong with it, and nothing changes.
    pub(super) reply: SyncSender<Result<Vec<JailChange>, Vec<String>>>,
}

/// What a client gets: a value, or the exception that stands for a refusal.
pub(super) type Answer = Result<Value, Value>;

/// A question, and where the answer goes.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) request: Request,
    pub(super) reply: SyncSender<Answer>,
}

impl Question {
    /// Answers. A client that has gone away is not missed.
    pub(super) fn answer(reply: &SyncSender<Answer>, answer: Answer) {
        drop(reply.try_send(answer));
    }
}
