"""The patterns of an installed fail2ban as it compiles them, and what CPython finds with them.

`stock.py patterns` writes one line for each set of patterns (a filter with its options):
`S FILTER OPTIONS`, then `P FLAGS PATTERN` for each of its patterns, the prefregex first.

`stock.py answers CORPUS PART PARTS` writes `T TEXT` for each text made of the sample lines, then
for each PARTS-th different pattern `P FLAGS PATTERN` and below it `A` with an item for each text
that matches, `INDEX=SPANS`, or that took too long, `INDEX=T`.

`stock.py lines CORPUS` writes `L FILTER TEXT` for each sample line without its date.

Patterns and texts are hexadecimal UTF-8. Nothing of fail2ban's is kept: it is asked anew each time.
"""

import glob
import itertools
import json
import logging
import os
import random
import re
import signal
import sys
import warnings

import fail2ban.server.strptime  # noqa: F401, must come before the date detector
from fail2ban.client.filterreader import FilterReader
from fail2ban.server.datedetector import DateDetector
from fail2ban.server.filter import Filter

CONFIG = "/etc/fail2ban"
LOGTYPES = ["file", "short", "journal", "rfc5424"]
SECONDS = 0.1


class TooLong(Exception):
    pass


def stop(signum, frame):
    raise TooLong


def commands(name, options):
    reader = FilterReader(name, "jail", options, share_config=None, basedir=CONFIG)
    if not reader.read():
        return
    reader.getOptions(None)
    for command in reader.convert():
        if command[0] == "multi-set":
            for value in command[3]:
                yield command[2], value
        elif command[0] == "set":
            yield command[2], command[3]


def compiled(name, options):
    """The filter's expressions after fail2ban has put them together."""
    it = Filter(None)
    found = list(commands(name, options))
    for command, value in found:
        if command == "maxlines":
            it.setMaxLines(int(value))
    for command, value in found:
        if command == "prefregex":
            it.prefRegex = value
    for command, value in found:
        if command == "addfailregex":
            it.addFailRegex(value)
        elif command == "addignoreregex":
            it.addIgnoreRegex(value)
    parts = [it.prefRegex] if it.prefRegex else []
    parts += it._Filter__failRegex + it._Filter__ignoreRegex
    return [part._regexObj for part in parts]


def option_sets(name, text):
    """Every mode the filter speaks of, with every kind of log."""
    modes = set(re.findall(r"^mdre-(\w+)\s*=", text, re.M))
    modes |= set(re.findall(r"^(\w+)-failregex\s*=", text, re.M)) - {"known"}
    modes = sorted(modes) or [None]
    for mode, logtype in itertools.product([None, *modes], [None, *LOGTYPES]):
        options = {}
        if mode:
            options["mode"] = mode
        if logtype:
            options["logtype"] = logtype
        yield options


def sets(extra=()):
    """(filter, options, compiled expressions), each list of expressions once."""
    seen = set()
    more = {}
    for name, options in extra:
        more.setdefault(name, []).append(options)
    for path in sorted(glob.glob(f"{CONFIG}/filter.d/*.conf")):
        name = os.path.basename(path)[: -len(".conf")]
        if name.endswith("common"):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for options in [*option_sets(name, text), *more.get(name, [])]:
            try:
                regexes = compiled(name, options)
            except Exception:  # a combination that fail2ban itself refuses
                continue
            key = (name, *(regex.pattern for regex in regexes))
            if regexes and key not in seen:
                seen.add(key)
                yield name, options, regexes


def hexed(text):
    return text.encode("utf-8", "replace").hex() or "-"


def flags(regex):
    return "m" if regex.flags & re.MULTILINE else "-"


def records(corpus):
    with open(corpus, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def clean(line):
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


STRANGE = {
    "d": "\u0663\uff15\u00b2",
    "s": "\u00a0\u0085\x1c\u2028\t",
    "w": "\u00e9\u017f\u212a\u0301\u0130\U00010400",
    "p": "\u2019\ufffd\r\x00",
}


def mutated(line, dice):
    """The line with a few characters of each kind exchanged for others of their kind, or not."""
    chars = list(line)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(chars)) if chars else 0
        if not chars:
            break
        c = chars[at]
        kind = "d" if c.isdigit() else "s" if c.isspace() else "w" if c.isalnum() else "p"
        if dice.random() < 0.2:
            kind = dice.choice("dswp")
        chars[at] = dice.choice(STRANGE[kind])
    return "".join(chars)


def cutter():
    """A function that takes the date out of a line."""
    detector = DateDetector()
    detector.addDefaultTemplate()

    def cut(line):
        match, _ = detector.matchTime(line)
        return line[: match.start(1)] + line[match.end(1) :] if match else line

    return cut


def texts(rows, prefixes):
    """Whole lines, lines without their date, what a prefix leaves of them, and strange ones."""
    dice = random.Random(20240611)
    without_date = cutter()
    all_texts = {}
    for line in dict.fromkeys(clean(row["line"]) for row in rows):
        cut = without_date(line)
        made = [line, cut, mutated(cut, dice), cut.replace(": ", ":\n", 1)]
        for prefix in prefixes:
            found = search(prefix, cut + "\n")
            if found not in (None, "T") and "content" in prefix.groupindex:
                content = found.group("content")
                made += [content, mutated(content, dice)]
        for text in made:
            all_texts[text + "\n"] = None
            if dice.random() < 0.05:
                all_texts[text] = None
    return list(all_texts)


def search(regex, text):
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        match = regex.search(text)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return match
    except TooLong:
        return "T"


def spans(match, text):
    plain = text.isascii()
    groups = []
    for group in range(match.re.groups + 1):
        start, end = match.span(group)
        if start < 0:
            groups.append("-")
            continue
        if not plain:
            start, end = (len(text[:at].encode()) for at in (start, end))
        groups.append(f"{start}:{end}")
    return ",".join(groups)


def answers(regex, all_texts):
    items = []
    hung = 0
    for index, text in enumerate(all_texts):
        # A pattern that hangs on many lines would hang the test.
        match = search(regex, text) if hung < 100 else "T"
        if match == "T":
            hung += 1
            items.append(f"{index}=T")
        elif match:
            items.append(f"{index}={spans(match, text)}")
    return items


def main():
    warnings.simplefilter("ignore")
    logging.getLogger("fail2ban").setLevel(logging.CRITICAL + 1)
    signal.signal(signal.SIGALRM, stop)
    if sys.argv[1] == "patterns":
        for name, options, regexes in sets():
            print("S", name, json.dumps(options, separators=(",", ":")))
            for regex in regexes:
                print("P", flags(regex), hexed(regex.pattern))
        return
    rows = records(sys.argv[2])
    if sys.argv[1] == "lines":
        without_date = cutter()
        for service, line in dict.fromkeys((row["service"], clean(row["line"])) for row in rows):
            print("L", service, hexed(without_date(line) + "\n"))
        return
    part, parts = int(sys.argv[3]), int(sys.argv[4])
    asked = [(row["service"], row["options"]) for row in rows]
    different, prefixes = {}, {}
    for _, _, regexes in sets(asked):
        for regex in regexes:
            different[(flags(regex), regex.pattern)] = regex
        if "content" in regexes[0].groupindex:
            prefixes[regexes[0].pattern] = regexes[0]
    all_texts = texts(rows, list(prefixes.values()))
    for text in all_texts:
        print("T", hexed(text))
    for regex in list(different.values())[part::parts]:
        print("P", flags(regex), hexed(regex.pattern))
        print("A", *answers(regex, all_texts))


main()
