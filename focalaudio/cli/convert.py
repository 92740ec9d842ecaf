"""`focalaudio import`: SpeechBrain's published checkpoints -> a bundle."""

from __future__ import annotations

import argparse
from typing import Any

from focalaudio.cli.export import add_bundle_options, say_what_was_written
from focalaudio.cli.paths import take_path

EXAMPLES = """example:
  focalaudio import embedding_model.ckpt classifier.ckpt \\
    --encoder focalnet_base_srf --labels meta/esc50.csv --out my_sounds
"""


def add_import(commands: Any) -> None:
    """Add the parser of `focalaudio import` to argparse's subparsers."""
    parser = commands.add_parser(
        "import",
        help="make a bundle of SpeechBrain's published checkpoints",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "embedding_model",
        type=take_path,
        metavar="EMBEDDING_MODEL",
        help="embedding_model.ckpt, as SpeechBrain publishes it",
    )
    parser.add_argument(
        "classifier",
        type=take_path,
        metavar="CLASSIFIER",
        help="classifier.ckpt beside it",
    )
    encoder = parser.add_mutually_exclusive_group(required=True)
    encoder.add_argument("--encoder", help="for instance focalnet_base_srf")
    encoder.add_argument(
        "--config", type=take_path, help="transformers' own config.json"
    )
    parser.add_argument(
        "--labels",
        type=take_path,
        required=True,
        metavar="FILE",
        help="one label a line in the head's order, or meta/esc50.csv",
    )
    add_bundle_options(parser)
    parser.set_defaults(run=_import, saved="nothing is written")


def _import(arguments: argparse.Namespace) -> None:
    from focalaudio.models.convert import import_checkpoints, read_label_file

    folder = import_checkpoints(
        (arguments.embedding_model, arguments.classifier),
        arguments.out,
        read_label_file(arguments.labels),
        arguments.encoder,
        arguments.config,
        arguments.license,
    )
    say_what_was_written(folder)
