//! Mails about bans, sent by ourselves: `action = ferroban-smtp[…]`.
//!
//! A [`Smtp`] is one action of one jail, with the options of fail2ban's `smtp.py` and the
//! occasions on which that one writes: the jail starts, bans or stops. No program is
//! started. Mails that wait together go over one connection. What SMTP, TLS and mails look
//! like is lettre's; who waits how long is ours.
//!
//! A mail that was not sent is a failure of the action, and is not sent again: the one
//! before may have arrived all the same.

mod address;
mod error;
mod letter;
mod mailer;
mod session;
mod settings;

use std::fmt::Write as _;
use std::sync::Arc;

use ferroban_date::rfc3339_millis;
use ferroban_engine::{Ban, BanTime, JailName};

use super::Options;
use super::breakdowns::Breakdowns;
use super::shell::{Facts, OfBan, Values as _, World};
use crate::clock;
use crate::log::{Level, Log};
use error::What;
use letter::{Head, Mail, letter};
use mailer::Mailer;
use settings::{Matches, Settings};

pub(crate) use error::Error;
pub(crate) use settings::SettingsError;

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
    mailer: Option<Mailer>,
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
            mailer: None,
            breakdowns: Breakdowns::default(),
            letters: 0,
            started: false,
        })
    }

    /// Goes on with the options that are wanted now. A mail that hangs says nothing of
    /// another server.
    pub(super) fn go_on_as(&mut self, wanted: &Self) {
        self.rest();
        if self.settings != wanted.settings {
            self.mailer = None;
        }
        self.settings = wanted.settings.clone();
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
        if let Some(mailer) = &mut self.mailer {
            mailer.let_go();
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
            None => self.try_send(mail),
        };
        let what = match result {
            Ok(()) => {
                self.tell_sent(mail);
                self.breakdowns = Breakdowns::default();
                return Ok(());
            }
            Err(what) => what,
        };
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

    fn try_send(&mut self, mail: &Mail) -> Result<(), What> {
        let deadline = clock::tick() + self.settings.limit;
        if let Some(mailer) = &mut self.mailer
            && !mailer.is_ready()
        {
            if !mailer.ends_until(deadline) {
                return Err(What::Hanging);
            }
            self.mailer = None;
        }
        let letter = self.letter(mail);
        let mailer = match &mut self.mailer {
            Some(mailer) => mailer,
            none => {
                let (settings, world) = (self.settings.clone(), Arc::clone(&self.world));
                none.insert(Mailer::start(settings, world).map_err(What::Thread)?)
            }
        };
        mailer.send(letter, deadline)
    }

    fn letter(&mut self, mail: &Mail) -> Vec<u8> {
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
        letter(mail, &head)
    }
}

#[cfg(test)]
mod tests;
