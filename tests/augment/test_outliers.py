"""Laws of sounds that are of no class."""

import pytest
import torch

from focalaudio.augment import RandomOutliers

EVEN = torch.full((60, 2), 0.5)
ONES = torch.ones(4)


@pytest.mark.parametrize("outliers", [RandomOutliers(0.0), RandomOutliers(1.0)])
def test_what_is_off_or_evaluates_is_the_identity(outliers, batch):
    found = outliers.train(outliers.probability == 0)(*batch)
    assert all(map(torch.equal, found, batch))
    assert not outliers.is_active


def test_it_changes_as_many_clips_as_was_asked_and_no_other():
    wavs, targets = torch.zeros(400, 50), torch.eye(400, 4)
    lens = torch.full((400,), 0.5)
    made, made_lens, made_targets = RandomOutliers(0.3)(wavs, lens, targets)
    changed = made.any(1)
    assert 0.2 < changed.float().mean() < 0.4
    assert torch.equal(made_targets[~changed], targets[~changed])
    assert (made_targets[changed] == 0.25).all()
    assert (made_lens[changed] == 1).all()
    assert (made_lens[~changed] == 0.5).all()
    assert not wavs.any()


def test_sounds_are_loud_finite_and_never_twice_the_same():
    wavs = RandomOutliers(1.0)(torch.zeros(60, 4000), torch.ones(60), EVEN)[0]
    assert wavs.isfinite().all()
    torch.testing.assert_close(wavs.abs().amax(1), torch.ones(60))
    likeness = torch.corrcoef(wavs) - torch.eye(60)
    assert likeness.abs().max() < 0.9


def test_some_are_steady_noise_some_are_tones_and_some_swell():
    wavs = RandomOutliers(1.0)(torch.zeros(60, 16000), torch.ones(60), EVEN)[0]
    power = torch.fft.rfft(wavs).abs().square()
    flatness = power.log().mean(1).exp() / power.mean(1)  # 1 of white noise
    assert flatness.max() > 0.3
    assert flatness.min() < 1e-3
    level = wavs.view(60, 10, -1).square().mean(2).log10() * 10
    spread = level.amax(1) - level.amin(1)
    assert spread.min() < 3
    assert spread.max() > 15


@pytest.mark.parametrize("n_samples", [1, 2, 3, 100])
def test_clips_may_be_as_short_as_they_like(n_samples):
    wavs = torch.zeros(20, n_samples)
    made = RandomOutliers(1.0, 8000)(wavs, torch.ones(20), torch.ones(20, 1))[0]
    assert made.shape == wavs.shape
    assert made.isfinite().all()


def test_same_seed_same_sounds():
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        made.append(RandomOutliers(0.5)(torch.zeros(4, 99), ONES, EVEN[:4])[0])
    assert torch.equal(*made)


@pytest.mark.parametrize("sample_rate", [4000, 8000])
def test_no_band_lies_above_what_the_rate_can_hold(sample_rate):
    outliers = RandomOutliers(1.0, sample_rate)
    clips = torch.zeros(2000, 400), torch.ones(2000), torch.eye(2000, 2)
    wavs, _, _ = outliers(*clips)
    torch.testing.assert_close(wavs.abs().amax(1), torch.ones(2000))
