"""Laws of waveforms: channels, rates, lengths and levels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchaudio.functional import resample as torchaudio_resample

from focalaudio import waveforms
from focalaudio.errors import AudioError
from focalaudio.waveforms import (
    check_finite,
    check_peak,
    check_whole,
    common_gain,
    fit_length,
    is_silent,
    mix_to_mono,
    normalize_peak,
    resample,
)

RATE = 16000


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 1.8 - 0.9


def tone(frequency, rate, seconds=0.5):
    time = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * frequency * time).float()


# Channels


def test_mono_is_the_mean_of_the_channels():
    wav = noise(500)
    torch.testing.assert_close(mix_to_mono(wav.repeat(5, 1)), wav)
    torch.testing.assert_close(mix_to_mono(torch.stack([wav, -wav])), wav * 0)
    assert mix_to_mono(noise(3, 2, 10)).shape == (3, 10)


def test_mono_needs_channels():
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        mix_to_mono(noise(5))


# Rates


@pytest.mark.parametrize("rate", [8000, 44_100, 44_101, 96_000])
def test_tone_keeps_its_frequency_and_level(rate):
    expected = tone(440, RATE)
    wav = resample(tone(440, rate), rate, RATE)
    assert wav.shape == expected.shape
    inner = slice(200, -200)
    torch.testing.assert_close(wav[inner], expected[inner], atol=0.01, rtol=0)


@pytest.mark.parametrize("rate", [44_100, 44_101])
def test_tone_above_the_new_limit_is_gone(rate):
    wav = resample(tone(12_000, rate), rate, RATE)
    assert wav[200:-200].abs().max() < 0.02


@pytest.mark.parametrize(
    ("from_rate", "to_rate"),
    [(44_100, 16_000), (16_000, 44_100), (8000, 16_000), (48_000, 11_025)],
)
def test_both_ways_to_resample_agree_with_torchaudio(
    from_rate, to_rate, monkeypatch
):
    wavs = noise(2, 3, 999).double()
    expected = torchaudio_resample(wavs, from_rate, to_rate)
    banked = resample(wavs, from_rate, to_rate)
    torch.testing.assert_close(banked, expected, atol=1e-9, rtol=0)
    monkeypatch.setattr(waveforms, "MAX_BANK", 0)
    monkeypatch.setattr(waveforms, "BLOCK_VALUES", 5000)
    direct = resample(wavs, from_rate, to_rate)
    torch.testing.assert_close(direct, expected, atol=1e-9, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300), st.integers(1000, 200_000), st.integers(1000, 50_000)
)
def test_resampled_length_is_rounded_up(n_samples, from_rate, to_rate):
    wavs = resample(torch.zeros(2, n_samples), from_rate, to_rate)
    length = -(-n_samples * to_rate // from_rate)
    assert wavs.shape == (2, length)


def test_same_rate_returns_the_input():
    wav = noise(100)
    assert resample(wav, RATE, RATE) is wav


@pytest.mark.parametrize("rates", [(0, 1), (1, -1), (1.5, 2)])
def test_rates_are_whole_and_positive(rates):
    with pytest.raises(ValueError, match="_rate=.* must be a whole number"):
        resample(noise(10), *rates)


# Lengths


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25])
def test_length_is_fitted_at_the_end(length):
    wavs = noise(2, 10)
    fitted = fit_length(wavs, length)
    assert fitted.shape == (2, length)
    assert torch.equal(fitted[:, :10], wavs[:, :length])
    assert not fitted[:, 10:].any()


def test_length_is_not_negative():
    with pytest.raises(ValueError, match="n_samples=-1"):
        fit_length(noise(5), -1)


def test_whole_numbers_include_both_ends():
    for value in (2, 5, np.int64(3)):
        check_whole("count", value, 2, 5)
    for value in (1, 6, 3.0):
        with pytest.raises(ValueError, match=f"count={value} must .* 2 to 5"):
            check_whole("count", value, 2, 5)


# Levels

LOUD = arrays.arrays(
    np.float32,
    st.integers(1, 20),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)


def test_peak_is_one_per_clip_with_its_sign():
    wavs = noise(4, 300) * torch.tensor([[1e-30], [1.0], [-1e20], [0.0]])
    normal = normalize_peak(wavs)
    assert normal.abs().amax(-1).tolist() == [1, 1, 1, 0]
    assert torch.equal(normal.sign(), wavs.sign())
    torch.testing.assert_close(normal[1], normalize_peak(wavs[1] * 7))
    assert normalize_peak(torch.tensor([0.1, -0.5]))[1] == -1
    assert normalize_peak(torch.zeros(2, 0)).shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(LOUD, LOUD)
@example(np.float32([3.3e38, 1]), np.float32([-3.3e38]))
def test_common_gain_fits_all_and_raises_none(first, second):
    wavs = [torch.from_numpy(first), torch.from_numpy(second)]
    gain = common_gain(*wavs)
    assert 0 < gain <= 1
    peak = max(np.abs(first).max(), np.abs(second).max())
    assert gain == (1 if peak <= 1 else pytest.approx(1 / float(peak)))
    for wav in wavs:
        check_peak(wav.double() * gain, "wav")


def test_common_gain_of_nothing_or_silence_is_one():
    assert common_gain() == common_gain(torch.zeros(3), noise(0)) == 1
    with pytest.raises(AudioError, match=r"wavs\[1\] holds 1 NaN"):
        common_gain(noise(3), torch.tensor([math.nan]))


def test_peak_of_one_fits_and_no_more():
    check_peak(torch.zeros(0), "wav")
    check_peak(torch.tensor([[1.0, -1.0]]), "wav")
    with pytest.raises(AudioError, match="wav has peak=1.5,"):
        check_peak(torch.tensor([[0.0, -1.5]]), "wav")


def test_finite_check_places_the_first_in_time():
    wavs = torch.zeros(3, 100)
    check_finite(wavs, "wavs")
    check_finite(wavs[:, :0], "wavs")
    wavs[0, 90], wavs[2, 40] = math.nan, -math.inf
    with pytest.raises(AudioError, match="wavs holds 2 .* 300, .* sample 1040"):
        check_finite(wavs, "wavs", first=1000)


@pytest.mark.parametrize("offset", [0.0, 0.5, -1.0])
def test_silence_is_what_never_leaves_its_mean(offset):
    step = 2**-15
    wav = torch.full((1000,), offset, dtype=torch.double)
    assert is_silent(wav)
    wav[500] += step
    assert is_silent(wav)
    wav[500] += max(step, abs(offset) / 1000)
    assert not is_silent(wav)
    assert is_silent(torch.empty(0))
    assert is_silent(wav[:1])


@pytest.mark.parametrize(
    "rate", [1000, 8000, 11025, 22050, 44100, 44101, 48000, 192000]
)
@pytest.mark.parametrize("level", [0.0, 0.002, 0.5, -0.9])
def test_a_constant_is_silent_at_any_rate(rate, level):
    wav = resample(torch.full((2 * rate,), level), rate, RATE)
    assert is_silent(wav)
    for part in wav.split(RATE // 2):
        assert is_silent(part)
    for place, louder in ((0, 2.1 * abs(level)), (RATE, 1.001 * abs(level))):
        click = wav.clone()
        click[place] = math.copysign(louder + 1e-4, level)
        assert not is_silent(click)
