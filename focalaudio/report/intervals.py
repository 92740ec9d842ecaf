"""`values, one per clip -> how sure their mean is`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_CELLS = 1 << 24  # of one draw of resamples


def bootstrap_interval(
    values: Sequence[float],
    level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean over clips.

    Arguments
    ---------
    values : sequence of float
        One per clip, at least one.
    level : float
        Share of the resampled means that lie inside, 0 to 1.
    n_resamples : int
        How often the clips are drawn again, with replacement.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    ValueError
        If there are no values.

    Example
    -------
    >>> low, high = bootstrap_interval([1.0] * 68 + [0.0] * 12)
    >>> round(low, 2), round(high, 2)
    (0.78, 0.93)
    """
    if not len(values):
        raise ValueError("values is empty; an interval needs at least one.")
    sample = np.asarray(values, dtype=float)
    draw = np.random.default_rng(seed)
    rows = max(1, MAX_CELLS // len(sample))
    means = [
        sample[draw.integers(0, len(sample), (n, len(sample)))].mean(1)
        for n in _parts(n_resamples, rows)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _parts(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
