//! The dialogue with a mail server: RFC 5321, and of its extensions STARTTLS and AUTH.

use std::net::IpAddr;
use std::time::Instant;

use super::address::{Address, is_host_name};
use super::base64::encoded;
use super::error::{Reply, Step, What};
use super::link::Link;
use super::settings::{Login, Settings, Tls};

/// What is needed besides the settings to begin.
pub(super) struct Begin<'a> {
    pub(super) addresses: &'a [IpAddr],
    /// What this host is called.
    pub(super) own_name: &'a str,
    pub(super) deadline: Instant,
    #[cfg(feature = "tls")]
    pub(super) trust: Option<&'a super::tls::Trust>,
}

/// A connection over which mails can be sent, one after the other.
#[derive(Debug)]
pub(super) struct Session {
    link: Link,
    /// What the server offers, in upper case.
    offers: Vec<String>,
}

impl Session {
    /// Connects, and makes us known.
    pub(super) fn open(settings: &Settings, begin: &Begin<'_>) -> Result<Self, What> {
        let link = Link::open(begin.addresses, settings.port, begin.deadline)?;
        let mut session = Self {
            link,
            offers: Vec::new(),
        };
        if settings.tls == Tls::Throughout {
            session.encrypt(settings, begin)?;
        }
        let greeting = session.link.reply(Step::Greeting)?;
        expect(greeting, 2, Step::Greeting)?;
        session.hello(begin.own_name)?;
        if settings.tls == Tls::Starttls {
            if !session.offers("STARTTLS") {
                return Err(What::Lacks("STARTTLS"));
            }
            session.command("STARTTLS", 2, Step::Tls)?;
            session.encrypt(settings, begin)?;
            session.hello(begin.own_name)?;
        }
        if let Some(login) = &settings.login {
            session.login(login)?;
        }
        Ok(session)
    }

    #[cfg(feature = "tls")]
    fn encrypt(&mut self, settings: &Settings, begin: &Begin<'_>) -> Result<(), What> {
        let trust = begin.trust.ok_or(What::Nonsense(Step::Tls))?;
        self.link.encrypt(trust, &settings.host)
    }

    /// Settings that want TLS are refused without it.
    #[cfg(not(feature = "tls"))]
    fn encrypt(&mut self, _: &Settings, _: &Begin<'_>) -> Result<(), What> {
        Err(What::Nonsense(Step::Tls))
    }

    /// From now on it has until then.
    pub(super) fn extend(&mut self, deadline: Instant) {
        self.link.extend(deadline);
    }

    /// Who does not know the new greeting may know the old one.
    fn hello(&mut self, own_name: &str) -> Result<(), What> {
        let name = match self.link.own_address() {
            _ if is_host_name(own_name) => own_name.to_owned(),
            Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
            Some(IpAddr::V4(address)) => format!("[{address}]"),
            None => "localhost".to_owned(),
        };
        let reply = self.say(&format!("EHLO {name}"), Step::Greeting)?;
        if reply.code / 100 != 2 {
            self.offers.clear();
            return self.command(&format!("HELO {name}"), 2, Step::Greeting);
        }
        let offers = reply.lines.into_iter().skip(1);
        self.offers = offers.map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn offers(&self, what: &str) -> bool {
        let first = |offer: &String| offer.split(' ').next() == Some(what);
        self.offers.iter().any(first)
    }

    fn login(&mut self, login: &Login) -> Result<(), What> {
        // Some old servers write it with an equals sign.
        let mut offers = self.offers.iter();
        let ways = offers
            .find_map(|offer| offer.strip_prefix("AUTH"))
            .unwrap_or_default();
        let offers = |way: &str| ways.split([' ', '=']).any(|word| word == way);
        let (user, password) = (&login.user, &login.password.0);
        if offers("PLAIN") {
            let secret = encoded(format!("\0{user}\0{password}").as_bytes());
            return self.command(&format!("AUTH PLAIN {secret}"), 2, Step::Login);
        }
        if !offers("LOGIN") {
            return Err(What::Lacks("AUTH PLAIN or AUTH LOGIN"));
        }
        self.command("AUTH LOGIN", 3, Step::Login)?;
        self.command(&encoded(user.as_bytes()), 3, Step::Login)?;
        self.command(&encoded(password.as_bytes()), 2, Step::Login)
    }

    /// Sends a letter to all who may get it.
    pub(super) fn send(
        &mut self,
        from: &Address,
        to: &[Address],
        letter: &str,
    ) -> Result<(), What> {
        self.command(&format!("MAIL FROM:<{from}>"), 2, Step::Sender)?;
        let mut refused = Vec::new();
        for address in to {
            let reply = self.say(&format!("RCPT TO:<{address}>"), Step::Recipient)?;
            if reply.code / 100 != 2 {
                refused.push((address.clone(), reply));
            }
        }
        if refused.len() == to.len()
            && let Some((_, reply)) = refused.pop()
        {
            let during = Step::Recipient;
            return Err(What::Refused { during, reply });
        }
        self.command("DATA", 3, Step::Text)?;
        self.link.write(stuffed(letter).as_bytes(), Step::Text)?;
        expect(self.link.reply(Step::Text)?, 2, Step::Text)?;
        if refused.is_empty() {
            Ok(())
        } else {
            Err(What::Some(refused))
        }
    }

    /// Says goodbye. Whatever the server makes of it, the connection ends.
    pub(super) fn quit(mut self, deadline: Instant) {
        self.extend(deadline);
        self.say("QUIT", Step::Text).ok();
    }

    fn command(&mut self, text: &str, wanted: u16, during: Step) -> Result<(), What> {
        let reply = self.say(text, during)?;
        expect(reply, wanted, during)
    }

    fn say(&mut self, text: &str, during: Step) -> Result<Reply, What> {
        self.link.write(format!("{text}\r\n").as_bytes(), during)?;
        self.link.reply(during)
    }
}

fn expect(reply: Reply, wanted: u16, during: Step) -> Result<(), What> {
    if reply.code / 100 == wanted {
        Ok(())
    } else {
        Err(What::Refused { during, reply })
    }
}

/// The text with a dot before each line that begins with one, and a line with a dot alone.
fn stuffed(letter: &str) -> String {
    let mut out = String::with_capacity(letter.len() + 16);
    for line in letter.split_inclusive("\r\n") {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
    }
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_letter_ends_it() {
        let cases = [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            (".\r\n..a\r\n", "..\r\n...a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(stuffed(text), expected, "{text:?}");
        }
    }
}
