"""`focalaudio ratings`: what listeners answered -> mean opinion scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """example:
  focalaudio ratings ratings-*.json
"""


def add_ratings(commands: Any) -> None:
    """Add the parser of `focalaudio ratings` to argparse's subparsers."""
    parser = commands.add_parser(
        "ratings",
        help="mean opinion scores of listening tests, by method",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="JSON that the page of a listening test saved, one per listener",
    )
    parser.set_defaults(run=_rate, saved="nothing was changed")


def _rate(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from focalaudio.report.ratings import (
        QUESTIONS,
        rate_methods,
        read_ratings,
        tabulate_ratings,
    )

    answers = [one for path in arguments.files for one in read_ratings(path)]
    n_files = len(arguments.files)
    print(
        f"{len(answers)} ratings of {n_files} listeners, 1 to 5, 95 % intervals"
    )
    for name, words in QUESTIONS.items():
        print(f"  {name}: {words}")
    print("\n".join(tabulate_ratings(rate_methods(answers))))
