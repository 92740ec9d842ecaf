"""Laws of a run's settings: what counts, and what is said of it."""

import json
import math
import shutil

import pandas as pd
import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.run_opts import RunOptions

from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.brains.settings import RunSettings
from focalaudio.data.pipelines import open_esc50
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import FocalAudioError, ModelError
from focalaudio.foreign.classifier import ForeignClassifier
from focalaudio.models.trained_on import (
    TrainedOn,
    fingerprint,
    read_trained_on,
)

YAML = """
seed: 1
output_folder: out
lr: 0.1
image_size: null
train_folds: [1, 2, 3]
num_workers: 0
loader:
    batch_size: 4
    num_workers: 0
batch_size: 4
max_grad_norm: 5.0
net: !new:torch.nn.Linear
    in_features: 2
"""
FOLDS = ([1, 2, 3], [4], [5])


@pytest.fixture
def data(dataset):
    return open_esc50(dataset, *FOLDS)


def settle(data, text=YAML, options=(), **kwargs):
    settings = RunSettings(data, **kwargs)
    _, run_opts, _ = RunOptions.from_command_line_args(["a.yaml", *options])
    settings.complete(text, run_opts)
    return settings


@pytest.fixture
def refusal(tmp_path):
    """`refusal(one, other)`: what is said of the folder of one to other."""

    def say(one, other, testing=False):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        saver = WholeCheckpointer(tmp_path / "run" / "save", {}, one)
        saver.save_checkpoint({"error": 0.5})
        found = saver.list_checkpoints()
        try:
            other.refuse_others(tmp_path / "run", found, testing)
        except FocalAudioError as error:
            return str(error)
        return None

    return say


def changed(old, new):
    assert old in YAML
    return YAML.replace(old, new)


def test_the_same_settings_are_welcome(data, refusal):
    assert refusal(settle(data), settle(data)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("output_folder: out", "output_folder: elsewhere"),
        ("num_workers: 0", "num_workers: 4"),
        ("lr: 0.1", "lr: 1.0e-1"),
        ("seed: 1\n", "experiment_name: x\nseed: 1\n"),
        ("seed: 1\n", "classifier_from: null\nseed: 1\n"),
    ],
)
def test_what_changes_no_number_is_welcome(data, refusal, old, new):
    other = settle(data, changed(old, new))
    assert refusal(settle(data), other) is None


@pytest.mark.parametrize(
    ("was", "now"),
    [("snr: 0.0", "snr: null"), ("n_partners: 2", "n_partners: null")],
)
def test_null_is_what_stood_there_before_it_could_be(data, refusal, was, now):
    other, own = (settle(data, f"{YAML}{text}\n") for text in (was, now))
    assert refusal(other, own) is None
    assert refusal(own, other) is None
    another = settle(data, f"{YAML}{was.split(':')[0]}: 7\n")
    assert was.replace(":", " was") in refusal(other, another)
    assert " is 7" in refusal(own, another)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 1", "seed: 2", "seed was 1, is 2"),
        ("lr: 0.1", "lr: 0.2", "lr was 0.1, is 0.2"),
        ("null", "[32, 32]", "image_size was null, is [32, 32]"),
        ("[1, 2, 3]", "[1, 2]", "train_folds was [1, 2, 3], is [1, 2]"),
        ("lr: 0.1", "lr: 0.1\nnew: a", 'new was not set, is "a"'),
        (
            "lr: 0.1",
            "lr: 0.1\nclassifier_from: a:b",
            'classifier_from was not set, is "a:b"',
        ),
        (
            "    batch_size: 4",
            "    batch_size: 8",
            "loader.batch_size was not set, is 8",
        ),
        ("5.0", "1.0", "max_grad_norm was 5.0, is 1.0"),
    ],
)
def test_what_changes_a_number_is_named(data, refusal, old, new, said):
    message = refusal(settle(data), settle(data, changed(old, new)))
    assert f"with other settings: {said}. Give another" in message
    assert "\n" not in message


def test_a_folder_of_other_checks_is_refused(data, refusal):
    one, other = (
        settle(data, f"{YAML}checks: {checks}")
        for checks in ("[]", "[stability]")
    )
    assert refusal(one, one) is None
    assert 'checks was [], is ["stability"]' in refusal(one, other)


def test_several_changes_are_named_together(data, refusal):
    text = changed("lr: 0.1", "lr: 0.2").replace("seed: 1", "seed: 2")
    message = refusal(settle(data), settle(data, text))
    assert "lr was 0.1, is 0.2; seed was 1, is 2." in message


def test_options_of_the_command_line_count(data, refusal):
    other = settle(data, options=["--max_grad_norm", "1.0"])
    assert "max_grad_norm was 5.0, is 1.0" in refusal(settle(data), other)
    other = settle(data, options=["--precision", "bf16"])
    assert 'precision was "fp32", is "bf16"' in refusal(settle(data), other)
    other = settle(data, options=["--device", "cuda:1", "--noprogressbar"])
    assert refusal(settle(data), other) is None


def test_a_classifier_of_ones_own_is_what_it_answers(
    data, refusal, spectrogram
):
    """One of the same weights may read them otherwise."""
    net = torch.nn.Linear(1, 3)

    class Scaled(torch.nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.net, self.scale = net, scale

        def forward(self, wavs):
            return self.scale * self.net(wavs.abs().mean(1, keepdim=True))

    def own(scale):
        foreign = ForeignClassifier(Scaled(scale), 3, spectrogram)
        return settle(data, classifier=foreign)

    assert refusal(own(1.0), own(1.0)) is None
    assert "answers otherwise" in refusal(own(1.0), own(30.0))


def test_a_try_and_a_run_never_share_what_is_saved(data, refusal):
    run, tried = settle(data), settle(data, options=["--debug"])
    assert refusal(tried, tried) is None
    assert "debug was not set, is true" in refusal(run, tried)
    assert "debug was true, is not set" in refusal(tried, run)


def test_data_count_by_what_is_in_them(data, dataset, refusal, tmp_path):
    moved = shutil.copytree(dataset, tmp_path / "moved")
    assert refusal(settle(data), settle(open_esc50(moved, *FOLDS))) is None
    table = moved / "meta" / "esc50.csv"
    rows = pd.read_csv(table)
    name = rows["filename"][0]
    rows.loc[0, ["category", "target"]] = rows.loc[1, ["category", "target"]]
    before, after = (
        frame["category"][0] for frame in (pd.read_csv(table), rows)
    )
    rows.to_csv(table, index=False)
    message = refusal(settle(data), settle(open_esc50(moved, *FOLDS)))
    assert f"rows of meta/esc50.csv differ (1 of 15): {name!r}" in message
    assert f"was {before!r} in train, is {after!r} in train" in message


def test_a_clip_that_is_gone_is_named(data, dataset, refusal, tmp_path):
    smaller = shutil.copytree(dataset, tmp_path / "smaller")
    table = smaller / "meta" / "esc50.csv"
    rows = pd.read_csv(table)
    (smaller / "audio" / rows["filename"].iloc[-1]).unlink()
    rows[:-1].to_csv(table, index=False)
    message = refusal(settle(data), settle(open_esc50(smaller, *FOLDS)))
    assert f"{rows['filename'].iloc[-1]!r} was" in message
    assert "in test, is absent" in message


def test_order_of_the_rows_counts(data, dataset, refusal, tmp_path):
    turned = shutil.copytree(dataset, tmp_path / "turned")
    table = turned / "meta" / "esc50.csv"
    pd.read_csv(table)[::-1].to_csv(table, index=False)
    message = refusal(settle(data), settle(open_esc50(turned, *FOLDS)))
    assert "rows of meta/esc50.csv are in another order" in message


def test_folds_are_named_without_the_rows_that_follow(data, dataset, refusal):
    other = open_esc50(dataset, [1, 2], [4], [5])
    text = changed("[1, 2, 3]", "[1, 2]")
    message = refusal(settle(data), settle(other, text))
    assert "rows" not in message


def test_weights_count_by_what_is_in_them(data, refusal, tmp_path):
    layers = [torch.nn.Linear(2, 2) for _ in range(2)]
    one, other = (settle(data, classifier=layer) for layer in layers)
    assert refusal(one, one) is None
    assert "classifier has other weights" in refusal(one, other)
    assert one.content["classifier_digest"] == digest_weights(layers[0])
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, (b"1", b"1", b"2"), strict=True):
        path.write_bytes(content)
    one, same, other = (settle(data, pretrained=path) for path in paths)
    assert refusal(one, same) is None
    assert "pretrained has other weights" in refusal(one, other)
    assert "pretrained has other weights" in refusal(settle(data), one)


def test_what_trained_the_model_before_is_kept(data, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "7")
    (record,) = run.glob("save/*/settings.ckpt")
    before, last = fingerprint("a.wav", "sea"), fingerprint("b.wav", "dog")
    content = json.loads(record.read_text())
    content["rows"] = {"train": {"b.wav": "dog"}}
    record.write_text(json.dumps(content | {"trained_on_before": [before]}))
    settings = settle(data, pretrained=run)
    settings.save(record)
    assert read_trained_on(run) == TrainedOn(
        frozenset(fingerprint(*clip) for clip in data.rows["train"].items()),
        frozenset([before, last]),
    )


def test_what_a_person_marked_counts(data, refusal):
    def marked(end):
        rows = {"a": {"marked": [[0.5, end, 0.0, math.inf, 1]]}}
        return settle(data, clips=DynamicItemDataset(rows))

    assert refusal(marked(1.0), marked(1.0)) is None
    said = "annotations are others than then"
    assert said in refusal(marked(1.0), marked(2.0))
    assert said in refusal(settle(data), marked(2.0))
    assert refusal(settle(data), settle(data, clips=data.test)) is None


def test_a_judge_counts_by_its_weights_unless_it_is_the_classifier(
    data, refusal
):
    layers = [torch.nn.Linear(2, 2) for _ in range(3)]
    own, one, other = (
        settle(data, classifier=layers[0], judge=judge) for judge in layers
    )
    assert own.content == settle(data, classifier=layers[0]).content
    assert refusal(one, one) is None
    for pair in ((one, other), (own, one), (one, own)):
        assert "judge has other weights than then" in refusal(*pair)
    moved = settle(data, changed("lr: 0.1", "lr: 0.1\njudge: there"))
    assert refusal(settle(data), moved) is None


def test_number_of_processes_counts_where_something_is_trained(data, refusal):
    two = settle(data)
    two.content["values"]["processes"] = 2
    assert "processes was 2, is 1" in refusal(two, settle(data))
    assert refusal(two, settle(data), testing=True) is None


def test_nothing_is_refused_without_a_checkpoint(data, tmp_path):
    settle(data).refuse_others(tmp_path, [], testing=False)


def old_run(folder, text):
    saver = WholeCheckpointer(folder / "save", {})
    saver.save_checkpoint({"error": 0.5})
    (folder / "hyperparams.yaml").write_text(text)
    return saver.list_checkpoints()


def test_a_run_from_before_is_known_by_its_yaml(data, tmp_path):
    found = old_run(tmp_path, YAML + "gone: 5\n")
    settle(data).refuse_others(tmp_path, found, testing=False)
    other = settle(data, changed("lr: 0.1", "lr: 0.2"))
    with pytest.raises(FocalAudioError, match=r"lr was 0.1, is 0.2\. Give"):
        other.refuse_others(tmp_path, found, testing=False)


@pytest.mark.parametrize("text", ["a: [", "", "- 1"])
def test_checkpoints_of_nothing_known_are_refused(data, tmp_path, text):
    found = old_run(tmp_path, text)
    with pytest.raises(ModelError, match=r"hyperparams.yaml does not say what"):
        settle(data).refuse_others(tmp_path, found, testing=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"values": 1}'])
def test_damaged_settings_are_named(data, tmp_path, text):
    saver = WholeCheckpointer(tmp_path, {}, settle(data))
    path = saver.save_checkpoint({}).path / "settings.ckpt"
    path.write_text(text)
    with pytest.raises(ModelError, match="is damaged") as caught:
        settle(data).refuse_others(tmp_path, saver.list_checkpoints(), False)
    assert str(path) in str(caught.value)


def test_settings_are_plain_json_in_the_checkpoint(data, tmp_path):
    saver = WholeCheckpointer(tmp_path, {}, settle(data))
    path = saver.save_checkpoint({}).path
    saved = json.loads((path / "settings.ckpt").read_text())
    assert saved["values"]["lr"] == 0.1
    assert not {"net", "num_workers", "output_folder"} & set(saved["values"])
    assert [len(split) for split in saved["rows"].values()] == [9, 3, 3]
    assert saved["labels"] == data.labels


def test_a_checkpoint_without_settings_is_loaded(data, tmp_path):
    layer = torch.nn.Linear(2, 2)
    WholeCheckpointer(tmp_path, {"layer": layer}).save_checkpoint({})
    saver = WholeCheckpointer(tmp_path, {"layer": layer}, settle(data))
    with pytest.warns(UserWarning, match="settings"):
        assert saver.recover_if_possible() is not None
