import csv
import json
import math

import pytest

from focalaudio.report.tables import write_csv, write_json, write_markdown


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


def test_nan_is_null_at_any_depth(tmp_path):
    path = write_json({"a": {"b": [math.nan, 1.0]}}, tmp_path / "m.json")
    assert json.loads(path.read_text()) == {"a": {"b": [None, 1.0]}}


def test_markdown_cells_cannot_break_the_table(tmp_path):
    path = write_markdown([{"a": "x|y", "b": ""}] * 2, tmp_path / "t.md")
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}
