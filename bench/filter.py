#!/usr/bin/python3
"""What a log costs `fail2ban-regex`: Debian's sshd filter on a million lines.

Two logs are made up: one of a host under attack, on which four of five lines are
sshd's, and one of an ordinary day, on which one of ten is. Both programs read the same
file and must report the same numbers. CPU time is user and system together.

    python3 bench/filter.py --program target/release/fail2ban-regex
"""

import argparse
import datetime
import os
import random
import subprocess
import tempfile
import time

import report

USERS = ["root", "admin", "test", "oracle", "ubuntu", "git", "postgres", "user", "guest", "pi"]
ATTACKS = [
    (35, ["sshd[{p}]: Failed password for {u} from {a} port {q} ssh2",
          "sshd[{p}]: Connection closed by authenticating user {u} {a} port {q} [preauth]"]),
    (25, ["sshd[{p}]: Invalid user {u}{n} from {a} port {q}",
          "sshd[{p}]: pam_unix(sshd:auth): check pass; user unknown",
          "sshd[{p}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={a} ",
          "sshd[{p}]: Failed password for invalid user {u}{n} from {a} port {q} ssh2",
          "sshd[{p}]: Received disconnect from {a} port {q}:11: Bye Bye [preauth]",
          "sshd[{p}]: Disconnected from invalid user {u}{n} {a} port {q} [preauth]"]),
]
LOGINS = ["sshd[{p}]: Accepted publickey for deploy from 10.0.0.{n} port {q} ssh2: RSA SHA256:" + "x" * 43,
          "sshd[{p}]: pam_unix(sshd:session): session opened for user deploy(uid=1001) by (uid=0)"]
DAILY = [
    (35, ["CRON[{p}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
          "CRON[{p}]: pam_unix(cron:session): session closed for user root"]),
    (15, ["systemd-logind[611]: New session {n} of user deploy.",
          "systemd[1]: session-{n}.scope: Deactivated successfully."]),
    (15, ["postfix/smtpd[{p}]: connect from mail.example.net[{a}]",
          "postfix/smtpd[{p}]: disconnect from mail.example.net[{a}] ehlo=1 quit=1 commands=2"]),
    (15, ["kernel: [{n}.123456] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC={a} DST=10.0.0.5 LEN=40 PROTO=TCP DPT=23"]),
    (10, ["sudo:   deploy : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/systemctl status nginx"]),
]
LOGS = {
    "under attack": ATTACKS + [(10, LOGINS), (30, DAILY[0][1] + DAILY[4][1])],
    "ordinary": DAILY + [(5, LOGINS), (3, ATTACKS[0][1][:1]), (2, ATTACKS[1][1][:1])],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", required=True, help="our fail2ban-regex")
    parser.add_argument("--theirs", default="/usr/bin/fail2ban-regex")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, kinds in LOGS.items():
            log = os.path.join(folder, "log")
            write(log, kinds, parsed.lines)
            measure(name, log, parsed)


def write(path, kinds, lines):
    chance = random.Random(20_261_125)
    now = datetime.datetime.now() - datetime.timedelta(days=7)
    groups, weights = [group for _, group in kinds], [weight for weight, _ in kinds]
    written = 0
    with open(path, "w") as log:
        while written < lines:
            now += datetime.timedelta(milliseconds=chance.randint(20, 700))
            values = {
                "p": chance.randint(1000, 60000), "q": chance.randint(1024, 65535), "n": chance.randint(1, 250),
                "u": chance.choice(USERS),
                "a": "%d.%d.%d.%d" % (chance.choice((45, 61, 103, 185, 218)), *(chance.randint(1, 254) for _ in "abc")),
            }
            stamp = now.strftime("%b %e %H:%M:%S")
            for line in chance.choices(groups, weights)[0]:
                if written < lines:
                    log.write(f"{stamp} web1 {line.format(**values)}\n")
                    written += 1


def measure(name, log, parsed):
    # Before and after theirs, so that both have the same machine.
    ours = [run(parsed.program, log) for _ in range(2)]
    theirs = run(parsed.theirs, log)
    ours += [run(parsed.program, log) for _ in range(3)]
    for (_, _, said) in ours:
        assert said == theirs[2], f"reports differ:\n{said}\n{theirs[2]}"
    cpu, memory, _ = sorted(ours)[2]
    report.heading(f"{parsed.lines:,} lines, {name}; the middle one of five runs")
    report.table(["", "Ferroban", "fail2ban", "ratio"], [
        ("CPU", f"{cpu:.2f} s", f"{theirs[0]:.2f} s", f"{theirs[0] / cpu:.0f}"),
        ("a line", *(f"{took / parsed.lines * 1e6:.2f} µs" for took in (cpu, theirs[0])), ""),
        ("resident at most", f"{memory:.1f} MB", f"{theirs[1]:.0f} MB", f"{theirs[1] / memory:.0f}"),
    ])


def run(program, log):
    """CPU seconds, MB at most, and the numbers of the report."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen([program, "--usedns", "no", log, "sshd"], stdout=output)
        # What wait4 says of memory would be ours where that was more before the program began.
        memory, ended = 0, 0
        while not ended:
            memory = max(memory, resident(child.pid))
            time.sleep(0.005)
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, program
        output.seek(0)
        said = [line for line in output if line.startswith(("Lines:", "Failregex:", "Prefregex:", "|  "))]
    return used.ru_utime + used.ru_stime, memory, said


def resident(pid):
    """The most MB that were resident so far."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


if __name__ == "__main__":
    main()
