//! Replies and what fail2ban's own client prints for them.

use super::*;

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn pair(a: impl Into<Value>, b: impl Into<Value>) -> Value {
    Value::Tuple(vec![a.into(), b.into()])
}

fn texts<const N: usize>(texts: [&str; N]) -> Value {
    Value::strings(texts)
}

fn jail_status(failed: i64, banned: Value) -> Value {
    let failed = list([
        pair("Currently failed", 0),
        pair("Total failed", failed),
        pair("File list", texts(["/var/log/auth.log"])),
    ]);
    let actions = list([
        pair("Currently banned", 2),
        pair("Total banned", 6),
        pair("Banned IP list", banned),
    ]);
    list([pair("Filter", failed), pair("Actions", actions)])
}

fn shown(command: &str, reply: &Value) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    beautify(&words, reply, Charset::Unicode).unwrap_or_else(|error| panic!("{command}: {error:?}"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn commands_to_the_daemon_have_their_texts() {
    let rows = [
        ("ping", "pong".into(), "Server replied: pong"),
        ("version", "1.1.1".into(), "1.1.1"),
        ("echo a b", texts(["a", "b c"]), "a b c"),
        ("server-status", "Server ready".into(), "Server ready"),
        ("sleep 0", Value::None, "None"),
        ("flushlogs", "rolled over".into(), "logs: rolled over"),
        ("stop", Value::None, "Shutdown successful"),
        ("stop --all", Value::None, "Jail stopped"),
        ("stop sshd", Value::None, "Jail stopped"),
        ("start sshd", Value::None, "Jail started"),
        ("add x polling", "x".into(), "Added jail x"),
        ("unban --all", 3.into(), "3"),
        (
            "banned",
            list([Value::Dict(vec![("j".into(), texts(["192.0.2.7"]))])]),
            "[{'j': ['192.0.2.7']}]",
        ),
        (
            "banned 192.0.2.7",
            list([texts(["sshd", "j2"]), list([])]),
            "[['sshd', 'j2'], []]",
        ),
        ("statistic", Value::Dict(vec![]), "{}"),
        ("stats", Value::Dict(vec![]), "No jails found."),
        (
            "get loglevel",
            "DEBUG".into(),
            "Current logging level is 'DEBUG'",
        ),
        (
            "set loglevel 10",
            10.into(),
            "Current logging level is 'DEBUG'",
        ),
        (
            "get loglevel",
            9.into(),
            "Current logging level is '#09-Lev.'",
        ),
        (
            "get logtarget",
            "SYSLOG".into(),
            "Current logging target is:\n`- SYSLOG",
        ),
        (
            "get syslogsocket",
            "auto".into(),
            "Current syslog socket is:\n`- auto",
        ),
        (
            "get dbfile",
            "/x".into(),
            "Current database file is:\n`- /x",
        ),
        (
            "set dbfile None",
            Value::None,
            "Database currently disabled",
        ),
        (
            "get dbpurgeage",
            86400.into(),
            "Current database purge age is:\n`- 86400seconds",
        ),
        (
            "set dbpurgeage 1d",
            Value::Float(86400.5),
            "Current database purge age is:\n`- 86400seconds",
        ),
        ("get dbpurgeage", Value::None, "Database currently disabled"),
        ("get dbmaxmatches", 10.into(), "10"),
        (
            "get thread",
            Value::Dict(vec![("stacksize".into(), 0.into())]),
            "{'stacksize': 0}",
        ),
    ];
    for (command, reply, expected) in rows {
        assert_eq!(shown(command, &reply), expected, "{command}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn options_of_jails_have_their_texts() {
    let rows = [
        ("set j idle on", true.into(), "True"),
        (
            "get j ignoreip",
            texts(["a", "b"]),
            "These IP addresses/networks are ignored:\n|- a\n`- b",
        ),
        (
            "set j delignoreip a",
            list([]),
            "No IP address/network is ignored",
        ),
        (
            "get j logpath",
            texts(["/a"]),
            "Current monitored log file(s):\n`- /a",
        ),
        (
            "set j dellogpath /a",
            list([]),
            "No file is currently monitored",
        ),
        (
            "get j logencoding",
            "UTF-8".into(),
            "Current log encoding is set to:\nUTF-8",
        ),
        (
            "get j journalmatch",
            list([texts(["a=1", "b=2"]), texts(["c=3"])]),
            "Current match filter:\na=1 b=2 + c=3",
        ),
        (
            "set j addjournalmatch a",
            list([]),
            "No journal match filter set",
        ),
        (
            "get j failregex",
            texts(["x", "y"]),
            "The following regular expression are defined:\n|- [0]: x\n`- [1]: y",
        ),
        (
            "set j delignoreregex 0",
            list([]),
            "No regular expression is defined",
        ),
        (
            "get j datepattern",
            pair(Value::None, "Default Detectors"),
            "Current date pattern set to: Default Detectors",
        ),
        (
            "set j datepattern %Y",
            pair("%Y-%m-%d", "Year-Month-Day"),
            "Current date pattern set to: %Y-%m-%d (Year-Month-Day)",
        ),
        (
            "get j datepattern",
            Value::None,
            "Current date pattern set to: Not set/required",
        ),
        (
            "get j ignorecache",
            list(["k".into(), 100.into(), 300.into()]),
            "['k', 100, 300]",
        ),
        ("get j bantime", 600.into(), "600"),
        ("set j banip 192.0.2.7", 1.into(), "1"),
        ("get j banip", texts(["a", "b"]), "a b"),
        ("get j banip ,", texts(["a", "b"]), "a,b"),
        (
            "get j banip --with-time",
            texts(["a \tx", "b \ty"]),
            "a \tx\nb \ty",
        ),
        ("get j banip", list([]), ""),
        ("get j banned", texts(["a"]), "['a']"),
        ("get j banned a b", list([1.into(), 0.into()]), "[1, 0]"),
        (
            "get j actions",
            texts(["a", "b"]),
            "The jail j has the following actions:\na, b",
        ),
        ("get j actions", list([]), "No actions for jail j"),
        (
            "get j actionproperties a",
            texts(["x", "y"]),
            "The jail j action a has the following properties:\nx, y",
        ),
        (
            "get j actionmethods a",
            texts(["x"]),
            "The jail j action a has the following methods:\nx",
        ),
        (
            "get j actionmethods a",
            list([]),
            "No methods for jail j action a",
        ),
        ("get j action a actionban", "nft add".into(), "nft add"),
        ("set j delaction a", Value::None, "None"),
    ];
    for (command, reply, expected) in rows {
        assert_eq!(shown(command, &reply), expected, "{command}");
    }
}

#[test]
fn status_is_a_tree() {
    let two = texts(["192.0.2.10", "2001:db8::1"]);
    assert_eq!(
        shown("status sshd", &jail_status(2, two)),
        "Status for the jail: sshd\n\
         |- Filter\n\
         |  |- Currently failed:\t0\n\
         |  |- Total failed:\t2\n\
         |  `- File list:\t/var/log/auth.log\n\
         `- Actions\n   \
            |- Currently banned:\t2\n   \
            |- Total banned:\t6\n   \
            `- Banned IP list:\t192.0.2.10 2001:db8::1"
    );
    let rows = [pair("Number of jail", 2), pair("Jail list", "j2, sshd")];
    assert_eq!(
        shown("status", &list(rows)),
        "Status\n|- Number of jail:\t2\n`- Jail list:\tj2, sshd"
    );
}

#[test]
fn status_of_all_is_a_tree_of_trees() {
    let jails = Value::Dict(vec![
        ("j2".into(), jail_status(0, list([]))),
        ("sshd".into(), jail_status(2, list([]))),
    ]);
    let reply = list([
        pair("Number of jail", 2),
        pair("Jail list", "j2, sshd"),
        jails,
    ]);
    assert_eq!(
        shown("status --all", &reply)
            .split('\n')
            .collect::<Vec<_>>(),
        [
            "Status",
            "|- Number of jail:\t2",
            "|- Jail list:\tj2, sshd",
            "`- Status for the jails:",
            "   |- Jail: j2",
            "   |  |- Filter",
            "   |  |  |- Currently failed:\t0",
            "   |  |  |- Total failed:\t0",
            "   |  |  `- File list:\t/var/log/auth.log",
            "   |  `- Actions",
            "   |     |- Currently banned:\t2",
            "   |     |- Total banned:\t6",
            "   |     `- Banned IP list:\t",
            "   `- Jail: sshd",
            "      |- Filter",
            "      |  |- Currently failed:\t0",
            "      |  |- Total failed:\t2",
            "      |  `- File list:\t/var/log/auth.log",
            "      `- Actions",
            "         |- Currently banned:\t2",
            "         |- Total banned:\t6",
            "         `- Banned IP list:\t",
        ]
    );
}

#[test]
fn statistics_are_a_table() {
    let counts = list(["polling".into(), pair(0, 2), pair(5, 6)]);
    let reply = Value::Dict(vec![("sshd".into(), counts)]);
    for command in ["stats", "statistics"] {
        let text = shown(command, &reply);
        assert!(
            text.contains(" sshd     ║ polling  ║   0 │   2 ║   5 │   6\n"),
            "{text}"
        );
    }
}

#[test]
fn a_reply_that_does_not_fit_is_told_and_never_panics() {
    let partial = |lines| Err(Unprintable(texts::<2>(lines)));
    let stats = list(["polling".into(), pair(0, 1), pair(2, 3)]);
    assert_eq!(
        beautify(&["status", "sshd", "stats"], &stats, Charset::Ascii),
        partial(["Status for the jail: sshd", "|- p"])
    );
    let first = Err(Unprintable(texts(["Status"])));
    assert_eq!(beautify(&["status"], &Value::None, Charset::Ascii), first);

    let odd = [
        Value::None,
        7.into(),
        "text".into(),
        list([]),
        list([Value::None]),
        list([pair(1, 2)]),
        list([pair("Filter", list([pair("a", list([])), 1.into()]))]),
        Value::Dict(vec![(1.into(), 2.into())]),
        Value::Opaque("os.system".into()),
    ];
    let commands = [
        "",
        "ping",
        "echo",
        "status",
        "status x",
        "status --all",
        "stats",
        "get",
        "set",
        "get x",
        "get j",
        "get loglevel",
        "get dbpurgeage",
        "get j banip",
        "get j logpath",
        "get j failregex",
        "get j datepattern",
        "get j journalmatch",
        "get j actions",
        "get j actionproperties",
        "get j actionproperties a",
    ];
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        for reply in &odd {
            drop(beautify(&words, reply, Charset::Ascii));
        }
    }
}

#[test]
fn errors_are_shown_in_words() {
    let own = |class: &str, args: Vec<Value>| Exception {
        module: "fail2ban.exceptions".into(),
        class: class.into(),
        args,
    };
    let python = |class: &str, args: Vec<Value>| Exception {
        module: "builtins".into(),
        ..own(class, args)
    };
    let rows = [
        (
            own("UnknownJailException", vec!["nosuch".into()]),
            "Sorry but the jail 'nosuch' does not exist",
        ),
        (
            own("DuplicateJailException", vec!["sshd".into()]),
            "The jail 'sshd' already exists",
        ),
        (
            python("IndexError", vec!["list index out of range".into()]),
            "Sorry but the command is invalid",
        ),
        (
            python("IndexError", vec![]),
            "Sorry but the command is invalid",
        ),
        (
            python("KeyError", vec!["Invalid Action name: x".into()]),
            "'Invalid Action name: x'",
        ),
        (
            python("Exception", vec!["Invalid command".into()]),
            "Invalid command",
        ),
        (
            python("ValueError", vec!["not banned: ['9.9.9.9']".into()]),
            "not banned: ['9.9.9.9']",
        ),
        (
            python(
                "FileNotFoundError",
                vec![2.into(), "No such file or directory".into(), "/x".into()],
            ),
            "[Errno 2] No such file or directory: '/x'",
        ),
    ];
    for (error, expected) in rows {
        assert_eq!(beautify_error(&error), expected);
    }
}
