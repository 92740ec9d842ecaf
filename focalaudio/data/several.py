"""`cells of a table -> the labels of each clip`, where there may be several.

A table says them in one cell, between separators or as a JSON list, or in one
row for each; a clip without any is background. From here on they are one text,
with a semicolon between them: `focalaudio.decisions` splits it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pandas as pd

from focalaudio.data.problems import refuse
from focalaudio.decisions import SEPARATOR, SEVERAL, Decision

ROW = "label"  # the column; the others must be the same in all rows of a clip


def gather_labels(
    clips: pd.DataFrame, separator: str | None = None
) -> pd.DataFrame:
    """Give each clip one row, with all its labels.

    Arguments
    ---------
    clips : pandas.DataFrame
        With the column `label`, all text.
    separator : str
        See `read_labels`.

    Returns
    -------
    pandas.DataFrame
        In the order of first appearance; `label` has semicolons between labels.
        Rows that differ in anything else stay apart.

    Raises
    ------
    DataError
        If a label has a semicolon in it.

    Example
    -------
    >>> rows = [("a", "rain+dog"), ("b", ""), ("a", "cat")]
    >>> clips = pd.DataFrame(rows, columns=["name", "label"])
    >>> gather_labels(clips, "+").to_dict("records")
    [{'name': 'a', 'label': 'rain;dog;cat'}, {'name': 'b', 'label': ''}]
    """
    others = [column for column in clips if column != ROW]
    listed: dict[tuple[str, ...], dict[str, None]] = {}
    for cells in clips[[*others, ROW]].itertuples(index=False, name=None):
        own = listed.setdefault(cells[:-1], {})
        own.update(dict.fromkeys(read_labels(cells[-1], separator)))
    known = (label for own in listed.values() for label in own)
    check_separable(known, SEVERAL)
    rows = [(*key, SEPARATOR.join(own)) for key, own in listed.items()]
    return pd.DataFrame(rows, columns=[*others, ROW], dtype=str)[[*clips]]


def spread_labels(clips: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Give each label of each clip a row of its own, and none one without.

    `clips` have the column `label`; the `decision` says whether it may hold
    several.

    Example
    -------
    >>> from focalaudio.decisions import SEVERAL
    >>> clips = pd.DataFrame({"label": ["rain;dog", ""]})
    >>> spread_labels(clips, SEVERAL)["label"].tolist()
    ['rain', 'dog', '']
    """
    labels = clips[ROW].map(lambda text: decision.split(text) or [""])
    return clips.assign(label=labels).explode(ROW)


def read_labels(text: str, separator: str | None = None) -> list[str]:
    """Return the labels that a cell of somebody's table holds, each once.

    Arguments
    ---------
    text : str
        Labels between separators, or a JSON list of them; empty for none.
    separator : str
        Between labels; one label if None.

    Returns
    -------
    list of str
        In their order, without spaces around them.

    Example
    -------
    >>> read_labels("rain + dog+rain", "+"), read_labels('["dog", "a, b"]')
    (['rain', 'dog'], ['dog', 'a, b'])
    """
    listed = _read_list(text) if text.startswith("[") else None
    if listed is None:
        listed = [text] if separator is None else text.split(separator)
    named = [label.strip() for label in listed]
    return list(dict.fromkeys(label for label in named if label))


def _read_list(text: str) -> list[str] | None:
    """Read a JSON list of text; None if it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_text = isinstance(found, list) and all(isinstance(x, str) for x in found)
    return found if is_text else None


def check_separable(labels: Iterable[str], decision: Decision) -> None:
    """Refuse labels that hold what we write between several of them.

    A `DataError` names them; where the `decision` is of one label, any will do.

    Example
    -------
    >>> check_separable(["dog", "a;b"], SEVERAL)
    Traceback (most recent call last):
    focalaudio.errors.DataError: the labels:
    - 1 x label with ';' in it, ...: 'a;b'; rename it, ...
    """
    odd = [label for label in dict.fromkeys(labels) if SEPARATOR in label]
    what = f"label with {SEPARATOR!r} in it, which stands between labels here"
    remedy = f"rename it, or give --label_separator '{SEPARATOR}'"
    if decision.is_several:
        refuse("the labels", [(what, list(map(repr, odd)), remedy)])
