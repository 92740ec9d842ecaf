"""Folder in ESC-50's layout -> checked metadata -> one manifest per split.

The layout is `audio/*` and `meta/esc50.csv` with the columns filename, fold,
target, category and src_file (the release's esc10 and take are not used). A
subset with other audio formats and lengths is as good as the whole release.
Everything that can be wrong with a folder is an error before work starts.

Reference: Piczak, "ESC: Dataset for Environmental Sound Classification",
ACM Multimedia 2015, doi:10.1145/2733373.2806390.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import pandas as pd

from focalaudio.audio import AUDIO_SUFFIXES
from focalaudio.data.labels import show_label
from focalaudio.data.problems import Problem, find_unreadable, refuse
from focalaudio.data.splits import Splits, check_splits
from focalaudio.data.tables import read_table
from focalaudio.errors import DataError

logger = logging.getLogger(__name__)

CSV_NAME = "meta/esc50.csv"
CSV_COLUMNS = ("filename", "fold", "target", "category", "src_file")
LAYOUT = f"audio/ and {CSV_NAME} (columns {', '.join(CSV_COLUMNS)})"
METADATA_COLUMNS = (
    *("clip_id", "path", "label", "fold", "target", "src_file", "filename"),
)
# The release itself cuts these four recordings into clips of two folds, each
# time under two categories: they cannot be refused, so they are warned about.
RELEASE_SHARED_SOURCES = frozenset({"131943", "134049", "209698", "234879"})
WHOLE_NUMBER = (r"0|[1-9][0-9]{0,8}", "a whole number")
TRIMMED_TEXT = (r"\S(.*\S)?", "text without spaces around it")
CELLS = {name: TRIMMED_TEXT for name in CSV_COLUMNS}
CELLS |= {"fold": WHOLE_NUMBER, "target": WHOLE_NUMBER}


PAPER = Splits([1, 2, 3], [4], [5])  # of arXiv 2402.02754


@dataclass(frozen=True, eq=False)
class Manifests:
    """The three splits of a data set and the order of its labels.

    Arguments
    ---------
    train, valid, test : pandas.DataFrame
        One row per clip, with `clip_id`, `path`, `label`, and `filename` or
        `name`, what it is called below the folder of sounds.
    labels : tuple of str
        Label of class 0, 1, ...: order of first appearance in `train`.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    labels: tuple[str, ...]


def prepare_esc50(data_folder: str | Path, splits: Splits = PAPER) -> Manifests:
    """Read a folder, check all of it, and split it by fold.

    The paper's splits if left out; rows keep the order of `meta/esc50.csv`. A
    `DataError` if the folder contradicts itself or lacks what `splits` asks
    for.
    """
    metadata = read_metadata(data_folder)
    # recordings in several folds are refused, or known, already
    clips = metadata.assign(fold=metadata["fold"].astype(str), group="")
    check_splits(clips, splits)
    train, valid, test = (
        metadata[clips["fold"].isin(part)].reset_index(drop=True)
        for part in splits.parts.values()
    )
    _warn_of_shared_sources((train, valid, test))
    return Manifests(train, valid, test, tuple(train["label"].unique()))


def read_metadata(data_folder: str | Path) -> pd.DataFrame:
    """Read `meta/esc50.csv` and check it against itself and against `audio/`.

    Returns
    -------
    pandas.DataFrame
        One row per clip, in the file's order: clip_id (filename without its
        extension), path (absolute), label (category), fold and target (int),
        src_file, filename; the rest is text.

    Raises
    ------
    DataError
        If the folder, the file, a column or clips are missing, rows contradict
        each other, or a file does not open; every problem is listed, not only
        the first.

    Example
    -------
    >>> read_metadata("no/such/folder")
    Traceback (most recent call last):
    focalaudio.errors.DataError: data_folder=...no/such/folder is not a
    folder; give one with audio/ and meta/esc50.csv (columns filename, fold,
    target, category, src_file).
    """
    folder = Path(data_folder).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(
            f"data_folder={folder} is not a folder; give one with {LAYOUT}."
        )
    rows = _read_csv(folder / CSV_NAME)
    problems = _row_problems(rows) + _audio_problems(rows, folder / "audio")
    refuse(f"data_folder={folder}", problems)
    rows = rows.rename(columns={"category": "label"})
    rows["clip_id"] = rows["filename"].map(_stem)
    rows["path"] = f"{folder / 'audio'}{os.sep}" + rows["filename"]
    return _tidy(rows)


def read_label_order(
    path: str | Path, folds: Sequence[int] = (1, 2, 3)
) -> list[str]:
    """Return the labels in the order in which some folds first show them.

    `path` is a file like ESC-50's `meta/esc50.csv`; no sound is needed. A
    `DataError` if it is missing or damaged, or has no row of these folds.

    Example
    -------
    >>> path = getfixture("tmp_path") / "esc50.csv"
    >>> text = "filename,fold,target,category,src_file"
    >>> _ = path.write_text(text + chr(10) + "a.wav,2,0,dog,1")
    >>> read_label_order(path)
    ['dog']
    """
    rows = _read_csv(Path(path))
    refuse(f"path={path}", _row_problems(rows))
    rows = rows[rows["fold"].astype(int).isin(folds)]
    if rows.empty:
        raise DataError(
            f"path={path} has no rows of the folds {list(folds)}; the order "
            "of the labels is theirs."
        )
    return rows["category"].drop_duplicates().tolist()


def _read_csv(path: Path) -> pd.DataFrame:
    """Read the metadata as text; at least one row and all columns."""
    if not path.is_file():
        raise DataError(
            f"path={path} does not exist; data_folder must hold {LAYOUT}."
        )
    rows = read_table(path, CSV_COLUMNS)
    for column in ("fold", "target"):  # spreadsheets make 1.0 of 1
        rows[column] = rows[column].str.removesuffix(".0")
    return rows


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Checked text -> the columns and types that callers see."""
    numbers = {"fold": int, "target": int}
    return frame[list(METADATA_COLUMNS)].astype(numbers)


def _row_problems(rows: pd.DataFrame) -> list[Problem]:
    """Say how rows of the metadata are wrong by themselves."""
    names = rows["filename"]
    odd = [name for name in names if re.search(r"[/\\:\0]", name)]
    clashing = names[names.map(_stem).duplicated() & ~names.duplicated()]
    one_to_one = "category and target must go together, one to one"
    return [
        ("filename with a folder in it", odd, "name files inside audio/"),
        *_cell_problems(rows),
        ("file with another's clip id", list(clashing), "rename or remove it"),
        ("category", _ambiguous(rows, "category", "target"), one_to_one),
        ("target", _ambiguous(rows, "target", "category"), one_to_one),
        (
            "src_file with clips in several folds",
            _leaking(rows),
            "move all clips of a recording into one fold, or the test "
            "hears what was trained on",
        ),
    ]


def _cell_problems(rows: pd.DataFrame) -> list[Problem]:
    """Say which values cannot be used, and which clips have two rows."""
    names = rows["filename"]
    twice = list(names[names.duplicated()])
    problems: list[Problem] = [
        ("row for a clip that has one", twice, "keep one row for each clip")
    ]
    for column, (pattern, rule) in CELLS.items():
        is_good = rows[column].str.fullmatch(pattern)
        wrong = [f"{column}={cell!r}" for cell in rows[column][~is_good]]
        problems.append((f"value that is not {rule}", wrong, "correct it"))
    return problems


def _audio_problems(rows: pd.DataFrame, folder: Path) -> list[Problem]:
    """Say which rows lack their file, or files their row, or their sound."""
    named = set(rows["filename"])
    present = {path.name for path in folder.glob("*") if path.is_file()}
    unknown = [name for name in sorted(present - named) if _is_audio(name)]
    return [
        (
            f"row (of {len(rows)}) without its file in audio/",
            [name for name in rows["filename"] if name not in present],
            f"copy the files there, remove their rows from {CSV_NAME}, or "
            "fetch ESC-50 with focalaudio.data.download.download_esc50",
        ),
        (
            f"file of audio/ without a row in {CSV_NAME}",
            unknown,
            "add rows or remove the files",
        ),
        find_unreadable(str(folder / name) for name in sorted(named & present)),
    ]


def _ambiguous(rows: pd.DataFrame, one: str, other: str) -> list[str]:
    """Values of a column that go with several values of the other."""
    values = rows.groupby(one, sort=False)[other].unique()
    return [
        f"{one}={value} with {other} "
        f"{' and '.join(show_label(each, others) for each in others)}"
        for value, others in values.items()
        if len(others) > 1
    ]


def _leaking(rows: pd.DataFrame) -> list[str]:
    """Recordings in several folds, except those of the release."""
    counts = rows.groupby("src_file")["fold"].nunique()
    return sorted(set(counts[counts > 1].index) - RELEASE_SHARED_SOURCES)


def _warn_of_shared_sources(splits: Sequence[pd.DataFrame]) -> None:
    """Warn of the release's own recordings that several splits share."""
    shared: set[str] = set()
    seen: set[str] = set()
    for split in splits:
        sources = set(split["src_file"])
        shared |= sources & seen
        seen |= sources
    if shared:
        logger.warning(
            "src_file=%s: the ESC-50 release has clips of these recordings "
            "in several folds, and now in several splits.",
            ", ".join(sorted(shared)),
        )


def _is_audio(name: str) -> bool:
    """Whether a file claims to be audio; hidden files do not count."""
    suffix = PurePath(name).suffix.lower()
    return suffix in AUDIO_SUFFIXES and not name.startswith(".")


def _stem(name: str) -> str:
    return PurePath(name).stem
