"""`history, rows of a training run -> metrics.json, clips.csv, pictures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from speechbrain.utils.distributed import if_main_process
from torch import Tensor

from focalaudio.decisions import ONE, Decision
from focalaudio.metrics.precision import describe_precision, mean_precision
from focalaudio.pictures import (
    draw_confusion,
    draw_learning_curve,
    save_picture,
)
from focalaudio.processes import meet
from focalaudio.report.classes import describe_classes, write_classes
from focalaudio.report.evaluation import Rows, write_evaluation
from focalaudio.report.tables import write_csv, write_table

DIGITS = 12  # of probabilities, those that count
PROBABILITIES = "probabilities.csv"


def write_history(folder: Path, history: Rows, kept: int | None = None) -> None:
    """Write how a training run got where it is; of processes, one does it.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `history.csv` and `learning_curve.png`.
    history : sequence of mapping
        One row per epoch; without any, nothing is written.
    kept : int
        The epoch that was kept and tested, if it is known.
    """
    if if_main_process() and history:
        write_csv(history, folder / "history.csv")
        curve = draw_learning_curve(history, kept)
        save_picture(curve, folder / "learning_curve.png")
    meet()


def write_training_report(
    folder: Path,
    rows: Rows,
    labels: Sequence[str],
    temperature: float = 1.0,
    said: tuple[Tensor, Tensor] | None = None,
    decision: Decision = ONE,
) -> dict[str, Any]:
    """Write what a training run reached.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `metrics.json`, `clips.csv`, `classes.csv`, `classes.md`; of one
        label for each clip `confusion.png`; and, if it is known what was said,
        `probabilities.csv`, those of every class at a temperature of 1.
    rows : sequence of mapping
        One per test clip, as `ClassifierBrain` collects them.
    labels : sequence of str
        In the order of the class ids.
    temperature : float
        That the rows' `probability_scaled` was scaled by.
    said : tuple of torch.Tensor
        Logits and marks (1 of the true classes) of the rows, each `[clips,
        n_classes]`; needed where a clip has several labels.
    decision : Decision
        What the logits mean.

    Returns
    -------
    dict
        What `metrics.json` holds.

    Example
    -------
    >>> row = {"clip_id": "a", "label": "dog", "predicted": "dog"}
    >>> row |= {"accuracy": 1.0, "loss": 0.1, "probability": 0.9}
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_training_report(folder, [row], ["dog"])
    >>> metrics["accuracy"], round(metrics["calibration_error"], 4)
    (1.0, 0.1)
    """
    settings: dict[str, Any] = {"temperature": temperature}
    if said is not None and decision.is_several:
        settings["average_precision"] = mean_precision(*said)
    if if_main_process():
        if said is not None:
            probs = decision.probs(said[0].double())
            _write_probabilities(folder, rows, labels, probs)
        if said is not None and decision.is_several:
            write_classes(describe_precision(*said, labels), folder)
        else:
            _write_one(folder, rows, labels)
    # last: a run that has its metrics has everything
    return write_evaluation(folder, rows, settings)


def _write_one(folder: Path, rows: Rows, labels: Sequence[str]) -> None:
    """Write what each class is taken for."""
    write_classes(describe_classes(rows, labels), folder)
    confusion = draw_confusion(_count_confusions(rows, labels), labels)
    save_picture(confusion, folder / "confusion.png")


def _write_probabilities(
    folder: Path, rows: Rows, labels: Sequence[str], probs: Tensor
) -> None:
    """Write what every class of every clip was given."""
    cells = [
        (row["clip_id"], *(f"{value:.{DIGITS}g}" for value in own))
        for row, own in zip(rows, probs.tolist(), strict=True)
    ]
    write_table(("clip_id", *labels), cells, folder / PROBABILITIES)


def _count_confusions(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> Tensor:
    """Count clips: true class by row, predicted class by column."""
    said = pd.DataFrame(list(rows))
    counts = pd.crosstab(said["label"], said["predicted"])
    counts = counts.reindex(
        index=list(labels), columns=list(labels), fill_value=0
    )
    return torch.tensor(counts.to_numpy())
