"""`focalaudio export` and `focalaudio import`: -> a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_export(commands: Any) -> None:
    """Add the parser of `focalaudio export`.

    Arguments
    ---------
    commands : argparse subparsers
        Changed in place.

    Example
    -------
    >>> add_export(argparse.ArgumentParser().add_subparsers())
    """
    parser = commands.add_parser(
        "export", help="make a bundle of a finished run, to use or publish"
    )
    parser.add_argument(
        "source", type=Path, metavar="RUN", help="results/<name>/<seed>"
    )
    parser.add_argument(
        "--piq", type=Path, metavar="RUN", help="run of train_piq.py"
    )
    parser.add_argument(
        "--push", metavar="OWNER/NAME", help="upload it to the hub"
    )
    _add_bundle_options(parser)
    parser.set_defaults(run=export_model)


def add_import(commands: Any) -> None:
    """Add the parser of `focalaudio import`.

    Arguments
    ---------
    commands : argparse subparsers
        Changed in place.

    Example
    -------
    >>> add_import(argparse.ArgumentParser().add_subparsers())
    """
    parser = commands.add_parser(
        "import", help="make a bundle of SpeechBrain's published checkpoints"
    )
    parser.add_argument("embedding_model", type=Path, metavar="EMBEDDING_MODEL")
    parser.add_argument("classifier", type=Path, metavar="CLASSIFIER")
    encoder = parser.add_mutually_exclusive_group(required=True)
    encoder.add_argument("--encoder", help="for instance focalnet_base_srf")
    encoder.add_argument(
        "--config", type=Path, help="transformers' own config.json"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="FILE",
        help="one label a line in the head's order, or meta/esc50.csv",
    )
    _add_bundle_options(parser)
    parser.set_defaults(run=import_model)


def _add_bundle_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--license", default="apache-2.0", help="of the weights, for the card"
    )


def export_model(arguments: argparse.Namespace) -> None:
    """Run `focalaudio export`.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of the command line.
    """
    from focalaudio.models.export import export_run

    folder = export_run(
        arguments.source, arguments.out, arguments.piq, arguments.license
    )
    _say_done(folder)
    if arguments.push:
        from focalaudio.models.fetching import push_bundle

        print(f"Published: {push_bundle(folder, arguments.push)}")


def import_model(arguments: argparse.Namespace) -> None:
    """Run `focalaudio import`.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of the command line.
    """
    from focalaudio.models.convert import (
        import_checkpoints,
        read_label_file,
    )

    folder = import_checkpoints(
        (arguments.embedding_model, arguments.classifier),
        arguments.out,
        read_label_file(arguments.labels),
        arguments.encoder,
        arguments.config,
        arguments.license,
    )
    _say_done(folder)


def _say_done(folder: Path) -> None:
    print(
        f"{folder} is complete: a fresh process loads it and says the same, "
        "bit for bit."
    )
    for path in sorted(folder.iterdir()):
        print(f"  {path}")
