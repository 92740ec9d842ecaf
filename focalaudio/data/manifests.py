"""`a table of clips (CSV, SpeechBrain's CSV and JSON) -> listed clips`.

Each row names a file and its label, and, if it likes, its fold and its group
(a recording, a speaker, a site). Where a file is said to lie is looked for
below the data folder, in `audio/` there, and beside the table.
"""

from __future__ import annotations

import json
import logging
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from focalaudio.audio import AUDIO_SUFFIXES
from focalaudio.data.problems import refuse
from focalaudio.data.tables import find_column, read_table
from focalaudio.errors import DataError, escape_text

logger = logging.getLogger(__name__)

LISTED = ("clip_id", "name", "path", "label", "fold", "group")
# what a table says of a clip, and how it is usually called
ROLES = {
    "path": (
        *("path", "file", "filename", "file_name", "file_path", "filepath"),
        *("wav", "audio", "audio_path", "slice_file_name"),
    ),
    "label": ("label", "class", "category", "class_name", "class_string"),
    "fold": ("fold", "split", "subset", "partition"),
    "group": (
        *("group", "src_file", "fsID", "recording", "recording_id", "site"),
        *("speaker", "speaker_id", "spk_id"),
    ),
    "clip_id": ("clip_id", "ID"),
}
NEEDED = ("path", "label")
Manifest = str | Path | Sequence[str | Path]
DATA_ROOT = "{data_root}"
EXAMPLE = '--columns "{path: file_name, label: species}"'


def list_manifest(
    manifest: Manifest,
    data_folder: Path,
    columns: Mapping[str, str | None] | None = None,
) -> pd.DataFrame:
    """List the clips that a table names.

    Arguments
    ---------
    manifest : str, pathlib.Path, or sequence of these
        A CSV (see `focalaudio.data.tables`), or SpeechBrain's JSON; or one for
        each fold, which is called as the file: `[train.csv, test.csv]`. Looked
        for where one is, then below `data_folder`.
    data_folder : pathlib.Path
        What `{data_root}` stands for, and where files are looked for.
    columns : mapping
        From `path`, `label`, `fold`, `group` and `clip_id` to the table's
        names of them; what is not named is looked for by its usual names, and
        what is None is not read.

    Returns
    -------
    pandas.DataFrame
        The columns `LISTED`, all text: `name` is below the data folder, `path`
        is absolute; `fold`, `group` and `clip_id` are empty if not told.

    Raises
    ------
    DataError
        If a table cannot be read, does not say which column is which, or names
        files that are not there.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.wav").write_bytes(b"")
    >>> rows = ["file_name;species", "a.wav;007"]
    >>> _ = (folder / "birds.csv").write_text(chr(10).join(rows))
    >>> clips = list_manifest("birds.csv", folder, {"label": "species"})
    >>> clips[["name", "label"]].to_dict("records")
    [{'name': 'a.wav', 'label': '007'}]
    """
    named = dict(columns or {})
    unknown = sorted(set(named) - set(ROLES))
    if unknown:
        raise DataError(
            f"columns={named} names {', '.join(unknown)}; it maps "
            f"{', '.join(ROLES)} to columns, such as {EXAMPLE}."
        )
    if isinstance(manifest, (str, Path)):
        return _list_one(manifest, data_folder, named)
    if len({Path(table).stem for table in manifest}) < len(manifest):
        raise DataError(
            f"manifest={list(manifest)} names a fold twice; each table is a "
            "fold, called as the file without its ending."
        )
    named["fold"] = None
    parts = [
        _list_one(table, data_folder, named).assign(fold=Path(table).stem)
        for table in manifest
    ]
    return pd.concat(parts, ignore_index=True)


def _list_one(
    manifest: str | Path, folder: Path, named: Mapping[str, str | None]
) -> pd.DataFrame:
    """List the clips of one table."""
    given = Path(manifest).expanduser()
    table = given if given.exists() else folder / given
    is_json = table.suffix.lower() == ".json"
    rows = _read_json(table) if is_json else read_table(table)
    found = _find_columns(table, rows, named)
    told = {role: rows[found[role]] if role in found else "" for role in ROLES}
    listed = pd.DataFrame(told, index=rows.index)
    cells = listed["path"].str.replace(DATA_ROOT, str(folder), regex=False)
    found_at = locate(list(cells), folder, table)
    listed["name"] = [name_below(path, folder) for path in found_at]
    # of one name, however the table writes it
    listed["path"] = [os.path.abspath(folder / x) for x in listed["name"]]
    return listed[list(LISTED)]


def _read_json(path: Path) -> pd.DataFrame:
    """Read SpeechBrain's JSON, clips by their names, all of it as text."""
    if not path.is_file():
        raise DataError(f"path={path} does not exist, or is no file.")
    try:  # numbers stay as they are written
        content = json.loads(
            path.read_text(encoding="utf-8-sig"),
            parse_int=str,
            parse_float=str,
            parse_constant=_read_constant,
            object_pairs_hook=partial(_check_twice, path),
        )
    except (RecursionError, ValueError) as error:
        raise DataError(f"path={path} is no JSON: {error}.") from error
    whole = isinstance(content, dict) and content
    if not whole or not all(isinstance(row, dict) for row in content.values()):
        raise DataError(
            f"path={path} must hold clips by their names, such as "
            '{"a": {"wav": "{data_root}/a.wav", "label": "dog"}}.'
        )
    rows = [
        {"ID": name} | {key: _as_text(value) for key, value in row.items()}
        for name, row in content.items()
    ]
    return pd.DataFrame(rows, dtype=str).fillna("")


def _check_twice(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"path={path} has two entries {twice!r}; keep one.")
    return dict(pairs)


def _read_constant(word: str) -> str | None:
    """Return what is no number by JSON: infinity as written, NaN as nothing."""
    return None if word == "NaN" else word


def _as_text(value: Any) -> str:
    """Return what JSON says as it says it, and nothing of what it leaves out.

    That is null, and what pandas writes for it, a NaN without quotes.
    """
    if value is None:
        return ""
    if isinstance(value, list):
        value = [each for each in value if each is not None]
    return value if isinstance(value, str) else json.dumps(value)


def _find_columns(
    table: Path, rows: pd.DataFrame, named: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the column of each role that the table has one for."""
    header = list(rows.columns)
    found = {}
    for role, usual in ROLES.items():
        if role in named:
            if named[role] is not None:
                found[role] = _only(table, header, role, [str(named[role])])
            continue
        known = [name for name in usual if find_column(header, name)]
        if known or role in NEEDED:
            found[role] = _only(table, header, role, known)
    told = ", ".join(f"{role}: {name}" for role, name in found.items())
    read = escape_text(f"{table} is read as columns={{{told}}}.")
    logger.info("%s", read)
    return found


def _only(
    table: Path, header: Sequence[str], role: str, names: Sequence[str]
) -> str:
    """Return the one column that is meant."""
    columns = {find_column(header, name) for name in names}
    column = next(iter(columns), None)
    if len(columns) != 1 or column is None:
        what = (
            f"has {' and '.join(map(repr, names))}"
            if len(columns) > 1
            else f"has no column {names[0] if names else role!r}"
        )
        raise DataError(
            f"path={table} {what} for {role}; say which column it is, such as "
            f"{EXAMPLE}. Seen: {list(header)}."
        )
    return column


def locate(cells: Sequence[str], folder: Path, table: Path) -> list[str]:
    """Find the files that a table names, all below the same folder.

    Arguments
    ---------
    cells : sequence of str
        Absolute, or relative to `folder`, `folder/audio`, the folder of
        `table` or that above `folder`. The ending may be missing, or be
        written in capitals; backslashes are slashes.
    folder, table : pathlib.Path
        The data folder, and the table that names the files.

    Returns
    -------
    list of str
        Absolute paths, in the same order.

    Raises
    ------
    DataError
        If a file is not there, or a name without ending fits several.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "A.WAV").write_bytes(b"")
    >>> [Path(path).name for path in locate(["A"], folder, folder / "a.csv")]
    ['A.WAV']
    """
    roots = (folder, folder / "audio", table.parent.absolute(), folder.parent)
    listing = cache(_list_names)
    best: list[list[str]] = []
    for root in dict.fromkeys(roots):
        found = [list(_candidates(root, cell, listing)) for cell in cells]
        if sum(map(bool, found)) > sum(map(bool, best)) or not best:
            best = found
        if all(found):
            break
    pairs = list(zip(cells, best, strict=True))
    refuse(
        f"manifest={table}",
        [
            (
                f"row (of {len(cells)}) without its file below {folder}",
                [cell for cell, paths in pairs if not paths],
                "copy the files there, correct their names, or remove the rows",
            ),
            (
                "name that several files have",
                [cell for cell, paths in pairs if len(paths) > 1],
                "write its ending too",
            ),
        ],
    )
    return [paths[0] for paths in best]


def _candidates(
    root: Path, cell: str, listing: Callable[[Path], dict[str, list[str]]]
) -> Iterator[str]:
    """Yield the files that a cell may mean; the exact one alone if it is."""
    path = root / cell
    if not path.is_file():
        path = root / PureWindowsPath(cell).as_posix()
    if path.is_file():
        yield os.path.abspath(path)
        return
    named = path.suffix.lower() in AUDIO_SUFFIXES
    key = _fold_ending(path.name) if named else path.name
    for name in listing(path.parent).get(unicodedata.normalize("NFC", key), ()):
        yield os.path.abspath(path.parent / name)


def _list_names(folder: Path) -> dict[str, list[str]]:
    """Return a folder's sounds by their names, endings in small letters."""
    known: dict[str, list[str]] = {}
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    for name in names:
        stem, ending = os.path.splitext(unicodedata.normalize("NFC", name))
        if ending.lower() in AUDIO_SUFFIXES:
            for key in (stem, stem + ending.lower()):
                known.setdefault(key, []).append(name)
    return known


def _fold_ending(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem + ending.lower()


def name_below(path: str, folder: Path) -> str:
    """Return a path as it is written below a folder, with slashes.

    It may lead there through links. One that does not is returned whole.

    Example
    -------
    >>> name_below("/data/dog/a.wav", Path("/data"))
    'dog/a.wav'
    """
    own = Path(path)
    if own.is_relative_to(folder):
        return own.relative_to(folder).as_posix()
    root = Path(os.path.realpath(folder))
    for place in own.parents:
        real = Path(os.path.realpath(place))
        if real.is_relative_to(root):
            inside = real.relative_to(root) / own.relative_to(place)
            return inside.as_posix()
    return own.as_posix()
