//! Folds a stream of commands into one value.

use ferroban_config::Seconds;
use ferroban_engine::{BanTime, FailId, FilterSettings, JailName, JailSettings};

use super::word::{Command, Word, is_on};
use super::{ActionPlan, Backend, JailPlan, LoadError, Settings};

/// What the commands of a stream amount to. Jails that are added but not
/// started are left out.
pub(super) fn settings(stream: &[Command]) -> Result<Settings, LoadError> {
    let mut jails: Vec<JailPlan> = Vec::new();
    let mut started = Settings::default();
    for command in stream {
        let text = |index| {
            command
                .get(index)
                .and_then(Word::as_str)
                .unwrap_or_default()
        };
        let values = command.get(3..).unwrap_or_default();
        let at = jails.iter().position(|plan| plan.jail.name == *text(1));
        match (text(0), at.and_then(|at| jails.get_mut(at))) {
            ("add", _) => jails.push(added(text(1), text(2))?),
            ("set", Some(plan)) => set(plan, text(2), values)?,
            ("multi-set", Some(plan)) => {
                let (last, before) = values.split_last().unwrap_or((&Word::None, &[]));
                for words in each(last) {
                    set(plan, text(2), &[before, words].concat())?;
                }
            }
            ("start", Some(_)) => started.jails.extend(at.map(|at| jails.remove(at))),
            _ => {}
        }
    }
    for plan in &mut started.jails {
        plan.filter.findtime = plan.jail.findtime;
    }
    Ok(started)
}

/// The words of each item of a list.
fn each(list: &Word) -> impl Iterator<Item = &[Word]> {
    let items = match list {
        Word::List(items) => items.as_slice(),
        _ => &[],
    };
    items.iter().map(|item| match item {
        Word::List(words) => words.as_slice(),
        word => std::slice::from_ref(word),
    })
}

fn added(jail: &str, backend: &str) -> Result<JailPlan, LoadError> {
    let name: JailName = jail
        .parse()
        .map_err(|_| wrong(jail, "name", jail, "the name of a jail"))?;
    let (kind, options) = backend.split_once('[').unwrap_or((backend, ""));
    let without_effect = (!options.is_empty()).then(|| format!("backend = {backend}"));
    let backend = match kind.to_ascii_lowercase().as_str() {
        "auto" => Backend::Auto,
        "pyinotify" | "polling" => Backend::Files,
        "systemd" => Backend::Journal,
        _ => {
            return Err(wrong(
                jail,
                "backend",
                backend,
                "auto, polling, pyinotify or systemd",
            ));
        }
    };
    Ok(JailPlan {
        jail: JailSettings::new(name),
        filter: FilterSettings::default(),
        backend,
        logpaths: Vec::new(),
        journal: Vec::new(),
        actions: Vec::new(),
        without_effect: without_effect.into_iter().collect(),
    })
}

/// Options that have no effect yet are noted, unless they ask for nothing.
fn set(plan: &mut JailPlan, option: &str, values: &[Word]) -> Result<(), LoadError> {
    let jail = plan.jail.name.to_string();
    let first = values.first().and_then(Word::shown).unwrap_or_default();
    let texts = || values.iter().filter_map(Word::as_str);
    let number = |least: u32| {
        let parsed = first.parse().ok().filter(|number| *number >= least);
        parsed.ok_or_else(|| {
            wrong(
                &jail,
                option,
                &first,
                "a whole number that makes sense here",
            )
        })
    };
    match option {
        "maxretry" => plan.jail.maxretry = number(1)?,
        "maxmatches" => plan.jail.maxmatches = usize::try_from(number(0)?).unwrap_or(usize::MAX),
        "findtime" => plan.jail.findtime = findtime(&jail, &first)?,
        "bantime" => plan.jail.bantime = bantime(&jail, &first)?,
        "ignoreself" => plan.jail.ignoreself = is_on(&first),
        "addignoreip" => plan.jail.ignoreip.extend(texts().map(FailId::parse)),
        "prefregex" => plan.filter.prefregex = Some(first).filter(|regex| !regex.is_empty()),
        "addfailregex" => plan.filter.failregex.push(first),
        "addignoreregex" => plan.filter.ignoreregex.push(first),
        "usedns" => plan.filter.raw_names = first.eq_ignore_ascii_case("raw"),
        "addlogpath" => {
            match texts().nth(1) {
                None | Some("head") => {}
                Some("tail") => plan.without_effect.push(format!("logpath = {first} tail")),
                Some(_) => {
                    return Err(wrong(
                        &jail,
                        "logpath",
                        &first,
                        "head or tail behind a blank",
                    ));
                }
            }
            plan.logpaths.push(first);
        }
        "addjournalmatch" => plan.journal.extend(groups(&texts().collect::<Vec<_>>())),
        "addaction" => plan.actions.push(ActionPlan {
            name: first,
            ..ActionPlan::default()
        }),
        "action" => set_action(plan, values),
        _ if asks_for_nothing(option, &first) => {}
        _ => plan.without_effect.push(format!("{option} = {first}")),
    }
    Ok(())
}

/// Whether an option that has no effect yet has the value under which it makes no
/// difference.
fn asks_for_nothing(option: &str, value: &str) -> bool {
    match option {
        "logencoding" => ["auto", "utf-8", "UTF-8"].contains(&value),
        "maxlines" => value == "1",
        "bantime.increment" => !is_on(value),
        // Nothing is UTC.
        "logtimezone" => false,
        // What else the increment needs is told with the increment itself.
        _ => value.is_empty() || option.starts_with("bantime."),
    }
}

/// Sets one property of an action. What it is called is known already.
fn set_action(plan: &mut JailPlan, values: &[Word]) {
    let [name, property, value] = values else {
        return;
    };
    let (Some(name), Some(property)) = (name.as_str(), property.as_str()) else {
        return;
    };
    let action = plan.actions.iter_mut().find(|action| action.name == name);
    let (Some(action), Some(value)) = (action, value.shown()) else {
        return;
    };
    if !["name", "actname"].contains(&property) {
        action.options.insert(property.to_owned(), value);
    }
}

fn seconds(jail: &str, option: &str, text: &str) -> Result<i64, LoadError> {
    let parsed: Result<Seconds, _> = text.parse();
    parsed
        .map(Seconds::whole)
        .map_err(|_| wrong(jail, option, text, "a time such as 600, 10m or 1d 12h"))
}

fn findtime(jail: &str, text: &str) -> Result<u32, LoadError> {
    let seconds = seconds(jail, "findtime", text)?;
    u32::try_from(seconds).map_err(|_| wrong(jail, "findtime", text, "a time from now on"))
}

fn bantime(jail: &str, text: &str) -> Result<BanTime, LoadError> {
    seconds(jail, "bantime", text).map(BanTime::from_secs)
}

/// Fields that must all match, separated by `+`.
fn groups(words: &[&str]) -> Vec<Vec<String>> {
    let group = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    words
        .split(|word| *word == "+")
        .filter(|words| !words.is_empty())
        .map(group)
        .collect()
}

fn wrong(jail: &str, option: &str, value: &str, wanted: &'static str) -> LoadError {
    LoadError::Value {
        jail: jail.into(),
        option: option.into(),
        value: value.into(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let settings = settings(&stream(
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
        let [plan, journal] = settings.jails.as_slice() else {
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
        assert_eq!(plan.filter.failregex, ["x <HOST>", "y<HOST>", "z<HOST>"]);
        assert!(plan.filter.raw_names);
        assert_eq!(plan.logpaths, ["/h", "/t"]);
        assert_eq!(
            plan.without_effect,
            ["datepattern = %Y", "logtimezone = ", "logpath = /t tail"]
        );
        assert_eq!(plan.journal, [vec!["A=1", "B=2"], vec!["C=3"]]);
        let actions: Vec<String> = plan.actions.iter().map(|a| format!("{a:?}")).collect();
        assert_eq!(
            actions,
            [
                r#"ActionPlan { name: "ferroban", options: {"port": "22"} }"#,
                r#"ActionPlan { name: "mail", options: {"dest": "me"} }"#,
            ]
        );
    }

    #[test]
    fn values_that_make_no_sense_are_told_with_jail_and_option() {
        let cases = [
            ("maxretry|0", "maxretry"),
            ("maxretry|x", "maxretry"),
            ("findtime|-5", "findtime"),
            ("bantime|soon", "bantime"),
            ("addlogpath|/var/log/my|app.log", "logpath"),
        ];
        for (command, option) in cases {
            let error = settings(&stream(&format!("add|a|auto\nset|a|{command}"))).unwrap_err();
            let told = error.to_string();
            assert!(
                told.starts_with(&format!("jail 'a': {option} = ")),
                "{told}"
            );
        }
        assert!(settings(&stream("add|a|gamin")).is_err());
    }
}
