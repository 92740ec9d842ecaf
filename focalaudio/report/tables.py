"""`rows -> summary -> clips.csv, metrics.json`, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from focalaudio.files import replace_file


def summarize(
    rows: Sequence[Mapping[str, Any]],
    means: Sequence[str],
    medians: Sequence[str] = (),
) -> dict[str, float]:
    """Average columns over clips.

    Arguments
    ---------
    rows : sequence of mapping
        One per clip, at least one.
    means : sequence of str
        Columns to average.
    medians : sequence of str
        Columns to take the median of, under a key that ends in `_median`.

    Returns
    -------
    dict
        `n_clips`, then one number per column.

    Raises
    ------
    ValueError
        If there are no rows.

    Example
    -------
    >>> summarize([{"a": 1.0}, {"a": 2.0}], ["a"], ["a"])
    {'n_clips': 2, 'a': 1.5, 'a_median': 1.5}
    """
    if not rows:
        raise ValueError("rows is empty; the fold has no clips to summarize.")
    return {
        "n_clips": len(rows),
        **{name: fmean(row[name] for row in rows) for name in means},
        **{
            f"{name}_median": median(row[name] for row in rows)
            for name in medians
        },
    }


def write_csv(rows: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Write one line per row, with a header.

    Arguments
    ---------
    rows : sequence of mapping
        With the same keys.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "clips.csv"
    >>> write_csv([{"clip_id": "a"}], path).read_text().split()
    ['clip_id', 'a']
    """
    with replace_file(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False)
    return Path(path)


def read_csv(path: str | Path) -> list[dict[str, Any]]:
    """Read what `write_csv` wrote.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    list of dict
        One per row.

    Example
    -------
    >>> path = write_csv([{"a": 1.5}], getfixture("tmp_path") / "clips.csv")
    >>> read_csv(path)
    [{'a': 1.5}]
    """
    return [
        {str(key): value for key, value in row.items()}
        for row in pd.read_csv(path).to_dict("records")
    ]


def write_json(values: Mapping[str, Any], path: str | Path) -> Path:
    """Write a mapping, indented.

    Arguments
    ---------
    values : mapping
        Of what JSON knows.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = write_json({"accuracy": 1.0}, getfixture("tmp_path") / "m.json")
    >>> json.loads(path.read_text())
    {'accuracy': 1.0}
    """
    with replace_file(path) as temporary:
        text = json.dumps(dict(values), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)
