"""Laws of the random frequency response."""

import pytest
import torch

from focalaudio.augment import RandomEqualizer

RATE, MAX_GAIN = 16000, 9.0


@pytest.fixture
def equalizer():
    return RandomEqualizer(MAX_GAIN).train()


def tone(hertz, n_samples=RATE):
    return torch.sin(2 * torch.pi * hertz * torch.arange(n_samples) / RATE)


def filter_alike(equalizer, *batches):
    """Filter each batch by the same draw."""
    filtered = []
    for wavs in batches:
        torch.manual_seed(3)
        filtered.append(equalizer(wavs, torch.ones(len(wavs)))[0])
    return filtered


@pytest.mark.parametrize("hertz", [40, 200, 1000, 5000, 7900])
def test_a_tone_stays_a_tone_within_the_largest_gain(equalizer, hertz):
    wavs = tone(hertz).expand(16, -1)
    filtered, _ = equalizer(wavs, torch.ones(16))
    inner = slice(RATE // 4, -RATE // 4)  # away from the edges
    size = filtered[:, inner].norm(dim=1) / wavs[:, inner].norm(dim=1)
    decibels = 20 * size.log10()
    assert (decibels.abs() <= MAX_GAIN + 0.1).all()
    assert decibels.std() > 1  # each clip has its own
    alike = torch.cosine_similarity(filtered[:, inner], wavs[:, inner])
    assert (alike > 0.99).all()  # in phase


def test_a_sum_is_filtered_as_its_parts(equalizer):
    one, two = torch.randn(2, 3, 4000)
    of_one, of_two, of_both = filter_alike(equalizer, one, two, one + two)
    torch.testing.assert_close(of_both, of_one + of_two, atol=1e-4, rtol=1e-4)


def test_neighbours_in_frequency_are_treated_alike(equalizer):
    impulse = torch.zeros(8, 8000)
    impulse[:, 4000] = 1
    (filtered,) = filter_alike(equalizer, impulse)
    response = 20 * torch.fft.rfft(filtered).abs().clamp(min=1e-6).log10()
    octave = response[:, 4000 // 2 :].diff(dim=1)
    assert octave.abs().max() < 0.1  # dB from one bin to the next


def test_a_clip_does_not_sound_in_its_padding(equalizer):
    wavs = torch.randn(2, 1000)
    wavs[0, 600:] = 0
    filtered, lens = equalizer(wavs, torch.tensor([0.6, 1.0]))
    assert (filtered[0, 600:] == 0).all()
    assert lens.tolist() == pytest.approx([0.6, 1.0])


def test_the_tightest_response_is_a_gain():
    wavs = torch.randn(4, 500)
    equalizer = RandomEqualizer(1e-6).train()
    torch.testing.assert_close(
        equalizer(wavs, torch.ones(4))[0], wavs, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("n_samples", [0, 1, 2, 3])
def test_hardly_any_sound_is_no_error(equalizer, n_samples):
    wavs = torch.randn(2, n_samples)
    filtered, _ = equalizer(wavs, torch.ones(2))
    assert filtered.shape == wavs.shape
    assert filtered.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [{"max_gain": -1.0}, {"n_gains": 1}, {"octaves": 0}]
)
def test_what_is_no_response_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomEqualizer(**wrong)
