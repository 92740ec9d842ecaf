"""A foreign model goes through the same commands as ours, by one option."""

import json

import pandas as pd
import pytest
import torch

from focalaudio.cli import main
from focalaudio.errors import ModelError
from focalaudio.models import load_model
from focalaudio.models.export import export_run

CHOICE = {
    "method": "saliency",
    "mask": "binary",
    "compare": "[{method: random}, {method: loudest}]",
    "curve_steps": 2,
    "checks": "[infidelity, bands]",
    "max_clips": 1,
}
MAKER = """
import torch

from focalaudio import SoundInterpreter
from focalaudio.models import load_model
from focalaudio.spectrogram import power_spectrum

model = load_model({run!r})


def by_stft(stft):
    power = power_spectrum(torch.view_as_real(stft))
    return model.classifier((power + 1e-14).sqrt().log1p()).logits


def by_sound(wavs):
    spectrum = model.spectrogram(wavs)
    return model.classifier(spectrum.log_magnitude).logits


def wrap(classify, **options):
    return SoundInterpreter.from_classifier(
        classify, model.labels, 16000, clip_seconds=1.0, scale_peak=True,
        **options
    )


def copy():
    return wrap(by_stft, takes="stft")


def sound():
    return wrap(by_sound)


def nothing():
    return 3
"""


@pytest.fixture(scope="module")
def maker(trained, tmp_path_factory):
    """A Python file of the user's own."""
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(MAKER.format(run=str(trained)))
    return path


def test_scores_of_a_foreign_copy_are_the_models_own(
    recipe, dataset, trained, maker, tmp_path
):
    tables = []
    for name, choice in (
        ("own", {"classifier": trained}),
        ("foreign", {"classifier_from": f"{maker}:copy"}),
    ):
        folder = recipe(
            "interpret",
            tmp_path / name,
            data_folder=dataset,
            **choice,
            **CHOICE,
        )
        tables.append(pd.read_csv(folder / "clips.csv").set_index("clip_id"))
        assert list((folder / "interpretations").glob("*.png"))
        assert "random" in (folder / "comparison.csv").read_text()
    own, foreign = tables
    assert {"fidelity", "faithfulness", "insertion", "infidelity"} <= set(own)
    pd.testing.assert_frame_equal(
        foreign, own, check_exact=False, atol=1e-4, rtol=1e-4
    )


def test_lmac_is_trained_and_tested_on_what_only_hears(
    recipe, dataset, maker, tmp_path
):
    choice = {"data_folder": dataset, "classifier_from": f"{maker}:sound"}
    quick = {"number_of_epochs": 1, "warmup_epochs": 0, "batch_size": 4}
    lmac = recipe("train_lmac", tmp_path / "lmac", **choice, **quick)
    folder = recipe(
        "interpret", tmp_path / "out", **choice, method="lmac", lmac=lmac
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["decoder"] == "SpectrogramDecoder"
    assert metrics["n_clips"] == 3


def test_the_command_explains_with_it(maker, dataset, tmp_path, capsys):
    clip = str(sorted((dataset / "audio").glob("5-*.wav"))[0])
    choice = ["--classifier_from", f"{maker}:sound", "--method", "loudest"]
    out = tmp_path / "out"
    assert main(["explain", clip, *choice, "--out", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 1


def test_an_encoder_of_timm_trains_and_is_published(recipe, dataset, tmp_path):
    folder = recipe(
        "train_classifier",
        tmp_path / "run",
        data_folder=dataset,
        encoder_name="timm:test_convnext",
        number_of_epochs=1,
        warmup_epochs=0,
    )
    bundle = export_run(folder, tmp_path / "bundle")
    clip = torch.rand(1, 40, 513)
    ours, theirs = load_model(folder), load_model(bundle)
    assert ours.explanation.maps == ["class_probability"]
    with torch.no_grad():
        expected = ours.classifier(clip).logits
        torch.testing.assert_close(theirs.classifier(clip).logits, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned an int; it must return what"),
        ("missing", "has no function missing"),
    ],
)
def test_a_function_that_will_not_do_is_one_line(
    recipe, dataset, maker, tmp_path, name, message
):
    with pytest.raises(ModelError, match=message):
        recipe(
            "interpret", tmp_path / "out", data_folder=dataset,
            classifier_from=f"{maker}:{name}",
        )  # fmt: skip


def test_one_model_is_given_not_two_and_not_none(
    recipe, dataset, trained, maker, tmp_path
):
    both = {"classifier": trained, "classifier_from": f"{maker}:copy"}
    for choice in ({}, both):
        with pytest.raises(ValueError, match="give exactly one"):
            recipe("interpret", tmp_path / "o", data_folder=dataset, **choice)
    with pytest.raises(ValueError, match="must be module:function"):
        recipe(
            "interpret", tmp_path / "o", data_folder=dataset,
            classifier_from="mine",
        )  # fmt: skip
    with pytest.raises(ModelError, match="no module 'not_there'"):
        recipe(
            "interpret", tmp_path / "o", data_folder=dataset,
            classifier_from="not_there:make",
        )  # fmt: skip
