//! Tables of what a configuration becomes. The rows were shown by fail2ban itself.

use std::path::Path;

use ferroban_config::{Disk, Memory};

use super::*;
use crate::load::message::Message;
use crate::load::word::Word;

const GENERAL: &str = "[Definition]\nlogtarget = /l\n";
const JAILS: &str = "[DEFAULT]\nbackend = polling\nfilter = f\naction = act\n";
const FILTER: &str = "[Definition]\nfailregex = ^f <HOST>\n";
const ACTION: &str = "[Definition]\nactionban = ban <ip> <x>\nactionunban =\n[Init]\nx = 1\n";

/// What came of a configuration: commands, messages, whether it is good.
struct Came {
    commands: Vec<String>,
    messages: Vec<Message>,
    good: Option<bool>,
}

impl Came {
    /// The texts from a level on.
    fn told(&self, least: Level) -> Vec<&str> {
        let loud = self
            .messages
            .iter()
            .filter(|message| message.level >= least);
        loud.map(|message| message.text.as_str()).collect()
    }
}

/// Words between blanks, lists in braces, as short as a row needs them.
fn shown(words: &[Word]) -> String {
    let word = |word: &Word| match word {
        Word::Text(text) => text.replace('\n', "\\n"),
        Word::List(words) => format!("{{{}}}", shown(words)),
        Word::Dict(pairs) => pairs
            .iter()
            .map(|(name, word)| format!("{name}={}", shown(std::slice::from_ref(word))))
            .collect(),
        other => other.shown().unwrap_or_else(|| "None".to_owned()),
    };
    let words: Vec<String> = words.iter().map(word).collect();
    words.join(" ")
}

const DUMP: How = How {
    logs: Logs::Wished,
    strict: false,
};

/// Reads a folder of the files above, with `files` instead of or besides them; one
/// without a text is not there.
fn read(files: &[(&str, &str)], how: How) -> Came {
    read_only(files, how, None)
}

/// The same of one jail alone, if one is named.
fn read_only(files: &[(&str, &str)], how: How, only: Option<&str>) -> Came {
    let usual = [
        ("fail2ban.conf", GENERAL),
        ("jail.conf", JAILS),
        ("filter.d/f.conf", FILTER),
        ("action.d/act.conf", ACTION),
    ];
    let files: Memory = usual
        .iter()
        .filter(|(name, _)| files.iter().all(|(own, _)| own != name))
        .chain(files.iter().filter(|(_, text)| !text.is_empty()))
        .map(|(name, text)| (format!("/c/{name}"), *text))
        .collect();
    let mut folder = Folder::new(&files, Path::new("/c"));
    let outcome = folder.stream(&Places::default(), how, only);
    let stream = outcome.stream.as_deref();
    Came {
        commands: stream
            .unwrap_or_default()
            .iter()
            .map(|c| shown(c))
            .collect(),
        messages: folder.messages(),
        good: stream.map(|_| outcome.good),
    }
}

/// The commands of the one jail `a`, without `add`, `start` and its action.
fn jail(options: &str, files: &[(&str, &str)]) -> Vec<String> {
    let jail = format!("[a]\nenabled = true\n{options}");
    let mut all = vec![("jail.local", jail.as_str())];
    all.extend(files);
    let came = read(&all, DUMP);
    assert_eq!(
        came.good,
        Some(true),
        "{options}: {:?}",
        came.told(Level::Warning)
    );
    let own = came.commands.into_iter();
    own.skip(7)
        .filter(|c| !c.contains("action act") && !c.starts_with("start "))
        .filter_map(|c| {
            c.replace(" a ", " ")
                .strip_prefix("set ")
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn what_concerns_the_whole_daemon_comes_first() {
    let text =
        "[Definition]\ndbmaxmatches = 4\ndbfile = None\nallowipv6 = no\n[Thread]\nstacksize = 64\n";
    let came = read(&[("fail2ban.local", text)], DUMP);
    assert_eq!(
        came.commands,
        [
            "set thread stacksize=64",
            "set syslogsocket auto",
            "set loglevel INFO",
            "set logtarget /var/log/fail2ban.log",
            "set allowipv6 no",
            "set dbfile None",
            "set dbmaxmatches 4",
            "set dbpurgeage 1d",
        ]
    );
    assert_eq!(came.good, Some(true), "no jail is no mistake");
    let places = |text: &str| {
        let files: Memory = [("/c/fail2ban.conf", text)].into_iter().collect();
        Folder::new(&files, Path::new("/c")).places()
    };
    let found = places("[Definition]\nsocket = /s\nloglevel = %(x)s\nx = 5").unwrap();
    assert_eq!(
        (found.socket.as_str(), found.loglevel.as_str()),
        ("/s", "5")
    );
    assert_eq!(found.pidfile, Places::default().pidfile);
    assert!(places("[Definition]\nsocket = %(y)s").is_err());
}

#[test]
fn options_of_a_jail_have_their_order_and_their_types() {
    let options = "logencoding = utf-8\nignorecache =\nignoreip = 10.0.0.0/8, ::1\tx\n\
        ignoreself = maybe\nbantime = 1d 2h\nbantime.increment = yes\nfindtime = 1h\n\
        maxmatches = 1_0\nmaxretry = 7\nmaxlines = 5\nusedns = no\nunknown = 1\n\
        datepattern = %%Y\n  %%m\nfailregex = j\n\n  k\nignoreregex =\n\
        journalmatch = A=1 'B=x y' + C=2\n  D=3\nlogpath =\n";
    let prefix = [(
        "filter.d/f.conf",
        "[Definition]\nprefregex = p\nmaxlines = 2\nignoreregex = i\n",
    )];
    assert_eq!(
        jail(options, &prefix),
        [
            "usedns no",
            "maxlines 5",
            "prefregex p",
            "datepattern %Y\\n%m",
            "addjournalmatch A=1 B=x y + C=2",
            "addjournalmatch D=3",
            "maxretry 7",
            "maxmatches 10",
            "findtime 1h",
            "bantime 1d 2h",
            "bantime.increment True",
            "ignoreself False",
            "addignoreip 10.0.0.0/8 ::1 x",
            "ignorecache ",
            "logencoding utf-8",
        ]
    );
    let multi = read(
        &[("jail.local", "[a]\nenabled = 1\nfailregex = j\n\n  k\n")],
        DUMP,
    );
    assert!(
        multi
            .commands
            .contains(&"multi-set a addfailregex {j k}".to_owned())
    );
}

#[test]
fn numbers_that_are_none_are_told_and_sent_as_nothing() {
    let came = read(
        &[(
            "jail.local",
            "[a]\nenabled = 1\nmaxretry = x\nmaxlines = y\nlogpath =\n",
        )],
        DUMP,
    );
    assert_eq!(
        came.told(Level::Warning),
        [
            "Wrong value for 'maxretry' in 'a'. Using default one: 'None'",
            "Wrong value for 'maxlines' in 'a'. Using default one: 'None'",
            "Have not found any log file for 'a' jail.",
        ]
    );
    assert!(came.commands.contains(&"set a maxretry None".to_owned()));
    assert!(!came.commands.iter().any(|c| c.contains("maxlines")));
    let filter = [(
        "filter.d/f.conf",
        "[Definition]\nfailregex = x\nmaxlines = 3\n",
    )];
    assert_eq!(
        jail("maxlines = bad\n", &filter),
        ["addfailregex x"],
        "the jail's word counts, even if it cannot be read"
    );
}

const OVERRIDDEN: &str = "[Definition]\n_x = abc\njournalmatch = A=1\nfailregex = ^f <HOST> <_x> <maxretry>\n\
    maxlines = 3\nignoreregex = ii\nusedns = no\nlt = <logtype>\n";

/// What a jail says, and what is sent for its filter.
const OVERRIDES: [(&str, &[&str]); 7] = [
    (
        "",
        &[
            "usedns no",
            "maxlines 3",
            "addignoreregex ii",
            "addfailregex ^f <HOST> abc <maxretry>",
            "addjournalmatch A=1",
        ],
    ),
    (
        "filter = f[maxlines=9, usedns=warn, failregex=\"<_x> <z>\", z=1]\n",
        &[
            "usedns warn",
            "maxlines 9",
            "addignoreregex ii",
            "addjournalmatch A=1",
            "addfailregex abc 1",
        ],
    ),
    (
        "failregex = %(known/failregex)s %(known/lt)s\nignoreregex =\nusedns = raw\n",
        &[
            "usedns raw",
            "maxlines 3",
            "addjournalmatch A=1",
            "addfailregex ^f <HOST> abc <maxretry> file",
        ],
    ),
    (
        "backend = systemd[x=1]\nfailregex = %(known/lt)s\nlogpath = /none\n",
        &[
            "usedns no",
            "maxlines 3",
            "addignoreregex ii",
            "addjournalmatch A=1",
            "addfailregex journal",
        ],
    ),
    (
        "filter = f[logtype=short]\nfailregex = %(known/lt)s\n",
        &[
            "usedns no",
            "maxlines 3",
            "addignoreregex ii",
            "addjournalmatch A=1",
            "addfailregex short",
        ],
    ),
    ("filter = none\nfilter2 = x\n", &[]),
    ("filter =\n", &[]),
];

#[test]
fn a_filter_is_overridden_piece_by_piece() {
    for (options, expected) in OVERRIDES {
        let none = [
            ("filter.d/f.conf", OVERRIDDEN),
            ("filter.d/none.conf", "[Definition]\nx = 1\n"),
        ];
        assert_eq!(jail(options, &none), expected, "{options}");
    }
    let init = [(
        "filter.d/f.conf",
        "[Definition]\nfailregex = <q>\n[Init]\nmaxlines = 7\nq = <r>\nr = 2\n",
    )];
    assert_eq!(
        jail("maxlines = 4\n", &init),
        ["maxlines 4", "maxlines 7", "addfailregex 2"]
    );
}

#[test]
fn actions_have_their_properties_in_order() {
    let files = [
        (
            "action.d/act.conf",
            "[Definition]\nactionunban = u <foo> %(maxretry)s <bantime>\nactionban = b <x> <fam>\nfoo = <x>!\nnorestored = yes\n[Init]\nx = 1\nfam = 4\n[Init?family=inet6]\nx = 6\nfam = 66\n",
        ),
        ("action.d/bare.conf", "[Init]\nx = 1\n"),
        ("action.d/one.conf", "[Definition]\n"),
    ];
    let rows: [(&str, &[&str]); 6] = [
        (
            "act",
            &[
                "set a addaction act",
                "multi-set a action act {{actionban b <x> <fam>} {actionunban u <x>! 5 <bantime>} {norestored True} {name a} {actname act} {x 1} {fam 4} {x?family=inet6 6} {fam?family=inet6 66}}",
            ],
        ),
        (
            "act[x=9, actionban=\"<foo>\", name=a-udp, norestored=0]",
            &[
                "set a addaction act-udp",
                "multi-set a action act-udp {{actionunban u <x>! 5 <bantime>} {actionban <x>!} {norestored False} {x 9} {name a-udp} {actname act-udp} {fam 4} {x?family=inet6 9} {fam?family=inet6 66}}",
            ],
        ),
        (
            "bare",
            &[
                "set a addaction bare",
                "multi-set a action bare {{actionstart None} {actionstart_on_demand None} {actionstop None} {actionflush None} {actionreload None} {actioncheck None} {actionrepair None} {actionrepair_on_unban None} {actionban None} {actionprolong None} {actionreban None} {actionunban None} {norestored None} {name a} {actname bare} {x 1}}",
            ],
        ),
        (
            "x.py[a=\"é \", actname=y]\n  z.py",
            &[
                "set a addaction y /c/action.d/x.py {\"a\": \"\\u00e9\"}",
                "set a addaction z /c/action.d/z.py {}",
            ],
        ),
        (
            "ferroban[port=22]",
            &[
                "set a addaction ferroban",
                "multi-set a action ferroban {{port 22} {name a} {actname ferroban}}",
            ],
        ),
        ("", &[]),
    ];
    for (action, expected) in rows {
        let text = format!("[a]\nenabled = 1\nmaxretry = 5\nbantime = 7\naction = {action}\n");
        let mut all = vec![("jail.local", text.as_str())];
        all.extend(files);
        let came = read(&all, DUMP);
        let own = came
            .commands
            .iter()
            .filter(|c| c.contains(" a addaction") || c.contains(" a action"));
        assert_eq!(own.collect::<Vec<_>>(), expected, "{action}");
    }
}

#[test]
fn one_jail_alone_is_read_if_there_is_one_of_that_name() {
    let text = "[bad]\nenabled = 1\nfilter = no\n[good]\nenabled = 1\n[off]\nenabled = 0\n";
    let rows = [
        // The others do not matter, neither what they say nor what is wrong with them.
        ("good", Some(true), Some("start good")),
        ("off", Some(true), Some("set dbpurgeage 1d")),
        ("bad", Some(false), None),
        ("nosuch", None, None),
    ];
    for (name, good, last) in rows {
        let came = read_only(&[("jail.local", text)], DUMP, Some(name));
        assert_eq!(came.good, good, "{name}");
        if last.is_some() {
            assert_eq!(came.commands.last().map(String::as_str), last, "{name}");
            assert!(came.told(Level::Error).is_empty(), "{name}");
        }
        let others =
            |command: &&String| command.starts_with("add ") && **command != "add good polling";
        assert_eq!(came.commands.iter().find(others), None, "{name}");
    }
    let came = read_only(&[("jail.local", text)], DUMP, Some("nosuch"));
    let told = ["Failed during configuration: No section: 'nosuch'"];
    assert_eq!(came.told(Level::Error), told);
}

#[test]
fn a_wrong_jail_is_left_out_and_told() {
    let rows = [
        ("filter = no", "Unable to read the filter 'no'"),
        ("filter = f [x=1]", "Unable to read the filter 'f '"),
        (
            "filter = f[x",
            "Invalid filter definition 'f[x': unexpected option syntax",
        ),
        ("action = no", "Unable to read action 'no'"),
        (
            "action = act[x=1",
            "Invalid action definition 'act[x=1': unexpected option syntax",
        ),
    ];
    let strict = How {
        strict: true,
        ..DUMP
    };
    for (option, why) in rows {
        let bad = format!("[bad]\nenabled = 1\n{option}\n");
        let good = format!("{bad}[good]\nenabled = 1\n");
        let note =
            format!("config-error Jail 'bad' skipped, because of wrong configuration: {why}");
        for (text, how, expected) in [
            (&bad, DUMP, false),
            (&good, DUMP, true),
            (&good, strict, false),
        ] {
            let came = read(&[("jail.local", text)], how);
            assert_eq!(came.good, Some(expected), "{text}");
            assert!(came.commands.contains(&note), "{text}");
            assert!(!came.commands.contains(&"start bad".to_owned()), "{text}");
            let rest = if how.strict { "" } else { " Skipping..." };
            let last = format!("Errors in jail 'bad'.{rest}");
            assert!(
                came.told(Level::Error).ends_with(&[why, &last]),
                "{:?}",
                came.messages
            );
        }
    }
}

/// A file, and what fail2ban says about it.
const FATAL: &[((&str, &str), &str)] = &[
    (
        ("jail.local", "[a]\nenabled = 1\nbantime = %(no)s\n"),
        "Bad value substitution: option 'bantime' in section 'a' contains an interpolation key 'no' which is not a valid option name. Raw value: '%(no)s'",
    ),
    (
        ("jail.local", "[a]\nfilter = %(no)s\n"),
        "Bad value substitution: option 'filter' in section 'a' contains an interpolation key 'no' which is not a valid option name. Raw value: '%(no)s'",
    ),
    (
        ("jail.local", "[a]\nenabled = 1\njournalmatch = 'x\n"),
        "No closing quotation",
    ),
    (
        ("filter.d/f.conf", "x\n"),
        "File contains no section headers.\nfile: '/c/filter.d/f.conf', line: 1\n'x\\n'",
    ),
    (
        ("filter.d/f.conf", "[Definition]\nunused = %(no)s\n"),
        "Bad value substitution: option 'unused' in section 'Definition' contains an interpolation key 'no' which is not a valid option name. Raw value: '%(no)s'",
    ),
    (("jail.conf", ""), "Read jails configuration failed."),
    (("fail2ban.conf", ""), "Read fail2ban configuration failed."),
    (
        ("action.d/act.conf", "x\n"),
        "Error in action definition 'act': File contains no section headers.\nfile: '/c/action.d/act.conf', line: 1\n'x\\n'",
    ),
    (
        (
            "action.d/act.conf",
            "[Definition]\nactionban = b\n[Init]\nip = <ip>\n",
        ),
        "properties contain self referencing definitions and cannot be resolved, fail tag: known/ip, found: ip in {'ip': 26}, value: <ip>",
    ),
    (
        (
            "filter.d/f.conf",
            "[Definition]\nfailregex = b\n[Init]\nx = <known/x>\n",
        ),
        "properties contain self referencing definitions and cannot be resolved, fail tag: known/x, found: known/x in {}, value: <known/x>",
    ),
];

#[test]
fn what_ends_the_reading_is_told_in_fail2bans_words() {
    for ((name, text), why) in FATAL.iter().copied() {
        let on = ("jail.d/a.conf", "[a]\nenabled = 1\n");
        let files = [(name, text), on];
        let files = if name == "jail.conf" {
            &files[..1]
        } else {
            &files
        };
        let came = read(files, DUMP);
        assert_eq!(came.good, None, "{name}: {text}");
        let told = came.told(Level::Error);
        let last = format!("Failed during configuration: {why}");
        assert_eq!(told.last(), Some(&last.as_str()), "{name}: {text}");
    }
    let off = read(
        &[("jail.local", "[a]\nbantime = %(no)s\naction = %(no)s\n")],
        DUMP,
    );
    assert_eq!(
        off.good,
        Some(true),
        "nobody asks for the options of a jail that is off"
    );
}

#[test]
fn log_files_are_those_that_exist() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().to_str().unwrap();
    for name in ["a1.log", "a2.log", "b.log"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    std::os::unix::fs::symlink("/nonexistent/x", dir.path().join("dead.log")).unwrap();
    let rows: [(&str, &[&str], &str); 8] = [
        ("B/b.log", &["B/b.log head"], ""),
        (
            "B/b.log tail\n  B/a1.log bogus",
            &["B/b.log tail", "B/a1.log bogus"],
            "",
        ),
        ("B/a?.log", &["B/a1.log head", "B/a2.log head"], ""),
        ("B/a[!1].log", &["B/a2.log head"], ""),
        (
            "B/b.log\n  B/none*.log",
            &["B/b.log head"],
            "No file(s) found for glob B/none*.log",
        ),
        (
            "B/b.log\n  B/dead.log",
            &["B/b.log head"],
            "File B/dead.log is a dangling link, thus cannot be monitored",
        ),
        ("B/b.log  tail", &[], "No file(s) found for glob B/b.log "),
        ("", &[], "Have not found any log file for 'a' jail."),
    ];
    for (logpath, expected, told) in rows {
        let text =
            format!("[a]\nenabled = 1\nlogpath = {logpath}\n").replace("B/", &format!("{base}/"));
        let came = read(&[("jail.local", &text)], DUMP);
        let prefix = "set a addlogpath ";
        let mut found: Vec<String> = came
            .commands
            .iter()
            .filter_map(|c| Some(c.strip_prefix(prefix)?.replace(base, "B")))
            .collect();
        if logpath.contains('?') {
            found.sort();
        }
        assert_eq!(found, expected, "{logpath}");
        let said = came.told(Level::Notice).join("\n").replace(base, "B");
        assert!(said.contains(told), "{logpath}: {said}");
        assert_eq!(said.is_empty(), told.is_empty(), "{logpath}: {said}");
    }
}

#[test]
fn a_jail_without_logs_follows_the_rules() {
    let needed = How {
        logs: Logs::Needed,
        strict: false,
    };
    let skipped = "Jail 'a' skipped, because of missing log files.";
    let none = "Have not found any log file for 'a' jail.";
    let journal = "Have not found any log file for 'a' jail. Jail will monitor systemd journal.";
    let failed = "Failed during configuration: Have not found any log file for 'a' jail.";
    let rows = [
        ("", DUMP, "add a polling", vec![none]),
        ("", needed, "", vec![failed]),
        (
            "skip_if_nologs = true\n",
            needed,
            "config-error Jail 'a' skipped, because of missing log files.",
            vec![none, skipped],
        ),
        ("backend = auto\n", needed, "", vec![failed]),
        (
            "backend = auto\njournalmatch = A=1\n",
            needed,
            "add a systemd",
            vec![journal],
        ),
        (
            "backend = auto\njournalmatch =\nskip_if_nologs = 1\n",
            DUMP,
            "add a systemd",
            vec![journal],
        ),
        (
            "backend = auto\njournalmatch = A=1\nsystemd_if_nologs = no\n",
            needed,
            "",
            vec![failed],
        ),
        (
            "backend = systemd[x=1]\n",
            needed,
            "add a systemd[x=1]",
            vec![],
        ),
    ];
    for (options, how, first, told) in rows {
        let text = format!("[a]\nenabled = 1\nlogpath = /nonexistent/x\n{options}");
        let came = read(&[("jail.local", &text)], how);
        let commands = came.commands.iter().skip(6);
        assert_eq!(
            commands.clone().next().map_or("", String::as_str),
            first,
            "{text}"
        );
        assert_eq!(came.told(Level::Warning), told, "{text}");
    }
}

#[test]
fn the_stock_configuration_loads_with_every_jail() {
    let stock = Path::new("/etc/fail2ban");
    if !stock.join("jail.conf").exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for part in ["", "filter.d", "action.d", "filter.d/ignorecommands"] {
        std::fs::create_dir_all(dir.path().join(part)).unwrap();
        for entry in std::fs::read_dir(stock.join(part)).unwrap().flatten() {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), dir.path().join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    std::fs::write(
        dir.path().join("jail.local"),
        "[DEFAULT]\nenabled = true\nbackend = polling\n",
    )
    .unwrap();
    let mut folder = Folder::new(&Disk, dir.path());
    let outcome = folder.stream(&Places::default(), DUMP, None);
    let stream = outcome.stream.expect("it loads");
    assert!(outcome.good);
    let starts = stream
        .iter()
        .filter(|c| c.first() == Some(&"start".into()))
        .count();
    assert!(starts > 80, "{starts} jails");
    let setup = crate::load::fold::setup(&stream).unwrap();
    assert_eq!(setup.plans().count(), starts);
    let silent = setup
        .plans()
        .filter(|plan| plan.filter.failregex.is_empty());
    assert_eq!(silent.count(), 0, "every stock filter finds something");
}
