#!/usr/bin/python3
"""What five hundred bad clients on the control socket do to bans, answers and memory.

Each program is measured by itself, first undisturbed and then beset, one after the
other in the same run. A ban is timed from the write of its failing lines until the
kernel announces the address, an answer from connecting until the reply to `ping`.

The crowd is a process of its own: an eighth of its clients each say nothing, send a
request byte by byte, send half a request, half a long one, a request of 100 MB, random
bytes, ask for the status and never read, or ask and are gone, over and over. Those who
are hung up on come back. It rests for a millisecond between two rounds, and sends no
more of what a program may keep once that has come to a gigabyte.

    sudo python3 bench/clients.py --ferroban target/release/ferroban
"""

import argparse
import os
import pickle
import random
import signal
import socket
import struct
import time

import kernel
import latency
import report
import sides

PING = pickle.dumps(["ping"], 2) + sides.END
STATUS = pickle.dumps(["status", "sshd"], 2) + sides.END
ENDLESS = 100 << 20
# From here on (MB) the crowd makes the program keep no more: the machine has other uses.
MEMORY = 1000
# Nobody waits longer for an answer.
LIMIT = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bans", type=int, default=50)
    parser.add_argument("--answers", type=int, default=20)
    parser.add_argument("--clients", type=int, default=500)
    parsed = sides.arguments(parser)
    kernel.private_network()
    with sides.both(parsed.dir) as pair:
        listener = kernel.Listener()
        figures = []
        for side in pair:
            side.start()
            latency.ban(side, listener, 0)
            figures.append(measure(side, listener, parsed))
    report.heading(f"{parsed.clients} bad clients at once, {parsed.bans} bans and {parsed.answers} answers each")
    ours, theirs = figures
    report.compare([(what, ours[what], theirs[what], unit(what)) for what in ours], digits=2)


def unit(what):
    return "MB" if "resident" in what else "" if "beset :" in what or "answers" in what else "ms"


def measure(side, listener, parsed):
    figures = {}
    quiet = [ban(side, listener, number) for number in range(1, parsed.bans + 1)]
    asked = [answer(side) for _ in range(parsed.answers)]
    figures["resident, quiet"] = side.memory("VmRSS")[0]
    crowd = start_crowd(side, parsed.clients)
    try:
        time.sleep(3)  # they are all there, and have done their worst
        beset = [ban(side, listener, number) for number in range(parsed.bans + 1, 2 * parsed.bans + 1)]
        answers = [answer(side) for _ in range(parsed.answers)]
    finally:
        os.kill(crowd, signal.SIGTERM)
        os.waitpid(crowd, 0)
    for name, before, after in ("ban", quiet, beset), ("answer", asked, answers):
        for p in 50, 95:
            figures[f"{name}, quiet, p{p}"] = percentile(before, p)
            figures[f"{name}, beset, p{p}"] = percentile(after, p)
        middles = percentile(before, 50), percentile(after, 50)
        figures[f"{name}, beset : quiet, p50"] = None if None in middles else middles[1] / middles[0]
    came = [taken for taken in answers if taken is not None]
    figures["answers that came, of a hundred"] = 100 * len(came) / len(answers)
    figures["resident at most"] = side.memory("VmHWM")[0] if side.process.poll() is None else None
    return figures


def percentile(values, percent):
    """None if what did not come would be among the rest."""
    values = sorted(float("inf") if value is None else value for value in values)
    found = report.percentile(values, percent) if values[-1] < float("inf") else values[len(values) * percent // 100]
    return found if found < float("inf") else None


def ban(side, listener, number):
    time.sleep(random.uniform(0.02, 0.05))
    try:
        return latency.ban(side, listener, number)
    except TimeoutError:
        return None


def answer(side):
    """The milliseconds until the answer to `ping`."""
    begin = time.monotonic()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            # Not `settimeout`: it would have connecting fail at once where others wait at the door.
            for way in socket.SO_SNDTIMEO, socket.SO_RCVTIMEO:
                client.setsockopt(socket.SOL_SOCKET, way, struct.pack("@ll", LIMIT, 0))
            client.connect(str(side.socket))
            client.sendall(PING)
            received = b""
            while sides.END not in received:
                part = client.recv(1 << 16)
                if not part:
                    return None
                received += part
    except OSError:
        return None
    return (time.monotonic() - begin) * 1000


def start_crowd(side, size):
    """A process with so many clients; its number."""
    crowd = os.fork()
    if crowd:
        return crowd
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    clients = [Client(side, KINDS[number % len(KINDS)], number) for number in range(size)]
    while True:
        may_send = side.memory("VmRSS")[0] < MEMORY
        for client in clients:
            if may_send or client.kind not in HEAVY:
                client.go_on()
        time.sleep(0.001)


class Client:
    def __init__(self, side, kind, seed):
        self.side, self.kind, self.random = side, kind, random.Random(seed)
        self.socket = None

    def go_on(self):
        """Does a little more harm."""
        try:
            if self.socket is None:
                self.sent = 0
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.setblocking(False)
                self.socket.connect(str(self.side.socket))
            self.kind(self)
        except BlockingIOError:
            if self.sent == 0:
                self.leave()  # no room at the door
        except OSError:
            self.leave()

    def send(self, data):
        self.sent += self.socket.send(data)

    def listen(self):
        try:
            if not self.socket.recv(1 << 16):
                self.leave()
        except BlockingIOError:
            pass

    def leave(self):
        if self.socket:
            self.socket.close()
        self.socket = None


def silent(client):
    pass


def byte_by_byte(client):
    place = client.sent % len(PING)
    client.send(PING[place:place + 1])
    client.listen()


def half(client):
    if not client.sent:
        client.send(PING[:len(PING) // 2])


def half_of_much(client):
    if client.sent < 100_000:
        client.send(b"x" * 50_000)


def endless(client):
    if client.sent < ENDLESS:
        client.send(b"x" * (1 << 16))


def random_bytes(client):
    client.send(client.random.randbytes(500) + client.random.choice([sides.END, b"", b"", b""]))
    client.listen()


def never_reading(client):
    client.send(STATUS)


def gone(client):
    client.send(PING)
    client.leave()


KINDS = [silent, byte_by_byte, half, half_of_much, endless, random_bytes, never_reading, gone]
# What a program without bounds keeps more and more for.
HEAVY = [endless, random_bytes, never_reading]


if __name__ == "__main__":
    main()
