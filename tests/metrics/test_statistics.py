"""Laws of statistics: every clip once, in any order, undefined ones counted."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.metrics import statistics as ours
from focalaudio.metrics.statistics import (
    describe,
    summarize,
    summarize_folds,
)

NUMBERS = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=20
)


@given(NUMBERS)
def test_means_medians_and_deviations_are_those_of_the_standard_library(values):
    found = describe(values)
    assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found["median"] == pytest.approx(
        statistics.median(values), rel=1e-12, abs=1e-9
    )
    assert found["std"] == pytest.approx(
        statistics.stdev(values), rel=1e-6, abs=1e-6
    )
    assert min(values) - 1e-6 <= found["low"] <= found["high"]
    assert found["high"] <= max(values) + 1e-6


@given(NUMBERS, st.randoms())
def test_order_does_not_matter(values, draw):
    shuffled = list(values)
    draw.shuffle(shuffled)
    assert describe(shuffled) == describe(values)


def test_undefined_values_are_counted_apart():
    found = describe([1.0, math.nan, 3.0, math.nan])
    assert (found["mean"], found["n"], found["undefined"]) == (2.0, 2, 2)
    nothing = describe([math.nan])
    assert math.isnan(nothing["mean"])
    assert nothing["undefined"] == 1


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    draw = random.Random(0)
    covered = 0
    for _ in range(200):
        found = describe([draw.gauss(5, 2) for _ in range(60)])
        covered += found["low"] <= 5 <= found["high"]
    assert 180 <= covered <= 199


def test_the_interval_is_as_wide_as_the_standard_error_says():
    draw = random.Random(1)
    found = describe([draw.gauss(0, 1) for _ in range(400)])
    width = found["high"] - found["low"]
    assert width == pytest.approx(2 * 1.96 * found["std"] / 20, rel=0.1)


def test_no_rows_are_an_error_not_a_zero():
    with pytest.raises(ValueError, match="rows is empty"):
        summarize([], ["a"])


def test_columns_that_no_row_has_are_left_out_and_gaps_are_undefined():
    found = summarize([{"a": 1.0}, {"b": 2.0}], ["a", "b", "c"])
    assert list(found) == ["a", "b"]
    assert found["a"]["undefined"] == 1


def test_folds_count_alike_however_many_clips_they_have():
    rows = [{"fold": 1, "a": 0.0}] + [{"fold": 2, "a": 1.0}] * 9
    assert summarize_folds(rows, ["a"])["a"]["mean"] == 0.5
    assert summarize(rows, ["a"])["a"]["mean"] == 0.9


def test_mean_of_many_small_numbers_is_exact():
    assert describe([0.1] * 10)["mean"] == 0.1


@pytest.mark.parametrize("at_once", [1, 100, 999, 5000])
def test_an_interval_does_not_depend_on_how_much_is_drawn_at_once(
    at_once, monkeypatch
):
    source = random.Random(0)
    values = [source.gauss(0, 1) for _ in range(50)]
    whole = describe(values)
    monkeypatch.setattr(ours, "AT_ONCE", at_once)
    assert describe(values) == whole
