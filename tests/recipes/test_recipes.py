"""The recipes, run as a user runs them, on sounds that are made here."""

import json
import re
import shutil
import socket

import pandas as pd
import pytest
import torch

from focalaudio.audio import load_wav, write_wav
from focalaudio.brains import ClassifierBrain
from focalaudio.brains.checks import CHECKS
from focalaudio.brains.reporting import Reporter
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.errors import DataError, FocalAudioError, ModelError
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.metrics.table import METRICS
from focalaudio.models import load_model
from focalaudio.models.export import export_run
from focalaudio.report.held_out import fit_temperature, read_answers
from focalaudio.report.tables import read_csv

TEST_CLIPS = 3
LEFT_BY_BOTH = {"clips.csv", "env.log", "hyperparams.yaml", "metrics.json"}
LEFT_BY_TRAINING = LEFT_BY_BOTH | {
    "classes.csv",
    "classes.md",
    "confusion.png",
    "history.csv",
    "learning_curve.png",
    "save",
    "train_log.txt",
}


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def rows_of(folder):
    return pd.read_csv(folder / "clips.csv")


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def weights_of(folder):
    return load_model(folder).classifier.state_dict()


def contents_of(folder):
    """Every file with its bytes, but the log, which this process keeps."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "log.txt"
    }


def is_same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one | other)


def test_training_leaves_the_listed_files(trained):
    assert names_in(trained) >= LEFT_BY_TRAINING
    assert "label_encoder.txt" in names_in(trained / "save")
    assert len(list(trained.glob("save/CKPT+*"))) in (1, 2)
    assert "Python" in (trained / "env.log").read_text()


def test_training_reports_every_epoch_and_every_test_clip(trained, dataset):
    history, log = (
        pd.read_csv(trained / "history.csv"),
        trained / "train_log.txt",
    )
    assert history["epoch"].tolist() == [1, 2, 3]
    assert [
        line.split(",")[0] for line in log.read_text().splitlines()[:3]
    ] == [f"epoch: {epoch}" for epoch in (1, 2, 3)]
    rows = rows_of(trained)
    tested = {path.stem for path in (dataset / "audio").glob("5-*.wav")}
    assert set(rows["clip_id"]) == tested
    assert len(rows) == metrics_of(trained)["n_clips"] == TEST_CLIPS
    assert metrics_of(trained)["accuracy"] == rows["accuracy"].mean()


def test_a_loaded_model_says_what_the_run_said(trained, dataset):
    model = load_model(trained)
    for row in rows_of(trained).to_dict("records"):
        wav = model.reader(str(dataset / "audio" / f"{row['clip_id']}.wav"))
        with torch.no_grad():
            spectrum = model.spectrogram(wav[None])
            output = model.classifier(spectrum.log_magnitude)
        probability = output.probs.max().item()
        assert probability == pytest.approx(row["probability"], abs=1e-6)
        assert model.labels[output.class_ids] == row["predicted"]


def test_a_seed_gives_its_run_again(recipe, dataset, trained, tmp_path):
    again = recipe("train_classifier", tmp_path / "a", data_folder=dataset)
    assert is_same(weights_of(again), weights_of(trained))
    for name in ("train_log.txt", "metrics.json", "clips.csv", "history.csv"):
        assert (again / name).read_text() == (trained / name).read_text()
    other = recipe(
        "train_classifier", tmp_path / "b", data_folder=dataset, seed=1
    )
    assert not is_same(weights_of(other), weights_of(trained))


def test_testing_alone_gives_the_same_result(
    recipe, dataset, trained, tmp_path
):
    run = tmp_path / "copy"
    shutil.copytree(trained, run)
    wanted = [
        (run / name).read_text() for name in ("metrics.json", "clips.csv")
    ]
    for name in ("metrics.json", "clips.csv", "history.csv"):
        (run / name).unlink()
    recipe("train_classifier", run, ["--test_only"], data_folder=dataset)
    got = [(run / name).read_text() for name in ("metrics.json", "clips.csv")]
    assert got == wanted
    assert len(pd.read_csv(run / "history.csv")) == 3
    log = (run / "train_log.txt").read_text().splitlines()
    assert log[:4] == (trained / "train_log.txt").read_text().splitlines()
    assert log[4:] == log[3:4]


def test_all_clips_may_train(recipe, dataset, trained, tmp_path):
    folds = {"train_folds": "[1, 2, 3, 4, 5]", "valid_folds": "[]"}
    folds |= {"test_folds": "[]", "data_folder": dataset}
    run = tmp_path / "run"
    recipe("train_classifier", run, **folds, select_by="epoch")
    assert len(pd.read_csv(run / "history.csv")) == 3
    assert not (run / "metrics.json").exists()
    bundle = export_run(run, tmp_path / "bundle")
    said = [load_model(source) for source in (run, bundle)]
    assert is_same(*(model.classifier.state_dict() for model in said))
    assert "Nothing was measured" in (bundle / "README.md").read_text()
    # what a run that left a fold out said of it chooses for this one
    options = {"held_out": trained, "n_noises": 1, "classifier": run}
    options["score"] = "energy"
    ruled = recipe("novelty", tmp_path / "novelty", **folds, **options)
    bundle = export_run(
        run, tmp_path / "ruled", novelty=ruled, held_out=[trained]
    )
    said = load_model(bundle)
    assert said.temperature == fit_temperature([read_answers(trained)])
    energies = [row["energy"] for row in read_csv(trained / "clips.csv")]
    rule = NoveltyRule.calibrate("energy", energies)
    (found,) = said.novelty.rules
    assert found.score == "energy"
    assert found.threshold == pytest.approx(rule.threshold, abs=1e-12)
    for name in ("interpret", "train_piq", "train_lmac"):
        with pytest.raises(DataError, match="test_folds=.. names no fold"):
            recipe(name, tmp_path / name, **folds, classifier=run)


def test_a_run_without_a_validation_fold_is_as_good_as_another(
    recipe, dataset, tmp_path
):
    folds = {"train_folds": "[1, 2, 3, 4]", "valid_folds": "[]"}
    options = {"data_folder": dataset, "test_folds": "[5]"}
    with pytest.raises(ValueError, match="select_by='error' needs a valid"):
        recipe("train_classifier", tmp_path / "no", **options, **folds)
    run = tmp_path / "run"
    recipe("train_classifier", run, **options, **folds, select_by="epoch")
    assert names_in(run) >= LEFT_BY_TRAINING
    history = pd.read_csv(run / "history.csv")
    assert list(history) == ["epoch", "lr", "train_loss"]
    metrics = metrics_of(run)
    assert metrics["temperature"] == 1
    assert metrics["calibration_error"] == metrics["calibration_error_scaled"]
    given = options | {"classifier": run}
    found = recipe("interpret", tmp_path / "interpreted", **given, **folds)
    assert len(rows_of(found)) == TEST_CLIPS
    small = {"number_of_epochs": 1, "warmup_epochs": 0, "n_codes": 12}
    small |= {"batch_size": 3, "train_folds": "[1, 2, 3]", "valid_folds": "[4]"}
    piq = recipe("train_piq", tmp_path / "piq", **given, **small)
    bundle = export_run(run, tmp_path / "bundle", {"piq": piq})
    said = [load_model(source) for source in (run, bundle)]
    assert is_same(*(model.classifier.state_dict() for model in said))
    assert "valid folds" not in (bundle / "README.md").read_text()


def test_the_temperature_of_a_run_is_its_models(trained):
    temperature = metrics_of(trained)["temperature"]
    assert 0.1 <= temperature <= 10
    assert load_model(trained).temperature == temperature


def test_what_was_never_trained_is_not_tested(recipe, dataset, tmp_path):
    with pytest.raises(ModelError, match="holds no checkpoint"):
        recipe(
            "train_classifier", tmp_path, ["--test_only"], data_folder=dataset
        )
    assert not (tmp_path / "metrics.json").exists()


def test_a_try_needs_no_network(
    recipe, dataset, trained, tmp_path, monkeypatch
):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    run = recipe(
        "train_classifier", tmp_path / "a", ["--debug"], data_folder=dataset
    )
    assert names_in(run) >= LEFT_BY_TRAINING
    assert not list(run.glob("save/CKPT+*"))
    out = recipe(
        "interpret",
        tmp_path / "b",
        ["--debug"],
        data_folder=dataset,
        classifier=trained,
        max_clips=0,
    )
    assert names_in(out) >= LEFT_BY_BOTH


def test_a_try_spoils_no_run(recipe, dataset, trained, interpreted, tmp_path):
    runs = {
        "train_classifier": shutil.copytree(trained, tmp_path / "a"),
        "interpret": shutil.copytree(interpreted, tmp_path / "b"),
    }
    for name, run in runs.items():
        before = contents_of(run)
        own = {"classifier": trained} if name == "interpret" else {}
        with pytest.raises(FocalAudioError, match="debug was not set, is true"):
            recipe(name, run, ["--debug"], data_folder=dataset, **own)
        assert contents_of(run) == before
    out = tmp_path / "c"
    options = {"data_folder": dataset, "classifier": trained, "max_clips": 0}
    recipe("interpret", out, ["--debug"], **options)
    with pytest.raises(FocalAudioError, match="debug was true, is not set"):
        recipe("interpret", out, **options)


def test_a_run_after_a_try_is_a_run(
    recipe, dataset, trained, tmp_path, monkeypatch
):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    recipe("train_classifier", tmp_path, ["--debug"], data_folder=dataset)
    with monkeypatch.context() as patched:
        patched.setattr(ClassifierBrain, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            recipe("train_classifier", tmp_path, data_folder=dataset)
    assert "metrics.json" not in names_in(tmp_path)
    run = recipe("train_classifier", tmp_path, data_folder=dataset)
    for name in ("train_log.txt", "metrics.json", "clips.csv", "history.csv"):
        assert (run / name).read_text() == (trained / name).read_text()


def test_half_precision_trains_and_tests(recipe, dataset, tmp_path):
    flags = ["--precision", "bf16", "--eval_precision", "bf16"]
    run = recipe(
        "train_classifier",
        tmp_path / "a",
        flags,
        data_folder=dataset,
        number_of_epochs=1,
    )
    assert 0 < metrics_of(run)["loss"] < 10
    assert all(v.dtype == torch.float32 for v in weights_of(run).values())
    out = recipe(
        "interpret",
        tmp_path / "b",
        flags,
        data_folder=dataset,
        classifier=run,
        max_clips=0,
    )
    assert metrics_of(out)["n_clips"] == TEST_CLIPS


def test_every_precision_predicts_the_same(
    recipe, dataset, trained, interpreted, tmp_path
):
    """A Brain of SpeechBrain's takes float16 on GPUs only, and says so."""
    options = {"data_folder": dataset, "classifier": trained, "max_clips": 0}
    flags = ["--eval_precision", "bf16"]
    out = recipe("interpret", tmp_path / "bf16", flags, **options)
    low, exact = rows_of(out), rows_of(interpreted)
    assert low["predicted"].tolist() == exact["predicted"].tolist()
    assert not low["probability"].equals(exact["probability"])
    pd.testing.assert_series_equal(
        low["probability"], exact["probability"], atol=0.02, rtol=0
    )
    flags = ["--eval_precision", "fp16"]
    with pytest.raises(ValueError, match="fp16. This option is not yet"):
        recipe("interpret", tmp_path / "fp16", flags, **options)


def test_interpretation_leaves_sounds_and_a_picture_of_each_clip(interpreted):
    assert names_in(interpreted) >= LEFT_BY_BOTH
    clips = rows_of(interpreted)["clip_id"]
    endings = ("_input.wav", "_kept.wav", "_removed.wav", ".png")
    assert names_in(interpreted / "interpretations") == {
        f"{clip}{ending}" for clip in clips for ending in endings
    }


def test_interpretation_tests_what_training_tested(interpreted, trained):
    own, training = rows_of(interpreted), rows_of(trained)
    assert own["clip_id"].tolist() == training["clip_id"].tolist()
    assert own["predicted"].tolist() == training["predicted"].tolist()
    pd.testing.assert_series_equal(own["probability"], training["probability"])
    metrics = metrics_of(interpreted)
    assert metrics["accuracy"] == metrics_of(trained)["accuracy"]
    assert metrics["n_clips"] == TEST_CLIPS
    for name in ("fidelity", "faithfulness", "faithfulness_of_kept"):
        assert metrics[name] == pytest.approx(own[name].mean(), abs=1e-9)


def test_what_has_its_metrics_has_everything(
    recipe, dataset, trained, tmp_path, monkeypatch
):
    def stop(*args):
        raise KeyboardInterrupt

    options = {"data_folder": dataset, "classifier": trained}
    options |= {"compare": "[{method: random}]", "max_clips": 1}
    with monkeypatch.context() as patched:
        patched.setattr(Reporter, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            recipe("interpret", tmp_path, **options)
    assert "metrics.json" not in names_in(tmp_path)
    recipe("interpret", tmp_path, **options)
    left = {"metrics.json", "comparison_clips.csv", "report.html"}
    assert left <= names_in(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantile": 0.5}, "quantile 0.5"),
        ({"method": "random"}, 'method was null, is "random"'),
        ({"condition": "noise"}, 'condition was "clean", is "noise"'),
        ({"checks": "[stability]"}, r'checks was \[\], is \["stability"\]'),
        (
            {"test_folds": "[4]", "valid_folds": "[5]"},
            r"test_folds was \[5\], is \[4\]",
        ),
    ],
)
def test_results_of_other_settings_are_left_alone(
    recipe, dataset, trained, interpreted, options, said
):
    before = contents_of(interpreted)
    with pytest.raises(FocalAudioError, match=said):
        recipe(
            "interpret",
            interpreted,
            data_folder=dataset,
            classifier=trained,
            **options,
        )
    assert contents_of(interpreted) == before


def test_results_of_another_classifier_are_left_alone(
    recipe, dataset, trained, interpreted, tmp_path
):
    other = recipe(
        "train_classifier",
        tmp_path / "other",
        data_folder=dataset,
        seed=1,
        number_of_epochs=1,
    )
    before = contents_of(interpreted)
    with pytest.raises(FocalAudioError, match="classifier has other weights"):
        recipe("interpret", interpreted, data_folder=dataset, classifier=other)
    with pytest.raises(FocalAudioError, match="judge has other weights"):
        recipe(
            "interpret",
            interpreted,
            data_folder=dataset,
            classifier=trained,
            judge=other,
        )
    assert contents_of(interpreted) == before


def test_results_from_before_settings_were_saved_are_left_alone(
    recipe, dataset, trained, interpreted, tmp_path
):
    old = shutil.copytree(interpreted, tmp_path / "old")
    shutil.rmtree(old / "progress")
    before = contents_of(old)
    with pytest.raises(FocalAudioError, match="condition was"):
        recipe(
            "interpret",
            old,
            data_folder=dataset,
            classifier=trained,
            condition="noise",
        )
    assert contents_of(old) == before


def test_the_same_settings_give_the_same_result_again(
    recipe, dataset, trained, interpreted, tmp_path
):
    again = shutil.copytree(interpreted, tmp_path / "again")
    for name in ("metrics.json", "clips.csv"):
        (again / name).unlink()
    recipe("interpret", again, data_folder=dataset, classifier=trained)
    for name in ("metrics.json", "clips.csv"):
        assert (again / name).read_bytes() == (interpreted / name).read_bytes()
    log = (again / "log.txt").read_text()
    assert "3 clips were done before" in log


def test_an_overridden_quantile_is_used_and_recorded(
    recipe, dataset, trained, tmp_path
):
    out = recipe(
        "interpret",
        tmp_path,
        data_folder=dataset,
        classifier=trained,
        quantile=0,
        max_clips=0,
    )
    assert metrics_of(out)["quantile"] == 0
    assert metrics_of(out)["fidelity"] == 1
    assert "interpretations" not in names_in(out)


def test_annotated_clips_are_scored_and_judged(
    recipe, dataset, trained, tmp_path
):
    """A judge of the same weights says what the classifier says."""
    folder = shutil.copytree(dataset, tmp_path / "dataset")
    options = {
        "data_folder": folder,
        "classifier": trained,
        "judge": trained,
        "condition": "annotations",
        "mask": "energy",
        "f_fidelity_samples": 2,
        "max_clips": 0,
    }
    with pytest.raises(DataError, match="txt is missing"):
        recipe("interpret", tmp_path / "none", **options)
    for path in (folder / "audio").glob("*.wav"):
        # of every class, whichever three epochs have taught
        boxes = "".join(f"0.0\t0.5\t{name}\n" for name in CLASSES[:3])
        path.with_suffix(".txt").write_text(boxes)
    out = recipe("interpret", tmp_path / "marked", **options)
    metrics = metrics_of(out)
    assert metrics["condition"] == "annotations"
    assert metrics["judge"] == str(trained)
    assert metrics["judge_agreement"] == 1
    for name in ("fidelity", "faithfulness"):
        judged = metrics[f"judge_{name}"]
        assert judged == pytest.approx(metrics[name], abs=1e-5)
    assert metrics["time_chance"] == pytest.approx(0.5, abs=0.02)
    assert metrics["kept_energy"] >= 0.1 - 1e-6
    for path in (folder / "audio").glob("*.wav"):
        path.with_suffix(".txt").write_text("0.0\t0.6\n")
    with pytest.raises(FocalAudioError, match="annotations are others"):
        recipe("interpret", out, **options)


def test_checks_are_columns_of_every_interpreter(
    recipe, dataset, trained, tmp_path
):
    out = recipe(
        "interpret",
        tmp_path,
        data_folder=dataset,
        classifier=trained,
        checks=f"[{', '.join(CHECKS)}]",
        compare="[{method: random}]",
        max_clips=0,
    )
    columns = [name for name, m in METRICS.items() if m.needs == "checks"]
    assert set(columns) <= set(rows_of(out)) & set(metrics_of(out))
    table = (out / "comparison.md").read_text()
    assert all(METRICS[name].header in table for name in columns)
    shared = pd.read_csv(out / "comparison.csv").set_index("interpreter")
    floor = shared.loc["random, quantile 0.9"]
    assert floor["class_sensitivity"] == floor["randomization"] == 1
    assert floor["infidelity_n"] == TEST_CLIPS


@pytest.fixture(scope="module")
def uneven(dataset, tmp_path_factory):
    """The same clips, cut to lengths from a fifth of a second to a second."""
    folder = tmp_path_factory.mktemp("uneven") / "dataset"
    shutil.copytree(dataset, folder)
    for number, path in enumerate(sorted((folder / "audio").glob("*.wav"))):
        wav = load_wav(path, 16000)
        write_wav(path, wav[: 3200 + 911 * number], 16000)
    return folder


def test_whole_clips_of_any_length(recipe, uneven, tmp_path):
    run = recipe(
        "train_classifier",
        tmp_path / "run",
        data_folder=uneven,
        clip_seconds="null",
        number_of_epochs=1,
    )
    outs = [
        recipe(
            "interpret",
            tmp_path / f"by_{size}",
            data_folder=uneven,
            classifier=run,
            batch_size=size,
            max_clips=1,
        )
        for size in (1, 3)
    ]
    one, three = map(rows_of, outs)
    pd.testing.assert_frame_equal(one, three, atol=1e-4, rtol=0)
    clip = one["clip_id"][0]
    whole = load_wav(uneven / "audio" / f"{clip}.wav", 16000)
    for part in ("input", "kept", "removed"):
        path = outs[0] / "interpretations" / f"{clip}_{part}.wav"
        assert load_wav(path, 16000).shape == whole.shape


def test_other_classes_are_refused_before_any_work(recipe, trained, tmp_path):
    other = write_dataset(
        tmp_path / "data",
        clips_per_class=5,
        seed=0,
        seconds=1.0,
        classes=CLASSES[1:4],
    )
    with pytest.raises(DataError, match=f"does not know: {CLASSES[3]};"):
        recipe(
            "interpret", tmp_path / "out", data_folder=other, classifier=trained
        )
    assert not (tmp_path / "out").exists()
    run = tmp_path / "copy"
    shutil.copytree(trained, run)
    labels = (run / "save" / "label_encoder.txt").read_text()
    with pytest.raises(FocalAudioError, match="meta/esc50.csv"):
        recipe("train_classifier", run, data_folder=other)
    assert (run / "save" / "label_encoder.txt").read_text() == labels


def test_folds_that_overlap_are_refused_before_any_work(
    recipe, dataset, tmp_path
):
    with pytest.raises(DataError, match="fold"):
        recipe(
            "train_classifier",
            tmp_path / "out",
            data_folder=dataset,
            test_folds="[3]",
        )
    assert not (tmp_path / "out").exists()


def snapshot(folder):
    """What is in a folder, and when it was written."""
    return {
        path.relative_to(folder): (
            path.stat().st_mtime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in folder.rglob("*")
    }


def forget_settings(run):
    """Make a run as those were that saved no settings."""
    for path in run.glob("save/CKPT+*/files.json"):  # newer still
        path.unlink()
    for path in run.glob("save/CKPT+*/settings.ckpt"):
        path.unlink()


@pytest.mark.parametrize("old", [False, True], ids=["saved", "unsaved"])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"lr": 0.002}, "lr was 0.001, is 0.002"),
        ({"number_of_epochs": 4}, "number_of_epochs was 3, is 4"),
        ({"seed": 2}, "seed was 1234, is 2"),
        ({"clip_seconds": 0.5}, "clip_seconds was 1.0, is 0.5"),
        ({"sample_rate": 8000}, "sample_rate was 16000, is 8000"),
        ({"encoder_name": "vit_test"}, 'encoder_name was "focalnet_test"'),
        (
            {"train_folds": "[1, 2, 5]", "test_folds": "[3]"},
            r"test_folds was \[5\], is \[3\]; train_folds was \[1, 2, 3\], is",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("flags", [[], ["--test_only"]], ids=["run", "test"])
def test_a_folder_is_not_taken_for_that_of_another_run(
    recipe, dataset, trained, tmp_path, other, said, old, flags
):
    run = shutil.copytree(trained, tmp_path / "run")
    if old:
        forget_settings(run)
    before = snapshot(run)
    with pytest.raises(FocalAudioError, match=said) as refused:
        recipe("train_classifier", run, flags, data_folder=dataset, **other)
    assert "Give another experiment_name or seed" in str(refused.value)
    assert snapshot(run) == before


def test_edited_metadata_is_seen_before_anything_is_written(
    recipe, dataset, trained, tmp_path
):
    run = shutil.copytree(trained, tmp_path / "run")
    edited = shutil.copytree(dataset, tmp_path / "data")
    rows = pd.read_csv(edited / "meta" / "esc50.csv")
    rows.loc[0, ["category", "target"]] = rows.loc[1, ["category", "target"]]
    rows.to_csv(edited / "meta" / "esc50.csv", index=False)
    before = snapshot(run)
    with pytest.raises(FocalAudioError, match=rows["filename"][0]):
        recipe("train_classifier", run, data_folder=edited)
    assert snapshot(run) == before


def test_a_run_from_before_is_tested_again_with_its_data_moved(
    recipe, dataset, trained, tmp_path
):
    run = shutil.copytree(trained, tmp_path / "run")
    moved = shutil.copytree(dataset, tmp_path / "moved")
    forget_settings(run)
    recipe(
        "train_classifier",
        run,
        ["--test_only"],
        data_folder=moved,
        experiment_name="other",
    )
    assert metrics_of(run) == metrics_of(trained)


RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def test_every_name_that_is_written_is_one_on_windows(trained, interpreted):
    for folder in (trained, interpreted):
        names = [path.name for path in folder.rglob("*")]
        assert len(names) > 10
        for name in names:
            assert not set(name) & set('<>:"/\\|?*'), name
            assert not RESERVED.fullmatch(name), name
            assert name[-1] not in ". ", name
            assert name.isprintable()
        lowered = {str(path).lower() for path in folder.rglob("*")}
        assert len(lowered) == len(names)  # no two of one name there
