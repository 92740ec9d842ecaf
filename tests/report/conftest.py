"""Clips of a page that cost nothing to make: two tones and a mask."""

import math

import pytest
import torch

from focalaudio.report.page import Page, PageClip, View
from focalaudio.spectrogram import Spectrogram

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "\"'`&amp;<!--<script>",
    "dog\u202egnikrab\u2066",
    "line\nbreak\r\ttab\x1b[2J\u2028\u2029",
    "{{ 7 * 7 }}{% raw %}",
    "🐕 狗 كلب ../../x",
)


def make_wav(number, samples=16000):
    """A low and a high tone, `[samples]`, at 16 kHz."""
    seconds = torch.arange(samples).double() / 16000
    low, high = (
        torch.sin(2 * math.pi * pitch * seconds)
        for pitch in (300 + 50 * number, 5000)
    )
    return (0.4 * low + 0.2 * high).float()


def make_view(wav, explained, quantile, method="stage_3", scores=None):
    """A mask of the low or the high tone, and the sound of it."""
    spectrogram = Spectrogram()
    spectrum = spectrogram(wav[None])
    saliency = spectrum.log_magnitude[0].clone()
    bins = torch.arange(saliency.shape[1])
    saliency[:, bins < 128 if explained == "high" else bins >= 128] = 0
    mask = saliency >= saliency.flatten().quantile(quantile)
    mask &= saliency > 0
    stft = spectrum.stft * mask[None, :, :, None]
    kept = spectrogram.invert(stft, spectrum.n_samples)[0]
    scores = scores or {
        "probability": 0.93,
        "kept_probability": 0.95,
        "removed_probability": 0.12,
        "faithfulness": 0.81,
    }
    parts = saliency, mask, kept, wav - kept
    return View(explained, method, quantile, *parts, scores)


def make_clip(
    number=0, clip_id=None, label="low", predicted="low", methods=("stage_3",)
):
    """Views of two classes at two quantiles, by every method."""
    wav = make_wav(number)
    views = [
        make_view(wav, explained, quantile, method)
        for method in methods
        for explained in ("low", "high")
        for quantile in (0.9, 0.5)
    ]
    other = "high" if predicted == "low" else "low"
    return PageClip(
        clip_id or f"clip{number}",
        label,
        [(predicted, 0.93), (other, 0.07)],
        wav,
        Spectrogram()(wav[None]).log_magnitude[0],
        views,
        ["Low energy: there is hardly anything to hear."] if number else [],
    )


def make_rows(clips, faithfulness=0.5):
    return [
        {
            "clip_id": clip.clip_id,
            "label": clip.label,
            "predicted": clip.predicted,
            "probability": 0.93,
            "accuracy": float(clip.label == clip.predicted),
            "faithfulness": faithfulness / (1 + number),
            "fidelity": 1.0,
        }
        for number, clip in enumerate(clips)
    ]


@pytest.fixture(scope="session")
def clip():
    return make_clip()


@pytest.fixture(scope="session")
def clips():
    """Three clips; the last is wrong."""
    return [make_clip(0), make_clip(1), make_clip(2, label="high")]


@pytest.fixture(scope="session")
def page(clips):
    rows = make_rows(clips)
    return Page(
        "Two tones",
        ["low", "high"],
        {
            "stage_3, quantile 0.9": rows,
            "stage_3, quantile 0.5": make_rows(clips, 0.2),
            "random, quantile 0.9": make_rows(clips, 0.0),
        },
        {"quantile": 0.9},
    )


@pytest.fixture(scope="session", name="make_clip")
def _make_clip():
    return make_clip


@pytest.fixture(scope="session", name="make_rows")
def _make_rows():
    return make_rows


@pytest.fixture(scope="session")
def hostile():
    return HOSTILE
