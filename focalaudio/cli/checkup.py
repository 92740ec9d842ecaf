"""`focalaudio doctor`: what is wrong with an installation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from focalaudio.cli.doctor import examine


def add_doctor(commands: Any) -> None:
    """Add the parser of `focalaudio doctor`.

    Arguments
    ---------
    commands : argparse subparsers
        Changed in place.

    Example
    -------
    >>> add_doctor(argparse.ArgumentParser().add_subparsers())
    """
    parser = commands.add_parser(
        "doctor", help="what is installed, what is wrong, and the way out"
    )
    parser.set_defaults(run=report_findings)


def report_findings(arguments: argparse.Namespace) -> int:
    """Run `focalaudio doctor`.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of the command line.

    Returns
    -------
    int
        0, or 1 if something is wrong.
    """
    findings = examine(Path.cwd())
    for finding in findings:
        print(finding.to_line())
    wrong = sum(not finding.is_well for finding in findings)
    print(f"{wrong} wrong." if wrong else "All is well.")
    return int(wrong > 0)
