"""`CSV of any make -> rows of text`, where there is one way to read it.

Spreadsheets and other languages write commas, semicolons or tabs, UTF-8 with
a byte order mark or UTF-16, a line `sep=;` or a comment before the header,
spaces after separators, and headers in capitals. Every cell stays the text
that it is: nothing is taken for a number, or for missing.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from focalaudio.data.problems import few
from focalaudio.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
ENCODINGS = {  # what a file begins with
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_table(path: str | Path, wanted: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV, or what else calls itself so.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    wanted : sequence of str
        Columns that must be there; what the file calls so, but for capitals
        and spaces, is renamed. They also tell which separator is meant.

    Returns
    -------
    pandas.DataFrame
        One row per line, all text, without spaces around it.

    Raises
    ------
    DataError
        If the file is missing, no text, has no rows, lacks a column, or a row
        has more cells than the header, or fewer; it says what was seen.

    Example
    -------
    >>> path = getfixture("tmp_path") / "clips.csv"
    >>> _ = path.write_text("File; Label" + chr(10) + "a.wav; 007")
    >>> read_table(path, ["file", "label"]).to_dict("records")
    [{'file': 'a.wav', 'label': '007'}]
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"path={path} does not exist, or is no file.")
    text, separator = _skip_preamble(_decode(path))
    found = [separator] if separator else _separators_of(text)
    tables = [_split(path, text, each) for each in found]
    chosen = max(tables, key=lambda rows: _count_wanted(rows, wanted))
    header, *rows = chosen
    if not rows:
        raise DataError(f"path={path} has no rows; give one for each clip.")
    _check_widths(path, header, rows)
    columns = _name_columns(path, header, wanted, found[tables.index(chosen)])
    return pd.DataFrame(rows, columns=columns, dtype=str)


def _decode(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16."""
    content = path.read_bytes()
    known = (ENCODINGS[mark] for mark in ENCODINGS if content.startswith(mark))
    encoding = next(known, "utf-8")
    if encoding == "utf-8" and b"\0" in content[:4]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"path={path} is not {encoding.upper()}: byte "
            f"{content[error.start]:#04x} in line {line}; save it as UTF-8."
        ) from error
    if "\0" in text:
        raise DataError(f"path={path} is no text; give a CSV, saved as UTF-8.")
    return text


def _skip_preamble(text: str) -> tuple[str, str | None]:
    """Take comments and `sep=;` from the top; return the separator, too."""
    separator = None
    while True:
        line, end, rest = text.lstrip("\r\n").partition("\n")
        declared = re.fullmatch(r'"?sep=(.)"?\s*', line.rstrip("\r"))
        if declared:
            separator = declared[1]
        elif not line.startswith("#") or not end:
            return text.lstrip("\r\n"), separator
        text = rest


def _separators_of(text: str) -> list[str]:
    """Return the separators that the header has, a comma if it has none."""
    header = next(iter(text.splitlines()), "")
    return [each for each in SEPARATORS if each in header] or [","]


def _split(path: Path, text: str, separator: str) -> list[list[str]]:
    """Return the cells of every line that is not empty."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines, delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        rows = [[cell.strip() for cell in row] for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"path={path} is no CSV: {error} in line {reader.line_num}; "
            "correct its quotes."
        ) from error
    return rows or [[]]


def _count_wanted(rows: Sequence[Sequence[str]], wanted: Sequence[str]) -> Any:
    """Say how well a header fits: what is wanted first, then its width."""
    header = {_simplify(cell) for cell in rows[0]}
    return (sum(_simplify(name) in header for name in wanted), len(rows[0]))


def _check_widths(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Refuse rows with more cells than the header has, or fewer."""
    others = [
        f"row {place} has {len(row)} cells"
        for place, row in enumerate(rows, 1)
        if len(row) != len(header)
    ]
    if others:
        raise DataError(
            f"path={path} has {len(header)} columns, but {few(others)}; quote "
            "text that holds the separator, or remove the one too many."
        )


def _name_columns(
    path: Path, header: Sequence[str], wanted: Sequence[str], separator: str
) -> list[str]:
    """Return the header with the names that are wanted."""
    found = {name: find_column(header, name) for name in wanted}
    missing = [name for name, column in found.items() if column is None]
    twice = [name for name in header if name and header.count(name) > 1]
    if missing or twice:
        what = (
            f"lacks the columns {missing}"
            if missing
            else f"has two columns {twice[0]!r}"
        )
        by = SEPARATORS.get(separator, repr(separator))
        raise DataError(
            f"path={path} {what}; seen, separated by {by}: {list(header)}."
        )
    named = {column: name for name, column in found.items()}
    return [named.get(column, column) for column in header]


def find_column(header: Sequence[str], name: str) -> str | None:
    """Return the column of a name, or the one that is like it; None if none.

    Example
    -------
    >>> find_column(["File Name", "label"], "file_name")
    'File Name'
    """
    if name in header:
        return name
    like = [cell for cell in header if _simplify(cell) == _simplify(name)]
    return like[0] if len(like) == 1 else None


def _simplify(name: str) -> str:
    return re.sub(r"[\s_]+", "_", name.strip()).casefold()
