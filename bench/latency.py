#!/usr/bin/python3
"""From the write of the last failing line to the address in the kernel's set.

Both programs run at once, each on its own log. In each round either gets, in
random order and after a random pause, the failing lines of a fresh address in
one write(2); the clock runs from before the write until the kernel announces
the address.

    sudo python3 bench/latency.py --ferroban target/release/ferroban
"""

import argparse
import os
import random
import time

import kernel
import report
import sides


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bans", type=int, default=100)
    parsed = sides.arguments(parser)
    kernel.private_network()
    with sides.both(parsed.dir) as pair:
        listener = kernel.Listener()
        for side in pair:
            side.start()
        # The first ban of either also builds its table; it is shown by itself.
        first = {side: ban(side, listener, 0) for side in pair}
        taken = {side: [] for side in pair}
        for number in range(1, parsed.bans + 1):
            for side in random.sample(pair, 2):
                time.sleep(random.uniform(0.05, 0.15))
                taken[side].append(ban(side, listener, number))
    ours, theirs = (sorted(taken[side]) for side in pair)
    report.heading(f"from the write of a log line to the kernel's set, {parsed.bans} bans each")
    rows = [(f"p{p}", report.percentile(ours, p), report.percentile(theirs, p), "ms") for p in (5, 50, 95, 99)]
    rows += [("least", ours[0], theirs[0], "ms"), ("most", ours[-1], theirs[-1], "ms")]
    rows += [("first ban of all", first[pair[0]], first[pair[1]], "ms")]
    report.compare(rows, digits=2)


def ban(side, listener, number):
    """The milliseconds that one ban took."""
    address = f"198.18.{number // 250}.{number % 250 + 1}"
    lines = (sides.failing_line(address) * int(side.options["maxretry"])).encode()
    log = os.open(side.auth, os.O_WRONLY | os.O_APPEND)
    listener.drain()
    begin = time.monotonic()
    os.write(log, lines)
    end = listener.wait_for(side.table, address, limit=30)
    os.close(log)
    return (end - begin) * 1000


if __name__ == "__main__":
    main()
