import json

import pandas as pd
import pytest

from focalaudio.report import evaluation
from focalaudio.report.evaluation import MEANS, MEDIANS, write_evaluation

ROWS = [
    {"clip_id": clip_id, "label": "dog"} | dict.fromkeys(MEANS, value)
    for clip_id, value in (("a", 0.0), ("b", 0.25), ("c", 1.0))
]


def test_metrics_are_settings_then_averages_over_clips(tmp_path):
    metrics = write_evaluation(tmp_path, ROWS, {"quantile": 0.9})
    assert list(metrics)[:2] == ["quantile", "n_clips"]
    assert metrics["n_clips"] == 3
    for name in MEANS:
        assert metrics[name] == pytest.approx(1.25 / 3)
    for name in MEDIANS:
        assert metrics[f"{name}_median"] == 0.25
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics


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
