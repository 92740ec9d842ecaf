"""Laws of random removal: whose parts, how much, and drawn by what."""

import pytest
import torch

from focalaudio.metrics.removal import BLOCK, REMOVED, random_drops


def share_of_sum(clips, rows):
    """Of class 0: the sum of a clip's cells, which is its probability."""
    share = clips.sum((1, 2))
    return torch.stack((share, (1 - share).clamp(min=0)), 1).log()


def make_clips(*shape):
    clips = torch.rand(*shape, generator=torch.manual_seed(0))
    return clips / clips.sum((1, 2), keepdim=True)


def drop(mask, clips, frames=None, names="abc", classify=share_of_sum, **more):
    frames = torch.tensor(frames or [clips.shape[1]] * len(clips))
    ids = torch.zeros(len(clips), dtype=torch.long)
    logits = classify(clips, frames)
    return random_drops(
        mask, clips, frames, classify, ids, logits, names, **more
    )


def test_a_random_half_of_the_part_is_lost():
    """Of a classifier that adds cells up: half of what they hold."""
    clips = make_clips(3, 160, 120)
    mask = torch.rand(3, 160, 120) > 0.7
    held = (mask * clips).sum((1, 2))
    plus, minus = drop(mask, clips, n_samples=200)
    torch.testing.assert_close(plus, REMOVED * held, atol=0.01, rtol=0)
    torch.testing.assert_close(minus, REMOVED * (1 - held), atol=0.01, rtol=0)


def test_both_parts_of_one_draw_are_what_the_draw_removes():
    clips, mask = make_clips(3, 40, 55), torch.rand(3, 40, 55)
    whole, nothing = drop(torch.ones(3, 40, 55), clips, n_samples=3)
    plus, minus = drop(mask, clips, n_samples=3)
    torch.testing.assert_close(plus + minus, whole)
    assert nothing.abs().max() < 1e-6


@pytest.mark.parametrize("soft", [False, True])
def test_the_complement_swaps_the_two(soft):
    clips, mask = make_clips(3, 40, 55), torch.rand(3, 40, 55)
    mask = mask if soft else (mask > 0.5).float()
    plus, minus = drop(mask, clips, n_samples=3)
    other_minus, other_plus = drop(1 - mask, clips, n_samples=3)
    torch.testing.assert_close(plus, other_plus)
    torch.testing.assert_close(minus, other_minus)


def test_a_mask_that_holds_more_loses_more():
    clips = make_clips(3, 40, 55)
    small = torch.rand(3, 40, 55) > 0.8
    large = small | (torch.rand(3, 40, 55) > 0.5)
    few, many = (drop(mask, clips, n_samples=4) for mask in (small, large))
    assert (many[0] >= few[0] - 1e-6).all()
    assert (many[1] <= few[1] + 1e-6).all()


def test_draws_are_the_clips_own_in_any_batch_and_order():
    clips, mask = make_clips(3, 40, 55), torch.rand(3, 40, 55)
    wanted = torch.stack(drop(mask, clips, n_samples=3))
    turned = drop(mask.flip(0), clips.flip(0), names="cba", n_samples=3)
    torch.testing.assert_close(torch.stack(turned).flip(1), wanted)
    small = torch.stack(drop(mask, clips, n_samples=3, batch_size=2))
    torch.testing.assert_close(small, wanted)
    for row, name in enumerate("abc"):
        one = slice(row, row + 1)
        alone = drop(mask[one], clips[one], names=[name], n_samples=3)
        torch.testing.assert_close(torch.stack(alone), wanted[:, one])
    renamed = drop(mask, clips, names="xyz", n_samples=3)
    assert (torch.stack(renamed) != wanted).all()


def test_what_goes_are_whole_blocks():
    seen = []

    def keep(clips, rows):
        seen.append(clips)
        return share_of_sum(clips, rows)

    clips = torch.ones(1, 40, 55)
    drop(torch.ones(1, 40, 55), clips, classify=keep, n_samples=4)
    parts = torch.cat(seen[1:])[::2]  # without the parts of the rest
    assert 0 < parts.mean() < 1
    for part in parts:
        for rows in part.split(BLOCK):
            for block in rows.split(BLOCK, 1):
                assert block.unique().numel() == 1


def test_padding_is_not_part_of_a_clip():
    clips, mask = make_clips(2, 40, 55), torch.rand(2, 40, 55)
    clips[0, 30:], mask[0, 30:] = 0, 0
    padded = torch.stack(drop(mask, clips, [30, 40], n_samples=3))
    alone = drop(mask[:1, :30], clips[:1, :30], names="a", n_samples=3)
    torch.testing.assert_close(padded[:, :1], torch.stack(alone))


def test_each_sample_costs_two_passes():
    seen = []

    def count(clips, rows):
        seen.append(len(clips))
        assert len(rows) == len(clips)
        return share_of_sum(clips, rows)

    clips = make_clips(2, 40, 55)
    drop(clips > 2e-4, clips, classify=count, n_samples=5, batch_size=4)
    assert seen == [2, 4, 4, 2, 4, 4, 2]  # the first is the test's own


@pytest.mark.parametrize("name", ["n_samples", "batch_size"])
def test_numbers_are_at_least_one(name):
    clips = make_clips(1, 40, 55)
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        drop(clips, clips, **{name: 0})
