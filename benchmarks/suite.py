#!/usr/bin/env python3
"""How long does the test suite take?

    python benchmarks/suite.py [--workers 2] [--tests tests/metrics]

Runs the tests that `make test` runs, a process of one thread on each core.
Before there were half as many, one after the other in one process, and they
took 330 s on a machine of two cores. The slowest set-ups and tests are printed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from answers import Answer, print_answers
from turns import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]
GOAL = "330 s: no slower for twice the tests"
SLOWEST = re.compile(r"([\d.]+)s (setup|call|teardown) +(\S+)")


def main() -> None:
    """Read the options, run the tests, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--tests", nargs="*", default=[], help="only these")
    arguments = parser.parse_args()
    some = arguments.tests
    command = [
        *(sys.executable, "-m", "pytest", "-m", "not slow", *some),
        *("-n", arguments.workers, "--dist", "loadfile"),
    ]
    start, cpu = time.monotonic(), cpu_seconds()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, cpu = time.monotonic() - start, cpu_seconds() - cpu
    passed = re.search(r"(\d+) passed", done.stdout)
    if done.returncode or passed is None:
        raise SystemExit(f"the tests fail: {done.stdout[-300:]}")
    slowest = SLOWEST.findall(done.stdout)
    for took, what, name in slowest:
        print(f"{took:>7} s {what:8} {name}")
    answer = Answer(
        f"the test suite, {'part of it' if some else 'whole'}",
        "before: half the tests, 330 s",
        f"{passed[1]} tests in {seconds:.0f} s, {cpu:.0f} CPU s",
        GOAL,
        ", ".join(
            f"{what} of `{name.split('::')[0]}` {float(took) / cpu:.0%}"
            for took, what, name in slowest[:3]
        ),
    )
    print_answers([answer])


if __name__ == "__main__":
    main()
