import hashlib
import json
import re
import shutil

import pytest
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml

from focalaudio.audio import audio_info, load_wav
from focalaudio.data.folders import open_data
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import DataError, ModelError
from focalaudio.metrics.calibration import find_temperature
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.models import export, load_model
from focalaudio.models.bundle import (
    read_bundle,
    write_bundle,
    write_sums,
)
from focalaudio.models.export import export_run
from focalaudio.models.novelty import Novelty
from focalaudio.models.run import load_run
from focalaudio.models.trained_on import fingerprint, read_trained_on
from focalaudio.report.training import write_training_report

FILES = {
    "README.md",
    "SHA256SUMS",
    "decoder.safetensors",
    "example.png",
    "example.wav",
    "example_kept.wav",
    "hyperparams.yaml",
    "label_encoder.txt",
    "lmac.safetensors",
    "model.safetensors",
}


def logits(model, wavs):
    with torch.no_grad():
        return model.classifier(model.spectrogram(wavs).log_magnitude).logits


@pytest.fixture
def no_pictures(monkeypatch):
    """Skip what is slow and not looked at: the picture."""
    monkeypatch.setattr(export, "_write_example", lambda *arguments: None)


def test_a_bundle_says_bit_for_bit_what_its_run_says(finished, exported):
    run, bundle = load_model(finished), load_model(exported)
    wavs = torch.rand(3, 16000)
    assert torch.equal(logits(bundle, wavs), logits(run, wavs))
    assert bundle.labels == run.labels


def test_a_bundle_has_these_files_and_no_others(exported):
    assert {path.name for path in exported.iterdir()} == FILES
    assert [path.name for path in exported.parent.iterdir()] == ["bundle"]


def test_sums_are_those_of_the_files(exported):
    lines = (exported / "SHA256SUMS").read_text().splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    assert set(sums) == FILES - {"SHA256SUMS"}
    for name, digest in sums.items():
        content = (exported / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest


def test_hyperpyyaml_makes_the_same_objects_of_the_file(exported):
    text = (exported / "hyperparams.yaml").read_text()
    theirs, ours = load_hyperpyyaml(text), read_bundle(exported)
    theirs["classifier"].load_state_dict(ours.classifier.state_dict())
    theirs["classifier"].eval()
    for method, key in {"piq": "decoder", "lmac": "lmac"}.items():
        decoder = ours.decoders[method]
        theirs[key].load_state_dict(decoder.state_dict())
        assert type(theirs[key]) is type(decoder)
    wavs = torch.rand(2, 16000)
    spectrum = theirs["spectrogram"](wavs)
    with torch.no_grad():
        said = theirs["classifier"](spectrum.log_magnitude).logits
    assert torch.equal(said, logits(ours, wavs))
    assert theirs["reader"].arguments == ours.reader.arguments
    assert theirs["explanation"] == vars(ours.explanation)


def test_the_file_holds_no_path_optimizer_or_seed(exported, dataset, finished):
    text = (exported / "hyperparams.yaml").read_text()
    for secret in ("seed", "lr", "folder", str(dataset), str(finished)):
        assert not re.search(rf"\b{re.escape(secret)}\b", text)


def test_the_card_says_what_was_measured(exported):
    card = (exported / "README.md").read_text()
    assert "| 0.667 | 0.000 to 1.000 | 3 |" in card
    for said in (
        "`siren`",
        "2402.02754",
        "test folds 5",
        "`sounds`",
        "PIQ",
        "L-MAC",
    ):
        assert said in card
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "apache-2.0"


def test_the_example_is_a_clip_that_was_classified_right(exported, dataset):
    clips = sorted((dataset / "audio").glob("5-*.wav"))
    assert (
        f"clip {clips[1].stem} of the test fold"
        in (exported / "README.md").read_text()
    )
    clip = load_wav(clips[1])[:16000]
    example = load_wav(exported / "example.wav")
    similarity = torch.nn.functional.cosine_similarity(clip, example, dim=0)
    assert similarity > 0.999
    info = audio_info(exported / "example_kept.wav")
    assert (info.n_frames, info.sample_rate) == (16000, 16000)


@pytest.mark.usefixtures("no_pictures")
def test_without_its_data_a_run_gets_a_synthesized_example(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    values = yaml.safe_load((run / "hyperparams.yaml").read_text())
    values["data_folder"] = str(tmp_path / "gone")
    (run / "hyperparams.yaml").write_text(yaml.safe_dump(values))
    card = (export_run(run, tmp_path / "out") / "README.md").read_text()
    assert "synthesized (siren)" in card


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_was_not_evaluated_has_nothing_measured(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "metrics.json").unlink()
    (run / "clips.csv").unlink()
    card = (export_run(run, tmp_path / "out") / "README.md").read_text()
    assert "Nothing was measured" in card


@pytest.mark.usefixtures("no_pictures")
def test_a_bundle_that_says_something_else_is_not_left(
    finished, tmp_path, monkeypatch
):
    def write_other(model, folder):
        write_bundle(model, folder)
        path = folder / "hyperparams.yaml"
        text = path.read_text().replace("scale: 7.0", "scale: 7.5")
        path.write_text(text)
        write_sums(folder)

    monkeypatch.setattr(export, "write_bundle", write_other)
    with pytest.raises(ModelError, match="logits of by_design differ"):
        export_run(finished, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_pictures")
def test_a_bundle_that_cannot_be_read_is_not_left(
    finished, tmp_path, monkeypatch
):
    def write_nonsense(model, folder):
        write_bundle(model, folder)
        (folder / "SHA256SUMS").write_text("nonsense")

    monkeypatch.setattr(export, "write_bundle", write_nonsense)
    with pytest.raises(ModelError, match="SHA256SUMS has a line 'nonsense'"):
        export_run(finished, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(finished, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="not empty; give a new folder"):
        export_run(finished, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_no_run_is_named_and_nothing_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="hyperparams.yaml is missing"):
        export_run(tmp_path / "none", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_rule_of_what_is_known_goes_along(finished, tmp_path):
    rule = {"score": "energy", "threshold": -50.0}
    digest = digest_weights(load_run(finished).classifier)
    values = {"novelty": rule, "classifier_digest": digest}
    (tmp_path / "novelty.json").write_text(json.dumps(values))
    out = export_run(finished, tmp_path / "out", novelty=tmp_path)
    assert read_bundle(out).novelty == Novelty((NoveltyRule("energy", -50.0),))
    assert "log-sum-exp of the logits is below -50" in (
        (out / "README.md").read_text()
    )


def test_a_bundle_says_which_clips_trained_it(
    finished, finished_piq, dataset, tmp_path, no_pictures
):
    rows = open_data(dataset, [1, 2, 3], [4], [5]).rows
    more = {"train": {"audio/another.wav": "siren"}}
    runs = []
    for run, said in ((finished, rows), (finished_piq, more)):
        runs.append(shutil.copytree(run, tmp_path / f"run_{len(runs)}" / "7"))
        (record,) = runs[-1].glob("save/*/settings.ckpt")
        content = json.loads(record.read_text()) | {"rows": said}
        record.write_text(json.dumps(content))
    bundle = export_run(runs[0], tmp_path / "out", {"piq": runs[1]})
    wanted = (rows["train"] | more["train"]).items()
    found = read_trained_on(bundle).all_clips()
    assert found == {fingerprint(*clip) for clip in wanted}
    assert "trained_on.txt" in (bundle / "SHA256SUMS").read_text()
    read_bundle(bundle)


def test_where_all_clips_train_others_choose_the_temperature(
    finished, tmp_path
):
    labels = load_run(finished).labels
    logits, marked = torch.randn(30, 3) * 4, torch.eye(3).repeat(10, 1)
    for name, part in (("a", slice(0, 12)), ("b", slice(12, 30))):
        ids = zip(logits[part].argmax(1), marked[part].argmax(1), strict=True)
        rows = [
            {"clip_id": f"{place:02}", "label": labels[right]}
            | {"predicted": labels[said], "probability": 0.5}
            | {"accuracy": float(said == right), "energy": 0.0}
            for place, (said, right) in enumerate(ids)
        ]
        said = logits[part], marked[part]
        (tmp_path / name).mkdir()
        write_training_report(tmp_path / name, rows, labels, 1.0, said)
    runs = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(DataError, match="has valid_folds and test_folds"):
        export_run(finished, tmp_path / "no", held_out=runs)
    run = shutil.copytree(finished, tmp_path / "all" / "7")
    path = run / "hyperparams.yaml"
    values = yaml.safe_load(path.read_text())
    values |= {"valid_folds": [], "test_folds": []}
    path.write_text(yaml.safe_dump(values))
    out = export_run(run, tmp_path / "out", held_out=runs)
    wanted = find_temperature(logits, marked)
    assert read_bundle(out).temperature == pytest.approx(wanted, rel=1e-4)
    right = (logits.argmax(1) == marked.argmax(1)).float().mean()
    card = (out / "README.md").read_text()
    assert f"| {right:.3f} | " in card
    assert "| 30 |" in card
    assert "of 2 of the same recipe" in " ".join(card.split())
    (tmp_path / "a" / "probabilities.csv").unlink()
    with pytest.raises(DataError, match="older version made it"):
        export_run(run, tmp_path / "other", held_out=runs)
    assert not (tmp_path / "other").exists()
