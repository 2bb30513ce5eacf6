//! Carries out what clients ask.

use std::sync::mpsc::SyncSender;

use ferroban_engine::options::ACTION_METHODS;
use ferroban_engine::{Command, Effect, JailName, JailStatus, JobId, Reply};
use serde_json::json;

use super::actor::Call;
use super::main_loop::MainLoop;
use super::message::{Answer, Question};
use super::recorder::Limits;
use super::reload::Restart;
use super::request::{Own, Request, ServerOption};
use super::truth::Looks;
use super::{status, words};
use crate::action::python::{GET, NAMES, SET};
use crate::load::{Note, Refusal, Setup, Word, whole};
use crate::wire::{Shape, Value, answer};
use crate::{clock, log};

/// A value, and the jobs that must be done before it is given; or a refusal.
pub(super) type Outcome = Result<(Value, Vec<JobId>), Value>;

type Effects = Vec<Effect>;

impl MainLoop {
    /// Carries out a request and answers it, or has somebody else answer it.
    pub(super) fn serve(
        &mut self,
        request: Request,
        reply: SyncSender<Answer>,
        effects: &mut Effects,
    ) {
        if let Some((jail, action, method, arguments)) = self.for_python(&request) {
            let call = Call {
                action,
                method: method.to_owned(),
                arguments: arguments.to_string(),
                reply,
            };
            return self.call(&jail, call);
        }
        match self.carry_out(request, effects) {
            Ok((value, jobs)) => self.answer_after(Ok(value), jobs, reply),
            Err(exception) => Question::answer(&reply, Err(exception)),
        }
    }

    /// The properties of an action in Python, which only it knows: whose, and what is
    /// wanted of it.
    fn for_python(
        &self,
        request: &Request,
    ) -> Option<(String, String, &'static str, serde_json::Value)> {
        let (jail, option, words) = match request {
            Request::GetJail {
                jail,
                option,
                values,
            } => (jail.as_str(), option.as_str(), values.as_slice()),
            Request::Tell(words) => match words.as_slice() {
                [set, jail, option, rest @ ..] if set.as_str() == Some("set") => {
                    (jail.as_str()?, option.as_str()?, rest)
                }
                _ => return None,
            },
            _ => return None,
        };
        let word = |place: usize| words.get(place).and_then(Word::shown);
        let action = word(0)?;
        let known = self.setup.jail(jail).ok()?.action(&action).ok()?;
        if !known.is_python() {
            return None;
        }
        let is_set = matches!(request, Request::Tell(_));
        let (method, arguments) = match option {
            "actionproperties" => (NAMES, json!({ "callable": false })),
            "actionmethods" => (NAMES, json!({ "callable": true })),
            "action" if is_set => {
                let value = word(2).unwrap_or_default();
                (SET, json!({ "name": word(1)?, "value": value }))
            }
            "action" => (GET, json!({ "name": word(1)? })),
            _ => return None,
        };
        Some((jail.to_owned(), action, method, arguments))
    }

    /// Carries out a request, or refuses it and changes nothing.
    pub(super) fn carry_out(&mut self, request: Request, effects: &mut Effects) -> Outcome {
        match request {
            Request::Tell(words) => self.tell_jail(&words, effects),
            Request::Set { option, value } => self.set_server(option, &value).map(at_once),
            Request::Get(option) => Ok(at_once(words::value(&self.server_option(option)))),
            Request::GetJail {
                jail,
                option,
                values,
            } => self.get_jail(&jail, &option, &values).map(at_once),
            Request::Stream(commands) => self.stream(&commands, effects).map(at_once),
            Request::Reload(reload) => self.reload_jails(&reload, effects),
            Request::StopJail(jail) => self.stop_jail(&jail, effects),
            Request::StopAll => self.stop_all(effects),
            // Answered otherwise.
            Request::Own(_) => Ok(at_once(Value::None)),
            request => self.simple(request, effects),
        }
    }

    /// What needs no more than the engine.
    fn simple(&mut self, request: Request, effects: &mut Effects) -> Outcome {
        let command = match request {
            Request::Ping => Command::Ping,
            Request::Version => Command::Version,
            Request::UnbanEverywhere(ids) => Command::UnbanEverywhere { ids },
            Request::UnbanAll => Command::UnbanAll,
            Request::ServerStatus => return Ok(at_once("Server ready".into())),
            Request::ConfigError(text) => {
                self.log.error("transmitter", &text);
                return Ok(at_once(Value::None));
            }
            Request::FlushLogs => return self.flush_logs().map(at_once),
            Request::Status => return Ok(at_once(self.jail_list())),
            Request::StatusAll(shape) => return self.status_all(shape).map(at_once),
            Request::Banned => return Ok(at_once(self.banned())),
            Request::WhereBanned(ids) => Command::WhereBanned { ids },
            request => return self.of_jail(request, effects),
        };
        self.ask(Shape::Usual, command, effects)
    }

    /// What concerns one jail.
    fn of_jail(&mut self, request: Request, effects: &mut Effects) -> Outcome {
        let mut shape = Shape::Usual;
        let (name, command): (String, Box<dyn FnOnce(JailName) -> Command>) = match request {
            Request::JailStatus {
                jail,
                shape,
                unknown,
            } => {
                return self
                    .jail_status(&jail, shape, unknown.as_ref())
                    .map(at_once);
            }
            Request::BanIps { jail, shape: how } => {
                shape = how;
                (jail, Box::new(|jail| Command::BanIps { jail }))
            }
            Request::AreBanned { jail, ids } if ids.is_empty() => {
                (jail, Box::new(|jail| Command::BannedIds { jail }))
            }
            Request::AreBanned { jail, ids } => {
                if ids.len() == 1 {
                    shape = Shape::Single;
                }
                (jail, Box::new(|jail| Command::AreBanned { jail, ids }))
            }
            Request::Ban { jail, ids, force } => (
                jail,
                Box::new(move |jail| Command::Ban { jail, ids, force }),
            ),
            Request::Unban {
                jail,
                ids,
                report_absent,
            } => (
                jail,
                Box::new(move |jail| Command::Unban {
                    jail,
                    ids,
                    report_absent,
                }),
            ),
            Request::Attempt { jail, id, lines } => {
                (jail, Box::new(|jail| Command::Attempt { jail, id, lines }))
            }
            // Everything else was carried out before it came here.
            _ => return Err(words::exception(&Refusal::plain("Invalid command"))),
        };
        let jail = self.setup.jail(&name).map_err(refused)?.name.clone();
        self.ask(shape, command(jail), effects)
    }

    fn ask(&mut self, shape: Shape, command: Command, effects: &mut Effects) -> Outcome {
        let told = self.engine.command(clock::now(), command, effects);
        match answer(shape, told.reply) {
            Ok(value) => Ok((value, told.after)),
            Err(exception) => Err(exception),
        }
    }

    fn flush_logs(&self) -> Result<Value, Value> {
        let flushed = self.log.flushlogs();
        flushed
            .map(Value::from)
            .map_err(|error| Value::exception("OSError", &error.to_string()))
    }

    fn jail_list(&self) -> Value {
        let mut names: Vec<JailName> = self.setup.jails().map(|jail| jail.name.clone()).collect();
        names.sort_unstable();
        answer(Shape::Usual, Reply::Jails(names)).unwrap_or(Value::None)
    }

    fn banned(&self) -> Value {
        let jails = self.setup.jails().map(|jail| {
            let banned = self.engine.banned(&jail.name);
            (jail.name.clone(), banned)
        });
        answer(Shape::Usual, Reply::BannedByJail(jails.collect())).unwrap_or(Value::None)
    }

    /// The numbers of a jail.
    pub(super) fn numbers(&mut self, jail: &JailName) -> Result<JailStatus, Refusal> {
        let status = self.engine.status(clock::now(), jail);
        status.ok_or_else(|| Refusal::UnknownJail(jail.to_string()))
    }

    fn jail_status(
        &mut self,
        jail: &str,
        shape: Shape,
        unknown: Option<&Word>,
    ) -> Result<Value, Value> {
        let name = self.setup.jail(jail).map_err(refused)?.name.clone();
        if let Some(flavor) = unknown {
            let shown = crate::wire::text::repr(&words::value(flavor));
            let text = format!(
                "Unsupported extended jail status flavor {shown}. Supported: ['short', 'basic', 'stats', 'cymru']"
            );
            self.log.warning("actions", &text);
        }
        let status = self.numbers(&name).map_err(refused)?;
        answer(shape, Reply::Jail(status))
    }

    fn status_all(&mut self, shape: Shape) -> Result<Value, Value> {
        let mut names: Vec<JailName> = self.setup.jails().map(|jail| jail.name.clone()).collect();
        names.sort_unstable();
        let mut all = Vec::new();
        for name in names {
            let status = self.numbers(&name).map_err(refused)?;
            all.push((name.as_str().into(), answer(shape, Reply::Jail(status))?));
        }
        let all = Value::Dict(all);
        if shape == Shape::Stats {
            return Ok(all);
        }
        match self.jail_list() {
            Value::List(mut rows) => {
                rows.push(all);
                Ok(Value::List(rows))
            }
            other => Ok(other),
        }
    }

    /// Changes what a jail is told, and what it does accordingly.
    fn tell_jail(&mut self, command: &[Word], effects: &mut Effects) -> Outcome {
        let mut next = self.setup.clone();
        let mut notes = Vec::new();
        let told = next.command(command, &mut notes);
        self.tell_notes(notes);
        let value = words::value(&told.map_err(refused)?);
        let option = command.get(2).and_then(Word::as_str).unwrap_or_default();
        let value = if option.ends_with("ignoreip") {
            words::ids(value)
        } else {
            value
        };
        let restart = Restart {
            forgets: option == "delaction",
            ..Restart::default()
        };
        let checks = self.check(&next, &restart).map_err(refused)?;
        self.adopt(next, &restart, checks, effects);
        Ok(at_once(value))
    }

    /// Logs what fail2ban logs when it is told something.
    pub(super) fn tell_notes(&self, notes: Vec<Note>) {
        for (level, logger, text) in notes {
            self.log.line(level, logger, &text);
        }
    }

    fn stop_jail(&mut self, jail: &str, effects: &mut Effects) -> Outcome {
        self.setup.jail(jail).map_err(refused)?;
        let mut next = self.setup.clone();
        next.remove(jail);
        Ok((Value::None, self.end(next, effects)?))
    }

    /// Goes on with fewer jails.
    fn end(&mut self, next: Setup, effects: &mut Effects) -> Result<Vec<JobId>, Value> {
        let restart = Restart::default();
        let checks = self.check(&next, &restart).map_err(refused)?;
        Ok(self.adopt(next, &restart, checks, effects))
    }

    fn stop_all(&mut self, effects: &mut Effects) -> Outcome {
        self.log.info("server", "Stopping all jails");
        let mut next = self.setup.clone();
        next.retain(|_| false);
        Ok((Value::None, self.end(next, effects)?))
    }

    fn get_jail(&self, jail: &str, option: &str, values: &[Word]) -> Result<Value, Value> {
        let value = |place: usize| values.get(place).and_then(Word::shown).unwrap_or_default();
        let setup = self.setup.jail(jail).map_err(refused)?;
        let word = match option {
            "actions" => Word::texts(setup.actions.iter().map(|action| &action.name)),
            "actionproperties" => Word::texts(setup.action(&value(0)).map_err(refused)?.names()),
            "actionmethods" => {
                setup.action(&value(0)).map_err(refused)?;
                Word::texts(ACTION_METHODS)
            }
            "action" => setup
                .action(&value(0))
                .and_then(|action| action.get(&value(1)))
                .map_err(refused)?,
            "ignoreip" => {
                let ignored = words::value(&setup.get(option).map_err(refused)?);
                return Ok(words::ids(ignored));
            }
            option => setup.get(option).map_err(refused)?,
        };
        Ok(words::value(&word))
    }

    fn server_option(&self, option: ServerOption) -> Word {
        let server = &self.setup.server;
        match option {
            ServerOption::LogLevel => self.log.level().into(),
            ServerOption::LogTarget => self.log.target().map_or(Word::None, Word::from),
            ServerOption::SyslogSocket => self.log.syslogsocket().into(),
            ServerOption::DbFile => server.dbfile.clone().map_or(Word::None, Word::from),
            // There is nothing of this kind where there is no database.
            ServerOption::DbMaxMatches | ServerOption::DbPurgeAge if server.dbfile.is_none() => {
                Word::None
            }
            ServerOption::DbMaxMatches => server.dbmaxmatches.clone(),
            ServerOption::DbPurgeAge => server.dbpurgeage.clone(),
            ServerOption::Thread => {
                Word::Dict(vec![("stacksize".to_owned(), server.stacksize.clone())])
            }
            ServerOption::AllowIpv6 => server.allowipv6.as_str().into(),
            ServerOption::Monitor => server.monitor(),
        }
    }

    fn set_server(&mut self, option: ServerOption, value: &Word) -> Result<Value, Value> {
        let mut next = self.setup.clone();
        let answer = match option {
            ServerOption::LogLevel | ServerOption::LogTarget | ServerOption::SyslogSocket => {
                self.set_log(option, value).map_err(refused)?;
                self.server_option(option)
            }
            ServerOption::Thread => {
                next.set_server(option.name(), value).map_err(refused)?;
                Word::None
            }
            option => next.set_server(option.name(), value).map_err(refused)?,
        };
        if option == ServerOption::Monitor {
            let wanted = next.server.monitor.as_ref();
            if let Err(refusal) = self.monitor.want(wanted) {
                // Back to the one that there was.
                let before = self.setup.clone();
                self.share(&before);
                return Err(refused(refusal));
            }
        }
        self.adopt_server(&next).map_err(refused)?;
        self.setup.server = next.server;
        Ok(words::value(&answer))
    }

    /// How the log is kept.
    pub(super) fn set_log(&self, option: ServerOption, value: &Word) -> Result<(), Refusal> {
        let Some(text) = value.as_str() else {
            let text = "expected a text";
            return Err(Refusal::Error("TypeError", text.to_owned()));
        };
        let changed = match option {
            ServerOption::LogLevel => self.log.set_level(text),
            ServerOption::LogTarget => self.log.change_target(text),
            _ => self.log.set_syslogsocket(text),
        };
        changed.map_err(|error| match error {
            log::Error::Target(_) | log::Error::Socket(_) => Refusal::plain(error.to_string()),
            error => Refusal::value(error.to_string()),
        })
    }

    /// Sets how the log is kept. If something of it is refused, the level and the socket
    /// of syslog stay what they were.
    pub(super) fn set_all_log(&self, options: &[(ServerOption, Word)]) -> Result<(), Refusal> {
        let (level, socket) = (self.log.level(), self.log.syslogsocket());
        let mut set = options.iter();
        let outcome = set.try_for_each(|(option, value)| self.set_log(*option, value));
        if outcome.is_err() {
            self.log.set_level(&level).ok();
            self.log.set_syslogsocket(&socket).ok();
        }
        outcome
    }

    /// Opens the socket for those who may look, as it was told. Where that cannot be, it
    /// is logged, and no reason to do without everything else.
    pub(super) fn share(&mut self, next: &Setup) {
        if let Err(refusal) = self.monitor.want(next.server.monitor.as_ref()) {
            self.log.error("ferroban.control", &refusal.to_string());
        }
    }

    /// Takes over what was told about the server itself.
    pub(super) fn adopt_server(&mut self, next: &Setup) -> Result<(), Refusal> {
        let server = &next.server;
        if server.dbfile != self.setup.server.dbfile {
            let path = server.dbfile.as_ref().map(std::path::PathBuf::from);
            self.database.open(path.as_deref()).map_err(|error| {
                Refusal::Error(
                    "RuntimeError",
                    format!("no thread for the database: {error}"),
                )
            })?;
        }
        let limits = Limits {
            purge_age: whole(&server.dbpurgeage),
            max_matches: usize::try_from(whole(&server.dbmaxmatches)).unwrap_or(0),
        };
        if limits != self.database.limits() {
            self.database.limit(limits);
        }
        self.inquiries.allow_ipv6(&server.allowipv6);
        Ok(())
    }

    /// What is asked about bans, as far as somebody `looks`.
    pub(super) fn own(&mut self, own: &Own, looks: &Looks) -> Result<Value, Value> {
        match own {
            Own::Status => Ok(status::server(self, looks).as_str().into()),
            Own::Bans { jail, ids } => status::bans(self, looks, jail.as_deref(), ids)
                .map(|text| text.as_str().into())
                .map_err(refused),
            // Events are given by whoever holds the connection, proofs by the jail's actor.
            Own::Events | Own::Check { .. } => Ok(Value::None),
        }
    }

    /// Has the actions of a jail prove that they ban, in their turn.
    pub(super) fn prove(&self, jail: &str, reply: SyncSender<Answer>) {
        match self.setup.jail(jail).map(|setup| setup.name.clone()) {
            Err(refusal) => Question::answer(&reply, Err(refused(refusal))),
            Ok(name) => self.crew.prove(&name, reply),
        }
    }

    /// Has a method of an action called. Whoever waits is answered by the jail's actor,
    /// in its turn.
    pub(super) fn call(&self, jail: &str, call: Call) {
        let named = self.setup.jail(jail).and_then(|setup| {
            setup.action(&call.action)?;
            Ok(setup.name.clone())
        });
        match named {
            Err(refusal) => Question::answer(&call.reply, Err(refused(refusal))),
            Ok(name) => self.crew.call(&name, call),
        }
    }
}

/// A value that waits for nothing.
fn at_once(value: Value) -> (Value, Vec<JobId>) {
    (value, Vec::new())
}

/// A refusal as the client is told.
#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
pub(super) fn refused(refusal: Refusal) -> Value {
    words::exception(&refusal)
}
