"""Fixtures that the tests share: a seed, a device, tones, a tiny classifier."""

import math
import sys

import pytest
import torch
from speechbrain.utils.importutils import LazyModule
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.spectrogram import Spectrogram

# Hypothesis asks every loaded module for its file. SpeechBrain's placeholders
# of moved modules would import optional packages to answer, and fail.
for _module in list(sys.modules.values()):
    if isinstance(_module, LazyModule):
        _module.__file__ = None


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
