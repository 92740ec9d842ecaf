"""`rows of a classifier's clips -> classes.csv, classes.md`: class by class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from focalaudio.report.tables import write_csv, write_markdown

ClassRows = list[dict[str, Any]]
SHARES = ("recall", "precision", "average_precision")


def describe_classes(
    rows: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> ClassRows:
    """Say of each class how often it is found, and what it is taken for.

    Arguments
    ---------
    rows : sequence of mapping
        One per clip: `label` and `predicted`.
    labels : sequence of str
        The classes, in the order of the table.

    Returns
    -------
    list of dict
        One per class: `class`; `n`, its clips; `recall`, the share of these
        that is classified right; `precision`, the share of right ones among
        the clips that are classified as it; `taken_for`, the class that most
        of its other clips are taken for (of equals the first), and `n_taken`,
        how many. `nan` without clips; `taken_for` is empty if none is wrong.

    Example
    -------
    >>> said = [("dog", "dog"), ("dog", "cat"), ("cat", "cat")]
    >>> rows = [{"label": one, "predicted": other} for one, other in said]
    >>> describe_classes(rows, ["dog", "cat"])[0]
    {'class': 'dog', 'n': 2, 'recall': 0.5, 'precision': 1.0,
     'taken_for': 'cat', 'n_taken': 1}
    """
    pairs = Counter((row["label"], row["predicted"]) for row in rows)
    return [_describe_class(name, pairs, labels) for name in labels]


def _describe_class(
    name: str, pairs: Counter[tuple[str, str]], labels: Sequence[str]
) -> dict[str, Any]:
    right = pairs[name, name]
    n_clips = sum(pairs[name, other] for other in labels)
    n_said = sum(pairs[other, name] for other in labels)
    wrong = {o: pairs[name, o] for o in labels if o != name}
    n_taken = max(wrong.values(), default=0)
    taken_for = max(wrong, key=wrong.__getitem__) if n_taken else ""
    return {
        "class": name,
        "n": n_clips,
        "recall": right / n_clips if n_clips else math.nan,
        "precision": right / n_said if n_said else math.nan,
        "taken_for": taken_for,
        "n_taken": n_taken,
    }


def write_classes(classes: ClassRows, folder: Path) -> None:
    """Write what `describe_classes` says as CSV and Markdown.

    Or what `focalaudio.metrics.precision.describe_precision` says.

    Arguments
    ---------
    classes : list of dict
        Of one classifier, or of several with further columns.
    folder : pathlib.Path
        Gets `classes.csv` and `classes.md`.

    Example
    -------
    >>> rows = [{"label": "dog", "predicted": "dog"}]
    >>> folder = getfixture("tmp_path")
    >>> write_classes(describe_classes(rows, ["dog"]), folder)
    >>> print((folder / "classes.md").read_text())
    | class | n | recall (up) | precision (up) | most often taken for |
    |---|---|---|---|---|
    | dog | 1 | 1.000 | 1.000 | - |
    <BLANKLINE>
    """
    write_csv(classes, folder / "classes.csv")
    shown = [_format_class(row) for row in classes]
    write_markdown(shown, folder / "classes.md")


def _format_class(row: Mapping[str, Any]) -> dict[str, str]:
    """Format one row as the cells of a table."""
    cells = {
        f"{key} (up)" if key in SHARES else key: (
            f"{value:.3f}" if isinstance(value, float) else str(value)
        )
        for key, value in row.items()
        if key not in ("taken_for", "n_taken")
    }
    if "n_taken" not in row:
        return cells
    taken = f"{row['taken_for']} ({row['n_taken']})" if row["n_taken"] else "-"
    return cells | {"most often taken for": taken}
