"""`focalaudio demo`: real clips and a model, both of which are there already.

With `--train` the whole line on sounds that the package synthesizes: it runs
the recipes as a user would, under the condition `stems`, which only a
synthetic data set has: how much of the event does a mask keep, and how much
does a random mask of the same size?
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focalaudio.cli.paths import take_path
from focalaudio.memory import quick_imports

SECONDS = 2.5  # of a clip
TRAINING = {  # a plain network that is trained in a minute or two
    "encoder_name": "focalnet_nano",
    "clip_seconds": SECONDS,
    "image_size": [112, 112],
    "image_seconds": None,
    "frequency_axis": "linear",
    "pooling": "mean",
    "share_channels": 0,
    "evidence_weight": 0,
    "max_shift": 1.0,
    "max_speed": 1.0,
    "crop_seconds": None,
    "polarity": 0,
    "mix_probability": 0,
    "max_stripes": 0,
    "view_probability": 0,
    "label_smoothing": 0.1,
    "average_decay": 0,
    "batch_size": 8,
    "number_of_epochs": 36,
    "warmup_epochs": 2,
}


EXAMPLES = """examples:
  focalaudio demo
  focalaudio demo --train --out results/demo
"""


def add_demo(commands: Any) -> None:
    """Add the parser of `focalaudio demo` to argparse's subparsers."""
    parser = commands.add_parser(
        "demo",
        help="what the default model hears in real clips, in seconds",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="the whole line on synthesized sounds instead, in a few minutes",
    )
    parser.add_argument(
        "--out",
        type=take_path,
        metavar="DIR",
        default=Path("results/demo"),
        help="folder of the results (%(default)s)",
    )
    parser.set_defaults(run=_demo, saved="what is done is saved in {out}")


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.train:
        print(run_demo(arguments.out).describe())
        return
    for line in show_examples(arguments.out / "examples"):
        print(line, flush=True)


@dataclass(frozen=True)
class DemoResult:
    """What the demo found on the held-out fold.

    Arguments
    ---------
    accuracy : float
        Share of clips classified right, 0 to 1.
    fidelity : float
        Share of clips whose kept part gets the same class, 0 to 1.
    event_kept : float
        Mean share of the event's energy that the mask keeps, 0 to 1.
    event_kept_at_random : float
        The same for random masks of the same size.
    folder : pathlib.Path
        Where everything is.

    Example
    -------
    >>> result = DemoResult(0.95, 0.8, 0.4, 0.1, Path("results/demo"))
    >>> print(result.describe().splitlines()[0])
    The classifier was right on 95.0 % of the held-out clips.
    """

    accuracy: float
    fidelity: float
    event_kept: float
    event_kept_at_random: float
    folder: Path

    def describe(self) -> str:
        """Return the result in plain words, with the files to open."""
        out = self.folder / "interpretation"
        sounds = out / "interpretations"
        names = sorted(path.stem for path in sounds.glob("*.png"))
        first = names[0] if names else "<clip>"
        return "\n".join(
            (
                f"The classifier was right on {100 * self.accuracy:.1f} % of "
                "the held-out clips.",
                f"Given only what its mask keeps, it says the same on "
                f"{100 * self.fidelity:.1f} %.",
                f"The masks keep {100 * self.event_kept:.1f} % of the events' "
                "energy; random masks of the same size keep "
                f"{100 * self.event_kept_at_random:.1f} %.",
                "Open:",
                f"  {sounds / first}.png  (what it saw)",
                f"  {sounds / first}_kept.wav  (what it listened to)",
                f"  {out / 'clips.csv'}  (all clips)",
                f"  {self.folder / 'classifier' / 'learning_curve.png'}",
                f"  {out / 'report.html'}  (look and listen, in any browser)",
            )
        )


def show_examples(folder: Path) -> Iterator[str]:
    """Explain the clips that come with the package; say what was found.

    Arguments
    ---------
    folder : pathlib.Path
        Gets a picture and three sounds of each clip, and `report.html`, which
        shows and plays all of them. What `explain` wrote into it stays, and is
        on that page, too.

    Yields
    ------
    str
        Lines in plain words, as they become known.

    Raises
    ------
    FileNotFoundError, ModelError
        If this installation has no model or no clips, or they are damaged.
    DataError
        If the folder holds what would be replaced. Nothing is written then.
    """
    with quick_imports():
        from focalaudio.audio import load_wav
        from focalaudio.data.examples import list_examples
        from focalaudio.inference.folder import FolderExplainer
        from focalaudio.inference.interpreter import SoundInterpreter
        from focalaudio.inference.reporting import explain_for_page
        from focalaudio.inference.requests import Request
        from focalaudio.report.page import Page

    examples = list_examples()
    model = SoundInterpreter.from_hparams()
    names = []  # of the clips
    with FolderExplainer(model, folder, Request(report=False)) as explainer:
        yield "What was recorded, and what the default model says it is:"
        outcomes = explainer.explain([example.path for example in examples])
        for example, outcome in zip(examples, outcomes, strict=True):
            yield f"  {example.label}: {outcome.answer}"
            names.append(explainer.store.names[os.path.abspath(outcome.path)])
            if names[-1] not in explainer.report.page:
                wav = load_wav(example.path, model.sample_rate)
                clip = explain_for_page(model, wav, names[-1], example.label)
                explainer.report.page.add(clip)
        explainer.finish()
        page = Page("What the default model heard", model.labels)
        report = explainer.report.page.finish(page, keep_parts=True)
    first = names[0]
    yield "Open:"
    yield f"  {folder / first}.png  (what it saw)"
    yield f"  {folder / first}_kept.wav  (what it listened to)"
    yield f"  {folder}  (the other clips)"
    yield "Recordings of ESC-10 (K. J. Piczak, CC BY), which trained it, too:"
    yield from (f"  {example.credit()}" for example in examples)
    yield "Your own sounds: focalaudio explain FILE"
    yield "Look and listen, in any browser:"
    yield f"  {report}"


def run_demo(folder: str | Path) -> DemoResult:
    """Synthesize a data set, train on it, interpret it, check the masks.

    Arguments
    ---------
    folder : str or pathlib.Path
        Everything goes there; what a stopped demo left is taken up again.

    Returns
    -------
    DemoResult
        Of the held-out fold.
    """
    from focalaudio.data.synthetic import write_dataset
    from focalaudio.report.tables import read_csv
    from focalaudio.reproduction.launch import run_recipe

    folder = Path(folder)
    dataset = write_dataset(
        folder / "dataset", clips_per_class=60, seed=0, seconds=SECONDS
    )
    run, out = folder / "classifier", folder / "interpretation"
    print("1 of 2: a classifier is trained on synthesized sounds.", flush=True)
    run_recipe("train_classifier", run, (), data_folder=dataset, **TRAINING)
    print("2 of 2: what it listens to, in clips it has not heard.", flush=True)
    run_recipe(
        "interpret",
        out,
        data_folder=dataset,
        classifier=run,
        condition="stems",
        compare=[{"method": "random"}],
        max_clips=20,
    )
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    _, at_random, *_ = read_csv(out / "comparison.csv")
    return DemoResult(
        metrics["accuracy"],
        metrics["fidelity"],
        metrics["source_kept"],
        at_random["source_kept"],
        folder,
    )
