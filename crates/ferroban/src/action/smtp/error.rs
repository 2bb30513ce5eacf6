//! What can go wrong with a mail.

use std::fmt;
use std::time::Duration;

use super::address::Address;

/// The most of what a server says that is told, in bytes.
const MOST_TOLD: usize = 300;

/// Why a mail was not sent.
#[derive(Debug)]
pub(crate) struct Error {
    /// As in `localhost:25`.
    pub(super) server: String,
    pub(super) what: What,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum What {
    /// Nobody knows the address of the server.
    Unknown(String),
    /// It cannot be reached, or the connection broke.
    Broken { during: Step, why: String },
    /// There is no thread to send it.
    Thread(std::io::Error),
    /// The one that took too long has not ended.
    Hanging,
    /// It took too long altogether.
    Late { during: Step, limit: Duration },
    /// The server said no.
    Refused { during: Step, reply: Reply },
    /// What it says is no SMTP.
    Nonsense(Step),
    /// It does not offer what is to be used.
    Lacks(&'static str),
    /// Nothing vouches for it: certificates cannot be read, or there are none.
    #[cfg(feature = "tls")]
    Trust(String),
    /// Those got it who are not named here.
    Some(Vec<(Address, Reply)>),
    /// It is left alone for a while.
    Resting(Duration),
}

/// What was being done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Name,
    Connect,
    Greeting,
    Tls,
    Login,
    Sender,
    Recipient,
    Text,
}

/// What a server answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) text: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, told(&self.text))
    }
}

/// What a server had a part in, so that it can be shown.
fn told(text: &str) -> impl fmt::Display {
    let kept = text.floor_char_boundary(MOST_TOLD);
    text.get(..kept).unwrap_or_default().escape_debug()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "while its address was looked up",
            Self::Connect => "while it was connected to",
            Self::Greeting => "at its greeting",
            Self::Tls => "at the start of TLS",
            Self::Login => "at the login",
            Self::Sender => "at the sender",
            Self::Recipient => "at the recipient",
            Self::Text => "at the text",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mail server {}: {}", self.server, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "its address cannot be found: {why}; correct host"),
            Self::Broken {
                during: Step::Connect,
                why,
            } => write!(f, "cannot be reached: {why}; start it, or correct host"),
            Self::Broken { during, why } => {
                let advice = match during {
                    Step::Tls => "correct port or tls, or give cafile",
                    _ => "see its log",
                };
                write!(f, "the connection broke {during}: {}; {advice}", told(why))
            }
            Self::Thread(error) => {
                write!(f, "not tried, since no thread can be started: {error}; see TasksMax")
            }
            Self::Hanging => f.write_str(
                "not tried, since the mail before took too long and the server still keeps it; see whether it works, or restart it",
            ),
            Self::Late { during, limit } => write!(
                f,
                "took longer than {} second(s), {during}; see whether it works, or raise timeout",
                limit.as_secs_f64()
            ),
            Self::Refused { during, reply } => {
                let advice = match during {
                    Step::Login => "correct user and password",
                    Step::Sender => "correct sender",
                    Step::Recipient => "correct dest",
                    _ => "see its log",
                };
                write!(f, "refused {during}: {reply}; {advice}")
            }
            Self::Nonsense(during) => {
                write!(
                    f,
                    "does not speak SMTP {during}; correct host and port, or tls"
                )
            }
            Self::Lacks(what) => write!(f, "does not offer {what}; correct port or tls"),
            #[cfg(feature = "tls")]
            Self::Trust(why) => write!(f, "{why}"),
            Self::Some(refused) => {
                f.write_str("sent, but not to ")?;
                for (place, (address, reply)) in refused.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{address} ({reply})")?;
                }
                f.write_str("; correct dest")
            }
            Self::Resting(left) => write!(
                f,
                "not tried, since it could not be used {} times; that is tried again in {} second(s)",
                crate::action::breakdowns::MOST_BREAKDOWNS,
                left.as_secs().saturating_add(1)
            ),
        }
    }
}

impl std::error::Error for Error {}

impl What {
    /// Whether the server itself is of no use now, rather than that it dislikes a mail.
    pub(super) fn is_breakdown(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Broken { .. } | Self::Late { .. } => true,
            Self::Refused { .. }
            | Self::Nonsense(_)
            | Self::Lacks(_)
            | Self::Some(_)
            | Self::Thread(_)
            | Self::Hanging
            | Self::Resting(_) => false,
            #[cfg(feature = "tls")]
            Self::Trust(_) => false,
        }
    }
}
