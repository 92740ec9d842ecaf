"""Laws of what may be tested: nothing that a model was trained on."""

import json
import shutil

import pytest
import yaml

from focalaudio.brains.heard import refuse_heard
from focalaudio.data.folders import open_data
from focalaudio.errors import DataError, ModelError
from focalaudio.models import hub
from focalaudio.models.trained_on import fingerprint, write_trained_on

FOLDS = ([1, 2, 3], [4], [5])


@pytest.fixture
def leave_run(tmp_path, dataset):
    """`leave_run(*folds)`: what a training run on these says of itself."""

    def leave(*folds, data_folder=dataset, name="run", **where):
        run = tmp_path / name
        data = open_data(dataset, *folds, **where)
        for number in (1, 2):  # the newest counts
            saved = run / f"save/CKPT+2024-01-0{number}"
            saved.mkdir(parents=True)
            content = {"rows": data.rows if number == 2 else {}}
            (saved / "settings.ckpt").write_text(json.dumps(content))
        names = ("train_folds", "valid_folds", "test_folds")
        values = dict(zip(names, folds, strict=True))
        values["data_folder"] = str(data_folder)
        (run / "hyperparams.yaml").write_text(yaml.safe_dump(values))
        return run

    return leave


def _fingerprints(clips):
    return [fingerprint(*clip) for clip in clips.items()]


@pytest.fixture
def hparams(dataset):
    return {"data_folder": dataset, "data": open_data(dataset, *FOLDS)}


@pytest.mark.parametrize("key", ["classifier", "pretrained", "judge", "lmac"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_clip_that_was_trained_on_is_not_tested(
    hparams, leave_run, key, inside
):
    run = leave_run([3, 4, 5], [1], [2])
    named = {"compare": ["random", {key: str(run)}]} if inside else {key: run}
    n_tested = len(hparams["data"].test)
    wanted = (
        f"{key}=.* was trained on {n_tested} of the {n_tested} .*"
        r"train_folds=\[3, 4, 5\], valid_folds=\[1\], test_folds=\[2\]"
    )
    with pytest.raises(DataError, match=wanted):
        refuse_heard(hparams | named)


def test_a_table_of_the_same_folder_names_the_same_clips(dataset, leave_run):
    table = {"manifest": "meta/esc50.csv"}
    runs = [
        leave_run([4, 5], [1], [2]),
        leave_run([4, 5], [1], [2], name="by_table", **table),
    ]
    for where in ({}, table):
        data = open_data(dataset, *FOLDS, **where)
        for run in runs:
            named = {"data": data, "data_folder": dataset, "judge": run}
            with pytest.raises(DataError, match=f"on {len(data.test)} of the"):
                refuse_heard(named)


@pytest.mark.parametrize("folds", [FOLDS, ([1, 2], [5], [4]), ([4], [3], [2])])
def test_what_was_not_trained_on_is_tested(hparams, leave_run, folds, caplog):
    refuse_heard(hparams | {"classifier": leave_run(*folds)})
    assert not caplog.records


def test_of_another_folder_there_is_a_warning(
    hparams, leave_run, tmp_path, caplog
):
    run = leave_run([5], [], [1], data_folder=tmp_path)
    refuse_heard(hparams | {"pretrained": run})
    assert f"if that is the data of {tmp_path}" in caplog.text


@pytest.mark.parametrize("key", ["classifier", "judge"])
@pytest.mark.parametrize("source", ["here", "me/sounds"])
def test_of_a_bundle_that_heard_them_there_is_a_warning(
    hparams, tmp_path, monkeypatch, caplog, key, source
):
    data = hparams["data"]
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monkeypatch.setattr(hub, "fetch_bundle", lambda *a, **k: bundle)
    named = hparams | {key: bundle if source == "here" else source}
    for trained in ({}, data.rows["train"]):
        write_trained_on(_fingerprints(trained), bundle)
        refuse_heard(named)
    assert not caplog.records
    write_trained_on(_fingerprints(data.rows["train"] | data.tested), bundle)
    refuse_heard(named)
    n_tested = len(data.tested)
    assert f"was trained on {n_tested} of the {n_tested} clips" in caplog.text
    caplog.clear()
    others = dict.fromkeys(data.tested, "another")
    write_trained_on(_fingerprints(others), bundle)
    refuse_heard(named)
    assert not caplog.records


def test_what_a_run_started_from_heard_them_too(hparams, leave_run, caplog):
    run = leave_run([3], [4], [5])
    data = hparams["data"]
    (record,) = run.glob("save/*02/settings.ckpt")
    content = json.loads(record.read_text())
    content["trained_on_before"] = _fingerprints(data.tested)
    record.write_text(json.dumps(content))
    refuse_heard(hparams | {"classifier": run})
    n_tested = len(data.tested)
    assert f"was trained on {n_tested} of the {n_tested} clips" in caplog.text
    assert "no result" in caplog.text


def test_clips_of_one_name_and_another_label_are_others(
    hparams, leave_run, caplog
):
    run = leave_run([5], [], [1])
    (record,) = run.glob("save/*02/settings.ckpt")
    content = json.loads(record.read_text())
    train = content["rows"]["train"]
    content["rows"]["train"] = dict.fromkeys(train, "another")
    record.write_text(json.dumps(content))
    refuse_heard(hparams | {"pretrained": run})
    assert not caplog.records


def test_what_says_nothing_of_its_training_is_no_error(
    hparams, leave_run, tmp_path
):
    run = leave_run([5], [], [1])
    shutil.rmtree(run / "save/CKPT+2024-01-02")
    (tmp_path / "weights.pt").touch()
    for source in (run, tmp_path, tmp_path / "weights.pt", "owner/name", None):
        refuse_heard(hparams | {"pretrained": source})
    refuse_heard({"classifier": run})


def test_a_damaged_record_is_named(hparams, leave_run):
    run = leave_run([5], [], [1])
    (record,) = run.glob("save/*02/settings.ckpt")
    record.write_text("{")
    with pytest.raises(ModelError, match=r"02/settings.ckpt is damaged"):
        refuse_heard(hparams | {"pretrained": run})
