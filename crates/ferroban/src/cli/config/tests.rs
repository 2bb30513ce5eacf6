use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ferroban_config::{Files, Memory};

use super::reader::MAX_PROBLEMS;
use super::*;

const BASE: &str = "/etc/fail2ban";

const JAIL: &str = "\
[DEFAULT]
enabled = false
mode = normal
filter = %(__name__)s[mode=%(mode)s]
bantime = 10m
port = 0:65535
action_ = ban[port=\"%(port)s\"]
action_mwl = %(action_)s
             mail[dest=root]
action = %(action_)s
[sshd]
port = ssh
logpath = /var/log/auth.log
[web]
enabled = true
logpath = /var/log/web.log
";

/// A small configuration in which everything is right.
fn stock() -> BTreeMap<PathBuf, Vec<u8>> {
    let filter = "[Definition]\nfailregex = ^bad <HOST>$\n";
    let files = [
        ("fail2ban.conf", "[Definition]\nloglevel = INFO\n"),
        ("jail.conf", JAIL),
        ("filter.d/sshd.conf", filter),
        ("filter.d/web.conf", filter),
        (
            "action.d/ban.conf",
            "[Definition]\nactionban = ban <ip> <port> <blocktype>\n[Init]\nblocktype = drop\n",
        ),
        (
            "action.d/mail.conf",
            "[Definition]\nactionban = mail <dest>\n",
        ),
    ];
    let file = |(name, text): (&str, &str)| (Path::new(BASE).join(name), text.into());
    files.into_iter().map(file).collect()
}

fn with(name: &str, bytes: impl Into<Vec<u8>>) -> Memory {
    let mut files = stock();
    files.insert(Path::new(BASE).join(name), bytes.into());
    Memory(files)
}

/// What `check` prints, with `/etc/fail2ban/` left out, and whether it is content.
fn checked(files: &dyn Files) -> (String, bool) {
    let told = check::run(files, Path::new(BASE), false);
    (told.text.replace("/etc/fail2ban/", ""), told.good)
}

#[track_caller]
fn assert_checked(files: &dyn Files, expected: &str, good: bool) {
    let (text, is_good) = checked(files);
    assert_eq!(text, expected.trim());
    assert_eq!(is_good, good, "the exit code");
}

#[test]
fn a_good_configuration_has_nothing_to_tell() {
    assert_checked(&Memory(stock()), "1 jail fine", true);
    assert_checked(
        &with("jail.local", "[sshd]\nenabled = on\n"),
        "2 jails fine",
        true,
    );
    assert_checked(
        &with("jail.local", "[web]\nenabled = 0\n"),
        "no jail is switched on",
        true,
    );
}

/// `jail.local`, what is told about it, and whether the jail `web` starts.
const CASES: &[(&str, &str, bool)] = &[
    (
        "[web]\naction = %(action_mwx)s\n",
        "jail.local:2: no option 'action_mwx'; did you mean 'action_mwl'?
    action = %(action_mwx)s
             ^^^^^^^^^^^^^^",
        false,
    ),
    (
        "[web]\nbantime = soon\n",
        "jail.local:2: bantime cannot be 'soon': 'soon' is no number; write a time such as 600, 10m or 1d 12h, or -1 for ever
    bantime = soon
              ^^^^",
        false,
    ),
    (
        "[web]\nmaxretry = 5 # tries\n",
        "jail.local:2: maxretry cannot be '5 # tries'; write a whole number from 1 on
    maxretry = 5 # tries
               ^^^^^^^^^",
        false,
    ),
    (
        "[web]\nbackend: gamin\n",
        "jail.local:2: backend cannot be 'gamin'; write auto, polling, pyinotify or systemd
    backend: gamin
             ^^^^^",
        false,
    ),
    (
        "[web]\nfilter = webb\n",
        "jail.local:2: no filter 'webb'; did you mean 'web'?
    filter = webb
             ^^^^",
        false,
    ),
    (
        "[web]\nfilter = web[mode=x\n",
        "jail.local:2: filter 'web[mode=x' is not complete; write filter = name[option=value, …]
    filter = web[mode=x
             ^^^^^^^^^^",
        false,
    ),
    (
        "[web]\nfilter = web sshd\n",
        "jail.local:2: a jail has one filter, and 'sshd' is a second; give it a jail of its own
    filter = web sshd
                 ^^^^",
        false,
    ),
    (
        "[web]\naction = ban[port=1]\n         mai[dest=me]\n",
        "jail.local:3: no action 'mai'; did you mean 'mail'?
    mai[dest=me]
    ^^^",
        false,
    ),
    (
        "[web]\naction = ban[port=\"1\" protocol=tcp]\n",
        "jail.local:2: action: unexpected 'protocol=tcp' after option 'port'; put a comma between options, and quotes around a value with , or ]
    action = ban[port=\"1\" protocol=tcp]
                          ^^^^^^^^^^^^",
        false,
    ),
    (
        "[web]\naction = ban[port=1]\n         ban[port=2]\n",
        "jail.local:3: a second action called 'ban'; give it another name with [actname=…]
    ban[port=2]
    ^^^",
        false,
    ),
    (
        "[web]\naction = ban[port=1] ban[name=web-udp, port=2]\n",
        "",
        true,
    ),
    ("[web]\naction = ban.py\n", "jail.local:2: no action 'ban.py'; create action.d/ban.py.conf
    action = ban.py
             ^^^^^^", false),
    (
        "[web]\nlogpath =\n",
        "jail.local:2: nothing to read; set logpath, or backend = systemd and journalmatch
    logpath =
    ^^^^^^^^^",
        false,
    ),
    ("[web]\nlogpath =\nbackend = systemd\n", "", true),
    (
        "[web]\nfailregex = ^fine <HOST>\n            ^bad (<HOST>\n",
        "jail.local:3: failregex does not compile: missing ), unterminated subpattern at position 5 of the pattern with its tags replaced; correct it
    ^bad (<HOST>
    ^^^^^^^^^^^^",
        false,
    ),
    (
        "[web]\nfailregex = ^bad$\n",
        "jail.local:2: failregex does not say who failed; write <HOST> in it
    failregex = ^bad$
                ^^^^^",
        false,
    ),
    (
        "[web]\nfailregex = ^bad 100% <HOST>\n",
        "jail.local:2: a lone percent sign in '% <HOST>'; write %%
    failregex = ^bad 100% <HOST>
                        ^^^^^^^^",
        false,
    ),
    (
        "[web]\nenabled = true\n  port = 80\n",
        "jail.local:3: warning: 'port = 80' is indented, so it belongs to 'enabled'; take the blanks before it away
    port = 80
    ^^^^^^^^^",
        // The original reads `true\nport = 80`, which is not yes.
        true,
    ),
    (
        "[web]\nmaxretry = 3\n port = 80\n",
        "jail.local:3: 'port = 80' is indented, so it belongs to 'maxretry'; take the blanks before it away
    port = 80
    ^^^^^^^^^",
        false,
    ),
    (
        "[web]\nbantime = 1h\nbantime = 2h\n",
        "jail.local:3: option 'bantime' of [web] is already set in line 2; keep one of them
    bantime = 2h
    ^^^^^^^",
        false,
    ),
    (
        "[web]\nbantime 1h\n",
        "jail.local:2: 'bantime 1h' is no option; write name = value, or indent it to continue the value above
    bantime 1h
    ^^^^^^^^^^",
        false,
    ),
    (
        "[web]\nfilter =\n",
        "jail.local:2: warning: no filter, so nothing is found; set filter
    filter =
    ^^^^^^^^",
        true,
    ),
    (
        "[web]\naction =\n",
        "jail.local:2: warning: no action, so nobody is banned; set action
    action =
    ^^^^^^^^",
        true,
    ),
    (
        "[web]\naction = ban[prt=80]\n",
        "jail.local:2: warning: action 'ban' does nothing with 'prt'; did you mean 'port'?
    action = ban[prt=80]
                 ^^^^",
        true,
    ),
    (
        "[web]\naction = ban[BlockType?family=inet6=x, port=1]\n",
        "",
        true,
    ),
    (
        "[web]\nfilter = web[speed=slow]\n",
        "jail.local:2: warning: filter 'web' does nothing with 'speed'; leave it out
    filter = web[speed=slow]
                 ^^^^^^",
        true,
    ),
    (
        "[web]\nenable = true\n",
        "jail.local:2: warning: no option 'enable'; did you mean 'enabled'?
    enable = true
    ^^^^^^",
        true,
    ),
    (
        "[DEFAULT]\nmine = 3\nyours = 4\n[web]\nmaxretry = %(mine)s\n",
        "jail.local:3: warning: no option 'yours'; nothing refers to it; leave it out
    yours = 4
    ^^^^^",
        true,
    ),
    (
        "[ssh]\nmaxretry = 3\n",
        "jail.local:1: warning: no jail [ssh]; did you mean [sshd]?
    [ssh]
    ^^^^^",
        true,
    ),
    ("[ssh]\nlogpath = /var/log/x\n", "", true),
    (
        "[default]\nbantime = 1h\n",
        "jail.local:1: warning: no jail [default]; did you mean [DEFAULT]?
    [default]
    ^^^^^^^^^",
        true,
    ),
    (
        "[web]\naction = ban[port=1]\nmail[dest=root]\n",
        "jail.local:3: warning: a second action 'mail' seems to have lost its indentation, so it never runs; indent it to continue 'action' above
    mail[dest=root]
    ^^^^^^^^^",
        true,
    ),
    (
        "[web]\nfailregex = %(known/failregex)s\n            ^worse <HOST>\n",
        "",
        true,
    ),
    (
        "[web]\naction = ban[port=1,\n             blocktype=x]\n         mai[dest=me]\n",
        "jail.local:4: no action 'mai'; did you mean 'mail'?
    mai[dest=me]
    ^^^",
        false,
    ),
    (
        "[web]\nusedns = never\nignoreip = 10.0.0.1 300.1.1.1\n",
        "jail.local:2: warning: usedns cannot be 'never', so no is taken; write yes, warn, no or raw
    usedns = never
             ^^^^^
jail.local:3: warning: '300.1.1.1' is no address or network, so it is looked up as a name; correct it
    ignoreip = 10.0.0.1 300.1.1.1
                        ^^^^^^^^^",
        true,
    ),
];

#[test]
fn each_mistake_is_told_with_its_line_and_what_to_do() {
    let mut wrong = Vec::new();
    for (text, expected, good) in CASES {
        let (told, is_good) = checked(&with("jail.local", *text));
        let summary = match (good, text.contains("enabled = true\n  ")) {
            (true, false) => "1 jail fine",
            (true, true) => "no jail is switched on",
            (false, _) => "jail 'web' skipped, 0 fine",
        };
        let expected = format!("{expected}\n{summary}");
        if told != expected.trim_start() || is_good != *good {
            wrong.push(format!("{text}\ntold:\n{told}\nexpected:\n{expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_jail_without_its_filter_is_told_which_one_was_meant() {
    let expected = "\
jail.local:2: jail [ssh] has no filter: there is no 'ssh'; did you mean [sshd]?
    [ssh]
    ^^^^^
jail 'ssh' skipped, 1 fine";
    let text = "# mine\n[ssh]\nenabled = true\nbackend = systemd\n";
    assert_checked(&with("jail.local", text), expected, false);
}

#[test]
fn all_problems_come_at_once_errors_first_and_the_others_start() {
    let text = "\
[sshd]
enabled = true
enable = yes
bantime = soon
maxretry = many
[web]
findtimes = 1h
[third]
enabled = true
filter = web
logpath = /var/log/third.log
";
    let expected = "\
jail.local:4: bantime cannot be 'soon': 'soon' is no number; write a time such as 600, 10m or 1d 12h, or -1 for ever
    bantime = soon
              ^^^^
jail.local:5: maxretry cannot be 'many'; write a whole number from 1 on
    maxretry = many
               ^^^^
jail.local:3: warning: no option 'enable'; did you mean 'enabled'?
    enable = yes
    ^^^^^^
jail.local:7: warning: no option 'findtimes'; did you mean 'findtime'?
    findtimes = 1h
    ^^^^^^^^^
jail 'sshd' skipped, 2 fine";
    assert_checked(&with("jail.local", text), expected, false);
}

#[test]
fn a_broken_filter_is_told_once_however_many_jails_use_it() {
    let mut files = with(
        "filter.d/web.conf",
        "[Definition]\nfailregex = %(host)s <x>\nx = <y>\ny = <x>\n",
    );
    let other = "[other]\nenabled = true\nfilter = web\nlogpath = /x\n";
    let path = Path::new(BASE).join("jail.local");
    files.0.insert(path, other.into());
    let expected = "\
filter.d/web.conf:2: no option 'host'; set it, or write %% for a percent sign
    failregex = %(host)s <x>
                ^^^^^^^^
filter.d/web.conf:3: tag <x> in option 'x' leads to itself; break the chain
    x = <y>
        ^^^
filter.d/web.conf:4: tag <y> in option 'y' leads to itself; break the chain
    y = <x>
        ^^^
jails 'web', 'other' skipped, 0 fine";
    assert_checked(&files, expected, false);
}

#[test]
fn a_wrong_line_of_a_filter_breaks_every_jail_that_uses_it() {
    let text = "[Definition]\nfailregex = ^bad <HOST>$\nnonsense\n";
    let mut files = with("filter.d/web.conf", text);
    let other = "[other]\nenabled = true\nfilter = web\nlogpath = /x\n";
    let path = Path::new(BASE).join("jail.local");
    files.0.insert(path, other.into());
    let expected = "\
filter.d/web.conf:3: 'nonsense' is no option; write name = value, or indent it to continue the value above
    nonsense
    ^^^^^^^^
jails 'web', 'other' skipped, 0 fine";
    assert_checked(&files, expected, false);
}

#[test]
fn the_server_s_own_file_is_checked_too() {
    let text = "[DEFAULT]\ndbpurgage = 2d\n[Definition]\nloglevel = LOUD\ndbpurgeage = x\n";
    let expected = "\
fail2ban.conf:4: loglevel cannot be 'LOUD'; write CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, or a number
    loglevel = LOUD
               ^^^^
fail2ban.conf:5: dbpurgeage cannot be 'x': 'x' is no number; write a time such as 600, 10m or 1d 12h
    dbpurgeage = x
                 ^
fail2ban.conf:2: warning: no option 'dbpurgage'; did you mean 'dbpurgeage'?
    dbpurgage = 2d
    ^^^^^^^^^
2 errors outside of these jails; 1 jail fine";
    assert_checked(&with("fail2ban.conf", text), expected, false);
}

/// Files that answer oddly for one path.
struct Odd(Memory, &'static str, fn(usize) -> io::Result<Vec<u8>>);

impl Files for Odd {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == Path::new(BASE).join(self.1) {
            return (self.2)(limit);
        }
        self.0.read(path, limit)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(dir)
    }
}

#[test]
fn bad_input_is_one_error_and_nothing_else_is_lost() {
    let undecodable = with("jail.d/a.local", &b"[web]\nport = \xff\n"[..]);
    let directory = with("jail.d/a.local/x", "");
    let looping = with(
        "jail.d/a.local",
        "[INCLUDES]\nbefore = b.inc\nafter = a.local\n",
    );
    let itself = with("jail.d/a.local", "[web]\nlogpath = %(logpath)s\n");
    let denied = |_: usize| Err(io::ErrorKind::PermissionDenied.into());
    let huge = |limit: usize| Ok(vec![b'#'; limit.min(100 << 20)]);
    let there = || with("jail.d/a.local", "");
    let outside = "1 error outside of these jails; 1 jail fine";
    let cases: [(&dyn Files, &str, &str); 6] = [
        (
            &undecodable,
            "jail.d/a.local:2: byte 0xff is not UTF-8; save the file as UTF-8
    port = \u{fffd}
           ^",
            outside,
        ),
        (
            &Odd(there(), "jail.d/a.local", huge),
            "jail.d/a.local: larger than 1048576 bytes; split it into several files",
            outside,
        ),
        (&looping, "", "1 jail fine"),
        (
            &itself,
            "jail.d/a.local:2: option 'logpath' leads to itself, or through more than ten others; break the chain
    logpath = %(logpath)s
              ^^^^^^^^^^^",
            "jail 'web' skipped, 0 fine",
        ),
        (
            &directory,
            "jail.d/a.local: cannot be read; a file is wanted, not a directory: is a directory",
            outside,
        ),
        (
            &Odd(there(), "jail.d/a.local", denied),
            "jail.d/a.local: cannot be read; check its owner and mode: permission denied",
            outside,
        ),
    ];
    for (files, problem, summary) in cases {
        let (text, good) = checked(files);
        assert_eq!(text, format!("{problem}\n{summary}").trim_start());
        assert_eq!(good, problem.is_empty());
    }
}

#[test]
fn an_action_in_python_that_others_may_write_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for part in ["filter.d", "action.d"] {
        std::fs::create_dir(base.join(part)).unwrap();
        std::fs::set_permissions(base.join(part), Permissions::from_mode(0o755)).unwrap();
    }
    for (path, text) in stock() {
        std::fs::write(base.join(path.strip_prefix(BASE).unwrap()), text).unwrap();
    }
    std::fs::write(base.join("jail.local"), "[web]\naction = ban.py\n").unwrap();
    let file = base.join("action.d/ban.py");
    std::fs::write(&file, "").unwrap();
    for (mode, good) in [(0o644, true), (0o664, false)] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let told = check::run(&Disk, base, false);
        let text = told.text.replace(base.to_str().unwrap(), "DIR");
        let expected = "DIR/jail.local:2: DIR/action.d/ban.py: not run, since others than its owner \
                        may write DIR/action.d/ban.py (mode 664): run chmod go-w on it\n    action \
                        = ban.py\n             ^^^^^^\njail 'web' skipped, 0 fine";
        assert_eq!(text.starts_with(expected), !good, "{text}");
        assert_eq!(told.good, good, "{text}");
    }
}

#[test]
fn our_own_mails_need_no_file_and_are_checked() {
    let cases = [
        ("ferroban-smtp[dest=\"root, a@example.org\"]", ""),
        (
            "ferroban-smtp[dest=\"root <a@example.org>\"]",
            "jail.d/a.local:2: action 'ferroban-smtp': dest '<a@example.org>' is no address: '<' cannot stand there; give one as user@example.org\n",
        ),
        (
            "ferroban-smtp[dst=root]",
            "jail.d/a.local:2: action 'ferroban-smtp': option 'dst' is unknown; this action has host, ",
        ),
    ];
    for (call, problem) in cases {
        let text = format!("[web]\naction = {call}\n");
        let (told, good) = checked(&with("jail.d/a.local", text));
        assert!(told.starts_with(problem), "{told}");
        assert_eq!(good, problem.is_empty(), "{told}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_one_error() {
    let told = check::run(&Memory::default(), Path::new("/nowhere"), false);
    let expected =
        "/nowhere: cannot be listed; give the folder with jail.conf as --config: entity not found";
    assert_eq!(
        told.text,
        format!("{expected}\n1 error; no jail is switched on")
    );
    assert!(!told.good);
}

/// The jails of a how-to of 2007. Such files are still found on machines.
const GUIDE: &str = r#"[DEFAULT]
ignoreip = 127.0.0.1
bantime  = 600
findtime = 600
maxretry = 5

[ssh-iptables]
enabled = true
filter = sshd
action = iptables[name=SSH, port=ssh, protocol=tcp]
logpath = /var/log/auth.log
maxretry = 5

[courierpop3-iptables]
enabled = true
filter = courierlogin
backend = polling
action = iptables[name=courierpop3, port=pop3, protocol=tcp]
         mail-whois[name=courierpop3, dest=root@localhost]
logpath = /var/log/maillog
maxretry = 5

[courierimap-iptables]
enabled = true
filter = courierlogin
backend = polling
action = iptables[name=courierimap, port=imap, protocol=tcp]
         mail-whois[name=courierimap, dest=root@localhost]
logpath = /var/log/maillog
maxretry = 5

[ssh-tcpwrapper]
enabled = true
filter = sshd
action = hostsdeny
         mail-whois[name=SSH, dest=root@localhost]
logpath = /var/log/auth.log
"#;

fn guide(text: &str) -> Memory {
    let filter = "[Definition]\nfailregex = ^bad <HOST>$\n";
    let action = "[Definition]\nactionban = ban <ip> <name> <port> <protocol> <dest>\n";
    let mut files = with("jail.conf", text);
    for (name, text) in [
        ("filter.d/courierlogin.conf", filter),
        ("action.d/iptables.conf", action),
        ("action.d/hostsdeny.conf", action),
        ("action.d/mail-whois.conf", action),
    ] {
        files.0.insert(Path::new(BASE).join(name), text.into());
    }
    files
}

#[test]
fn the_old_guide_loads_and_its_lost_indentation_is_told() {
    assert_checked(&guide(GUIDE), "4 jails fine", true);
    let pasted = GUIDE.replacen("         mail-whois", "mail-whois", 1);
    let expected = "\
jail.conf:19: warning: a second action 'mail-whois' seems to have lost its indentation, so it never runs; indent it to continue 'action' above
    mail-whois[name=courierpop3, dest=root@localhost]
    ^^^^^^^^^^^^^^^
4 jails fine";
    assert_checked(&guide(&pasted), expected, true);
    let (all, good) = checked(&guide(&GUIDE.replace("         mail-whois", "mail-whois")));
    assert_eq!(
        all.matches("seems to have lost its indentation").count(),
        3,
        "{all}"
    );
    assert!(good, "{all}");
}

#[test]
fn a_broken_filter_that_no_jail_uses_is_not_told() {
    let mut files = with("jail.local", "[ssh]\nmaxretry = 3\n");
    let path = Path::new(BASE).join("filter.d/ssh.conf");
    files.0.insert(path, "nonsense".into());
    assert_checked(&files, "1 jail fine", true);
}

#[test]
fn there_is_an_end_to_problems() {
    let lines = |line: &str| format!("{line}\n").repeat(MAX_PROBLEMS + 1);
    let numbered = |text: String| -> String {
        let lines = text.lines().enumerate();
        lines
            .map(|(n, line)| line.replace('#', &n.to_string()) + "\n")
            .collect()
    };
    let cases = [
        (format!("[web]\n{}", lines("unknown# = 1")), "1 jail fine"),
        (
            format!("[web]\nlogpath = /x\n{}", lines("  /a b#")),
            "jail 'web' skipped, 0 fine",
        ),
    ];
    for (text, summary) in cases {
        let (told, _) = checked(&with("jail.local", numbered(text)));
        let last: Vec<&str> = told.lines().rev().take(2).collect();
        assert_eq!(last, [summary, "only the first 1000 problems are told"]);
        assert_eq!(told.matches("\n    ^").count(), MAX_PROBLEMS, "carets");
    }
}

/// Debian's own configuration with every jail switched on.
struct Everything;

impl Files for Everything {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let own = Path::new(BASE).join("jail.local");
        if path != own {
            return Disk.read(path, limit);
        }
        let stock = Disk.read(&Path::new(BASE).join("jail.conf"), limit)?;
        let stock = String::from_utf8_lossy(&stock).into_owned();
        let headers = stock.lines().filter(|line| line.starts_with('['));
        let jails = headers.filter(|line| !["[DEFAULT]", "[INCLUDES]"].contains(line));
        let on: String = jails
            .map(|line| format!("{line}\nenabled = true\n"))
            .collect();
        Ok(on.into_bytes())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        Disk.list(dir)
    }
}

#[test]
fn debian_s_configuration_is_fine_with_every_jail_switched_on() {
    let conf = Path::new("/etc/fail2ban/jail.conf");
    if !conf.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "Debian's fail2ban is not installed"
        );
        let skipped = "skipped: Debian's fail2ban is not installed (apt-get install fail2ban)\n";
        io::stderr().write_all(skipped.as_bytes()).unwrap();
        return;
    }
    let (text, good) = checked(&Everything);
    assert!(
        good && text.trim_end().ends_with(" jails fine") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn explain_tells_each_option_with_what_sets_it() {
    let files = with(
        "jail.local",
        "[DEFAULT]\nlogs = /a\n  /b\n[sshd]\nmaxretry = 2\nmine = %(port)s\nlogpath = %(logs)s\n",
    );
    let told = explain::run(&files, Path::new(BASE), Some("sshd"), false);
    assert!(told.good);
    for expected in [
        "[sshd]\nenabled              = false",
        "\nfilter               = sshd[mode=normal]    (/etc/fail2ban/jail.conf:4)\n",
        "\nbackend              = auto                 (default)\n",
        "\nfailregex            = ^bad <HOST>$         (/etc/fail2ban/filter.d/sshd.conf:2)\n",
        "\nmaxretry             = 2                    (/etc/fail2ban/jail.local:5)\n",
        "\nlogpath              = /a                   (/etc/fail2ban/jail.local:7)\n                       /b\n",
        "\nbantime              = 10m                  (/etc/fail2ban/jail.conf:5)\n",
        "\nport                 = ssh                  (/etc/fail2ban/jail.conf:12)\n",
        "\nmine                 = ssh                  (/etc/fail2ban/jail.local:6)\n",
    ] {
        assert!(told.text.contains(expected), "{expected}\n{}", told.text);
    }
    let whole = explain::run(&files, Path::new(BASE), None, false).text;
    assert!(
        whole.starts_with("[web]\n") && !whole.contains("[sshd]"),
        "{whole}"
    );
}

#[test]
fn explain_tells_a_jail_that_is_not_there() {
    let told = explain::run(&Memory(stock()), Path::new(BASE), Some("ssh"), false);
    assert_eq!(told.text, "no jail 'ssh'; did you mean 'sshd'?");
    assert!(!told.good);
}

#[test]
fn json_says_the_same() {
    let files = with("jail.local", "[web]\nbantime = soon\nenable = true\n");
    let told = check::run(&files, Path::new(BASE), true);
    let value: serde_json::Value = serde_json::from_str(&told.text).unwrap();
    let problem = |index: usize, key: &str| value["problems"][index][key].clone();
    assert_eq!(problem(0, "level"), "error");
    assert_eq!(problem(0, "file"), "/etc/fail2ban/jail.local");
    assert_eq!(problem(0, "line"), 2);
    assert_eq!(problem(0, "text"), "bantime = soon");
    assert_eq!(problem(1, "level"), "warning");
    assert_eq!(
        problem(1, "message"),
        "no option 'enable'; did you mean 'enabled'?"
    );
    assert_eq!(value["skipped"][0], "web");

    let told = explain::run(&files, Path::new(BASE), Some("web"), true);
    let value: serde_json::Value = serde_json::from_str(&told.text).unwrap();
    let options = value["jails"][0]["options"].as_array().unwrap();
    let bantime = options
        .iter()
        .find(|row| row["option"] == "bantime")
        .unwrap();
    assert_eq!(
        (&bantime["value"], &bantime["line"]),
        (&"soon".into(), &2.into())
    );
}
