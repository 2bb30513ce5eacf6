//! Mails about bans, sent by ourselves: `action = ferroban-smtp[…]`.
//!
//! A [`Smtp`] is one action of one jail, with the options of fail2ban's `smtp.py` and the
//! occasions on which that one writes: the jail starts, bans or stops. No program is
//! started. Mails that wait together go over one connection.
//!
//! A mail that was not sent is a failure of the action, and is not sent again: the one
//! before may have arrived all the same.

mod address;
mod base64;
mod error;
mod letter;
mod link;
mod session;
mod settings;
#[cfg(feature = "tls")]
mod tls;

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use ferroban_date::rfc3339_millis;
use ferroban_engine::{Ban, BanTime, JailName};

use super::Options;
use super::breakdowns::Breakdowns;
use super::shell::{Facts, OfBan, Values as _, World};
use crate::clock;
use crate::log::{Level, Log};
use error::{Step, What};
use letter::{Head, Mail, letter};
use session::{Begin, Session};
use settings::{Matches, Settings};

pub(crate) use error::Error;
pub(crate) use settings::SettingsError;

/// How long a server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a lookup of a name finds, or why it does not.
type Found = Result<Vec<IpAddr>, String>;

/// What is wrong with the options of such an action.
pub(crate) fn refusal(options: &Options) -> Option<SettingsError> {
    Settings::new(options).err()
}

/// One action of one jail.
pub(crate) struct Smtp {
    world: Arc<World>,
    name: String,
    settings: Settings,
    log: Log,
    session: Option<Session>,
    /// A lookup that was given up and still goes on.
    lookup: Option<Receiver<Found>>,
    #[cfg(feature = "tls")]
    trust: Option<tls::Trust>,
    breakdowns: Breakdowns,
    /// How many letters were written.
    letters: u64,
    /// Whether it told, or tried to tell, that its jail starts.
    started: bool,
}

impl Smtp {
    /// An action that has done nothing yet.
    pub(crate) fn new(
        jail: JailName,
        name: String,
        options: &Options,
        log: Log,
        facts: Arc<dyn Facts>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            world: Arc::new(World { jail, facts }),
            name,
            settings: Settings::new(options)?,
            log,
            session: None,
            lookup: None,
            #[cfg(feature = "tls")]
            trust: None,
            breakdowns: Breakdowns::default(),
            letters: 0,
            started: false,
        })
    }

    /// Goes on with the options that are wanted now.
    pub(super) fn go_on_as(&mut self, wanted: &Self) {
        self.rest();
        self.settings = wanted.settings.clone();
        self.lookup = None;
        #[cfg(feature = "tls")]
        {
            self.trust = None;
        }
        self.breakdowns = Breakdowns::default();
    }

    /// Tells that the jail starts.
    pub(super) fn start(&mut self) -> Result<(), Error> {
        self.started = true;
        let host = self.host();
        let jail = &self.world.jail;
        let mail = Mail {
            subject: format!("[Fail2Ban] {jail}: started on {host}"),
            text: format!("The jail {jail} on {host} has started.\n"),
        };
        self.send(&mail)
    }

    /// Tells that the jail stops.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.started) {
            return Ok(());
        }
        let host = self.host();
        let jail = &self.world.jail;
        let mail = Mail {
            subject: format!("[Fail2Ban] {jail}: stopped on {host}"),
            text: format!("The jail {jail} on {host} has stopped.\n"),
        };
        let result = self.send(&mail);
        self.rest();
        result
    }

    /// Tells who is banned, unless he was before we started.
    pub(super) fn ban(&mut self, ban: &Ban) -> Result<(), Error> {
        if ban.restored && self.settings.norestored {
            return Ok(());
        }
        let mail = self.about(ban);
        self.send(&mail)
    }

    /// Nothing more is to be sent for now.
    pub(super) fn rest(&mut self) {
        if let Some(session) = self.session.take() {
            session.quit(clock::tick() + GOODBYE);
        }
    }

    /// What the line about a failed ban tells of it.
    pub(super) fn info(&self, ban: &Ban) -> String {
        OfBan::new(ban, &self.world).info()
    }

    fn host(&self) -> String {
        self.world.facts.own_name(true)
    }

    fn about(&self, ban: &Ban) -> Mail {
        let (jail, host) = (&self.world.jail, self.host());
        let values = OfBan::new(ban, &self.world);
        let who = ban.id.to_string();
        let until = match ban.bantime {
            BanTime::Forever => "for ever".to_owned(),
            BanTime::For(seconds) => {
                let end = rfc3339_millis(ban.end(), clock::zone());
                format!("{seconds} second(s), until {end}")
            }
        };
        let mut text = format!("The jail {jail} on {host} has banned {who}.\n\nBanned:    {who}\n");
        let address = values.value("ip").filter(|address| *address != who);
        let mut row = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            writeln!(text, "{name:<10} {value}").ok();
        };
        if let Some(address) = address {
            row("Address:", &address);
        }
        row("Failures:", &ban.ticket.failures);
        row("Ban time:", &until);
        row("Ban no.:", &ban.count);
        let lines = match self.settings.matches {
            None => None,
            Some(Matches::Ban) => Some(("matches", "of this ban".to_owned())),
            Some(Matches::Ip) => Some(("ipmatches", format!("of {who} in all jails"))),
            Some(Matches::IpJail) => Some(("ipjailmatches", format!("of {who} in this jail"))),
        };
        if let Some((tag, whose)) = lines {
            let lines = values.value(tag).unwrap_or_default();
            // Writing to a string cannot fail.
            write!(text, "\nLines {whose}:\n{lines}\n").ok();
        }
        Mail {
            subject: format!("[Fail2Ban] {jail}: banned {who} on {host}"),
            text,
        }
    }

    /// Sends a mail, within the time it has. A server that cannot be used is left alone
    /// for a while, so that bans need not wait for it each time.
    fn send(&mut self, mail: &Mail) -> Result<(), Error> {
        let now = clock::tick();
        let result = match self.breakdowns.rest(now) {
            Some(left) => Err(What::Resting(left)),
            None => self.try_send(mail, now + self.settings.limit),
        };
        let what = match result {
            Ok(()) => {
                self.tell_sent(mail);
                self.breakdowns = Breakdowns::default();
                return Ok(());
            }
            Err(What::Broken { during, source }) if source.kind() == io::ErrorKind::TimedOut => {
                let limit = self.settings.limit;
                What::Late { during, limit }
            }
            Err(what) => what,
        };
        // Nobody knows in which state it is.
        self.session = None;
        if what.is_breakdown() {
            self.breakdowns.note(clock::tick());
        }
        let server = self.settings.server();
        Err(Error { server, what })
    }

    fn tell_sent(&self, mail: &Mail) {
        if self.log.wants(Level::Debug) {
            let (jail, action) = (&self.world.jail, &self.name);
            let text = format!("[{jail}] action '{action}': mail sent: {}", mail.subject);
            self.log.line(Level::Debug, "actions", &text);
        }
    }

    fn try_send(&mut self, mail: &Mail, deadline: Instant) -> Result<(), What> {
        let letter = self.letter(mail);
        let (from, to) = (self.settings.sender.clone(), self.settings.dest.clone());
        if let Some(mut session) = self.session.take() {
            session.extend(deadline);
            match session.send(&from, &to, &letter) {
                // It hung up meanwhile: nothing was sent yet.
                Err(What::Broken {
                    during: Step::Sender,
                    ..
                }) => {}
                Err(What::Refused {
                    during: Step::Sender,
                    reply,
                }) if reply.code == 421 => {}
                result => {
                    self.session = Some(session);
                    return result;
                }
            }
        }
        let mut session = self.open(deadline)?;
        let result = session.send(&from, &to, &letter);
        self.session = Some(session);
        result
    }

    fn open(&mut self, deadline: Instant) -> Result<Session, What> {
        let addresses = self.addresses(deadline)?;
        #[cfg(feature = "tls")]
        if self.trust.is_none() && self.settings.tls != settings::Tls::No {
            self.trust = Some(tls::Trust::read(self.settings.cafile.as_deref())?);
        }
        let begin = Begin {
            addresses: &addresses,
            own_name: &self.host(),
            deadline,
            #[cfg(feature = "tls")]
            trust: self.trust.as_ref(),
        };
        Session::open(&self.settings, &begin)
    }

    fn letter(&mut self, mail: &Mail) -> String {
        let time = clock::now();
        self.letters += 1;
        let (process, number) = (std::process::id(), self.letters);
        let jail = &self.world.jail;
        let fits = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
        let name = format!("{jail}.{}@{}", self.name, self.host());
        let name: String = name.chars().filter(|c| fits(c) || *c == '@').collect();
        let id = format!("{}.{process}.{number}.{name}", time.micros());
        let head = Head {
            sendername: &self.settings.sendername,
            sender: &self.settings.sender,
            dest: &self.settings.dest,
            time,
            id: &id,
        };
        letter(mail, &head, clock::zone())
    }

    /// The addresses of the server. A lookup cannot be cancelled: one that takes too long
    /// goes on by itself, and the next mail asks what it found rather than begin another.
    fn addresses(&mut self, deadline: Instant) -> Result<Vec<IpAddr>, What> {
        if let Ok(address) = self.settings.host.parse() {
            return Ok(vec![address]);
        }
        let found = match self.lookup.take() {
            Some(found) => found,
            None => self.look_up()?,
        };
        let left = deadline.saturating_duration_since(clock::tick());
        match found.recv_timeout(left) {
            Ok(found) => found.map_err(What::Unknown),
            Err(RecvTimeoutError::Timeout) => {
                self.lookup = Some(found);
                Err(What::Broken {
                    during: Step::Name,
                    source: io::ErrorKind::TimedOut.into(),
                })
            }
            Err(RecvTimeoutError::Disconnected) => Err(What::Unknown("nobody looked".to_owned())),
        }
    }

    fn look_up(&self) -> Result<Receiver<Found>, What> {
        let (tell, found) = channel();
        let (facts, host) = (Arc::clone(&self.world.facts), self.settings.host.clone());
        // Who gave up waiting does not listen.
        let look = move || drop(tell.send(facts.addresses(&host)));
        let thread = thread::Builder::new().name("f2b/mail.name".into());
        let begun = thread.spawn(look);
        begun.map_err(|error| What::Unknown(error.to_string()))?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
