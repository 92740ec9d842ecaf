"""`rows and history of a training run -> metrics.json, clips.csv, pictures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from speechbrain.utils.distributed import if_main_process
from torch import Tensor

from focalaudio.decisions import SEVERAL
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

DIGITS = 6  # of probabilities


def write_training_report(
    folder: Path,
    rows: Rows,
    history: Rows,
    labels: Sequence[str],
    temperature: float = 1.0,
    said: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Any]:
    """Write what a training run reached and how it got there.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `metrics.json`, `clips.csv`, `classes.csv`, `classes.md`,
        `history.csv`, `learning_curve.png`, and `confusion.png`, or, of several
        labels, `probabilities.csv` instead.
    rows : sequence of mapping
        One per test clip, as `ClassifierBrain` collects them.
    history : sequence of mapping
        One per epoch.
    labels : sequence of str
        In the order of the class ids.
    temperature : float
        That the rows' `probability_scaled` was scaled by.
    said : tuple of torch.Tensor
        Where a clip has several labels: logits and marks (1 of the true
        classes) of the rows, each `[clips, n_classes]`.

    Returns
    -------
    dict
        What `metrics.json` holds.

    Example
    -------
    >>> row = {"clip_id": "a", "label": "dog", "predicted": "dog"}
    >>> row |= {"accuracy": 1.0, "loss": 0.1, "probability": 0.9}
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_training_report(folder, [row], [], ["dog"])
    >>> metrics["accuracy"], round(metrics["calibration_error"], 4)
    (1.0, 0.1)
    """
    settings: dict[str, Any] = {"temperature": temperature}
    if said is not None:
        settings["average_precision"] = mean_precision(*said)
    metrics = write_evaluation(folder, rows, settings)
    if if_main_process():
        if said is None:
            _write_one(folder, rows, labels)
        else:
            _write_several(folder, rows, labels, said)
        if history:
            write_csv(history, folder / "history.csv")
            curve = draw_learning_curve(history)
            save_picture(curve, folder / "learning_curve.png")
    meet()  # no process leaves before the report is there
    return metrics


def _write_one(folder: Path, rows: Rows, labels: Sequence[str]) -> None:
    """Write what each class is taken for."""
    write_classes(describe_classes(rows, labels), folder)
    confusion = draw_confusion(_count_confusions(rows, labels), labels)
    save_picture(confusion, folder / "confusion.png")


def _write_several(
    folder: Path,
    rows: Rows,
    labels: Sequence[str],
    said: tuple[Tensor, Tensor],
) -> None:
    """Write how well each class is found, and all probabilities."""
    write_classes(describe_precision(*said, labels), folder)
    probs = SEVERAL.probs(said[0]).tolist()
    cells = [
        (row["clip_id"], *(round(value, DIGITS) for value in own))
        for row, own in zip(rows, probs, strict=True)
    ]
    write_table(("clip_id", *labels), cells, folder / "probabilities.csv")


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
