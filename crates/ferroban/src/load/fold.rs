//! Folds a stream of commands into one value.

use super::setup::{Setup, row};
use super::word::{Command, Word};
use super::{LoadError, Refusal};

/// What the commands of a stream amount to. Jails that are added but not started are
/// left out, and so is what concerns no jail.
pub(super) fn setup(stream: &[Command]) -> Result<Setup, LoadError> {
    let mut setup = Setup::waiting();
    for command in stream {
        let known = |name: &str| setup.jail(name).is_ok();
        let word = |place| {
            command
                .get(place)
                .and_then(Word::as_str)
                .unwrap_or_default()
        };
        let concerns_a_jail = match word(0) {
            "add" => true,
            "set" | "multi-set" | "start" => known(word(1)),
            _ => false,
        };
        if concerns_a_jail {
            // Nobody listens yet to what fail2ban would log.
            let done = setup.command(command, &mut Vec::new());
            done.map_err(|refusal| wrong(command, &refusal))?;
        }
    }
    setup.retain(|jail| jail.started);
    Ok(setup)
}

/// A refusal in our own words: the jail, its option and value, and what to write.
fn wrong(command: &[Word], refusal: &Refusal) -> LoadError {
    let word = |place| {
        let word = command.get(place).and_then(Word::shown);
        word.unwrap_or_default()
    };
    let (option, value, wanted) = match word(0).as_str() {
        "add" => ("backend", word(2), "auto, polling, pyinotify or systemd"),
        _ => match row(&word(2)) {
            Some(row) => (row.get, word(3), row.wanted),
            None => {
                return LoadError::Refused {
                    jail: word(1),
                    option: word(2),
                    why: refusal.to_string(),
                };
            }
        },
    };
    LoadError::Value {
        jail: word(1),
        option: option.to_owned(),
        value,
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ferroban_engine::{BanTime, UseDns};

    /// One command a line, words between `|`; what is in braces is a list.
    fn stream(text: &str) -> Vec<Command> {
        let word = |word: &str| match word.strip_prefix('{') {
            Some(list) => Word::List(list.trim_end_matches('}').split(' ').map(pair).collect()),
            None => word.parse().map_or_else(|_| word.into(), Word::Int),
        };
        let line = |line: &str| line.split('|').map(word).collect();
        text.lines().map(line).collect()
    }

    fn pair(text: &str) -> Word {
        match text.split_once('=') {
            Some((name, value)) => Word::List(vec![name.into(), value.into()]),
            None => text.into(),
        }
    }

    #[test]
    fn commands_become_settings() {
        let setup = setup(&stream(
            "set|loglevel|INFO\nadd|a|auto\nset|a|maxretry|3\nset|a|findtime|1h\nset|a|bantime|-1\n\
             set|a|addignoreip|::1|10.0.0.0/8\nset|a|addfailregex|x <HOST>\n\
             multi-set|a|addfailregex|{y<HOST> z<HOST>}\n\
             set|a|addjournalmatch|A=1|B=2|+|C=3\nset|a|addaction|ferroban\n\
             multi-set|a|action|ferroban|{port=22 name=a actname=ferroban}\n\
             set|a|addaction|mail\nset|a|action|mail|dest|me\nset|a|usedns|Raw\nset|a|datepattern|%Y\n\
             set|a|logtimezone|\nset|a|addlogpath|/h|head\nset|a|addlogpath|/t|tail\n\
             add|b|systemd[journalflags=1]\nconfig-error|Jail 'c' skipped\nstart|a\nstart|b",
        ))
        .unwrap();
        let plans: Vec<_> = setup.plans().collect();
        let [plan, journal] = plans.as_slice() else {
            panic!("only the started jails")
        };
        assert_eq!(
            journal.without_effect,
            ["backend = systemd[journalflags=1]"]
        );
        assert_eq!(plan.jail.maxretry, 3);
        assert_eq!((plan.jail.findtime, plan.filter.findtime), (3600, 3600));
        assert_eq!(plan.jail.bantime, BanTime::Forever);
        assert_eq!(plan.jail.ignoreip.len(), 2);
        let starts: Vec<&str> = plan
            .filter
            .failregex
            .iter()
            .filter_map(|it| it.get(..1))
            .collect();
        assert_eq!(starts, ["x", "y", "z"]);
        assert_eq!(plan.filter.usedns, UseDns::Raw);
        assert_eq!(plan.filter.datepattern, ["%Y"]);
        assert_eq!(plan.filter.logtimezone.as_deref(), Some(""));
        assert_eq!(plan.logpaths, ["/h", "/t"]);
        assert_eq!(plan.without_effect, [] as [&str; 0]);
        assert_eq!(plan.journal, [vec!["A=1", "B=2"], vec!["C=3"]]);
        let options: Vec<(&str, Option<&String>)> = plan
            .actions
            .iter()
            .map(|action| {
                (
                    &*action.name,
                    action.options.get("port").or(action.options.get("dest")),
                )
            })
            .collect();
        let (port, dest) = ("22".to_owned(), "me".to_owned());
        assert_eq!(options, [("ferroban", Some(&port)), ("mail", Some(&dest))]);
    }

    #[test]
    fn values_that_make_no_sense_are_told_with_jail_and_option() {
        let cases = [
            ("maxretry|x", "maxretry"),
            ("bantime|soon", "bantime"),
            ("addlogpath|/var/log/my|app.log", "logpath"),
        ];
        for (command, option) in cases {
            let error = setup(&stream(&format!("add|a|auto\nset|a|{command}"))).unwrap_err();
            let told = error.to_string();
            assert!(
                told.starts_with(&format!("jail 'a': {option} = ")),
                "{told}"
            );
        }
        assert!(setup(&stream("add|a|gamin")).is_err());
    }
}
