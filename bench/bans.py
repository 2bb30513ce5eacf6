#!/usr/bin/python3
"""Many bans: by command, put back at a restart, and by an attack.

Both programs do the same with `--bans` addresses, Ferroban with its own action
and with fail2ban's `nftables-multiport`; Ferroban alone does it with more. A
list is done when the kernel has announced its last address, whatever the client
was told. Of Ferroban the middle of several rounds is shown.

    sudo python3 bench/bans.py --ferroban target/release/ferroban
"""

import argparse
import statistics
import subprocess
import time

import kernel
import report
import sides

# As many addresses go into one command.
LIST = 1000
SINGLE = 50
# Lines in the log until an address is banned.
FAILURES = 2
# More than so many: one round is enough, and `nft` takes minutes to count them.
MANY = 20_000
LIMIT = 900

ROWS = [
    "one ban by command, p50",
    "banip: all clients answered",
    "banip: all in the kernel",
    "fail2ban-client status sshd",
    "stop",
    "restart: at work",
    "restart: all in the kernel",
    "start after SIGKILL: at work",
    "start after SIGKILL: the next ban holds",
    "unban --all",
    "attack: all in the kernel",
    "resident (VmRSS) with the bans",
    "at most, while they are put back (VmHWM)",
    "database",
    "kernel memory (slab)",
    "nft counts after banip",
    "nft counts after the restart",
    "nft counts after SIGKILL and a start",
]


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of bans; leave the numbers out for none")
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bans", type=positive, nargs="*", default=[1000, 5000], help="for both")
    parser.add_argument("--alone", type=positive, nargs="*", default=[20_000, 100_000, 1_000_000], help="for Ferroban alone")
    parser.add_argument("--rounds", type=int, default=3, help=f"of Ferroban with up to {MANY:,}")
    parsed = sides.arguments(parser)
    kernel.private_network()
    for count in parsed.bans:
        ours, same = (rounds(kind, count, parsed) for kind in (sides.Ferroban, sides.SameAction))
        theirs = measure(sides.Fail2ban, count, parsed.dir)
        report.heading(f"{count:,} bans, both")
        head = ["", "Ferroban", "ratio", "with nftables-multiport", "ratio", "fail2ban"]
        report.table(head, [row for row in (compared(what, ours, same, theirs) for what in ROWS) if any(row[1:])])
    if parsed.alone:
        all = [rounds(sides.Ferroban, count, parsed) for count in parsed.alone]
        report.heading("Ferroban alone")
        rows = [(what, *(shown(figures.get(what)) for figures in all)) for what in ROWS]
        report.table(["", *(f"{count:,}" for count in parsed.alone)], [row for row in rows if any(row[1:])])


def rounds(kind, count, parsed):
    """The middle of several rounds, figure by figure."""
    all = [measure(kind, count, parsed.dir) for _ in range(parsed.rounds if count <= MANY else 1)]
    middle = lambda what: sorted(figures[what] for figures in all)[len(all) // 2]
    return {what: middle(what) for what in all[0]}


def measure(kind, count, where):
    """All figures of a program with so many bans, each a number and its unit."""
    addresses = [f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}" for number in range(1, count + 1)]
    figures = {}
    with sides.one(kind, where, bantime="1d", maxretry=FAILURES) as side:
        by_command(side, addresses, figures)
        over_restarts(side, addresses, figures)
    with sides.one(kind, where, bantime="1d", maxretry=FAILURES) as side:
        attack(side, addresses, figures)
    return figures


def by_command(side, addresses, figures):
    side.start()
    if len(addresses) <= MANY:
        listener = kernel.Listener()
        all = [single(side, listener, f"198.19.0.{number}") for number in range(1, SINGLE + 1)]
        figures["one ban by command, p50"] = statistics.median(all), "s"
    before, listener = kernel.memory(), kernel.Listener()
    begin = time.monotonic()
    for place in range(0, len(addresses), LIST):
        side.ask("set", "sshd", "banip", *addresses[place:place + LIST])
        if place % MANY == 0:
            listener.read_ahead()
    figures["banip: all clients answered"] = time.monotonic() - begin, "s"
    figures["banip: all in the kernel"] = listener.wait_for_all(side.table, addresses, LIMIT) - begin, "s"
    listener.close()
    if len(addresses) > MANY:
        figures["kernel memory (slab)"] = kernel.memory() - before, "MB"
    figures["resident (VmRSS) with the bans"] = side.memory("VmRSS")[0], "MB"
    figures["database"] = side.database.stat().st_size / 1e6, "MB"
    count("nft counts after banip", side, addresses, figures)
    begin = time.monotonic()
    subprocess.run([*side.client(), "status", "sshd"], stdout=subprocess.DEVNULL, check=True)
    figures["fail2ban-client status sshd"] = time.monotonic() - begin, "s"


def over_restarts(side, addresses, figures):
    begin = time.monotonic()
    side.stop()
    figures["stop"] = time.monotonic() - begin, "s"
    listener = kernel.Listener()
    begin = time.monotonic()
    side.start()
    figures["restart: at work"] = time.monotonic() - begin, "s"
    figures["restart: all in the kernel"] = listener.wait_for_all(side.table, addresses, LIMIT) - begin, "s"
    figures["at most, while they are put back (VmHWM)"] = side.memory("VmHWM")[0], "MB"
    count("nft counts after the restart", side, addresses, figures)

    side.kill()
    listener.drain()
    begin = time.monotonic()
    side.start()
    figures["start after SIGKILL: at work"] = time.monotonic() - begin, "s"
    next = "198.51.100.1"
    side.ask("set", "sshd", "banip", next)
    figures["start after SIGKILL: the next ban holds"] = listener.wait_for_all(side.table, {next}, LIMIT, quiet=0) - begin, "s"
    listener.close()
    count("nft counts after SIGKILL and a start", side, addresses, figures)
    begin = time.monotonic()
    side.ask("unban", "--all")
    figures["unban --all"] = time.monotonic() - begin, "s"


def attack(side, addresses, figures):
    """All addresses fail at once, as often as it takes."""
    line = sides.failing_line("ADDRESS")
    text = "".join(line.replace("ADDRESS", address) * FAILURES for address in addresses).encode()
    side.start()
    listener = kernel.Listener()
    begin = time.monotonic()
    with open(side.auth, "ab", buffering=0) as log:
        log.write(text)
    figures["attack: all in the kernel"] = listener.wait_for_all(side.table, addresses, LIMIT) - begin, "s"
    listener.close()


def single(side, listener, address):
    """The seconds from a client's command to the kernel."""
    time.sleep(0.05)
    listener.drain()
    begin = time.monotonic()
    side.ask("set", "sshd", "banip", address)
    return listener.wait_for(side.table, address, limit=30) - begin


def count(what, side, addresses, figures):
    if len(addresses) <= MANY:
        figures[what] = kernel.count(side.table), ""


def compared(what, ours, same, theirs):
    ours, same, theirs = (figures.get(what) for figures in (ours, same, theirs))
    return what, shown(ours), ratio(ours, theirs), shown(same), ratio(same, theirs), shown(theirs)


def shown(figure):
    if figure is None:
        return ""
    value, unit = figure
    if unit == "s" and value < 1:
        return f"{value * 1000:.{1 if value < 0.1 else 0}f} ms"
    return f"{value:,.{1 if unit else 0}f} {unit}".strip()


def ratio(ours, theirs):
    if ours is None or theirs is None or not ours[1] or not ours[0]:
        return ""
    value = theirs[0] / ours[0]
    return f"{value:,.{0 if value >= 10 else 1}f}"


if __name__ == "__main__":
    main()
