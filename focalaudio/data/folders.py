"""`any folder of sounds -> checked clips -> data sets`: the front door.

ESC-50's layout and UrbanSound8K's are known by their tables; else there is one
folder for each class, or the caller says how to tell: by a table of clips
(`focalaudio.data.manifests`) or by the names of the files
(`focalaudio.data.patterns`). What is wrong is one error before any work.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from speechbrain.utils.distributed import run_on_main

from focalaudio.data.download import download_esc50
from focalaudio.data.esc50 import CSV_NAME, Manifests, read_metadata
from focalaudio.data.folds import FOLDS_CSV, NO_LABEL, goes_on
from focalaudio.data.labels import label_problems
from focalaudio.data.layouts import (
    URBAN_CSV,
    list_by_pattern,
    list_class_folders,
    list_urbansound,
)
from focalaudio.data.made import check_made, find_folds
from focalaudio.data.manifests import Manifest, list_manifest
from focalaudio.data.pipelines import (
    ClipReader,
    SoundData,
    build_data,
    open_esc50,
)
from focalaudio.data.problems import Problem, few, find_unreadable, refuse
from focalaudio.data.several import (
    check_separable,
    gather_labels,
    spread_labels,
)
from focalaudio.data.splits import (
    Names,
    Splits,
    check_splits,
    name_fold,
)
from focalaudio.decisions import Decision, find_decision
from focalaudio.errors import DataError, escape_text

logger = logging.getLogger(__name__)

# what no table can be written with, or not be read again
UNWRITABLE = re.compile("[\0\r\n\ud800-\udfff]")
# the arguments of `read_clips`, and keys of YAML files
WHERE = (
    *("data_folder", "manifest", "columns", "pattern", "n_folds", "fold_seed"),
    *("labels_per_clip", "label_separator"),
)


def open_data(
    data_folder: str | Path,
    train_folds: Names,
    valid_folds: Names,
    test_folds: Names,
    reader: ClipReader | None = None,
    download: bool = False,
    labels: Sequence[str] | None = None,
    run_folder: str | Path | None = None,
    classifier: str | Path | None = None,
    **where: Any,
) -> SoundData:
    """Open any folder of sounds; every contradiction is an error here.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        See `read_clips`.
    train_folds, valid_folds, test_folds : sequence of int or str
        Names of the folds to train on, to choose the checkpoint by (none, if
        nothing is chosen), and held out for the result (none, if nothing is
        measured); each stands once.
    reader : ClipReader
        Reads the files; 16 kHz and 5 s if None.
    download : bool
        Fetch ESC-50 into the folder if it is not there; what else is told of
        the folder counts all the same.
    labels : sequence of str
        The classes in a trained model's order; the order of first appearance
        in the training folds if None.
    run_folder, classifier : str or pathlib.Path
        The folders of the run and of its classifier: where made folds were
        written down, if they were. A run that has nothing to go on with has
        none.
    **where
        `manifest`, `columns`, `pattern`, `n_folds`, `fold_seed`,
        `labels_per_clip`, `label_separator`: see `read_clips`.

    Returns
    -------
    SoundData
        With `folds`, if they were made.

    Raises
    ------
    DataError
        If the data contradicts itself, the folds or the labels.

    Example
    -------
    >>> from focalaudio.data.synthetic import write_dataset
    >>> folder = write_dataset(getfixture("tmp_path"), 5, seconds=1.0)
    >>> data = open_data(folder, [1, 2, 3], [4], [5])
    >>> len(data.train), len(data.test)
    (30, 10)
    """
    splits = Splits(train_folds, valid_folds, test_folds)
    labels_per_clip = where.get("labels_per_clip", "one")
    decision = find_decision(labels_per_clip)
    if _is_esc50(Path(data_folder).expanduser(), where, download):
        _check_separator(where.get("label_separator"), decision, is_esc50=True)
        return open_esc50(
            data_folder,
            train_folds,
            valid_folds,
            test_folds,
            reader,
            download,
            labels,
            labels_per_clip,
        )
    if download:
        run_on_main(download_esc50, args=[data_folder])
    own = run_folder if run_folder and goes_on(run_folder) else None
    places = [Path(place) for place in (own, classifier) if place]
    clips, is_made = read_clips(data_folder, remembered=places, **where)
    spread = spread_labels(clips, decision)
    recalled = any((place / FOLDS_CSV).is_file() for place in places)
    if is_made and not recalled:
        how = where.get("n_folds", 5), where.get("fold_seed", 0)
        check_made(clips, decision, splits, *how)
    check_splits(spread, splits)
    _warn_of_rest(spread, splits)
    train, valid, test = (
        clips[clips["fold"].isin(part)].reset_index(drop=True)
        for part in splits.parts.values()
    )
    trained = spread[spread["fold"].isin(splits.parts["train"])]["label"]
    known = tuple(label for label in trained.unique() if label)
    manifests = Manifests(train, valid, test, known)
    source = str(where.get("manifest") or data_folder)
    folds = clips if is_made else None
    return build_data(
        manifests, data_folder, reader, labels, source, folds, labels_per_clip
    )


def read_clips(
    data_folder: str | Path,
    manifest: Manifest | None = None,
    columns: Mapping[str, str | None] | None = None,
    pattern: str | None = None,
    n_folds: int = 5,
    fold_seed: int = 0,
    remembered: Sequence[Path] = (),
    labels_per_clip: str = "one",
    label_separator: str | None = None,
) -> tuple[pd.DataFrame, bool]:
    """Read what is known of every clip of a folder, and check it.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        In ESC-50's or UrbanSound8K's layout, or with a folder for each class,
        unless one of the next says otherwise.
    manifest, columns
        A table of clips, and what its columns are: see
        `focalaudio.data.manifests.list_manifest`.
    pattern : str
        Of the file names: see `focalaudio.data.patterns.NamePattern`.
    n_folds, fold_seed : int
        Of the folds that are made where the data names none: see
        `focalaudio.data.folds.make_folds`.
    remembered : sequence of pathlib.Path
        Folders; made folds are those of the first that has a `folds.csv`.
    labels_per_clip : str
        `one`; or `several`: a clip may have several labels, or none.
    label_separator : str
        Between the labels of a clip, where it may have several; not empty. A
        table may have several rows of a clip, too, or a JSON list of labels.
        ESC-50's layout takes none.

    Returns
    -------
    pandas.DataFrame
        One row per clip, all text: `clip_id` (unlike any other), `name` (below
        the data folder), `path` (absolute), `label` (several: between
        semicolons), `fold`, `group` (empty, if there is none).
    bool
        Whether the folds were made, not read from the data.

    Raises
    ------
    DataError
        If the data contradicts itself; every problem is listed.

    Example
    -------
    >>> from focalaudio.data.synthetic import write_dataset
    >>> folder = write_dataset(getfixture("tmp_path"), 5, seconds=1.0)
    >>> clips, is_made = read_clips(folder)
    >>> clips.loc[0, ["fold", "group"]].tolist(), is_made
    (['1', '100000'], False)
    """
    folder = Path(data_folder).expanduser().resolve()
    if manifest is not None and pattern is not None:
        raise DataError(
            f"manifest={manifest} and pattern={pattern!r} both say what clips "
            "are; give one of them."
        )
    if columns and manifest is None:
        raise DataError(
            f"columns={columns} are those of a table; give it: --manifest x.csv"
        )
    decision = find_decision(labels_per_clip)
    is_esc50 = _is_esc50(folder, {"manifest": manifest, "pattern": pattern})
    _check_separator(label_separator, decision, is_esc50)
    if not folder.is_dir():
        raise DataError(
            f"data_folder={folder} is not a folder; give one with sounds in it."
        )
    if is_esc50:
        return _esc50_clips(folder, decision), False
    clips = _list_clips(folder, manifest, columns, pattern)
    clips["fold"] = clips["fold"].map(name_fold)
    if decision.is_several:
        clips = gather_labels(clips, label_separator)
    clips["clip_id"] = _name_clips(clips)
    refuse(f"data_folder={folder}", _problems(clips, decision))
    is_made = not clips["fold"].any()
    if is_made:
        labels = list(map(decision.split, clips["label"]))
        clips["fold"] = find_folds(
            clips, labels, n_folds, fold_seed, remembered
        )
    return clips, is_made


def _is_esc50(
    folder: Path, where: Mapping[str, Any], download: bool = False
) -> bool:
    """Whether nothing is told, and ESC-50's layout is there, or will be."""
    keys = ("manifest", "columns", "pattern")
    told = any(where.get(key) for key in keys)
    return not told and (download or (folder / CSV_NAME).exists())


def _check_separator(
    separator: str | None, decision: Decision, is_esc50: bool
) -> None:
    """Refuse a separator where there is nothing that it could separate."""
    if separator is None:
        return
    given = f"label_separator={separator!r}"
    if not isinstance(separator, str) or not separator:
        raise DataError(
            f"{given} must be text between labels, such as '+', or null for "
            "one label in each cell."
        )
    if not decision.is_several:
        raise DataError(
            f"{given} is for clips with several labels; give "
            "--labels_per_clip several."
        )
    if is_esc50:
        raise DataError(
            f"{given} has no use in ESC-50's layout, whose clips have one "
            f"label each; to have several, give --manifest {CSV_NAME}."
        )


def _esc50_clips(folder: Path, decision: Decision) -> pd.DataFrame:
    """Return the clips of ESC-50's layout under the names used here."""
    rows = read_metadata(folder)
    check_separable(rows["label"], decision)
    names = {"filename": "name", "src_file": "group"}
    return rows.rename(columns=names).astype({"fold": str})


def _list_clips(
    folder: Path,
    manifest: Manifest | None,
    columns: Mapping[str, str | None] | None,
    pattern: str | None,
) -> pd.DataFrame:
    """List the clips by whatever says which is which."""
    if manifest is not None:
        return list_manifest(manifest, folder, columns)
    if pattern is not None:
        return list_by_pattern(folder, pattern)
    if (folder / URBAN_CSV).exists():
        return list_urbansound(folder)
    return list_class_folders(folder)


def _name_clips(clips: pd.DataFrame) -> list[str]:
    """Give each clip an id that can be a file's name.

    The one that the data gives, or else the file's name without its ending,
    with its folders if others are called so too.
    """
    given = list(clips["clip_id"])
    if not all(given):
        paths = [PurePosixPath(name) for name in clips["name"]]
        given = [path.stem for path in paths]
        if len(set(given)) < len(given):
            given = [str(path.with_suffix("")) for path in paths]
    return [re.sub(r"[/\\:\0]", "_", name) for name in given]


def _problems(clips: pd.DataFrame, decision: Decision) -> list[Problem]:
    """Say what is wrong with clips, however they were listed."""
    names, ids = clips["name"], clips["clip_id"]
    files = clips["path"].map(os.path.realpath)
    clashing = names[ids.duplicated() & ~names.duplicated()]
    several = decision.is_several
    split = map(decision.split, clips["label"])
    labels = list(dict.fromkeys(label for each in split for label in each))
    partly = names[(clips["fold"] == "") & bool(clips["fold"].any())]
    return [
        (
            "row for a clip that has one",
            list(names[names.duplicated()]),
            "keep one row for each clip, or, of several labels, give the same "
            "fold and group in all, and no ID to a row (--columns "
            "'{clip_id: null}' reads none)"
            if several
            else "keep one row for each clip, or give --labels_per_clip "
            "several",
        ),
        (
            "name of a file that has another name, by a link",
            list(names[files.duplicated() & ~names.duplicated()]),
            "keep one of them",
        ),
        (
            "file with another's clip id",
            list(clashing),
            "rename or remove it",
        ),
        (
            "name of a file, clip, fold or group that is no UTF-8, or holds a "
            "line break",
            _unwritable(clips),
            "rename it",
        ),
        *label_problems(labels),
        (
            "class and no other",
            list(map(repr, labels)) if len(labels) == 1 and not several else [],
            "give sounds of at least two classes",
        ),
        (
            "set of clips without a label",
            [] if labels else ["all of them"],
            "give the clips of some class a label",
        ),
        ("clip without a fold", list(partly), "give each clip its fold"),
        find_unreadable(clips["path"]),
    ]


def _unwritable(clips: pd.DataFrame) -> list[str]:
    """Return the names that could not be written down, escaped."""
    columns = (clips[key] for key in ("name", "clip_id", "fold", "group"))
    texts = dict.fromkeys(text for column in columns for text in column)
    return [ascii(text) for text in texts if UNWRITABLE.search(text)]


def _warn_of_rest(clips: pd.DataFrame, splits: Splits) -> None:
    """Name folds that are for nothing, and classes that are not tested."""
    unused = [f for f in dict.fromkeys(clips["fold"]) if f not in splits.named]
    if unused:
        logger.warning(
            "folds %s are neither trained, validated nor tested on.",
            escape_text(few(unused, 12)),
        )
    in_test = clips["fold"].isin(splits.parts["test"])
    tested = {*clips.loc[in_test, "label"], NO_LABEL}
    rest = [x for x in dict.fromkeys(clips["label"]) if x not in tested]
    if rest:
        logger.warning(
            "classes %s have no clip in the test folds: nothing is measured "
            "of them.",
            escape_text(few(rest, 12)),
        )
