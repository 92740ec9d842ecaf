import json

import pandas as pd
import pytest

from focalaudio.metrics.statistics import describe
from focalaudio.metrics.table import METRICS
from focalaudio.report import evaluation
from focalaudio.report.evaluation import write_comparison, write_evaluation

ROWS = [
    {"clip_id": clip_id, "label": "dog", "probability": value}
    | dict.fromkeys(METRICS, value)
    for clip_id, value in (("a", 0.0), ("b", 0.25), ("c", 1.0))
]


def test_metrics_are_settings_then_means_over_clips(tmp_path):
    metrics = write_evaluation(tmp_path, ROWS, {"quantile": 0.9})
    assert list(metrics)[:2] == ["quantile", "n_clips"]
    assert metrics["n_clips"] == 3
    for name in METRICS:
        assert metrics[name] == pytest.approx(1.25 / 3)
        assert metrics["statistics"][name] == describe([0.0, 0.25, 1.0])
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics


def test_undefined_clips_are_counted(tmp_path):
    rows = [dict(ROWS[0]), {**ROWS[1], "average_gain": float("nan")}]
    metrics = write_evaluation(tmp_path, rows, {})
    assert metrics["average_gain"] == 0
    assert metrics["statistics"]["average_gain"]["undefined"] == 1
    write_comparison(tmp_path, {"one": rows, "two": rows})
    assert "0.000 (1 undefined)" in (tmp_path / "comparison.md").read_text()


def test_a_column_that_is_never_defined_is_null(tmp_path):
    rows = [{**ROWS[0], "auc": float("nan")}]
    write_evaluation(tmp_path, rows, {})
    text = (tmp_path / "metrics.json").read_text()
    strict = json.loads(text, parse_constant=pytest.fail)  # no bare NaN
    assert strict["auc"] is None


def test_a_comparison_has_every_interpreter_and_every_clip(tmp_path):
    write_comparison(tmp_path, {"one": ROWS, "two": ROWS[:2]})
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert table["interpreter"].tolist() == ["one", "two"]
    assert table["fidelity"].tolist() == pytest.approx([1.25 / 3, 0.125])
    assert (table["fidelity_low"] <= table["fidelity"]).all()
    clips = pd.read_csv(tmp_path / "comparison_clips.csv")
    assert clips.groupby("interpreter").size().to_dict() == {"one": 3, "two": 2}


def test_the_two_faithfulnesses_never_share_a_column(tmp_path):
    rows = [{**ROWS[0], "faithfulness": 0.5, "faithfulness_of_kept": -0.5}]
    metrics = write_evaluation(tmp_path, rows, {})
    assert metrics["faithfulness"] == 0.5
    assert metrics["faithfulness_of_kept"] == -0.5


def test_one_row_for_each_clip(tmp_path):
    write_evaluation(tmp_path, ROWS, {})
    assert pd.read_csv(tmp_path / "clips.csv").to_dict("records") == ROWS


def test_only_the_main_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "if_main_process", lambda: False)
    assert write_evaluation(tmp_path, ROWS, {})["n_clips"] == 3
    assert list(tmp_path.iterdir()) == []
