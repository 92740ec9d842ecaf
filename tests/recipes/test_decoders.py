"""PIQ and L-MAC as users run them: train on a trained run, then interpret."""

import json
import shutil

import pytest

from focalaudio.brains.decoders import DecoderBrain
from focalaudio.errors import FocalAudioError

N_TEST = 3
WRITTEN = ("metrics.json", "clips.csv", "history.csv")


@pytest.fixture(scope="module")
def classifier(recipe, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("classifier")
    return recipe("train_classifier", out, data_folder=dataset)


SMALL = {"piq": {"n_codes": 12}, "lmac": {"width": 16, "n_doublings": 1}}


@pytest.fixture(scope="module", params=SMALL)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def options(dataset, classifier, method):
    return {
        "data_folder": dataset,
        "classifier": classifier,
        "number_of_epochs": 3,
        "batch_size": 3,
        **SMALL[method],
    }


@pytest.fixture(scope="module")
def run(recipe, options, method, tmp_path_factory):
    folder = tmp_path_factory.mktemp(method)
    return recipe(f"train_{method}", folder, **options)


def read(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_training_leaves_the_listed_files(run, method):
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "metrics.json",
        "clips.csv",
        "history.csv",
        "train_log.txt",
        "hyperparams.yaml",
    }
    assert read(run)["method"] == method
    assert read(run)["n_clips"] == N_TEST


def test_testing_alone_gives_the_same_result(
    recipe, options, method, run, tmp_path
):
    copy = shutil.copytree(run, tmp_path / "copy")
    for name in WRITTEN:
        (copy / name).unlink()
    recipe(f"train_{method}", copy, ["--test_only"], **options)
    for name in WRITTEN:
        assert (copy / name).read_text() == (run / name).read_text()


class StoppedError(Exception):
    """Ends a process that a test cannot end."""


def test_stopped_in_an_epoch_and_resumed_is_never_stopped(
    recipe,
    options,
    method,
    run,
    tmp_path,
    monkeypatch,
    checkpoints,
    assert_same,
):
    """With checkpoints asked for within the epoch, and features cached."""

    def stop(brain, *args):
        if (brain.hparams.epoch_counter.current, brain.step) == (2, 2):
            raise StoppedError

    flags = ["--ckpt_interval_steps", "1"]
    with monkeypatch.context() as patched:
        patched.setattr(DecoderBrain, "on_fit_batch_end", stop)
        with pytest.raises(StoppedError):
            recipe(f"train_{method}", tmp_path, flags, **options)
    recipe(f"train_{method}", tmp_path, **options)
    for name in (*WRITTEN, "train_log.txt"):
        assert (tmp_path / name).read_text() == (run / name).read_text(), name
    for kind in ("decoder", "optimizer", "random_state"):
        one, other = (
            checkpoints(at)[-1][f"{kind}.ckpt"] for at in (tmp_path, run)
        )
        assert_same(one, other)


def test_a_folder_is_not_taken_for_that_of_another_classifier(
    recipe, options, method, run, dataset, tmp_path
):
    other = recipe(
        "train_classifier",
        tmp_path / "other",
        data_folder=dataset,
        number_of_epochs=1,
        seed=2,
    )
    before = (run / "hyperparams.yaml").read_text()
    with pytest.raises(FocalAudioError, match="classifier has other weights"):
        recipe(f"train_{method}", run, **options | {"classifier": other})
    assert (run / "hyperparams.yaml").read_text() == before


def test_interpreting_with_a_run_gives_what_the_run_tested(
    recipe, dataset, classifier, method, run, tmp_path
):
    out = recipe(
        "interpret",
        tmp_path,
        data_folder=dataset,
        classifier=classifier,
        method=method,
        **{method: run},
        max_clips=0,
    )
    found, wanted = read(out), read(run)
    # what interpret.py alone knows
    assert found.pop("condition") == "clean"
    assert found.pop("judge") is None
    assert set(found) == set(wanted)
    statistics, theirs = found.pop("statistics"), wanted.pop("statistics")
    assert found == pytest.approx(wanted, abs=1e-6)
    for name, column in theirs.items():
        assert statistics[name] == pytest.approx(column, abs=1e-5)


def test_a_run_of_the_wrong_kind_is_refused(
    recipe, dataset, classifier, method, tmp_path
):
    with pytest.raises(Exception, match="decoder.yaml is missing"):
        recipe(
            "interpret",
            tmp_path,
            data_folder=dataset,
            classifier=classifier,
            method=method,
            **{method: classifier},
        )
