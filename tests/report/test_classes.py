"""Laws of the table of classes: every clip counts once, where it belongs."""

import math

import pandas as pd
import pytest

from focalaudio.report.classes import describe_classes, write_classes

LABELS = ["dog", "rain", "wind"]
SAID = {
    ("dog", "dog"): 3,
    ("dog", "rain"): 1,
    ("rain", "dog"): 2,
    ("rain", "rain"): 1,
    ("rain", "wind"): 2,
}


@pytest.fixture
def rows():
    return [
        {"label": label, "predicted": predicted}
        for (label, predicted), n in SAID.items()
        for _ in range(n)
    ]


def test_classes_are_counted_by_hand(rows):
    dog, rain, wind = describe_classes(rows, LABELS)
    assert (dog["n"], dog["recall"], dog["precision"]) == (4, 3 / 4, 3 / 5)
    assert (dog["taken_for"], dog["n_taken"]) == ("rain", 1)
    assert (rain["n"], rain["recall"], rain["precision"]) == (5, 1 / 5, 1 / 2)
    assert (rain["taken_for"], rain["n_taken"]) == ("dog", 2)  # of equals
    assert (wind["n"], wind["precision"], wind["taken_for"]) == (0, 0, "")
    assert math.isnan(wind["recall"])


def test_recalls_weighted_by_clips_are_the_accuracy(rows):
    found = describe_classes(rows[::-1], LABELS)
    found = [row for row in found if row["n"]]
    right = sum(row["recall"] * row["n"] for row in found)
    assert right == pytest.approx(3 + 1)
    assert sum(row["n"] for row in found) == len(rows)


def test_further_columns_stand_in_the_tables(rows, tmp_path):
    classes = [{"system": "vit"} | c for c in describe_classes(rows, LABELS)]
    write_classes(classes, tmp_path)
    table = pd.read_csv(tmp_path / "classes.csv")
    assert table["system"].tolist() == ["vit"] * 3
    text = (tmp_path / "classes.md").read_text()
    assert "| vit | rain | 5 | 0.200 | 0.500 | dog (2) |" in text
    assert "| vit | wind | 0 | nan | 0.000 | - |" in text
