//! Five hundred clients of every bad kind at the control socket of a real daemon.
//!
//! Meanwhile others must be answered and bans must go on, and the daemon's memory and
//! threads stay within bounds. It needs neither root nor a world of its own: the daemon
//! leaves the firewall alone, and keeps its files in a folder that vanishes.

#[cfg(test)]
mod support {
    #[expect(dead_code, reason = "the end-to-end tests need more of it")]
    pub(crate) mod child;
    pub(crate) mod wait;
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::{self, Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use ferroban::wire::frame::{self, END, Frame, Frames};
    use ferroban::wire::{Value, dumps, loads, text};
    use jiff::ZonedDateTime;
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    use tempfile::TempDir;

    use crate::support::child::{Running, command};
    use crate::support::wait::{SOON, until};

    const FERROBAN: &str = env!("CARGO_BIN_EXE_ferroban");

    /// How many clients of one kind there are at once.
    const CROWD: usize = 500;

    /// What the daemon may come to, in megabytes. Without bounds it would be the 8 GB
    /// of 500 requests up to the limit.
    const MEMORY: usize = 160;

    /// A daemon with one jail on one file; the first failure bans.
    struct Daemon {
        running: Running,
        folder: TempDir,
        attackers: u32,
    }

    impl Drop for Daemon {
        fn drop(&mut self) {
            if thread::panicking() {
                let log = self.log();
                let short = |line: &str| line.chars().take(200).collect::<String>();
                for line in log.lines().rev().take(30).map(short) {
                    eprintln!("{line}");
                }
            }
        }
    }

    impl Daemon {
        fn start() -> Self {
            Self::start_by(command(FERROBAN))
        }

        /// Starts it through another program, which is given its words.
        fn start_by(mut command: Command) -> Self {
            let folder = TempDir::new().unwrap();
            let path = |name: &str| folder.path().join(name);
            fs::write(path("auth.log"), "").unwrap();
            command.args(["guard", "--dry-run", "--loglevel", "INFO"]);
            for (option, file) in [
                ("--socket", "sock"),
                ("--pidfile", "pid"),
                ("--database", "bans"),
                ("--logtarget", "log"),
                ("--watch", "auth.log"),
            ] {
                command.arg(option).arg(path(file));
            }
            command.args(["--set", "sshd.maxretry=1", "--set", "sshd.bantime=1h"]);
            let running = Running::start(command.current_dir(folder.path()));
            let mut daemon = Self {
                running,
                folder,
                attackers: 0,
            };
            until(SOON, "the jail starts", || {
                assert!(daemon.running.runs(), "{}", daemon.running.said());
                daemon.log().contains("Jail 'sshd' started")
            });
            daemon
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn log(&self) -> String {
            fs::read_to_string(self.path("log")).unwrap_or_default()
        }

        /// An honest client's question, and the answer as Python would print it.
        fn ask(&self, words: &[&str]) -> String {
            let mut client = connect(&self.path("sock"));
            client.write_all(&request(words)).unwrap();
            hear(&mut client)
        }

        /// Has a new address fail, and waits for its ban.
        fn must_ban(&mut self) {
            self.attackers += 1;
            let number = self.attackers;
            let address = format!("198.18.{}.{}", number / 250, number % 250 + 1);
            let time = ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.6f%:z");
            let line = format!(
                "{time} host sshd[{number}]: Failed password for root from {address} port 4 ssh2\n"
            );
            let mut log = OpenOptions::new()
                .append(true)
                .open(self.path("auth.log"))
                .unwrap();
            log.write_all(line.as_bytes()).unwrap();
            until(SOON, "the ban", || {
                self.ask(&["status", "sshd"]).contains(&address)
            });
        }

        /// A request as long as the configuration of ninety jails. The daemon does not
        /// know it; what counts is that it has heard it all.
        fn must_take_a_large_request(&self) {
            let long = "x".repeat(600_000);
            let answer = self.ask(&["nonsense", &long]);
            assert_eq!(answer, "(1, Exception('Invalid command'))");
        }

        /// A figure of the kernel about its process.
        fn figure(&self, name: &str) -> usize {
            let status = fs::read_to_string(format!("/proc/{}/status", self.running.id())).unwrap();
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        }

        fn threads(&self) -> usize {
            self.figure("Threads:")
        }

        /// The most memory it has had, in megabytes.
        fn peak(&self) -> usize {
            self.figure("VmHWM:") / 1000
        }

        fn may_open(&self, descriptors: u64) {
            let limit = Rlimit {
                current: Some(descriptors),
                maximum: Some(20_000),
            };
            let pid = Pid::from_raw(i32::try_from(self.running.id()).unwrap());
            prlimit(pid, Resource::Nofile, limit).unwrap();
        }
    }

    fn connect(socket: &Path) -> UnixStream {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream
    }

    fn request(words: &[&str]) -> Vec<u8> {
        frame::marked(dumps(&Value::strings(words.iter().copied()))).unwrap()
    }

    fn hear(client: &mut UnixStream) -> String {
        match Frames::default().read(client).unwrap() {
            Some(Frame::Message(reply)) => text::repr(&loads(&reply).unwrap()),
            other => panic!("no reply: {other:?}"),
        }
    }

    const PONG: &str = "(0, 'pong')";

    /// A client that means no good, or knows no better.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kind {
        /// Says nothing.
        Silent,
        /// Sends a request byte by byte, and the next.
        Drop,
        /// Sends half a request.
        Half,
        /// The same, of a large one.
        LargeHalf,
        /// Sends a request of 100 MB.
        Endless,
        /// Sends random bytes, some of them with end markers.
        Random,
        /// Asks and asks, and never reads.
        Deaf,
        /// Asks and has gone away.
        Vanishing,
    }

    const KINDS: [Kind; 8] = [
        Kind::Silent,
        Kind::Drop,
        Kind::Half,
        Kind::LargeHalf,
        Kind::Endless,
        Kind::Random,
        Kind::Deaf,
        Kind::Vanishing,
    ];

    struct Client {
        kind: Kind,
        /// None after it was hung up on.
        stream: Option<UnixStream>,
        sent: usize,
        seed: u64,
    }

    impl Client {
        fn new(socket: &Path, kind: Kind, seed: u64) -> Self {
            let mut client = Self {
                kind,
                stream: None,
                sent: 0,
                seed,
            };
            client.come(socket);
            client
        }

        fn come(&mut self, socket: &Path) {
            let stream = connect(socket);
            stream.set_nonblocking(true).unwrap();
            (self.stream, self.sent) = (Some(stream), 0);
        }

        /// Does a little more harm.
        fn go_on(&mut self, socket: &Path) {
            let ping = request(&["ping"]);
            match self.kind {
                Kind::Silent => {}
                Kind::Drop => {
                    let place = self.sent % ping.len();
                    self.send(&ping[place..=place]);
                    self.read();
                }
                Kind::Half if self.sent == 0 => self.send(&ping[..ping.len() / 2]),
                Kind::LargeHalf if self.sent < 100_000 => self.send(&[b'x'; 50_000]),
                Kind::Half | Kind::LargeHalf => {}
                Kind::Endless if self.sent < 100 << 20 => self.send(&[b'x'; 1 << 16]),
                Kind::Endless => {}
                Kind::Random => {
                    let bytes = self.random();
                    self.send(&bytes);
                    self.read();
                    if self.stream.is_none() {
                        self.come(socket);
                    }
                }
                Kind::Deaf => self.send(&request(&["status", "sshd"])),
                Kind::Vanishing => {
                    self.send(&ping);
                    self.come(socket);
                }
            }
        }

        fn send(&mut self, bytes: &[u8]) {
            let Some(stream) = &mut self.stream else {
                return;
            };
            match stream.write(bytes) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.stream = None,
            }
        }

        fn read(&mut self) {
            let Some(stream) = &mut self.stream else {
                return;
            };
            if stream.read(&mut [0; 4096]).is_ok_and(|count| count == 0) {
                self.stream = None;
            }
        }

        /// xorshift
        fn random(&mut self) -> Vec<u8> {
            let mut bytes: Vec<u8> = (0..64)
                .flat_map(|_| {
                    self.seed ^= self.seed << 13;
                    self.seed ^= self.seed >> 7;
                    self.seed ^= self.seed << 17;
                    self.seed.to_le_bytes()
                })
                .collect();
            if self.seed.is_multiple_of(4) {
                bytes.extend_from_slice(END);
            }
            bytes
        }
    }

    /// Runs `meanwhile` while a crowd of clients does what it does.
    fn beset(
        daemon: &mut Daemon,
        kinds: &[Kind],
        size: usize,
        meanwhile: impl FnOnce(&mut Daemon),
    ) {
        let socket = daemon.path("sock");
        let stop = Stop(AtomicBool::new(false));
        thread::scope(|scope| {
            let crowd = scope.spawn(|| {
                let kinds = kinds.iter().cycle().take(size);
                let mut clients: Vec<Client> = kinds
                    .zip(1..)
                    .map(|(kind, seed)| Client::new(&socket, *kind, seed))
                    .collect();
                while !stop.0.load(Ordering::Relaxed) {
                    for client in &mut clients {
                        client.go_on(&socket);
                    }
                    // Those who rest between two tries leave others a processor.
                    thread::park_timeout(Duration::from_millis(1));
                }
            });
            // Also when an assertion fails: the crowd would go on for ever.
            let stopped = StopAtEnd(&stop);
            meanwhile(daemon);
            drop(stopped);
            crowd.join().unwrap();
        });
    }

    struct Stop(AtomicBool);
    struct StopAtEnd<'a>(&'a Stop);

    impl Drop for StopAtEnd<'_> {
        fn drop(&mut self) {
            self.0.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn five_hundred_of_any_kind_keep_nobody_from_being_answered_or_banned() {
        let mut daemon = Daemon::start();
        daemon.must_ban();
        let threads = daemon.threads();
        for kind in KINDS {
            beset(&mut daemon, &[kind], CROWD, |daemon| {
                for _ in 0..2 {
                    daemon.must_ban();
                    assert_eq!(daemon.ask(&["ping"]), PONG, "among {kind:?} clients");
                }
                daemon.must_take_a_large_request();
            });
            let peak = daemon.peak();
            assert!(peak < MEMORY, "{peak} MB after {kind:?} clients");
        }
        until(SOON, "the threads have ended", || {
            daemon.threads() <= threads
        });
        for about in ["connection of process", "load message failed"] {
            let told = daemon.log().matches(about).count();
            assert_eq!(told, 19, "lines about {about}");
        }
    }

    /// The shell gives the daemon places for fifty clients.
    fn daemon_with_fifty_places() -> Daemon {
        let mut shell = command("sh");
        shell.args(["-c", "ulimit -n 100 && exec \"$0\" \"$@\"", FERROBAN]);
        Daemon::start_by(shell)
    }

    #[test]
    fn more_clients_than_places_of_all_kinds_at_once_keep_nobody_out() {
        let mut daemon = daemon_with_fifty_places();
        let threads = daemon.threads();
        beset(&mut daemon, &KINDS, CROWD, |daemon| {
            daemon.must_ban();
            let mut polite: Vec<UnixStream> =
                (0..100).map(|_| connect(&daemon.path("sock"))).collect();
            for client in &mut polite {
                client.write_all(&request(&["ping"])).unwrap();
                assert_eq!(hear(client), PONG);
            }
            daemon.must_take_a_large_request();
            let open = fs::read_dir(format!("/proc/{}/fd", daemon.running.id())).unwrap();
            assert!(open.count() < 100);
        });
        until(SOON, "the threads have ended", || {
            daemon.threads() <= threads
        });
        let peak = daemon.peak();
        assert!(peak < MEMORY, "{peak} MB");
    }

    /// Whoever waits by order takes no thread from others.
    #[test]
    fn five_hundred_sleepers_keep_nobody_awake() {
        let mut daemon = Daemon::start();
        let threads = daemon.threads();
        let sleepers: Vec<UnixStream> = (0..CROWD)
            .map(|_| {
                let mut client = connect(&daemon.path("sock"));
                client.write_all(&request(&["sleep", "3000"])).unwrap();
                client
            })
            .collect();
        daemon.must_ban();
        assert_eq!(daemon.ask(&["sleep", "0.01"]), "(0, None)");
        until(SOON, "no thread sleeps", || daemon.threads() <= threads);
        drop(sleepers);
    }

    #[test]
    fn want_of_descriptors_is_told_a_few_times_and_ends_nothing() {
        let daemon = Daemon::start();
        // None is left, not for the first of these either.
        daemon.may_open(4);
        let mut clients: Vec<UnixStream> =
            (0..CROWD).map(|_| connect(&daemon.path("sock"))).collect();
        for client in &mut clients {
            client.write_all(&request(&["ping"])).unwrap();
        }
        until(SOON, "it is told", || {
            daemon
                .log()
                .contains("Too many acceptor errors - stop logging errors")
        });
        assert_eq!(daemon.log().matches("Accept socket error").count(), 19);
        daemon.may_open(1000);
        for client in &mut clients {
            assert_eq!(hear(client), PONG);
        }
    }

    /// Opens a socket as systemd does, and leaves it to the daemon as the second of two.
    const ACTIVATE: &str = "
import fcntl, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind('activated')
listener.listen()
high = fcntl.fcntl(listener, fcntl.F_DUPFD, 10)
os.dup2(high, 3)
os.dup2(high, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='other:fail2ban')
os.close(high)
os.execv(sys.argv[1], sys.argv[1:])
";

    #[test]
    fn a_socket_of_systemds_is_served_and_left_as_it_is() {
        let mut python = command("/usr/bin/python3");
        python.args(["-c", ACTIVATE, FERROBAN]);
        let daemon = Daemon::start_by(python);
        let socket = daemon.path("activated");
        let told = "INFO    Using socket activation, inherited socket 'activated'";
        assert!(daemon.log().contains(told));
        assert!(!daemon.path("sock").exists());
        let mut client = connect(&socket);
        client.write_all(&request(&["ping"])).unwrap();
        assert_eq!(hear(&mut client), PONG);
        client.write_all(&request(&["stop"])).unwrap();
        assert_eq!(hear(&mut client), "(0, None)");
        until(SOON, "the end", || !daemon.path("pid").exists());
        assert!(socket.exists(), "it is not ours to remove");
    }

    #[test]
    fn nobody_but_its_owner_may_open_the_socket() {
        let daemon = Daemon::start();
        for (file, mode) in [("sock", 0o700), ("pid", 0o600), ("log", 0o600)] {
            let found = fs::metadata(daemon.path(file)).unwrap().permissions();
            assert_eq!(found.mode() & 0o777, mode, "{file}");
        }
    }
}
