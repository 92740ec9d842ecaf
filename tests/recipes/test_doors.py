"""One model, one explanation, whichever door it is asked for at."""

import json

import pytest
import torch

from focalaudio import SoundInterpreter
from focalaudio.audio import load_wav
from focalaudio.cli import main

PYRAMID = {
    "encoder_name": "focalnet_test_pyramid",
    "clip_seconds": 1.0,
    "image_size": [32, 32],
    "batch_size": 4,
    "number_of_epochs": 1,
    "warmup_epochs": 0,
}


@pytest.fixture(scope="module")
def pyramid(recipe, dataset, tmp_path_factory):
    """A finished run whose cells were trained."""
    out = tmp_path_factory.mktemp("pyramid")
    recipe("train_classifier", out, data_folder=dataset, **PYRAMID)
    return out


def relative(folder, stem):
    """The kept sound, where the loudest of the input is 1."""
    sounds = (load_wav(folder / f"{stem}_{n}.wav") for n in ("input", "kept"))
    whole, kept = sounds
    return kept / whole.abs().max()


def test_every_door_gives_the_same_map(recipe, dataset, pyramid, tmp_path):
    recipe("interpret", tmp_path / "i", data_folder=dataset, classifier=pyramid)
    settings = json.loads((tmp_path / "i" / "metrics.json").read_text())
    assert settings["maps"] == ["class_share", "loudness"]

    clip = min((dataset / "audio").glob("5-*.wav"))
    out = tmp_path / "explained"
    command = ["explain", str(clip), "--model", str(pyramid), "--out", str(out)]
    assert main(command) == 0
    torch.testing.assert_close(
        relative(out, clip.stem),
        relative(tmp_path / "i" / "interpretations", clip.stem),
        atol=1e-4,  # steps of 16 bits
        rtol=0,
    )

    python = SoundInterpreter.from_hparams(pyramid)
    found = python.explain_file(clip)
    kept = found.wavs[0] / load_wav(clip).abs().max()
    torch.testing.assert_close(
        relative(out, clip.stem), kept, atol=1e-4, rtol=0
    )

    bundle = tmp_path / "bundle"
    assert main(["export", str(pyramid), "--out", str(bundle)]) == 0
    theirs = SoundInterpreter.from_hparams(bundle).explain_file(clip)
    assert torch.equal(found.mask, theirs.mask)
    assert torch.equal(found.saliency, theirs.saliency)
    named = python.explain_file(clip, maps=["class_share", "loudness"])
    assert torch.equal(found.mask, named.mask)
    last = python.explain_file(clip, maps="top_down")
    assert not torch.equal(found.mask, last.mask)
