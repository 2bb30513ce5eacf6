"""fail2ban's own date detector, asked line by line.

Reads `D TAB zone TAB log zone TAB patterns` (a new detector; the patterns are parted
by the unit separator, a log zone of `-` is none) and `L TAB now TAB line`. Answers
each: the names and expressions of the templates, or what is wrong with them; and
where a date is cut and what it tells, and the place of its template. Positions are
in bytes.
"""
import logging, os, re, sys, time, types

try:
    from fail2ban.server import datedetector as dd
    from fail2ban.server.mytime import MyTime
    from fail2ban.server.utils import Utils
except ImportError:
    sys.exit(77)

logging.disable(logging.CRITICAL)
sys.stdin.reconfigure(encoding="utf-8", newline="\n")
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
# When a template was last used is what the questions say.
dd.time = types.SimpleNamespace(time=MyTime.time)
# The one default template that 1.1 changed.
dd.DateDetectorCache.DEFAULT_TEMPLATES[13] = (
    r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?")

zone, detector = None, None


def new_detector(wanted, log_zone, patterns):
    global zone, detector
    if wanted != zone:
        zone = os.environ["TZ"] = wanted
        time.tzset()
    dd.DD_patternCache = Utils.Cache(maxCount=1000, maxTime=60 * 60)
    detector = dd.DateDetector()
    if log_zone != "-":
        detector.default_tz = log_zone
    try:
        for pattern in filter(None, patterns.split("\x1f")):
            detector.appendTemplate(pattern)
        for template in detector.templates:
            re.compile(template.regex)
    except re.error as error:
        return "broken"
    except Exception as error:
        return "refused\t" + str(error)
    # How it shows these two depends on the order of a set.
    names = [t.name.replace("Ex%k", "%Exk").replace("Ex%l", "%Exl") for t in detector.templates]
    templates = [n + "\x1e" + t.regex for n, t in zip(names, detector.templates)]
    # Each detector is asked as if it were the only one.
    for t in detector.templates + dd.DateDetector._defCache.templates:
        getattr(t, "template", t).hits = 0
    return "\x1f".join(["made"] + templates)


def answer(now, line):
    MyTime.setTime(int(now))
    try:
        match = detector.matchTime(line)
    except (IndexError, re.error):
        return "failed"
    if not match[0]:
        return "nothing"
    place = detector._DateDetector__lastTemplIdx
    start, end = match[0].span(1)
    if start >= end:
        return "empty\t%d" % place
    cut = "%d\t%d\t%d\t" % (place, len(line[:start].encode()), len(line[:end].encode()))
    try:
        told = detector.getTime(line, match)
    except KeyError as error:
        return cut + "zone\t" + error.args[0]
    except TypeError:
        return cut + "incomplete"
    except Exception:
        return cut + "failed"
    if told is None or told[0] is None:
        return cut + "no time"
    return cut + "%d" % min(round(told[0] * 1000000), 2**63 - 1)


for question in sys.stdin:
    kind, *rest = question[:-1].split("\t", 1)
    if kind == "D":
        print(new_detector(*rest[0].split("\t")))
    else:
        print(answer(*rest[0].split("\t", 1)))
