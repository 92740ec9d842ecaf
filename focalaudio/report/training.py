"""`rows and history of a training run -> metrics.json, clips.csv, pictures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from torch import Tensor

from focalaudio.metrics.statistics import calibration_error, summarize
from focalaudio.pictures import (
    draw_confusion,
    draw_learning_curve,
    save_picture,
)
from focalaudio.report.tables import write_csv, write_json


def write_training_report(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Write what a training run reached and how it got there.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `metrics.json`, `clips.csv`, `history.csv`, `confusion.png` and
        `learning_curve.png`.
    rows : sequence of mapping
        One per test clip, as `ClassifierBrain` collects them.
    history : sequence of mapping
        One per epoch.
    labels : sequence of str
        In the order of the class ids.

    Returns
    -------
    dict
        What `metrics.json` holds.

    Example
    -------
    >>> row = {"clip_id": "a", "label": "dog", "predicted": "dog"}
    >>> row |= {"correct": 1.0, "loss": 0.1, "probability": 0.9}
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_training_report(folder, [row], [], ["dog"])
    >>> metrics["accuracy"], round(metrics["calibration_error"], 4)
    (1.0, 0.1)
    """
    statistics = summarize(rows, ("correct", "loss"))
    statistics["accuracy"] = statistics.pop("correct")
    metrics = {
        "n_clips": len(rows),
        "accuracy": statistics["accuracy"]["mean"],
        "loss": statistics["loss"]["mean"],
        "calibration_error": calibration_error(
            [row["probability"] for row in rows],
            [row["correct"] for row in rows],
        ),
        "statistics": statistics,
    }
    if if_main_process():
        write_csv(rows, folder / "clips.csv")
        write_json(metrics, folder / "metrics.json")
        confusion = draw_confusion(count_confusions(rows, labels), labels)
        save_picture(confusion, folder / "confusion.png")
        if history:
            write_csv(history, folder / "history.csv")
            curve = draw_learning_curve(history)
            save_picture(curve, folder / "learning_curve.png")
    ddp_barrier()  # no process leaves before the report is there
    return metrics


def count_confusions(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> Tensor:
    """Count how often each class was taken for each other.

    Arguments
    ---------
    rows : sequence of mapping
        With `label` and `predicted`.
    labels : sequence of str
        In the order of the class ids.

    Returns
    -------
    torch.Tensor
        `[classes, classes]`, int64; rows are true, columns predicted.

    Example
    -------
    >>> rows = [{"label": "dog", "predicted": "rain"}]
    >>> count_confusions(rows, ["dog", "rain"])
    tensor([[0, 1],
            [0, 0]])
    """
    counts = torch.zeros(len(labels), len(labels), dtype=torch.long)
    index = {label: position for position, label in enumerate(labels)}
    for row in rows:
        counts[index[row["label"]], index[row["predicted"]]] += 1
    return counts
