"""`rows -> CSV, JSON, Markdown`, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from focalaudio.files import lock_file, replace_file

RENAMED = {"correct": "accuracy"}  # columns that older versions wrote
MISSING = ["", "nan"]  # numbers
_TEXT: dict[str, Any] = {  # of file names, bytes that are no text stay
    "encoding": "utf-8",
    "errors": "surrogateescape",
}
# columns whose cells are names, even those that read as numbers or as nothing
NAMES = (
    *("clip_id", "label", "other_label", "predicted", "explained"),
    *("interpreter", "system", "class", "taken_for"),
)


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
        pd.DataFrame(list(rows)).to_csv(temporary, index=False, **_TEXT)
    return Path(path)


def write_table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], path: str | Path
) -> Path:
    """Write rows as CSV, one in memory at a time.

    Arguments
    ---------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence
        As many cells as there are columns; gone through once.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file. Bytes of file names that are no text are as they were.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> write_table(("a", "b"), [(1, "x,y")], path).read_text().splitlines()
    ['a,b', '1,"x,y"']
    """
    with (
        replace_file(path) as temporary,
        temporary.open("w", newline="", **_TEXT) as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return Path(path)


def write_tabbed(lines: Iterable[Sequence[Any]], path: str | Path) -> Path:
    r"""Write cells between tabs, as Raven and Audacity read them.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.txt"
    >>> write_tabbed([(0.5, "rain")], path).read_text()
    '0.5\train\n'
    """
    with (
        replace_file(path) as temporary,
        temporary.open("w", newline="\n", **_TEXT) as file,
    ):
        file.writelines("\t".join(map(str, line)) + "\n" for line in lines)
    return Path(path)


def format_number(value: float, digits: int) -> str:
    """Return a cell with so many decimals; nan is an empty one.

    Example
    -------
    >>> format_number(0.5, 2), format_number(math.nan, 2)
    ('0.50', '')
    """
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def read_csv(path: str | Path) -> list[dict[str, Any]]:
    """Read what `write_csv` wrote, in this version or an older one.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    list of dict
        One per row; names are text, and empty where they are missing.

    Example
    -------
    >>> rows = [{"label": "007", "a": 1.5}]
    >>> read_csv(write_csv(rows, getfixture("tmp_path") / "clips.csv"))
    [{'label': '007', 'a': 1.5}]
    """
    how: dict[str, Any] = {"encoding_errors": _TEXT["errors"]}
    columns = pd.read_csv(path, nrows=0, **how).columns
    rows = pd.read_csv(
        path,
        **how,
        dtype={name: str for name in columns if name in NAMES},
        keep_default_na=False,
        na_values={name: MISSING for name in columns if name not in NAMES},
    )
    return rows_of(rows.rename(columns=RENAMED))


class NumberTable:
    """A CSV of a name and a number in each row, which several processes extend.

    A row costs the same however many there are. A row that was cut short when
    a process was killed is gone when the next one comes.

    Arguments
    ---------
    path : str or pathlib.Path
        The file; made with the first row.
    columns : tuple of str
        What names and numbers are called.

    Example
    -------
    >>> path = getfixture("tmp_path") / "gains.csv"
    >>> table = NumberTable(path, ("clip_id", "gain_db"))
    >>> for name, gain in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
    ...     table.put(name, gain)
    >>> read_csv(path)
    [{'clip_id': 'b', 'gain_db': 2.0}, {'clip_id': 'a', 'gain_db': 3.0}]
    """

    def __init__(self, path: str | Path, columns: tuple[str, str]) -> None:
        self.path = Path(path)
        self.columns = columns
        self._known: set[str] | None = None  # names, once they are read

    def put(self, name: str, number: float) -> None:
        """Append a row, in place of an older one of that name.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        with lock_file(self.path):
            if self._known is None or name in self._known:
                self._known = self._drop(name)
            with self.path.open("a", newline="", **_TEXT) as file:
                csv.writer(file, lineterminator="\n").writerow([name, number])
            self._known.add(name)

    def _drop(self, name: str) -> set[str]:
        """Write the whole rows anew without one; return their names."""
        rows: dict[str, list[str]] = {}
        if self.path.exists():
            text = self.path.read_bytes().decode(**_TEXT)
            whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
            listed = [*csv.reader(whole)][1:]
            rows = {row[0]: row for row in listed if row[0] != name}
        with (
            replace_file(self.path) as temporary,
            temporary.open("w", newline="", **_TEXT) as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([self.columns, *rows.values()])
        return set(rows)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as one mapping per row.

    Arguments
    ---------
    table : pandas.DataFrame
        Any.

    Returns
    -------
    list of dict
        From a column's name to its value.

    Example
    -------
    >>> rows_of(pd.DataFrame({"clip_id": ["a", "b"]}))
    [{'clip_id': 'a'}, {'clip_id': 'b'}]
    """
    return [
        {str(key): value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def write_json(values: Mapping[str, Any], path: str | Path) -> Path:
    """Write a mapping, indented.

    Arguments
    ---------
    values : mapping
        Of what JSON knows; `nan` and infinity, which it does not, are null.
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
        text = json.dumps(
            _without_nan(values), indent=2, ensure_ascii=False, allow_nan=False
        )
        temporary.write_text(text + "\n", **_TEXT)
    return Path(path)


def _without_nan(values: Any) -> Any:
    """Replace `nan` and infinity by None, at any depth."""
    if isinstance(values, Mapping):
        return {key: _without_nan(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_without_nan(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values


def write_markdown(rows: Sequence[Mapping[str, str]], path: str | Path) -> Path:
    r"""Write a table with one line per row.

    Arguments
    ---------
    rows : sequence of mapping
        With the same keys, at least one.
    path : str or pathlib.Path
        Replaced if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "table.md"
    >>> print(write_markdown([{"a": "1", "b": "x|y"}], path).read_text())
    | a | b |
    |---|---|
    | 1 | x\|y |
    <BLANKLINE>
    """
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    text = [f"| {' | '.join(line)} |" for line in cells]
    text.insert(1, "|" + "---|" * len(lines[0]))
    with replace_file(path) as temporary:
        temporary.write_text("\n".join(text) + "\n", **_TEXT)
    return Path(path)
