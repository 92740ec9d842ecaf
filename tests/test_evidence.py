"""Laws of the loss on evidence: every cell answers for what it holds."""

import math

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d as pool

from focalaudio.evidence import (
    evidence_loss,
    share_loss,
    visible_share,
)


def loss_of(evidence, dominant, floor=1.0, magnitude=None):
    magnitude = torch.ones(dominant.shape) if magnitude is None else magnitude
    own, added = torch.eye(3)[[0]], torch.eye(3)[[1]]
    return evidence_loss(
        evidence,
        magnitude,
        dominant.float(),
        1 - dominant.float(),
        pool,
        own.expand(len(dominant), -1),
        added.expand(len(dominant), -1),
        floor,
    )


@pytest.fixture
def halves():
    """The clip is louder in the first half of the frames."""
    dominant = torch.zeros(1, 8, 6, dtype=torch.bool)
    dominant[:, :4] = True
    return dominant


def test_who_knows_which_cell_is_whose_loses_nothing(halves):
    right = torch.full((1, 3, 4, 2), -30.0)
    right[:, 0, :2] = right[:, 1, 2:] = 30
    wrong = right.flip(2)
    assert loss_of(right, halves) < 1e-6
    assert loss_of(wrong, halves) > 50


def test_knowing_nothing_costs_the_logarithm_of_the_classes(halves):
    loss = loss_of(torch.zeros(1, 3, 4, 2), halves)
    assert loss.item() == pytest.approx(math.log(3))


def test_loss_follows_its_definition_cell_by_cell(halves):
    generator = torch.manual_seed(0)
    evidence = torch.randn(1, 3, 4, 2, generator=generator)
    magnitude = torch.rand(1, 8, 6, generator=generator)
    dominant = torch.rand(1, 8, 6, generator=generator) < 0.5
    floor, total, weights = 0.3, 0.0, torch.zeros(4, 2)
    for row in range(4):
        for col in range(2):
            cells = (
                0,
                slice(2 * row, 2 * row + 2),
                slice(3 * col, 3 * col + 3),
            )
            weights[row, col] = magnitude[cells].mean()
    for row in range(4):
        for col in range(2):
            cells = (
                0,
                slice(2 * row, 2 * row + 2),
                slice(3 * col, 3 * col + 3),
            )
            share = (magnitude[cells] * dominant[cells]).sum()
            share = share / magnitude[cells].sum()
            log_p = evidence[0, :, row, col].log_softmax(0)
            error = -(share * log_p[0] + (1 - share) * log_p[1])
            total += error * (weights[row, col] / weights.mean() + floor)
    wanted = total / 8 / (1 + floor)
    torch.testing.assert_close(
        loss_of(evidence, dominant, floor, magnitude), wanted
    )


def test_quiet_cells_count_only_by_the_floor(halves):
    magnitude = torch.ones(1, 8, 6)
    magnitude[:, 4:] = 0  # the second half is silent
    evidence = torch.zeros(1, 3, 4, 2)
    changed = evidence.clone()
    changed[:, 2, 2:] = 5  # nonsense in silence
    losses = [
        loss_of(each, halves, 0.0, magnitude) for each in (evidence, changed)
    ]
    assert losses[0] == losses[1]
    assert loss_of(changed, halves, 1.0, magnitude) > losses[0]


def test_silence_gives_finite_losses_and_gradients(halves):
    evidence = torch.zeros(1, 3, 4, 2, requires_grad=True)
    loss = loss_of(evidence, halves, 1.0, torch.zeros(1, 8, 6))
    loss.backward()
    assert loss.isfinite()
    assert evidence.grad.isfinite().all()


def test_where_both_are_alike_or_silent_a_cell_is_the_clips_own():
    cells, own = torch.randn(1, 3, 4, 2), torch.eye(3)
    for level in (0.0, 1.0):
        power = torch.full((1, 8, 6), level)
        loss = evidence_loss(
            cells, torch.ones(1, 8, 6), power, power, pool, own[:1], own[1:2]
        )
        alone = loss_of(cells, torch.ones(1, 8, 6, dtype=torch.bool))
        torch.testing.assert_close(loss, alone)


@pytest.fixture
def parts():
    """Two powers `[2, 8, 6]`; the first is louder where time begins."""
    torch.manual_seed(0)
    own, added = torch.randn(2, 2, 8, 6).square()
    own[:, 4:] *= 0.01
    added[:, :4] *= 0.01
    return own, added


def shares_of(parts, shape):
    own, added = (part.sqrt() for part in parts)
    own, added = (pool(part, shape) for part in (own, added))
    return own / (own + added)


def fine_loss(logits, parts, floor=1.0):
    own, added = torch.eye(3)[[0, 0]], torch.eye(3)[[1, 1]]
    visible = torch.ones(2, 8, 6)
    return share_loss(logits, *parts, visible, pool, own, added, floor)


def test_the_ideal_ratio_mask_loses_least(parts):
    share = shares_of(parts, (4, 3))
    ideal = torch.stack((share, 1 - share, torch.full_like(share, 1e-9)), 1)
    best = fine_loss(ideal.log(), parts)
    entropy = torch.special.entr(ideal[:, :2]).sum(1).mean()
    torch.testing.assert_close(best, entropy, atol=1e-5, rtol=1e-4)
    for _ in range(5):
        other = ideal.log() + 0.3 * torch.randn(2, 3, 4, 3)
        assert fine_loss(other, parts) > best


def test_a_floor_may_be_each_clips_own(parts):
    logits = torch.randn(2, 3, 4, 3)
    alone = [
        fine_loss(logits[[row, row]], [part[[row, row]] for part in parts], f)
        for row, f in enumerate((0.0, 2.0))
    ]
    both = fine_loss(logits, parts, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(both, sum(alone) / 2)


def test_what_is_hidden_counts_neither_way(parts):
    own, added = parts
    mask = torch.zeros(2, 8, 6)
    mask[:, :4] = 1
    share = visible_share(own, added, mask)
    assert (share > 0.9).all()
    torch.testing.assert_close(
        share + visible_share(added, own, mask), torch.ones(2)
    )
    assert torch.equal(
        visible_share(own, added, torch.zeros(2, 8, 6)), torch.ones(2)
    )
