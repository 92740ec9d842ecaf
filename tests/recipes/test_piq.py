"""PIQ as its users run it: train on a trained run, then interpret with it."""

import json
import shutil

import pytest
import torch

from focalaudio.brains import PIQBrain
from focalaudio.errors import FocalAudioError

N_TEST = 3
WRITTEN = ("metrics.json", "clips.csv", "history.csv")


@pytest.fixture(scope="module")
def classifier(recipe, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("classifier")
    return recipe("train_classifier", out, data_folder=dataset)


@pytest.fixture(scope="module")
def options(dataset, classifier):
    return {
        "data_folder": dataset,
        "classifier": classifier,
        "number_of_epochs": 3,
        "batch_size": 3,
        "n_codes": 12,
    }


@pytest.fixture(scope="module")
def piq(recipe, options, tmp_path_factory):
    return recipe("train_piq", tmp_path_factory.mktemp("piq"), **options)


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
    assert read(piq)["method"] == "piq"
    assert read(piq)["n_clips"] == N_TEST


def test_testing_alone_gives_the_same_result(recipe, options, piq, tmp_path):
    run = shutil.copytree(piq, tmp_path / "copy")
    for name in WRITTEN:
        (run / name).unlink()
    recipe("train_piq", run, ["--test_only"], **options)
    for name in WRITTEN:
        assert (run / name).read_text() == (piq / name).read_text()


class StoppedError(Exception):
    """Ends a process that a test cannot end."""


def test_stopped_in_an_epoch_and_resumed_is_never_stopped(
    recipe, options, piq, tmp_path, monkeypatch
):
    """With checkpoints asked for within the epoch, and features cached."""

    def stop(brain, *args):
        if (brain.hparams.epoch_counter.current, brain.step) == (2, 2):
            raise StoppedError

    flags = ["--ckpt_interval_steps", "1"]
    with monkeypatch.context() as patched:
        patched.setattr(PIQBrain, "on_fit_batch_end", stop)
        with pytest.raises(StoppedError):
            recipe("train_piq", tmp_path, flags, **options)
    recipe("train_piq", tmp_path, **options)
    for name in (*WRITTEN, "train_log.txt"):
        assert (tmp_path / name).read_text() == (piq / name).read_text(), name
    for kind in ("decoder", "optimizer", "random_state"):
        one, other = (
            torch.load(last_checkpoint(run) / f"{kind}.ckpt", weights_only=True)
            for run in (tmp_path, piq)
        )
        assert_same(one, other)


def last_checkpoint(run):
    return max(run.glob("save/CKPT+*"), key=lambda path: path.stat().st_mtime)


def assert_same(one, other):
    """Nested values that are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other


def test_a_folder_is_not_taken_for_that_of_another_classifier(
    recipe, options, piq, dataset, tmp_path
):
    other = recipe(
        "train_classifier",
        tmp_path / "other",
        data_folder=dataset,
        number_of_epochs=1,
        seed=2,
    )
    before = (piq / "hyperparams.yaml").read_text()
    with pytest.raises(FocalAudioError, match="classifier has other weights"):
        recipe("train_piq", piq, **options | {"classifier": other})
    assert (piq / "hyperparams.yaml").read_text() == before


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
