#!/usr/bin/env python3
"""Writes src/unicode/tables.rs from the Unicode data of the Python that runs it.

    python3 tools/unicode_tables.py > src/unicode/tables.rs

Patterns must see the same letters, digits and blanks as CPython's `re`, whose tables may be
older or newer than Rust's, so they are asked for here and checked in.
"""

import sys
import unicodedata
import _sre
from re import _casefix

LAST = 0x110000


def ranges(test):
    """The code points that pass, as [first, last] pairs."""
    found = []
    for code in range(LAST):
        if test(chr(code)):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return found


def lower_runs():
    """Code points with another lower case, as [first, last, step, distance] runs."""
    runs = []
    for code in range(LAST):
        distance = _sre.unicode_tolower(code) - code
        if distance == 0:
            continue
        if runs:
            first, last, step, known = runs[-1]
            gap = code - last
            if known == distance and gap in (1, 2) and (first == last or gap == step):
                runs[-1] = [first, code, gap, known]
                continue
        runs.append([code, code, 1, distance])
    return runs


def table(comment, name, kind, rows):
    print(f"\n/// {comment}\npub(super) const {name}: &[{kind}] = &[")
    for row in rows:
        print(f"    {row},")
    print("];")


def pair(row):
    return f"(0x{row[0]:x}, 0x{row[1]:x})"


def main():
    print("//! Made by `tools/unicode_tables.py` from Unicode", unicodedata.unidata_version)
    print(f"//! (CPython {sys.version_info.major}.{sys.version_info.minor}); not edited by hand.")
    table("What `\\w` matches: `str.isalnum` and the underscore.", "WORD", "(u32, u32)",
          map(pair, ranges(lambda c: c.isalnum() or c == "_")))
    table("What `\\d` matches: `str.isdecimal`.", "DIGIT", "(u32, u32)",
          map(pair, ranges(str.isdecimal)))
    table("What `\\s` matches: `str.isspace`.", "SPACE", "(u32, u32)",
          map(pair, ranges(str.isspace)))
    table("Lower case: first, last, step, distance to the lower letter.", "LOWER",
          "(u32, u32, u32, i32)",
          (f"(0x{a:x}, 0x{b:x}, {step}, {distance})" for a, b, step, distance in lower_runs()))
    table("Lower letters that IGNORECASE takes for another lower letter as well.", "EXTRA",
          "(u32, &[u32])",
          (f"(0x{code:x}, &[{', '.join(f'0x{other:x}' for other in others)}])"
           for code, others in sorted(_casefix._EXTRA_CASES.items())))


main()
