import csv
import json
import math
import os

import pandas as pd
import pytest

from focalaudio.report.tables import (
    NumberTable,
    read_csv,
    write_csv,
    write_json,
    write_markdown,
)


def test_csv_reads_back_exactly(tmp_path):
    rows = [
        {"clip_id": "1-a", "label": 'rain, "heavy"\nor not', "loss": 1 / 3},
        {"clip_id": "2-b", "label": "Türklingel", "loss": 1e-17},
    ]
    path = write_csv(rows, tmp_path / "new" / "clips.csv")
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row | {"loss": float(row["loss"])} for row in read] == rows


@pytest.mark.parametrize("name", ["nan", "None", "NA", "007", "1e3", "", "a"])
def test_a_name_is_a_name_whatever_it_reads_like(tmp_path, name):
    rows = [{"clip_id": name, "label": name, "other_label": name, "loss": 0.5}]
    assert read_csv(write_csv(rows, tmp_path / "clips.csv")) == rows


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


def test_nan_is_null_at_any_depth(tmp_path):
    path = write_json({"a": {"b": [math.nan, 1.0]}}, tmp_path / "m.json")
    assert json.loads(path.read_text()) == {"a": {"b": [None, 1.0]}}


def test_markdown_cells_cannot_break_the_table(tmp_path):
    path = write_markdown([{"a": "x|y", "b": ""}] * 2, tmp_path / "t.md")
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}


@pytest.mark.parametrize("cut", [1, 3])
def test_a_row_that_was_cut_short_is_gone_with_the_next(tmp_path, cut):
    path = tmp_path / "gains.csv"
    table = NumberTable(path, ("clip_id", "gain_db"))
    for name, gain in (("001", -1.25), ('odd, "name"', 2.5), ("b", 0.125)):
        table.put(name, gain)
    path.write_bytes(path.read_bytes()[:-cut])
    NumberTable(path, ("clip_id", "gain_db")).put("c", 1.0)
    rows = pd.read_csv(path, dtype={"clip_id": str}).values.tolist()
    assert rows == [["001", -1.25], ['odd, "name"', 2.5], ["c", 1.0]]


def test_rows_of_two_writers_are_all_there(tmp_path):
    path = tmp_path / "gains.csv"
    writers = [NumberTable(path, ("clip_id", "gain_db")) for _ in range(2)]
    for number in range(6):
        writers[number % 2].put(f"clip{number}", float(number))
    assert pd.read_csv(path)["gain_db"].tolist() == [*map(float, range(6))]


def test_names_that_are_no_text_are_read_as_they_were(tmp_path):
    name = os.fsdecode(b"\xff\xe9.wav")
    rows = [{"clip_id": name, "a": 1.5}, {"clip_id": "b", "a": 2.0}]
    assert read_csv(write_csv(rows, tmp_path / "a.csv")) == rows
    table = NumberTable(tmp_path / "b.csv", ("clip_id", "a"))
    for number in (0.5, 1.5):
        table.put(name, number)
    table.put("b", 2.0)
    assert read_csv(tmp_path / "b.csv") == rows
