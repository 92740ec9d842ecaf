"""`clips that name no folds -> folds`: found again, made, or too many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from focalaudio.data.folds import FOLDS_CSV, make_folds, recall_folds
from focalaudio.data.problems import few
from focalaudio.data.several import spread_labels
from focalaudio.data.splits import (
    Splits,
    check_splits,
    find_absent,
    write_splits,
)
from focalaudio.decisions import Decision
from focalaudio.errors import DataError

FEWEST = 3  # folds that train, validate and test


def find_folds(
    clips: pd.DataFrame,
    labels: Sequence[Sequence[str]],
    n_folds: int = 5,
    seed: int = 0,
    remembered: Sequence[Path] = (),
) -> list[str]:
    """Return the folds that were made before, or make them.

    Arguments
    ---------
    clips : pandas.DataFrame
        With the columns `name` and `group`.
    labels : sequence of sequences of str
        Of each clip.
    n_folds, seed
        See `focalaudio.data.folds.make_folds`.
    remembered : sequence of pathlib.Path
        Folders; the first that has a `folds.csv` is obeyed.

    Raises
    ------
    DataError
        If a clip is not in it, or there are fewer groups than folds.

    Example
    -------
    >>> clips = pd.DataFrame({"name": ["a", "b"], "group": ["", ""]})
    >>> find_folds(clips, [["dog"], ["dog"]], n_folds=2)
    ['1', '2']
    """
    names = list(clips["name"])
    for place in remembered:
        if (place / FOLDS_CSV).is_file():
            return recall_folds(names, place / FOLDS_CSV)
    alone = [f"\0{name}" for name in names]
    groups = [
        group or own for group, own in zip(clips["group"], alone, strict=True)
    ]
    return make_folds(labels, groups, n_folds, seed)


def check_made(
    clips: pd.DataFrame,
    decision: Decision,
    splits: Splits,
    n_folds: int = 5,
    seed: int = 0,
) -> None:
    """Refuse splits of folds that were made and got no clip; say what would do.

    What is not a matter of their number is left to `check_splits`.

    Arguments
    ---------
    clips : pandas.DataFrame
        With the columns `name`, `label`, `group` and `fold`.
    decision : Decision
        How many labels a clip may have.
    splits : Splits
        Which folds are for what.
    n_folds, seed
        That they were made with.

    Raises
    ------
    DataError
        If a fold that was made and is for something has no clips.
    """
    absent = find_absent(clips, splits)
    if not {str(fold + 1) for fold in range(n_folds)}.intersection(absent):
        return
    fewer = _find_fewer(clips, decision, n_folds, seed)
    way_out = (
        f"give --n_folds {fewer} {write_splits(_divide(fewer))}"
        if fewer
        else f"give each class clips of {FEWEST} groups or more"
    )
    raise DataError(
        f"folds {few(absent)} have no clips: the data names no folds, and of "
        f"the n_folds={n_folds} that were made these are left over, since "
        "classes have fewer groups, whose clips must stay together; "
        f"{way_out}."
    )


def _divide(n_folds: int) -> tuple[list[int], list[int], list[int]]:
    """Return which folds train, validate and test; the last two are one."""
    return list(range(1, n_folds - 1)), [n_folds - 1], [n_folds]


def _find_fewer(
    clips: pd.DataFrame, decision: Decision, n_folds: int, seed: int
) -> int | None:
    """Return the most folds, below `n_folds`, that can train and test."""
    labels = list(map(decision.split, clips["label"]))
    for fewer in range(n_folds - 1, FEWEST - 1, -1):
        made = clips.assign(fold=find_folds(clips, labels, fewer, seed))
        try:
            check_splits(spread_labels(made, decision), Splits(*_divide(fewer)))
        except DataError:
            continue
        return fewer
    return None
