"""Laws of focalaudio.data.made: folds that are left over are explained."""

import re
import shlex

import pandas as pd
import pytest
import yaml

from focalaudio.data.made import check_made, find_folds
from focalaudio.data.splits import Splits, check_splits
from focalaudio.decisions import ONE
from focalaudio.errors import DataError

USUAL = Splits([1, 2, 3], [4], [5])


def make(groups_per_class, n_folds=5):
    """Two clips of each group, two classes, and the folds of them."""
    rows = [
        {"name": f"{label}{group}{clip}", "label": label, "group": group}
        for label in ("dog", "rain")
        for group in (f"{label}{n}" for n in range(groups_per_class))
        for clip in (0, 1)
    ]
    clips = pd.DataFrame(rows)
    labels = [[label] for label in clips["label"]]
    return clips.assign(fold=find_folds(clips, labels, n_folds))


def read_command(said):
    """The options of a message, as a shell and YAML read them."""
    words = shlex.split(said[said.index("--n_folds") :].rstrip("."))
    return {
        key[2:]: yaml.safe_load(value)
        for key, value in zip(words[::2], words[1::2], strict=True)
    }


@pytest.mark.parametrize("groups", [3, 4])
def test_the_command_that_is_shown_works(groups):
    with pytest.raises(DataError, match="the data names no folds") as error:
        check_made(make(groups), ONE, USUAL)
    given = read_command(str(error.value))
    parts = [given[f"{part}_folds"] for part in ("train", "valid", "test")]
    splits = Splits(*parts)
    again = make(groups, given["n_folds"])
    check_made(again, ONE, splits, given["n_folds"])
    check_splits(again, splits)


def test_of_too_few_groups_it_is_said_how_many_there_must_be():
    with pytest.raises(DataError, match="each class clips of 3 groups or more"):
        check_made(make(2, n_folds=4), ONE, USUAL, n_folds=4)


@pytest.mark.parametrize("groups", [5, 7])
def test_where_every_fold_has_clips_nothing_is_said(groups):
    check_made(make(groups), ONE, USUAL)


def test_folds_that_nobody_made_are_another_matter():
    named = Splits("theo", [], "anna")
    check_made(make(3), ONE, named)
    with pytest.raises(DataError, match="folds theo, anna have no clips"):
        check_splits(make(3), named)
    assert re.fullmatch("[1-4]", make(3)["fold"].max())
