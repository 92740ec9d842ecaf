"""Laws of mixing: what is added, and how the label is shared."""

import pytest
import torch

from focalaudio.augment import MixClips
from focalaudio.mixtures import energy


def mix(step, batch):
    """Mixtures, their lengths and their targets."""
    mixed = step(*batch)
    return mixed.wavs, mixed.lens, mixed.targets


def assert_equal(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_same_seed_same_mixtures(batch):
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(mix(MixClips(1.0), batch))
    assert_equal(*results)


@pytest.mark.parametrize("step", [MixClips(0), MixClips(1.0).eval()])
def test_clips_are_not_mixed_in_evaluation_nor_when_it_is_off(step, batch):
    assert_equal(batch, mix(step, batch))


def test_mixing_changes_sound_but_not_its_input(batch):
    copies = [part.clone() for part in batch]
    wavs, _, targets = mix(MixClips(1.0), batch)
    assert not torch.equal(wavs, batch[0])
    assert_equal(batch, tuple(copies))
    torch.testing.assert_close(targets.sum(1), torch.ones_like(targets[0]))


def test_share_of_the_target_is_share_of_the_energy(batch):
    wavs, _, targets = batch
    mixed, _, shared = mix(MixClips(1.0, 12.0), batch)
    own, theirs = energy(wavs), energy(mixed - wavs)
    expected = own / (own + theirs)
    for row in range(len(batch[0])):
        if shared[row, row] < 1:  # mixed with another clip
            torch.testing.assert_close(
                shared[row, row], expected[row], atol=1e-4, rtol=1e-4
            )
    assert (shared.diagonal() < 1).any()


def test_added_clip_is_the_one_whose_label_is_added(batch):
    wavs, lens, targets = batch
    mixed, new_lens, shared = mix(MixClips(1.0, 12.0), batch)
    for row in range(len(batch[0])):
        if torch.equal(shared[row], targets[row]):  # drawn for itself
            continue
        partner = int((shared[row] - targets[row]).argmax())
        added = mixed[row] - wavs[row]
        cosine = torch.cosine_similarity(added, wavs[partner], dim=0)
        assert cosine > 0.999
        assert new_lens[row] == max(lens[row], lens[partner])


def test_ratio_of_the_two_clips_stays_within_its_bound():
    wavs = torch.randn(300, 20)
    mixed = MixClips(1.0, 6.0)(wavs, torch.ones(300), torch.eye(300)).wavs
    ratio = 10 * (energy(wavs) / energy(mixed - wavs)).log10()
    assert ratio.abs().max() <= 6.01
    assert ratio.min() < -5
    assert ratio.max() > 5


def test_probability_is_the_share_of_mixed_clips():
    wavs, lens = torch.randn(2000, 4), torch.ones(2000)
    mixed = MixClips(0.3)(wavs, lens, torch.ones(2000, 1)).wavs
    share = (mixed != wavs).any(1).float().mean()
    assert 0.26 < share < 0.34


def test_clips_that_are_not_mixed_keep_everything(batch):
    wavs, lens, targets = batch
    mixed, new_lens, shared = mix(MixClips(0.5), batch)
    alone = (mixed == wavs).all(1)
    assert alone.any()
    assert torch.equal(new_lens[alone], lens[alone])
    assert torch.equal(shared[alone], targets[alone])


@pytest.mark.parametrize("level", [0.0, 1e-9, 1e-7])
@pytest.mark.parametrize("probability", [1e-9, 1.0])
def test_silent_and_quiet_clips_keep_their_labels(level, probability):
    wavs = torch.full((4, 10), level)
    clips = (wavs, torch.ones(4), torch.eye(4))
    _, _, shared = mix(MixClips(probability, 0.0), clips)
    assert shared.isfinite().all()
    assert (shared.diagonal() > 0.49).all()
    if probability < 1 or level == 0:
        assert torch.equal(shared, torch.eye(4))


def test_silence_added_to_a_clip_changes_nothing():
    wavs = torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    clips = (wavs, torch.ones(2), torch.eye(2))
    mixed, _, shared = mix(MixClips(1.0), clips)
    assert torch.equal(shared, torch.eye(2))
    assert torch.equal(mixed[1], wavs[1])


def test_partners_are_of_another_class_where_there_is_one():
    targets = torch.eye(3)[[0, 0, 0, 1, 2, 2]]
    wavs = torch.rand(6, 100)
    for _ in range(10):
        mixer = MixClips(1.0, other_class=True).train()
        mixed = mixer(wavs, torch.ones(6), targets)
        assert (mixed.own_targets * mixed.added_targets).sum() == 0
    alike = torch.eye(3)[[1, 1]]
    mixed = MixClips(1.0, other_class=True)(wavs[:2], torch.ones(2), alike)
    assert torch.equal(mixed.added_targets, alike)


def test_halves_never_sound_at_once():
    wavs, lens = torch.rand(50, 400) + 0.1, torch.ones(50)
    mixed = MixClips(1.0, halves=1.0)(wavs, lens, torch.eye(50))
    assert ((mixed.own == 0) | (mixed.added == 0)).all()
    assert ((mixed.own != 0) | (mixed.added != 0)).all()
    share = (mixed.own != 0).float().mean(1)
    assert ((share > 0.2) & (share < 0.8)).all()
    starts = (mixed.own[:, 0] != 0).float().mean()
    assert 0.2 < starts < 0.8  # either may come first
    whole = MixClips(1.0, halves=1e-9)(wavs, lens, torch.eye(50))
    assert torch.equal(whole.own, wavs)
