import json
import random

import numpy as np
import pandas as pd
import pytest
import torch

from focalaudio.decisions import ONE, SEVERAL
from focalaudio.report import evaluation, training
from focalaudio.report.training import (
    _count_confusions,
    write_history,
    write_training_report,
)

LABELS = ["dog", "rain", "wind"]
HISTORY = [
    {"epoch": n, "lr": 0.1, "train_loss": 1 / n, "valid_loss": 2 / n}
    | {"valid_accuracy": 1 - 1 / n}
    for n in (1, 2)
]


def make_rows(n=20):
    draw = random.Random(0)
    pairs = [(draw.choice(LABELS), draw.choice(LABELS)) for _ in range(n)]
    return [
        {
            "clip_id": f"{number:02}",
            "label": label,
            "predicted": predicted,
            "probability": draw.random(),
            "accuracy": float(label == predicted),
            "loss": draw.random(),
        }
        for number, (label, predicted) in enumerate(pairs)
    ]


@pytest.fixture(autouse=True)
def pictures(monkeypatch):
    """Names of the pictures that would be written; drawing is slow."""
    names = []
    monkeypatch.setattr(
        training, "save_picture", lambda figure, path: names.append(path.name)
    )
    return names


def test_confusions_count_every_clip_where_it_belongs():
    rows = make_rows()
    counts = _count_confusions(rows, LABELS)
    assert counts.sum() == len(rows)
    assert counts.trace() == sum(row["accuracy"] for row in rows)
    assert counts.sum(1).tolist() == [
        sum(row["label"] == label for row in rows) for label in LABELS
    ]
    assert counts.sum(0).tolist() == [
        sum(row["predicted"] == label for row in rows) for label in LABELS
    ]


def test_confusions_follow_the_order_of_the_labels():
    rows = make_rows()
    turned = _count_confusions(rows, LABELS[::-1])
    assert turned.flip(0, 1).equal(_count_confusions(rows, LABELS))


def test_report_is_the_means_and_the_rows(tmp_path, pictures):
    rows = make_rows()
    metrics = write_training_report(tmp_path, rows, LABELS)
    write_history(tmp_path, HISTORY)
    accuracy = sum(row["accuracy"] for row in rows) / len(rows)
    assert metrics["accuracy"] == pytest.approx(accuracy)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    for name, wanted in (("clips", rows), ("history", HISTORY)):
        read = pd.read_csv(tmp_path / f"{name}.csv", dtype={"clip_id": str})
        pd.testing.assert_frame_equal(read, pd.DataFrame(wanted))
    assert pictures == ["confusion.png", "learning_curve.png"]


def test_without_history_there_is_no_curve(tmp_path, pictures):
    write_history(tmp_path, [])
    assert pictures == []
    assert not (tmp_path / "history.csv").exists()


@pytest.mark.parametrize("decision", [ONE, SEVERAL])
def test_probabilities_are_of_every_class_and_those_that_count(
    tmp_path, decision
):
    logits = torch.tensor([[9.0, -9.0, 0.1], [0.0, 3.0, -30.0]])
    rows = [make_rows()[0] | {"clip_id": name} for name in "ab"]
    said = logits, torch.eye(3)[:2]
    write_training_report(tmp_path, rows, LABELS, 1.0, said, decision)
    read = pd.read_csv(tmp_path / "probabilities.csv", index_col="clip_id")
    assert (list(read.index), list(read.columns)) == (["a", "b"], LABELS)
    wanted = decision.probs(logits).numpy()
    np.testing.assert_allclose(read.to_numpy(), wanted, rtol=1e-5)


def test_what_has_metrics_has_everything(tmp_path, monkeypatch):
    def stop(folder, rows, settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_evaluation", stop)
    said = torch.zeros(20, 3), torch.zeros(20, 3)
    with pytest.raises(KeyboardInterrupt):
        write_training_report(tmp_path, make_rows(), LABELS, 1.0, said)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"classes.csv", "classes.md", "probabilities.csv"}


def test_only_the_main_process_writes(tmp_path, pictures, monkeypatch):
    for report in (evaluation, training):
        monkeypatch.setattr(report, "if_main_process", lambda: False)
    write_history(tmp_path, HISTORY)
    metrics = write_training_report(tmp_path, make_rows(), LABELS)
    assert metrics["n_clips"] == 20
    assert (list(tmp_path.iterdir()), pictures) == ([], [])


def test_pictures_are_pictures(tmp_path, monkeypatch):
    monkeypatch.undo()
    write_training_report(tmp_path, make_rows(), LABELS)
    write_history(tmp_path, HISTORY)
    for name in ("confusion.png", "learning_curve.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
