"""What Debian's fail2ban makes of lines: the answers that ours are compared with.

The first word of the command line is a configuration folder, which is read by fail2ban's
own reader. Each line of the input is a question in JSON:

    {"jail": NAME, "journal": BOOL, "live": BOOL, "learns": BOOL, "limit": SECONDS,
     "lines": [BYTES AS LATIN-1, ...]}

The jail is made anew for each question, by the commands that fail2ban's client would
send, so that no question knows of another. All lines of a question go through its one
filter, from the journal or from a file; they are "live" or what is read before the end
of a log is reached. Unless it "learns", the filter looks for dates in each line as if it
were the first. The answer is one line of JSON:

    [[FAILURE, ...] | "slow" | "error: ...", ...]

with one item for each line; nothing is told of the lines behind one that was too slow,
since what did not come to an end may have left the filter in any state. A failure is
{"id", "micros", "captures", "users", "matches"}, its time in microseconds since the
epoch. The answer for a jail that cannot be made is {"none": WHY}.

The time is 2005-08-14 12:00:00 in a zone with the rules of central Europe.
"""

import json
import logging
import os
import re
import signal
import sys
import time

try:
    from fail2ban.client.jailsreader import JailsReader
    from fail2ban.server.datedetector import DateDetector
    from fail2ban.server.filter import FileContainer
    from fail2ban.server.mytime import MyTime
    from fail2ban.server.server import Server
    from fail2ban.server.transmitter import Transmitter
except ImportError:
    sys.exit(77)

NOW = 1124013600
# Said by the filter to itself, or carried beside the captures.
INTERNAL = {
    "content", "nofail", "mlfgained", "mlfforget", "mlfpending", "cidr",
    "matches", "nofail-matches", "users", "ip",
}


class TooSlow(BaseException):
    """Not an Exception, so that nobody on the way takes it for one."""


def too_slow(*_):
    raise TooSlow


def commands_by_jail(folder):
    reader = JailsReader(basedir=folder)
    reader.read()
    reader.getOptions(None, ignoreWrong=True)
    commands = {}
    for command in reader.convert(allow_no_files=True):
        if command[0] in ("add", "set", "multi-set"):
            commands.setdefault(command[1], []).append(command)
    return commands


def make(server, transmitter, name, commands):
    for command in commands:
        status, answer = transmitter.proceed(command)
        if status:
            return None, "%s: %r" % (command[:3], answer)
    if not commands:
        return None, "it was not read"
    return server._Server__jails[name].filter, None


def shown(failure):
    _, who, when, data = failure
    captures = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in data.items()
        if value is not None and name not in INTERNAL
    }
    matches = ["".join(parts) for parts in data.get("matches") or ()]
    users = sorted(data.get("users") or ())
    return {
        "id": str(who),
        "micros": min(round(when * 1000000), 2**63 - 1),
        "captures": captures,
        "users": users,
        "matches": matches,
    }


def forget_dates(filter, transmitter, commands):
    filter.dateDetector = DateDetector()
    for command in commands:
        if command[2:3] == ["datepattern"]:
            transmitter.proceed(command)


def ask(filter, line, question):
    text = FileContainer.decode_line("corpus", "UTF-8", line.encode("latin-1"))
    text = text.rstrip("\r\n")
    arguments = (text,)
    if question["journal"]:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000 ", time.localtime(NOW))
        arguments = (("", stamp, text), NOW)
    signal.setitimer(signal.ITIMER_VIRTUAL, question["limit"])
    try:
        return [shown(failure) for failure in filter.processLine(*arguments)]
    except TooSlow:
        return "slow"
    except Exception as error:
        return "error: %r" % error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def answer(server, transmitter, commands, question):
    filter, why = make(server, transmitter, question["jail"], commands)
    if filter is None:
        return {"none": why}
    filter.inOperation = question["live"]
    results = []
    for line in question["lines"]:
        if not question["learns"]:
            forget_dates(filter, transmitter, commands)
        results.append(ask(filter, line, question))
        if results[-1] == "slow":
            break
    return results


def main():
    logging.disable(logging.CRITICAL)
    os.environ["TZ"] = "CET-01CEST-02,M3.5.0,M10.5.0"
    time.tzset()
    MyTime.setTime(NOW)
    # Time of the processor, so that it does not matter what else goes on.
    signal.signal(signal.SIGVTALRM, too_slow)
    # Each question compiles the same regexes again.
    re._MAXCACHE = 100000
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    commands = commands_by_jail(sys.argv[1])
    server = Server(False)
    transmitter = Transmitter(server)
    for text in sys.stdin.readlines():
        question = json.loads(text)
        own = commands.get(question["jail"], [])
        print(json.dumps(answer(server, transmitter, own, question)))
        jails = server._Server__jails
        if question["jail"] in jails:
            del jails[question["jail"]]


main()
