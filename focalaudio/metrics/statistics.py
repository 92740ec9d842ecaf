"""`rows -> statistics`: what a column of clips amounts to.

Every clip counts once. A clip for which a metric is not defined is counted
beside the others, never dropped in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

CONFIDENCE = 0.95  # of the interval
N_RESAMPLES = 2000
AT_ONCE = 2**21  # values that are drawn, so that many clips take no more memory

Statistics = dict[str, float]


def describe(values: Sequence[float]) -> Statistics:
    """Describe one column.

    Arguments
    ---------
    values : sequence of float
        One per clip; `nan` where the metric is not defined.

    Returns
    -------
    dict
        `mean`, `median`, `std` (of the clips, with n - 1), `low` and `high`
        (95 % percentile bootstrap interval of the mean, the same every time),
        `n` (defined) and `undefined`; `nan` where there are too few clips.
        Where all are alike, or there is one, both ends are the mean: that
        others would have differed does not show.

    Example
    -------
    >>> statistics = describe([1.0, 2.0, 6.0, float("nan")])
    >>> statistics["mean"], statistics["median"], statistics["undefined"]
    (3.0, 2.0, 1)
    >>> statistics["low"] <= 3 <= statistics["high"]
    True
    """
    column = torch.tensor(list(values), dtype=torch.double)
    column = column[~column.isnan()].sort().values  # the same in any order
    n = len(column)
    low, high = _bootstrap_interval(column[:, None])
    nothing = math.nan
    return {
        # summed exactly, so that no order of the clips shows
        "mean": math.fsum(column.tolist()) / n if n else nothing,
        "median": column.quantile(0.5).item() if n else nothing,
        "std": column.std().item() if n > 1 else nothing,
        "low": low,
        "high": high,
        "n": n,
        "undefined": len(values) - n,
    }


def describe_seeds(values: Sequence[Sequence[float]]) -> Statistics:
    """Describe a column that was measured with several seeds.

    Arguments
    ---------
    values : sequence of sequence of float
        Of each clip, one value per seed, the seeds in the same order; `nan`
        where the metric is not defined.

    Returns
    -------
    dict
        `mean`, over seeds of the means over clips; `std`, of these, with n - 1;
        `low` and `high`, the 95 % percentile bootstrap interval of `mean` over
        clips: a clip is drawn with all its seeds, which are no clips of their
        own. `nan` where there are too few; of one seed, what `describe` says.

    Example
    -------
    >>> found = describe_seeds([[0.0, 1.0], [1.0, 1.0]])
    >>> found["mean"], found["low"], found["high"]
    (0.75, 0.5, 1.0)
    """
    clips = torch.tensor(values, dtype=torch.double)
    clips = clips[~clips.isnan().all(1)]
    clips = clips[:, ~clips.isnan().all(0)]
    means = clips.nanmean(1)
    keys = [*clips.nan_to_num().unbind(1)[::-1], means]  # the last comes first
    for key in keys:  # the same in any order
        order = key.argsort(stable=True)
        clips, keys = clips[order], [each[order] for each in keys]
    of_seeds = clips.nanmean(0)
    low, high = _bootstrap_interval(clips)
    some = len(of_seeds)
    return {
        "mean": of_seeds.mean().item() if some else math.nan,
        "std": of_seeds.std().item() if some > 1 else math.nan,
        "low": low,
        "high": high,
    }


def _bootstrap_interval(values: Tensor) -> tuple[float, float]:
    """Return the ends of the interval of the mean over seeds of their means.

    Of `[n_clips, n_seeds]`, the same every time; of draws that hold a value of
    every seed.
    """
    n, n_seeds = values.shape
    if not n:
        return math.nan, math.nan
    generator = torch.Generator().manual_seed(0)
    size = max(1, AT_ONCE // (n * n_seeds))
    chosen = (
        torch.randint(n, (len(part), n), generator=generator)
        for part in torch.arange(N_RESAMPLES).split(size)
    )
    means = torch.cat([values[part].nanmean(1).mean(1) for part in chosen])
    tail = (1 - CONFIDENCE) / 2
    low, high = means.nanquantile(
        torch.tensor([tail, 1 - tail], dtype=means.dtype)
    ).tolist()
    return low, high


def summarize(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> dict[str, Statistics]:
    """Describe columns over all clips.

    Arguments
    ---------
    rows : sequence of mapping
        One per clip, at least one.
    columns : sequence of str
        Names of columns; those that no row has are left out.

    Returns
    -------
    dict
        From a column's name to what `describe` says of it.

    Raises
    ------
    ValueError
        If there are no rows.

    Example
    -------
    >>> summarize([{"a": 1.0}, {"a": 2.0}], ["a", "b"])["a"]["mean"]
    1.5
    """
    if not rows:
        raise ValueError("rows is empty; the fold has no clips to summarize.")
    return {
        name: describe([row.get(name, math.nan) for row in rows])
        for name in columns
        if any(name in row for row in rows)
    }


def summarize_folds(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> dict[str, Statistics]:
    """Describe the folds' means, for k-fold protocols.

    Arguments
    ---------
    rows : sequence of mapping
        One per clip, each with its `fold`, at least one.
    columns : sequence of str
        As in `summarize`.

    Returns
    -------
    dict
        From a column's name to what `describe` says of one mean per fold.

    Example
    -------
    >>> rows = [{"fold": 1, "a": 0.0}, {"fold": 2, "a": 1.0}]
    >>> rows += [{"fold": 2, "a": 1.0}]
    >>> summarize_folds(rows, ["a"])["a"]["mean"]
    0.5
    """
    folds = sorted({row["fold"] for row in rows})
    means = [
        {
            name: statistics["mean"]
            for name, statistics in summarize(
                [row for row in rows if row["fold"] == fold], columns
            ).items()
        }
        for fold in folds
    ]
    return summarize(means, columns)
