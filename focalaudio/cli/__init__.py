"""The `focalaudio` command, one module for each subcommand.

explain  sounds of one's own -> what a model heard in them
demo     the same, of recordings that come along
export   a finished run -> a bundle, here or on a hub
convert  `focalaudio import`: published checkpoints -> a bundle
ratings  what listeners answered -> mean opinion scores
doctor   what is installed, what is wrong, and the way out

paths    what their arguments say
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from focalaudio.cli.convert import add_import
from focalaudio.cli.demo import add_demo
from focalaudio.cli.doctor import add_doctor
from focalaudio.cli.explain import add_explain
from focalaudio.cli.export import add_export
from focalaudio.cli.ratings import add_ratings
from focalaudio.errors import (
    TRACEBACK,
    FocalAudioError,
    describe_error,
    escape_text,
)
from focalaudio.interrupts import obeyed_signals
from focalaudio.memory import keep_freed_memory
from focalaudio.version import __version__

WELL, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
# what a user can mend; other errors are ours, and keep their traceback
MENDABLE = (FocalAudioError, ImportError, MemoryError, OSError, RuntimeError)
DEBUG = "show the traceback of an error"
EPILOG = """examples:
  focalaudio demo
  focalaudio explain recordings/ --out explained
  focalaudio explain --help

Exit codes: 0 all well, 1 something failed, 2 wrong use, 130 stopped by Ctrl-C
or SIGTERM.
"""


class _Parser(argparse.ArgumentParser):
    """Takes `--held_out`, as keys of recipes are spelled, for `--held-out`."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        n_options = given.index("--") if "--" in given else len(given)
        given[:n_options] = map(_spell, given[:n_options])
        self._given = given
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit; say which list took what is missing, if there is one."""
        lists = [
            name
            for action in self._actions
            if action.nargs == "+"
            for name in action.option_strings
            if name in self._given
        ]
        if "arguments are required" in message and lists:
            missing = message.rpartition(": ")[2]
            message += (
                f"; {lists[0]} takes all that follows: put {missing} first"
            )
        super().error(message)


def _spell(word: str) -> str:
    """Write the name of an option with hyphens."""
    name, sign, value = word.partition("=")
    is_option = name.startswith("--")
    return (name.replace("_", "-") if is_option else name) + sign + value


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, one subcommand per task."""
    parser = _Parser(
        prog="focalaudio",
        description="What did the sound classifier listen to?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--debug", action="store_true", help=DEBUG)
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (
        add_demo,
        add_explain,
        add_export,
        add_import,
        add_ratings,
        add_doctor,
    ):
        add(commands)
    for command in commands.choices.values():  # before or after the command
        command.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help=DEBUG,
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Arguments
    ---------
    argv : sequence of str
        Without the program's name; `sys.argv` if None.

    Returns
    -------
    int
        0 if all is well, 1 if something failed, 2 for wrong use, 130 if it was
        stopped by Ctrl-C or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        # a file or a console that has not all letters gets their numbers
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(given)
    keep_freed_memory()
    try:
        with obeyed_signals():
            return arguments.run(arguments) or WELL
    except KeyboardInterrupt:
        _say_what_is_saved(arguments, given)
        return INTERRUPTED
    except (*MENDABLE, ValueError) as error:
        if arguments.debug or os.environ.get(TRACEBACK):
            traceback.print_exc()
        print(f"focalaudio: {describe_error(error)}", file=sys.stderr)
        is_use = not isinstance(error, MENDABLE)
        return WRONG_USE if is_use else FAILED


def _say_what_is_saved(
    arguments: argparse.Namespace, given: Sequence[str]
) -> None:
    """Say in one line what is left, and how to go on."""
    saved = arguments.saved.format(**vars(arguments))
    command = escape_text(shlex.join(["focalaudio", *given]))
    print(
        f"\nfocalaudio: stopped; {escape_text(saved)}, and this goes on: "
        f"{command}",
        file=sys.stderr,
    )
