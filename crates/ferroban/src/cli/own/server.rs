//! The daemon at the other end: where it is, what it answers, and why it does not.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferroban_config::{Disk, nearest};
use serde::de::DeserializeOwned;

use super::Problem;
use crate::cli::client::configuration::is_configured;
use crate::cli::client::transport::{Connection, ContactError, Patience};
use crate::cli::guard;
use crate::load::Folder;
use crate::sys;
use crate::wire::pickle::{Exception, Value};
use crate::wire::text;
use crate::wire::view::{BanView, ProofView, ServerView};

/// The folder that says where a server listens.
pub(in crate::cli) const FOLDER: &str = "/etc/fail2ban";

/// How long an answer may take: a ban waits for the firewall, half as long at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server listens, which `--socket` may have told.
pub(in crate::cli) fn place(given: Option<&Path>) -> Result<PathBuf, Problem> {
    place_in(Path::new(FOLDER), given)
}

/// The same with a configuration folder. A server that was started from it listens where
/// its `fail2ban.conf` says; `ferroban guard` of a user who is not root, elsewhere.
pub(in crate::cli) fn place_in(folder: &Path, given: Option<&Path>) -> Result<PathBuf, Problem> {
    if let Some(socket) = given {
        return Ok(socket.to_owned());
    }
    let own = guard::default_socket();
    if !is_configured(folder) {
        return Ok(own);
    }
    let places = Folder::new(&Disk, folder).places().map_err(|error| {
        let text = crate::report::chain(&error);
        Problem::refused(format!("{text}; or name the socket with --socket"))
    })?;
    let named = PathBuf::from(places.socket);
    Ok(first_there(if sys::is_root() {
        [named, own]
    } else {
        [own, named]
    }))
}

/// The first that is there, or else the one that should be.
fn first_there([one, other]: [PathBuf; 2]) -> PathBuf {
    if !one.exists() && other.exists() {
        other
    } else {
        one
    }
}

/// A connection to the daemon.
#[derive(Debug)]
pub(in crate::cli) struct Server {
    socket: PathBuf,
    connection: Connection,
}

impl Server {
    pub(super) fn open(socket: &Path) -> Result<Self, Problem> {
        Self::open_for(socket, Patience::Limited(PATIENCE))
    }

    /// The same for an answer that may take longer.
    pub(in crate::cli) fn open_for(socket: &Path, patience: Patience) -> Result<Self, Problem> {
        let socket = socket.to_owned();
        match Connection::open(&socket, patience) {
            Ok(connection) => Ok(Self { socket, connection }),
            Err(error) => Err(unreachable(&socket, &error)),
        }
    }

    /// Asks one thing.
    pub(in crate::cli) fn ask(&mut self, request: &Value) -> Result<Value, Refused> {
        let reply = self.connection.ask(request);
        self.read(reply)
    }

    /// The same of words.
    pub(super) fn order(&mut self, words: &[&str]) -> Result<Value, Refused> {
        self.ask(&Value::strings(words.iter().copied()))
    }

    /// Waits for a further reply.
    pub(super) fn further(&mut self) -> Result<Value, Refused> {
        let reply = self.connection.further();
        self.read(reply)
    }

    /// The server and its jails.
    pub(super) fn status(&mut self) -> Result<ServerView, Problem> {
        let view: ServerView = self.view(&["ferroban", "status"])?;
        if view.version.is_empty() {
            return Err(self.stranger());
        }
        Ok(view)
    }

    /// The bans of a jail or of all, or of these ids alone.
    pub(super) fn bans(
        &mut self,
        jail: Option<&str>,
        ids: &[String],
    ) -> Result<Vec<BanView>, Problem> {
        let words = ["ferroban", "bans"].into_iter().chain(jail);
        let words: Vec<&str> = words.chain(ids.iter().map(String::as_str)).collect();
        match self.order(&words) {
            Ok(value) => self.parse(&value),
            Err(Refused::UnknownJail(name)) => Err(no_jail(&name, &self.status()?)),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Whether the actions of a jail ban.
    pub(super) fn check(&mut self, jail: &str) -> Result<Vec<ProofView>, Problem> {
        self.view(&["ferroban", "check", jail])
    }

    fn view<T: DeserializeOwned>(&mut self, words: &[&str]) -> Result<T, Problem> {
        let value = self.order(words)?;
        self.parse(&value)
    }

    /// Reads JSON.
    fn parse<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Problem> {
        let text = value.as_str().ok_or_else(|| self.stranger())?;
        serde_json::from_str(text).map_err(|_| self.stranger())
    }

    fn read(&self, reply: Result<Value, ContactError>) -> Result<Value, Refused> {
        let reply = reply.map_err(|error| {
            let problem = unreachable(&self.socket, &error);
            if is_reset(&error) {
                Refused::HungUp(problem)
            } else {
                Refused::Problem(problem)
            }
        })?;
        match reply.elements() {
            Some([Value::Int(0), value]) => Ok(value.clone()),
            Some([Value::Int(1), Value::Exception(error)]) => Err(self.refused(error)),
            Some([word]) if word.as_str() == Some("SHUTDOWN") => {
                let text = format!("{}: the server is stopping", self.socket.display());
                Err(Refused::Problem(Problem::unreachable(text)))
            }
            _ => Err(Refused::Problem(self.stranger())),
        }
    }

    fn refused(&self, error: &Exception) -> Refused {
        let text = text::message(error);
        // A fail2ban does not know our words.
        if text.starts_with("Invalid command") {
            Refused::Problem(self.stranger())
        } else if error.class == "UnknownJailException" {
            Refused::UnknownJail(text)
        } else {
            Refused::Because(text)
        }
    }

    /// Whoever answers is not one of ours.
    pub(in crate::cli) fn stranger(&self) -> Problem {
        Problem::unreachable(format!(
            "{}: the server there is no Ferroban, or one of another version; ask it with 'fail2ban-client'",
            self.socket.display()
        ))
    }
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(in crate::cli) enum Refused {
    UnknownJail(String),
    /// What the daemon says.
    Because(String),
    /// It hung up.
    HungUp(Problem),
    /// It did not get as far as that.
    Problem(Problem),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::UnknownJail(name) => Self::refused(format!("no jail '{name}'")),
            Refused::Because(text) => Self::refused(text),
            Refused::HungUp(problem) | Refused::Problem(problem) => problem,
        }
    }
}

/// There is no such jail.
pub(super) fn no_jail(name: &str, view: &ServerView) -> Problem {
    let names = view.jails.iter().map(|jail| &*jail.name);
    Problem::refused(match nearest(name, names) {
        Some(near) => format!("no jail '{name}'; did you mean '{near}'?"),
        None => format!("no jail '{name}'; 'ferroban jails' lists those that there are"),
    })
}

fn is_reset(error: &ContactError) -> bool {
    matches!(error, ContactError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset)
}

fn unreachable(socket: &Path, error: &ContactError) -> Problem {
    let why = match error {
        ContactError::Missing(_) => {
            let rights = if sys::is_root() {
                ""
            } else {
                ", or only root may see it"
            };
            format!(
                "no server is there{rights}; start one with 'ferroban guard' or 'fail2ban-client start', or name the socket of another with --socket"
            )
        }
        ContactError::Denied(_) => "you may not ask this server; ask as root".to_owned(),
        ContactError::TimedOut => format!(
            "no answer within {} s; the log of the server may say why",
            PATIENCE.as_secs()
        ),
        ContactError::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "nobody listens there any more; the server has died, start it again".to_owned()
        }
        error if is_reset(error) => "the server has hung up; its log may say why".to_owned(),
        ContactError::Io(error) => error.to_string(),
        ContactError::Frame(error) => error.to_string(),
        ContactError::Pickle(error) => format!("this is no answer of a server: {error}"),
    };
    Problem::unreachable(format!("{}: {why}", socket.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::view::JailView;

    #[test]
    fn a_server_is_looked_for_where_it_should_be_and_then_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let found = || first_there([path("a"), path("b")]);
        assert_eq!(found(), path("a"), "none is there");
        std::fs::write(path("b"), "").unwrap();
        assert_eq!(found(), path("b"));
        std::fs::write(path("a"), "").unwrap();
        assert_eq!(found(), path("a"));
    }

    #[test]
    fn the_configuration_names_the_socket_and_the_command_line_wins() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("named.sock");
        let place = |given: Option<&str>| {
            place_in(folder.path(), given.map(Path::new)).map_err(|problem| problem.text)
        };
        assert_eq!(place(None), Ok(guard::default_socket()), "no configuration");
        let conf = format!("[Definition]\nsocket = {}\n", socket.display());
        std::fs::write(folder.path().join("fail2ban.conf"), conf).unwrap();
        std::fs::write(&socket, "").unwrap();
        if !guard::default_socket().exists() {
            assert_eq!(place(None), Ok(socket));
        }
        assert_eq!(place(Some("/x")), Ok("/x".into()));
        std::fs::write(folder.path().join("fail2ban.conf"), "nonsense\n").unwrap();
        let problem = place(None).unwrap_err();
        assert!(
            problem.ends_with("; or name the socket with --socket"),
            "{problem}"
        );
        assert_eq!(place(Some("/x")), Ok("/x".into()));
    }

    #[test]
    fn a_misspelt_jail_is_recognised() {
        let jail = |name: &str| JailView {
            name: name.to_owned(),
            ..JailView::default()
        };
        let view = ServerView {
            jails: vec![jail("sshd"), jail("nginx")],
            ..ServerView::default()
        };
        let text = |name| no_jail(name, &view).text;
        assert_eq!(text("sshx"), "no jail 'sshx'; did you mean 'sshd'?");
        assert!(text("quite-another").ends_with("'ferroban jails' lists those that there are"));
    }

    #[test]
    fn who_does_not_answer_is_told_with_what_to_do() {
        let io = |kind: io::ErrorKind| ContactError::Io(kind.into());
        let rows = [
            (ContactError::Missing("/x".into()), "start one with"),
            (ContactError::Denied("/x".into()), "ask as root"),
            (ContactError::TimedOut, "no answer within 60 s"),
            (io(io::ErrorKind::ConnectionRefused), "start it again"),
            (io(io::ErrorKind::ConnectionReset), "has hung up"),
        ];
        for (error, part) in rows {
            let problem = unreachable(Path::new("/x"), &error);
            assert!(problem.text.starts_with("/x: "), "{problem:?}");
            assert!(problem.text.contains(part), "{problem:?}");
            assert_eq!(problem.code, 255);
        }
    }
}
