"""A finished run, and the bundle that the command makes of it."""

import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.classifier import SoundClassifier
from focalaudio.cli import main
from focalaudio.encoders import build_encoder
from focalaudio.models import export

VALUES = {
    "clip_seconds": 0.5,
    "encoder_name": "focalnet_test",
    "select_by": "error",
}


@pytest.fixture(scope="session")
def run(tmp_path_factory, write_classifier_run):
    """What training leaves, as far as it is read; labels are dog and rain."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "classifier" / "1"
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 2, "linear", image_size=(32, 32))
    return write_classifier_run(folder, classifier, ["dog", "rain"], VALUES)


@pytest.fixture(scope="session")
def made(run, tmp_path_factory):
    """A bundle made by the command."""
    out = tmp_path_factory.mktemp("bundles") / "made"
    assert main(["export", str(run), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """Two sounds of one name in two folders."""
    folder = tmp_path_factory.mktemp("sounds")
    torch.manual_seed(0)
    return [
        write_wav(
            folder / name / "a.wav", 0.1 * torch.randn(n).clamp(-9, 9), 16000
        )
        for name, n in (("one", 8000), ("two", 6000))
    ]


@pytest.fixture
def fast(monkeypatch):
    """Skip the picture and the reading back, which have tests of their own."""
    monkeypatch.setattr(export, "_write_example", lambda *arguments: None)
    monkeypatch.setattr(export, "_check_answers", lambda *arguments: None)
