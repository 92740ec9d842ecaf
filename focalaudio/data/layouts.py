"""`a folder of sounds -> listed clips`, whatever says which is which.

One folder for each class, the folders `train`, `valid`, `test` above those,
labels in file names, or UrbanSound8K's layout. What else lies there is named,
once, and not read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from focalaudio.audio import AUDIO_SUFFIXES
from focalaudio.data.manifests import LISTED, name_below
from focalaudio.data.patterns import NamePattern
from focalaudio.data.problems import few, refuse
from focalaudio.data.tables import read_table
from focalaudio.errors import DataError, escape_text

logger = logging.getLogger(__name__)

URBAN_CSV = "metadata/UrbanSound8K.csv"
URBAN_COLUMNS = ("slice_file_name", "fsID", "fold", "class")
# folders that say which split their class folders are of
SPLITS = frozenset(
    {"dev", "eval", "test", "train", "training", "val", "valid", "validation"}
)
HIDDEN = (".", "__")  # .git, ._a.wav, __MACOSX


def list_class_folders(data_folder: Path) -> pd.DataFrame:
    """List clips whose label is the first folder below the data folder.

    Deeper folders say nothing. If all first folders are called `train`,
    `valid`, `test` or the like, they are the folds, and the second are the
    labels.

    Returns
    -------
    pandas.DataFrame
        As of `focalaudio.data.manifests.list_manifest`, sorted by name.

    Raises
    ------
    DataError
        If there are fewer than two classes.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("dog", "rain"):
    ...     (folder / name).mkdir()
    ...     _ = (folder / name / "1.wav").write_bytes(b"")
    >>> list_class_folders(folder)[["name", "label"]].to_dict("records")
    [{'name': 'dog/1.wav', 'label': 'dog'},
     {'name': 'rain/1.wav', 'label': 'rain'}]
    """
    names, others = _walk(data_folder)
    inside = [name for name in names if "/" in name]
    tops = {name.split("/")[0] for name in inside}
    depth = 1 if tops and {top.lower() for top in tops} <= SPLITS else 0
    sounds = [name for name in inside if name.count("/") > depth]
    loose = sorted({*names} - {*sounds})
    labels = [name.split("/")[depth] for name in sounds]
    if len(set(labels)) < 2:
        n_loose = f"; {len(loose)} sounds lie outside" if loose else ""
        raise DataError(
            f"data_folder={data_folder} has {len(set(labels))} folders with "
            f"sounds in them ({few(sorted(set(labels))) or 'none'}){n_loose}. "
            "Give one with a folder for each class, or meta/esc50.csv, or "
            f"{URBAN_CSV}; or say which clip is what: --manifest TABLE, or "
            '--pattern "{label}_{index}.wav".'
        )
    empty = sorted(_folders_in(data_folder) - tops)
    _warn(
        data_folder,
        {
            "sound outside the class folders": loose,
            "folder without a sound": empty,
            **others,
        },
    )
    folds = [name.split("/")[0] if depth else "" for name in sounds]
    return _listed(data_folder, sounds, {"label": labels, "fold": folds})


def list_by_pattern(data_folder: Path, pattern: str) -> pd.DataFrame:
    """List clips whose names say what they are.

    Arguments
    ---------
    data_folder : pathlib.Path
        Searched at any depth.
    pattern : str
        See `focalaudio.data.patterns.NamePattern`: its parts `label`, `fold`
        and `group` are read, others say nothing.

    Returns
    -------
    pandas.DataFrame
        As of `list_class_folders`.

    Raises
    ------
    DataError
        If a sound does not fit the pattern, or there is none.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "7_theo_0.wav").write_bytes(b"")
    >>> clips = list_by_pattern(folder, "{label}_{group}_{index}.wav")
    >>> clips[["label", "group"]].to_dict("records")
    [{'label': '7', 'group': 'theo'}]
    """
    reader = NamePattern(pattern)
    names, others = _walk(data_folder)
    found = {name: reader.read(name) for name in names}
    odd = [name for name in names if found[name] is None]
    remedy = "rename or move the files, or give another pattern"
    if not names:
        raise DataError(
            f"data_folder={data_folder} holds no sound; give one with files "
            f"that end in {', '.join(sorted(AUDIO_SUFFIXES))}."
        )
    what = f"sound (of {len(names)}) that pattern={pattern!r} does not fit"
    refuse(f"data_folder={data_folder}", [(what, odd, remedy)])
    _warn(data_folder, others)
    said = [found[name] or {} for name in names]
    columns = {
        role: [parts.get(role, "") for parts in said]
        for role in ("label", "fold", "group")
    }
    return _listed(data_folder, names, columns)


def list_urbansound(data_folder: Path) -> pd.DataFrame:
    """List clips of UrbanSound8K: ten folds, recordings as groups.

    `audio/fold1` to `audio/fold10`, and `metadata/UrbanSound8K.csv` with the
    columns slice_file_name, fsID, fold and class; a subset will do.

    Reference: Salamon, Jacoby, Bello, "A Dataset and Taxonomy for Urban Sound
    Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.

    Returns
    -------
    pandas.DataFrame
        As of `list_class_folders`, in the table's order.

    Raises
    ------
    DataError
        If the table cannot be read, or names files that are not there.

    Example
    -------
    >>> list_urbansound(getfixture("tmp_path"))
    Traceback (most recent call last):
    focalaudio.errors.DataError: path=...UrbanSound8K.csv does not exist, ...
    """
    rows = read_table(data_folder / URBAN_CSV, URBAN_COLUMNS)
    names = [
        f"audio/fold{fold.removesuffix('.0')}/{name}"
        for fold, name in zip(
            rows["fold"], rows["slice_file_name"], strict=True
        )
    ]
    absent = [name for name in names if not (data_folder / name).is_file()]
    what = f"row (of {len(rows)}) without its file"
    remedy = "copy the files there, or remove the rows"
    refuse(f"data_folder={data_folder}", [(what, absent, remedy)])
    columns = {
        "label": list(rows["class"]),
        "fold": list(rows["fold"]),
        "group": list(rows["fsID"]),
    }
    return _listed(data_folder, names, columns)


def _listed(
    folder: Path, names: list[str], columns: Mapping[str, list[str]]
) -> pd.DataFrame:
    """Put together what is known of clips below a folder."""
    paths = [f"{folder}{os.sep}{name}" for name in names]
    frame = pd.DataFrame({"name": names, "path": paths, **columns}, dtype=str)
    return frame.reindex(columns=list(LISTED), fill_value="")


def _walk(folder: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Return the sounds below a folder, and what else is there, sorted."""
    sounds: list[str] = []
    hidden: list[str] = []
    strange: list[str] = []
    for path in _files_below(folder, hidden):
        name = name_below(str(path), folder)
        if path.name.startswith(HIDDEN):
            hidden.append(name)
        elif path.suffix.lower() in AUDIO_SUFFIXES:
            sounds.append(name)
        else:
            strange.append(name)
    return sorted(sounds), {
        "hidden": sorted(hidden),
        "not a sound by its name": sorted(strange),
    }


def _files_below(folder: Path, hidden: list[str]) -> Iterator[Path]:
    """Yield all files; hidden folders are noted and left alone."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        secret = [name for name in folders if name.startswith(HIDDEN)]
        hidden += [
            f"{name_below(os.path.join(place, name), folder)}/"
            for name in secret
        ]
        real = os.path.realpath(place)
        if real in seen:  # links that lead round in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if name not in secret]
        yield from (Path(place, name) for name in files)


def _folders_in(folder: Path) -> set[str]:
    return {
        path.name
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(HIDDEN)
    }


def _warn(folder: Path, others: Mapping[str, list[str]]) -> None:
    """Name what is not read, in one warning."""
    found = [
        f"{len(names)} x {what}: {few(names)}"
        for what, names in others.items()
        if names
    ]
    if found:
        said = escape_text(f"{folder}: not read: {'; '.join(found)}.")
        logger.warning("%s", said)
