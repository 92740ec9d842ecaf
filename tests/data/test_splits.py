"""Laws of focalaudio.data.splits: each clip on one side, each class trained."""

import pandas as pd
import pytest

from focalaudio.data.splits import Splits, check_splits, name_fold
from focalaudio.errors import DataError


def clips(*rows):
    return pd.DataFrame(rows, columns=["label", "group", "fold"])


def test_folds_have_names_of_any_kind():
    splits = Splits(["theo", 1], "george", ("lucas",))
    assert splits.parts == {
        "train": ("theo", "1"),
        "valid": ("george",),
        "test": ("lucas",),
    }
    assert Splits(1, [], 2).parts["valid"] == ()
    assert Splits([1, 2], [], []).named == ("1", "2")


@pytest.mark.parametrize("name", ["1", "1.0", "01", " 1", 1])
def test_a_number_is_the_same_however_it_is_written(name):
    assert name_fold(str(name)) == "1"


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        (([], [1], [2]), "train_folds=.. is empty"),
        (([1], [2], None), "test_folds=None has None"),
        (([True], [2], [3]), "has True; .*in quotes"),
        (([1.5], [2], [3]), "has 1.5"),
        (([1], [2], ["2"]), "folds 2 are named twice"),
        ((["a", "a"], [2], [3]), "folds a are named twice"),
    ],
)
def test_impossible_splits_are_refused(folds, said):
    with pytest.raises(DataError, match=said):
        Splits(*folds)


def test_a_fold_that_does_not_exist_is_answered_with_those_that_do():
    data = clips(("a", "", "train"), ("a", "", "test"), ("a", "", "dev"))
    with pytest.raises(DataError) as refused:
        check_splits(data, Splits([1, 2, 3], [4], [5]))
    assert "folds 1, 2, 3 and 2 more have no clips" in str(refused.value)
    assert "--train_folds '[train]' --valid_folds '[test]'" in str(
        refused.value
    )
    check_splits(data, Splits("train", "dev", "test"))


@pytest.mark.parametrize("names", ["1,2,3", "1, 2,3.0", ["1,2,3"]])
def test_folds_that_are_no_list_are_written_as_one(names):
    data = clips(*(("a", "", fold) for fold in "12345"))
    with pytest.raises(DataError, match=r"write a list, '\[1, 2, 3\]'"):
        check_splits(data, Splits(names, [4], [5]))


def test_a_fold_may_have_a_comma_in_its_name():
    data = clips(*(("a", "", fold) for fold in ("a,b", "c", "d")))
    check_splits(data, Splits("a,b", "c", "d"))


def test_a_group_on_two_sides_is_a_leak():
    rows = [("a", "x", "1"), ("a", "x", "2"), ("a", "y", "3"), ("a", "", "4")]
    data = clips(*rows)
    with pytest.raises(DataError, match="1 x group.*'x' in train and test"):
        check_splits(data, Splits([1], [3], [2]))
    check_splits(data, Splits([1, 2], [3], [4]))  # on one side
    check_splits(data, Splits([1, 4], [], [3]))  # one fold is for nothing


def test_a_class_is_trained_or_refused():
    data = clips(("a", "", "1"), ("a", "", "2"), ("x => y", "", "2"))
    with pytest.raises(DataError, match="class without.*'x => y'"):
        check_splits(data, Splits([1], [], [2]))
    check_splits(data, Splits([2], [], [1]))
