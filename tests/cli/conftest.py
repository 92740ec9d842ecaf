"""A finished run, and the bundle that the command makes of it."""

import pytest
import torch
import yaml

from focalaudio.audio import write_wav
from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.classifier import SoundClassifier
from focalaudio.cli import main
from focalaudio.data.pipelines import encode_labels
from focalaudio.encoders import build_encoder

VALUES = {
    "sample_rate": 16000,
    "n_fft": 1024,
    "win_length": 23.2199,
    "hop_length": 11.6099,
    "clip_seconds": 0.5,
    "encoder_name": "focalnet_test",
    "in_channels": 1,
    "head": "linear",
    "logit_scale": 1.0,
    "image_size": [32, 32],
    "select_by": "error",
}


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """What training leaves, as far as it is read; labels are dog and rain."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "classifier" / "1"
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 2, "linear", image_size=(32, 32))
    WholeCheckpointer(
        folder / "save", {"classifier": classifier}
    ).save_checkpoint({"error": 0.5})
    encode_labels(["dog", "rain"]).save(
        str(folder / "save" / "label_encoder.txt")
    )
    (folder / "hyperparams.yaml").write_text(yaml.safe_dump(VALUES))
    return folder


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
