//! Replies of the engine as Python values.
//!
//! The values, the wording of errors and which of them comes first are the original's:
//! programs compare them.

use ferroban_engine::{
    Ban, BanTime, CommandError, FailId, JailName, JailStatus, Reply, settings::Watches,
};

use super::Value;
use super::pickle::Exception;
use crate::clock;

/// How a reply is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Shape {
    /// As it usually is.
    #[default]
    Usual,
    /// `get <jail> banip --with-time`
    WithTime,
    /// `status <jail> short`
    Short,
    /// `status <jail> cymru`: with what a service on the net would know of the banned.
    Cymru,
    /// `status <jail> stats`: the numbers alone.
    Stats,
    /// `status <jail>` for whoever may not see paths.
    Guarded,
    /// `get <jail> banned <id>` with a single id: the number, not a list of one.
    Single,
}

/// A result, or the exception that stands for it.
type Result<T> = std::result::Result<T, Value>;

/// Puts a reply in the original's form.
///
/// # Errors
/// The exception that stands for a refusal.
pub fn answer(shape: Shape, reply: Reply) -> Result<Value> {
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
        Reply::Jail(status) => jail_status(&status, shape),
        Reply::BannedByJail(jails) => {
            let entry = |(name, ids): &(JailName, Vec<FailId>)| {
                Value::Dict(vec![(name.as_str().into(), list(ids))])
            };
            Value::List(jails.iter().map(entry).collect())
        }
        Reply::Places(places) => {
            let names = |jails: &Vec<JailName>| Value::strings(jails.iter().map(JailName::as_str));
            Value::List(places.iter().map(names).collect())
        }
        Reply::Flags(flags) => {
            let mut numbers = flags.iter().map(|yes| Value::Int(i128::from(*yes)));
            match shape {
                Shape::Single => numbers.next().unwrap_or(Value::Int(0)),
                _ => Value::List(numbers.collect()),
            }
        }
        Reply::Bans(bans) if shape == Shape::WithTime => Value::List(
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
    let strings = |texts: &[String]| match shape {
        Shape::Guarded => Value::List(Vec::new()),
        _ => Value::strings(texts.iter().map(String::as_str)),
    };
    let watched = match &status.watches {
        Watches::Files(paths) => pair("File list", strings(paths)),
        Watches::Journal(matches) => pair("Journal matches", strings(matches)),
    };
    let number = |number: u64| Value::Int(number.into());
    if shape == Shape::Stats {
        let both = |now, ever| Value::Tuple(vec![now, ever]);
        return Value::List(vec![
            status.backend.as_str().into(),
            both(count(status.failing), number(status.failures)),
            both(count(status.banned.len()), number(status.bans)),
        ]);
    }
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
    if shape == Shape::Cymru {
        // What fail2ban answers without a library for DNS.
        let unknown = || Value::strings(["error"]);
        for name in ["Banned ASN list", "Banned Country list", "Banned RIR list"] {
            actions.push(pair(name, unknown()));
        }
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

#[cfg(test)]
mod tests {
    use super::super::text::repr;
    use super::*;
    use ferroban_engine::Timestamp;

    fn shown(shape: Shape, reply: Reply) -> String {
        repr(&answer(shape, reply).unwrap())
    }

    #[test]
    fn replies_have_the_originals_values() {
        let sshd: JailName = "sshd".parse().unwrap();
        let status = JailStatus {
            watches: Watches::Files(vec!["/var/log/auth.log".into()]),
            backend: "polling".into(),
            failing: 0,
            failures: 2,
            bans: 1,
            banned: vec![FailId::parse("192.0.2.7")],
            applied: 1,
        };
        let cases = [
            (Shape::Usual, Reply::Pong, "'pong'"),
            (
                Shape::Usual,
                Reply::Jails(vec![sshd.clone()]),
                "[('Number of jail', 1), ('Jail list', 'sshd')]",
            ),
            (
                Shape::Usual,
                Reply::Jail(status.clone()),
                "[('Filter', [('Currently failed', 0), ('Total failed', 2), ('File list', ['/var/log/auth.log'])]), ('Actions', [('Currently banned', 1), ('Total banned', 1), ('Banned IP list', ['192.0.2.7'])])]",
            ),
            (
                Shape::Short,
                Reply::Jail(JailStatus {
                    watches: Watches::Journal(vec!["A=1 + B=2".into()]),
                    ..status.clone()
                }),
                "[('Filter', [('Currently failed', 0), ('Total failed', 2), ('Journal matches', ['A=1 + B=2'])]), ('Actions', [('Currently banned', 1), ('Total banned', 1)])]",
            ),
            (
                Shape::Usual,
                Reply::BannedByJail(vec![(sshd.clone(), vec![FailId::parse("192.0.2.7")])]),
                "[{'sshd': ['192.0.2.7']}]",
            ),
            (
                Shape::Stats,
                Reply::Jail(status.clone()),
                "['polling', (0, 2), (1, 1)]",
            ),
            (
                Shape::Guarded,
                Reply::Jail(status.clone()),
                "[('Filter', [('Currently failed', 0), ('Total failed', 2), ('File list', [])]), ('Actions', [('Currently banned', 1), ('Total banned', 1), ('Banned IP list', ['192.0.2.7'])])]",
            ),
            (Shape::Single, Reply::Flags(vec![true]), "1"),
            (Shape::Usual, Reply::Flags(vec![true, false]), "[1, 0]"),
            (
                Shape::Usual,
                Reply::Places(vec![vec![sshd.clone()], vec![]]),
                "[['sshd'], []]",
            ),
            (Shape::Usual, Reply::Count(1), "1"),
            (Shape::Usual, Reply::Nothing, "None"),
        ];
        for (shape, reply, expected) in cases {
            assert_eq!(shown(shape, reply), expected, "{shape:?}");
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
        let text = shown(
            Shape::WithTime,
            Reply::Bans(vec![ban(BanTime::For(600)), ban(BanTime::Forever)]),
        );
        assert!(
            text.contains(" + 600 = ") && text.contains("192.0.2.7 \\t"),
            "{text}"
        );
        assert!(text.ends_with(" + -1 = 9999-12-31 23:59:59']"), "{text}");
        assert_eq!(
            shown(Shape::Usual, Reply::Bans(vec![ban(BanTime::For(1))])),
            "['192.0.2.7']"
        );
    }

    #[test]
    fn refusals_are_the_originals_exceptions() {
        let cases = [
            (
                CommandError::UnknownJail("nosuch".into()),
                "UnknownJailException('nosuch')",
            ),
            (
                CommandError::NotBanned(vec![FailId::parse("192.0.2.99")]),
                "ValueError(\"not banned: ['192.0.2.99']\")",
            ),
        ];
        for (error, shown) in cases {
            let refused = answer(Shape::Usual, Reply::Error(error)).unwrap_err();
            assert_eq!(repr(&refused), shown);
        }
    }
}
