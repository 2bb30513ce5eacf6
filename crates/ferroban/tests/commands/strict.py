"""Asks a server what monitoring programs ask it, and reads the replies as narrowly as they do.

usage: strict.py SOCKET JAIL ADDRESS ...

Two exporters written in Go talk to the socket. Their reader takes a reply apart by
position and type, knows no class but `str`, and wants whole numbers to be machine
words; their writer makes pickles that Python's client never sends. JAIL has bans of all
ADDRESSes. Prints what such a program would stumble over; the exit code is 1 then.
"""

import io
import pickle
import pickletools
import re
import socket
import sys

END = b"<F2B_END_COMMAND>"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
BAN = re.compile(r"(\S+) \t%s \+ (-?\d+) = %s" % (TIME, TIME))


class Strict(pickle.Unpickler):
    def find_class(self, module, name):
        if module in ("builtins", "__builtin__") and name == "str":
            return str
        raise pickle.UnpicklingError("class not found: %s.%s" % (module, name))


def go(words):
    """As the Go encoder writes a list of strings: no version, byte strings, no memo."""
    texts = b"".join(b"U" + bytes([len(word)]) + word.encode() for word in words)
    return b"](" + texts + b"e."


WRITERS = {
    "protocol 0": lambda words: pickle.dumps(words, 0),
    "protocol 2": lambda words: pickle.dumps(words, 2),
    "protocol 4": lambda words: pickle.dumps(words, 4),
    "the Go encoder's": go,
}


def exchange(peer, payload):
    """Sends and receives as they do: the end mark in a write of its own, and the reply
    read in blocks until the mark is in them somewhere."""
    peer.sendall(payload)
    peer.sendall(END)
    data = b""
    while END not in data:
        block = peer.recv(1024)
        if not block:
            raise EOFError("the server hung up")
        data += block
    return data


def read(data):
    """The reply's value. What follows the pickle is left alone, as the mark is there."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.startswith("LONG") and opcode.name not in ("LONG_BINGET", "LONG_BINPUT"):
            raise ValueError("a whole number as %s: %r" % (opcode.name, argument))
    reply = Strict(io.BytesIO(data)).load()
    is_a(reply, tuple, 2)
    is_a(reply[0], int)
    if reply[0] != 0:
        raise ValueError("an error: %r" % (reply,))
    return reply[1]


def is_a(value, kind, length=None):
    """The very type: a bool is no int, and a list no tuple."""
    if type(value) is not kind:
        raise TypeError("%r is no %s" % (value, kind.__name__))
    if length is not None and len(value) != length:
        raise ValueError("%r has not %d members" % (value, length))


def row(rows, index, key, kind):
    is_a(rows, list)
    is_a(rows[index], tuple, 2)
    if rows[index][0] != key:
        raise ValueError("%r is not the row %r" % (rows[index], key))
    is_a(rows[index][1], kind)
    return rows[index][1]


def check_ping(value):
    if value != "pong":
        raise ValueError("%r" % (value,))


def check_version(value):
    is_a(value, str)
    if not re.fullmatch(r"\d+(\.\d+)+\S*", value):
        raise ValueError("%r" % (value,))


def check_number(value):
    is_a(value, int)


def check_status(value, jail):
    number = row(value, 0, "Number of jail", int)
    names = [name.strip() for name in row(value, 1, "Jail list", str).split(",")]
    if len(names) != number or jail not in names:
        raise ValueError("%r" % (value,))


def check_jail(value, addresses):
    is_a(value, list, 2)
    lines, actions = row(value, 0, "Filter", list), row(value, 1, "Actions", list)
    row(lines, 0, "Currently failed", int)
    row(lines, 1, "Total failed", int)
    for path in row(lines, 2, "File list", list):
        is_a(path, str)
    current = row(actions, 0, "Currently banned", int)
    total = row(actions, 1, "Total banned", int)
    banned = row(actions, 2, "Banned IP list", list)
    for address in banned:
        is_a(address, str)
    if current != len(banned) or total < current or banned != addresses:
        raise ValueError("%r" % (value,))


def check_bans(value, addresses):
    is_a(value, list)
    found = []
    for ban in value:
        is_a(ban, str)
        parts = BAN.fullmatch(ban)
        if not parts:
            raise ValueError("%r" % (ban,))
        found.append(parts[1])
    if found != addresses:
        raise ValueError("%r" % (value,))


def check_banned(value, jail, addresses):
    is_a(value, list)
    for each in value:
        is_a(each, dict)
    if {jail: addresses} not in value:
        raise ValueError("%r" % (value,))


def main(path, jail, *addresses):
    addresses = list(addresses)
    checks = [
        (["ping"], check_ping),
        (["status"], lambda value: check_status(value, jail)),
        (["status", jail], lambda value: check_jail(value, addresses)),
        (["version"], check_version),
        (["get", jail, "bantime"], check_number),
        (["get", jail, "findtime"], check_number),
        (["get", jail, "maxretry"], check_number),
        (["get", jail, "banip", "--with-time"], lambda value: check_bans(value, addresses)),
        (["banned"], lambda value: check_banned(value, jail, addresses)),
    ]
    problems = 0
    for name, writer in WRITERS.items():
        # One connection for everything, as they keep theirs.
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(path)
            for words, check in checks:
                try:
                    check(read(exchange(peer, writer(words))))
                except Exception as error:
                    problems += 1
                    print("%s, %s: %s: %s" % (" ".join(words), name, type(error).__name__, error))
    return min(problems, 1)


sys.exit(main(*sys.argv[1:]))
