//! The world a test lives in: own network, processes, `/run`, `/dev` and `/var/log`.
//!
//! The test runs twice. From outside, [`in_world`] starts the test binary once more,
//! for this one test, as the first process of new mount, network and process
//! namespaces; there, the test itself runs. When that process ends, however it ends,
//! the kernel ends all others in the world and takes its networks and mounts away:
//! nothing is left behind, not even when a test is killed.
//!
//! Inside, the test stands in the server's network. The attacker's is a second
//! namespace, `client`, at the other end of a cable (veth).

use std::any::type_name;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::child::{Running, command, must, run};

/// Where a test keeps its files; in memory, and part of the world.
pub(crate) const DIR: &str = "/run/e2e";

/// Addresses of the two ends of the cable, and how many the client has.
pub(crate) const SERVER4: &str = "192.0.2.1";
pub(crate) const SERVER6: &str = "2001:db8::1";
/// The client's own addresses are the last byte from here up.
pub(crate) const CLIENT_FIRST: u8 = 2;
const CLIENT_LAST: u8 = 40;

/// Set for the copy of the test binary that runs inside.
const INSIDE: &str = "FERROBAN_E2E_INSIDE";

/// No test takes longer; one that hangs ends here.
const LIMIT: Duration = Duration::from_secs(90);

/// What must be installed, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 11] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/sbin/rsyslogd", "rsyslog"),
    ("/lib/systemd/systemd-journald", "systemd"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/bin/ip", "iproute2"),
    ("/usr/bin/fail2ban-client", "fail2ban"),
    ("/usr/bin/fail2ban-server", "fail2ban"),
];

/// Makes the world. `/dev` is built anew because the machine's is one for all mount
/// namespaces: a `/dev/log` made in it would show outside.
const SET_UP: &str = r"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/e2e/dev /run/sshd /run/lock /run/netns /run/systemd/journal
mount -t tmpfs -o mode=755 tmpfs /run/e2e/dev
cd /run/e2e/dev
for node in null zero full random urandom tty; do
    : >$node
    mount --bind /dev/$node $node
done
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts pts
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
mount --rbind . /dev
mount -t tmpfs -o mode=755 tmpfs /var/log

ip link set lo up
ip netns add client
ip link add server type veth peer name client netns client
ip address add 192.0.2.1/24 dev server
ip address add 2001:db8::1/64 dev server nodad
ip link set server up
ip -n client link set lo up
for last in $(seq $FIRST $LAST); do
    ip -n client address add 192.0.2.$last/24 dev client
    ip -n client address add 2001:db8::$last/64 dev client nodad
done
ip -n client link set client up
";

/// A world that stands. Only the process inside has one.
pub(crate) struct World(());

impl World {
    fn set_up() -> Self {
        must(
            command("/bin/sh")
                .args(["-eu", "-c", SET_UP])
                .env("FIRST", CLIENT_FIRST.to_string())
                .env("LAST", CLIENT_LAST.to_string()),
        );
        Self(())
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(DIR).join(name)
    }

    /// Writes a file into the test's own folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("the world's folder is in memory and writable");
        path
    }

    /// A program that is to run in the client's network.
    pub(crate) fn at_client(&self, program: &str) -> Command {
        let mut command = command("nsenter");
        command.args(["--net=/run/netns/client", program]);
        command
    }
}

impl Drop for World {
    /// Shows what the programs wrote when the test has failed.
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for path in [
            "/var/log/auth.log",
            "/run/e2e/ferroban.log",
            "/run/e2e/original.log",
            "/var/log/fail2ban.log",
            "/var/log/maillog",
        ] {
            let Ok(bytes) = fs::read(path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let start = lines.len().saturating_sub(60);
            eprintln!("---- {path}");
            for line in lines.iter().skip(start) {
                eprintln!("{}", line.chars().take(300).collect::<String>());
            }
        }
    }
}

/// Runs `body`, the whole of one test, in a world of its own.
///
/// Without the rights or the programs for it, says so and does nothing; where the
/// variable `CI` is set that is a failure, so that no run of the tests is empty.
pub(crate) fn in_world<F: FnOnce(&World)>(body: F) {
    in_world_of(test_name::<F>(), body);
}

/// The same for a body that is not the test's own closure.
pub(crate) fn in_world_of(name: &str, body: impl FnOnce(&World)) {
    if env::var_os(INSIDE).is_some() {
        return body(&World::set_up());
    }
    if let Some(reason) = obstacle() {
        return skip(&reason);
    }
    let itself = env::current_exe().expect("a test binary knows its own path");
    let done = Running::start(
        enter(&mut command("setpriv"))
            .arg(itself)
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            // The line that panicked says enough; the stack is that of the harness.
            .env("RUST_BACKTRACE", "0"),
    )
    .finish(LIMIT);
    // Counting the test guards against a name that fits none: nothing would run, and pass.
    let passed = done.code == Some(0) && done.stdout.contains("1 passed");
    assert!(
        passed,
        "inside the world:\n{}\n{}",
        done.stdout, done.stderr
    );
}

/// The way in. When this process dies, `unshare` does, and with it the world.
fn enter(setpriv: &mut Command) -> &mut Command {
    setpriv.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
    ]);
    setpriv.args([
        "--mount-proc",
        "--kill-child=KILL",
        "--propagation",
        "private",
    ])
}

/// Why a world cannot be had here.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root, to make namespaces and run a real sshd".to_owned());
    }
    for (program, package) in PROGRAMS {
        if !Path::new(program).exists() {
            return Some(format!("{program} is missing; install {package}"));
        }
    }
    let done = run(enter(&mut command("setpriv")).arg("true"));
    (done.code != Some(0)).then(|| format!("no namespaces here: {}", done.stderr.trim_end()))
}

/// Past the capture of the test harness, which hides what a passing test says.
pub(crate) fn skip(reason: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "not skipped where CI is set: {reason}"
    );
    let line = format!("test with real programs skipped: {reason}\n");
    // A closed standard error takes nothing from a test that does not run.
    io::stderr().write_all(line.as_bytes()).ok();
}

/// `tests::some_test`, from the type of the closure that is its body:
/// `e2e::tests::some_test::{{closure}}`.
pub(crate) fn test_name<F>() -> &'static str {
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    name.split_once("::").map_or(name, |(_crate, path)| path)
}
