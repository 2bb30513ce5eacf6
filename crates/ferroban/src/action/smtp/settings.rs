//! The options of `ferroban-smtp[…]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, AddressError};
use crate::action::Options;

/// The most who get a mail.
const MOST_RECIPIENTS: usize = 100;
/// The longest name, host, user or password.
const MOST_TEXT: usize = 255;
/// The longest that a mail may take, in seconds.
const MOST_SECONDS: u64 = 3600;

/// Where mails go, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    /// Certificates of those who vouch for the server, instead of the system's.
    pub(super) cafile: Option<PathBuf>,
    pub(super) login: Option<Login>,
    pub(super) sendername: String,
    pub(super) sender: Address,
    pub(super) dest: Vec<Address>,
    pub(super) matches: Option<Matches>,
    /// Whether bans from the database are passed over.
    pub(super) norestored: bool,
    /// How long a mail may take.
    pub(super) limit: Duration,
}

/// How the connection is kept from others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tls {
    No,
    /// It begins in clear and changes over.
    Starttls,
    /// From its first byte on.
    Throughout,
}

/// Which lines a mail about a ban has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Matches {
    /// Of this ban.
    Ban,
    /// Of all bans of the address.
    Ip,
    /// Of all bans of the address in this jail.
    IpJail,
}

/// Who we are to the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
}

/// What is shown to nobody.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why an option of the action cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SettingsError {
    /// No host, nor a host with a port.
    Host(String),
    /// No number from 1 to 65535.
    Port(String),
    /// A port here and another one there.
    Ports,
    /// No address of mail.
    Address {
        option: &'static str,
        text: String,
        why: AddressError,
    },
    /// Nobody gets the mail, or too many do.
    Recipients(usize),
    /// A name that cannot stand in a header, or is too long.
    Name(&'static str),
    /// Neither `no`, `starttls` nor `tls`.
    Tls(String),
    /// `ssl` says yes, and `tls` no.
    Contradiction,
    /// This program was built without TLS.
    NoTls,
    /// A file with certificates, and nothing to check with them.
    Cafile,
    /// A user without a password, or the other way round.
    Login(&'static str),
    /// A password that would go over the net for everybody to read.
    InClear,
    /// None of the known lists of lines.
    Matches(String),
    /// Neither yes nor no.
    NotBool(&'static str, String),
    /// No number of seconds.
    Timeout(String),
    /// No such option.
    Unknown(String),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) => write!(
                f,
                "host '{}' is no name and no address; give one, and after it perhaps :port",
                text.escape_debug()
            ),
            Self::Port(text) => write!(
                f,
                "port '{}' is no number from 1 to 65535; give the one of the mail server",
                text.escape_debug()
            ),
            Self::Ports => f.write_str("host has one port, and port is another; leave one out"),
            Self::Address { option, text, why } => write!(
                f,
                "{option} '{}' is no address: {why}; give one as user@example.org",
                text.escape_debug()
            ),
            Self::Recipients(0) => f.write_str("dest is empty; say who gets the mail"),
            Self::Recipients(count) => write!(
                f,
                "dest has {count} addresses; give at most {MOST_RECIPIENTS}, or a list of the mail server"
            ),
            Self::Name(option) => write!(
                f,
                "{option} has control characters or more than {MOST_TEXT} bytes; shorten it to plain text"
            ),
            Self::Tls(text) => write!(
                f,
                "tls '{}' is unknown; give no, starttls or tls",
                text.escape_debug()
            ),
            Self::Matches(text) => write!(
                f,
                "matches '{}' is unknown; give matches, ipmatches or ipjailmatches, or leave it out",
                text.escape_debug()
            ),
            Self::NotBool(option, text) => write!(
                f,
                "{option} '{}' is unknown; give yes or no",
                text.escape_debug()
            ),
            Self::Timeout(text) => write!(
                f,
                "timeout '{}' is no number of seconds from 1 to {MOST_SECONDS}; give one",
                text.escape_debug()
            ),
            Self::Unknown(text) => write!(
                f,
                "option '{}' is unknown; this action has host, port, tls, ssl, cafile, user, password, sendername, sender, dest, matches, norestored and timeout",
                text.escape_debug()
            ),
            _ => self.about_trust(f),
        }
    }
}

impl SettingsError {
    fn about_trust(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contradiction => "ssl = yes is tls = starttls, and tls = no is none; leave one out",
            Self::NoTls => {
                "this program was built without TLS; build it with the feature tls, or give tls = no"
            }
            Self::Cafile => "cafile has no use without TLS; give tls = starttls or tls = tls as well",
            Self::Login("user") => "user has no password; give one, or leave user out",
            Self::Login(_) => "password has no user; give one, or leave password out",
            _ => {
                "the password would be sent for everybody to read; give tls = starttls or tls = tls, or tls = no if that is meant"
            }
        })
    }
}

impl std::error::Error for SettingsError {}

/// The options as they are written, before they are looked at together.
#[derive(Default)]
struct Raw<'a> {
    host: Option<&'a str>,
    port: Option<&'a str>,
    tls: Option<&'a str>,
    ssl: bool,
    cafile: Option<&'a str>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    sendername: Option<&'a str>,
    sender: Option<&'a str>,
    dest: Option<&'a str>,
}

impl Settings {
    pub(super) fn new(options: &Options) -> Result<Self, SettingsError> {
        let mut raw = Raw::default();
        let mut matches = None;
        let mut norestored = true;
        let mut limit = Duration::from_secs(60);
        for (name, value) in options {
            let text = value.trim();
            let given = Some(text).filter(|text| !text.is_empty());
            match name.as_str() {
                "host" => raw.host = given,
                "port" => raw.port = given,
                "tls" => raw.tls = given,
                "ssl" => raw.ssl = yes("ssl", text)?,
                "cafile" => raw.cafile = given,
                "user" => raw.user = given,
                "password" => raw.password = Some(value.as_str()).filter(|text| !text.is_empty()),
                "sendername" => raw.sendername = Some(text),
                "sender" => raw.sender = given,
                "dest" => raw.dest = Some(text),
                "matches" => matches = lines(text)?,
                "norestored" => norestored = yes("norestored", text)?,
                "timeout" => limit = seconds(text)?,
                // What makes it this action, and what every action may be given.
                "ferroban" | "name" | "actname" | "bantime" => {}
                command if command.starts_with("action") && text.is_empty() => {}
                _ => return Err(SettingsError::Unknown(name.clone())),
            }
        }
        let tls = raw.tls()?;
        let (host, port) = raw.server(tls)?;
        Ok(Self {
            login: raw.login(&host, tls)?,
            host,
            port,
            tls,
            cafile: raw.cafile.map(PathBuf::from),
            sendername: name("sendername", raw.sendername.unwrap_or("Fail2Ban"))?,
            sender: address("sender", raw.sender.unwrap_or("fail2ban"))?,
            dest: recipients(raw.dest.unwrap_or("root"))?,
            matches,
            norestored,
            limit,
        })
    }

    /// `localhost:25`.
    pub(super) fn server(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Raw<'_> {
    fn tls(&self) -> Result<Tls, SettingsError> {
        let tls = match (self.tls, self.ssl) {
            (None, false) => Tls::No,
            (None, true) => Tls::Starttls,
            (Some(text), ssl) => match (text.to_ascii_lowercase().as_str(), ssl) {
                ("no", true) => return Err(SettingsError::Contradiction),
                ("no", false) => Tls::No,
                ("starttls", _) => Tls::Starttls,
                ("tls", _) => Tls::Throughout,
                _ => return Err(SettingsError::Tls(text.to_owned())),
            },
        };
        if tls == Tls::No {
            let without_use = self.cafile.is_some();
            return if without_use {
                Err(SettingsError::Cafile)
            } else {
                Ok(tls)
            };
        }
        if cfg!(feature = "tls") {
            Ok(tls)
        } else {
            Err(SettingsError::NoTls)
        }
    }

    /// The host, and its port: that of SMTP, or of SMTP inside TLS.
    fn server(&self, tls: Tls) -> Result<(String, u16), SettingsError> {
        let text = self.host.unwrap_or("localhost");
        let wrong = || SettingsError::Host(text.to_owned());
        let (host, beside) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    port => Some(port.ok_or_else(wrong)?),
                };
                (host, port)
            }
            // More than one colon: an IPv6 address alone.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || host.len() > MOST_TEXT || !host.chars().all(fits) {
            return Err(wrong());
        }
        let port = match (beside, self.port) {
            (Some(_), Some(_)) if beside != self.port => return Err(SettingsError::Ports),
            (one, other) => one.or(other),
        };
        let usual = if tls == Tls::Throughout { 465 } else { 25 };
        let port = match port {
            None => usual,
            Some(text) => match text.parse() {
                Ok(0) | Err(_) => return Err(SettingsError::Port(text.to_owned())),
                Ok(port) => port,
            },
        };
        Ok((host.to_owned(), port))
    }

    /// A password goes in clear to this host alone, or where somebody wrote that it may.
    fn login(&self, host: &str, tls: Tls) -> Result<Option<Login>, SettingsError> {
        let (user, password) = match (self.user, self.password) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(SettingsError::Login("user")),
            (None, Some(_)) => return Err(SettingsError::Login("password")),
            (Some(user), Some(password)) => (user, password),
        };
        let address = host.parse::<std::net::IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if tls == Tls::No && !is_here && self.tls.is_none() {
            return Err(SettingsError::InClear);
        }
        Ok(Some(Login {
            user: name("user", user)?,
            password: Secret(name("password", password)?),
        }))
    }
}

fn name(option: &'static str, text: &str) -> Result<String, SettingsError> {
    if text.len() > MOST_TEXT || text.chars().any(char::is_control) {
        return Err(SettingsError::Name(option));
    }
    Ok(text.to_owned())
}

fn address(option: &'static str, text: &str) -> Result<Address, SettingsError> {
    Address::parse(text).map_err(|why| SettingsError::Address {
        option,
        text: text.to_owned(),
        why,
    })
}

fn recipients(text: &str) -> Result<Vec<Address>, SettingsError> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() || words.len() > MOST_RECIPIENTS {
        return Err(SettingsError::Recipients(words.len()));
    }
    words
        .into_iter()
        .map(|word| address("dest", word))
        .collect()
}

fn lines(text: &str) -> Result<Option<Matches>, SettingsError> {
    Ok(match text {
        "" => None,
        "matches" => Some(Matches::Ban),
        "ipmatches" => Some(Matches::Ip),
        "ipjailmatches" => Some(Matches::IpJail),
        _ => return Err(SettingsError::Matches(text.to_owned())),
    })
}

fn yes(option: &'static str, text: &str) -> Result<bool, SettingsError> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" | "" => Ok(false),
        _ => Err(SettingsError::NotBool(option, text.to_owned())),
    }
}

fn seconds(text: &str) -> Result<Duration, SettingsError> {
    match text.parse() {
        Ok(seconds @ 1..=MOST_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err(SettingsError::Timeout(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Settings, SettingsError> {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let pairs = text.split('|').filter(|pair| !pair.is_empty());
        Settings::new(&pairs.map(pair).collect())
    }

    #[test]
    fn without_options_it_is_what_the_original_does() {
        let settings = read("actionban=|timeout=60|name=sshd|actname=ferroban-smtp").unwrap();
        assert_eq!(settings.server(), "localhost:25");
        assert_eq!(settings.tls, Tls::No);
        assert_eq!(settings.sendername, "Fail2Ban");
        assert_eq!(settings.sender.to_string(), "fail2ban");
        let dest: Vec<String> = settings.dest.iter().map(ToString::to_string).collect();
        assert_eq!(dest, ["root"]);
        assert_eq!(settings.matches, None);
        assert!(settings.norestored);
        assert_eq!(settings.limit, Duration::from_secs(60));
    }

    #[test]
    fn hosts_have_their_port_beside_them_or_in_an_option() {
        let cases = [
            ("host=mail.example.org", "mail.example.org:25"),
            ("host=mail.example.org:2525", "mail.example.org:2525"),
            ("host=mail|port=587", "mail:587"),
            ("host=mail:587|port=587", "mail:587"),
            ("host=::1", "[::1]:25"),
            ("host=[::1]:26", "[::1]:26"),
        ];
        for (text, server) in cases {
            assert_eq!(read(text).unwrap().server(), server, "{text}");
        }
    }

    #[test]
    fn tls_has_a_port_of_its_own_or_begins_at_the_usual_one() {
        let cases = [
            ("host=mail|tls=tls", "mail:465"),
            ("host=mail|tls=starttls", "mail:25"),
            ("host=mail|ssl=yes", "mail:25"),
        ];
        for (text, server) in cases {
            let settings = read(text);
            if cfg!(feature = "tls") {
                assert_eq!(settings.unwrap().server(), server, "{text}");
            } else {
                assert_eq!(settings, Err(SettingsError::NoTls), "{text}");
            }
        }
    }

    #[test]
    fn options_that_cannot_be_used_are_named() {
        use SettingsError as E;
        let address = |option, text: &str, why| E::Address {
            option,
            text: text.to_owned(),
            why,
        };
        let cases = [
            ("host=a b", E::Host("a b".into())),
            ("host=:25", E::Host(":25".into())),
            ("host=a:b", E::Port("b".into())),
            ("port=0", E::Port("0".into())),
            ("host=a:1|port=2", E::Ports),
            ("dest=", E::Recipients(0)),
            (
                "dest=root, a(b)@c",
                address("dest", "a(b)@c", AddressError::Character('(')),
            ),
            ("sender=@x", address("sender", "@x", AddressError::Empty)),
            ("sendername=a\nb", E::Name("sendername")),
            ("tls=ssl3", E::Tls("ssl3".into())),
            ("tls=no|ssl=yes", E::Contradiction),
            ("cafile=/x", E::Cafile),
            ("user=a", E::Login("user")),
            ("password=a", E::Login("password")),
            ("host=mail|user=a|password=b", E::InClear),
            ("matches=lines", E::Matches("lines".into())),
            ("ssl=perhaps", E::NotBool("ssl", "perhaps".into())),
            ("timeout=0", E::Timeout("0".into())),
            ("actionban=mail", E::Unknown("actionban".into())),
            ("dst=root", E::Unknown("dst".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        let many = format!("dest={}", "a ".repeat(101));
        assert_eq!(read(&many), Err(E::Recipients(101)));
    }

    #[test]
    fn a_password_is_sent_where_nobody_reads_it_and_is_never_shown() {
        for text in ["host=localhost", "host=127.0.0.1", "host=mail|tls=no"] {
            let settings = read(&format!("{text}|user=me|password=geheim")).unwrap();
            let shown = format!("{settings:?}");
            assert!(!shown.contains("geheim"), "{shown}");
            assert_eq!(settings.login.unwrap().password.0, "geheim");
        }
        let wrong = read("host=mail|user=me|password=geheim").unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("geheim"));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_understood_or_refused(
            option in "host|port|tls|dest|sender|timeout|matches",
            text in "\\PC{0,60}|[0-9:\\[\\].]{0,20}",
        ) {
            if let Ok(settings) = Settings::new(&[(option, text)].into()) {
                prop_assert!(settings.port > 0);
                prop_assert!(!settings.dest.is_empty());
                prop_assert!(!settings.server().contains(char::is_whitespace));
            }
        }
    }
}
