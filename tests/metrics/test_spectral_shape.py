"""Laws of the distance between a clip's spectrum and what is usual."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.spectrogram import Spectrogram

RATE = 16000


@pytest.fixture(scope="module")
def look():
    return Spectrogram()


@pytest.fixture
def shape(look):
    """Of clips of noise, each as bright as it happens to be."""
    torch.manual_seed(0)
    wavs = torch.stack([color(8000) for _ in range(60)])
    shape = SpectralShape(n_bands=12)
    shape.fit(shape.describe(look(wavs)))
    return shape


def color(n_samples):
    """Noise whose spectrum falls or rises a little, from clip to clip."""
    spectrum = torch.fft.rfft(torch.randn(n_samples))
    tilt = torch.linspace(0, 1, len(spectrum)) * torch.randn(())
    return torch.fft.irfft(spectrum * tilt.exp(), n_samples)


def test_what_is_usual_is_near_and_what_is_not_is_far(shape, look):
    times = torch.arange(8000) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * times)
    near = shape(look(torch.stack([color(8000) for _ in range(20)])))
    clicks = torch.zeros(8000)
    clicks[::2000] = 1
    far = shape(look(torch.stack([tone, clicks])))
    assert far.min() > 2 * near.max()


def test_the_distance_is_that_of_numpy(shape, look):
    wavs = torch.stack([color(8000) for _ in range(40)])
    known = shape.describe(look(wavs)).double().numpy()
    other = SpectralShape(n_bands=12)
    other.fit(torch.from_numpy(known).float())
    covariance = np.cov(known.T, bias=True)
    shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / 24 * np.eye(24)
    away = known - known.mean(0)
    expected = np.einsum("ci,ij,cj->c", away, np.linalg.inv(shrunk), away)
    found = other.distance(torch.from_numpy(known).float())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


@pytest.fixture(scope="module")
def two():
    """Descriptions of two classes that differ, and of which class each is."""
    draw = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.2, 2, 24)
    first = torch.randn(30, 24, generator=draw) * spread
    second = torch.randn(20, 24, generator=draw) * spread.flip(0) + 3
    ids = torch.tensor([0] * 30 + [2] * 20)
    order = torch.randperm(50, generator=draw)
    return torch.cat((first, second))[order], ids[order]


def test_the_distance_to_a_class_is_that_of_numpy(two):
    """Half of its covariance is its own; the third class has no clips."""
    described, ids = two
    shape = SpectralShape(n_bands=12, n_classes=3)
    shape.fit(described, ids)
    known, which = described.double().numpy(), ids.numpy()
    means = {0: known[which == 0].mean(0), 2: known[which == 2].mean(0)}
    rest = known - np.stack([means[place] for place in which])
    within = rest.T @ rest / len(rest)
    means[1] = known.mean(0)
    for place in range(3):
        own = within
        if place != 1:
            own = np.cov(known[which == place].T, bias=True)
        covariance = (own + within) / 2
        sphere = np.trace(covariance) / 24 * np.eye(24)
        away = known - means[place]
        inverse = np.linalg.inv(0.9 * covariance + 0.1 * sphere)
        expected = np.einsum("ci,ij,cj->c", away, inverse, away)
        found = shape.distance(described, torch.full((50,), place))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


def test_each_clip_is_asked_about_its_own_class(two):
    described, ids = two
    shape = SpectralShape(n_bands=12, n_classes=3)
    shape.fit(described, ids)
    together = shape.distance(described, ids)
    alone = [
        shape.distance(row[None], own[None])
        for row, own in zip(described, ids, strict=True)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert (shape.distance(described, 2 - ids) > together).all()


def test_of_several_classes_one_must_be_meant(two):
    described, _ = two
    shape = SpectralShape(n_bands=12, n_classes=3)
    for call in (shape.fit, shape.distance):
        with pytest.raises(ValueError, match="which of 3 classes is meant"):
            call(described)


def test_of_one_gaussian_the_class_does_not_matter(two):
    described, ids = two
    shape = SpectralShape(n_bands=12)
    shape.fit(described, ids)
    expected = shape.distance(described)
    assert torch.equal(shape.distance(described, ids), expected)


@pytest.mark.parametrize("level", [1e-4, 0.1, 10.0])
def test_the_level_does_not_matter(level, shape, look):
    wavs = torch.stack([color(8000) for _ in range(4)])
    torch.testing.assert_close(
        shape.describe(look(level * wavs)),
        shape.describe(look(wavs)),
        rtol=1e-3,
        atol=1e-3,
    )


def test_neighbors_and_padding_do_not_matter(shape, look):
    long, short = color(8000), color(5000)
    padded = torch.stack([long, torch.cat([short, torch.zeros(3000)])])
    together = shape(look(padded, torch.tensor([1.0, 5000 / 8000])))
    torch.testing.assert_close(together[:1], shape(look(long[None])))
    torch.testing.assert_close(
        together[1:], shape(look(short[None])), rtol=1e-3, atol=1e-3
    )


def test_silence_and_a_single_frame_are_finite(shape, look):
    for n_samples in (1, 100, 8000):
        assert shape(look(torch.zeros(1, n_samples))).isfinite().all()
        assert shape(look(torch.ones(1, n_samples))).isfinite().all()


def test_pauses_do_not_count(shape, look):
    """A sound between two pauses is described as it is without them."""
    wav = color(16000)
    quiet = torch.zeros(40 * 186)  # frames
    found = shape.describe(look(torch.cat([quiet, wav, quiet])[None]))
    torch.testing.assert_close(
        found, shape.describe(look(wav[None])), rtol=0.1, atol=0.1
    )


def test_low_precision_around_it_changes_nothing(shape, look):
    spectrum = look(color(8000)[None])
    with torch.autocast("cpu", torch.bfloat16):
        found = shape(spectrum)
    torch.testing.assert_close(found, shape(spectrum))
    half = replace(spectrum, log_magnitude=spectrum.log_magnitude.bfloat16())
    assert shape(half).dtype == torch.float32
    torch.testing.assert_close(shape(half), shape(spectrum), rtol=0.1, atol=1)


def test_the_distance_is_the_same_in_every_batch(shape, look):
    """To the last bit, as long as the spectra are."""
    described = shape.describe(
        look(torch.stack([color(8000) for _ in range(9)]))
    )
    together = shape.distance(described)
    alone = [shape.distance(row[None]) for row in described]
    assert torch.equal(together, torch.cat(alone))


def test_of_one_clip_or_of_equal_ones_others_are_far(look):
    clip, other = (SpectralShape(n_bands=12).describe(look(color(8000)[None]))
                   for _ in range(2))  # fmt: skip
    for count in (1, 5):
        shape = SpectralShape(n_bands=12)
        shape.fit(clip.expand(count, -1))
        near, far = shape.distance(torch.cat([clip, other]))
        assert near < 1e-3 < far < 1e8


def test_a_click_at_the_end_rings_on_in_no_frame_of_the_clip(shape, look):
    """The padding has the loudest frame; it says nothing of a clip's bands."""
    wav = 0.02 * torch.sin(torch.arange(8180) / 10)
    wav[-40:] += torch.randn(40)
    padded = torch.stack(
        (torch.cat((wav, torch.zeros(7820))), torch.rand(16000))
    )
    lens = torch.tensor([8180 / 16000, 1.0])
    alone = shape.describe(look(wav[None]))
    both = shape.describe(look(padded, lens))
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-4)
