"""Laws of focalaudio.mixtures: the stated ratio is the measured ratio."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.mixtures import energy, scale_to_snr


def measure(wavs, others):
    """Ratio of the two energies, dB."""
    wavs, others = wavs.double().square(), others.double().square()
    return 10 * (wavs.sum(-1) / others.sum(-1)).log10()


@given(st.floats(-40, 40), st.floats(1e-3, 1e3), st.integers(1, 500))
def test_stated_ratio_is_measured_ratio(snr, gain, samples):
    wavs = torch.rand(2, samples) + 0.1
    others = gain * (torch.rand(2, samples) + 0.1)
    measured = measure(wavs, scale_to_snr(wavs, others, snr))
    assert (measured - snr).abs().max() < 1e-3


def test_each_clip_can_have_its_own_ratio(device):
    wavs, others = torch.randn(2, 3, 1000, device=device)
    snr = torch.tensor([-6.0, 0.0, 12.0], device=device)
    measured = measure(wavs, scale_to_snr(wavs, others, snr))
    torch.testing.assert_close(measured.float(), snr, atol=1e-3, rtol=0)


def test_whole_numbers_are_ratios_too():
    wavs, others = torch.randn(2, 1, 1000)
    assert torch.equal(
        scale_to_snr(wavs, others, 6), scale_to_snr(wavs, others, 6.0)
    )


def test_padding_both_clips_changes_nothing():
    wavs, others = torch.randn(2, 1, 1000)
    scaled = scale_to_snr(wavs, others, 3.0)
    pad = torch.nn.functional.pad
    padded = scale_to_snr(pad(wavs, (0, 500)), pad(others, (0, 500)), 3.0)
    torch.testing.assert_close(padded[:, :1000], scaled)


def test_only_the_level_changes():
    wavs, others = torch.randn(2, 2, 100)
    gain = scale_to_snr(wavs, others, 5.0) / others
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain))
    assert (gain > 0).all()


@pytest.mark.parametrize("snr", [-100.0, 0.0, 100.0])
def test_silence_stays_silence(snr):
    silence, sound = torch.zeros(1, 50), torch.ones(1, 50)
    for wavs, others in ((sound, silence), (silence, sound)):
        assert torch.equal(scale_to_snr(wavs, others, snr), silence)


def test_energy_is_the_mean_square():
    wavs = torch.randn(2, 3, 50)
    torch.testing.assert_close(energy(wavs), wavs.norm(dim=-1) ** 2 / 50)
    torch.testing.assert_close(energy(-2 * wavs), 4 * energy(wavs))
