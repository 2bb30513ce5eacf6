"""The two programs under measurement, configured alike.

Each side has a folder of its own with its log, socket, pid file and database, so
that both write to the same disk, and one jail `sshd` on one log file.
"""

import contextlib
import os
import pathlib
import pickle
import select
import shutil
import socket
import subprocess
import tempfile
import time

END = b"<F2B_END_COMMAND>"
STARTED = b"Jail 'sshd' started"
FAIL2BAN = "/usr/bin/fail2ban-server"
FAIL2BAN_CLIENT = "/usr/bin/fail2ban-client"
SOON = 60


class Side:
    """One program: started, asked and stopped."""

    def __init__(self, folder, source="file", **options):
        self.folder = pathlib.Path(folder) / type(self).__name__.lower()
        self.folder.mkdir(parents=True)
        # In a folder of its own, as on a host: what else happens in a log's folder may wake a watcher.
        self.auth = self.folder / "logs" / "auth.log"
        self.auth.parent.mkdir()
        self.auth.touch()
        self.journal = self.folder / "journal"
        self.source = source
        self.log, self.socket = self.folder / "daemon.log", self.folder / "daemon.sock"
        self.database = self.folder / "bans.sqlite3"
        self.options = {"bantime": "10m", "findtime": "10m", "maxretry": 5, **options}
        self.process = None
        self.output = open(self.folder / "output", "wb")

    def launch(self):
        """Starts it, and does not wait."""
        self.log.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, cwd=self.folder
        )

    def start(self):
        """Starts it and returns when it answers and its jail is at work."""
        self.launch()
        end = time.monotonic() + SOON
        while not (self.answers() and self.has_started()):
            self.must_run(end)
            time.sleep(0.002)

    def must_run(self, end=None):
        if self.process.poll() is not None or (end and time.monotonic() > end):
            output = (self.folder / "output").read_text(errors="replace")
            log = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise RuntimeError(f"{self.name} is not at work:\n{output}\n{log}")

    def has_started(self):
        return self.log.exists() and STARTED in self.log.read_bytes()

    def answers(self):
        try:
            return "pong" in str(self.ask("ping"))
        except OSError:
            return False

    def ask(self, *words):
        """One command on the control socket, and its answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(600)
            client.connect(str(self.socket))
            client.sendall(pickle.dumps(list(words), 2) + END)
            received = bytearray()
            while not received.endswith(END):
                part = client.recv(1 << 16)
                if not part:
                    raise ConnectionError(f"{self.name} hung up")
                received += part
        # Only ever the answer of a program that this script started.
        return pickle.loads(received.removesuffix(END))[1]

    def failed(self):
        """How many failures the jail has counted."""
        filter_part = dict(self.ask("status", "sshd"))["Filter"]
        return dict(filter_part)["Total failed"]

    def stop(self):
        """Ends it by SIGTERM, and returns at the moment at which it is gone."""
        # `wait` with a limit looks only now and then, up to 50 ms late.
        end = os.pidfd_open(self.process.pid)
        self.process.terminate()
        gone = select.select([end], [], [], 600)[0]
        os.close(end)
        if not gone:
            raise TimeoutError(f"{self.name} does not end")
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self.output.close()

    def memory(self, *names):
        """Fields of the process's memory in MB: those of `status`, and `Pss`."""
        found = {}
        for file in ("status", "smaps_rollup"):
            for line in pathlib.Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines():
                words = line.split()
                if len(words) == 3 and words[2] == "kB":
                    found.setdefault(words[0].rstrip(":"), int(words[1]) * 1024 / 1e6)
        return [found[name] for name in names]

    def switches(self):
        """Voluntary context switches of all threads so far: how often one went to sleep."""
        total = 0
        for status in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            for line in status.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total

    def cpu(self):
        """CPU seconds so far, of it and of the programs it ran."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Ferroban(Side):
    name, table = "Ferroban", "ferroban"
    program = None

    def named(self, name):
        """Its program by another name, which makes it another one."""
        link = self.folder / name
        if not link.is_symlink():
            link.symlink_to(Ferroban.program)
        return str(link)

    def command(self):
        words = [self.program, "guard", "--socket", self.socket, "--pidfile", self.folder / "daemon.pid"]
        words += ["--database", self.database, "--logtarget", self.log, "--loglevel", "INFO"]
        words += ["--watch", self.auth if self.source == "file" else f"journal:{self.journal}"]
        for option, value in self.options.items():
            words += ["--set", f"sshd.{option}={value}"]
        return list(map(str, words))

    def client(self):
        """The beginning of a command line of its own client."""
        return [self.named("fail2ban-client"), "-c", "/etc/fail2ban", "-s", str(self.socket)]


class Fail2ban(Side):
    name, table = "fail2ban", "f2b-table"

    def server(self):
        return FAIL2BAN

    def command(self):
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        for stock in ("filter.d", "action.d"):
            link = config / stock
            if not link.is_symlink():
                link.symlink_to(pathlib.Path("/etc/fail2ban") / stock)
        (config / "fail2ban.conf").write_text(
            "[Definition]\nloglevel = INFO\nsyslogsocket = auto\nallowipv6 = auto\ndbpurgeage = 1d\ndbmaxmatches = 10\n"
            f"logtarget = {self.log}\nsocket = {self.socket}\npidfile = {self.folder}/daemon.pid\n"
            f"dbfile = {self.database}\n"
        )
        reads = f"backend = pyinotify\nlogpath = {self.auth}\n"
        if self.source == "journal":
            reads = f"backend = systemd[journalpath={self.journal}]\n"
        options = "".join(f"{option} = {value}\n" for option, value in self.options.items())
        (config / "jail.conf").write_text(
            f"[sshd]\nenabled = true\nfilter = sshd[mode=normal]\n{reads}{options}"
            "action = nftables-multiport[name=sshd, port=ssh, protocol=tcp]\n"
        )
        return [self.server(), "-xf", "-c", str(config), "start"]

    def client(self):
        """The beginning of a command line of its own client."""
        return [FAIL2BAN_CLIENT, "-c", str(self.folder / "config"), "-s", str(self.socket)]


class SameAction(Fail2ban):
    """Ferroban with the configuration of the other side, action included."""

    name = "Ferroban with fail2ban's action"
    named = Ferroban.named

    def server(self):
        return self.named("fail2ban-server")

    def client(self):
        return [self.named("fail2ban-client"), *super().client()[1:]]


@contextlib.contextmanager
def folder(where):
    """A folder that is gone afterwards."""
    path = tempfile.mkdtemp(prefix="ferroban-bench-", dir=where)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def one(kind, where, **options):
    """One of the two, not yet started; stopped and removed afterwards."""
    with folder(where) as path:
        side = kind(path, **options)
        try:
            yield side
        finally:
            side.close()


@contextlib.contextmanager
def both(where, **options):
    """Ferroban and fail2ban, not yet started; stopped and removed afterwards."""
    with folder(where) as path:
        pair = [Ferroban(path, **options), Fail2ban(path, **options)]
        try:
            yield pair
        finally:
            for side in pair:
                side.close()


def arguments(parser):
    """The arguments that all scripts have; checks what they need."""
    parser.add_argument("--ferroban", required=True, type=pathlib.Path, help="the program: target/release/ferroban")
    parser.add_argument("--dir", help="where logs and databases go; default: the folder for temporary files")
    parsed = parser.parse_args()
    if not os.access(parsed.ferroban, os.X_OK):
        parser.error(f"{parsed.ferroban}: not there; build it with: cargo build --release -p ferroban")
    if not os.path.exists(FAIL2BAN):
        parser.error(f"{FAIL2BAN}: not there; install it with: apt install fail2ban nftables python3-pyinotify")
    Ferroban.program = parsed.ferroban.resolve()
    return parsed


def failing_line(address, process=1000):
    """What sshd writes for a wrong password, now."""
    now = time.strftime("%b %e %H:%M:%S")
    return f"{now} host sshd[{process}]: Failed password for root from {address} port 50000 ssh2\n"
