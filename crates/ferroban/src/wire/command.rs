//! Commands and replies of the control socket as Python values.
//!
//! A request is a list of words. The values of replies, the wording of errors and
//! which of them comes first are the original's: programs compare them.

use ferroban_engine::{
    Ban, BanTime, Command, CommandError, FailId, JailName, JailStatus, Reply, settings::Watches,
};

use super::Value;
use super::pickle::Exception;
use crate::clock;

/// A request that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What the engine is asked.
    pub command: Command,
    shape: Shape,
}

/// How the same reply is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Usual,
    /// `get <jail> banip --with-time`
    WithTime,
    /// `status <jail> short`
    Short,
}

/// A result, or the exception that stands for it.
type Result<T> = std::result::Result<T, Value>;

impl Ask {
    /// Reads a request.
    ///
    /// # Errors
    /// The exception that the client is to be told.
    pub fn read(request: &Value) -> Result<Self> {
        let words: Vec<String> = match request.elements() {
            Some(elements) => elements.iter().map(super::text::display).collect(),
            None => Vec::new(),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Self::of_words(&words)
    }

    fn of_words(words: &[&str]) -> Result<Self> {
        let usual = |command| {
            Ok(Self {
                command,
                shape: Shape::Usual,
            })
        };
        match words {
            [] => Err(too_few()),
            ["ping", ..] => usual(Command::Ping),
            ["version", ..] => usual(Command::Version),
            ["status"] => usual(Command::Status),
            ["status", name] => usual(Command::JailStatus { jail: jail(name)? }),
            ["status", name, flavor] => {
                let shape = if *flavor == "short" {
                    Shape::Short
                } else {
                    Shape::Usual
                };
                Ok(Self {
                    command: Command::JailStatus { jail: jail(name)? },
                    shape,
                })
            }
            ["status", ..] => Err(plain("Invalid command (no status)")),
            ["banned"] => usual(Command::Banned),
            ["stop"] => usual(Command::Stop),
            ["unban", "--all"] => usual(Command::UnbanAll),
            ["unban", ids @ ..] if !ids.is_empty() => {
                usual(Command::UnbanEverywhere { ids: parse(ids) })
            }
            ["get", rest @ ..] => Self::get(rest),
            ["set", rest @ ..] => Self::set(rest),
            _ => Err(plain("Invalid command")),
        }
    }

    fn get(words: &[&str]) -> Result<Self> {
        let [name, what, rest @ ..] = words else {
            return Err(too_few());
        };
        let jail = jail(name)?;
        let (command, shape) = match (*what, rest) {
            ("banip", ["--with-time", ..]) => (Command::BanIps { jail }, Shape::WithTime),
            ("banip", _) => (Command::BanIps { jail }, Shape::Usual),
            ("banned", []) => (Command::BannedIds { jail }, Shape::Usual),
            _ => {
                return Err(plain(
                    "Invalid command (no get action or not yet implemented)",
                ));
            }
        };
        Ok(Self { command, shape })
    }

    fn set(words: &[&str]) -> Result<Self> {
        let [name, what, rest @ ..] = words else {
            return Err(too_few());
        };
        let jail = jail(name)?;
        let flag = |flag: &str| rest.first() == Some(&flag);
        let command = match *what {
            "banip" => {
                let force = flag("--force");
                Command::Ban {
                    jail,
                    ids: parse(rest.get(usize::from(force)..).unwrap_or_default()),
                    force,
                }
            }
            "unbanip" => {
                let report_absent = flag("--report-absent");
                let ids = parse(rest.get(usize::from(report_absent)..).unwrap_or_default());
                Command::Unban {
                    jail,
                    ids,
                    report_absent,
                }
            }
            other => {
                let text =
                    format!("Invalid command '{other}' (no set action or not yet implemented)");
                return Err(plain(&text));
            }
        };
        Ok(Self {
            command,
            shape: Shape::Usual,
        })
    }
}

/// Puts a reply in the original's form.
///
/// # Errors
/// The exception that stands for a refusal.
pub fn answer(ask: &Ask, reply: Reply) -> Result<Value> {
    Ok(match reply {
        Reply::Pong => "pong".into(),
        Reply::Version => crate::COMPATIBLE.into(),
        Reply::Jails(names) => {
            let list: Vec<&str> = names.iter().map(JailName::as_str).collect();
            Value::List(vec![
                pair("Number of jail", count(names.len())),
                pair("Jail list", list.join(", ").as_str().into()),
            ])
        }
        Reply::Jail(status) => jail_status(&status, ask.shape),
        Reply::BannedByJail(jails) => {
            let entry = |(name, ids): &(JailName, Vec<FailId>)| {
                Value::Dict(vec![(name.as_str().into(), list(ids))])
            };
            Value::List(jails.iter().map(entry).collect())
        }
        Reply::Bans(bans) if ask.shape == Shape::WithTime => Value::List(
            bans.iter()
                .map(|ban| with_time(ban).as_str().into())
                .collect(),
        ),
        Reply::Bans(bans) => list(&bans.into_iter().map(|ban| ban.id).collect::<Vec<_>>()),
        Reply::Ids(ids) => list(&ids),
        Reply::Count(number) => count(number),
        Reply::Nothing => Value::None,
        Reply::Error(error) => return Err(refusal(&error)),
    })
}

fn jail_status(status: &JailStatus, shape: Shape) -> Value {
    let strings = |texts: &[String]| Value::strings(texts.iter().map(String::as_str));
    let watched = match &status.watches {
        Watches::Files(paths) => pair("File list", strings(paths)),
        Watches::Journal(matches) => pair("Journal matches", strings(matches)),
    };
    let number = |number: u64| Value::Int(number.into());
    let filter = vec![
        pair("Currently failed", count(status.failing)),
        pair("Total failed", number(status.failures)),
        watched,
    ];
    let mut actions = vec![
        pair("Currently banned", count(status.banned.len())),
        pair("Total banned", number(status.bans)),
    ];
    if shape != Shape::Short {
        actions.push(pair("Banned IP list", list(&status.banned)));
    }
    Value::List(vec![
        pair("Filter", Value::List(filter)),
        pair("Actions", Value::List(actions)),
    ])
}

/// `192.0.2.7 ⇥2026-11-23 02:30:45 + 600 = 2026-11-23 02:40:45`, a blank and a
/// tab after the id.
fn with_time(ban: &Ban) -> String {
    let local = |time| ferroban_date::local_text(time, clock::zone());
    let end = match ban.bantime {
        BanTime::For(_) => local(ban.end()),
        BanTime::Forever => "9999-12-31 23:59:59".to_owned(),
    };
    format!(
        "{} \t{} + {} = {end}",
        ban.id,
        local(ban.time),
        ban.bantime.secs()
    )
}

fn refusal(error: &CommandError) -> Value {
    match error {
        CommandError::UnknownJail(name) => Value::Exception(Box::new(Exception {
            module: "fail2ban.exceptions".into(),
            class: "UnknownJailException".into(),
            args: vec![name.as_str().into()],
        })),
        CommandError::NotBanned(_) | CommandError::Protected(_) => {
            Value::exception("ValueError", &error.to_string())
        }
    }
}

fn jail(name: &str) -> Result<JailName> {
    name.parse()
        .map_err(|_| refusal(&CommandError::UnknownJail(name.to_owned())))
}

fn parse(ids: &[&str]) -> Vec<FailId> {
    ids.iter().map(|text| FailId::parse(text)).collect()
}

fn list(ids: &[FailId]) -> Value {
    Value::List(
        ids.iter()
            .map(|id| id.to_string().as_str().into())
            .collect(),
    )
}

fn pair(name: &str, value: Value) -> Value {
    Value::Tuple(vec![name.into(), value])
}

fn count(number: usize) -> Value {
    Value::Int(i128::try_from(number).unwrap_or(i128::MAX))
}

fn plain(text: &str) -> Value {
    Value::exception("Exception", text)
}

fn too_few() -> Value {
    Value::exception("IndexError", "list index out of range")
}

#[cfg(test)]
mod tests {
    use super::super::text::repr;
    use super::*;
    use ferroban_engine::Timestamp;

    fn ask(words: &[&str]) -> Result<Ask> {
        Ask::read(&Value::strings(words.iter().copied()))
    }

    fn shown(words: &[&str], reply: Reply) -> String {
        repr(&answer(&ask(words).unwrap(), reply).unwrap())
    }

    #[test]
    fn replies_have_the_originals_values() {
        let sshd: JailName = "sshd".parse().unwrap();
        let status = JailStatus {
            watches: Watches::Files(vec!["/var/log/auth.log".into()]),
            failing: 0,
            failures: 2,
            bans: 1,
            banned: vec![FailId::parse("192.0.2.7")],
            applied: 1,
        };
        let cases = [
            (vec!["ping"], Reply::Pong, "'pong'"),
            (
                vec!["status"],
                Reply::Jails(vec![sshd.clone()]),
                "[('Number of jail', 1), ('Jail list', 'sshd')]",
            ),
            (
                vec!["status", "sshd"],
                Reply::Jail(status.clone()),
                "[('Filter', [('Currently failed', 0), ('Total failed', 2), ('File list', ['/var/log/auth.log'])]), ('Actions', [('Currently banned', 1), ('Total banned', 1), ('Banned IP list', ['192.0.2.7'])])]",
            ),
            (
                vec!["status", "sshd", "short"],
                Reply::Jail(JailStatus {
                    watches: Watches::Journal(vec!["A=1 + B=2".into()]),
                    ..status
                }),
                "[('Filter', [('Currently failed', 0), ('Total failed', 2), ('Journal matches', ['A=1 + B=2'])]), ('Actions', [('Currently banned', 1), ('Total banned', 1)])]",
            ),
            (
                vec!["banned"],
                Reply::BannedByJail(vec![(sshd, vec![FailId::parse("192.0.2.7")])]),
                "[{'sshd': ['192.0.2.7']}]",
            ),
            (vec!["unban", "--all"], Reply::Count(1), "1"),
            (vec!["stop"], Reply::Nothing, "None"),
        ];
        for (words, reply, expected) in cases {
            assert_eq!(shown(&words, reply), expected, "{words:?}");
        }
    }

    #[test]
    fn bans_show_their_times_on_request() {
        let ban = |bantime| Ban {
            id: FailId::parse("192.0.2.7"),
            time: Timestamp::from_secs(0),
            bantime,
            count: 1,
            ticket: ferroban_engine::Ticket::default(),
            restored: false,
        };
        let words = ["get", "sshd", "banip", "--with-time"];
        let text = shown(
            &words,
            Reply::Bans(vec![ban(BanTime::For(600)), ban(BanTime::Forever)]),
        );
        assert!(
            text.contains(" + 600 = ") && text.contains("192.0.2.7 \\t"),
            "{text}"
        );
        assert!(text.ends_with(" + -1 = 9999-12-31 23:59:59']"), "{text}");
        assert_eq!(
            shown(
                &["get", "sshd", "banip"],
                Reply::Bans(vec![ban(BanTime::For(1))])
            ),
            "['192.0.2.7']"
        );
    }

    #[test]
    fn refusals_are_the_originals_exceptions() {
        let cases = [
            (vec![], "IndexError('list index out of range')"),
            (vec!["foo"], "Exception('Invalid command')"),
            (vec!["unban"], "Exception('Invalid command')"),
            (vec!["set", "sshd"], "IndexError('list index out of range')"),
            (
                vec!["set", "sshd", "xyz"],
                "Exception(\"Invalid command 'xyz' (no set action or not yet implemented)\")",
            ),
            (
                vec!["get", "sshd", "xyz"],
                "Exception('Invalid command (no get action or not yet implemented)')",
            ),
            (
                vec!["status", "a", "b", "c"],
                "Exception('Invalid command (no status)')",
            ),
        ];
        for (words, expected) in cases {
            assert_eq!(repr(&ask(&words).unwrap_err()), expected, "{words:?}");
        }
        let unknown = Reply::Error(CommandError::UnknownJail("nosuch".into()));
        let error = answer(&ask(&["status", "nosuch"]).unwrap(), unknown).unwrap_err();
        assert_eq!(repr(&error), "UnknownJailException('nosuch')");
        let absent = Reply::Error(CommandError::NotBanned(vec![FailId::parse("192.0.2.99")]));
        let error = answer(
            &ask(&["set", "sshd", "unbanip", "--report-absent", "192.0.2.99"]).unwrap(),
            absent,
        )
        .unwrap_err();
        assert_eq!(repr(&error), "ValueError(\"not banned: ['192.0.2.99']\")");
    }

    #[test]
    fn force_and_report_absent_are_flags_only_in_front() {
        let jail: JailName = "sshd".parse().unwrap();
        let id = FailId::parse("192.0.2.7");
        let read = |words: &[&str]| ask(words).unwrap().command;
        assert_eq!(
            read(&["set", "sshd", "banip", "--force", "192.0.2.7"]),
            Command::Ban {
                jail: jail.clone(),
                ids: vec![id.clone()],
                force: true
            }
        );
        let ids = vec![id, FailId::Text("--report-absent".into())];
        assert_eq!(
            read(&["set", "sshd", "unbanip", "192.0.2.7", "--report-absent"]),
            Command::Unban {
                jail,
                ids,
                report_absent: false
            }
        );
    }
}
