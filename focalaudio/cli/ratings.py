"""`focalaudio ratings`: what listeners answered -> mean opinion scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from focalaudio.cli.paths import take_path
from focalaudio.errors import escape_text

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
        type=take_path,
        metavar="FILE",
        help="JSON that the page of a listening test saved, one per listener",
    )
    parser.set_defaults(run=_rate, saved="nothing was changed")


def _rate(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from focalaudio.files import digest_file
    from focalaudio.report.ratings import (
        QUESTIONS,
        rate_methods,
        read_ratings,
        tabulate_ratings,
    )
    from focalaudio.report.words import count

    files: dict[str, Path] = {}  # by content
    for path in arguments.files:
        if not path.is_file():
            raise FileNotFoundError(
                f"FILE={path} is no file; give those that the page of a "
                "listening test saved."
            )
        known = files.setdefault(digest_file(path), path)
        if known is not path:
            same = f"{escape_text(path)}, the same as {escape_text(known)}"
            print(f"Left out: {same}")
    answers = [one for path in files.values() for one in read_ratings(path)]
    print(
        f"{count(len(answers), 'rating')} of {count(len(files), 'listener')}, "
        "1 to 5, 95 % intervals"
    )
    for name, words in QUESTIONS.items():
        print(f"  {name}: {words}")
    print("\n".join(tabulate_ratings(rate_methods(answers))))
