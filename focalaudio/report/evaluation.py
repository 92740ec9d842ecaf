"""`rows of an interpreted fold -> metrics.json, clips.csv, comparison.*`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import ddp_barrier, if_main_process

from focalaudio.metrics.statistics import (
    Statistics,
    calibration_error,
    summarize,
)
from focalaudio.report.tables import write_csv, write_json, write_markdown

# in the order of tables; which way is better
DIRECTIONS = {
    "accuracy": "up",
    "fidelity": "up",
    "faithfulness": "up",
    "faithfulness_of_kept": "down",
    "average_increase": "up",
    "average_drop": "down",
    "average_gain": "up",
    "sparseness": "up",
    "complexity": "down",
    "insertion": "up",
    "deletion": "down",
    "kept_fraction": "",
    "source_found": "up",
    "source_share": "up",
    "iou": "up",
    "auc": "up",
    "si_sdr": "up",
    "si_sdr_improvement": "up",
}
Rows = Sequence[Mapping[str, Any]]


def write_evaluation(
    folder: Path,
    rows: Rows,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write one row per clip and what they amount to.

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
        What `metrics.json` holds: the settings, the number of clips, each
        column's mean, and under `statistics` everything that
        `focalaudio.metrics.statistics` says of it.

    Example
    -------
    >>> row = {"clip_id": "a"} | dict.fromkeys(DIRECTIONS, 0.5)
    >>> row |= {"probability": 0.5}
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_evaluation(folder, [row], {"quantile": 0.9})
    >>> metrics["fidelity"], metrics["statistics"]["fidelity"]["n"]
    (0.5, 1)
    """
    statistics = summarize(rows, tuple(DIRECTIONS))
    metrics = {
        **settings,
        "n_clips": len(rows),
        **{name: each["mean"] for name, each in statistics.items()},
        "calibration_error": calibration_error(
            [row["probability"] for row in rows],
            [row["accuracy"] for row in rows],
        ),
        "statistics": statistics,
    }
    if if_main_process():
        write_csv(rows, folder / "clips.csv")
        write_json(metrics, folder / "metrics.json")
    ddp_barrier()  # no process leaves before the files are there
    return metrics


def write_comparison(
    folder: Path,
    rows: Mapping[str, Rows],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write what several interpreters amount to, side by side.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `comparison.csv` (one row per interpreter, with intervals),
        `comparison.md` (the same as a table) and `comparison_clips.csv` (one
        row per clip and interpreter).
    rows : mapping
        From an interpreter's name to its rows, at least one.
    settings : mapping
        From an interpreter's name to its settings, of which the quantile
        becomes a column.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> rows = [{"clip_id": "a", "fidelity": 1.0}]
    >>> write_comparison(folder, {"stage_3": rows, "random": rows})
    >>> print((folder / "comparison.md").read_text())
    | interpreter | n_clips | fidelity (up) |
    |---|---|---|
    | stage_3 | 1 | 1.000 |
    | random | 1 | 1.000 |
    <BLANKLINE>
    """
    if if_main_process():
        quantiles = {
            name: (settings or {}).get(name, {}).get("quantile")
            for name in rows
        }
        statistics = {
            name: summarize(clips, tuple(DIRECTIONS))
            for name, clips in rows.items()
        }
        write_csv(
            [
                {"quantile": quantiles[name]}
                | flatten(name, len(rows[name]), columns)
                for name, columns in statistics.items()
            ],
            folder / "comparison.csv",
        )
        write_csv(
            [
                {"interpreter": name, "quantile": quantiles[name], **clip}
                for name, clips in rows.items()
                for clip in clips
            ],
            folder / "comparison_clips.csv",
        )
        counts = {name: len(clips) for name, clips in rows.items()}
        write_markdown(tabulate(counts, statistics), folder / "comparison.md")
    ddp_barrier()


def flatten(
    name: str, n_clips: int, columns: Mapping[str, Statistics]
) -> dict[str, Any]:
    """Spread an interpreter's statistics over one row.

    Arguments
    ---------
    name : str
        Of the interpreter.
    n_clips : int
        How many clips it was tested on.
    columns : mapping
        From a column's name to its statistics.

    Returns
    -------
    dict
        `interpreter`, `n_clips`, then `<column>` for the mean and
        `<column>_<statistic>` for the others.

    Example
    -------
    >>> flatten("random", 2, {"auc": {"mean": 0.5, "low": 0.4}})
    {'interpreter': 'random', 'n_clips': 2, 'auc': 0.5, 'auc_low': 0.4}
    """
    row: dict[str, Any] = {"interpreter": name, "n_clips": n_clips}
    for column, statistics in columns.items():
        for kind, value in statistics.items():
            row[column if kind == "mean" else f"{column}_{kind}"] = value
    return row


def tabulate(
    n_clips: Mapping[str, int],
    statistics: Mapping[str, Mapping[str, Statistics]],
) -> list[dict[str, str]]:
    """Format means as cells of a table.

    Arguments
    ---------
    n_clips : mapping
        From an interpreter's name to its number of clips.
    statistics : mapping
        From an interpreter's name to its columns' statistics.

    Returns
    -------
    list of dict
        One per interpreter; a mean is followed by the number of clips on which
        it is not defined, if there are any; columns say which way is better.

    Example
    -------
    >>> auc = {"auc": {"mean": 0.5, "undefined": 3}}
    >>> tabulate({"random": 9}, {"random": auc})[0]["auc (up)"]
    '0.500 (3 undefined)'
    """
    shown = [
        column
        for column in DIRECTIONS
        if any(column in columns for columns in statistics.values())
    ]
    return [
        {"interpreter": name, "n_clips": str(n_clips[name])}
        | {
            f"{column} ({DIRECTIONS[column]})".replace(" ()", ""): format_mean(
                columns.get(column, {})
            )
            for column in shown
        }
        for name, columns in statistics.items()
    ]


def format_mean(statistics: Mapping[str, float]) -> str:
    """Format a mean, with the number of clips on which it is not defined.

    Arguments
    ---------
    statistics : mapping
        Of a column, or nothing.

    Returns
    -------
    str
        `-` where there is nothing to show.

    Example
    -------
    >>> format_mean({"mean": 12.25, "undefined": 0}), format_mean({})
    ('12.250', '-')
    """
    mean = statistics.get("mean", math.nan)
    if math.isnan(mean):
        return "-"
    undefined = statistics.get("undefined", 0)
    return f"{mean:.3f}" + (f" ({undefined} undefined)" if undefined else "")
