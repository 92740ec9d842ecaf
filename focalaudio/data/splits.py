"""`names of folds -> splits`: which folds train, validate and test.

A fold has a name: a number, or text such as `train` or a speaker's name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from focalaudio.data.problems import few, refuse
from focalaudio.errors import DataError

Names = Sequence[int | str] | int | str


@dataclass(frozen=True)
class Splits:
    """Which folds train, validate and test, by their names.

    Arguments
    ---------
    train, valid, test : sequence of int or str
        At least one fold each, but `valid` and `test` may be empty: nothing is
        selected, or measured, then. A single name is a list of one.

    Raises
    ------
    DataError
        If a name is neither text nor a whole number, or is named twice.

    Example
    -------
    >>> Splits(["theo", 1], "george", ["lucas"]).train
    ('theo', '1')
    >>> Splits([1], [1], [2])
    Traceback (most recent call last):
    focalaudio.errors.DataError: folds 1 are named twice in train=('1',), ...
    """

    train: Names
    valid: Names
    test: Names

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            names = _fold_names(field.name, given)
            object.__setattr__(self, field.name, names)
        counts = Counter(self.named)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise DataError(
                f"folds {few(twice)} are named twice in train={self.train}, "
                f"valid={self.valid}, test={self.test}; give every fold to one "
                "split only."
            )

    @property
    def named(self) -> tuple[str, ...]:
        """All folds that are used."""
        return tuple(name for part in self.parts.values() for name in part)

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The folds of each split."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def _fold_names(split: str, given: Names) -> tuple[str, ...]:
    """Turn what names a split's folds into text, or say what is wrong."""
    names = list(given) if isinstance(given, (list, tuple)) else [given]
    odd = [name for name in names if type(name) not in (int, str)]
    empty = not names and split == "train"
    if odd or empty:
        what = f"has {odd[0]!r}" if odd else "is empty"
        raise DataError(
            f"{split}_folds={given!r} {what}; it lists names of folds, such as "
            '[1, 2], [theo, jackson] or, in quotes, ["yes"].'
        )
    return tuple(name_fold(str(name)) for name in names)


def name_fold(text: str) -> str:
    """Return the name of a fold; whole numbers are what they say.

    Example
    -------
    >>> name_fold("1.0"), name_fold("05"), name_fold("theo ")
    ('1', '5', 'theo')
    """
    number = re.fullmatch(r"0*([0-9]+)(\.0*)?", text.strip())
    return number[1] if number else text.strip()


def check_splits(clips: pd.DataFrame, splits: Splits) -> None:
    """Refuse folds without clips, untrained classes, and groups on two sides.

    Arguments
    ---------
    clips : pandas.DataFrame
        With the columns `label`, `fold` and `group`, all text; a clip with
        several labels stands there once for each, with none once, without any.
    splits : Splits
        Which folds are for what; those that are for nothing are no error.

    Raises
    ------
    DataError
        If any of these is found.

    Example
    -------
    >>> row = {"label": "dog", "group": "a"}
    >>> clips = pd.DataFrame([row | {"fold": "1"}, row | {"fold": "2"}])
    >>> check_splits(clips, Splits([1], [], [2]))
    Traceback (most recent call last):
    focalaudio.errors.DataError: the splits:
    - 1 x group with clips in several splits: 'a' in train and test; ...
    """
    present = list(dict.fromkeys(clips["fold"]))
    absent = find_absent(clips, splits)
    joined = next((name for name in absent if "," in name), None)
    if joined is not None:
        raise DataError(
            f"folds {joined} are one name, that of no fold; write a list, "
            f"'[{', '.join(map(name_fold, joined.split(',')))}]'."
        )
    if absent:
        example = write_splits([name] for name in present)
        raise DataError(
            f"folds {few(absent)} have no clips; the data has folds "
            f"{few(sorted(present, key=_by_number), 12)}: choose among them, "
            f"such as {example}."
        )
    training = splits.parts["train"]
    trained = set(clips.loc[clips["fold"].isin(training), "label"])
    untrained = [
        label
        for label in dict.fromkeys(clips["label"])
        if label and label not in trained
    ]
    refuse(
        "the splits",
        [
            (
                f"class without clips in the training folds {training}",
                list(map(repr, untrained)),
                "train on a fold that has it, or leave it out",
            ),
            (
                "split without a single label",
                list(_empty_parts(clips, splits)),
                "give it a fold that has clips of some class",
            ),
            (
                "group with clips in several splits",
                list(_leaks(clips, splits)),
                "keep the clips of a recording, speaker or site in one split, "
                "or the test hears what was trained on",
            ),
        ],
    )


def find_absent(clips: pd.DataFrame, splits: Splits) -> list[str]:
    """Return the folds of splits that have no clips."""
    present = set(clips["fold"])
    return [name for name in splits.named if name not in present]


def write_splits(parts: Iterable[Sequence[int | str]]) -> str:
    """Write the folds that train, validate and test as a shell takes them.

    Example
    -------
    >>> write_splits([[1, 2], [3], [4]])
    "--train_folds '[1, 2]' --valid_folds '[3]' --test_folds '[4]'"
    """
    return " ".join(
        f"--{field.name}_folds '[{', '.join(map(str, names))}]'"
        for field, names in zip(fields(Splits), parts, strict=False)
    )


def _empty_parts(clips: pd.DataFrame, splits: Splits) -> Iterator[str]:
    """Yield the splits that have clips, all of them without a label."""
    for part, folds in splits.parts.items():
        labels = clips.loc[clips["fold"].isin(folds), "label"]
        if len(labels) and not any(labels):
            yield part


def _leaks(clips: pd.DataFrame, splits: Splits) -> Iterator[str]:
    """Yield the groups that several splits have clips of."""
    part_of = {
        fold: part for part, folds in splits.parts.items() for fold in folds
    }
    parts: dict[str, dict[str, None]] = defaultdict(dict)
    for group, fold in zip(clips["group"], clips["fold"], strict=True):
        if group and fold in part_of:
            parts[group][part_of[fold]] = None
    for group, found in parts.items():
        if len(found) > 1:
            yield f"{group!r} in {' and '.join(found)}"


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sort numbers as numbers, before names."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
