"""A network of our own, and the kernel's word on what is in its nftables sets.

Nothing here is asked of either program: an address counts as banned when the
kernel announces that it is in a set.
"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

MARK = "FERROBAN_BENCH_OUTSIDE"

NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
SO_RCVBUFFORCE = 33
# The kernel tells changes in parts of a few KiB. Much more room would cost more than reading them.
READ = 32 << 10
# Subsystem 10 is nf_tables; 12 and 14 are NFT_MSG_NEWSETELEM and NFT_MSG_DELSETELEM.
NEW_ELEMENT, DELETED_ELEMENT = 10 << 8 | 12, 10 << 8 | 14
# Attributes of the message, of the list in it, of an element, of its key.
TABLE, ELEMENTS, ELEMENT, KEY, VALUE = 1, 3, 1, 1, 1


def private_network():
    """Starts the script anew in a network namespace, so that no firewall of this
    host is touched. Needs root."""
    if os.geteuid() != 0:
        sys.exit("root is needed: sudo python3 " + " ".join(sys.argv))
    inside = os.readlink("/proc/self/ns/net")
    outside = os.environ.get(MARK)
    if outside is None:
        os.environ[MARK] = inside
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    if outside == inside:
        sys.exit("unshare gave no network of our own; nothing is measured here")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # What was started is ended and removed also when the script is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


class Listener:
    """Hears of every address that enters or leaves a set."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 512 << 20)
        self.socket.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
        self.ahead = []

    def wait_for(self, table, address, limit):
        """Returns the moment at which `address` entered a set of `table`."""
        return self.wait_for_all(table, {address}, limit, quiet=0)

    def wait_for_all(self, table, addresses, limit, quiet=0.3):
        """Returns the moment at which the last of `addresses` had entered. What comes is read at
        once and understood when it has been `quiet` for so long: that takes longer than a ban."""
        missing, end = set(map(packed, addresses)), time.monotonic() + limit
        while True:
            for received, now in self._receive_all(end, len(missing), quiet):
                for entered, of, key in messages(received):
                    if entered and of == table:
                        missing.discard(key)
                if not missing:
                    return now

    def wait_until_gone(self, table, count, limit):
        """Returns the moment at which `count` elements had left the sets of `table`."""
        gone, end = 0, time.monotonic() + limit
        while gone < count:
            received, now = self._receive(end, count - gone)
            gone += sum(not entered and of == table for entered, of, _ in messages(received))
        return now

    def close(self):
        self.socket.close()

    def read_ahead(self):
        """Reads what there is, to be understood later: a socket holds only so much."""
        while select.select([self.socket], [], [], 0)[0]:
            self.ahead.append((self.socket.recv(READ), time.monotonic()))

    def drain(self):
        """Forgets what was announced until now."""
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(READ)

    def _receive_all(self, end, missing, quiet):
        """Waits for something, and returns all that comes, each with the moment at which it was read."""
        all, self.ahead = self.ahead or [self._receive(end, missing)], []
        while select.select([self.socket], [], [], quiet)[0]:
            all.append((self.socket.recv(READ), time.monotonic()))
        return all

    def _receive(self, end, missing):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            raise TimeoutError(f"{missing} address(es) did not arrive in or leave the kernel in time")
        received = self.socket.recv(READ)
        return received, time.monotonic()


def packed(address):
    """An address as the kernel has it."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def messages(received):
    """The (entered, table, key) of each element in what was received."""
    place = 0
    while place + 16 <= len(received):
        length, kind = struct.unpack_from("=IH", received, place)
        if kind in (NEW_ELEMENT, DELETED_ELEMENT):
            attributes = dict(_attributes(received[place + 20:place + length]))
            table = attributes.get(TABLE, b"").rstrip(b"\0").decode()
            for _, element in _attributes(attributes.get(ELEMENTS, b"")):
                key = dict(_attributes(dict(_attributes(element)).get(KEY, b""))).get(VALUE)
                yield kind == NEW_ELEMENT, table, key
        place += max(length + 3 & ~3, 16)


def count(table):
    """How many elements all sets of a table hold, by `nft`'s own reader."""
    done = subprocess.run(["nft", "-j", "list", "table", "inet", table], capture_output=True, text=True)
    if done.returncode != 0:
        return 0
    entries = json.loads(done.stdout)["nftables"]
    return sum(len(entry["set"].get("elem", [])) for entry in entries if "set" in entry)


def memory():
    """The kernel's own memory in MB, as far as it cannot be given back: sets are part of it."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("SUnreclaim:")) * 1024 / 1e6


def _attributes(data):
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4:
            return
        yield kind & 0x3FFF, data[place + 4:place + length]
        place += length + 3 & ~3
