"""`rows of a tested fold -> metrics.json, clips.csv, comparison.*`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process

from focalaudio.metrics.calibration import calibration_error
from focalaudio.metrics.statistics import Statistics, summarize
from focalaudio.metrics.table import METRICS
from focalaudio.processes import meet
from focalaudio.report.tables import write_csv, write_json, write_markdown

Rows = Sequence[Mapping[str, Any]]


def write_evaluation(
    folder: Path, rows: Rows, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write one row per clip and what they amount to.

    Arguments
    ---------
    folder : pathlib.Path
        Gets `clips.csv` and `metrics.json`.
    rows : sequence of mapping
        As a Brain collects them, at least one.
    settings : mapping
        What an interpreter was asked for; stands first in `metrics.json`.

    Returns
    -------
    dict
        What `metrics.json` holds: the settings, the number of clips, each
        column's mean, what `measure_calibration` says, and under `statistics`
        everything that `focalaudio.metrics.statistics` says of a column.

    Example
    -------
    >>> row = {"clip_id": "a", "accuracy": 1.0, "probability": 0.75}
    >>> folder = getfixture("tmp_path")
    >>> metrics = write_evaluation(folder, [row], {"quantile": 0.9})
    >>> metrics["accuracy"], metrics["calibration_error"]
    (1.0, 0.25)
    """
    statistics = summarize(rows, tuple(METRICS))
    metrics = {
        **(settings or {}),
        "n_clips": len(rows),
        **{name: each["mean"] for name, each in statistics.items()},
        **measure_calibration(rows),
        "statistics": statistics,
    }
    if if_main_process():
        write_csv(rows, folder / "clips.csv")
        write_json(metrics, folder / "metrics.json")
    meet()  # no process leaves before the files are there
    return metrics


def measure_calibration(rows: Rows) -> dict[str, float]:
    """Return the calibration errors, before and after temperature scaling.

    Arguments
    ---------
    rows : sequence of mapping
        One per clip, at least one: `accuracy` (of several labels also `hit`),
        `probability`, and if it is known `probability_scaled`.

    Returns
    -------
    dict
        `calibration_error`, and `calibration_error_scaled` if all clips have
        what it is of.

    Example
    -------
    >>> row = {"accuracy": 1.0, "probability": 0.5, "probability_scaled": 0.75}
    >>> list(measure_calibration([row]).values())
    [0.5, 0.25]
    """
    # of several labels, it is one class's probability that is told
    accuracy = [row.get("hit", row["accuracy"]) for row in rows]
    return {
        name: calibration_error([row[column] for row in rows], accuracy)
        for name, column in (
            ("calibration_error", "probability"),
            ("calibration_error_scaled", "probability_scaled"),
        )
        if not any(math.isnan(row.get(column, math.nan)) for row in rows)
    }


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
        of_name = settings or {}
        quantiles = {
            name: {"quantile": of_name.get(name, {}).get("quantile")}
            for name in rows
        }
        counts = {name: len(clips) for name, clips in rows.items()}
        statistics = {
            name: summarize(clips, tuple(METRICS))
            for name, clips in rows.items()
        }
        table = [
            quantiles[name] | flatten(name, counts[name], columns)
            for name, columns in statistics.items()
        ]
        listed = [
            {"interpreter": name, **quantiles[name], **clip}
            for name, clips in rows.items()
            for clip in clips
        ]
        write_csv(table, folder / "comparison.csv")
        write_csv(listed, folder / "comparison_clips.csv")
        write_markdown(tabulate(counts, statistics), folder / "comparison.md")
    meet()


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
        metric
        for metric in METRICS.values()
        if any(metric.name in columns for columns in statistics.values())
    ]
    return [
        {"interpreter": name, "n_clips": str(n_clips[name])}
        | {each.header: _format_mean(columns.get(each.name)) for each in shown}
        for name, columns in statistics.items()
    ]


def _format_mean(statistics: Mapping[str, float] | None) -> str:
    """Format a mean, with the number of clips on which it is not defined."""
    if not statistics or math.isnan(statistics["mean"]):
        return "-"
    undefined = statistics.get("undefined", 0)
    text = f"{statistics['mean']:.3f}"
    return f"{text} ({undefined} undefined)" if undefined else text
