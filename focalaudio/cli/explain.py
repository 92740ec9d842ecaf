"""`focalaudio explain`: sounds of one's own -> what a model heard in them."""

from __future__ import annotations

import argparse
import sys
from collections import ChainMap
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from focalaudio.cli.paths import (
    take_names,
    take_option,
    take_path,
    take_text,
)
from focalaudio.errors import escape_text
from focalaudio.memory import quick_imports

if TYPE_CHECKING:
    from focalaudio.inference.folder import FolderExplainer
    from focalaudio.inference.interpreter import SoundInterpreter

MOST_TOLD = 20  # bad files at the end; all of them are in failed.csv
EXAMPLES = """examples:
  focalaudio explain dog.wav
  focalaudio explain recordings/ --out explained
  focalaudio explain 'recordings/**/*.flac' --tables-only
  focalaudio explain dog.wav --target dog --against rooster
  focalaudio explain clips/ --model ./my_sounds --compare gradcam random
  focalaudio explain dog.wav --method rise --options n_masks=64

A folder that was stopped goes on with the same command. Recordings longer than
1.5 times the model's clips are explained window by window, with a timeline.
Exit codes: 0 all well, 1 something failed, 2 wrong use, 130 stopped by Ctrl-C
or SIGTERM.
"""


def add_explain(commands: Any) -> None:
    """Add the parser of `focalaudio explain` to argparse's subparsers."""
    parser = commands.add_parser(
        "explain",
        help="classify sounds; write what they were classified by",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=take_path,
        metavar="FILE",
        help="sound files, folders, or patterns such as 'calls/**/*.wav'",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--model",
        type=take_text,
        metavar="SOURCE",
        help="a bundle's or a run's folder, or owner/name[@revision]; the "
        "model that comes with the package if it is left out",
    )
    source.add_argument(
        "--classifier-from",
        type=take_text,
        metavar="MODULE:FUNCTION",
        help="a function in a Python file of your own, which is run, that "
        "makes the model; see docs/own-classifier.md",
    )
    parser.add_argument(
        "--out",
        type=take_path,
        metavar="DIR",
        default=Path("results/explained"),
        help="folder of the results (%(default)s)",
    )
    parser.add_argument(
        "--device", default="cpu", help="cpu, the default, cuda:0 ..."
    )
    _add_choice(parser)
    _add_output(parser)
    parser.set_defaults(run=_explain, saved="what is done is saved in {out}")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add how it is explained."""
    group = parser.add_argument_group("how it is explained")
    group.add_argument(
        "--target", metavar="CLASS", help="class to explain, not the predicted"
    )
    group.add_argument(
        "--against",
        metavar="CLASS",
        help="what speaks for the target rather than for this class: the "
        "difference of the two classes' maps where it is above 0",
    )
    group.add_argument(
        "--quantile", type=float, help="fraction of cells to drop, 0 to 1"
    )
    group.add_argument(
        "--method",
        help="by_design, rise, gradcam, random ...; piq and lmac if the "
        "model holds their decoder",
    )
    group.add_argument(
        "--maps",
        nargs="+",
        type=take_names,
        metavar="MAP",
        help="of by_design; multiplied",
    )
    group.add_argument("--mask", help="binary, soft, energy or ratio")
    group.add_argument(
        "--options",
        nargs="+",
        type=take_option,
        default=[],
        metavar="NAME=NUMBER",
        help="of the method, such as n_masks=64 of rise",
    )
    group.add_argument(
        "--compare",
        nargs="+",
        type=take_names,
        default=[],
        metavar="METHOD",
        help="other methods on the same clips",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add what is written."""
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--match-loudness",
        action="store_true",
        help="what was kept as loud as the input too, and its gain",
    )
    group.add_argument(
        "--tables-only",
        action="store_true",
        help="no sounds, pictures and report",
    )
    group.add_argument(
        "--stream",
        action="store_true",
        help="a timeline of short recordings too",
    )


def _explain(arguments: argparse.Namespace) -> int:
    """Run the command; a bad file does not stop the others."""
    with quick_imports():
        from focalaudio.inference.folder import FolderExplainer
        from focalaudio.inference.requests import Request
        from focalaudio.inference.sources import need_sounds
        from focalaudio.processes import count_processes, join_processes

    place = join_processes()
    if arguments.device == "cuda":
        arguments.device = f"cuda:{place}"
    sources = need_sounds(arguments.files, arguments.out, "FILE")
    told = sources.describe()
    if told and count_processes()[0] == 0:
        _say(told)
    model = _load(arguments)
    names = ("quantile", "method", "mask", "target", "against")
    maps = chain.from_iterable(arguments.maps or ())
    options = ChainMap(*reversed(arguments.options))
    request = Request(
        **{name: getattr(arguments, name) for name in names},
        maps=tuple(maps) or None,
        options=dict(options) or None,
        compare=tuple(chain.from_iterable(arguments.compare)),
        match_loudness=arguments.match_loudness,
        media=not arguments.tables_only,
        stream=arguments.stream,
        progress=sys.stderr.isatty(),
    )
    with FolderExplainer(model, arguments.out, request) as explainer:
        _run(explainer, sources.files)
        _conclude(explainer, count_processes()[0] == 0)
        return int(bool(explainer.failed))


def _load(arguments: argparse.Namespace) -> SoundInterpreter:
    """Load a model, or let a file of the user's own make it."""
    from focalaudio.inference.interpreter import SoundInterpreter

    run_opts = {"device": arguments.device}
    if arguments.classifier_from is None:
        return SoundInterpreter.from_hparams(arguments.model, run_opts=run_opts)
    from focalaudio.inference.foreign import open_model

    opened = open_model(arguments.model, arguments.classifier_from)
    return SoundInterpreter(opened, run_opts)


def _run(explainer: FolderExplainer, files: list[Path]) -> None:
    """Explain all files, with a line for each and a bar."""
    n_known = 0
    from focalaudio.processes import share

    def tell(path: Path, answer: str) -> None:
        bar.write(f"{escape_text(path)}: {answer}", file=sys.stdout)
        sys.stdout.flush()

    with tqdm(total=len(share(files)), unit="file", disable=None) as bar:
        for outcome in explainer.explain(files, tell):
            bar.update()
            if outcome.error:
                bar.write(f"focalaudio: {outcome.error}", file=sys.stderr)
            for path in outcome.files if len(files) == 1 else ():
                bar.write(f"  {escape_text(path)}", file=sys.stdout)
            n_known += not outcome.is_new
    if n_known:
        _say(f"Done before, and kept as they are: {n_known}")


def _conclude(explainer: FolderExplainer, speaks: bool) -> None:
    """Write the tables; one process says where they are, and what failed."""
    written = explainer.finish()
    if not speaks:
        return
    if written:
        _say("Open:")
    for path in written:
        _say(f"  {escape_text(path)}")
    failed = explainer.failed
    if failed:
        _say(f"Failed: {len(failed)}", sys.stderr)
    for row in failed[:MOST_TOLD]:
        _say(f"  {escape_text(row['path'])}", sys.stderr)
    if len(failed) > MOST_TOLD:
        _say(f"  and {len(failed) - MOST_TOLD} more", sys.stderr)


def _say(line: str, file: Any = None) -> None:
    print(line, file=file or sys.stdout, flush=True)
