"""Laws of focalaudio.data.folds: alike, whole groups, the same every time."""

import random
from collections import Counter, defaultdict

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focalaudio.data.folds import (
    make_folds,
    read_folds,
    recall_folds,
    write_folds,
)
from focalaudio.errors import DataError

clips = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 30).map(str)),
    min_size=8,
    max_size=60,
).filter(lambda rows: len({group for _, group in rows}) >= 4)


def fold_of(rows, n_folds=4, seed=0):
    labels, groups = zip(*rows, strict=True)
    return make_folds(labels, groups, n_folds, seed)


@settings(max_examples=50)
@given(clips, st.integers(0, 5))
def test_groups_stay_whole_and_no_order_matters(rows, seed):
    folds = fold_of(rows, seed=seed)
    of_group = defaultdict(set)
    for (_, group), fold in zip(rows, folds, strict=True):
        of_group[group].add(fold)
    assert all(len(found) == 1 for found in of_group.values())
    assert set(folds) <= {"1", "2", "3", "4"}
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    shuffled = fold_of([rows[place] for place in order], seed=seed)
    assert shuffled == [folds[place] for place in order]


# clips whose folds tie, but not if their shares are rounded before the sum
TIED = list(zip("addcacdcaacaaccb", "0055551015411242", strict=True))


def test_no_order_matters_where_folds_tie():
    found = set()
    for seed in range(50):
        rows = random.Random(seed).sample(TIED, len(TIED))
        folds = fold_of(rows, n_folds=2)
        found.add(tuple(sorted(zip(rows, folds, strict=True))))
    assert len(found) == 1


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abc"), min_size=5, max_size=60))
def test_clips_on_their_own_are_spread_evenly(labels):
    folds = make_folds(labels, list(map(str, range(len(labels)))), 5)
    for label, count in Counter(labels).items():
        own = [f for f, x in zip(folds, labels, strict=True) if x == label]
        held = Counter(own)
        assert max(held.values()) - min(held[f] for f in "12345") <= 1
        if count < 5:  # what is rare is in the first folds
            assert sorted(own) == list("12345")[:count]


def test_folds_are_of_one_size_though_classes_do_not_divide():
    labels = [label for label in "abcdefghij" for _ in range(7)]
    folds = make_folds(labels, list(map(str, range(70))), 5)
    assert set(Counter(folds).values()) == {14}


def test_speakers_are_a_fold_each():
    rows = [(str(i % 10), speaker) for i in range(60) for speaker in "abcdef"]
    folds = fold_of(rows, n_folds=6)
    pairs = {
        (group, fold) for (_, group), fold in zip(rows, folds, strict=True)
    }
    assert len(pairs) == len({fold for _, fold in pairs}) == 6


def test_another_seed_is_another_division():
    rows = [("ab"[i % 2], str(i)) for i in range(40)]
    made = {tuple(fold_of(rows, seed=seed)) for seed in range(5)}
    assert len(made) == 5
    assert fold_of(rows, seed=3) == fold_of(rows, seed=3)


@pytest.mark.parametrize("n_folds", [1, 0, 2.0, True, "5", None])
def test_a_number_of_folds_is_a_number(n_folds):
    with pytest.raises(DataError, match="n_folds="):
        make_folds(["a", "b"], ["1", "2"], n_folds)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(DataError, match="n_folds=3 is more than the 2 groups"):
        make_folds(["a", "b", "a"], ["1", "2", "1"], 3)


NAMES = ["a.wav", " b,c.wav", 'd"\u00e4.wav', "NA", "007", "dog/1.wav"]


def test_what_is_written_down_is_read_again(tmp_path):
    folds = [str(place) for place in range(len(NAMES))]
    table = pd.DataFrame({"name": NAMES, "fold": folds})
    table[["label", "group"]] = "NA"
    path = write_folds(table, tmp_path)
    assert read_folds(path) == dict(zip(NAMES, folds, strict=True))
    assert recall_folds(NAMES[::-1], path) == folds[::-1]
    with pytest.raises(DataError, match="1 x clip .of 2. without a fold.*: z"):
        recall_folds(["a.wav", "z"], path)


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "name,fold\n1,2\n4\n"])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "folds.csv").write_text(content)
    with pytest.raises(DataError, match="folds.csv must be a table"):
        recall_folds(["z"], tmp_path / "folds.csv")
