//! A machine that can be set up: its own `/etc`, `/usr` and `/var`, over the real ones.
//!
//! Whatever is written there stays in memory and in the world. Our programs stand where
//! fail2ban's do, and so do programs that Debian would not install beside others:
//! `.ci/run` unpacks them into `tools` in the target folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::child::{Done, Running, command, must, run};
use crate::support::wait::{SOON, eventually, until};
use crate::support::world::{World, in_world_of, skip, test_name};

/// The places of a server that nobody told otherwise.
pub(crate) const LOG: &str = "/var/log/fail2ban.log";
pub(crate) const SOCKET: &str = "/run/fail2ban/fail2ban.sock";
const PIDFILE: &str = "/run/fail2ban/fail2ban.pid";
const JAILS: &str = "/etc/fail2ban/jail.conf";

/// What the tests need besides what all worlds need, each with its Debian package.
const PROGRAMS: [(&str, &str); 8] = [
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/dma", "dma, unpacked by .ci/run"),
    ("/usr/bin/mail.mailutils", "mailutils, unpacked by .ci/run"),
    ("/usr/bin/whois", "whois"),
    ("/usr/bin/logger", "bsdutils"),
    ("/etc/services", "netbase"),
    ("/usr/sbin/syslog-ng", "syslog-ng-core, unpacked by .ci/run"),
    ("/usr/sbin/openrc-run", "openrc, unpacked by .ci/run"),
];

/// Our programs, by the names that the guide knows.
const OURS: [(&str, &str); 4] = [
    ("fail2ban", env!("CARGO_BIN_EXE_fail2ban")),
    ("fail2ban-client", env!("CARGO_BIN_EXE_fail2ban-client")),
    ("fail2ban-server", env!("CARGO_BIN_EXE_fail2ban-server")),
    ("ferroban", env!("CARGO_BIN_EXE_ferroban")),
];

/// Lays folders in memory over the real ones. `/var/log` stays the world's.
const SET_UP: &str = r#"
mkdir -p /run/machine
mount -t tmpfs -o mode=755 tmpfs /run/machine
for folder in etc usr var; do
    mkdir -p /run/machine/$folder /run/machine/$folder.work
    below=/$folder
    if [ -d "$TOOLS/$folder" ] && [ $folder != var ]; then below=$TOOLS/$folder:/$folder; fi
    mount -t overlay -o "lowerdir=$below,upperdir=/run/machine/$folder,workdir=/run/machine/$folder.work" overlay /$folder
done
mount -t tmpfs -o mode=755 tmpfs /var/log
rm -rf /var/lib/fail2ban /etc/fail2ban/jail.d/*.conf
mkdir -p /var/lib/fail2ban

ln -sf mail.mailutils /usr/bin/mail
ln -sf dma /usr/sbin/sendmail
rm -f /etc/aliases /etc/mailutils.conf /etc/mail.rc /var/mail/root
mkdir -p /var/mail /var/spool/dma /etc/dma
hostname >/etc/mailname
echo 'MAILNAME /etc/mailname' >/etc/dma/dma.conf
: >/var/mail/root
chgrp mail /var/mail/root /var/spool/dma /usr/sbin/dma
chmod 2755 /usr/sbin/dma
chmod 660 /var/mail/root
chmod 2770 /var/spool/dma

if [ -d /sys/fs/cgroup ]; then mount -t tmpfs tmpfs /sys/fs/cgroup; fi
echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
echo 'hosts: files' >/etc/nsswitch.conf
"#;

/// A machine with a folder of configuration.
pub(crate) struct Machine<'a> {
    pub(crate) world: &'a World,
}

/// Where `.ci/run` unpacks what cannot be installed.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools")
}

/// Runs `body` on a machine of its own, with a fail2ban as Debian installs it.
pub(crate) fn on_machine<F: FnOnce(&Machine<'_>)>(body: F) {
    if let Some((program, package)) = PROGRAMS.iter().find(|(program, _)| !is_there(program)) {
        return skip(&format!("{program} is missing; install {package}"));
    }
    in_world_of(test_name::<F>(), |world| {
        must(
            command("/bin/sh")
                .args(["-eu", "-c", SET_UP])
                .env("TOOLS", tools()),
        );
        body(&Machine { world });
    });
}

fn is_there(program: &str) -> bool {
    let unpacked = tools().join(program.trim_start_matches('/'));
    Path::new(program).exists() || unpacked.exists()
}

impl Machine<'_> {
    /// Puts our programs in the place of fail2ban's.
    pub(crate) fn install(&self) {
        for (name, program) in OURS {
            let place = Path::new("/usr/bin").join(name);
            drop(fs::remove_file(&place));
            symlink(program, place).unwrap();
        }
    }

    /// Takes our stock configuration in place of Debian's.
    pub(crate) fn take_stock(&self) {
        fs::remove_dir_all("/etc/fail2ban").unwrap();
        let stock = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
        must(command("cp").args(["-r", stock, "/etc/fail2ban"]));
    }

    /// Writes `jail.conf`.
    pub(crate) fn write_jails(&self, text: &str) {
        fs::write(JAILS, text).unwrap();
    }

    /// Changes `jail.conf`, where `old` stands once in a section.
    pub(crate) fn edit(&self, section: &str, old: &str, new: &str) {
        let text = fs::read_to_string(JAILS).unwrap();
        let header = format!("[{section}]\n");
        let (before, rest) = text.split_once(&header).unwrap();
        let end = rest.find("\n[").map_or(rest.len(), |at| at + 1);
        let (own, after) = rest.split_at(end);
        assert_eq!(own.matches(old).count(), 1, "[{section}] {old}");
        let own = own.replace(old, new);
        self.write_jails(&format!("{before}{header}{own}{after}"));
    }

    /// Starts the server by the guide's command and waits until it is ready. What it said.
    pub(crate) fn start(&self) -> Done {
        let done = run(command("/usr/bin/fail2ban").args(["-b", "-v"]));
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(done.stdout, "Server ready\n", "{}", done.stderr);
        done
    }

    /// Stops it.
    pub(crate) fn stop(&self) {
        assert_eq!(self.ask(&["stop"]), "Shutdown successful");
        until(SOON, "the server is gone", || !Path::new(PIDFILE).exists());
    }

    /// Ends it as a crash does. Returns when nothing of it runs.
    pub(crate) fn crash(&self) {
        let pid: i32 = fs::read_to_string(PIDFILE).unwrap().trim().parse().unwrap();
        let name = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(name().contains("(fail2ban-server)"), "{}", name());
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        // It is a child of the world's first process, which does not wait for it.
        until(SOON, "it is dead", || {
            name().is_empty() || name().contains(") Z ")
        });
        assert!(Path::new(SOCKET).exists(), "a crash leaves the socket");
    }

    /// Asks the server, and insists on an answer.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let done = self.client(words);
        assert_eq!(done.code, Some(0), "{words:?}: {done:?}");
        done.stdout.trim_end_matches('\n').to_owned()
    }

    /// Asks the server.
    pub(crate) fn client(&self, words: &[&str]) -> Done {
        run(command("/usr/bin/fail2ban-client").args(words))
    }

    /// Whether a jail has banned somebody.
    pub(crate) fn has_banned(&self, jail: &str, ip: &str) -> bool {
        let list = self.ask(&["get", jail, "banip", " "]);
        list.split_whitespace().any(|banned| banned == ip)
    }

    /// Waits for a line of the log that ends so, and returns its text up to there.
    pub(crate) fn must_tell(&self, end: &str) {
        until(SOON, end, || log().lines().any(|line| line.ends_with(end)));
    }
}

/// The server's log.
pub(crate) fn log() -> String {
    read(LOG)
}

/// A file; empty if it is not there.
pub(crate) fn read(path: &str) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a line as a program does, by `/dev/log`.
pub(crate) fn say(facility: &str, tag: &str, text: &str) {
    must(command("logger").args(["-p", facility, "-t", tag, text]));
}

/// `iptables --list`.
pub(crate) fn listed() -> String {
    must(command("/usr/sbin/iptables").arg("--list"))
}

/// The rules of a chain in `iptables --list`, with one blank between columns. Waits until
/// it is there.
pub(crate) fn chain(name: &str) -> Vec<String> {
    eventually(SOON, name, || chain_in(&listed(), name))
}

fn chain_in(list: &str, name: &str) -> Option<Vec<String>> {
    let header = format!("Chain {name} (");
    let mut lines = list.lines().skip_while(|line| !line.starts_with(&header));
    lines.next()?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    // The next line has the names of the columns.
    let rules = lines.skip(1).take_while(|line| !line.is_empty());
    Some(rules.map(words).collect())
}

/// The rule for an address in a chain, and the one at its end.
pub(crate) fn rejected(ip: &str) -> String {
    format!("REJECT all -- {ip} anywhere reject-with icmp-port-unreachable")
}
pub(crate) const RETURN: &str = "RETURN all -- anywhere anywhere";

/// A program that was started, for as long as it is kept.
pub(crate) type Daemon = Running;
