"""Fixtures that the tests share: tones, a tiny classifier, a finished run."""

import ipaddress
import json
import logging
import math
import shutil
import socket
import sys
from pathlib import Path

import hypothesis
import pytest
import torch
import yaml
from speechbrain.utils.importutils import LazyModule
from torch import nn

from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader, encode_labels
from focalaudio.data.synthetic import write_dataset
from focalaudio.encoders import build_encoder
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.interpreters.decoders import LMACDecoder
from focalaudio.interpreters.piq import build_decoder
from focalaudio.models import Explanation, SoundModel
from focalaudio.models.export import export_run
from focalaudio.models.run import save_decoder, save_model
from focalaudio.spectrogram import Spectrogram

# its lines of debugging name files as they are, and what is no text cannot be
# sent from a worker to the test run
logging.getLogger("filelock").setLevel(logging.WARNING)

# Hypothesis asks every loaded module for its file. SpeechBrain's placeholders
# of moved modules would import optional packages to answer, and fail.
for _module in list(sys.modules.values()):
    if isinstance(_module, LazyModule):
        _module.__file__ = None


# The same examples in every run, however slow the machine is.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile("fixed")


ROOT = Path(__file__).parents[1]


def make_clone(folder):
    """Make what commands of pages expect of a clone, after `make setup`."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("focalaudio", "recipes", "hparams"):
        (folder / name).symlink_to(ROOT / name)
    for name, start in (("python", ""), ("focalaudio", "-m focalaudio ")):
        shim = tools / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start}"$@"\n')
        shim.chmod(0o755)
    (tools / "activate").write_text(f'PATH="{tools}:$PATH"\n')
    return folder


@pytest.fixture(scope="session")
def clone():
    """`clone(folder)` makes a clone of links there."""
    return make_clone


class NetworkError(BaseException):
    """No `except` of the package takes it for a network that is down."""


def is_here(address):
    """Whether an address is of this machine; names are not asked about."""
    if not isinstance(address, tuple):  # a path
        return True
    host = address[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _loopback_only():
    """Nothing needs the network: only this machine can be talked to."""
    patched = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patched.setattr(socket.socket, name, guard(name))
    yield
    patched.undo()


def guard(name):
    inner = getattr(socket.socket, name)

    def connect(self, *args):
        if not is_here(args[-1]):
            raise NetworkError(f"{name} to {args[-1]}")
        return inner(self, *args)

    return connect


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="cpu", help="where the tests run, such as cuda:0"
    )


@pytest.fixture(autouse=True)
def _same_seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def device(pytestconfig):
    return torch.device(pytestconfig.getoption("--device"))


def sine(frequency, samples, sample_rate=16000):
    """A sine of peak 0.5, `[samples]`; frequency in Hz."""
    seconds = torch.arange(samples, dtype=torch.double) / sample_rate
    return (0.5 * torch.sin(2 * math.pi * frequency * seconds)).float()


@pytest.fixture
def tone(device):
    """One second of 1 kHz at 16 kHz, `[1, 16000]`."""
    return sine(1000, 16000).to(device)[None]


@pytest.fixture
def two_tones(device):
    """Half a second of 1 kHz, then half a second of 4 kHz, `[1, 16000]`."""
    return torch.cat((sine(1000, 8000), sine(4000, 8000))).to(device)[None]


@pytest.fixture
def spectrogram(device):
    """The default analysis: 372 samples of window, 186 of hop."""
    return Spectrogram().to(device)


@pytest.fixture
def classifier(device):
    """A tiny FocalNet of five classes, in evaluation mode.

    Its weights are spread as wide as their fan-in allows: with the small ones
    that training starts from, every input looks alike.
    """
    classifier = SoundClassifier(build_encoder("focalnet_test"), 5)
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5)
    return classifier.eval().to(device)


@pytest.fixture
def uneven(device):
    """Four clips from 1 sample to 3001, padded with zeros; lens and samples."""
    n_samples = torch.tensor([3001, 1, 200, 1500], device=device)
    wavs = torch.rand(4, 3001, device=device) - 0.5
    wavs *= torch.arange(3001, device=device) < n_samples[:, None]
    return wavs, n_samples / 3001, n_samples


CLASSES = ["siren", "bell", "cricket"]
RUN = {
    "seed": 7,
    "lr": 0.01,
    "clip_seconds": 1.0,
    "encoder_name": "focalnet_test",
    "select_by": "error",
    "train_folds": [1, 2, 3],
    "valid_folds": [4],
    "test_folds": [5],
    "number_of_epochs": 3,
}
SELECTED = {"select_by": "score"}
DECODER = {"width": 16, "n_doublings": 1}


def spread(module):
    """Weights so wide that inputs do not look alike."""
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5)
    return module


def write_run(folder, modules, values, meta, settings=()):
    """What training leaves, as far as it is read."""
    saver = WholeCheckpointer(folder / "save", modules)
    checkpoint = saver.save_checkpoint(meta)
    text = yaml.safe_dump(values)
    (folder / "hyperparams.yaml").write_text(text, encoding="utf-8")
    text = json.dumps(dict(settings))
    (checkpoint.path / "settings.ckpt").write_text(text, encoding="utf-8")
    return folder


def write_classifier_run(folder, classifier, labels, values, **explanation):
    """A finished run of a classifier."""
    reader = ClipReader(16000, values["clip_seconds"])
    own = Explanation(**explanation)
    model = SoundModel(classifier, Spectrogram(), reader, labels, own)
    save_model(model, folder)
    encode_labels(labels).save(str(folder / "save" / "label_encoder.txt"))
    return write_run(folder, {"classifier": classifier}, values, {"error": 0.5})


@pytest.fixture(scope="session", name="write_classifier_run")
def _write_classifier_run():
    return write_classifier_run


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Three classes, five folds, one clip of 1.25 s in each."""
    folder = tmp_path_factory.mktemp("dataset") / "sounds"
    return write_dataset(
        folder, clips_per_class=5, seed=0, seconds=1.25, classes=CLASSES
    )


def make_classifier(n_classes=3):
    torch.manual_seed(1)
    encoder = build_encoder("focalnet_test", in_channels=1)
    kwargs = {"head": "cosine", "scale": 7.0, "image_size": (32, 48)}
    return spread(SoundClassifier(encoder, n_classes, **kwargs))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, dataset):
    """A finished run on that data, evaluated: three clips, two right."""
    folder = tmp_path_factory.mktemp("runs") / "classifier" / "7"
    clips = sorted(path.stem for path in (dataset / "audio").glob("5-*.wav"))
    folder.mkdir(parents=True)
    rows = ["clip_id,label,predicted,correct,loss"]
    rows += [f"{c},a,b,{float(i > 0)},0.5" for i, c in enumerate(clips)]
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    metrics = {"n_clips": 3, "accuracy": 2 / 3, "loss": 0.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    values = RUN | {"data_folder": str(dataset)}
    return write_classifier_run(folder, make_classifier(), CLASSES, values)


@pytest.fixture(scope="session")
def finished_piq(tmp_path_factory):
    """A finished run of PIQ on that classifier."""
    torch.manual_seed(2)
    decoder = build_decoder("light", make_classifier(), 12, 0, DECODER)
    return write_decoder_run(tmp_path_factory, "piq", spread(decoder))


@pytest.fixture(scope="session")
def finished_lmac(tmp_path_factory):
    """A finished run of L-MAC on that classifier."""
    torch.manual_seed(3)
    n_features = make_classifier().encoder.n_features
    decoder = LMACDecoder(n_features, 3, **DECODER)
    return write_decoder_run(tmp_path_factory, "lmac", spread(decoder))


def write_decoder_run(tmp_path_factory, method, decoder):
    folder = tmp_path_factory.mktemp("runs") / method / "7"
    save_decoder(method, decoder, folder)
    settings = {"classifier_digest": digest_weights(make_classifier())}
    return write_run(
        folder, {"decoder": decoder}, SELECTED, {"score": 0.5}, settings
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory, finished, finished_piq, finished_lmac):
    """The bundle of all three; read-only."""
    out = tmp_path_factory.mktemp("bundles") / "made" / "bundle"
    return export_run(
        finished, out, {"piq": finished_piq, "lmac": finished_lmac}
    )


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy of the bundle, to be spoiled."""
    return shutil.copytree(exported, tmp_path / "bundle")
