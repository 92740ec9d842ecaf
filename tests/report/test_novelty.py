"""Laws of the files that say what rules let through."""

import json
import math

from focalaudio.report.novelty import write_novelty
from focalaudio.report.tables import read_csv

ROWS = [
    {"score": "energy", "threshold": 2.0, "valid": 0.9, "noise": 0.25},
    {"score": "entropy", "threshold": 1.0, "valid": 0.9, "noise": 0.5},
    {"score": "neighbors", "threshold": 0.3, "valid": 0.9, "noise": 0.0},
    {
        "score": "energy and spectrum",
        "threshold": None,
        "valid": 0.9,
        "noise": 0.0,
    },
]


def test_the_three_files_say_the_same(tmp_path):
    rules = [
        {"score": "energy", "threshold": 2.0},
        {"score": "spectrum", "threshold": 7.5},
    ]
    measured = {"keep": 0.9, "novelty": rules, "rows": ROWS}
    write_novelty(tmp_path, measured)
    assert json.loads((tmp_path / "novelty.json").read_text()) == measured
    *singles, together = read_csv(tmp_path / "novelty.csv")
    assert singles == ROWS[:-1]
    assert math.isnan(together["threshold"])
    lines = (tmp_path / "novelty.md").read_text().splitlines()
    assert lines[2:] == [
        "| energy | >= 2 | 90.0 % | 25.0 % |",
        "| entropy | <= 1 | 90.0 % | 50.0 % |",
        "| neighbors | <= 0.3 | 90.0 % | 0.0 % |",
        "| energy and spectrum | >= 2 and <= 7.5 | 90.0 % | 0.0 % |",
    ]
