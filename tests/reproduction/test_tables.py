"""Laws of pooling: every clip once, whatever fold and system it is from."""

import json
import logging

import pandas as pd
import pytest

from focalaudio.report.held_out import cross_fit, read_answers
from focalaudio.report.tables import write_csv
from focalaudio.reproduction import plan as reproduction
from focalaudio.reproduction.plan import Plan, reproduce
from focalaudio.reproduction.tables import (
    read_clips,
    read_sweep,
    scale_across,
    write_agreement,
    write_classifiers,
    write_condition,
)

QUANTILES = (0.5, 0.9)


@pytest.fixture
def clips(tmp_path):
    """Two folds of two systems; fold 2 has more clips than fold 1."""
    places = []
    for fold, n_clips in ((1, 2), (2, 6)):
        for system in ("one", "two"):
            folder = tmp_path / f"{fold}" / system
            rows = [
                {
                    "interpreter": f"stage_3, quantile {quantile}",
                    "quantile": quantile,
                    "clip_id": f"{fold}-{number}",
                    "fidelity": float(fold == 2) * (quantile == 0.5),
                    "auc": None,
                }
                for number in range(n_clips)
                for quantile in QUANTILES
            ]
            rows += [
                {
                    "interpreter": "ideal",
                    "quantile": None,
                    "clip_id": f"{fold}-{number}",
                    "fidelity": None,
                    "auc": 1.0,
                }
                for number in range(n_clips)
            ]
            write_csv(rows, folder / "clips.csv")
            places.append((fold, system, folder))
    return read_clips(places, "clips.csv")


def pool(clips, tmp_path, quantile):
    write_condition(clips, quantile, tmp_path, "clean")
    return json.loads((tmp_path / "clean.json").read_text())


def test_clips_count_alike_and_folds_count_alike(clips, tmp_path):
    found = pool(clips, tmp_path, 0.5)["one: stage_3"]
    assert found["clips"]["fidelity"]["mean"] == 6 / 8
    assert found["clips"]["fidelity"]["n"] == 8
    assert found["folds"]["fidelity"]["mean"] == 0.5
    assert found["folds"]["fidelity"]["n"] == 2


def test_columns_that_were_never_measured_are_left_out(clips, tmp_path):
    pooled = pool(clips, tmp_path, 0.5)
    assert "auc" not in pooled["one: stage_3"]["clips"]
    assert list(pooled["two: ideal"]["clips"]) == ["auc"]


def test_the_table_has_one_quantile_and_what_has_none(clips, tmp_path):
    write_condition(clips, 0.9, tmp_path, "clean")
    table = pd.read_csv(tmp_path / "clean.csv")
    assert table["interpreter"].tolist() == ["stage_3", "ideal"] * 2
    assert table["n_clips"].tolist() == [8] * 4
    assert table["fidelity"].iloc[0] == 0
    values = json.loads((tmp_path / "clean.json").read_text())
    assert values["one: stage_3"]["clips"]["fidelity"]["mean"] == 0
    text = (tmp_path / "clean.md").read_text()
    assert "| two: ideal | 8 | - | 1.000 |" in text


def test_a_sweep_has_every_quantile_of_what_was_swept(clips):
    rows = read_sweep(clips)
    assert [(row["interpreter"], row["quantile"]) for row in rows] == [
        (f"{system}: stage_3", quantile)
        for system in ("one", "two")
        for quantile in QUANTILES
    ]
    assert rows[0]["fidelity"] == 6 / 8
    assert rows[0]["fidelity_low"] <= 6 / 8 <= rows[0]["fidelity_high"]


def test_classifiers_are_right_as_often_as_their_clips(tmp_path):
    rows = [
        {"fold": fold, "system": "one", "accuracy": c, "probability": 0.75}
        | {"label": "dog", "predicted": "dog" if c else "rain"}
        for fold, c in ((1, 1.0), (1, 1.0), (2, 1.0), (2, 0.0))
    ]
    write_classifiers(pd.DataFrame(rows), tmp_path)
    found = json.loads((tmp_path / "classifiers.json").read_text())["one"]
    assert found["accuracy"]["mean"] == 0.75
    assert found["calibration_error"] == pytest.approx(0, abs=1e-6)
    assert "calibration_error_scaled" not in found  # of an older run
    text = (tmp_path / "classifiers.md").read_text()
    for line in ("all | 4 | 0.750 [", "1 | 2 | 1.000 [", "2 | 2 | 0.500 ["):
        assert f"| one | {line}" in text
    classes = pd.read_csv(tmp_path / "classes.csv").set_index("class")
    assert classes.loc["dog", ["n", "recall", "taken_for"]].tolist() == [
        4,
        0.75,
        "rain",
    ]


def test_scaled_probabilities_have_an_error_of_their_own(tmp_path):
    rows = [
        {"fold": 1, "system": "one", "accuracy": 1.0, "probability": 0.5}
        | {"probability_scaled": 1.0, "label": "dog", "predicted": "dog"}
    ]
    write_classifiers(pd.DataFrame(rows), tmp_path)
    found = json.loads((tmp_path / "classifiers.json").read_text())["one"]
    assert found["calibration_error"] == pytest.approx(0.5)
    assert found["calibration_error_scaled"] == pytest.approx(0)
    text = (tmp_path / "classifiers.md").read_text()
    assert "| one | all | 1 | 1.000 [1.000, 1.000] | 0.500 | 0.000 |" in text


def write_fold(folder, sure):
    """Three clips of a fold, the last of them wrong, and what was said."""
    rows = [
        {"clip_id": name, "label": "dog", "predicted": predicted}
        | {"accuracy": float(predicted == "dog"), "probability": sure}
        | {"probability_scaled": sure, "energy": 1.0}
        for name, predicted in (("a", "dog"), ("b", "dog"), ("c", "rain"))
    ]
    write_csv(rows, folder / "clips.csv")
    said = [(sure, 1 - sure), (sure, 1 - sure), (1 - sure, sure)]
    said = [
        {"clip_id": row["clip_id"], "dog": dog, "rain": rain}
        for row, (dog, rain) in zip(rows, said, strict=True)
    ]
    write_csv(said, folder / "probabilities.csv")


def test_each_fold_is_scaled_by_what_fits_the_others(tmp_path, caplog):
    places = []
    for fold, sure in ((1, 0.9), (2, 0.7), (3, 0.6)):
        write_fold(tmp_path / str(fold), sure)
        places.append((fold, "one", tmp_path / str(fold)))
    clips = read_clips(places, "clips.csv")
    scaled = scale_across(clips, places)
    answers = [read_answers(folder) for _, _, folder in places]
    best = cross_fit(answers)
    for (fold, _, _), own, temperature in zip(
        places, answers, best, strict=True
    ):
        found = scaled.loc[scaled["fold"] == fold, "probability_scaled"]
        assert found.tolist() == own.scaled(temperature).tolist()
    assert scaled["probability"].equals(clips["probability"])
    assert len(set(best)) == 3
    # one fold has no other, and what one fold lacks the others lack too
    assert scale_across(clips[clips["fold"] == 1], places[:1]).equals(
        clips[clips["fold"] == 1]
    )
    (tmp_path / "2" / "probabilities.csv").unlink()
    with caplog.at_level(logging.WARNING):
        assert scale_across(clips, places).equals(clips)
    assert "older version made the folds 2" in caplog.text


@pytest.mark.parametrize("protocol", ["3/1/1", "4/1"])
def test_without_a_validation_fold_the_others_scale(
    tmp_path, monkeypatch, protocol
):
    plan = Plan("data", tmp_path, (1, 2), 7, {"one": {}}, {}, protocol=protocol)

    def train(recipe, folder, flags, test_folds, **options):
        write_fold(folder, 0.9 if test_folds == [1] else 0.6)
        (folder / "metrics.json").write_text("{}")

    monkeypatch.setattr(reproduction, "run_recipe", train)
    reproduce(plan)
    found = json.loads((tmp_path / "classifiers.json").read_text())["one"]
    as_it_is = found["calibration_error"]
    assert (found["calibration_error_scaled"] == as_it_is) == (
        protocol == "3/1/1"
    )


def test_agreement_is_spearmans_over_the_means_of_the_interpreters(tmp_path):
    methods, scores = "abcde", [0.1, 0.4, 0.2, 0.8, 0.5]
    truth = [0.3, 0.2, 0.4, 0.9, 0.5]
    rows = pd.DataFrame(
        {
            "system": "one",
            "interpreter": [m for m in methods for _ in range(2)],
            "quantile": 0.9,
            # two clips each, whose mean counts
            "fidelity": [s + d for s in scores for d in (-0.05, 0.05)],
            "faithfulness": [s for s in scores for _ in range(2)],
            "average_drop": [100 * s for s in scores for _ in range(2)],
        }
    )
    known = rows[["system", "interpreter", "quantile"]].assign(
        **dict.fromkeys(
            ("auc", "pointing", "si_sdr_improvement"),
            [t for t in truth for _ in range(2)],
        ),
        source_share=[s for s in scores for _ in range(2)],
    )
    # what the other table lacks, or is of another size, does not count
    odd = {"system": "one", "interpreter": ["z", "a"], "quantile": [0.9, 0.5]}
    known = pd.concat([known, pd.DataFrame(odd).assign(auc=0.0)])
    write_agreement(rows, known, 0.9, tmp_path)
    found = pd.read_csv(tmp_path / "agreement.csv").set_index("score")
    # ranks 1 3 2 5 4 and 2 1 3 5 4: 1 - 6 * 6 / (5 * 24)
    assert found.loc["fidelity", "auc"] == pytest.approx(0.7)
    assert found.loc["faithfulness", "source_share"] == 1
    assert found.loc["average_drop", "source_share"] == -1
    assert set(found["n"]) == {5}
    assert (tmp_path / "agreement.md").exists()
