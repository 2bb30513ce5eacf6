//! A connection with a mail server. SMTP, TLS and logins are lettre's; which of them are
//! used, and what a refusal means, is ours.

#[cfg(feature = "tls")]
mod tls;

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::Error as Failed;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::commands::Data;
use lettre::transport::smtp::extension::ClientId;

use super::address::is_host_name;
use super::error::{Reply, Step, What};
use super::settings::{Login, Settings, Tls};
use crate::action::shell::World;

/// How long a server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How lettre says that the server hung up.
const HUNG_UP: &str = "incomplete response";

/// Where mails go, and who is told how far one got.
pub(super) struct Way<'a> {
    pub(super) settings: &'a Settings,
    pub(super) world: &'a World,
    pub(super) at: &'a dyn Fn(Step),
}

/// A connection over which mails can be sent, one after the other.
pub(super) struct Session(SmtpConnection);

impl Session {
    /// Connects, and makes us known.
    pub(super) fn open(way: &Way<'_>) -> Result<Self, What> {
        (way.at)(Step::Name);
        let addresses = way.addresses()?;
        #[cfg(feature = "tls")]
        let tls = tls::parameters(way.settings)?;
        #[cfg(feature = "tls")]
        let throughout = tls.as_ref().filter(|_| way.settings.tls == Tls::Throughout);
        #[cfg(not(feature = "tls"))]
        let throughout = None;
        (way.at)(Step::Connect);
        let limit = Some(way.settings.limit);
        let hello = way.hello();
        let connection = SmtpConnection::connect(&addresses[..], limit, &hello, throughout, None)
            .map_err(|error| way.failed(&error, Step::Connect))?;
        let mut session = Self(connection);
        #[cfg(feature = "tls")]
        if let (Some(tls), Tls::Starttls) = (&tls, way.settings.tls) {
            session.encrypt(way, tls)?;
        }
        if let Some(login) = &way.settings.login {
            session.login(way, login)?;
        }
        Ok(session)
    }

    fn login(&mut self, way: &Way<'_>, login: &Login) -> Result<(), What> {
        (way.at)(Step::Login);
        let info = self.0.server_info();
        if info.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            return Err(What::Lacks("AUTH PLAIN or AUTH LOGIN"));
        }
        let secret = Credentials::new(login.user.clone(), login.password.0.clone());
        let result = self.0.auth(DEFAULT_MECHANISMS, &secret);
        result.map_err(|error| way.failed(&error, Step::Login))?;
        Ok(())
    }

    /// Sends a letter to all who may get it. The addresses are written by us: lettre knows
    /// none without a domain.
    pub(super) fn send(&mut self, way: &Way<'_>, letter: &[u8]) -> Result<(), What> {
        (way.at)(Step::Sender);
        self.wait(way.settings.limit, Step::Sender)?;
        let settings = way.settings;
        let sender = format!("MAIL FROM:<{}>\r\n", settings.sender);
        let result = self.0.command(sender);
        result.map_err(|error| way.failed(&error, Step::Sender))?;
        (way.at)(Step::Recipient);
        let mut refused = Vec::new();
        for address in &settings.dest {
            let result = self.0.command(format!("RCPT TO:<{address}>\r\n"));
            match result.map_err(|error| way.failed(&error, Step::Recipient)) {
                Ok(_) => {}
                Err(What::Refused { reply, .. }) => refused.push((address.clone(), reply)),
                Err(what) => return Err(what),
            }
        }
        if refused.len() == settings.dest.len()
            && let Some((_, reply)) = refused.pop()
        {
            let during = Step::Recipient;
            return Err(What::Refused { during, reply });
        }
        (way.at)(Step::Text);
        let failed = |error: Failed| way.failed(&error, Step::Text);
        if !self.0.command(Data).map_err(failed)?.has_code(354) {
            return Err(What::Nonsense(Step::Text));
        }
        self.0.message(letter).map_err(failed)?;
        if refused.is_empty() {
            Ok(())
        } else {
            Err(What::Some(refused))
        }
    }

    /// Says goodbye. Whatever the server makes of it, the connection ends.
    pub(super) fn quit(mut self) {
        if self.wait(GOODBYE, Step::Text).is_ok() {
            self.0.quit().ok();
        }
    }

    /// From now on each wait may take so long.
    fn wait(&mut self, limit: Duration, during: Step) -> Result<(), What> {
        let set = self.0.set_timeout(Some(limit));
        set.map_err(|error| What::Broken {
            during,
            why: error.to_string(),
        })
    }
}

impl Way<'_> {
    fn addresses(&self) -> Result<Vec<SocketAddr>, What> {
        let Settings { host, port, .. } = self.settings;
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.world.facts.addresses(host).map_err(What::Unknown)?,
        };
        let all = found.into_iter();
        Ok(all.map(|address| SocketAddr::new(address, *port)).collect())
    }

    /// What this host calls itself.
    fn hello(&self) -> ClientId {
        let name = self.world.facts.own_name(true);
        if is_host_name(&name) {
            ClientId::Domain(name)
        } else {
            ClientId::default()
        }
    }

    fn failed(&self, error: &Failed, during: Step) -> What {
        let source = error.source();
        let why = source.map_or_else(|| error.to_string(), ToString::to_string);
        let spoke = match during {
            Step::Connect => Step::Greeting,
            other => other,
        };
        if let Some(code) = error.status() {
            let (during, code) = (spoke, code.into());
            let reply = Reply { code, text: why };
            return What::Refused { during, reply };
        }
        if error.is_client() || error.is_response() && why != HUNG_UP {
            return What::Nonsense(spoke);
        }
        let cause = source.and_then(|source| source.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                let limit = self.settings.limit;
                What::Late { during, limit }
            }
            // So rustls says that it does not trust the server, or that this is no TLS.
            Some(io::ErrorKind::InvalidData) => match (self.settings.tls, during) {
                (Tls::No, _) => What::Nonsense(spoke),
                (_, Step::Connect) => What::Broken {
                    during: Step::Tls,
                    why,
                },
                _ => What::Broken { during, why },
            },
            _ => What::Broken { during, why },
        }
    }
}
