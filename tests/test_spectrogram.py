"""Laws of focalaudio.spectrogram: analysis, and synthesis that undoes it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focalaudio.masks import keep_and_remove
from focalaudio.spectrogram import (
    Spectrogram,
    absolute_lengths,
    group_by_length,
    zero_tails,
)

WINDOW, HOP = 372, 186  # samples of 23.2199 and 11.6099 ms at 16 kHz
EDGES = (1, 2, 185, 186, 371, 372, 373, 557, 558, 559, 1115, 5000)


def noise(samples, seed=0, batch=1):
    """Waveforms within -0.5 to 0.5."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, samples, generator=generator) - 0.5


def invert_all(spectrogram, spectrum):
    return spectrogram.invert(spectrum.stft, spectrum.n_samples)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_inverse_of_analysis_is_the_input(samples, seed):
    spectrogram, wavs = Spectrogram(), noise(samples, seed)
    back = invert_all(spectrogram, spectrogram(wavs))
    assert back.shape == wavs.shape
    assert (back - wavs).abs().max() <= 1e-6


@pytest.mark.parametrize("samples", EDGES)
def test_inverse_at_the_edges_of_windows_and_hops(spectrogram, samples):
    wavs = noise(samples, batch=2)
    back = invert_all(spectrogram, spectrogram(wavs)).cpu()
    torch.testing.assert_close(back, wavs, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "settings_",
    [
        {"sample_rate": 8000},
        {"sample_rate": 44100, "n_fft": 2048},
        {"n_fft": 512, "win_length": 32.0, "hop_length": 8.0},
        {"n_fft": 400, "win_length": 25.0, "hop_length": 12.5},
    ],
    ids=str,
)
def test_every_valid_setting_inverts(settings_):
    spectrogram, wavs = Spectrogram(**settings_), noise(4321)
    spectrum = spectrogram(wavs)
    assert spectrum.stft.shape[2] == spectrogram.n_frequencies
    back = invert_all(spectrogram, spectrum)
    torch.testing.assert_close(back, wavs, atol=1e-6, rtol=0)


def test_uneven_clips_return_with_their_own_lengths(spectrogram, uneven):
    wavs, lens, n_samples = uneven
    spectrum = spectrogram(wavs, lens)
    assert spectrum.n_samples.tolist() == n_samples.tolist()
    back = invert_all(spectrogram, spectrum)
    torch.testing.assert_close(back, wavs, atol=1e-6, rtol=0)


def test_same_as_torch_stft(spectrogram, device):
    wavs = noise(5000, batch=2).to(device)
    expected = torch.stft(
        wavs,
        n_fft=1024,
        hop_length=HOP,
        win_length=WINDOW,
        window=torch.hamming_window(WINDOW, device=device),
        pad_mode="constant",
        return_complex=True,
    ).transpose(1, 2)
    spectrum = spectrogram(wavs)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(
        torch.view_as_complex(spectrum.stft.contiguous()), expected, **close
    )
    torch.testing.assert_close(
        spectrum.log_magnitude, expected.abs().log1p(), **close
    )
    torch.testing.assert_close(
        spectrum.log_magnitude.expm1() * torch.exp(1j * spectrum.phase),
        expected,
        **close,
    )


def test_five_seconds_have_the_published_shape(spectrogram):
    assert spectrogram.window_samples == WINDOW
    assert spectrogram.hop_samples == HOP
    spectrum = spectrogram(torch.zeros(1, 80000))
    assert spectrum.log_magnitude.shape == (1, 431, 513)
    assert spectrum.n_frames.tolist() == [431]


def test_tones_peak_in_their_own_bin_and_time(spectrogram, two_tones):
    peaks = spectrogram(two_tones).log_magnitude[0].argmax(-1)
    frames = len(peaks)
    # frequency * n_fft / sample_rate
    assert peaks[2 : frames // 2 - 2].unique().tolist() == [64]
    assert peaks[frames // 2 + 2 : -2].unique().tolist() == [256]


@pytest.mark.parametrize("row", range(4))
def test_neighbours_and_padding_change_nothing(spectrogram, uneven, row):
    wavs, lens, n_samples = uneven
    batch = spectrogram(wavs, lens)
    alone = spectrogram(wavs[row : row + 1, : n_samples[row]])
    frames = int(batch.n_frames[row])
    assert alone.stft.shape[1] == frames == int(alone.n_frames)
    for name in ("stft", "log_magnitude"):
        torch.testing.assert_close(
            getattr(batch, name)[row, :frames],
            getattr(alone, name)[0],
            atol=1e-6,
            rtol=1e-6,
        )


@pytest.mark.parametrize("row", range(4))
def test_synthesis_of_a_clip_reads_its_own_frames_only(
    spectrogram, uneven, row
):
    wavs, lens, n_samples = uneven
    spectrum = spectrogram(wavs, lens)
    masked = spectrum.stft * torch.rand_like(spectrum.stft)
    frames = int(spectrum.n_frames[row])
    alone = spectrogram.invert(
        masked[row : row + 1, :frames], n_samples[row : row + 1]
    )
    batch = spectrogram.invert(masked, n_samples)[row, : n_samples[row]]
    torch.testing.assert_close(batch, alone[0], atol=1e-6, rtol=0)


def test_what_stands_in_the_padding_is_not_heard(spectrogram, uneven):
    wavs, lens, n_samples = uneven
    positions = torch.arange(wavs.shape[1], device=wavs.device)
    dirty = torch.where(positions < n_samples[:, None], wavs, 9.0)
    assert torch.equal(
        spectrogram(dirty, lens).stft, spectrogram(wavs, lens).stft
    )


def test_mask_of_ones_gives_the_input_and_of_zeros_silence(spectrogram, uneven):
    wavs, lens, _ = uneven
    spectrum = spectrogram(wavs, lens)
    ones = torch.ones_like(spectrum.log_magnitude, dtype=torch.bool)
    kept, removed = keep_and_remove(ones, spectrum.stft)
    back = spectrogram.invert(kept, spectrum.n_samples)
    torch.testing.assert_close(back, wavs, atol=1e-6, rtol=0)
    silence = spectrogram.invert(removed, spectrum.n_samples)
    assert torch.equal(silence, torch.zeros_like(wavs))


@pytest.mark.parametrize("kind", [torch.bool, torch.float])
def test_kept_and_removed_add_up_to_the_input(spectrogram, uneven, kind):
    wavs, lens, _ = uneven
    spectrum = spectrogram(wavs, lens)
    mask = torch.rand_like(spectrum.log_magnitude)
    mask = mask if kind == torch.float else mask > 0.5
    parts = [
        spectrogram.invert(part, spectrum.n_samples)
        for part in keep_and_remove(mask, spectrum.stft)
    ]
    torch.testing.assert_close(sum(parts), wavs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_silence_is_finite_with_finite_gradients(spectrogram, samples):
    wavs = torch.zeros(1, samples, requires_grad=True)
    spectrum = spectrogram(wavs)
    back = invert_all(spectrogram, spectrum)
    (spectrum.log_magnitude.sum() + back.sum()).backward()
    assert wavs.grad.isfinite().all()
    assert spectrum.log_magnitude.max() < 1e-6
    assert back.abs().max() == 0


def test_gradient_of_the_round_trip_is_the_identity(spectrogram, uneven):
    wavs, lens, _ = uneven
    wavs = wavs.clone().requires_grad_()
    weights = torch.rand_like(wavs)
    back = invert_all(spectrogram, spectrogram(wavs, lens))
    (back * weights).sum().backward()
    expected = weights * (wavs != 0)
    torch.testing.assert_close(wavs.grad, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [torch.half, torch.bfloat16, torch.double])
def test_analysis_is_in_single_precision(spectrogram, kind):
    assert spectrogram(noise(500).to(kind)).stft.dtype == torch.float


def test_autocast_does_not_touch_the_analysis(spectrogram, device):
    wavs = noise(2000).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        spectrum = spectrogram(wavs)
        back = invert_all(spectrogram, spectrum)
    assert torch.equal(spectrum.log_magnitude, spectrogram(wavs).log_magnitude)
    torch.testing.assert_close(back, wavs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(100,), (2, 1, 100), (2, 0), (0, 100)])
def test_only_batches_of_waveforms_are_analyzed(spectrogram, shape):
    with pytest.raises(ValueError, match="wavs has shape .* at least one"):
        spectrogram(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "settings_"),
    [
        ("win_length=23.2199", {"n_fft": 256}),
        ("win_length=23.2199", {"hop_length": 12.0}),
        ("win_length=23.2199", {"hop_length": 0.01}),
        ("win_length=0", {"win_length": 0, "hop_length": 0}),
        ("n_fft=1023", {"n_fft": 1023}),
    ],
)
def test_settings_that_cannot_be_inverted_are_refused(name, settings_):
    with pytest.raises(ValueError, match=name):
        Spectrogram(**settings_)


@given(st.integers(1, 2_000_000), st.integers(1, 2_000_000))
def test_relative_lengths_in_single_precision_are_exact(length, longest):
    length = min(length, longest)
    lens = torch.tensor([length / longest], dtype=torch.float)
    wavs = torch.empty(1, 1).expand(1, longest)
    assert absolute_lengths(lens, wavs).tolist() == [length]


@pytest.mark.parametrize(
    "lens", [[1.0], [0.5, 0.0], [0.5, 1.1], [0.5, math.nan], [[0.5], [1.0]]]
)
def test_lengths_must_be_one_fraction_per_clip(lens):
    with pytest.raises(ValueError, match=r"lens=.* must be 2 numbers"):
        absolute_lengths(torch.tensor(lens), torch.zeros(2, 10))


def test_no_clip_is_shorter_than_one_sample():
    lens = torch.tensor([1e-9, 1.0])
    assert absolute_lengths(lens, torch.zeros(2, 10)).tolist() == [1, 10]
    assert absolute_lengths(None, torch.zeros(2, 10)).tolist() == [10, 10]


def test_tails_are_silenced_and_the_rest_untouched():
    wavs = noise(7, batch=3)
    n_samples = torch.tensor([7, 1, 4])
    silenced = zero_tails(wavs, n_samples)
    for row, length in enumerate(n_samples.tolist()):
        assert torch.equal(silenced[row, :length], wavs[row, :length])
        assert (silenced[row, length:] == 0).all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_groups_hold_each_row_once_under_its_length(lengths):
    indices = torch.arange(len(lengths))
    groups = [
        (length, indices[rows])
        for length, rows in group_by_length(torch.tensor(lengths))
    ]
    assert [length for length, _ in groups] == sorted(set(lengths))
    assert sorted(torch.cat([rows for _, rows in groups]).tolist()) == list(
        range(len(lengths))
    )
    for length, rows in groups:
        assert {lengths[row] for row in rows.tolist()} == {length}
