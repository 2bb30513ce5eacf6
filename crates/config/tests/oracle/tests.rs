use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    ask::{Answer, Oracle},
    random,
};
use ferroban_config::{
    Definition, Disk, Error, Errors, Invocation, Layers, Memory, Options, Place, Seconds, Value,
};

const STOCK: &str = "/etc/fail2ban";

/// What we read, in the form of the oracle's answer; a failure is all its messages.
fn told(layers: Result<Layers, Errors>) -> Result<Vec<Vec<String>>, Vec<String>> {
    let layers = match layers {
        Ok(layers) => layers,
        Err(errors) => return Err(errors.iter().map(Error::original).collect()),
    };
    let mut all = Vec::new();
    for section in layers.sections() {
        all.push(vec!["section".to_owned(), section.to_owned()]);
        let names = layers.names(section).chain(layers.names("DEFAULT"));
        for name in names.collect::<BTreeSet<_>>() {
            let raw = layers.raw(section, name).unwrap().text().to_owned();
            let (kind, text) = match layers.option(section, name) {
                Ok(value) => ("value", value.unwrap().text().to_owned()),
                Err(error) => ("error", error.original()),
            };
            all.push(vec![kind.to_owned(), name.to_owned(), raw, text]);
        }
    }
    Ok(all)
}

/// fail2ban gives up at the first mistake of some kinds and joins those of others.
fn is_among(message: &str, ours: &[String]) -> bool {
    let (head, lines) = message.split_once("\n\t").unwrap_or((message, ""));
    ours.iter().any(|own| own == message)
        || (head.starts_with("Source contains parsing errors")
            && lines
                .split("\n\t")
                .all(|line| ours.contains(&format!("{head}\n\t{line}"))))
}

fn compare(context: &str, ours: &Result<Vec<Vec<String>>, Vec<String>>, theirs: &Answer) {
    match (ours, theirs.failure()) {
        (Err(ours), Some(message)) => {
            assert!(
                is_among(message, ours),
                "{context}\n{message}\nis not among {ours:#?}"
            );
        }
        (Ok(ours), None) => {
            let differs = ours.iter().zip(&theirs.0).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{context}");
            assert_eq!(ours.len(), theirs.0.len(), "{context}");
        }
        _ => panic!("{context}\nours: {ours:#?}\ntheirs: {:#?}", theirs.0),
    }
}

#[test]
fn random_configurations_read_as_in_fail2ban() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let cases = random::configurations(1500);
    for files in &cases {
        oracle.ask("case", &[]);
        for (path, text) in files {
            oracle.ask("file", &[path, text]);
        }
        oracle.ask("read", &["jail"]);
    }
    let mut answers = oracle.answers().into_iter();
    let (mut good, mut bad) = (0, 0);
    for files in &cases {
        answers.by_ref().take(1 + files.len()).for_each(drop);
        let theirs = answers.next().unwrap();
        let memory: Memory = files
            .iter()
            .map(|(path, text)| (Path::new("/e").join(path), text.as_str()))
            .collect();
        let ours = told(Layers::read(&memory, Path::new("/e"), "jail"));
        if ours.is_ok() {
            good += 1;
        } else {
            bad += 1;
        }
        compare(&random::shown(files), &ours, &theirs);
    }
    // A generator that makes only broken files, or only good ones, would test little.
    assert!(
        good > 700 && bad > 100,
        "{good} good and {bad} bad configurations"
    );
}

/// `filter.d/sshd` and the like, of all files below the stock directory.
fn stock_names() -> Vec<String> {
    let mut names = Vec::new();
    let mut dirs = vec![PathBuf::from(STOCK)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "conf" || end == "local")
            {
                let name = path.with_extension("");
                names.push(
                    name.strip_prefix(STOCK)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_stock_configuration_reads_as_in_fail2ban() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let names = stock_names();
    for name in &names {
        oracle.ask("stock", &[name]);
    }
    let mut options = 0;
    for (name, theirs) in names.iter().zip(oracle.answers()) {
        let ours = told(Layers::read(&Disk, Path::new(STOCK), name));
        options += ours.as_ref().map_or(0, Vec::len);
        compare(name, &ours, &theirs);
    }
    assert!(
        names.is_empty() || options > 1000,
        "only {options} options in {names:?}"
    );
}

const KEEP: [&str; 5] = [
    "matches",
    "ipmatches",
    "ipjailmatches",
    "timeout",
    "bantime",
];

fn compare_definition(name: &str, given: &[(&str, &str)], keep: &[&str], theirs: &Answer) {
    let layers = Layers::read(&Disk, Path::new(STOCK), name).unwrap();
    let value = |text: &str| Value::new(text, Place::named("given"));
    let given: Options = given.iter().map(|(k, v)| (*k, value(v))).collect();
    let none = Options::new();
    let definition = Definition::new(&layers, &given, &none).unwrap();
    assert!(
        !theirs.0.is_empty() && theirs.failure().is_none(),
        "{name}: {theirs:?}"
    );
    for answer in &theirs.0 {
        let [_, option, expected] = answer.as_slice() else {
            panic!("{name}: {answer:?}");
        };
        if option.starts_with("known/") {
            continue;
        }
        let ours = match definition.property(option) {
            Some(value) if !keep.is_empty() => value.clone(),
            Some(value) => definition.resolve(option, value, &[]).unwrap(),
            None => definition.resolved(option, keep).unwrap().unwrap(),
        };
        assert_eq!(ours.text(), expected, "{option} of {name}");
    }
}

#[test]
fn stock_filters_and_actions_mean_what_they_mean_in_fail2ban() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut cases: Vec<(String, Vec<(&str, &str)>)> = Vec::new();
    for name in stock_names() {
        if name.starts_with("action.d/") {
            let given = [
                ("name", "n"),
                ("actname", "n"),
                ("port", "1,2"),
                ("blocktype", "DROP"),
            ];
            cases.push((name.clone(), given[..2].to_vec()));
            cases.push((name, given[..3].to_vec()));
        } else if name.starts_with("filter.d/") && !name.ends_with("common") {
            for (mode, logtype) in [
                ("normal", "file"),
                ("aggressive", "journal"),
                ("no", "short"),
            ] {
                let given = vec![
                    ("mode", mode),
                    ("logtype", logtype),
                    ("failregex", "<known/failregex>|x"),
                ];
                cases.push((name.clone(), given[..2].to_vec()));
                cases.push((name.clone(), given));
            }
        }
    }
    // Not complete by itself: other actions include it.
    cases.retain(|(name, _)| !name.starts_with("action.d/") || has_definition(name));
    for (name, given) in &cases {
        let (kind, name) = name.split_once(".d/").unwrap();
        let mut words = vec![name];
        words.extend(given.iter().flat_map(|(key, value)| [*key, *value]));
        oracle.ask(kind, &words);
    }
    for ((name, given), theirs) in cases.iter().zip(oracle.answers()) {
        let keep: &[&str] = if name.starts_with("action.d/") {
            &KEEP
        } else {
            &[]
        };
        compare_definition(name, given, keep, &theirs);
    }
}

fn has_definition(name: &str) -> bool {
    Layers::read(&Disk, Path::new(STOCK), name)
        .unwrap()
        .has_section("Definition")
}

#[test]
fn random_times_read_as_in_fail2ban() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let texts = random::texts(2000, &random::TIME);
    texts.iter().for_each(|text| oracle.ask("seconds", &[text]));
    let mut both = 0;
    for (text, theirs) in texts.iter().zip(oracle.answers()) {
        match (text.parse::<Seconds>(), theirs.failure()) {
            (Ok(seconds), None) => {
                assert_eq!(
                    theirs.0,
                    [["value".to_owned(), seconds.to_string()]],
                    "{text:?}"
                );
                both += 1;
            }
            (Err(_), Some(_)) => {}
            (Ok(seconds), Some(message)) => {
                let harmless = ["_", "."].iter().any(|part| text.contains(part));
                assert!(harmless, "{text:?} is {seconds} for us: {message}");
            }
            (Err(error), None) => {
                let python = ["//", "**", "()", "."]
                    .iter()
                    .any(|part| text.contains(part));
                assert!(python, "{text:?} is {:?} for fail2ban: {error}", theirs.0);
            }
        }
    }
    assert!(both > 200, "only {both} of the texts are times");
}

#[test]
fn random_invocations_read_as_in_fail2ban() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let texts = random::texts(3000, &random::INVOCATION);
    texts
        .iter()
        .for_each(|text| oracle.ask("invocation", &[text]));
    let mut both = 0;
    for (text, theirs) in texts.iter().zip(oracle.answers()) {
        // We accept a little more: blanks after a closing quote, more empty items.
        if theirs.failure().is_some() {
            continue;
        }
        let ours = Invocation::parse(text)
            .map_err(|error| format!("{text:?}: {error}"))
            .unwrap();
        let options = ours
            .options
            .iter()
            .flat_map(|(key, value)| [key, value.as_str()]);
        let words = ["value", ours.name.as_str()].into_iter().chain(options);
        assert_eq!(theirs.0, [words.collect::<Vec<_>>()], "{text:?}");
        both += 1;
    }
    assert!(both > 200, "only {both} of the texts are invocations");
}
