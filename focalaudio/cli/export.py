"""`focalaudio export`: a finished run -> a bundle, here or on a hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from focalaudio.cli.paths import take_path, take_text
from focalaudio.errors import escape_text

EXAMPLES = """examples:
  focalaudio export results/mine/1234 --out my_sounds
  focalaudio export results/mine/1234 --out my_sounds --push me/sounds
  focalaudio export results/all/1234 --out my_sounds \\
      --held-out results/reproduce/4-1/1234/fold_*/focalnet_pyramid/classifier
"""
DECODERS = ("piq", "lmac")  # as in focalaudio.models, which loads slowly


def add_export(commands: Any) -> None:
    """Add the parser of `focalaudio export` to argparse's subparsers."""
    parser = commands.add_parser(
        "export",
        help="make a bundle of a finished run, to use or publish",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", type=take_path, metavar="RUN", help="results/<name>/<seed>"
    )
    for method in DECODERS:
        parser.add_argument(
            f"--{method}",
            type=take_path,
            metavar="RUN",
            help=f"run of train_{method}.py",
        )
    parser.add_argument(
        "--novelty",
        type=take_path,
        metavar="RUN",
        help="run of novelty.py, whose rules say what is like no class",
    )
    parser.add_argument(
        "--held-out",
        type=take_path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="of a run that all clips trained: runs of the same recipe that "
        "each left some out, which choose the temperature",
    )
    parser.add_argument(
        "--push",
        type=take_text,
        metavar="OWNER/NAME",
        help="upload it to the hub; a bundle of this run that is in --out "
        "already is uploaded again",
    )
    add_bundle_options(parser)
    parser.set_defaults(run=_export, saved="nothing is written")


def add_bundle_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that makes a bundle is told."""
    parser.add_argument(
        "--out",
        type=take_path,
        required=True,
        metavar="DIR",
        help="folder of the bundle",
    )
    parser.add_argument(
        "--license", default="apache-2.0", help="of the weights, for the card"
    )


def say_what_was_written(folder: Path) -> None:
    """List the files of a bundle."""
    name = escape_text(folder)
    print(f"{name} is complete: read back, it says the same, bit for bit.")
    for path in sorted(folder.iterdir()):
        print(f"  {escape_text(path)}")


def _export(arguments: argparse.Namespace) -> None:
    from focalaudio.models.export import export_run, is_export
    from focalaudio.models.hub_names import check_hub_name

    folder, name = arguments.out, arguments.push
    how = (
        {method: getattr(arguments, method) for method in DECODERS},
        arguments.license,
        arguments.novelty,
        arguments.held_out,
    )
    if name:
        check_hub_name(name)
    # it may be there already, if it could not be uploaded
    if not name or not is_export(folder, arguments.source, *how):
        export_run(arguments.source, folder, *how)
    say_what_was_written(folder)
    if name:
        from focalaudio.models import push_bundle

        arguments.saved = "{out} is complete, but not known to be uploaded"
        print(f"Published: {push_bundle(folder, name)}")
