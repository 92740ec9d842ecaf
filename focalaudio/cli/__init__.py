"""The `focalaudio` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from focalaudio.cli.convert import add_import
from focalaudio.cli.doctor import add_doctor
from focalaudio.cli.explain import add_explain
from focalaudio.cli.export import add_export
from focalaudio.cli.ratings import add_ratings
from focalaudio.errors import FocalAudioError
from focalaudio.version import __version__


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, one subcommand per task."""
    parser = argparse.ArgumentParser(
        prog="focalaudio",
        description="What did the sound classifier listen to?",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="what the default model hears in real clips, in seconds"
    )
    demo.add_argument(
        "--train",
        action="store_true",
        help="the whole line on synthesized sounds instead, in a few minutes",
    )
    demo.add_argument("--out", type=Path, default=Path("results/demo"))
    demo.set_defaults(run=demo_command)
    for add in (add_explain, add_export, add_import, add_ratings, add_doctor):
        add(commands)
    return parser


def demo_command(arguments: argparse.Namespace) -> None:
    """Run `focalaudio demo`."""
    from focalaudio.cli import demo

    if arguments.train:
        print(demo.run_demo(arguments.out).describe())
        return
    for line in demo.show_examples(arguments.out / "examples"):
        print(line, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error that the user can mend.

    `argv` is without the program's name; `sys.argv` if None.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (FocalAudioError, OSError, ValueError) as error:
        print(f"focalaudio: {error}", file=sys.stderr)
        return 1
