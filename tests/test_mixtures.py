"""Laws of focalaudio.mixtures: the stated ratio is the measured ratio."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.mixtures import (
    concatenate,
    energy,
    mix,
    pair_up,
    scale_to_snr,
)


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


@given(st.floats(-30, 30), st.integers(1, 50), st.integers(1, 50))
def test_a_mixture_is_its_sources_at_the_stated_ratio(snr, own, other):
    generator = torch.Generator().manual_seed(own)
    first = torch.randn(own, generator=generator)
    second = torch.randn(other, generator=generator)
    mixture = mix(first, second, snr)
    assert len(mixture.wav) == own
    torch.testing.assert_close(mixture.first + mixture.second, mixture.wav)
    assert measure(mixture.first, mixture.second).item() == pytest.approx(
        snr, abs=1e-2
    )
    peak = mixture.wav.abs().max()
    assert peak == pytest.approx(1, abs=1e-5) or peak == 0


def test_one_after_the_other_never_at_once():
    first, second = torch.rand(101) + 0.1, torch.rand(50) + 0.1
    mixture = concatenate(first, second, 6.0)
    assert len(mixture.wav) == 101
    assert ((mixture.first == 0) | (mixture.second == 0)).all()
    assert (mixture.first[50:] == 0).all()
    assert (mixture.second[:50] == 0).all()
    assert measure(mixture.first, mixture.second).item() == pytest.approx(
        6, abs=1e-3
    )


def test_silence_mixes_to_silence():
    mixture = mix(torch.zeros(4), torch.zeros(4), 0.0)
    assert (mixture.wav == 0).all()


def test_two_clips_are_heard_though_the_first_is_silent_where_it_plays():
    late = torch.cat((torch.zeros(4), torch.ones(4)))
    for join in (concatenate, mix):
        assert join(late, torch.ones(8), 0.0).second.any()
        nothing = torch.zeros(8)
        assert join(nothing, torch.ones(8), 0.0).second.any()
        assert not join(torch.ones(8), nothing, 0.0).second.any()


def test_nothing_to_play_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        mix(torch.ones(4), torch.ones(0), 0.0)


@given(st.lists(st.sampled_from("abcd"), min_size=4, max_size=30))
def test_partners_are_distinct_and_of_another_class(labels):
    labels = ["a", "b", "c", *labels]
    chosen = pair_up(labels, 2)
    assert chosen == pair_up(labels, 2)
    for place, partners in enumerate(chosen):
        assert len(set(partners)) == 2
        assert all(labels[other] != labels[place] for other in partners)


def test_every_class_is_a_partner_in_a_sorted_fold():
    labels = [label for label in "abcdefghij" for _ in range(8)]
    partners = [other for chosen in pair_up(labels, 2) for other in chosen]
    assert {labels[other] for other in partners} == set("abcdefghij")
    assert max(partners.count(other) for other in partners) <= 4


def test_too_few_other_clips_are_an_error():
    with pytest.raises(ValueError, match="n_partners=2"):
        pair_up(["a", "a", "b"], 2)
