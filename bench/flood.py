#!/usr/bin/python3
"""A log that is written as fast as the disk takes it: until all of it is counted.

A fifth of the lines are failures, from fifty thousand addresses, and nobody is
banned: `maxretry` is out of reach. The clock runs from before the first write
until the jail's own count is complete. Less is written for fail2ban, which
would take minutes; what is compared is lines a second.

    sudo python3 bench/flood.py --ferroban target/release/ferroban
"""

import argparse
import random
import time

import kernel
import report
import sides

ADDRESSES = 50_000
OTHERS = [
    "sshd[{p}]: Accepted publickey for deploy from {a} port 50001 ssh2: ED25519 SHA256:abcdefghijklmnopqrstuvwxyz",
    "sshd[{p}]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    "sshd[{p}]: pam_unix(sshd:session): session closed for user deploy",
    "sshd[{p}]: Received disconnect from {a} port 50001:11: disconnected by user",
    "sshd[{p}]: Disconnected from user deploy {a} port 50001",
    "CRON[{p}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "systemd-logind[400]: New session {p} of user deploy.",
    "sudo: deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/apt update",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="for Ferroban")
    parser.add_argument("--theirs", type=int, default=100_000, help="for fail2ban")
    parsed = sides.arguments(parser)
    kernel.private_network()
    figures = []
    with sides.both(parsed.dir, maxretry=100_000, findtime="1d") as pair:
        for side, lines in zip(pair, (parsed.lines, parsed.theirs)):
            figures.append(flood(side, lines))
    report.heading("a log written at once, a fifth of it failures")
    ours, theirs = figures
    rate = ours["lines"] / ours["seconds"] / (theirs["lines"] / theirs["seconds"])
    cost = theirs["cpu"] / theirs["lines"] / (ours["cpu"] / ours["lines"])
    report.table(["", "Ferroban", "fail2ban", "ratio"], [
        ("lines", f"{ours['lines']:,}", f"{theirs['lines']:,}", ""),
        ("until all is counted", f"{ours['seconds']:.2f} s", f"{theirs['seconds']:.2f} s", ""),
        ("counted a second", *(f"{side['lines'] / side['seconds']:,.0f}" for side in figures), f"{rate:.0f}"),
        ("CPU for a line", *(f"{side['cpu'] / side['lines'] * 1e6:.2f} µs" for side in figures), f"{cost:.0f}"),
        ("resident at most", f"{ours['peak']:.0f} MB", f"{theirs['peak']:.0f} MB", ""),
        ("failures counted, of those written", *(f"{side['failed']:,} of {side['written']:,}" for side in figures), ""),
    ])


def flood(side, lines):
    written, chunks = text(lines)
    side.start()
    begin, cpu = time.monotonic(), side.cpu()
    with open(side.auth, "ab", buffering=0) as log:
        for chunk in chunks:
            log.write(chunk)
    # Asking costs the one asked: fail2ban less often, as it takes longer.
    pause = 0.01 if side.name == "Ferroban" else 0.25
    failed, progress = 0, time.monotonic()
    while failed < written and time.monotonic() - progress < 60:
        time.sleep(pause)
        now = side.failed()
        if now != failed:
            failed, progress = now, time.monotonic()
    seconds = time.monotonic() - begin
    figures = {"lines": lines, "seconds": seconds, "cpu": side.cpu() - cpu, "failed": failed, "written": written}
    figures["peak"], = side.memory("VmHWM")
    side.stop()
    return figures


def text(lines):
    """The number of failures, and the log in pieces of a thousand lines."""
    chance = random.Random(1)
    now = time.strftime("%b %e %H:%M:%S")
    written, chunks, chunk = 0, [], []
    for number in range(lines):
        which = chance.randrange(ADDRESSES)
        address = f"198.{18 + which // 62_500}.{which // 250 % 250}.{which % 250 + 1}"
        process = 1000 + number % 30_000
        if chance.random() < 0.2:
            written += 1
            chunk.append(sides.failing_line(address, process))
        else:
            chunk.append(f"{now} host {chance.choice(OTHERS).format(p=process, a=address)}\n")
        if len(chunk) == 1000 or number + 1 == lines:
            chunks.append("".join(chunk).encode())
            chunk = []
    return written, chunks


if __name__ == "__main__":
    main()
