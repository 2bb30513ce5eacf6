"""What a measurement prints: where it was taken, and small Markdown tables."""

import datetime
import os
import pathlib
import platform
import statistics


def heading(title):
    """The title, and what a reader needs to judge the figures."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    date = datetime.date.today().isoformat()
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}"
    print(f"\n## {title}\n{date}, {machine}, load average {load}, priority {_priority()}\n", flush=True)


def facts(rows):
    """Figures of one program."""
    table(["", "Ferroban"], rows)


def compare(rows, digits=1):
    """Rows of (what, ours, theirs, unit), with the ratio theirs : ours.

    Where a side was not measured, its figure is None.
    """
    shown = []
    for what, ours, theirs, unit in rows:
        ratio = "" if not ours or theirs is None else f"{theirs / ours:.{0 if theirs / ours >= 10 else 1}f}"
        shown.append((what, _figure(ours, unit, digits), _figure(theirs, unit, digits), ratio))
    table(["", "Ferroban", "fail2ban", "ratio"], shown)


def table(head, rows):
    lines = [head, *rows]
    widths = [max(len(str(line[column])) for line in lines) for column in range(len(head))]
    pad = lambda line: "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths)) + " |"
    print(pad(head))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(pad(row))
    print(flush=True)


def percentile(values, percent):
    """The value below which `percent` of `values` lie."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _figure(value, unit, digits):
    return "not measured" if value is None else f"{value:,.{digits}f} {unit}".strip()


def _priority():
    """Ours, and where the kernel shares time among sessions, our session's."""
    try:
        session = pathlib.Path("/proc/self/autogroup").read_text().split()[-1]
    except OSError:
        session = "0"
    own = os.getpriority(os.PRIO_PROCESS, 0)
    return f"raised ({own}, session {session})" if own < 0 or int(session) < 0 else "ordinary"
