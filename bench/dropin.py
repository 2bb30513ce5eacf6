#!/usr/bin/python3
"""The same configuration folder for both: Debian's own, with some of its jails.

Each program is started, asked, reloaded and stopped by its own client, as an
administrator does it. Then failing lines come in one by one, and the clock runs
until the command of a shell action has done its work.

    sudo python3 bench/dropin.py --ferroban target/release/ferroban
"""

import argparse
import pathlib
import random
import shutil
import statistics
import subprocess
import time

import kernel
import report
import sides

JAILS = "sshd dropbear selinux-ssh apache-auth apache-noscript apache-overflows nginx-http-auth nginx-botsearch".split()
JAILS += "php-url-fopen lighttpd-auth vsftpd proftpd pure-ftpd postfix dovecot sieve exim mysqld-auth named-refused".split()
JAILS += ["recidive"]


class Dropin:
    """One program on a copy of /etc/fail2ban."""

    def __init__(self, name, client, folder):
        self.name, self.client = name, client
        self.folder = pathlib.Path(folder) / name.lower()
        self.folder.mkdir()
        self.config = self.folder / "etc"
        self.done = self.folder / "banned"
        self.done.mkdir()
        self.auth = self.folder / "auth.log"
        self.auth.touch()
        shutil.copytree("/etc/fail2ban", self.config)
        (self.config / "fail2ban.local").write_text(
            f"[Definition]\nsocket = {self.folder}/f2b.sock\npidfile = {self.folder}/f2b.pid\n"
            f"dbfile = {self.folder}/f2b.sqlite3\nlogtarget = {self.folder}/f2b.log\n"
        )
        (self.config / "action.d" / "mark.conf").write_text(f"[Definition]\nactionban = : > {self.done}/<ip>\n")
        jails = "".join(f"[{jail}]\nenabled = true\nbackend = auto\nlogpath = {self.folder}/auth.log\n" for jail in JAILS)
        (self.config / "jail.d" / "zz.local").write_text(f"[DEFAULT]\nbanaction = mark\nignoreself = false\n{jails}")

    def run(self, *words):
        """Runs the client; milliseconds."""
        begin = time.monotonic()
        done = subprocess.run([self.client, "-c", self.config, *words], capture_output=True, timeout=120)
        took = (time.monotonic() - begin) * 1000
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {words}: {done.stdout.decode()}{done.stderr.decode()}")
        return took

    def ban(self, address):
        """Five failures; milliseconds until the command was run."""
        mark = self.done / address
        begin = time.monotonic()
        with open(self.auth, "a") as log:
            log.write(sides.failing_line(address) * 5)
        while not mark.exists():
            if time.monotonic() > begin + sides.SOON:
                raise TimeoutError(f"{self.name} does not ban {address}")
            time.sleep(0.0002)
        return (time.monotonic() - begin) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bans", type=int, default=50)
    parsed = sides.arguments(parser)
    kernel.private_network()
    ours = parsed.ferroban.resolve().with_name("fail2ban-client")
    with sides.folder(parsed.dir) as path:
        pair = [Dropin("Ferroban", ours, path), Dropin("fail2ban", "/usr/bin/fail2ban-client", path)]
        words = {"start": ["start"], "status": ["status"], "status sshd": ["status", "sshd"], "reload": ["reload"], "stop": ["stop"]}
        took = {what: {side: [] for side in pair} for what in words}
        bans = {side: [] for side in pair}
        try:
            for round_ in range(parsed.rounds):
                for what, command in words.items():
                    if what == "stop" and round_ == parsed.rounds - 1:
                        measure(pair, bans, parsed.bans)
                    for side in pair:
                        took[what][side].append(side.run(*command))
        finally:
            for side in pair:
                subprocess.run([side.client, "-c", side.config, "stop"], capture_output=True, timeout=120)
    report.heading(f"{len(JAILS)} jails of Debian's configuration, median of {parsed.rounds}; {parsed.bans} bans")
    rows = [(f"`{what}`", *(statistics.median(sides_[side]) for side in pair), "ms") for what, sides_ in took.items()]
    for percent in (50, 95):
        rows.append((f"line to command, p{percent}", *(report.percentile(bans[side], percent) for side in pair), "ms"))
    report.compare(rows)


def measure(pair, bans, count):
    for number in range(count):
        for side in random.sample(pair, 2):
            time.sleep(random.uniform(0.05, 0.15))
            bans[side].append(side.ban(f"192.0.2.{number + 1}"))


if __name__ == "__main__":
    main()
