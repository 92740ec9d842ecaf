"""`data set, folder, noise -> groups of sounds`: those a rule is tried on.

Clips of the classes that a model knows, split by split, and sounds that should
get no answer: classes that were left out, other sounds, noise, silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focalaudio.audio import list_sounds, load_wav
from focalaudio.data.folders import read_clips
from focalaudio.data.manifests import Manifest
from focalaudio.data.splits import Names, Splits
from focalaudio.errors import DataError
from focalaudio.models.load import list_numbers
from focalaudio.models.model import SoundModel
from focalaudio.report.held_out import Answers, read_held_out

SECONDS = 5.0  # of what is synthesized
LISTS = {"noise_levels": "[0, -20]", "piece_seconds": "[0.5, 1.0]"}
VALID, TEST, LEFT_OUT, SILENCE = "valid", "test", "left_out", "silence"


@dataclass(frozen=True)
class Sounds:
    """Clips of a data set as a model sees them, and sounds of no class.

    Arguments
    ---------
    model : SoundModel
        What is known is what it was trained on.
    data_folder : str or pathlib.Path
        See `focalaudio.data.folders.read_clips`. Classes that the model does
        not know are no error: they are the group `left_out`.
    train_folds, valid_folds, test_folds : sequence of int or str
        Those of the model.
    others : str or pathlib.Path
        A folder of sounds of no class, such as speech; none if None.
    max_others : int
        So many of them, evenly spread over the sorted names.
    noise_levels : sequence of float
        dB, peaks of white noise; one stands for a list.
    n_noises : int
        Clips of each level.
    piece_seconds : sequence of float
        s: the loudest pieces of so long of the test clips are groups of their
        own, `test_<seconds>_s`. A rule should not refuse what is short. One
        stands for a list.
    manifest, columns, pattern, n_folds, fold_seed
        As `data_folder`.
    classifier : str or pathlib.Path
        The model's folder: its made folds are used.
    held_out : sequence of str, or str
        Of a model that has heard all clips: the folders of runs of the same
        recipe that each left some out, or a pattern of them, such as
        `results/reproduce/4-1/1234/fold_*/focalnet/classifier`. Their test
        clips stand for those of the validation folds.

    Raises
    ------
    DataError
        If the data contradicts itself, or a folder has no sounds.
    ValueError
        If a level, or the duration of a piece, is none.
    """

    model: SoundModel
    data_folder: str | Path
    train_folds: Names
    valid_folds: Names
    test_folds: Names
    others: str | Path | None = None
    max_others: int = 300
    noise_levels: Sequence[float] = (0, -20, -40, -60)
    n_noises: int = 50
    piece_seconds: Sequence[float] = (1.0,)
    manifest: Manifest | None = None
    columns: Mapping[str, str | None] | None = None
    pattern: str | None = None
    n_folds: int = 5
    fold_seed: int = 0
    classifier: str | Path | None = None
    held_out: Sequence[str | Path] | str = ()

    def __post_init__(self) -> None:
        for name, example in LISTS.items():
            numbers = list_numbers(name, getattr(self, name), example)
            object.__setattr__(self, name, numbers)
        if any(seconds <= 0 for seconds in self.piece_seconds):
            raise ValueError(
                f"piece_seconds={self.piece_seconds} must be above 0 s."
            )

    @cached_property
    def answers(self) -> list[Answers]:
        """What the runs of `held_out` said, each of its own clips."""
        runs = self.held_out
        if isinstance(runs, str):
            runs = sorted(glob(runs))
            if not runs:
                raise DataError(f"held_out={self.held_out} finds no folder.")
        if runs and (self.valid_folds or self.test_folds):
            raise DataError(
                "held_out is of a model that all clips trained: valid_folds="
                f"{self.valid_folds} and test_folds={self.test_folds} must be "
                "[] then."
            )
        decision = self.model.classifier.decision
        return read_held_out(runs, self.model.labels, decision)

    @cached_property
    def clips(self) -> Any:
        """All clips, a table: `clip_id`, `path`, `fold`, and `class_id`.

        The latter is -1 of a class that is none of the model's.
        """
        if self.model.classifier.decision.is_several:
            raise DataError(
                "novelty.py asks whether a clip is of its one class; a model "
                "of several labels says of each whether it is there."
            )
        table, _ = read_clips(
            self.data_folder,
            self.manifest,
            self.columns,
            self.pattern,
            self.n_folds,
            self.fold_seed,
            [Path(self.classifier)] if self.classifier else [],
        )
        ids = {label: place for place, label in enumerate(self.model.labels)}
        table["class_id"] = table["label"].map(lambda label: ids.get(label, -1))
        return table

    @cached_property
    def rows(self) -> dict[str, list[tuple[str, int]]]:
        """Paths and class ids, split by split."""
        splits = Splits(self.train_folds, self.valid_folds, self.test_folds)
        folds, table = splits.parts, self.clips
        # what is of no class was not trained on, in whatever fold it is
        shown = folds[TEST] or tuple(table["fold"].unique())
        known = table[table["class_id"] >= 0]
        parts = {
            "train": known[known["fold"].isin(folds["train"])],
            VALID: known[known["fold"].isin(folds[VALID])],
            TEST: known[known["fold"].isin(folds[TEST])],
            LEFT_OUT: table[
                (table["class_id"] < 0) & table["fold"].isin(shown)
            ],
        }
        rows = {
            name: list(zip(part["path"], part["class_id"], strict=True))
            for name, part in parts.items()
        }
        needed = ("train",) if self.held_out else ("train", VALID, TEST)
        empty = [name for name in needed if not rows[name]]
        if empty:
            raise DataError(
                f"data_folder={self.data_folder} has no clip of the model's "
                f"classes in the folds of {', '.join(empty)}."
            )
        return rows

    @property
    def tested(self) -> dict[str, str]:
        """The label of each clip that a threshold is chosen or tried by."""
        splits = Splits(self.train_folds, self.valid_folds, self.test_folds)
        folds = (*splits.parts[VALID], *splits.parts[TEST])
        own = self.clips[self.clips["fold"].isin(folds)]
        return dict(zip(own["name"], own["label"], strict=True))

    def unknown(self) -> Iterator[tuple[str, Iterable[Tensor]]]:
        """Yield groups of waveforms that are like no class: name, clips."""
        rate = self.model.reader.sample_rate
        length = round(SECONDS * rate)
        for level in self.noise_levels:
            yield (
                f"noise_{level:g}_db",
                _make_noise(length, 10 ** (level / 20), self.n_noises),
            )
        offset = torch.full((length,), 0.1)
        yield SILENCE, [torch.zeros(length), offset]
        if self.others is not None:
            paths = _list_sounds(Path(self.others), self.max_others)
            yield "others", (load_wav(path, rate) for path in paths)
        left_out = [path for path, _ in self.rows[LEFT_OUT]]
        if left_out:
            yield LEFT_OUT, (load_wav(path, rate) for path in left_out)


def cut_loudest(wav: Tensor, n_samples: int, step: int = 1) -> Tensor:
    """Return the piece of a waveform that has the most energy.

    Arguments
    ---------
    wav : torch.Tensor
        `[samples]`.
    n_samples : int
        Of the piece; a shorter waveform is returned whole.
    step : int
        Samples from piece to piece.

    Returns
    -------
    torch.Tensor
        `[n_samples]` at the most.

    Example
    -------
    >>> cut_loudest(torch.tensor([0.0, 2.0, -2.0, 1.0]), 2)
    tensor([ 2., -2.])
    """
    energy = wav.double().square().unfold(0, min(n_samples, len(wav)), step)
    start = step * int(energy.sum(1).argmax())
    return wav[start : start + n_samples]


def _make_noise(length: int, peak: float, n_clips: int) -> Iterator[Tensor]:
    """Yield white noise, the same every time."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_clips):
        wav = torch.randn(length, generator=generator)
        yield wav * (peak / wav.abs().max())


def _list_sounds(folder: Path, most: int) -> list[Path]:
    """Return at most so many sounds of a folder, evenly spread."""
    found = list_sounds(folder, "others")
    step = max(1.0, len(found) / most)
    return [found[int(place * step)] for place in range(min(most, len(found)))]
