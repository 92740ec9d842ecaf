"""PIQ as its users run it: train on a trained run, then interpret with it."""

import json

import pytest

N_TEST = 3


@pytest.fixture(scope="module")
def classifier(recipe, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("classifier")
    return recipe("train_classifier", out, data_folder=dataset)


@pytest.fixture(scope="module")
def piq(recipe, dataset, classifier, tmp_path_factory):
    return recipe(
        "train_piq",
        tmp_path_factory.mktemp("piq"),
        data_folder=dataset,
        classifier=classifier,
        number_of_epochs=2,
        batch_size=3,
        n_codes=12,
        max_clips=1,
    )


def read(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_training_leaves_the_listed_files(piq):
    names = {path.name for path in piq.iterdir()}
    assert names >= {
        "metrics.json",
        "clips.csv",
        "history.csv",
        "train_log.txt",
        "hyperparams.yaml",
    }
    assert len(list((piq / "interpretations").glob("*_kept.wav"))) == 1
    assert read(piq)["method"] == "piq"
    assert read(piq)["n_clips"] == N_TEST


def test_interpreting_with_a_run_gives_what_the_run_tested(
    recipe, dataset, classifier, piq, tmp_path
):
    out = recipe(
        "interpret",
        tmp_path,
        data_folder=dataset,
        classifier=classifier,
        method="piq",
        piq=piq,
        max_clips=0,
    )
    found, wanted = read(out), read(piq)
    # what interpret.py alone knows
    assert found.pop("condition") == "clean"
    statistics, theirs = found.pop("statistics"), wanted.pop("statistics")
    assert found == pytest.approx(wanted, abs=1e-6)
    for name, column in theirs.items():
        assert statistics[name] == pytest.approx(column, abs=1e-5)


def test_a_run_of_the_wrong_kind_is_refused(
    recipe, dataset, classifier, tmp_path
):
    with pytest.raises(Exception, match="decoder.yaml is missing"):
        recipe(
            "interpret",
            tmp_path,
            data_folder=dataset,
            classifier=classifier,
            method="piq",
            piq=classifier,
        )
