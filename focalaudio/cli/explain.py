"""`focalaudio explain`: sounds of one's own -> what a model heard in them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focalaudio.errors import AudioError

if TYPE_CHECKING:
    from focalaudio.inference.interpreter import SoundInterpreter
    from focalaudio.interpreters import Interpretation


def add_explain(commands: Any) -> None:
    """Add the parser of `focalaudio explain` to argparse's subparsers."""
    parser = commands.add_parser(
        "explain", help="classify sounds; write what they were classified by"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--model",
        metavar="SOURCE",
        help="a bundle's or a run's folder, or owner/name[@revision]; the "
        "model that comes with the package if it is left out",
    )
    parser.add_argument(
        "--classifier_from",
        metavar="MODULE:FUNCTION",
        help="a function in a Python file of your own, which is run, that "
        "makes the model; see docs/own-classifier.md",
    )
    parser.add_argument("--out", type=Path, default=Path("results/explained"))
    parser.add_argument("--target", help="label to explain, not the predicted")
    parser.add_argument(
        "--quantile", type=float, help="fraction of cells to drop, 0 to 1"
    )
    parser.add_argument("--method", help="by_design, piq, gradcam, random ...")
    parser.add_argument(
        "--maps", nargs="+", metavar="MAP", help="of by_design; multiplied"
    )
    parser.add_argument("--mask", help="binary, soft, energy or ratio")
    parser.add_argument(
        "--match-loudness",
        action="store_true",
        help="write what was kept as loud as the input too, and its gain",
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="recordings of any length: a sound and a timeline, no picture",
    )
    parser.add_argument("--device", default="cpu")
    parser.set_defaults(run=_explain_files)


def _explain_files(arguments: argparse.Namespace) -> int:
    """Run the command; a bad file does not stop the others."""
    from focalaudio.inference.interpreter import SoundInterpreter

    if arguments.stream and arguments.target is not None:
        raise ValueError(
            f"target={arguments.target!r} does not go with --stream, which "
            "explains what each window is classified as; leave one out."
        )
    run_opts = {"device": arguments.device}
    if arguments.classifier_from is None:
        model = SoundInterpreter.from_hparams(
            arguments.model, run_opts=run_opts
        )
    else:
        from focalaudio.inference.foreign import open_model

        opened = open_model(arguments.model, arguments.classifier_from)
        model = SoundInterpreter(opened, run_opts)
    explain = _stream_file if arguments.stream else _explain_clip
    failed = 0
    names = _name_clips(arguments.files)
    for path, clip_id in zip(arguments.files, names, strict=True):
        try:
            lines = explain(model, path, clip_id, arguments)
        except (AudioError, FileNotFoundError) as error:
            print(f"focalaudio: {error}", file=sys.stderr)
            failed = 1
            continue
        print("\n".join(lines))
    return failed


def _choice_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how it shall be explained; None is the model's own."""
    names = ("quantile", "method", "maps", "mask")
    return {name: getattr(arguments, name) for name in names}


@dataclass(frozen=True)
class Explainer:
    """A model, and the folder where its explanations go.

    Arguments
    ---------
    model : SoundInterpreter
        Explains.
    folder : pathlib.Path
        Made when the first clip comes.
    match_loudness : bool
        See `focalaudio.report.clips.InterpretationExporter`.
    """

    model: SoundInterpreter
    folder: Path
    match_loudness: bool = False

    def answer(self, path: Path, clip_id: str, **choice: Any) -> str:
        """Explain one clip, write it, and return the answer in words.

        `choice` are arguments of `SoundInterpreter.explain_file`.
        """
        from focalaudio.report.clips import InterpretationExporter

        model = self.model
        found = model.explain_file(path, **choice)
        exporter = InterpretationExporter(
            self.folder,
            model.spectrogram,
            model.labels,
            match_loudness=self.match_loudness,
        )
        exporter(found, [clip_id], [None])
        return _describe(found, model)


def _explain_clip(
    model: SoundInterpreter,
    path: Path,
    clip_id: str,
    arguments: argparse.Namespace,
) -> list[str]:
    """Explain one clip, write it, and return what to say of it."""
    explainer = Explainer(model, arguments.out, arguments.match_loudness)
    choice = {"target": arguments.target, **_choice_of(arguments)}
    answer = explainer.answer(path, clip_id, **choice)
    sounds = sorted(arguments.out.glob(f"{clip_id}_*.wav"))
    return [
        f"{path}: {answer}",
        *(f"  {sound}" for sound in sounds),
        f"  {arguments.out / clip_id}.png",
    ]


def _stream_file(
    model: SoundInterpreter,
    path: Path,
    clip_id: str,
    arguments: argparse.Namespace,
) -> list[str]:
    """Explain a recording window by window; return what to say of it."""
    result = model.explain_stream(
        path, arguments.out / clip_id, **_choice_of(arguments)
    )
    heard = (
        f"  {each.start:.2f} - {each.end:.2f} s: {each.label} "
        f"({each.probability:.3f})"
        for each in result.segments
    )
    files = (result.kept, result.windows, result.labels)
    return [f"{path}:", *heard, *(f"  {written}" for written in files)]


def _describe(found: Interpretation, model: SoundInterpreter) -> str:
    """Return label and probability of a clip, and what is explained."""
    probs, explained = found.probs[0], int(found.class_ids[0])
    predicted = int(probs.argmax())
    line = f"{model.labels[predicted]} ({probs[predicted]:.3f})"
    if found.is_known is not None and not found.is_known[0]:
        line = f"no evidence for any class (closest: {model.labels[predicted]})"
    if explained != predicted:
        label = model.labels[explained]
        line += f", explained: {label} ({probs[explained]:.3f})"
    return line


def _name_clips(paths: Sequence[Path]) -> Iterator[str]:
    """Name clips by their files; files of one name get numbers."""
    given: set[str] = set()
    for path in paths:
        stem = name = path.stem
        number = 1
        while name in given:
            number += 1
            name = f"{stem}-{number}"
        given.add(name)
        yield name
