import csv
import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.report.tables import summarize, write_csv, write_json

NUMBERS = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=20
)


@given(NUMBERS)
def test_means_and_medians_are_those_of_the_columns(numbers):
    summary = summarize([{"a": number} for number in numbers], ["a"], ["a"])
    assert summary["n_clips"] == len(numbers)
    assert summary["a"] == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)
    assert summary["a_median"] == statistics.median(numbers)


@given(NUMBERS)
def test_rows_count_alike_in_any_order(numbers):
    rows = [{"a": number} for number in numbers]
    assert summarize(rows, ["a"], ["a"]) == summarize(rows[::-1], ["a"], ["a"])


def test_no_rows_are_an_error_not_a_zero():
    with pytest.raises(ValueError, match="rows is empty"):
        summarize([], ["a"])


def test_csv_reads_back_exactly(tmp_path):
    rows = [
        {"clip_id": "1-a", "label": 'rain, "heavy"\nor not', "loss": 1 / 3},
        {"clip_id": "2-b", "label": "Türklingel", "loss": 1e-17},
    ]
    path = write_csv(rows, tmp_path / "new" / "clips.csv")
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row | {"loss": float(row["loss"])} for row in read] == rows


def test_json_reads_back_exactly(tmp_path):
    values = {"name": "Türklingel", "loss": 1 / 3, "stages": [-1], "none": None}
    path = write_json(values, tmp_path / "metrics.json")
    assert json.loads(path.read_text(encoding="utf-8")) == values
    assert "Türklingel" in path.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = write_json({"loss": 1.0}, tmp_path / "metrics.json")
    with pytest.raises(TypeError):
        write_json({"loss": object()}, path)
    assert json.loads(path.read_text()) == {"loss": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_mean_of_many_small_numbers_is_exact():
    rows = [{"a": 0.1}] * 10
    assert math.isclose(summarize(rows, ["a"])["a"], 0.1, rel_tol=1e-15)
