import math
import os
import pickle
import shutil

import pytest
import torch
import yaml

from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader, encode_labels
from focalaudio.encoders import build_encoder
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models import SoundModel, load_model
from focalaudio.models.checkpoints import seal
from focalaudio.models.run import (
    add_decoders,
    best_checkpoint,
    load_decoder,
    read_labels,
    read_values,
    save_model,
)
from focalaudio.models.safe_yaml import PlainLoader
from focalaudio.spectrogram import Spectrogram

LABELS = ["dog", "rain", "wind, strong"]
VALUES = {"select_by": "error", "seed": 9}
# what executes in HyperPyYAML, or in a careless YAML reader
MALICE = (
    "!apply:os.mkdir [{canary}]",
    "!new:pathlib.PosixPath.mkdir [{canary}]",
    "!name:os.mkdir [{canary}]",
    "!applyref:os.mkdir [{canary}]",
    "!module:antigravity",
    "!include:{canary}",
    "!!python/object/apply:os.mkdir [{canary}]",
    "!!python/object/new:os.mkdir [{canary}]",
    "!!python/name:os.mkdir",
    "!!python/module:antigravity",
    "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [{canary}]",
    "(os.mkdir('{canary}'), 1)",
    "!tuple (os.mkdir('{canary}'), 1)",
    "!ref <seed> ** 99999999",
)


def make_classifier(**kwargs):
    encoder = build_encoder("focalnet_test", in_channels=1)
    kwargs = {"head": "cosine", "scale": 7.0, "image_size": (32, 48)} | kwargs
    return SoundClassifier(encoder, 3, **kwargs)


def write_run(folder, classifier, meta=None, text="", seconds=0.5, **values):
    """Write what a training run leaves of a classifier."""
    parts = (Spectrogram(8000, 512, 40.0, 20.0), ClipReader(8000, seconds))
    save_model(SoundModel(classifier, *parts, LABELS), folder)
    saver = WholeCheckpointer(folder / "save", {"classifier": classifier})
    checkpoint = saver.save_checkpoint(meta or {"error": 0.5})
    encode_labels(LABELS).save(str(folder / "save" / "label_encoder.txt"))
    text = yaml.safe_dump(VALUES | values) + text
    (folder / "hyperparams.yaml").write_text(text, encoding="utf-8")
    return checkpoint.path / "classifier.ckpt"


@pytest.fixture
def classifier():
    torch.manual_seed(1)
    return make_classifier()


@pytest.fixture
def run(tmp_path, classifier):
    write_run(tmp_path, classifier)
    return tmp_path


def logits(classifier):
    torch.manual_seed(2)
    with torch.no_grad():
        return classifier.eval()(torch.rand(2, 26, 257)).logits


def test_loaded_model_says_what_the_run_said(run, classifier):
    model = load_model(run)
    assert torch.equal(logits(model.classifier), logits(classifier))
    assert not model.classifier.training
    assert model.labels == tuple(LABELS)


def test_a_clip_is_read_and_analyzed_as_in_training(run):
    model = load_model(str(run))
    own = Spectrogram(8000, 512, 40.0, 20.0)
    wavs = torch.rand(1, 4000)
    loaded = model.spectrogram(wavs).log_magnitude
    assert torch.equal(loaded, own(wavs).log_magnitude)
    assert (model.reader.sample_rate, model.reader.clip_seconds) == (8000, 0.5)


def test_whole_clips_and_the_own_image_size_are_none(tmp_path):
    own = make_classifier(image_size=None)
    write_run(tmp_path, own, seconds=None)
    model = load_model(tmp_path)
    assert model.reader.clip_seconds is None
    assert model.classifier.image_size == own.image_size


@pytest.mark.parametrize("select_by", ["error", "loss"])
def test_the_best_checkpoint_is_loaded(tmp_path, select_by):
    made = {}
    for name, error, loss in (
        ("x", 0.5, 1.0),
        ("y", 0.1, 3.0),
        ("z", 0.5, 2.0),
    ):
        made[name] = make_classifier()
        meta = {"error": error, "loss": loss}
        write_run(tmp_path, made[name], meta, select_by=select_by)
    best = made["y" if select_by == "error" else "x"]
    assert torch.equal(logits(load_model(tmp_path).classifier), logits(best))


@pytest.mark.parametrize("order", [1, -1])
def test_a_run_that_selected_nothing_is_its_last_epoch(tmp_path, order):
    made = {epoch: make_classifier() for epoch in (1, 2)}
    for epoch in (1, 2)[::order]:
        meta = {"epoch": epoch}
        write_run(tmp_path, made[epoch], meta, select_by="epoch")
    last = load_model(tmp_path).classifier
    assert torch.equal(logits(last), logits(made[2]))


def test_the_temperature_is_that_of_the_best_checkpoint(tmp_path, classifier):
    assert load_model(run_of(tmp_path / "old", classifier)).temperature == 1
    folder = tmp_path / "new"
    for error, temperature in ((0.5, 3.0), (0.1, 0.7)):
        meta = {"error": error, "temperature": temperature}
        run_of(folder, classifier, meta)
    assert load_model(folder).temperature == 0.7


DEEP = "[" * 5000 + "]" * 5000


def say(run, **values):
    """Write what a run's only checkpoint says of itself, and seal that."""
    [path] = run.glob("save/CKPT+*/CKPT.yaml")
    said = {"unixtime": 1.0, "error": 0.5} | values
    lines = (f"{key}: {value}\n" for key, value in said.items())
    path.write_text("".join(lines))
    seal(path.parent)  # a stranger can do that, too


@pytest.mark.parametrize(
    "value",
    ["hot", ".inf", ".nan", "-1", "1e9", "yes", "[1]", "", "9" * 400,
     "!!python/name:os.system"],
)  # fmt: skip
def test_a_temperature_that_is_none_is_an_error(run, value):
    say(run, temperature=value)
    with pytest.raises(ModelError, match="CKPT.yaml: temperature=.* must be a"):
        load_model(run)


@pytest.mark.parametrize("value", ["low", "[1]", "", "yes", "!!python/name:os"])
def test_a_metric_that_is_no_number_is_an_error(run, value):
    say(run, error=value)
    with pytest.raises(ModelError, match="CKPT.yaml: error=.* must be a numb"):
        load_model(run)


@pytest.mark.parametrize("value", [DEEP, "!!int ''", "!!bool x", "{a: b"])
def test_a_checkpoint_that_cannot_be_read_is_damaged(run, value):
    say(run, more=value)
    with pytest.raises(ModelError, match="CKPT.yaml is damaged"):
        load_model(run)


@pytest.mark.parametrize("value", ["", "now", ".nan", "yes"])
def test_a_checkpoint_says_when_it_was_saved(run, value):
    say(run, unixtime=value)
    with pytest.raises(ModelError, match="CKPT.yaml is damaged"):
        load_model(run)


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_not_finite_is_never_the_best(tmp_path, order):
    made = {error: make_classifier() for error in (0.5, math.nan, -math.inf)}
    for error in list(made)[::order]:
        write_run(tmp_path, made[error], {"error": error})
    best = load_model(tmp_path).classifier
    assert torch.equal(logits(best), logits(made[0.5]))


def run_of(folder, classifier, meta=None):
    write_run(folder, classifier, meta)
    return folder


@pytest.mark.parametrize("malice", MALICE)
def test_reading_executes_nothing(tmp_path, classifier, malice):
    canary = tmp_path / "canary"
    text = f"seed: 9\nevil: {malice.format(canary=canary)}\n"
    write_run(tmp_path, classifier, text=text)
    assert load_model(tmp_path).labels == tuple(LABELS)
    assert not canary.exists()


@pytest.mark.parametrize("malice", MALICE)
def test_a_description_that_is_code_is_refused(run, malice):
    canary = run / "canary"
    path = run / "save" / "model.yaml"
    path.write_text(
        path.read_text() + f"evil: {malice.format(canary=canary)}\n"
    )
    with pytest.raises(UnsafeModelError, match=r"model.yaml, line \d+"):
        load_model(run)
    assert not canary.exists()


@pytest.mark.parametrize("malice", MALICE)
def test_no_key_that_is_read_can_execute(run, malice):
    canary = run / "canary"
    text = f"select_by: {malice.format(canary=canary)}\n"
    (run / "hyperparams.yaml").write_text(text)
    with pytest.raises((ModelError, FileNotFoundError)):
        load_model(run)
    assert not canary.exists()


def test_reading_leaves_the_safe_loader_safe():
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load("a: !apply:os.getcwd []")
    assert yaml.load("a: !x [b]", Loader=PlainLoader) == {"a": None}


class Call:
    """Pickled, it is a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_weights_that_are_code_are_refused(tmp_path, classifier):
    weights = write_run(tmp_path, classifier)
    weights.write_bytes(pickle.dumps(Call(str(tmp_path / "canary"))))
    seal(weights.parent)  # a stranger can do that, too
    with pytest.raises(UnsafeModelError, match="asks for code to be run"):
        load_model(tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "missing", ["hyperparams.yaml", "save", "save/label_encoder.txt"]
)
def test_what_is_missing_is_named(run, missing):
    (run / missing).rename(run / "elsewhere")
    with pytest.raises(
        FileNotFoundError, match=f"{run}/{missing}.* is missing"
    ):
        load_model(run)


def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none.*missing"):
        load_model("none")
    assert list(tmp_path.iterdir()) == []


def write_select_by(run, key):
    (run / "hyperparams.yaml").write_text(f"select_by: {key}\n")
    return run


def test_a_run_without_checkpoints_is_not_a_model(run):
    for path in run.glob("save/CKPT+*"):
        path.rename(path.with_name("." + path.name))
    with pytest.raises(
        FileNotFoundError, match="no CKPT.*'error'; train first"
    ):
        load_model(run)
    with pytest.raises(FileNotFoundError, match="no CKPT.*'loss'; train first"):
        best_checkpoint(write_select_by(run, "loss"), "min_key")


def test_weights_that_are_missing_are_named(run):
    weights = next(run.glob("save/*/classifier.ckpt"))
    weights.unlink()
    with pytest.raises(ModelError, match="classifier.ckpt is missing"):
        load_model(run)


def test_a_key_that_is_missing_is_named(run):
    (run / "hyperparams.yaml").write_text("seed: 1\n")
    with pytest.raises(ModelError, match=r"hyperparams.yaml has no select_by;"):
        load_model(run)


def test_a_run_of_an_older_version_says_how_to_mend_it(run):
    (run / "save" / "model.yaml").unlink()
    with pytest.raises(ModelError, match="the command that trained it once mo"):
        load_model(run)


@pytest.mark.parametrize(
    "change",
    [
        ("focalnet_test", {"head": "linear"}),
        ("focalnet_test_pyramid", {}),
        ("vit_test", {}),
    ],
)
def test_weights_of_another_classifier_are_an_error(run, classifier, change):
    name, kwargs = change
    other = SoundClassifier(build_encoder(name), 3, **kwargs)
    parts = (Spectrogram(8000, 512, 40.0, 20.0), ClipReader(8000, 0.5))
    save_model(SoundModel(other, *parts, LABELS), run)
    with pytest.raises(ModelError, match="classifier.ckpt"):
        load_model(run)


def test_labels_that_do_not_fit_the_head_are_an_error(run):
    encode_labels(["dog", "rain"]).save(str(run / "save/label_encoder.txt"))
    with pytest.raises(ModelError, match="2 labels, but the classifier has 3"):
        load_model(run)


@pytest.mark.parametrize(
    "text",
    [
        *("", "just words", "- a\n- b", "a: [1", "a: {b: c", "\0", "a: b: c"),
        "a: " + "[" * 5000 + "]" * 5000,
        "a: " + "9" * 5000,
        "a: 2001-99-99",
        "# " + "x" * (1 << 20),
    ],
)
def test_a_yaml_that_is_none_is_an_error(tmp_path, text):
    (tmp_path / "hyperparams.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"hyperparams.yaml"):
        read_values(tmp_path / "hyperparams.yaml", [])


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    (tmp_path / "hyperparams.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ModelError, match=r"hyperparams.yaml is not"):
        read_values(tmp_path / "hyperparams.yaml", [])


@pytest.mark.parametrize(
    "text",
    ["dog\n", "'dog' => one\n", "__import__('os') => 0\n", "'dog' => 1\n"],
)
def test_labels_that_cannot_be_read_are_an_error(tmp_path, text):
    (tmp_path / "label_encoder.txt").write_text(text)
    with pytest.raises(ModelError, match=r"label_encoder.txt must have lines"):
        read_labels(tmp_path / "label_encoder.txt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_an_error(tmp_path, classifier, value):
    with torch.no_grad():
        next(classifier.parameters()).view(-1)[3] = value
    write_run(tmp_path, classifier)
    with pytest.raises(ModelError, match="not finite .encoder"):
        load_model(tmp_path)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_weights_that_are_cut_off_are_an_error(tmp_path, classifier, size):
    weights = write_run(tmp_path, classifier)
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"classifier.ckpt .* damaged"):
        load_model(tmp_path)


def test_a_decoder_is_loaded_for_its_own_classifier_only(
    finished, finished_piq, finished_lmac, classifier
):
    runs = {"piq": finished_piq, "lmac": finished_lmac}
    model = add_decoders(load_model(finished), runs)
    for method, run in runs.items():
        decoder = model.decoders[method]
        assert not decoder.training
        assert not any(p.requires_grad for p in decoder.parameters())
        with pytest.raises(ModelError, match="decoder of another classifier"):
            load_decoder(method, run, classifier)


def test_a_run_of_another_method_is_refused(
    finished, finished_piq, finished_lmac
):
    classifier = load_model(finished).classifier
    for method, run in (("lmac", finished_piq), ("piq", finished_lmac)):
        with pytest.raises(ModelError, match=f"not {method}; give a run of"):
            load_decoder(method, run, classifier)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no"])
def test_a_decoder_that_names_no_classifier_is_refused(
    finished, finished_piq, tmp_path, text
):
    run = shutil.copytree(finished_piq, tmp_path / "piq")
    next(run.glob("save/*/settings.ckpt")).write_text(text)
    with pytest.raises(ModelError, match="does not say which classifier"):
        load_decoder("piq", run, load_model(finished).classifier)
