"""`rows and history of a training run -> metrics.json, clips.csv, pictures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from torch import Tensor

from focalaudio.pictures import (
    draw_confusion,
    draw_learning_curve,
    save_picture,
)
from focalaudio.report.classes import describe_classes, write_classes
from focalaudio.report.evaluation import Rows, write_evaluation
from focalaudio.report.tables import write_csv


def write_training_report(
    folder: Path,
    rows: Rows,
    history: Rows,
    labels: Sequence[str],
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Write what a training run reached and how it got there.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `metrics.json`, `clips.csv`, `classes.csv`, `classes.md`,
        `history.csv`, `confusion.png` and `learning_curve.png`.
    rows : sequence of mapping
        One per test clip, as `ClassifierBrain` collects them.
    history : sequence of mapping
        One per epoch.
    labels : sequence of str
        In the order of the class ids.
    temperature : float
        That the rows' `probability_scaled` was scaled by.

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
    metrics = write_evaluation(folder, rows, {"temperature": temperature})
    if if_main_process():
        write_classes(describe_classes(rows, labels), folder)
        confusion = draw_confusion(_count_confusions(rows, labels), labels)
        save_picture(confusion, folder / "confusion.png")
        if history:
            write_csv(history, folder / "history.csv")
            curve = draw_learning_curve(history)
            save_picture(curve, folder / "learning_curve.png")
    ddp_barrier()  # no process leaves before the report is there
    return metrics


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
