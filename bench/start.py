#!/usr/bin/python3
"""How long a start takes: until the socket answers, until the jail is at work.

The clock runs from just before the program is executed. The socket is asked
`ping`, and the log looked at for "Jail 'sshd' started", every half millisecond.

    sudo python3 bench/start.py --ferroban target/release/ferroban
"""

import argparse
import statistics
import time

import kernel
import report
import sides


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parsed = sides.arguments(parser)
    kernel.private_network()
    with sides.both(parsed.dir) as pair:
        answered, started, stopped = ({side: [] for side in pair} for _ in range(3))
        for _ in range(parsed.rounds):
            for side in pair:
                answer, start = launch(side)
                answered[side].append(answer)
                started[side].append(start)
                begin = time.monotonic()
                side.stop()
                stopped[side].append((time.monotonic() - begin) * 1000)
    report.heading(f"a start, median of {parsed.rounds}")
    rows = [("the socket answers", answered), ("the jail is at work", started), ("stopped again by SIGTERM", stopped)]
    report.compare([(what, statistics.median(took[pair[0]]), statistics.median(took[pair[1]]), "ms") for what, took in rows])


def launch(side):
    begin = time.monotonic()
    side.launch()
    answered = started = None
    while answered is None or started is None:
        side.must_run(begin + sides.SOON)
        if started is None and side.has_started():
            started = (time.monotonic() - begin) * 1000
        if answered is None and side.answers():
            answered = (time.monotonic() - begin) * 1000
        time.sleep(0.0005)
    return answered, started


if __name__ == "__main__":
    main()
