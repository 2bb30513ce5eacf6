#!/usr/bin/python3
"""How long a release build from nothing takes, and how large the program is.

    python3 bench/build.py
    python3 bench/build.py --target-dir /tmp/release --keep   # and use it afterwards
"""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--target-dir", help="an empty or missing folder; default: a temporary one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the target folder there")
    arguments = parser.parse_args()
    target = pathlib.Path(arguments.target_dir or tempfile.mkdtemp(prefix="ferroban-build-"))
    if target.exists() and any(target.iterdir()):
        parser.error(f"{target}: not empty; give an empty folder, this one is not ours to clean")
    cargo = ["cargo", "--config", "term.progress.when='never'"]
    # What is downloaded is not part of the figure.
    subprocess.run([*cargo, "fetch", "--locked"], cwd=ROOT, check=True)
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target))
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [*cargo, "build", "--release", "--locked", f"-j{arguments.jobs}", "-p", "ferroban"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = (target / "release" / "ferroban").stat().st_size
    if not arguments.keep:
        shutil.rmtree(target)
    report.heading(f"clean release build, -j{arguments.jobs}")
    report.facts([
        ("wall", f"{wall:.0f} s"),
        ("CPU", f"{cpu:.0f} s"),
        ("program, stripped", f"{size / 1e6:.2f} MB ({size} bytes)"),
    ])


if __name__ == "__main__":
    main()
