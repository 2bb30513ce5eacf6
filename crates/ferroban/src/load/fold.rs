//! Folds a stream of commands into one value.

use ferroban_config::Seconds;
use ferroban_engine::{BanTime, FailId, FilterSettings, JailName, JailSettings};

use super::stream::{Stream, is_on};
use super::{Backend, JailPlan, LoadError, Settings};

/// What the commands of a stream amount to. Jails that are added but not
/// started are left out.
pub(super) fn settings(stream: &Stream) -> Result<Settings, LoadError> {
    let mut jails: Vec<JailPlan> = Vec::new();
    let mut started = Settings::default();
    for command in stream {
        match command
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice()
        {
            ["add", jail, backend] => jails.push(added(jail, backend)?),
            ["set", jail, option, values @ ..] => {
                if let Some(plan) = jails.iter_mut().find(|plan| plan.jail.name == **jail) {
                    set(plan, option, values)?;
                }
            }
            ["start", jail] => {
                if let Some(index) = jails.iter().position(|plan| plan.jail.name == **jail) {
                    started.jails.push(jails.remove(index));
                }
            }
            _ => {}
        }
    }
    for plan in &mut started.jails {
        plan.filter.findtime = plan.jail.findtime;
    }
    Ok(started)
}

fn added(jail: &str, backend: &str) -> Result<JailPlan, LoadError> {
    let name: JailName = jail
        .parse()
        .map_err(|_| wrong(jail, "name", jail, "the name of a jail"))?;
    let backend = match backend.to_ascii_lowercase().as_str() {
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
        action: String::new(),
        action_options: std::collections::BTreeMap::new(),
    })
}

fn set(plan: &mut JailPlan, option: &str, values: &[&str]) -> Result<(), LoadError> {
    let jail = plan.jail.name.to_string();
    let first = values.first().copied().unwrap_or_default();
    let number = |least: u32| {
        let parsed = first.parse().ok().filter(|number| *number >= least);
        parsed.ok_or_else(|| wrong(&jail, option, first, "a whole number that makes sense here"))
    };
    match option {
        "maxretry" => plan.jail.maxretry = number(1)?,
        "maxmatches" => plan.jail.maxmatches = usize::try_from(number(0)?).unwrap_or(usize::MAX),
        "findtime" => plan.jail.findtime = findtime(&jail, first)?,
        "bantime" => plan.jail.bantime = bantime(&jail, first)?,
        "ignoreself" => plan.jail.ignoreself = is_on(first),
        "addignoreip" => plan
            .jail
            .ignoreip
            .extend(values.iter().map(|text| FailId::parse(text))),
        "prefregex" => plan.filter.prefregex = Some(first.to_owned()),
        "addfailregex" => plan.filter.failregex.push(first.to_owned()),
        "addignoreregex" => plan.filter.ignoreregex.push(first.to_owned()),
        "addlogpath" => plan.logpaths.push(first.to_owned()),
        "addjournalmatch" => plan.journal.extend(groups(values)),
        "addaction" => first.clone_into(&mut plan.action),
        "action" => {
            if let [_, property, value] = values {
                plan.action_options
                    .insert((*property).to_owned(), (*value).to_owned());
            }
        }
        _ => {
            return Err(LoadError::NoOption {
                jail,
                option: option.to_owned(),
            });
        }
    }
    Ok(())
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

    fn stream(text: &str) -> Stream {
        let line = |line: &str| line.split('|').map(str::to_owned).collect();
        text.lines().map(line).collect()
    }

    #[test]
    fn commands_become_settings() {
        let settings = settings(&stream(
            "add|a|auto\nset|a|maxretry|3\nset|a|findtime|1h\nset|a|bantime|-1\n\
             set|a|addignoreip|::1|10.0.0.0/8\nset|a|addfailregex|x <HOST>\n\
             set|a|addjournalmatch|A=1|B=2|+|C=3\nset|a|addaction|ferroban\n\
             set|a|action|ferroban|port|22\nadd|b|polling\nstart|a",
        ))
        .unwrap();
        let [plan] = settings.jails.as_slice() else {
            panic!("only the started jail")
        };
        assert_eq!(plan.jail.maxretry, 3);
        assert_eq!((plan.jail.findtime, plan.filter.findtime), (3600, 3600));
        assert_eq!(plan.jail.bantime, BanTime::Forever);
        assert_eq!(plan.jail.ignoreip.len(), 2);
        assert_eq!(plan.journal, [vec!["A=1", "B=2"], vec!["C=3"]]);
        assert_eq!(
            plan.action_options.get("port").map(String::as_str),
            Some("22")
        );
    }

    #[test]
    fn values_that_make_no_sense_are_told_with_jail_and_option() {
        let cases = [
            ("maxretry|0", "maxretry"),
            ("maxretry|x", "maxretry"),
            ("findtime|-5", "findtime"),
            ("bantime|soon", "bantime"),
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
