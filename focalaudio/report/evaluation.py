"""`rows of an interpreted fold -> metrics.json, clips.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import ddp_barrier, if_main_process

from focalaudio.report.tables import summarize, write_csv, write_json

MEANS = (
    "accuracy",
    "fidelity",
    "faithfulness",
    "faithfulness_of_kept",
    "kept_fraction",
)
MEDIANS = ("faithfulness_of_kept",)


def write_evaluation(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write one row per clip and their averages.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `clips.csv` and `metrics.json`.
    rows : sequence of mapping
        As `InterpreterBrain` collects them, at least one.
    settings : mapping
        What the interpreter was asked for; stands first in `metrics.json`.

    Returns
    -------
    dict
        What `metrics.json` holds.

    Example
    -------
    >>> row = {"clip_id": "a"} | dict.fromkeys(MEANS, 0.5)
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_evaluation(folder, [row], {"quantile": 0.9})
    >>> metrics["fidelity"], metrics["faithfulness_of_kept_median"]
    (0.5, 0.5)
    """
    metrics = {**settings, **summarize(rows, MEANS, MEDIANS)}
    if if_main_process():
        write_csv(rows, folder / "clips.csv")
        write_json(metrics, folder / "metrics.json")
    ddp_barrier()  # no process leaves before the files are there
    return metrics
