//! The actions that Debian's package installs, run for bans in which a stranger wrote
//! everything that a stranger can: nothing of it is executed.
//!
//! The actions are read by our own loader and run by `/bin/sh`, in namespaces without a
//! network in which all that is mounted is read-only but a few folders in memory. Of the
//! programs that actions start there are stand-ins, which write down what they were given;
//! only those that work on text are real. One more program, `canary`, leaves a file when
//! it is run, and the hostile texts try to run it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use ferroban_engine::{Ban, BanTime, FailId, JailName, Match, Ticket, Timestamp};

use crate::action::shell::{Facts, Merged, Occasion, Shell};
use crate::load::{self, ActionPlan};
use crate::log::{Level, Log, Target};

/// Set for the copy of this program that runs inside.
const INSIDE: &str = "FERROBAN_STOCK_ACTIONS_INSIDE";
/// What the package installs.
const STOCK: &str = "/etc/fail2ban/action.d";
/// Our own stock actions, beside those of the same name.
const OURS: [(&str, &str); 3] = [
    (
        "our-hostsdeny.conf",
        include_str!("../../config/action.d/hostsdeny.conf"),
    ),
    (
        "our-iptables.conf",
        include_str!("../../config/action.d/iptables.conf"),
    ),
    (
        "our-mail-whois.conf",
        include_str!("../../config/action.d/mail-whois.conf"),
    ),
];
/// Where the canary leaves its files.
const CANARY: &str = "/run/c";
/// A file that nobody has a reason to touch.
const EGG: &str = "/run/n/egg";

/// Programs that are what they are. All others are stand-ins or missing.
const REAL: &str = "awk basename cat cut date dirname expr grep head mkdir mktemp mv printf rm \
     sed seq sh sort tail test touch tr truncate tty uniq wc";

/// Programs that actions start.
const STANDINS: &str = "afctl apf apprise conntrack csf curl dig firewall-cmd flock geoiplookup \
     host hostname ip ip6tables ipf ipfw ipset iptables jq mail nft nginx npf npfctl nsupdate \
     perl pfctl sendmail service shorewall shorewall6 sleep ss ssh ufw uname wget whois";

/// Makes the place: `/run` in memory, all else read-only, programs in `/run/bin`
/// and stand-ins for those that are named with their folder.
const SET_UP: &str = r#"
while read -r _ at _; do mount -o remount,bind,ro "$at" || :; done < /proc/self/mounts 2>/dev/null
mount -t tmpfs tmpfs /run
mkdir -p /run/bin /run/sbin /run/c /run/n /run/w/etc /run/fail2ban
: > /run/n/egg
for name in $REAL; do ln -s "$(command -v "/usr/bin/$name")" /run/bin/$name; done
cat > /run/sbin/standin <<'END'
#!/bin/sh
{
    printf '%s' "${0##*/}"
    for word; do printf ' [%s]' "$word"; done
    printf '\n'
    cat
} >> /run/w/ran
case ${0##*/} in
    dig | whois | curl | ipfw | nft) cat /run/w/answer ;;
esac
END
cat > /run/bin/canary <<'END'
#!/bin/sh
: > /run/c/canary
END
chmod 755 /run/sbin/standin /run/bin/canary
for name in $STANDINS; do
    ln -s /run/sbin/standin /run/bin/$name
    ln -s standin /run/sbin/$name
done
mount --bind /run/sbin /usr/sbin
cd /
exec env PATH=/run/bin "$@"
"#;

#[expect(clippy::disallowed_methods, reason = "a test may start programs")]
fn program(name: &str) -> Command {
    Command::new(name)
}

/// Runs the body of a test in the place that [`SET_UP`] makes.
fn in_place<F: FnOnce()>(body: F) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    // The type of a closure is named after the function around it.
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    let spaces = "--mount --net --pid --fork --mount-proc --propagation private";
    let enter = |words: &[&str]| {
        let mut unshare = program("unshare");
        unshare.args(spaces.split(' ')).args(words).output()
    };
    let probe = enter(&["mount", "-t", "tmpfs", "tmpfs", "/run"]);
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) || !Path::new(STOCK).exists() {
        let reason = format!("{name}: needs root, unshare and {STOCK}: {probe:?}\n");
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "not skipped in CI: {reason}");
        let text = format!("skipped {reason}");
        return std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    let itself = std::env::current_exe().unwrap();
    let set_up =
        format!("REAL='{REAL}' STANDINS='{STANDINS}' {INSIDE}=1\nexport {INSIDE}\n{SET_UP}");
    let itself = itself.to_str().unwrap();
    let output = enter(&[
        "sh",
        "-ec",
        &set_up,
        "sh",
        itself,
        "--exact",
        name,
        "--nocapture",
    ]);
    let output = output.unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{out}{err}");
}

/// Texts that would have `canary` run, or a file made, if a shell read them; and others
/// that are hard to take.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "$(canary)",
        "`canary`",
        ";canary;",
        "|canary",
        "x&&canary||canary&canary",
        "\ncanary\n",
        "\r\ncanary\r",
        "x' ; canary ; '",
        "x\" ; canary ; \"",
        "'\"`;canary;`\"'",
        "\\'; canary; \\\"; canary; \\\\",
        "-canary --eval=canary -e canary",
        "\u{1}\u{7}\u{8}\u{1b}[31m\u{7f}canary",
        "* /run/n/* /run/n/egg ? [a-z]* ~",
        "x canary",
        "x/e canary",
        "x/e canary;",
        "%s%n%s\\n\\044(canary)%b\\n.\\n~!canary",
        "${IFS}canary${IFS}",
        "$f2bV_matches$f2bV_F_user$0${10}",
        "$((`canary`)) a[$(canary)]",
        "<F-USER><ip><matches>;canary",
        ">/run/c/made x >>/run/c/made",
        "$(touch /run/c/touched);`touch /run/c/touched`|touch /run/c/touched\ntouch /run/c/touched",
        "EOF\nEND\ncanary\n",
        "x)canary(",
        "){ canary; }; if then fi done esac",
        "#\ncanary #",
        "a\ne canary",
        "x$/;e canary;#",
        "\\",
        "<(canary) {canary,canary} !canary",
    ]
    .map(str::to_owned)
    .into();
    texts.push("$(canary);".repeat(6000));
    texts
}

/// Whatever is asked for, this.
#[derive(Default)]
struct Answers(Mutex<String>);

impl Facts for Answers {
    fn merged(&self, _: &FailId, _: bool) -> Option<Merged> {
        let matches = self.0.lock().unwrap().clone();
        Some(Merged {
            failures: 3,
            matches,
        })
    }

    fn host(&self, _: IpAddr) -> Option<String> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// Who is banned.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Who {
    /// A text that a stranger wrote.
    Text,
    /// An address, and the rest is a stranger's.
    Address,
    /// A text, with another as its address.
    Both,
}

fn ban(who: Who, text: &str, number: usize) -> Ban {
    let address = ["192.0.2.7", "2001:db8::7"][number % 2];
    let mut names = vec!["user", "fport", "host", "rhost", "mlfid", "x", "alt_user"];
    match who {
        Who::Address => {}
        Who::Text => names.push("fid"),
        Who::Both => names.extend(["fid", "ip", "ip4", "dns"]),
    }
    let captures = names
        .into_iter()
        .map(|name| (name.into(), text.to_owned().into()));
    Ban {
        id: match who {
            Who::Address => FailId::parse(address),
            Who::Text | Who::Both => FailId::Text(text.to_owned()),
        },
        time: Timestamp::from_secs(1_795_624_453),
        bantime: BanTime::For(600),
        count: 1,
        ticket: Ticket {
            failures: 3,
            matches: vec![Match::new("", "", text), Match::new(text, "Nov 26", text)],
            captures: captures.collect(),
        },
        restored: false,
    }
}

/// An action for each of these lines of `jail.conf`, with the files of `action.d` that the
/// package has and these.
fn load(lines: &[String], own: &[(&str, &str)]) -> Vec<ActionPlan> {
    let base = Path::new("/run/w/conf");
    fs::create_dir_all(base.join("filter.d")).unwrap();
    fs::create_dir_all(base.join("action.d")).unwrap();
    for entry in fs::read_dir(STOCK).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), base.join("action.d").join(entry.file_name())).unwrap();
    }
    for (name, text) in own {
        fs::write(base.join("action.d").join(name), text).unwrap();
    }
    fs::write(
        base.join("filter.d/f.conf"),
        "[Definition]\nfailregex = <HOST>\n",
    )
    .unwrap();
    let mut jails = String::from("[DEFAULT]\nenabled = true\nfilter = f\nlogpath = /run/w/log\n");
    for (number, line) in lines.iter().enumerate() {
        write!(jails, "[j{number}]\naction = {line}\n").unwrap();
    }
    fs::write(base.join("jail.conf"), jails).unwrap();
    fs::write("/run/w/log", "192.0.2.7 '$(canary)';canary;`canary`\n").unwrap();
    let (settings, problems) = load::folder(base, &[]).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let plans: Vec<ActionPlan> = settings
        .setup
        .plans()
        .flat_map(|plan| plan.actions)
        .collect();
    assert_eq!(plans.len(), lines.len());
    plans
}

/// What happened that must not: the action, who was banned, and the text.
type Song = (String, Who, String);

/// Whether the canary sang, or the egg in its nest is gone. Then there are new ones.
fn has_sung() -> bool {
    let sung = fs::read_dir(CANARY).unwrap().count() > 0 || !Path::new(EGG).exists();
    if sung {
        fs::remove_dir_all(CANARY).unwrap();
        fs::create_dir(CANARY).unwrap();
        fs::write(EGG, "").unwrap();
    }
    sung
}

/// Bans and unbans with an action, and listens.
fn listen(plan: &ActionPlan, log: &Log) -> BTreeSet<Song> {
    let jail: JailName = "j".parse().unwrap();
    let facts = Arc::new(Answers::default());
    let mut options = plan.options.clone();
    options.insert("timeout".into(), "2".into());
    let (name, told) = (plan.name.clone(), Arc::clone(&facts));
    let mut shell = Shell::new(jail, name, options, log.clone(), told);
    let mut songs = BTreeSet::new();
    let mut listen_for = |who: Who, text: &str| {
        if has_sung() {
            let start = text.chars().take(80).collect();
            songs.insert((plan.name.clone(), who, start));
        }
    };
    // That a command fails is its own affair: half of the programs are not there.
    shell.start().ok();
    for (number, text) in hostile().iter().enumerate() {
        text.clone_into(&mut facts.0.lock().unwrap());
        fs::write("/run/w/answer", text).unwrap();
        let whose: &[Who] = match number % 2 {
            // A filter captures no more than this of what may be banned.
            _ if text.len() > 4096 => &[Who::Address],
            0 => &[Who::Text, Who::Address],
            _ => &[Who::Text, Who::Both],
        };
        for who in whose {
            let ban = ban(*who, text, number);
            shell.ban(&ban).ok();
            shell.unban(&ban).ok();
            listen_for(*who, text);
        }
    }
    shell.consistency_check(Occasion::Ban).ok();
    shell.flush().ok();
    shell.reload().ok();
    shell.stop().ok();
    listen_for(Who::Address, "the end");
    songs
}

fn log() -> Log {
    let target = Target::File("/run/w/f2b.log".into());
    Log::open(&target, Level::Info).unwrap()
}

/// The actions of the package, with options for what they write to.
fn stock() -> Vec<String> {
    let names = fs::read_dir(STOCK).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".conf").map(str::to_owned)
    });
    let mut names: Vec<String> = names.flatten().collect();
    // These are parts of others, and have no commands.
    names.retain(|name| !name.ends_with("-common"));
    names.sort();
    let options = "file=/run/w/hosts.deny, srv_cfg_path=/run/w/, logpath=/run/w/log, \
                   nsupdatecmd=nsupdate, startstatefile=/run/w/state, debug=0, \
                   kill-mode=ss, application=x, dest=root, getcmd=whois";
    names
        .into_iter()
        .map(|name| format!("{name}[{options}]"))
        .collect()
}

/// Stock actions that are not safe when a text is banned, with the original neither: it
/// runs the same commands. `docs/threats.md` tells of them.
const UNSAFE: [(&str, &str); 2] = [
    (
        "hostsdeny",
        "what is banned is part of a program for sed, which can run commands",
    ),
    (
        "symbiosis-blacklist-allports",
        "rm is given it without quotes, and a shell expands it",
    ),
];

#[test]
fn no_stock_action_executes_what_a_stranger_wrote() {
    in_place(|| {
        let mut lines = stock();
        assert!(lines.len() > 50, "{}", lines.len());
        lines.extend(OURS.map(|(file, _)| {
            let name = file.trim_end_matches(".conf");
            format!("{name}[file=/run/w/hosts.deny, whoiscmd=whois]")
        }));
        let plans = load(&lines, &OURS);
        let log = log();
        let songs = plans.iter().flat_map(|plan| listen(plan, &log));
        let is_known = |(action, who, _): &Song| {
            *who != Who::Address && UNSAFE.iter().any(|(known, _)| known == action)
        };
        let songs: Vec<Song> = songs.filter(|song| !is_known(song)).collect();
        assert!(songs.is_empty(), "{songs:#?}");

        // They were run, and the texts came to where they were meant for.
        let ran = fs::read("/run/w/ran").unwrap();
        let ran = String::from_utf8_lossy(&ran);
        for program in [
            "iptables",
            "ip6tables",
            "nft",
            "ipset",
            "ufw",
            "sendmail",
            "mail",
            "curl",
        ] {
            assert!(
                ran.contains(&format!("\n{program} [")),
                "{program} was not run"
            );
        }
        for text in ["[comment=$(canary)", "[ip=;canary;]", "[{] [$(canary)] [}]"] {
            assert!(ran.contains(text), "{text}");
        }
    });
}

/// An action that has a tag wherever a careful author may write it.
fn everywhere() -> String {
    let tags = [
        "ip",
        "fid",
        "ip-rev",
        "ip-host",
        "family",
        "matches",
        "ipmatches",
        "ipjailmatches",
        "raw-ticket",
        "F-*",
        "F-ID",
        "F-PORT",
        "F-USER",
        "F-ALT_USER",
        "F-HOST",
        "F-RHOST",
        "F-MLFID",
        "F-X",
        "F-IP",
        "F-IP4",
        "F-DNS",
        "F-MATCHES",
        "F-NOPE",
    ];
    let mut text = String::from("[Definition]\nactionban = printf x");
    for tag in tags {
        let tag = format!("<{tag}>");
        write!(
            text,
            "\n  printf '%%s|' \"{tag}\" '{tag}' {tag} \"$(printf '%%s' \"{tag}\")\" >> /run/w/every\
             \n  every={tag}\n  every=x{tag}\n  test \"{tag}\" = x || true {tag} `printf %%s {tag}`\
             \n  cat >> /run/w/every <<END\n  {tag}\n  END"
        )
        .unwrap();
    }
    text
}

#[test]
fn no_tag_executes_what_a_stranger_wrote_wherever_it_stands() {
    in_place(|| {
        let plans = load(
            &["everywhere".to_owned()],
            &[("everywhere.conf", &everywhere())],
        );
        let log = log();
        let songs = listen(&plans[0], &log);
        assert!(songs.is_empty(), "{songs:#?}");
        log.flush();
        assert_eq!(fs::read_to_string("/run/w/f2b.log").unwrap(), "");
        let every = String::from_utf8(fs::read("/run/w/every").unwrap()).unwrap();
        for text in hostile() {
            assert!(every.contains(&format!("{text}|")), "{text:?}");
        }
    });
}

/// The others find nothing because there is nothing: these actions ask for it.
#[test]
fn an_action_that_has_a_text_read_as_commands_executes_it() {
    in_place(|| {
        let careless = [
            ("a.conf", "eval \"echo <F-USER>\""),
            ("b.conf", "sh -c \"echo <F-USER>\""),
            ("c.conf", "echo \"<matches>\" | sh"),
            ("d.conf", "sh -c \"echo <ip>\""),
            ("e.conf", "<F-X>"),
            ("f.conf", "rm -f /run/nowhere/<ip>"),
        ];
        let texts = careless.map(|(_, ban)| format!("[Definition]\nactionban = {ban}\n"));
        let own = careless.iter().zip(&texts);
        let own: Vec<(&str, &str)> = own.map(|((name, _), text)| (*name, &**text)).collect();
        let lines = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let log = log();
        for plan in load(&lines, &own) {
            let songs = listen(&plan, &log);
            assert!(!songs.is_empty(), "{plan:?}");
        }
    });
}
