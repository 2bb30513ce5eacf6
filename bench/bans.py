#!/usr/bin/python3
"""Many bans at once, a restart with them, and one ban by command.

Addresses are handed over in lists of a thousand with `set sshd banip`. A list
is done when the kernel has announced its last address, whatever the client was
told. Fewer are given to fail2ban, which runs a program for each; what is
compared is the time for one.

    sudo python3 bench/bans.py --ferroban target/release/ferroban
"""

import argparse
import statistics
import time

import kernel
import report
import sides

LIST = 1000
SINGLE = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bans", type=int, default=20_000, help="for Ferroban")
    parser.add_argument("--theirs", type=int, default=2_000, help="for fail2ban")
    parsed = sides.arguments(parser)
    kernel.private_network()
    with sides.both(parsed.dir, bantime="1d") as pair:
        ours, theirs = (measure(side, count) for side, count in zip(pair, (parsed.bans, parsed.theirs)))
    report.heading(f"{parsed.bans:,} bans for Ferroban, {parsed.theirs:,} for fail2ban")
    head = ["", f"Ferroban, {parsed.bans:,}", f"fail2ban, {parsed.theirs:,}", "each: Ferroban", "each: fail2ban", "ratio"]
    report.table(head, [row(what, ours[what], theirs[what], parsed) for what in ours["_bulk"]])
    report.compare([
        ("one ban by command, p50", ours["single"], theirs["single"], "ms"),
        ("at work after a restart", ours["ready"], theirs["ready"], "ms"),
        ("at work after a start that follows SIGKILL", ours["again"], theirs["again"], "ms"),
    ])
    print("Elements that nft counts in the sets:\n")
    counts = ["after the bans", "after the restart", "after SIGKILL and a start"]
    report.table(["", "Ferroban", "fail2ban"], [(what, ours[what], theirs[what]) for what in counts])


def row(what, ours, theirs, parsed):
    each, their_each = ours / parsed.bans * 1e6, theirs / parsed.theirs * 1e6
    return what, f"{ours:.2f} s", f"{theirs:.2f} s", f"{each:,.0f} µs", f"{their_each:,.0f} µs", f"{their_each / each:.0f}"


def measure(side, count):
    listener, figures = kernel.Listener(), {}
    singles = [f"198.19.0.{number + 1}" for number in range(SINGLE)]
    addresses = [f"198.18.{number // 250}.{number % 250 + 1}" for number in range(count)]
    side.start()
    figures["single"] = statistics.median(single(side, listener, address) for address in singles) * 1000

    begin = time.monotonic()
    for place in range(0, count, LIST):
        side.ask("set", "sshd", "banip", *addresses[place:place + LIST])
    told = time.monotonic()
    complete = listener.wait_for_all(side.table, addresses, limit=900)
    figures["all clients answered"], figures["all in the kernel"] = told - begin, complete - begin
    figures["after the bans"] = kernel.count(side.table)

    begin = time.monotonic()
    side.stop()
    figures["stop"] = time.monotonic() - begin
    listener.drain()
    begin = time.monotonic()
    side.start()
    figures["ready"] = (time.monotonic() - begin) * 1000
    figures["all in the kernel after a restart"] = listener.wait_for_all(side.table, addresses + singles, limit=900) - begin
    figures["after the restart"] = kernel.count(side.table)

    side.kill()
    begin = time.monotonic()
    side.start()
    figures["again"] = (time.monotonic() - begin) * 1000
    figures["after SIGKILL and a start"] = kernel.count(side.table)
    figures["_bulk"] = ["all clients answered", "all in the kernel", "stop", "all in the kernel after a restart"]
    return figures


def single(side, listener, address):
    """The seconds from a client's command to the kernel."""
    time.sleep(0.05)
    listener.drain()
    begin = time.monotonic()
    side.ask("set", "sshd", "banip", address)
    return listener.wait_for(side.table, address, limit=30) - begin


if __name__ == "__main__":
    main()
