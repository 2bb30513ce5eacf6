"""Answers searches with CPython's `re`, for the test that compares it with ours.

Each line of the input is FLAGS, PATTERN and TEXTs, blank-separated, the latter two in hexadecimal UTF-8.
The answer to a pattern is `E message`, or one item for each text: `N` for no match, `T` for too
long, or the byte spans of all groups.
"""

import re
import signal
import sys
import warnings


class TooLong(Exception):
    pass


def stop(signum, frame):
    raise TooLong


def spans(match, text):
    groups = []
    for group in range(match.re.groups + 1):
        start, end = match.span(group)
        if start < 0:
            groups.append("-")
        else:
            start, end = (len(text[:at].encode()) for at in (start, end))
            groups.append(f"{start}:{end}")
    return ",".join(groups)


def search(regex, text):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        match = regex.search(text)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return spans(match, text) if match else "N"
    except (TooLong, SystemError):
        return "T"


def main():
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stop)
    print(f"{sys.version_info.major}.{sys.version_info.minor}")
    for line in sys.stdin:
        flags, pattern, *texts = line.rstrip("\n").split(" ")
        pattern = bytes.fromhex(pattern).decode()
        try:
            regex = re.compile(pattern, sum(getattr(re, flag.upper()) for flag in flags if flag != "-"))
        except (re.error, OverflowError, ValueError) as error:
            print("E", str(error).encode().hex())
            continue
        print(*(search(regex, bytes.fromhex(text).decode()) for text in texts))


main()
