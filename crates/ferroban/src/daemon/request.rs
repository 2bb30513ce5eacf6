//! What a client may ask, read from its words.
//!
//! [`COMMANDS`] lists every first word once. What the words mean stands in [`Request`]; carrying it out is the main thread's
//! business.

use ferroban_engine::FailId;
use ferroban_engine::options::ACTION_METHODS;

use super::office::Access;
use crate::load::{Refusal, Word};
use crate::wire::Shape;

/// A request that was understood. Names of jails are not looked up yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Ping,
    Version,
    ServerStatus,
    /// What was said, which only who read the request knows in full.
    Echo,
    /// So many seconds; only the client that asks waits.
    Sleep(f64),
    /// Something to be logged.
    ConfigError(String),
    Status,
    /// The status of every jail.
    StatusAll(Shape),
    JailStatus {
        jail: String,
        shape: Shape,
        /// A flavor that nobody knows.
        unknown: Option<Word>,
    },
    Banned,
    WhereBanned(Vec<FailId>),
    UnbanEverywhere(Vec<FailId>),
    UnbanAll,
    FlushLogs,
    /// Stop the server.
    Stop,
    /// End every jail.
    StopAll,
    StopJail(String),
    /// A command that changes what one jail is told: `add`, `start`, `set`, `multi-set`.
    Tell(Vec<Word>),
    /// `set <option> …` of the server.
    Set {
        option: ServerOption,
        value: Word,
    },
    /// `get <option>` of the server.
    Get(ServerOption),
    /// `get <jail> …`
    GetJail {
        jail: String,
        option: String,
        values: Vec<Word>,
    },
    BanIps {
        jail: String,
        shape: Shape,
    },
    AreBanned {
        jail: String,
        ids: Vec<FailId>,
    },
    Ban {
        jail: String,
        ids: Vec<FailId>,
        force: bool,
    },
    Unban {
        jail: String,
        ids: Vec<FailId>,
        report_absent: bool,
    },
    Attempt {
        jail: String,
        id: FailId,
        lines: Vec<String>,
    },
    /// A method of an action, with its arguments as JSON.
    Call {
        jail: String,
        action: String,
        method: String,
        arguments: String,
    },
    /// A configuration.
    Stream(Vec<Vec<Word>>),
    Reload(Reload),
    /// Our own words.
    Own(Own),
}

/// What is to be read again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reload {
    /// One jail; none: all of them.
    pub(super) jail: Option<String>,
    pub(super) restart: bool,
    pub(super) unban: bool,
    pub(super) if_exists: bool,
    /// What they are to be told.
    pub(super) stream: Vec<Vec<Word>>,
}

/// Our own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Own {
    /// Everything about the server and its jails.
    Status,
    /// The bans of one jail or of all; of one jail also those of some ids alone.
    Bans {
        jail: Option<String>,
        ids: Vec<FailId>,
    },
    /// Whether the actions of a jail ban.
    Check { jail: String },
    /// What happens from now on, until the client has enough.
    Events,
}

/// An option of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ServerOption {
    LogLevel,
    LogTarget,
    SyslogSocket,
    DbFile,
    DbMaxMatches,
    DbPurgeAge,
    Thread,
    AllowIpv6,
    /// Our own: the socket for those who may look.
    Monitor,
}

impl ServerOption {
    /// The word by which it is set.
    pub(super) fn name(self) -> &'static str {
        let row = SERVER_OPTIONS.iter().find(|(_, option, _)| *option == self);
        row.map_or("", |(name, ..)| name)
    }
}

/// Options of the server: their names, and whether they can be asked for.
const SERVER_OPTIONS: [(&str, ServerOption, bool); 9] = [
    ("loglevel", ServerOption::LogLevel, true),
    ("logtarget", ServerOption::LogTarget, true),
    ("syslogsocket", ServerOption::SyslogSocket, true),
    ("dbfile", ServerOption::DbFile, true),
    ("dbmaxmatches", ServerOption::DbMaxMatches, true),
    ("dbpurgeage", ServerOption::DbPurgeAge, true),
    ("thread", ServerOption::Thread, true),
    ("allowipv6", ServerOption::AllowIpv6, false),
    ("monitor", ServerOption::Monitor, true),
];

/// One command.
pub(super) struct Row {
    /// Its first word.
    pub(super) word: &'static str,
    read: fn(&[Word]) -> Result<Request, Refusal>,
}

/// Every command.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Row] = &[
    Row { word: "ping", read: |_| Ok(Request::Ping) },
    Row { word: "version", read: |_| Ok(Request::Version) },
    Row { word: "server-status", read: |_| Ok(Request::ServerStatus) },
    Row { word: "echo", read: |_| Ok(Request::Echo) },
    Row { word: "sleep", read: sleep },
    Row { word: "config-error", read: |words| Ok(Request::ConfigError(shown(first(words)?))) },
    Row { word: "status", read: status },
    Row { word: "stats", read: |_| Ok(Request::StatusAll(Shape::Stats)) },
    Row { word: "statistic", read: |_| Ok(Request::StatusAll(Shape::Stats)) },
    Row { word: "statistics", read: |_| Ok(Request::StatusAll(Shape::Stats)) },
    Row { word: "banned", read: banned },
    Row { word: "unban", read: unban },
    Row { word: "flushlogs", read: |_| Ok(Request::FlushLogs) },
    Row { word: "add", read: |words| tell("add", words, 1) },
    Row { word: "start", read: |words| tell("start", words, 1) },
    Row { word: "stop", read: stop },
    Row { word: "get", read: get },
    Row { word: "set", read: set },
    Row { word: "multi-set", read: multi_set },
    Row { word: "server-stream", read: |words| Ok(Request::Stream(commands(first(words)?)?)) },
    Row { word: "reload", read: reload },
    Row { word: "ferroban", read: own },
];

impl Request {
    /// Reads the words of a request.
    pub(super) fn read(words: &[Word]) -> Result<Self, Refusal> {
        let (word, rest) = words.split_first().ok_or(Refusal::TooFew)?;
        let row = COMMANDS.iter().find(|row| word.as_str() == Some(row.word));
        let row = row.ok_or_else(|| Refusal::plain("Invalid command"))?;
        (row.read)(rest)
    }

    /// The request as whoever has only this access may ask it, if at all.
    pub(super) fn with(self, access: Access) -> Option<Self> {
        const NUMBERS: [&str; 3] = ["bantime", "findtime", "maxretry"];
        if access == Access::Everything {
            return Some(self);
        }
        match self {
            Self::JailStatus {
                jail,
                shape: Shape::Usual,
                ..
            } => Some(Self::JailStatus {
                jail,
                shape: Shape::Guarded,
                unknown: None,
            }),
            Self::StatusAll(Shape::Usual) => Some(Self::StatusAll(Shape::Guarded)),
            Self::GetJail { ref option, .. } if NUMBERS.contains(&option.as_str()) => Some(self),
            Self::Ping
            | Self::Version
            | Self::Status
            | Self::StatusAll(Shape::Stats)
            | Self::JailStatus {
                shape: Shape::Stats,
                ..
            }
            | Self::Banned
            | Self::WhereBanned(_)
            | Self::BanIps { .. }
            | Self::AreBanned { .. } => Some(self),
            _ => None,
        }
    }

    /// Whether it changes something: who asked for it is then logged.
    pub(super) fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Ping
                | Self::Version
                | Self::ServerStatus
                | Self::Echo
                | Self::Sleep(_)
                | Self::Status
                | Self::StatusAll(_)
                | Self::JailStatus { .. }
                | Self::Banned
                | Self::WhereBanned(_)
                | Self::BanIps { .. }
                | Self::AreBanned { .. }
                | Self::Get(_)
                | Self::GetJail { .. }
                | Self::Own(_)
        )
    }
}

fn first(words: &[Word]) -> Result<&Word, Refusal> {
    words.first().ok_or(Refusal::TooFew)
}

fn shown(word: &Word) -> String {
    word.shown().unwrap_or_default()
}

/// The name of a jail. What is no text names none.
fn jail(word: &Word) -> Result<String, Refusal> {
    match word {
        Word::Text(name) => Ok(name.clone()),
        other => Err(Refusal::UnknownJail(shown(other))),
    }
}

/// Ids, which must be text.
fn ids(words: &[Word]) -> Result<Vec<FailId>, Refusal> {
    let id = |word: &Word| {
        let text = word.as_str().ok_or_else(|| {
            let text = "an address or another id must be given as text";
            Refusal::Error("TypeError", text.to_owned())
        })?;
        Ok(FailId::parse(text))
    };
    words.iter().map(id).collect()
}

fn sleep(words: &[Word]) -> Result<Request, Refusal> {
    let word = first(words)?;
    let text = shown(word);
    let seconds: f64 = text
        .trim()
        .parse()
        .map_err(|_| Refusal::value(format!("could not convert string to float: '{text}'")))?;
    if seconds < 0.0 {
        return Err(Refusal::value("sleep length must be non-negative"));
    }
    Ok(Request::Sleep(seconds))
}

fn status(words: &[Word]) -> Result<Request, Refusal> {
    let flavor = words.get(1);
    match (words, flavor.and_then(Word::as_str)) {
        ([], _) => Ok(Request::Status),
        ([_, _, _, ..], _) => Err(Refusal::plain("Invalid command (no status)")),
        ([all, ..], flavor) if all.as_str() == Some("--all") => {
            Ok(Request::StatusAll(shape(flavor)))
        }
        ([name, ..], known) => {
            let shape = shape(known);
            let known =
                known.is_some_and(|known| ["basic", "short", "stats", "cymru"].contains(&known));
            Ok(Request::JailStatus {
                jail: jail(name)?,
                shape,
                unknown: flavor.filter(|_| !known).cloned(),
            })
        }
    }
}

fn shape(flavor: Option<&str>) -> Shape {
    match flavor {
        Some("short") => Shape::Short,
        Some("stats") => Shape::Stats,
        Some("cymru") => Shape::Cymru,
        _ => Shape::Usual,
    }
}

fn banned(words: &[Word]) -> Result<Request, Refusal> {
    Ok(match words {
        [] => Request::Banned,
        words => Request::WhereBanned(ids(words)?),
    })
}

fn unban(words: &[Word]) -> Result<Request, Refusal> {
    match words {
        [] => Err(Refusal::plain("Invalid command")),
        [all] if all.as_str() == Some("--all") => Ok(Request::UnbanAll),
        words => Ok(Request::UnbanEverywhere(ids(words)?)),
    }
}

fn stop(words: &[Word]) -> Result<Request, Refusal> {
    Ok(match words {
        [] => Request::Stop,
        [all, ..] if all.as_str() == Some("--all") => Request::StopAll,
        [name, ..] => Request::StopJail(jail(name)?),
    })
}

/// A command for the jail that its first word names, with at least so many words.
fn tell(command: &str, words: &[Word], least: usize) -> Result<Request, Refusal> {
    if words.len() < least {
        return Err(Refusal::TooFew);
    }
    let mut all = vec![Word::from(command)];
    all.extend_from_slice(words);
    if command != "add" {
        jail(first(words)?)?;
    }
    Ok(Request::Tell(all))
}

fn get(words: &[Word]) -> Result<Request, Refusal> {
    let name = first(words)?;
    let option = SERVER_OPTIONS
        .iter()
        .find(|(known, _, asked)| *asked && name.as_str() == Some(known));
    if let Some((_, option, _)) = option {
        return Ok(Request::Get(*option));
    }
    let [name, option, values @ ..] = words else {
        return Err(Refusal::TooFew);
    };
    let option = option.as_str().unwrap_or_default();
    let invalid = || Refusal::plain("Invalid command (no get action or not yet implemented)");
    match option {
        "banip" => {
            let with_time = values.first().and_then(Word::as_str) == Some("--with-time");
            Ok(Request::BanIps {
                jail: jail(name)?,
                shape: if with_time {
                    Shape::WithTime
                } else {
                    Shape::Usual
                },
            })
        }
        "banned" => Ok(Request::AreBanned {
            jail: jail(name)?,
            ids: ids(values)?,
        }),
        "actions" => get_jail(name, option, values, 0),
        "actionproperties" | "actionmethods" => get_jail(name, option, values, 1),
        "action" => get_jail(name, option, values, 2),
        _ if option.starts_with("bantime.") || crate::load::is_asked_for(option) => {
            get_jail(name, option, values, 0)
        }
        _ => Err(invalid()),
    }
}

fn get_jail(name: &Word, option: &str, values: &[Word], least: usize) -> Result<Request, Refusal> {
    if values.len() < least {
        return Err(Refusal::TooFew);
    }
    Ok(Request::GetJail {
        jail: jail(name)?,
        option: option.to_owned(),
        values: values.to_vec(),
    })
}

fn set(words: &[Word]) -> Result<Request, Refusal> {
    let name = first(words)?;
    let value = words.get(1).ok_or(Refusal::TooFew)?;
    let option = SERVER_OPTIONS
        .iter()
        .find(|(known, ..)| name.as_str() == Some(known));
    if let Some((_, option, _)) = option {
        return Ok(Request::Set {
            option: *option,
            value: value.clone(),
        });
    }
    let option = value.as_str().unwrap_or_default();
    let values = words.get(2..).unwrap_or_default();
    let flag = |flag: &str| values.first().and_then(Word::as_str) == Some(flag);
    let behind = |flag: bool| values.get(usize::from(flag)..).unwrap_or_default();
    match option {
        "banip" => {
            let force = flag("--force");
            Ok(Request::Ban {
                jail: jail(name)?,
                ids: ids(behind(force))?,
                force,
            })
        }
        "unbanip" if values.is_empty() => Err(Refusal::TooFew),
        "unbanip" => {
            let report_absent = flag("--report-absent");
            Ok(Request::Unban {
                jail: jail(name)?,
                ids: ids(behind(report_absent))?,
                report_absent,
            })
        }
        "attempt" => attempt(name, values),
        "action" => action(words),
        "addaction" | "delaction" => tell("set", words, 3),
        _ if crate::load::is_set_by(option) => tell(
            "set",
            words,
            if option == "addignoreip" || option.ends_with("journalmatch") {
                2
            } else {
                3
            },
        ),
        _ => {
            let option = ferroban_config::quoted(&shown(value));
            Err(Refusal::plain(format!(
                "Invalid command {option} (no set action or not yet implemented)"
            )))
        }
    }
}

fn attempt(name: &Word, values: &[Word]) -> Result<Request, Refusal> {
    let Some((id, lines)) = values.split_first() else {
        let text = "Filter.addAttempt() missing 1 required positional argument: 'ip'";
        return Err(Refusal::Error("TypeError", text.to_owned()));
    };
    let id = ids(std::slice::from_ref(id))?
        .pop()
        .ok_or(Refusal::TooFew)?;
    Ok(Request::Attempt {
        jail: jail(name)?,
        id,
        lines: lines.iter().map(shown).collect(),
    })
}

/// A property of an action, or one of its methods.
fn action(words: &[Word]) -> Result<Request, Refusal> {
    let [name, _, action, property, values @ ..] = words else {
        return Err(Refusal::TooFew);
    };
    let method = shown(property);
    if !ACTION_METHODS.contains(&method.as_str()) {
        return tell("set", words, 5);
    }
    Ok(Request::Call {
        jail: jail(name)?,
        action: shown(action),
        method,
        arguments: values.first().map(shown).unwrap_or_default(),
    })
}

fn multi_set(words: &[Word]) -> Result<Request, Refusal> {
    let name = first(words)?;
    let option = words.get(1).ok_or(Refusal::TooFew)?;
    let known = ["addfailregex", "addignoreregex", "action"];
    match option.as_str() {
        Some(option) if known.contains(&option) => tell("multi-set", words, 3),
        // Everything else takes the list for its value.
        _ if name.as_str().is_some() => set(words),
        _ => Err(Refusal::plain("Invalid command")),
    }
}

/// Commands one after the other.
fn commands(word: &Word) -> Result<Vec<Vec<Word>>, Refusal> {
    let refused = |text: &str| Refusal::Error("TypeError", text.to_owned());
    let (Word::List(items) | Word::Tuple(items)) = word else {
        return Err(refused("a stream is a list of commands"));
    };
    let command = |item: &Word| match item {
        Word::List(words) | Word::Tuple(words) => Ok(words.clone()),
        Word::Text(_) => Err(Refusal::plain("Invalid command")),
        _ => Err(refused("a command is a list of words")),
    };
    items.iter().map(command).collect()
}

fn reload(words: &[Word]) -> Result<Request, Refusal> {
    let missing = |what: &str| {
        let text = format!("Server.reloadJails() missing {what}");
        Refusal::Error("TypeError", text)
    };
    let (name, options) = match words {
        [] => {
            return Err(missing(
                "2 required positional arguments: 'name' and 'opts'",
            ));
        }
        [_] => return Err(missing("1 required positional argument: 'opts'")),
        [name, options, ..] => (name, options),
    };
    let stream = commands(words.get(2).ok_or(Refusal::TooFew)?)?;
    let options = match options {
        Word::List(options) | Word::Tuple(options) => options.as_slice(),
        other => std::slice::from_ref(other),
    };
    let option = |wanted: &str| options.iter().any(|word| word.as_str() == Some(wanted));
    let name = jail(name)?;
    Ok(Request::Reload(Reload {
        jail: Some(name).filter(|name| name != "--all"),
        restart: option("--restart"),
        unban: option("--unban"),
        if_exists: option("--if-exists"),
        stream,
    }))
}

fn own(words: &[Word]) -> Result<Request, Refusal> {
    match words.first().and_then(Word::as_str) {
        Some("status") => Ok(Request::Own(Own::Status)),
        Some("bans") => Ok(Request::Own(Own::Bans {
            jail: words.get(1).map(jail).transpose()?,
            ids: ids(words.get(2..).unwrap_or_default())?,
        })),
        Some("check") => Ok(Request::Own(Own::Check {
            jail: jail(words.get(1).ok_or(Refusal::TooFew)?)?,
        })),
        Some("events") => Ok(Request::Own(Own::Events)),
        _ => Err(Refusal::plain("Invalid command")),
    }
}
