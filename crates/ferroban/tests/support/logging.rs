//! Real log daemons on a private `/dev/log`, and lines written by hand.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use jiff::ZonedDateTime;

use super::child::{Running, command};
use super::wait::{SOON, until};
use super::world::{DIR, World};

/// The file rsyslogd writes to.
pub(crate) const AUTH_LOG: &str = "/var/log/auth.log";

/// As Debian sets rsyslog up, less what does not concern logins.
const RSYSLOG: &str = r#"
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
auth,authpriv.* action(type="omfile" file="/var/log/auth.log" template="RSYSLOG_TraditionalFileFormat")
"#;

/// Ubuntu's default: equal lines in a row become one that counts them.
const RSYSLOG_REDUCING: &str = "$RepeatedMsgReduction on\n";

/// Keeps the journal in the world's own `/run`, and out of the kernel's log.
const JOURNALD: &str = "
[Journal]
Storage=volatile
ReadKMsg=no
Audit=no
RateLimitBurst=0
";

/// Starts rsyslogd, which writes [`AUTH_LOG`].
pub(crate) fn rsyslog(world: &World) -> Running {
    start_rsyslog(world, RSYSLOG)
}

/// Starts an rsyslogd that says `message repeated 3 times: [ … ]`.
pub(crate) fn reducing_rsyslog(world: &World) -> Running {
    start_rsyslog(world, &format!("{RSYSLOG_REDUCING}{RSYSLOG}"))
}

fn start_rsyslog(world: &World, configuration: &str) -> Running {
    let file = world.write("rsyslog.conf", configuration);
    fs::write(AUTH_LOG, "").expect("the world's /var/log is writable");
    let running = Running::start(
        command("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(file)
            .args(["-i", "NONE"]),
    );
    until(SOON, "rsyslogd listens", || Path::new("/dev/log").exists());
    running
}

/// Starts journald, which keeps its files below `/run/log/journal`.
pub(crate) fn journald() -> Running {
    let folder = "/run/systemd/journald.conf.d";
    fs::create_dir_all(folder).expect("the world's /run is writable");
    fs::write(format!("{folder}/e2e.conf"), JOURNALD).expect("the world's /run is writable");
    let running = Running::start(&mut command("/lib/systemd/systemd-journald"));
    let socket = "/run/systemd/journal/dev-log";
    until(SOON, "journald listens", || Path::new(socket).exists());
    symlink(socket, "/dev/log").expect("the world's /dev is writable");
    running
}

/// What sshd writes about a wrong password, in the format with the precise time.
/// A process id of its own makes it a connection of its own.
pub(crate) fn wrong_password(process: u32, user: &str, ip: &str) -> String {
    let time = ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.6f%:z");
    format!("{time} srv sshd[{process}]: Failed password for {user} from {ip} port 40000 ssh2\n")
}

/// Adds to a log, as a log daemon does.
pub(crate) fn append(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_ref()))
        .expect("the world's logs are writable");
}

/// An empty log in the world's folder.
pub(crate) fn empty_log(world: &World) -> String {
    world.write("auth.log", "");
    format!("{DIR}/auth.log")
}
