#!/usr/bin/python3
"""Memory after a hundred bans, and how often an idle daemon wakes up.

Both programs run at once and ban the same addresses. Then nothing is written
for a minute, and the voluntary context switches of all their threads are
counted: each is a thread that had been awake and went back to sleep.

The journal needs systemd-journal-remote, which writes one into a folder; where
it is missing, only the file is measured.

    sudo python3 bench/idle.py --ferroban target/release/ferroban
"""

import argparse
import pathlib
import subprocess
import time

import kernel
import report
import sides

REMOTE = "/lib/systemd/systemd-journal-remote"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bans", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    parsed = sides.arguments(parser)
    kernel.private_network()
    measure(parsed, "file", write_file)
    if pathlib.Path(REMOTE).exists():
        measure(parsed, "journal", write_journal)


def measure(parsed, source, write):
    with sides.both(parsed.dir, source=source) as pair:
        listener, addresses = kernel.Listener(), [f"198.18.0.{number + 1}" for number in range(parsed.bans)]
        for side in pair:
            if source == "journal":
                write(side, ["192.0.2.1"])  # there has to be a journal before it can be read
            side.start()
            write(side, addresses)
            listener.wait_for_all(side.table, addresses, limit=120)
        time.sleep(10)  # what was set off by the bans is over
        before = [side.switches() for side in pair]
        time.sleep(parsed.seconds)
        wakes = [(side.switches() - start) / parsed.seconds for side, start in zip(pair, before)]
        memory = [side.memory("VmRSS", "Pss") for side in pair]
        threads = [len(list(pathlib.Path(f"/proc/{side.process.pid}/task").iterdir())) for side in pair]
    report.heading(f"idle after {parsed.bans} bans, {parsed.seconds} s, reading a {source}")
    report.compare([
        ("resident memory", memory[0][0], memory[1][0], "MB"),
        ("its own share of it (PSS)", memory[0][1], memory[1][1], "MB"),
        ("wake-ups", wakes[0], wakes[1], "a second"),
        ("threads", threads[0], threads[1], ""),
    ], digits=2)


def write_file(side, addresses):
    with open(side.auth, "a") as log:
        for address in addresses:
            log.write(sides.failing_line(address) * side.options["maxretry"])


def write_journal(side, addresses):
    side.journal.mkdir(exist_ok=True)
    number = len(list(side.journal.iterdir()))
    entries = []
    for address in addresses:
        for _ in range(side.options["maxretry"]):
            now = time.time_ns() // 1000
            message = sides.failing_line(address).split(": ", 1)[1].strip()
            entries.append(
                f"__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={time.monotonic_ns() // 1000}\n"
                "_BOOT_ID=0123456789abcdef0123456789abcdef\n_MACHINE_ID=0123456789abcdef0123456789abcdef\n"
                "_HOSTNAME=host\n_SYSTEMD_UNIT=ssh.service\n_COMM=sshd\n_UID=0\nSYSLOG_IDENTIFIER=sshd\n_PID=1000\n"
                f"MESSAGE={message}\n\n"
            )
    file = side.journal / f"part{number}.journal"
    subprocess.run(
        [REMOTE, "--split-mode=none", "-o", file, "-"], input="".join(entries).encode(), check=True, capture_output=True
    )


if __name__ == "__main__":
    main()
