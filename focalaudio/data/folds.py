"""`labels, groups -> folds`, made, written down, and read again.

Where the data names no folds they are made: each class is spread over them as
evenly as its groups allow, and the clips of a group (a recording, a speaker, a
site) stay together. What was made is written down beside the run, in
`folds.csv`, and read again: a clip never changes sides.
"""

from __future__ import annotations

import csv
import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from focalaudio.data.problems import refuse
from focalaudio.errors import DataError
from focalaudio.files import replace_file

FOLDS_CSV = "folds.csv"
NO_LABEL = ""  # stands for the class of the clips without any
FOLDS_COLUMNS = ("name", "label", "group", "fold")


def make_folds(
    labels: Sequence[str | Sequence[str]],
    groups: Sequence[str],
    n_folds: int = 5,
    seed: int = 0,
) -> list[str]:
    """Divide clips into folds that are alike, without dividing a group.

    One group after the other, those of the rarest classes and the largest
    first, goes where least of its classes is; of equal folds, to the one with
    the fewest clips. A class with fewer groups than folds fills the first
    folds. The order of the clips does not matter. A clip with several labels
    counts in each of their classes; those without any are spread as a class is.

    The aim is that of scikit-learn's `StratifiedGroupKFold`, the order that of
    iterative stratification (Sechidis et al., ECML PKDD 2011).

    Arguments
    ---------
    labels : sequence of str, or of sequences of str
        The label of each clip, or its labels.
    groups : sequence of str
        Of each clip; one that may stand alone has a group of its own.
    n_folds : int
        At least 2.
    seed : int
        Of the order in which groups come that are alike.

    Returns
    -------
    list of str
        `1` to `n_folds`, the fold of each clip.

    Raises
    ------
    DataError
        If there are fewer groups than folds, or fewer than 2 folds.

    Example
    -------
    >>> make_folds(["dog"] * 4, ["a", "a", "b", "b"], n_folds=2)
    ['1', '1', '2', '2']
    """
    if type(n_folds) is not int or n_folds < 2:
        raise DataError(f"n_folds={n_folds!r} must be a whole number from 2.")
    members: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    if len(members) < n_folds:
        raise DataError(
            f"n_folds={n_folds} is more than the {len(members)} groups that "
            "must stay together; give fewer folds."
        )
    content = {
        group: Counter(
            label for place in places for label in _classes(labels[place])
        )
        for group, places in members.items()
    }
    totals = sum(content.values(), Counter[str]())
    chosen = _assign(content, totals, n_folds, seed)
    folds = [""] * len(labels)
    for group, places in members.items():
        for place in places:
            folds[place] = str(chosen[group] + 1)
    return folds


def _classes(labels: str | Sequence[str]) -> Sequence[str]:
    """Return what a clip counts in; without a label, in a class of its own."""
    return [labels] if isinstance(labels, str) else labels or [NO_LABEL]


def _assign(
    content: Mapping[str, Counter[str]],
    totals: Mapping[str, int],
    n_folds: int,
    seed: int,
) -> dict[str, int]:
    """Return the fold of each group, counted from 0."""
    spread = Counter(label for counts in content.values() for label in counts)
    held = [Counter[str]() for _ in range(n_folds)]
    whole = math.lcm(*totals.values())  # shares of it are exact, so ties are
    chosen = {}
    for group in _in_order(content, spread, seed):
        counts = content[group]
        is_rare = min(spread[label] for label in counts) < n_folds

        def cost(fold: int, counts: Counter[str] = counts) -> int:
            return sum(
                count * held[fold][label] * (whole // totals[label])
                for label, count in counts.items()
            )

        fold = min(
            range(n_folds),
            key=lambda each: (cost(each), 0 if is_rare else held[each].total()),
        )
        held[fold].update(counts)
        chosen[group] = fold
    return chosen


def _in_order(
    content: Mapping[str, Counter[str]], spread: Mapping[str, int], seed: int
) -> list[str]:
    """Return the groups: of the rarest class first, the largest first."""
    groups = sorted(content)
    random.Random(seed).shuffle(groups)
    return sorted(
        groups,
        key=lambda group: (
            min(spread[label] for label in content[group]),
            -content[group].total(),
        ),
    )


def goes_on(run: str | Path) -> bool:
    """Return whether a run has anything to go on with.

    That is a checkpoint, or what was found of clips. Without, it starts again,
    whatever folds and labels were written down before.

    Example
    -------
    >>> goes_on("results/never/1234")
    False
    """
    folder = Path(run)
    return any(folder.glob("save/CKPT+*")) or (folder / "progress").is_dir()


def write_folds(clips: pd.DataFrame, folder: str | Path) -> Path:
    """Write the folds of clips beside a run.

    Arguments
    ---------
    clips : pandas.DataFrame
        With the columns `FOLDS_COLUMNS`.
    folder : str or pathlib.Path
        Gets `folds.csv`.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> row = {"name": "a.wav", "label": "dog", "group": "", "fold": "1"}
    >>> path = write_folds(pd.DataFrame([row]), getfixture("tmp_path"))
    >>> read_folds(path)
    {'a.wav': '1'}
    """
    path = Path(folder) / FOLDS_CSV
    rows = clips[list(FOLDS_COLUMNS)]
    with replace_file(path) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n")
    return path


def copy_folds(folds: Mapping[str, str], folder: str | Path) -> Path:
    """Write folds by the clips' names, and nothing else that is known of them.

    Groups may be people. Arguments but `folds`, and result, as in
    `write_folds`.

    Example
    -------
    >>> path = copy_folds({"a.wav": "1"}, getfixture("tmp_path"))
    >>> path.read_text().splitlines()
    ['name,label,group,fold', 'a.wav,,,1']
    """
    clips = pd.DataFrame({"name": list(folds), "fold": list(folds.values())})
    return write_folds(clips.assign(label="", group=""), folder)


def read_folds(path: str | Path) -> dict[str, str]:
    """Read the fold of each clip, by its name, from a `folds.csv`.

    A `DataError` if it is not there or is damaged.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, strict=True)
        places = [header.index(column) for column in ("name", "fold")]
        return {row[places[0]]: row[places[1]] for row in rows}
    except (IndexError, OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"path={path} must be a table with the columns "
            f"{', '.join(FOLDS_COLUMNS)}: {error}"
        ) from error


def recall_folds(names: Sequence[str], path: Path) -> list[str]:
    """Return the folds that were written down for clips.

    Arguments
    ---------
    names : sequence of str
        Of the clips, below the data folder.
    path : pathlib.Path
        A `folds.csv`; it may name more clips than these.

    Raises
    ------
    DataError
        If a clip is not in it: it came after the folds were made.

    Example
    -------
    >>> path = getfixture("tmp_path") / "folds.csv"
    >>> _ = path.write_text("name,label,group,fold" + chr(10) + "a,dog,,2")
    >>> recall_folds(["a"], path)
    ['2']
    """
    known = read_folds(path)
    refuse(
        f"folds={path}",
        [
            (
                f"clip (of {len(names)}) without a fold in it",
                [name for name in names if name not in known],
                "remove what was added since the folds were made, or make new "
                "ones in a run of another experiment_name",
            )
        ],
    )
    return [known[name] for name in names]
