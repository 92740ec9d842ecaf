"""Laws of focalaudio.mel: bands are even on the mel scale."""

import math

import pytest
import torch

from focalaudio.mel import MelAxis


def test_bands_are_even_on_the_mel_scale_and_see_every_bin():
    axis = MelAxis(40, sample_rate=16000, n_fft=1024, lowest=50.0)
    mels = 2595 * (1 + axis.centers.double() / 700).log10()
    steps = mels.diff()
    torch.testing.assert_close(
        steps, steps.mean().expand_as(steps), rtol=1e-4, atol=0
    )
    ends = 2595 * math.log10(1 + 50 / 700), 2595 * math.log10(1 + 8000 / 700)
    assert mels[0] - ends[0] == pytest.approx(steps[0].item(), rel=1e-4)
    assert ends[1] - mels[-1] == pytest.approx(steps[0].item(), rel=1e-4)
    inside = torch.arange(513) * 15.625
    inside = (inside > 50) & (inside < 8000)
    assert (axis.bands.sum(1)[inside] > 0).all()


def test_a_tone_is_brightest_in_the_band_of_its_frequency():
    axis = MelAxis(40, sample_rate=16000, n_fft=1024)
    for hertz in (250, 1000, 4000):
        tone = torch.zeros(513)
        tone[round(hertz / 15.625)] = 1
        band = axis.to_bands(tone).argmax()
        assert band == (axis.centers - hertz).abs().argmin()
        assert abs(axis.to_bins(axis.to_bands(tone)).argmax() * 15.625
                   - axis.centers[band]) < 16  # fmt: skip


def test_what_is_linear_in_frequency_comes_back():
    """Bands are means around centers, and lines are drawn between them."""
    axis = MelAxis(64, sample_rate=16000, n_fft=1024)
    ramp = torch.arange(513) * 15.625
    back = axis.to_bins(axis.to_bands(ramp))
    inside = (ramp > axis.centers[1]) & (ramp < axis.centers[-2])
    # triangles lean to the wider side, by less than a sixth of their width
    assert ((back - ramp)[inside].abs() < 30).all()


def test_bands_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"lowest=9000.0 Hz"):
        MelAxis(8, lowest=9000.0)
    with pytest.raises(ValueError, match="n_bands=1"):
        MelAxis(1)
